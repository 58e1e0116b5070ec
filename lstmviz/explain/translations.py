"""What a model says for sequences of each length, and whether it looks where what it says comes from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from lstmviz.data.pairs import NOTHING, Pair
from lstmviz.data.vocabulary import EOS, IGNORED, PADDING, Vocabulary
from lstmviz.reading import Reading

if TYPE_CHECKING:
    import pandas as pd

    from lstmviz.model import LanguageModel


NOT_THERE = 0.5  # of the tokens: where it looks less often at what they come from, it is said why that may be


def how_it_said(reading: Reading) -> str:
    """Whether a model said the right sequence, and looked where each token comes from; empty where nobody knows."""
    if not (said := reading.said):
        return ""
    told = [] if said.ended else [f"It came to no end: it was stopped after {len(said.ids):,} tokens."]
    wrong = 0
    if reading.right is not None:
        pairs = zip(said.ids, reading.right[said.begin :], strict=True)
        wrong = sum(one != right for one, right in pairs if right != IGNORED)
        told.append(
            f"At {wrong} of {len(said.ids)} steps it says another token than is right." if wrong else "All right."
        )
    if said.looks is not None and said.aligned is not None:
        steps = zip(said.looks.argmax(-1).tolist(), said.aligned, strict=True)
        found = [looked == place for looked, place in steps if place != NOTHING]
        if found:
            told.append(f"It looks most where the token comes from at {sum(found)} of {len(found)} steps.")
        if not wrong and sum(found) < NOT_THERE * len(found):
            told.append(
                "It need not: what was read at one place is known at others, since it reads in both directions."
            )
    return " ".join(told)


def by_length(model: LanguageModel, pairs: Iterable[Pair], reads: Vocabulary, says: Vocabulary) -> pd.DataFrame:
    """How well it does, a row for each length of what is read.

    Args:
        model: with attention or without, in eval mode.
        pairs: what is read, and what is right.
        reads, says: the model's vocabularies.

    Returns:
        The index is the length; columns: ``right``, the share of those that are said wholly right by taking the
        likeliest token each time; ``found``, the share of the tokens to be said at which it looks most at the place
        that these come from, NaN without attention or where no place is known; ``count`` of pairs.
    """
    import pandas as pd  # as in trace.py
    import torch
    from torch.nn.utils.rnn import pad_sequence

    from lstmviz.translation import say

    pairs = [*pairs]
    source = pad_sequence([torch.tensor(reads.encode_tokens(pair.source)) for pair in pairs], padding_value=PADDING)
    said, looks = say(model, source.to(model.device), 1 + max(len(pair.said) for pair in pairs))  # (T, B), (B, T, S)
    most = None if looks is None else looks.argmax(-1)  # (B, T)
    rows = []
    for b, pair in enumerate(pairs):
        mine = said[:, b][said[:, b] != PADDING].tolist()
        right = mine == [*says.encode_tokens(pair.said), says.ids[EOS]]
        steps = [] if most is None else zip(most[b].tolist(), pair.aligned or (), strict=False)
        found = [looked == place for looked, place in steps if place != NOTHING]
        rows.append((len(pair.source), right, sum(found) / len(found) if found else float("nan")))
    every = pd.DataFrame(rows, columns=["length", "right", "found"]).assign(count=1)
    return every.groupby("length").agg({"right": "mean", "found": "mean", "count": "sum"})
