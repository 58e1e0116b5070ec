"""The models a person can pick, each by its address: the name that menus show and links say.

==============================  ===========================================================
``brackets``                    a checkpoint that comes with the project
``recall/gru``                  a cell of a line-up of these: ``TASK/CELL``
``run NAME``                    a training of the Train page, or ``run LINEUP/NAME``
``run NAME of PERSON``          in a class that of one person; who has the address may read it
``uploaded TEXT CELL DIGEST``   a file of the person's own, in this session
``ADDRESS as CELL``             a copy of another one, its weights in the layout of that cell
==============================  ===========================================================
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakSet

import streamlit as st

from lstmviz import checkpoint as checkpoints
from lstmviz import counted
from lstmviz.baselines import NGram
from lstmviz.cells import CELLS
from lstmviz.checkpoint import Checkpoint, CheckpointError
from lstmviz.disk import name_of, named
from lstmviz.home import PERSON, SHIPPED, Home
from lstmviz.opened import OpenModel, prepare
from lstmviz.reference import runs
from lstmviz.tasks import TASKS
from lstmviz.tasks.language import LANGUAGE
from lstmviz.training import trainings
from lstmviz.training.folder import Run
from lstmviz.training.limits import UPLOADS
from lstmviz.ui.imports import need_torch
from lstmviz.ui.session import Uploads, session

FOLDER = SHIPPED / "checkpoints"
_uploads: WeakSet[Uploads] = WeakSet()  # of all pages that are open
LINE_UPS = "lineups"  # a folder in that one; in it a folder a task
_FIRST = "shakespeare-char-lstm"  # opened where nobody asks for another
BY_DIGEST: dict[Any, Callable] = {Checkpoint: lambda it: it.digest, OpenModel: lambda it: it.checkpoint.digest}


@dataclass(frozen=True)
class Shipped:
    """A checkpoint that comes with the project."""

    name: str

    def __str__(self) -> str:
        return _unlike_others(self.name)

    @classmethod
    def parse(cls, text: str) -> Shipped | None:
        return cls(_as_it_is(text))

    @classmethod
    def every(cls) -> list[Shipped]:
        """The one to open first in front, and those of a text before the others."""
        found = sorted((where, name_of(path.stem)) for where in TASKS for path in _folder(where).glob("*.safetensors"))
        return [cls(name) for _, name in sorted(found, key=lambda each: (each[1] != _FIRST, [*TASKS].index(each[0])))]

    @property
    def of(self) -> str:
        """The task of its model, by the folder that it is in; a file's name is in one of them."""
        file = named(self.name) + ".safetensors"
        return next((task for task in TASKS if os.path.lexists(_folder(task) / file)), LANGUAGE.name)

    def open(self) -> OpenModel:
        return _open_below(_folder(self.of), [f"{self.name}.safetensors"], self)


@dataclass(frozen=True)
class Member:
    """A cell of a line-up that comes with the project: every cell, trained on the same task."""

    task: str
    cell: str

    def __str__(self) -> str:
        return f"{self.task}/{self.cell}"

    @classmethod
    def parse(cls, text: str) -> Member | None:
        task, slash, cell = text.partition("/")
        return cls(task, cell) if slash else None

    @property
    def of(self) -> str:
        """The task of its model, as TrainConfig calls it; ``task`` is the line-up's."""
        return LANGUAGE.name

    @classmethod
    def every(cls) -> list[Member]:
        return [member for members in line_ups().values() for member in members]

    def open(self) -> OpenModel:
        return _open_below(FOLDER / LINE_UPS, [self.task, f"{self.cell}.safetensors"], self)


@dataclass(frozen=True)
class Trained:
    """The best weights of a training of the Train page.

    Args:
        run: its folder's name, a member's after its line-up's.
        person: whose it is, as in `Home`.
    """

    run: str
    person: str = ""

    def __str__(self) -> str:
        name = _unlike_others(self.run)
        return f"run {name} of {self.person}" if self.person else f"run {name}"

    @classmethod
    def parse(cls, text: str) -> Trained | None:
        if not text.startswith("run "):
            return None
        run, of, person = text.removeprefix("run ").rpartition(" of ")
        if not (of and PERSON.fullmatch(person)):
            run, person = text.removeprefix("run "), ""
        return cls(_as_it_is(run), person)

    @property
    def of(self) -> str:
        """The task of its model; the usual one where there is none."""
        try:
            return Run(Home.here().of(self.person).runs.joinpath(*map(named, self.run.split("/")))).config().train.task
        except (ValueError, OSError):
            return LANGUAGE.name

    @classmethod
    def every(cls, home: Home) -> list[Trained]:
        """Of the trainings that have been evaluated, the newest first, and one's own before the machine's."""
        every = ((each, run) for each in home.read for run in trainings.every(each))
        return [cls(run.name, each.person) for each, run in every if (run.folder / "best.safetensors").exists()]

    def open(self) -> OpenModel:
        return _open_below(Home.here().of(self.person).runs, [*self.run.split("/", 1), "best.safetensors"], self)


@dataclass(frozen=True)
class Uploaded:
    """A file of the person's own; its name comes from its content, never from the browser."""

    name: str

    def __str__(self) -> str:
        return f"uploaded {self.name}"

    @classmethod
    def parse(cls, text: str) -> Uploaded | None:
        return cls(text.removeprefix("uploaded ")) if text.startswith("uploaded ") else None

    @property
    def of(self) -> str:
        """The task of its model; the usual one where there is none."""
        opened = session(Uploads).opened.get(self.name)
        return opened.task.name if opened else LANGUAGE.name

    @classmethod
    def every(cls) -> list[Uploaded]:
        return [cls(name) for name in session(Uploads).opened]

    @classmethod
    def take(cls, home: Home, data: bytes) -> Uploaded:
        """Check an uploaded file and keep it.

        Args:
            home: whose it is.
            data: the file.

        Raises:
            CheckpointError: the file cannot be used.
            ValueError: too many are open.
        """
        opened = _prepared(checkpoints.loads(data))
        checkpoint = opened.checkpoint
        address, mine = (
            cls(f"{checkpoint.corpus_name} {checkpoint.model.cell} {checkpoint.digest[:6]}"),
            session(Uploads),
        )
        mine.person = home.person
        _uploads.add(mine)
        if home.person and address.name not in mine.opened:
            held = [(each.person, len(each.opened)) for each in _uploads]
            UPLOADS.check(sum(n for person, n in held if person == home.person), sum(n for _, n in held))
        mine.opened[address.name] = opened
        return address

    def open(self) -> OpenModel:
        if self.name not in session(Uploads).opened:
            raise _missing(str(self))
        return session(Uploads).opened[self.name]


@dataclass(frozen=True)
class Copy:
    """The weights of another model in the layout of another cell that computes the same."""

    original: Address
    cell: str

    def __str__(self) -> str:
        return f"{self.original} as {self.cell}"

    @classmethod
    def parse(cls, text: str) -> Copy | None:
        original, _, cell = text.rpartition(" as ")
        # Of a copy there is no copy; and a link that says "as" a thousand times is not gone into.
        return cls(parse(original, (Uploaded, Trained, Member, Shipped)), cell) if original and cell in CELLS else None

    @property
    def of(self) -> str:
        """The task of its model."""
        return self.original.of

    @classmethod
    def every(cls, original: Address) -> list[Copy]:
        """All that can be made of a model.

        Raises:
            CheckpointError: it cannot be used.
        """
        from lstmviz.cells.transplant import layouts

        if isinstance(original, Copy):
            return []
        return [cls(original, cell) for cell in layouts(original.open().checkpoint.model.cell)]

    def open(self) -> OpenModel:
        opened = self.original.open()
        need_torch()
        return _copy(opened, self.cell)


Address = Shipped | Member | Trained | Uploaded | Copy


def parse(text: str, kinds: Sequence[type[Address]] = (Copy, Uploaded, Trained, Member, Shipped)) -> Address:
    """The address that a menu or a link says; whether there is such a model, it says when it is opened."""
    return next(address for kind in kinds if (address := kind.parse(text)))


def every(home: Home) -> list[Address]:
    """All in the menu. Copies stand there once they are asked for: there are too many to list them all."""
    return [*Shipped.every(), *Trained.every(home), *Uploaded.every(), *Member.every()]


def shared(names: list[str]) -> list[str]:
    """Those of the names, out of a link, that are trainings of another person, or copies of such, and are there."""
    originals = [address.original if isinstance(address := parse(name), Copy) else address for name in names]
    return [
        str(address)
        for address in dict.fromkeys(originals)
        if isinstance(address, Trained) and address.person and is_there(address)
    ]


def of_tasks() -> dict[tuple[str, str], list[Shipped]]:
    """Task and data -> the models that learned it in different ways, among those that come with the project."""
    found: dict[tuple[str, str], list[Shipped]] = {}
    for each in Shipped.every():
        if each.of != LANGUAGE.name:
            found.setdefault((each.of, each.name.partition("-")[0]), []).append(each)
    return {data: models for data, models in found.items() if len(models) > 1}


def line_ups() -> dict[str, list[Member]]:
    """Tasks that every cell was trained on, and for each its models in the order of ``CELLS``."""
    found: dict[str, list[Member]] = {}
    paths = (path for path in (FOLDER / LINE_UPS).glob("*/*.safetensors") if path.stem in CELLS)
    for path in sorted(paths, key=lambda path: [*CELLS].index(path.stem)):
        found.setdefault(path.parent.name, []).append(Member(path.parent.name, path.stem))
    return dict(sorted(found.items(), reverse=True))  # recall in front: there the cells differ most


@dataclass(frozen=True)
class Baseline:
    """An n-gram of a table of counts in a file."""

    path: Path
    n: int

    def __str__(self) -> str:
        return f"{self.n}-gram"

    def open(self) -> NGram:
        return _open_ngram(os.fsencode(self.path), _changed(self.path, self.path.stem), self.n)


def baselines(opened: OpenModel, home: Home | None = None) -> dict[str, Baseline]:
    """The n-grams of a vocabulary by name: those that come with the project, and those in a home's ``runs/``."""
    found: dict[str, Baseline] = {}
    folders = [FOLDER, *(each.runs for each in home.read)] if home else [FOLDER]
    for path in (path for folder in folders for path in sorted(folder.glob(f"*{counted.SUFFIX}"))):
        with suppress(CheckpointError):
            about = _look_at_table(os.fsencode(path), _changed(path, path.stem))
            if (
                about.tokens == opened.checkpoint.vocabulary.tokens
                and about.level == opened.checkpoint.vocabulary.level
            ):
                every = (Baseline(path, n) for n in range(2, len(about.runs) + 1))
                found = {str(baseline): baseline for baseline in every} | found
    return found


def titles(models: list[tuple[Address, str]]) -> list[str]:
    """As short a name as tells each model, given with its cell, from the others: its cell, where that does."""
    cells = [f"copy as {cell}" if isinstance(address, Copy) else cell for address, cell in models]
    return [short if cells.count(short) == 1 else str(a) for short, (a, _) in zip(cells, models, strict=True)]


def open_path(path: Path, name: str) -> OpenModel:
    """The model in a file, which an error calls by its name.

    Raises:
        CheckpointError: it cannot be used.
    """
    return _prepared(_load_file(os.fsencode(path), _changed(path, name)))


def _changed(path: Path, name: str) -> int:
    try:
        return path.stat().st_mtime_ns
    except (OSError, ValueError) as error:  # or a path that no file can have
        raise _missing(name) from error


def is_there(address: Address) -> bool:
    """Whether a model can be opened."""
    try:
        address.open()
    except CheckpointError:
        return False
    return True


def _open_below(folder: Path, names: list[str], address: Address) -> OpenModel:
    """The model in a file of a folder; a link can name nothing outside it."""
    if any(name in ("", ".", "..") or "/" in name for name in map(named, names)):
        raise _missing(str(address))
    return open_path(folder.joinpath(*map(named, names)), str(address))


def _unlike_others(name: str) -> str:
    """A name in an address: where that could be taken for one of another kind, a space in it is written \\x20."""
    name = re.sub(r"^(run|uploaded) ", r"\1\\x20", name)
    return re.sub(rf" (?=(?:as (?:{'|'.join(CELLS)})|of {PERSON.pattern})$)", r"\\x20", name)


def _as_it_is(name: str) -> str:
    return name.replace("\\x20", " ")


def _missing(name: str) -> CheckpointError:
    return CheckpointError(f"there is no checkpoint called {name}")


def _prepared(checkpoint: Checkpoint) -> OpenModel:
    if not runs(checkpoint.model):
        need_torch()
    return _prepare(checkpoint)


@st.cache_resource(show_spinner=False, max_entries=16, hash_funcs=BY_DIGEST)
def _copy(opened: OpenModel, cell: str) -> OpenModel:
    try:
        return prepare(checkpoints.loads(checkpoints.dumps(checkpoints.with_layout(opened.checkpoint, cell))))
    except ValueError as error:
        raise CheckpointError(str(error)) from error


@st.cache_resource(show_spinner=False, max_entries=16)
def _load_file(path: bytes, changed: int) -> Checkpoint:
    return checkpoints.load(Path(os.fsdecode(path)))


@st.cache_resource(show_spinner=False, max_entries=4)  # each of some 100 MB, where its text had two million words
def _open_ngram(path: bytes, changed: int, n: int) -> NGram:
    return counted.load(Path(os.fsdecode(path))).model(n)


@st.cache_resource(show_spinner=False, max_entries=64)
def _look_at_table(path: bytes, changed: int) -> counted.About:
    return counted.look(Path(os.fsdecode(path)))


@st.cache_resource(show_spinner=False, max_entries=16, hash_funcs=BY_DIGEST)
def _prepare(checkpoint: Checkpoint) -> OpenModel:
    return prepare(checkpoint)


def _folder(task: str) -> Path:
    """Where those of a task lie that come with the project."""
    return FOLDER if task == LANGUAGE.name else FOLDER / task
