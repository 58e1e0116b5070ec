"""A digit that is drawn with the mouse, in a real browser: the map answers while it is drawn."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

Open = Callable[..., Page]
SEVEN = [(0.25, 0.2), (0.75, 0.2), (0.42, 0.85)]  # of the pad, from the left and from the top
ONE = [(0.5, 0.15), (0.5, 0.85)]
MODEL = "mnist-lstm-128"


@pytest.fixture
def opened(page: Open) -> Page:
    """Watch with a model of images, once it shows the first."""
    opened = page(f"?model={MODEL}")
    opened.problems = []
    opened.on("pageerror", lambda error: opened.problems.append(str(error)))
    opened.locator(".pad").wait_for(timeout=60_000)
    says(opened, "6")
    return opened


def says(page: Page, digit: str) -> None:
    """Until the model is sure of that in the end."""
    sure = """(digit) => window.__lstmviz?.answer.startsWith(`Says ${digit} (`) &&
      Math.max(...window.__lstmviz.next.probabilities) > 0.9"""
    page.wait_for_function(sure, arg=digit, timeout=30_000)


def draw(page: Page, points: list[tuple[float, float]]) -> None:
    """A stroke of the mouse, whose button stays pressed."""
    box = page.locator(".pad").bounding_box()
    at = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*at[0])
    page.mouse.down()
    for point in at[1:]:
        page.mouse.move(*point, steps=10)


def test_a_drawn_digit_is_recognised_while_it_is_drawn(opened: Page) -> None:
    draw(opened, SEVEN)
    says(opened, "7")  # before the button is let go
    opened.mouse.up()
    opened.wait_for_function("() => new URL(location).searchParams.get('drawn')?.length === 28 * 28")
    opened.get_by_role("button", name="take the drawing away").click()
    says(opened, "6")  # the test image of before
    assert "drawn" not in opened.url
    draw(opened, ONE)
    opened.mouse.up()
    says(opened, "1")
    assert opened.locator(".likely button").count() == 0  # a label is no text to go on with
    opened.wait_for_timeout(600)
    address = opened.url
    opened.goto(address)
    opened.locator(".pad").wait_for(timeout=60_000)
    says(opened, "1")  # the link brings it back
    assert not opened.problems


def test_test_images_are_chosen_by_keys_and_clicks(opened: Page) -> None:
    images = opened.get_by_role("listbox", name="test images")
    images.focus()
    for _ in range(3):
        opened.keyboard.press("ArrowRight")
    says(opened, "2")
    opened.wait_for_function("() => new URL(location).searchParams.get('image') === '3'")
    opened.locator(".thumbs").click(position={"x": 34 + 4 + 10, "y": 10})
    opened.wait_for_function("() => new URL(location).searchParams.get('image') === '1'")
    says(opened, "6")
    assert opened.evaluate("__lstmviz.time") == 27  # still after the last row
    assert not opened.problems
