"""What the explanations of `lstmviz.explain` cost beside the plain way to the same numbers, which is written here.

    python benchmarks/explain.py [--units 256] [--rounds 3] [--only map|ablation|drag]

One thread; medians of its processor time, which says most on a shared machine. The candidates take turns, so that a
slow moment of the machine slows them all, and their results are compared. The plain model is the same LSTM, over the
same tokens, in torch's own operations:

- map: the T × T map ‖∂nll_t/∂h_k‖. ``as one batch``: one forward pass, then T backward passes through it as one batch
  (``is_grads_batched``); ``copies``: the text T times side by side, and one backward pass; ``in turn``: T backward
  passes, one after the other.
- ablation: every unit's memory cut, one run after the other.
- drag: on the page, by the browser's clock. A slider holds the forget gates of half of the units at a value from the
  first of 60 tokens on; from a step of it until the frame is rendered that shows what comes of it, beside a page that
  has no model and paints as many cells at each step.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode

import torch
import torch.nn.functional as F
from keystroke import CHROMIUM, FLOOR, SPEECH, browser_page
from playwright.sync_api import Page, sync_playwright
from serving import server
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))

from lstmviz import ablate, connectivity
from lstmviz.config import ModelConfig
from lstmviz.data.vocabulary import Vocabulary
from lstmviz.model import LanguageModel

SIGNS = "abcdefghijklmnopqrstuvwxyz .,\n"
MAPPED, ABLATED, DRAGGED = 200, 100, 60  # tokens
STEPS = 20  # of a slider, a round

# A slider moves as each frame begins; milliseconds until one is rendered after what says that it was answered changed.
DRAG = """async ([slider, answer, values]) => {
  const find = (name, root = document) => root.querySelector(name) ??
    [...root.querySelectorAll("*")].reduce((found, { shadowRoot: root }) => found ?? (root && find(name, root)), null);
  const element = find(slider), shown = new MessageChannel(), times = [];
  let answered = false;
  new MutationObserver(() => { answered = true; }).observe(find(answer), { childList: true, attributes: true });
  const frame = (act) => new Promise((rendered) => {
    shown.port1.onmessage = rendered;
    requestAnimationFrame(() => { act(); shown.port2.postMessage(0); });
  });
  for (const value of values) {
    let start;
    answered = false;
    await frame(() => {
      start = performance.now();
      element.value = value;
      element.dispatchEvent(new Event("input", { bubbles: true }));
    });
    while (!answered) await frame(() => {});
    times.push(performance.now() - start);
  }
  return times;
}"""


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


def maps(model: LanguageModel, vocabulary: Vocabulary, rounds: int) -> None:
    ids, plain = torch.randint(4, len(vocabulary), (MAPPED,)), Plain(model)
    print(f"\nT × T map, T {MAPPED}")
    median = in_turns(
        {
            "connectivity": lambda: torch.from_numpy(
                connectivity(model, vocabulary, ids.numpy()).norms[1:, :-1]
            ).float(),
            "as one batch": lambda: plain.as_one_batch(ids),
            "copies": lambda: plain.copies(ids),
            "in turn": lambda: plain.in_turn(ids),
        },
        rounds,
    )
    for name, seconds in median.items():
        print(f"  {name:14} {seconds * 1e3:8.0f} ms; connectivity takes {median['connectivity'] / seconds:5.2f} × that")
    print("  wanted: at most 1.3 × the T backward passes as one batch")


def ablations(model: LanguageModel, vocabulary: Vocabulary, rounds: int) -> None:
    ids, plain = torch.randint(4, len(vocabulary), (ABLATED,)), Plain(model)
    print(f"\nevery unit's memory cut in turn, T {ABLATED}")
    median = in_turns(
        {
            "ablate": lambda: torch.from_numpy(ablate(model, vocabulary, ids.numpy())),
            "one by one": lambda: plain.ablate(ids),
        },
        rounds,
    )
    for name, seconds in median.items():
        print(f"  {name:14} {seconds * 1e3:8.0f} ms")
    print(f"  ablate is {median['one by one'] / median['ablate']:.1f} × as fast; wanted: 20 ×")


def drag(rounds: int) -> None:
    """A slider of the Inside page, and one that paints alone, in turn."""
    asked = {
        "network": "shakespeare-char-lstm",
        "view": "what if",
        "hold": "forget_gate.0-127 at 0.5 from 0",
        "read": SPEECH[:DRAGGED],
    }
    places = {"floor": ("input", "canvas"), "drag": (".editor:not([hidden]) input[type=range]", ".over .sum")}
    with sync_playwright() as playwright, server() as (address, _):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--disable-dev-shm-usage"])
        with browser_page(browser) as ours, browser_page(browser) as floor:
            ours.goto(f"{address}/inside?{urlencode(asked)}")
            ours.get_by_text("Mean loss").wait_for()
            ours.wait_for_timeout(3000)  # the server's check, too
            size = ours.locator(".hold canvas").first.evaluate("({ width, height }) => ({ width, height })")
            cells = FLOOR % {**size, "columns": DRAGGED, "rows": 256}
            # What is set there says nothing of itself: its canvas does once it is painted.
            cells = cells.replace("map.map =", "canvas.dataset.painted = performance.now(); map.map =")
            floor.route("http://floor.test/", lambda route: route.fulfill(content_type="text/html", body=cells))
            floor.goto("http://floor.test/")
            pages = {"floor": floor, "drag": ours}
            times: dict[str, list[float]] = {name: [] for name in pages}
            for count in range(rounds + 1):  # the first is not counted
                for name, page in pages.items():
                    page.bring_to_front()
                    page.wait_for_timeout(600)
                    found = dragged(page, *places[name])
                    times[name] += found if count else []
        browser.close()
    median = {name: statistics.median(each) for name, each in times.items()}
    print(f"\na slider dragged, 256 units × {DRAGGED} tokens, {len(times['drag'])} steps")
    for name, each in times.items():
        print(
            f"  {name:14} {median[name]:8.1f} ms; 95 of 100 within {sorted(each)[round(0.95 * (len(each) - 1))]:.1f} ms"
        )
    print(f"  {median['drag'] - median['floor']:+.1f} ms over the floor; wanted: at most 16 ms")


def dragged(page: Page, slider: str, answer: str) -> list[float]:
    """Milliseconds of each step of a slider."""
    values = [f"{0.25 + 0.5 * step / STEPS:.3f}" for step in range(STEPS)]
    return page.evaluate(DRAG, [slider, answer, values])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", choices=["map", "ablation", "drag"], help="one part of it")
    parser.add_argument("--units", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    vocabulary, size = Vocabulary.of("char", SIGNS), arguments.units
    model = LanguageModel(ModelConfig(embedding_size=64, hidden_size=size), len(vocabulary)).eval()
    print(f"torch {torch.__version__}, one thread, LSTM of {size} units")
    if arguments.only in (None, "map"):
        maps(model, vocabulary, arguments.rounds)
    if arguments.only in (None, "ablation"):
        ablations(model, vocabulary, arguments.rounds)
    if arguments.only in (None, "drag"):
        drag(arguments.rounds)


if __name__ == "__main__":
    main()
