"""A training process before it may train. Nothing large is imported here: one that waits takes little memory."""

from __future__ import annotations

import os
import platform
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from lstmviz.home import turns_of
from lstmviz.training.status import LINEUP, State, alone, read_status, write_status

if TYPE_CHECKING:
    from lstmviz.training.loop import Trainer

BEAT_EVERY = 2.0  # seconds between two heartbeats
LOOK_EVERY = 0.2  # seconds between two looks at what somebody asks for


class Voice:
    """Says how a run stands, and repeats it as long as the process lives, also where that evaluates for minutes.

    Args:
        folder: the run's.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.before = read_status(folder)  # how it stood when the process began
        self._said: tuple[State, Trainer | None, str] = ("starting", None, "")
        self._lock, self._over = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Voice:
        (self.folder / "control").unlink(missing_ok=True)  # what was asked of the process before
        self._write()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def say(self, state: State, trainer: Trainer | None, message: str = "") -> None:
        """Change the status.

        Args:
            trainer: None where none could be made; then it has come as far as the process before.
        """
        with self._lock:
            if (state, trainer, message) != self._said:
                self._said = state, trainer, message
                self._write()

    def _beat(self) -> None:
        while not self._over.wait(BEAT_EVERY):
            with self._lock, suppress(OSError):
                self._write()

    def _write(self) -> None:
        state, trainer, message = self._said
        if trainer:
            parameters = sum(parameter.numel() for parameter in trainer.model.parameters())
            write_status(self.folder, state, trainer.step, message, parameters, trainer.world.size)
        elif before := self.before:
            write_status(self.folder, state, before.step, message, before.parameters, before.processes)
        else:
            write_status(self.folder, state, 0, message)


class Turn:
    """The right to train. There are as many as the machine has cores; on a disk that several share, each has its own.

    Args:
        runs: the folder of runs; those of its line-ups count, too.
    """

    def __init__(self, runs: Path) -> None:
        self.home = turns_of(runs)
        self._lock: FileLock | None = None

    @property
    def is_mine(self) -> bool:
        """Whether this process has one."""
        return self._lock is not None

    def take(self) -> bool:
        """Whether one was free, or is this process's already; it is so until it is given back, or the process ends."""
        if self.is_mine:
            return True
        self.home.mkdir(parents=True, exist_ok=True)
        for number in range(os.cpu_count() or 1):
            lock = FileLock(self.home / f".turn-{platform.node()}-{number}", timeout=0, thread_local=False)
            with suppress(Timeout):
                lock.acquire()
                self._lock = lock
                return True
        return False

    def leave(self) -> None:
        """Give it back, if there is one."""
        if self._lock:
            self._lock.release()
            self._lock = None


@dataclass(frozen=True)
class Place:
    """What a process has that trains a run, or sees to a line-up.

    Args:
        folder: the run's, in which nobody else is at it meanwhile.
        voice: says how it stands.
        turn: what it needs to train.
    """

    folder: Path
    voice: Voice
    turn: Turn

    @classmethod
    @contextmanager
    def at(cls, folder: Path) -> Iterator[Place]:
        """Take it, and give it back at the end.

        Raises:
            Busy: another process has it.
        """
        lineup = folder.parent if (folder.parent / LINEUP).exists() else folder
        with alone(folder, "training"), Voice(folder) as voice:
            place = cls(folder, voice, Turn(lineup.parent))
            try:
                yield place
            finally:
                place.turn.leave()

    def wait(self) -> bool:
        """Until it has its turn; False if it is told to stop meanwhile."""
        while (asked := self.asked()) != "stop":
            if asked != "pause" and self.turn.take():
                return True
            self.voice.say("paused" if asked == "pause" else "queued", None)
            time.sleep(LOOK_EVERY)
        self.voice.say("stopped", None)
        return False

    def asked(self) -> str:
        """What somebody asks of it: pause, stop, or resume, which is also where nobody asks anything."""
        try:
            asked = (self.folder / "control").read_text()
        except FileNotFoundError:
            return "resume"
        if asked != "pause":
            (self.folder / "control").unlink(missing_ok=True)
        return asked
