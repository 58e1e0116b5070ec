"""Run folders: made once, steered from outside, gone on with after anything."""

import dataclasses
import errno
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from lstmviz import cli
from lstmviz.checkpoint import CheckpointError, load, save
from lstmviz.config import ModelConfig, TrainConfig
from lstmviz.data.grammars import GRAMMARS, generate
from lstmviz.data.vocabulary import Corpus, Vocabulary
from lstmviz.disk import reason
from lstmviz.home import Home
from lstmviz.model import LanguageModel
from lstmviz.opened import prepare
from lstmviz.trace import trace_tokens
from lstmviz.training import children, process, trainings
from lstmviz.training.folder import NOTHING, Record, Run, RunConfig, runs
from lstmviz.training.process import execute
from lstmviz.training.standing import learned_nothing, problem
from lstmviz.training.status import Busy, read_status, write_status

ROOT = Path(__file__).parents[2]
CONFIG = RunConfig(
    TrainConfig("brackets", bptt=16, batch_size=8, steps=60, eval_every=30), ModelConfig(hidden_size=8), probe="((x))"
)
LONG = RunConfig(TrainConfig("brackets", bptt=16, batch_size=8, steps=10**6), ModelConfig(hidden_size=8))


open_data = process.open_data


@pytest.fixture(autouse=True)
def small_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Grammars have few sentences, and so an evaluation takes a moment; not in a process of its own."""

    def open_small(config: TrainConfig) -> Corpus:
        return generate(config.corpus, 400) if config.corpus in GRAMMARS else open_data(config)

    monkeypatch.setattr(process, "open_data", open_small)


def record(step: int, train: float = 2.0, valid: float | None = None) -> Record:
    return Record(step, step / 10, step / 5, train, valid, False, 0.1, 1.0, 1000.0)


def untimed(records: Sequence[Record]) -> list[Record]:
    """All but what a clock says."""
    return [dataclasses.replace(record, seconds=0.0, tokens_per_second=0.0) for record in records]


def wait_for(run: Run, *states: str, seconds: float = 60) -> None:
    give_up = time.monotonic() + seconds
    while (status := run.status()) is None or status.state not in states:
        assert time.monotonic() < give_up, status
        time.sleep(0.02)


def process_of(run: Run) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-m", "lstmviz", "resume", str(run.folder)], cwd=ROOT)


def test_a_run_leaves_a_folder(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "first", CONFIG)
    assert run.status() is None and run.log() == NOTHING and run.config() == CONFIG
    seen = list(execute(run))
    status = run.status()
    assert status is not None and (status.state, status.step) == ("finished", 60)
    assert status.parameters == sum(w.size for w in load(run.folder / "best.safetensors").weights.values())
    log = run.log()
    assert list(log.records) == seen and [record.step for record in seen] == [1, 25, 30, 50, 60]
    assert run.log(log) is log
    best = load(run.folder / "best.safetensors")
    assert best.history["step"] == [1, 25, 30, 50, 60]
    assert "nesting depth" in (run.folder / "card.md").read_text()
    assert [found.folder for found in runs(tmp_path)] == [run.folder]


def test_the_probe_keeps_the_gates_as_they_learn(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", CONFIG)
    list(execute(run))
    assert run.probes() == [1, 2, 4, 8, 16, 30, 60]
    best = load(run.folder / "best.safetensors")
    cuda = torch.cuda.is_available()  # then the training was there
    model, vocabulary = best.build().to("cuda" if cuda else "cpu"), best.vocabulary
    near = 1e-5 if cuda else 0.0
    seen = run.snapshot()
    probe = seen.probe(best.step)
    trace = probe.trace
    assert [vocabulary.tokens[i] for i in probe.ids] == list("\n((x))")  # after the lines before it
    assert trace.cell_name == "lstm"
    assert trace.sizes == {"layer": 1, "time": 6, "unit": 8}
    valid = generate("brackets", 400).valid[:300]
    context = valid[: int((valid == vocabulary.end).nonzero()[-1]) + 1]
    expected, likely = trace_tokens(model, torch.cat([context, torch.tensor(vocabulary.encode("((x))"))]))
    assert list(trace) == list(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(trace[name], values[:, -6:], rtol=0, atol=near)
    assert np.isnan(trace.nll[0])
    np.testing.assert_allclose(trace.nll[1:], expected.nll[-5:], rtol=0, atol=near)
    assert np.array_equal(probe.likely, likely.ids[-6:])
    np.testing.assert_allclose(probe.probabilities, likely.probabilities[-6:], rtol=0, atol=near)
    assert not np.array_equal(seen.probe(30).trace.forget_gate, seen.probe(60).trace.forget_gate)


def test_a_fixed_window_is_trained_and_gone_on_with_as_any_model_and_has_no_gates(tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, model=ModelConfig("rnn", embedding_size=3, hidden_size=8, window=4))
    whole, twin = (Run.create(tmp_path / name, config) for name in ("whole", "twin"))
    (*_, last) = execute(whole)
    for record in (begun := execute(twin)):
        if record.valid_nll is not None:
            break
    begun.close()
    assert 0 < twin.records()[-1].step < 60
    assert [*execute(twin)][-1].valid_nll == last.valid_nll
    best = load(whole.folder / "best.safetensors")
    assert whole.probes() == [] and best.hidden_variable is None
    assert "| window of 4, 8 units" in (whole.folder / "card.md").read_text()
    with pytest.raises(CheckpointError, match="a window of 4 tokens keeps nothing"):
        prepare(best)


def test_of_two_that_start_at_once_one_wins(tmp_path: Path) -> None:
    outcomes: list[object] = []

    def start() -> None:
        try:
            outcomes.append(Run.create(tmp_path / "run", CONFIG))
        except ValueError as error:
            outcomes.append(str(error))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(isinstance(outcome, Run) for outcome in outcomes) == 1
    assert all("resume" in outcome for outcome in outcomes if isinstance(outcome, str))


def test_pause_resume_stop_and_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "open_data", open_data)  # as the other process does
    run = Run.create(tmp_path / "run", LONG)
    other = process_of(run)
    try:
        wait_for(run, "running")
        with pytest.raises(ValueError, match="another process is training"):
            next(iter(execute(run)))
        wait_for(run, "running")  # and that one changed nothing
        run.ask("pause")
        wait_for(run, "paused")
        before = run.log()
        time.sleep(0.5)
        assert run.log() == before
        run.ask("resume")
        wait_for(run, "running")
        run.ask("stop")
        wait_for(run, "stopped")
        assert other.wait(30) == 0
    finally:
        other.kill()
    status = run.status()
    assert status is not None
    training = execute(run)
    assert next(training).step > status.step > 0
    training.close()
    steps = [record.step for record in run.records()]
    assert steps == sorted(set(steps))


def test_a_killed_process_is_a_crash_and_loses_nothing(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", CONFIG)
    list(execute(run))
    expected = untimed(run.records())
    twin = Run.create(tmp_path / "twin", CONFIG)
    training = execute(twin)
    for _ in range(4):  # past the evaluation at step 30, which saves; then as if killed
        next(training)
    status = json.loads((twin.folder / "status.json").read_text())
    training.close()
    (twin.folder / "status.json").write_text(json.dumps({**status, "state": "running", "started": "long ago"}))
    with (twin.folder / "metrics.jsonl").open("a") as file:
        file.write('{"step": 51, "train')  # torn
    half = [twin.folder / name for name in (".last.safetensors.abcd1234", "probes/.00000031.npz.abcd1234")]
    for path in half:
        path.write_bytes(b"half")
    crashed = twin.status()
    assert crashed is not None and crashed.state == "crashed"
    list(execute(twin))
    assert not any(path.exists() for path in half)
    assert untimed(twin.records()) == expected
    one, other = (load(r.folder / "best.safetensors") for r in (run, twin))
    assert all(np.array_equal(one.weights[name], other.weights[name]) for name in one.weights)


@pytest.mark.parametrize(
    "model", [{}, {"hidden_size": 8}, {"embedding_size": 4, "hidden_size": 8, "cell": "gru", "num_layers": 2}]
)
def test_a_run_that_said_only_some_of_its_model_is_read_and_can_be_created_again_the_same(
    model, tmp_path: Path
) -> None:
    asked = {"format": 1, "train": {"corpus": "brackets", "steps": 60}, "model": model, "probe": ""}
    (tmp_path / "config.json").write_text(json.dumps(asked))  # as the page wrote it, and line-ups
    config = Run(tmp_path).config()
    assert config == RunConfig(TrainConfig("brackets", steps=60), ModelConfig(**model))
    again = Run.create(tmp_path / "again", config)
    assert again.config() == config
    written = json.loads((again.folder / "config.json").read_text())["model"]
    assert written == dataclasses.asdict(config.model) and written.items() >= model.items()


def test_a_failure_is_said_and_a_failed_start_can_be_made_again(tmp_path: Path) -> None:
    bad = RunConfig(TrainConfig("brackets", batch_size=10**6), ModelConfig(hidden_size=8))
    run = Run.create(tmp_path / "run", bad)
    with pytest.raises(ValueError, match="needs at least"):
        list(execute(run))
    status = run.status()
    assert status is not None and status.state == "failed" and "needs at least" in status.message
    Run.create(tmp_path / "run", CONFIG)
    list(execute(run))
    assert run.status().state == "finished"  # type: ignore[union-attr]


def test_a_diverged_training_keeps_its_best(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run.create(tmp_path / "run", CONFIG)
    training = execute(run)
    while next(training).step < 30:
        pass
    decode = LanguageModel.decode
    monkeypatch.setattr(LanguageModel, "decode", lambda model, hidden: decode(model, hidden) * float("nan"))
    with pytest.raises(FloatingPointError, match="lower learning rate"):
        list(training)
    status = run.status()
    assert status is not None and status.state == "failed" and "lower learning rate" in status.message
    assert load(run.folder / "best.safetensors").step == 30


def test_a_folder_without_a_run_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no training run in"):
        list(execute(Run(tmp_path)))


def test_more_runs_than_cores_wait_for_their_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    first, second = (Run.create(tmp_path / name, CONFIG) for name in ("first", "second"))
    training = execute(first)
    next(training)
    waiting = threading.Thread(target=lambda: list(execute(second)))
    waiting.start()
    wait_for(second, "queued")
    assert second.records() == ()
    list(training)
    waiting.join(60)
    wait_for(second, "finished")


def test_a_pause_lets_another_run_have_the_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    first, second = Run.create(tmp_path / "first", LONG), Run.create(tmp_path / "second", CONFIG)
    training = threading.Thread(target=lambda: list(execute(first)))
    training.start()
    try:
        wait_for(first, "running")
        first.ask("pause")
        wait_for(first, "paused")
        list(execute(second))
        wait_for(second, "finished")
        first.ask("resume")
        wait_for(first, "running")
    finally:
        first.ask("stop")
        training.join(60)
    wait_for(first, "stopped")


def test_a_stop_counts_from_the_moment_it_can_be_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run.create(tmp_path / "run", LONG)

    def open_slowly(config: TrainConfig) -> Corpus:
        wait_for(run, "starting")
        run.ask("stop")
        return open_data(config)

    monkeypatch.setattr(process, "open_data", open_slowly)
    list(execute(run))
    wait_for(run, "stopped")


def test_a_run_that_trains_is_not_deleted(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", CONFIG)
    training = execute(run)
    next(training)
    with pytest.raises(Busy):
        trainings.delete(run)
    assert (run.folder / "config.json").exists()
    list(training)
    trainings.delete(run)
    assert not run.folder.exists()


def test_a_validation_loss_that_is_no_number_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    losses = iter([1.0, math.inf])
    monkeypatch.setattr("lstmviz.training.loop.evaluate", lambda *_: next(losses))
    run = Run.create(tmp_path / "run", CONFIG)
    with pytest.raises(FloatingPointError, match="validation loss became inf at step 60"):
        list(execute(run))
    assert load(run.folder / "best.safetensors").step == 30
    assert [record.valid_nll for record in run.records() if record.valid_nll is not None] == [1.0]


def test_each_evaluation_leaves_a_sample(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", CONFIG)
    list(execute(run))
    samples = [record.sample for record in run.records() if record.sample]
    assert len(samples) == 2 and all(len(sample) > 50 for sample in samples)


def test_a_full_disk_is_said_and_what_was_saved_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run.create(tmp_path / "run", CONFIG)
    steps = execute(run)
    for metrics in steps:
        if metrics.step == 50:
            break
    saved = (run.folder / "last.safetensors").read_bytes()
    best = (run.folder / "best.safetensors").read_bytes()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched, pytest.raises(OSError, match="No space left"):
        patched.setattr("os.fsync", full)
        list(steps)
    assert (run.folder / "last.safetensors").read_bytes() == saved
    assert (run.folder / "best.safetensors").read_bytes() == best
    assert not list(run.folder.glob(".*"))  # nothing half written
    list(execute(run))  # there is room again
    status = run.status()
    assert status is not None and (status.state, status.step) == ("finished", 60)


def test_why_a_disk_does_not_take_anything_is_a_sentence(tmp_path: Path) -> None:
    assert reason(OSError(errno.ENOSPC, "No space left on device")).startswith("the disk is full; make room")
    refused = reason(PermissionError(errno.EACCES, "Permission denied", "runs/one"))
    assert refused == "runs/one may not be used (Permission denied); change its rights or choose another"
    refused = reason(OSError(errno.EROFS, "Read-only file system", "runs/one"))
    assert refused == "runs/one cannot be written (Read-only file system); choose another folder"
    assert reason(ValueError("bptt is 0")) == "bptt is 0"


def test_a_process_that_evaluates_for_long_is_alive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lstmviz.training.turn.BEAT_EVERY", 0.05)
    monkeypatch.setattr("lstmviz.training.status.STALE_AFTER", 0.5)
    run = Run.create(tmp_path / "run", CONFIG)
    seen = []

    def slow(*_: object) -> float:
        time.sleep(1.0)
        status = run.status()
        assert status is not None
        seen.append(status.state)
        return 1.0

    monkeypatch.setattr("lstmviz.training.results.held_out", slow)  # of the exact figures at the end
    list(execute(run))
    assert seen == ["running", "running"]
    status = run.status()
    assert status is not None and status.state == "finished"


def test_another_text_is_not_gone_on_with(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("abc " * 300)
    train = dataclasses.replace(CONFIG.train, corpus=str(text), steps=40, eval_every=20)
    run = Run.create(tmp_path / "run", dataclasses.replace(CONFIG, train=train, probe="abc"))
    steps = execute(run)
    assert next(m for m in steps if m.step == 20)
    next(steps)  # what was kept after step 20 is saved
    steps.close()
    text.write_text("cab " * 300)
    with pytest.raises(ValueError, match="the text is not the one that this training began with"):
        list(execute(run))


def test_a_text_that_another_version_split_otherwise_is_not_gone_on_with(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("it's 3.14 o'clock , said he\n" * 60)
    train = dataclasses.replace(CONFIG.train, corpus=str(text), level="word", max_words=4, steps=40, eval_every=20)
    run = Run.create(tmp_path / "run", dataclasses.replace(CONFIG, train=train, probe=""))
    steps = execute(run)
    assert next(m for m in steps if m.step == 20)
    next(steps)
    steps.close()
    best, last = run.folder / "best.safetensors", run.folder / "last.safetensors"
    other = Vocabulary.of("word", ["o", "'clock", "3", "14"])  # as many, so that the weights would fit
    tensors, kept = safetensors.torch.load_file(last), best.read_bytes()
    for changed in (
        {"vocabulary": torch.zeros(32, dtype=torch.uint8)},  # what this version saves
        {"vocabulary": None},  # an earlier version's save, told by its best weights
    ):
        if changed["vocabulary"] is None:
            save(dataclasses.replace(load(best), vocabulary=other), best)
        changed |= {"sha256": None}
        safetensors.torch.save_file({k: v for k, v in (tensors | changed).items() if v is not None}, last)
        with pytest.raises(ValueError, match="split the text into other words; go on with that version"):
            list(execute(run))
    best.unlink()
    with pytest.raises(ValueError, match="split the text into other words"):
        list(execute(run))
    best.write_bytes(kept)  # where it was split alike, an earlier version's run goes on
    assert [m.step for m in execute(run)] == [25, 40]


def test_a_run_that_never_said_anything_is_crashed(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", CONFIG)
    assert run.status() is None
    os.utime(run.folder / "config.json", (0, 0))
    status = run.status()
    assert status is not None and status.state == "crashed"


def test_a_damaged_line_is_counted_and_left_out(tmp_path: Path) -> None:
    run, path = Run(tmp_path), tmp_path / "metrics.jsonl"
    first, second, third = (record(step).dumps() for step in (1, 2, 3))
    huge = third.replace(b"1000.0", b"9" * 400)
    path.write_bytes(first + second + third[:9])
    log = run.log()
    assert log.records == (record(1), record(2)) and log.offset == len(first + second)
    with path.open("ab") as file:
        file.write(third[9:])
    log = run.log(log)
    assert [each.step for each in log.records] == [1, 2, 3]
    for damaged in (
        b"\0\0\n",
        b'{"step": 4}\n',
        b"4\n",
        b"null\n",
        b"{}\n",
        b"[" * 10**5 + b"\n",
        first,
        huge,
        b"\xff\n",
    ):
        path.write_bytes(first + second + damaged + third)
        log = run.log()
        assert [each.step for each in log.records] == [1, 2, 3] and log.lost == 1
        assert run.log(log) is log  # and it is not read again


def test_a_record_of_another_version_is_read() -> None:
    line = (ROOT / "checkpoints" / "recorded" / "brackets" / "metrics.jsonl").read_bytes().splitlines(keepends=True)[-1]
    given = json.loads(line)
    assert Record.loads(line).dumps() == line or "valid_unknown" not in given  # which came later
    read = Record.loads(json.dumps({**given, "zero_gradients": ["U"], "of_later": 1}).encode() + b"\n")
    assert read.zero_gradients == ("U",) and read.sample == given["sample"] and read.valid_unknown == 0.0
    earliest = {name: given[name] for name in given if name not in ("sample", "valid_unknown", "zero_gradients")}
    assert Record.loads(json.dumps(earliest).encode() + b"\n").sample == ""


SMALL = RunConfig(TrainConfig("brackets", bptt=8, batch_size=4, steps=30, eval_every=10), ModelConfig(hidden_size=6))


FAR_TOO_HIGH = [("lstm", rate) for rate in (1e3, 1e10, 1e20, 1e300)]
FAR_TOO_HIGH += [(cell, rate) for cell in ("nfg", "mingru", "slstm") for rate in (1e3, 1e20)]


@pytest.mark.parametrize(("cell", "rate"), FAR_TOO_HIGH)
def test_a_rate_that_is_far_too_high_ends_with_a_sentence(tmp_path: Path, cell: str, rate: float) -> None:
    train = dataclasses.replace(SMALL.train, learning_rate=rate)
    model = dataclasses.replace(SMALL.model, cell=cell)
    run = Run.create(tmp_path / "run", dataclasses.replace(SMALL, train=train, model=model))
    try:
        list(execute(run))
    except FloatingPointError as error:
        assert re.fullmatch(r"the training diverged: .*step \d+.*; try a lower learning rate, .*", str(error))
        assert (status := run.status()) and (status.state, status.message) == ("failed", str(error))
    else:
        assert (status := run.status()) and status.state == "finished"
        assert status.message.startswith("nothing was learned: the lowest validation loss is ")
        assert load(run.folder / "best.safetensors").build()


def test_every_place_where_numbers_may_fail_says_the_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(where: str, make: object, said: str) -> None:
        run = Run.create(tmp_path / where, SMALL)
        training = execute(run)
        while next(training).step < 20:  # what was kept then is kept
            pass
        with monkeypatch.context() as patch:
            patch.setattr(f"lstmviz.training.{where}", make)
            with pytest.raises(FloatingPointError, match=said):
                list(training)
        status = run.status()
        assert status is not None and status.state == "failed" and "lower learning rate" in status.message
        assert load(run.folder / "best.safetensors").step in (20, 30)

    def no_number(*_: object) -> None:
        raise FloatingPointError("no number")

    fails("process._sample", no_number, r"diverged: no number \(at step 30\)")
    fails("process.carried_variable", no_number, r"no number \(at step 30\)")
    fails(
        "results.held_out",
        lambda *_: math.inf,
        r"valid_nll became inf \(in the exact figures of the best weights, of step 30",
    )
    weights = {"decoder.bias": np.array([math.nan])}
    fails("process.checkpoints.weights_of", lambda _: weights, r"weights in decoder.bias are not all finite .*step 30")


def test_a_training_that_never_beats_the_untrained_model_is_told_so() -> None:
    assert learned_nothing([]) == learned_nothing([record(1, 2.0, None)]) == ""
    assert learned_nothing([record(1, 2.0, None), record(10, 3.0, 2.5), record(20, 1.0, 1.9)]) == ""
    said = learned_nothing([record(1, 2.0, None), record(10, 3.0, 5e9), record(20, 1.0, 2.0)])
    assert said.startswith(
        "nothing was learned: the lowest validation loss is 2.0000 nats, that of the untrained model"
    )
    assert "5e+09 nats" in learned_nothing([record(1, 2.0, None), record(10, 3.0, 5e9)])


def stopped(folder: Path, text: Path) -> Run:
    """A run that was stopped after some steps."""
    text.write_text("abc " * 300)
    train = dataclasses.replace(CONFIG.train, corpus=str(text), steps=40, eval_every=10)
    run = Run.create(folder, dataclasses.replace(CONFIG, train=train, probe="abc"))
    for metrics in execute(run):
        if metrics.step == 10:
            run.ask("stop")
            time.sleep(0.3)
    assert (status := run.status()) and status.state == "stopped" and status.step >= 10
    return run


@pytest.mark.parametrize("why", ["gone", "changed", "processes", "damaged", "a bit"])
def test_a_refused_resume_leaves_its_run_as_it_was(tmp_path: Path, why: str) -> None:
    text = tmp_path / "text.txt"
    run = stopped(tmp_path / "run", text)
    before, files = run.status(), {path.name: path.read_bytes() for path in run.folder.glob("*.safetensors")}
    assert before is not None
    if why == "gone":
        text.unlink()
    elif why == "changed":
        text.write_text("cab " * 300)
    elif why == "processes":
        last = safetensors.torch.load(files["last.safetensors"])
        others = {f"rank.1.{name}": last[name].clone() for name in last if name.startswith("random")}
        files["last.safetensors"] = safetensors.torch.save({**last, **others})
    elif why == "damaged":
        files["last.safetensors"] = files["last.safetensors"][:100]
    else:
        last = bytearray(files["last.safetensors"])
        last[len(last) // 2] ^= 1
        files["last.safetensors"] = bytes(last)
    for name, data in files.items():
        (run.folder / name).write_bytes(data)
    with pytest.raises(ValueError) as error:
        list(execute(Run(run.folder)))
    after = run.status()
    assert after is not None and after.message == str(error.value)
    same = ("state", "step", "parameters", "processes")
    assert [getattr(after, name) for name in same] == [getattr(before, name) for name in same]
    assert {path.name: path.read_bytes() for path in run.folder.glob("*.safetensors")} == files


def test_a_folder_without_a_run_is_left_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["lstmviz", "resume", str(tmp_path)])
    with pytest.raises(SystemExit, match="there is no training run in"):
        cli.main()
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_the_system_holds_is_not_called_crashed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process = subprocess.Popen(["sleep", "60"])
    monkeypatch.setattr("os.getpid", lambda: process.pid)
    try:
        write_status(tmp_path, "running", 5)
        said = json.loads((tmp_path / "status.json").read_text())
        (tmp_path / "status.json").write_text(json.dumps({**said, "heartbeat": 0.0}))  # it could not say anything since
        process.send_signal(signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)
        assert (status := read_status(tmp_path)) and (status.state, status.step) == ("held", 5)
        write_status(tmp_path, "running", 6)
        process.send_signal(signal.SIGCONT)
        os.waitpid(process.pid, os.WCONTINUED)
        assert (status := read_status(tmp_path)) and status.state == "running"
    finally:
        process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and nobody has asked for its end
    assert (status := read_status(tmp_path)) and status.state == "crashed"


@pytest.mark.parametrize("data", [b"", b"{}", b"running", b'{"state": []}', b"5", b"[" * 10**5])
def test_what_is_wrong_with_a_status_is_said_and_the_rest_of_the_run_is_read(data: bytes, tmp_path: Path) -> None:
    run = Run(shutil.copytree(trainings.RECORDED, tmp_path / "run"))
    (run.folder / "status.json").write_bytes(data)
    seen = run.snapshot()
    assert seen.status and seen.status.state == "crashed" and "status.json is" in problem(seen).replace("\\", "")
    assert seen.records and not seen.damage


def test_what_is_wrong_with_a_runs_files_is_named_and_the_others_are_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("good", "bad", "worse", "worst"):
        shutil.copytree(trainings.RECORDED, tmp_path / name)
    shutil.copy(tmp_path / "bad" / "probes" / "00000001.npz", tmp_path / "bad" / "probes" / "00000001 (copy).npz")
    with (tmp_path / "bad" / "metrics.jsonl").open("ab") as file:
        file.write(b"{}\n")
    (tmp_path / "worse" / "metrics.jsonl").unlink()
    (tmp_path / "worse" / "metrics.jsonl").mkdir()
    (tmp_path / "worst" / "config.json").unlink()
    (tmp_path / os.fsdecode(b"\xff")).mkdir()
    (tmp_path / os.fsdecode(b"\xff") / "config.json").symlink_to("config.json")
    assert Run(tmp_path / "bad").probes() == Run(tmp_path / "good").probes()
    cli.list_runs(tmp_path)
    said = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "best perplexity 2.77" in said["good"] and "damaged" not in said["good"]
    assert "best perplexity 2.77  1 line of metrics.jsonl is damaged; the others count" in said["bad"]
    assert "its records cannot be read" in said["worse"] and "metrics.jsonl is a folder" in said["worse"]
    assert "unreadable" in said["worst"] and "there is no file or folder at" in said["worst"]
    assert "unreadable" in said["\\xff"] and "a link that leads to itself" in said["\\xff"]


def test_records_that_somebody_removes_are_there_again(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", CONFIG)
    training = execute(run)
    seen = [next(training), next(training)]
    (run.folder / "metrics.jsonl").unlink()
    seen += training
    assert list(run.records()) == seen
    assert load(run.folder / "best.safetensors").history["step"] == [1, 25, 30, 50, 60]


def test_records_that_were_removed_while_nobody_trained_are_missed(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", CONFIG)
    training = execute(run)
    while next(training).step < 50:  # it was saved after 30
        pass
    training.close()
    write_status(run.folder, "stopped", 30)
    (run.folder / "metrics.jsonl").unlink()
    assert run.snapshot().damage == ("metrics.jsonl is gone, and with it all records so far",)
    list(execute(run))
    assert "metrics.jsonl begins at step " in run.snapshot().damage[0]
    assert load(run.folder / "best.safetensors").history["step"]  # and the weights can be opened


def test_on_a_full_disk_the_status_is_said_in_its_old_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_status(tmp_path, "running", 5)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tempfile.mkstemp", full)
    write_status(tmp_path, "failed", 5, "the disk is full")
    assert (status := read_status(tmp_path)) and (status.state, status.message) == ("failed", "the disk is full")


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo; echo lstmviz: the text is gone >&2; exit 1", "the text is gone"),
        (f"exit {errno.ENOSPC}", "the disk is full; make room"),
        (f"exit {errno.EFBIG}", "larger than a file may be here"),
        ("kill -9 $$", "it was killed (SIGKILL)"),
        ("exit 3", "it ended with 3 and said nothing"),
    ],
)
def test_a_process_that_ends_before_it_says_anything_is_not_waited_for(tmp_path: Path, script: str, why: str) -> None:
    (tmp_path / "config.json").write_text("{}")
    children.begin(tmp_path, ["sh", "-c", script], {**os.environ})
    children.process_of(tmp_path).wait()
    assert (status := children.status_of(tmp_path)) and status.state == "crashed" and why in status.message


def test_of_many_who_begin_in_the_same_second_each_has_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainings, "start", lambda run: None)
    monkeypatch.setattr("time.strftime", lambda _: "1127-010101")
    with ThreadPoolExecutor(8) as pool:
        begun = [*pool.map(lambda _: trainings.begin(Home(tmp_path), CONFIG, "brackets", "a text"), range(8))]
    assert len({run.folder for run in begun}) == len(runs(tmp_path / "runs")) == 8


def test_what_cannot_be_begun_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)  # of the room that is looked for
    with pytest.raises(OSError, match="No space left"):
        trainings.begin(Home(tmp_path), CONFIG, "brackets")
    assert list((tmp_path / "runs").iterdir()) == []
