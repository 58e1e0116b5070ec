"""What the page is about now, on a page that can be scrolled."""

import json

import pytest
from playwright.sync_api import Page, expect

# A heading between two screens of nothing, of which `hear` is what the server says.
MOUNT = """async () => {
  const { default: mount } = await import("/heading.js");
  const added = () => document.body.appendChild(document.createElement("div"));
  const [above, place, below] = [added(), added(), added()];
  above.style.height = below.style.height = "2000px";
  window.hear = (text) => mount({ parentElement: place, data: new TextEncoder().encode(text) });
}"""


@pytest.mark.parametrize("begin", [0, 4000], ids=["below", "above"])
def test_what_was_just_begun_comes_into_view_and_from_there_a_person_goes_on(web_page: Page, begin: int) -> None:
    web_page.clock.install()
    web_page.evaluate(MOUNT)
    heading = web_page.locator(".heading")

    def arrive(when: int | None) -> None:
        web_page.evaluate("hear", json.dumps({"words": "mine", "arrived": when}))
        web_page.clock.run_for(600)  # it looks again while what stands around it comes

    arrive(None)
    web_page.evaluate("begin => scrollTo(0, begin)", begin)
    arrive(None)
    expect(heading).not_to_be_in_viewport()
    arrive(1)
    expect(heading).to_be_in_viewport(ratio=0.9)
    expect(heading).to_be_focused()
    web_page.evaluate("scrollBy(0, 900)")  # something has come above it
    web_page.clock.run_for(600)
    expect(heading).to_be_in_viewport(ratio=0.9)
    web_page.evaluate("scrollBy(0, -300)")
    at = web_page.evaluate("scrollY")
    arrive(2)
    assert web_page.evaluate("scrollY") == at  # it is in view
    web_page.mouse.wheel(0, 1500)
    expect(heading).not_to_be_in_viewport()
    arrive(2)
    web_page.clock.run_for(10_000)
    expect(heading).not_to_be_in_viewport()
