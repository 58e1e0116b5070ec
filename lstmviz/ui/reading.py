"""One reading of a sentence by a model, and what of it the browser draws."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from math import ceil, log2
from typing import Any

import numpy as np
import torch

from lstmviz.cells import CELLS
from lstmviz.charts import ROLES
from lstmviz.grammars import measure
from lstmviz.model import LanguageModel
from lstmviz.text import UNK, visible
from lstmviz.trace import GateTrace, held, trace_tokens
from lstmviz.ui.gate_map import pack
from lstmviz.ui.models import OpenModel

MAX_TOKENS = 2000
CARRIES = 0.5  # from here on a unit is named after the variable that it carries
DRAWN_FIRST = (
    "forget_gate", "log_forget_gate", "input_gate", "log_input_gate", "output_gate",
    "reset_gate", "update_gate", "cell",
)  # fmt: skip
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
    """

    pieces: list[str]
    ids: list[int]
    dropped: int
    trace: GateTrace
    likely: np.ndarray
    probabilities: np.ndarray
    model: LanguageModel


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
    return Reading(pieces, ids, dropped, trace, likely, probabilities, model)


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


def drawn_roles(available: Container[str]) -> list[str]:
    """The roles shown at first: the gates and the cell; where there is no cell, the hidden state."""
    roles = [name for name in DRAWN_FIRST if name in available]
    return roles if "cell" in roles else [*roles, "hidden"]


def payload(
    opened: OpenModel,
    reading: Reading,
    *,
    layers: list[int],
    roles: list[str],
    units: list[np.ndarray],
    selection: dict[str, int],
    generated_from: int | None = None,
    held: Container[str] = (),
    identity: str = "",
) -> bytes:
    """Everything the gate map draws, as the bytes it reads.

    Args:
        layers: which to show, from 0.
        roles: which to draw as panels; the others travel too, for the readout.
        units: for each of these layers, the units in the order of their rows.
        selection: time, unit and layer.
        generated_from: time of the first token that the model wrote itself.
        held: blocks of values that the browser holds, which are not sent again.
        identity: of whatever else than the checkpoint and the tokens the values depend on; then what the checkpoint
            says of its units is left out.
    """
    checkpoint, nll = opened.checkpoint, reading.trace["nll"].values
    vocabulary = checkpoint.vocabulary
    panels, planes = panels_of(opened, reading.trace, layers, roles)
    unknown, typed = vocabulary.ids[UNK], [visible(piece) for piece in reading.pieces]
    header = {
        "level": vocabulary.level,
        "tokens": [opened.signs[i] for i in reading.ids],
        "unknown": [i == unknown for i in reading.ids],
        "typed": typed,
        "generated_from": generated_from,
        "nll": numbers(nll),
        "running_nll": numbers(running_mean(nll)),
        "top": likeliest(opened, reading, 5),
        "panels": panels,
        "units": [order.tolist() for order in units],
        "layers": layers,
        "selection": selection,
        "annotation": {} if identity else annotation(checkpoint, selection["layer"]),
        "begins": not opened.context,
        "shown": CELLS[checkpoint.model.cell].lets_out,
        "resets": CELLS[checkpoint.model.cell].resets,
    }
    return pack(header, planes, identity=checkpoint.digest + identity, ids=reading.ids, held=held)


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
            most = max(float(values.max()), -float(values.min()))
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
                    "light": role.light,
                    "dark": role.dark,
                    "low": low,
                    "high": high,
                    "limit": end,
                    "signed": low < 0,
                    "mean": float(values.mean()),
                    "shown": name in roles,
                }
            )
    return panels, planes


def likeliest(opened: OpenModel, reading: Reading, count: int) -> dict[str, list]:
    """The likeliest next tokens after each token, as they can be seen, and their probabilities."""
    return {
        "tokens": [[opened.signs[i] for i in row] for row in reading.likely[:, :count].tolist()],
        "probabilities": reading.probabilities[:, :count].astype(float).round(4).tolist(),
    }


def running_mean(nll: np.ndarray) -> np.ndarray:
    """The mean of all values up to each, ``(T,)``; those that are NaN do not count."""
    known = np.isfinite(nll)
    with np.errstate(invalid="ignore"):
        return np.where(known, np.cumsum(np.where(known, nll, 0)) / np.cumsum(known), np.nan)


def unit_order(opened: OpenModel, trace: GateTrace, layer: int, order: str) -> np.ndarray:
    """Units in the order in which their rows are drawn, ``(H,)``."""
    if order == "similar":
        return opened.similar[layer]
    states = held(trace).values[layer]  # (T, H)
    if order == "active":
        return np.argsort(-states.std(0), kind="stable")
    return np.arange(states.shape[1])


def telling_unit(opened: OpenModel, layer: int) -> int:
    """The unit to select first: the one that carries a grammar's hidden variable, else the first row."""
    variable = opened.checkpoint.hidden_variable
    if variable:
        correlations = variable["correlations"][layer]
        return correlations.index(max(correlations))
    return int(opened.similar[layer][0])


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
