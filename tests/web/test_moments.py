"""The slider over training time, on an empty page: what it tells the server, and what it hears."""

import json

from playwright.sync_api import Page

STEPS = [1, 2, 4, 8]

# `hear` is a message of the server, and `said` what it is told.
MOUNT = """async () => {
  const { default: mount } = await import("/moments.js");
  const place = document.body.appendChild(document.createElement("div"));
  window.said = [];
  window.hear = (text) => mount({
    parentElement: place, data: new TextEncoder().encode(text), setTriggerValue: (...what) => said.push(what),
  });
}"""


def hear(page: Page, at: int, heard: float = 0.0) -> str:
    """What the slider shows after a message of the server."""
    page.evaluate("hear", json.dumps({"label": "", "steps": STEPS, "at": at, "heard": heard}))
    return page.locator(".step").inner_text()


def said(page: Page, count: int) -> list:
    """All that the server was told, once that is so much."""
    page.wait_for_function("count => said.length >= count", arg=count)
    return page.evaluate("said.map(([name, [step]]) => [name, step])")


def test_a_key_and_a_press_hold_it_where_it_stands(web_page: Page) -> None:
    web_page.evaluate(MOUNT)
    hear(web_page, 1)
    slider = web_page.locator("input")
    slider.press("Home")  # changes nothing
    assert said(web_page, 1) == [["moved", 1]]
    slider.press("Tab")
    slider.press("ArrowRight")
    assert said(web_page, 2)[1:] == [["moved", 2]]
    place = slider.bounding_box()
    assert place is not None
    hear(web_page, 8, heard=web_page.evaluate("performance.now()"))
    web_page.mouse.click(place["x"] + place["width"] - 4, place["y"] + place["height"] / 2)
    assert said(web_page, 3)[2:] == [["moved", 8]]


def test_what_the_server_said_before_it_heard_of_a_move_is_late(web_page: Page) -> None:
    web_page.evaluate(MOUNT)
    hear(web_page, 8)
    web_page.locator("input").press("Home")
    assert hear(web_page, 4) == "1"
    said(web_page, 1)
    heard = web_page.evaluate("said[0][1][1]")
    assert hear(web_page, 4) == "1"
    assert hear(web_page, 2, heard) == "2"
