"""One step as arithmetic: it adds up, for every cell, and is what the trace holds."""

import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
import torch

from lstmviz import arithmetic, load, trace_sentence
from lstmviz.cells import CELLS, TREE_CELLS, cell_called
from lstmviz.cells.declared import Declared
from lstmviz.cells.equations import FUNCTIONS, OPERATORS, parse, text
from lstmviz.checkpoint import Checkpoint
from lstmviz.explain.arithmetic import Step, Term, of_a_unit, taken_apart
from lstmviz.explain.say import sentence

ROOT = Path(__file__).parents[2]
SENTENCES = json.loads((ROOT / "tests" / "web" / "sentences.json").read_text(encoding="utf-8"))
EXACT = {"rel": 1e-12, "abs": 1e-12}


def written(term: Term) -> Decimal:
    return Decimal(term.shown.replace("−", "-"))


def adds_up(term: Term) -> None:
    """Every part of a term is what its own parts come to; and what is written of the parts of a sum comes to what is
    written of it, each at most a hundredth from what would be written of it alone.
    """
    for part in term.every():
        if part.op in ("+", "-") and abs(part.value) < 99 and all(abs(each.value) < 99 for each in part.parts):
            first, last = map(written, part.parts)
            assert written(part) == (first + last if part.op == "+" else first - last), part
        assert abs(part.value) > 99 or abs(float(written(part)) - part.value) <= 0.0150001, part
        if part.mixes:
            whole, *lines = (Decimal(line.split(" = ")[-1].replace("−", "-")) for line in str(part).split("\n"))
            assert whole == written(part)
            if len(part.mixes.values) > 1 and max(abs(each) for each in (whole, *lines)) < 99:
                assert whole == sum(lines), part
            told, rest = part.mixes.largest(2)
            assert sum(each.product for each in told) + rest == pytest.approx(part.value, **EXACT), part.text
        elif part.parts:
            of = (OPERATORS | FUNCTIONS)[part.op](*(np.float64(each.value) for each in part.parts))
            assert part.value == pytest.approx(float(of), **EXACT), part.text
        else:
            assert part.op == ""


def is_the_trace(
    checkpoint: Checkpoint, read: str, layer: int, time: int, unit: int, dtype: torch.dtype = torch.float32
) -> Step:
    """Its values are the trace's, its lines add up to its values, and nothing is left out."""
    trace = trace_sentence(checkpoint.build().to(dtype), checkpoint.vocabulary, read)
    step = arithmetic(checkpoint, read, unit, layer=layer, time=time)
    cell = cell_called(checkpoint.model.cell)
    for name, symbol in cell.symbols.items():
        values = np.broadcast_to(step.values[text(parse(symbol))], trace[name].shape[-1:])
        np.testing.assert_allclose(values, trace[name][layer, time], rtol=1e-6, atol=1e-6, err_msg=name)
    lines = dict(step.lines)
    for symbol, term in lines.items():
        adds_up(term)
        assert term.value == np.ravel(step.values[symbol])[unit if np.size(step.values[symbol]) > 1 else 0]
    assert {cell.symbols[name] for name in of_a_unit(cell)} & step.equations.trees.keys() <= lines.keys()
    assert lines.keys() | step.vectors.keys() == step.equations.trees.keys()
    return step


@pytest.mark.parametrize("cell", CELLS)
def test_a_step_of_every_cell_adds_up_to_the_trace(cell: str, make_checkpoint) -> None:
    checkpoint = make_checkpoint(cell=cell, num_layers=2, hidden_size=5)
    for layer, time, unit in ((0, 0, 4), (1, 3, 0)):
        is_the_trace(checkpoint, "ab c", layer, time, unit)
    # Of the trained minLSTM, whose weights are large, the float32 trace itself is 1.6e-6 off.
    trained = load(ROOT / f"checkpoints/lineups/brackets/{cell}.safetensors")
    is_the_trace(trained, "((x)((x)", 0, 7, 9, torch.float64)


def test_a_cell_of_somebody_else_explains_itself(make_checkpoint, minimal_gated_unit: str) -> None:
    step = is_the_trace(make_checkpoint(cell=minimal_gated_unit), "abc", 0, 2, 3)
    assert [symbol for symbol, _ in step.lines] == ["f", "g", "h"]
    assert {each.vector for each in step.term("g")["U_g (f ⊙ h')"].mixes.largest()[0]} == {"f ⊙ h'"}


@pytest.mark.parametrize("cell", TREE_CELLS)
def test_a_node_of_a_tree_adds_up(cell: str) -> None:
    torch.manual_seed(0)
    layer = TREE_CELLS[cell](3, 4).double()
    x, children = torch.randn(1, 3).double(), {name: torch.randn(1, 2, 4).double() for name in ("hidden", "cell")}
    with torch.no_grad():
        whole, weights = layer.by_equations(x, children), layer.by_symbol()
    given = {"x": x[0], **{f"{s}_{k + 1}": children[n][0, k] for n, s in layer.states.items() for k in (0, 1)}}
    step = taken_apart(cell_called(cell), {symbol: each.detach() for symbol, each in weights.items()}, given, 2, 2)
    for symbol, term in step.lines:
        adds_up(term)
        assert term.value == pytest.approx(float(whole[symbol][0, 2]), abs=1e-12)
    assert {"i", "f_1", "f_2", "g", "o", "c", "h"} <= dict(step.lines).keys()


def test_what_adds_most_is_told_with_its_own_numbers(make_checkpoint) -> None:
    checkpoint = make_checkpoint(cell="lstm", hidden_size=8, num_layers=2)
    step = arithmetic(checkpoint, "abcab", 6, layer=1)
    trace = trace_sentence(checkpoint.build(), checkpoint.vocabulary, "abcab")
    row = checkpoint.weights["layers.1.native.weight_hh_l0"][8 + 6]  # of f, behind the 8 rows of i
    term = step.term("f")["U_f h'"]
    told, rest = term.mixes.largest(3)
    products = row.astype(float) * trace.hidden[1, 3]
    assert [each.index for each in told] == np.argsort(-np.abs(products))[:3].tolist()
    assert [each.weight for each in told] == [row[each.index] for each in told]
    assert [each.value for each in told] == pytest.approx([trace.hidden[1, 3, each.index] for each in told], abs=1e-6)
    assert rest == pytest.approx(products.sum() - sum(each.product for each in told), abs=1e-6)
    assert {each.vector for each in told} == {"h'"} and term.mixes.largest(99)[1] == 0
    of_x = step.term("f")["W_f x"].mixes.largest()[0]
    assert of_x[0].value == pytest.approx(trace.hidden[0, 4, of_x[0].index], abs=1e-6)  # the layer below's


def test_what_is_shown_of_the_rest_adds_up_in_the_digits_shown(make_checkpoint) -> None:
    said = str(arithmetic(make_checkpoint(hidden_size=40), "abcab", 6).term("f")["U_f h'"]).replace("−", "-")
    whole, *summands = (float(line.split(" = ")[-1]) for line in said.split("\n"))
    assert len(summands) == 6 and sum(summands) == pytest.approx(whole, abs=1e-9)


def test_a_joined_vector_says_which_of_its_parts_counts(make_checkpoint) -> None:
    term = arithmetic(make_checkpoint(cell="lstm_concat"), "abc", 1).term("i")["W_i [h', x]"]
    assert sorted((each.vector, each.index) for each in term.mixes.largest(7)[0]) == [
        *(("h'", k) for k in range(4)), *(("x", k) for k in range(3)),
    ]  # fmt: skip


def of_one_unit(cell: type[Declared], **given: float) -> Step:
    """A step of a cell with one unit and one input, its matrices and vectors given."""
    return taken_apart(cell, {}, {k.replace("_past", "'"): [[v]] if k[0] in "WU" else [v] for k, v in given.items()}, 0)


def test_numbers_stand_where_the_symbols_stood() -> None:
    gates = {f"{of}_{k}": 0.0 for of in "WUb" for k in "igo"}
    step = of_one_unit(
        cell_called("lstm"), W_f=1.21, U_f=-0.34, b_f=0.5, x=1, h_past=1, c_past=-2, first=False, **gates
    )
    assert step.term("f").text == "σ(W_f x + U_f h' + b_f)"
    assert step.term("f").in_numbers() == ["σ(1.21 − 0.34 + 0.50)", "σ(1.37)", "0.80"]
    assert step.term("c").in_numbers() == ["0.80 ⊙ (−2.00) + 0.50 ⊙ 0.00", "−1.59 + 0.00", "−1.59"]
    assert "\nf = σ(W_f x + U_f h' + b_f)\n  = σ(1.21 − 0.34 + 0.50) = σ(1.37) = 0.80\n" in str(step)
    low, high = (of_one_unit(cell_called("mingru"), W_z=0, b_z=0, W_h=1, b_h=0, x=x, h_past=1) for x in (-1, 1))
    assert low.term("ĥ").in_numbers() == ["σ(−1.00 + 0.00)", "σ(−1.00)", "0.27"]  # of a condition what holds
    assert high.term("ĥ").in_numbers() == ["1.00 + 0.00 + 0.5", "1.50"]


def test_what_mixes_units_is_a_vector_of_no_one_unit(make_checkpoint) -> None:
    step = arithmetic(make_checkpoint(cell="mogrifier"), "abc", 1)
    assert {symbol: len(values) for symbol, values in step.vectors.items()} == {
        "x_1": 3, "h_2": 4, "x_3": 3, "h_4": 4, "x_5": 3,
    }  # fmt: skip
    assert step.term("x_5", 2).value == step.values["x_5"][2] and "x_5 = 2σ(Q_5 h_4) ⊙ x_3, 3 numbers" in str(step)
    assert arithmetic(make_checkpoint(cell="lstmp"), "abc", 3).vectors.keys() == {"h"}  # a projection
    norm = arithmetic(make_checkpoint(cell="layernorm"), "abc", 1).term("a_f")
    assert [len(norm[part].mixes.values) for part in ("mean(W x)", "var(U h')")] == [16, 16]  # of all four gates
    assert norm["W x"].index == 4 + 1  # behind the four rows of i


def test_it_is_said_word_for_word_as_the_page_says_it() -> None:
    for case in SENTENCES:
        if case["time"] or case["begins"]:  # else the page says what is on the map
            now, before = ({name: pair[k] for name, pair in case["values"].items()} for k in (0, 1))
            told = sentence(cell_called(case["cell"]), now, None if None in before.values() else before)
            assert told == case["sentence"], case["cell"]


def test_rows_of_an_image_and_ids_are_read_too(classifier, make_checkpoint) -> None:
    rows = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    assert arithmetic(classifier(), rows, 3, time=5).said.startswith("Keeps ")
    checkpoint = make_checkpoint()
    ids = checkpoint.vocabulary.encode("abca")
    assert str(arithmetic(checkpoint, ids, 2)) == str(arithmetic(checkpoint, "abca", 2))
    assert arithmetic(checkpoint, "a", 2).said.startswith("Starts empty, ")


@pytest.mark.parametrize("read", [[5, 99], [-1], [0.5], [[1, 2]], np.array([1.0])])
def test_what_a_model_does_not_read_is_named(read, make_checkpoint, classifier) -> None:
    with pytest.raises(ValueError, match="this model reads ids of tokens, whole numbers from 0 to "):
        arithmetic(make_checkpoint(), read, 0)
    for wrong in (read, "abc", np.empty((0, 8))):
        with pytest.raises(ValueError, match="this model reads an image row by row: an array"):
            arithmetic(classifier(), wrong, 0)


@pytest.mark.parametrize(
    ("read", "at", "said"),
    [
        ("", {}, "there is nothing to read; a text must have at least one token"),
        ("abc", {"unit": 4}, "there is no unit 4; it is 0 to 3, or from −4 on counted from the end"),
        ("abc", {"time": 3}, "there is no time 3; it is 0 to 2"),
        ("abc", {"layer": -2}, "there is no layer -2; it is 0 to 0"),
    ],
)
def test_what_is_not_there_is_named(read: str, at: dict, said: str, make_checkpoint) -> None:
    with pytest.raises(ValueError, match=said):
        arithmetic(make_checkpoint(), read, **{"unit": 0} | at)


def test_a_part_that_is_none_and_a_model_that_cannot_be_run_so_are_named(make_checkpoint) -> None:
    step = arithmetic(make_checkpoint(), "abc", 1)
    with pytest.raises(KeyError, match="U_z h' is no part of σ"):
        step.term("f")["U_z h'"]
    with pytest.raises(ValueError, match="z has no equation here; there is one of i, f, g, o, c, h"):
        step.term("z")
    with pytest.raises(ValueError, match="there is no h number 4; it is 0 to 3"):
        step.term("h", 4)
    with pytest.raises(ValueError, match="cannot be taken apart: it reads trees"):
        arithmetic(load(ROOT / "checkpoints/tree/expressions-nary.safetensors"), "3", 0)


def test_the_readme_prints_what_it_says(capsys, monkeypatch) -> None:
    monkeypatch.chdir(ROOT)
    _, _, section = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Inside one step\n")
    _, example, _, printed, *_ = section.split("```")
    exec(example.removeprefix("python"), {})
    assert capsys.readouterr().out == printed.removeprefix("\n")


def test_no_torch_is_needed() -> None:
    say = "import sys; from lstmviz import arithmetic, load, memory; memory; arithmetic(load(sys.argv[1]), '((x)', 9)"
    run = [sys.executable, "-c", f"{say}; sys.exit('torch' in sys.modules)", ROOT / "checkpoints/brackets.safetensors"]
    assert subprocess.run(run, cwd=ROOT).returncode == 0
