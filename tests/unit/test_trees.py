"""Trees: expressions as they are typed, and models that read them node by node."""

import dataclasses
import itertools
import random
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from lstmviz import checkpoint as checkpoints
from lstmviz import cli
from lstmviz.card import card
from lstmviz.cells import TREE_CELLS
from lstmviz.checkpoint import Checkpoint, CheckpointError, dumps, loads, weights_of
from lstmviz.config import ModelConfig, TrainConfig
from lstmviz.data.expressions import (
    EXPRESSIONS,
    LABELS,
    OPERATIONS,
    SYMBOLS,
    Expression,
    Unfinished,
    draw,
    drawn,
    generate,
    trees_of,
    without_order,
)
from lstmviz.data.vocabulary import IGNORED, PADDING, Vocabulary
from lstmviz.explain.depth import accuracy_by_depth, right_at_the_root
from lstmviz.gate_trace import held, kept
from lstmviz.model import LanguageModel
from lstmviz.tasks import TASKS, fitted_to, open_data
from lstmviz.tasks.tree import nodes_and_values
from lstmviz.trace import trace_tree
from lstmviz.training.folder import RunConfig
from lstmviz.training.loop import Trainer, judged
from lstmviz.training.probe import Probe

TREE = TrainConfig(EXPRESSIONS, "word", task="tree", batch_size=32, learning_rate=2e-2, steps=120, eval_every=120)
TYPED = "max(3, min(7, 2), 5)"
every_cell = pytest.mark.parametrize("name", TREE_CELLS)


def model_of(cell: str = "nary", **options) -> LanguageModel:
    torch.manual_seed(0)
    config = ModelConfig(
        **{"embedding_size": 6, "hidden_size": 8, "cell": cell, "tokens_read": len(SYMBOLS), **options}
    )
    return LanguageModel(config, len(LABELS))


@pytest.fixture
def grower(make_checkpoint):
    """Makes an untrained checkpoint that reads trees."""

    def make(cell: str = "nary", **options) -> Checkpoint:
        model = model_of(cell, **options)
        return dataclasses.replace(
            make_checkpoint(),
            model=model.config,
            train=TREE,
            vocabulary=LABELS,
            reads=SYMBOLS,
            weights=weights_of(model),
            results={"valid_nll": 2.0, "valid_accuracy": 0.25},
            corpus_name=EXPRESSIONS,
        )

    return make


# ---- expressions -----------------------------------------------------------------------------------------------------


def test_an_expression_is_a_tree_in_post_order_whose_every_value_is_known():
    tree = Expression.parse(TYPED)
    assert tree.symbols == ("3", "7", "2", "min", "5", "max") and tree.parents == (5, 3, 3, 5, 5, -1)
    assert tree.children == [[], [], [], [1, 2], [], [0, 3, 4]]
    assert tree.values == ["3", "7", "2", "2", "5", "5"] and tree.depths == [0, 0, 0, 1, 0, 2]
    assert str(tree) == TYPED == str(Expression.parse("  max(3,min( 7 ,2 )\n, 5 ) "))
    assert Expression.parse("first(3, 9)").values[-1] == "3" and Expression.parse("7").values == ["7"]


@given(st.integers(0, 10**6), st.integers(1, 8))
@settings(max_examples=60, deadline=None)
def test_what_is_drawn_is_read_back_and_worth_what_python_says(seed, depth):
    tree = draw(random.Random(seed), depth, 100)
    assert Expression.parse(str(tree)) == tree and tree.depths[-1] == depth and len(tree.symbols) <= 100
    assert int(tree.values[-1]) == eval(str(tree), {"max": max, "min": min, "first": lambda *values: values[0]})


DIGIT = "a digit from 0 to 9, max, min or first"


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("", "there is no expression; type one as max(3, min(7, 2), 5)"),
        (" \n", "there is no expression"),
        ("max(3, 5", "after “max(3, 5” there must still come “,” or “)”"),
        ("max(3, 5))", "after “max(3, 5)” comes “)” in place of its end"),
        ("max(3", "after “max(3” there must still come “,”"),
        ("max(3)", "after “max(3” comes “)” in place of “,”"),
        ("max(1,2,3,4)", "after “max(1,2,3” comes “,” in place of “)”; an operation has 2 or 3 arguments"),
        ("max(3; 5)", "after “max(3” comes “;” in place of “,”"),
        ("max(, 5)", f"after “max(” comes “,” in place of {DIGIT}"),
        ("max(3, 12)", f"after “max(3,” comes “12” in place of {DIGIT}"),
        ("max(3, -4)", f"after “max(3,” comes “-” in place of {DIGIT}"),
        ("median(3, 5)", f"at its beginning comes “median” in place of {DIGIT}"),
        ("max 3", "after “max” comes “3” in place of “(”"),
    ],
)
def test_what_is_no_expression_is_refused_in_a_sentence_that_names_the_place(typed, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        Expression.parse(typed)


def test_it_is_read_as_people_type_it():
    for typed in ("MAX(3, min(7,2) 5)", "max (3 min ( 7 2 )5 )", "Max(3,Min(7 ,2), 5)"):
        assert str(Expression.parse(typed)) == TYPED


@pytest.mark.parametrize(
    ("typed", "whole"),
    [
        ("max(3, min(7, 2", "max(3, min(7, 2))"),
        ("max(3, min(7, 2), ", "max(3, min(7, 2))"),
        ("max(3, 2, min(7, m", "max(3, 2)"),
        ("max(3, min(7, 2, 5)", "max(3, min(7, 2, 5))"),
        ("max(3, min(7", None),
        ("ma", None),
        ("max", None),
        ("", None),
    ],
)
def test_what_is_begun_is_read_as_far_as_it_is_whole(typed, whole):
    with pytest.raises(Unfinished):
        Expression.parse(typed)
    found = Expression.begun(typed)
    assert (found and str(found)) == whole


@given(st.integers(0, 10**6), st.integers(1, 5))
@settings(max_examples=30, deadline=None)
def test_every_beginning_of_an_expression_is_unfinished_and_what_is_whole_of_it_is_one(seed, depth):
    text = str(draw(random.Random(seed), depth, 40))
    for end in range(len(text)):
        with pytest.raises(Unfinished):
            Expression.parse(text[:end])
        whole = Expression.begun(text[:end])
        assert whole is None or (whole.is_one() and Expression.parse(str(whole)) == whole)


@pytest.mark.parametrize(
    "parents", [(), (0,), (-2,), (-1, -1), (1, 0), (2, -1, -1), (3, 3, 1, -1), (2, 9, -1), (3, 2, 3, 1)]
)
def test_what_is_no_tree_in_post_order_is_none(parents):
    assert not Expression(("1",) * len(parents), parents).is_one()
    assert not Expression(("1",) * 402, (*range(1, 402), -1)).is_one()  # too deep
    assert Expression.parse(TYPED).is_one() and Expression(("1",), (-1,)).is_one()


def test_an_expression_may_be_200_deep_and_have_2000_nodes():
    for typed in ("max(1, " * 201 + "1" + ")" * 201, "max(" * 10**5):
        with pytest.raises(
            ValueError, match=r"after “….{40}” there are more than 200 operations, one within the other"
        ):
            Expression.parse(typed)
    deep = Expression.parse("max(1, " * 200 + "1" + ")" * 200)
    assert deep.depths[-1] == 200 and len(deep.symbols) == 401

    def full(depth: int) -> str:
        return f"max({', '.join([full(depth - 1)] * 3)})" if depth else "1"

    assert len(Expression.parse(full(6)).symbols) == 1093
    with pytest.raises(ValueError, match="there are more than 2,000 digits and operations"):
        Expression.parse(full(7))


def test_what_the_order_tells_is_worked_out_as_by_trying_all_orders():
    for tree in generate(40, seed=2):
        if len(tree.symbols) < 11:
            orders = [list(itertools.permutations(children)) or [()] for children in tree.children]
            said = [Counter() for _ in tree.symbols]
            for order in itertools.product(*orders):
                values: list[str] = []
                for symbol, children in zip(tree.symbols, order, strict=True):
                    values.append(OPERATIONS[symbol]([values[c] for c in children]) if children else symbol)
                for counter, value in zip(said, values, strict=True):
                    counter[value] += 1
            best = [max(c.values()) / c.total() for c, children in zip(said, tree.children, strict=True) if children]
            assert without_order(tree) == pytest.approx(best)


def test_the_drawn_expressions_are_the_same_for_the_same_seed_and_each_stands_once():
    assert generate(300) == generate(300) != generate(300, seed=1)
    train, valid, test = drawn()
    assert len({*train, *valid, *test}) == len(train) + len(valid) + len(test) > 8_000
    assert {tree.depths[-1] for tree in test} == {1, 2, 3, 4, 5} and max(len(tree.symbols) for tree in train) == 40
    most = [chance for tree in test for chance in without_order(tree)]
    assert f"at most {np.mean(most):.2%} of the test part" in TASKS["tree"].known[EXPRESSIONS]
    commonest = max(sum(tree.values[-1] == digit for tree in test) for digit in LABELS.tokens)
    assert commonest / len(test) < 0.16  # a digit said blindly is seldom right


# ---- as they are read ------------------------------------------------------------------------------------------------


def test_every_operation_is_asked_and_no_digit_and_no_padding():
    corpus = open_data(TREE)
    assert corpus.reads == SYMBOLS and corpus.vocabulary == LABELS and corpus.tokens_read == 17
    symbols, values, parents = nodes_and_values(corpus.valid[:50].transpose(0, 1).long())  # (T, B) each
    assert len(symbols) == max(len(tree.symbols) for tree in drawn()[1][:50])
    for b, tree in enumerate(drawn()[1][:50]):
        size = len(tree.symbols)
        assert [SYMBOLS.tokens[i] for i in symbols[:size, b]] == [*tree.symbols]
        assert parents[:size, b].tolist() == [*tree.parents]
        asked = [
            int(value) if children else IGNORED for value, children in zip(tree.values, tree.children, strict=True)
        ]
        assert values[:size, b].tolist() == asked
        assert (symbols[size:, b] == PADDING).all() and (values[size:, b] == IGNORED).all()


def test_as_text_the_same_values_are_asked_where_the_brackets_close():
    corpus = open_data(dataclasses.replace(TREE, task="tag"))
    for sequence, tree in zip(corpus.test[:50], drawn()[2], strict=False):
        tokens, labels = sequence[sequence[:, 0] != PADDING].T.tolist()
        said = [corpus.reads.tokens[i] for i in tokens]
        assert "".join(said) == str(tree).replace(" ", "")
        asked = [(token, label) for token, label in zip(said, labels, strict=True) if label != IGNORED]
        inner = [int(value) for value, children in zip(tree.values, tree.children, strict=True) if children]
        assert asked == [(")", value) for value in inner]
    assert corpus.sha256 == open_data(TREE).sha256 and corpus.vocabulary == LABELS


def test_a_file_has_an_expression_a_line(tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text(f"{TYPED}\n\nmin(1,2)\n" * 10)
    corpus = open_data(dataclasses.replace(TREE, corpus=str(path)))
    assert [len(part) for part in (corpus.train, corpus.valid, corpus.test)] == [16, 2, 2] and corpus.name == "mine"
    for line, said in (("max(3, 5", "there must still come"), ("7", "asks for nothing")):
        path.write_text(f"{TYPED}\n{line}\n{TYPED}\n")
        with pytest.raises(ValueError, match=rf"line 2 of mine.txt: .*{said}"):
            open_data(dataclasses.replace(TREE, corpus=str(path)))
    with pytest.raises(ValueError, match="nowhere"):
        open_data(dataclasses.replace(TREE, corpus="nowhere.txt"))


def test_a_value_that_a_model_does_not_know_is_said():
    trees = [Expression.parse(TYPED)]
    with pytest.raises(ValueError, match="has the label 2, which is not known; known are 3, 5"):
        trees_of("it", [trees] * 3, Vocabulary("label", ("3", "5")))


# ---- training --------------------------------------------------------------------------------------------------------


@every_cell
def test_values_are_learned_by_the_trainer_that_trains_all(name):
    model, corpus = model_of(name, hidden_size=16), open_data(TREE)
    before = judged(model, corpus.valid, TREE)
    trainer = Trainer(model, corpus, TREE)
    records = [record for record in trainer if record]
    after = judged(model, corpus.valid, TREE)
    assert (
        before.accuracy < 0.3 and after.accuracy > 0.4 and (records[-1].valid_nll, records[-1].valid_accuracy) == after
    )
    assert not records[0].zero_gradients
    nodes = sum(len(tree.symbols) for tree in drawn()[0][:1000]) / 1000
    assert trainer.batches.bptt == pytest.approx(nodes)  # no padding


def test_the_loss_is_the_mean_over_all_operations_of_all_trees():
    model, trees = model_of(num_layers=2).double().eval(), generate(9, seed=4)
    part = trees_of("it", [trees] * 3).train
    losses, right, roots = [], [], []
    for tree in trees:  # one by one
        symbols = torch.tensor(SYMBOLS.encode_tokens(tree.symbols))[:, None]
        with torch.no_grad():
            hidden, _ = model.run(model.embed(symbols), None, torch.tensor(tree.parents)[:, None])
            scores = model.decode(hidden[:, 0])
        for score, value, children in zip(scores, tree.values, tree.children, strict=True):
            if children:
                losses.append(F.cross_entropy(score, torch.tensor(int(value))).item())
                right.append(score.argmax().item() == int(value))
        roots.append(right[-1])
    judgement = judged(model, part, TREE)
    assert judgement == pytest.approx((np.mean(losses), np.mean(right)), abs=1e-6)
    symbols, values, parents = nodes_and_values(part.transpose(0, 1).long())
    assert model.loss(symbols, values, None, parents)[0].item() == pytest.approx(np.mean(losses), abs=1e-6)
    assert right_at_the_root(model, part, nodes_and_values).tolist() == roots


def test_a_training_is_gone_on_with_to_the_bit():
    def trainer() -> Trainer:
        return Trainer(model_of(dropout=0.2, num_layers=2), open_data(TREE), TREE)

    torch.manual_seed(1)
    whole, half = trainer(), trainer()
    torch.manual_seed(1)
    for _ in range(6):
        whole.take_step()
    torch.manual_seed(1)
    for _ in range(4):
        half.take_step()
    saved, rest = half.state_dict(), trainer()
    rest.load_state_dict(saved)
    for _ in range(2):
        rest.take_step()
    assert all(map(torch.equal, whole.model.parameters(), rest.model.parameters()))


# ---- what a checkpoint says of it ------------------------------------------------------------------------------------


@every_cell
def test_a_model_of_trees_comes_back_whole(name, grower):
    data = dumps(grower(name, num_layers=2))
    back = loads(data)
    assert dumps(back) == data and back.train.task == "tree" and back.reads == SYMBOLS
    (one, _), (other, _) = (
        trace_tree(c.build(), Expression.parse(TYPED), SYMBOLS, LABELS) for c in (back, grower(name, num_layers=2))
    )
    assert all(np.array_equal(one[key], other[key], equal_nan=True) for key in one)
    assert f"2 × {name}, 8 units" in card(back) and "13 words" in card(back)


@pytest.mark.parametrize(
    ("cell", "task", "said"),
    [
        ("lstm", "tree", "the task tree needs a cell that reads a tree: child_sum, nary; lstm reads none"),
        ("nary", "tag", "the task tag needs a cell that reads a sequence: rnn, lstm, .*; nary reads none"),
        ("child_sum", "language", "the task language needs a cell that reads a sequence"),
    ],
)
def test_a_cell_that_does_not_fit_its_task_is_refused_in_a_sentence(cell, task, said, grower):
    config = dataclasses.replace(grower().model, cell=cell)
    with pytest.raises(ValueError, match=said):
        RunConfig(dataclasses.replace(TREE, task=task), config)
    with pytest.raises(
        CheckpointError, match=f"a model that reads (trees|tokens) and says labels is not for the task {task}"
    ):
        loads(dumps(dataclasses.replace(grower(), model=config, train=dataclasses.replace(TREE, task=task))))
    with pytest.raises(ValueError, match="a model for the task tree reads in one direction, since a tree grows"):
        RunConfig(TREE, ModelConfig("nary", bidirectional=True))


def test_a_node_with_too_many_children_is_refused_in_a_sentence():
    parents, model = torch.tensor([4, 4, 4, 4, -1])[:, None], model_of("nary")
    with pytest.raises(ValueError, match="a node has 4 children; the model has places for 3"):
        model.run(model.embed(torch.zeros(5, 1, dtype=torch.int64)), None, parents)
    model_of("child_sum").run(model.embed(torch.zeros(5, 1, dtype=torch.int64)), None, parents)


# ---- looking inside --------------------------------------------------------------------------------------------------


@every_cell
def test_a_trace_of_a_tree_has_its_nodes_for_time_and_each_forget_gate_at_its_child(name, grower):
    model, tree = grower(name).build().double(), Expression.parse(TYPED)
    trace, likely = trace_tree(model, tree, SYMBOLS, LABELS)
    assert trace.tokens == tree.symbols and trace.sizes == {"layer": 1, "time": 6, "unit": 8}
    assert list(trace) == ["input_gate", "forget_gate", "candidate", "output_gate", "cell", "hidden"]
    assert np.isnan(trace.forget_gate[0]).all(-1).tolist() == [parent < 0 for parent in tree.parents]
    # c of every node from what is recorded: what it writes, and of each child what its own gate keeps.
    for node, children in enumerate(tree.children):
        keeps = sum(trace.forget_gate[0, child] * trace.cell[0, child] for child in children)
        writes = trace.input_gate[0, node] * trace.candidate[0, node]
        np.testing.assert_allclose(trace.cell[0, node], writes + keeps, atol=1e-12)
    np.testing.assert_allclose(trace.hidden, trace.output_gate * np.tanh(trace.cell), atol=1e-12)
    log_p = model.decode(torch.from_numpy(trace.hidden[0])).log_softmax(-1).detach().numpy()
    asked = [node for node, children in enumerate(tree.children) if children]
    assert trace.nll[asked] == pytest.approx([-log_p[node, int(tree.values[node])] for node in asked], abs=1e-6)
    assert np.isnan(np.delete(trace.nll, asked)).all() and np.array_equal(likely.ids[:, 0], log_p.argmax(-1))
    assert np.array_equal(kept(trace), trace.forget_gate, equal_nan=True) and np.array_equal(held(trace), trace.cell)


@pytest.mark.parametrize("sentence", ["", TYPED])
def test_a_probe_of_a_tree_comes_back(sentence, grower):
    usual = np.mean([len(tree.symbols) for tree in drawn()[1]])
    first = next(tree for tree in drawn()[1] if len(tree.symbols) >= usual)
    tree = Expression.parse(sentence) if sentence else first
    probe = Probe.of(grower().build(), open_data(TREE), sentence)
    back = Probe.loads(probe.dumps(), "nary")
    assert back.ids == SYMBOLS.encode_tokens(tree.symbols)
    expected, _ = trace_tree(grower().build(), tree, SYMBOLS, LABELS)
    assert all(np.array_equal(back.trace[name], expected[name], equal_nan=True) for name in expected)


def test_a_probe_that_is_no_expression_is_refused_before_anything_is_trained():
    with pytest.raises(ValueError, match="there must still come"):
        RunConfig(TREE, model_of().config, "max(3, 5")


def test_how_deep_a_model_can_go_is_asked_of_trees_and_of_text_alike(grower, monkeypatch):
    monkeypatch.setattr("lstmviz.explain.depth.DEPTHS", (1, 6))
    text = open_data(dataclasses.replace(TREE, task="tag"))
    torch.manual_seed(0)
    reader = LanguageModel(fitted_to(text, ModelConfig(embedding_size=4, hidden_size=6)), 10)
    of_text = dataclasses.replace(
        grower(),
        model=reader.config,
        weights=weights_of(reader),
        reads=text.reads,
        train=dataclasses.replace(TREE, task="tag"),
    )
    for checkpoint in (grower(), of_text):
        found = accuracy_by_depth(checkpoint, count=30)
        assert [*found] == [1, 6] and all(0 <= accuracy < 0.6 for accuracy in found.values())


# ---- the command line ------------------------------------------------------------------------------------------------


def test_the_command_line_trains_judges_and_traces_trees(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    train = dataclasses.replace(TREE, steps=4, eval_every=2)
    cli.train(Path("runs/t"), train, ModelConfig("child_sum", hidden_size=6, embedding_size=4), probe=TYPED)
    best = Path("runs/t/best.safetensors")
    results = checkpoints.load(best).results
    assert set(results) == {"valid_nll", "valid_accuracy", "test_nll", "test_accuracy"}
    capsys.readouterr()
    monkeypatch.setattr("lstmviz.explain.depth.DEPTHS", (1, 3))
    cli.evaluate(best, EXPRESSIONS, "test")
    said = capsys.readouterr().out
    assert f"trees): {results['test_accuracy']:.2%} right" in said and "right at the root" in said and "% at 3" in said
    cli.trace(best, TYPED, tmp_path / "trace.csv")
    table = pd.read_csv(tmp_path / "trace.csv")
    first = table[table.unit == 0]
    assert len(table) == 6 * 6 and [*first.token] == ["3", "7", "2", "min", "5", "max"]
    assert [*first.parent] == [5, 3, 3, 5, 5, -1] and [*first.value] == [3, 7, 2, 2, 5, 5]
    assert first.probability.between(0, 1).all() and first.forget_gate.notna().sum() == 5
    with pytest.raises(ValueError, match="there must still come"):
        cli.trace(best, "max(3, 5", tmp_path / "trace.csv")


def test_a_line_up_of_all_is_one_of_all_cells_of_trees(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(cli, "follow_all", lambda lineup, *_: made.extend(lineup.members.values()))
    train = {name: value for name, value in vars(TREE).items() if name not in ("bptt", "seed")}
    model = {name: value for name, value in vars(ModelConfig()).items() if name not in ("cell", "num_layers")}
    cli.sweep(tmp_path / "s", train, model, cells=("all",), parameters=8000, workers=1)
    assert [member.model.cell for member in made] == [*TREE_CELLS] == [*TASKS["tree"].cells]
    assert made[0].model.hidden_size > made[1].model.hidden_size > 10


# ---- what is shipped -------------------------------------------------------------------------------------------------


def test_the_shipped_tree_lstm_knows_the_value_of_every_operation_and_keeps_the_first_of_first():
    shipped = checkpoints.load(Path(__file__).parents[2] / "checkpoints/tree/expressions-nary.safetensors")
    model = shipped.build()
    for typed in (TYPED, "first(9, 2, max(1, 4))", "min(8, first(min(6, 7), 3), 9)"):
        tree = Expression.parse(typed)
        _, likely = trace_tree(model, tree, SYMBOLS, LABELS)
        said = [LABELS.tokens[i] for i in likely.ids[:, 0]]
        assert all(s == v for s, v, children in zip(said, tree.values, tree.children, strict=True) if children)
    trace, _ = trace_tree(model, Expression.parse("first(5, 5, 5)"), SYMBOLS, LABELS)
    first, second, third = trace.forget_gate[0, :3].mean(-1)
    assert first > 1.5 * max(second, third)
