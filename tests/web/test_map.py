"""The map on an empty page: what it shows of a message is what Python wrote."""

import numpy as np
import pytest
from playwright.sync_api import Page

from lstmviz.baselines import Counts, NGram
from lstmviz.checkpoint import load
from lstmviz.data.images import from_code
from lstmviz.home import SHIPPED
from lstmviz.opened import OpenModel, prepare
from lstmviz.reading import read
from lstmviz.wire import Frame, framed, payload

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


@pytest.mark.parametrize("name", ["reverse-lstm", "reverse-lstm-bottleneck"])
def test_the_map_of_a_pair_shows_where_a_step_looks(name: str, web_page: Page) -> None:
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
