"""Gradients that vanish, and that explode."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch

from lstmviz.config import ModelConfig
from lstmviz.experiments.base import Experiment, Figure, Setting, Table, Trained, View
from lstmviz.explain.distance import accuracy_by_distance
from lstmviz.explain.gradients import gradient_by_distance
from lstmviz.model import LanguageModel
from lstmviz.training.folder import RunConfig
from lstmviz.training.grid import Grid

UNTRAINED = ", untrained"
RECALLED = "bxyzzyxyzxyzzyxyzyxzyzxyxzzyxyz?b"
PAPERS = "Bengio, Simard & Frasconi 1994; Pascanu, Mikolov & Bengio 2013"
REMEMBERING = ("rnn", "gru", "lstm", "minlstm")
RIGHT = Table(
    "share of right answers",
    "distance",
    tuple(f"{2**k}" for k in range(1, 8)),
    REMEMBERING,
    digits=2,
    scale="share",
)
ARRIVES = Table(
    "share of the gradient that arrives",
    "tokens before the answer",
    tuple(f"{2**k}" for k in range(8)),
    tuple(f"{cell}{when}" for when in ("", UNTRAINED) for cell in REMEMBERING),
    digits=2,
    scale="log",
)


def _vanishing(setting: Setting) -> dict[str, Grid]:
    train = replace(setting.train, unseen_apart=False, learning_rate=1e-2, steps=6000 * setting.epochs, eval_every=300)
    over = {"model.cell": REMEMBERING, "train.seed": setting.seeds}
    return {"": Grid(RunConfig(train, ModelConfig(embedding_size=8)), over, parameters=6000)}


def _vanishing_figures(trained: Trained) -> Iterator[Figure]:
    if trained.best is None:
        return
    cell, vocabulary = trained.config.model.cell, trained.corpus.vocabulary
    for distance, right, _ in accuracy_by_distance(trained.best.build(), vocabulary, "recall").itertuples(index=False):
        yield Figure(RIGHT.title, f"{distance}", cell, right)
    torch.manual_seed(trained.config.train.seed)  # as where it was trained
    begun = LanguageModel(trained.config.model, len(vocabulary))
    for column, model in ((cell, trained.best.build()), (cell + UNTRAINED, begun)):
        arrives = gradient_by_distance(model, vocabulary)["arrives"].tolist()
        for row in ARRIVES.rows:
            yield Figure(ARRIVES.title, row, column, arrives[int(row)])


NO_CLIPPING = 1e9  # a norm that no gradient has
CLIPPING = {0.25: "clipped at 0.25", NO_CLIPPING: "not clipped"}
EXPLODES = Table(
    "validation loss",
    "optimiser steps",
    ("100", "200", "300", "400"),
    tuple(CLIPPING.values()),
    digits=2,
    scale="none",
    lowest=True,
)
STEEPEST = Table(
    "longest gradient of a training", "seed", ("0", "1", "2"), tuple(CLIPPING.values()), digits=2, scale="none"
)


def _exploding(setting: Setting) -> dict[str, Grid]:
    train = replace(
        setting.train,
        unseen_apart=False,
        optimizer="sgd",
        learning_rate=2.0,
        schedule="constant",
        steps=400 * setting.epochs,
        eval_every=100,
        log_every=4,
    )
    over = {"train.clip_norm": tuple(CLIPPING), "train.seed": setting.seeds}
    return {"": Grid(RunConfig(train, ModelConfig("rnn", 12, 64)), over)}


def _exploding_figures(trained: Trained) -> Iterator[Figure]:
    column = CLIPPING[trained.config.train.clip_norm]
    for record in trained.records:
        if record.valid_nll is not None:
            yield Figure(EXPLODES.title, f"{record.step}", column, record.valid_nll)
    longest = max(record.gradient_norm for record in trained.records)
    yield Figure(STEEPEST.title, f"{trained.config.train.seed}", column, longest)


EXPERIMENTS = (
    Experiment(
        "vanishing",
        "Vanishing gradients",
        PAPERS,
        "In a simple RNN the gradient shrinks by a factor at every step back, so that nothing teaches it to "
        "remember; the gates of an LSTM or a GRU let it through.",
        "Before they have learned, all four let the gradient vanish: at most a third of it is left two tokens "
        "back, and less than a millionth 32 tokens back. **Gates do not keep it; they can learn to.** A trained "
        "GRU, LSTM or minLSTM holds a gate open where it holds the symbol: there each step back multiplies by "
        "almost 1, and about as much arrives from 128 tokens further on as from one. The RNN has no gate to open, "
        "and its gradient vanishes as it did. Where the gradient arrives the answers are right; where it does not "
        "they are guessed, and one of four is right by luck.",
        "recall",
        (RIGHT, ARRIVES),
        _vanishing,
        _vanishing_figures,
        question="How far back does a gradient reach, and does a model remember as far?",
        views=(
            View(
                "four cells hold a symbol, or lose it",
                "compare",
                tuple(f"recall/{cell}" for cell in REMEMBERING),
                RECALLED,
            ),
            View("the LSTM's gates as it remembers", "watch", ("recall/lstm",), RECALLED),
        ),
    ),
    Experiment(
        "exploding",
        "Exploding gradients",
        "Pascanu, Mikolov & Bengio 2013",
        "Now and then the factor of each step back is above 1, and the gradient grows with every step. One such "
        "step throws the weights far off; cut down to a norm, it goes the same way and only so far.",
        "Trained by plain gradient descent with a rate of 2, this RNN sooner or later comes upon a cliff: without "
        "clipping, one gradient is tens to thousands of times as long as those before, the loss jumps above that "
        "of the untrained model and stays there, with every seed. With the same seeds, rate and text, and the norm "
        "cut down to 0.25, it learns. Adam, which trains everything else here, divides by the usual size of the "
        "gradient, and seldom needs it.",
        "recall",
        (EXPLODES, STEEPEST),
        _exploding,
        _exploding_figures,
        question="What does an exploding gradient do to a training, and what clipping?",
        seeds=(0, 1, 2),
        curves=("train_nll", "gradient_norm"),
        may_fail=True,
    ),
)
