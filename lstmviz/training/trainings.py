"""The runs and texts that the Train page shows: their folders, and how a run is started beside the server."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from uuid import uuid4

from lstmviz.config import TrainConfig
from lstmviz.data.corpora import import_text
from lstmviz.training import children
from lstmviz.training.children import status_of
from lstmviz.training.folder import NOTHING, Log, Run, RunConfig, Snapshot, runs
from lstmviz.training.grid import Grid
from lstmviz.training.status import LINEUP, Status, alone
from lstmviz.training.sweep import Sweep

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "runs"
TEXTS = ROOT / "corpora"
RECORDED = ROOT / "checkpoints" / "recorded" / "brackets"  # a finished run, which the page shows until there is another
NICE = ("nice", "-n", "10") if shutil.which("nice") else ()  # typing goes before training where both want the processor


def every() -> list[Run]:
    """All runs whose configuration can be read, the newest first, the members of a line-up side by side."""
    found = []
    for run in _newest_first():
        with suppress(ValueError):
            run.config()
            found.append(run)
    return found


_known: dict[Path, Log] = {}  # a run's folder -> what was read of its records


def look() -> list[Snapshot]:
    """How all runs stand at this moment, in the order of ``every`` and those that cannot be read after them.

    Each file is opened once, and not if nothing is new.
    """
    read, found = cache(status_of), []
    for run in _newest_first():
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


def _newest_first() -> list[Run]:
    """One may be half made, or just being deleted."""
    found = []
    for run in runs(FOLDER):
        with suppress(OSError):
            asked = run.lineup / LINEUP if run.lineup else run.folder / "config.json"
            made = asked if os.path.lexists(asked) else run.folder
            found.append((-made.lstat().st_mtime, run.name, run))
    return [run for *_, run in sorted(found, key=lambda entry: entry[:2])]


def room(seen: list[Snapshot]) -> bool:
    """Whether the machine has a core for one more than those that train now, or wait for their turn."""
    return sum(run.status is not None and run.is_living for run in seen) < max(1, os.cpu_count() or 1)


def begin(config: RunConfig, name: str, text: str | None = None) -> Run:
    """Make a run and start its process, which outlives this one.

    Args:
        config: its corpus is replaced by ``text``, if that is given.
        name: wish for the folder's name; anything but letters, digits and dashes becomes a dash.
        text: of a person's own corpus, kept in the run's folder.

    Raises:
        ValueError, OSError: it cannot be begun.
    """
    with _prepared(name, config.train, text) as (folder, train):
        run = Run.create(folder, replace(config, train=train))
        start(run)
    return run


def begin_lineup(grid: Grid, vocab_size: int, name: str, text: str | None = None) -> Sweep:
    """As ``begin``, for a line-up: one process sees to all its members."""
    with _prepared(name, grid.base.train, text) as (folder, train):
        lineup = Sweep.create(folder, grid.trained(corpus=train.corpus), vocab_size)
        start(lineup)
    return lineup


@contextmanager
def _prepared(name: str, train: TrainConfig, text: str | None) -> Iterator[tuple[Path, TrainConfig]]:
    """A new folder, and the configuration with a person's own corpus kept in it; removed again if nothing begins."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60] or "run"
    folder = _new_folder(FOLDER / f"{plain}-{time.strftime('%m%d-%H%M%S')}")
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
    command = "resume" if isinstance(what, Run) else "sweep"
    children.begin(
        what.folder,
        [*NICE, sys.executable, "-m", "lstmviz", command, str(what.folder)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def delete(what: Run | Sweep) -> None:
    """Remove a run, or a line-up with all its members.

    Raises:
        Busy: it trains, or a member does.
    """
    gone = what.folder.with_name(f".{uuid4().hex}")
    with ExitStack() as nobody, suppress(FileNotFoundError):  # another page was faster
        for folder in [what.folder, *(path for path in what.folder.iterdir() if path.is_dir())]:
            with suppress(OSError):  # a lock that cannot be taken holds nobody
                nobody.enter_context(alone(folder, "training"))
        what.folder.rename(gone)  # at once, so that nobody sees half of it
        gone.unlink() if gone.is_symlink() else shutil.rmtree(gone)


def keep(text: str, name: str) -> None:
    """Keep a person's text for later trainings.

    Raises:
        ValueError: it is no text, or the name is taken or is none.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "text.txt")
        path.write_text(text, encoding="utf-8")
        import_text([path], name, TEXTS)
