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
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lstmviz.config import ModelConfig, TrainConfig
from lstmviz.disk import write_atomically
from lstmviz.trace import GateTrace
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

    def status(self) -> Status | None:
        """How it stands; None before it began. A member of a line-up waits as long as somebody is at the line-up."""
        if self.lineup and not (self.folder / "status.json").exists():
            whole = read_status(self.lineup)
            state = "queued" if whole and whole.state in LIVING else "stopped"
            return whole and dataclasses.replace(whole, state=state, step=0, message="")
        return read_status(self.folder)

    def ask(self, what: Literal["pause", "resume", "stop"]) -> None:
        """Steer the training process; it answers within a second, between two steps."""
        write_atomically(self.folder / "control", what.encode())

    def metrics(self, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
        """The records from a byte on, and the byte to go on from next time."""
        try:
            with (self.folder / "metrics.jsonl").open("rb") as file:
                file.seek(offset)
                data = file.read()
        except FileNotFoundError:
            return [], 0
        records = []
        for line in data.splitlines(keepends=True):
            try:
                records.append(json.loads(line) if line.endswith(b"\n") else None)
            except ValueError:  # half a line, or what a power cut left: the records before it count
                records.append(None)
            if records[-1] is None:
                return records[:-1], offset
            offset += len(line)
        return records, offset

    def probes(self) -> list[int]:
        """The steps at which the probe sentence was traced, in order."""
        return sorted(int(path.stem) for path in (self.folder / "probes").glob("*.npz"))

    def probe(self, step: int) -> tuple[GateTrace, np.ndarray, np.ndarray]:
        """The probe sentence after so many steps.

        Returns:
            Its trace with the tokens' ids as the coordinate ``id``; the ids of the five likeliest next tokens after
            each token, ``(T, 5)``, and their probabilities.
        """
        with np.load(self.folder / "probes" / f"{step:08d}.npz", allow_pickle=False) as file:
            values = {name: file[name] for name in file.files}
        ids, likely, probabilities, nll = (values.pop(name) for name in ("ids", "likely", "probabilities", "nll"))
        axes = ("layer", "time", "unit")
        coords = {axis: np.arange(size) for axis, size in zip(axes, next(iter(values.values())).shape, strict=True)}
        projected = (*axes[:-1], "projection")  # what is not as wide as the first gate
        variables = {
            name: (axes if value.shape[-1] == len(coords["unit"]) else projected, value)
            for name, value in values.items()
        } | {"nll": ("time", nll)}
        return GateTrace(variables, {**coords, "id": ("time", ids)}), likely, probabilities


def runs(folder: Path) -> list[Run]:
    """Every run in a folder, by name, with the members of its line-ups."""
    found = [
        Run(path.parent) for pattern in ("*/config.json", "*/*/config.json") for path in Path(folder).glob(pattern)
    ]
    return sorted((run for run in found if run.folder.parent == Path(folder) or run.lineup), key=lambda run: run.name)


def _differing(default: ModelConfig | TrainConfig, config: ModelConfig | TrainConfig) -> dict[str, Any]:
    return {name: value for name, value in vars(config).items() if value != getattr(default, name)}
