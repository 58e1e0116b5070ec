"""Numbers along a sentence: the loss, and what a gate does over all units of a layer."""

from __future__ import annotations

from math import log

import numpy as np

from lstmviz.cells import CELLS
from lstmviz.explain.alignment import Compared
from lstmviz.explain.rows import role_in
from lstmviz.reading import running_mean
from lstmviz.roles import ROLES
from lstmviz.trace import kept

CHARTS = {  # name -> what stands below it, and whether it is of one gate
    "loss": ("nats a token", False),
    "perplexity": ("so far", False),
    "mean": ("over all units", True),
    "below 0.1": ("share of units", True),
    "above 0.9": ("share of units", True),
    "half-life": ("of what is held,\nin tokens", False),
}


def measures(model: Compared, layer: int, gate: str, at: np.ndarray, by: str) -> dict[str, np.ndarray | None]:
    """A number a position of the axis for every chart; None where the cell has nothing of the kind.

    Args:
        gate: the slot whose mean and saturation are meant.
        at: the model's token at every position, ``(A,)``.
        by: on an axis of characters a token's loss is spread over its own.
    """
    trace, config = model.reading.trace, model.checkpoint.model

    def placed(values: np.ndarray) -> np.ndarray:  # (T,) -> (A,)
        return np.where(at >= 0, values[at], np.nan)

    loss = trace.nll
    if by == "character":
        loss = loss / np.maximum(1, np.bincount(at[at >= 0], minlength=len(loss)))
    loss = placed(loss)
    found: dict[str, np.ndarray | None] = dict.fromkeys(CHARTS)
    with np.errstate(over="ignore"):
        found |= {"loss": loss, "perplexity": np.exp(running_mean(loss))}
    if layer >= config.num_layers:
        return found
    keeps = kept(trace)
    share = keeps
    if gate != "keeps":
        role = role_in(gate, CELLS[config.cell])
        share = None if role is None or ROLES[role].high is None else trace[role]  # a logarithm is no share
    if share is not None:
        values = share[layer]  # (T, H)
        found["mean"] = placed(values.mean(-1, dtype=float))
        there = np.where(np.isfinite(values).all(-1), 0.0, np.nan)  # what was kept at an sLSTM's first step is unknown
        found["below 0.1"] = placed((values < 0.1).mean(-1) + there)
        found["above 0.9"] = placed((values > 0.9).mean(-1) + there)
    if keeps is not None:
        found["half-life"] = placed(half_life(keeps[layer]))
    return found


def half_life(share: np.ndarray) -> np.ndarray:
    """After how many tokens like this one half of what the median unit held would be left, ``(T, H)`` to ``(T,)``."""
    median = np.clip(np.median(share, axis=-1), 1e-6, 1 - 1e-6)
    return log(0.5) / np.log(median)
