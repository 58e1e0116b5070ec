"""What the Inside page shows from the server: gradients, and how gates are used over a text."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from lstmviz import checkpoint as checkpoints
from lstmviz.ui import sources
from tests.app.said import open_app

MODELS: dict[str, dict] = {
    "small": {},
    "min": {"cell": "mingru"},
    "plain": {"cell": "rnn"},
    "tied": {"cell": "lstmp", "num_layers": 2, "embedding_size": 2, "tie_weights": True},
}


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, make_checkpoint: Callable) -> Callable[..., AppTest]:
    """The page as a link opens it, with small models of a, b, c, space and newline."""
    for name, options in MODELS.items():
        checkpoints.save(make_checkpoint(**options), tmp_path / f"{name}.safetensors")
    monkeypatch.setattr(sources, "FOLDER", tmp_path)
    return partial(open_app, "inside")


def charts(app: AppTest) -> list[dict]:
    return [json.loads(chart.proto.spec) for chart in app.get("plotly_chart")]


def said(app: AppTest) -> str:
    assert not app.exception
    return " ".join(each.value for each in [*app.info, *app.caption, *app.markdown, *app.error])


def test_gradients_are_those_of_the_selected_token(opened: Callable) -> None:
    app = opened(network="small", view="gradients", read="abc ab", time="3")
    assert "Which tokens made the model expect “␣”" in said(app)
    saliency, heat, distance, bptt, exploding = charts(app)
    assert [len(bars["y"]) for bars in saliency["data"]] == [3, 3]
    assert heat["data"][0]["z"]["shape"] == "6, 6"
    assert {line["name"] for line in distance["data"]} == {"lstm", "gru", "rnn"}
    assert len(bptt["data"][0]["y"]) == 3 and len(exploding["data"]) == 1
    app.slider(key="explode steps").set_value(7).run()
    assert len(charts(app)[-1]["data"][0]["x"]) == 8
    app.text_input(key="read").set_value("").run()
    assert "There is nothing to read: type a sentence." in said(app)
    app.text_input(key="read").set_value("a").run()
    assert "so it has no loss that a gradient could come from. Type another one." in said(app)
    app = opened(network="min", view="gradients", read="abc ab")
    assert "There is no such sum: mingru has no recurrent weights" in said(app)
    assert len(charts(app)) == 4
    app = opened(network="tied", view="gradients", read="abc ab", layer="2")  # other cells beside it cannot be tied
    assert "What each step says of the recurrent weights of layer 2" in said(app)


def test_gates_are_counted_over_a_text_until_its_end(opened: Callable) -> None:
    app = opened(network="small", view="over a text", read="abc ab")
    assert not charts(app)
    app.selectbox(key="over text").set_value("my own text").run()
    app.button(key="over count").click().run()
    assert "This text cannot be read: there is nothing to read" in said(app)
    app.text_area(key="over own").set_value("abc ab " * 60).run()
    app.button(key="over count").click().run()
    assert "420 tokens were read." in said(app.run())
    assert len(charts(app)) == 1
    assert len(app.dataframe[0].value) == 4
    app.text_area(key="over own").set_value("abc").run()
    assert not charts(app)  # what was counted is of another text
    app.selectbox(key="over text").set_value("what it writes itself").run()
    app.button(key="over count").click().run()
    assert "2,000 tokens were read." in said(app.run())
    assert "rnn has no gate between 0 and 1" in said(opened(network="plain", view="over a text", read="abc"))
