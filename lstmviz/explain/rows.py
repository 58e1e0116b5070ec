"""The rows of Compare: what different cells call differently, but use for the same."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from lstmviz.cells.declared import Declared


@dataclass(frozen=True)
class Slot:
    """A row of gate maps: of each cell what does the same, whatever the cell calls it, or what is the same.

    Args:
        label, hint: how it is called, and what it means.
        usual: what stands there as most cells call it.
        does: what it does, as cells declare it: "keeps", "writes", "shows", "looks_back", "holds".
        role: or what it is, in every cell.
    """

    label: str
    hint: str
    usual: str
    does: str = ""
    role: str = ""


SLOTS = {
    "keeps": Slot("keeps", "1 keeps all,\n0 erases it", "forget gate", does="keeps"),
    "writes": Slot("writes", "how much of\nthe candidate", "input gate", does="writes"),
    "shows": Slot("shows", "how much\ngets out", "output gate", does="shows"),
    "looks back": Slot("looks back", "when it forms\nthe candidate", "reset gate", does="looks_back"),
    "candidate": Slot("candidate", "what it would\nwrite", "candidate", role="candidate"),
    "memory": Slot("memory", "what is held", "memory", does="holds"),
    "hidden": Slot("hidden", "the layer's\noutput", "hidden", role="hidden"),
}
USUAL = ("keeps", "writes", "shows", "memory")


@cache
def role_in(slot: str, cell: type[Declared]) -> str | None:
    """The gate or state of a cell that stands in a row; None where none of them does."""
    row = SLOTS[slot]
    role = cell.doer(row.does) if row.does else row.role
    return role if role in cell.recorded() else None
