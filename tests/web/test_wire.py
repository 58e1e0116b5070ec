"""What the browser is sent has one description, the dataclasses of ``wire.py``: it reads all that, and nothing else."""

from collections.abc import Callable, Iterator
from dataclasses import is_dataclass, replace
from functools import cache
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
from playwright.sync_api import Browser

from lstmviz.baselines import Counts, NGram
from lstmviz.checkpoint import Checkpoint
from lstmviz.data.expressions import Expression
from lstmviz.data.images import examples
from lstmviz.explain.alignment import Compared, Entrant, Place, shared_axis
from lstmviz.explain.comparison import View, draw, live_comparison
from lstmviz.explain.differences import differences
from lstmviz.explain.kin import kinship
from lstmviz.live import Adaptive, Affine, Live
from lstmviz.opened import OpenModel, prepare
from lstmviz.reading import Reading, read, read_image, read_tree
from lstmviz.ui.in_page import as_sent
from lstmviz.ui.sources import parse
from lstmviz.wire import (
    ComparisonHeader,
    Frame,
    Here,
    LiveComparison,
    MapHeader,
    MapHere,
    framed,
    payload,
    side_by_side,
)
from tests.web.conftest import open_web

# Shows a message, points all over it, and lets the readout speak: what is read of its headers, and what they lack.
# What is copied (`{...panel}`) is not read by that; the readout's copy of a panel is watched as well.
READ = """async ([module, bytes, colour]) => {
  const read = new Set(), missing = new Set();
  // Whose keys are tokens, units, rows, roles.
  const free = ["address", "typed", "annotation", "absent", "differences", "rows"];
  // May be there or not.
  const ours = ["models", "difference", "subtracted", "write", "written", "head", "toJSON"];
  ours.push("time", "unit", "layer", "model"); // of what is selected
  const watched = (value, path) => {
    if (Array.isArray(value)) return value.map((one) => watched(one, path));
    if (value === null || typeof value !== "object" || ArrayBuffer.isView(value)) return value;
    const inside = Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, watched(inner, name)]));
    if (free.includes(path)) return inside;
    let copied = null;
    return new Proxy(inside, {
      getOwnPropertyDescriptor(target, name) { copied = name; return Reflect.getOwnPropertyDescriptor(target, name); },
      get(target, name) {
        if (name !== copied) read.add(`${path}.${String(name)}`);
        copied = null;
        if (typeof name === "string" && !(name in target) && !ours.includes(name)) missing.add(`${path}.${name}`);
        return target[name];
      },
    });
  };
  const { parse } = JSON;
  JSON.parse = (text) => {
    const header = parse(text);
    return watched(header, header.cell && header.weights ? "live" : "header");
  };
  let seen;
  Object.defineProperty(window, "__lstmviz", {
    get: () => seen,
    set(value) { seen = value && { ...value, roles: value.roles.map((role) => watched(role, "panels")) }; },
  });
  document.body.style.setProperty("--st-background-color", colour);
  const mount = async (name, data) => {
    const place = document.body.appendChild(document.createElement("div"));
    (await import(`/${name}`)).default({ parentElement: place, data, setStateValue() {} });
    return place;
  };
  const { map } = (await mount(module, new Uint8Array(bytes))).querySelector(".map"), { view, canvas } = map;
  for (let x = 2; x < view.width; x += 61)
    for (let y = 2; y < view.height; y += 31) map.hover({ offsetX: x, offsetY: y, clientX: x, clientY: y });
  for (const key of ["ArrowLeft", "ArrowDown", ">", "0"]) map.box.dispatchEvent(new KeyboardEvent("keydown", { key }));
  map.box.querySelector('button[aria-label^="save a picture"]').click();
  for (const button of map.box.querySelectorAll("button"))
    if (["pin", "equations"].includes(button.textContent)) button.click();
  const readout = await mount("readout.js");
  return {
    read: [...read], missing: [...missing], said: readout.textContent,
    columns: view.to - view.from, painted: canvas.width * canvas.height,
  };
}"""

TEXT, TREE = "abcab", "max(first(3, 9), min(7, 2), 5)"


def a_map(opened: OpenModel, seen: Reading | None, n: int = 0) -> tuple[str, bytes]:
    """The module that shows a reading on all tracks, and the message that it shows; an n-gram is laid over the loss."""
    assert seen is not None
    beside = NGram(Counts.of(2 * seen.ids, n, len(opened.checkpoint.vocabulary))) if n else None
    tracks = [*range(len(opened.tracks))]
    view = {"layers": tracks, "roles": ["update_gate", "cell"], "order": "index", "beside": beside}
    message = payload(opened, seen, selection={"time": 4, "unit": 0, "layer": tracks[-1]}, **view)
    return "map.js", framed(Frame([("note", "a")]), message)


def a_map_here(opened: OpenModel, seen: Reading | None) -> tuple[str, bytes]:
    """The same where the page makes it: of the text, or of the image that was read."""
    assert seen is not None
    digest, image = opened.checkpoint.digest, seen.image
    text = TEXT if image is None else image.tobytes().hex()
    about = {"models": [digest], "sent": [digest], "box": "" if opened.side else "text", "text": text, "put": 0}
    view = {"layers": [*range(len(opened.tracks))], "roles": ["cell"], "order": "telling", "written": (TEXT[:2], 1)}
    unread = {"time": -1, "unit": 0, "layer": 0}
    here = MapHere(**about, **view, label=None, selection=unread, write=None, checked=False)  # pyright: ignore[reportArgumentType]
    return "map.js", framed(Frame(here=here), as_sent(opened))


def side(text: str, charts: list[str], difference: bool, *read: tuple[OpenModel, Any]) -> tuple[str, bytes]:
    """The same of several models side by side; a 2-gram is laid over the loss of the first where it reads a text."""
    models = [opened for opened, _ in read]
    compared = [Compared(f"model {k}", f"{k}", *each) for k, each in enumerate(read)]
    if text == TEXT:
        counts = Counts.of(9 * compared[0].reading.ids, 2, len(models[0].checkpoint.vocabulary))
        compared[0] = replace(compared[0], beside=NGram(counts))
    facts = differences(models, [1000.0] * len(models))
    view = View(Place(), "index", ROWS, charts, "keeps", difference)
    said = live_comparison(compared, facts, kinship(models), 0, view)
    drawn = draw(said, view, compared, shared_axis(text, compared), {"time": 2, "unit": 0, "model": 0})
    return "compare.js", side_by_side(*drawn, Frame())


def side_here(*read: tuple[OpenModel, Any]) -> tuple[str, bytes]:
    """The same where the page makes it."""
    models = [opened for opened, _ in read]
    entrants = [Entrant(f"model {k}", f"{k}", each) for k, each in enumerate(models)]
    view = View(Place(), "index", ROWS, ["loss", "mean"], "keeps", False)
    said = live_comparison(entrants, differences(models, [1000.0] * len(models)), kinship(models), 0, view)
    digests, unread = [each.checkpoint.digest for each in models], {"time": -1, "unit": 0, "model": 0}
    about = {"models": digests, "sent": digests, "box": "sentence", "text": TEXT, "put": 0, "label": None}
    here = Here(**about, selection=unread, checked=False)  # pyright: ignore[reportArgumentType]
    return "compare.js", side_by_side(said, [], Frame(here=here), b"".join(map(as_sent, models)))


class Readings:
    """Models, and what they read; each is opened once."""

    def __init__(self, make_checkpoint: Callable[..., Checkpoint], classifier: Callable[..., Checkpoint]) -> None:
        self.make_checkpoint, self.classifier = make_checkpoint, classifier

    def text(self, cell: str, **options) -> tuple[OpenModel, Reading | None]:
        opened = prepare(self.make_checkpoint(cell=cell, **{"hidden_size": 6, **options}))
        return opened, read(opened, TEXT)

    def image(self, cell: str) -> tuple[OpenModel, Reading]:
        opened = prepare(self.classifier(cell=cell))
        return opened, read_image(opened, np.asarray(examples(8)[0, :, :-1]), 6)

    def shipped(self, name: str, text: str) -> tuple[OpenModel, Reading | None]:
        opened = parse(name).open()
        return opened, read_tree(opened, Expression.parse(text)) if opened.reads_trees else read(opened, text)


ROWS, CHARTS = ["keeps", "shows", "memory"], ["loss", "memory gains", "mean"]
MESSAGES: dict[str, Callable[[Readings], tuple[str, bytes]]] = {
    "lstm": lambda of: a_map(*of.text("lstm", num_layers=2)),
    "gru": lambda of: a_map(*of.text("gru", num_layers=2)),
    "slstm": lambda of: a_map(*of.text("slstm", num_layers=2)),
    "a 3-gram": lambda of: a_map(*of.text("lstm", num_layers=2), 3),
    "a 2-gram": lambda of: a_map(*of.text("lstmp", num_layers=2), 2),
    "an image": lambda of: a_map(*of.image("lstm")),
    "a tree": lambda of: a_map(*of.shipped("expressions-nary", TREE)),
    "a pair": lambda of: a_map(*of.shipped("reverse-lstm", "31415")),
    "both directions": lambda of: a_map(*of.shipped("between-lstm-bidirectional", TEXT)),
    "begun by a label": lambda of: a_map(*of.shipped("sheep-lstm", "the sheep that sleep")),
    "in the page": lambda of: a_map_here(*of.text("lstm", num_layers=2, hidden_size=40)),
    "an image in the page": lambda of: a_map_here(*of.image("lstm")),
    "labels in the page": lambda of: a_map_here(*of.shipped("recall-lstm", TEXT)),
    "compared": lambda of: side(TEXT, CHARTS, False, *map(of.text, ("lstm", "gru", "rnn"))),
    "differences": lambda of: side(TEXT, CHARTS, True, *map(of.text, ("lstm", "lstmp", "gru"))),
    "compared in the page": lambda of: side_here(*map(of.text, ("lstm", "gru"))),
    "images": lambda of: side("", ["probability", "loss"], False, *map(of.image, ("lstm", "rnn"))),
    "trees": lambda of: side(
        TREE, ["probability"], False, *(of.shipped(f"expressions-{kind}", TREE) for kind in ("nary", "child-sum"))
    ),
}


@pytest.fixture(scope="module")
def found(browser: Browser, make_checkpoint, classifier) -> Callable[[str], dict[str, Any]]:
    """What the browser did with the message of a name; each is shown once."""
    readings = Readings(make_checkpoint, classifier)

    @cache
    def show(name: str) -> dict[str, Any]:
        page, problems = open_web(browser), []
        page.on("pageerror", lambda error: problems.append(str(error)))
        module, message = MESSAGES[name](readings)
        seen = page.evaluate(READ, [module, list(message), "#000" if name == "differences" else "#fff"])
        page.close()
        return {**seen, "problems": problems}

    return show


@pytest.mark.parametrize("name", MESSAGES)
def test_what_the_browser_reads_is_in_the_message(name: str, found) -> None:
    seen = found(name)
    assert seen["missing"] == [] and seen["problems"] == []
    assert seen["columns"] > 0 and seen["painted"] > 0  # of a text that is read in slices there may be few yet
    assert ("-gram gave" in seen["said"]) == ("-gram" in name)


def said_of(kind: type, path: str = "header") -> Iterator[str]:
    """The fields of a dataclass, and of those that are in it, as the browser names them."""
    for name, hint in get_type_hints(kind).items():
        yield f"{path}.{name}"
        for inner in [hint, *get_args(hint)]:
            if is_dataclass(inner):
                yield from said_of(inner, name)


def test_the_browser_reads_all_that_a_message_may_say(found) -> None:
    read = {name for message in MESSAGES for name in found(message)["read"]}
    said = {name for header in (Frame, MapHeader, ComparisonHeader, LiveComparison) for name in said_of(header)}
    said |= {*said_of(MapHere, "here"), *said_of(Live, "live")}
    # Read by a page to keep, in a sentence on what cannot be run, where parameters are counted, for which see
    # test_cell_drawing.py, and of 10,000 words, for which see test_engine.py.
    elsewhere = {"live.digest", "live.telling_unit", "live.count", "live.stored", "cell.name"}
    elsewhere |= {*said_of(Adaptive, "decoder")}
    assert said - (elsewhere - {*said_of(Affine, "decoder")}) - read == set()
