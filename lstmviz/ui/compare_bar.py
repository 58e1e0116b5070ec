"""The row over the sentence on Compare: layer, difference, rows of maps, charts, and what can be taken along."""

from __future__ import annotations

import streamlit as st

from lstmviz.baselines import NGram
from lstmviz.explain.alignment import Compared, Entrant, Place
from lstmviz.explain.comparison import View
from lstmviz.explain.measures import CHARTS, DEPENDS, GAIN, PROBABILITY, without
from lstmviz.explain.rows import SLOTS, USUAL
from lstmviz.opened import ARROWS, OpenModel
from lstmviz.reading import Reading
from lstmviz.ui.controls import (
    baseline_control,
    examples_menu,
    offer,
    offer_page,
    open_baseline,
    order_control,
    units_control,
)
from lstmviz.ui.session import BESIDE, SENTENCE, readings
from lstmviz.ui.sources import Address, Baseline, titles
from lstmviz.ui.trees import draw_menu
from lstmviz.units import MOST

GATES = ("keeps", "writes", "shows")
BARE = {"required": True, "bind": "query-params", "label_visibility": "collapsed"}


def compare_bar(
    opened: dict[Address, OpenModel], baselines: dict[Address, dict[str, Baseline]]
) -> tuple[View, dict[Address, NGram]]:
    """Examples, layer, show, units, panels, charts, baseline, export.

    Args:
        baselines: of each model what can be laid over its loss, by name; offered are those of the first that has any.

    Returns:
        How the models are shown, and what is laid over the loss of each that has its vocabulary.
    """
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="bar"):
        first = next(iter(opened.values()))
        if not first.side:
            examples_menu(first, SENTENCE)
        if first.reads_trees:
            draw_menu(SENTENCE)
        place = place_control([*opened.values()])
        difference = difference_control()
        many = max(each.checkpoint.model.hidden_size for each in opened.values()) > MOST
        only = many and units_control("units", "rows")
        with st.popover("panels"):
            slots = st.pills(
                "rows of gate maps",
                list(SLOTS),
                selection_mode="multi",
                default=USUAL,
                key="slots",
                bind="query-params",
            )
            order = order_control(only, "order_of_rows")
        with st.popover("charts"):
            charts, gate = chart_controls(first)
        baseline = baseline_control(next(filter(None, baselines.values()), {}), BESIDE)
        export = st.popover("export", key="export", on_change="rerun")  # what it offers depends on what was typed
    ngram = open_baseline(baseline)
    beside = {address: ngram for address, has in baselines.items() if ngram and baseline in has.values()}
    if export.open:
        with export:
            export_controls(opened, beside, place)
    charts = [chart for chart in CHARTS if chart in charts or (chart == GAIN and beside)]
    return View(place, order, [slot for slot in SLOTS if slot in slots] or ["keeps"], charts, gate, difference), beside


def place_control(opened: list[OpenModel]) -> Place:
    """One of the layers of the deepest model, and where one reads in both directions, in which."""
    layer, deepest = "1", max(each.checkpoint.model.num_layers for each in opened)
    if deepest > 1:
        st.markdown("layer", width="content")
        layer = st.segmented_control("layer", [str(k + 1) for k in range(deepest)], default="1", key="depth", **BARE)
    if opened[0].says_another:
        st.markdown("who", width="content", help="The maps are of who says, or of who reads in one direction.")
        tracks = {f"reads {arrow}": Place(int(layer) - 1, arrow != ARROWS[0]) for arrow in ARROWS}
        tracks["says"] = Place(int(layer) - 1, says=True)
        return tracks[st.segmented_control("who", tracks, default="says", key="who", **BARE)]
    if not any(each.checkpoint.model.bidirectional for each in opened):
        return Place(int(layer) - 1)
    st.markdown("reads", width="content")
    arrow = st.segmented_control("direction", ARROWS, default=ARROWS[0], key="reads", **BARE)
    return Place(int(layer) - 1, arrow == ARROWS[-1])


def difference_control() -> bool:
    """Whether the differences from the reference are shown."""
    meaning = (
        "Difference: what a model has more (red) or less (blue) than the "
        "reference, where their units correspond. Pin another reference below."
    )
    st.markdown("show", width="content", help=meaning)
    return st.segmented_control("show", ["values", "difference"], default="values", key="show", **BARE) == "difference"


def chart_controls(opened: OpenModel) -> tuple[list[str], str]:
    """Which charts are drawn of such models, and of which gate those are that are of one."""
    of, usual = "_of_images" if opened.is_asked else "_of_captions" if opened.labels else "", ["loss", "mean"]
    charts = st.pills(
        "a line for every model",
        [chart for chart in CHARTS if chart not in (GAIN, *without(opened))],
        selection_mode="multi",
        default=[PROBABILITY, "mean"] if opened.is_asked else [*usual, DEPENDS] if opened.labels else usual,
        key=f"charts{of}",
        bind="query-params",
    )
    gate = st.segmented_control(
        "mean and shares are of the gate that", GATES, default="keeps", required=True, key="gate", bind="query-params"
    )
    return charts, gate


def export_controls(opened: dict[Address, OpenModel], beside: dict[Address, NGram], place: Place) -> None:
    """The tables of what is compared; made only when asked for."""
    from lstmviz.explain.tables import as_csv, as_parquet, lines_table, markdown, models_table, values_table

    st.caption("What the page shows, as tables. The link and the picture have buttons over the maps.")
    compared, text = side_by_side(entrants(opened, beside), readings().read_all()), SENTENCE.value() or ""
    models = {str(address): each for address, each in opened.items()}
    offer("models (Markdown)", "models.md", lambda: markdown(models_table(models)))
    offer("models (CSV)", "models.csv", lambda: as_csv(models_table(models)))
    if len(compared) == len(opened):  # they have read something
        offer("lines, a token a row (CSV)", "lines.csv", lambda: as_csv(lines_table(text, compared, place)))
        offer("every value (Parquet)", "traces.parquet", lambda: as_parquet(values_table(compared)))
    offer_page(models)


def entrants(opened: dict[Address, OpenModel], beside: dict[Address, NGram]) -> list[Entrant]:
    """The models by name, and what is laid over their losses."""
    names = titles([(address, each.checkpoint.model.cell) for address, each in opened.items()])
    return [
        Entrant(str(address), title, each, beside=beside.get(address))
        for title, (address, each) in zip(names, opened.items(), strict=True)
    ]


def side_by_side(models: list[Entrant], readings: dict[str, Reading | None]) -> list[Compared]:
    """Those of the models that have read something."""
    return [Compared(**vars(each), reading=reading) for each in models if (reading := readings.get(each.name))]
