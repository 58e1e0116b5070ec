"""What a training step costs for each shape of sequence, beside a loop that a good engineer writes by hand for it.

    python benchmarks/tasks.py [--rounds 9] [--steps 40]

One thread. Each round times the same number of steps of both, one after the other, in processor time; printed are
medians over rounds of the ratios within a round. The plain loop has the same model (``nn.LSTM``), the same fused Adam
and clipping and reads its loss as rarely. Texts that differ in length it pads, and where they are read in both
directions packs, as PyTorch's own documentation does. Evaluations are left out on both sides. Trees have a benchmark of
their own, trees.py.
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
from torch.nn.utils.rnn import pack_padded_sequence, pack_sequence, pad_packed_sequence, pad_sequence

sys.path.insert(0, str(Path(__file__).parents[1]))

from lstmviz.config import ModelConfig, TrainConfig
from lstmviz.data.vocabulary import IGNORED, PADDING, Corpus
from lstmviz.model import LanguageModel
from lstmviz.sizes import LETTER_SIZE
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
    "caption": ("sheep", ModelConfig(embedding_size=32, hidden_size=128)),
    "translate": ("reverse", ModelConfig(embedding_size=32, hidden_size=128)),
}


def data(shape: str) -> TrainConfig:
    """What is trained on."""
    task, _, letters = shape.partition(" by ")
    return dataclasses.replace(BASE, corpus=SHAPES[shape][0], task=task, level=letters or BASE.level)  # pyright: ignore[reportArgumentType]


class Letters(nn.Module):
    """A vector of a word, by filters over its letters."""

    def __init__(self, letters: int, size: int) -> None:
        super().__init__()
        self.letters, self.filters = nn.Embedding(letters, LETTER_SIZE), nn.Conv1d(LETTER_SIZE, size, 3, padding=1)

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


class Begun(Plain):
    """One whose first state is made of a label."""

    def __init__(self, config: ModelConfig, corpus: Corpus) -> None:
        super().__init__(config, corpus)
        self.labels = nn.Embedding(len(corpus.reads or ()), config.embedding_size)
        self.begin = nn.Linear(config.embedding_size, 2 * config.hidden_size)


class Translator(Plain):
    """One that reads in both directions, and says in one, looking back by the general score of Luong et al."""

    def __init__(self, config: ModelConfig, corpus: Corpus) -> None:
        super().__init__(config, corpus)
        size, units = config.embedding_size, config.hidden_size
        self.embed = nn.Embedding((corpus.tokens_read or 0) + len(corpus.vocabulary), size)
        self.reader, self.begin = nn.LSTM(size, units, bidirectional=True), nn.Linear(2 * units, 2 * units)
        self.score, self.combine = nn.Linear(units, 2 * units, bias=False), nn.Linear(3 * units, units)


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


def caption(model: Begun, corpus: Corpus) -> Iterator[Tensor]:
    """Of texts that a label begins, by every token."""
    whole = [each[each[:, 2] != IGNORED].long() for each in corpus.train]  # (T, 3)
    for batch in batches(whole):
        h, c = model.begin(model.labels(torch.stack([each[0, 0] for each in batch]))).chunk(2, dim=-1)  # (B, H)
        before = pad_sequence([each[:, 1] for each in batch])
        hidden, _ = model.lstm(model.embed(before), (h[None].contiguous(), c[None].contiguous()))
        said = pad_sequence([each[:, 2] for each in batch], padding_value=IGNORED)
        yield F.cross_entropy(model.decoder(hidden).flatten(0, 1), said.flatten())


def translate(model: Translator, corpus: Corpus) -> Iterator[Tensor]:
    """Of pairs of sequences, by every token that is said."""
    pairs = [(each[each[:, 0] != PADDING, 0].long(), each[each[:, 2] != IGNORED, 1:].long()) for each in corpus.train]
    for batch in batches(pairs):
        lengths = torch.tensor([len(source) for source, _ in batch])
        vectors = model.embed(pad_sequence([source for source, _ in batch]))
        packed, (ends, _) = model.reader(pack_padded_sequence(vectors, lengths, enforce_sorted=False))
        memory, _ = pad_packed_sequence(packed)  # (S, B, 2H)
        h, c = model.begin(torch.cat([ends[0], ends[1]], dim=-1)).chunk(2, dim=-1)
        before = pad_sequence([said[:, 0] for _, said in batch])  # numbered after all that are read
        hidden, _ = model.lstm(model.embed(before), (h[None].contiguous(), c[None].contiguous()))  # (T, B, H)
        scores = torch.einsum("tbh,sbh->bts", model.score(hidden), memory)
        scores = scores.masked_fill(torch.arange(len(memory)) >= lengths[:, None, None], -torch.inf)
        seen = torch.einsum("bts,sbh->tbh", scores.softmax(-1), memory)
        told = model.combine(torch.cat([seen, hidden], dim=-1)).tanh()
        right = pad_sequence([said[:, 1] for _, said in batch], padding_value=IGNORED)
        yield F.cross_entropy(model.decoder(told).flatten(0, 1), right.flatten())


LOSSES = {
    "language": (Plain, language),
    "classify": (Plain, classify),
    "classify_text": (Plain, classify_text),
    "caption": (Begun, caption),
    "translate": (Translator, translate),
}  # the others are tagged


def plain_steps(shape: str, config: ModelConfig, corpus: Corpus) -> Iterator[None]:
    """Yields after every step."""
    of, losses = LOSSES.get(shape, (Plain, tag))
    model = of(config, corpus).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=BASE.learning_rate, fused=True)
    total = torch.zeros(())
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
