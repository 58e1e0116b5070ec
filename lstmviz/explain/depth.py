"""How deep an expression may be: does a model know its value, however many operations stand one within the other?"""

from __future__ import annotations

import random

import torch
from torch import Tensor

from lstmviz.checkpoint import Checkpoint
from lstmviz.data.expressions import draw, texts_of, trees_of
from lstmviz.data.vocabulary import IGNORED
from lstmviz.model import LanguageModel
from lstmviz.tasks import TASKS
from lstmviz.tasks.base import Parts

DEPTHS = (1, 2, 3, 4, 5, 6, 7, 8, 10)  # operations one within the other; in what is trained on up to 5
LONGEST = 100  # nodes


@torch.no_grad()
def right_at_the_root(model: LanguageModel, part: Tensor, parts: Parts) -> Tensor:
    """Whether the value of each expression as a whole, the last that is asked, is the likeliest: ``(N,)``.

    Args:
        model: in eval mode.
        part: ``(N, T, X + 1)``, of a corpus of expressions, as trees or as text.
        parts: its task's.
    """
    found = []
    for piece in part.split(500):
        inputs, targets, shape = parts(piece.transpose(0, 1).to(model.device, torch.int64))  # (T, B) each
        hidden, _ = model.run(model.embed(inputs), None, shape)  # (T, B, H)
        times = torch.arange(len(targets), device=targets.device)[:, None]
        last = (times * (targets != IGNORED)).amax(0)  # (B,)
        said = model.decode(hidden.take_along_dim(last[None, :, None], 0)[0]).argmax(-1)  # (B,)
        found.append(said == targets.take_along_dim(last[None], 0)[0])
    return torch.cat(found)


def accuracy_by_depth(checkpoint: Checkpoint, *, count: int = 500) -> dict[int, float]:
    """Ask a model for the values of expressions that are drawn anew, many of them deeper than those it learned from.

    Args:
        checkpoint: of a model that reads `EXPRESSIONS`, as trees or as text.
        count: expressions of each depth; the same ones for every model.

    Returns:
        Depth -> the share whose value at the root is right.
    """
    rng, model, task = random.Random("expressions exam"), checkpoint.build(), TASKS[checkpoint.train.task]
    assert task.parts is not None
    form, found = trees_of if task.reads == "trees" else texts_of, {}
    for depth in DEPTHS:
        drawn = [draw(rng, depth, LONGEST) for _ in range(count)]
        part = form("exam", [drawn, drawn[:1], drawn[:1]], checkpoint.vocabulary, checkpoint.reads).train
        found[depth] = right_at_the_root(model, part, task.parts).float().mean().item()
    return found
