"""The lecture: what language models before and beside the LSTM take and give, on two texts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from lstmviz import checkpoint as checkpoints
from lstmviz.baselines import LONGEST, Counts, NGram, add_k, growth
from lstmviz.checkpoint import Checkpoint
from lstmviz.config import ADAPTIVE_FROM, ModelConfig
from lstmviz.data.vocabulary import Corpus
from lstmviz.experiments.base import WORDS_MOST, Experiment, Figure, Member, Setting, Table, Trained, View
from lstmviz.home import SHIPPED
from lstmviz.model import Predictor
from lstmviz.sizes import parameter_count, perplexity
from lstmviz.training.folder import RunConfig
from lstmviz.training.grid import Grid
from lstmviz.training.loop import evaluate

LECTURE = "a lecture on language models before and beside the LSTM, which has no figures of its own"
TIMED = 10_000  # tokens of the validation part that a model reads to see how fast it is
NGRAMS = tuple(f"{n}-gram" for n in range(1, LONGEST + 1))
NETWORKS = {"rnn": "simple RNN", "lstm": "LSTM"}
# By the level of the text: tokens in a fixed window; and the models that come with the project, name -> file.
READS = {"char": (1, 2, 4, 8), "word": (2, 4, 8)}
KEPT = {
    "char": {
        "simple RNN": "shakespeare-char-rnn-128",
        "LSTM": "shakespeare-char-lstm-128",
        "LSTM, 256 units": "shakespeare-char-lstm",
    },
    "word": {"LSTM": "wikitext2-word-lstm"},
}
ROMEO = "⏎ROMEO:⏎What light is this, that breaks so soon the night?⏎"
MODELS = "language models on the validation part"
WINDOWS = "perplexity by how many tokens are seen"
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


def _grids(setting: Setting) -> dict[str, Grid]:
    """Fixed windows, and those networks with a memory that do not come with the project."""
    corpus, level = setting.corpus, setting.corpus.vocabulary.level
    model = ModelConfig("rnn", adaptive_softmax=len(corpus.vocabulary) >= ADAPTIVE_FROM)
    how = {"steps": 4_000, "eval_every": 500} if level == "char" else {"bptt": 35, "steps": 1_864, "eval_every": 932}
    how["steps"] *= setting.epochs
    base = RunConfig(replace(setting.train, learning_rate=3e-3, **how), model)
    missing = tuple(cell for cell, name in NETWORKS.items() if name not in _kept(corpus))
    grids = {"windows": Grid(base, {"model.window": READS[level]})}
    return grids | ({"networks": Grid(base, {"model.cell": missing})} if missing else {})


def _figures(trained: Trained) -> Iterator[Figure]:
    """Of a fixed window, or a network with a memory."""
    if trained.best is None:
        return
    config = trained.best.model
    yield from _of_network(
        f"window of {config.window}" if config.window else NETWORKS[config.cell], trained.best, trained.corpus
    )
    if config.window:
        yield Figure(WINDOWS, f"{config.window}", "fixed window", perplexity(trained.best.results["valid_nll"]))


def _untrained(setting: Setting) -> Iterator[Member]:
    """N-grams, and the networks that come with the project."""
    corpus, size, reads = setting.corpus, len(setting.corpus.vocabulary), READS[setting.corpus.vocabulary.level]
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
        figures = [Figure(COUNTED.title, f"{row.n}", column, value) for column, value in told.items()]
        if row.n - 1 in reads:
            figures.append(Figure(WINDOWS, f"{row.n - 1}", "n-gram", perplexity(nll)))
        figures += _of_model(f"{row.n}-gram", kneser_ney, nll, shorter.size, shorter.nbytes, corpus)
        yield Member(f"{row.n}-gram", 0, shorter.size, figures=tuple(figures))
    for name, kept in _kept(corpus).items():
        yield Member(
            name, kept.train.seed, parameter_count(kept.model, size), figures=tuple(_of_network(name, kept, corpus))
        )


def _kept(corpus: Corpus) -> dict[str, Checkpoint]:
    """The networks of this very text that come with the project, by name."""
    files = KEPT[corpus.vocabulary.level]
    found = {name: _load(SHIPPED / "checkpoints" / f"{file}.safetensors") for name, file in files.items()}
    of_it = (corpus.sha256, corpus.vocabulary)
    return {name: kept for name, kept in found.items() if (kept.corpus_sha256, kept.vocabulary) == of_it}


_load = cache(checkpoints.load)  # the page asks anew at every run


def _of_network(name: str, best: Checkpoint, corpus: Corpus) -> Iterator[Figure]:
    count = parameter_count(best.model, len(best.vocabulary))
    return _of_model(name, best.build(), best.results["valid_nll"], count, 4 * count, corpus)


def _of_model(name: str, model: Predictor, nll: float, numbers: int, nbytes: int, corpus: Corpus) -> Iterator[Figure]:
    """One row of `MODELS`."""
    tokens, begun = corpus.valid[:TIMED], time.process_time()
    evaluate(model, tokens)
    speed = len(tokens) / (time.process_time() - begun)
    told = {"perplexity": perplexity(nll), "numbers": numbers, "MB": nbytes / 1e6, "tokens a second": round(speed, -2)}
    return (Figure(MODELS, name, column, value) for column, value in told.items())


def _lecture(name: str, title: str, corpus: str, level: str, trained: str, **more: Any) -> Experiment:
    """
    Args:
        trained: for how long the networks were.
    """
    models = Table(
        MODELS,
        "model",
        (*NGRAMS, *(f"window of {n}" for n in READS[level]), *dict.fromkeys((*NETWORKS.values(), *KEPT[level]))),
        ("perplexity", "numbers", "MB", "tokens a second"),
        notes={
            "perplexity": f"n-grams: interpolated Kneser-Ney, three discounts (Chen & Goodman 1999). {trained}",
            "numbers": "that are learned, or runs of up to n tokens that were counted",
            "tokens a second": "of processor time, read one after the other",
        },
    )
    windows = Table(
        WINDOWS,
        "tokens before",
        tuple(map(str, READS[level])),
        ("fixed window", "n-gram"),
        charts={"perplexity": ("fixed window", "n-gram")},
        notes={"n-gram": "interpolated Kneser-Ney over as many tokens and the next one; none longer was counted"},
    )
    return Experiment(
        name,
        title,
        LECTURE,
        "The longer the run, the better its guess and the larger the table, until most runs were never counted; a "
        "network of the same text takes less room and says more, the more so if it has a memory.",
        corpus=corpus,
        question="How far do counted runs of tokens get, and what do they cost?",
        tables=(models, windows, COUNTED),
        grids=_grids,
        figures=_figures,
        untrained=_untrained,
        cut={"level": level} | ({"max_words": WORDS_MOST} if level == "word" else {}),
        **more,
    )


EXPERIMENTS = (
    _lecture(
        "baselines-words",
        "Before the LSTM: words",
        "wikitext-2",
        "word",
        "Windows and simple RNN: 128 units, trained for one pass over the text, as often as the n-grams read it. LSTM: "
        "two layers of 200 units, trained for 33 passes; it comes with the project",
        views=(
            View(
                "where memory pays off, token by token: the 4-gram over the LSTM's loss",
                "watch",
                ("wikitext2-word-lstm",),
                "When she tried to print her tickets, she found that the printer was out of toner.",
                "4-gram",
            ),
        ),
        showed="From three words on a longer run hardly helps (124.8, then 121.6 and 120.1), while the table grows "
        "to nine million runs: of four words in a row three quarters were never counted, and to maximum likelihood "
        "the text is impossible. After one pass over the text networks are still behind a 3-gram, in a fifth of its "
        "room. But a window gains with every word that it sees, where the table no longer does (145.6 with two words, "
        "136.8 with four, 130.9 with eight), and an RNN (135.4) has not learned yet to remember as far. Trained until "
        "it is good, an LSTM nearly halves the perplexity of the largest table (64.0), in a fourteenth of its room.",
    ),
    _lecture(
        "baselines-characters",
        "Before the LSTM: characters",
        "tinyshakespeare",
        "char",
        "Windows: 128 units, trained for 8 passes over the text. Simple RNN and LSTM: 128 units as well, trained for "
        "16; they come with the project, as the one of 256 units does",
        views=(
            View(
                "where memory pays off, token by token: the 6-gram over the LSTM's loss",
                "watch",
                ("shakespeare-char-lstm",),
                ROMEO,
                "6-gram",
            ),
            View(
                "where it does in an RNN, and in a small and a larger LSTM",
                "compare",
                ("shakespeare-char-rnn-128", "shakespeare-char-lstm-128", "shakespeare-char-lstm"),
                ROMEO,
                "6-gram",
            ),
        ),
        showed="Counting is hard to beat where a few characters decide: the 7-gram, 873,000 runs, says more (4.6) "
        "than an LSTM of 128 units (5.0); one of 256 units says more (4.4) in a tenth of the room. From five "
        "characters on the table doubles for next to nothing: of seven in a row a third was never counted. A window of "
        "one or two characters does as well as the table of as many (12.0 and 7.8; 12.0 and 7.7); one of four falls "
        "behind it (5.9; 4.8), and four characters more, twice the weights, hardly help (5.7). An RNN has half of "
        "those weights and no window, and says more (5.4).",
    ),
)
