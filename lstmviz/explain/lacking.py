"""What Compare says where a cell lacks what stands in a row."""

from __future__ import annotations

ABSENT = {  # why a cell lacks something, where that is worth a word
    ("gru", "writes"): "no input gate: writes what it does not keep, 1 − z",
    ("gru_v1", "writes"): "no input gate: writes what it does not keep, 1 − z",
    ("mingru", "writes"): "no input gate: writes what it does not keep, 1 − z",
    ("gru", "shows"): "no output gate: shows all of its memory",
    ("gru_v1", "shows"): "no output gate: shows all of its memory",
    ("mingru", "shows"): "no output gate: shows all of its memory",
    ("minlstm", "shows"): "no output gate: shows all of its memory",
    ("janet", "shows"): "no output gate: shows all of its memory",
    ("rnn", "keeps"): "no gate: everything is computed anew",
    ("lstmp", "hidden"): "its output is a projection, which belongs to no unit",
}


def lacking(cell: str, slot: str, layer: int, layers: int) -> str:
    if layer >= layers:
        return f"no layer {layer + 1}: this model has {layers}"
    names = {"keeps": "forget gate", "writes": "input gate", "shows": "output gate", "looks back": "reset gate"}
    names["hidden"] = "row of its own: its memory, above, is what it shows"
    return ABSENT.get((cell, slot), f"no {names.get(slot, slot)}")
