"""Whether a model answers in the page, and what the page is told for that."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import replace

from lstmviz.live import live, why_not
from lstmviz.opened import OpenModel
from lstmviz.reading import NOBODY, Selected, Selection, telling_unit
from lstmviz.ui.imports import is_all_there
from lstmviz.ui.session import (
    LAYER,
    MODEL,
    NETWORK,
    InPage,
    Inside,
    Looked,
    Report,
    Watch,
    linked,
    linked_number,
    linked_options,
    session,
)
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


def selection_here(
    memory: Watch | Inside, opened: OpenModel, layers: Sequence[int], told: Selection | None
) -> Selection:
    """The selected time, unit and layer where the page knows the tokens: the time is `NOBODY` until somebody chose one.

    Args:
        memory: the page's.
        layers: the tracks that it shows.
        told: what the browser says.
    """
    if memory.selected is None:
        asked = (memory.layer or 1) - 1 if isinstance(memory, Inside) else layers[0]
        track = asked if asked in layers else layers[0]
        time = NOBODY if memory.time is None else memory.time
        unit = telling_unit(opened, track) if memory.unit is None else memory.unit
        memory.selected = Selected(Selection(time, unit, track), None, told)
    elif told and told != memory.selected.told:
        memory.selected = Selected(told, None, told)
    selection = memory.selected.selection.within(opened.checkpoint.model.hidden_size)
    return selection if selection.of in layers else replace(selection, of=layers[0])


def carry_over(page: type[Watch] | type[Inside]) -> None:
    """On Watch and on Inside the same model reads the same text, with the same token, unit and layer selected: what the
    one that was seen last showed when somebody comes from another page, but where a link, or Back, says what is to be
    seen. Before anything is drawn.
    """
    looked, box = session(Looked), MODEL if page is Watch else NETWORK
    before, looked.page = looked.page, page
    if before is None or not looked.came:
        return
    memory, was = session(page), session(before).selected
    own, memory.begun, memory.selected = memory.selected, False, None
    if linked(box.key) or linked("unit"):
        memory.time, memory.unit, layer = linked_number("time"), linked_number("unit"), linked_number("layer")
        if isinstance(memory, Inside):
            memory.options = linked_options()
    else:
        if looked.model is not None:
            box.put(looked.model)
        memory.time = was.selection.time if was and was.selection.time != NOBODY else None
        memory.unit, layer = (was.selection.unit, was.selection.of + 1) if was else (None, None)
        if page is Watch and layer and before is not page:
            LAYER.put(f"{layer}")
    if isinstance(memory, Inside):
        # Streamlit may have taken it from the link, as Watch calls its own, too.
        memory.layer = layer or (own.selection.of + 1 if own else None)


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
