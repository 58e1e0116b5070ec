"""What every recurrent cell is: one step that reads like its paper, run over time by the base class."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cache
from itertools import dropwhile, takewhile
from typing import ClassVar

import torch
from torch import Tensor, nn

from lstmviz.cells.equations import FIRST, Equations, Tree, Value, evaluate, parse, symbols, text
from lstmviz.cells.product import Recurrent, linear
from lstmviz.roles import DOES, Role, role_of

State = dict[str, Tensor]  # "hidden" (B, H), "cell" (B, H) where the cell has one, and whatever else it carries on
Gates = dict[str, Tensor]  # every gate by its role, after its activation, (B, H)
Product = Callable[..., Tensor]  # h' (B, H) -> U h' (B, K); of a cell with several U, (h', k) -> U_k h'


class Taught(nn.Module):
    """One layer of a recurrent network that says what it computes: what a `Cell` and the cell of a tree have in common.

    A subclass names its gates and states, and its docstring teaches: the equations, a note, "Parameters:" (their number
    as a formula in h, x and, where ``hidden`` is a projection, p) and "Paper:".

    Class attributes:
        gates, states: what ``step`` returns, each by its name in ``ROLES``, as the expression of the equations that it
            is. A gate that the next step sees is also a state.
        symbols: both of them.
        keeps, writes, shows, looks_back, holds: how much of what it held a unit keeps at a step, how much of its
            candidate it writes, how much of its memory it shows, how much of the past it sees when it forms the
            candidate, and what it holds; in symbols of the equations, "" where the cell has no such thing.
        rows: the k of each ``a_k = W_k x + U_k h' + b_k``, in the order in which they are stored.
        paper, count: what the docstring says behind "Paper:" and, up to a comma, behind "Parameters:".
        keeping: which gates decide how much is kept, as the k of their equations: 1 where an open gate keeps more, −1
            where it keeps less.
        lets_out: what an output gate lets out.
        resets: what a reset gate acts on: the "candidate" of its own unit, which sees so much of the past, or the
            "past" of its own unit, of which every candidate sees so much.

    Args:
        input_size: size X of each input.
        hidden_size: number of units H.
    """

    gates: ClassVar[dict[str, str]] = {}
    states: ClassVar[dict[str, str]] = {}
    symbols: ClassVar[dict[str, str]]
    keeps: ClassVar[str] = ""
    writes: ClassVar[str] = ""
    shows: ClassVar[str] = ""
    looks_back: ClassVar[str] = ""
    holds: ClassVar[str] = ""
    rows: ClassVar[tuple[str, ...]] = ()
    paper: ClassVar[str]
    count: ClassVar[str]
    keeping: ClassVar[dict[str, int]] = {}
    lets_out: ClassVar[str] = "memory"
    resets: ClassVar[str] = "candidate"

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.symbols = cls.gates | cls.states
        cls.paper = cls._says("Paper:").removesuffix(".")
        cls.count = cls._says("Parameters:").removesuffix(".").partition(",")[0]

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
    @cache
    def parsed(cls) -> Equations:
        """Those of the docstring, as trees."""
        return Equations.of(cls.equations())

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
    def _says(cls, heading: str) -> str:
        """The line of the docstring that begins so, without the beginning."""
        lines = (inspect.getdoc(cls) or "").splitlines()
        return next((line.removeprefix(heading).strip() for line in lines if line.startswith(heading)), "")

    @classmethod
    def recorded(cls) -> tuple[str, ...]:
        """Names of everything that ``record`` returns."""
        return tuple(cls.symbols)

    @classmethod
    def does(cls, what: str) -> Tree | None:
        """One of ``DOES`` as the cell declares it, in recorded symbols, which with a prime are of the step before.

        None where the cell has no such thing.
        """
        declared = getattr(cls, what)
        return cls.parsed().in_terms_of(set(cls.symbols.values()), parse(declared)) if declared else None

    @classmethod
    def doer(cls, what: str) -> str | None:
        """The gate or state that does it: what is declared is its symbol, or begins with that, as f ⊙ n' / n with f."""
        names = {symbol.removeprefix("ln "): name for name, symbol in cls.symbols.items()}
        tree = parse(getattr(cls, what) or "0")
        while text(tree) not in names and isinstance(tree, tuple) and tree[0] in ("*", "/"):
            tree = tree[1]
        return names.get(text(tree))

    @classmethod
    def roles(cls) -> dict[str, Role]:
        """Every gate and state by its name, as this cell uses it: amber is what it keeps by, whatever the name."""
        does = {cls.doer(what): what for what in reversed(DOES)}  # of two that one gate does, the first counts
        return {name: role_of(name, does.get(name, "")) for name in cls.recorded()}

    @classmethod
    def worked_out(cls, what: str, record: Mapping[str, Tensor], time: int = 0) -> Tensor | None:
        """One of ``DOES`` at every step.

        Args:
            record: what ``record`` returned, or as much of it as is declared.
            time: the axis of time.

        Returns:
            The axes of what is recorded; NaN where the step before is needed and is not recorded. None where the cell
            has no such thing.
        """
        tree = cls.does(what)
        if tree is None:
            return None
        env: dict[str, Value] = {}
        for name, symbol in cls.symbols.items():
            if symbol in symbols(tree):
                env[symbol] = record[name]
            if f"{symbol}'" in symbols(tree):
                none = torch.full_like(record[name].narrow(time, 0, 1), torch.nan)
                env[f"{symbol}'"] = torch.cat([none, record[name].narrow(time, 0, record[name].shape[time] - 1)], time)
        return torch.as_tensor(evaluate(tree, env))

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


def _is_equation(line: str) -> bool:
    return not line or line.startswith("    ")


def init_uniform(module: nn.Module, hidden_size: int) -> None:
    """PyTorch's initialisation of recurrent layers: every parameter uniform in ±1/√H."""
    bound = hidden_size**-0.5
    for parameter in module.parameters():
        nn.init.uniform_(parameter, -bound, bound)


def chrono(hidden_size: int, longest: int) -> Tensor:
    """Biases of gates that keep their memory for 1 to ``longest`` steps, ``(H,)`` (Tallec & Ollivier 2018)."""
    bias = torch.empty(hidden_size)
    return bias if bias.is_meta else bias.uniform_(1, longest - 1).log_()
