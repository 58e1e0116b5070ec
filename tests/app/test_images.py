"""Models that read an image row by row, on the pages and without a browser."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from lstmviz import checkpoint as checkpoints
from lstmviz.config import ModelConfig, TrainConfig
from lstmviz.data.images import as_code, examples, permute
from lstmviz.explain.tables import models_table, trace_table
from lstmviz.sizes import parameter_count
from lstmviz.training import trainings
from lstmviz.training.folder import Run, RunConfig
from lstmviz.training.process import execute
from lstmviz.ui import sources
from lstmviz.ui.session import Picture
from tests.app.said import address, compared, drawn, headers, notes, spoken

ROOT = Path(__file__).parents[2]
SHIPPED = sorted(path.stem for path in (ROOT / "checkpoints/classify").glob("*.safetensors"))


def open_page(page: str = "watch", **query: str | list[str]) -> AppTest:
    app = AppTest.from_file(str(ROOT / "lstmviz/pages/frame.py"), default_timeout=60)
    app.query_params["by"] = "server"  # what the page makes, other tests see
    for name, value in query.items():
        app.query_params[name] = value
    return app.run() if page == "watch" else app.switch_page(f"{page}.py").run()


def take(app: AppTest, **picture: str) -> AppTest:
    """Choose an image, or draw one."""
    app.session_state["Pictures"].shown = Picture(**picture)
    return app.run()


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_model_of_images_opens_with_the_first_test_image(name: str) -> None:
    app = open_page(model=name)
    assert not app.exception and not app.error and not app.text_input
    (header,) = headers(app)
    side = 28 if "mnist" in name else 8
    assert header["tokens"] == [f"row {t}" for t in range(1, side + 1)]
    image = examples(side)[0, :, :-1]
    assert header["image"] == as_code(permute(image, 0) if "permuted" in name else image)
    assert header["answer"]["known"] and header["answer"]["labels"][0] == f"{examples(side)[0, 0, -1]}"
    assert any("Many inputs, one answer" in note for note in notes(app))
    assert not [button for button in app.button if button.key == "write"]  # nothing goes on


def test_a_link_brings_the_image_back() -> None:
    app = open_page(model="digits-lstm", image="7", time="3")
    assert headers(app)[0]["image"] == as_code(examples(8)[7, :, :-1])
    assert address(app)["image"] == "7" and address(app)["drawn"] is None and address(app)["time"] == "3"
    code = as_code(np.eye(8, dtype=np.uint8) * 255)
    app = open_page(model="digits-lstm", drawn=code)
    assert headers(app)[0]["image"] == code and not headers(app)[0]["answer"]["known"]
    assert address(app)["drawn"] == code and address(app)["image"] is None


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"image": "299"}, "there is no test image '299'; they are numbered from 0 to 298"),
        ({"image": "-1"}, "there is no test image '-1'"),
        ({"image": "²"}, "there is no test image"),
        ({"image": "1" * 5000}, "there is no test image"),
        ({"drawn": "0" * 784}, "it has 28 × 28 pixels; the model reads images of 8 × 8"),
        ({"drawn": "<b>"}, "it is no image"),
    ],
)
def test_an_image_that_cannot_be_read_gets_a_sentence(query: dict[str, str], said: str) -> None:
    app = open_page(model="digits-lstm", **query)
    assert not app.exception
    assert said in spoken(app) and "This is the first of the test images" in spoken(app)
    assert headers(app)[0]["image"] == as_code(examples(8)[0, :, :-1])
    assert said not in spoken(take(app, image="1"))


def test_a_label_that_the_model_does_not_know_gets_a_sentence(monkeypatch, tmp_path, classifier) -> None:
    few = dataclasses.replace(classifier(labels="012").vocabulary)
    checkpoints.save(classifier(labels="012"), tmp_path / "few.safetensors")
    monkeypatch.setattr(sources, "FOLDER", tmp_path)
    shown = next(k for k, label in enumerate(examples(8)[:, 0, -1].tolist()) if f"{label}" not in few.ids)
    app = open_page(model="few", image=f"{shown}")
    assert not app.exception and "which the model does not know; it knows 0, 1, 2" in spoken(app)
    assert not headers(app)[0]["answer"]["known"]


def test_whatever_is_drawn_the_same_elements_are_drawn_anew_and_the_row_stays() -> None:
    app = open_page(model="digits-lstm", time="2")
    before = drawn(app, "bidi_component")
    for picture in ({"image": "5"}, {"drawn": "f" * 64}, {"drawn": "0" * 64}, {"image": "9999"}):
        assert drawn(take(app, **picture), "bidi_component") == before
        assert app.session_state["Watch"].selected.selection.time == 2


def test_text_and_image_are_kept_when_the_model_changes() -> None:
    app = open_page(model="brackets", text="(x)")
    app.selectbox(key="model").select("digits-lstm").run()
    take(app, image="12")
    app.selectbox(key="model").select("brackets").run()
    assert not app.exception and app.text_input(key="text").value == "(x)"
    app.selectbox(key="model").select("mnist-lstm-128").run()
    assert headers(app)[0]["image"] == as_code(examples(28)[12, :, :-1])


def test_the_values_of_an_image_can_be_saved() -> None:

    app = open_page(model="digits-lstm")
    reading = app.session_state["Readings"].watch
    table = trace_table(reading, sources.parse("digits-lstm").open().checkpoint.vocabulary)
    assert table["token"].unique().tolist() == [f"row {t}" for t in range(1, 9)]


# ---- Train -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("LSTMVIZ_HOME", str(tmp_path))
    return tmp_path


def test_a_task_is_offered_first_and_the_form_follows_it(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = []
    monkeypatch.setattr(trainings, "begin", lambda home, config, name, text: begun.append((config, name)))
    app = open_page("train")
    task = app.selectbox(key="task")
    assert task.options[:2] == ["a text: the next token", "an image: which digit it is"]
    task.select("classify").run()
    assert not app.exception and not app.error
    assert app.selectbox(key="images").options == ["digits", "a folder of idx files (MNIST)"]
    asked_for = {widget.key for widget in (*app.text_input, *app.number_input, *app.toggle)}
    assert not asked_for & {"bptt", "adaptive_softmax", "probe_brackets"}
    assert "1,199 images to learn from, 299 to validate, 299 to test: 8 × 8 pixels, 10 labels" in spoken(app)
    app.selectbox(key="begins").select("chrono").run()
    app.button(key="train").click().run()
    ((config, name),) = begun
    assert name == "digits-lstm" and config.train.task == "classify" and config.train.corpus == "digits"
    assert (config.model.row_size, config.model.chrono, config.probe) == (8, 8, "")
    assert "--task classify" in config.command and "row-size" not in config.command
    task.select("language").run()
    assert app.selectbox(key="corpus").value == "brackets" and "training tokens" in spoken(app)


def test_cells_of_one_size_are_so_with_the_rows_they_read(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = []
    monkeypatch.setattr(trainings, "begin_lineup", lambda home, grid, *rest: begun.append(grid))
    app = open_page("train")
    app.selectbox(key="task").select("classify").run()
    app.multiselect(key="cells").set_value(["lstm", "rnn"]).run()
    app.button(key="train").click().run()
    lstm, rnn = begun[0].members(10).values()
    counts = [parameter_count(member.model, 10) for member in (lstm, rnn)]
    assert 0 <= counts[0] - counts[1] < 200 and rnn.model.row_size == 8


@pytest.mark.parametrize("folder", ["nowhere", "empty"])
def test_a_folder_without_images_gets_a_sentence(folder: str, home: Path) -> None:
    (home / "empty").mkdir()
    app = open_page("train")
    app.selectbox(key="task").select("classify").run()
    app.selectbox(key="images").select("a folder of idx files (MNIST)").run()
    assert "Name a folder with the four idx files of MNIST" in spoken(app)
    app.text_input(key="images_folder").set_value(str(home / folder)).run()
    assert not app.exception and "This cannot be trained: there is no" in spoken(app)


def test_a_training_of_images_is_shown_by_its_accuracy(home: Path) -> None:
    train = TrainConfig("digits", task="classify", learning_rate=3e-2, steps=40, eval_every=20)
    run = Run.create(home / "runs/images", RunConfig(train, ModelConfig(hidden_size=8, embedding_size=4)))
    list(execute(run))
    app = open_page("train")
    assert not app.exception and not app.error
    table = app.dataframe[0].value
    accuracy = run.records()[-1].valid_accuracy
    assert accuracy is not None and table["accuracy"].tolist() == [pytest.approx(100 * accuracy, abs=30)]
    assert "best perplexity" not in table and "rows/s" in app.get("progress")[0].proto.text
    assert "% right" in app.get("progress")[0].proto.text
    (header,) = headers(app)
    assert header["noun"] == "row" and header["answer"]["known"] and header["image"]
    text = Run.create(
        home / "runs/text",
        RunConfig(TrainConfig("brackets", bptt=8, steps=2, eval_every=2), ModelConfig(hidden_size=4)),
    )
    list(execute(text))
    table = open_page("train").dataframe[0].value
    assert {"best perplexity", "accuracy"} <= set(table) and table["accuracy"].isna().sum() == 1


# ---- Compare ---------------------------------------------------------------------------------------------------------


def test_models_of_images_are_compared_on_one_image() -> None:
    app = open_page("compare", models=["digits-lstm", "digits-rnn"], image="7")
    assert not app.exception and not app.error and not app.warning and not app.text_input
    header = compared(app)
    assert header["noun"] == "row" and header["image"] == as_code(examples(8)[7, :, :-1])
    assert header["labels"] == [f"row {t}" for t in range(1, 9)]
    probability, mean = header["charts"]
    readings = app.session_state["Readings"].compare
    for line, reading in zip(probability["lines"], readings.values(), strict=True):
        np.testing.assert_allclose(line, np.exp(-reading.trace.nll), atol=1e-3)
    assert (probability["title"], mean["title"]) == ("probability", "keeps · mean")
    facts = {label: values for label, values, _ in header["facts"]}
    assert facts["right"] == ["98.66%", "97.99%"] and "perplexity" not in facts
    assert all(value.endswith("rows/s") for value in facts["reads here"])
    assert address(app)["image"] == "7"
    assert compared(take(app, drawn="f" * 64))["charts"][0]["unit"] == "of what each\nsays at last"
    tables = models_table({name: sources.parse(name).open() for name in ("digits-lstm", "digits-rnn")})
    assert tables["validation accuracy"].tolist() == [pytest.approx(0.9866, abs=1e-4), pytest.approx(0.9799, abs=1e-4)]


def test_models_of_another_task_are_not_offered_beside_those_chosen() -> None:
    app = open_page("compare")
    menu = app.multiselect(key="models")
    assert "brackets" in menu.options and "digits-lstm" not in menu.options
    menu.set_value([]).run()
    assert {"brackets", "digits-lstm"} <= set(app.multiselect(key="models").options)
    app.multiselect(key="models").set_value(["digits-lstm"]).run()
    menu = app.multiselect(key="models")
    assert menu.value == ["digits-lstm"] and "digits-rnn" in menu.options and "brackets" not in menu.options
    menu.set_value(["digits-lstm", "digits-rnn"]).run()
    assert not app.exception and compared(app)["noun"] == "row"


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ("brackets", "brackets reads a text, and digits-lstm images of 8 × 8 pixels: nothing can be read by both"),
        ("mnist-lstm-128", "mnist-lstm-128 reads images of 28 × 28 pixels, and digits-lstm images of 8 × 8 pixels"),
    ],
)
def test_a_link_with_mixed_tasks_says_why_not(other: str, said: str) -> None:
    app = open_page("compare", models=["digits-lstm", other, "digits-rnn"])
    assert not app.exception and said in spoken(app).replace("\\", "")
    assert len(compared(app)["models"]) == 2


def test_what_was_drawn_on_watch_is_read_on_compare() -> None:
    app = take(open_page(model="digits-lstm"), drawn="0f" * 32)
    app.query_params["models"] = ["digits-lstm", "digits-rnn"]
    app.switch_page("compare.py").run()
    assert not app.exception and compared(app)["image"] == "0f" * 32
