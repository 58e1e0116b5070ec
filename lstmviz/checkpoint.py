"""One safetensors file holds a whole trained model; the loader trusts nothing in it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import sys
import tempfile
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from lstmviz.cells.transplant import transplant
from lstmviz.grammars import measure
from lstmviz.model import LanguageModel, ModelConfig, parameter_count, perplexity
from lstmviz.text import SPECIALS, UNK, UNKNOWN_MOST, Level, Vocabulary, plain, unknown_said

FORMAT = 1
PARTS = {"valid": "validation", "test": "test"}  # of a text, that have results
COUNT_MOST = 10**12  # of steps, tokens and streams; more is a slip
SEED_MOST = 2**63 - 1


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the sentence says what is wrong with it."""


@dataclass(frozen=True)
class TrainConfig:
    """How a model is trained.

    Args:
        corpus: a grammar ("brackets", "agreement", "recall"), the name of a text in corpora/, or the path of a
            text file or of a folder with train, valid and test.
        level: "char" or "word"; a grammar has its own. Words are cut as Unicode says (UAX #29); where a script writes
            no spaces (Chinese, Japanese but for katakana, Thai, Lao, Khmer, Burmese), each character is one.
        max_words: at word level, keep only this many of the commonest words; the rest become ``<unk>``.
        min_count: keep only words (or characters) that the training part has at least so often.
        bptt: tokens in one window of truncated backpropagation through time; the state is carried across windows.
        batch_size: streams read side by side.
        learning_rate: Adam's.
        schedule: "constant"; "cosine", down to nothing over ``steps``; or "plateau", a quarter at every evaluation
            that is no better than the best, until the third such cut ends the training.
        clip_norm: the gradient is scaled down to this norm where it is longer.
        steps: optimiser steps at most.
        eval_every: steps between two evaluations on the validation part.
        seed: of initialisation and dropout.
        bfloat16: multiply matrices in bfloat16 while training; twice as fast at word level on processors that can.

    Raises:
        ValueError: a value is out of its range; the sentence names the field.
    """

    corpus: str
    level: Level = "char"
    max_words: int | None = None
    min_count: int = 1
    bptt: int = 64
    batch_size: int = 32
    learning_rate: float = 2e-3
    schedule: Literal["constant", "cosine", "plateau"] = "cosine"
    clip_norm: float = 1.0
    steps: int = 2000
    eval_every: int = 250
    seed: int = 0
    bfloat16: bool = False

    def __post_init__(self) -> None:
        if type(self.corpus) is not str:
            raise ValueError(f"corpus is {self.corpus!r}; it must be text")
        if type(self.seed) is not int or not -SEED_MOST - 1 <= self.seed <= SEED_MOST:
            raise ValueError(f"seed is {self.seed!r}; it must be a whole number from {-SEED_MOST - 1} to {SEED_MOST}")
        for name in ("min_count", "bptt", "batch_size", "steps", "eval_every", "max_words"):
            value = getattr(self, name)
            if name == "max_words" and value is None:
                continue
            if type(value) is not int or not 1 <= value <= COUNT_MOST:
                none = ", or none" if name == "max_words" else ""
                raise ValueError(f"{name} is {value!r}; it must be a whole number from 1 to {COUNT_MOST:,}{none}")
        for name in ("learning_rate", "clip_norm"):
            value = getattr(self, name)
            if type(value) not in (int, float) or not 0 < value <= sys.float_info.max:
                raise ValueError(f"{name} is {value!r}; it must be a number above 0 and below infinity")
        if self.schedule not in ("constant", "cosine", "plateau"):
            raise ValueError(f"schedule is {self.schedule!r}; it must be constant, cosine or plateau")
        if type(self.bfloat16) is not bool:
            raise ValueError(f"bfloat16 is {self.bfloat16!r}; it must be true or false")
        if self.level not in ("char", "word"):
            raise ValueError(f'level is {self.level!r}; it must be "char" or "word"')


@dataclass(frozen=True)
class Checkpoint:
    """A trained model and where it comes from.

    Args:
        model: its sizes.
        train: how it was trained.
        vocabulary: the tokens it knows.
        weights: every parameter by name, float32 on the CPU.
        step: optimiser steps taken when these weights were kept.
        history: the training curves as columns of equal length: step, train_nll, valid_nll (None where not evaluated).
        results: figures of these weights, in nats per token: valid_nll, test_nll; and the share of ``<unk>`` in what
            they are of: valid_unknown, test_unknown (files of earlier versions lack these).
        corpus_name, corpus_sha256, licence: of the text.
        command: the one that trained it.
        hidden_variable: for a grammar, ``{"name": …, "correlations": [[how much each unit carries] of each layer]}``.
    """

    model: ModelConfig
    train: TrainConfig
    vocabulary: Vocabulary
    weights: dict[str, Tensor]
    step: int
    history: dict[str, list[Any]]
    results: dict[str, float]
    corpus_name: str
    corpus_sha256: str
    licence: str
    command: str
    hidden_variable: dict[str, Any] | None = field(default=None)

    def build(self) -> LanguageModel:
        """The model with these weights, in eval mode."""
        model = LanguageModel(self.model)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.copy_(self.weights[name])
        return model.eval()

    @cached_property
    def digest(self) -> str:
        """sha256 of everything in the checkpoint; taken once, so weights must not be changed in place."""
        return _digest(_description(self), self.weights)


def weights_of(model: LanguageModel) -> dict[str, Tensor]:
    """Every parameter by name, copied to float32 on the CPU; tied weights appear once."""
    return {name: p.detach().to("cpu", torch.float32, copy=True).contiguous() for name, p in model.named_parameters()}


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
    layers = {
        f"layers.{k}.{name}": parameter.detach()
        for k, layer in enumerate(checkpoint.build().layers)
        for name, parameter in transplant(layer, cell).named_parameters()
    }
    others = {name: weight for name, weight in checkpoint.weights.items() if not name.startswith("layers.")}
    return dataclasses.replace(
        checkpoint,
        model=dataclasses.replace(checkpoint.model, cell=cell),
        weights={**others, **layers},
        # The shell takes no notice of what follows a #, so the command can still be run as it stands.
        command=f"{checkpoint.command}  # then the weights of {checkpoint.model.cell} copied into the layout {cell}",
    )


def dumps(checkpoint: Checkpoint) -> bytes:
    """The checkpoint as the bytes of a safetensors file; equal checkpoints give equal bytes."""
    description = _description(checkpoint)
    text = json.dumps({**description, "digest": checkpoint.digest}, sort_keys=True, allow_nan=False)
    return safetensors.torch.save(dict(sorted(checkpoint.weights.items())), metadata={"lstmviz": text})


def loads(data: bytes) -> Checkpoint:
    """Read a checkpoint, checking everything before it is used.

    Raises:
        CheckpointError: the bytes are not exactly what ``dumps`` writes for some valid checkpoint.
    """
    header, description = _read_header(data)
    try:
        json.dumps(description, ensure_ascii=False).encode()  # half a surrogate pair could not be shown
        digest = description.pop("digest", None)
        model_config = ModelConfig(**description["model"])
        vocabulary = Vocabulary(description["vocabulary"]["level"], tuple(description["vocabulary"]["tokens"]))
        train_config = TrainConfig(**description["train"])
        _check_shapes(header, model_config, len(vocabulary))
        weights = safetensors.torch.load(data)
        checkpoint = Checkpoint(
            model=model_config,
            train=train_config,
            vocabulary=vocabulary,
            weights=weights,
            **{name: description[name] for name in _PLAIN_FIELDS},
        )
    except CheckpointError:
        raise
    except (SafetensorError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"the checkpoint does not describe a model this app knows: {error}") from error
    for name, weight in weights.items():
        if not torch.isfinite(weight).all():
            raise CheckpointError(f"the weights in {name} are not all finite numbers; the training probably diverged")
    if digest != _digest(description, weights):
        raise CheckpointError("the file was changed after it was written (its digest does not fit); copy it again")
    _check_figures(checkpoint)
    if dumps(checkpoint) != data:
        raise CheckpointError("the file is not in the form this app writes; save it again with lstmviz")
    return checkpoint


def save(checkpoint: Checkpoint, path: Path) -> None:
    """Write a checkpoint so that at every moment the path holds either the old file or the whole new one."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    write_atomically(Path(path), dumps(checkpoint))


def load(path: Path) -> Checkpoint:
    """Read a checkpoint file; see ``loads``."""
    try:
        # Read, then parse: a memory-mapped file that shrinks under the server would kill it.
        data = Path(path).read_bytes()
    except OSError as error:
        raise CheckpointError(f"{Path(path).name} cannot be read: {error.strerror}") from error
    return loads(data)


def figures(nll: float, vocabulary: Vocabulary, unknown: float | None = None) -> str:
    """A loss in every unit that people quote it in.

    Args:
        nll: in nats per token.
        vocabulary: of the tokens.
        unknown: the share of ``<unk>`` among them, where it is known.
    """
    value = perplexity(nll)
    shown = f"{value:.2f}" if value < 1e6 else f"{value:.3g}"
    bits = f", {nll / math.log(2):.3f} bits/character" if vocabulary.level == "char" else ""
    said = f"{nll:.4f} nats/{_token(vocabulary)}{bits}, perplexity {shown} ({vocabulary.level} level)"
    return said if unknown is None else f"{said}, {unknown_said(unknown)}"


def unknown_warning(unknown: float) -> str:
    """What to say of a loss whose text has so much of ``<unk>``; nothing where it has little."""
    if unknown < UNKNOWN_MOST:
        return ""
    return f"with {unknown_said(unknown)} a perplexity tells little of the rest: the more is unknown, the lower it gets"


def strongest_unit(checkpoint: Checkpoint) -> str:
    """The unit that carries most of a grammar's hidden variable, in a sentence."""
    variable = checkpoint.hidden_variable or {}
    value, layer, unit = max(
        (value, layer, unit) for layer, row in enumerate(variable["correlations"]) for unit, value in enumerate(row)
    )
    how = f"{measure(checkpoint.corpus_name)} {value:.3f}"
    return f"{plain(variable['name'])}: unit {unit} of layer {layer + 1} carries most of it, {how}"


def card(checkpoint: Checkpoint) -> str:
    """What a person should know of a checkpoint before trusting it, as Markdown."""
    model, vocabulary = checkpoint.model, checkpoint.vocabulary
    rows = {
        "data": f"{plain(checkpoint.corpus_name)} (sha256 {plain(checkpoint.corpus_sha256[:16])}…)",
        "licence of the data": plain(checkpoint.licence),
        "vocabulary": f"{len(vocabulary) - len(SPECIALS):,} {'characters' if vocabulary.level == 'char' else 'words'} "
        f"and {', '.join(plain(token) for token in SPECIALS)}",
        "model": f"{model.num_layers} × {model.cell}, {model.hidden_size} units, embedding {model.embedding_size}"
        + (", tied weights" if model.tie_weights else "")
        + (", adaptive softmax" if model.adaptive_softmax else "")
        + (f", forget bias {model.forget_bias:g}" if model.forget_bias is not None else "")
        + (f", chrono {model.chrono}" if model.chrono is not None else "")
        + (f", dropout {model.dropout}" if model.dropout else "")
        + f"; {parameter_count(model):,} parameters",
        "trained": f"best of {checkpoint.history['step'][-1]:,} steps at step {checkpoint.step:,}, "
        f"seed {checkpoint.train.seed}",
        "command": f"`{' '.join(checkpoint.command.replace('`', '').splitlines())}`",  # nothing can end the code
    }
    results = checkpoint.results

    def said(part: str) -> str:
        unknown = results.get(f"{part}_unknown")
        parts = figures(results[f"{part}_nll"], vocabulary, unknown), unknown_warning(unknown or 0)
        return "; ".join(filter(None, parts)).replace(UNK, plain(UNK))

    if results["valid_nll"] == results.get("test_nll"):
        rows["validation"] = f"{said('valid')}; the data have no other test part"
    else:
        rows |= {label: said(part) for part, label in PARTS.items() if f"{part}_nll" in results}
    if checkpoint.hidden_variable:
        rows["hidden variable"] = strongest_unit(checkpoint)
    cells = ((name, value.replace("|", r"\|")) for name, value in rows.items())  # a bare | would end the cell
    first, *others = (f"| {name} | {value} |" for name, value in cells)
    return "\n".join([first, "|---|---|", *others])


def _token(vocabulary: Vocabulary) -> str:
    return {"char": "character", "word": "word"}[vocabulary.level]


def write_atomically(path: Path, data: bytes) -> None:
    """Write beside the target, flush to disk, then rename over it. A folder that was removed is not made again."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


_PLAIN_FIELDS = (
    "step", "history", "results", "corpus_name", "corpus_sha256", "licence", "command", "hidden_variable",
)  # fmt: skip


def _description(checkpoint: Checkpoint) -> dict[str, Any]:
    """Everything but the weights, as JSON values."""
    return {
        "format": FORMAT,
        "model": _written(checkpoint.model),
        "train": _written(checkpoint.train),
        "vocabulary": {"level": checkpoint.vocabulary.level, "tokens": list(checkpoint.vocabulary.tokens)},
        **{name: getattr(checkpoint, name) for name in _PLAIN_FIELDS},
    }


# Fields that came after the first files were written. At their default they are left out, so those files stay the same.
_LATER_FIELDS = ("adaptive_softmax", "min_count", "forget_bias", "chrono")


def _written(config: ModelConfig | TrainConfig) -> dict[str, Any]:
    """A configuration as the file holds it."""
    defaults = {field.name: field.default for field in dataclasses.fields(config)}
    values = dataclasses.asdict(config)
    return {name: v for name, v in values.items() if name not in _LATER_FIELDS or v != defaults[name]}


def _digest(description: dict[str, Any], weights: dict[str, Tensor]) -> str:
    digest = hashlib.sha256(json.dumps(description, sort_keys=True).encode())
    for name, weight in sorted(weights.items()):
        digest.update(f"{name} {weight.dtype} {tuple(weight.shape)}".encode())
        digest.update(weight.numpy().tobytes())
    return digest.hexdigest()


def _read_header(data: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """The safetensors header and, in it, our description."""
    size = int.from_bytes(data[:8], "little")
    if len(data) < 8 or size > len(data) - 8:
        raise CheckpointError("the file is cut short or is no safetensors file; download or copy it again")
    try:
        header = json.loads(data[8 : 8 + size])
        metadata = header.pop("__metadata__", {})
        description = json.loads(metadata["lstmviz"])
        known = description["format"] == FORMAT
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise CheckpointError(
            "this is not a checkpoint of lstmviz; only files that lstmviz saved can be opened"
        ) from error
    if not known:
        raise CheckpointError(
            f"the checkpoint has format {description['format']!r}; this version reads format {FORMAT}"
        )
    return header, description


def _check_shapes(header: dict[str, Any], config: ModelConfig, vocab_size: int) -> None:
    """Compare the file's tensors with the config's before anything is allocated."""
    if config.vocab_size != vocab_size:
        raise CheckpointError(f"the model has {config.vocab_size} tokens, its vocabulary {vocab_size}")
    with torch.device("meta"):
        expected = {name: list(p.shape) for name, p in LanguageModel(config).named_parameters()}
    if missing := sorted(expected.keys() ^ header.keys()):
        raise CheckpointError(f"weights are missing or too many: {', '.join(missing[:4])}")
    for name, shape in expected.items():
        found = header[name]
        if found["shape"] != shape or found["dtype"] != "F32":
            raise CheckpointError(f"{name} is {found['dtype']} {found['shape']}; its config asks for F32 {shape}")


def _check_figures(checkpoint: Checkpoint) -> None:
    """History, results and correlations must be what the page will draw."""

    def is_number(value: Any) -> bool:
        return type(value) in (int, float) and abs(value) <= sys.float_info.max  # NaN and an int like 10**400 are not

    def is_nll(value: Any) -> bool:
        return is_number(value) and value >= 0

    def is_result(name: str, value: Any) -> bool:
        if name.endswith("_unknown"):  # a share, beside its loss
            return is_nll(value) and value <= 1 and name.replace("_unknown", "_nll") in checkpoint.results
        return is_nll(value)

    history, variable = checkpoint.history, checkpoint.hidden_variable
    try:
        good = (
            set(history) == {"step", "train_nll", "valid_nll"}
            and len({len(column) for column in history.values()}) == 1
            and len(history["step"]) > 0
            and all(type(v) is int and v > 0 for v in history["step"])
            and all(is_nll(v) for v in history["train_nll"])
            and all(v is None or is_nll(v) for v in history["valid_nll"])
            and {"valid_nll"} <= set(checkpoint.results) <= {"valid_nll", "valid_unknown", "test_nll", "test_unknown"}
            and all(is_result(name, value) for name, value in checkpoint.results.items())
            and type(checkpoint.step) is int
            and checkpoint.step >= 0
            and all(type(getattr(checkpoint, n)) is str for n in ("corpus_name", "corpus_sha256", "licence", "command"))
        )
        if variable is not None:
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
