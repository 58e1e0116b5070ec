"""The LSTM whose input and state change each other before they meet."""

from __future__ import annotations

from torch import Tensor

from lstmviz.cells.base import GatedCell, Gates, Product, State
from lstmviz.cells.lstm import LSTMNames, lstm_update
from lstmviz.cells.product import linear

ROUNDS = 5


class Mogrifier(LSTMNames, GatedCell):
    """The LSTM behind five rounds in which h' gates x and x gates h', in turn.

    Equations::

        x_1 = 2σ(Q_1 h') ⊙ x                h_2 = 2σ(R_2 x_1) ⊙ h'
        x_3 = 2σ(Q_3 h_2) ⊙ x_1             h_4 = 2σ(R_4 x_3) ⊙ h_2
        x_5 = 2σ(Q_5 h_4) ⊙ x_3
        i = σ(W_i x_5 + U_i h_4 + b_i)      f = σ(W_f x_5 + U_f h_4 + b_f)
        g = tanh(W_g x_5 + U_g h_4 + b_g)   o = σ(W_o x_5 + U_o h_4 + b_o)
        c = f ⊙ c' + i ⊙ g                  h = o ⊙ tanh(c)

    2σ(…) lies between 0 and 2, and is 1 where Q and R are 0: the cell is then lstm.
    Parameters: 4h(h + x) + 4h + 5hx, the last of the rounds.
    Paper: Melis et al. 2020.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        for r in range(1, ROUNDS + 1):
            shape = (input_size, hidden_size) if r % 2 else (hidden_size, input_size)
            self.register_parameter(f"{'Q' if r % 2 else 'R'}_{r}", self.uniform(*shape))

    def project(self, inputs: Tensor) -> Tensor:
        return inputs  # h' changes x before W sees it

    def step(self, x: Tensor, state: State, U: Product) -> tuple[State, Gates]:
        h = state["hidden"]
        for r in range(1, ROUNDS + 1):
            if r % 2:
                x = 2 * linear(h, getattr(self, f"Q_{r}")).sigmoid() * x
            else:
                h = 2 * linear(x, getattr(self, f"R_{r}")).sigmoid() * h
        a_i, a_f, a_g, a_o = (linear(x, self.W, self.b) + U(h)).chunk(4, dim=-1)  # (B, H) each: W_k x_5 + U_k h_4 + b_k
        return lstm_update(a_i, a_f, a_g, a_o, state["cell"])
