"""One trained model in every layout of its cell: the same gates, the same logits."""

import copy
import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from lstmviz.card import card
from lstmviz.cells import CELLS
from lstmviz.cells.base import Cell
from lstmviz.cells.transplant import layouts, transplant
from lstmviz.checkpoint import Checkpoint, dumps, load, loads, weights_of, with_layout
from lstmviz.config import ModelConfig
from lstmviz.model import LanguageModel
from lstmviz.translation import trace_translation

ROOT = Path(__file__).parents[2]
T, B, V = 40, 3, 9
PAIRS = [(old, new) for old in CELLS for new in layouts(old)]
TOLERANCE = {torch.float32: 1e-6, torch.float64: 1e-12}

every_pair = pytest.mark.parametrize(("old", "new"), PAIRS)


@torch.no_grad()
def without_others(cell: Cell) -> Cell:
    """With what an LSTM does not have at 0."""
    for key, parameter in cell.named_parameters():
        if key.startswith(("p_", "R", "Q_")):
            parameter.zero_()
    return cell


def model_of(cell: str, dtype: torch.dtype, layers: int = 3) -> LanguageModel:
    torch.manual_seed(0)
    model = LanguageModel(ModelConfig(cell=cell, embedding_size=5, hidden_size=7, num_layers=layers), V).to(dtype)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.7)  # gates from shut to open
    for layer in model.layers:
        without_others(layer)
    return model.eval()


def in_layout(model: LanguageModel, cell: str) -> LanguageModel:
    other = copy.deepcopy(model)
    for k, layer in enumerate(model.layers):
        other.layers[k] = transplant(layer, cell)
    return other


def difference(a: LanguageModel, b: LanguageModel) -> dict[str, float]:
    """The largest of every gate, every state and the logits; of what goes beyond 1, as a share of its largest."""
    tokens = torch.randint(V, (T, B), generator=torch.Generator().manual_seed(1))
    (hidden, records), (others, other_records) = a.record(tokens), b.record(tokens)
    found = {"said": largest(hidden, others), "forward": largest(a(tokens)[0], b(tokens)[0])}
    for k, (record, other) in enumerate(zip(records, other_records, strict=True)):
        found |= {f"{name} of layer {k + 1}": largest(record[name], other[name]) for name in record}
    return found


def largest(values: Tensor, others: Tensor) -> float:
    return ((values - others).abs().max() / values.abs().max().clamp(min=1)).item()


def check(found: dict[str, float], tolerance: float, what: str) -> None:
    name = max(found, key=lambda key: found[key])
    assert found[name] <= tolerance, f"{what}: max |Δ| is {found[name]:.2e}, in {name}; all: {found}"


@every_pair  # in float64; test_a_checkpoint_in_another_layout_is_accepted has the pairs in float32
def test_another_layout_has_the_same_gates_and_logits_and_so_has_the_way_back(old, new):
    dtype = torch.float64
    model = model_of(old, dtype)
    other = in_layout(model, new)
    assert all(type(layer) is CELLS[new] for layer in other.layers)
    assert {p.dtype for p in other.parameters()} == {dtype}
    check(difference(model, other), TOLERANCE[dtype], f"{old} to {new}")
    check(difference(model, in_layout(other, old)), TOLERANCE[dtype], f"{old} to {new} and back")


@pytest.mark.parametrize("name", CELLS)
def test_weights_and_biases_are_all_that_a_cell_has(name):
    """Written to through ``weights`` and ``biases``, no parameter of a gate is left out and none is reached twice."""
    cell = without_others(CELLS[name](5, 7))
    with torch.no_grad():
        for k in cell.rows:
            for view in (*cell.weights(k), *cell.biases(k)):
                view.fill_(torch.nan)
    others = {key for key, p in cell.named_parameters() if not p.isnan().all()}
    assert not any(p.isnan().any() for key, p in cell.named_parameters() if key in others)
    assert all(key.startswith(("p_", "R", "Q_", "norm_", "W_hr")) for key in others)
    sizes = [view.numel() for k in cell.rows for view in (*cell.weights(k), *cell.biases(k))]
    assert sum(sizes) == sum(p.numel() for p in cell.parameters() if p.isnan().all())


# ---- what cannot be done ---------------------------------------------------------------------------------------------


def test_layouts_are_those_of_the_same_function():
    assert layouts("lstm") == ("lstm_split", "lstm_concat", "np", "peephole", "fgr", "mogrifier")
    assert layouts("report_concat") == ("report_split",)
    assert layouts("gru") == layouts("gru_v1") == layouts("niaf") == ()
    assert all(old in layouts(new) for old in CELLS for new in layouts(old))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("lstm", "report_split", "cell is 'report_split'; the weights of lstm fit into lstm_split, lstm_concat, np, "),
        ("gru", "lstm", "the weights of gru fit into no other cell"),
        ("lstm", "lstm", "cell is 'lstm'; the weights of lstm fit into lstm_split, "),
        ("lstm", "nonsense", "cell is 'nonsense'; the weights"),
        ("fgr", "peephole", "peephole has no place for R of this fgr"),
        ("mogrifier", "fgr", "fgr has no place for Q_1, R_2, Q_3, R_4, Q_5 of this mogrifier"),
    ],
)
def test_another_function_is_refused(old, new, said):
    with pytest.raises(ValueError, match=said):
        transplant(CELLS[old](5, 7), new)


def test_peepholes_fit_where_there_are_peepholes():
    cell = CELLS["peephole"](5, 7)
    with torch.no_grad():
        cell.p_i.zero_()
        cell.p_f.zero_()
        cell.p_o.zero_()[3] = -1e-30  # a single one, however small
    said = "lstm has no place for p_o of this peephole, which would have to be 0 everywhere; leave it as it is, or"
    with pytest.raises(ValueError, match=said):
        transplant(cell, "lstm")
    assert torch.equal(transplant(cell, "fgr").p_o, cell.p_o)


def test_the_old_cell_is_left_as_it_is():
    cell = CELLS["lstm"](5, 7)
    before = copy.deepcopy(cell.state_dict())
    other = transplant(cell, "lstm_split")
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    assert all(torch.equal(before[key], value) for key, value in cell.state_dict().items())


# ---- a whole checkpoint ----------------------------------------------------------------------------------------------


def trained(make_checkpoint, cell: str) -> Checkpoint:
    checkpoint = make_checkpoint(cell=cell, num_layers=2, embedding_size=4, tie_weights=True, forget_bias=1.0)
    model = checkpoint.build()
    for layer in model.layers:
        without_others(layer)
    return dataclasses.replace(checkpoint, weights=weights_of(model))


@every_pair
def test_a_checkpoint_in_another_layout_is_accepted(old, new, make_checkpoint):
    checkpoint = trained(make_checkpoint, old)
    other = loads(dumps(with_layout(checkpoint, new)))
    assert other.model == dataclasses.replace(checkpoint.model, cell=new)
    for field in dataclasses.fields(checkpoint):
        if field.name not in ("model", "weights", "command"):
            assert getattr(other, field.name) == getattr(checkpoint, field.name)
    assert np.array_equal(other.weights["embedding.weight"], checkpoint.weights["embedding.weight"])
    assert other.command == f"{checkpoint.command}  # then the weights of {old} copied into the layout {new}"
    assert other.command in card(other)
    check(difference(checkpoint.build(), other.build()), 1e-6, f"{old} to {new}")


def test_who_reads_and_who_says_are_the_same_in_another_layout():
    checkpoint, source = load(ROOT / "checkpoints/translate/reverse-lstm.safetensors"), torch.arange(5, 12)
    other = loads(dumps(with_layout(checkpoint, "lstm_concat")))
    ours, theirs = (trace_translation(each.build(), source).on_one_axis() for each in (checkpoint, other))
    assert all(np.allclose(ours[name], theirs[name], atol=1e-4, equal_nan=True) for name in ours)


def test_a_checkpoint_whose_weights_do_not_fit_is_refused(make_checkpoint):
    with pytest.raises(ValueError, match=r"lstm has no place for p_i, p_f, p_o of this peephole"):
        with_layout(make_checkpoint(cell="peephole"), "lstm")
