"""The map and the comparison on an empty page: what they read of a message is what Python writes."""

from dataclasses import replace

import numpy as np
import pytest
from playwright.sync_api import Page

from lstmviz.baselines import Counts, NGram
from lstmviz.checkpoint import load
from lstmviz.data.images import examples, from_code
from lstmviz.explain.alignment import Compared, Place, shared_axis
from lstmviz.explain.comparison import View, draw, live_comparison
from lstmviz.explain.differences import differences
from lstmviz.explain.kin import kinship
from lstmviz.home import SHIPPED
from lstmviz.opened import OpenModel, prepare
from lstmviz.reading import read, read_image
from lstmviz.wire import Frame, framed, payload, side_by_side

# Every key that is read of a header and is not in it, once a component has shown a message and was pointed at all over.
READ = """async ([module, bytes]) => {
  const missing = new Set();
  const free = ["typed", "annotation", "absent", "differences"]; // whose keys are tokens, units, rows, roles
  const ours = ["labels", "height", "codes", "size", "difference", "subtracted", "models", "toJSON"];
  const watched = (value, path) => {
    if (Array.isArray(value)) return value.map((one) => watched(one, path));
    if (value === null || typeof value !== "object") return value;
    const copy = Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, watched(inner, name)]));
    if (free.includes(path)) return copy;
    return new Proxy(copy, { get(target, name) {
      const known = typeof name !== "string" || name in target || ours.includes(name);
      if (!known) missing.add(`${path}.${name}`);
      return target[name];
    } });
  };
  const parse = JSON.parse;
  JSON.parse = (text) => watched(parse(text), "header");
  const { default: mount } = await import(`/${module}`);
  const place = document.body.appendChild(document.createElement("div"));
  mount({ parentElement: place, data: new Uint8Array(bytes), setStateValue() {} });
  const { map } = place.querySelector(".map"), { view, canvas } = map;
  for (let x = 2; x < view.width; x += 37)
    for (let y = 2; y < view.height; y += 23) map.hover({ offsetX: x, offsetY: y, clientX: x, clientY: y });
  for (const key of ["ArrowLeft", "ArrowDown", ">", "0"]) map.box.dispatchEvent(new KeyboardEvent("keydown", { key }));
  map.box.querySelector('button[aria-label^="save a picture"]').click();
  const { sentence, paysOff } = await import("/say.js"), seen = window.__lstmviz;
  const said = seen ? [sentence(seen), ...(seen.beside ? paysOff(seen) : [])].join(" ") : "";
  return { missing: [...missing], said, tokens: view.to - view.from, painted: canvas.width * canvas.height };
}"""

# Where the panels begin; what memory gains at each token, and in which colour that is painted.
GAINS = """async (bytes) => {
  const { default: mount } = await import("/map.js"), { gainOf, tally } = await import("/words.js");
  const { x } = await import("/view.js"), { rgb } = await import("/paint/pen.js");
  const place = document.body.appendChild(document.createElement("div"));
  mount({ parentElement: place, data: new Uint8Array(bytes), setStateValue() {} });
  const { map } = place.querySelector(".map"), { data, view, theme, paint } = map, panels = view.panels[0].y;
  if (!data.beside) return { panels, gains: [] };
  const gains = data.nll.map((_, t) => { const gain = gainOf(data, t); return Number.isNaN(gain) ? null : gain; });
  const near = (a, b) => a.every((channel, k) => Math.abs(channel - b[k]) < 3);
  const colours = gains.map((gain, t) => {
    const at = [x(view, t) + view.column / 2, view.gainTop + 26 - Math.sign(gain)]; // beside the line in the middle
    const [r, g, b] = paint.getImageData(...at.map((place) => Math.round(place * view.dpr)), 1, 1).data;
    return ["gain", "lack"].find((name) => near([r, g, b], rgb(theme[name])));
  });
  return { panels, gains, colours, beside: data.beside.nll, tally: tally(data) };
}"""


def opened(make_checkpoint, cell: str, **options) -> OpenModel:
    return prepare(make_checkpoint(cell=cell, hidden_size=6, **options))


@pytest.mark.parametrize(("cell", "n"), [("lstm", 0), ("lstm", 3), ("gru", 0), ("slstm", 0), ("lstmp", 2)])
def test_all_that_the_map_reads_is_in_its_header(cell: str, n: int, web_page: Page, make_checkpoint) -> None:
    problems = []
    web_page.on("pageerror", lambda error: problems.append(str(error)))
    model = opened(make_checkpoint, cell, num_layers=2)
    seen = read(model, "abcab")
    assert seen is not None
    view = {"layers": [0, 1], "roles": ["update_gate", "cell"], "order": "index"}
    beside = NGram(Counts.of(2 * seen.ids, n, len(model.checkpoint.vocabulary))) if n else None
    message = payload(model, seen, selection={"time": 4, "unit": 0, "layer": 1}, beside=beside, **view)
    found = web_page.evaluate(READ, ["map.js", list(framed(Frame([("note", "a")]), message))])
    assert found["missing"] == [] and not problems
    assert found["tokens"] == 5 and found["painted"] > 0 and "what it held" in found["said"]
    assert (f"The {n}-gram gave" in found["said"]) == (n > 0)


def test_all_that_the_map_of_an_image_reads_is_in_its_header(web_page: Page, classifier) -> None:
    problems = []
    web_page.on("pageerror", lambda error: problems.append(str(error)))
    model = prepare(classifier())
    seen = read_image(model, examples(8)[0, :, :-1].numpy(), 6)
    view = {"layers": [0], "roles": ["cell"], "order": "index", "selection": {"time": 7, "unit": 0, "layer": 0}}
    found = web_page.evaluate(READ, ["map.js", list(framed(Frame(), payload(model, seen, **view)))])
    assert found["missing"] == [] and not problems
    assert found["tokens"] == 8 and found["painted"] > 0 and "what it held" in found["said"]


@pytest.mark.parametrize("name", ["reverse-lstm", "reverse-lstm-bottleneck"])
def test_the_map_of_a_pair_shows_where_a_step_looks(name: str, web_page: Page) -> None:
    problems = []
    web_page.on("pageerror", lambda error: problems.append(str(error)))
    model = prepare(load(SHIPPED / f"checkpoints/translate/{name}.safetensors"))
    seen = read(model, "31415")
    assert seen is not None and seen.said
    view = {"layers": [0, 1, 2], "roles": ["forget_gate", "cell"], "order": "index"}
    message = list(framed(Frame(), payload(model, seen, selection={"time": 5, "unit": 0, "layer": 2}, **view)))
    told = web_page.evaluate(LOOKED, message)
    assert told["first"] == "What it held before was made of all that was read."
    assert told["layers"] == [0, 2] and told["rows"] == [64, 64]  # who reads, and who says
    if not model.looks_back:
        assert not told["looked"] and told["tints"] == [None] * 5
        return
    looks = seen.said.looks
    assert looks is not None and told["tints"] == pytest.approx(looks[0].round(3).tolist())
    assert told["looked"] == f"Looks at “4” (2), {looks[0, 2]:.2f}"
    found = web_page.evaluate(READ, ["map.js", message])
    assert found["missing"] == [] and not problems
    assert found["tokens"] == len(seen.ids) and found["painted"] > 0


# Of the first step what is said of its third token, how the tokens read are tinted; and who is selected at either part.
LOOKED = """async (bytes) => {
  const { default: mount } = await import("/map.js"), { looksAt, lookOf, sentence } = await import("/say.js");
  const place = document.body.appendChild(document.createElement("div"));
  mount({ parentElement: place, data: new Uint8Array(bytes), setStateValue() {} });
  const { map } = place.querySelector(".map"), { data } = map, first = sentence(window.__lstmviz);
  const layers = [2, data.said_from].map((time) => { map.select({ time }); return map.selection.at.layer; });
  return { looked: looksAt(data, data.said_from, 2), tints: [0, 1, 2, 3, 4].map((t) => lookOf(data, t, data.said_from)),
    first, layers, rows: layers.map((layer) => map.view.units.get(layer).length) };
}"""

STROKES = {"dot": [[[0.2, 0.2]]], "low": [[[0.3, 0.6], [0.3, 0.9]]], "wide": [[[0.1, 0.5], [0.9, 0.5]]]}


@pytest.mark.parametrize("side", [8, 28])
@pytest.mark.parametrize("name", STROKES)
def test_what_is_drawn_is_brought_to_the_size_and_the_place_of_the_images(name: str, side: int, web) -> None:
    """As those that a model learned from: five sevenths of the side, or all of 8 × 8; a dot stays one."""
    image = from_code(web("drawing.js", "rendered", STROKES[name], side), side).astype(float)
    rows, columns = (np.flatnonzero(image.max(axis) > 40) for axis in (1, 0))
    tall, wide = rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
    inner = side if side == 8 else 20
    assert abs(tall - (inner if name == "low" else 3)) <= 2 and abs(wide - (inner if name == "wide" else 3)) <= 2
    for axis in (0, 1):
        centre = (image.sum(axis) * (np.arange(side) + 0.5)).sum() / image.sum()
        assert centre == pytest.approx(side / 2, abs=0.6)


def test_what_is_laid_over_the_loss_has_a_strip_of_its_own(web_page: Page, make_checkpoint) -> None:
    """With up where the model lost less, and down where it lost more; without, nothing moves."""
    model = opened(make_checkpoint, "lstm")
    seen = read(model, "abcabcabc")
    assert seen is not None
    painted = []
    for beside in (None, NGram(Counts.of(3 * seen.ids, 3, len(model.checkpoint.vocabulary)))):
        view = {"layers": [0], "roles": ["cell"], "order": "index", "selection": {"time": 4, "unit": 0, "layer": 0}}
        message = list(framed(Frame(), payload(model, seen, beside=beside, **view)))
        painted.append(web_page.evaluate(GAINS, message))
    without, laid = painted
    assert laid["panels"] - without["panels"] == 62 and without["gains"] == []
    nll, gains = seen.trace.nll, laid["gains"]
    expected = np.array(laid["beside"][1:]) - nll[1:]
    assert gains[1:] == pytest.approx(expected, abs=2e-4) and gains[0] is None
    assert laid["tally"] == {"model": int((expected > 0.1).sum()), "beside": int((expected < -0.1).sum())}
    assert laid["tally"]["beside"] > 5  # an untrained model against counts of this very text
    assert all(laid["colours"][t] == ("gain" if expected[t - 1] > 0 else "lack") for t in range(1, 9))


def test_all_that_the_comparison_reads_is_in_its_header(web_page: Page, make_checkpoint) -> None:
    problems = []
    web_page.on("pageerror", lambda error: problems.append(str(error)))
    models = [opened(make_checkpoint, cell) for cell in ("lstm", "gru", "rnn")]
    compared = [
        Compared(f"model {k}", each.checkpoint.model.cell, each, read(each, "abcab")) for k, each in enumerate(models)
    ]
    counts = Counts.of(9 * compared[0].reading.ids, 2, len(models[0].checkpoint.vocabulary))
    compared[0] = replace(compared[0], beside=NGram(counts))
    facts = differences(models, [1000.0, 2000.0, 3000.0])
    view = View(
        Place(), "index", ["keeps", "shows", "memory"], ["loss", "memory gains", "mean"], "keeps", difference=True
    )
    live = live_comparison(compared, facts, kinship(models), 0, view)
    header, parts = draw(live, view, compared, shared_axis("abcab", compared), {"time": 2, "unit": 0, "model": 0})
    found = web_page.evaluate(READ, ["compare.js", list(side_by_side(header, parts, Frame()))])
    assert found["missing"] == [] and not problems
    assert found["tokens"] == 5 and found["painted"] > 0


def test_all_that_the_comparison_of_an_image_reads_is_in_its_header(web_page: Page, classifier) -> None:
    problems = []
    web_page.on("pageerror", lambda error: problems.append(str(error)))
    image, models = examples(8)[0, :, :-1].numpy(), [prepare(classifier(cell=cell)) for cell in ("lstm", "rnn")]
    compared = [Compared(f"{k}", f"{k}", each, read_image(each, image)) for k, each in enumerate(models)]
    axis, facts = shared_axis("", compared), differences(models, [1000.0, 2000.0])
    view = View(Place(), "index", ["keeps", "memory"], ["probability", "loss"], "keeps", difference=False)
    live = live_comparison(compared, facts, kinship(models), 0, view)
    header, parts = draw(live, view, compared, axis, {"time": 7, "unit": 0, "model": 0})
    found = web_page.evaluate(READ, ["compare.js", list(side_by_side(header, parts, Frame()))])
    assert found["missing"] == [] and not problems
    assert found["tokens"] == 8 and found["painted"] > 0
    probability, loss = header.charts
    assert not any(p is None for line in probability.lines for p in line)  # of what each says at last
    assert all(p is None for line in loss.lines for p in line)  # nobody knows what it shows
