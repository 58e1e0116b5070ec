"""Describes cells: all that they declare, and how their parameters lie, so that they are known without torch.

``python -m lstmviz.cells.describe`` writes what it finds of all cells into the file that `declared` reads.
"""

from __future__ import annotations

import inspect
import json
from functools import cache
from typing import Any

import torch
from torch import Tensor

from lstmviz.cells import CELLS, TREE_CELLS
from lstmviz.cells.base import Taught
from lstmviz.cells.declared import FILE, Declared
from lstmviz.cells.tree import PLACES

H, X = 13, 100  # no multiple of h up to 6h is x, or h + x, or p = 7
DECLARED = (
    "gates", "states", "keeps", "writes", "shows", "looks_back", "holds", "rows", "keeping", "lets_out", "resets",
    "narrows", "unbounded", "of_trees", "meanings",
)  # fmt: skip


@cache
def describe(cell: type[Taught]) -> dict[str, Any]:
    """What `lstmviz.cells.declared.described` makes a cell of again; JSON.

    Raises:
        ValueError: a parameter of its equations is no sum of parts of those that it stores.
    """
    layer = cell(X, H)
    return {
        "doc": inspect.getdoc(cell),
        **{name: getattr(cell, name) for name in DECLARED if getattr(cell, name) != getattr(Declared, name)},
        "rows": [*cell.rows],
        "trees": cell.parsed().to_json(),
        "parameters": {
            name: [_form(size, cell) for size in parameter.shape] for name, parameter in layer.named_parameters()
        },
        "places": _places(layer),
    }


@torch.no_grad()
def _places(layer: Taught) -> dict[str, list[list[str]]]:
    """Where each parameter of the equations lies: where all stored ones are 0 but one, whose numbers are 1, 2, 3, …"""
    layer, stored = layer.double(), dict(layer.named_parameters())
    asked = layer.parsed(PLACES).given & layer.by_symbol().keys()
    found: dict[str, list[list[str]]] = {symbol: [] for symbol in layer.by_symbol() if symbol in asked}
    for name, parameter in stored.items():
        for each in stored.values():
            each.zero_()
        parameter.copy_(torch.arange(1, parameter.numel() + 1).view(parameter.shape))
        values = layer.by_symbol()
        for symbol, places in found.items():
            if values[symbol].any():
                places.append([name, *_part(symbol, values[symbol], parameter, type(layer))])
    return found


def _part(symbol: str, values: Tensor, parameter: Tensor, cell: type[Taught]) -> list[str]:
    """Which part of a parameter these values are, an axis at a time: ["h:2h", "0:x"]."""
    first = (parameter == values.flatten()[0]).nonzero()[0].tolist()
    bounds = [(begin, begin + size) for begin, size in zip(first, values.shape, strict=True)]
    if not torch.equal(parameter[tuple(slice(*each) for each in bounds)], values):
        raise ValueError(f"{symbol} of {cell.__name__} is no sum of parts of its parameters")
    return [f"{_form(begin, cell)}:{_form(end, cell)}" for begin, end in bounds]


def _form(size: int, cell: type[Taught]) -> str:
    """A number in h, x and p: 4h, h + x."""
    of_x, rest = divmod(size, X)
    if rest and rest == cell.output_of(H) != H:
        of_h, terms = 0, ["p"]
    else:
        of_h, odd = divmod(rest, H)
        if odd:
            raise ValueError(f"{size} in {cell.__name__} is no sum of its sizes")
        terms = [f"{'' if of_h == 1 else of_h}h"] * bool(of_h)
    terms += [f"{'' if of_x == 1 else of_x}x"] * bool(of_x)
    return " + ".join(terms) or "0"


def written() -> str:
    """The file: a line a cell."""
    cells = {**CELLS, **TREE_CELLS}
    lines = (f"{json.dumps(name)}: {json.dumps(describe(cell), ensure_ascii=False)}" for name, cell in cells.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    FILE.write_text(written(), encoding="utf-8")
