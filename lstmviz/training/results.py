"""What a training ends with: the exact figures of its best weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from lstmviz.checkpoint import Checkpoint
from lstmviz.config import ROWS_MOST, TrainConfig
from lstmviz.data.grammars import GRAMMARS, hidden_variable
from lstmviz.data.vocabulary import Corpus
from lstmviz.explain.correlations import unit_correlations
from lstmviz.gate_trace import held
from lstmviz.model import LanguageModel
from lstmviz.tasks import TASKS
from lstmviz.trace import trace_tokens
from lstmviz.training.loop import held_out, judged, unknown_share


def results_on(model: LanguageModel, corpus: Corpus, train: TrainConfig) -> dict[str, float]:
    """A checkpoint's results: exact losses on what was not trained on; the share of ``<unk>`` or of right labels."""
    parts = {"valid": corpus.valid, "test": corpus.test}
    if TASKS[train.task].parts:
        judgements = {part: judged(model, images, train) for part, images in parts.items()}
        return {f"{part}_{name}": value for part, it in judgements.items() for name, value in it._asdict().items()}
    losses = {f"{part}_nll": held_out(model, tokens, corpus.vocabulary, train) for part, tokens in parts.items()}
    return losses | {f"{part}_unknown": unknown_share(tokens) for part, tokens in parts.items()}


def carried_variable(checkpoint: Checkpoint, corpus: Corpus, count: int = 5000) -> dict[str, Any]:
    """How much of a grammar's hidden variable each unit carries, over so many validation tokens.

    Raises:
        FloatingPointError: what a unit holds is no finite number somewhere.
    """
    grammar = GRAMMARS[corpus.name]
    tokens = corpus.valid[:count]
    trace, _ = trace_tokens(checkpoint.build(), tokens)
    variable = hidden_variable(corpus.name, [checkpoint.vocabulary.tokens[i] for i in tokens])
    if not np.isfinite(held(trace)).all():
        raise FloatingPointError("not all that the units hold are finite numbers")
    correlations = unit_correlations(trace, variable, nominal=grammar.nominal).round(4).tolist()
    return {"name": grammar.variable, "correlations": correlations}


def thinned(history: dict[str, list], most: int = 400) -> dict[str, list]:
    """A history of every evaluation and every n-th other row, of these fewer than twice ``most``.

    Of more than ``ROWS_MOST / 2`` evaluations every m-th, and the last.
    """
    n = max(1, len(history["step"]) // most)
    evaluations = [i for i, nll in enumerate(history["valid_nll"]) if nll is not None]
    kept = {*evaluations[:: 1 + 2 * len(evaluations) // ROWS_MOST], *evaluations[-1:]}
    keep = [i for i, nll in enumerate(history["valid_nll"]) if i in kept or (nll is None and i % n == 0)]
    return {name: [column[i] for i in keep] for name, column in history.items()}
