"""The Compare page in a real browser: all maps answer a key, a hover, a click, and the link keeps the view."""

from collections.abc import Callable
from urllib.parse import parse_qs, urlencode, urlparse

import pytest
from playwright.sync_api import Page, expect

Open = Callable[..., Page]
MODELS = ["shakespeare-char-lstm-128", "shakespeare-char-lstm-128 as lstm_split", "shakespeare-char-gru-128"]


@pytest.fixture
def compare(page: Open) -> Callable[..., Page]:
    """Opens three models and waits for their maps."""

    def open_compare(text: str = "to be", **query) -> Page:
        opened = page("compare?" + urlencode({"models": MODELS, "sentence": text, **query}, doseq=True))
        opened.problems = []
        opened.on("pageerror", lambda error: opened.problems.append(str(error)))
        wait_for_tokens(opened, len(text))
        # a click on what is renewed meanwhile is lost
        expect(opened.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning", timeout=60_000)
        return opened

    return open_compare


def wait_for_tokens(page: Page, count: int) -> None:
    page.wait_for_function("n => window.__lstmvizPainted?.tokens === n", arg=count, timeout=40_000)


def state(page: Page, what: str):
    """Something of the comparison itself."""
    return page.locator(".compared").evaluate(f"box => {what}".replace("this.", "box.map."))


def place(page: Page, model: int, time: int, slot: int = 0) -> dict[str, float]:
    """Where a model's value of a token is on the canvas."""
    return page.locator(".compared").evaluate(
        """(box, [model, time, slot]) => {
          const { view } = box.map, place = view.slots[slot].places[model], several = view.slots[slot].places.length;
          const left = view.left + model * (view.right - view.left + 16) / several; // 16 pixels between them
          const column = Math.min(view.column, view.blockWidth / (view.to - view.from));
          return {x: left + (time - view.from + 0.5) * column, y: place.y + place.height / 2};
        }""",
        [model, time, slot],
    )


def query_of(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlparse(page.url).query)


def test_every_model_answers_a_key(compare: Open) -> None:
    page = compare()
    before = state(page, "this.compared.models.map((model) => model.at.length)")
    page.get_by_label("sentence").press("End")
    page.keyboard.type(" or")
    wait_for_tokens(page, 8)
    assert (before, state(page, "this.compared.models.map((model) => model.at.length)")) == ([5] * 3, [8] * 3)
    assert state(page, "this.view.time") == 7  # the selection stays with the newest
    assert not page.problems


def test_a_hovered_token_lights_up_in_every_model(compare: Open) -> None:
    page = compare()
    page.locator(".compared canvas:not(.mark)").first.hover(position=place(page, 2, 3))
    shown = state(page, "this.hovers.filter((hover) => hover.style.display === 'block').length")
    assert shown == 4  # the sentence and three models
    expect(page.locator(".compared .tip")).to_contain_text("unit")


def test_a_click_selects_in_all_and_the_link_remembers(compare: Open) -> None:
    page = compare()
    page.locator(".compared canvas:not(.mark)").first.click(position=place(page, 1, 2))
    page.wait_for_url("**time=2**")
    unit = state(page, "this.view.unit")
    assert query_of(page)["unit"] == [str(unit)] and query_of(page)["of"] == [MODELS[1]]
    assert state(page, "this.compared.models.map(({ kin }) => kin === this.compared.models[this.view.model].kin)") == [
        True,
        True,
        False,
    ]
    page.reload()
    wait_for_tokens(page, 5)
    assert state(page, "[this.view.time, this.view.unit, this.view.model]") == [2, unit, 1]


def test_the_difference_of_two_layouts_of_one_model_is_nothing(compare: Open) -> None:
    page = compare(show="difference")
    assert state(page, "this.compared.models.map((model) => Boolean(model.subtracted))") == [False, True, False]
    most = state(page, "Math.max(...Object.values(this.compared.models[1].differences))")
    assert 0 <= most < 1e-4
    middle = state(page, "[...new Set(this.compared.models[1].data.panels.flatMap((panel) => [...panel.codes]))]")
    assert all(abs(code - 32767) <= 2 for code in middle)


def test_the_reference_can_be_pinned(compare: Open) -> None:
    page = compare(show="difference")
    page.get_by_role("button", name="make this the reference").nth(0).click()
    page.wait_for_url("**reference=**")
    assert query_of(page)["reference"] == [MODELS[1]]
    expect(page.locator(".title").nth(1).locator(".pinned")).to_be_visible()
    assert state(page, "this.compared.header.reference") == 1
    assert state(page, "this.compared.models.map((model) => Boolean(model.subtracted))") == [True, False, False]


def test_keys_move_through_tokens_units_and_models(compare: Open) -> None:
    page = compare()
    page.locator(".compared").focus()
    for key in ("ArrowLeft", "ArrowLeft", "ArrowDown", "3"):
        page.keyboard.press(key)
    assert state(page, "[this.view.time, this.view.model]") == [2, 2]
    page.wait_for_url("**of=shakespeare-char-gru-128**")
