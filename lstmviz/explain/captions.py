"""Does a text that a label begins follow from the label? Where the label decides, a model is asked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from lstmviz.data.captions import GENERATED
from lstmviz.data.vocabulary import IGNORED, Vocabulary
from lstmviz.model import LanguageModel, at_once
from lstmviz.tasks.base import judge
from lstmviz.tasks.caption import label_and_said


class Decided(NamedTuple):
    """How well what a label decides is said.

    Args:
        right: share of the texts of which all that their label decides is right: the likeliest of the tokens that it
            allows and of those that other labels would allow is one that it allows.
        other: the same, where another label begins the text.
        by_distance: the share of right answers, by the number of tokens read since the label, up to a power of two.
    """

    right: float
    other: float
    by_distance: dict[int, float]


def begun_by_another(part: Tensor, labels: int) -> Tensor:
    """The same texts ``(N, T, 3)``, each begun by the label after its own."""
    return torch.cat([(part[..., :1] + 1) % labels, part[..., 1:]], dim=-1)


def nats_of_another(model: LanguageModel, part: Tensor) -> float:
    """The mean loss a token of texts ``(N, T, 3)`` where another label begins them."""
    return judge(model, begun_by_another(part, model.config.labels_read or 1), label_and_said).nll


def where_it_decides(model: LanguageModel, part: Tensor, says: Vocabulary, labels: Vocabulary, name: str) -> Decided:
    """Ask a model in eval mode all that is decided in these texts ``(N, T, 3)`` of generated data.

    Args:
        says, labels: the model's vocabularies.
        name: in `lstmviz.data.captions.GENERATED`.
    """
    own = [*_answers(model, part, says, labels, name)]
    others = [*_answers(model, part, says, labels, name, another=True)]
    by_distance: dict[int, list[bool]] = defaultdict(list)
    for answers in own:
        for distance, right in answers:
            by_distance[1 << max(0, distance - 1).bit_length()].append(right)

    def share(texts: list[list[tuple[int, bool]]]) -> float:
        return sum(all(right for _, right in answers) for answers in texts) / len(texts)

    found = {distance: sum(rights) / len(rights) for distance, rights in sorted(by_distance.items())}
    return Decided(share(own), share(others), found)


@torch.no_grad()
def _answers(
    model: LanguageModel, part: Tensor, says: Vocabulary, labels: Vocabulary, name: str, *, another: bool = False
) -> Iterator[list[tuple[int, bool]]]:
    """Of each text the distance of every question, and whether it is answered rightly."""
    for texts in part.split(max(1, at_once(len(says)) // part.shape[1])):
        begun = begun_by_another(texts, len(labels)) if another else texts
        inputs, _, _ = label_and_said(begun.transpose(0, 1).long().to(model.device))
        hidden, _ = model.run(model.embed(inputs[..., 1]), model.begun(inputs[0, :, 0]))
        scores = model.decode(hidden).transpose(0, 1).cpu().numpy()  # (N, T, V)
        for text, of_text in zip(texts.tolist(), scores, strict=True):
            tokens, answers = [says.tokens[said] for _, _, said in text if said != IGNORED], []
            for question in GENERATED[name].asked(labels.tokens[text[0][0]], tokens):
                right, wrong = ([says.ids[token] for token in each] for each in (question.right, question.wrong))
                at = of_text[question.time]
                answers.append((question.distance, bool(at[right].max() > at[wrong].max())))
            yield answers
