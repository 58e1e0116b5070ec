"""Traces of sentences, and what a known variable says about units. (Traces of modules: tests/numeric.)"""

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

from lstmviz.cells import CELLS
from lstmviz.config import ModelConfig
from lstmviz.model import LanguageModel
from lstmviz.trace import as_table, held, kept, trace_module, trace_sentence, trace_tokens, unit_correlations


@pytest.mark.parametrize("cell", CELLS)
def test_a_sentence_has_every_gate_under_its_name(cell, make_checkpoint):
    checkpoint = make_checkpoint(cell=cell, num_layers=2)
    trace = trace_sentence(checkpoint.build(), checkpoint.vocabulary, "ab z\n")
    assert set(trace.data_vars) == {*CELLS[cell].gates, *CELLS[cell].states, "nll"}
    projected = {"projection": 2} if cell == "lstmp" else {}
    assert dict(trace.sizes) == {"layer": 2, "time": 5, "unit": 4, **projected}
    assert trace.hidden.dims == ("layer", "time", "projection" if projected else "unit")
    assert trace.hidden.dtype == np.float32
    assert trace.token.values.tolist() == ["a", "b", " ", "<unk>", "\n"]
    assert [trace[axis].values.tolist() for axis in ("layer", "time", "unit")] == [[0, 1], [*range(5)], [*range(4)]]
    assert trace.attrs["cell"] == cell


def test_the_nll_is_that_of_each_token_given_those_before(make_checkpoint):
    checkpoint = make_checkpoint()
    model, vocabulary = checkpoint.build(), checkpoint.vocabulary
    ids = torch.tensor(vocabulary.encode("abc ab"))
    trace, log_p = trace_tokens(model, ids)
    assert log_p.shape == (6, len(vocabulary))
    assert np.isnan(trace.nll.values[0])
    for t in range(1, len(ids)):  # the slow way: ask about each token after reading only those before it
        logits, _ = model(ids[:t, None])
        assert trace.nll.values[t] == pytest.approx(-logits[-1, 0].log_softmax(-1)[ids[t]].item(), abs=1e-5)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("cut", [1, 4, 6])
def test_reading_on_gives_what_reading_everything_gives(cell, cut, make_checkpoint):
    checkpoint = make_checkpoint(cell=cell, num_layers=2)
    model, ids = checkpoint.build(), torch.tensor(checkpoint.vocabulary.encode("abc ab\n"))
    whole, log_p = trace_tokens(model, ids)
    earlier, _ = trace_tokens(model, ids[:cut])
    trace, rest = trace_tokens(model, ids[cut:], earlier)
    near = 1e-5 if cell == "layernorm" else 1e-6  # it divides by the spread of four small numbers
    xr.testing.assert_allclose(trace, whole, rtol=0, atol=near)
    torch.testing.assert_close(rest, log_p[cut:], rtol=0, atol=near)
    assert np.array_equal(trace.hidden.values[:, :cut], earlier.hidden.values)  # kept, not computed again


def test_an_adaptive_softmax_is_traced_like_any_decoder():
    model = LanguageModel(ModelConfig(embedding_size=3, hidden_size=4, adaptive_softmax=True), 10_000).eval()
    ids = torch.tensor([3, 9_999, 1_999, 2_000])
    whole, log_p = trace_tokens(model, ids)
    assert whole.nll.values[1:] == pytest.approx(-log_p[:-1].gather(1, ids[1:, None])[:, 0].numpy())
    trace, _ = trace_tokens(model, ids[2:], trace_tokens(model, ids[:2])[0])
    xr.testing.assert_allclose(trace, whole, rtol=0, atol=1e-5)


def test_two_traces_share_nothing(make_checkpoint):
    checkpoint = make_checkpoint()
    model, vocabulary = checkpoint.build(), checkpoint.vocabulary
    first, second = (trace_sentence(model, vocabulary, text) for text in ("abc", "cba"))
    kept = second.copy(deep=True)
    first["hidden"][:] = 7
    first.attrs["cell"] = "mine"
    assert second.identical(kept)
    assert second.token.values.tolist() == ["c", "b", "a"]


def test_a_text_without_tokens_is_refused(make_checkpoint):
    checkpoint = make_checkpoint()
    with pytest.raises(ValueError, match="at least one"):
        trace_sentence(checkpoint.build(), checkpoint.vocabulary, "")


def test_a_table_has_one_row_a_unit(make_checkpoint):
    for cell in ("lstm", "lstmp"):
        checkpoint = make_checkpoint(cell=cell)
        trace = trace_sentence(checkpoint.build(), checkpoint.vocabulary, "abc ab")
        table = as_table(trace)
        assert len(table) == 6 * 4 and {"layer", "time", "unit", "cell", "hidden", "nll"} <= set(table)
        width = trace.hidden.shape[-1]
        np.testing.assert_array_equal(table["hidden"].notna(), table["unit"] < width)
        np.testing.assert_array_equal(table["cell"], trace.cell.values.ravel())


def test_correlations_find_the_unit_that_carries_a_variable(make_checkpoint):
    checkpoint = make_checkpoint(num_layers=2)
    trace = trace_sentence(checkpoint.build(), checkpoint.vocabulary, "abc abca cab")
    variable = -2 * trace.cell.values[1, :, 2].astype(float) + 5
    variable[:3] = np.nan  # undefined here
    trace["cell"][0, :, 0] = 1  # a unit that never moves
    correlations = unit_correlations(trace, variable)
    assert correlations.shape == (2, 4)
    assert correlations[1, 2] == pytest.approx(1, abs=1e-6)
    assert correlations[0, 0] == 0
    expected = abs(np.corrcoef(trace.cell.values[0, 3:, 1], variable[3:])[0, 1])
    assert correlations[0, 1] == pytest.approx(expected, abs=1e-6)


def test_names_need_no_order(make_checkpoint):
    checkpoint = make_checkpoint()
    trace = trace_sentence(checkpoint.build(), checkpoint.vocabulary, "abc abca cab")
    names = np.array([0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, np.nan])
    trace["cell"][0, :, 0] = xr.DataArray([5, -3, 4] * 4, dims="time")  # the middle name has the extreme value
    assert unit_correlations(trace, names)[0, 0] < 0.5
    assert unit_correlations(trace, names, nominal=True)[0, 0] == pytest.approx(1)
    two = np.where(np.isnan(names), np.nan, names > 0)
    np.testing.assert_allclose(unit_correlations(trace, two), unit_correlations(trace, two, nominal=True), atol=1e-12)


def test_an_slstm_holds_a_mean(make_checkpoint):
    checkpoint = make_checkpoint(cell="slstm")
    trace = trace_sentence(checkpoint.build(), checkpoint.vocabulary, "abc abca cab")
    mean = trace["cell"].values / trace["normalizer"].values
    np.testing.assert_array_equal(held(trace).values, mean)
    assert unit_correlations(trace, mean[0, :, 1].astype(float))[0, 1] == pytest.approx(1)


@pytest.mark.parametrize("cell", CELLS)
def test_what_is_kept_has_the_axes_of_the_gates(cell, make_checkpoint):
    checkpoint = make_checkpoint(cell=cell, num_layers=2)
    trace = trace_sentence(checkpoint.build(), checkpoint.vocabulary, "abc ab")
    share = kept(trace)
    if cell == "rnn":
        assert share is None
        return
    assert share.name == "kept" and share.dims == ("layer", "time", "unit") and share.shape == (2, 6, 4)
    assert share.dtype == np.float32
    assert np.isnan(share.values[:, 0]).all() == (cell == "slstm")  # what n was before is not in the trace
    assert not np.isnan(share.values[:, 1:]).any()
    if cell == "nfg":
        assert (share == 1).all()


def test_what_is_kept_is_known_of_any_module():
    gru = trace_module(nn.GRU(3, 4, bidirectional=True), torch.randn(5, 2, 3))
    assert kept(gru).dims == ("layer", "direction", "batch", "time", "unit")
    assert kept(gru).identical(gru.update_gate.rename("kept"))
    assert kept(trace_module(nn.RNN(3, 4), torch.randn(5, 3))) is None
