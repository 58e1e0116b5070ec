"""A cell that the project does not ship, as somebody would add it: one class and one line in ``CELLS``."""

from typing import ClassVar

from torch import Tensor

from lstmviz.cells.base import GatedCell, Gates, Product, State
from lstmviz.cells.product import Recurrent


class MinimalGatedUnit(GatedCell):
    """The gated unit with a single gate, which says how much is written.

    Equations::

        f = σ(W_f x + U_f h' + b_f)
        g = tanh(W_g x + U_g (f ⊙ h') + b_g)
        h = (1 − f) ⊙ h' + f ⊙ g

    f is called a forget gate, and an open one forgets.
    Parameters: 2h(h + x) + 2h.
    Paper: Zhou et al. 2016.
    """

    gates: ClassVar = {"forget_gate": "f", "candidate": "g"}
    states: ClassVar = {"hidden": "h"}
    keeps, writes, looks_back, holds = "1 − f", "f", "f", "h"
    resets = "past"
    rows = ("f", "g")
    keeping: ClassVar = {"f": -1}

    def recurrent(self, inputs: Tensor) -> Product:
        U_f, U_g = self.U.chunk(2)
        products = {"f": Recurrent(U_f, *inputs.shape[:2]), "g": Recurrent(U_g, *inputs.shape[:2])}
        return lambda h, k: products[k](h)

    def step(self, Wx: Tensor, state: State, U: Product) -> tuple[State, Gates]:
        h = state["hidden"]
        Wx_f, Wx_g = Wx.chunk(2, dim=-1)  # (B, H) each: W_k x + b_k
        f = (Wx_f + U(h, "f")).sigmoid()
        g = (Wx_g + U(f * h, "g")).tanh()
        h = (1 - f) * h + f * g
        return {"hidden": h}, {"forget_gate": f, "candidate": g}
