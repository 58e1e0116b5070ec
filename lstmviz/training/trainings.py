"""The runs and texts that the Train page shows: their folders, and how a run is started beside the server."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import cache
from pathlib import Path

import lstmviz
from lstmviz.config import TrainConfig
from lstmviz.data.corpora import import_text
from lstmviz.home import SHIPPED, Home
from lstmviz.training.folder import NOTHING, Log, Run, RunConfig, Snapshot, runs
from lstmviz.training.grid import Grid
from lstmviz.training.limits import check_text, living, one_more_training
from lstmviz.training.status import LINEUP, Status, alone, read_status
from lstmviz.training.sweep import Sweep

RECORDED = SHIPPED / "checkpoints/recorded/brackets"  # a finished run, which the page shows until there is another
NICE = ("nice", "-n", "10") if shutil.which("nice") else ()  # typing goes before training where both want the processor


def every(home: Home) -> list[Run]:
    """All runs whose configuration can be read, the newest first, the members of a line-up side by side."""
    found = []
    for run in _newest_first(home):
        with suppress(ValueError):
            run.config()
            found.append(run)
    return found


_known: dict[Path, Log] = {}  # a run's folder -> what was read of its records


def look(home: Home) -> list[Snapshot]:
    """As ``every``, but how all of them stand at this moment; each file is opened once, and not if nothing is new."""
    read, found = cache(read_status), []
    for run in _newest_first(home):
        with suppress(ValueError):
            found.append(snapshot(run, read))
    return found


def snapshot(run: Run, read: Callable[[Path], Status | None] = read_status) -> Snapshot:
    """How one run stands; of its records only what came since the last time is read.

    Raises:
        ValueError: there is no run in its folder.
    """
    seen = run.snapshot(_known.get(run.folder, NOTHING), read)
    _known[run.folder] = seen.log
    return seen


def _newest_first(home: Home) -> list[Run]:
    """One may be half made, or just being deleted."""
    found = []
    for run in runs(home.runs):
        with suppress(OSError):
            asked = run.lineup / LINEUP if run.lineup else run.folder / "config.json"
            found.append((-asked.stat().st_mtime, run.name, run))
    return [run for *_, run in sorted(found, key=lambda entry: entry[:2])]


def room(home: Home, seen: list[Snapshot]) -> bool:
    """Whether the machine has a core for one more than those that train now, or wait for their turn.

    Args:
        seen: how the trainings of ``home`` stand.
    """
    those = living(home.everybody()) if home.person else sum(run.status is not None and run.is_living for run in seen)
    return those < max(1, os.cpu_count() or 1)


def begin(home: Home, config: RunConfig, name: str, text: str | None = None) -> Run:
    """Make a run and start its process, which outlives this one.

    Args:
        home: whose it is.
        config: its corpus is replaced by ``text``, if that is given.
        name: wish for the folder's name; anything but letters, digits and dashes becomes a dash.
        text: of a person's own corpus, kept in the run's folder.

    Raises:
        ValueError: there is such a run already, or too many trainings.
    """
    with one_more_training(home, new=1):
        folder, train = _prepare(home, name, config.train, text)
        run = Run.create(folder, replace(config, train=train))
        start(run)
    return run


def begin_lineup(home: Home, grid: Grid, vocab_size: int, name: str, text: str | None = None) -> Sweep:
    """As ``begin``, for a line-up: one process sees to all its members."""
    with one_more_training(home, new=grid.count):
        folder, train = _prepare(home, name, grid.base.train, text)
        lineup = Sweep.create(folder, grid.trained(corpus=train.corpus), vocab_size)
        start(lineup)
    return lineup


def go_on(home: Home, what: Run | Sweep) -> None:
    """Resume a run, or a line-up.

    Raises:
        ValueError: there are too many trainings.
    """
    with one_more_training(home, new=0):
        start(what)


def _prepare(home: Home, name: str, train: TrainConfig, text: str | None) -> tuple[Path, TrainConfig]:
    """A new folder's path, and the configuration with a person's own corpus kept in it."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60] or "run"
    unguessable = f"-{secrets.token_hex(4)}" * bool(home.person)  # for who has another link
    folder = home.runs / f"{plain}-{time.strftime('%m%d-%H%M%S')}{unguessable}"
    if text is not None:
        folder.mkdir(parents=True)
        (folder / "corpus.txt").write_text(text, encoding="utf-8")
        train = replace(train, corpus=str(folder / "corpus.txt"))
    return folder, train


def start(what: Run | Sweep) -> None:
    """A process of its own, in a session of its own: neither the page nor the server takes it along when they end."""
    package = str(Path(lstmviz.__file__).parents[1])  # found by the process too, wherever the server was begun
    paths = os.pathsep.join([package, *filter(None, [os.environ.get("PYTHONPATH")])])
    with (what.folder / "log.txt").open("ab") as log:
        subprocess.Popen(
            [*NICE, sys.executable, "-m", "lstmviz.begin", str(what.folder)],
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": paths},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def delete(what: Run | Sweep) -> None:
    """Remove a run, or a line-up with all its members.

    Raises:
        Busy: it trains, or a member does.
    """
    with ExitStack() as nobody, suppress(FileNotFoundError):  # another page was faster
        members = what.runs() if isinstance(what, Sweep) else []
        for folder in [what.folder, *(run.folder for run in members)]:
            nobody.enter_context(alone(folder, "training"))
        shutil.rmtree(what.folder)


def keep(home: Home, text: str, name: str) -> None:
    """Keep a person's text for later trainings.

    Raises:
        ValueError: it is no text, there is no room for it, or the name is taken or is none.
    """
    check_text(home, len(text.encode()))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "text.txt")
        path.write_text(text, encoding="utf-8")
        import_text([path], name, home.corpora)
