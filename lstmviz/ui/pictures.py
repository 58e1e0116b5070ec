"""Which image is read, on Watch and on Compare: a test image, or what a person draws."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from lstmviz.data.images import as_code, examples, from_code
from lstmviz.explain.notes import notes_on_image
from lstmviz.opened import OpenModel
from lstmviz.ui.components import pictures
from lstmviz.ui.session import Picture, Pictures, key_of, report, session
from lstmviz.wire import Note

THUMB = 8  # pixels of a side of those to choose from


@dataclass(frozen=True)
class Chosen:
    """An image, and what is said of it.

    Args:
        image: greys, uint8 ``(W, W)``.
        shows: the label of what it shows; None of a drawing.
        note: why it is not the one that was asked for; empty where it is.
        address: what the page's address says of it.
    """

    image: np.ndarray
    shows: str | None
    note: str
    address: dict[str, str | None]

    def label(self, opened: OpenModel) -> int | None:
        """The label as a model numbers it; None where nobody knows it, or the model does not."""
        return opened.checkpoint.vocabulary.ids.get(self.shows or "")

    def notes(self, opened: OpenModel) -> list[Note]:
        """What a person should know of it and of the model."""
        warned: list[Note] = [("warning", self.note)] if self.note else []
        return [*warned, *notes_on_image(opened, self.shows)]


def choose_image(opened: OpenModel) -> Chosen:
    """A place to draw, and the test images; what was chosen last, at first what the link says, or the first."""
    side = opened.side
    assert side is not None  # it reads images
    memory, key, tests = session(Pictures), key_of("pictures", f"{side}"), examples(side)
    if (said := report(key).picture) and memory.told != (side, said):
        memory.told, memory.shown = (side, said), said
    shown, note = memory.shown, ""
    try:
        number, image = _found(shown, side)
    except ValueError as error:
        note, shown = f"The image asked for cannot be read: {error}. This is the first of the test images.", Picture()
        number, image = _found(shown, side)
    pictures(
        side=side,
        images=_thumbs(),
        labels="".join(str(label) for label in tests[:, 0, -1].tolist()),
        shown={"image": number} if number is not None else {"drawn": shown.drawn},
        pixels=as_code(image),
        noun=opened.task.label,
        key=key,
    )
    shows = None if number is None else f"{int(tests[number, 0, -1])}"
    address = {"image": f"{number}" if number else None, "drawn": shown.drawn or None}
    return Chosen(image, shows, note, address)


def no_image() -> dict[str, str | None]:
    """What the page's address says of an image where a text is read: it no longer says one that was shown before."""
    return {} if session(Pictures).shown == Picture() else {"image": None, "drawn": None}


def _found(shown: Picture, side: int) -> tuple[int | None, np.ndarray]:
    """The number and the pixels of a test image, or None and those of a drawing.

    Raises:
        ValueError: there is none such.
    """
    if shown.drawn:
        return None, from_code(shown.drawn, side)
    tests = examples(side)
    if not (shown.image.isascii() and shown.image.isdigit() and len(shown.image) < 9 and int(shown.image) < len(tests)):
        raise ValueError(f"there is no test image {shown.image[:20]!r}; they are numbered from 0 to {len(tests) - 1}")
    return int(shown.image), tests[int(shown.image), :, :-1]


@cache
def _thumbs() -> list[str]:
    return [as_code(image[:, :-1]) for image in examples(THUMB)]
