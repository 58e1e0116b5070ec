"""A model ready to be watched: what of it is drawn, in which order and on which scales."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from lstmviz import checkpoint as checkpoints
from lstmviz.cells import TREE_CELLS, cell_called
from lstmviz.checkpoint import Checkpoint
from lstmviz.config import ModelConfig
from lstmviz.data.captions import BEGIN
from lstmviz.data.expressions import DEEPEST, draw
from lstmviz.data.expressions import LONGEST as NODES
from lstmviz.data.images import examples, permute
from lstmviz.data.vocabulary import EOS, PADDING, SPECIALS, UNK, Vocabulary, read_by
from lstmviz.reference import Reference, runs
from lstmviz.roles import scale
from lstmviz.tasks import TASKS, Task
from lstmviz.tasks.translate import TRANSLATE
from lstmviz.units import Usual, acts, by_similarity, drawn_roles, usual

if TYPE_CHECKING:
    from lstmviz.model import LanguageModel

T = TypeVar("T")

MAX_TOKENS = 2000
SHOWN_MOST = 12_000_000  # gates and states that travel to the browser at once, two bytes each; a message has 32 MB
USELESS = "what the model predicts is no finite number; its weights are useless"
FAR = 1e6  # times the end of a role's colours
FEWEST = 16  # tokens that a model writes when it is opened
LOOKED_AT = 100  # images or texts that a model reads when it is opened, at most
LOOKED_INTO = 4_000_000  # gates and states of theirs
BEGUN_MOST = 16  # texts that a model says when it is opened, one a label
SOURCES = 20  # sequences that a model reads when it is opened which says others for them, at most
ANY = 40  # tokens of a text that is drawn where nobody knows what the model is asked
BUTTONS_MOST = 60  # tokens of a vocabulary that is shown as buttons
ARROWS = "→", "←"  # of the directions


class WorkedOut(dict[int, T]):
    """What there is to know of every token, by id, worked out when somebody asks: a vocabulary may be large."""

    def __init__(self, of: Callable[[int], T]) -> None:
        super().__init__()
        self.of = of

    def __missing__(self, i: int) -> T:
        return self.setdefault(i, self.of(i))


@dataclass(frozen=True)
class Track:
    """What a map draws of a model: one of its cells, which follow each other as in its `Stack`.

    Args:
        layer: that it is of, from 0.
        label: which it is; empty where there is only one.
        reverse: it reads from the right.
        says: it reads nothing, but says one sequence for that which was read.
    """

    layer: int
    label: str = ""
    reverse: bool = False
    says: bool = False


def tracks_of(config: ModelConfig) -> list[Track]:
    """Those of a model: layer by layer, forward before reverse, and then who says what was read in another way."""
    found = []
    for layer in range(config.num_layers):
        name = f"layer {layer + 1}" if config.num_layers > 1 else ""
        if config.attention:
            name = f"{layer + 1} " if name else ""
            found += [Track(layer, f"{name}reads {arrow}", arrow != ARROWS[0]) for arrow in ARROWS]
            found.append(Track(layer, f"{name}says", says=True))
            continue
        for reverse, arrow in enumerate(ARROWS[: config.directions]):
            found.append(Track(layer, f"{name} {arrow}".strip() if config.bidirectional else name, bool(reverse)))
    return found


@dataclass(frozen=True)
class OpenModel:
    """A model ready to be watched.

    Args:
        checkpoint: what was loaded.
        signs: tokens of the vocabulary, or labels, as a person should see them, by id.
        typed: and as they are typed; None where one cannot be.
        read_signs: as ``signs``, of what it reads.
        tracks: its cells.
        usual: for each track how its units move in a text that the model wrote itself, or in what it is asked.
        similar: for each track the order of its units that puts alike ones side by side, ``(H,)``.
        scales: for each track, role -> (low, high), the ends of its colours, from that text.
        written: that text's beginning, or the first of what it was asked.
        context: what a sentence is read after. Empty, but for a grammar's model sentences that it wrote itself, up to
            an end: in training it never met a sentence that begins from nothing, and there it fails.
    """

    checkpoint: Checkpoint
    signs: WorkedOut[str]
    typed: WorkedOut[str | None]
    read_signs: WorkedOut[str]
    tracks: list[Track]
    usual: list[Usual]
    similar: list[np.ndarray]
    scales: list[dict[str, tuple[float, float]]]
    written: str
    context: list[int]

    @cached_property
    def model(self) -> LanguageModel:
        """The model itself, which needs torch: whoever asks first waits for it."""
        return self.checkpoint.build()

    @property
    def task(self) -> Task:
        """What the model is asked."""
        return TASKS[self.checkpoint.train.task]

    @property
    def side(self) -> int | None:
        """Of the images that it reads, in pixels; None where it reads a text."""
        return self.checkpoint.model.row_size

    @property
    def reads(self) -> Vocabulary:
        """The tokens that it reads; where it reads images, its labels."""
        return read_by(self.checkpoint.vocabulary, self.checkpoint.reads)

    @property
    def labels(self) -> tuple[str, ...]:
        """Those of which one begins what it says; of another model none."""
        reads = self.checkpoint.reads
        return reads.tokens if reads and self.checkpoint.model.labels_read else ()

    @property
    def says_labels(self) -> bool:
        """And not the next token."""
        return self.checkpoint.vocabulary.level == "label"

    @property
    def says_another(self) -> bool:
        """It says another sequence for that which it reads."""
        return self.checkpoint.model.attention is not None

    @property
    def looks_back(self) -> bool:
        """And at each step looks at what it has read."""
        return self.checkpoint.model.attention not in (None, "none")

    @property
    def is_asked(self) -> bool:
        """What it says may be right at some columns: it says labels, or another sequence."""
        return self.says_labels or self.says_another

    def track(self, layer: int, reverse: bool = False, says: bool = False) -> int | None:
        """The number of the track of a layer in one direction, or of who says; None where there is none."""
        places = ((track.layer, track.reverse, track.says) for track in self.tracks)
        return next((k for k, place in enumerate(places) if place == (layer, reverse, says)), None)

    @property
    def reads_trees(self) -> bool:
        """Expressions, node by node."""
        return self.task.reads == "trees"

    @property
    def looks_ahead(self) -> bool:
        """Whether what it does at a column depends on those after it, too: as what the parent of a node keeps of it."""
        return self.reads_trees or any(track.reverse for track in self.tracks)

    def tracks_in(self, layers: Sequence[int]) -> list[int]:
        """The numbers of the tracks of these layers."""
        return [k for k, track in enumerate(self.tracks) if track.layer in layers]

    @property
    def width(self) -> int:
        """How many gates and states a track has at each token."""
        return len(self.similar[0]) * len(self.scales[0])

    @property
    def most(self) -> int:
        """Tokens of a text that are read where only this model is shown: all its tracks fit a message."""
        return tokens_at_most(self.width * len(self.similar))


def tokens_at_most(values: int) -> int:
    """How many tokens of a text are read, where so many values are shown of each."""
    return max(1, min(MAX_TOKENS, SHOWN_MOST // values))


def prepare(checkpoint: Checkpoint) -> OpenModel:
    """A model ready to be watched.

    Raises:
        CheckpointError: it has no gates or states, or they are no finite numbers.
    """
    vocabulary = checkpoint.vocabulary
    if checkpoint.model.row_size:
        side, config = checkpoint.model.row_size, checkpoint.model
        of_one = side * config.num_layers * config.hidden_size * len(cell_called(config.cell).recorded())
        if tokens_at_most(of_one // side) < side:
            raise checkpoints.CheckpointError(f"it is too wide: what it does at {side} rows cannot be shown at once")
        images = examples(side)[: max(1, min(LOOKED_AT, LOOKED_INTO // of_one)), :, :-1]  # (N, W, W)
        if (seed := checkpoint.train.permuted) is not None:
            images = permute(images, seed)
        records = _recorded(checkpoint, [*(images / 255).astype(np.float32)])
        return _ready(checkpoint, records, rows_named(len(images[0])) * len(images))
    if checkpoint.model.labels_read:
        return _ready_to_begin(checkpoint)
    if checkpoint.reads and checkpoint.model.attention:
        return _ready_to_say(checkpoint, checkpoint.reads)
    if checkpoint.reads and checkpoint.model.cell in TREE_CELLS:
        return _ready_to_grow(checkpoint, checkpoint.reads)
    if checkpoint.reads:
        return _ready_to_label(checkpoint, checkpoint.reads)
    if checkpoint.model.window:
        kept = f"a window of {checkpoint.model.window} tokens keeps nothing"
        raise checkpoints.CheckpointError(f"{kept}, so there are no gates and no states to show")
    # The order of the units and the scale of the cell come from what the model writes itself, not from the sentence on
    # the page: so they stay where they are while somebody types.
    try:
        ids = Reference(checkpoint.model, checkpoint.weights).write(vocabulary.end, written_at_most(checkpoint))
    except FloatingPointError as error:
        raise checkpoints.CheckpointError(USELESS) from error
    context = ids[: len(ids) - ids[::-1].index(vocabulary.end)] if checkpoint.hidden_variable else []
    pieces, written = [vocabulary.tokens[i] for i in ids], vocabulary.decode(ids[1:61])
    return _ready(checkpoint, _recorded(checkpoint, [np.array(ids)]), pieces, written, context)


def _ready_to_label(checkpoint: Checkpoint, reads: Vocabulary) -> OpenModel:
    """A model that reads texts and says labels, by texts as it is asked: of built-in data, else any tokens."""
    rng, config = random.Random(0), checkpoint.model
    draw = TASKS[checkpoint.train.task].drawn.get(checkpoint.train.corpus)
    known = draw is not None and mostly_known(reads, draw(rng))
    of_one = config.num_layers * config.directions * config.hidden_size * len(cell_called(config.cell).recorded())
    pieces, texts, first = [], [], ""
    while len(texts) < LOOKED_AT and len(pieces) * of_one < LOOKED_INTO:
        drawn = draw(rng) if draw and known else rng.choices(reads.tokens[len(SPECIALS) :] or reads.tokens, k=ANY)
        drawn = drawn[: max(1, LOOKED_INTO // of_one)]
        texts.append(np.array(reads.encode_tokens(drawn)))
        pieces += drawn
        first = first or reads.decode(texts[0].tolist())
    return _ready(checkpoint, _recorded(checkpoint, texts), pieces, first)


def _ready_to_begin(checkpoint: Checkpoint) -> OpenModel:
    """A model whose texts a label begins, by one that it says itself for each of the first of them."""
    import torch

    from lstmviz.caption import begun_by, write

    vocabulary, model, most = checkpoint.vocabulary, checkpoint.build(), written_at_most(checkpoint)
    pieces, records, first = [], [], ""
    try:
        for label in range(min(BEGUN_MOST, checkpoint.model.labels_read or 0)):
            if (left := most - len(pieces)) > 0:
                said = torch.cat([torch.tensor([BEGIN]), write(model, vocabulary, label, left, seed=0)])
                _, record = model.record(said[:, None], begun_by(model, label))  # name -> (T, 1, H)
                records.append([{name: values[:, 0].numpy() for name, values in each.items()} for each in record])
                pieces += [vocabulary.tokens[i] for i in said]
                first = first or vocabulary.decode(said[1:61].tolist())
    except FloatingPointError as error:
        raise checkpoints.CheckpointError(USELESS) from error
    return _ready(checkpoint, [_joined([*parts]) for parts in zip(*records, strict=True)], pieces, first)


def _ready_to_say(checkpoint: Checkpoint, reads: Vocabulary) -> OpenModel:
    """A model that says one sequence for another, by some that it reads: of built-in data, else any tokens."""
    import torch

    from lstmviz.translation import trace_translation

    model = checkpoint.build()
    rng, draw = random.Random(0), TRANSLATE.drawn.get(checkpoint.train.corpus)
    known = draw is not None and set(draw(rng)) <= reads.ids.keys()
    tokens = reads.tokens[len(SPECIALS) :] or reads.tokens
    of_one = len(tracks_of(model.config)) * model.config.hidden_size * len(cell_called(model.config.cell).recorded())
    count = max(1, min(SOURCES, LOOKED_INTO // (2 * ANY * of_one), 3 * written_at_most(checkpoint) // ANY))
    sources = [[*draw(rng)] if draw and known else rng.choices(tokens, k=ANY // 4) for _ in range(count)]
    told = [trace_translation(model, torch.tensor(to_read(reads, each)), most=ANY) for each in sources]
    read = [piece for source in sources for piece in source]
    said = [checkpoint.vocabulary.tokens[i] for each in told for i in each.said]
    # Of each layer the reader forward and in reverse, (2, S, H), and the speaker, (T, H).
    cells = []
    for layer in range(model.config.num_layers):
        for direction in (0, 1):
            parts = [{name: each.reader[name][layer, direction] for name in each.reader} for each in told]
            cells.append((_joined(parts), read))
        cells.append((_joined([{name: each.speaker[name][layer] for name in each.speaker} for each in told]), said))
    opened = _opened(checkpoint, cells, reads.decode(to_read(reads, sources[0])))
    # Who reads and who says stand side by side, on one scale.
    ends = {
        name: (min(each[name][0] for each in opened.scales), max(each[name][1] for each in opened.scales))
        for name in opened.scales[0]
    }
    says, first = checkpoint.vocabulary, len(reads)
    sign = {says.ids[EOS]: says.newline_sign}  # of the end
    signs = WorkedOut(lambda i: sign.get(i) or says.display(i))
    both = WorkedOut(lambda i: reads.display(i) if i < first else signs[i - first])
    return replace(opened, scales=[ends] * len(cells), signs=signs, read_signs=both)


def _ready_to_grow(checkpoint: Checkpoint, reads: Vocabulary) -> OpenModel:
    """A model that reads trees, by expressions as it is asked."""
    from lstmviz.trace import trace_tree

    model = checkpoint.build()
    rng, config = random.Random(0), checkpoint.model
    of_one = config.num_layers * config.hidden_size * len(cell_called(config.cell).recorded())
    pieces, records, first = [], [], ""
    while len(records) < LOOKED_AT and len(pieces) * of_one < LOOKED_INTO:
        expression = draw(rng, rng.randint(1, DEEPEST), NODES)
        trace, _ = trace_tree(model, expression, reads, checkpoint.vocabulary)
        # Of a root no parent keeps anything: it counts as the mean.
        records.append({name: np.where(np.isnan(v), np.nanmean(v, 1, keepdims=True), v) for name, v in trace.items()})
        pieces += expression.symbols
        first = first or str(expression)
    layers = range(config.num_layers)
    cells = [_joined([{name: values[layer] for name, values in each.items()} for each in records]) for layer in layers]
    return _ready(checkpoint, cells, pieces, first)


def _ready(
    checkpoint: Checkpoint,
    records: list[dict[str, np.ndarray]],
    pieces: list[str],
    written: str = "",
    context: Sequence[int] = (),
) -> OpenModel:
    """The model, its units in order and its colours' ends, by what it did at these pieces, name -> ``(T, H)``."""
    return _opened(checkpoint, [(record, pieces) for record in records], written, context)


def _opened(
    checkpoint: Checkpoint,
    cells: list[tuple[dict[str, np.ndarray], list[str]]],
    written: str = "",
    context: Sequence[int] = (),
) -> OpenModel:
    """As `_ready`; of each track name -> ``(T, H)``, and the pieces."""
    vocabulary, tracks = checkpoint.vocabulary, tracks_of(checkpoint.model)
    if not all(np.isfinite(values).all() for did, _ in cells for values in did.values()):
        raise checkpoints.CheckpointError("the model's states are not finite numbers")
    similar, moves, scales = [], [], []
    for track, (every, pieces) in enumerate(cells):
        # A projection's values belong to no unit: the map cannot draw them.
        width = next(iter(every.values())).shape[-1]
        values = {name: each for name, each in every.items() if each.shape[-1] == width}  # (T, H)
        scales.append({name: scale(name, values[name]) for name in values})
        # All that a unit did, each role on its own scale, (H, roles · T); what is far beyond it has no finite square.
        did = np.concatenate([np.clip(values[name] / high, -FAR, FAR) for name, (_, high) in scales[-1].items()]).T
        similar.append(by_similarity(did))
        did = acts(values, scales[-1], drawn_roles(checkpoint.model.cell, scales[-1]))
        moves.append(usual(did, pieces, carrier(checkpoint, track)))
    signs, typed = WorkedOut(vocabulary.display), WorkedOut(partial(how_to_type, vocabulary))
    read_signs = WorkedOut(read_by(vocabulary, checkpoint.reads).display)
    ordered = moves, similar, scales
    return OpenModel(checkpoint, signs, typed, read_signs, tracks, *ordered, written, [*context])


def is_grammar(opened: OpenModel) -> bool:
    """Whether the model learned a generated language, whose tokens can each be a button."""
    generated = opened.checkpoint.hidden_variable or opened.task.drawn.get(opened.checkpoint.train.corpus)
    return bool(generated) and len(opened.reads) <= BUTTONS_MOST and opened.reads.level != "letters"


def carrier(checkpoint: Checkpoint, track: int) -> int | None:
    """The unit of a track that carries most of a grammar's hidden variable; None where there is no such variable."""
    if not checkpoint.hidden_variable:
        return None
    correlations = checkpoint.hidden_variable["correlations"][track]
    return correlations.index(max(correlations))


def _recorded(checkpoint: Checkpoint, sequences: list[np.ndarray]) -> list[dict[str, np.ndarray]]:
    """What a model does at several texts ``(T,)`` or images ``(T, W)``, one behind the other: of each cell name ->
    ``(T, H)``.
    """
    lengths = [len(each) for each in sequences]
    if not runs(checkpoint.model):
        import torch

        model = checkpoint.build()
        told = [model.record(torch.from_numpy(sequence)[:, None])[1] for sequence in sequences]  # name -> (T, 1, H)
        parts = [[{name: values[:, 0].numpy() for name, values in cell.items()} for cell in each] for each in told]
        return [_joined([*cell]) for cell in zip(*parts, strict=True)]
    shape = max(lengths), len(sequences), *sequences[0].shape[1:]  # (T, B) or (T, B, W)
    inputs = np.zeros(shape, sequences[0].dtype)
    for column, sequence in enumerate(sequences):
        inputs[: len(sequence), column] = sequence  # what follows a shorter one is padding, on which nothing depends
    _, records, _ = Reference(checkpoint.model, checkpoint.weights).record(inputs)
    return [
        {name: np.concatenate([values[:end, b] for b, end in enumerate(lengths)]) for name, values in record.items()}
        for record in records
    ]


def _joined(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """One after the other."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def mostly_known(reads: Vocabulary, tokens: Sequence[str]) -> bool:
    """Whether a vocabulary holds more of these tokens than it lacks."""
    return 2 * reads.encode_tokens(tokens).count(reads.ids[UNK]) < len(tokens)


def to_read(reads: Vocabulary, pieces: Sequence[str]) -> list[int]:
    """Their ids; somebody may write <pad>, which ends what is read."""
    unknown = reads.ids[UNK]
    return [unknown if i == PADDING else i for i in reads.encode_tokens(pieces)]


def rows_named(count: int) -> list[str]:
    """What the rows of an image are called."""
    return [f"row {t + 1}" for t in range(count)]


def written_at_most(checkpoint: Checkpoint) -> int:
    """How many tokens a model writes when it is opened: 300, or what takes about half a second of a larger one."""
    config, vocab_size = checkpoint.model, len(checkpoint.vocabulary)
    values = config.hidden_size * config.num_layers * len(cell_called(config.cell).recorded())  # a token
    numbers = sum(weight.size for weight in checkpoint.weights.values()) + 40 * vocab_size  # to be read
    costs = config.num_layers**2 / 6_000, values / 6e6, (numbers / 3.1e6) ** 1.5 / 300
    return max(FEWEST, min(300, int(1 / max(costs))))


def how_to_type(vocabulary: Vocabulary, i: int) -> str | None:
    """What to type, in a box of one line, to get just this token; None where nothing does."""
    forms = (vocabulary.tokens[i], vocabulary.display(i))
    return next((form for form in forms if "\n" not in form and vocabulary.encode(form) == [i]), None)
