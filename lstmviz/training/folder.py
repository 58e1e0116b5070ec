"""A training run as a folder on the disk: it survives whatever happens to the process, and anybody can look in.

::

    config.json        what was asked
    status.json        state, pid, when that process started, heartbeat, step; replaced as a whole
    metrics.jsonl      one record a line, appended; a torn last line does not count
    control            pause, resume or stop: written by anybody, read by the training process
    probes/            a trace of the probe sentence after 1, 2, 4, 8 … steps and at each evaluation
    last.safetensors   all that is needed to go on, bit for bit as if the training had never stopped
    best.safetensors   the checkpoint with the lowest validation loss; card.md beside it at the end
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shlex
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lstmviz.cells import TREE_CELLS
from lstmviz.config import ModelConfig, TrainConfig
from lstmviz.data.expressions import Expression
from lstmviz.disk import fitted, name_of, parsed, read_bytes, read_json, reason, write_atomically
from lstmviz.tasks import DECIDED, TASKS
from lstmviz.training.status import LINEUP, LIVING, Metrics, Status, read_status

if TYPE_CHECKING:
    from lstmviz.training.probe import Probe

DELETED = ".deleted-"  # so begins what is just being deleted
MARKS = ("config.json", "status.json", "metrics.jsonl")  # a folder that holds one of them is a run's
RECORDS_MOST = 256 * 2**20  # bytes of records that are read; a million steps leave 12
PROBE_MOST = 64 * 2**20  # bytes of a probe
CLOCK_MOST = 1e12  # seconds of a training, and tokens a second


@dataclass(frozen=True)
class RunConfig:
    """What was asked of a run.

    Args:
        train: how to train.
        model: what to train; how many tokens it knows, the corpus decides.
        probe: the sentence whose gates are kept as they learn; empty: a piece of the validation text.
    """

    train: TrainConfig
    model: ModelConfig
    probe: str = ""

    def __post_init__(self) -> None:
        TASKS[self.train.task].check_model(self.model)
        TASKS[self.train.task].check_training(self.train)
        if self.probe and self.model.cell in TREE_CELLS:
            Expression.parse(self.probe)

    @classmethod
    def loads(cls, asked: object) -> RunConfig:
        """From parsed JSON.

        Raises:
            ValueError: it is none, or something is out of its range.
        """
        match asked:
            case {"train": dict(train), "model": dict(model), "probe": str(probe)}:
                try:
                    return cls(TrainConfig(**train), ModelConfig(**model), probe)
                except TypeError as error:
                    raise ValueError("it asks for what this version of lstmviz does not know") from error
        raise ValueError("it does not hold what was asked of a training")

    @property
    def command(self) -> str:
        """The command line that trains the same: what differs from the defaults, paths cut down to names."""
        train = dataclasses.replace(self.train, corpus=name_of(self.train.corpus))
        model = dataclasses.replace(self.model, **dict.fromkeys(DECIDED))  # by the data
        if model.attention == "luong":  # by default, where there is any
            model = dataclasses.replace(model, attention=None)
        given = _differing(TrainConfig(corpus=""), train) | _differing(ModelConfig(), model)
        flags: list[str] = []
        for name, value in given.items():
            flag = name.replace("_", "-")
            flags += [f"--{flag}"] if value is True else [f"--{flag}", f"{value}"]
        return "python -m lstmviz train runs/NAME " + shlex.join(flags)


@dataclass(frozen=True)
class Record(Metrics):
    """A line of metrics.jsonl.

    Args:
        sample: at an evaluation, what the model wrote then; else empty.
    """

    sample: str = ""

    @classmethod
    def loads(cls, line: bytes) -> Record:
        """Undo ``dumps``; what an earlier version did not know is at its default, what a later one adds is left out.

        Raises:
            ValueError: it is no whole record.
        """
        if not line.endswith(b"\n"):
            raise ValueError("half a line")
        record = fitted(cls, parsed(line))
        if record.step < 1 or max(record.seconds, record.tokens_per_second) > CLOCK_MOST:
            raise ValueError("these are no figures of a training")
        return record

    def dumps(self) -> bytes:
        """As a line of JSON."""
        if_any = "sample", "valid_accuracy"
        said = {name: value for name, value in vars(self).items() if name not in if_any or value not in ("", None)}
        return json.dumps(said).encode() + b"\n"


@dataclass(frozen=True)
class Log:
    """A run's records, as far as they have been read.

    Args:
        records: in the order of their steps.
        file: the file's number on its disk; a resumed run has a new file.
        offset: the byte to go on from.
        lost: how many lines before that are none; an unfinished last line is not yet one.
    """

    records: tuple[Record, ...] = ()
    file: int = 0
    offset: int = 0
    lost: int = 0


NOTHING = Log()


@dataclass(frozen=True)
class Snapshot:
    """A run as it stood at one moment, each of its files read once.

    Args:
        run: whose folder it is.
        config: what was asked.
        status: how it stands; None before it began.
        log: its records.
        has_weights: best.safetensors is there.
        has_begun: a process of its own has said how it stands, which for a member that waits its line-up's says.
        lineup: how the line-up stands that it is a member of; None where there is none, or before that began.
        damage: what is wrong with its files, in sentences; what they do not hold is left out.
    """

    run: Run
    config: RunConfig
    status: Status | None
    log: Log
    has_weights: bool
    has_begun: bool
    lineup: Status | None
    damage: tuple[str, ...] = ()

    @property
    def records(self) -> tuple[Record, ...]:
        return self.log.records

    @property
    def is_living(self) -> bool:
        """Whether its process lives, or is about to."""
        return self.status is None or self.status.state in LIVING

    @property
    def best_nll(self) -> float | None:
        """The lowest validation loss; None before the first evaluation."""
        return min((record.valid_nll for record in self.records if record.valid_nll is not None), default=None)

    def probe(self, step: int) -> Probe:
        """The probe sentence after so many steps.

        Raises:
            ValueError, OSError: there is none that can be read.
        """
        from lstmviz.training.probe import Probe  # with torch, which who only looks at a folder does not wait for

        data = read_bytes(self.run.folder / "probes" / f"{step:08d}.npz", PROBE_MOST)
        return Probe.loads(data, self.config.model.cell)


NO_CONFIG = RunConfig(TrainConfig(""), ModelConfig())  # of a run whose own cannot be read


class Run:
    """A run's folder, for whoever watches or steers it."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)

    @property
    def lineup(self) -> Path | None:
        """The folder of the line-up that this run is a member of."""
        return self.folder.parent if os.path.lexists(self.folder.parent / LINEUP) else None

    @property
    def name(self) -> str:
        """Of its folder, as `name_of` writes it, with its line-up's before it."""
        return f"{name_of(self.lineup)}/{name_of(self.folder)}" if self.lineup else name_of(self.folder)

    @classmethod
    def create(cls, folder: Path, config: RunConfig) -> Run:
        """Make the folder; of two that try at once, one wins.

        Raises:
            ValueError: there is a run already.
        """
        run = cls(folder)
        run.folder.mkdir(parents=True, exist_ok=True)
        path, asked = run.folder / "config.json", json.dumps({"format": 1, **dataclasses.asdict(config)}, indent=2)
        try:
            with path.open("x") as file:
                try:
                    file.write(asked)
                    file.flush()
                except OSError:
                    path.unlink()
                    raise
        except FileExistsError as error:
            status = run.status()
            begun = status is None or status.state != "failed" or status.step
            if begun or (run.folder / "last.safetensors").exists():  # one that failed before it began is no loss
                raise ValueError(
                    f"there is a run in {folder} already; python -m lstmviz resume {shlex.quote(str(folder))} goes on "
                    "with it, or choose another name"
                ) from error
            write_atomically(path, asked.encode())
        return run

    def config(self) -> RunConfig:
        """What was asked.

        Raises:
            ValueError: there is no run in the folder.
        """
        try:
            return self._asked()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise ValueError(f"there is no training run in {self.folder}") from error
        except (OSError, ValueError) as error:
            raise ValueError(f"there is no training run in {self.folder}: {reason(error)}") from error

    def _asked(self) -> RunConfig:
        asked = read_json(self.folder / "config.json")
        try:
            return RunConfig.loads(asked)
        except ValueError as error:
            raise ValueError(f"config.json is damaged: {error}") from error

    def status(self, read: Callable[[Path], Status | None] = read_status) -> Status | None:
        """How it stands; None before it began. A member of a line-up waits as long as somebody is at the line-up.

        Args:
            read: what reads the status of a folder.
        """
        if self.lineup and not os.path.lexists(self.folder / "status.json"):
            whole = read(self.lineup)
            state = "queued" if whole and whole.state in LIVING else "stopped"
            return whole and dataclasses.replace(whole, state=state, step=0, message="")
        return read(self.folder)

    def snapshot(self, known: Log = NOTHING, read: Callable[[Path], Status | None] = read_status) -> Snapshot:
        """The whole run at this moment; what cannot be read of it is named, and the rest is there.

        Args:
            known: what was read of its records before.
            read: what reads the status of a folder, its line-up's too.

        Raises:
            ValueError: there is no folder.
        """
        has_weights, has_begun = (os.path.exists(self.folder / name) for name in ("best.safetensors", "status.json"))
        try:
            config, status = self._asked(), self.status(read)
        except (OSError, ValueError) as error:
            if not os.path.lexists(self.folder):
                raise ValueError(f"there is no training run in {self.folder}") from error
            config, status = NO_CONFIG, Status("unreadable", 0, 0, "", 0.0, reason(error))
        log, damage = NOTHING, []
        try:
            log = self.log(known)
        except OSError as error:
            damage.append(f"its records cannot be read: {reason(error)}")
        if log.lost:
            lines = "lines of metrics.jsonl are" if log.lost > 1 else "line of metrics.jsonl is"
            damage.append(f"{log.lost:,} {lines} damaged; the others count")
        elif log.records and log.records[0].step > 1:
            damage.append(f"metrics.jsonl begins at step {log.records[0].step:,}: what it said of those before is gone")
        elif status and status.step > config.train.log_every and status.pid and log is NOTHING and not damage:
            damage.append("metrics.jsonl is gone, and with it all records so far")
        lineup = self.lineup
        return Snapshot(self, config, status, log, has_weights, has_begun, lineup and read(lineup), tuple(damage))

    def ask(self, what: Literal["pause", "resume", "stop"]) -> None:
        """Steer the training process; it answers within a second, between two steps."""
        write_atomically(self.folder / "control", what.encode())

    def log(self, known: Log = NOTHING) -> Log:
        """The records; a damaged line is counted and left out.

        Args:
            known: what was read before; only what came since is read.

        Raises:
            OSError: the file is there, but cannot be read.
        """
        path = self.folder / "metrics.jsonl"
        try:
            found = path.stat()
            if known.file != found.st_ino or known.offset > found.st_size:
                known = Log(file=found.st_ino)
            if known.offset == found.st_size:
                return known
            lines = read_bytes(path, RECORDS_MOST, known.offset).splitlines(keepends=True)
        except FileNotFoundError:
            return NOTHING
        records, offset, lost = [*known.records], known.offset, known.lost
        for line in lines:
            if not line.endswith(b"\n"):
                break  # the process is writing it, or was killed at it
            offset += len(line)
            with suppress(ValueError):
                record = Record.loads(line)
                if not records or record.step > records[-1].step:
                    records.append(record)
                    continue
            lost += 1
        return Log(tuple(records), known.file, offset, lost)

    def records(self) -> tuple[Record, ...]:
        """All of them, from the first."""
        return self.log().records

    def probes(self) -> list[int]:
        """The steps at which the probe sentence was traced, in order; a file with another name is none of ours."""
        with suppress(OSError):
            names = (re.fullmatch(r"([0-9]{8,13})\.npz", name) for name in os.listdir(self.folder / "probes"))
            return sorted(int(found[1]) for found in names if found)
        return []


def runs(folder: Path) -> list[Run]:
    """Every run in a folder, by name, with the members of its line-ups; also one of which little can be read."""
    found = []
    for path, names in _folders(Path(folder)):
        members = [Run(member) for member, marks in _folders(path) if marks & {*MARKS}] if LINEUP in names else []
        found += members or ([Run(path)] if names & {*MARKS, LINEUP} else [])
    return sorted(found, key=lambda run: run.name)


def _folders(folder: Path) -> list[tuple[Path, set[str]]]:
    """The folders in a folder, and the names of what each holds; of one that may not be looked into, that of a run."""
    found = []
    with suppress(OSError):
        for path in sorted(folder.iterdir()):
            if path.name.startswith(DELETED) or not os.path.isdir(path):
                continue
            try:
                found.append((path, set(os.listdir(path))))
            except PermissionError:
                found.append((path, {*MARKS}))
            except OSError:  # it was just deleted
                continue
    return found


def _differing(default: ModelConfig | TrainConfig, config: ModelConfig | TrainConfig) -> dict[str, Any]:
    return {name: value for name, value in vars(config).items() if value != getattr(default, name)}
