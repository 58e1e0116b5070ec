"""Words that are read by their letters: filters over these, and a language whose words nobody has met."""

import dataclasses
import math
from collections import Counter, defaultdict
from pathlib import Path

import pandas as pd
import pytest
import torch

from lstmviz import cli
from lstmviz.card import card
from lstmviz.checkpoint import Checkpoint, CheckpointError, dumps, load, loads, weights_of
from lstmviz.config import ModelConfig, TrainConfig
from lstmviz.data import nonsense
from lstmviz.data.labelled import Labelled, corpus_of
from lstmviz.data.vocabulary import PADDING, SPECIALS, SPELLED, UNK, Vocabulary
from lstmviz.encoders import Spelled
from lstmviz.explain.spelling import by_count, found_in, looked_for, part, standing_out
from lstmviz.model import LanguageModel
from lstmviz.opened import prepare
from lstmviz.reading import read
from lstmviz.sizes import parameter_count
from lstmviz.tasks import TASKS, fitted_to, open_data
from lstmviz.tasks.base import tokens_and_labels
from lstmviz.training.loop import memory_needed
from lstmviz.training.probe import Probe

TRAIN = TrainConfig(nonsense.NONSENSE, "letters", task="tag")
SHIPPED = Path(__file__).parents[2] / "checkpoints/tag"
READS = Vocabulary.of("letters", ["blim", "the", "Zed"])
FEW = [
    Labelled(("the", "blims"), ("a", "b")),
    Labelled(("Zed",), ("b",)),
    Labelled(("a", "by", "the"), ("a", "b", "a")),
]


@pytest.fixture
def speller(make_checkpoint):
    """Makes an untrained checkpoint of a tagger that reads words by their letters."""

    def make(**options) -> Checkpoint:
        corpus = corpus_of(nonsense.NONSENSE, [FEW] * 3, TRAIN)
        torch.manual_seed(0)
        config = fitted_to(corpus, ModelConfig(**{"embedding_size": 5, "hidden_size": 8, **options}))
        return dataclasses.replace(
            make_checkpoint(),
            model=config,
            train=TRAIN,
            vocabulary=corpus.vocabulary,
            reads=corpus.reads,
            weights=weights_of(LanguageModel(config, len(corpus.vocabulary))),
            results={"valid_nll": 2.0, "valid_accuracy": 0.25},
            corpus_name=corpus.name,
        )

    return make


# ---- the filters -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [1, 3, 8])
def test_a_vector_is_what_the_equations_say(width):
    torch.manual_seed(width)
    spelled = Spelled(9, width, filters=4).double()
    words = torch.tensor([[[2, 5, 3, 0, 0, 0], [2, 4, 6, 8, 7, 3]], [[0] * 6, [2, 8, 8, 3, 0, 0]]])  # (T, B, W)
    vectors, c = spelled(words), spelled.letters.weight
    W, b = spelled.filters.weight, spelled.filters.bias
    for t, batch in ((0, 0), (0, 1), (1, 1)):
        row = words[t, batch].tolist()
        n = sum(letter != PADDING for letter in row)
        behind = [*row[:n], *[PADDING] * width]
        for i in range(4):
            f = [
                b[i] + sum(W[i, :, j] @ c[letter] for j, letter in enumerate(behind[at : at + width]))
                for at in range(n)
            ]
            torch.testing.assert_close(vectors[t, batch, i], max(f).tanh(), rtol=0, atol=1e-12)
    assert vectors.isfinite().all()  # also where there is no word
    (gradient,) = torch.autograd.grad(vectors.square().sum(), [W])
    assert gradient.isfinite().all()


def test_a_word_is_the_same_whatever_stands_beside_it_and_however_much_room_there_is():
    spelled, rows = Spelled(len(READS), 3, 5).double(), torch.tensor(READS.encode_tokens(["the", "Zed", "blim"]))
    alone, together = spelled(rows[:1, None, :7]), spelled(rows[:, None])
    torch.testing.assert_close(alone[0], together[0], rtol=0, atol=1e-12)
    assert not torch.equal(together[0], together[1])


def test_a_sequence_of_words_is_read_as_by_itself():
    corpus = corpus_of("few", [FEW] * 3, TRAIN)
    torch.manual_seed(0)
    config = fitted_to(corpus, ModelConfig("gru", 6, 7, bidirectional=True))
    model = LanguageModel(config, len(corpus.vocabulary)).double()
    assert corpus.train.shape == (3, 3, SPELLED + 1) and model.config.letters == 3
    total = 0.0
    for sequence in corpus.train:
        tokens, labels, lengths = tokens_and_labels(sequence[:, None].long())
        total += model.loss(tokens, labels, None, lengths)[0].item() * int(lengths)
    tokens, labels, lengths = tokens_and_labels(corpus.train.transpose(0, 1).long())
    assert tokens.shape == (3, 3, SPELLED) and lengths.tolist() == [2, 1, 3]
    assert model.loss(tokens, labels, None, lengths)[0].item() == pytest.approx(total / 6, abs=1e-6)  # float32 there


# ---- words and letters -----------------------------------------------------------------------------------------------


def test_a_word_is_a_row_of_letters_between_its_begin_and_its_end():
    row = READS.spelled("Zebx")
    assert len(row) == SPELLED and [READS.tokens[i] for i in row[:7]] == ["<sos>", *"Zeb", UNK, "<eos>", "<pad>"]
    assert READS.token(row) == "Zeb�" and READS.encode("the  Zebx,") == READS.encode_tokens(["the", "Zebx", ","])
    long = READS.spelled("blim" * 10)
    assert len(long) == SPELLED and READS.token(long) == "blim" * 3 + "imblimblim" and long[-1] == READS.ids["<eos>"]
    assert part(row[:3], READS) == "Ze-" and part(row[1:3], READS) == "-Ze-" and part(row[4:8], READS) == "-�"
    assert part(row[5:8], READS) == "(end)"


def test_a_word_that_is_called_like_padding_is_a_word():
    corpus = corpus_of("odd", [[Labelled(("<pad>", "<eos>"), ("a", "b"))]] * 3, TRAIN)
    assert (corpus.train[0, :, 0] != PADDING).all()


# ---- nonsense --------------------------------------------------------------------------------------------------------


def test_what_a_word_is_can_be_told_from_its_letters_and_the_word_before():
    for sentences in nonsense.drawn():
        assert all(nonsense.kinds_of(sentence.tokens) == sentence.labels for sentence in sentences)
    assert nonsense.kinds_of("the slithy Zed nibbed".split()) == ["article", None, None, None]
    assert nonsense.kinds_of("Zedkin plims the plims".split()) == ["person", "verb", "article", "noun"]


def test_whoever_lacks_a_word_can_expect_to_be_right_in_half():
    after: dict[str | None, Counter[str]] = defaultdict(Counter)
    known = {word for sentence in nonsense.drawn()[0] for word in sentence.tokens}
    unknown = 0
    for sentence in [each for sentences in nonsense.drawn()[1:] for each in sentences]:
        for before, kind, word in zip((None, *sentence.labels), sentence.labels, sentence.tokens, strict=False):
            unknown += word not in known
            after[before][kind] += word not in nonsense.KNOWN
    for kinds in after.values():
        if found := [count for count in kinds.values() if count]:
            assert len(found) == 2 and abs(found[0] - found[1]) < 4 * math.sqrt(sum(found))
    assert unknown > 3_000


@pytest.mark.parametrize(("name", "low", "high"), [("words", 0.40, 0.55), ("letters", 0.99, 1.0)])
def test_letters_tell_of_a_word_that_was_never_met_what_nothing_else_can(name, low, high):
    checkpoint = load(SHIPPED / f"nonsense-{name}.safetensors")
    assert 19_000 < parameter_count(checkpoint.model, len(checkpoint.vocabulary)) < 19_300
    test = open_data(checkpoint.train, checkpoint.vocabulary, checkpoint.reads).test
    found = by_count(checkpoint, test)
    words = sum(each.words for each in found.values())
    assert low <= found["never"].accuracy <= high and found["more often"].accuracy > 0.999
    assert sum(each.words * each.accuracy for each in found.values()) / words == pytest.approx(
        checkpoint.results["test_accuracy"], abs=1e-6
    )
    nll = sum(each.words * each.nll for each in found.values()) / words
    assert nll == pytest.approx(checkpoint.results["test_nll"], abs=1e-5)


# ---- as a file -------------------------------------------------------------------------------------------------------


def test_a_speller_comes_back_whole(speller):
    data = dumps(speller(cell="rnn", bidirectional=True, letters=2))
    back = loads(data)
    assert dumps(back) == data and back.model.letters == 2 and back.reads.level == "letters"
    needs = memory_needed(back.model, 2, TRAIN), memory_needed(dataclasses.replace(back.model, letters=None), 2, TRAIN)
    assert needs[0] - needs[1] > 4 * TRAIN.batch_size * TRAIN.bptt * 2 * SPELLED * 5 - 10_000
    assert "by filters over 2 letters" in card(back) and "letters and" in card(back)
    assert not any(name.startswith("embedding.weight") for name in back.weights)


WORDS = Vocabulary("word", (*SPECIALS, "the"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model": {"letters": None}}, "letters is None, and words are read by their letters"),
        ({"reads": WORDS, "model": {"tokens_read": 5}}, "letters is 3, and words are not read by their letters"),
        ({"vocabulary": Vocabulary("letters", (*SPECIALS, "a"))}, "says tokens is not for the task tag"),
        ({"train": {"task": "translate"}}, "is not for the task translate"),
        ({"model": {"letters": 2}}, "embedding.filters.weight is F32"),
        ({"model": {"embedding_size": 6}}, "embedding.filters"),
    ],
)
def test_a_file_that_does_not_fit_together_is_refused(changes, said, speller):
    found = speller()
    for name, change in changes.items():
        whole = dataclasses.replace(getattr(found, name), **change) if isinstance(change, dict) else change
        found = dataclasses.replace(found, **{name: whole})
    with pytest.raises(CheckpointError, match=said):
        loads(dumps(found))


def test_letters_are_refused_where_nothing_reads_them():
    for options in ({"tie_weights": True, "embedding_size": 128}, {"row_size": 8}, {"window": 3, "cell": "rnn"}):
        with pytest.raises(ValueError, match="leave"):
            ModelConfig(letters=3, **options)
    with pytest.raises(ValueError, match="embedding_size is 513; of filters over letters there are at most 512"):
        ModelConfig(letters=3, embedding_size=513)
    for task in TASKS.values():
        if not task.spells:
            with pytest.raises(ValueError, match=f"the task {task.name} does not read words by their letters"):
                open_data(TrainConfig(task.built_in[0], "letters", task=task.name))
    with pytest.raises(ValueError, match="between is not read by its letters; say --level letters"):
        fitted_to(open_data(TrainConfig("between", task="tag")), ModelConfig(letters=3))


# ---- looking inside --------------------------------------------------------------------------------------------------


def test_what_filters_look_for_is_what_they_react_to_most():
    checkpoint = load(SHIPPED / "nonsense-letters.safetensors")
    model, reads, words = checkpoint.build(), checkpoint.reads, ("snirply", "Zarnton", "the", "plimps")
    found, most = found_in(model, words, reads), looked_for(model, words, reads, 2)
    vectors = model.embed(torch.tensor(reads.encode_tokens(words))[:, None])[:, 0]  # (N, E)
    for each, vector in zip(found, vectors, strict=True):
        assert [math.tanh(f.reaction) for f in each] == pytest.approx(vector.tolist(), abs=1e-6)
    assert len(most) == 16
    said = [[each.reaction for each in best] for best in most]
    assert said == [sorted(each, reverse=True) for each in said]
    assert all(best[0].reaction == max(each[k].reaction for each in found) for k, best in enumerate(most))
    out = standing_out(model, "snirply", words, reads)
    assert "(end)" not in {each.letters for each in out.values()}
    assert len(out) == 3 and all(found[0][k].letters == each.letters for k, each in out.items())


def test_a_word_that_was_never_met_is_watched(speller):
    opened = prepare(load(SHIPPED / "nonsense-letters.safetensors"))
    reading = read(opened, "the plimped plimps plimped Zarnton")
    said = [opened.signs[i] for i in reading.likely[:, 0].tolist()]
    assert said == ["article", "adjective", "noun", "verb", "place"] == [opened.signs[i] for i in reading.right]
    assert [opened.read_signs[i] for i in reading.ids] == reading.pieces
    untrained = speller()  # of words that it has no letters for
    assert prepare(untrained).written and read(prepare(untrained), "жжж the").pieces == ["жжж", "the"]


def test_a_probe_of_words_by_their_letters_comes_back(speller):
    checkpoint, corpus = speller(), corpus_of(nonsense.NONSENSE, [FEW] * 3, TRAIN)
    for sentence in ("", "Zed the blimzb"):
        probe = Probe.of(checkpoint.build(), corpus, sentence)
        back = Probe.loads(probe.dumps(), "lstm")
        reading = back.reading(prepare(checkpoint))
        assert reading.ids == probe.ids and reading.pieces[:2] == (["Zed", "the"] if sentence else ["the", "blims"])
    for ids in ([1] * 3, [(1, 2)] * 3, [(*row[:-1], 99) for row in back.ids]):
        with pytest.raises(ValueError, match="of another model"):
            dataclasses.replace(back, ids=ids).reading(prepare(checkpoint))


def test_the_command_line_trains_judges_and_traces_a_speller(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    lines = [f"{'ab'[k % 2]}\t{'the' if k % 3 else 'a'} {'blims' if k % 2 else 'blimed'}\n" for k in range(60)]
    Path("forms.tsv").write_text("".join(lines))

    def run(*arguments: str) -> str:
        monkeypatch.setattr("sys.argv", ["lstmviz", *arguments])
        cli.main()
        return capsys.readouterr().out

    options = "--task classify_text --corpus forms.tsv --level letters --letters 2 --embedding-size 6 --hidden-size 5"
    said = run(
        "train", "run", *options.split(), *"--batch-size 8 --steps 60 --eval-every 30 --learning-rate 0.05".split()
    )
    assert "by filters over 2 letters" in said and "100.00% right" in said
    assert "100.00% right" in run("evaluate", "run/best.safetensors", "--corpus", "forms.tsv", "--part", "test")
    run("trace", "run/best.safetensors", "a plimed", "--out", "gates.csv")
    table = pd.read_csv("gates.csv")
    assert set(table["token"]) == {"a", "�limed"} and "label" in table
