"""The checkpoint file and its strict loader."""

import dataclasses
import errno
import json
import os
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch

from lstmviz import checkpoint as checkpoints
from lstmviz import config as limits
from lstmviz.card import card, figures
from lstmviz.cells import CELLS
from lstmviz.checkpoint import CheckpointError, dumps, load, loads, save, weights_of
from lstmviz.config import ModelConfig, TrainConfig
from lstmviz.data.vocabulary import SPECIALS, UNKNOWN_MOST, Vocabulary
from lstmviz.model import LanguageModel

SHIPPED = sorted((Path(__file__).parents[2] / "checkpoints").rglob("*.safetensors"))


@pytest.mark.parametrize("cell", CELLS)
def test_a_checkpoint_comes_back_whole(cell, make_checkpoint, tmp_path):
    checkpoint = make_checkpoint(cell=cell, num_layers=2)
    save(checkpoint, tmp_path / "new" / "model.safetensors")
    loaded = load(tmp_path / "new" / "model.safetensors")
    for field in dataclasses.fields(checkpoint):
        if field.name != "weights":
            assert getattr(loaded, field.name) == getattr(checkpoint, field.name)
    assert loaded.digest == checkpoint.digest
    tokens = torch.tensor([[4], [5], [6]])
    assert torch.equal(loaded.build()(tokens)[0], checkpoint.build()(tokens)[0])
    assert not loaded.build().training


@pytest.mark.parametrize(("option", "said"), [({"forget_bias": 1.0}, "forget bias 1"), ({"chrono": 64}, "chrono 64")])
def test_how_the_forget_gate_began_is_kept_where_it_was_asked_for(option, said, make_checkpoint):
    data = dumps(make_checkpoint(**option))
    assert dumps(loads(data)) == data and said in card(loads(data))
    assert b"forget_bias" not in dumps(make_checkpoint()) and b"chrono" not in dumps(make_checkpoint())


def test_tied_weights_come_back_tied(make_checkpoint):
    model = loads(dumps(make_checkpoint(embedding_size=4, tie_weights=True))).build()
    assert model.decoder.weight is model.embedding.weight


@pytest.fixture(scope="module")
def adaptive(make_checkpoint):
    """A checkpoint with an adaptive softmax, and so with 10,000 words."""
    config = ModelConfig(embedding_size=3, hidden_size=4, adaptive_softmax=True)
    vocabulary = Vocabulary.of("word", (f"w{number:04}" for number in range(9_996)))
    weights = weights_of(LanguageModel(config, 10_000))
    return dataclasses.replace(make_checkpoint(), model=config, vocabulary=vocabulary, weights=weights)


def test_an_adaptive_softmax_comes_back_whole(adaptive):
    data = dumps(adaptive)
    loaded = loads(data)
    assert dumps(loaded) == data
    tokens = torch.tensor([[4], [1999], [9_999]])
    assert torch.equal(loaded.build()(tokens)[0], adaptive.build()(tokens)[0])
    assert ", adaptive softmax" in card(loaded)


def test_an_adaptive_softmax_of_other_sizes_is_refused(adaptive):
    weights = {**adaptive.weights, "decoder.tail.1.weight": np.zeros((8_000, 2), np.float32)}
    with pytest.raises(CheckpointError, match=r"decoder\.tail\.1\.weight is F32 \[8000, 2\]; its config asks for"):
        loads(dumps(dataclasses.replace(adaptive, weights=weights)))


def test_a_field_that_came_later_is_written_only_where_it_says_something(make_checkpoint, adaptive):
    assert "adaptive_softmax" not in checkpoints._description(make_checkpoint())["model"]
    assert checkpoints._description(adaptive)["model"]["adaptive_softmax"] is True
    assert checkpoints._description(adaptive)["model"].keys() == MODEL.keys() | {"adaptive_softmax"}


def test_the_digest_knows_every_part(make_checkpoint):
    checkpoint = make_checkpoint()
    others = [
        make_checkpoint(seed=1),
        dataclasses.replace(checkpoint, step=51),
        dataclasses.replace(checkpoint, licence="other"),
    ]
    assert len({c.digest for c in [checkpoint, *others]}) == 4


def test_a_failed_write_leaves_the_old_file(make_checkpoint, tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    save(make_checkpoint(), path)
    before = path.read_bytes()

    def fail(*_):
        raise OSError(errno.ENOSPC, "disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        save(make_checkpoint(seed=1), path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["model.safetensors"]


def described(checkpoint, *, honest: bool = True, **changes) -> bytes:
    """A file as a forger would write it: parts of the description replaced, the digest recomputed if ``honest``."""
    description = {**checkpoints._description(checkpoint), **changes}
    digest = checkpoints.digest_of(description, checkpoint.weights) if honest else checkpoint.digest
    text = json.dumps({**description, "digest": digest}, sort_keys=True)
    return safetensors.numpy.save(dict(sorted(checkpoint.weights.items())), metadata={"lstmviz": text})


def test_the_forger_of_these_tests_can_write_a_good_file(make_checkpoint):
    checkpoint = make_checkpoint()
    assert described(checkpoint) == dumps(checkpoint)


MODEL = {"vocab_size": 9, "cell": "lstm", "embedding_size": 3, "hidden_size": 4, "num_layers": 1}
MODEL |= {"dropout": 0.0, "tie_weights": False}
TRAIN = dataclasses.asdict(TrainConfig(corpus="test"))
TOKENS = list(Vocabulary.of("char", "abc \n").tokens)
HISTORY = {"step": [25, 50], "train_nll": [2.1, 1.9], "valid_nll": [None, 2.0]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, "format 2; this version reads format 1"),
        ({"model": {**MODEL, "hidden_size": 5}}, "its config asks for"),
        ({"model": {**MODEL, "hidden_size": 16_384}}, "its config asks for"),
        ({"model": {**MODEL, "hidden_size": 65_536}}, "a whole number from 1 to 16,384"),
        ({"model": {**MODEL, "num_layers": 2}}, "missing or too many"),
        ({"model": {**MODEL, "cell": "gru"}}, "its config asks for"),
        ({"model": {**MODEL, "cell": ["lstm"]}}, "does not describe a model"),
        ({"model": {**MODEL, "surprise": 1}}, "does not describe a model"),
        ({"model": {**MODEL, "vocab_size": 10}}, "10 tokens, its vocabulary 9"),
        ({"model": {**MODEL, "adaptive_softmax": True}}, "at least 10,000 tokens; this one has 9"),
        ({"model": {**MODEL, "adaptive_softmax": False}}, "not in the form this app writes"),
        ({"model": None}, "does not describe a model"),
        ({"train": {**TRAIN, "learning_rate": float("nan")}}, "learning_rate"),
        ({"train": {**TRAIN, "seed": "<b>"}}, "seed"),
        ({"train": {**TRAIN, "corpus": {}}}, "corpus"),
        ({"train": {**TRAIN, "level": "byte"}}, "level"),
        ({"vocabulary": {"level": "char", "tokens": TOKENS[::-1]}}, "must begin with"),
        ({"vocabulary": {"level": "char", "tokens": [*TOKENS[:-1], "a"]}}, "does not describe|different"),
        ({"vocabulary": {"level": "char", "tokens": [*TOKENS[:-1], "\ud800"]}}, "does not describe"),
        ({"vocabulary": {"level": "char", "tokens": [*SPECIALS, "a", "b", "c", " ", ["\n"]]}}, "must be strings"),
        ({"history": {**HISTORY, "valid_nll": [2.0]}}, "malformed"),
        ({"history": {**HISTORY, "train_nll": [2.0, "<b>"]}}, "malformed"),
        ({"history": {**HISTORY, "train_nll": [2.0, float("inf")]}}, "malformed"),
        ({"history": {**HISTORY, "step": [0.5, 50]}}, "malformed"),
        ({"history": []}, "malformed"),
        ({"results": {"valid_nll": -1.0}}, "malformed"),
        ({"results": {"valid_nll": 10**400}}, "malformed"),
        ({"results": {"accuracy": 1.0}}, "malformed"),
        ({"results": {"valid_nll": 1.0, "valid_unknown": 1.5}}, "malformed"),
        ({"results": {"valid_nll": 1.0, "valid_unknown": None}}, "malformed"),
        ({"results": {"valid_nll": 1.0, "test_unknown": 0.5}}, "malformed"),
        ({"results": {"valid_unknown": 0.5}}, "malformed"),
        ({"step": 1.0}, "malformed"),
        ({"licence": None}, "malformed"),
        ({"hidden_variable": {"name": "depth", "correlations": [[0.5]]}}, "malformed"),
        ({"hidden_variable": {"name": "depth", "correlations": [[0.5, 0.5, 0.5, 1.5]]}}, "malformed"),
        ({"hidden_variable": "depth"}, "malformed"),
        ({"surprise": 1}, "not in the form this app writes"),
    ],
)
def test_a_false_description_is_refused_even_with_a_true_digest(changes, message, make_checkpoint):
    with pytest.raises(CheckpointError, match=message):
        loads(described(make_checkpoint(), **changes))


def test_a_changed_description_is_refused(make_checkpoint):
    with pytest.raises(CheckpointError, match="changed after it was written"):
        loads(described(make_checkpoint(), honest=False, licence="other"))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), -3.4e38, 1.1e9])
def test_weights_that_are_no_numbers_are_refused(value, make_checkpoint):
    checkpoint = make_checkpoint()
    checkpoint.weights["decoder.bias"][2] = value
    with pytest.raises(CheckpointError, match=r"weights in decoder\.bias are not all finite"):
        loads(dumps(checkpoint))


def test_weights_of_another_type_are_refused(make_checkpoint):
    checkpoint = make_checkpoint()
    weights = {name: weight.astype(np.float16) for name, weight in checkpoint.weights.items()}
    with pytest.raises(CheckpointError, match=r"is float16"):
        loads(dumps(dataclasses.replace(checkpoint, weights=weights)))


def raw(header: bytes) -> bytes:
    return len(header).to_bytes(8, "little") + header


def metadata(text: str) -> bytes:
    return raw(json.dumps({"__metadata__": {"lstmviz": text}}).encode())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (raw(b"[" * (limits.LISTS_MOST + 1)), r"500,001 signs \[ and { in its header; at most 500,000 are read"),
        (metadata("[" + "{}," * limits.LISTS_MOST + "{}]"), r"50\d,\d{3} signs \[ and { in its header"),
        (raw(b"[1" + b",1" * (limits.VALUES_MOST + 1) + b"]"), "2,000,001 values in its header; at most 2,000,000"),
        (raw(bytes(limits.HEADER_MOST + 1)), "33,554,433 bytes in its header; at most 33,554,432 are read"),
    ],
)
def test_what_costs_much_to_parse_is_refused_before_it_is_parsed(data, message, monkeypatch):
    monkeypatch.setattr(json, "loads", lambda _: pytest.fail("it was parsed"))
    with pytest.raises(CheckpointError, match=message):
        loads(data)


def test_a_file_is_as_large_as_may_be_or_is_not_read(make_checkpoint, tmp_path, monkeypatch):
    save(make_checkpoint(), tmp_path / "model.safetensors")
    monkeypatch.setattr(limits, "FILE_MOST", 1000)
    with pytest.raises(CheckpointError, match=r"it has 0\.00[2-9]\d* MB, and at most 0\.001 MB are read"):
        load(tmp_path / "model.safetensors")
    os.mkfifo(tmp_path / "pipe.safetensors")  # which nobody writes to
    with pytest.raises(CheckpointError, match=r"pipe\.safetensors cannot be read: it is no file"):
        load(tmp_path / "pipe.safetensors")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"corpus_name": "x" * 1001}, "1,001 characters in its corpus_name; at most 1,000 are read"),
        ({"corpus_sha256": "x" * 1001}, "1,001 characters in its corpus_sha256; at most 1,000"),
        ({"licence": "x" * 10_001}, "10,001 characters in its licence; at most 10,000"),
        ({"command": "x" * 10_001}, "10,001 characters in its command; at most 10,000"),
        ({"hidden_variable": {"name": "x" * 1001, "correlations": [[0.5] * 4]}}, "1,001 characters in the name of its"),
        ({"history": {name: [1] * 20_001 for name in HISTORY}}, "20,001 rows in its history; at most 20,000"),
        ({"train": {**TRAIN, "corpus": "x" * 10_001}}, "corpus is 'xxx.*it must be text of at most 10,000 characters"),
        ({"train": {**TRAIN, "learning_rate": 10**400}}, r"learning_rate is 10*\.\.\.0*; it must be a number"),
        ({"model": {**MODEL, "hidden_size": 4096, "num_layers": 9}}, "36,864; it must be at most 32,768 units"),
        ({"vocabulary": {"level": "char", "tokens": [*TOKENS, "x" * 1001]}}, "1,001 characters in one of its tokens"),
        ({"vocabulary": {"level": "char", "tokens": [*TOKENS, *("y" * 990 + f"{n}" for n in range(4100))]}},
         "4,0[0-9]{2},[0-9]{3} characters in all its tokens; at most 4,000,000"),
        ({"vocabulary": {"level": "char", "tokens": [*TOKENS, *(f"{n}" for n in range(300_000))]}},
         "300,009 tokens; at most 300,000"),
        ({"step": 10**400}, "malformed"),
        ({"history": {**HISTORY, "step": [10**13, 10**14]}}, "malformed"),
        ({"history": {**HISTORY, "train_nll": [2.0, 1e31]}}, "malformed"),
        ({"results": {"valid_nll": 1e308}}, "malformed"),
    ],
)  # fmt: skip
def test_too_much_is_refused_with_the_figure_of_the_limit(changes, message, make_checkpoint):
    with pytest.raises(CheckpointError, match=message):
        loads(described(make_checkpoint(), **changes))


def test_what_is_shipped_is_a_tenth_of_every_limit_at_most():
    most = dict.fromkeys(vars(limits), 0.0)

    def seen(name: str, value: float) -> None:
        most[name] = max(most[name], value)

    for path in SHIPPED:
        data, checkpoint = path.read_bytes(), load(path)
        header = data[8 : 8 + int.from_bytes(data[:8], "little")]
        tokens, model = checkpoint.vocabulary.tokens, checkpoint.model
        seen("FILE_MOST", len(data))
        seen("HEADER_MOST", len(header))
        seen("LISTS_MOST", header.count(b"[") + header.count(b"{"))
        seen("VALUES_MOST", header.count(b","))
        seen("VOCABULARY_MOST", len(tokens))
        seen("TOKEN_MOST", max(map(len, tokens)))
        seen("TOKENS_LONG", sum(map(len, tokens)))
        seen("NAME_MOST", max(map(len, (checkpoint.corpus_name, checkpoint.corpus_sha256))))
        seen("TEXT_MOST", max(map(len, (checkpoint.licence, checkpoint.command))))
        seen("ROWS_MOST", len(checkpoint.history["step"]))
        seen("FIGURE_MOST", max(checkpoint.history["train_nll"]))
        seen("WEIGHT_MOST", max(float(np.abs(weight).max()) for weight in checkpoint.weights.values()))
        seen("LAYERS_MOST", model.num_layers)
        seen("UNITS_MOST", model.hidden_size * model.num_layers)
        seen("FILTERS_MOST", model.embedding_size if model.letters else 0)
        seen("WIDE_MOST", max(model.hidden_size, model.embedding_size))
        seen("COUNT_MOST", checkpoint.history["step"][-1])
    found = {name: value for name, value in most.items() if value}
    # Those that are of no checkpoint, but of texts, labelled ones, tables of counts and images, whose labels are bytes.
    others = {"SEED_MOST", "LIVE_MOST", "OWN_TEXT_MOST", "COUNTED_MOST", "RUNS_MOST", "TABLE_MOST"}
    others |= {"SIDE_MOST", "CLASSES_MOST", "IMAGES_MOST", "IMAGES_LONG", "SEQUENCE_MOST", "LABELLED_LONG"}
    others |= {"DEEP_MOST", "NODES_MOST", "PADDED_MOST"}  # of expressions and of all that is padded
    named = {name for name in vars(limits) if name.endswith(("_MOST", "_LONG"))} - others
    assert found.keys() == named and not [name for name, value in found.items() if 10 * value > getattr(limits, name)]


def test_foreign_files_are_refused(make_checkpoint, tmp_path):
    foreign = safetensors.torch.save({"weight": torch.zeros(2)}, metadata={"format": "pt"})
    torch.save(make_checkpoint().weights, tmp_path / "weights.pt")
    files = {
        "cut short or is no safetensors": [b"", b"\x00", b"PK\x03\x04" * 10, b"\xff" * 100],
        "not a checkpoint of lstmviz": [foreign, (2).to_bytes(8, "little") + b"{}", bytes(8)],
        "CheckpointError|cut short|not a checkpoint": [
            pickle.dumps(make_checkpoint().step),
            (tmp_path / "weights.pt").read_bytes(),
        ],
    }
    for message, contents in files.items():
        for data in contents:
            with pytest.raises(CheckpointError, match=message):
                loads(data)


def test_unreadable_files_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"none\.safetensors cannot be read: No such file"):
        load(tmp_path / "none.safetensors")
    with pytest.raises(CheckpointError, match="cannot be read: Is a directory"):
        load(tmp_path)


def test_checkpoints_are_shipped():
    assert SHIPPED
    assert sum(path.stat().st_size for path in SHIPPED) <= 20 * 10**6


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: "-".join(path.parts[-2:]))
def test_every_shipped_checkpoint_loads_gives_the_same_bytes_and_has_a_card(path):
    checkpoint = load(path)
    assert dumps(checkpoint) == path.read_bytes()
    own, together = path.with_suffix(".md"), path.parent.with_suffix(".md")  # a line-up has one for all
    assert card(checkpoint) in (own if own.exists() else together).read_text(encoding="utf-8")


def test_a_card_says_how_much_of_a_text_was_unknown_and_warns_where_it_is_too_much(make_checkpoint):
    results = {"valid_nll": 2.0, "test_nll": 2.0, "valid_unknown": 0.116, "test_unknown": 0.116}
    checkpoint = dataclasses.replace(make_checkpoint(), results=results)
    assert loads(dumps(checkpoint)).results == results
    assert r"perplexity 7.39 (char level), 11.6% \<unk\>; the data have no other test part" in card(checkpoint)
    checkpoint = dataclasses.replace(checkpoint, results=results | {"test_nll": 1.0, "test_unknown": UNKNOWN_MOST})
    valid, test = (row for row in card(checkpoint).split("\n") if row.startswith(("| validation", "| test")))
    assert r"11.6% \<unk\> |" in valid
    assert r"30.0% \<unk\>; with 30.0% \<unk\> a perplexity tells little of the rest" in test
    for share, said in ((0, "no <unk>"), (1e-6, "0.1% <unk>"), (1, "100.0% <unk>")):
        assert figures(2.0, checkpoint.vocabulary, share).endswith(f"(char level), {said}")
    old = make_checkpoint()  # of an earlier version, which did not tell
    assert "unknown" not in str(dumps(old)) and dumps(loads(dumps(old))) == dumps(old) and "%" not in card(old)


@pytest.mark.parametrize("task", ["brackets", "agreement", "recall"])
def test_a_shipped_line_up_has_every_cell(task):
    cells = {load(path).model.cell: path.stem for path in SHIPPED if path.parent.match(f"lineups/{task}")}
    assert cells == {name: name for name in CELLS}


def test_nothing_in_a_card_leaves_its_place(make_checkpoint):
    link = "![x](http://a.b/c.png) http://a.b"
    bad = dataclasses.replace(
        make_checkpoint(),
        corpus_sha256=link,
        command="train `\n\n# heading\n" + link,
        hidden_variable={"name": link, "correlations": [[0.1, 0.2, 0.9, 0.3]]},
    )
    rows = card(bad).split("\n")
    assert all(row.startswith("|") and row.endswith("|") for row in rows)
    outside = [row for row in rows if not row.startswith("| command")]
    assert not any(re.search(r"(?<!\\)\]\(|://", row) for row in outside)
