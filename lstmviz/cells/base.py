"""What every recurrent cell is: one step that reads like its paper, run over time by the base class."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from lstmviz.cells.declared import Declared
from lstmviz.cells.equations import FIRST, Equations, Value, parse, text
from lstmviz.cells.product import Recurrent, linear

State = dict[str, Tensor]  # "hidden" (B, H), "cell" (B, H) where the cell has one, and whatever else it carries on
Gates = dict[str, Tensor]  # every gate by its role, after its activation, (B, H)
Product = Callable[..., Tensor]  # h' (B, H) -> U h' (B, K); of a cell with several U, (h', k) -> U_k h'


class Taught(Declared, nn.Module):
    """One layer of a recurrent network that says what it computes: what a `Cell` and the cell of a tree have in common.

    Args:
        input_size: size X of each input.
        hidden_size: number of units H.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.output_size = self.output_of(hidden_size)

    def stacked(self) -> tuple[Tensor, Tensor, list[Tensor]]:
        """W ``(K, X)``, U ``(K, P)`` and the biases ``(K,)`` that are added up, K = H for each of ``rows``."""
        raise NotImplementedError

    def weights(self, k: str) -> tuple[Tensor, Tensor]:
        """W_k ``(H, X)`` and U_k ``(H, P)``, as views to be written to; of a U_k that there is not, no columns."""
        W, U, _ = self.stacked()
        return self._row(W, k), self._row(U, k)

    def biases(self, k: str) -> list[Tensor]:
        """The biases ``(H,)`` that are added up in gate k, as views to be written to."""
        return [self._row(bias, k) for bias in self.stacked()[2]]

    def _row(self, stack: Tensor, k: str) -> Tensor:
        return stack.chunk(len(self.rows))[self.rows.index(k)]

    def by_symbol(self) -> dict[str, Tensor]:
        """Every parameter under its name in the equations: ``W_f`` ``(H, X)``, ``U_f`` ``(H, P)``, ``b_f`` ``(H,)`` …

        Of two biases the second is ``b_hf``, or ``b_f`` is the sum where the equations have but one.
        """
        found: dict[str, Tensor] = dict(self.named_parameters(recurse=False))
        for k in self.rows:
            index = f"_{k}" if k else ""
            found[f"W{index}"], found[f"U{index}"] = self.weights(k)
            first, *others = self.biases(k)
            apart = f"b_h{k}" in self.parsed().given
            found |= {f"b{index}": first, f"b_h{k}": others[0]} if apart else {f"b{index}": sum(others, first)}
        return found

    def _evaluated(
        self, equations: Equations, given: Mapping[str, Value], forced: Mapping[str, Value]
    ) -> dict[str, Value]:
        """The equations with this layer's weights, what is given and what is forced.

        Raises:
            ValueError: what is forced is no part of them.
        """
        forced = {text(parse(part)): value for part, value in forced.items()}
        if unknown := forced.keys() - equations.parts:
            raise ValueError(f"{', '.join(unknown)} cannot be forced: that is no part of the equations of this cell")
        return equations.evaluate({**self.by_symbol(), **given, **forced})

    @torch.no_grad()
    def begin_keeping(self, bias: Tensor, *, writing_less: bool = False) -> None:
        """Start the gates that keep h' or c' with this bias.

        Args:
            bias: ``(H,)``; the larger, the more is kept.
            writing_less: start the gates that write with its negative, also where they are others.
        """
        if bias.is_meta:  # there is nothing to start, and arithmetic on that device would import 2 s of compiler
            return
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


class Cell(Taught):
    """One layer over a sequence.

    A subclass defines ``step``. Whatever part of a step depends on the input alone belongs in ``project``, which sees
    all time steps at once, so that only the recurrent part is looped.

    Args:
        input_size: size X of each input.
        hidden_size: number of units H.
    """

    def by_equations(self, x: Tensor, state: State, forced: Mapping[str, Value] | None = None) -> dict[str, Value]:
        """One time step, as the equations say it.

        Args:
            x: this step's input, ``(B, X)``.
            state: the previous step's; where all of it is 0 this is the first.
            forced: values that are taken in place of what is computed, by symbol or text: ``{"f": 1, "U_f h'": 0}``.

        Returns:
            The value of every symbol and of every other part of the equations under its own text ("f", "W_f x",
            "f ⊙ c'"), ``(B, H)``, and whatever it was made of. A number where it is the same for all.

        Raises:
            ValueError: what is forced is no part of the equations.
        """
        before = {f"{self.states[name]}'": values for name, values in state.items()}
        first = torch.stack([(values == 0).all(-1, keepdim=True) for values in state.values()]).all(0)  # (B, 1)
        return self._evaluated(self.parsed(), {**before, "x": x, FIRST: first}, forced or {})

    def project(self, inputs: Tensor) -> Tensor:  # (T, B, X) -> (T, B, K)
        """The part of every step that depends on the input alone, ``(T, B, K)``; by default the input itself."""
        return inputs

    def recurrent_weight(self) -> Tensor:
        """U ``(K, P)``, what multiplies h' at every step, put together once for all of them."""
        raise NotImplementedError

    def recurrent(self, inputs: Tensor) -> Product:
        """What a run over ``inputs`` gives to each ``step``."""
        return Recurrent(self.recurrent_weight(), *inputs.shape[:2])

    def step(self, Wx: Tensor, state: State, U: Product) -> tuple[State, Gates]:
        """One time step.

        Args:
            Wx: what ``project`` made of this step's input, ``(B, K)``; where that is the usual, W x + b.
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
        for Wx in self.project(inputs):
            state, _ = self.step(Wx, state, U)
            hidden.append(state["hidden"])
        return torch.stack(hidden), state

    def record(self, inputs: Tensor, state: State) -> dict[str, Tensor]:
        """Run over time and keep everything: each gate and state under its name, ``(T, B, H)``."""
        steps: list[dict[str, Tensor]] = []
        U = self.recurrent(inputs)
        for Wx in self.project(inputs):
            state, gates = self.step(Wx, state, U)
            steps.append({**gates, **state})
        return {name: torch.stack([step[name] for step in steps]) for name in self.recorded()}


class GatedCell(Cell):
    """A cell whose gates are all of the form ``a_k = W_k x + U_k h' + b_k``, their rows stacked in one W, U and b."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        size = len(self.rows) * hidden_size
        self.W = self.uniform(size, input_size)
        self.U = self.uniform(size, self.output_size)
        self.b = self.uniform(size)

    def stacked(self) -> tuple[Tensor, Tensor, list[Tensor]]:
        return self.W, self.U, [self.b]

    def uniform(self, *shape: int) -> nn.Parameter:
        """A parameter as PyTorch initialises those of recurrent layers: uniform in ±1/√H."""
        bound = self.hidden_size**-0.5
        return nn.Parameter(torch.empty(shape).uniform_(-bound, bound))

    def project(self, inputs: Tensor) -> Tensor:
        return linear(inputs, self.W, self.b)  # (T, B, K)

    def recurrent_weight(self) -> Tensor:
        return self.U


def init_uniform(module: nn.Module, hidden_size: int) -> None:
    """PyTorch's initialisation of recurrent layers: every parameter uniform in ±1/√H."""
    bound = hidden_size**-0.5
    for parameter in module.parameters():
        nn.init.uniform_(parameter, -bound, bound)


def chrono(hidden_size: int, longest: int) -> Tensor:
    """Biases of gates that keep their memory for 1 to ``longest`` steps, ``(H,)`` (Tallec & Ollivier 2018)."""
    bias = torch.empty(hidden_size)
    return bias if bias.is_meta else bias.uniform_(1, longest - 1).log_()
