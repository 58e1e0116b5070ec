"""What a model is made of, and how it is trained: each field with its range, its help and how a form asks for it.

The checks, the command line's ``--help``, the Train page's widgets and the docstrings come from the fields.
"""

from __future__ import annotations

import reprlib
import sys
from collections.abc import Callable
from dataclasses import Field, dataclass, field, fields
from typing import Any, ClassVar, Literal, NamedTuple, TypeVar, get_args

from lstmviz.cells import CELLS, TREE_CELLS, cell_called

Level = Literal["char", "word", "letters"]
Schedule = Literal["constant", "cosine", "plateau"]
Optimizer = Literal["adam", "sgd"]
Objective = Literal["stream", "windows"]
Attention = Literal["luong", "none"]
Task = Literal["language", "classify", "classify_text", "tag", "caption", "translate", "tree"]

ADAPTIVE_FROM = 10_000  # tokens; with fewer there is little to save
COUNT_MOST = 10**12  # of steps, tokens and streams; more is a slip
SEED_MOST = 2**63 - 1

# What a model may be, and what its file may hold, beside the ranges of the fields below: ten times what comes with the
# project and more, and no more than a server can read while others wait.
WIDE_MOST = 16_384  # units of a layer, and numbers of a token's vector
UNITS_MOST = 32_768  # of all layers
FILTERS_MOST = 512  # over the letters of words; each says something at every letter
LAYERS_MOST = 20
VOCABULARY_MOST = 300_000  # tokens
TOKEN_MOST = 1_000  # characters of a token
TOKENS_LONG = 4_000_000  # characters of all tokens
NAME_MOST = 1_000  # characters of a corpus's name, a digest, or what is hidden in a grammar
TEXT_MOST = 10_000  # characters of a licence or a command
ROWS_MOST = 20_000  # of a history
FIGURE_MOST = 1e30  # nats, of a loss
WEIGHT_MOST = 1e9  # either way; sums of products of such are finite float32 numbers still
LIVE_MOST = 8_000_000  # weights of a model that runs in the page: each million takes 0.3 to 1 ms a token there
FILE_MOST = 160 * 2**20  # bytes
HEADER_MOST = 32 * 2**20  # bytes, with the tokens
LISTS_MOST = 500_000  # lists and objects in a header: signs [ and {, also those in tokens
VALUES_MOST = 2_000_000  # values in a header: commas
OWN_TEXT_MOST = 10_000_000  # bytes of a text that is pasted or uploaded
COUNTED_MOST = 20_000_000  # tokens of a text that is counted; all of it is held in memory meanwhile
RUNS_MOST = 4_000_000  # different runs of tokens in a table of counts
TABLE_MOST = 16 * 2**20  # bytes of its file
SIDE_MOST = 128  # pixels of an image's side
CLASSES_MOST = 256  # labels that images have
DEEP_MOST = 200  # operations of an expression, one within the other
NODES_MOST = 2_000  # digits and operations of an expression
IMAGES_MOST = 100_000  # of one file
SEQUENCE_MOST = 2_000  # tokens of a labelled text
LABELLED_LONG = 32 * 2**20  # bytes of labelled texts
PADDED_MOST = 2**25  # numbers that they are, each as long as the longest
IMAGES_LONG = 128 * 2**20  # bytes of one file of images, unpacked


class Range(NamedTuple):
    """The values that a field may have.

    Args:
        said: in words, after "it must be".
        holds: whether a value, of whatever type, is one of them.
        low, high: the least and the most, where they are numbers with such.
    """

    said: str
    holds: Callable[[Any], bool]
    low: float | None = None
    high: float | None = None


def whole(low: int, high: int) -> Range:
    """Whole numbers, both ends included; True is none."""
    said = f"a whole number from {low:,} to {high:,}"
    return Range(said, lambda value: type(value) is int and low <= value <= high, low, high)


def real(said: str, holds: Callable[[float], bool], low: float | None = None, high: float | None = None) -> Range:
    """Numbers, of which ``holds`` says which."""
    return Range(said, lambda value: type(value) in (int, float) and holds(value), low, high)


def either(one: str, other: str) -> Range:
    """One of two texts."""
    return Range(f'"{one}" or "{other}"', lambda value: value in (one, other))


COUNT = whole(1, COUNT_MOST)
POSITIVE = real("a number above 0 and below infinity", lambda value: 0 < value <= sys.float_info.max)
SWITCH = Range("true or false", lambda value: type(value) is bool)


@dataclass(frozen=True)
class Entry:
    """How the Train page asks for a field.

    Args:
        label: beside what is entered.
        low, high: what the page offers, where that is less than the whole range.
        begin: where it begins, if not at the default.
        step: of a click.
        format: of the number, as in C.
        help: behind the question mark.
    """

    label: str
    low: float | None = None
    high: float | None = None
    begin: float | None = None
    step: float | None = None
    format: str | None = None
    help: str | None = None


@dataclass(frozen=True)
class Option:
    """All that is known of a field but its name, type and default.

    Args:
        range: what it may be; where its default is None, it may be that, too.
        help: what it is.
        entry: how a form asks for it.
        later: it came after the first checkpoints were written. At its default it is left out of their files, so that
            these stay the same.
    """

    range: Range
    help: str
    entry: Entry | None = None
    later: bool = False


def option(range: Range, help: str, entry: Entry | None = None, *, later: bool = False) -> dict[str, Option]:
    """The metadata of a field: see `Option`."""
    return {"option": Option(range, help, entry, later)}


class Options:
    """A dataclass whose fields all have an `Option`."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    def __post_init__(self) -> None:
        for name, (default, known) in options_of(type(self)).items():
            value, may_be_none = getattr(self, name), default is None
            if not (known.range.holds(value) or (may_be_none and value is None)):
                none = ", or none" if may_be_none else ""
                raise ValueError(f"{name} is {reprlib.repr(value)}; it must be {known.range.said}{none}")


def options_of(config: type[Options]) -> dict[str, tuple[Any, Option]]:
    """The default and the `Option` of each field, by its name."""
    return {field.name: (field.default, field.metadata["option"]) for field in fields(config)}


Config = TypeVar("Config", bound=Options)


def described(config: type[Config]) -> type[Config]:
    """The class with what its fields are in its docstring, where ``help`` and the command line look for it."""
    lines = [f"    {name}: {known.help}" for name, (_, known) in options_of(config).items()]
    raises = ["Raises:", "    ValueError: a value is out of its range; the sentence names the field."]
    config.__doc__ = "\n".join([f"{config.__doc__}", "", "Args:", *lines, "", *raises])
    return config


@described
@dataclass(frozen=True)
class ModelConfig(Options):
    """What a model is made of; how many tokens it knows is its vocabulary's."""

    cell: str = field(
        default="lstm",
        metadata=option(
            Range(
                f"one of {', '.join([*CELLS, *TREE_CELLS])}",
                lambda value: type(value) is str and value in {*CELLS, *TREE_CELLS},
            ),
            "a name in ``CELLS`` or, for the task tree, in ``TREE_CELLS``.",
        ),
    )
    embedding_size: int = field(
        default=64,
        metadata=option(whole(1, WIDE_MOST), "size of a token's vector.", Entry("embedding", high=4096)),
    )
    hidden_size: int = field(
        default=128, metadata=option(whole(1, WIDE_MOST), "units a layer.", Entry("units a layer"))
    )
    num_layers: int = field(
        default=1,
        metadata=option(whole(1, LAYERS_MOST), "recurrent layers, one over the other.", Entry("layers", high=8)),
    )
    dropout: float = field(
        default=0.0,
        metadata=option(
            real("at least 0 and below 1", lambda value: 0 <= value < 1, low=0.0),
            "share of values dropped between the layers while training.",
            Entry("dropout", high=0.9, step=0.05),
        ),
    )
    tie_weights: bool = field(
        default=False,
        metadata=option(SWITCH, "decode with the embedding matrix (needs embedding_size = hidden_size)."),
    )
    adaptive_softmax: bool = field(
        default=False,
        metadata=option(
            SWITCH,
            "score the rarer tokens only where one of them follows (Grave et al. 2017, "
            '"Efficient softmax approximation for GPUs"): faster training. '
            f"Needs a vocabulary of at least {ADAPTIVE_FROM:,} tokens, "
            "the commonest first as ``Vocabulary.of`` orders them; cannot be tied.",
            Entry("adaptive softmax", help=f"Trains faster where there are {ADAPTIVE_FROM:,} words or more."),
            later=True,
        ),
    )
    forget_bias: float | None = field(
        default=None,
        metadata=option(
            real("a number from -100 to 100", lambda value: abs(value) <= 100, -100, 100),
            "what the bias of the forget gate, or of another that keeps, begins with (Jozefowicz et al. 2015: 1); "
            "None leaves it as it was drawn.",
            later=True,
        ),
    )
    chrono: int | None = field(
        default=None,
        metadata=option(
            whole(3, 1_000_000),
            "let these biases begin so that the units keep their memory for anything up to so many steps, "
            "and the input gate's with their negative (Tallec & Ollivier 2018).",
            later=True,
        ),
    )

    embedding_std: float | None = field(
        default=None,
        metadata=option(
            POSITIVE,
            "draw the tokens' vectors from a normal distribution of this standard deviation, as torch does from one "
            "of 1; None: uniformly from -0.1 to 0.1.",
            later=True,
        ),
    )
    row_size: int | None = field(
        default=None,
        metadata=option(
            whole(1, SIDE_MOST),
            "pixels in a row of the images that it reads, which are as high; None: it reads tokens. The data decide.",
            later=True,
        ),
    )
    tokens_read: int | None = field(
        default=None,
        metadata=option(
            whole(1, VOCABULARY_MOST),
            "tokens that it reads, where what it says are labels or another text; None: those that it says. The data "
            "decide.",
            later=True,
        ),
    )
    labels_read: int | None = field(
        default=None,
        metadata=option(
            whole(1, CLASSES_MOST),
            "labels, one of which makes the state in which what it says begins; None: that is zero. The data decide.",
            later=True,
        ),
    )
    bidirectional: bool = field(
        default=False,
        metadata=option(
            SWITCH,
            "read in both directions, by so many units in each: what it says of a step may depend on what follows.",
            Entry("read in both directions", help="So many units in each; what it says may depend on what follows."),
            later=True,
        ),
    )
    attention: Attention | None = field(
        default=None,
        metadata=option(
            either("luong", "none"),
            'how one that says a sequence for another looks back at it: "luong", by the general score of Luong et al. '
            '2015, which is what None comes to; or "none": all that it says comes from one vector.',
            later=True,
        ),
    )
    letters: int | None = field(
        default=None,
        metadata=option(
            whole(1, 8),
            "where words are read by their letters: how many of these a filter sees side by side; embedding_size "
            'filters stand in the place of a table of words (Kim et al. 2016, "Character-aware neural language '
            'models"). None comes to 3 there.',
            later=True,
        ),
    )
    window: int | None = field(
        default=None,
        metadata=option(
            whole(1, 64),
            "in the place of cells one hidden layer over the vectors of the last so many tokens, side by side "
            '(Bengio et al. 2003, "A neural probabilistic language model"); needs cell rnn and one layer.',
            later=True,
        ),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if (units := self.directions * self.hidden_size * self.num_layers) > UNITS_MOST:
            both = ", in both directions," if self.bidirectional else ""
            raise ValueError(
                f"hidden_size times num_layers{both} is {units:,}; it must be at most {UNITS_MOST:,} units"
            )
        cell = cell_called(self.cell)
        output_size = cell.output_of(self.hidden_size)
        if self.tie_weights and self.embedding_size != output_size:
            projected = "" if output_size == self.hidden_size else f", projected to {output_size}"
            raise ValueError(
                f"tie_weights needs embedding_size = hidden_size{projected}; they are {self.embedding_size} and "
                f"{self.hidden_size}"
            )
        begins = self.forget_bias is not None, self.chrono is not None
        if all(begins):
            raise ValueError("forget_bias and chrono both say how the forget gate begins; leave one of them out")
        if any(begins) and not cell.keeping:
            raise ValueError(f"forget_bias and chrono start a gate that {self.cell} does not have; leave them out")
        if self.window is not None and (self.cell, self.num_layers) != ("rnn", 1):
            raise ValueError(
                f"window is {self.window}, a single layer without a memory; so cell must be rnn and num_layers 1, and "
                f"they are {self.cell} and {self.num_layers}"
            )
        if self.adaptive_softmax and self.tie_weights:
            raise ValueError("adaptive_softmax cannot decode with the embedding matrix; leave it or tie_weights out")
        if self.row_size is not None and (self.tie_weights or self.embedding_std is not None):
            raise ValueError("a model of images has no embedding matrix; leave tie_weights and embedding_std out")
        if self.row_size is not None and self.tokens_read is not None:
            raise ValueError("a model reads images or tokens; leave row_size or tokens_read out")
        if self.tie_weights and (self.bidirectional or self.tokens_read is not None):
            raise ValueError("a model that says labels has no embedding of them to decode with; leave tie_weights out")
        if self.attention is not None and (self.bidirectional or self.row_size or self.adaptive_softmax):
            raise ValueError(
                "a model that says one text for another reads it in both directions anyway, and decodes by a softmax; "
                "leave bidirectional and adaptive_softmax out"
            )
        if self.labels_read is not None and (
            self.row_size or self.tokens_read or self.attention or self.bidirectional or self.letters or self.window
        ):
            raise ValueError(
                "a text that a label begins is said from the left, by cells that read nothing else; leave row_size, "
                "tokens_read, attention, bidirectional, letters and window out"
            )
        if self.letters is not None and (
            self.tie_weights or self.embedding_std or self.row_size or self.attention or self.cell in TREE_CELLS
        ):
            raise ValueError(
                "a model that reads words by their letters has no table of words, and says labels of sentences; leave "
                "letters out, or tie_weights, embedding_std, row_size, attention and cells of trees"
            )
        if self.letters is not None and self.embedding_size > FILTERS_MOST:
            raise ValueError(
                f"embedding_size is {self.embedding_size:,}; of filters over letters there are at most {FILTERS_MOST}"
            )
        if self.window is not None and (self.row_size or self.tokens_read or self.bidirectional or self.letters):
            raise ValueError("a fixed window reads a text, from the left, and says its next token; leave window out")

    @property
    def directions(self) -> int:
        """How many cells a layer has: one for each direction in which it is read."""
        return 2 if self.bidirectional else 1

    def check_vocabulary(self, vocab_size: int) -> None:
        """Refuse a vocabulary that such a model cannot have.

        Args:
            vocab_size: number of tokens, specials included.

        Raises:
            ValueError: it is too small or too large.
        """
        if not (tokens := whole(1, VOCABULARY_MOST)).holds(vocab_size):
            raise ValueError(f"vocab_size is {vocab_size!r}; it must be {tokens.said}")
        if self.adaptive_softmax and vocab_size < ADAPTIVE_FROM:
            raise ValueError(
                f"adaptive_softmax needs a vocabulary of at least {ADAPTIVE_FROM:,} tokens; this one has {vocab_size:,}"
            )


@described
@dataclass(frozen=True)
class TrainConfig(Options):
    """How a model is trained."""

    corpus: str = field(
        metadata=option(
            Range(f"text of at most {TEXT_MOST:,} characters", lambda v: type(v) is str and len(v) <= TEXT_MOST),
            'a grammar ("brackets", "agreement", "recall"), the name of a text in corpora/, '
            "or the path of a text file or of a folder with train, valid and test; to classify, "
            '"digits" or a folder with the four idx files of MNIST; to classify_text, "recall", "agreement" or such '
            'files with a label, a tab and a text a line; to tag, "between" or such files with a token, a tab and its '
            'label a line and an empty line after each sequence; to caption, "sheep", "count" or files as for '
            'classify_text; to translate, "reverse", "sort", "dates" or such files with a text, a tab and the other a '
            'line; "expressions" to tag, or, as such a file with one a line, to tree.',
        )
    )
    level: Level = field(
        default="char",
        metadata=option(
            Range("char, word or letters", lambda value: value in ("char", "word", "letters")),
            '"char" or "word"; a grammar has its own; or, of labelled texts, "letters": words, each of which is read '
            "by its letters, also where it was never met. Words are cut as Unicode says (UAX #29); "
            "where a script writes no spaces (Chinese, Japanese but for katakana, Thai, Lao, Khmer, Burmese), "
            "each character is one.",
        ),
    )
    max_words: int | None = field(
        default=None,
        metadata=option(
            COUNT,
            "at word level, keep only this many of the commonest words; the rest become ``<unk>``.",
            Entry("commonest words kept", low=10, high=VOCABULARY_MOST, begin=10_000, step=1000),
        ),
    )
    min_count: int = field(
        default=1,
        metadata=option(
            COUNT,
            "keep only words (or characters) that the training part has at least so often.",
            Entry("that occur so often", high=1000),
            later=True,
        ),
    )
    bptt: int = field(
        default=64,
        metadata=option(
            COUNT,
            "tokens in one window of truncated backpropagation through time; the state is carried across windows.",
            Entry("BPTT window (tokens)", high=1000, begin=32),
        ),
    )
    batch_size: int = field(
        default=32, metadata=option(COUNT, "streams read side by side.", Entry("batch (streams)", high=1024))
    )
    learning_rate: float = field(
        default=2e-3,
        metadata=option(
            POSITIVE, "the optimiser's.", Entry("learning rate", low=1e-6, high=10.0, begin=5e-3, format="%g")
        ),
    )
    schedule: Schedule = field(
        default="cosine",
        metadata=option(
            Range("constant, cosine or plateau", lambda value: value in ("constant", "cosine", "plateau")),
            '"constant"; "cosine", down to nothing over ``steps``; or "plateau", a quarter at every evaluation '
            "that is no better than the best, until the third such cut ends the training.",
        ),
    )
    clip_norm: float = field(
        default=1.0,
        metadata=option(
            POSITIVE,
            "the gradient is scaled down to this norm where it is longer.",
            Entry("clip the gradient's norm at", low=1e-3, high=1e3),
        ),
    )
    steps: int = field(default=2000, metadata=option(COUNT, "optimiser steps at most."))
    eval_every: int = field(
        default=250, metadata=option(COUNT, "steps between two evaluations on the validation part.")
    )
    seed: int = field(
        default=0,
        metadata=option(
            whole(-SEED_MOST - 1, SEED_MOST),
            "of initialisation and dropout.",
            Entry("seed", low=0, high=2**31),
        ),
    )
    bfloat16: bool = field(
        default=False,
        metadata=option(
            SWITCH,
            "multiply matrices in bfloat16 while training; twice as fast at word level on processors that can.",
        ),
    )
    optimizer: Optimizer = field(
        default="adam",
        metadata=option(
            either("adam", "sgd"),
            '"adam" (Kingma & Ba 2015), which divides each gradient by its usual size; or "sgd", gradient descent '
            "as it is, which an exploding gradient throws far off.",
            later=True,
        ),
    )
    log_every: int = field(
        default=25,
        metadata=option(
            COUNT,
            "steps between two records of the loss and the longest gradient; each reads them off the device.",
            later=True,
        ),
    )
    objective: Objective = field(
        default="stream",
        metadata=option(
            either("stream", "windows"),
            '"stream": every token from all before it in the text; or "windows": every window of ``bptt`` tokens slid '
            "over each sentence, and only the token after it, ``batch_size`` windows a step.",
            later=True,
        ),
    )
    unseen_apart: bool = field(
        default=False,
        metadata=option(
            SWITCH,
            "words that the training part lacks are ``<unseen>``, of which nothing is learned, and not the ``<unk>`` "
            "that may stand in the text.",
            later=True,
        ),
    )
    task: Task = field(
        default="language",
        metadata=option(
            Range(f"one of {', '.join(get_args(Task))}", lambda value: value in get_args(Task)),
            '"language": the next token of a text; "classify": an image, read row by row, to its label; '
            '"classify_text": a text to its label; "tag": every token of a text to its label; '
            '"translate": a text to another; or "tree": an expression, as a tree, to the value of each of its '
            "operations.",
            later=True,
        ),
    )
    permuted: int | None = field(
        default=None,
        metadata=option(
            whole(0, 2**31),
            "shuffle the pixels of every image in the same way, drawn by this seed, before its rows are read (Le, "
            "Jaitly & Hinton 2015): what was one stroke is spread over all of them. None: as they are.",
            later=True,
        ),
    )
