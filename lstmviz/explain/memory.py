"""Who wrote what is held: a memory that is a gated sum, taken apart into what is left of what each token wrote."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lstmviz.cells import cell_called
from lstmviz.cells.declared import Declared
from lstmviz.gate_trace import DIRECTIONS, GateTrace


@dataclass(frozen=True, eq=False)
class Memory:
    """What the units of a layer hold at every step, as a sum over the tokens that wrote it.

    Equations::

        m_t = k_t ⊙ m_{t−1} + w_t
            = Σ_{j ≤ t} (Π_{j < s ≤ t} k_s) ⊙ w_j + (Π_{s ≤ t} k_s) ⊙ m_0

    In an LSTM m is c, k is f and w is i ⊙ g: c_t = Σ_j (Π_{s > j} f_s) ⊙ i_j ⊙ g_j + (Π f_s) ⊙ c_0. In a GRU m is h, k
    is z and w is (1 − z) ⊙ n; in an sLSTM m is the mean c / n. A product may be 0 and is never divided by.

    Args:
        held, kept, written: m, k and w at every step, ``(T, H)``.
        tokens: one a step, in the order in which they were read; empty where they are not known.
    """

    held: np.ndarray
    kept: np.ndarray
    written: np.ndarray
    tokens: Sequence[str] = ()

    def terms(self, unit: int | None = None) -> np.ndarray:
        """What each token wrote of what is held, as much as is left of it.

        Args:
            unit: whose; by default of all units, which takes T² · H numbers.

        Returns:
            ``(T, T, H)``, or of one unit ``(T, T)``, 0 above the diagonal: row t says what is left at time t of what
            each earlier token wrote. With ``begun`` the row sums to ``held[t]``.
        """
        time, count = self.held.shape
        units = slice(None) if unit is None else [numbered(unit, count, "unit")]
        found = np.zeros((time, time, count if unit is None else 1))
        for row, left in zip(found, self._rows(units), strict=True):
            row[: len(left)] = left
        return found if unit is None else found[..., 0]

    def norms(self) -> np.ndarray:
        """As ``terms``, of each the Euclidean norm over all units, ``(T, T)``; T · H numbers are held meanwhile."""
        found = np.zeros((len(self.held), len(self.held)))
        for row, left in zip(found, self._rows(), strict=True):
            row[: len(left)] = np.linalg.norm(left, axis=1)
        return found

    def at(self, time: int) -> np.ndarray:
        """The row of ``terms`` at one time, of all units: ``(T, H)``."""
        time = numbered(time, len(self.held), "time")
        left = np.zeros_like(self.written)
        left[: time + 1] = self.written[: time + 1]
        left[:time] *= self.kept[time:0:-1].cumprod(0)[::-1]
        return left

    @property
    def begun(self) -> np.ndarray:
        """What is left at every step of the state before the first token, ``(T, H)``: (Π_{s ≤ t} k_s) ⊙ m_0.

        The trace does not have m_0, but of it what the first token left: k_1 ⊙ m_0 = m_1 − w_1.
        """
        return np.concatenate([self.held[:1] - self.written[:1], self.kept[1:]]).cumprod(0)

    def half_lives(self) -> np.ndarray:
        """After how many tokens half of what a unit has written is gone, in this sentence: ``(H,)``.

        That is the n with k̄ⁿ = ½, k̄ being the geometric mean of what was kept: at this even rate as much would be left
        of the first token at the end as is left in truth, Π k_s = k̄^(T−1). To count in the products themselves when
        each token's half is gone would leave out just the units that last: theirs is not gone when the sentence ends.
        0 for a unit that was once erased, ∞ for one that keeps all, NaN where the sentence has but one token.
        """
        if len(self.kept) < 2:
            return np.full(self.kept.shape[1], np.nan)
        with np.errstate(divide="ignore"):
            return np.log(2) / np.abs(np.log(self.kept[1:]).mean(0))

    def _rows(self, units: slice | list[int] = slice(None)) -> Iterator[np.ndarray]:
        """The rows of ``terms`` up to the diagonal, in one array: what is left shrinks by k at a step, w joins it."""
        kept, written = self.kept[:, units], self.written[:, units]
        left = np.zeros_like(written)
        for time, share in enumerate(kept):
            left[:time] *= share
            left[time] = written[time]
            yield left[: time + 1]


def memory(trace: GateTrace, layer: int = 0, direction: int = 0) -> Memory:
    """Who wrote what a layer holds. It needs no torch.

    Args:
        trace: of one sequence, by any cell whose memory is a gated sum.
        layer: whose, from 0.
        direction: 1 for the one that reads from the right; then steps and tokens come in that order. Steps that were
            not read, as those past the end of a packed sequence, are left out.

    Raises:
        ValueError: what the cell holds is no such sum, as the sentence says; there is no such layer or direction, or
            the trace is of a batch.

    Example:
        >>> memory(trace_sentence(model, vocabulary, "((x)x)")).terms(unit=9)[-1]  # who wrote what unit 9 holds now
    """
    cell = cell_called(trace.cell_name)
    if why := why_no_sum(cell):
        raise ValueError(why)
    if "batch" in trace.outer:
        raise ValueError("the trace is of a batch; trace.select(batch=0) is of its first sequence")
    direction = numbered(direction, trace.sizes.get("direction", 1), "direction")
    at = (numbered(layer, trace.sizes["layer"], "layer"), *[direction] * ("direction" in trace.outer))
    there = np.isfinite(trace["hidden"][at]).any(-1)
    steps: list[int] = np.flatnonzero(there)[:: -1 if DIRECTIONS[direction] == "reverse" else 1].tolist()
    record = {name: values[at][steps].astype(np.float64) for name, values in trace.items()}  # (T, H) each
    held, kept, share = (cell.worked_out(what, record) for what in ("holds", "keeps", "writes"))
    assert held is not None and kept is not None and share is not None
    # What is written is the share of the candidate. Behind the first step, where what was held before is known, it is
    # taken as the difference: so the terms sum to what is held to the last bits, however the trace is rounded.
    written = share * record["candidate"]
    written[1:] = held[1:] - kept[1:] * held[:-1]
    return Memory(held, kept, written, [trace.tokens[t] for t in steps] if trace.tokens else [])


def why_no_sum(cell: type[Declared]) -> str:
    """Why what a cell holds cannot be told token by token, in a sentence; empty where it can."""
    if cell.of_trees:
        return f"what a node of {cell.__name__} holds is a sum over its children; there is no token before it"
    if not cell.keeps:
        return (
            f"{cell.__name__} has no memory that is a sum over tokens: no gate keeps anything, and all of "
            f"{cell.holds} is made anew at every step"
        )
    if not cell.writes or "candidate" not in cell.symbols:
        return f"{cell.__name__} does not say what it writes, so nobody knows which token wrote what it holds"
    return ""


def numbered(index: int, size: int, what: str) -> int:
    """An index, which may count from the end, as Python's.

    Raises:
        ValueError: there is no such thing, or it is no whole number.
    """
    if isinstance(index, bool) or not isinstance(index, int | np.integer):
        raise ValueError(f"a {what} is told by its number, not by {index!r}")
    if not -size <= index < size:
        raise ValueError(f"there is no {what} {index}; it is 0 to {size - 1}, or from −{size} on counted from the end")
    return range(size)[int(index)]
