"""Texts with labels: one for every token, in one direction and in both; one for the whole; of different lengths."""

import dataclasses
import random
from collections import Counter, defaultdict
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from lstmviz import checkpoint as checkpoints
from lstmviz import cli
from lstmviz.card import card
from lstmviz.cells import CELLS
from lstmviz.checkpoint import Checkpoint, CheckpointError, dumps, loads, weights_of
from lstmviz.config import ModelConfig, TrainConfig
from lstmviz.data.expressions import values_along
from lstmviz.data.grammars import hidden_variable
from lstmviz.data.labelled import Labelled, corpus_of
from lstmviz.data.vocabulary import IGNORED, PADDING, Corpus, Vocabulary
from lstmviz.gate_trace import held, kept
from lstmviz.model import LanguageModel
from lstmviz.opened import prepare
from lstmviz.reading import read
from lstmviz.tasks import TASKS, fitted_to, open_data
from lstmviz.tasks.base import tokens_and_labels
from lstmviz.tasks.classify_text import CLASSIFY_TEXT, answer, begun
from lstmviz.tasks.tag import BETWEEN, around, one_direction, tagged
from lstmviz.trace import trace_labels
from lstmviz.training.folder import RunConfig
from lstmviz.training.loop import Trainer, judged
from lstmviz.training.probe import Probe
from lstmviz.wire import identity_of

TAG = TrainConfig(BETWEEN, task="tag", batch_size=32, learning_rate=5e-2, steps=160, eval_every=160)
ASK = dataclasses.replace(TAG, corpus="agreement", task="classify_text", level="word", steps=100, eval_every=100)


def model_of(corpus: Corpus, **options) -> LanguageModel:
    torch.manual_seed(0)
    config = ModelConfig(**{"embedding_size": 5, "hidden_size": 8, **options})
    return LanguageModel(fitted_to(corpus, config), len(corpus.vocabulary))


@pytest.fixture
def tagger(make_checkpoint):
    """Makes an untrained checkpoint that tags, by default in both directions."""

    def make(**options) -> Checkpoint:
        corpus = open_data(TAG)
        model = model_of(corpus, **{"bidirectional": True, **options})
        return dataclasses.replace(
            make_checkpoint(),
            model=model.config,
            train=TAG,
            vocabulary=corpus.vocabulary,
            reads=corpus.reads,
            weights=weights_of(model),
            results={"valid_nll": 2.0, "valid_accuracy": 0.25},
            corpus_name=BETWEEN,
            licence=corpus.licence,
        )

    return make


# ---- what one direction can know -------------------------------------------------------------------------------------


def texts(corpus: Corpus, part: str) -> list[Labelled]:
    """The sequences of a part of a corpus, in words."""
    assert corpus.reads
    found = []
    for sequence in getattr(corpus, part):
        tokens, labels = sequence[sequence[:, 0] != PADDING].T.tolist()
        said = [corpus.vocabulary.tokens[i] for i in labels if i != IGNORED]
        found.append(Labelled([corpus.reads.tokens[i] for i in tokens], said))
    return found


def test_a_label_is_the_symbol_before_and_the_symbol_after():
    assert tagged("ab", ["xx"]) == Labelled([*"axxb"], ["aa", "ab", "ab", "bb"])
    corpus = open_data(TAG)
    for tokens, labels in texts(corpus, "train")[:200]:
        for t, label in enumerate(labels):
            before = next(token for token in reversed(tokens[: t + 1]) if token in "abc")
            after = next(token for token in tokens[t:] if token in "abc")
            assert label == before + after


@pytest.mark.parametrize("part", ["valid", "test"])
def test_no_model_of_one_direction_is_right_more_often_than_is_stated(part):
    every = texts(open_data(TAG), part)

    def best(known) -> Fraction:
        """If of all tokens of which the same is known the commonest label is said."""
        seen: dict[tuple, Counter] = defaultdict(Counter)
        for tokens, labels in every:
            for t, label in enumerate(labels):
                seen[known(tokens, t)][label] += 1
        return Fraction(sum(max(c.values()) for c in seen.values()), sum(c.total() for c in seen.values()))

    assert best(lambda tokens, t: tuple(tokens[: t + 1])) == one_direction() == Fraction(10, 21)
    assert best(lambda tokens, t: tuple(tokens[t:])) == one_direction()
    assert best(lambda tokens, t: (t, *tokens)) == 1
    assert "47.62%" in TASKS["tag"].known[BETWEEN]


def test_both_directions_learn_what_one_cannot():
    corpus, found = open_data(TAG), {}
    for both in (False, True):
        records = [record for record in Trainer(model_of(corpus, bidirectional=both), corpus, TAG) if record]
        found[both] = records[-1].valid_accuracy
        assert not records[0].zero_gradients
    assert 0.4 < found[False] <= float(one_direction()) < 0.99 < found[True]


def test_what_is_shipped_is_as_good_as_its_card_says():
    folder = Path(__file__).parents[2] / "checkpoints"
    for name, accuracy in {
        "tag/between-lstm": float(one_direction()),
        "tag/between-lstm-bidirectional": 1.0,
        "classify_text/recall-lstm": 1.0,
        "classify_text/agreement-lstm": 1.0,
    }.items():
        shipped = checkpoints.load(folder / f"{name}.safetensors")
        test = open_data(shipped.train, shipped.vocabulary, shipped.reads).test
        assert judged(shipped.build(), test, shipped.train).accuracy == shipped.results["test_accuracy"] == accuracy


# ---- different lengths -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("name", CELLS)
def test_a_batch_of_mixed_lengths_is_each_sequence_by_itself(name, both):
    torch.manual_seed(0)
    config = ModelConfig(name, 3, 4, 2, tokens_read=6, bidirectional=both)
    model = LanguageModel(config, 5).double()
    batch = torch.stack([torch.randint(1, 6, (7, 4)), torch.randint(5, (7, 4))], dim=-1)  # (T, B, 2)
    for b, length in enumerate((3, 7, 1, 5)):
        batch[length:, b] = torch.tensor([PADDING, IGNORED])
    batch[:4, 3, 1] = IGNORED  # of one sequence only a label of the whole is asked
    tokens, labels, lengths = tokens_and_labels(batch)
    assert lengths.tolist() == [3, 7, 1, 5]

    def learned(loss: torch.Tensor) -> list[torch.Tensor]:
        return [loss, *torch.autograd.grad(loss, [*model.parameters()])]

    together = learned(model.loss(tokens, labels, None, lengths)[0])
    alone = []
    for b, length in enumerate(lengths):
        each = tokens[:length, b : b + 1], labels[:length, b : b + 1]
        asked = int((each[1] != IGNORED).sum())
        loss, _ = model.loss(*each, None, lengths[b : b + 1])
        alone.append([value * asked / 12 for value in learned(loss)])
    for mine, its in zip(together, [sum(values) for values in zip(*alone, strict=True)], strict=True):
        torch.testing.assert_close(mine, its, rtol=0, atol=1e-6 if mine is together[0] else 1e-7)  # loss is float32
    with torch.no_grad():
        assert model.loss(tokens, labels, None, lengths)[0] == pytest.approx(together[0].item(), abs=1e-6)


def test_every_label_is_judged_once_and_no_padding():
    corpus, model = open_data(TAG), model_of(open_data(TAG), bidirectional=True).eval()
    right, count, nll = 0, 0, 0.0
    part = corpus.valid[:300]
    for sequence in part:  # one by one
        tokens, labels = sequence[sequence[:, 0] != PADDING].long().T
        with torch.no_grad():
            scores = model(tokens[:, None])[0][:, 0].log_softmax(-1)
        right += int((scores.argmax(-1) == labels).sum())
        nll -= scores.gather(1, labels[:, None]).sum().item()
        count += len(labels)
    assert judged(model, part, TAG) == pytest.approx((nll / count, right / count), rel=1e-5)


def test_a_training_is_gone_on_with_to_the_bit_and_counts_no_padding():
    def trainer() -> Trainer:
        model = model_of(open_data(TAG), bidirectional=True, dropout=0.2, num_layers=2)
        return Trainer(model, open_data(TAG), TAG)

    torch.manual_seed(1)
    whole, half = trainer(), trainer()
    lengths = (open_data(TAG).train[:1000, :, 0] != PADDING).sum(1)
    assert whole.batches.bptt == pytest.approx(lengths.float().mean().item())
    torch.manual_seed(1)
    for _ in range(8):
        whole.take_step()
    torch.manual_seed(1)
    for _ in range(5):
        half.take_step()
    saved, rest = half.state_dict(), trainer()
    rest.load_state_dict(saved)
    for _ in range(3):
        rest.take_step()
    assert all(map(torch.equal, whole.model.parameters(), rest.model.parameters()))


# ---- a label of the whole --------------------------------------------------------------------------------------------


def test_a_grammar_asks_for_what_can_be_known():
    rng = random.Random(1)
    for _ in range(50):
        tokens, (label,) = begun("recall", rng)
        assert tokens[-1] == "?" and label == tokens[0]
        tokens, (label,) = begun("agreement", rng)
        plural = hidden_variable("agreement", tokens)[-1] > 0
        assert label == ("are/have/see/were" if plural else "has/is/sees/was")
    corpus = open_data(dataclasses.replace(ASK, corpus="recall"))
    assert corpus.vocabulary.tokens == tuple("abcd") and corpus.reads and "?" in corpus.reads.ids
    labels = corpus.train[..., 1]
    assert ((labels != IGNORED).sum(1) == 1).all()  # after the last token, one
    lengths = (corpus.train[..., 0] != PADDING).sum(1)
    assert (labels.gather(1, lengths[:, None] - 1) != IGNORED).all() and len(set(lengths.tolist())) > 20


def test_a_text_is_read_to_its_label():
    corpus = open_data(ASK)
    model = model_of(corpus, cell="gru")
    before = judged(model, corpus.valid, ASK)
    list(Trainer(model, corpus, ASK))
    after = judged(model, corpus.valid, ASK)
    assert before.accuracy < 0.7 and after.accuracy > 0.95 and after.nll < before.nll


# ---- what a checkpoint says of it ------------------------------------------------------------------------------------


def test_a_tagger_comes_back_whole_and_others_are_written_as_before(tagger, make_checkpoint):
    data = dumps(tagger(num_layers=2))
    back = loads(data)
    assert dumps(back) == data and back.model.bidirectional and back.reads == open_data(TAG).reads
    tokens = torch.randint(4, 10, (6, 2))
    assert torch.equal(back.build()(tokens)[0], tagger(num_layers=2).build()(tokens)[0])
    said = card(back)
    assert "8 units in each direction" in said and "at most 47.62% are right" in said and "6 characters and" in said
    own = dataclasses.replace(back, licence="mine")  # a text of somebody's that is called the same
    assert "known of the data" in said and "known of the data" not in card(own)
    assert not [word for word in (b"bidirectional", b"reads", b"tokens_read") if word in dumps(make_checkpoint())]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"reads": None}, "the model reads 10 tokens of its own; no are named"),
        ({"reads": Vocabulary.of("char", "abc")}, "the model reads 10 tokens of its own; 7 are named"),
        ({"reads": Vocabulary("label", tuple("abcdefghij"))}, "the tokens that the model reads are called labels"),
        ({"train": ASK}, "a model for the task classify_text reads in one direction, since it is asked when it has"),
        ({"train": TrainConfig("test")}, "reads tokens and says labels is not for the task language"),
        (
            {"train": TrainConfig("digits", task="classify")},
            "reads tokens and says labels is not for the task classify",
        ),
    ],
)
def test_a_model_that_does_not_fit_its_task_is_refused(changes, said, tagger):
    with pytest.raises(CheckpointError, match=said):
        loads(dumps(dataclasses.replace(tagger(), **changes)))


@pytest.mark.parametrize("task", ["language", "classify", "classify_text"])
def test_both_directions_are_refused_where_one_makes_sense(task):
    with pytest.raises(ValueError, match=f"a model for the task {task} reads in one direction, since"):
        RunConfig(TrainConfig("brackets", task=task), ModelConfig(bidirectional=True))
    assert "--bidirectional" in RunConfig(TAG, ModelConfig(bidirectional=True, tokens_read=10)).command


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"tokens_read": 5, "row_size": 8}, "a model reads images or tokens"),
        ({"tokens_read": 5, "tie_weights": True}, "says labels has no embedding of them"),
        ({"bidirectional": True, "cell": "rnn", "window": 3}, "a fixed window reads a text, from the left"),
        ({"bidirectional": True, "num_layers": 20, "hidden_size": 1000}, "in both directions, is 40,000"),
    ],
)
def test_what_does_not_go_together_is_said(options, said):
    with pytest.raises(ValueError, match=said):
        ModelConfig(**{"embedding_size": 128, **options})


@pytest.mark.parametrize("name", ["lstm", "slstm", "lstmp", "rnn"])
def test_a_tagger_is_read_in_both_directions(name, tagger):
    opened = prepare(tagger(cell=name, num_layers=2))
    assert [(track.layer, track.reverse) for track in opened.tracks] == [(0, False), (0, True), (1, False), (1, True)]
    assert [track.label for track in opened.tracks] == ["layer 1 →", "layer 1 ←", "layer 2 →", "layer 2 ←"]
    reading = read(opened, "axxybz")
    known = opened.checkpoint.vocabulary.ids
    assert reading.right == [known["aa"]] + [known["ab"]] * 3 + [known["bb"], IGNORED]
    assert np.isnan(reading.trace.nll).tolist() == [False] * 5 + [True]
    # The step before is in reverse the one after: only the last has none.
    hidden = reading.tracks["hidden"]
    assert np.array_equal(hidden[1], reading.trace.hidden[0, 1])
    if name == "slstm":
        assert np.isnan(reading.kept[:, 0, 0]).tolist() == [True, False, True, False]
        assert np.isnan(reading.kept[:, -1, 0]).tolist() == [False, True, False, True]
    # A block is named after the whole text: of what ← does at a column no column before it tells.
    longer = read(opened, "axxybza")
    assert identity_of(opened, reading) != identity_of(opened, longer)
    assert (longer.tracks["hidden"][0, :6] == hidden[0]).all() and (longer.tracks["hidden"][1, :6] != hidden[1]).any()


def test_what_is_right_is_known_of_what_a_person_types():
    assert around("xaxbx") == [None, "aa", "ab", "bb", None]
    assert values_along("max ( 3 , min ( 7 , 2 ) , 5 )".split()) == [None] * 9 + ["2", None, None, "5"]
    assert values_along("max ( 3 ) , min ( 7 ,".split()) == [None] * 9  # of one argument alone nothing is known
    assert values_along("first ( 9 , 1 , 2 ) )".split()) == [None] * 7 + ["9", None]
    assert answer("recall", "bx?bzz?") == ["b"] * 7 and answer("recall", "bx?bz") == [None] * 5
    of_many = "are/have/see/were"
    assert answer("agreement", "the red keys near the dog".split()) == [of_many] * 6
    assert answer("agreement", "the keys are".split()) == [None] * 3 and answer("agreement", ["near"]) == [None]


@pytest.mark.parametrize("name", CLASSIFY_TEXT.built_in)
def test_what_is_drawn_is_asked_and_known(name):
    rng = random.Random(3)
    for _ in range(20):
        tokens = CLASSIFY_TEXT.drawn[name](rng)
        assert None not in CLASSIFY_TEXT.right[name](tokens)


# ---- looking inside --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CELLS)
def test_a_trace_has_both_directions_by_their_names(name, tagger):
    checkpoint = tagger(cell=name, num_layers=2)
    model, reads = checkpoint.build(), checkpoint.reads
    ids = torch.tensor(reads.encode("axxybz"))
    trace, likely = trace_labels(model, ids, torch.arange(6))
    assert trace.outer == ("layer", "direction", "time") and trace.sizes["direction"] == 2
    with torch.no_grad():
        log_p = model(ids[:, None])[0][:, 0].log_softmax(-1)
    assert trace.nll == pytest.approx(-log_p[range(6), range(6)].numpy(), abs=1e-5)
    assert np.array_equal(likely.ids[:, 0], log_p.argmax(-1).numpy())
    # Forward sees what stands before, reverse what stands after, each at the place where it stands.
    other, _ = trace_labels(model, torch.cat([ids[:3], ids[:1], ids[4:]]))
    forward, reverse = ((trace.hidden[0, d] != other.hidden[0, d]).any(-1) for d in (0, 1))
    assert not forward[:3].any() and forward[3] and not reverse[4:].any() and reverse[3]
    frame = trace.to_dataframe()
    assert [*frame["direction"].unique()] == ["forward", "reverse"]
    third = frame[(frame.layer == 1) & (frame.direction == "reverse") & (frame.time == 2) & (frame.unit == 0)]
    assert third["hidden"].item() == trace.hidden[1, 1, 2, 0]
    shares = kept(trace)
    assert held(trace).shape[:3] == (2, 2, 6) and (shares is None or shares.shape[:3] == (2, 2, 6))


@pytest.mark.parametrize("sentence", ["", "axyb"])
def test_a_probe_of_a_tagger_comes_back(sentence, tagger):
    corpus, checkpoint = open_data(TAG), tagger()
    probe = Probe.of(checkpoint.build(), corpus, sentence)
    back = Probe.loads(probe.dumps(), "lstm")
    assert corpus.reads and (not sentence or back.ids == corpus.reads.encode(sentence))
    assert back.trace.outer == ("layer", "direction", "time") and back.is_finite()
    assert np.isnan(back.trace.nll).all() == bool(sentence)  # of what is typed nobody is asked
    assert back.reading(prepare(checkpoint)).right == (None if sentence else probe.right)
    assert all(np.array_equal(back.trace[name], probe.trace[name]) for name in probe.trace)


# ---- files -----------------------------------------------------------------------------------------------------------

TAGGED = "the\tDET\ncat\tN\nsleeps\tV\n\na\tDET\ndog\tN\n\n"
CLASSIFIED = "good\ta fine film\nbad\ta dull one\n"


def written(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_files_of_labelled_texts_are_read(tmp_path):
    tag = TrainConfig(written(tmp_path / "tags.tsv", TAGGED * 20), "word", task="tag")
    corpus = open_data(tag)
    assert corpus.vocabulary.tokens == ("DET", "N", "V") and corpus.name == "tags" and corpus.tokens_read == 9
    assert [len(part) for part in (corpus.train, corpus.valid, corpus.test)] == [32, 4, 4]
    assert {" ".join(tokens): labels for tokens, labels in texts(corpus, "train")} == {
        "the cat sleeps": ["DET", "N", "V"],
        "a dog": ["DET", "N"],
    }
    ask = TrainConfig(written(tmp_path / "films.tsv", CLASSIFIED * 10), "word", task="classify_text")
    assert {" ".join(tokens): labels for tokens, labels in texts(open_data(ask), "train")} == {
        "a fine film": ["good"],
        "a dull one": ["bad"],
    }
    folder = tmp_path / "parts"
    folder.mkdir()
    for part in ("train", "valid", "test"):
        written(folder / f"{part}.txt", CLASSIFIED)
    assert len(open_data(dataclasses.replace(ask, corpus=str(folder))).train) == 2


@pytest.mark.parametrize(
    ("task", "level", "text", "said"),
    [
        ("tag", "word", "the\n" * 20, "line 1 of it.txt is not a token, a tab and its label"),
        ("tag", "word", "the\tDET\ncat\t\n", "line 2 of it.txt is not a token"),
        ("tag", "char", TAGGED, "line 1 of it.txt has a token of several characters; say --level word"),
        ("tag", "word", "\n\n\n", "the train part of it has no sequences"),
        ("classify_text", "word", "good\n" + CLASSIFIED, "line 1 of it.txt is not a label, a tab and a text"),
        ("classify_text", "word", CLASSIFIED + "bad\t \n", "line 3 of it.txt has a label and no text"),
        (
            "classify_text",
            "char",
            "good\t" + "a" * 3000 + "\n" + CLASSIFIED * 9,
            "a sequence of 3,000 tokens; at most 2,000",
        ),
    ],
)
def test_a_file_of_another_form_is_refused_in_a_sentence(task, level, text, said, tmp_path):
    with pytest.raises(ValueError, match=said):
        open_data(TrainConfig(written(tmp_path / "it.txt", text), level, task=task))


def test_a_label_that_a_model_does_not_know_is_said_and_a_token_is_unknown(tmp_path):
    path = written(tmp_path / "it.tsv", "a\taa\nq\taa\n\n" * 10)
    corpus = open_data(TAG)
    other = open_data(dataclasses.replace(TAG, corpus=path), corpus.vocabulary, corpus.reads)
    assert other.vocabulary == corpus.vocabulary and texts(other, "test")[0].tokens == ["a", "<unk>"]
    written(tmp_path / "it.tsv", "a\tNOUN\n\n" * 10)
    with pytest.raises(ValueError, match="has the label NOUN, which is not known; known are aa, ab, ac"):
        open_data(dataclasses.replace(TAG, corpus=path), corpus.vocabulary, corpus.reads)
    padded = corpus_of("it", [[Labelled(["<pad>", "a"], ["N", "N"])]] * 3, TAG)  # a text may have that in it, too
    assert texts(padded, "train")[0].tokens == ["<unk>", "a"]


# ---- the command line ------------------------------------------------------------------------------------------------


def test_the_command_line_trains_judges_and_traces_a_tagger(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    train = dataclasses.replace(TAG, steps=20, eval_every=10)
    cli.train(Path("runs/t"), train, ModelConfig(hidden_size=6, embedding_size=4, bidirectional=True))
    best = Path("runs/t/best.safetensors")
    results = checkpoints.load(best).results
    assert set(results) == {"valid_nll", "valid_accuracy", "test_nll", "test_accuracy"}
    cli.list_runs()
    assert f"best {results['valid_accuracy']:.2%} right" in capsys.readouterr().out
    cli.evaluate(best, BETWEEN, "test")
    said = capsys.readouterr().out
    assert f"(test, 2,430 texts): {results['test_accuracy']:.2%} right" in said and "at most 47.62% are right" in said
    cli.trace(best, "axb", tmp_path / "trace.csv")
    table = pd.read_csv(tmp_path / "trace.csv")
    assert len(table) == 2 * 3 * 6 and [*table["token"].unique()] == ["a", "x", "b"] and "nll" not in table
    assert set(table["label"]) <= set(open_data(TAG).vocabulary.tokens) and table["probability"].between(0, 1).all()
    with pytest.raises(ValueError, match="a sequence must not be empty"):
        cli.trace(best, "", tmp_path / "trace.csv")
    with pytest.raises(ValueError, match="is of the task"):
        cli.count(tmp_path / "it.counts", "brackets", like=best)


@pytest.mark.parametrize(("task", "corpus"), [("classify", "digits"), ("tag", BETWEEN), ("classify_text", "agreement")])
def test_a_line_up_of_any_task_is_made_for_its_data(task, corpus, tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(cli, "follow_all", lambda lineup, *_: made.extend(lineup.members.values()))
    train = {**vars(TrainConfig(corpus, task=task, steps=10)), "corpus": corpus}
    model = {name: value for name, value in vars(ModelConfig()).items() if name not in ("cell", "num_layers")}
    del train["bptt"], train["seed"]
    cli.sweep(tmp_path / "s", train, model, cells=("gru", "rnn"), parameters=3000, workers=1)
    data = open_data(TrainConfig(corpus, task=task))
    assert [member.model.cell for member in made] == ["gru", "rnn"]
    assert {(m.model.row_size, m.model.tokens_read) for m in made} == {(data.row_size, data.tokens_read)}
