"""N–1: a text, read token by token, to its label.

Of the grammars `recall` and `agreement` it is a sentence up to where it asks for something the last time (`?`; the
verb): the label is what may come there. In `recall` that is one of four symbols, which stands up to 64 tokens back; in
`agreement` the forms of the verb, and what decides is the number of a noun before others. Both can always be known.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache, partial

from lstmviz.config import TrainConfig
from lstmviz.data.grammars import GRAMMARS, PLURAL, VERBS
from lstmviz.data.labelled import Labelled, corpus_of, known_to, open_labelled, split
from lstmviz.data.vocabulary import Corpus, Vocabulary
from lstmviz.tasks.base import READ_TO_THE_END, Task, tokens_and_labels

SENTENCES = 10_000
ASKING = ("recall", "agreement")  # grammars whose answers are words or symbols


def begun(grammar: str, rng: random.Random, reach: int = 1) -> Labelled:
    """A sentence up to its last question, and what may come next, all of it in one label.

    Args:
        reach: as for a Grammar's sentence.
    """
    sentence = GRAMMARS[grammar].sentence(rng, reach)
    *_, question = GRAMMARS[grammar].questions(sentence)
    return Labelled(sentence[: question.time + 1], ["/".join(sorted(question.right))])


def answer(grammar: str, tokens: Sequence[str]) -> list[str | None]:
    """What may come after these tokens, at each of them, since it is said when all are read; None where they end with
    no question.
    """
    right = [question.right for question in GRAMMARS[grammar].questions(tokens) if question.time == len(tokens) - 1]
    return ["/".join(sorted(right[0])) if right else None] * len(tokens)


@cache
def _asking(grammar: str, labels: Vocabulary | None, reads: Vocabulary | None) -> Corpus:
    rng, config = random.Random(0), TrainConfig(grammar, GRAMMARS[grammar].level)
    return corpus_of(grammar, split([begun(grammar, rng) for _ in range(SENTENCES)]), config, labels, reads)


def _open(config: TrainConfig, labels: Vocabulary | None, reads: Vocabulary | None) -> Corpus:
    if config.corpus in ASKING:
        return known_to(partial(_asking, config.corpus), labels, reads)
    return open_labelled(config, labels, reads, each_token=False)


CLASSIFY_TEXT = Task(
    "classify_text",
    "a text: which label it has",
    ASKING,
    _open,
    tokens_and_labels,
    one_way=READ_TO_THE_END,
    drawn={grammar: lambda rng, grammar=grammar: begun(grammar, rng).tokens for grammar in ASKING},
    right={grammar: partial(answer, grammar) for grammar in ASKING},
    tables={"recall": {}, "agreement": {"nouns": PLURAL, "verbs": VERBS}},
)
