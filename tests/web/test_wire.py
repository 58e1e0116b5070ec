"""What the browser is sent has one description, the dataclasses of ``wire.py``: it reads all that, and nothing else."""

import struct
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import is_dataclass, replace
from functools import cache
from typing import Any, get_args, get_type_hints

import pytest
from playwright.sync_api import Browser

from lstmviz.baselines import Counts, NGram
from lstmviz.checkpoint import Checkpoint
from lstmviz.data.expressions import Expression
from lstmviz.data.images import examples
from lstmviz.data.vocabulary import Vocabulary
from lstmviz.explain.alignment import Compared, Place, shared_axis
from lstmviz.explain.comparison import Comparison, View, draw
from lstmviz.explain.differences import differences
from lstmviz.explain.kin import kinship
from lstmviz.live import Live, live
from lstmviz.opened import OpenModel, prepare
from lstmviz.page import live_page
from lstmviz.reading import Reading, read, read_image, read_tree
from lstmviz.ui.sources import parse
from lstmviz.wire import ComparisonHeader, Frame, Here, MapHeader, framed, payload, side_by_side, sized
from tests.web.conftest import open_web

# Notes which fields of what is parsed are read, and which are read that it lacks. To be copied (`{...panel}`) is not to
# be read; the readout has a copy of each panel, which is watched as well.
WATCH = """
window.watching = { read: [], lacks: [] };
{
  // Whose keys are tokens, units, rows, roles, symbols.
  const free = ["address", "typed", "annotation", "absent", "differences", "equations", "symbols", "scales", "notes"];
  const ours = ["models", "difference", "subtracted", "toJSON", "then", "head", "time", "unit", "layer"]; // or not
  const watched = (value, path) => {
    if (Array.isArray(value)) return value.map((one) => watched(one, path));
    if (value === null || typeof value !== "object" || ArrayBuffer.isView(value)) return value;
    const inside = Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, watched(inner, name)]));
    if (free.includes(path)) return inside;
    let copied = null;
    return new Proxy(inside, {
      getOwnPropertyDescriptor(target, name) { copied = name; return Reflect.getOwnPropertyDescriptor(target, name); },
      get(target, name) {
        if (name !== copied && name in target) watching.read.push(`${path}.${String(name)}`);
        copied = null;
        if (typeof name === "string" && !(name in target) && !ours.includes(name))
          watching.lacks.push(`${path}.${name}`);
        return target[name];
      },
    });
  };
  const { parse } = JSON;
  JSON.parse = (text) => watched(parse(text), "header");
  let seen;
  Object.defineProperty(window, "__lstmviz", {
    get: () => seen,
    set(value) { seen = value && { ...value, roles: value.roles.map((role) => watched(role, "panels")) }; },
  });
}
"""

# Shows messages, one after another, points all over what is drawn, and lets the readout speak.
SHOW = """async ([module, messages, colour]) => {
  document.body.style.setProperty("--st-background-color", colour);
  const box = document.body.appendChild(document.createElement("div")); // of the sentence, for who writes on in it
  box.className = "st-key-text";
  box.append(document.createElement("input"));
  const place = () => document.body.appendChild(document.createElement("div"));
  const mount = async (name, parentElement, data) =>
    (await import(`/${name}`)).default({ parentElement, data, setStateValue() {} });
  const shown = place(), told = place();
  for (const message of messages) {
    await mount(module, shown, Uint8Array.from(atob(message), (sign) => sign.charCodeAt(0)));
    await new Promise(requestAnimationFrame);
  }
  const { map } = shown.querySelector(".map"), { view, canvas } = map;
  for (let x = 2; x < view.width; x += 61)
    for (let y = 2; y < view.height; y += 31) map.hover({ offsetX: x, offsetY: y, clientX: x, clientY: y });
  for (const key of ["ArrowLeft", "ArrowDown", ">", "0"]) map.box.dispatchEvent(new KeyboardEvent("keydown", { key }));
  map.box.querySelector('button[aria-label^="save a picture"]').click();
  for (const button of map.box.querySelectorAll("button"))
    if (["pin", "equations"].includes(button.textContent)) button.click();
  await mount("readout.js", told);
  return { said: told.textContent, columns: view.to - view.from, painted: canvas.width * canvas.height };
}"""

TEXT, TREE = "abcab", "max(first(3, 9), min(7, 2), 5)"
TEXT_BOX = "text"  # its key
Shown = tuple[str, list[bytes]]  # a module, and the messages that it shows


def a_map(opened: OpenModel, seen: Reading | None, n: int = 0) -> Shown:
    """The module that shows a reading on all tracks, and the message that it shows; an n-gram is laid over the loss."""
    assert seen is not None
    beside = NGram(Counts.of(2 * seen.ids, n, len(opened.checkpoint.vocabulary))) if n else None
    tracks = [*range(len(opened.tracks))]
    view = {"layers": tracks, "roles": ["update_gate", "cell"], "order": "index", "beside": beside}
    message = payload(opened, seen, selection={"time": 4, "unit": 0, "layer": tracks[-1]}, **view)
    return "map.js", [framed(Frame([("note", "a")]), message)]


def in_page(opened: OpenModel, box: str = TEXT_BOX, **given: Any) -> Shown:
    """The module that reads a text or an image itself and shows it, and two messages: the model, then to write on."""
    view = {"layers": [*range(len(opened.tracks))], "roles": ["cell"], "order": "active"}
    view |= {"selection": {"time": 1, "unit": 0, "layer": 0}}
    reading = read(opened, given["text"]) if box else read_image(opened, examples(8)[0, :, :-1].numpy())
    assert reading is not None
    header, weights = live(opened)
    model = sized(header) + struct.pack("<I", len(weights)) + weights
    who = {"model": opened.checkpoint.digest, "box": box, **given, **view}
    here = Here(**who, sent=True, checked=True, written=None, write=None)
    write = {"number": 1, "count": 3, "temperature": 0.8, "top_k": 2, "seed": 0} if box else None
    then = replace(here, sent=False, checked=False, written=(given["text"], 2), write=write)
    frames = [framed(Frame(here=here), model + payload(opened, reading, **view)), framed(Frame(here=then), b"")]
    return "map.js", frames


def side(text: str, charts: list[str], difference: bool, *read: tuple[OpenModel, Any]) -> Shown:
    """The same of several models side by side; a 2-gram is laid over the loss of the first where it reads a text."""
    models = [opened for opened, _ in read]
    compared = [Compared(f"model {k}", f"{k}", *each) for k, each in enumerate(read)]
    if text == TEXT:
        counts = Counts.of(9 * compared[0].reading.ids, 2, len(models[0].checkpoint.vocabulary))
        compared[0] = replace(compared[0], beside=NGram(counts))
    facts = differences(models, [1000.0] * len(models))
    comparison = Comparison(compared, shared_axis(text, compared), facts, kinship(models), reference=0)
    view = View(Place(), "index", ROWS, charts, "keeps", difference)
    return "compare.js", [side_by_side(*draw(comparison, view, {"time": 2, "unit": 0, "model": 0}), Frame())]


class Readings:
    """Models, and what they read; each is opened once."""

    def __init__(self, make_checkpoint: Callable[..., Checkpoint], classifier: Callable[..., Checkpoint]) -> None:
        self.make_checkpoint, self.classifier = make_checkpoint, classifier

    def text(self, cell: str, **options) -> tuple[OpenModel, Reading | None]:
        opened = prepare(self.make_checkpoint(cell=cell, hidden_size=6, **options))
        return opened, read(opened, TEXT)

    def image(self, cell: str) -> tuple[OpenModel, Reading]:
        opened = prepare(self.classifier(cell=cell))
        return opened, read_image(opened, examples(8)[0, :, :-1], 6)

    def adaptive(self) -> OpenModel:
        many = Vocabulary.of("char", [*"abc", *map(chr, range(0x4E00, 0x4E00 + 10_000))])
        return prepare(self.make_checkpoint(vocabulary=many, hidden_size=8, adaptive_softmax=True))

    def shipped(self, name: str, text: str) -> tuple[OpenModel, Reading | None]:
        opened = parse(name).open()
        return opened, read_tree(opened, Expression.parse(text)) if opened.reads_trees else read(opened, text)


ROWS, CHARTS = ["keeps", "shows", "memory"], ["loss", "memory gains", "mean"]
MESSAGES: dict[str, Callable[[Readings], Shown]] = {
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
    "in the page": lambda of: in_page(of.text("gru", num_layers=2)[0], text=TEXT, label=None),
    "a grammar in the page": lambda of: in_page(of.shipped("brackets", "(")[0], text="(x", label=None),
    "a rarer word in the page": lambda of: in_page(of.adaptive(), text=TEXT, label=None),
    "labels in the page": lambda of: in_page(of.shipped("recall-lstm", "a")[0], text="abab", label=None),
    "an image in the page": lambda of: in_page(of.image("lstm")[0], "", text="0f" * 64, label=3),
    "compared": lambda of: side(TEXT, CHARTS, False, *map(of.text, ("lstm", "gru", "rnn"))),
    "differences": lambda of: side(TEXT, CHARTS, True, *map(of.text, ("lstm", "lstmp", "gru"))),
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
        page.evaluate(WATCH)
        module, messages = MESSAGES[name](readings)
        colour = "#000" if name == "differences" else "#fff"
        shown = page.evaluate(SHOW, [module, [b64encode(each).decode() for each in messages], colour])
        shown |= {**page.evaluate("watching"), "problems": problems}
        page.close()
        return shown

    return show


@pytest.mark.parametrize("name", MESSAGES)
def test_what_the_browser_reads_is_in_the_message(name: str, found) -> None:
    seen = found(name)
    assert seen["lacks"] == [] and seen["problems"] == []
    assert seen["columns"] > 3 and seen["painted"] > 0
    assert ("-gram gave" in seen["said"]) == ("-gram" in name)


def said_of(kind: type, path: str = "header") -> Iterator[str]:
    """The fields of a dataclass, and of those that are in it, as the browser names them."""
    for name, hint in get_type_hints(kind).items():
        yield f"{path}.{name}"
        for inner in [hint, *get_args(hint)]:
            if is_dataclass(inner):
                yield from said_of(inner, name)


def test_the_browser_reads_all_that_a_message_may_say(found, browser: Browser) -> None:
    read = {name for message in MESSAGES for name in found(message)["read"]}
    said = {name for header in (Frame, MapHeader, ComparisonHeader) for name in said_of(header)}
    assert said - read == {"here.layers", "here.roles", "here.order"}  # which drawn.js is given in a copy


def test_the_browser_reads_all_that_is_said_of_a_model(found, browser: Browser) -> None:
    """In the app, and in a page of its own."""
    read = {name for message in MESSAGES for name in found(message)["read"] if "page" in message}
    page = browser.new_page(bypass_csp=True)
    page.add_init_script(WATCH)
    page.set_content(live_page({"brackets": parse("brackets").open()}))
    page.locator(".map canvas").wait_for()
    page.locator("button, select").all()
    read |= {name.replace("live.", "header.") for name in page.evaluate("watching.read")}
    page.close()
    assert {*said_of(Live)} - read == set()
