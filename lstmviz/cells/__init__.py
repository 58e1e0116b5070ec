"""Recurrent cells, one file a family, and ``CELLS``, the one registry of them; ``TREE_CELLS`` are those of trees.

Who asks for a cell itself imports it, and with it torch. What it says of itself is known without: `cell_called`.
"""

from __future__ import annotations

from collections import UserDict
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from lstmviz.cells.declared import Described, all_described, described
from lstmviz.cells.equations import Equations, parse


class Registry(UserDict[str, Any]):
    """Cells by name: each stands here as ``"file.Class"``, and is imported when somebody asks for it."""

    def __getitem__(self, name: str) -> Any:
        found = super().__getitem__(name)
        if isinstance(found, str):
            module, _, kind = found.partition(".")
            found = self[name] = getattr(import_module(f"lstmviz.cells.{module}"), kind)
        return found


CELLS = Registry(
    rnn="rnn.RNN",
    lstm="lstm.LSTM",
    lstm_split="lstm.LSTMSplit",
    lstm_concat="lstm.LSTMConcat",
    report_split="report.ReportSplit",
    report_concat="report.ReportConcat",
    gru="gru.GRU",
    gru_v1="gru.GRUv1",
    peephole="peephole.Peephole",
    nig="peephole.NoInputGate",
    nfg="peephole.NoForgetGate",
    nog="peephole.NoOutputGate",
    niaf="peephole.NoInputActivation",
    noaf="peephole.NoOutputActivation",
    np="peephole.NoPeepholes",
    cifg="peephole.CoupledGates",
    fgr="peephole.GateRecurrence",
    layernorm="norm.LayerNormLSTM",
    lstmp="projected.ProjectedLSTM",
    janet="janet.JANET",
    mingru="minimal.MinGRU",
    minlstm="minimal.MinLSTM",
    slstm="slstm.SLSTM",
    mogrifier="mogrifier.Mogrifier",
)

TREE_CELLS = Registry(child_sum="tree.ChildSum", nary="tree.Nary")


def layer_called(name: str) -> Any:
    """A cell of a sequence or of a tree, of which layers can be made."""
    return TREE_CELLS[name] if name in TREE_CELLS else CELLS[name]


def cell_called(name: str) -> type[Described]:
    """What such a cell says of itself. Of one that the file does not describe yet it asks the cell."""
    if name in all_described():
        return all_described()[name]
    return described(name, import_module("lstmviz.cells.describe").describe(layer_called(name)))


@dataclass(frozen=True)
class CellData:
    """A cell as data: whoever knows the operations of `lstmviz.cells.equations` can run it.

    Args:
        name: in ``CELLS``.
        equations: symbol -> tree, in an order in which they can be computed; of every role, too, as of "1 − z".
        symbols: role -> the symbol of each gate and state.
        states: those that the next step sees, with a prime.
    """

    name: str
    equations: dict[str, Any]
    symbols: dict[str, str]
    states: dict[str, str]

    @classmethod
    def of(cls, name: str) -> CellData:
        """The data of a cell, from its equations."""
        cell, lines = cell_called(name), cell_called(name).parsed().lines
        known = {symbol for symbol, _ in lines}
        others = ((symbol, parse(symbol)) for symbol in cell.symbols.values() if symbol not in known)
        return cls(name, Equations((*lines, *others)).to_json(), cell.symbols, cell.states)
