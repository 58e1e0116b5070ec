"""Small generated languages whose hidden variable is known exactly at every token.

A trained unit can therefore be checked against what it *should* carry: ``brackets`` asks for the nesting depth,
``agreement`` for the number of a subject that stands several words back, ``recall`` for a symbol that is
asked for over growing distances. And a trained model can be asked: some tokens depend on nothing but what stands a
known distance back.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lstmviz.config import Level
from lstmviz.data.vocabulary import EOS, OURS, Corpus, Vocabulary

MAX_DEPTH = 8
MAX_DISTANCE = 64  # tokens, in recall's training text


@dataclass(frozen=True)
class Question:
    """A place in a sentence where what comes next depends on what stands further back.

    Args:
        time: the token after which it is asked.
        distance: how many tokens before that one stands the one on which the answer depends.
        right: tokens that may come next.
        wrong: tokens that may not, though they would fit if the other thing stood there.
    """

    time: int
    distance: int
    right: frozenset[str]
    wrong: frozenset[str]


@dataclass(frozen=True)
class Grammar:
    """A language that can be generated and read.

    Args:
        level: how its sentences are split.
        variable: what is hidden, in words.
        sentence: draws one sentence as a list of tokens; the second argument is 1, or more for a sentence that
            reaches so many times further back than those of the training text.
        hidden: the variable after each token of a stream, ``(T,)`` float; NaN where it is not defined.
        questions: those of one sentence.
        joint: what stands between two tokens of the text.
        nominal: the variable's values are names that have no order.
    """

    level: Level
    variable: str
    sentence: Callable[[random.Random, int], list[str]]
    hidden: Callable[[Sequence[str]], np.ndarray]
    questions: Callable[[Sequence[str]], Iterator[Question]]
    joint: str
    nominal: bool = False

    @property
    def end(self) -> str:
        """The token after each sentence."""
        return "\n" if self.level == "char" else EOS


def _brackets_sentence(rng: random.Random, reach: int) -> list[str]:
    # P(open) falls with the depth and only depth 0 can end: to predict the next token well is to know the depth.
    tokens, depth = ["("], 1
    while depth:
        if rng.random() < 1 - 0.7 / reach:
            tokens.append("x")
        elif rng.random() < 1 - depth / MAX_DEPTH - 0.15:
            tokens.append("(")
            depth += 1
        else:
            tokens.append(")")
            depth -= 1
    return tokens


def _brackets_depth(tokens: Sequence[str]) -> np.ndarray:
    depths, depth = [], 0
    for token in tokens:
        depth = 0 if token in ("\n", EOS) else max(0, depth + (token == "(") - (token == ")"))
        depths.append(depth)
    return np.array(depths, dtype=float)


def _brackets_questions(tokens: Sequence[str]) -> Iterator[Question]:
    # A bracket closes: is it the sentence's first that is closed now, so that the sentence ends?
    ends, goes_on = frozenset("\n"), frozenset("(x)")
    for time, (token, depth) in enumerate(zip(tokens, _brackets_depth(tokens), strict=True)):
        if token == ")":
            yield Question(time, time, *((goes_on, ends) if depth else (ends, goes_on)))


_NOUNS = {
    "key": "keys",
    "cabinet": "cabinets",
    "dog": "dogs",
    "child": "children",
    "teacher": "teachers",
    "box": "boxes",
}
VERBS = {"is": "are", "was": "were", "has": "have", "sees": "see"}
_PREPOSITIONS = ("near", "behind", "of", "with")
_ENDINGS = ("old", "here", "lost", "open")
_ADJECTIVES = ("small", "red")
PLURAL = {**dict.fromkeys(_NOUNS, -1.0), **dict.fromkeys(_NOUNS.values(), 1.0)}
_VERB_FORMS = {*VERBS, *VERBS.values()}


def _agreement_sentence(rng: random.Random, reach: int) -> list[str]:
    def noun_phrase(plural: bool) -> list[str]:
        noun = rng.choice(list(_NOUNS))
        adjectives = [rng.choice(_ADJECTIVES)] if rng.random() < 0.3 else []
        return ["the", *adjectives, _NOUNS[noun] if plural else noun]

    plural = rng.random() < 0.5
    tokens = noun_phrase(plural)
    for _ in range(reach * rng.choice((0, 1, 1, 2, 2, 3))):  # attractors, whose own number must be ignored
        tokens += [rng.choice(_PREPOSITIONS), *noun_phrase(rng.random() < 0.5)]
    verb = rng.choice(list(VERBS))
    return [*tokens, VERBS[verb] if plural else verb, rng.choice(_ENDINGS), "."]


def _agreement_number(tokens: Sequence[str]) -> np.ndarray:
    numbers, number = [], np.nan
    for token in tokens:
        if np.isnan(number) and token in PLURAL:
            number = PLURAL[token]
        elif token in _VERB_FORMS or token == EOS:
            number = np.nan  # once the verb stands, nothing depends on the subject any more
        numbers.append(number)
    return np.array(numbers)


def _agreement_questions(tokens: Sequence[str]) -> Iterator[Question]:
    singular, plural = frozenset(VERBS), frozenset(VERBS.values())
    subject, verb = (
        next((t for t, token in enumerate(tokens) if token in words), len(tokens)) for words in (PLURAL, _VERB_FORMS)
    )
    if subject < verb and tokens[verb - 1] in PLURAL:  # the verb stands there, or may come next
        right, wrong = (plural, singular) if PLURAL[tokens[subject]] > 0 else (singular, plural)
        yield Question(verb - 1, verb - 1 - subject, right, wrong)


_SYMBOLS, _FILLERS = "abcd", "xyz"


def _recall_sentence(rng: random.Random, reach: int) -> list[str]:
    # The same symbol is asked for again and again, each time about twice as far from where it stood last.
    symbol = rng.choice(_SYMBOLS)
    tokens = [symbol]
    for doublings in range(rng.randint(1, int(np.log2(MAX_DISTANCE * reach)))):
        between = rng.randrange(2**doublings, 2 ** (doublings + 1))
        tokens += [*rng.choices(_FILLERS, k=between), "?", symbol]
    return tokens


def _recall_symbol(tokens: Sequence[str]) -> np.ndarray:
    symbols, symbol = [], np.nan
    for token in tokens:
        if token in _SYMBOLS:
            symbol = _SYMBOLS.index(token) - (len(_SYMBOLS) - 1) / 2
        elif token in ("\n", EOS):
            symbol = np.nan  # nobody will ask for it any more
        symbols.append(symbol)
    return np.array(symbols)


def _recall_questions(tokens: Sequence[str]) -> Iterator[Question]:
    right, last = frozenset(tokens[0]), 0
    for time, token in enumerate(tokens):
        if token == "?":
            yield Question(time, time - last, right, frozenset(_SYMBOLS) - right)
            last = time + 1


GRAMMARS = {
    "brackets": Grammar("char", "nesting depth", _brackets_sentence, _brackets_depth, _brackets_questions, ""),
    "agreement": Grammar("word", "subject number", _agreement_sentence, _agreement_number, _agreement_questions, " "),
    "recall": Grammar("char", "symbol to recall", _recall_sentence, _recall_symbol, _recall_questions, "", True),
}


def generate(name: str, sentences: int = 20_000, seed: int = 0) -> Corpus:
    """Draw a corpus from a grammar: 80 % train, 10 % validation, 10 % test, the same for the same seed.

    Raises:
        ValueError: there is no such grammar, or fewer than ten sentences were asked for.
    """
    import torch

    if name not in GRAMMARS:
        raise ValueError(f"grammar is {name!r}; it must be one of {', '.join(GRAMMARS)}")
    if sentences < 10:
        raise ValueError(f"sentences is {sentences}; at least 10 are needed for three parts")
    grammar, rng = GRAMMARS[name], random.Random(seed)
    drawn = [[*grammar.sentence(rng, 1), grammar.end] for _ in range(sentences)]
    parts = drawn[: sentences * 8 // 10], drawn[sentences * 8 // 10 : sentences * 9 // 10], drawn[sentences * 9 // 10 :]
    streams = [[token for sentence in part for token in sentence] for part in parts]
    vocabulary = Vocabulary.of(grammar.level, streams[0])
    ids = [torch.tensor(vocabulary.encode_tokens(stream)) for stream in streams]
    digest = hashlib.sha256(grammar.joint.join(token for stream in streams for token in stream).encode()).hexdigest()
    return Corpus(name, vocabulary, *ids, sha256=digest, licence=OURS)


def measure(name: str) -> str:
    """What says how much of the variable a unit carries; see ``lstmviz.explain.correlations``."""
    return "correlation ratio" if name in GRAMMARS and GRAMMARS[name].nominal else "|correlation|"


def hidden_variable(name: str, tokens: Sequence[str]) -> np.ndarray:
    """The grammar's hidden variable after each token, ``(T,)``; NaN where it is not defined."""
    return GRAMMARS[name].hidden(tokens)
