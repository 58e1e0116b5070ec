"""What would be if a gate were held: of every cell as its equations say, and as a loop written by hand."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from lstmviz import ablate, force, load, trace_sentence
from lstmviz.cells import CELLS, cell_called
from lstmviz.explain.forcing import held_by

ROOT = Path(__file__).parents[2]
TEXT = "abc ab"


@pytest.mark.proof("forcing")
@pytest.mark.parametrize("name", CELLS)
def test_a_value_of_its_own_changes_nothing_and_another_does(name: str, make_checkpoint: Callable) -> None:
    checkpoint = make_checkpoint(cell=name, num_layers=2)
    model, vocabulary, cell = checkpoint.build(), checkpoint.vocabulary, cell_called(name)
    plain = trace_sentence(model, vocabulary, TEXT)
    for role in cell.symbols:
        hold = {"op": "hold", "role": role, "layer": 1, "from": 1, "to": 3, "value": None}
        own = force(model, vocabulary, TEXT, []).before[role][1, 1:4]
        found = force(model, vocabulary, TEXT, [hold | {"value": own}])
        for kept in found.before:  # bit for bit
            np.testing.assert_array_equal(found.after[kept], found.before[kept])
            np.testing.assert_allclose(found.before[kept], plain[kept], atol=1e-5)
        np.testing.assert_array_equal(found.after.nll, found.before.nll)
        forced = force(model, vocabulary, TEXT, [hold | {"units": [0], "value": 0.75}])
        assert (forced.after[role][1, 1:4, 0] == 0.75).all()
        assert (forced.change[1:2] == 0).all()  # before the first token that is held
        # By the cell's own equations, a step at a time.
        layer = model.layers[1]
        before = {key: torch.from_numpy(forced.after[key][1, 1:2]) for key in cell.states}
        x = torch.from_numpy(forced.after.hidden[0, 2:3])
        value = torch.from_numpy(forced.after[role][1, 2:3])
        wanted = layer.by_equations(x, before, {cell.symbols[role]: value})
        for key, symbol in cell.symbols.items():
            values = np.broadcast_to(torch.as_tensor(wanted[symbol]).detach(), forced.after[key][1, 2:3].shape)
            np.testing.assert_allclose(forced.after[key][1, 2:3], values, atol=1e-5)
    for state in cell.states:
        found = force(model, vocabulary, TEXT, [{"op": "scale", "role": state, "value": 1}])
        np.testing.assert_array_equal(found.after.nll, found.before.nll)
    # One unit's memory cut in turn is that unit's memory scaled by 0.
    for layer in (0, 1):
        changes, ends = ablate(model, vocabulary, TEXT, layer=layer), ablate(model, vocabulary, TEXT, -2, layer=layer)
        for unit in (0, 3):
            cut = {"op": "scale", "role": held_by(cell), "layer": layer, "units": [unit], "value": 0}
            change = force(model, vocabulary, TEXT, [cut]).change
            assert changes[unit] == pytest.approx(np.nanmean(change), abs=1e-6)
            assert ends[unit] == pytest.approx(change[-2], abs=1e-6)


def test_a_forced_lstm_is_a_loop_written_by_hand() -> None:
    checkpoint = load(ROOT / "checkpoints/brackets.safetensors")
    text, weights = "((x)x)(x)", checkpoint.weights
    ids = checkpoint.vocabulary.encode(text)
    interventions = [
        {"op": "hold", "role": "forget_gate", "units": [9, 2], "from": 2, "to": 5, "value": 0.25},
        {"op": "scale", "role": "cell", "units": [4], "from": 3, "to": None, "value": -2},
        {"op": "cut", "at": 6},
        {"op": "token", "at": 4, "token": "("},
    ]
    found = force(checkpoint.build(), checkpoint.vocabulary, text, interventions)
    ids[4] = checkpoint.vocabulary.ids["("]
    W, U = weights["layers.0.native.weight_ih_l0"], weights["layers.0.native.weight_hh_l0"]
    b = weights["layers.0.native.bias_ih_l0"] + weights["layers.0.native.bias_hh_l0"]
    h, c = np.zeros(16), np.zeros(16)
    for time, i in enumerate(ids):
        if time == 6:
            h, c = np.zeros(16), np.zeros(16)
        if time >= 3:
            c[4] *= -2
        a_i, a_f, a_g, a_o = np.split(W @ weights["embedding.weight"][i] + U @ h + b, 4)
        gate_i, f, o = (1 / (1 + np.exp(-a)) for a in (a_i, a_f, a_o))
        if 2 <= time <= 5:
            f[[9, 2]] = 0.25
        c = f * c + gate_i * np.tanh(a_g)
        h = o * np.tanh(c)
        np.testing.assert_allclose(found.after.hidden[0, time], h, atol=1e-5)
        scores = weights["decoder.weight"] @ h + weights["decoder.bias"]
        if time + 1 < len(ids):
            nll = np.log(np.exp(scores).sum()) - scores[ids[time + 1]]
            assert found.after.nll[time + 1] == pytest.approx(nll, abs=1e-4)
    assert found.after.tokens[4] == "("


def test_without_its_memory_the_depth_unit_of_brackets_no_longer_knows_that_one_is_still_open() -> None:
    checkpoint = load(ROOT / "checkpoints/brackets.safetensors")
    model, vocabulary, text = checkpoint.build(), checkpoint.vocabulary, "\n(xxx((x)x))\n"
    shut = {"op": "hold", "role": "forget_gate", "units": [9], "value": 0}
    found = force(model, vocabulary, text, [shut])
    last = text.rindex(")")  # where without it the sentence seems to be over
    assert found.before.nll[last] < 1.6 and found.after.nll[last] > 4.5
    assert np.nanmean(found.change) > 0.2
    another = force(model, vocabulary, text, [shut | {"units": [0]}])
    assert np.nanmax(another.change) < 0.3


def test_what_there_is_not_is_named(make_checkpoint: Callable, classifier: Callable) -> None:
    checkpoint = make_checkpoint(num_layers=1)
    model, vocabulary = checkpoint.build(), checkpoint.vocabulary
    hold = {"op": "hold", "role": "forget_gate", "value": 0}
    for bad, said in (
        (hold | {"role": "reset_gate"}, "lstm has no gate or state reset_gate; it has input_gate, forget_gate"),
        (hold | {"units": [4]}, "there is no unit 4; it is 0 to 3"),
        (hold | {"units": ["x"]}, "a unit is told by its number, not by 'x'"),
        (hold | {"units": 3}, "units are a list of their numbers, or None for all, not 3"),
        (hold | {"role": ["forget_gate"]}, r"lstm has no gate or state \['forget_gate'\]"),
        (hold | {"layer": 1}, "there is no layer 1; it is 0 to 0"),
        (hold | {"from": 6}, "there is no token 6; it is 0 to 5"),
        (hold | {"from": 3, "to": 2}, "hold ends at token 2, before it begins, at 3"),
        (hold | {"value": float("nan")}, "hold needs a finite number as its value, or an array of such, not nan"),
        (hold | {"value": 1e300}, "hold needs a finite number as its value, or an array of such, not 1e"),
        (hold | {"value": "much"}, "hold needs a finite number as its value, or an array of such, not 'much'"),
        (hold | {"value": [0, 1]}, r"an array of values must be of shape \(6, 4\), a row a step, not \(2,\)"),
        (hold | {"when": 3}, "hold knows no when"),
        ({"op": "hold", "role": "cell"}, "hold must say its value"),
        ({"op": "scale", "role": "forget_gate", "value": 0}, "only a state is found by the next step, not forget_gate"),
        ({"op": "cut", "at": 9}, "there is no token 9"),
        ({"op": "token", "at": 0, "token": "z"}, "this model does not know the token 'z'"),
        ({"op": "token", "at": 0, "token": ["a"]}, r"this model does not know the token \['a'\]"),
        ({"op": "melt"}, "an intervention is a dict whose op is one of hold, scale, cut, token, not {'op': 'melt'}"),
        ("cut", "an intervention is a dict whose op is one of hold, scale, cut, token, not 'cut'"),
    ):
        with pytest.raises(ValueError, match=said):
            force(model, vocabulary, TEXT, [bad])
    with pytest.raises(ValueError, match="a text must have at least one token"):
        force(model, vocabulary, "", [hold])
    with pytest.raises(ValueError, match="the text must have at least 2 tokens"):
        ablate(model, vocabulary, "a")
    with pytest.raises(ValueError, match="there is no token 6"):
        ablate(model, vocabulary, TEXT, 6)
    with pytest.raises(ValueError, match="nothing can be held in this model: it reads images"):
        force(classifier().build(), vocabulary, TEXT, [hold])
    assert np.isnan(force(model, vocabulary, "a", [hold]).change).tolist() == [True]
