"""Which models' units correspond, one by one, and by how much they differ in a sentence."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from lstmviz.checkpoint import Checkpoint
from lstmviz.explain.alignment import Compared
from lstmviz.opened import OpenModel


def kinship(models: list[OpenModel]) -> list[int]:
    """Numbers that two models share if their units correspond, one by one; also by way of a third model."""
    kin = list(range(len(models)))
    for k, j in combinations(range(len(models)), 2):
        if kin[j] != kin[k] and corresponding(models[k].checkpoint, models[j].checkpoint):
            kin = [kin[k] if group == kin[j] else group for group in kin]
    return kin


def corresponding(a: Checkpoint, b: Checkpoint) -> bool:
    """Whether unit n of one is unit n of the other: they hold the same weights, or began with the same."""
    if any(getattr(a.model, size) != getattr(b.model, size) for size in ("hidden_size", "num_layers", "bidirectional")):
        return False
    shared = a.weights.keys() & b.weights.keys()
    outside = [name for name in shared if not name.startswith("layers.")]
    if outside and all(np.array_equal(a.weights[name], b.weights[name]) for name in outside):
        return True
    shapes = [{name: weight.shape for name, weight in each.weights.items()} for each in (a, b)]
    return shapes[0] == shapes[1] and a.train.seed == b.train.seed and a.corpus_sha256 == b.corpus_sha256


def largest_differences(a: Compared, b: Compared, track: int) -> dict[str, float]:
    """The largest difference of every role that both have."""
    if a is b or len(a.reading.ids) != len(b.reading.ids):
        return {}
    x, y = a.reading.tracks, b.reading.tracks
    return {role: float(np.nanmax(np.abs(y[role][track] - x[role][track]))) for role in y if role in x}
