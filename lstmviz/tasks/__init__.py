"""Shapes of sequence: what a recurrent network is asked, on one `Stack`, one `Trainer`, one map and one checkpoint.

A task is its data, what of a batch goes in, and what is to be said: a file here and a line in ``TASKS``. Its name is
a field of TrainConfig, so the command line, a run's folder and a checkpoint say it. At its default it is in no
checkpoint: what earlier versions wrote is of the task ``language``, byte for byte.

Every corpus but a text is one tensor ``(N, T, X + 1)`` a part: N sequences of T steps, each with the X numbers that are
read and, last, what is to be said after it. Which of it counts is the task's: ``loss`` takes targets ``(S, B)`` for the
last S steps, so S is 1 for N–1 of images (`classify`). Texts differ in length: behind a shorter one stands padding, on
which nothing depends, and a label is `IGNORED` where none is asked; so N–1 (`classify_text`) asks one at the last token
of each and N–N (`tag`) one at every token, by the same function. Who says labels of tokens has two vocabularies: what
it says, and what it reads. Another head or encoder is another module at one of the model's three doors (embed, run,
decode), as the rows of an image enter by a linear map, and words by filters over their letters (`Spelled`: a token is
then a row of these, so X is more than 1); a label that begins a text (1–N, `caption`) is made into a state for
``run``; where a sequence is said for another (`translate`), an `Attending` stands in the place of the `Stack`, and what
was said before beside what is read; a tree (`tree`) has a `TreeStack` for its cells and, where lengths would be, each
node's parent.
Whoever stands above does not ask which task it is, but for what it needs: labels, rows, tokens to read.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lstmviz.config import Attention, ModelConfig, TrainConfig
from lstmviz.data.vocabulary import Corpus, Vocabulary
from lstmviz.tasks.base import Judgement, Task
from lstmviz.tasks.caption import CAPTION
from lstmviz.tasks.classify import CLASSIFY
from lstmviz.tasks.classify_text import CLASSIFY_TEXT
from lstmviz.tasks.language import LANGUAGE
from lstmviz.tasks.tag import TAG
from lstmviz.tasks.translate import TRANSLATE
from lstmviz.tasks.tree import TREE

TASKS = {task.name: task for task in (LANGUAGE, CLASSIFY, CLASSIFY_TEXT, TAG, CAPTION, TRANSLATE, TREE)}
DECIDED = "row_size", "tokens_read", "labels_read"  # of a model by its data, which have them under the same names


def open_data(config: TrainConfig, vocabulary: Vocabulary | None = None, reads: Vocabulary | None = None) -> Corpus:
    """What a training configuration names, for its task.

    Args:
        vocabulary: the tokens or labels that a model says, where it exists already.
        reads: the tokens that it reads, where those are others.

    Raises:
        ValueError: there are no such data, or they are not for that model.
    """
    task = TASKS[config.task]
    if config.level == "letters" and not task.spells:
        raise ValueError(f"the task {task.name} does not read words by their letters; say another level")
    return task.open(config, vocabulary, reads)


def decided_by(corpus: Corpus, attention: Attention | None = None, letters: int | None = None) -> dict[str, Any]:
    """Those fields of a ModelConfig that these data decide.

    Args:
        attention, letters: that are asked for; by default as the corpus says.
    """
    decided = {name: getattr(corpus, name) for name in DECIDED}
    return decided | {"attention": attention or corpus.attention, "letters": letters or corpus.letters}


def fitted_to(corpus: Corpus, model: ModelConfig) -> ModelConfig:
    """The model for these data, which decide how wide what it reads is.

    Raises:
        ValueError: it is for others.
    """
    if model.row_size not in (None, corpus.row_size):
        has = f"images of {corpus.row_size} × {corpus.row_size} pixels" if corpus.row_size else "no images"
        reads = f"{model.row_size} × {model.row_size}"
        raise ValueError(f"the model reads images of {reads} pixels; {corpus.name} has {has}")
    if model.tokens_read not in (None, corpus.tokens_read):
        has = f"labelled texts of {corpus.tokens_read:,}" if corpus.tokens_read else "none with labels of their own"
        raise ValueError(f"the model reads texts of {model.tokens_read:,} tokens; {corpus.name} has {has}")
    if model.labels_read not in (None, corpus.labels_read):
        has = f"{corpus.labels_read:,} labels" if corpus.labels_read else "no labels that begin a text"
        raise ValueError(f"the model says what one of {model.labels_read:,} labels begins; {corpus.name} has {has}")
    if model.attention and not corpus.attention:
        raise ValueError(f"{corpus.name} has no sequences to be said for others; leave attention out")
    if model.letters and not corpus.letters:
        raise ValueError(f"{corpus.name} is not read by its letters; say --level letters, or leave letters out")
    return replace(model, **decided_by(corpus, model.attention, model.letters))


__all__ = ["DECIDED", "TASKS", "Judgement", "Task", "decided_by", "fitted_to", "open_data"]
