"""The language model."""

import math

import pytest
import torch

from lstmviz.cells import CELLS
from lstmviz.model import LanguageModel, ModelConfig, parameter_count, perplexity

TOKENS = torch.arange(12).view(6, 2) % 9  # (T, B)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"cell": "gpt"}, "cell is 'gpt'; it must be one of rnn, lstm"),
        ({"vocab_size": 0}, "vocab_size is 0; it must be a whole number from 1"),
        ({"hidden_size": 4.0}, "hidden_size is 4.0"),
        ({"hidden_size": True}, "hidden_size is True"),
        ({"num_layers": 65}, "from 1 to 64"),
        ({"embedding_size": 10**9}, "embedding_size is 1000000000"),
        ({"dropout": 1.0}, "dropout is 1.0; it must be at least 0 and below 1"),
        ({"dropout": float("nan")}, "dropout is nan"),
        ({"tie_weights": 1}, "tie_weights is 1"),
        ({"tie_weights": True, "embedding_size": 3}, "they are 3 and 128"),
    ],
)
def test_a_bad_value_names_field_value_and_range(options, field):
    with pytest.raises(ValueError, match=field):
        ModelConfig(**{"vocab_size": 9, **options})


@pytest.mark.parametrize("cell", CELLS)
def test_recording_gives_the_logits_and_states_of_forward(cell):
    model = LanguageModel(ModelConfig(9, cell, 3, 4, num_layers=2, dropout=0.5)).eval()
    logits, last = model(TOKENS)
    recorded, records = model.record(TOKENS)
    assert logits.shape == (6, 2, 9)
    torch.testing.assert_close(recorded, logits, atol=1e-6, rtol=0)
    for layer, record in enumerate(records):
        assert tuple(record) == (*CELLS[cell].gates, *CELLS[cell].states)
        assert all(values.shape == (6, 2, 4) for values in record.values())
        for name, value in last[layer].items():
            torch.testing.assert_close(record[name][-1], value, atol=1e-6, rtol=0)


def test_state_carried_over_windows_equals_the_whole():
    model = LanguageModel(ModelConfig(9, "lstm", 3, 4, num_layers=2)).eval()
    whole, _ = model(TOKENS)
    first, state = model(TOKENS[:2])
    second, _ = model(TOKENS[2:], state)
    torch.testing.assert_close(torch.cat([first, second]), whole, atol=1e-6, rtol=0)


def test_dropout_acts_only_while_training():
    model = LanguageModel(ModelConfig(9, "gru", 3, 4, dropout=0.5))
    assert not torch.equal(model(TOKENS)[0], model(TOKENS)[0])
    model.eval()
    assert torch.equal(model(TOKENS)[0], model(TOKENS)[0])


def test_tied_weights_are_one_matrix():
    config = ModelConfig(9, "lstm", 4, 4, tie_weights=True)
    model = LanguageModel(config)
    assert model.decoder.weight is model.embedding.weight
    assert parameter_count(config) == 9 * 4 + (4 * 4 * 8 + 8 * 4) + 9


def test_a_huge_model_is_counted_without_being_allocated():
    config = ModelConfig(1_000_000, "lstm", 65_536, 65_536, num_layers=64)
    assert parameter_count(config) > 2 * 10**12


def test_perplexity_never_overflows():
    assert perplexity(0) == 1
    assert perplexity(math.log(50)) == pytest.approx(50)
    assert perplexity(1e6) == math.inf
