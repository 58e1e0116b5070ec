"""What our training loop costs beside the loop a good engineer writes by hand, what a run folder costs on top, and what
the adaptive softmax saves.

    python benchmarks/training.py [--rounds 9]
    python benchmarks/training.py --corpus WIKITEXT_2 [--steps 2000]

One thread. Each round times the same number of steps of every competitor, one after the other; printed are medians over
rounds of the ratios within a round. The plain loop has the same model (``nn.LSTM``), the same fused Adam, clipping and
stateful windows, and reads its loss as rarely as ours. The run folder adds records, probes, samples, saves and the
status file, without the evaluations themselves, which the plain loop would need as well.

The softmaxes are compared in the sizes of the shipped word model at 10,000 words, with a decoder of its own on both
sides. Their speed needs no text: words are drawn as Zipf's law says. With ``--corpus``, a folder with train.txt,
valid.txt and test.txt, only their perplexities are compared, after the same number of steps from the same seed.
"""

import argparse
import dataclasses
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from lstmviz.config import ModelConfig, TrainConfig  # noqa: E402
from lstmviz.data.corpora import load_corpus  # noqa: E402
from lstmviz.data.grammars import generate  # noqa: E402
from lstmviz.data.vocabulary import Corpus, Vocabulary  # noqa: E402
from lstmviz.model import LanguageModel  # noqa: E402
from lstmviz.sizes import perplexity  # noqa: E402
from lstmviz.training import loop, process  # noqa: E402
from lstmviz.training.folder import Run, RunConfig  # noqa: E402
from lstmviz.training.loop import Trainer, parallel_streams  # noqa: E402

CORPUS = generate("brackets")
SIZES = {"hidden_size": 128, "embedding_size": 64}
CONFIG = TrainConfig("brackets", bptt=64, batch_size=32, steps=10**6, eval_every=10**6, schedule="constant")
WORDS = 10_000
WORD_SIZES = {"embedding_size": 200, "hidden_size": 200, "num_layers": 2, "dropout": 0.2}
WORD_CONFIG = dataclasses.replace(CONFIG, level="word", max_words=WORDS, bptt=35, learning_rate=1e-3)


class Plain(nn.Module):
    """The model, as one writes it without lstmviz."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(CORPUS.vocabulary), SIZES["embedding_size"])
        self.lstm = nn.LSTM(SIZES["embedding_size"], SIZES["hidden_size"])
        self.decoder = nn.Linear(SIZES["hidden_size"], len(CORPUS.vocabulary))

    def forward(self, tokens, state):
        hidden, state = self.lstm(self.embedding(tokens), state)
        return self.decoder(hidden), state


def plain_steps():
    """Yields after every step."""
    model = Plain().train()
    optimizer = torch.optim.Adam(model.parameters(), lr=CONFIG.learning_rate, fused=True)
    streams = parallel_streams(CORPUS.train, CONFIG.batch_size)
    total, state = torch.zeros(()), None
    while True:
        state = None
        for start in range(0, len(streams) - CONFIG.bptt, CONFIG.bptt):
            window = streams[start : start + CONFIG.bptt + 1]
            state = state and tuple(value.detach() for value in state)
            logits, state = model(window[:-1], state)
            loss = F.cross_entropy(logits.flatten(0, 1), window[1:].flatten())
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), CONFIG.clip_norm)
            optimizer.step()
            total += loss.detach()
            if start // CONFIG.bptt % CONFIG.log_every == 0:
                total.item()
            yield


def our_steps():
    return iter(Trainer(LanguageModel(ModelConfig(**SIZES), len(CORPUS.vocabulary)), CORPUS, CONFIG))


def word_trainer(corpus: Corpus, train: TrainConfig, adaptive: bool) -> Trainer:
    torch.manual_seed(train.seed)
    config = ModelConfig(**WORD_SIZES, adaptive_softmax=adaptive)
    return Trainer(LanguageModel(config, len(corpus.vocabulary)), corpus, train)


def zipf_corpus() -> Corpus:
    """Words of which the n-th commonest has a probability of 1/n; WikiText-2 has as many rare ones."""
    vocabulary = Vocabulary.of("word", (f"{number:05}" for number in range(WORDS)))
    chances = 1 / torch.arange(1, len(vocabulary) + 1)
    ids = chances.multinomial(100_000, replacement=True, generator=torch.Generator().manual_seed(0))
    return Corpus("Zipf", vocabulary, ids, ids, ids, "")


def compare_speed(rounds: int) -> None:
    corpus = zipf_corpus()
    for bfloat16 in (False, True):
        train = dataclasses.replace(WORD_CONFIG, bfloat16=bfloat16)
        exact, adaptive = (iter(word_trainer(corpus, train, adaptive)) for adaptive in (False, True))
        seconds(exact, 3), seconds(adaptive, 3)
        pairs = [(seconds(exact, 5), seconds(adaptive, 5)) for _ in range(rounds)]
        print(f"adaptive softmax beside the exact one, {'bfloat16' if bfloat16 else 'float32'}: "
              f"{statistics.median(a / b for a, b in pairs):.2f} x (target 1.5); "
              f"{200 * statistics.median(b for _, b in pairs):.0f} ms a step")  # fmt: skip


def compare_perplexity(folder: Path, steps: int) -> None:
    try:
        corpus = load_corpus(folder, "word", WORDS)
    except (ValueError, OSError) as error:
        sys.exit(f"{folder} cannot be trained on: {error}")
    train = dataclasses.replace(WORD_CONFIG, bfloat16=True, schedule="cosine", steps=steps, eval_every=2000)
    best = []
    for adaptive in (False, True):
        found = []
        for metrics in word_trainer(corpus, train, adaptive):
            if metrics and metrics.valid_nll is not None:
                found.append(perplexity(metrics.valid_nll))
                print(f"{'adaptive' if adaptive else 'exact'}, step {metrics.step:,}: {found[-1]:.2f}", flush=True)
        best.append(min(found))
    exact, adaptive = best
    print(f"best validation perplexity in {steps:,} steps: exact softmax {exact:.2f}, adaptive {adaptive:.2f} "
          f"({100 * (adaptive / exact - 1):+.1f} %; target 2 %)")  # fmt: skip


def seconds(steps, count: int) -> float:
    begun = time.perf_counter()
    for _ in range(count):
        next(steps)
    return time.perf_counter() - begun


def folder_seconds(count: int, evaluations: int) -> float:
    """A whole run of ``count`` steps, evaluations free of charge."""
    with tempfile.TemporaryDirectory() as folder:
        train = dataclasses.replace(CONFIG, steps=count, eval_every=count // evaluations)
        made = Run.create(Path(folder, "run"), RunConfig(train, ModelConfig(**SIZES), "(x(x)x)"))
        trainer_of, begun = process.Trainer, []

        def trainer(*arguments):
            made_one = trainer_of(*arguments)
            begun.append(time.perf_counter())
            return made_one

        finish, process.Process._finish, process.Trainer = process.Process._finish, lambda *_: None, trainer
        try:
            list(process.execute(made))
        finally:
            process.Process._finish, process.Trainer = finish, trainer_of
        return time.perf_counter() - begun[0]


def main() -> None:
    parser = argparse.ArgumentParser(description="Training, as ratios in one run.")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--steps", type=int, default=2000)
    arguments = parser.parse_args()
    rounds = arguments.rounds
    if rounds < 1 or arguments.steps < 1:
        parser.error("--rounds and --steps must be at least 1")
    torch.set_num_threads(1)
    if arguments.corpus:
        return compare_perplexity(arguments.corpus, arguments.steps)
    plain, ours = plain_steps(), our_steps()
    seconds(plain, 20), seconds(ours, 20)
    pairs = [(seconds(plain, 100), seconds(ours, 100)) for _ in range(rounds)]
    ratio = statistics.median(a / b for a, b in pairs)
    print(f"speed beside the plain loop: {ratio:.3f} x (target 0.97); "
          f"{10 * statistics.median(b for _, b in pairs):.2f} ms a step")  # fmt: skip
    loop_evaluate, loop.evaluate = loop.evaluate, lambda *_: 1.0
    try:
        costs = []
        for _ in range(rounds):
            bare, folder = seconds(ours, 600), folder_seconds(600, 4)
            costs.append(folder / bare - 1)
        print(
            f"the run folder on top: {100 * statistics.median(costs):+.1f} % (target 3 %), 600 steps with 4 evaluations"
        )
    finally:
        loop.evaluate = loop_evaluate
    compare_speed(rounds)


if __name__ == "__main__":
    main()
