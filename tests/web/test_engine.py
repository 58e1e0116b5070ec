"""The model in the page: what its equations give there is what the torch model gives."""

import base64
import copy
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from playwright.sync_api import Error, Page
from torch import Tensor

from lstmviz import checkpoint as checkpoints
from lstmviz.cells import CELLS, CellData
from lstmviz.cells.equations import Equations, parts
from lstmviz.checkpoint import Checkpoint
from lstmviz.data.images import permute
from lstmviz.data.vocabulary import Vocabulary
from lstmviz.gate_trace import held, kept
from lstmviz.live import live
from lstmviz.opened import OpenModel, prepare
from lstmviz.trace import trace_tokens
from lstmviz.wire import sized

CHECKPOINTS = Path(__file__).parents[2] / "checkpoints"
RUN = """async ([live, weights, inputs, kept]) => {
  const { Model, Trace } = await import("/engine.js");
  const bytes = Uint8Array.from(atob(weights), (sign) => sign.charCodeAt(0));
  const trace = new Trace(new Model(live, new Float32Array(bytes.buffer)));
  const add = (input) => trace.add(Array.isArray(input) ? Float32Array.from(input) : input);
  if (trace.worked(0, live.does.keeps ?? live.does.holds).length) throw new Error("nothing was read yet");
  inputs.forEach(add);
  if (kept !== null) {
    trace.keep(kept);
    inputs.slice(kept).forEach(add);
  }
  return {
    values: live.tracks.map((_, k) =>
      Object.fromEntries(Object.keys(live.symbols).map((role) => [role, [...trace.values(k, role)]]))),
    holds: live.tracks.map((_, k) => [...trace.held(k)]),
    keeps: live.tracks.map((_, k) => (live.does.keeps ? [...trace.worked(k, live.does.keeps)] : [])),
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

    def run(opened: OpenModel, inputs: list[Any], kept: int | None = None, weights: bytes | None = None) -> Any:
        return shared_page.evaluate(RUN, [*sent(opened, weights), inputs, kept])

    return run


def sent(opened: OpenModel, weights: bytes | None = None) -> tuple[Any, str]:
    """A model for a script of the page: its header, and its weights, or others, as base64."""
    header, buffer = live(opened)
    return json.loads(sized(header)[4:]), base64.b64encode(weights or buffer).decode()


def wild(checkpoint: Checkpoint) -> Checkpoint:
    """With weights so large that gates open and shut."""
    return replace(checkpoint, weights={name: 3 * weight for name, weight in checkpoint.weights.items()})


def assert_alike(opened: OpenModel, found: Any, inputs: Tensor) -> None:
    """Every gate, state and ln p in the page is that of torch (in float64), after the same context."""
    model, context = copy.deepcopy(opened.model).double(), torch.tensor(opened.context[:-1], dtype=torch.int64)
    read = torch.cat([context, inputs]) if len(context) else inputs
    hidden, records = model.record(read[:, None])
    hidden, records = hidden[len(context) :, 0], [{k: v[len(context) :, 0] for k, v in r.items()} for r in records]
    for values, record in zip(found["values"], records, strict=True):
        assert values.keys() == record.keys()
        for role, expected in record.items():
            assert_near(torch.tensor(values[role]).view_as(expected), expected, role)  # (T, H)
    with torch.no_grad():
        log_p = model.decode(hidden).log_softmax(-1)  # (T, V)
    assert_near(torch.tensor(found["scores"]), log_p, "ln p")
    best = log_p.exp().topk(min(5, log_p.shape[1]))
    assert_near(torch.tensor([each["probabilities"] for each in found["likely"]]), best.values, "likely")
    ids = torch.tensor([each["ids"] for each in found["likely"]])
    assert_near(log_p.exp().gather(1, ids), best.values, "what is likely")


def assert_near(found: Tensor, expected: Tensor, what: str) -> None:
    found = found.to(expected.dtype)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5, equal_nan=True, msg=lambda m: f"{what}: {m}")


def drawn(opened: OpenModel, count: int = 12) -> Tensor:
    """Some tokens that a model may read, the end first where its first column is always that."""
    ids = torch.randint(len(opened.reads), (count,), generator=torch.Generator().manual_seed(1))
    return torch.cat([torch.tensor(opened.context[-1:], dtype=torch.int64), ids])


@pytest.mark.proof("page")
@pytest.mark.parametrize("name", CELLS)
def test_every_cell_is_run_as_its_equations_say(name: str, make_checkpoint, run) -> None:
    opened = prepare(wild(make_checkpoint(cell=name, num_layers=2, hidden_size=5)))
    assert_alike(opened, run(opened, drawn(opened).tolist()), drawn(opened))


@pytest.mark.proof("page, trained")
@pytest.mark.parametrize("name", CELLS)
def test_a_trained_model_of_every_cell_reads_on_after_its_context(name: str, run) -> None:
    opened = prepare(checkpoints.load(CHECKPOINTS / "lineups" / "recall" / f"{name}.safetensors"))
    assert opened.context
    assert_alike(opened, run(opened, drawn(opened).tolist()), drawn(opened))


def test_tied_and_adaptive_decoders(make_checkpoint, run) -> None:
    tied = prepare(wild(make_checkpoint(cell="lstmp", tie_weights=True, embedding_size=2)))
    assert_alike(tied, run(tied, drawn(tied).tolist()), drawn(tied))
    many = Vocabulary.of("word", [f"w{k}" for k in range(10_000)])
    adaptive = prepare(wild(make_checkpoint(vocabulary=many, adaptive_softmax=True, hidden_size=6)))
    found = run(adaptive, drawn(adaptive, 3).tolist())
    assert_alike(adaptive, found, drawn(adaptive, 3))
    assert [sum(map(math.exp, scores)) for scores in found["scores"]] == pytest.approx([1, 1, 1], abs=1e-4)


PRODUCTS = """async () => {
  const { product } = await import("/equations.js"), { inMemory } = await import("/simd.js");
  const { weights, times } = inMemory(Float32Array.from({ length: 400 }, (_, k) => Math.sin(k))), found = [];
  product({ values: weights, rows: 1, columns: 33, times }, new Float64Array(33).fill(Infinity)); // it leaves nothing
  for (let columns = 1; columns < 20; columns++) for (const [at, rows] of [[3, 1], [0, 9], [400 - 5 * columns, 5]]) {
    const matrix = { values: weights.subarray(at, at + rows * columns), rows, columns };
    const vector = Float64Array.from({ length: columns }, (_, k) => Math.cos(k)), plain = product(matrix, vector);
    found.push(...product({ ...matrix, times }, vector).map((value, k) => value - plain[k]));
  }
  return found;
}"""


def test_a_product_in_webassembly_is_the_plain_one(shared_page: Page) -> None:
    found = shared_page.evaluate(PRODUCTS)
    assert len(found) == 19 * 15 and max(map(abs, found)) < 1e-13


def test_a_page_without_webassembly_computes_the_same(make_checkpoint, run, web_page: Page, shared_page: Page) -> None:
    web_page.add_init_script("delete window.WebAssembly")
    web_page.reload()
    has = "async () => 'times' in (await import('/simd.js')).inMemory(new Float32Array(1))"
    assert shared_page.evaluate(has) and not web_page.evaluate(has)
    opened = prepare(wild(make_checkpoint(cell="mogrifier", num_layers=2, hidden_size=11)))
    inputs = drawn(opened)
    plain, fast = web_page.evaluate(RUN, [*sent(opened), inputs.tolist(), None]), run(opened, inputs.tolist())
    assert_alike(opened, plain, inputs)
    for ours, theirs in zip(plain["values"], fast["values"], strict=True):
        assert all(ours[role] == pytest.approx(theirs[role], abs=1e-7) for role in ours)


def test_images_are_read_row_by_row(run) -> None:
    opened = prepare(checkpoints.load(CHECKPOINTS / "classify" / "digits-permuted-lstm.safetensors"))
    image = np.random.default_rng(0).integers(0, 256, (8, 8)).astype(np.uint8)
    header, _ = live(opened)
    seed = opened.checkpoint.train.permuted
    assert seed is not None and header.order_of_pixels
    rows = image.ravel()[header.order_of_pixels].reshape(8, 8) / 255
    assert (rows == permute(image, seed) / 255).all()
    assert_alike(opened, run(opened, rows.tolist()), torch.tensor(rows))


@pytest.mark.parametrize("cell", ["lstm", "slstm"])
def test_what_is_read_again_is_as_if_it_were_read_once(cell: str, make_checkpoint, run) -> None:
    opened = prepare(wild(make_checkpoint(cell=cell, num_layers=2)))
    ids = drawn(opened, 40).tolist()
    anew = run(opened, ids)
    assert all(run(opened, ids, read) == anew for read in (0, 1, 33, 39))
    trace, _ = trace_tokens(opened.model, torch.tensor(ids))
    for track in range(2):
        for what, expected in {"holds": held(trace), "keeps": kept(trace)}.items():
            assert expected is not None
            assert_near(torch.tensor(anew[what][track]).view(40, -1), torch.from_numpy(expected[track]), what)
    log_p = torch.tensor(anew["scores"])[:-1]
    nll = -log_p.gather(1, torch.tensor(ids[1:])[:, None])[:, 0]
    assert anew["nll"][1:] == pytest.approx(nll.tolist(), abs=1e-6)


def test_what_is_no_number_stops_nothing(make_checkpoint, run) -> None:
    """A state may overflow; weights that are no finite numbers, or too few, are refused."""
    opened = prepare(make_checkpoint(cell="niaf"))
    _, buffer = live(opened)
    huge = np.frombuffer(buffer, np.float32) * np.float32(1e35)
    found = run(opened, [1, 2, 3], weights=huge.tobytes())
    assert not all(map(math.isfinite, found["values"][0]["cell"]))
    assert all(len(each["ids"]) <= 5 for each in found["likely"])
    for broken, said in {
        huge.tobytes()[: 4 * (len(huge) // 2)]: "the weights of this model are cut short",
        b"\0\0\xc0\x7f" * len(huge): "the weights of this model are not all finite numbers",
    }.items():
        with pytest.raises(Error, match=said):
            run(opened, [1], weights=broken)


def test_the_page_knows_every_operation_of_every_cell(shared_page: Page, minimal_gated_unit: str) -> None:
    known = shared_page.evaluate("async () => Object.keys((await import('/equations.js')).OPERATIONS)")
    for name in CELLS:
        trees = Equations.from_json(CellData.of(name).equations).trees.values()
        lacking = {part[0] for tree in trees for part in parts(tree) if isinstance(part, tuple)} - {*known}
        assert not lacking, f"the page lacks {lacking}, of the equations of {name}"


def test_a_cell_of_other_operations_is_refused_by_its_name(
    make_checkpoint, run, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = prepare(make_checkpoint(cell="rnn"))
    odd = replace(CellData.of("rnn"), equations={"h": ("sin", ("@", "W", "x"))})
    monkeypatch.setattr(CellData, "of", lambda name: odd)
    with pytest.raises(Error, match="the equations of rnn use sin, which the page cannot compute"):
        run(opened, [1])
