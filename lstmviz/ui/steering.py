"""What a page does when somebody presses a button that asks something of a training."""

from __future__ import annotations

import time
from collections.abc import Callable

from lstmviz.disk import reason
from lstmviz.training import trainings
from lstmviz.ui.session import Experiments, Train, session

ANSWER_WITHIN = 15.0  # seconds after which a process that was asked to begin has said so


def attempt(page: type[Train | Experiments], action: Callable[..., object], *arguments: object) -> None:
    """Do what a button says; the page says why where that cannot be done."""
    memory = session(page)
    memory.pressed = time.monotonic()
    if isinstance(memory, Train) and action is trainings.go_on:
        memory.arrived = memory.pressed
    try:
        action(*arguments)
    except (OSError, ValueError) as error:
        memory.problem = reason(error)


def answering(page: type[Train | Experiments]) -> bool:
    """Whether what was asked for last may still be about to begin."""
    return time.monotonic() - session(page).pressed < ANSWER_WITHIN
