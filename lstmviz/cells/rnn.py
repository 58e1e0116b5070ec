"""The simple recurrent network."""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from lstmviz.cells.base import Gates, Product, State
from lstmviz.cells.native import NativeCell


class RNN(NativeCell):
    """The simple (Elman) network as PyTorch computes and stores it.

    Equation::

        h = tanh(W x + b + U h' + b_h)

    No gate keeps anything: all of h is made anew at every step, so what was read fades unless U carries it on.
    Parameters: h(h + x) + 2h.
    Paper: Elman 1990.
    """

    states: ClassVar = {"hidden": "h"}
    holds = "h"
    rows = ("",)  # no gate, so no k

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.native = nn.RNN(input_size, hidden_size)

    def project(self, inputs: Tensor) -> Tensor:
        native = self.native
        return F.linear(inputs, native.weight_ih_l0, native.bias_ih_l0 + native.bias_hh_l0)  # (T, B, H)

    def step(self, Wx: Tensor, state: State, U: Product) -> tuple[State, Gates]:
        h = (Wx + U(state["hidden"])).tanh()
        return {"hidden": h}, {}
