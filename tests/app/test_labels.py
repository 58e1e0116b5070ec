"""Models that say labels of a text, one at its end or one of every token, on the pages and without a browser."""

from dataclasses import replace
from pathlib import Path

import pytest

from lstmviz.tasks import TASKS
from lstmviz.training import trainings
from lstmviz.training.folder import Run
from lstmviz.training.process import execute
from tests.app.said import compared, drawn, headers, notes, spoken
from tests.app.test_images import open_page

ROOT = Path(__file__).parents[2]
SHIPPED = sorted(path.stem for task in ("classify_text", "tag") for path in (ROOT / f"checkpoints/{task}").glob("*.md"))


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_model_opens_with_an_example_whose_answer_is_known(name: str) -> None:
    app = open_page(model=name)
    assert not app.exception and not app.error
    (header,) = headers(app)
    answer, top = header["answer"], header["top"]
    assert answer["known"] and answer["labels"][-1] is not None
    of_letters = any("is read by its letters" in note for note in notes(app))
    assert of_letters == ("letters" in name)
    assert len(notes(app)) == 2 + of_letters and "inputs" in notes(app)[0]  # a guide, and what to look for
    assert not [button for button in app.button if button.key == "write"]  # nothing goes on
    if name not in ("recall-rnn", "between-lstm", "nonsense-words"):  # who forget, look not ahead, know no such word
        assert max(zip(top["probabilities"][-1], top["tokens"][-1], strict=True))[1] == answer["labels"][-1]


def test_two_directions_stand_under_one_axis_and_blocks_are_of_the_whole_text() -> None:
    app = open_page(model="between-lstm-bidirectional", text="axxb")
    (header,) = headers(app)
    assert header["layers"] == [0, 1]
    labels = [(panel["role"], panel["layer_label"], panel["reverse"]) for panel in header["panels"]]
    assert labels[:2] == [(labels[0][0], "→", False), (labels[0][0], "←", True)]  # role by role
    assert header["answer"]["labels"] == ["aa", "ab", "ab", "bb"]
    first = header["blocks"][0][0]
    app.text_input(key="text").set_value("axxc").run()
    assert headers(app)[0]["blocks"][0][0] != first
    app.text_input(key="text").set_value("").run()
    assert "There is nothing to read yet" in spoken(app) and not app.exception
    app.text_input(key="text").set_value("xxq").run()  # nothing to remember, and a token that it does not know
    assert headers(app)[0]["answer"]["labels"] == [None] * 3 and headers(app)[0]["unknown"][-1]


def test_before_it_is_asked_a_model_is_shown_by_what_it_says_at_last() -> None:
    app = open_page(model="recall-lstm", text="bz?bx")
    answer = headers(app)[0]["answer"]
    assert answer["last"] and not answer["known"] and len(set(answer["labels"])) == 1
    before = drawn(app, "bidi_component")
    app.text_input(key="text").set_value("bz?bx?").run()
    assert headers(app)[0]["answer"]["known"] and drawn(app, "bidi_component") == before


def test_a_text_is_kept_for_its_task() -> None:
    app = open_page(model="recall/lstm", text="bz?b")
    app.selectbox(key="model").select("recall-lstm").run()
    assert app.text_input(key="text").value.endswith("?") and app.text_input(key="text").value != "bz?b"
    app.selectbox(key="model").select("recall/lstm").run()
    assert app.text_input(key="text").value == "bz?b"


def test_one_direction_stands_beside_both() -> None:
    app = open_page("compare", models=["between-lstm", "between-lstm-bidirectional"], reads="←")
    assert not app.exception
    header = compared(app)
    assert ["reads", ["from the left", "in both directions"], True] in header["facts"]
    assert set(header["models"][0]["absent"].values()) == {"it reads from the left only"}
    assert header["models"][1]["absent"] == {}
    assert any("47.62%" in note for note in notes(app))


@pytest.mark.parametrize("task", ["tag", "classify_text"])
def test_a_training_of_labels_is_asked_for_and_shown(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LSTMVIZ_HOME", str(tmp_path))
    begun = []
    monkeypatch.setattr(trainings, "begin", lambda home, config, name, text: begun.append((config, name)))
    app = open_page("train")
    app.selectbox(key="task").select(task).run()
    assert not app.exception and not app.error and "What is read → what is to be said" in spoken(app)
    assert app.selectbox(key=f"data_{task}").options[:-1] == [*TASKS[task].built_in]
    assert bool([toggle for toggle in app.toggle if toggle.key == "bidirectional"]) == (task == "tag")
    app.button(key="train").click().run()
    ((config, name),) = begun
    assert config.train.task == task and config.model.tokens_read and name.endswith("-lstm")
    both = task == "tag"
    train = replace(config.train, steps=2, eval_every=2)
    run = Run.create(
        tmp_path / "runs/labels", replace(config, train=train, model=replace(config.model, bidirectional=both))
    )
    list(execute(run))
    app = open_page("train")
    (header,) = headers(app)
    assert header["answer"]["known"] and len(header["tokens"]) > 2 and len(header["layers"]) == 1 + both
    app = open_page("train")
    app.selectbox(key="task").select(task).run()
    app.selectbox(key=f"data_{task}").select("a file on this machine").run()
    app.text_input(key=f"path_{task}").set_value(str(tmp_path / "none.tsv")).run()
    assert not app.exception and "This cannot be trained: there is no" in spoken(app)


def test_side_by_side_what_a_model_does_not_know_is_counted_and_no_label_is_of_characters() -> None:
    app = open_page("compare", models=["nonsense-words", "between-lstm-bidirectional"], sentence="the axxb")
    said = compared(app)
    assert "nonsense-words (50.0% <unk>), between-lstm-bidirectional (50.0% <unk>)" in said["note"]
    assert "aligned by characters" in said["note"] and "loss a character" not in said["note"]
