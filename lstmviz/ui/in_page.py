"""Whether a model answers in the page, and what the page is told for that."""

from __future__ import annotations

import struct

from lstmviz.live import answers, live
from lstmviz.opened import OpenModel
from lstmviz.ui.session import InPage, Report, linked, session
from lstmviz.wire import sized

BY_SERVER = "server"  # what a link may say of who answers


def answers_here(opened: OpenModel) -> bool:
    """Whether the page can run this model, and nobody asked otherwise."""
    asked = linked("by") != BY_SERVER
    return asked and not answers(opened) and opened.checkpoint.digest not in session(InPage).failed


def heard(said: Report) -> None:
    """Remember what a view that the page makes says of the models in it."""
    memory = session(InPage)
    if said.failed:
        memory.failed.add(said.failed)
    if said.lacks and said.lacks != memory.lacked:
        memory.lacked = said.lacks
        memory.sent.discard(said.lacks[0])


def to_be_checked(said: Report, opened: OpenModel) -> bool:
    """Whether the page should now see what the server makes of a text: once for each model."""
    memory, digest = session(InPage), opened.checkpoint.digest
    if said.unchecked != digest or digest in memory.checked:
        return False
    memory.checked.add(digest)
    return True


def model_for_page(opened: OpenModel, name: str) -> bytes:
    """The model as a page takes it; nothing where it was sent already."""
    memory, digest = session(InPage), opened.checkpoint.digest
    if digest in memory.sent:
        return b""
    memory.sent.add(digest)
    header, weights = live(opened, name)
    return sized(header) + struct.pack("<I", len(weights)) + weights
