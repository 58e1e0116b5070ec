"""The sLSTM: an LSTM with exponential gates."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from lstmviz.cells.base import GatedCell, Gates, Product, State


class SLSTM(GatedCell):
    """The sLSTM of xLSTM, with one head: an exponential input gate, and h a weighted mean of what was written.

    Equations::

        ĩ = W_i x + U_i h' + b_i          f̃ = W_f x + U_f h' + b_f
        z = tanh(W_z x + U_z h' + b_z)    o = σ(W_o x + U_o h' + b_o)
        m = max(ĩ, ln σ(f̃) + m')          m' = ĩ at the first step
        ln i = ĩ − m                      ln f = ln σ(f̃) + m' − m
        c = f ⊙ c' + i ⊙ z                n = f ⊙ n' + i
        h = o ⊙ c / n

    m changes nothing but the size of the numbers, so i and f mean something only beside each other: their logarithms
    are shown, the larger of which is 0. What h shows is the mean c / n, of which a step keeps the share f ⊙ n' / n.
    Parameters: 4h(h + x) + 4h.
    Paper: Beck et al. 2024.
    """

    gates: ClassVar = {"log_input_gate": "ln i", "log_forget_gate": "ln f", "candidate": "z", "output_gate": "o"}
    states: ClassVar = {"cell": "c", "normalizer": "n", "stabilizer": "m", "hidden": "h"}
    keeps, writes, shows, holds = "f ⊙ n' / n", "i / n", "o", "c / n"
    rows = ("i", "f", "z", "o")
    keeping: ClassVar = {"f": 1, "i": -1}

    def step(self, Wx: Tensor, state: State, U: Product) -> tuple[State, Gates]:
        a_i, a_f, a_z, a_o = (Wx + U(state["hidden"])).chunk(4, dim=-1)  # (B, H) each: W_k x + U_k h' + b_k
        c, n, m = state["cell"], state["normalizer"], state["stabilizer"]
        z, o = a_z.tanh(), a_o.sigmoid()
        # n is at least 1 after any step and 0 before the first, where m' is ĩ, which makes m = ĩ.
        before = torch.where(n == 0, a_i, m)
        kept = F.logsigmoid(a_f) + before
        m = torch.maximum(a_i, kept)
        log_i, log_f = a_i - m, kept - m
        i, f = log_i.exp(), log_f.exp()
        c = f * c + i * z
        n = f * n + i
        h = o * c / n
        return (
            {"cell": c, "normalizer": n, "stabilizer": m, "hidden": h},
            {"log_input_gate": log_i, "log_forget_gate": log_f, "candidate": z, "output_gate": o},
        )
