"""What a person can press around the sentence: examples, layer, order, panels, tokens, continue, export."""

from __future__ import annotations

import io

import pandas as pd
import streamlit as st
import torch

from lstmviz.charts import gate_figure
from lstmviz.data.vocabulary import EOS, NEWLINE_SIGN, Vocabulary, plain, visible
from lstmviz.explain.examples import examples_for
from lstmviz.reading import MAX_TOKENS, ORDERS, TELLING, OpenModel
from lstmviz.roles import ROLES
from lstmviz.trace import GateTrace, as_table
from lstmviz.units import MOST, drawn_roles

MAX_BUTTONS = 60  # a vocabulary up to this size is shown as buttons
STYLE = """<style>
.st-key-text input, .st-key-sentence input {font-size: 1.2rem; padding: .7rem .9rem}
.st-key-text input, .st-key-sentence input {font-family: var(--st-code-font, monospace)}
:is(.st-key-text, .st-key-sentence) :is([data-baseweb="input"], [data-testid="stTextInputRootElement"]) {height: 3.1rem}
.st-key-choice {flex-wrap: wrap}
.st-key-choice .st-key-model {min-width: 100%}
.st-key-watch, .st-key-compare {gap: .55rem}
.st-key-bar button, .st-key-tokens button {min-height: 1.9rem; padding: .1rem .7rem}
.st-key-bar p, .st-key-bar button {font-size: .86rem}
@media (max-width: 800px) { /* as in app.py */
  .st-key-bar, .st-key-choice {gap: .35rem}
  .st-key-bar button {padding: .1rem .5rem}
  .st-key-choice .st-key-model {min-width: 200px; flex: 1}
  .st-key-choice .st-key-models {min-width: min(100%, 420px)}
  /* Watch in one column: the model, the sentence, the numbers, the map, and last how the model learned. */
  [data-testid="stHorizontalBlock"]:has(> [data-testid="stColumn"] .st-key-watch) {
    flex-flow: column nowrap; align-items: stretch; gap: .55rem; reading-flow: flex-visual}
  [data-testid="stColumn"]:has(.st-key-watch, .st-key-choice), /* what holds them is no box of its own */
  [data-testid="stColumn"] :is([data-testid="stVerticalBlock"], [data-testid="stLayoutWrapper"]):has(
    .st-key-choice, .st-key-bar, .st-key-text, .st-key-tokens, .st-key-readout, .st-key-map) {display: contents}
  [data-testid="stColumn"] :is(.st-key-choice, .st-key-bar, .st-key-text, .st-key-tokens) {order: -3}
  [data-testid="stColumn"] .st-key-choice {order: -5}
  [data-testid="stColumn"] .st-key-bar {order: -4}
  [data-testid="stColumn"] .st-key-readout {order: 1}
  [data-testid="stColumn"] .st-key-map {order: 2}
  [data-testid="stLayoutWrapper"]:has(> * > .st-key-training) {order: 3}
}
</style>"""


def controls(opened: OpenModel) -> tuple[list[int], list[str], str]:
    """The row over the sentence: examples, layer, units, panels, continue, export."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="bar"):
        examples_menu(opened)
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
        count = opened.checkpoint.model.hidden_size
        only = count > MOST and units_control(f"{count} units")
        available = [role for role in ROLES if role in opened.scales[0]]
        with st.popover("panels"):
            roles = role_boxes(available) if len(available) > 1 else available
            order = order_control(only)
        with st.popover("continue"):
            continue_controls(opened)
        export = st.popover("export", key="export", on_change="rerun")  # what it offers depends on what was typed
        if export.open:
            with export:
                export_controls(opened)
    layers = list(range(opened.checkpoint.model.num_layers)) if layer == "all" else [int(layer) - 1]
    return layers, roles, order


def units_control(label: str, key: str = "units") -> bool:
    """Whether only the telling units are shown."""
    meaning = (
        "Telling: the two dozen units that move most in this sentence, and unlike one another. All: every unit; where "
        "rows are too many, a line is the mean of several."
    )
    st.markdown(label, width="content", help=meaning)
    shown = st.segmented_control(
        "units",
        [TELLING, "all"],  # the link says them as they are shown here
        default=TELLING,
        key=key,
        required=True,
        bind="query-params",
        label_visibility="collapsed",
    )
    return shown == TELLING


def order_control(only_telling: bool, key: str = "order") -> str:
    """The order of the rows; where only the telling units are shown, it is theirs."""
    if only_telling:
        return TELLING
    return st.segmented_control(
        "order of the units: alike ones side by side, by index, or by how much they move in this sentence",
        ORDERS,
        default=ORDERS[0],
        key=key,
        required=True,
        bind="query-params",
    )


def examples_menu(opened: OpenModel, key: str = "text") -> None:
    """A click puts a sentence into the box of that key; beside each stands what to look for."""

    def choose(text: str) -> None:
        put_text(text, key)
        st.session_state["chosen_examples"] = chosen + 1

    chosen = st.session_state.get("chosen_examples", 0)
    with st.popover("examples", key=f"examples {chosen}"):  # after a choice it is another one, and closed
        for number, example in enumerate(examples_for(opened)):
            sentence = visible(example.text).replace("␣", " ")
            st.button(plain(sentence), key=f"example{number}", on_click=choose, args=(example.text,), width="stretch")
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


def token_buttons(vocabulary: Vocabulary, key: str) -> None:
    """The few tokens of a grammar, to write a sentence by pressing them."""
    tokens = [token for i, token in enumerate(vocabulary.tokens) if i >= 4] + (
        [EOS] if vocabulary.level == "word" else []
    )
    with st.container(horizontal=True, gap="xsmall", key="tokens"):
        for number, token in enumerate(tokens):
            sign = NEWLINE_SIGN if token in (EOS, "\n") else token
            st.button(plain(sign), key=f"token{number}", on_click=append, args=(sign, vocabulary.level, key))


def append(sign: str, level: str, key: str) -> None:
    """Add a token to the sentence."""
    text = st.session_state.get(key) or ""
    put_text(text + sign if level == "char" or not text else f"{text} {sign}", key)


def type_sentence(opened: OpenModel, key: str = "text") -> str:
    """The box that answers every key, with a button for each token of a grammar; its text is kept for this corpus.

    Pages have keys of their own for what their links tell: a shared one Streamlit empties when the browser goes back
    from one page to the other.
    """
    text = st.text_input(
        "sentence",
        key=key,
        live="0ms",
        bind="query-params",
        label_visibility="collapsed",
        placeholder=f"Type a sentence; {opened.checkpoint.vocabulary.newline_sign} stands for a new line",
        autocomplete="off",
    )
    if is_grammar(opened):
        token_buttons(opened.checkpoint.vocabulary, key)
    st.session_state.setdefault("texts", {})[opened.checkpoint.corpus_name] = text or ""
    return text or ""


def keep_text(reader: str, opened: OpenModel, key: str = "text") -> bool:
    """Put the right text on the page when another reader begins: what was last typed for its corpus, or an example.

    Args:
        reader: the page, and what on it decides of the text.
        opened: the model whose corpus counts.
        key: of the page's box.

    Returns:
        Whether it is another reader than before. The first one takes the text of the link, if that has one.
    """
    state, corpus = st.session_state, opened.checkpoint.corpus_name
    before, state["reader"] = state.get("reader"), reader
    if before == reader and key in state:
        return False
    if before is not None or key not in st.query_params:
        state[key] = state.get("texts", {}).get(corpus, examples_for(opened)[0].text)
    return before != reader


def put_text(text: str, key: str = "text") -> None:
    """Replace the sentence."""
    st.session_state[key] = text


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
        count_left = min(count, MAX_TOKENS - len(read_so_far))
        try:
            drawn = opened.model.sample(torch.tensor(ids), count_left, temperature, top_k, state["draws"])
        except FloatingPointError as error:
            state["not_continued"] = str(error)
            return
        more = vocabulary.decode(drawn.tolist()).replace("\n", vocabulary.newline_sign)
        joint = "" if vocabulary.level == "char" or not text else " "
        put_text(text + joint + more)
        state["generated"] = {"text": text + joint + more, "from": len(read_so_far)}

    st.button("continue the sentence", on_click=write, type="primary", width="stretch", key="write")
    if problem := st.session_state.pop("not_continued", None):
        st.error(f"The sentence was not continued: {problem}.")


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
        return as_table(trace())

    def parquet() -> bytes:
        buffer = io.BytesIO()
        table().to_parquet(buffer, index=False)
        return buffer.getvalue()

    st.caption("Every gate and state of every layer, token and unit. Link and picture have buttons over the map.")
    for label, make, name, mime in (
        ("table (CSV)", lambda: table().to_csv(index=False).encode(), "trace.csv", "text/csv"),
        ("table (Parquet)", parquet, "trace.parquet", "application/vnd.apache.parquet"),
        ("figure (interactive HTML)", lambda: gate_figure(trace()).to_html().encode(), "gates.html", "text/html"),
    ):
        st.download_button(label, make, name, mime, on_click="ignore", width="stretch")


def from_url(name: str, otherwise: int) -> int:
    """A number that the link gives."""
    try:
        return int(st.query_params[name])
    except (KeyError, ValueError):
        return otherwise


def to_url(name: str, value: str | None) -> None:
    """Let the link say it too; None takes it out."""
    if value is None:
        st.query_params.pop(name, None)
    elif st.query_params.get(name) != value:
        st.query_params[name] = value
