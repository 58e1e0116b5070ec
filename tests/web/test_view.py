"""Where things lie, who is selected, how numbers are written: the pure modules of web/."""

import json
import math
import random
import sys

import numpy as np
import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st
from playwright.sync_api import Page

from lstmviz import wire
from lstmviz.data.vocabulary import inline, shown
from lstmviz.explain.say import number

VIEW = {"left": 100, "right": 500, "column": 20, "dpr": 1}


def panel(layer: int = 0, **changed) -> wire.Panel:
    return wire.Panel(
        **{
            "layer": layer, "role": "cell", "label": "cell state", "symbol": "c", "index": "t", "layer_label": "",
            "reverse": False, "meaning": "", "does": "holds", "gate": False, "light": "#7c3aed", "dark": "#c4b5fd",
            "low": -2.0, "high": 2.0, "limit": 2.0, "bounded": False, "signed": True, "mean": None, "drawn": True,
            "begin": 0, "end": 80, **changed,
        }
    )  # fmt: skip


def test_what_is_packed_is_decoded(web_page: Page) -> None:
    values = np.random.default_rng(0).uniform(-2, 2, (80, 5))
    values[3, 2] = np.nan
    gates = np.random.default_rng(1).uniform(0, 1, (80, 3))
    header = wire.Header(
        layers=[1, 0], units=[[4, 3, 2, 1, 0], [0, 1, 2]], telling=[],
        panels=[panel(1), panel(0, role="forget_gate", low=0, high=1)], top=wire.Likely([], {}, []),
    )  # fmt: skip
    ids = list(range(80))
    first = wire.pack(header, [values, gates], identity="", ids=ids)
    (*whole, _) = json.loads(first[4 : 4 + int.from_bytes(first[:4], "little")])["blocks"]
    again = wire.pack(header, [values, gates], identity="", ids=ids, held=[name for name, *_ in whole])
    assert len(first) - len(again) > 2 * 64 * 8 - 20  # two blocks of 8 units
    decoded = """async ([first, again]) => {
      const { decode, valueOf } = await import("/wire.js"), held = new Map();
      const read = (bytes) => decode(new Uint8Array(bytes), held), seen = [read(first), read(again)];
      held.clear();
      const table = ({ panels: [c, f] }) => [c, f].map((panel) =>
        Array.from({ length: 80 }, (_, t) => Array.from({ length: panel.size }, (_, unit) => valueOf(panel, unit, t))));
      return [...seen.map(table), read(again), valueOf(seen[0].panels[0], 0, -1)];
    }"""
    *tables, missing, before = web_page.evaluate(decoded, [list(first), list(again)])
    for cell, forget in tables:
        np.testing.assert_allclose(cell, values, atol=4 / 131068 + 1e-9)
        np.testing.assert_allclose(forget, gates, atol=1 / 131068 + 1e-9)
    assert missing is None and math.isnan(before)


def test_what_follows_a_frame_is_done_once_for_the_last_call(shared_page: Page) -> None:
    told = shared_page.evaluate(
        """async () => {
          const { afterFrame } = await import("/dom.js"), told = [], tell = afterFrame((what) => told.push(what));
          for (const call of ["one", "two"]) {
            for (const key of ["first", "last"]) tell(`${call}, ${key}`);
            requestAnimationFrame(() => told.push("frame"));
            await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
          }
          return told;
        }"""
    )
    assert told == ["frame", "one, last", "frame", "two, last"]


@given(
    tokens=st.integers(1, 3000), widest=st.floats(8, 400), room=st.floats(60, 2000), zoom=st.floats(0.05, 20),
    dpr=st.sampled_from([1, 1.25, 2, 3]),
)  # fmt: skip
@settings(deadline=None, max_examples=100)
def test_columns_are_whole_pixels_and_words_lean_where_they_do_not_fit(web, tokens, widest, room, zoom, dpr) -> None:
    found = web("view.js", "columns", tokens, widest, room, zoom, dpr)
    assert found["column"] * dpr == pytest.approx(round(found["column"] * dpr)) and found["column"] * dpr >= 1
    assert (found["lean"] > 0) == (widest + 4 > found["column"] >= 13)
    if zoom == 1 and tokens * max(widest + 14, 44) <= room:
        assert found["column"] >= min(room / tokens, widest + 4) - 1 / dpr


@given(scrolled=st.integers(0, 2000), tokens=st.integers(1, 120), time=st.integers(0, 119))
@settings(deadline=None, max_examples=100)
def test_a_point_in_a_column_is_that_token(web, scrolled, tokens, time) -> None:
    view = web("view.js", "scrolledTo", VIEW, tokens, min(scrolled, max(0, tokens * 20 - 400)))
    assert 0 <= view["from"] < view["to"] <= tokens and view["end"] <= view["right"]
    if view["from"] <= time < view["to"]:
        assert web("view.js", "timeAt", view, web("view.js", "x", view, time) + 10) == time
    shown = web("view.js", "revealed", VIEW, time, view["scrolled"])
    assert shown <= time * 20 and (time + 1) * 20 <= shown + 400


@given(scrolled=st.integers(0, 800), tokens=st.integers(2, 60), at=st.integers(1, 59), time=st.integers(0, 59))
@settings(deadline=None, max_examples=25)
def test_a_gap_parts_the_columns_and_moves_those_behind_it(web, scrolled, tokens, at, time) -> None:
    at = min(at, tokens - 1)
    gapped, wide = {**VIEW, "gap": {"at": at, "width": 52}}, tokens * 20 + 52
    view = web("view.js", "scrolledTo", gapped, tokens, min(scrolled, max(0, wide - 400)))
    assert 0 <= view["from"] < view["to"] <= tokens
    left = [web("view.js", "x", view, t) for t in range(tokens + 1)]
    steps = np.diff(left)
    assert (np.delete(steps, at - 1) == 20).all() and steps[at - 1] == 72
    for t in range(tokens):  # what is in view, and nothing else
        assert (left[t] < 500 and left[t] + 20 > 100) == (view["from"] <= t < view["to"])
    if view["from"] <= time < view["to"]:
        assert web("view.js", "timeAt", view, left[time] + 10) == time
    parts = [web("view.js", "partOf", view, {"begin": b, "end": e}) for b, e in ((0, at), (at, tokens))]
    assert sum(part["to"] - part["from"] for part in parts if part) == view["to"] - view["from"]
    for part in filter(None, parts):  # a view of its own, whose columns stand where they stood
        assert [web("view.js", "x", part, t) for t in range(part["from"], part["to"])] == left[
            part["from"] : part["to"]
        ]
        assert part["left"] >= 100 and part["right"] <= 500
    shown = web("view.js", "revealed", gapped, min(time, tokens - 1), view["scrolled"])
    moved = web("view.js", "scrolledTo", gapped, tokens, shown)
    assert moved["from"] <= min(time, tokens - 1) < moved["to"]


def test_who_says_stands_beside_who_reads_forward(web) -> None:
    def tracks(layer: int, role: str) -> list[dict]:
        spans = ((0, 5, False), (0, 5, True), (5, 9, False))
        return [
            {"layer": 3 * layer + k, "role": role, "begin": begin, "end": end, "reverse": reverse}
            for k, (begin, end, reverse) in enumerate(spans)
        ]

    def bands(panels: list[dict]) -> list[list[int]]:
        return [[panel["layer"] for panel in band] for band in web("paint/map.js", "banded", panels)]

    assert bands([*tracks(0, "gate"), *tracks(1, "gate")]) == [[0, 2], [3, 5], [1], [4]]
    assert bands([*tracks(0, "gate"), *tracks(0, "cell")]) == [[0, 2], [0, 2], [1], [1]]
    both = [{**panel, "end": 9, "begin": 0} for panel in tracks(0, "gate")[:2]]
    assert bands(both) == [[0], [1]]  # of two directions that read the same each has its own
    panels = {"layers": [0, 1, 2], "panels": tracks(0, "gate")}
    followed = [web("paint/map.js", "layerAt", panels, layer, time) for layer, time in ((1, 3), (1, 6), (2, 6), (2, 3))]
    assert followed == [1, 2, 2, 0]


@given(
    count=st.integers(1, 700),
    share=st.floats(64, 300),
    zoom=st.sampled_from([1, 2, 4, 8]),
    dpr=st.sampled_from([1, 1.5, 2]),
)
@settings(deadline=None, max_examples=100)
def test_no_row_is_drawn_larger_than_another(web, count, share, zoom, dpr) -> None:
    found = web("view.js", "rows", count, share, zoom, dpr)
    pitch, pool = found["pitch"], web("view.js", "pool", found["pitch"])
    assert pitch == pytest.approx(round(pitch)) if pitch >= 1 else 1 / pitch == pytest.approx(pool)
    assert 1 <= found["rows"] <= count
    place = {"y": 50, "units": list(range(count)), "first": 0, **found}
    line = web("view.js", "lineAt", place, 50, dpr)
    assert line == {"row": 0, "units": list(range(min(pool, found["rows"])))}


def test_the_selected_unit_is_among_those_that_are_shown(web) -> None:
    order, telling = list(range(99, -1, -1)), list(range(30))
    shown = web("view.js", "chosen", order, telling, 100, 77)
    assert len(shown) == 20 and 77 in shown and shown == sorted(shown, reverse=True)
    assert web("view.js", "chosen", order, None, 100, 77) == order


def test_a_zoom_ends_where_columns_are_wide_or_narrow_enough(web) -> None:
    assert web("view.js", "zoomed", 1, 2, 20, 2) == 2
    assert web("view.js", "zoomed", 4, 2, 100, 2) == 128 / 25
    assert web("view.js", "zoomed", 1, 0.5, 3, 2) == 2 / 3


def test_the_last_of_click_key_and_link_wins(web_page: Page) -> None:
    told = web_page.evaluate(
        """async () => {
          const { Selection } = await import("/select.js"), sent = [], at = [];
          const selection = new Selection((now) => sent.push({ ...now })), see = () => at.push({ ...selection.at });
          const rest = () => new Promise((done) => setTimeout(done, 200));
          selection.hear({ time: 3, unit: 1 }, 5); see(); // at first, a link
          selection.choose({ time: 2 }); selection.choose({ time: 1 }); await rest();
          selection.hear({ time: 3, unit: 1 }, 5, 5); see(); // what the server said before: the click wins
          selection.hear({ time: 1, unit: 1 }, 5, 5); see(); // what it was told
          selection.choose({ time: 5 }); await rest();
          selection.hear({ time: 1, unit: 1 }, 6, 5); see(); // a key, and the newest was selected: so it is
          selection.hear({ time: 0, unit: 4 }, 6, 6); see(); // something new of the server's
          selection.choose({ time: 2 }); await rest(); selection.choose({ time: 3 }); await rest();
          selection.hear({ time: 2, unit: 4 }, 6, 6); see(); // a late answer to the first of them
          selection.hear({ time: 3, unit: 4 }, 6, 6); see();
          selection.hear({ time: 2, unit: 4 }, 6, 6); see(); // a link
          selection.choose({ unit: 2 }); selection.forget(); await rest();
          return { sent, at };
        }"""
    )
    assert [(at["time"], at["unit"]) for at in told["sent"]] == [(1, 1), (5, 1), (2, 4), (3, 4)]
    assert told["at"] == [
        {"time": t, "unit": u} for t, u in [(3, 1), (1, 1), (1, 1), (6, 1), (0, 4), (3, 4), (3, 4), (2, 4)]
    ]


@pytest.mark.parametrize(
    ("key", "chosen"),
    [
        ("ArrowLeft", {"time": 0}), ("ArrowRight", {"time": 2}), ("Home", {"time": 0}), ("End", {"time": 9}),
        ("ArrowUp", {"unit": 7}), ("ArrowDown", {"unit": 3}), ("PageUp", {"unit": 7}), ("PageDown", {"unit": 3}),
        ("a", None),
    ],
)  # fmt: skip
def test_keys_move_over_tokens_and_rows(web, key: str, chosen: dict | None) -> None:
    assert web("select.js", "step", key, {"time": 1, "unit": 5}, 9, [7, 5, 3]) == chosen


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0.25, "0.25"), (-123.5, "−123.5"), (1024, "1024"), (1.2e5, "1.2e5"), (-1e30, "−1e30"), (math.inf, "∞"),
        (-math.inf, "−∞"), (-0.001, "0.00"), (99.96, "100.0"), (999.6, "1000"), (1e-9, "0.00"), (None, "–"),
        (math.nan, "–"),
    ],
)  # fmt: skip
def test_numbers_have_few_signs(web, value: float | None, written: str) -> None:
    assert web("words.js", "number", value) == written
    assert value is None or number(value) == written  # Python writes them so, too


@given(st.floats(-1e300, 1e300))
@settings(deadline=None, max_examples=200)
def test_a_number_has_at_most_seven_signs_and_says_the_value(web, value: float) -> None:
    written = web("words.js", "number", value)
    assert len(written) <= 7 and number(value) == written
    read = float(written.replace("−", "-").replace("∞", "inf"))
    size = abs(value)
    digits = 2 if size < 99.95 else 1 if size < 999.5 else 0
    off = 0.5 * 10**-digits if size < 9999.5 else (0.05 if size < 1e10 else 0.5) * 10 ** math.floor(math.log10(size))
    assert read == value or abs(read - value) <= 1.001 * off


@pytest.mark.parametrize(
    ("nll", "written"), [(0, "1.0"), (math.log(99.94), "99.9"), (math.log(250), "250"), (700, "1e304"), (None, "–")]
)
def test_perplexities(web, nll: float | None, written: str) -> None:
    assert web("words.js", "perplexity", nll) == written


@given(st.text(max_size=3))
@settings(deadline=None, max_examples=200)
def test_a_sign_that_can_be_drawn_stays_what_it_is(web, sign: str) -> None:
    drawn = web("words.js", "drawable", sign)
    assert drawn.removeprefix("◌") in (shown(sign), shown(sign).removeprefix("◌"))
    assert web("words.js", "drawable", drawn) == drawn


def test_what_nobody_sees_is_shown_alike_in_both_languages(web_page: Page) -> None:
    chance, special = random.Random(0), "\u200c\u200d\ufe0e\ufe0f\u20e3\U000e0067\U000e007f\U000e0100\u180b\u202e\x00\n"
    others = "a1#é\u0301בمیक\u094dष葛\u1820👩❤🏿🏴\u0600 "
    texts = ["".join(chance.choices(special + others, k=6)) for _ in range(5000)]
    every = "".join(chr(n) for n in range(sys.maxunicode + 1) if not 0xD800 <= n < 0xE000)
    texts += [f"a{sign}b" for sign in regex.findall(r"[\p{DI}\p{Cf}\p{Cc}\p{Z}]", every)]
    found = web_page.evaluate(
        """async (texts) => {
          const { shown, inline } = await import("/words.js");
          return texts.map((text) => [shown(text), inline(text)]);
        }""",
        texts,
    )
    unlike = [ascii(t) for t, pair in zip(texts, found, strict=True) if pair != [shown(t), inline(t)]]
    assert not unlike, unlike[:5]


def test_a_page_that_is_left_says_nothing_more(web_page: Page) -> None:
    said = web_page.evaluate(
        """async () => {
          const { whileHere } = await import("/streamlit.js"), { leave } = await import("/shared.js");
          const said = [], links = [];
          for (const href of ["/compare", location.pathname]) {
            const place = document.body.appendChild(document.createElement("div"));
            place.dataset.testid = "stPageLink";
            links.push(Object.assign(place.appendChild(document.createElement("a")), { href }));
            links.at(-1).addEventListener("click", (event) => event.preventDefault());
          }
          const begin = (name) => whileHere()((what) => said.push(`${name} ${what}`));
          const first = begin("first");
          links[1].click();
          first("after a link to where it is");
          links[0].click();
          first("after a link");
          await new Promise((done) => setTimeout(done, 2));
          const second = begin("second");
          second("on the next page");
          leave();
          second("after Back");
          history.pushState(null, "", "/inside");
          links[0].setAttribute("href", ""); // to the first page, as Streamlit writes it
          begin("third")("on the third");
          const third = begin("third");
          links[0].click();
          third("after a link to the first page");
          return said;
        }"""
    )
    assert said == ["first after a link to where it is", "second on the next page", "third on the third"]


def test_a_page_that_the_server_leaves_keeps_its_address_for_back(web_page: Page) -> None:
    """Streamlit says the address of the page that comes before it is there, as after *hold*."""
    found = web_page.evaluate(
        """async () => {
          await import("/frame.js");
          const { default: readout } = await import("/readout.js"), said = [], seen = [];
          const place = document.body.appendChild(document.createElement("div"));
          readout({ parentElement: place, setStateValue: (...what) => said.push(what) });
          const hold = place.querySelector(".readout").appendChild(document.createElement("button"));
          Object.assign(hold.dataset, { act: "hold", hold: "forget_gate at 1 from 0" });
          history.replaceState(null, "", "?text=x");
          history.pushState(null, "", "?text=y"); // what the server corrects
          seen.push(location.search);
          hold.click();
          history.pushState(null, "", "?view=what+if");
          seen.push(location.search);
          history.pushState(null, "", "/inside?view=what+if");
          history.pushState(null, "", "?view=what+if&unit=1");
          seen.push(location.search);
          await new Promise((done) => setTimeout(done, 80));
          return [seen, said.map(([name, [gate]]) => [name, gate])];
        }"""
    )
    assert found[0] == ["?text=y", "?text=y", "?view=what+if&unit=1"]
    assert found[1] == [["hold", "forget_gate at 1 from 0"]]


def test_what_a_component_says_waits_for_what_a_person_does_and_goes_in_a_message_of_its_own(web_page: Page) -> None:
    said = web_page.evaluate(
        """async () => {
          const { teller } = await import("/streamlit.js"), said = [];
          const streamlit = (name, value) => setTimeout(() => said.push(`${name} ${value}`), 0);
          const send = teller()(streamlit);
          send("held", 1);
          said.push("told");
          dispatchEvent(new Event("input"));
          setTimeout(() => said.push("typed"), 0);
          send("held", 2);
          send("shown", 1);
          send("held", 3);
          await new Promise((done) => setTimeout(done, 150));
          return said;
        }"""
    )
    assert said == ["held 1", "told", "typed", "shown 1", "held 3"]


def test_the_address_tells_what_is_shown(web_page: Page) -> None:
    found = web_page.evaluate(
        """async () => {
          const { tell } = await import("/address.js"), seen = [], { length } = history;
          history.replaceState(null, "", "?text=%28x+y&time=3");
          tell({ time: null, unit: "5" });
          seen.push(location.search);
          tell({});
          tell({ unit: "5" });
          return [...seen, location.search, history.length - length];
        }"""
    )
    assert found == ["?text=%28x+y&unit=5", "?text=%28x+y&unit=5", 0]
