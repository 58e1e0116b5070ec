"""minGRU and minLSTM: gates that do not see h', so that they are known for all time steps at once."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lstmviz.cells.base import Cell, Gates, Product, State, init_uniform


def positive(u: Tensor) -> Tensor:
    """The g of the paper, above 0 everywhere: u + 0.5 if u ≥ 0, else σ(u)."""
    return torch.where(u >= 0, u + 0.5, u.sigmoid())


class MinimalCell(Cell):
    """A cell whose gates depend on the input alone: all of them are made by ``project``, and a step only applies them.

    Class attributes:
        rows: the k of each linear map of x, in the order in which they are stacked.
    """

    rows: str
    gates = ("forget_gate", "input_gate", "candidate")
    states = ("hidden",)
    paper = "Feng et al. 2024"

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.linear = nn.Linear(input_size, len(self.rows) * hidden_size)
        init_uniform(self, hidden_size)

    def biases(self, k: str) -> list[Tensor]:
        return [self.linear.bias.chunk(len(self.rows))[self.rows.index(k)]]

    def recurrent_weight(self) -> Tensor:
        return self.linear.weight[:0]  # no gate sees h'

    def step(self, x: Tensor, state: State, U: Product) -> tuple[State, Gates]:
        f, i, g = x.chunk(3, dim=-1)
        h = f * state["hidden"] + i * g
        return {"hidden": h}, {"forget_gate": f, "input_gate": i, "candidate": g}


class MinGRU(MinimalCell):
    """The minimal GRU. Its z is the share that is written, shown here as i, and f is what it leaves.

    Equations::

        z = σ(W_z x + b_z)            ĥ = g(W_h x + b_h)
        h = (1 − z) ⊙ h' + z ⊙ ĥ      g(u) = u + 0.5 if u ≥ 0, else σ(u)

    No gate sees h': in the first layer a token's gates are the same wherever it stands, and in every layer the gates of
    all steps can be computed before h is.
    Parameters: 2h(x + 1).
    Paper: Feng et al. 2024.
    """

    rows, keeping, count = "zh", {"z": -1}, "2h(x + 1)"

    def project(self, inputs: Tensor) -> Tensor:
        a_z, a_h = self.linear(inputs).chunk(2, dim=-1)  # (T, B, H) each
        z = a_z.sigmoid()
        return torch.cat([1 - z, z, positive(a_h)], dim=-1)  # (T, B, 3H)


class MinLSTM(MinimalCell):
    """The minimal LSTM. f and i are shown as they act, after they were made to sum to 1.

    Equations::

        f = σ(W_f x + b_f)      f̂ = f / (f + i)      ĥ = g(W_h x + b_h)
        i = σ(W_i x + b_i)      î = i / (f + i)      g(u) = u + 0.5 if u ≥ 0, else σ(u)
        h = f̂ ⊙ h' + î ⊙ ĥ

    No gate sees h': in the first layer a token's gates are the same wherever it stands, and in every layer the gates of
    all steps can be computed before h is.
    Parameters: 3h(x + 1).
    Paper: Feng et al. 2024.
    """

    rows, keeping, count = "fih", {"f": 1, "i": -1}, "3h(x + 1)"

    def project(self, inputs: Tensor) -> Tensor:
        a_f, a_i, a_h = self.linear(inputs).chunk(3, dim=-1)  # (T, B, H) each
        # f / (f + i) = σ(ln f − ln i), which holds where both are too small to be added.
        f = (F.logsigmoid(a_f) - F.logsigmoid(a_i)).sigmoid()
        return torch.cat([f, 1 - f, positive(a_h)], dim=-1)  # (T, B, 3H)
