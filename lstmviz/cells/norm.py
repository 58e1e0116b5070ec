"""The LSTM with layer normalisation."""

from __future__ import annotations

from torch import Tensor, nn

from lstmviz.cells.base import GatedCell, Gates, Product, State
from lstmviz.cells.lstm import LSTMNames
from lstmviz.cells.product import linear


class LayerNormLSTM(LSTMNames, GatedCell):
    """The LSTM in which W x, U h' and the c that is shown are normalised; c itself is kept raw.

    Equations::

        (a_i; a_f; a_g; a_o) = α_x ⊙ LN(W x) + α_h ⊙ LN(U h') + b
        i, f, o = σ(a_i), σ(a_f), σ(a_o)     g = tanh(a_g)
        c = f ⊙ c' + i ⊙ g                   h = o ⊙ tanh(α_c ⊙ LN(c) + β_c)
        LN(v) = (v − mean v) / √(var v + 0.00001)

    There is one mean and one deviation for all 4h numbers of W x, the four gates together, and one for U h'. Each has a
    gain α of its own; LN(c) also has a shift, for which b stands in the other two.
    PyTorch's own example of such a cell carries LN(c) on in place of c, which is another cell.
    Parameters: 4h(h + x) + 14h, of which 9h are the gains α and h the shift β_c.
    Paper: Ba et al. 2016.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        # With 0.00001 added to var v, as in the authors' own code: the first U h' is 0 everywhere.
        self.norm_x = nn.LayerNorm(4 * hidden_size, bias=False)
        self.norm_h = nn.LayerNorm(4 * hidden_size, bias=False)
        self.norm_c = nn.LayerNorm(hidden_size)

    def by_symbol(self) -> dict[str, Tensor]:
        gains = {f"α_{k}": norm.weight for k, norm in zip("xhc", (self.norm_x, self.norm_h, self.norm_c), strict=True)}
        return super().by_symbol() | gains | {"β_c": self.norm_c.bias}

    def project(self, inputs: Tensor) -> Tensor:
        return self.norm_x(linear(inputs, self.W)) + self.b  # (T, B, 4H)

    def step(self, Wx: Tensor, state: State, U: Product) -> tuple[State, Gates]:
        a_i, a_f, a_g, a_o = (Wx + self.norm_h(U(state["hidden"]))).chunk(4, dim=-1)  # (B, H) each
        i, f, g, o = a_i.sigmoid(), a_f.sigmoid(), a_g.tanh(), a_o.sigmoid()
        c = f * state["cell"] + i * g
        h = o * self.norm_c(c).tanh()
        return {"cell": c, "hidden": h}, {"input_gate": i, "forget_gate": f, "candidate": g, "output_gate": o}
