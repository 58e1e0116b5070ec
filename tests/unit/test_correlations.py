"""What a known variable says about units."""

import numpy as np
import pytest

from lstmviz.explain.correlations import unit_correlations
from lstmviz.gate_trace import held
from lstmviz.trace import trace_sentence


def test_correlations_find_the_unit_that_carries_a_variable(make_checkpoint):
    checkpoint = make_checkpoint(num_layers=2)
    trace = trace_sentence(checkpoint.build(), checkpoint.vocabulary, "abc abca cab")
    variable = -2 * trace.cell[1, :, 2].astype(float) + 5
    variable[:3] = np.nan  # undefined here
    trace["cell"][0, :, 0] = 1  # a unit that never moves
    correlations = unit_correlations(trace, variable)
    assert correlations.shape == (2, 4)
    assert correlations[1, 2] == pytest.approx(1, abs=1e-6)
    assert correlations[0, 0] == 0
    expected = abs(np.corrcoef(trace.cell[0, 3:, 1], variable[3:])[0, 1])
    assert correlations[0, 1] == pytest.approx(expected, abs=1e-6)


def test_names_need_no_order(make_checkpoint):
    checkpoint = make_checkpoint()
    trace = trace_sentence(checkpoint.build(), checkpoint.vocabulary, "abc abca cab")
    names = np.array([0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, np.nan])
    trace["cell"][0, :, 0] = np.array([5, -3, 4] * 4)  # the middle name has the extreme value
    assert unit_correlations(trace, names)[0, 0] < 0.5
    assert unit_correlations(trace, names, nominal=True)[0, 0] == pytest.approx(1)
    two = np.where(np.isnan(names), np.nan, names > 0)
    np.testing.assert_allclose(unit_correlations(trace, two), unit_correlations(trace, two, nominal=True), atol=1e-12)


def test_what_an_slstm_holds_is_what_counts(make_checkpoint):
    checkpoint = make_checkpoint(cell="slstm")
    trace = trace_sentence(checkpoint.build(), checkpoint.vocabulary, "abc abca cab")
    assert unit_correlations(trace, held(trace)[0, :, 1].astype(float))[0, 1] == pytest.approx(1)
