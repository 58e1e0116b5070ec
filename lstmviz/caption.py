"""A text that a label begins: what a model says, its trace, and where that depends on the label."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from lstmviz.cells.base import State
from lstmviz.data.captions import BEGIN
from lstmviz.data.vocabulary import Vocabulary
from lstmviz.gate_trace import GateTrace
from lstmviz.model import LanguageModel, at_once
from lstmviz.trace import Likeliest, trace_tokens

OTHERS = 15  # labels that one is held against, at most
MULTIPLIED = 2e9  # numbers, for them at most: half a second
OF_STEP = 2e5  # of them a step of a layer takes beside its own, however many labels are read at once


def begun_by(model: LanguageModel, label: int) -> list[State]:
    """The state that a label makes, of one sequence."""
    with torch.no_grad():
        return model.begun(torch.tensor([label], device=model.device))


def trace_caption(model: LanguageModel, label: int, said: Tensor, *, best: int = 5) -> tuple[GateTrace, Likeliest]:
    """As `trace_tokens`, of a text that a label begins: <sos> stands first, in the state that the label made.

    Args:
        label: as the model numbers it.
        said: ids ``(T,)`` of the text, which may be empty.

    Returns:
        The trace of T + 1 steps, with ``nll``, and the likeliest next tokens after each.
    """
    tokens = torch.cat([torch.tensor([BEGIN]), said])
    return trace_tokens(model, tokens, best=best, state=begun_by(model, label))


def write(
    model: LanguageModel,
    vocabulary: Vocabulary,
    label: int,
    count: int,
    *,
    said: Tensor | None = None,
    temperature: float = 1.0,
    top_k: int = 0,
    seed: int = 0,
) -> Tensor:
    """What a model says from a label on, or after what was said: at most so many tokens ``(·,)``, up to its end.

    Args:
        said: ids ``(T,)``; by default nothing.
        temperature, top_k, seed: as for `LanguageModel.sample`.
    """
    before = torch.tensor([BEGIN]) if said is None else torch.cat([torch.tensor([BEGIN]), said])
    before, state = before.to(model.device), begun_by(model, label)
    return model.sample(before, count, temperature, top_k, seed, state=state, end=vocabulary.end).cpu()


@torch.no_grad()
def depends_on_label(model: LanguageModel, label: int, tokens: Tensor) -> np.ndarray:
    """How much what is said next depends on the label, after each of T tokens, ``(T,)``.

    It is the total variation ½ Σ |p - p̄| between what is predicted and the mean over the other labels, p̄, where the
    same is read: from 0, what comes next does not depend on the label, to 1, with the others it would be impossible.

    Args:
        label: that began it.
        tokens: ids ``(T,)`` of what is read, <sos> first: once for each label, all in one batch; of many labels only
            the first 15 others, or as many as are read in half a second.

    Returns:
        NaN where there are no other labels, or one of them would take too long.
    """
    cost = sum(parameter.numel() for parameter in model.parameters()) + 20 * model.vocab_size  # of a token
    left = MULTIPLIED - OF_STEP * model.config.num_layers * len(tokens)
    most = max(0, min(OTHERS, int(left / (cost * len(tokens)))))
    others = [i for i in range(model.config.labels_read or 0) if i != label][:most]
    if not others:
        return np.full(len(tokens), np.nan)
    labels = torch.tensor([label, *others], device=model.device)  # (B,)
    widest = max(model.vocab_size, 8 * model.config.hidden_size * model.config.num_layers)  # numbers held of a step
    state, found = model.begun(labels), []
    for piece in tokens.to(model.device).split(max(1, at_once(widest) // len(labels))):
        scores, state = model(piece[:, None].expand(-1, len(labels)).contiguous(), state)
        p = scores.softmax(-1)  # (P, B, V)
        found.append((p[:, 0] - p[:, 1:].mean(1)).abs().sum(-1) / 2)
    return torch.cat(found).nan_to_num().cpu().numpy()
