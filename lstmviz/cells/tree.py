"""Tree-LSTMs: the LSTM whose step is a node of a tree, with a forget gate for each of its children.

Where an LSTM has one state before it, a node has as many as it has children. What it makes of their h decides i, g and
o, as ever; but of each child's c it keeps what that child's own forget gate lets through.

All trees of a batch grow together: first the nodes without children, of all trees at once, then those whose children
are there, level by level. So there are as many steps as the highest tree has levels, however many nodes there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lstmviz.cells.base import Gates, State, Taught, init_uniform
from lstmviz.cells.declared import NOTHING
from lstmviz.cells.equations import Value
from lstmviz.cells.lstm import LSTMNames

PLACES = 3  # children of a node of an N-ary Tree-LSTM


class Levels(NamedTuple):
    """The nodes of all trees of a batch, level by level: a node's level is the length of the longest way down from it.

    Args:
        nodes: all M of them, as t · B + b, in the order of their levels, ``(M,)``.
        children: of the nodes of each level where in that order each child stands, counted from 1, ``(n, N)``; 0 where
            there is none. In level 0 nothing has any, and N is 0; else it is the number that the widest node has.
        places: where in that order each node stands, counted from 1, ``(T, B)``; 0 where there is no node.
    """

    nodes: Tensor
    children: tuple[Tensor, ...]
    places: Tensor

    @classmethod
    def of(cls, parents: Tensor, most: int | None = None) -> Levels:
        """Sort nodes that come in post-order: each behind its children, and these as they stand in the expression.

        Args:
            parents: the time of each node's parent, which is later than its own, `ROOT` or `NOTHING`; ``(T, B)``.
            most: children that a node has places for; None for as many as it has.

        Raises:
            ValueError: a node has more.
        """
        (time, batch), count = parents.shape, parents.numel()
        is_child, index = (parents >= 0).flatten(), torch.arange(count, device=parents.device)
        child, parent = index[is_child], (parents * batch + index[:batch]).flatten()[is_child]
        level = torch.zeros_like(index)
        for _ in range(time):  # until each stands above all its children
            above = torch.zeros_like(index).scatter_reduce(0, parent, level[child] + 1, "amax")
            if torch.equal(above, level):
                break
            level = above
        nodes = level.masked_fill(parents.flatten() == NOTHING, -1).argsort(stable=True)
        nodes = nodes[int((parents == NOTHING).sum()) :]
        places = torch.zeros_like(index).index_copy(0, nodes, index[: len(nodes)] + 1)
        siblings = parent.argsort(stable=True)  # side by side
        child, parent = child[siblings], parent[siblings]
        number = index[: len(child)] - torch.searchsorted(parent, parent)  # of each among its siblings, from 0
        widest = int(number.max()) + 1 if len(child) else 1
        if most is not None and widest > most:
            raise ValueError(f"a node has {widest} children; the model has places for {most}")
        children = places.new_zeros(count, widest)
        children[parent, number] = places[child]
        leaves, *others = children[nodes].split(level[nodes].bincount().tolist())
        return cls(nodes, (leaves[:, :0], *others), places.view(time, batch))


class TreeCell(LSTMNames, Taught):
    """One layer of a Tree-LSTM; a subclass defines ``step``, and how many children a node may have.

    In the equations h_k and c_k are those of child k, f_k is its forget gate, and ``Σ_k`` sums over the children.

    Class attributes:
        most: children that a node has places for; None for as many as it has.

    Args:
        input_size: size X of each node's input.
        hidden_size: number of units H.
    """

    gates: ClassVar = LSTMNames.gates | {"forget_gate": "f_k"}
    keeps = "f_k"
    of_trees = True
    meanings: ClassVar = {  # where a node has no token before
        "forget_gate": (
            "How much of what this node holds its parent keeps: 1 all of it, 0 nothing. The root has no parent."
        ),
        "candidate": "What the unit would write into memory at this node.",
        "hidden": "What the unit shows at this node: what its parent, and the answer, see of it.",
    }
    most: ClassVar[int | None] = None
    U: nn.Parameter

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.W = nn.Parameter(torch.empty(4 * hidden_size, input_size))
        self.b = nn.Parameter(torch.empty(4 * hidden_size))

    def stacked(self) -> tuple[Tensor, Tensor, list[Tensor]]:
        return self.W, self.U, [self.b]

    def by_equations(self, x: Tensor, children: State, forced: Mapping[str, Value] | None = None) -> dict[str, Value]:
        """One node, as the equations say it.

        Args:
            x: its input, ``(B, X)``.
            children: their states, ``(B, N, H)`` each.
            forced: as for `Cell.by_equations`: ``{"f_2": 1}``.

        Returns:
            The value of every symbol and every other part of the equations, ``(B, H)``, under its own text.
        """
        given: dict[str, Value] = {"x": x}
        for name, values in children.items():
            given |= {f"{self.states[name]}_{k}": value for k, value in enumerate(values.unbind(1), start=1)}
        return self._evaluated(self.parsed(children["hidden"].shape[1]), given, forced or {})

    def recurrent(self) -> Mapping[str, Tensor]:
        """The weights that multiply what the children say, put together once for all steps."""
        return {"all": self.U}

    def step(self, Wx: Tensor, children: State, U: Mapping[str, Tensor]) -> tuple[State, Gates]:
        """One node of each of B trees.

        Args:
            Wx: what ``project`` made of its input, ``(B, 4H)``: W_k x + b_k of i, f, g and o.
            children: their states, ``(B, N, H)`` each, behind each other; zeros where there is no child.
            U: what ``recurrent`` returned.

        Returns:
            The node's state, and its gates: ``(B, H)``, but ``forget_gate`` ``(B, N, H)``, one for each child.
        """
        raise NotImplementedError

    def leaf(self, Wx: Tensor) -> tuple[State, Gates]:
        """As ``step`` of nodes without children: all sums over these are zero."""
        x_i, x_f, x_g, x_o = Wx.chunk(4, dim=-1)  # (B, H) each
        return tree_update(x_i, x_f[:, None][:, :0], x_g, x_o, x_f.new_empty(len(Wx), 0, self.hidden_size))

    def project(self, inputs: Tensor) -> Tensor:
        """The part of every step that depends on the input alone, ``(…, X)`` to ``(…, 4H)``."""
        return F.linear(inputs, self.W, self.b)

    def forward(self, inputs: Tensor, levels: Levels) -> Tensor:
        """Let all trees grow.

        Args:
            inputs: of every node, ``(T, B, X)``.
            levels: of these nodes.

        Returns:
            The hidden values of every node, ``(T, B, H)``.
        """
        state, _ = self._grown(inputs, levels)
        return F.embedding(levels.places, state["hidden"])

    def record(self, inputs: Tensor, levels: Levels) -> dict[str, Tensor]:
        """As ``forward``, keeping everything: each gate and state under its name, ``(T, B, H)``.

        ``forget_gate`` stands at the child: it is what the node's parent keeps of it. A node without a parent has NaN.
        """
        state, steps = self._grown(inputs, levels)
        kept = torch.full_like(state["hidden"], torch.nan)
        for children, gates in zip(levels.children, steps, strict=True):
            kept[children] = gates.pop("forget_gate")
        kept[0] = torch.nan  # of a child that there is not
        gates = {name: torch.cat([kept[:1], *(gates[name] for gates in steps)]) for name in steps[0]}
        found = {**gates, "forget_gate": kept, **state}
        return {name: F.embedding(levels.places, found[name]) for name in self.recorded()}

    def _grown(self, inputs: Tensor, levels: Levels) -> tuple[State, list[Gates]]:
        """The states of all nodes by their places, ``(1 + M, H)``, behind that of no child, 0; the gates by level."""
        inner = levels.children[1:]
        U = self.recurrent()
        Wx = self.project(inputs.flatten(0, 1).index_select(0, levels.nodes))  # (M, 4H)
        Wx_of_leaves, *Wx_of_levels = Wx.split([len(children) for children in levels.children])

        def side_by_side(state: State) -> Tensor:  # h and c, to be looked up and joined as one
            return torch.cat([state[name] for name in self.states], dim=-1)

        def apart(values: Tensor) -> State:
            return dict(zip(self.states, values.split(self.hidden_size, dim=-1), strict=True))

        new, told = self.leaf(Wx_of_leaves)
        grown, gates = torch.cat([side_by_side(self.initial_state(1)), side_by_side(new)]), [told]
        for Wx_of_level, children in zip(Wx_of_levels, inner, strict=True):
            new, told = self.step(Wx_of_level, apart(F.embedding(children, grown)), U)  # (n, N, H) each
            grown = torch.cat([grown, side_by_side(new)])
            gates.append(told)
        return apart(grown), gates


def tree_update(a_i: Tensor, a_f: Tensor, a_g: Tensor, a_o: Tensor, cells: Tensor) -> tuple[State, Gates]:
    """From the pre-activations to the new state: ``(B, H)`` each, but of the children, a_f and c_k, ``(B, N, H)``."""
    i, f, g, o = a_i.sigmoid(), a_f.sigmoid(), a_g.tanh(), a_o.sigmoid()
    c = (f * cells).sum(1) + i * g
    h = o * c.tanh()
    return (
        {"hidden": h, "cell": c},
        {"input_gate": i, "forget_gate": f, "candidate": g, "output_gate": o},
    )


class ChildSum(TreeCell):
    """The child-sum Tree-LSTM: any number of children, in no order.

    Equations::

        h̃ = Σ_k h_k                        f_k = σ(W_f x + U_f h_k + b_f)
        i = σ(W_i x + U_i h̃ + b_i)         g = tanh(W_g x + U_g h̃ + b_g)
        o = σ(W_o x + U_o h̃ + b_o)         c = Σ_k f_k ⊙ c_k + i ⊙ g
        h = o ⊙ tanh(c)

    A child's forget gate sees what the node reads and that child alone. Nothing sees which child came first, so that
    first(3, 9) and first(9, 3) are the same to it.
    Parameters: 4h(h + x) + 4h, rows in the order i, f, g, o.
    Paper: Tai, Socher & Manning 2015.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.U = nn.Parameter(torch.empty(4 * hidden_size, hidden_size))
        init_uniform(self, hidden_size)

    def recurrent(self) -> Mapping[str, Tensor]:
        U_i, U_f, U_go = self.U.split([self.hidden_size, self.hidden_size, 2 * self.hidden_size])
        return {"igo": torch.cat([U_i, U_go]), "f": U_f}

    def step(self, Wx: Tensor, children: State, U: Mapping[str, Tensor]) -> tuple[State, Gates]:
        x_i, x_f, x_g, x_o = Wx.chunk(4, dim=-1)  # (B, H) each: W_k x + b_k
        h = children["hidden"]  # (B, N, H)
        u_i, u_g, u_o = F.linear(h.sum(1), U["igo"]).chunk(3, dim=-1)  # (B, H) each: U_k h̃
        a_f = x_f[:, None] + F.linear(h, U["f"])  # (B, N, H)
        return tree_update(x_i + u_i, a_f, x_g + u_g, x_o + u_o, children["cell"])


class Nary(TreeCell):
    """The N-ary Tree-LSTM: at most N = 3 children, each with weights of its own.

    Equations::

        i = σ(W_i x + Σ_k U_ik h_k + b_i)        f_k = σ(W_f x + Σ_l U_fkl h_l + b_f)
        g = tanh(W_g x + Σ_k U_gk h_k + b_g)     o = σ(W_o x + Σ_k U_ok h_k + b_o)
        c = Σ_k f_k ⊙ c_k + i ⊙ g                h = o ⊙ tanh(c)

    Which child it is decides which weights its h meets, so their order counts; and the forget gate of each sees all of
    them.
    Parameters: 18h² + 4hx + 4h, of U the rows in the order i, f_1, f_2, f_3, g, o, the columns child by child.
    Paper: Tai, Socher & Manning 2015.
    """

    most = PLACES

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.U = nn.Parameter(torch.empty((3 + PLACES) * hidden_size, PLACES * hidden_size))
        init_uniform(self, hidden_size)

    def weights(self, k: str) -> tuple[Tensor, Tensor]:
        U = self.U.split([self.hidden_size * (PLACES if row == "f" else 1) for row in self.rows])
        return self._row(self.W, k), U[self.rows.index(k)]

    def by_symbol(self) -> dict[str, Tensor]:
        found = super().by_symbol()
        for k in self.rows:
            for child, U in enumerate(found.pop(f"U_{k}").split(self.hidden_size), start=1):  # (H, N·H) each
                gate = f"U_f{child}" if k == "f" else f"U_{k}"
                found |= {f"{gate}{other}": each for other, each in enumerate(U.chunk(PLACES, dim=1), start=1)}
        return found

    def step(self, Wx: Tensor, children: State, U: Mapping[str, Tensor]) -> tuple[State, Gates]:
        x_i, x_f, x_g, x_o = Wx.chunk(4, dim=-1)  # (B, H) each: W_k x + b_k
        _, count, size = children["hidden"].shape  # B, N, H
        of_children = F.linear(children["hidden"].flatten(1), U["all"][:, : count * size])  # (B, 6H)
        u_i, u_f, u_g, u_o = of_children.split([size, PLACES * size, size, size], dim=-1)
        a_f = x_f[:, None] + u_f.unflatten(-1, (PLACES, size))[:, :count]  # (B, N, H)
        return tree_update(x_i + u_i, a_f, x_g + u_g, x_o + u_o, children["cell"])
