"""How far back a model can look, asked of models whose answers are known."""

import pytest
import torch

from lstmviz.data.grammars import GRAMMARS, generate
from lstmviz.data.vocabulary import Vocabulary
from lstmviz.explain.distance import LONGEST, accuracy_by_distance


class Knows:
    """Remembers the last symbol for ``reach`` tokens, and then says "a"."""

    def __init__(self, vocabulary: Vocabulary, reach: int) -> None:
        self.vocabulary, self.reach, self.device = vocabulary, reach, torch.device("cpu")

    def __call__(self, tokens: torch.Tensor, state=None):
        symbols = {self.vocabulary.ids[symbol] for symbol in "abcd"}
        logits = torch.zeros(*tokens.shape, len(self.vocabulary))
        for b in range(tokens.shape[1]):
            last, at = self.vocabulary.ids["a"], -self.reach
            for t, token in enumerate(tokens[:, b].tolist()):
                if token in symbols:
                    last, at = token, t
                logits[t, b, last if t - at <= self.reach else self.vocabulary.ids["a"]] = 1.0
        return logits, [{"hidden": torch.zeros(1, 1)}]


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return generate("recall", 100).vocabulary


def test_who_remembers_is_right_at_every_distance(vocabulary):
    table = accuracy_by_distance(Knows(vocabulary, LONGEST), vocabulary, "recall", sentences=40)
    assert (table["accuracy"] == 1).all()
    assert table["distance"].tolist() == [2, 4, 8, 16, 32, 64, 128, 256][: len(table)]
    assert table["distance"].max() > 64  # further than in any training text


def test_who_forgets_is_right_up_to_there_and_guesses_beyond(vocabulary):
    table = accuracy_by_distance(Knows(vocabulary, 16), vocabulary, "recall", sentences=120).set_index("distance")
    assert (table.loc[:16, "accuracy"] == 1).all()
    assert (table.loc[32:, "accuracy"] < 0.6).all()


class Unigram:
    """Always says the same: the scores are of one text as of many, and there is no state."""

    device = torch.device("cpu")

    def __init__(self, scores: torch.Tensor) -> None:
        self.scores = scores  # (V,)

    def __call__(self, tokens, state=None):
        return self.scores.expand(*tokens.shape, -1), []


def test_what_always_says_the_same_is_right_as_often_as_that_is_the_answer(vocabulary):
    scores = torch.zeros(len(vocabulary))
    scores[vocabulary.ids["a"]] = 1
    table = accuracy_by_distance(Unigram(scores), vocabulary, "recall", sentences=200)
    share = (table["accuracy"] * table["questions"]).sum() / table["questions"].sum()
    assert share == pytest.approx(1 / 4, abs=0.05)


@pytest.mark.parametrize("name", GRAMMARS)
def test_every_grammar_can_be_asked_and_the_questions_are_always_the_same(name, make_checkpoint):
    checkpoint = make_checkpoint(vocabulary=generate(name, 200).vocabulary)
    one, same = (accuracy_by_distance(checkpoint.build(), checkpoint.vocabulary, name, sentences=20) for _ in range(2))
    assert one.equals(same) and one["questions"].sum() >= 20
    assert one["accuracy"].between(0, 1).all()
