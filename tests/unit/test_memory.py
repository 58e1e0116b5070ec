"""Who wrote what is held: the terms sum to it, for every cell whose memory is a gated sum."""

from pathlib import Path

import numpy as np
import pytest
import torch

from lstmviz import GateTrace, load, memory, trace_module, trace_sentence
from lstmviz.cells import CELLS, cell_called
from lstmviz.explain.memory import Memory, why_no_sum
from lstmviz.gate_trace import kept
from lstmviz.reference import Reference

ROOT = Path(__file__).parents[2]
SUMS = [name for name in CELLS if not why_no_sum(cell_called(name))]


def test_only_an_rnn_has_no_such_memory() -> None:
    assert set(CELLS) - set(SUMS) == {"rnn"}


def is_taken_apart(trace: GateTrace, layer: int) -> None:
    found, cell = memory(trace, layer), cell_called(trace.cell_name)
    terms, size = found.terms(), found.held.shape
    assert terms.shape == (size[0], *size)
    assert not terms[np.triu_indices(size[0], 1)].any()
    np.testing.assert_allclose(terms.sum(1) + found.begun, found.held, rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.begun, 0, atol=1e-6)  # it was read from nothing
    # What is written is what the cell says: so much of the candidate.
    record = {name: values[layer].astype(float) for name, values in trace.items()}
    share = cell.worked_out("writes", record)
    np.testing.assert_allclose(found.written, share * record["candidate"], rtol=1e-5, atol=1e-5)
    # And a term is what a token wrote, times all that was kept since.
    late, early = size[0] - 1, 2
    left = found.written[early] * np.prod(kept(trace)[layer, early + 1 : late + 1].astype(float), axis=0)
    np.testing.assert_allclose(terms[late, early], left, rtol=1e-6, atol=1e-12)
    for unit in (0, -1):
        np.testing.assert_array_equal(found.terms(unit), terms[..., unit])
    np.testing.assert_array_equal(found.norms(), np.linalg.norm(terms, axis=-1))
    for time in (0, 3, -1):
        np.testing.assert_allclose(found.at(time), terms[time], rtol=1e-12, atol=0)


@pytest.mark.parametrize("cell", SUMS)
def test_the_terms_of_every_cell_sum_to_what_it_holds(cell: str, make_checkpoint) -> None:
    checkpoint = make_checkpoint(cell=cell, num_layers=2, hidden_size=5)
    trace = trace_sentence(checkpoint.build(), checkpoint.vocabulary, "ab caab")
    for layer in (0, 1):
        is_taken_apart(trace, layer)
    trained = load(ROOT / f"checkpoints/lineups/brackets/{cell}.safetensors")
    is_taken_apart(trace_sentence(trained.build(), trained.vocabulary, "((x)((x)x))" * 3), 0)


def test_a_gate_that_was_shut_leaves_nothing_and_is_never_divided_by() -> None:
    kept, written = np.array([[0.5], [0.0], [0.5]]), np.array([[1.0], [2.0], [4.0]])
    found = Memory(np.array([[1.0], [2.0], [5.0]]), kept, written)
    assert found.terms(0).tolist() == [[1, 0, 0], [0, 2, 0], [0, 1, 4]]
    assert found.half_lives() == [0]


def test_half_lives_are_of_the_geometric_mean() -> None:
    kept = np.array([[np.nan] * 4, [0.5, 1.0, 0.25, 0.9], [0.5, 1.0, 1.0, 0.9]])  # the first acts on nothing
    found = Memory(np.zeros((3, 4)), kept, np.zeros((3, 4)))
    assert found.half_lives() == pytest.approx([1, np.inf, 1, np.log(0.5) / np.log(0.9)])
    assert np.isnan(Memory(kept[:1], kept[:1], kept[:1]).half_lives()).all()


def test_what_was_held_before_the_first_token_has_its_share() -> None:
    torch.manual_seed(0)
    module, c_0 = torch.nn.LSTM(3, 4, num_layers=2), torch.randn(2, 4)
    trace = trace_module(module, torch.randn(6, 3), (torch.randn(2, 4), c_0))
    found = memory(trace, layer=1)
    left = trace.forget_gate[1].cumprod(0) * c_0[1].numpy()
    np.testing.assert_allclose(found.begun, left, atol=1e-6)
    np.testing.assert_allclose(found.terms().sum(1) + found.begun, trace.cell[1], atol=1e-6)


def test_in_the_direction_from_the_right_steps_come_in_that_order() -> None:
    torch.manual_seed(0)
    trace = trace_module(torch.nn.GRU(3, 4, bidirectional=True), torch.randn(5, 3))
    found = memory(trace, direction=1)
    np.testing.assert_array_equal(found.held, trace.hidden[0, 1, ::-1])
    np.testing.assert_allclose(found.terms().sum(1), trace.hidden[0, 1, ::-1], atol=1e-6)
    np.testing.assert_array_equal(memory(trace, direction=-1).terms(), found.terms())


def test_steps_that_were_not_read_are_left_out() -> None:
    torch.manual_seed(0)
    module = torch.nn.LSTM(3, 4, bidirectional=True)
    long, short = torch.randn(5, 3), torch.randn(3, 3)
    both = trace_module(module, torch.nn.utils.rnn.pack_sequence([long, short])).select(batch=1)
    alone = trace_module(module, short)
    for direction in (0, 1):
        padded, own = memory(both, direction=direction), memory(alone, direction=direction)
        np.testing.assert_allclose(padded.terms(), own.terms(), atol=1e-6)


def test_without_torch_it_is_the_same(make_checkpoint) -> None:
    checkpoint = make_checkpoint(cell="slstm", num_layers=2)
    read = np.array(checkpoint.vocabulary.encode("abcab"))
    _, records, _ = Reference(checkpoint.model, checkpoint.weights).record(read[:, None])
    arrays = {name: np.stack([record[name][:, 0] for record in records]) for name in records[0]}
    found = memory(trace_sentence(checkpoint.build(), checkpoint.vocabulary, "abcab"), 1)
    np.testing.assert_allclose(memory(GateTrace(arrays, "slstm"), 1).terms(), found.terms(), atol=1e-6)
    assert list(found.tokens) == list("abcab")


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("rnn", "rnn has no memory that is a sum over tokens: no gate keeps anything, and all of h is made anew"),
        ("nary", "what a node of nary holds is a sum over its children; there is no token before it"),
    ],
)
def test_a_cell_without_such_a_memory_says_why(cell: str, said: str) -> None:
    trace = GateTrace({"hidden": np.zeros((1, 3, 2))}, cell)
    with pytest.raises(ValueError, match=said):
        memory(trace)


def test_what_is_not_there_is_named(make_checkpoint) -> None:
    checkpoint = make_checkpoint()
    trace = trace_sentence(checkpoint.build(), checkpoint.vocabulary, "abc")
    for bad, said in (
        (lambda: memory(trace, 1), "there is no layer 1; it is 0 to 0"),
        (lambda: memory(trace, direction=1), "there is no direction 1; it is 0 to 0"),
        (lambda: memory(trace).terms(4), "there is no unit 4; it is 0 to 3"),
        (lambda: memory(trace).at(3), "there is no time 3; it is 0 to 2"),
        (lambda: memory(trace_module(torch.nn.LSTM(2, 3), torch.randn(4, 2, 2))), "the trace is of a batch"),
    ):
        with pytest.raises(ValueError, match=said):
            bad()


def test_so_is_what_a_cell_of_somebody_else_holds(make_checkpoint, minimal_gated_unit: str) -> None:
    checkpoint = make_checkpoint(cell=minimal_gated_unit)
    is_taken_apart(trace_sentence(checkpoint.build(), checkpoint.vocabulary, "ab caab"), 0)
