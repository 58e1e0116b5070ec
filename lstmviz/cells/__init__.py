"""Recurrent cells, one file a family, and ``CELLS``, the one registry of them; ``TREE_CELLS`` are those of trees."""

from dataclasses import dataclass
from typing import Any

from lstmviz.cells.base import Cell, Gates, State, Taught, chrono
from lstmviz.cells.equations import Equations, parse
from lstmviz.cells.gru import GRU, GRUv1
from lstmviz.cells.janet import JANET
from lstmviz.cells.lstm import LSTM, LSTMConcat, LSTMSplit
from lstmviz.cells.minimal import MinGRU, MinLSTM
from lstmviz.cells.mogrifier import Mogrifier
from lstmviz.cells.norm import LayerNormLSTM
from lstmviz.cells.peephole import (
    CoupledGates,
    GateRecurrence,
    NoForgetGate,
    NoInputActivation,
    NoInputGate,
    NoOutputActivation,
    NoOutputGate,
    NoPeepholes,
    Peephole,
)
from lstmviz.cells.projected import ProjectedLSTM
from lstmviz.cells.report import ReportConcat, ReportSplit
from lstmviz.cells.rnn import RNN
from lstmviz.cells.slstm import SLSTM
from lstmviz.cells.tree import ChildSum, Levels, Nary, TreeCell

CELLS: dict[str, type[Cell]] = {
    "rnn": RNN,
    "lstm": LSTM,
    "lstm_split": LSTMSplit,
    "lstm_concat": LSTMConcat,
    "report_split": ReportSplit,
    "report_concat": ReportConcat,
    "gru": GRU,
    "gru_v1": GRUv1,
    "peephole": Peephole,
    "nig": NoInputGate,
    "nfg": NoForgetGate,
    "nog": NoOutputGate,
    "niaf": NoInputActivation,
    "noaf": NoOutputActivation,
    "np": NoPeepholes,
    "cifg": CoupledGates,
    "fgr": GateRecurrence,
    "layernorm": LayerNormLSTM,
    "lstmp": ProjectedLSTM,
    "janet": JANET,
    "mingru": MinGRU,
    "minlstm": MinLSTM,
    "slstm": SLSTM,
    "mogrifier": Mogrifier,
}

TREE_CELLS: dict[str, type[TreeCell]] = {"child_sum": ChildSum, "nary": Nary}


def cell_called(name: str) -> type[Taught]:
    """A cell of a sequence or of a tree."""
    return TREE_CELLS[name] if name in TREE_CELLS else CELLS[name]


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
    def of(cls, name: str) -> "CellData":
        """The data of a cell, from its equations."""
        cell, lines = CELLS[name], CELLS[name].parsed().lines
        known = {symbol for symbol, _ in lines}
        others = ((symbol, parse(symbol)) for symbol in cell.symbols.values() if symbol not in known)
        return cls(name, Equations((*lines, *others)).to_json(), cell.symbols, cell.states)


__all__ = [
    "CELLS", "TREE_CELLS", "Cell", "CellData", "Gates", "Levels", "State", "Taught", "TreeCell", "cell_called",
    "chrono",
]  # fmt: skip
