"""The Compare page without a browser: what it opens with, links, and what it says of bad input."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from streamlit.testing.v1 import AppTest

from lstmviz import checkpoint as checkpoints
from lstmviz import counted
from lstmviz.data.vocabulary import Corpus, Vocabulary
from lstmviz.opened import MAX_TOKENS
from lstmviz.ui import imports, session, sources
from tests.app.said import compared, drawn, notes, open_app, spoken

ROOT = Path(__file__).parents[2]
CELLS = ("rnn", "lstm_concat", "report_concat", "nog")
WORDS = Vocabulary.of("word", ["ab", "c"])


def open_page(**query: str | list[str]) -> AppTest:
    """The page as a link opens it, where the server answers unless the link says otherwise."""
    return open_app("compare", **{"by": "server", **query})


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, make_checkpoint) -> Path:
    """Checkpoints with two small models of a, b, c, one of words, and a line-up of three cells."""
    for name, made in {
        "small": make_checkpoint(),
        "deep": make_checkpoint(num_layers=3, cell="gru"),
        "words": make_checkpoint(vocabulary=WORDS),
        **{f"lineups/task/{cell}": make_checkpoint(cell=cell) for cell in CELLS},
    }.items():
        checkpoints.save(made, tmp_path / f"{name}.safetensors")
    monkeypatch.setattr(sources, "FOLDER", tmp_path)
    return tmp_path


def test_what_the_page_draws_by_hears_nothing_of_the_text_that_is_checked(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = open_page(by="page", models=["small", "words"])
    imports.behind().join()
    digests = [sources.parse(name).open().checkpoint.digest for name in ("small", "words")]
    monkeypatch.setattr(session, "report", lambda key: session.Report(unchecked=tuple(digests)))
    app.text_input(key="sentence").set_value("ab c").run()
    said = compared(app)
    assert said["here"]["checked"] and all(model["loss"] for model in said["models"])
    assert not said.keys() & {"labels", "level", "note", "unknown"}
    assert "{by}" in said["charts"][0]["unit"]


FIRST = """
import sys
from streamlit.testing.v1 import AppTest
from lstmviz.ui import imports

imports.behind = lambda: None  # begins once the picture is there
app = AppTest.from_file(sys.argv[1], default_timeout=60).run()
assert app.main.children and not app.exception
assert not {"torch", "pandas"} & sys.modules.keys()

# Below its picture Compare draws figures: Plotly takes a pandas that another thread has half imported for a whole one.
app.query_params["models"] = ["shakespeare-char-gru-128", "shakespeare-char-lstm-128"]
assert app.switch_page("compare.py").run().main.children and not app.exception
assert "torch" not in sys.modules and "pandas" in sys.modules
"""


def test_no_first_picture_that_a_page_makes_waits_for_torch() -> None:
    command = [sys.executable, "-c", FIRST, str(ROOT / "lstmviz/pages/frame.py")]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert not ran.returncode, ran.stderr


def test_it_opens_with_the_telling_cells_of_a_line_up(folder: Path) -> None:
    app = open_page()
    assert not any((app.exception, app.error, app.warning, app.info, notes(app)))
    assert app.multiselect(key="models").value == ["task/lstm_concat", "task/report_concat", "task/rnn"]
    assert app.text_input(key="sentence").value


def test_whatever_is_typed_the_same_elements_are_drawn(folder: Path) -> None:
    app = open_page(models=["small", "words"])
    before, said = drawn(app, "text_input"), set(notes(app))
    assert before[-1] == "bidi_component"
    for text in ("", "ab c", "漢字", "c " * (MAX_TOKENS + 5)):
        app.text_input(key="sentence").set_value(text).run()
        assert not app.exception
        assert drawn(app, "text_input") == before
        said |= set(notes(app))
    assert len(said) == 2  # although there was something to say


def test_what_is_said_of_the_choice_moves_nothing(folder: Path) -> None:
    whole = [each.type for each in open_page(models=["small", "deep"]).main.children.values()]
    lost = open_page(models=["small", "gone", "deep"])
    assert "not here" in spoken(lost)
    assert [each.type for each in lost.main.children.values()] == whole


def test_one_model_is_too_few(folder: Path) -> None:
    app = open_page(models=["small"])
    assert "at least two models" in spoken(app)


def test_a_link_to_what_is_not_there_says_so(folder: Path) -> None:
    app = open_page(models=["small", "gone", "deep"])
    assert not app.exception
    assert "These models are not here: gone." in spoken(app)
    assert app.multiselect(key="models").value == ["small", "deep"]


def test_an_unknown_cell_is_said_and_the_others_stay(folder: Path) -> None:
    data = (folder / "small.safetensors").read_bytes()
    (folder / "odd.safetensors").write_bytes(data.replace(b'\\"cell\\": \\"lstm\\"', b'\\"cell\\": \\"lstx\\"'))
    app = open_page(models=["small", "deep", "odd"])
    assert not app.exception
    assert "odd cannot be opened" in spoken(app) and "lstx" in spoken(app)
    assert app.text_input(key="sentence").value is not None


def test_a_copy_in_another_layout_opens_by_its_link(folder: Path) -> None:
    app = open_page(models=["small", "small as peephole"], show="difference")
    assert not any((app.exception, app.error, app.warning, app.info, notes(app)))
    assert app.multiselect(key="models").value == ["small", "small as peephole"]
    assert app.segmented_control(key="show").value == "difference"


def test_a_copy_that_cannot_be_made_is_refused(folder: Path) -> None:
    app = open_page(models=["small", "deep", "deep as lstm"])
    assert not app.exception
    assert "the weights of gru fit into no other cell" in spoken(app)


@pytest.mark.parametrize("chosen", [["small", "deep"], ["small", "words"], ["words", "deep"], ["task/rnn", "words"]])
def test_any_models_read_any_text(folder: Path, chosen: list[str]) -> None:
    app = open_page(models=chosen)
    words = "words" in chosen  # which a space is none of
    for text in ("abc", "a", "ab c ab\nzz", " ", ""):
        app.text_input(key="sentence").set_value(text).run()
        assert not app.exception
        assert ("nothing to read" in spoken(app)) == (text == "" or (words and not text.strip())), text


def test_a_stray_file_among_the_line_ups_is_left_alone(folder: Path) -> None:
    (folder / "lineups/task/lstm-seed1.safetensors").write_bytes(b"")
    assert not open_page().exception


def test_a_text_that_calls_itself_a_grammar_is_not_examined(folder: Path, make_checkpoint) -> None:
    variable = {"name": "depth", "correlations": [[0.1, 0.2, 0.3, 0.4]]}
    odd = dataclasses.replace(make_checkpoint(), corpus_name="brackets", hidden_variable=variable)
    odd = dataclasses.replace(odd, history={"step": [1], "train_nll": [2.0], "valid_nll": [None]})
    checkpoints.save(odd, folder / "odd.safetensors")
    app = open_page(models=["odd", "deep"])
    assert not app.exception and not app.error


def test_the_newest_position_is_selected_also_where_the_models_split_differently(folder: Path) -> None:
    app = open_page(models=["words", "small"])
    for text in ("ab c", "ab c ab"):
        app.text_input(key="sentence").set_value(text).run()
    assert app.session_state["Compare"].selected.selection.time == len("ab c ab") - 1


def test_a_deeper_layer_can_be_chosen(folder: Path) -> None:
    app = open_page(models=["small", "deep"])
    app.segmented_control(key="depth").set_value("3").run()
    assert not app.exception


def test_the_sentence_survives_a_change_of_models(folder: Path) -> None:
    app = open_page(models=["small", "deep"])
    app.text_input(key="sentence").set_value("cab cab").run()
    app.multiselect(key="models").set_value(["small", "deep", "task/rnn"]).run()
    assert app.text_input(key="sentence").value == "cab cab"


def test_each_page_keeps_its_sentence(folder: Path, make_checkpoint) -> None:
    other = dataclasses.replace(make_checkpoint(), corpus_name="another")
    checkpoints.save(other, folder / "shakespeare-char-lstm.safetensors")  # what Watch opens first
    app = open_page(models=["small", "deep"])
    app.text_input(key="sentence").set_value("cab cab").run()
    app.switch_page("watch.py").run()
    assert app.selectbox(key="model").value == "shakespeare-char-lstm"
    app.text_input(key="text").set_value("bac").run()
    app.switch_page("compare.py").run()
    assert app.text_input(key="sentence").value == "cab cab"
    app.switch_page("watch.py").run()
    assert app.text_input(key="text").value == "bac"
    assert not app.exception


def test_a_line_up_is_one_click_away(folder: Path) -> None:
    app = open_page(models=["small", "deep"])
    app.button(key="menu_task").click().run()
    assert app.multiselect(key="models").value == ["task/lstm_concat", "task/report_concat", "task/rnn"]


def test_tables_can_be_taken_along(folder: Path) -> None:
    app = open_page(models=["small", "deep"], sentence="abc")
    app.session_state["export"] = True  # as a click on it would
    app.run()
    assert not app.exception
    labels = [element.proto.label for element in app.get("download_button")]
    tables = ["models (Markdown)", "models (CSV)", "lines, a token a row (CSV)", "every value (Parquet)"]
    assert labels == [*tables, "live page (HTML)"]
    app.text_input(key="sentence").set_value("").run()
    assert not app.exception


def test_an_n_gram_is_laid_over_the_losses_of_its_vocabulary(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, make_checkpoint
) -> None:
    vocabulary = make_checkpoint().vocabulary
    stream = torch.tensor(vocabulary.encode("abc cab bca abc " * 20))
    counted.save(counted.count(Corpus("x", vocabulary, stream, stream, stream, "0"), 3, ""), folder / "x.counts")
    monkeypatch.setenv("LSTMVIZ_HOME", str(tmp_path / "home"))
    app = open_page(models=["words", "small", "deep"], beside="3-gram", sentence="ab c ab")
    assert not app.exception and not app.error
    assert app.segmented_control(key="beside").options == ["none", "2-gram", "3-gram"]
    header = compared(app)
    assert header["beside"] == "3-gram" and [model["beside"] for model in header["models"]] == [False, True, True]
    assert [chart["title"] for chart in header["charts"]] == ["loss", "memory gains", "keeps · mean"]
    app.session_state["export"] = True  # as a click on it would
    app.run()
    assert not app.exception
    app.segmented_control(key="beside").set_value("none").run()
    assert [chart["title"] for chart in compared(app)["charts"]] == ["loss", "keeps · mean"]
    app.segmented_control(key="beside").set_value("2-gram").run()
    app.multiselect(key="models").set_value(["words", "task/rnn"]).run()
    assert compared(app)["beside"] == "2-gram"
    (folder / "x.counts").unlink()
    app.multiselect(key="models").set_value(["small", "deep"]).run()
    assert not app.exception and compared(app)["beside"] == ""


def test_a_link_that_names_thousands_of_models_is_heard_for_a_few(folder: Path) -> None:
    app = open_page(models=["small", "deep", "small" + " as lstm" * 10_000, *(f"none {n}" for n in range(900))])
    assert not app.exception
    assert app.multiselect(key="models").value[:2] == ["small", "deep"]
    assert "none 0" in spoken(app) and "none 20" not in spoken(app) and len(spoken(app)) < 10_000
