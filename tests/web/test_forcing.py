"""Interventions in the page: what would be if a gate were held, against loops written by hand."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page

from lstmviz import load
from lstmviz.cells import CELLS, cell_called
from lstmviz.checkpoint import Checkpoint
from lstmviz.home import SHIPPED
from lstmviz.opened import OpenModel, prepare
from tests.web.test_engine import sent, wild

# What a model does with a text under lists of interventions, one after the other, in one reading.
FORCED = """async ([live, weights, text, lists]) => {
  const { Opened, Reading } = await import("/reading.js"), { ForcedReading } = await import("/forcing.js");
  const bytes = await (await fetch(`data:;base64,${weights}`)).arrayBuffer();
  const plain = new Reading(new Opened(live, new Float32Array(bytes)));
  plain.toText(text);
  const forced = new ForcedReading(plain);
  const told = (reading) => ({
    values: live.tracks.map((_, k) =>
      Object.fromEntries(Object.keys(live.symbols).map((role) => [role, [...reading.trace.values(k, role)]]))),
    nll: reading.nll.map((nll) => nll || null), likely: [...reading.likely], signs: reading.signs,
  });
  return [told(plain), ...lists.map((list) => {
    forced.force(list);
    if (!forced.follow()) throw new Error("not all was read");
    return told(forced);
  })];
}"""
RANKED = """async ([live, weights, text, layer, time]) => {
  const { Opened, Reading } = await import("/reading.js"), { ablated } = await import("/forcing.js");
  const bytes = await (await fetch(`data:;base64,${weights}`)).arrayBuffer();
  const reading = new Reading(new Opened(live, new Float32Array(bytes)));
  reading.toText(text);
  return [...ablated(reading, layer, time)].filter(Boolean);
}"""
TEXT = "ab caab cb"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model writes little when it is opened: what it wrote is not looked at here."""
    monkeypatch.setattr("lstmviz.opened.written_at_most", lambda model: 16)


@pytest.fixture
def force(shared_page: Page) -> Callable[..., Any]:
    def force(opened: OpenModel, text: str, *lists: list[dict[str, Any]]) -> Any:
        return shared_page.evaluate(FORCED, [*sent(opened), text, lists])

    return force


def hold(
    role: str, value: float, units: list[int] | None = None, layer: int = 0, start: int = 0, end: int | None = None
):
    return {"op": "hold", "role": role, "layer": layer, "units": units, "from": start, "to": end, "value": value}


def scale(role: str, value: float, units: list[int] | None = None, start: int = 0, end: int | None = None):
    return {**hold(role, value, units, 0, start, end), "op": "scale"}


def numbers(told: Any, role: str, layer: int = 0) -> np.ndarray:
    """(T, H)"""
    return np.array(told["values"][layer][role]).reshape(len(told["signs"]), -1)


@pytest.mark.proof("held, page")
@pytest.mark.parametrize("name", CELLS)
def test_a_gate_held_at_its_own_values_changes_nothing_to_the_bit(name: str, make_checkpoint, force) -> None:
    opened = prepare(wild(make_checkpoint(cell=name, num_layers=2, hidden_size=3)))
    plain, nothing = force(opened, TEXT, [])
    assert plain == nothing
    every = [
        hold(role, value, [unit], layer, time, time)
        for layer in (0, 1)
        for role in plain["values"][layer]
        for time, units in enumerate(numbers(plain, role, layer).tolist())
        for unit, value in enumerate(units)
    ]
    own, one, again = force(opened, TEXT, every, [hold("hidden", 0.5, [1], 1, 4)], [])[1:]
    assert own == plain == again
    for role in plain["values"][0]:
        assert (numbers(one, role, 0) == numbers(plain, role, 0)).all()
        assert (numbers(one, role, 1)[:4] == numbers(plain, role, 1)[:4]).all()
    assert (numbers(one, "hidden", 1)[4:, 1] == 0.5).all()
    assert one["nll"][:5] == plain["nll"][:5] and one["nll"][5] != plain["nll"][5]


def sigmoid(a: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-a))


def by_hand(checkpoint: Checkpoint, ids: list[int], change: Callable[..., None]) -> dict[str, np.ndarray]:
    """An LSTM or GRU of one layer, in float64; ``change(t, name, values)`` may change what was made or found."""
    weights = {name: values.astype(float) for name, values in checkpoint.weights.items()}
    W, U, b, b_h = (weights[f"layers.0.native.{name}_l0"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    found: dict[str, list[np.ndarray]] = {}
    h, c = np.zeros((2, checkpoint.model.hidden_size))

    def made(t: int, name: str, values: np.ndarray) -> np.ndarray:
        values = values.copy()
        change(t, name, values)
        if not name.endswith("'"):
            found.setdefault(name, []).append(values)
        return values

    for t, x in enumerate(weights["embedding.weight"][ids]):
        h, c = made(t, "h'", h), made(t, "c'", c)
        of_x, of_h = W @ x + b, U @ h + b_h
        if checkpoint.model.cell == "lstm":
            i, f, g, o = np.split(of_x + of_h, 4)
            i, f, o = (made(t, name, sigmoid(a)) for name, a in {"i": i, "f": f, "o": o}.items())
            g = made(t, "g", np.tanh(g))
            c = made(t, "c", f * c + i * g)
            h = made(t, "h", o * np.tanh(c))
        else:
            (r, z, n), (r_h, z_h, n_h) = np.split(of_x, 3), np.split(of_h, 3)
            r, z = made(t, "r", sigmoid(r + r_h)), made(t, "z", sigmoid(z + z_h))
            n = made(t, "n", np.tanh(n + r * n_h))
            h = made(t, "h", (1 - z) * n + z * h)
    return {name: np.array(values) for name, values in found.items()}


@pytest.mark.parametrize("cell, gates, state", [("lstm", "fo", "c"), ("gru", "zr", "h")])
def test_forcing_is_what_a_loop_written_by_hand_does(cell: str, gates: str, state: str, make_checkpoint, force) -> None:
    """Held, some units and all, to an end and to none; scaled; cut; all of them stacked."""
    checkpoint = wild(make_checkpoint(cell=cell, hidden_size=4))
    opened, symbols = prepare(checkpoint), cell_called(cell).symbols
    one, other, memory = (next(name for name in symbols if symbols[name] == each) for each in (*gates, state))
    lists = [
        [],
        [hold(one, 0.25, [1, 3], start=2, end=5)],
        [hold(other, 1, start=3)],
        [hold(memory, -0.5, [0], start=4, end=4)],
        [scale(memory, 0.5, [2], start=1, end=6)],
        [{"op": "cut", "at": 4}],
    ]
    lists.append([change for each in lists for change in each])

    def changes(stacked: list[dict[str, Any]]) -> Callable[..., None]:
        def change(t: int, name: str, values: np.ndarray) -> None:
            for each in stacked:
                if each["op"] == "cut":
                    if t == each["at"] and name.endswith("'"):
                        values[:] = 0
                    continue
                asked = symbols[each["role"]] + ("'" if each["op"] == "scale" else "")
                end = np.inf if each["to"] is None else each["to"]
                if name == asked and each["from"] <= t <= end:
                    units = slice(None) if each["units"] is None else each["units"]
                    values[units] = each["value"] if each["op"] == "hold" else values[units] * each["value"]

        return change

    ids = checkpoint.vocabulary.encode(TEXT)
    for told, stacked in zip(force(opened, TEXT, *lists)[1:], lists, strict=True):
        expected = by_hand(checkpoint, ids, changes(stacked))
        for role, symbol in symbols.items():
            np.testing.assert_allclose(numbers(told, role), expected[symbol], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("cell", ["lstm", "slstm", "fgr"])
def test_behind_a_cut_a_text_is_read_from_a_fresh_state(cell: str, make_checkpoint, force) -> None:
    opened = prepare(wild(make_checkpoint(cell=cell, num_layers=2)))
    plain, cut = force(opened, TEXT, [{"op": "cut", "at": 4}])
    (tail,) = force(opened, TEXT[4:])
    for layer in (0, 1):
        for role in plain["values"][layer]:
            assert (numbers(cut, role, layer)[:4] == numbers(plain, role, layer)[:4]).all()
            assert (numbers(cut, role, layer)[4:] == numbers(tail, role, layer)).all()
    assert cut["nll"][5:] == tail["nll"][1:]


def test_another_token_is_read_in_its_place_and_what_is_not_there_is_passed_over(make_checkpoint, force) -> None:
    opened = prepare(wild(make_checkpoint()))
    plain, other, back, gone = force(
        opened,
        TEXT,
        [{"op": "token", "at": 3, "token": "b"}],
        [],
        [
            {"op": "token", "at": 99, "token": "b"},
            hold("update_gate", 0),
            hold("cell", 0, [7]),
            hold("cell", 0, layer=3),
            {"op": "cut", "at": 50},
        ],
    )
    (instead,) = force(opened, TEXT[:3] + "b" + TEXT[4:])
    assert other == instead
    assert plain == back == gone


def test_without_its_forget_gate_the_unit_of_depth_no_longer_closes_brackets(force) -> None:
    opened = prepare(load(SHIPPED / "checkpoints/brackets.safetensors"))
    text = "((x)(x(x)))⏎"  # the end of the line comes when all are closed
    plain, shut = force(opened, text, [hold("forget_gate", 0, [9])])
    assert plain["signs"][-2:] == [")", "⏎"]
    assert shut["nll"][-2] > plain["nll"][-2] + 2  # nats: the last bracket to be closed comes as a surprise


@pytest.mark.proof("forced, page")
@pytest.mark.parametrize("name", CELLS)
def test_the_page_and_python_force_every_cell_alike(name: str, make_checkpoint, force) -> None:
    python_force = pytest.importorskip("lstmviz.explain.forcing").force
    checkpoint = wild(make_checkpoint(cell=name, num_layers=2, hidden_size=3))
    opened, cell = prepare(checkpoint), cell_called(name)
    lists: list[list[dict[str, Any]]] = [
        *([hold(role, 0.4, [0, 1], layer=k % 2, start=2, end=6)] for k, role in enumerate(cell.symbols)),
        *([scale(role, -0.5, [1], start=3)] for role in cell.states),
        [{"op": "cut", "at": 5}, {"op": "token", "at": 3, "token": "b"}],
    ]
    lists.append([change for each in lists for change in each])
    ids = checkpoint.vocabulary.encode(TEXT)
    for told, stacked in zip(force(opened, TEXT, *lists)[1:], lists, strict=True):
        after = python_force(opened.model, checkpoint.vocabulary, ids, stacked).after
        for role in cell.symbols:
            for layer in (0, 1):
                np.testing.assert_allclose(numbers(told, role, layer), after[role][layer], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(np.array(told["nll"][1:], float), after.nll[1:], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("cell", ["lstm", "gru", "slstm"])
def test_the_page_and_python_rank_units_alike(cell: str, make_checkpoint, shared_page: Page) -> None:
    ablate = pytest.importorskip("lstmviz.explain.forcing").ablate
    checkpoint = wild(make_checkpoint(cell=cell, num_layers=2, hidden_size=3))
    opened = prepare(checkpoint)
    for at, layer in ((None, 0), (6, 1)):
        found = shared_page.evaluate(RANKED, [*sent(opened), TEXT, layer, at])
        assert [each["unit"] for each in found] == [0, 1, 2]
        expected = ablate(opened.model, checkpoint.vocabulary, checkpoint.vocabulary.encode(TEXT), at, layer=layer)
        np.testing.assert_allclose([each["by"] for each in found], expected, rtol=1e-4, atol=1e-5)
