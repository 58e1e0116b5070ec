"""Several models reading one sentence, on one axis: what each read at every position."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple
from unicodedata import normalize

import numpy as np

from lstmviz.baselines import NGram
from lstmviz.checkpoint import Checkpoint
from lstmviz.data.vocabulary import EOS, IGNORED, NEWLINE_SIGN, UNK, Vocabulary, shown, visible, well_formed
from lstmviz.opened import OpenModel
from lstmviz.reading import Reading

DIFFERS = "≠"  # a step at which models say different tokens, and nobody knows which is right


class Place(NamedTuple):
    """Where in a stack; a model that is smaller, or reads from the left only, has nothing there.

    Args:
        layer: from 0.
        reverse: of two directions that from the right.
        says: of who says one sequence for another.
    """

    layer: int = 0
    reverse: bool = False
    says: bool = False


@dataclass(frozen=True)
class Entrant:
    """One of the models.

    Args:
        name: in the menu.
        title: as short a name as tells it from the others.
        opened: the model.
        beside: an n-gram of its vocabulary, which is laid over its loss.
    """

    name: str
    title: str
    opened: OpenModel
    beside: NGram | None = field(default=None, kw_only=True)

    @property
    def checkpoint(self) -> Checkpoint:
        return self.opened.checkpoint

    def track(self, place: Place) -> int | None:
        """The number of its track; None where it has none."""
        return self.opened.track(*place)


@dataclass(frozen=True)
class Compared(Entrant):
    """And the sentence as it read it."""

    reading: Reading

    @cached_property
    def beside_nll(self) -> np.ndarray | None:
        """What ``beside`` loses at each token, ``(T,)``."""
        return self.reading.nll_of(self.beside) if self.beside else None


@dataclass(frozen=True)
class Axis:
    """The positions that all models share: their tokens or, where they split the text differently, its characters.

    Args:
        labels: one a position.
        at: for each model the token that stands at each position, ``(A,)``; −1 where none does.
        by: "token", "character" or "row".
        typed: how many of the positions a person wrote.
        said_from: the first that is said and not read, as of `Columns`.
    """

    labels: list[str]
    at: list[np.ndarray]
    by: str
    typed: int
    said_from: int = 0

    @property
    def first_look(self) -> int:
        """The position that is selected where nobody chose another: see `Reading`."""
        last = len(self.labels) - 1
        return min(self.said_from + 1, last) if self.said_from else last


def shared_axis(text: str, models: list[Compared]) -> Axis:
    """Align what the models read; past the last token that each of them read, nothing is shown.

    Args:
        text: that they read; where they read an image or a tree it says nothing, and all have the same columns.
        models: of one task, and of images of one size.
    """
    first = models[0].reading
    if first.image is not None or first.expression is not None:
        by = "row" if first.image is not None else "token"
        return Axis(first.pieces, [np.arange(len(first.pieces))] * len(models), by, len(first.pieces))
    splits = [model.opened.reads.split(text) for model in models]
    # How many tokens each read before those that were typed: the ⏎ that a grammar's sentence is read after, or a label.
    begun = [
        model.reading.count + model.reading.dropped - len(split) for model, split in zip(models, splits, strict=True)
    ]
    first = int(any(begun))  # a column for that
    before = [np.full(first, 0 if skip else -1) for skip in begun]
    whole = [len(split) - model.reading.dropped for model, split in zip(models, splits, strict=True)]
    if all(split == splits[0] for split in splits):
        tokens = [np.arange(min(whole)) + skip for skip in begun]
        labels = _labels(models[0], begun[0])[: min(whole)]
        by = "token"
    else:
        plain = well_formed(text)
        starts = [_starts(plain, split, model.opened.reads) for model, split in zip(models, splits, strict=True)]
        ends = [each[count] for each, count in zip(starts, whole, strict=True) if count < len(each)]
        plain = plain[: min(ends, default=len(plain))]
        places = np.arange(len(plain))
        tokens = [
            np.searchsorted(each, places, side="right") - 1 + skip for each, skip in zip(starts, begun, strict=True)
        ]
        labels = [visible(c) for c in plain]
        by = "character"
    at = [np.concatenate(both).astype(int) for both in zip(before, tokens, strict=True)]
    axis = Axis([_begun(models[0])] * first + labels, at, by, len(labels))
    return _with_what_is_said(axis, models) if models[0].reading.said else axis


def _begun(model: Compared) -> str:
    """What stands before all that was typed: the label that begins it, or the end of another sentence."""
    begun = model.reading.begun
    return NEWLINE_SIGN if begun is None else shown(model.opened.labels[begun])


def _with_what_is_said(axis: Axis, models: list[Compared]) -> Axis:
    """Behind what all read, step by step, what each says for it: a step is called by what is right or what all say."""
    begins, said, right = [], [], []
    for model in models:
        reading, signs = model.reading, model.opened.signs
        begins.append(reading.count)
        said.append([signs[i] for i in reading.said.ids] if reading.said else [])
        right.append([signs[i] if i != IGNORED else None for i in (reading.right or [])[reading.count :]])
    steps, labels = np.arange(max(map(len, said))), []
    for t in steps:
        among = ({each[t] for each in every if t < len(each)} - {None} for every in (right, said))
        alike = next(filter(None, among))
        labels.append(alike.pop() if len(alike) == 1 else DIFFERS)
    behind = [np.where(steps < len(told), begin + steps, -1) for begin, told in zip(begins, said, strict=True)]
    at = [np.concatenate(both) for both in zip(axis.at, behind, strict=True)]
    return Axis([*axis.labels, *labels], at, axis.by, axis.typed, len(axis.labels))


def _labels(model: Compared, skip: int) -> list[str]:
    """Tokens as they can be seen: known ones as the vocabulary writes them, unknown ones as they were typed."""
    unknown, reading = model.opened.reads.ids[UNK], model.reading
    pairs = zip(reading.ids, reading.pieces, strict=True)
    return [piece if i == unknown else model.opened.read_signs[i] for i, piece in pairs][skip:]


def _starts(text: str, pieces: list[str], vocabulary: Vocabulary) -> list[int]:
    """Where each piece begins in the text; white space belongs to the piece before it.

    Both are compared with all accents apart from their letters, since a vocabulary may have them otherwise than they
    were typed.
    """
    apart = [normalize("NFD", character) for character in text]
    origin = [i for i, characters in enumerate(apart) for _ in characters] + [len(text)]
    text = "".join(apart)
    signs = {EOS: ["\n", vocabulary.newline_sign], "\n": [vocabulary.newline_sign], " ": [vocabulary.space_sign]}
    starts, place = [], 0
    for piece in pieces:
        # A line's end is a token of its own; so is WikiText's @-@, which stands for the - that was typed.
        written = [normalize("NFD", piece), piece.strip("@"), *signs.get(piece, [])]
        found, length = min(
            ((at, len(form)) for form in written if form and (at := text.find(form, place)) >= 0), default=(place, 0)
        )
        starts.append(origin[found])
        place = found + length
    return starts
