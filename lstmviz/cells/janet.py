"""The LSTM that has nothing but its forget gate."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from lstmviz.cells.base import GatedCell, Gates, Product, State, chrono

LONGEST = 64  # steps that a new JANET remembers at most


class JANET(GatedCell):
    """Just Another NETwork: what the forget gate lets go of, a little more than that, is written anew.

    Equations::

        s = W_f x + U_f h' + b_f      g = tanh(W_g x + U_g h' + b_g)
        f = σ(s)                      i = 1 − σ(s − 1)
        h = f ⊙ h' + i ⊙ g

    h is the memory itself: there is no c, and no output gate hides any of it. f and i sum to more than 1, so h goes
    beyond ±1 where g stays at one end: up to e where f is near 1. b_f begins as ln of a number drawn from 1
    to T − 1, T = 64 ("chrono": Tallec & Ollivier 2018): the units then forget after anything from 1 to T steps.
    Parameters: 2h(h + x) + 2h.
    Paper: van der Westhuizen & Lasenby 2018.
    """

    gates: ClassVar = {"forget_gate": "f", "input_gate": "i", "candidate": "g"}
    states: ClassVar = {"hidden": "h"}
    keeps, writes, holds = "f", "i", "h"
    rows = ("f", "g")
    unbounded = ("hidden",)
    keeping: ClassVar = {"f": 1}

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.begin_keeping(chrono(hidden_size, LONGEST))

    def step(self, Wx: Tensor, state: State, U: Product) -> tuple[State, Gates]:
        s, a_g = (Wx + U(state["hidden"])).chunk(2, dim=-1)  # (B, H) each: W_k x + U_k h' + b_k
        f, i, g = s.sigmoid(), 1 - (s - 1).sigmoid(), a_g.tanh()
        h = f * state["hidden"] + i * g
        return {"hidden": h}, {"forget_gate": f, "input_gate": i, "candidate": g}
