"""Who wrote what is held, in the page: what lstmviz.explain.memory says of the same tokens."""

import numpy as np
import pytest
import torch
from playwright.sync_api import Page

from lstmviz import load, memory
from lstmviz.cells import CELLS, cell_called
from lstmviz.explain.memory import why_no_sum
from lstmviz.home import SHIPPED
from lstmviz.opened import prepare
from lstmviz.trace import trace_tokens
from tests.web.test_engine import drawn, sent, wild

TAKEN_APART = """async ([live, weights, ids]) => {
  const { Model, Trace } = await import("/engine.js"), { memoryIn } = await import("/memory.js");
  const bytes = await (await fetch(`data:;base64,${weights}`)).arrayBuffer();
  const trace = new Trace(new Model(live, new Float32Array(bytes)));
  for (const id of ids) trace.add(id);
  return live.tracks.map((_, track) => {
    const found = memoryIn(trace, track), units = [...Array(live.size).keys()], times = [...ids.keys()];
    return found && {
      terms: times.map((time) => units.map((unit) => [...found.terms(time, unit)])),
      begun: times.map((time) => units.map((unit) => found.begun(time, unit))),
      norms: times.map((time) => [...found.norms(time)]),
      held: [...trace.held(track)],
      lives: [...found.halfLives()],
    };
  });
}"""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model writes little when it is opened: what it wrote is not looked at here."""
    monkeypatch.setattr("lstmviz.opened.written_at_most", lambda model: 16)


@pytest.mark.proof("memory, page")
@pytest.mark.parametrize("name", CELLS)
def test_the_page_takes_the_memory_of_every_cell_apart_as_python_does(
    name: str, make_checkpoint, shared_page: Page
) -> None:
    opened = prepare(wild(make_checkpoint(cell=name, num_layers=2, hidden_size=5)))
    ids = drawn(opened)
    found = shared_page.evaluate(TAKEN_APART, [*sent(opened), ids.tolist()])
    if why := why_no_sum(cell_called(name)):
        assert found == [None, None] and name in why
        return
    trace, _ = trace_tokens(opened.model, ids)
    for layer, page in enumerate(found):
        expected, count = memory(trace, layer), len(ids)
        terms = np.zeros((count, count, 5))
        for time, units in enumerate(page["terms"]):
            terms[time, : time + 1] = np.array(units).T
        begun, held = np.array(page["begun"]), np.array(page["held"]).reshape(count, 5)
        assert np.abs(terms - expected.terms()).max() < 1e-5 * max(1, np.abs(held).max())
        assert np.abs(begun - expected.begun).max() < 1e-5
        assert np.abs(terms.sum(1) + begun - held).max() < 1e-5
        for time, row in enumerate(page["norms"]):
            np.testing.assert_allclose(row, expected.norms()[time, : time + 1], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(1 / np.array(page["lives"]), 1 / expected.half_lives(), rtol=1e-4, atol=1e-6)


def test_what_was_held_before_the_first_column_and_a_single_token(shared_page: Page) -> None:
    """Of what a context left something is held; of one token nobody knows a half-life."""
    opened = prepare(load(SHIPPED / "checkpoints/lineups/recall/lstm.safetensors"))
    ids = drawn(opened, 6).tolist()
    (page,) = shared_page.evaluate(TAKEN_APART, [*sent(opened), ids])
    trace, _ = trace_tokens(opened.model, torch.tensor([*opened.context[:-1], *ids]))
    held, before = trace.cell[0, -len(ids) :], trace.cell[0, -len(ids) - 1]
    sums = np.array([[sum(terms) for terms in units] for units in page["terms"]])
    assert np.abs(sums + page["begun"] - held).max() < 1e-5
    left = before * trace.forget_gate[0, -len(ids) :].cumprod(0)
    assert np.abs(page["begun"] - left).max() < 1e-5 < 0.1 < np.abs(left).max()
    (page,) = shared_page.evaluate(TAKEN_APART, [*sent(opened), ids[:1]])
    assert all(np.isnan(page["lives"])) and len(page["terms"]) == 1
