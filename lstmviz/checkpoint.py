"""One safetensors file holds a whole trained model; the loader trusts nothing in it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import reprlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lstmviz import config as limits
from lstmviz.config import ModelConfig, TrainConfig, options_of
from lstmviz.data.vocabulary import Vocabulary
from lstmviz.disk import name_of, read_bytearray, write_atomically
from lstmviz.sizes import shapes
from lstmviz.tasks import TASKS

if TYPE_CHECKING:
    from lstmviz.model import LanguageModel

FORMAT = 1
NOT_OURS = "this is not a checkpoint of lstmviz; only files that lstmviz saved can be opened"


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the sentence says what is wrong with it."""


@dataclass(frozen=True)
class Checkpoint:
    """A trained model and where it comes from.

    Args:
        model: its sizes.
        train: how it was trained.
        vocabulary: the tokens it knows, or the labels that it says.
        weights: every parameter by name, float32.
        step: optimiser steps taken when these weights were kept.
        history: the training curves as columns of equal length: step, train_nll, valid_nll (None where not evaluated).
        results: figures of these weights, in nats per token or label: valid_nll, test_nll; and the share of ``<unk>``
            in what they are of: valid_unknown, test_unknown (files of earlier versions lack these), or of right labels:
            valid_accuracy, test_accuracy.
        corpus_name, corpus_sha256, licence: of the text.
        command: the one that trained it.
        hidden_variable: for a grammar, ``{"name": …, "correlations": [[how much each unit carries] of each layer]}``.
        reads: the tokens that it reads, where it says labels of a text; None: those that it says.
    """

    model: ModelConfig
    train: TrainConfig
    vocabulary: Vocabulary
    weights: dict[str, np.ndarray]
    step: int
    history: dict[str, list[Any]]
    results: dict[str, float]
    corpus_name: str
    corpus_sha256: str
    licence: str
    command: str
    hidden_variable: dict[str, Any] | None = field(default=None)
    reads: Vocabulary | None = None

    def build(self) -> LanguageModel:
        """The model with these weights, in eval mode."""
        import torch  # here and not above: nothing else here needs it, and it takes seconds

        from lstmviz.model import LanguageModel

        model = LanguageModel(self.model, len(self.vocabulary))
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.copy_(torch.from_numpy(self.weights[name]))
        return model.eval()

    @cached_property
    def digest(self) -> str:
        """sha256 of everything in the checkpoint; taken once, so weights must not be changed in place."""
        return digest_of(_description(self), self.weights)


def weights_of(model: LanguageModel) -> dict[str, np.ndarray]:
    """Every parameter by name, copied to float32; tied weights appear once."""
    return {name: np.array(p.detach().float().cpu().numpy(), order="C") for name, p in model.named_parameters()}


def with_layout(checkpoint: Checkpoint, cell: str) -> Checkpoint:
    """The same trained model with its weights stored in another layout of its cell.

    Args:
        cell: one of ``layouts(checkpoint.model.cell)`` (``lstmviz.cells.transplant``).

    Returns:
        A checkpoint of the same function, but for rounding, so its curves and figures stay as they are. Embedding and
        decoder are shared with the first one; ``command`` says that the layers are a copy.

    Raises:
        ValueError: that cell cannot hold these weights; see ``transplant``.
    """
    from lstmviz.cells.transplant import transplant

    layers = checkpoint.build().layers
    names = {module: f"layers.{name}." for name, module in layers.named_modules()}
    cells = {
        names[layer] + name: parameter.detach().numpy()
        for layer in layers
        for name, parameter in transplant(layer, cell).named_parameters()
    }
    copied = tuple(names[layer] for layer in layers)
    others = {name: weight for name, weight in checkpoint.weights.items() if not name.startswith(copied)}
    return dataclasses.replace(
        checkpoint,
        model=dataclasses.replace(checkpoint.model, cell=cell),
        weights={**others, **cells},
        # The shell takes no notice of what follows a #, so the command can still be run as it stands.
        command=f"{checkpoint.command}  # then the weights of {checkpoint.model.cell} copied into the layout {cell}",
    )


def dumps(checkpoint: Checkpoint) -> bytes:
    """The checkpoint as the bytes of a safetensors file; equal checkpoints give equal bytes."""
    weights = dict(sorted(checkpoint.weights.items()))
    header = _header(_text(_description(checkpoint), checkpoint.digest), weights)
    return b"".join([header, *(weight.tobytes() for weight in weights.values())])


def loads(data: bytes | bytearray) -> Checkpoint:
    """Read a checkpoint, checking everything before it is used.

    Args:
        data: the file. A bytearray is not copied: the weights are views of it.

    Raises:
        CheckpointError: the bytes are not exactly what ``dumps`` writes for some valid checkpoint, or there is more of
            something than the limits in ``lstmviz.config``.
    """
    _look(data)
    header, text = _read_header(data)
    description = _read_description(text)
    try:
        json.dumps(description, ensure_ascii=False).encode()  # half a surrogate pair could not be shown
        digest = description.pop("digest", None)
        sizes = dict(description["model"])
        vocab_size = sizes.pop("vocab_size")
        model_config = ModelConfig(**sizes)
        vocabulary = _read_vocabulary(description["vocabulary"])
        reads = _read_vocabulary(description["reads"]) if "reads" in description else None
        train_config = TrainConfig(**description["train"])
        if vocab_size != len(vocabulary):
            raise CheckpointError(f"the model has {vocab_size} tokens, its vocabulary {len(vocabulary)}")
        TASKS[train_config.task].check(model_config, vocabulary, reads)
        _check_shapes(header, model_config, vocab_size)
        checkpoint = Checkpoint(
            model=model_config,
            train=train_config,
            vocabulary=vocabulary,
            reads=reads,
            weights=_read_weights(header, data),
            **{name: description[name] for name in _PLAIN_FIELDS},
        )
    except CheckpointError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError) as error:
        raise CheckpointError(f"the checkpoint does not describe a model this app knows: {error}") from error
    if problem := unusable(checkpoint.weights):
        raise CheckpointError(f"{problem}; the training probably diverged")
    if digest != digest_of(description, checkpoint.weights):
        raise CheckpointError("the file was changed after it was written (its digest does not fit); copy it again")
    _check_figures(checkpoint)
    written = _header(_text(_description(checkpoint), digest), checkpoint.weights)
    if not data.startswith(written):
        raise CheckpointError("the file is not in the form this app writes; save it again with lstmviz")
    return checkpoint


def unusable(weights: dict[str, np.ndarray]) -> str:
    """What is wrong with weights that no finite sums can be made of, in a sentence; empty where that can be done."""
    for name, weight in weights.items():
        if not (weight.min() >= -limits.WEIGHT_MOST and weight.max() <= limits.WEIGHT_MOST):  # nor is NaN
            return f"the weights in {name} are not all finite numbers, at most {limits.WEIGHT_MOST:,.0f} either way"
    return ""


def save(checkpoint: Checkpoint, path: Path) -> None:
    """Write a checkpoint so that at every moment the path holds either the old file or the whole new one."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    write_atomically(Path(path), dumps(checkpoint))


def load(path: Path | str) -> Checkpoint:
    """Read a checkpoint file.

    Raises:
        CheckpointError: it cannot be read, or is not what ``loads`` takes.
    """
    try:
        # Read, then parse: a memory-mapped file that shrinks under the server would kill it.
        data = read_bytearray(Path(path), limits.FILE_MOST)  # of which the weights are views
    except OSError as error:
        raise CheckpointError(f"{name_of(path)} cannot be read: {error.strerror}") from error
    return loads(data)


_PLAIN_FIELDS = (
    "step", "history", "results", "corpus_name", "corpus_sha256", "licence", "command", "hidden_variable",
)  # fmt: skip


_TEXTS = {
    "corpus_name": limits.NAME_MOST, "corpus_sha256": limits.NAME_MOST,
    "licence": limits.TEXT_MOST, "command": limits.TEXT_MOST,
}  # fmt: skip


def _description(checkpoint: Checkpoint) -> dict[str, Any]:
    """Everything but the weights, as JSON values."""
    return {
        "format": FORMAT,
        "model": {**_written(checkpoint.model), "vocab_size": len(checkpoint.vocabulary)},
        "train": _written(checkpoint.train),
        "vocabulary": _written_vocabulary(checkpoint.vocabulary),
        **({"reads": _written_vocabulary(checkpoint.reads)} if checkpoint.reads else {}),
        **{name: getattr(checkpoint, name) for name in _PLAIN_FIELDS},
    }


def _written(config: ModelConfig | TrainConfig) -> dict[str, Any]:
    """A configuration as the file holds it: see ``Option.later``."""
    return {
        name: value
        for name, (default, known) in options_of(type(config)).items()
        if (value := getattr(config, name)) != default or not known.later
    }


def _written_vocabulary(vocabulary: Vocabulary) -> dict[str, Any]:
    return {"level": vocabulary.level, "tokens": list(vocabulary.tokens)}


def _read_vocabulary(written: dict[str, Any]) -> Vocabulary:
    return Vocabulary(written["level"], tuple(written["tokens"]))


def digest_of(description: dict[str, Any], weights: dict[str, np.ndarray]) -> str:
    """SHA-256 of what is said and of every bit of the weights, whose type is told as torch tells it."""
    digest = hashlib.sha256(json.dumps(description, sort_keys=True).encode())
    for name, weight in sorted(weights.items()):
        digest.update(f"{name} torch.{weight.dtype} {weight.shape}".encode())
        digest.update(np.ascontiguousarray(weight).data)
    return digest.hexdigest()


def _text(description: dict[str, Any], digest: str) -> str:
    return json.dumps({**description, "digest": digest}, sort_keys=True, allow_nan=False)


def _header(text: str, weights: dict[str, np.ndarray]) -> bytes:
    """What stands before the weights in a safetensors file, in the very bytes that safetensors writes."""
    header: dict[str, Any] = {"__metadata__": {"lstmviz": text}}
    end = 0
    for name, weight in weights.items():
        begin, end = end, end + weight.nbytes
        dtype = "F32" if weight.dtype == np.float32 else str(weight.dtype)  # which is refused by that name
        header[name] = {"dtype": dtype, "shape": list(weight.shape), "data_offsets": [begin, end]}
    written = json.dumps(header, separators=(",", ":")).encode()
    written += b" " * (-len(written) % 8)
    return len(written).to_bytes(8, "little") + written


def _at_most(found: int, most: int, what: str) -> None:
    if found > most:
        raise CheckpointError(f"the file has {found:,} {what}; at most {most:,} are read")


def _look(data: bytes | bytearray) -> None:
    """Refuse what would cost much to parse, before it is parsed."""
    end = 8 + int.from_bytes(data[:8], "little")
    if len(data) < 8 or end > len(data):
        raise CheckpointError("the file is cut short or is no safetensors file; download or copy it again")
    _at_most(len(data), limits.FILE_MOST, "bytes")
    _at_most(end - 8, limits.HEADER_MOST, "bytes in its header")
    lists = data.count(b"[", 8, end) + data.count(b"{", 8, end)
    _at_most(lists, limits.LISTS_MOST, "signs [ and { in its header")
    _at_most(data.count(b",", 8, end), limits.VALUES_MOST, "values in its header")


def _read_header(data: bytes | bytearray) -> tuple[dict[str, Any], str]:
    """The safetensors header and, in it, the text of our description."""
    try:
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        return header, header.pop("__metadata__", {})["lstmviz"]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise CheckpointError(NOT_OURS) from error


def _read_description(text: str) -> dict[str, Any]:
    try:
        description = json.loads(text)
        known = description["format"] == FORMAT
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise CheckpointError(NOT_OURS) from error
    if not known:
        form = reprlib.repr(description["format"])
        raise CheckpointError(f"the checkpoint has format {form}; this version reads format {FORMAT}")
    return description


def _check_shapes(header: dict[str, Any], config: ModelConfig, vocab_size: int) -> None:
    """Compare the file's tensors with the config's before anything is allocated."""
    expected = {name: list(shape) for name, shape in shapes(config, vocab_size).items()}
    if missing := sorted(expected.keys() ^ header.keys()):
        raise CheckpointError(f"weights are missing or too many: {', '.join(missing[:4])}")
    for name, shape in expected.items():
        found = header[name]
        if found["shape"] != shape or found["dtype"] != "F32":
            told = f"{found['dtype']} {found['shape']}"
            raise CheckpointError(f"{name} is {told:.60}; its config asks for F32 {shape}")


def _read_weights(header: dict[str, Any], data: bytes | bytearray) -> dict[str, np.ndarray]:
    """The weights, as views of the file, of shapes that are checked; they must stand in it one behind the other.

    Raises:
        ValueError: there is less in the file than they are, or more.
    """
    buffer = data if isinstance(data, bytearray) else bytearray(data)
    weights, begin = {}, 8 + int.from_bytes(data[:8], "little")
    for name in sorted(header):
        values = np.frombuffer(buffer, "<f4", math.prod(header[name]["shape"]), begin)
        weights[name] = values.reshape(header[name]["shape"])
        begin += values.nbytes
    if begin != len(data):
        raise ValueError(f"it has {len(data) - begin:,} bytes more than its weights")
    return weights


def _check_figures(checkpoint: Checkpoint) -> None:
    """History, results, correlations and names must be what the pages will show."""

    def is_number(value: Any) -> bool:
        return type(value) in (int, float) and abs(value) <= limits.FIGURE_MOST  # NaN is not

    def is_count(value: Any) -> bool:
        return type(value) is int and 0 <= value <= limits.COUNT_MOST

    def is_nll(value: Any) -> bool:
        return is_number(value) and value >= 0

    def is_result(name: str, value: Any) -> bool:
        part, _, what = name.partition("_")
        if what in ("unknown", "accuracy"):  # a share, beside its loss
            return is_nll(value) and value <= 1 and f"{part}_nll" in checkpoint.results
        return is_nll(value)

    history, variable = checkpoint.history, checkpoint.hidden_variable
    share = "accuracy" if TASKS[checkpoint.train.task].parts else "unknown"
    shares = f"valid_{share}", f"test_{share}"
    try:
        for name, most in _TEXTS.items():
            _at_most(len(getattr(checkpoint, name)), most, f"characters in its {name}")
        _at_most(len(history["step"]), limits.ROWS_MOST, "rows in its history")
        good = (
            set(history) == {"step", "train_nll", "valid_nll"}
            and len({len(column) for column in history.values()}) == 1
            and len(history["step"]) > 0
            and all(is_count(v) and v > 0 for v in history["step"])
            and all(is_nll(v) for v in history["train_nll"])
            and all(v is None or is_nll(v) for v in history["valid_nll"])
            and {"valid_nll"} <= set(checkpoint.results) <= {"valid_nll", "test_nll", *shares}
            and all(is_result(name, value) for name, value in checkpoint.results.items())
            and is_count(checkpoint.step)
            and all(type(getattr(checkpoint, name)) is str for name in _TEXTS)
        )
        if variable is not None:
            if TASKS[checkpoint.train.task].parts:
                raise CheckpointError("it says a hidden variable, which only a model of a text carries")
            _at_most(len(variable["name"]), limits.NAME_MOST, "characters in the name of its hidden variable")
            shape = [len(layer) for layer in variable["correlations"]]
            good = (
                good
                and set(variable) == {"name", "correlations"}
                and type(variable["name"]) is str
                and shape == [checkpoint.model.hidden_size] * checkpoint.model.num_layers
                and all(is_number(r) and 0 <= r <= 1 for layer in variable["correlations"] for r in layer)
            )
    except (TypeError, AttributeError, KeyError) as error:
        raise CheckpointError("the checkpoint's history or figures are malformed") from error
    if not good:
        raise CheckpointError("the checkpoint's history or figures are malformed")
