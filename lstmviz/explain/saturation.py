"""How each unit uses its gates over a whole text: how often they are nearly shut, or nearly open.

Of a gate that is nearly always above 0.9 (right-saturated) or below 0.1 (left-saturated) a unit makes a switch that
stands: a forget gate that is always right-saturated remembers over hundreds of tokens, one that is always
left-saturated makes the unit a feed-forward one (Karpathy, Johnson & Li 2015, "Visualizing and understanding recurrent
networks").
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from lstmviz.cells import cell_called
from lstmviz.cells.declared import Declared
from lstmviz.data.vocabulary import Vocabulary
from lstmviz.explain.typed import token_ids, why_no_losses
from lstmviz.gate_trace import kept
from lstmviz.model import LanguageModel
from lstmviz.roles import ROLES
from lstmviz.trace import build_trace

if TYPE_CHECKING:
    import pandas as pd

SHUT, OPEN = 0.1, 0.9
PIECE = 256  # tokens that are read at once


@dataclass(frozen=True, eq=False)
class Saturation:
    """What the gates of a model did over the tokens that it has read so far.

    Args:
        shut, open: name of a gate -> the share of time at which it is below 0.1 or above 0.9, ``(layer, unit)``.
        mean: name of a gate -> its mean, ``(layer, unit)``.
        half_life: ``(layer, unit)``, after how many tokens half of what a unit holds is gone, at the geometric mean of
            what it kept; ∞ where it keeps all, NaN where no gate keeps anything.
        read: tokens that these are over.
        tokens: how many there are.
    """

    shut: dict[str, np.ndarray]
    open: dict[str, np.ndarray]
    mean: dict[str, np.ndarray]
    half_life: np.ndarray
    read: int
    tokens: int

    def to_dataframe(self) -> pd.DataFrame:
        """A row for every layer and unit, with columns ``layer``, ``unit``, ``half_life``, ``GATE_shut``, …"""
        import pandas as pd  # as in gate_trace.py

        layer, unit = np.indices(self.half_life.shape)
        columns = {"layer": layer.ravel(), "unit": unit.ravel(), "half_life": self.half_life.ravel()}
        for name in self.mean:
            columns |= {
                f"{name}_shut": self.shut[name].ravel(),
                f"{name}_open": self.open[name].ravel(),
                f"{name}_mean": self.mean[name].ravel(),
            }
        return pd.DataFrame(columns)


def saturation(model: LanguageModel, vocabulary: Vocabulary, text: str | Sequence[int]) -> Saturation:
    """How each unit uses its gates over a text.

    Args:
        model: that reads a text from the left and predicts its next token; left unchanged.
        vocabulary: its.
        text: or the ids of its tokens; read from nothing, in pieces.

    Raises:
        ValueError: the cell has no gate between 0 and 1, there is nothing to read, or the model is another.

    Example:
        >>> saturation(model, vocabulary, "((x)x)x(x)").open["forget_gate"][0]
    """
    *_, last = saturation_so_far(model, vocabulary, text)
    return last


def saturation_so_far(
    model: LanguageModel, vocabulary: Vocabulary, text: str | Sequence[int], piece: int = PIECE
) -> Iterator[Saturation]:
    """As `saturation`, after each piece of the text over all that was read till then. Who stops asking stops it.

    Args:
        model, vocabulary, text: as for `saturation`.
        piece: tokens that are read between two answers.

    Raises:
        ValueError: as `saturation`, at once.
    """
    if why := why_no_losses(model.config) or why_no_gates(cell_called(model.config.cell)):
        raise ValueError(f"its gates have no shares of time: {why}")
    ids = torch.from_numpy(token_ids(vocabulary, text, model.vocab_size).astype(np.int64))
    return _read(model, ids.to(model.device), piece)


def _read(model: LanguageModel, ids: torch.Tensor, piece: int) -> Iterator[Saturation]:
    cell, size = cell_called(model.config.cell), (model.config.num_layers, model.config.hidden_size)
    names = gates(cell)
    counts = {what: {name: np.zeros(size) for name in names} for what in ("shut", "open", "mean")}
    log_kept, steps, state = np.zeros(size), np.zeros(size), None
    for begin in range(0, len(ids), piece):
        _, records = model.record(ids[begin : begin + piece, None], state)
        state = [{name: record[name][-1] for name in cell.states} for record in records]
        trace = build_trace(records, model.config.cell)
        for name in names:
            values = trace[name]  # (layer, time, unit)
            counts["shut"][name] += (values < SHUT).sum(1)
            counts["open"][name] += (values > OPEN).sum(1)
            counts["mean"][name] += values.sum(1, dtype=np.float64)
        share = kept(trace)
        if share is not None:
            share = share[:, not begin :].astype(np.float64)  # the first token finds nothing that it could keep
            known = ~np.isnan(share)
            with np.errstate(divide="ignore"):
                log_kept += np.where(known, np.log(share, where=known, out=np.zeros_like(share)), 0).sum(1)
            steps += known.sum(1)
        read = min(begin + piece, len(ids))
        with np.errstate(divide="ignore", invalid="ignore"):
            half_life = np.log(2) / np.abs(log_kept / steps)
        shut, above, mean = ({name: count / read for name, count in each.items()} for each in counts.values())
        yield Saturation(shut, above, mean, half_life, read, len(ids))


def gates(cell: type[Declared]) -> list[str]:
    """The gates of a cell that lie between 0 and 1."""
    return [name for name in cell.gates if (ROLES[name].low, ROLES[name].high) == (0, 1)]


def why_no_gates(cell: type[Declared]) -> str:
    """Why a cell has no gate that could be shut or open, in a few words; empty where it has."""
    return "" if gates(cell) else f"{cell.__name__} has no gate between 0 and 1"
