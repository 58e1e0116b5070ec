"""Published experiments, measured again."""

import errno
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lstmviz import checkpoint, cli
from lstmviz.config import ModelConfig
from lstmviz.data.corpora import import_text
from lstmviz.data.vocabulary import APART
from lstmviz.disk import reason
from lstmviz.experiments.base import (
    EXPERIMENTS,
    Experiment,
    Figure,
    Member,
    Result,
    Setting,
    Table,
    Trained,
    own,
    result_of,
    shipped,
    side_by_side,
)
from lstmviz.experiments.report import COPIED, GATES, PERPLEXITY, _gate_means
from lstmviz.home import Home
from lstmviz.model import LanguageModel
from lstmviz.sizes import parameter_count
from lstmviz.training.folder import RunConfig
from lstmviz.training.grid import Grid
from lstmviz.training.loop import held_out
from lstmviz.training.process import execute
from lstmviz.training.sweep import Sweep

ROOT = Path(__file__).parents[2]
TABLE = Table("loss", "epoch", ("1", "2"), ("lstm", "gru"), {"lstm": (1.5, None)}, digits=2)
LINES = "the cat sat on the mat\na dog sat\nthe dog saw a cat on a mat\n"


def _grids(setting: Setting) -> dict[str, Grid]:
    train = replace(setting.train, objective="windows", bptt=3, batch_size=4, steps=2 * setting.epochs, eval_every=2)
    base = RunConfig(train, ModelConfig(embedding_size=3, hidden_size=4))
    return {"": Grid(base, {"model.cell": ("lstm", "gru"), "train.seed": setting.seeds})}


def _figures(trained: Trained) -> Iterator[Figure]:
    losses = [record.valid_nll for record in trained.records if record.valid_nll is not None]
    for epoch, nll in enumerate(losses, start=1):
        yield Figure("loss", f"{epoch}", trained.config.model.cell, nll)


TINY = Experiment("tiny", "Tiny", "nobody", "", "", "tiny", (TABLE,), _grids, _figures, seeds=(0, 1), epochs=2)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """An own home with a text, and an experiment that takes a moment."""
    monkeypatch.setenv("LSTMVIZ_HOME", str(tmp_path))
    monkeypatch.setitem(EXPERIMENTS, "tiny", TINY)
    (tmp_path / "text.txt").write_text(LINES * 100)
    return Home.here()


def test_an_experiment_is_trained_kept_and_printed_beside_what_was_published(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    text = str(home.folder / "text.txt")
    setting = TINY.setting(text)
    for folder, grid in TINY.line_ups(setting, home.runs).items():
        for run in Sweep.create(folder, grid, len(setting.corpus.vocabulary)).runs():
            list(execute(run))
    cli.experiment("tiny", text)
    said = capsys.readouterr().out
    result, wrong = result_of("tiny", home)
    assert result is not None and not wrong and result == Result.load(own("tiny", home))
    assert result.command == "python -m lstmviz experiment tiny --corpus text.txt"
    assert [member.name for member in result.members] == ["lstm-seed0", "lstm-seed1", "gru-seed0", "gru-seed1"]
    first = result.members[0]
    assert (
        first.config is not None and first.config.train.corpus == "text.txt" and str(home.folder) not in said[-500:-80]
    )
    assert first.step == (1, 2, 4) and first.valid_nll[0] is None and len(first.figures) == 2

    ours, spread = result.measured(TABLE), result.spread(TABLE)
    pair = [member.figures[1].value for member in result.members[:2]]
    assert ours.loc["2", "lstm"] == pytest.approx(sum(pair) / 2)
    assert spread.loc["2", "lstm"] == pytest.approx(abs(pair[0] - pair[1]) / math.sqrt(2))
    assert result.count(TABLE).loc["1", "gru"] == 2
    assert f"{ours.loc['1', 'lstm'] - 1.5:+.2f}" in said


def test_one_that_was_stopped_keeps_what_is_done_and_says_what_was_not_run(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "follow_all", lambda *_, **__: False)
    cli.experiment("tiny", str(home.folder / "text.txt"), out=home.folder / "made" / "it.json")
    result = Result.load(home.folder / "made" / "it.json")
    assert result.members == () and result.measured(TABLE).isna().all(axis=None)
    assert capsys.readouterr().out.count("not run") == 4
    half = replace(result, members=(Member("gru", 0, 9, figures=(Figure("loss", "1", "gru", 2.0),)),))
    assert side_by_side(TINY, half).count("not run") == 3 and "2.00" in side_by_side(TINY, half)


def test_on_a_full_disk_the_figures_are_printed_and_the_earlier_result_stays(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    earlier = Result("tiny", "an earlier command", "text", "0" * 64, 9)
    earlier.save(own("tiny", home))

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cli, "follow_all", lambda *_, **__: monkeypatch.setattr("os.fsync", full))  # meanwhile
    with pytest.raises(OSError, match="No space left") as error:
        cli.experiment("tiny", str(home.folder / "text.txt"))
    assert reason(error.value).startswith("the disk is full; make room and try again")
    said = capsys.readouterr().out
    assert "ours" in said and "saved" not in said
    assert result_of("tiny", home) == (earlier, "")
    assert [path.name for path in own("tiny", home).parent.iterdir()] == ["tiny.json"]  # nothing half written


def test_a_difference_is_shown_from_the_published_text_alone(home: Home) -> None:
    result = Result("tiny", "", "other", "0" * 64, 9)
    assert "difference" in side_by_side(TINY, result)
    other = side_by_side(replace(TINY, sha256="1" * 64), result)
    assert "another text than the published one, so no difference is shown" in other and "report" in other


def test_where_the_published_text_is_missing_it_is_said_where_to_put_it(home: Home) -> None:
    with pytest.raises(ValueError, match=r"Tiny is measured on a text .* corpus import FOLDER --name tiny; or say"):
        TINY.setting()
    import_text([home.folder / "text.txt"], "tiny", home.corpora)
    assert TINY.setting().corpus.name == "tiny"
    (home.folder / "empty").mkdir()
    with pytest.raises(ValueError, match='must hold exactly one file with "train" in its name; it holds 0'):
        TINY.setting(str(home.folder / "empty"))
    assert TINY.setting("brackets").train.level == "char"


def test_another_text_keeps_so_many_words(home: Home) -> None:
    setting = replace(TINY, sha256="1" * 64).setting(str(home.folder / "text.txt"), epochs=7, seeds=(3,))
    assert setting.train.max_words == 10_000
    assert TINY.command(setting) == "python -m lstmviz experiment tiny --corpus text.txt --seeds 3 --epochs 7"
    folders = [[*TINY.line_ups(each, home.runs)] for each in (setting, replace(setting, epochs=8))]
    assert folders[0] != folders[1] and folders[0] == [*TINY.line_ups(setting, home.runs)]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda given: given | {"format": 0}, "another version of lstmviz wrote it"),
        (lambda given: given | {"experiment": "none"}, "of an experiment that this version"),
        (lambda given: given | {"members": 3}, "its members are missing"),
        (lambda given: given | {"vocab_size": -1}, "vocab_size is -1"),
        (lambda given: given | {"members": [{"name": "lstm"}]}, "a member has no figures"),
        (lambda given: given | {"members": [given["members"][0] | {"step": [1]}]}, "are not of one length"),
        (lambda given: given | {"members": [given["members"][0] | {"config": {}}]}, "what was asked of a training"),
        (lambda given: [given], "it holds no result"),
    ],
)
def test_a_result_that_is_damaged_or_of_another_version_is_refused_in_a_sentence(
    home: Home, spoil: Callable[[dict], object], said: str
) -> None:
    path = own("tiny", home)
    Result("tiny", "", "text", "0" * 64, 9, (Member("lstm", 0, 9, figures=(Figure("loss", "1", "lstm", 1.0),)),)).save(
        path
    )
    assert result_of("tiny", home)[0] == Result.load(path)
    path.write_text(json.dumps(spoil(json.loads(path.read_text()))))
    with pytest.raises(
        ValueError, match=rf"tiny.json cannot be read: .*{said}.*lstmviz experiment .* measures it again"
    ):
        Result.load(path)
    nothing, wrong = result_of("tiny", home)
    assert nothing is None and said in wrong


@pytest.mark.parametrize("experiment", EXPERIMENTS.values(), ids=EXPERIMENTS)
def test_every_experiment_is_whole(experiment: Experiment, home: Home) -> None:
    for table in experiment.tables:
        assert set(table.published) <= set(table.columns) and set(table.notes) <= set(table.columns)
        assert all(len(column) == len(table.rows) for column in table.published.values())
        assert table.report.shape == (len(table.rows), len(table.columns))
    assert experiment.title and experiment.source and experiment.expects
    setting = experiment.setting("" if "task" in experiment.cut else str(home.folder / "text.txt"))
    for folder, grid in experiment.line_ups(setting, home.runs).items():
        assert folder.name.startswith(f"{experiment.name}-") and grid.members(len(setting.corpus.vocabulary))


def test_attention_is_measured_on_what_has_any_length(home: Home) -> None:
    experiment = EXPERIMENTS["attention"]
    assert [*experiment.line_ups(experiment.setting("sort"), home.runs)]
    with pytest.raises(ValueError, match="say --corpus reverse or sort"):
        experiment.line_ups(experiment.setting("dates"), home.runs)


def test_who_reads_trees_and_who_reads_text_have_about_as_many_parameters() -> None:
    experiment = EXPERIMENTS["trees"]
    grids = experiment.grids(experiment.setting())
    counts = {cell: parameter_count(grid.base.model, 10) for cell, grid in grids.items()}
    assert {cell: grid.base.train.task for cell, grid in grids.items()} == {
        "nary": "tree",
        "child_sum": "tree",
        "lstm": "tag",
    }
    assert max(counts.values()) < 1.05 * min(counts.values())


@pytest.mark.parametrize("name", [name for name in EXPERIMENTS if shipped(name).exists()])
def test_what_comes_with_the_project_fits_its_experiment(name: str) -> None:
    result, experiment = Result.load(shipped(name)), EXPERIMENTS[name]
    places = {(t.title, row, column) for t in experiment.tables for row in t.rows for column in t.columns}
    assert {(f.table, f.row, f.column) for member in result.members for f in member.figures} <= places
    assert "/" not in result.corpus and "/" not in result.command
    assert experiment.sha256 in ("", result.sha256)


def test_the_gates_as_printed_get_no_gradient_and_the_copied_weights_differ_by_nothing(
    home: Home, make_checkpoint: Callable
) -> None:
    setting = replace(EXPERIMENTS["three-lstms"].setting(str(home.folder / "text.txt")), epochs=1)
    (grid,) = EXPERIMENTS["three-lstms"].grids(setting).values()
    members = grid.members(len(setting.corpus.vocabulary))
    assert grid.base.train.objective == "windows" and grid.base.train.unseen_apart
    assert {*members} == {*PERPLEXITY.columns}

    vocabulary, corpus = setting.corpus.vocabulary, setting.corpus
    printed = make_checkpoint(cell="report_split", vocabulary=vocabulary)
    printed = replace(printed, train=replace(grid.base.train, batch_size=3))
    corpus = replace(corpus, valid=torch.tensor([*[5] * 6, vocabulary.ids[APART], vocabulary.end, *corpus.valid[:20]]))
    trained = Trained(RunConfig(printed.train, printed.model), (), printed, corpus)
    copied, *by_word = EXPERIMENTS["three-lstms"].figures(trained)
    assert (copied.table, copied.row, copied.value) == (COPIED.title, "report_split into report_concat", 0.0)
    every, known, new = (figure.value for figure in by_word)
    assert min(known, new) < every < max(known, new)
    assert every == pytest.approx(held_out(printed.build(), corpus.valid, vocabulary, printed.train))


def test_the_means_of_the_gates_are_of_all_windows(home: Home) -> None:
    setting = EXPERIMENTS["gates"].setting(str(home.folder / "text.txt"))
    corpus = replace(setting.corpus, valid=setting.corpus.train)
    config = EXPERIMENTS["gates"].grids(setting)["window1"].base
    torch.manual_seed(0)
    model = LanguageModel(replace(config.model, cell="lstm"), len(corpus.vocabulary))
    means = {figure.column: figure for figure in _gate_means(model, corpus, config.train, "untrained")}
    assert means.keys() == {"i, untrained", "f, untrained"} <= {*GATES.columns}
    assert all(0.3 < figure.value < 0.7 and figure.row == "1" for figure in means.values())


def test_what_comes_with_the_project_is_not_trained_again(home: Home) -> None:
    experiment = EXPERIMENTS["baselines-words"]
    setting = experiment.setting(str(home.folder / "text.txt"))
    assert {*experiment.grids(setting)} == {"windows", "networks"}
    kept = checkpoint.load(ROOT / "checkpoints" / "wikitext2-word-lstm.safetensors")
    corpus = replace(setting.corpus, vocabulary=kept.vocabulary, sha256=kept.corpus_sha256)
    windows, networks = experiment.grids(replace(setting, corpus=corpus)).values()
    assert windows.over == {"model.window": (2, 4, 8)} and networks.over == {"model.cell": ("rnn",)}
    assert windows.base.model.adaptive_softmax
    *_, lstm = experiment.untrained(replace(setting, corpus=corpus))
    (perplexity,) = [f.value for f in lstm.figures if f.column == "perplexity"]
    assert lstm.name == "LSTM" and perplexity == pytest.approx(math.exp(kept.results["valid_nll"]))


def test_windows_and_n_grams_that_see_as_many_tokens_stand_side_by_side(home: Home, make_checkpoint: Callable) -> None:
    experiment = EXPERIMENTS["baselines-characters"]
    setting = experiment.setting(str(home.folder / "text.txt"))
    table = experiment.tables[1]
    best = make_checkpoint(cell="rnn", window=4, vocabulary=setting.corpus.vocabulary)
    seen = Member(
        "window",
        0,
        1,
        figures=(*experiment.figures(Trained(RunConfig(best.train, best.model), (), best, setting.corpus)),),
    )
    ngrams = experiment.untrained(setting)
    result = Result(experiment.name, "", "", "", 9, (seen, *ngrams))
    measured, models = result.measured(table), result.measured(experiment.tables[0])
    assert (
        measured["fixed window"].count() == 1 and models["perplexity"]["window of 4"] == measured["fixed window"]["4"]
    )
    assert measured["n-gram"].count() == 3 and measured["n-gram"]["4"] == models["perplexity"]["5-gram"]
