"""Traces of sentences, and what a trace is. (Traces of modules: tests/numeric.)"""

import copy
import dataclasses
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from lstmviz.cells import CELLS
from lstmviz.config import ModelConfig
from lstmviz.gate_trace import GateTrace, held, kept
from lstmviz.model import LanguageModel
from lstmviz.trace import trace_module, trace_sentence, trace_tokens

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("cell", CELLS)
def test_a_sentence_has_every_gate_under_its_name(cell, make_checkpoint):
    checkpoint = make_checkpoint(cell=cell, num_layers=2)
    trace = trace_sentence(checkpoint.build(), checkpoint.vocabulary, "ab z\n")
    assert set(trace) == {*CELLS[cell].gates, *CELLS[cell].states}
    projected = {"projection": 2} if cell == "lstmp" else {}
    assert trace.sizes == {"layer": 2, "time": 5, "unit": 4, **projected}
    assert trace.axes("hidden") == ("layer", "time", "projection" if projected else "unit")
    assert trace.hidden.dtype == np.float32
    assert trace.tokens == ["a", "b", " ", "<unk>", "\n"] and trace.nll.shape == (5,)
    assert trace.cell_name == cell


def test_the_nll_is_that_of_each_token_given_those_before(make_checkpoint):
    checkpoint = make_checkpoint()
    model, vocabulary = checkpoint.build(), checkpoint.vocabulary
    ids = torch.tensor(vocabulary.encode("abc ab"))
    trace, likely = trace_tokens(model, ids)
    assert likely.ids.shape == likely.probabilities.shape == (6, 5)
    assert np.isnan(trace.nll[0])
    for t in range(1, len(ids)):  # the slow way: ask about each token after reading only those before it
        logits, _ = model(ids[:t, None])
        log_p = logits[-1, 0].detach().log_softmax(-1)  # (V,)
        assert trace.nll[t] == pytest.approx(-log_p[ids[t]].item(), abs=1e-5)
        np.testing.assert_allclose(likely.probabilities[t - 1], log_p.exp().topk(5).values, atol=1e-5)
        np.testing.assert_allclose(log_p.exp()[likely.ids[t - 1]], likely.probabilities[t - 1], atol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("cut", [1, 4, 6])
def test_reading_on_gives_what_reading_everything_gives(cell, cut, make_checkpoint):
    checkpoint = make_checkpoint(cell=cell, num_layers=2)
    model, ids = checkpoint.build(), torch.tensor(checkpoint.vocabulary.encode("abc ab\n"))
    whole, likely = trace_tokens(model, ids)
    earlier, _ = trace_tokens(model, ids[:cut])
    trace, rest = trace_tokens(model, ids[cut:], earlier)
    near = 1e-5 if cell == "layernorm" else 1e-6  # it divides by the spread of four small numbers
    assert_near(trace, whole, near)
    np.testing.assert_allclose(rest.probabilities, likely.probabilities[cut:], rtol=0, atol=near)
    assert np.array_equal(trace.hidden[:, :cut], earlier.hidden)  # kept, not computed again


def assert_near(trace: GateTrace, other: GateTrace, near: float) -> None:
    assert list(trace) == list(other) and trace.sizes == other.sizes
    for name in trace:
        np.testing.assert_allclose(trace[name], other[name], rtol=0, atol=near)
    np.testing.assert_allclose(trace.nll, other.nll, rtol=0, atol=near)


def test_an_adaptive_softmax_is_traced_like_any_decoder():
    model = LanguageModel(ModelConfig(embedding_size=3, hidden_size=4, adaptive_softmax=True), 10_000).eval()
    ids = torch.tensor([3, 9_999, 1_999, 2_000])
    whole, _ = trace_tokens(model, ids)
    log_p = model(ids[:, None])[0][:, 0].detach()  # (T, V)
    assert whole.nll[1:] == pytest.approx(-log_p[:-1].gather(1, ids[1:, None])[:, 0].numpy(), abs=1e-4)
    trace, _ = trace_tokens(model, ids[2:], trace_tokens(model, ids[:2])[0])
    assert_near(trace, whole, 1e-5)


@pytest.mark.parametrize("adaptive", [False, True])
def test_only_a_piece_of_a_text_is_scored_at_once(adaptive, monkeypatch):
    """By everything that scores without learning; and what is found is the same."""
    size = 10_000
    config = ModelConfig(embedding_size=3, hidden_size=4, adaptive_softmax=adaptive)
    model, ids = LanguageModel(config, size).eval(), torch.arange(0, size, 190)  # (53,)

    def ask() -> tuple:
        trace, likely = trace_tokens(model, ids)
        with torch.no_grad():
            loss, _ = model.loss(ids[:-1, None], ids[1:, None])
        return trace.nll, likely.probabilities, loss.numpy(), model.sample(ids, 3).numpy()

    whole, most = ask(), []
    names = ["forward", "loss"] if adaptive else ["forward"]
    for name in names:
        asked = getattr(model.decoder, name)
        monkeypatch.setattr(
            model.decoder, name, lambda x, *more, asked=asked: most.append(x.numel() // 4) or asked(x, *more)
        )
    for piece in (5, 1):
        monkeypatch.setattr("lstmviz.model.SCORES", piece * size)
        most.clear()
        for found, expected in zip(ask(), whole, strict=True):
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
        assert max(most) == piece


def test_two_traces_share_nothing(make_checkpoint):
    checkpoint = make_checkpoint()
    model, vocabulary = checkpoint.build(), checkpoint.vocabulary
    first, second = (trace_sentence(model, vocabulary, text) for text in ("abc", "cba"))
    before = copy.deepcopy(second)
    for name in first:
        first[name][:] = 7
    first.nll[:] = 7
    assert_near(second, before, 0)
    assert second.tokens == ["c", "b", "a"]


def test_a_text_without_tokens_is_refused(make_checkpoint):
    checkpoint = make_checkpoint()
    with pytest.raises(ValueError, match="at least one"):
        trace_sentence(checkpoint.build(), checkpoint.vocabulary, "")


def test_a_table_has_one_row_a_unit(make_checkpoint):
    for cell in ("lstm", "lstmp"):
        checkpoint = make_checkpoint(cell=cell)
        trace = trace_sentence(checkpoint.build(), checkpoint.vocabulary, "abc ab")
        table = trace.to_dataframe()
        assert len(table) == 6 * 4 and {"layer", "time", "unit", "cell", "hidden", "nll"} <= set(table)
        width = trace.hidden.shape[-1]
        np.testing.assert_array_equal(table["hidden"].notna(), table["unit"] < width)
        np.testing.assert_array_equal(table["cell"], trace.cell.ravel())


# The type itself.


@pytest.fixture(scope="module")
def whole() -> GateTrace:
    """Of every axis there is."""
    module = nn.LSTM(3, 5, num_layers=2, bidirectional=True, proj_size=2)
    return trace_module(module, torch.randn(6, 4, 3))


def test_a_trace_is_a_mapping_whose_names_are_attributes_too(whole):
    assert list(whole) == ["input_gate", "forget_gate", "candidate", "output_gate", "cell", "hidden"]
    assert whole.cell is whole["cell"] is dict(whole)["cell"] and set(whole) < set(dir(whole))
    assert "update_gate" not in whole and whole.get("update_gate") is None and not hasattr(whole, "update_gate")
    said = "the trace has no update_gate; it has input_gate, forget_gate, candidate"
    with pytest.raises(KeyError, match=said):
        whole["update_gate"]
    with pytest.raises(AttributeError, match=said):
        _ = whole.update_gate
    for again in (copy.copy(whole), copy.deepcopy(whole), pickle.loads(pickle.dumps(whole))):
        assert_near(again, whole, 0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        whole.nll = np.zeros(6)


def test_a_person_can_read_what_a_trace_is(whole):
    expected = "layer 2, direction 2, batch 4, time 6, unit 5, projection 2"
    assert repr(whole).startswith("<GateTrace of lstm: input_gate, forget_gate, ") and expected in repr(whole)


def test_a_part_of_a_trace(whole):
    part = whole.select(time=slice(1, 3), direction=1, batch=2)
    assert part.sizes == {"layer": 2, "time": 2, "unit": 5, "projection": 2}
    for name in whole:
        np.testing.assert_array_equal(part[name], whole[name][:, 1, 2, 1:3])
    assert whole.select(batch=0).axes("hidden") == ("layer", "direction", "time", "projection")


def test_a_part_of_a_sentence_has_its_tokens_and_losses(make_checkpoint):
    checkpoint = make_checkpoint()
    trace = trace_sentence(checkpoint.build(), checkpoint.vocabulary, "abc ab")
    part = trace.select(time=slice(2, 4))
    assert part.tokens == ["c", " "] and part.sizes["time"] == 2
    np.testing.assert_array_equal(part.nll, trace.nll[2:4])
    assert not len(trace_module(nn.GRU(3, 4), torch.randn(5, 3)).select(time=slice(2)).nll)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"arrays": {"a": np.zeros((1, 2, 3)), "b": np.zeros((1, 3, 3))}}, r"b has shape \(1, 3, 3\); it must begin"),
        ({"arrays": {"a": np.zeros((1, 4, 2, 3))}}, r"axes \('layer', 'time'\) and one of units, not 4 axes"),
        ({"nll": np.zeros(3)}, "nll has 3 values; it must have one a step, 2, or none"),
        ({"tokens": ["a"]}, "tokens has 1 values"),
    ],
)
def test_what_is_no_trace_is_refused(change, said):
    with pytest.raises(ValueError, match=said):
        GateTrace(**{"arrays": {"a": np.zeros((1, 2, 3))}, "cell_name": "lstm", **change})


def test_a_table_names_directions_and_sequences(whole):
    table = whole.to_dataframe()
    assert list(table) == ["layer", "direction", "batch", "time", "unit", *whole]
    row = table.query("layer == 1 and direction == 'reverse' and batch == 3 and time == 5 and unit == 1").iloc[0]
    assert row.cell == whole.cell[1, 1, 3, 5, 1] and row.hidden == whole.hidden[1, 1, 3, 5, 1]


def test_xarray_has_the_axes_by_name(whole, make_checkpoint):
    data = whole.to_xarray()
    assert dict(data.sizes) == whole.sizes and data.attrs == {"cell": "lstm"}
    assert all(data[name].dims == whole.axes(name) for name in whole)
    found = data.cell.sel(layer=1, direction="reverse", batch=3, unit=4)
    np.testing.assert_array_equal(found.values, whole.cell[1, 1, 3, :, 4])
    checkpoint = make_checkpoint()
    trace = trace_sentence(checkpoint.build(), checkpoint.vocabulary, "abc ab")
    data = trace.to_xarray()
    np.testing.assert_array_equal(data.nll.values, trace.nll)
    assert data.token.values.tolist() == list("abc ab") and data.token.dims == ("time",)


def test_without_xarray_a_sentence_says_so(whole, monkeypatch):
    monkeypatch.setitem(sys.modules, "xarray", None)  # as if it were not installed
    with pytest.raises(ImportError, match="to_xarray needs xarray, which is not installed: pip install xarray"):
        whole.to_xarray()


def test_the_library_brings_neither_the_app_nor_what_few_ask_for():
    """``import lstmviz`` is for a notebook, too, and torch takes long enough."""
    heavy = "{'streamlit', 'pandas', 'pyarrow', 'xarray', 'IPython'}"
    code = f"import lstmviz, sys; print({heavy} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert ran.stdout.strip() == "set()"


# What is held and kept.


def test_an_slstm_holds_a_mean(make_checkpoint):
    checkpoint = make_checkpoint(cell="slstm")
    trace = trace_sentence(checkpoint.build(), checkpoint.vocabulary, "abc abca cab")
    mean = trace["cell"] / trace["normalizer"]
    np.testing.assert_array_equal(held(trace), mean)


@pytest.mark.parametrize("cell", CELLS)
def test_what_is_kept_has_the_axes_of_the_gates(cell, make_checkpoint):
    checkpoint = make_checkpoint(cell=cell, num_layers=2)
    trace = trace_sentence(checkpoint.build(), checkpoint.vocabulary, "abc ab")
    share = kept(trace)
    if cell == "rnn":
        assert share is None
        return
    assert share.shape == (2, 6, 4) and share.dtype == np.float32
    assert np.isnan(share[:, 0]).all() == (cell == "slstm")  # what n was before is not in the trace
    assert not np.isnan(share[:, 1:]).any()
    if cell == "nfg":
        assert (share == 1).all()


def test_what_is_kept_is_known_of_any_module():
    gru = trace_module(nn.GRU(3, 4, bidirectional=True), torch.randn(5, 2, 3))
    assert kept(gru).shape == (1, 2, 2, 5, 4) and np.array_equal(kept(gru), gru.update_gate)
    assert kept(trace_module(nn.RNN(3, 4), torch.randn(5, 3))) is None
