"""A model run by its equations, in numpy alone: what a page must know of it is known before torch is there.

As in the page itself (``web/engine.js``) what is computed is what the trees of its cell say, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from lstmviz.cells import CellData, cell_called
from lstmviz.cells.equations import FIRST, FUNCTIONS, OPERATORS, Equations, Tree, Value, parts, text
from lstmviz.config import ModelConfig
from lstmviz.data.vocabulary import NOT_FINITE, NOTHING_FOLLOWS

COMPUTED = OPERATORS | FUNCTIONS | {"=": lambda value: value}

State = dict[str, np.ndarray]  # of one layer, name -> (B, H)
Record = dict[str, np.ndarray]  # every gate and state of one layer, name -> (T, B, H)


@dataclass(frozen=True)
class Operation:
    """One value of the equations and what it is made of, all by their texts."""

    made: str
    op: str
    args: tuple[str, ...]

    def run(self, env: dict[str, Value]) -> None:
        env[self.made] = COMPUTED[self.op](*(env[arg] for arg in self.args))


def operations(equations: Equations) -> Iterator[Operation]:
    """All values of one step, each once, in an order in which they can be computed."""
    seen: set[str] = set()

    def inside(tree: Tree) -> Iterator[Operation]:
        if isinstance(tree, tuple) and text(tree) not in seen:
            for arg in tree[1:]:
                yield from inside(arg)
            seen.add(text(tree))
            yield Operation(text(tree), tree[0], tuple(map(text, tree[1:])))

    for symbol, tree in equations.lines:
        yield from inside(tree)
        if symbol not in seen:
            yield Operation(symbol, "=", (text(tree),))


class Acts:
    """What is done to the values of a layer while it runs; here nothing."""

    def found(self, state: State, time: int) -> State:
        """What a step finds of the state before it, ``(B, H)`` each."""
        return state

    def made(self, symbol: str, values: np.ndarray, time: int) -> np.ndarray:
        """What a gate or state is at some steps, the first of which is ``time``, by its symbol: ``(T, B, H)``."""
        return values


NOTHING = Acts()


class Layer:
    """One cell over a sequence. What depends on the input alone is computed of all steps at once.

    Args:
        cell: in ``CELLS``.
        weights: as the layer stores them.
        input_size, hidden_size: X and H.
    """

    def __init__(self, cell: str, weights: dict[str, np.ndarray], input_size: int, hidden_size: int) -> None:
        self.cell, self.size, said = cell_called(cell), hidden_size, CellData.of(cell)
        equations = Equations.from_json(said.equations)
        numbers = {part for _, tree in equations.lines for part in parts(tree) if isinstance(part, float | int)}
        self.fixed: dict[str, Value] = {text(number): number for number in numbers}
        self.weights = self.cell.by_symbol(weights, input_size, hidden_size)
        self.fixed |= self.weights
        self.ahead: list[Operation] = []  # of the input alone
        self.steps: list[Operation] = []
        known, of_input = {*self.fixed}, {"x"}
        for operation in operations(equations):
            if known.issuperset(operation.args):
                operation.run(self.fixed)
                known.add(operation.made)
            elif (known | of_input).issuperset(operation.args):
                self.ahead.append(operation)
                of_input.add(operation.made)
            else:
                self.steps.append(operation)

    def width(self, name: str) -> int:
        """Of a gate or state: H, or P where ``hidden`` is a projection."""
        return self.cell.output_of(self.size) if name == "hidden" else self.size

    def zeros(self, batch: int) -> State:
        """Before the first step."""
        return {name: np.zeros((batch, self.width(name)), np.float32) for name in self.cell.states}

    def before(self, state: State) -> State:
        """A state as the next step sees it, by its symbols with a prime; and whether that is the first, ``(B, 1)``."""
        first = np.all([(values == 0).all(-1, keepdims=True) for values in state.values()], axis=0)
        return {f"{self.cell.states[name]}'": values for name, values in state.items()} | {FIRST: first}

    def run(self, inputs: np.ndarray, state: State, acts: Acts = NOTHING) -> tuple[Record, State]:
        """Every gate and state of a sequence ``(T, B, X)``, and the state after it, while something acts on them."""
        ahead, recorded = {**self.fixed, "x": inputs}, {*self.cell.symbols.values()}
        for symbol in recorded & self.fixed.keys():  # a gate that the cell has not, as of i = 1
            ahead[symbol] = acts.made(symbol, np.full((*inputs.shape[:2], self.size), ahead[symbol], np.float32), 0)
        for operation in self.ahead:
            operation.run(ahead)
            if operation.made in recorded:
                ahead[operation.made] = acts.made(operation.made, ahead[operation.made], 0)
        of_input = [made for made in ahead if made not in self.fixed or made in recorded]
        record = {name: np.empty((*inputs.shape[:2], self.width(name)), np.float32) for name in self.cell.symbols}
        for time in range(len(inputs)):
            env = {**self.fixed, **{made: ahead[made][time] for made in of_input}}
            env |= self.before(acts.found(state, time))
            for operation in self.steps:
                operation.run(env)
                if operation.made in recorded:
                    env[operation.made] = acts.made(operation.made, env[operation.made][None], time)[0]
            for name, symbol in self.cell.symbols.items():
                record[name][time] = env[symbol]
            state = {name: record[name][time] for name in state}
        return record, state


class Reference:
    """A model that reads tokens or the rows of images from the left, without attention: see `runs`.

    Args:
        config: of the model.
        weights: as a Checkpoint has them.
    """

    def __init__(self, config: ModelConfig, weights: dict[str, np.ndarray]) -> None:
        self.config, self.weights = config, weights
        output = cell_called(config.cell).output_of(config.hidden_size)
        self.layers = []
        for k in range(config.num_layers):
            prefix = f"layers.{k}."
            own = {name.removeprefix(prefix): values for name, values in weights.items() if name.startswith(prefix)}
            size = output if k else config.embedding_size
            self.layers.append(Layer(config.cell, own, size, config.hidden_size))

    def embed(self, inputs: np.ndarray) -> np.ndarray:
        """Vectors ``(T, B, E)`` of tokens ``(T, B)``, or of rows ``(T, B, W)``."""
        weight = self.weights["embedding.weight"]
        return self._linear("embedding", inputs) if self.config.row_size else weight[inputs]

    def record(
        self, inputs: np.ndarray, states: Sequence[State] | None = None, acts: Sequence[Acts] | None = None
    ) -> tuple[np.ndarray, list[Record], list[State]]:
        """What the last layer says, ``(T, B, P)``, every gate and state of each layer, and the states after the end.

        Args:
            inputs: tokens ``(T, B)``, or rows ``(T, B, W)``.
            states: before the first step; by default zeros.
            acts: of each layer, what is done to its values; by default nothing.
        """
        x, records, after = self.embed(inputs), [], []
        states = states or [each.zeros(x.shape[1]) for each in self.layers]
        acts = acts or [NOTHING for _ in self.layers]
        with np.errstate(all="ignore"):  # who looks at the values sees what is not finite
            for layer, state, act in zip(self.layers, states, acts, strict=True):
                record, last = layer.run(x, state, act)
                records.append(record)
                after.append(last)
                x = record["hidden"]
        return x, records, after

    def scores(self, hidden: np.ndarray) -> np.ndarray:
        """ln p of what follows, ``(…, V)``, after what the last layer says, ``(…, P)``."""
        if not self.config.adaptive_softmax:
            return _log_softmax(self._linear("decoder", hidden))
        head = _log_softmax(self._linear("decoder.head", hidden))
        tail = _log_softmax(self._linear("decoder.tail.1", hidden @ self.weights["decoder.tail.0.weight"].T))
        return np.concatenate([head[..., :-1], head[..., -1:] + tail], axis=-1)

    def write(self, begin: int, count: int) -> list[int]:
        """A token, and as many behind it: see `writing`."""
        return [*islice(self.writing(begin), count + 1)]

    def writing(self, begin: int) -> Iterator[int]:
        """A token, and behind it those that are drawn one by one, always the same; no special is but the end.

        Raises:
            FloatingPointError: the scores are no finite numbers, so there is nothing to draw from.
        """
        rng, last, states = np.random.default_rng(0), begin, None
        while True:
            yield last
            hidden, _, states = self.record(np.array([[last]]), states)
            with np.errstate(all="ignore"):
                scores = self.scores(hidden[0, 0])  # (V,)
            if not (scores < np.inf).all():
                raise FloatingPointError(NOT_FINITE)
            scores[:3] = -np.inf
            if not (scores > -np.inf).any():
                raise FloatingPointError(NOTHING_FOLLOWS)
            sums = np.exp(scores - scores.max()).cumsum()
            last = int(np.searchsorted(sums, rng.random() * sums[-1], side="right"))

    def _linear(self, name: str, values: np.ndarray) -> np.ndarray:
        weight = self.weights.get(f"{name}.weight", self.weights["embedding.weight"])  # of a tied decoder
        return values @ weight.T + self.weights[f"{name}.bias"]


def why_not_run(config: ModelConfig) -> str:
    """Why a `Reference` cannot run such a model, in a few words; empty where it can."""
    reasons = {
        "it reads trees": cell_called(config.cell).of_trees,
        "a label begins what it says": config.labels_read,
        "it says another sequence for what it reads": config.attention,
        "it reads in both directions": config.bidirectional,
        "it reads words by their letters": config.letters,
        "it looks at a window of tokens": config.window,
    }
    return next((why for why, so in reasons.items() if so), "")


def runs(config: ModelConfig) -> bool:
    """Whether a `Reference` can run such a model."""
    return not why_not_run(config)


def _log_softmax(scores: np.ndarray) -> np.ndarray:
    scores = scores - scores.max(-1, keepdims=True)
    return scores - np.log(np.exp(scores).sum(-1, keepdims=True))
