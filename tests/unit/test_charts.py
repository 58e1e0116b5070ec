"""Axes and scales that show what matters."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_sequence

from lstmviz.charts import debiased_average, gate_figure, lines_figure, round_ticks, runs_figure, training_figure
from lstmviz.trace import trace_module
from lstmviz.training.loop import Metrics


def records(losses: list[float], valid: dict[int, float]) -> list[Metrics]:
    return [
        Metrics(step, step / 10, step / 5, loss, valid.get(step), False, 0.1, 1.0, 1000.0)
        for step, loss in enumerate(losses)
    ]


def test_padding_leaves_the_scale_of_gates_as_it_is() -> None:
    trace = trace_module(nn.LSTM(3, 4), pack_sequence([torch.randn(2, 3), torch.randn(6, 3)], enforce_sorted=False))
    forget, cell = (gate_figure(trace, roles=(role,)).data[0] for role in ("forget_gate", "cell"))
    assert (forget.zmin, forget.zmax) == (0, 1)  # pyright: ignore[reportAttributeAccessIssue]
    assert (cell.zmin, cell.zmax) == (-3, 3)  # pyright: ignore[reportAttributeAccessIssue]


def test_what_is_no_finite_number_is_a_gap() -> None:
    packed = pack_sequence([torch.randn(2, 3), torch.randn(6, 3)], enforce_sorted=False)
    padded = gate_figure(trace_module(nn.LSTM(3, 4), packed))  # of the first, four of six steps are padding
    assert len(padded.data) == 6
    assert all(np.isnan(np.asarray(panel.z)[:, 2:]).all() for panel in padded.data)
    trace = trace_module(nn.LSTM(3, 4), torch.randn(5, 3))
    trace["cell"][0, 1, 2], trace["forget_gate"][0, 0, 0] = np.inf, np.nan
    trace["hidden"][:] = np.nan
    forget, cell, hidden = gate_figure(trace, roles=("forget_gate", "cell", "hidden")).data
    assert (forget.zmin, forget.zmax, cell.zmin, cell.zmax, hidden.zmax) == (0, 1, -3, 3, 1)
    assert np.isnan(np.asarray(cell.z)[2, 1]) and np.isnan(np.asarray(cell.z)).sum() == 1
    assert gate_figure(trace).to_html()


def test_a_layer_is_counted_as_in_a_list_and_a_role_may_stand_alone() -> None:
    trace = trace_module(nn.LSTM(3, 4, num_layers=3, bidirectional=True), torch.randn(5, 2, 3))

    def drawn(one, **options) -> np.ndarray:
        return np.asarray(gate_figure(one, roles="forget_gate", **options).data[0].z)

    expected = trace.forget_gate[2, 0, 0].T
    assert np.array_equal(drawn(trace, layer=2), expected) and np.array_equal(drawn(trace, layer=-1), expected)
    other = drawn(trace.select(direction=1, batch=1), layer=2)
    assert np.array_equal(other, trace.forget_gate[2, 1, 1].T)
    assert trace.plot(layer=2) == gate_figure(trace, layer=2)
    both = gate_figure(trace, roles=["cell", "hidden"])  # each in both directions, one below the other
    assert [each.text for each in both.layout.annotations] == [
        f"{name} {a}" for name in ("cell state", "hidden state") for a in "→←"
    ]
    assert np.array_equal(both.data[3].z, trace.hidden[0, 1, 0].T)
    assert len(gate_figure(trace.select(direction=1), roles=["cell", "hidden"]).data) == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"layer": 2}, "layer is 2; the trace has 0, 1, and -1 is the last"),
        ({"layer": -3}, "layer is -3; the trace has 0, 1"),
        ({"layer": 0.5}, "layer is 0.5; the trace has 0, 1"),
        ({"layer": "top"}, "layer is 'top'; the trace has 0, 1"),
        ({"roles": "forget"}, "the trace has no forget; roles are of forget_gate"),
        ({"roles": ["cell", "update_gate", "nll"]}, "the trace has no update_gate, nll; roles are of forget_gate"),
        ({"roles": []}, "roles is empty; name some of forget_gate"),
        ({"roles": ""}, "the trace has no"),
    ],
)
def test_what_cannot_be_drawn_is_said(options: dict, said: str) -> None:
    trace = trace_module(nn.LSTM(3, 4, num_layers=2), torch.randn(5, 3))
    with pytest.raises(ValueError, match=said):
        gate_figure(trace, **options)
    with pytest.raises(ValueError, match="there is nothing to draw: the trace has no time"):
        gate_figure(trace.select(time=slice(0)))


@pytest.mark.parametrize(("low", "high"), [(1.2, 2.05), (4.1, 6.9), (1.0, 1.1), (0.93, 1.01), (0.2, 7.7), (99.2, 99.5)])
def test_ticks_are_round_and_lie_between_the_ends(low: float, high: float) -> None:
    ticks, digits = round_ticks(low, high)
    assert 2 <= len(ticks) <= 7
    assert low <= ticks[0] and ticks[-1] <= high + 1e-9
    np.testing.assert_allclose([float(f"{tick:.{digits}f}") for tick in ticks], ticks, atol=1e-9)  # as they are written


def test_a_short_curve_is_averaged_over_no_more_than_itself() -> None:
    assert debiased_average([3.0, 1.0, 2.0]) == [3.0, 1.0, 2.0]
    steady = debiased_average([5.0] * 1000)
    np.testing.assert_allclose(steady, 5.0)
    stepped = debiased_average([9.0] * 100 + [1.0] * 900)
    assert stepped[99] == pytest.approx(9) and 1 < stepped[110] < 9 and stepped[-1] == pytest.approx(1)


def test_a_perplexity_far_above_all_later_ones_is_cut_off() -> None:
    figure = runs_figure({"one": records([9, 5, 4, 4], {2: 4.5, 3: 4.2})})
    low, high = figure.layout.yaxis2.range
    assert low < np.exp(4) and np.exp(4.5) < high < np.exp(5)
    assert runs_figure({"one": records([2, 1, 1], {1: 1.2})}).layout.yaxis2.range is None
    assert runs_figure({"one": records([9, 5, 4, 4], {2: 4.5})}, log=True).layout.yaxis2.range is None


def test_a_loss_that_exploded_does_not_hide_the_rest() -> None:
    history = {"step": [1, 2, 3, 4], "train_nll": [2.5, 800.0, 30.0, 1.2], "valid_nll": [None, 300.0, None, 1.3]}
    assert training_figure(history).layout.yaxis.range[1] < 5
    lines = {"one": ([1, 2], [300.0, 1.2]), "other": ([1, 2], [2.0, 1.0])}
    assert lines_figure(lines, x="", y="", most=3.5).layout.yaxis.range[1] == 3.5
    assert lines_figure({"other": lines["other"]}, x="", y="", most=3.5).layout.yaxis.range is None


def test_what_stands_beside_a_line_has_its_colour_and_what_stands_alone_one_of_its_own() -> None:
    lines, beside = {"a": ([1, 2], [3.0, 1e-9]), "b": ([1], [2.0])}, {"b": ([1], [2.5]), "c": ([1], [9.0])}
    drawn = lines_figure(lines, x="", y="", beside=beside, spread={"b": [0.1]}, log=True)
    named = [(each.name, each.line.color, each.showlegend) for each in drawn.data]
    assert [name for name, *_ in named] == ["a", "b", "b", "c"]
    assert named[1][1] == named[2][1] and len({colour for _, colour, _ in named}) == 3
    assert [legend for *_, legend in named] == [None, False, None, True]  # once each
    assert drawn.data[2].error_y.array == (0.1,) and drawn.layout.yaxis.type == "log"
