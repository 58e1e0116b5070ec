"""Tree-LSTMs against their paper's equations, against the LSTM, and level by level against node by node."""

import inspect
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from lstmviz.cells import CELLS, TREE_CELLS
from lstmviz.cells.base import Gates, State
from lstmviz.cells.declared import NOTHING
from lstmviz.cells.equations import Equations, text
from lstmviz.cells.tree import Levels, TreeCell
from lstmviz.data.expressions import Expression, generate
from lstmviz.roles import ROLES

X, H = 5, 7
every_cell = pytest.mark.parametrize("name", TREE_CELLS)
# Two trees side by side, of six nodes and of four with padding behind them; a node may have no child, or up to three.
PARENTS = torch.tensor([[2, 3], [2, 3], [5, 3], [5, -1], [5, -2], [-1, -2]])
INNER = [(2, 0, [0, 1]), (5, 0, [2, 3, 4]), (3, 1, [0, 1, 2])]  # time, tree, children


def make_cell(name: str, dtype: torch.dtype = torch.float64) -> TreeCell:
    torch.manual_seed(0)
    return TREE_CELLS[name](X, H).to(dtype)


def child_sum_node(cell: TreeCell, x: Tensor, h: list[Tensor], c: list[Tensor]) -> dict[str, Tensor]:
    """Tai et al. 2015, equations 2 to 8, with u called g."""
    (W_i, W_f, W_u, W_o), (U_i, U_f, U_u, U_o), (b_i, b_f, b_u, b_o) = (p.chunk(4) for p in (cell.W, cell.U, cell.b))
    total = sum(h, torch.zeros(H, dtype=x.dtype))
    i = torch.sigmoid(W_i @ x + U_i @ total + b_i)
    f = [torch.sigmoid(W_f @ x + U_f @ h_k + b_f) for h_k in h]
    o = torch.sigmoid(W_o @ x + U_o @ total + b_o)
    u = torch.tanh(W_u @ x + U_u @ total + b_u)
    cell_state = i * u + sum(f_k * c_k for f_k, c_k in zip(f, c, strict=True))
    return {"i": i, "f": f, "g": u, "o": o, "c": cell_state, "h": o * torch.tanh(cell_state)}


def nary_node(cell: TreeCell, x: Tensor, h: list[Tensor], c: list[Tensor]) -> dict[str, Tensor]:
    """Tai et al. 2015, equations 9 to 14: U_f of child k looks at every child l."""
    (W_i, W_f, W_u, W_o), (b_i, b_f, b_u, b_o) = (p.chunk(4) for p in (cell.W, cell.b))
    U = cell.U.view(6, H, 3, H)  # of i, f_1, f_2, f_3, u, o; of each child

    def of_children(row: int) -> Tensor:
        return sum((U[row, :, child] @ h_l for child, h_l in enumerate(h)), torch.zeros(H, dtype=x.dtype))

    i = torch.sigmoid(W_i @ x + of_children(0) + b_i)
    f = [torch.sigmoid(W_f @ x + of_children(1 + k) + b_f) for k in range(len(h))]
    u = torch.tanh(W_u @ x + of_children(4) + b_u)
    o = torch.sigmoid(W_o @ x + of_children(5) + b_o)
    cell_state = i * u + sum(f_k * c_k for f_k, c_k in zip(f, c, strict=True))
    return {"i": i, "f": f, "g": u, "o": o, "c": cell_state, "h": o * torch.tanh(cell_state)}


BY_HAND: dict[str, Callable] = {"child_sum": child_sum_node, "nary": nary_node}


def grown_by_hand(cell: TreeCell, name: str, inputs: Tensor, parents: Tensor) -> dict[tuple[int, int], dict]:
    """Node by node, each behind its children, by the equations above."""
    found: dict[tuple[int, int], dict] = {}
    for b in range(parents.shape[1]):
        for t in range(int((parents[:, b] != NOTHING).sum())):
            below = [found[s, b] for s in range(t) if parents[s, b] == t]
            found[t, b] = BY_HAND[name](cell, inputs[t, b], [n["h"] for n in below], [n["c"] for n in below])
    return found


def stepped(cell: TreeCell, x: Tensor, children: State) -> tuple[State, Gates]:
    """``step`` alone, of x ``(B, X)``."""
    return cell.step(cell.project(x), children, cell.recurrent())


# ---- the equations ---------------------------------------------------------------------------------------------------


@every_cell
def test_every_node_is_what_the_paper_says(name):
    cell, inputs = make_cell(name), torch.randn(*PARENTS.shape, X, dtype=torch.float64)
    levels = Levels.of(PARENTS, cell.most)
    hidden, record = cell(inputs, levels), cell.record(inputs, levels)
    assert (
        tuple(record) == cell.recorded() == ("input_gate", "forget_gate", "candidate", "output_gate", "cell", "hidden")
    )
    for (t, b), node in grown_by_hand(cell, name, inputs, PARENTS).items():
        torch.testing.assert_close(hidden[t, b], node["h"], atol=1e-12, rtol=0)
        for gate, symbol in (cell.symbols | {"forget_gate": ""}).items():
            if symbol:
                torch.testing.assert_close(record[gate][t, b], node[symbol], atol=1e-12, rtol=0)
        children = [s for s in range(t) if PARENTS[s, b] == t]
        for child, f in zip(children, node["f"], strict=True):  # it stands at the child
            torch.testing.assert_close(record["forget_gate"][child, b], f, atol=1e-12, rtol=0)
    assert torch.equal(record["forget_gate"].isnan().all(-1), PARENTS < 0)


@every_cell
@pytest.mark.parametrize("count", [1, 3])
def test_the_equations_that_are_shown_are_the_step(name, count):
    cell = make_cell(name)
    x = torch.randn(4, X, dtype=torch.float64)
    children = {state: torch.randn(4, count, H, dtype=torch.float64) for state in cell.states}
    state, gates = stepped(cell, x, children)
    if count < 3:  # where there is no child stand zeros
        beside = {key: torch.cat([values, torch.zeros_like(values)], dim=1) for key, values in children.items()}
        other, _ = stepped(cell, x, beside)
        for key, values in state.items():
            torch.testing.assert_close(other[key], values, atol=1e-12, rtol=0)
    values = cell.by_equations(x, children)
    found = {**{symbol: {**gates, **state}[key] for key, symbol in cell.symbols.items()}}
    found |= {f"f_{k + 1}": found["f_k"][:, k] for k in range(count)}
    del found["f_k"]
    for symbol, expected in found.items():
        torch.testing.assert_close(values[symbol], expected, atol=1e-12, rtol=0)
    shut = cell.by_equations(x, children, {"f_1": 0.0})
    torch.testing.assert_close(shut["c"], state["cell"] - values["f_1"] * children["cell"][:, 0], atol=1e-12, rtol=0)


def test_sums_over_children_are_written_out():
    shown = "f_k = σ(W_f x + Σ_l U_fkl h_l)    c = Σ_k f_k ⊙ c_k + i ⊙ g"
    assert {symbol: text(tree) for symbol, tree in Equations.of(shown, children=2).lines} == {
        "f_1": "σ(W_f x + (U_f11 h_1 + U_f12 h_2))",
        "f_2": "σ(W_f x + (U_f21 h_1 + U_f22 h_2))",
        "c": "f_1 ⊙ c_1 + f_2 ⊙ c_2 + i ⊙ g",
    }


@every_cell
def test_the_docstring_teaches(name):
    cell = make_cell(name)
    said = inspect.getdoc(TREE_CELLS[name]) or ""
    assert cell.paper == "Tai, Socher & Manning 2015" and f"Parameters: {cell.count}" in said
    count = {"child_sum": 4 * H * (H + X) + 4 * H, "nary": 18 * H**2 + 4 * H * X + 4 * H}
    assert sum(p.numel() for p in cell.parameters()) == count[name]
    assert cell.note().endswith(".") and len(cell.note()) < 400
    roles = cell.roles()
    assert {role.does: key for key, role in roles.items() if role.does} == {
        "keeps": "forget_gate", "writes": "input_gate", "shows": "output_gate", "holds": "cell",
    }  # fmt: skip
    assert all(roles[key].light == ROLES[key].light for key in cell.recorded())


# ---- beside the LSTM -------------------------------------------------------------------------------------------------


@every_cell
def test_a_tree_that_is_a_chain_is_the_lstm(name):
    cell, lstm, time = make_cell(name), CELLS["lstm"](X, H).double(), 9
    W, U, biases = lstm.stacked()
    with torch.no_grad():
        cell.W.copy_(W)
        cell.b.copy_(sum(biases))
        if name == "child_sum":
            cell.U.copy_(U)
        else:  # of the first child: i, f_1, g, o
            cell.U.view(6, H, 3, H)[[0, 1, 4, 5], :, 0] = U.view(4, H, H)
        inputs = torch.randn(time, 2, X, dtype=torch.float64)
        expected = lstm.record(inputs, lstm.initial_state(2))
        chain = torch.arange(1, time + 1)[:, None].expand(time, 2).clone()
        chain[-1] = -1
        record = cell.record(inputs, Levels.of(chain, cell.most))
    for key, values in expected.items():
        if key == "forget_gate":  # at the child; before the first there is nothing to keep
            torch.testing.assert_close(record[key][:-1], values[1:], atol=1e-12, rtol=0)
        else:
            torch.testing.assert_close(record[key], values, atol=1e-12, rtol=0)


# ---- levels ----------------------------------------------------------------------------------------------------------


def node_by_node(cell: TreeCell, inputs: Tensor, expressions: list[Expression]) -> Tensor:
    """What the root of each says, ``(B, H)``, with ``step`` on one node at a time."""
    roots = []
    for b, expression in enumerate(expressions):
        states: list[State] = []
        for t, children in enumerate(expression.children):
            below = [states[child] for child in children]
            places = {
                key: torch.cat([zero[:0], *(s[key] for s in below)])[None]
                for key, zero in cell.initial_state(1).items()
            }
            states.append(stepped(cell, inputs[t, b][None], places)[0])
        roots.append(states[-1]["hidden"])
    return torch.cat(roots)


@every_cell
def test_level_by_level_is_node_by_node_in_loss_and_gradient(name):
    cell, expressions = make_cell(name), generate(12, seed=3)
    longest = max(len(each.parents) for each in expressions)
    parents = torch.tensor([[*each.parents, *[NOTHING] * (longest - len(each.parents))] for each in expressions]).T
    inputs, weight = torch.randn(longest, 12, X, dtype=torch.float64), torch.randn(12, H, dtype=torch.float64)
    losses, gradients = [], []
    for batched in (True, False):
        if batched:
            said = cell(inputs, Levels.of(parents, cell.most))
            said = torch.stack([said[len(each.parents) - 1, b] for b, each in enumerate(expressions)])
        else:
            said = node_by_node(cell, inputs, expressions)
        losses.append((said * weight).sum())
        gradients.append(torch.autograd.grad(losses[-1], list(cell.parameters())))
    torch.testing.assert_close(*losses, atol=1e-12, rtol=0)
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, atol=1e-12, rtol=0)


def test_what_follows_a_tree_changes_nothing_in_it():
    cell, inputs = make_cell("nary"), torch.randn(6, 2, X, dtype=torch.float64)
    alone = cell(inputs[:4, 1:], Levels.of(PARENTS[:4, 1:], cell.most))
    torch.testing.assert_close(cell(inputs, Levels.of(PARENTS, cell.most))[:4, 1:], alone, atol=1e-12, rtol=0)


def test_levels_are_as_many_as_the_highest_tree_has():
    levels = Levels.of(PARENTS)
    assert [len(children) for children in levels.children] == [7, 2, 1]
    assert (levels.places == 0).equal(PARENTS == NOTHING)
    nodes = (PARENTS != NOTHING).flatten().nonzero().flatten()
    assert torch.equal(levels.nodes[levels.places.flatten()[nodes] - 1], nodes)
    with pytest.raises(ValueError, match="a node has 3 children; the model has places for 2"):
        Levels.of(PARENTS, most=2)


@every_cell
def test_the_order_of_children_matters_to_the_nary_alone(name):
    cell = make_cell(name)
    children = {state: torch.randn(1, 3, H, dtype=torch.float64) for state in cell.states}
    x = torch.randn(1, X, dtype=torch.float64)
    (one, _), (other, _) = (
        stepped(cell, x, {k: v[:, order] for k, v in children.items()}) for order in ([0, 1, 2], [2, 0, 1])
    )
    apart = (one["hidden"] - other["hidden"]).abs().max()
    assert apart < 1e-14 if name == "child_sum" else apart > 1e-3


@every_cell
def test_gradients_are_those_of_finite_differences(name):
    cell = make_cell(name)
    levels, parameters = Levels.of(PARENTS, cell.most), dict(cell.named_parameters())

    def run(inputs: Tensor, *values: Tensor) -> Tensor:
        return torch.func.functional_call(cell, dict(zip(parameters, values, strict=True)), (inputs, levels))

    inputs = torch.randn(6, 2, X, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(run, (inputs, *parameters.values()), fast_mode=True)


@every_cell
def test_the_gradient_in_float32_is_the_one_in_float64(name):
    inputs, found = torch.randn(6, 2, X, dtype=torch.float64), []
    for dtype in (torch.float32, torch.float64):
        cell = make_cell(name, dtype)
        hidden = cell(inputs.to(dtype), Levels.of(PARENTS, cell.most))
        found.append([g.double() for g in torch.autograd.grad(hidden.square().sum(), list(cell.parameters()))])
    for single, double in zip(*found, strict=True):
        torch.testing.assert_close(single, double, atol=1e-5, rtol=1e-4)
