"""A line-up: the members of a grid, trained side by side.

::

    sweep.json         what was asked
    status.json        of the process that sees to it; as a run's, with the members that are done for steps
    control            stop: written by anybody
    NAME/              a run for each member, which can be watched, stopped and resumed like any other

This machine trains as many members at once as it has cores, each in a process of its own; or Ray trains them on a
cluster. Both call `train_member`, and the members end with the same bits.
"""

from __future__ import annotations

import heapq
import json
import math
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from multiprocessing.context import BaseContext
from pathlib import Path

import torch

from lstmviz import checkpoint as checkpoints
from lstmviz.disk import read_json, reason, sayable, write_atomically
from lstmviz.training.folder import Run, RunConfig
from lstmviz.training.grid import Grid
from lstmviz.training.loop import memory_needed, memory_there
from lstmviz.training.process import execute
from lstmviz.training.status import (
    LINEUP,
    LIVING,
    Busy,
    State,
    Status,
    alone,
    asked_of,
    forget_asked,
    read_status,
    write_status,
)
from lstmviz.training.turn import BEAT_EVERY, LOOK_EVERY, Turn

RETRIES = 3  # times that a member is begun again whose process was killed
PROCESS = 400 * 2**20  # bytes that a process takes beside what it trains, most of them torch's
Submit = Callable[[Path], Future]


@dataclass(frozen=True)
class Outcome:
    """What became of a member.

    Args:
        run: its folder.
        state: "running" once it trains; "finished", "stopped" or "failed" when it is done.
        digest: of the best checkpoint of a finished one.
        reason: why it failed, or what is wrong with what was finished, in a sentence.
    """

    run: Run
    state: State
    digest: str = ""
    reason: str = ""


class Sweep:
    """A line-up's folder, for whoever trains, watches or steers it."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)

    @classmethod
    def create(cls, folder: Path, grid: Grid, vocab_size: int) -> Sweep:
        """Make the folder, or take the one that is there if the same was asked of it.

        Args:
            vocab_size: number of tokens of the text, specials included.

        Raises:
            ValueError: something else was asked of it, or a member is out of some range.
        """
        sweep = cls(folder)
        if (sweep.folder / LINEUP).exists():
            before, size = sweep._asked
            if sweep.members != grid.members(size):
                other = before.differing(grid)
                raise ValueError(
                    f"the line-up in {folder} was begun with other {' and '.join(other)}; "
                    f"python -m lstmviz sweep {folder} goes on with it, or choose another folder"
                )
            return sweep
        if (sweep.folder / "config.json").exists():
            raise ValueError(f"there is a training run in {folder}; choose another folder for the line-up")
        grid.members(vocab_size)  # before anything is written
        asked = {"format": 2, "vocab_size": vocab_size, **grid.dumps()}
        sweep.folder.mkdir(parents=True, exist_ok=True)
        write_atomically(sweep.folder / LINEUP, json.dumps(asked, indent=2).encode())
        sweep.lay_out()
        return sweep

    @cached_property
    def _asked(self) -> tuple[Grid, int]:
        try:
            asked = read_json(self.folder / LINEUP)
            if not isinstance(asked, dict) or type(size := asked.get("vocab_size")) is not int:
                raise ValueError("it does not hold what was asked of a line-up")
            return Grid.loads(asked), size
        except (OSError, ValueError) as error:
            raise ValueError(f"there is no line-up in {self.folder}: {reason(error)}") from error

    @property
    def grid(self) -> Grid:
        """What was asked.

        Raises:
            ValueError: there is no line-up in the folder.
        """
        return self._asked[0]

    @cached_property
    def members(self) -> dict[str, RunConfig]:
        """What was asked of every member, by its name.

        Raises:
            ValueError: there is no line-up in the folder.
        """
        grid, vocab_size = self._asked
        return grid.members(vocab_size)

    @property
    def damage(self) -> str:
        """What is wrong with the file of what was asked; empty if nothing is."""
        try:
            self.members  # noqa: B018
        except ValueError as error:
            return sayable(str(error))
        return ""

    def status(self) -> Status | None:
        """How it stands, with the members that are done for steps; None before it began."""
        return read_status(self.folder)

    def runs(self) -> list[Run]:
        """A run for each member, whether it was begun or not."""
        return [Run(self.folder / name) for name in self.members]

    def lay_out(self) -> None:
        """Make what is not there yet of the members' folders."""
        for name, member in self.members.items():
            run = Run(self.folder / name)
            with suppress(ValueError):
                run.config()
                continue
            (run.folder / "config.json").unlink(missing_ok=True)  # half written when its process was killed
            Run.create(run.folder, member)

    def stop(self) -> None:
        """Stop all members between two steps; they can be gone on with."""
        write_atomically(self.folder / "control", b"stop")

    def execute(self, workers: int | None = None, ray: str | None = None) -> Iterator[Outcome | None]:
        """Train all members that are not finished, each from wherever it stands, until they end or are stopped.

        Args:
            workers: members trained at once on this machine; one a core.
            ray: address of a Ray cluster that trains them instead ("local": one on this machine for the while).

        Yields:
            An outcome when a member begins to train and when it is done, and None a few times a second.

        Raises:
            Busy: another process sees to this line-up.
            ValueError: it takes more than the machine has, or there is no Ray.
        """
        members, (_, vocab_size) = self.members, self._asked
        if ray is None:
            workers = check_machine(members, vocab_size, workers)
        with alone(self.folder, "at the line-up in"):
            forget_asked(self.folder)
            write_status(self.folder, "starting", 0)
            self.lay_out()
            needed = max(_needed(member, vocab_size) for member in members.values())
            with _on_ray(ray, needed) if ray is not None else _here(workers or 1) as submit:
                yield from self._follow([Run(self.folder / name) for name in members], submit)

    def _follow(self, members: list[Run], submit: Submit) -> Iterator[Outcome | None]:
        """Have the members trained and say how it goes."""
        write_status(self.folder, "running", 0)
        waiting = {submit(run.folder.resolve()): run for run in members}
        done: list[Outcome] = []
        begun: set[Path] = set()
        beat = time.monotonic()
        try:
            while waiting or (_is_stopping(self.folder) and _living(members)):
                ended, _ = wait(waiting, LOOK_EVERY, FIRST_COMPLETED)
                if not waiting:
                    time.sleep(LOOK_EVERY)  # for one whose process is no longer ours
                if _is_stopping(self.folder):
                    for run in _living(members):
                        run.ask("stop")
                for run in waiting.values():
                    status = run.status()
                    if run.folder not in begun and status and status.state == "running":
                        begun.add(run.folder)
                        yield Outcome(run, "running")
                for future in ended:
                    done.append(_outcome(waiting.pop(future), future))
                    yield done[-1]
                if time.monotonic() - beat > BEAT_EVERY:
                    beat = time.monotonic()
                    write_status(self.folder, "running", len(done))
                yield None
        finally:
            if waiting:  # whoever looked on does so no longer
                self.stop()
                while waiting:
                    ended, _ = wait(waiting, LOOK_EVERY)
                    for run in _living(members):
                        run.ask("stop")
                    for future in ended:
                        done.append(_outcome(waiting.pop(future), future))
            forget_asked(self.folder)
            states = [outcome.state for outcome in done]
            state: State = "failed" if "failed" in states else "stopped" if "stopped" in states else "finished"
            failed = states.count("failed")
            write_status(self.folder, state, len(done), f"{failed} of {len(members)} failed" if failed else "")


def train_member(folder: Path) -> str:
    """Train one member in this process, from wherever it stands; this is what runs in every process of every machine.

    Args:
        folder: its run's.

    Returns:
        The digest of its best checkpoint; empty if it was stopped.

    Raises:
        ValueError, FloatingPointError: it failed; its status says why, too.
    """
    # As many processes as cores train, and sums must be added up in the same order everywhere.
    torch.set_num_threads(1)
    run = Run(folder)
    run.config()  # without it, this machine does not see the folder, and must not make one of its own
    while not _is_stopping(folder.parent):
        if (status := run.status()) and status.state == "finished":
            return checkpoints.load(folder / "best.safetensors").digest
        try:
            for _ in execute(run):
                pass
        except Busy:  # a process of a killed line-up that has not ended yet, or somebody's own
            time.sleep(LOOK_EVERY)
            continue
        if (status := run.status()) and status.state != "finished":
            break
    return ""


def check_machine(members: dict[str, RunConfig], vocab_size: int, workers: int | None) -> int:
    """Refuse a line-up that takes more than this machine has, before anything of it is begun.

    Args:
        workers: members trained at once; None for one a core.

    Returns:
        How many are trained at once.

    Raises:
        ValueError: so it is, with the figures.
    """
    if workers is None:
        workers = min(len(members), os.cpu_count() or 1)
    check_workers(workers)
    needs = heapq.nlargest(workers, (_needed(member, vocab_size) for member in members.values()))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if (needed := sum(needs)) > (there := memory_there(device)):
        fewer = "train fewer at once (sweep --workers), " if workers > 1 and needs[0] <= there else ""
        raise ValueError(
            f"training {len(needs)} of these models at once takes {needed / 2**30:,.1f} GB and there are "
            f"{there / 2**30:,.1f} GB; {fewer}choose fewer units or layers, a shorter window or a smaller batch"
        )
    return workers


def check_workers(workers: int) -> None:
    """Refuse to train more members at once than the machine has cores.

    Raises:
        ValueError: so it is.
    """
    cores = os.cpu_count() or 1
    if not 1 <= workers <= cores:
        raise ValueError(f"workers is {workers}; this machine has {cores} cores, and each trains one member at once")


def _needed(member: RunConfig, vocab_size: int) -> int:
    """Bytes that a process takes which trains it."""
    return PROCESS + memory_needed(member.model, vocab_size, member.train)


def _is_stopping(lineup: Path) -> bool:
    return asked_of(lineup) == "stop"


def _living(members: list[Run]) -> list[Run]:
    """Those with a process of their own."""
    return [run for run in members if (run.folder / "status.json").exists() and _state(run) in LIVING]


def _state(run: Run) -> State | None:
    return status.state if (status := run.status()) else None


def _outcome(run: Run, future: Future) -> Outcome:
    """What became of a member whose training is over."""
    error, status = future.exception(), run.status()
    if error is None:
        digest = future.result()
        return Outcome(run, "finished" if digest else "stopped", digest, status.message if status and digest else "")
    if status and status.state == "failed" and status.message:
        return Outcome(run, "failed", reason=status.message)
    if isinstance(error, BrokenProcessPool):
        return Outcome(run, "failed", reason=f"its process was killed {1 + RETRIES} times")
    return Outcome(run, "failed", reason=reason(getattr(error, "cause", None) or error))  # Ray's own holds the cause


# ---- on this machine -------------------------------------------------------------------------------------------------


@contextmanager
def _here(workers: int) -> Iterator[Submit]:
    """Train so many members at once, each in a process of its own."""
    with _sigterm(signal.SIG_IGN):  # the server inherits this: sent to all processes at once, it is for the line-up
        _fork_server()
    with ThreadPoolExecutor(workers) as threads:
        yield lambda folder: threads.submit(_in_a_process, folder)


def _in_a_process(folder: Path) -> str:
    """`train_member` in a process that is begun again when it is killed; none waits where no turn is free."""
    turn = Turn(folder.parent.parent)
    while not turn.take() and not _is_stopping(folder.parent):
        time.sleep(LOOK_EVERY)
    turn.leave()
    for attempt in range(1 + RETRIES):
        # A pool of one: another member's death is none of this one's concern.
        with ProcessPoolExecutor(1, _fork_server(), _begin, (folder,)) as pool:
            try:
                return pool.submit(train_member, folder).result()
            except BrokenProcessPool:
                if attempt == RETRIES:
                    raise
    raise AssertionError


def _fork_server() -> BaseContext:
    """Where processes come from: one that has imported torch once for all of them, if the system can fork.

    Whoever makes an optimiser needs ``torch._dynamo`` as well, the import of which takes as long as that of torch.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "torch._dynamo"])
    from multiprocessing.forkserver import ensure_running

    ensure_running()
    return context


def _begin(folder: Path) -> None:
    """In a member's process: what ends it, and what does not."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of the terminal: the line-up answers it, and stops all of them
    signal.signal(signal.SIGTERM, lambda *_: Run(folder).ask("stop"))

    def follow_parent() -> None:
        """Into death; who goes on with the line-up must not find this process at it still."""
        if parent := multiprocessing.parent_process():
            parent.join()
            os._exit(1)

    threading.Thread(target=follow_parent, daemon=True).start()


@contextmanager
def _sigterm(meanwhile: signal.Handlers | None = None) -> Iterator[None]:
    """Whatever takes SIGTERM for itself meanwhile gives it back at the end."""
    if threading.current_thread() is not threading.main_thread():  # only there can it be taken
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    if meanwhile is not None:
        signal.signal(signal.SIGTERM, meanwhile)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


# ---- on a cluster ----------------------------------------------------------------------------------------------------


@contextmanager
def _on_ray(address: str, needed: int) -> Iterator[Submit]:
    """Have Ray train the members; it decides where and how many at once, and begins one again whose process died.

    Args:
        address: of the cluster.
        needed: bytes of memory that the largest member takes.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ValueError('a cluster is reached through Ray, which is not here: pip install ".[cluster]"') from error
    with _sigterm():  # Ray would exit at once
        try:
            ray.init(address, log_to_driver=False, logging_level="WARNING", include_dashboard=False)
        except (ConnectionError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
            said = f"{error}".partition("\n")[0]
            raise ValueError(f"the Ray cluster at {address!r} cannot be used: {said}") from error
    try:
        there = max((node["Resources"].get("memory", 0) for node in ray.nodes() if node["Alive"]), default=math.inf)
        if needed > there:
            raise ValueError(
                f"training the largest of these models takes {needed / 2**30:,.1f} GB and no machine of the cluster "
                f"has more than {there / 2**30:,.1f} GB for it; choose fewer units or layers, a shorter window or a "
                "smaller batch"
            )
        cards = int(ray.cluster_resources().get("GPU", 0) > 0)  # without one Ray hides the cards
        remote = ray.remote(max_retries=RETRIES, num_cpus=1, num_gpus=cards, memory=needed)(train_member)
        yield lambda folder: remote.remote(folder).future()
    finally:
        ray.shutdown()
