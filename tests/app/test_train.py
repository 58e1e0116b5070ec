"""The Train page without a browser."""

import time
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from lstmviz.checkpoint import TrainConfig
from lstmviz.training.run import Run, RunConfig, runs
from lstmviz.ui import trainings

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(trainings, "FOLDER", tmp_path / "runs")
    return tmp_path / "runs"


def open_page() -> AppTest:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    return app.switch_page("lstmviz/pages/train.py").run()


def spoken(app: AppTest) -> str:
    return "\n".join(element.value for kind in (app.error, app.warning, app.info, app.caption) for element in kind)


def test_an_empty_page_says_what_to_do(folder: Path) -> None:
    app = open_page()
    assert not app.exception
    assert "Nothing has been trained yet" in spoken(app)
    assert "training tokens, 8 in the vocabulary" in spoken(app)


def test_train_starts_a_process_that_can_be_stopped_and_seen(folder: Path) -> None:
    app = open_page()
    app.button(key="train").click().run()
    assert not app.exception
    (run,) = runs(folder)
    give_up = time.monotonic() + 60
    while (status := run.status()) is None or status.step < 1:
        assert time.monotonic() < give_up, (run.folder / "log.txt").read_text()
        time.sleep(0.1)
    app.run()
    assert not app.exception
    app.button(key="stop").click().run()
    while run.status().state != "stopped":  # type: ignore[union-attr]
        assert time.monotonic() < give_up
        time.sleep(0.1)
    app.run()
    assert not app.exception
    assert app.button(key="restart").label == "resume"
    app.button(key="delete").click().run()
    assert not app.exception
    assert runs(folder) == []


def test_a_half_made_run_is_passed_over(folder: Path) -> None:
    (folder / "half").mkdir(parents=True)
    (folder / "half" / "config.json").write_text("")
    app = open_page()
    assert not app.exception
    assert "Nothing has been trained yet" in spoken(app)


def test_a_finished_run_shows_its_gates(folder: Path) -> None:
    config = RunConfig(
        TrainConfig("brackets", bptt=16, batch_size=8, steps=60, eval_every=20), {"hidden_size": 8}, "(x)"
    )
    run = Run.create(folder / "one", config)
    list(run.execute())
    app = open_page()
    assert not app.exception
    assert app.select_slider[0].value == 60
    app.select_slider[0].set_value(20).run()
    assert not app.exception
    assert app.select_slider[0].value == 20


def test_a_text_of_ones_own(folder: Path) -> None:
    app = open_page()
    app.selectbox(key="corpus").select("a text of your own").run()
    assert "Paste or upload a text" in spoken(app)
    app.text_area(key="text_pasted").set_value("too short").run()
    assert not app.exception
    assert "This cannot be trained" in spoken(app)
    app.text_area(key="text_pasted").set_value("the cat sat on the mat.\n" * 400).run()
    assert not app.exception
    assert "training tokens" in spoken(app)
    app.number_input(key="units_a text of your own").set_value(60_000).run()
    assert not app.exception
    assert "parameters" in spoken(app) and "GB" in spoken(app)
