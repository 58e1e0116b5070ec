"""How each unit uses its gates over a text: counted as the definition says, in pieces as at once."""

from collections.abc import Callable

import numpy as np
import pytest

from lstmviz import memory, saturation, trace_sentence
from lstmviz.cells import CELLS, cell_called
from lstmviz.explain.saturation import gates, saturation_so_far

TEXT = "abc ab caab"


@pytest.mark.parametrize("name", [name for name in CELLS if gates(cell_called(name))])
def test_it_is_what_the_trace_says(name: str, make_checkpoint: Callable) -> None:
    checkpoint = make_checkpoint(cell=name, num_layers=2)
    model, vocabulary = checkpoint.build(), checkpoint.vocabulary
    trace, found = trace_sentence(model, vocabulary, TEXT), saturation(model, vocabulary, TEXT)
    assert (found.read, found.tokens, list(found.mean)) == (11, 11, gates(cell_called(name)))
    for gate in found.mean:
        np.testing.assert_allclose(found.mean[gate], trace[gate].mean(1), atol=1e-6)
        np.testing.assert_array_equal(found.shut[gate], (trace[gate] < 0.1).mean(1))
        np.testing.assert_array_equal(found.open[gate], (trace[gate] > 0.9).mean(1))
    for layer in (0, 1):
        np.testing.assert_allclose(found.half_life[layer], memory(trace, layer).half_lives(), rtol=1e-4)
    *_, pieces = saturation_so_far(model, vocabulary, TEXT, 4)
    for gate in found.mean:
        np.testing.assert_allclose(pieces.mean[gate], found.mean[gate], atol=1e-6)
    if name != "slstm":  # of which what is kept takes two steps to know, so that the first of a piece does not count
        np.testing.assert_allclose(pieces.half_life, found.half_life, rtol=1e-4)
    rows = found.to_dataframe()
    assert len(rows) == 8 and rows["half_life"][5] == found.half_life[1, 1]


def test_it_says_how_far_it_is(make_checkpoint: Callable) -> None:
    checkpoint = make_checkpoint()
    found = saturation_so_far(checkpoint.build(), checkpoint.vocabulary, TEXT, 4)
    assert [(each.read, each.tokens) for each in found] == [(4, 11), (8, 11), (11, 11)]


def test_what_cannot_be_counted_is_said(make_checkpoint: Callable, classifier: Callable) -> None:
    rnn = make_checkpoint(cell="rnn")
    with pytest.raises(ValueError, match="its gates have no shares of time: rnn has no gate between 0 and 1"):
        saturation_so_far(rnn.build(), rnn.vocabulary, TEXT)
    with pytest.raises(ValueError, match="it reads images"):
        saturation(classifier().build(), rnn.vocabulary, TEXT)
    lstm = make_checkpoint()
    with pytest.raises(ValueError, match="there is nothing to read"):
        saturation(lstm.build(), lstm.vocabulary, "")
    one = saturation(lstm.build(), lstm.vocabulary, "a")
    assert one.read == 1 and np.isnan(one.half_life).all()
