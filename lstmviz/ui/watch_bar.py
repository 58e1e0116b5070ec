"""The row over the sentence on Watch: layer, units, panels, what the model writes on, and what can be taken along."""

from __future__ import annotations

import streamlit as st

from lstmviz.cells import cell_called
from lstmviz.opened import OpenModel
from lstmviz.reading import write_on
from lstmviz.roles import ROLES
from lstmviz.ui.controls import baseline_control, examples_menu, offer, offer_page, order_control, units_control
from lstmviz.ui.in_page import answers_here
from lstmviz.ui.session import BASELINE, LAYER, TEXT, InPage, Sentences, Watch, readings, session
from lstmviz.ui.sources import Baseline
from lstmviz.ui.trees import draw_menu
from lstmviz.units import MOST, drawn_roles


def watch_bar(
    name: str, opened: OpenModel, baselines: dict[str, Baseline]
) -> tuple[list[int], list[str], str, Baseline | None]:
    """Examples, layer, units, panels, baseline, continue, export.

    Args:
        name: of the model.
        baselines: what can be laid over the loss, by name.

    Returns:
        The tracks and the roles that are drawn, the order of the units, and what is laid over the loss.
    """
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="bar"):
        if not opened.side:
            examples_menu(opened, TEXT)
        if opened.reads_trees:
            draw_menu(TEXT)
        layers = opened.tracks_in(layer_control(opened.checkpoint.model.num_layers))
        count = opened.checkpoint.model.hidden_size
        only = count > MOST and units_control(f"{count} units")
        with st.popover("panels"):
            roles = role_boxes(opened.checkpoint.model.cell, [role for role in ROLES if role in opened.scales[0]])
            order = order_control(only)
        baseline = baseline_control(baselines, BASELINE)
        if not opened.is_asked:
            with st.popover("continue"):
                continue_controls(opened)
        if answers_here(opened):
            st.page_link("inside.py", label="inside one step", help="One step of the selected unit, taken apart")
        export = st.popover("export", key="export", on_change="rerun")  # what it offers depends on what was typed
        if export.open:
            with export:
                export_controls(name, opened)
    return layers, roles, order, baseline


def layer_control(count: int) -> list[int]:
    """One of the layers, or all; a model with one asks nothing."""
    if count == 1:
        return [0]
    st.markdown("layer", width="content")
    layer = st.segmented_control(
        "layer",
        [*(str(k + 1) for k in range(count)), "all"],
        default="1",
        key=LAYER.key,
        required=True,
        bind="query-params",
        label_visibility="collapsed",
    )
    return [*range(count)] if layer == "all" else [int(layer) - 1]


def role_boxes(cell: str, available: list[str]) -> list[str]:
    """Which gates and states of a cell are drawn; at least one."""
    if len(available) == 1:
        return available
    st.caption("Choose what is drawn.")
    usual, roles = drawn_roles(cell, available), cell_called(cell).roles()
    chosen = [
        role
        for role in available
        if st.checkbox(
            roles[role].label,
            role in usual,
            key=f"show_{role}" if role in usual else f"show_also_{role}",  # hidden is usual only where there is no cell
            help=roles[role].meaning,
            persist_state="page",
        )
    ]
    return chosen or usual[:1]


def continue_controls(opened: OpenModel) -> None:
    """Let the model go on writing."""
    st.caption("Let the model write on. What it writes joins the sentence and the map.")
    temperature = st.slider(
        "temperature",
        0.1,
        2.0,
        0.8,
        0.1,
        key="temperature",
        help="Low: only what is likely. High: surprising.",
        persist_state="page",
    )
    top_k = st.slider(
        "top-k", 1, 50, 20, key="top_k", help="Draw among this many likeliest tokens.", persist_state="page"
    )
    count = st.slider("tokens", 1, 200, 40, key="count", persist_state="page")
    memory = session(Watch)

    def write() -> None:
        text, seed = TEXT.value() or "", memory.draws
        memory.draws += 1
        if session(InPage).here:
            asked = {"count": count, "temperature": temperature, "top_k": top_k, "seed": seed}
            memory.write = {"number": memory.draws, **asked}
            return
        reading = readings().watch
        try:
            more = write_on(opened, reading, count, temperature=temperature, top_k=top_k, seed=seed)
        except (FloatingPointError, ValueError) as error:
            memory.problem = str(error)
            return
        joined = opened.checkpoint.vocabulary.joined(text, more)
        session(Sentences).put_into(TEXT, joined)
        memory.written = joined, len(reading.ids) if reading else 0, opened.checkpoint.digest

    st.button("continue the sentence", on_click=write, type="primary", width="stretch", key="write")
    if memory.problem:
        st.error(f"The sentence was not continued: {memory.problem}.")
        memory.problem = ""


def export_controls(name: str, opened: OpenModel) -> None:
    """The trace as a table, the figure as a page, the model as one that is alive; made only when asked for."""
    from lstmviz.charts import gate_figure
    from lstmviz.explain.tables import as_csv, as_parquet, attention_table, named_trace, trace_table

    reading = readings().read()
    if reading is None:
        st.caption("Type a sentence first; then its trace can be saved.")
    else:
        vocabulary = opened.reads
        st.caption("Every gate and state of every layer, token and unit. Link and picture have buttons over the map.")
        offer("table (CSV)", "trace.csv", lambda: as_csv(trace_table(reading, vocabulary)))
        offer("table (Parquet)", "trace.parquet", lambda: as_parquet(trace_table(reading, vocabulary)))
        offer(
            "figure (interactive HTML)",
            "gates.html",
            lambda: gate_figure(named_trace(reading, vocabulary)).to_html(),
        )
        if reading.said and reading.said.looks is not None:
            offer("where it looks (CSV)", "attention.csv", lambda: as_csv(attention_table(reading)))
    offer_page({name: opened})
