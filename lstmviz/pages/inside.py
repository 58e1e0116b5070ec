"""Inside: one step of one unit taken apart, in a sentence that a person types."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import streamlit as st

from lstmviz.data.vocabulary import plain, shown
from lstmviz.home import Home
from lstmviz.live import why_not
from lstmviz.opened import OpenModel
from lstmviz.reading import Selection, read, read_image
from lstmviz.ui import sources
from lstmviz.ui.choice import open_chosen
from lstmviz.ui.components import inside
from lstmviz.ui.controls import STYLE, examples_menu, keep_text, kept_time, type_sentence
from lstmviz.ui.gradients import gradients
from lstmviz.ui.in_page import answers_here, carry_over, heard, models_for_page, selection_here, to_be_checked
from lstmviz.ui.over_text import over_a_text
from lstmviz.ui.people import whose
from lstmviz.ui.pictures import choose_image, no_image
from lstmviz.ui.session import HELD, NETWORK, READ, Inside, Looked, Sentences, key_of, report, session
from lstmviz.ui.sources import Address
from lstmviz.wire import Frame, InsideHere, payload

# What is shown under the sentence, as the link calls it: a part that the page makes, by its name in web/inside.js; or
# one that the server makes, of a model, its text, and the selection, whose time is `NOBODY` at the last token.
VIEWS: dict[str, str | Callable[[OpenModel, str, Selection], None]] = {
    "one step": "step",
    "what goes in": "input",
    "who wrote it": "memory",
    "gradients": gradients,
    HELD: "hold",
    "over a text": over_a_text,
    "sandbox": "sandbox",
}
THESE = "brackets", "shakespeare-char-lstm", "wikitext2-word-lstm"  # which can be shown instead


def page() -> None:
    """The model and the part of it above, the sentence and all that answers it below."""
    carry_over(Inside)
    st.html(STYLE)
    home, (left, right) = whose(), st.columns([2.2, 1], gap="medium")
    if (chosen := open_chosen(home, left, right, NETWORK)) is None:
        return
    address, opened = chosen
    if not answers_here(opened):
        with left:
            why_none(home, address, opened)
        return
    begin(address, opened)
    with left:
        view = bar(opened)
    take_apart(address, view)


def bar(opened: OpenModel) -> str:
    """What is shown, examples, and the way to the map; the name in ``VIEWS`` of the first."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="bar"):
        view = st.segmented_control(
            "what is shown",
            [*VIEWS],
            default=next(iter(VIEWS)),
            key="view",
            required=True,
            bind="query-params",
            label_visibility="collapsed",
        )
        if not opened.side:
            examples_menu(opened, READ)
        st.page_link("watch.py", label="the map of all gates", help="The same model, text, token and unit on Watch")
    return view or next(iter(VIEWS))


def why_none(home: Home, address: Address, opened: OpenModel) -> None:
    """Why this model is not shown here, and others that are."""
    why = why_not(opened) or "the page was asked, or had to ask, that the server answers for it"
    st.info(
        f"**{plain(str(address))}** can be watched, but not taken apart here: {plain(why)}. What is on this page is "
        "computed in the browser, by the equations of the model's cell, as you type and drag. Take another model, "
        "or one of these:"
    )
    with st.container(horizontal=True, gap="small", key="these"):
        for name in map(str, sources.every(home)):
            if name in THESE:
                st.button(name, key=key_of("take", name), on_click=NETWORK.put, args=(name,))


def begin(address: Address, opened: OpenModel) -> None:
    """When the model changes, what was selected in the one before is forgotten, but no text, and of that no token."""
    memory, session(Looked).model = session(Inside), str(address)
    time = kept_time(opened, READ, memory.selected)
    if keep_text(f"inside {address}", opened, READ):
        if memory.begun:
            memory.time, memory.unit, memory.layer = time, None, None
        memory.selected = None
    memory.begun = True


@st.fragment
def take_apart(address: Address, view: str) -> None:
    """Everything that answers a keystroke, always the same elements: see ``ui.components``."""
    opened, memory, said = address.open(), session(Inside), report("step")
    heard(said)
    if not answers_here(opened):  # since the page found that it cannot
        st.rerun()
    memory.options = memory.options if said.options is None else said.options
    layers = [*range(len(opened.tracks))]
    with st.container(key="inside"):
        image = None
        if opened.side:
            image = choose_image(opened)
            text, notes, link = image.image.tobytes().hex(), image.notes(opened), {READ.key: None, **image.address}
            reads = partial(read_image, opened, image.image, image.label(opened))
        else:
            text, notes, link = type_sentence(opened, READ, rests=True), [], no_image()
            reads = partial(read, opened, text)
        selection = selection_here(memory, opened, layers, said.selection)
        # Streamlit leaves out of the address a model that was carried over, and a layer, as Watch calls its own, too.
        link |= {NETWORK.key: shown(f"{address}"), "layer": f"{selection.of + 1}" if len(layers) > 1 else None}
        reading = reads() if to_be_checked(said, [opened], text) else None
        view_of_all = {"layers": layers, "roles": [], "order": "index"}
        sent, section = models_for_page({f"{address}": opened}), VIEWS[view]
        here = InsideHere(
            models=[opened.checkpoint.digest],
            sent=[*sent],
            box="" if opened.side else READ.key,
            text=text,
            put=session(Sentences).put,
            label=image.label(opened) if image else None,
            **view_of_all,
            selection=selection.said("layer"),
            written=None,
            write=None,
            checked=reading is not None,
            section=section if isinstance(section, str) else "",
            options=memory.options,
        )
        message = b"".join(sent.values())
        if reading:
            message += payload(opened, reading, **view_of_all, selection=selection.said("layer"), name=f"{address}")
        inside(message, Frame(notes, address=link, here=here), key="step")
        with st.container():  # so that what stands above stays in its place
            if not isinstance(section, str):
                section(opened, text, selection)


page()
