"""The command line, run as a user runs it."""

import re
import sys
from pathlib import Path

import pandas as pd
import pytest

from lstmviz import cli
from lstmviz.checkpoint import card, load, save
from lstmviz.trace import trace_sentence
from lstmviz.training.run import thinned


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
    assert load(tmp_path / "again" / "best.safetensors").weights["decoder.bias"].equal(best.weights["decoder.bias"])
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
        expected = trace_sentence(best.build(), best.vocabulary, "((x))").forget_gate.sel(layer=0, time=4, unit=7)
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
    ],
)
def test_a_problem_is_one_sentence(arguments, message, run, make_checkpoint, tmp_path: Path):
    save(make_checkpoint(), tmp_path / "model.safetensors")
    with pytest.raises(SystemExit) as exit:
        run(*(argument.format(tmp_path) for argument in arguments))
    assert message in str(exit.value) and "\n" not in str(exit.value)
    assert str(exit.value).startswith("lstmviz: ")


def test_a_card_is_a_table_of_two_columns(make_checkpoint):
    checkpoint = make_checkpoint()
    object.__setattr__(checkpoint, "hidden_variable", {"name": "depth", "correlations": [[0.1, 0.2, 0.9, 0.3]]})
    lines = card(checkpoint)
    assert "unit 2 of layer 1 carries most of it" in lines
    assert all(line.replace(r"\|", "").count("|") == 3 for line in lines.splitlines())


def test_a_thinned_history_keeps_every_evaluation():
    steps = list(range(1, 2001))
    history = {"step": steps, "train_nll": [1.0] * 2000, "valid_nll": [2.0 if s % 99 == 0 else None for s in steps]}
    thin = thinned(history)
    assert len(thin["step"]) < 450
    assert [s for s, nll in zip(thin["step"], thin["valid_nll"], strict=True) if nll] == list(range(99, 2001, 99))
