"""A cell's equations: the text that is shown, read as trees, which can be evaluated, forced and written as JSON.

A tree is a number, a symbol (``"c'"``), or ``(op, tree, …)``. An op is a function, or one of ``+ - * / @ neg ≥ if`` and
``concat``: ``*`` is ⊙, ``@`` a matrix times a vector, ``concat`` [h', x]; ``if`` is followed by its condition. ``Σ_k``
is the sum over the children k of a node, of the product that follows; equations are written out for so many of them.
"""

from __future__ import annotations

import operator
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, reduce
from typing import Any
from unicodedata import normalize

import numpy as np

Tree = float | str | tuple[Any, ...]
Value = Any  # a number, or an array of numpy's or of torch's
Functions = dict[str, Callable[..., Value]]

OPERATORS: Functions = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "@": lambda weight, values: values @ weight.T,  # (K, P) and (…, P) to (…, K)
    "neg": operator.neg,
    "≥": operator.ge,
    "if": np.where,
    "concat": lambda *values: np.concatenate(values, axis=-1),
}
FUNCTIONS: Functions = {
    "σ": lambda v: np.exp(-np.logaddexp(0, -v)),
    "tanh": np.tanh,
    "exp": np.exp,
    "ln": np.log,
    "√": np.sqrt,
    "max": np.maximum,
    "mean": lambda v: v.mean(-1, keepdims=True),
    "var": lambda v: v.var(-1, keepdims=True),
    "part": lambda k, count, v: np.split(v, int(count), axis=-1)[int(k)],
}
BARE = ("ln", "mean", "var")  # written without parentheses: ln i
FIRST = "first"  # the symbol that is true at the first step
AT_FIRST = " at the first step"
SUM_OVER = "Σ_"

NAME = r"(?:[^\W\d]|√)[\w\u0300-\u036f]*'?"  # with accents: f̂
TOKEN = re.compile(rf"\s*(\d+(?:\.\d+)?|{NAME}\(?|\S)")  # "σ(" calls a function; with a space, "W (…)", it is a product
TARGET = re.compile(rf"\({NAME}(?:; {NAME})+\)|{NAME}(?:, {NAME})*|ln {NAME}|{NAME}\({NAME}\)")


@cache
def of_torch() -> Functions:
    """All operators and functions, for tensors."""
    import torch

    functions: Functions = {
        "σ": torch.sigmoid,
        "tanh": torch.tanh,
        "exp": torch.exp,
        "ln": torch.log,
        "√": torch.sqrt,
        "max": torch.maximum,
        "mean": lambda v: v.mean(-1, keepdim=True),
        "var": lambda v: v.var(-1, correction=0, keepdim=True),
        "part": lambda k, count, v: v.chunk(int(count), dim=-1)[int(k)],
    }
    of_tensors = {
        op: lambda *v, function=function: function(*map(torch.as_tensor, v)) for op, function in functions.items()
    }
    return {**OPERATORS, "if": torch.where, "concat": lambda *values: torch.cat(values, dim=-1), **of_tensors}


def functions_for(values: Iterable[Value]) -> Functions:
    """All operators and functions of the library that these values are arrays of: torch or, where none is, numpy."""
    tensor = getattr(sys.modules.get("torch"), "Tensor", ())  # where nobody has imported it there are none
    return of_torch() if any(isinstance(value, tensor) for value in values) else OPERATORS | FUNCTIONS


# ---- expressions -----------------------------------------------------------------------------------------------------


@cache
def parse(text: str) -> Tree:
    """The tree of an expression, as ``"f ⊙ c' + i ⊙ g"``.

    Raises:
        ValueError: it cannot be read; the sentence says where.
    """
    parser = _Parser(text)
    tree = parser.expression()
    parser.expect("")
    return tree


class _Parser:
    """Reads from left to right, with a method for each level of precedence, the loosest first."""

    def __init__(self, text: str) -> None:
        self.text = normalize("NFC", text.strip())
        self.places = [(m[1], m.end()) for m in TOKEN.finditer(self.text)] + [("", len(self.text))]
        self.at = 0

    @property
    def next(self) -> str:
        return self.places[self.at][0]

    def took(self, *wanted: str) -> str:
        """The next token where it is one of these, and then it is read; else nothing."""
        token = self.next if self.next in wanted else ""
        self.at += bool(token)
        return token

    def expect(self, wanted: str) -> None:
        if self.next != wanted:
            raise self.error(f"“{wanted}”" if wanted else "its end")
        self.at += bool(wanted)

    def error(self, wanted: str) -> ValueError:
        place = f"after “{self.text[: self.places[self.at - 1][1]]}”" if self.at else "at its beginning"
        found = f"“{self.next}”" if self.next else "its end"
        return ValueError(f"the expression “{self.text}” cannot be read: {place} comes {found} in place of {wanted}")

    def expressions(self, closing: str) -> list[Tree]:
        found = [self.expression()]
        while self.took(","):
            found.append(self.expression())
        self.expect(closing)
        return found

    def expression(self) -> Tree:
        then = self.comparison()
        if not self.took("if"):
            return then
        condition = self.comparison()
        self.took(",")
        self.expect("else")
        return ("if", condition, then, self.expression())

    def comparison(self) -> Tree:
        tree = self.sum()
        return ("≥", tree, self.sum()) if self.took("≥") else tree

    def sum(self) -> Tree:
        tree = ("neg", self.product()) if self.took("−", "-") else self.product()
        while sign := self.took("+", "−", "-"):
            tree = ("+" if sign == "+" else "-", tree, self.product())
        return tree

    def product(self) -> Tree:
        if (over := self.next).startswith(SUM_OVER) and not over.endswith("("):
            self.at += 1
            return (over, self.product())
        tree = self.term()
        while sign := self.took("⊙", "/"):
            tree = ("*" if sign == "⊙" else "/", tree, self.term())
        return tree

    def term(self) -> Tree:
        """What stands side by side: a number or a matrix, and what it multiplies."""
        left = self.factor()
        if self.next in ("if", "else") or not re.match(rf"\d|{NAME}|[(\[]", self.next):
            return left
        return ("*" if isinstance(left, float) else "@", left, self.term())

    def factor(self) -> Tree:
        token = self.next
        if token in ("if", "else") or not re.match(rf"\d|{NAME}|[(\[]", token):
            raise self.error("a number, a symbol, “(” or “[”")
        self.at += 1
        if token == "[":
            return ("concat", *self.expressions("]"))
        if token == "(":
            tree = self.expression()
            self.expect(")")
            return tree
        if token.endswith("("):
            return (token[:-1], *self.expressions(")"))
        if token in BARE:
            return (token, self.factor())
        return float(token) if token[0].isdigit() else token


IF, COMPARISON, SUM, PRODUCT, TERM, FACTOR = range(6)  # how tightly a text holds together, as the parser's methods


@cache
def text(tree: Tree) -> str:
    """As ``parse`` reads it: ``parse(text(tree)) == tree``."""
    return _written(tree)[0]


def _written(tree: Tree) -> tuple[str, int]:
    def part(tree: Tree, least: int) -> str:
        written, level = _written(tree)
        return written if level >= least else f"({written})"

    if isinstance(tree, str):
        return tree, FACTOR
    if not isinstance(tree, tuple):
        return np.format_float_positional(tree, trim="-"), FACTOR
    op, *args = tree
    if op == "if":
        condition, then, other = args
        return f"{part(then, COMPARISON)} if {part(condition, COMPARISON)}, else {part(other, IF)}", IF
    if op == "≥":
        return f"{part(args[0], SUM)} ≥ {part(args[1], SUM)}", COMPARISON
    if op == "neg":
        return f"−{part(args[0], PRODUCT)}", SUM
    if op in ("+", "-"):
        return f"{part(args[0], SUM)} {'−' if op == '-' else op} {part(args[1], PRODUCT)}", SUM
    if op == "*" and isinstance(args[0], float) and not (right := part(args[1], TERM))[0].isdigit():
        return f"{text(args[0])}{right}", TERM
    if op in ("*", "/"):
        return f"{part(args[0], PRODUCT)} {'⊙' if op == '*' else op} {part(args[1], TERM)}", PRODUCT
    if op == "@":
        return f"{part(args[0], FACTOR)} {part(args[1], TERM)}", TERM
    if op in BARE and len(args) == 1 and _written(args[0])[1] == FACTOR:
        return f"{op} {text(args[0])}", FACTOR
    inside = ", ".join(map(text, args))
    return (f"[{inside}]" if op == "concat" else f"{op}({inside})"), FACTOR


def evaluate(tree: Tree, env: dict[str, Value], functions: Functions | None = None) -> Value:
    """The value of a tree; that of every subterm is left in ``env``, under its own text.

    Args:
        env: the value of every symbol: a matrix ``(K, P)``, all else ``(…, P)``. What stands under the text of a
            subterm (``"U_f h'"``) is taken as it is, which forces it.
        functions: operators and functions; by default those of the library that the values are arrays of.

    Raises:
        ValueError: a symbol has no value, or a function is not known; the sentence names it.
    """
    if isinstance(tree, float | int):
        return tree
    functions = functions or functions_for(env.values())
    own = text(tree)
    if own not in env:
        if isinstance(tree, str):
            raise ValueError(f"the symbol {tree} has no value")
        op, *args = tree
        if op not in functions:
            raise ValueError(f"{op}, of “{own}”, is not one of the functions {', '.join(FUNCTIONS)}")
        env[own] = functions[op](*(evaluate(arg, env, functions) for arg in args))
    return env[own]


def replaced(tree: Tree, replace: Callable[[Tree], Tree]) -> Tree:
    """Every part of the tree replaced, the smallest first."""
    return replace((tree[0], *(replaced(arg, replace) for arg in tree[1:])) if isinstance(tree, tuple) else tree)


def parts(tree: Tree) -> Iterator[Tree]:
    """The tree itself and all that it is made of."""
    yield tree
    for arg in tree[1:] if isinstance(tree, tuple) else ():
        yield from parts(arg)


def symbols(tree: Tree) -> set[str]:
    return {part for part in parts(tree) if isinstance(part, str)}


# ---- equations -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Equations:
    """What one step of a cell computes.

    Args:
        lines: symbol and tree of each equation, in an order in which they can be computed.
    """

    lines: tuple[tuple[str, Tree], ...]

    @classmethod
    def of(cls, shown: str, children: int = 0) -> Equations:
        """The equations of a text: one a line, or several with two spaces or more between them, in any order.

        Beside ``f = …`` there are ``i, f, o = …, …, …``; ``(a_i; a_f) = …``, a vector in equal parts; ``ln f = …``, and
        so f; ``g(u) = …``, a function; and ``m' = … at the first step``, which has none before it.

        Args:
            shown: the text.
            children: of a node of a tree. ``f_k = …`` is then said of each: f_1, f_2 …; and ``Σ_k U_ik h_k`` is
                U_i1 h_1 + U_i2 h_2 + …

        Raises:
            ValueError: a line cannot be read or computed; the sentence says why.
        """
        defined: dict[str, Tree] = {}
        for line in re.split(r"\s{2,}|\n", normalize("NFC", shown.strip())):
            left, _, right = line.partition(" = ")
            if not (right and TARGET.fullmatch(left)):
                raise ValueError(f"the equation “{line}” cannot be read: it must begin with a symbol and “ = ”")
            trees = _Parser(right.removesuffix(AT_FIRST)).expressions("")
            targets = left.split(", ")
            if ";" in left:
                targets = left.strip("()").split("; ")
                trees = [("part", float(k), float(len(targets)), *trees) for k in range(len(targets))]
            if len(targets) != len(trees):
                raise ValueError(
                    f"the equation “{line}” has {len(targets)} sides on the left, {len(trees)} on the right"
                )
            for target, tree in zip(targets, trees, strict=True):
                target += AT_FIRST * right.endswith(AT_FIRST)
                if target in defined:
                    raise ValueError(f"{target} is defined twice")
                defined[target] = tree
        return cls(tuple(_in_order(_simple(_of_each(defined, children) if children else defined))))

    @property
    def trees(self) -> dict[str, Tree]:
        """Of every symbol that has an equation."""
        return dict(self.lines)

    @property
    def given(self) -> set[str]:
        """The symbols that have none: parameters, x, and what a step takes over from the one before."""
        return set().union(*(symbols(tree) for _, tree in self.lines)) - self.trees.keys()

    @property
    def parts(self) -> set[str]:
        """Every symbol and every other part of a tree, by its own text: all that can be forced."""
        return {symbol for symbol, _ in self.lines} | {text(part) for _, tree in self.lines for part in parts(tree)}

    def evaluate(self, env: Mapping[str, Value]) -> dict[str, Value]:
        """All values of one step.

        Args:
            env: the value of each symbol ``given``, as of ``evaluate``; and of what is forced, under its text.

        Returns:
            All of ``env``, and the value of every symbol and every subterm, under its own text.

        Raises:
            ValueError: a symbol has no value; the sentence names it.
        """
        values, functions = {text(parse(key)): value for key, value in env.items()}, functions_for(env.values())
        for symbol, tree in self.lines:
            values.setdefault(symbol, evaluate(tree, values, functions))
        return values

    def in_terms_of(self, known: set[str], tree: Tree) -> Tree:
        """The tree, with each symbol that is not known replaced by the right side of its equation, where it has one."""

        def replace(part: Tree) -> Tree:
            if not isinstance(part, str) or part in known or part not in self.trees:
                return part
            return self.in_terms_of(known, self.trees[part])

        return replaced(tree, replace)

    def to_json(self) -> dict[str, Any]:
        """Symbol -> tree, in the order of ``lines``: ``{"c": ["+", ["*", "f", "c'"], ["*", "i", "g"]], …}``."""
        return {symbol: _listed(tree) for symbol, tree in self.lines}

    @classmethod
    def from_json(cls, trees: Mapping[str, Any]) -> Equations:
        """Undoes ``to_json``."""
        return cls(tuple((symbol, _unlisted(tree)) for symbol, tree in trees.items()))


def _of_each(defined: dict[str, Tree], children: int) -> dict[str, Tree]:
    """What is said of a child k said of each, by its number, and the sums over them written out."""

    def numbered(tree: Tree, k: str, number: int) -> Tree:
        def put(part: Tree) -> Tree:
            name, below, index = part.partition("_") if isinstance(part, str) else ("", "", "")
            return name + below + index.replace(k, str(number)) if below else part

        return replaced(tree, put)

    def summed(part: Tree) -> Tree:
        if not (isinstance(part, tuple) and part[0].startswith(SUM_OVER)):
            return part
        over, body = part
        every = (numbered(body, over.removeprefix(SUM_OVER), number) for number in range(1, children + 1))
        return reduce(lambda tree, other: ("+", tree, other), every)

    found: dict[str, Tree] = {}
    for target, tree in defined.items():
        written = replaced(tree, summed)
        for number in range(1, children + 1) if target.endswith("_k") else (0,):
            found[f"{numbered(target, 'k', number)}"] = numbered(written, "k", number)
    return found


def _simple(defined: dict[str, Tree]) -> dict[str, Tree]:
    """With nothing but symbols on the left: functions, and values at the first step, are put where they are used."""
    found: dict[str, Tree] = {}
    functions: dict[str, tuple[str, Tree]] = {}
    begins: dict[Tree, Tree] = {}
    for target, tree in defined.items():
        if target.endswith(AT_FIRST):
            symbol = target.removesuffix(AT_FIRST)
            begins[symbol] = ("if", FIRST, tree, symbol)
        elif target.endswith(")"):
            name, argument = target.removesuffix(")").split("(")
            functions[name] = (argument, tree)
        else:
            found[target] = tree
            if target.startswith("ln "):
                found[target.removeprefix("ln ")] = ("exp", target)

    def put(part: Tree) -> Tree:
        if isinstance(part, tuple) and part[0] in functions:
            argument, body = functions[part[0]]
            return replaced(body, lambda symbol: part[1] if symbol == argument else symbol)
        return begins.get(part, part)

    return {symbol: replaced(tree, put) for symbol, tree in found.items()}


def _in_order(trees: dict[str, Tree]) -> Iterator[tuple[str, Tree]]:
    """Each equation behind those that it needs, else as they came."""
    waiting = dict(trees)
    while waiting:
        ready = next((symbol for symbol, tree in waiting.items() if not symbols(tree) & waiting.keys()), None)
        if ready is None:
            raise ValueError(f"{', '.join(waiting)} cannot be computed: each needs another of them")
        yield ready, waiting.pop(ready)


def _listed(tree: Tree) -> Any:
    return [tree[0], *map(_listed, tree[1:])] if isinstance(tree, tuple) else tree


def _unlisted(tree: Any) -> Tree:
    return (tree[0], *map(_unlisted, tree[1:])) if isinstance(tree, list) else tree
