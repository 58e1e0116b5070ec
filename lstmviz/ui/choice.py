"""Which models: the menu of Watch with the card and the upload, and that of Compare with line-ups and copies."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from lstmviz.card import card
from lstmviz.checkpoint import CheckpointError
from lstmviz.config import NAME_MOST
from lstmviz.data.vocabulary import plain, shown
from lstmviz.explain.comparison import MOST
from lstmviz.home import Home
from lstmviz.live import why_not
from lstmviz.opened import OpenModel
from lstmviz.tasks import TASKS
from lstmviz.ui import sources
from lstmviz.ui.cell_card import cell_card
from lstmviz.ui.in_page import answers_here
from lstmviz.ui.session import MODEL, MODELS, UPLOAD, Uploads, Widget, key_of, linked, linked_all, session, unlink
from lstmviz.ui.sources import Address, Copy, Member, Uploaded

TELLING = ("lstm_concat", "report_concat", "gru", "rnn")  # cells of a line-up that are shown first


# ---- one -------------------------------------------------------------------------------------------------------------


def open_chosen(
    home: Home, left: DeltaGenerator, right: DeltaGenerator, box: Widget[str] = MODEL
) -> tuple[Address, OpenModel] | None:
    """The model that is chosen at the right, opened; None where there is none, or it cannot be, which the left says.

    Args:
        box: the page's.
    """
    with right, st.container():  # with what is said of the choice, so that what follows stays in its place
        address = choose_model(home, box)
    if address is None:
        return None
    try:
        with left, st.container(), st.spinner("Opening the model…"):
            return address, address.open()
    except CheckpointError as error:
        left.error(f"This model cannot be opened: {plain(str(error))}. Choose another one at the right.")
        return None


def choose_model(home: Home, box: Widget[str] = MODEL) -> Address | None:
    """The menu of models, the card of the chosen one, and the upload; None where there are no models.

    Args:
        box: the page's.
    """
    names = [*map(str, sources.every(home))]
    if not names:
        st.warning(
            "There are no checkpoints in the folder checkpoints/. Train one with "
            "`python -m lstmviz train runs/brackets --corpus brackets` and upload its best.safetensors below."
        )
        upload(home, box)
        return None
    asked = linked(box.key)
    names += [name for name in sources.shared([asked or ""]) if name not in names]
    if box.value() not in names:
        if asked is not None and asked not in map(shown, names):  # as the menu writes it into the link
            st.warning(
                "The link asks for a model that is not here; this is another one. An uploaded model goes with its page."
            )
            unlink(box.key)
        box.forget()
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="choice"):
        name = st.selectbox(
            "model", names, format_func=shown, key=box.key, bind="query-params", label_visibility="collapsed"
        )
        address = sources.parse(name)
        with st.popover("card", help="What the model was trained on, how, and how good it is"):
            show_card(address)
        with st.popover("open"):
            upload(home, box)
    return address


def show_card(address: Address) -> None:
    """Data, licence, command, seed and figures of a model, and what its cell computes."""
    try:
        st.markdown(f"**{plain(str(address))}**")
        opened = address.open()
        checkpoint = opened.checkpoint
        st.markdown(card(checkpoint))
        why = why_not(opened)
        here = "Its answers are made in this page." if answers_here(opened) else "The server answers each key."
        st.caption(f"The server answers each key, since {why}." if why else here)
        cell_card(checkpoint.model.cell, checkpoint.model.embedding_size, checkpoint.model.hidden_size)
    except CheckpointError as error:
        st.error(plain(str(error)))


def upload(home: Home, box: Widget[str]) -> None:
    """Take a checkpoint of ours from the person's disk."""
    label = "open a checkpoint of your own (.safetensors)"
    if problem := session(Uploads).problem:
        st.error(f"The file cannot be used: {plain(problem)}.")
    st.file_uploader(label, type="safetensors", key=UPLOAD.key, on_change=take_upload, args=(home, box))


def take_upload(home: Home, box: Widget[str]) -> None:
    """Choose the uploaded model; only a callback, which runs before the menu is drawn, may do that."""
    file, uploads = UPLOAD.value(), session(Uploads)
    uploads.problem = ""
    if file is None:
        return
    try:
        box.put(str(Uploaded.take(home, file.getvalue())))
    except ValueError as error:  # as every CheckpointError is one
        uploads.problem = str(error)


# ---- several ---------------------------------------------------------------------------------------------------------


def choose_models(home: Home) -> list[Address]:
    """The menu of all models, of line-ups, and of copies in another layout."""
    names = [*map(str, sources.every(home))]
    as_shown = {shown(name): name for name in names}  # the menu writes them so into the link
    told = (as_shown.get(name, name) for name in linked_all(MODELS.key))
    asked: list[str] = [*dict.fromkeys([*(MODELS.value() or []), *told])]
    names += [name for name in sources.shared(asked) if name not in names]
    if first := next((name for name in asked or ([] if MODELS.known() else first_models()) if name in names), None):
        task = sources.parse(first).of  # models of another are not offered beside it
        names = [name for name in names if name in asked or sources.parse(name).of == task]
    copies = [name for name in asked if isinstance(it := sources.parse(name), Copy) and str(it.original) in names]
    names += [name for name in copies if name not in names]
    if lost := [name for name in asked if name not in names]:
        st.warning(f"These models are not here: {plain(', '.join(name[:NAME_MOST] for name in lost))}.")
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="choice"):
        chosen = st.multiselect(
            "models",
            names,
            [name for name in first_models() if name in names],
            format_func=shown,
            key=MODELS.key,
            max_selections=MOST,
            bind="query-params",
            label_visibility="collapsed",
            placeholder="Choose two to six models",
            select_all=False,  # Enter would take all that match
        )
        addresses = [sources.parse(name) for name in chosen]
        with st.popover("line-ups"):
            line_up_buttons("menu")
        same = st.popover("same weights", key="copies", on_change="rerun")  # which there are is found out by torch
        if same.open:
            with same:
                copy_buttons(addresses)
    return addresses


def first_models() -> list[str]:
    """What stands on the page when nobody asked for anything: one line-up's most telling cells."""
    line_ups = [*sources.line_ups().values()]
    return [*map(str, telling(line_ups[0]) if line_ups else sources.Shipped.every()[:2])]


def line_up_buttons(where: str) -> None:
    """A click puts a few cells of a line-up side by side; the menu has the others."""
    st.caption(
        "A line-up is every cell, trained on the same text from the same seed for as many steps, with about as many "
        "parameters. A click takes four of its cells; the menu has them all."
    )
    for task, members in sources.line_ups().items():
        label = f"{task}: {len(members)} cells"
        st.button(label, key=key_of(where, task), on_click=put, args=(telling(members),), width="stretch")
    for (task, data), models in sources.of_tasks().items():
        label = f"{data} ({TASKS[task].title}): {len(models)} models"
        st.button(label, key=key_of(where, f"{task} {data}"), on_click=put, args=(models,), width="stretch")


def telling(members: list[Member]) -> list[Member]:
    """Those of a line-up that show most side by side; where they are not there, the first."""
    cells = {member.cell: member for member in members}
    return [cells[cell] for cell in TELLING if cell in cells] or members[:4]


def copy_buttons(chosen: list[Address]) -> None:
    """A click adds a copy of a model's weights in another layout, to see that it is the same function."""
    st.caption(
        "nn.LSTM, eight separate maps, maps of [h′, x], a peephole LSTM with p = 0: the same function in other "
        "layouts. Add a copy, choose *difference*, and its maps are empty: not one unit differs."
    )
    for address in chosen:
        try:
            copies = Copy.every(address)
        except CheckpointError:  # it is said below
            continue
        for copy in copies:
            full = len(chosen) >= MOST or copy in chosen
            st.button(
                plain(str(copy)), key=key_of("copy", str(copy)), on_click=put, args=([*chosen, copy],), disabled=full
            )


def put(chosen: Sequence[Address]) -> None:
    """Choose these models."""
    MODELS.put([str(address) for address in chosen[:MOST]])


def open_models(chosen: list[Address]) -> dict[Address, OpenModel]:
    """Those that can be opened, and read what the first reads; of the others it is said why not."""
    opened: dict[Address, OpenModel] = {}
    with st.spinner("Opening the models…"):
        for address in chosen:
            try:
                found = address.open()
            except CheckpointError as error:
                st.error(f"{plain(str(address))} cannot be opened: {plain(str(error))}.")
                continue
            first, model = next(iter(opened.items()), (address, found))
            same = what_it_reads(found) == what_it_reads(model) and {*found.labels} == {*model.labels}
            names = plain(str(address)), plain(str(first))
            if found.task == model.task and same:
                opened[address] = found
            elif same:
                asked = f"Of {names[0]} is asked “{found.task.title}”, and of {names[1]} “{model.task.title}”"
                st.warning(f"{asked}: they cannot be compared. Take one of them out above.")
            else:
                reads = f"{names[0]} reads {what_it_reads(found)}, and {names[1]} {what_it_reads(model)}"
                st.warning(f"{reads}: nothing can be read by both. Take one of them out above.")
    return opened


def what_it_reads(opened: OpenModel) -> str:
    """In words, in the middle of a sentence."""
    if opened.labels:
        return f"a text that one of {len(opened.labels)} labels begins ({plain(opened.labels[0])}, …)"
    if not opened.side:
        return "a text"
    seed = opened.checkpoint.train.permuted
    order = "" if seed is None else f", permuted by seed {seed}"
    return f"images of {opened.side} × {opened.side} pixels{order}"
