"""The LSTM with layer normalisation."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lstmviz.cells.base import GatedCell, Gates, Product, State
from lstmviz.cells.lstm import LSTM
from lstmviz.cells.product import linear


class LayerNormLSTM(GatedCell):
    """The LSTM in which W x, U h' and the c that is shown are normalised over the units; c itself is kept raw.

    Equations::

        a_k = LN(W_k x) + LN(U_k h') + b_k,  k = i, f, g, o
        i, f, o = σ(a_i), σ(a_f), σ(a_o)     g = tanh(a_g)
        c = f ⊙ c' + i ⊙ g                   h = o ⊙ tanh(LN(c))

    LN(v) = α ⊙ (v − mean v) / std v, a gain α of its own for each, and for c also a shift. PyTorch's own
    example of such a cell carries LN(c) on in place of c, which is another cell.
    Parameters: 4h(h + x) + 4h, gains and shift 10h.
    Paper: Ba et al. 2016.
    """

    rows = ("i", "f", "g", "o")
    gates, states, keeping = LSTM.gates, LSTM.states, LSTM.keeping
    paper = "Ba et al. 2016"
    count = "4h(h + x) + 14h"

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.gain_x = nn.Parameter(torch.ones(4, hidden_size))
        self.gain_h = nn.Parameter(torch.ones(4, hidden_size))
        self.norm_c = nn.LayerNorm(hidden_size)

    def normalised(self, rows: Tensor, gain: Tensor) -> Tensor:  # (…, 4H) -> (…, 4H)
        """LN of each gate's block of units."""
        rows = rows.unflatten(-1, (4, self.hidden_size))  # (…, 4, H)
        return (gain * F.layer_norm(rows, (self.hidden_size,))).flatten(-2)

    def project(self, inputs: Tensor) -> Tensor:
        return self.normalised(linear(inputs, self.W), self.gain_x) + self.b  # (T, B, 4H)

    def step(self, x: Tensor, state: State, U: Product) -> tuple[State, Gates]:
        a = x + self.normalised(U(state["hidden"]), self.gain_h)  # (B, 4H)
        a_i, a_f, a_g, a_o = a.chunk(4, dim=-1)
        i, f, g, o = a_i.sigmoid(), a_f.sigmoid(), a_g.tanh(), a_o.sigmoid()
        c = f * state["cell"] + i * g
        h = o * self.norm_c(c).tanh()
        return {"cell": c, "hidden": h}, {"input_gate": i, "forget_gate": f, "candidate": g, "output_gate": o}
