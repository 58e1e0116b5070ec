"""What the browser draws, as the bytes that it reads."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Container
from math import ceil, log2
from typing import Any

import numpy as np

from lstmviz.cells import CELLS
from lstmviz.checkpoint import Checkpoint
from lstmviz.data.grammars import measure
from lstmviz.data.vocabulary import UNK, visible
from lstmviz.model import perplexity
from lstmviz.reading import OpenModel, Reading, rows_of, running_mean
from lstmviz.roles import ROLES
from lstmviz.trace import GateTrace

BLOCK = 32  # tokens


NAN = 65535  # the code of "no value"; 0 ... 65534 span low ... high


def quantize(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Code values for the browser in 16 bits, an error of at most (high - low) / 131068.

    Args:
        values: any shape; clipped to ``low`` ... ``high``, NaN allowed.
        low: the value of code 0.
        high: the value of code 65534; above ``low``.

    Returns:
        uint16 codes of the same shape; NaN becomes 65535.

    Raises:
        ValueError: ``high`` is not above ``low``.
    """
    if not high > low:
        raise ValueError(f"high must be above low, got low={low} and high={high}")
    dtype = np.float32 if high - low < 1e30 else np.float64  # which has room for what float32 only just holds
    scaled = (np.asarray(values, dtype) - low) * (65534 / (high - low))
    codes = np.nan_to_num(np.clip(np.rint(scaled), 0, 65534), nan=NAN)
    return codes.astype("<u2")


def pack(
    header: dict[str, Any], planes: list[np.ndarray], *, identity: str, ids: list[int], held: Container[str] = ()
) -> bytes:
    """Put a header and its planes into one message.

    Args:
        header: tokens, losses, panels, units, selection (JSON types only; None where there is no number).
        planes: values ``(time, unit)`` for each entry of ``header["panels"]``, in that order.
        identity: of the model, and of whatever else than tokens and panels the values depend on.
        ids: the tokens read, ``(T,)``.
        held: names of blocks that the browser has reported to hold.

    Returns:
        Header length (4 bytes, little-endian); the header with ``blocks`` (name, number of tokens, whether it is sent)
        as JSON; padding to an even offset; the blocks that are sent, each plane after plane as uint16 codes
        ``(time, unit)``.

    Raises:
        ValueError: a plane's number or shape does not fit the header, or the header holds NaN.
    """
    panels = header["panels"]
    if len(planes) != len(panels):
        raise ValueError(f"planes must be one a panel, got {len(planes)} for {len(panels)} panels")
    widths = {layer: len(units) for layer, units in zip(header["layers"], header["units"], strict=True)}
    for panel, plane in zip(panels, planes, strict=True):
        shape = (len(ids), widths[panel["layer"]])
        if plane.shape != shape:
            raise ValueError(f"plane {panel['role']} must have shape {shape}, got {plane.shape}")
    bounds = [(panel["layer"], panel["role"], panel["low"], panel["high"]) for panel in panels]
    name = hashlib.blake2b(f"{identity} {bounds}".encode(), digest_size=12)
    blocks, parts = [], []
    for start in range(0, len(ids), BLOCK):
        part = slice(start, start + BLOCK)
        name.update(np.array(ids[part], np.int64).tobytes())  # and so of every token before it
        sent = name.hexdigest() not in held
        blocks.append((name.hexdigest(), len(ids[part]), sent))
        if sent:
            parts += [quantize(plane[part], low, high) for plane, (*_, low, high) in zip(planes, bounds, strict=True)]
    text = json.dumps({**header, "blocks": blocks}, allow_nan=False, separators=(",", ":")).encode()
    text += b" " * (len(text) % 2)  # JSON allows the space; the blocks then start at an even offset
    return b"".join([struct.pack("<I", len(text)), text, *(part.tobytes() for part in parts)])


CARRIES = 0.5  # from here on a unit is named after the variable that it carries


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
    checkpoint, nll = opened.checkpoint, reading.trace.nll
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
            values = trace[name][layer]  # (T, U)
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
