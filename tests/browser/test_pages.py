"""All pages in a real browser, in windows of several widths: links, order, pictures; what a person takes along."""

import os
import struct
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlparse

import pytest
from playwright.sync_api import Browser, Page, expect

Open = Callable[..., Page]
PHONE, ZOOMED = (390, 844), (720, 450)  # and 1440 × 900 at 200 %
COMPARED = ["recall/lstm_concat", "recall/gru", "recall/rnn"]
WATCH = "?" + urlencode({"model": "brackets", "text": "(x(x)x)", "time": 3, "unit": 5})
COMPARE = "compare?" + urlencode({"models": COMPARED, "sentence": "bz?bxyx?b"}, doseq=True)


def painted(page: Page) -> Page:
    """Once a map is on the page, and all the rest: a click on what is renewed meanwhile is lost."""
    page.wait_for_function("window.__lstmvizPainted", timeout=60_000)
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning", timeout=60_000)
    return page


def top_of(page: Page, selector: str) -> float:
    box = page.locator(selector).first.bounding_box()
    assert box is not None, selector
    return box["y"]


def sideways(page: Page) -> float:
    """By how much the page is wider than its window."""
    return page.locator("[data-testid=stMain]").evaluate("main => main.scrollWidth - main.clientWidth")


def test_the_links_of_the_pages_are_there_at_every_width(page: Open) -> None:
    opened = painted(page(WATCH))
    for width, height in (PHONE, ZOOMED, (1440, 900)):  # at each of which each page is made anew
        opened.set_viewport_size({"width": width, "height": height})
        for name, path in (("Compare", "/compare"), ("Train", "/train"), ("Watch", "/")):
            link = opened.get_by_role("link", name=name, exact=True)
            expect(link).to_be_in_viewport(ratio=1)
            link.click()
            opened.wait_for_function("path => location.pathname === path", arg=path)
            assert sideways(opened) == 0, (width, path)


@pytest.mark.parametrize("size", [PHONE, ZOOMED], ids=lambda size: str(size[0]))
def test_on_a_narrow_screen_the_numbers_go_before_the_map(page: Open, size: tuple[int, int]) -> None:
    opened = painted(page(WATCH, size=size))
    opened.locator(".readout h4").first.wait_for()
    order = [".st-key-pages", ".st-key-choice", ".st-key-bar", ".st-key-text", ".st-key-tokens", ".readout", ".map"]
    tops = [top_of(opened, selector) for selector in order]
    assert tops == sorted(tops)
    assert sideways(opened) == 0


def test_on_a_phone_compare_gives_each_model_a_row(page: Open) -> None:
    opened = painted(page(COMPARE, size=PHONE))
    boxes = [row.bounding_box() for row in opened.locator(".facts:not(.ahead) .model").all()]
    assert len(boxes) == 3 and all(box and box["width"] > 300 for box in boxes)
    places = opened.locator(".compared").evaluate(
        "({map: {view}}) => view.slots.flatMap(({places}) => places.map(({y}) => [y, view.left, view.right]))"
    )
    assert len(places) == 4 * 3
    ys = [y for y, *_ in places]
    assert ys == sorted(ys) and len(set(ys)) == len(ys)  # one under the other
    assert all(right - left > 280 for _, left, right in places)
    assert top_of(opened, ".ahead") < top_of(opened, ".compared .scroll")
    canvas = opened.locator(".compared .scroll canvas").first
    canvas.scroll_into_view_if_needed()
    canvas.click(position={"x": 60, "y": ys[1] + 5})  # a map of the second model
    opened.wait_for_function(
        "document.querySelector('.st-key-comparison') && location.search.includes('of=recall%2Fgru')"
    )
    assert sideways(opened) == 0


def test_the_link_is_copied(page: Open) -> None:
    for path in (WATCH, COMPARE):
        opened = painted(page(path))
        opened.wait_for_function("location.search.includes('unit=')")  # that it chose itself
        link = opened.locator(".bar button", has_text="cop")
        expect(link).to_have_attribute("aria-label", "copy the link to this view")
        link.focus()
        opened.keyboard.press("Enter")
        expect(link).to_have_text("copied")
        copied = opened.evaluate("navigator.clipboard.readText()")
        assert copied == opened.url
        expected = parse_qs(urlparse(path).query)
        assert {name: parse_qs(urlparse(copied).query).get(name) for name in expected} == expected


def test_where_no_page_may_copy_the_link_is_shown(page: Open) -> None:
    opened = painted(page(WATCH))
    opened.evaluate(
        "() => { navigator.clipboard.writeText = () => Promise.reject(); document.execCommand = () => false; }"
    )
    opened.get_by_role("button", name="copy the link").click()
    field = opened.get_by_label("link to this view", exact=True)
    assert field.input_value() == opened.url
    assert field.evaluate("field => field.selectionEnd - field.selectionStart") == len(opened.url)
    opened.keyboard.press("Escape")
    expect(field).to_have_count(0)


@pytest.mark.parametrize("path", [WATCH, COMPARE], ids=["watch", "compare"])
def test_a_picture_has_the_chosen_size_and_light(page: Open, path: str, tmp_path: Path) -> None:
    opened = painted(page(path))
    before = opened.locator(".map .stage canvas").first.evaluate("canvas => canvas.toDataURL()")
    opened.get_by_role("button", name="save a picture").click()
    seen = set()
    for size, shape in (("1920 × 1080", (1920, 1080)), ("1600 × 900", (1600, 900)), ("1080 × 1080", (1080, 1080))):
        opened.get_by_label("size", exact=True).select_option(size)
        for light, dark in (("light", False), ("dark", True)):
            opened.get_by_label("light", exact=True).select_option(light)
            with opened.expect_download() as download:
                opened.get_by_role("button", name="save the picture").click()
            file = tmp_path / f"{size}-{light}.png"
            download.value.save_as(file)
            data = file.read_bytes()
            assert struct.unpack(">II", data[16:24]) == shape  # of the PNG's header
            seen.add(data)
            corner = opened.locator(".preview canvas").evaluate(
                "canvas => [...canvas.getContext('2d').getImageData(2, 2, 1, 1).data.slice(0, 3)]"
            )
            assert (max(corner) < 60) == dark
    assert len(seen) == 6
    opened.keyboard.press("Escape")
    assert before == opened.locator(".map .stage canvas").first.evaluate(
        "canvas => canvas.toDataURL()"
    )  # left as it was


def test_a_picture_shows_the_whole_sentence(page: Open) -> None:
    opened = painted(page("?" + urlencode({"model": "brackets", "text": "(x)" * 60})))
    shown = opened.locator(".map").evaluate(
        """({map}) => {
          const seen = [], pen = CanvasRenderingContext2D.prototype, text = pen.fillText;
          pen.fillText = function (words, ...rest) { seen.push(`${words}`); text.call(this, words, ...rest); };
          map.box.querySelector('button[aria-label^="save a picture"]').click();
          pen.fillText = text;
          return seen;
        }"""
    )
    assert any(words.startswith("(x)(x)(x)(x)(x)(x)") for words in shown)  # the headline
    assert any(words.startswith("brackets · lstm, 16 units · validation perplexity") for words in shown)


def test_the_tables_of_compare_can_be_saved(page: Open, tmp_path: Path) -> None:
    opened = painted(page(COMPARE))
    opened.get_by_role("button", name="export").click()
    with opened.expect_download() as download:
        opened.get_by_role("button", name="lines, a token a row").click()
    rows = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
    assert rows[0].startswith("position,token,model,loss,perplexity,half-life,keeps mean,")
    assert len(rows) == 1 + 3 * (1 + len("bz?bxyx?b"))
    with opened.expect_download() as download:
        opened.get_by_role("button", name="models (Markdown)").click()
    text = Path(download.value.path()).read_text(encoding="utf-8")
    assert text.startswith("| model | cell | parameters |") and all(f"| {name} |" in text for name in COMPARED)


def test_those_of_the_browser_follow_each_other(browser: Browser, request: pytest.FixtureRequest) -> None:
    """In one process of many: each other one would start a server and a browser of its own."""
    assert "PYTEST_XDIST_WORKER" not in os.environ or request.node.nodeid.endswith("@app")


def test_inside_shows_what_watch_does_and_back_leaves_each_as_it_was(page: Open) -> None:
    opened = painted(page(WATCH))
    opened.get_by_role("link", name="inside one step").click()
    opened.wait_for_function("location.pathname === '/inside' && location.search.includes('read=')")
    inside, note = "({inside}) => inside.selection.at", opened.locator(".map.inside .note")
    assert opened.locator(".map.inside").evaluate(inside) == {"time": 3, "unit": 5, "layer": 0}
    opened.locator(".strips").press("ArrowRight")
    told = "({inside}) => JSON.parse(inside.selection.told).time === 4"  # the server has heard of it
    opened.wait_for_function(told, arg=opened.locator(".map.inside").element_handle())
    opened.get_by_role("link", name="the map of all gates").click()
    opened.wait_for_function("location.pathname === '/' && location.search.includes('time=4')")
    opened.go_back()
    opened.wait_for_function("location.pathname === '/inside'")
    expect(note).to_contain_text("(4) · unit 5")
    assert opened.locator(".st-key-read input").input_value() == "(x(x)x)"
    assert sideways(opened) == 0
