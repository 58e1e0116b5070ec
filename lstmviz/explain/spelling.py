"""What the filters of a model look for that reads words by their letters, and what that is good for."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, cast

from lstmviz.checkpoint import Checkpoint
from lstmviz.data import nonsense
from lstmviz.data.vocabulary import EOS, IGNORED, SOS, Vocabulary
from lstmviz.tasks import TASKS
from lstmviz.tasks.base import tokens_and_labels

if TYPE_CHECKING:  # what runs a model imports torch, for which the first map does not wait
    from torch import Tensor

    from lstmviz.encoders import Spelled
    from lstmviz.model import LanguageModel

SENTENCES = 200
END = "(end)"  # of a word and what is behind it: nothing that it alone has
# How often a word stands in the training part, from so often on. Up to once it is <unk> to who knows words only whole.
OFTEN = {"never": 0, "once": 1, "2 to 4 times": 2, "5 to 16 times": 5, "more often": 17}


class Found(NamedTuple):
    """What a filter found.

    Args:
        letters: of a word, as `part` writes them.
        reaction: to them, f.
    """

    letters: str
    reaction: float


class Read(NamedTuple):
    """How words are read that the training part has equally often.

    Args:
        words: how many there are.
        accuracy: the share that gets the right label.
        nll: mean, in nats.
    """

    words: int
    accuracy: float
    nll: float


def part(row: Sequence[int], reads: Vocabulary) -> str:
    """Letters that stand side by side, as one writes a part of a word: ``Bla-``, ``-mpl-``, ``-ly``."""
    letters = [reads.tokens[i] for i in row]
    if not (found := reads.token(row)):
        return END
    return f"{'' if SOS in letters else '-'}{found}{'' if EOS in letters else '-'}"


@lru_cache(8)
def words_for(task: str, corpus: str) -> tuple[str, ...]:
    """Words to look for letters in, each once: of some hundred sentences of built-in data; of other data none."""
    draw, rng = TASKS[task].drawn.get(corpus), random.Random(0)
    return tuple(dict.fromkeys(word for _ in range(SENTENCES) for word in draw(rng))) if draw else ()


def found_in(model: LanguageModel, words: Sequence[str], reads: Vocabulary) -> list[list[Found]]:
    """What each filter reacts to most in each of these words, which is all that it says of them: a list a word."""
    import torch

    spelled, rows = cast("Spelled", model.embedding), reads.encode_tokens(words)
    with torch.no_grad():
        most, places = spelled.reactions(torch.tensor(rows)[None])[0].max(-1)  # (N, E)
    return [
        [Found(part(row[at : at + spelled.width], reads), f) for f, at in zip(fs, ats, strict=True)]
        for row, fs, ats in zip(rows, most.tolist(), places.tolist(), strict=True)
    ]


@lru_cache(8)
def looked_for(model: LanguageModel, words: tuple[str, ...], reads: Vocabulary, count: int = 3) -> list[list[Found]]:
    """What each filter reacts to most of all that stands in these words: a list a filter, the strongest first."""
    of_each = zip(*found_in(model, words, reads), strict=True)
    different = ({each.letters: each for each in found}.values() for found in of_each)
    return [sorted(found, key=lambda each: -each.reaction)[:count] for found in different]


def standing_out(
    model: LanguageModel, word: str, words: tuple[str, ...], reads: Vocabulary, count: int = 3
) -> dict[int, Found]:
    """The filters that find in a word most of what they look for, beside the most that they find in others."""
    (found,), most = found_in(model, [word], reads), looked_for(model, words, reads, 1)
    missing = [best.reaction - each.reaction for (best,), each in zip(most, found, strict=True)]
    own = [k for k, each in enumerate(found) if each.letters != END]
    return {k: found[k] for k in sorted(own, key=missing.__getitem__)[:count]}


def by_count(checkpoint: Checkpoint, part: Tensor) -> dict[str, Read]:
    """How the words of the test part of `nonsense` are read, by how often they stand in the training part.

    Args:
        checkpoint: of a tagger of it.
        part: the test part ``(N, T, X + 1)``, as that tagger reads it.
    """
    import torch

    train, _, test = nonsense.drawn()
    seen = Counter(word for sentence in train for word in sentence.tokens)
    times = torch.tensor([seen[word] for sentence in test for word in sentence.tokens])
    model, nll, right = checkpoint.build(), [], []
    for piece in part.split(250):
        tokens, labels, lengths = tokens_and_labels(piece.transpose(0, 1).long())  # (T, B, X), (T, B), (B,)
        with torch.no_grad():
            log_p = model.decode(model.run(model.embed(tokens), None, lengths)[0]).log_softmax(-1)  # (T, B, V)
        asked = (labels != IGNORED).T  # sentence by sentence, as in ``times``
        nll.append(-log_p.gather(-1, labels.clamp(min=0)[..., None])[..., 0].T[asked])
        right.append((log_p.argmax(-1) == labels).T[asked])
    losses, hits = torch.cat(nll), torch.cat(right).float()
    bins = torch.bucketize(times, torch.tensor([*OFTEN.values()]), right=True) - 1
    found = {label: bins == k for k, label in enumerate(OFTEN)}
    return {
        label: Read(int(there.sum()), hits[there].mean().item(), losses[there].mean().item())
        for label, there in found.items()
    }
