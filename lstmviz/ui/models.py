"""The models a person can pick: the shipped ones, and those uploaded in this session."""

from __future__ import annotations

from collections.abc import Mapping
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
from lstmviz.text import Vocabulary
from lstmviz.trace import trace_tokens
from lstmviz.ui import trainings
from lstmviz.ui.rows import Usual, by_similarity, drawn_roles, usual

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
        typed: and as it is typed; None where it cannot be.
        usual: for each layer how its units move in a text that the model wrote itself.
        similar: for each layer the order of its units that puts alike ones side by side, ``(H,)``.
        scales: for each layer, role -> (low, high), the ends of its colours, from that text.
        written: that text's beginning.
        context: what a sentence is read after. Empty, but for a grammar's model sentences that it wrote itself, up to
            an end: in training it never met a sentence that begins from nothing, and there it fails.
    """

    checkpoint: Checkpoint
    model: LanguageModel
    signs: list[str]
    typed: list[str | None]
    usual: list[Usual]
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
    vocabulary, ids = checkpoint.vocabulary, text.tolist()
    pieces = [vocabulary.tokens[i] for i in ids]
    similar, moves, scales = [], [], []
    for layer in range(checkpoint.model.num_layers):
        # A projection's values belong to no unit: the map cannot draw them.
        values = {name: trace[name].values[layer] for name in names if "unit" in trace[name].dims}  # (T, H)
        scales.append({name: scale(name, values[name]) for name in values})
        # All that a unit did, each role on its own scale: (H, roles · T)
        did = np.concatenate([values[name] / high for name, (_, high) in scales[-1].items()]).T
        similar.append(by_similarity(did @ did.T))
        moves.append(usual(acts(values, scales[-1]), pieces))
    context = ids[: len(ids) - ids[::-1].index(vocabulary.end)] if checkpoint.hidden_variable else []
    written = vocabulary.decode(ids[1:61])
    typed = [how_to_type(vocabulary, i) for i in range(len(vocabulary))]
    return OpenModel(checkpoint, model, signs, typed, moves, similar, scales, written, context)


def acts(values: Mapping[str, np.ndarray], scales: dict[str, tuple[float, float]]) -> np.ndarray:
    """What every unit of a layer did in the roles that are shown at first, as far as their colours go: ``(T, R, H)``.

    Args:
        values: role -> ``(T, H)``.
        scales: role -> (low, high).
    """
    roles = drawn_roles(scales)
    did = [np.clip(values[role] / np.float32(scales[role][1]), -1, 1) for role in roles]
    return np.nan_to_num(np.stack(did, axis=1).astype(np.float32))


def how_to_type(vocabulary: Vocabulary, i: int) -> str | None:
    """What to type, in a box of one line, to get just this token; None where nothing does."""
    forms = (vocabulary.tokens[i], vocabulary.display(i))
    return next((form for form in forms if "\n" not in form and vocabulary.encode(form) == [i]), None)
