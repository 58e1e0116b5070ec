"""minGRU and minLSTM: gates that do not see h', so that they are known for all time steps at once."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lstmviz.cells.base import Cell, Gates, Product, State, init_uniform


def positive(u: Tensor) -> Tensor:
    """The g of the paper, above 0 everywhere: u + 0.5 if u ≥ 0, else σ(u); of the shape of u."""
    return torch.where(u >= 0, u + 0.5, u.sigmoid())


class MinimalCell(Cell):
    """A cell whose gates depend on the input alone: ``project`` makes all of them, and a step only applies them."""

    states: ClassVar = {"hidden": "h"}
    holds = "h"
    unbounded = ("candidate", "hidden")

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.linear = nn.Linear(input_size, len(self.rows) * hidden_size)
        init_uniform(self, hidden_size)

    def stacked(self) -> tuple[Tensor, Tensor, list[Tensor]]:
        weight = self.linear.weight
        return weight, weight[:, :0], [self.linear.bias]  # no gate sees h'

    def recurrent_weight(self) -> Tensor:
        return self.linear.weight[:0]

    def step(self, gates: Tensor, state: State, U: Product) -> tuple[State, Gates]:
        f, i, g = gates.chunk(3, dim=-1)  # (B, H) each
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

    gates: ClassVar = {"forget_gate": "1 − z", "input_gate": "z", "candidate": "ĥ"}
    keeps, writes = "1 − z", "z"
    rows = ("z", "h")
    keeping: ClassVar = {"z": -1}

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

    gates: ClassVar = {"forget_gate": "f̂", "input_gate": "î", "candidate": "ĥ"}
    keeps, writes = "f̂", "î"
    rows = ("f", "i", "h")
    keeping: ClassVar = {"f": 1, "i": -1}

    def project(self, inputs: Tensor) -> Tensor:
        a_f, a_i, a_h = self.linear(inputs).chunk(3, dim=-1)  # (T, B, H) each
        # f / (f + i) = σ(ln f − ln i), which holds where both are too small to be added.
        f = (F.logsigmoid(a_f) - F.logsigmoid(a_i)).sigmoid()
        return torch.cat([f, 1 - f, positive(a_h)], dim=-1)  # (T, B, 3H)
