"""The Watch page without a browser: every model opens, and bad input gets a sentence."""

import dataclasses
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest

from lstmviz import checkpoint as checkpoints
from lstmviz import counted
from lstmviz.cells import CELLS
from lstmviz.data.vocabulary import Corpus, Vocabulary, plain
from lstmviz.opened import MAX_TOKENS
from lstmviz.reading import Reading, Selection
from lstmviz.ui import imports, session, sources
from lstmviz.wire import CHECKED_MOST
from tests.app.said import address, drawn, headers, here, notes, open_app, spoken

ROOT = Path(__file__).parents[2]
SHIPPED = sorted(path.stem for path in (ROOT / "checkpoints").glob("*.safetensors"))


open_page = partial(open_app, by="server")  # what the page makes, other tests see


def read(app: AppTest) -> Reading:
    """The sentence as the model read it."""
    return app.session_state["Readings"].watch


def selected(app: AppTest) -> Selection:
    return app.session_state["Watch"].selected.selection


def type_text(app: AppTest, text: str) -> AppTest:
    return app.text_input(key="text").set_value(text).run()


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, make_checkpoint) -> AppTest:
    """The page with one small model of a, b, c, space and newline."""
    checkpoints.save(make_checkpoint(), tmp_path / "small.safetensors")
    monkeypatch.setattr(sources, "FOLDER", tmp_path)
    return open_page()


@pytest.mark.parametrize(("text", "checked"), [("ab", True), ("", False)])
def test_the_page_waits_for_what_the_server_makes_of_a_text_where_there_is_one(
    app: AppTest, monkeypatch: pytest.MonkeyPatch, text: str, checked: bool
) -> None:
    app = open_page(by="page", text="a")
    imports.behind().join()
    digests = tuple(app.session_state["InPage"].sent)
    monkeypatch.setattr(session, "report", lambda key: session.Report(unchecked=digests))
    app = type_text(app, text)
    assert not app.exception
    assert here(app)["checked"] == checked


def test_the_server_goes_by_what_the_page_says_of_its_models(app: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page(by="page", text="ab")
    imports.behind().join()
    (digest,) = digests = tuple(app.session_state["InPage"].sent)

    def hear(**said) -> AppTest:
        monkeypatch.setattr(session, "report", lambda key: session.Report(**said))
        return app.run()

    assert [here(hear(unchecked=digests))["checked"] for _ in range(2)] == [True, True]  # until it has looked
    assert not here(hear(unchecked=digests, checked=digests))["checked"]
    type_text(app, "ab" * CHECKED_MOST)  # which the page does not read at once
    assert not here(hear(unchecked=digests))["checked"]
    type_text(app, "ab")
    assert here(hear(written=("ab", 1, digest)))["written"] == ["ab", 1]
    assert here(hear(written=("ab", 1, "another's")))["written"] is None
    assert here(hear(lacks=(("another's", digest), 1.0)))["sent"] == [digest]
    assert not here(hear())["sent"]
    assert [header["tokens"] for header in headers(hear(failed=("another's", digest)))] == [[*"ab"]]


def test_the_page_is_told_what_else_than_a_key_put_a_text_into_the_box() -> None:
    app = open_page(by="page", model="brackets", text="(x")
    before = here(app)["put"]
    assert here(type_text(app, "(xx"))["put"] == before
    assert here(app.button(key="token0").click().run())["put"] == before + 1
    example = app.button(key="example0").click().run()
    assert here(example)["put"] == before + 2 and here(example)["text"] == app.text_input(key="text").value


@pytest.mark.parametrize(
    ("by", "said"), [("page", "are made in this page."), ("server", "The server answers each key.")]
)
def test_the_card_says_who_answers(app: AppTest, by: str, said: str) -> None:
    assert said in spoken(open_page(by=by))


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_model_opens_with_a_sentence(name: str) -> None:
    app = open_page(model=name)
    assert not app.exception
    assert app.selectbox(key="model").value == name
    assert app.text_input(key="text").value
    assert not app.error


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_can_be_watched_and_its_card_shows_its_equations(
    cell, monkeypatch, tmp_path, make_checkpoint
) -> None:
    checkpoints.save(make_checkpoint(cell=cell, num_layers=2), tmp_path / "small.safetensors")
    monkeypatch.setattr(sources, "FOLDER", tmp_path)
    app = type_text(open_page(), "abc ab")
    assert not app.exception and not app.error
    assert CELLS[cell].equations() in [element.value for element in app.code]
    note = plain(CELLS[cell].note())
    assert not note or note in [element.value for element in app.markdown]
    assert any(CELLS[cell].paper in element.value for element in app.markdown)
    assert any(CELLS[cell].count in element.value for element in app.caption)


def test_link_restores_the_view() -> None:
    app = open_page(model="brackets", text="(x(x)x)", time="3", unit="5")
    assert not app.exception
    assert app.text_input(key="text").value == "(x(x)x)"
    assert selected(app) == Selection(time=3, unit=5, of=0)
    assert address(app) == {"time": "3", "unit": "5"}


def test_at_a_key_the_server_sends_no_address() -> None:
    """It would come late, and tell the sentence as it was."""
    app = open_page(model="brackets", text="(x(x)x)", time="3", unit="5")
    before = dict(app.query_params)
    type_text(app, "(x(x)x)(")
    assert address(app) == {"time": None, "unit": "5"}
    type_text(app, "")
    assert address(app) == {}
    type_text(app, "(")
    assert address(app) == {"time": None, "unit": "5"}
    assert app.query_params["time"] == before["time"] and app.query_params["unit"] == before["unit"]
    app.selectbox(key="model").select("shakespeare-char-lstm-128").run()
    assert address(app)["unit"] != "5"  # that was one of the model before


@pytest.mark.parametrize("query", [{"time": "x", "unit": "1e9"}, {"time": "-5", "unit": "99999"}, {"model": "../../x"}])
def test_broken_link_opens_all_the_same(query: dict[str, str]) -> None:
    app = open_page(**query)
    assert not app.exception
    assert selected(app).time >= 0


@pytest.mark.parametrize(
    "text",
    [
        "🙂👩‍👩‍👧",
        "שלום עולם",
        "漢字かな",
        "a\u0301\u0301\u0301 \u0301",
        "a\0b",
        "<script>alert(1)</script>",
        "<unk> <eos>",
        "%{x} %{customdata}",
        "$x$ **b** :red[c] `d`",
        "\u202eabc\u200b\ufeff",
    ],
)
def test_any_text_is_read(app: AppTest, text: str) -> None:
    type_text(app, text)
    assert not app.exception
    assert not app.error


@pytest.mark.parametrize("text", ["", "zzz", "\0"])
def test_nothing_to_read_gets_a_sentence(app: AppTest, text: str) -> None:
    type_text(app, text)
    assert not app.exception
    expected = "knows none of these characters" if text else "nothing to read yet"
    assert expected in spoken(app)


def test_that_nothing_is_known_is_said_of_a_grammar_too() -> None:
    assert "knows none of these characters" in spoken(type_text(open_page(model="brackets"), "qqq"))


@pytest.mark.parametrize("model", ["brackets", "shakespeare-char-lstm-128"])
def test_whatever_is_typed_the_same_elements_are_drawn(model: str) -> None:
    app = open_page(model=model)  # with an example and what to look for in it
    before, said = drawn(app, "text_input"), set(notes(app))
    assert before[-1] == "bidi_component"
    for text in ("", "x", "漢字", "x" * (MAX_TOKENS + 5), "(x)"):
        assert drawn(type_text(app, text), "text_input") == before
        said |= set(notes(app))
    assert len(said) >= 3  # although there was something else to say


def test_a_perplexity_that_is_mostly_unk_is_said(app: AppTest) -> None:
    warning = "its perplexity tells little of the others"
    type_text(app, "abcxyzxyz")
    assert "does not know 6 of these characters" in spoken(app) and warning in spoken(app)
    for text in ("abcabcabx", "abx"):  # few, or few yet
        type_text(app, text)
        assert warning not in spoken(app)


def test_what_the_filters_found_in_the_selected_word_is_said() -> None:
    app = open_page(model="nonsense-letters", text="the plimped plimps plimped Zarn<b>ton", time="4")
    assert not app.exception and headers(app)[0]["tokens"][-1] == "ton"
    assert any(
        note.startswith("The word Zarn is read by its letters. What its filters found most of: ") for note in notes(app)
    )


def test_long_text_is_capped_and_said_so(app: AppTest) -> None:
    type_text(app, "abc " * 25_000)
    assert not app.exception
    assert "100,000 characters" in spoken(app)
    assert f"first {MAX_TOKENS:,}" in spoken(app)
    assert len(read(app).ids) == MAX_TOKENS


def test_missing_folder_gets_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sources, "FOLDER", tmp_path / "nowhere")
    monkeypatch.setenv("LSTMVIZ_HOME", str(tmp_path / "nowhere"))
    app = open_page()
    assert not app.exception
    assert "There are no checkpoints" in spoken(app)


def test_damaged_file_in_the_folder_gets_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "broken.safetensors").write_bytes(b"\0" * 100)
    monkeypatch.setattr(sources, "FOLDER", tmp_path)
    app = open_page()
    assert not app.exception
    assert "cannot be opened" in spoken(app)


def upload(app: AppTest, data: bytes) -> AppTest:
    return app.file_uploader(key="upload").upload("../../evil.safetensors", data).run()


def test_upload_is_opened(app: AppTest, make_checkpoint) -> None:
    upload(app, checkpoints.dumps(make_checkpoint(cell="gru", seed=1)))
    assert not app.exception
    assert not app.error
    assert app.selectbox(key="model").value.startswith("uploaded test gru")


def test_bad_upload_gets_a_sentence(app: AppTest, make_checkpoint) -> None:
    good = make_checkpoint()
    weights = {name: np.full_like(weight, np.nan) for name, weight in good.weights.items()}
    data, wild = checkpoints.dumps(good), make_checkpoint(cell="gru")
    huge = {name: weight * 1e30 for name, weight in wild.weights.items()}
    bad = {
        "truncated": data[: len(data) // 2],
        "empty": b"",
        "foreign": b"PK\3\4 a pickle, perhaps",
        "changed": data[:-1] + bytes([data[-1] ^ 1]),
        "overflowing": checkpoints.dumps(dataclasses.replace(wild, weights=huge)),
        "NaN": checkpoints.dumps(dataclasses.replace(good, weights=weights)),
    }
    for name, content in bad.items():
        upload(app, content)
        assert not app.exception, name
        assert "The file cannot be used" in spoken(app), name
        assert app.selectbox(key="model").value == "small", name


def test_an_uploaded_name_is_no_markdown(app: AppTest, make_checkpoint) -> None:
    good = make_checkpoint(seed=1)
    upload(app, checkpoints.dumps(dataclasses.replace(good, corpus_name="![x](http://a.b/c.png)")))
    assert not app.exception
    shown = "\n".join(element.value for element in app.markdown)
    assert "c.png" in shown
    assert "![x]" not in shown


def test_a_huge_loss_in_the_history_is_drawn(app: AppTest, make_checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lstmviz.ui.components.readout", lambda key: (True, None))  # as if a browser had painted
    history = {"step": [1, 2], "train_nll": [1000.0, 900.0], "valid_nll": [None, 900.0]}
    upload(app, checkpoints.dumps(dataclasses.replace(make_checkpoint(seed=1), history=history)))
    assert not app.exception


def test_what_the_model_wrote_begins_after_what_was_read() -> None:
    app = open_page(model="brackets", text="(x")
    app.button(key="write").click().run()
    assert not app.exception
    assert app.session_state["Watch"].written[1] == 3  # ⏎ ( x


def test_panels_stay_chosen_when_the_model_changes() -> None:
    app = open_page(model="brackets")
    app.checkbox(key="show_input_gate").uncheck().run()
    app.selectbox(key="model").select("shakespeare-char-gru-128").run()
    app.selectbox(key="model").select("brackets").run()
    assert not app.checkbox(key="show_input_gate").value


def test_changing_the_model_leaves_the_place_of_the_one_before() -> None:
    app = open_page(model="agreement", text="the key is lost .", time="2", unit="7")
    app.selectbox(key="model").select("brackets").run()
    assert selected(app).unit == 9  # the depth unit


def test_the_models_of_grammars_do_what_their_examples_say() -> None:
    first = read(open_page(model="agreement", text="the key near the cabinets with the dogs is lost .")).trace
    number, verb = first.cell[0, :, 5], first.nll[9]
    assert max(number[5:9]) < 0 < 2 < number[2]  # low over cabinets and dogs
    turned = read(open_page(model="agreement", text="the keys near the cabinet with the dog are lost .")).trace
    assert min(turned.cell[0, :, 5][2:9]) > 2  # high from keys on
    wrong = read(open_page(model="agreement", text="the key near the cabinets are lost .")).trace
    assert wrong.nll[6] > verb + 4
    depth = read(open_page(model="brackets", text="(((((((())))))))")).trace.cell[0, :, 9]
    assert all(b < a for a, b in pairwise(depth[1:9]))  # a step down at every (
    assert all(b > a for a, b in pairwise(depth[8:17]))  # and back at every )


def test_one_text_for_the_models_of_one_corpus() -> None:
    app = open_page(model="shakespeare-char-lstm-128")
    app.text_input(key="text").set_value("My own words")  # of which nobody has drawn anything yet
    app.selectbox(key="model").select("shakespeare-char-gru-128").run()
    assert app.text_input(key="text").value == "My own words"
    app.selectbox(key="model").select("brackets").run()
    assert app.text_input(key="text").value != "My own words"
    app.selectbox(key="model").select("shakespeare-char-lstm-128").run()
    assert app.text_input(key="text").value == "My own words"


@pytest.mark.parametrize(
    ("before", "after", "time"),
    [("ab", "abc", 2), ("abc", "ab", 1), ("aaa", "aa", 1), ("aa", "aaa", 2), ("abcb", "axbcb", 1), ("abcb", "acb", 0)],
)
def test_the_selection_goes_where_the_text_changed(app: AppTest, before: str, after: str, time: int) -> None:
    type_text(type_text(app, before), after)
    assert selected(app).time == time


def test_what_nobody_sees_in_a_name_is_shown_and_a_link_leads_to_it(monkeypatch, tmp_path, make_checkpoint) -> None:
    vocabulary = Vocabulary.of("char", "ab\u202e\u200b")
    checkpoint = dataclasses.replace(
        make_checkpoint(vocabulary=vocabulary), corpus_name="\u2067text", licence="\x1b[2J"
    )
    checkpoints.save(checkpoint, tmp_path / "first.safetensors")
    checkpoints.save(checkpoint, tmp_path / "a\u202eb.safetensors")
    monkeypatch.setattr(sources, "FOLDER", tmp_path)
    app = type_text(open_page(model="a‹U+202E›b"), "a\u202eb")
    assert not app.exception and not app.warning
    assert app.selectbox(key="model").value == "a\u202eb" and app.selectbox(key="model").options[0] == "a‹U+202E›b"
    assert [element.value for element in app.markdown if "\u202e" in element.value or "\u2067" in element.value] == []
    assert any("‹U+2067›text" in element.value and "‹U+001B›" in element.value for element in app.markdown)  # the card
    (header,) = headers(app)
    assert header["title"].startswith("a‹U+202E›b · ") and header["tokens"] == ["a", "‹U+202E›", "b"]


def test_of_a_text_that_a_link_says_only_the_beginning_is_looked_at(app: AppTest) -> None:
    app = open_page(text="abc" * 100_000)
    assert not app.exception and len(read(app).ids) == MAX_TOKENS
    assert "more than 100,000 characters" in spoken(app)


@pytest.fixture
def counted_app(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, make_checkpoint) -> Callable[..., AppTest]:
    """Opens the page with a small model and a table of its vocabulary: ``counted_app(baseline="3-gram")``."""
    checkpoints.save(make_checkpoint(), tmp_path / "small.safetensors")
    vocabulary = make_checkpoint().vocabulary
    stream = torch.tensor(vocabulary.encode("abc cab bca abc " * 20))
    counted.save(counted.count(Corpus("x", vocabulary, stream, stream, stream, "0"), 3, ""), tmp_path / "x.counts")
    monkeypatch.setattr(sources, "FOLDER", tmp_path)
    monkeypatch.setenv("LSTMVIZ_HOME", str(tmp_path / "home"))
    return open_page


def test_an_n_gram_is_laid_over_the_loss(counted_app, make_checkpoint) -> None:
    app = type_text(counted_app(baseline="3-gram"), "abc ccc")
    (header,) = headers(app)
    beside, reading = header["beside"], read(app)
    assert beside["name"] == "3-gram" and beside["nll"][0] is None and header["nll"][0] is None
    model = counted.load(sources.FOLDER / "x.counts").model(3)
    assert beside["nll"][1:] == pytest.approx(model.nll(np.array(reading.ids))[1:], abs=1e-4)
    assert beside["run"] == [1, 2, 3, 3, 3, 1, 1] and beside["context"] == [0, 1, 2, 2, 2, 2, 1]
    app.segmented_control(key="baseline").set_value("none").run()
    assert headers(app)[0]["beside"] is None


def test_under_an_n_gram_that_stays_selected_which_was_in_the_page(
    counted_app, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = counted_app(by="page", text="abc")
    for told in (Selection(0, 1), Selection(-1, 1)):  # a click, and a key after it
        monkeypatch.setattr(session, "report", lambda key, told=told: session.Report(selection=told))
        app.run()
    app.segmented_control(key="baseline").set_value("3-gram").run()
    assert headers(app)[0]["selection"] == {"time": 2, "unit": 1, "layer": 0}


def test_a_link_to_an_n_gram_that_is_not_there_opens_all_the_same(counted_app) -> None:
    app = counted_app(baseline="7-gram")
    assert not app.exception and headers(app)[0]["beside"] is None


def test_a_table_that_was_changed_is_not_laid_over_and_says_why(counted_app) -> None:
    path = sources.FOLDER / "x.counts"
    path.write_bytes(path.read_bytes()[:-30] + bytes(30))
    app = counted_app(baseline="2-gram")
    assert not app.exception and headers(app)[0]["beside"] is None
    assert "The 2-gram cannot be laid over the loss" in spoken(app) and "damaged" in spoken(app)


def test_a_table_of_other_tokens_is_not_offered(counted_app, make_checkpoint) -> None:
    other = make_checkpoint(vocabulary=Vocabulary.of("char", "xyz"))
    checkpoints.save(other, sources.FOLDER / "other.safetensors")
    (sources.FOLDER / "broken.counts").write_text("x")
    app = counted_app(model="other")
    assert not app.exception and "baseline" not in {control.key for control in app.segmented_control}
    app.selectbox(key="model").select("small").run()
    assert app.segmented_control(key="baseline").options == ["none", "2-gram", "3-gram"]


def test_the_model_itself_can_be_taken_along(app: AppTest) -> None:
    app.session_state["export"] = True  # as a click on it would
    app.run()
    labels = [element.proto.label for element in app.get("download_button")]
    assert labels == ["table (CSV)", "table (Parquet)", "figure (interactive HTML)", "live page (HTML)"]
    type_text(app, "").run()
    assert "live page (HTML)" in [element.proto.label for element in app.get("download_button")]
    assert not app.exception


def test_of_a_model_that_no_page_can_run_none_is_offered() -> None:
    app = open_page(model="between-lstm-bidirectional")
    app.session_state["export"] = True
    app.run()
    assert "live page (HTML)" not in [element.proto.label for element in app.get("download_button")]
    assert any("it reads in both directions" in caption.value for caption in app.caption)
