"""Nested expressions, as ``max(3, min(7, 2), 5)``: trees whose value is known at every node.

There are three operations, of two or three arguments: the largest, the smallest, and the first of them, which nobody
can say who does not see in which order they stand. So the value of every node is a digit.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path

import numpy as np

from lstmviz.cells.declared import NOTHING, ROOT
from lstmviz.config import DEEP_MOST, NODES_MOST, TrainConfig
from lstmviz.data.labelled import Files, Labelled, corpus_of, lines, read_files, split
from lstmviz.data.vocabulary import OURS, SPECIALS, Corpus, Vocabulary

EXPRESSIONS, COUNT = "expressions", 10_000
DIGITS = tuple("0123456789")
OPERATIONS = {"max": max, "min": min, "first": lambda arguments: arguments[0]}
LABELS, SYMBOLS = Vocabulary("label", DIGITS), Vocabulary("word", (*SPECIALS, *DIGITS, *OPERATIONS))
LEAST, MOST = 2, 3  # arguments of an operation
DEEPEST, LONGEST = 5, 40  # in what is trained on: operations one within the other, and nodes
NESTED = 0.3  # the share of operations among the arguments beside the deepest
TOKEN = re.compile(r"\w+|\S")


class Unfinished(ValueError):
    """A text is the beginning of an expression."""


@dataclass(frozen=True)
class Expression:
    """An expression as a tree. Its nodes stand in post-order: each behind its arguments, so that the root is the last.

    Args:
        symbols: of every node, a digit or an operation.
        parents: where the parent of every node stands; `ROOT` for the root.
    """

    symbols: tuple[str, ...]
    parents: tuple[int, ...]

    @classmethod
    def parse(cls, text: str) -> Expression:
        """Read an expression as a person types it: with white space or without, in capitals, commas left out.

        Raises:
            ValueError: it is none, or has too many nodes or levels; the sentence says where. `Unfinished` where more
                might make it one.
        """
        return _Parser(text).expression()

    @classmethod
    def begun(cls, text: str) -> Expression | None:
        """As much as is whole of an unfinished one: open brackets are closed where enough stands in them, and what
        has been begun in them is left out. None where nothing is whole.

        Raises:
            ValueError: what stands there is no beginning of an expression.
        """
        try:
            return _Parser(text, closing=True).expression()
        except Unfinished:
            return None

    @cached_property
    def children(self) -> list[list[int]]:
        """Where the arguments of every node stand, in their order."""
        found: list[list[int]] = [[] for _ in self.symbols]
        for node, parent in enumerate(self.parents[:-1]):
            found[parent].append(node)
        return found

    @cached_property
    def values(self) -> list[str]:
        """Of every node."""
        found: list[str] = []
        for symbol, children in zip(self.symbols, self.children, strict=True):
            found.append(OPERATIONS[symbol]([found[child] for child in children]) if children else symbol)
        return found

    @cached_property
    def depths(self) -> list[int]:
        """How many operations stand one within the other at every node; 0 at a digit."""
        found: list[int] = []
        for children in self.children:
            found.append(1 + max(found[child] for child in children) if children else 0)
        return found

    def is_one(self) -> bool:
        """Whether these are nodes of one tree in post-order, as `parse` makes them, and not too deep."""
        standing: list[int] = []  # nodes whose parent is still to come
        for node in range(len(self.parents)):
            while standing and self.parents[standing[-1]] == node:
                standing.pop()
            standing.append(node)
        whole = standing == [len(self.symbols) - 1] and self.parents[-1] == ROOT
        return whole and max(self.depths) <= DEEP_MOST

    def tokens(self) -> list[tuple[str, int | None]]:
        """The text, token by token; beside each the node that ends with it, which is a digit or a closing bracket."""

        def written(node: int) -> list[tuple[str, int | None]]:
            if not (children := self.children[node]):
                return [(self.symbols[node], node)]
            inside = [token for child in children for token in [*written(child), (",", None)]]
            return [(self.symbols[node], None), ("(", None), *inside[:-1], (")", node)]

        return written(len(self.symbols) - 1)

    def __str__(self) -> str:
        return "".join(token for token, _ in self.tokens()).replace(",", ", ")


class _Parser:
    """Reads from left to right.

    Args:
        closing: whether brackets that are still open at the end count as closed.
    """

    def __init__(self, text: str, *, closing: bool = False) -> None:
        self.text, self.closing, self.at = text, closing, 0
        self.places = [(found[0].lower(), found.end()) for found in TOKEN.finditer(text)] + [("", len(text))]
        self.symbols: list[str] = []
        self.parents: list[int] = []

    @property
    def next(self) -> str:
        return self.places[self.at][0]

    def expression(self) -> Expression:
        if not self.next:
            raise Unfinished("there is no expression; type one as max(3, min(7, 2), 5)")
        self.node(depth=0)
        if not self.closing:
            self.expect("")
        return Expression(tuple(self.symbols), tuple(self.parents))

    def node(self, depth: int) -> int:
        """Read a node and all that stands in it; where it stands."""
        if depth > DEEP_MOST:
            raise self.error(f"there are more than {DEEP_MOST} operations, one within the other")
        symbol, children = self.next, []
        if symbol not in (*DIGITS, *OPERATIONS):
            raise self.unexpected(f"a digit from 0 to 9, {', '.join([*OPERATIONS][:-1])} or {[*OPERATIONS][-1]}")
        self.at += 1
        if symbol in OPERATIONS:
            self.arguments(depth, children)
        if len(self.symbols) == NODES_MOST:
            raise self.error(f"there are more than {NODES_MOST:,} digits and operations")
        self.symbols.append(symbol)
        self.parents.append(ROOT)
        for child in children:
            self.parents[child] = len(self.symbols) - 1
        return len(self.symbols) - 1

    def arguments(self, depth: int, children: list[int]) -> None:
        """Read those of an operation, from its bracket to the closing one, and say where each stands."""
        try:
            self.expect("(")
            children.append(self.node(depth + 1))
            while len(children) < LEAST or (self.next != ")" and len(children) < MOST):
                if self.next not in (*DIGITS, *OPERATIONS):  # a space is enough between two
                    self.expect(",", *[")"] * (len(children) >= LEAST))
                children.append(self.node(depth + 1))
            self.expect(")")
        except Unfinished:
            if not self.closing or len(children) < LEAST:
                raise
            whole = children[-1] + 1
            del self.symbols[whole:], self.parents[whole:]  # what has been begun behind them

    def expect(self, wanted: str, *others: str) -> None:
        """Read one token."""
        if self.next != wanted:
            raise self.unexpected(" or ".join(f"“{each}”" for each in (wanted, *others)) if wanted else "its end")
        self.at += bool(wanted)

    def unexpected(self, wanted: str) -> ValueError:
        """What stands there is none of what is wanted; but there more may be to come."""
        may_go_on = self.at >= len(self.places) - 2 and any(name.startswith(self.next) for name in OPERATIONS)
        found = f"comes “{self.next}” in place of" if self.next else "there must still come"
        more = f"; an operation has {LEAST} or {MOST} arguments" if {self.next, wanted[1:2]} == {",", ")"} else ""
        error = self.error(f"{found} {wanted}{more}")
        return Unfinished(*error.args) if may_go_on and wanted != "its end" else error

    def error(self, what: str) -> ValueError:
        read = self.text[: self.places[self.at - 1][1]] if self.at else ""
        where = f"after “{'…' * (len(read) > 40)}{read[-40:]}”" if read else "at its beginning"
        return ValueError(f"the expression cannot be read: {where} {what}")


def draw(rng: random.Random, depth: int, most: int = NODES_MOST) -> Expression:
    """One whose deepest digit stands in so many operations.

    Args:
        most: nodes.
    """

    def written(depth: int) -> str:
        if not depth:
            return rng.choice(DIGITS)
        depths = [rng.randrange(depth) if rng.random() < NESTED else 0 for _ in range(rng.randint(LEAST, MOST))]
        depths[rng.randrange(len(depths))] = depth - 1
        return f"{rng.choice([*OPERATIONS])}({', '.join(map(written, depths))})"

    while len((found := Expression.parse(written(depth))).symbols) > most:
        pass
    return found


def generate(count: int, seed: int = 0) -> list[Expression]:
    """Draw so many expressions, of each depth as many, and keep each once; the same for the same seed."""
    rng = random.Random(seed)
    return list(dict.fromkeys(draw(rng, 1 + k % DEEPEST, LONGEST) for k in range(count)))


def without_order(expression: Expression) -> list[float]:
    """How often at most who does not see the order of arguments is right of the value of each operation, in post-order.

    All orders are equally likely, so that the first of them may be any. That is known best by who says the value that
    most orders have.
    """
    chances: list[np.ndarray] = []  # of each node, that of every digit, (10,)
    for symbol, children in zip(expression.symbols, expression.children, strict=True):
        below = np.array([chances[child] for child in children])  # (N, 10)
        if not children:
            found = np.eye(10)[int(symbol)]
        elif symbol == "first":
            found = below.mean(0)
        else:  # all are at most (at least) a digit
            turn = -1 if symbol == "min" else 1
            found = np.diff(below[:, ::turn].cumsum(1).prod(0), prepend=0)[::turn]
        chances.append(found)
    return [found.max() for found, children in zip(chances, expression.children, strict=True) if children]


# ---- as they are read ------------------------------------------------------------------------------------------------


def trees_of(
    name: str,
    parts: Sequence[Sequence[Expression]],
    labels: Vocabulary | None = None,
    reads: Vocabulary | None = None,
    licence: str = OURS,
) -> Corpus:
    """Expressions node by node, as a corpus whose parts are ``(N, T, 3)``: each node's symbol, parent and value.

    Asked is the value of every operation; that of a digit is what is read.

    Args:
        parts: train, valid and test.
        labels, reads: the values and symbols that a model knows.

    Raises:
        ValueError: a part is empty, or a value is not known.
    """

    import torch

    def nodes(expression: Expression) -> Labelled:
        asked = zip(expression.values, expression.children, strict=True)
        return Labelled(expression.symbols, [value if children else None for value, children in asked])

    corpus = _corpus(name, parts, nodes, labels, reads or SYMBOLS, licence)
    whole = []
    for part, expressions in zip((corpus.train, corpus.valid, corpus.test), parts, strict=True):
        parents = torch.full_like(part[..., :1], NOTHING)
        for row, expression in zip(parents, expressions, strict=True):
            row[: len(expression.parents), 0] = torch.tensor(expression.parents)
        whole.append(torch.cat([part[..., :1], parents, part[..., 1:]], dim=-1))
    return replace(corpus, train=whole[0], valid=whole[1], test=whole[2])


def texts_of(
    name: str, parts: Sequence[Sequence[Expression]], labels: Vocabulary | None = None, reads: Vocabulary | None = None
) -> Corpus:
    """The same as text, token by token, ``(N, T, 2)``: the value of an operation is asked where its bracket closes."""

    def tokens(expression: Expression) -> Labelled:
        found = [(token, node if token == ")" else None) for token, node in expression.tokens()]
        return Labelled([token for token, _ in found], [n if n is None else expression.values[n] for _, n in found])

    return _corpus(name, parts, tokens, labels, reads)


def values_along(tokens: Sequence[str]) -> list[str | None]:
    """Of an expression's text, or its beginning, the value of what ends with each token; None elsewhere."""
    found: list[str | None] = []
    going: list[tuple[str, list[str]]] = []  # operations that have not ended yet, and their arguments so far
    for token in tokens:
        value = token if token in DIGITS else None
        if token in OPERATIONS:
            going.append((token, []))
        elif token == ")" and going and len(going[-1][1]) >= LEAST:
            operation, arguments = going.pop()
            value = OPERATIONS[operation](arguments)
        if value and going:
            going[-1][1].append(value)
        found.append(value if token == ")" else None)
    return found


def _corpus(
    name: str,
    parts: Sequence[Sequence[Expression]],
    form: Callable[[Expression], Labelled],
    labels: Vocabulary | None,
    reads: Vocabulary | None,
    licence: str = OURS,
) -> Corpus:
    labelled = [[form(each) for each in part] for part in parts]
    digest = hashlib.sha256("\n".join(str(each) for part in parts for each in part).encode()).hexdigest()
    return corpus_of(name, labelled, TrainConfig(name, "word"), labels or LABELS, reads, sha256=digest, licence=licence)


@cache
def drawn() -> list[Sequence[Expression]]:
    """The `EXPRESSIONS` to train on, to validate with and to test with."""
    return split(generate(COUNT))


def open_file(name: str) -> Files[Expression]:
    """A text file with an expression a line, or a folder with a train, a valid and a test file.

    Raises:
        ValueError: there is no such file, or a line is no expression; the sentence says which, and where.
    """
    return read_files(name, _expressions)


def _expressions(path: Path) -> Iterator[Expression]:
    for line, where in lines(path):
        if not line.strip():
            continue
        try:
            yield (expression := Expression.parse(line))
            if len(expression.symbols) == 1:
                raise ValueError("a digit alone asks for nothing; write an operation")
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from error
