"""The simple recurrent network."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from lstmviz.cells.base import Cell, Gates, Product, State
from lstmviz.cells.native import record_native


class RNN(Cell):
    """The simple (Elman) network as PyTorch computes and stores it.

    Equation::

        h = tanh(W x + b + U h' + b_h)

    No gate keeps anything: all of h is made anew at every step, so what was read fades unless U carries it on.
    Parameters: h(h + x) weights and 2h biases.
    Paper: Elman 1990.
    """

    gates = ()
    states = ("hidden",)
    paper = "Elman 1990"
    count = "h(h + x) + 2h"

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.native = nn.RNN(input_size, hidden_size)

    def project(self, inputs: Tensor) -> Tensor:
        w_ih, _, b_ih, b_hh = self.native.all_weights[0]
        return F.linear(inputs, w_ih, b_ih + b_hh)  # (T, B, H)

    def recurrent_weight(self) -> Tensor:
        return self.native.all_weights[0][1]

    def step(self, x: Tensor, state: State, U: Product) -> tuple[State, Gates]:
        h = (x + U(state["hidden"])).tanh()
        return {"hidden": h}, {}

    def forward(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        hidden, h = self.native(inputs, state["hidden"][None])
        return hidden, {"hidden": h[0]}

    def record(self, inputs: Tensor, state: State) -> dict[str, Tensor]:
        return record_native("rnn_tanh", inputs, state, self.native.all_weights[0])
