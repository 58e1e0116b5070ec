"""Sentences of words that nobody has met before, whose endings tell what they are.

A word is a stem without a meaning and an ending: `-ly` and `-wise` make adverbs, `-ton` and `-ford` places. A quarter
of the words are coined where they stand and never come again; the others come from a lexicon, a few of them often (as 1
over their rank). What may follow, each with the same chance:

    a sentence begins        the | a person | a place
    the, an adjective        an adjective | a noun
    who or what does it      an adverb | a verb
    an adverb                an adverb | a verb
    a verb                   the | a person | a place
    to whom or what          the end | "and" and another such sentence

So a word that is not known can be guessed, from all that stands before it, in one case of two: two kinds may stand
there, and its letters alone tell which ("the" and "and" everybody knows). Nor is an ending enough: with `-s` and `-ed`
a word is a noun and an adjective behind "the", and a verb behind a noun.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache
from itertools import accumulate

from lstmviz.data.labelled import Labelled

NONSENSE = "nonsense"
ONSETS = "b bl br ch d dr f fl fr g gl gr h j k kl m n p pl pr qu r s sh sk sl sn sp st t th tr v w y z".split()
VOWELS = "aeiou"
MIDDLES = "b d f g l m mb n nd r rl st t v z".split()
CODAS = "b ck d g k l lk lm lt m mp n nd nk nt p r rk rm rt t x z".split()  # never s: so -s is no -ness
ENDINGS = {
    "noun": ("er", "ness", "ment", "s"),
    "verb": ("s", "ed", "ates"),
    "adjective": ("ous", "ful", "ish", "ed"),
    "adverb": ("ly", "wise"),
    "person": ("kin", "bert", "ina"),
    "place": ("ton", "ville", "ford"),
}
NAMES = ("person", "place")  # written with a capital
KNOWN = {"the": "article", "and": "conjunction"}
WRITTEN = {kind: word for word, kind in KNOWN.items()}
LEXICON = 300  # words of each kind
OFTEN = [*accumulate(1 / rank for rank in range(1, LEXICON + 1))]
COINED = 0.25  # of all words but these
TEXTS = (6_000, 750, 1_500)  # to learn from, to validate, to test


def coin(kind: str, rng: random.Random) -> str:
    """A stem of two syllables, and an ending."""
    sounds = ONSETS, VOWELS, MIDDLES, VOWELS, CODAS, ENDINGS[kind]
    word = "".join(rng.choice(of) for of in sounds)
    return word.capitalize() if kind in NAMES else word


def clause(rng: random.Random) -> list[str]:
    """The kinds of the words of a sentence up to "and" or its end."""

    def some(kind: str) -> list[str]:
        return [kind, *some(kind)] if rng.random() < 0.5 else []

    def thing() -> list[str]:
        kind = rng.choice(("article", *NAMES))
        return [kind, *some("adjective"), "noun"] if kind == "article" else [kind]

    return [*thing(), *some("adverb"), "verb", *thing()]


def sentence(rng: random.Random) -> Labelled:
    """A sentence, and what each of its words is."""
    kinds = clause(rng)
    if rng.random() < 0.5:
        kinds += ["conjunction", *clause(rng)]

    def word(kind: str) -> str:
        if kind in WRITTEN:
            return WRITTEN[kind]
        return coin(kind, rng) if rng.random() < COINED else rng.choices(lexicon()[kind], cum_weights=OFTEN)[0]

    return Labelled([word(kind) for kind in kinds], kinds)


def another(rng: random.Random) -> list[str]:
    """The words of a sentence."""
    return [*sentence(rng).tokens]


def kinds_of(words: Sequence[str]) -> list[str | None]:
    """What each word is, by its ending and, where that is not enough, by the word before; None where neither tells."""
    found: list[str | None] = []
    for word in words:
        named, before = word[:1].isupper(), found[-1] if found else None
        endings = [(end, kind) for kind, ends in ENDINGS.items() for end in ends if (kind in NAMES) == named]
        fits = [(len(end), kind) for end, kind in endings if word.endswith(end)]
        may = [kind for length, kind in fits if length == max(fits)[0]]
        if len(may) > 1:  # a verb, or what stands before one
            may = [kind for kind in may if before and (kind == "verb") != (before in ("article", "adjective"))]
        found.append(KNOWN.get(word) or (may[0] if may else None))
    return found


@cache
def lexicon() -> dict[str, list[str]]:
    """The words of each kind that come again, the commonest first."""
    rng = random.Random("lexicon")
    return {kind: [coin(kind, rng) for _ in range(LEXICON)] for kind in ENDINGS}


@cache
def drawn() -> list[list[Labelled]]:
    """The three parts."""
    rng = random.Random(0)
    return [[sentence(rng) for _ in range(count)] for count in TEXTS]
