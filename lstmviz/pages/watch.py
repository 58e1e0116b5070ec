"""Watch: type a sentence and see every gate answer."""

from __future__ import annotations

import io
from dataclasses import dataclass

import pandas as pd
import streamlit as st
import torch

from lstmviz.charts import ROLES, gate_figure, training_figure
from lstmviz.checkpoint import CheckpointError, card
from lstmviz.text import EOS, NEWLINE_SIGN, Vocabulary, plain, visible
from lstmviz.trace import GateTrace
from lstmviz.ui import models
from lstmviz.ui.gate_map import gate_map, readout
from lstmviz.ui.models import OpenModel
from lstmviz.ui.reading import MAX_TOKENS, ORDERS, Reading, common, drawn_roles, payload, read

MAX_BUTTONS = 60  # a vocabulary up to this size is shown as buttons


@dataclass(frozen=True)
class Example:
    """A sentence and what to look for in it."""

    text: str
    look: str


EXAMPLES = {
    "shakespeare": [
        Example(
            "⏎ROMEO:⏎What light is this, that breaks so soon the night?⏎",
            "A name in capitals: the loss is high on its first letters and falls as soon as the name can be guessed. "
            "If the cell has a forget gate, follow one of its rows: many units let go at spaces and at ⏎.",
        ),
        Example(
            "⏎⏎First Citizen:⏎We are accounted poor citizens, the patricians good.⏎",
            "The same two words open many scenes, so after F, i, r the model is nearly certain. The loss jumps again "
            "where a word begins and could be anything.",
        ),
        Example(
            "zqxj zqxj zqxj zqxj zqxj",
            "Letters that English never puts together. The first round is a shock at every letter. Does the fifth "
            "still surprise it? If not, some unit remembers.",
        ),
    ],
    "wikitext": [
        Example(
            "The film was released in the United States in 1994 and received positive reviews from critics .",
            "Names and set phrases cost little (United States, reviews from critics). The year is a guess among many: "
            "see its loss, and the five likeliest next words just before it.",
        ),
        Example(
            "When she tried to print her tickets, she found that the printer was out of toner.",
            "Does the model still hold the printer when toner comes? Its loss there tells; a unit whose row stays "
            "one colour from printer to toner might carry it.",
        ),
        Example(
            "He said that she didn't know what it was, but they were all there.",
            "Small everyday words are cheap. The text is split as the corpus is: didn't is two tokens, and the comma "
            "is one of its own.",
        ),
    ],
    "brackets": [
        Example(
            "(x(xx(x(x)x))(x)x)",
            "The depth unit is selected (named at the right). Below the map its cell takes one step at every ( and one "
            "step back at every ): counting, learned from prediction alone.",
        ),
        Example(
            "(((((((())))))))",
            "Straight in and out again: the depth unit's cell draws a pyramid, and closing gets likelier with depth.",
        ),
        Example("(x)⏎((x))⏎(x", "After ⏎ a new sentence begins: the counter must go back to nothing at once."),
    ],
    "agreement": [
        Example(
            "the key near the cabinets with the dogs is lost .",
            "The subject is key, so the verb must be is; cabinets and dogs must not count. The cell of the number unit "
            "(selected) falls after key and stays low over both.",
        ),
        Example(
            "the keys near the cabinet with the dog are lost .",
            "The same sentence with the numbers turned round: now the cell of the number unit stays high from keys to "
            "are, over cabinet and dog.",
        ),
        Example(
            "the key near the cabinets are lost .",
            "A mistake that people make too. The loss jumps at are: the model expected is, sees and was.",
        ),
    ],
}

STYLE = """<style>
[data-testid="stHeader"] {background: light-dark(#ffffff, #0f1318)} /* of the themes in .streamlit/config.toml */
[data-testid="stHeader"]::before {content: "lstmviz"; font-weight: 700; font-size: 1.1rem; padding-left: 1.8rem}
.block-container {padding: 4.2rem 1.8rem 3rem; max-width: 1760px}
.st-key-text input {font-family: var(--st-code-font, monospace); font-size: 1.2rem; padding: .7rem .9rem}
.st-key-text [data-baseweb="input"], .st-key-text [data-testid="stTextInputRootElement"] {height: 3.1rem}
.st-key-choice {flex-wrap: wrap}
.st-key-choice .st-key-model {min-width: min(100%, 14.5rem)}
.st-key-watch {gap: .55rem}
.st-key-bar button, .st-key-tokens button {min-height: 1.9rem; padding: .1rem .7rem}
.st-key-bar p, .st-key-bar button {font-size: .86rem}
</style>"""


def examples_for(opened: OpenModel) -> list[Example]:
    """Sentences that fit the model's corpus."""
    name = opened.checkpoint.corpus_name.lower()
    for key, examples in EXAMPLES.items():
        if key in name.replace("-", "").replace(" ", ""):
            return examples
    text = opened.written.replace("\n", NEWLINE_SIGN)
    return [Example(text, "A sentence that the model wrote itself.")]


def page() -> None:
    """The whole page: the sentence and its map at the left, the numbers and the model at the right."""
    st.html(STYLE)
    left, right = st.columns([3.1, 1], gap="medium")
    with right:
        name = choose_model()
    if name is None:
        return
    try:
        with left, st.spinner("Opening the model…"):
            opened = models.open_model(name)
    except CheckpointError as error:
        left.error(f"This model cannot be opened: {plain(str(error))}. Choose another one at the right.")
        return
    keep_text(name, opened)
    with right:
        readout(key="readout")
        if "painted" in st.session_state:
            training_curves(opened)
    with left:
        layers, roles, order = controls(opened)
        watch(name, layers, roles, order)


def training_curves(opened: OpenModel) -> None:
    """The checkpoint's own loss and perplexity while it was trained."""
    with st.container(border=True, gap="small"):
        st.markdown("**how this model learned**")
        figure = training_figure(opened.checkpoint.history, dark=st.context.theme.type == "dark")
        st.plotly_chart(figure, key="training", theme=None, config={"displayModeBar": False})


def choose_model() -> str | None:
    """The menu of models with the card of the chosen one, and the upload."""
    names = [*models.shipped(), *models.uploaded()]
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
            st.warning("The link asks for a model that is not here; this is another one.")
            del st.query_params["model"]
        st.session_state.pop("model", None)
    row = st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="choice")
    with row:
        name = st.selectbox("model", names, key="model", bind="query-params", label_visibility="collapsed")
        with st.popover("card", help="What the model was trained on, how, and how good it is"):
            show_card(name)
            upload()
    return name


def show_card(name: str) -> None:
    """Data, licence, command, seed and figures of a model."""
    try:
        st.markdown(f"**{plain(name)}**")
        st.markdown(card(models.open_model(name).checkpoint))
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
        state["model"] = models.add_upload(file.getvalue())
    except CheckpointError as error:
        state["upload_problem"] = str(error)


def keep_text(name: str, opened: OpenModel) -> None:
    """When the model changes, keep the text if it reads the same corpus; else bring back what was last typed for that
    corpus, or its first example. Nothing typed is lost.
    """
    state, corpus = st.session_state, opened.checkpoint.corpus_name
    texts = state.setdefault("texts", {})
    if state.get("watched") == name:
        return
    first = "watched" not in state
    if not first:
        texts[state["corpus"]] = state.get("last_text", "")
        state.pop("layer", None)
        for place in ("time", "unit"):  # of the model before
            st.query_params.pop(place, None)
    state["watched"], state["corpus"], state["seen"] = name, corpus, {}
    if first and "text" in st.query_params:
        return
    state["text"] = texts.get(corpus, examples_for(opened)[0].text)


@st.fragment
def watch(name: str, layers: list[int], roles: list[str], order: str) -> None:
    """Everything that answers a keystroke, and nothing else: each element here is sent and compared at every key."""
    opened = models.open_model(name)
    with st.container(key="watch"):
        text = st.text_input(
            "sentence",
            key="text",
            live="0ms",
            bind="query-params",
            label_visibility="collapsed",
            placeholder=f"Type a sentence; {NEWLINE_SIGN} stands for a new line",
            autocomplete="off",
        )
        if is_grammar(opened):
            token_buttons(opened.checkpoint.vocabulary)
        st.session_state["last_text"] = text
        reading = read(opened, text or "", st.session_state["seen"].get("reading"))
        if example := next((e for e in examples_for(opened) if e.text == text), None):
            st.caption(f"**Look for:** {example.look}")
        if reading is None:
            st.session_state["seen"].clear()
            st.info(
                "There is nothing to read yet. Type above, "
                + ("or press a token" if is_grammar(opened) else "or pick an example")
                + ", and a column appears for every token."
            )
            show_the_rest()
            return
        say_what_is_odd(opened, reading)
        said = st.session_state.get("map") or {}
        selection = select(opened, reading, layers, said.get("selection"))
        gate_map(
            payload(
                opened,
                reading,
                layers=layers,
                roles=roles,
                order=order,
                selection=selection,
                generated_from=generated_from(text),
                held=said.get("held") or (),
            ),
            key="map",
            height=max(420, 122 * len(roles) * len(layers) + 96),
        )
    if said.get("held") is not None:  # the map is on the screen
        show_the_rest()


def show_the_rest() -> None:
    """Now comes Plotly. Parsing its script holds up the browser for a second, so the map goes first."""
    if "painted" not in st.session_state:
        st.session_state["painted"] = True
        st.rerun()


def controls(opened: OpenModel) -> tuple[list[int], list[str], str]:
    """The row over the sentence: examples, layer, order of units, panels, continue, export."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="bar"):
        with st.popover("examples"):
            example_buttons(examples_for(opened))
        layer = "1"
        if opened.checkpoint.model.num_layers > 1:
            choices = [str(k + 1) for k in range(opened.checkpoint.model.num_layers)] + ["all"]
            st.markdown("layer", width="content")
            layer = st.segmented_control(
                "layer",
                choices,
                default="1",
                key="layer",
                required=True,
                bind="query-params",
                label_visibility="collapsed",
            )
        meaning = "Rows by similarity (alike units side by side), by index, or by how much they move in this sentence"
        st.markdown("order", width="content", help=meaning)
        order = st.segmented_control(
            "order of units",
            ORDERS,
            default="similar",
            key="order",
            required=True,
            bind="query-params",
            label_visibility="collapsed",
        )
        available = [role for role in ROLES if role in opened.scales[0]]
        roles = available
        if len(available) > 1:
            with st.popover("panels"):
                roles = role_boxes(available)
        with st.popover("continue"):
            continue_controls(opened)
        export = st.popover("export", key="export", on_change="rerun")  # what it offers depends on what was typed
        if export.open:
            with export:
                export_controls(opened)
    layers = list(range(opened.checkpoint.model.num_layers)) if layer == "all" else [int(layer) - 1]
    return layers, roles, order


def example_buttons(examples: list[Example]) -> None:
    """A click puts the sentence on the page; beside each stands what to look for."""
    for number, example in enumerate(examples):
        sentence = visible(example.text).replace("␣", " ")
        st.button(plain(sentence), key=f"example{number}", on_click=put_text, args=(example.text,), width="stretch")
        st.caption(example.look)


def role_boxes(available: list[str]) -> list[str]:
    """Which gates and states are drawn; at least one."""
    st.caption("Choose what is drawn.")
    usual = drawn_roles(available)
    chosen = [
        role
        for role in available
        if st.checkbox(
            ROLES[role].label,
            role in usual,
            key=f"show_{role}" if role in usual else f"show_also_{role}",  # hidden is usual only where there is no cell
            help=ROLES[role].meaning,
            persist_state="page",
        )
    ]
    return chosen or usual[:1]


def is_grammar(opened: OpenModel) -> bool:
    """Whether the model knows so few tokens that each can be a button."""
    return opened.checkpoint.hidden_variable is not None and len(opened.checkpoint.vocabulary) <= MAX_BUTTONS


def token_buttons(vocabulary: Vocabulary) -> None:
    """The few tokens of a grammar, to write a sentence by pressing them."""
    tokens = [token for i, token in enumerate(vocabulary.tokens) if i >= 4] + (
        [EOS] if vocabulary.level == "word" else []
    )
    with st.container(horizontal=True, gap="xsmall", key="tokens"):
        for number, token in enumerate(tokens):
            sign = NEWLINE_SIGN if token in (EOS, "\n") else token
            st.button(plain(sign), key=f"token{number}", on_click=append, args=(sign, vocabulary.level))


def append(sign: str, level: str) -> None:
    """Add a token to the sentence."""
    text = st.session_state.get("text") or ""
    put_text(text + sign if level == "char" or not text else f"{text} {sign}")


def put_text(text: str) -> None:
    """Replace the sentence."""
    st.session_state["text"] = text


def say_what_is_odd(opened: OpenModel, reading: Reading) -> None:
    """One sentence for each thing a person should know about what was read."""
    level = opened.checkpoint.vocabulary.level
    noun = "characters" if level == "char" else "words"
    if reading.dropped:
        st.warning(
            f"The text has {len(reading.pieces) + reading.dropped:,} {noun}; the first {MAX_TOKENS:,} are shown."
        )
    unknown = sum(i == opened.checkpoint.vocabulary.ids["<unk>"] for i in reading.ids)
    if unknown == len(reading.ids):
        st.warning(f"The model knows none of these {noun}: to it each is the same <unk>, marked by a dashed underline.")


def select(opened: OpenModel, reading: Reading, layers: list[int], chosen: dict | None) -> dict[str, int]:
    """The selected time, unit and layer: the last keystroke's token, until somebody chooses another.

    What was chosen last wins: a click or arrow key in the map (``chosen``), a changed token, or at first the URL. The
    URL follows.
    """
    state, units = st.session_state, opened.checkpoint.model.hidden_size
    seen = state["seen"]
    if not seen:
        time, unit = _from_url("time", len(reading.ids) - 1), _from_url("unit", _telling_unit(opened, layers[0]))
        selection = {"time": time, "unit": unit, "layer": layers[0]}
    else:
        selection = dict(seen["selection"])
        if chosen and chosen != seen["chosen"]:
            selection = {name: int(chosen[name]) for name in ("time", "unit", "layer")}
        if reading.ids != seen["reading"].ids:
            selection["time"] = _last_changed(seen["reading"].ids, reading.ids)
    selection["time"] = min(max(selection["time"], 0), len(reading.ids) - 1)
    selection["unit"] = min(max(selection["unit"], 0), units - 1)
    if selection["layer"] not in layers:
        selection["layer"] = layers[0]
    seen.update(reading=reading, selection=selection, chosen=chosen)
    # A link leads to the last token anyway: naming that would rewrite the URL at every key.
    last = len(reading.ids) - 1
    _to_url("time", str(selection["time"]) if selection["time"] < last else None)
    _to_url("unit", str(selection["unit"]))
    return selection


def _from_url(name: str, otherwise: int) -> int:
    try:
        return int(st.query_params[name])
    except (KeyError, ValueError):
        return otherwise


def _to_url(name: str, value: str | None) -> None:
    if value is None:
        st.query_params.pop(name, None)
    elif st.query_params.get(name) != value:
        st.query_params[name] = value


def _telling_unit(opened: OpenModel, layer: int) -> int:
    """The unit to select first: the one that carries a grammar's hidden variable, else the first row."""
    variable = opened.checkpoint.hidden_variable
    if variable:
        correlations = variable["correlations"][layer]
        return correlations.index(max(correlations))
    return int(opened.similar[layer][0])


def _last_changed(before: list[int], after: list[int]) -> int:
    """The last token that is new, or the one before what was taken out; what follows it ended the old text too."""
    head = common(before, after)
    tail = common(before[head:][::-1], after[head:][::-1])
    return max(0, len(after) - 1 - tail)


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

    def write() -> None:
        state, vocabulary = st.session_state, opened.checkpoint.vocabulary
        text, reading = state.get("text") or "", state["seen"].get("reading")
        read_so_far = reading.ids if reading else []
        ids = [*opened.context[:-1], *read_so_far] or [vocabulary.end]
        state["draws"] = state.get("draws", -1) + 1
        drawn = opened.model.sample(
            torch.tensor(ids), min(count, MAX_TOKENS - len(read_so_far)), temperature, top_k, state["draws"]
        )
        more = vocabulary.decode(drawn.tolist()).replace("\n", NEWLINE_SIGN)
        joint = "" if vocabulary.level == "char" or not text else " "
        put_text(text + joint + more)
        state["generated"] = {"text": text + joint + more, "from": len(read_so_far)}

    st.button("continue the sentence", on_click=write, type="primary", width="stretch", key="write")


def generated_from(text: str) -> int | None:
    """Time of the first token that the model wrote, while the sentence still begins with what it wrote."""
    generated = st.session_state.get("generated")
    return generated["from"] if generated and text.startswith(generated["text"]) else None


def export_controls(opened: OpenModel) -> None:
    """The trace as a table, the figure as a page; made only when asked for."""
    reading = st.session_state["seen"].get("reading")
    if reading is None:
        st.caption("Type a sentence first; then its trace can be saved.")
        return

    def trace() -> GateTrace:
        tokens = [opened.checkpoint.vocabulary.tokens[i] for i in reading.ids]
        return reading.trace.assign_coords(token=("time", tokens))

    def table() -> pd.DataFrame:
        return trace().to_dataframe().reset_index()

    def parquet() -> bytes:
        buffer = io.BytesIO()
        table().to_parquet(buffer, index=False)
        return buffer.getvalue()

    st.caption("Every gate and state of every layer, token and unit. The map itself has a PNG button.")
    for label, make, name, mime in (
        ("table (CSV)", lambda: table().to_csv(index=False).encode(), "trace.csv", "text/csv"),
        ("table (Parquet)", parquet, "trace.parquet", "application/vnd.apache.parquet"),
        ("figure (interactive HTML)", lambda: gate_figure(trace()).to_html().encode(), "gates.html", "text/html"),
    ):
        st.download_button(label, make, name, mime, on_click="ignore", width="stretch")


page()
