"""What an experiment is: line-ups, what was published, what is measured beside it, and the command that does it.

A result is a JSON file of figures: no text, no weights. Those that come with the project lie in
checkpoints/experiments/, a person's own in HOME/experiments/, and both are read by the same loader.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import safetensors.numpy
from safetensors import SafetensorError

from lstmviz import checkpoint as checkpoints
from lstmviz.checkpoint import Checkpoint
from lstmviz.config import TrainConfig
from lstmviz.data.corpora import SOURCES, find_text
from lstmviz.data.grammars import GRAMMARS
from lstmviz.data.vocabulary import Corpus
from lstmviz.disk import fitted, name_of, read_bytes, read_json, write_atomically
from lstmviz.home import SHIPPED, Home
from lstmviz.tasks import TASKS, open_data
from lstmviz.training.batches import batches_of
from lstmviz.training.folder import Record, Run, RunConfig
from lstmviz.training.grid import Grid
from lstmviz.training.results import thinned
from lstmviz.training.sweep import Sweep

if TYPE_CHECKING:
    import pandas as pd

FORMAT = 1
EPOCH_MOST = 1_000  # steps: on a text with more, this many count as an epoch
WORDS_MOST = 10_000  # that are kept of another text than the published one
CURVE_MOST = 100  # rows of a training curve beside the evaluations

EXPERIMENTS: dict[str, Experiment] = {}  # by name; the package fills it


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
        import pandas as pd  # as in trace.py

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
        beside: what is laid over the loss.
    """

    said: str
    page: str
    models: tuple[str, ...]
    text: str
    beside: str = ""


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
            weights = safetensors.numpy.load(read_bytes(path))
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
        corpus: what its task generates, or the name under which `corpus import` keeps the published text.
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

    @property
    def is_generated(self) -> bool:
        """Whether its own text comes with lstmviz."""
        return self.corpus in TASKS[self.cut.get("task", "language")].built_in

    def setting(self, corpus: str = "", seeds: Sequence[int] = (), epochs: int | None = None) -> Setting:
        """What it is run on.

        Args:
            corpus: a grammar, a kept text, or a path; empty for the published one.
            seeds, epochs: others than its own.

        Raises:
            ValueError: there is no such text; the sentence says where to put the published one.
        """
        if not corpus and not self.is_generated and not (Home.here().corpora / self.corpus).exists():
            if self.corpus in SOURCES:
                find_text(self.corpus)  # says how to fetch it
            raise ValueError(
                f"{self.title} is measured on a text that does not come with lstmviz. Put its train.txt, valid.txt and "
                f"test.txt into a folder and say --corpus FOLDER, or keep them for good with python -m lstmviz corpus "
                f"import FOLDER --name {self.corpus}; or say --corpus agreement, or a text of your own"
            )
        train = TrainConfig(corpus or self.corpus, **self.cut)
        opened = open_data(train)
        if self.sha256 and opened.sha256 != self.sha256 and train.corpus not in GRAMMARS:
            train = replace(train, max_words=WORDS_MOST)
            opened = open_data(train)
        if not TASKS[train.task].parts:
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
        import pandas as pd

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


def result_of(name: str, home: Home) -> tuple[Result | None, str]:
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
    import pandas as pd

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
