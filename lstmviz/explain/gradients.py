"""How far back a lesson reaches: how much of a loss's gradient is left so many tokens before it.

A loss at time T tells what to do at time T − k through ∂nll_T / ∂s_{T−k}, s being the state: a product of k Jacobians,
which shrinks or grows about as the k-th power of one (Bengio, Simard & Frasconi 1994, "Learning long-term dependencies
with gradient descent is difficult"; Pascanu, Mikolov & Bengio 2013, "On the difficulty of training recurrent neural
networks").
"""

from __future__ import annotations

import copy
import random
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lstmviz.cells.base import State
from lstmviz.data.grammars import GRAMMARS
from lstmviz.data.vocabulary import Vocabulary
from lstmviz.explain.distance import REACH
from lstmviz.model import LanguageModel

if TYPE_CHECKING:
    import pandas as pd


def gradient_norms(model: LanguageModel, tokens: Tensor, targets: Tensor) -> Tensor:
    """The norm of ∂nll_T / ∂s_t, s_t being what all layers hand on from time t: h, and c where there is one.

    Args:
        model: in eval mode; it reads from a state of zeros.
        tokens: int64 ``(T, B)``, texts that end at the same time.
        targets: ``(B,)``, the token after each; its nll in nats is what is differentiated.

    Returns:
        ``(T, B)``, row t for the state after token t, in the model's own precision.
    """
    handed_on: list[list[State]] = []
    state = None
    for vectors in model.embed(tokens):  # (B, E); step by step, since a native kernel returns no state in between
        _, state = model.run(vectors[None], state)
        # A copy, through which only what comes later can be reached, and not the layer above at the same time.
        state = [{name: values.clone() for name, values in layer.items()} for layer in state]
        handed_on.append(state)
    nll = F.cross_entropy(model.decode(handed_on[-1][-1]["hidden"]), targets, reduction="sum")
    every = [values for state in handed_on for layer in state for values in layer.values()]
    gradients = iter(torch.autograd.grad(nll, every, materialize_grads=True))
    # Side by side, (B, ΣH), those of one time.
    each = [torch.cat([next(gradients) for layer in state for _ in layer], dim=-1) for state in handed_on]
    return torch.stack(each).norm(dim=-1)


def gradient_by_distance(
    model: LanguageModel, vocabulary: Vocabulary, *, furthest: int = 128, sentences: int = 64
) -> pd.DataFrame:
    """How much of the gradient of a far answer in ``recall`` arrives at the states before it.

    Args:
        model, vocabulary: of ``recall``, trained or not. A copy in float64 is asked, in which what has vanished is told
            from 0.
        furthest: every answer depends on a symbol that stands so far back at least.
        sentences: how many answers; the same ones for every model.

    Returns:
        A row for each distance k from 0 to ``furthest``, in tokens, with medians over the answers: ``gradient``, the
        norm of ∂nll_T / ∂s_{T−k}, and ``arrives``, its share of the norm at distance 0.
    """
    import pandas as pd  # as in trace.py

    language, rng, longest = GRAMMARS["recall"], random.Random("recall gradients"), 2 * furthest + 2
    before: list[str] = []  # as in training, each sentence is read after others
    while len(before) < longest:
        before += [*language.sentence(rng, 1), language.end]
    read: list[list[str]] = []
    while len(read) < sentences:
        sentence = language.sentence(rng, REACH)
        far = (q.time for q in language.questions(sentence) if furthest <= q.distance < 2 * furthest)
        if (time := next(far, None)) is not None:
            read.append([*before, *sentence[: time + 2]][-longest:])  # its last token is the answer
    ids = torch.tensor([vocabulary.encode_tokens(each) for each in read]).T  # (T + 1, B)
    norms = gradient_norms(copy.deepcopy(model).double().eval(), ids[:-1], ids[-1])  # (T, B)
    norms = norms.flip(0)[: furthest + 1].numpy()  # row k is of s_{T−k}
    medians = {"gradient": np.median(norms, axis=1), "arrives": np.median(norms / norms[0], axis=1)}
    return pd.DataFrame({"distance": np.arange(furthest + 1), **medians})
