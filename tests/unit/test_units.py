"""Which units are shown: those that tell most about a sentence, the same ones from key to key."""

import dataclasses
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from lstmviz import checkpoint as checkpoints
from lstmviz import units
from lstmviz.cells import CELLS
from lstmviz.explain.examples import EXAMPLES, examples_for
from lstmviz.opened import OpenModel, prepare, written_at_most
from lstmviz.reading import Reading, read, rows_of, telling_units, unit_order
from lstmviz.units import FEW, MOST, Usual, acts, by_similarity, drawn_roles, kind_of, looked_at, telling, usual

CHECKPOINTS = Path(__file__).parents[2] / "checkpoints"
MANY = ["shakespeare-char-lstm", "shakespeare-char-gru-128", "shakespeare-char-rnn-128", "wikitext2-word-lstm"]
SHOWN = 20  # in a window of usual size


@cache
def opened(name: str) -> OpenModel:
    return prepare(checkpoints.load(CHECKPOINTS / f"{name}.safetensors"))


def reading(name: str, text: str, before: Reading | None = None) -> Reading:
    found = read(opened(name), text, before)
    assert found is not None
    return found


def shown(name: str, text: str) -> set[int]:
    return set(telling_units(opened(name), reading(name, text), 0)[0][:SHOWN])


def made(*rows: list[float]) -> np.ndarray:
    """What units did in one role: ``(T, 1, H)``."""
    return np.array(rows, np.float32).T[:, None]


def chosen(did: np.ndarray, tokens: list[str], known: Usual, always: bool = False) -> tuple[list[int], list[int]]:
    """As `telling`, of what all units did."""
    return telling(did[:, :, known.few], tokens, known, always)


def test_a_unit_that_opens_at_spaces_tells_more_than_one_that_flickers() -> None:
    tokens = [*"ab cd ef gh ij kl mn op "]
    spaces, noise = [float(t == " ") for t in tokens], np.random.default_rng(0).integers(0, 2, (50, len(tokens)))
    did = made(*noise.tolist(), spaces, [0.0] * len(tokens))
    ranked, _ = chosen(did, tokens, usual(0 * did, tokens))
    assert ranked[0] == 50 and 51 not in ranked


def test_units_like_one_another_do_not_crowd_out_the_others() -> None:
    tokens = [*"ab cd ef AB CD EF "]
    spaces, capitals = ([float(test(t)) for t in tokens] for test in (str.isspace, str.isupper))
    did = made(*[spaces] * 60, [0.7 * value for value in capitals])
    ranked, _ = chosen(did, tokens, usual(did, tokens))
    assert 60 in ranked[:2] and len(ranked) == MOST


@pytest.mark.parametrize("name", MANY)
def test_what_is_shown_can_be_followed_and_is_not_all_alike(name: str) -> None:
    model, text = opened(name), examples_for(opened(name))[0].text
    seen = reading(name, text)
    roles = drawn_roles(model.checkpoint.model.cell, model.scales[0])
    did = acts({role: seen.trace[role][0] for role in roles}, model.scales[0], roles)
    value = usual(did, seen.pieces).worth
    assert value[[*shown(name, text)]].mean() > 1.15 * value.mean()
    rows = did.reshape(-1, did.shape[-1]).T  # (H, T · R)

    def likeness(units: list[int]) -> float:  # of each with the one most like it
        return float((np.abs(np.corrcoef(rows[units])) - np.eye(len(units))).max(0).mean())

    assert likeness([*shown(name, text)]) < likeness(np.argsort(-value)[:SHOWN].tolist())


def test_separators_and_capitals_are_seen_to_open_and_shut_something() -> None:
    """More often by the units that are shown than by others; of one model that depends on what it wrote itself."""
    ratios = []
    for name in MANY:
        text = examples_for(opened(name))[0].text
        seen = reading(name, text)
        mark = np.array([not piece[0].islower() for piece in seen.pieces])
        values = [
            seen.trace[role][0] for role in ("input_gate", "reset_gate", "output_gate", "hidden") if role in seen.trace
        ]
        turned = np.mean([np.abs(each[mark].mean(0) - each[~mark].mean(0)) > 0.4 for each in values], axis=0)  # (H,)
        ratios.append(turned[[*shown(name, text)]].mean() / turned.mean())
    assert np.mean(ratios) > 1.1, ratios


@pytest.mark.parametrize("name", MANY[1:])
def test_a_key_seldom_changes_what_is_shown(name: str) -> None:
    text = examples_for(opened(name))[0].text
    before, sets = None, []
    for length in range(1, len(text) + 1):
        before = reading(name, text[:length], before)
        sets.append(set(telling_units(opened(name), before, 0)[0][:SHOWN]))
    changes = [len(b - a) for a, b in pairwise(sets)]
    assert sum(change > 0 for change in changes) <= 6
    assert max(changes) <= SHOWN // 2
    middle = len(text) // 2
    edited = [shown(name, text[:middle] + "e house"[:n] + text[middle:]) for n in range(7)]
    assert np.mean([len(b - a) for a, b in pairwise(edited)]) <= SHOWN // 5


def test_the_same_text_shows_the_same_however_it_was_typed() -> None:
    name, text = MANY[0], EXAMPLES["shakespeare"][1].text
    before = None
    for length in range(1, len(text) + 1):
        before = reading(name, text[:length], before)
        telling_units(opened(name), before, 0)
    before = reading(name, text, reading(name, text + "and more", before))
    assert telling_units(opened(name), before, 0) == telling_units(opened(name), reading(name, text), 0)


def test_units_that_usually_do_little_are_not_looked_at() -> None:
    chance = np.random.default_rng(0)
    did = chance.standard_normal((40, 1, 300)).astype(np.float32) * np.linspace(1, 0.1, 300, dtype=np.float32)
    known = usual(did, ["a"] * 40)
    assert known.few.shape == (FEW,) and known.together.shape == (FEW, FEW)
    assert set(known.few) == set(np.argsort(-known.worth)[:FEW])
    first = usual(did, ["a"] * 40, first=299)
    assert first.few[0] == 299 and (first.few[1:] == known.few[:-1]).all()
    assert chosen(did, ["a"] * 40, first, always=True)[0][0] == 299
    assert 299 not in chosen(did, ["a"] * 40, first)[0]


def test_the_choice_is_made_at_few_lengths() -> None:
    assert [looked_at(n) for n in (1, 8, 9, 12, 13, 17, 24, 25, 59, 65, 96, 97, 2000)] == [
        0, 0, 8, 8, 12, 16, 16, 24, 48, 64, 64, 96, 1536,
    ]  # fmt: skip


@pytest.mark.parametrize("cell", ["rnn", "mingru", "minlstm"])
@pytest.mark.parametrize("task", ["brackets", "agreement", "recall"])
def test_the_unit_of_a_hidden_variable_is_shown_first(task: str, cell: str) -> None:
    name = f"lineups/{task}/{cell}"
    variable = opened(name).checkpoint.hidden_variable
    assert variable is not None
    correlations = variable["correlations"][0]
    seen = reading(name, EXAMPLES[task][0].text)
    assert telling_units(opened(name), seen, 0)[0][0] == int(np.argmax(correlations))
    assert len(correlations) > MOST and rows_of(opened(name), seen, [0], "telling")["telling"]


def test_a_small_layer_shows_all_its_units() -> None:
    rows = rows_of(opened("brackets"), reading("brackets", "(x)"), [0], "telling")
    assert rows["telling"] == [] and sorted(rows["units"][0]) == list(range(16))


@pytest.mark.parametrize("order", ["telling", "similar", "index", "active"])
def test_every_order_has_every_unit(order: str) -> None:
    name = "wikitext2-word-lstm"
    seen = reading(name, "The film was released in 1994 .")
    for layer in (0, 1):
        assert sorted(unit_order(opened(name), seen, layer, order)) == list(range(200))


@pytest.mark.parametrize("cell", CELLS)
def test_units_of_every_cell_are_chosen(cell: str, make_checkpoint) -> None:
    model = prepare(make_checkpoint(cell=cell, hidden_size=40))
    for text in ("a", "abc ab ca\n" * 3):
        seen = read(model, text)
        assert seen is not None
        ranked, arranged = telling_units(model, seen, 0)
        assert len(set(ranked)) == MOST and sorted(ranked) == sorted(arranged)


def test_kinds_of_tokens() -> None:
    kinds = [kind_of(token) for token in ("The", "the", "1994", "\n", " ", "(", ")", "<eos>", "É")]
    assert kinds == ["A", "a", "0", "\n", " ", "(", ")", "<eos>", "A"]


def test_alike_rows_stand_side_by_side() -> None:
    rows = np.array([[1, 0, 0], [0, 1, 0], [1, 0.1, 0], [0, 1, 0.1], [0.9, 0, 0.1]])
    order = by_similarity(rows).tolist()
    places = [order.index(k) for k in (0, 2, 4)]
    assert max(places) - min(places) == 2


def test_many_rows_are_ordered_as_few_are(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = np.random.default_rng(0)
    ways = np.exp(1j * chance.uniform(0, 2 * np.pi, 400))  # each row goes some way in one plane
    plane, noise = chance.standard_normal((2, 900)), chance.standard_normal((400, 900))
    rows = np.stack([ways.real, ways.imag], 1) @ plane + 1e-3 * noise
    exactly = by_similarity(rows)
    monkeypatch.setattr(units, "EXACT", 10)
    found = by_similarity(rows)
    at = np.argsort(np.roll(found, -int(np.argwhere(found == exactly[0])[0, 0])))[exactly]  # the circle from there on
    turned = (-at) % 400  # or the other way round
    assert min(np.abs(np.diff(at)).max(), np.abs(np.diff(turned)).max()) <= 3
    assert (by_similarity(rows) == found).all()


@pytest.mark.parametrize("cell", ["mingru", "lstm"])
def test_a_wide_model_is_opened_without_a_matrix_of_its_units(cell: str, make_checkpoint, monkeypatch) -> None:
    eigh = np.linalg.eigh

    def small(matrix: np.ndarray):
        assert len(matrix) <= 64
        return eigh(matrix)

    monkeypatch.setattr(np.linalg, "eigh", small)
    monkeypatch.setattr(units, "EXACT", 64)
    model = prepare(make_checkpoint(cell=cell, hidden_size=700))
    seen = read(model, "abc ab ca\n" * 3)
    assert seen is not None and len(telling_units(model, seen, 0)[0]) == MOST
    for order in ("telling", "similar"):
        assert sorted(unit_order(model, seen, 0, order)) == list(range(700))
    assert all(max(values.shape) < 2000 for usual in model.usual for values in vars(usual).values())


def test_a_large_model_writes_less_when_it_is_opened(make_checkpoint) -> None:
    for options, most in (
        ({}, 300),
        ({"num_layers": 20}, 16),
        ({"num_layers": 8}, 93),
        ({"cell": "mingru", "hidden_size": 16_384}, 91),
    ):
        assert written_at_most(make_checkpoint(**options)) == most
    assert written_at_most(opened("wikitext2-word-lstm").checkpoint) == 300


@pytest.mark.parametrize("name", ["shakespeare-char-lstm", "wikitext2-word-lstm", "agreement"])
def test_what_is_typed_for_a_token_gives_just_that_token(name: str) -> None:
    vocabulary = opened(name).checkpoint.vocabulary
    typed = {i: form for i in range(len(vocabulary)) if (form := opened(name).typed[i]) is not None}
    assert all(vocabulary.encode(form) == [i] and "\n" not in form for i, form in typed.items())
    assert len(typed) >= len(vocabulary) - 4


@pytest.mark.parametrize(
    ("cell", "gate"),
    [
        ("lstm", "forget gate"),
        ("gru", "keep (update) gate"),
        ("slstm", "log forget gate"),
        ("rnn", None),
        ("nfg", None),  # its gate is 1, whatever it reads
    ],
)
def test_a_look_for_line_speaks_of_a_gate_only_where_there_is_one(cell, gate, make_checkpoint) -> None:
    checkpoint = dataclasses.replace(make_checkpoint(cell=cell), corpus_name="Tiny Shakespeare")
    look = examples_for(prepare(checkpoint))[0].look
    assert (f"Follow the {gate}:" if gate else "can be guessed.") in look
    assert ("gate" in look) == (gate is not None) and "If the" not in look and "{" not in look
