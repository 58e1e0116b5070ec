"""What stands around the sentence of every page that reads one: the box, examples, tokens, the units' order."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import streamlit as st

from lstmviz.baselines import NGram
from lstmviz.checkpoint import CheckpointError
from lstmviz.data.vocabulary import plain, visible
from lstmviz.explain.examples import buttons_of, examples_for
from lstmviz.live import why_not
from lstmviz.opened import OpenModel
from lstmviz.reading import LONGEST, NOBODY, ORDERS, TELLING, Selected
from lstmviz.scripts import style
from lstmviz.ui.session import Sentences, Widget, linked, session
from lstmviz.ui.sources import Baseline

NOTHING = "none"
STYLE = f"<style>{style('page.css')}</style>"


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


def baseline_control(baselines: dict[str, Baseline], box: Widget[str]) -> Baseline | None:
    """What is laid over the loss: an n-gram, which knows only the last n - 1 tokens, or nothing.

    Args:
        baselines: what there is, by name; where there is nothing, nothing is asked.
        box: the page's.
    """
    if not baselines:
        return None
    with st.popover("baseline"):
        st.caption(
            "Where does memory pay off? An n-gram looks only at the n − 1 tokens before, and at how often each token "
            "followed them in the text that it was counted in (interpolated Kneser-Ney). Lay its loss over the model's."
        )
        chosen = st.segmented_control(
            "laid over the loss",
            [NOTHING, *baselines],
            default=NOTHING,
            key=box.key,
            required=True,
            bind="query-params",
        )
    return baselines.get(chosen or NOTHING)


def open_baseline(baseline: Baseline | None) -> NGram | None:
    """What is laid over the loss; where it cannot be read, it says so."""
    with st.container():  # so that what follows stays in its place
        try:
            with st.spinner("Reading what was counted…"):
                return baseline.open() if baseline else None
        except CheckpointError as error:
            st.error(f"The {baseline} cannot be laid over the loss: {plain(str(error))}.")
    return None


MIMES = {
    ".csv": "text/csv",
    ".md": "text/markdown",
    ".html": "text/html",
    ".parquet": "application/vnd.apache.parquet",
}


def offer(label: str, name: str, make: Callable[[], str | bytes]) -> None:
    """A button that saves a file, which is made when somebody presses it."""
    mime = MIMES[name[name.index(".") :]]
    st.download_button(label, make, name, mime, on_click="ignore", width="stretch")


def offer_page(models: Mapping[str, OpenModel]) -> None:
    """A button that saves a page in which these models are alive; where no page can run one, it says why."""
    if why := next(filter(None, map(why_not, models.values())), ""):
        st.caption(f"No page of its own can run this: {why}.")
        return

    def make() -> str:
        from lstmviz.page import live_page  # with torch, for which the first map does not wait

        return live_page(models)

    st.caption("All of this in one file, to be typed to without a server or a network.")
    offer("live page (HTML)", "live.html", make)


def examples_menu(opened: OpenModel, box: Widget[str]) -> None:
    """A click puts a sentence into the box; beside each stands what to look for."""
    sentences = session(Sentences)

    def choose(text: str) -> None:
        sentences.put_into(box, text)

    with st.popover("examples", key=f"examples {sentences.put}"):  # after a choice it is another one, and closed
        for number, example in enumerate(examples_for(opened)):
            sentence = visible(example.text).replace("␣", " ")
            st.button(plain(sentence), key=f"example{number}", on_click=choose, args=(example.text,), width="stretch")
            st.caption(example.look)


def token_buttons(opened: OpenModel, box: Widget[str]) -> None:
    """The few tokens of a grammar, to write a sentence by pressing them; of another model none."""

    def append(sign: str) -> None:
        session(Sentences).put_into(box, opened.reads.joined(box.value() or "", sign))

    if signs := buttons_of(opened):
        with st.container(horizontal=True, gap="xsmall", key="tokens"):
            for number, sign in enumerate(signs):
                st.button(plain(sign), key=f"token{number}", on_click=append, args=(sign,))


def type_sentence(opened: OpenModel, box: Widget[str], rests: bool = False) -> str:
    """The box that answers every key, with a button for each token of a grammar; its text is kept for this corpus.

    Of a text, which a link may say too, what is past ``LONGEST`` characters is left out.

    Args:
        rests: hear of keys only once they rest, since the page answers them.
    """
    newline = f"; {opened.reads.newline_sign} stands for a new line"
    text = st.text_input(
        "sentence",
        key=box.key,
        live=True if rests else "0ms",
        bind="query-params",
        label_visibility="collapsed",
        placeholder=f"Type the {opened.task.whole} to be read" + ("" if opened.is_asked else newline),
        autocomplete="off",
    )
    text = (text or "")[:LONGEST]
    token_buttons(opened, box)
    session(Sentences).texts[kept_as(opened)] = text
    return text


def kept_as(opened: OpenModel) -> tuple[str, str]:
    """For what a text is kept: models of one task and one corpus read the same."""
    return opened.task.name, opened.checkpoint.corpus_name


def kept_time(opened: OpenModel, box: Widget[str], before: Selected | None) -> int | None:
    """The token that stays selected when a model takes the place of one for which the same text is kept; None where it
    is another text, or nobody chose a token.

    Args:
        opened: the model that comes, before `keep_text`.
        box: the page's.
        before: what is selected in the one before.
    """
    same = session(Sentences).box == (box.key, kept_as(opened))
    return before.selection.time if same and before and before.selection.time != NOBODY else None


def keep_text(reader: str, opened: OpenModel, box: Widget[str]) -> bool:
    """Put the right text on the page when another reader begins: what was last typed for its corpus, or an example.

    Where images are read there is none.

    Args:
        reader: the page, and what on it decides of the text.
        opened: the model whose corpus counts.
        box: the page's.

    Returns:
        Whether it is another reader than before. The first one takes the text of the link, if that has one.
    """
    sentences = session(Sentences)
    before, sentences.reader = sentences.reader, reader
    if sentences.box and sentences.box[0] == box.key and box.known():  # the last keys may not be drawn yet
        sentences.texts[sentences.box[1]] = (box.value() or "")[:LONGEST]
    sentences.box = None if opened.side else (box.key, kept_as(opened))
    if opened.side or (before == reader and box.known()):
        return before != reader
    if before is not None or linked(box.key) is None:
        text = sentences.texts.get(kept_as(opened), examples_for(opened)[0].text)
        if text != box.value():
            sentences.put_into(box, text)
    return before != reader
