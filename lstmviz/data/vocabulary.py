"""Text to token ids and back: vocabularies, tokenising and corpora."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal
from unicodedata import normalize

import regex
from torch import Tensor

from lstmviz.config import CLASSES_MOST, TOKEN_MOST, TOKENS_LONG, VOCABULARY_MOST, Attention, Level
from lstmviz.disk import sayable

PAD, UNK, SOS, EOS = SPECIALS = ("<pad>", "<unk>", "<sos>", "<eos>")
PADDING = SPECIALS.index(PAD)  # what stands behind a sequence that is shorter than others
IGNORED = -100  # the label of a step at which none is asked, as in F.cross_entropy
APART = "<unseen>"  # in a vocabulary that has it: what it lacks, in place of <unk>

NEWLINE_SIGNS, SPACE_SIGNS = "⏎␤↵", "␣␠⎵"  # of each the first that no token of a vocabulary has
NEWLINE_SIGN, SPACE_SIGN = NEWLINE_SIGNS[0], SPACE_SIGNS[0]

# ---- words -----------------------------------------------------------------------------------------------------------

# What a word is, as Unicode says (UAX #29), in the syntax that both the regex package and JavaScript's flag v read.
# Each class is that of the annex, in properties that both know. On purpose otherwise: English clitics, the joints of
# WikiText and bracketed specials are tokens of their own; every white space parts words, also the narrow one and that
# of no width; and where the annex leaves words to dictionaries (Thai, Lao, Khmer, Burmese), a character with all its
# marks and the letters under it is a token, as a Chinese one and a Japanese one that is no katakana are.
_UNSPACED = (
    r"\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}"
    r"\p{Script=Tai_Le}\p{Script=New_Tai_Lue}\p{Script=Tai_Tham}\p{Script=Tai_Viet}\p{Script=Ahom}"
)
_PREFIXED = r"\u0600-\u0605\u06dd\u0890\u0891\u08e2" + "\U000110bd\U000110cd"  # signs before a number, not after one
_KANA_MARKS = r"\u3031-\u3035\u309b\u309c\u30a0\u30fc\uff70"
_LETTERLIKE = r"\u00b8\u02c2-\u02d7\u02de-\u02ff\u055a-\u055c\u055e\u058a\u05f3\u070f\ua708-\ua721\ua789\ua78a\uab5b"
_EXTEND = rf"[[\p{{M}}\p{{Cf}}\p{{Emoji_Modifier}}\u0e33\u0eb3\uff9e\uff9f]--[{_PREFIXED}\u070f\u200b]]"
_KATAKANA = rf"[[\p{{Script=Katakana}}{_KANA_MARKS}]--\p{{M}}]"
_HEBREW = r"[\p{Script=Hebrew}&&\p{L}]"
_LETTER = (
    rf"[[\p{{Alphabetic}}{_LETTERLIKE}]--[\p{{M}}\p{{Nd}}\p{{Ideographic}}\p{{Script=Hiragana}}\p{{Script=Katakana}}"
    rf"{_KANA_MARKS}\uff9e\uff9f{_UNSPACED}]]"
)
_DIGIT = rf"[\p{{Nd}}\u066b\u19da{_PREFIXED}]"
_BETWEEN_BOTH = r".'\u2018\u2019\u2024\ufe52\uff07\uff0e"
_BETWEEN_LETTERS = rf"[\:\u00b7\u0387\u055f\u05f4\u2027\ufe13\ufe55\uff1a{_BETWEEN_BOTH}]"
_BETWEEN_DIGITS = rf"[,;\u037e\u0589\u060c\u060d\u066c\u07f8\u2044\ufe50\ufe54\uff0c\uff1b{_BETWEEN_BOTH}]"

# Marks belong to what they follow; a joiner joins the next pictograph, a virama the letter that is written under it.
_MARKS = rf"(?:{_EXTEND}|(?<=\u200d)\p{{Extended_Pictographic}}|(?<=[\u1039\u17d2\u1a60])\p{{L}})*"
_INSIDE = r"[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}]"
_CLITIC = rf"['’](?:[sStTdDmM]|[rR][eE]|[vV][eE]|[lL][lL])(?!{_INSIDE})"
_SPECIAL = rf"<{_INSIDE}+>|@[\-,.]@"

_RUN = (
    rf"(?:{_HEBREW}{_MARKS}[\x22]{_MARKS}(?={_HEBREW})"  # abbreviations have what looks like a quote
    rf"|{_LETTER}{_MARKS}(?:(?!{_CLITIC}){_BETWEEN_LETTERS}{_MARKS}(?={_LETTER}))?"
    rf"|{_DIGIT}{_MARKS}(?:{_BETWEEN_DIGITS}{_MARKS}(?={_DIGIT}))?)+"
    rf"|(?:{_KATAKANA}{_MARKS})+"
)
_GERESH = rf"(?:(?<={_HEBREW}{_EXTEND}*)'{_MARKS})?"  # which may end a Hebrew word
_UNDERSCORES = rf"(?:\p{{Pc}}{_MARKS})"
_FLAG = rf"\p{{Regional_Indicator}}{_MARKS}\p{{Regional_Indicator}}{_MARKS}"
_OTHER = rf"[^\p{{White_Space}}\p{{Default_Ignorable_Code_Point}}]{_MARKS}"  # what nobody sees is no token of its own

WORD = (
    rf"{_SPECIAL}|{_CLITIC}|{_UNDERSCORES}*(?:{_RUN})(?:{_UNDERSCORES}+(?:{_RUN}))*{_UNDERSCORES}*{_GERESH}"
    rf"|{_UNDERSCORES}+|{_FLAG}|{_OTHER}"
)
# Letters and digits by themselves: how WikiText cuts, and what a word that a vocabulary lacks may fall apart into.
PART = rf"{_SPECIAL}|['’](?:{_INSIDE}|{_EXTEND})+|{_INSIDE}(?:{_INSIDE}|{_EXTEND})*|{_FLAG}|{_OTHER}"
# A character with its marks, the letters of a Korean syllable written one by one, or whatever there is.
CHARACTER = r"[\u1100-\u1112][\u1161-\u1175][\u11a8-\u11c2]?|\P{M}\p{M}+|[\s\S]"

_WORD, _PART, _CHARACTER = (regex.compile(pattern, regex.V1) for pattern in (WORD, PART, CHARACTER))
_PROSE = regex.compile(r"[\n\v\f\x85\u2028\u2029]|\P{White_Space}+")  # whatever ends a line, or a chunk
_ODD = re.compile(r"[\v\f\x1c-\x1f\x85\u2028\u2029]")  # other ends of lines, and what only Python takes for white space


def _words(chunk: str) -> tuple[str, ...]:
    """What stands between two white spaces, as words and marks."""
    return (chunk,) if chunk.isascii() and chunk.isalnum() else tuple(_WORD.findall(chunk))


def well_formed(text: str) -> str:
    """Text that can be written as UTF-8: half a surrogate pair becomes �, and a line ends with \\n alone.

    The mark that some systems begin a file with goes.
    """
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return re.sub("\r\n?", "\n", text.removeprefix("\ufeff"))


# ---- vocabularies ----------------------------------------------------------------------------------------------------


# From this share of <unk> on, a perplexity tells little of the words. With ever more words of WikiText-2's validation
# part replaced by it, the text gets harder to read; but the perplexity of wikitext2-word-lstm rises only up to a share
# of 33 % and then falls, to 27 at 72 %. From 29 % on it is below half of what the known words alone have (69 of 145).
UNKNOWN_MOST = 0.3


def unknown_said(share: float) -> str:
    """How much of a text a vocabulary lacks, beside a loss."""
    return f"{max(share, 0.001):.1%} {UNK}" if share else f"no {UNK}"


@dataclass(frozen=True)
class Vocabulary:
    """The tokens a model knows; a token's id is its place in ``tokens``.

    Args:
        level: "char" or "word"; "label" where they are the labels of what is read, and no text is made of them.
        tokens: all different, specials first: ``<pad> <unk> <sos> <eos>``, but of labels.

    Raises:
        ValueError: the level is unknown, a token is repeated, the specials are not first, or there is too much of it.
    """

    level: Level | Literal["label"]
    tokens: tuple[str, ...]
    ids: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.level not in ("char", "word", "label"):
            raise ValueError(f'level is {self.level!r}; it must be "char", "word" or "label"')
        if self.level == "label":
            _at_most(len(self.tokens), CLASSES_MOST, "labels")
        elif self.tokens[: len(SPECIALS)] != SPECIALS:
            raise ValueError(f"tokens must begin with {' '.join(SPECIALS)}")
        if not all(isinstance(token, str) and token for token in self.tokens):
            raise ValueError("tokens must be strings that are not empty")
        _at_most(len(self.tokens), VOCABULARY_MOST, "tokens")
        _at_most(max(map(len, self.tokens), default=0), TOKEN_MOST, "characters in one of its tokens")
        _at_most(sum(map(len, self.tokens)), TOKENS_LONG, "characters in all its tokens")
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
        unseen_apart: bool = False,
    ) -> Vocabulary:
        """The commonest ``max_size`` distinct tokens (all by default) that occur ``min_count`` times, in that order.

        What is longer than ``TOKEN_MOST`` characters is no word of a language, and is not among them.

        Args:
            tokens: a text, or how often each token occurs in it.
            unseen_apart: as in TrainConfig; ``<unseen>`` is then the last token.

        Raises:
            ValueError: they are too many; ``max_size`` keeps fewer.
        """
        counts = {
            token: times
            for token, times in Counter(tokens).items()
            if times >= min_count and token not in (*SPECIALS, APART) and len(token) <= TOKEN_MOST
        }
        if max_size is None:
            _at_most(len(counts), VOCABULARY_MOST, "tokens")  # before they are sorted
        # Ties are broken alphabetically, so that the same corpus always gives the same ids.
        ordered = sorted(counts, key=lambda token: (-counts[token], token))
        return cls(level, SPECIALS + tuple(ordered[:max_size]) + (APART,) * unseen_apart)

    @property
    def end(self) -> int:
        """The id that ends a line: the newline of characters, ``<eos>`` of words; where there is none, ``<eos>``."""
        return self.ids.get("\n", self.ids[EOS])

    def split(self, text: str) -> list[str]:
        """Split typed text the way this vocabulary's corpus is split; every piece is kept as it was typed.

        A newline (or ⏎) is one character at char level and ``<eos>`` at word level. At word level a piece that the
        vocabulary holds stays whole; others fall apart into words, clitics ("did n't" or "didn 't", whichever the
        corpus writes) and punctuation. At char level an accent may be part of its letter or not, as the corpus has it.
        """
        text = well_formed(text).replace(self.newline_sign, "\n")
        if self.level == "char":
            text = text.replace(self.space_sign, " ")
            return [character for cluster in _CHARACTER.findall(text) for character in self._characters(cluster)]
        pieces: list[str] = []
        for chunk in _PROSE.findall(text):
            if chunk.isspace():
                pieces.append(EOS)
            else:
                pieces.extend([chunk] if self._known(chunk) else self._split_chunk(chunk))
        return pieces

    def _characters(self, cluster: str) -> str:
        """A character and its marks, in the first of its forms whose every code point is known."""
        forms = (cluster, normalize("NFC", cluster), normalize("NFD", cluster))
        return next((form for form in forms if all(self._known(character) for character in form)), cluster)

    def _split_chunk(self, chunk: str) -> list[str]:
        if "@-@" in self.ids:  # WikiText writes joints inside words and numbers as tokens of their own
            chunk = re.sub(r"(?<=\w)-(?=\w)", " @-@ ", chunk)
            chunk = re.sub(r"(?<=\d)([,.])(?=\d)", r" @\1@ ", chunk)
        if "n't" in self.ids:  # Penn Treebank: did n't; WikiText: didn 't
            chunk = re.sub(r"(?i)(?<=\w)(n['’]t)\b", r" \1 ", chunk)
        words: list[str] = []
        for piece in chunk.split():
            if self._known(piece):
                words.append(piece)
            elif "@-@" in self.ids:  # and never a word with a mark inside
                words.extend(_PART.findall(piece))
            else:
                for word in _words(piece):
                    parts = [word] if self._known(word) else _PART.findall(word)
                    words.extend(parts if all(map(self._known, parts)) else [word])
        return words

    def _normalise(self, piece: str) -> str:
        """The spelling to look up.

        Accents written as part of their letter or apart, whichever the corpus does; at word level also an ASCII
        apostrophe for a curly one, and lower case where the corpus has no other; at char level a newline for whatever
        ends a line.
        """
        if piece in self.ids:
            return piece
        if self.level == "char":
            return "\n" if piece in "\v\f\x85\u2028\u2029" else piece
        for form in dict.fromkeys((piece, normalize("NFC", piece), normalize("NFD", piece))):
            form = form.replace("’", "'")
            form = form if form in self.ids or self.has_case else form.lower()
            if form in self.ids:
                return form
        return piece

    def _known(self, piece: str) -> bool:
        return self._normalise(piece) in self.ids

    @cached_property
    def newline_sign(self) -> str:
        """What stands for a newline where it is typed and shown: ⏎, but where a token of the corpus has that itself."""
        return _free_sign(NEWLINE_SIGNS, self.tokens)

    @cached_property
    def space_sign(self) -> str:
        """What stands for a space: ␣, but where a token has that itself."""
        return _free_sign(SPACE_SIGNS, self.tokens)

    @cached_property
    def has_case(self) -> bool:
        """Whether any token has a capital letter ("N" alone is the Treebank's sign for a number)."""
        return any(token != "N" and token != token.lower() for token in self.tokens)

    def encode(self, text: str) -> list[int]:
        """Token ids of typed text; pieces the vocabulary lacks become ``<unk>``, or ``<unseen>`` if it has that."""
        return self.encode_tokens(self.split(text))

    def encode_tokens(self, tokens: Sequence[str]) -> list[int]:
        """Ids of pieces that are split already."""
        unknown = self.ids.get(APART, self.ids[UNK])
        return [self.ids.get(self._normalise(token), unknown) for token in tokens]

    def decode(self, ids: Iterable[int]) -> str:
        """Ids to text: joined as they are at char level, by spaces (and newlines for ``<eos>``) at word level."""
        tokens = [self.tokens[i] for i in ids]
        if self.level == "char":
            return "".join(tokens)
        return re.sub(r" ?\n ?", "\n", " ".join("\n" if token == EOS else token for token in tokens))

    def joined(self, text: str, more: str) -> str:
        """A text and what follows it, as they are typed: at word level a space parts them."""
        return text + more if self.level == "char" or not text else f"{text} {more}"

    def display(self, i: int) -> str:
        """A token as a person should see it, and may type it: ⏎ for newline, ␣ for space."""
        token = self.tokens[i]
        if token == EOS and self.level == "word":
            return self.newline_sign
        return visible(token, self.newline_sign, self.space_sign)


def _at_most(found: int, most: int, what: str) -> None:
    if found > most:
        raise ValueError(f"the vocabulary has {found:,} {what}; at most {most:,} can be kept: keep fewer words")


def _free_sign(signs: str, tokens: Iterable[str]) -> str:
    text = "".join(tokens)
    return next((sign for sign in signs if sign not in text), signs[0])


def visible(text: str, newline: str = NEWLINE_SIGN, space: str = SPACE_SIGN) -> str:
    """A token as it is `shown`, with its white space made visible, too: ⏎, ␣ and ⇥, which can be typed."""
    text = shown(text.replace("\n", newline).replace(" ", space).replace("\t", "⇥"))
    return text if text.isascii() else _SPACES.sub(_code, text)


# ---- what nobody sees ------------------------------------------------------------------------------------------------

# What has no form of its own, or turns round what stands beside it: controls, format characters, fillers, the blank of
# Braille. Group 1 is what is left as it is, since it belongs to how honest text is written and is seen there: the parts
# of an emoji (joiners, variation selectors, the tags of a flag, a keycap), the variants of Chinese and Mongolian signs,
# and (non-)joiners between letters of a script whose letters join, as in Persian and Hindi. In a syntax that both the
# regex package and JavaScript's flag u read; `wire` gives it to the browser.
_JOINED = "".join(
    rf"\p{{Script={script}}}"
    for script in "Arabic Syriac Mandaic Nko Mongolian Devanagari Bengali Gurmukhi Gujarati Oriya Tamil Telugu Kannada "
    "Malayalam Sinhala Tibetan Myanmar Khmer".split()
)
_PICTURE = r"\p{Extended_Pictographic}(?:\p{Emoji_Modifier}|[\ufe0e\ufe0f])?"
_TAGS = "[\U000e0030-\U000e0039\U000e0061-\U000e007a]+\U000e007f"
UNSEEN = (
    f"(\U0001f3f4{_TAGS}|{_PICTURE}(?:\\u200d{_PICTURE})*|[0-9#*]\\ufe0f\\u20e3"
    "|\\p{Script=Han}[\\ufe00-\\ufe02\U000e0100-\U000e01ef]|(?=\\p{L})\\p{Script=Mongolian}[\\u180b-\\u180f]"
    rf"|(?!\p{{Default_Ignorable_Code_Point}})(?=[\p{{L}}\p{{M}}])[{_JOINED}\p{{M}}][\u200c\u200d](?=[{_JOINED}]))"
    rf"|(?![\t\n{_PREFIXED}\u070f])[\p{{Default_Ignorable_Code_Point}}\p{{Cf}}\p{{Cc}}\p{{Cs}}\p{{Zl}}\p{{Zp}}\u2800]"
)
# What is written from right to left: among other text it would take the numbers beside it along.
RIGHT_TO_LEFT = "[\\u0590-\\u08ff\\ufb1d-\\ufdff\\ufe70-\\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]"

_UNSEEN, _RIGHT_TO_LEFT, _SPACES = (regex.compile(pattern) for pattern in (UNSEEN, RIGHT_TO_LEFT, r"\p{Zs}"))


def _code(unseen: regex.Match[str]) -> str:
    return f"‹U+{ord(unseen[0]):04X}›"


def shown(text: str) -> str:
    """A text as it is in the data, but that what nobody sees is seen, as ‹U+202E›.

    So whatever comes from a file or a person is shown, wherever it is. Tabs and the ends of lines stay; what is copied,
    linked or exported stays as it is. Its twin is in ``web/words.js``.
    """
    if text.isascii() and text.isprintable():  # few texts are others
        return text
    return _UNSEEN.sub(lambda found: found[0] if found[1] else _code(found), text)


def inline(text: str) -> str:
    """A name as it is `shown` in the middle of other text, whose order it leaves as it is."""
    text = shown(text)
    return f"\u2068{text}\u2069" if _RIGHT_TO_LEFT.search(text) else text


def plain(text: str) -> str:
    """A text that Markdown shows as it is, in a line: what comes from a file or a person can be neither link nor image.

    What nobody sees is `shown`. Markdown makes links of bare addresses, too: into those goes a zero-width space.
    """
    text = inline(" ".join(re.split(r"[ \t\n\r\f\v]+", sayable(text))).strip(" "))
    text = re.sub(r"(?i)(?<=www)(?=\.)|(?<=:)(?=//)|(?=@)", "\u200b", text)
    text = re.sub(r"([\\`*_{}\[\]<>!$:~#&]|^[-+])", r"\\\1", text)
    return re.sub(r"^(\d+)([.)])", r"\1\\\2", text)


def code(text: str) -> str:
    """A text that Markdown shows as it is, in a line of code, but that what nobody sees is `shown`."""
    text = shown(" ".join(sayable(text).splitlines()))
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))  # no run in it is as long
    space = " " if "`" in text else ""
    return f"{fence}{space}{text}{space}{fence}"


@dataclass(frozen=True)
class Corpus:
    """A text split into three streams of token ids.

    Args:
        name: how the user named it.
        vocabulary: built from the training stream alone; of what has labels, those.
        train, valid, test: ids, each ``(N,)``; int32 where they lie on the disk. Of images, ``(N, W, W + 1)`` of uint8:
            each row's pixels, and last what is to be said after it. Of labelled texts ``(N, T, 2)`` of int32: each
            token and its label, `IGNORED` where none is asked; behind a shorter text stands `PADDING`. Of pairs of
            sequences ``(N, T, 3)``: see `lstmviz.data.pairs`.
        sha256: digest of the source bytes, so that a checkpoint can say which text it saw.
        licence: of the text, where known.
        reads: of labelled texts and of pairs, the vocabulary of the tokens that are read.
    """

    name: str
    vocabulary: Vocabulary
    train: Tensor
    valid: Tensor
    test: Tensor
    sha256: str
    licence: str = "not stated"
    reads: Vocabulary | None = None

    @property
    def row_size(self) -> int | None:
        """Pixels of a row, where it is of images: see ModelConfig."""
        return self.train.shape[1] if self.vocabulary.level == "label" and self.reads is None else None

    @property
    def tokens_read(self) -> int | None:
        """How many tokens there are, where what is said are others: see ModelConfig."""
        return len(self.reads) if self.reads else None

    @property
    def attention(self) -> Attention | None:
        """How a model looks back unless something else is asked for, where it is of pairs."""
        return "luong" if self.reads and self.vocabulary.level != "label" else None


def is_tokenised(text: str) -> bool:
    """Whether a text is split already: marks and clitics stand alone more often than they touch a word."""
    alone = re.findall(r"\s(?:[,.?!]|<unk>|n't|'s)(?=\s)", text)
    return len(alone) > len(regex.findall(r"[\w\p{M}][,?!](?=\s|$)", text))


def tokenise(text: str, level: Level, tokenised: bool) -> list[str]:
    """A corpus's text as tokens; at word level every newline is ``<eos>``.

    Args:
        text: with "\n" for the end of a line.
        level: "char" or "word".
        tokenised: white space stands between all its tokens already.
    """
    if level == "char":
        return list(text)
    return [word for chunk in chunks(text, tokenised) for word in words_of(chunk, tokenised)]


def chunks(text: str, tokenised: bool) -> list[str]:
    """What stands between white spaces, and the end of each line."""
    if not tokenised and _ODD.search(text):
        return _PROSE.findall(text)
    found: list[str] = []
    for line in text.split("\n"):  # three times as fast
        if line:
            found += line.split()
        found.append("\n")
    return found[:-1]


def words_of(chunk: str, tokenised: bool) -> tuple[str, ...]:
    """A chunk as words and marks; ``<eos>`` for the end of a line."""
    if chunk.isspace():
        return (EOS,)
    return (chunk,) if tokenised else _words(chunk)
