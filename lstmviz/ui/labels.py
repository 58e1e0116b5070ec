"""Which label begins what a model says, on Watch and on Compare."""

from __future__ import annotations

import streamlit as st

from lstmviz.data.vocabulary import shown
from lstmviz.reading import OpenModel
from lstmviz.ui.session import Widget, linked
from lstmviz.wire import Note

PILLS_MOST = 12  # labels; more are a menu


def choose_label(opened: OpenModel, box: Widget[str]) -> tuple[str, list[Note]]:
    """One of the labels that a model knows, and what is said where the link asks for another.

    Args:
        box: the page's.
    """
    labels, notes = opened.labels, list[Note]()
    if not box.known() and (asked := linked(box.key)) is not None and asked not in labels:
        notes.append(("warning", f"The link asks for the label {shown(asked[:40])!r}, which the model does not know."))
    options = {"key": box.key, "bind": "query-params", "label_visibility": "collapsed", "format_func": shown}
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="begins"):
        st.markdown("begun by", width="content")
        if len(labels) > PILLS_MOST:
            label = st.selectbox("label", labels, width=260, **options)
        else:
            label = st.segmented_control("label", labels, default=labels[0], required=True, **options)
    return label if label in labels else labels[0], notes
