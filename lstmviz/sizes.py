"""What a model comes to in numbers, without making it: of parameters, and of nats."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from typing import Any

from lstmviz.cells import CELLS, TREE_CELLS, cell_called
from lstmviz.config import UNITS_MOST, WIDE_MOST, ModelConfig

SHORTLIST = 2_000  # commonest tokens, which the adaptive softmax scores at every step
TAIL_DIV = 4  # how many times smaller the vectors are that score the others
LETTER_SIZE = 16  # numbers of a letter's vector; Kim et al. 2016 have 15
BEGUN = ("hidden", "cell")  # states of a speaker that are made from what it is to say

Shape = tuple[int, ...]


def shapes(config: ModelConfig, vocab_size: int) -> dict[str, Shape]:
    """The shape of every parameter of a `lstmviz.model.LanguageModel` by its name.

    Raises:
        ValueError: such a model cannot have so many tokens.
    """
    config.check_vocabulary(vocab_size)
    found = dict(_named(config, vocab_size))
    if config.tie_weights:
        del found["decoder.weight"]
    return found


def _named(config: ModelConfig, vocab_size: int) -> Iterator[tuple[str, Shape]]:
    E, H, D, layers = config.embedding_size, config.hidden_size, config.directions, config.num_layers
    cell, known = cell_called(config.cell), config.tokens_read or vocab_size
    P = cell.output_of(H)
    begun = layers * sum({"hidden": P, "cell": H}[name] for name in cell.states if name in BEGUN)

    def linear(name: str, inputs: int, outputs: int, bias: bool = True) -> Iterator[tuple[str, Shape]]:
        yield f"{name}.weight", (outputs, inputs)
        if bias:
            yield f"{name}.bias", (outputs,)

    def stack(name: str, directions: int) -> Iterator[tuple[str, Shape]]:
        for k in range(layers * directions):
            own = cell.shapes(E if k < directions else directions * P, H)
            yield from ((f"{name}.{k}.{parameter}", shape) for parameter, shape in own.items())

    if config.letters:
        yield "embedding.letters.weight", (known, LETTER_SIZE)
        yield "embedding.filters.weight", (E, LETTER_SIZE, config.letters)
        yield "embedding.filters.bias", (E,)
    elif config.row_size:
        yield from linear("embedding", config.row_size, E)
    else:
        yield "embedding.weight", (known + vocab_size * (config.attention is not None), E)
    if config.window:
        yield from linear("layers.hidden", config.window * E, H)
    elif config.attention:
        yield from stack("layers.reader", 2)
        yield from stack("layers.speaker", 1)
        yield from linear("layers.begin", 2 * P, begun)
        if config.attention != "none":
            yield from linear("layers.score", P, 2 * P, bias=False)
            yield from linear("layers.combine", 3 * P, P)
    else:
        yield from stack("layers", D)
    if config.labels_read:
        yield "labels.weight", (config.labels_read, E)
        yield from linear("begin", E, begun)
    if config.adaptive_softmax:
        small = max(1, D * P // TAIL_DIV)
        yield from linear("decoder.head", D * P, SHORTLIST + 1)
        yield from linear("decoder.tail.0", D * P, small, bias=False)
        yield from linear("decoder.tail.1", small, vocab_size - SHORTLIST)
    else:
        yield from linear("decoder", D * P, vocab_size)


def parameter_count(config: ModelConfig, vocab_size: int) -> int:
    """How many numbers the model learns."""
    return sum(math.prod(shape) for shape in shapes(config, vocab_size).values())


def widest(parameters: int, vocab_size: int, **options: Any) -> ModelConfig:
    """The model with the most units among those of at most so many parameters.

    Args:
        parameters: of the whole model, embedding and decoder included.
        vocab_size: number of tokens, specials included.
        options: what ModelConfig takes, but hidden_size. Where weights are tied, the embedding grows with the units.

    Raises:
        ValueError: a model of a single unit has more, or an option is out of its range.
    """

    def of(units: int) -> ModelConfig:
        tied = options.get("tie_weights")
        wide = {"embedding_size": cell_called(options.get("cell", "lstm")).output_of(units)} if tied else {}
        return ModelConfig(**{**options, **wide, "hidden_size": units})

    if (cell := options.get("cell", "lstm")) not in {*CELLS, *TREE_CELLS}:
        raise ValueError(f"cell is {cell!r}; it must be one of {', '.join([*CELLS, *TREE_CELLS])}")
    if (least := parameter_count(of(1), vocab_size)) > parameters:
        raise ValueError(
            f"no {cell} has at most {parameters:,} parameters here: with a single unit a layer the model has "
            f"{least:,} already; allow more, or choose a smaller embedding or fewer layers"
        )
    fits, too_many = 1, min(WIDE_MOST, UNITS_MOST // (of(1).directions * of(1).num_layers)) + 1
    while too_many - fits > 1:
        middle = (fits + too_many) // 2
        fits, too_many = (middle, too_many) if parameter_count(of(middle), vocab_size) <= parameters else (fits, middle)
    return of(fits)


def perplexity(nll: float) -> float:
    """e to the mean nll in nats; infinite where that is too large for a float."""
    return math.exp(nll) if nll < math.log(sys.float_info.max) else math.inf
