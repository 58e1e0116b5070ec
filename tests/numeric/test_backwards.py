"""Gradients step by step back through time are those of autograd on a plain unrolled model, for every cell."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lstmviz import connectivity, itemised, saliency
from lstmviz.cells import CELLS
from lstmviz.cells.base import Cell
from lstmviz.cells.equations import FIRST
from lstmviz.explain.gradients import why_not_recurrent
from lstmviz.model import LanguageModel

TEXT = "abc a"


class Unrolled:
    """A model over a text as its equations say it, written out: everything a leaf or a part of one graph."""

    def __init__(self, model: LanguageModel, ids: list[int]) -> None:
        self.vectors = [vector.detach()[None].requires_grad_() for vector in model.embed(torch.tensor(ids))]  # (1, E)
        self.weights = [
            {symbol: weight.detach().requires_grad_() for symbol, weight in cell.by_symbol().items()}
            for cell in model.layers
        ]
        self.states: list[list[dict[str, Tensor]]] = []  # of each step and layer
        before = model.layers.initial_state(1)
        for time, x in enumerate(self.vectors):
            after = []
            for cell, weights, state in zip(model.layers, self.weights, before, strict=True):
                primed = {f"{cell.states[name]}'": values for name, values in state.items()}
                given = {**weights, **primed, "x": x, FIRST: torch.tensor([[time == 0]])}
                values = cell.parsed().evaluate(given)
                after.append({name: values[symbol] for name, symbol in cell.states.items()})
                x = after[-1]["hidden"]
            self.states.append(after)
            before = after
        said = torch.cat([step[-1]["hidden"] for step in self.states[:-1]])  # (T − 1, P)
        self.nll = F.cross_entropy(model.decode(said), torch.tensor(ids[1:]), reduction="none")  # of tokens 1 …

    def gradients(self, t: int, of: list[Tensor]) -> list[Tensor]:
        """Of the loss of token t."""
        return [*torch.autograd.grad(self.nll[t - 1], of, retain_graph=True, materialize_grads=True, allow_unused=True)]


def of_recurrent(cell: Cell, gradients: dict[str, np.ndarray]) -> np.ndarray:
    """The rows of all U_k, from the gradients by symbol."""
    if "U" in cell.parsed().given:
        return gradients["U"]
    names = ([f"U_{k}", f"W_h{k}", f"W_{k}"] for k in cell.rows)  # the last of them is of [h', x]
    found = [next(gradients[name] for name in each if name in gradients) for each in names]
    return np.concatenate([each[:, : cell.output_size] for each in found])


@pytest.mark.proof("gradients")
@pytest.mark.parametrize("name", CELLS)
def test_they_are_those_of_autograd(name: str, make_checkpoint: Callable) -> None:
    checkpoint = make_checkpoint(cell=name, num_layers=2, hidden_size=5)
    model, vocabulary = checkpoint.build().double(), checkpoint.vocabulary
    plain = Unrolled(model, vocabulary.encode(TEXT))
    time = range(len(plain.vectors))
    for of in (*CELLS[name].states, "embedding"):
        found = connectivity(model, vocabulary, TEXT, of).norms
        for t in time:
            for k in time:
                wanted = 0.0
                if t > k:
                    parts = [plain.vectors[k]] if of == "embedding" else [each[of] for each in plain.states[k]]
                    wanted = torch.cat(plain.gradients(t, parts), dim=-1).norm().item()
                assert found[t, k] == pytest.approx(wanted, rel=1e-9, abs=1e-15)
    lower = connectivity(model, vocabulary, TEXT, layer=0).norms
    assert lower[4, 2] == pytest.approx(plain.gradients(4, [plain.states[2][0]["hidden"]])[0].norm().item())
    for at in (1, len(time) - 1):
        if why_not_recurrent(name):
            with pytest.raises(ValueError, match="has no recurrent weights"):
                itemised(model, vocabulary, TEXT, at)
            continue
        for layer, weights in enumerate(plain.weights):
            found = itemised(model, vocabulary, TEXT, at, layer=layer)
            gradients = [each.numpy() for each in plain.gradients(at, [*weights.values()])]
            wanted = of_recurrent(model.layers[layer], dict(zip(weights, gradients, strict=True)))
            np.testing.assert_allclose(found.gradient, wanted, rtol=1e-9, atol=1e-14)
            terms = [found.term(k) for k in range(at)]
            np.testing.assert_allclose(sum(terms), wanted, rtol=1e-9, atol=1e-14)
            np.testing.assert_allclose(found.norms, [np.linalg.norm(term) for term in terms], rtol=1e-9, atol=1e-14)
            assert found.nll == pytest.approx(plain.nll[at - 1].item())
            if at > 1:
                assert found.shares.sum() == pytest.approx(1)
                assert found.beyond(2) == pytest.approx(found.shares[: at - 2].sum())
                assert found.beyond(at) == 0


@pytest.mark.parametrize("name", ["lstm", "slstm", "mogrifier"])
def test_the_saliency_of_a_token_is_its_gradient_times_its_embedding(name: str, make_checkpoint: Callable) -> None:
    checkpoint = make_checkpoint(cell=name, num_layers=2)
    model, vocabulary = checkpoint.build().double(), checkpoint.vocabulary
    plain = Unrolled(model, vocabulary.encode(TEXT))
    found = saliency(model, vocabulary, TEXT, 3)
    read = plain.vectors[:3]
    wanted = [(g * v).sum().item() for g, v in zip(plain.gradients(3, read), read, strict=True)]
    np.testing.assert_allclose(found.gradient, wanted, rtol=1e-9, atol=1e-15)
    assert (found.nll, found.says, found.tokens) == (pytest.approx(plain.nll[2].item()), " ", ["a", "b", "c"])
    # Integrated gradients add up to what the loss differs by from that of embeddings that are 0.
    assert found.error < 1e-9
    nothing = torch.zeros(3, 1, 3, dtype=torch.float64)
    loss = F.cross_entropy(model.decode(model.run(nothing)[0][-1]), torch.tensor(vocabulary.encode(" ")))
    assert found.integrated.sum() == pytest.approx(found.nll - loss.item())
