"""The two LSTMs of a course report, as its code was printed: the cell state never reaches h."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from lstmviz.cells.base import Gates, State
from lstmviz.cells.lstm import LSTMConcat, LSTMSplit, lstm_update


def report_update(a_i: Tensor, a_f: Tensor, a_g: Tensor, a_o: Tensor, cell: Tensor) -> tuple[State, Gates]:
    """As ``lstm_update``, but h is made of the candidate, where it should be made of c."""
    state, gates = lstm_update(a_i, a_f, a_g, a_o, cell)
    h = gates["output_gate"] * gates["candidate"].tanh()
    return {**state, "hidden": h}, gates


class ReportSplit(LSTMSplit):
    """Eight separate linear maps, with h = o ⊙ tanh(g).

    Equations::

        i = σ(W_ii x + b_ii + W_hi h' + b_hi)       f = σ(W_if x + b_if + W_hf h' + b_hf)
        g = tanh(W_ig x + b_ig + W_hg h' + b_hg)    o = σ(W_io x + b_io + W_ho h' + b_ho)
        c = f ⊙ c' + i ⊙ g                          h = o ⊙ tanh(g)

    c never reaches h, so nothing teaches i and f: the weights of both gates get no gradient at all, and the gates stay
    near 0.5, where initialisation put them.
    Parameters: 4h(h + x) + 8h, as ``lstm_split``; half of them never learn.
    Paper: a course report's printed code.
    """

    lets_out = "candidate"
    update = staticmethod(report_update)


class ReportConcat(LSTMConcat):
    """Each gate one linear map of [h', x], with h = o ⊙ tanh(ĉ).

    Equations::

        i = σ(W_i [h', x] + b_i)       f = σ(W_f [h', x] + b_f)
        ĉ = tanh(W_g [h', x] + b_g)    o = σ(W_o [h', x] + b_o)
        h = o ⊙ tanh(ĉ)                c = f ⊙ c' + i ⊙ ĉ

    c never reaches h, so nothing teaches i and f: the weights of both gates get no gradient at all, and the gates stay
    near 0.5, where initialisation put them.
    Parameters: 4h(h + x) + 4h, as ``lstm_concat``; half of them never learn.
    Paper: a course report's printed code.
    """

    gates: ClassVar = LSTMConcat.gates | {"candidate": "ĉ"}
    lets_out = "candidate"
    update = staticmethod(report_update)
