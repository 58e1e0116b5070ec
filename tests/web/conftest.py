"""The modules of ``web/`` as they are, in the browser that they are written for, without Streamlit."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route

WEB = Path(__file__).parents[2] / "lstmviz" / "web"
ADDRESS = "http://web.test"  # nothing leaves the browser


def open_web(browser: Browser) -> Page:
    """An empty page from which ``import("/words.js")`` takes the module of that name."""

    def serve(route: Route) -> None:
        path = WEB / route.request.url.removeprefix(ADDRESS).lstrip("/")
        if path.suffix == ".js" and path.is_file():
            route.fulfill(content_type="text/javascript; charset=utf-8", body=path.read_text(encoding="utf-8"))
        else:
            route.fulfill(content_type="text/html; charset=utf-8", body="<!doctype html><body></body>")

    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.route(f"{ADDRESS}/**", serve)
    page.goto(ADDRESS)
    return page


@pytest.fixture
def web_page(browser: Browser) -> Iterator[Page]:
    """A page of this test's own."""
    page = open_web(browser)
    yield page
    page.close()


@pytest.fixture(scope="session")
def shared_page(browser: Browser) -> Iterator[Page]:
    """A page of all tests, in which nothing is drawn."""
    page = open_web(browser)
    yield page
    page.close()


@pytest.fixture(scope="session")
def web(shared_page: Page) -> Callable[..., Any]:
    """Calls what a module exports: ``web("words.js", "number", 0.5)``; what it takes and gives is JSON, NaN and ±∞."""
    return lambda module, name, *args: shared_page.evaluate(
        "async ([module, name, args]) => (await import(`/${module}`))[name](...args)", [module, name, list(args)]
    )
