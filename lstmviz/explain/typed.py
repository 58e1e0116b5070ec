"""What somebody gives a model to read, a text or the ids of its tokens; and which model can be asked about it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lstmviz.config import ModelConfig
from lstmviz.data.vocabulary import Vocabulary
from lstmviz.reference import why_not_run


def token_ids(vocabulary: Vocabulary, read: str | Sequence[int] | np.ndarray, known: int, least: int = 1) -> np.ndarray:
    """The ids ``(T,)`` of a text, or of tokens that are ids already.

    Args:
        vocabulary: of what the model reads.
        known: how many tokens the model knows.
        least: how many there must be.

    Raises:
        ValueError: they are fewer, or no ids that the model knows.
    """
    ids = np.asarray(vocabulary.encode(read) if isinstance(read, str) else read)
    if not ids.size:
        raise ValueError("there is nothing to read; a text must have at least one token")
    if ids.ndim != 1 or ids.dtype.kind not in "iu" or ids.min() < 0 or ids.max() >= known:
        raise ValueError(f"this model reads ids of tokens, whole numbers from 0 to {known - 1} along one axis")
    if len(ids) < least:
        raise ValueError(f"a loss is of a token behind another one: the text must have at least {least} tokens")
    return ids


def why_no_losses(config: ModelConfig) -> str:
    """Why a model predicts no token of a text from its states, in a few words; empty where it does."""
    if config.row_size:
        return "it reads images"
    return why_not_run(config) or ("it says labels, and predicts no token" if config.tokens_read else "")
