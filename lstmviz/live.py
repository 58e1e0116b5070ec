"""A model as the page that runs it reads it: all that a text does not change, and one buffer of float32 weights.

``web/engine.js`` computes from ``cell``, ``weights``, ``input`` and ``decoder``. The rest is what is said of any text
that the model reads, so that each sentence stands in one language only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lstmviz.cells import CellData, cell_called
from lstmviz.config import LIVE_MOST, ModelConfig
from lstmviz.data.images import permute
from lstmviz.explain.examples import examples_for, guide_to
from lstmviz.explain.notes import sentences
from lstmviz.opened import OpenModel, carrier
from lstmviz.reading import telling_unit
from lstmviz.reference import Reference, why_not_run
from lstmviz.roles import ROLES
from lstmviz.units import drawn_roles
from lstmviz.wire import Does, annotation, columns_in, does_of, look_of, titled


@dataclass(frozen=True)
class Ref:
    """Where numbers stand in the buffer: from the ``at``-th on, row by row."""

    at: int
    shape: list[int]


@dataclass(frozen=True)
class Affine:
    """weight x + bias. Of an embedding the rows of ``weight`` are the tokens' vectors."""

    weight: Ref
    bias: Ref | None = None


@dataclass(frozen=True)
class Adaptive:
    """The parts of an `AdaptiveSoftmax`: the scores of the commonest tokens and "a rarer one", and tail(small x)."""

    head: Affine
    small: Ref
    tail: Affine


@dataclass(frozen=True)
class Tokens:
    """A vocabulary."""

    level: str
    tokens: list[str]


@dataclass(frozen=True)
class UsualData:
    """As `lstmviz.units.Usual`."""

    worth: list[float]
    few: list[int]
    together: Ref


@dataclass(frozen=True, kw_only=True)
class Live:
    """A model for the page.

    Args:
        digest: of the checkpoint; it names the weights, too.
        title: as in a `MapHeader`.
        cell: what a layer computes.
        weights: of each track, symbol of the equations -> where its values are.
        stored: of a symbol how many stored parameters are added up to it, where those are several, as PyTorch's biases.
        count: how many numbers a layer learns, a formula in h, x and p; see `lstmviz.cells.declared.Declared`.
        input: rows (V, E) that are looked up by id, without a bias; of images W (E, side) and b.
        decoder: scores of what the last layer shows.
        tracks: the layer and the label of each.
        size, output: units H; P numbers that a layer shows, H but for a projection.
        vocabulary: what it predicts.
        reads: what it reads, where that is something else.
        side, order_of_pixels: of the images that it reads; where pixels are permuted, which stands at each place.
        context: ids that are read before the first column.
        begins: whether nothing was read before the first column; else that is the vocabulary's end, whatever is typed.
        most: tokens that are read.
        task: what it is asked, ``name``, ``label`` and ``asked_last`` of its `Task`; what its columns are, ``level``,
            ``column``, ``noun``, ``whole`` and ``asks`` of `Columns`; and ``right``, where it is known what is: the
            name and the tables of a rule in ``web/right.js``.
        roles: of each gate and state with a value a unit what no text changes of its `Panel`.
        usual_roles: those that are shown at first.
        scales: of each track role -> the ends of its colours.
        similar: of each track its units, alike ones side by side.
        usual: of each track how its units move in the model's own text.
        always: of each track whether the telling unit goes first whatever is read.
        telling_unit: of each track the one that is selected first.
        symbols, does, lets_out, resets, annotation: as in a `MapHeader`; the last of each track.
        examples: texts, and what to look for in each.
        guide: a sentence on what is asked; may be empty.
        notes: name -> a sentence with {places}, see `lstmviz.explain.notes.sentences`.
    """

    digest: str
    title: str
    cell: CellData
    weights: list[dict[str, Ref]]
    stored: dict[str, int]
    count: str
    input: Affine
    decoder: Affine | Adaptive
    tracks: list[dict[str, Any]]
    size: int
    output: int
    vocabulary: Tokens
    reads: Tokens | None
    side: int | None
    order_of_pixels: list[int] | None
    context: list[int]
    begins: bool
    most: int
    task: dict[str, Any]
    roles: list[dict[str, Any]]
    usual_roles: list[str]
    scales: list[dict[str, tuple[float, float]]]
    similar: list[list[int]]
    usual: list[UsualData]
    always: bool
    telling_unit: list[int]
    symbols: dict[str, str]
    does: Does
    lets_out: str
    resets: str
    annotation: list[dict[str, str]]
    examples: list[dict[str, str]]
    guide: str
    notes: dict[str, str]


def why_not(opened: OpenModel) -> str:
    """Why a model is not for the page and the server answers, in a few words; empty where the page can run it."""
    if why := why_not_run(opened.checkpoint.model):
        return why
    if (count := sum(weight.size for weight in opened.checkpoint.weights.values())) > LIVE_MOST:
        return f"it has {count / 1e6:.1f} million weights; a page runs up to {LIVE_MOST / 1e6:.0f} million"
    return ""


def live(opened: OpenModel, name: str = "") -> tuple[Live, bytes]:
    """A model for the page: its header, and the buffer of float32 that it refers to.

    Args:
        name: of the model, for its title.

    Raises:
        ValueError: it is not for the page; the sentence says why.
    """
    if why := why_not(opened):
        raise ValueError(f"this model cannot run in the page: {why}")
    checkpoint, task = opened.checkpoint, opened.task
    cell, config, columns = cell_called(checkpoint.model.cell), checkpoint.model, columns_in(opened)
    vocabulary, reads, corpus = checkpoint.vocabulary, opened.reads, checkpoint.train.corpus
    buffer, looks = _Buffer(checkpoint.weights), cell.roles()
    header = Live(
        digest=checkpoint.digest,
        title=titled(checkpoint, name),
        cell=CellData.of(config.cell),
        weights=[
            {symbol: buffer.ref(values) for symbol, values in layer.weights.items()}
            for layer in Reference(config, checkpoint.weights).layers
        ],
        stored={symbol: len(places) for symbol, places in cell.places.items() if len(places) > 1},
        count=cell.count,
        input=buffer.affine("embedding"),
        decoder=buffer.decoder(config),
        tracks=[{"layer": track.layer, "label": track.label} for track in opened.tracks],
        size=config.hidden_size,
        output=cell.output_of(config.hidden_size),
        vocabulary=Tokens(vocabulary.level, [*vocabulary.tokens]),
        reads=None if reads is vocabulary else Tokens(reads.level, [*reads.tokens]),
        side=opened.side,
        order_of_pixels=_order_of_pixels(opened),
        context=opened.context[:-1],
        begins=not opened.context,
        most=opened.most,
        task={
            **{name: getattr(task, name) for name in ("name", "label", "asked_last")},
            **{name: getattr(columns, name) for name in ("level", "column", "noun", "whole", "asks")},
            "right": {"rule": corpus, "tables": task.tables[corpus]} if corpus in task.right else None,
        },
        roles=[look_of(opened, name, looks[name]) for name in ROLES if name in opened.scales[0]],
        usual_roles=drawn_roles(config.cell, opened.scales[0]),
        scales=opened.scales,
        similar=[order.tolist() for order in opened.similar],
        usual=[UsualData(each.worth.tolist(), each.few.tolist(), buffer.ref(each.together)) for each in opened.usual],
        always=carrier(checkpoint, 0) is not None,
        telling_unit=[telling_unit(opened, track) for track in range(len(opened.tracks))],
        symbols=cell.symbols,
        does=does_of(cell),
        lets_out=cell.lets_out,
        resets=cell.resets,
        annotation=[annotation(checkpoint, track) for track in range(len(opened.tracks))],
        examples=[{"text": example.text, "look": example.look} for example in examples_for(opened)],
        guide=guide_to(opened),
        notes=sentences(opened),
    )
    return header, buffer.bytes()


def _order_of_pixels(opened: OpenModel) -> list[int] | None:
    seed, side = opened.checkpoint.train.permuted, opened.side
    return (
        None if seed is None or side is None else permute(np.arange(side**2).reshape(side, side), seed).ravel().tolist()
    )


class _Buffer:
    """All parameters one behind the other, and behind them whatever is not a part of one: sums of two biases.

    Args:
        weights: a Checkpoint's, in whose order they stand in its file, too.
    """

    def __init__(self, weights: dict[str, np.ndarray]) -> None:
        self.weights = weights
        self.parts: list[np.ndarray] = []
        self.end = 0
        self.begins = {_address(values): self._append(values) for _, values in sorted(weights.items())}

    def ref(self, values: np.ndarray) -> Ref:
        """Where these values are; a part of a parameter is not copied."""
        address = _address(values)
        for (begin, at), part in zip(self.begins.items(), self.parts, strict=False):
            if begin <= address < begin + part.nbytes and values.flags.c_contiguous:
                return Ref(at + (address - begin) // part.itemsize, [*values.shape])
        return Ref(self._append(values), [*values.shape])

    def affine(self, name: str) -> Affine:
        """An embedding or a linear map."""
        bias = self.weights.get(f"{name}.bias")
        return Affine(self.ref(self.weights[f"{name}.weight"]), None if bias is None else self.ref(bias))

    def decoder(self, config: ModelConfig) -> Affine | Adaptive:
        if config.adaptive_softmax:
            small = self.ref(self.weights["decoder.tail.0.weight"])
            return Adaptive(self.affine("decoder.head"), small, self.affine("decoder.tail.1"))
        if config.tie_weights:
            return Affine(self.ref(self.weights["embedding.weight"]), self.ref(self.weights["decoder.bias"]))
        return self.affine("decoder")

    def bytes(self) -> bytes:
        return b"".join(part.tobytes() for part in self.parts)

    def _append(self, values: np.ndarray) -> int:
        self.parts.append(np.asarray(values, np.float32))
        self.end += values.size
        return self.end - values.size


def _address(values: np.ndarray) -> int:
    return values.__array_interface__["data"][0]
