"""Several people on one server, each in a browser of their own; what the server refuses, and has browsers refuse."""

import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from lstmviz import checkpoint as checkpoints
from lstmviz.config import ModelConfig, TrainConfig
from lstmviz.home import Home
from lstmviz.training.folder import Run, RunConfig
from lstmviz.ui.people import COOKIE, person_of
from tests.conftest import serving

EMPTY = "Nothing has been trained yet"


def says(page: Page, text: str) -> None:
    expect(page.get_by_text(text).first).to_be_visible(timeout=40_000)


def test_two_browsers_see_each_their_own_and_a_link_shows_one_model(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_checkpoint
) -> None:
    monkeypatch.setenv("LSTMVIZ_CLASS", "1")
    one, other = browser.new_context(), browser.new_context()
    first, second = one.new_page(), other.new_page()
    with serving(tmp_path) as (address, _):
        first.goto(address, wait_until="commit")
        (cookie,) = (cookie for cookie in one.cookies() if cookie.get("name") == COOKIE)
        assert cookie.get("httpOnly") and cookie.get("sameSite") == "Lax" and not cookie.get("secure")
        person = person_of(cookie.get("value", ""))
        run = Run.create(Home(tmp_path).of(person).runs / "mine", RunConfig(TrainConfig("brackets"), ModelConfig()))
        checkpoints.save(make_checkpoint(), run.folder / "best.safetensors")
    with serving(tmp_path) as (address, _):  # once more, as another process
        first.goto(f"{address}/train")
        expect(first.get_by_role("heading", name="mine")).to_be_visible(timeout=40_000)
        first.get_by_role("button", name="open in Watch").click()
        first.wait_for_url("**model=run*")
        link = urlsplit(first.url).query
        assert person in link and cookie.get("value", "") not in link + first.content()
        second.goto(f"{address}/?{link}")
        says(second, "next character")
        second.get_by_role("link", name="Train").click()
        says(second, EMPTY)
        expect(second.get_by_role("heading", name="mine")).to_have_count(0)
    one.close()
    other.close()


def handshake(address: str, **headers: str) -> str:
    """The status with which the server answers one who wants to open the websocket of a page."""
    place = urlsplit(address)
    asked = {"Host": place.netloc, "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
             "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==", **headers}  # fmt: skip
    lines = ["GET /_stcore/stream HTTP/1.1", *(f"{name}: {value}" for name, value in asked.items()), "", ""]
    with socket.create_connection((place.hostname, place.port), timeout=10) as sent:
        sent.sendall("\r\n".join(lines).encode())
        return sent.recv(100).split()[1].decode()


def test_pages_of_other_addresses_are_refused(browser: Browser, app_server: str) -> None:
    assert handshake(app_server) == handshake(app_server, Origin=app_server) == "101"
    port = int(app_server.rpartition(":")[2])
    for origin in (f"http://127.0.0.1:{port + 1}", f"http://localhost:{port}", "http://evil.example", "null"):
        assert handshake(app_server, Origin=origin) == "403", origin  # Streamlit itself takes the first two
    assert handshake(app_server, Host=f"evil.example:{port}", Origin=f"http://evil.example:{port}") == "403"
    page = browser.new_page()
    answer = page.request.get(app_server, headers={"Origin": f"http://127.0.0.1:{port + 1}"})
    assert answer.status == 403
    page.close()


def test_a_page_loads_nothing_from_elsewhere_and_stands_in_no_frame(browser: Browser, app_server: str) -> None:
    page = browser.new_page()
    violated: list[str] = []
    page.on("console", lambda said: violated.append(said.text) if "Content Security Policy" in said.text else None)
    answer = page.goto(app_server)
    assert answer and answer.headers["x-frame-options"] == "DENY" and COOKIE not in str(answer.all_headers())
    expect(page.locator("canvas").first).to_be_visible(timeout=40_000)
    expect(page.locator(".js-plotly-plot").first).to_be_visible(timeout=40_000)
    assert not violated
    fast = "[...window.__lstmvizModels.values()].every(({ model }) => typeof model.decoder.weight.times === 'function')"
    assert page.evaluate(fast)  # the policy lets models run as WebAssembly
    asked = "fetch('http://127.0.0.1:9/').catch(() => 0), new Image().src = 'http://127.0.0.1:9/x.png'"
    page.evaluate(asked)
    page.wait_for_timeout(300)
    assert len(violated) >= 2 and all("127.0.0.1:9/" in said for said in violated)
    page.set_content(f'<iframe src="{app_server}"></iframe>')
    page.wait_for_timeout(500)
    assert page.frames[-1].locator("#root").count() == 0
    page.close()
