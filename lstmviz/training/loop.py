"""The training loop: it trains step by step, says how it goes, and can be gone on with anywhere."""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

import torch
from torch import Tensor, nn

from lstmviz.cells.base import State
from lstmviz.config import ModelConfig, TrainConfig
from lstmviz.data.vocabulary import SPECIALS, SPELLED, UNK, Corpus, Vocabulary
from lstmviz.model import LanguageModel, Predictor
from lstmviz.sizes import SHORTLIST, parameter_count
from lstmviz.tasks import TASKS, Judgement
from lstmviz.tasks.base import judge
from lstmviz.training.batches import batches_of, parallel_streams
from lstmviz.training.captured import Captured
from lstmviz.training.parallel import ALONE, World
from lstmviz.training.status import Metrics

WINDOW_MOST = 8192  # tokens that an evaluation reads at once
SPLIT_OTHERWISE = (
    "an earlier version of lstmviz, which this training began with, split the text into other words; go on with that "
    "version, or begin a new run"
)


class Trainer:
    """Trains a model step by step: with stateful truncated backpropagation through time, or on windows of sentences.

    Iterating over it takes the steps. Each gives the `Metrics` of a record, every ``log_every`` steps and at each
    evaluation, or None. After any step the caller may stop; ``state_dict`` is then all that another Trainer of the same
    model, corpus and configuration needs to go on, bit for bit as if it had never stopped.

    Args:
        model: trained in place, where it is (CPU or CUDA).
        corpus: read in batches, as ``config.objective`` says; see `Streams` and `Windows`.
        config: everything else.
        world: the processes that train it together. Each reads its share of a batch; all take the same steps, and
            an evaluation is done by rank 0 for all.

    Raises:
        ValueError: the training part is too short for a batch, or a batch cannot be shared out evenly.
        FloatingPointError: the training diverged; see ``diverged``.
    """

    def __init__(self, model: LanguageModel, corpus: Corpus, config: TrainConfig, world: World = ALONE) -> None:
        self.model, self.corpus, self.config, self.world = model, corpus, config, world
        self.device = model.device
        share, rest = divmod(config.batch_size, world.size)
        if rest:
            raise ValueError(
                f"batch_size {config.batch_size} cannot be shared out evenly among {world.size} processes; "
                f"take a multiple of {world.size}"
            )
        self.mine = slice(share * world.rank, share * (world.rank + 1))
        self.batches = batches_of(corpus.train, corpus.vocabulary, config)
        self.labelled = TASKS[config.task].parts is not None
        self.valid_unknown = 0.0 if self.labelled else unknown_share(corpus.valid)
        optimizer = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[config.optimizer]
        self.optimizer = optimizer(model.parameters(), lr=config.learning_rate, fused=True)
        self.passes = self._passes
        # How many targets are rare decides how much work an adaptive softmax is, and a graph's is always the same.
        if self.device.type == "cuda" and not model.config.adaptive_softmax:
            self.passes = Captured(self._passes, model.parameters())
        self.state: list[State] | None = None  # of the cells, after the last window
        self.step = 0
        self.rate, self.cuts, self.best = config.learning_rate, 0, math.inf
        self.seconds = 0.0
        # Since the last record; on the device, so that a step need not wait for it.
        self.steps, self.elapsed = 0, 0.0
        self.loss = torch.zeros((), dtype=torch.float64, device=self.device)  # summed
        self.norm = torch.zeros((), device=self.device)  # largest

    def __iter__(self) -> Iterator[Metrics | None]:
        while not self.is_over:
            yield self.take_step()

    @property
    def is_over(self) -> bool:
        """Whether there are no more steps to take; all processes of its world agree on it."""
        return self.step >= self.config.steps or self.cuts >= 3

    def take_step(self) -> Metrics | None:
        """One window: forward, backward, update; and a record where one is due."""
        begun = time.perf_counter()
        model, config = self.model, self.config
        model.train()
        batch = self.step % len(self.batches)
        state = None if batch == 0 else self.state
        window = self.batches[batch][:, self.mine].to(self.device, torch.int64)  # (T + 1, B / world.size)
        self.step += 1
        self.optimizer.param_groups[0]["lr"] = rate = self.learning_rate()

        loss, last = self.passes(window, state)
        self.state = last if self.batches.carries else None
        self.world.average_gradients(model.parameters())
        norm = nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
        self.optimizer.step()
        self.steps += 1
        self.loss += loss
        self.norm = torch.maximum(self.norm, norm.detach())

        evaluating = self.step % config.eval_every == 0 or self.step == config.steps
        record = None
        if evaluating or self.step % config.log_every == 0 or self.step == 1:
            record = self._record(rate, evaluating, self.elapsed + time.perf_counter() - begun)
        seconds = time.perf_counter() - begun
        self.seconds += seconds
        self.elapsed = 0.0 if record else self.elapsed + seconds
        return record

    def _passes(self, window: Tensor, state: list[State] | None) -> tuple[Tensor, list[State]]:
        """Forward and backward: the loss and the state after the window; the gradients are at the parameters."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.bfloat16):
            read, said, lengths = self.batches.parts(window)
            loss, state = self.model.loss(read, said, state, lengths)
        self.optimizer.zero_grad()
        loss.backward()
        # Without its history: gradients stop at the window's edge.
        return loss.detach(), [{name: value.detach() for name, value in layer.items()} for layer in state]

    def learning_rate(self) -> float:
        """Of this step, by the schedule."""
        if self.config.schedule == "cosine":
            return 0.5 * self.rate * (1 + math.cos(math.pi * self.step / self.config.steps))
        return self.rate

    def _record(self, rate: float, evaluating: bool, elapsed: float) -> Metrics:
        train_nll, norm = self.world.mean(self.loss).item() / self.steps, self.norm.item()
        for what, value in (("loss", train_nll), ("gradient's norm", norm)):
            if not math.isfinite(value):
                first = self.step - self.steps + 1
                when = f"between step {first:,} and step {self.step:,}" if first < self.step else f"at step {first:,}"
                raise diverged(f"the {what} became {value} {when}")
        model, config, valid_nll, accuracy = self.model, self.config, None, None
        if evaluating:
            if self.world.rank == 0 and self.labelled:
                valid_nll, accuracy = judged(model, self.corpus.valid, config)
            elif self.world.rank == 0:
                valid_nll = held_out(model, self.corpus.valid, self.corpus.vocabulary, config, config.batch_size)
            valid_nll, accuracy = self.world.broadcast((valid_nll, accuracy))
            if not math.isfinite(valid_nll):
                raise diverged(f"the validation loss became {valid_nll} at step {self.step:,}")
        is_best = valid_nll is not None and valid_nll < self.best
        if valid_nll is not None and is_best:
            self.best = valid_nll
        elif evaluating and config.schedule == "plateau":
            self.rate, self.cuts = self.rate / 4, self.cuts + 1
        unlearning = [n for n, p in model.named_parameters() if self.step == 1 and (p.grad is None or not p.grad.any())]
        if model.config.adaptive_softmax:  # its tail learns where a rare token follows, which the first window may lack
            unlearning = [name for name in unlearning if not name.startswith("decoder.tail")]
        metrics = Metrics(
            step=self.step,
            epoch=self.step / len(self.batches),
            seconds=self.seconds + elapsed,
            train_nll=train_nll,
            valid_nll=valid_nll,
            is_best=is_best,
            learning_rate=rate,
            gradient_norm=norm,
            tokens_per_second=self.steps * self.batches.bptt * config.batch_size / elapsed,
            zero_gradients=tuple(unlearning),
            valid_unknown=self.valid_unknown,
            valid_accuracy=accuracy,
        )
        self.steps = 0
        self.loss.zero_()
        self.norm = torch.zeros_like(self.norm)
        return metrics

    # What a resumed training needs beside model, corpus and configuration, as one flat dict of tensors.

    def state_dict(self) -> dict[str, Tensor]:
        """Weights, optimiser, random generators, the cells' state, the place in the data, what is being averaged.

        All processes must ask for it; it is whole on rank 0, with what differs on rank r as ``rank.r.NAME``.
        """
        tensors = {f"weights.{name}": parameter.detach() for name, parameter in self.model.named_parameters()}
        for index, values in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": value for name, value in values.items()}
        for layer, values in enumerate(self.state or []):
            tensors |= {f"state.{layer}.{name}": value.detach() for name, value in values.items()}
        tensors["random.cpu"] = torch.get_rng_state()
        if self.device.type == "cuda":
            tensors["random.cuda"] = torch.cuda.get_rng_state(self.device)
        tensors["corpus"], tensors["vocabulary"] = self._corpus_id(), self._vocabulary_id()
        tensors["loss"], tensors["norm"] = self.loss, self.norm
        for group, names in self._NUMBERS.items():
            tensors[group] = torch.tensor([getattr(self, name) for name in names], dtype=torch.float64)
        tensors = {name: tensor.cpu().clone() for name, tensor in tensors.items()}
        own = {name: tensor for name, tensor in tensors.items() if name.startswith(("state.", "random.", "loss"))}
        for rank, others in enumerate(self.world.gather(own)[1:], start=1):
            tensors |= {f"rank.{rank}.{name}": tensor for name, tensor in others.items()}
        return tensors

    def _corpus_id(self) -> Tensor:
        return torch.tensor(list(self.corpus.sha256.encode()), dtype=torch.uint8)

    def _vocabulary_id(self) -> Tensor:
        """Of all its tokens in their order, said or read: the same text, split by other rules, has others."""
        reads = self.corpus.reads.tokens if self.corpus.reads else ()
        tokens = json.dumps([*self.corpus.vocabulary.tokens, *reads]).encode()
        return torch.tensor(list(hashlib.sha256(tokens).digest()), dtype=torch.uint8)

    _NUMBERS: ClassVar = {"place": ("step", "rate", "cuts", "best", "steps"), "clock": ("seconds", "elapsed")}

    def load_state_dict(self, tensors: dict[str, Tensor]) -> None:
        """Go on from what ``state_dict`` gave.

        Raises:
            KeyError, RuntimeError, ValueError: it is of another model or configuration.
        """
        if not torch.equal(tensors["corpus"], self._corpus_id()):
            raise ValueError("the text is not the one that this training began with; put that back, or begin a new run")
        if not torch.equal(tensors.get("vocabulary", self._vocabulary_id()), self._vocabulary_id()):
            raise ValueError(SPLIT_OTHERWISE)
        mine = f"rank.{self.world.rank}."
        tensors = tensors | {name.removeprefix(mine): t for name, t in tensors.items() if name.startswith(mine)}
        groups: dict[str, dict] = {"optimizer": {}, "state": {}}
        for name, tensor in tensors.items():
            kind, *path = name.split(".", 2)
            if kind in groups:
                groups[kind].setdefault(int(path[0]), {})[path[1]] = tensor.to(self.device)
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                parameter.copy_(tensors[f"weights.{name}"])
        param_groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": groups["optimizer"], "param_groups": param_groups})
        self.state = [groups["state"][layer] for layer in sorted(groups["state"])] or None
        self.loss, self.norm = tensors["loss"].to(self.device), tensors["norm"].to(self.device)
        for group, names in self._NUMBERS.items():
            for name, value in zip(names, tensors[group].tolist(), strict=True):
                setattr(self, name, type(getattr(self, name))(value))
        torch.set_rng_state(tensors["random.cpu"])
        if self.device.type == "cuda" and "random.cuda" in tensors:  # which a training on the CPU does not save
            torch.cuda.set_rng_state(tensors["random.cuda"], self.device)


def diverged(what: str) -> FloatingPointError:
    """To raise where a model's numbers are no longer finite.

    Args:
        what: which of them, and at which step.
    """
    return FloatingPointError(f"the training diverged: {what}; try a lower learning rate, or a smaller clip_norm")


def memory_needed(config: ModelConfig, vocab_size: int, train: TrainConfig) -> int:
    """Bytes that a training takes at least: weights, gradients, Adam's two averages, and what a window leaves for the
    backward pass (logits, their softmax and its gradient; eight values a unit; where words are read by their letters
    two of every filter at each), float32 each.
    """
    scores = 3 * (SHORTLIST if config.adaptive_softmax else vocab_size)
    scored = 1 if train.objective == "windows" else train.bptt  # tokens of a window
    letters = 2 * SPELLED * config.embedding_size if config.letters else 0
    window = scored * scores + train.bptt * (8 * config.hidden_size * config.num_layers * config.directions + letters)
    return 16 * parameter_count(config, vocab_size) + 4 * train.batch_size * window


def memory_there(device: str = "cpu") -> float:
    """Bytes of memory that this machine, or its graphics card, has; infinite where the system does not say."""
    if device == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    if hasattr(os, "sysconf"):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return math.inf


def check_memory(config: ModelConfig, vocab_size: int, train: TrainConfig, device: str = "cpu") -> None:
    """Refuse a training that does not fit into this machine, before anything of it is allocated.

    Raises:
        ValueError: so it is, with the figures.
    """
    needed, there = memory_needed(config, vocab_size, train), memory_there(device)
    if needed > there:
        raise ValueError(
            f"this model has {parameter_count(config, vocab_size):,} parameters; training it takes "
            f"{needed / 2**30:,.1f} GB and there are {there / 2**30:,.1f} GB; choose fewer units or layers, a shorter "
            "window or a smaller batch"
        )


@torch.no_grad()
def evaluate(model: Predictor, tokens: Tensor, batch_size: int = 1) -> float:
    """Mean nll in nats per token, the state carried over from the first token to the last.

    Args:
        model: a module is put into eval mode while it runs, and back into the mode it was in.
        tokens: ``(N,)``.
        batch_size: 1 is exact; more read as many streams side by side, which is faster, but each starts from nothing.
    """
    batch_size = min(batch_size, len(tokens) // 2)
    window = max(1, min(256, WINDOW_MOST // batch_size))  # tokens of each stream run at once
    streams = parallel_streams(tokens, batch_size)  # (N, B)
    total, state = 0.0, None
    with _evaluating(model):
        for start in range(0, len(streams) - 1, window):
            chunk = streams[start : start + window + 1].to(model.device, torch.int64)  # (T + 1, B)
            loss, state = model.loss(chunk[:-1], chunk[1:], state)
            total += loss.item() * chunk[1:].numel()
    return total / ((len(streams) - 1) * batch_size)


@torch.no_grad()
def held_out(
    model: LanguageModel, tokens: Tensor, vocabulary: Vocabulary, config: TrainConfig, batch_size: int = 1
) -> float:
    """Mean nll in nats of what a training with this task and objective predicts, of what it was not trained on.

    Of windows it is the mean over the full batches, as in training.

    Args:
        model: put into eval mode meanwhile.
        tokens, vocabulary: ``(N,)``, and theirs.
        config: of the training.
        batch_size: of streams, as for ``evaluate``.
    """
    if TASKS[config.task].parts:
        return judged(model, tokens, config).nll
    if config.objective == "stream":
        return evaluate(model, tokens, batch_size)
    batches = batches_of(tokens, vocabulary, config)
    with _evaluating(model):
        on_device = (batches[k].to(model.device) for k in range(len(batches)))  # (T + 1, B)
        losses = [model.loss(*batches.parts(batch)[:2])[0].item() for batch in on_device]
    return sum(losses) / len(losses)


def judged(model: LanguageModel, part: Tensor, config: TrainConfig) -> Judgement:
    """How well a model says the labels of a part of a corpus.

    Args:
        model: put into eval mode meanwhile.
        part: all of it counts.
        config: of the training; its task is one with labels.
    """
    parts = TASKS[config.task].parts
    assert parts is not None
    with _evaluating(model):
        return judge(model, part, parts)


@contextmanager
def _evaluating(model: object) -> Iterator[None]:
    if not isinstance(model, nn.Module):
        yield
        return
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


def unknown_share(tokens: Tensor) -> float:
    """The share of ``<unk>`` among the tokens that an evaluation predicts: all but the first.

    Args:
        tokens: ``(N,)``, of any vocabulary; counted in pieces, since it may lie on the disk.
    """
    unknown = SPECIALS.index(UNK)
    return sum(int((piece == unknown).sum()) for piece in tokens[1:].split(1 << 20)) / max(1, len(tokens) - 1)
