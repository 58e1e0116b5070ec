"""What a beginner is told of a unit, for every cell and for one that is not ours; and what it follows from."""

import json
import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lstmviz.cells import CELLS
from lstmviz.cells.base import Cell
from lstmviz.cells.equations import evaluate, parse, text
from lstmviz.gate_trace import held, kept
from lstmviz.opened import prepare
from lstmviz.reading import read
from lstmviz.roles import DOES
from lstmviz.wire import payload
from tests.minimal_gated_unit import MinimalGatedUnit

# Values of the cells trained on brackets, and what was said of them when each cell's sentence was a branch of its own.
SENTENCES = json.loads(Path(__file__).with_name("sentences.json").read_text(encoding="utf-8"))


def does(cell: type[Cell]) -> dict:
    """What the header says of a cell, as JSON."""
    declared = {what: cell.does(what) for what in DOES}
    return {"symbols": cell.symbols, "does": declared, "lets_out": cell.lets_out, "resets": cell.resets}


def said(web, cell: type[Cell], values: dict[str, list], time: int = 3, begins: bool = True) -> str:
    roles = [{"role": role, "value": v, "previous": math.nan if p is None else p} for role, (v, p) in values.items()]
    return web("say.js", "sentence", {"roles": roles, "time": time, "begins": begins, **does(cell)})


def test_every_cell_is_told_as_before(web) -> None:
    assert {case["cell"] for case in SENTENCES} == set(CELLS)
    for case in SENTENCES:
        cell, values, time, begins = CELLS[case["cell"]], case["values"], case["time"], case["begins"]
        assert said(web, cell, values, time, begins) == case["sentence"], case["cell"]


def test_a_gate_is_told_by_what_it_does_and_not_by_its_name(web) -> None:
    values = {"forget_gate": [0.9, 0.5], "candidate": [0.4, 0.0], "hidden": [0.46, 1.0]}
    assert said(web, MinimalGatedUnit, values) == "Keeps 10\u00a0% of what it held (1.00), writes +0.36."


def test_most_at_a_token_follows_from_what_the_cell_does(web_page, make_checkpoint, monkeypatch) -> None:
    monkeypatch.setitem(CELLS, "mgu", MinimalGatedUnit)
    for name in ("lstm", "gru", "slstm", "rnn", "mgu"):
        opened = prepare(make_checkpoint(cell=name, hidden_size=6))
        seen = read(opened, "abcab")
        assert seen is not None
        view = {"layers": [0], "roles": [], "order": "index", "selection": {"time": 4, "unit": 0, "layer": 0}}
        message = payload(opened, seen, **view)
        found = web_page.evaluate(
            """async (bytes) => {
              const { decode } = await import("/wire.js"), { mostAt } = await import("/most.js");
              const data = decode(new Uint8Array(bytes), new Map());
              return [1, 4].map((time) => Object.fromEntries(mostAt(data.panels, time, data)));
            }""",
            list(message),
        )
        memory, share = torch.as_tensor(held(seen.trace))[0], kept(seen.trace)
        for time, most in zip((1, 4), found, strict=True):
            was, now = memory[time - 1], memory[time]
            wanted = {"changes": now - was}
            if share is not None:
                carried = torch.as_tensor(share)[0][time] * was
                wanted |= {"keeps": carried, "writes": now - carried}
            for what, amounts in wanted.items():
                best = amounts.abs().argsort(descending=True, stable=True)[:4]
                seen_of = {unit["unit"]: unit["by"] for unit in most[what]}
                assert len(seen_of) <= 4 and set(seen_of) <= set(range(6))
                for unit, by in seen_of.items():
                    assert by == pytest.approx(float(amounts[unit]), abs=2e-3), (name, what)
                assert not seen_of or float(amounts[best[0]].abs()) <= max(map(abs, seen_of.values())) + 2e-3
            assert ("keeps" in most) == (share is not None)
            assert ("opens" in most) == (name != "rnn")


@pytest.mark.parametrize(
    ("told", "sentences"),
    [
        (
            {"nll": 0.7, "beside_nll": 3.5, "context": "opened their", "context_times": 12, "run": "their books",
             "run_times": 4, "whole": False, "longer": True},
            ["The 4-gram gave “books” 3\u00a0%, this model 50\u00a0%: memory gains 2.80 nats.",
             "“opened their” was counted 12 times, never before “books”; “their books” was, 4 times."],
        ),
        (
            {"nll": 3.5, "beside_nll": 0.01, "context": "a", "context_times": 1, "run": "a books", "run_times": 1,
             "whole": True},
            ["The 4-gram gave “books” 99\u00a0%, this model 3\u00a0%: counting gains 3.49 nats.",
             "“a” was counted once, before “books”."],
        ),
        (
            {"nll": 11.0, "beside_nll": 11.05, "context": "", "context_times": 9, "run": "books", "run_times": 2,
             "whole": True},
            ["The 4-gram gave “books” below 0.01\u00a0%, this model below 0.01\u00a0%: they say it alike.",
             "“books” was counted twice."],
        ),
        (
            {"nll": 6.0, "beside_nll": 7.0, "context": "the", "context_times": 1234, "run": "books", "run_times": 3,
             "whole": False, "longer": False},
            ["The 4-gram gave “books” 0.09\u00a0%, this model 0.25\u00a0%: memory gains 1.00 nats.",
             "“the” was counted 1,234 times, never before “books”."],
        ),
    ],
)  # fmt: skip
def test_who_said_a_token_better_and_what_was_counted_of_it(told, sentences, web) -> None:
    beside = {**told, "name": "4-gram", "nll": told["beside_nll"], "running_nll": math.log(120)}
    seen = {"token": "books", "nll": told["nll"], "running_nll": math.log(64), "beside": beside}
    first, second = web("say.js", "paysOff", seen)
    assert first == sentences[0] and second == f"{sentences[1]} Perplexity so far 120, this model 64.0."
    assert web("say.js", "paysOff", {**seen, "nll": None}) == []
    assert "gave “<unk>” " in web("say.js", "paysOff", {**seen, "reads": "<unk>"})[0]


def trees() -> st.SearchStrategy:
    """Expressions that JavaScript knows, over a few symbols."""
    leaves = st.sampled_from(["f", "c'", "ĥ", "ln i", 1.0, 2.0, 0.5])
    binary = st.sampled_from(["+", "-", "*", "/", "max"])
    unary = st.sampled_from(["neg", "σ", "tanh", "exp"])
    choice = lambda some: st.tuples(st.just("if"), st.tuples(st.just("≥"), st.just("f"), some), some, some)  # noqa: E731
    return st.recursive(
        leaves, lambda some: st.tuples(binary, some, some) | st.tuples(unary, some) | choice(some), max_leaves=6
    )


@given(trees(), st.lists(st.floats(-2, 2), min_size=4, max_size=4))
@settings(deadline=None, max_examples=150)
def test_an_expression_has_one_value_and_one_text_in_both_languages(web, tree, values) -> None:
    env = dict(zip(["f", "c'", "ĥ", "ln i"], values, strict=True))
    assert web("equations.js", "text", tree) == text(tree)
    ours = float(evaluate(tree, {name: torch.tensor(value, dtype=torch.float64) for name, value in env.items()}))
    if math.isfinite(ours) and abs(ours) < 1e4:  # torch takes numbers in float32
        assert web("equations.js", "evaluate", tree, env) == pytest.approx(ours, rel=1e-5, abs=1e-5)


def test_what_is_given_for_a_part_is_taken_for_it(web) -> None:
    tree = parse("(1 − z) ⊙ h' + z ⊙ g")
    env = {"1 − z": 0.25, "h'": 2.0, "z": 0.5, "g": 1.0}
    assert web("equations.js", "evaluate", tree, env) == 1.0
    assert math.isnan(web("equations.js", "evaluate", tree, {"z": 1.0}))
