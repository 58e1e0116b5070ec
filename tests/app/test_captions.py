"""Texts that a label begins, on the pages and without a browser."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from lstmviz import checkpoint as checkpoints
from lstmviz.data.vocabulary import Vocabulary
from lstmviz.training import trainings
from lstmviz.ui import sources
from tests.app.said import compared, drawn, headers, notes, spoken
from tests.app.test_images import open_page

SHIPPED = Path(__file__).parents[2] / "checkpoints/caption"
TEXT = "the sheep near the dogs"


def writes(app: AppTest) -> str:
    """What the model writes on."""
    app.button(key="write").click().run()
    return app.text_input(key="text").value or ""


def test_the_label_is_chosen_and_counts_where_the_verb_may_come() -> None:
    app = open_page(model="sheep-lstm", text=TEXT, label="many then")
    assert not app.exception and not app.error and not app.warning
    (header,) = headers(app)
    assert header["tokens"] == ["many then", *TEXT.split()] and header["begun"]["label"] == "many then"
    depends = header["begun"]["depends"]
    assert min(depends[2], depends[5]) > 0.1 and max(depends[0], depends[1], depends[3], depends[4]) < 0.05
    assert any("One input, many outputs (1–N)" in note for note in notes(app))
    before = drawn(app, "bidi_component")
    app.button_group(key="label").set_value("one now").run()
    assert headers(app)[0]["tokens"][0] == "one now" and drawn(app, "bidi_component") == before
    app.text_input(key="text").set_value("").run()
    assert headers(app)[0]["tokens"] == ["one now"]  # of an empty text there is the label
    app.slider(key="temperature").set_value(0.1).run()
    text = writes(app)
    assert " is " in text and text.endswith("⏎") and writes(app) == text
    assert "it ends with ⏎, after which there is nothing" in spoken(app)


def test_a_label_of_the_link_that_the_model_does_not_know_gets_a_sentence() -> None:
    app = open_page(model="sheep-lstm", label="<b>three</b>")
    said = "The link asks for the label “<b>three</b>”, which the model does not know"
    assert not app.exception and said in spoken(app) and said in spoken(app.run())
    app.button_group(key="label").set_value("one then").run()
    assert said not in spoken(app)


def test_many_labels_are_a_menu_and_strange_ones_are_text(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shipped = checkpoints.load(SHIPPED / "sheep-lstm.safetensors")
    for name, labels in (("odd", ("[a](b)", "\u202e\n", "=1", "<i>")), ("few", ("a", "b", "c", "d"))):
        few = dataclasses.replace(shipped, reads=Vocabulary("label", labels))
        checkpoints.save(few, tmp_path / f"{name}.safetensors")
    many = {
        name: np.tile(weight, (4, 1)) if name == "labels.weight" else weight for name, weight in shipped.weights.items()
    }
    labels = Vocabulary("label", tuple(f"label {k}" for k in range(16)))
    model = dataclasses.replace(shipped.model, labels_read=16)
    checkpoints.save(
        dataclasses.replace(shipped, model=model, reads=labels, weights=many), tmp_path / "many.safetensors"
    )
    monkeypatch.setattr(sources, "FOLDER", tmp_path)
    app = open_page(model="odd", label="=1")
    assert not app.exception and headers(app)[0]["begun"]["label"] == "=1"
    app.selectbox(key="model").select("many").run()
    assert not app.exception and app.selectbox(key="label").value == "label 0"
    app.selectbox(key="label").select("label 6").run()
    assert headers(app)[0]["tokens"][0] == "label 6"
    app = open_page("compare", models=["odd", "few"])
    assert "nothing can be read by both" in spoken(app) and not app.exception


def test_models_are_compared_from_one_label() -> None:
    app = open_page("compare", models=["sheep-lstm", "sheep-rnn"], sentence=TEXT, begun="one then")
    assert not app.exception and not app.error and not app.warning
    header = compared(app)
    assert header["labels"][0] == "one then"
    (chart,) = [chart for chart in header["charts"] if chart["title"] == "label matters"]
    lstm, rnn = chart["lines"]
    assert lstm[-1] > rnn[-1] > 0.02  # that knows only half of it


def test_a_training_is_offered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LSTMVIZ_HOME", str(tmp_path))
    begun = []
    monkeypatch.setattr(trainings, "begin", lambda home, config, name, text: begun.append(config))
    app = open_page("train")
    app.selectbox(key="task").select("caption").run()
    assert not app.exception and not app.error and app.selectbox(key="data_caption").options[:2] == ["sheep", "count"]
    assert any("→" in code.value and code.value.startswith(("one", "many")) for code in app.code)
    app.button(key="train").click().run()
    assert begun[0].train.task == "caption" and begun[0].model.labels_read == 4
