"""Matrix products of cells, in both directions as fast as the processor can.

Two things make a loop over time slow, beside the many small operations: PyTorch's own product of small matrices, which
oneDNN does in half the time, and the gradient of the recurrent weights, which autograd would add up step by step, a
whole matrix at a time, and which here is one product over all steps at the end.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable


def product(values: Tensor, weight: Tensor) -> Tensor:
    """``values @ weight.T``, ``(…, P)`` and ``(K, P)`` to ``(…, K)``, without a gradient."""
    if _onednn(values):
        if not (weight.is_contiguous() or weight.t().is_contiguous()):
            weight = weight.contiguous()  # for a slice oneDNN takes a hundred times as long
        return torch.ops.mkldnn._linear_pointwise(values, weight, None, "none", [], "")
    return F.linear(values, weight)


def linear(values: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """As ``F.linear``, faster on a CPU in float32: ``(T, B, X)`` and ``(K, X)`` to ``(T, B, K)``."""
    if torch.is_autocast_enabled(weight.device.type) or not _onednn(values):
        return F.linear(values, weight, bias)
    made = _Linear.apply(values, weight)
    return made if bias is None else made + bias


def weight_gradient(values: Tensor, d_made: Tensor) -> Tensor:
    """Of weights ``(K, P)`` that made ``(N, K)`` of ``values`` ``(N, P)``, from the gradient of what they made."""
    return product(values.t(), d_made.t()).t()  # oneDNN copies what stands first, so that is the narrower one


def _onednn(values: Tensor) -> bool:
    return values.dtype == torch.float32 and values.device.type == "cpu" and torch.backends.mkldnn.is_available()


class Recurrent:
    """The weights ``(K, P)`` that multiply h' at every step: ``U(h)`` is ``h @ U.T``, from ``(B, P)`` to ``(B, K)``.

    Made anew for every run over ``time`` steps of a batch, and called once a step.
    """

    def __init__(self, weight: Tensor, time: int, batch: int) -> None:
        if torch.is_autocast_enabled(weight.device.type):
            weight = weight.to(torch.get_autocast_dtype(weight.device.type))
        self.weight = weight.detach()
        self.learns = torch.is_grad_enabled() and weight.requires_grad
        self.seen: list[Tensor] = []  # h of every step
        self.paths = iter(_AllSteps.apply(weight, self.seen, time, batch)) if self.learns else iter(())

    def __call__(self, h: Tensor) -> Tensor:
        h = h.to(self.weight.dtype)
        if not self.learns:
            return product(h, self.weight)
        self.seen.append(h.detach())
        return _OneStep.apply(h, self.weight, next(self.paths))


class _AllSteps(torch.autograd.Function):
    """From the weights to every step: nothing forward, ``(T, B, K)`` zeros; backward the gradient of every U h."""

    @staticmethod
    def forward(ctx, weight: Tensor, seen: list[Tensor], time: int, batch: int) -> Tensor:
        ctx.seen = seen
        return weight.new_zeros(()).expand(time, batch, len(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx, *gradients: Tensor):
        return weight_gradient(torch.cat(ctx.seen), gradients[0].flatten(0, 1)), None, None, None


class _OneStep(torch.autograd.Function):
    """U h; ``path`` is where its gradient goes to reach the weights."""

    @staticmethod
    def forward(ctx, h: Tensor, weight: Tensor, path: Tensor) -> Tensor:
        ctx.weight = weight
        return product(h, weight)

    @staticmethod
    @once_differentiable
    def backward(ctx, *gradients: Tensor):
        return product(gradients[0], ctx.weight.t()), None, gradients[0]


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(values, weight)
        return product(values, weight)

    @staticmethod
    @once_differentiable
    def backward(ctx, *gradients: Tensor):
        values, weight = ctx.saved_tensors
        d_values = product(gradients[0], weight.t()) if ctx.needs_input_grad[0] else None
        return d_values, weight_gradient(values.flatten(0, -2), gradients[0].flatten(0, -2))
