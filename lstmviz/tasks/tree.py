"""A tree to its values: a nested expression, whose every operation is asked for its value, 0 to 9.

As in sentiment treebanks (Tai, Socher & Manning 2015) a label stands at every inner node and not at the root alone: the
value of each part of an expression is known, so an expression of ten operations teaches ten times, and what goes wrong
deep inside is told there and not by way of all that stands above. A digit is asked nothing; its value is what is read.

Trees lie side by side as sequences do, ``(N, T, 3)``: their nodes in post-order, each with its symbol, the time of its
parent and its value; behind a smaller tree stands padding, which is no node. The same expressions as text, token by
token, with the same values asked at the closing brackets, are data of the task `tag`.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from lstmviz.config import TrainConfig
from lstmviz.data.expressions import EXPRESSIONS, drawn, open_file, trees_of
from lstmviz.data.labelled import known_to
from lstmviz.data.vocabulary import PADDING, Corpus, Vocabulary
from lstmviz.tasks.base import Task

if TYPE_CHECKING:
    from torch import Tensor

# As `without_order` says of the test part; a child-sum cell sees no order.
KNOWN = "without the order of the arguments, which first(3, 9) asks for, at most 76.68% of the test part can be known"


def nodes_and_values(batch: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of trees ``(T, B, 3)`` symbols, values and parents, ``(T', B)`` each, up to the end of the largest."""
    symbols, parents, values = batch[: int((batch[..., 0] != PADDING).sum(0).max())].unbind(-1)
    return symbols, values, parents


@cache
def _drawn(labels: Vocabulary | None, reads: Vocabulary | None) -> Corpus:
    return trees_of(EXPRESSIONS, drawn(), labels, reads)


def _open(config: TrainConfig, labels: Vocabulary | None, reads: Vocabulary | None) -> Corpus:
    if config.corpus == EXPRESSIONS:
        return known_to(_drawn, labels, reads)
    found = open_file(config.corpus)
    return trees_of(found.name, found.parts, labels, reads, found.licence)


TREE = Task(
    "tree",
    "an expression, as a tree: its value",
    (EXPRESSIONS,),
    _open,
    nodes_and_values,
    reads="trees",
    one_way="a tree grows from its leaves to its root",
    known={EXPRESSIONS: KNOWN},
    column="node",
    whole="expression",
    label="value",
)
