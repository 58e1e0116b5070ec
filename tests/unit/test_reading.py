"""What the browser is sent: a reading that goes on from the last one, in blocks that it may hold already."""

import json
import struct

import numpy as np
import pytest

from lstmviz import opened as opened_models
from lstmviz import reading, trace, wire
from lstmviz.opened import OpenModel, prepare
from lstmviz.reading import NOBODY, Selected, Selection, read, select, write_on
from lstmviz.trace import trace_tokens
from lstmviz.wire import payload

TEXT = "abc ab ca\n" * 8  # 80 tokens: two whole blocks and a half


@pytest.fixture(scope="module")
def opened(make_checkpoint) -> OpenModel:
    return prepare(make_checkpoint(num_layers=2))


def message(opened: OpenModel, text: str, held=(), **options) -> tuple[dict, np.ndarray]:
    """The header, and the codes that follow it."""
    seen = read(opened, text)
    assert seen is not None
    choice = {"layers": [0, 1], "roles": ["cell"], "order": "similar", **options}
    data = payload(opened, seen, selection={"time": 0, "unit": 0, "layer": 0}, held=held, **choice)
    (length,) = struct.unpack("<I", data[:4])
    return json.loads(data[4 : 4 + length]), np.frombuffer(data[4 + length :], "<u2")


def test_a_reading_goes_on_from_the_last_one(opened: OpenModel, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(
        trace, "trace_tokens", lambda m, t, e=None, state=None: asked.append(len(t)) or trace_tokens(m, t, e)
    )
    last = None
    for text in ("abc", "abc ", "abc", "abb", "abb", "b", ""):
        last = read(opened, text, last) or last
    assert asked == [3, 1, 1, 1]  # at first; a new character; (one less); a changed one; (the same); all new
    assert last is not None
    whole = read(opened, "b")
    assert whole is not None
    np.testing.assert_allclose(last.trace.cell, whole.trace.cell, atol=1e-6)
    np.testing.assert_allclose(last.probabilities, whole.probabilities, atol=1e-6)


def test_what_does_not_fit_a_message_is_left_out(opened: OpenModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opened_models, "SHOWN_MOST", 1000)
    _, values = message(opened, "abc " * 100)
    assert 900 < len(values) <= 1000
    assert (seen := read(opened, "abc " * 100)) and seen.dropped == 400 - len(seen.pieces)
    assert (few := read(opened, "abc " * 100, most=7)) and len(few.ids) == 7
    assert write_on(opened, seen, 5, temperature=1, top_k=0, seed=0) == ""


def test_a_reading_of_another_model_is_not_gone_on_from(opened: OpenModel, make_checkpoint) -> None:
    other = prepare(make_checkpoint(seed=1, num_layers=2))
    seen, whole = read(opened, TEXT, read(other, TEXT)), read(opened, TEXT)
    assert seen is not None and whole is not None
    assert np.array_equal(seen.trace.hidden, whole.trace.hidden)


def test_blocks_join_to_the_values(opened: OpenModel) -> None:
    header, codes = message(opened, TEXT)
    seen = read(opened, TEXT)
    assert seen is not None
    assert [tokens for _, tokens, _ in header["blocks"]] == [32, 32, 16]
    assert all(sent for *_, sent in header["blocks"])
    parts, at = [[] for _ in header["panels"]], 0
    for _, tokens, _ in header["blocks"]:
        for part in parts:
            part.append(codes[at : at + tokens * 4].reshape(tokens, 4))
            at += tokens * 4
    assert at == len(codes)
    for panel, part in zip(header["panels"], parts, strict=True):
        low, high = panel["low"], panel["high"]
        values = low + np.concatenate(part) / 65534 * (high - low)
        exact = seen.trace[panel["role"]][panel["layer"]]
        assert np.abs(values - exact).max() <= (high - low) / 131068 + 1e-6


def test_what_the_browser_holds_is_not_sent_again(opened: OpenModel) -> None:
    header, _ = message(opened, TEXT)
    whole = [name for name, tokens, _ in header["blocks"] if tokens == wire.BLOCK]
    again, rest = message(opened, TEXT + "a", held=whole)
    assert [sent for *_, sent in again["blocks"]] == [False, False, True]
    assert len(rest) == 17 * 4 * len(again["panels"])


@pytest.mark.parametrize("change", [{"text": "b" + TEXT[1:]}, {"layers": [1]}, {"seed": 1}])
def test_a_block_is_named_by_all_that_it_depends_on(opened: OpenModel, make_checkpoint, change: dict) -> None:
    before, _ = message(opened, TEXT)
    change = dict(change)
    if seed := change.pop("seed", None):
        opened = prepare(make_checkpoint(seed=seed, num_layers=2))
    after, _ = message(opened, change.pop("text", TEXT), **change)
    assert not {name for name, *_ in before["blocks"]} & {name for name, *_ in after["blocks"]}


def test_order_and_panels_change_no_block(opened: OpenModel) -> None:
    before, _ = message(opened, TEXT)
    after, _ = message(opened, TEXT, order="active", roles=["hidden", "forget_gate"])
    assert before["blocks"] == after["blocks"]


def test_values_beyond_all_bounds_are_sent(opened: OpenModel) -> None:
    seen = read(opened, "abc")
    assert seen is not None
    seen.trace.cell[0, 0] = [np.inf, -3e38, 1e30, 0]
    view = {"layers": [0], "roles": ["cell"], "order": "index", "selection": {"time": 0, "unit": 0, "layer": 0}}
    data = payload(opened, seen, **view)
    (length,) = struct.unpack("<I", data[:4])
    header = json.loads(data[4 : 4 + length])
    place = [panel["role"] for panel in header["panels"]].index("cell")
    cell, codes = header["panels"][place], np.frombuffer(data[4 + length :], "<u2").reshape(-1, 3, 4)[place]
    sent = cell["low"] + codes[0] / 65534 * (cell["high"] - cell["low"])
    assert cell["mean"] is None and cell["high"] >= 3e38
    np.testing.assert_allclose(sent, [float(cell["high"]), -3e38, 1e30, 0], atol=(cell["high"] - cell["low"]) / 65534)


LINK, CLICK = Selection(time=1, unit=2), Selection(time=0, unit=5, of=1)


@pytest.mark.parametrize(
    ("before", "tokens", "told", "expected"),
    [
        (Selected(LINK, [*"abc"]), "abc", None, LINK),  # the link, while nothing else was
        (Selected(LINK, [*"abc"]), "abc", CLICK, CLICK),  # a click after it
        (Selected(LINK, [*"abc"], CLICK), "abc", CLICK, LINK),  # a click before it, which is told again
        (Selected(LINK, [*"abc"]), "abcd", None, Selection(3, 2)),  # a key moves the token, not the unit
        (Selected(CLICK, [*"abc"], CLICK), "abxc", CLICK, Selection(2, 5, 1)),  # also after a click
        (Selected(LINK, [*"abc"], CLICK), "abc", LINK, LINK),  # a click back on what is selected
        (
            Selected(LINK, [*"abc"]),
            "abcd",
            CLICK,
            Selection(3, 5, 1),
        ),  # both at once
        (Selected(Selection(9, 2), [*"abc"]), "abc", None, Selection(2, 2)),  # a link past the end
        (Selected(Selection(-5, 2), [*"abc"]), "abc", None, Selection(0, 2)),
        (Selected(LINK, [*"abc"]), "a", None, Selection(0, 2)),
        (Selected(Selection(NOBODY, 2), None), "abc", None, Selection(2, 2)),  # the page made the view before
        (Selected(LINK, None), "abc", None, LINK),
        (Selected(LINK, [*"abc"]), "abc", Selection(NOBODY, 5, 1), Selection(2, 5, 1)),  # which said so late
    ],
)
def test_the_last_of_click_key_and_link_wins(before, tokens, told, expected) -> None:
    assert select(before, [*tokens], told) == expected


def test_a_unit_that_there_is_not_gives_way_to_the_nearest() -> None:
    assert [Selection(0, unit).within(4).unit for unit in (-3, 0, 3, 4, 999)] == [0, 0, 3, 3, 3]
    assert Selection(1, 2, 3).said("layer") == {"time": 1, "unit": 2, "layer": 3}


def test_what_is_written_on_goes_on_from_what_was_read(opened: OpenModel) -> None:
    options = {"temperature": 1.0, "top_k": 5, "seed": 0}
    seen = read(opened, "abc")
    more = write_on(opened, seen, 6, **options)
    assert more == write_on(opened, seen, 9, **options)[: len(more)] and "\n" not in more
    full = read(opened, "a" * 3000)
    assert write_on(opened, full, 6, **options) == ""  # what would not be read is not written
    assert write_on(opened, None, 3, **options)


def test_a_text_read_in_pieces_is_the_same_reading(opened: OpenModel, monkeypatch) -> None:
    whole = read(opened, TEXT)
    monkeypatch.setattr(reading, "PIECE", 7)
    pieces = read(opened, TEXT)
    assert whole is not None and pieces is not None
    for name, values in whole.trace.items():
        np.testing.assert_allclose(pieces.trace[name], values, rtol=0, atol=1e-6)
    np.testing.assert_allclose(pieces.trace.nll, whole.trace.nll, rtol=0, atol=1e-6)
    np.testing.assert_allclose(pieces.probabilities, whole.probabilities, rtol=0, atol=1e-6)
