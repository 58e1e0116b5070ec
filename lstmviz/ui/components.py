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

import json
from collections.abc import Callable
from typing import Any

from streamlit.components import v2 as components

from lstmviz.scripts import script, style
from lstmviz.wire import Frame, LiveComparison, framed, side_by_side

# Inline, and read once: Streamlit serves files only for components of an installed distribution.
_gate_map = components.component("lstmviz_gate_map", js=script("map.js"), css=style("map.css", "present.css"))
_comparison = components.component(
    "lstmviz_comparison", js=script("compare.js"), css=style("map.css", "present.css", "compare.css")
)
_heading = components.component("lstmviz_heading", js=script("heading.js"), css=style("heading.css"))
_inside = components.component(
    "lstmviz_inside", js=script("inside.js"), css=style("map.css", "present.css", "inside.css")
)
_moments = components.component("lstmviz_moments", js=script("moments.js"), css=style("moments.css"))
_pictures = components.component("lstmviz_pictures", js=script("pictures.js"), css=style("pictures.css"))
_readout = components.component("lstmviz_readout", js=script("readout.js"), css=style("readout.css"))


def gate_map(payload: bytes, frame: Frame, *, key: str) -> Any:
    """Show the gate map.

    Args:
        payload: from `pack`; empty where there is nothing to draw.
        frame: what is said over it, and where.
        key: the component's identity; keep it, and the canvas stays mounted while the data change.

    Returns:
        What `session.report` reads; each None until reported.
    """
    return _gate_map(data=framed(frame, payload), key=key, **_heard("written"))


def _heard(*more: str) -> dict[str, Any]:
    """What a picture that models make in the page may say."""
    names = "selection", "held", "lacks", "unchecked", "checked", "failed", *more
    return {f"on_{name}_change": lambda: None for name in names}


def comparison(header: LiveComparison, parts: list[bytes], frame: Frame, models: bytes = b"", *, key: str) -> Any:
    """Show several models side by side.

    Args:
        header, parts, models: see `side_by_side`.
        frame: what is said over them.
        key: the component's identity.

    Returns:
        What `session.report` reads; each None until reported.
    """
    return _comparison(data=side_by_side(header, parts, frame, models), key=key, **_heard("pinned"))


def inside(models: bytes, frame: Frame, *, key: str) -> Any:
    """Show a sentence, the units of a layer, and a part of what is inside one step; the page makes all of it.

    Args:
        models: what `Here` says that follows.
        frame: what is said over it, and of what it is made.
        key: the component's identity.

    Returns:
        What `session.report` reads; each None until reported.
    """
    return _inside(data=framed(frame, models), key=key, **_heard("options"))


def pictures(
    *, side: int, images: list[str], labels: str, shown: dict[str, Any], pixels: str, noun: str, key: str
) -> None:
    """Show a place to draw, and images to choose from; `session.report` says what somebody chose or drew.

    Args:
        side: of the image that is read, in pixels.
        images: to choose from, as `lstmviz.data.images.as_code` writes them.
        labels: theirs, a letter an image.
        shown: ``{"image": number}`` or ``{"drawn": code}``.
        pixels: of what is shown.
        noun: what there is to draw.
        key: the component's identity.
    """
    data = {"side": side, "images": images, "labels": labels, "shown": shown, "pixels": pixels, "noun": noun}
    _pictures(data=json.dumps(data).encode(), key=key, on_picture_change=lambda: None)


def moments(label: str, steps: list[int], at: int, heard: float, *, on_moved: Callable[[], None], key: str) -> None:
    """Show a slider over the steps of a training; `session.report` says where somebody moved it.

    Args:
        label: over it.
        steps: in order.
        at: the one that it shows.
        heard: when it was last moved, of what is known here: what is from before moves it no more.
        on_moved: what is done once somebody moved it, or held it where it stands.
        key: the component's identity.
    """
    data = json.dumps({"label": label, "steps": steps, "at": at, "heard": heard}).encode()
    _moments(data=data, key=key, on_moved_change=on_moved)


def heading(words: str, arrived: float | None, *, key: str) -> None:
    """Show what the page is about now; where it is not in view it comes there, once for each arrival.

    Args:
        words: plain text.
        arrived: when a person last asked for something new, on any clock; None before.
        key: the component's identity.
    """
    _heading(data=json.dumps({"words": words, "arrived": arrived}).encode(), key=key)


def readout(*, key: str) -> bool:
    """Show the numbers of the selected (or hovered) token and unit, as the gate map on the same page announces them.

    Returns:
        Whether the first map is on the screen, or none is coming.
    """
    return bool(_readout(key=key, on_shown_change=lambda: None).get("shown"))
