"""What the browser draws, as the bytes that it reads; and what it knows of colours and codes, as ``web/constants.js``.

A message is a header and planes of values. A header is a dataclass here, and ``web/`` reads its fields by their names.
``python -m lstmviz.wire`` writes the constants that both languages need.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby, product
from math import ceil, isfinite, log2
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lstmviz import roles as looks
from lstmviz import units
from lstmviz.baselines import NGram
from lstmviz.baselines import told as counted_of
from lstmviz.cells import cell_called
from lstmviz.cells.declared import Declared
from lstmviz.cells.equations import Tree
from lstmviz.checkpoint import Checkpoint
from lstmviz.data import vocabulary as words
from lstmviz.data.grammars import measure
from lstmviz.data.images import as_code
from lstmviz.data.pairs import NOTHING
from lstmviz.data.vocabulary import IGNORED, UNK, UNKNOWN_MOST, inline, shown, visible
from lstmviz.opened import OpenModel
from lstmviz.reading import LIKELY_MOST, LONGEST, MANY, Reading, rows_of, running_mean
from lstmviz.roles import DOES, ROLES, Role
from lstmviz.sizes import perplexity

BLOCK = 32  # tokens
LEVELS = 65534  # codes 0 ... 65534 span low ... high
NAN = 65535  # the code of "no value"
FEW_LABELS = 12  # that are all listed
CHECKED_MOST = 200  # tokens that the page reads at once, to compare what it makes of them with what the server does

# ---- what both languages know ----------------------------------------------------------------------------------------

CONSTANTS = Path(__file__).with_name("web") / "constants.js"
# Of lstmviz.data.vocabulary.
SIGNS = (
    "UNK", "EOS", "APART", "LINE_ENDS", "NEWLINE_SIGN", "NEWLINE_SIGNS", "SPACE_SIGN", "SPACE_SIGNS", "TAB_SIGN"
)  # fmt: skip
PATTERNS = "WORD", "PART", "CHARACTER", "CHUNK", "JOINT", "NOT", "UNSEEN", "RIGHT_TO_LEFT"


def constants() -> str:
    """The text of ``web/constants.js``."""
    lights = ("light", "dark")
    inks = {
        "tint": looks.SURPRISE,
        "bar": looks.LOSS_BARS,
        "loss": looks.LOSS,
        "perplexity": looks.PERPLEXITY,
        "likely": looks.LIKELY,
        "gain": looks.GAIN,
        "lack": looks.LACK,
    }
    values = {
        "BLOCK": BLOCK,
        "LEVELS": LEVELS,
        "NAN": NAN,
        "CIVIDIS": looks.CIVIDIS,
        "SIGNED": looks.SIGNED,
        "INKS": {light: {name: ink[k] for name, ink in inks.items()} for k, light in enumerate(lights)},
        "PAGES": looks.PAGES,
        "DASHES": [
            [int(n) for n in dash.replace("px", "").split(",")] if "px" in dash else [] for dash in looks.DASHES
        ],
        "LONGEST": LONGEST,
        "LIKELY_MOST": LIKELY_MOST,
        "FEW_LABELS": FEW_LABELS,
        "MANY": MANY,
        "CHECKED_MOST": CHECKED_MOST,
        "UNKNOWN_MOST": UNKNOWN_MOST,
        **{name: getattr(units, name) for name in ("MOST", "LASTS", "USUAL", "FIRST", "KINDS")},
        **{name: getattr(words, name) for name in (*SIGNS, *PATTERNS)},
    }
    codes = "LINE_ENDS", *PATTERNS  # are written as such
    lines = [f"export const {name} = {json.dumps(v, ensure_ascii=name in codes)};\n" for name, v in values.items()]
    return "// Written by `python -m lstmviz.wire`: to change something, change it there.\n\n" + "".join(lines)


# ---- headers ---------------------------------------------------------------------------------------------------------

Note = tuple[Literal["look", "note", "info", "warning"], str]  # a sentence over the map; text, not Markdown


@dataclass(frozen=True)
class Panel:
    """One gate or state of one layer, whose values are a plane ``(time, unit)``.

    Args:
        layer: its track, from 0: as `OpenModel.tracks`.
        role: its name in a trace.
        label, symbol, index: how it is written; the index stands below the symbol.
        layer_label: of a model with several tracks.
        reverse: it is read from the right: the step before is the column after.
        meaning: a sentence for somebody who never saw an LSTM.
        does: one of ``DOES``, or nothing.
        gate: it opens and shuts.
        light, dark: its colour on a light and on a dark page.
        low, high: values of the codes 0 and 65534.
        limit: where its colours end; at most ``high``.
        bounded: whether its values have bounds of their own.
        signed: whether its colours go both ways from 0.
        mean: of all values; None where it is no finite number.
        drawn: it is shown as a panel; the others travel for the readout.
        slot: the row of the comparison that it stands in, if one.
        begin, end: the columns in which it has values; the others are another track's.
    """

    layer: int
    role: str
    label: str
    symbol: str
    index: str
    layer_label: str
    reverse: bool
    meaning: str
    does: str
    gate: bool
    light: str
    dark: str
    low: float
    high: float
    limit: float
    bounded: bool
    signed: bool
    mean: float | None
    drawn: bool
    begin: int
    end: int
    slot: str | None = None


@dataclass(frozen=True)
class Likely:
    """The likeliest next tokens after each token, the likeliest first.

    Args:
        tokens: as they can be seen.
        typed: those that are typed otherwise than they are seen; None where a token cannot be typed.
        probabilities: theirs.
    """

    tokens: list[list[str]]
    typed: dict[str, str | None]
    probabilities: list[list[float]]


@dataclass(frozen=True)
class Answer:
    """What a model should say after each column, where it says labels.

    Args:
        labels: one a column; None where nothing is asked.
        known: whether these are right; else they are what it says itself, at the end or there, of what nobody knows.
        last: whether it is asked once, at the end, what it says all along.
        probability: what it gives each.
    """

    labels: list[str | None]
    known: bool
    last: bool
    probability: list[float | None]


@dataclass(frozen=True)
class Begun:
    """The label that begins a text, which stands in the first column.

    Args:
        label: its name.
        depends: how much what is said after each column depends on it, from 0 to 1; empty where nobody asked.
    """

    label: str
    depends: list[float | None]


@dataclass(frozen=True)
class Attention:
    """Where a model looks while it says one sequence for another.

    Args:
        looks: of each column that is said, how much it looks at each that was read.
        aligned: the column that was read which it comes from; None where nobody knows, or it comes from none.
    """

    looks: list[list[float]]
    aligned: list[int | None]


@dataclass(frozen=True, kw_only=True)
class Columns:
    """What the columns of a map are.

    Args:
        level: "char" or "word", "row" of an image, "node" of a tree.
        column: in general, "token" for instance.
        noun: and what it is.
        whole: all of them.
        asks: over what may follow one.
        headline: of a picture to show; empty where that is the columns' own text.
        parents: where they are the nodes of a tree, the column of each one's parent, −1 at the root; else empty.
        image: the pixels whose rows they are, as `lstmviz.data.images.as_code` writes them; empty where they are none.
        said_from: the first that is said and not read, where a model says one sequence for another; else 0.
    """

    level: str
    column: str
    noun: str
    whole: str
    asks: str
    headline: str = ""
    image: str = ""
    said_from: int = 0
    parents: list[int] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Header:
    """What is said of the values of one model that travel with it.

    Args:
        layers: which tracks, from 0.
        units: of each all units in the order of their rows.
        telling: of each the units that go first where not all are shown; empty where all are.
        panels: of each all gates and states.
        top: what may come next; where that are labels, what it says.
    """

    layers: list[int]
    units: list[list[int]]
    telling: list[list[int]]
    panels: list[Panel]
    top: Likely


@dataclass(frozen=True)
class Does:
    """What a cell does, as trees of `lstmviz.cells.equations` over its symbols; None where it does nothing of the kind.

    Args:
        keeps, writes, shows, looks_back, holds: see `lstmviz.cells.base.Cell`.
    """

    keeps: Tree | None
    writes: Tree | None
    shows: Tree | None
    looks_back: Tree | None
    holds: Tree | None


@dataclass(frozen=True)
class Beside:
    """What an n-gram makes of the same tokens, to be laid over the model's loss; a list has an entry a token.

    Args:
        name: what it is called.
        nll, running_nll: its loss in nats, and the mean so far; None where the model has none.
        context, context_times: how many tokens the longest context has that it had counted, and how often it had.
        run, run_times: the same of the longest run that ends with the token.
    """

    name: str
    nll: list[float | None]
    running_nll: list[float | None]
    context: list[int]
    context_times: list[int]
    run: list[int]
    run_times: list[int]


@dataclass(frozen=True, kw_only=True)
class MapHeader(Header, Columns):
    """All that the gate map says and draws, beside the values; a list has an entry a token.

    Args:
        title: the model in a few words.
        tokens: as the vocabulary writes them.
        unknown: whether the model reads ``<unk>``.
        typed: as they were typed.
        generated_from: time of the first token that the model wrote itself.
        nll, running_nll: the loss in nats, and its mean so far; None where there is none.
        answer: where it says labels, those that it should.
        begun: where a label begins the text, that.
        attention: where it looks; None without any.
        beside: what is laid over the loss.
        selection: time, unit and layer, which is a track.
        annotation: unit -> what there is to say of it, on the selected layer.
        begins: whether nothing was read before the first token.
        symbols: role -> the expression of the equations that it is.
        does: what the cell does, in these.
        lets_out: what an output gate lets out.
        resets: what a reset gate acts on.
    """

    title: str
    tokens: list[str]
    unknown: list[bool]
    typed: list[str]
    generated_from: int | None
    nll: list[float | None]
    running_nll: list[float | None]
    answer: Answer | None
    begun: Begun | None
    attention: Attention | None
    beside: Beside | None
    selection: dict[str, int]
    annotation: dict[str, str]
    begins: bool
    symbols: dict[str, str]
    does: Does
    lets_out: str
    resets: str


@dataclass(frozen=True, kw_only=True)
class LiveModel:
    """What is said of one of several models side by side, whatever they read.

    Args:
        id: what the browser calls it when it answers.
        name, title: in full, and as short as tells it from the others.
        light, dark: its colour on a light and on a dark page.
        track: which of its tracks is shown; None where it has nothing there.
        rows: role -> the row in which it is drawn, of those that are.
        root: number of the model in whose order its units stand.
        kin: a number that models share whose units correspond.
        share: what the charts of a gate are of, a role or "keeps" of `Does`; None where that is no share.
        beside: whether something is laid over its loss.
        equations, remark: of its cell.
        absent: row -> what stands there where the cell lacks the gate.
    """

    id: str
    name: str
    title: str
    light: str
    dark: str
    track: int | None
    rows: dict[str, str]
    root: int
    kin: int
    share: str | None
    beside: bool
    equations: str
    remark: str
    absent: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class ComparedModel(LiveModel):
    """And what is said of what it read.

    Args:
        at: the model's token at each position of the axis; −1 where none stands.
        loss: in nats, an entry a position.
        differences: role -> the largest difference from the reference.
    """

    at: list[int]
    loss: list[float | None]
    differences: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class LiveChart:
    """A chart, whatever is read.

    Args:
        name: what it shows.
        title, unit: what it is called, and what stands below, with ``{by}`` for what a position is.
        guessed: what stands below instead where nobody knows what is right; empty where that changes nothing.
        low, high: of its axis; where losses, perplexities or gains go further, so does that.
        log: whether the axis is logarithmic.
    """

    name: str
    title: str
    unit: str
    guessed: str
    low: float
    high: float
    log: bool


@dataclass(frozen=True, kw_only=True)
class Chart(LiveChart):
    """And a line a model over the shared axis.

    Args:
        lines: a value a position for each model; no values where its cell has nothing of the kind.
        beside: the same of what is laid over the losses; no values where nothing is.
    """

    lines: list[list[float | None]]
    beside: list[float | None]


@dataclass(frozen=True)
class Row:
    """A row of gate maps side by side: its key in ``Panel.slot``, how it is called, and what it means."""

    key: str
    label: str
    hint: str


@dataclass(frozen=True, kw_only=True)
class LiveComparison:
    """What is said of several models side by side, whatever they read: all that the browser needs to answer each key.

    Args:
        most: tokens that are read.
        height: of the picture, in CSS pixels.
        models: side by side.
        reference: number of the model that the others are compared with.
        difference: whether differences from it are shown.
        facts: rows of a label, a value a model, and whether these differ.
        same: what is the same in all.
        charts: over the maps.
        beside: the name of what is laid over their losses; empty where nothing is.
        slots: the rows of maps.
        order: of the units, as in `unit_order`.
        scales: role -> the ends of its colours.
        guides: what is said over the maps.
        sentences: name -> what may be said of a text, with places in braces; empty where that is nothing.
    """

    most: int
    height: int
    models: Sequence[LiveModel]
    reference: int
    difference: bool
    facts: list[tuple[str, list[str], bool]]
    same: str
    charts: Sequence[LiveChart]
    beside: str
    slots: list[Row]
    order: str
    scales: dict[str, tuple[float, float]]
    guides: list[Note]
    sentences: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class ComparisonHeader(LiveComparison, Columns):
    """And what is said of the sentence that they read.

    Args:
        labels: a sign a position.
        count: how many of them were typed.
        unknown: whether some model reads ``<unk>`` there.
        models: side by side; a message of a `Header` follows for each.
        note: what a person must know to read the comparison rightly.
        selection: time, unit and model.
    """

    labels: list[str]
    count: int
    unknown: list[bool]
    models: Sequence[ComparedModel]
    note: str
    charts: Sequence[Chart]
    selection: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class Here:
    """What the server says of a view that the page makes itself, with models that it holds (`lstmviz.live`).

    Args:
        models: their digests.
        sent: those that follow, with their weights.
        box: the key of the box whose text is read; empty where an image is.
        text: what is in it, as far as the server has heard; of an image the pixels, two hexadecimal digits each.
        put: how many texts the server itself has put into the box.
        label: number of what an image shows; None where nobody knows.
        selection: time, negative while nobody chose one, unit and layer or model.
        checked: whether what the server makes of the text follows: a message of a `MapHeader`, or one a model.
    """

    models: list[str]
    sent: list[str]
    box: str
    text: str
    put: int
    label: int | None
    selection: dict[str, int]
    checked: bool


@dataclass(frozen=True, kw_only=True)
class MapHere(Here):
    """And of a gate map.

    Args:
        layers, roles, order: as in `payload`.
        written: the text that the model has written on, and the time of the first token that is its own.
        write: asks the model to write on: how much and how, with a number, which is another one for every time.
    """

    layers: list[int]
    roles: list[str]
    order: str
    written: tuple[str, int] | None
    write: dict[str, float] | None


@dataclass(frozen=True, kw_only=True)
class InsideHere(MapHere):
    """And of what is inside one step; layers, roles and order are those of the map that the server is compared with.

    Args:
        section: which part is shown under the sentence and the units, by its name in ``web/inside.js``; empty for none.
        options: name -> value of what the parts remember, as the link says it; None where it says nothing.
    """

    section: str
    options: dict[str, str | None]


@dataclass(frozen=True)
class Frame:
    """What goes before a map.

    Args:
        notes: what is said over it.
        height: pixels that its panels may share; 0 for what the window has room for.
        address: what the browser writes of this view into the page's address, where None takes a name out; empty where
            the address tells nothing of it.
        here: where the page makes the map itself, of what.
    """

    notes: Sequence[Note] = ()
    height: int = 0
    address: Mapping[str, str | None] = field(default_factory=dict)
    here: Here | None = None


# ---- bytes -----------------------------------------------------------------------------------------------------------


def sized(header: Any, **more: Any) -> bytes:
    """A dataclass as JSON, after its length (4 bytes, little-endian); what follows it begins at an even offset.

    A number that is not finite, which JSON does not have, becomes null.
    """
    said, form = {**vars(header), **more}, {"default": vars, "separators": (",", ":")}
    try:
        text = json.dumps(said, allow_nan=False, **form).encode()
    except ValueError:
        text = json.dumps(_finite(json.loads(json.dumps(said, **form))), **form).encode()
    text += b" " * (len(text) % 2)  # JSON allows the space
    return struct.pack("<I", len(text)) + text


def _finite(value: Any) -> Any:
    """A JSON value without NaN and infinity."""
    if isinstance(value, dict):
        return {name: _finite(inside) for name, inside in value.items()}
    if isinstance(value, list):
        return [_finite(inside) for inside in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def framed(frame: Frame, message: bytes) -> bytes:
    """What the gate map reads: a frame, and a message of a `MapHeader`, which is empty where nothing is drawn.

    Where the page draws it itself, what `Here` says that follows.
    """
    return sized(frame) + message


def side_by_side(header: LiveComparison, parts: Sequence[bytes], frame: Frame, models: bytes = b"") -> bytes:
    """What the comparison reads: its header with what the frame says, and a message a model, after its length.

    Args:
        header: a `ComparisonHeader`, but where nothing was read, or the page reads itself.
        models: what `Here` says that follows.
    """
    text = sized(header, notes=frame.notes, address=frame.address, here=frame.here)
    return text + models + b"".join(piece for part in parts for piece in (struct.pack("<I", len(part)), part))


def quantize(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Code values for the browser in 16 bits, an error of at most (high - low) / 131068.

    Args:
        values: any shape; clipped to ``low`` ... ``high``, NaN allowed.
        low: the value of code 0.
        high: the value of code 65534; above ``low``.

    Returns:
        uint16 codes of the same shape; NaN becomes 65535.

    Raises:
        ValueError: ``high`` is not above ``low``.
    """
    if not high > low:
        raise ValueError(f"high must be above low, got low={low} and high={high}")
    dtype = np.float32 if high - low < 1e30 else np.float64  # which has room for what float32 only just holds
    scaled = (np.asarray(values, dtype) - low) * (LEVELS / (high - low))
    codes = np.nan_to_num(np.clip(np.rint(scaled), 0, LEVELS), nan=NAN)
    return codes.astype("<u2")


def pack(
    header: Header, planes: list[np.ndarray], *, identity: str, ids: list[int], held: Container[str] = ()
) -> bytes:
    """Put a header and its planes into one message.

    Args:
        header: with a panel for each plane.
        planes: values ``(time, unit)`` for each entry of ``header.panels``, in that order.
        identity: of the model, and of whatever else than tokens and panels the values depend on.
        ids: the tokens read, ``(T,)``.
        held: names of blocks that the browser has reported to hold.

    Returns:
        The header as `sized` writes it, with ``blocks`` (name, number of tokens, whether it is sent); then the blocks
        that are sent, each plane after plane as uint16 codes ``(time, unit)``.

    Raises:
        ValueError: a plane's number or shape does not fit the header.
    """
    panels = header.panels
    if len(planes) != len(panels):
        raise ValueError(f"planes must be one a panel, got {len(planes)} for {len(panels)} panels")
    widths = {layer: len(units) for layer, units in zip(header.layers, header.units, strict=True)}
    for panel, plane in zip(panels, planes, strict=True):
        shape = (len(ids), widths[panel.layer])
        if plane.shape != shape:
            raise ValueError(f"plane {panel.role} must have shape {shape}, got {plane.shape}")
    bounds = [(panel.layer, panel.role, panel.low, panel.high) for panel in panels]
    name = hashlib.blake2b(f"{identity} {bounds}".encode(), digest_size=12)
    blocks, parts = [], []
    for start in range(0, len(ids), BLOCK):
        part = slice(start, start + BLOCK)
        name.update(np.array(ids[part], np.int64).tobytes())  # and so of every token before it
        sent = name.hexdigest() not in held
        blocks.append((name.hexdigest(), len(ids[part]), sent))
        if sent:
            parts += [quantize(plane[part], low, high) for plane, (*_, low, high) in zip(planes, bounds, strict=True)]
    return b"".join([sized(header, blocks=blocks), *(part.tobytes() for part in parts)])


# ---- of a model and what it read -------------------------------------------------------------------------------------

CARRIES = 0.5  # from here on a unit is named after the variable that it carries


def payload(
    opened: OpenModel,
    reading: Reading,
    *,
    layers: list[int],
    roles: list[str],
    order: str,
    selection: dict[str, int],
    generated_from: int | None = None,
    held: Container[str] = (),
    identity: str = "",
    name: str = "",
    beside: NGram | None = None,
) -> bytes:
    """Everything the gate map draws, as the bytes it reads.

    Args:
        layers: which tracks to show, from 0.
        roles: which to draw as panels; the others travel too, for the readout.
        order: of the rows, as in `unit_order`.
        selection: time, unit and layer.
        generated_from: time of the first token that the model wrote itself.
        held: blocks of values that the browser holds, which are not sent again.
        identity: of whatever else than the checkpoint and the tokens the values depend on; then what the checkpoint
            says of its units is left out.
        name: of the model, for a picture that leaves the page.
        beside: what is laid over its loss, of the same vocabulary.
    """
    checkpoint, nll = opened.checkpoint, reading.trace.nll
    cell = cell_called(checkpoint.model.cell)
    panels, planes = panels_of(opened, reading, layers, roles)
    header = MapHeader(
        title=inline(name) if identity else titled(checkpoint, name),
        **vars(columns_of(opened, reading)),
        tokens=signs_of(opened, reading),
        unknown=unknown_in(opened, reading),
        typed=[visible(piece) for piece in reading.pieces],
        generated_from=generated_from,
        nll=numbers(nll),
        running_nll=numbers(running_mean(nll)),
        answer=answer_of(opened, reading),
        begun=begun_of(opened, reading),
        attention=attention_of(reading),
        beside=laid_over(beside, reading) if beside else None,
        top=said_after(opened, reading),
        panels=panels,
        **rows_of(opened, reading, layers, order),
        layers=layers,
        selection=selection,
        annotation={} if identity else annotation(checkpoint, selection["layer"]),
        begins=not opened.context,
        symbols=cell.symbols,
        does=does_of(cell),
        lets_out=cell.lets_out,
        resets=cell.resets,
    )
    return pack(header, planes, identity=identity_of(opened, reading) + identity, ids=reading.ids, held=held)


def identity_of(opened: OpenModel, reading: Reading) -> str:
    """On what the values at a column depend, beside the columns up to it: for `pack`."""
    begun = "" if reading.begun is None else f" begun by {reading.begun}"
    parents = reading.expression.parents if reading.expression else ""
    return opened.checkpoint.digest + begun + (f"{reading.ids}{parents}" if opened.looks_ahead else "")


NOUNS = {"char": "character", "word": "word", "letters": "word", "label": "label"}  # of what a model reads, or says


def columns_of(opened: OpenModel, reading: Reading) -> Columns:
    """What the columns of a reading are."""
    columns = columns_in(opened)
    if reading.said:
        signs, begin = signs_of(opened, reading), reading.said.begin
        return replace(columns, headline=said_for(opened, signs[:begin], signs[begin:]), said_from=begin)
    if reading.expression is not None:
        return replace(columns, headline=f"{reading.expression}", parents=[*reading.expression.parents])
    if reading.image is not None:
        shows = "drawing" if reading.right is None else opened.signs[reading.right[-1]]
        return replace(columns, headline=image_of(opened, shows), image=as_code(reading.image))
    label, *said = signs_of(opened, reading) if opened.labels else [""]
    return replace(columns, headline=f"{label}: {('' if columns.level == 'char' else ' ').join(said)}" if label else "")


def columns_in(opened: OpenModel) -> Columns:
    """What the columns of all readings of a model are."""
    task, level, noun = opened.task, opened.reads.level, opened.task.column
    if opened.says_another:
        asks = f"what it says at this {task.column}"
    elif opened.reads_trees:
        level, asks = "node", f"which {task.label}, at this {task.column}"
    elif opened.side:
        level = noun = "row"
        asks = f"which {task.label}, after this row"
    else:
        noun = NOUNS[level]
        level = "char" if noun == "character" else "word"
        of_each, after = f"which {task.label} this {noun} has", f"which {task.label}, after this {noun}"
        asks = f"next {noun}" if not opened.says_labels else after if task.asked_last else of_each
    return Columns(level=level, column=task.column, noun=noun, whole=task.whole, asks=asks)


def image_of(opened: OpenModel, shows: str) -> str:
    """What is read where that is an image, in a line."""
    permuted = "pixels permuted, " * (opened.checkpoint.train.permuted is not None)
    return f"A {shows}, {permuted}read row by row"


def said_for(opened: OpenModel, read: Sequence[str], said: Sequence[str]) -> str:
    """A sequence and that which is said for it, in a line."""
    levels = opened.reads.level, opened.checkpoint.vocabulary.level
    return " → ".join(
        ("" if level == "char" else " ").join(signs) for level, signs in zip(levels, (read, said), strict=True)
    )


def signs_of(opened: OpenModel, reading: Reading) -> list[str]:
    """What was read as a person should see it, column by column."""
    if reading.image is not None:
        return reading.pieces
    signs = [opened.read_signs[i] for i in reading.ids]
    return signs if reading.begun is None else [shown(opened.labels[reading.begun]), *signs[1:]]


def unknown_in(opened: OpenModel, reading: Reading) -> list[bool]:
    """Which columns the model reads as ``<unk>``; of an image it knows every row."""
    unknown = opened.reads.ids.get(UNK)
    return [i == unknown for i in reading.ids]


def answer_of(opened: OpenModel, reading: Reading) -> Answer | None:
    """Which label or token a model should say at each column; nothing where it says what comes next."""
    if not opened.is_asked:
        return None
    last = opened.task.asked_last
    if known := reading.right is not None:
        labels, given = reading.right, np.exp(-reading.trace.nll)  # (T,)
    elif last:
        labels = [int(reading.likely[-1, 0])] * len(reading.ids)
        given = np.where(reading.likely == labels[0], reading.probabilities, 0).sum(-1)
    else:
        given = reading.probabilities[:, 0]
        labels = np.where(np.isnan(given), IGNORED, reading.likely[:, 0]).tolist()
    return Answer([None if i == IGNORED else opened.signs[i] for i in labels], known, last, numbers(given))


def begun_of(opened: OpenModel, reading: Reading) -> Begun | None:
    """The label that begins what was read, and how much what follows depends on it."""
    if reading.begun is None:
        return None
    depends = [] if reading.depends is None else numbers(reading.depends)
    return Begun(shown(opened.labels[reading.begun]), depends)


def attention_of(reading: Reading) -> Attention | None:
    """Where the model looked; nothing where it says nothing else than it reads, or has no attention."""
    if not reading.said or reading.said.looks is None:
        return None
    looks, aligned = (
        reading.said.looks.astype(float).round(3).tolist(),
        reading.said.aligned or [NOTHING] * len(reading.said.looks),
    )
    return Attention(looks, [None if place == NOTHING else place for place in aligned])


def laid_over(model: NGram, reading: Reading) -> Beside:
    """What an n-gram makes of the tokens that a model read."""
    nll = reading.nll_of(model)
    counted = {name: told.tolist() for name, told in vars(counted_of(model.counts, np.array(reading.ids))).items()}
    return Beside(model.name, numbers(nll), numbers(running_mean(nll)), **counted)


def titled(checkpoint: Checkpoint, name: str) -> str:
    """A model's name, and in a few words what it is."""
    return f"{inline(name)} · {described(checkpoint)}"


def does_of(cell: type[Declared]) -> Does:
    """What a cell does."""
    return Does(**{what: cell.does(what) for what in DOES})


def described(checkpoint: Checkpoint) -> str:
    """A model in a few words: its cell, its size, and how good it is."""
    config, results = checkpoint.model, checkpoint.results
    layers = f"{config.num_layers} × " if config.num_layers > 1 else ""
    if (accuracy := results.get("valid_accuracy")) is not None:
        good = f"{accuracy:.1%} right in validation"
    else:
        good = f"validation perplexity {perplexity(results['valid_nll']):.2f} a {NOUNS[checkpoint.vocabulary.level]}"
    return f"{config.cell}, {layers}{config.hidden_size:,} units · {good}"


def panels_of(
    opened: OpenModel,
    reading: Reading,
    layers: list[int],
    roles: Container[str],
    scales: dict[str, tuple[float, float]] | None = None,
    slots: dict[str, str] | None = None,
) -> tuple[list[Panel], list[np.ndarray]]:
    """A description and the values ``(T, U)`` of every gate and state of these tracks, for ``pack``.

    The directions of a layer stand beside each other, role by role.

    Args:
        layers: numbers of the tracks that are meant.
        roles: those to draw.
        scales: role -> (low, high), the ends of its colours; by default the model's own.
        slots: role -> the row of a comparison.
    """
    looks_of = cell_called(opened.checkpoint.model.cell).roles()
    panels, planes = [], []
    for _, together in groupby(layers, lambda k: opened.tracks[k].layer):
        together = [*together]
        for name, layer in product((role for role in ROLES if role in opened.scales[together[0]]), together):
            role, track = looks_of[name], opened.tracks[layer]
            values, own = reading.tracks[name][layer], reading.columns(track)  # (T, U)
            low, end = (scales or opened.scales[layer])[name]
            # Colours stop at the fixed ends; numbers go as far as the values do, in steps that a key seldom crosses.
            most = float(np.abs(values[np.isfinite(values)]).max(initial=0))
            high = end * 2 ** ceil(log2(max(1, most / end)))
            low = -high if low < 0 else low
            planes.append(values)
            panels.append(
                Panel(
                    **look_of(opened, name, role),
                    layer=layer,
                    layer_label=track.label,
                    reverse=track.reverse,
                    low=low,
                    high=high,
                    limit=end,
                    signed=low < 0,
                    mean=mean if np.isfinite(mean := _mean(values[own])) else None,
                    drawn=name in roles,
                    begin=own.start,
                    end=own.stop,
                    slot=(slots or {}).get(name),
                )
            )
    return panels, planes


def look_of(opened: OpenModel, name: str, role: Role) -> dict[str, Any]:
    """What a `Panel` says of its gate or state that is the same in every layer and for every text."""
    return {
        "role": name,
        "label": role.label,
        "symbol": role.symbol,
        "index": ("k" if role.does == "keeps" else "") if opened.reads_trees else "t",
        "meaning": role.meaning,
        "does": role.does,
        "gate": role.does not in ("", "holds"),
        "light": role.light,
        "dark": role.dark,
        "bounded": role.low is not None,
    }


def _mean(values: np.ndarray) -> float:
    """Of all values; of a tree's root no parent keeps anything."""
    known = values[~np.isnan(values).all(-1)] if np.isnan(values).any() else values
    return float(known.mean(dtype=float)) if len(known) else np.nan


def likeliest(opened: OpenModel, reading: Reading, count: int) -> Likely:
    """So many of the tokens that may come after each token, or of the labels that may be right."""
    return _likely(opened, reading, reading.likely[:, :count], reading.probabilities[:, :count])


def said_after(opened: OpenModel, reading: Reading) -> Likely:
    """The five likeliest; but where there are few labels, all in their own order: so each grows in its place."""
    if not opened.says_labels or not reading.likely.shape[1] == len(opened.checkpoint.vocabulary) <= FEW_LABELS:
        return likeliest(opened, reading, 5)
    order = reading.likely.argsort(-1)
    ids, probabilities = (np.take_along_axis(of, order, -1) for of in (reading.likely, reading.probabilities))
    return _likely(opened, reading, ids, probabilities)


def _likely(opened: OpenModel, reading: Reading, ids: np.ndarray, probabilities: np.ndarray) -> Likely:
    rows, signs = ids.tolist(), opened.signs
    known = {i for row in rows for i in row}
    typed = {i: None if opened.is_asked else opened.typed[i] for i in known}  # no label is typed
    nothing = np.isnan(probabilities[:, 0])  # is said there
    return Likely(
        tokens=[[] if none else [signs[i] for i in row] for row, none in zip(rows, nothing, strict=True)],
        typed={signs[i]: typed[i] for i in known if signs[i] != typed[i]},
        probabilities=[
            [] if none else row
            for row, none in zip(probabilities.astype(float).round(4).tolist(), nothing, strict=True)
        ],
    )


def annotation(checkpoint, layer: int) -> dict[str, str]:
    """For a grammar: the unit of this layer that carries most of its hidden variable, if one does, and how much."""
    if not checkpoint.hidden_variable:
        return {}
    correlations = checkpoint.hidden_variable["correlations"][layer]
    unit = int(np.argmax(correlations))
    if correlations[unit] < CARRIES:
        return {}
    how = f"{measure(checkpoint.corpus_name)} {correlations[unit]:.2f}"
    return {str(unit): f"the {inline(checkpoint.hidden_variable['name'])} unit, {how}"}


def numbers(values: np.ndarray) -> list[float | None]:
    """As JSON takes them: None where there is no finite number."""
    with np.errstate(over="ignore"):  # the largest numbers cannot be rounded
        rounded = values.astype(float).round(4)
    return [v if known else None for v, known in zip(rounded.tolist(), np.isfinite(rounded).tolist(), strict=True)]


if __name__ == "__main__":
    CONSTANTS.write_text(constants(), encoding="utf-8")
