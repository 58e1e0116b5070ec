"""A model as the page that runs it reads it."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from lstmviz import checkpoint as checkpoints
from lstmviz.cells import CELLS
from lstmviz.live import Live, Ref, live, why_not
from lstmviz.opened import prepare
from lstmviz.wire import sized

CHECKPOINTS = Path(__file__).parents[2] / "checkpoints"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model writes little when it is opened: what it wrote is not looked at here."""
    monkeypatch.setattr("lstmviz.opened.written_at_most", lambda model: 24)


def at(buffer: bytes, ref: Ref) -> torch.Tensor:
    numbers = np.frombuffer(buffer, np.float32)
    return torch.from_numpy(numbers[ref.at : ref.at + int(np.prod(ref.shape))].reshape(ref.shape).copy())


@pytest.mark.parametrize("cell", CELLS)
def test_every_symbol_of_the_equations_has_its_values_and_every_weight_travels_once(cell, make_checkpoint) -> None:
    opened = prepare(make_checkpoint(cell=cell, num_layers=2))
    header, buffer = live(opened)
    assert header.tracks == [{"layer": 0, "label": "layer 1"}, {"layer": 1, "label": "layer 2"}]
    for layer, weights in zip(opened.model.layers, header.weights, strict=True):
        equations = CELLS[cell].parsed()
        before = {f"{state}'" for state in header.cell.states.values()}
        assert weights.keys() == equations.given - before - {"x", "first"}
        assert all(torch.equal(at(buffer, ref), layer.by_symbol()[symbol]) for symbol, ref in weights.items())
    assert set(header.cell.symbols.values()) <= header.cell.equations.keys()
    together = sum(np.prod(each.together.shape) for each in header.usual)
    biases = sum(
        layer.biases(k)[0].numel() for layer in opened.model.layers for k in layer.rows if len(layer.biases(k)) > 1
    )
    own = sum(parameter.numel() for parameter in opened.model.parameters())
    assert len(buffer) == 4 * (own + together + (0 if f"b_h{CELLS[cell].rows[-1]}" in equations.given else biases))


def test_embedding_and_decoder_are_one_where_they_are_tied(make_checkpoint) -> None:
    header, buffer = live(prepare(make_checkpoint(tie_weights=True, embedding_size=4)))
    assert header.decoder.weight == header.input.weight and header.input.bias is None
    assert at(buffer, header.decoder.bias).shape == (len(header.vocabulary.tokens),)


def test_a_grammar_is_read_after_its_context_and_its_telling_unit_goes_first() -> None:
    opened = prepare(checkpoints.load(CHECKPOINTS / "brackets.safetensors"))
    header, _ = live(opened, "brackets")
    assert not header.begins and [*header.context, header.vocabulary.tokens.index("\n")] == opened.context
    assert header.always and header.telling_unit == [9] and header.annotation[0].keys() == {"9"}
    assert header.title.startswith("brackets · lstm, ") and header.examples and "{count}" in header.notes["longer"]


def test_pixels_in_another_order_say_which() -> None:
    header, _ = live(prepare(checkpoints.load(CHECKPOINTS / "classify" / "digits-permuted-lstm.safetensors")))
    assert sorted(header.order_of_pixels) == [*range(64)] and header.side == 8
    assert header.reads is None and header.vocabulary.level == "label" and header.task["level"] == "row"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("tag/between-lstm-bidirectional", "it reads in both directions"),
        ("tag/nonsense-letters", "it reads words by their letters"),
        ("tree/expressions-nary", "it reads trees"),
        ("translate/sort-lstm", "it says another sequence for what it reads"),
        ("caption/count-lstm", "a label begins what it says"),
        ("classify_text/recall-lstm", ""),
    ],
)
def test_which_models_are_for_the_page(name: str, why: str) -> None:
    opened = prepare(checkpoints.load(CHECKPOINTS / f"{name}.safetensors"))
    assert why_not(opened) == why
    if why:
        with pytest.raises(ValueError, match=f"cannot run in the page: {why}"):
            live(opened)
    else:
        header, _ = live(opened)
        told = sized(header)
        assert {*json.loads(told[4:])} == {*Live.__dataclass_fields__}


def test_the_model_that_a_page_begins_with_needs_no_torch() -> None:
    say = "from lstmviz.checkpoint import load; from lstmviz.live import live; from lstmviz.opened import prepare"
    do = "import sys; live(prepare(load(sys.argv[1]))); sys.exit('torch' in sys.modules)"
    for name in ("shakespeare-char-lstm-128", "tag/between-lstm"):
        path = CHECKPOINTS / f"{name}.safetensors"
        assert subprocess.run([sys.executable, "-c", f"{say}; {do}", path], cwd=CHECKPOINTS.parent).returncode == 0


def test_a_model_is_for_the_page_up_to_so_many_weights(make_checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = prepare(make_checkpoint())
    monkeypatch.setattr("lstmviz.live.LIVE_MOST", 100)
    assert "million weights; a page runs up to" in why_not(opened)
