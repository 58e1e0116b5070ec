"""Line-ups: who is in them, of what size; killed and gone on with; refused."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lstmviz import cli
from lstmviz.cells import CELLS
from lstmviz.checkpoint import load
from lstmviz.config import ModelConfig, TrainConfig
from lstmviz.sizes import parameter_count, widest
from lstmviz.training.folder import Run, RunConfig, runs
from lstmviz.training.grid import Grid, lineup
from lstmviz.training.status import Busy
from lstmviz.training.sweep import Sweep, check_machine, train_member

ROOT = Path(__file__).parents[2]
TRAIN = TrainConfig("brackets", bptt=16, batch_size=8, steps=60, eval_every=30)
SMALL = {"embedding_size": 4, "hidden_size": 6}
TWO = lineup(dataclasses.replace(TRAIN, steps=400, eval_every=200), SMALL, ("gru", "rnn"), bptt=(16,))
VOCABULARY = 8  # of brackets, and of the text below


def wait_until(true, seconds: float = 60) -> None:
    give_up = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < give_up
        time.sleep(0.02)


def process_of(lineup: Sweep) -> subprocess.Popen:
    """In a session of its own, so that all its processes can be killed at once."""
    command = [sys.executable, "-m", "lstmviz", "sweep", str(lineup.folder)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, start_new_session=True)


def digests(lineup: Sweep) -> dict[str, str]:
    return {run.folder.name: load(run.folder / "best.safetensors").digest for run in lineup.runs()}


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Grid:
    """TWO on a text that is soon evaluated."""
    text = tmp_path_factory.mktemp("text") / "text.txt"
    text.write_text("((x)x)\n(x)\n" * 200)
    return TWO.trained(corpus=str(text))


@pytest.fixture(scope="module")
def undisturbed(quick: Grid, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The digests of its members, each trained alone in this process."""
    whole = Sweep.create(tmp_path_factory.mktemp("undisturbed") / "lineup", quick, VOCABULARY)
    for name, member in quick.members(VOCABULARY).items():
        assert Run(whole.folder / name).config() == member
        train_member(whole.folder / name)
    return digests(whole)


def test_a_member_is_named_by_what_distinguishes_it() -> None:
    assert list(TWO.members(VOCABULARY)) == ["gru", "rnn"]
    many = lineup(TRAIN, SMALL, ("gru", "lstm"), (1, 2), (16, 32), (0, 7))
    members = many.members(VOCABULARY)
    assert len(members) == many.count == 16
    member = members["gru-2x6-bptt32-seed7"]
    assert (member.train.bptt, member.train.seed, member.model.num_layers) == (32, 7, 2)
    assert "--cell gru" in member.command and "--bptt 32" in member.command


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_gets_as_many_units_as_the_parameters_allow(cell: str) -> None:
    model = widest(4000, VOCABULARY, cell=cell, embedding_size=8)
    wider = dataclasses.replace(model, hidden_size=model.hidden_size + 1)
    assert parameter_count(model, VOCABULARY) <= 4000 < parameter_count(wider, VOCABULARY)
    tied = widest(4000, VOCABULARY, cell=cell, tie_weights=True)
    assert tied.embedding_size == CELLS[cell].output_of(tied.hidden_size)
    assert 3000 < parameter_count(tied, VOCABULARY) <= 4000


def test_a_line_up_of_one_size() -> None:
    members = lineup(TRAIN, {"embedding_size": 4}, tuple(CELLS), parameters=2000).members(VOCABULARY)
    counts = [parameter_count(member.model, VOCABULARY) for member in members.values()]
    assert len(counts) == len(CELLS) and all(1700 < count <= 2000 for count in counts)


def test_how_the_forget_gate_begins_is_for_those_that_have_one() -> None:
    members = lineup(TRAIN, {**SMALL, "forget_bias": 1.0}, ("lstm", "rnn")).members(VOCABULARY)
    assert members["lstm"].model.forget_bias == 1.0 and members["rnn"].model.forget_bias is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cells": ()}, "cell is empty"),
        ({"seeds": (1, 1)}, "seed has 1 more than once"),
        ({"cells": tuple(CELLS), "seeds": tuple(range(200))}, "this is 4,800 trainings; a line-up has at most 500"),
        ({"cells": ("gpt",)}, "cell is 'gpt'"),
        ({"num_layers": (0,)}, "num_layers is 0"),
        ({"parameters": 50, "model": {}}, "no lstm has at most 50 parameters here: with a single unit"),
        ({"parameters": 5000}, "leave hidden_size out"),
    ],
)
def test_what_cannot_be_is_said(options: dict, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        Sweep.create(tmp_path / "lineup", lineup(**{"train": TRAIN, "model": SMALL, **options}), VOCABULARY)
    assert not (tmp_path / "lineup").exists()


def test_more_than_the_machine_has_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    members = TWO.members(VOCABULARY)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    with pytest.raises(ValueError, match="workers is 3; this machine has 2 cores"):
        check_machine(members, VOCABULARY, 3)
    check_machine(members, VOCABULARY, 2)
    monkeypatch.setattr("lstmviz.training.sweep.memory_there", lambda _: 500 * 2**20)
    check_machine(members, VOCABULARY, 1)
    with pytest.raises(ValueError, match=r"2 of these models at once takes 0.8 GB and there are 0.5 GB; train fewer"):
        check_machine(members, VOCABULARY, 2)


def test_the_same_again_goes_on_and_another_is_refused(tmp_path: Path) -> None:
    Sweep.create(tmp_path / "lineup", TWO, VOCABULARY)
    assert Sweep.create(tmp_path / "lineup", TWO, VOCABULARY).grid == TWO
    with pytest.raises(ValueError, match="was begun with other cell and seed; python"):
        other = TWO.over | {"model.cell": ("lstm",), "train.seed": (1,)}
        Sweep.create(tmp_path / "lineup", Grid(TWO.base, other), VOCABULARY)


OLD_SWEEP = """{
  "format": 1,
  "vocab_size": 8,
  "train": {
    "corpus": "CORPUS", "level": "char", "max_words": null, "min_count": 1, "bptt": 64, "batch_size": 4,
    "learning_rate": 0.002, "schedule": "cosine", "clip_norm": 1.0, "steps": 20, "eval_every": 10, "seed": 0,
    "bfloat16": false
  },
  "model": {
    "embedding_size": 8, "dropout": 0.0, "tie_weights": false, "adaptive_softmax": false, "forget_bias": 1.0,
    "chrono": null
  },
  "cells": ["lstm", "rnn", "janet"], "num_layers": [1, 2], "bptt": [16], "seeds": [0], "parameters": 3000, "probe": ""
}"""  # as commit 7b2017d wrote it, and a member's config.json
OLD_MEMBER = """{"format": 1, "train": {"corpus": "CORPUS", "level": "char", "max_words": null, "min_count": 1,
"bptt": 16, "batch_size": 4, "learning_rate": 0.002, "schedule": "cosine", "clip_norm": 1.0, "steps": 20,
"eval_every": 10, "seed": 0, "bfloat16": false}, "model": {"embedding_size": 8, "dropout": 0.0, "tie_weights": false,
"adaptive_softmax": false, "forget_bias": 1.0, "chrono": null, "cell": "lstm", "num_layers": 2, "hidden_size": 13},
"probe": ""}"""


def test_a_line_up_of_the_first_format_is_gone_on_with(tmp_path: Path, capsys) -> None:
    text, folder = tmp_path / "text.txt", tmp_path / "lineup"
    text.write_text("((x)x)\n(x(xx)x)\n(x)\n" * 30)
    (folder / "lstm-2x13").mkdir(parents=True)
    (folder / "sweep.json").write_text(OLD_SWEEP.replace("CORPUS", str(text)))
    (folder / "lstm-2x13" / "config.json").write_text(OLD_MEMBER.replace("CORPUS", str(text)))
    whole = Sweep(folder)
    names = ["lstm-1x21", "lstm-2x13", "rnn-1x45", "rnn-2x28", "janet-1x32", "janet-2x19"]  # its folders' names then
    assert list(whole.members) == names
    assert Run(folder / "lstm-2x13").config() == whole.members["lstm-2x13"]
    train = TrainConfig(str(text), batch_size=4, steps=20, eval_every=10)
    model = {"embedding_size": 8, "forget_bias": 1.0}
    same = lineup(train, model, ("lstm", "rnn", "janet"), (1, 2), (16,), parameters=3000)
    assert Sweep.create(folder, same, 0).members == whole.members  # the same command goes on with it
    with pytest.raises(ValueError, match="was begun with other steps;"):
        Sweep.create(folder, same.trained(steps=21), 0)
    whole.lay_out()
    assert [Run(folder / name).config() for name in names] == list(whole.members.values())
    assert train_member(folder / "lstm-2x13") == load(folder / "lstm-2x13" / "best.safetensors").digest


def test_any_field_may_vary() -> None:
    base = RunConfig(TRAIN, ModelConfig(**SMALL))
    grid = Grid(base, {"model.cell": ("lstm",), "train.learning_rate": (0.01, 1e-3), "model.dropout": (0.0, 0.5)})
    members = grid.members(VOCABULARY)
    assert list(members) == [
        "lstm-learning-rate0.01-dropout0.0", "lstm-learning-rate0.01-dropout0.5", "lstm-learning-rate0.001-dropout0.0",
        "lstm-learning-rate0.001-dropout0.5",
    ]  # fmt: skip
    last = members["lstm-learning-rate0.001-dropout0.5"]
    assert (last.train.learning_rate, last.model.dropout) == (0.001, 0.5)
    assert last == RunConfig(
        dataclasses.replace(TRAIN, learning_rate=0.001), dataclasses.replace(base.model, dropout=0.5)
    )
    assert Grid.loads(json.loads(json.dumps(grid.dumps()))) == grid
    texts = Grid(base, {"train.corpus": ("/some/where/one.txt", "../two words.txt")})
    assert list(texts.members(VOCABULARY)) == ["lstm-corpusone.txt", "lstm-corpustwo-words.txt"]
    with pytest.raises(ValueError, match="two trainings would be called lstm-corpusone"):
        Grid(base, {"train.corpus": ("a/one.txt", "b/one.txt")}).members(VOCABULARY)
    with pytest.raises(ValueError, match="size is no field that can vary"):
        Grid(base, {"model.size": (1,)})


@pytest.mark.parametrize("cells", [("lstmp",), ("rnn", "lstm"), ("lstmp", "gru")])
def test_what_the_first_cell_cannot_be_the_others_may(cells: tuple[str, ...]) -> None:
    model = {"embedding_size": 8, "tie_weights": True, "forget_bias": 1.0}
    members = lineup(TRAIN, model, cells, parameters=3000).members(VOCABULARY)
    assert all(m.model.embedding_size == CELLS[c].output_of(m.model.hidden_size) for c, m in members.items())
    assert {c: m.model.forget_bias for c, m in members.items()} == {c: None if c == "rnn" else 1.0 for c in cells}


def test_killed_and_gone_on_with_it_ends_with_the_same_bits(tmp_path: Path, quick: Grid, undisturbed: dict) -> None:
    """A worker, then the whole group, then the line-up alone: each time while the first member trains."""
    lineup = Sweep.create(tmp_path / "lineup", quick, VOCABULARY)
    gru, seen = lineup.runs()[0], set()

    def training() -> int:
        """The process that trains it, another each time."""
        wait_until(lambda: (status := gru.status()) and status.state == "running" and status.pid not in seen)
        wait_until(lambda: len(gru.records()) > 2)
        status = gru.status()
        assert status is not None and status.state == "running" and status.pid
        seen.add(status.pid)
        return status.pid

    process = process_of(lineup)
    try:
        os.kill(training(), signal.SIGKILL)
        training()  # it was begun again without being asked
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process = process_of(lineup)
        training()
        process.kill()
        process.wait()
        process = process_of(lineup)  # at once: the killed one's workers may still be at it
        assert process.wait(60) == 0
    finally:
        process.kill()
    status = lineup.status()
    assert status is not None and (status.state, status.step) == ("finished", 2)
    assert digests(lineup) == undisturbed
    for run in lineup.runs():
        steps = [record.step for record in run.records()]
        assert steps == sorted(set(steps)) and steps[-1] == 400  # nobody else wrote into it


def test_a_line_up_is_stopped_and_seen_like_runs(tmp_path: Path, quick: Grid, capsys) -> None:
    lineup = Sweep.create(tmp_path / "lineup", quick.trained(steps=10**6), VOCABULARY)
    process = process_of(lineup)
    try:
        first, second = lineup.runs()
        wait_until(lambda: first.records())
        with pytest.raises(Busy, match="another process is at the line-up"):
            next(lineup.execute())
        assert [run.name for run in runs(tmp_path)] == ["lineup/gru", "lineup/rnn"]
        cli.stop(lineup.folder)
        assert process.wait(30) == 0
    finally:
        process.kill()
    assert "asked the line-up lineup to stop" in capsys.readouterr().out
    states = [status.state for run in (first, second) if (status := run.status())]
    assert states == ["stopped", "stopped"]
    status = lineup.status()
    assert status is not None and status.state == "stopped"
    assert (first.folder / "last.safetensors").exists()  # saved where it stood
    with pytest.raises(ValueError, match="is not running"):
        cli.stop(lineup.folder)


def test_others_go_on_where_one_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    text = tmp_path / "text.txt"
    text.write_text("abc " * 300)
    options = "--bptt 16 1000 --batch-size 4 --steps 20 --eval-every 10 --hidden-size 4 --workers 1".split()
    monkeypatch.setattr(sys, "argv", ["lstmviz", "sweep", f"{tmp_path}/lineup", "--corpus", str(text), *options])
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        with pytest.raises(SystemExit, match=r"1 of 2 members failed: lstm-bptt1000 \(.* needs at least 4,004\)"):
            cli.main()
    finally:
        for number, handler in zip((signal.SIGINT, signal.SIGTERM), handlers, strict=True):
            signal.signal(number, handler)
    printed = capsys.readouterr().out
    assert "lstm-bptt16: finished, valid" in printed and "lstm-bptt1000  failed" in printed
    card = (tmp_path / "lineup" / "lstm-bptt16" / "card.md").read_text()
    assert "python -m lstmviz train runs/lstm-bptt16 --corpus text.txt --bptt 16" in card


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{0}/none"], "there is no line-up in {0}/none; say what to train on with --corpus"),
        (["{0}/known", "--steps", "7"], "say python -m lstmviz sweep {0}/known alone"),
        (["{0}/known", "--corpus", "brackets"], "was begun with other cell and embedding_size and hidden_size and "),
        (["{0}/new", "--corpus", "brackets", "--ray", "auto", "--workers", "2"], "leave --workers out"),
        (["{0}/new", "--corpus", "brackets", "--workers", "1000"], "workers is 1000"),
        (["{0}/new", "--corpus", "brackets", "--workers", "-1"], "workers is -1"),
        (["{0}/new", "--corpus", "brackets", "--workers", "0"], "workers is 0"),
        (["{0}/new", "--corpus", "brackets", "--batch-size", "10000000"], "training 1 of these models at once takes"),
        (["{0}/new", "--corpus", "brackets", "--hidden-size", "100000"], "hidden_size is 100000; it must be a whole"),
    ],
)
def test_a_problem_is_one_sentence(arguments: list, message: str, tmp_path: Path, monkeypatch) -> None:
    Sweep.create(tmp_path / "known", TWO, VOCABULARY)
    monkeypatch.setattr(sys, "argv", ["lstmviz", "sweep", *(argument.format(tmp_path) for argument in arguments)])
    with pytest.raises(SystemExit) as exit:
        cli.main()
    assert message.format(tmp_path) in str(exit.value) and "\n" not in str(exit.value)
    assert [path.name for path in tmp_path.iterdir()] == ["known"]  # what is refused leaves no folder


def test_ray_ends_with_the_same_bits(tmp_path: Path, quick: Grid, undisturbed: dict) -> None:
    pytest.importorskip("ray", reason='there is no Ray: pip install ".[cluster]"')
    lineup = Sweep.create(tmp_path / "lineup", quick, VOCABULARY)
    outcomes = [outcome for outcome in lineup.execute(ray="local") if outcome]
    assert {outcome.run.folder.name: outcome.digest for outcome in outcomes if outcome.digest} == undisturbed


def test_without_ray_a_sentence_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    lineup = Sweep.create(tmp_path / "lineup", TWO, VOCABULARY)
    with pytest.raises(ValueError, match=r'pip install "\.\[cluster\]"'):
        next(lineup.execute(ray="auto"))
