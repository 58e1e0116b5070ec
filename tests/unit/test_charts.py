"""Axes and scales that show what matters."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_sequence

from lstmviz.charts import debiased_average, gate_figure, lines_figure, round_ticks, runs_figure, training_figure
from lstmviz.trace import trace_module


def records(losses: list[float], valid: dict[int, float]) -> list[dict]:
    return [
        {
            "step": step, "epoch": step / 10, "seconds": step / 5, "train_nll": loss, "valid_nll": valid.get(step),
            "gradient_norm": 1.0, "learning_rate": 0.1,
        }
        for step, loss in enumerate(losses)
    ]  # fmt: skip


def test_padding_leaves_the_scale_of_gates_as_it_is() -> None:
    trace = trace_module(nn.LSTM(3, 4), pack_sequence([torch.randn(2, 3), torch.randn(6, 3)], enforce_sorted=False))
    forget, cell = (gate_figure(trace, roles=(role,)).data[0] for role in ("forget_gate", "cell"))
    assert (forget.zmin, forget.zmax) == (0, 1)  # pyright: ignore[reportAttributeAccessIssue]
    assert (cell.zmin, cell.zmax) == (-3, 3)  # pyright: ignore[reportAttributeAccessIssue]


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
