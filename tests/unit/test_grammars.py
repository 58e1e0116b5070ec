"""Generated corpora and their hidden variables."""

import random
from itertools import pairwise

import numpy as np
import pytest
import torch

from lstmviz.data.grammars import GRAMMARS, MAX_DEPTH, MAX_DISTANCE, generate, hidden_variable
from lstmviz.data.vocabulary import UNK


@pytest.mark.parametrize("name", GRAMMARS)
def test_the_same_seed_gives_the_same_corpus(name):
    one, same, other = generate(name, 50), generate(name, 50), generate(name, 50, seed=1)
    assert one.sha256 == same.sha256 != other.sha256
    assert torch.equal(one.train, same.train)
    assert one.vocabulary.level == GRAMMARS[name].level
    assert len(one.train) > 4 * len(one.test) > 0


@pytest.mark.parametrize("name", GRAMMARS)
def test_the_training_part_knows_every_token(name):
    corpus = generate(name, 1000)
    for part in (corpus.train, corpus.valid, corpus.test):
        assert (part != corpus.vocabulary.ids[UNK]).all()


def test_brackets_close_what_they_open_and_the_depth_is_their_count():
    corpus = generate("brackets", 200)
    text = corpus.vocabulary.decode(corpus.train.tolist())
    for line in text.splitlines():
        depths = np.cumsum([(c == "(") - (c == ")") for c in line])
        assert depths[-1] == 0 and (depths[:-1] > 0).all() and depths.max() <= MAX_DEPTH
        np.testing.assert_array_equal(hidden_variable("brackets", line), depths)
    assert hidden_variable("brackets", ")))(").tolist() == [0, 0, 0, 1]
    assert hidden_variable("brackets", "((\n(").tolist() == [1, 2, 0, 1]


def test_the_verb_agrees_with_the_subject_across_attractors():
    tokens = "the small keys near the cabinet are old . <eos> the dog".split()
    number = hidden_variable("agreement", tokens)
    np.testing.assert_array_equal(number, [np.nan, np.nan, 1, 1, 1, 1] + [np.nan] * 5 + [-1])

    plurals = {"are", "were", "have", "see"}
    corpus = generate("agreement", 300)
    for sentence in corpus.vocabulary.decode(corpus.train.tolist()).splitlines():
        words = sentence.split()
        verb = words[-3]
        assert hidden_variable("agreement", words)[-4] == (1 if verb in plurals else -1), sentence


def test_recall_asks_for_the_same_symbol_over_growing_distances():
    corpus = generate("recall", 300)
    for sentence in corpus.vocabulary.decode(corpus.train.tolist()).splitlines():
        symbol, *_ = sentence
        answers = [sentence[t + 1] for t, c in enumerate(sentence) if c == "?"]
        assert set(answers) == {symbol} and sentence[-1] == symbol
        distances = [question.distance for question in GRAMMARS["recall"].questions(sentence)]
        assert distances == [len(gap) for gap in sentence[1:].split(symbol)[:-1]]  # the fillers and the ?
        assert all(a < b for a, b in pairwise(distances)) and max(distances) <= MAX_DISTANCE
        assert len(set(hidden_variable("recall", sentence))) == 1
    assert np.isnan(hidden_variable("recall", "xa?\nx")).tolist() == [True, False, False, True, True]


@pytest.mark.parametrize("name", GRAMMARS)
def test_the_text_itself_answers_every_question(name):
    grammar, rng = GRAMMARS[name], random.Random(0)
    for reach in (1, 4):
        for _ in range(100):
            sentence = [*grammar.sentence(rng, reach), grammar.end]
            questions = list(grammar.questions(sentence[:-1]))
            assert questions
            for question in questions:
                assert sentence[question.time + 1] in question.right
                assert not question.right & question.wrong
                assert 0 <= question.distance <= question.time


def test_bad_requests_are_refused():
    with pytest.raises(ValueError, match="must be one of brackets, agreement"):
        generate("klingon")
    with pytest.raises(ValueError, match="at least 10"):
        generate("brackets", 9)
