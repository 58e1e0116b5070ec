"""Several models on one axis: what stands where, what differs, and which units correspond."""

import dataclasses
import io
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lstmviz.baselines import Counts, NGram
from lstmviz.checkpoint import Checkpoint, load, with_layout
from lstmviz.data.vocabulary import EOS, Vocabulary
from lstmviz.explain.alignment import Compared, Place, shared_axis
from lstmviz.explain.comparison import View, draw, live_comparison
from lstmviz.explain.differences import Differences, differences
from lstmviz.explain.kin import corresponding, kinship
from lstmviz.explain.measures import CHARTS, half_life, measures
from lstmviz.explain.rows import SLOTS
from lstmviz.explain.tables import as_csv, lines_table, markdown, models_table, values_table
from lstmviz.opened import OpenModel, prepare
from lstmviz.reading import read
from lstmviz.roles import GREEN
from lstmviz.ui.sources import FOLDER, Copy, Shipped, titles
from lstmviz.wire import ComparisonHeader

LIBRARY = Path(__file__).parents[2] / "lstmviz"


def compared(text: str, *chosen: Checkpoint) -> list[Compared]:
    found = []
    names = titles([(Shipped(f"model {number}"), each.model.cell) for number, each in enumerate(chosen)])
    for number, checkpoint in enumerate(chosen):
        model = prepare(checkpoint)
        reading = read(model, text)
        assert reading is not None
        found.append(Compared(f"model {number}", names[number], model, reading))
    return found


def drawn(text: str, models: list[Compared], **changed) -> tuple[ComparisonHeader, list[bytes]]:
    every = [model.opened for model in models]
    view = View(place=Place(), order="index", slots=list(SLOTS), charts=list(CHARTS), gate="keeps", difference=False)
    view = dataclasses.replace(view, **changed)
    live = live_comparison(models, different(every), kinship(every), 0, view)
    return draw(live, view, models, shared_axis(text, models), {"time": 0, "unit": 0, "model": 0})


def different(models: list[OpenModel]) -> Differences:
    return differences(models, [1000.0 + k for k in range(len(models))])


def panels_of(part: bytes) -> list[dict]:
    length = int.from_bytes(part[:4], "little")
    return json.loads(part[4 : 4 + length])["panels"]


def test_models_that_split_alike_share_their_tokens(make_checkpoint):
    axis = shared_axis("ab c", compared("ab c", make_checkpoint(), make_checkpoint(cell="gru")))
    assert (axis.labels, axis.by) == (["a", "b", "␣", "c"], "token")
    assert [at.tolist() for at in axis.at] == [[0, 1, 2, 3]] * 2


def test_the_column_before_a_grammars_sentence_is_absent_in_other_models(make_checkpoint):
    variable = {"name": "depth", "correlations": [[0.1, 0.2, 0.3, 0.4]]}
    grammar = dataclasses.replace(make_checkpoint(), hidden_variable=variable)
    axis = shared_axis("abc", compared("abc", grammar, make_checkpoint(cell="rnn")))
    assert axis.labels == ["⏎", "a", "b", "c"]
    assert [at.tolist() for at in axis.at] == [[0, 1, 2, 3], [-1, 0, 1, 2]]


def test_words_and_characters_are_aligned_by_characters(make_checkpoint):
    text = "ab  c, b\na"
    two = compared(
        text, make_checkpoint(), make_checkpoint(vocabulary=Vocabulary.of("word", ["ab", "c", ",", "b", "a"]))
    )
    axis = shared_axis(text, two)
    assert axis.by == "character" and axis.labels == [*"ab␣␣c,␣b⏎a"]
    assert axis.at[0].tolist() == list(range(10))
    assert two[1].reading.pieces == ["ab", "c", ",", "b", "<eos>", "a"]
    assert axis.at[1].tolist() == [0, 0, 0, 0, 1, 2, 2, 3, 4, 5]


def test_a_word_that_stands_in_another_is_not_taken_for_it(make_checkpoint):
    text = "that a cat"
    two = compared(text, make_checkpoint(), make_checkpoint(vocabulary=Vocabulary.of("word", ["that", "a", "cat"])))
    assert shared_axis(text, two).at[1].tolist() == [0] * 5 + [1] * 2 + [2] * 3


def test_past_what_the_first_of_them_read_nothing_is_shown(make_checkpoint):
    text = "abc " * 700  # 2,800 characters, 700 words
    two = compared(text, make_checkpoint(), make_checkpoint(vocabulary=Vocabulary.of("word", ["abc"])))
    axis = shared_axis(text, two)
    assert [len(axis.labels), *map(len, axis.at)] == [2000] * 3
    assert axis.at[0].tolist() == list(range(2000)) and axis.at[1].tolist() == [t // 4 for t in range(2000)]
    grammar = dataclasses.replace(
        make_checkpoint(seed=1), hidden_variable={"name": "depth", "correlations": [[0.1, 0.2, 0.3, 0.4]]}
    )
    axis = shared_axis("a" * 2000, compared("a" * 2000, make_checkpoint(), grammar))
    assert axis.by == "token" and len(axis.labels) == 2000  # the ⏎ and 1,999 characters


def test_accents_and_signs_are_aligned_however_they_are_written(make_checkpoint):
    text = "cafe\u0301⏎é"
    apart = Vocabulary.of("char", "cafe\u0301\n")
    joined = Vocabulary.of("word", ["café", "é"])
    two = compared(text, make_checkpoint(vocabulary=apart), make_checkpoint(vocabulary=joined))
    axis = shared_axis(text, two)
    assert axis.labels == [*"cafe\u0301⏎é"]
    assert two[0].reading.pieces == [*"cafe\u0301\ne\u0301"] and two[1].reading.pieces == ["cafe\u0301", EOS, "é"]
    assert axis.at[0].tolist() == [0, 1, 2, 3, 4, 5, 7] and axis.at[1].tolist() == [0] * 5 + [1, 2]
    signs = Vocabulary.of("char", "caf⏎\n")  # to which ⏎ is itself
    two = compared("a⏎c", make_checkpoint(vocabulary=signs), make_checkpoint(vocabulary=Vocabulary.of("char", "ac\n")))
    axis = shared_axis("a⏎c", two)
    assert axis.labels == ["a", "⏎", "c"] and [at.tolist() for at in axis.at] == [[0, 1, 2]] * 2


def test_the_share_of_unknown_tokens_stands_beside_the_losses(make_checkpoint):
    text, vocabulary = "a b x y z a b c d", Vocabulary.of("word", [*"abcd"])
    two = compared(text, make_checkpoint(vocabulary=vocabulary), make_checkpoint(vocabulary=vocabulary, cell="gru"))
    note = drawn(text, two)[0].note
    assert "not in the vocabulary of lstm (37.5% <unk>), gru (37.5% <unk>)" in note
    assert "so much <unk> that the perplexity of lstm, gru tells little of the rest" in note
    assert "so much" not in drawn("a b c d x", compared("a b c d x", *(m.checkpoint for m in two)))[0].note
    known = dataclasses.replace(make_checkpoint(), results={"valid_nll": 2.0, "valid_unknown": 0.116})
    facts = different([prepare(known), prepare(make_checkpoint(cell="gru"))]).facts
    assert next(fact.values for fact in facts if fact.label == "validation") == [
        "2.0000 nats/char, 11.6% <unk>",
        "2.0000 nats/char",
    ]


def test_a_words_loss_is_spread_over_its_characters(make_checkpoint):
    text = "ab c"
    two = compared(text, make_checkpoint(), make_checkpoint(vocabulary=Vocabulary.of("word", ["ab", "c"])))
    axis = shared_axis(text, two)
    loss = measures(two[1], Place(), "keeps", axis.at[1], axis.by)["loss"]
    nll = two[1].reading.trace.nll
    assert loss is not None
    np.testing.assert_allclose(loss, [np.nan, np.nan, np.nan, nll[1]], rtol=1e-6)
    spread = measures(two[1], Place(), "keeps", np.array([0, 1, 1, 1]), "character")["loss"]
    np.testing.assert_allclose(spread, [np.nan] + [nll[1] / 3] * 3, rtol=1e-6)


def test_an_n_gram_is_laid_over_the_losses_of_the_models_of_its_vocabulary(make_checkpoint):
    text = "abc cab"
    two = compared(text, make_checkpoint(), make_checkpoint(vocabulary=Vocabulary.of("word", ["abc", "cab"])))
    ids = np.array(two[0].reading.ids)
    ngram = NGram(Counts.of(np.tile(ids, 9), 3, len(two[0].checkpoint.vocabulary)))
    two[0] = dataclasses.replace(two[0], beside=ngram)
    header = drawn(text, two)[0]
    assert header.beside == "3-gram" and [model.beside for model in header.models] == [True, False]
    charts = {chart.title: chart for chart in header.charts}
    laid, loss = ngram.nll(ids)[1:], two[0].reading.trace.nll[1:]  # nothing predicts the first token
    assert charts["loss"].beside[0] is None and charts["loss"].beside[1:] == pytest.approx(laid, abs=1e-4)
    assert charts["perplexity"].beside[-1] == pytest.approx(np.exp(laid.mean()), rel=1e-3)
    gains, none = charts["memory gains"].lines
    assert gains[0] is None and gains[1:] == pytest.approx(laid - loss, abs=1e-4) and none == []
    assert charts["memory gains"].low == -charts["memory gains"].high <= min(gains[1:])
    assert not any(chart.beside for name, chart in charts.items() if name not in ("loss", "perplexity"))
    own = lines_table(text, two, Place()).query("model == 'model 0'")
    assert own["memory gains"].tolist()[1:] == pytest.approx(laid - loss, rel=1e-5)
    header = drawn(text, [dataclasses.replace(model, beside=None) for model in two])[0]
    assert header.beside == "" and not any(chart.beside for chart in header.charts)


def test_half_life_is_that_of_a_decay():
    assert half_life(np.full((1, 3), 0.5)) == pytest.approx(1)
    assert half_life(np.full((1, 3), 0.5**0.1)) == pytest.approx(10)
    assert half_life(np.array([[0.0, 0.9, 1.0]])) == pytest.approx(np.log(0.5) / np.log(0.9))


def test_the_mean_and_the_shares_are_those_of_the_gate(make_checkpoint):
    (model,) = compared("abc", make_checkpoint())
    forget, at = model.reading.trace["forget_gate"][0], np.arange(3)
    found = measures(model, Place(), "keeps", at, "token")
    np.testing.assert_allclose(found["mean"], forget.mean(-1), rtol=1e-6)
    np.testing.assert_allclose(found["above 0.9"], (forget > 0.9).mean(-1))
    shows = measures(model, Place(), "shows", at, "token")
    np.testing.assert_allclose(shows["mean"], model.reading.trace["output_gate"][0].mean(-1), rtol=1e-6)
    np.testing.assert_allclose(found["perplexity"][1:], np.exp(np.cumsum(found["loss"][1:]) / [1, 2]), rtol=1e-5)


def test_what_a_cell_lacks_is_absent_and_not_zero(make_checkpoint):
    gru, rnn = compared("abc", make_checkpoint(cell="gru"), make_checkpoint(cell="rnn"))
    assert measures(gru, Place(), "shows", np.arange(3), "token")["mean"] is None
    assert measures(gru, Place(), "keeps", np.arange(3), "token")["mean"] is not None
    assert measures(rnn, Place(), "keeps", np.arange(3), "token")["half-life"] is None
    header, parts = drawn("abc", [gru, rnn])
    assert header.models[0].absent["shows"].startswith("no output gate")
    slots = [{panel["slot"] for panel in panels_of(part) if panel["drawn"]} for part in parts]
    assert slots == [{"keeps", "looks back", "candidate", "memory"}, {"memory"}]


def test_a_forget_gate_that_says_how_much_is_written_stands_in_that_row_and_is_green(
    make_checkpoint, minimal_gated_unit
):
    models = compared("abc", make_checkpoint(cell=minimal_gated_unit), make_checkpoint())
    header, parts = drawn("abc", models, gate="writes")
    (panel,) = [panel for panel in panels_of(parts[0]) if panel["slot"] == "writes"]
    assert panel["role"] == "forget_gate" and panel["drawn"] and (panel["light"], panel["dark"]) == GREEN
    assert header.models[0].absent["keeps"] == "no forget gate: keeps what it does not write, 1\xa0−\xa0f"
    f = models[0].reading.trace["forget_gate"][0]
    np.testing.assert_allclose(
        measures(models[0], Place(), "writes", np.arange(3), "token")["mean"], f.mean(-1), rtol=1e-6
    )
    keeps = measures(models[0], Place(), "keeps", np.arange(3), "token")
    np.testing.assert_allclose(keeps["mean"], 1 - f.mean(-1), rtol=1e-5)
    np.testing.assert_allclose(keeps["half-life"], half_life(1 - f), rtol=1e-5)


def test_a_layer_that_a_model_lacks_is_absent(make_checkpoint):
    header, parts = drawn("abc", compared("abc", make_checkpoint(num_layers=2), make_checkpoint()), place=Place(1))
    assert header.models[1].absent["keeps"] == "no layer 2: this model has 1"
    assert panels_of(parts[1]) == []


def test_kin_that_lack_a_layer_are_drawn_beside_a_deeper_model(make_checkpoint):
    one = make_checkpoint()
    grammar = dataclasses.replace(one, hidden_variable={"name": "depth", "correlations": [[0.1, 0.2, 0.3, 0.4]]})
    three = compared("abc", grammar, with_layout(grammar, "lstm_concat"), make_checkpoint(num_layers=3))
    header, _ = drawn("abc", three, place=Place(2), difference=True)
    assert [model.differences for model in header.models] == [{}, {}, {}]


def test_what_an_slstm_kept_at_its_first_step_is_unknown(make_checkpoint):
    (model,) = compared("abc", make_checkpoint(cell="slstm"))
    found = measures(model, Place(), "keeps", np.arange(3), "token")
    for name in ("mean", "below 0.1", "above 0.9"):
        assert np.isfinite(found[name]).tolist() == [False, True, True]


def test_the_same_weights_in_another_layout_differ_by_rounding_alone(make_checkpoint):
    one = make_checkpoint(num_layers=2)
    header, _ = drawn("abc cab", compared("abc cab", one, with_layout(one, "lstm_concat")), difference=True)
    assert [model.kin for model in header.models] == [0, 0]
    found = header.models[1].differences
    assert {"forget_gate", "input_gate", "output_gate", "candidate", "cell", "hidden"} <= set(found)
    assert max(found.values()) < 1e-6
    assert "lstm_concat: more (red) or less (blue) than lstm" in header.note


def test_units_correspond_where_the_weights_began_as_the_same(make_checkpoint):
    a, b = make_checkpoint(cell="lstm_split"), make_checkpoint(cell="report_split")
    assert corresponding(a, b)
    assert not corresponding(a, make_checkpoint(cell="lstm", seed=1))  # other shapes, other weights
    other = dataclasses.replace(
        make_checkpoint(cell="report_split", seed=1), train=dataclasses.replace(b.train, seed=1)
    )
    assert not corresponding(a, other)
    assert not corresponding(a, make_checkpoint(cell="lstm_split", hidden_size=5))
    assert kinship([*map(prepare, (a, make_checkpoint(cell="gru", seed=2), b))]) == [0, 1, 0]
    copy = with_layout(b, "report_concat")
    for order in ((a, b, copy), (a, copy, b), (copy, a, b)):  # a and the copy are kin by way of b
        assert len(set(kinship([*map(prepare, order)]))) == 1


def test_a_shape_is_told_in_its_own_words_and_what_a_model_lacks_has_its_place(make_checkpoint):
    def told(*names: str) -> dict[str, list[str]]:
        models = [prepare(load(FOLDER / f"{name}.safetensors")) for name in names]
        found = different(models)
        return {fact.label: fact.values for fact in found.facts} | {"same": [found.same]}

    trees, captions = told("tree/expressions-nary", "tree/expressions-child-sum"), told(*["caption/sheep-lstm"] * 2)
    assert "reads" not in trees and "reads in" not in trees["same"][0]
    assert "window whole expressions × 32" in trees["same"][0] and "window whole sentences × 32" in captions["same"][0]
    assert told("tag/nonsense-words", "tag/nonsense-letters")["filters"] == ["–", "over 3 letters"]
    known = dataclasses.replace(make_checkpoint(), results={"valid_nll": 2.0, "valid_accuracy": 0.5})
    right = next(fact for fact in different([*map(prepare, (make_checkpoint(), known))]).facts if fact.label == "right")
    assert right.values == ["–", "50.00%"]


def test_what_differs_comes_first(make_checkpoint):
    found = different([prepare(make_checkpoint()), prepare(make_checkpoint(cell="gru"))])
    assert found.facts[0].label == "parameters"  # the cells are the models' titles already
    *facts, speed = found.facts
    assert [fact.differs for fact in facts] == sorted((fact.differs for fact in facts), reverse=True)
    assert speed.label == "reads here"  # differs always, and says little of the cells
    assert "units 4" in found.same and "cell" not in found.same


def test_a_title_is_the_cell_where_that_tells_the_models_apart():
    x, y, z = map(Shipped, "xyz")
    assert titles([(x, "lstm"), (y, "gru"), (z, "lstm")]) == ["x", "gru", "z"]
    assert titles([(x, "lstm"), (Copy(x, "lstm_split"), "lstm_split")]) == ["lstm", "copy as lstm_split"]


def test_the_colours_of_a_role_reach_equally_far_in_all(make_checkpoint):
    wide = make_checkpoint(seed=3)
    wide = dataclasses.replace(wide, weights={name: 40 * weight for name, weight in wide.weights.items()})
    _, parts = drawn("abcabc", compared("abcabc", make_checkpoint(), wide))
    limits = [
        {
            panel["role"]: panel["limit"]
            for panel in json.loads(part[4 : 4 + int.from_bytes(part[:4], "little")])["panels"]
        }
        for part in parts
    ]
    assert limits[0] == limits[1]


def test_the_tables_say_what_the_page_shows(make_checkpoint):
    both = compared("ab c", make_checkpoint(), make_checkpoint(cell="gru", seed=1))
    facts = models_table({each.name: each.opened for each in both})
    assert facts["cell"].tolist() == ["lstm", "gru"] and facts["units"].tolist() == [4, 4]
    assert facts["validation perplexity"].tolist() == pytest.approx([np.exp(2.0)] * 2)
    lines = lines_table("ab c", both, Place())
    assert lines[["position", "model"]].values.tolist() == [[t, f"model {k}"] for t in range(4) for k in range(2)]
    for k, each in enumerate(both):
        own = lines[lines["model"] == each.name]
        trace = each.reading.trace
        assert own["token"].tolist() == ["a", "b", "␣", "c"]
        np.testing.assert_allclose(own["loss"], trace.nll)
        gate = ("forget_gate", "update_gate")[k]
        np.testing.assert_allclose(own["keeps mean"], trace[gate][0].mean(-1), rtol=1e-6)
        assert own["shows mean"].isna().all() == (k == 1)  # a GRU has no output gate
    values = values_table(both)
    assert len(values) == 2 * 4 * 4 and set(values["model"]) == {"model 0", "model 1"}
    assert values[values["model"] == "model 0"]["update_gate"].isna().all()


def test_a_table_for_a_paper_keeps_its_columns(make_checkpoint):
    (one,) = compared("ab", make_checkpoint())
    lines = markdown(models_table({"a|b": one.opened})).splitlines()
    assert lines[1].count("|") == lines[0].count("|") == lines[2].replace("\\|", "").count("|")
    assert "| a\\|b | lstm |" in lines[2] and "| 7.3891 |" in lines[2]


def test_no_text_of_a_csv_is_a_formula() -> None:
    texts = ["=1+1", "+", "-", "@a", "\tb", "\rc", "＝d", "e=", "'", "1", ""]
    table = pd.DataFrame({"=token": texts, "kind": pd.Categorical(texts), "value": [-0.5] * len(texts)})
    written = as_csv(table)
    read = pd.read_csv(io.StringIO(written, newline=""), keep_default_na=False, dtype={"kind": str})
    assert list(read) == ["'=token", "kind", "value"] and (read["value"] == -0.5).all()
    for name in ("'=token", "kind"):
        assert [*read[name]] == ["'=1+1", "'+", "'-", "'@a", "'\tb", "'\rc", "'＝d", "e=", "'", "1", ""]
    assert [*table["=token"]] == texts  # what was there stays


def test_every_csv_is_written_there() -> None:
    writers = [path for path in LIBRARY.rglob("*.py") if re.search(r"to_csv|import csv", path.read_text("utf-8"))]
    assert [path.name for path in writers] == ["tables.py"]


def test_what_nobody_sees_in_a_name_is_shown_beside_others(make_checkpoint) -> None:
    name = "\u202eabc"
    opened = [prepare(dataclasses.replace(make_checkpoint(seed=k), corpus_name=name)) for k in (0, 1)]
    both = [Compared(f"{k} {name}", f"{k} שלום {name}", each, read(each, "abc")) for k, each in enumerate(opened)]
    facts = differences(opened, [1.0, 2.0])
    view = View(Place(), "index", ["keeps"], ["loss"], "keeps", True)
    live = live_comparison(both, facts, kinship(opened), 0, view)
    header, _ = draw(live, view, both, shared_axis("abc", both), {"time": 0, "unit": 0, "model": 0})
    said = json.dumps(dataclasses.asdict(header), ensure_ascii=False)
    for each in both:  # what the browser answers with stays as it is
        said = said.replace(f'"id": {json.dumps(each.name, ensure_ascii=False)}', "")
    assert "\u202e" not in said and said.count("‹U+202E›") > 6
    assert header.models[0].title == "\u20680 שלום ‹U+202E›abc\u2069"
