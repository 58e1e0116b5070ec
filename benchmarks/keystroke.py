"""How long a keystroke takes to reach the screen, and how long the first map takes, in headless Chromium.

    python benchmarks/keystroke.py [--rounds 5] [--model NAME]

Each case opens the page with some text, then types ten characters, one every 90 ms, several rounds. A key's time runs
from its ``keydown`` event to the first frame *after* the one in which a map with that character was drawn. "drawn"
counts the keys that got a map of their own (a slow server may skip one and draw two characters at once). The last
columns split the median: from the key to the message leaving the browser, until the answer is in the browser (the
server's part), until the frame after the drawing; "draw" is the drawing alone. Nothing is asserted: the targets are
printed beside the figures.
"""

import argparse
import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import torch
from playwright.sync_api import Page, TimeoutError, sync_playwright
from serving import server

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from lstmviz import checkpoint as checkpoints  # noqa: E402
from lstmviz.checkpoint import Checkpoint  # noqa: E402
from lstmviz.config import ModelConfig, TrainConfig  # noqa: E402
from lstmviz.data.vocabulary import Vocabulary  # noqa: E402
from lstmviz.model import LanguageModel  # noqa: E402

CHROMIUM = os.environ.get("CHROMIUM") or next(
    (path for name in ("chromium", "google-chrome") for path in [f"/usr/bin/{name}"] if Path(path).exists()), None
)
KEYS = "and so forth"[:10]
COMPARED = [f"shakespeare-char-{name}-128" for name in ("lstm", "gru", "rnn")] + [
    "shakespeare-char-lstm-128 as lstm_concat"
]
PARTS = ("before", "server", "after", "draw")
NEVER = {"at": math.inf, "tokens": 0, "draw": math.inf}
INTERVAL = 0.090  # seconds between two keys
SPEECH = (
    "ROMEO: What light is this, that breaks so soon the night? It is the east, and she that looks upon us is the sun. "
    "Arise, fair sun, and end the envious moon, who is already sick and pale with grief that thou art more fair. "
)

# Everything is timed by the browser's own clock: keys, messages both ways, and the frame after each painted map.
PROBE = """
window.probe = {keys: [], sent: [], received: [], painted: []};
addEventListener("keydown", () => probe.keys.push(performance.now()), true);
let mark;
Object.defineProperty(window, "__lstmvizPainted", {
  get: () => mark,
  set: (value) => {
    mark = value;
    requestAnimationFrame(() => probe.painted.push({at: performance.now(), tokens: value.tokens, draw: value.draw}));
  },
});
const Socket = window.WebSocket;
window.WebSocket = class extends Socket {
  constructor(...args) {
    super(...args);
    this.addEventListener("message", () => probe.received.push(performance.now()));
  }
  send(data) { probe.sent.push(performance.now()); super.send(data); }
};
"""


@contextmanager
def browser_page(browser) -> Iterator[Page]:
    """A fresh page of the size that the targets are stated for, with the clocks in it."""
    page = browser.new_page(viewport={"width": 1440, "height": 900}, bypass_csp=True)
    page.add_init_script(PROBE)
    page.set_default_timeout(60_000)
    try:
        yield page
    finally:
        page.close()


def wait_for_tokens(page: Page, count: int) -> None:
    """Until a map of so many tokens is on the screen and the page is at rest."""
    page.wait_for_function("n => window.__lstmvizPainted?.tokens === n", arg=count)
    page.wait_for_timeout(700)


def first_paint(browser) -> float:
    """Seconds from a fresh server being ready to the first painted map; the browser runs already."""
    with browser_page(browser) as page, server() as (address, _):
        start = time.perf_counter()
        page.goto(address, wait_until="commit")
        page.wait_for_function("window.probe.painted.length > 0", polling=10)
        return time.perf_counter() - start


def type_ten(page: Page, text: str) -> list[dict[str, float]]:
    """Put a text, let the page rest, type ten keys; for each drawn key its times in milliseconds."""
    box = page.get_by_label("sentence")
    box.fill(text)
    wait_for_tokens(page, len(text))
    box.press("End")
    page.wait_for_timeout(200)
    page.evaluate("for (const list of Object.values(probe)) list.length = 0")
    start = time.perf_counter()
    for number, key in enumerate(KEYS):
        time.sleep(max(0.0, start + number * INTERVAL - time.perf_counter()))
        page.keyboard.press("Space" if key == " " else key)
    try:
        last = len(text) + len(KEYS)
        page.wait_for_function("n => probe.painted.some(p => p.tokens >= n)", arg=last, timeout=10_000)
    except TimeoutError:  # a key whose map never came counts as endless
        print(f"a key was lost; the box holds {box.input_value()!r}", file=sys.stderr)
    probe = page.evaluate("probe")
    times = []
    for number, pressed in enumerate(probe["keys"]):
        wanted = len(text) + number + 1
        frame = next((p for p in probe["painted"] if p["tokens"] >= wanted), NEVER)
        sent = min((t for t in probe["sent"] if t >= pressed), default=pressed)
        answer = max((t for t in probe["received"] if t < frame["at"]), default=sent)
        times.append(
            {
                "all": frame["at"] - pressed,
                "own": any(p["tokens"] == wanted for p in probe["painted"]),
                "before": sent - pressed,
                "server": answer - sent,
                "after": frame["at"] - answer,
                "draw": frame["draw"] or 0.0,
            }
        )
    return times


def paste(page: Page, characters: int = 100_000) -> float:
    """Seconds from pasting a long text to the map of its first 2,000 tokens."""
    box = page.get_by_label("sentence")
    times = []
    for shift in range(3):
        box.fill((SPEECH * 600)[shift : shift + characters])
        page.wait_for_function("probe.painted.some(p => p.tokens === 2000)", polling=10)
        times.append(page.evaluate("probe.painted.find(p => p.tokens === 2000).at - probe.sent[0]") / 1000)
        box.fill("a")
        wait_for_tokens(page, 1)
        page.evaluate("for (const list of Object.values(probe)) list.length = 0")
    return statistics.median(times)


def untrained(units: int) -> bytes:
    """A checkpoint of random weights, of a size that is not shipped."""
    torch.manual_seed(0)
    vocabulary = Vocabulary.of("char", sorted(set(SPEECH)))
    config = ModelConfig(hidden_size=units)
    return checkpoints.dumps(
        Checkpoint(
            model=config,
            train=TrainConfig(corpus="none"),
            vocabulary=vocabulary,
            weights=checkpoints.weights_of(LanguageModel(config, len(vocabulary))),
            step=0,
            history={"step": [1], "train_nll": [4.0], "valid_nll": [4.0]},
            results={"valid_nll": 4.0},
            corpus_name="nothing",
            corpus_sha256="",
            licence="",
            command="",
        )
    )


def upload(page: Page, data: bytes) -> None:
    """Open a checkpoint through the page, as a person would."""
    page.get_by_role("button", name="open", exact=True).click()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.safetensors")
        path.write_bytes(data)
        page.locator("input[type=file]").set_input_files(path)
        page.wait_for_function("document.querySelector('.st-key-model input').value.startsWith('uploaded nothing')")
    page.keyboard.press("Escape")
    page.wait_for_timeout(1500)


def row(case: str, times: list[dict[str, float]], target: str) -> str:
    """One line of the table."""
    every = sorted(t["all"] for t in times)
    p95 = every[min(len(every) - 1, round(0.95 * (len(every) - 1)))]
    parts = " ".join(
        f"{statistics.median(t[name] for t in times):7.1f}" for name in ("before", "server", "after", "draw")
    )
    drawn = f"{sum(t['own'] for t in times)}/{len(times)}"
    return f"{case:<34} {statistics.median(every):7.1f} {p95:7.1f} {drawn:>8}  {target:<22} {parts}"


def main() -> None:
    parser = argparse.ArgumentParser(description="Keystroke to painted map, in milliseconds.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--model", default="shakespeare-char-lstm-128", help="a shipped character model of 128 units")
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error("--rounds must be at least 1")
    shipped = sorted(path.stem for path in (ROOT / "checkpoints").glob("*.safetensors"))
    if arguments.model not in shipped:
        parser.error(f"there is no model {arguments.model!r}; take one of {', '.join(shipped)}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        paints = [first_paint(browser) for _ in range(3)]
        print(f"first painted map after the server is ready: {statistics.median(paints):.2f} s (target 3 s), "
              f"each {', '.join(f'{p:.2f}' for p in paints)}")  # fmt: skip
        header = " ".join(f"{name:>7}" for name in PARTS)
        print(f"{'case (ms)':<34} {'p50':>7} {'p95':>7} {'drawn':>8}  {'target':<22} {header}")
        with server() as (address, _):
            with browser_page(browser) as page:
                page.goto(f"{address}/?{urlencode({'model': arguments.model, 'text': SPEECH[:35]})}")
                wait_for_tokens(page, 35)
                type_ten(page, SPEECH[:35])  # not counted
                times = [t for _ in range(arguments.rounds) for t in type_ten(page, SPEECH[:35])]
                print(row("128 units × 40 tokens × 4 panels", times, "p50 ≤ 80, p95 ≤ 150"))
                page.evaluate("for (const list of Object.values(probe)) list.length = 0")
                print(f"100,000 characters pasted, the first 2,000 drawn after {paste(page):.2f} s (target 1 s)")
            with browser_page(browser) as page:
                page.goto(address)
                page.wait_for_function("window.probe.painted.length > 0")
                upload(page, untrained(512))
                type_ten(page, SPEECH[:195])
                times = [t for _ in range(arguments.rounds) for t in type_ten(page, SPEECH[:195])]
                print(row("512 units × 200 tokens × 4 panels", times, "p50 ≤ 100"))
            with browser_page(browser) as page:
                page.goto(f"{address}/compare?{urlencode({'models': COMPARED, 'sentence': SPEECH[:35]}, doseq=True)}")
                wait_for_tokens(page, 35)
                type_ten(page, SPEECH[:35])
                times = [t for _ in range(arguments.rounds) for t in type_ten(page, SPEECH[:35])]
                print(row("Compare: 4 models × 128 × 40", times, "p50 ≤ 120"))
        browser.close()


if __name__ == "__main__":
    main()
