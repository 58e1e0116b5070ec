"""What a view that the page makes itself hears: of keys, and of the server."""

import base64
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page

from lstmviz.checkpoint import Checkpoint
from lstmviz.data.vocabulary import Vocabulary
from lstmviz.live import live
from lstmviz.opened import OpenModel, prepare
from lstmviz.reading import read
from lstmviz.ui.in_page import as_sent
from lstmviz.ui.sources import parse
from lstmviz.wire import Frame, MapHere, framed, payload
from tests.web.conftest import WEB

Makes = Callable[..., Checkpoint]
VIEW: dict[str, Any] = {"layers": [0], "roles": ["cell"], "order": "similar"}
UNCHOSEN = {"time": -1, "unit": 0, "layer": 0}

# A box and a map on a page, which `hear` messages and show the text that is typed by `type`.
MOUNT = """() => {
  const added = (to, tag) => to.appendChild(document.createElement(tag));
  const [box, place] = ["div", "div"].map((tag) => added(document.body, tag));
  box.className = "st-key-text";
  Object.assign(window, { said: [], place, input: added(box, "input") });
  const frames = async (count) => { for (let k = 0; k < count; k++) await new Promise(requestAnimationFrame); };
  window.hear = async (text, count = 3, parentElement = place) => {
    const data = Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
    const { default: mount } = await import("/map.js");
    mount({ parentElement, data, setStateValue: (...what) => said.push(what) });
    window.map = parentElement.querySelector(".map").map;
    await frames(count);
  };
  window.type = async (text) => {
    const { setBox } = await import("/here.js");
    setBox(input, text);
    await frames(3);
  };
  window.frames = frames;
}"""


def message(opened: OpenModel, text: str, *, sent: bool = False, **more: Any) -> str:
    """What the server says of a map that the page makes; `sent`, the model goes with it."""
    digest = opened.checkpoint.digest
    about: dict[str, Any] = {"models": [digest], "put": 0, "label": None, "selection": UNCHOSEN, "checked": False}
    written = {"written": None, "write": None}
    here = MapHere(sent=[digest] * sent, box="text", text=text, **{**VIEW, **about, **written, **more})
    return base64.b64encode(framed(Frame(here=here), as_sent(opened) * sent)).decode()


def test_the_token_that_a_key_changed_is_selected(web_page: Page, make_checkpoint: Makes) -> None:
    opened = prepare(make_checkpoint(vocabulary=Vocabulary.of("word", ["the", "dog", "sees"])))
    web_page.evaluate(MOUNT)
    web_page.evaluate("hear", message(opened, "the dog", sent=True))
    times = web_page.evaluate(
        """async () => {
          const found = [], time = async (text) => { await type(text); found.push(map.selection.at.time); };
          map.select({ time: 0 });
          await time("the dog ");
          await time("the zip dog");
          map.select({ time: 0 });
          await time("the zap dog");
          await time("the zap dog sees");
          return found;
        }"""
    )
    assert times == [0, 1, 1, 3]


def test_a_key_is_drawn_before_its_frame_and_of_several_in_it_the_last(web_page: Page, make_checkpoint: Makes) -> None:
    web_page.evaluate(MOUNT)
    web_page.evaluate("hear", message(prepare(make_checkpoint()), "a", sent=True))
    shown = web_page.evaluate(
        """async () => {
          const { setBox } = await import("/here.js"), shown = [], { redraw } = map;
          map.redraw = function () { shown.push(this.data.tokens.join("")); redraw.call(this); };
          for (const text of ["ab", "abc", "abca"]) setBox(input, text);
          shown.push("frame");
          await frames(3);
          return shown;
        }"""
    )
    assert shown == ["ab", "frame", "abca"]


LOOKS = [("light", 1440, "ab"), ("dark", 1440, "ab" * 70), ("light", 360, "ab"), ("dark", 360, "ab" * 20)]


@pytest.mark.parametrize(
    ("light", "width", "text"), LOOKS, ids=["light", "dark, scrolled", "phone", "phone, dark, scrolled"]
)
def test_what_is_drawn_key_by_key_is_what_is_drawn_at_once(
    light: str, width: int, text: str, web_page: Page, make_checkpoint: Makes
) -> None:
    """To the pixel: light and dark, on a phone, scrolled, somewhere else selected, and after the room has changed."""
    opened, end = prepare(make_checkpoint(hidden_size=40)), text + "ca"
    web_page.add_style_tag(path=WEB / "map.css")
    web_page.evaluate(MOUNT)
    pictures = web_page.evaluate(
        """async ([first, text, last, light, width]) => {
          const { style } = place, { length } = text + "ca";
          const read = async () => { while (map.data?.tokens.length !== length) await frames(1); await frames(2); };
          if (light === "dark") style.setProperty("--st-background-color", "#0f1318");
          style.width = "700px";
          await hear(first);
          await type(text + "b");
          style.width = `${width}px`;
          for (const keys of ["", "c", "cbb", "cb", "c"]) await type(text + keys);
          map.select({ time: 1, unit: 7 });
          await type(text + "ca"); // which is selected then
          await read(); // which a slow machine takes some frames for
          const typed = map.canvas.toDataURL(), { unit } = map.selection.at, { scrolled } = map.view;
          style.width = "0px";
          const other = document.body.appendChild(document.createElement("div"));
          other.style.cssText = `${style.cssText}; width: ${width}px`;
          await hear(last, 3, other);
          await read();
          map.select({ unit });
          return [typed, map.canvas.toDataURL(), map.view.width, unit, scrolled > 0];
        }""",
        [message(opened, "ab", sent=True), text, message(opened, end), light, width],
    )
    typed, anew, *about = pictures
    assert typed == anew and about == [width, 7, len(text) > 2]


WRITE = {"number": 1, "count": 200, "temperature": 1.0, "top_k": 0, "seed": 0}


def test_a_model_writes_until_another_text_or_model_is_chosen(web_page: Page, make_checkpoint: Makes) -> None:
    one, other = prepare(make_checkpoint(seed=1)), prepare(make_checkpoint(seed=2))
    by_server = payload(one, read(one, "ab"), **VIEW, selection=UNCHOSEN | {"time": 1})  # pyright: ignore[reportArgumentType]
    ends = {
        "an example": message(one, "cab", write=WRITE),
        "another model": message(other, "ab", sent=True),
        "the server": base64.b64encode(framed(Frame(), by_server)).decode(),
    }
    web_page.evaluate(MOUNT)
    for k, (what, end) in enumerate(ends.items()):
        web_page.evaluate("(text) => { input.value = 'ab'; return hear(text); }", message(one, "ab", sent=True))
        web_page.evaluate("(text) => hear(text, 6)", message(one, "ab", write={**WRITE, "number": k + 1}))
        assert web_page.evaluate("input.value.length > 3 && !map.stop.hidden"), what
        told = web_page.evaluate(
            """async (end) => {
              await hear(end, 0);
              const { value } = input;
              await frames(10);
              return [input.value === value, map.stop.hidden];
            }""",
            end,
        )
        assert told == [True, True], what


def test_a_model_writes_on_from_the_end_of_what_is_typed(web_page: Page, make_checkpoint: Makes) -> None:
    """Also where it has read only a part of it yet."""
    opened = prepare(make_checkpoint())
    web_page.evaluate(MOUNT)
    web_page.evaluate("(text) => { input.value = 'a'; return hear(text); }", message(opened, "a", sent=True))
    written = web_page.evaluate(
        """async (write) => {
          await import("/here.js").then(({ setBox }) => setBox(input, "abc".repeat(300)));
          await hear(write, 300);
          return said.findLast(([name]) => name === "written")[1];
        }""",
        message(opened, "a", write={**WRITE, "count": 5}),
    )
    assert written[0].startswith("abc" * 300)
    assert len(written[0]) > 900
    assert written[1] == 900


def test_a_text_that_is_read_in_slices_always_has_a_token_selected(web_page: Page, make_checkpoint: Makes) -> None:
    """Also for who lays the map out again meanwhile, as when a font has come; in the end it is the last."""
    opened = prepare(make_checkpoint(hidden_size=64, num_layers=3))
    web_page.evaluate(MOUNT)
    text = "abc" * 500
    times = web_page.evaluate(
        """async (first) => {
          await hear(first, 0);
          const found = [], shown = [];
          do {
            map.arrange();
            found.push(map.selection.at.time);
            shown.push(map.data.tokens.length);
            await frames(1);
          } while (shown.at(-1) < 1500);
          const read = found.every((time, k) => time >= 0 && time < shown[k]);
          return [read, new Set(shown).size > 2, map.selection.at.time];
        }""",
        message(opened, text, sent=True),
    )
    assert times == [True, True, 1499]


def test_a_click_while_a_long_text_is_read_is_what_is_selected_in_the_end(
    web_page: Page, make_checkpoint: Makes
) -> None:
    opened = prepare(make_checkpoint(hidden_size=64, num_layers=3))
    web_page.evaluate(MOUNT)
    found = web_page.evaluate(
        """async (first) => {
          await hear(first, 0);
          const read = map.data.tokens.length;
          map.select({ time: 0 });
          while (map.data.tokens.length < 600) await frames(1);
          return [read < 600, map.selection.at.time];
        }""",
        message(opened, "abc" * 200, sent=True),
    )
    assert found == [True, 0]


def test_what_the_page_cannot_run_the_server_answers(web_page: Page, make_checkpoint: Makes) -> None:
    opened, said = prepare(make_checkpoint()), []
    whole, (_, weights) = base64.b64decode(message(opened, "ab", sent=True)), live(opened)
    begin = whole.index(weights[:64])
    broken = base64.b64encode(whole[:begin] + np.float32(np.nan).tobytes() + whole[begin + 4 :]).decode()
    web_page.on("console", lambda line: said.append(line.text))
    web_page.evaluate(MOUNT)
    web_page.evaluate("text => hear(text, 20)", broken)
    assert web_page.evaluate("said") == [["failed", [opened.checkpoint.digest]]]
    assert any("are not all finite numbers; the server answers" in line for line in said)


# A browser without what no other test here needs: a class of characters less another.
NO_CLASSES = """window.RegExp = new Proxy(RegExp, { construct(own, [source, flags = ""]) {
  if (flags.includes("v")) throw new SyntaxError("Invalid flags");
  return new own(source, flags);
} });"""


def test_where_a_browser_cannot_run_a_model_it_draws_what_the_server_answers(
    web_page: Page, make_checkpoint: Makes
) -> None:
    opened = prepare(make_checkpoint())
    by_server = payload(opened, read(opened, "ab"), **VIEW, selection=UNCHOSEN | {"time": 1})  # pyright: ignore[reportArgumentType]
    web_page.add_init_script(NO_CLASSES)
    web_page.reload()
    web_page.evaluate(MOUNT)
    web_page.evaluate("hear", message(opened, "ab", sent=True))
    assert web_page.evaluate("said") == [["failed", [opened.checkpoint.digest]]]
    web_page.evaluate("hear", base64.b64encode(framed(Frame(), by_server)).decode())
    assert web_page.evaluate("map.data.labels") == ["a", "b"]


@pytest.mark.parametrize("module", ["map.js", "compare.js", "pictures.js"])
def test_where_a_browser_cannot_draw_that_is_said_in_the_place(module: str, web_page: Page) -> None:
    web_page.add_init_script("delete window.OffscreenCanvas;")
    web_page.reload()
    said = web_page.evaluate(
        """async (module) => {
          const place = document.body.appendChild(document.createElement("div"));
          (await import(`/${module}`)).default({ parentElement: place, data: new Uint8Array(8), setStateValue() {} });
          return place.textContent;
        }""",
        module,
    )
    assert said.startswith("This browser lacks something that the page needs: canvases that are not on the page.")


def test_the_server_hears_what_it_lacks_of_a_selection_that_keys_moved(web_page: Page, make_checkpoint: Makes) -> None:
    """Once they rest: else it would go back to what was clicked before where it draws itself."""
    web_page.evaluate(MOUNT)
    told = web_page.evaluate(
        """async (first) => {
          const { Here } = await import("/here.js"), { GateMap } = await import("/map.js"), said = [];
          const here = new Here(new GateMap(document.body)), { map: { selection } } = here;
          here.teller = () => (name, { time, unit }) => { if (name === "selection") said.push([time, unit]); };
          here.receive(Uint8Array.from(atob(first), (sign) => sign.charCodeAt(0)));
          const typed = async (text) => { await type(text); here.rested(); here.rested(); };
          await typed("abc"); // nobody chose one: it is the newest
          selection.keep({ time: 0, unit: 1 }); // as by a click
          here.rested();
          await typed("abca");
          await typed("abcab"); // which is the newest still
          await typed("cabcab");
          here.end();
          return said;
        }""",
        message(prepare(make_checkpoint()), "ab", sent=True),
    )
    assert told == [[0, 1], [-1, 1], [0, 1]]


def test_keys_that_the_server_has_not_heard_are_read_by_the_next_model(web_page: Page, make_checkpoint: Makes) -> None:
    one, other = prepare(make_checkpoint(seed=1)), prepare(make_checkpoint(seed=2))
    web_page.evaluate(MOUNT)
    web_page.evaluate("hear", message(one, "ab", sent=True))
    web_page.evaluate("type", "abc")
    labels = [
        web_page.evaluate("async (text) => { await hear(text); return map.data.labels.join(''); }", said)
        for said in (message(other, "ab", sent=True), message(one, "ca", put=1), message(one, "cab", put=1))
    ]
    assert labels == ["abc", "ca", "cab"]


def test_a_page_asks_at_once_for_all_models_that_it_lacks(web_page: Page, make_checkpoint: Makes) -> None:
    digests = ["one", "another"]
    web_page.evaluate(MOUNT)
    web_page.evaluate("hear", message(prepare(make_checkpoint()), "ab", models=digests))
    ((name, (lacked, _)),) = web_page.evaluate("said")
    assert (name, lacked) == ("lacks", digests)


def test_of_many_models_those_that_were_used_last_are_kept(web_page: Page, make_checkpoint: Makes) -> None:
    one, other = prepare(make_checkpoint(seed=1)), prepare(make_checkpoint(seed=2))
    web_page.evaluate(MOUNT)
    web_page.evaluate("hear", message(one, "ab", sent=True))
    web_page.evaluate("for (let k = 0; k < 11; k++) __lstmvizModels.set(`other ${k}`, {})")
    web_page.evaluate("hear", message(one, "abc"))
    web_page.evaluate("hear", message(other, "abc", sent=True))
    kept = web_page.evaluate("[...__lstmvizModels.keys()]")
    assert len(kept) == 12 and kept[-2:] == [one.checkpoint.digest, other.checkpoint.digest]


def test_a_label_that_is_no_number_gets_a_sentence(web_page: Page) -> None:
    opened = parse("recall-lstm").open()
    web_page.evaluate(MOUNT)
    web_page.evaluate("hear", message(opened, "", sent=True))
    web_page.evaluate("for (const { model } of __lstmvizModels.values()) model.scores = () => [NaN, NaN, NaN]")
    web_page.evaluate("type", "bz?b")
    assert "what the model answers is no finite number" in web_page.locator(".map .notes").inner_text()
    assert web_page.evaluate("map.data") is None


def test_the_last_of_key_and_server_wins(web_page: Page) -> None:
    heard = web_page.evaluate(
        """async () => {
          const { Typed } = await import("/here.js"), typed = new Typed(), texts = [];
          const see = () => texts.push(typed.text);
          typed.hear("a"); see(); // at first
          typed.type("ab"); typed.type("abc"); see();
          typed.hear("a"); see(); // it says again what it said
          typed.hear("ab"); see(); // and late what was typed
          typed.type("abcd"); typed.hear("abc"); see();
          typed.hear("an example"); see(); // but this is new
          typed.hear("an example"); typed.type("an example!"); typed.hear("an example"); see();
          typed.type("an example"); typed.hear("an example"); typed.hear("another"); see();
          typed.hear("an example"); see(); // chosen once more, and no echo of what was typed before
          typed.type("an example!"); typed.hear("an example", 1); see(); // so fast that the server heard of no key
          typed.type("an"); typed.type("a"); typed.hear("an", 2); see(); // as it was typed, but by a button
          return texts;
        }"""
    )
    assert heard == [
        "a",
        "abc",
        "abc",
        "abc",
        "abcd",
        "an example",
        "an example!",
        "another",
        "an example",
        "an example",
        "an",
    ]


def test_a_token_may_be_called_as_what_every_object_has(web_page: Page, make_checkpoint: Makes) -> None:
    words = ["constructor", "toString", "__proto__"]
    opened = prepare(make_checkpoint(vocabulary=Vocabulary.of("word", words)))
    web_page.evaluate(MOUNT)
    web_page.evaluate("hear", message(opened, "constructor __proto__", sent=True))
    found = web_page.evaluate("(({ tokens, typed }) => [tokens, typed])(window.__lstmviz.next)")
    typed = dict(zip(*found, strict=True))
    assert len(typed) == 5 and all(typed[word] == word for word in words if word in typed)
