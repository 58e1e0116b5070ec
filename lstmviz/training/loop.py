"""The training loop, a generator: it trains, and says how it goes."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lstmviz.cells import State
from lstmviz.checkpoint import TrainConfig
from lstmviz.model import LanguageModel
from lstmviz.text import Corpus

LOG_EVERY = 25  # steps; one reading of the loss off the device, and one record, each


@dataclass(frozen=True)
class Metrics:
    """How the training stands.

    Args:
        step: optimiser steps taken.
        epoch: passes over the training stream, fractional.
        train_nll: mean over the steps since the last record, nats per token.
        valid_nll: where this record ends with an evaluation.
        is_best: these weights have the lowest validation nll so far.
        learning_rate: at this step.
        gradient_norm: largest since the last record, before clipping.
        tokens_per_second: since the last record.
        zero_gradients: names of parameters that the first backward pass gave a gradient of exactly zero.
    """

    step: int
    epoch: float
    train_nll: float
    valid_nll: float | None
    is_best: bool
    learning_rate: float
    gradient_norm: float
    tokens_per_second: float
    zero_gradients: tuple[str, ...] = ()


def train(model: LanguageModel, corpus: Corpus, config: TrainConfig) -> Iterator[Metrics]:
    """Train a model with stateful truncated backpropagation through time.

    The model is trained in place, where it is (CPU or CUDA); a record comes every ``LOG_EVERY`` steps and at each
    evaluation, and the caller may stop iterating or save the weights at any of them.

    Raises:
        ValueError: the training stream is shorter than one window in each of ``batch_size`` streams.
        FloatingPointError: the loss is no longer a finite number.
    """
    device = next(model.parameters()).device
    streams = parallel_streams(corpus.train, config.batch_size).to(device)  # (N, B)
    starts = range(0, len(streams) - config.bptt, config.bptt)
    if not starts:
        raise ValueError(
            f"the training part has {len(corpus.train):,} tokens; bptt {config.bptt} in {config.batch_size} streams "
            f"needs at least {(config.bptt + 1) * config.batch_size:,}"
        )
    optimizer = torch.optim.Adam(model.parameters(), lr=config.learning_rate, fused=True)
    rate, cuts, best = config.learning_rate, 0, math.inf
    state: list[State] | None = None
    losses: list[Tensor] = []
    norms: list[Tensor] = []
    zero_gradients: tuple[str, ...] = ()
    since = time.perf_counter()
    for step in range(1, config.steps + 1):
        model.train()
        start = starts[(step - 1) % len(starts)]
        state = None if start == 0 else detached(state)
        window = streams[start : start + config.bptt + 1]  # (T + 1, B)
        rate_now = 0.5 * rate * (1 + math.cos(math.pi * step / config.steps)) if config.schedule == "cosine" else rate
        optimizer.param_groups[0]["lr"] = rate_now

        with torch.autocast(device.type, torch.bfloat16, enabled=config.bfloat16):
            logits, state = model(window[:-1], state)  # (T, B, V)
        loss = F.cross_entropy(logits.flatten(0, 1).float(), window[1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
        optimizer.step()
        losses.append(loss.detach())
        norms.append(norm.detach())

        if step == 1:
            zero_gradients = tuple(n for n, p in model.named_parameters() if p.grad is None or not p.grad.any())
        evaluating = step % config.eval_every == 0 or step == config.steps
        if step % LOG_EVERY and not evaluating:
            continue
        train_nll = torch.stack(losses).mean().item()
        if not math.isfinite(train_nll):
            raise FloatingPointError(f"the loss became {train_nll} near step {step}; try a lower learning rate")
        seconds = time.perf_counter() - since
        valid_nll = evaluate(model, corpus.valid, config.batch_size) if evaluating else None
        is_best = valid_nll is not None and valid_nll < best
        if valid_nll is not None and is_best:
            best = valid_nll
        elif evaluating and config.schedule == "plateau":
            rate, cuts = rate / 4, cuts + 1
        yield Metrics(
            step=step,
            epoch=step / len(starts),
            train_nll=train_nll,
            valid_nll=valid_nll,
            is_best=is_best,
            learning_rate=rate_now,
            gradient_norm=torch.stack(norms).max().item(),
            tokens_per_second=len(losses) * config.bptt * config.batch_size / seconds,
            zero_gradients=zero_gradients,
        )
        if cuts == 3:
            return
        losses, norms, zero_gradients, since = [], [], (), time.perf_counter()


@torch.no_grad()
def evaluate(model: LanguageModel, tokens: Tensor, batch_size: int = 1, window: int = 256) -> float:
    """Mean nll in nats per token, the state carried over from the first token to the last.

    Args:
        model: put into eval mode while it runs, and back into the mode it was in.
        tokens: ``(N,)``.
        batch_size: 1 is exact; more read as many streams side by side, which is faster, but each starts from nothing.
        window: tokens run at once; changes nothing but memory.
    """
    was_training = model.training
    model.eval()
    batch_size = min(batch_size, len(tokens) // 2)
    streams = parallel_streams(tokens, batch_size).to(next(model.parameters()).device)  # (N, B)
    total, state = 0.0, None
    for start in range(0, len(streams) - 1, window):
        chunk = streams[start : start + window + 1]  # (T + 1, B)
        logits, state = model(chunk[:-1], state)
        total += F.cross_entropy(logits.flatten(0, 1), chunk[1:].flatten(), reduction="sum").item()
    model.train(was_training)
    return total / ((len(streams) - 1) * batch_size)


def parallel_streams(tokens: Tensor, batch_size: int) -> Tensor:
    """Cut a stream into ``batch_size`` pieces of equal length side by side: ``(N // B, B)``; the rest is dropped."""
    length = len(tokens) // batch_size
    return tokens[: length * batch_size].view(batch_size, length).t().contiguous()


def detached(state: list[State] | None) -> list[State] | None:
    """The same state, with its history cut: gradients stop at the window's edge."""
    return state and [{name: value.detach() for name, value in layer.items()} for layer in state]
