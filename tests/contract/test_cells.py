"""What every entry of CELLS promises."""

import inspect
import re

import pytest
import torch

from lstmviz.cells import CELLS, Cell
from lstmviz.config import ModelConfig
from lstmviz.model import LanguageModel, parameter_count
from lstmviz.roles import ROLES

X, H = 5, 7

every_cell = pytest.mark.parametrize("name", CELLS)


@every_cell
def test_names_match_what_comes_out(name):
    cell = CELLS[name](X, H)
    inputs = torch.randn(3, 2, X)
    state, gates = cell.step(cell.project(inputs)[0], cell.initial_state(2), cell.recurrent(inputs))
    assert issubclass(CELLS[name], Cell)
    assert tuple(gates) == cell.gates
    assert set(state) == set(cell.states) and "hidden" in state
    assert state["hidden"].shape == (2, cell.output_size)
    assert all(value.shape == (2, H) for name, value in {**state, **gates}.items() if name != "hidden")
    assert all(gates[name] is state[name] for name in set(gates) & set(state))  # recorded once
    assert tuple(cell.record(inputs, cell.initial_state(2))) == cell.recorded()


@every_cell
def test_every_gate_and_state_has_a_role(name):
    assert set(CELLS[name].recorded()) <= set(ROLES)


def test_one_colour_keeps_whatever_a_paper_calls_it():
    keep = {name for name, role in ROLES.items() if role.light == ROLES["forget_gate"].light}
    assert keep == {"forget_gate", "log_forget_gate", "update_gate"}
    assert all(keep & set(cell.recorded()) for name, cell in CELLS.items() if name != "rnn")


@every_cell
def test_the_docstring_teaches(name):
    text = inspect.getdoc(CELLS[name]) or ""
    assert "Equation" in text and "Parameters:" in text
    assert "Paper:" in text and CELLS[name].paper in text
    assert "h = " in CELLS[name].equations() and "Parameters" not in CELLS[name].equations()


@every_cell
def test_its_note_is_a_few_plain_sentences(name):
    note = CELLS[name].note()
    assert "Parameters" not in note and "Paper" not in note and "`" not in note and "  " not in note
    assert not note or (note.endswith(".") and note in " ".join((inspect.getdoc(CELLS[name]) or "").split()))
    assert len(note) < 400


def test_the_notes_tell_what_public_code_gets_wrong():
    said = {name: cell.note() for name, cell in CELLS.items()}
    assert all("no gradient" in said[name] and "0.5" in said[name] for name in ("report_split", "report_concat"))
    assert "it acts on h' before U_n" in said["gru"] and "linear_before_reset=0" in said["gru_v1"]
    assert "all 4h numbers" in said["layernorm"] and "no peepholes" in said["lstmp"]
    assert "other texts" in said["gru"] and "LN(c)" in said["layernorm"] and "No gate sees h'" in said["minlstm"]
    assert said["nog"] == ""


def count(cell: Cell) -> int:
    """The number that the formula gives: what stands side by side is multiplied."""
    formula = re.sub(r"(?<=[\dhxp²)])\s?(?=[hxp(])", " * ", cell.count.replace("²", "**2"))
    return eval(formula, {"h": cell.hidden_size, "x": cell.input_size, "p": cell.output_size})


@every_cell
@pytest.mark.parametrize(("x", "h"), [(1, 1), (5, 7), (7, 5), (64, 128)])
def test_the_parameter_count_is_the_formula(name, x, h):
    cell = CELLS[name](x, h)
    assert sum(p.numel() for p in cell.parameters()) == count(cell)


@every_cell
def test_the_first_state_is_zero_and_of_the_cells_own_type(name):
    state = CELLS[name](X, H).double().initial_state(4)
    assert all(v.shape[0] == 4 and v.dtype == torch.float64 and not v.any() for v in state.values())


@every_cell
def test_a_language_model_takes_it(name):
    config = ModelConfig(cell=name, embedding_size=X, hidden_size=H)
    logits, _ = LanguageModel(config, 9)(torch.zeros(3, 2, dtype=torch.int64))
    assert logits.shape == (3, 2, 9)
    layer = CELLS[name](X, H)
    assert parameter_count(config, 9) == count(layer) + 9 * X + 9 * layer.output_size + 9
