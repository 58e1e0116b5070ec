"""The one process that trains a run and writes into its folder; with torchrun, several that do so together."""

from __future__ import annotations

import dataclasses
import math
import shlex
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from lstmviz import checkpoint as checkpoints
from lstmviz.caption import write
from lstmviz.card import card
from lstmviz.checkpoint import Checkpoint, digest_of
from lstmviz.data.grammars import GRAMMARS
from lstmviz.data.vocabulary import read_by
from lstmviz.disk import name_of, read_bytes, reason, write_atomically
from lstmviz.model import LanguageModel
from lstmviz.tasks import fitted_to, open_data
from lstmviz.training.folder import Record, Run, RunConfig
from lstmviz.training.loop import SPLIT_OTHERWISE, Trainer, check_memory, diverged
from lstmviz.training.meeting import Word, hear, say, steps_together
from lstmviz.training.parallel import ALONE, World
from lstmviz.training.probe import Probe
from lstmviz.training.results import carried_variable, results_on, thinned
from lstmviz.training.standing import learned_nothing
from lstmviz.training.status import Metrics, State
from lstmviz.training.turn import LOOK_EVERY, Place

SAVE_EVERY = 10.0  # seconds between two saves of all that a resumed training needs


def execute(run: Run, world: World = ALONE, place: Place | None = None) -> Iterator[Record]:
    """Train to the end, or until it is stopped; begin where the last process came to, if there was one.

    One that cannot be gone on with stands afterwards as it stood before, and its status says why.

    Args:
        run: what is trained.
        world: all its processes call this. Rank 0 alone touches the folder, which the others need not see, and yields
            records.
        place: what rank 0 has of the run already, if it has waited for its turn before.

    Raises:
        Busy: another process is training this run.
        ValueError: the configuration fits nothing.
        FloatingPointError: the training diverged; the best weights so far stay.
        ConnectionError: another process of this world ended.
    """
    return _lead(run, world, place) if world.rank == 0 else _assist(run, world)


def _lead(run: Run, world: World, place: Place | None) -> Iterator[Record]:
    """What rank 0 does."""
    with nullcontext(place) if place else Place.at(run.folder) as place:
        voice, process = place.voice, None
        try:
            config = run.config()
            trainer = _trainer(config, world)
            _go_on(trainer, run)
            process = Process(run, trainer, config.probe, place)
            yield from process.train()
        except GeneratorExit:
            raise
        except BaseException as error:
            stopped = isinstance(error, KeyboardInterrupt)
            state: State = "stopped" if stopped else "failed"
            before = voice.before
            if process is None and before and (before.step or before.state == "stopped"):
                state = before.state  # nothing was done to it
            with suppress(OSError):  # a full disk does not take even this; then the run counts as crashed
                voice.say(state, process and process.trainer, "" if stopped else reason(error))
            raise


def _assist(run: Run, world: World) -> Iterator[Record]:
    """What all others do: take the same steps; what is to be done between them, they hear."""
    trainer = _trainer(None, world)
    _go_on(trainer, run)
    for _ in steps_together(trainer, lambda _: hear(trainer)):
        pass
    if trainer.is_over:
        hear(trainer)  # until rank 0 has written the figures and the card
    yield from ()


def _trainer(asked: RunConfig | None, world: World) -> Trainer:
    """What trains, on every rank the same; its configuration with the level of the corpus.

    Args:
        asked: of the run, on rank 0.
    """
    config: RunConfig = world.broadcast(asked)
    corpus = world.agree(lambda: open_data(config.train))
    model_config = world.agree(lambda: fitted_to(corpus, config.model))
    train = config.train
    if (level := read_by(corpus.vocabulary, corpus.reads).level) != "label":
        train = dataclasses.replace(train, level=level)

    def make() -> Trainer:
        if world.broadcast(corpus.sha256) != corpus.sha256:
            raise ValueError(f"the text at {train.corpus} is not the same on every machine")
        vocab_size = len(corpus.vocabulary)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        check_memory(model_config, vocab_size, train, device)
        torch.manual_seed(train.seed)
        model = LanguageModel(model_config, vocab_size).to(device)
        if world.rank:
            torch.manual_seed(train.seed + world.rank)  # the same weights everywhere, but dropout of its own
        return Trainer(model, corpus, train, world)

    return world.agree(make)


def _go_on(trainer: Trainer, run: Run) -> None:
    """From the last save; records made after it will be made again.

    Raises:
        ValueError: the save does not fit.
    """
    world, last, data = trainer.world, run.folder / "last.safetensors", None
    if world.rank == 0:
        for pattern in (".*.safetensors.*", "probes/.*.npz.*"):  # what it had half written when it was killed
            for path in run.folder.glob(pattern):
                path.unlink(missing_ok=True)
        with suppress(FileNotFoundError):
            data = read_bytes(last)
    data = world.broadcast(data)
    if data is not None:
        try:
            tensors = safetensors.torch.load(data)
            size = 1 + max((int(name.split(".")[1]) for name in tensors if name.startswith("rank.")), default=0)
            if size == world.size:
                if tensors.get("sha256", digest := _digest(tensors)).ne(digest).any():
                    raise ValueError("it was changed after it was written; copy it again, or begin a new run")
                if world.rank == 0 and "vocabulary" not in tensors:
                    _check_vocabulary(trainer, run)
                trainer.load_state_dict(tensors)
        except (SafetensorError, KeyError, ValueError, RuntimeError) as error:
            raise ValueError(f"{last} does not fit this run: {error}") from error
        if size != world.size:
            raise ValueError(
                f"this run was trained by {size} process{'es' * (size > 1)}; "
                f"go on with {World(size=size).command} resume {run.folder}"
            )
    if world.rank == 0:
        kept = [record.dumps() for record in run.records() if record.step <= trainer.step]
        write_atomically(run.folder / "metrics.jsonl", b"".join(kept))


def _digest(tensors: dict[str, Tensor]) -> Tensor:
    """Of a save, but for its clock, uint8 ``(32,)``: what the disk changed would otherwise be trained on."""
    saved = {name: tensor.numpy() for name, tensor in tensors.items() if name not in ("sha256", "clock")}
    return torch.frombuffer(bytearray.fromhex(digest_of({}, saved)), dtype=torch.uint8)


def _check_vocabulary(trainer: Trainer, run: Run) -> None:
    """That an earlier version, whose saves do not tell its tokens, split the text as this one does.

    Raises:
        ValueError: it did not, or it left nothing by which that could be told.
    """
    vocabulary, best = trainer.corpus.vocabulary, run.folder / "best.safetensors"
    if best.exists():
        same = checkpoints.load(best).vocabulary == vocabulary
    else:
        same = vocabulary.level == "char" or trainer.corpus.name in GRAMMARS
    if not same:
        raise ValueError(SPLIT_OTHERWISE)


class Process:
    """Rank 0 of a training: between the steps it does what is asked, and writes all that the folder holds.

    Args:
        run: the folder.
        trainer: takes the steps.
        probe: the sentence whose gates are kept.
        place: says how it stands, and has the turn that it needs to take steps.
    """

    def __init__(self, run: Run, trainer: Trainer, probe: str, place: Place) -> None:
        self.run, self.folder, self.trainer, self.probe = run, run.folder, trainer, probe
        self.place, self.voice, self.turn = place, place.voice, place.turn
        self.records = [*run.records()]
        self.saved = self.looked = time.monotonic()

    def train(self) -> Iterator[Record]:
        """Up to the end, or until it is stopped.

        Raises:
            FloatingPointError: it diverged.
        """
        trainer = self.trainer
        if not self._take_turn():
            say(trainer, Word.STOP)
            return self.voice.say("stopped", trainer)
        self.saved = self.looked = time.monotonic()
        for metrics in steps_together(trainer, self._meet):
            # Most is learnt before the first evaluation, so the gates are also kept after 1, 2, 4, 8 … steps.
            if trainer.step < trainer.config.eval_every and trainer.step & (trainer.step - 1) == 0:
                self._trace_probe()
            if metrics is None:
                continue
            with _finite(f"at step {metrics.step:,}"):
                sample = "" if metrics.valid_nll is None else _sample(trainer)
                record = Record(**vars(metrics), sample=sample)
                self._write_down(record)
                if metrics.valid_nll is not None:
                    self._keep(record)
            yield record
        if not trainer.is_over:
            return self.voice.say("stopped", trainer)
        self._finish()
        say(trainer, Word.FINISHED)
        self.voice.say("finished", trainer, learned_nothing(self.records))

    def _write_down(self, record: Record) -> None:
        """Append a record; a file that somebody has removed is there again, with all of them."""
        path = self.folder / "metrics.jsonl"
        new = [record] if path.exists() else [*self.records, record]
        with path.open("ab") as log:
            log.write(b"".join(each.dumps() for each in new))
        self.records.append(record)

    def _meet(self, metrics: Metrics | None) -> Word:
        """Save where it is time, do what is asked, and say how it goes on."""
        trainer, now = self.trainer, time.monotonic()
        evaluated = metrics is not None and metrics.valid_nll is not None
        if evaluated or now - self.saved > SAVE_EVERY:
            self._save()
        if now - self.looked > LOOK_EVERY and not trainer.is_over:
            self.looked = now
            if self._wait_while_paused():
                self._save()
                say(trainer, Word.STOP)
                return Word.STOP
        say(trainer, Word.GO_ON)
        self.voice.say("running", trainer)
        return Word.GO_ON

    def _save(self) -> None:
        tensors = say(self.trainer, Word.SAVE)
        data = safetensors.torch.save({**tensors, "sha256": _digest(tensors)})
        write_atomically(self.folder / "last.safetensors", data)
        self.saved = time.monotonic()

    def _wait_while_paused(self) -> bool:
        """Do what the control file says; whether it says to stop. Who pauses lets another run have the turn."""
        waiting = False
        while True:
            if (asked := self.place.asked()) != "pause":
                return asked == "stop" or (waiting and not self._take_turn())
            if self.turn.is_mine:
                self._save()
                self.turn.leave()
                waiting = True
            self.voice.say("paused", self.trainer)
            time.sleep(LOOK_EVERY)

    def _take_turn(self) -> bool:
        """Wait for a turn; False if told to stop meanwhile."""
        while not self.turn.take():
            self.voice.say("queued", self.trainer)
            if self._wait_while_paused():
                return False
            time.sleep(LOOK_EVERY)
        return True

    def _keep(self, record: Record) -> None:
        """What an evaluation leaves: the gates of the probe sentence, and the weights if they are the best."""
        trainer, corpus = self.trainer, self.trainer.corpus
        if record.is_best:
            weights = checkpoints.weights_of(trainer.model)
            if problem := checkpoints.unusable(weights):  # of a token that the validation part lacks, say
                raise FloatingPointError(problem)
            config = RunConfig(trainer.config, trainer.model.config, self.probe)
            checkpoint = Checkpoint(
                model=config.model,
                # With no path of this machine.
                train=dataclasses.replace(config.train, corpus=name_of(config.train.corpus)),
                vocabulary=corpus.vocabulary,
                reads=corpus.reads,
                weights=weights,
                step=record.step,
                history=thinned(history_of(self.records)),
                results={"valid_nll": float(record.valid_nll or 0)}
                | (
                    {"valid_unknown": trainer.valid_unknown}
                    if record.valid_accuracy is None
                    else {"valid_accuracy": record.valid_accuracy}
                ),
                corpus_name=corpus.name,
                corpus_sha256=corpus.sha256,
                licence=corpus.licence,
                command=config.command.replace("runs/NAME", shlex.quote(f"runs/{name_of(self.folder)}")).replace(
                    ALONE.command, trainer.world.command, 1
                ),
            )
            if not trainer.labelled and config.train.corpus in GRAMMARS and not config.model.window:
                checkpoint = dataclasses.replace(checkpoint, hidden_variable=carried_variable(checkpoint, corpus, 1000))
            write_atomically(self.folder / "best.safetensors", checkpoints.dumps(checkpoint))
        self._trace_probe()

    def _trace_probe(self) -> None:
        if self.trainer.model.config.window:  # it has no gates
            return
        probe = Probe.of(self.trainer.model, self.trainer.corpus, self.probe)
        (self.folder / "probes").mkdir(exist_ok=True)
        write_atomically(self.folder / "probes" / f"{self.trainer.step:08d}.npz", probe.dumps())

    def _has_all_records(self) -> bool:
        return bool(self.records) and self.records[0].step == 1

    def _finish(self) -> None:
        """The figures of the best weights, exactly, and their card."""
        corpus = self.trainer.corpus
        best = checkpoints.load(self.folder / "best.safetensors")
        with _finite(f"in the exact figures of the best weights, of step {best.step:,}"):
            results = results_on(best.build(), corpus, best.train)
            for part, value in results.items():
                if not math.isfinite(value):
                    raise FloatingPointError(f"{part} became {value}")
            best = dataclasses.replace(
                best,
                # Where its records were lost, those that the weights bring tell more.
                history=thinned(history_of(self.records)) if self._has_all_records() else best.history,
                results=results,
                hidden_variable=best.hidden_variable and carried_variable(best, corpus),
            )
        write_atomically(self.folder / "best.safetensors", checkpoints.dumps(best))
        write_atomically(self.folder / "card.md", card(best).encode())


def history_of(records: Sequence[Record]) -> dict[str, list]:
    """What a checkpoint tells of its training: steps and losses, rounded; None where nothing was evaluated."""
    return {
        "step": [record.step for record in records],
        "train_nll": [round(record.train_nll, 4) for record in records],
        "valid_nll": [None if record.valid_nll is None else round(record.valid_nll, 4) for record in records],
    }


@contextmanager
def _finite(when: str) -> Iterator[None]:
    """Say when a model's numbers were found to be no longer finite."""
    try:
        yield
    except FloatingPointError as error:
        raise diverged(f"{error} ({when})") from error


def _sample(trainer: Trainer) -> str:
    """What the model writes now, always from the same random numbers, so that only the learning shows.

    One that says labels writes nothing, and one whose texts a label begins one text for each of the first few.
    """
    vocabulary, model = trainer.corpus.vocabulary, trainer.model.eval()
    count = 120 if vocabulary.level == "char" else 30
    if trainer.corpus.reads and (labels := trainer.corpus.labels_read):
        names = trainer.corpus.reads.tokens
        texts = (write(model, vocabulary, k, count, temperature=0.8, seed=0).tolist() for k in range(min(labels, 10)))
        return "\n".join(f"{name}: {vocabulary.decode(text).strip()}" for name, text in zip(names, texts, strict=False))
    if trainer.labelled:
        return ""
    start = torch.tensor([vocabulary.end], device=trainer.device)
    return vocabulary.decode(model.sample(start, count, temperature=0.8, seed=0).tolist())
