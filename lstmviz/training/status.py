"""How a training stands: a folder's status.json, the lock on it, and whether the process that wrote it still lives."""

from __future__ import annotations

import dataclasses
import errno
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

from lstmviz.disk import write_atomically

State = Literal["starting", "queued", "running", "paused", "stopped", "finished", "failed", "crashed"]
LIVING = ("starting", "queued", "running", "paused")
STALE_AFTER = 60.0  # seconds without a heartbeat after which a process is taken for dead
LINEUP = "sweep.json"  # the file that makes a folder of runs a line-up; see lstmviz.training.sweep


class Busy(ValueError):
    """Another process is at it already."""


@dataclass(frozen=True)
class Status:
    """How a run stands.

    Args:
        state: "starting", "queued", "running" and "paused" have a living process; "crashed" should have one.
        step: optimiser steps taken.
        pid, started: of the process that wrote this; the system may give the number, but not the start, to another.
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
        status = Status(**json.loads((folder / "status.json").read_text()))
    except (OSError, ValueError, TypeError):
        for asked in ("config.json", LINEUP):
            with suppress(OSError):
                made = (folder / asked).stat().st_mtime
                if time.time() - made > STALE_AFTER:  # its process died before it could say anything
                    return Status("crashed", 0, 0, "", made)
        return None
    dead = time.time() - status.heartbeat > STALE_AFTER
    if status.host == platform.node():
        dead = dead or _started(status.pid) != status.started
    return dataclasses.replace(status, state="crashed") if status.state in LIVING and dead else status


def write_status(
    folder: Path, state: State, step: int, message: str = "", parameters: int = 0, processes: int = 1
) -> None:
    """Say how it stands, in the name of this process."""
    pid = os.getpid()
    status = Status(state, step, pid, _started(pid), time.time(), message, parameters, platform.node(), processes)
    write_atomically(folder / "status.json", json.dumps(dataclasses.asdict(status)).encode())


def reason(error: BaseException) -> str:
    """Why something failed, as a sentence for a person."""
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full; make room and try again: what was saved before is whole"
    if isinstance(error, OSError) and number == errno.EROFS:
        return f"{error.filename or 'the folder'} cannot be written ({error.strerror}); choose another folder"
    if isinstance(error, OSError) and number in (errno.EACCES, errno.EPERM):
        return (
            f"{error.filename or 'the folder'} may not be used ({error.strerror}); change its rights or choose another"
        )
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename} cannot be used ({error.strerror})"
    return str(error)


def _started(pid: int) -> str:
    """When a process started, in the system's own ticks; empty where there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""
