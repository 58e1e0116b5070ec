"""The rows of Compare: what different cells call differently, but use for the same."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass


@dataclass(frozen=True)
class Slot:
    """A row of gate maps: what different cells call differently, but use for the same.

    Args:
        label, hint: how it is called, and what it means.
        roles: the names that it has; the first that a cell has is shown.
    """

    label: str
    hint: str
    roles: tuple[str, ...]


SLOTS = {
    "keeps": Slot("keeps", "1 keeps all,\n0 erases it", ("forget_gate", "update_gate", "log_forget_gate")),
    "writes": Slot("writes", "how much of\nthe candidate", ("input_gate", "log_input_gate")),
    "shows": Slot("shows", "how much\ngets out", ("output_gate",)),
    "looks back": Slot("looks back", "when it forms\nthe candidate", ("reset_gate",)),
    "candidate": Slot("candidate", "what it would\nwrite", ("candidate",)),
    "memory": Slot("memory", "what is held", ("cell", "hidden")),
    "hidden": Slot("hidden", "the layer's\noutput", ("hidden",)),
}
USUAL = ("keeps", "writes", "shows", "memory")


def role_in(slot: str, available: Container[str]) -> str | None:
    return next((role for role in SLOTS[slot].roles if role in available), None)
