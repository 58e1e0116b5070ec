"""Published experiments as line-ups: what was published, what is measured beside it, and the command that does it.

A result is a JSON file of figures: no text, no weights. Those that come with the project lie in
checkpoints/experiments/, a person's own in HOME/experiments/, and both are read by the same loader.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import safetensors.torch
import torch
import torch.nn.functional as F
from safetensors import SafetensorError

from lstmviz import checkpoint as checkpoints
from lstmviz.baselines import LONGEST, Counts, FixedWindow, NGram, add_k, growth
from lstmviz.checkpoint import Checkpoint, with_layout
from lstmviz.config import ADAPTIVE_FROM, ModelConfig, TrainConfig
from lstmviz.data.corpora import SOURCES, find_text, open_corpus
from lstmviz.data.grammars import GRAMMARS
from lstmviz.data.vocabulary import APART, Corpus
from lstmviz.disk import fitted, name_of, read_bytes, read_json, write_atomically
from lstmviz.explain.distance import accuracy_by_distance
from lstmviz.explain.gradients import gradient_by_distance
from lstmviz.home import SHIPPED, Home
from lstmviz.model import LanguageModel, Predictor, parameter_count, perplexity
from lstmviz.training.batches import batches_of
from lstmviz.training.folder import Record, Run, RunConfig
from lstmviz.training.grid import Grid
from lstmviz.training.loop import Trainer, evaluate
from lstmviz.training.results import thinned
from lstmviz.training.sweep import Sweep

FORMAT = 1
EPOCH_MOST = 1_000  # steps: on a text with more, this many count as an epoch
WORDS_MOST = 10_000  # that are kept of another text than the published one
CURVE_MOST = 100  # rows of a training curve beside the evaluations


# ---- what was published ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Table:
    """One table of an experiment, with a place for every figure.

    Args:
        title: what its figures are.
        corner: what the rows are.
        rows, columns: in the order in which they are shown.
        published: column -> its figures, one a row, None where nothing was published; a column of ours alone is absent.
        digits: after the point.
        scale: of its chart: "linear"; "share", from 0 to 1; "log"; or "none", and there is no chart.
        charts: title -> columns, where not all are of one kind; by default one chart has all.
        lowest: the lowest figure of a column is what counts.
        notes: column -> what has to be said of it.
    """

    title: str
    corner: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    published: dict[str, tuple[float | None, ...]] = dataclasses.field(default_factory=dict)
    digits: int = 1
    scale: Literal["linear", "share", "log", "none"] = "linear"
    charts: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    lowest: bool = False
    notes: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def numbers(self) -> list[float]:
        """The rows of a table that has a chart, as numbers; none where they are names, or where no chart is wanted."""
        if self.scale == "none" or not all(row.replace(".", "", 1).isdecimal() for row in self.rows):
            return []
        return [float(row) if "." in row else int(row) for row in self.rows]

    @property
    def report(self) -> pd.DataFrame:
        """What was published, NaN where nothing was: the rows and columns of the table."""
        found = pd.DataFrame(self.published, index=list(self.rows), dtype=float)
        return found.reindex(columns=list(self.columns))


@dataclass(frozen=True)
class View:
    """A live view that shows what an experiment found.

    Args:
        said: what there is to see.
        page: "watch", "compare" or "inside".
        models: their addresses, as in ``ui/sources.py``.
        text: to read.
    """

    said: str
    page: str
    models: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class Figure:
    """A measured number, and its place in a table; of several with the same place the mean and the spread are shown."""

    table: str
    row: str
    column: str
    value: float


@dataclass(frozen=True)
class Setting:
    """What an experiment is run on.

    Args:
        train: the text and how it is cut into tokens; the rest is the experiment's.
        corpus: the same, opened.
        seeds: of every member.
        epochs: how long each is trained.
    """

    train: TrainConfig
    corpus: Corpus
    seeds: tuple[int, ...]
    epochs: int

    def epoch(self, train: TrainConfig) -> int:
        """Steps of a pass over the training part, ``EPOCH_MOST`` at most.

        Raises:
            ValueError: it is too short for a step.
        """
        return min(len(batches_of(self.corpus.train, self.corpus.vocabulary, train)), EPOCH_MOST)


@dataclass(frozen=True)
class Trained:
    """A member of a line-up that has come to its end.

    Args:
        config: what was asked.
        records: how it went.
        best: its best weights; None of one that failed before it had any.
        corpus: that it was trained on.
        folder: of its run.
    """

    config: RunConfig
    records: tuple[Record, ...]
    best: Checkpoint | None
    corpus: Corpus
    folder: Path = Path()

    @property
    def last(self) -> Checkpoint | None:
        """The weights that it ended with; None where they are gone.

        Raises:
            ValueError: the file that holds them is damaged.
        """
        path = self.folder / "last.safetensors"
        if self.best is None or not path.exists():
            return None
        try:
            weights = safetensors.torch.load(read_bytes(path))
        except SafetensorError as error:
            raise ValueError(f"{path} is damaged: {error}") from error
        return replace(self.best, weights={name: weights[f"weights.{name}"] for name in self.best.weights})


@dataclass(frozen=True)
class Experiment:
    """A published experiment: what varies, what was published, and what is read from each member into which table.

    Args:
        name: in the command and of the file of its result.
        title: for people.
        source: of the published figures.
        expects: what somebody who reads the publication expects, in a sentence.
        showed: what was found; Markdown.
        corpus: a grammar, or the name under which `corpus import` keeps the published text.
        tables: what was published, with a place for what is measured.
        grids: of a setting: a name for each line-up, "" if there is one, and the line-up.
        figures: what is read from a member.
        seeds, epochs: where nobody asks for others.
        sha256: of the published text; empty where any will do.
        untrained: members that need no training.
        question: that it answers, in a sentence.
        curves: of ``CURVE``, what is drawn of the members' trainings.
        may_fail: a training that diverges is a result, too.
        cut: how the text is cut into tokens: options of `TrainConfig`.
        views: where to see it live.
    """

    name: str
    title: str
    source: str
    expects: str
    showed: str
    corpus: str
    tables: tuple[Table, ...]
    grids: Callable[[Setting], dict[str, Grid]]
    figures: Callable[[Trained], Iterable[Figure]]
    seeds: tuple[int, ...] = (0,)
    epochs: int = 1
    sha256: str = ""
    untrained: Callable[[Setting], Iterable[Member]] = lambda _: ()
    question: str = ""
    curves: tuple[str, ...] = ()
    may_fail: bool = False
    cut: Mapping[str, Any] = dataclasses.field(default_factory=lambda: {"level": "word", "unseen_apart": True})
    views: tuple[View, ...] = ()

    def setting(self, corpus: str = "", seeds: Sequence[int] = (), epochs: int | None = None) -> Setting:
        """What it is run on.

        Args:
            corpus: a grammar, a kept text, or a path; empty for the published one.
            seeds, epochs: others than its own.

        Raises:
            ValueError: there is no such text; the sentence says where to put the published one.
        """
        if not corpus and self.corpus not in GRAMMARS and not (Home.here().corpora / self.corpus).exists():
            if self.corpus in SOURCES:
                find_text(self.corpus)  # says how to fetch it
            raise ValueError(
                f"{self.title} is measured on a text that does not come with lstmviz. Put its train.txt, valid.txt and "
                f"test.txt into a folder and say --corpus FOLDER, or keep them for good with python -m lstmviz corpus "
                f"import FOLDER --name {self.corpus}; or say --corpus agreement, or a text of your own"
            )
        train = TrainConfig(corpus or self.corpus, **self.cut)
        opened = open_corpus(train)
        if self.sha256 and opened.sha256 != self.sha256 and train.corpus not in GRAMMARS:
            train = replace(train, max_words=WORDS_MOST)
            opened = open_corpus(train)
        train = replace(train, level=opened.vocabulary.level)
        return Setting(train, opened, tuple(seeds) or self.seeds, epochs or self.epochs)

    def command(self, setting: Setting) -> str:
        """The command line that measures it so."""
        said = f"python -m lstmviz experiment {self.name} --corpus {name_of(setting.train.corpus)}"
        if setting.seeds != self.seeds:
            said += f" --seeds {' '.join(map(str, setting.seeds))}"
        return said + f" --epochs {setting.epochs}" * (setting.epochs != self.epochs)

    def line_ups(self, setting: Setting, runs: Path) -> dict[Path, Grid]:
        """Its line-ups by their folders: the same setting has the same, so that it is gone on with."""
        found = {}
        for key, grid in self.grids(setting).items():
            commands = [member.command for member in grid.members(len(setting.corpus.vocabulary)).values()]
            digest = hashlib.sha256("\n".join([setting.corpus.sha256, *commands]).encode()).hexdigest()[:8]
            found[runs / "-".join(filter(None, (self.name, key, digest)))] = grid
        return found

    def result(self, setting: Setting, line_ups: Iterable[Path]) -> Result:
        """What those members came to that are done.

        Args:
            line_ups: folders.
        """
        members = [self._member(run, setting) for folder in line_ups for run in Sweep(folder).runs()]
        done = [member for member in members if member]
        corpus, size = setting.corpus, len(setting.corpus.vocabulary)
        every = (*done, *self.untrained(setting))
        return Result(self.name, self.command(setting), corpus.name, corpus.sha256, size, every)

    def is_done(self, run: Run) -> bool:
        """Whether a member has come to its end."""
        status = run.status()
        return status is not None and status.state in ("finished", "failed")[: 1 + self.may_fail]

    def _member(self, run: Run, setting: Setting) -> Member | None:
        """What one came to; None if it is not done."""
        status = run.status()
        if status is None or not self.is_done(run):
            return None
        path, config, records = run.folder / "best.safetensors", run.config(), run.records()
        best = checkpoints.load(path) if path.exists() else None
        figures = tuple(self.figures(Trained(config, records, best, setting.corpus, run.folder)))
        kept = thinned({name: [getattr(record, name) for record in records] for name in CURVE}, CURVE_MOST)
        return Member(
            name=name_of(run.folder),
            seed=config.train.seed,
            parameters=status.parameters,
            message=status.message,
            zero_gradients=records[0].zero_gradients if records else (),
            figures=figures,
            config=replace(config, train=replace(config.train, corpus=name_of(config.train.corpus))),
            **{name: tuple(map(_rounded, column)) for name, column in kept.items()},  # pyright: ignore[reportArgumentType]
        )


# ---- what was measured -----------------------------------------------------------------------------------------------

CURVE = ("step", "epoch", "train_nll", "valid_nll", "gradient_norm")


@dataclass(frozen=True)
class Member:
    """One model of a result.

    Args:
        name, seed: of the line-up.
        parameters: numbers that it learns.
        message: what is wrong with it, in a sentence.
        zero_gradients: names of the parameters that the first backward pass gave a gradient of exactly zero.
        step, epoch, train_nll, valid_nll, gradient_norm: its curves, a row each; see `Metrics`.
        figures: what was read from it.
        config: what was asked; None of one that was not trained.
    """

    name: str
    seed: int
    parameters: int
    message: str = ""
    zero_gradients: tuple[str, ...] = ()
    step: tuple[int, ...] = ()
    epoch: tuple[float, ...] = ()
    train_nll: tuple[float, ...] = ()
    valid_nll: tuple[float | None, ...] = ()
    gradient_norm: tuple[float, ...] = ()
    figures: tuple[Figure, ...] = ()
    config: RunConfig | None = None


@dataclass(frozen=True)
class Result:
    """What an experiment came to.

    Args:
        experiment: its name.
        command: that measured it.
        corpus, sha256, vocab_size: the text, its digest, and how many tokens it has.
        members: those that are done.
    """

    experiment: str
    command: str
    corpus: str
    sha256: str
    vocab_size: int
    members: tuple[Member, ...] = ()

    def measured(self, table: Table) -> pd.DataFrame:
        """The means of the figures of a table, NaN where nothing was measured."""
        return self._of(table, "mean")

    def spread(self, table: Table) -> pd.DataFrame:
        """Their standard deviations over the members, NaN where there is one or none."""
        return self._of(table, "std")

    def count(self, table: Table) -> pd.DataFrame:
        """How many members each is the mean of."""
        return self._of(table, "count").fillna(0).astype(int)

    def _of(self, table: Table, what: str) -> pd.DataFrame:
        figures = [asdict(f) for member in self.members for f in member.figures if f.table == table.title]
        if not figures:
            return pd.DataFrame(math.nan, index=list(table.rows), columns=list(table.columns))
        found = pd.pivot_table(pd.DataFrame(figures), "value", "row", "column", what)
        return found.reindex(index=list(table.rows), columns=list(table.columns))

    def save(self, path: Path) -> None:
        """Write it as JSON, whole.

        Raises:
            OSError: the disk is full, say.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        said = {"format": FORMAT, **asdict(self)}
        write_atomically(path, json.dumps(said, ensure_ascii=False, allow_nan=False).encode())

    @classmethod
    def load(cls, path: Path) -> Result:
        """Undo ``save``.

        Raises:
            ValueError: it is damaged, or another version of lstmviz wrote it; the sentence says what to do.
            OSError: there is none, or it may not be read.
        """
        given = read_json(path)
        try:
            if not isinstance(given, dict):
                raise ValueError("it holds no result")
            if given.get("format") != FORMAT:
                raise ValueError("another version of lstmviz wrote it")
            members = given.pop("members", None)
            if not isinstance(members, list):
                raise ValueError("its members are missing")
            result = fitted(cls, given)
            if result.experiment not in EXPERIMENTS:
                raise ValueError("it is of an experiment that this version of lstmviz does not have")
            return replace(result, members=tuple(map(_member_of, members)))
        except ValueError as error:
            name = given.get("experiment") if isinstance(given, dict) else None
            again = f"python -m lstmviz experiment {name if name in EXPERIMENTS else 'NAME'} measures it again"
            raise ValueError(f"{path.name} cannot be read: {error}; {again}") from error


def _member_of(given: object) -> Member:
    if not isinstance(given, dict) or not isinstance(figures := given.pop("figures", None), list):
        raise ValueError("a member has no figures")
    asked = given.pop("config", None)
    member = fitted(Member, given)
    if len({len(getattr(member, name)) for name in CURVE}) > 1:
        raise ValueError(f"the curves of {member.name} are not of one length")
    config = RunConfig.loads(asked) if asked is not None else None
    return replace(member, figures=tuple(fitted(Figure, each) for each in figures), config=config)


def _rounded(value: float | int | None) -> float | int | None:
    return round(value, 5) if isinstance(value, float) else value


def shipped(name: str) -> Path:
    """Where the result lies that comes with the project, if one does."""
    return SHIPPED / "checkpoints" / "experiments" / f"{name}.json"


def own(name: str, home: Home) -> Path:
    """Where a person's own result lies, if there is one."""
    return home.folder / "experiments" / f"{name}.json"


def found(name: str, home: Home) -> tuple[Result | None, str]:
    """A person's own result, else the one that comes with the project; and what is wrong with those that are damaged.

    Returns:
        None where there is none that can be read; and a sentence, empty if nothing is wrong.
    """
    wrong = []
    for path in (own(name, home), shipped(name)):
        try:
            return Result.load(path), " ".join(wrong)
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            wrong.append(f"{error}.")
    return None, " ".join(wrong)


def side_by_side(experiment: Experiment, result: Result) -> str:
    """Every table of an experiment as text: what was published, what was measured, and by how much they differ."""
    said, is_same = [], result.sha256 == experiment.sha256 or not experiment.sha256
    for table in experiment.tables:
        report, ours, spread = table.report, result.measured(table), result.spread(table)
        shown: dict[tuple[str, str], list[str]] = {}
        for column in table.columns:
            if column in table.published:
                shown[column, "report"] = [_number(value, table.digits) for value in report[column]]
            shown[column, "ours"] = [
                _number(value, table.digits, "not run") + (f" ±{sd:.{table.digits}f}" if sd == sd else "")
                for value, sd in zip(ours[column], spread[column], strict=True)
            ]
            if column in table.published and is_same:
                differences = ours[column] - report[column]
                shown[column, "difference"] = [_number(value, table.digits, sign="+") for value in differences]
        frame = pd.DataFrame(shown, index=pd.Index(table.rows, name=table.corner))
        said.append(f"{table.title}\n{frame.to_string()}")
        said[-1] += "".join(f"\n{column}: {note}" for column, note in table.notes.items())
    if not is_same:
        said.append(
            f"ours is measured on {result.corpus}, another text than the published one, so no difference is shown"
        )
    return "\n\n".join(said)


def _number(value: float, digits: int, otherwise: str = "–", sign: str = "") -> str:
    """With so many digits after the point or, where these would all be 0, with its power of ten."""
    if 0 < abs(value) < 0.5 * 10.0**-digits and not sign:
        return f"{value:.0e}"
    return f"{value:{sign}.{digits}f}" if value == value else otherwise


# ---- the course report -----------------------------------------------------------------------------------------------

REPORT = "a course report on three hand-written LSTMs and a small Penn Treebank"
PENN_SMALL = "160c2fd62ab4d0765e7af819f9da0923ebfb5c2ea74907afc91459116c12090e"  # of its text
TEXTBOOK, SPLIT, CONCAT = "lstm", "report_split", "report_concat"


def _report(setting: Setting, n_step: int = 5, epochs: int | None = None) -> RunConfig:
    """The report's whole way of working, with as many tokens in a window and as long as asked."""
    train = replace(
        setting.train,
        objective="windows",
        bptt=n_step,
        batch_size=128,
        learning_rate=5e-4,
        schedule="constant",
        clip_norm=1e6,  # none
    )
    epoch = setting.epoch(train)
    train = replace(train, steps=epoch * (epochs or setting.epochs), eval_every=epoch)
    return RunConfig(train, ModelConfig(embedding_size=256, hidden_size=128, embedding_std=1.0))


def _by_epoch(table: str, column: str, records: Iterable[Record]) -> Iterator[Figure]:
    """The validation perplexity after each epoch."""
    evaluated = [record.valid_nll for record in records if record.valid_nll is not None]
    for epoch, nll in enumerate(evaluated, start=1):
        yield Figure(table, f"{epoch}", column, perplexity(nll))


def _copied(best: Checkpoint, corpus: Corpus) -> Iterator[Figure]:
    """How far the scores of validation text are from those with the weights copied into another layout of the cell."""
    tokens = corpus.valid[:300, None].long()  # (T, 1)
    for other in [other for cell, other in LAYOUTS if cell == best.model.cell]:
        ours, copied = (each.build()(tokens)[0].detach() for each in (best, with_layout(best, other)))  # (T, 1, V)
        yield Figure(COPIED.title, f"{best.model.cell} into {other}", "difference", (copied - ours).abs().max().item())


PERPLEXITY = Table(
    "validation perplexity",
    "epoch",
    tuple(f"{epoch}" for epoch in range(1, 10)),
    (TEXTBOOK, SPLIT, CONCAT, "lstm_split", "lstm_concat"),
    {
        TEXTBOOK: (338.5, 328.4, 321.7, 318.7, 319.4, 326.0, 340.1, 365.1, 409.4),
        SPLIT: (493.1, 408.1, 360.4, 334.2, 319.6, 312.9, 311.2, 312.5, 316.8),
        CONCAT: (485.4, 406.2, 361.6, 335.7, 320.8, 313.1, 310.3, 311.2, 314.8),
    },
    notes={
        TEXTBOOK: "the report's nn.LSTM column cannot be had at its learning rate; nobody knows what it was run with"
    },
    lowest=True,
)
LAYOUTS = ((SPLIT, CONCAT), (CONCAT, SPLIT), (TEXTBOOK, "lstm_split"), (TEXTBOOK, "lstm_concat"))
COPIED = Table(
    "weights copied into another layout: the largest difference of a score",
    "copied",
    tuple(f"{cell} into {other}" for cell, other in LAYOUTS),
    ("difference",),
    digits=7,
)


WORDS = ("all", "in the training part", "not in the training part")
BY_WORD = Table(
    "validation loss by the word that is predicted, in nats",
    "words",
    tuple(f"{words}, {which}" for which in ("best weights", "last weights") for words in WORDS),
    (TEXTBOOK, SPLIT, CONCAT, "lstm_split", "lstm_concat"),
    digits=2,
)


@torch.no_grad()
def _by_word(checkpoint: Checkpoint, corpus: Corpus, which: str) -> Iterator[Figure]:
    """What of the loss is that of words which the training part lacks."""
    model, batches = checkpoint.build(), batches_of(corpus.valid, corpus.vocabulary, checkpoint.train)
    losses, news = [], []
    for windows in map(batches.__getitem__, range(len(batches))):  # (T + 1, B)
        hidden, _ = model.run(model.embed(windows[:-1]))
        losses.append(F.cross_entropy(model.decode(hidden[-1]), windows[-1], reduction="none"))  # (B,)
        news.append(windows[-1] == corpus.vocabulary.ids.get(APART, -1))
    nll, new = torch.cat(losses), torch.cat(news)  # (N,)
    for words, some in zip(WORDS, (new | True, ~new, new), strict=True):
        if some.any():
            yield Figure(BY_WORD.title, f"{words}, {which}", checkpoint.model.cell, nll[some].mean().item())


def _three_lstms(setting: Setting) -> dict[str, Grid]:
    over = {"model.cell": (SPLIT, TEXTBOOK, CONCAT, "lstm_split", "lstm_concat"), "train.seed": setting.seeds}
    return {"": Grid(_report(setting), over)}


def _three_lstms_figures(trained: Trained) -> Iterator[Figure]:
    yield from _by_epoch(PERPLEXITY.title, trained.config.model.cell, trained.records)
    if trained.best:
        yield from _copied(trained.best, trained.corpus)
        yield from _by_word(trained.best, trained.corpus, "best weights")
    if last := trained.last:
        yield from _by_word(last, trained.corpus, "last weights")


WINDOWS = (1, 3, 5, 7, 9)
GATES = Table(
    "mean of a gate over the validation part",
    "tokens in a window",
    tuple(f"{n}" for n in WINDOWS),
    tuple(f"{gate}, {how}" for how in ("as printed", "untrained", "textbook") for gate in "if"),
    {
        "i, as printed": (0.5033, 0.5021, 0.5018, 0.5014, 0.5004),
        "f, as printed": (0.4967, 0.5042, 0.4983, 0.4987, 0.4999),
    },
    digits=4,
)
UNTRAINED_SEEDS = 12


def _gates(setting: Setting) -> dict[str, Grid]:
    over = {"model.cell": (CONCAT, TEXTBOOK), "train.seed": setting.seeds}
    return {f"window{n}": Grid(_report(setting, n), over) for n in WINDOWS}


def _gates_figures(trained: Trained) -> Iterator[Figure]:
    if trained.best:
        how = "textbook" if trained.config.model.cell == TEXTBOOK else "as printed"
        yield from _gate_means(trained.best.build(), trained.corpus, trained.config.train, how)


@torch.no_grad()
def _gate_means(model: LanguageModel, corpus: Corpus, train: TrainConfig, how: str) -> Iterator[Figure]:
    """Over all windows, tokens and units."""
    batches = batches_of(corpus.valid, corpus.vocabulary, train)
    records = [model.record(batches[k][:-1])[1][0] for k in range(len(batches))]  # name -> (T, B, H)
    for gate, name in {"i": "input_gate", "f": "forget_gate"}.items():
        mean = sum(record[name].mean().item() for record in records) / len(records)
        yield Figure(GATES.title, f"{train.bptt}", f"{gate}, {how}", mean)


def _untrained(setting: Setting) -> Iterator[Member]:
    size = len(setting.corpus.vocabulary)
    for seed in range(UNTRAINED_SEEDS):
        for n in WINDOWS:
            config = _report(setting, n)
            torch.manual_seed(seed)
            model = LanguageModel(replace(config.model, cell=CONCAT), size)
            figures = tuple(_gate_means(model, setting.corpus, config.train, "untrained"))
            count = parameter_count(model.config, size)
            yield Member(f"{CONCAT} untrained, window {n}, seed {seed}", seed, count, figures=figures)


LAYERS = (1, 2, 3)
DEPTH = Table(
    "validation perplexity",
    "epoch",
    tuple(f"{epoch}" for epoch in range(1, 11)),
    tuple(f"{cell} × {layers}" for cell in (SPLIT, TEXTBOOK) for layers in LAYERS),
    {
        f"{SPLIT} × 1": (493.1, None, None, 334.2, None, 312.9, 311.2, None, None, 323.6),
        f"{SPLIT} × 2": (525.9, None, None, 358.7, None, 332.5, 331.5, None, None, 356.5),
        f"{SPLIT} × 3": (612.6, None, None, 406.4, None, 378.1, 376.8, None, None, 405.5),
    },
    lowest=True,
)


def _depth(setting: Setting) -> dict[str, Grid]:
    over = {"model.num_layers": LAYERS, "model.cell": (SPLIT, TEXTBOOK), "train.seed": setting.seeds}
    return {"": Grid(_report(setting), over)}


def _depth_figures(trained: Trained) -> Iterator[Figure]:
    model = trained.config.model
    return _by_epoch(DEPTH.title, f"{model.cell} × {model.num_layers}", trained.records)


# ---- the lecture -----------------------------------------------------------------------------------------------------

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


# ---- gradients that vanish and explode -------------------------------------------------------------------------------

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


SENTENCE = "the dogs near the old box behind the cabinets are lost ."

EXPERIMENTS: dict[str, Experiment] = {
    experiment.name: experiment
    for experiment in (
        Experiment(
            "three-lstms",
            "Three LSTMs",
            f"{REPORT}, table 2",
            "PyTorch's LSTM and two written by hand, of eight linear maps and of four, are the same cell and should "
            "learn alike; the report found its own two strangely alike, and better than PyTorch's.",
            "The two hand-written cells make h of the candidate, where it should be made of the cell state: c never "
            "reaches the output, the parameters of i and f get a gradient of exactly zero, and both cells are one "
            "function in two layouts. That is why they are alike. PyTorch's LSTM is no worse: two layouts of the "
            "textbook's cell, begun with other numbers, differ by more from each other than from the printed ones; "
            "in windows of five words there is not much to remember. And that the perplexity rises after the seventh"
            " epoch is not because words are learned by heart: of those that the training part has, the loss hardly "
            "moves. It is the others, 3 % of the validation words, for which the report has a token that nothing "
            "teaches, so that it becomes ever less likely.",
            "penn_small",
            (PERPLEXITY, COPIED, BY_WORD),
            _three_lstms,
            _three_lstms_figures,
            question="Do three ways to write an LSTM learn the same language model?",
            curves=("train_nll",),
            epochs=9,
            sha256=PENN_SMALL,
            views=(
                View(
                    "i and f as printed are flat, those of the textbook's cell answer the sentence",
                    "compare",
                    ("agreement/report_split", "agreement/lstm_split"),
                    SENTENCE,
                ),
                View(
                    "the weights copied into the other layout: the difference is zero",
                    "compare",
                    ("agreement/report_split", "agreement/report_split as report_concat"),
                    SENTENCE,
                ),
            ),
        ),
        Experiment(
            "gates",
            "Window size against gates",
            f"{REPORT}, table 3",
            "With a longer window there is more to keep: f should rise, and i fall.",
            "As printed, i and f get no gradient, so the report's table shows where initialisation put them: cells "
            "that were never trained have the same means, and from seed to seed these differ by as much as the "
            "published ones do from window to window. In the textbook's cell the author's thought holds for f, which"
            " rises with the window; in a window of one token there is nothing to keep yet, and f learns nothing. i "
            "falls from one token to three, and then no more.",
            "penn_small",
            (GATES,),
            _gates,
            _gates_figures,
            question="Does a longer window open the forget gate, and close the input gate?",
            seeds=(0, 1, 2),
            epochs=4,
            sha256=PENN_SMALL,
            untrained=_untrained,
            views=(
                View(
                    "the gates as printed stay where initialisation put them",
                    "watch",
                    ("agreement/report_concat",),
                    SENTENCE,
                ),
            ),
        ),
        Experiment(
            "depth",
            "Depth",
            f"{REPORT}, table 4",
            "More layers can say more, and should learn more.",
            "In windows of five words a second layer makes both cells learn more slowly and end worse, the textbook's "
            "by more: as the report found, there is nothing here that a deeper model is better at.",
            "penn_small",
            (DEPTH,),
            _depth,
            _depth_figures,
            question="Does a deeper stack of these LSTMs predict better?",
            curves=("train_nll",),
            epochs=10,
            sha256=PENN_SMALL,
        ),
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
}
