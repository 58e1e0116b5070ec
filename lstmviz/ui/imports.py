"""What is imported when, once a process: what the first map needs while a browser still loads, and all else behind it.

torch alone takes longer than all else that a first map waits for, and a map that the page makes itself needs neither it
nor pandas. So no file that such a map needs imports them at its top: who needs one imports it then, and waits while the
thread of `behind` has it in work.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from threading import Thread

import streamlit as st

FIRST = ("lstmviz.ui.components", "lstmviz.ui.watch_bar")  # with all that is below them

# After torch. A file imports only from those below it: so of two threads that import at once none waits for the other
# with what that waits for.
BEHIND = ("lstmviz.charts", "lstmviz.explain.tables", "lstmviz.translation", "lstmviz.training.sweep")


@st.cache_resource(show_spinner=False)
def first() -> Thread:
    """The thread that imports what the first map needs, and opens the model that a page begins with."""
    return _begun(_first)


@st.cache_resource(show_spinner=False)
def behind() -> Thread:
    """The thread that imports the rest; it begins when somebody first asks for it, and so once a map is there."""
    return _begun(_rest)


def is_all_there() -> bool:
    """Whether nobody waits for anything; who asks first begins it."""
    return not behind().is_alive()


def need_torch() -> None:
    """Wait until all is imported, and say so."""
    if not is_all_there():
        with st.spinner("Loading PyTorch…"):
            behind().join()


def torch_is_there() -> bool:
    """The same, and begins nothing."""
    return "torch" in sys.modules and is_all_there()


def _begun(work: Callable[[], None]) -> Thread:
    thread = Thread(target=work, name=work.__name__)
    thread.start()
    return thread


def _first() -> None:
    with _undisturbed():
        from lstmviz.checkpoint import CheckpointError

        for name in FIRST:
            import_module(name)
        from lstmviz.ui import session, sources

        session.give_back_at_once()
        with suppress(CheckpointError, IndexError):
            sources.baselines(sources.Shipped.every()[0].open())


def _rest() -> None:
    with _undisturbed():
        import torch

        torch.set_num_threads(1)
        for name in BEHIND:
            import_module(name)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Garbage collection would take a third of the time of an import and find next to nothing; and frozen, what was
    imported is not walked by any later collection, of which every keystroke would pay its share.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
