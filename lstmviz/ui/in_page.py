"""Whether a model answers in the page, and what the page is told for that."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

from lstmviz.live import live, why_not
from lstmviz.opened import OpenModel
from lstmviz.ui.imports import is_all_there
from lstmviz.ui.session import InPage, Report, linked, session
from lstmviz.wire import CHECKED_MOST, sized

BY_SERVER = "server"  # what a link may say of who answers


def answers_here(opened: OpenModel) -> bool:
    """Whether the page can run this model, and nobody asked otherwise."""
    asked = linked("by") != BY_SERVER
    return asked and not why_not(opened) and opened.checkpoint.digest not in session(InPage).failed


def heard(said: Report) -> None:
    """Remember what a view that the page makes says of the models in it."""
    memory = session(InPage)
    memory.failed.update(said.failed)
    memory.checked.update(said.checked)
    if said.lacks and said.lacks != memory.lacked:
        memory.lacked = said.lacks
        memory.sent.difference_update(said.lacks[0])


def to_be_checked(said: Report, models: Sequence[OpenModel], text: str) -> bool:
    """Whether the page should now see what the server makes of a text: until it has, once for each model. It should be
    a short one, which the page reads at once; and nobody waits for torch.

    Args:
        text: characters, or the pixels of an image.
    """
    digests = [each.checkpoint.digest for each in models]
    asks = [*said.unchecked] == digests and not session(InPage).checked.issuperset(digests)
    return asks and (models[0].side is not None or len(text) <= CHECKED_MOST) and is_all_there()


def models_for_page(models: Mapping[str, OpenModel]) -> dict[str, bytes]:
    """Those of the models by their names that the page was not sent yet, by their digests, as it takes them."""
    memory, found = session(InPage), {}
    for name, opened in models.items():
        digest = opened.checkpoint.digest
        if digest not in memory.sent:
            memory.sent.add(digest)
            found[digest] = as_sent(opened, name)
    return found


def as_sent(opened: OpenModel, name: str = "") -> bytes:
    """A model as the page takes it: its header, and its weights after their length."""
    header, weights = live(opened, name)
    return sized(header) + struct.pack("<I", len(weights)) + weights
