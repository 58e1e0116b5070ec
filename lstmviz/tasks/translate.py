"""N–M: a sequence to another, token by token, with attention or without: see `lstmviz.layers.Attending`."""

from __future__ import annotations

import random
from functools import cache, partial
from typing import TYPE_CHECKING

from lstmviz.config import TrainConfig
from lstmviz.data.labelled import known_to, split
from lstmviz.data.pairs import GENERATED, corpus_of, open_pairs
from lstmviz.data.vocabulary import IGNORED, PADDING, Corpus, Vocabulary
from lstmviz.tasks.base import Task

if TYPE_CHECKING:
    from torch import Tensor

PAIRS = 12_000


def source_and_said(batch: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of pairs ``(T, B, 3)`` what is read and what was said before, ``(T', B, 2)``, up to the end of the longest of
    either; what is to be said, ``(T', B)``; and the lengths of what is read.
    """
    lengths = (batch[..., 0] != PADDING).sum(0)
    longest = max(int(lengths.max()), int((batch[..., 2] != IGNORED).sum(0).max()))
    return batch[:longest, :, :2], batch[:longest, :, 2], lengths


@cache
def _generated(name: str, says: Vocabulary | None, reads: Vocabulary | None) -> Corpus:
    rng, generated = random.Random(0), GENERATED[name]
    pairs = [generated.of(generated.draw(rng)) for _ in range(PAIRS)]
    return corpus_of(name, split(pairs), generated.levels, says, reads)


def _open(config: TrainConfig, says: Vocabulary | None, reads: Vocabulary | None) -> Corpus:
    if config.corpus in GENERATED:
        return known_to(partial(_generated, config.corpus), says, reads)
    return open_pairs(config, says, reads)


TRANSLATE = Task(
    "translate",
    "a text: another text",
    tuple(GENERATED),
    _open,
    source_and_said,
    says="tokens",
    drawn={name: generated.draw for name, generated in GENERATED.items()},
    whole="sequence",
    one_way="it says one token after the other, and reads in both directions anyway",
)
