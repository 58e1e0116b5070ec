"""N–N: a label for every token of a text.

`between` is made so that one direction alone cannot say it. A text is symbols, each of them one of K = 3, with
stretches of fillers between them; its first and its last token are symbols. The label of a token is two symbols: the
last up to it and the next from it on. So of a symbol it is that symbol twice, and of a filler it needs what stands
before *and* after: `a x x b` has `aa ab ab bb`.

Who reads from one side knows one of a filler's two symbols, and the other is any of K with the same chance, whatever
stands on that side. With M stretches on average, each of G fillers on average, a text has M + 1 symbols and M G
fillers, and the best that one direction alone can reach is (M + 1 + M G / K) / (M + 1 + M G) = 10/21, 47.62 %, from
either side; both together know all. In the validation and the test part no luck can go beyond it: they have the same
stretches between each choice of symbols, so after every beginning, and before every end, each symbol comes as often.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from fractions import Fraction
from functools import cache, partial
from itertools import product

from lstmviz.config import Level, TrainConfig
from lstmviz.data import nonsense
from lstmviz.data.expressions import DEEPEST, DIGITS, EXPRESSIONS, LEAST, draw, drawn, texts_of, values_along
from lstmviz.data.expressions import LONGEST as NODES
from lstmviz.data.labelled import Labelled, corpus_of, known_to, open_labelled
from lstmviz.data.nonsense import NONSENSE
from lstmviz.data.vocabulary import Corpus, Vocabulary
from lstmviz.tasks.base import Task, tokens_and_labels

BETWEEN, SYMBOLS, FILLERS = "between", "abc", "xyz"
STRETCHES, LONGEST = 3, 10  # of a text from 1 to so many, of from 1 to so many fillers, all with the same chance
TEXTS = 8_000  # of the training part


def one_direction() -> Fraction:
    """The best accuracy on `between` that reading from one side alone can reach."""
    m, g, k = Fraction(1 + STRETCHES, 2), Fraction(1 + LONGEST, 2), len(SYMBOLS)
    return (m + 1 + m * g / k) / (m + 1 + m * g)


def tagged(symbols: Sequence[str], stretches: Sequence[Sequence[str]]) -> Labelled:
    """The text of these symbols with these stretches of fillers between them."""
    tokens = [symbols[0]]
    for fillers, after in zip(stretches, symbols[1:], strict=True):
        tokens += [*fillers, after]
    return Labelled(tokens, around(tokens))


def around(tokens: Sequence[str]) -> list[str | None]:
    """The last symbol up to each token, and the next from it on; None where there is none."""

    def last(some: Iterable[str]) -> list[str]:
        symbol, found = "", []
        for token in some:
            symbol = token if token in SYMBOLS else symbol
            found.append(symbol)
        return found

    both = zip(last(tokens), reversed(last(reversed(tokens))), strict=True)
    return [before + after if before and after else None for before, after in both]


def _drawn(rng: random.Random) -> Labelled:
    stretches = [rng.choices(FILLERS, k=rng.randint(1, LONGEST)) for _ in range(rng.randint(1, STRETCHES))]
    return tagged(rng.choices(SYMBOLS, k=len(stretches) + 1), stretches)


def _without_luck(rng: random.Random) -> list[Labelled]:
    """As many texts of each number of stretches, and stretches of each length, all with every choice of symbols."""
    found = []
    for count in range(1, STRETCHES + 1):
        for turn in range(LONGEST * len(SYMBOLS) ** (STRETCHES - count)):
            stretches = [rng.choices(FILLERS, k=1 + (turn + 3 * i) % LONGEST) for i in range(count)]
            found += [tagged(symbols, stretches) for symbols in product(SYMBOLS, repeat=count + 1)]
    rng.shuffle(found)
    return found


@cache
def _between(labels: Vocabulary | None, reads: Vocabulary | None) -> Corpus:
    rng = random.Random(0)
    parts = [_drawn(rng) for _ in range(TEXTS)], _without_luck(rng), _without_luck(rng)
    return corpus_of(BETWEEN, parts, TrainConfig(BETWEEN), labels, reads)


@cache
def _nonsense(level: Level, labels: Vocabulary | None, reads: Vocabulary | None) -> Corpus:
    # A word that comes once is <unk>, so that who knows words only whole learns what to say of one that they lack.
    config = TrainConfig(NONSENSE, level, min_count=2 if level == "word" else 1)
    return corpus_of(NONSENSE, nonsense.drawn(), config, labels, reads)


@cache
def _expressions(labels: Vocabulary | None, reads: Vocabulary | None) -> Corpus:
    return texts_of(EXPRESSIONS, drawn(), labels, reads)


def _written(rng: random.Random) -> list[str]:
    return [token for token, _ in draw(rng, rng.randint(1, DEEPEST), NODES).tokens()]


def _open(config: TrainConfig, labels: Vocabulary | None, reads: Vocabulary | None) -> Corpus:
    if config.corpus == BETWEEN:
        return known_to(_between, labels, reads)
    if config.corpus == EXPRESSIONS:
        return known_to(_expressions, labels, reads)
    if config.corpus == NONSENSE:
        level = reads.level if reads else config.level
        return known_to(partial(_nonsense, "letters" if level == "letters" else "word"), labels, reads)
    return open_labelled(config, labels, reads, each_token=True)


TAG = Task(
    "tag",
    "a text: a label for every token",
    (BETWEEN, EXPRESSIONS, NONSENSE),
    _open,
    tokens_and_labels,
    drawn={BETWEEN: lambda rng: _drawn(rng).tokens, EXPRESSIONS: _written, NONSENSE: nonsense.another},
    right={BETWEEN: around, EXPRESSIONS: values_along, NONSENSE: nonsense.kinds_of},
    tables={
        BETWEEN: {"symbols": [*SYMBOLS]},
        EXPRESSIONS: {"digits": DIGITS, "least": LEAST},
        NONSENSE: {"endings": nonsense.ENDINGS, "names": nonsense.NAMES, "known": nonsense.KNOWN},
    },
    known={
        BETWEEN: f"read from one side alone, by whatever model, at most {float(one_direction()):.2%} are right",
        NONSENSE: "of words that it never met, a model that knows them only whole can expect to be right in half",
    },
)
