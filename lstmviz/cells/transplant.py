"""The weights of one cell in another layout of the same function."""

from __future__ import annotations

import torch
from torch import Tensor

from lstmviz.cells import CELLS, Cell
from lstmviz.cells.base import GatedCell

# Cells that are one function once whatever else they have is 0: peepholes p, gate recurrence R, a mogrifier's rounds.
FAMILIES = (
    ("lstm", "lstm_split", "lstm_concat", "np", "peephole", "fgr", "mogrifier"),
    ("report_split", "report_concat"),
)


def layouts(cell: str) -> tuple[str, ...]:
    """The other cells that can hold the weights of this one; none for a cell that is the only one of its kind."""
    family = next((family for family in FAMILIES if cell in family), ())
    return tuple(name for name in family if name != cell)


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
    new = CELLS[name](cell.input_size, cell.hidden_size).to(next(cell.parameters()))
    theirs, ours = _others(cell), _others(new)
    if lost := [key for key, value in theirs.items() if key not in ours and value.any()]:
        raise ValueError(
            f"{name} has no place for {', '.join(lost)} of this {old_name}, which would have to be 0 everywhere; "
            f"leave it as it is, or train a model with {name}"
        )
    for key, value in ours.items():
        value.copy_(theirs[key]) if key in theirs else value.zero_()
    for k in "ifgo":
        for to, source in zip(new.weights(k), cell.weights(k), strict=True):  # W_k (H, X), U_k (H, H)
            to.copy_(source)
        first, *second = new.biases(k)  # (H,) each
        first.copy_(torch.stack(cell.biases(k)).sum(0))
        for bias in second:
            bias.zero_()
    return new


def _others(cell: Cell) -> dict[str, Tensor]:
    """The parameters that an LSTM does not have."""
    return {key: p for key, p in cell.named_parameters() if isinstance(cell, GatedCell) and key not in ("W", "U", "b")}
