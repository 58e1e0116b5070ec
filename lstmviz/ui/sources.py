"""The models a person can pick: the shipped ones, and those uploaded in this session."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from lstmviz import checkpoint as checkpoints
from lstmviz.cells import CELLS
from lstmviz.reading import OpenModel, prepare
from lstmviz.ui import trainings

FOLDER = Path(__file__).parents[2] / "checkpoints"
LINE_UPS = "lineups"  # a folder in that one; in it a folder a task
FIRST = "shakespeare-char-lstm"
COPY = " as "  # stands between a model's name and the layout that its weights are put into


def shipped() -> list[str]:
    """Names of the checkpoints that come with the project, the one to open first in front."""
    names = sorted(path.stem for path in FOLDER.glob("*.safetensors"))
    return sorted(names, key=lambda name: name != FIRST)


def line_ups() -> dict[str, list[str]]:
    """Tasks that every cell was trained on, and for each the names of its models in the order of ``CELLS``."""
    found: dict[str, list[str]] = {}
    paths = (path for path in (FOLDER / LINE_UPS).glob("*/*.safetensors") if path.stem in CELLS)
    for path in sorted(paths, key=lambda path: [*CELLS].index(path.stem)):
        found.setdefault(path.parent.name, []).append(f"{path.parent.name}/{path.stem}")
    return dict(sorted(found.items(), reverse=True))  # recall in front: there the cells differ most


def every() -> list[str]:
    """All names in the menu."""
    members = [name for names in line_ups().values() for name in names]
    return [*shipped(), *trained(), *uploaded(), *members]


def is_copy(name: str, names: list[str]) -> bool:
    """Whether a name means one of these models in another layout of its cell."""
    original, _, cell = name.rpartition(COPY)
    return original in names and cell in CELLS


def trained() -> list[str]:
    """The models of the Train page's runs that have been evaluated, the newest first."""
    return [f"run {run.name}" for run in trainings.every() if (run.folder / "best.safetensors").exists()]


def uploaded() -> dict[str, OpenModel]:
    """Models uploaded in this session, by the name that the app gave them."""
    return st.session_state.setdefault("uploaded", {})


def add_upload(data: bytes) -> str:
    """Check an uploaded file and keep it; its name comes from its content, never from the browser.

    Raises:
        CheckpointError: the file cannot be used.
    """
    opened = _prepare(data)
    checkpoint = opened.checkpoint
    name = f"uploaded {checkpoint.corpus_name} {checkpoint.model.cell} {checkpoint.digest[:6]}"
    uploaded()[name] = opened
    return name


def open_model(name: str) -> OpenModel:
    """A model by its name in the menu.

    Raises:
        CheckpointError: it cannot be used.
    """
    if name in uploaded():
        return uploaded()[name]
    original, _, cell = name.rpartition(COPY)
    if original:
        return _copy(open_model(original), cell)
    path = (FOLDER / LINE_UPS if "/" in name else FOLDER) / f"{name}.safetensors"
    if name.startswith("run "):
        parts = name.removeprefix("run ").split("/")  # a run's, or its line-up's and its own
        if len(parts) > 2 or {"", "..", "."} & set(parts):
            raise checkpoints.CheckpointError(f"there is no checkpoint called {name}")
        path = trainings.FOLDER.joinpath(*parts, "best.safetensors")
    return open_path(path, name)


def open_path(path: Path, name: str) -> OpenModel:
    """The model in a file, which an error calls by its name.

    Raises:
        CheckpointError: it cannot be used.
    """
    try:
        changed = path.stat().st_mtime_ns
    except OSError as error:
        raise checkpoints.CheckpointError(f"there is no checkpoint called {name}") from error
    return _open_file(str(path), changed)


@st.cache_resource(show_spinner=False, max_entries=16, hash_funcs={OpenModel: lambda opened: opened.checkpoint.digest})
def _copy(opened: OpenModel, cell: str) -> OpenModel:
    try:
        return _prepare(checkpoints.dumps(checkpoints.with_layout(opened.checkpoint, cell)))
    except ValueError as error:
        raise checkpoints.CheckpointError(str(error)) from error


@st.cache_resource(show_spinner=False, max_entries=16)
def _open_file(path: str, changed: int) -> OpenModel:
    try:
        return _prepare(Path(path).read_bytes())
    except OSError as error:
        raise checkpoints.CheckpointError(f"{Path(path).name} cannot be read: {error.strerror}") from error


@st.cache_resource(show_spinner=False, max_entries=16)
def _prepare(data: bytes) -> OpenModel:
    return prepare(checkpoints.loads(data))


def titles(models: list[tuple[str, str]]) -> list[str]:
    """As short a name as tells each model, given by name and cell, from the others: its cell, where that does."""
    cells = [f"copy{COPY}{cell}" if COPY in name else cell for name, cell in models]
    return [short if cells.count(short) == 1 else name for short, (name, _) in zip(cells, models, strict=True)]
