"""What a task is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from lstmviz.config import ModelConfig, TrainConfig
from lstmviz.data.vocabulary import Corpus, Vocabulary
from lstmviz.model import LanguageModel

AT_ONCE = 8192  # steps that are judged at once
Parts = Callable[[Tensor], tuple[Tensor, Tensor]]


class Judgement(NamedTuple):
    """How well labels are said.

    Args:
        nll: mean, in nats a label.
        accuracy: the share of those whose likeliest label is right.
    """

    nll: float
    accuracy: float


@dataclass(frozen=True)
class Task:
    """What a model is asked.

    Args:
        name: as TrainConfig calls it.
        title: for a menu.
        built_in: names of data that come without a file.
        open: the data that a configuration names; with the tokens or labels of a model that exists already.
        parts: of a batch of sequences ``(T, B, X + 1)``, integers, what is read, ``(T, B, X)`` or ``(T, B)``, and what
            is to be said after the last S steps, ``(S, B)``. None: of text, see `lstmviz.training.batches`.
        column: what is read at a step.
        whole: all that is read.
        label: what a label says.
    """

    name: str
    title: str
    built_in: tuple[str, ...]
    open: Callable[[TrainConfig, Vocabulary | None], Corpus]
    parts: Parts | None = None
    column: str = "token"
    whole: str = "sentence"
    label: str = "label"

    def check(self, model: ModelConfig, vocabulary: Vocabulary) -> None:
        """Refuse a model or a vocabulary that is for something else.

        Raises:
            ValueError: so it is.
        """
        of_images, says_labels = model.row_size is not None, vocabulary.level == "label"
        if not of_images == says_labels == (self.parts is not None):
            reads, says = "images" if of_images else "tokens", "labels" if says_labels else "tokens"
            raise ValueError(f"a model that reads {reads} and says {says} is not for the task {self.name}")


@torch.no_grad()
def judge(model: LanguageModel, part: Tensor, parts: Parts) -> Judgement:
    """How well a model in eval mode says the labels of all these sequences.

    Args:
        part: ``(N, T, X + 1)``, of a corpus.
        parts: the task's.
    """
    nll, right, count = 0.0, 0, 0
    for piece in part.split(max(1, AT_ONCE // part.shape[1])):
        inputs, targets = parts(piece.transpose(0, 1).to(model.device, torch.int64))  # (T, B, X), (S, B)
        hidden, _ = model.run(model.embed(inputs))
        scores = model.decode(hidden[-len(targets) :]).float()  # (S, B, V)
        nll += F.cross_entropy(scores.flatten(0, 1), targets.flatten(), reduction="sum").item()
        right += int((scores.argmax(-1) == targets).sum())
        count += targets.numel()
    return Judgement(nll / count, right / count)
