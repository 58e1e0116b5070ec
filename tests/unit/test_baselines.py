"""Tables of counts: against counting by hand, and against Chen & Goodman's equations written out plainly."""

from collections import Counter
from functools import partial

import numpy as np
import pytest
import torch

from lstmviz.baselines import (
    FALLBACK,
    LONGEST,
    NEVER,
    SMOOTHINGS,
    Counts,
    NGram,
    add_k,
    continuations,
    discounts,
    growth,
    kneser_ney,
    maximum_likelihood,
    told,
)
from lstmviz.config import ModelConfig, TrainConfig
from lstmviz.data.grammars import generate
from lstmviz.data.vocabulary import Corpus, Vocabulary
from lstmviz.explain.distance import accuracy_by_distance
from lstmviz.model import LanguageModel, Predictor
from lstmviz.training.loop import Trainer, evaluate

V = 9
RNG = np.random.default_rng(0)
# A text with some sense: after each token mostly the one of twice its number; so some runs are common, others rare.
TEXT = [4]
for chance in RNG.random(600):
    TEXT.append(int(2 * TEXT[-1] + 1) % V if chance < 0.6 else int(chance * 1e4) % (V - 1))
HELD_OUT = [*TEXT[100:140], *RNG.integers(0, V, 60).tolist()]


def runs(n: int) -> Counter:
    return Counter(tuple(TEXT[t : t + n]) for t in range(len(TEXT) - n + 1))


def all_p(model: NGram, context: list[int]) -> np.ndarray:
    """The probabilities of all tokens after a context of one token or more, ``(V,)``."""
    scores, _ = model(torch.tensor(context)[:, None])
    return scores[-1, 0].double().exp().numpy()


@pytest.mark.parametrize("n", range(1, LONGEST + 1))
def test_what_is_counted_is_what_stands_there(n):
    counts = Counts.of(TEXT, n, V)
    assert counts.n == n and counts.size == sum(len(runs(k)) for k in range(1, n + 1))
    for k in range(1, n + 1):
        for run, times in runs(k).items():
            place = counts.place_of([*run])[0]
            assert counts.times[k - 1][place] == times
        assert counts.times[k - 1].sum() == len(TEXT) - k + 1
    assert counts.place_of([V - 1])[0] == NEVER  # which the text has not
    assert counts.up_to(1).size == len(runs(1))


@pytest.mark.parametrize("n", (1, 2, 3, 5, 7))
@pytest.mark.parametrize("smoothing", SMOOTHINGS)
def test_probabilities_sum_to_one_and_the_loss_is_theirs(n, smoothing):
    model: Predictor = NGram(Counts.of(TEXT, n, V), SMOOTHINGS[smoothing])
    tokens = torch.tensor([HELD_OUT[:50], HELD_OUT[50:]]).T  # (T, B)
    scores, state = model(tokens)
    assert scores.shape == (50, 2, V) and state[0]["context"].shape == (2, n - 1)
    torch.testing.assert_close(scores.exp().sum(-1), torch.ones(50, 2), atol=1e-6, rtol=0)
    loss, _ = model.loss(tokens[:-1], tokens[1:])
    expected = -scores[:-1].gather(-1, tokens[1:, :, None]).mean()
    torch.testing.assert_close(loss.float(), expected)
    # It goes on from its state as if it had never stopped.
    head, begun = model(tokens[:20])
    tail, ended = model(tokens[20:], begun)
    assert torch.equal(torch.cat([head, tail]), scores) and torch.equal(ended[0]["context"], state[0]["context"])


def test_a_trigram_is_the_counted_share():
    model = NGram(Counts.of(TEXT, 3, V), maximum_likelihood)
    pairs = Counter(run[:2] for run in runs(3).elements())
    for (a, b, c), times in runs(3).items():
        assert all_p(model, [a, b])[c] == pytest.approx(times / pairs[a, b], rel=1e-6)
    a, b = next((a, b) for a in range(V - 1) for b in range(V - 1) if (a, b) not in runs(2))
    shorter = NGram(Counts.of(TEXT, 2, V), maximum_likelihood)
    np.testing.assert_allclose(all_p(model, [a, b]), all_p(shorter, [b]))  # a context that was never counted
    assert all_p(model, [0, V - 1]) == pytest.approx(all_p(NGram(Counts.of(TEXT, 1, V), maximum_likelihood), [0]))
    a, b, c = next((a, b, c) for a, b in pairs for c in range(V) if (a, b, c) not in runs(3))
    assert all_p(model, [a, b])[c] == 0 and evaluate(model, torch.tensor([a, b, c])) == np.inf


def test_add_k_counts_everything_k_times_more():
    model = NGram(Counts.of(TEXT, 3, V), partial(add_k, k=0.5))
    pairs = Counter(run[:2] for run in runs(3).elements())
    for a, b in pairs:
        expected = [(runs(3)[a, b, c] + 0.5) / (pairs[a, b] + 0.5 * V) for c in range(V)]
        np.testing.assert_allclose(all_p(model, [a, b]), expected, rtol=1e-6)
    np.testing.assert_allclose(all_p(model, [V - 1, V - 1]), 1 / V, rtol=1e-6)  # of which nothing is known
    with pytest.raises(ValueError, match="k is 0; it must be above 0"):
        add_k(model.counts, 0)


def plain_kneser_ney(context: tuple, token: int, discount: float | None, longest: bool = True) -> float:
    """Chen & Goodman (1999), written as they do: slow, and from the text itself."""
    n = len(context) + 1
    c = runs(n) if longest else Counter(run[1:] for run in runs(n + 1))  # by how many different tokens stand before it
    if discount is not None:
        less = [0, discount, discount, discount]
    else:
        n1, n2, n3, n4 = (sum(times == i for times in c.values()) for i in (1, 2, 3, 4))
        y = n1 / (n1 + 2 * n2) if n1 * n2 * n3 * n4 else 0
        less = [0, 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3] if y else [0, *FALLBACK]
        if not all(0 <= d <= i for i, d in enumerate(less)):
            less = [0, *FALLBACK]
    after = {run[-1]: times for run, times in c.items() if run[:-1] == context}
    shorter = plain_kneser_ney(context[1:], token, discount, longest=False) if context else 1 / V
    if not (total := sum(after.values())):
        return shorter
    share = sum(less[min(times, 3)] for times in after.values()) / total
    return max(after.get(token, 0) - less[min(after.get(token, 0), 3)], 0) / total + share * shorter


@pytest.mark.parametrize("discount", (None, 0.1, 0.75))
@pytest.mark.parametrize("n", (1, 2, 4))
def test_kneser_ney_is_that_of_the_paper(n, discount):
    model = NGram(Counts.of(TEXT, n, V), partial(kneser_ney, discount=discount))
    nll = model.nll(np.array(HELD_OUT))
    for t in range(n - 1, len(HELD_OUT), 7):
        p = plain_kneser_ney(tuple(HELD_OUT[t - n + 1 : t]), HELD_OUT[t], discount)
        assert np.exp(-nll[t]) == pytest.approx(p, rel=1e-9)


def test_discounts_are_estimated_where_they_can_be():
    times = np.repeat([1, 2, 3, 4, 7], [40, 12, 6, 4, 3])
    y = 40 / (40 + 24)
    assert discounts(times) == pytest.approx((1 - 2 * y * 12 / 40, 2 - 3 * y * 6 / 12, 3 - 4 * y * 4 / 6))
    assert discounts(np.array([5, 9])) == FALLBACK  # nothing was counted once
    assert discounts(np.repeat([1, 2, 3, 4], [9, 1, 90, 9])) == FALLBACK  # no discounts come of these
    with pytest.raises(ValueError, match=r"discount is 1.5; it must be from 0 to 1"):
        kneser_ney(Counts.of(TEXT, 2, V), 1.5)


def test_the_loss_of_each_token_is_that_of_an_evaluation():
    model = NGram(Counts.of(TEXT, 4, V))
    nll = model.nll(np.array(HELD_OUT))
    assert nll[1:].mean() == pytest.approx(evaluate(model, torch.tensor(HELD_OUT)), rel=1e-6)
    assert np.exp(-nll[0]) == pytest.approx(plain_first(model))
    assert len(model.nll(np.array([], np.int64))) == 0


def plain_first(model: NGram) -> float:
    """What it says of a token of which it knows nothing but that it is one: the shortest context's share."""
    (alpha, *_), (gamma, *_) = model.alphas, model.gammas
    return float(alpha[model.counts.place_of(HELD_OUT[:1])[0]] + gamma[0] / V)


def test_what_cannot_be_counted_is_said():
    for n in (0, LONGEST + 1):
        with pytest.raises(ValueError, match=f"n is {n}; it must be from 1 to {LONGEST}"):
            Counts.of(TEXT, n, V)
    with pytest.raises(ValueError, match="the text has 0 tokens; runs of 1 can be counted in 1 or more"):
        Counts.of([], 1, V)
    with pytest.raises(ValueError, match="the text has a token 9, and the vocabulary has 9"):
        Counts.of([3, 9], 1, V)
    assert NGram(Counts.of([3, 3], 2, V)).nll(np.array([3, 3, 4])).shape == (3,)  # a text with one run


def test_it_writes_only_what_can_follow():
    model = NGram(Counts.of([3 + i for i in TEXT], 3, V + 3), maximum_likelihood)
    start = torch.tensor([7])
    drawn = model.sample(start, 40, seed=1)
    again, other = model.sample(start, 40, seed=1), model.sample(start, 40, seed=2)
    assert torch.equal(drawn, again) and not torch.equal(drawn, other)
    written = [4, *(drawn - 3).tolist()]
    assert all(run in runs(3) for run in zip(written, written[1:], written[2:], strict=False))
    assert model.sample(start, 1, top_k=1)[0] == all_p(model, [7]).argmax()
    assert len(model.sample(start, 0)) == 0
    only = NGram(Counts.of([1, 1, 1], 2, V), maximum_likelihood)
    with pytest.raises(FloatingPointError, match="nothing but <pad>, <unk> and <sos> can follow"):
        only.sample(torch.tensor([1]), 1)


def test_it_is_asked_a_grammars_questions_as_a_network_is():
    corpus = generate("recall")
    table = accuracy_by_distance(
        NGram(Counts.of(corpus.train, 4, len(corpus.vocabulary))), corpus.vocabulary, "recall", sentences=60
    )
    near, far = table["accuracy"].iloc[0], table["accuracy"].iloc[-1]
    assert near > 0.8 > far  # what stands three tokens back it knows, and nothing of what is further


def test_what_was_counted_after_a_context():
    counts = Counts.of(TEXT, 3, V)
    a, b = TEXT[10:12]
    whole, shorter, none = continuations(counts, [0, 0, 0, a, b], best=2)
    after = Counter(run[2] for run in runs(3).elements() if run[:2] == (a, b))
    assert whole.context == [a, b] and whole.times == runs(2)[a, b] and whole.different == len(after)
    assert dict(zip(whole.tokens, whole.followed, strict=True)).items() <= after.items()
    assert whole.followed == sorted(after.values(), reverse=True)[:2]
    assert (shorter.context, shorter.times) == ([b], runs(1)[b,])
    assert (none.context, none.times, none.different) == ([], len(TEXT), len(runs(1)))
    never = continuations(counts, [V - 1, 4])[0]
    assert (never.times, never.different, never.tokens) == (0, 0, [])
    assert [c.context for c in continuations(counts, [])] == [[]]


def test_what_was_counted_of_each_token():
    counts, ids = Counts.of(TEXT, 3, V), np.array(HELD_OUT)
    found = told(counts, ids)
    for t in range(len(ids)):
        ends = [tuple(HELD_OUT[s : t + 1]) for s in range(max(0, t - 2), t + 1)]
        run = next((run for run in ends if run in runs(len(run))), ())
        before = next((run[:-1] for run in ends if run[:-1] in runs(len(run) - 1)), ())
        assert (found.run[t], found.run_times[t]) == (len(run), runs(len(run))[run] if run else len(TEXT))
        assert (found.context[t], found.context_times[t]) == (
            len(before),
            runs(len(before))[before] if before else len(TEXT),
        )
    assert all(len(values) == 0 for values in vars(told(counts, ids[:0])).values())


def test_the_longer_the_run_the_larger_the_table_and_the_more_it_lacks():
    counts = Counts.of(TEXT, 4, V)
    rows = growth(counts, np.array(HELD_OUT))
    for row in rows:
        held_out = [tuple(HELD_OUT[t : t + row.n]) for t in range(len(HELD_OUT) - row.n + 1)]
        assert row.runs == len(runs(row.n)) and row.nbytes == 16 * row.runs
        assert row.unseen == pytest.approx(np.mean([run not in runs(row.n) for run in held_out]))
    assert [row.unseen_context for row in rows[1:]] == [row.unseen for row in rows[:-1]]
    assert counts.nbytes == sum(row.nbytes for row in rows)
    assert [row.unseen for row in rows] == sorted(row.unseen for row in rows)


@pytest.mark.parametrize("n", (1, 2, 5))
def test_a_fixed_window_sees_its_tokens_and_no_others(n):
    torch.manual_seed(0)
    model = LanguageModel(ModelConfig("rnn", embedding_size=3, hidden_size=6, window=n), V).eval()
    tokens = torch.tensor(HELD_OUT[:24])[:, None]  # (T, 1)
    logits, state = model(tokens)
    assert logits.shape == (24, 1, V) and state[0]["before"].shape == (1, n - 1, 3)
    # By the paper: concatenated embeddings, one hidden layer, the scores.
    x = model.embedding(tokens[24 - n :, 0]).flatten()
    hidden = torch.tanh(model.layers.hidden.weight @ x + model.layers.hidden.bias)
    torch.testing.assert_close(logits[-1, 0], model.decoder.weight @ hidden + model.decoder.bias)
    other = tokens.clone()
    other[10] = (other[10] + 1) % V
    changed = (model(other)[0] != logits).any(-1)[:, 0].nonzero().flatten().tolist()
    assert changed == list(range(10, 10 + n))
    # In two pieces as in one.
    head, begun = model(tokens[:9])
    torch.testing.assert_close(torch.cat([head, model(tokens[9:], begun)[0]]), logits)


def test_a_fixed_window_learns_what_stands_in_it():
    """What follows 4 and 5 here depends on what stands before them."""
    stream = torch.tensor([4, 4, 5, 6, 5, 7] * 300)
    vocabulary = Vocabulary.of("char", "abcd")
    corpus = Corpus("x", vocabulary, stream, stream, stream, "0")
    found = {}
    for n in (1, 3):
        torch.manual_seed(0)
        model = LanguageModel(ModelConfig("rnn", embedding_size=4, hidden_size=12, window=n), len(vocabulary))
        train = TrainConfig("x", bptt=16, batch_size=4, steps=120, learning_rate=2e-2, eval_every=120)
        *_, last = filter(None, Trainer(model, corpus, train))
        found[n] = last.valid_nll
    assert found[3] < 0.05 < 0.3 < found[1]
    with pytest.raises(ValueError, match="window is 0; it must be a whole number from 1"):
        ModelConfig("rnn", window=0)
    with pytest.raises(ValueError, match="so cell must be rnn and num_layers 1, and they are lstm and 2"):
        ModelConfig("lstm", num_layers=2, window=4)
