"""The language model: embedding, a stack of recurrent layers, decoder."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lstmviz.cells import CELLS, State


@dataclass(frozen=True)
class ModelConfig:
    """What a model is made of.

    Args:
        vocab_size: number of tokens, specials included.
        cell: a name in ``CELLS``.
        embedding_size: size of a token's vector.
        hidden_size: units a layer.
        num_layers: recurrent layers, one over the other.
        dropout: share of values dropped between the layers while training.
        tie_weights: decode with the embedding matrix (needs embedding_size = hidden_size).

    Raises:
        ValueError: a value is out of its range; the sentence names the field.
    """

    vocab_size: int
    cell: str = "lstm"
    embedding_size: int = 64
    hidden_size: int = 128
    num_layers: int = 1
    dropout: float = 0.0
    tie_weights: bool = False

    def __post_init__(self) -> None:
        if self.cell not in CELLS:
            raise ValueError(f"cell is {self.cell!r}; it must be one of {', '.join(CELLS)}")
        for name, low, high in (
            ("vocab_size", 1, 1_000_000),
            ("embedding_size", 1, 65_536),
            ("hidden_size", 1, 65_536),
            ("num_layers", 1, 64),
        ):
            value = getattr(self, name)
            if type(value) is not int or not low <= value <= high:
                raise ValueError(f"{name} is {value!r}; it must be a whole number from {low} to {high}")
        if not isinstance(self.dropout, (int, float)) or not 0 <= self.dropout < 1:
            raise ValueError(f"dropout is {self.dropout!r}; it must be at least 0 and below 1")
        if type(self.tie_weights) is not bool:
            raise ValueError(f"tie_weights is {self.tie_weights!r}; it must be true or false")
        if self.tie_weights and self.embedding_size != self.hidden_size:
            raise ValueError(
                f"tie_weights needs embedding_size = hidden_size; they are {self.embedding_size} and {self.hidden_size}"
            )


class LanguageModel(nn.Module):
    """Predicts every next token of a sequence.

    Args:
        config: sizes and cell.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        sizes = [config.embedding_size] + [config.hidden_size] * config.num_layers
        self.embedding = nn.Embedding(config.vocab_size, config.embedding_size)
        self.layers = nn.ModuleList(CELLS[config.cell](x, h) for x, h in zip(sizes, sizes[1:], strict=False))
        self.decoder = nn.Linear(config.hidden_size, config.vocab_size)
        nn.init.uniform_(self.embedding.weight, -0.1, 0.1)
        nn.init.uniform_(self.decoder.weight, -0.1, 0.1)
        nn.init.zeros_(self.decoder.bias)
        if config.tie_weights:
            self.decoder.weight = self.embedding.weight

    def initial_state(self, batch: int) -> list[State]:
        """Zeros for every layer."""
        return [layer.initial_state(batch) for layer in self.layers]

    def forward(self, tokens: Tensor, state: list[State] | None = None) -> tuple[Tensor, list[State]]:
        """Logits of the token after each token.

        Args:
            tokens: int64 ``(T, B)``.
            state: one a layer, before the first token; zeros by default.

        Returns:
            Logits ``(T, B, V)`` and the state after the last token.
        """
        state = state or self.initial_state(tokens.shape[1])
        x = self._drop(self.embedding(tokens))  # (T, B, E)
        last = []
        for layer, layer_state in zip(self.layers, state, strict=True):
            x, layer_state = layer(x, layer_state)  # (T, B, H)
            x = self._drop(x)
            last.append(layer_state)
        return self.decoder(x), last

    def record(self, tokens: Tensor, state: list[State] | None = None) -> tuple[Tensor, list[dict[str, Tensor]]]:
        """As ``forward``, in eval mode and without gradients, keeping every gate and state of every layer.

        Returns:
            Logits ``(T, B, V)`` and one dict a layer, name -> ``(T, B, H)``; the last step holds the state after it.
        """
        state = state or self.initial_state(tokens.shape[1])
        with torch.no_grad():
            x, records = self.embedding(tokens), []
            for layer, layer_state in zip(self.layers, state, strict=True):
                records.append(layer.record(x, layer_state))
                x = records[-1]["hidden"]
            return self.decoder(x), records

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.config.dropout, self.training)


def parameter_count(config: ModelConfig) -> int:
    """How many numbers the model learns, counted without allocating them."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in LanguageModel(config).parameters())
