"""Watch: type a sentence, or draw a digit, and see every gate answer."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import streamlit as st

from lstmviz.baselines import NGram
from lstmviz.data.vocabulary import code, inline, visible
from lstmviz.explain.notes import guided, notes_on
from lstmviz.explain.spelling import looked_for, standing_out, words_for
from lstmviz.opened import OpenModel
from lstmviz.reading import Reading, Selected, Selection, read, read_image, select, telling_unit, track_at
from lstmviz.ui.choice import open_chosen
from lstmviz.ui.components import gate_map, readout
from lstmviz.ui.controls import STYLE, keep_text, kept_time, open_baseline, type_sentence
from lstmviz.ui.imports import behind, need_torch
from lstmviz.ui.in_page import answers_here, carry_over, heard, models_for_page, selection_here, to_be_checked
from lstmviz.ui.labels import choose_label
from lstmviz.ui.people import whose
from lstmviz.ui.pictures import choose_image, no_image
from lstmviz.ui.session import (
    BASELINE,
    HELD,
    LABEL,
    LAYER,
    TEXT,
    InPage,
    Inside,
    Looked,
    Sentences,
    Watch,
    readings,
    report,
    session,
)
from lstmviz.ui.sources import Address, baselines
from lstmviz.ui.trees import read_typed
from lstmviz.ui.watch_bar import watch_bar
from lstmviz.wire import Frame, MapHere, Note, payload

NO_BREAK = "\u2011"  # a hyphen at which no line ends


def page() -> None:
    """The whole page: the sentence and its map at the left, the numbers and the model at the right."""
    carry_over(Watch)
    st.html(STYLE)
    home, (left, right) = whose(), st.columns([3.1, 1], gap="medium")
    if (chosen := open_chosen(home, left, right)) is None:
        return
    address, opened = chosen
    with left, st.container():  # so that what follows stays in its place
        if not answers_here(opened):
            need_torch()
    begin(address, opened)
    with left:
        layers, roles, order, baseline = watch_bar(str(address), opened, baselines(opened, home))
        with st.container():
            if baseline:  # then the server answers
                need_torch()
        watch(address, layers, roles, order, open_baseline(baseline))
    with right:  # behind the map, which goes first, and stays where something here fails
        beside(opened)


@st.fragment
def beside(opened: OpenModel) -> None:
    """The numbers of the selection, and then Plotly: parsing its script holds up the browser for a second, so the map
    goes first. The browser says when; a rerun that the server asks for would bring back the text as it was before the
    keys that are on their way.
    """
    shown, held = readout(key="readout")
    if held and held != session(Watch).held:
        session(Watch).held = held
        hold(held[0])
    if shown:
        if opened.checkpoint.model.letters:
            filters(opened)
        training_curves(opened)
        behind()


def hold(gate: str) -> None:
    """Go to Inside, where this gate is held, beside what was held there before; the last counts."""
    options = session(Inside).options
    others = [each for each in (options["hold"] or "").split(" and ") if each not in ("", gate)]
    options["hold"] = " and ".join([*others, gate])
    st.switch_page("inside.py", query_params={"view": HELD})


def filters(opened: OpenModel) -> None:
    """What the filters over a word's letters look for."""
    with st.container(border=True, gap="small"):
        st.markdown("**what the filters look for**")
        width, words = opened.checkpoint.model.letters, words_to_look_in(opened)
        rows = [
            f"{k} {' '.join(code(each.letters.replace('-', NO_BREAK)) for each in most)}"
            for k, most in enumerate(looked_for(opened.model, words, opened.reads) if words else [])
        ]
        st.markdown("  \n".join(rows))
        st.caption(
            f"Each sees {width} letters of a word side by side, and says how much of what it looks for it finds "
            "anywhere in it. Here stands what it reacts to most: Bla- begins a word, -ly ends it."
        )


def words_to_look_in(opened: OpenModel) -> tuple[str, ...]:
    """Words of the model's data, where these are generated, else what is typed."""
    drawn = words_for(opened.task.name, opened.checkpoint.train.corpus)
    return drawn or tuple(dict.fromkeys(opened.reads.split(TEXT.value() or "")))


def training_curves(opened: OpenModel) -> None:
    """The checkpoint's own loss and perplexity while it was trained."""
    from lstmviz.charts import training_figure

    with st.container(border=True, gap="small"):
        st.markdown("**how this model learned**")
        dark, of_labels = st.context.theme.type == "dark", opened.checkpoint.vocabulary.level == "label"
        figure = training_figure(opened.checkpoint.history, dark, of_labels=of_labels)
        st.plotly_chart(figure, key="training", theme=None, config={"displayModeBar": False})
        top = figure.layout.yaxis.range[1]  # pyright: ignore[reportAttributeAccessIssue]
        if any(loss is not None and loss > top for loss in opened.checkpoint.history["valid_nll"]):
            st.caption(f"What is above {top:.1f} nats is cut off.")


def begin(address: Address, opened: OpenModel) -> None:
    """When the model changes, what was chosen for the one before is forgotten, but no text, and of that no token."""
    memory, session(Looked).model = session(Watch), str(address)
    time = kept_time(opened, TEXT, memory.selected)
    another = keep_text(f"watch {address}", opened, TEXT)
    if another and memory.begun:
        LAYER.forget()
        BASELINE.forget()
        memory.time, memory.unit = time, None
    if another and LABEL.value() not in (None, *opened.labels):
        LABEL.forget()
    if another:
        readings().watch = memory.selected = None
    memory.begun = True


@st.fragment
def watch(address: Address, layers: list[int], roles: list[str], order: str, beside: NGram | None) -> None:
    """Everything that answers a keystroke, and nothing else: each element here is sent and compared at every key.

    They are always the same: see ``ui.components``. Where the page makes the map itself, it does not wait for this.
    """
    opened, memory, kept, said = address.open(), session(Watch), readings(), report("map")
    heard(said)
    here = session(InPage).here = beside is None and answers_here(opened)
    shown = {"layers": layers, "roles": roles, "order": order}
    with st.container(key="watch"):
        image, begun = None, ""
        if opened.side:
            image = choose_image(opened)
            text, notes, link = image.image.tobytes().hex(), image.notes(opened), {TEXT.key: None, **image.address}
            kept.read = partial(read_image, opened, image.image, image.label(opened))
        elif opened.reads_trees:
            text, link = type_sentence(opened, TEXT), no_image()
            found, notes = read_typed({"": opened}, text, {"": kept.watch})
            kept.read = partial(found.get, "")
            notes = [*guided(opened, text), *notes]
        else:
            begun, notes = choose_label(opened, LABEL) if opened.labels else ("", [])
            text, link = type_sentence(opened, TEXT, rests=here), no_image()
            label = opened.labels.index(begun) if begun else 0
            kept.read = partial(read, opened, text, kept.watch, label=label)
        if here:
            draw_here(address, opened, text, image.label(opened) if image else None, notes, link, shown)
            return
        reading = kept.watch = kept.read()
        message = b""
        if not opened.side and not opened.reads_trees:
            notes = [*notes, *notes_on(opened, text, reading)]
        if reading:
            selection = selection_in(opened, reading, layers, said.selection)
            memory.selected = Selected(selection, reading.tokens, said.selection)
            link |= selection.linked(reading.first_look)
            if opened.checkpoint.model.letters:
                notes.append(("note", spelled(opened, reading.pieces[selection.time])))
            message = payload(
                opened,
                reading,
                **shown,
                selection=selection.said("layer"),
                generated_from=generated_from(opened, text),
                held=said.held,
                name=str(address),
                beside=beside,
            )
        gate_map(message, Frame(notes, address=link), key="map")


def draw_here(
    address: Address,
    opened: OpenModel,
    text: str,
    label: int | None,
    notes: list[Note],
    link: dict[str, str | None],
    shown: dict[str, Any],
) -> None:
    """The map that the page makes itself; what of a text there is to say it says, too."""
    memory, said = session(Watch), report("map")
    selection = selection_here(memory, opened, shown["layers"], said.selection)
    memory.written = said.written or memory.written
    reading = readings().read() if to_be_checked(said, [opened], text) else None
    sent = models_for_page({f"{address}": opened})
    here = MapHere(
        models=[opened.checkpoint.digest],
        sent=[*sent],
        box="" if opened.side else TEXT.key,
        text=text,
        put=session(Sentences).put,
        label=label,
        **shown,
        selection=selection.said("layer"),
        written=written_by(opened),
        write=memory.write,
        checked=reading is not None,
    )
    message = b"".join(sent.values())
    if reading:
        message += payload(opened, reading, **shown, selection=selection.said("layer"), name=f"{address}")
    gate_map(message, Frame(notes, address=link, here=here), key="map")


def spelled(opened: OpenModel, word: str) -> str:
    """Which letters of a word its filters found most in."""
    found = standing_out(opened.model, word, words_to_look_in(opened) or (word,), opened.reads)
    said = ", ".join(f"{each.letters} (filter {k})" for k, each in found.items())
    return f"The word {inline(visible(word))} is read by its letters. What its filters found most of: {inline(said)}."


def selection_in(opened: OpenModel, reading: Reading, layers: list[int], told: Selection | None) -> Selection:
    """The selected time, unit and layer: the last key's token, until somebody chooses another."""
    memory = session(Watch)
    time = reading.first_look if memory.time is None else memory.time
    there = track_at(opened, reading, time, layers)
    unit = telling_unit(opened, there) if memory.unit is None else memory.unit
    before = memory.selected or Selected(Selection(time, unit, there), reading.tokens, told)
    selection = select(before, reading.tokens, told).within(opened.checkpoint.model.hidden_size)
    if selection.of not in layers:
        selection = replace(selection, of=there)
    return selection


def written_by(opened: OpenModel) -> tuple[str, int] | None:
    """The text that this model has written on, and the time of the first token that is its own."""
    text, start, digest = session(Watch).written or ("", 0, "")
    return (text, start) if digest == opened.checkpoint.digest else None


def generated_from(opened: OpenModel, text: str) -> int | None:
    """Time of the first token that the model wrote, while the sentence still begins with what it wrote."""
    written, start = written_by(opened) or ("", None)
    return start if text.startswith(written) else None


page()
