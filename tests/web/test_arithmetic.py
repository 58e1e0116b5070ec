"""One step as arithmetic in the page: line by line what Python says."""

import base64
import json
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page

from lstmviz import arithmetic, load
from lstmviz.cells import CELLS
from lstmviz.checkpoint import Checkpoint
from lstmviz.explain.arithmetic import Step
from lstmviz.live import live
from lstmviz.opened import prepare
from lstmviz.wire import sized

CHECKPOINTS = Path(__file__).parents[2] / "checkpoints"
SAYS = """async ([live, weights, read, places]) => {
  const { Opened, Reading } = await import("/reading.js");
  const { every, inNumbers, linesOf, saidOf, valuesOf, wroteIn } = await import("/inside/arithmetic.js");
  const bytes = Uint8Array.from(atob(weights), (sign) => sign.charCodeAt(0));
  const reading = new Reading(new Opened(live, new Float32Array(bytes.buffer)));
  if (typeof read === "string") reading.toText(read);
  else reading.toImage(Uint8Array.from(read));
  return places.map(([unit, layer, time]) => {
    const { lines, vectors } = linesOf(live, valuesOf(reading, layer, time), unit);
    const mixed = (term) => [...every(term)].filter((part) => part.mixes).map(saidOf);
    const said = lines.map(([symbol, term]) => [symbol, term.text, inNumbers(term), mixed(term)]);
    return [vectors, said, wroteIn(lines, live.does.holds)];
  });
}"""


def in_page(page: Page, checkpoint: Checkpoint, read: str | list[int], places: list[tuple[int, int, int]]) -> list:
    header, buffer = live(prepare(checkpoint))
    return page.evaluate(SAYS, [json.loads(sized(header)[4:]), base64.b64encode(buffer).decode(), read, places])


def in_python(step: Step) -> list:
    lines = [
        [symbol, term.text, term.in_numbers(), [str(part) for part in term.every() if part.mixes]]
        for symbol, term in step.lines
    ]
    return [[*step.vectors], lines, step.wrote]


@pytest.mark.parametrize("cell", CELLS)
def test_the_page_says_every_line_as_python_does(cell: str, shared_page: Page) -> None:
    checkpoint, text = load(CHECKPOINTS / f"lineups/brackets/{cell}.safetensors"), "((x)((x)"
    places = [(9, 0, 7), (0, 0, 0), (3, 0, 4)]
    before = prepare(checkpoint).context  # which both read, and of which the page shows the last
    ids = [*before, *checkpoint.vocabulary.encode(text)]
    found = in_page(shared_page, checkpoint, text, places)
    for (unit, layer, time), said in zip(places, found, strict=True):
        vectors, lines, wrote = in_python(arithmetic(checkpoint, ids, unit, layer=layer, time=len(before) - 1 + time))
        assert said[0] == vectors and said[2] == wrote
        assert [line[:2] for line in said[1]] == [line[:2] for line in lines]
        for one, other in zip(said[1], lines, strict=True):
            assert one == other


def test_of_a_layer_above_and_of_an_image_too(shared_page: Page, make_checkpoint, classifier) -> None:
    checkpoint = make_checkpoint(num_layers=2, hidden_size=40)
    assert in_page(shared_page, checkpoint, "abca", [(6, 1, 3)]) == [
        in_python(arithmetic(checkpoint, "abca", 6, layer=1))
    ]
    pixels = np.arange(64, dtype=np.uint8) * 4
    rows = pixels.reshape(8, 8).astype(np.float32) / 255
    found = in_page(shared_page, classifier(), pixels.tolist(), [(3, 0, 5)])
    assert found == [in_python(arithmetic(classifier(), rows, 3, time=5))]
