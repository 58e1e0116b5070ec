"""One step of one layer as arithmetic: each of the cell's own equations in symbols and in one unit's numbers.

    f = σ(W_f x + U_f h' + b_f)
      = σ(1.21 − 0.34 + 0.50) = σ(1.37) = 0.80

It is the trees of the equations that are walked, so a cell explains itself, whatever it is called.

**What is shown adds up.** Each number is rounded to two digits, and of a sum that does not come to what is written of
it a part is written a hundredth higher or lower: a product or a function, as W_f x, before a symbol, which has a line
of its own; of those the one that rounding has moved most. Of many numbers that make one the rest is what is left.

Its twin is ``web/inside/arithmetic.js``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_UP, Decimal
from functools import cached_property
from itertools import cycle

import numpy as np

from lstmviz.cells.declared import Described
from lstmviz.cells.equations import Equations, Tree, Value, text
from lstmviz.checkpoint import Checkpoint
from lstmviz.data.vocabulary import read_by
from lstmviz.explain.memory import numbered
from lstmviz.explain.say import number, sentence
from lstmviz.explain.typed import token_ids
from lstmviz.reference import Reference, why_not_run

OF_ALL = ("mean", "var")  # of all numbers of a vector
CHAINS = ({"+", "-"}, {"*", "/"})  # a + b − c is one sum, and a ⊙ b ⊙ c one product
SUMS = CHAINS[0]
MOST = 5  # contributions that are told one by one
TWO_DIGITS = 99.95  # up to which a number is written with two


@dataclass(frozen=True)
class Contribution:
    """A number of a vector, and what it adds to a product with a matrix.

    Args:
        vector: that it is of: ``"x"``, ``"h'"``, ``"r ⊙ h'"``.
        index: which of it: an input value or, in the state of the step before, a unit.
        weight, value: the matrix's and the vector's.
    """

    vector: str
    index: int
    weight: float
    value: float

    @property
    def product(self) -> float:
        return self.weight * self.value

    def __str__(self) -> str:
        value = number(self.value)
        value = f"({value})" if value.startswith("−") else value
        return f"{self.vector}[{self.index}]: {number(self.weight)} · {value} = {number(self.product)}"


@dataclass(frozen=True, eq=False)
class Mixed:
    """All numbers of a vector that make one: their sum, each times its weight.

    Args:
        values: of the vector, ``(N,)``; of a variance the squared distances from the mean.
        weights: a row of the matrix, ``(N,)``; of a mean or a variance 1 / N.
        vectors: the name and length of what the vector is joined of, as in [h', x]; else its own.
    """

    values: np.ndarray
    weights: np.ndarray
    vectors: tuple[tuple[str, int], ...]

    def largest(self, most: int = MOST) -> tuple[list[Contribution], float]:
        """What adds most, be it above or below 0, the largest first; and the sum of all the rest."""
        products = self.weights * self.values
        order = np.argsort(-np.abs(products), kind="stable")[:most]
        return [self.contribution(int(k)) for k in order], float(np.delete(products, order).sum())

    def contribution(self, k: int) -> Contribution:
        """That of the k-th number."""
        begins = np.cumsum([0, *(size for _, size in self.vectors)])
        at = int(np.searchsorted(begins, k, side="right")) - 1  # of those joined
        return Contribution(self.vectors[at][0], k - int(begins[at]), float(self.weights[k]), float(self.values[k]))


@dataclass(frozen=True, eq=False)
class Term:
    """A part of an equation, and the number that it is for one unit.

    Args:
        text: as the equation writes it.
        value: the number.
        index: which of its vector that is.
        op: that makes it of its parts, as in `lstmviz.cells.equations`; empty for a symbol or a number.
        parts: of the same unit; none where it mixes units.
        mixes: what it then mixes; else None.
        shown: how the number is written.
    """

    text: str
    value: float
    index: int
    op: str = ""
    parts: tuple[Term, ...] = ()
    mixes: Mixed | None = None
    shown: str = ""

    def every(self) -> Iterator[Term]:
        """The term itself and all that it is made of, down to symbols and what mixes units."""
        yield self
        for part in self.parts:
            yield from part.every()

    def __getitem__(self, part: str) -> Term:
        """A part of it, by its text: ``term["W_f x"]``.

        Raises:
            KeyError: it has no such part; the sentence names those that it has.
        """
        parts = {each.text: each for each in self.every()}
        if part not in parts:
            raise KeyError(f"{part} is no part of {self.text}; there are {', '.join(parts)}")
        return parts[part]

    def in_numbers(self) -> list[str]:
        """The term worked out: ``["σ(1.21 − 0.34 + 0.50)", "σ(1.37)", "0.80"]``; of a condition what holds."""
        stages = (text(_shown(self, done)) for done in range(_height(self) + 1))
        return list(dict.fromkeys(stages))

    def __str__(self) -> str:
        """Symbols and numbers; of what mixes units the largest contributions and the rest, which add up as shown."""
        if self.mixes is None:
            return " = ".join([self.text, *(stage for stage in self.in_numbers() if stage != self.text)])
        few = min(MOST, max(1, len(self.mixes.values) - 1))  # the rest takes what rounding leaves
        told, rest = self.mixes.largest(few)
        lines = [f"{self.text} = {self.shown}", *map(str, told)]
        if others := len(self.mixes.values) - len(told):
            counts = [_hundredths(each.product) for each in told]
            if abs(self.value) < TWO_DIGITS and None not in counts:
                rest = (round(float(self.shown.replace("−", "-")) * 100) - sum(filter(None, counts))) / 100
            lines.append(f"the other {others} = {number(rest)}")
        return "\n  ".join(lines)

    def fitted(self, shown: str, count: int | None) -> Term:
        """The term with what is written of it and of all its parts.

        Args:
            shown: what is written of it;
            count: that in hundredths, None where it is not two digits.
        """
        now = replace(self, shown=shown)
        if not self.parts:
            return now
        if self.op == "neg":
            return replace(now, parts=(_written(self.parts[0], None if count is None else -count),))
        if self.op == "if":
            chosen = _chosen(self)
            parts = (part.fitted(shown, count) if part is chosen else _written(part) for part in self.parts)
            return replace(now, parts=tuple(parts))
        if self.op not in SUMS:
            return replace(now, parts=tuple(map(_written, self.parts)))
        summands = _summands(self)
        counts = [_hundredths(part.value) for _, part in summands]
        if count is not None and None not in counts:
            _make_up(summands, counts, count)
        return _with_parts(now, counts)


def _written(term: Term, count: int | None = None) -> Term:
    """The term with its own number, or so many hundredths, written."""
    if count is None:
        return term.fitted(number(term.value), _hundredths(term.value))
    return term.fitted(number(count / 100), count)


def _hundredths(value: float) -> int | None:
    """What is written of a number, in hundredths; None where that is not two digits."""
    if not abs(value) < TWO_DIGITS:
        return None
    return int(Decimal(value).quantize(Decimal("0.01"), ROUND_HALF_UP) * 100)


def _summands(term: Term) -> list[tuple[int, Term]]:
    """The parts of a + b − c, each with its sign."""
    first, last = term.parts
    before = _summands(first) if first.op in SUMS else [(1, first)]
    return [*before, (1 if term.op == "+" else -1, last)]


def _make_up(summands: list[tuple[int, Term]], counts: list[int | None], count: int) -> None:
    """Change the hundredths that are written of summands, so that they come to those of the sum."""
    left = count - sum(sign * (each or 0) for (sign, _), each in zip(summands, counts, strict=True))
    way, worked = (left > 0) - (left < 0), any(part.op for _, part in summands)
    moved = {
        k: side * (100 * part.value - (counts[k] or 0)) * way
        for k, (side, part) in enumerate(summands)
        if (part.op if worked else not _is_literal(part))
    }
    for k, _ in zip(cycle(sorted(moved, key=lambda k: -moved[k])), range(abs(left)), strict=False):
        counts[k] = (counts[k] or 0) + way * summands[k][0]


def _with_parts(term: Term, counts: list[int | None]) -> Term:
    """A sum with so many hundredths written of each of its summands; where that is None, its own number."""
    first, last = term.parts
    *before, count = counts
    head = _with_parts(first, before) if first.op in SUMS else _written(first, before[0])
    now, known = replace(term, parts=(head, _written(last, count))), [each for each in counts if each is not None]
    if now.shown or len(known) < len(counts):
        return replace(now, shown=now.shown or number(term.value))
    signs = (sign for sign, _ in _summands(term))
    return replace(now, shown=number(sum(sign * each for sign, each in zip(signs, known, strict=True)) / 100))


def _is_literal(term: Term) -> bool:
    return not term.op and term.text[0].isdigit()


def _chosen(term: Term) -> Term:
    """Of “a if b, else c” what it is."""
    condition, then, other = term.parts
    return then if condition.value else other


def _goes_on(term: Term) -> bool:
    """Whether the first part of a sum or a product is one, too: a + b − c has three parts side by side."""
    return any(term.op in chain and term.parts[0].op in chain for chain in CHAINS)


def _height(term: Term) -> int:
    """How often what is ready must be worked out until there is one number; a sum of three is so at once."""
    if term.op == "if":
        return _height(_chosen(term))
    if not term.parts:
        return 0
    first, *others = map(_height, term.parts)
    return max([first + (not _goes_on(term)), *(height + 1 for height in others)])


def _shown(term: Term, done: int, whole: bool = True) -> Tree:
    """The term with numbers in place of all that is no higher, and that is the whole of a sum or product."""
    if term.op == "if":
        return _shown(_chosen(term), done)
    if _is_literal(term):
        return term.value
    if not term.parts or (whole and _height(term) <= done):
        written = term.shown
        return ("neg", written[1:]) if written.startswith("−") else written
    op, first = term.op, _shown(term.parts[0], done, whole=not _goes_on(term))
    match op, [_shown(part, done) for part in term.parts[1:]]:
        case "+" | "-", [("neg", size)]:  # + (−0.34) is − 0.34
            return ("-" if op == "+" else "+", first, size)
        case _, others:
            return (op, first, *others)


@dataclass(frozen=True, eq=False)
class Step:
    """One step of one layer.

    Args:
        cell: whose.
        equations: the cell's; of a tree's written out for so many children as there are.
        values: of every symbol and every part of the equations, by its text; vectors of all units, float64.
        unit: that the lines are of.
        said: what the unit did, in a sentence.
    """

    cell: type[Described]
    equations: Equations
    values: Mapping[str, Value]
    unit: int
    said: str = ""

    def term(self, symbol: str, index: int | None = None) -> Term:
        """The right side of a symbol's equation, by default of this unit.

        Raises:
            ValueError: it has no equation, or there is no such number of it.
        """
        if symbol not in self.equations.trees:
            raise ValueError(f"{symbol} has no equation here; there is one of {', '.join(self.equations.trees)}")
        size = max(1, np.size(self.values[symbol]))
        index = self.unit if index is None else index
        tree, index = self.equations.trees[symbol], numbered(index, size, f"{symbol} number") if size > 1 else 0
        return _written(self._term(tree, index))

    @cached_property
    def lines(self) -> list[tuple[str, Term]]:
        """Symbol and right side of each equation that gives this unit a number, as they can be computed.

        That is all that its gates and states are made of number by number. What they are made of by way of a matrix or
        a mean is of no one unit: see ``vectors``.
        """
        found: dict[tuple[str, int], Term] = {}
        waiting = [(self.cell.symbols[name], self.unit) for name in of_a_unit(self.cell)]
        while waiting:
            if (at := waiting.pop()) not in found and at[0] in self.equations.trees:
                found[at] = self.term(*at)
                waiting += [(part.text, part.index) for part in found[at].every() if not part.op]
        order = [symbol for symbol, _ in self.equations.lines]
        return [(symbol, found[symbol, index]) for symbol, index in sorted(found, key=lambda at: order.index(at[0]))]

    @cached_property
    def vectors(self) -> dict[str, np.ndarray]:
        """Symbol -> all numbers of what an equation gives to no one unit, as the gated input of a mogrifier."""
        own = {symbol for symbol, _ in self.lines}
        return {symbol: self.values[symbol] for symbol, _ in self.equations.lines if symbol not in own}

    @property
    def wrote(self) -> float | None:
        """What was written into what the unit holds, as its equation shows it, of two summands the one in which what
        was held is not; None where it is no such sum."""
        holds = self.cell.does("holds")
        term = self.term(holds) if isinstance(holds, str) and holds in self.equations.trees else None
        if term is None or term.op != "+" or term.parts[0].op in SUMS:
            return None
        wrote = [part for part in term.parts if all(each.text != f"{holds}'" for each in part.every())]
        return float(wrote[0].shown.replace("−", "-")) if len(wrote) == 1 else None

    def __str__(self) -> str:
        """Each equation in symbols and in numbers, and the sentence."""
        blocks = [
            f"{symbol} = {text(self.equations.trees[symbol])}, {len(values)} numbers of no one unit"
            for symbol, values in self.vectors.items()
        ]
        for symbol, term in self.lines:
            worked_out = " = ".join(stage for stage in term.in_numbers() if stage != term.text)
            blocks += [f"{symbol} = {term.text}", *([f"  = {worked_out}"] if worked_out else [])]
        return "\n".join([*blocks, self.said]).strip()

    def _term(self, tree: Tree, index: int) -> Term:
        tree, index = self._whole(tree, index)
        own = text(tree)
        value = tree if isinstance(tree, float | int) else self._number(own, index)
        if not isinstance(tree, tuple):
            return Term(own, float(value), index)
        op, *args = tree
        if op == "@":
            weights = self.values[text(args[0])][index]
            return Term(own, value, index, op, mixes=Mixed(self.values[text(args[1])], weights, self._joined(args[1])))
        if op in OF_ALL:
            values, vectors = self.values[text(args[0])], self._joined(args[0])
            if op == "var":
                values, vectors = (values - values.mean()) ** 2, ((f"({text(args[0])} − mean)²", len(values)),)
            return Term(own, value, index, op, mixes=Mixed(values, np.full(len(values), 1 / len(values)), vectors))
        return Term(own, value, index, op, tuple(self._term(arg, index) for arg in args))

    def _joined(self, vector: Tree) -> tuple[tuple[str, int], ...]:
        """The name and length of what a vector is joined of."""
        if isinstance(vector, tuple) and vector[0] == "concat":
            return tuple(each for part in vector[1:] for each in self._joined(part))
        return ((text(vector), np.size(self.values[text(vector)])),)

    def _whole(self, tree: Tree, index: int) -> tuple[Tree, int]:
        """Where a number of a part of a vector, or of several joined, stands in that whole, or in that one of them."""
        op, *args = tree if isinstance(tree, tuple) else ("",)
        if op == "part":
            k, count, whole = args
            return self._whole(whole, int(k) * (np.size(self.values[text(whole)]) // int(count)) + index)
        if op == "concat":
            for arg in args:
                if index < (size := np.size(self.values[text(arg)])):
                    return self._whole(arg, index)
                index -= size
        return tree, index

    def _number(self, own: str, index: int) -> float:
        values = np.ravel(self.values[own])
        return float(values[index if len(values) > 1 else 0])  # one number is the same for all


def of_a_unit(cell: type[Described]) -> list[str]:
    """The gates and states that have a number for each unit; those of a projection belong to none."""
    return [name for name in cell.symbols if name != "hidden" or cell.narrows == 1]


def taken_apart(
    cell: type[Described], weights: Mapping[str, Value], given: Mapping[str, Value], unit: int, children: int = 1
) -> Step:
    """A step of a cell, or a node of a tree's, as its equations say it, in float64.

    Args:
        cell: of ``CELLS`` or ``TREE_CELLS``.
        weights: by their symbols, as `Described.by_symbol` gives them.
        given: the symbols that the equations take over: x and, with a prime, the states of the step before; of a tree
            h_1, c_1, h_2 …; vectors of one sequence, ``(X,)`` or ``(H,)``.
        unit: whose numbers.
        children: that the node of a tree has.
    """
    equations = cell.parsed(children)
    env = {symbol: np.asarray(value, np.float64) for symbol, value in (dict(weights) | dict(given)).items()}
    with np.errstate(all="ignore"):  # as in `Reference.record`
        return Step(cell, equations, equations.evaluate(env), unit)


def arithmetic(
    checkpoint: Checkpoint, read: str | Sequence[int] | np.ndarray, unit: int, *, layer: int = 0, time: int = -1
) -> Step:
    """One step of a trained model as arithmetic. It needs no torch.

    Args:
        checkpoint: of a model that reads from the left.
        read: a text; ids of tokens ``(T,)``; or the rows of an image, greys from 0 to 1, ``(T, W)``. It is read from
            nothing, as by ``trace_sentence``.
        unit, layer, time: whose numbers, and when, from 0; from the end where they are below 0.

    Raises:
        ValueError: there is nothing to read, or the model does not read that; no such unit, layer or time; or it is no
            model that can be run so, as the sentence says.

    Example:
        >>> step = arithmetic(load("checkpoints/brackets.safetensors"), "((x)x)", unit=9)
        >>> print(step)  # each equation in symbols and in numbers
        >>> print(step.term("f")["U_f h'"])  # which units add most to it
    """
    config = checkpoint.model
    if why := why_not_run(config):
        raise ValueError(f"the steps of this model cannot be taken apart: {why}")
    inputs = _inputs(checkpoint, read)
    unit, layer = numbered(unit, config.hidden_size, "unit"), numbered(layer, config.num_layers, "layer")
    time = numbered(time, len(inputs), "time")
    model = Reference(config, checkpoint.weights)
    _, records, _ = model.record(inputs[: time + 1, None])
    runs, record = model.layers[layer], records[layer]
    x = records[layer - 1]["hidden"] if layer else model.embed(inputs[: time + 1, None])  # (T, 1, X)
    state = {name: record[name][time - 1] for name in runs.cell.states} if time else runs.zeros(1)  # (1, H) each
    given = {symbol: values[0] for symbol, values in (runs.before(state) | {"x": x[time]}).items()}
    step = taken_apart(runs.cell, runs.weights, given, unit)
    now, before = ({name: float(record[name][t, 0, unit]) for name in of_a_unit(runs.cell)} for t in (time, time - 1))
    return replace(step, said=sentence(runs.cell, now, before if time else None, step.wrote))


def _inputs(checkpoint: Checkpoint, read: str | Sequence[int] | np.ndarray) -> np.ndarray:
    """What a model reads: ids ``(T,)``, or rows ``(T, W)``.

    Raises:
        ValueError: it is nothing, or something else.
    """
    if width := checkpoint.model.row_size:
        rows = np.asarray([] if isinstance(read, str) else read)
        if rows.ndim != 2 or rows.shape[-1] != width or not len(rows):
            raise ValueError(f"this model reads an image row by row: an array (T, {width}), and of one row at least")
        return rows.astype(np.float32)
    reads = read_by(checkpoint.vocabulary, checkpoint.reads)
    return token_ids(reads, read, len(checkpoint.weights["embedding.weight"]))
