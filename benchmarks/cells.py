"""What a training step of every cell costs beside one of ``nn.LSTM``, and beside a loop of one linear map a gate.

    python benchmarks/cells.py [--device cuda]

One thread, one run, the candidates in turns so that a slow moment of the machine slows them all. A training step is
forward, loss, backward and Adam of a language model with ``VOCABULARY`` tokens, few enough that the cells are most of
it. Processor time, not that on the wall, so that other programs disturb less; of each candidate the lower quartile.

``nn.LSTM`` stands there twice: as it runs, on most processors as one fused kernel of oneDNN, and with oneDNN switched
off, made of PyTorch's own operations as our cells are.

On a graphics card: every cell as its operations are launched one by one, and as training does it there, captured as a
CUDA graph, beside cuDNN's ``nn.LSTM``. Time on the wall, each step waited for; and whether both leave the same bits.
"""

import argparse
import copy
import statistics
import sys
import time
from pathlib import Path

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[1]))

from lstmviz.cells import CELLS
from lstmviz.cells.base import Cell, State
from lstmviz.cells.lstm import LSTM
from lstmviz.config import ModelConfig, TrainConfig
from lstmviz.data.vocabulary import Corpus, Vocabulary
from lstmviz.model import LanguageModel
from lstmviz.training.captured import WARM_UP, Captured
from lstmviz.training.loop import Trainer

SIZES = [(35, 32, 128, 1, 10), (20, 20, 200, 2, 6), (35, 20, 650, 2, 4)]  # T, B, H, layers, rounds
VOCABULARY = 65
NATIVE = ("rnn", "lstm", "gru")
OWN = "lstm without oneDNN"
LIMITS = {name: 1.6 for name in CELLS} | {"layernorm": 1.8, "mogrifier": None, "fgr": None}


class GateLoop(Cell):
    """What people write by hand: one linear map of [x, h'] a gate, one Python step a token."""

    gates, states = LSTM.gates, LSTM.states

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.maps = nn.ModuleDict({k: nn.Linear(input_size + hidden_size, hidden_size) for k in "ifgo"})

    def forward(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        h, c, hidden = state["hidden"], state["cell"], []
        for x in inputs:
            both = torch.cat([x, h], dim=-1)
            i, f, o = (torch.sigmoid(self.maps[k](both)) for k in "ifo")
            g = torch.tanh(self.maps["g"](both))
            c = f * c + i * g
            h = o * torch.tanh(c)
            hidden.append(h)
        return torch.stack(hidden), {"hidden": h, "cell": c}


class Candidate:
    """A language model in training."""

    def __init__(self, name: str, time: int, batch: int, size: int, layers: int) -> None:
        config = ModelConfig(name if name in CELLS else "lstm", size, size, layers)
        self.model = LanguageModel(config, VOCABULARY)
        if name == "loop":
            for k in range(layers):
                self.model.layers[k] = GateLoop(size, size)
        self.optimizer = torch.optim.Adam(self.model.parameters(), fused=True)
        self.tokens = torch.randint(VOCABULARY, (time + 1, batch))
        self.onednn = name != OWN
        self.times: list[float] = []

    def step(self) -> None:
        with torch.backends.mkldnn.flags(enabled=self.onednn):
            begun = time.process_time()
            loss, _ = self.model.loss(self.tokens[:-1], self.tokens[1:])
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.times.append(time.process_time() - begun)

    @property
    def seconds(self) -> float:
        # inclusive: of few rounds the other method would guess at less than the least.
        return statistics.quantiles(self.times[1:], n=4, method="inclusive")[0]


def text() -> Corpus:
    """A random one, of ``VOCABULARY`` tokens."""
    vocabulary = Vocabulary.of("char", [chr(0x4E00 + i) for i in range(VOCABULARY - 4)])
    ids = torch.randint(VOCABULARY, (200_000,), generator=torch.Generator().manual_seed(0))
    return Corpus("random", vocabulary, ids, ids[:100], ids[:100], "")


class OnCard:
    """A language model in training on a graphics card, as ``Trainer`` trains it or one operation at a time."""

    def __init__(self, model: LanguageModel, corpus: Corpus, steps: int, batch: int, captured: bool) -> None:
        config = TrainConfig("random", bptt=steps, batch_size=batch, steps=10**6, eval_every=10**6)
        self.trainer = Trainer(copy.deepcopy(model).cuda(), corpus, config)
        if not captured:
            self.trainer.passes = self.trainer._passes
        self.times: list[float] = []

    def step(self) -> None:
        torch.cuda.synchronize()
        begun = time.perf_counter()
        self.trainer.take_step()
        torch.cuda.synchronize()
        self.times.append(time.perf_counter() - begun)

    @property
    def seconds(self) -> float:
        return statistics.median(self.times[WARM_UP + 3 :])

    @property
    def is_captured(self) -> bool:
        return isinstance(self.trainer.passes, Captured) and self.trainer.passes.replay is not None


def on_card() -> None:
    print(f"torch {torch.__version__}, {torch.cuda.get_device_name()}, milliseconds a training step, medians of 20")
    corpus = text()
    for steps, batch, size, layers, _ in SIZES:
        print(f"\nT {steps}, B {batch}, {layers} × {size}")
        print(f"{'cell':14}{'eager':>9}{'captured':>10}{'eager ÷ cuDNN':>15}{'captured ÷ cuDNN':>18}  bits")
        base = None
        for name in ("lstm", *(name for name in CELLS if name != "lstm")):
            torch.manual_seed(0)
            model = LanguageModel(ModelConfig(name, size, size, layers), VOCABULARY)
            eager, captured = (OnCard(model, corpus, steps, batch, way) for way in (False, True))
            for _ in range(WARM_UP + 3 + 20):  # in turns
                eager.step(), captured.step()
            base = base or eager.seconds  # cuDNN's, as it runs outside of a graph
            weights = [list(one.trainer.model.parameters()) for one in (eager, captured)]
            same = all(torch.equal(a, b) for a, b in zip(*weights, strict=True))
            said = ("the same" if same else "DIFFERENT") if captured.is_captured else "NOT CAPTURED"
            print(
                f"{name:14}{eager.seconds * 1e3:9.2f}{captured.seconds * 1e3:10.2f}{eager.seconds / base:15.2f}"
                f"{captured.seconds / base:18.2f}  {said}",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    if parser.parse_args().device == "cuda":
        if not torch.cuda.is_available():
            sys.exit("there is no graphics card here that torch can use; leave --device out to measure the processor")
        return on_card()
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, one thread, milliseconds of processor time")
    for steps, batch, size, layers, rounds in SIZES:
        candidates = {name: Candidate(name, steps, batch, size, layers) for name in (*CELLS, OWN, "loop")}
        for _ in range(rounds + 1):
            for candidate in candidates.values():
                candidate.step()
        base, own, loop = (candidates[name].seconds for name in ("lstm", OWN, "loop"))
        print(f"\nT {steps}, B {batch}, {layers} × {size}: nn.LSTM {base * 1e3:.1f}, without oneDNN {own * 1e3:.1f}, "
              f"loop {loop * 1e3:.1f}")  # fmt: skip
        print(f"{'cell':14}{'ms':>8}{'× nn.LSTM':>11}{'limit':>7}{'':5}{'× without':>11}{'loop ÷ it':>11}{'limit':>7}")
        for name in CELLS:
            if name in NATIVE:
                continue
            seconds = candidates[name].seconds
            ratio, gain, limit = seconds / base, loop / seconds, LIMITS[name]
            # The loop is an LSTM's: cells that do more than its work are not held against it.
            wanted = 1.3 if steps == 35 and limit == 1.6 else None
            print(
                f"{name:14}{seconds * 1e3:8.1f}{ratio:11.2f}{limit or '':>7}{verdict(ratio, limit, False):5}"
                f"{seconds / own:11.2f}{gain:11.2f}{wanted or '':>7}{verdict(gain, wanted, True)}"
            )


def verdict(value: float, limit: float | None, at_least: bool) -> str:
    return "" if limit is None else " yes" if (value >= limit if at_least else value <= limit) else " NO"


if __name__ == "__main__":
    main()
