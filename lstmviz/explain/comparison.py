"""Several models side by side: what of their readings the browser draws."""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

import numpy as np

from lstmviz.cells import cell_called
from lstmviz.data.vocabulary import inline, unknown_said
from lstmviz.explain.alignment import Axis, Compared, Entrant, Place
from lstmviz.explain.differences import Differences
from lstmviz.explain.examples import GUIDES, guide_to
from lstmviz.explain.examples import SIDE_BY_SIDE as TOGETHER
from lstmviz.explain.kin import largest_differences
from lstmviz.explain.lacking import lacking
from lstmviz.explain.measures import CHARTS, GAIN, PROBABILITY, losses, measures
from lstmviz.explain.rows import SLOTS, role_in
from lstmviz.opened import OpenModel, tokens_at_most
from lstmviz.reading import mostly_unknown, rows_of, unknown_share
from lstmviz.roles import ROLES, SIDE_BY_SIDE
from lstmviz.wire import (
    Chart,
    Columns,
    ComparedModel,
    ComparisonHeader,
    Header,
    LiveChart,
    LiveComparison,
    LiveModel,
    Note,
    Row,
    columns_of,
    identity_of,
    likeliest,
    numbers,
    pack,
    panels_of,
    said_for,
    unknown_in,
)

MOST = 6  # models side by side


@dataclass(frozen=True)
class View:
    """How models are shown.

    Args:
        place: which layer, in which direction; a model that has none shows that.
        order: of the units, as in ``reading.unit_order``.
        slots: rows of maps, of ``SLOTS``.
        charts: of ``CHARTS``.
        gate: the slot whose mean and saturation are charted.
        difference: show what a model has more than the reference, where their units correspond.
    """

    place: Place
    order: str
    slots: list[str]
    charts: list[str]
    gate: str
    difference: bool


def live_comparison(
    models: Sequence[Entrant], facts: Differences, kin: list[int], reference: int, view: View
) -> LiveComparison:
    """What is said of several models side by side, whatever they read.

    Args:
        models: two to six.
        facts: what differs between them.
        kin: numbers that two of them share if their units correspond.
        reference: number of the model that the others are compared with.
    """
    taken = [_drawn(model, view.place, view.slots) for model in models]
    beside = next((model.beside.name for model in models if model.beside), "")
    return LiveComparison(
        most=tokens_at_most(sum(model.opened.width for model in models)),
        height=760,
        models=[
            LiveModel(
                id=model.name,
                name=inline(model.name),
                title=inline(model.title),
                light=SIDE_BY_SIDE["light"][k],
                dark=SIDE_BY_SIDE["dark"][k],
                track=model.track(view.place),
                rows={role: slot for slot, role in drawn.items()},
                root=reference if kin[k] == kin[reference] else kin[k],
                kin=kin[k],
                share=_share(model, view.gate),
                beside=model.beside is not None,
                equations=_equations(model.checkpoint.model.cell),
                remark=cell_called(model.checkpoint.model.cell).note(),
                absent=_absent(model, view.place, view.slots, drawn),
            )
            for k, (model, drawn) in enumerate(zip(models, taken, strict=True))
        ],
        reference=reference,
        difference=view.difference,
        facts=[(fact.label, fact.values, fact.differs) for fact in facts.facts],
        same=facts.same,
        charts=[_chart(name, view.gate, models[0].opened, beside) for name in view.charts],
        beside=beside,
        slots=[Row(slot, SLOTS[slot].label, SLOTS[slot].hint) for slot in view.slots],
        order=view.order,
        scales=common_scales(models, view.place, taken),
        guides=_guides(models),
        sentences=_sentences(models, kin, reference, view.difference),
    )


def draw(
    live: LiveComparison,
    view: View,
    models: list[Compared],
    axis: Axis,
    selection: dict[str, int],
    held: Container[str] = (),
) -> tuple[ComparisonHeader, list[bytes]]:
    """Everything the comparison draws: its header, and a gate map's message a model.

    Args:
        live: of these models.
        axis: theirs.
        selection: time, unit and model.
        held: blocks of values that the browser holds.
    """
    lines = [measures(model, view.place, view.gate, at, axis.by) for model, at in zip(models, axis.at, strict=True)]
    laid = _laid_over(models, axis)
    header = ComparisonHeader(
        **vars(_columns(models[0], axis)),
        **vars(live)
        | {
            "models": [
                ComparedModel(
                    **vars(model),
                    at=at.tolist(),
                    loss=_line(line["loss"]),
                    differences=_differences(live, models, k),
                )
                for k, (model, at, line) in enumerate(zip(live.models, axis.at, lines, strict=True))
            ],
            "charts": [
                _with_lines(chart, models[0], axis.by, [line[chart.name] for line in lines], laid.get(chart.name))
                for chart in live.charts
            ],
        },
        labels=axis.labels,
        count=axis.typed,
        unknown=_unknown(models, axis),
        note=_note(live, models, axis),
        selection=selection,
    )
    return header, [_maps(live, models, k, held) for k in range(len(models))]


def notes_on(live: LiveComparison, models: list[Compared]) -> list[Note]:
    """What to look for, and whether all of the text is shown."""
    cut = max((model.reading for model in models), key=lambda reading: reading.dropped)
    said = live.sentences["too long"].format(dropped=f"{cut.dropped:,}", count=f"{cut.count:,}")
    return [*live.guides, *([("warning", said)] if cut.dropped else [])]


def _maps(live: LiveComparison, models: list[Compared], k: int, held: Container[str]) -> bytes:
    """The gate maps of model k."""
    model, said = models[k], live.models[k]
    root, layers = models[said.root], _layers(said)
    panels, planes = panels_of(model.opened, model.reading, layers, [*said.rows], live.scales, said.rows)
    rows = rows_of(root.opened, root.reading, layers, live.order)
    header = Header(layers=layers, panels=panels, top=likeliest(model.opened, model.reading, 3), **rows)
    return pack(header, planes, identity=identity_of(model.opened, model.reading), ids=model.reading.ids, held=held)


def _columns(first: Compared, axis: Axis) -> Columns:
    """What the positions of the axis are."""
    columns = columns_of(first.opened, first.reading)
    if axis.said_from:
        read, said = axis.labels[: axis.said_from], axis.labels[axis.said_from :]
        read = ["".join(read)] if axis.by == "character" else read  # whose spaces are among them
        columns = replace(columns, said_from=axis.said_from, headline=said_for(first.opened, read, said))
    return replace(columns, level="char", noun="character") if axis.by == "character" else columns


def _layers(model: LiveModel) -> list[int]:
    return [] if model.track is None else [model.track]


def _differences(live: LiveComparison, models: list[Compared], k: int) -> dict[str, float]:
    """How much model k is other than the reference, where that is shown."""
    said = live.models[k]
    if not live.difference or said.root != live.reference or said.track is None:
        return {}
    return largest_differences(models[live.reference], models[k], said.track)


def _share(model: Entrant, gate: str) -> str | None:
    """What the charts of a gate are of: "keeps", whatever the cell keeps by, or a role."""
    cell = cell_called(model.checkpoint.model.cell)
    if gate == "keeps":
        return gate if cell.keeps else None
    role = role_in(gate, cell)
    return None if role is None or ROLES[role].high is None else role  # a logarithm is no share


def _guides(models: Sequence[Entrant]) -> list[Note]:
    """What to look for when several models read generated text; and for somebody who never met that shape."""
    first, corpora = models[0].opened, {model.checkpoint.train.corpus for model in models}
    guide = guide_to(first) if first.side else GUIDES.get(first.task.name)
    look = TOGETHER.get(corpora.pop()) if len(corpora) == 1 else None
    notes: list[tuple[Literal["note", "look"], str | None]] = [("note", guide), ("look", look)]
    return [(kind, said) for kind, said in notes if said]


def _sentences(models: Sequence[Entrant], kin: list[int], reference: int, difference: bool) -> dict[str, str]:
    """What may be said of a text: its ``{models}`` are whom it is said of."""
    first, title = models[0].opened, inline(models[reference].title)
    data, others = "images" if first.side else "texts", [k for k in range(len(models)) if k != reference]
    whose = [inline(models[k].title) for k in others if kin[k] == kin[reference]]
    than = f"{', '.join(whose)}: more (red) or less (blue) than {title}; the others as they are"
    alone = f"no other model's units correspond to those of {title}: compare the lines"
    apart = len({model.checkpoint.corpus_sha256 for model in models}) > 1
    return {
        "nothing": "There is nothing to read yet. Type above, and every model answers each key.",
        "too long": "The text is too long by {dropped} tokens for these models; the first {count} are shown.",
        "mostly unknown": "so much <unk> that the perplexity of {models} tells little of the rest",
        "by characters": "the models split the text differently: aligned by characters, a column as wide as its token"
        + ("" if first.is_asked else ", loss a character"),
        "trained apart": f"trained on different {data}: their losses here say how well each knows this one" * apart,
        "unknown": "dashed: not in the vocabulary of {models}",
        "difference": (than if whose else alone) * difference,
    }


def common_scales(
    models: Sequence[Entrant], place: Place, drawn: list[dict[str, str]]
) -> dict[str, tuple[float, float]]:
    """The ends of each role's colours: the widest that one of the models asks for that draw it.

    Args:
        drawn: slot -> role, of every model.
    """
    found: dict[str, tuple[float, float]] = {}
    scales = [_scales(model, place) for model in models]
    for role in dict.fromkeys(role for each in scales for role in each):
        drawing = [each[role] for each, taken in zip(scales, drawn, strict=True) if role in taken.values()]
        asked = drawing or [each[role] for each in scales if role in each]
        found[role] = min(low for low, _ in asked), max(high for _, high in asked)
    return found


def _scales(model: Entrant, place: Place) -> dict[str, tuple[float, float]]:
    return {} if (track := model.track(place)) is None else model.opened.scales[track]


def _drawn(model: Entrant, place: Place, slots: list[str]) -> dict[str, str]:
    """Which role of a model stands in each slot, where it has one; none stands in two."""
    scales, taken = _scales(model, place), {}
    for slot in slots if scales else []:
        role = role_in(slot, cell_called(model.checkpoint.model.cell))
        if role in scales and role not in taken.values():
            taken[slot] = role
    return taken


def _absent(model: Entrant, place: Place, slots: list[str], taken: dict[str, str]) -> dict[str, str]:
    """What stands in the slots where the model has nothing."""
    config = model.checkpoint.model
    nothing = "" if model.track(place) is not None else "it reads from the left only"
    if place.layer >= config.num_layers:
        nothing = f"no layer {place.layer + 1}: this model has {config.num_layers}"
    return {slot: nothing or lacking(cell_called(config.cell), slot) for slot in slots if slot not in taken}


@cache
def _equations(cell: str) -> str:
    """One a line: the columns are narrow."""
    return re.sub(r" {3,}", "\n", cell_called(cell).equations())


def _laid_over(models: list[Compared], axis: Axis) -> dict[str, np.ndarray]:
    """The lines of what is laid over the losses.

    It reads what the models of its vocabulary read, so the first of them will do.
    """
    laid = ((model.beside_nll, at) for model, at in zip(models, axis.at, strict=True))
    return next((losses(nll, at, axis.by) for nll, at in laid if nll is not None), {})


def _chart(name: str, gate: str, first: OpenModel, beside: str) -> LiveChart:
    """A chart of such models as the first."""
    (unit, of_gate), guessed = CHARTS[name], ""
    if name == "loss" and not first.says_another:
        unit = f"nats a {'label' if first.says_labels else '{by}'}"
    elif name == GAIN and beside:
        unit = f"{unit} than\nthe {beside}"
    elif name == PROBABILITY:
        guessed = "of what each\nsays at last" if first.task.asked_last else "of what\neach says"
    low, high = {"loss": (0, 2), GAIN: (-2, 2), "perplexity": (1, 4), "half-life": (0.1, 1000)}.get(name, (0, 1))
    title, log = f"{gate} · {name}" if of_gate else name, name == "half-life"
    return LiveChart(name=name, title=title, unit=unit, guessed=guessed, low=low, high=high, log=log)


def _with_lines(
    chart: LiveChart, first: Compared, by: str, values: list[np.ndarray | None], laid: np.ndarray | None
) -> Chart:
    """The chart with a line a model; ``laid`` is what is laid over of the same."""
    every = [v[np.isfinite(v)] for v in (*values, laid) if v is not None]
    low, high, unit = chart.low, chart.high, chart.unit.format(by=by)
    if chart.name in ("loss", GAIN):
        high = max([high, *(float(np.ceil(np.abs(v).max(initial=0))) for v in every)])
        low = -high if low else low
    elif chart.name == "perplexity":  # as it has settled
        high = max([high, *(float(np.ceil(3 * v[-1])) for v in every if len(v))])
    if chart.guessed and first.reading.right is None:
        unit = chart.guessed
    said = vars(chart) | {"unit": unit, "low": low, "high": high}
    return Chart(**said, lines=[_line(v) for v in values], beside=_line(laid))


def _unknown(models: list[Compared], axis: Axis) -> list[bool]:
    """Which positions some model reads as <unk>."""
    unknown = np.zeros(len(axis.labels), bool)
    for model, at in zip(models, axis.at, strict=True):
        unknown |= (at >= 0) & np.array(unknown_in(model.opened, model.reading))[at]
    return unknown.tolist()


def _note(live: LiveComparison, models: list[Compared], axis: Axis) -> str:
    """What a person must know to read the comparison rightly."""
    says, low, unknown = live.sentences, [], []
    for said, model in zip(live.models, models, strict=True):
        if mostly_unknown(model.opened, model.reading):
            low.append(said.title)
        if any(unknown_in(model.opened, model.reading)):
            unknown.append(f"{said.title} ({unknown_said(unknown_share(model.opened, model.reading))})")
    notes = [
        says["mostly unknown"].format(models=", ".join(low)) if low else "",
        says["by characters" if axis.by == "character" else "trained apart"],
        says["unknown"].format(models=", ".join(unknown)) if unknown else "",
        says["difference"],
    ]
    return " · ".join(filter(None, notes))


def _line(values: np.ndarray | None) -> list[float | None]:
    return [] if values is None else numbers(values)
