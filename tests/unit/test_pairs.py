"""Sequences said for others: the pairs, where each token comes from, and a model that learns to say them."""

import dataclasses
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from lstmviz import cli
from lstmviz.card import card
from lstmviz.checkpoint import Checkpoint, CheckpointError, dumps, loads, weights_of
from lstmviz.config import ModelConfig, TrainConfig
from lstmviz.data.pairs import GENERATED, NOTHING, Pair, dated, known_pair
from lstmviz.data.vocabulary import IGNORED, PADDING
from lstmviz.experiments.attention import pairs_of
from lstmviz.explain.translations import by_length
from lstmviz.model import LanguageModel
from lstmviz.opened import prepare
from lstmviz.reading import read
from lstmviz.tasks import fitted_to, open_data
from lstmviz.training.folder import RunConfig
from lstmviz.training.loop import Trainer
from lstmviz.training.probe import Probe
from lstmviz.translation import trace_translation

SAY = TrainConfig("reverse", task="translate", batch_size=64, learning_rate=1e-2, steps=250, eval_every=250)


@pytest.mark.parametrize("corpus", ["reverse", "sort"])
def test_what_is_said_stands_where_it_comes_from(corpus: str) -> None:
    rng, generated = random.Random(1), GENERATED[corpus]
    for _ in range(200):
        pair = generated.of(generated.draw(rng))
        assert pair.aligned is not None
        assert [pair.source[place] for place in pair.aligned] == list(pair.said)
        assert sorted(pair.aligned) == [*range(len(pair.source))]
    assert sorted(GENERATED["sort"].of("31132").said) == list("11233")


def test_equal_symbols_are_sorted_as_they_come() -> None:
    assert GENERATED["sort"].of("2121").aligned == [1, 3, 0, 2]


@pytest.mark.parametrize(
    ("words", "said", "aligned"),
    [
        ("the third of march nineteen ninety five", "1995-03-03", [4, 4, 5, 6, NOTHING, 3, 3, NOTHING, 1, 1]),
        ("the twenty first of may nineteen thirteen", "1913-05-21", [5, 5, 6, 6, NOTHING, 4, 4, NOTHING, 1, 2]),
        ("the twentieth of june nineteen forty", "1940-06-20", [4, 4, 5, 5, NOTHING, 3, 3, NOTHING, 1, 1]),
    ],
)
def test_both_digits_of_a_number_come_from_its_words(words: str, said: str, aligned: list[int]) -> None:
    assert dated(words.split()) == Pair(words.split(), said, aligned)


def test_every_date_that_is_drawn_can_be_read() -> None:
    rng = random.Random(2)
    for _ in range(300):
        drawn = GENERATED["dates"].draw(rng)
        assert dated(drawn).source == drawn


def test_a_corpus_holds_what_is_read_said_before_and_to_be_said() -> None:
    corpus = open_data(SAY)
    assert corpus.reads
    ids, says = corpus.reads, corpus.vocabulary
    for source, before, told in (row.long().unbind(-1) for row in corpus.train[:50]):
        read = [ids.tokens[i] for i in source[source != PADDING]]
        said = told[told != IGNORED].tolist()
        assert [says.tokens[i] for i in said] == [*read[::-1], "<eos>"]
        begun = [i - len(ids) for i in before[: len(said)].tolist()]
        assert begun == [says.ids["<sos>"], *said[:-1]]


@pytest.fixture(scope="module")
def trained() -> Checkpoint:
    """A model that has begun to learn to reverse."""
    corpus = open_data(SAY)
    torch.manual_seed(0)
    config = fitted_to(corpus, ModelConfig(embedding_size=16, hidden_size=32))
    model = LanguageModel(config, len(corpus.vocabulary))
    assert config.attention == "luong"
    (*_, last) = Trainer(model, corpus, SAY)
    assert last and last.valid_nll is not None and last.valid_accuracy is not None
    return Checkpoint(
        model=config,
        train=SAY,
        vocabulary=corpus.vocabulary,
        reads=corpus.reads,
        weights=weights_of(model),
        step=250,
        history={"step": [250], "train_nll": [last.train_nll], "valid_nll": [last.valid_nll]},
        results={"valid_nll": last.valid_nll, "valid_accuracy": last.valid_accuracy},
        corpus_name="reverse",
        corpus_sha256=corpus.sha256,
        licence="none",
        command="-",
    )


def test_a_model_learns_to_reverse_and_where_to_look(trained: Checkpoint) -> None:
    assert trained.results["valid_accuracy"] > 0.6
    assert trained.reads
    told = by_length(trained.build(), pairs_of("reverse"), trained.reads, trained.vocabulary)
    right, found = told["right"].to_dict(), told["found"].to_dict()
    assert found[4] > 0.9  # it looks at the right place before it says it right
    assert right[2] > 0.2 and right[24] < 0.1  # of a length that it never saw
    assert set(told["count"]) == {200}


def test_a_checkpoint_of_it_says_what_it_is(trained: Checkpoint) -> None:
    loaded = loads(dumps(trained))
    assert loaded.model == trained.model and loaded.digest == trained.digest
    said = card(loaded)
    assert "attention: luong" in said and "nats/character" in said and "| says | 10 characters" in said
    for wrong in ({"attention": None}, {"tokens_read": 5}):
        other = dataclasses.replace(trained, model=dataclasses.replace(trained.model, **wrong))
        with pytest.raises(CheckpointError):
            loads(dumps(other))


def test_its_probe_is_of_who_reads_and_of_who_says(trained: Checkpoint) -> None:
    corpus, opened = open_data(SAY), prepare(trained)
    kept = [Probe.of(opened.model, corpus, sentence) for sentence in ("", "12")]
    probe, typed = (Probe.loads(each.dumps(), "lstm") for each in kept)
    for each in (probe, typed):
        assert each.is_finite() and each.trace["forget_gate"].shape == (1, 3, len(each.ids), 32)
    assert typed.said_from == 2 and typed.right is None and probe.right is not None
    seen, typed_seen = probe.reading(opened), typed.reading(opened)
    assert seen.said and seen.right == probe.right and typed_seen.said
    again = read(opened, opened.reads.decode(probe.ids[: probe.said_from]))
    assert again and again.said and again.pieces == seen.pieces and again.said.aligned == seen.said.aligned
    assert typed_seen.said.aligned == [1, 0, NOTHING][: len(typed_seen.said.ids)]
    blank = np.full_like(probe.trace["cell"], np.nan)
    other = dataclasses.replace(probe, trace=dataclasses.replace(probe.trace, arrays={**probe.trace, "cell": blank}))
    assert not other.is_finite()
    assert probe.looks is not None
    for wrong in (
        {"said_from": 0}, {"said_from": len(probe.ids)}, {"looks": None}, {"looks": probe.looks[1:]},
        {"ids": [*probe.ids[:-1], 10**6]}, {"ids": [10**6, *probe.ids[1:]]},
    ):  # fmt: skip
        with pytest.raises(ValueError, match="of another model"):
            dataclasses.replace(probe, **wrong).reading(opened)


def test_what_is_read_and_what_is_said_stand_on_one_axis(trained: Checkpoint) -> None:
    """Each track has its own columns, and every value is that of the translation."""
    opened = prepare(trained)
    seen = read(opened, "3141")
    assert seen and seen.said
    begin, ids = seen.said.begin, torch.tensor(seen.ids[:4])
    told = trace_translation(opened.model, ids)
    assert [track.label for track in opened.tracks] == ["reads →", "reads ←", "says"]
    for name, values in seen.tracks.items():
        for k, own in enumerate((*told.reader[name][0], told.speaker[name][0])):
            columns = seen.columns(opened.tracks[k])
            np.testing.assert_array_equal(values[k, columns], own)
            assert np.isnan(np.delete(values[k], columns, axis=0)).all()
    assert [i - len(opened.reads) for i in seen.ids[begin:]] == told.said.tolist() == seen.said.ids
    assert told.looks is not None and np.array_equal(seen.said.looks, told.looks)
    # The loss is of what is right, and not of what is said.
    assert seen.right is not None and seen.right[:begin] == [IGNORED] * 4
    with torch.no_grad():
        right = trace_translation(opened.model, ids, torch.tensor(seen.right[begin:])).speaker.nll
    assert seen.trace.nll[begin] == pytest.approx(right[0], abs=1e-5) and np.isnan(seen.trace.nll[:begin]).all()
    # What a step keeps follows from the step that it read before, which in reverse is the next column.
    assert seen.kept is not None and np.array_equal(seen.kept, seen.tracks["forget_gate"], equal_nan=True)


@pytest.mark.parametrize(
    ("name", "text"),
    [("dates", "the third of march"), ("dates", "on the third of march twenty five"), ("dates", "of"), ("dates", ""),
     ("dates", "the third of march eighteen ninety five"), ("mine", "1 2")],
)  # fmt: skip
def test_of_what_is_no_such_sequence_nobody_knows_what_is_right(name: str, text: str) -> None:
    assert known_pair(name, text.split()) is None


def test_attention_is_refused_where_one_text_is_read() -> None:
    corpus = open_data(TrainConfig("recall"))
    with pytest.raises(ValueError, match="recall has no sequences to be said for others; leave attention out"):
        fitted_to(corpus, ModelConfig(attention="luong"))
    with pytest.raises(ValueError, match="leave bidirectional and adaptive_softmax out"):
        ModelConfig(attention="none", bidirectional=True)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("abc", "line 2 of pairs.txt is not a text, a tab and the text that is to be said for it"),
        ("abc\t", "line 2 of pairs.txt is not a text, a tab"),
        ("a\tb\tc", "line 2 of pairs.txt is not a text, a tab"),
        ("a" * 2001 + "\tb", "has a sequence of 2,001 tokens; at most 2,000 are read: cut it"),
        (
            "\n".join(["a" * 1999 + "\tb"] * 20 + ["a\tb"] * 9000),
            "sequences, which are padded to the longest, 1,999 tokens",
        ),
    ],
    ids=["no tab", "nothing to say", "three texts", "a long one", "many and some long ones"],
)
def test_a_file_of_another_form_is_refused(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "pairs.txt"
    path.write_text(f"ab\tba\n{line}\n" + "abc\tcba\n" * 20)
    with pytest.raises(ValueError, match=said):
        open_data(dataclasses.replace(SAY, corpus=str(path)))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"objective": "windows"}, "the task translate has no objective; leave that out"),
        (
            {"task": "classify", "corpus": "digits", "max_words": 9},
            "the task classify has no max_words; leave that out",
        ),
    ],
)
def test_options_that_a_task_does_not_look_at_are_refused(options: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        RunConfig(dataclasses.replace(SAY, **options), ModelConfig())


def test_the_vocabularies_of_a_file_are_cut_as_asked(tmp_path: Path) -> None:
    path = tmp_path / "pairs.txt"
    path.write_text("aab\tbba\n" * 20 + "aac\tcaa\n")
    corpus = open_data(dataclasses.replace(SAY, corpus=str(path), max_words=2))
    assert corpus.reads and [len(corpus.reads), len(corpus.vocabulary)] == [6, 6]


def test_the_command_line_trains_and_judges_pairs_of_a_file(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = tmp_path / "pairs.txt"
    path.write_text("".join(f"{k:03}\t{k:03}\n" for k in range(100)))
    run, train = tmp_path / "run", TrainConfig(str(path), task="translate", steps=4, eval_every=2)
    cli.train(run, train, ModelConfig(hidden_size=5, embedding_size=3, attention="none"))
    best = run / "best.safetensors"
    assert "--attention none" in loads(best.read_bytes()).command
    cli.evaluate(best, str(path))
    assert "% right" in capsys.readouterr().out
    with pytest.raises(ValueError, match="is two networks, which no table of one text holds"):
        cli.trace(best, "12", tmp_path / "x.csv")
