"""Numbers along a sentence: the loss, and what a gate does over all units of a layer."""

from __future__ import annotations

from math import log

import numpy as np

from lstmviz.cells import cell_called
from lstmviz.explain.alignment import Compared, Place
from lstmviz.explain.rows import role_in
from lstmviz.opened import OpenModel
from lstmviz.reading import running_mean
from lstmviz.roles import ROLES
from lstmviz.wire import answer_of

GAIN = "memory gains"  # there where something is laid over the losses
PROBABILITY = "probability"  # there where labels are said
DEPENDS = "label matters"  # there where a label begins what is said
CHARTS = {  # name -> what stands below it, and whether it is of one gate
    "loss": ("nats a token", False),
    GAIN: ("nats less", False),
    "perplexity": ("so far", False),
    PROBABILITY: ("of the right one", False),
    DEPENDS: ("for what is\nsaid next", False),
    "mean": ("over all units", True),
    "below 0.1": ("share of units", True),
    "above 0.9": ("share of units", True),
    "half-life": ("of what is held,\nin tokens", False),
}


def without(opened: OpenModel) -> list[str]:
    """Charts that there are none of for such a model."""
    return [*(("perplexity", GAIN) if opened.is_asked else (PROBABILITY,)), *(() if opened.labels else (DEPENDS,))]


def measures(model: Compared, place: Place, gate: str, at: np.ndarray, by: str) -> dict[str, np.ndarray | None]:
    """A number a position of the axis for every chart; None where there is nothing of the kind.

    Args:
        place: of the gates that are meant; where the model has nothing, so has what is of a gate.
        gate: the slot whose mean and saturation are meant.
        at, by: as for `losses`.
    """
    reading, track = model.reading, model.track(place)

    def placed(values: np.ndarray) -> np.ndarray:  # (T,) -> (A,)
        return np.where(at >= 0, values[at], np.nan)

    own = losses(reading.trace.nll, at, "token" if model.opened.is_asked else by)  # no label is of characters
    found: dict[str, np.ndarray | None] = dict.fromkeys(CHARTS) | own
    if model.beside_nll is not None:
        found[GAIN] = losses(model.beside_nll, at, by)["loss"] - own["loss"]
    if answer := answer_of(model.opened, reading):
        found["perplexity"], found[PROBABILITY] = None, placed(np.array(answer.probability, float))
    if reading.depends is not None:
        found[DEPENDS] = placed(reading.depends)
    if track is None:
        return found
    keeps = share = reading.kept
    if gate != "keeps":
        role = role_in(gate, cell_called(model.checkpoint.model.cell))
        share = None if role is None or ROLES[role].high is None else reading.tracks[role]  # a logarithm is no share
    if share is not None:
        values = share[track]  # (T, H)
        found["mean"] = placed(values.mean(-1, dtype=float))
        there = np.where(np.isfinite(values).all(-1), 0.0, np.nan)  # what was kept at an sLSTM's first step is unknown
        found["below 0.1"] = placed((values < 0.1).mean(-1) + there)
        found["above 0.9"] = placed((values > 0.9).mean(-1) + there)
    if keeps is not None:
        found["half-life"] = placed(half_life(keeps[track]))
    return found


def losses(nll: np.ndarray, at: np.ndarray, by: str) -> dict[str, np.ndarray]:
    """The loss at every position of the axis, and the perplexity so far, ``(A,)`` each.

    Args:
        nll: of each token, ``(T,)``.
        at: the token at every position, ``(A,)``; −1 where none stands.
        by: on an axis of characters a token's loss is spread over its own.
    """
    if by == "character":
        nll = nll / np.maximum(1, np.bincount(at[at >= 0], minlength=len(nll)))
    loss = np.where(at >= 0, nll[at], np.nan)
    with np.errstate(over="ignore"):
        return {"loss": loss, "perplexity": np.exp(running_mean(loss))}


def half_life(share: np.ndarray) -> np.ndarray:
    """After how many tokens like this one half of what the median unit held would be left, ``(T, H)`` to ``(T,)``."""
    median = np.clip(np.median(share, axis=-1), 1e-6, 1 - 1e-6)
    return log(0.5) / np.log(median)
