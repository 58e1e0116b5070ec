"""The gated recurrent unit, with its reset gate after U and before it."""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from lstmviz.cells.base import Cell, GatedCell, Gates, Product, State
from lstmviz.cells.native import record_native
from lstmviz.cells.product import Recurrent


class GRU(Cell):
    """The GRU as PyTorch computes and stores it.

    Equations::

        r = σ(W_r x + b_r + U_r h' + b_hr)    z = σ(W_z x + b_z + U_z h' + b_hz)
        n = tanh(W_n x + b_n + r ⊙ (U_n h' + b_hn))
        h = (1 − z) ⊙ n + z ⊙ h'

    z is how much of h' is kept, as in Cho et al. and PyTorch; other texts write z for what is 1 − z here. r acts on
    U_n h', as in PyTorch and cuDNN; in gru_v1, as in Cho et al., it acts on h' before U_n.
    Parameters: 3h(h + x) weights and 6h biases, rows in the order r, z, n.
    Paper: Cho et al. 2014.
    """

    gates = ("reset_gate", "update_gate", "candidate")
    states = ("hidden",)
    paper = "Cho et al. 2014"
    count = "3h(h + x) + 6h"
    keeping: ClassVar = {"z": 1}

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.native = nn.GRU(input_size, hidden_size)

    def biases(self, k: str) -> list[Tensor]:
        _, _, *biases = self.native.all_weights[0]
        return [bias.chunk(3)["rzn".index(k)] for bias in biases]

    def project(self, inputs: Tensor) -> Tensor:
        w_ih, _, b_ih, _ = self.native.all_weights[0]
        return F.linear(inputs, w_ih, b_ih)  # (T, B, 3H)

    def recurrent_weight(self) -> Tensor:
        return self.native.all_weights[0][1]

    def step(self, x: Tensor, state: State, U: Product) -> tuple[State, Gates]:
        h = state["hidden"]
        x_r, x_z, x_n = x.chunk(3, dim=-1)
        u_r, u_z, u_n = (U(h) + self.native.all_weights[0][3]).chunk(3, dim=-1)  # b_hh
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


class GRUv1(GatedCell):
    """The GRU that resets h' before U_n sees it.

    Equations::

        r = σ(W_r x + U_r h' + b_r)    z = σ(W_z x + U_z h' + b_z)
        n = tanh(W_n x + U_n (r ⊙ h') + b_n)
        h = (1 − z) ⊙ n + z ⊙ h'

    A unit's r is how much of its own past the candidates of all units see; in gru it is how much of everybody's past
    its own candidate sees. Keras has this cell with reset_after=False and ONNX by default (linear_before_reset=0), with
    the same z. Keras and Flux name it after version 3 of the paper, and gru after version 1.
    Parameters: 3h(h + x) + 3h, rows in the order r, z, n.
    Paper: Cho et al. 2014.
    """

    rows = ("r", "z", "n")
    gates, states, keeping, paper = GRU.gates, GRU.states, GRU.keeping, GRU.paper
    count = "3h(h + x) + 3h"
    resets = "past"

    def recurrent(self, inputs: Tensor) -> Product:
        U_rz, U_n = self.U.split([2 * self.hidden_size, self.hidden_size])
        products = {"rz": Recurrent(U_rz, *inputs.shape[:2]), "n": Recurrent(U_n, *inputs.shape[:2])}
        return lambda h, k: products[k](h)

    def step(self, x: Tensor, state: State, U: Product) -> tuple[State, Gates]:
        h = state["hidden"]
        x_rz, x_n = x.split([2 * self.hidden_size, self.hidden_size], dim=-1)
        r, z = (x_rz + U(h, "rz")).sigmoid().chunk(2, dim=-1)
        n = (x_n + U(r * h, "n")).tanh()
        h = (1 - z) * n + z * h
        return {"hidden": h}, {"reset_gate": r, "update_gate": z, "candidate": n}
