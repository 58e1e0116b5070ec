"""Models that say one sequence for another, on the pages and without a browser."""

from pathlib import Path

import numpy as np
import pytest

from lstmviz.data.pairs import GENERATED
from lstmviz.explain.tables import attention_table, trace_table
from lstmviz.training import trainings
from lstmviz.ui import sources
from tests.app.said import address, compared, drawn, headers, notes, spoken
from tests.app.test_images import open_page

SHIPPED = sorted(path.stem for path in (sources.FOLDER / "translate").glob("*.safetensors"))


def right_of(name: str, read: list[str]) -> list[str]:
    """What is to be said, and the sign of the end."""
    return [*GENERATED[name.partition("-")[0]].of(read).said, "⏎"]


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_model_of_pairs_says_what_is_right_or_is_told_so(name: str) -> None:
    app = open_page(model=name)
    assert not app.exception and not app.error
    (header,) = headers(app)
    begin, answer = header["said_from"], header["answer"]
    read, said = header["tokens"][:begin], header["tokens"][begin:]
    assert answer["known"] and answer["labels"] == [None] * begin + right_of(name, read)[: len(said)]
    wrong = sum(a != b for a, b in zip(said, right_of(name, read), strict=False))
    looks = header["attention"]
    assert (looks is None) == ("bottleneck" in name) == any("It has no attention" in note for note in notes(app))
    assert any((f"At {wrong} of {len(said)}" if wrong else "All right.") in note for note in notes(app))
    assert header["top"]["tokens"][:begin] == [[]] * begin and header["selection"]["time"] == begin + 1
    spans = {(panel["layer_label"], panel["begin"], panel["end"]) for panel in header["panels"]}
    last = len(header["tokens"])
    assert spans == {("reads →", 0, begin), ("reads ←", 0, begin), ("says", begin, last)}
    if looks:
        assert np.sum(looks["looks"], axis=1) == pytest.approx(1, abs=0.01)
        aligned = GENERATED[name.partition("-")[0]].of(read).aligned
        assert aligned is not None
        assert looks["aligned"] == [None if place < 0 else place for place in (*aligned, -1)]


def test_with_attention_a_reversed_symbol_is_looked_up_where_it_stands() -> None:
    (header,) = headers(open_page(model="reverse-lstm", text="90210"))
    assert np.argmax(header["attention"]["looks"], axis=1)[:5].tolist() == [4, 3, 2, 1, 0]
    assert header["headline"] == "90210 → 01209⏎"


def test_whatever_is_typed_the_same_elements_are_drawn_anew() -> None:
    app = open_page(model="reverse-lstm", text="12")
    before = drawn(app, "bidi_component")
    for text, tokens, said in [
        ("", None, "There is nothing to read yet. Type above, or press a token"),
        ("1x2", 3, "The model does not know 1 of these characters: it reads each as <unk>."),
        ("??", 2, "The model knows none of these characters"),
        ("<pad>", 5, "The model knows none of these characters"),
        ("7" * 500, 200, "The text has 500 characters; the first 200 are shown."),
    ]:
        app.text_input(key="text").set_value(text).run()
        assert not app.exception and said in spoken(app), text
        assert drawn(app, "bidi_component") == before
        assert [header["said_from"] for header in headers(app)] == ([] if tokens is None else [tokens])
    (header,) = headers(open_page(model="reverse-lstm", text="1x2"))
    assert header["unknown"][:3] == [False, True, False] and not header["answer"]["known"]  # it cannot say x


def test_half_a_date_is_said_and_nobody_knows_what_is_right() -> None:
    app = open_page(model="dates-lstm", text="the third of march")
    (header,) = headers(app)
    assert not header["answer"]["known"] and set(header["attention"]["aligned"]) == {None}
    assert header["answer"]["labels"][4:] == header["tokens"][4:] and "All right" not in spoken(app)


def test_a_link_brings_the_step_back() -> None:
    app = open_page(model="dates-lstm", text="the third of march nineteen forty", time="2", unit="5")
    assert headers(app)[0]["selection"] == {"time": 2, "unit": 5, "layer": 0}
    assert (address(app)["time"], address(app)["unit"]) == ("2", "5")
    assert address(open_page(model="dates-lstm", text="the third"))["time"] is None


def test_what_is_read_and_said_can_be_saved() -> None:
    app = open_page(model="reverse-lstm", text="123")
    reading = app.session_state["Readings"].watch
    opened = sources.parse("reverse-lstm").open()
    table = trace_table(reading, opened.reads)
    assert table.groupby("direction")["time"].unique().map(list).to_dict() == {
        "forward": [0, 1, 2], "reverse": [0, 1, 2], "said": [3, 4, 5, 6],
    }  # fmt: skip
    assert table.drop(columns="nll").notna().all(axis=None)
    assert table[table.direction == "said"]["token"].unique().tolist() == ["3", "2", "1", "<eos>"]
    looks = attention_table(reading)
    assert looks["look"].to_numpy().reshape(4, 3).sum(1) == pytest.approx(1)
    assert looks[looks["comes from"]]["source"].tolist() == [2, 1, 0]


def test_with_and_without_attention_are_compared_step_by_step() -> None:
    app = open_page("compare", models=["reverse-lstm", "reverse-lstm-bottleneck"], sentence="314159265358")
    assert not app.exception and not app.error
    header = compared(app)
    assert header["labels"] == [*"314159265358", *"853562951413", "⏎"] and header["said_from"] == 12
    readings = app.session_state["Readings"].compare
    for model, reading in zip(header["models"], readings.values(), strict=True):
        told = len(reading.ids)
        assert model["at"] == [*range(told), *[-1] * (25 - told)]
    probability = header["charts"][0]
    assert probability["title"] == "probability" and probability["lines"][0][:12] == [None] * 12
    attending, without = (np.array(line[12:], float) for line in probability["lines"])
    assert np.nanmin(attending) > 0.9 > 0.5 > np.nanmin(without)
    assert [value for label, value, _ in header["facts"] if label == "attention"] == [["luong", "none"]]
    app.segmented_control(key="who").select("reads ←").run()
    assert not app.exception


def test_a_step_of_which_nobody_knows_what_is_right_says_that_they_differ() -> None:
    header = compared(open_page("compare", models=["sort-lstm", "reverse-lstm", "dates-lstm"], sentence="312"))
    assert header["said_from"] == 3 and header["labels"][:3] == ["3", "1", "2"] and header["labels"][3] == "≠"
    assert header["headline"].startswith("312 → ≠")


def test_the_form_asks_whether_there_is_attention(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LSTMVIZ_HOME", str(tmp_path))
    begun = []
    monkeypatch.setattr(trainings, "begin", lambda home, config, name, text: begun.append(config))
    app = open_page("train")
    app.selectbox(key="task").select("translate").run()
    assert not app.exception and not app.error and "What is read → what is to be said" in spoken(app)
    app.toggle(key="attention").set_value(False).run()
    app.button(key="train").click().run()
    assert begun[0].model.attention == "none" and "--attention none" in begun[0].command
