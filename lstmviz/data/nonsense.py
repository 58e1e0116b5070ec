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
LEXICON = 300  # words of each kind
COINED = 0.25  # of all words but these
TEXTS = (6_000, 750, 1_500)  # to learn from, to validate, to test
PARTS_OF_SPEECH = (*ENDINGS, *KNOWN.values())


def coin(kind: str, rng: random.Random) -> str:
    """A stem of two syllables, and an ending."""
    sounds = ONSETS, VOWELS, MIDDLES, VOWELS, CODAS, ENDINGS[kind]
    word = "".join(rng.choice(of) for of in sounds)
    return word.capitalize() if kind in NAMES else word


def clause(rng: random.Random) -> list[str]:
    """The kinds of the words of a sentence up to "and" or its end; "article" for "the"."""

    def thing() -> list[str]:
        if (kind := rng.choice(("article", *NAMES))) != "article":
            return [kind]
        return [kind, *_some("adjective"), "noun"]

    def _some(kind: str) -> list[str]:
        found: list[str] = []
        while rng.random() < 0.5:
            found.append(kind)
        return found

    return [*thing(), *_some("adverb"), "verb", *thing()]


def sentence(lexicon: dict[str, list[str]], rng: random.Random) -> Labelled:
    """A sentence, and what each of its words is."""
    kinds = clause(rng)
    if rng.random() < 0.5:
        kinds += ["conjunction", *clause(rng)]
    words = {kind: word for word, kind in KNOWN.items()}
    often = [*accumulate(1 / rank for rank in range(1, LEXICON + 1))]

    def word(kind: str) -> str:
        if kind in words:
            return words[kind]
        return coin(kind, rng) if rng.random() < COINED else rng.choices(lexicon[kind], cum_weights=often)[0]

    return Labelled([word(kind) for kind in kinds], kinds)


@cache
def drawn() -> list[list[Labelled]]:
    """The three parts."""
    rng = random.Random(0)
    lexicon = {kind: [coin(kind, rng) for _ in range(LEXICON)] for kind in ENDINGS}
    return [[sentence(lexicon, rng) for _ in range(count)] for count in TEXTS]
