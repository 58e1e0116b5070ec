"""``trace_module`` against the equations, step by step in float64, and against what the module itself returns."""

import copy
import random
from collections.abc import Callable, Iterator
from itertools import combinations, product

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode
from torch.nn.utils import prune
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence
from torch.testing._internal.two_tensor import TwoTensor

from lstmviz.cells.native import KERNELS, _with_biases
from lstmviz.config import ModelConfig
from lstmviz.gate_trace import GateTrace
from lstmviz.model import LanguageModel
from lstmviz.trace import _packed, _unpacked, trace_module

TOLERANCE = 2e-6  # largest absolute error of any gate or state in float32
MODULES = [nn.LSTM, nn.GRU, nn.RNN]
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


# The reference: one sequence, one step, one gate at a time, from the equations of CELLS.md.


def sigmoid(a: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-a))


def reference_layer(
    module: nn.RNNBase, suffix: str, inputs: np.ndarray, h: np.ndarray, c: np.ndarray, own: np.ndarray | None = None
) -> dict:
    """Every value of one layer and direction: name -> ``(T, U)``, in the order in which ``inputs`` ``(T, X)`` come.

    With ``own`` ``(T, H or P)``, what follows from that h in place of the equations' own.
    """

    def parameter(name: str) -> np.ndarray | float:
        value = getattr(module, f"{name}_{suffix}", None)
        return 0.0 if value is None else value.detach().double().cpu().numpy()

    w_ih, w_hh, b_ih, b_hh = (parameter(name) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    steps = []
    for t, x in enumerate(inputs):
        from_input, from_hidden = w_ih @ x + b_ih, w_hh @ h + b_hh
        if module.mode == "LSTM":
            a_i, a_f, a_g, a_o = np.split(from_input + from_hidden, 4)
            i, f, g, o = sigmoid(a_i), sigmoid(a_f), np.tanh(a_g), sigmoid(a_o)
            c = f * c + i * g
            h = o * np.tanh(c)
            if module.proj_size:
                h = parameter("weight_hr") @ h
            steps.append({"input_gate": i, "forget_gate": f, "candidate": g, "output_gate": o, "cell": c, "hidden": h})
        elif module.mode == "GRU":
            (x_r, x_z, x_n), (h_r, h_z, h_n) = np.split(from_input, 3), np.split(from_hidden, 3)
            r, z = sigmoid(x_r + h_r), sigmoid(x_z + h_z)
            n = np.tanh(x_n + r * h_n)
            h = (1 - z) * n + z * h
            steps.append({"reset_gate": r, "update_gate": z, "candidate": n, "hidden": h})
        else:
            a = from_input + from_hidden
            h = np.tanh(a) if module.nonlinearity == "tanh" else np.maximum(a, 0)
            steps.append({"hidden": h})
        h = h if own is None else own[t]
    return {name: np.stack([step[name] for step in steps]) for name in steps[0]}


def reference(
    module: nn.RNNBase, inputs: np.ndarray, h0: np.ndarray, c0: np.ndarray, own: np.ndarray | None = None
) -> list[list[dict]]:
    """``[layer][direction][name]`` -> ``(T, U)`` in input order; inputs ``(T, X)``, states ``(L·D, U)``.

    With ``own`` ``(layer, direction, T, H or P)``, what follows from that h.
    """
    layers = []
    for layer in range(module.num_layers):
        row = []
        for direction in range(2 if module.bidirectional else 1):
            index = layer * (2 if module.bidirectional else 1) + direction
            order = slice(None, None, -1 if direction else 1)
            suffix = f"l{layer}" + "_reverse" * direction
            given = None if own is None else own[layer, direction][order]
            values = reference_layer(module, suffix, inputs[order], h0[index], c0[index], given)
            row.append({name: value[order] for name, value in values.items()})
        layers.append(row)
        inputs = np.concatenate([values["hidden"] for values in row] if own is None else list(own[layer]), axis=-1)
    return layers


# Configurations.


AXES: dict[str, tuple] = {
    "kind": ("LSTM", "LSTM projected", "GRU", "RNN tanh", "RNN relu"),
    "hidden_size": (1, 2, 3, 8, 17, 32, 64),  # where the kernels' vectors end, and between
    "num_layers": (1, 2, 3),
    "bidirectional": (False, True),
    "bias": (True, False),
    "batch_first": (False, True),
    "dropout": (0.0, 0.5),
    "training": (True, False),
    "steps": (1, 2, 3, 7, 20, 29),  # 29: chunks of the recurrence of c, and two steps beyond
    "batch": (1, 2, 5),
    "form": ("unbatched", "batched", "packed", "packed unsorted"),
    "given": (False, True),  # a state before the first step
}


def pairwise(axes: dict[str, tuple]) -> list[dict]:
    """Few configurations among which every pair of choices, of any two axes, occurs: drawn, the one of the most new
    pairs of each fifty is taken. A fault of one path or of two that meet shows in them as in the whole product.
    """
    chance, found = random.Random(0), []
    missing = {((a, x), (b, y)) for a, b in combinations(axes, 2) for x, y in product(axes[a], axes[b])}
    while missing:
        drawn = [{name: chance.choice(values) for name, values in axes.items()} for _ in range(50)]
        best = max(drawn, key=lambda each: len(missing.intersection(combinations(each.items(), 2))))
        missing.difference_update(combinations(best.items(), 2))
        found.append(best)
    return found


CONFIGURATIONS = pairwise(AXES)


def build(number: int) -> tuple[nn.RNNBase, Tensor | PackedSequence, Tensor | tuple[Tensor, Tensor] | None]:
    """The module of a configuration with random weights, inputs and, where it is given, state before the first step."""
    choice, chance = CONFIGURATIONS[number], random.Random(number)
    torch.manual_seed(number)
    cls, _, more = choice["kind"].partition(" ")
    hidden_size, steps, batch, form = (choice[name] for name in ("hidden_size", "steps", "batch", "form"))
    options = {name: choice[name] for name in ("num_layers", "bidirectional", "bias", "batch_first")}
    if more == "projected" and hidden_size > 1:
        options["proj_size"] = chance.randrange(1, hidden_size)
    elif cls == "RNN":
        options["nonlinearity"] = more
    if choice["num_layers"] > 1:
        options["dropout"] = choice["dropout"]
    module = getattr(nn, cls)(chance.randrange(1, 20), hidden_size, **options).train(choice["training"])

    rows = module.num_layers * (2 if module.bidirectional else 1)
    middle = () if form == "unbatched" else (batch,)
    widths = [module.proj_size or hidden_size] + [hidden_size] * (cls == "LSTM")
    states = tuple(torch.randn(rows, *middle, width) for width in widths)
    state = None if not choice["given"] else states if cls == "LSTM" else states[0]

    if form == "unbatched":
        return module, torch.randn(steps, module.input_size), state
    inputs = (
        torch.randn(batch, steps, module.input_size)
        if module.batch_first
        else torch.randn(steps, batch, module.input_size)
    )
    if form == "batched":
        return module, inputs, state
    lengths = [chance.randint(1, steps) for _ in range(batch)]
    if form == "packed":
        lengths.sort(reverse=True)
    packed = pack_padded_sequence(inputs, lengths, module.batch_first, enforce_sorted=form == "packed")
    return module, packed, state


def sequences(module: nn.RNNBase, inputs: Tensor | PackedSequence) -> list[Tensor]:
    """Each sequence of the batch alone, ``(T_b, X)``."""
    if isinstance(inputs, PackedSequence):
        padded, lengths = pad_packed_sequence(inputs, batch_first=True)
        return [sequence[:length] for sequence, length in zip(padded, lengths, strict=True)]
    if inputs.dim() == 2:
        return [inputs]
    return list(inputs if module.batch_first else inputs.transpose(0, 1))


def in_full(module: nn.RNNBase, trace: GateTrace, name: str) -> np.ndarray:
    """``(layer, direction, batch, time, unit)``, whichever of these axes the trace has."""
    assert trace.axes(name)[-1] == ("projection" if name == "hidden" and module.proj_size else "unit")
    missing = [k for k, axis in enumerate(("direction", "batch"), start=1) if axis not in trace.axes(name)]
    return np.expand_dims(trace[name], missing)


def error_against_reference(
    module: nn.RNNBase, inputs: Tensor | PackedSequence, state, trace: GateTrace, *, of_own_hidden: bool = False
) -> float:
    """The largest absolute error of any value; also checks names, axes and that padding is NaN.

    With ``of_own_hidden`` that of the gates and of c beside what follows from the trace's own h.
    """
    alone = sequences(module, inputs)
    rows = module.num_layers * (2 if module.bidirectional else 1)
    widths = [module.proj_size or module.hidden_size, module.hidden_size]
    given = [] if state is None else [state] if isinstance(state, Tensor) else list(state)
    given = [value.double().cpu().numpy().reshape(rows, len(alone), -1) for value in given]
    states = given + [np.zeros((rows, len(alone), width)) for width in widths[len(given) :]]

    worst = 0.0
    for batch, sequence in enumerate(alone):
        x = sequence.double().cpu().numpy()
        own = in_full(module, trace, "hidden")[:, :, batch].astype(float) if of_own_hidden else None
        layers = reference(module, x, states[0][:, batch], states[1][:, batch], own)
        assert set(trace) == set(layers[0][0])
        for name in trace:
            if of_own_hidden and name == "hidden":
                continue
            expected = np.array([[values[name] for values in row] for row in layers])  # (L, D, T_b, U)
            found = in_full(module, trace, name)[:, :, batch]  # (L, D, T, U)
            assert np.isnan(found[:, :, len(x) :]).all()
            worst = max(worst, np.abs(found[:, :, : len(x)] - expected).max())
    return worst


def error_against_module(module: nn.RNNBase, inputs: Tensor | PackedSequence, state, trace: GateTrace) -> float:
    """The largest difference from the outputs and last states of the module itself in evaluation mode."""
    return max(errors_against_module(module, inputs, state, trace).values())


def errors_against_module(module: nn.RNNBase, inputs: Tensor | PackedSequence, state, trace: GateTrace) -> dict:
    """The same for ``output`` and the last ``hidden`` and ``cell`` apart."""
    training = module.training
    with torch.no_grad():
        output, last = module.eval()(inputs, state)
    module.train(training)
    last = dict(zip(("hidden", "cell"), (last,) if isinstance(last, Tensor) else last, strict=False))
    hidden = in_full(module, trace, "hidden")[-1]  # (D, B, T, H or P)

    worst = dict.fromkeys(("output", *last), 0.0)
    ends = [len(sequence) - 1 for sequence in sequences(module, inputs)]
    packed = pad_packed_sequence(output, batch_first=True)[0] if isinstance(output, PackedSequence) else None
    for batch, end in enumerate(ends):
        if packed is not None:
            own = packed[batch, : end + 1]
        else:
            own = output if output.dim() == 2 else output[batch] if module.batch_first else output[:, batch]
        found = np.concatenate(list(hidden[:, batch, : end + 1]), axis=-1)
        worst["output"] = max(worst["output"], np.abs(found - own.double().cpu().numpy()).max())
        for name, value in last.items():
            value = value.double().cpu().numpy()  # (L·D, B, U) or (L·D, U)
            value = value[:, batch] if value.ndim == 3 else value
            found = in_full(module, trace, name)[:, :, batch]  # (L, D, T, U)
            found = np.stack([found[:, d, 0 if d else end] for d in range(found.shape[1])], axis=1)
            worst[name] = max(worst[name], np.abs(found.reshape(value.shape) - value).max())
    return worst


@pytest.fixture(scope="module")
def largest(request: pytest.FixtureRequest) -> Iterator[dict[str, float]]:
    """Collects the largest error of every configuration and prints it at the end, past pytest's capture."""
    errors: dict[str, float] = {}
    yield errors
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        for name, error in errors.items():
            print(f"\n{name}: largest absolute error {error:.2e}", end="")


def note(largest: dict[str, float], name: str, error: float) -> float:
    largest[name] = max(largest.get(name, 0.0), float(error))
    return error


@pytest.mark.parametrize("number", range(len(CONFIGURATIONS)))
def test_configuration(number: int, largest: dict[str, float]) -> None:
    module, inputs, state = build(number)
    trace = trace_module(module, inputs, state)
    assert trace.cell_name == type(module).__name__.lower()
    error = error_against_reference(module, inputs, state, trace)
    assert note(largest, "float32, float64 reference", error) <= TOLERANCE
    error = error_against_module(module, inputs, state, trace)
    assert note(largest, "float32, module's own h, c", error) <= TOLERANCE


@pytest.mark.parametrize("number", range(0, len(CONFIGURATIONS), 3))
def test_float64(number: int, largest: dict[str, float]) -> None:
    module, inputs, state = in_dtype(build(number), torch.float64)
    trace = trace_module(module, inputs, state)
    assert trace.hidden.dtype == np.float64
    assert note(largest, "float64, float64 reference", error_against_reference(module, inputs, state, trace)) <= 1e-13
    assert error_against_module(module, inputs, state, trace) <= 1e-13


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("number", range(0, len(CONFIGURATIONS), 3))
def test_low_precision(number: int, dtype: torch.dtype, largest: dict[str, float]) -> None:
    """h and c are the module's own, bit for bit or by a last place; the gates follow from that h."""
    module, inputs, state = in_dtype(build(number), dtype)
    trace = trace_module(module, inputs, state)
    assert trace.hidden.dtype == (np.float32 if dtype == torch.bfloat16 else np.float16)
    resolution = torch.finfo(dtype).eps
    error = error_against_module(module, inputs, state, trace)
    assert note(largest, f"{dtype}, module's own h, c", error) <= resolution
    error = error_against_reference(module, inputs, state, trace)
    assert note(largest, f"{dtype}, float64 reference", error) <= 16 * resolution


def in_dtype(case: tuple, dtype: torch.dtype, device: str = "cpu") -> tuple:
    module, inputs, state = case
    states = state if isinstance(state, tuple) else (state,)
    states = tuple(None if value is None else value.to(device, dtype) for value in states)
    inputs = inputs.to(device=device, dtype=dtype)
    return module.to(device, dtype), inputs, states if isinstance(state, tuple) else states[0]


@needs_cuda
@pytest.mark.parametrize("number", range(0, len(CONFIGURATIONS), 3))
def test_configuration_on_cuda(number: int, largest: dict[str, float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    module, inputs, state = in_dtype(build(number), torch.float32, "cuda")
    check_on_cuda(module, inputs, state, largest)


def check_on_cuda(module: nn.RNNBase, inputs: Tensor | PackedSequence, state, largest: dict[str, float]) -> None:
    """h is the module's, and the gates and c follow from it. cuDNN's own tanh is off by up to 1e-5: neither h nor what
    the kernel itself has for c is nearer to float64, and c adds up its errors.
    """
    trace = trace_module(module, inputs, state)
    errors = errors_against_module(module, inputs, state, trace)
    assert note(largest, "CUDA, module's own h", max(errors["output"], errors["hidden"])) <= 1e-5
    assert note(largest, "CUDA, module's own c", errors.get("cell", 0.0)) <= 1e-4
    error = error_against_reference(module, inputs, state, trace, of_own_hidden=True)
    assert note(largest, "CUDA, gates and c that follow from h", error) <= 5e-6


@needs_cuda
@pytest.mark.parametrize(
    "options", [{"num_layers": 2}, {"bidirectional": True}, {"num_layers": 3, "batch_first": True}]
)
@pytest.mark.parametrize("cls", MODULES)
def test_no_biases_on_cuda(
    cls: type[nn.RNNBase], options: dict, largest: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    torch.manual_seed(0)
    check_on_cuda(cls(8, 16, bias=False, **options).cuda(), torch.randn(12, 3, 8, device="cuda"), None, largest)


# What the kernel is handed. On CUDA all weights of a module are views into one buffer.


def in_one_buffer(module: nn.RNNBase) -> nn.RNNBase:
    """The module with its weights one behind the other in one buffer, as a module on CUDA keeps them."""
    pieces = torch.cat([weight.detach().flatten() for weight in module.parameters()])
    for weight in module.parameters():
        weight.data, pieces = pieces[: weight.numel()].view_as(weight), pieces[weight.numel() :]
    return module


def as_cudnn_reads(weights: list[Tensor]) -> list[Tensor]:
    """The weights with the biases that cuDNN computes with, by the rule of PyTorch's ``try_get_weight_buf``: the memory
    as it is where the weights lie in it one behind the other and it goes on for long enough, else copies and zeros.
    """
    if len(weights) >= 4:  # the places of the biases are compared too
        return weights
    first, size, rows = weights[0], sum(weight.numel() for weight in weights), len(weights[0])
    behind = first.storage_offset() + size
    memory = torch.tensor([], dtype=first.dtype).set_(first.untyped_storage())
    places = [weight.data_ptr() for weight in weights]
    ends = [weight.data_ptr() + weight.nbytes for weight in weights]
    biases = torch.zeros(2 * rows)
    if places[1:] == ends[:-1] and len(memory) >= behind + 2 * rows:
        biases = memory[behind : behind + 2 * rows]
    return [*weights[:2], *biases.chunk(2), *weights[2:]]


@pytest.mark.parametrize("proj_size", [0, 3])
@pytest.mark.parametrize("cls", MODULES)
def test_cudnn_reads_no_other_layer_for_biases(cls: type[nn.RNNBase], proj_size: int) -> None:
    if proj_size and cls is not nn.LSTM:
        pytest.skip("only an nn.LSTM has a projection")
    torch.manual_seed(0)
    module = in_one_buffer(cls(4, 5, num_layers=3, bias=False, **({"proj_size": 3} if proj_size else {})))
    kind, inputs = module.mode.lower(), torch.randn(6, 2, 4)
    width = proj_size or 5
    start = (torch.zeros(1, 2, width), torch.zeros(1, 2, 5)) if cls is nn.LSTM else torch.zeros(1, 2, width)

    def hidden(x: Tensor, weights: list[Tensor]) -> Tensor:
        return KERNELS[kind](x, start, weights, len(weights) >= 4, 1, 0.0, False, False, False)[0]

    with torch.no_grad():
        first = hidden(inputs, module.all_weights[0])
        assert not torch.allclose(hidden(inputs, as_cudnn_reads(module.all_weights[0])), first, atol=0.01)  # the trap
        x = inputs
        for weights in module.all_weights:
            handed = _with_biases(weights)
            torch.testing.assert_close(hidden(x, as_cudnn_reads(handed)), hidden(x, weights), rtol=0, atol=1e-7)
            assert all(a is b for a, b in zip([*handed[:2], *handed[4:]], weights, strict=True))
            x = hidden(x, weights)
    biased = cls(4, 5).all_weights[0]
    assert _with_biases(biased) is biased


# Larger, longer and more saturated than those.


@pytest.mark.parametrize("cls", MODULES)
def test_long_and_wide(cls: type[nn.RNNBase], largest: dict[str, float]) -> None:
    torch.manual_seed(0)
    module, inputs = cls(128, 256), torch.randn(600, 1, 128)
    trace = trace_module(module, inputs)
    assert note(largest, "600 steps of 256 units", error_against_reference(module, inputs, None, trace)) <= TOLERANCE


def test_saturated_gates() -> None:
    """Forget gates of exactly 0 and 1 and a cell that counts: c is unbounded, and still right."""
    torch.manual_seed(0)
    module, inputs = nn.LSTM(4, 6), torch.randn(400, 2, 4)
    with torch.no_grad():
        module.bias_ih_l0[6:9] = 60.0
        module.bias_ih_l0[9:12] = -200.0
        module.bias_ih_l0[0:3] = 60.0
        module.bias_ih_l0[12:15] = 60.0
    trace = trace_module(module, inputs)
    assert (trace.forget_gate[..., :3] == 1).all() and (trace.forget_gate[..., 3:] < 1e-30).all()
    np.testing.assert_allclose(trace.cell[0, 0, :, 0], np.arange(1, 401))
    assert error_against_module(module, inputs, None, trace) <= 1e-4


# What it leaves alone.


@pytest.mark.parametrize("cls", MODULES)
@pytest.mark.parametrize("training", [True, False])
def test_module_is_unchanged(cls: type[nn.RNNBase], training: bool) -> None:
    module = cls(3, 5, num_layers=2, dropout=0.5).train(training)
    inputs = torch.randn(4, 2, 3, requires_grad=True)
    weights, given, generator = copy.deepcopy(module.state_dict()), inputs.detach().clone(), torch.get_rng_state()
    pointers = [parameter.data_ptr() for parameter in module.parameters()]

    trace = trace_module(module, inputs)
    for values in trace.values():  # writing to the trace reaches nothing of the module's or the user's
        values[...] = 7.0

    assert module.training is training
    assert torch.equal(torch.get_rng_state(), generator)
    assert torch.is_grad_enabled()
    assert all(torch.equal(value, weights[name]) for name, value in module.state_dict().items())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in module.parameters())
    assert [parameter.data_ptr() for parameter in module.parameters()] == pointers
    assert torch.equal(inputs, given) and inputs.grad is None


def test_initial_state_is_unchanged() -> None:
    module, h, c = nn.LSTM(3, 5), torch.randn(1, 2, 5), torch.randn(1, 2, 5)
    before = h.clone(), c.clone()
    trace_module(module, torch.randn(9, 2, 3), (h, c))
    assert torch.equal(h, before[0]) and torch.equal(c, before[1])


def test_traces_share_nothing() -> None:
    module, inputs = nn.GRU(3, 5), torch.randn(4, 3)
    first, second = trace_module(module, inputs), trace_module(module, inputs)
    for values in first.values():
        values[...] = 7.0
    assert_identical(trace_module(module, inputs), second)


def assert_identical(trace: GateTrace, other: GateTrace) -> None:
    assert list(trace) == list(other) and (trace.cell_name, trace.outer) == (other.cell_name, other.outer)
    for name in trace:
        np.testing.assert_array_equal(trace[name], other[name], strict=True)


# What it looks like.


def test_axes() -> None:
    trace = trace_module(nn.LSTM(3, 5), torch.randn(4, 3))
    assert trace.axes("forget_gate") == ("layer", "time", "unit")
    assert list(trace) == ["input_gate", "forget_gate", "candidate", "output_gate", "cell", "hidden"]
    assert trace.sizes == {"layer": 1, "time": 4, "unit": 5}
    assert trace.to_dataframe().shape == (20, 3 + 6)

    trace = trace_module(nn.LSTM(3, 5, 2, bidirectional=True, proj_size=2, batch_first=True), torch.randn(7, 4, 3))
    assert trace.axes("cell") == ("layer", "direction", "batch", "time", "unit")
    assert trace.cell.shape == (2, 2, 7, 4, 5)
    assert trace.axes("hidden") == ("layer", "direction", "batch", "time", "projection")
    assert trace.hidden.shape == (2, 2, 7, 4, 2)


# Left on a device.


@pytest.mark.parametrize("number", range(0, len(CONFIGURATIONS), 9))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_tensors_are_the_values_of_the_trace(number: int, dtype: torch.dtype) -> None:
    module, inputs, state = in_dtype(build(number), dtype)
    trace, tensors = trace_module(module, inputs, state), trace_module(module, inputs, state, device="cpu")
    assert list(tensors) == list(trace)
    for name, values in tensors.items():
        assert values.shape == trace[name].shape and not values.requires_grad
        widened = values.float() if values.dtype == torch.bfloat16 else values
        np.testing.assert_array_equal(widened.numpy(), trace[name])
        assert values.dtype == (dtype if name in ("hidden", "cell") or dtype == torch.float64 else torch.float32)


def test_one_copy_brings_all_values() -> None:
    module, inputs, state = in_dtype(build(4), torch.float16)
    values = trace_module(module, inputs, state, device="cpu")
    assert len({value.dtype for value in values.values()}) == 2
    memory = _packed(values)
    assert memory.dim() == 1 and memory.nbytes == sum(value.nbytes for value in values.values())
    for name, value in _unpacked(memory, values).items():
        assert value.dtype == values[name].dtype and value.untyped_storage().data_ptr() == memory.data_ptr()
        torch.testing.assert_close(value, values[name], rtol=0, atol=0, equal_nan=True)


@needs_cuda
def test_values_stay_on_the_card_or_come_in_one_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    module, inputs = nn.LSTM(8, 16, 2, bidirectional=True).cuda(), torch.randn(12, 3, 8, device="cuda")
    tensors = trace_module(module, inputs, device="cuda")
    assert all(values.is_cuda for values in tensors.values())
    with torch.profiler.profile() as profile:
        trace = trace_module(module, inputs)
    assert sum(event.count for event in profile.key_averages() if event.key.startswith("Memcpy DtoH")) == 1
    for name, values in tensors.items():
        np.testing.assert_array_equal(values.cpu().numpy(), trace[name])
    with monkeypatch.context() as patch:  # more than may be page-locked
        patch.setattr("lstmviz.trace.PAGE_LOCKED", 0)
        assert_identical(trace_module(module, inputs), trace)


# Modules that are not plain: their own values, or a sentence.


def with_old_weight_norm(module: nn.RNNBase) -> nn.RNNBase:
    return nn.utils.weight_norm(module, "weight_hh_l0")


def with_old_spectral_norm(module: nn.RNNBase) -> nn.RNNBase:
    return nn.utils.spectral_norm(module, "weight_hh_l0")


def with_weight_norm(module: nn.RNNBase) -> nn.RNNBase:
    return nn.utils.parametrizations.weight_norm(module, "weight_hh_l0")


def with_spectral_norm(module: nn.RNNBase) -> nn.RNNBase:
    return nn.utils.parametrizations.spectral_norm(module, "weight_hh_l0")


def pruned(module: nn.RNNBase) -> nn.RNNBase:
    prune.random_unstructured(module, "weight_hh_l0", 0.5)
    return module


REWEIGHTED = [with_old_weight_norm, with_old_spectral_norm, with_weight_norm, with_spectral_norm, pruned]


def reweighted(wrap: Callable, cls: type[nn.RNNBase], **options) -> nn.RNNBase:
    """A module whose weights are made of others, and whose attributes are older than its state dict."""
    module = wrap(cls(3, 5, **options))
    with torch.no_grad():
        module.load_state_dict({name: 2 * value for name, value in wrap(cls(3, 5, **options)).state_dict().items()})
    return module


@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning", "ignore:.*spectral_norm:FutureWarning")
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("cls", MODULES)
@pytest.mark.parametrize("wrap", REWEIGHTED)
def test_weights_made_of_others(wrap: Callable, cls: type[nn.RNNBase], training: bool) -> None:
    torch.manual_seed(0)
    module, inputs = reweighted(wrap, cls, num_layers=2, dropout=0.5).train(training), torch.randn(6, 2, 3)
    before, generator = everything(module), torch.get_rng_state()
    trace = trace_module(module, inputs)
    assert_unchanged(module, before)
    assert torch.equal(torch.get_rng_state(), generator)
    assert error_against_module(module, inputs, None, trace) <= TOLERANCE


def everything(module: nn.Module) -> list[tuple[nn.Module, dict, list]]:
    """Each part with its attributes and what its tensors hold."""
    parts = []
    for part in module.modules():
        kept = {k: v.copy() if isinstance(v, dict | list | set) else v for k, v in vars(part).items()}
        tensors = [v for v in (*kept.values(), *part._parameters.values(), *part._buffers.values())]
        parts.append((part, kept, [(v, v.detach().clone()) for v in tensors if isinstance(v, Tensor)]))
    return parts


def assert_unchanged(module: nn.Module, before: list[tuple[nn.Module, dict, list]]) -> None:
    assert [part for part, _, _ in before] == list(module.modules())
    for part, kept, tensors in before:
        assert list(vars(part)) == list(kept)
        for name, value in vars(part).items():
            same = len(value) == len(kept[name]) if isinstance(value, dict | list | set) else value is kept[name]
            assert same, name
            if isinstance(value, dict):
                assert all(value[key] is kept[name][key] for key in kept[name]), name
            if isinstance(value, list):
                assert all(a is b for a, b in zip(value, kept[name], strict=True)), name
        assert all(torch.equal(tensor, value) for tensor, value in tensors)


class Halved(nn.LSTM):
    def forward(self, inputs, state=None):
        return super().forward(inputs / 2, state)


class Called(nn.LSTM):
    def __call__(self, inputs, state=None):
        return super().__call__(inputs / 2, state)


class OutputOnly(nn.LSTM):
    def forward(self, inputs, state=None):
        return super().forward(inputs, state)[0]


class OtherArguments(nn.LSTM):
    def forward(self, inputs):
        return super().forward(inputs)


class Forgetful(nn.LSTM):
    """h of the last layer is its own; the state before the first step is not."""

    def forward(self, inputs, state=None):
        output, (h, c) = super().forward(inputs, state)
        return output, (h, c / 2)


def with_forward(module: nn.LSTM) -> nn.LSTM:
    forward = module.forward
    module.forward = lambda inputs, state=None: forward(inputs / 2, state)
    return module


def with_pre_hook(module: nn.LSTM) -> nn.LSTM:
    module.register_forward_pre_hook(lambda module, given: (given[0] / 2, *given[1:]))
    return module


def with_pre_hook_in_place(module: nn.LSTM) -> nn.LSTM:
    module.register_forward_pre_hook(lambda module, given: [given[0].mul_(0.5), None][1])
    return module


def with_hook(module: nn.LSTM) -> nn.LSTM:
    module.register_forward_hook(lambda module, given, returned: (returned[0] / 2, returned[1]))
    return module


def with_noise(module: nn.LSTM) -> nn.LSTM:
    module.register_forward_pre_hook(lambda module, given: (given[0] + torch.randn_like(given[0]), *given[1:]))
    return module


def with_failing_hook(module: nn.LSTM) -> nn.LSTM:
    def fail(module, given):
        module.weight_hh_l0.data.zero_()
        module.surprise = True
        raise RuntimeError("no")

    module.register_forward_pre_hook(fail)
    return module


@pytest.mark.parametrize("form", ["unbatched", "batched", "packed"])
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Halved, r"Halved has a forward of its own.* \(off by 0\.\d+\).*plain module"),
        (Called, "Called has a class of its own.* other values"),
        (OutputOnly, r"OutputOnly .* something else than \(output, state\)"),
        (OtherArguments, "OtherArguments .* does not take what a plain one takes"),
        (Forgetful, "Forgetful .* other values"),
        (lambda *sizes: with_forward(nn.LSTM(*sizes)), "LSTM has a forward of its own.* other values"),
        (lambda *sizes: with_pre_hook(nn.LSTM(*sizes)), "LSTM has forward pre-hooks.* other values"),
        (lambda *sizes: with_pre_hook_in_place(nn.LSTM(*sizes)), "LSTM has forward pre-hooks.* other values"),
        (lambda *sizes: with_hook(nn.LSTM(*sizes)), "LSTM has forward hooks.* other values"),
        (lambda *sizes: with_noise(nn.LSTM(*sizes)), "LSTM has forward pre-hooks.* other values"),
        (lambda *sizes: with_failing_hook(nn.LSTM(*sizes)), "RuntimeError: no"),
    ],
)
def test_refuses_a_module_that_computes_something_else(make: Callable, message: str, form: str) -> None:
    torch.manual_seed(0)
    module = make(3, 5)
    inputs = torch.randn(6, 3) if form == "unbatched" else torch.randn(6, 2, 3)
    values, generator = inputs.clone(), torch.get_rng_state()
    given = pack_padded_sequence(inputs, [4, 6], enforce_sorted=False) if form == "packed" else inputs
    if form == "packed" and make in (Halved, Called):
        pytest.skip("it cannot halve packed sequences")
    before = everything(module)
    with pytest.raises(TypeError, match=message if form != "packed" else "this "):
        trace_module(module, given)
    assert_unchanged(module, before)
    assert torch.equal(inputs, values) and torch.equal(torch.get_rng_state(), generator)


def test_global_hooks_are_seen() -> None:
    module, inputs, seen = nn.GRU(3, 5), torch.randn(6, 3), []
    handle = nn.modules.module.register_module_forward_pre_hook(lambda module, given: seen.append(module))
    try:
        assert error_against_module(module, inputs, None, trace_module(module, inputs)) <= TOLERANCE
        assert seen[0] is module
    finally:
        handle.remove()
    handle = nn.modules.module.register_module_forward_hook(
        lambda module, given, returned: (returned[0] + 1, returned[1])
    )
    try:
        with pytest.raises(TypeError, match="global forward hooks"):
            trace_module(module, inputs)
    finally:
        handle.remove()


class Renamed(nn.LSTM):
    pass


class Announced(nn.LSTM):
    def forward(self, inputs, state=None):
        return super().forward(inputs, state)


def compiled_in_place(*sizes: int, **options) -> nn.LSTM:
    module = nn.LSTM(*sizes, **options)
    module.compile()
    return module


@pytest.mark.parametrize("form", ["unbatched", "batched", "batch_first", "packed"])
@pytest.mark.parametrize("make", [nn.LSTM, Renamed, Announced, compiled_in_place, nn.GRU, nn.RNN])
def test_modules_that_are_merely_watched(make: Callable, form: str) -> None:
    torch.manual_seed(0)
    module = make(3, 5, num_layers=2, bidirectional=True, dropout=0.5, batch_first=form == "batch_first")
    seen = []
    handles = [
        module.register_forward_pre_hook(lambda module, given: seen.append((module.training, len(given)))),
        module.register_forward_hook(lambda module, given, returned: seen.append(returned[0])),
    ]
    inputs = torch.randn(6, 3) if form == "unbatched" else torch.randn(6, 2, 3)
    given = pack_padded_sequence(inputs, [4, 6], enforce_sorted=False) if form == "packed" else inputs
    before = everything(module)
    trace = trace_module(module, given)
    assert len(seen) == 2 and seen[0] == (False, 2)
    assert_unchanged(module, before)
    for handle in handles:
        handle.remove()
    assert not module._forward_hooks and not module._forward_pre_hooks
    module._compiled_call_impl = None  # the test has no compiler
    assert error_against_module(module, given, None, trace) <= TOLERANCE


# What it refuses.


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.Linear(3, 5), r"torch\.nn\.modules\.linear\.Linear\.$"),
        (lambda: None, "NoneType"),
        (lambda: nn.LSTM, "type"),
        (lambda: nn.LSTMCell(3, 5, bias=False), r"rnn = nn\.LSTM\(3, 5, bias=False\) makes them all"),
        (lambda: nn.GRUCell(3, 5), r"rnn = nn\.GRU\(3, 5\) makes them all"),
        (lambda: nn.RNNCell(3, 5, nonlinearity="relu"), r"rnn = nn\.RNN\(3, 5, nonlinearity='relu'\) makes them all"),
        (lambda: torch.compile(nn.LSTM(3, 5)), r"OptimizedModule: trace what it holds at \._orig_mod,"),
        (lambda: nn.DataParallel(nn.LSTM(3, 5)), r"DataParallel: trace what it holds at \.module,"),
        (lambda: torch.compile(nn.DataParallel(nn.LSTM(3, 5))), r"at \._orig_mod\.module,"),
        (
            lambda: torch.optim.swa_utils.AveragedModel(nn.LSTM(3, 5)),
            r"AveragedModel: trace what it holds at \.module,",
        ),
        (
            lambda: nn.Sequential(*[nn.Linear(3, 3), *[nn.GRU(3, 3) for _ in range(5)]]),
            r"\[1\], \[2\], \[3\] and 2 more",
        ),
        (lambda: torch.jit.script(nn.LSTM(3, 5)), "TorchScript compiled: trace the module that it was made from"),
        (lambda: torch.ao.nn.quantized.dynamic.LSTM(3, 5), "quantised weights: trace the floating-point module"),
        (lambda: torch.ao.nn.quantizable.LSTM(3, 5), "quantised weights: trace the floating-point module"),
        (lambda: LanguageModel(ModelConfig(), 10), "trace_sentence"),
        (lambda: nn.LSTM(3, 5, device="meta"), r"weight_ih_l0 is on the meta device.*\.to_empty"),
        (lambda: nn.LSTM(3, 5).to(torch.float8_e4m3fn), r"\.to\(torch\.float32\)"),
    ],
)
def test_refuses_other_modules(make: Callable, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        trace_module(make(), torch.randn(4, 3))


def test_the_weights_of_a_cell_make_a_module() -> None:
    """What the sentence about an nn.LSTMCell says."""
    cell, rnn, inputs = nn.LSTMCell(3, 5), nn.LSTM(3, 5), torch.randn(4, 3)
    rnn.load_state_dict({f"{name}_l0": weight for name, weight in cell.state_dict().items()})
    state, steps = None, []
    for x in inputs:
        state = cell(x, state)
        steps.append(state[0])
    np.testing.assert_allclose(trace_module(rnn, inputs).hidden[0], torch.stack(steps).detach(), atol=TOLERANCE)


def test_refuses_a_module_without_a_shape() -> None:
    module = nn.LSTM(3, 5)
    module.weight_ih_l0 = nn.UninitializedParameter()
    with pytest.raises(TypeError, match="weight_ih_l0 has no shape yet: call the module once"):
        trace_module(module, torch.randn(4, 3))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda x: x.to("meta"), "inputs is on the meta device"),
        (lambda x: torch.nested.nested_tensor([x, x[:2]]), "pack_sequence"),
        (lambda x: torch.nested.nested_tensor([x, x[:2]], layout=torch.jagged), "pack_sequence"),
        (lambda x: x.to_sparse(), r"\.to_dense\(\)"),
        (lambda x: x.to_sparse_csr(), r"\.to_dense\(\)"),
        (lambda x: FakeTensorMode().from_tensor(x), "FakeTensor"),
        (lambda x: TwoTensor(x, x), "TwoTensor, which keeps its values elsewhere"),
        (lambda x: x.to(torch.float8_e4m3fn), r"\.to\(torch\.float32\)"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*prototype stage:UserWarning", "ignore:.*beta state:UserWarning")
def test_refuses_inputs_and_states_without_plain_values(make: Callable, message: str) -> None:
    module = nn.GRU(3, 5)
    with pytest.raises(TypeError, match=message):
        trace_module(module, make(torch.randn(4, 3)))
    with pytest.raises(TypeError, match=message.replace("inputs is", "the initial hidden is")):
        trace_module(module, torch.randn(4, 3), make(torch.randn(4, 5)))


@pytest.mark.parametrize("transform", [torch.vmap, torch.func.grad, torch.func.jacrev])
def test_refuses_to_run_inside_a_transform(transform: Callable) -> None:
    module, inputs = nn.RNN(3, 5), torch.randn(2, 4, 3)

    def traced(inputs: Tensor) -> Tensor:
        trace_module(module, inputs)
        return inputs.sum()

    with pytest.raises(TypeError, match=r"torch\.func .* outside"):
        transform(traced)(inputs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_refuses_to_run_under_autocast(dtype: torch.dtype) -> None:
    module, inputs = nn.LSTM(3, 5), torch.randn(4, 3)
    with torch.autocast("cpu", torch.bfloat16):
        with pytest.raises(TypeError, match=r"enabled=False.*\.to\(torch\.bfloat16\)"):
            trace_module(module, inputs.to(dtype))
        with torch.autocast("cpu", enabled=False):
            trace = trace_module(module, inputs)
    assert_identical(trace, trace_module(module, inputs))


@pytest.mark.parametrize(
    ("inputs", "error", "message"),
    [
        (torch.randn(4, 2), ValueError, "2 features"),
        (torch.randn(3), ValueError, "axes"),
        (torch.randn(1, 1, 4, 3), ValueError, "axes"),
        (torch.randn(0, 3), ValueError, "empty"),
        (torch.randn(4, 0, 3), ValueError, "empty"),
        (torch.randint(9, (4, 3)), TypeError, "embedding"),
        (torch.randn(4, 3).double(), ValueError, "float64"),
        (np.zeros((4, 3)), TypeError, "ndarray"),
        ([[0.0, 1.0, 2.0]], TypeError, "list"),
    ],
)
def test_refuses_other_inputs(inputs: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        trace_module(nn.LSTM(3, 5), inputs)


@pytest.mark.parametrize(
    ("state", "error", "message"),
    [
        (torch.zeros(1, 5), TypeError, r"\(h_0, c_0\)"),
        ((torch.zeros(1, 5), torch.zeros(1, 6)), ValueError, r"initial cell must have shape \(1, 5\)"),
        ((torch.zeros(1, 1, 5), torch.zeros(1, 1, 5)), ValueError, "initial hidden must have shape"),
        ((torch.zeros(1, 5).double(), torch.zeros(1, 5).double()), ValueError, "float64"),
    ],
)
def test_refuses_other_states(state: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        trace_module(nn.LSTM(3, 5), torch.randn(4, 3), state)
