"""Texts on the disk: fetched, imported, and read in pieces, so that none of them has to fit into memory.

::

    corpora/NAME/corpus.json      name, licence and digest
                 text.txt         or train.txt, valid.txt and test.txt
                 word-10000-1.ids the tokens' ids, made when they are first asked for; the vocabulary is in the .json
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import re
import sys
import tempfile
import zipfile
from array import array
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any, cast
from urllib.parse import urlsplit

import numpy as np
from filelock import FileLock

from lstmviz.config import VOCABULARY_MOST, Level, TrainConfig
from lstmviz.data.grammars import GRAMMARS, generate
from lstmviz.data.vocabulary import SPECIALS, Corpus, Vocabulary, chunks, is_tokenised, words_of
from lstmviz.disk import name_of, read_fitted, reason, write_atomically
from lstmviz.home import Home

PARTS = ("train", "valid", "test")
PIECE = 1 << 20  # characters read, or ids handled, at once
WORDS_MOST = 5_000_000  # distinct, of a long text; the table of them would fill the memory
HELD_OUT_MOST = 1_000_000  # tokens of one file kept for validation: more would only make every evaluation slower

INDEX_MOST = 2**30  # bytes of the vocabulary beside them
KEPT_IDS = 3  # ways to cut a kept text whose ids stay beside it
RULES = 2  # of splitting, kept with the ids: those that an earlier version made by other rules are made anew

Bounds = list[tuple[int, int]]  # first and past the last of train, valid, test
Progress = Callable[[int, int], object]  # bytes done, bytes in all


@dataclass(frozen=True)
class Source:
    """A text that can be fetched.

    Args:
        title, licence: of the text.
        urls: where it is; tried in order.
        sha256: of what is fetched.
        size: in bytes.
    """

    title: str
    licence: str
    urls: tuple[str, ...]
    sha256: str
    size: int


SOURCES = {
    "tinyshakespeare": Source(
        "Tiny Shakespeare",
        "public-domain text",
        ("https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",),
        "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
        1_115_394,
    ),
    "wikitext-2": Source(
        "WikiText-2",
        "CC BY-SA 3.0",
        (
            "https://wikitext.smerity.com/wikitext-2-v1.zip",
            "https://s3.amazonaws.com/research.metamind.io/wikitext/wikitext-2-v1.zip",
        ),
        "92675f1d63015c1c8b51f1656a52d5bdbc33aafa60cc47a218a66e7ee817488c",
        4_475_746,
    ),
}

# Texts recognised by their digest wherever they lie, so that a card can name the data and its licence.
KNOWN_TEXTS = {
    SOURCES["tinyshakespeare"].sha256: ("Tiny Shakespeare", "public-domain text"),
    "e1752075abd6c0b514b1ba1fc9cb76dab37306597c7fa6e9eb165675018c6f2f": ("WikiText-2", "CC BY-SA 3.0"),
}


# ---- keeping texts ---------------------------------------------------------------------------------------------------


def kept(folder: Path) -> dict[str, Path]:
    """The texts that were fetched or imported into a folder, by name."""
    return {name: path for name, path in _folders(folder).items() if about(path)}


def spoiled(folder: Path) -> dict[str, str]:
    """Those of which cannot be read what they are, by name, and why."""
    found = {}
    for name, path in _folders(folder).items():
        try:
            read_fitted(About, path / "corpus.json")
        except (OSError, ValueError) as error:
            found[name] = reason(error)
    return found


def _folders(folder: Path) -> dict[str, Path]:
    """By their names, as `name_of` writes them."""
    with suppress(OSError):
        found = [path for path in sorted(Path(folder).iterdir()) if os.path.lexists(path / "corpus.json")]
        return {name_of(path): path for path in found}
    return {}


@dataclass(frozen=True)
class About:
    """What a kept text is: corpus.json.

    Args:
        name, licence: for the cards of models trained on it.
        sha256: of its files.
        characters: how many there are.
    """

    name: str
    licence: str
    sha256: str
    characters: int


def about(path: Path) -> About | None:
    """What a kept text is; nothing of a folder that is none."""
    with suppress(OSError, ValueError):
        return read_fitted(About, path / "corpus.json")
    return None


def fetch_text(name: str, folder: Path, progress: Progress | None = None) -> Path:
    """Download a text, check it against its digest, and keep it; what is there already is not fetched again.

    Raises:
        ValueError: there is no such text, or what came is not that text.
        OSError: none of its addresses answers.
    """
    if name not in SOURCES:
        raise ValueError(f"the text is {name!r}; those that can be fetched are {', '.join(SOURCES)}")
    if name in kept(folder):
        return kept(folder)[name]
    source = SOURCES[name]
    with tempfile.TemporaryDirectory() as scratch:
        fetched = Path(scratch, "fetched")
        failures: list[Exception] = []
        for url in source.urls:
            try:
                _download(url, source.sha256, fetched, progress)
                break
            except (OSError, ValueError) as error:  # a mirror that is down, or that holds something else
                failures.append(error)
        else:
            kind = ValueError if any(isinstance(failure, ValueError) for failure in failures) else OSError
            reasons = "; ".join(map(str, failures))
            raise kind(
                f"{source.title} could not be fetched ({reasons}); if you have it from elsewhere, "
                "python -m lstmviz corpus import takes it"
            )
        paths = [fetched]
        if zipfile.is_zipfile(fetched):
            with zipfile.ZipFile(fetched) as archive:
                members = [n for n in archive.namelist() if any(part in Path(n).name for part in PARTS)]
                paths = [Path(archive.extract(member, scratch)) for member in members]
        return import_text(paths, name, folder, title=source.title, licence=source.licence)


def import_text(
    paths: list[Path],
    name: str,
    folder: Path,
    *,
    title: str | None = None,
    licence: str = "not stated",
    progress: Progress | None = None,
) -> Path:
    """Check a text and keep a copy of it, piece by piece.

    Args:
        paths: a folder with one train, one valid and one test file, or UTF-8 text files: three with these words in
            their names are the three parts, any others are one text, in the order given.
        name: of the copy: letters, digits, dots, dashes and underscores.
        folder: where it goes.
        title, licence: of the text, for the cards of models trained on it.
        progress: called after every piece.

    Returns:
        The copy's folder.

    Raises:
        ValueError: a file is no text, or the name is taken or is none.
    """
    if not re.fullmatch(r"\w[\w.-]{0,99}", name, re.ASCII):
        raise ValueError(f"the name is {name!r}; it must be letters, digits, dots, dashes and underscores, at most 100")
    if name in GRAMMARS:
        raise ValueError(f"{name} is a generated grammar; choose another name")
    taken = ValueError(f"there is a text called {name} already; choose another name, or delete {Path(folder, name)}")
    if Path(folder, name).exists():
        raise taken
    parts = files_by_part(paths)
    files = [path for part in parts.values() for path in part]
    total, done, characters = sum(path.stat().st_size for path in files), 0, 0
    Path(folder).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=f".{name}.", ignore_cleanup_errors=True) as scratch:
        copy = Path(scratch, name)
        copy.mkdir()
        for part, sources in parts.items():
            piece = "\n"
            with (copy / f"{part}.txt").open("w", encoding="utf-8", newline="") as target:
                for path in sources:
                    if not piece.endswith("\n"):  # one file's last line and the next one's first are two lines
                        characters += target.write("\n")
                    for piece in read_pieces(path):
                        characters += target.write(piece)
                        done += len(piece.encode())
                        if progress:
                            progress(min(done, total), total)
        if characters < 2:
            raise ValueError(f"there is no text in {paths[0].name}")
        if progress:
            progress(total, total)
        digest = digest_of_files(files)
        title, licence = KNOWN_TEXTS.get(digest, (title or name, licence))
        described = About(title, licence, digest, characters)
        (copy / "corpus.json").write_text(json.dumps(asdict(described)), encoding="utf-8")
        try:
            os.rename(copy, Path(folder, name))  # of two that import the same name at once, one wins
        except OSError as error:
            raise (taken if error.errno in (errno.EEXIST, errno.ENOTEMPTY) else error) from error
    return Path(folder, name)


def _download(url: str, sha256: str, to: Path, progress: Progress | None) -> None:
    import pooch  # here, as few starts need them
    import requests

    pooch.get_logger().setLevel("ERROR")
    downloader = cast(Any, pooch.HTTPDownloader(progressbar=cast(Any, _Bar(progress) if progress else False)))
    try:
        pooch.retrieve(url, f"sha256:{sha256}", to.name, to.parent, downloader=downloader)
    except requests.ConnectionError as error:
        raise OSError(f"{urlsplit(url).hostname} cannot be reached") from error


class _Bar:
    """What pooch takes for a progress bar."""

    total = 0

    def __init__(self, progress: Progress) -> None:
        self.progress, self.done = progress, 0

    def update(self, size: int) -> None:
        self.done += size
        self.progress(min(self.done, self.total), self.total)

    def reset(self) -> None:
        self.done = 0

    def close(self) -> None:
        pass


# ---- reading texts ---------------------------------------------------------------------------------------------------


def open_corpus(config: TrainConfig, vocabulary: Vocabulary | None = None) -> Corpus:
    """The corpus that a training configuration names: a grammar, a text on the disk, or one that was kept.

    Raises:
        ValueError: there is no such text, or ``vocabulary`` is not the grammar's own.
    """
    if config.corpus in GRAMMARS:
        corpus = _generated(config.corpus)
        if vocabulary not in (None, corpus.vocabulary):
            raise ValueError(f"the model was not trained on {config.corpus}, so it does not know that grammar's tokens")
        return corpus
    cut = config.level, config.max_words, config.min_count, config.unseen_apart
    return load_corpus(find_text(config.corpus), *cut, vocabulary)


_generated = cache(generate)  # drawn once: every training of a process, and every look at the page, opens it


def find_text(corpus: str) -> Path:
    """Where a text is that is named by its path, or by its name if it was kept.

    Raises:
        ValueError: it is nowhere.
    """
    texts = kept(Home.here().corpora)
    if found := texts.get(corpus) or texts.get(name_of(corpus)):
        return found
    if (path := Path(corpus)).exists():
        return path
    fetched = f"; python -m lstmviz corpus fetch {corpus} fetches it" if corpus in SOURCES else ""
    raise ValueError(f"there is no file or folder at {corpus}{fetched}")


def load_corpus(
    path: Path,
    level: Level,
    max_words: int | None = None,
    min_count: int = 1,
    unseen_apart: bool = False,
    vocabulary: Vocabulary | None = None,
) -> Corpus:
    """Read a UTF-8 text file, a folder with one train, one valid and one test file, or the folder of a kept text.

    A single file is cut in order: at char level 90 % train and 10 % validation (which is then also the test stream), at
    word level 80/10/10, with at most ``HELD_OUT_MOST`` tokens a part held out. The ids stay on the disk, mapped into
    memory; a kept text keeps them for the next time.

    Args:
        path: file or folder.
        level: "char" or "word".
        max_words: keep only the commonest; the rest become ``<unk>``.
        min_count: keep only those that the training part has so often.
        unseen_apart: as in TrainConfig.
        vocabulary: use this one instead of building one, to evaluate a trained model.

    Raises:
        ValueError: nothing is there, it is no text, or a stream has fewer than two tokens.
    """
    import torch

    path = Path(path)
    files = [file for part in files_by_part([path]).values() for file in part]
    described = about(path)
    if described and vocabulary is None:
        vocabulary, bounds, ids = _kept_ids(path, files, level, max_words, min_count, unseen_apart)
    else:
        with tempfile.TemporaryFile() as file:  # the mapping outlives it
            vocabulary, bounds = _encode(files, file, level, max_words, min_count, unseen_apart, vocabulary)
            ids = np.memmap(file, np.int32, "r+")
    train, valid, test = (torch.from_numpy(ids[first:last]) for first, last in bounds)
    if described:
        return Corpus(described.name, vocabulary, train, valid, test, described.sha256, described.licence)
    digest = digest_of_files(files)
    name, licence = KNOWN_TEXTS.get(digest, (name_of(path.stem), "not stated"))
    return Corpus(name, vocabulary, train, valid, test, digest, licence)


def read_pieces(path: Path) -> Iterator[str]:
    """A text file in pieces of ``PIECE`` characters, without the mark and the line ends of Windows, which nobody types.

    Raises:
        ValueError: it is no UTF-8 text.
    """
    if not path.is_file():
        raise ValueError(f"there is no file at {path}")
    if zipfile.is_zipfile(path):
        raise ValueError(f"{path.name} is a zip archive; unpack it and give the text in it")
    with path.open("rb") as binary, io.TextIOWrapper(binary, encoding="utf-8-sig") as file:
        try:
            while piece := file.read(PIECE):
                if "\0" in piece:
                    raise ValueError(f"{path.name} holds NUL characters, so it is no plain text; save it as UTF-8 text")
                yield piece
        except UnicodeDecodeError as error:
            byte = max(0, binary.tell() - len(error.object)) + error.start
            raise ValueError(
                f"{path.name} is not UTF-8 text (near byte {byte:,}); save it as UTF-8, or unpack it, first"
            ) from error


def files_by_part(paths: list[Path]) -> dict[str, list[Path]]:
    """The files of train, valid and test, or all of them as one text, by the part.

    Args:
        paths: one folder, or files.

    Raises:
        ValueError: a folder has not just one file for each part, or a file is not there.
    """
    if len(paths) == 1 and paths[0].is_dir():
        (folder,) = paths
        if about(folder) and (folder / "text.txt").is_file():
            return {"text": [folder / "text.txt"]}
        found = _by_part([path for path in sorted(folder.iterdir()) if path.is_file()])
        for part, files in found.items():
            if len(files) != 1:
                raise ValueError(
                    f'{folder} must hold exactly one file with "{part}" in its name; it holds {len(files)}'
                )
        return found
    if missing := [path for path in paths if not path.is_file()]:
        raise ValueError(f"there is no file at {missing[0]}")
    found = _by_part(paths)
    return found if len(paths) == 3 and all(len(files) == 1 for files in found.values()) else {"text": paths}


def _by_part(paths: list[Path]) -> dict[str, list[Path]]:
    """By the word train, valid or test in a file's name; "latest" is none."""
    return {part: [path for path in paths if part in re.split(r"[\W_]+", path.name)] for part in PARTS}


def digest_of_files(files: list[Path]) -> str:
    """sha256 of what they hold, one after the other."""
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while data := file.read(PIECE):
                digest.update(data)
    return digest.hexdigest()


def _kept_ids(
    path: Path, files: list[Path], level: Level, max_words: int | None, min_count: int, unseen_apart: bool
) -> tuple[Vocabulary, Bounds, np.ndarray]:
    """The ids of a kept text, made at the first time they are asked for."""
    stem = path / f"{level}-{max_words or 'all'}-{min_count}{'-unseen' * unseen_apart}"
    found = _read_index(stem, level)
    if not found:
        with FileLock(path / ".lock"):
            found = _read_index(stem, level)  # another process may have made them meanwhile
            if not found:
                _keep_ids(stem, files, level, max_words, min_count, unseen_apart)
                found = _read_index(stem, level)
    if not found:
        raise ValueError(f"the ids of {path} cannot be kept beside it; delete {stem}.json and {stem}.ids")
    ids = np.memmap(stem.with_suffix(".ids"), np.int32, "c")
    return *found, ids


def _keep_ids(
    stem: Path, files: list[Path], level: Level, max_words: int | None, min_count: int, unseen_apart: bool
) -> None:
    for left in stem.parent.glob(".ids.*"):  # by a process that was killed
        left.unlink()
    handle, temporary = tempfile.mkstemp(dir=stem.parent, prefix=".ids.")
    try:
        with os.fdopen(handle, "w+b") as file:
            vocabulary, bounds = _encode(files, file, level, max_words, min_count, unseen_apart)
        os.chmod(temporary, 0o644)
        os.replace(temporary, stem.with_suffix(".ids"))
    except BaseException:
        os.unlink(temporary)
        raise
    written = str(stem.with_suffix(".ids").stat().st_mtime_ns)
    described = _Index(RULES, vocabulary.tokens, tuple(bounds), written)
    write_atomically(stem.with_suffix(".json"), json.dumps(asdict(described)).encode())
    # Every other vocabulary that was tried left its own; those being read stay until they are closed.
    for old in sorted(stem.parent.glob("*.ids"), key=lambda ids: ids.lstat().st_mtime)[:-KEPT_IDS]:
        with suppress(OSError):  # somebody's folder, say
            old.with_suffix(".json").unlink(missing_ok=True)
            old.unlink()


@dataclass(frozen=True)
class _Index:
    """What stands beside the ids of a kept text.

    Args:
        rules: by which it was split.
        tokens: of the vocabulary.
        bounds: of the parts.
        written: when the ids were, in nanoseconds since 1970: others are not those that were made.
    """

    rules: int
    tokens: tuple[str, ...]
    bounds: tuple[tuple[int, ...], ...]
    written: str


def _read_index(stem: Path, level: Level) -> tuple[Vocabulary, Bounds] | None:
    """The vocabulary of a kept text's ids and the bounds of its parts; None where they must be made, or made anew."""
    with suppress(OSError, ValueError):
        found, ids = read_fitted(_Index, stem.with_suffix(".json"), INDEX_MOST), stem.with_suffix(".ids").stat()
        ends = [end for part in found.bounds for end in part]
        if (
            found.rules == RULES
            and found.written == str(ids.st_mtime_ns)
            and [len(part) for part in found.bounds] == [2, 2, 2]
            and all(first <= last for first, last in found.bounds)
            and ids.st_size == 4 * max(ends)
        ):
            return Vocabulary(level, found.tokens), [(first, last) for first, last in found.bounds]
    return None


def _encode(
    files: list[Path],
    file: IO[bytes],
    level: Level,
    max_words: int | None,
    min_count: int,
    unseen_apart: bool,
    vocabulary: Vocabulary | None = None,
) -> tuple[Vocabulary, Bounds]:
    """Write a text's ids, int32, to an open file.

    Only the file is as long as the text. Tokens are numbered as they come, counted, and the numbers then changed, in
    place, for the ids of the vocabulary that the counts give.
    """
    tokenised = is_tokenised(next(read_pieces(files[0]), ""))  # the first part decides for all
    numbered = _Characters() if level == "char" else _Words(tokenised)
    numbers, lengths = numbered.numbers, []
    # Of a language, in which every fiftieth byte does not begin a new word for ever.
    most = min(WORDS_MOST, VOCABULARY_MOST + sum(path.stat().st_size for path in files) // 50)
    for path in files:
        lengths.append(0)
        for text in _whole_words(path) if level == "word" else read_pieces(path):
            tokens = numbered.of(text)
            file.write(tokens.data)
            lengths[-1] += len(tokens)
            if len(numbers) > most:
                raise ValueError(f"{path.name} has more than {most:,} distinct words; read it at char level")
    file.flush()
    bounds = _bounds(lengths, level)
    for part, (first, last), path in zip(PARTS, bounds, files if len(files) == 3 else files * 3, strict=True):
        if last - first < 2:
            raise ValueError(
                f"the {part} part of {path.name} has {last - first} tokens; at least 2 are needed to predict one"
            )
    ids = np.memmap(file, np.int32, "r+")
    if vocabulary is None:
        counts = np.zeros(len(numbers), np.int64)
        for piece in _in_pieces(ids[slice(*bounds[0])]):
            counts += np.bincount(piece, minlength=len(numbers))
        times = dict(zip(numbers, counts.tolist(), strict=True))
        vocabulary = Vocabulary.of(level, times, max_words, min_count, unseen_apart)
    new = np.array(vocabulary.encode_tokens(list(numbers)), np.int32)
    for piece in _in_pieces(ids):
        piece[:] = new[piece]
    ids.flush()
    return vocabulary, bounds


def _whole_words(path: Path) -> Iterator[str]:
    """A text in pieces that end between words, the last one with the end of its line."""
    rest = ""
    for piece in read_pieces(path):
        text = rest + piece
        end = max(text.rfind(" "), text.rfind("\n")) + 1 or len(text)  # a word as long as a piece is cut
        yield text[:end]
        rest = text[end:]
    if rest:
        yield rest + "\n"


class _Characters:
    """The characters of a text by numbers.

    Args:
        numbers: of the tokens that came so far; it grows.
    """

    def __init__(self) -> None:
        self.numbers = {token: i for i, token in enumerate(SPECIALS)}
        self.table = np.full(sys.maxunicode + 1, -1, np.int32)  # code point -> number

    def of(self, text: str) -> np.ndarray:
        """int32 ``(N,)``."""
        codes = np.frombuffer(text.encode("utf-32-le"), np.uint32)
        for code in np.unique(codes[self.table[codes] < 0]).tolist():
            self.table[code] = self.numbers.setdefault(chr(code), len(self.numbers))
        return self.table[codes]


class _Words(dict[str, int]):
    """The words of a text by numbers; chunk -> its place. Few chunks make up most of a text, and each is split once.

    Args:
        tokenised: as for `tokenise`.
    """

    def __init__(self, tokenised: bool) -> None:
        super().__init__()
        self.tokenised, self.numbers = tokenised, {token: i for i, token in enumerate(SPECIALS)}
        self.words, self.ends = array("i"), array("i", [0])  # of all chunks one after another; where each one's end

    def __missing__(self, chunk: str) -> int:
        place = self[chunk] = len(self)
        for word in words_of(chunk, self.tokenised):
            self.words.append(self.numbers.setdefault(word, len(self.numbers)))
        self.ends.append(len(self.words))
        return place

    def of(self, text: str) -> np.ndarray:
        """int32 ``(N,)``; at each end of a line stands ``<eos>``."""
        found = chunks(text, self.tokenised)
        places = np.fromiter(map(self.__getitem__, found), np.int32, len(found))
        words, ends = np.array(self.words, np.int32), np.array(self.ends, np.int32)
        begins = ends[places]
        many = ends[places + 1] - begins
        return words[np.repeat(begins - (np.cumsum(many) - many), many) + np.arange(many.sum())]


def _bounds(lengths: list[int], level: Level) -> Bounds:
    """Where the train, valid and test parts begin and end."""
    if len(lengths) == 3:
        ends = np.cumsum(lengths).tolist()
        return [*zip([0, *ends[:2]], ends, strict=True)]
    total = sum(lengths)
    if level == "char":
        first = max(int(total * 0.9), total - HELD_OUT_MOST)
        return [(0, first), (first, total), (first, total)]
    first, second = max(int(total * 0.8), total - 2 * HELD_OUT_MOST), max(int(total * 0.9), total - HELD_OUT_MOST)
    return [(0, first), (first, second), (second, total)]


def _in_pieces(ids: np.ndarray) -> Iterator[np.ndarray]:
    return (ids[start : start + PIECE] for start in range(0, len(ids), PIECE))
