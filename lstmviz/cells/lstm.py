"""The LSTM with forget gate, in three layouts of the same function."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lstmviz.cells.base import Cell, Gates, State, init_uniform
from lstmviz.cells.native import record_native


def lstm_update(a_i: Tensor, a_f: Tensor, a_g: Tensor, a_o: Tensor, cell: Tensor) -> tuple[State, Gates]:
    """From the four pre-activations to the new state; all tensors ``(B, H)``."""
    i, f, g, o = a_i.sigmoid(), a_f.sigmoid(), a_g.tanh(), a_o.sigmoid()
    c = f * cell + i * g
    h = o * c.tanh()
    return (
        {"hidden": h, "cell": c},
        {"input_gate": i, "forget_gate": f, "candidate": g, "output_gate": o},
    )


class LSTM(Cell):
    """The LSTM as PyTorch computes and stores it.

    Equations::

        i = σ(W_i x + U_i h' + b_i)     f = σ(W_f x + U_f h' + b_f)
        g = tanh(W_g x + U_g h' + b_g)  o = σ(W_o x + U_o h' + b_o)
        c = f ⊙ c' + i ⊙ g              h = o ⊙ tanh(c)

    Parameters: 4h(h + x) weights and 8h biases, rows in the order i, f, g, o.
    Paper: Hochreiter & Schmidhuber 1997; Gers, Schmidhuber & Cummins 2000.
    """

    gates = ("input_gate", "forget_gate", "candidate", "output_gate")
    states = ("cell", "hidden")
    paper = "Hochreiter & Schmidhuber 1997; Gers, Schmidhuber & Cummins 2000"

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.native = nn.LSTM(input_size, hidden_size)

    def project(self, inputs: Tensor) -> Tensor:
        w_ih, _, b_ih, _ = self.native.all_weights[0]
        return F.linear(inputs, w_ih, b_ih)  # (T, B, 4H)

    def step(self, x: Tensor, state: State) -> tuple[State, Gates]:
        _, w_hh, _, b_hh = self.native.all_weights[0]
        a = x + F.linear(state["hidden"], w_hh, b_hh)  # (B, 4H)
        return lstm_update(*a.chunk(4, dim=-1), cell=state["cell"])

    def forward(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        hidden, (h, c) = self.native(inputs, (state["hidden"][None], state["cell"][None]))
        return hidden, {"hidden": h[0], "cell": c[0]}

    def record(self, inputs: Tensor, state: State) -> dict[str, Tensor]:
        return record_native("lstm", inputs, state, self.native.all_weights[0])


class LSTMSplit(Cell):
    """The same cell as eight separate linear maps, as PyTorch's documentation writes it.

    Equations::

        i = σ(W_ii x + b_ii + W_hi h' + b_hi)       f = σ(W_if x + b_if + W_hf h' + b_hf)
        g = tanh(W_ig x + b_ig + W_hg h' + b_hg)    o = σ(W_io x + b_io + W_ho h' + b_ho)
        c = f ⊙ c' + i ⊙ g                          h = o ⊙ tanh(c)

    Parameters: 4h(h + x) weights and 8h biases.
    Paper: Hochreiter & Schmidhuber 1997; Gers, Schmidhuber & Cummins 2000.
    """

    gates, states, paper = LSTM.gates, LSTM.states, LSTM.paper

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.W_ii, self.W_if, self.W_ig, self.W_io = (nn.Linear(input_size, hidden_size) for _ in range(4))
        self.W_hi, self.W_hf, self.W_hg, self.W_ho = (nn.Linear(hidden_size, hidden_size) for _ in range(4))
        init_uniform(self, hidden_size)

    def project(self, inputs: Tensor) -> Tensor:
        maps = (self.W_ii, self.W_if, self.W_ig, self.W_io)
        return F.linear(inputs, torch.cat([m.weight for m in maps]), torch.cat([m.bias for m in maps]))  # (T, B, 4H)

    def step(self, x: Tensor, state: State) -> tuple[State, Gates]:
        h = state["hidden"]
        x_i, x_f, x_g, x_o = x.chunk(4, dim=-1)
        return lstm_update(
            x_i + self.W_hi(h), x_f + self.W_hf(h), x_g + self.W_hg(h), x_o + self.W_ho(h), cell=state["cell"]
        )


class LSTMConcat(Cell):
    """The same cell with each gate one linear map of the concatenation [h', x].

    Equations::

        i = σ(W_i [h', x] + b_i)       f = σ(W_f [h', x] + b_f)
        g = tanh(W_g [h', x] + b_g)    o = σ(W_o [h', x] + b_o)
        c = f ⊙ c' + i ⊙ g             h = o ⊙ tanh(c)

    Parameters: 4h(h + x) weights and 4h biases.
    Paper: as drawn by Olah 2015.
    """

    gates, states = LSTM.gates, LSTM.states
    paper = "Olah 2015"

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.W_i, self.W_f, self.W_g, self.W_o = (nn.Linear(hidden_size + input_size, hidden_size) for _ in range(4))
        init_uniform(self, hidden_size)

    def step(self, x: Tensor, state: State) -> tuple[State, Gates]:
        hx = torch.cat([state["hidden"], x], dim=-1)  # (B, H + X)
        return lstm_update(self.W_i(hx), self.W_f(hx), self.W_g(hx), self.W_o(hx), cell=state["cell"])
