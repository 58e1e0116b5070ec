"""A grid of trainings: a base configuration, and what varies over it."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from lstmviz.cells import CELLS
from lstmviz.config import ModelConfig, TrainConfig
from lstmviz.sizes import widest
from lstmviz.training.folder import RunConfig

MEMBERS_MOST = 500
FIELDS = {f"{part}.{each.name}" for part, of in (("model", ModelConfig), ("train", TrainConfig)) for each in fields(of)}


@dataclass(frozen=True)
class Grid:
    """A base configuration and what varies over it: one member for each combination.

    Args:
        base: what all members have in common. How the forget gate begins is left out for cells that have none.
        over: field -> its values, ``{"model.cell": ("lstm", "gru"), "train.seed": (0, 1, 2)}``: any fields of
            ModelConfig and TrainConfig; the first changes slowest.
        parameters: give each member as many units as its whole model can have with at most so many parameters, whatever
            ``base`` says.

    Raises:
        ValueError: ``over`` names no field, no value or one twice, or there are more members than ``MEMBERS_MOST``.
    """

    base: RunConfig
    over: dict[str, tuple] = field(default_factory=dict)
    parameters: int | None = None

    def __post_init__(self) -> None:
        for name, values in self.over.items():
            if name not in FIELDS:
                raise ValueError(f"{name} is no field that can vary; those are {', '.join(sorted(FIELDS))}")
            if not values:
                raise ValueError(f"{_word(name)} is empty; give at least one")
            if twice := [value for value, count in Counter(values).items() if count > 1]:
                raise ValueError(f"{_word(name)} has {twice[0]} more than once")
        if (count := self.count) > MEMBERS_MOST:
            several = ", ".join(_word(name) for name, values in self.over.items() if len(values) > 1)
            raise ValueError(
                f"this is {count:,} trainings; a line-up has at most {MEMBERS_MOST}: choose fewer values of {several}"
            )
        if self.parameters is not None and "model.hidden_size" in self.over:
            raise ValueError("parameters decides how many units a member has; leave hidden_size out")

    @property
    def count(self) -> int:
        """How many members there are."""
        return math.prod(len(values) for values in self.over.values())

    def trained(self, **otherwise: Any) -> Grid:
        """The same with other values of TrainConfig for all members."""
        return replace(self, base=replace(self.base, train=replace(self.base.train, **otherwise)))

    def members(self, vocab_size: int) -> dict[str, RunConfig]:
        """Every member by its name: its cell, and of the rest what not all have in common.

        Args:
            vocab_size: number of tokens, specials included.

        Raises:
            ValueError: one of them is out of some range, the sentence names it; or two would have the same name.
        """
        found: dict[str, RunConfig] = {}
        for values in itertools.product(*self.over.values()):
            chosen = dict(zip(self.over, values, strict=True))
            member = self._member(chosen, vocab_size)
            name = self._name(chosen, member.model)
            if name in found:
                raise ValueError(f"two trainings would be called {name}; give what varies names that tell them apart")
            found[name] = member
        return found

    def _member(self, chosen: dict[str, Any], vocab_size: int) -> RunConfig:
        own = {part: {_word(n): v for n, v in chosen.items() if n.startswith(part)} for part in ("model", "train")}
        model = {**vars(self.base.model), **own["model"]}
        if model["cell"] in CELLS and not CELLS[model["cell"]].keeping:
            model |= {"forget_bias": None, "chrono": None}
        if self.parameters is None:
            sized = ModelConfig(**model)
        else:
            del model["hidden_size"]
            sized = _widest(self.parameters, vocab_size, tuple(model.items()))
        sized.check_vocabulary(vocab_size)
        return RunConfig(replace(self.base.train, **own["train"]), sized, self.base.probe)

    def _name(self, chosen: dict[str, Any], model: ModelConfig) -> str:
        name = model.cell
        for each, value in chosen.items():
            if each == "model.num_layers" and len(self.over[each]) > 1:
                name += f"-{value}x{model.hidden_size}"
            elif each != "model.cell" and len(self.over[each]) > 1:
                said = re.sub(r"[^\w.+-]+", "-", Path(str(value)).name)  # it becomes a folder's
                name += f"-{_word(each).replace('_', '-')}{said}"
        return name

    def differing(self, other: Grid) -> list[str]:
        """The fields in which another grid is not as this one."""
        mine, its = (
            {f"model.{name}": (value,) for name, value in vars(grid.base.model).items()}
            | {f"train.{name}": (value,) for name, value in vars(grid.base.train).items()}
            | {"probe": (grid.base.probe,), "parameters": (grid.parameters,)}
            | grid.over
            for grid in (self, other)
        )
        return [_word(name) for name in mine if mine[name] != its[name]]

    def dumps(self) -> dict[str, Any]:
        """As JSON."""
        return {"base": asdict(self.base), "over": self.over, "parameters": self.parameters}

    @classmethod
    def loads(cls, asked: dict[str, Any]) -> Grid:
        """Undo ``dumps``, also from what the first format had in its place.

        Raises:
            ValueError: it is none.
        """
        try:
            return cls._loads(asked)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError("it does not hold what was asked of a line-up") from error

    @classmethod
    def _loads(cls, asked: dict[str, Any]) -> Grid:
        if type(parameters := asked["parameters"]) is not int and parameters is not None:
            raise TypeError
        if "base" not in asked:
            lists = [tuple(asked[name]) for name in ("cells", "num_layers", "bptt", "seeds")]
            train = TrainConfig(**asked["train"])
            return lineup(train, asked["model"], *lists, parameters=parameters, probe=asked["probe"])
        over = {name: tuple(values) for name, values in asked["over"].items()}
        return cls(RunConfig.loads(asked["base"]), over, parameters)


def lineup(
    train: TrainConfig,
    model: dict[str, Any],
    cells: Sequence[str] = ("lstm",),
    num_layers: Sequence[int] = (1,),
    bptt: Sequence[int] = (64,),
    seeds: Sequence[int] = (0,),
    *,
    parameters: int | None = None,
    probe: str = "",
) -> Grid:
    """The grid that the command line and the Train page ask for: cells, layers, windows and seeds.

    Args:
        train: how to train; its bptt and its seed give way.
        model: what ModelConfig takes, but cell and num_layers; with ``parameters`` not hidden_size either.
        cells, num_layers, bptt, seeds: one or more of each.
        parameters: as in Grid.
        probe: as in RunConfig.

    Raises:
        ValueError: a value is out of its range, or as in Grid.
    """
    if parameters is not None and "hidden_size" in model:
        raise ValueError("parameters decides how many units a member has; leave hidden_size out")
    over = {"model.cell": cells, "model.num_layers": num_layers, "train.bptt": bptt, "train.seed": seeds}
    over = {name: tuple(values) for name, values in over.items()}
    # One of them that can begin as is asked, and, where the weights are tied, be as wide as is asked.
    begins = model.get("forget_bias") is not None or model.get("chrono") is not None
    cell = next((cell for cell in cells if not begins or cell not in CELLS or CELLS[cell].keeping), "lstm")
    if parameters is not None and model.get("tie_weights") and cell in CELLS:
        width = model.get("embedding_size", ModelConfig().embedding_size)
        model = {**model, "hidden_size": width if CELLS[cell].output_of(width) == width else 2 * width}
    return Grid(RunConfig(train, ModelConfig(cell=cell, **model), probe), over, parameters)


@lru_cache(maxsize=1024)
def _widest(parameters: int, vocab_size: int, model: tuple[tuple[str, Any], ...]) -> ModelConfig:
    """`widest`, which tries out a score of models, once for all members that differ in how they are trained."""
    return widest(parameters, vocab_size, **dict(model))


def _word(name: str) -> str:
    """A field without what it is a field of."""
    return name.rpartition(".")[2]
