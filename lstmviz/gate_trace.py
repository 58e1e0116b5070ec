"""GateTrace: every gate and every state of every layer, step and unit, by name; and what of it is held and kept.

What records one is `lstmviz.trace`; with a trace alone nobody waits for torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from lstmviz.cells import cell_called

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go
    import xarray as xr

DIRECTIONS = ("forward", "reverse", "said")  # the last of who says another sequence, see `Translation.on_one_axis`


@dataclass(frozen=True, eq=False, repr=False)
class GateTrace(Mapping[str, np.ndarray]):
    """Every gate and every state of every layer, step and unit, by name.

    It is a mapping: ``trace["forget_gate"]``, or ``trace.forget_gate``, is the array of that name, and ``list(trace)``
    are all names, the gates first, then the states.

    Args:
        arrays: name -> ``(layer[, direction][, batch], time, unit)``, one at least. A name whose width is not the
            first one's (``hidden`` of a projected LSTM) has ``projection`` for ``unit``.
        cell_name: the cell's, ``"lstm"`` for instance.
        outer: names of the axes before the last one.
        nll: ``(time,)``, the loss in nats of each token; empty where no tokens were read.
        tokens: what was read, one a step; empty where that is not known.

    Raises:
        ValueError: an array does not have these axes, or its sizes are not those of the others.

    Example:
        >>> trace = trace_module(nn.LSTM(8, 16), torch.randn(20, 8))
        >>> trace.forget_gate[0, :, 3]  # of layer 0, every step, unit 3
    """

    arrays: dict[str, np.ndarray]
    cell_name: str
    outer: tuple[str, ...] = ("layer", "time")
    nll: np.ndarray = field(default_factory=lambda: np.empty(0, np.float32))
    tokens: Sequence[str] = ()

    def __post_init__(self) -> None:
        shape = next(iter(self.arrays.values())).shape[:-1]
        if wrong := [name for name, values in self.arrays.items() if values.shape[:-1] != shape]:
            raise ValueError(f"{wrong[0]} has shape {self[wrong[0]].shape}; it must begin with {shape}, as the others")
        if len(shape) != len(self.outer):
            raise ValueError(f"arrays must have the axes {self.outer} and one of units, not {len(shape) + 1} axes")
        for name, along in (("nll", self.nll), ("tokens", self.tokens)):
            if len(along) not in (0, shape[-1]):
                raise ValueError(f"{name} has {len(along)} values; it must have one a step, {shape[-1]}, or none")

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self.arrays:
            raise KeyError(f"the trace has no {name}; it has {', '.join(self.arrays)}")
        return self.arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.arrays)

    def __len__(self) -> int:
        return len(self.arrays)

    def __getattr__(self, name: str) -> np.ndarray:
        if name.startswith("__"):  # what copy and pickle ask for, before there are arrays
            raise AttributeError(name)
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(error.args[0]) from None

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self]  # what a notebook offers to complete

    def __repr__(self) -> str:
        sizes = ", ".join(f"{axis} {size:,}" for axis, size in self.sizes.items())
        return f"<GateTrace of {self.cell_name}: {', '.join(self)}; {sizes}>"

    def axes(self, name: str) -> tuple[str, ...]:
        """The names of an array's axes."""
        first = next(iter(self.arrays.values()))
        return (*self.outer, "unit" if self[name].shape[-1] == first.shape[-1] else "projection")

    @property
    def sizes(self) -> dict[str, int]:
        """Axis -> its size, of all axes."""
        return {axis: size for name in self for axis, size in zip(self.axes(name), self[name].shape, strict=True)}

    def select(self, *, time: slice = slice(None), direction: int | None = None, batch: int | None = None) -> GateTrace:
        """A part of it, without a copy: these steps, counted from 0 again; one direction; one sequence of the batch."""
        chosen = {"time": time, "direction": direction, "batch": batch}
        index = tuple(slice(None) if (at := chosen.get(axis)) is None else at for axis in self.outer)
        return GateTrace(
            {name: values[index] for name, values in self.items()},
            self.cell_name,
            tuple(axis for axis, at in zip(self.outer, index, strict=True) if isinstance(at, slice)),
            self.nll[time],
            self.tokens[time],
        )

    def by_cell(self, values: np.ndarray) -> np.ndarray:
        """Values ``(layer[, direction], time, unit)`` cell by cell, as in a `Stack`: ``(layer · D, time, unit)``."""
        return values.reshape(-1, *values.shape[-2:])

    def plot(self, layer: int = 0, roles: str | Sequence[str] | None = None) -> go.Figure:
        """``lstmviz.gate_figure`` of it."""
        return import_module("lstmviz.charts").gate_figure(self, layer, roles)  # it lies above, and alone knows Plotly

    def to_dataframe(self) -> pd.DataFrame:
        """One row for every layer, token and unit, with a column for each gate and state.

        A projection's values stand in the rows of as many units, though they belong to none; NaN in the rows beyond.
        """
        import pandas as pd  # here and not above: it takes as long to import as all of lstmviz

        sizes = {axis: size for axis, size in self.sizes.items() if axis != "projection"}
        shape = tuple(sizes.values())
        columns: dict[str, np.ndarray] = dict(zip(sizes, np.indices(shape).reshape(len(shape), -1), strict=True))
        if "direction" in columns:
            columns["direction"] = np.array(DIRECTIONS)[columns["direction"]]
        for name, values in self.items():
            beyond = [(0, 0)] * len(self.outer) + [(0, sizes["unit"] - values.shape[-1])]
            columns[name] = np.pad(values, beyond, constant_values=np.nan).ravel()
        for name, along in (("nll", self.nll), ("token", np.array(self.tokens, dtype=object))):
            if len(along):
                columns[name] = np.broadcast_to(along[:, None], shape).ravel()  # time is the last axis but one
        return pd.DataFrame(columns)

    def to_xarray(self) -> xr.Dataset:
        """As a Dataset of xarray, with labelled axes; ``trace.to_xarray().forget_gate.sel(layer=0, unit=3)``.

        ``nll`` is one of its variables, ``token`` a coordinate, and ``attrs["cell"]`` names the cell.

        Raises:
            ImportError: xarray is not installed.
        """
        try:
            import xarray as xr
        except ImportError as error:
            raise ImportError("to_xarray needs xarray, which is not installed: pip install xarray") from error

        data: dict[str, Any] = {name: (self.axes(name), values) for name, values in self.items()}
        coords: dict[str, Any] = {
            axis: list(DIRECTIONS[:size]) if axis == "direction" else np.arange(size)
            for axis, size in self.sizes.items()
        }
        if len(self.nll):
            data["nll"] = ("time", self.nll)
        if self.tokens:
            coords["token"] = ("time", list(self.tokens))
        return xr.Dataset(data, coords, attrs={"cell": self.cell_name})


def kept(trace: GateTrace) -> np.ndarray | None:
    """The share of what it holds that every unit keeps at every step.

    What it holds is what `held` gives. So, with the gates taken as constants,
    ``held_t = kept_t ⊙ held_{t-1} + what is written``, and ``kept_t`` is the gradient's factor on that path. What
    flows through the gates comes on top of it.

    Args:
        trace: of any cell in ``CELLS`` or ``TREE_CELLS``. In a tree it is what a node's parent keeps of the node.

    Returns:
        ``(layer[, direction][, batch], time, unit)``, values in [0, 1]: what the cell declares as ``keeps``. NaN at the
        first step where the step before has a part in it (``slstm``), which is not in the trace. None where no gate
        keeps anything (``rnn``).
    """
    return _worked_out(trace, "keeps")


def held(trace: GateTrace) -> np.ndarray:
    """What every unit holds, as the cell declares it: c; in an sLSTM the mean c / n; in a cell that has no c, h.

    Returns:
        ``(layer[, direction][, batch], time, unit)``.
    """
    values = _worked_out(trace, "holds")
    assert values is not None  # every cell holds something
    return values


def _worked_out(trace: GateTrace, what: str) -> np.ndarray | None:
    worked_out = cell_called(trace.cell_name).worked_out
    if "direction" not in trace.outer:
        return worked_out(what, trace, trace.outer.index("time"))
    axis, time, every = trace.outer.index("direction"), trace.outer.index("time") - 1, []
    for k, direction in enumerate(DIRECTIONS[: trace.sizes["direction"]]):
        reverse = direction == "reverse"  # of which the step before is the next one
        one = {name: values.take(k, axis) for name, values in trace.items()}
        one = {name: np.flip(values, time) if reverse else values for name, values in one.items()}
        found = worked_out(what, one, time)
        if found is None:
            return None
        every.append(np.flip(found, time) if reverse else found)
    return np.stack(every, axis)
