"""The language of the cells' equations: what is read, what it is worth, how it is written down."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lstmviz.cells import CELLS
from lstmviz.cells.equations import BARE, FUNCTIONS, Equations, evaluate, parse, text


@pytest.mark.parametrize(
    ("shown", "tree"),
    [
        ("f ⊙ c' + i ⊙ g", ("+", ("*", "f", "c'"), ("*", "i", "g"))),
        ("o ⊙ c / n", ("/", ("*", "o", "c"), "n")),
        ("a − b + c", ("+", ("-", "a", "b"), "c")),
        ("−a ⊙ b", ("neg", ("*", "a", "b"))),
        ("W_f x + b_f", ("+", ("@", "W_f", "x"), "b_f")),
        ("W_f [h', x]", ("@", "W_f", ("concat", "h'", "x"))),
        ("W_hr (o ⊙ tanh(c))", ("@", "W_hr", ("*", "o", ("tanh", "c")))),
        ("2σ(Q_1 h') ⊙ x", ("*", ("*", 2, ("σ", ("@", "Q_1", "h'"))), "x")),
        ("ln σ(f̃) + m'", ("+", ("ln", ("σ", "f̃")), "m'")),
        ("(v − mean v) / √(var v + 0.5)", ("/", ("-", "v", ("mean", "v")), ("√", ("+", ("var", "v"), 0.5)))),
        ("u + 0.5 if u ≥ 0, else σ(u)", ("if", ("≥", "u", 0), ("+", "u", 0.5), ("σ", "u"))),
        ("max(a, b) - 1", ("-", ("max", "a", "b"), 1)),
    ],
)
def test_what_a_cell_can_say(shown, tree):
    assert parse(shown) == tree
    assert text(parse(shown)) == shown.replace("-", "−")


names = st.sampled_from(["x", "h'", "f̂", "W_f", "ĩ", "b_hn"])
numbers = st.integers(0, 99).map(float) | st.sampled_from([0.5, 0.00001, 12.25])
trees = st.recursive(
    names | numbers,
    lambda tree: st.one_of(
        st.tuples(st.sampled_from(["+", "-", "*", "/", "max"]), tree, tree),
        st.tuples(st.just("@"), names | st.tuples(st.just("σ"), tree), tree),
        st.tuples(st.sampled_from(["neg", *BARE, "σ", "exp"]), tree),
        st.tuples(st.just("concat"), tree, tree),
        st.tuples(st.just("if"), st.tuples(st.just("≥"), tree, tree) | names, tree, tree),
    ),
    max_leaves=12,
)


@given(trees)
@settings(max_examples=300, deadline=None)
def test_a_tree_is_what_its_text_says(tree):
    assert parse(text(tree)) == tree
    assert parse(text(tree).replace(" + ", "+").replace(" ⊙ ", "⊙")) == tree


@given(st.text(alphabet="σf̂c'W_1 .+−⊙/()[],≥=;if else ln\n", max_size=30))
@settings(max_examples=300, deadline=None)
def test_what_cannot_be_read_is_said_in_a_sentence(shown):
    try:
        equations = Equations.of(shown)
    except ValueError as error:
        assert (
            str(error).startswith(("the expression “", "the equation “"))
            or " is defined twice" in str(error)
            or (str(error).endswith("cannot be computed: each needs another of them"))
        )
    else:
        assert Equations.from_json(json.loads(json.dumps(equations.to_json()))) == equations


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        ("f = σ(W x", "the expression “σ(W x” cannot be read: after “σ(W x” comes its end in place of “)”"),
        ("f = a ] b", "the expression “a ] b” cannot be read: after “a” comes “]” in place of its end"),
        ("f = ⊙ a", "cannot be read: at its beginning comes “⊙” in place of a number, a symbol, “(” or “["),
        ("f = a if b ≥ c", "after “a if b ≥ c” comes its end in place of “else”"),
        ("f ← a", "the equation “f ← a” cannot be read: it must begin with a symbol and “ = ”"),
        ("i, f = a", "the equation “i, f = a” has 2 sides on the left, 1 on the right"),
        ("f = a\nf = b", "f is defined twice"),
        ("f = g  g = σ(f)", "f, g cannot be computed: each needs another of them"),
    ],
)
def test_errors_are_sentences(shown, said):
    with pytest.raises(ValueError) as error:
        Equations.of(shown)
    assert said in str(error.value)


def test_several_equations_in_any_order():
    equations = Equations.of(
        "h = k ⊙ n\n  k, n = σ(a), g(a) + m'      (a; b) = W x + b'\nm' = x at the first step  g(u) = u / 2"
    )
    assert equations.given == {"W", "x", "b'", "m'", "first"}
    W, x, before = torch.randn(6, 3), torch.randn(2, 3), torch.randn(2, 6)
    env = {"W": W, "x": x, "b'": before, "m'": torch.ones(2, 3), "first": torch.tensor([[True], [False]])}
    values = equations.evaluate(env)
    a = (x @ W.T + before)[:, :3]
    n = a / 2 + torch.stack([x[0], torch.ones(3)])
    torch.testing.assert_close(values["h"], a.sigmoid() * n)
    torch.testing.assert_close(values["W x"], x @ W.T)
    with pytest.raises(ValueError, match="the symbol x has no value"):
        equations.evaluate({"W": W})
    with pytest.raises(ValueError, match=r"nope, of “nope.x.”, is not one of the functions"):
        evaluate(parse("nope(x)"), {"x": x})


def test_a_logarithm_on_the_left_defines_what_it_is_of():
    equations = Equations.of("ln i = a − m      c = i ⊙ z")
    values = equations.evaluate({"a": torch.tensor([2.0]), "m": torch.tensor([1.0]), "z": torch.tensor([3.0])})
    torch.testing.assert_close(values["c"], 3 * torch.tensor([1.0]).exp())
    assert equations.in_terms_of({"ln i"}, parse("i / n")) == ("/", ("exp", "ln i"), "n")
    assert evaluate(parse("ln i"), dict(values)) == values["ln i"] == 1


def test_forcing_goes_by_the_text():
    equations = Equations.of("f = σ(W x + U h')    h = f ⊙ h'")
    x, h = torch.randn(2, 3), torch.randn(2, 3)
    env = {"W": torch.randn(3, 3), "U": torch.randn(3, 3), "x": x, "h'": h}
    assert torch.equal(equations.evaluate({**env, "f": 1.0})["h"], h)
    without = equations.evaluate({**env, "U  h'": torch.zeros(2, 3)})
    torch.testing.assert_close(without["f"], (x @ env["W"].T).sigmoid())
    assert torch.equal(without["h'"], h)


@pytest.mark.parametrize("name", CELLS)
def test_the_equations_of_a_cell_as_json(name):
    equations = CELLS[name].parsed()
    written = json.dumps(equations.to_json(), ensure_ascii=False)
    assert Equations.from_json(json.loads(written)) == equations
    assert len(written.encode()) < 8_000
    assert all(text(parse(part)) == part for part in equations.parts)
    seen: set[str] = set()
    for symbol, tree in equations.to_json().items():  # whoever reads them from above has what each needs
        assert {part for part in _strings(tree) if part in equations.trees} <= seen
        seen.add(symbol)


def _strings(tree: list | str | float) -> set[str]:
    """The symbols of a tree as JSON."""
    if isinstance(tree, list):
        return set().union(*map(_strings, tree[1:]))
    return {tree} if isinstance(tree, str) else set()


@pytest.mark.parametrize("name", CELLS)
def test_numpy_finds_the_values_that_torch_finds(name):
    torch.manual_seed(0)
    cell = CELLS[name](5, 6)
    state = {name: torch.randn(3, values.shape[1]).abs() + 0.5 for name, values in cell.initial_state(3).items()}
    given = {f"{cell.states[name]}'": values for name, values in state.items()}
    first = torch.tensor([[True], [False], [False]])
    env = {**cell.by_symbol(), **given, "x": torch.randn(3, 5), "first": first}
    expected = cell.parsed().evaluate(env)
    found = cell.parsed().evaluate({symbol: values.detach().numpy() for symbol, values in env.items()})
    assert found.keys() == expected.keys() and not any(isinstance(value, torch.Tensor) for value in found.values())
    for part, value in expected.items():
        np.testing.assert_allclose(found[part], torch.as_tensor(value).detach().numpy(), atol=1e-5, err_msg=part)


def test_every_function_is_used_by_some_cell():
    used = " ".join(json.dumps(cell.parsed().to_json(), ensure_ascii=False) for cell in CELLS.values())
    assert all(f'"{name}"' in used for name in FUNCTIONS)
