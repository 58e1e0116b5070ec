"""The gate map: one canvas that shows every gate of every unit at every token, and the readout beside it.

The server sends bytes (a JSON header and one uint16 plane a gate); the browser draws them, answers hover and selection
without the server, and reports the selected ``{"time", "unit", "layer"}`` back once the pointer or keyboard rests.
"""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from streamlit.components import v2 as components

ASSETS = Path(__file__).with_name("gate_map")
NAN = 65535  # the code of "no value"; 0 ... 65534 span low ... high


def _assets(*names: str) -> str:
    return "\n".join((ASSETS / name).read_text(encoding="utf-8") for name in names)


# Inline, and read once: Streamlit serves files only for components of an installed distribution. An inline script
# cannot import another, so the scripts are joined here.
_gate_map = components.component(
    "lstmviz_gate_map", js=_assets("common.js", "picture.js", "gate_map.js"), css=_assets("gate_map.css")
)
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
    scaled = (np.asarray(values, dtype=np.float32) - low) * (65534 / (high - low))
    codes = np.nan_to_num(np.clip(np.rint(scaled), 0, 65534), nan=NAN)
    return codes.astype("<u2")


def pack(header: dict[str, Any], planes: list[np.ndarray]) -> bytes:
    """Put a header and its planes into one message.

    Args:
        header: tokens, losses, panels, units, selection (JSON types only; None where there is no number).
        planes: one uint16 array ``(unit, time)`` for each entry of ``header["panels"]``, in that order.

    Returns:
        Header length (4 bytes, little-endian), the header as JSON, padding to an even offset, the planes.

    Raises:
        ValueError: a plane's number, type or shape does not fit the header, or the header holds NaN.
    """
    panels = header["panels"]
    if len(planes) != len(panels):
        raise ValueError(f"planes must be one a panel, got {len(planes)} for {len(panels)} panels")
    rows = {layer: len(units) for layer, units in zip(header["layers"], header["units"], strict=True)}
    for panel, plane in zip(panels, planes, strict=True):
        shape = (rows[panel["layer"]], len(header["tokens"]))
        if plane.shape != shape or plane.dtype != np.uint16:
            raise ValueError(f"plane {panel['role']} must be uint16 {shape}, got {plane.dtype} {plane.shape}")
    text = json.dumps(header, allow_nan=False, separators=(",", ":")).encode()
    text += b" " * (len(text) % 2)  # JSON allows the space; the planes then start at an even offset
    return b"".join([struct.pack("<I", len(text)), text, *(plane.astype("<u2").tobytes() for plane in planes)])


def gate_map(payload: bytes, *, key: str, height: int = 600) -> Any:
    """Show the gate map.

    Args:
        payload: from `pack`.
        key: the component's identity; keep it, and the canvas stays mounted while the data change.
        height: pixels that tokens, loss and gate panels share (the strip of the selected unit comes below them).

    Returns:
        Has ``selection``: ``{"time": int, "unit": int, "layer": int}`` as last chosen in the browser, or None.
    """
    return _gate_map(data=struct.pack("<I", height) + payload, key=key, on_selection_change=lambda: None)


def readout(*, key: str) -> None:
    """Show the numbers of the selected (or hovered) token and unit, as the gate map on the same page announces them."""
    _readout(key=key)
