"""The gated recurrent unit, with its reset gate after U and before it."""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from lstmviz.cells.base import GatedCell, Gates, Product, State
from lstmviz.cells.native import NativeCell
from lstmviz.cells.product import Recurrent


class GRUNames:
    """What both have in common: what is recorded, under which symbols, and what it does."""

    gates: ClassVar = {"reset_gate": "r", "update_gate": "z", "candidate": "n"}
    states: ClassVar = {"hidden": "h"}
    keeps, writes, looks_back, holds = "z", "1 − z", "r", "h"
    rows = ("r", "z", "n")
    keeping: ClassVar = {"z": 1}


class GRU(GRUNames, NativeCell):
    """The GRU as PyTorch computes and stores it.

    Equations::

        r = σ(W_r x + b_r + U_r h' + b_hr)    z = σ(W_z x + b_z + U_z h' + b_hz)
        n = tanh(W_n x + b_n + r ⊙ (U_n h' + b_hn))
        h = (1 − z) ⊙ n + z ⊙ h'

    z is how much of h' is kept, as in Cho et al. and PyTorch; other texts write z for what is 1 − z here. r acts on
    U_n h', as in PyTorch and cuDNN; in gru_v1, as in Cho et al., it acts on h' before U_n.
    Parameters: 3h(h + x) + 6h, rows in the order r, z, n.
    Paper: Cho et al. 2014.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.native = nn.GRU(input_size, hidden_size)

    def project(self, inputs: Tensor) -> Tensor:
        return F.linear(inputs, self.native.weight_ih_l0, self.native.bias_ih_l0)  # (T, B, 3H)

    def step(self, Wx: Tensor, state: State, U: Product) -> tuple[State, Gates]:
        h = state["hidden"]
        Wx_r, Wx_z, Wx_n = Wx.chunk(3, dim=-1)  # (B, H) each: W_k x + b_k
        Uh_r, Uh_z, Uh_n = (U(h) + self.native.bias_hh_l0).chunk(3, dim=-1)  # (B, H) each: U_k h' + b_hk
        r = (Wx_r + Uh_r).sigmoid()
        z = (Wx_z + Uh_z).sigmoid()
        n = (Wx_n + r * Uh_n).tanh()
        h = (1 - z) * n + z * h
        return {"hidden": h}, {"reset_gate": r, "update_gate": z, "candidate": n}


class GRUv1(GRUNames, GatedCell):
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

    resets = "past"

    def recurrent(self, inputs: Tensor) -> Product:
        U_rz, U_n = self.U.split([2 * self.hidden_size, self.hidden_size])
        products = {"rz": Recurrent(U_rz, *inputs.shape[:2]), "n": Recurrent(U_n, *inputs.shape[:2])}
        return lambda h, k: products[k](h)

    def step(self, Wx: Tensor, state: State, U: Product) -> tuple[State, Gates]:
        h = state["hidden"]
        Wx_rz, Wx_n = Wx.split([2 * self.hidden_size, self.hidden_size], dim=-1)  # (B, 2H), (B, H): W_k x + b_k
        r, z = (Wx_rz + U(h, "rz")).sigmoid().chunk(2, dim=-1)
        n = (Wx_n + U(r * h, "n")).tanh()
        h = (1 - z) * n + z * h
        return {"hidden": h}, {"reset_gate": r, "update_gate": z, "candidate": n}
