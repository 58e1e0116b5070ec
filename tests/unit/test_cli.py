"""The command line, run as a user runs it."""

import dataclasses
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lstmviz import cli, counted
from lstmviz.card import card, table_card
from lstmviz.checkpoint import load, save
from lstmviz.config import ROWS_MOST, ModelConfig, TrainConfig, options_of
from lstmviz.trace import trace_sentence
from lstmviz.training.folder import Run, RunConfig
from lstmviz.training.results import thinned


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs a command line in this process and gives what it printed."""

    def run(*arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", ["lstmviz", *map(str, arguments)])
        cli.main()
        return capsys.readouterr().out

    return run


def test_train_then_evaluate_then_trace(run, tmp_path):
    options = "--cell lstm --hidden-size 8 --embedding-size 4 --steps 60 --eval-every 30 --batch-size 8 --seed 3"
    printed = run("train", tmp_path / "first", "--corpus", "brackets", *options.split())
    assert "step 60/60" in printed and "perplexity" in printed

    path = tmp_path / "first" / "best.safetensors"
    best = load(path)
    assert (best.model.hidden_size, best.train.seed, best.step) == (8, 3, 60)
    assert best.history["step"] == [1, 25, 30, 50, 60]
    assert best.command.startswith("python -m lstmviz train runs/first --corpus brackets --")
    again = best.command.split()[5:]
    run("train", tmp_path / "again", *again)
    assert np.array_equal(
        load(tmp_path / "again" / "best.safetensors").weights["decoder.bias"], best.weights["decoder.bias"]
    )
    assert best.hidden_variable is not None and best.hidden_variable["name"] == "nesting depth"
    assert (tmp_path / "first" / "card.md").read_text(encoding="utf-8") == card(best)

    printed = run("evaluate", path, "--corpus", "brackets")
    assert f"best on brackets (valid): {best.results['valid_nll']:.4f} nats/character" in printed
    assert "nesting depth: unit" in printed
    printed = run("evaluate", path, "--corpus", "brackets", "--part", "test")
    assert f"{best.results['test_nll']:.4f}" in printed

    for name, read in {"trace.parquet": pd.read_parquet, "trace.csv": pd.read_csv}.items():
        run("trace", path, "((x))", "--out", tmp_path / name)
        frame = read(tmp_path / name)
        assert len(frame) == 5 * 8
        expected = trace_sentence(best.build(), best.vocabulary, "((x))").forget_gate[0, 4, 7]
        row = frame.query("layer == 0 and time == 4 and unit == 7").iloc[0]
        assert row.forget_gate == pytest.approx(float(expected)) and row.token == ")"


def test_train_on_a_text_of_ones_own(run, tmp_path):
    (tmp_path / "songs.txt").write_text("the cat sat on the mat\n" * 200, encoding="utf-8")
    options = ("--level", "word", "--max-words", 5, "--bptt", 8, "--batch-size", 4, "--hidden-size", 8, "--steps", 30)
    run("train", tmp_path / "run", "--corpus", tmp_path / "songs.txt", *options)
    best = load(tmp_path / "run" / "best.safetensors")
    assert len(best.vocabulary) == 9
    assert (best.corpus_name, best.train.corpus) == ("songs", "songs.txt")
    assert str(tmp_path) not in best.command + card(best)  # nobody's folders in a file that is passed on
    assert "perplexity" in run("evaluate", tmp_path / "run/best.safetensors", "--corpus", tmp_path / "songs.txt")
    assert best.results["valid_unknown"] == 0


def test_a_text_is_counted(run, tmp_path):
    (tmp_path / "songs.txt").write_text("the cat sat on the mat\n" * 200, encoding="utf-8")
    options = ("--level", "word", "--max-words", 4, "--n", 3)
    printed = run("count", tmp_path / "songs.counts", "--corpus", tmp_path / "songs.txt", *options)
    table = counted.load(tmp_path / "songs.counts")
    assert table.about.runs == (6, 7, 7) and "validation, Kneser-Ney 3-gram" in printed
    assert table.about.command.endswith("count songs.counts --corpus songs.txt --n 3 --level word --max-words 4")
    assert (tmp_path / "songs.md").read_text(encoding="utf-8") == table_card(table)
    with pytest.raises(SystemExit, match=r"the file to write is songs.txt; its name must end in .counts"):
        run("count", tmp_path / "songs.txt", "--corpus", tmp_path / "songs.txt")


def test_a_perplexity_that_is_mostly_unk_says_so(run, tmp_path):
    """The text of made-up words that had a better perplexity than the model's own."""
    (tmp_path / "songs.txt").write_text("the cat sat on the mat\n" * 200, encoding="utf-8")
    options = ("--level", "word", "--max-words", 2, "--bptt", 8, "--batch-size", 4, "--hidden-size", 8, "--steps", 30)
    printed = run("train", tmp_path / "run", "--corpus", tmp_path / "songs.txt", *options)
    best = load(tmp_path / "run" / "best.safetensors")  # which lacks three of seven tokens a line
    assert best.results["valid_unknown"] == pytest.approx(3 / 7, abs=0.005)
    assert r"% \<unk\>; with 4" in (tmp_path / "run/card.md").read_text()
    assert re.search(r"valid \d.*, 4\d\.\d% <unk>", printed)
    path = tmp_path / "run" / "best.safetensors"
    printed = run("evaluate", path, "--corpus", tmp_path / "songs.txt")
    assert "% <unk>\nwarning: with 4" in printed
    (tmp_path / "madeup.txt").write_text("xq zv wk yy qd pf\n" * 50)
    printed = run("evaluate", path, "--corpus", tmp_path / "madeup.txt", "--part", "train")
    assert "85.7% <unk>\nwarning: with 85.7% <unk> a perplexity tells little" in printed
    (tmp_path / "known.txt").write_text("the the the the\n" * 50)
    printed = run("evaluate", path, "--corpus", tmp_path / "known.txt")
    assert "(word level), no <unk>\n" in printed and "warning" not in printed


def test_evaluating_on_another_text_says_so(run, make_checkpoint, tmp_path):
    save(make_checkpoint(), tmp_path / "model.safetensors")
    (tmp_path / "other.txt").write_text("abc cab\n" * 20, encoding="utf-8")
    assert "another text than" in run("evaluate", tmp_path / "model.safetensors", "--corpus", tmp_path / "other.txt")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "{0}/run", "--corpus", "{0}/none.txt"], "there is no file or folder at"),
        (["train", "{0}/run", "--corpus", "brackets", "--cell", "gpt"], "cell is 'gpt'"),
        (["train", "{0}/run", "--corpus", "brackets", "--steps", "0"], "steps is 0"),
        (["evaluate", "{0}/none.safetensors", "--corpus", "brackets"], "cannot be read"),
        (["evaluate", "{0}/model.safetensors", "--corpus", "agreement"], "not trained on agreement"),
        (["trace", "{0}/model.safetensors", "", "--out", "{0}/trace.csv"], "at least one"),
        (["trace", "{0}/model.safetensors", "abc", "--out", "{0}/trace.xls"], "must end in .parquet or .csv"),
        (["trace", "{0}/model.safetensors", "abc", "--out", "{0}/no/folder/trace.csv"], "folder"),
        (["trace", "{0}/model.safetensors", "abc", "--out", "{0}/folder.csv"], "folder.csv cannot be written: it is"),
        (["trace", "{0}", "abc", "--out", "{0}/trace.csv"], "cannot be read: Is a directory"),
        (["evaluate", "{0}/text.txt", "--corpus", "brackets"], "cut short or is no safetensors file"),
        (["evaluate", "{0}/model.safetensors", "--corpus", "{0}/empty.txt"], "has 0 tokens"),
        (["evaluate", "{0}/model.safetensors", "--corpus", "{0}/latin.txt"], "latin.txt is not UTF-8 text"),
        (["train", "{0}/run", "--corpus", "{0}/folder.csv"], 'must hold exactly one file with "train"'),
        (["train", "{0}/text.txt", "--corpus", "brackets"], "text.txt cannot be used (File exists)"),
        (["resume", "{0}/none"], "there is no training run in"),
        (["resume", "{0}/text.txt"], "there is no training run in"),
        (["stop", "{0}/none"], "there is no training run in"),
        (["sweep", "{0}/none"], "there is no line-up in"),
        (["sweep", "{0}/none", "--corpus", "brackets", "--seeds", f"{2**64}"], f"seed is {2**64}; it must be a whole"),
        (["sweep", "{0}/none", "--corpus", "brackets", "--bptt", "0"], "bptt is 0; it must be a whole number"),
        (["runs", "{0}/none"], "there is no folder at"),
        (["runs", "{0}/text.txt"], "there is no folder at"),
        (["corpus", "import", "{0}/none"], "there is no file at"),
    ],
)
def test_a_problem_is_one_sentence(arguments, message, run, make_checkpoint, tmp_path: Path):
    save(make_checkpoint(), tmp_path / "model.safetensors")
    (tmp_path / "folder.csv").mkdir()
    for name, data in {"text": b"abc", "empty": b"", "latin": b"\xe9t\xe9"}.items():
        (tmp_path / f"{name}.txt").write_bytes(data)
    with pytest.raises(SystemExit) as exit:
        run(*(argument.format(tmp_path) for argument in arguments))
    assert message in str(exit.value) and "\n" not in str(exit.value)
    assert str(exit.value).startswith("lstmviz: ")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *[("seed", value) for value in (2**64, 2**63, -(2**63) - 1)],
        *[(name, value) for name in ("steps", "bptt", "batch-size", "eval-every") for value in (0, -1, 10**30)],
        *[("hidden-size", value) for value in (0, -3, 10**30)],
        *[("learning-rate", value) for value in ("nan", "inf", "-inf", 0, -1, "1e400")],
        *[("clip-norm", value) for value in ("nan", "inf", 0)],
        *[("dropout", value) for value in ("nan", 1, -0.1)],
        *[("forget-bias", value) for value in ("nan", 1e9)],
        *[("num-layers", 65), ("embedding-size", 0), ("chrono", 10**30), ("max-words", 0), ("min-count", 0)],
    ],
)
def test_what_is_out_of_its_range_is_named_and_leaves_no_folder(option, value, run, tmp_path: Path):
    with pytest.raises(SystemExit) as exit:
        run("train", tmp_path / "run", "--corpus", "brackets", f"--{option}", value)
    said = str(exit.value)
    assert said.startswith(f"lstmviz: {option.replace('-', '_')} is ") and "; it must be " in said and "\n" not in said
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("text", ["-a", "- b", "-", "-5", "--a b", "-abc", "---"])
def test_a_sentence_may_begin_with_a_dash(text, run, make_checkpoint, tmp_path: Path):
    save(make_checkpoint(), tmp_path / "m.safetensors")
    for arguments in (["m.safetensors", text, "--out", "o.csv"], ["m.safetensors", "--out", "o.csv", "--", text]):
        run("trace", *(tmp_path / a if "." in a else a for a in arguments))
        assert pd.read_csv(tmp_path / "o.csv", keep_default_na=False).time.max() == len(text) - 1
        (tmp_path / "o.csv").unlink()
    assert cli._with_texts(["train", "x", "--probe", text, "--seed", "-5"]) == [
        "train", "x", f"--probe={text}", "--seed", "-5"
    ]  # fmt: skip


def test_a_text_that_looks_like_an_option_is_said_how_to_write(run, make_checkpoint, tmp_path: Path, capsys):
    save(make_checkpoint(), tmp_path / "m.safetensors")
    for arguments in (["trace", tmp_path / "m.safetensors", "--a", "--out", "o.csv"], ["train", "x", "--probe", "--a"]):
        with pytest.raises(SystemExit):
            run(*arguments)
        assert "A text that begins with - is written --probe=TEXT" in capsys.readouterr().err
    run("trace", tmp_path / "m.safetensors", "--out", tmp_path / "o.csv", "--", "--a")
    assert len(pd.read_csv(tmp_path / "o.csv")) == 3 * 4


def test_runs_says_what_is_there(run, tmp_path: Path):
    assert "there are no runs in" in run("runs", tmp_path)
    Run.create(tmp_path / "first", RunConfig(TrainConfig("brackets"), ModelConfig()))
    assert run("runs", tmp_path).startswith("first  ") and run("runs", tmp_path / "first").startswith("first  ")


def test_what_nobody_sees_in_a_name_is_shown_and_steers_no_terminal(run, make_checkpoint, tmp_path: Path):
    Run.create(tmp_path / "a\u202eb\x1b[2J", RunConfig(TrainConfig("brackets"), ModelConfig()))
    assert r"a‹U+202E›b\x1b[2J" in run("runs", tmp_path)
    save(dataclasses.replace(make_checkpoint(), corpus_name="\u2067x"), path := tmp_path / "\u200b.safetensors")
    (tmp_path / "t.txt").write_text("abc \n" * 50, "utf-8")
    printed = run("evaluate", path, "--corpus", tmp_path / "t.txt")
    assert "‹U+2067›x" in printed and "‹U+200B› on t" in printed and printed.replace("\n", "").isprintable()


def test_a_training_that_learned_nothing_is_told_so_and_is_at_its_end(run, tmp_path: Path):
    (tmp_path / "text.txt").write_text("abcab cab\n" * 100)
    sizes = "--bptt 8 --batch-size 4 --hidden-size 4 --steps 20 --eval-every 10 --learning-rate 1e6".split()
    printed = run("train", tmp_path / "run", "--corpus", tmp_path / "text.txt", *sizes)
    assert "warning: nothing was learned: the lowest validation loss is" in printed
    assert "nothing was learned" in run("runs", tmp_path)
    with pytest.raises(SystemExit, match="is finished already, after 20 steps"):
        run("resume", tmp_path / "run")
    assert Run(tmp_path / "run").status().state == "finished"
    with pytest.raises(SystemExit, match=r"the training diverged: .*; try a lower learning rate"):
        run("train", tmp_path / "worse", "--corpus", tmp_path / "text.txt", *sizes[:-1], "1e20")


def test_a_card_is_a_table_of_two_columns(make_checkpoint):
    checkpoint = make_checkpoint()
    object.__setattr__(checkpoint, "hidden_variable", {"name": "depth", "correlations": [[0.1, 0.2, 0.9, 0.3]]})
    lines = card(checkpoint)
    assert "unit 2 of layer 1 carries most of it" in lines
    assert all(line.replace(r"\|", "").count("|") == 3 for line in lines.splitlines())


@pytest.mark.parametrize("command", ["train", "sweep"])
def test_help_says_what_every_field_is(command, run, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit):
        run(command, "--help")
    printed = " ".join(re.sub("[│╭╰─╮╯]", " ", capsys.readouterr().out).split())
    several = {"cell", "num_layers", "bptt", "seed"} if command == "sweep" else set()
    for config in (ModelConfig, TrainConfig):
        for name, (_, known) in options_of(config).items():
            if name not in several:
                assert f"--{name.replace('_', '-')}" in printed and known.help in printed, name
    assert ("--seeds" in printed, "--seed INT" in printed) == (command == "sweep", command == "train")


def test_a_thinned_history_keeps_every_evaluation():
    steps = list(range(1, 2001))
    history = {"step": steps, "train_nll": [1.0] * 2000, "valid_nll": [2.0 if s % 99 == 0 else None for s in steps]}
    thin = thinned(history)
    assert len(thin["step"]) < 450
    assert [s for s, nll in zip(thin["step"], thin["valid_nll"], strict=True) if nll] == list(range(99, 2001, 99))


def test_a_history_of_very_many_evaluations_is_one_that_can_be_read():
    count = 10 * ROWS_MOST
    history = {"step": list(range(1, count + 1)), "train_nll": [1.0] * count, "valid_nll": [2.0] * count}
    thin = thinned(history)
    assert ROWS_MOST / 4 < len(thin["step"]) < ROWS_MOST and thin["step"][-1] == count
