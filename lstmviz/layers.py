"""What runs over a sequence of vectors: a `Stack` of cells, and what may stand in its place.

All take vectors ``(T, B, X)``, a state and what tells the sequences' ends apart, and say a vector of every step: a
`TreeStack` runs over trees, a `Window` looks at the last few vectors only, an `Attending` reads one sequence and says
another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, NoReturn, TypeVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lstmviz.cells.base import Cell, State
from lstmviz.cells.native import backwards
from lstmviz.cells.tree import Levels, TreeCell
from lstmviz.sizes import BEGUN

T = TypeVar("T")
Turn = Callable[[Tensor], Tensor]  # of time: values (T, B, ·) in the order in which a cell reads them, and back


def _as_it_is(values: Tensor) -> Tensor:
    return values


class Stack(nn.ModuleList):
    """Cells one over another: each reads what those below it say.

    In both directions (Schuster & Paliwal 1997, "Bidirectional recurrent neural networks") a layer has D = 2 cells: one
    reads from the left, one from the right, and what they say of a step stands side by side. Layer by layer, forward
    before reverse: so cells follow each other here, in a state and in what is recorded.

    Args:
        cell: of every layer.
        input_size: size X of the vectors that it reads.
        hidden_size: units H a cell.
        layers: how many.
        dropout: share of values dropped while training: of what each layer reads, and of what the last one says.
        bidirectional: read in both directions.
    """

    def __init__(
        self,
        cell: type[Cell],
        input_size: int,
        hidden_size: int,
        layers: int = 1,
        *,
        dropout: float = 0.0,
        bidirectional: bool = False,
    ) -> None:
        self.directions = 2 if bidirectional else 1
        sizes = [input_size] + [self.directions * cell.output_of(hidden_size)] * (layers - 1)
        super().__init__(cell(size, hidden_size) for size in sizes for _ in range(self.directions))
        self.dropout = dropout

    def __iter__(self) -> Iterator[Cell]:
        return cast(Iterator[Cell], super().__iter__())  # what a type checker cannot see in a ModuleList

    def initial_state(self, batch: int) -> list[State]:
        """Zeros for every cell."""
        return [cell.initial_state(batch) for cell in self]

    def forward(
        self, vectors: Tensor, state: list[State] | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, list[State]]:
        """Run over time.

        Args:
            vectors: ``(T, B, X)``.
            state: one a cell, before the first step that it reads; zeros by default.
            lengths: ``(B,)`` true length of each sequence. What follows it is padding, of which nothing that is said
                of the sequence depends; the states after it do.

        Returns:
            What the last layer says, ``(T, B, D·H)``, and the state of each cell after the last step that it read.
        """

        def said(cell: Cell, x: Tensor, before: State, turn: Turn) -> tuple[Tensor, State]:
            hidden, last = cell(turn(x), before)
            return turn(hidden), last

        return self._through(said, self._drop, vectors, state, lengths)

    def record(self, vectors: Tensor, state: list[State] | None = None) -> tuple[Tensor, list[dict[str, Tensor]]]:
        """As ``forward`` in eval mode, keeping every gate and state of every cell.

        Returns:
            What the last layer says, and one dict a cell, name -> ``(T, B, H)``, in the order of the vectors in both
            directions: the step that a cell read last is the last one, or in reverse the first, and the state after it.
        """

        def recorded(cell: Cell, x: Tensor, before: State, turn: Turn) -> tuple[Tensor, dict[str, Tensor]]:
            record = {name: turn(values) for name, values in cell.record(turn(x), before).items()}
            return record["hidden"], record

        return self._through(recorded, _as_it_is, vectors, state)

    def _through(
        self,
        read: Callable[[Cell, Tensor, State, Turn], tuple[Tensor, T]],
        between: Turn,
        x: Tensor,
        state: list[State] | None,
        lengths: Tensor | None = None,
    ) -> tuple[Tensor, list[T]]:
        """From layer to layer, each cell as ``read`` says; what goes into a layer, or out, by way of ``between``."""
        turns: list[Turn] = [_as_it_is, lambda values: backwards(values, lengths)][: self.directions]
        cells, found = zip(self, state or self.initial_state(x.shape[1]), strict=True), []
        for layer in zip(*[cells] * self.directions, strict=True):
            x = between(x)
            told = [read(cell, x, before, turn) for (cell, before), turn in zip(layer, turns, strict=True)]
            x = torch.cat([hidden for hidden, _ in told], dim=-1) if len(told) > 1 else told[0][0]  # (T, B, D·H)
            found += [each for _, each in told]
        return between(x), found

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, self.training)


class TreeStack(nn.ModuleList):
    """Cells of trees one over another, in the place of a `Stack`: each reads what the one below it says of every node.

    Args:
        cell: of every layer.
        input_size, hidden_size, layers, dropout: as for a `Stack`.
    """

    def __init__(
        self, cell: type[TreeCell], input_size: int, hidden_size: int, layers: int = 1, dropout: float = 0.0
    ) -> None:
        super().__init__(cell(size, hidden_size) for size in [input_size] + [hidden_size] * (layers - 1))
        self.dropout, self.most = dropout, cell.most

    def __iter__(self) -> Iterator[TreeCell]:
        return cast(Iterator[TreeCell], super().__iter__())

    def forward(self, vectors: Tensor, state: None, parents: Tensor) -> tuple[Tensor, list[State]]:
        """Let the trees grow.

        Args:
            vectors: of the nodes of B trees, in post-order, ``(T, B, X)``.
            state: none; nothing stands before a tree.
            parents: the time of each node's parent, -1 where it has none, as padding has none, ``(T, B)``.

        Returns:
            What the last layer says of every node, ``(T, B, H)``, and no state.

        Raises:
            ValueError: a node has more children than the cell has places for.
        """
        levels = Levels.of(parents, self.most)
        for cell in self:
            vectors = cell(F.dropout(vectors, self.dropout, self.training), levels)
        return F.dropout(vectors, self.dropout, self.training), []

    def record(self, vectors: Tensor, parents: Tensor) -> tuple[Tensor, list[dict[str, Tensor]]]:
        """As ``forward`` in eval mode, keeping every gate and state: one dict a layer, as `TreeCell.record`."""
        levels, found = Levels.of(parents, self.most), []
        for cell in self:
            found.append(cell.record(vectors, levels))
            vectors = found[-1]["hidden"]
        return vectors, found


class Window(nn.Module):
    """One hidden layer over the last n vectors, in the place of a `Stack`: h_t = tanh(W [x_{t-n+1}; …; x_t] + b).

    Before the first vector stand zeros. Its state is the last n - 1 of them, ``(B, n - 1, X)``.

    Args:
        input_size: X of each vector.
        hidden_size: units H.
        n: vectors in the window.
        dropout: share of values dropped while training, of what goes in and of what comes out.
    """

    def __init__(self, input_size: int, hidden_size: int, n: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.n, self.dropout = n, dropout
        self.hidden = nn.Linear(n * input_size, hidden_size)

    def forward(
        self, vectors: Tensor, state: list[State] | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, list[State]]:
        """``(T, B, X)`` to ``(T, B, H)``, and the state, as a `Stack`; nothing depends on what follows a sequence."""
        _, batch, size = vectors.shape
        before = state[0]["before"] if state else vectors.new_zeros(batch, self.n - 1, size)
        whole = torch.cat([before.transpose(0, 1), vectors])  # (n - 1 + T, B, X)
        window = whole.unfold(0, self.n, 1).transpose(2, 3).flatten(2)  # (T, B, n · X)
        h = self.hidden(F.dropout(window, self.dropout, self.training)).tanh()
        last = whole[len(vectors) :].transpose(0, 1).contiguous()
        return F.dropout(h, self.dropout, self.training), [{"before": last}]

    def record(self, vectors: Tensor, state: list[State] | None = None) -> NoReturn:
        """There is nothing to be recorded.

        Raises:
            ValueError: always.
        """
        raise ValueError(f"a window of {self.n} tokens keeps nothing, so there are no gates and no states to show")


class Begin(nn.Linear):
    """The state in which a speaker begins, from one vector v: h_0, c_0 = W_b v + b_b; all other states begin at zero.

    Args:
        input_size: of v.
        speaker: whose state it is.
    """

    def __init__(self, input_size: int, speaker: Stack) -> None:
        zeros = speaker.initial_state(1)
        sizes = {name: zero.shape[-1] for name, zero in zeros[0].items() if name in BEGUN}
        super().__init__(input_size, len(zeros) * sum(sizes.values()))
        self.sizes = sizes

    def state(self, vectors: Tensor, zeros: list[State]) -> list[State]:
        """The state for vectors ``(B, X)``.

        Args:
            zeros: the speaker's initial state, of B sequences.
        """
        parts = (part.split([*self.sizes.values()], dim=-1) for part in self(vectors).chunk(len(zeros), dim=-1))
        return [{**zero, **dict(zip(self.sizes, begun, strict=True))} for zero, begun in zip(zeros, parts, strict=True)]


class Source(NamedTuple):
    """Sequences that were read, and are to be said as others.

    Args:
        memory: what the reader says of each place, ``(S, B, 2H)``.
        there: which places are not behind a sequence's end, ``(B, S)``.
    """

    memory: Tensor
    there: Tensor


class Attending(nn.Module):
    """In the place of a `Stack`: one that reads a sequence, another that says one, and looks at any place of the first.

    ::

        m_1 … m_S                                   the reader, in both directions
        h_0, c_0 = W_b [m→_S, m←_1] + b_b           from what it says at either end; all other states begin at zero
        h_1 … h_T                                   the speaker, each step over the token that was said before
        α_ts = softmax_s(h_tᵀ W_a m_s)              how much step t looks at place s
        h̃_t  = tanh(W_c [Σ_s α_ts m_s, h_t] + b_c)  what it says

    The score is the "general" one of Luong, Pham & Manning 2015, "Effective approaches to attention-based neural
    machine translation", without their input feeding, so that all steps of a known sequence are taken at once. Without
    attention h̃_t is h_t, and what is to be known of the source must fit into one vector, [m→_S, m←_1] (Sutskever,
    Vinyals & Le 2014).

    Args:
        cell, input_size, hidden_size, layers, dropout: as of a `Stack`, of both.
        looks: whether there is attention.
    """

    def __init__(
        self, cell: type[Cell], input_size: int, hidden_size: int, layers: int, *, dropout: float, looks: bool
    ) -> None:
        super().__init__()
        size = cell.output_of(hidden_size)  # H
        self.reader = Stack(cell, input_size, hidden_size, layers, dropout=dropout, bidirectional=True)
        self.speaker = Stack(cell, input_size, hidden_size, layers, dropout=dropout)
        self.begin = Begin(2 * size, self.speaker)
        self.score = nn.Linear(size, 2 * size, bias=False) if looks else None
        self.combine = nn.Linear(3 * size, size) if looks else None

    def __iter__(self) -> Iterator[Cell]:
        yield from self.reader
        yield from self.speaker

    def forward(
        self, vectors: Tensor, state: list[State] | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, list[State]]:
        """Read, and say what is known already.

        Args:
            vectors: ``(T, B, 2, X)``: of the tokens that are read, and of those said before.
            state: none, since it comes from the source.
            lengths: ``(B,)`` of the sources; by default T.

        Returns:
            h̃ ``(T, B, H)`` and the state of the speaker.
        """
        heard, before = vectors.unbind(2)
        source, state = self.read(heard, lengths)
        hidden, last = self.speaker(before, state)
        return self.look(hidden, source)[0], last

    def read(self, vectors: Tensor, lengths: Tensor | None = None) -> tuple[Source, list[State]]:
        """Sequences ``(S, B, X)``, and the state in which the speaker begins."""
        places, batch = vectors.shape[:2]
        if lengths is None:
            lengths = torch.full((batch,), places, device=vectors.device)
        memory, _ = self.reader(vectors, None, lengths)  # (S, B, 2H)
        forward, reverse = memory.chunk(2, dim=-1)
        ends = torch.cat([forward[lengths - 1, torch.arange(batch)], reverse[0]], dim=-1)  # (B, 2H)
        state = self.begin.state(ends, self.speaker.initial_state(batch))
        there = torch.arange(places, device=vectors.device) < lengths[:, None]
        return Source(memory, there), state

    def look(self, hidden: Tensor, source: Source) -> tuple[Tensor, Tensor | None]:
        """What is said, ``(T, B, H)``, given h ``(T, B, H)``; and α ``(B, T, S)`` where there is attention."""
        if self.score is None or self.combine is None:
            return hidden, None
        scores = torch.einsum("tbh,sbh->bts", self.score(hidden), source.memory)
        looks = scores.masked_fill(~source.there[:, None], -torch.inf).softmax(-1)  # (B, T, S)
        seen = torch.einsum("bts,sbh->tbh", looks, source.memory)  # (T, B, 2H)
        return self.combine(torch.cat([seen, hidden], dim=-1)).tanh(), looks
