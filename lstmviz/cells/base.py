"""What every recurrent cell is: one step that reads like its paper, run over time by the base class."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from itertools import dropwhile, takewhile
from typing import ClassVar

import torch
from torch import Tensor, nn

from lstmviz.cells.product import Recurrent, linear

State = dict[str, Tensor]  # "hidden" (B, H), "cell" (B, H) where the cell has one, and whatever else it carries on
Gates = dict[str, Tensor]  # every gate by its role, after its activation, (B, H)
Product = Callable[..., Tensor]  # h' (B, H) -> U h' (B, K); of a cell with several U, (h', k) -> U_k h'


class Cell(nn.Module):
    """One layer of a recurrent network.

    A subclass names its gates and states and defines ``step``. Whatever part of a step depends on the input alone
    belongs in ``project``, which sees all time steps at once, so that only the recurrent part is looped.

    Class attributes:
        gates, states: names of what ``step`` returns. A gate that the next step sees is also a state.
        paper: where the cell comes from.
        keeping: which gates decide how much is kept, as the k of their equations: 1 where an open gate keeps more, −1
            where it keeps less.
        lets_out: what an output gate lets out.
        resets: what a reset gate acts on: the "candidate" of its own unit, which sees so much of the past, or the
            "past" of its own unit, of which every candidate sees so much.
        count: the number of parameters as a formula in h, x and, where ``hidden`` is a projection, p.

    Args:
        input_size: size X of each input.
        hidden_size: number of units H.
    """

    gates: ClassVar[tuple[str, ...]]
    states: ClassVar[tuple[str, ...]]
    paper: ClassVar[str]
    count: ClassVar[str]
    keeping: ClassVar[dict[str, int]] = {}
    lets_out: ClassVar[str] = "memory"
    resets: ClassVar[str] = "candidate"

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.output_size = self.output_of(hidden_size)

    @classmethod
    def output_of(cls, hidden_size: int) -> int:
        """Size P of ``hidden``: H, where it is no projection."""
        return hidden_size

    @classmethod
    def equations(cls) -> str:
        """Those of the docstring."""
        return inspect.cleandoc("\n".join(takewhile(_is_equation, cls._taught())))

    @classmethod
    def note(cls) -> str:
        """What the docstring says between the equations and the parameters; empty where that is nothing."""
        after = dropwhile(_is_equation, cls._taught())
        return " ".join(takewhile(lambda line: not line.startswith("Parameters:"), after))

    @classmethod
    def _taught(cls) -> list[str]:
        """The lines of the docstring from the equations on."""
        _, _, rest = (inspect.getdoc(cls) or "").partition("::\n\n")
        return rest.splitlines()

    @classmethod
    def recorded(cls) -> tuple[str, ...]:
        """Names of everything that ``record`` returns."""
        return tuple(dict.fromkeys((*cls.gates, *cls.states)))

    def weights(self, k: str) -> tuple[Tensor, Tensor]:
        """W_k ``(H, X)`` and U_k ``(H, P)``, as views to be written to."""
        raise NotImplementedError

    def biases(self, k: str) -> list[Tensor]:
        """The biases ``(H,)`` that are added up in gate k, as views to be written to."""
        raise NotImplementedError

    @torch.no_grad()
    def begin_keeping(self, bias: Tensor, *, writing_less: bool = False) -> None:
        """Start the gates that keep h' or c' with this bias.

        Args:
            bias: ``(H,)``; the larger, the more is kept.
            writing_less: start the gates that write with its negative, also where they are others.
        """
        for k, sign in self.keeping.items():
            if sign > 0 or writing_less or len(self.keeping) == 1:
                first, *others = self.biases(k)
                first.copy_(sign * bias)
                for other in others:
                    other.zero_()

    def initial_state(self, batch: int) -> State:
        """Zeros, ``(B, H)`` for every state; ``(B, P)`` for a projected ``hidden``."""
        like = next(self.parameters())
        widths = {"hidden": self.output_size}
        return {name: like.new_zeros(batch, widths.get(name, self.hidden_size)) for name in self.states}

    def project(self, inputs: Tensor) -> Tensor:  # (T, B, X) -> (T, B, K)
        """The part of every step that depends on the input alone; by default the input itself."""
        return inputs

    def recurrent_weight(self) -> Tensor:
        """U ``(K, P)``, what multiplies h' at every step, put together once for all of them."""
        raise NotImplementedError

    def recurrent(self, inputs: Tensor) -> Product:
        """What a run over ``inputs`` gives to each ``step``."""
        return Recurrent(self.recurrent_weight(), *inputs.shape[:2])

    def step(self, x: Tensor, state: State, U: Product) -> tuple[State, Gates]:
        """One time step.

        Args:
            x: what ``project`` made of this step's input, ``(B, K)``.
            state: the previous step's.
            U: what ``recurrent`` returned.
        """
        raise NotImplementedError

    def forward(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """Run over time.

        Args:
            inputs: ``(T, B, X)``.
            state: before the first step, ``(B, H)`` each.

        Returns:
            Hidden values ``(T, B, H)`` and the state after the last step.
        """
        hidden, U = [], self.recurrent(inputs)
        for x in self.project(inputs):
            state, _ = self.step(x, state, U)
            hidden.append(state["hidden"])
        return torch.stack(hidden), state

    def record(self, inputs: Tensor, state: State) -> dict[str, Tensor]:
        """Run over time and keep everything: each gate and state under its name, ``(T, B, H)``."""
        steps: list[dict[str, Tensor]] = []
        U = self.recurrent(inputs)
        for x in self.project(inputs):
            state, gates = self.step(x, state, U)
            steps.append({**gates, **state})
        return {name: torch.stack([step[name] for step in steps]) for name in self.recorded()}


class GatedCell(Cell):
    """A cell whose gates are all of the form ``a_k = W_k x + U_k h' + b_k``, their rows stacked in one W, U and b.

    Class attributes:
        rows: the k of each block of H rows, in the order in which they are stacked.
    """

    rows: ClassVar[tuple[str, ...]]

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        size = len(self.rows) * hidden_size
        self.W = self.uniform(size, input_size)
        self.U = self.uniform(size, self.output_size)
        self.b = self.uniform(size)

    def weights(self, k: str) -> tuple[Tensor, Tensor]:
        row, count = self.rows.index(k), len(self.rows)
        return self.W.chunk(count)[row], self.U.chunk(count)[row]

    def biases(self, k: str) -> list[Tensor]:
        return [self.b.chunk(len(self.rows))[self.rows.index(k)]]

    def uniform(self, *shape: int) -> nn.Parameter:
        """A parameter as PyTorch initialises those of recurrent layers: uniform in ±1/√H."""
        bound = self.hidden_size**-0.5
        return nn.Parameter(torch.empty(shape).uniform_(-bound, bound))

    def project(self, inputs: Tensor) -> Tensor:
        return linear(inputs, self.W, self.b)  # (T, B, K)

    def recurrent_weight(self) -> Tensor:
        return self.U


def _is_equation(line: str) -> bool:
    return not line or line.startswith("    ")


def init_uniform(module: nn.Module, hidden_size: int) -> None:
    """PyTorch's initialisation of recurrent layers: every parameter uniform in ±1/√H."""
    bound = hidden_size**-0.5
    for parameter in module.parameters():
        nn.init.uniform_(parameter, -bound, bound)


def chrono(hidden_size: int, longest: int) -> Tensor:
    """Biases of gates that keep their memory for anything from 1 to ``longest`` steps (Tallec & Ollivier 2018)."""
    return torch.empty(hidden_size).uniform_(1, longest - 1).log_()
