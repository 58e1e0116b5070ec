"""Text to token ids and back: vocabularies, tokenising and corpora."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from torch import Tensor

Level = Literal["char", "word"]
PAD, UNK, SOS, EOS = SPECIALS = ("<pad>", "<unk>", "<sos>", "<eos>")

NEWLINE_SIGN = "⏎"
SPACE_SIGN = "␣"

# One word-level token: a bracketed special, WikiText's @-@ joints, a clitic, a word, or one other visible character.
_WORD = re.compile(r"<\w+>|@[-,.]@|['’]\w+|\w+|[^\w\s]")
_PROSE = re.compile(rf"\n|{_WORD.pattern}")
_SPLIT = re.compile(r"\n|\S+")


@dataclass(frozen=True)
class Vocabulary:
    """The tokens a model knows; a token's id is its place in ``tokens``.

    Args:
        level: "char" or "word".
        tokens: all different, specials first: ``<pad> <unk> <sos> <eos>``.

    Raises:
        ValueError: the level is unknown, a token is repeated or the specials are not first.
    """

    level: Level
    tokens: tuple[str, ...]
    ids: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.level not in ("char", "word"):
            raise ValueError(f'level is {self.level!r}; it must be "char" or "word"')
        if self.tokens[: len(SPECIALS)] != SPECIALS:
            raise ValueError(f"tokens must begin with {' '.join(SPECIALS)}")
        if not all(isinstance(token, str) and token for token in self.tokens):
            raise ValueError("tokens must be strings that are not empty")
        object.__setattr__(self, "ids", {token: i for i, token in enumerate(self.tokens)})
        if len(self.ids) != len(self.tokens):
            raise ValueError("tokens must all be different")

    def __len__(self) -> int:
        return len(self.tokens)

    @classmethod
    def of(
        cls,
        level: Level,
        tokens: Iterable[str] | Mapping[str, int],
        max_size: int | None = None,
        min_count: int = 1,
    ) -> Vocabulary:
        """The commonest ``max_size`` distinct tokens (all by default) that occur ``min_count`` times, in that order.

        Args:
            tokens: a text, or how often each token occurs in it.
        """
        counts = {
            token: times for token, times in Counter(tokens).items() if times >= min_count and token not in SPECIALS
        }
        # Ties are broken alphabetically, so that the same corpus always gives the same ids.
        ordered = sorted(counts, key=lambda token: (-counts[token], token))
        return cls(level, SPECIALS + tuple(ordered[:max_size]))

    @property
    def end(self) -> int:
        """The id that ends a line: the newline of characters, ``<eos>`` of words; where there is none, ``<eos>``."""
        return self.ids.get("\n", self.ids[EOS])

    def split(self, text: str) -> list[str]:
        """Split typed text the way this vocabulary's corpus is split; every piece is kept as it was typed.

        A newline (or ⏎) is one character at char level and ``<eos>`` at word level. At word level a piece that the
        vocabulary holds stays whole; others fall apart into words, clitics ("did n't" or "didn 't", whichever the
        corpus writes) and punctuation.
        """
        text = text.replace("\r\n", "\n").replace(NEWLINE_SIGN, "\n")
        if self.level == "char":
            return list(text.replace(SPACE_SIGN, " "))
        pieces: list[str] = []
        for line_number, line in enumerate(text.split("\n")):
            if line_number:
                pieces.append(EOS)
            for chunk in line.split():
                pieces.extend([chunk] if self._known(chunk) else self._split_chunk(chunk))
        return pieces

    def _split_chunk(self, chunk: str) -> list[str]:
        if "@-@" in self.ids:  # WikiText writes joints inside words and numbers as tokens of their own
            chunk = re.sub(r"(?<=\w)-(?=\w)", " @-@ ", chunk)
            chunk = re.sub(r"(?<=\d)([,.])(?=\d)", r" @\1@ ", chunk)
        if "n't" in self.ids:  # Penn Treebank: did n't; WikiText: didn 't
            chunk = re.sub(r"(?i)(?<=\w)(n['’]t)\b", r" \1 ", chunk)
        words: list[str] = []
        for piece in chunk.split():
            words.extend([piece] if self._known(piece) else _WORD.findall(piece))
        return words

    def _normalise(self, piece: str) -> str:
        """The spelling to look up: an ASCII apostrophe for a curly one, lower case where the corpus has no other."""
        if self.level == "char" or piece in self.ids:
            return piece
        piece = piece.replace("’", "'")
        return piece if piece in self.ids or self.has_case else piece.lower()

    def _known(self, piece: str) -> bool:
        return self._normalise(piece) in self.ids

    @cached_property
    def has_case(self) -> bool:
        """Whether any token has a capital letter ("N" alone is the Treebank's sign for a number)."""
        return any(token != "N" and token != token.lower() for token in self.tokens)

    def encode(self, text: str) -> list[int]:
        """Token ids of typed text; pieces the vocabulary lacks become ``<unk>``."""
        return self.encode_tokens(self.split(text))

    def encode_tokens(self, tokens: Sequence[str]) -> list[int]:
        """Ids of pieces that are split already."""
        unknown = self.ids[UNK]
        return [self.ids.get(self._normalise(token), unknown) for token in tokens]

    def decode(self, ids: Iterable[int]) -> str:
        """Ids to text: joined as they are at char level, by spaces (and newlines for ``<eos>``) at word level."""
        tokens = [self.tokens[i] for i in ids]
        if self.level == "char":
            return "".join(tokens)
        return re.sub(r" ?\n ?", "\n", " ".join("\n" if token == EOS else token for token in tokens))

    def display(self, i: int) -> str:
        """A token as a person should see it: ⏎ for newline, ␣ for space."""
        token = self.tokens[i]
        if token == EOS and self.level == "word":
            return NEWLINE_SIGN
        return visible(token)


def visible(text: str) -> str:
    """Text with its white space and control characters made visible."""
    text = text.replace("\n", NEWLINE_SIGN).replace(" ", SPACE_SIGN).replace("\t", "⇥")
    return "".join(chr(0x2400 + ord(c)) if ord(c) < 32 else c for c in text)


def plain(text: str) -> str:
    """A text that Markdown shows as it is, in a line: what comes from a file or a person can be neither link nor image.

    Markdown makes links of bare addresses, too: into those goes a zero-width space, which nobody sees.
    """
    text = re.sub(r"(?i)(?<=www)(?=\.)|(?<=:)(?=//)|(?=@)", "\u200b", " ".join(text.split()))
    text = re.sub(r"([\\`*_{}\[\]<>!$:~#&]|^[-+])", r"\\\1", text)
    return re.sub(r"^(\d+)([.)])", r"\1\\\2", text)


@dataclass(frozen=True)
class Corpus:
    """A text split into three streams of token ids.

    Args:
        name: how the user named it.
        vocabulary: built from the training stream alone.
        train, valid, test: ids, each ``(N,)``; int32 where they lie on the disk.
        sha256: digest of the source bytes, so that a checkpoint can say which text it saw.
        licence: of the text, where known.
    """

    name: str
    vocabulary: Vocabulary
    train: Tensor
    valid: Tensor
    test: Tensor
    sha256: str
    licence: str = "not stated"


def is_tokenised(text: str) -> bool:
    """Whether a text is split already: marks and clitics stand alone more often than they touch a word."""
    alone = re.findall(r"\s(?:[,.?!]|<unk>|n't|'s)(?=\s)", text)
    return len(alone) > len(re.findall(r"\w[,?!](?=\s|$)", text))


def tokenise(text: str, level: Level, tokenised: bool) -> list[str]:
    """A corpus's text as tokens; at word level every newline is ``<eos>``.

    Args:
        text: with "\n" for the end of a line.
        level: "char" or "word".
        tokenised: white space stands between all its tokens already.
    """
    if level == "char":
        return list(text)
    pieces = (_SPLIT if tokenised else _PROSE).findall(text)
    return [EOS if piece == "\n" else piece for piece in pieces]
