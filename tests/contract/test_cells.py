"""What every entry of CELLS promises."""

import inspect

import pytest
import torch

from lstmviz.cells import CELLS, Cell
from lstmviz.model import LanguageModel, ModelConfig, parameter_count

X, H = 5, 7

# Parameters of one layer, as CELLS.md and each docstring state them.
COUNTS = {
    "rnn": H * (H + X) + 2 * H,
    "lstm": 4 * H * (H + X) + 8 * H,
    "lstm_split": 4 * H * (H + X) + 8 * H,
    "lstm_concat": 4 * H * (H + X) + 4 * H,
    "gru": 3 * H * (H + X) + 6 * H,
}

every_cell = pytest.mark.parametrize("name", CELLS)


@every_cell
def test_names_match_what_comes_out(name):
    cell = CELLS[name](X, H)
    state, gates = cell.step(cell.project(torch.randn(1, 2, X))[0], cell.initial_state(2))
    assert issubclass(CELLS[name], Cell)
    assert tuple(gates) == cell.gates
    assert set(state) == set(cell.states) and "hidden" in state
    assert all(value.shape == (2, H) for value in (*state.values(), *gates.values()))
    assert tuple(cell.record(torch.randn(3, 2, X), cell.initial_state(2))) == (*cell.gates, *cell.states)


@every_cell
def test_the_docstring_teaches(name):
    text = inspect.getdoc(CELLS[name]) or ""
    assert "Equation" in text and "Parameters:" in text
    assert "Paper:" in text and CELLS[name].paper in text


@every_cell
def test_the_parameter_count_is_the_formula(name):
    assert sum(p.numel() for p in CELLS[name](X, H).parameters()) == COUNTS[name]


@every_cell
def test_the_first_state_is_zero_and_of_the_cells_own_type(name):
    state = CELLS[name](X, H).double().initial_state(4)
    assert all(v.shape == (4, H) and v.dtype == torch.float64 and not v.any() for v in state.values())


@every_cell
def test_a_language_model_takes_it(name):
    config = ModelConfig(vocab_size=9, cell=name, embedding_size=X, hidden_size=H)
    logits, _ = LanguageModel(config)(torch.zeros(3, 2, dtype=torch.int64))
    assert logits.shape == (3, 2, 9)
    assert parameter_count(config) == COUNTS[name] + 9 * X + 9 * H + 9
