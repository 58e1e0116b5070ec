"""What would be if a gate were held: a text read once as it is, and once while somebody interferes.

An intervention is a dict, the same here and in the page (``web/forcing.js``):

- ``{"op": "hold", "role", "layer", "units", "from", "to", "value"}``: that gate or state of these units, of all where
  that is None, has this value wherever the equations name it, and so has what is computed from it; at the tokens from …
  to, the last of them included, and to the end where that is None. Of two that hold the same the later one counts.
- ``{"op": "scale", …}``, likewise: what these tokens find of that state, times the value. 0 forgets it.
- ``{"op": "cut", "at"}``: this token finds all states as before the first one.
- ``{"op": "token", "at", "token"}``: this token stands at that place.

``layer`` and ``from`` are 0, ``units`` and ``to`` None where they are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lstmviz.cells import cell_called
from lstmviz.cells.declared import Declared
from lstmviz.checkpoint import weights_of
from lstmviz.data.vocabulary import UNK, Vocabulary
from lstmviz.explain.memory import numbered
from lstmviz.explain.typed import token_ids, why_no_losses
from lstmviz.gate_trace import GateTrace
from lstmviz.model import LanguageModel, at_once
from lstmviz.reference import Acts, Reference, State

Intervention = Mapping[str, Any]
AT_ONCE = 300  # runs side by side, at most
FIELDS = {
    "hold": ({"role", "value"}, {"layer", "units", "from", "to"}),  # what it must say, and what it may
    "scale": ({"role", "value"}, {"layer", "units", "from", "to"}),
    "cut": ({"at"}, set()),
    "token": ({"at", "token"}, set()),
}


@dataclass(frozen=True, eq=False)
class Forced:
    """A text as it was read, and as it was read under interventions.

    Args:
        before, after: with ``nll`` and ``tokens``, as `lstmviz.trace_sentence` gives them. Where another token was put,
            the loss after is of that one.
    """

    before: GateTrace
    after: GateTrace

    @property
    def change(self) -> np.ndarray:
        """How much larger the loss of every token is after, in nats, ``(T,)``; the first has none, NaN."""
        return self.after.nll - self.before.nll


def force(
    model: LanguageModel, vocabulary: Vocabulary, text: str | Sequence[int], interventions: Sequence[Intervention]
) -> Forced:
    """Read a text, and read it again under interventions.

    Args:
        model: that reads a text from the left and predicts its next token; left unchanged.
        vocabulary: its.
        text: at least one token, or their ids; read from nothing.
        interventions: see this file. Here the value of a hold or a scale may also be an array ``(steps, units)``.

    Raises:
        ValueError: an intervention names what the model or the text does not have, or the model is another; the
            sentence says which.

    Example:
        >>> shut = {"op": "hold", "role": "forget_gate", "units": [9], "from": 0, "value": 0}
        >>> force(model, vocabulary, "((x)x)", [shut]).change
    """
    if why := why_no_losses(model.config):
        raise ValueError(f"nothing can be held in this model: {why}")
    plain = token_ids(vocabulary, text, model.vocab_size)
    checked = [_checked(each, model, vocabulary, len(plain)) for each in interventions]
    ids = plain.copy()
    for each in checked:
        if each["op"] == "token":
            ids[each["at"]] = vocabulary.ids[each["token"]]
    runs = Reference(model.config, weights_of(model))
    acts = [Interventions(runs.layers[k].cell, checked, k) for k in range(len(runs.layers))]
    return Forced(_read(runs, vocabulary, plain, None), _read(runs, vocabulary, ids, acts))


class Interventions(Acts):
    """Those that act on one layer."""

    def __init__(self, cell: type[Declared], interventions: Sequence[Intervention], layer: int) -> None:
        own = [each for each in interventions if each.get("layer") == layer]
        self.holds = [(cell.symbols[each["role"]], each) for each in own if each["op"] == "hold"]
        self.scales = [each for each in own if each["op"] == "scale"]
        self.cuts = {each["at"] for each in interventions if each["op"] == "cut"}

    def found(self, state: State, time: int) -> State:
        if time in self.cuts:
            state = {name: np.zeros_like(values) for name, values in state.items()}
        for each in self.scales:
            if each["from"] <= time <= each["to"]:
                values = state[each["role"]].copy()
                values[:, each["units"]] *= each["value"][time - each["from"]]
                state = {**state, each["role"]: values}
        return state

    def made(self, symbol: str, values: np.ndarray, time: int) -> np.ndarray:
        for own, each in self.holds:
            begin, end = max(time, each["from"]), min(time + len(values), each["to"] + 1)
            if own == symbol and begin < end:
                values = values.copy()
                held = each["value"][begin - each["from"] : end - each["from"]]  # (steps, units)
                values[begin - time : end - time, :, each["units"]] = held[:, None]
        return values


def _read(runs: Reference, vocabulary: Vocabulary, ids: np.ndarray, acts: Sequence[Interventions] | None) -> GateTrace:
    hidden, records, _ = runs.record(ids[:, None], acts=acts)  # (T, 1, P), name -> (T, 1, H)
    nll, piece = [np.full(1, np.nan)], at_once(len(vocabulary))
    for begin in range(0, len(ids) - 1, piece):
        follows = ids[begin + 1 : begin + 1 + piece]
        scores = runs.scores(hidden[begin : begin + len(follows), 0])  # (N, V)
        nll.append(-scores[np.arange(len(follows)), follows])
    arrays = {name: np.stack([record[name][:, 0] for record in records]) for name in records[0]}
    tokens = [vocabulary.token(i) for i in ids.tolist()]
    return GateTrace(arrays, runs.config.cell, nll=np.concatenate(nll).astype(np.float32), tokens=tokens)


def _checked(each: Intervention, model: LanguageModel, vocabulary: Vocabulary, time: int) -> dict[str, Any]:
    """An intervention with nothing left out, units and times counted from 0, its value ``(steps, units)``.

    Raises:
        ValueError: it is none, or names what there is not.
    """
    op = each.get("op") if isinstance(each, Mapping) else None
    if not isinstance(op, str) or op not in FIELDS:
        raise ValueError(f"an intervention is a dict whose op is one of {', '.join(FIELDS)}, not {each!r}")
    needed, optional = FIELDS[op]
    if lacking := needed - each.keys():
        raise ValueError(f"{op} must say its {' and '.join(sorted(lacking))}")
    if unknown := each.keys() - needed - optional - {"op"}:
        raise ValueError(f"{op} knows no {', '.join(sorted(unknown))}")
    if op in ("cut", "token"):
        found = {**each, "at": numbered(each["at"], time, "token")}
        if op == "token" and each["token"] not in vocabulary.tokens:
            raise ValueError(f"this model does not know the token {each['token']!r}; {UNK} stands for all of those")
        return found
    config, cell, role = model.config, cell_called(model.config.cell), each["role"]
    if role not in [*cell.symbols]:
        raise ValueError(f"{config.cell} has no gate or state {role}; it has {', '.join(cell.symbols)}")
    if op == "scale" and role not in cell.states:
        raise ValueError(f"only a state is found by the next step, not {role}: scale {', '.join(cell.states)}")
    layer = numbered(each.get("layer", 0), config.num_layers, "layer")
    begin = numbered(each.get("from", 0), time, "token")
    end = time - 1 if each.get("to") is None else numbered(each["to"], time, "token")
    if end < begin:
        raise ValueError(f"{op} ends at token {end}, before it begins, at {begin}")
    size = cell.output_of(config.hidden_size) if role == "hidden" else config.hidden_size
    units = each.get("units")
    if not (units is None or isinstance(units, Sequence | np.ndarray)):
        raise ValueError(f"units are a list of their numbers, or None for all, not {units!r}")
    units = [*range(size)] if units is None else [numbered(unit, size, "unit") for unit in units]
    value, shape = np.asarray(each["value"]), (end + 1 - begin, len(units))
    if value.dtype.kind not in "iuf" or not (np.abs(value) <= np.finfo(np.float32).max).all():
        raise ValueError(f"{op} needs a finite number as its value, or an array of such, not {each['value']!r}")
    if value.shape and value.shape != shape:
        raise ValueError(f"an array of values must be of shape {shape}, a row a step, not {value.shape}")
    value = np.broadcast_to(value, shape).astype(np.float32)
    return {"op": op, "role": role, "layer": layer, "units": units, "from": begin, "to": end, "value": value}


# ---- which unit matters ----------------------------------------------------------------------------------------------


@torch.no_grad()
def ablate(
    model: LanguageModel,
    vocabulary: Vocabulary,
    text: str | Sequence[int],
    at: int | None = None,
    *,
    layer: int = 0,
) -> np.ndarray:
    """How much worse a text is predicted without one unit's memory, for every unit of a layer in turn.

    A unit's memory is what its cell holds by, c or else h: every step finds 0 there, as `force` scales it. All units
    are read side by side, in batches.

    Args:
        model: that reads a text from the left and predicts its next token; left unchanged.
        vocabulary: its.
        text: of two tokens at least, or their ids; read from nothing.
        at: the token whose loss counts, from the end where it is below 0; by default the mean over all of them.
        layer: whose units.

    Returns:
        ``(H,)``, how many nats larger the loss is without the unit; below 0 where it is smaller.

    Raises:
        ValueError: there is no such token or layer, the text is too short, or the model is another.

    Example:
        >>> ablate(model, vocabulary, "((x)x)").argmax()  # the unit that matters most
    """
    if why := why_no_losses(model.config):
        raise ValueError(f"its units cannot be left out: {why}")
    layer = numbered(layer, model.config.num_layers, "layer")
    ids = torch.from_numpy(token_ids(vocabulary, text, model.vocab_size, 2).astype(np.int64)).to(model.device)
    if at is not None and not (at := numbered(at, len(ids), "token")):
        raise ValueError("nothing stands before the first token, so there is no loss of it")
    ids = ids if at is None else ids[: at + 1]
    x = model.embed(ids[:-1, None])  # (T, 1, E)
    for cell in [*model.layers][:layer]:
        x = cell.record(x, cell.initial_state(1))["hidden"]
    # Row r lacks the memory of unit r; the last one lacks none.
    size = model.config.hidden_size
    rows = 1 - torch.eye(size + 1, size).to(x)
    nll = torch.cat(
        [_without(model, x, layer, some, ids, at) for some in rows.chunk(-(-len(rows) // AT_ONCE))]
    )  # (H + 1,)
    return (nll[:-1] - nll[-1]).double().cpu().numpy()


def _without(model: LanguageModel, x: Tensor, layer: int, there: Tensor, ids: Tensor, at: int | None) -> Tensor:
    """The loss ``(B,)`` of each row of ``there`` ``(B, H)``, which says 0 where a layer has no memory.

    Args:
        x: what that layer reads, ``(T, 1, X)``.
    """
    cells, rows, memory = [*model.layers][layer:], len(there), held_by(cell_called(model.config.cell))
    states = [
        {name: values.expand(rows, -1) for name, values in cell.initial_state(1).items()} for cell in cells
    ]  # (B, ·) each
    products, nll = [cell.recurrent(x) for cell in cells], torch.zeros(rows).to(x)
    for time, Wx in enumerate(cells[0].project(x)):
        states[0] = {**states[0], memory: states[0][memory] * there}
        for k, cell in enumerate(cells):
            if k:
                Wx = cell.project(states[k - 1]["hidden"][None])[0]
            states[k], _ = cell.step(Wx.expand(rows, -1), states[k], products[k])
        if at is None or time == at - 1:
            nll += _loss(model, states[-1]["hidden"], ids[time + 1])
    return nll / (len(ids) - 1 if at is None else 1)


def _loss(model: LanguageModel, hidden: Tensor, target: Tensor) -> Tensor:
    """Of one token behind what is said, ``(B, P)``: its losses, ``(B,)``."""
    pieces = hidden.split(at_once(model.vocab_size))
    return torch.cat([F.cross_entropy(model.decode(h), target.expand(len(h)), reduction="none") for h in pieces])


def held_by(cell: type[Declared]) -> str:
    """The state in which a cell holds what it remembers: its c or, where there is none, h."""
    return cell.doer("holds") or "hidden"
