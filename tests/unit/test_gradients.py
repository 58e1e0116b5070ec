"""What is left of a gradient further back, against a power of a matrix, finite differences and shipped models."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

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
