"""The LSTM with forget gate, in three layouts of the same function."""

from __future__ import annotations

from contextlib import nullcontext
from typing import ClassVar

import torch
from torch import Tensor, nn

from lstmviz.cells.base import Cell, Gates, Product, State, init_uniform
from lstmviz.cells.native import NativeCell
from lstmviz.cells.product import linear


def lstm_update(a_i: Tensor, a_f: Tensor, a_g: Tensor, a_o: Tensor, cell: Tensor) -> tuple[State, Gates]:
    """From the four pre-activations to the new state; all tensors ``(B, H)``."""
    i, f, g, o = a_i.sigmoid(), a_f.sigmoid(), a_g.tanh(), a_o.sigmoid()
    c = f * cell + i * g
    h = o * c.tanh()
    return (
        {"hidden": h, "cell": c},
        {"input_gate": i, "forget_gate": f, "candidate": g, "output_gate": o},
    )


class LSTMNames:
    """What the cells of the LSTM's family have in common: what is recorded, under which symbols, and what it does."""

    gates: ClassVar = {"input_gate": "i", "forget_gate": "f", "candidate": "g", "output_gate": "o"}
    states: ClassVar = {"cell": "c", "hidden": "h"}
    keeps, writes, shows, holds = "f", "i", "o", "c"
    rows = ("i", "f", "g", "o")
    keeping: ClassVar = {"f": 1, "i": -1}


class LSTM(LSTMNames, NativeCell):
    """The LSTM as PyTorch computes and stores it.

    Equations::

        i = σ(W_i x + U_i h' + b_i)     f = σ(W_f x + U_f h' + b_f)
        g = tanh(W_g x + U_g h' + b_g)  o = σ(W_o x + U_o h' + b_o)
        c = f ⊙ c' + i ⊙ g              h = o ⊙ tanh(c)

    Along the memory itself, from c to c', the gradient is multiplied by f alone: while f is near 1, an error at the end
    of a text can teach what was read at its beginning.
    Parameters: 4h(h + x) + 8h, rows in the order i, f, g, o.
    Paper: Hochreiter & Schmidhuber 1997; Gers, Schmidhuber & Cummins 2000.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.native = nn.LSTM(input_size, hidden_size)

    def project(self, inputs: Tensor) -> Tensor:
        native = self.native
        return linear(inputs, native.weight_ih_l0, native.bias_ih_l0 + native.bias_hh_l0)  # (T, B, 4H)

    def step(self, Wx: Tensor, state: State, U: Product) -> tuple[State, Gates]:
        a_i, a_f, a_g, a_o = (Wx + U(state["hidden"])).chunk(4, dim=-1)  # (B, H) each: W_k x + U_k h' + b_k
        return lstm_update(a_i, a_f, a_g, a_o, state["cell"])

    def forward(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        # Autocast asks oneDNN for a kernel that it has on some processors only; on the others float32 is the faster.
        with torch.autocast("cpu", enabled=False) if _lacks_kernel(inputs) else nullcontext():
            hidden, (h, c) = self.native(inputs, (state["hidden"][None], state["cell"][None]))
        return hidden, {"hidden": h[0], "cell": c[0]}


def _lacks_kernel(inputs: Tensor) -> bool:
    """Whether autocast would run the native LSTM in a precision that this processor has no kernel for."""
    if inputs.device.type != "cpu" or not torch.is_autocast_enabled("cpu") or not torch.backends.mkldnn.is_available():
        return False
    half = torch.get_autocast_dtype("cpu") == torch.float16
    return not (torch.ops.mkldnn._is_mkldnn_fp16_supported if half else torch.ops.mkldnn._is_mkldnn_bf16_supported)()


class LinearMaps(LSTMNames, Cell):
    """The LSTM whose every gate has a linear map of its own, or two."""

    update = staticmethod(lstm_update)

    def by_symbol(self) -> dict[str, Tensor]:
        named = [(*name.split("."), parameter) for name, parameter in self.named_parameters()]  # "W_i.weight"
        return {name if part == "weight" else name.replace("W", "b"): parameter for name, part, parameter in named}

    def step(self, Wx: Tensor, state: State, U: Product) -> tuple[State, Gates]:
        a_i, a_f, a_g, a_o = (Wx + U(state["hidden"])).chunk(4, dim=-1)  # (B, H) each: W_k x + U_k h' + b_k
        return self.update(a_i, a_f, a_g, a_o, state["cell"])


class LSTMSplit(LinearMaps):
    """The same cell as eight separate linear maps, as PyTorch's documentation writes it.

    Equations::

        i = σ(W_ii x + b_ii + W_hi h' + b_hi)       f = σ(W_if x + b_if + W_hf h' + b_hf)
        g = tanh(W_ig x + b_ig + W_hg h' + b_hg)    o = σ(W_io x + b_io + W_ho h' + b_ho)
        c = f ⊙ c' + i ⊙ g                          h = o ⊙ tanh(c)

    It is the same function as lstm, with every matrix under a name of its own.
    Parameters: 4h(h + x) + 8h.
    Paper: Hochreiter & Schmidhuber 1997; Gers, Schmidhuber & Cummins 2000.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.W_ii, self.W_if, self.W_ig, self.W_io = (nn.Linear(input_size, hidden_size) for _ in range(4))
        self.W_hi, self.W_hf, self.W_hg, self.W_ho = (nn.Linear(hidden_size, hidden_size) for _ in range(4))
        init_uniform(self, hidden_size)

    def project(self, inputs: Tensor) -> Tensor:
        # The eight maps stacked to two, so that every step takes one product in place of four.
        of_input, of_hidden = self.maps()
        bias = torch.cat([m.bias for m in of_input]) + torch.cat([m.bias for m in of_hidden])
        return linear(inputs, torch.cat([m.weight for m in of_input]), bias)  # (T, B, 4H)

    def recurrent_weight(self) -> Tensor:
        return torch.cat([m.weight for m in self.maps()[1]])

    def weights(self, k: str) -> tuple[Tensor, Tensor]:
        of_input, of_hidden = (of_either[self.rows.index(k)].weight for of_either in self.maps())
        return of_input, of_hidden

    def biases(self, k: str) -> list[Tensor]:
        return [of_either[self.rows.index(k)].bias for of_either in self.maps()]

    def maps(self) -> tuple[tuple[nn.Linear, ...], tuple[nn.Linear, ...]]:
        """Those of x and those of h', in the order of ``rows``."""
        return (self.W_ii, self.W_if, self.W_ig, self.W_io), (self.W_hi, self.W_hf, self.W_hg, self.W_ho)


class LSTMConcat(LinearMaps):
    """The same cell with each gate one linear map of the concatenation [h', x].

    Equations::

        i = σ(W_i [h', x] + b_i)       f = σ(W_f [h', x] + b_f)
        g = tanh(W_g [h', x] + b_g)    o = σ(W_o [h', x] + b_o)
        c = f ⊙ c' + i ⊙ g             h = o ⊙ tanh(c)

    Each matrix holds lstm's U and W side by side, so it is the same function, with one bias a gate in place of two.
    Parameters: 4h(h + x) + 4h.
    Paper: Olah 2015.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.W_i, self.W_f, self.W_g, self.W_o = (nn.Linear(hidden_size + input_size, hidden_size) for _ in range(4))
        init_uniform(self, hidden_size)

    def project(self, inputs: Tensor) -> Tensor:
        # W [h', x] is W's left columns times h' and its right ones times x, which need not wait for h'.
        weight, bias = torch.cat([m.weight for m in self.maps()]), torch.cat([m.bias for m in self.maps()])
        return linear(inputs, weight[:, self.hidden_size :], bias)  # (T, B, 4H)

    def recurrent_weight(self) -> Tensor:
        return torch.cat([m.weight[:, : self.hidden_size] for m in self.maps()])

    def weights(self, k: str) -> tuple[Tensor, Tensor]:
        weight = self.maps()[self.rows.index(k)].weight  # (H, H + X), of [h', x]
        return weight[:, self.hidden_size :], weight[:, : self.hidden_size]

    def biases(self, k: str) -> list[Tensor]:
        return [self.maps()[self.rows.index(k)].bias]

    def maps(self) -> tuple[nn.Linear, ...]:
        """In the order of ``rows``."""
        return self.W_i, self.W_f, self.W_g, self.W_o
