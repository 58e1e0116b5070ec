"""What is inside one step, in the page: the strips to choose from, and the parts below them."""

import base64
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page

from lstmviz.checkpoint import Checkpoint
from lstmviz.opened import OpenModel, prepare
from lstmviz.ui.in_page import as_sent
from lstmviz.wire import Frame, InsideHere, framed

Makes = Callable[..., Checkpoint]

# A box and the component on a page; `hear` gives it messages, `type` types, and `seen` says what it shows.
MOUNT = """async () => {
  const added = (to, tag) => to.appendChild(document.createElement(tag));
  const [box, place] = ["div", "div"].map((tag) => added(document.body, tag));
  box.className = "st-key-read";
  const { default: mount } = await import("/inside.js"), { setBox } = await import("/here.js");
  const frames = async (count = 3) => { for (let k = 0; k < count; k++) await new Promise(requestAnimationFrame); };
  Object.assign(window, { said: [], place, input: added(box, "input"), frames });
  window.hear = async (text) => {
    const data = Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
    mount({ parentElement: place, data, setStateValue: (...what) => said.push(what) });
    window.inside = place.querySelector(".map").inside;
    await frames();
  };
  window.type = async (text) => { setBox(input, text); await frames(); };
  window.text = (selector) => [...place.querySelectorAll(selector)].map((each) => each.textContent);
}"""


def message(opened: OpenModel, text: str, section: str = "step", *, sent: bool = True, **more: Any) -> str:
    digest, selection = opened.checkpoint.digest, {"time": -1, "unit": 0, "layer": 0}
    about: dict[str, Any] = {"put": 0, "label": None, "checked": False, "written": None, "write": None, "options": {}}
    shown = {"layers": [*range(len(opened.tracks))], "roles": [], "order": "index", "selection": selection}
    here = InsideHere(
        models=[digest], sent=[digest] * sent, box="read", text=text, section=section, **{**about, **shown, **more}
    )
    return base64.b64encode(framed(Frame(here=here), as_sent(opened) * sent)).decode()


@pytest.fixture
def opened(make_checkpoint: Makes) -> OpenModel:
    return prepare(make_checkpoint(num_layers=2, hidden_size=12))


def test_keys_and_clicks_choose_and_each_key_is_shown(web_page: Page, opened: OpenModel) -> None:
    web_page.evaluate(MOUNT)
    web_page.evaluate("hear", message(opened, "abca"))
    press = "(key) => inside.strips.dispatchEvent(new KeyboardEvent('keydown', { key }))"
    for key in ("ArrowLeft", "ArrowLeft", "ArrowDown", "ArrowDown", "x"):
        web_page.evaluate(press, key)
    assert web_page.evaluate("inside.selection.at") == {"time": 1, "unit": 2, "layer": 0}
    web_page.get_by_role("button", name="the units of layer 2").click()
    assert web_page.evaluate("[inside.selection.at.layer, text('.note')[0]]") == [
        1,
        "“b” (1) · unit 2 of 12 holds " + held(web_page),
    ]
    count = web_page.evaluate("""async () => {
      const count = () => place.querySelectorAll("*").length, before = count();
      for (let k = 0; k < 30; k++) await type("abcabc".slice(0, k % 6 + 1));
      return [before, count(), inside.words.labels.join("")];
    }""")
    assert count[0] == count[1] and count[2] == "abcabc"
    web_page.evaluate("type", "ab")
    assert web_page.evaluate("inside.selection.at.time") == 1
    web_page.evaluate("type", "")
    assert web_page.evaluate("[text('.notes').length, place.querySelector('.map').classList.contains('empty')]") == [
        1,
        True,
    ]
    web_page.evaluate("type", "a")
    assert web_page.evaluate("text('.line .left')[0]") == "i"


def held(page: Page) -> str:
    return page.evaluate("""async () => {
      const { number } = await import("/words.js"), { time, unit } = inside.selection.at;
      return number(inside.held.values[time * inside.held.size + unit]);
    }""")


def test_a_product_opens_and_a_unit_in_it_can_be_selected(web_page: Page, opened: OpenModel) -> None:
    web_page.evaluate(MOUNT)
    web_page.evaluate("hear", message(opened, "abca", selection={"time": 3, "unit": 4, "layer": 1}))
    assert [said[:8] for said in web_page.evaluate("text('.adds .what')")] == ["Uf h′ = "]
    web_page.locator(".line").nth(1).locator("button.term").first.click()
    assert len(web_page.evaluate("text('.adds')")) == 2
    web_page.locator(".adds").first.locator("button.unit").first.click()  # of x, which is what the layer below shows
    assert web_page.evaluate("inside.selection.at.layer") == 0
    web_page.locator(".line").nth(1).locator("button.term").first.click()
    assert len(web_page.evaluate("text('.adds')")) == 1


def test_a_walk_through_the_sentence_can_be_stopped(web_page: Page, opened: OpenModel) -> None:
    web_page.evaluate(MOUNT)
    web_page.evaluate("hear", message(opened, "abc"))
    times = web_page.evaluate("""() => {
      const timers = [], { setTimeout } = window, seen = () => inside.selection.at.time;
      window.setTimeout = (act, wait) => (wait === 700 ? timers.push(act) : setTimeout(act, wait));
      const found = [];
      inside.player.click(); // at the last token it begins at the first
      found.push(seen());
      timers.pop()();
      found.push(seen());
      inside.player.click();
      found.push(inside.player.textContent);
      window.setTimeout = setTimeout;
      return found;
    }""")
    assert times == [0, 1, "play"]


def test_a_part_that_fails_says_so_and_the_others_stay(web_page: Page, opened: OpenModel) -> None:
    web_page.evaluate(MOUNT)
    web_page.evaluate("hear", message(opened, "abc"))
    web_page.evaluate("""() => {
      const { part } = inside.parts.get("step"), { show } = part;
      part.show = () => { throw new Error("no such thing"); };
      inside.arrange();
    }""")
    assert web_page.evaluate("text('.wrong')") == ["This part cannot be shown: no such thing."]
    web_page.evaluate("hear", message(opened, "abc", "input", sent=False))
    assert web_page.evaluate("text('.near .name').length") > 0
    web_page.evaluate("hear", message(opened, "abc", "step", sent=False))
    assert web_page.evaluate("text('.line').length") == 6


def test_a_part_that_is_not_shown_is_at_rest(web_page: Page, opened: OpenModel) -> None:
    """What it still had to do of a text that is another one by then would be done of that."""
    errors: list[str] = []
    web_page.on("pageerror", lambda error: errors.append(str(error)))
    web_page.evaluate(MOUNT)
    web_page.evaluate("hear", message(opened, "abcabc", "hold", options={"hold": "cell at 0 from 0"}))
    late = "inside.parts.get('hold').part.go(0)"  # it reads on in the next frame
    web_page.evaluate("late => { inside.host.option('hold', 'cell at 1 from 0'); eval(late); type(''); }", late)
    web_page.evaluate("frames")
    web_page.evaluate("type", "abcabc")
    web_page.get_by_text("rank the units").click()
    web_page.evaluate("hear", message(opened, "abcabc", "memory", sent=False))
    assert web_page.evaluate("text('.note')[0]").endswith("· as the model is, without “what if”")
    web_page.evaluate("inside.options.hold = 'off cell at 1 from 0'; inside.arrange()")
    assert "what if" not in web_page.evaluate("text('.note')[0]")
    assert not errors and web_page.evaluate("inside.parts.get('hold').part.ranking.slices.timer") is None


def test_a_layer_that_the_model_lacks_stands_in_the_fields(web_page: Page, opened: OpenModel) -> None:
    web_page.evaluate(MOUNT)
    web_page.evaluate("hear", message(opened, "abc", "hold", options={"hold": "cell at 0 layer 5 from 0"}))
    chosen = "[...place.querySelectorAll('.editor select')].map(({ selectedOptions: [option] }) => option?.textContent)"
    assert web_page.evaluate(chosen) == ["cell state c", "layer 5"]


@pytest.mark.parametrize(("cell", "first"), [("rnn", "W x"), ("lstm_concat", "Wi [h′, x]"), ("lstmp", "Wi x")])
def test_where_a_matrix_of_x_begins(web_page: Page, make_checkpoint: Makes, cell: str, first: str) -> None:
    web_page.evaluate(MOUNT)
    web_page.evaluate("hear", message(prepare(make_checkpoint(cell=cell)), "abc", "input"))
    assert web_page.evaluate("text('.input > .quiet')[0]").startswith(f"From here {first} begins")


def test_what_a_part_remembers_is_in_the_address(web_page: Page, opened: OpenModel) -> None:
    web_page.evaluate(MOUNT)
    web_page.evaluate("hear", message(opened, "abc", options={"hold": None}))
    web_page.evaluate("inside.host.option('hold', 'f=0')")
    web_page.wait_for_function("location.search.includes('hold=f%3D0') && location.search.includes('layer=1')")
    web_page.wait_for_function("said.some(([name, value]) => name === 'options' && value.hold === 'f=0')")
    web_page.evaluate("inside.host.option('hold', null)")
    web_page.wait_for_function("!location.search.includes('hold')")


def test_what_is_near_and_the_plane_are_those_of_the_weights(web_page: Page) -> None:
    rows = np.random.default_rng(0).normal(size=(40, 6)) * [3, 2, 1, 0.5, 0.5, 0.2]
    near, plane = web_page.evaluate(
        """async ([values, rows, columns]) => {
          const { Embedding } = await import("/inside/embedding.js");
          const embedding = new Embedding({ values: Float32Array.from(values), rows, columns });
          return [embedding.nearest(7, 5), [...embedding.plane]];
        }""",
        [rows.ravel().tolist(), *rows.shape],
    )
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    cosines = unit @ unit[7]
    cosines[[0, 1, 2, 3, 7]] = -2
    assert [each["id"] for each in near] == np.argsort(-cosines)[:5].tolist()
    assert [each["cosine"] for each in near] == pytest.approx(np.sort(cosines)[::-1][:5], abs=1e-6)
    centred = rows - rows[4:].mean(0)
    directions = np.linalg.svd(centred[4:])[2][:2]
    directions *= np.sign(np.take_along_axis(directions, np.abs(directions).argmax(1)[:, None], 1))
    np.testing.assert_allclose(np.reshape(plane, (-1, 2)), centred @ directions.T, atol=1e-3)
