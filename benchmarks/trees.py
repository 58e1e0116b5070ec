"""What it saves to let trees grow level by level, all of a batch at once, beside node by node.

    python benchmarks/trees.py [--rounds 9] [--steps 5] [--batch-size 32]

One thread. Each round times the same number of training steps of both, one after the other, in processor time; printed
are medians over rounds of the ratios within a round. Node by node is the loop that the paper's equations suggest, as it
is usually written: a recursion over each tree, a step for each node, with the input's part of all gates, and the
children's, in as few products as there can be. Both have the same batches, labels, fused Adam and clipping.
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

sys.path.insert(0, str(Path(__file__).parents[1]))

from lstmviz.cells import TREE_CELLS
from lstmviz.config import ModelConfig, TrainConfig
from lstmviz.data.expressions import LABELS, SYMBOLS, Expression, drawn
from lstmviz.model import LanguageModel
from lstmviz.tasks import fitted_to, open_data
from lstmviz.training.loop import Trainer

TARGET = 10
TRAIN = TrainConfig("expressions", task="tree", batch_size=32, steps=10**6, eval_every=10**6, schedule="constant")


class Plain(nn.Module):
    """A Tree-LSTM node by node."""

    def __init__(self, cell: str, embedding: int, hidden: int) -> None:
        super().__init__()
        self.of_order, self.places = cell == "nary", 3
        self.embedding = nn.Embedding(len(SYMBOLS), embedding)
        self.of_x = nn.Linear(embedding, 4 * hidden)
        if self.of_order:
            self.of_children = nn.Linear(self.places * hidden, (3 + self.places) * hidden, bias=False)
        else:
            self.iuo, self.f = nn.Linear(hidden, 3 * hidden, bias=False), nn.Linear(hidden, hidden, bias=False)
        self.decoder = nn.Linear(hidden, len(LABELS))
        self.none = torch.zeros(hidden)

    def node(self, x: Tensor, h: list[Tensor], c: list[Tensor]) -> tuple[Tensor, Tensor]:
        """From what the input says, ``(4H,)``, and the states of the children, ``(H,)`` each, to the node's c and h."""
        f_x, x = x[: len(self.none)], x[len(self.none) :]
        if not h:
            i, u, o = x.chunk(3)
            new = i.sigmoid() * u.tanh()
        else:
            if self.of_order:
                told = self.of_children(torch.cat(h + [self.none] * (self.places - len(h))))
                f, iuo = told.split([self.places * len(f_x), 3 * len(f_x)])
                f = f.view(self.places, -1)[: len(h)]
            else:
                below = torch.stack(h)
                f, iuo = self.f(below), self.iuo(below.sum(0))
            i, u, o = (x + iuo).chunk(3)
            new = i.sigmoid() * u.tanh() + ((f + f_x).sigmoid() * torch.stack(c)).sum(0)
        return new, o.sigmoid() * new.tanh()

    def loss(self, trees: list[Expression]) -> Tensor:
        """Mean over all operations."""
        said, values = [], []
        for tree in trees:
            of_x = self.of_x(self.embedding(torch.tensor(SYMBOLS.encode_tokens(tree.symbols))))
            states: list[tuple[Tensor, Tensor]] = []
            for x, children, value in zip(of_x, tree.children, tree.values, strict=True):
                states.append(self.node(x, [states[k][1] for k in children], [states[k][0] for k in children]))
                if children:
                    said.append(states[-1][1])
                    values.append(int(value))
        return F.cross_entropy(self.decoder(torch.stack(said)), torch.tensor(values))


def plain_steps(cell: str, embedding: int, hidden: int, batch_size: int) -> Iterator[None]:
    """Yields after every step."""
    model, trees = Plain(cell, embedding, hidden).train(), drawn()[0]
    optimizer = torch.optim.Adam(model.parameters(), lr=TRAIN.learning_rate, fused=True)
    while True:
        for start in range(0, len(trees) - batch_size + 1, batch_size):
            loss = model.loss([*trees[start : start + batch_size]])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), TRAIN.clip_norm)
            optimizer.step()
            yield


def our_steps(cell: str, embedding: int, hidden: int, batch_size: int) -> Iterator[object]:
    corpus = open_data(TRAIN)
    model = fitted_to(corpus, ModelConfig(cell, embedding, hidden))
    return iter(Trainer(LanguageModel(model, len(LABELS)), corpus, dataclasses.replace(TRAIN, batch_size=batch_size)))


def seconds(steps: Iterator[object], count: int) -> float:
    begun = time.process_time()
    for _ in range(count):
        next(steps)
    return time.process_time() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description="Trees level by level beside node by node, as ratios in one run.")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=32, help="trees")
    arguments = parser.parse_args()
    if min(arguments.rounds, arguments.steps, arguments.batch_size) < 1:
        parser.error("--rounds, --steps and --batch-size must be at least 1")
    torch.set_num_threads(1)
    for cell in TREE_CELLS:
        for hidden in (32, 64, 128):
            sizes = 16, hidden, arguments.batch_size
            plain, ours = plain_steps(cell, *sizes), our_steps(cell, *sizes)
            seconds(plain, 1), seconds(ours, 5)
            pairs = [(seconds(plain, arguments.steps), seconds(ours, arguments.steps)) for _ in range(arguments.rounds)]
            ratio = statistics.median(a / b for a, b in pairs)
            each = 1000 * statistics.median(b for _, b in pairs) / arguments.steps
            print(
                f"{cell:<9} {hidden:>3} units: {ratio:.1f} x as fast (target {TARGET}); {each:.1f} ms a step",
                flush=True,
            )


if __name__ == "__main__":
    main()
