"""What the explanations of `lstmviz.explain` cost beside the plain way to the same numbers, which is written here.

    python benchmarks/explain.py [--units 256] [--rounds 3]

One thread; medians of its processor time, which says most on a shared machine. The candidates take turns, so that a
slow moment of the machine slows them all, and their results are compared. The plain model is the same LSTM, over the
same tokens, in torch's own operations:

- map: the T × T map ‖∂nll_t/∂h_k‖. ``as one batch``: one forward pass, then T backward passes through it as one batch
  (``is_grads_batched``); ``copies``: the text T times side by side, and one backward pass; ``in turn``: T backward
  passes, one after the other.
- ablation: every unit's memory cut, one run after the other.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))

from lstmviz import ablate, connectivity
from lstmviz.config import ModelConfig
from lstmviz.data.vocabulary import Vocabulary
from lstmviz.model import LanguageModel

SIGNS = "abcdefghijklmnopqrstuvwxyz .,\n"
MAPPED, ABLATED = 200, 100  # tokens


class Plain:
    """The LSTM of a `LanguageModel`, as anybody writes it."""

    def __init__(self, model: LanguageModel) -> None:
        native = model.layers[0].native
        self.embedding, self.decoder = model.embedding.weight.detach(), model.decoder
        self.W, self.U = native.weight_ih_l0.detach(), native.weight_hh_l0.detach()
        self.b = (native.bias_ih_l0 + native.bias_hh_l0).detach()

    def run(self, ids: Tensor, batch: int = 1, cut: int | None = None) -> tuple[list[Tensor], Tensor]:
        """h after each token but the last, ``(B, H)`` each, and the losses of all but the first, ``(T − 1, B)``."""
        size = self.U.shape[1]
        h, c = torch.zeros(batch, size), torch.zeros(batch, size)
        h.requires_grad_(torch.is_grad_enabled())
        hidden = []
        for x in F.embedding(ids[:-1], self.embedding):
            if cut is not None:
                c[:, cut] = 0
            i, f, g, o = (F.linear(x, self.W, self.b) + F.linear(h, self.U)).chunk(4, dim=-1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            hidden.append(h)
        scores = self.decoder(torch.stack(hidden))  # (T − 1, B, V)
        wanted = ids[1:, None].expand(-1, batch)
        return hidden, F.cross_entropy(scores.flatten(0, 1), wanted.flatten(), reduction="none").view(-1, batch)

    def as_one_batch(self, ids: Tensor) -> Tensor:
        hidden, nll = self.run(ids)
        gradients = torch.autograd.grad(nll[:, 0], hidden, torch.eye(len(nll)), is_grads_batched=True)
        return torch.stack([gradient[:, 0].norm(dim=-1) for gradient in gradients], dim=1)  # (T − 1, T − 1)

    def copies(self, ids: Tensor) -> Tensor:
        hidden, nll = self.run(ids, len(ids) - 1)
        gradients = torch.autograd.grad(nll.diagonal().sum(), hidden)
        return torch.stack([gradient.norm(dim=-1) for gradient in gradients], dim=1)

    def in_turn(self, ids: Tensor) -> Tensor:
        hidden, nll = self.run(ids)
        rows = (
            torch.autograd.grad(loss, hidden, retain_graph=True, allow_unused=True, materialize_grads=True)
            for loss in nll[:, 0]
        )
        return torch.stack([torch.cat(row).norm(dim=-1) for row in rows])

    @torch.no_grad()
    def ablate(self, ids: Tensor) -> Tensor:
        _, whole = self.run(ids)
        return torch.stack([self.run(ids, cut=unit)[1].mean() - whole.mean() for unit in range(self.U.shape[1])])


def in_turns(candidates: dict[str, Callable[[], Tensor]], rounds: int) -> dict[str, float]:
    """Median seconds of each; one uncounted run of each first, whose results must be the same."""
    results = [candidate() for candidate in candidates.values()]
    furthest = max(float((result - results[0]).abs().max()) for result in results)
    print(f"  results differ by at most {furthest:.0e}, of at most {float(results[0].abs().max()):.2g}")
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, candidate in candidates.items():
            start = time.process_time()
            candidate()
            times[name].append(time.process_time() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--units", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    vocabulary, size = Vocabulary.of("char", SIGNS), arguments.units
    model = LanguageModel(ModelConfig(embedding_size=64, hidden_size=size), len(vocabulary)).eval()
    plain = Plain(model)

    ids = torch.randint(4, len(vocabulary), (MAPPED,))
    print(f"torch {torch.__version__}, one thread, LSTM of {size} units\n\nT × T map, T {MAPPED}")
    median = in_turns(
        {
            "connectivity": lambda: torch.from_numpy(
                connectivity(model, vocabulary, ids.numpy()).norms[1:, :-1]
            ).float(),
            "as one batch": lambda: plain.as_one_batch(ids),
            "copies": lambda: plain.copies(ids),
            "in turn": lambda: plain.in_turn(ids),
        },
        arguments.rounds,
    )
    for name, seconds in median.items():
        print(f"  {name:14} {seconds * 1e3:8.0f} ms; connectivity takes {median['connectivity'] / seconds:5.2f} × that")
    print("  wanted: at most 1.3 × the T backward passes as one batch")

    ids = torch.randint(4, len(vocabulary), (ABLATED,))
    print(f"\nevery unit's memory cut in turn, T {ABLATED}")
    median = in_turns(
        {
            "ablate": lambda: torch.from_numpy(ablate(model, vocabulary, ids.numpy())),
            "one by one": lambda: plain.ablate(ids),
        },
        arguments.rounds,
    )
    for name, seconds in median.items():
        print(f"  {name:14} {seconds * 1e3:8.0f} ms")
    print(f"  ablate is {median['one by one'] / median['ablate']:.1f} × as fast; wanted: 20 ×")


if __name__ == "__main__":
    main()
