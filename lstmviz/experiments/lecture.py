"""The lecture: what language models before and beside the LSTM take and give, on two texts."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch

from lstmviz import checkpoint as checkpoints
from lstmviz.baselines import LONGEST, Counts, FixedWindow, NGram, add_k, growth
from lstmviz.config import ADAPTIVE_FROM, ModelConfig
from lstmviz.data.vocabulary import Corpus
from lstmviz.experiments.base import WORDS_MOST, Experiment, Figure, Member, Setting, Table, View
from lstmviz.home import SHIPPED
from lstmviz.model import LanguageModel, Predictor, parameter_count, perplexity
from lstmviz.training.loop import Trainer, evaluate

LECTURE = "a lecture on language models before and beside the LSTM, which has no figures of its own"
TIMED = 10_000  # tokens of the validation part that a model reads to see how fast it is
READS = (2, 4, 8)  # tokens in a fixed window
NGRAMS = tuple(f"{n}-gram" for n in range(1, LONGEST + 1))
FULLY = {  # models of these texts that come with the project: level -> name -> file
    "char": {
        "simple RNN, 128 units, long": "shakespeare-char-rnn-128",
        "LSTM, 128 units, long": "shakespeare-char-lstm-128",
        "LSTM, 256 units, long": "shakespeare-char-lstm",
    },
    "word": {"LSTM, 2 × 200 units, long": "wikitext2-word-lstm"},
}
MODELS = "language models on the validation part"
COUNTED = Table(
    "runs of n tokens: what they take, and what they lack",
    "n",
    tuple(f"{n}" for n in range(1, LONGEST + 1)),
    ("different runs", "MB", "never counted, %", "context never counted, %", "add 0.1", "Kneser-Ney"),
    charts={
        "storage: different runs": ("different runs",),
        "sparsity: % never counted": ("never counted, %", "context never counted, %"),
        "perplexity": ("Kneser-Ney",),
    },
    notes={
        "never counted, %": "of the validation part: to maximum likelihood it is impossible",
        "add 0.1": "perplexity if everything had been counted 0.1 times more",
        "Kneser-Ney": "perplexity",
    },
)


def _baselines(setting: Setting) -> Iterator[Member]:
    """N-grams, fixed windows, and networks with a memory."""
    corpus, size = setting.corpus, len(setting.corpus.vocabulary)
    counts, valid = Counts.of(corpus.train, LONGEST, size), np.asarray(corpus.valid, np.int64)
    for row in growth(counts, valid):
        shorter = counts.up_to(row.n)
        kneser_ney, lidstone = NGram(shorter), NGram(shorter, lambda counts: add_k(counts, 0.1))
        nll = float(kneser_ney.nll(valid)[1:].mean())
        told = {
            "different runs": row.runs,
            "MB": row.nbytes / 1e6,
            "never counted, %": 100 * row.unseen,
            "context never counted, %": 100 * row.unseen_context,
            "add 0.1": perplexity(float(lidstone.nll(valid)[1:].mean())),
            "Kneser-Ney": perplexity(nll),
        }
        figures = (Figure(COUNTED.title, f"{row.n}", column, value) for column, value in told.items())
        yield _model(f"{row.n}-gram", kneser_ney, nll, shorter.size, shorter.nbytes, corpus, *figures)
    config = ModelConfig(hidden_size=200, adaptive_softmax=size >= ADAPTIVE_FROM)
    train = replace(setting.train, bptt=32, learning_rate=3e-3)
    steps = setting.epoch(train) * setting.epochs
    train = replace(train, steps=steps, eval_every=steps)
    for name, make in (
        *((f"window of {n}", partial(FixedWindow, config, n=n)) for n in READS),
        ("simple RNN", partial(LanguageModel, replace(config, cell="rnn"))),
        ("LSTM", partial(LanguageModel, config)),
    ):
        torch.manual_seed(setting.seeds[0])
        model = make(vocab_size=size)
        *_, last = filter(None, Trainer(model, corpus, replace(train, seed=setting.seeds[0])))
        count = sum(parameter.numel() for parameter in model.parameters())
        yield _model(name, model.eval(), last.valid_nll or math.nan, count, 4 * count, corpus)
    for name, file in FULLY[corpus.vocabulary.level].items():
        best = checkpoints.load(SHIPPED / "checkpoints" / f"{file}.safetensors")
        if best.vocabulary == corpus.vocabulary and best.corpus_sha256 == corpus.sha256:
            count = parameter_count(best.model, size)
            yield _model(name, best.build(), best.results["valid_nll"], count, 4 * count, corpus)


def _model(name: str, model: Predictor, nll: float, numbers: int, nbytes: int, corpus: Corpus, *more: Figure) -> Member:
    """One row of `MODELS`, and whatever else was found out."""
    tokens, begun = corpus.valid[:TIMED], time.process_time()
    evaluate(model, tokens)
    speed = len(tokens) / (time.process_time() - begun)
    told = {"perplexity": perplexity(nll), "numbers": numbers, "MB": nbytes / 1e6, "tokens a second": round(speed, -2)}
    figures = (Figure(MODELS, name, column, value) for column, value in told.items())
    return Member(name, 0, numbers, figures=(*figures, *more))


def _lecture(name: str, title: str, corpus: str, level: str, view: View, **more: Any) -> Experiment:
    models = Table(
        MODELS,
        "model",
        (*NGRAMS, *(f"window of {n}" for n in READS), "simple RNN", "LSTM", *FULLY[level]),
        ("perplexity", "numbers", "MB", "tokens a second"),
        notes={
            "perplexity": "n-grams: interpolated Kneser-Ney, three discounts (Chen & Goodman 1999). Windows, RNN and "
            "LSTM: trained alike, and shortly; those called long come with the project",
            "numbers": "that are learned, or runs of up to n tokens that were counted",
            "tokens a second": "of processor time, read one after the other",
        },
    )
    return Experiment(
        name,
        title,
        LECTURE,
        "The longer the run, the better its guess and the larger the table, until most runs were never counted; a "
        "network of the same text takes less room and says more, the more so if it has a memory.",
        corpus=corpus,
        question="How far do counted runs of tokens get, and what do they cost?",
        tables=(models, COUNTED),
        grids=lambda _: {},
        figures=lambda _: (),
        untrained=_baselines,
        cut={"level": level} | ({"max_words": WORDS_MOST} if level == "word" else {}),
        views=(view,),
        **more,
    )


EXPERIMENTS = (
    _lecture(
        "baselines-words",
        "Before the LSTM: words",
        "wikitext-2",
        "word",
        View(
            "where memory pays off, token by token: the 4-gram over the LSTM's loss",
            "watch",
            ("wikitext2-word-lstm",),
            "When she tried to print her tickets, she found that the printer was out of toner.",
        ),
        showed="From three words on a longer run hardly helps (124.8, then 121.6 and 120.1), while the table grows "
        "to nine million runs: of four words in a row three quarters were never counted, and to maximum likelihood "
        "the text is impossible. Networks that were trained for 1,000 steps, half a pass, are still behind a "
        "2-gram, and memory does not pay yet; trained until it is good, an LSTM nearly halves the perplexity of "
        "the largest table (64.0), in a fourteenth of the room.",
    ),
    _lecture(
        "baselines-characters",
        "Before the LSTM: characters",
        "tinyshakespeare",
        "char",
        View(
            "where memory pays off, token by token: the 6-gram over the LSTM's loss",
            "watch",
            ("shakespeare-char-lstm",),
            "⏎ROMEO:⏎What light is this, that breaks so soon the night?⏎",
        ),
        showed="Counting is hard to beat where a few characters decide: the 7-gram, 873,000 runs, says more (4.6) "
        "than an LSTM of 128 units that was trained long (5.0); one of 256 units says more (4.4) in a tenth of the "
        "room. From five characters on the table doubles for next to nothing: of seven in a row a third was never "
        "counted. A window of a fixed length learns less in as many steps than an RNN, and that less than an LSTM.",
        epochs=2,
    ),
)
