"""The runs and texts that the Train page shows: their folders, and how a run is started beside the server."""

from __future__ import annotations

import itertools
import os
import re
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import lstmviz
from lstmviz.config import TrainConfig
from lstmviz.data.corpora import import_text
from lstmviz.home import SHIPPED, Home
from lstmviz.training import children
from lstmviz.training.children import status_of
from lstmviz.training.folder import DELETED, NOTHING, Log, Run, RunConfig, Snapshot, runs
from lstmviz.training.grid import Grid
from lstmviz.training.limits import check_text, living, one_more_training
from lstmviz.training.status import LINEUP, LIVING, Status, alone

if TYPE_CHECKING:  # with torch, for which the first map does not wait
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
    """How all runs stand at this moment, in the order of ``every`` and those that cannot be read after them.

    Each file is opened once, and not if nothing is new.
    """
    read, found = cache(status_of), []
    for run in _newest_first(home):
        with suppress(ValueError):  # it was just deleted
            found.append(snapshot(run, read))
    return sorted(found, key=lambda seen: seen.status is not None and seen.status.state == "unreadable")


def snapshot(run: Run, read: Callable[[Path], Status | None] = status_of) -> Snapshot:
    """How one run stands; of its records only what came since the last time is read.

    Raises:
        ValueError: it is not there.
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
            made = asked if os.path.lexists(asked) else run.folder
            found.append((-made.lstat().st_mtime, run.name, run))
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
        ValueError, OSError: it cannot be begun, or there are too many trainings.
    """
    with (
        one_more_training(home, new=1),
        _prepared(home, name, config.train, text) as (folder, train),
    ):
        run = Run.create(folder, replace(config, train=train))
        start(run)
    return run


def begin_lineup(home: Home, grid: Grid, vocab_size: int, name: str, text: str | None = None) -> Sweep:
    """As ``begin``, for a line-up: one process sees to all its members."""
    from lstmviz.training.sweep import Sweep

    with (
        one_more_training(home, new=grid.count),
        _prepared(home, name, grid.base.train, text) as (folder, train),
    ):
        lineup = Sweep.create(folder, grid.trained(corpus=train.corpus), vocab_size)
        start(lineup)
    return lineup


def go_on(home: Home, what: Run | Sweep) -> None:
    """Resume a run, or a line-up.

    Raises:
        ValueError, OSError: there are too many trainings, or it cannot be begun.
    """
    with one_more_training(home, new=0):
        start(what)


def begin_experiment(home: Home, line_ups: dict[Path, Grid], vocab_size: int) -> None:
    """Begin an experiment's line-ups, or go on with them: whatever of them is not done, and not at it.

    Args:
        line_ups: by their folders, as ``Experiment.line_ups`` says.

    Raises:
        ValueError, OSError: there are too many trainings, or one cannot be begun. What was begun goes on.
    """
    from lstmviz.training.sweep import Sweep

    for folder, grid in line_ups.items():
        status = status_of(folder)
        if status is None or status.state not in (*LIVING, "finished"):
            with one_more_training(home, new=0 if folder.exists() else grid.count):
                start(Sweep.create(folder, grid, vocab_size))


@contextmanager
def _prepared(home: Home, name: str, train: TrainConfig, text: str | None) -> Iterator[tuple[Path, TrainConfig]]:
    """A new folder, and the configuration with a person's own corpus kept in it; removed again if nothing begins."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60] or "run"
    unguessable = f"-{secrets.token_hex(4)}" * bool(home.person)  # for who has another link
    folder = _new_folder(home.runs / f"{plain}-{time.strftime('%m%d-%H%M%S')}{unguessable}")
    try:
        if text is not None:
            (folder / "corpus.txt").write_text(text, encoding="utf-8")
            train = replace(train, corpus=str(folder / "corpus.txt"))
        yield folder, train
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)  # nothing was begun in it
        raise


def _new_folder(wish: Path) -> Path:
    """A folder that nobody else has, also of those who press in the same second: with a number behind, if need be."""
    wish.parent.mkdir(parents=True, exist_ok=True)
    for number in itertools.count(1):
        folder = wish if number == 1 else wish.with_name(f"{wish.name}-{number}")
        with suppress(FileExistsError):
            folder.mkdir()
            return folder
    raise AssertionError


def start(what: Run | Sweep) -> None:
    """A process of its own: neither the page nor the server takes it along when they end.

    Raises:
        OSError: it cannot be begun, or there is no room for what it would write.
    """
    package = str(Path(lstmviz.__file__).parents[1])  # found by the process too, wherever the server was begun
    paths = os.pathsep.join([package, *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [*NICE, sys.executable, "-m", "lstmviz.begin", str(what.folder)]
    children.begin(what.folder, command, {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": paths})


def delete(what: Run | Sweep) -> None:
    """Remove a run, or a line-up with all its members.

    Raises:
        Busy: it trains, or a member does.
    """
    gone = what.folder.with_name(f"{DELETED}{uuid4().hex}")
    with ExitStack() as nobody, suppress(FileNotFoundError):  # another page was faster
        for folder in [what.folder, *(path for path in what.folder.iterdir() if path.is_dir())]:
            with suppress(OSError):  # a lock that cannot be taken holds nobody
                nobody.enter_context(alone(folder, "training"))
        what.folder.rename(gone)  # at once, so that nobody sees half of it
        gone.unlink() if gone.is_symlink() else shutil.rmtree(gone)


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


def forget(home: Home, name: str) -> None:
    """Remove a text that was kept.

    Raises:
        ValueError: a training that waits or runs reads it.
        OSError: it cannot be removed.
    """
    path = home.corpora / name
    if readers := [seen.run.name for seen in look(home) if seen.is_living and seen.config.train.corpus == str(path)]:
        raise ValueError(f"{', '.join(readers)} is trained on it; stop that first")
    if path.is_symlink():
        return path.unlink()
    with suppress(FileNotFoundError):  # another page was faster
        (path / "corpus.json").unlink()  # first, since with it a folder is a text
        shutil.rmtree(path)
