"""The Watch page in a real browser: the map answers keys, the pointer and links."""

import re
from collections.abc import Callable
from urllib.parse import parse_qs, urlencode, urlparse

import pytest
from playwright.sync_api import Page

Open = Callable[..., Page]
TEXT = "(x(x)x)"
COLUMNS = 1 + len(TEXT)  # a grammar's sentence begins with the end of the one before


@pytest.fixture
def watch(page: Open) -> Callable[..., Page]:
    """Opens the small bracket model and waits for its map: ``watch(text="(x)", time=2)``."""

    def open_watch(options: dict | None = None, **query) -> Page:
        query = {"model": "brackets", "text": TEXT, **query}
        opened = page("?" + urlencode(query), **(options or {}))
        opened.problems = []  # JavaScript errors, of the page or reported by a component
        opened.on("pageerror", lambda error: opened.problems.append(str(error)))
        opened.on("console", lambda message: opened.problems.append(message.text) if "Error:" in message.text else None)
        wait_for_tokens(opened, 1 + len(query["text"]))
        opened.wait_for_function("window.__lstmviz")
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
    page.wait_for_function("w => Object.keys(w).every(k => window.__lstmviz[k] === w[k])", arg=wanted)


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
    page = watch(text="(x)" * 20)
    box = page.locator(".map")
    for _ in range(50):
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
    page.get_by_role("option", name="agreement").click()
    page.wait_for_function("window.__lstmviz.annotation?.includes('number')")
    assert seen(page)["unit"] == 5


def test_click_moves_the_readout(watch: Open) -> None:
    page = watch()
    canvas = page.locator(".map canvas").first
    box = canvas.bounding_box()
    before = seen(page)
    # In the first panel, near its left edge: an early token, another unit.
    canvas.click(position={"x": box["width"] * 0.3, "y": box["height"] * 0.3})
    page.wait_for_function("t => window.__lstmviz.time !== t", arg=before["time"])
    after = seen(page)
    assert (after["time"], after["unit"]) != (before["time"], before["unit"])
    title = page.locator(".readout h4").first.inner_text()
    assert f"({after['time']})" in title
    assert f"unit {after['unit']}" in title


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
    page.wait_for_function("window.__lstmviz.unit !== 5")


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
    assert second.get_by_label("sentence").input_value() == TEXT


def test_back_leaves_the_page_as_it_was_left(watch: Open) -> None:
    page = watch()
    page.get_by_label("sentence").press("End")
    page.keyboard.type("((x)")
    wait_for_tokens(page, COLUMNS + 4)
    page.wait_for_timeout(500)  # until the address tells it
    page.get_by_role("link", name="Compare").click()
    page.locator(".compared canvas").first.wait_for(timeout=40_000)
    page.get_by_label("sentence").press("End")
    page.keyboard.type("?a")
    page.wait_for_function("new URLSearchParams(location.search).get('sentence')?.endsWith('?a')")
    compared = page.url
    page.go_back()
    wait_for_tokens(page, COLUMNS + 4)
    assert page.get_by_label("sentence").input_value() == TEXT + "((x)"
    page.go_forward()
    page.locator(".compared canvas").first.wait_for(timeout=40_000)
    assert page.url == compared
    assert not page.problems


@pytest.mark.parametrize("text", ["<script>alert(1)</script><img src=x onerror=alert(2)>", "🙂שלום漢a\u0301%{x}<unk>"])
def test_hostile_tokens_are_only_text(watch: Open, text: str) -> None:
    page = watch(text=text)
    page.on("dialog", lambda dialog: page.problems.append(dialog.message))
    page.locator(".map").focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    wait_for_selection(page, time=1)
    assert f"“{text[0]}”" in page.locator(".readout h4").first.inner_text()
    assert page.locator(".map script, .map img, .readout img").count() == 0
    assert not page.problems


def test_dark_mode_has_its_own_colours(watch: Open) -> None:
    light, dark = watch(), watch({"color_scheme": "dark"})
    assert seen(light)["mode"] == "light"
    assert seen(dark)["mode"] == "dark"
    assert picture(light) != picture(dark)
    assert not dark.problems
