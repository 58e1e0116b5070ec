"""The LSTM with peepholes and the eight variants of it that Greff et al. compared, each a change of one equation."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from lstmviz.cells.base import GatedCell, Gates, Product, State
from lstmviz.cells.lstm import LSTMNames
from lstmviz.cells.product import linear

Rows = dict[str, Tensor]  # a_k by k, (B, H)


class GreffCell(LSTMNames, GatedCell):
    """What the nine have in common; each is a docstring and what it changes.

    Class attributes:
        peepholes: the k of the gates that see c.
    """

    peepholes: ClassVar[tuple[str, ...]] = ("i", "f", "o")

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        for k in self.peepholes:
            self.register_parameter(f"p_{k}", self.uniform(hidden_size))

    def gate(self, k: str, a: Rows, c: Tensor) -> Tensor:
        return (a[k] + getattr(self, f"p_{k}") * c).sigmoid()

    def input_and_forget_gate(self, a: Rows, c: Tensor) -> tuple[Tensor, Tensor]:
        return self.gate("i", a, c), self.gate("f", a, c)

    def candidate(self, a: Rows) -> Tensor:
        return a["g"].tanh()

    def output_gate(self, a: Rows, c: Tensor) -> Tensor:
        return self.gate("o", a, c)

    def shown(self, c: Tensor) -> Tensor:
        return c.tanh()

    def step(self, Wx: Tensor, state: State, U: Product) -> tuple[State, Gates]:
        sums = (Wx + U(state["hidden"])).chunk(len(self.rows), dim=-1)  # (B, H) each: W_k x + U_k h' + b_k
        a = dict(zip(self.rows, sums, strict=True))
        i, f = self.input_and_forget_gate(a, state["cell"])
        g = self.candidate(a)
        c = f * state["cell"] + i * g
        o = self.output_gate(a, c)
        h = o * self.shown(c)
        return {"cell": c, "hidden": h}, {"input_gate": i, "forget_gate": f, "candidate": g, "output_gate": o}


class Peephole(GreffCell):
    """The LSTM whose gates see the cell state: the "vanilla" LSTM of Greff et al.

    Equations::

        i = σ(W_i x + U_i h' + p_i ⊙ c' + b_i)     f = σ(W_f x + U_f h' + p_f ⊙ c' + b_f)
        g = tanh(W_g x + U_g h' + b_g)             c = f ⊙ c' + i ⊙ g
        o = σ(W_o x + U_o h' + p_o ⊙ c + b_o)      h = o ⊙ tanh(c)

    Each p is a vector, so a gate sees the memory of its own unit alone: i and f see c' as it was, o sees the new c.
    Parameters: 4h(h + x) + 7h, of which 3h are the peepholes p.
    Paper: Gers & Schmidhuber 2000.
    """


class NoInputGate(GreffCell):
    """NIG, the peephole LSTM without input gate: all of the candidate is written.

    Equations::

        i = 1                                      f = σ(W_f x + U_f h' + p_f ⊙ c' + b_f)
        g = tanh(W_g x + U_g h' + b_g)             c = f ⊙ c' + i ⊙ g
        o = σ(W_o x + U_o h' + p_o ⊙ c + b_o)      h = o ⊙ tanh(c)

    To leave its memory as it is, a unit must make g itself 0.
    Parameters: 3h(h + x) + 5h.
    Paper: Greff et al. 2017.
    """

    rows, peepholes = ("f", "g", "o"), ("f", "o")
    keeping: ClassVar = {"f": 1}

    def input_and_forget_gate(self, a: Rows, c: Tensor) -> tuple[Tensor, Tensor]:
        return torch.ones_like(c), self.gate("f", a, c)


class NoForgetGate(GreffCell):
    """NFG, the peephole LSTM without forget gate: nothing is erased, as in the first LSTM of 1997.

    Equations::

        i = σ(W_i x + U_i h' + p_i ⊙ c' + b_i)     f = 1
        g = tanh(W_g x + U_g h' + b_g)             c = f ⊙ c' + i ⊙ g
        o = σ(W_o x + U_o h' + p_o ⊙ c + b_o)      h = o ⊙ tanh(c)

    c is the sum of all that was ever written, so over a long text it can grow until tanh(c) no longer moves.
    Parameters: 3h(h + x) + 5h.
    Paper: Greff et al. 2017.
    """

    rows, peepholes = ("i", "g", "o"), ("i", "o")
    keeping: ClassVar = {}

    def input_and_forget_gate(self, a: Rows, c: Tensor) -> tuple[Tensor, Tensor]:
        return self.gate("i", a, c), torch.ones_like(c)


class NoOutputGate(GreffCell):
    """NOG, the peephole LSTM without output gate: all of the memory is shown.

    Equations::

        i = σ(W_i x + U_i h' + p_i ⊙ c' + b_i)     f = σ(W_f x + U_f h' + p_f ⊙ c' + b_f)
        g = tanh(W_g x + U_g h' + b_g)             c = f ⊙ c' + i ⊙ g
        o = 1                                      h = o ⊙ tanh(c)

    Parameters: 3h(h + x) + 5h.
    Paper: Greff et al. 2017.
    """

    rows, peepholes = ("i", "f", "g"), ("i", "f")

    def output_gate(self, a: Rows, c: Tensor) -> Tensor:
        return torch.ones_like(c)


class NoInputActivation(GreffCell):
    """NIAF, the peephole LSTM without input activation function: the candidate is linear.

    Equations::

        i = σ(W_i x + U_i h' + p_i ⊙ c' + b_i)     f = σ(W_f x + U_f h' + p_f ⊙ c' + b_f)
        g = W_g x + U_g h' + b_g                   c = f ⊙ c' + i ⊙ g
        o = σ(W_o x + U_o h' + p_o ⊙ c + b_o)      h = o ⊙ tanh(c)

    g is unbounded, so a single token can write any amount.
    Parameters: 4h(h + x) + 7h.
    Paper: Greff et al. 2017.
    """

    unbounded = ("candidate",)

    def candidate(self, a: Rows) -> Tensor:
        return a["g"]


class NoOutputActivation(GreffCell):
    """NOAF, the peephole LSTM without output activation function: h is unbounded.

    Equations::

        i = σ(W_i x + U_i h' + p_i ⊙ c' + b_i)     f = σ(W_f x + U_f h' + p_f ⊙ c' + b_f)
        g = tanh(W_g x + U_g h' + b_g)             c = f ⊙ c' + i ⊙ g
        o = σ(W_o x + U_o h' + p_o ⊙ c + b_o)      h = o ⊙ c

    The tanh is left out and nothing is put in its place, so h goes as far as c does.
    Parameters: 4h(h + x) + 7h.
    Paper: Greff et al. 2017.
    """

    unbounded = ("hidden",)

    def shown(self, c: Tensor) -> Tensor:
        return c


class NoPeepholes(GreffCell):
    """NP, the peephole LSTM without peepholes: the LSTM with one bias a gate.

    Equations::

        i = σ(W_i x + U_i h' + b_i)       f = σ(W_f x + U_f h' + b_f)
        g = tanh(W_g x + U_g h' + b_g)    c = f ⊙ c' + i ⊙ g
        o = σ(W_o x + U_o h' + b_o)       h = o ⊙ tanh(c)

    It is the same function as lstm, which PyTorch stores with two biases a gate.
    Parameters: 4h(h + x) + 4h.
    Paper: Greff et al. 2017.
    """

    peepholes = ()

    def gate(self, k: str, a: Rows, c: Tensor) -> Tensor:
        return a[k].sigmoid()


class CoupledGates(GreffCell):
    """CIFG, the peephole LSTM with coupled input and forget gate: what is written is what is erased.

    Equations::

        i = σ(W_i x + U_i h' + p_i ⊙ c' + b_i)     f = 1 − i
        g = tanh(W_g x + U_g h' + b_g)             c = f ⊙ c' + i ⊙ g
        o = σ(W_o x + U_o h' + p_o ⊙ c + b_o)      h = o ⊙ tanh(c)

    c is a weighted mean of what it was and of g, as h is in a GRU, so it stays within ±1 and cannot count far.
    Parameters: 3h(h + x) + 5h.
    Paper: Greff et al. 2017.
    """

    rows, peepholes = ("i", "g", "o"), ("i", "o")
    keeping: ClassVar = {"i": -1}

    def input_and_forget_gate(self, a: Rows, c: Tensor) -> tuple[Tensor, Tensor]:
        i = self.gate("i", a, c)
        return i, 1 - i


class GateRecurrence(GreffCell):
    """FGR, the peephole LSTM with full gate recurrence: every gate also sees all gates of the step before.

    Equations::

        i = σ(W_i x + U_i h' + R_i [i', f', o'] + p_i ⊙ c' + b_i)
        f = σ(W_f x + U_f h' + R_f [i', f', o'] + p_f ⊙ c' + b_f)
        g = tanh(W_g x + U_g h' + b_g)
        c = f ⊙ c' + i ⊙ g
        o = σ(W_o x + U_o h' + R_o [i', f', o'] + p_o ⊙ c + b_o)
        h = o ⊙ tanh(c)

    The gates of the step before the first are taken to be 0.
    Parameters: 4h(h + x) + 7h + 9h².
    Paper: Greff et al. 2017.
    """

    states: ClassVar = LSTMNames.states | {"input_gate": "i", "forget_gate": "f", "output_gate": "o"}
    remembered: ClassVar = ("i", "f", "o")  # rows and columns of R

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.R = self.uniform(3 * hidden_size, 3 * hidden_size)

    def by_symbol(self) -> dict[str, Tensor]:
        rows = zip(self.remembered, self.R.chunk(3), strict=True)
        return super().by_symbol() | {f"R_{k}": R_k for k, R_k in rows}  # (H, 3H) each

    def step(self, Wx: Tensor, state: State, U: Product) -> tuple[State, Gates]:
        before = torch.cat([state["input_gate"], state["forget_gate"], state["output_gate"]], dim=-1)  # (B, 3H)
        Rb_i, Rb_f, Rb_o = linear(before, self.R).chunk(3, dim=-1)  # (B, H) each: R_k [i', f', o']
        Wx_i, Wx_f, Wx_g, Wx_o = Wx.chunk(4, dim=-1)
        Wx = torch.cat([Wx_i + Rb_i, Wx_f + Rb_f, Wx_g, Wx_o + Rb_o], dim=-1)  # (B, 4H)
        after, gates = super().step(Wx, state, U)
        return {**after, **{name: gates[name] for name in ("input_gate", "forget_gate", "output_gate")}}, gates
