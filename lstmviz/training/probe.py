"""The probe sentence: its gates at one moment of a training, as they are kept and read back."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from lstmviz.caption import trace_caption
from lstmviz.cells import TREE_CELLS, cell_called
from lstmviz.data.captions import BEGIN
from lstmviz.data.expressions import Expression
from lstmviz.data.vocabulary import IGNORED, PADDING, SOS, Corpus
from lstmviz.model import LanguageModel
from lstmviz.reading import OpenModel, Reading, row_ids, rows_named, values_asked
from lstmviz.trace import GateTrace, trace_labels, trace_tokens, trace_tree
from lstmviz.translation import trace_translation

UNPACKED_MOST = 2**28  # bytes of all arrays of a probe


@dataclass(frozen=True)
class Probe:
    """The probe sentence as the model read it at one moment.

    Args:
        trace: every gate and state, and nll, NaN for the first token.
        ids: of the tokens, ``(T,)``.
        likely: the ids of the five likeliest next tokens after each, or labels, ``(T, 5)``; fewer where the vocabulary
            is smaller.
        probabilities: theirs, ``(T, 5)``.
        image: of which the rows were read instead of tokens, ``(T, W)`` of uint8; what is likely are labels.
        right: where labels are said, which is right at each step, as the corpus numbers them, `IGNORED` where none is
            asked; None where nobody knows.
        parents: of the nodes of a tree, which were read instead of tokens.
        begun: where a label begins the sentence, that label, as the corpus numbers them.
    """

    trace: GateTrace
    ids: list[int]
    likely: np.ndarray
    probabilities: np.ndarray
    image: np.ndarray | None = None
    right: list[int] | None = None
    parents: list[int] | None = None
    begun: int | None = None

    @classmethod
    def of(cls, model: LanguageModel, corpus: Corpus, sentence: str) -> Probe:
        """Read it after the first lines of the validation text: in training no sentence begins from nothing. The last
        token of those lines comes first. A model that says labels reads what is asked of it from nothing: the sentence,
        or one of the validation part; of one that says a text for it the speaker's gates are kept. Where a label
        begins what is said, it is that of one of the validation part.

        Args:
            model: put into eval mode.
            sentence: empty for a piece of the validation text.
        """
        if corpus.row_size:
            rows, label = corpus.valid[0, :, :-1], int(corpus.valid[0, 0, -1])
            trace, likely = trace_labels(model.eval(), rows / 255, label)
            shows = [label] * len(rows)
            return cls(trace, row_ids(rows.numpy()), likely.ids, likely.probabilities, rows.numpy(), shows)
        if corpus.attention and corpus.reads:
            source = _usual(corpus.valid, corpus.valid[..., 0] != PADDING)[:, 0]
            told = trace_translation(model.eval(), torch.tensor(corpus.reads.encode(sentence) or source.tolist()))
            before = [corpus.vocabulary.ids[SOS], *told.said.tolist()][: len(told.said)]
            return cls(told.speaker, before, told.likely.ids, told.likely.probabilities)
        if corpus.reads and model.config.cell in TREE_CELLS:
            symbols, parents = _usual(corpus.valid, corpus.valid[..., 0] != PADDING)[:, :2].T.tolist()
            tree = Expression(tuple(corpus.reads.tokens[i] for i in symbols), tuple(parents))
            tree = Expression.parse(sentence) if sentence else tree
            trace, likely = trace_tree(model.eval(), tree, corpus.reads, corpus.vocabulary)
            ids, right = corpus.reads.encode_tokens(tree.symbols), values_asked(tree, corpus.vocabulary)
            said = likely.ids, likely.probabilities
            return cls(replace(trace, tokens=()), ids, *said, right=right, parents=[*tree.parents])
        if corpus.labels_read:
            labels, _, said = _usual(corpus.valid, corpus.valid[..., 2] != IGNORED).long().T  # (T,) each
            typed, begun = corpus.vocabulary.encode(sentence) or said.tolist(), int(labels[0])
            trace, likely = trace_caption(model.eval(), begun, torch.tensor(typed))
            return cls(trace, [BEGIN, *typed], likely.ids, likely.probabilities, begun=begun)
        if corpus.reads:
            tokens, labels = _usual(corpus.valid, corpus.valid[..., 0] != PADDING).long().T  # (T,) each
            if (labels[:-1] == IGNORED).all():
                labels = labels[-1:].expand_as(labels)  # a label of the whole is what it is all along
            if typed := corpus.reads.encode(sentence):
                trace, likely = trace_labels(model.eval(), torch.tensor(typed))
                return cls(trace, typed, likely.ids, likely.probabilities)
            trace, likely = trace_labels(model.eval(), tokens, labels)
            return cls(trace, tokens.tolist(), likely.ids, likely.probabilities, right=labels.tolist())
        vocabulary, text = corpus.vocabulary, corpus.valid[:300]
        ends = (text == vocabulary.end).nonzero()
        cut = int(ends[-1]) + 1 if len(ends) else len(text)
        ids = torch.tensor(vocabulary.encode(sentence), dtype=torch.int64)
        if not len(ids):
            ids = corpus.valid[cut : cut + 40]
        model.eval()
        read = torch.cat([text[:cut], ids])
        trace, likely = trace_tokens(model, read)
        shown = slice(cut - 1, None)
        trace = trace.select(time=shown)
        nll = np.concatenate([[np.float32(np.nan)], trace.nll[1:]])  # the first is not of the sentence
        return cls(replace(trace, nll=nll), read[shown].tolist(), likely.ids[shown], likely.probabilities[shown])

    def dumps(self) -> bytes:
        """As an npz file: the arrays of the trace by their names, and beside them what else there is, but for None."""
        beside = {"nll": self.trace.nll, "ids": np.array(self.ids)}
        beside |= {"likely": self.likely, "probabilities": self.probabilities}
        if_any = {"image": self.image, "label": self.right, "parents": self.parents, "begun": self.begun}
        beside |= {name: np.asarray(value) for name, value in if_any.items() if value is not None}
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **self.trace, **beside)  # pyright: ignore[reportArgumentType]
        return buffer.getvalue()

    @classmethod
    def loads(cls, data: bytes, cell: str) -> Probe:
        """Undo ``dumps``.

        Args:
            cell: the name of the model's; from this and the arrays a trace knows its axes.

        Raises:
            ValueError: it is no such file.
        """
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                if (size := sum(each.file_size for each in archive.infolist())) > UNPACKED_MOST:
                    raise ValueError(f"it holds {size:,} bytes, and at most {UNPACKED_MOST:,} are read")
            with np.load(io.BytesIO(data), allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            ids, likely, probabilities, nll = (arrays.pop(name) for name in ("ids", "likely", "probabilities", "nll"))
            image, label, parents, begun = (arrays.pop(name, None) for name in ("image", "label", "parents", "begun"))
            right = None if label is None else np.broadcast_to(label, nll.shape).tolist()  # it was a single one once
            both = next(iter(arrays.values())).ndim == 4
            outer = ("layer", "direction", "time") if both else ("layer", "time")
            trace = GateTrace(arrays, cell, outer, nll)
            parents, begun = None if parents is None else list(parents.tolist()), None if begun is None else int(begun)
            return cls(trace, list(ids.tolist()), likely, probabilities, image, right, parents, begun)
        except Exception as error:  # zipfile, zlib and numpy fail in a dozen ways at what is none
            raise ValueError("the file is damaged, or none of lstmviz") from error

    def is_finite(self) -> bool:
        """Whether all gates and states, and what is said of the tokens, are finite numbers."""
        ends = slice(None, -1 if self.parents else None)  # of a root no parent keeps anything
        keeps = cell_called(self.trace.cell_name).doer("keeps")
        values = [each[..., ends, :] if name == keeps else each for name, each in self.trace.items()]
        values.append(self.probabilities)
        return all(np.isfinite(each).all() for each in values) and not np.isinf(self.trace.nll).any()  # NaN: none asked

    def reading(self, opened: OpenModel) -> Reading:
        """As a map draws it.

        Args:
            opened: the model whose training this is a moment of.

        Raises:
            ValueError: it is not; another model was at work.
        """
        count, known, side = len(self.ids), len(opened.checkpoint.vocabulary), opened.side
        if opened.reads_trees:
            one, _ = trace_tree(opened.model, Expression.parse("max(1, 2)"), opened.reads, opened.checkpoint.vocabulary)
        elif opened.says_labels:
            first = torch.zeros(1, side) if side else torch.tensor([opened.reads.end])
            one, _ = trace_labels(opened.model, first)
        else:
            one, _ = trace_tokens(opened.model, torch.tensor([opened.reads.end]))
        shapes = {name: (*values.shape[:-2], count, values.shape[-1]) for name, values in one.items()}
        said = [[i for i in self.right or [] if i != IGNORED], *self.likely.T.tolist()]
        read = [] if side else self.ids
        of_image = ((side, side), "uint8") if side else None
        good = (
            {name: values.shape for name, values in self.trace.items()} == shapes
            and self.trace.nll.shape == (count,)
            and all(values.dtype.kind == "f" for values in (*self.trace.values(), self.trace.nll, self.probabilities))
            and self.likely.shape == self.probabilities.shape == (count, min(5, known))
            and len(self.right or self.ids) == count
            and (self.begun in range(len(opened.labels)) if opened.labels else self.begun is None)
            and all(type(each) is int and 0 <= each < known for row in said for each in row)
            and all(type(each) is int and 0 <= each < len(opened.reads) for each in read)
            and (None if self.image is None else (self.image.shape, self.image.dtype.name)) == of_image
        )
        tree = None
        if good and opened.reads_trees:
            tree = Expression(tuple(opened.reads.tokens[i] for i in self.ids), tuple(self.parents or ()))
            good = tree.is_one()
        if not good:
            raise ValueError("they are of another model than the one in best.safetensors")
        if self.image is not None:
            pieces, ids = rows_named(count), row_ids(self.image)
        else:
            pieces, ids = [opened.reads.tokens[i] for i in self.ids], self.ids
        likely = self.likely, self.probabilities
        more = {"image": self.image, "right": self.right, "expression": tree, "begun": self.begun}
        return Reading(pieces, ids, 0, self.trace, *likely, opened.model, **more)


def _usual(part: Tensor, there: Tensor) -> Tensor:
    """The first of these sequences ``(N, T, X)`` that is no shorter than they are on average, without its padding.

    Args:
        there: what is no padding, ``(N, T)``.
    """
    first = int((there.sum(1) >= there.sum(1).float().mean()).nonzero()[0])
    return part[first, there[first]]
