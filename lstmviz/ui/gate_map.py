"""The gate map: one canvas that shows every gate of every unit at every token, and the readout beside it.

The server sends bytes; the browser draws them, answers hover and selection without the server, and reports the selected
``{"time", "unit", "layer"}`` back once the pointer or keyboard rests.

A keystroke changes one column of many. So the values travel in blocks of 32 tokens, each named by all that it depends
on; the browser reports which whole blocks it holds, and those are not sent to it again.

**One fixed place.** What a fragment draws anew has the same elements in the same order at every run: when the next run
overtakes one, the browser may keep what that one left out. So the map itself says what there is to say of a text, also
that there is none; and where elements must come and go, a container that is always made holds them (empty, it takes no
room).
"""

import hashlib
import json
import struct
from collections.abc import Container, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import streamlit as st
from streamlit.components import v2 as components

ASSETS = Path(__file__).with_name("gate_map")
BLOCK = 32  # tokens
NAN = 65535  # the code of "no value"; 0 ... 65534 span low ... high


def _assets(*names: str) -> str:
    return "\n".join((ASSETS / name).read_text(encoding="utf-8") for name in names)


# Inline, and read once: Streamlit serves files only for components of an installed distribution. An inline script
# cannot import another, so the scripts are joined here.
_gate_map = components.component(
    "lstmviz_gate_map",
    js=_assets("common.js", "picture.js", "page.js", "present.js", "gate_map.js"),
    css=_assets("gate_map.css", "present.css"),
)
_comparison = components.component(
    "lstmviz_comparison",
    js=_assets("common.js", "picture.js", "page.js", "present.js", "compare.js"),
    css=_assets("gate_map.css", "present.css", "compare.css"),
)
_heading = components.component("lstmviz_heading", js=_assets("common.js", "heading.js"), css=_assets("heading.css"))
_moments = components.component("lstmviz_moments", js=_assets("common.js", "moments.js"), css=_assets("moments.css"))
_readout = components.component("lstmviz_readout", js=_assets("common.js", "readout.js"), css=_assets("readout.css"))


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


Note = tuple[Literal["look", "note", "info", "warning"], str]  # a sentence over the map; text, not Markdown


def gate_map(payload: bytes, *, key: str, height: int = 0, notes: Sequence[Note] = ()) -> Any:
    """Show the gate map.

    Args:
        payload: from `pack`; empty where there is nothing to draw.
        key: the component's identity; keep it, and the canvas stays mounted while the data change.
        height: pixels that tokens, loss and gate panels share; 0 for what the window has room for, with the strips of
            the selected unit below them.
        notes: what is said over the map.

    Returns:
        Has ``selection``: ``{"time": int, "unit": int, "layer": int}`` as last chosen in the browser, and ``held``: the
        names of the blocks that the browser holds; each None until reported.
    """
    text = json.dumps({"height": height, "notes": notes}, separators=(",", ":")).encode()
    data = struct.pack("<I", len(text)) + text + payload
    return _gate_map(data=data, key=key, on_selection_change=lambda: None, on_held_change=lambda: None)


def comparison(header: dict[str, Any], parts: list[bytes], *, key: str, notes: Sequence[Note] = ()) -> Any:
    """Show several models side by side.

    Args:
        header: what `compare.js` reads of all of them together (JSON types only); ``models`` has one entry a part.
            Empty where there is nothing to draw.
        parts: from `pack`, one a model.
        key: the component's identity.
        notes: what is said over them.

    Returns:
        Has ``selection``: ``{"time": int, "unit": int, "model": int}`` as last chosen in the browser, ``held`` as in
        `gate_map`, and ``pinned``: the ``id`` of the model that was made the reference; each None until reported.
    """
    text = json.dumps({**header, "notes": notes}, allow_nan=False, separators=(",", ":")).encode()
    sized = (piece for part in (text, *parts) for piece in (struct.pack("<I", len(part)), part))
    return _comparison(
        data=b"".join(sized),
        key=key,
        on_selection_change=lambda: None,
        on_held_change=lambda: None,
        on_pinned_change=lambda: None,
    )


def moments(label: str, steps: list[int], at: int, *, key: str) -> None:
    """Show a slider over the steps of a training; `moved_to` says where somebody moved it.

    Args:
        label: over it.
        steps: in order.
        at: the one that it shows.
        key: the component's identity.
    """
    data = json.dumps({"label": label, "steps": steps, "at": at}).encode()
    _moments(data=data, key=key, on_moved_change=lambda: None)


def heading(words: str, arrived: float | None, *, key: str) -> None:
    """Show what the page is about now; where it is not in view it comes there, once for each arrival.

    Args:
        words: plain text.
        arrived: when a person last asked for something new, on any clock; None before.
        key: the component's identity.
    """
    _heading(data=json.dumps({"words": words, "arrived": arrived}).encode(), key=key)


def moved_to(key: str) -> int | None:
    """The step that somebody moved the slider to, in this run of the page; to be asked before it is shown again."""
    return (st.session_state.get(key) or {}).get("moved")


def readout(*, key: str) -> bool:
    """Show the numbers of the selected (or hovered) token and unit, as the gate map on the same page announces them.

    Returns:
        Whether the first map is on the screen, or none is coming.
    """
    return bool(_readout(key=key, on_shown_change=lambda: None).get("shown"))
