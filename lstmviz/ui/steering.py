"""The buttons of a line-up, wherever one is shown: stop, resume, delete, and how far it is."""

from __future__ import annotations

import time
from collections.abc import Callable

import streamlit as st

from lstmviz.data.vocabulary import inline, plain
from lstmviz.disk import name_of, reason
from lstmviz.home import Home
from lstmviz.training import trainings
from lstmviz.training.folder import Snapshot
from lstmviz.training.standing import share_done
from lstmviz.training.status import LIVING
from lstmviz.training.sweep import Sweep
from lstmviz.ui.components import heading
from lstmviz.ui.session import Train, key_of, session


def attempt(action: Callable[..., object], *arguments: object) -> None:
    """Do what a button says; the page says why where that cannot be done."""
    memory = session(Train)
    memory.pressed = time.monotonic()
    if action is trainings.go_on:
        memory.arrived = memory.pressed
    try:
        action(*arguments)
    except (OSError, ValueError) as error:
        memory.problem = reason(error)


def steer_lineup(home: Home, lineup: Sweep, members: list[Snapshot], *, together: bool) -> None:
    """Stop, resume and delete all members of a line-up; and how far they are, where they are shown together."""
    status, name = members[0].lineup, name_of(lineup.folder)
    state = status.state if status else "starting"
    finished = sum(seen.status is not None and seen.status.state == "finished" for seen in members)
    with st.container(horizontal=True, vertical_alignment="center"):
        if together:
            heading(f"line-up {inline(name)}", session(Train).arrived, key="heading")
        else:
            st.markdown(f"line-up **{plain(name)}**", width="stretch")
        if status and state in LIVING:
            st.button("stop all", on_click=attempt, args=(lineup.stop,), key="stop_all")
        elif state not in LIVING and finished < len(members):
            st.button("resume all", on_click=attempt, args=(trainings.go_on, home, lineup), key="restart_all")
        if state not in LIVING:
            with st.popover("delete all", key=key_of("ask", name)):  # another one's is another, and closed
                st.caption(f"The folder of {plain(name)}, with all its members, is removed for good.")
                st.button("delete them", on_click=attempt, args=(trainings.delete, lineup), key="delete_all")
    if together:
        done = sum(map(share_done, members)) / len(members)
        st.progress(done, f"{state} · {finished} of {len(members)} finished")
    if said := lineup.damage or (status.message if status and state in ("crashed", "stopped") else ""):
        st.error(f"The line-up {plain(name)}: {plain(said)}.")
