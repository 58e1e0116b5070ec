"""Stacks that read in both directions: beside two that read in one, and beside torch's own."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from lstmviz.cells import CELLS
from lstmviz.layers import Stack

X, H, T, B = 3, 4, 7, 3
LENGTHS = torch.tensor([4, 7, 1])
EXACT = {"rtol": 0, "atol": 1e-12}


@pytest.fixture(autouse=True)
def in_float64():
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(torch.float32)


def stack_of(cell: str, layers: int = 2) -> Stack:
    return Stack(CELLS[cell], X, H, layers, bidirectional=True)


def one_way(cells: list[nn.Module], of: Stack) -> list[Stack]:
    """Each of these cells as a Stack that has no other and reads from the left."""
    found = []
    for cell in cells:
        alone = Stack(type(of[0]), cell.input_size, H)
        alone[0].load_state_dict(cell.state_dict())
        found.append(alone)
    return found


@pytest.mark.proof("both directions")
@pytest.mark.parametrize("name", CELLS)
def test_two_that_read_in_one_direction_say_the_same(name):
    stack, x = stack_of(name), torch.randn(T, B, X)
    hidden, state = stack(x)
    said, records = stack.record(x)
    below = x
    for layer in (0, 1):
        left, right = one_way([stack[2 * layer], stack[2 * layer + 1]], stack)
        (forward, (recorded,)), (reverse, (backwards,)) = left.record(below), right.record(below.flip(0))
        for mine, its in zip(
            records[2 * layer :], (recorded, {n: v.flip(0) for n, v in backwards.items()}), strict=False
        ):
            assert list(mine) == list(its)
            for gate in mine:  # each at the step at which it stands
                torch.testing.assert_close(mine[gate], its[gate], **EXACT)
        ends = left(below)[1] + right(below.flip(0))[1]
        for mine, its in zip(state[2 * layer :], ends, strict=False):
            for part in mine:
                torch.testing.assert_close(mine[part], its[part], **EXACT)
        below = torch.cat([forward, reverse.flip(0)], dim=-1)
    torch.testing.assert_close(hidden, below, **EXACT)
    torch.testing.assert_close(said, below, **EXACT)


@pytest.mark.proof("mixed lengths")
@pytest.mark.parametrize("name", CELLS)
def test_what_follows_a_sequence_is_never_read(name):
    stack, x = stack_of(name), torch.randn(T, B, X)
    together, _ = stack(x, None, LENGTHS)
    otherwise, _ = stack(torch.where((torch.arange(T)[:, None] < LENGTHS)[..., None], x, 1e3), None, LENGTHS)
    for b, length in enumerate(LENGTHS):
        alone, _ = stack(x[:length, b : b + 1])
        torch.testing.assert_close(together[:length, b], alone[:, 0], **EXACT)
        assert torch.equal(together[:length, b], otherwise[:length, b])


TORCH = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}


def torchs_own(name: str, stack: Stack) -> nn.RNNBase:
    """The same weights in torch's module: what its cell k is called."""
    own = TORCH[name](X, H, len(stack) // 2, bidirectional=True)
    with torch.no_grad():
        for k, cell in enumerate(stack):
            for weight, value in cell.native.named_parameters():
                own.get_parameter(weight.replace("l0", f"l{k // 2}{'_reverse' * (k % 2)}")).copy_(value)
    return own


def gradients(hidden: Tensor, weights: Tensor, module: nn.Module) -> list[Tensor]:
    return [*torch.autograd.grad((hidden * weights).sum(), [*module.parameters()])]


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("name", TORCH)
def test_torchs_own_say_and_learn_the_same(name, layers):
    stack, x = stack_of(name, layers), torch.randn(T, B, X)
    own = torchs_own(name, stack)
    hidden, state = stack(x)
    expected, last = own(x)
    torch.testing.assert_close(hidden, expected, **EXACT)
    last = dict(zip(("hidden", "cell"), last if name == "lstm" else (last,), strict=False))
    for part, values in last.items():  # of every layer and direction, in the same order
        torch.testing.assert_close(torch.stack([each[part] for each in state]), values, **EXACT)
    weights = torch.randn(T, B, 2 * H)
    for mine, its in zip(gradients(hidden, weights, stack), gradients(expected, weights, own), strict=True):
        torch.testing.assert_close(mine, its, **EXACT)


@pytest.mark.parametrize("name", TORCH)
def test_torchs_own_say_and_learn_the_same_of_sequences_that_it_packs(name):
    stack, x = stack_of(name), torch.randn(T, B, X)
    own = torchs_own(name, stack)
    inside = (torch.arange(T)[:, None] < LENGTHS)[..., None]  # (T, B, 1)
    hidden = stack(x, None, LENGTHS)[0] * inside
    packed, _ = own(pack_padded_sequence(x, LENGTHS, enforce_sorted=False))
    expected, _ = pad_packed_sequence(packed)  # 0 where nothing stands
    torch.testing.assert_close(hidden, expected, **EXACT)
    weights = torch.randn(T, B, 2 * H)
    for mine, its in zip(gradients(hidden, weights, stack), gradients(expected, weights, own), strict=True):
        torch.testing.assert_close(mine, its, **EXACT)
