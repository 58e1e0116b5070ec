"""Is what is recorded of somebody's module the module's own? ``trace_module`` asks here.

A plain ``nn.LSTM``, ``nn.GRU`` or ``nn.RNN`` computes with the weights that can be read off it. Any other module that
says it is one (a subclass, a module with hooks, with pruned or normalised weights) is run once, in evaluation mode, and
what it returned is compared with what was recorded.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch._C._functorch import is_functorch_wrapped_tensor
from torch._subclasses import FakeTensor
from torch.nn.modules import module as nn_module
from torch.nn.parameter import is_lazy
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from lstmviz.model import LanguageModel

RECURRENT = (nn.LSTM, nn.GRU, nn.RNN)
FORWARD = {cls: cls.forward for cls in RECURRENT}
# How far the same numbers may lie apart when another kernel computes them, beside 1 and their own size.
ROUNDING = {torch.float64: 1e-10, torch.float32: 1e-4, torch.float16: 5e-3, torch.bfloat16: 4e-2}
TF32_ROUNDING = 5e-3  # cuDNN may compute float32 in TF32
WAY_OUT = (
    "What it computes inside cannot be known from outside: trace a plain module that has loaded its state_dict, on the "
    "inputs that reach its recurrence, or take away what changes them."
)


def check_module(module: object) -> None:
    """Refuse what is no recurrent module of torch's, has no values, or is under autocast.

    Raises:
        TypeError: with the way to one that can be traced, if there is one.
    """
    if not isinstance(module, RECURRENT):
        name = f"{type(module).__module__}.{type(module).__qualname__}"
        raise TypeError(f"trace_module takes an nn.LSTM, nn.GRU or nn.RNN, not {name}{_way_out(module)}.")
    for name, weight in module.named_parameters():
        check_tensor(f"the module's {name}", weight)
    device = next(module.parameters()).device.type
    if torch.is_autocast_enabled(device):
        dtype = torch.get_autocast_dtype(device)
        raise TypeError(
            f"autocast is on, so the module may compute in {dtype}, whatever its weights are. Trace outside of it, or "
            f"under torch.autocast({device!r}, enabled=False); there, a module and inputs converted with .to({dtype}) "
            "compute as it makes them."
        )


def _way_out(module: object) -> str:
    if isinstance(module, LanguageModel):
        return ": trace_sentence and trace_tokens read with a model of lstmviz"
    if isinstance(module, nn.LSTMCell | nn.GRUCell | nn.RNNCell):
        options = "" if module.bias else ", bias=False"
        options += f", nonlinearity={module.nonlinearity!r}" if isinstance(module, nn.RNNCell) else ""
        cls = next(cls.__name__ for cls in RECURRENT if isinstance(module, getattr(nn, f"{cls.__name__}Cell")))
        return (
            f", which makes a single step. rnn = nn.{cls}({module.input_size}, {module.hidden_size}{options}) makes "
            'them all: rnn.load_state_dict({f"{name}_l0": weight for name, weight in cell.state_dict().items()})'
        )
    if isinstance(module, torch.jit.ScriptModule):
        return ", which TorchScript compiled: trace the module that it was made from, or load its state_dict into one"
    if type(module).__module__.startswith("torch.ao.nn"):
        return ", whose arithmetic is that of quantised weights: trace the floating-point module that it was made from"
    if isinstance(module, nn.Module):
        inside = [path for path, part in module.named_modules() if isinstance(part, RECURRENT)]
        if inside:
            paths = ["".join(f"[{key}]" if key.isdigit() else f".{key}" for key in path.split(".")) for path in inside]
            more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
            return f": trace what it holds at {', '.join(paths[:3])}{more}, with what that is given there"
    return ""


def check_tensor(name: str, values: Tensor) -> None:
    """Refuse a tensor that is not an array of numbers in memory.

    Raises:
        TypeError: with the way to one that is.
    """
    if is_lazy(values):
        raise TypeError(f"{name} has no shape yet: call the module once on real inputs first.")
    if values.is_meta:
        way = "Move the module with .to_empty(device=…), load its weights, and make the inputs on that device"
        raise TypeError(f"{name} is on the meta device, which holds no values. {way}.")
    if isinstance(values, FakeTensor):
        raise TypeError(f"{name} is a FakeTensor, which holds no values: leave FakeTensorMode and make it anew.")
    if is_functorch_wrapped_tensor(values):
        raise TypeError(
            f"{name} is inside a transform of torch.func (vmap, grad, jvp …), where it stands for other values: call "
            "trace_module outside of it; a batch needs no vmap."
        )
    if values.is_nested:
        way = "nn.utils.rnn.pack_sequence(list(inputs.unbind()), enforce_sorted=False) holds the same sequences"
        raise TypeError(f"{name} is a nested tensor, which recurrent modules do not take: {way}.")
    if values.layout != torch.strided:
        raise TypeError(f"{name} is stored as {values.layout}, which recurrent modules do not take: use .to_dense().")
    if is_traceable_wrapper_subclass(values):
        way = "its .full_tensor()" if hasattr(values, "full_tensor") else "a plain tensor of its values"
        raise TypeError(f"{name} is a {type(values).__name__}, which keeps its values elsewhere: use {way}.")
    if values.is_floating_point() and values.dtype not in ROUNDING:
        raise TypeError(
            f"{name} is {values.dtype}, which recurrent modules do not compute with: use .to(torch.float32)."
        )


def oddities(module: nn.RNNBase) -> list[str]:
    """What may make the module return other values than a plain one with its weights would; of a plain one nothing."""
    cls = type(module)
    forward = vars(module).get("forward", cls.forward)
    found = {
        "a forward of its own": forward not in FORWARD.values(),
        "forward pre-hooks": module._forward_pre_hooks,
        "forward hooks": module._forward_hooks,
        "global forward hooks": nn_module._global_forward_pre_hooks or nn_module._global_forward_hooks,
        "a class of its own": cls not in RECURRENT,
        "a compiled call": module._compiled_call_impl,
    }
    return [name for name, present in found.items() if present]


@contextmanager
def evaluated(module: nn.Module) -> Iterator[None]:
    """Evaluation mode and no gradients for the while; afterwards all of the module is as it was, whatever ran in it.

    Its flags, attributes, hooks, parameters and buffers are put back, and torch's random state. What a hook keeps
    elsewhere is its own affair.
    """
    parts = list(module.modules())
    attributes = [dict(vars(part)) for part in parts]
    containers = [(v, v.copy()) for kept in attributes for v in kept.values() if isinstance(v, dict | list | set)]
    held = [
        v for kept in attributes for v in (*kept.values(), *kept["_parameters"].values(), *kept["_buffers"].values())
    ]
    values = [(tensor, tensor.detach().clone()) for tensor in held if isinstance(tensor, Tensor)]
    cards = {tensor.device for tensor, _ in values if tensor.is_cuda}
    try:
        with torch.no_grad(), torch.random.fork_rng(list(cards)):
            for part in parts:
                part.training = False  # not part.eval(), which is the user's to redefine
            yield
    finally:
        # In place: a hook's handle knows the very dict that holds the hook.
        for part, kept in zip(parts, attributes, strict=True):
            vars(part).clear()
            vars(part).update(kept)
        for container, kept in containers:
            container.clear()
            container.extend(kept) if isinstance(container, list) else container.update(kept)
        for tensor, value in values:
            if not torch.equal(tensor, value):
                tensor.data.copy_(value)  # .data, so that a graph that waits for backward does not notice


def run_itself(module: nn.RNNBase, inputs: Tensor | PackedSequence, state: Any) -> Any:
    """What the module returns, from copies of what it is given: a hook may change them in place.

    Raises:
        TypeError: its forward does not take them.
    """
    inputs = inputs._replace(data=inputs.data.clone()) if isinstance(inputs, PackedSequence) else inputs.clone()
    if state is not None:
        state = state.clone() if isinstance(state, Tensor) else tuple(value.clone() for value in state)
    module._compiled_call_impl = None  # eagerly; ``evaluated`` puts it back
    try:
        return module(inputs, state)
    except Exception as error:
        raise TypeError(
            f"{_odd(module)} does not take what a plain one takes ({type(error).__name__}: {error}). {WAY_OUT}"
        ) from error


def check_own(module: nn.RNNBase, returned: Any, records: Sequence[dict[str, Tensor]], lengths: Tensor | None) -> None:
    """Refuse records that are not what the module itself returned.

    Args:
        returned: by the module in evaluation mode.
        records: one a layer and direction, name -> ``(T, B, U)``.
        lengths: ``(B,)`` of packed sequences.

    Raises:
        TypeError: they differ by more than rounding, or the module returned something of another form.
    """
    directions = 2 if module.bidirectional else 1
    hidden = torch.cat([record["hidden"] for record in records[-directions:]], dim=-1)  # (T, B, D·H)
    names = ("hidden", "cell") if module.mode == "LSTM" else ("hidden",)
    expected = [
        hidden,
        *(
            torch.stack([_last(record[name], k % directions, lengths) for k, record in enumerate(records)])
            for name in names
        ),
    ]
    try:
        output, last = returned
        if isinstance(output, PackedSequence):
            output, _ = pad_packed_sequence(output, padding_value=torch.nan)  # (T, B, D·H)
        elif module.batch_first and output.dim() == 3:
            output = output.transpose(0, 1)
        own = [output, last] if len(names) == 1 else [output, *last]
        pairs = [(a.reshape(b.shape).to(b), b) for a, b in zip(own, expected, strict=True)]
    except (TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise TypeError(f"{_odd(module)} returns something else than (output, state). {WAY_OUT}") from error
    rounding = TF32_ROUNDING if hidden.is_cuda and hidden.dtype == torch.float32 else ROUNDING[hidden.dtype]
    for a, b in pairs:
        if not torch.allclose(a, b, rtol=rounding, atol=rounding, equal_nan=True):
            difference = (a - b).abs().max().item()
            what = f"other values than its weights make of these inputs (off by {difference:.2g})"
            raise TypeError(f"{_odd(module)} returns {what}. {WAY_OUT}")


def _last(values: Tensor, reverse: int, lengths: Tensor | None) -> Tensor:
    """``(B, U)`` of the step that was read last of ``(T, B, U)``."""
    if reverse:
        return values[0]
    if lengths is None:
        return values[-1]
    return values[lengths.to(values.device) - 1, torch.arange(values.shape[1], device=values.device)]


def _odd(module: nn.RNNBase) -> str:
    return f"this {type(module).__name__} has {' and '.join(oddities(module))}, and"
