"""What Compare says where a cell lacks what stands in a row, from what the cell declares."""

from __future__ import annotations

from functools import cache

from lstmviz.cells.declared import Declared
from lstmviz.cells.equations import parse, text
from lstmviz.explain.rows import SLOTS, role_in

WORDS = {"memory": "holds", "looks back": "looks back by"}  # the others' names are what they do
OPPOSITE = {"keeps": ("writes", "what it does not write"), "writes": ("keeps", "what it does not keep")}


@cache
def lacking(cell: type[Declared], slot: str) -> str:
    """Why nothing of a cell is drawn in a row of ``SLOTS``, in a few words."""
    row, role = SLOTS[slot], role_in(slot, cell)
    if role and role == role_in("memory", cell):
        return "no row of its own: its memory, above, is what it shows"
    if role == row.role:
        return "its output is a projection, which belongs to no unit"
    if role:
        return f"no row of its own: {_written(cell.symbols[role])}, above, is also what it {slot} by"
    if slot == "keeps" and not cell.keeps:
        return "no gate: everything is computed anew"
    if slot == "shows" and cell.keeps and not cell.shows:
        return f"no {row.usual}: shows all of its memory"
    declared = getattr(cell, row.does, "")
    return f"no {row.usual}: {WORDS.get(slot, slot)} {_share(cell, slot)}" if declared else f"no {row.usual}"


def _share(cell: type[Declared], slot: str) -> str:
    """What a cell declares of a row; and where that is what the opposite leaves, so in words."""
    share = getattr(cell, SLOTS[slot].does)
    opposite, words = OPPOSITE.get(slot, ("", ""))
    other = getattr(cell, opposite, "")
    rest = other and text(parse(share)) == text(parse(f"1 − ({other})"))
    return f"{words}, {_written(share)}" if rest else _written(share)


def _written(expression: str) -> str:
    return expression.replace(" ", "\N{NO-BREAK SPACE}")  # no line of a narrow column ends in it
