"""The training loop."""

import dataclasses
import math

import pytest
import torch
import torch.nn.functional as F

from lstmviz.cells import CELLS
from lstmviz.config import ModelConfig, TrainConfig
from lstmviz.data.grammars import generate
from lstmviz.data.vocabulary import SPECIALS, UNK, Corpus
from lstmviz.model import LanguageModel, Predictor
from lstmviz.training import loop
from lstmviz.training.loop import (
    Metrics,
    Trainer,
    check_memory,
    evaluate,
    parallel_streams,
    unknown_share,
)

CORPUS = generate("brackets", 400)
CONFIG = TrainConfig("brackets", bptt=16, batch_size=8, learning_rate=1e-2, steps=60, eval_every=30)


def small_model(**options) -> LanguageModel:
    torch.manual_seed(0)
    return LanguageModel(ModelConfig(embedding_size=4, hidden_size=8, **options), len(CORPUS.vocabulary))


def train(model: LanguageModel, corpus: Corpus, config: TrainConfig) -> list[Metrics]:
    """Every record of a whole training."""
    return [metrics for metrics in Trainer(model, corpus, config) if metrics]


def test_training_lowers_the_loss_and_says_how_it_goes():
    model = small_model()
    before = evaluate(model, CORPUS.valid)
    records = train(model, CORPUS, CONFIG)
    assert [r.step for r in records] == [1, 25, 30, 50, 60]
    assert [r.valid_nll is not None for r in records] == [False, False, True, False, True]
    assert records[-1].valid_nll < records[2].valid_nll < before
    assert [r.is_best for r in records] == [False, False, True, False, True]
    assert all(r.tokens_per_second > 0 and r.gradient_norm > 0 for r in records)
    assert records[-1].epoch == pytest.approx(60 / ((len(CORPUS.train) // 8 - 1) // 16))
    assert not any(r.zero_gradients for r in records)


def test_the_same_seed_gives_the_same_weights():
    def trained() -> LanguageModel:
        model = small_model(dropout=0.2)
        train(model, CORPUS, CONFIG)
        return model

    for one, other in zip(trained().parameters(), trained().parameters(), strict=True):
        assert torch.equal(one, other)


def assert_same_bits(one: Trainer, other: Trainer) -> None:
    a, b = one.state_dict(), other.state_dict()
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a if name != "clock")


def learns_and_resumes_bitwise(whole: Trainer, first: Trainer, second: Trainer) -> None:
    losses = [metrics.valid_nll for metrics in whole if metrics and metrics.valid_nll]
    assert losses[1] < losses[0]
    list(zip(range(first.config.steps // 2 + 1), first, strict=False))
    second.load_state_dict(first.state_dict())
    list(second)
    assert_same_bits(whole, second)


@pytest.mark.parametrize("stop", [1, 7, 25, 40])
@pytest.mark.parametrize("how", [{"schedule": "cosine"}, {"schedule": "plateau"}, {"optimizer": "sgd", "log_every": 3}])
def test_a_resumed_training_is_bitwise_that_which_never_stopped(stop, how):
    config = dataclasses.replace(CONFIG, **how)
    whole = Trainer(small_model(dropout=0.2, num_layers=2), CORPUS, config)
    expected = [metrics for metrics in whole if metrics]

    first = Trainer(small_model(dropout=0.2, num_layers=2), CORPUS, config)
    seen = [metrics for metrics, _ in zip(first, range(stop), strict=False) if metrics]
    saved = first.state_dict()
    torch.manual_seed(99)  # another process, whose random numbers are elsewhere
    second = Trainer(small_model(dropout=0.2, num_layers=2), CORPUS, config)
    second.load_state_dict(saved)
    seen += [metrics for metrics in second if metrics]

    assert_same_bits(whole, second)
    timed = ("seconds", "tokens_per_second")
    plain = [
        [{k: v for k, v in dataclasses.asdict(m).items() if k not in timed} for m in ms] for ms in (expected, seen)
    ]
    assert plain[0] == plain[1]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bfloat16", [False, True])
def test_every_cell_learns_and_resumes_bitwise(cell, bfloat16):
    config = dataclasses.replace(CONFIG, bptt=8, steps=4, eval_every=2, bfloat16=bfloat16)

    def trainer() -> Trainer:
        return Trainer(small_model(cell=cell, num_layers=2), CORPUS, config)

    learns_and_resumes_bitwise(trainer(), trainer(), trainer())


def test_an_adaptive_softmax_learns_and_resumes_bitwise():
    words = torch.tensor([3, 1_999, 2_000, 9_999]).repeat(500)  # common ones and rare ones; each tells the next
    corpus = dataclasses.replace(CORPUS, train=words, valid=words[:40])
    config = dataclasses.replace(CONFIG, steps=12, eval_every=6, bfloat16=True)

    def trainer() -> Trainer:
        torch.manual_seed(0)
        return Trainer(LanguageModel(ModelConfig("lstm", 8, 8, adaptive_softmax=True), 10_000), corpus, config)

    learns_and_resumes_bitwise(trainer(), trainer(), trainer())


def test_windows_follow_each_other_and_wrap_around():
    seen = []

    class Spy(LanguageModel):
        def loss(self, tokens, targets, state=None, lengths=None):
            if self.training:
                seen.append((tokens, state))
            return super().loss(tokens, targets, state, lengths)

    corpus = dataclasses.replace(CORPUS, train=CORPUS.train[: 8 * 50])  # three windows of 16 in each of 8 streams
    list(train(Spy(ModelConfig(hidden_size=8), len(CORPUS.vocabulary)), corpus, dataclasses.replace(CONFIG, steps=4)))
    streams = parallel_streams(corpus.train, 8)
    for step, (tokens, state) in enumerate(seen):
        start = step % 3 * 16
        assert torch.equal(tokens, streams[start : start + 16])
        assert (state is None) == (start == 0)
        assert state is None or not any(v.requires_grad for layer in state for v in layer.values())


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [("constant", [1e-2] * 4), ("cosine", [1e-2 / 2 * (1 + math.cos(math.pi * s / 40)) for s in (10, 20, 30, 40)])],
)
def test_the_learning_rate_follows_its_schedule(schedule, rates):
    config = dataclasses.replace(CONFIG, schedule=schedule, steps=40, eval_every=10)
    records = [r for r in train(small_model(), CORPUS, config) if r.valid_nll]
    assert [r.learning_rate for r in records] == pytest.approx(rates)


def test_a_plateau_cuts_the_rate_and_the_third_cut_ends(monkeypatch):
    losses = iter([2.0, 2.1, 1.9, 1.9, 1.8, 1.8, 1.0])
    monkeypatch.setattr("lstmviz.training.loop.evaluate", lambda *_: next(losses))
    config = dataclasses.replace(CONFIG, schedule="plateau", learning_rate=0.64, steps=100, eval_every=1)
    records = train(small_model(), CORPUS, config)
    assert [r.is_best for r in records] == [True, False, True, False, True, False]
    assert [r.learning_rate for r in records] == pytest.approx([0.64, 0.64, 0.16, 0.16, 0.04, 0.04])


def test_parameters_that_cannot_learn_are_named():
    model = small_model()
    with torch.no_grad():
        model.decoder.weight.zero_()  # nothing before the decoder gets a gradient
    records = train(model, CORPUS, dataclasses.replace(CONFIG, steps=50))
    assert "embedding.weight" in records[0].zero_gradients
    assert not records[1].zero_gradients


def test_a_diverged_training_stops():
    model = small_model()
    with torch.no_grad():
        model.decoder.bias[0] = torch.nan
    with pytest.raises(FloatingPointError, match="diverged: the loss became nan at step 1; try a lower learning rate"):
        train(model, CORPUS, CONFIG)
    with pytest.raises(FloatingPointError, match="the loss became nan between step 2 and step 25; try a lower"):
        train(small_model(), CORPUS, dataclasses.replace(CONFIG, learning_rate=1e300))


def test_a_step_of_gradient_descent_is_as_long_as_the_clipped_gradient_times_the_rate():
    config = dataclasses.replace(
        CONFIG, optimizer="sgd", learning_rate=0.5, clip_norm=1e-3, schedule="constant", steps=3, log_every=1
    )
    model = small_model()
    trainer = Trainer(model, CORPUS, config)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    for step, metrics in enumerate(trainer, start=1):
        assert metrics is not None and metrics.step == step and metrics.gradient_norm > 1e-3  # as it was, unclipped
        moved = [after.detach() - b for after, b in zip(model.parameters(), before, strict=True)]
        assert torch.cat([each.flatten() for each in moved]).norm().item() == pytest.approx(0.5e-3, rel=1e-3)
        before = [parameter.detach().clone() for parameter in model.parameters()]


def test_a_gradient_that_is_no_number_is_said_before_the_weights_are_used():
    model = small_model()
    model.decoder.weight.register_hook(lambda gradient: gradient * torch.inf)
    with pytest.raises(FloatingPointError, match=r"the gradient's norm became (nan|inf) at step 1"):
        train(model, CORPUS, CONFIG)


def test_a_corpus_shorter_than_a_window_is_refused():
    corpus = dataclasses.replace(CORPUS, train=CORPUS.train[:100])
    with pytest.raises(ValueError, match="has 100 tokens; bptt 16 in 8 streams needs at least 136"):
        train(small_model(), corpus, CONFIG)


def test_evaluation_is_the_mean_nll_of_one_pass_whatever_the_window(monkeypatch):
    model = small_model(dropout=0.5).train()
    tokens = CORPUS.valid[:200]
    logits, _ = model.eval()(tokens[:-1, None])
    expected = F.cross_entropy(logits[:, 0], tokens[1:]).item()
    model.train()
    for window in (1, 7, 199, 8192):
        monkeypatch.setattr("lstmviz.training.loop.WINDOW_MOST", window)
        assert evaluate(model, tokens) == pytest.approx(expected, abs=1e-5)
    assert model.training
    assert evaluate(model, tokens[:2]) > 0
    assert evaluate(model, tokens, batch_size=4) == pytest.approx(expected, rel=0.2)


class Unigram:
    """Knows how often each token comes, and looks at nothing that it reads."""

    device = torch.device("cpu")

    def __init__(self, tokens: torch.Tensor, vocab_size: int) -> None:
        counts = torch.bincount(tokens, minlength=vocab_size) + 1.0
        self.log_p = (counts / counts.sum()).log()  # (V,)

    def __call__(self, tokens, state=None):
        return self.log_p.expand(*tokens.shape, -1), []

    def loss(self, tokens, targets, state=None, lengths=None):
        return -self.log_p[targets].mean(), []


def test_what_is_no_network_is_evaluated_like_one():
    unigram: Predictor = Unigram(CORPUS.train, len(CORPUS.vocabulary))
    tokens = CORPUS.valid[:1000]
    expected = F.nll_loss(unigram.log_p.expand(999, -1), tokens[1:]).item()
    assert evaluate(unigram, tokens) == pytest.approx(expected)
    assert evaluate(unigram, tokens, batch_size=7) == pytest.approx(expected, rel=0.02)
    # A network that says the same loses the same.
    model = small_model()
    with torch.no_grad():
        model.decoder.weight.zero_()
        model.decoder.bias.copy_(unigram.log_p + 3)  # but for a number that all have in common
    assert evaluate(model, tokens) == pytest.approx(expected, abs=1e-5)


def test_the_share_of_unknown_tokens_is_of_those_that_are_predicted():
    unknown = SPECIALS.index(UNK)
    assert unknown_share(torch.tensor([unknown, 5, unknown, 5, 6], dtype=torch.int32)) == 0.25
    assert unknown_share(torch.tensor([5, 5])) == 0 and unknown_share(torch.tensor([5, unknown])) == 1
    many = torch.full((2**20 + 8,), unknown)  # more than are counted at once
    many[1:5] = 4
    assert unknown_share(many) == (2**20 + 3) / (2**20 + 7)


def test_streams_stand_side_by_side():
    assert parallel_streams(torch.arange(11), 2).tolist() == [[0, 5], [1, 6], [2, 7], [3, 8], [4, 9]]


def test_a_model_too_large_for_the_machine_is_refused_before_it_is_allocated(monkeypatch):
    monkeypatch.setattr(loop, "memory_there", lambda device: 8 * 2**30)
    check_memory(ModelConfig(), 100, CONFIG)
    with pytest.raises(
        ValueError, match=r"1,07\d,\d{3},\d{3} parameters; training it takes 16\.\d GB and there are 8\.0 GB"
    ):
        check_memory(ModelConfig(hidden_size=16_384), 100, CONFIG)
    with pytest.raises(ValueError, match=r"a shorter window or a smaller batch"):
        check_memory(ModelConfig(), 100_000, dataclasses.replace(CONFIG, bptt=1000, batch_size=1024))
    check_memory(ModelConfig(adaptive_softmax=True), 100_000, dataclasses.replace(CONFIG, bptt=200, batch_size=64))


def test_a_tail_without_a_rare_token_is_no_dead_parameter():
    words = torch.tensor([3, 5]).repeat(500)
    corpus = dataclasses.replace(CORPUS, train=words, valid=words[:40])
    model = LanguageModel(ModelConfig("lstm", 8, 8, adaptive_softmax=True), 10_000)
    first, *_ = (metrics for metrics in Trainer(model, corpus, dataclasses.replace(CONFIG, steps=1)) if metrics)
    assert first.zero_gradients == ()
