"""What a cell says of itself, which needs no torch: a class declares it, and a file holds what all of them declare.

So a page knows its model without a second and more of imports. `lstmviz.cells.describe` writes the file.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from itertools import dropwhile, takewhile
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from lstmviz.cells.equations import Equations, Tree, Value, evaluate, parse, symbols, text
from lstmviz.roles import DOES, Role, role_of

FILE = Path(__file__).with_name("cells.json")
ROOT, NOTHING = -1, -2  # in the place of a node's parent: of what has none, and of what is padding and no node


class Declared:
    """A cell's docstring teaches: the equations, a note, "Parameters:" (their number as a formula in h, x and, where
    ``hidden`` is a projection, p) and "Paper:". And it names its gates and states.

    Class attributes:
        gates, states: what a step gives, each by its name in ``ROLES``, as the expression of the equations that it
            is. A gate that the next step sees is also a state.
        symbols: both of them.
        keeps, writes, shows, looks_back, holds: how much of what it held a unit keeps at a step, how much of its
            candidate it writes, how much of its memory it shows, how much of the past it sees when it forms the
            candidate, and what it holds; in symbols of the equations, "" where the cell has no such thing.
        rows: the k of each ``a_k = W_k x + U_k h' + b_k``, in the order in which they are stored.
        paper, count: what the docstring says behind "Paper:" and, up to a comma, behind "Parameters:".
        keeping: which gates decide how much is kept, as the k of their equations: 1 where an open gate keeps more, −1
            where it keeps less.
        lets_out: what an output gate lets out.
        resets: what a reset gate acts on: the "candidate" of its own unit, which sees so much of the past, or the
            "past" of its own unit, of which every candidate sees so much.
        narrows: h has so many times fewer numbers than there are units, rounded up.
        unbounded: gates and states that the equations let leave the scale that their role has in `roles`.
        of_trees: it runs over the nodes of trees, and its equations speak of each child k.
        meanings: of gates and states, where those of `roles` do not fit.
    """

    gates: ClassVar[dict[str, str]] = {}
    states: ClassVar[dict[str, str]] = {}
    symbols: ClassVar[dict[str, str]]
    keeps: ClassVar[str] = ""
    writes: ClassVar[str] = ""
    shows: ClassVar[str] = ""
    looks_back: ClassVar[str] = ""
    holds: ClassVar[str] = ""
    rows: ClassVar[tuple[str, ...]] = ()
    paper: ClassVar[str]
    count: ClassVar[str]
    keeping: ClassVar[dict[str, int]] = {}
    lets_out: ClassVar[str] = "memory"
    resets: ClassVar[str] = "candidate"
    narrows: ClassVar[int] = 1
    unbounded: ClassVar[tuple[str, ...]] = ()
    of_trees: ClassVar[bool] = False
    meanings: ClassVar[dict[str, str]] = {}

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.symbols = cls.gates | cls.states
        cls.paper = cls._says("Paper:").removesuffix(".")
        cls.count = cls._says("Parameters:").removesuffix(".").partition(",")[0]

    @classmethod
    def output_of(cls, hidden_size: int) -> int:
        """Size P of ``hidden``: H, where it is no projection."""
        return -(-hidden_size // cls.narrows)

    @classmethod
    def equations(cls) -> str:
        """Those of the docstring."""
        return inspect.cleandoc("\n".join(takewhile(_is_equation, cls._taught())))

    @classmethod
    @cache
    def parsed(cls, children: int = 1) -> Equations:
        """Those of the docstring, as trees; of a cell of trees written out for so many children."""
        return Equations.of(cls.equations(), children * cls.of_trees)

    @classmethod
    def note(cls) -> str:
        """What the docstring says between the equations and the parameters; empty where that is nothing."""
        after = dropwhile(_is_equation, cls._taught())
        return " ".join(takewhile(lambda line: not line.startswith("Parameters:"), after))

    @classmethod
    def _taught(cls) -> list[str]:
        """The lines of the docstring from the equations on."""
        _, _, rest = (inspect.getdoc(cls) or "").partition("::\n\n")
        return rest.splitlines()

    @classmethod
    def _says(cls, heading: str) -> str:
        """The line of the docstring that begins so, without the beginning."""
        lines = (inspect.getdoc(cls) or "").splitlines()
        return next((line.removeprefix(heading).strip() for line in lines if line.startswith(heading)), "")

    @classmethod
    def recorded(cls) -> tuple[str, ...]:
        """Names of everything that ``record`` returns."""
        return tuple(cls.symbols)

    @classmethod
    def does(cls, what: str) -> Tree | None:
        """One of ``DOES`` as the cell declares it, in recorded symbols, which with a prime are of the step before.

        None where the cell has no such thing.
        """
        declared = getattr(cls, what)
        return cls.parsed().in_terms_of(set(cls.symbols.values()), parse(declared)) if declared else None

    @classmethod
    def doer(cls, what: str) -> str | None:
        """The gate or state that does it: what is declared is its symbol, or begins with that, as f ⊙ n' / n with f."""
        names = {symbol.removeprefix("ln "): name for name, symbol in cls.symbols.items()}
        tree = parse(getattr(cls, what) or "0")
        while text(tree) not in names and isinstance(tree, tuple) and tree[0] in ("*", "/"):
            tree = tree[1]
        return names.get(text(tree))

    @classmethod
    def roles(cls) -> dict[str, Role]:
        """Every gate and state by its name, as this cell uses it: amber is what it keeps by, whatever the name."""
        does = {cls.doer(what): what for what in reversed(DOES)}  # of two that one gate does, the first counts
        roles = {name: role_of(name, does.get(name, "")) for name in cls.recorded()}
        roles |= {name: replace(roles[name], low=None, high=None) for name in cls.unbounded}
        return {name: replace(role, meaning=cls.meanings.get(name, role.meaning)) for name, role in roles.items()}

    @classmethod
    def worked_out(cls, what: str, record: Mapping[str, np.ndarray], time: int = 0) -> np.ndarray | None:
        """One of ``DOES`` at every step.

        Args:
            record: what was recorded, or as much of it as is declared.
            time: the axis of time.

        Returns:
            The axes of what is recorded; NaN where the step before is needed and is not recorded. None where the cell
            has no such thing.
        """
        tree = cls.does(what)
        if tree is None:
            return None
        env: dict[str, Value] = {}
        for name, symbol in cls.symbols.items():
            if symbol in symbols(tree):
                env[symbol] = record[name]
            if f"{symbol}'" in symbols(tree):
                env[f"{symbol}'"] = np.roll(record[name], 1, time)
                np.moveaxis(env[f"{symbol}'"], time, 0)[0] = np.nan
        return evaluate(tree, env)


def _is_equation(line: str) -> bool:
    return not line or line.startswith("    ")


class Described(Declared):
    """A cell as the file describes it: with the trees of its equations, and where in its parameters their symbols lie.

    Class attributes:
        trees: of every equation, as `Equations.to_json` writes them.
        parameters: the shape of each by its name, in h, x and p: ``{"W": ["4h", "x"], …}``.
        places: of every parameter of the equations what is added up to it, as a part of a parameter:
            ``{"W_f": [["W", "h:2h", "0:x"]], "b_f": [["b_ih", "h:2h"], ["b_hh", "h:2h"]], …}``.
    """

    trees: ClassVar[dict[str, Any]]
    parameters: ClassVar[dict[str, list[str]]]
    places: ClassVar[dict[str, list[list[str]]]]

    @classmethod
    @cache
    def parsed(cls, children: int = 1) -> Equations:
        return super().parsed(children) if cls.of_trees else Equations.from_json(cls.trees)

    @classmethod
    def sizes(cls, input_size: int, hidden_size: int) -> dict[str, Value]:
        """h, x and p."""
        return {"h": hidden_size, "x": input_size, "p": cls.output_of(hidden_size)}

    @classmethod
    def shapes(cls, input_size: int, hidden_size: int) -> dict[str, tuple[int, ...]]:
        """Of a layer's parameters, by name."""
        sizes = cls.sizes(input_size, hidden_size)
        return {name: tuple(_number(size, sizes) for size in shape) for name, shape in cls.parameters.items()}

    @classmethod
    def by_symbol(cls, weights: Mapping[str, np.ndarray], input_size: int, hidden_size: int) -> dict[str, np.ndarray]:
        """Every parameter under its name in the equations: ``W_f`` ``(H, X)``, ``U_f`` ``(H, P)``, ``b_f`` ``(H,)`` …

        Args:
            weights: a layer's, as it stores them. What is no sum is a view of them.
        """
        sizes, found = cls.sizes(input_size, hidden_size), {}
        for symbol, places in cls.places.items():
            first, *others = [
                weights[name][tuple(slice(*(_number(end, sizes) for end in part.split(":"))) for part in parts)]
                for name, *parts in places
            ]
            found[symbol] = sum(others, first)
        return found


def _number(form: str, sizes: Mapping[str, Value]) -> int:
    """What "4h" comes to."""
    return int(evaluate(parse(form), dict(sizes)))


def described(name: str, description: Mapping[str, Any]) -> type[Described]:
    """A cell out of its description."""
    tuples = {each: tuple(description[each]) for each in ("rows", "unbounded") if each in description}
    return type(name, (Described,), {**description, **tuples, "__doc__": description["doc"]})


@cache
def all_described() -> dict[str, type[Described]]:
    """All cells that the file describes."""
    return {name: described(name, each) for name, each in json.loads(FILE.read_text(encoding="utf-8")).items()}
