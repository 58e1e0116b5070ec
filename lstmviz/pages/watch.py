"""Watch: type a sentence and see every gate answer."""

from __future__ import annotations

import streamlit as st

from lstmviz.card import card
from lstmviz.charts import training_figure
from lstmviz.checkpoint import CheckpointError
from lstmviz.data.vocabulary import plain
from lstmviz.explain.examples import examples_for
from lstmviz.reading import MAX_TOKENS, OpenModel, Reading, last_changed, mostly_unknown, read, telling_unit
from lstmviz.ui import sources
from lstmviz.ui.cell_card import cell_card
from lstmviz.ui.components import Note, gate_map, readout
from lstmviz.ui.controls import (
    STYLE,
    controls,
    from_url,
    generated_from,
    is_grammar,
    keep_text,
    to_url,
    type_sentence,
)  # fmt: skip
from lstmviz.wire import payload


def page() -> None:
    """The whole page: the sentence and its map at the left, the numbers and the model at the right."""
    st.html(STYLE)
    left, right = st.columns([3.1, 1], gap="medium")
    with right, st.container():  # with what is said of the choice, so that what follows stays in its place
        name = choose_model()
    if name is None:
        return
    try:
        with left, st.spinner("Opening the model…"):
            opened = sources.open_model(name)
    except CheckpointError as error:
        left.error(f"This model cannot be opened: {plain(str(error))}. Choose another one at the right.")
        return
    begin(name, opened)
    with right:
        beside(opened)
    with left:
        layers, roles, order = controls(opened)
        watch(name, layers, roles, order)


@st.fragment
def beside(opened: OpenModel) -> None:
    """The numbers of the selection, and then Plotly: parsing its script holds up the browser for a second, so the map
    goes first. The browser says when; a rerun that the server asks for would bring back the text as it was before the
    keys that are on their way.
    """
    if readout(key="readout"):
        training_curves(opened)


def training_curves(opened: OpenModel) -> None:
    """The checkpoint's own loss and perplexity while it was trained."""
    with st.container(border=True, gap="small"):
        st.markdown("**how this model learned**")
        figure = training_figure(opened.checkpoint.history, dark=st.context.theme.type == "dark")
        st.plotly_chart(figure, key="training", theme=None, config={"displayModeBar": False})
        top = figure.layout.yaxis.range[1]  # pyright: ignore[reportAttributeAccessIssue]
        if any(loss is not None and loss > top for loss in opened.checkpoint.history["valid_nll"]):
            st.caption(f"What is above {top:.1f} nats is cut off.")


def choose_model() -> str | None:
    """The menu of models, the card of the chosen one, and the upload."""
    names = sources.every()
    if not names:
        st.warning(
            "There are no checkpoints in the folder checkpoints/. Train one with "
            "`python -m lstmviz train runs/brackets --corpus brackets` and upload its best.safetensors below."
        )
        upload()
        return None
    if st.session_state.get("model") not in names:
        asked = st.query_params.get("model")
        if asked is not None and asked not in names:
            st.warning(
                "The link asks for a model that is not here; this is another one. An uploaded model goes with its page."
            )
            del st.query_params["model"]
        st.session_state.pop("model", None)
    row = st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="choice")
    with row:
        name = st.selectbox("model", names, key="model", bind="query-params", label_visibility="collapsed")
        with st.popover("card", help="What the model was trained on, how, and how good it is"):
            show_card(name)
        with st.popover("open"):
            upload()
    return name


def show_card(name: str) -> None:
    """Data, licence, command, seed and figures of a model, and what its cell computes."""
    try:
        st.markdown(f"**{plain(name)}**")
        checkpoint = sources.open_model(name).checkpoint
        st.markdown(card(checkpoint))
        cell_card(checkpoint.model.cell, checkpoint.model.embedding_size, checkpoint.model.hidden_size)
    except CheckpointError as error:
        st.error(plain(str(error)))


def upload() -> None:
    """Take a checkpoint of ours from the person's disk."""
    label = "open a checkpoint of your own (.safetensors)"
    if problem := st.session_state.get("upload_problem"):
        st.error(f"The file cannot be used: {plain(problem)}.")
    st.file_uploader(label, type="safetensors", key="upload", on_change=take_upload)


def take_upload() -> None:
    """Choose the uploaded model; only a callback, which runs before the menu is drawn, may do that."""
    state = st.session_state
    file, state["upload_problem"] = state["upload"], None
    if file is None:
        return
    try:
        state["model"] = sources.add_upload(file.getvalue())
    except CheckpointError as error:
        state["upload_problem"] = str(error)


def begin(name: str, opened: OpenModel) -> None:
    """When the model changes, what was chosen for the one before is forgotten, but no text."""
    state, known = st.session_state, "seen" in st.session_state
    if keep_text(f"watch {name}", opened) or not known:
        state["seen"] = {}
        if known:
            state.pop("layer", None)
            for place in ("time", "unit"):
                st.query_params.pop(place, None)


@st.fragment
def watch(name: str, layers: list[int], roles: list[str], order: str) -> None:
    """Everything that answers a keystroke, and nothing else: each element here is sent and compared at every key.

    They are always the same: see ``ui.components``.
    """
    opened = sources.open_model(name)
    with st.container(key="watch"):
        text = type_sentence(opened)
        reading = read(opened, text, st.session_state["seen"].get("reading"))
        said = st.session_state.get("map") or {}
        message = b""
        if reading is None:
            st.session_state["seen"].clear()
        else:
            message = payload(
                opened,
                reading,
                layers=layers,
                roles=roles,
                order=order,
                selection=select(opened, reading, layers, said.get("selection")),
                generated_from=generated_from(text),
                held=said.get("held") or (),
                name=name,
            )
        gate_map(message, key="map", notes=notes_on(opened, text, reading))


def notes_on(opened: OpenModel, text: str, reading: Reading | None) -> list[Note]:
    """One sentence for each thing a person should know about a text."""
    if reading is None:
        other = "press a token" if is_grammar(opened) else "pick an example"
        return [
            ("info", f"There is nothing to read yet. Type above, or {other}, and a column appears for every token.")
        ]
    notes: list[Note] = [("look", example.look) for example in examples_for(opened) if example.text == text]
    vocabulary = opened.checkpoint.vocabulary
    noun = "characters" if vocabulary.level == "char" else "words"
    if reading.dropped:
        count = len(reading.pieces) + reading.dropped
        notes.append(("warning", f"The text has {count:,} {noun}; the first {MAX_TOKENS:,} are shown."))
    typed = reading.ids[1:] if opened.context else reading.ids  # a grammar's sentence is read after the end of another
    unknown = typed.count(vocabulary.ids["<unk>"])
    if unknown == len(typed):
        same = "to it each is the same <unk>, marked by a dashed underline"
        notes.append(("warning", f"The model knows none of these {noun}: {same}."))
    elif mostly_unknown(opened, reading):
        little = "its perplexity tells little of the others"
        notes.append(("warning", f"The model does not know {unknown} of these {noun}: {little}."))
    return notes


def select(opened: OpenModel, reading: Reading, layers: list[int], chosen: dict | None) -> dict[str, int]:
    """The selected time, unit and layer: the last keystroke's token, until somebody chooses another.

    What was chosen last wins: a click or arrow key in the map (``chosen``), a changed token, or at first the URL. The
    URL follows.
    """
    state, units = st.session_state, opened.checkpoint.model.hidden_size
    seen = state["seen"]
    if not seen:
        time, unit = from_url("time", len(reading.ids) - 1), from_url("unit", telling_unit(opened, layers[0]))
        selection = {"time": time, "unit": unit, "layer": layers[0]}
    else:
        selection = dict(seen["selection"])
        if chosen and chosen != seen["chosen"]:
            selection = {name: int(chosen[name]) for name in ("time", "unit", "layer")}
        if reading.ids != seen["reading"].ids:
            selection["time"] = last_changed(seen["reading"].ids, reading.ids)
    selection["time"] = min(max(selection["time"], 0), len(reading.ids) - 1)
    selection["unit"] = min(max(selection["unit"], 0), units - 1)
    if selection["layer"] not in layers:
        selection["layer"] = layers[0]
    seen.update(reading=reading, selection=selection, chosen=chosen)
    # A link leads to the last token anyway: naming that would rewrite the URL at every key.
    last = len(reading.ids) - 1
    to_url("time", str(selection["time"]) if selection["time"] < last else None)
    to_url("unit", str(selection["unit"]))
    return selection


page()
