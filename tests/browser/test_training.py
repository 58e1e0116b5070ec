"""The Train page in a real browser: a training outlives whatever happens to the page and the server."""

import os
import signal
import time
from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Page, expect

from lstmviz.home import Home
from lstmviz.training import trainings
from lstmviz.training.folder import Run
from tests.conftest import serving

Open = Callable[..., Page]


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
    """In a window of its own: of two pages in one, that behind is drawn late."""
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
def test_a_training_outlives_the_page_and_the_server(browser: Browser, home: Home, app_server: str) -> None:
    with serving(home.folder) as (address, server):  # one that ends; the other one goes on
        opened = open_train(browser, address)
        opened.get_by_text("5 minutes", exact=True).click()
        says(opened, "steps or")
        settles(opened)  # until the new budget stands in the form
        press(opened, "Train")
        says(opened, "running ·")
        (run,) = trainings.every(home)
        opened.locator("canvas").first.wait_for(timeout=40_000)  # the gates of the probe sentence

        first = step_of(run)
        opened.reload()
        says(opened, "running ·")
        goes_on(run, first)

        server.send_signal(signal.SIGKILL)
        server.wait()
        goes_on(run, step_of(run))
        run.ask("pause")  # so that the pages that open next have the processor to themselves
        opened.context.close()

    opened, other = open_train(browser, app_server), open_train(browser, app_server)
    says(opened, "paused ·")
    says(other, "paused ·")
    press(other, "resume")
    says(opened, "running ·")  # both see it
    press(opened, "pause")
    says(other, "paused ·")
    press(opened, "resume")
    says(other, "running ·")
    press(opened, "play")
    says(opened, "follows the nesting depth")
    press(opened, "stop")
    says(opened, "stopped ·")

    slider = opened.locator(".moments input")
    slider.press("Home")
    expect(opened.locator(".moments .step")).to_have_text("1")
    opened.wait_for_timeout(1500)  # nothing brings it back
    expect(opened.locator(".moments .step")).to_have_text("1")

    press(opened, "delete")
    press(opened, "delete it")
    expect(opened.get_by_role("button", name="delete it")).to_have_count(0)
    expect(opened.get_by_text("Error", exact=False)).to_have_count(0)
    assert not run.folder.exists()
    opened.context.close()
    other.context.close()


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


@pytest.mark.usefixtures("home")
def test_a_press_is_answered_whatever_else_is_said_and_what_begins_comes_into_view(page: Open) -> None:
    opened = page("train", size=(1440, 500))
    main, heading = opened.locator("[data-testid=stMain]"), opened.locator(".heading")
    opened.get_by_text("5 minutes", exact=True).click()
    says(opened, "steps or")
    settles(opened)  # until the new budget stands in the form
    opened.get_by_text("more", exact=True).click()  # the trainings stand beside the form, and scroll away
    opened.wait_for_timeout(500)
    main.evaluate("main => { main.scrollTop = document.querySelector('.st-key-train').offsetTop + 380; }")
    assert main.evaluate("main => main.scrollTop") > 300
    opened.locator(".moments input").evaluate(AT_THAT_MOMENT)
    expect(heading).to_be_focused(timeout=40_000)
    expect(heading).to_be_in_viewport(ratio=1, timeout=10_000)
    says(opened, "running ·")
    opened.locator(".map canvas").first.wait_for(timeout=40_000)  # until it stands there is no way down to it
    expect(heading).to_be_in_viewport(ratio=1)  # some looks at the training later
    heading.hover()  # over a chart or a map the wheel may turn something else
    opened.mouse.wheel(0, 3000)  # where a person goes then, the page stays
    expect(heading).not_to_be_in_viewport(timeout=10_000)
    opened.wait_for_timeout(1500)
    expect(heading).not_to_be_in_viewport(timeout=100)
    press(opened, "stop")
    says(opened, "stopped ·")
    press(opened, "resume")
    expect(heading).to_be_in_viewport(ratio=1, timeout=10_000)
