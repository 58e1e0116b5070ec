"""Cells against torch's own kernels, against each other, and against their equations."""

import pytest
import torch
from torch import Tensor, nn

from lstmviz.cells import CELLS, Cell
from lstmviz.cells.lstm import LSTM, LSTMConcat, LSTMSplit

T, B, X, H = 11, 3, 5, 7
TWINS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


def random_inputs(cell: Cell, dtype: torch.dtype = torch.float64) -> tuple[Tensor, dict[str, Tensor]]:
    inputs = torch.randn(T, B, X, dtype=dtype)
    return inputs, {name: torch.randn(B, H, dtype=dtype) for name in cell.states}


def make_cell(name: str, dtype: torch.dtype = torch.float64) -> Cell:
    torch.manual_seed(0)
    return CELLS[name](X, H).to(dtype)


@pytest.mark.parametrize("name", TWINS)
def test_native_cells_equal_torch_with_copied_weights(name):
    cell = make_cell(name)
    twin = TWINS[name](X, H).double()
    twin.load_state_dict({key.removeprefix("native."): value for key, value in cell.state_dict().items()})
    inputs, state = random_inputs(cell)
    h0 = state["hidden"][None]
    expected, last = twin(inputs, (h0, state["cell"][None]) if name == "lstm" else h0)
    hidden, after = cell(inputs, state)
    record = cell.record(inputs, state)
    torch.testing.assert_close(hidden, expected, atol=1e-12, rtol=0)
    torch.testing.assert_close(record["hidden"], expected, atol=1e-12, rtol=0)
    last_cell = last[1][0] if name == "lstm" else None
    if last_cell is not None:
        torch.testing.assert_close(after["cell"], last_cell, atol=1e-12, rtol=0)
        torch.testing.assert_close(record["cell"][-1], last_cell, atol=1e-12, rtol=0)


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 2e-6)])
def test_the_fast_path_equals_the_readable_steps(name, dtype, tolerance):
    cell = make_cell(name, dtype)
    inputs, state = random_inputs(cell, dtype)
    hidden, after = cell(inputs, state)
    record = cell.record(inputs, state)
    steps = Cell.record(cell, inputs, state)  # the base class loops over step()
    assert tuple(record) == tuple(steps)
    for key, values in steps.items():
        torch.testing.assert_close(record[key], values, atol=tolerance, rtol=0, msg=key)
    torch.testing.assert_close(hidden, steps["hidden"], atol=tolerance, rtol=0)
    for key in cell.states:
        torch.testing.assert_close(after[key], steps[key][-1], atol=tolerance, rtol=0, msg=key)


@torch.no_grad()
def split_of(lstm: LSTM) -> LSTMSplit:
    split = LSTMSplit(X, H).double()
    w_ih, w_hh, b_ih, b_hh = (weight.chunk(4) for weight in lstm.native.all_weights[0])
    for row, gate in enumerate("ifgo"):
        getattr(split, f"W_i{gate}").weight.copy_(w_ih[row])
        getattr(split, f"W_i{gate}").bias.copy_(b_ih[row])
        getattr(split, f"W_h{gate}").weight.copy_(w_hh[row])
        getattr(split, f"W_h{gate}").bias.copy_(b_hh[row])
    return split


@torch.no_grad()
def concat_of(lstm: LSTM) -> LSTMConcat:
    concat = LSTMConcat(X, H).double()
    w_ih, w_hh, b_ih, b_hh = (weight.chunk(4) for weight in lstm.native.all_weights[0])
    for row, gate in enumerate("ifgo"):
        getattr(concat, f"W_{gate}").weight.copy_(torch.cat([w_hh[row], w_ih[row]], dim=1))  # of [h', x]
        getattr(concat, f"W_{gate}").bias.copy_(b_ih[row] + b_hh[row])
    return concat


@pytest.mark.parametrize("transplant", [split_of, concat_of])
def test_every_layout_of_the_lstm_is_the_same_function(transplant):
    lstm = make_cell("lstm")
    other = transplant(lstm)
    inputs, state = random_inputs(lstm)
    expected, record = lstm.record(inputs, state), other.record(inputs, state)
    for key, values in expected.items():
        torch.testing.assert_close(record[key], values, atol=1e-12, rtol=0, msg=key)
    torch.testing.assert_close(other(inputs, state)[0], expected["hidden"], atol=1e-12, rtol=0)


@pytest.mark.parametrize("name", ["lstm", "lstm_split", "lstm_concat"])
def test_c_and_h_follow_from_the_recorded_gates(name):
    cell = make_cell(name)
    inputs, state = random_inputs(cell)
    record = cell.record(inputs, state)
    c = state["cell"]
    for t in range(T):
        c = record["forget_gate"][t] * c + record["input_gate"][t] * record["candidate"][t]
        torch.testing.assert_close(record["cell"][t], c, atol=1e-12, rtol=0)
        torch.testing.assert_close(record["hidden"][t], record["output_gate"][t] * c.tanh(), atol=1e-12, rtol=0)


def test_the_grus_h_follows_from_its_recorded_gates():
    cell = make_cell("gru")
    inputs, state = random_inputs(cell)
    record = cell.record(inputs, state)
    before = torch.cat([state["hidden"][None], record["hidden"][:-1]])
    z = record["update_gate"]
    torch.testing.assert_close(record["hidden"], (1 - z) * record["candidate"] + z * before, atol=1e-12, rtol=0)


@pytest.mark.parametrize("name", CELLS)
def test_window_by_window_equals_the_whole(name):
    cell = make_cell(name)
    inputs, state = random_inputs(cell)
    whole = cell.record(inputs, state)
    windows = []
    for window in inputs.split(4):
        windows.append(cell.record(window, state))
        state = {key: windows[-1][key][-1] for key in cell.states}
    for key, values in whole.items():
        torch.testing.assert_close(torch.cat([w[key] for w in windows]), values, atol=1e-12, rtol=0, msg=key)


@pytest.mark.parametrize("name", CELLS)
def test_gradients_are_those_of_finite_differences(name):
    torch.manual_seed(0)
    cell = CELLS[name](2, 3).double()
    inputs = torch.randn(4, 2, 2, dtype=torch.float64, requires_grad=True)
    state = [torch.randn(2, 3, dtype=torch.float64, requires_grad=True) for _ in cell.states]

    def run(inputs: Tensor, *values: Tensor) -> tuple[Tensor, ...]:
        hidden, after = cell(inputs, dict(zip(cell.states, values[: len(state)], strict=True)))
        return hidden, *after.values()

    assert torch.autograd.gradcheck(run, (inputs, *state, *cell.parameters()))


@pytest.mark.parametrize("name", CELLS)
def test_every_parameter_learns(name):
    cell = make_cell(name)
    inputs, state = random_inputs(cell)
    cell(inputs, state)[0].pow(2).sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in cell.parameters())
