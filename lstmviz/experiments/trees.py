"""Trees: who knows the value of an expression, however many operations stand one within the other?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from lstmviz.config import ModelConfig
from lstmviz.data.expressions import DEEPEST, EXPRESSIONS
from lstmviz.experiments.base import Experiment, Figure, Setting, Table, Trained, View
from lstmviz.explain.depth import DEPTHS, accuracy_by_depth
from lstmviz.tasks import decided_by, open_data
from lstmviz.training.folder import RunConfig
from lstmviz.training.grid import Grid

READERS = {  # cell -> the task that gives it the expressions, and units, for about as many parameters each
    "nary": ("tree", 32),
    "child_sum": ("tree", 64),
    "lstm": ("tag", 64),
}
COLUMNS = {"nary": "N-ary", "child_sum": "child-sum", "lstm": "LSTM over the text"}
RIGHT = Table(
    "share of expressions whose value is right",
    "operations one within the other",
    tuple(map(str, DEPTHS)),
    tuple(COLUMNS.values()),
    digits=2,
    scale="share",
    notes={"N-ary": f"all learned from 1 to {DEEPEST}; deeper ones were never seen"},
)


def _grids(setting: Setting) -> dict[str, Grid]:
    steps = {"steps": 4000 * setting.epochs, "eval_every": 400}
    train = replace(setting.train, learning_rate=1e-2, batch_size=32, unseen_apart=False, **steps)
    found = {}
    for cell, (task, units) in READERS.items():
        own = replace(train, task=task)
        model = ModelConfig(cell, embedding_size=16, hidden_size=units, **decided_by(open_data(own)))
        found[cell] = Grid(RunConfig(own, model), {"train.seed": setting.seeds})
    return found


def _figures(trained: Trained) -> Iterator[Figure]:
    if trained.best:
        for depth, right in accuracy_by_depth(trained.best).items():
            yield Figure(RIGHT.title, f"{depth}", COLUMNS[trained.best.model.cell], right)


EXPERIMENTS = (
    Experiment(
        "trees",
        "Trees",
        "Tai, Socher & Manning 2015",
        "Who reads an expression as a tree takes the same small step at every node, however deep that stands; who "
        "reads it as text must remember all that is still open.",
        "",
        EXPRESSIONS,
        (RIGHT,),
        _grids,
        _figures,
        seeds=(0, 1, 2),
        question="Does it help to know which words belong together?",
        cut={"level": "word", "task": "tree"},
        views=(
            View(
                "first counts: of which child does each keep most?",
                "compare",
                ("expressions-nary", "expressions-child-sum"),
                "first(3, 9, 5)",
            ),
        ),
    ),
)
