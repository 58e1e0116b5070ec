"""Models that read expressions as trees, on the pages and without a browser."""

import dataclasses
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from lstmviz import checkpoint as checkpoints
from lstmviz.config import ModelConfig, TrainConfig
from lstmviz.data.expressions import Expression, generate
from lstmviz.explain.tables import trace_table
from lstmviz.training.folder import Run, RunConfig
from lstmviz.training.process import execute
from lstmviz.ui import sources
from tests.app.said import address, compared, drawn, headers, notes, spoken

ROOT = Path(__file__).parents[2]
SHIPPED = sorted(path.stem for path in (ROOT / "checkpoints/tree").glob("*.safetensors"))
TYPED = "max(3, min(7, 2), 5)"


def open_page(page: str = "watch", **query: str | list[str]) -> AppTest:
    app = AppTest.from_file(str(ROOT / "lstmviz/pages/frame.py"), default_timeout=60)
    app.query_params["by"] = "server"  # what the page makes, other tests see
    for name, value in query.items():
        app.query_params[name] = value
    return app.run() if page == "watch" else app.switch_page(f"{page}.py").run()


def write(app: AppTest, text: str, key: str = "text") -> AppTest:
    return app.text_input(key=key).set_value(text).run()


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_model_of_trees_opens_with_an_expression(name: str) -> None:
    app = open_page(model=name)
    assert not app.exception and not app.error and app.text_input(key="text").value == TYPED
    (header,) = headers(app)
    tree = Expression.parse(TYPED)
    assert header["tokens"] == [*tree.symbols] and header["parents"] == [*tree.parents] and header["noun"] == "node"
    assert header["answer"]["labels"] == [None, None, None, "2", None, "5"] and header["answer"]["known"]
    assert header["headline"] == TYPED and header["selection"]["time"] == 5
    forget = next(panel for panel in header["panels"] if panel["role"] == "forget_gate")
    assert forget["index"] == "k" and "its parent keeps" in forget["meaning"] and 0 < forget["mean"] < 1
    assert any("a forget gate for each" in note for note in notes(app))
    assert not [button for button in app.button if button.key == "write"]  # nothing goes on


def test_while_an_expression_is_typed_the_map_stays() -> None:
    app = open_page(model="expressions-nary")
    for text, tokens, said in [
        ("max(3, min(7, 2", "3 7 2 min max", "Not finished yet: read as max(3, min(7, 2))."),
        ("max(3, mi", "3 7 2 min max", "Shown is still max(3, min(7, 2))."),
        ("max(3, 12)", "3 7 2 min max", "after “max(3,” comes “12” in place of a digit"),
        ("max(1, 2, 3, 4)", "3 7 2 min max", "an operation has 2 or 3 arguments. Shown is still"),
        ("max(1, " * 201 + "1" + ")" * 201, "3 7 2 min max", "more than 200 operations, one within the other"),
    ]:
        app = write(app, text)
        assert not app.exception and headers(app)[0]["tokens"] == tokens.split()
        assert said in spoken(app)
    app = write(app, "first(9 1)")
    assert headers(app)[0]["tokens"] == ["9", "1", "first"] and "Shown is still" not in spoken(app)
    app = write(app, "  ")
    assert not headers(app) and "There is nothing to read yet" in spoken(app)
    app = write(app, "max(3")
    assert not headers(app) and "there must still come" in spoken(app) and "Shown is still" not in spoken(app)


def test_the_longest_and_deepest_expression_is_shown() -> None:
    app = open_page(model="expressions-nary", text="max(1, " * 200 + "1" + ")" * 200)
    assert not app.exception and len(headers(app)[0]["tokens"]) == 401


def test_a_link_brings_the_expression_and_the_node_back() -> None:
    app = open_page(model="expressions-nary", text="min(8, 4)", time="1", unit="3")
    assert headers(app)[0]["selection"] == {"time": 1, "unit": 3, "layer": 0}
    assert address(app)["time"] == "1" and address(app)["unit"] == "3"


def test_whatever_is_typed_the_same_elements_are_drawn_anew() -> None:
    app = open_page(model="expressions-nary")
    before = drawn(app, "bidi_component")
    for text in ("", "max(3", "max(3; 5)", "7", TYPED):
        assert drawn(write(app, text), "bidi_component") == before


def test_an_expression_is_drawn_of_the_depth_that_is_asked_for() -> None:
    app = open_page(model="expressions-nary")
    app.slider(key="drawn_depth").set_value(6).run()
    app.button(key="draw").click().run()
    assert not app.exception and Expression.parse(app.text_input(key="text").value or "").depths[-1] == 6


def test_values_and_symbols_that_a_model_does_not_know_are_marked(monkeypatch, tmp_path) -> None:
    known = sources.parse("expressions-nary").open().checkpoint
    assert known.reads
    few = dataclasses.replace(known.vocabulary, tokens=tuple("abcdefghi9"))
    reads = dataclasses.replace(known.reads, tokens=tuple(t.replace("first", "last") for t in known.reads.tokens))
    checkpoints.save(dataclasses.replace(known, vocabulary=few, reads=reads), tmp_path / "few.safetensors")
    monkeypatch.setattr(sources, "FOLDER", tmp_path)
    app = open_page(model="few", text="first(max(2, 3), 9, max(9, 1))")
    (header,) = headers(app)
    assert not app.exception and header["unknown"] == [False] * 7 + [True]
    assert header["answer"]["labels"] == [None] * 6 + ["9", None]


def test_an_expression_is_kept_when_the_model_changes_and_its_values_can_be_saved() -> None:
    app = write(open_page(model="expressions-nary"), "min(8, first(4, 6))")
    app.selectbox(key="model").select("expressions-child-sum").run()
    assert not app.exception and headers(app)[0]["headline"] == "min(8, first(4, 6))"
    opened = sources.parse("expressions-child-sum").open()
    table = trace_table(app.session_state["Readings"].watch, opened.reads)
    assert table["token"].tolist()[:: len(table) // 5] == ["8", "4", "6", "first", "min"]
    app.selectbox(key="model").select("brackets").run()
    assert not app.exception and headers(app)[0]["parents"] == []


# ---- Compare and Train -----------------------------------------------------------------------------------------------


def test_models_of_trees_are_compared_on_one_expression() -> None:
    app = open_page("compare", models=["expressions-nary", "expressions-child-sum"], text="first(3, 9, 5)")
    app = write(app, "first(3, 9, 5)", "sentence")
    assert not app.exception and not app.error
    header = compared(app)
    assert header["labels"] == ["3", "9", "5", "first"] and header["parents"] == [3, 3, 3, -1]
    nary, child_sum = header["models"]
    assert nary["loss"][-1] < 0.1 < child_sum["loss"][-1]  # which cannot see the first
    app = write(app, "first(3, 9", "sentence")
    assert compared(app)["labels"] == ["3", "9", "first"] and "read as first(3, 9)" in spoken(app)


def test_a_training_of_trees_is_shown_with_the_tree_of_its_probe(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LSTMVIZ_HOME", str(tmp_path))
    (tmp_path / "some.txt").write_text("\n".join(map(str, generate(60))), encoding="utf-8")
    train = TrainConfig(str(tmp_path / "some.txt"), "word", task="tree", batch_size=8, steps=2, eval_every=1)
    run = Run.create(tmp_path / "runs/trees", RunConfig(train, ModelConfig("nary", 4, 8), TYPED))
    list(execute(run))
    app = open_page("train")
    assert not app.exception and not app.error
    (header,) = headers(app)
    assert header["parents"] == [*Expression.parse(TYPED).parents] and header["answer"]["labels"][-1] == "5"
    app.selectbox(key="task").select("tree").run()
    assert not app.exception and not app.error and app.multiselect(key="cells_of_trees").value == ["child_sum"]
    assert any("min(7, 5, 9)  →  5" in code.value for code in app.code)
