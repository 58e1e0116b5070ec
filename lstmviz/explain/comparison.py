"""Several models side by side: what of their readings the browser draws."""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from lstmviz.cells import cell_called
from lstmviz.data.vocabulary import inline, unknown_said
from lstmviz.explain.alignment import Axis, Compared, Place
from lstmviz.explain.differences import Differences
from lstmviz.explain.kin import largest_differences
from lstmviz.explain.lacking import lacking
from lstmviz.explain.measures import CHARTS, GAIN, PROBABILITY, losses, measures
from lstmviz.explain.rows import SLOTS, role_in
from lstmviz.reading import mostly_unknown, rows_of, unknown_share
from lstmviz.roles import SIDE_BY_SIDE
from lstmviz.wire import (
    Chart,
    ComparedModel,
    ComparisonHeader,
    Header,
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


@dataclass(frozen=True)
class Comparison:
    """Models that read one sentence.

    Args:
        models: two to six.
        axis: theirs.
        facts: what differs between them.
        kin: numbers that two of them share if their units correspond.
        reference: number of the model that the others are compared with.
    """

    models: list[Compared]
    axis: Axis
    facts: Differences
    kin: list[int]
    reference: int

    def alike(self, k: int) -> bool:
        """Whether the units of model k are those of the reference."""
        return self.kin[k] == self.kin[self.reference]

    def root(self, k: int) -> Compared:
        """The model whose rows those of model k stand beside: its units' order is theirs."""
        return self.models[self.reference if self.alike(k) else self.kin[k]]


def draw(
    comparison: Comparison, view: View, selection: dict[str, int], held: Container[str] = ()
) -> tuple[ComparisonHeader, list[bytes]]:
    """Everything the comparison draws: its header, and a gate map's message a model.

    Args:
        selection: time, unit and model.
        held: blocks of values that the browser holds.
    """
    models, axis, place = comparison.models, comparison.axis, view.place
    lines = [measures(model, place, view.gate, at, axis.by) for model, at in zip(models, axis.at, strict=True)]
    drawn = [_drawn(model, place, view.slots) for model in models]
    beside, laid = _laid_over(comparison)
    ends = common_scales(models, place, drawn)
    parts = [_maps(comparison, view, k, taken, ends, held) for k, taken in enumerate(drawn)]
    columns = columns_of(models[0].opened, models[0].reading)
    if axis.said_from:
        read, said = axis.labels[: axis.said_from], axis.labels[axis.said_from :]
        read = ["".join(read)] if axis.by == "character" else read  # whose spaces are among them
        columns = replace(columns, said_from=axis.said_from, headline=said_for(models[0].opened, read, said))
    if axis.by == "character":
        columns = replace(columns, level="char", noun="character")
    header = ComparisonHeader(
        **vars(columns),
        height=760,
        labels=axis.labels,
        count=axis.typed,
        unknown=_unknown(comparison),
        models=[
            _described(comparison, view, k, taken, line["loss"])
            for k, (taken, line) in enumerate(zip(drawn, lines, strict=True))
        ],
        reference=comparison.reference,
        difference=view.difference,
        facts=[(fact.label, fact.values, fact.differs) for fact in comparison.facts.facts],
        same=comparison.facts.same,
        note=_note(comparison, view.difference),
        charts=[
            _chart(name, view.gate, lines, _below(comparison, name), beside, laid.get(name)) for name in view.charts
        ],
        beside=beside,
        slots=[Row(slot, SLOTS[slot].label, SLOTS[slot].hint) for slot in view.slots],
        selection=selection,
    )
    return header, parts


def _maps(
    comparison: Comparison,
    view: View,
    k: int,
    taken: dict[str, str],
    ends: dict[str, tuple[float, float]],
    held: Container[str],
) -> bytes:
    """The gate maps of model k: what it has (slot -> role) of the rows that are shown."""
    model, root = comparison.models[k], comparison.root(k)
    layers = _layers(model, view.place)
    slot_of = {role: slot for slot, role in taken.items()}
    panels, planes = panels_of(model.opened, model.reading, layers, list(taken.values()), ends, slot_of)
    rows = rows_of(root.opened, root.reading, layers, view.order)
    header = Header(layers=layers, panels=panels, top=likeliest(model.opened, model.reading, 3), **rows)
    return pack(header, planes, identity=identity_of(model.opened, model.reading), ids=model.reading.ids, held=held)


def _described(
    comparison: Comparison, view: View, k: int, taken: dict[str, str], loss: np.ndarray | None
) -> ComparedModel:
    """What is said of model k, and its loss at every position."""
    model, reference = comparison.models[k], comparison.models[comparison.reference]
    config, layers = model.checkpoint.model, _layers(model, view.place)
    subtracted = view.difference and layers and comparison.alike(k)
    return ComparedModel(
        id=model.name,
        name=inline(model.name),
        title=inline(model.title),
        light=SIDE_BY_SIDE["light"][k],
        dark=SIDE_BY_SIDE["dark"][k],
        at=comparison.axis.at[k].tolist(),
        kin=comparison.kin[k],
        loss=_line(loss),
        beside=model.beside is not None,
        equations=_equations(config.cell),
        remark=cell_called(config.cell).note(),
        absent=_absent(model, view.place, view.slots, taken),
        differences=largest_differences(reference, model, layers[0]) if subtracted else {},
    )


def _layers(model: Compared, place: Place) -> list[int]:
    return [] if (track := model.track(place)) is None else [track]


def common_scales(models: list[Compared], place: Place, drawn: list[dict[str, str]]) -> dict[str, tuple[float, float]]:
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


def _scales(model: Compared, place: Place) -> dict[str, tuple[float, float]]:
    return {} if (track := model.track(place)) is None else model.opened.scales[track]


def _drawn(model: Compared, place: Place, slots: list[str]) -> dict[str, str]:
    """Which role of a model stands in each slot, where it has one; none stands in two."""
    scales, taken = _scales(model, place), {}
    for slot in slots if scales else []:
        role = role_in(slot, cell_called(model.checkpoint.model.cell))
        if role in scales and role not in taken.values():
            taken[slot] = role
    return taken


def _absent(model: Compared, place: Place, slots: list[str], taken: dict[str, str]) -> dict[str, str]:
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


def _laid_over(comparison: Comparison) -> tuple[str, dict[str, np.ndarray]]:
    """What is laid over the losses: its name, empty where nothing is, and its own lines.

    It reads what the models of its vocabulary read, so the first of them will do.
    """
    for model, at in zip(comparison.models, comparison.axis.at, strict=True):
        if model.beside and model.beside_nll is not None:
            return model.beside.name, losses(model.beside_nll, at, comparison.axis.by)
    return "", {}


def _below(comparison: Comparison, name: str) -> str:
    """What stands below a chart's name."""
    model = comparison.models[0]
    unit, by, reading = CHARTS[name][0], comparison.axis.by, model.reading
    if name == "loss" and not model.opened.says_another:
        return f"nats a {'label' if model.opened.says_labels else by}"
    if name == PROBABILITY and reading.right is None:
        return "of what each\nsays at last" if model.opened.task.asked_last else "of what\neach says"
    return unit


def _chart(
    name: str, gate: str, lines: list[dict[str, np.ndarray | None]], unit: str, beside: str, laid: np.ndarray | None
) -> Chart:
    """A line a model; ``laid`` is what ``beside`` makes of the same."""
    of_gate = CHARTS[name][1]
    values = [line[name] for line in lines]
    every = [v[np.isfinite(v)] for v in (*values, laid) if v is not None]
    known = np.concatenate(every or [np.zeros(0)])
    most = float(np.abs(known).max()) if len(known) else 1.0
    if name == "loss":
        low, high = 0, max(2, float(np.ceil(most)))
    elif name == GAIN:
        high = max(2, float(np.ceil(most)))
        low, unit = -high, f"{unit} than\nthe {beside}" if beside else unit
    elif name == "perplexity":
        settled = [v[-1] for v in every if len(v)]
        low, high = 1, max(4, float(np.ceil(3 * max(settled, default=1))))
    elif name == "half-life":
        low, high = 0.1, 1000
    else:
        low, high = 0, 1
    return Chart(
        title=f"{gate} · {name}" if of_gate else name,
        unit=unit,
        low=low,
        high=high,
        log=name == "half-life",
        lines=[_line(v) for v in values],
        beside=_line(laid),
    )


def _unknown(comparison: Comparison) -> list[bool]:
    """Which positions some model reads as <unk>."""
    unknown = np.zeros(len(comparison.axis.labels), bool)
    for model, at in zip(comparison.models, comparison.axis.at, strict=True):
        unknown |= (at >= 0) & np.array(unknown_in(model.opened, model.reading))[at]
    return unknown.tolist()


def _note(comparison: Comparison, difference: bool) -> str:
    """What a person must know to read the comparison rightly."""
    models, reference, notes = comparison.models, comparison.reference, []
    if low := [inline(model.title) for model in models if mostly_unknown(model.opened, model.reading)]:
        notes.append(f"so much <unk> that the perplexity of {', '.join(low)} tells little of the rest")
    if comparison.axis.by == "character":
        loss = "" if models[0].opened.is_asked else ", loss a character"
        notes.append(
            f"the models split the text differently: aligned by characters, a column as wide as its token{loss}"
        )
    elif len({model.checkpoint.corpus_sha256 for model in models}) > 1:
        data = "texts" if models[0].reading.image is None else "images"
        notes.append(f"trained on different {data}: their losses here say how well each knows this one")
    if unknown := [
        f"{inline(model.title)} ({unknown_said(unknown_share(model.opened, model.reading))})"
        for model in models
        if any(unknown_in(model.opened, model.reading))
    ]:
        notes.append(f"dashed: not in the vocabulary of {', '.join(unknown)}")
    if difference:
        whose = [inline(model.title) for k, model in enumerate(models) if k != reference and comparison.alike(k)]
        if whose:
            than = f"more (red) or less (blue) than {inline(models[reference].title)}; the others as they are"
            notes.append(f"{', '.join(whose)}: {than}")
        else:
            title = inline(models[reference].title)
            notes.append(f"no other model's units correspond to those of {title}: compare the lines")
    return " · ".join(notes)


def _line(values: np.ndarray | None) -> list[float | None]:
    return [] if values is None else numbers(values)
