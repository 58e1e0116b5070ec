"""What every recurrent cell is: one step that reads like its paper, run over time by the base class."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

State = dict[str, Tensor]  # "hidden" (B, H), and "cell" (B, H) where the cell has one
Gates = dict[str, Tensor]  # every gate by its role, after its activation, (B, H)


class Cell(nn.Module):
    """One layer of a recurrent network.

    A subclass names its gates and states and defines ``step``. Whatever part of a step depends on the input alone
    belongs in ``project``, which sees all time steps at once, so that only the recurrent part is looped.

    Args:
        input_size: size X of each input.
        hidden_size: number of units H.
    """

    gates: ClassVar[tuple[str, ...]]
    states: ClassVar[tuple[str, ...]]
    paper: ClassVar[str]

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size

    def initial_state(self, batch: int) -> State:
        """Zeros, ``(B, H)`` for every state."""
        like = next(self.parameters())
        return {name: like.new_zeros(batch, self.hidden_size) for name in self.states}

    def project(self, inputs: Tensor) -> Tensor:  # (T, B, X) -> (T, B, K)
        """The part of every step that depends on the input alone; by default the input itself."""
        return inputs

    def step(self, x: Tensor, state: State) -> tuple[State, Gates]:
        """One time step.

        Args:
            x: what ``project`` made of this step's input, ``(B, K)``.
            state: the previous step's.
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
        hidden = []
        for x in self.project(inputs):
            state, _ = self.step(x, state)
            hidden.append(state["hidden"])
        return torch.stack(hidden), state

    def record(self, inputs: Tensor, state: State) -> dict[str, Tensor]:
        """Run over time and keep everything: each gate and state under its name, ``(T, B, H)``."""
        steps: list[dict[str, Tensor]] = []
        for x in self.project(inputs):
            state, gates = self.step(x, state)
            steps.append({**gates, **state})
        return {name: torch.stack([step[name] for step in steps]) for name in (*self.gates, *self.states)}


def init_uniform(module: nn.Module, hidden_size: int) -> None:
    """PyTorch's initialisation of recurrent layers: every parameter uniform in ±1/√H."""
    bound = hidden_size**-0.5
    for parameter in module.parameters():
        nn.init.uniform_(parameter, -bound, bound)
