"""Compare: two to six models read one sentence, side by side."""

from __future__ import annotations

import io
from math import log

import streamlit as st

from lstmviz import units
from lstmviz.cells.transplant import layouts
from lstmviz.charts import lines_figure
from lstmviz.checkpoint import CheckpointError
from lstmviz.data.vocabulary import plain
from lstmviz.explain.alignment import Axis, Compared, shared_axis
from lstmviz.explain.comparison import MOST, Comparison, View, draw
from lstmviz.explain.differences import Differences, differences, speed
from lstmviz.explain.distance import reach
from lstmviz.explain.examples import SIDE_BY_SIDE
from lstmviz.explain.kin import kinship
from lstmviz.explain.measures import CHARTS
from lstmviz.explain.rows import SLOTS, USUAL
from lstmviz.explain.tables import lines_table, markdown, models_table, values_table
from lstmviz.reading import MAX_TOKENS, OpenModel, Reading, last_changed, read, telling_unit
from lstmviz.ui import sources
from lstmviz.ui.components import Note, comparison
from lstmviz.ui.controls import (
    STYLE,
    examples_menu,
    from_url,
    is_grammar,
    keep_text,
    order_control,
    to_url,
    type_sentence,
    units_control,
)  # fmt: skip
from lstmviz.ui.sources import titles

GATES = ("keeps", "writes", "shows")
BOX = "sentence"  # the key of the box, and what a link calls it
TELLING = ("lstm_concat", "report_concat", "gru", "rnn")  # cells of a line-up that are shown first


def page() -> None:
    """Which models, how they are shown, and the sentence with all that answers it."""
    st.html(STYLE)
    with st.container():  # with what is said of the choice, so that what follows stays in its place
        opened = open_models(choose_models())
    if len(opened) < 2:
        st.info("Choose at least two models above, up to six, or take a few of a line-up:")
        with st.container(width=420):
            line_up_buttons("few")
        return
    first = next(iter(opened.values()))
    keep_text(f"compare {first.checkpoint.corpus_name}", first, BOX)
    every = list(opened.values())
    compare(opened, controls(opened), differences(every, [reads(model) for model in every]), kinship(every))
    figures(opened)


def choose_models() -> list[str]:
    """The menu of all models, of line-ups, and of copies in another layout."""
    state, linked = st.session_state, st.query_params.get_all("models")
    names = sources.every()
    # A copy stands in the menu once it is asked for: there are too many to list them all.
    asked = [*state.get("models", []), *linked]
    names += [name for name in dict.fromkeys(asked) if name not in names and sources.is_copy(name, names)]
    if lost := [name for name in dict.fromkeys(asked) if name not in names]:
        st.warning(f"These models are not here: {plain(', '.join(lost))}.")
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="choice"):
        chosen = st.multiselect(
            "models",
            names,
            first_models(),
            key="models",
            max_selections=MOST,
            bind="query-params",
            label_visibility="collapsed",
            placeholder="Choose two to six models",
            select_all=False,  # Enter would take all that match
        )
        with st.popover("line-ups"):
            line_up_buttons("menu")
        with st.popover("same weights"):
            copy_buttons(chosen)
    return chosen


def first_models() -> list[str]:
    """What stands on the page when nobody asked for anything: one line-up's most telling cells."""
    return next(map(telling, sources.line_ups().values()), sources.shipped()[:2])


def line_up_buttons(where: str) -> None:
    """A click puts a few cells of a line-up side by side; the menu has the others."""
    st.caption(
        "A line-up is every cell, trained on the same text from the same seed for as many steps, with about as many "
        "parameters. A click takes four of its cells; the menu has them all."
    )
    for task, names in sources.line_ups().items():
        st.button(
            f"{task}: {len(names)} cells", key=f"{where}_{task}", on_click=put, args=(telling(names),), width="stretch"
        )


def telling(names: list[str]) -> list[str]:
    """Those of a line-up that show most side by side; where they are not there, the first."""
    cells = {name.split("/")[1]: name for name in names}
    return [cells[cell] for cell in TELLING if cell in cells] or names[:4]


def copy_buttons(chosen: list[str]) -> None:
    """A click adds a copy of a model's weights in another layout, to see that it is the same function."""
    st.caption(
        "nn.LSTM, eight separate maps, maps of [h′, x], a peephole LSTM with p = 0: the same function in other "
        "layouts. Add a copy, choose *difference*, and its maps are empty: not one unit differs."
    )
    for name in (name for name in chosen if sources.COPY not in name):
        try:
            possible = layouts(sources.open_model(name).checkpoint.model.cell)
        except CheckpointError:  # it is said below
            continue
        for cell in possible:
            copy = f"{name}{sources.COPY}{cell}"
            full = len(chosen) >= MOST or copy in chosen
            st.button(plain(copy), key=f"copy_{copy}", on_click=put, args=([*chosen, copy],), disabled=full)


def put(names: list[str]) -> None:
    """Choose these models."""
    st.session_state["models"] = names[:MOST]


def open_models(names: list[str]) -> dict[str, OpenModel]:
    """Those that can be opened; of the others it is said why not."""
    opened = {}
    with st.spinner("Opening the models…"):
        for name in names:
            try:
                opened[name] = sources.open_model(name)
            except CheckpointError as error:
                st.error(f"{plain(name)} cannot be opened: {plain(str(error))}.")
    return opened


def controls(opened: dict[str, OpenModel]) -> View:
    """The row over the sentence."""
    hidden = {"required": True, "bind": "query-params", "label_visibility": "collapsed"}
    deepest = max(each.checkpoint.model.num_layers for each in opened.values())
    layer = "1"
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="bar"):
        examples_menu(next(iter(opened.values())), BOX)
        if deepest > 1:
            st.markdown("layer", width="content")
            layer = st.segmented_control(
                "layer", [str(k + 1) for k in range(deepest)], default="1", key="depth", **hidden
            )
        st.markdown(
            "show",
            width="content",
            help="Difference: what a model has more (red) or less (blue) than the "
            "reference, where their units correspond. Pin another reference below.",
        )
        shown = st.segmented_control("show", ["values", "difference"], default="values", key="show", **hidden)
        many = max(each.checkpoint.model.hidden_size for each in opened.values()) > units.MOST
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
            charts = st.pills(
                "a line for every model",
                list(CHARTS),
                selection_mode="multi",
                default=["loss", "mean"],
                key="charts",
                bind="query-params",
            )
            gate = st.segmented_control(
                "mean and shares are of the gate that", GATES, default="keeps", required=True, key="gate",
                bind="query-params",
            )  # fmt: skip
        export = st.popover("export", key="export", on_change="rerun")  # what it offers depends on what was typed
        if export.open:
            with export:
                export_controls(opened, int(layer) - 1)
    return View(
        int(layer) - 1,
        order,
        [slot for slot in SLOTS if slot in slots] or ["keeps"],
        [chart for chart in CHARTS if chart in charts],
        gate,
        shown == "difference",
    )


def export_controls(opened: dict[str, OpenModel], layer: int) -> None:
    """The tables of what is compared; made only when asked for."""
    st.caption("What the page shows, as tables. The link and the picture have buttons over the maps.")
    readings, text = st.session_state.get("readings") or {}, st.session_state.get(BOX) or ""
    compared = side_by_side(opened, readings)

    def parquet() -> bytes:
        buffer = io.BytesIO()
        values_table(compared).to_parquet(buffer, index=False)
        return buffer.getvalue()

    offers = [
        ("models (Markdown)", lambda: markdown(models_table(opened)).encode(), "models.md", "text/markdown"),
        ("models (CSV)", lambda: models_table(opened).to_csv(index=False).encode(), "models.csv", "text/csv"),
    ]
    if len(compared) == len(opened):  # they have read something
        offers += [
            ("lines, a token a row (CSV)", lambda: lines_table(text, compared, layer).to_csv(index=False).encode(),
             "lines.csv", "text/csv"),
            ("every value (Parquet)", parquet, "traces.parquet", "application/vnd.apache.parquet"),
        ]  # fmt: skip
    for label, make, name, mime in offers:
        st.download_button(label, make, name, mime, on_click="ignore", width="stretch")


def side_by_side(opened: dict[str, OpenModel], readings: dict[str, Reading | None]) -> list[Compared]:
    """The models that have read something."""
    names = titles([(name, each.checkpoint.model.cell) for name, each in opened.items()])
    pairs = zip(names, opened.items(), strict=True)
    return [Compared(name, title, each, reading) for title, (name, each) in pairs if (reading := readings.get(name))]


@st.fragment
def compare(opened: dict[str, OpenModel], view: View, facts: Differences, kin: list[int]) -> None:
    """Everything that answers a keystroke, always the same elements: see ``ui.components``."""
    state, first = st.session_state, next(iter(opened.values()))
    with st.container(key="compare"):
        text = type_sentence(first, BOX)
        before = state.setdefault("readings", {})
        readings = {name: read(each, text, before.get(name)) for name, each in opened.items()}
        state["readings"] = readings
        compared = side_by_side(opened, readings)
        if len(compared) < len(opened):
            nothing = "There is nothing to read yet. Type above, and every model answers each key."
            comparison({}, [], key="comparison", notes=[("info", nothing)])
            return
        said, axis = state.get("comparison") or {}, shared_axis(text, compared)
        shown = Comparison(compared, axis, facts, kin, refer(list(opened), kin, said.get("pinned")))
        selection = select(axis, compared, view.layer, said.get("selection"))
        header, parts = draw(shown, view, selection, said.get("held") or ())
        comparison(header, parts, key="comparison", notes=notes_on(compared))


def notes_on(compared: list[Compared]) -> list[Note]:
    """What to look for when several models read a grammar, and whether all of the text is shown."""
    corpora = {model.checkpoint.corpus_name for model in compared}
    notes: list[Note] = [("look", SIDE_BY_SIDE[name]) for name in corpora if len(corpora) == 1 and name in SIDE_BY_SIDE]
    if dropped := max(model.reading.dropped for model in compared):
        notes.append(("warning", f"The text is too long by {dropped:,} tokens; the first {MAX_TOKENS:,} are shown."))
    return notes


@st.fragment
def figures(opened: dict[str, OpenModel]) -> None:
    """How the models learned and, of those that learned a grammar, how far back they can look."""
    dark = st.context.theme.type == "dark"
    plain_chart = {"theme": None, "config": {"displayModeBar": False}}
    names = titles([(name, each.checkpoint.model.cell) for name, each in opened.items()])
    learned = {}
    for title, each in zip(names, opened.values(), strict=True):
        history = each.checkpoint.history
        points = [(s, v) for s, v in zip(history["step"], history["valid_nll"], strict=True) if v is not None]
        learned[title] = [s for s, _ in points], [v for _, v in points]
    left, right = st.columns(2, gap="medium")
    most = 1.5 * max(log(len(each.checkpoint.vocabulary)) for each in opened.values())
    with left, st.container(border=True, gap="small"):
        st.markdown("**how they learned**")
        st.plotly_chart(
            lines_figure(learned, x="optimiser steps", y="validation loss (nats/token)", most=most, dark=dark),
            key="learned",
            **plain_chart,
        )
        if len({each.checkpoint.vocabulary.level for each in opened.values()}) > 1:
            st.caption("Some count in nats a word and some in nats a character: these are not comparable.")
        else:
            st.caption("Validation loss while they were trained; the lower, the better.")
        if any(loss > most for _, losses in learned.values() for loss in losses):
            st.caption(f"What is above {most:.1f}, half as much again as guessing costs, is cut off.")
    if any(is_grammar(each) for each in opened.values()):
        with right, st.container(border=True, gap="small"):
            st.markdown("**how far back they can look**")
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


@st.cache_data(hash_funcs={OpenModel: lambda opened: opened.checkpoint.digest}, show_spinner=False)
def reads(opened: OpenModel) -> float:
    """How many tokens a second, measured once."""
    return speed(opened)


@st.cache_data(hash_funcs={OpenModel: lambda opened: opened.checkpoint.digest}, show_spinner=False)
def asked(opened: OpenModel) -> tuple[list[int], list[float]]:
    """How far back a model can look, asked once."""
    return reach(opened)


def refer(names: list[str], kin: list[int], pinned: str | None) -> int:
    """The number of the model that the others are compared with.

    The one pinned last or the link's; else the first whose units are those of another one, so that a difference can be
    seen; else the first.
    """
    state = st.session_state
    if pinned and pinned != state.get("pinned"):  # a page that was left and opened again has said nothing yet
        state["pinned"] = state["reference"] = pinned
    asked = state.setdefault("reference", st.query_params.get("reference"))
    to_url("reference", asked if asked in names else None)
    if asked in names:
        return names.index(asked)
    return next((k for k, group in enumerate(kin) if kin.count(group) > 1), 0)


def select(axis: Axis, compared: list[Compared], layer: int, chosen: dict | None) -> dict[str, int]:
    """The selected position, unit and model: the last keystroke's, until somebody chooses another. The URL follows."""
    state, names, last = st.session_state, [model.name for model in compared], len(axis.labels) - 1
    if seen := state.get("selected"):
        time, unit, name = seen["time"], seen["unit"], seen["name"]
        if chosen and chosen != seen["chosen"]:
            time, unit, name = int(chosen["time"]), int(chosen["unit"]), names[min(chosen["model"], len(names) - 1)]
        if axis.labels != seen["labels"]:
            time = last_changed(seen["labels"], axis.labels)
    else:
        config = compared[0].checkpoint.model
        first = telling_unit(compared[0].opened, min(layer, config.num_layers - 1))
        time, unit, name = from_url("time", last), from_url("unit", first), st.query_params.get("of", names[0])
    model = names.index(name) if name in names else 0
    time = min(max(time, 0), last)
    unit = min(max(unit, 0), compared[model].checkpoint.model.hidden_size - 1)
    state["selected"] = {
        "time": time, "unit": unit, "name": names[model], "chosen": chosen, "labels": axis.labels,
    }  # fmt: skip
    to_url("time", str(time) if time < last else None)
    to_url("unit", str(unit))
    to_url("of", names[model] if model else None)
    return {"time": time, "unit": unit, "model": model}


page()
