"""Language: the next token of a text, after every token."""

from __future__ import annotations

from lstmviz.config import TrainConfig
from lstmviz.data.corpora import open_corpus
from lstmviz.data.grammars import GRAMMARS
from lstmviz.data.vocabulary import Corpus, Vocabulary
from lstmviz.tasks.base import Task


def _open(config: TrainConfig, vocabulary: Vocabulary | None, _: Vocabulary | None) -> Corpus:
    return open_corpus(config, vocabulary)


LANGUAGE = Task(
    "language",
    "a text: the next token",
    tuple(GRAMMARS),
    _open,
    says="tokens",
    one_way="what follows is what it is to say",
)
