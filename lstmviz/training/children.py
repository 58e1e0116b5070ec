"""The processes that this one has begun, and why they ended: one that finds no room cannot write that down."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lstmviz.disk import FULL, read_bytes, reason, sayable, write_atomically
from lstmviz.training.status import Status, read_status

ROOM = 2**20  # bytes without which nothing is begun
SAID_MOST = 4096  # bytes of the log that are looked at for the last word


@dataclass(frozen=True)
class Child:
    """A process that was begun for a folder.

    Args:
        process: it runs, or ran, beside this one and outlives it.
        log: where it writes what it says,
        offset: from this byte on.
        begun: when, seconds since 1970.
    """

    process: subprocess.Popen
    log: Path
    offset: int
    begun: float

    def last_word(self) -> str:
        """Why it ended, as far as that is known: what it said last, or what the system says."""
        code, said = self.process.returncode, ""
        with suppress(OSError):
            size = self.log.stat().st_size
            lines = read_bytes(self.log, start=max(self.offset, size - SAID_MOST)).decode(errors="replace").split("\n")
            said = next((line.strip() for line in reversed(lines) if line.strip()), "")
        if said.startswith("lstmviz: "):
            return sayable(said.removeprefix("lstmviz: "))
        if code in FULL:  # see in_a_sentence
            return reason(OSError(code, os.strerror(code)))
        if code == -signal.SIGKILL:
            return "it was killed (SIGKILL), as the system does where the memory is used up"
        if code < 0:
            return f"it was ended by the signal {-code}"
        return sayable(said) or f"it ended with {code} and said nothing"


_children: dict[Path, Child] = {}  # the folder of a run or a line-up -> the last that was begun for it


def begin(folder: Path, command: Sequence[str], env: dict[str, str]) -> None:
    """Begin a process in a session of its own: nobody takes it along when they end.

    Args:
        folder: what it trains; its log.txt takes what the process says.
        command, env: as of ``subprocess.Popen``.

    Raises:
        OSError: it cannot be begun, or there is no room for anything that it would write.
    """
    room = folder / ".room"
    try:
        write_atomically(room, bytes(ROOM))
    finally:
        room.unlink(missing_ok=True)
    path = folder / "log.txt"
    with path.open("ab") as log:
        offset, begun = log.tell(), time.time()
        process = subprocess.Popen(
            command,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    _children[folder] = Child(process, path, offset, begun)


def process_of(folder: Path) -> subprocess.Popen:
    """The last that was begun for a folder.

    Raises:
        KeyError: there is none.
    """
    return _children[folder].process


def status_of(folder: Path) -> Status | None:
    """As `read_status`; where a process of ours has ended and could not say why, that is said for it."""
    child = _children.get(folder)
    ended = child and child.process.poll()
    status = read_status(folder)
    if not child or not ended:  # it lives, ended well, or is none of ours
        return status
    if status is None:
        why = f"its process ended before it could say how it stands: {child.last_word()}"
        return Status("crashed", 0, 0, "", time.time(), why)
    if status.pid == child.process.pid and status.state == "crashed" and not status.message:
        return dataclasses.replace(status, pid=0, message=f"its process ended: {child.last_word()}")
    if status.pid != child.process.pid and status.heartbeat < child.begun and status.state != "finished":
        return dataclasses.replace(status, message=child.last_word())  # as it stood before
    return status
