"""One sequence said for another: what is said, and a trace of who reads, who says and where it looks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lstmviz.data.vocabulary import EOS, IGNORED, PADDING, SOS, SPECIALS
from lstmviz.gate_trace import GateTrace
from lstmviz.layers import Attending
from lstmviz.model import LanguageModel
from lstmviz.trace import Likeliest, build_trace

BEGIN, END = SPECIALS.index(SOS), SPECIALS.index(EOS)
NEVER = torch.tensor([i for i in range(len(SPECIALS)) if i != END])  # said


@dataclass(frozen=True)
class Translation:
    """A sequence that was read, and what was said for it.

    Args:
        reader: over the S tokens that were read, in both directions.
        speaker: over the T tokens that were said before, <sos> first. Its ``nll[t]`` is that of the token said then, or
            of the one that is right.
        said: the token said at each step, ids ``(T,)``.
        likely: the likeliest tokens at each step.
        looks: how much each step looks at each token that was read, ``(T, S)``; None without attention.
    """

    reader: GateTrace
    speaker: GateTrace
    said: np.ndarray
    likely: Likeliest
    looks: np.ndarray | None

    def on_one_axis(self) -> GateTrace:
        """What happens while it is read, and then while it is said: as one trace over S + T steps.

        Returns:
            Values ``(layer, direction, time, unit)``: of the reader forward and in reverse, and in the place of a third
            direction of the speaker; NaN at the steps that are not theirs. ``nll`` is the speaker's.
        """
        read, nll = self.reader.sizes["time"], self.speaker.nll

        def joined(reader: np.ndarray, speaker: np.ndarray) -> np.ndarray:  # (L, 2, S, H), (L, T, H)
            whole = np.full((len(speaker), 3, read + len(nll), speaker.shape[-1]), np.nan, speaker.dtype)
            whole[:, :2, :read], whole[:, 2, read:] = reader, speaker
            return whole

        arrays = {name: joined(self.reader[name], self.speaker[name]) for name in self.speaker}
        outer, nothing = ("layer", "direction", "time"), np.full(read, np.nan, np.float32)
        return GateTrace(arrays, self.speaker.cell_name, outer, np.concatenate([nothing, nll]))


@torch.no_grad()
def say(model: LanguageModel, source: Tensor, most: int) -> tuple[Tensor, Tensor | None]:
    """The likeliest next token, again and again, until it ends; of the specials only <eos> is said.

    Args:
        model: with attention or without, in eval mode.
        source: int64 ``(S, B)``, S ≥ 1; behind a shorter one stands `PADDING`.
        most: tokens at most.

    Returns:
        The tokens ``(T, B)``, the last of each <eos> but where ``most`` came first, `PADDING` after it; and where it
        looked ``(B, T, S)``, None without attention.
    """
    layers = cast(Attending, model.layers)
    read, state = layers.read(model.embed(source), (source != PADDING).sum(0))
    token, going = torch.full_like(source[:1], BEGIN), torch.ones_like(source[:1], dtype=torch.bool)
    said, looks = [], []
    while len(said) < most and going.any():
        hidden, state = layers.speaker(model.embed(_as_said(model, token)), state)
        hidden, look = layers.look(hidden, read)
        scores = model.decode(hidden).index_fill(-1, NEVER.to(hidden.device), -torch.inf)  # (1, B, V)
        token = scores.argmax(-1).where(going, PADDING)  # (1, B)
        going = going & (token != END)
        said.append(token)
        looks.append(look)
    return torch.cat(said), None if looks[0] is None else torch.cat(looks, dim=1)


@torch.no_grad()
def trace_translation(
    model: LanguageModel,
    source: Tensor,
    said: Tensor | None = None,
    *,
    right: Tensor | None = None,
    most: int = 100,
    best: int = 5,
) -> Translation:
    """What happens while one sequence is read and another is said.

    Args:
        model: with attention or without, in eval mode.
        source: ids ``(S,)`` of what is read.
        said: ids ``(T,)`` of what is to be said, <eos> last; by default what the model says itself, token by token.
        right: what should be said, if that is known and not what is said: ids ``(R,)``, <eos> last, `IGNORED` where one
            is not known. Then losses are of these.
        most: tokens that it says at most.
        best: how many of the likeliest tokens are kept.

    Raises:
        ValueError: there is nothing to read.
    """
    if not len(source):
        raise ValueError("there is nothing to read; a sequence must not be empty")
    source = source[:, None].to(model.device)
    said = say(model, source, most)[0] if said is None else said[:, None].to(model.device)  # (T, 1)
    before = torch.cat([torch.full_like(said[:1], BEGIN), said[:-1]])
    layers, heard = cast(Attending, model.layers), model.embed(source)
    read, state = layers.read(heard)
    _, reader = layers.reader.record(heard)
    hidden, speaker = layers.speaker.record(model.embed(_as_said(model, before)), state)
    hidden, looks = layers.look(hidden, read)
    log_p = model.decode(hidden[:, 0]).log_softmax(-1).float().cpu()  # (T, V)
    found = log_p.topk(min(best, model.vocab_size), dim=-1)
    asked = said[:, 0].cpu()
    if right is not None:
        asked = F.pad(right, (0, len(said)), value=IGNORED)[: len(said)]
    nll = -log_p.gather(1, asked.clamp(min=0)[:, None])[:, 0]
    return Translation(
        reader=build_trace(reader, model.config.cell, directions=2),
        speaker=replace(build_trace(speaker, model.config.cell), nll=nll.where(asked != IGNORED, torch.nan).numpy()),
        said=said[:, 0].cpu().numpy(),
        likely=Likeliest(found.indices.numpy(), found.values.exp().numpy()),
        looks=None if looks is None else looks[0].cpu().numpy(),
    )


def _as_said(model: LanguageModel, tokens: Tensor) -> Tensor:
    """Their numbers among all that the model embeds: those that are said come after those that are read."""
    return tokens + (model.config.tokens_read or 0)
