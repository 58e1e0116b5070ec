"""The models a person can pick: the shipped ones, and those uploaded in this session."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import streamlit as st
import torch

from lstmviz import checkpoint as checkpoints
from lstmviz.cells import CELLS
from lstmviz.charts import scale
from lstmviz.checkpoint import Checkpoint
from lstmviz.model import LanguageModel
from lstmviz.trace import trace_tokens
from lstmviz.ui import trainings

FOLDER = Path(__file__).parents[2] / "checkpoints"
LINE_UPS = "lineups"  # a folder in that one; in it a folder a task
FIRST = "shakespeare-char-lstm"
COPY = " as "  # stands between a model's name and the layout that its weights are put into


@dataclass(frozen=True)
class OpenModel:
    """A model ready to be watched.

    Args:
        checkpoint, model: what was loaded.
        signs: every token of the vocabulary as a person should see it, by id.
        similar: for each layer the order of its units that puts alike ones side by side, ``(H,)``.
        scales: for each layer, role -> (low, high), the ends of its colours, from a text that the model wrote itself.
        written: that text's beginning.
        context: what a sentence is read after. Empty, but for a grammar's model sentences that it wrote itself, up to
            an end: in training it never met a sentence that begins from nothing, and there it fails.
    """

    checkpoint: Checkpoint
    model: LanguageModel
    signs: list[str]
    similar: list[np.ndarray]
    scales: list[dict[str, tuple[float, float]]]
    written: str
    context: list[int]


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
    checkpoint = checkpoints.loads(data)
    model = checkpoint.build()
    signs = [checkpoint.vocabulary.display(i) for i in range(len(checkpoint.vocabulary))]
    # The order of the units and the scale of the cell come from what the model writes itself, not from the sentence on
    # the page: so they stay where they are while somebody types.
    start = torch.tensor([checkpoint.vocabulary.end])
    try:
        text = torch.cat([start, model.sample(start, 300, seed=0)])
        trace, _ = trace_tokens(model, text)
    except FloatingPointError as error:
        raise checkpoints.CheckpointError(
            "what the model predicts is no finite number; its weights are useless"
        ) from error
    names = [str(name) for name in trace.data_vars if name != "nll"]
    if not all(np.isfinite(trace[name].values).all() for name in names):
        raise checkpoints.CheckpointError("the model's states are not finite numbers")
    similar, scales = [], []
    for layer in range(checkpoint.model.num_layers):
        # A projection's values belong to no unit: the map cannot draw them.
        values = {name: trace[name].values[layer] for name in names if "unit" in trace[name].dims}  # (T, H)
        scales.append({name: scale(name, values[name]) for name in values})
        # All that a unit did, each role on its own scale: (H, roles · T)
        did = np.concatenate([values[name] / high for name, (_, high) in scales[-1].items()]).T
        similar.append(_by_similarity(did))
    vocabulary, ids = checkpoint.vocabulary, text.tolist()
    context = ids[: len(ids) - ids[::-1].index(vocabulary.end)] if checkpoint.hidden_variable else []
    return OpenModel(checkpoint, model, signs, similar, scales, vocabulary.decode(ids[1:61]), context)


def _by_similarity(rows: np.ndarray) -> np.ndarray:
    """An order of the rows of ``(H, …)`` that puts alike ones next to each other, so that blocks show.

    Rows are sorted by their angle in the plane of the two leading principal components (Friendly 2002), and the circle
    is cut at its widest gap.
    """
    if len(rows) < 3:
        return np.arange(len(rows))
    centred = rows - rows.mean(0)
    _, vectors = np.linalg.eigh(centred @ centred.T)  # (H, H), eigenvalues ascending
    angles = np.arctan2(vectors[:, -2], vectors[:, -1])  # (H,)
    order = np.argsort(angles, kind="stable")
    gaps = np.diff(angles[order], append=angles[order[0]] + 2 * np.pi)
    return np.roll(order, -1 - int(np.argmax(gaps)))
