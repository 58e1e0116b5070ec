"""The Train page in a real browser: a training outlives whatever happens to the page and the server."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from subprocess import Popen

import pytest
from playwright.sync_api import Browser, Page, expect

from lstmviz.home import Home
from lstmviz.training import trainings
from lstmviz.training.folder import Run

Serve = Callable[[], AbstractContextManager[tuple[str, Popen]]]


def step_of(run: Run) -> int:
    status = run.status()
    assert status is not None and status.state == "running", status
    return status.step


def goes_on(run: Run, since: int) -> None:
    """It takes further steps; on a busy machine an evaluation alone may take seconds."""
    for _ in range(240):
        if step_of(run) > since:
            return
        time.sleep(0.25)
    raise AssertionError(f"the training stands at step {since}")


def open_train(browser: Browser, address: str) -> Page:
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.goto(f"{address}/train")
    return page


def says(page: Page, text: str) -> None:
    expect(page.get_by_text(text, exact=False).first).to_be_visible(timeout=40_000)


def settles(page: Page) -> None:
    """What was chosen has reached the server, and its answer the page; a click on what is renewed meanwhile is lost."""
    page.wait_for_timeout(1000)
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning", timeout=60_000)


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


@pytest.mark.skipif(not os.path.exists("/proc"), reason="whether a process lives is read from /proc")
def test_a_training_outlives_the_page_and_the_server(browser: Browser, serve: Serve, home: Home) -> None:
    with serve() as (address, server):
        page = open_train(browser, address)
        page.get_by_text("5 minutes", exact=True).click()
        says(page, "steps or")
        settles(page)  # until the new budget stands in the form
        press(page, "Train")
        says(page, "running ·")
        (run,) = trainings.every(home)
        page.locator("canvas").first.wait_for(timeout=40_000)  # the gates of the probe sentence

        first = step_of(run)
        page.reload()
        says(page, "running ·")
        goes_on(run, first)

        server.send_signal(signal.SIGKILL)
        server.wait()
        goes_on(run, step_of(run))

    with serve() as (address, _):
        page, other = open_train(browser, address), open_train(browser, address)
        says(page, "running ·")
        says(other, "running ·")
        press(other, "pause")
        says(page, "paused ·")  # both see it
        press(page, "resume")
        says(other, "running ·")
        press(page, "play")
        says(page, "follows the nesting depth")
        press(page, "stop")
        says(page, "stopped ·")

        slider = page.locator(".moments input")
        slider.press("Home")
        expect(page.locator(".moments .step")).to_have_text("1")
        page.wait_for_timeout(1500)  # nothing brings it back
        expect(page.locator(".moments .step")).to_have_text("1")

        press(page, "delete")
        press(page, "delete it")
        expect(page.get_by_role("button", name="delete it")).to_have_count(0)
        expect(page.get_by_text("Error", exact=False)).to_have_count(0)
        assert not run.folder.exists()


@pytest.mark.skipif(not os.path.exists("/proc"), reason="whether a process lives is read from /proc")
@pytest.mark.parametrize("size", [(390, 844), (1440, 500)], ids=["phone", "scrolled"])
def test_what_was_just_begun_comes_into_view(browser: Browser, serve: Serve, home: Home, size: tuple[int, int]) -> None:
    with serve() as (address, _):
        page = browser.new_page(viewport={"width": size[0], "height": size[1]})
        page.goto(f"{address}/train")
        main, heading = page.locator("[data-testid=stMain]"), page.locator(".heading")
        page.get_by_text("5 minutes", exact=True).click()
        says(page, "steps or")
        settles(page)  # until the new budget stands in the form
        if size[0] > 800:  # on a wide screen the trainings stand beside the form, and scroll away
            page.get_by_text("more", exact=True).click()
            page.wait_for_timeout(500)
            main.evaluate("main => { main.scrollTop = document.querySelector('.st-key-train').offsetTop + 380; }")
            assert main.evaluate("main => main.scrollTop") > 300
        press(page, "Train")
        heading.wait_for(timeout=40_000)
        expect(heading).to_be_in_viewport(ratio=1, timeout=10_000)
        expect(heading).to_be_focused()
        says(page, "running ·")
        page.wait_for_timeout(2500)  # some looks at the training later
        expect(heading).to_be_in_viewport(ratio=1)
        page.locator(".map canvas").first.wait_for(timeout=40_000)  # until it stands there is no way down to it
        heading.hover()  # over a chart or a map the wheel may turn something else
        page.mouse.wheel(0, 3000)  # where a person goes then, the page stays
        expect(heading).not_to_be_in_viewport(timeout=10_000)
        page.wait_for_timeout(1500)
        expect(heading).not_to_be_in_viewport(timeout=100)
        press(page, "stop")
        says(page, "stopped ·")
        press(page, "resume")
        expect(heading).to_be_in_viewport(ratio=1, timeout=10_000)
        says(page, "running ·")  # its process is one that can be ended
        page.context.close()


# A press in the very moment in which the slider over the recorded training says where it was moved to: Streamlit sends
# one message, which names the slider's part of the page alone.
AT_THAT_MOMENT = """
(slider) => {
  slider.value = 3;
  slider.dispatchEvent(new Event("input", { bubbles: true }));
  setTimeout(() => document.querySelector(".st-key-train button").click(), 80);
  for (const end = performance.now() + 300; performance.now() < end;);
}
"""


def test_a_press_is_answered_whatever_else_is_said_and_what_is_in_view_stays_where_it_is(
    browser: Browser, serve: Serve, home: Home
) -> None:
    with serve() as (address, _):
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(f"{address}/train")
        says(page, "steps or")
        settles(page)
        page.locator(".moments input").evaluate(AT_THAT_MOMENT)
        expect(page.locator(".heading")).to_be_focused(timeout=40_000)
        says(page, "running ·")
        page.wait_for_timeout(2500)
        assert page.locator("[data-testid=stMain]").evaluate("main => main.scrollTop") == 0
        page.context.close()
