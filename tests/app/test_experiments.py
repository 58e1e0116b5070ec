"""The Experiments page without a browser."""

import errno
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from lstmviz.config import ModelConfig
from lstmviz.data.corpora import SOURCES
from lstmviz.experiments.base import EXPERIMENTS, Experiment, Figure, Result, Setting, Table, Trained, own, shipped
from lstmviz.home import Home
from lstmviz.sizes import perplexity
from lstmviz.training import trainings
from lstmviz.training.folder import Record, RunConfig
from lstmviz.training.grid import Grid
from lstmviz.training.status import LIVING, write_status
from lstmviz.training.sweep import Sweep
from lstmviz.ui import form
from tests.app.said import spoken

ROOT = Path(__file__).parents[2]
TABLE = Table("validation perplexity", "evaluation", ("1", "2"), ("rnn", "gru"), {"rnn": (9.5, None)}, lowest=True)


def _grids(setting: Setting) -> dict[str, Grid]:
    train = replace(setting.train, unseen_apart=False, bptt=8, batch_size=8, steps=60, eval_every=30)
    config = RunConfig(train, ModelConfig(embedding_size=3, hidden_size=4))
    return {"": Grid(config, {"model.cell": ("rnn", "gru")})}


def _figures(trained: Trained) -> Iterator[Figure]:
    losses = [record.valid_nll for record in trained.records if record.valid_nll is not None]
    for row, nll in zip(TABLE.rows, losses, strict=True):
        yield Figure(TABLE.title, row, trained.config.model.cell, perplexity(nll))


TINY = Experiment(
    "tiny", "Tiny", "nobody", "Nothing.", "It *takes* a moment.", "brackets", (TABLE,), _grids, _figures,
    curves=("train_nll",),
)  # fmt: skip


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Home:
    monkeypatch.setenv("LSTMVIZ_HOME", str(tmp_path))
    monkeypatch.setitem(EXPERIMENTS, "tiny", TINY)
    return Home.here()


def open_page(title: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "lstmviz/pages/frame.py"), default_timeout=60)
    app.query_params["by"] = "server"  # what the page makes, other tests see
    app.session_state["experiment"] = title
    app.switch_page("experiments.py").run()
    assert not app.exception
    return app


def tables(app: AppTest) -> str:
    return "".join(each.proto.body for each in app.get("html") if 'class="figures"' in each.proto.body)


def keys(app: AppTest) -> list[str | None]:
    return [button.key for button in app.button]


def until(done: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 120
    while not done():
        assert time.monotonic() < give_up
        time.sleep(0.1)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_without_the_text_the_page_is_full_and_says_where_to_put_it(
    home: Home, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(form, "costs", lambda *_: (0.5, 1.0))  # timed in another test
    experiment = EXPERIMENTS[name]
    app = open_page(experiment.title)
    assert experiment.question in app.markdown[1].value
    for table in experiment.tables:
        assert f"**{table.title}**" in [each.value for each in app.markdown]
        assert table.columns[0] in tables(app)
    if shipped(name).exists():
        result = Result.load(shipped(name))
        assert "Nothing was measured" not in spoken(app) and result.command in [each.value for each in app.code]
    commands = "".join(each.value for each in app.code)
    if not experiment.is_generated:
        fetched = f"corpus fetch {experiment.corpus}" if experiment.corpus in SOURCES else ""
        assert (fetched or f"corpus import FOLDER --name {experiment.corpus}") in commands
        assert app.selectbox[0].value == "agreement"  # instead
    assert "run" in keys(app) and "models on" in spoken(app)  # what it costs


def test_it_is_run_cancelled_resumed_and_its_figures_come(home: Home) -> None:
    app = open_page("Tiny")
    assert "9.5" in tables(app) and "Nothing was measured here yet" in spoken(app)
    (setting,) = [TINY.setting("brackets")]
    line_ups = [*TINY.line_ups(setting, home.runs)]
    app.button(key="run").click().run()
    assert not app.exception and "cancel" in keys(app)
    until(lambda: all((status := Sweep(folder).status()) and status.state == "running" for folder in line_ups[:1]))
    app.button(key="cancel").click().run()
    until(lambda: all((s := Sweep(folder).status()) and s.state not in LIVING for folder in line_ups))
    app.run()
    assert not app.exception
    if "resume" in keys(app):  # where it was not faster than who cancelled it
        app.button(key="resume").click().run()
        until(lambda: all((s := run.status()) and s.state == "finished" for f in line_ups for run in Sweep(f).runs()))
        until(lambda: all((s := Sweep(folder).status()) and s.state not in LIVING for folder in line_ups))
        app.run()
    assert not app.exception and not app.error
    kept = Result.load(own("tiny", home))
    assert {member.name for member in kept.members} == {"rnn", "gru"} and kept.corpus == "brackets"
    found = kept.measured(TABLE)["rnn"]["1"]
    assert f"{found:.1f}" in tables(app) and f"{found - 9.5:+.1f}".replace("-", "−") in tables(app)
    assert "run" not in keys(app) and "resume" not in keys(app) and kept.command in [each.value for each in app.code]
    app.button(key="delete").click().run()
    assert not app.exception and "run" in keys(app)
    assert f"{found:.1f}" in tables(app)  # the figures stay


def test_on_a_full_disk_the_figures_stay_as_they_were_until_there_is_room(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting, path = TINY.setting("brackets"), own("tiny", home)
    for folder, grid in TINY.line_ups(setting, home.runs).items():
        for run in Sweep.create(folder, grid, len(setting.corpus.vocabulary)).runs():
            records = [Record(step, 0.5, 1.0, 2.0, 1.5, True, 0.1, 1.0, 1000.0).dumps() for step in (30, 60)]
            (run.folder / "metrics.jsonl").write_bytes(b"".join(records))
            write_status(run.folder, "finished", 60)
    Result("tiny", "an earlier command", "brackets", "0" * 64, 8).save(path)
    os.utime(path, (0, 0))
    earlier = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", full)
        app = open_page("Tiny")
    assert "Its figures cannot be kept: the disk is full; make room and try again" in spoken(app)
    assert path.read_bytes() == earlier
    app.button(key="keep").click().run()
    assert not app.exception and not app.error and "keep" not in keys(app)
    assert {member.name for member in Result.load(path).members} == {"rnn", "gru"}
    assert f"{perplexity(1.5):.1f}" in tables(app)


def test_a_damaged_result_is_said_and_the_one_that_comes_with_lstmviz_is_shown(home: Home) -> None:
    own("exploding", home).parent.mkdir()
    own("exploding", home).write_text('{"format": 1, "experiment": "exploding"')
    app = open_page(EXPERIMENTS["exploding"].title)
    assert "exploding.json" in app.warning[0].value and "Run it again" in app.warning[0].value
    assert "4,248.74" in tables(app)


def test_of_another_text_what_was_published_is_left_out(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    Result("tiny", "python -m lstmviz experiment tiny", "<b>novel</b>", "0" * 64, 12).save(own("tiny", home))
    monkeypatch.setitem(EXPERIMENTS, "tiny", replace(TINY, sha256="1" * 64))
    app = open_page("Tiny")
    assert "9.5" not in tables(app) and "another text than the published one" in spoken(app)
    assert "<b>novel" not in spoken(app)


def test_in_a_class_what_is_too_much_is_said_and_the_rest_is_begun_later(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[Path] = []
    monkeypatch.setattr(trainings, "start", lambda sweep: begun.append(sweep.folder))
    setting, mine = TINY.setting("brackets"), home.of("0" * 16)
    line_ups = TINY.line_ups(setting, mine.runs)
    line_ups |= {mine.runs / f"more-{k}": grid for k in range(3) for grid in line_ups.values()}
    size = len(setting.corpus.vocabulary)
    with pytest.raises(ValueError, match="each person of the class may have 3 trainings"):
        trainings.begin_experiment(mine, line_ups, size)
    assert begun == [*line_ups][:3]
    for folder in [each for done in begun for each in (done, *done.glob("*/config.json"))]:
        write_status(folder if folder.is_dir() else folder.parent, "finished", 60)
    trainings.begin_experiment(mine, line_ups, size)
    assert begun == [*line_ups]
