"""One reading of a sentence by a model, and what of it the browser draws."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field
from math import ceil, log2
from typing import Any

import numpy as np
import torch

from lstmviz.cells import CELLS
from lstmviz.charts import ROLES
from lstmviz.checkpoint import Checkpoint
from lstmviz.grammars import measure
from lstmviz.model import LanguageModel, perplexity
from lstmviz.text import UNK, UNKNOWN_MOST, visible
from lstmviz.trace import GateTrace, held, trace_tokens
from lstmviz.ui.gate_map import pack
from lstmviz.ui.models import OpenModel, acts
from lstmviz.ui.rows import MOST, looked_at, telling

MAX_TOKENS = 2000
MANY = 8  # tokens, so that one or two of them are no large share
CARRIES = 0.5  # from here on a unit is named after the variable that it carries
TELLING = "telling"  # the order that shows only some units; the others show all
ORDERS = ("similar", "index", "active")


@dataclass(frozen=True)
class Reading:
    """A sentence as the model read it.

    Args:
        pieces: as they were typed, one a token.
        ids: ``(T,)``; unknown pieces are ``<unk>``.
        dropped: pieces past the limit, which were not read.
        trace: every gate and state, with nll.
        likely: ids of the five likeliest next tokens after each, ``(T, 5)``; fewer where the vocabulary is smaller.
        probabilities: theirs, ``(T, 5)``.
        model: that read it.
        chosen: (layer, number of tokens) -> the units that `telling` chose on so many of them.
    """

    pieces: list[str]
    ids: list[int]
    dropped: int
    trace: GateTrace
    likely: np.ndarray
    probabilities: np.ndarray
    model: LanguageModel
    chosen: dict[tuple[int, int], tuple[list[int], list[int]]] = field(default_factory=dict)


def read(opened: OpenModel, text: str, before: Reading | None = None) -> Reading | None:
    """Let a model read a text; None where the text has no tokens. Only the first 2,000 tokens are read.

    A grammar's sentence is read as it was in training, just after others: the ⏎ at their end is the first column.

    Args:
        before: the last reading; what this text has in common with its beginning is not read again.
    """
    vocabulary, model = opened.checkpoint.vocabulary, opened.model
    best = min(5, len(vocabulary))
    pieces = vocabulary.split(text)
    if not pieces:
        return None
    end = vocabulary.tokens[vocabulary.end]
    if opened.context and pieces[0] != end:
        pieces = [end, *pieces]
    dropped = max(0, len(pieces) - MAX_TOKENS)
    pieces = pieces[:MAX_TOKENS]
    ids = vocabulary.encode_tokens(pieces)

    if before and before.model is not model:
        before = None
    if opened.context:
        before = before or _last_column(opened)
    same = common(before.ids, ids) if before else 0
    trace, likely, probabilities = None, np.empty((0, best), np.int64), np.empty((0, best), np.float32)
    if before and same:
        trace = before.trace.isel(time=slice(same))
        likely, probabilities = before.likely[:same], before.probabilities[:same]
    if trace is None or same < len(ids):
        trace, log_p = trace_tokens(model, torch.tensor(ids[same:]), trace)
        new = log_p.topk(best, dim=-1)
        likely = np.concatenate([likely, new.indices.numpy()])
        probabilities = np.concatenate([probabilities, new.values.exp().numpy()])
    chosen = {where: units for where, units in before.chosen.items() if where[1] <= same} if before else {}
    return Reading(pieces, ids, dropped, trace, likely, probabilities, model, chosen)


def _last_column(opened: OpenModel) -> Reading:
    """The end of the context, as the only column of a reading that can be gone on from."""
    trace, log_p = trace_tokens(opened.model, torch.tensor(opened.context))
    best = log_p[-1:].topk(min(5, log_p.shape[-1]), dim=-1)
    column = trace.isel(time=[-1]).assign_coords(time=[0]).assign(nll=("time", np.array([np.nan], np.float32)))
    end = opened.context[-1]
    sign = opened.checkpoint.vocabulary.tokens[end]
    return Reading([sign], [end], 0, column, best.indices.numpy(), best.values.exp().numpy(), opened.model)


def common(a: list, b: list) -> int:
    """How many tokens both begin with."""
    return next((t for t, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def last_changed(before: list, after: list) -> int:
    """The last token that is new, or the one before what was taken out; what follows it ended the old text too."""
    head = common(before, after)
    tail = common(before[head:][::-1], after[head:][::-1])
    return max(0, len(after) - 1 - tail)


def payload(
    opened: OpenModel,
    reading: Reading,
    *,
    layers: list[int],
    roles: list[str],
    order: str,
    selection: dict[str, int],
    generated_from: int | None = None,
    held: Container[str] = (),
    identity: str = "",
    name: str = "",
) -> bytes:
    """Everything the gate map draws, as the bytes it reads.

    Args:
        layers: which to show, from 0.
        roles: which to draw as panels; the others travel too, for the readout.
        order: of the rows, as in `unit_order`.
        selection: time, unit and layer.
        generated_from: time of the first token that the model wrote itself.
        held: blocks of values that the browser holds, which are not sent again.
        identity: of whatever else than the checkpoint and the tokens the values depend on; then what the checkpoint
            says of its units is left out.
        name: of the model, for a picture that leaves the page.
    """
    checkpoint, nll = opened.checkpoint, reading.trace["nll"].values
    vocabulary = checkpoint.vocabulary
    panels, planes = panels_of(opened, reading.trace, layers, roles)
    unknown, typed = vocabulary.ids[UNK], [visible(piece) for piece in reading.pieces]
    header = {
        "linked": not identity,
        "title": name if identity else f"{name} · {described(checkpoint)}",
        "level": vocabulary.level,
        "tokens": [opened.signs[i] for i in reading.ids],
        "unknown": [i == unknown for i in reading.ids],
        "typed": typed,
        "generated_from": generated_from,
        "nll": numbers(nll),
        "running_nll": numbers(running_mean(nll)),
        "top": likeliest(opened, reading, 5),
        "panels": panels,
        **rows_of(opened, reading, layers, order),
        "layers": layers,
        "selection": selection,
        "annotation": {} if identity else annotation(checkpoint, selection["layer"]),
        "begins": not opened.context,
        "shown": CELLS[checkpoint.model.cell].lets_out,
        "resets": CELLS[checkpoint.model.cell].resets,
    }
    return pack(header, planes, identity=checkpoint.digest + identity, ids=reading.ids, held=held)


def described(checkpoint: Checkpoint) -> str:
    """A model in a few words: its cell, its size, and how good it is."""
    config, unit = checkpoint.model, "character" if checkpoint.vocabulary.level == "char" else "word"
    layers = f"{config.num_layers} × " if config.num_layers > 1 else ""
    nll = checkpoint.results["valid_nll"]
    return f"{config.cell}, {layers}{config.hidden_size:,} units · validation perplexity {perplexity(nll):.2f} a {unit}"


def panels_of(
    opened: OpenModel,
    trace: GateTrace,
    layers: list[int],
    roles: Container[str],
    scales: dict[str, tuple[float, float]] | None = None,
) -> tuple[list[dict[str, Any]], list[np.ndarray]]:
    """A description and the values ``(T, U)`` of every gate and state of these layers, for ``pack``.

    Args:
        roles: those to draw.
        scales: role -> (low, high), the ends of its colours; by default the model's own.
    """
    several = opened.checkpoint.model.num_layers > 1
    panels, planes = [], []
    for layer in layers:
        for name in (role for role in ROLES if role in opened.scales[layer]):
            role = ROLES[name]
            values = trace[name].values[layer]  # (T, U)
            low, end = (scales or opened.scales[layer])[name]
            # Colours stop at the fixed ends; numbers go as far as the values do, in steps that a key seldom crosses.
            most = float(np.abs(values[np.isfinite(values)]).max(initial=0))
            high = end * 2 ** ceil(log2(max(1, most / end)))
            low = -high if low < 0 else low
            planes.append(values)
            panels.append(
                {
                    "layer": layer,
                    "role": name,
                    "label": role.label,
                    "symbol": role.symbol,
                    "index": "t",
                    "layer_label": f"layer {layer + 1}" if several else "",
                    "meaning": role.meaning,
                    "does": role.does,
                    "light": role.light,
                    "dark": role.dark,
                    "low": low,
                    "high": high,
                    "limit": end,
                    "signed": low < 0,
                    "mean": mean if np.isfinite(mean := float(values.mean())) else None,
                    "shown": name in roles,
                }
            )
    return panels, planes


def likeliest(opened: OpenModel, reading: Reading, count: int) -> dict[str, Any]:
    """The likeliest next tokens after each token, as they can be seen, and their probabilities.

    ``typed`` has those that are typed otherwise than they are seen; None where a token cannot be typed.
    """
    rows = reading.likely[:, :count].tolist()
    signs, typed = opened.signs, opened.typed
    return {
        "tokens": [[signs[i] for i in row] for row in rows],
        "typed": {signs[i]: typed[i] for i in {i for row in rows for i in row} if signs[i] != typed[i]},
        "probabilities": reading.probabilities[:, :count].astype(float).round(4).tolist(),
    }


def running_mean(nll: np.ndarray) -> np.ndarray:
    """The mean of all values up to each, ``(T,)``; those that are NaN do not count."""
    known = np.isfinite(nll)
    with np.errstate(invalid="ignore"):
        return np.where(known, np.cumsum(np.where(known, nll, 0)) / np.cumsum(known), np.nan)


def unknown_share(opened: OpenModel, reading: Reading) -> float:
    """The share of ``<unk>`` among the tokens that were predicted, whose losses make the perplexity."""
    predicted = np.array(reading.ids)[np.isfinite(reading.trace["nll"].values)]
    return float((predicted == opened.checkpoint.vocabulary.ids[UNK]).sum() / max(1, len(predicted)))


def mostly_unknown(opened: OpenModel, reading: Reading) -> bool:
    """Whether that is so much that the perplexity so far tells little of the rest.

    In a few tokens it never is: while a word is typed it is seldom one that the vocabulary holds.
    """
    return len(reading.ids) >= MANY and unknown_share(opened, reading) >= UNKNOWN_MOST


def rows_of(opened: OpenModel, reading: Reading, layers: list[int], order: str) -> dict[str, list]:
    """For each of these layers all units in the order of their rows and, if only some are shown, which go first."""
    several = order == TELLING and opened.checkpoint.model.hidden_size > MOST
    return {
        "units": [unit_order(opened, reading, layer, order).tolist() for layer in layers],
        "telling": [telling_units(opened, reading, layer)[0] for layer in layers] if several else [],
    }


def unit_order(opened: OpenModel, reading: Reading, layer: int, order: str) -> np.ndarray:
    """Units in the order in which their rows are drawn, ``(H,)``; the telling ones in front where only they are."""
    similar = opened.similar[layer]
    if order == "active":
        return np.argsort(-held(reading.trace).values[layer].std(0), kind="stable")
    if order == "index":
        return np.arange(len(similar))
    if order == "similar" or len(similar) <= MOST:
        return similar
    _, first = telling_units(opened, reading, layer)
    return np.concatenate([first, similar[~np.isin(similar, first)]])


def telling_units(opened: OpenModel, reading: Reading, layer: int) -> tuple[list[int], list[int]]:
    """The units that tell most about what was read, as `telling` chooses them.

    Its choice is made on the first 8, 12, 16, 24, 32, 48, … tokens: a key seldom changes it, and a link brings it back.
    """
    count = looked_at(len(reading.ids))
    if (layer, count) not in reading.chosen:
        values = {role: reading.trace[role].values[layer][:count] for role in opened.scales[layer]}
        always = telling_unit(opened, layer) if opened.checkpoint.hidden_variable else None
        did = acts(values, opened.scales[layer])
        reading.chosen[layer, count] = telling(did, reading.pieces[:count], opened.usual[layer], always)
    return reading.chosen[layer, count]


def telling_unit(opened: OpenModel, layer: int) -> int:
    """The unit to select first: the one that carries a grammar's hidden variable, else the one that tells most."""
    variable = opened.checkpoint.hidden_variable
    if variable:
        correlations = variable["correlations"][layer]
        return correlations.index(max(correlations))
    return int(opened.usual[layer].worth.argmax())


def annotation(checkpoint, layer: int) -> dict[str, str]:
    """For a grammar: the unit of this layer that carries most of its hidden variable, if one does, and how much."""
    if not checkpoint.hidden_variable:
        return {}
    correlations = checkpoint.hidden_variable["correlations"][layer]
    unit = int(np.argmax(correlations))
    if correlations[unit] < CARRIES:
        return {}
    how = f"{measure(checkpoint.corpus_name)} {correlations[unit]:.2f}"
    return {str(unit): f"the {checkpoint.hidden_variable['name']} unit, {how}"}


def numbers(values: np.ndarray) -> list[float | None]:
    """As JSON takes them: None where there is no finite number."""
    rounded = values.astype(float).round(4).tolist()
    return [v if known else None for v, known in zip(rounded, np.isfinite(values).tolist(), strict=True)]
