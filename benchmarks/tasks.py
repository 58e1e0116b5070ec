"""What a training step costs for each shape of sequence, beside a loop that a good engineer writes by hand for it.

    python benchmarks/tasks.py [--rounds 9] [--steps 40]

One thread. Each round times the same number of steps of both, one after the other, in processor time; printed are
medians over rounds of the ratios within a round. The plain loop has the same model (``nn.LSTM``), the same fused Adam
and clipping and reads its loss as rarely. Texts that differ in length it pads, and where they are read in both
directions packs, as PyTorch's own documentation does. Evaluations are left out on both sides.
"""

import argparse
import dataclasses
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pack_sequence, pad_sequence

sys.path.insert(0, str(Path(__file__).parents[1]))

from lstmviz.config import ModelConfig, TrainConfig
from lstmviz.data.vocabulary import IGNORED, PADDING, Corpus
from lstmviz.encoders import Spelled
from lstmviz.model import LanguageModel
from lstmviz.tasks import fitted_to, open_data
from lstmviz.training.loop import Trainer, parallel_streams

TARGET = 1.15
BASE = TrainConfig("", batch_size=32, steps=10**6, eval_every=10**6, schedule="constant")
SHAPES = {  # what is trained on, and a model of it
    "language": ("brackets", ModelConfig(embedding_size=64, hidden_size=128)),
    "classify": ("digits", ModelConfig(embedding_size=16, hidden_size=128)),
    "classify_text": ("recall", ModelConfig(embedding_size=32, hidden_size=128)),
    "tag": ("between", ModelConfig(embedding_size=32, hidden_size=128, bidirectional=True)),
    "tag by letters": ("nonsense", ModelConfig(embedding_size=64, hidden_size=128)),
}


def data(shape: str) -> TrainConfig:
    """What is trained on."""
    task, _, letters = shape.partition(" by ")
    return dataclasses.replace(BASE, corpus=SHAPES[shape][0], task=task, level=letters or BASE.level)  # pyright: ignore[reportArgumentType]


class Letters(nn.Module):
    """A vector of a word, by filters over its letters."""

    def __init__(self, letters: int, size: int) -> None:
        super().__init__()
        self.letters, self.filters = nn.Embedding(letters, Spelled.SIZE), nn.Conv1d(Spelled.SIZE, size, 3, padding=1)

    def forward(self, words: Tensor) -> Tensor:
        found = self.filters(self.letters(words.flatten(0, 1)).transpose(1, 2))  # (T · B, E, W)
        return found.amax(-1).tanh().view(*words.shape[:2], -1)


class Plain(nn.Module):
    """The model, as one writes it without lstmviz."""

    def __init__(self, config: ModelConfig, corpus: Corpus) -> None:
        super().__init__()
        known, size = corpus.tokens_read or len(corpus.vocabulary), config.embedding_size
        if corpus.letters:
            self.embed = Letters(known, size)
        else:
            self.embed = nn.Linear(corpus.row_size, size) if corpus.row_size else nn.Embedding(known, size)
        self.lstm = nn.LSTM(size, config.hidden_size, bidirectional=config.bidirectional)
        self.decoder = nn.Linear(config.directions * config.hidden_size, len(corpus.vocabulary))


def language(model: Plain, corpus: Corpus) -> Iterator[Tensor]:
    """The losses of a text in windows, the state carried over."""
    streams = parallel_streams(corpus.train, BASE.batch_size)
    while True:
        state = None
        for window in streams[: len(streams) // BASE.bptt * BASE.bptt + 1].unfold(0, BASE.bptt + 1, BASE.bptt):
            tokens = window.T  # (T + 1, B)
            hidden, state = model.lstm(model.embed(tokens[:-1]), state and tuple(each.detach() for each in state))
            yield F.cross_entropy(model.decoder(hidden).flatten(0, 1), tokens[1:].flatten())


def batches(sequences: list) -> Iterator[list]:
    while True:
        for start in range(0, len(sequences) - BASE.batch_size + 1, BASE.batch_size):
            yield sequences[start : start + BASE.batch_size]


def classify(model: Plain, corpus: Corpus) -> Iterator[Tensor]:
    """Of images, by what is said after the last row."""
    for images in batches([(part[:, :-1].float() / 255, part[0, -1].long()) for part in corpus.train]):
        rows, labels = torch.stack([rows for rows, _ in images], dim=1), torch.stack([label for _, label in images])
        _, (h, _) = model.lstm(model.embed(rows))
        yield F.cross_entropy(model.decoder(h[-1]), labels)


def texts(corpus: Corpus) -> list[tuple[Tensor, Tensor]]:
    """Tokens, or rows of letters, and labels of each text."""
    there = (each[each[:, 0] != PADDING].long() for each in corpus.train)
    return [(each[:, :-1].squeeze(-1), each[:, -1]) for each in there]


def classify_text(model: Plain, corpus: Corpus) -> Iterator[Tensor]:
    """Of texts that differ in length, by what is said after the last token."""
    for batch in batches([(tokens, labels[labels != IGNORED][0]) for tokens, labels in texts(corpus)]):
        last = torch.tensor([len(tokens) - 1 for tokens, _ in batch])
        hidden, _ = model.lstm(model.embed(pad_sequence([tokens for tokens, _ in batch])))
        yield F.cross_entropy(
            model.decoder(hidden[last, torch.arange(len(last))]), torch.stack([label for _, label in batch])
        )


def tag(model: Plain, corpus: Corpus) -> Iterator[Tensor]:
    """Of texts that differ in length, by what is said at every token."""
    for batch in batches(texts(corpus)):
        lengths = torch.tensor([len(tokens) for tokens, _ in batch])
        vectors = model.embed(pad_sequence([tokens for tokens, _ in batch]))
        hidden, _ = model.lstm(pack_padded_sequence(vectors, lengths, enforce_sorted=False))
        labels = pack_sequence([labels for _, labels in batch], enforce_sorted=False)
        yield F.cross_entropy(model.decoder(hidden.data), labels.data)


def plain_steps(shape: str, config: ModelConfig, corpus: Corpus) -> Iterator[None]:
    """Yields after every step."""
    model = Plain(config, corpus).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=BASE.learning_rate, fused=True)
    total = torch.zeros(())
    losses = {"language": language, "classify": classify, "classify_text": classify_text}.get(shape, tag)
    for step, loss in enumerate(losses(model, corpus)):
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), BASE.clip_norm)
        optimizer.step()
        total += loss.detach()
        if step % BASE.log_every == 0:
            total.item()
        yield


def our_steps(shape: str, config: ModelConfig, corpus: Corpus) -> Iterator[object]:
    return iter(Trainer(LanguageModel(fitted_to(corpus, config), len(corpus.vocabulary)), corpus, data(shape)))


def seconds(steps: Iterator[object], count: int) -> float:
    begun = time.process_time()
    for _ in range(count):
        next(steps)
    return time.process_time() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description="A training step of each shape of sequence, as ratios in one run.")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=40)
    arguments = parser.parse_args()
    if min(arguments.rounds, arguments.steps) < 1:
        parser.error("--rounds and --steps must be at least 1")
    torch.set_num_threads(1)
    for shape, (_, config) in SHAPES.items():
        corpus = open_data(data(shape))
        plain, ours = plain_steps(shape, config, corpus), our_steps(shape, config, corpus)
        seconds(plain, 10), seconds(ours, 10)
        pairs = [(seconds(plain, arguments.steps), seconds(ours, arguments.steps)) for _ in range(arguments.rounds)]
        ratio = statistics.median(b / a for a, b in pairs)
        each = 1000 * statistics.median(b for _, b in pairs) / arguments.steps
        print(f"{shape:<14} {ratio:.2f} x the plain loop (target {TARGET}); {each:.2f} ms a step", flush=True)


if __name__ == "__main__":
    main()
