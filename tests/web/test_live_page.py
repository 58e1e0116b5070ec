"""A page to keep, opened from the disk in a browser without a network."""

import gzip
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from lstmviz.checkpoint import load
from lstmviz.data.images import examples
from lstmviz.home import SHIPPED
from lstmviz.opened import OpenModel, prepare
from lstmviz.page import live_page
from lstmviz.reading import Reading, read, read_image
from lstmviz.wire import LEVELS, panels_of

Opens = Callable[..., Page]


def shipped(name: str) -> OpenModel:
    return prepare(load(SHIPPED / "checkpoints" / f"{name}.safetensors"))


@pytest.fixture(scope="module")
def brackets() -> OpenModel:
    return shipped("brackets")


@pytest.fixture
def opens(browser: Browser, tmp_path: Path) -> Iterator[Opens]:
    """Opens a page, or the text of one: ``opens({"brackets": opened}, "#text=()")``; it may ask no network."""
    asked: list[str] = []
    context = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True)

    def open_page(models: Mapping[str, OpenModel] | str, address: str = "", before: str = "") -> Page:
        path = tmp_path / "kept under another name.html"
        path.write_text(models if isinstance(models, str) else live_page(models), encoding="utf-8")
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        if before:
            page.add_init_script(before)
        page.goto(path.as_uri() + address)
        return page

    yield open_page
    context.close()
    assert all(re.match(r"file:.*/kept%20under%20another%20name\.html", url) for url in asked), asked


# Whether products are made by WebAssembly.
FAST = "[...window.__lstmvizModels.values()].every(({ model }) => typeof model.decoder.weight.times === 'function')"
DRAWN = """() => {
  const map = document.querySelector(".place-map")?.shadowRoot?.querySelector(".map").map, data = map?.data;
  const panels = data?.panels.map((panel) => ({ ...panel, codes: [...panel.codes] }));
  return data && { ...data, at: map.selection.at, panels };
}"""


def drawn(page: Page, tokens: list[str]) -> dict[str, Any]:
    """What the map shows, once it shows these."""
    for _ in range(200):
        if (data := page.evaluate(DRAWN)) and data["tokens"] == tokens:
            return data
        page.wait_for_timeout(25)
    raise AssertionError(f"the map shows {data and data['tokens']}, not {tokens}")


def assert_same(data: dict[str, Any], opened: OpenModel, reading: Reading) -> None:
    """What the page computed is what the model computes here."""
    panels, planes = panels_of(opened, reading, data["layers"], [])
    assert [panel["role"] for panel in data["panels"]] == [panel.role for panel in panels]
    for found, panel, plane in zip(data["panels"], panels, planes, strict=True):
        values = found["low"] + np.array(found["codes"]).reshape(plane.shape) / LEVELS * (found["high"] - found["low"])
        assert np.abs(values - plane).max() < 1e-4 * (panel.high - panel.low)
    nll = [np.nan if value is None else value for value in data["nll"]]
    assert np.allclose(nll, reading.trace.nll, atol=2e-4, equal_nan=True)


def test_what_is_typed_is_drawn_as_the_model_computes_it(opens: Opens, brackets: OpenModel) -> None:
    page = opens({"brackets": brackets})
    assert drawn(page, ["⏎", *"(x(xx(x(x)x))(x)x)"])["at"]["time"] == 18  # the first example
    assert page.evaluate(FAST)  # its policy lets it
    box = page.get_by_role("textbox")
    box.fill("")
    page.get_by_role("button", name="append (").click()
    box.press("End")
    box.press_sequentially("x(x))")
    data = drawn(page, ["⏎", *"(x(x))"])
    assert data["at"]["time"] == 6
    assert_same(data, brackets, read(brackets, "(x(x))"))  # pyright: ignore[reportArgumentType]
    box.press("Home")
    box.press_sequentially("xx")
    assert drawn(page, ["⏎", *"xx(x(x))"])["at"]["time"] == 2  # where the key was
    page.wait_for_url(re.compile("#.*time=2"))  # a copy of the address shows the same
    page.wait_for_url(re.compile(re.escape("text=xx%28x%28x%29%29")))
    page.reload()
    assert drawn(page, ["⏎", *"xx(x(x))"])["at"]["time"] == 2


def test_a_likely_token_is_appended_and_the_model_writes_on(opens: Opens, brackets: OpenModel) -> None:
    page = opens({"brackets": brackets}, "#text=(x")
    drawn(page, ["⏎", *"(x"])
    page.get_by_title("append ( to the sentence").click()
    drawn(page, ["⏎", *"(x("])
    page.get_by_text("continue", exact=True).click()
    page.get_by_label("tokens").fill("7")
    page.get_by_role("button", name="let the model write on").click()
    expect(page.get_by_role("textbox")).to_have_value(re.compile(r"^\(x\(.{7}$"))
    stop = page.get_by_role("button", name="let the model write no more")
    expect(stop).to_be_hidden()
    page.get_by_text("continue", exact=True).click()
    page.get_by_label("tokens").fill("200")
    page.get_by_role("button", name="let the model write on").click()
    stop.click()
    written = page.get_by_role("textbox").input_value()
    assert len(written) < 200
    drawn(page, ["⏎", *written])


def test_an_image_is_chosen_and_drawn(opens: Opens) -> None:
    digits = shipped("classify/digits-permuted-lstm")
    page = opens({"digits": digits}, "#image=2")
    rows = [f"row {k + 1}" for k in range(8)]
    data = drawn(page, rows)
    image = examples(8)[2]
    assert_same(data, digits, read_image(digits, image[:, :-1], int(image[0, -1])))
    pad = page.locator("canvas.pad").bounding_box()
    assert pad
    page.mouse.move(pad["x"] + 75, pad["y"] + 20)
    page.mouse.down()
    page.mouse.move(pad["x"] + 75, pad["y"] + 130, steps=6)
    page.mouse.up()
    drawing = drawn(page, rows)
    assert drawing["image"] != data["image"] and drawing["headline"].startswith("A drawing")
    page.wait_for_url(re.compile("drawn="))
    page.reload()
    assert drawn(page, rows)["image"] == drawing["image"]


def test_layer_units_panels_and_light_are_chosen(opens: Opens, make_checkpoint: Callable[..., Any]) -> None:
    page = opens({"two": prepare(make_checkpoint(num_layers=2, hidden_size=40))}, "#text=abc")
    assert drawn(page, [*"abc"])["layers"] == [0]
    page.get_by_label("all", exact=True).first.check()
    assert drawn(page, [*"abc"])["layers"] == [0, 1]
    assert drawn(page, [*"abc"])["telling"]
    page.get_by_role("radiogroup", name="40 units").get_by_label("all").check()
    assert not drawn(page, [*"abc"])["telling"]
    page.get_by_text("panels", exact=True).click()
    page.get_by_label("forget gate").uncheck()
    shown = {panel["role"] for panel in drawn(page, [*"abc"])["panels"] if panel["drawn"]}
    assert "forget_gate" not in shown and "input_gate" in shown
    page.keyboard.press("Escape")
    expect(page.get_by_label("forget gate")).to_be_hidden()
    page.get_by_role("button", name="make the page dark").click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(15, 19, 24)"


COMPARED = """() => {
  const compared = document.querySelector(".place-comparison")?.shadowRoot.querySelector(".map").map.compared;
  const panels = ({ data }) => data.panels.map((panel) => ({ ...panel, codes: [...panel.codes] }));
  return compared && { ...compared.header, panels: compared.models.map(panels) };
}"""


def compared(page: Page, labels: list[str], reference: str = "") -> dict[str, Any]:
    """What the comparison shows, once it shows these, with the model of that name as the reference."""
    for _ in range(200):
        data = page.evaluate(COMPARED)
        if data and data["labels"] == labels and reference in data["models"][data["reference"]]["id"]:
            return data
        page.wait_for_timeout(25)
    raise AssertionError(f"the comparison shows {data and data['labels']}, not {labels}")


def test_several_models_stand_side_by_side(opens: Opens) -> None:
    models = {name: shipped(f"lineups/recall/{name}") for name in ("lstm", "gru", "rnn")}
    page = opens(models, "#text=az?")
    box = page.get_by_role("textbox")
    box.press("End")
    box.press_sequentially("a")
    data = compared(page, ["⏎", *"az?a"])
    for (name, opened), panels in zip(models.items(), data["panels"], strict=True):
        reading = read(opened, "az?a")
        assert reading
        assert {panel["role"] for panel in panels} == {*opened.scales[0]}
        for panel in panels:
            plane, (low, high) = reading.tracks[panel["role"]][0], (panel["low"], panel["high"])
            values = low + np.array(panel["codes"]).reshape(plane.shape) / LEVELS * (high - low)
            assert np.abs(values - plane).max() < 1e-4 * (high - low), (name, panel["role"])
    assert [chart["name"] for chart in data["charts"]] == ["loss", "mean"]
    page.get_by_text("charts", exact=True).click()
    page.get_by_label("perplexity").check()
    assert [chart["name"] for chart in compared(page, data["labels"])["charts"]] == ["loss", "perplexity", "mean"]
    page.get_by_role("button", name="make this the reference").nth(1).click()
    assert compared(page, data["labels"], "rnn")["reference"] == 2
    page.get_by_label("difference").check()
    page.wait_for_url(re.compile("show=difference"))
    page.reload()
    data = compared(page, data["labels"], "rnn")
    assert data["difference"]


def test_a_page_that_was_saved_while_it_ran_is_alive(opens: Opens, brackets: OpenModel) -> None:
    page = opens({"brackets": brackets}, "#text=(x")
    drawn(page, ["⏎", *"(x"])
    again = opens(page.content(), "#text=()&time=nowhere&unit=99&layer=7&order=&drawn=1")  # nor does its address end it
    assert drawn(again, ["⏎", *"()"])["at"] == {"time": 2, "unit": 15, "layer": 0}
    assert again.get_by_role("textbox").count() == again.get_by_role("button", name="make the page").count() == 1
    again.get_by_role("textbox").fill("")
    expect(again.get_by_text("There is nothing to read yet.")).to_be_visible()


def test_a_page_that_was_changed_says_so(opens: Opens, brackets: OpenModel) -> None:
    page = live_page({"brackets": brackets})
    script, _, weights = re.findall(r'class="packed">([^<]*)<', page)

    def changed(block: str) -> str:
        """The page with one bit of a block other than it was when its sum was made."""
        data, packed = bytearray(gzip.decompress(b64decode(block))), b64decode(block)
        data[100] ^= 1
        return page.replace(block, b64encode(gzip.compress(bytes(data))[:-8] + packed[-8:]).decode())

    for damaged in (changed(weights), changed(script), page.replace(weights, weights[:-40])):
        expect(opens(damaged).locator("main")).to_contain_text("is not what was saved in it")
    opened = page.replace("async function open", "async  function open")
    assert opened != page
    expect(opens(opened).locator("main")).to_contain_text("the file was changed after it was saved")
    data = gzip.decompress(b64decode(script)).replace(b"this.problem = null", b"this.problem = true")
    other = opens(page.replace(script, b64encode(gzip.compress(data)).decode()))  # whole, but not the page's own
    expect(other.locator("main")).to_contain_text("the script did not run")


def test_a_browser_that_lacks_something_says_what(opens: Opens, brackets: OpenModel) -> None:
    page = opens({"brackets": brackets}, before="delete window.OffscreenCanvas;")
    expect(page.locator("main")).to_contain_text(
        "canvases that are not on the page. Chrome and Edge have it from version"
    )
