"""One reading of a sentence by a model, and what of it the browser draws."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from lstmviz.baselines import NGram
from lstmviz.data.captions import BEGIN
from lstmviz.data.expressions import Expression
from lstmviz.data.images import permute
from lstmviz.data.pairs import NOTHING, Pair, known_pair
from lstmviz.data.vocabulary import EOS, IGNORED, UNK, UNKNOWN_MOST, Vocabulary
from lstmviz.gate_trace import GateTrace, held, kept
from lstmviz.opened import (
    MAX_TOKENS,
    OpenModel,
    Track,
    rows_named,
    to_read,
    written_at_most,
)
from lstmviz.units import MOST, acts, drawn_roles, looked_at, telling

if TYPE_CHECKING:  # what runs a model imports torch: so it is imported where a model reads
    from lstmviz.model import LanguageModel

LONGEST = 50 * MAX_TOKENS  # characters of a text that are looked at at all
PIECE = 256  # tokens that are read at once: what a longer text needs meanwhile is given back after each
MANY = 8  # tokens, so that one or two of them are no large share
PAIR_MOST = 400  # columns of a sequence that is read and of that which is said for it
LIKELY_MOST = 64  # labels that are kept of each token
TELLING = "telling"  # the order that shows only some units; the others show all
ORDERS = ("similar", "index", "active")
NOBODY = -1  # chose a time


@dataclass(frozen=True)
class Said:
    """What a model said for a sequence; then the `Reading`'s ids are of what it reads, and behind all these of what it
    says; ``likely`` is what it may say at a column, and nothing where one is read.

    Args:
        begin: the first of its columns.
        ids: of its tokens, as the model numbers those that it says, ``(T,)``.
        looks: how much each step looks at each token that was read, ``(T, S)``; None without attention.
        aligned: the column that was read from which each step's token comes, `NOTHING` where from none; None where
            nobody knows.
        ended: whether it came to an end.
    """

    begin: int
    ids: list[int]
    looks: np.ndarray | None
    aligned: list[int] | None = None
    ended: bool = True


@dataclass(frozen=True)
class Reading:
    """A sentence as the model read it.

    Args:
        pieces: as they were typed, one a token.
        ids: ``(T,)``; unknown pieces are ``<unk>``. Of words by their letters each is the row of these.
        dropped: pieces past the limit, which were not read.
        trace: every gate and state, with nll.
        likely: ids of the five likeliest next tokens after each, ``(T, 5)``; fewer where the vocabulary is smaller.
        probabilities: theirs, ``(T, 5)``.
        model: that read it.
        chosen: (track, number of tokens) -> the units that `telling` chose on so many of them.
        image: of which the rows were read, uint8 ``(T, W)``; then ids only tell rows apart.
        right: where labels are said, which is right at each column, ``(T,)``, as the model numbers them, `IGNORED`
            where nothing is asked; None where nobody knows. Then ``likely`` are labels, the likeliest of all.
        begun: the label that begins it, as the model numbers them; None where none does.
        depends: then how much what is said after each token depends on it, ``(T,)``: see `depends_on_label`.
        said: of a sequence that is said for that which was read, whose columns stand behind those of that.
        expression: whose nodes the columns are, in post-order; None where they are no tree.
    """

    pieces: list[str]
    ids: list[int]
    dropped: int
    trace: GateTrace
    likely: np.ndarray
    probabilities: np.ndarray
    model: LanguageModel
    chosen: dict[tuple[int, int], tuple[list[int], list[int]]] = field(default_factory=dict)
    image: np.ndarray | None = None
    right: list[int] | None = None
    begun: int | None = None
    depends: np.ndarray | None = None
    said: Said | None = None
    expression: Expression | None = None

    @property
    def count(self) -> int:
        """How many columns were read."""
        return self.said.begin if self.said else len(self.ids)

    @property
    def first_look(self) -> int:
        """The column that is selected where nobody chose another: the last, or the second that is said."""
        last = len(self.ids) - 1
        return min(self.said.begin + 1, last) if self.said else last

    def columns(self, track: Track) -> slice:
        """Those in which a track has values."""
        return slice(self.count, len(self.ids)) if track.says else slice(0, self.count)

    @cached_property
    def tracks(self) -> dict[str, np.ndarray]:
        """Every gate and state of every cell, name -> ``(track, time, unit)``."""
        return {name: self.trace.by_cell(values) for name, values in self.trace.items()}

    @cached_property
    def kept(self) -> np.ndarray | None:
        """What `lstmviz.gate_trace.kept` says of every track, ``(track, time, unit)``."""
        values = kept(self.trace)
        return None if values is None else self.trace.by_cell(values)

    @cached_property
    def held(self) -> np.ndarray:
        """What `lstmviz.gate_trace.held` says of every track, ``(track, time, unit)``."""
        return self.trace.by_cell(held(self.trace))

    @property
    def tokens(self) -> list[str] | list[int]:
        """By what two readings differ where a selection goes: all images have the same rows."""
        return self.ids if self.image is None else self.pieces

    def nll_of(self, beside: NGram) -> np.ndarray:
        """What an n-gram of the same vocabulary loses at each token, ``(T,)``; NaN where the model says none."""
        return np.where(np.isnan(self.trace.nll), np.nan, beside.nll(np.array(self.ids)))


def read(
    opened: OpenModel, text: str, before: Reading | None = None, most: int | None = None, label: int = 0
) -> Reading | None:
    """Let a model read the beginning of a text; None where that has no tokens.

    A grammar's sentence is read as it was in training, just after others: the ⏎ at their end is the first column. Of a
    text that a label begins it is <sos>, in the state that the label made.

    Args:
        before: the last reading; what this text has in common with its beginning is not read again.
        most: tokens that are read; by default ``opened.most``.
        label: that begins it, where one does.
    """
    import torch

    from lstmviz.caption import begun_by, depends_on_label
    from lstmviz.trace import trace_tokens

    if opened.says_labels:
        return read_labelled(opened, text, most)
    if opened.says_another:
        return read_pair(opened, text, most)
    most = most or opened.most
    vocabulary, model = opened.checkpoint.vocabulary, opened.model
    best = min(5, len(vocabulary))
    pieces = vocabulary.split(text)
    if not pieces and not opened.labels:
        return None
    first = [vocabulary.tokens[BEGIN if opened.labels else vocabulary.end]]
    if (opened.context or opened.labels) and pieces[:1] != first:
        pieces = first + pieces
    dropped = max(0, len(pieces) - most)
    pieces = pieces[:most]
    ids, begun = vocabulary.encode_tokens(pieces), label if opened.labels else None

    if before and (before.model is not model or before.begun != begun):
        before = None
    if opened.context:
        before = before or _last_column(opened)
    same = common(before.ids, ids) if before else 0
    trace, likely, probabilities = None, np.empty((0, best), np.int64), np.empty((0, best), np.float32)
    if before and same:
        trace = before.trace.select(time=slice(same))
        likely, probabilities = before.likely[:same], before.probabilities[:same]
    state = None if begun is None else begun_by(model, begun)
    for piece in torch.tensor(ids[same:]).split(PIECE) if same < len(ids) else ():
        trace, new = trace_tokens(model, piece, trace, state=state)
        likely = np.concatenate([likely, new.ids])
        probabilities = np.concatenate([probabilities, new.probabilities])
    assert trace is not None  # there is a token at least
    chosen = {where: units for where, units in before.chosen.items() if where[1] <= same} if before else {}
    depends = None
    if begun is not None:  # after its end nothing is said
        ended = np.array(ids) == vocabulary.end
        depends = np.where(ended, np.nan, depends_on_label(model, begun, torch.tensor(ids)))
    about = {"chosen": chosen, "begun": begun, "depends": depends}
    return Reading(pieces, ids, dropped, trace, likely, probabilities, model, **about)


def read_image(opened: OpenModel, image: np.ndarray, label: int | None = None) -> Reading:
    """Let a model read an image row by row.

    Args:
        image: greys, uint8 ``(W, W)``, of the size that the model reads, as a person sees it; of the reading it is in
            the order in which the model reads its pixels.
        label: what it shows, as the model numbers its labels; where that is known, losses are of it.

    Raises:
        ValueError: it has another size, or other values.
    """
    import torch

    from lstmviz.trace import trace_labels

    side = opened.checkpoint.model.row_size
    if image.shape != (side, side) or image.dtype != np.uint8:
        found = f"{' × '.join(map(str, image.shape))} of {image.dtype}"
        raise ValueError(f"the image is {found}; the model reads images of {side} × {side} greys, from 0 to 255")
    if (seed := opened.checkpoint.train.permuted) is not None:
        image = permute(image, seed)
    rows, labels = torch.tensor(image / 255, dtype=torch.float32), len(opened.checkpoint.vocabulary)
    trace, (likely, probabilities) = trace_labels(opened.model, rows, label, best=labels)
    names, ids = rows_named(len(image)), row_ids(image)
    right = None if label is None else [label] * len(image)
    return Reading(names, ids, 0, trace, likely, probabilities, opened.model, image=image, right=right)


def read_labelled(opened: OpenModel, text: str, most: int | None = None) -> Reading | None:
    """Let a model that says labels read the beginning of a text, from nothing; None where that has no tokens.

    Args:
        most: tokens that are read; by default ``opened.most``.
    """
    import torch

    from lstmviz.trace import trace_labels

    most, reads, labels = most or opened.most, opened.reads, opened.checkpoint.vocabulary
    pieces = reads.split(text)
    if not pieces:
        return None
    dropped, pieces = max(0, len(pieces) - most), pieces[:most]
    ids = reads.encode_tokens(pieces)
    rule = opened.task.right.get(opened.checkpoint.train.corpus)
    right = [labels.ids.get(label or "", IGNORED) for label in rule(pieces)] if rule else None
    if opened.task.asked_last and right and right[-1] == IGNORED:  # it is not asked yet, so that nobody knows
        right = None
    given = None if right is None else torch.tensor(right)
    trace, likely = trace_labels(opened.model, torch.tensor(ids), given, best=min(len(labels), LIKELY_MOST))
    return Reading(pieces, ids, dropped, trace, *likely, opened.model, right=right)


def read_pair(opened: OpenModel, text: str, most: int | None = None) -> Reading | None:
    """Let a model read the beginning of a sequence and say another for it; None where that has no tokens.

    Args:
        most: tokens that are read and said; by default ``opened.most``. Half of them may be read. Of a large model it
            may be fewer that are said: it does so anew at every key.
    """
    reads, says, most = opened.reads, opened.checkpoint.vocabulary, min(most or opened.most, PAIR_MOST)
    pieces, room = reads.split(text), max(1, most // 2)
    if not pieces:
        return None
    dropped, pieces = max(0, len(pieces) - room), pieces[:room]
    source = to_read(reads, pieces)
    pair, most = pair_of(opened, source), min(most, len(source) + written_at_most(opened.checkpoint))
    right = [*says.encode_tokens(pair.said), says.ids[EOS]] if pair else None
    told = say_for(opened.model, source, reads, says, right=right, most=most)
    assert told.said  # it says something
    said = said_of(opened, source, told.said.ids, told.said.looks)
    return replace(told, pieces=[*pieces, *told.pieces[len(pieces) :]], dropped=dropped, said=said)


def said_of(opened: OpenModel, source: Sequence[int], said: list[int], looks: np.ndarray | None) -> Said:
    """What a model said for a sequence, with what is known of where each token comes from."""
    pair = pair_of(opened, source)
    aligned = _along(pair.aligned, len(said), NOTHING) if pair and pair.aligned is not None else None
    return Said(len(source), said, looks, aligned, said[-1] == opened.checkpoint.vocabulary.ids[EOS])


def pair_of(opened: OpenModel, source: Sequence[int]) -> Pair | None:
    """What a model should say for a sequence, where that is known; what it does not know it cannot say."""
    tokens = [opened.reads.tokens[i] for i in source]
    return None if UNK in tokens else known_pair(opened.checkpoint.train.corpus, tokens)


def say_for(
    model: LanguageModel,
    source: Sequence[int],
    reads: Vocabulary,
    says: Vocabulary,
    *,
    right: Sequence[int] | None = None,
    most: int = PAIR_MOST,
) -> Reading:
    """What a model says for a sequence, and what happens meanwhile.

    Args:
        source: ids of what is read, one at least.
        reads, says: the model's tokens.
        right: ids of what should be said, the end last; None where nobody knows.
        most: tokens that are read and said.
    """
    import torch

    from lstmviz.translation import trace_translation

    asked = None if right is None else torch.tensor(right)
    told = trace_translation(model, torch.tensor(source), right=asked, most=max(1, most - len(source)))
    said, nothing = told.said.tolist(), len(source)

    def behind(values: np.ndarray, fill: float) -> np.ndarray:
        return np.concatenate([np.full((nothing, values.shape[1]), fill, values.dtype), values])

    return Reading(
        pieces=[*(reads.tokens[i] for i in source), *(says.tokens[i] for i in said)],
        ids=[*source, *(len(reads) + i for i in said)],
        dropped=0,
        trace=told.on_one_axis(),
        likely=behind(told.likely.ids, 0),
        probabilities=behind(told.likely.probabilities, np.nan),
        model=model,
        right=None if right is None else [IGNORED] * nothing + _along(right, len(said), IGNORED),
        said=Said(nothing, said, told.looks, ended=said[-1] == says.ids[EOS]),
    )


def _along(values: Sequence[int], count: int, fill: int) -> list[int]:
    """The first of them, with others behind where they are too few."""
    return [*values, *[fill] * count][:count]


def read_tree(opened: OpenModel, expression: Expression, most: int | None = None) -> Reading:
    """Let a model read an expression node by node: it is asked for the value of every operation, and of no digit.

    Args:
        most: nodes that can be shown; by default ``opened.most``.

    Raises:
        ValueError: there are more nodes than can be shown.
    """
    from lstmviz.trace import trace_tree

    if (count := len(expression.symbols)) > (most := most or opened.most):
        raise ValueError(f"the expression has {count:,} digits and operations; at most {most:,} can be shown here")
    reads, labels = opened.reads, opened.checkpoint.vocabulary
    trace, likely = trace_tree(opened.model, expression, reads, labels, best=min(len(labels), LIKELY_MOST))
    ids, right = reads.encode_tokens(expression.symbols), values_asked(expression, labels)
    return Reading([*expression.symbols], ids, 0, trace, *likely, opened.model, right=right, expression=expression)


def values_asked(expression: Expression, labels: Vocabulary) -> list[int]:
    """The value of each operation as a model numbers it; `IGNORED` at digits, and where it does not know that value."""
    asked = zip(expression.values, expression.children, strict=True)
    return [labels.ids.get(value, IGNORED) if children else IGNORED for value, children in asked]


def row_ids(image: np.ndarray) -> list[int]:
    """A number for each row of an image, by its pixels: what a browser holds of the same rows is not sent again."""
    digests = (hashlib.blake2b(row.tobytes(), digest_size=8).digest() for row in image)
    return [int.from_bytes(digest, "little", signed=True) for digest in digests]


def _last_column(opened: OpenModel) -> Reading:
    """The end of the context, as the only column of a reading that can be gone on from."""
    import torch

    from lstmviz.trace import trace_tokens

    trace, likely = trace_tokens(opened.model, torch.tensor(opened.context))
    column = replace(trace.select(time=slice(-1, None)), nll=np.array([np.nan], np.float32))
    end = opened.context[-1]
    sign = opened.checkpoint.vocabulary.tokens[end]
    return Reading([sign], [end], 0, column, likely.ids[-1:], likely.probabilities[-1:], opened.model)


def common(a: list, b: list) -> int:
    """How many tokens both begin with."""
    return next((t for t, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def last_changed(before: list, after: list) -> int:
    """The last token that is new, or the one before what was taken out; what follows it ended the old text too."""
    head = common(before, after)
    tail = common(before[head:][::-1], after[head:][::-1])
    return max(0, len(after) - 1 - tail)


@dataclass(frozen=True)
class Selection:
    """The token and the unit that somebody looks at, and in which of several maps.

    Args:
        time, unit: from 0.
        of: which map, from 0: the track where a page shows those of one model, else the number of the model.
    """

    time: int
    unit: int
    of: int = 0

    def within(self, units: int) -> Selection:
        """The nearest unit that there is."""
        return replace(self, unit=min(max(self.unit, 0), units - 1))

    def linked(self, first: int) -> dict[str, str | None]:
        """As the page's address says it; which leads to the first look anyway, and so need not change at every key."""
        return {"time": str(self.time) if self.time != first else None, "unit": str(self.unit)}

    def said(self, of: str) -> dict[str, int]:
        """As the browser hears it, which calls its maps "layer" or "model"."""
        return {"time": self.time, "unit": self.unit, of: self.of}


@dataclass(frozen=True)
class Selected:
    """What is remembered of a selection from key to key.

    Args:
        selection: what was selected;
        tokens: while this was read; None where the page alone knows that,
        told: and this was what the browser had said last.
    """

    selection: Selection
    tokens: list[str] | list[int] | None
    told: Selection | None = None


def select(before: Selected, tokens: list[str] | list[int] | None, told: Selection | None) -> Selection:
    """What is selected now: the last of click, key and link wins.

    Args:
        before: when the page was drawn last; at first what the link says, of these tokens.
        tokens: what is read now, None where the page alone knows that. Where they are others than before, a key was
            pressed: the token that it changed wins.
        told: what the browser says, where something was clicked, or chosen by arrow keys; if it says so since then.
    """
    selection = told if told and told != before.told else before.selection
    if tokens is None:
        return selection
    time = selection.time if before.tokens in (None, tokens) else last_changed(before.tokens, tokens)
    if time == NOBODY:  # chose one while the page made the view: there it was the newest
        time = len(tokens) - 1
    return replace(selection, time=min(max(time, 0), len(tokens) - 1))


def write_on(
    opened: OpenModel, reading: Reading | None, count: int, *, temperature: float, top_k: int, seed: int
) -> str:
    """What the model writes after what it read, as it is typed; at most so many tokens as still can be read.

    Args:
        count: of tokens.
        temperature, top_k, seed: as in ``LanguageModel.sample``.

    Raises:
        FloatingPointError: what it predicts is no finite number.
        ValueError: a label begins what it says, and that has ended.
    """
    import torch

    from lstmviz.caption import write

    vocabulary, read_so_far = opened.checkpoint.vocabulary, reading.ids if reading else []
    if reading and reading.begun is not None:
        if vocabulary.end in read_so_far:
            raise ValueError(f"it ends with {vocabulary.newline_sign}, after which there is nothing; take that out")
        options = {"temperature": temperature, "top_k": top_k, "seed": seed}
        count, said = min(count, opened.most - len(read_so_far)), torch.tensor(read_so_far[1:], dtype=torch.int64)
        drawn = write(opened.model, vocabulary, reading.begun, count, said=said, **options)
        return vocabulary.decode(drawn.tolist()).replace("\n", vocabulary.newline_sign)
    ids = [*opened.context[:-1], *read_so_far] or [vocabulary.end]
    count = min(count, opened.most - len(read_so_far))
    drawn = opened.model.sample(torch.tensor(ids), count, temperature, top_k, seed)
    return vocabulary.decode(drawn.tolist()).replace("\n", vocabulary.newline_sign)


def running_mean(nll: np.ndarray) -> np.ndarray:
    """The mean of all values up to each, ``(T,)``; those that are NaN do not count."""
    known = np.isfinite(nll)
    with np.errstate(invalid="ignore"):
        return np.where(known, np.cumsum(np.where(known, nll, 0)) / np.cumsum(known), np.nan)


def unknown_share(opened: OpenModel, reading: Reading) -> float:
    """The share of ``<unk>`` among what was read; of a text, among the tokens whose loss makes its perplexity."""
    pairs = zip(reading.ids[: reading.count], reading.trace.nll, strict=False)
    predicted = [i for i, nll in pairs if opened.is_asked or np.isfinite(nll)]
    unknown = opened.reads.ids.get(UNK)  # no row of an image is
    return sum(i == unknown for i in predicted) / max(1, len(predicted))


def mostly_unknown(opened: OpenModel, reading: Reading) -> bool:
    """Whether that is so much that the perplexity so far tells little of the rest.

    In a few tokens it never is: while a word is typed it is seldom one that the vocabulary holds.
    """
    return not opened.is_asked and len(reading.ids) >= MANY and unknown_share(opened, reading) >= UNKNOWN_MOST


def rows_of(opened: OpenModel, reading: Reading, tracks: list[int], order: str) -> dict[str, Any]:
    """For each of these tracks all units in the order of their rows and, if only some are shown, which go first."""
    several = order == TELLING and opened.checkpoint.model.hidden_size > MOST
    return {
        "units": [unit_order(opened, reading, track, order).tolist() for track in tracks],
        "telling": [telling_units(opened, reading, track)[0] for track in tracks] if several else [],
    }


def unit_order(opened: OpenModel, reading: Reading, track: int, order: str) -> np.ndarray:
    """Units in the order in which their rows are drawn, ``(H,)``; the telling ones in front where only they are."""
    similar = opened.similar[track]
    if order == "active":
        held = reading.held[track][reading.columns(opened.tracks[track])]  # (T, H)
        return np.argsort(-held.std(0, dtype=float), kind="stable")
    if order == "index":
        return np.arange(len(similar))
    if order == "similar" or len(similar) <= MOST:
        return similar
    _, first = telling_units(opened, reading, track)
    return np.concatenate([first, similar[~np.isin(similar, first)]])


def telling_units(opened: OpenModel, reading: Reading, track: int) -> tuple[list[int], list[int]]:
    """The units that tell most about what was read, as `telling` chooses them.

    Its choice is made on the first 8, 12, 16, 24, 32, 48, … tokens: a key seldom changes it, and a link brings it back.
    """
    own = reading.columns(opened.tracks[track])
    count = looked_at(own.stop - own.start)
    if (track, count) not in reading.chosen:
        seen = slice(own.start, own.start + count)
        usual, scales = opened.usual[track], opened.scales[track]
        roles = drawn_roles(opened.checkpoint.model.cell, scales)
        did = acts({role: reading.tracks[role][track][seen][:, usual.few] for role in roles}, scales, roles)
        always = bool(opened.checkpoint.hidden_variable)
        reading.chosen[track, count] = telling(did, reading.pieces[seen], usual, always)
    return reading.chosen[track, count]


def track_at(opened: OpenModel, reading: Reading, time: int, among: Sequence[int]) -> int:
    """The first of these tracks that has values at a column; else the first."""
    own = ((k, reading.columns(opened.tracks[k])) for k in among)
    return next((k for k, columns in own if columns.start <= time < columns.stop), among[0])


def telling_unit(opened: OpenModel, track: int) -> int:
    """The unit to select first: the one that carries a grammar's hidden variable, else the one that tells most."""
    return int(opened.usual[track].few[0])
