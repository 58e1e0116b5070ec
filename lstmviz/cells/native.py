"""Cells on torch's native recurrent kernels, and their exact gates without a Python loop over gates.

The native kernels return only h. But h is all it takes: every gate of step t is a function of x_t and h_{t-1}, so with
all of h known each gate of *every* step comes from one matrix product. What is left of the recurrence is
c_t = f_t ⊙ c_{t-1} + i_t ⊙ g_t, which is elementwise.
"""

import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from math import isqrt
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from lstmviz.cells.base import Cell, State

KERNELS = {"lstm": torch.lstm, "gru": torch.gru, "rnn_tanh": torch.rnn_tanh, "rnn_relu": torch.rnn_relu}
LOW_PRECISION = (torch.bfloat16, torch.float16)


class NativeCell(Cell):
    """A cell that is run by a kernel of torch's, from weights as torch stores them; ``step`` says what it does."""

    native: Any  # an nn.RNNBase, of whose weights a type checker does not know; one layer, one direction

    def stacked(self) -> tuple[Tensor, Tensor, list[Tensor]]:
        native = self.native
        return native.weight_ih_l0, native.weight_hh_l0, [native.bias_ih_l0, native.bias_hh_l0]

    def recurrent_weight(self) -> Tensor:
        return self.native.weight_hh_l0

    def forward(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        hidden, h = self.native(inputs, state["hidden"][None])
        return hidden, {"hidden": h[0]}

    def record(self, inputs: Tensor, state: State) -> dict[str, Tensor]:
        return record_native(self.native.mode.lower(), inputs, state, self.native.all_weights[0])


@torch.no_grad()
def record_native(
    kind: str,
    inputs: Tensor,
    state: dict[str, Tensor],
    weights: Sequence[Tensor],
    *,
    reverse: bool = False,
    lengths: Tensor | None = None,
) -> dict[str, Tensor]:
    """Run one layer in one direction and record every gate and state of every step.

    Args:
        kind: ``"lstm"``, ``"gru"``, ``"rnn_tanh"`` or ``"rnn_relu"``.
        inputs: ``(T, B, X)``, T ≥ 1.
        state: the state before the first step that is read: ``hidden`` ``(B, H)``, or ``(B, P)`` with a projection;
            for an LSTM also ``cell`` ``(B, H)``.
        weights: as ``nn.LSTM.all_weights[k]`` gives them: ``w_ih, w_hh[, b_ih, b_hh][, w_hr]``.
        reverse: read from the last step to the first; what is returned stays in the order of the input.
        lengths: ``(B,)`` true length of each sequence. Later steps are padding, and NaN in what is returned.

    Returns:
        Name -> ``(T, B, H)`` (``hidden`` ``(T, B, P)`` with a projection), after the activation: gates first, then
        states. Without gradients. ``hidden`` is what the native kernel returned, ``cell`` is its own to rounding. Of a
        bfloat16 or float16 layer the gates are float32, computed from the kernel's own rounded ``hidden``.

    Equations: those of the cells ``LSTM``, ``GRU`` and ``RNN``, whose ``rows`` are in the order in which PyTorch stores
    them.
    """
    if reverse:
        inputs = backwards(inputs, lengths)

    if kind == "lstm":
        record = _record_lstm(inputs, state["hidden"], state["cell"], weights)
    elif kind == "gru":
        record = _record_gru(inputs, state["hidden"], weights)
    else:
        record = {"hidden": _run(kind, inputs, state["hidden"][None], weights)[0]}

    if reverse:
        record = {name: backwards(values, lengths) for name, values in record.items()}
    if lengths is not None:
        padding = torch.arange(len(inputs), device=inputs.device)[:, None] >= lengths.to(inputs.device)  # (T, B)
        record = {name: values.masked_fill(padding[..., None], torch.nan) for name, values in record.items()}
    return record


def _record_lstm(inputs: Tensor, hidden0: Tensor, cell0: Tensor, weights: Sequence[Tensor]) -> dict[str, Tensor]:
    hidden, _, _ = _run("lstm", inputs, (hidden0[None], cell0[None]), weights)  # (T, B, H or P)
    before = torch.cat([hidden0[None], hidden[:-1]])  # (T, B, H or P): h_{t-1}, in step with x_t
    both = _widen(torch.cat([inputs, before], dim=-1))  # (T, B, X + H or P)
    w_ih, w_hh, b_ih, b_hh = _linear_maps(weights)
    w = torch.cat([w_ih, w_hh], dim=-1).chunk(4)  # 4 × (H, X + H or P)
    b = (b_ih + b_hh).chunk(4) if b_ih is not None and b_hh is not None else [None] * 4  # 4 × (H,)

    i = _activated(both, w[0], b[0], "sigmoid")  # (T, B, H)
    f = _activated(both, w[1], b[1], "sigmoid")
    g = _activated(both, w[2], b[2], "tanh")
    o = _activated(both, w[3], b[3], "sigmoid")
    if hidden.dtype in LOW_PRECISION:
        cell = _stepped_cell(inputs, hidden0, cell0, weights)
    else:
        cell = _linear_recurrence(f, i * g, cell0)
    return {"input_gate": i, "forget_gate": f, "candidate": g, "output_gate": o, "cell": cell, "hidden": hidden}


def _record_gru(inputs: Tensor, hidden0: Tensor, weights: Sequence[Tensor]) -> dict[str, Tensor]:
    hidden, _ = _run("gru", inputs, hidden0[None], weights)  # (T, B, H)
    before = torch.cat([hidden0[None], hidden[:-1]])
    inputs, before = _widen(inputs), _widen(before)
    w_ih, w_hh, b_ih, b_hh = _linear_maps(weights)
    size = hidden.shape[-1]

    both = torch.cat([inputs, before], dim=-1)  # (T, B, X + H)
    w = torch.cat([w_ih[: 2 * size], w_hh[: 2 * size]], dim=-1).chunk(2)  # 2 × (H, X + H)
    b = (b_ih + b_hh)[: 2 * size].chunk(2) if b_ih is not None and b_hh is not None else [None] * 2
    r = _activated(both, w[0], b[0], "sigmoid")  # (T, B, H)
    z = _activated(both, w[1], b[1], "sigmoid")

    # r acts on the recurrent part of the candidate alone, so here the two parts stay apart.
    b_in, b_hn = (b_ih[2 * size :], b_hh[2 * size :]) if b_ih is not None and b_hh is not None else (None, None)
    from_input = _activated(inputs, w_ih[2 * size :], b_in, "none")
    from_hidden = _activated(before, w_hh[2 * size :], b_hn, "none")
    n = from_input.addcmul_(r, from_hidden).tanh_()
    return {"reset_gate": r, "update_gate": z, "candidate": n, "hidden": hidden}


def _run(kind: str, inputs: Tensor, state, weights: Sequence[Tensor]):
    """The native kernel: one layer, one direction, no dropout, not training, time first."""
    if inputs.is_cuda:
        weights = _with_biases(weights)
    has_biases = len(weights) >= 4
    with warnings.catch_warnings() if inputs.is_cuda else nullcontext():
        # One layer of several never is a contiguous chunk of cuDNN's: that is no fault of the user's.
        if inputs.is_cuda:
            warnings.filterwarnings("ignore", "RNN module weights are not part of single contiguous chunk")
        return KERNELS[kind](inputs, state, weights, has_biases, 1, 0.0, False, False, False)


def _with_biases(weights: Sequence[Tensor]) -> Sequence[Tensor]:
    """``weights`` as they are, or with zeros where biases would be.

    cuDNN always reads biases. Without any, PyTorch makes it a buffer of the weights with zeros behind them, except
    where the weights already lie one behind the other in memory: then it hands over that memory as it is. A module on
    CUDA keeps all its weights so, and behind those of one layer lie those of the next, not zeros.
    """
    if len(weights) >= 4:
        return weights
    w_ih, w_hh, *w_hr = weights
    zeros = w_ih.new_zeros(len(w_ih))
    return [w_ih, w_hh, zeros, zeros, *w_hr]


def _linear_maps(weights: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
    """``w_ih, w_hh, b_ih, b_hh`` without the projection, wide enough to compute with; no biases: None."""
    w_ih, w_hh, *biases = [_widen(weight) for weight in weights]
    return (w_ih, w_hh, biases[0], biases[1]) if len(biases) >= 2 else (w_ih, w_hh, None, None)


def _widen(values: Tensor) -> Tensor:
    return values.float() if values.dtype in LOW_PRECISION else values


def _activated(values: Tensor, weight: Tensor, bias: Tensor | None, activation: str) -> Tensor:
    """``activation(values @ weight.T + bias)``; activation ``"sigmoid"``, ``"tanh"`` or ``"none"``."""
    if values.dtype == torch.float32 and values.device.type == "cpu" and torch.backends.mkldnn.is_available():
        # oneDNN, as the native LSTM itself uses: product and activation in one pass, in half of MKL's time on AMD.
        return torch.ops.mkldnn._linear_pointwise(values, weight, bias, activation, [], "")
    values = F.linear(values, weight, bias)
    return values if activation == "none" else getattr(torch, activation)(values)


def _linear_recurrence(decay: Tensor, drive: Tensor, start: Tensor) -> Tensor:
    """``y_t = decay_t ⊙ y_{t-1} + drive_t`` from ``y_{-1} = start`` ``(B, H)``; in place of ``drive`` ``(T, B, H)``.

    Time is cut into chunks of about √(T/3) steps. All chunks run side by side, first only to learn what each one makes
    of whatever it is handed, then from what it is handed: Python takes about 2 √(3T) small steps in place of T.
    """
    size = max(1, isqrt(len(drive) // 3))
    whole = len(drive) // size * size
    decays = decay[:whole].unflatten(0, (-1, size)).unbind(1)  # size × (chunks, B, H)
    drives = drive[:whole].unflatten(0, (-1, size)).unbind(1)

    total, end = decays[0], drives[0]  # (chunks, B, H): a chunk that is handed y ends with total ⊙ y + end
    for decay_t, drive_t in zip(decays[1:], drives[1:], strict=True):
        total, end = total * decay_t, torch.addcmul(drive_t, decay_t, end)
    handed = [start]
    for chunk_total, chunk_end in zip(total, end, strict=True):
        handed.append(torch.addcmul(chunk_end, chunk_total, handed[-1]))

    before = torch.stack(handed[:-1])  # (chunks, B, H)
    for decay_t, drive_t in zip(decays, drives, strict=True):
        before = drive_t.addcmul_(decay_t, before)
    for t in range(whole, len(drive)):  # the last few steps, less than a chunk
        drive[t].addcmul_(decay[t], drive[t - 1])
    return drive


def _stepped_cell(inputs: Tensor, hidden: Tensor, cell: Tensor, weights: Sequence[Tensor]) -> Tensor:
    """c of a low-precision layer, asked of the kernel a step at a time: it rounds c at every step, and so must we."""
    hidden, cell = hidden[None], cell[None]
    cells = []
    for inputs_t in inputs.split(1):
        _, hidden, cell = _run("lstm", inputs_t, (hidden, cell), weights)
        cells.append(cell)
    return torch.cat(cells)  # (T, B, H)


def backwards(values: Tensor, lengths: Tensor | None) -> Tensor:
    """``(T, B, ·)`` with each sequence's own steps reversed and its padding left in place; undoes itself."""
    if lengths is None:
        return values.flip(0)
    step = torch.arange(len(values), device=values.device)[:, None]  # (T, 1)
    last = lengths.to(values.device) - 1  # (B,)
    source = torch.where(step <= last, last - step, step)  # (T, B)
    return values.gather(0, source[..., None].expand_as(values))
