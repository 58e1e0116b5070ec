"""The Watch page in a real browser: the map answers keys, the pointer and links."""

import math
import re
from collections.abc import Callable
from urllib.parse import parse_qs, urlencode, urlparse

import pytest
from playwright.sync_api import Page, expect

Open = Callable[..., Page]
TEXT = "(x(x)x)"
AT_REST = ("data-test-script-state", "notRunning")  # a click on what is renewed meanwhile is lost
COLUMNS = 1 + len(TEXT)  # a grammar's sentence begins with the end of the one before


MANY = "shakespeare-char-lstm"  # 256 units
SPEECH = "⏎ROMEO:⏎What light is this, that breaks so soon the night?⏎"


@pytest.fixture
def watch(page: Open) -> Callable[..., Page]:
    """Opens the small bracket model and waits for its map: ``watch(text="(x)", time=2)``."""

    def open_watch(options: dict | None = None, **query) -> Page:
        query = {"model": "brackets", "text": TEXT, **query}
        opened = page("?" + urlencode(query), **(options or {}))
        opened.problems = []  # JavaScript errors, of the page or reported by a component
        opened.on("pageerror", lambda error: opened.problems.append(str(error)))
        opened.on("console", lambda message: opened.problems.append(message.text) if "Error:" in message.text else None)
        wait_for_tokens(opened, len(query["text"]) + query["model"].startswith("brackets"))
        opened.wait_for_function("window.__lstmviz")
        expect(opened.get_by_test_id("stApp")).to_have_attribute(*AT_REST, timeout=60_000)
        return opened

    return open_watch


def wait_for_tokens(page: Page, count: int) -> None:
    """Until a map of so many tokens is painted."""
    page.wait_for_function("n => window.__lstmvizPainted?.tokens === n", arg=count, timeout=30_000)


def picture(page: Page) -> str:
    """The map's pixels."""
    return page.locator(".map canvas").first.evaluate("canvas => canvas.toDataURL()")


def seen(page: Page) -> dict:
    """What the readout beside the map shows."""
    return page.evaluate("window.__lstmviz")


def wait_for_selection(page: Page, **wanted: int) -> None:
    page.wait_for_function("w => Object.keys(w).every(k => window.__lstmviz?.[k] === w[k])", arg=wanted)


def query_of(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlparse(page.url).query)


def test_every_key_changes_the_map(watch: Open) -> None:
    page = watch()
    box = page.get_by_label("sentence")
    box.press("End")
    pictures = {picture(page)}
    for number, key in enumerate("((x)", start=1):
        page.keyboard.press(key)
        wait_for_tokens(page, COLUMNS + number)
        pictures.add(picture(page))
    assert len(pictures) == 5
    assert box.input_value() == TEXT + "((x)"
    assert not page.problems


def test_pasted_lines_keep_their_ends(watch: Open) -> None:
    page = watch()
    box = page.get_by_label("sentence")
    box.fill("(x)")
    wait_for_tokens(page, 4)
    box.press("End")
    page.evaluate("() => navigator.clipboard.writeText('\\n(x)\\r\\n(x)\\n')")
    page.keyboard.press("Control+v")
    wait_for_tokens(page, 13)
    assert box.input_value() == "(x)⏎(x)⏎(x)⏎"
    page.evaluate("() => navigator.clipboard.writeText('xx')")
    page.keyboard.press("Control+v")
    wait_for_tokens(page, 15)
    page.keyboard.press("Control+z")
    assert box.input_value() == "(x)⏎(x)⏎(x)⏎"
    assert not page.problems


def test_the_share_of_unknown_tokens_stands_beside_the_perplexity(watch: Open) -> None:
    page = watch(text="((xyzyzyzy")
    readout = page.locator(".readout")
    wait_for_selection(page, time=10)
    expect(readout).to_contain_text(re.compile("perplexity so far.*70\u00a0% <unk>", re.DOTALL))
    page.get_by_label("sentence").fill("(x)")
    wait_for_tokens(page, 4)
    expect(readout).not_to_contain_text("% <unk>")
    expect(readout).to_contain_text("perplexity so far")


# What somebody does in the very moment in which the readout tells the server that the map is on the screen: the page is
# busy from before that moment until after it, as on a slow machine.
AT_THAT_MOMENT = """
const type = () => {
  const input = document.querySelector(".st-key-text input");
  Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set.call(input, "(x)");
  input.dispatchEvent(new Event("input", { bubbles: true }));
};
const click = () => [...document.querySelectorAll("[role=radio]")].find(({ innerText }) => innerText === "all").click();
let looking = 0;
addEventListener("lstmviz:readout", () => {
  if (!window.__lstmviz) return;
  looking ||= setInterval(() => {
    const map = [...document.querySelectorAll("*")].map((host) => host.shadowRoot?.querySelector(".map")).find(Boolean);
    if (!map.map.reported) return; // what the map itself reports is another moment
    clearInterval(looking);
    for (const end = performance.now() + 700; performance.now() < end;);
    DEED;
  }, 20);
});
"""


@pytest.mark.parametrize("deed", ["setTimeout(type)", "click()"])
def test_a_person_and_a_part_of_the_page_are_both_answered_at_one_moment(page: Open, deed: str) -> None:
    query = urlencode({"model": MANY, "text": TEXT, "by": "server"})
    opened = page(f"?{query}", begin=AT_THAT_MOMENT.replace("DEED", deed))
    if "type" in deed:
        wait_for_tokens(opened, 3)
        assert opened.get_by_label("sentence").input_value() == "(x)"
    else:
        opened.locator(".map .note", has_text="mean of").wait_for()  # where all units are shown
    opened.locator(".js-plotly-plot").wait_for(timeout=15_000)  # which the server sends once it knows


def test_typing_the_same_again_is_drawn_again(watch: Open) -> None:
    page = watch(text="(x)" * 20)
    box = page.get_by_label("sentence")
    box.press("End")
    for _ in range(4):
        for key in ("(", "x", "Backspace", "Backspace"):
            page.keyboard.press(key)
            page.wait_for_timeout(30)
    page.keyboard.press("x")
    wait_for_tokens(page, 62)
    assert box.is_enabled()
    assert not page.problems


def test_a_map_that_lost_its_values_asks_for_them(watch: Open) -> None:
    page = watch(text="(x)" * 20, by="server")
    box = page.locator(".map")
    for _ in range(300):
        if box.evaluate("box => box.map.reported?.length") == 1:  # one block of 32 is whole
            break
        page.wait_for_timeout(100)
    box.evaluate("box => box.map.held.clear()")
    page.get_by_label("sentence").press("End")
    page.keyboard.press("(")
    wait_for_tokens(page, 62)
    assert box.evaluate("box => box.map.held.size") == 1
    assert not page.problems


def test_without_a_text_the_numbers_go(watch: Open) -> None:
    page = watch()
    page.locator(".readout h4").first.wait_for()
    page.get_by_label("sentence").fill("")
    page.get_by_text("There is nothing to read yet").wait_for()
    page.locator(".readout h4").first.wait_for(state="detached")
    page.get_by_label("sentence").fill("(x)")
    page.locator(".readout h4").first.wait_for()
    assert not page.problems


def test_another_model_selects_its_own_unit(watch: Open) -> None:
    page = watch(time=2, unit=3)
    page.get_by_role("combobox", name="model").click()
    page.get_by_role("option", name="agreement", exact=True).click()
    page.wait_for_function("window.__lstmviz?.annotation?.includes('number')")
    assert seen(page)["unit"] == 5
    page.get_by_role("combobox", name="model").click()  # and draws what it reads
    page.keyboard.type("expressions-nary")
    page.get_by_role("option", name="expressions-nary", exact=True).click()
    page.wait_for_function("window.__lstmviz?.level === 'node' && window.__lstmviz?.children.length === 3")
    page.get_by_label("sentence").press("End")
    for _ in "), 5)":
        page.keyboard.press("Backspace")
    page.get_by_text("Not finished yet: read as max(3, min(7, 2)).").wait_for()
    wait_for_tokens(page, 5)
    page.keyboard.type("), 9)")
    wait_for_tokens(page, 6)  # else End chooses the last of the five, and what was typed takes it away
    page.locator(".readout").get_by_text("node “9” (4)").wait_for()
    page.locator(".readout").get_by_text("Its forget gate is its parent's: “max” keeps").wait_for()
    page.locator(".map").focus()
    page.keyboard.press("End")
    page.locator(".readout").get_by_text("Says 9 (1.00), which is right.").wait_for()
    assert not page.problems


def test_click_moves_the_readout(watch: Open) -> None:
    page = watch()
    canvas = page.locator(".map canvas").first
    box = canvas.bounding_box()
    before = seen(page)
    # In the first panel, near its left edge: an early token, another unit.
    canvas.click(position={"x": box["width"] * 0.3, "y": box["height"] * 0.3})
    page.wait_for_function("t => window.__lstmviz?.time !== t", arg=before["time"])
    after = seen(page)
    assert (after["time"], after["unit"]) != (before["time"], before["unit"])
    expect(page.locator(".readout h4").first).to_contain_text(f"({after['time']}) · unit {after['unit']}")


@pytest.mark.parametrize(
    ("cell", "said"),
    [("gru", r", which saw \d+\s% of the past\."), ("gru_v1", r"; all candidates saw \d+\s% of what it held\.")],
)
def test_a_reset_gate_is_told_as_its_cell_applies_it(watch: Open, cell: str, said: str) -> None:
    page = watch(model=f"brackets/{cell}", time=3, unit=5)
    assert re.search(said, page.locator(".readout .cell .quiet").first.inner_text())
    assert not page.problems


def test_arrow_keys_move_the_selection(watch: Open) -> None:
    page = watch(time=3, unit=5)
    assert (seen(page)["time"], seen(page)["unit"]) == (3, 5)
    page.locator(".map").focus()
    page.keyboard.press("ArrowLeft")
    wait_for_selection(page, time=2, unit=5)
    page.keyboard.press("End")
    wait_for_selection(page, time=COLUMNS - 1, unit=5)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    page.wait_for_function("window.__lstmviz?.unit !== 5")


def rows(page: Page) -> list[int]:
    """The units of the first panel, from above."""
    return page.locator(".map").evaluate("box => box.map.view.panels[0].units")


# Text on a canvas leaves no trace in the page: this keeps where each piece of it was last drawn.
WRITTEN = """
window.written = [];
const fill = CanvasRenderingContext2D.prototype.fillText;
CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
  const { width } = this.measureText(text), at = this.getTransform();
  const here = [x + at.e / at.a, y + at.f / at.d];
  const left = here[0] - { left: 0, center: width / 2, right: width }[this.textAlign];
  const size = parseFloat(this.font.match(/([\\d.]+)px/)[1]);
  // Not what is slanted.
  if (!at.b) window.written.push({ text: `${text}`, left, right: left + width, y: here[1], size });
  fill.apply(this, arguments);
};
"""


def written(page: Page) -> list[dict]:
    """What stands on the map, drawn anew."""
    return page.locator(".map").evaluate("box => { window.written = []; box.map.redraw(); return window.written; }")


def test_the_first_look_shows_the_units_that_can_be_told_apart(watch: Open) -> None:
    page = watch(model=MANY, text=SPEECH)
    shown = rows(page)
    assert 16 <= len(shown) <= 32 and len(set(shown)) == len(shown)
    assert seen(page)["unit"] in shown
    assert page.locator(".map").evaluate(
        "box => box.map.view.panels.every(({ pitch }) => pitch / box.map.view.dpr >= 5)"
    )
    numbers = page.locator(".map").evaluate("box => box.map.view.panels.map(({ units }) => units.join())")
    assert len(set(numbers)) == 1  # a row is one unit in every panel
    assert "of 256 units" in page.locator(".map .note").inner_text()
    # The selected unit's strip begins above the fold.
    strip = page.locator(".map").evaluate(
        "box => box.map.canvas.getBoundingClientRect().top + box.map.view.rolesTop + box.map.view.role"
    )
    assert strip <= 900


def test_each_row_has_its_number(browser_writes) -> None:
    page = browser_writes(model=MANY, text=SPEECH)
    gutter = page.locator(".map").evaluate("box => box.map.view.gutter")
    numbers = [int(w["text"]) for w in written(page) if w["text"].isdigit() and w["right"] <= gutter and w["left"] > 0]
    for unit in rows(page):
        assert numbers.count(unit) == 4  # once in every panel


def test_all_units_are_a_click_away_and_a_line_names_those_it_is_the_mean_of(watch: Open) -> None:
    page = watch(model=MANY, text=SPEECH)
    few = rows(page)
    page.get_by_role("radio", name="all", exact=True).click()
    page.wait_for_function("new URLSearchParams(location.search).get('units') === 'all'")
    page.locator(".map .note", has_text="mean of").wait_for()
    assert sorted(rows(page)) == list(range(256))
    map_ = page.locator(".map")
    line = map_.evaluate(
        """box => {
          const { view } = box.map, { panel, units, y, pitch } = view.panels[0], pool = Math.round(1 / pitch);
          const line = units.slice(pool, 2 * pool), { codes, size, low, high } = panel;
          const value = (unit) => low + (codes[3 * size + unit] / 65534) * (high - low);
          const mean = line.reduce((sum, unit) => sum + value(unit), 0) / pool;
          return { x: view.left + 3 * view.column + 2, y: y + 1.5 / view.dpr, units: line, mean };
        }"""
    )
    page.locator(".map canvas").first.hover(position={"x": line["x"], "y": line["y"]})
    tip = page.locator(".map .tip").inner_text()
    *first, last = [str(unit) for unit in line["units"]]
    assert f"mean of units {', '.join(first)} and {last} · forget gate f = {line['mean']:.3f}" in tip
    again = watch(model=MANY, text=SPEECH, units="all")
    assert rows(again) == rows(page)
    page.get_by_role("radio", name="telling").click()
    page.locator(".map .note", has_text="of 256 units").wait_for()
    assert rows(page) == few
    assert not page.problems


def test_a_selected_unit_is_always_shown(watch: Open) -> None:
    page = watch(model=MANY, text=SPEECH)
    hidden = next(unit for unit in range(256) if unit not in rows(page))
    count = len(rows(page))
    other = watch(model=MANY, text=SPEECH, unit=hidden)
    assert hidden in rows(other) and len(rows(other)) == count
    other.locator(".map").focus()
    other.keyboard.press("ArrowUp" if rows(other).index(hidden) else "ArrowDown")
    other.wait_for_function("hidden => window.__lstmviz?.unit !== hidden", arg=hidden)
    assert seen(other)["unit"] in rows(other) and seen(other)["unit"] != hidden


def test_rows_stay_while_somebody_types(watch: Open) -> None:
    page = watch(model=MANY, text=SPEECH)  # 59 tokens: the next choice is at 65
    before = rows(page)
    page.get_by_label("sentence").press("End")
    page.keyboard.type("Juliet")
    wait_for_tokens(page, len(SPEECH) + 6)
    page.keyboard.press("Backspace")
    wait_for_tokens(page, len(SPEECH) + 5)
    assert rows(page) == before


@pytest.mark.parametrize(("model", "text", "joint"), [("brackets", "(x", ""), ("agreement", "the key", " ")])
def test_a_next_token_is_appended_by_a_click(page: Open, model: str, text: str, joint: str) -> None:
    opened = page("?" + urlencode({"model": model, "text": text}))
    opened.wait_for_function("window.__lstmviz", timeout=30_000)
    box, likeliest = opened.get_by_label("sentence"), opened.locator(".readout .next").first
    likeliest.wait_for()
    expect(box).to_have_value(text)
    for press in (likeliest.click, lambda: likeliest.press("Enter")):
        before, tokens = box.input_value(), opened.evaluate("window.__lstmvizPainted.tokens")
        typed = seen(opened)["next"]["typed"][0]
        expect(likeliest).to_have_attribute("data-typed", typed)
        press()
        wait_for_tokens(opened, tokens + 1)
        assert box.input_value() == before + joint + typed
    assert likeliest.evaluate("button => button.matches(':focus')")  # so that the next Enter appends the next one


def test_fast_clicks_lose_nothing(watch: Open) -> None:
    page = watch(model=MANY, text="The ")
    box = page.get_by_label("sentence")
    button = page.locator(".readout .next").first
    button.dblclick()
    page.keyboard.press("Shift")  # no matter
    button.click(click_count=3)
    wait_for_tokens(page, 4 + 5)
    value = box.input_value()
    assert value.startswith("The ") and len(value) == 9
    box.press("End")
    page.keyboard.type("abc")
    wait_for_tokens(page, 12)
    assert box.input_value() == value + "abc"
    assert not page.problems


def test_a_found_unit_is_selected_by_a_click(watch: Open) -> None:
    page = watch(model=MANY, text=SPEECH, time=22)
    assert [what for what, _ in seen(page)["found"]] == ["opens", "shuts", "keeps", "writes", "changes"]
    changes = page.locator(".map").evaluate(
        """box => {
          const { data, view } = box.map, { codes, size } = data.panels.find(({ role }) => role === "cell");
          const moved = (unit) => Math.abs(codes[view.time * size + unit] - codes[(view.time - 1) * size + unit]);
          return [...Array(256).keys()].sort((a, b) => moved(b) - moved(a)).slice(0, 4);
        }"""
    )
    assert [unit["unit"] for unit in dict(seen(page)["found"])["changes"]] == changes
    page.locator(".readout .find", has_text="changes").get_by_role("button").nth(1).click()
    wait_for_selection(page, unit=changes[1], time=22)
    assert changes[1] in rows(page)
    page.wait_for_url(f"**unit={changes[1]}**")
    assert not page.problems


@pytest.mark.parametrize(
    ("model", "found"),
    [
        ("shakespeare-char-rnn-128", ["changes"]),
        ("shakespeare-char-gru-128", ["opens", "shuts", "keeps", "writes", "changes"]),
        ("brackets/slstm", ["opens", "shuts", "keeps", "writes", "changes"]),
        ("brackets/lstmp", ["opens", "shuts", "keeps", "writes", "changes"]),
        ("brackets/minlstm", ["opens", "shuts", "keeps", "writes", "changes"]),
    ],
)
def test_units_are_found_by_what_gates_do_whatever_the_cell(page: Open, model: str, found: list[str]) -> None:
    text = "(x(x)x)" if "/" in model else "to be or not"
    opened = page("?" + urlencode({"model": model, "text": text}))
    opened.wait_for_function("window.__lstmviz", timeout=30_000)
    assert [what for what, _ in seen(opened)["found"]] == found
    assert all(isinstance(unit["by"], int | float) for _, units in seen(opened)["found"] for unit in units)
    assert seen(opened)["found"][-1][1]


def test_where_the_perplexity_leaves_its_strip_there_is_a_mark(watch: Open) -> None:
    page = watch(model=MANY, text=SPEECH)
    beyond = page.locator(".map").evaluate("box => box.map.beyond")
    running = page.locator(".map").evaluate(
        "box => box.map.data.running_nll.map((nll) => nll === null ? 0 : Math.exp(nll))"
    )
    assert len(beyond) == 1
    stretch = running[beyond[0]["from"] : beyond[0]["to"] + 1]
    assert beyond[0]["most"] == pytest.approx(max(running)) == pytest.approx(max(stretch))
    assert min(stretch) > running[beyond[0]["to"] + 1]


@pytest.mark.parametrize("width", [1440, 700, 390])
def test_huge_numbers_do_not_overprint(browser_writes, width: int) -> None:
    page = browser_writes({"size": (width, 900)})
    for huge in (1024.5, -1.25e30, math.inf):
        page.locator(".map").evaluate(
            """(box, [huge, infinite]) => {
              const { map } = box, cell = map.data.panels.find(({ role }) => role === "cell");
              const high = infinite ? 1e308 : Math.abs(huge); // between −1e308 and 1e308 there is no number, but ∞
              Object.assign(cell, { low: -high, high, limit: high / 2, mean: huge });
              for (let k = 1; k < cell.codes.length; k += 2) cell.codes[k] = huge < 0 ? 0 : 65534;
              map.data.nll = map.data.nll.map(() => 1234.5);
              map.data.running_nll = map.data.running_nll.map(() => 700);
              map.selection.keep({ unit: 9 });
              map.arrange();
              map.announce();
            }""",
            [0 if math.isinf(huge) else huge, math.isinf(huge)],
        )
        texts = [w for w in written(page) if w["text"].strip()]
        assert any(any(sign in w["text"] for sign in ("1024", "1025", "e30", "∞", "e308")) for w in texts)
        wide, gutter, end = page.locator(".map").evaluate(
            "box => [box.querySelector('.scroll').clientWidth, box.map.view.gutter, box.map.view.end]"
        )
        for w in texts:
            assert w["left"] >= 0 and w["right"] <= wide + 0.5, w
        margins = [w for w in texts if w["right"] <= gutter + 1 or w["left"] >= end]
        for k, a in enumerate(margins):
            for b in margins[:k]:
                apart = a["right"] <= b["left"] + 1 or b["right"] <= a["left"] + 1
                assert apart or abs(a["y"] - b["y"]) >= 0.7 * min(a["size"], b["size"]), (a, b)
        values = page.locator(".readout .value")
        assert values.evaluate_all("all => all.every((value) => value.scrollWidth <= value.clientWidth)")


@pytest.fixture
def browser_writes(page: Open) -> Callable[..., Page]:
    """As ``watch``, with what is written on the canvas kept."""

    def open_page(options: dict | None = None, **query) -> Page:
        query = {"model": "brackets", "text": TEXT, **query}
        opened = page("?" + urlencode(query), begin=WRITTEN, **(options or {}))
        opened.wait_for_function("window.__lstmviz", timeout=40_000)
        opened.locator(".readout h4").first.wait_for()
        return opened

    return open_page


def test_link_reopens_the_view(watch: Open, page: Open) -> None:
    first = watch(time=3, unit=5)
    first.locator(".map").focus()
    first.keyboard.press("ArrowLeft")
    first.wait_for_url("**time=2**")
    query = query_of(first)
    assert (query["model"], query["text"], query["time"], query["unit"]) == (["brackets"], [TEXT], ["2"], ["5"])
    second = page("?" + urlparse(first.url).query)
    wait_for_tokens(second, COLUMNS)
    wait_for_selection(second, time=2, unit=5)
    expect(second.get_by_label("sentence")).to_have_value(TEXT)


def test_back_leaves_the_page_as_it_was_left(watch: Open) -> None:
    page = watch()
    page.get_by_label("sentence").press("End")
    page.keyboard.type("((x)")
    wait_for_tokens(page, COLUMNS + 4)
    page.get_by_role("link", name="Compare").click()
    page.locator(".compared canvas").first.wait_for(timeout=40_000)
    page.get_by_label("sentence").press("End")
    page.keyboard.type("?a")
    page.wait_for_function("new URLSearchParams(location.search).get('sentence')?.endsWith('?a')")
    compared = query_of(page)["sentence"]
    page.go_back()
    wait_for_tokens(page, COLUMNS + 4)
    expect(page.get_by_label("sentence")).to_have_value(TEXT + "((x)")
    page.go_forward()
    page.locator(".compared canvas").first.wait_for(timeout=40_000)
    assert query_of(page)["sentence"] == compared
    assert not page.problems


def test_back_has_the_sentence_that_nobody_typed(page: Open) -> None:
    opened = page("?model=brackets")
    opened.wait_for_function("location.search.includes('text=')", timeout=30_000)
    box = opened.get_by_label("sentence")
    sentence, tokens = box.input_value(), opened.evaluate("window.__lstmvizPainted.tokens")
    assert sentence
    opened.get_by_role("link", name="Compare").click()
    opened.locator(".compared canvas").first.wait_for(timeout=40_000)
    opened.go_back()
    expect(box).to_have_value(sentence)
    wait_for_tokens(opened, tokens)


def test_back_wins_over_what_was_typed_just_before(watch: Open) -> None:
    """What was typed is on its way to the server as Back is pressed, and the page is busy."""
    page = watch()
    page.get_by_role("link", name="Compare").click()
    page.locator(".compared canvas").first.wait_for(timeout=40_000)
    page.evaluate("""() => {
        const { replaceState } = history;
        history.replaceState = (...given) => {
            replaceState.apply(history, given);
            if (!`${given[2]}`.includes("%3Fa")) return;
            history.replaceState = replaceState;
            history.back();
            for (const end = performance.now() + 50; performance.now() < end;);
        };
    }""")
    page.get_by_label("sentence").press("End")
    page.keyboard.type("?a")
    wait_for_tokens(page, COLUMNS)
    expect(page.get_by_label("sentence")).to_have_value(TEXT)
    page.wait_for_function("text => new URLSearchParams(location.search).get('text') === text", arg=TEXT)
    assert not page.problems


@pytest.mark.parametrize("text", ["<script>alert(1)</script><img src=x onerror=alert(2)>", "🙂שלום漢a\u0301%{x}<unk>"])
def test_hostile_tokens_are_only_text(watch: Open, text: str) -> None:
    page = watch(text=text)
    page.on("dialog", lambda dialog: page.problems.append(dialog.message))
    page.locator(".map").focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    wait_for_selection(page, time=1)
    expect(page.locator(".readout h4").first).to_contain_text(f"“{text[0]}”")
    assert page.locator(".map script, .map img, .readout img").count() == 0
    assert not page.problems


def test_dark_mode_has_its_own_colours(watch: Open) -> None:
    light, dark = watch(), watch({"dark": True})
    assert seen(light)["mode"] == "light"
    assert seen(dark)["mode"] == "dark"
    assert picture(light) != picture(dark)
    assert not dark.problems


def test_a_gate_of_the_readout_is_held_on_inside(watch: Open) -> None:
    page = watch(text="((x)x)x)", time=4, unit=9)
    page.locator(".readout .hold").first.click()
    page.locator(".interventions .words").wait_for()
    assert page.locator(".interventions .words").inner_text() == "forget gate f of unit 9 held at 0.96 from “)” (4) on"
    page.locator(".interventions input[type=range]").fill("0")
    expect(page.locator(".interventions .words")).to_contain_text("held at 0.00")
    expect(page.locator(".hold .sum")).to_contain_text("worse")
    page.wait_for_url(re.compile(r"/inside\?.*hold=forget_gate\.9\+at\+0\+from\+4"))
    assert not page.problems
