"""The expression that is read, on Watch and on Compare: what was typed, as far as it is one; or one that is drawn."""

from __future__ import annotations

import random
from collections.abc import Mapping

import streamlit as st

from lstmviz.data.expressions import DEEPEST, LONGEST, Expression, Unfinished, draw
from lstmviz.opened import OpenModel
from lstmviz.reading import Reading, read_tree
from lstmviz.ui.session import Sentences, Widget, session
from lstmviz.wire import Note

SAID_MOST = 60  # characters of an expression in a sentence
DRAWN_DEEPEST = 10  # operations one within the other in what is drawn


def typed(text: str, before: Expression | None) -> tuple[Expression | None, list[Note]]:
    """The expression that a text is, and what is to be said of it. While one is being typed its open brackets count as
    closed; where that makes none the one before stays.
    """
    try:
        return Expression.parse(text), []
    except Unfinished as error:
        if whole := Expression.begun(text):
            return whole, [("note", f"Not finished yet: read as {_short(whole)}.")]
        kind, problem = "note", error
    except ValueError as error:
        kind, problem = "warning", error
    if not text.strip():
        return None, [("info", "There is nothing to read yet. Type an expression above, or pick an example.")]
    return before, [(kind, _sentence(problem) + (f" Shown is still {_short(before)}." if before else ""))]


def read_typed(
    models: Mapping[str, OpenModel], text: str, before: Mapping[str, Reading | None], most: int | None = None
) -> tuple[dict[str, Reading | None], list[Note]]:
    """What models make of the expression that a text is, by their names, and what is to be said of it.

    Args:
        before: the same of the last text; what is the same is not read again.
        most: as for `read_tree`.
    """
    last = {name: reading for name, reading in before.items() if reading and name in models}
    expression, notes = typed(text, next((reading.expression for reading in last.values()), None))
    found: dict[str, Reading | None] = dict.fromkeys(models)
    try:
        for name, opened in models.items():
            if expression is None:
                break
            same = name in last and (last[name].expression, last[name].model) == (expression, opened.model)
            same = same and len(expression.symbols) <= (most or opened.most)  # beside more models there is less room
            found[name] = last[name] if same else read_tree(opened, expression, most)
    except ValueError as error:
        return dict.fromkeys(models), [*notes, ("warning", _sentence(error))]
    return found, notes


def _sentence(error: ValueError) -> str:
    said = f"{error}"
    return f"{said[0].upper()}{said[1:]}."


def _short(expression: Expression) -> str:
    text = f"{expression}"
    return text if len(text) <= SAID_MOST else f"{text[: SAID_MOST // 2]}…{text[-SAID_MOST // 2 :]}"


def draw_menu(box: Widget[str]) -> None:
    """Draw an expression of a chosen depth into the box."""

    def put() -> None:
        session(Sentences).put_into(box, f"{draw(random.Random(), depth, 2 * LONGEST)}")

    with st.popover("draw"):
        st.caption(
            f"Another expression. What the models learned from has at most {DEEPEST} operations one within the other."
        )
        depth = st.slider("depth", 1, DRAWN_DEEPEST, 3, key="drawn_depth", persist_state="page")
        st.button("draw an expression", on_click=put, type="primary", width="stretch", key="draw")
