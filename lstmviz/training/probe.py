"""The probe sentence: its gates at one moment of a training, as they are kept and read back."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lstmviz.caption import trace_caption
from lstmviz.cells import TREE_CELLS, cell_called
from lstmviz.data.captions import BEGIN
from lstmviz.data.expressions import Expression
from lstmviz.data.vocabulary import EOS, IGNORED, PADDING, Corpus
from lstmviz.gate_trace import GateTrace
from lstmviz.model import LanguageModel
from lstmviz.opened import OpenModel, rows_named, to_read
from lstmviz.reading import Reading, row_ids, said_of, say_for, values_asked
from lstmviz.trace import trace_labels, trace_tokens, trace_tree

UNPACKED_MOST = 2**28  # bytes of all arrays of a probe


@dataclass(frozen=True)
class Probe:
    """The probe sentence as the model read it at one moment.

    Args:
        trace: every gate and state, and nll, NaN for the first token.
        ids: of the tokens, ``(T,)``; of words by their letters rows of these.
        likely: the ids of the five likeliest next tokens after each, or labels, ``(T, 5)``; fewer where the vocabulary
            is smaller.
        probabilities: theirs, ``(T, 5)``.
        image: of which the rows were read instead of tokens, ``(T, W)`` of uint8; what is likely are labels.
        right: where labels are said, which is right at each step, as the corpus numbers them, `IGNORED` where none is
            asked; None where nobody knows.
        said_from: the first column that is said for what was read, all numbered as in a `Reading`; else 0.
        looks: how much each of them looks at each that was read, ``(T - S, S)``; None without attention.
        parents: of the nodes of a tree, which were read instead of tokens.
        begun: where a label begins the sentence, that label, as the corpus numbers them.
    """

    trace: GateTrace
    ids: list[int]
    likely: np.ndarray
    probabilities: np.ndarray
    image: np.ndarray | None = None
    right: list[int] | None = None
    said_from: int = 0
    looks: np.ndarray | None = None
    parents: list[int] | None = None
    begun: int | None = None

    @classmethod
    def of(cls, model: LanguageModel, corpus: Corpus, sentence: str) -> Probe:
        """Read it after the first lines of the validation text: in training no sentence begins from nothing. The last
        token of those lines comes first. A model that says labels reads what is asked of it from nothing: the sentence,
        or one of the validation part. So does one that says another sequence for it. Where a label begins what is
        said, it is that of one of the validation part.

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
            source, _, right = _usual(corpus.valid).T
            source, right = source[source != PADDING].tolist(), right[right != IGNORED].tolist()
            if typed := corpus.reads.split(sentence):
                source, right = to_read(corpus.reads, typed), None
            seen = say_for(model.eval(), source, corpus.reads, corpus.vocabulary, right=right)
            likely, looks = (seen.likely, seen.probabilities), seen.said and seen.said.looks
            return cls(seen.trace, seen.ids, *likely, right=seen.right, said_from=seen.count, looks=looks)
        if corpus.reads and model.config.cell in TREE_CELLS:
            symbols, parents = _usual(corpus.valid)[:, :2].T.tolist()
            tree = Expression(tuple(corpus.reads.tokens[i] for i in symbols), tuple(parents))
            tree = Expression.parse(sentence) if sentence else tree
            trace, likely = trace_tree(model.eval(), tree, corpus.reads, corpus.vocabulary)
            ids, right = corpus.reads.encode_tokens(tree.symbols), values_asked(tree, corpus.vocabulary)
            said = likely.ids, likely.probabilities
            return cls(replace(trace, tokens=()), ids, *said, right=right, parents=[*tree.parents])
        if corpus.labels_read:
            _, labels, said = _usual(corpus.valid[..., [1, 0, 2]]).long().T  # (T,) each
            typed, begun = corpus.vocabulary.encode(sentence) or said.tolist(), int(labels[0])
            trace, likely = trace_caption(model.eval(), begun, torch.tensor(typed))
            return cls(trace, [BEGIN, *typed], likely.ids, likely.probabilities, begun=begun)
        if corpus.reads:
            sequence = _usual(corpus.valid).long()
            tokens, labels = sequence[:, :-1].squeeze(-1), sequence[:, -1]  # (T,), or of words by letters (T, W); (T,)
            if (labels[:-1] == IGNORED).all():
                labels = labels[-1:].expand_as(labels)  # a label of the whole is what it is all along
            if typed := corpus.reads.encode(sentence):
                trace, likely = trace_labels(model.eval(), torch.tensor(typed))
                return cls(trace, typed, likely.ids, likely.probabilities)
            trace, likely = trace_labels(model.eval(), tokens, labels)
            return cls(trace, _ids(tokens), likely.ids, likely.probabilities, right=labels.tolist())
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
        if_any |= {"said_from": self.said_from or None, "looks": self.looks}
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
            if_any = ("image", "label", "parents", "looks", "begun")
            image, label, parents, looks, begun = (arrays.pop(name, None) for name in if_any)
            said_from = int(arrays.pop("said_from", 0))
            right = None if label is None else np.broadcast_to(label, nll.shape).tolist()  # it was a single one once
            both = next(iter(arrays.values())).ndim == 4
            outer = ("layer", "direction", "time") if both else ("layer", "time")
            trace = GateTrace(arrays, cell, outer, nll)
            parents, begun = None if parents is None else list(parents.tolist()), None if begun is None else int(begun)
            beside = image, right, said_from, looks, parents, begun
            return cls(trace, _ids(ids), likely, probabilities, *beside)
        except Exception as error:  # zipfile, zlib and numpy fail in a dozen ways at what is none
            raise ValueError("the file is damaged, or none of lstmviz") from error

    def is_finite(self) -> bool:
        """Whether all gates and states, and what is said of the tokens, are finite numbers."""
        ends = slice(None, -1 if self.parents else None)  # of a root no parent keeps anything
        keeps = cell_called(self.trace.cell_name).doer("keeps")
        values = [each[..., ends, :] if name == keeps else each for name, each in self.trace.items()]
        values.append(self.probabilities)
        if said := self.said_from:  # the other columns are not those of who says, or of who reads
            values = [part for each in self.trace.values() for part in (each[:, :2, :said], each[:, 2, said:])]
            values += [self.probabilities[said:], *([] if self.looks is None else [self.looks])]
        return all(np.isfinite(each).all() for each in values) and not np.isinf(self.trace.nll).any()  # NaN: none asked

    def reading(self, opened: OpenModel) -> Reading:
        """As a map draws it.

        Args:
            opened: the model whose training this is a moment of.

        Raises:
            ValueError: it is not; another model was at work.
        """
        count, known, side = len(self.ids), len(opened.checkpoint.vocabulary), opened.side
        begin, end = self.said_from, np.array([] if side else opened.reads.encode_tokens([EOS]))
        if opened.says_another:
            one = say_for(opened.model, [opened.reads.end], opened.reads, opened.checkpoint.vocabulary, most=2).trace
        elif opened.reads_trees:
            one, _ = trace_tree(opened.model, Expression.parse("max(1, 2)"), opened.reads, opened.checkpoint.vocabulary)
        elif opened.says_labels:
            one, _ = trace_labels(opened.model, torch.zeros(1, side) if side else torch.from_numpy(end))
        else:
            one, _ = trace_tokens(opened.model, torch.from_numpy(end))
        shapes = {name: (*values.shape[:-2], count, values.shape[-1]) for name, values in one.items()}
        told = [i - len(opened.reads) for i in self.ids[begin:]] if opened.says_another else []
        said = [[i for i in self.right or [] if i != IGNORED], told, *self.likely.T.tolist()]
        read = [] if side else self.ids[:begin] if begin else self.ids
        looks = None if self.looks is None else (self.looks.shape, self.looks.dtype.kind)
        of_image = ((side, side), "uint8") if side else None
        good = (
            {name: values.shape for name, values in self.trace.items()} == shapes
            and self.trace.nll.shape == (count,)
            and all(values.dtype.kind == "f" for values in (*self.trace.values(), self.trace.nll, self.probabilities))
            and self.likely.shape == self.probabilities.shape == (count, min(5, known))
            and len(self.right or self.ids) == count
            and (self.begun in range(len(opened.labels)) if opened.labels else self.begun is None)
            and (side or np.shape(self.ids) == (count, *end.shape[1:]))
            and all(type(each) is int and 0 <= each < known for row in said for each in row)
            and all(type(each) is int and 0 <= each < len(opened.reads) for each in np.ravel(read).tolist())
            and (0 < begin < count if opened.says_another else not begin)
            and looks == (((count - begin, begin), "f") if opened.looks_back else None)
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
            says = opened.checkpoint.vocabulary
            pieces, ids = [*(opened.reads.token(i) for i in read), *(says.tokens[i] for i in told)], self.ids
        likely = self.likely, self.probabilities
        as_said = said_of(opened, self.ids[:begin], told, self.looks) if begin else None
        more = {"image": self.image, "right": self.right, "said": as_said, "expression": tree, "begun": self.begun}
        return Reading(pieces, ids, 0, self.trace, *likely, opened.model, **more)


def _ids(values: Tensor | np.ndarray) -> list[Any]:
    """Ids as a `Reading` has them: numbers, or rows of letters."""
    return [tuple(row) for row in values.tolist()] if values.ndim > 1 else list(values.tolist())


def _usual(part: Tensor) -> Tensor:
    """The first of these sequences ``(N, T, X)`` that is no shorter than they are on average, without its padding."""
    there = (part[..., 0] != PADDING) | (part[..., -1] != IGNORED)  # (N, T); what is said may be longer
    first = int((there.sum(1) >= there.sum(1).float().mean()).nonzero()[0])
    return part[first, there[first]]
