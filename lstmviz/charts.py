"""What a role looks like, and the Plotly figures that a person zooms or exports."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas  # noqa: F401  whole before anything is drawn: Plotly uses what `sys.modules` has, were it half imported
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from lstmviz.data.vocabulary import shown, visible
from lstmviz.gate_trace import GateTrace
from lstmviz.roles import DASHES, DIVERGING, LOSS, PERPLEXITY, ROLES, SIDE_BY_SIDE, scale
from lstmviz.sizes import perplexity

if TYPE_CHECKING:  # this file shall not bring what trains
    from lstmviz.training.status import Metrics

INKS = {False: ("#6b7280", "#e5e7eb"), True: ("#9ca3af", "#2a3039")}  # dark page -> of text, of the grid
CLEAR: dict[str, Any] = {"paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)"}  # the page shows through


def gate_figure(trace: GateTrace, layer: int = 0, roles: str | Sequence[str] | None = None) -> go.Figure:
    """Every gate and state of one layer as heat maps over one token axis.

    Args:
        trace: of ``trace_sentence`` or ``trace_module``; of a batch the first is shown, and another with
            ``trace.select(batch=1)``; of two directions both, one below the other.
        layer: which, if the trace has several; below 0 from the last one on, as in a list.
        roles: the name of a gate or state, or several; by default all that the trace has.

    Returns:
        A figure to zoom, hover and export; gates on [0, 1], candidate and hidden on [−1, 1], others as ``scale`` says.
        What is no finite number, as padded steps are, is left blank.

    Raises:
        ValueError: the trace has no such role or layer, or nothing to draw.
    """
    drawn = [name for name in ROLES if name in trace]
    roles = drawn if roles is None else [roles] if isinstance(roles, str) else list(roles)
    if missing := [f"{name}" for name in roles if name not in drawn]:
        raise ValueError(f"the trace has no {', '.join(missing)}; roles are of {', '.join(drawn)}")
    if not roles:
        raise ValueError(f"roles is empty; name some of {', '.join(drawn)}, or leave it out for all")
    if empty := [axis for axis, size in trace.sizes.items() if not size]:
        raise ValueError(f"there is nothing to draw: the trace has no {' and no '.join(empty)}")
    if "batch" in trace.outer:
        trace = trace.select(batch=0)
    layers, time = range(trace.sizes["layer"]), trace.sizes["time"]
    if layer not in (*layers, *range(-len(layers), 0)):
        raise ValueError(f"layer is {layer!r}; the trace has {', '.join(map(str, layers))}, and -1 is the last")
    tokens = trace.tokens or [str(t) for t in range(time)]
    signs = [html.escape(visible(token), quote=False) for token in tokens]
    arrows = [" →", " ←", ", saying"] if "direction" in trace.outer else [""]
    rows = [(name, direction) for name in roles for direction in range(trace.sizes.get("direction", 1))]
    figure = make_subplots(
        rows=len(rows),
        cols=1,
        shared_xaxes=True,
        vertical_spacing=0.03,
        subplot_titles=[ROLES[name].label + arrows[direction] for name, direction in rows],
    )
    for row, (name, direction) in enumerate(rows, start=1):
        one = trace.select(direction=direction)
        values = one[name][layer].T.astype(np.float32)  # (U, T)
        low, high = scale(name, values)
        values = np.where(np.isfinite(values), values, np.nan)  # blank
        figure.add_heatmap(
            z=values,
            zmin=low,
            zmax=high,
            colorscale="Cividis" if low == 0 else DIVERGING,
            # Tokens go in as data, not as a template, so that none of them can be read as one.
            text=np.broadcast_to(np.array(signs, dtype=object), values.shape),
            hovertemplate="%{text}<br>time %{x}, unit %{y}<br>%{z:.3f}<extra></extra>",
            colorbar={
                "len": 1 / len(rows),
                "y": 1 - (row - 0.5) / len(rows),
                "thickness": 10,
                "tickvals": [low, 0, high],
            },
            row=row,
            col=1,
        )
        figure.update_yaxes(title_text="unit", autorange="reversed", row=row, col=1)
    # Integer times with sparse labels: Plotly merges repeated words on a category axis, and many labels are slow.
    ticks = list(range(0, time, max(1, math.ceil(time / 20)))) if time > 80 else list(range(time))
    figure.update_xaxes(tickvals=ticks, ticktext=[signs[t] for t in ticks], row=len(rows), col=1)
    figure.update_layout(
        height=60 + 190 * len(rows), margin={"l": 60, "r": 20, "t": 40, "b": 40}, template="plotly_white"
    )
    return figure


def training_figure(history: dict[str, list], dark: bool = False, *, of_labels: bool = False) -> go.Figure:
    """Loss while training, with perplexity = exp(loss) as the right-hand axis.

    Args:
        history: a checkpoint's: step, train_nll, valid_nll.
        dark: colours for a dark page.
        of_labels: it is of labels, whose perplexity nobody quotes.
    """
    orange, violet = LOSS[dark], PERPLEXITY[dark]
    text, grid = INKS[dark]
    steps, losses = history["step"], history["train_nll"]
    evaluated = [(s, v) for s, v in zip(steps, history["valid_nll"], strict=True) if v is not None]
    figure = go.Figure()
    figure.add_scatter(x=steps, y=losses, name="training", line={"color": orange, "width": 1}, opacity=0.45)
    figure.add_scatter(
        x=[s for s, _ in evaluated],
        y=[v for _, v in evaluated],
        name="validation",
        line={"color": orange, "width": 2.2},
    )
    # The same line read on another scale: an invisible twin gives the right-hand axis its ticks.
    figure.add_scatter(x=steps[:1], y=losses[:1], yaxis="y2", showlegend=False, opacity=0, hoverinfo="skip")
    values = losses + [v for _, v in evaluated]
    low, high = min(values), sorted(losses)[max(0, int(0.98 * len(losses)) - 1)]
    high = max(min(high, 1.5 * losses[0]), low + 0.1)  # what went far above the beginning would hide all the rest
    pad = 0.08 * (high - low)
    ticks, digits = round_ticks(low, high)
    shared = {"range": [low - pad, high + pad], "zeroline": False, "tickvals": ticks}
    figure.update_layout(
        height=215,
        margin={"l": 46, "r": 54, "t": 22, "b": 30},
        font={"size": 11, "color": text},
        **CLEAR,
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "font": {"size": 11}},
        xaxis={"showgrid": False, "zeroline": False, "nticks": 4, "title": {"text": "optimiser steps", "standoff": 4}},
        yaxis={
            **shared,
            "gridcolor": grid,
            "title": {"text": "nats", "standoff": 6, "font": {"color": orange}},
            "ticktext": [f"{t:.{digits}f}" for t in ticks],
            "tickfont": {"color": orange},
        },
        yaxis2={
            **shared,
            "overlaying": "y",
            "side": "right",
            "title": {"text": "perplexity", "standoff": 6, "font": {"color": violet}},
            "showgrid": False,
            "ticktext": [f"{perplexity(t):.3g}" for t in ticks],
            "tickfont": {"color": violet},
            "visible": not of_labels,
        },
        hovermode="x",
    )
    figure.update_traces(hovertemplate="step %{x}: %{y:.3f} nats")
    return figure


def round_ticks(low: float, high: float) -> tuple[np.ndarray, int]:
    """Three to six round numbers between two ends, and how many decimals they have."""
    power = 10.0 ** math.floor(math.log10((high - low) / 3))
    step = power * max(factor for factor in (1, 2, 5) if factor * power <= (high - low) / 3)
    count = np.arange(math.ceil(low / step), math.floor(high / step) + 1)
    return count * step, max(0, -math.floor(math.log10(power)))


def lines_figure(
    lines: Mapping[str, tuple[Sequence, Sequence]],
    *,
    x: str,
    y: str,
    beside: Mapping[str, tuple[Sequence, Sequence]] | None = None,
    spread: Mapping[str, Sequence[float]] | None = None,
    doubling: bool = False,
    dots: bool = False,
    whole: bool = False,
    log: bool = False,
    most: float | None = None,
    dark: bool = False,
) -> go.Figure:
    """A line for each of up to six models, in the colours and dashes that it has on the Compare page.

    Args:
        lines: name -> the values of x and of y.
        x, y: titles of the axes.
        beside: name -> what is drawn, thin and with open circles, in the colour of the line of that name: what was
            published of it, or what it was before it learned.
        spread: name -> how far the values of y may lie above and below.
        doubling: x grows by doublings.
        dots: every value is marked, as it also is where x doubles.
        whole: y is a share, from 0 to 1.
        log: y is logarithmic.
        most: what is above that is cut off.
        dark: colours for a dark page.
    """
    text, grid = INKS[dark]
    figure, beside, spread = go.Figure(), beside or {}, spread or {}
    marked = dots or doubling
    names = [*lines, *(name for name in beside if name not in lines)]
    for name, colour, dash in zip(names, SIDE_BY_SIDE["dark" if dark else "light"], DASHES, strict=False):
        signed = html.escape(shown(name), quote=False)
        if name in beside:
            at, values = beside[name]
            figure.add_scatter(
                x=at,
                y=values,
                name=signed,
                legendgroup=name,
                showlegend=name not in lines,
                mode="lines+markers" if marked else "lines",
                line={"color": colour, "width": 1, "dash": "dot"},
                marker={"size": 7, "symbol": "circle-open"},
                hoverinfo="skip",
            )
        if name in lines:
            at, values = lines[name]
            figure.add_scatter(
                x=at,
                y=values,
                name=signed,
                legendgroup=name,
                mode="lines+markers" if marked else "lines",
                line={"color": colour, "width": 2, "dash": dash},
                marker={"size": 5},
                error_y={"array": spread[name], "thickness": 1, "width": 3} if name in spread else None,
                hovertemplate="%{y:.3g}" if log else "%{y:.3f}",
            )
    every = sorted({value for at, _ in lines.values() for value in at}) if doubling else None
    figure.update_xaxes(
        title={"text": x, "standoff": 4}, showgrid=False, zeroline=False, type="log" if doubling else "linear",
        tickvals=every, ticktext=every and [f"{value:,}" for value in every],
    )  # fmt: skip
    ends = [0, 1.04] if whole else None
    values = [value for _, found in (*lines.values(), *beside.values()) for value in found if value is not None]
    if most is not None and values and max(values) > most:
        ends = [min(values) - 0.05 * (most - min(values)), most]
    figure.update_yaxes(
        title={"text": y, "standoff": 6}, gridcolor=grid, zeroline=False, range=ends,
        **({"type": "log", **log_ticks([value for value in values if value > 0])} if log else {}),
    )  # fmt: skip
    figure.update_layout(
        height=260,
        margin={"l": 54, "r": 10, "t": 26, "b": 40},
        font={"size": 11, "color": text},
        **CLEAR,
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "font": {"size": 11}},
        hovermode="x unified",
        hoverlabel={"bgcolor": "#1b2129" if dark else "#ffffff"},
    )
    return figure


def token_bars_figure(
    signs: Sequence[str], bars: Mapping[str, Sequence[float]], *, y: str, beyond: int = 0, dark: bool = False
) -> go.Figure:
    """Bars over the tokens of a sentence.

    Args:
        signs: of the tokens, T of them.
        bars: name -> a value for every token; one or two kinds, side by side.
        y: title of the axis.
        beyond: the first so many are marked as those that a training's window never sees.
        dark: colours for a dark page.
    """
    figure, colours = go.Figure(), SIDE_BY_SIDE["dark" if dark else "light"]
    for (name, values), colour in zip(bars.items(), colours, strict=False):
        figure.add_bar(x=[*range(len(signs))], y=values, name=name, marker={"color": colour}, hovertemplate="%{y:.3g}")
    if beyond:
        text, _ = INKS[dark]
        figure.add_vrect(x0=-0.5, x1=beyond - 0.5, fillcolor=text, opacity=0.18, line_width=0)
        figure.add_vline(x=beyond - 0.5, line={"color": text, "dash": "dash", "width": 1})  # pyright: ignore[reportArgumentType]
    figure.update_xaxes(**_token_ticks(signs), showgrid=False, zeroline=False, range=[-0.5, len(signs) - 0.5])
    _quiet(figure, y, dark, 190)
    figure.update_layout(bargap=0.25, showlegend=len(bars) > 1, margin={"t": 26 if len(bars) > 1 else 8, "b": 26})
    return figure


def token_map_figure(signs: Sequence[str], norms: np.ndarray, *, dark: bool = False) -> go.Figure:
    """A map of which loss depends how much on which token before it, in powers of ten; what is 0 is left blank.

    Args:
        signs: of the tokens, T of them.
        norms: ``(T, T)``, a row a loss, a column a state.
        dark: colours for a dark page.
    """
    with np.errstate(divide="ignore"):
        values = np.log10(norms)
    there = values[np.isfinite(values)]
    high = float(there.max()) if len(there) else 0.0
    low = max(float(there.min()), high - 6) if len(there) else -1.0  # what is less than a millionth looks alike
    ticks = [*range(math.ceil(low), math.floor(high) + 1)]
    figure, escaped = go.Figure(), np.array([html.escape(sign, quote=False) for sign in signs], dtype=object)
    figure.add_heatmap(
        z=np.where(np.isfinite(values), values, np.nan),
        zmin=low,
        zmax=max(high, low + 1),
        colorscale="Cividis",
        customdata=norms,
        text=np.array([[f"loss of {late}<br>state after {early}" for early in escaped] for late in escaped]),
        hovertemplate="%{text}<br>%{customdata:.3g}<extra></extra>",
        colorbar={
            "thickness": 8,
            "tickvals": ticks,
            "ticktext": [f"10<sup>{str(tick).replace('-', '−')}</sup>" for tick in ticks],
        },
    )
    figure.update_xaxes(
        **_token_ticks(signs, 24),
        showgrid=False,
        zeroline=False,
        automargin=True,
        title={"text": "state after token", "standoff": 8},
    )
    _quiet(figure, "loss of token", dark, 350)
    figure.update_yaxes(**_token_ticks(signs, 24), autorange="reversed", showgrid=False, automargin=True)
    figure.update_layout(margin={"t": 8})
    return figure


def saturation_figure(
    shut: np.ndarray, above: np.ndarray, chosen: tuple[int, int] | None = None, *, dark: bool = False
) -> go.Figure:
    """A dot for each unit: how often its gate is nearly shut against how often it is nearly open.

    Args:
        shut, above: shares of time, ``(layer, unit)``.
        chosen: layer and unit of the one that is marked.
        dark: colours for a dark page.
    """
    figure, colours = go.Figure(), SIDE_BY_SIDE["dark" if dark else "light"]
    symbols = ("circle", "diamond", "square", "triangle-up", "x", "cross")
    for layer, (x, y) in enumerate(zip(shut, above, strict=True)):
        figure.add_scatter(
            x=x,
            y=y,
            mode="markers",
            name=f"layer {layer + 1}",
            marker={"size": 8, "color": colours[layer % 6], "symbol": symbols[layer % 6], "opacity": 0.75},
            customdata=[(layer, unit) for unit in range(len(x))],
            hovertemplate="unit %{customdata[1]}<br>shut %{x:.0%}, open %{y:.0%}<extra></extra>",
        )
    text, grid = INKS[dark]
    if chosen is not None:
        figure.add_scatter(
            x=[shut[chosen]],
            y=[above[chosen]],
            mode="markers",
            marker={"size": 15, "symbol": "circle-open", "color": text, "line": {"width": 2}},
            hoverinfo="skip",
            showlegend=False,
        )
    figure.add_scatter(
        x=[0, 1], y=[1, 0], mode="lines", line={"color": grid, "width": 1}, hoverinfo="skip", showlegend=False
    )
    title = {"text": "share of time below 0.1", "standoff": 4}
    figure.update_xaxes(title=title, range=[-0.03, 1.03], tickformat=".0%", gridcolor=grid, zeroline=False)
    _quiet(figure, "share of time above 0.9", dark, 360)
    figure.update_yaxes(range=[-0.03, 1.03], tickformat=".0%")
    figure.update_layout(showlegend=len(shut) > 1, clickmode="event+select", dragmode=False)
    return figure


def _token_ticks(signs: Sequence[str], most: int = 40) -> dict[str, Any]:
    """A label under each token, or of many under some."""
    every = max(1, math.ceil(len(signs) / most))
    at = [*range(0, len(signs), every)]
    return {"tickvals": at, "ticktext": [html.escape(signs[t], quote=False) for t in at]}


def _quiet(figure: go.Figure, y: str, dark: bool, height: int) -> None:
    """As all small charts of the app look."""
    text, grid = INKS[dark]
    figure.update_yaxes(title={"text": y, "standoff": 6}, gridcolor=grid, zerolinecolor=grid)
    figure.update_layout(
        height=height,
        margin={"l": 54, "r": 10, "t": 26, "b": 40},
        font={"size": 11, "color": text},
        **CLEAR,
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "font": {"size": 11}},
        hoverlabel={"bgcolor": "#1b2129" if dark else "#ffffff"},
    )


def log_ticks(values: Sequence[float]) -> dict[str, Any]:
    """Ticks of a logarithmic axis: powers of ten, some six of them, or over less than two of them 1, 2 and 5, too."""
    low, high = (math.log10(end) for end in (min(values, default=1), max(values, default=1)))
    every = max(1, round((high - low) / 6))
    powers = range(every * math.floor(low / every), math.ceil(high) + 1, every)
    ticks = [float(f"{digit}e{power}") for power in powers for digit in ((1, 2, 5) if high - low < 2 else (1,))]
    said = [f"{tick:g}" if 1e-3 <= tick <= 1e4 else f"10<sup>{math.log10(tick):.0f}</sup>" for tick in ticks]
    return {"tickvals": ticks, "ticktext": [each.replace("-", "−") for each in said]}


RUN_COLOURS = ("#ea580c", "#2563eb", "#16a34a", "#a855f7", "#0891b2", "#be185d")  # one a run


DRAWN_MOST = 600  # points of a curve


def runs_figure(
    runs: Mapping[str, Sequence[Metrics]],
    clip_norm: float | None = None,
    *,
    x: str = "step",
    log: bool = False,
    dark: bool = False,
) -> go.Figure:
    """How trainings go, over each other: loss, perplexity, gradient norm and learning rate.

    Args:
        runs: name -> its records; loss in nats. Faint: the training loss as it is; dotted: its
            debiased moving average; with dots: the validation loss. A perplexity that begins far above all that
            comes after the first evaluation is cut off where the axis is linear.
        clip_norm: drawn as the threshold of the gradient norm.
        x: "step", "epoch" or "seconds".
        log: the vertical axes of loss and perplexity are logarithmic.
        dark: colours for a dark page.

    Where all of them say labels, the share of right ones stands in the place of the perplexity.
    """
    text, grid = INKS[dark]
    every = [record for records in runs.values() for record in records]
    evaluations = [record for record in every if record.valid_nll is not None]
    of_labels = bool(evaluations) and all(record.valid_accuracy is not None for record in evaluations)
    figure = make_subplots(
        rows=2,
        cols=3,
        specs=[[{"rowspan": 2}, {"rowspan": 2}, {}], [None, None, {}]],
        column_widths=[0.37, 0.37, 0.26],
        horizontal_spacing=0.09,
        vertical_spacing=0.2,
    )
    several = len(runs) > 1
    for colour, (name, records) in zip(RUN_COLOURS * 10, runs.items(), strict=False):
        if not records:  # it waits for its turn, and for its colour
            continue
        n = 1 + len(records) // DRAWN_MOST
        drawn = sorted({*range(0, len(records), n), len(records) - 1})
        at = [getattr(records[i], x) for i in drawn]
        train = [record.train_nll for record in records]
        evaluated = [(getattr(record, x), record.valid_nll) for record in records if record.valid_nll is not None]
        average = debiased_average(train)
        smooth, train = [average[i] for i in drawn], [train[i] for i in drawn]
        group = name if several else None  # with its run a curve comes and goes
        curve = {
            "name": html.escape(shown(name), quote=False) if several else "training, averaged",
            "legendgroup": group,
        }
        if of_labels:
            right = [(getattr(record, x), record.valid_accuracy) for record in records if record.valid_nll is not None]
            figure.add_scatter(
                x=[when for when, _ in right], y=[share for _, share in right], mode="lines+markers", name="accuracy",
                line={"color": colour, "width": 2}, marker={"size": 5}, legendgroup=group, showlegend=False,
                row=1, col=2,
            )  # fmt: skip
        for column, change in ((1, lambda nll: nll), (2, perplexity))[: 1 if of_labels else 2]:
            place = {"row": 1, "col": column}
            line = {"color": colour, "width": 1}
            raw = [*map(change, train)]
            lines = {"mode": "lines", **place}  # of few points, too, that Plotly would mark
            figure.add_scatter(x=at, y=raw, line=line, opacity=0.3, hoverinfo="skip", showlegend=False, **lines)
            line = {"color": colour, "width": 2, "dash": "dot"}
            figure.add_scatter(x=at, y=[*map(change, smooth)], line=line, showlegend=column == 1, **curve, **lines)
            figure.add_scatter(
                x=[when for when, _ in evaluated],
                y=[change(nll) for _, nll in evaluated],
                mode="lines+markers",
                line={"color": colour, "width": 2},
                marker={"size": 5},
                name="validation",
                legendgroup=group,
                showlegend=column == 1 and not several,
                **place,
            )
        for row, value in ((1, "gradient_norm"), (2, "learning_rate")):
            values = [max(getattr(record, value) for record in records[i : i + n]) for i in drawn]
            figure.add_scatter(
                x=at, y=values, mode="lines", line={"color": colour, "width": 1.2}, name=value.replace("_", " "),
                showlegend=False, row=row, col=3,
            )  # fmt: skip
    if clip_norm is not None:
        figure.add_hline(y=clip_norm, line={"color": text, "dash": "dash", "width": 1}, row=1, col=3)  # pyright: ignore[reportArgumentType]
    kind = "log" if log else "linear"
    figure.update_yaxes(
        title=f"loss (nats/{'label' if of_labels else 'token'})", type=kind, gridcolor=grid, row=1, col=1
    )
    if of_labels:
        figure.update_yaxes(
            title="right in validation", tickformat=".0%", range=[0, 1.03], gridcolor=grid, row=1, col=2
        )
    else:
        figure.update_yaxes(title="perplexity", type=kind, gridcolor=grid, row=1, col=2)
    evaluated = [perplexity(record.valid_nll) for record in every if record.valid_nll is not None]
    learning = [perplexity(record.train_nll) for record in every]
    if evaluated and not of_labels and not log and max(learning) > 4 * max(evaluated):
        low, high = min(*learning, *evaluated), max(evaluated)
        figure.update_yaxes(range=[0.9 * low, 1.1 * high], row=1, col=2)
    for row, title in ((1, "gradient norm"), (2, "learning rate")):
        figure.update_yaxes(title=title, gridcolor=grid, nticks=4, rangemode="tozero", row=row, col=3)
    figure.update_xaxes(showgrid=False, zeroline=False)
    titles = {"step": "optimiser steps", "seconds": "seconds of training"}
    for row, column in ((1, 1), (1, 2), (2, 3)):
        figure.update_xaxes(title={"text": titles.get(x, x), "standoff": 4}, row=row, col=column)
    figure.update_layout(
        height=290,
        margin={"l": 50, "r": 10, "t": 26, "b": 36},
        font={"size": 11, "color": text},
        **CLEAR,
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        uirevision="keep",
    )
    return figure


def debiased_average(values: list[float]) -> list[float]:
    """An exponential moving average that does not lean to 0 at the start (Kingma & Ba 2015, section 3).

    It looks back over a fortieth of the curve, and 20 values at most: a short one is not drawn later than it is.
    """
    decay = 1 - 1 / min(20, max(1, len(values) / 40))
    averages, total = [], 0.0
    for count, value in enumerate(values, start=1):
        total = decay * total + (1 - decay) * value
        averages.append(total / (1 - decay**count))
    return averages
