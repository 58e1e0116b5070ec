"""``trace_module`` against the equations, step by step in float64, and against what the module itself returns."""

import copy
import random
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from lstmviz.trace import GateTrace, trace_module

CONFIGURATIONS = 240
TOLERANCE = 2e-6  # largest absolute error of any gate or state in float32
MODULES = [nn.LSTM, nn.GRU, nn.RNN]
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


# The reference: one sequence, one step, one gate at a time, from the equations of CELLS.md.


def sigmoid(a: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-a))


def reference_layer(module: nn.RNNBase, suffix: str, inputs: np.ndarray, h: np.ndarray, c: np.ndarray) -> dict:
    """Every value of one layer and direction: name -> ``(T, U)``, in the order in which ``inputs`` ``(T, X)`` come."""

    def parameter(name: str) -> np.ndarray | float:
        value = getattr(module, f"{name}_{suffix}", None)
        return 0.0 if value is None else value.detach().double().cpu().numpy()

    w_ih, w_hh, b_ih, b_hh = (parameter(name) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    steps = []
    for x in inputs:
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
    return {name: np.stack([step[name] for step in steps]) for name in steps[0]}


def reference(module: nn.RNNBase, inputs: np.ndarray, h0: np.ndarray, c0: np.ndarray) -> list[list[dict]]:
    """``[layer][direction][name]`` -> ``(T, U)`` in input order; inputs ``(T, X)``, states ``(L·D, U)``."""
    layers = []
    for layer in range(module.num_layers):
        row = []
        for direction in range(2 if module.bidirectional else 1):
            index = layer * (2 if module.bidirectional else 1) + direction
            order = slice(None, None, -1 if direction else 1)
            suffix = f"l{layer}" + "_reverse" * direction
            values = reference_layer(module, suffix, inputs[order], h0[index], c0[index])
            row.append({name: value[order] for name, value in values.items()})
        layers.append(row)
        inputs = np.concatenate([values["hidden"] for values in row], axis=-1)
    return layers


# Random configurations.


def build(seed: int) -> tuple[nn.RNNBase, Tensor | PackedSequence, Tensor | tuple[Tensor, Tensor] | None]:
    """A random module with random inputs and, half of the time, a random state before the first step."""
    chance = random.Random(seed)
    torch.manual_seed(seed)
    cls = chance.choice([nn.LSTM, nn.LSTM, nn.GRU, nn.RNN])
    hidden_size = chance.choice([1, 2, 3, 5, 8, 16, 17, 32, 64, 96])
    options = {
        "num_layers": chance.choice([1, 1, 2, 3]),
        "bidirectional": chance.random() < 0.5,
        "bias": chance.random() < 0.7,
        "batch_first": chance.random() < 0.5,
    }
    if cls is nn.LSTM and hidden_size > 1 and chance.random() < 0.4:
        options["proj_size"] = chance.randrange(1, hidden_size)
    if cls is nn.RNN:
        options["nonlinearity"] = chance.choice(["tanh", "relu"])
    if options["num_layers"] > 1:
        options["dropout"] = chance.choice([0.0, 0.5])
    module = cls(chance.randrange(1, 20), hidden_size, **options)
    module.train(chance.random() < 0.5)

    steps, batch = chance.choice([1, 2, 3, 7, 20, 50]), chance.choice([1, 2, 5])
    form = chance.choice(["unbatched", "batched", "packed", "packed unsorted"])
    rows = module.num_layers * (2 if module.bidirectional else 1)
    middle = () if form == "unbatched" else (batch,)
    widths = [module.proj_size or hidden_size] + [hidden_size] * (cls is nn.LSTM)
    states = tuple(torch.randn(rows, *middle, width) for width in widths)
    state = None if chance.random() < 0.5 else states if cls is nn.LSTM else states[0]

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
    values = trace[name]
    for axis in ("direction", "batch"):
        if axis not in values.dims:
            values = values.expand_dims(axis)
    last = "projection" if name == "hidden" and module.proj_size else "unit"
    return values.transpose("layer", "direction", "batch", "time", last).values


def error_against_reference(module: nn.RNNBase, inputs: Tensor | PackedSequence, state, trace: GateTrace) -> float:
    """The largest absolute error of any value; also checks names, axes and that padding is NaN."""
    alone = sequences(module, inputs)
    rows = module.num_layers * (2 if module.bidirectional else 1)
    widths = [module.proj_size or module.hidden_size, module.hidden_size]
    given = [] if state is None else [state] if isinstance(state, Tensor) else list(state)
    given = [value.double().cpu().numpy().reshape(rows, len(alone), -1) for value in given]
    states = given + [np.zeros((rows, len(alone), width)) for width in widths[len(given) :]]

    worst = 0.0
    for batch, sequence in enumerate(alone):
        x = sequence.double().cpu().numpy()
        layers = reference(module, x, states[0][:, batch], states[1][:, batch])
        assert set(trace.data_vars) == set(layers[0][0])
        for name in trace.data_vars:
            expected = np.array([[values[name] for values in row] for row in layers])  # (L, D, T_b, U)
            found = in_full(module, trace, name)[:, :, batch]  # (L, D, T, U)
            assert np.isnan(found[:, :, len(x) :]).all()
            worst = max(worst, np.abs(found[:, :, : len(x)] - expected).max())
    return worst


def error_against_module(module: nn.RNNBase, inputs: Tensor | PackedSequence, state, trace: GateTrace) -> float:
    """The largest difference from the outputs and last states of the module itself in evaluation mode."""
    twin = copy.deepcopy(module).eval()
    with torch.no_grad():
        output, last = twin(inputs, state)
    last = dict(zip(("hidden", "cell"), (last,) if isinstance(last, Tensor) else last, strict=False))
    hidden = in_full(module, trace, "hidden")[-1]  # (D, B, T, H or P)

    worst = 0.0
    ends = [len(sequence) - 1 for sequence in sequences(module, inputs)]
    packed = pad_packed_sequence(output, batch_first=True)[0] if isinstance(output, PackedSequence) else None
    for batch, end in enumerate(ends):
        if packed is not None:
            own = packed[batch, : end + 1]
        else:
            own = output if output.dim() == 2 else output[batch] if module.batch_first else output[:, batch]
        found = np.concatenate(list(hidden[:, batch, : end + 1]), axis=-1)
        worst = max(worst, np.abs(found - own.double().cpu().numpy()).max())
        for name, value in last.items():
            value = value.double().cpu().numpy()  # (L·D, B, U) or (L·D, U)
            value = value[:, batch] if value.ndim == 3 else value
            found = in_full(module, trace, name)[:, :, batch]  # (L, D, T, U)
            found = np.stack([found[:, d, 0 if d else end] for d in range(found.shape[1])], axis=1)
            worst = max(worst, np.abs(found.reshape(value.shape) - value).max())
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


@pytest.mark.parametrize("seed", range(CONFIGURATIONS))
def test_random_configuration(seed: int, largest: dict[str, float]) -> None:
    module, inputs, state = build(seed)
    trace = trace_module(module, inputs, state)
    assert trace.attrs["cell"] == type(module).__name__.lower()
    error = error_against_reference(module, inputs, state, trace)
    assert note(largest, "float32, float64 reference", error) <= TOLERANCE
    error = error_against_module(module, inputs, state, trace)
    assert note(largest, "float32, module's own h, c", error) <= TOLERANCE


@pytest.mark.parametrize("seed", range(0, CONFIGURATIONS, 6))
def test_float64(seed: int, largest: dict[str, float]) -> None:
    module, inputs, state = in_dtype(build(seed), torch.float64)
    trace = trace_module(module, inputs, state)
    assert trace.hidden.dtype == np.float64
    assert note(largest, "float64, float64 reference", error_against_reference(module, inputs, state, trace)) <= 1e-13
    assert error_against_module(module, inputs, state, trace) <= 1e-13


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("seed", range(0, CONFIGURATIONS, 6))
def test_low_precision(seed: int, dtype: torch.dtype, largest: dict[str, float]) -> None:
    """h and c are the module's own, bit for bit or by a last place; the gates follow from that h."""
    module, inputs, state = in_dtype(build(seed), dtype)
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
@pytest.mark.parametrize("seed", range(0, CONFIGURATIONS, 6))
def test_random_configuration_on_cuda(seed: int, largest: dict[str, float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    module, inputs, state = in_dtype(build(seed), torch.float32, "cuda")
    trace = trace_module(module, inputs, state)
    assert note(largest, "CUDA, float64 reference", error_against_reference(module, inputs, state, trace)) <= 5e-6
    assert note(largest, "CUDA, module's own h, c", error_against_module(module, inputs, state, trace)) <= 5e-6


# Larger, longer and saturated than the random ones.


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
    assert (trace.forget_gate.sel(unit=[0, 1, 2]) == 1).all() and (trace.forget_gate.sel(unit=[3, 4, 5]) < 1e-30).all()
    np.testing.assert_allclose(trace.cell.values[0, 0, :, 0], np.arange(1, 401))
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
    for name in trace.data_vars:  # writing to the trace reaches nothing of the module's or the user's
        trace[name].values[...] = 7.0

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
    first.attrs["note"] = "mine"
    first.time.attrs["units"] = "tokens"
    first["hidden"].attrs["units"] = "1"
    first["hidden"].values[...] = 0.0
    assert second.attrs == {"cell": "gru"}
    assert trace_module(module, inputs).attrs == {"cell": "gru"}
    assert second.time.attrs == second.hidden.attrs == trace_module(module, inputs).time.attrs == {}
    assert (second.hidden != 0).any()


# What it looks like.


def test_axes_and_coordinates() -> None:
    trace = trace_module(nn.LSTM(3, 5), torch.randn(4, 3))
    assert trace.forget_gate.dims == ("layer", "time", "unit")
    assert list(trace.data_vars) == ["input_gate", "forget_gate", "candidate", "output_gate", "cell", "hidden"]
    assert trace.time.values.tolist() == [0, 1, 2, 3] and np.issubdtype(trace.time.dtype, np.integer)
    assert trace.to_dataframe().shape == (20, 6)

    trace = trace_module(nn.LSTM(3, 5, 2, bidirectional=True, proj_size=2, batch_first=True), torch.randn(7, 4, 3))
    assert trace.cell.dims == ("layer", "direction", "batch", "time", "unit")
    assert trace.cell.shape == (2, 2, 7, 4, 5)
    assert trace.hidden.dims == ("layer", "direction", "batch", "time", "projection")
    assert trace.hidden.shape == (2, 2, 7, 4, 2)
    assert trace.direction.values.tolist() == ["forward", "reverse"]


def test_weight_normalised_module() -> None:
    """Parametrised weights are the ones that the module computes with."""
    module, inputs = nn.LSTM(3, 5), torch.randn(6, 3)
    nn.utils.parametrizations.weight_norm(module, "weight_hh_l0")
    with torch.no_grad():
        module.parametrizations.weight_hh_l0.original0.mul_(3.0)
    assert error_against_reference(module, inputs, None, trace_module(module, inputs)) <= TOLERANCE


# What it refuses.


@pytest.mark.parametrize("module", [nn.Linear(3, 5), nn.LSTMCell(3, 5), None])
def test_refuses_other_modules(module: object) -> None:
    with pytest.raises(TypeError, match=r"nn\.LSTM, nn\.GRU or nn\.RNN"):
        trace_module(module, torch.randn(4, 3))


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
