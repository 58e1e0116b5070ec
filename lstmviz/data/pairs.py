"""Pairs of sequences: what is read, what is to be said for it, and which token each that is said comes from.

As a corpus ``(N, T, 3)``: one axis holds both sequences, each from its beginning. A step has a token that is read; the
one that was said before, whose number comes after those of all that are read; and the one that is to be said. Behind
what is read stands `PADDING`, behind what is to be said `IGNORED`.

In what is generated the right alignment is known, so that an attention can be held against it. A date is read as words
and said as ISO 8601 writes it: `the third of march nineteen ninety five` is `1995-03-03`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lstmviz.config import Level, TrainConfig
from lstmviz.data.corpora import PARTS
from lstmviz.data.labelled import check_lengths, digest_of_texts, lines, read_files
from lstmviz.data.vocabulary import EOS, IGNORED, OURS, PADDING, SOS, UNK, Corpus, Vocabulary, tokenise

if TYPE_CHECKING:
    from torch import Tensor

SYMBOLS, LONGEST = "0123456789", 12  # what is reversed and sorted, and how many of them at most
ORDINALS = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth "
    "sixteenth seventeenth eighteenth nineteenth"
).split()
MONTHS: Sequence[str] = "january february march april may june july august september october november december".split()
ONES = "one two three four five six seven eight nine".split()
TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
# The words of the days from 1, and of the years from 1910.
DAYS = [[word] for word in ORDINALS] + [["twentieth"], *(["twenty", word] for word in ORDINALS[:9])]
DAYS += [["thirtieth"], ["thirty", "first"]]
YEARS = [[word] for word in TEENS] + [[ten, *one] for ten in TENS for one in ([], *([word] for word in ONES))]
NOTHING = -1  # where what is said comes from no token


@dataclass(frozen=True)
class Pair:
    """A sequence, and what is to be said of it.

    Args:
        source: the tokens that are read.
        said: the tokens that are to be said.
        aligned: the place in ``source`` that each of these comes from, or `NOTHING`; None where that is not known.
    """

    source: Sequence[str]
    said: Sequence[str]
    aligned: Sequence[int] | None = None


def reversed_(source: Sequence[str]) -> Pair:
    """The same from the last to the first."""
    return Pair(source, source[::-1], range(len(source))[::-1])


def sorted_(source: Sequence[str]) -> Pair:
    """The same by size; of equal ones the first comes first."""
    order = sorted(range(len(source)), key=lambda place: source[place])
    return Pair(source, [source[place] for place in order], order)


def dated(source: Sequence[str]) -> Pair:
    """A date of the years 1910 to 1999. A number in one word is where both its digits come from.

    Raises:
        ValueError: it is no such date.
    """
    of, last = source.index("of"), len(source) - 1
    if [source[0], *source[of + 2 : of + 3]] != ["the", "nineteen"]:
        raise ValueError(f"{' '.join(source)} is no date of the years 1910 to 1999")
    day, month = DAYS.index([*source[1:of]]) + 1, MONTHS.index(source[of + 1]) + 1
    year = YEARS.index([*source[of + 3 :]]) + 1910
    aligned = [of + 2] * 2 + [of + 3, last, NOTHING] + [of + 1] * 2 + [NOTHING, 1, of - 1]
    return Pair(source, f"{year}-{month:02}-{day:02}", aligned)


def _symbols(rng: random.Random) -> list[str]:
    return rng.choices(SYMBOLS, k=rng.randint(1, LONGEST))


def _date(rng: random.Random) -> list[str]:
    day = date.fromordinal(rng.randint(date(1910, 1, 1).toordinal(), date(1999, 12, 31).toordinal()))
    return ["the", *DAYS[day.day - 1], "of", MONTHS[day.month - 1], "nineteen", *YEARS[day.year - 1910]]


@dataclass(frozen=True)
class Generated:
    """Pairs that are drawn.

    Args:
        draw: a sequence that is read.
        of: the pair of such a sequence.
        levels: of what is read, and of what is said.
    """

    draw: Callable[[random.Random], Sequence[str]]
    of: Callable[[Sequence[str]], Pair]
    levels: tuple[Level, Level] = ("char", "char")


GENERATED = {
    "reverse": Generated(_symbols, reversed_),
    "sort": Generated(_symbols, sorted_),
    "dates": Generated(_date, dated, ("word", "char")),
}


def known_pair(name: str, source: Sequence[str]) -> Pair | None:
    """What is to be said of a sequence of the data of that name; None where nobody knows, as of half a date."""
    try:
        return GENERATED[name].of(source) if name in GENERATED else None
    except ValueError:
        return None


def corpus_of(
    name: str,
    parts: Sequence[Sequence[Pair]],
    levels: tuple[Level, Level],
    says: Vocabulary | None = None,
    reads: Vocabulary | None = None,
    *,
    config: TrainConfig | None = None,
    sha256: str = "",
    licence: str = OURS,
) -> Corpus:
    """Pairs as a corpus, whose parts are ``(N, T, 3)``: see above.

    Args:
        name: of the corpus.
        parts: train, valid and test.
        levels: of what is read, and of what is said.
        says, reads: the tokens that a model knows; by default those of the training part.
        config: which of these; by default all.
        sha256: of the files; by default of the pairs.
        licence: of the texts.

    Raises:
        ValueError: a part or a sequence is empty, or a sequence is too long.
    """
    most, least = (config.max_words, config.min_count) if config else (None, 1)
    reads = reads or Vocabulary.of(levels[0], chain.from_iterable(pair.source for pair in parts[0]), most, least)
    says = says or Vocabulary.of(levels[1], chain.from_iterable(pair.said for pair in parts[0]), most, least)
    made = [_tensor(f"the {part} part of {name}", pairs, says, reads) for part, pairs in zip(PARTS, parts, strict=True)]
    sha256 = sha256 or digest_of_texts((tuple(pair.source), tuple(pair.said)) for pairs in parts for pair in pairs)
    return Corpus(name, says, *made, sha256=sha256, licence=licence, reads=reads)


def _tensor(what: str, pairs: Sequence[Pair], says: Vocabulary, reads: Vocabulary) -> Tensor:
    """``(N, T, 3)``, int32."""
    import torch

    if not all(pair.source for pair in pairs) or not pairs:
        raise ValueError(f"{what} has {'a pair of which nothing is read' if pairs else 'no pairs'}")
    longest = check_lengths(what, [max(len(pair.source), len(pair.said) + 1) for pair in pairs], 3)
    unknown, begin, end = reads.ids[UNK], says.ids[SOS], says.ids[EOS]
    found = np.empty((len(pairs), longest, 3), np.int32)
    found[...] = PADDING, PADDING, IGNORED
    for row, pair in zip(found, pairs, strict=True):
        said = says.encode_tokens(pair.said)
        # A text may have <pad> in it.
        row[: len(pair.source), 0] = [unknown if i == PADDING else i for i in reads.encode_tokens(pair.source)]
        row[: len(said) + 1, 1] = [len(reads) + i for i in (begin, *said)]
        row[: len(said) + 1, 2] = *said, end
    return torch.from_numpy(found)


def open_pairs(config: TrainConfig, says: Vocabulary | None, reads: Vocabulary | None) -> Corpus:
    """The pairs in a file, or in a folder with a train, a valid and a test file: on a line a text, a tab and the other.

    Args:
        config: names them.
        says, reads: as for `corpus_of`.

    Raises:
        ValueError: there are no such texts, a line is not of this form, or as in `corpus_of`.
    """
    levels = _level(reads, config), _level(says, config)
    found = read_files(config.corpus, lambda path: _pairs(path, *levels))
    return corpus_of(
        found.name, found.parts, levels, says, reads, config=config, sha256=found.sha256, licence=found.licence
    )


def _level(known: Vocabulary | None, config: TrainConfig) -> Level:
    return known.level if known and known.level != "label" else config.level


def _pairs(path: Path, *levels: Level) -> Iterator[Pair]:
    for line, where in lines(path):
        if not line.strip():
            continue
        texts = line.split("\t")
        if len(texts) != 2 or not all(map(str.strip, texts)):
            raise ValueError(f"{where} is not a text, a tab and the text that is to be said for it")
        source, said = (tokenise(text, level, tokenised=False) for text, level in zip(texts, levels, strict=True))
        yield Pair(source, said)
