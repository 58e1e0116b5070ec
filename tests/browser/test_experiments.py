"""The Experiments page in a real browser: what it found out can be seen live."""

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect


def test_an_explanation_opens_the_models_in_compare(page: Callable[..., Page]) -> None:
    opened = page("experiments?experiment=Vanishing+gradients")
    expect(opened.get_by_role("cell", name="0.73")).to_be_visible(timeout=60_000)  # of the LSTM, 128 tokens back
    opened.get_by_text("four cells hold a symbol, or lose it").click()
    expect(opened).to_have_url(re.compile(r"/compare\?.*models=recall%2Frnn.*models=recall%2Fminlstm"), timeout=30_000)
    expect(opened.locator(".st-key-sentence input")).to_have_value("bxyzzyxyzxyzzyxyzyxzyzxyxzzyxyz?b", timeout=30_000)
    opened.wait_for_function("window.__lstmvizPainted", timeout=60_000)
    assert not opened.get_by_text("are not here").count()
