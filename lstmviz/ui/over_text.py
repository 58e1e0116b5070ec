"""How each unit uses its gates over a whole text: what the Inside page shows of `lstmviz.explain.saturation`."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

import streamlit as st

from lstmviz.cells import cell_called
from lstmviz.data.grammars import GRAMMARS
from lstmviz.data.vocabulary import plain
from lstmviz.explain.examples import examples_for
from lstmviz.opened import OpenModel
from lstmviz.reading import Selected, Selection
from lstmviz.ui.imports import need_torch
from lstmviz.ui.session import Inside, OverText, Widget, report, session

if TYPE_CHECKING:
    from lstmviz.explain.saturation import Saturation

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
ROW = 52  # pixels


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
        keeps = next((label for label, name in names.items() if cell.roles()[name].does == "keeps"), next(iter(names)))
        gate = st.segmented_control("gate", [*names], default=keeps, key=f"over gate {config.cell}", required=True)
        begin = st.button("count", type="primary", key="over count", help="Read the text, and count")
    own = st.text_area("my own text", key="over own", max_chars=OWN_MOST, height=110) if which == OWN else ""
    typed = {OWN: own, SENTENCE: text}.get(which, "")
    of = (opened.checkpoint.digest, which, typed)
    if begin:
        need_torch()
        memory.of, memory.found, memory.problem, memory.done = of, None, "", (0.0, "")
        memory.reads = reading(opened, which, typed)
    if memory.of == of and memory.problem:
        st.error(memory.problem)
    counting(opened, of, names[gate or keeps], selection)


def reading(opened: OpenModel, which: str, text: str) -> Iterator[tuple[float, str, Saturation | None]]:
    """Read a text, which the model may have to write first: how much of it is done, in words too, and what was counted.

    Raises:
        ValueError, FloatingPointError: it cannot be read, or written.
    """
    from lstmviz.explain.saturation import saturation_so_far
    from lstmviz.reference import Reference

    ids: list[int] = []
    if which == WRITTEN:
        for i in islice(
            Reference(opened.checkpoint.model, opened.checkpoint.weights).writing(opened.reads.end), TOKENS
        ):
            ids.append(i)
            yield len(ids) / TOKENS, f"It wrote {len(ids):,} of {TOKENS:,} tokens", None
    ids = ids or tokens_of(opened, which, text)
    for found in saturation_so_far(opened.checkpoint.build(), opened.reads, ids):
        yield found.read / found.tokens, f"{found.read:,} of {found.tokens:,} tokens", found


def tokens_of(opened: OpenModel, which: str, text: str) -> list[int]:
    """The ids of what is read, where the model does not write it itself."""
    vocabulary, rng = opened.reads, random.Random(0)
    if which == DRAWN:
        grammar, drawn = GRAMMARS[opened.checkpoint.corpus_name], []
        while len(drawn) < TOKENS:
            drawn += [*grammar.sentence(rng, 64), grammar.end]
        return vocabulary.encode_tokens(drawn)
    if which == EXAMPLES:
        return [i for example in examples_for(opened) for i in [*vocabulary.encode(example.text), vocabulary.end]]
    return vocabulary.encode(text)


def counting(opened: OpenModel, of: tuple[str, str, str], gate: str, selection: Selection) -> None:
    """What was counted so far; while there is more to read, a piece of it at every run, between which one can stop."""
    memory = session(OverText)
    running = memory.of == of and memory.reads is not None

    def counted() -> None:
        if memory.clicked:
            memory.clicked = False
            st.rerun()  # of all that shows the selected unit
        # Always there and as high, so that what is below stays in its place.
        with st.container(horizontal=True, vertical_alignment="center", gap="small", height=ROW, border=False):
            if running:
                st.progress(*memory.done, width=420)
                st.button("stop", key="over stop", on_click=lambda: setattr(memory, "reads", None))
            elif memory.of == of and memory.found:
                st.caption(f"{memory.found.read:,} tokens were read.")
            else:
                st.caption(
                    "*count* reads the text and counts for every unit how often its gate is nearly shut or nearly open."
                )
        if memory.of == of and memory.found:
            show(opened, memory, gate, selection)
        if running:  # once all is drawn: the next run may have been asked for meanwhile, and would take its place
            read_on(memory)
            if memory.reads is None:  # it came to its end, or somebody stopped it
                st.rerun()  # of all, so that this is no longer run again and again

    st.fragment(counted, run_every=0.1 if running else None)()


def read_on(memory: OverText) -> None:
    """For a while, or to the end."""
    end = time.monotonic() + A_WHILE
    try:
        for share, said, found in memory.reads or ():
            memory.done, memory.found = (share, said), found
            if time.monotonic() > end:
                return
    except (ValueError, FloatingPointError) as error:
        memory.problem = f"This text cannot be read: {plain(str(error))}."
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
            "At the right are units whose gate is nearly always shut, at the top those whose "
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
