"""What is left of a gradient further back, against a power of a matrix, finite differences and shipped models."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lstmviz import ablate, connectivity, exploding, itemised, saliency
from lstmviz import checkpoint as checkpoints
from lstmviz.cells.base import GatedCell
from lstmviz.config import ModelConfig
from lstmviz.explain.gradients import gradient_by_distance, gradient_norms
from lstmviz.layers import Stack
from lstmviz.model import LanguageModel

RECALL = Path(__file__).parents[2] / "checkpoints/lineups/recall"


class Linear(GatedCell):
    """h = W x + U h' + b: of it every Jacobian is U."""

    states = {"hidden": "h"}  # noqa: RUF012
    rows = ("",)

    def step(self, Wx, state, U):
        return {"hidden": Wx + U(state["hidden"])}, {}


def small(cell: str, layers: int = 1) -> tuple[LanguageModel, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    model = LanguageModel(ModelConfig(cell=cell, embedding_size=3, hidden_size=5, num_layers=layers), 7).double()
    return model.eval(), torch.randint(7, (12, 4)), torch.randint(7, (4,))


def test_of_a_linear_network_it_is_the_power_of_its_matrix():
    model, tokens, targets = small("rnn")
    model.layers = Stack(Linear, 3, 5).double()
    probabilities = model(tokens)[0][-1].softmax(-1)  # (B, V)
    error = probabilities - F.one_hot(targets, 7)  # ∂nll / ∂logits
    gradient, (layer,) = error @ model.decoder.weight, model.layers  # (B, H)
    norms = gradient_norms(model, tokens, targets)
    for k in range(len(tokens)):
        exact = gradient @ torch.linalg.matrix_power(layer.recurrent_weight(), k)
        torch.testing.assert_close(norms[-1 - k], exact.norm(dim=1), rtol=1e-10, atol=0)


@pytest.mark.parametrize(("cell", "layers"), [("lstm", 2), ("gru", 1), ("lstmp", 2), ("slstm", 1)])
def test_it_is_what_a_small_change_of_the_state_does(cell, layers):
    model, tokens, targets = small(cell, layers)
    norms, eps = gradient_norms(model, tokens, targets), 1e-6
    with torch.no_grad():
        for k in (0, 1, 5):
            cut = len(tokens) - k
            _, state = model.run(model.embed(tokens[:cut]))

            def nll(state, cut=cut):
                hidden = (
                    model.run(model.embed(tokens[cut:]), state)[0][-1] if cut < len(tokens) else state[-1]["hidden"]
                )
                return F.cross_entropy(model.decode(hidden), targets, reduction="none")

            squares = torch.zeros(4, dtype=torch.float64)
            for layer, values in enumerate(state):
                for name, value in values.items():
                    for unit in range(value.shape[1]):
                        moved = [nll(_moved(state, layer, name, unit, by)) for by in (eps, -eps)]
                        squares += ((moved[0] - moved[1]) / (2 * eps)).square()
            torch.testing.assert_close(norms[-1 - k], squares.sqrt(), rtol=1e-5, atol=1e-9)


def _moved(state, layer, name, unit, by):
    state = [{name: value.clone() for name, value in values.items()} for values in state]
    state[layer][name][:, unit] += by
    return state


def test_what_an_lstm_has_learned_to_keep_a_simple_network_has_not():
    arrives = {}
    for cell in ("lstm", "rnn"):
        checkpoint = checkpoints.load(RECALL / f"{cell}.safetensors")
        table = gradient_by_distance(checkpoint.build(), checkpoint.vocabulary, furthest=64, sentences=8)
        assert table["distance"].tolist() == [*range(65)] and table["arrives"][0] == 1
        arrives[cell] = table["arrives"][64]
    assert arrives["lstm"] > 0.1 and 0 < arrives["rnn"] < 1e-9


def test_the_norm_by_distance_is_that_of_the_losses_so_far_behind(make_checkpoint) -> None:
    checkpoint = make_checkpoint()
    found = connectivity(checkpoint.build(), checkpoint.vocabulary, "abca")
    assert found.by_distance().tolist() == [np.median(found.norms[[1, 2, 3], [0, 1, 2]]), *found.by_distance()[1:]]
    assert found.by_distance()[2] == found.norms[3, 0]


def test_what_explodes_grows_by_the_singular_value_and_clipping_tames_it() -> None:
    found = exploding(60, 1.5, 1.0)
    np.testing.assert_allclose(found.norms[:20] / found.norms[1:21], 1.5, rtol=1e-2)
    assert found.clipped == pytest.approx(1) and found.norm > 1e6
    assert found.plain > found.loss > found.gentle
    vanished = exploding(60, 0.5, 1.0)
    np.testing.assert_allclose(vanished.norms[:20] / vanished.norms[1:21], 0.5, rtol=1e-2)
    assert vanished.clipped == vanished.norm  # what is below the threshold stays as it is
    assert exploding(60, 1.5, 1.0, tanh=True).norm < found.norm
    for bad in (
        *({"steps": 0}, {"steps": 2.5}, {"size": 0}),
        *({"singular_value": float("nan")}, {"threshold": -1}, {"rate": float("inf")}),
    ):
        with pytest.raises(ValueError, match=f"{next(iter(bad))} must be a (finite|whole) number above 0"):
            exploding(**{"steps": 3, "singular_value": 1.0, "threshold": 1.0, **bad})


def test_a_label_has_its_saliency_too() -> None:
    shipped = checkpoints.load(RECALL.parents[1] / "tag/between-lstm-bidirectional.safetensors")
    model, reads, labels = shipped.build(), shipped.reads, shipped.vocabulary
    assert reads
    found = saliency(model, reads, "".join(reads.tokens[4:7]), 1, labels=labels)
    assert len(found.tokens) == len(found.integrated) == 3 and found.says in labels.tokens
    assert found.error < 1e-3
    with pytest.raises(ValueError, match="labels must be the vocabulary of the labels"):
        saliency(model, reads, "abc")


def test_a_model_of_half_precision_is_asked_too(make_checkpoint) -> None:
    checkpoint = make_checkpoint()
    model, vocabulary = checkpoint.build(), checkpoint.vocabulary
    half = checkpoint.build().bfloat16()
    for ask in (
        lambda each: saliency(each, vocabulary, "abca").gradient,
        lambda each: connectivity(each, vocabulary, "abca").norms,
        lambda each: ablate(each, vocabulary, "abca"),
    ):
        np.testing.assert_allclose(ask(half), ask(model), atol=0.02)


def test_what_cannot_be_asked_is_said(make_checkpoint, classifier) -> None:
    checkpoint = make_checkpoint()
    model, vocabulary = checkpoint.build(), checkpoint.vocabulary
    for bad, said in (
        (lambda: connectivity(model, vocabulary, "a"), "the text must have at least 2 tokens"),
        (lambda: connectivity(model, vocabulary, ""), "a text must have at least one token"),
        (
            lambda: connectivity(model, vocabulary, "ab", "memory"),
            "lstm has no state memory; there is cell, hidden",
        ),
        (lambda: connectivity(model, vocabulary, "ab", layer=2), "there is no layer 2"),
        (lambda: connectivity(model, vocabulary, [[0, 1]]), "whole numbers from 0 to 8 along one axis"),
        (lambda: connectivity(model, vocabulary, [0.5, 1]), "whole numbers from 0 to 8 along one axis"),
        (lambda: connectivity(model, vocabulary, 3), "whole numbers from 0 to 8 along one axis"),
        (lambda: itemised(model, vocabulary, "ab", 1.0), "a token is told by its number, not by 1.0"),
        (lambda: itemised(model, vocabulary, "ab", 0), "nothing stands before the first token"),
        (lambda: itemised(model, vocabulary, "ab", 2), "there is no token 2"),
        (lambda: itemised(model, vocabulary, "ab").term(1), "there is no step 1"),
        (lambda: saliency(model, vocabulary, "ab", 0), "nothing stands before the first token"),
        (lambda: saliency(model, vocabulary, "ab", 5), "there is no token 5"),
        (lambda: saliency(classifier().build(), vocabulary, "ab"), "it reads images"),
        (lambda: connectivity(classifier().build(), vocabulary, "ab"), "it reads images"),
    ):
        with pytest.raises(ValueError, match=said):
            bad()
    assert not any(parameter.grad is not None for parameter in model.parameters())
