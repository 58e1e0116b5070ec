"""How a training stands: a folder's status.json, the lock on it, and whether the process that wrote it still lives."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from lstmviz.disk import FULL, read_bytes, read_fitted, reason, write_atomically

State = Literal[
    "starting", "queued", "running", "paused", "held", "stopped", "finished", "failed", "crashed", "unreadable"
]
LIVING = ("starting", "queued", "running", "paused", "held")
STALE_AFTER = 60.0  # seconds without a heartbeat after which a process is taken for dead
LINEUP = "sweep.json"  # the file that makes a folder of runs a line-up; see lstmviz.training.sweep


class Busy(ValueError):
    """Another process is at it already."""


@dataclass(frozen=True)
class Status:
    """How a run stands.

    Args:
        state: those in ``LIVING`` have a living process, which is "held" where the system has stopped it (SIGSTOP,
            Ctrl-Z); "crashed" should have one; "unreadable" is a run whose config.json tells nothing.
        step: optimiser steps taken.
        pid, started: of the process that wrote this; the system may give the number, but not the start, to another.
            0 where none did: what is said is what was found.
        heartbeat: when it was written, seconds since 1970.
        message: why it failed, or what is wrong with what was finished, in a sentence.
        parameters: numbers that the model learns; 0 while it is not built.
        host: the machine that process runs on.
        processes: how many train it together.
    """

    state: State
    step: int
    pid: int
    started: str
    heartbeat: float
    message: str = ""
    parameters: int = 0
    host: str = ""
    processes: int = 1


@dataclass(frozen=True)
class Metrics:
    """How a training comes along, at one step.

    Args:
        step: optimiser steps taken.
        epoch: passes over the training stream, fractional.
        seconds: of training so far, pauses and stops not counted.
        train_nll: mean over the steps since the last record, nats per token.
        valid_nll: where this record ends with an evaluation.
        is_best: these weights have the lowest validation nll so far.
        learning_rate: at this step.
        gradient_norm: largest since the last record, before clipping.
        tokens_per_second: since the last record.
        zero_gradients: names of parameters that the first backward pass gave a gradient of exactly zero.
        valid_unknown: the share of ``<unk>`` in what the validation nll is of.
        valid_accuracy: the share of right labels, where labels are said and this record ends with an evaluation.
    """

    step: int
    epoch: float
    seconds: float
    train_nll: float
    valid_nll: float | None
    is_best: bool
    learning_rate: float
    gradient_norm: float
    tokens_per_second: float
    zero_gradients: tuple[str, ...] = ()
    valid_unknown: float = 0.0
    valid_accuracy: float | None = None


@contextmanager
def alone(folder: Path, doing: str) -> Iterator[None]:
    """No other process does the same with a folder meanwhile. The system lets go of the lock however this one ends.

    Args:
        doing: what is done, to be said before the folder's name.

    Raises:
        Busy: one does.
    """
    try:
        with FileLock(folder / "lock", timeout=0, thread_local=False):
            yield
    except Timeout as error:
        raise Busy(f"another process is {doing} {folder} already") from error


def read_status(folder: Path) -> Status | None:
    """What a folder's status.json says, and whether the process that wrote it still lives; None before there is one."""
    try:
        status = read_fitted(Status, folder / "status.json")
    except FileNotFoundError:
        for asked in ("config.json", LINEUP):
            with suppress(OSError):
                made = (folder / asked).stat().st_mtime
                if time.time() - made > STALE_AFTER:  # its process died before it could say anything
                    return Status("crashed", 0, 0, "", made)
        return None
    except (OSError, ValueError) as error:  # it is written as a whole, so it is not half of one
        return Status("crashed", 0, 0, "", 0.0, f"how it stands is not known: {reason(error)}")
    state: State = status.state
    if state in LIVING:
        started, is_held = _process(status.pid) if status.host == platform.node() else (status.started, False)
        if started != status.started:
            state = "crashed"
        elif is_held:
            state = "held"
        elif time.time() - status.heartbeat > STALE_AFTER:
            state = "crashed"
    return dataclasses.replace(status, state=state)


def write_status(
    folder: Path, state: State, step: int, message: str = "", parameters: int = 0, processes: int = 1
) -> None:
    """Say how it stands, in the name of this process; on a full disk in the place where the last was said."""
    pid, path = os.getpid(), folder / "status.json"
    started, _ = _process(pid)
    status = Status(state, step, pid, started, time.time(), message, parameters, platform.node(), processes)
    data = json.dumps(dataclasses.asdict(status)).encode()
    try:
        write_atomically(path, data)
    except OSError as error:
        if error.errno not in FULL:
            raise
        with path.open("r+b") as file:  # its block is there
            file.write(data)
            file.truncate()


def asked_of(folder: Path) -> str:
    """What somebody asks of the process at a folder: "pause", "stop" or, where nobody says either, "resume"."""
    try:
        asked = read_bytes(folder / "control", most=16).decode()
    except (OSError, ValueError):
        return "resume"
    return asked if asked in ("pause", "stop") else "resume"


def forget_asked(folder: Path) -> None:
    """It was done, or was asked of the process before."""
    with suppress(OSError):
        (folder / "control").unlink(missing_ok=True)


def _process(pid: int) -> tuple[str, bool]:
    """When a process started, in the system's own ticks, and whether the system holds it; "" where there is none."""
    try:
        state, *others = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "", False
    return ("", False) if state in ("Z", "X") else (others[18], state in ("T", "t"))  # Z: ended, and not waited for
