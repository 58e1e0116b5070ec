"""How each unit uses its gates over a whole text: what the Inside page shows of `lstmviz.explain.saturation`."""

from __future__ import annotations

import random
import time
from typing import Any

import streamlit as st

from lstmviz.cells import cell_called
from lstmviz.data.grammars import GRAMMARS
from lstmviz.data.vocabulary import plain
from lstmviz.explain.examples import examples_for
from lstmviz.opened import OpenModel
from lstmviz.reading import Selected, Selection
from lstmviz.ui.imports import need_torch
from lstmviz.ui.session import Inside, OverText, Widget, report, session

OWN, SENTENCE, EXAMPLES, DRAWN, WRITTEN = (
    "my own text",
    "the sentence above",
    "all examples",
    "new sentences of its grammar",
    "what it writes itself",
)
TOKENS = 2000  # that are drawn, or that it writes
OWN_MOST = 200_000  # characters
A_WHILE = 0.4  # seconds that are read before somebody can press stop


def over_a_text(opened: OpenModel, text: str, selection: Selection) -> None:
    """The part *over a text* of the Inside page."""
    from lstmviz.explain.saturation import gates, why_no_gates
    from lstmviz.explain.typed import why_no_losses

    config = opened.checkpoint.model
    cell = cell_called(config.cell)
    if why := why_no_losses(config) or why_no_gates(cell):
        st.info(f"Nothing can be counted here: {plain(why)}.")
        return
    memory = session(OverText)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        grammar = opened.checkpoint.corpus_name in GRAMMARS
        offered = [*([DRAWN] if grammar else []), WRITTEN, EXAMPLES, SENTENCE, OWN]
        which = st.selectbox("text", offered, key="over text", width=260)
        names = {cell.roles()[name].label: name for name in gates(cell)}
        gate = st.segmented_control(
            "gate", [*names], default=next(iter(names)), key=f"over gate {config.cell}", required=True
        )
        begin = st.button("count", type="primary", key="over count", help="Read the text, and count")
    own = st.text_area("my own text", key="over own", max_chars=OWN_MOST, height=110) if which == OWN else ""
    of = (opened.checkpoint.digest, which)
    if begin:
        need_torch()
        start(opened, which, own if which == OWN else text, of)
    if memory.of == of and memory.problem:
        st.error(memory.problem)
    counting(opened, of, names[gate or next(iter(names))], selection)


def start(opened: OpenModel, which: str, text: str, of: tuple[str, str]) -> None:
    """Begin to read."""
    from lstmviz.explain.saturation import saturation_so_far

    memory = session(OverText)
    memory.of, memory.found, memory.reads, memory.problem = of, None, None, ""
    try:
        ids = tokens_of(opened, which, text)
        memory.reads = saturation_so_far(opened.checkpoint.build(), opened.reads, ids)
    except (ValueError, FloatingPointError) as error:
        memory.problem = f"This text cannot be read: {plain(str(error))}."


def tokens_of(opened: OpenModel, which: str, text: str) -> list[int]:
    """The ids of what is read."""
    vocabulary, rng = opened.reads, random.Random(0)
    if which == WRITTEN:
        from lstmviz.reference import Reference

        return Reference(opened.checkpoint.model, opened.checkpoint.weights).write(vocabulary.end, TOKENS)
    if which == DRAWN:
        grammar, drawn = GRAMMARS[opened.checkpoint.corpus_name], []
        while len(drawn) < TOKENS:
            drawn += [*grammar.sentence(rng, 64), grammar.end]
        return vocabulary.encode_tokens(drawn)
    if which == EXAMPLES:
        return [i for example in examples_for(opened) for i in [*vocabulary.encode(example.text), vocabulary.end]]
    return vocabulary.encode(text)


def counting(opened: OpenModel, of: tuple[str, str], gate: str, selection: Selection) -> None:
    """What was counted so far; while there is more to read, a piece of it at every run, between which one can stop."""
    memory = session(OverText)
    running = memory.of == of and memory.reads is not None

    def counted() -> None:
        if memory.clicked:
            memory.clicked = False
            st.rerun()  # of all that shows the selected unit
        if memory.of != of:
            st.caption(
                "*count* reads the text and counts for every unit how often its gate is nearly shut or nearly open."
            )
            return
        if memory.reads is not None:
            read_on(memory)
            if memory.reads is None:
                st.rerun()  # it no longer needs to be run again and again
        if memory.reads is not None and memory.found:
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                share = memory.found.read / memory.found.tokens
                st.progress(share, f"{memory.found.read:,} of {memory.found.tokens:,} tokens", width=420)
                st.button("stop", key="over stop", on_click=lambda: setattr(memory, "reads", None))
        if memory.found:
            show(opened, memory, gate, selection)

    st.fragment(counted, run_every=0.1 if running else None)()


def read_on(memory: OverText) -> None:
    """For a while, or to the end."""
    end = time.monotonic() + A_WHILE
    while memory.reads is not None and time.monotonic() < end:
        found = next(memory.reads, None)
        memory.found = found or memory.found
        if found is None or found.read == found.tokens:
            memory.reads = None


def show(opened: OpenModel, memory: OverText, gate: str, selection: Selection) -> None:
    """The dots of all units, and a table of them."""
    from lstmviz import charts

    found = memory.found
    assert found is not None
    chosen, dots = (selection.of, selection.unit), Widget[Any](f"over_dots_{memory.clicks}")

    def choose() -> None:
        event = dots.value()
        points = event.selection.points if event else []
        where = next((point["customdata"] for point in points if point.get("customdata")), None)
        if where:
            here, told = session(Inside), report("step").selection
            now = here.selected.selection if here.selected else selection
            memory.clicks, memory.clicked = memory.clicks + 1, True
            here.selected = Selected(Selection(now.time, int(where[1]), int(where[0])), None, told)

    left, right = st.columns(2, gap="medium")
    with left:
        figure = charts.saturation_figure(
            found.shut[gate], found.open[gate], chosen, dark=st.context.theme.type == "dark"
        )
        st.plotly_chart(
            figure,
            key=dots.key,
            theme=None,
            on_select=choose,
            selection_mode="points",
            config={"displayModeBar": False},
        )  # pyright: ignore
        st.caption(
            f"{found.read:,} tokens. At the right are units whose gate is nearly always shut, at the top those whose "
            "gate is nearly always open, at the left below those that use it by degrees. A click selects a unit."
        )
    with right:
        rows = found.to_dataframe()
        rows = rows[["layer", "unit", f"{gate}_shut", f"{gate}_open", f"{gate}_mean", "half_life"]]
        rows["layer"] += 1
        percent = st.column_config.NumberColumn
        st.dataframe(
            rows,
            hide_index=True,
            height=360,
            column_config={
                "layer": percent("layer", width="small") if len(found.half_life) > 1 else None,
                "unit": percent("unit", width="small"),
                f"{gate}_shut": percent("below 0.1", width="small", format="percent"),
                f"{gate}_open": percent("above 0.9", width="small", format="percent"),
                f"{gate}_mean": percent("mean", width="small", format="%.2f"),
                "half_life": percent(
                    "half-life", width="small", format="%.1f", help="in tokens, of what the unit holds"
                ),
            },
        )
