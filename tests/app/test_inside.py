"""The Inside page without a browser: what it carries over from Watch, and what it says where it shows no model."""

from pathlib import Path

import pytest

from lstmviz import checkpoint as checkpoints
from lstmviz.ui import sources
from tests.app.said import address, here, open_app, spoken


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, make_checkpoint) -> None:
    """Checkpoints with a small model, a deep one, and one that is offered in the place of others."""
    for name, options in {"small": {}, "deep": {"num_layers": 3}, "brackets": {"hidden_size": 6}}.items():
        checkpoints.save(make_checkpoint(**options), tmp_path / f"{name}.safetensors")
    monkeypatch.setattr(sources, "FOLDER", tmp_path)


def test_what_watch_shows_is_carried_over_and_back() -> None:
    app = open_app(model="deep", text="abca", time="2", unit="3", layer="2")
    app.query_params.clear()  # as a link to another page does
    app.switch_page("inside.py").run()
    assert not app.exception
    assert app.selectbox(key="network").value == "deep" and app.text_input(key="read").value == "abca"
    assert here(app)["selection"] == {"time": 2, "unit": 3, "layer": 1}
    assert address(app)["layer"] == "2" and address(app)["network"] == "deep"
    app.text_input(key="read").set_value("abcab").run()
    app.selectbox(key="network").set_value("small").run()
    assert here(app)["selection"]["time"] == 2 and here(app)["section"] == "step"  # the same text, and token
    app.query_params.clear()
    app.switch_page("watch.py").run()
    assert app.selectbox(key="model").value == "small" and app.text_input(key="text").value == "abcab"
    assert not app.exception


@pytest.mark.parametrize("other", ["compare", "train"])
def test_from_another_page_a_link_goes_to_what_was_seen_last_and_back_to_what_its_address_says(other: str) -> None:
    app = open_app(model="deep", text="abca", time="2", unit="3", layer="all")
    app.query_params.clear()
    app.switch_page(f"{other}.py").run()
    app.query_params.clear()
    app.switch_page("watch.py").run()
    assert app.selectbox(key="model").value == "deep" and app.text_input(key="text").value == "abca"
    assert here(app)["selection"] == {"time": 2, "unit": 3, "layer": 0} and len(here(app)["layers"]) == 3
    app.query_params.clear()
    app.switch_page(f"{other}.py").run()
    for name, value in {"model": "deep", "text": "abca", "time": "1", "unit": "2", "layer": "3"}.items():
        app.query_params[name] = value
    app.switch_page("watch.py").run()
    assert here(app)["selection"] == {"time": 1, "unit": 2, "layer": 2} and not app.exception


@pytest.mark.parametrize(
    "wrong", [{"time": "99"}, {"unit": "nan"}, {"layer": "7"}, {"layer": "-1"}, {"time": "x", "read": ""}]
)
def test_a_link_to_what_is_not_there_shows_what_is(wrong: dict[str, str]) -> None:
    app = open_app().switch_page("inside.py")
    for name, value in {"network": "deep", "unit": "99", "view": "nothing", **wrong}.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    selection = here(app)["selection"]
    assert 0 <= selection["unit"] < 4 and selection["layer"] in range(3)  # a time past the end is the page's to mend


def test_a_model_that_the_server_answers_for_is_not_taken_apart() -> None:
    app = open_app(by="server").switch_page("inside.py").run()
    assert not app.exception and "can be watched, but not taken apart here" in spoken(app)
    assert not app.get("bidi_component")
    assert [button.label for button in app.button if button.label == "brackets"] == ["brackets"]


def test_back_shows_what_its_address_says_is_held_and_a_link_what_was_held_last() -> None:
    app = open_app(model="deep", text="abca")
    app.query_params.clear()
    app.switch_page("inside.py").run()
    app.switch_page("watch.py").run()
    app.session_state["Inside"].options["hold"] = "cut at 2"  # as *hold* on Watch does
    app.query_params.clear()
    app.switch_page("inside.py").run()
    assert here(app)["options"]["hold"] == "cut at 2"
    app.query_params.clear()
    app.switch_page("watch.py").run()
    for name, value in {"network": "deep", "read": "abca", "unit": "1", "hold": "cell at 0 from 0"}.items():
        app.query_params[name] = value
    app.switch_page("inside.py").run()
    assert here(app)["options"]["hold"] == "cell at 0 from 0" and not app.exception
