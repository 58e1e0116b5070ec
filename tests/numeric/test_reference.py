"""The model in numpy: what its equations give is what the torch model gives."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lstmviz.cells import CELLS
from lstmviz.checkpoint import Checkpoint, load
from lstmviz.reference import Reference, runs

SHIPPED = Path(__file__).parents[2] / "checkpoints"


def assert_alike(checkpoint: Checkpoint, inputs: np.ndarray) -> None:
    model, reference = checkpoint.build(), Reference(checkpoint.model, checkpoint.weights)
    expected, records = model.record(torch.from_numpy(inputs))
    hidden, found, states = reference.record(inputs)
    for ours, theirs in zip(found, records, strict=True):
        assert ours.keys() == theirs.keys()
        for role, values in theirs.items():
            np.testing.assert_allclose(ours[role], values, atol=1e-5, rtol=1e-5, err_msg=role)
    with torch.no_grad():
        scores = model.decode(expected).log_softmax(-1)
    np.testing.assert_allclose(reference.scores(hidden), scores, atol=1e-5, rtol=1e-5)
    begun = reference.record(inputs[:3])[2]
    _, rest, after = reference.record(inputs[3:], begun)
    for layer in range(len(found)):
        assert all(np.allclose(rest[layer][role], found[layer][role][3:], atol=1e-6) for role in found[layer])
        assert all(np.allclose(after[layer][role], states[layer][role], atol=1e-6) for role in states[layer])


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_is_run_as_torch_runs_it(cell, make_checkpoint):
    checkpoint = make_checkpoint(cell=cell, num_layers=2, hidden_size=5)
    wild = {name: 2 * weight for name, weight in checkpoint.weights.items()}  # so that gates open and shut
    tokens = np.random.default_rng(0).integers(0, len(checkpoint.vocabulary), (9, 4))
    assert_alike(replace(checkpoint, weights=wild), tokens)


def test_so_are_images_and_what_is_shipped(classifier):
    assert_alike(classifier(num_layers=2), np.random.default_rng(0).random((8, 3, 8), np.float32))
    assert_alike(load(SHIPPED / "wikitext2-word-lstm.safetensors"), np.arange(2_040)[::-5][:12, None].copy())
    assert_alike(load(SHIPPED / "tag" / "between-lstm.safetensors"), np.arange(7)[:, None])


def test_a_model_writes_what_is_likely_and_always_the_same(make_checkpoint):
    checkpoint = make_checkpoint()
    reference, size = Reference(checkpoint.model, checkpoint.weights), len(checkpoint.vocabulary)
    written = reference.write(4, 2_000)
    assert written == reference.write(4, 2_000) and written[0] == 4 and min(written) >= 3
    hidden, _, _ = reference.record(np.array(written)[:-1, None])
    p = np.exp(reference.scores(hidden[:, 0]))  # (T, V)
    p[:, :3] = 0
    expected, found = (p / p.sum(1, keepdims=True)).sum(0), np.bincount(written[1:], minlength=size)
    assert np.abs(found - expected).max() < 5 * np.sqrt(2_000 / 4)
    broken = {**checkpoint.weights, "decoder.bias": np.full(size, np.nan, np.float32)}
    with pytest.raises(FloatingPointError, match="not finite numbers"):
        Reference(checkpoint.model, broken).write(4, 1)


@pytest.mark.parametrize(
    "options",
    [{"bidirectional": True, "tokens_read": 5}, {"tokens_read": 5, "cell": "nary"}, {"cell": "rnn", "window": 3}],
)
def test_what_it_cannot_run_it_says(options, make_checkpoint):
    config = make_checkpoint().model
    assert runs(config) and not runs(replace(config, num_layers=1, **options))
