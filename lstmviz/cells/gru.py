"""The gated recurrent unit."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from lstmviz.cells.base import Cell, Gates, State
from lstmviz.cells.native import record_native


class GRU(Cell):
    """The GRU as PyTorch computes and stores it.

    Equations::

        r = σ(W_r x + b_r + U_r h' + b_hr)    z = σ(W_z x + b_z + U_z h' + b_hz)
        n = tanh(W_n x + b_n + r ⊙ (U_n h' + b_hn))
        h = (1 − z) ⊙ n + z ⊙ h'

    z is how much of h' is kept; some texts swap its meaning.
    Parameters: 3h(h + x) weights and 6h biases, rows in the order r, z, n.
    Paper: Cho et al. 2014.
    """

    gates = ("reset_gate", "update_gate", "candidate")
    states = ("hidden",)
    paper = "Cho et al. 2014"

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.native = nn.GRU(input_size, hidden_size)

    def project(self, inputs: Tensor) -> Tensor:
        w_ih, _, b_ih, _ = self.native.all_weights[0]
        return F.linear(inputs, w_ih, b_ih)  # (T, B, 3H)

    def step(self, x: Tensor, state: State) -> tuple[State, Gates]:
        _, w_hh, _, b_hh = self.native.all_weights[0]
        h = state["hidden"]
        x_r, x_z, x_n = x.chunk(3, dim=-1)
        u_r, u_z, u_n = F.linear(h, w_hh, b_hh).chunk(3, dim=-1)
        r = (x_r + u_r).sigmoid()
        z = (x_z + u_z).sigmoid()
        n = (x_n + r * u_n).tanh()
        h = (1 - z) * n + z * h
        return {"hidden": h}, {"reset_gate": r, "update_gate": z, "candidate": n}

    def forward(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        hidden, h = self.native(inputs, state["hidden"][None])
        return hidden, {"hidden": h[0]}

    def record(self, inputs: Tensor, state: State) -> dict[str, Tensor]:
        return record_native("gru", inputs, state, self.native.all_weights[0])
