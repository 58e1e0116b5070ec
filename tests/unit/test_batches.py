"""What a step of a training reads."""

import dataclasses
import math

import pytest
import torch

from lstmviz import checkpoint as checkpoints
from lstmviz.config import ModelConfig, TrainConfig
from lstmviz.data.corpora import load_corpus
from lstmviz.data.vocabulary import APART, Corpus, Vocabulary
from lstmviz.model import LanguageModel
from lstmviz.training.batches import Windows
from lstmviz.training.folder import Run, RunConfig
from lstmviz.training.loop import Trainer, held_out
from lstmviz.training.process import execute

WORDS = Vocabulary.of("word", "a b c d".split())
TRAIN = TrainConfig("text", level="word", bptt=3, batch_size=2, objective="windows", steps=4, eval_every=2)


def ids(text: str) -> torch.Tensor:
    return torch.tensor(WORDS.encode_tokens(text.split()), dtype=torch.int32)


def corpus(train: str, valid: str) -> Corpus:
    return Corpus("text", WORDS, ids(train), ids(valid), ids(valid), "0" * 64)


def said(batches: Windows) -> list[str]:
    """Every window of the full batches, as words."""
    columns = torch.cat([batches[k] for k in range(len(batches))], dim=1).T
    return [" ".join(WORDS.tokens[i] for i in column) for column in columns]


def test_windows_slide_over_each_sentence_and_short_ones_are_padded_on_the_left():
    batches = Windows(ids("a b c d <eos> b <eos> <eos> c"), WORDS, TRAIN)
    assert said(batches) == [
        "<sos> a b c",
        "a b c d",
        "b c d <eos>",
        "<pad> <sos> b <eos>",
        "<pad> <pad> <sos> <eos>",
        "<pad> <pad> <sos> c",  # a text may end in a sentence
    ]
    # Of seven windows the seventh is left out, since a batch is two.
    assert len(Windows(ids("a b c d <eos> b <eos> <eos> <eos> c"), WORDS, TRAIN)) == 3


def test_too_few_windows_for_a_batch_are_refused():
    with pytest.raises(
        ValueError, match=r"the text has 1 windows of 3 tokens, fewer than a batch of 2; take a smaller"
    ):
        Windows(ids("a <eos>"), WORDS, TRAIN)


def test_only_the_token_after_a_window_is_predicted_and_each_is_read_from_nothing():
    text = corpus("a b c d <eos> d c b a <eos>", "c d a <eos> a b <eos>")
    model = LanguageModel(ModelConfig(embedding_size=3, hidden_size=4), len(WORDS))
    windows = [window.split() for window in said(Windows(text.valid, WORDS, TRAIN))]
    nll = 0.0
    for *read, target in windows:
        scores, _ = model(ids(" ".join(read)).long()[:, None])
        nll -= scores[-1, 0].log_softmax(-1)[WORDS.ids[target]].item() / len(windows)
    assert held_out(model, text.valid, WORDS, TRAIN) == pytest.approx(nll, rel=1e-6)

    trainer = Trainer(model, text, TRAIN)
    records = [record for record in trainer if record]
    assert trainer.state is None and records[-1].epoch == 4 / 3
    assert records[-1].valid_nll == held_out(model, text.valid, WORDS, TRAIN)


def test_a_training_on_windows_goes_on_where_it_stopped_and_its_figures_are_of_windows(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("the cat sat on the mat\na dog sat\n" * 20)
    train = dataclasses.replace(TRAIN, corpus=str(text), learning_rate=0.01)
    config = RunConfig(train, ModelConfig(embedding_size=3, hidden_size=4))
    whole, stopped = (Run.create(tmp_path / name / "run", config) for name in ("whole", "stopped"))
    list(execute(whole))
    first = execute(stopped)
    next(first)
    first.close()
    list(execute(stopped))
    best, other = (checkpoints.load(run.folder / "best.safetensors") for run in (whole, stopped))
    assert best.digest == other.digest and best.train.objective == "windows"
    assert "on windows of 3 tokens" in (whole.folder / "card.md").read_text()
    assert best.results["valid_nll"] == min(r.valid_nll for r in whole.records() if r.valid_nll)


def test_at_their_defaults_the_new_options_leave_no_trace(make_checkpoint):
    written = checkpoints.dumps(make_checkpoint())
    assert not any(name in written for name in (b"objective", b"unseen_apart", b"embedding_std"))


def test_words_that_the_training_part_lacks_may_be_kept_apart_from_those_written_unk(tmp_path):
    for part, text in {"train": "a <unk> b a\n", "valid": "a z <unk>\n", "test": "b b\n"}.items():
        (tmp_path / f"{part}.txt").write_text(text)
    apart = load_corpus(tmp_path, "word", unseen_apart=True)
    assert apart.vocabulary.tokens[-1] == APART and APART not in load_corpus(tmp_path, "word").vocabulary.ids
    assert [apart.vocabulary.tokens[i] for i in apart.valid] == ["a", APART, "<unk>", "<eos>"]
    assert not (apart.train == apart.vocabulary.ids[APART]).any()


def test_the_tokens_vectors_begin_as_wide_as_asked():
    torch.manual_seed(0)
    wide = LanguageModel(ModelConfig(embedding_size=50, hidden_size=4, embedding_std=2.0), 200).embedding.weight
    assert wide.std().item() == pytest.approx(2.0, rel=0.05) and math.isfinite(wide.sum().item())
