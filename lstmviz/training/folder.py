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
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lstmviz.config import ModelConfig, TrainConfig
from lstmviz.disk import write_atomically
from lstmviz.training.loop import Metrics
from lstmviz.training.probe import Probe
from lstmviz.training.status import LINEUP, LIVING, Status, read_status, reason


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

    @property
    def command(self) -> str:
        """The command line that trains the same: what differs from the defaults, paths cut down to names."""
        train = dataclasses.replace(self.train, corpus=Path(self.train.corpus).name)
        given = _differing(TrainConfig(corpus=""), train) | _differing(ModelConfig(), self.model)
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
        given = json.loads(line)
        if not isinstance(given, dict) or not line.endswith(b"\n"):
            raise ValueError("half a line")
        known = {field.name: given[field.name] for field in dataclasses.fields(cls) if field.name in given}
        try:
            known["zero_gradients"] = tuple(known.get("zero_gradients", ()))
            return cls(**known)
        except TypeError as error:
            raise ValueError(f"half a record: {error}") from error

    def dumps(self) -> bytes:
        """As a line of JSON."""
        said = {name: value for name, value in vars(self).items() if name != "sample" or value}
        return json.dumps(said).encode() + b"\n"


@dataclass(frozen=True)
class Log:
    """A run's records, as far as they have been read.

    Args:
        records: in the order of their steps.
        file: the file's number on its disk; a resumed run has a new file.
        offset: the byte to go on from.
    """

    records: tuple[Record, ...] = ()
    file: int = 0
    offset: int = 0


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
    """

    run: Run
    config: RunConfig
    status: Status | None
    log: Log
    has_weights: bool
    has_begun: bool
    lineup: Status | None

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
            ValueError, KeyError, OSError, zipfile.BadZipFile: there is none that can be read.
        """
        data = (self.run.folder / "probes" / f"{step:08d}.npz").read_bytes()
        return Probe.loads(data, self.config.model.cell)


class Run:
    """A run's folder, for whoever watches or steers it."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)

    @property
    def lineup(self) -> Path | None:
        """The folder of the line-up that this run is a member of."""
        return self.folder.parent if (self.folder.parent / LINEUP).exists() else None

    @property
    def name(self) -> str:
        """Of its folder, with its line-up's before it."""
        return f"{self.lineup.name}/{self.folder.name}" if self.lineup else self.folder.name

    @classmethod
    def create(cls, folder: Path, config: RunConfig) -> Run:
        """Make the folder; of two that try at once, one wins.

        Raises:
            ValueError: there is a run already.
        """
        run = cls(folder)
        run.folder.mkdir(parents=True, exist_ok=True)
        asked = json.dumps({"format": 1, **dataclasses.asdict(config)}, indent=2)
        try:
            with (run.folder / "config.json").open("x") as file:
                file.write(asked)
        except FileExistsError as error:
            status = run.status()
            begun = status is None or status.state != "failed" or status.step
            if begun or (run.folder / "last.safetensors").exists():  # one that failed before it began is no loss
                raise ValueError(
                    f"there is a run in {folder} already; python -m lstmviz resume {folder} goes on with it, "
                    "or choose another name"
                ) from error
            write_atomically(run.folder / "config.json", asked.encode())
        return run

    def config(self) -> RunConfig:
        """What was asked.

        Raises:
            ValueError: there is no run in the folder.
        """
        try:
            asked = json.loads((self.folder / "config.json").read_text())
            return RunConfig(TrainConfig(**asked["train"]), ModelConfig(**asked["model"]), asked["probe"])
        except (FileNotFoundError, NotADirectoryError) as error:
            raise ValueError(f"there is no training run in {self.folder}") from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(f"there is no training run in {self.folder}: {reason(error)}") from error

    def status(self, read: Callable[[Path], Status | None] = read_status) -> Status | None:
        """How it stands; None before it began. A member of a line-up waits as long as somebody is at the line-up.

        Args:
            read: what reads the status of a folder.
        """
        if self.lineup and not (self.folder / "status.json").exists():
            whole = read(self.lineup)
            state = "queued" if whole and whole.state in LIVING else "stopped"
            return whole and dataclasses.replace(whole, state=state, step=0, message="")
        return read(self.folder)

    def snapshot(self, known: Log = NOTHING, read: Callable[[Path], Status | None] = read_status) -> Snapshot:
        """The whole run at this moment.

        Args:
            known: what was read of its records before.
            read: what reads the status of a folder, its line-up's too.

        Raises:
            ValueError: there is no run in the folder.
        """
        config, lineup = self.config(), self.lineup
        has_weights, has_begun = ((self.folder / name).exists() for name in ("best.safetensors", "status.json"))
        status, log = self.status(read), self.log(known)
        return Snapshot(self, config, status, log, has_weights, has_begun, lineup and read(lineup))

    def ask(self, what: Literal["pause", "resume", "stop"]) -> None:
        """Steer the training process; it answers within a second, between two steps."""
        write_atomically(self.folder / "control", what.encode())

    def log(self, known: Log = NOTHING) -> Log:
        """The records; those from a damaged line on do not count.

        Args:
            known: what was read before; only what came since is read.
        """
        path = self.folder / "metrics.jsonl"
        try:
            found = path.stat()
            if known.file != found.st_ino or known.offset > found.st_size:
                known = Log(file=found.st_ino)
            if known.offset == found.st_size:
                return known
            with path.open("rb") as file:
                file.seek(known.offset)
                lines = file.read().splitlines(keepends=True)
        except FileNotFoundError:
            return NOTHING
        records, offset = [], known.offset
        for line in lines:
            try:
                records.append(Record.loads(line))
            except ValueError:  # half a line, or what a power cut left: the records before it count
                break
            offset += len(line)
        return Log((*known.records, *records), known.file, offset)

    def records(self) -> tuple[Record, ...]:
        """All of them, from the first."""
        return self.log().records

    def probes(self) -> list[int]:
        """The steps at which the probe sentence was traced, in order."""
        return sorted(int(path.stem) for path in (self.folder / "probes").glob("*.npz"))


def runs(folder: Path) -> list[Run]:
    """Every run in a folder, by name, with the members of its line-ups."""
    found = [
        Run(path.parent) for pattern in ("*/config.json", "*/*/config.json") for path in Path(folder).glob(pattern)
    ]
    return sorted((run for run in found if run.folder.parent == Path(folder) or run.lineup), key=lambda run: run.name)


def _differing(default: ModelConfig | TrainConfig, config: ModelConfig | TrainConfig) -> dict[str, Any]:
    return {name: value for name, value in vars(config).items() if value != getattr(default, name)}
