"""What is known of every field: its range, its help, how it is asked for."""

import dataclasses
import inspect
import math
import reprlib

import pytest

from lstmviz.config import ModelConfig, Option, TrainConfig, options_of

FIELDS = [
    pytest.param(config, name, default, known, id=name)
    for config in (ModelConfig, TrainConfig)
    for name, (default, known) in options_of(config).items()
]
every_field = pytest.mark.parametrize(("config", "name", "default", "known"), FIELDS)


def made(config: type, **changes: object):
    others = {"corpus": "brackets"} if config is TrainConfig else {"embedding_size": ModelConfig.hidden_size}
    return config(**others | changes)


@every_field
@pytest.mark.parametrize("value", [object(), [], math.nan, -(10**400), b"", "nonsense", True, 1.5, 10**400, None])
def test_every_field_takes_what_is_in_its_range_and_names_itself_value_and_range_of_the_rest(
    config, name, default, known: Option, value
):
    if known.range.holds(value) or (value is None and default is None):
        assert getattr(made(config, **{name: value}), name) == value
        return
    with pytest.raises(ValueError) as error:
        made(config, **{name: value})
    none = ", or none" if default is None else ""
    assert str(error.value) == f"{name} is {reprlib.repr(value)}; it must be {known.range.said}{none}"


@every_field
def test_the_ends_of_a_range_are_in_it_and_what_lies_beyond_is_not(config, name, default, known: Option):
    low, high = known.range.low, known.range.high
    assert low is None or (known.range.holds(low) and not known.range.holds(low - 1))
    assert high is None or (known.range.holds(high) and not known.range.holds(high + 1))


@every_field
def test_the_page_begins_within_what_it_offers_and_offers_nothing_that_is_refused(config, name, default, known: Option):
    if (entry := known.entry) is None or type(default) is bool:
        return
    low = known.range.low if entry.low is None else entry.low
    high = known.range.high if entry.high is None else entry.high
    begin = default if entry.begin is None else entry.begin
    assert low <= begin <= high
    assert all(known.range.holds(value) and type(value) is type(begin) for value in (low, begin, high))


@every_field
def test_help_is_said_once_and_the_docstring_has_it(config, name, default, known: Option):
    assert known.help[0] != " " and known.help.endswith(".")
    assert f"    {name}: {known.help}\n" in inspect.getdoc(config)


def test_a_configuration_can_be_changed_and_is_checked_again():
    assert dataclasses.replace(ModelConfig(), hidden_size=3) == ModelConfig(hidden_size=3)
    with pytest.raises(ValueError, match="hidden_size is 0"):
        dataclasses.replace(ModelConfig(), hidden_size=0)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"cell": "gpt"}, "cell is 'gpt'; it must be one of rnn, lstm"),
        ({"hidden_size": 4.0}, "hidden_size is 4.0"),
        ({"hidden_size": True}, "hidden_size is True"),
        ({"num_layers": 65}, "from 1 to 20"),
        ({"embedding_size": 10**9}, "embedding_size is 1000000000"),
        ({"dropout": 1.0}, "dropout is 1.0; it must be at least 0 and below 1"),
        ({"dropout": float("nan")}, "dropout is nan"),
        ({"tie_weights": 1}, "tie_weights is 1"),
        ({"tie_weights": True, "embedding_size": 3}, "they are 3 and 128"),
        ({"adaptive_softmax": 1}, "adaptive_softmax is 1; it must be true or false"),
        ({"forget_bias": math.nan}, "forget_bias is nan; it must be a number from -100 to 100"),
        ({"chrono": 2}, "chrono is 2; it must be a whole number from 3"),
        ({"chrono": 9, "forget_bias": 1.0}, "leave one of them out"),
        ({"forget_bias": 1.0, "cell": "rnn"}, "a gate that rnn does not have"),
        ({"adaptive_softmax": True, "tie_weights": True, "embedding_size": 128}, "leave it or tie_weights out"),
    ],
)
def test_a_model_of_bad_values_says_so(options, field):
    with pytest.raises(ValueError, match=field):
        ModelConfig(**options)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bptt": 0}, "bptt is 0; it must be a whole number from 1 to"),
        ({"steps": 1.5}, "steps is 1.5"),
        ({"max_words": 0}, "max_words is 0"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0; it must be a number above 0"),
        ({"clip_norm": float("inf")}, "clip_norm is inf"),
        ({"schedule": "linear"}, "schedule is 'linear'; it must be constant, cosine or plateau"),
        ({"level": "byte"}, "level is 'byte'"),
        ({"bfloat16": 1}, "bfloat16 is 1"),
    ],
)
def test_a_training_of_bad_values_says_so(changes, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig(corpus="brackets", **changes)
