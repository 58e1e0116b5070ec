"""The model in the page: what its equations give there is what the torch model gives."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from playwright.sync_api import Page
from torch import Tensor

from lstmviz import checkpoint as checkpoints
from lstmviz.cells import CELLS, CellData
from lstmviz.cells.equations import Equations, parts
from lstmviz.checkpoint import Checkpoint
from lstmviz.data.images import permute
from lstmviz.data.vocabulary import Vocabulary
from lstmviz.live import live
from lstmviz.opened import OpenModel, prepare
from lstmviz.wire import sized

CHECKPOINTS = Path(__file__).parents[2] / "checkpoints"
RUN = """async ([live, weights, inputs, kept]) => {
  const { Model, Trace } = await import("/engine.js");
  const bytes = Uint8Array.from(atob(weights), (sign) => sign.charCodeAt(0));
  const trace = new Trace(new Model(live, new Float32Array(bytes.buffer)));
  const add = (input) => trace.add(Array.isArray(input) ? Float32Array.from(input) : input);
  inputs.forEach(add);
  if (kept !== null) {
    trace.keep(kept);
    inputs.slice(kept).forEach(add);
  }
  return {
    values: live.tracks.map((_, k) => Object.fromEntries(Object.keys(live.symbols).map((role) => [role, [...trace.values(k, role)]]))),
    held: live.tracks.map((_, k) => [...trace.held(k)]),
    scores: [...inputs.keys()].map((time) => [...trace.scores(time)]),
    likely: [...inputs.keys()].map((time) => trace.likely(time, 5)),
    nll: inputs.map((id, time) => trace.nll(time - 1, id)),
  };
}"""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model writes little when it is opened: what it wrote is not looked at here."""
    monkeypatch.setattr("lstmviz.opened.written_at_most", lambda model: 16)


@pytest.fixture
def run(shared_page: Page) -> Callable[..., Any]:
    """What the page's model says of inputs, ids or rows; ``kept``: it forgets all but so many, and reads them again."""

    def run(opened: OpenModel, inputs: list[Any], kept: int | None = None) -> Any:
        header, buffer = live(opened)
        return shared_page.evaluate(RUN, [json.loads(sized(header)[4:]), base64.b64encode(buffer).decode(), inputs, kept])

    return run


def wild(checkpoint: Checkpoint) -> Checkpoint:
    """With weights so large that gates open and shut."""
    return replace(checkpoint, weights={name: 3 * weight for name, weight in checkpoint.weights.items()})


def assert_alike(opened: OpenModel, found: Any, inputs: Tensor) -> None:
    """Every gate, state and ln p in the page is that of torch, after the same context."""
    context = torch.tensor(opened.context[:-1], dtype=torch.int64)
    read = torch.cat([context, inputs]) if len(context) else inputs
    hidden, records = opened.model.record(read[:, None])
    for values, record in zip(found["values"], records, strict=True):
        assert values.keys() == record.keys()
        for role, expected in record.items():
            ours = torch.tensor(values[role], dtype=torch.float32).view_as(expected[len(context) :])
            torch.testing.assert_close(ours, expected[len(context) :], atol=1e-5, rtol=1e-5, msg=lambda m, r=role: f"{r}: {m}")
    with torch.no_grad():
        log_p = opened.model.decode(hidden[len(context) :, 0]).log_softmax(-1)  # (T, V)
    torch.testing.assert_close(torch.tensor(found["scores"]), log_p, atol=1e-5, rtol=1e-5)
    count = min(5, log_p.shape[1])
    best = log_p.exp().topk(count)
    torch.testing.assert_close(torch.tensor([each["probabilities"] for each in found["likely"]]), best.values, atol=1e-5, rtol=0)
    said = [[log_p[t, i].exp() for i in each["ids"]] for t, each in enumerate(found["likely"])]
    torch.testing.assert_close(torch.tensor(said), best.values, atol=1e-5, rtol=0)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_is_run_as_its_equations_say(cell: str, layers: int, make_checkpoint, run) -> None:
    opened = prepare(wild(make_checkpoint(cell=cell, num_layers=layers, hidden_size=5)))
    ids = torch.randint(len(opened.checkpoint.vocabulary), (9,), generator=torch.Generator().manual_seed(1))
    assert_alike(opened, run(opened, ids.tolist()), ids)
