"""In a class each browser owns what it made; at home nothing of that is there."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from lstmviz import checkpoint as checkpoints
from lstmviz.checkpoint import CheckpointError
from lstmviz.config import ModelConfig, TrainConfig
from lstmviz.data.corpora import import_text
from lstmviz.home import Home, turns_of
from lstmviz.training import limits, trainings
from lstmviz.training.folder import Run, RunConfig
from lstmviz.training.grid import lineup
from lstmviz.training.limits import Limit
from lstmviz.training.turn import Turn
from lstmviz.ui import sources
from lstmviz.ui.people import COOKIE, person_of
from lstmviz.ui.sources import Copy, Shipped, Trained, Uploaded, parse

FRAME = Path(__file__).parents[2] / "lstmviz/pages/frame.py"
SECRET, ME, OTHER = "5e" * 16, person_of("5e" * 16), "0123456789abcdef"
TRAIN = TrainConfig("brackets", bptt=16, batch_size=8, steps=2, eval_every=2)
CONFIG = RunConfig(TRAIN, ModelConfig(hidden_size=4), "x")


@pytest.fixture
def here(monkeypatch, tmp_path) -> Home:
    """The machine's own folders, in a class."""
    monkeypatch.setenv("LSTMVIZ_HOME", str(tmp_path))
    monkeypatch.setenv("LSTMVIZ_CLASS", "1")
    return Home.here()


def sent(monkeypatch: pytest.MonkeyPatch, **cookies: str) -> None:
    """These are the cookies that the browser sends."""
    monkeypatch.setattr(type(st.context), "cookies", cookies)


def trained(home: Home, name: str, checkpoint) -> None:
    checkpoints.save(checkpoint, Run.create(home.runs / name, CONFIG).folder / "best.safetensors")


def test_each_sees_what_is_theirs_and_the_teachers_and_what_a_link_shows(here: Home, make_checkpoint) -> None:
    mine, others = here.of(ME), here.of(OTHER)
    for home, name in ((here, "shown"), (mine, "mine"), (others, "theirs")):
        trained(home, name, make_checkpoint())
        home.corpora.parent.joinpath("text.txt").write_text("abc " * 99)
        import_text([home.folder / "text.txt"], f"{name}-text", home.corpora)
    assert [*map(str, Trained.every(mine))] == [f"run mine of {ME}", "run shown"]
    assert [*map(str, Trained.every(here))] == ["run shown"]
    assert [run.name for run in trainings.every(mine)] == ["mine"]  # which alone the Train page shows and steers
    theirs = f"run theirs of {OTHER}"
    assert parse(theirs).open().checkpoint.corpus_name == "test"
    assert sources.shared([theirs, "run shown", "brackets", f"{theirs} as lstm_split"]) == [theirs]
    assert parse(f"{theirs} as lstm_split") == Copy(Trained("theirs", OTHER), "lstm_split")
    for wrong in (f"run mine of {OTHER}", "run theirs", "run theirs of ../..", f"run ../{OTHER}/runs/theirs of {ME}"):
        with pytest.raises(CheckpointError, match="there is no checkpoint called"):
            parse(wrong).open()
        assert not sources.shared([wrong])


def test_at_home_there_is_one_home_for_all(here: Home, monkeypatch) -> None:
    monkeypatch.delenv("LSTMVIZ_CLASS")
    sent(monkeypatch, **{COOKIE: SECRET})
    app = AppTest.from_file(str(FRAME), default_timeout=60).run().switch_page("train.py").run()
    assert not app.exception and not any("LSTMVIZ_CLASS" in said.value for said in app.markdown)
    app.button(key="train").click()
    monkeypatch.setattr(trainings, "start", lambda what: None)
    app.run()
    assert [run.folder.parent for run in trainings.every(here)] == [here.runs]
    assert here.everybody() == [here] == here.read


def test_all_people_take_turns_of_one_machine(here: Home) -> None:
    assert turns_of(here.of(ME).runs) == turns_of(here.of(OTHER).runs) == turns_of(here.runs) == here.runs
    assert turns_of(here.folder / "elsewhere") == here.folder / "elsewhere"


def test_without_a_cookie_the_page_is_a_sentence(here: Home, monkeypatch) -> None:
    for cookies in ({}, {COOKIE: "../../x"}, {COOKIE: "short"}):
        sent(monkeypatch, **cookies)
        for name in ("watch.py", "train.py", "compare.py"):
            app = AppTest.from_file(str(FRAME), default_timeout=60).run().switch_page(name).run()
            assert not app.exception
            assert app.warning[0].value.startswith("This server is for a class")
    assert not (here.folder / "people").exists()


def test_in_a_class_nobody_names_folders_of_the_server(here: Home, monkeypatch) -> None:
    sent(monkeypatch, **{COOKIE: SECRET})
    app = AppTest.from_file(str(FRAME), default_timeout=60).run().switch_page("train.py").run()
    app.selectbox(key="task").select("classify").run()
    assert not app.exception and app.selectbox(key="images").options == ["digits"]


def test_the_page_of_a_class_keeps_to_its_limits(here: Home, monkeypatch) -> None:
    sent(monkeypatch, **{COOKIE: SECRET})
    monkeypatch.setattr(trainings, "start", lambda what: None)
    app = AppTest.from_file(str(FRAME), default_timeout=60).run().switch_page("train.py").run()
    assert not app.exception
    assert any("LSTMVIZ_CLASS" in said.value for said in app.markdown)
    table = next(said.value for said in app.markdown if said.value.startswith("| at most"))
    for limit in limits.LIMITS:
        assert f"| {limit.what} | {limit.person:,} | {limit.machine:,} |" in table
    for _ in range(limits.TRAININGS.person):
        app.button(key="train").click().run()
        assert not app.exception and not app.error
    app.button(key="train").click().run()
    assert "could not be started: each person of the class may have 3 trainings that run or wait" in app.error[0].value
    runs = trainings.every(here.of(ME))
    assert len(runs) == 3 and all(run.folder.parent == here.of(ME).runs for run in runs)
    assert len({run.name[-8:] for run in runs}) == 3  # no name can be guessed by who has the link of another


def test_what_is_too_much_is_refused_with_its_figure(here: Home, monkeypatch, make_checkpoint) -> None:
    mine, others = here.of(ME), here.of(OTHER)
    monkeypatch.setattr(limits, "TRAININGS", Limit("trainings", 2, 3, "wait"))
    monkeypatch.setattr(trainings, "start", lambda what: None)
    for home in (mine, others, others):
        trainings.begin(home, CONFIG, "one")
    with pytest.raises(ValueError, match=r"^each person of the class may have 2 trainings; wait$"):
        trainings.begin(others, CONFIG, "two")
    with pytest.raises(ValueError, match=r"^this machine takes 3 trainings of all people together, and has them"):
        trainings.go_on(mine, trainings.every(mine)[0])
    assert len(trainings.every(mine)) == 1 and len(trainings.every(others)) == 2
    trainings.begin(here, CONFIG, "the teacher's")
    monkeypatch.setattr(limits, "TRAININGS", Limit("trainings", 9, 9, "wait"))
    monkeypatch.setattr(limits, "KEPT", Limit("runs", 4, 9, "delete some"))
    with pytest.raises(ValueError, match="may have 4 runs; delete some"):
        trainings.begin_lineup(mine, lineup(TRAIN, {"hidden_size": 4}, ("lstm", "gru"), seeds=(0, 1)), 8, "many")

    monkeypatch.setattr(limits, "TEXTS", Limit("kept texts", 1, 9, "ask"))
    monkeypatch.setattr(limits, "MEGABYTES", Limit("MB", 2, 3, "ask"))
    trainings.keep(mine, "abc " * 10**5, "first")
    with pytest.raises(ValueError, match="may have 1 kept texts"):
        trainings.keep(mine, "abc", "second")
    with pytest.raises(ValueError, match="may have 2 MB"):
        trainings.keep(others, "abc " * 10**6, "large")
    trainings.keep(here, "abc " * 10**6, "large")  # at home, and for the teacher, nothing is limited

    monkeypatch.setattr(sources, "UPLOADS", Limit("models", 1, 9, "close one"))
    data = [checkpoints.dumps(make_checkpoint(seed=seed)) for seed in (1, 2)]
    monkeypatch.setattr(sources, "session", lambda kind, held={}: held.setdefault(kind, kind()))
    assert Uploaded.take(mine, data[0]) == Uploaded.take(mine, data[0])
    with pytest.raises(ValueError, match="may have 1 models; close one"):
        Uploaded.take(mine, data[1])
    assert Shipped.every()


@pytest.mark.skipif(not Path("/proc").exists(), reason="how much memory a process takes is read from /proc")
def test_a_training_that_waits_has_imported_nothing_large(tmp_path) -> None:
    assert "torch" not in subprocess.check_output(
        [sys.executable, "-c", "import sys, lstmviz.begin; print(*sys.modules)"], cwd=FRAME.parents[2], text=True
    ).split()  # fmt: skip
    run, turns = Run.create(tmp_path / "run", CONFIG), []
    while (turn := Turn(tmp_path)).take():
        turns.append(turn)
    trainings.start(run)
    states = [until(run, "queued")]
    taken = Path(f"/proc/{run.status().pid}/status").read_text()  # type: ignore[union-attr]
    assert int(taken.partition("VmRSS:")[2].split()[0]) < 60_000  # kB; with torch it is some 400,000
    run.ask("pause")
    states.append(until(run, "paused"))
    turns.pop().leave()  # which is not for who pauses
    time.sleep(0.5)
    states.append(run.status().state)  # type: ignore[union-attr]
    run.ask("resume")
    states.append(until(run, "finished"))
    assert states == ["queued", "paused", "paused", "finished"]
    turns.append(Turn(tmp_path))
    assert any(turns[-1].take() or time.sleep(0.1) for _ in range(100))  # it gives it back


def until(run: Run, state: str) -> str:
    """Wait for a state."""
    for _ in range(600):
        if (status := run.status()) and status.state == state:
            return state
        time.sleep(0.1)
    raise AssertionError(f"{run.status()}: {(run.folder / 'log.txt').read_text()}")
