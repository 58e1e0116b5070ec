"""What every entry of CELLS promises."""

import copy
import inspect
import re
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor

from lstmviz.cells import CELLS, cell_called
from lstmviz.cells.base import Cell
from lstmviz.cells.declared import FILE
from lstmviz.cells.describe import written
from lstmviz.cells.equations import evaluate, parse, parts, symbols
from lstmviz.config import ModelConfig
from lstmviz.model import LanguageModel
from lstmviz.roles import AMBER, DOES, ROLES
from lstmviz.sizes import parameter_count

X, H = 5, 7

every_cell = pytest.mark.parametrize("name", CELLS)


@every_cell
def test_names_match_what_comes_out(name):
    cell = CELLS[name](X, H)
    inputs = torch.randn(3, 2, X)
    state, gates = cell.step(cell.project(inputs)[0], cell.initial_state(2), cell.recurrent(inputs))
    assert issubclass(CELLS[name], Cell)
    assert tuple(gates) == tuple(cell.gates)
    assert set(state) == set(cell.states) and "hidden" in state
    assert state["hidden"].shape == (2, cell.output_size)
    assert all(value.shape == (2, H) for name, value in {**state, **gates}.items() if name != "hidden")
    assert all(gates[name] is state[name] for name in set(gates) & set(state))  # recorded once
    assert tuple(cell.record(inputs, cell.initial_state(2))) == cell.recorded()


@every_cell
def test_every_gate_and_state_has_a_role(name):
    assert set(CELLS[name].recorded()) <= set(ROLES)


@every_cell
@torch.no_grad()
def test_values_leave_the_scale_of_their_role_where_the_cell_says_so_and_nowhere_else(name):
    """Of layers with large weights, that read the same for long: what adds up, adds up there."""
    beyond = set()
    for scale, seed in product((1, 10, 1e4), range(3)):
        torch.manual_seed(seed)
        layer = CELLS[name](1, H)
        for parameter in layer.parameters():
            parameter.normal_(std=scale)
        for key, values in layer.record(torch.ones(40, 1, 1), layer.initial_state(1)).items():
            assert not values.isnan().any()
            role = ROLES[key]
            if role.low is not None and not ((role.low <= values) & (values <= role.high)).all():
                beyond.add(key)
    assert beyond == set(CELLS[name].unbounded)


@every_cell
def test_one_colour_keeps_whatever_a_paper_calls_it(name):
    cell = CELLS[name]
    amber = {key for key, role in cell.roles().items() if role.light == AMBER[0]}
    assert amber == {cell.doer("keeps")} - {None}


@every_cell
def test_what_the_output_gate_lets_out_and_the_reset_gate_acts_on_stand_beside_them_in_the_equations(name):
    cell = CELLS[name]
    trees = [part for _, tree in cell.parsed().lines for part in parts(tree) if isinstance(part, tuple)]
    products = [{*part[1:]} for part in trees if part[0] == "*"]
    beside = {what: [other for both in products if getattr(cell, what) in both for other in both] for what in DOES}
    if cell.shows:
        seen = set().union(*(symbols(other) for other in beside["shows"]))
        lets_out = next(key for key, symbol in cell.symbols.items() if symbol in seen and key != cell.doer("shows"))
        assert cell.lets_out == ("memory" if lets_out == cell.doer("holds") else lets_out)
    if cell.looks_back:
        assert cell.resets == ("past" if f"{cell.states['hidden']}'" in beside["looks_back"] else "candidate")


@every_cell
def test_what_it_declares_is_said_in_its_equations(name):
    """Keeps, writes, shows, looks back, holds: made of parts of the equations, and of what is recorded alone."""
    cell = CELLS[name](X, H).double()
    equations, recorded = cell.parsed(), {*cell.symbols.values()}
    values = cell.by_equations(torch.randn(2, X).double(), {k: v + 1 for k, v in cell.initial_state(2).items()})
    for what in DOES:
        if not getattr(cell, what):
            assert cell.does(what) is None and cell.doer(what) is None
            continue
        assert torch.as_tensor(evaluate(parse(getattr(cell, what)), values)).isfinite().all()
        assert symbols(cell.does(what)) <= recorded | {f"{symbol}'" for symbol in recorded}
        assert symbols(parse(getattr(cell, what))) <= equations.given | equations.trees.keys()
    assert cell.holds


@every_cell
def test_its_roles_are_those_of_everywhere_but_for_what_they_do(name):
    cell = CELLS[name]
    roles = cell.roles()
    assert tuple(roles) == cell.recorded()
    for key, role in roles.items():
        usual = replace(ROLES[key], low=None, high=None) if key in cell.unbounded else ROLES[key]
        assert replace(role, does="") == replace(usual, does="")
        assert role.does == ROLES[key].does or (key, role.does) in {("hidden", "holds"), ("reset_gate", "looks_back")}
    assert {role.does for role in roles.values() if role.does} == {what for what in DOES if cell.doer(what)}


@every_cell
@torch.no_grad()
def test_keeping_is_every_bias_that_what_is_kept_or_written_goes_up_or_down_with(name):
    cell = CELLS[name](X, H).double()
    x, state = torch.randn(9, X).double(), cell.initial_state(9)
    state = {key: torch.rand_like(value) for key, value in state.items()}

    def shares(cell: Cell) -> list[Tensor]:
        values = cell.by_equations(x, state)
        return [torch.as_tensor(evaluate(parse(declared or "0"), values)) for declared in (cell.keeps, cell.writes)]

    keeps, writes = shares(cell)
    found = {}
    for k in cell.rows:
        other = copy.deepcopy(cell)
        other.biases(k)[0].add_(0.5)
        more = [(after - before).sign().unique() for before, after in zip((keeps, writes), shares(other), strict=True)]
        signs = {sign.item() for sign in (more[0], -more[1])} - {0}  # one of each: it goes one way everywhere
        if signs:
            (found[k],) = signs
    kept_by_a_gate = any(k in found for k in cell.keeping)
    assert cell.keeping == (found if kept_by_a_gate else {})
    assert kept_by_a_gate == (keeps.numel() > 1)  # else it is a number


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


# ---- a new cell is one class and one line ----------------------------------------------------------------------------


@every_cell
def test_what_it_declares_is_known_without_it(name):
    """And where the symbols of its equations lie in its parameters, whatever its sizes."""
    cell, said = CELLS[name], cell_called(name)
    for what in ("symbols", "keeps", "writes", "shows", "looks_back", "holds", "rows", "paper", "count", "keeping"):
        assert getattr(said, what) == getattr(cell, what), what
    assert (said.lets_out, said.resets, said.roles()) == (cell.lets_out, cell.resets, cell.roles())
    assert (said.equations(), said.note(), said.parsed()) == (cell.equations(), cell.note(), cell.parsed())
    layer = cell(X, H)
    weights = {name: parameter.detach().numpy() for name, parameter in layer.named_parameters()}
    assert {name: weight.shape for name, weight in weights.items()} == said.shapes(X, H)
    assert said.output_of(H) == layer.output_size
    found, expected = said.by_symbol(weights, X, H), layer.by_symbol()
    assert found.keys() == cell.parsed().given & expected.keys()
    for symbol, values in found.items():
        assert np.array_equal(values, expected[symbol].detach().numpy()), symbol


def test_the_file_describes_the_cells_as_they_are():
    assert FILE.read_text(encoding="utf-8") == written(), "python -m lstmviz.cells.describe writes it anew"


CONTRACT = [
    test_what_it_declares_is_known_without_it,
    test_names_match_what_comes_out,
    test_every_gate_and_state_has_a_role,
    test_what_it_declares_is_said_in_its_equations,
    test_keeping_is_every_bias_that_what_is_kept_or_written_goes_up_or_down_with,
    test_one_colour_keeps_whatever_a_paper_calls_it,
    test_what_the_output_gate_lets_out_and_the_reset_gate_acts_on_stand_beside_them_in_the_equations,
    test_the_docstring_teaches,
    test_its_note_is_a_few_plain_sentences,
    test_the_first_state_is_zero_and_of_the_cells_own_type,
    test_a_language_model_takes_it,
]


@pytest.mark.parametrize("contract", CONTRACT)
def test_a_minimal_gated_unit_keeps_the_contract(contract, minimal_gated_unit):
    contract(minimal_gated_unit)


def test_a_forget_gate_that_says_how_much_is_written_is_green(minimal_gated_unit):
    cell = CELLS[minimal_gated_unit]
    roles = cell.roles()
    assert roles["forget_gate"] == replace(
        ROLES["input_gate"], label="forget gate", symbol="f", does="writes"
    )  # its colour and what is said of it are those of a gate that writes
    assert roles["candidate"] == ROLES["candidate"] and roles["hidden"].does == "holds"
    assert cell.doer("keeps") is None and cell.does("keeps") == ("-", 1, "f")
    assert cell.paper == "Zhou et al. 2016" and cell.count == "2h(h + x) + 2h"
    assert cell.equations().endswith("h = (1 − f) ⊙ h' + f ⊙ g") and cell.note().endswith("an open one forgets.")


def test_its_memory_begins_kept_where_that_is_asked(minimal_gated_unit):
    config = ModelConfig(cell=minimal_gated_unit, embedding_size=X, hidden_size=H, forget_bias=2.0)
    (layer,) = LanguageModel(config, 9).layers
    assert (layer.biases("f")[0] == -2).all()
