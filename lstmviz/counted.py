"""A table of counts as a file: what was counted in a text, level by level, compressed; the loader trusts nothing in it.

A file is the length of its description (8 bytes, little-endian), the description as JSON, and as xz the `Counts`: for
each level how many runs begin with each run of the level before, the last token of each run, and how often it was
counted; as uint32, first the lowest bytes of all, then the next ones.
"""

from __future__ import annotations

import hashlib
import json
import lzma
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lstmviz import config as limits
from lstmviz.baselines import LONGEST, Counts, NGram
from lstmviz.checkpoint import CheckpointError
from lstmviz.config import Level
from lstmviz.data.vocabulary import SPECIALS, UNK, Corpus, Vocabulary
from lstmviz.disk import fitted, name_of, parsed, read_bytes, write_atomically

if TYPE_CHECKING:
    from torch import Tensor

SUFFIX = ".counts"
FORMAT = 1
MEMORY = 64 * 2**20  # bytes that xz may take for itself


@dataclass(frozen=True)
class About:
    """Where counts come from, and how good the n-grams made of them are.

    Args:
        level, tokens: of the vocabulary.
        runs: how many there are of each level.
        corpus_name, corpus_sha256, licence: of the text.
        command: the one that counted it.
        valid_nll, test_nll: for each n, nats per token of the interpolated Kneser-Ney n-gram.
        valid_unknown, test_unknown: the share of ``<unk>`` in what these are of.
    """

    level: Level
    tokens: tuple[str, ...]
    runs: tuple[int, ...]
    corpus_name: str
    corpus_sha256: str
    licence: str
    command: str
    valid_nll: tuple[float, ...]
    test_nll: tuple[float, ...]
    valid_unknown: float
    test_unknown: float
    format: int = FORMAT
    digest: str = ""


@dataclass(frozen=True, eq=False)
class Table:
    """Counts of a text, and where they come from."""

    counts: Counts
    about: About

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """Of the tokens that were counted."""
        return Vocabulary(self.about.level, self.about.tokens)

    def model(self, n: int) -> NGram:
        """The interpolated Kneser-Ney n-gram, of n from 1 to that of the longest runs."""
        return NGram(self.counts.up_to(n))


def count(corpus: Corpus, n: int, command: str) -> Table:
    """Count a text's training part, and evaluate the n-grams on the others.

    Args:
        n: the longest runs.
        command: what does it.

    Raises:
        ValueError: the text is too long, too short, or has too many different runs.
    """
    if len(corpus.train) > limits.COUNTED_MOST:
        raise ValueError(f"the text has {len(corpus.train):,} tokens; at most {limits.COUNTED_MOST:,} are counted")
    counts = Counts.of(corpus.train, n, len(corpus.vocabulary))
    if counts.size > limits.RUNS_MOST:
        raise ValueError(
            f"there are {counts.size:,} different runs of up to {n} tokens; a table holds at most "
            f"{limits.RUNS_MOST:,}: choose a smaller n, or fewer words"
        )
    models = [NGram(counts.up_to(k)) for k in range(1, n + 1)]

    level = corpus.vocabulary.level
    assert level != "label"  # it is of a text

    def results(part: Tensor) -> tuple[tuple[float, ...], float]:
        ids = np.asarray(part, np.int64)
        return tuple(float(model.nll(ids)[1:].mean()) for model in models), float(
            (ids[1:] == SPECIALS.index(UNK)).mean()
        )

    (valid_nll, valid_unknown), (test_nll, test_unknown) = results(corpus.valid), results(corpus.test)
    about = About(
        level=level,
        tokens=corpus.vocabulary.tokens,
        runs=tuple(map(len, counts.keys)),
        corpus_name=corpus.name,
        corpus_sha256=corpus.sha256,
        licence=corpus.licence,
        command=command,
        valid_nll=valid_nll,
        test_nll=test_nll,
        valid_unknown=valid_unknown,
        test_unknown=test_unknown,
    )
    return Table(counts, about)


def dumps(table: Table) -> bytes:
    """The table as the bytes of a file."""
    columns = b"".join(
        _planes(column)
        for parents, (keys, times) in zip(
            _parents(table.about.runs), zip(table.counts.keys, table.counts.times, strict=True), strict=True
        )
        for column in (
            np.bincount(keys // table.counts.vocab_size, minlength=parents),
            keys % table.counts.vocab_size,
            times,
        )
    )
    text = _text(replace(table.about, digest=_digest(table.about, columns)))
    return len(text).to_bytes(8, "little") + text + lzma.compress(columns)


def described(data: bytes) -> About:
    """What a file says of itself; whether that is so, only `loads` knows.

    Raises:
        CheckpointError: it is no table of counts, or one beyond the limits in ``lstmviz.config``.
    """
    end = 8 + int.from_bytes(data[:8], "little")
    if len(data) < 8 or end > len(data) or len(data) > limits.TABLE_MOST or end > limits.HEADER_MOST:
        raise CheckpointError("the file is cut short, too large, or no table of counts; download or copy it again")
    if data.count(b",", 8, end) > limits.VALUES_MOST or data.count(b"[", 8, end) > limits.LISTS_MOST:
        raise CheckpointError("the description of the table is larger than any that lstmviz writes")
    try:
        about = fitted(About, parsed(data[8:end]))
        if about.format != FORMAT:
            raise CheckpointError(f"the table has format {about.format}; this version reads format {FORMAT}")
        Vocabulary(about.level, about.tokens)
    except ValueError as error:
        raise CheckpointError(f"this is no table of counts that this app knows: {error}") from error
    if not _is_sane(about):
        raise CheckpointError("the table's sizes or figures are malformed")
    return about


def loads(data: bytes) -> Table:
    """Read a table, checking everything before it is used.

    Raises:
        CheckpointError: the bytes are no table of counts of some text, or there is more of something than the limits in
            ``lstmviz.config``.
    """
    about, end = described(data), 8 + int.from_bytes(data[:8], "little")
    size = sum(4 * (parents + 2 * runs) for parents, runs in zip(_parents(about.runs), about.runs, strict=True))
    try:
        unpack = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MEMORY)
        columns = unpack.decompress(data[end:], max_length=size + 1)
    except lzma.LZMAError as error:
        raise CheckpointError("the counts are damaged; download or copy the file again") from error
    if len(columns) != size or not unpack.eof or unpack.unused_data:
        raise CheckpointError("there are more or fewer counts in the file than it says")
    if about.digest != _digest(about, columns) or data[8:end] != _text(about):
        raise CheckpointError("the file was changed after it was written (its digest does not fit); copy it again")
    counts = _counts(columns, about.runs, len(about.tokens))
    if counts is None:
        raise CheckpointError("these numbers are not the counts of any text")
    return Table(counts, about)


def save(table: Table, path: Path) -> None:
    """Write a table whole."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    write_atomically(Path(path), dumps(table))


def load(path: Path) -> Table:
    """Read a table's file.

    Raises:
        CheckpointError: it cannot be read, or is not what `loads` takes.
    """
    return loads(_read(path))


def look(path: Path) -> About:
    """What a table's file says of itself.

    Raises:
        CheckpointError: as `described`, or it cannot be read.
    """
    return described(_read(path))


def _read(path: Path) -> bytes:
    try:
        return read_bytes(Path(path), limits.TABLE_MOST)
    except OSError as error:
        raise CheckpointError(f"{name_of(path)} cannot be read: {error.strerror}") from error


def _parents(runs: tuple[int, ...]) -> tuple[int, ...]:
    """How many runs the level before each has; before the first is the empty run."""
    return (1, *runs[:-1])


def _planes(column: np.ndarray) -> bytes:
    """Numbers ``(N,)`` as uint32: first the lowest bytes of all, which xz finds more alike."""
    return np.ascontiguousarray(column.astype("<u4").view(np.uint8).reshape(-1, 4).T).tobytes()


def _counts(columns: bytes, runs: tuple[int, ...], vocab_size: int) -> Counts | None:
    """The counts that these columns stand for; None where a text cannot have been counted so."""
    planes = np.frombuffer(columns, np.uint8)
    found = Counts(vocab_size, [], [])

    def column(size: int) -> np.ndarray:
        nonlocal planes
        taken, planes = planes[: 4 * size], planes[4 * size :]
        return np.ascontiguousarray(taken.reshape(4, size).T).view("<u4")[:, 0].astype(np.int64)

    for parents, size in zip(_parents(runs), runs, strict=True):
        many, tokens, times = column(parents), column(size), column(size)
        if many.sum() != size or tokens.max() >= vocab_size or times.min() < 1:
            return None
        keys = np.repeat(np.arange(parents) * vocab_size, many) + tokens
        if (keys[1:] <= keys[:-1]).any():
            return None
        found.keys.append(keys)
        found.times.append(times)
    # What goes on was there, and so it is without its first token; only the text's end goes on with nothing.
    for k in range(2, found.n + 1):
        alone = found.times[k - 2] - found.summed(k, found.times[k - 1])
        if alone.min() < 0 or alone.sum() != 1:
            return None
    return None if any((ends < 0).any() for ends in found.ends()) else found


def _is_sane(about: About) -> bool:
    """Whether sizes, figures and names are some that a table may have."""
    n, (first, *_) = len(about.runs), (*about.runs, 0)
    figures = (*about.valid_nll, *about.test_nll)
    shares = about.valid_unknown, about.test_unknown
    return (
        1 <= n <= LONGEST
        and min(about.runs) > 0
        and sum(about.runs) <= limits.RUNS_MOST
        and first <= len(about.tokens)
        and all(a <= b * len(about.tokens) for b, a in pairwise(about.runs))
        and len(about.valid_nll) == len(about.test_nll) == n
        and all(0 <= nll <= limits.FIGURE_MOST for nll in figures)
        and all(0 <= share <= 1 for share in shares)
        and max(len(about.corpus_name), len(about.corpus_sha256), len(about.digest)) <= limits.NAME_MOST
        and max(len(about.licence), len(about.command)) <= limits.TEXT_MOST
    )


def _text(about: About) -> bytes:
    return json.dumps(vars(about), sort_keys=True, allow_nan=False).encode()


def _digest(about: About, columns: bytes) -> str:
    digest = hashlib.sha256(_text(replace(about, digest="")))
    digest.update(columns)
    return digest.hexdigest()
