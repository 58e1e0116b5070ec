"""A model that reads in the page: what is drawn of it there is what the server sends, field by field."""

import base64
import json
import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, Route

from lstmviz.checkpoint import Checkpoint, load
from lstmviz.data.images import examples
from lstmviz.data.vocabulary import Vocabulary
from lstmviz.explain.notes import notes_on, notes_on_image
from lstmviz.home import SHIPPED
from lstmviz.live import live
from lstmviz.opened import OpenModel, prepare
from lstmviz.reading import LONGEST, last_changed, read, read_image
from lstmviz.tasks import TASKS
from lstmviz.wire import payload, sized
from tests.web.conftest import ADDRESS, open_web

# Of a model what is drawn at each step, a text or an image, compared with the message of the server: where they differ.
COMPARE = """async ({ model, steps }) => {
  const { Opened, Reading } = await import("/reading.js"), { drawn } = await import("/drawn.js");
  const { notesOn } = await import("/notes.js"), { decode } = await import("/wire.js");
  const bytes = (text) => Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
  const opened = new Opened(model.live, new Float32Array(bytes(model.weights).buffer)), reading = new Reading(opened), found = [];
  const differ = (a, b, path, allowed) => {
    if (typeof a === "number" && typeof b === "number") {
      if (!(Math.abs(a - b) <= allowed)) found.push(`${path}: ${a} ${b}`);
    } else if (a === null || b === null || typeof a !== "object" || typeof b !== "object") {
      if (a !== b) found.push(`${path}: ${JSON.stringify(a)} ${JSON.stringify(b)}`);
    } else {
      const names = new Set([...Object.keys(a), ...Object.keys(b)]);
      if (a.length > 3 && a.length !== b.length) found.push(`${path}: ${a.length} ${b.length} long`);
      else for (const name of names) differ(a[name], b[name], `${path}.${name}`, name === "codes" ? 6 : allowed);
    }
  };
  steps.forEach(({ text, pixels, label, view, message, notes }, k) => {
    const whole = pixels ? reading.toImage(Uint8Array.from(pixels), label) : reading.toText(text);
    if (!whole) found.push(`step ${k}: not all was read`);
    const now = drawn(reading, view), then = message && decode(bytes(message), new Map());
    if (then) then.blocks = [];
    differ(then, now, `step ${k}`, 2e-4);
    differ(notes, notesOn(reading), `step ${k} notes`);
  });
  return found.slice(0, 20);
}"""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model writes little when it is opened: what it wrote only decides of scales and orders."""
    monkeypatch.setattr("lstmviz.opened.written_at_most", lambda model: 24)


def given(opened: OpenModel) -> dict[str, Any]:
    header, weights = live(opened)
    return {"live": json.loads(sized(header)[4:]), "weights": base64.b64encode(weights).decode()}


def step(opened: OpenModel, seen, view: dict, **what) -> dict[str, Any]:
    """What is read and drawn, and what the server makes of it."""
    view = {"layers": [0], "roles": ["cell"], "order": "telling", "selection": None, **view}
    view["selection"] = view["selection"] or {"time": 0, "unit": 1, "layer": view["layers"][-1]}
    message = base64.b64encode(payload(opened, seen, **view)).decode() if seen else None
    return {"view": view, "message": message, **what}


def texts(opened: OpenModel, typed: list[str], *views: dict) -> list[dict[str, Any]]:
    """A step a text, in each of the views in turn."""
    steps = []
    for k, text in enumerate(typed):
        seen = read(opened, text)
        view = views[k % len(views)] if views else {}
        steps.append(step(opened, seen, view, text=text, notes=notes_on(opened, text, seen)))
    return steps


def agree(page: Page, opened: OpenModel, steps: list[dict[str, Any]]) -> None:
    assert page.evaluate(COMPARE, {"model": given(opened), "steps": steps}) == []


def shipped(name: str) -> OpenModel:
    return prepare(load(SHIPPED / f"checkpoints/{name}.safetensors"))


@pytest.fixture(scope="module")
def page(browser: Browser):
    page = open_web(browser)
    yield page
    page.close()


ORDERS = [{"order": order} for order in ("telling", "similar", "index", "active")]


def test_a_model_of_characters_is_drawn_as_the_server_draws_it(page: Page) -> None:
    opened = shipped("shakespeare-char-lstm")
    typed = ["", "R", "ROMEO:⏎What", "ROMEO:⏎What light is", "ROMEO:⏎That light is", "", "ё\u0301\u202e\tb", "zq" * 60]
    agree(page, opened, texts(opened, typed, *ORDERS, {"roles": []}))


def test_a_model_of_words_is_drawn_as_the_server_draws_it(page: Page) -> None:
    opened = shipped("wikitext2-word-lstm")
    views = [{"layers": [0, 1]}, {"layers": [1], "roles": ["forget_gate", "hidden"]}, *ORDERS]
    said = "He said that she didn't know what it was, but they were all there."
    agree(page, opened, texts(opened, [said, said[:40], "zxq vfd kkl sss fff ggg rrr www", " ", "a⏎⏎b"], *views))
