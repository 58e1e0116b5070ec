"""1–N: a label to a text. It makes the state in which the text begins (`lstmviz.layers.Begin`), and is not read again.

What the label decides, and how long it must be remembered until then, is known of `lstmviz.data.captions`.
"""

from __future__ import annotations

import math
import random
from functools import cache, partial
from typing import TYPE_CHECKING

from lstmviz.config import TrainConfig
from lstmviz.data.captions import GENERATED, corpus_of, drawn, open_captions
from lstmviz.data.labelled import known_to
from lstmviz.data.vocabulary import IGNORED, Corpus, Vocabulary
from lstmviz.tasks.base import Task

if TYPE_CHECKING:
    from torch import Tensor


def label_and_said(batch: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of texts ``(T, B, 3)`` the label and what was said before, ``(T', B, 2)``, up to the end of the longest; what is
    to be said, ``(T', B)``; and the lengths.
    """
    lengths = (batch[..., 2] != IGNORED).sum(0)
    longest = int(lengths.max())
    return batch[:longest, :, :2], batch[:longest, :, 2], lengths


@cache
def _generated(name: str, says: Vocabulary | None, labels: Vocabulary | None) -> Corpus:
    config, own = TrainConfig(name, GENERATED[name].level), Vocabulary("label", GENERATED[name].labels)
    return corpus_of(name, drawn(name), config, says, labels or own)


def _open(config: TrainConfig, says: Vocabulary | None, labels: Vocabulary | None) -> Corpus:
    if config.corpus in GENERATED:
        return known_to(partial(_generated, config.corpus), says, labels)
    return open_captions(config, says, labels)


def _another(name: str, rng: random.Random) -> list[str]:
    generated = GENERATED[name]
    return [*generated.text(generated.draw(rng), rng.choice(generated.labels)).tokens]


def _known(name: str) -> str:
    """As `lstmviz.data.captions` proves."""
    count = len(GENERATED[name].labels)
    return (
        f"who does not know the label says all that it decides right in at most {1 / count:.2%} of the texts, and "
        f"loses ln {count} = {math.log(count):.2f} nats or more on it in each"
    )


CAPTION = Task(
    "caption",
    "a label: a text",
    tuple(GENERATED),
    _open,
    label_and_said,
    reads="labels",
    says="tokens",
    one_way="what follows is what it is to say",
    known={name: _known(name) for name in GENERATED},
    drawn={name: partial(_another, name) for name in GENERATED},
)
