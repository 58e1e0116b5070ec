"""Keys that come faster than a busy machine can draw: one map is left, in its place, with all that was typed."""

import os
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

from lstmviz.config import ModelConfig, TrainConfig
from lstmviz.home import Home
from lstmviz.training import trainings
from lstmviz.training.folder import Run, RunConfig

Open = Callable[..., Page]
DELAYS = (60, 12)  # ms from key to key
SLOWED = 6  # times; the browser's own brake, since a fast machine draws between the messages even beside busy processes
BRACKETS = "((x)x(xx)x)"
CASES = {  # page, models, what is typed, and the columns that it makes
    "characters": ("", {"model": "shakespeare-char-lstm"}, "To be, or not", 13),
    "compare": ("compare", {"models": [f"brackets/{cell}" for cell in ("lstm", "gru", "rnn", "janet")]}, BRACKETS,
                1 + len(BRACKETS)),
}  # fmt: skip


@pytest.fixture
def training(home: Home) -> Run:
    """A training that outlasts the test, evaluated often; it has some moments to show already."""
    train = TrainConfig(corpus="brackets", steps=10**6, eval_every=50)
    run = trainings.begin(home, RunConfig(train, ModelConfig(hidden_size=8)), "typing")
    for _ in range(480):
        if len(run.probes()) > 9 and (run.folder / "best.safetensors").exists():
            break
        time.sleep(0.25)
    return run


@contextmanager
def slowed(page: Page) -> Iterator[None]:
    """The browser gets only a share of the processor meanwhile, and so does the server: two processes want it all the
    time, or other tests do, beside which this one runs.
    """
    brake = page.context.new_cdp_session(page)
    brake.send("Emulation.setCPUThrottlingRate", {"rate": SLOWED})
    count = 0 if "PYTEST_XDIST_WORKER" in os.environ else 2
    processes = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()
    brake.send("Emulation.setCPUThrottlingRate", {"rate": 1})


def wait_for_tokens(page: Page, count: int) -> None:
    page.wait_for_function("n => window.__lstmvizPainted?.tokens === n", arg=count, timeout=60_000)


def left(page: Page) -> dict[str, int]:
    """How many there are of what there should be one."""
    return {name: page.locator(f".{name}").count() for name in ("map", "moments", "readout")}


def at_rest(page: Page) -> dict[str, float]:
    """What is left on the page once the server has answered, and where the map begins."""
    page.wait_for_timeout(600)  # the browser's report of what it holds follows the last key
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning", timeout=60_000)
    expect(page.locator("[data-stale=true]")).to_have_count(0, timeout=60_000)
    return left(page) | {"top": page.locator(".map").first.bounding_box()["y"]}


def type_at(delays: Iterable[int], page: Page, text: str, columns: int) -> None:
    box = page.get_by_label("sentence")
    wait_for_tokens(page, columns)
    page.locator(".compared, .readout h4").first.wait_for()
    before = at_rest(page)
    assert before["map"] == 1
    for delay in delays:
        box.fill("")
        page.get_by_text("There is nothing to read yet").wait_for(timeout=60_000)
        with slowed(page):
            page.keyboard.type(text, delay=delay)
            wait_for_tokens(page, columns)
        assert at_rest(page) == before, f"at {delay} ms a key"
        assert box.input_value() == text


@pytest.mark.parametrize("case", CASES)
def test_keys_leave_one_map(case: str, page: Open) -> None:
    path, models, text, columns = CASES[case]
    name = "sentence" if path else "text"
    type_at(DELAYS, page(f"{path}?" + urlencode({**models, name: text}, doseq=True)), text, columns)


def test_a_training_leaves_one_map(page: Open, training: Run) -> None:
    opened = page("train")
    slider = opened.locator(".moments input")
    slider.wait_for(timeout=60_000)
    slider.focus()
    with slowed(opened):
        for _ in range(12):
            opened.keyboard.press("ArrowLeft", delay=DELAYS[-1])
        opened.wait_for_timeout(1500)  # a few looks at the training
    opened.wait_for_timeout(1000)
    assert left(opened) == {"map": 1, "moments": 1, "readout": 0}
    training.ask("stop")  # nobody looks at it any more
    opened.goto(opened.url.replace("train", "?" + urlencode({"model": "brackets", "text": BRACKETS})))
    type_at(DELAYS[-1:], opened, BRACKETS, 1 + len(BRACKETS))


def test_a_box_that_comes_late_has_its_sentence(page: Open, app_server: str) -> None:
    opened, asked = page("_stcore/health"), []
    opened.route("**/TextInput.*.js", lambda route: asked.append(route))
    opened.goto(app_server)
    opened.wait_for_function("window.__lstmvizPainted")
    opened.wait_for_timeout(1000)  # in which the parts of a page tell the server what there is to tell
    box = opened.get_by_label("sentence")
    assert box.count() == 0
    for route in asked:
        route.continue_()
    box.wait_for(timeout=60_000)
    assert at_rest(opened)["map"] == 1
    assert box.input_value()
