"""Texts with labels, one to each token or one to the whole, out of files or generated.

A file of the first kind has a token, a tab and its label on a line, and an empty line after each sequence (as that of
CoNLL; of more columns the first and the last count). One of the second kind has a label, a tab and the text on a line.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from lstmviz.config import LABELLED_LONG, PADDED_MOST, SEQUENCE_MOST, Level, TrainConfig
from lstmviz.data.corpora import PARTS, about, digest_of_files, files_by_part, find_text, read_pieces
from lstmviz.data.vocabulary import IGNORED, OURS, PADDING, SPECIALS, SPELLED, UNK, Corpus, Vocabulary, tokenise
from lstmviz.disk import name_of

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")


class Labelled(NamedTuple):
    """A sequence with its labels.

    Args:
        tokens: of the text.
        labels: one to each token, or a single one, which is said after the last; None where none is asked.
    """

    tokens: Sequence[str]
    labels: Sequence[str | None]


class Files(NamedTuple, Generic[T]):
    """What was read from files.

    Args:
        parts: train, valid and test.
        name, licence: of the whole.
        sha256: of the files.
    """

    parts: Sequence[Sequence[T]]
    name: str
    sha256: str
    licence: str


def split(sequences: Sequence[T]) -> list[Sequence[T]]:
    """Train, valid and test: 80, 10 and 10 % of them, in their order."""
    first, second = len(sequences) * 8 // 10, len(sequences) * 9 // 10
    return [sequences[:first], sequences[first:second], sequences[second:]]


def corpus_of(
    name: str,
    parts: Sequence[Sequence[Labelled]],
    config: TrainConfig,
    labels: Vocabulary | None = None,
    reads: Vocabulary | None = None,
    *,
    sha256: str = "",
    licence: str = OURS,
) -> Corpus:
    """Labelled sequences as a corpus, whose parts are ``(N, T, X + 1)``: each step's token, X numbers, and its label.

    Args:
        name: of the corpus.
        parts: train, valid and test; each a list of sequences.
        config: its level, and of which tokens the vocabulary is made.
        labels, reads: the labels and tokens that a model knows; by default those of the training part.
        sha256: of the files; by default of the sequences.
        licence: of the texts.

    Raises:
        ValueError: a part or a sequence is empty, a sequence is too long, or it has a label that is not known.
    """
    tokens = chain.from_iterable(sequence.tokens for sequence in parts[0])
    known = sorted({label for sequence in parts[0] for label in sequence.labels if label is not None})
    reads = reads or Vocabulary.of(config.level, tokens, config.max_words, config.min_count)
    labels = labels or Vocabulary("label", tuple(known))
    made = [
        _tensor(f"the {part} part of {name}", found, labels, reads) for part, found in zip(PARTS, parts, strict=True)
    ]
    sha256 = sha256 or digest_of_texts([tuple(map(tuple, each)) for each in part] for part in parts)
    return Corpus(name, labels, *made, sha256=sha256, licence=licence, reads=reads)


def check_lengths(what: str, lengths: Sequence[int], columns: int) -> int:
    """The longest; each of the others is padded to it.

    Args:
        what: has sequences of these lengths.
        columns: numbers at each step.

    Raises:
        ValueError: it is too long, or they are too much together.
    """
    longest = max(lengths)
    if longest > SEQUENCE_MOST:
        raise ValueError(f"{what} has a sequence of {longest:,} tokens; at most {SEQUENCE_MOST:,} are read: cut it")
    if (size := len(lengths) * longest * columns) > PADDED_MOST:
        raise ValueError(
            f"{what} has {len(lengths):,} sequences, which are padded to the longest, {longest:,} tokens: {size:,} "
            f"numbers; at most {PADDED_MOST:,} are held: cut the longest, or take fewer"
        )
    return longest


def digest_of_texts(texts: Iterable[object]) -> str:
    """sha256 of texts that no file holds."""
    return hashlib.sha256(repr([*texts]).encode()).hexdigest()


def _tensor(what: str, sequences: Sequence[Labelled], labels: Vocabulary, reads: Vocabulary) -> Tensor:
    """``(N, T, X + 1)``, int32; behind a sequence stands padding. X is 1, or W for words by their letters."""
    import torch

    lengths = [len(sequence.tokens) for sequence in sequences]
    if not sequences or not all(lengths):
        raise ValueError(f"{what} has no sequences" if not sequences else f"{what} has a sequence without a token")
    width = SPELLED if reads.level == "letters" else 1
    longest = check_lengths(what, lengths, width + 1)
    label_ids = {None: IGNORED, **labels.ids}
    if strange := next((label for each in sequences for label in each.labels if label not in label_ids), None):
        raise ValueError(f"{what} has the label {strange}, which is not known; known are {', '.join(labels.tokens)}")
    ids = torch.tensor(reads.encode_tokens([token for each in sequences for token in each.tokens]), dtype=torch.int32)
    if width == 1:
        ids[ids == PADDING] = SPECIALS.index(UNK)  # a text may have <pad> in it
    said = torch.tensor([label_ids[label] for each in sequences for label in each.labels], dtype=torch.int32)
    step, end = torch.arange(longest), torch.tensor(lengths)[:, None]  # (T,), (N, 1)
    first = end - torch.tensor([len(each.labels) for each in sequences])[:, None]  # that has a label
    found = torch.tensor([*[PADDING] * width, IGNORED], dtype=torch.int32).repeat(len(sequences), longest, 1)
    found[..., :-1][step < end] = ids.view(-1, width)
    found[..., -1][(first <= step) & (step < end)] = said
    return found


def known_to(
    make: Callable[[Vocabulary | None, Vocabulary | None], Corpus], labels: Vocabulary | None, reads: Vocabulary | None
) -> Corpus:
    """What ``make`` makes for these labels and tokens; where they are the data's own, the same as without them."""
    corpus = make(None, None)
    is_own = labels in (None, corpus.vocabulary) and reads in (None, corpus.reads)
    return corpus if is_own else make(labels, reads)


def open_labelled(
    config: TrainConfig, labels: Vocabulary | None, reads: Vocabulary | None, *, each_token: bool
) -> Corpus:
    """The labelled texts in a file, a folder with a train, a valid and a test file, or one that was kept.

    Args:
        config: names them.
        labels, reads: as for `corpus_of`.
        each_token: every token has a label.

    Raises:
        ValueError: there are no such texts, a line is not of their form, or as in `corpus_of`.
    """
    level: Level = reads.level if reads and reads.level != "label" else config.level
    read = _tagged if each_token else classified
    found = read_files(config.corpus, lambda path: read(path, level))
    return corpus_of(found.name, found.parts, config, labels, reads, sha256=found.sha256, licence=found.licence)


def read_files(corpus: str, read: Callable[[Path], Iterator[T]]) -> Files[T]:
    """The sequences in a file, a folder with a train, a valid and a test file, or one that was kept.

    They come in an order that is drawn once and for all; of a single file 80, 10 and 10 % are the three parts.

    Args:
        corpus: where.
        read: a file's sequences.

    Raises:
        ValueError: there are no such texts, or they are too large.
    """
    path = find_text(corpus)
    files = files_by_part([path])
    every = [file for part in files.values() for file in part]
    if (size := sum(file.stat().st_size for file in every)) > LABELLED_LONG:
        raise ValueError(f"{path.name} has {size:,} bytes; at most {LABELLED_LONG:,} of such texts are read")
    parts = [[sequence for file in part for sequence in read(file)] for part in files.values()]
    for part in parts:
        random.Random(0).shuffle(part)
    parts = split(parts[0]) if len(parts) == 1 else parts
    kept = about(path)
    name, licence = (kept.name, kept.licence) if kept else (name_of(path.stem), "not stated")
    return Files(parts, name, digest_of_files(every), licence)


def lines(path: Path) -> Iterator[tuple[str, str]]:
    """Each line, and where it stands."""
    for number, line in enumerate("".join(read_pieces(path)).split("\n"), start=1):
        yield line, f"line {number:,} of {path.name}"


def _tagged(path: Path, level: Level) -> Iterator[Labelled]:
    found: list[tuple[str, str]] = []
    for line, where in lines(path):
        columns = line.split("\t") if "\t" in line else line.split()
        if not line.strip():
            if found:
                yield Labelled(*zip(*found, strict=True))
            found = []
        elif len(columns) < 2 or not columns[0] or not columns[-1].strip():
            raise ValueError(f"{where} is not a token, a tab and its label")
        elif level == "char" and len(columns[0]) > 1:
            raise ValueError(f"{where} has a token of several characters; say --level word")
        else:
            found.append((columns[0], columns[-1].strip()))
    if found:
        yield Labelled(*zip(*found, strict=True))


def classified(path: Path, level: Level) -> Iterator[Labelled]:
    """The texts of a file of the second kind.

    Raises:
        ValueError: a line is not of that form.
    """
    for line, where in lines(path):
        if not line.strip():
            continue
        label, tab, text = line.partition("\t")
        tokens = tokenise(text, "char" if level == "char" else "word", tokenised=False)
        if not label.strip() or not tab:
            raise ValueError(f"{where} is not a label, a tab and a text")
        if not tokens:
            raise ValueError(f"{where} has a label and no text; a sequence must not be empty")
        yield Labelled(tokens, [label.strip()])
