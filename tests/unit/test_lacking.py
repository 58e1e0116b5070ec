"""What Compare shows of a cell in each of its rows, or says where the cell has nothing for it."""

import pytest

from lstmviz.cells import CELLS
from lstmviz.explain.lacking import lacking
from lstmviz.explain.rows import SLOTS, role_in

GATES = ("forget_gate", "input_gate", "output_gate", "no reset gate", "candidate", "cell", "hidden")
ALL, SHARE = "no output gate: shows all of its memory", "no input gate: writes what it does not keep, 1\xa0−\xa0z"
OWN = "no row of its own: its memory, above, is what it shows"
GRU = ("update_gate", SHARE, ALL, "reset_gate", "candidate", "hidden", OWN)
MINIMAL = ("forget_gate", "input_gate", ALL, "no reset gate", "candidate", "hidden", OWN)
EXPECTED = dict.fromkeys(CELLS, GATES) | {  # in the order of ``SLOTS``, as before cells declared it
    "rnn": (
        "no gate: everything is computed anew", "no input gate", "no output gate", "no reset gate", "no candidate",
        "hidden", OWN,
    ),
    "gru": GRU,
    "gru_v1": GRU,
    "janet": MINIMAL,
    "mingru": MINIMAL,
    "minlstm": MINIMAL,
    "slstm": ("log_forget_gate", "log_input_gate", *GATES[2:]),
}  # fmt: skip


def shown(cell: str) -> tuple[str | None, ...]:
    """For each row the role that stands there, or what is said."""
    roles: list[str] = []
    for slot in SLOTS:
        role = role_in(slot, CELLS[cell])
        roles.append(role if role and role not in roles else lacking(CELLS[cell], slot))
    return tuple(roles)


@pytest.mark.parametrize("cell", EXPECTED)
def test_every_row_of_every_cell_shows_or_says_what_it_did(cell: str) -> None:
    assert shown(cell) == EXPECTED[cell]


def test_the_output_of_a_projection_belongs_to_no_unit() -> None:
    assert lacking(CELLS["lstmp"], "hidden") == "its output is a projection, which belongs to no unit"


def test_what_a_gate_does_decides_its_row_and_not_its_name(minimal_gated_unit: str) -> None:
    assert shown(minimal_gated_unit) == (
        "no forget gate: keeps what it does not write, 1\xa0−\xa0f",
        "forget_gate",
        ALL,
        "no row of its own: f, above, is also what it looks back by",
        "candidate",
        "hidden",
        OWN,
    )


@pytest.mark.parametrize(
    ("declared", "slot", "said"),
    [
        ({"keeps": "f", "writes": "1 − f"}, "writes", "no input gate: writes what it does not keep, 1\xa0−\xa0f"),
        ({"keeps": "f", "writes": "tanh(f)"}, "writes", "no input gate: writes tanh(f)"),
        ({"keeps": "(1 − g) ⊙ f", "writes": "g"}, "keeps", "no forget gate: keeps (1\xa0−\xa0g)\xa0⊙\xa0f"),
        ({"keeps": "f", "shows": "1 − f"}, "shows", "no output gate: shows 1\xa0−\xa0f"),
        ({"keeps": "f", "looks_back": "1 − f"}, "looks back", "no reset gate: looks back by 1\xa0−\xa0f"),
        ({"keeps": "", "writes": "", "holds": "1 − h"}, "memory", "no memory: holds 1\xa0−\xa0h"),
    ],
)
def test_what_no_gate_does_is_said_from_its_expression(declared, slot, said) -> None:
    usual = {"keeps": "", "writes": "", "shows": "", "looks_back": "", "holds": "h"}
    cell = type("Odd", (CELLS["janet"],), usual | declared | {"gates": {"candidate": "g"}, "states": {"hidden": "h"}})
    assert lacking(cell, slot) == said
