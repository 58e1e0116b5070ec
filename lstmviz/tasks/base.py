"""What a task is."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from lstmviz.cells import CELLS, TREE_CELLS
from lstmviz.config import ModelConfig, TrainConfig
from lstmviz.data.vocabulary import PADDING, Corpus, Vocabulary

if TYPE_CHECKING:
    from torch import Tensor

    from lstmviz.model import LanguageModel

READ_TO_THE_END = "it is asked when it has read all"  # why one direction is enough
AT_ONCE = 8192  # steps that are judged at once
Open = Callable[[TrainConfig, Vocabulary | None, Vocabulary | None], Corpus]
Parts = Callable[["Tensor"], "tuple[Tensor, Tensor, Tensor | None]"]
Draw = Callable[[random.Random], Sequence[str]]
Right = Callable[[Sequence[str]], Sequence[str | None]]


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
        open: the data that a configuration names; with the tokens or labels that a model says, and the tokens that it
            reads, of a model that exists already.
        parts: of a batch of sequences ``(T, B, X + 1)``, integers, what is read, ``(T, B, X)`` or ``(T, B)``; what is
            to be said after the last S steps, ``(S, B)``; and where they differ the lengths ``(B,)``, or of
            trees the parents ``(T, B)``: see `LanguageModel.loss`. None: of text, see `lstmviz.training.batches`.
        reads: what.
        says: what; tokens of a task with ``parts`` are another sequence than that which is read.
        one_way: why a model reads from the left only; empty where it may read in both directions.
        known: what is known of built-in data, by their names: for the card of whoever learned from them.
        drawn: of built-in texts, by their names: the tokens of another one of them.
        right: and what is right after each token of such a text; None where nothing is asked, or nobody can know.
        tables: the words that this depends on, for its twin in ``web/right.js``.
        column: what is read at a step.
        whole: all that is read.
        label: what a label says.
    """

    name: str
    title: str
    built_in: tuple[str, ...]
    open: Open
    parts: Parts | None = None
    reads: Literal["tokens", "images", "trees", "labels"] = "tokens"
    says: Literal["labels", "tokens"] = "labels"
    one_way: str = ""
    known: Mapping[str, str] = field(default_factory=dict)
    drawn: Mapping[str, Draw] = field(default_factory=dict)
    right: Mapping[str, Right] = field(default_factory=dict)
    tables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    column: str = "token"
    whole: str = "sentence"
    label: str = "label"

    def check(self, model: ModelConfig, vocabulary: Vocabulary, reads: Vocabulary | None) -> None:
        """Refuse a model or a vocabulary that is for something else.

        Args:
            vocabulary, reads: of what is said, and of what is read where that is something else: as in a Corpus.

        Raises:
            ValueError: so it is.
        """
        found = "trees" if model.cell in TREE_CELLS else "tokens"
        found = "images" if model.row_size is not None else "labels" if model.labels_read is not None else found
        says = "labels" if vocabulary.level == "label" else "tokens"
        if (found, says) != (self.reads, self.says):
            raise ValueError(f"a model that reads {found} and says {says} is not for the task {self.name}")
        own = self.parts is not None and found != "images"  # it reads others than it says
        if (model.attention is not None) != (own and found == says == "tokens"):
            raise ValueError(f"attention is {model.attention}: such a model is not for the task {self.name}")
        many = model.labels_read or model.tokens_read
        if own != (reads is not None) or many != (len(reads) if reads else None):
            known, what = f"{len(reads):,}" if reads else "no", "labels" if found == "labels" else "tokens of its own"
            raise ValueError(f"the model reads {many or 'no'} {what}; {known} are named")
        if reads and (reads.level == "label") != (found == "labels"):
            raise ValueError(f"the {found} that the model reads are called {reads.level}s")
        if (model.letters is not None) != (spelled := reads is not None and reads.level == "letters"):
            words = "" if spelled else " not"
            raise ValueError(f"letters is {model.letters}, and words are{words} read by their letters")
        if vocabulary.level == "letters" or (spelled and not self.spells):
            raise ValueError(f"words are not read by their letters for the task {self.name}")
        self.check_model(model)

    @property
    def asked_last(self) -> bool:
        """Whether it is one label that is asked, when all is read: before, a model says what it would say there."""
        return self.one_way == READ_TO_THE_END

    @property
    def spells(self) -> bool:
        """Whether the words that it reads may be read by their letters."""
        return (self.reads, self.says) == ("tokens", "labels")

    @property
    def cells(self) -> Mapping[str, Any]:
        """Those that it takes."""
        return TREE_CELLS if self.reads == "trees" else CELLS

    def check_training(self, train: TrainConfig) -> None:
        """Refuse options that such a training does not look at.

        Raises:
            ValueError: there are some.
        """
        others = ["permuted"] if self.reads != "images" else []
        if self.parts:
            others += ["objective", "unseen_apart", *(["max_words", "min_count"] if self.reads != "tokens" else [])]
        if idle := [name for name in others if getattr(train, name) != getattr(TrainConfig, name)]:
            raise ValueError(f"the task {self.name} has no {' and no '.join(idle)}; leave that out")

    def check_model(self, model: ModelConfig) -> None:
        """Refuse a cell that reads something else, and both directions where they make no sense.

        Raises:
            ValueError: so it is.
        """
        if model.cell not in self.cells:
            shape, known = "tree" if self.reads == "trees" else "sequence", ", ".join(self.cells)
            raise ValueError(
                f"the task {self.name} needs a cell that reads a {shape}: {known}; {model.cell} reads none"
            )
        if model.bidirectional and self.one_way:
            why = f"a model for the task {self.name} reads in one direction, since {self.one_way}"
            raise ValueError(f"{why}; leave bidirectional out")


def tokens_and_labels(batch: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of labelled texts ``(T, B, X + 1)`` tokens and labels ``(T', B)``, up to the end of the longest, and the lengths.

    Where words are read by their letters, a token is a row of X = W of these: tokens ``(T', B, W)``.
    """
    tokens, labels = batch[..., :-1].squeeze(-1), batch[..., -1]
    lengths = (batch[..., 0] != PADDING).sum(0)
    longest = int(lengths.max())
    return tokens[:longest], labels[:longest], lengths


def judge(model: LanguageModel, part: Tensor, parts: Parts) -> Judgement:
    """How well a model in eval mode says the labels of all these sequences.

    Args:
        part: ``(N, T, X + 1)``, of a corpus.
        parts: the task's.
    """
    import torch

    nll, right, count = 0.0, 0, 0
    with torch.no_grad():
        for piece in part.split(max(1, AT_ONCE // part.shape[1])):
            batch = piece.transpose(0, 1).to(model.device, torch.int64)
            inputs, targets, lengths = parts(batch)  # (T, B, X), (S, B), (B,)
            hidden, targets, _ = model.asked(inputs, targets, None, lengths)  # (N, D·H), (N,)
            scores = model.decode(hidden).float()  # (N, V)
            nll += torch.nn.functional.cross_entropy(scores, targets, reduction="sum").item()
            right += int((scores.argmax(-1) == targets).sum())
            count += len(targets)
    return Judgement(nll / count, right / count)
