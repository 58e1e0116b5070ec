"""The probe sentence: its gates at one moment of a training, as they are kept and read back."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass

import numpy as np
import torch

from lstmviz.data.vocabulary import Corpus
from lstmviz.model import LanguageModel
from lstmviz.reading import OpenModel, Reading
from lstmviz.trace import GateTrace, trace_tokens

AXES = ("layer", "time", "unit")


@dataclass(frozen=True)
class Probe:
    """The probe sentence as the model read it at one moment.

    Args:
        trace: every gate and state, and nll, NaN for the first token.
        ids: the tokens' ids, ``(T,)``.
        likely: the ids of the five likeliest next tokens after each, ``(T, 5)``; fewer where the vocabulary is smaller.
        probabilities: theirs, ``(T, 5)``.
    """

    trace: GateTrace
    ids: np.ndarray
    likely: np.ndarray
    probabilities: np.ndarray

    @classmethod
    def of(cls, model: LanguageModel, corpus: Corpus, sentence: str) -> Probe:
        """Read it after the first lines of the validation text: in training no sentence begins from nothing. The last
        token of those lines comes first.

        Args:
            model: put into eval mode.
            sentence: empty for a piece of the validation text.
        """
        vocabulary, text = corpus.vocabulary, corpus.valid[:300]
        ends = (text == vocabulary.end).nonzero()
        cut = int(ends[-1]) + 1 if len(ends) else len(text)
        ids = torch.tensor(vocabulary.encode(sentence), dtype=torch.int64)
        if not len(ids):
            ids = corpus.valid[cut : cut + 40]
        model.eval()
        read = torch.cat([text[:cut], ids])
        trace, log_p = trace_tokens(model, read)
        shown = slice(cut - 1, None)
        best = log_p[shown].topk(min(5, len(vocabulary)), dim=-1)
        trace = trace.isel(time=shown)
        trace["nll"].values[0] = np.nan  # the first is not of the sentence
        return cls(trace, read[shown].numpy(), best.indices.numpy(), best.values.exp().numpy())

    def dumps(self) -> bytes:
        """As an npz file, which says of every array of the trace what its axes are."""
        arrays = {str(name): variable.values for name, variable in self.trace.data_vars.items()}
        axes = {str(name): variable.dims for name, variable in self.trace.data_vars.items()}
        buffer = io.BytesIO()
        arrays |= {"axes": np.array(json.dumps(axes)), "ids": self.ids}
        arrays |= {"likely": self.likely, "probabilities": self.probabilities}
        np.savez_compressed(buffer, **arrays)  # pyright: ignore[reportArgumentType]
        return buffer.getvalue()

    @classmethod
    def loads(cls, data: bytes, hidden_size: int) -> Probe:
        """What ``dumps`` gave, or an earlier version, whose files do not tell the axes.

        Args:
            hidden_size: the model's; in a file of an earlier version what is not so wide is a projection.

        Raises:
            ValueError, KeyError, OSError, zipfile.BadZipFile: it is no such file.
        """
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        ids, likely, probabilities = (arrays.pop(name) for name in ("ids", "likely", "probabilities"))
        if "axes" in arrays:
            axes = json.loads(str(arrays.pop("axes")))
        else:
            last = {name: "unit" if value.shape[-1] == hidden_size else "projection" for name, value in arrays.items()}
            axes = {name: (*AXES[:-1], last[name]) for name in arrays} | {"nll": ("time",)}
        variables = {name: (axes[name], value) for name, value in arrays.items()}
        coords = {"layer": len(next(iter(arrays.values()))), "time": len(ids), "unit": hidden_size}
        return cls(
            GateTrace(variables, {axis: np.arange(size) for axis, size in coords.items()}), ids, likely, probabilities
        )

    def is_finite(self) -> bool:
        """Whether all gates and states are finite numbers."""
        return all(np.isfinite(values).all() for name, values in self.trace.data_vars.items() if name != "nll")

    def reading(self, opened: OpenModel) -> Reading:
        """As a map draws it.

        Args:
            opened: the model whose training this is a moment of.
        """
        ids = self.ids.tolist()
        pieces = [opened.checkpoint.vocabulary.tokens[i] for i in ids]
        return Reading(pieces, ids, 0, self.trace, self.likely, self.probabilities, opened.model)
