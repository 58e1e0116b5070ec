"""What is asked of a model: the next token, or the label of an image that is read row by row."""

import dataclasses
import gzip
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lstmviz import checkpoint as checkpoints
from lstmviz import cli
from lstmviz.card import card
from lstmviz.cells import CELLS
from lstmviz.checkpoint import CheckpointError, dumps, loads
from lstmviz.config import ModelConfig, TrainConfig
from lstmviz.data.images import as_code, digits, examples, from_code, open_images
from lstmviz.data.vocabulary import Vocabulary
from lstmviz.model import LanguageModel
from lstmviz.opened import prepare
from lstmviz.reading import read_image, row_ids
from lstmviz.tasks import TASKS, fitted_to, open_data
from lstmviz.training.folder import Record, RunConfig
from lstmviz.training.loop import Metrics, Trainer, held_out, judged
from lstmviz.training.probe import Probe
from lstmviz.wire import payload

TRAIN = TrainConfig("digits", task="classify", batch_size=32, learning_rate=3e-2, steps=80, eval_every=40)
LABELS = Vocabulary("label", tuple("0123456789"))


def model_of(cell: str = "lstm", **options) -> LanguageModel:
    torch.manual_seed(0)
    return LanguageModel(ModelConfig(cell, embedding_size=8, hidden_size=12, row_size=8, **options), 10)


# ---- what a checkpoint says of it ------------------------------------------------------------------------------------


def test_a_language_model_is_written_as_before_there_were_tasks(make_checkpoint):
    data = dumps(make_checkpoint())
    assert b"task" not in data and b"row_size" not in data and b"accuracy" not in data
    assert loads(data).train.task == "language" and loads(data).model.row_size is None
    record = Record(**vars(Metrics(1, 0.5, 1.0, 2.0, 2.0, True, 1e-3, 1.0, 10.0)))
    assert b"accuracy" not in record.dumps()


@pytest.mark.parametrize("cell", CELLS)
def test_a_model_of_images_comes_back_whole_in_every_cell(cell, classifier):
    checkpoint = classifier(cell=cell, num_layers=2)
    data = dumps(checkpoint)
    back = loads(data)
    assert dumps(back) == data and back.train.task == "classify" and back.vocabulary == LABELS
    rows = torch.rand(8, 3, 8)
    assert torch.equal(back.build()(rows)[0], checkpoint.build()(rows)[0])
    said = card(back)
    assert "25.00% right" in said and "12.50% right" in said and "rows of 8 pixels" in said and "perplexity" not in said


def test_a_task_that_is_not_known_is_refused_in_a_sentence(classifier):
    data = dumps(classifier()).replace(b"classify", b"classify"[:-1] + b"x")
    with pytest.raises(
        CheckpointError, match="task is 'classifx'; it must be one of language, classify, classify_text, tag"
    ):
        loads(data)


@pytest.mark.parametrize(
    "changes",
    [
        {"train": TrainConfig("digits")},
        {"vocabulary": Vocabulary("word", ("<pad>", "<unk>", "<sos>", "<eos>", *"012345"))},
    ],
)
def test_a_model_that_does_not_fit_its_task_is_refused(changes, classifier):
    with pytest.raises(CheckpointError, match="is not for the task"):
        loads(dumps(dataclasses.replace(classifier(), **changes)))


def test_an_accuracy_is_a_share_and_of_labels(classifier, make_checkpoint):
    for accuracy in (1.5, -0.1, "all"):
        wrong = dataclasses.replace(classifier(), results={"valid_nll": 2.0, "valid_accuracy": accuracy})
        with pytest.raises(CheckpointError, match="figures are malformed"):
            loads(dumps(wrong))
    text = dataclasses.replace(make_checkpoint(), results={"valid_nll": 2.0, "valid_accuracy": 0.5})
    with pytest.raises(CheckpointError, match="figures are malformed"):
        loads(dumps(text))


def test_images_have_no_embedding_to_tie():
    with pytest.raises(ValueError, match="a model of images has no embedding matrix"):
        ModelConfig(embedding_size=12, hidden_size=12, row_size=8, tie_weights=True)


def test_a_command_says_the_task_and_not_what_the_data_decide():
    command = RunConfig(TRAIN, model_of().config).command
    assert "--task classify" in command and "row-size" not in command


# ---- training --------------------------------------------------------------------------------------------------------


def test_every_digit_is_in_one_part_and_all_labels_in_each():
    corpus = digits()
    parts = [corpus.train, corpus.valid, corpus.test]
    assert [len(part) for part in parts] == [1199, 299, 299] and corpus.row_size == 8
    assert all(part[..., -1].unique().tolist() == [*range(10)] for part in parts)
    assert all((part[:, :1, -1] == part[..., -1]).all() for part in parts)  # after each row of an image the same


@pytest.mark.parametrize("cell", ["lstm", "rnn"])
def test_digits_are_learned_row_by_row(cell):
    corpus, model = digits(), model_of(cell)
    before = judged(model, corpus.valid, TRAIN)
    records = [record for record in Trainer(model, corpus, TRAIN) if record]
    after = judged(model, corpus.valid, TRAIN)
    assert before.accuracy < 0.3 and after.accuracy > 0.6 and after.nll < before.nll
    assert (records[-1].valid_nll, records[-1].valid_accuracy) == after
    assert held_out(model, corpus.valid, corpus.vocabulary, TRAIN) == after.nll
    assert records[0].valid_accuracy is None and not records[0].zero_gradients
    assert Record.loads(Record(**vars(records[-1])).dumps()).valid_accuracy == after.accuracy


def test_only_the_last_row_is_judged_and_every_image_counts():
    corpus, model = digits(), model_of().eval()
    images, labels = corpus.valid[..., :-1].float() / 255, corpus.valid[:, 0, -1].long()
    with torch.no_grad():
        scores = torch.cat([model(image[:, None])[0][-1] for image in images])  # one by one, (N, 10)
    expected = F.cross_entropy(scores, labels).item(), (scores.argmax(-1) == labels).float().mean().item()
    assert judged(model, corpus.valid, TRAIN) == pytest.approx(expected, rel=1e-5)


def test_a_training_is_gone_on_with_to_the_bit():
    def trainer() -> Trainer:
        return Trainer(model_of(dropout=0.2, num_layers=2), digits(), TRAIN)

    whole, half = trainer(), trainer()

    def steps(trainer: Trainer, count: int) -> None:
        for _ in range(count):
            trainer.take_step()

    torch.manual_seed(1)  # of dropout
    steps(whole, 40)
    torch.manual_seed(1)
    steps(half, 25)
    saved, rest = half.state_dict(), trainer()
    rest.load_state_dict(saved)
    steps(rest, 15)
    for one, other in zip(whole.model.parameters(), rest.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_the_command_line_trains_and_evaluates_digits(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    train = dataclasses.replace(TRAIN, steps=20, eval_every=10)
    cli.train(Path("runs/d"), train, ModelConfig(hidden_size=8, embedding_size=4))
    said = capsys.readouterr().out
    assert "% right) *" in said and "| test |" in said
    best = Path("runs/d/best.safetensors")
    results = checkpoints.load(best).results
    assert set(results) == {"valid_nll", "valid_accuracy", "test_nll", "test_accuracy"}
    cli.evaluate(best, "digits", "test")
    assert f"(test, 299 images): {results['test_accuracy']:.2%} right" in capsys.readouterr().out
    with pytest.raises(ValueError, match="reads images and no text"):
        cli.trace(best, "a", tmp_path / "trace.csv")
    write_mnist(tmp_path / "small", side=5)
    with pytest.raises(ValueError, match=r"the model reads images of 8 × 8 pixels; small has images of 5 × 5 pixels"):
        cli.evaluate(best, "small")


# ---- files of images -------------------------------------------------------------------------------------------------


def idx(values: np.ndarray) -> bytes:
    sizes = b"".join(size.to_bytes(4, "big") for size in values.shape)
    return bytes([0, 0, 8, values.ndim]) + sizes + values.astype(np.uint8).tobytes()


def write_mnist(folder: Path, side: int = 4, packed: bool = False, **files: bytes) -> Path:
    """Four small idx files; those that are given stand instead of them."""
    folder.mkdir()
    random = np.random.default_rng(0)
    for part, count in (("train", 24), ("t10k", 6)):
        images, labels = random.integers(0, 256, (count, side, side)), np.arange(count) % 3
        for what, values in (("images-idx3", images), ("labels-idx1", labels)):
            data = files.get(f"{part}_{what[:6]}", idx(values))
            name = folder / f"{part}-{what}-ubyte{'.gz' * packed}"
            name.write_bytes(gzip.compress(data) if packed else data)
    return folder


def test_idx_files_are_read_packed_or_not(tmp_path):
    plain, packed = write_mnist(tmp_path / "plain"), write_mnist(tmp_path / "packed", packed=True)
    corpus = open_data(TrainConfig(str(plain), task="classify"))
    assert corpus.vocabulary.tokens == ("0", "1", "2") and corpus.row_size == 4 and corpus.name == "plain"
    assert [len(part) for part in (corpus.train, corpus.valid, corpus.test)] == [22, 2, 6]
    assert corpus.sha256 == open_images(str(packed)).sha256
    assert fitted_to(corpus, ModelConfig()).row_size == 4


IMAGES, BYTES = np.zeros((24, 4, 4)), idx(np.zeros((24, 4, 4)))


@pytest.mark.parametrize(
    ("file", "data", "said"),
    [
        ("train_images", BYTES[:-1], "says that it has 384 values, and holds 383; it is cut short"),
        ("train_images", BYTES + b"\0", "says that it has 384 values, and holds 385"),
        ("train_images", b"", "is no idx file of 3 axes"),
        ("train_images", BYTES[:2] + b"\x0d" + BYTES[3:], "has values of type 0x0d; only bytes"),
        ("train_images", idx(np.zeros((24, 4, 5))), "4 × 5 pixels; they must be square"),
        ("train_images", idx(np.zeros((24, 0, 0))), "0 × 0 pixels; they must be square"),
        ("train_images", idx(np.zeros((24, 200, 200))), "of at most 128"),
        ("train_images", idx(np.zeros((23, 4, 4))), "has 23 images and 24 labels to train"),
        ("train_images", BYTES[:4] + b"\xff" * 4 + BYTES[8:], "is of 4,294,967,295 images"),
        ("t10k_images", idx(np.zeros((6, 5, 5))), "have 4 and 5 rows"),
        ("train_labels", idx(IMAGES), "is no idx file of 1 axes"),
    ],
    ids=lambda given: f"{len(given)} bytes" if isinstance(given, bytes) else None,  # else the test is named by them
)
def test_a_damaged_file_is_refused_in_a_sentence(file, data, said, tmp_path):
    folder = write_mnist(tmp_path / "images", **{file: data})
    with pytest.raises(ValueError, match=re.escape(said)):
        open_images(str(folder))


def test_a_packed_file_is_refused_that_is_damaged_or_unpacks_without_end(tmp_path, monkeypatch):
    folder = write_mnist(tmp_path / "images", packed=True)
    path = folder / "train-images-idx3-ubyte.gz"
    whole = path.read_bytes()
    for data, said in ((whole[:-9], "is cut short"), (b"no gzip", "is no gzip file")):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=said):
            open_images(str(folder))
    path.write_bytes(whole)
    path.write_bytes(gzip.compress(idx(np.zeros((24, 30, 30)))))
    monkeypatch.setattr("lstmviz.data.images.IMAGES_LONG", 10_000)  # of 21,616
    with pytest.raises(ValueError, match="holds more than"):
        open_images(str(folder))


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(ValueError, match="there is no folder at nowhere; name digits, or a folder"):
        open_images("nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="there is no train-images-idx3-ubyte"):
        open_images(str(tmp_path / "empty"))


def test_labels_are_those_that_the_model_knows(tmp_path):
    folder = str(write_mnist(tmp_path / "images"))
    with pytest.raises(ValueError, match="the images have the label 2, which the model does not know; it knows 0, 1"):
        open_images(folder, Vocabulary("label", ("0", "1")))
    turned = open_images(folder, Vocabulary("label", ("2", "1", "0")))
    assert torch.equal(turned.train[..., -1], 2 - open_images(folder).train[..., -1])


def test_permuted_pixels_are_the_same_pixels_in_an_order_that_every_image_shares(classifier):
    plain, other = (open_data(TrainConfig("digits", task="classify", permuted=seed)) for seed in (None, 3))
    assert (other.name, other.sha256) == ("digits permuted", plain.sha256)
    order = np.random.default_rng(3).permutation(64)
    for before, after in zip(
        (plain.train, plain.valid, plain.test), (other.train, other.valid, other.test), strict=True
    ):
        assert torch.equal(before[..., :-1].flatten(1)[:, order], after[..., :-1].flatten(1))
        assert torch.equal(before[..., -1], after[..., -1])
    with pytest.raises(ValueError, match="the task language has no permuted; leave that out"):
        RunConfig(TrainConfig("brackets", permuted=3), ModelConfig())
    # A person draws what they see; the model reads it as it has learned to.
    checkpoint = classifier()
    checkpoint = loads(dumps(dataclasses.replace(checkpoint, train=dataclasses.replace(checkpoint.train, permuted=3))))
    image, rows = plain.test[0, :, :-1].numpy(), other.test[0, :, :-1]
    reading = read_image(prepare(checkpoint), image, 5)
    assert np.array_equal(reading.image, rows.numpy()) and reading.ids == row_ids(rows.numpy())
    with torch.no_grad():
        log_p = checkpoint.build()(rows.float()[:, None] / 255)[0][:, 0].log_softmax(-1)
    assert reading.trace.nll == pytest.approx(-log_p[:, 5].numpy(), abs=1e-6)


# ---- looking inside --------------------------------------------------------------------------------------------------


def test_an_image_is_read_row_by_row(classifier):
    opened = prepare(loads(dumps(classifier())))
    image, label = digits().test[0, :, :-1].numpy(), int(digits().test[0, 0, -1])
    reading = read_image(opened, image, label)
    assert reading.pieces == [f"row {t}" for t in range(1, 9)] and reading.ids == row_ids(image)
    assert {values.shape for values in reading.trace.values()} == {(1, 8, 12)}
    with torch.no_grad():
        log_p = opened.model(torch.tensor(image / 255).float()[:, None])[0][:, 0].log_softmax(-1)  # (8, 10)
    assert reading.trace.nll == pytest.approx(-log_p[:, label].numpy(), abs=1e-6)
    assert np.array_equal(reading.likely[:, 0], log_p.argmax(-1).numpy())
    assert np.isnan(read_image(opened, image).trace.nll).all()  # what is drawn, nobody knows


@pytest.mark.parametrize("image", [np.zeros((28, 28), np.uint8), np.zeros((8, 8)), np.zeros((8, 8, 3), np.uint8)])
def test_an_image_of_another_size_or_depth_is_refused(image, classifier):
    with pytest.raises(ValueError, match="the model reads images of 8 × 8 greys, from 0 to 255"):
        read_image(prepare(classifier()), image)


def test_a_probe_of_an_image_comes_back(classifier):
    checkpoint = classifier()
    probe = Probe.of(checkpoint.build(), digits(), "")
    back = Probe.loads(probe.dumps(), "lstm")
    assert back.is_finite()
    reading = back.reading(prepare(checkpoint))
    assert np.array_equal(reading.image, digits().valid[0, :, :-1].numpy())
    with pytest.raises(ValueError, match="of another model"):
        dataclasses.replace(back, image=None).reading(prepare(checkpoint))


def test_examples_are_enlarged_for_a_model_of_larger_images():
    small = digits().test
    assert np.array_equal(examples(8), small.numpy())
    large = examples(28)
    assert large.shape == (299, 28, 29) and np.array_equal(large[:, 0, -1], small[:, 0, -1].numpy())
    pixels = F.interpolate(small[:, None, :, :-1].float(), size=(20, 20), mode="bicubic")[:, 0]
    expected = ((pixels - 0.3 * 255) * 1.7).clamp(0, 255).numpy()
    assert np.abs(large[:, 4:24, 4:24] - expected).max() < 0.51
    assert not large[:, :4, :-1].any() and large[:, 4:24, 4:24].any()


def test_every_task_says_what_it_is_and_has_data_of_its_own():
    assert [*TASKS] == ["language", "classify", "classify_text", "tag", "caption", "translate", "tree"]
    for name, task in TASKS.items():
        assert task.name == name and task.title and task.built_in
        for data in task.built_in:
            corpus = open_data(TrainConfig(data, task=name))  # pyright: ignore[reportArgumentType]
            task.check(fitted_to(corpus, ModelConfig(next(iter(task.cells)))), corpus.vocabulary, corpus.reads)


def test_an_image_in_a_link_comes_back_and_another_is_refused_in_a_sentence():
    image = digits().test[0, :, :-1].numpy()
    code = as_code(image)
    assert len(code) == 64 and np.abs(from_code(code, 8).astype(int) - image).max() <= 16
    assert as_code(from_code(code, 8)) == code
    for wrong, said in (
        ("0" * 784, "it has 28 × 28 pixels; the model reads images of 8 × 8"),
        ("0" * 63, "it has 63 pixels, which make no square"),
        ("g" * 64, "it is no image: a pixel is one of 0 to 9 and a to f"),
        ("", "it is no image"),
    ):
        with pytest.raises(ValueError, match=said):
            from_code(wrong, 8)


def test_what_the_browser_draws_of_an_image(classifier):
    opened, label = prepare(classifier()), 7
    image = digits().test[0, :, :-1].numpy()
    view = {"layers": [0], "roles": [], "order": "index", "selection": {"time": 7, "unit": 0, "layer": 0}}

    def header(shows: int | None) -> dict:
        message = payload(opened, read_image(opened, image, shows), **view)
        return json.loads(message[4 : 4 + int.from_bytes(message[:4], "little")])

    seen, of_drawing = header(label), header(None)
    with torch.no_grad():
        p = opened.model(torch.tensor(image / 255).float()[:, None])[0][:, 0].softmax(-1).numpy()  # (8, 10)
    assert seen["top"]["tokens"] == [[*"0123456789"]] * 8  # each in its own place
    np.testing.assert_allclose(seen["top"]["probabilities"], p, atol=1e-4)
    assert set(seen["top"]["typed"].values()) == {None}
    assert seen["answer"]["known"] and seen["answer"]["labels"] == ["7"] * 8
    np.testing.assert_allclose(seen["answer"]["probability"], p[:, 7], atol=1e-4)
    last = int(p[-1].argmax())
    assert not of_drawing["answer"]["known"] and of_drawing["answer"]["labels"] == [f"{last}"] * 8
    np.testing.assert_allclose(of_drawing["answer"]["probability"], p[:, last], atol=1e-4)
    assert (seen["image"], seen["noun"], seen["column"]) == (as_code(image), "row", "row")
    assert seen["title"].endswith("12 units · 12.5% right in validation")
