"""Compare: two to six models read one sentence, side by side."""

from __future__ import annotations

from dataclasses import replace
from math import log

import streamlit as st

from lstmviz.baselines import NGram
from lstmviz.explain.alignment import Axis, Entrant, Place, shared_axis
from lstmviz.explain.comparison import View, draw, live_comparison, notes_on
from lstmviz.explain.differences import differences, speed
from lstmviz.explain.kin import kinship
from lstmviz.opened import OpenModel
from lstmviz.reading import NOBODY, Selected, Selection, read, read_image, select, telling_unit
from lstmviz.ui.choice import choose_models, line_up_buttons, open_models
from lstmviz.ui.compare_bar import compare_bar, entrants, side_by_side
from lstmviz.ui.components import comparison
from lstmviz.ui.controls import STYLE, keep_text, kept_as, type_sentence
from lstmviz.ui.imports import behind, need_torch, torch_is_there
from lstmviz.ui.in_page import answers_here, heard, models_for_page, to_be_checked
from lstmviz.ui.labels import choose_label
from lstmviz.ui.people import whose
from lstmviz.ui.pictures import choose_image, no_image
from lstmviz.ui.session import BEGUN, SENTENCE, Compare, Sentences, readings, report, session
from lstmviz.ui.sources import Address, baselines, titles
from lstmviz.ui.trees import read_typed
from lstmviz.wire import Frame, Here, LiveComparison


def page() -> None:
    """Which models, how they are shown, and the sentence with all that answers it."""
    st.html(STYLE)
    home = whose()
    with st.container():  # with what is said of the choice, so that what follows stays in its place
        opened = open_models(choose_models(home))
    if len(opened) < 2:
        st.info("Choose at least two models above, up to six, or take a few of a line-up:")
        with st.container(width=420):
            line_up_buttons("few")
        return
    first, every = next(iter(opened.values())), list(opened.values())
    keep_text(f"compare {kept_as(first)}", first, SENTENCE)
    if BEGUN.value() not in (None, *first.labels):
        BEGUN.forget()
    view, beside = compare_bar(opened, {address: baselines(each, home) for address, each in opened.items()})
    with st.container():  # so that what follows stays in its place
        if beside or not all(map(answers_here, every)):
            need_torch()
    compare(opened, beside, view, kinship(every))
    figures(opened)


@st.fragment
def compare(opened: dict[Address, OpenModel], beside: dict[Address, NGram], view: View, kin: list[int]) -> None:
    """Everything that answers a keystroke, always the same elements: see ``ui.components``."""
    memory, kept, said = session(Compare), readings(), report("comparison")
    heard(said)
    first, models, every = next(iter(opened.values())), entrants(opened, beside), {f"{a}": o for a, o in opened.items()}
    facts = differences([*every.values()], [reads(each) if torch_is_there() else None for each in every.values()])
    live = live_comparison(models, facts, kin, refer([*every], kin, said.pinned), view)
    here = not beside and all(map(answers_here, opened.values()))
    with st.container(key="compare"):
        label, link = None, no_image()
        if first.side:
            chosen = choose_image(first)
            text, label = chosen.image.tobytes().hex(), chosen.label(first)
            here = here and all(chosen.label(each) == label for each in opened.values())
            kept.read_all = lambda: {n: read_image(each, chosen.image, chosen.label(each)) for n, each in every.items()}
            said_of = [note for note in chosen.notes(first) if note[0] == "warning"]  # its guide is that of all
            link = {SENTENCE.key: None, **chosen.address}
        elif first.reads_trees:
            text = type_sentence(first, SENTENCE)
            found, said_of = read_typed(every, text, kept.compare, live.most)
            kept.read_all = lambda: found
        else:
            begun, said_of = choose_label(first, BEGUN) if first.labels else ("", [])
            text = type_sentence(first, SENTENCE, rests=here)
            kept.read_all = lambda: {
                n: read(each, text, kept.compare.get(n), live.most, each.labels.index(begun) if begun else 0)
                for n, each in every.items()
            }
        link["reference"] = memory.reference if memory.reference in every else None
        if here:
            draw_here(opened, models, live, view, text, label, Frame(said_of, address=link))
            return
        kept.compare = kept.read_all()
        compared = side_by_side(models, kept.compare)
        if len(compared) < len(models):
            comparison(live, [], Frame(said_of or [("info", live.sentences["nothing"])]), key="comparison")
            return
        axis = shared_axis(text, compared)
        selection = selection_in(models, view.place, said.selection, axis)
        link |= selection.linked(axis.first_look) | {"of": models[selection.of].name if selection.of else None}
        header, parts = draw(live, view, compared, axis, selection.said("model"), said.held)
        comparison(header, parts, Frame([*said_of, *notes_on(live, compared)], address=link), key="comparison")


def draw_here(
    opened: dict[Address, OpenModel],
    models: list[Entrant],
    live: LiveComparison,
    view: View,
    text: str,
    label: int | None,
    frame: Frame,
) -> None:
    """The comparison that the page makes itself."""
    said, every, header, parts = report("comparison"), [*opened.values()], live, []
    sent = models_for_page({str(address): each for address, each in opened.items()})
    selection = selection_in(models, view.place, said.selection).said("model")
    checked = to_be_checked(said, every, text)
    if checked:
        compared = side_by_side(models, readings().read_all())
        if checked := len(compared) == len(models):
            seen, parts = draw(live, view, compared, shared_axis(text, compared), selection)
            header = replace(live, models=seen.models)  # their losses; the text is soon another
    here = Here(
        models=[each.checkpoint.digest for each in every],
        sent=[*sent],
        box="" if every[0].side else SENTENCE.key,
        text=text,
        put=session(Sentences).put,
        label=label,
        selection=selection,
        checked=checked,
    )
    comparison(header, parts, replace(frame, here=here), b"".join(sent.values()), key="comparison")


@st.fragment
def figures(opened: dict[Address, OpenModel]) -> None:
    """How the models learned and, of those that learned a grammar, how far back they can look."""
    from lstmviz.charts import lines_figure

    dark = st.context.theme.type == "dark"
    plain_chart = {"theme": None, "config": {"displayModeBar": False}}
    names = titles([(address, each.checkpoint.model.cell) for address, each in opened.items()])
    learned = {}
    for title, each in zip(names, opened.values(), strict=True):
        history = each.checkpoint.history
        points = [(s, v) for s, v in zip(history["step"], history["valid_nll"], strict=True) if v is not None]
        learned[title] = [s for s, _ in points], [v for _, v in points]
    left, right = st.columns(2, gap="medium")
    of = "label" if next(iter(opened.values())).says_labels else "token"
    most = 1.5 * max(log(len(each.checkpoint.vocabulary)) for each in opened.values())
    with left, st.container(border=True, gap="small"):
        st.markdown("**how they learned**")
        st.plotly_chart(
            lines_figure(learned, x="optimiser steps", y=f"validation loss (nats/{of})", most=most, dark=dark),
            key="learned",
            **plain_chart,
        )
        if len({each.checkpoint.vocabulary.level for each in opened.values()}) > 1:
            st.caption("Some count in nats a word and some in nats a character: these are not comparable.")
        else:
            st.caption("Validation loss while they were trained; the lower, the better.")
        if any(loss > most for _, losses in learned.values() for loss in losses):
            st.caption(f"What is above {most:.1f}, half as much again as guessing costs, is cut off.")
    if any(each.checkpoint.hidden_variable for each in opened.values()):
        with right, st.container(border=True, gap="small"):
            st.markdown("**how far back they can look**")
            with st.container():
                need_torch()
            with st.spinner("Asking each model 400 sentences…"):
                known = {title: asked(each) for title, each in zip(names, opened.values(), strict=True)}
            st.plotly_chart(
                lines_figure(known, x="distance in tokens", y="accuracy", doubling=True, whole=True, dark=dark),
                key="reach",
                **plain_chart,
            )
            st.caption(
                "Share of right answers where the next token depends on one so far back: the first bracket, the "
                "subject, the symbol. The 400 sentences are new, and may reach further back than any in training."
            )
    behind()


@st.cache_data(hash_funcs={OpenModel: lambda opened: opened.checkpoint.digest}, show_spinner=False)
def reads(opened: OpenModel) -> float:
    """How many tokens a second, measured once."""
    return speed(opened)


@st.cache_data(hash_funcs={OpenModel: lambda opened: opened.checkpoint.digest}, show_spinner=False)
def asked(opened: OpenModel) -> tuple[list[int], list[float]]:
    """How far back a model can look, asked once."""
    from lstmviz.explain.distance import reach

    return reach(opened)


def refer(names: list[str], kin: list[int], pinned: str | None) -> int:
    """The number of the model that the others are compared with.

    The one pinned last or the link's; else the first whose units are those of another one, so that a difference can be
    seen; else the first.
    """
    memory = session(Compare)
    if pinned and pinned != memory.pinned:  # a page that was left and opened again has said nothing yet
        memory.pinned = memory.reference = pinned
    if memory.reference in names:
        return names.index(memory.reference)
    return next((k for k, group in enumerate(kin) if kin.count(group) > 1), 0)


def selection_in(models: list[Entrant], place: Place, told: Selection | None, axis: Axis | None = None) -> Selection:
    """The selected position, unit and model: the last key's, until somebody chooses another.

    Args:
        axis: where the server makes it; where the page does the time is `NOBODY` until somebody chooses one.
    """
    memory, names, labels = session(Compare), [model.name for model in models], axis and axis.labels
    if memory.selected:
        before, name = memory.selected, memory.among[memory.selected.selection.of]
    else:
        first, look = telling_unit(models[0].opened, models[0].track(place) or 0), axis.first_look if axis else NOBODY
        time = look if memory.time is None else memory.time
        before = Selected(Selection(time, first if memory.unit is None else memory.unit), labels, told)
        name = memory.of
    number = names.index(name) if name in names else 0  # where the models are others now
    before = replace(before, selection=replace(before.selection, of=number))
    selection = select(before, labels, told)
    selection = replace(selection, of=min(selection.of, len(names) - 1))
    selection = selection.within(models[selection.of].checkpoint.model.hidden_size)
    memory.selected, memory.among = Selected(selection, labels, told), names
    return selection


page()
