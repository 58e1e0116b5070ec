"""What a training will cost on this machine: its steps within a budget, its time, and whether there is room for it."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import replace

import torch

from lstmviz.config import ModelConfig, TrainConfig
from lstmviz.data.vocabulary import Corpus
from lstmviz.model import LanguageModel
from lstmviz.sizes import parameter_count
from lstmviz.training.batches import batches_of
from lstmviz.training.grid import Grid
from lstmviz.training.loop import Trainer, check_memory, held_out, memory_needed
from lstmviz.training.standing import duration
from lstmviz.training.sweep import check_machine

TRIED_MOST = 10**9  # bytes that a step may take which is timed here, in the server


EVALUATING = 0.15  # share of a budget that goes into evaluations, where the validation part is not too long for that


def of_one_size(grid: Grid, vocab_size: int) -> Grid:
    """The same line-up with as many units for each as fit into the parameters of the first."""
    first = next(iter(grid.members(vocab_size).values()))
    return replace(grid, parameters=parameter_count(first.model, vocab_size))


def epoch_of(corpus: Corpus, train: TrainConfig) -> int:
    """How many steps a pass over the training part is."""
    try:
        return len(batches_of(corpus.train, corpus.vocabulary, train))
    except ValueError:  # the text is too short for one step, which is said where it would be trained on
        return 1


def announced(
    grid: Grid, models: list[ModelConfig], corpus: Corpus, step: float, evaluation: float, *, says_time: bool
) -> str:
    """What will be trained, and how long that takes.

    Args:
        grid, models: the line-up, and its models, one a cell.
        step, evaluation: what they cost, in seconds.
        says_time: whether it is said of a single training, too.
    """
    train, counts = grid.base.train, [parameter_count(model, len(corpus.vocabulary)) for model in models]
    epochs = train.steps / epoch_of(corpus, train)
    each = step * train.steps + evaluation * train.steps / train.eval_every
    length = f"about {train.steps:,} steps or {epochs:,.{0 if epochs > 20 else 1}f} epochs"
    if grid.count == 1:
        takes = f"; it takes about {duration(each)}" if says_time else ""
        return (
            f"A step costs {1000 * step:.1f} ms, so this is {length}, with an evaluation every "
            f"{train.eval_every:,} steps{takes}. {counts[0]:,} parameters."
        )
    whole = each * grid.count / min(grid.count, os.cpu_count() or 1)
    if grid.parameters:
        widths = ", ".join(f"{model.cell} {model.hidden_size:,} units" for model in models)
        said = f"At most {grid.parameters:,} parameters each: {widths}."
    else:
        pairs = zip(models, counts, strict=True)
        said = ", ".join(f"{model.cell} {count:,} parameters" for model, count in pairs) + "."
    return f"{grid.count} trainings of {length} each, in all about {duration(whole)}. {said}"


def check(grid: Grid, corpus: Corpus) -> list[ModelConfig]:
    """The models of a line-up, or of a single training, one a cell.

    Raises:
        ValueError: one of them, or all that train at once, are more than the machine has, or than the page tries out.
    """
    vocab_size = len(corpus.vocabulary)
    members = grid.members(vocab_size)
    models: list[ModelConfig] = []
    for member in members.values():
        if member.model in models:  # another seed
            continue
        check_memory(member.model, vocab_size, member.train)
        if memory_needed(member.model, vocab_size, member.train) > TRIED_MOST:
            raise ValueError(
                f"this model has {parameter_count(member.model, vocab_size):,} parameters and is too large to be tried "
                "out in the page; choose fewer units or layers, a shorter window or a smaller batch, or train it with "
                "python -m lstmviz train"
            )
        models.append(member.model)
    if grid.count > 1:
        check_machine(members, vocab_size, min(grid.count, os.cpu_count() or 1))
    return models


def plan(amount: float, unit: str, step: float, evaluation: float, epoch: int) -> dict[str, int]:
    """How many steps a budget is, and how many of them between two evaluations.

    Args:
        amount, unit: the budget, in "seconds", "epochs" or "steps".
        step, evaluation: what they cost, in seconds.
        epoch: its number of steps.
    """
    steps = {"seconds": amount / step, "epochs": amount * epoch, "steps": amount}[unit]
    seconds = steps * step
    # Often enough that the slider over training time has something to slide over and the first gates come soon.
    evaluations = max(2, min(seconds / 4 + 20, EVALUATING * seconds / evaluation))
    if unit == "seconds":
        steps *= max(0.3, 0.95 - evaluations * evaluation / seconds)
        steps = max(20, steps)
    steps = max(1, round(steps))
    return {"steps": steps, "eval_every": max(1, round(steps / evaluations))}


def costs(corpus: Corpus, model: ModelConfig, train: TrainConfig) -> tuple[float, float]:
    """What a step and an evaluation cost on this machine, measured, in seconds."""
    state = torch.get_rng_state()
    train = replace(train, steps=10**6, eval_every=10**6)
    trainer = Trainer(LanguageModel(model, len(corpus.vocabulary)), corpus, train)
    trainer.take_step()
    begun, count = time.perf_counter(), 0
    while count < 3 or time.perf_counter() - begun < 0.3:
        trainer.take_step()
        count += 1
    step = (time.perf_counter() - begun) / count
    sample = corpus.valid[: 257 * train.batch_size]
    begun = time.perf_counter()
    held_out(trainer.model, sample, corpus.vocabulary, train, train.batch_size)
    evaluation = (time.perf_counter() - begun) * len(corpus.valid) / len(sample)
    torch.set_rng_state(state)
    return step, evaluation


def seconds_of(trainings: Sequence[TrainConfig], measured: Sequence[tuple[float, float]]) -> float:
    """How long trainings take one after another, in seconds.

    Args:
        trainings: how each is trained.
        measured: what a step and an evaluation cost, of a few of them; they count as alike.
    """
    step, evaluation = (sum(cost) / len(measured) for cost in zip(*measured, strict=True))
    return sum(train.steps * step + train.steps / train.eval_every * evaluation for train in trainings)
