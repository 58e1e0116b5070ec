"""The LSTM with a projection of what it shows."""

from __future__ import annotations

from torch import Tensor

from lstmviz.cells.base import GatedCell, Gates, Product, State
from lstmviz.cells.lstm import LSTMNames, lstm_update
from lstmviz.cells.product import linear


class ProjectedLSTM(LSTMNames, GatedCell):
    """The LSTM whose h is a projection, smaller than the memory: here half as wide.

    Equations::

        i = σ(W_i x + U_i h' + b_i)     f = σ(W_f x + U_f h' + b_f)
        g = tanh(W_g x + U_g h' + b_g)  o = σ(W_o x + U_o h' + b_o)
        c = f ⊙ c' + i ⊙ g              h = W_hr (o ⊙ tanh(c))

    The memory c keeps its full width; the gates of the next step, the layer above and the decoder see the narrower h.
    There are no peepholes, as in PyTorch's nn.LSTM with proj_size; the cell of Sak et al. has them.
    Parameters: 4h(p + x) + 4h + ph, p = h / 2 rounded up.
    Paper: after Sak et al. 2014.
    """

    narrows = 2
    unbounded = ("hidden",)

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.W_hr = self.uniform(self.output_size, hidden_size)

    def step(self, Wx: Tensor, state: State, U: Product) -> tuple[State, Gates]:
        a_i, a_f, a_g, a_o = (Wx + U(state["hidden"])).chunk(4, dim=-1)  # (B, H) each, from h' (B, P)
        state, gates = lstm_update(a_i, a_f, a_g, a_o, state["cell"])
        return {**state, "hidden": linear(state["hidden"], self.W_hr)}, gates
