"""The Train page without a browser."""

import json
import os
import shutil
import time
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest

from lstmviz import cli
from lstmviz.checkpoint import Checkpoint, load
from lstmviz.config import ModelConfig, TrainConfig, options_of
from lstmviz.data import corpora
from lstmviz.data.corpora import import_text
from lstmviz.trace import trace_tokens
from lstmviz.training import loop, trainings
from lstmviz.training.budget import plan
from lstmviz.training.folder import Run, RunConfig, runs
from lstmviz.training.grid import lineup
from lstmviz.training.process import execute
from lstmviz.training.status import write_status
from lstmviz.training.sweep import Sweep
from lstmviz.ui import form, sources
from lstmviz.ui.sources import Trained
from tests.app.said import drawn, spoken

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("LSTMVIZ_HOME", str(tmp_path))
    return tmp_path / "runs"


def open_page() -> AppTest:
    app = AppTest.from_file(str(ROOT / "lstmviz/pages/frame.py"), default_timeout=60)
    app.query_params["by"] = "server"  # what the page makes, other tests see
    return app.switch_page("train.py").run()


def moment_shown(app: AppTest) -> int:
    """The step at which the slider over training time stands."""
    sent = [element.proto for element in app.get("bidi_component")]
    (data,) = (each.bytes for each in sent if each.component_name == "lstmviz_moments")
    return json.loads(data)["at"]


def test_an_empty_page_says_what_to_do_and_shows_a_recorded_training(folder: Path) -> None:
    app = open_page()
    assert not app.exception
    assert "Nothing has been trained yet" in spoken(app)
    assert "training tokens, 4 in the vocabulary" in spoken(app)
    assert "**A recorded training** of `brackets`: lstm, 12 units, 1,200 steps" in "".join(
        m.value for m in app.markdown
    )
    assert len(app.get("plotly_chart")) == 1 and moment_shown(app) == 1200
    assert "follows the nesting depth" in spoken(app) and "What it writes after 1,200 steps" in spoken(app)
    assert not [button for button in app.button if button.key in ("stop", "delete", "open", "restart")]  # not steered
    assert list(app.dataframe) == []
    app.button(key="play").click().run()
    seen = [moment_shown(app)]
    while app.button(key="play").label == "stop playing":
        app.run()
        seen.append(moment_shown(app))
    assert not app.exception
    assert seen == Run(trainings.RECORDED).probes() == [1, 2, 4, 8, 16, 32, 64, 128, *range(150, 1201, 150)]


def test_the_recorded_training_gives_way(folder: Path) -> None:
    config = RunConfig(
        TrainConfig("brackets", bptt=16, batch_size=8, steps=2, eval_every=2), ModelConfig(hidden_size=4), "(x)"
    )
    run = Run.create(folder / "mine", config)
    list(execute(run))
    app = open_page()
    assert not app.exception
    assert list(app.dataframe[0].value["run"]) == ["mine"]
    assert "recorded" not in "".join(m.value for m in app.markdown) and moment_shown(app) == 2
    app.button(key="delete").click().run()
    assert not app.exception
    assert "**A recorded training**" in "".join(m.value for m in app.markdown)


def test_the_recorded_training_is_one(folder: Path) -> None:
    run = Run(trainings.RECORDED)
    checkpoint = load(run.folder / "best.safetensors")
    config = run.config()
    assert config.train.corpus == checkpoint.corpus_name == "brackets"
    last = run.records()[-1]
    assert last.step == config.train.steps == checkpoint.step
    assert last.valid_nll == pytest.approx(checkpoint.results["valid_nll"], abs=0.005)  # of a part, and of all of it
    probe = run.snapshot().probe(checkpoint.step)
    again, _ = trace_tokens(checkpoint.build(), torch.tensor([*run_up(checkpoint), *probe.ids]))
    for name in ("forget_gate", "cell"):
        kept = again[name][:, -len(probe.ids) :]
        np.testing.assert_allclose(kept[:, 1:], probe.trace[name][:, 1:], atol=1e-4)
    assert sum(path.stat().st_size for path in run.folder.rglob("*") if path.is_file()) < 150_000


def run_up(checkpoint: Checkpoint) -> list[int]:
    """What a probe sentence is read after: the first lines of the validation text, without the end of the last."""
    text = corpora.open_corpus(checkpoint.train).valid[:300]
    return text[: int((text == checkpoint.vocabulary.end).nonzero()[-1])].tolist()


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


def test_the_form_asks_as_the_fields_say(folder: Path) -> None:
    app = open_page()
    small = {"hidden_size": 24, "embedding_size": 12}  # for a grammar
    for config in (ModelConfig, TrainConfig):
        for name, (default, known) in options_of(config).items():
            if (entry := known.entry) is None or name in (
                "max_words",
                "min_count",
                "bidirectional",
            ):  # of words, of tags
                continue
            if type(default) is bool:
                toggle = app.toggle(key=name)
                assert (toggle.label, toggle.value, toggle.help) == (entry.label, default, entry.help)
                continue
            box = app.number_input(key=f"{name}_brackets" if name in small else name)
            begin = small.get(name, default if entry.begin is None else entry.begin)
            low = known.range.low if entry.low is None else entry.low
            high = known.range.high if entry.high is None else entry.high
            assert (box.label, box.value, box.min, box.max) == (entry.label, begin, low, high)


def test_several_cells_are_a_line_up(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(form, "costs", lambda *_: (0.005, 0.05))  # timed in other tests; here 28 models would be
    app = open_page()
    app.multiselect(key="cells").set_value([]).run()
    assert "Choose a cell, or several" in spoken(app)
    app.multiselect(key="cells").set_value(["all 24"]).run()
    assert app.button(key="train").label == "Train 24 cells"
    app.multiselect(key="cells").set_value(["lstm", "rnn", "gru"]).run()
    assert not app.exception
    assert "At most 3,944 parameters each: lstm 24 units, rnn 51 units, gru 28 units." in spoken(app)
    app.toggle(key="same").set_value(False).run()
    assert "lstm 3,944 parameters, rnn" in spoken(app)
    app.number_input(key="seeds").set_value(200 // 3).run()
    assert app.button(key="train").label == "Train 198 models"
    app.number_input(key="seeds").set_value(1).run()
    app.segmented_control(key="budget").set_value("5 minutes").run()
    assert app.button(key="train").label == "Train 3 cells"
    app.button(key="train").click().run()
    assert not app.exception
    names = app.dataframe[0].value["run"]  # before anything has begun
    assert [name.split("/")[1] for name in names] == ["gru", "lstm", "rnn"]
    lineup = Sweep(next(folder.glob("*/sweep.json")).parent)
    members = lineup.runs()
    give_up = time.monotonic() + 60
    while not any(run.records() for run in members):
        assert time.monotonic() < give_up, (lineup.folder / "log.txt").read_text()
        time.sleep(0.1)
    app.run()
    assert not app.exception  # one draws, another waits
    app.button(key="stop_all").click().run()
    while (status := lineup.status()) is None or status.state != "stopped":
        assert time.monotonic() < give_up, status
        time.sleep(0.1)
    app.run()
    assert not app.exception
    assert list(app.dataframe[0].value["state"]) == ["stopped"] * 3
    assert all(0 <= done < 100 for done in app.dataframe[0].value["done"])
    assert [bar.proto.text for bar in app.get("progress")] == ["stopped · 0 of 3 finished"]
    assert app.button(key="restart_all").label == "resume all"
    app.button(key="delete_all").click().run()
    assert not app.exception
    assert runs(folder) == [] and not lineup.folder.exists()


def test_a_line_up_that_does_not_fit_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lstmviz.training.sweep.memory_there", lambda _: 2**20)
    app = open_page()
    app.multiselect(key="cells").set_value(["lstm", "rnn"]).run()
    assert not app.exception
    assert "This cannot be trained: training 2 of these models at once takes 0.8 GB" in spoken(app)


def test_what_is_damaged_does_not_take_the_page_along(folder: Path) -> None:
    config = RunConfig(
        TrainConfig("brackets", bptt=16, batch_size=8, steps=40, eval_every=20), ModelConfig(hidden_size=8), "(x)"
    )
    for name in ("one", "two"):
        list(execute(Run.create(folder / name, config)))
    lines = (folder / "one" / "metrics.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "one" / "metrics.jsonl").write_bytes(lines[0] + b'{"step": 2\n' + lines[1] + b"\0" * 50)
    (folder / "one" / "probes" / "00000040.npz").write_bytes(b"half")
    (folder / "two" / "status.json").unlink()
    os.utime(folder / "two" / "config.json", (0, 0))
    app = open_page()
    assert not app.exception
    assert "The gates after 40 steps cannot be shown" in spoken(app)
    assert list(app.dataframe[0].value["state"]) == ["finished", "crashed"]
    (folder / "one" / "status.json").write_text(
        (folder / "one" / "status.json")
        .read_text()
        .replace('"processes": 1', '"processes": 2')
        .replace("finished", "stopped")
    )
    app.run()
    assert "`torchrun --nproc-per-node 2 -m lstmviz resume runs/one` goes on with it" in spoken(app)
    shutil.rmtree(folder / "one")  # somebody else deletes it
    app.run()
    assert not app.exception


def test_a_half_made_run_is_passed_over_and_a_broken_one_can_be_deleted(folder: Path) -> None:
    (folder / "half").mkdir(parents=True)
    (folder / "half" / "corpus.txt").write_text("")
    app = open_page()
    assert not app.exception
    assert "Nothing has been trained yet" in spoken(app)
    (folder / "half" / "config.json").write_text("")
    app.run()
    assert not app.exception
    assert list(app.dataframe[0].value["state"]) == ["unreadable"]
    assert "config.json is damaged: it is empty" in spoken(app).replace("\\", "")
    app.button(key="delete").click().run()
    assert not app.exception and not any(folder.iterdir())


def test_a_finished_run_shows_its_gates(folder: Path) -> None:
    config = RunConfig(
        TrainConfig("brackets", bptt=16, batch_size=8, steps=60, eval_every=20), ModelConfig(hidden_size=8), "(x)"
    )
    run = Run.create(folder / "one", config)
    before = drawn(open_page(), "dataframe"), drawn(open_page(), "bidi_component")
    assert "appear after the first evaluation" in spoken(open_page())
    list(execute(run))
    app = open_page()
    assert not app.exception
    assert before == (drawn(app, "dataframe"), ["bidi_component"])  # the same places as when there was nothing to show
    assert moment_shown(app) == 60
    assert "follows the nesting depth with |correlation|" in spoken(app)
    app.session_state["Train"].moments["one"] = 20
    app.run()
    assert not app.exception
    assert moment_shown(app) == 20
    # One more evaluation: what was chosen stays; what follows goes along.
    (run.folder / "probes" / "00000080.npz").write_bytes((run.folder / "probes" / "00000060.npz").read_bytes())
    app.run()
    assert moment_shown(app) == 20
    app.session_state["Train"].moments["one"] = 80
    app.run()
    (run.folder / "probes" / "00000090.npz").write_bytes((run.folder / "probes" / "00000060.npz").read_bytes())
    app.run()
    assert moment_shown(app) == 90
    app.button(key="play").click().run()
    seen = [moment_shown(app)]
    while app.button(key="play").label == "stop playing":
        app.run()
        seen.append(moment_shown(app))
    assert not app.exception
    assert seen == [1, 2, 4, 8, 16, 20, 40, 60, 80, 90]


def test_a_text_of_ones_own(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page()
    app.selectbox(key="corpus").select("a text of your own").run()
    assert "Paste or upload a text" in spoken(app)
    app.text_area(key="text_pasted").set_value("too short").run()
    assert not app.exception
    assert "This cannot be trained" in spoken(app)
    app.text_area(key="text_pasted").set_value("é" * 5_000_001).run()
    assert not app.exception
    assert "has 10.0 MB; at most 10 MB are read here" in spoken(app)
    app.text_area(key="text_pasted").set_value("the cat sat on the mat.\n" * 400).run()
    assert not app.exception
    assert "training tokens" in spoken(app)
    app.segmented_control(key="level").set_value("words").run()
    assert " 6 in the vocabulary" in spoken(app)
    assert any("the cat sat on the mat . ⏎" in element.value for element in app.code)
    app.number_input(key="max_words").set_value(10).run()
    app.number_input(key="min_count").set_value(600).run()
    assert " 1 in the vocabulary, 62.5% of the text" in spoken(app)
    assert "62.7% of its validation part" in spoken(app) and "Keep more words" in spoken(app)
    app.text_input(key="text_name").set_value("../up").run()
    app.button(key="text_keep").click().run()
    assert not app.exception
    assert "the name is '../up'" in spoken(app).replace("\\", "")
    app.text_input(key="text_name").set_value("cats")  # typed, and at once
    app.button(key="text_keep").click().run()
    assert not app.exception
    assert app.selectbox(key="corpus").value == "cats" and (folder.parent / "corpora/cats/text.txt").exists()
    assert "training tokens" in spoken(app)
    reader = Run.create(folder / "reader", RunConfig(TrainConfig(f"{folder.parent / 'corpora/cats'}"), ModelConfig()))
    app.button(key="text_forget").click().run()
    assert "reader is trained on it; stop that first" in spoken(app)
    assert app.selectbox(key="corpus").value == "cats"
    trainings.delete(reader)
    app.button(key="text_forget").click().run()
    assert not app.exception
    assert "cats" not in app.selectbox(key="corpus").options and not (folder.parent / "corpora/cats").exists()
    app.selectbox(key="corpus").select("a text of your own").run()
    assert app.text_area(key="text_pasted").value.startswith("the cat")  # nothing typed is lost
    assert app.segmented_control(key="level").value == "words" and app.number_input(key="min_count").value == 600
    app.number_input(key="hidden_size_a text of your own").set_value(6_000).run()
    assert not app.exception
    assert "too large to be tried out in the page" in spoken(app)
    monkeypatch.setattr(loop, "memory_there", lambda device: 2**30)
    app.number_input(key="hidden_size_a text of your own").set_value(16_384).run()
    assert not app.exception
    assert "training it takes 16." in spoken(app) and "there are 1.0 GB" in spoken(app)


def test_a_text_that_is_not_there_is_fetched(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page()
    app.selectbox(key="corpus").select("wikitext-2").run()
    assert "is not on this machine yet. Licence: CC BY-SA 3.0" in spoken(app)
    source = replace(corpora.SOURCES["wikitext-2"], urls=("http://127.0.0.1:9/nothing.zip",))
    monkeypatch.setitem(corpora.SOURCES, "wikitext-2", source)
    app.button(key="fetch").click().run()
    assert not app.exception
    assert "could not be fetched (127.0.0.1 cannot be reached)" in spoken(app)
    import_text([ROOT / "README.md"], "wikitext-2", folder.parent / "corpora")  # as if it had come
    app.run()
    assert not app.exception
    assert app.selectbox(key="corpus").value == "wikitext-2" and "training tokens" in spoken(app)


@pytest.mark.parametrize(("unit", "amount", "steps"), [("epochs", 2, 1258), ("steps", 300, 300)])
def test_a_budget_of_epochs_or_steps(folder: Path, unit: str, amount: int, steps: int) -> None:
    app = open_page()
    app.segmented_control(key="budget").set_value("other").run()
    app.selectbox(key="budget_unit").select(unit).run()
    app.number_input(key=f"budget_{unit}").set_value(amount).run()
    assert not app.exception
    assert f"about {steps:,} steps" in spoken(app)


def test_a_budget_of_time_leaves_room_for_evaluations() -> None:
    assert plan(30, "seconds", step=0.01, evaluation=0.001, epoch=100) == {"steps": 2847, "eval_every": 104}
    slow = plan(30, "seconds", step=0.01, evaluation=8.0, epoch=100)
    assert slow == {"steps": 1250, "eval_every": 625}  # two evaluations of 8 s are more than half of it


def test_what_diverged_or_learned_nothing_or_was_refused_is_said(folder: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("abcab cab\n" * 100)
    train = TrainConfig(str(text), bptt=8, batch_size=4, steps=20, eval_every=10)

    def trained(name: str, rate: float) -> Run:
        run = Run.create(folder / name, RunConfig(replace(train, learning_rate=rate), ModelConfig(hidden_size=4)))
        with suppress(FloatingPointError):
            list(execute(run))
        return run

    trained("nothing", 1e6)
    app = open_page()
    assert not app.exception and "Nothing was learned: the lowest validation loss is" in spoken(app)
    diverged = trained("worse", 1e300)
    app = open_page()
    assert not app.exception
    assert "the loss became nan between step 2 and step 10" in spoken(app) and "It has left no weights" in spoken(app)
    status = json.loads((diverged.folder / "status.json").read_text())
    (diverged.folder / "status.json").write_text(
        json.dumps({**status, "state": "stopped", "message": "the text is gone"})
    )
    app = open_page()
    assert not app.exception and "It was not resumed: the text is gone" in spoken(app)


def test_a_look_at_the_page_opens_each_file_once(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    train = TrainConfig("brackets", bptt=16, batch_size=8, steps=2, eval_every=2)
    alone = Run.create(folder / "alone", RunConfig(train, ModelConfig(hidden_size=4), "(x)"))
    list(execute(alone))
    whole = Sweep.create(folder / "lineup", lineup(train, {"hidden_size": 4}, ("gru", "rnn", "lstm")), 8)
    list(execute(whole.runs()[0]))  # the others wait for their turn: their state is the line-up's
    write_status(whole.folder, "finished", 1)
    opened: Counter[str] = Counter()
    open_file = os.open

    def counted(file, *arguments, **options):
        if folder in Path(file).parents and Path(file).suffix in (".json", ".jsonl"):
            opened[str(Path(file).relative_to(folder))] += 1
        return open_file(file, *arguments, **options)

    monkeypatch.setattr("os.open", counted)  # what disk.read_bytes calls
    runs_there = ("alone", "lineup/gru", "lineup/rnn", "lineup/lstm")
    configs = {f"{name}/config.json": 1 for name in runs_there}
    statuses = {f"{name}/status.json": 1 for name in ("alone", "lineup/gru", "lineup")}
    logs = {f"{name}/metrics.jsonl": 1 for name in ("alone", "lineup/gru")}
    asked = {"lineup/sweep.json": 1}  # of the one that is shown
    app = open_page()
    assert not app.exception and len(app.dataframe[0].value) == 4
    assert opened == configs | statuses | logs | asked
    opened.clear()
    app.run()
    assert not app.exception
    assert opened == configs | statuses | asked  # no record is new
    opened.clear()
    cli.list_runs(folder)
    assert capsys.readouterr().out.count("step ") == 4
    assert opened == configs | statuses | logs | asked


NAMES = [b"lstm__v2", b"a b", b"'\"`$*|_x_", b"%20#?&=:", b"-x", b"..x", "🧠 ü".encode(), b"a\nb\t", b"x" * 255]
NAMES += [b"\xff\xfe", b"\\xff", b"x as gru", b"x of 0123456789abcdef", b"uploaded x", b"run x", b"<b>:red[x]"]


def test_a_run_may_be_called_anything(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in NAMES:
        shutil.copytree(trainings.RECORDED, folder / os.fsdecode(name))
    app = open_page()
    assert not app.exception
    names = list(app.dataframe[0].value["run"])
    assert len({*names}) == len(NAMES)
    addresses = [Trained(name) for name in names]
    assert [sources.parse(str(address)) for address in addresses] == addresses
    assert all(sources.is_there(address) for address in addresses)
    for name in ("lstm__v2", "\\xff\\xfe", "a\\x0ab\\x09"):
        app.session_state["Train"].run = name
        app.run()
        assert not app.exception and moment_shown(app) == 1200
        app.button(key="play").click().run()
        assert not app.exception and app.button(key="play").label == "stop playing"
    watch = AppTest.from_file(str(ROOT / "lstmviz/pages/frame.py"), default_timeout=60)
    watch.query_params["by"] = "server"  # what the page makes, other tests see
    watch.query_params["model"] = "run \\xff\\xfe"
    watch.switch_page("watch.py").run()
    assert not watch.exception and watch.selectbox(key="model").value == "run \\xff\\xfe"
    cli.list_runs(folder)
    assert capsys.readouterr().out.count("best perplexity 2.77") == len(NAMES)


def test_what_stands_in_a_file_is_text(folder: Path) -> None:
    shutil.copytree(trainings.RECORDED, folder / "one")
    lines = (folder / "one" / "metrics.jsonl").read_bytes().splitlines(keepends=True)
    first = {**json.loads(lines[0]), "zero_gradients": ["![x](http://x.org/y.png)", "a`b`", "\ud800"]}
    (folder / "one" / "metrics.jsonl").write_bytes(json.dumps(first).encode() + b"\n" + b"".join(lines[1:]))
    kept = folder.parent / "corpora"
    for name, data in {"5": b"5", "![x](y)": b"{}", os.fsdecode(b"\xff"): b""}.items():
        (kept / name).mkdir(parents=True)
        (kept / name / "corpus.json").write_bytes(data)
    app = open_page()
    assert not app.exception
    said = spoken(app)
    assert "\\!\\[x\\](http\\:" in said and "a\\`b\\`" in said
    assert "\\!\\[x\\](y) (corpus.json is damaged" in said and "5 (corpus.json is damaged" in said
