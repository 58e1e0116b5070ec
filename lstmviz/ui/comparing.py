"""Several models reading one sentence, and what of it the browser draws side by side."""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Container
from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations
from math import log
from typing import Any
from unicodedata import normalize

import numpy as np
import pandas as pd
import streamlit as st
import torch

from lstmviz.cells import CELLS
from lstmviz.checkpoint import Checkpoint
from lstmviz.data.grammars import GRAMMARS
from lstmviz.data.vocabulary import EOS, NEWLINE_SIGN, UNK, Vocabulary, unknown_said, visible, well_formed
from lstmviz.explain.distance import accuracy_by_distance, knows
from lstmviz.model import parameter_count, perplexity
from lstmviz.reading import OpenModel, Reading, mostly_unknown, rows_of, running_mean, unknown_share
from lstmviz.roles import ROLES, SIDE_BY_SIDE
from lstmviz.trace import kept
from lstmviz.ui.sources import COPY
from lstmviz.wire import Chart, ComparedModel, ComparisonHeader, Header, Row, likeliest, numbers, pack, panels_of

MOST = 6  # models side by side
CHARTS = {  # name -> what stands below it, and whether it is of one gate
    "loss": ("nats a token", False),
    "perplexity": ("so far", False),
    "mean": ("over all units", True),
    "below 0.1": ("share of units", True),
    "above 0.9": ("share of units", True),
    "half-life": ("of what is held,\nin tokens", False),
}


@dataclass(frozen=True)
class Slot:
    """A row of gate maps: what different cells call differently, but use for the same.

    Args:
        label, hint: how it is called, and what it means.
        roles: the names that it has; the first that a cell has is shown.
    """

    label: str
    hint: str
    roles: tuple[str, ...]


SLOTS = {
    "keeps": Slot("keeps", "1 keeps all,\n0 erases it", ("forget_gate", "update_gate", "log_forget_gate")),
    "writes": Slot("writes", "how much of\nthe candidate", ("input_gate", "log_input_gate")),
    "shows": Slot("shows", "how much\ngets out", ("output_gate",)),
    "looks back": Slot("looks back", "when it forms\nthe candidate", ("reset_gate",)),
    "candidate": Slot("candidate", "what it would\nwrite", ("candidate",)),
    "memory": Slot("memory", "what is held", ("cell", "hidden")),
    "hidden": Slot("hidden", "the layer's\noutput", ("hidden",)),
}
USUAL = ("keeps", "writes", "shows", "memory")
ABSENT = {  # why a cell lacks something, where that is worth a word
    ("gru", "writes"): "no input gate: writes what it does not keep, 1 − z",
    ("gru_v1", "writes"): "no input gate: writes what it does not keep, 1 − z",
    ("mingru", "writes"): "no input gate: writes what it does not keep, 1 − z",
    ("gru", "shows"): "no output gate: shows all of its memory",
    ("gru_v1", "shows"): "no output gate: shows all of its memory",
    ("mingru", "shows"): "no output gate: shows all of its memory",
    ("minlstm", "shows"): "no output gate: shows all of its memory",
    ("janet", "shows"): "no output gate: shows all of its memory",
    ("rnn", "keeps"): "no gate: everything is computed anew",
    ("lstmp", "hidden"): "its output is a projection, which belongs to no unit",
}


@dataclass(frozen=True)
class Compared:
    """One of the models.

    Args:
        name: in the menu.
        opened, reading: the model, and the sentence as it read it.
    """

    name: str
    opened: OpenModel
    reading: Reading

    @property
    def checkpoint(self) -> Checkpoint:
        return self.opened.checkpoint


# ---- the axis --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Axis:
    """The positions that all models share: their tokens or, where they split the text differently, its characters.

    Args:
        labels: one a position.
        at: for each model the token that stands at each position, ``(A,)``; −1 where none does.
        by: "token" or "character".
        typed: how many of the positions a person wrote.
    """

    labels: list[str]
    at: list[np.ndarray]
    by: str
    typed: int


def shared_axis(text: str, models: list[Compared]) -> Axis:
    """Align what the models read; past the last token that each of them read, nothing is shown."""
    splits = [model.checkpoint.vocabulary.split(text) for model in models]
    # How many tokens each read before those that were typed: the ⏎ that a grammar's sentence is read after.
    begun = [
        len(model.reading.pieces) + model.reading.dropped - len(split)
        for model, split in zip(models, splits, strict=True)
    ]
    first = int(any(begun))  # a column for that
    before = [np.full(first, 0 if skip else -1) for skip in begun]
    whole = [len(split) - model.reading.dropped for model, split in zip(models, splits, strict=True)]
    if all(split == splits[0] for split in splits):
        tokens = [np.arange(min(whole)) + skip for skip in begun]
        labels = _labels(models[0], begun[0])[: min(whole)]
        by = "token"
    else:
        plain = well_formed(text)
        starts = [
            _starts(plain, split, model.checkpoint.vocabulary) for model, split in zip(models, splits, strict=True)
        ]
        ends = [each[count] for each, count in zip(starts, whole, strict=True) if count < len(each)]
        plain = plain[: min(ends, default=len(plain))]
        places = np.arange(len(plain))
        tokens = [
            np.searchsorted(each, places, side="right") - 1 + skip for each, skip in zip(starts, begun, strict=True)
        ]
        labels = [visible(c) for c in plain]
        by = "character"
    at = [np.concatenate(both).astype(int) for both in zip(before, tokens, strict=True)]
    return Axis([NEWLINE_SIGN] * first + labels, at, by, len(labels))


def _labels(model: Compared, skip: int) -> list[str]:
    """Tokens as they can be seen: known ones as the vocabulary writes them, unknown ones as they were typed."""
    unknown, reading = model.checkpoint.vocabulary.ids[UNK], model.reading
    pairs = zip(reading.ids, reading.pieces, strict=True)
    return [piece if i == unknown else model.opened.signs[i] for i, piece in pairs][skip:]


def _starts(text: str, pieces: list[str], vocabulary: Vocabulary) -> list[int]:
    """Where each piece begins in the text; white space belongs to the piece before it.

    Both are compared with all accents apart from their letters, since a vocabulary may have them otherwise than they
    were typed.
    """
    apart = [normalize("NFD", character) for character in text]
    origin = [i for i, characters in enumerate(apart) for _ in characters] + [len(text)]
    text = "".join(apart)
    signs = {EOS: ["\n", vocabulary.newline_sign], "\n": [vocabulary.newline_sign], " ": [vocabulary.space_sign]}
    starts, place = [], 0
    for piece in pieces:
        # A line's end is a token of its own; so is WikiText's @-@, which stands for the - that was typed.
        written = [normalize("NFD", piece), piece.strip("@"), *signs.get(piece, [])]
        found, length = min(
            ((at, len(form)) for form in written if form and (at := text.find(form, place)) >= 0), default=(place, 0)
        )
        starts.append(origin[found])
        place = found + length
    return starts


# ---- what differs ----------------------------------------------------------------------------------------------------


def differences(models: list[OpenModel]) -> tuple[list[tuple[str, list[str], bool]], str]:
    """What differs between the models, first; and in a sentence what is the same in all.

    Returns:
        Rows of a label, a value a model, and whether these differ.
    """
    table: dict[str, list[str]] = {}
    for model in models:
        config, train = model.checkpoint.model, model.checkpoint.train
        nll, level = model.checkpoint.results["valid_nll"], model.checkpoint.vocabulary.level
        unknown = model.checkpoint.results.get("valid_unknown", 0)
        for label, value in {
            "cell": config.cell,
            "parameters": f"{parameters(model.checkpoint):,}",
            "validation": f"{nll:.4f} nats/{'char' if level == 'char' else 'word'}"
            + (f", {unknown_said(unknown)}" if unknown else ""),
            "trained on": model.checkpoint.corpus_name,
            "units": f"{config.hidden_size}",
            "layers": f"{config.num_layers}",
            "perplexity": f"{perplexity(nll):.2f}",
            "embedding": f"{config.embedding_size}",
            "seed": f"{train.seed}",
            "best at step": f"{model.checkpoint.step:,} of {model.checkpoint.history['step'][-1]:,}",
            "learning rate": f"{train.learning_rate:g}, {train.schedule}",
            "window": f"{train.bptt} tokens × {train.batch_size}",
            "dropout": f"{config.dropout:g}",
            "tied weights": "yes" if config.tie_weights else "no",
            "adaptive softmax": "yes" if config.adaptive_softmax else "no",
            "forget bias": "as drawn" if config.forget_bias is None else f"{config.forget_bias:g}",
            "chrono": "no" if config.chrono is None else f"{config.chrono}",
            "reads here": f"{speed(model):,.0f} tokens/s",
        }.items():
            table.setdefault(label, []).append(value)
    always = ("cell", "parameters", "validation", "perplexity", "reads here")
    if len(set(table["cell"])) == len(models):
        del table["cell"]  # each is called by it
    rows = [(label, values, len(set(values)) > 1) for label, values in table.items()]
    first = [row for row in rows if row[2]] + [row for row in rows if not row[2] and row[0] in always]
    first.sort(key=lambda row: row[0] == "reads here")  # a matter of this machine and of how the cell is run: last
    usual = {"tied weights": "no", "adaptive softmax": "no", "forget bias": "as drawn", "chrono": "no", "dropout": "0"}
    same = [f"{label} {v[0]}" for label, v, differs in rows if not differs and label not in always]
    same = [text for text in same if text not in {f"{label} {value}" for label, value in usual.items()}]
    return first, f"The same in all: {', '.join(same)}." if same else ""


@st.cache_data(hash_funcs={Checkpoint: lambda checkpoint: checkpoint.digest}, show_spinner=False)
def parameters(checkpoint: Checkpoint) -> int:
    """How many numbers the model learned."""
    return parameter_count(checkpoint.model, len(checkpoint.vocabulary))


@st.cache_data(hash_funcs={OpenModel: lambda opened: opened.checkpoint.digest}, show_spinner=False)
def speed(opened: OpenModel) -> float:
    """Tokens a second of a plain forward pass over 64 tokens, on this machine; the median of five."""
    tokens = torch.full((64, 1), opened.checkpoint.vocabulary.end)
    times = []
    with torch.no_grad():
        for _ in range(6):
            begun = time.perf_counter()
            opened.model(tokens)
            times.append(time.perf_counter() - begun)
    return 64 / statistics.median(times[1:])


@st.cache_data(hash_funcs={OpenModel: lambda opened: opened.checkpoint.digest}, show_spinner=False)
def reach(opened: OpenModel) -> tuple[list[int], list[float]]:
    """Distances and the accuracy at each, of a model that learned a grammar; of another nothing.

    A file may call any text by a grammar's name, so the tokens decide.
    """
    checkpoint = opened.checkpoint
    if checkpoint.corpus_name not in GRAMMARS or not knows(checkpoint.vocabulary, checkpoint.corpus_name):
        return [], []
    table = accuracy_by_distance(opened.model, checkpoint.vocabulary, checkpoint.corpus_name)
    return table["distance"].tolist(), table["accuracy"].tolist()


def kinship(models: list[OpenModel]) -> list[int]:
    """Numbers that two models share if their units correspond, one by one; also by way of a third model."""
    kin = list(range(len(models)))
    for k, j in combinations(range(len(models)), 2):
        if kin[j] != kin[k] and corresponding(models[k].checkpoint, models[j].checkpoint):
            kin = [kin[k] if group == kin[j] else group for group in kin]
    return kin


@st.cache_data(hash_funcs={Checkpoint: lambda checkpoint: checkpoint.digest}, show_spinner=False)
def corresponding(a: Checkpoint, b: Checkpoint) -> bool:
    """Whether unit n of one is unit n of the other: they hold the same weights, or began with the same."""
    if (a.model.hidden_size, a.model.num_layers) != (b.model.hidden_size, b.model.num_layers):
        return False
    shared = a.weights.keys() & b.weights.keys()
    outside = [name for name in shared if not name.startswith("layers.")]
    if outside and all(torch.equal(a.weights[name], b.weights[name]) for name in outside):
        return True
    shapes = [{name: weight.shape for name, weight in each.weights.items()} for each in (a, b)]
    return shapes[0] == shapes[1] and a.train.seed == b.train.seed and a.corpus_sha256 == b.corpus_sha256


# ---- tables to take along --------------------------------------------------------------------------------------------


def models_table(models: dict[str, OpenModel]) -> pd.DataFrame:
    """One row a model: what it is, how it was trained, and how good it is; a loss is in nats a token of its level."""
    rows = []
    for name, opened in models.items():
        checkpoint = opened.checkpoint
        config, train, results = checkpoint.model, checkpoint.train, checkpoint.results
        rows.append(
            {
                "model": name,
                "cell": config.cell,
                "parameters": parameters(checkpoint),
                "trained on": checkpoint.corpus_name,
                "level": checkpoint.vocabulary.level,
                "layers": config.num_layers,
                "units": config.hidden_size,
                "embedding": config.embedding_size,
                "seed": train.seed,
                "steps": checkpoint.history["step"][-1],
                "best at step": checkpoint.step,
                "learning rate": train.learning_rate,
                "schedule": train.schedule,
                "validation loss": results["valid_nll"],
                "validation perplexity": perplexity(results["valid_nll"]),
                "test loss": results.get("test_nll"),
            }
        )
    return pd.DataFrame(rows)


def markdown(table: pd.DataFrame) -> str:
    """A table for a paper or a slide: a row a line, numbers to four digits after the point."""

    def written(value: object) -> str:
        if isinstance(value, float):
            return f"{value:.4f}".rstrip("0").rstrip(".")
        return str(value).replace("|", "\\|")

    rows = [table.columns, ["---"] * len(table.columns), *table.itertuples(index=False, name=None)]
    return "".join(f"| {' | '.join(map(written, row))} |\n" for row in rows)


def lines_table(text: str, models: list[Compared], layer: int) -> pd.DataFrame:
    """One row for each position of the axis and each model: what the charts show, of every gate.

    Returns:
        ``position``, ``token``, ``model``, ``loss`` in nats, ``perplexity`` so far, ``half-life`` of what is held in
        tokens, and for each gate its mean and the shares of units below 0.1 and above 0.9; empty where a cell has none.
    """
    axis, tables = shared_axis(text, models), []
    for model, at in zip(models, axis.at, strict=True):
        columns: dict[str, Any] = {"position": range(len(axis.labels)), "token": axis.labels, "model": model.name}
        for gate in ("keeps", "writes", "shows"):
            found = measures(model, layer, gate, at, axis.by)
            whole = {name: found[name] for name, (_, of_gate) in CHARTS.items() if not of_gate}
            columns |= whole | {f"{gate} {name}": found[name] for name, (_, of_gate) in CHARTS.items() if of_gate}
        tables.append(pd.DataFrame({name: np.nan if value is None else value for name, value in columns.items()}))
    return pd.concat(tables, ignore_index=True).sort_values(["position", "model"], kind="stable", ignore_index=True)


def values_table(models: list[Compared]) -> pd.DataFrame:
    """Every gate and state of every model, layer, token and unit, as Watch exports those of one."""
    tables = []
    for model in models:
        tokens = [model.checkpoint.vocabulary.tokens[i] for i in model.reading.ids]
        tables.append(replace(model.reading.trace, tokens=tokens).to_dataframe().assign(model=model.name))
    return pd.concat(tables, ignore_index=True)


# ---- what the browser draws ------------------------------------------------------------------------------------------


def draw(
    axis: Axis,
    models: list[Compared],
    *,
    layer: int,
    slots: list[str],
    charts: list[str],
    gate: str,
    order: str,
    difference: bool,
    facts: tuple[list[tuple[str, list[str], bool]], str],
    kin: list[int],
    reference: int,
    selection: dict[str, int],
    held: Container[str] = (),
) -> tuple[ComparisonHeader, list[bytes]]:
    """Everything the comparison draws: its header, and a gate map's message a model.

    Args:
        axis: that of these models.
        models: two to six.
        layer: which to show, from 0; a model with fewer shows that it has none.
        slots: rows of maps, of ``SLOTS``.
        charts: of ``CHARTS``.
        gate: the slot whose mean and saturation are charted.
        order: of the units.
        difference: show what a model has more than the reference, where their units correspond.
        facts, kin: of these models, by ``differences`` and ``kinship``, which no key changes.
        reference: number of the model that the others are compared with.
        selection: time, unit and model.
        held: blocks of values that the browser holds.
    """
    names = titles([(model.name, model.checkpoint.model.cell) for model in models])
    lines = [measures(model, layer, gate, at, axis.by) for model, at in zip(models, axis.at, strict=True)]
    drawn = [_drawn(model, layer, slots) for model in models]
    ends = common_scales(models, layer, drawn)
    described, parts = [], []
    for k, (model, taken) in enumerate(zip(models, drawn, strict=True)):
        config, reading = model.checkpoint.model, model.reading
        layers = [layer] if layer < config.num_layers else []
        root = models[reference] if kin[k] == kin[reference] else models[kin[k]]
        slot_of = {role: slot for slot, role in taken.items()}
        panels, planes = panels_of(model.opened, reading.trace, layers, list(taken.values()), ends, slot_of)
        rows = rows_of(root.opened, root.reading, layers, order)
        body = Header(layers=layers, panels=panels, top=likeliest(model.opened, reading, 3), **rows)
        parts.append(pack(body, planes, identity=model.checkpoint.digest, ids=reading.ids, held=held))
        alike = difference and layers and kin[k] == kin[reference]
        described.append(
            ComparedModel(
                id=model.name,
                name=model.name,
                title=names[k],
                light=SIDE_BY_SIDE["light"][k],
                dark=SIDE_BY_SIDE["dark"][k],
                at=axis.at[k].tolist(),
                kin=kin[k],
                loss=_line(lines[k]["loss"]),
                equations=_equations(config.cell),
                remark=_remark(config.cell),
                absent={slot: _absent(config.cell, slot, layer, config.num_layers) for slot in slots},
                differences=_most(models[reference], model, layer) if alike else {},
            )
        )
    noun = "characters" if axis.by == "character" or models[0].checkpoint.vocabulary.level == "char" else "words"
    header = ComparisonHeader(
        height=760,
        level="char" if noun == "characters" else "word",
        noun=noun[:-1],
        labels=axis.labels,
        count=axis.typed,
        unknown=_unknown(models, axis),
        models=described,
        reference=reference,
        difference=difference,
        facts=facts[0],
        same=facts[1],
        note=_note(models, names, axis, kin, reference, difference),
        charts=[_chart(name, gate, lines, axis.by) for name in charts],
        slots=[Row(slot, SLOTS[slot].label, SLOTS[slot].hint) for slot in slots],
        selection=selection,
    )
    return header, parts


def titles(models: list[tuple[str, str]]) -> list[str]:
    """As short a name as tells each model, given by name and cell, from the others: its cell, where that does."""
    cells = [f"copy{COPY}{cell}" if COPY in name else cell for name, cell in models]
    return [short if cells.count(short) == 1 else name for short, (name, _) in zip(cells, models, strict=True)]


def measures(model: Compared, layer: int, gate: str, at: np.ndarray, by: str) -> dict[str, np.ndarray | None]:
    """A number a position of the axis for every chart; None where the cell has nothing of the kind.

    Args:
        gate: the slot whose mean and saturation are meant.
        at: the model's token at every position, ``(A,)``.
        by: on an axis of characters a token's loss is spread over its own.
    """
    trace, config = model.reading.trace, model.checkpoint.model

    def placed(values: np.ndarray) -> np.ndarray:  # (T,) -> (A,)
        return np.where(at >= 0, values[at], np.nan)

    loss = trace.nll
    if by == "character":
        loss = loss / np.maximum(1, np.bincount(at[at >= 0], minlength=len(loss)))
    loss = placed(loss)
    found: dict[str, np.ndarray | None] = dict.fromkeys(CHARTS)
    found |= {"loss": loss, "perplexity": np.exp(running_mean(loss))}
    if layer >= config.num_layers:
        return found
    keeps = kept(trace)
    share = keeps
    if gate != "keeps":
        role = _role(gate, trace)
        share = None if role is None or role.startswith("log_") else trace[role]  # a logarithm is no share
    if share is not None:
        values = share[layer]  # (T, H)
        found["mean"] = placed(values.mean(-1))
        there = np.where(np.isfinite(values).all(-1), 0.0, np.nan)  # what was kept at an sLSTM's first step is unknown
        found["below 0.1"] = placed((values < 0.1).mean(-1) + there)
        found["above 0.9"] = placed((values > 0.9).mean(-1) + there)
    if keeps is not None:
        found["half-life"] = placed(half_life(keeps[layer]))
    return found


def half_life(share: np.ndarray) -> np.ndarray:
    """After how many tokens like this one half of what the median unit held would be left, ``(T, H)`` to ``(T,)``."""
    median = np.clip(np.median(share, axis=-1), 1e-6, 1 - 1e-6)
    return log(0.5) / np.log(median)


def common_scales(models: list[Compared], layer: int, drawn: list[dict[str, str]]) -> dict[str, tuple[float, float]]:
    """The ends of each role's colours: the widest that one of the models asks for that draw it.

    Args:
        drawn: slot -> role, of every model.
    """
    found: dict[str, tuple[float, float]] = {}
    scales = [model.opened.scales[layer] if layer < model.checkpoint.model.num_layers else {} for model in models]
    for role in dict.fromkeys(role for each in scales for role in each):
        drawing = [each[role] for each, taken in zip(scales, drawn, strict=True) if role in taken.values()]
        asked = drawing or [each[role] for each in scales if role in each]
        found[role] = min(low for low, _ in asked), max(high for _, high in asked)
    return found


def _drawn(model: Compared, layer: int, slots: list[str]) -> dict[str, str]:
    """Which role of a model stands in each slot, where it has one."""
    scales = model.opened.scales
    available = [role for role in ROLES if layer < len(scales) and role in scales[layer]]
    taken = {slot: role for slot in slots if (role := _role(slot, available))}
    if taken.get("memory") == "hidden":
        taken.pop("hidden", None)  # it is shown already
    return taken


@cache
def _equations(cell: str) -> str:
    """One a line: the columns are narrow."""
    return re.sub(r" {3,}", "\n", CELLS[cell].equations())


@cache
def _remark(cell: str) -> str:
    return CELLS[cell].note()


def _role(slot: str, available: Container[str]) -> str | None:
    return next((role for role in SLOTS[slot].roles if role in available), None)


def _absent(cell: str, slot: str, layer: int, layers: int) -> str:
    if layer >= layers:
        return f"no layer {layer + 1}: this model has {layers}"
    names = {"keeps": "forget gate", "writes": "input gate", "shows": "output gate", "looks back": "reset gate"}
    names["hidden"] = "row of its own: its memory, above, is what it shows"
    return ABSENT.get((cell, slot), f"no {names.get(slot, slot)}")


def _most(a: Compared, b: Compared, layer: int) -> dict[str, float]:
    """The largest difference of every role that both have."""
    if a is b or len(a.reading.ids) != len(b.reading.ids):
        return {}
    x, y = a.reading.trace, b.reading.trace
    return {role: float(np.abs(y[role][layer] - x[role][layer]).max()) for role in y if role in x}


def _chart(name: str, gate: str, lines: list[dict[str, np.ndarray | None]], by: str) -> Chart:
    unit, of_gate = CHARTS[name]
    values = [line[name] for line in lines]
    known = np.concatenate([v[np.isfinite(v)] for v in values if v is not None] or [np.zeros(0)])
    most = float(known.max()) if len(known) else 1.0
    if name == "loss":
        low, high = 0, max(2, float(np.ceil(most)))
    elif name == "perplexity":
        settled = [v[np.isfinite(v)][-1] for v in values if v is not None and np.isfinite(v).any()]
        low, high = 1, max(4, float(np.ceil(3 * max(settled, default=1))))
    elif name == "half-life":
        low, high = 0.1, 1000
    else:
        low, high = 0, 1
    return Chart(
        title=f"{gate} · {name}" if of_gate else name,
        unit=f"nats a {by}" if name == "loss" and by == "character" else unit,
        low=low,
        high=high,
        log=name == "half-life",
        lines=[_line(v) for v in values],
    )


def _unknown(models: list[Compared], axis: Axis) -> list[bool]:
    """Which positions some model reads as <unk>."""
    unknown = np.zeros(len(axis.labels), bool)
    for model, at in zip(models, axis.at, strict=True):
        ids = np.array(model.reading.ids)
        unknown |= (at >= 0) & (ids[at] == model.checkpoint.vocabulary.ids[UNK])
    return unknown.tolist()


def _note(
    models: list[Compared], names: list[str], axis: Axis, kin: list[int], reference: int, difference: bool
) -> str:
    """What a person must know to read the comparison rightly."""
    notes = []
    if axis.by == "character":
        notes.append(
            "the models split the text differently: aligned by characters, a column as wide as its token, loss a "
            "character"
        )
    elif len({model.checkpoint.corpus_sha256 for model in models}) > 1:
        notes.append("trained on different texts: their losses here say how well each knows this one")
    ids = [np.array(model.reading.ids) for model in models]
    unknown = [model.checkpoint.vocabulary.ids[UNK] for model in models]
    if lacking := [
        f"{name} ({unknown_said(unknown_share(model.opened, model.reading))})"
        for name, model, read, unk in zip(names, models, ids, unknown, strict=True)
        if (read == unk).any()
    ]:
        notes.append(f"dashed: not in the vocabulary of {', '.join(lacking)}")
    if low := [name for name, model in zip(names, models, strict=True) if mostly_unknown(model.opened, model.reading)]:
        notes.insert(0, f"so much <unk> that the perplexity of {', '.join(low)} tells little of the rest")
    others = [k for k in range(len(models)) if k != reference]
    if difference:
        alike = [k for k in others if kin[k] == kin[reference]]
        if not alike:
            notes.append(f"no other model's units correspond to those of {names[reference]}: compare the lines")
        else:
            whose = ", ".join(names[k] for k in alike)
            notes.append(f"{whose}: more (red) or less (blue) than {names[reference]}; the others as they are")
    return " · ".join(notes)


def _line(values: np.ndarray | None) -> list[float | None]:
    return [] if values is None else numbers(values)
