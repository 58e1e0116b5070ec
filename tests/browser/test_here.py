"""Models that answer in the page: the map follows the keys; the server hears of the text once they rest."""

from collections.abc import Callable
from subprocess import Popen

import pytest
from playwright.sync_api import Page

from tests.conftest import stopped

Open = Callable[..., Page]
Process = tuple[str, Popen]


def wait_for_tokens(page: Page, count: int) -> None:
    page.wait_for_function("n => window.__lstmvizPainted?.tokens === n", arg=count, timeout=30_000)


def seen(page: Page, what: str):
    return page.evaluate(f"window.__lstmviz.{what}")


def test_the_server_stands_still_and_typing_goes_on_drawing(page: Open, app_process: Process) -> None:
    opened = page("?model=brackets&text=(x)")
    wait_for_tokens(opened, 4)
    opened.get_by_text("how this model learned").wait_for()
    with stopped(app_process[1]):
        opened.get_by_label("sentence").press("End")
        opened.keyboard.type("((xx)x", delay=25)
        wait_for_tokens(opened, 10)
        assert seen(opened, "time") == 9
        opened.locator(".readout").get_by_text("(9)").first.wait_for()
    opened.wait_for_function("location.search.includes('text=%28x%29%28%28xx%29x')")  # and now it has heard
    assert opened.get_by_label("sentence").input_value() == "(x)((xx)x"
    wait_for_tokens(opened, 10)


def test_a_click_that_leaves_the_box_is_answered_and_so_are_the_keys_before_it(page: Callable[..., Page]) -> None:
    """They had not rested, so that both are said in one moment, as where somebody taps."""
    opened = page("?model=shakespeare-char-lstm&text=abc")
    wait_for_tokens(opened, 3)
    opened.get_by_text("how this model learned").wait_for()
    opened.get_by_role("textbox", name="sentence").press("End")
    opened.keyboard.type("d")
    opened.get_by_role("radio", name="all").click()
    opened.locator(".map .note", has_text="mean of").wait_for()
    opened.wait_for_function("location.search.includes('text=abcd')")


@pytest.mark.parametrize("model", ["shakespeare-char-lstm", "wikitext2-word-lstm"])  # characters, and words
def test_page_and_server_agree(page: Callable[..., Page], model: str) -> None:
    """The server looks once whether the page reckons as it does: nothing is said, and both draw the same."""
    said: list[str] = []
    answers = {}
    for by in ("", "&by=server"):
        opened = page("_stcore/health")
        opened.on("console", lambda message: said.append(message.text))
        opened.goto(opened.url.replace("_stcore/health", f"?model={model}{by}"))
        opened.wait_for_function("window.__lstmvizPainted?.tokens")
        opened.get_by_text("how this model learned").wait_for()
        if not by:
            opened.wait_for_timeout(1500)  # in which the server looks
        answers[by] = seen(opened, "roles.map(({ value, role }) => [role, value.toFixed(3)])"), seen(opened, "called")
    assert answers[""] == answers["&by=server"]
    assert not [line for line in said if "lstmviz" in line]


def test_a_page_that_lost_a_model_asks_for_it(page: Callable[..., Page]) -> None:
    opened = page("?model=brackets&text=(x)")
    wait_for_tokens(opened, 4)
    opened.get_by_text("how this model learned").wait_for()
    opened.evaluate("window.__lstmvizModels.clear()")
    opened.get_by_role("button", name="panels").click()
    opened.get_by_test_id("stPopoverBody").get_by_text("candidate").click()
    opened.wait_for_function("window.__lstmvizModels.size === 1")
    opened.get_by_text("candidate").first.wait_for()
    opened.keyboard.press("Escape")
    opened.get_by_role("textbox", name="sentence").fill("((x)")
    wait_for_tokens(opened, 5)


def test_several_models_go_on_side_by_side_without_the_server(page: Open, app_process: Process) -> None:
    opened, said = page("_stcore/health"), []
    opened.on("console", lambda message: said.append(message.text))
    query = "models=brackets&models=brackets+as+lstm_concat&show=difference&sentence=(x)"
    opened.goto(f"{app_process[0]}/compare?{query}")
    wait_for_tokens(opened, 4)
    opened.get_by_text("how they learned").wait_for()
    opened.wait_for_timeout(2000)  # in which the server looks whether the page reckons right
    with stopped(app_process[1]):
        opened.get_by_label("sentence").press("End")
        opened.keyboard.type("((xx)x", delay=25)
        wait_for_tokens(opened, 10)
        shown = "(box) => [box.map.view.time, box.map.compared.models.map(({ data }) => data.panels[0].codes.length)]"
        assert opened.locator(".compared").evaluate(shown) == [9, [10 * 16] * 2]
        assert opened.locator(".compared").evaluate("(box) => box.map.compared.models[1].subtracted")
    opened.wait_for_function("location.search.includes('sentence=%28x%29%28%28xx%29x')")
    assert not [line for line in said if "lstmviz" in line]
