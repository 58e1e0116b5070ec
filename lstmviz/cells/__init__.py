"""Recurrent cells, one file a family, and ``CELLS``, the one registry of them."""

from lstmviz.cells.base import Cell, Gates, State
from lstmviz.cells.gru import GRU
from lstmviz.cells.lstm import LSTM, LSTMConcat, LSTMSplit
from lstmviz.cells.rnn import RNN

CELLS: dict[str, type[Cell]] = {
    "rnn": RNN,
    "lstm": LSTM,
    "lstm_split": LSTMSplit,
    "lstm_concat": LSTMConcat,
    "gru": GRU,
}

__all__ = ["CELLS", "Cell", "Gates", "State"]
