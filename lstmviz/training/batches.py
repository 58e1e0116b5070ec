"""What a step of a training reads: a window of streams side by side, windows over sentences, or whole sequences."""

from __future__ import annotations

import torch
from torch import Tensor

from lstmviz.config import TrainConfig
from lstmviz.data.vocabulary import PAD, PADDING, SOS, Vocabulary
from lstmviz.tasks import TASKS


class Streams:
    """The text cut into ``batch_size`` streams side by side, read in windows of ``bptt`` tokens.

    Every token of a window is predicted from all before it in its stream, so the state goes on from batch to batch.

    Args:
        tokens: ``(N,)``; only the windows that are asked for are read.
        vocabulary: theirs.
        config: bptt (T) and batch_size (B).

    Raises:
        ValueError: the text is too short for one window.
    """

    carries = True  # the state, from each batch to the next

    def __init__(self, tokens: Tensor, vocabulary: Vocabulary, config: TrainConfig) -> None:
        self.bptt, self.streams = config.bptt, parallel_streams(tokens, config.batch_size)  # (N // B, B)
        self.starts = range(0, len(self.streams) - config.bptt, config.bptt)
        if not self.starts:
            raise ValueError(
                f"the training part has {len(tokens):,} tokens; bptt {config.bptt} in {config.batch_size} "
                f"streams needs at least {(config.bptt + 1) * config.batch_size:,}"
            )

    def __len__(self) -> int:
        """Batches in an epoch."""
        return len(self.starts)

    def __getitem__(self, batch: int) -> Tensor:
        """``(T + 1, B)``."""
        start = self.starts[batch]
        return self.streams[start : start + self.bptt + 1]

    def parts(self, batch: Tensor) -> tuple[Tensor, Tensor, None]:
        """What is read, and what is predicted after it; all are of one length."""
        return batch[:-1], batch[1:], None


class Windows:
    """Every window of ``bptt`` tokens slid over each sentence, ``batch_size`` a batch, and the one token after it.

    A sentence is a line between ``<sos>`` and what ends it; one too short for a window has ``<pad>`` before it. Each
    window is read from nothing, and only the token after it is predicted. The last batch is left out where it is not
    full.

    Args:
        tokens, vocabulary, config: as for `Streams`.

    Raises:
        ValueError: there are fewer windows than a batch has.
    """

    carries = False

    def __init__(self, tokens: Tensor, vocabulary: Vocabulary, config: TrainConfig) -> None:
        self.batch_size, self.bptt = config.batch_size, config.bptt
        pad, sos = vocabulary.ids[PAD], vocabulary.ids[SOS]
        ends = (tokens == vocabulary.end).nonzero().flatten() + 1
        lengths = torch.cat([torch.tensor([0]), ends, torch.tensor([len(tokens)])]).unique_consecutive().diff()  # (S,)
        before = (config.bptt + 1 - lengths).clamp(min=1)  # <pad> and <sos>
        widths = before + lengths
        first = widths.cumsum(0) - widths
        self.tokens = torch.full((int(widths.sum()),), pad)
        self.tokens[torch.arange(len(tokens)) + before.cumsum(0).repeat_interleave(lengths)] = tokens.long()
        self.tokens[first + before - 1] = sos
        left = (first + widths).repeat_interleave(widths) - torch.arange(len(self.tokens))  # of its sentence
        self.starts = (left > config.bptt).nonzero().flatten()
        self.offsets = torch.arange(config.bptt + 1)[:, None]  # (T + 1, 1)
        if not len(self):
            raise ValueError(
                f"the text has {len(self.starts):,} windows of {config.bptt} tokens, fewer than a batch of "
                f"{config.batch_size}; take a smaller batch_size"
            )

    def __len__(self) -> int:
        """Batches in an epoch."""
        return len(self.starts) // self.batch_size

    def __getitem__(self, batch: int) -> Tensor:
        """``(T + 1, B)``."""
        return self.tokens[self.starts[batch * self.batch_size : (batch + 1) * self.batch_size] + self.offsets]

    def parts(self, batch: Tensor) -> tuple[Tensor, Tensor, None]:
        """What is read, and what is predicted after it; all are of one length."""
        return batch[:-1], batch[-1:], None


class Sequences:
    """Whole sequences, ``batch_size`` a batch, each read from nothing. The last batch is left out where it is not full.

    Args:
        sequences: ``(N, T, X + 1)``: see `lstmviz.tasks`.
        config: batch_size (B), and the task, which says what of them is read and what is predicted.

    Raises:
        ValueError: there are fewer than a batch has.
    """

    carries = False

    def __init__(self, sequences: Tensor, config: TrainConfig) -> None:
        parts = TASKS[config.task].parts
        assert parts is not None  # else it is a text
        self.sequences, self.batch_size, self.parts = sequences, config.batch_size, parts
        read, _, lengths = parts(sequences[:1000].transpose(0, 1))
        without_padding = (sequences[:1000, :, 0] != PADDING).sum(1).float().mean().item()
        self.bptt = len(read) if lengths is None else without_padding
        if not len(self):
            raise ValueError(
                f"the training part has {len(sequences):,} sequences, fewer than a batch of {config.batch_size}; take "
                "a smaller batch_size"
            )

    def __len__(self) -> int:
        """Batches in an epoch."""
        return len(self.sequences) // self.batch_size

    def __getitem__(self, batch: int) -> Tensor:
        """``(T, B, X + 1)``."""
        return self.sequences[batch * self.batch_size : (batch + 1) * self.batch_size].transpose(0, 1)


def batches_of(tokens: Tensor, vocabulary: Vocabulary, config: TrainConfig) -> Streams | Windows | Sequences:
    """What a training with this task and objective reads of a part of a corpus.

    Raises:
        ValueError: that is too short.
    """
    if TASKS[config.task].parts:
        return Sequences(tokens, config)
    return (Windows if config.objective == "windows" else Streams)(tokens, vocabulary, config)


def parallel_streams(tokens: Tensor, batch_size: int) -> Tensor:
    """Cut a stream into ``batch_size`` pieces of equal length side by side: ``(N // B, B)``; the rest is dropped.

    It is a view: of a stream on the disk, only the windows that are used are read.
    """
    length = len(tokens) // batch_size
    return tokens[: length * batch_size].view(batch_size, length).t()
