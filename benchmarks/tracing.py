"""What ``trace_module`` costs beside the plain forward that it explains, and beside a loop written by hand.

    python benchmarks/tracing.py [--device cuda]

One thread; medians. The candidates take turns, so that a slow moment of the machine slows them all; a turn is one
uncounted run, which finds the caches as another candidate left them, then three counted ones. The time of
``trace_module`` is everything up to the finished trace; on a card, "left there" is that of ``trace_module`` with
``device=``, which leaves the values on it, and every candidate waits until the card has done its work.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[1]))

from lstmviz.trace import trace_module

SIZES = [(128, 200, 1), (128, 2000, 1), (512, 200, 1), (512, 2000, 1), (128, 200, 32), (512, 200, 32)]  # H, T, B
LOOPED = [(128, 200, 1), (128, 2000, 1)]


class GateLoop(nn.Module):
    """What people write by hand to see the gates: one linear map a gate, one Python step a token."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.maps = nn.ModuleDict({gate: nn.Linear(2 * size, size) for gate in "ifgo"})

    def forward(self, inputs: Tensor) -> dict[str, Tensor]:  # (T, B, X) -> name -> (T, B, H)
        h = c = torch.zeros_like(inputs[0])
        steps = []
        for x in inputs:
            both = torch.cat([x, h], dim=-1)
            i, f, o = (torch.sigmoid(self.maps[gate](both)) for gate in "ifo")
            g = torch.tanh(self.maps["g"](both))
            c = f * c + i * g
            h = o * torch.tanh(c)
            steps.append((i, f, g, o, c, h))
        return {name: torch.stack(values) for name, values in zip("ifgoch", zip(*steps, strict=True), strict=True)}


def medians(candidates: dict[str, Callable[[], object]], seconds: float = 3.0) -> dict[str, float]:
    """Median seconds of each candidate, in turns for about ``seconds``, at least three turns each."""
    times = {name: [] for name in candidates}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(next(iter(times.values()))) < 9:
        for name, candidate in candidates.items():
            candidate()
            for _ in range(3):
                start = time.perf_counter()
                candidate()
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def done(work: Callable[[], object], device: str) -> Callable[[], object]:
    """``work`` and, on a card, waiting for it."""
    if device == "cpu":
        return work
    return lambda: (work(), torch.cuda.synchronize(device))


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cpu")
    device = parser.parse_args().device
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, {device}, one thread, milliseconds, medians")
    print(f"{'H':>4} {'T':>5} {'B':>3} {'forward':>9} {'trace':>9} {'ratio':>6} {'target':>7}   met")
    for size, steps, batch in SIZES:
        module, inputs = nn.LSTM(size, size).to(device), torch.randn(steps, batch, size, device=device)
        candidates = {
            "forward": done(lambda: module(inputs), device),  # noqa: B023
            "trace": done(lambda: trace_module(module, inputs), device),  # noqa: B023
        }
        if device != "cpu":
            candidates["left there"] = done(lambda: trace_module(module, inputs, device=device), device)  # noqa: B023
        median = medians(candidates)
        report(size, steps, batch, median["forward"], median["trace"], "<=", 2.0 if batch == 1 else 2.4)
        if device != "cpu":
            left = median["left there"]
            print(f"{'left there':>28} {left * 1e3:9.2f} {left / median['forward']:6.2f}")

    print(f"\n{'H':>4} {'T':>5} {'B':>3} {'trace':>9} {'loop':>9} {'ratio':>6} {'target':>7}   met")
    for size, steps, batch in LOOPED:
        module, loop = nn.LSTM(size, size).to(device), GateLoop(size).to(device)
        inputs = torch.randn(steps, batch, size, device=device)
        candidates = {
            "trace": done(lambda: trace_module(module, inputs), device),  # noqa: B023
            "loop": done(lambda: loop(inputs), device),  # noqa: B023
        }
        median = medians(candidates)
        report(size, steps, batch, median["trace"], median["loop"], ">=", 5.0)


def report(size: int, steps: int, batch: int, base: float, other: float, sign: str, target: float) -> None:
    ratio = other / base
    met = ratio <= target if sign == "<=" else ratio >= target
    print(
        f"{size:4} {steps:5} {batch:3} {base * 1e3:9.2f} {other * 1e3:9.2f} {ratio:6.2f} {sign} {target:4.1f}   "
        f"{'yes' if met else 'NO'}"
    )


if __name__ == "__main__":
    main()
