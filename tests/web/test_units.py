"""Which units are shown is chosen in the page as on the server."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page

from lstmviz import checkpoint as checkpoints
from lstmviz.opened import OpenModel, prepare
from lstmviz.reading import ORDERS, TELLING, Reading, read, telling_units, unit_order
from lstmviz.units import around, drawn_roles, kind_of, looked_at

CHECKPOINTS = Path(__file__).parents[2] / "checkpoints"
LENGTHS = 8, 9, 17, 33, 65, 120
CHOOSE = """async (asked) => {
  const { unitOrder, tellingUnits } = await import("/units.js"), [orders, all] = JSON.parse(asked);
  return all.map(({ live, together, pieces, values, held }) => {
    const trace = { values: (_, role) => Float32Array.from(values[role]), held: () => Float32Array.from(held) };
    const opened = { live, together: [Float32Array.from(together)] };
    const reading = { count: pieces.length, pieces, chosen: new Map(), opened, trace };
    return [tellingUnits(reading, 0), ...orders.map((order) => unitOrder(reading, 0, order))];
  });
}"""


@cache
def opened(name: str) -> OpenModel:
    return prepare(checkpoints.load(CHECKPOINTS / f"{name}.safetensors"))


def as_the_page_has_it(model: OpenModel, seen: Reading, track: int) -> dict[str, Any]:
    """Of a `Reading` of web/reading.js what units.js reads, with the values that Python's has."""
    usual, scales, roles = (
        model.usual[track],
        model.scales[track],
        drawn_roles(model.checkpoint.model.cell, model.scales[track]),
    )
    return {
        "live": {
            "size": len(usual.worth),
            "usual": [{"worth": usual.worth.tolist(), "few": usual.few.tolist()}],
            "usual_roles": roles,
            "always": bool(model.checkpoint.hidden_variable),
            "scales": [scales],
            "similar": [model.similar[track].tolist()],
        },
        "together": usual.together.ravel().tolist(),
        "pieces": seen.pieces,
        "values": {role: seen.tracks[role][track].ravel().tolist() for role in roles},
        "held": seen.held[track].ravel().tolist(),
    }


@pytest.mark.parametrize("name", ["shakespeare-char-lstm", "shakespeare-char-gru-128", "lineups/recall/rnn"])
def test_the_same_units_are_shown_in_the_same_order(name: str, shared_page: Page) -> None:
    model = opened(name)
    vocabulary, asked, expected = model.checkpoint.vocabulary, [], []
    for length in LENGTHS:
        ids = vocabulary.encode(4 * model.written)[:length]
        seen = read(model, vocabulary.decode(ids))
        assert seen is not None
        for track in range(len(model.tracks)):
            asked.append(as_the_page_has_it(model, seen, track))
            orders = (unit_order(model, seen, track, order).tolist() for order in (TELLING, *ORDERS))
            expected.append([[*telling_units(model, seen, track)], *orders])
    assert shared_page.evaluate(CHOOSE, json.dumps([(TELLING, *ORDERS), asked])) == expected


def test_rows_and_kinds_are_told_alike_in_both_languages(shared_page: Page) -> None:
    tokens = ["The", "the", "1994", "\n", " ", "(", "<eos>", "É", "²", "Ⅳ", "ǅ", "日", "\u0301", "𝒜", "𐐨", "٣"]
    rows = np.random.default_rng(0).standard_normal((20, 32, 6)) * [3, 2, 1, 1, 1, 1]
    products = rows @ rows.transpose(0, 2, 1)
    script = """async ([tokens, products]) => {
      const { around, kindOf, lookedAt } = await import("/units.js");
      return [tokens.map(kindOf), [...Array(200).keys()].map(lookedAt), products.map(around)];
    }"""
    kinds, lengths, orders = shared_page.evaluate(script, [tokens, products.tolist()])
    assert kinds == [*map(kind_of, tokens)] and lengths == [*map(looked_at, range(200))]
    for each, order in zip(products, orders, strict=True):
        assert order in (around(each).tolist(), around(each)[::-1].tolist())  # which end is up is free
