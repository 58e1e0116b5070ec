"""Which label begins what a model says, on Watch and on Compare."""

from __future__ import annotations

import streamlit as st

from lstmviz.data.vocabulary import shown
from lstmviz.opened import OpenModel
from lstmviz.ui.session import Sentences, Widget, linked, session
from lstmviz.wire import Note

PILLS_MOST = 12  # labels; more are a menu


def choose_label(opened: OpenModel, box: Widget[str]) -> tuple[str, list[Note]]:
    """One of the labels that a model knows, and what is said where the link asks for another.

    Args:
        box: the page's.
    """
    labels, memory = opened.labels, session(Sentences)
    if not box.known():  # it is drawn for the first time
        asked = linked(box.key) or labels[0]
        memory.strange = "" if asked in labels else asked[:40]
    options = {"key": box.key, "bind": "query-params", "label_visibility": "collapsed", "format_func": shown}
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="begun_by"):
        st.markdown("begun by", width="content")
        if len(labels) > PILLS_MOST:
            label = st.selectbox("label", labels, width=260, **options)
        else:
            label = st.segmented_control("label", labels, default=labels[0], required=True, **options)
    chosen = label if label in labels else labels[0]
    if not memory.strange or chosen != labels[0]:
        memory.strange = ""
        return chosen, []
    known = "which the model does not know; it begins by the first that it knows"
    return chosen, [("warning", f"The link asks for the label “{shown(memory.strange)}”, {known}.")]
