"""What our training loop costs beside the loop a good engineer writes by hand, and what a run folder costs on top.

    python benchmarks/training.py [--rounds 9]

One thread. Each round times the same number of steps of every competitor, one after the other; printed are medians over
rounds of the ratios within a round. The plain loop has the same model (``nn.LSTM``), the same fused Adam, clipping and
stateful windows, and reads its loss as rarely as ours. The run folder adds records, probes, samples, saves and the
status file, without the evaluations themselves, which the plain loop would need as well.
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

from lstmviz.checkpoint import TrainConfig  # noqa: E402
from lstmviz.grammars import generate  # noqa: E402
from lstmviz.model import LanguageModel, ModelConfig  # noqa: E402
from lstmviz.training import loop, run  # noqa: E402
from lstmviz.training.loop import LOG_EVERY, Trainer, parallel_streams  # noqa: E402

CORPUS = generate("brackets")
SIZES = {"hidden_size": 128, "embedding_size": 64}
CONFIG = TrainConfig("brackets", bptt=64, batch_size=32, steps=10**6, eval_every=10**6, schedule="constant")


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
            if start // CONFIG.bptt % LOG_EVERY == 0:
                total.item()
            yield


def our_steps():
    return iter(Trainer(LanguageModel(ModelConfig(len(CORPUS.vocabulary), **SIZES)), CORPUS, CONFIG))


def seconds(steps, count: int) -> float:
    begun = time.perf_counter()
    for _ in range(count):
        next(steps)
    return time.perf_counter() - begun


def folder_seconds(count: int, evaluations: int) -> float:
    """A whole run of ``count`` steps, evaluations free of charge."""
    with tempfile.TemporaryDirectory() as folder:
        train = dataclasses.replace(CONFIG, steps=count, eval_every=count // evaluations)
        made = run.Run.create(Path(folder, "run"), run.RunConfig(train, SIZES, "(x(x)x)"))
        trainer_of, begun = run.Trainer, []

        def trainer(*arguments):
            made_one = trainer_of(*arguments)
            begun.append(time.perf_counter())
            return made_one

        finish, run.Run._finish, run.Trainer = run.Run._finish, lambda *_: None, trainer
        try:
            list(made.execute())
        finally:
            run.Run._finish, run.Trainer = finish, trainer_of
        return time.perf_counter() - begun[0]


def main() -> None:
    parser = argparse.ArgumentParser(description="Training, as ratios in one run.")
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
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


if __name__ == "__main__":
    main()
