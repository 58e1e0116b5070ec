"""Several models that read in the page: what is drawn of them side by side is what the server sends, field by field."""

import base64
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page

from lstmviz.data.images import examples
from lstmviz.explain.alignment import Compared, Entrant, Place, shared_axis
from lstmviz.explain.comparison import View, draw, live_comparison, notes_on
from lstmviz.explain.differences import Differences
from lstmviz.explain.kin import kinship
from lstmviz.live import live
from lstmviz.opened import OpenModel
from lstmviz.reading import Reading, read, read_image
from lstmviz.ui.in_page import as_sent
from lstmviz.ui.sources import parse, titles
from lstmviz.wire import Frame, Here, side_by_side, sized
from tests.web.conftest import open_web

ALL = ["loss", "perplexity", "mean", "below 0.1", "above 0.9", "half-life"]
SHOWS = {"place": Place(), "order": "telling", "slots": ["keeps", "memory"], "charts": ALL, "gate": "keeps"}
SAID = Differences([], "")  # before anything is read

# Of models what is drawn at each step, a text or an image, beside what the server makes of it: where they differ. Lines
# are compared as far as their charts go.
COMPARE = """async ({ models, steps }) => {
  const { Opened, Reading } = await import("/reading.js"), { compared, notesOn } = await import("/comparing.js");
  const { decode } = await import("/wire.js"), { clamp } = await import("/view.js"), found = [];
  const bytes = (text) => Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
  const differ = (a, b, path, near) => {
    const inside = (value) => typeof value === "object" && value !== null;
    if (inside(a) && inside(b))
      for (const name of new Set([...Object.keys(a), ...Object.keys(b)]))
        differ(a[name], b[name], `${path}.${name}`, near);
    else if (typeof a === "number" && typeof b === "number" ? !near(a, b) : a !== b && !(a === null && Number.isNaN(b)))
      found.push(`${path}: ${JSON.stringify(a)} ${JSON.stringify(b)}`);
  };
  const within = (allowed) => (a, b) => Math.abs(a - b) <= allowed;
  const relative = (a, b) => Math.abs(a - b) <= 1e-5 * Math.abs(a);
  const along = ({ low, high, log }) => { // what the server sends is rounded to 1e-4
    const at = (value) => (log ? Math.log10(clamp(value, low, high)) : clamp(value, low, high));
    const ends = at(high) - at(low);
    return (a, b) => Math.abs(at(a) - at(b)) <= 1e-4 * ends + (log ? 1e-3 : 1e-4);
  };
  const readings = models.map(({ live, weights }) =>
    new Reading(new Opened(live, new Float32Array(bytes(weights).buffer)), steps[0].live.most));
  steps.forEach(({ live, text, image, header, parts, notes }, k) => {
    for (const reading of readings)
      image ? reading.toImage(Uint8Array.from(image.pixels), image.label) : reading.toText(text);
    const { charts: expected, ...rest } = header;
    const [{ charts, ...others }, now] = compared(live, readings, header.selection);
    const then = parts.map((part) => decode(bytes(part), new Map()));
    for (const part of then) delete part.blocks;
    differ(rest, others, `step ${k}`, within(2e-4));
    expected.forEach(({ lines, ...chart }, n) => {
      const { lines: drawn, ...own } = charts[n];
      differ(chart, own, `step ${k} ${chart.name}`, relative);
      differ(lines, drawn, `step ${k} ${chart.name}`, along(chart));
    });
    const codes = (part) => part.panels.map((panel) => panel.codes);
    differ(then.map(codes), now.map(codes), `step ${k} codes`, within(6));
    for (const part of [...then, ...now]) for (const panel of part.panels) delete panel.codes;
    differ(then, now, `step ${k} parts`, within(2e-4));
    differ(notes, notesOn(live, readings), `step ${k} notes`, within(0));
  });
  return found.slice(0, 20);
}"""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model writes little when it is opened: what it wrote only decides of scales and orders."""
    monkeypatch.setattr("lstmviz.opened.written_at_most", lambda model: 24)


@pytest.fixture(scope="module")
def page(browser: Browser):
    page = open_web(browser)
    yield page
    page.close()


def opened(*names: str) -> list[Entrant]:
    """Models by their addresses."""
    addresses = [parse(name) for name in names]
    models = [address.open() for address in addresses]
    named = titles([(a, each.checkpoint.model.cell) for a, each in zip(addresses, models, strict=True)])
    return [Entrant(name, title, each) for name, title, each in zip(names, named, models, strict=True)]


Read = Callable[[OpenModel, int], Reading | None]


def step(models: list[Entrant], reading: Read, text: str, reference: int = 0, **changed: Any) -> dict[str, Any]:
    """What the server draws of a text in one view."""
    view = View(**{**SHOWS, "difference": False, **changed})
    said = live_comparison(models, SAID, kinship([each.opened for each in models]), reference, view)
    seen = [Compared(**vars(each), reading=reading(each.opened, said.most)) for each in models]  # pyright: ignore
    selection = {"time": 1, "unit": 2, "model": 0}
    header, parts = draw(said, view, seen, shared_axis(text, seen), selection)
    return {
        "live": json.loads(sized(said)[4:]),
        "text": text,
        "header": json.loads(sized(header)[4:]),
        "parts": [base64.b64encode(part).decode() for part in parts],
        "notes": notes_on(said, seen),
    }


def of_text(models: list[Entrant], text: str, **changed: Any) -> dict[str, Any]:
    return step(models, lambda each, most: read(each, text, most=most), text, **changed)


def agree(page: Page, models: list[Entrant], steps: list[dict[str, Any]]) -> None:
    given = []
    for each in models:
        header, weights = live(each.opened)
        given.append({"live": json.loads(sized(header)[4:]), "weights": base64.b64encode(weights).decode()})
    assert page.evaluate(COMPARE, {"models": given, "steps": steps}) == []


def test_models_of_one_vocabulary(page: Page) -> None:
    models = opened("shakespeare-char-lstm-128", "shakespeare-char-gru-128", "shakespeare-char-rnn-128")
    slots = ["keeps", "writes", "shows", "looks back", "candidate", "memory", "hidden"]
    steps = [
        of_text(models, "R", slots=slots),
        of_text(models, "ROMEO:⏎What light", order="similar", gate="writes", reference=1),
        of_text(models, "ROMEO:⏎That light is ё\u0301\tq", order="active", gate="shows", slots=slots),
        of_text(models, "~~~~ ~~~~ too", order="index", difference=True),
        of_text(models, "bee " * 40),
    ]
    agree(page, models, steps)


def test_characters_beside_words(page: Page) -> None:
    """They are aligned by characters, accents however they are written; and what is unknown is told of each."""
    models = opened("wikitext2-word-lstm", "shakespeare-char-rnn-128")
    steps = [
        of_text(models, "The", gate="shows"),
        of_text(models, "They said that he didn't  know it, 1,000 well-known cafés"),
        of_text(
            models, "cafe\u0301 zxq⏎vfd kkl@sss that @-@ a cat rrr www ,", place=Place(1), reference=1, difference=True
        ),
        of_text(models, "café zxq"),
        of_text(models, "\r\na\u200bb \u202eא"),
    ]
    agree(page, models, steps)


def test_a_line_up_of_cells(page: Page) -> None:
    """A grammar is read after what was read before it; each cell has other rows, and what it lacks is absent."""
    models = opened(*(f"brackets/{cell}" for cell in ("lstm_concat", "slstm", "rnn", "lstmp", "minlstm", "peephole")))
    steps = [
        of_text(models, "(", gate="writes"),
        of_text(models, "(x(xx(x))", gate="shows", slots=["shows", "hidden"], reference=2),
        of_text(models, "(x(xx(x))⏎(x", order="active", slots=["keeps", "writes", "looks back", "candidate"]),
        of_text(models, "⏎(é", order="index", difference=True),
    ]
    agree(page, models, steps)


def test_copies_in_other_layouts_and_their_differences(page: Page) -> None:
    """Beside a model of the same vocabulary, and one that reads no line's end before a sentence."""
    models = opened("brackets as lstm_concat", "brackets", "brackets/gru", "brackets as peephole")
    slots = ["keeps", "writes", "candidate", "memory"]
    steps = [
        of_text(models, text, difference=True, reference=reference, slots=slots, order=order)
        for text, reference, order in (("(x", 1, "telling"), ("(x(xx(x))x(", 3, "similar"), ("(x(x", 2, "active"))
    ]
    agree(page, models, steps)


def test_images(page: Page) -> None:
    """The losses are of what they show, where somebody knows it."""
    models, steps = opened("digits-lstm", "digits-rnn"), []
    charts = ["probability", "loss", "mean", "below 0.1", "half-life"]
    for k, label in enumerate((6, None, 3)):
        pixels = examples(8)[k, :, :-1]
        seen = step(
            models, partial(of_image, pixels, label), "", charts=charts, order=("telling", "index", "active")[k]
        )
        steps.append({**seen, "image": {"pixels": pixels.flatten().tolist(), "label": label}})
    agree(page, models, steps)


def of_image(pixels: np.ndarray, label: int | None, opened: OpenModel, most: int) -> Reading:
    return read_image(opened, pixels, label)


@pytest.mark.parametrize(
    ("names", "typed"),
    [
        (["recall-lstm", "recall-rnn"], ["bz?bxyx?", "bz?bxyx?b", "q"]),
        (["between-lstm", "between-lstm as lstm_split"], ["axxxbyyczzza", "axx bq"]),
    ],
)
def test_labels_of_a_text(names: list[str], typed: list[str], page: Page) -> None:
    models, charts = opened(*names), ["probability", "loss", "mean", "half-life"]
    agree(page, models, [of_text(models, text, charts=charts, difference=True) for text in typed])


def test_of_a_text_that_is_too_long_what_all_read_is_shown(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lstmviz.opened.MAX_TOKENS", 40)
    models = opened("shakespeare-char-rnn-128", "brackets")
    agree(page, models, [of_text(models, text) for text in ("x(" * 19, "(x" * 20, "x)" * 30, "x")])


# What a comparison that the page makes says to the server once it was checked.
CHECKED = """async (message) => {
  const { default: mount } = await import("/compare.js"), said = [], place = document.createElement("div");
  console.warn = () => {};
  const setStateValue = (...what) => said.push(what);
  mount({ parentElement: document.body.appendChild(place), data: new Uint8Array(message), setStateValue });
  const { map } = place.querySelector(".map");
  return { said, shown: map.compared.header.labels };
}"""


@pytest.mark.parametrize("others", [[], [1], [0, 1]])
def test_where_models_answer_otherwise_than_the_server_that_answers(others: list[int], browser: Browser) -> None:
    models, text = opened("brackets/gru", "brackets/lstm"), "(x(x"
    live_models = [each.opened for each in models]
    view = View(**{**SHOWS, "difference": False})
    said = live_comparison(models, SAID, kinship(live_models), 0, view)
    read_there = [read(each, "((xx" if k in others else text) for k, each in enumerate(live_models)]
    seen = [Compared(**vars(each), reading=reading) for each, reading in zip(models, read_there, strict=True)]  # pyright: ignore
    unread = {"time": -1, "unit": 0, "model": 0}
    digests = [each.checkpoint.digest for each in models]
    about = {"models": digests, "sent": digests, "box": "sentence", "text": text, "put": 0, "label": None}
    here = Here(**about, selection=unread, checked=True)  # pyright: ignore[reportArgumentType]
    drawn, sent = draw(said, view, seen, shared_axis(text, seen), unread), b"".join(map(as_sent, live_models))
    page = open_web(browser)
    found = page.evaluate(CHECKED, list(side_by_side(*drawn, Frame(here=here), sent)))
    page.close()
    assert found["shown"] == ["⏎", *text]
    assert found["said"] == [["failed", [digests[k] for k in others]] if others else ["checked", digests]]
