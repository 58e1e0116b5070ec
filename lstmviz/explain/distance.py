"""How far back a model can look: does it know what depends on a token that stands so and so far behind?"""

from __future__ import annotations

import random
from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np
import torch

from lstmviz.cells.base import State
from lstmviz.data.grammars import GRAMMARS
from lstmviz.data.vocabulary import Vocabulary
from lstmviz.model import Predictor, at_once
from lstmviz.opened import OpenModel

if TYPE_CHECKING:
    import pandas as pd

REACH = 4  # times further back than in the training text
LONGEST = 320  # tokens of a sentence
CONTEXT = 10  # sentences


def knows(vocabulary: Vocabulary, grammar: str) -> bool:
    """Whether a vocabulary has every token of a grammar."""
    language, rng = GRAMMARS[grammar], random.Random(grammar)
    return {token for _ in range(200) for token in (*language.sentence(rng, 1), language.end)} <= set(vocabulary.tokens)


@torch.no_grad()
def accuracy_by_distance(
    model: Predictor, vocabulary: Vocabulary, grammar: str, *, sentences: int = 400
) -> pd.DataFrame:
    """Ask a model a grammar's questions in sentences that it never saw, many of them longer than those it learned from.

    An answer is right if the likeliest of all right and wrong tokens is a right one. Each sentence is read after the
    same few others, as in training.

    Args:
        model, vocabulary: trained on the grammar.
        grammar: a name in ``GRAMMARS``.
        sentences: how many; the same ones for every model.

    Returns:
        A row for each doubling of the distance: ``distance`` (the largest, in tokens), ``accuracy``, ``questions``.
    """
    import pandas as pd  # as in trace.py

    language, rng = GRAMMARS[grammar], random.Random(f"{grammar} exam")
    drawn: list[list[str]] = []
    while len(drawn) < sentences:
        sentence = language.sentence(rng, REACH)
        if len(sentence) <= LONGEST:
            drawn.append(sentence)
    longest = max(map(len, drawn))
    ids = torch.full((longest, sentences), vocabulary.end)  # (T, B); what follows a shorter sentence is never looked at
    for b, sentence in enumerate(drawn):
        ids[: len(sentence), b] = torch.tensor(vocabulary.encode_tokens(sentence))
    before = [token for _ in range(CONTEXT) for token in (*language.sentence(rng, 1), language.end)]
    asked = sorted({token for sentence in drawn for q in language.questions(sentence) for token in q.right | q.wrong})
    known = vocabulary.encode_tokens(asked)
    _, state = _scores(model, torch.tensor(vocabulary.encode_tokens(before))[:, None], known, len(vocabulary))
    parts = []
    for some in ids.split(min(sentences, at_once(len(vocabulary))), dim=1):  # (T, b)
        begun = [{name: v.expand(some.shape[1], -1).contiguous() for name, v in layer.items()} for layer in state]
        parts.append(_scores(model, some, known, len(vocabulary), begun)[0])
    scored = torch.cat(parts, dim=1)  # (T, B, A)
    right: dict[int, list[bool]] = defaultdict(list)
    for b, sentence in enumerate(drawn):
        for question in language.questions(sentence):
            scores = dict(zip(asked, scored[question.time, b].tolist(), strict=True))

            def best(tokens: frozenset[str], scores: dict[str, float] = scores) -> float:
                return max(scores[token] for token in tokens)

            octave = int(np.ceil(np.log2(max(1, question.distance))))
            right[2**octave].append(best(question.right) > best(question.wrong))
    rows = [(distance, float(np.mean(found)), len(found)) for distance, found in sorted(right.items())]
    return pd.DataFrame(rows, columns=["distance", "accuracy", "questions"])


def _scores(
    model: Predictor, ids: torch.Tensor, asked: list[int], vocab_size: int, state: list[State] | None = None
) -> tuple[torch.Tensor, list[State]]:
    """What a model makes of ids ``(T, B)``: the scores ``(T, B, A)`` of the tokens ``asked``, and its state."""
    found = []
    for piece in ids.to(model.device).split(max(1, at_once(vocab_size) // ids.shape[1])):  # (P, B)
        scores, state = model(piece, state)
        found.append(scores[..., asked].cpu())
    assert state is not None  # there is a piece at least
    return torch.cat(found), state


def reach(opened: OpenModel) -> tuple[list[int], list[float]]:
    """Distances and the accuracy at each, of a model that learned a grammar; of another nothing.

    A file may call any text by a grammar's name, so the tokens decide.
    """
    checkpoint = opened.checkpoint
    if checkpoint.corpus_name not in GRAMMARS or not knows(checkpoint.vocabulary, checkpoint.corpus_name):
        return [], []
    table = accuracy_by_distance(opened.model, checkpoint.vocabulary, checkpoint.corpus_name)
    return table["distance"].tolist(), table["accuracy"].tolist()
