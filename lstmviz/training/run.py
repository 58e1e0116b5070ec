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
import io
import json
import math
import os
import platform
import shlex
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import safetensors.torch
import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError

from lstmviz import checkpoint as checkpoints
from lstmviz.card import card
from lstmviz.checkpoint import Checkpoint
from lstmviz.config import ModelConfig, TrainConfig
from lstmviz.data.corpora import open_corpus
from lstmviz.data.grammars import GRAMMARS, hidden_variable
from lstmviz.data.vocabulary import Corpus
from lstmviz.disk import write_atomically
from lstmviz.explain.correlations import unit_correlations
from lstmviz.model import LanguageModel
from lstmviz.trace import GateTrace, held, trace_tokens
from lstmviz.training.loop import SPLIT_OTHERWISE, Metrics, Trainer, check_memory, diverged, evaluate, unknown_share
from lstmviz.training.parallel import ALONE, World
from lstmviz.training.status import LINEUP, LIVING, State, Status, alone, read_status, reason, write_status

SAVE_EVERY = 10.0  # seconds between two saves of all that a resumed training needs
BEAT_EVERY = 2.0  # seconds between two heartbeats
LOOK_EVERY = 0.2  # seconds between two looks at what somebody asks for
MEET_EVERY = 5  # steps between two moments at which rank 0 tells the other processes what is asked
HISTORY = ("step", "train_nll", "valid_nll")


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
class Probe:
    """The probe sentence at one moment of a training.

    Args:
        ids: of its tokens, ``(T,)``.
        trace, likely, probabilities: as in a `Reading`.
    """

    ids: list[int]
    trace: GateTrace
    likely: np.ndarray
    probabilities: np.ndarray


class Run:
    """A run's folder, for whoever trains, watches or steers it."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self._said: tuple[State, Trainer | None, str] = ("starting", None, "")
        self._before: Status | None = None  # how it stood when the process began
        self._saying = threading.Lock()
        self._slot: FileLock | None = None  # the turn that this run has

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

    def probe(self, step: int) -> Probe:
        """The probe sentence after so many steps."""
        with np.load(self.folder / "probes" / f"{step:08d}.npz", allow_pickle=False) as file:
            values = {name: file[name] for name in file.files}
        ids, likely, probabilities, nll = (values.pop(name) for name in ("ids", "likely", "probabilities", "nll"))
        cell = self.config().model.cell
        return Probe(ids.tolist(), GateTrace(values, cell, nll=nll), likely, probabilities)

    # ---- the training process ----------------------------------------------------------------------------------------

    def execute(self, world: World = ALONE) -> Iterator[Metrics]:
        """Train to the end, or until it is stopped; begin where the last process came to, if there was one.

        One that cannot be gone on with stands afterwards as it stood before, and its status says why.

        Args:
            world: all its processes call this. Rank 0 alone touches the folder, which the others need not see, and
                yields records.

        Raises:
            Busy: another process is training this run.
            ValueError: the configuration fits nothing.
            FloatingPointError: the training diverged; the best weights so far stay.
            ConnectionError: another process of this world ended.
        """
        with (
            alone(self.folder, "training") if world.rank == 0 else nullcontext(),
            self._heartbeat() if world.rank == 0 else nullcontext(),
        ):
            trainer, before = None, self._before
            try:
                config = world.broadcast(self.config() if world.rank == 0 else None)
                corpus = world.agree(lambda: open_corpus(config.train))
                config = dataclasses.replace(
                    config, train=dataclasses.replace(config.train, level=corpus.vocabulary.level)
                )
                made = world.agree(lambda: self._trainer(config, corpus, world))
                self._go_on(made)
                trainer = made
                if world.rank:
                    return self._assist(trainer)
                if self._take_turn(trainer):
                    yield from self._train(trainer, config)
                else:
                    world.broadcast("stop")
                    self._say("stopped", trainer)
            except GeneratorExit:
                raise
            except BaseException as error:
                stopped = isinstance(error, KeyboardInterrupt)
                state: State = "stopped" if stopped else "failed"
                if trainer is None and before and (before.step or before.state == "stopped"):
                    state = before.state  # nothing was done to it
                if world.rank == 0:
                    with suppress(OSError):  # a full disk does not take even this; then the run counts as crashed
                        self._say(state, trainer, "" if stopped else reason(error))
                raise
            finally:
                self._leave_turn()

    def _trainer(self, config: RunConfig, corpus: Corpus, world: World) -> Trainer:
        if world.broadcast(corpus.sha256) != corpus.sha256:
            raise ValueError(f"the text at {config.train.corpus} is not the same on every machine")
        vocab_size = len(corpus.vocabulary)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        check_memory(config.model, vocab_size, config.train, device)
        torch.manual_seed(config.train.seed)
        model = LanguageModel(config.model, vocab_size).to(device)
        if world.rank:
            torch.manual_seed(config.train.seed + world.rank)  # the same weights everywhere, but dropout of its own
        return Trainer(model, corpus, config.train, world)

    def _assist(self, trainer: Trainer) -> None:
        """What all but rank 0 do: take the same steps, and hear at every meeting what rank 0 says."""
        steps, meeting = iter(trainer), True
        while True:
            if meeting:
                while (said := trainer.world.broadcast(None)) == "save":
                    trainer.state_dict()
                if said == "stop":
                    return
            metrics = next(steps, ...)
            if metrics is ...:
                break
            meeting = _meeting(trainer, metrics)
        trainer.world.broadcast(None)  # until rank 0 has written the figures and the card

    def _train(self, trainer: Trainer, config: RunConfig) -> Iterator[Metrics]:
        saved = looked = time.monotonic()
        steps, meeting = iter(trainer), True
        with (self.folder / "metrics.jsonl").open("ab") as log:
            while True:
                now = time.monotonic()
                if meeting and now - looked > LOOK_EVERY and trainer.step < config.train.steps:
                    looked = now
                    if self._wait_while_paused(trainer):
                        self._save(trainer)
                        trainer.world.broadcast("stop")
                        return self._say("stopped", trainer)
                if meeting:
                    trainer.world.broadcast("go on")
                self._say("running", trainer)
                metrics = next(steps, ...)
                if metrics is ...:
                    break
                # Most is learnt before the first evaluation, so the gates are also kept after 1, 2, 4, 8 … steps.
                if trainer.step < config.train.eval_every and trainer.step & (trainer.step - 1) == 0:
                    self._trace_probe(trainer, config.probe)
                if metrics is not None:
                    record = dataclasses.asdict(metrics)
                    if metrics.valid_nll is not None:
                        with _finite(f"at step {metrics.step:,}"):
                            record["sample"] = _sample(trainer)
                    log.write(json.dumps(record).encode() + b"\n")
                    log.flush()
                    if metrics.valid_nll is not None:
                        with _finite(f"at step {metrics.step:,}"):
                            self._keep(trainer, config, metrics)
                    yield metrics
                meeting = _meeting(trainer, metrics)
                if (metrics and metrics.valid_nll is not None) or (meeting and now - saved > SAVE_EVERY):
                    self._save(trainer)
                    saved = time.monotonic()
        self._finish(trainer)
        trainer.world.broadcast("finished")
        self._say("finished", trainer, learned_nothing(self.metrics()[0]))

    def _keep(self, trainer: Trainer, config: RunConfig, metrics: Metrics) -> None:
        """What an evaluation leaves: the gates of the probe sentence, and the weights if they are the best."""
        corpus, model = trainer.corpus, trainer.model
        if metrics.is_best:
            records, _ = self.metrics()
            weights = checkpoints.weights_of(model)
            for name, weight in weights.items():
                if not weight.isfinite().all():  # of a token that the validation part lacks, say
                    raise FloatingPointError(f"not all weights in {name} are finite numbers")
            checkpoint = Checkpoint(
                model=model.config,
                # With no path of this machine.
                train=dataclasses.replace(config.train, corpus=Path(config.train.corpus).name),
                vocabulary=corpus.vocabulary,
                weights=weights,
                step=metrics.step,
                history={name: [_rounded(record[name]) for record in records] for name in HISTORY},
                results={"valid_nll": float(metrics.valid_nll or 0), "valid_unknown": trainer.valid_unknown},
                corpus_name=corpus.name,
                corpus_sha256=corpus.sha256,
                licence=corpus.licence,
                command=config.command.replace("runs/NAME", f"runs/{self.folder.name}").replace(
                    ALONE.command, trainer.world.command, 1
                ),
            )
            if config.train.corpus in GRAMMARS:
                checkpoint = dataclasses.replace(checkpoint, hidden_variable=carried_variable(checkpoint, corpus, 1000))
            write_atomically(self.folder / "best.safetensors", checkpoints.dumps(checkpoint))
        self._trace_probe(trainer, config.probe)

    def _trace_probe(self, trainer: Trainer, sentence: str) -> None:
        """The gates of the probe sentence, read after the first lines of the validation text: in training no sentence
        begins from nothing. The last token of those lines comes first.
        """
        model, corpus = trainer.model, trainer.corpus
        vocabulary, text = corpus.vocabulary, corpus.valid[:300]
        ends = (text == vocabulary.end).nonzero()
        cut = int(ends[-1]) + 1 if len(ends) else len(text)
        ids = torch.tensor(vocabulary.encode(sentence), dtype=torch.int64)
        if not len(ids):
            ids = corpus.valid[cut : cut + 40]
        model.eval()
        read = torch.cat([text[:cut], ids])
        trace, log_p = trace_tokens(model, read)
        shown = slice(cut - 1, None)
        best = log_p[shown].topk(min(5, len(vocabulary)), dim=-1)
        trace = trace.select(time=shown)
        arrays = {
            **trace,
            "nll": np.concatenate([[np.float32(np.nan)], trace.nll[1:]]),  # the first is not of the sentence
            "ids": read[shown].numpy(),
            "likely": best.indices.numpy(),
            "probabilities": best.values.exp().numpy(),
        }
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)
        (self.folder / "probes").mkdir(exist_ok=True)
        write_atomically(self.folder / "probes" / f"{trainer.step:08d}.npz", buffer.getvalue())

    def _finish(self, trainer: Trainer) -> None:
        """The figures of the best weights, exactly, and their card."""
        corpus = trainer.corpus
        best = checkpoints.load(self.folder / "best.safetensors")
        records, _ = self.metrics()
        model = best.build()
        with _finite(f"in the exact figures of the best weights, of step {best.step:,}"):
            results = results_on(model, corpus)
            for part, value in results.items():
                if not math.isfinite(value):
                    raise FloatingPointError(f"{part} became {value}")
            best = dataclasses.replace(
                best,
                history=thinned({name: [_rounded(record[name]) for record in records] for name in HISTORY}),
                results=results,
                hidden_variable=best.hidden_variable and carried_variable(best, corpus),
            )
        write_atomically(self.folder / "best.safetensors", checkpoints.dumps(best))
        write_atomically(self.folder / "card.md", card(best).encode())

    def _save(self, trainer: Trainer) -> None:
        trainer.world.broadcast("save")
        write_atomically(self.folder / "last.safetensors", safetensors.torch.save(trainer.state_dict()))

    def _go_on(self, trainer: Trainer) -> None:
        """From the last save; records made after it will be made again."""
        world, data = trainer.world, None
        if world.rank == 0:
            for pattern in (".*.safetensors.*", "probes/.*.npz.*"):  # what it had half written when it was killed
                for path in self.folder.glob(pattern):
                    path.unlink(missing_ok=True)
            with suppress(FileNotFoundError):
                data = (self.folder / "last.safetensors").read_bytes()
        data = world.broadcast(data)
        if data is not None:
            try:
                tensors = safetensors.torch.load(data)
                size = 1 + max((int(name.split(".")[1]) for name in tensors if name.startswith("rank.")), default=0)
                if size == world.size:
                    if world.rank == 0 and "vocabulary" not in tensors:
                        self._check_vocabulary(trainer)
                    trainer.load_state_dict(tensors)
            except (SafetensorError, KeyError, ValueError, RuntimeError) as error:
                raise ValueError(f"{self.folder / 'last.safetensors'} does not fit this run: {error}") from error
            if size != world.size:
                raise ValueError(
                    f"this run was trained by {size} process{'es' * (size > 1)}; "
                    f"go on with {World(size=size).command} resume {self.folder}"
                )
        if world.rank:
            return
        records, _ = self.metrics()
        kept = [json.dumps(record) + "\n" for record in records if record["step"] <= trainer.step]
        write_atomically(self.folder / "metrics.jsonl", "".join(kept).encode())

    def _check_vocabulary(self, trainer: Trainer) -> None:
        """That an earlier version, whose saves do not tell its tokens, split the text as this one does.

        Raises:
            ValueError: it did not, or it left nothing by which that could be told.
        """
        vocabulary, best = trainer.corpus.vocabulary, self.folder / "best.safetensors"
        if best.exists():
            same = checkpoints.load(best).vocabulary == vocabulary
        else:
            same = vocabulary.level == "char" or trainer.corpus.name in GRAMMARS
        if not same:
            raise ValueError(SPLIT_OTHERWISE)

    def _wait_while_paused(self, trainer: Trainer) -> bool:
        """Do what the control file says; whether it says to stop. Who pauses lets another run have the turn."""
        waiting = False
        while True:
            try:
                asked = (self.folder / "control").read_text()
            except FileNotFoundError:
                asked = "resume"
            if asked != "pause":
                (self.folder / "control").unlink(missing_ok=True)
                return asked == "stop" or (waiting and not self._take_turn(trainer))
            if self._slot:
                self._save(trainer)
                self._leave_turn()
                waiting = True
            self._say("paused", trainer)
            time.sleep(LOOK_EVERY)

    def _take_turn(self, trainer: Trainer) -> bool:
        """Wait until fewer runs of this folder, those of its line-ups included, train than the machine has cores.

        On a disk that several machines share, each has its own turns.

        Returns:
            False if told to stop meanwhile.
        """
        home, machine = (self.lineup or self.folder).parent, platform.node()
        while True:
            for number in range(os.cpu_count() or 1):
                lock = FileLock(home / f".turn-{machine}-{number}", timeout=0, thread_local=False)
                with suppress(Timeout):
                    lock.acquire()
                    self._slot = lock
                    return True
            self._say("queued", trainer)
            if self._wait_while_paused(trainer):
                return False
            time.sleep(LOOK_EVERY)

    def _leave_turn(self) -> None:
        if self._slot:
            self._slot.release()
            self._slot = None

    def _say(self, state: State, trainer: Trainer | None, message: str = "") -> None:
        """Change the status; the heartbeat repeats it."""
        with self._saying:
            if (state, trainer, message) != self._said:
                self._said = state, trainer, message
                self._write_status()

    def _write_status(self) -> None:
        state, trainer, message = self._said
        if trainer:
            parameters = sum(parameter.numel() for parameter in trainer.model.parameters())
            write_status(self.folder, state, trainer.step, message, parameters, trainer.world.size)
        elif before := self._before:
            write_status(self.folder, state, before.step, message, before.parameters, before.processes)
        else:
            write_status(self.folder, state, 0, message)

    @contextmanager
    def _heartbeat(self) -> Iterator[None]:
        """Say that the process lives as long as it does, also where it reads a large text or evaluates for minutes."""
        over = threading.Event()

        def beat() -> None:
            while not over.wait(BEAT_EVERY):
                with self._saying, suppress(OSError):
                    self._write_status()

        (self.folder / "control").unlink(missing_ok=True)  # what was asked of the process before
        self._before = read_status(self.folder)
        self._said = "starting", None, ""
        self._write_status()
        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def runs(folder: Path) -> list[Run]:
    """Every run in a folder, by name, with the members of its line-ups."""
    found = [
        Run(path.parent) for pattern in ("*/config.json", "*/*/config.json") for path in Path(folder).glob(pattern)
    ]
    return sorted((run for run in found if run.folder.parent == Path(folder) or run.lineup), key=lambda run: run.name)


def results_on(model: LanguageModel, corpus: Corpus) -> dict[str, float]:
    """A checkpoint's results: the exact losses on what was not trained on, and the share of ``<unk>`` there."""
    parts = {"valid": corpus.valid, "test": corpus.test}
    losses = {f"{part}_nll": evaluate(model, tokens) for part, tokens in parts.items()}
    return losses | {f"{part}_unknown": unknown_share(tokens) for part, tokens in parts.items()}


def carried_variable(checkpoint: Checkpoint, corpus: Corpus, count: int = 5000) -> dict[str, Any]:
    """How much of a grammar's hidden variable each unit carries, over so many validation tokens.

    Raises:
        FloatingPointError: what a unit holds is no finite number somewhere.
    """
    grammar = GRAMMARS[corpus.name]
    tokens = corpus.valid[:count]
    trace, _ = trace_tokens(checkpoint.build(), tokens)
    variable = hidden_variable(corpus.name, [checkpoint.vocabulary.tokens[i] for i in tokens])
    if not np.isfinite(held(trace)).all():
        raise FloatingPointError("not all that the units hold are finite numbers")
    correlations = unit_correlations(trace, variable, nominal=grammar.nominal).round(4).tolist()
    return {"name": grammar.variable, "correlations": correlations}


def learned_nothing(records: list[dict[str, Any]]) -> str:
    """A sentence for a training whose lowest validation loss never came below the untrained model's; else empty.

    The untrained model's is that of the first step, which is taken before anything is learned. It costs nothing more,
    is there in every run, and holds for every decoder, as ln V does not for an adaptive softmax. A window is enough for
    it: to a model that was just drawn all tokens are about as likely.

    Args:
        records: of a run, from its first step on.
    """
    losses = [record["valid_nll"] for record in records if record["valid_nll"] is not None]
    untrained = records[0]["train_nll"] if records and records[0]["step"] == 1 else math.inf
    if not losses or min(losses) < untrained:
        return ""
    return (
        f"nothing was learned: the lowest validation loss is {short(min(losses))} nats, that of the untrained model "
        f"was {short(untrained)}; the learning rate may be too high, or the training too short"
    )


def short(nll: float, decimals: int = 4) -> str:
    """A loss with so many decimals, or, where it exploded, with its power of ten."""
    return f"{nll:.{decimals}f}" if abs(nll) < 1e6 else f"{nll:.3g}"


def thinned(history: dict[str, list], most: int = 400) -> dict[str, list]:
    """A history of every evaluation and every n-th other row, of these fewer than twice ``most``."""
    n = max(1, len(history["step"]) // most)
    keep = [i for i, nll in enumerate(history["valid_nll"]) if nll is not None or i % n == 0]
    return {name: [column[i] for i in keep] for name, column in history.items()}


def _meeting(trainer: Trainer, metrics: Metrics | None) -> bool:
    """Whether rank 0 speaks to the others before the next step; a process alone is always free to look about."""
    evaluated = metrics is not None and metrics.valid_nll is not None
    return evaluated or trainer.world.size == 1 or trainer.step % MEET_EVERY == 0


@contextmanager
def _finite(when: str) -> Iterator[None]:
    """Say when a model's numbers were found to be no longer finite."""
    try:
        yield
    except FloatingPointError as error:
        raise diverged(f"{error} ({when})") from error


def _sample(trainer: Trainer) -> str:
    """What the model writes now, always from the same random numbers, so that only the learning shows."""
    vocabulary = trainer.corpus.vocabulary
    trainer.model.eval()
    count = 120 if vocabulary.level == "char" else 30
    start = torch.tensor([vocabulary.end], device=trainer.device)
    return vocabulary.decode(trainer.model.sample(start, count, temperature=0.8, seed=0).tolist())


def _rounded(value: float | None) -> float | None:
    return value if value is None or isinstance(value, int) else round(value, 4)


def _differing(default: ModelConfig | TrainConfig, config: ModelConfig | TrainConfig) -> dict[str, Any]:
    return {name: value for name, value in vars(config).items() if value != getattr(default, name)}
