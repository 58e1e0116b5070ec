"""How long a key takes to reach the screen, and the first map, beside what a page needs that does nothing else.

    python benchmarks/keystroke.py [--only CASE] [--rounds 4] [--typists 50]

Three pages stand open and are typed into in turn, so that whatever else the machine does falls on all of them alike:

- floor: a bare box and a canvas on which as many cells are painted at each key: no model, no Streamlit;
- page: the app, where the model answers in the page;
- server: the app with ``?by=server``, where the server answers.

A key's time runs from its ``keydown`` until the frame that shows it is rendered, by the browser's clock. "frames": in
which frame after the key it is shown, 1 being the very next. "drawn": how many of ten keys at 90 ms, and of ten at
30 ms, got a picture of their own. "asked": messages to the server while ten keys are typed. Processor time says most on
a shared machine: "busy" is that of the page's main thread for a key, "served" the server's, both until half a second
after the last key. Nothing is asserted: limits stand beside the figures.
"""

import argparse
import os
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import torch
from playwright.sync_api import Browser, CDPSession, Page, TimeoutError, sync_playwright
from serving import ROOT, seconds, server

sys.path.insert(0, str(ROOT))

from lstmviz import checkpoint as checkpoints
from lstmviz.checkpoint import Checkpoint
from lstmviz.config import ModelConfig, TrainConfig
from lstmviz.data.vocabulary import Vocabulary
from lstmviz.model import LanguageModel

CHROMIUM = os.environ.get("CHROMIUM") or next(
    (path for name in ("chromium", "google-chrome") for path in [f"/usr/bin/{name}"] if Path(path).exists()), None
)
KEYS = "remembered"
COMPARED = [f"shakespeare-char-{name}-128" for name in ("lstm", "gru", "rnn")] + [
    "shakespeare-char-lstm-128 as lstm_concat"
]
SPEECH = (
    "ROMEO: What light is this, that breaks so soon the night? It is the east, and she that looks upon us is the sun. "
    "Arise, fair sun, and end the envious moon, who is already sick and pale with grief that thou art more fair. "
)
WORDS = " ".join(SPEECH.lower().split()[:34]) + " "  # with their commas and stops 40 tokens


@dataclass(frozen=True)
class Case:
    """What is typed into, and how much later than on the floor a key may be shown: at the median and in 95 of 100."""

    title: str
    text: str
    units: int
    limits: tuple[int | None, int | None]
    query: dict[str, Any] = field(default_factory=dict)
    path: str = ""  # of the page
    models: int = 1


UNTRAINED = "of 512 units"
CASES = {
    "128": Case("128 × 40 × 4", SPEECH[:30], 128, (8, 16), {"model": "shakespeare-char-lstm-128"}),
    "256": Case("256 × 40 × 4, shipped", SPEECH[:30], 256, (8, 16), {"model": "shakespeare-char-lstm"}),
    "512": Case(f"512 × 200 × 4, {UNTRAINED}", SPEECH[:190], 512, (25, None)),
    "words": Case("10,000 words, 200 × 40 × 4", WORDS, 200, (25, None), {"model": "wikitext2-word-lstm"}),
    "compare": Case("Compare 4 × 128 × 40", SPEECH[:30], 128, (8, 16), {"models": COMPARED}, "compare", 4),
}

# The browser's clock on keys, pictures and messages. A picture shows so many signs of what was typed.
PROBE = """
window.probe = { frame: 0, keys: [], pictures: [], sent: 0 };
const drawn = [], shown = new MessageChannel();
let within = false; // the callbacks of a frame: what they draw it shows; else the next one does
const count = () => {
  within = true;
  shown.port2.postMessage(++probe.frame); // which comes once the frame is rendered
  requestAnimationFrame(count);
};
requestAnimationFrame(count);
shown.port1.onmessage = ({ data }) => {
  within = false;
  while (drawn[0]?.frame <= data) probe.pictures.push({ ...drawn.shift(), at: performance.now() });
};
addEventListener("keydown", () => {
  within = false;
  probe.keys.push({ at: performance.now(), frame: probe.frame });
}, true);
let box; // of the map, which lies in the shadow of a component
probe.box = () => {
  const roots = () => [document, ...[...document.querySelectorAll("*")].flatMap(({ shadowRoot }) => shadowRoot ?? [])];
  return box?.isConnected ? box : (box = roots().map((root) => root.querySelector(".map")).find(Boolean));
};
probe.signs = () => {
  const { data, compared } = probe.box()?.map ?? {};
  return (compared?.words.labels ?? data?.typed ?? []).join("").length;
};
let mark;
Object.defineProperty(window, "__lstmvizPainted", {
  get: () => mark,
  set(value) {
    mark = value;
    if (!value?.tokens) return; // there is nothing to paint
    drawn.push({ frame: probe.frame + (within ? 0 : 1), signs: probe.signs(), draw: value.draw });
  },
});
const Socket = window.WebSocket;
window.WebSocket = class extends Socket {
  constructor(...given) {
    super(...given);
    this.addEventListener("message", () => { within = false; });
  }
  send(data) { probe.sent++; super.send(data); }
};
"""

# As many cells as a map has, each a pixel of an image that the canvas enlarges, on a canvas of the size of the map's.
FLOOR = """<!doctype html><title>floor</title>
<label>sentence <input></label><div class=map><canvas width=%(width)d height=%(height)d></canvas></div>
<script>
const [box, canvas, map] = ["input", "canvas", ".map"].map((name) => document.querySelector(name));
const paint = canvas.getContext("2d", { alpha: false }), small = document.createElement("canvas");
Object.assign(small, { width: %(columns)d, height: %(rows)d });
const image = new ImageData(small.width, small.height), pixels = new Uint32Array(image.data.buffer);
box.addEventListener("input", () => {
  for (let k = 0; k < pixels.length; k++) pixels[k] = 0xff000000 | (k * 2654435761 * box.value.length);
  small.getContext("2d").putImageData(image, 0, 0);
  paint.imageSmoothingEnabled = false;
  paint.drawImage(small, 0, 0, canvas.width, canvas.height);
  map.map = { data: { typed: [...box.value.replaceAll(" ", "")] } };
  window.__lstmvizPainted = { tokens: 1, draw: 0 };
});
</script>"""

EMPTY = '''
import streamlit as st
JS = """export default function ({ parentElement }) {
  if (parentElement.querySelector("canvas")) return;
  const canvas = parentElement.appendChild(document.createElement("canvas"));
  canvas.getContext("2d").fillRect(0, 0, 100, 100);
  window.__lstmvizPainted = { tokens: 1, draw: 0 };
}"""
st.components.v2.component("canvas", js=JS)(key="canvas")
'''


@contextmanager
def browser_page(browser: Browser) -> Iterator[Page]:
    """A fresh page of the size that the limits are stated for, with the clocks in it."""
    page = browser.new_page(viewport={"width": 1440, "height": 900}, bypass_csp=True)
    page.add_init_script(PROBE)
    page.set_default_timeout(60_000)
    try:
        yield page
    finally:
        page.close()


def rest(page: Page, pause: int = 600) -> None:
    """Until nothing was painted for so many milliseconds."""
    page.wait_for_function(f"performance.now() - (probe.pictures.at(-1)?.at ?? Infinity) > {pause}")


@dataclass
class Typist:
    """A page that is typed into, and what came of it."""

    page: Page
    clock: CDPSession
    server: int | None = None
    times: list[float] = field(default_factory=list)
    frames: Counter = field(default_factory=Counter)
    drawn: dict[int, list[int]] = field(default_factory=lambda: {90: [], 30: []})
    asked: list[int] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)
    served: list[float] = field(default_factory=list)

    @classmethod
    def at(cls, page: Page, server: int | None = None) -> "Typist":
        clock = page.context.new_cdp_session(page)
        clock.send("Performance.enable", {"timeDomain": "threadTicks"})
        return cls(page, clock, server)

    def spent(self) -> tuple[float, float]:
        """Processor time so far, in milliseconds: of the page's main thread, and of the server."""
        metrics = {each["name"]: each["value"] for each in self.clock.send("Performance.getMetrics")["metrics"]}
        return 1000 * metrics["TaskDuration"], 1000 * seconds(self.server) if self.server else 0.0

    def type(self, text: str, interval: int, counts: bool = True) -> None:
        """Put a text, let the page rest, type ten keys."""
        page, box = self.page, self.page.get_by_label("sentence")
        page.bring_to_front()
        box.fill(text)
        rest(page)
        box.press("End")
        page.wait_for_timeout(100)
        before = page.evaluate("Object.assign(probe, { keys: [], pictures: [], sent: 0 }), probe.signs()")
        spent, start = self.spent(), time.perf_counter()
        for number, key in enumerate(KEYS):
            time.sleep(max(0.0, start + number * interval / 1000 - time.perf_counter()))
            page.keyboard.press(key)
        with suppress(TimeoutError):  # a key that is never drawn is late without end
            page.wait_for_function(f"probe.pictures.some(({{ signs }}) => signs >= {before + len(KEYS)})", timeout=5000)
        probe = page.evaluate("probe")
        page.wait_for_timeout(500)
        if not counts:
            return
        drawn = {picture["signs"] for picture in probe["pictures"]}
        self.drawn[interval].append(sum(before + k + 1 in drawn for k in range(len(KEYS))))
        if interval < 90:
            return
        busy, served = ((now - then) / len(KEYS) for now, then in zip(self.spent(), spent, strict=True))
        self.busy.append(busy)
        self.served.append(served)
        self.asked.append(probe["sent"])
        for number, key in enumerate(probe["keys"][: len(KEYS)]):
            shown = next((each for each in probe["pictures"] if each["signs"] >= before + number + 1), None)
            self.times.append(shown["at"] - key["at"] if shown else float("inf"))
            self.frames[shown["frame"] - key["frame"] if shown else 0] += 1

    def p95(self) -> float:
        return sorted(self.times)[round(0.95 * (len(self.times) - 1))]


def untrained(units: int) -> bytes:
    """A checkpoint of random weights, of a size that is not shipped."""
    torch.manual_seed(0)
    vocabulary, config = Vocabulary.of("char", sorted(set(SPEECH))), ModelConfig(hidden_size=units)
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


def opened(page: Page, address: str, case: Case, by: str = "") -> None:
    """Open the app as a case wants it, all units shown, and let it rest."""
    text = "sentence" if case.path else "text"
    query = {**case.query, text: case.text, **({} if case.path else {"units": "all"}), **({"by": by} if by else {})}
    page.goto(f"{address}/{case.path}?{urlencode(query, doseq=True)}")
    rest(page)
    if not case.query:
        upload(page, untrained(case.units))
        rest(page)


def measure(browser: Browser, address: str, pid: int, case: Case, rounds: int) -> dict[str, Typist]:
    """Type into the three pages in turn."""
    with browser_page(browser) as floor, browser_page(browser) as ours, browser_page(browser) as served:
        opened(ours, address, case)
        opened(served, address, case, by="server")
        size = ours.evaluate("(({ width, height }) => ({ width, height }))(probe.box().querySelector('canvas'))")
        cells = {"columns": 200 if case.units == 512 else 40, "rows": 4 * case.units * case.models}
        floor.route(
            "http://floor.test/", lambda route: route.fulfill(content_type="text/html", body=FLOOR % {**size, **cells})
        )
        floor.goto("http://floor.test/")
        typists = {
            "floor": Typist.at(floor), "page": Typist.at(ours, pid), "server": Typist.at(served, pid),
        }  # fmt: skip
        for typist in typists.values():
            typist.type(case.text, 90, counts=False)
        for interval in [*rounds * [90], 30, 30]:
            for typist in typists.values():
                typist.type(case.text, interval)
    return typists


def table(case: Case, typists: dict[str, Typist]) -> None:
    """What came of a case."""
    floor = typists["floor"]
    base, base95 = statistics.median(floor.times), floor.p95()
    for who, typist in typists.items():
        p50, p95 = statistics.median(typist.times), typist.p95()
        frames = " ".join(f"{n or 'never'}:{times}" for n, times in sorted(typist.frames.items()))
        drawn = " ".join(f"{sum(of)}/{10 * len(of)}" for of in typist.drawn.values())
        more = "" if typist is floor else f"{p50 - base:+7.1f} {p95 - base95:+7.1f} {p50 / base:6.2f} ×"
        limits = "" if who != "page" else " ".join(f"≤ {limit}" for limit in case.limits if limit)
        print(
            f"{case.title if typist is floor else '':<30} {who:<7} {p50:7.1f} {p95:7.1f} {more:<24} {limits:<10} "
            f"{drawn:<12} {statistics.median(typist.busy):7.1f} {statistics.median(typist.served):7.1f}"
            f" {statistics.mean(typist.asked):6.1f}  {frames}",
            flush=True,
        )


def first_paint(browser: Browser, script: str | Path) -> float:
    """Seconds from a fresh server being ready to the first picture; the browser runs already."""
    with browser_page(browser) as page, server(script) as (address, _):
        start = time.perf_counter()
        page.goto(address, wait_until="commit")
        page.wait_for_function("probe.pictures.length > 0", polling=10)
        return time.perf_counter() - start


def first_map(browser: Browser) -> None:
    """The first map beside the first canvas of an app that has nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder, "empty.py")
        empty.write_text(EMPTY)
        pairs = [(first_paint(browser, empty), first_paint(browser, "app.py")) for _ in range(3)]
    floor, ours = (statistics.median(times) for times in zip(*pairs, strict=True))
    print(
        f"first map {ours:.2f} s after the server is ready, the canvas of an empty page {floor:.2f} s: "
        f"{ours / floor:.2f} × (≤ 1.6)"
    )


def stopped(browser: Browser, address: str, pid: int) -> None:
    """Ten keys while the server's process stands still."""
    for by in ("", "server"):
        with browser_page(browser) as page:
            opened(page, address, CASES["128"], by)
            typist = Typist.at(page)
            typist.type(SPEECH[:30], 90)
            page.get_by_label("sentence").fill(SPEECH[:30])
            rest(page)
            os.kill(pid, signal.SIGSTOP)
            try:
                before = page.evaluate("Object.assign(probe, { pictures: [] }), probe.signs()")
                page.keyboard.press("End")
                page.keyboard.type(KEYS, delay=90)
                page.wait_for_timeout(500)
                drawn = page.evaluate("probe.pictures.map(({ signs }) => signs)")
            finally:
                os.kill(pid, signal.SIGCONT)
            count, where = (
                sum(before + k + 1 in drawn for k in range(len(KEYS))),
                "by way of it" if by else "in the page",
            )
            print(f"server stopped (SIGSTOP), {where}: {count} of {len(KEYS)} keys drawn", flush=True)


TYPE = """([keys, pause]) => {
  const box = document.querySelector(".st-key-text input");
  const { set } = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value"); // past React's own
  probe.pictures = [];
  probe.typed = 0;
  const type = () => {
    set.call(box, box.value + keys[probe.typed++]);
    box.dispatchEvent(new Event("input", { bubbles: true }));
    if (probe.typed < keys.length) setTimeout(type, pause);
  };
  setTimeout(type, pause * Math.random());
}"""


def typists(browser: Browser, count: int) -> None:
    """What the server spends on a key of so many people at 40 words a minute; a server of its own for each way."""
    for by in ("", "server"):
        with server() as (address, pid):
            pages = [browser.new_page(viewport={"width": 1024, "height": 768}, bypass_csp=True) for _ in range(count)]
            for page in pages:
                page.add_init_script(PROBE)
                opened(page, address, CASES["128"], by)
            idle = seconds(pid)
            time.sleep(3)
            idle = seconds(pid) - idle
            before, start = seconds(pid), time.perf_counter()
            for page in pages:
                page.evaluate(TYPE, [KEYS, 300])
            for page in pages:
                page.wait_for_function("probe.typed === 10")
            time.sleep(0.2)
            spent, typing = seconds(pid) - before, time.perf_counter() - start
            time.sleep(3)
            after = seconds(pid) - before - spent
            drawn = sum(len({p["signs"] for p in page.evaluate("probe.pictures")}) for page in pages)
            for page in pages:
                page.close()
        keys, where = count * len(KEYS), "by way of the server" if by else "in the page"
        print(
            f"{count} typists, {where}: {1000 * spent / keys:.1f} ms of the server's processor a key ({spent:.2f} s "
            f"over {typing:.1f} s; idle {idle / 3 * typing:.2f} s), {after:.2f} s once they rest; {drawn} pictures of "
            f"{keys} keys",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description="A key to its picture, beside a page that does nothing else.")
    parser.add_argument("--only", choices=[*CASES, "first", "stopped"], help="one part of it")
    parser.add_argument("--rounds", type=int, default=4, help="of ten keys at 90 ms, into each page")
    parser.add_argument("--typists", type=int, default=0, help="and what the server spends on so many people")
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error("--rounds must be at least 1")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--disable-dev-shm-usage"])
        if arguments.only in (None, "first"):
            first_map(browser)
        with server() as (address, pid):
            if arguments.only in (None, "stopped"):
                stopped(browser, address, pid)
            print(
                f"{'case (ms)':<30} {'':<7} {'p50':>7} {'p95':>7} {'over the floor':<24} {'limits':<10} "
                f"{'drawn 90, 30':<12} {'busy':>7} {'served':>7} {'asked':>6}  frames"
            )
            for name, case in CASES.items():
                if arguments.only in (None, name):
                    table(case, measure(browser, address, pid, case, arguments.rounds))
        if arguments.typists:
            typists(browser, arguments.typists)
        browser.close()


if __name__ == "__main__":
    main()
