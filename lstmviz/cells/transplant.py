"""The weights of one cell in another layout of the same function."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from lstmviz.cells import CELLS
from lstmviz.cells.base import Cell


@cache
def layouts(cell: str) -> tuple[str, ...]:
    """The other cells that can hold the weights of this one; none for the only one of its kind, and of trees.

    They are found by trying: with the same random W, U and b, and whatever else they have at 0 (peepholes p, gate
    recurrence R, a mogrifier's rounds), they take the same steps. Those come first that have least else.
    """
    if cell not in CELLS:
        return ()
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        old, inputs = CELLS[cell](3, 4).double(), torch.randn(3, 2, 3, dtype=torch.float64)  # (T, B, X)
        for parameter in _others(old).values():
            parameter.zero_()
        alike = [name for name, kind in CELLS.items() if name != cell and set(kind.rows) == set(old.rows)]
        copies = {name: _copied(old, name) for name in alike if _fits(old, CELLS[name](3, 4))}
        same = [name for name, copy in copies.items() if _same(old, copy, inputs)]
    return tuple(sorted(same, key=lambda name: len(_others(copies[name]))))


@torch.no_grad()
def transplant(cell: Cell, name: str) -> Cell:
    """The same function in another layout.

    W, U and the sum of the biases of each gate are copied, with whatever else both cells have. What only the new one
    has becomes 0, the second of two biases too.

    Args:
        cell: left as it is.
        name: of the new cell, one of ``layouts``.

    Returns:
        A new cell of the same dtype on the same device. Its gates differ by rounding alone.

    Raises:
        ValueError: the new cell is not one of these, or has no place for a parameter of the old one that is not 0.
    """
    old_name = next(known for known, kind in CELLS.items() if kind is type(cell))
    if name not in (possible := layouts(old_name)):
        where = ", ".join(possible) or "no other cell"
        raise ValueError(f"cell is {name!r}; the weights of {old_name} fit into {where}")
    new = _copied(cell, name)
    if lost := [key for key, value in _others(cell).items() if key not in _others(new) and value.any()]:
        raise ValueError(
            f"{name} has no place for {', '.join(lost)} of this {old_name}, which would have to be 0 everywhere; "
            f"leave it as it is, or train a model with {name}"
        )
    return new


def _copied(cell: Cell, name: str) -> Cell:
    new = CELLS[name](cell.input_size, cell.hidden_size).to(next(cell.parameters()))
    others = _others(cell)
    for key, value in _others(new).items():
        value.copy_(others[key]) if key in others else value.zero_()
    for k in cell.rows:
        for to, source in zip(new.weights(k), cell.weights(k), strict=True):  # W_k (H, X), U_k (H, P)
            to.copy_(source)
        first, *second = new.biases(k)  # (H,) each
        first.copy_(torch.stack(cell.biases(k)).sum(0))
        for bias in second:
            bias.zero_()
    return new


def _fits(old: Cell, new: Cell) -> bool:
    """Whether each matrix of the old cell has a place in the new one, and no place stays empty."""
    sizes = [{k: [matrix.shape for matrix in cell.weights(k)] for k in cell.rows} for cell in (old, new)]
    return sizes[0] == sizes[1]


def _same(old: Cell, new: Cell, inputs: Tensor) -> bool:
    """Whether two cells show the same gates and states at every step."""
    ours, theirs = (cell.record(inputs, cell.initial_state(inputs.shape[1])) for cell in (old, new))
    return ours.keys() == theirs.keys() and all(torch.allclose(ours[name], theirs[name]) for name in ours)


def _others(cell: Cell) -> dict[str, Tensor]:
    """The parameters that are no part of any W_k, U_k or b_k."""
    usual = [view.data_ptr() for k in cell.rows for view in (*cell.weights(k), *cell.biases(k))]
    parameters = {key: (p, p.data_ptr(), p.data_ptr() + p.nbytes) for key, p in cell.named_parameters()}
    return {key: p for key, (p, start, end) in parameters.items() if not any(start <= at < end for at in usual)}
