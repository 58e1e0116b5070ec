"""How long the report's table of three LSTMs takes: our line-up beside the report's own way of working.

    python benchmarks/experiments.py FOLDER [--epochs 9] [--steps 603] [--processor] [--floor]

FOLDER holds the train, valid and test part of the report's text, or of any other. The report's way is written afresh
here: a linear map or two for each gate, Python over the tokens, torch's default Adam and as many threads as torch
takes, one model after another. Ours is the line-up of ``python -m lstmviz experiment three-lstms`` with the same three
cells: its processes, run folders, records, saves and figures are in its time. The two take turns, and the ratio is of
neighbours. On a machine that others use, too, ``--processor`` compares what both take of the processor: then both train
one model after another on one thread of this process. ``--floor`` times besides the products of matrices alone that the
training steps cannot do without, forward and backward: what no way of working can be faster than.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from lstmviz.data.vocabulary import Corpus  # noqa: E402
from lstmviz.experiments.base import EXPERIMENTS, Setting  # noqa: E402
from lstmviz.training.batches import batches_of  # noqa: E402
from lstmviz.training.grid import Grid  # noqa: E402
from lstmviz.training.process import execute  # noqa: E402
from lstmviz.training.sweep import Sweep  # noqa: E402

CELLS = ("lstm", "report_split", "report_concat")
E, H = 256, 128


class Split(nn.Module):
    """Eight linear maps, a loop over the tokens: ``(T, B, E)`` to ``(B, H)``."""

    def __init__(self) -> None:
        super().__init__()
        self.of_x, self.of_h = (nn.ModuleList(nn.Linear(size, H) for _ in "ifgo") for size in (E, H))

    def forward(self, vectors: Tensor) -> Tensor:
        h = c = vectors.new_zeros(vectors.shape[1], H)
        for x in vectors:
            i, f, g, o = (w(x) + u(h) for w, u in zip(self.of_x, self.of_h, strict=True))
            g = torch.tanh(g)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * g
            h = torch.sigmoid(o) * torch.tanh(g)
        return h


class Concat(nn.Module):
    """Four linear maps of [h', x]."""

    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.ModuleList(nn.Linear(H + E, H) for _ in "ifgo")

    def forward(self, vectors: Tensor) -> Tensor:
        h = c = vectors.new_zeros(vectors.shape[1], H)
        for x in vectors:
            both = torch.cat([h, x], dim=1)
            i, f, g, o = (w(both) for w in self.maps)
            g = torch.tanh(g)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * g
            h = torch.sigmoid(o) * torch.tanh(g)
        return h


class Torchs(nn.Module):
    """torch's own."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(E, H)

    def forward(self, vectors: Tensor) -> Tensor:
        return self.lstm(vectors)[0][-1]


class Report(nn.Module):
    """The report's model: scores of the token after each of ``(B, T)`` windows."""

    def __init__(self, lstm: nn.Module, vocab_size: int) -> None:
        super().__init__()
        self.embedding, self.lstm = nn.Embedding(vocab_size, E), lstm
        self.decoder, self.bias = nn.Linear(H, vocab_size, bias=False), nn.Parameter(torch.ones(vocab_size))

    def forward(self, windows: Tensor) -> Tensor:
        return self.decoder(self.lstm(self.embedding(windows).transpose(0, 1))) + self.bias


def the_reports_way(setting: Setting, grid: Grid) -> list[float]:
    """Train the three, one after another; the last validation perplexity of each."""
    train, corpus = grid.base.train, setting.corpus
    parts = [_batches(tokens, corpus, setting, grid) for tokens in (corpus.train, corpus.valid)]
    found = []
    for lstm in (Torchs(), Split(), Concat()):
        torch.manual_seed(0)
        model, loss = Report(lstm, len(corpus.vocabulary)), nn.CrossEntropyLoss()
        optimizer, nll = torch.optim.Adam(model.parameters(), lr=train.learning_rate), math.nan
        for step in range(1, train.steps + 1):
            windows, targets = parts[0][(step - 1) % len(parts[0])]
            optimizer.zero_grad()
            loss(model(windows), targets).backward()
            optimizer.step()
            if step % train.eval_every == 0 or step == train.steps:
                with torch.no_grad():
                    nll = statistics.fmean(loss(model(windows), targets).item() for windows, targets in parts[1])
        found.append(math.exp(nll))
    return found


def _batches(tokens: Tensor, corpus: Corpus, setting: Setting, grid: Grid) -> list[tuple[Tensor, Tensor]]:
    """Windows ``(B, T)`` and the token after each ``(B,)``."""
    batches = batches_of(tokens, corpus.vocabulary, grid.base.train)
    columns = (batches[k].t().contiguous() for k in range(len(batches)))  # (B, T + 1)
    return [(windows[:, :-1], windows[:, -1]) for windows in columns]


def our_way(setting: Setting, grid: Grid, alone: bool = False) -> list[float]:
    """The line-up, from nothing to its figures, on all cores; or alone, in this process, one member after another."""
    with tempfile.TemporaryDirectory() as folder:
        lineup = Sweep.create(Path(folder, "table"), grid, len(setting.corpus.vocabulary))
        if alone:
            for run in lineup.runs():
                list(execute(run))
        else:
            list(lineup.execute())
        ends = {run.folder.name: run.records()[-1].valid_nll or math.nan for run in lineup.runs()}
    return [math.exp(ends[cell]) for cell in CELLS]


def products(setting: Setting, grid: Grid) -> list[float]:
    """What the steps of the three multiply, as few and as large as they can be: 4 gates at once, all weights in one."""
    train, V = grid.base.train, len(setting.corpus.vocabulary)
    T, B = train.bptt, train.batch_size
    recurrent = torch.rand(B, E + H), torch.rand(E + H, 4 * H)  # of each token
    decoder = torch.rand(B, H), torch.rand(H, V)
    for _ in range(len(CELLS) * train.steps):
        for x, w in [*[recurrent] * T, decoder]:
            y = x @ w
            x.t() @ y, y @ w.t()  # the gradients of w and x
    return [math.nan] * len(CELLS)


def timed(way: Callable[[], list[float]], clock: Callable[[], float], name: str) -> float:
    """Seconds that it takes by a clock."""
    begun = clock()
    ends = way()
    seconds = clock() - begun
    said = ", ".join(f"{cell} {end:.1f}" for cell, end in zip(CELLS, ends, strict=True) if not math.isnan(end))
    print(f"{name:<18} {seconds:7.1f} s{said and '; perplexity '}{said}", flush=True)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--steps", type=int, help="of each model, in place of epochs")
    parser.add_argument("--processor", action="store_true")
    parser.add_argument("--floor", action="store_true")
    parser.add_argument("--repeats", type=int, default=1)
    args = parser.parse_args()
    experiment = EXPERIMENTS["three-lstms"]
    setting = experiment.setting(os.path.abspath(args.folder), epochs=args.epochs)
    (grid,) = experiment.grids(setting).values()
    grid = replace(grid, over={"model.cell": CELLS})
    if args.steps:
        grid = grid.trained(steps=args.steps, eval_every=args.steps)
    print(f"{grid.base.train.steps:,} steps of each of {', '.join(CELLS)} on {os.cpu_count()} cores")
    clock = time.perf_counter
    if args.processor:
        torch.set_num_threads(1)
        clock = time.process_time
    ways = {"ours": lambda: our_way(setting, grid, args.processor)}
    if args.floor:
        ways["the products alone"] = lambda: products(setting, grid)
    ratios: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(args.repeats):
        theirs = timed(lambda: the_reports_way(setting, grid), clock, "the report's way")
        for name, way in ways.items():
            ratios[name].append(theirs / timed(way, clock, name))
    what = "takes the processor" if args.processor else "takes"
    for name, found in ratios.items():
        print(f"the report's way {what} {statistics.median(found):.2f} × as long as {name}")


if __name__ == "__main__":
    main()
