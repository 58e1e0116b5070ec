"""Texts that a label begins: out of files, or generated so that the label truly decides what follows.

As a corpus ``(N, T, 3)``: at each step the label, the same at all; the token that was said before, <sos> first; and the
one that is to be said. Behind a shorter text stands `PADDING`, and `IGNORED` for what is to be said.

What is generated is first drawn without a label, and every label makes a text of that. All texts of one drawing are
alike up to the first place that the label decides. In the validation and the test part each drawing stands with each
of the K labels. Who does not know the label decides by what stands before alone, and so is right in at most one of
them; and since the probabilities that it gives to what the K of them decide add up to 1 at most, their mean loss is
ln K at least.

``sheep`` is English: of a sheep nobody hears whether it is one or many. So the label, and nothing before, decides the
verb, up to 27 tokens later, behind other nouns whose own number must not count: "the sheep behind the dogs *is* old".
``count`` is x among y and z: the label says how many x there are, and after the last of them the text ends.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lstmviz.config import Level, TrainConfig
from lstmviz.data.corpora import PARTS
from lstmviz.data.grammars import Question
from lstmviz.data.labelled import Labelled, check_lengths, classified, digest_of_texts, read_files
from lstmviz.data.vocabulary import EOS, IGNORED, OURS, PADDING, SOS, SPECIALS, UNK, Corpus, Vocabulary

if TYPE_CHECKING:
    from torch import Tensor

BEGIN = SPECIALS.index(SOS)  # what is read first, in the state that the label made
SUBJECTS = ("sheep", "deer", "fish", "salmon")  # one or many of them are written alike
NOUNS = ("dog", "dogs", "key", "keys", "tree", "trees", "child", "children")
PREPOSITIONS, ADJECTIVES, ENDINGS = ("near", "behind", "of", "with"), ("small", "red"), ("old", "here", "lost", "alone")
VERBS = {"one now": "is", "many now": "are", "one then": "was", "many then": "were"}
PHRASES = 6  # between the subject and its verb, from 0 to so many, all with the same chance
COUNTS = range(1, 10)
FILLERS, GAP = "yz", 2  # before each x from 0 to so many of them


@dataclass(frozen=True)
class Generated:
    """Texts that a label begins.

    Args:
        level: of the texts.
        labels: K of them.
        draw: what has no label yet.
        said: the text that a label makes of it, without its end.
        asked: of a label and its text, end included, the places that the label decides: ``time`` is the step at which
            the token is to be said, and as many tokens have been read since the label; see `Question`.
    """

    level: Level
    labels: tuple[str, ...]
    draw: Callable[[random.Random], Any]
    said: Callable[[Any, str], list[str]]
    asked: Callable[[str, Sequence[str]], Iterator[Question]]

    @property
    def end(self) -> str:
        """The token after each text."""
        return end_of(self.level)

    def text(self, drawn: Any, label: str) -> Labelled:
        """What a label makes of a drawing, with its end."""
        return Labelled([*self.said(drawn, label), self.end], [label])


def end_of(level: Level) -> str:
    """The token after each text of a level."""
    return "\n" if level == "char" else EOS


def _draw_sheep(rng: random.Random) -> tuple[list[str], str]:
    def phrase(nouns: Sequence[str]) -> list[str]:
        return ["the", *([rng.choice(ADJECTIVES)] if rng.random() < 0.3 else []), rng.choice(nouns)]

    tokens = phrase(SUBJECTS)
    for _ in range(rng.randint(0, PHRASES)):
        tokens += [rng.choice(PREPOSITIONS), *phrase(NOUNS)]
    return tokens, rng.choice(ENDINGS)


def _say_sheep(drawn: tuple[list[str], str], label: str) -> list[str]:
    before, ending = drawn
    return [*before, VERBS[label], ending, "."]


def _ask_sheep(label: str, text: Sequence[str]) -> Iterator[Question]:
    right, verbs = frozenset({VERBS[label]}), frozenset(VERBS.values())
    time = next(t for t, token in enumerate(text) if token in verbs)
    yield Question(time, time, right, verbs - right)


def _draw_count(rng: random.Random) -> list[list[str]]:
    return [[*rng.choices(FILLERS, k=rng.randint(0, GAP)), "x"] for _ in COUNTS]


def _say_count(drawn: list[list[str]], label: str) -> list[str]:
    return [token for group in drawn[: int(label)] for token in group]


def _ask_count(label: str, text: Sequence[str]) -> Iterator[Question]:
    ends, goes_on = frozenset({end_of("char")}), frozenset({"x", *FILLERS})
    for time, token in enumerate(text[1:], start=1):
        if text[time - 1] == "x":
            yield Question(time, time, *((ends, goes_on) if token in ends else (goes_on, ends)))


GENERATED = {
    "sheep": Generated("word", tuple(VERBS), _draw_sheep, _say_sheep, _ask_sheep),
    "count": Generated("char", tuple(map(str, COUNTS)), _draw_count, _say_count, _ask_count),
}


def drawn(name: str, texts: int = 10_000, seed: int = 0) -> list[list[Labelled]]:
    """Train, valid and test: 80 % with any label, and 10 % each, drawings with every label."""
    rng, generated = random.Random(seed), GENERATED[name]
    labels = generated.labels

    def with_all() -> list[Labelled]:
        drawings = [generated.draw(rng) for _ in range(texts // 10 // len(labels))]
        found = [generated.text(drawing, label) for drawing in drawings for label in labels]
        rng.shuffle(found)
        return found

    any_label = [generated.text(generated.draw(rng), rng.choice(labels)) for _ in range(texts * 8 // 10)]
    return [any_label, with_all(), with_all()]


def corpus_of(
    name: str,
    parts: Sequence[Sequence[Labelled]],
    config: TrainConfig,
    says: Vocabulary | None = None,
    labels: Vocabulary | None = None,
    *,
    sha256: str = "",
    licence: str = OURS,
) -> Corpus:
    """Texts with their labels as a corpus, whose parts are ``(N, T, 3)``: see above.

    Args:
        name: of the corpus.
        parts: train, valid and test; each text with its end and a single label.
        config: its level, and of which tokens the vocabulary is made.
        says, labels: the tokens and labels that a model knows; by default those of the training part.
        sha256: of the files; by default of the texts.
        licence: of the texts.

    Raises:
        ValueError: a part is empty, a text is too long, or it has a label that is not known.
    """
    tokens = (token for text in parts[0] for token in text.tokens)
    known = sorted({label for text in parts[0] for label in text.labels if label})
    says = says or Vocabulary.of(config.level, tokens, config.max_words, config.min_count)
    labels = labels or Vocabulary("label", tuple(known))
    made = [_tensor(f"the {part} part of {name}", each, says, labels) for part, each in zip(PARTS, parts, strict=True)]
    sha256 = sha256 or digest_of_texts([tuple(map(tuple, each)) for each in part] for part in parts)
    return Corpus(name, says, *made, sha256=sha256, licence=licence, reads=labels)


def _tensor(what: str, texts: Sequence[Labelled], says: Vocabulary, labels: Vocabulary) -> Tensor:
    """``(N, T, 3)``, int32."""
    import torch

    if not texts:
        raise ValueError(f"{what} has no texts")
    longest = check_lengths(what, [len(text.tokens) for text in texts], 3)
    unknown, found = says.ids[UNK], np.empty((len(texts), longest, 3), np.int32)
    found[...] = 0, PADDING, IGNORED
    for row, (tokens, (label,)) in zip(found, texts, strict=True):
        if label not in labels.ids:
            raise ValueError(f"{what} has the label {label}, which is not known; known are {', '.join(labels.tokens)}")
        ids = [unknown if i == PADDING else i for i in says.encode_tokens(tokens)]  # a text may have <pad> in it
        row[:, 0] = labels.ids[label]
        row[: len(ids), 1], row[: len(ids), 2] = [BEGIN, *ids[:-1]], ids
    return torch.from_numpy(found)


def open_captions(config: TrainConfig, says: Vocabulary | None, labels: Vocabulary | None) -> Corpus:
    """The texts in a file, a folder with a train, a valid and a test file, or one that was kept: on a line a label, a
    tab and the text that it begins.

    Args:
        config: names them.
        says, labels: as for `corpus_of`.

    Raises:
        ValueError: there are no such texts, a line is not of this form, or as in `corpus_of`.
    """
    level: Level = says.level if says and says.level != "label" else config.level
    found = read_files(config.corpus, lambda path: classified(path, level))
    parts = [[Labelled([*text.tokens, end_of(level)], text.labels) for text in part] for part in found.parts]
    return corpus_of(found.name, parts, config, says, labels, sha256=found.sha256, licence=found.licence)
