"""The language model: embedding, a stack of recurrent layers, decoder."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lstmviz.cells import CELLS, Cell, State, chrono

SHORTLIST = 2_000  # commonest tokens, which the adaptive softmax scores at every step
TAIL_DIV = 4  # how many times smaller the vectors are that score the others
ADAPTIVE_FROM = 10_000  # tokens; with fewer there is little to save


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
        adaptive_softmax: score the rarer tokens only where one of them follows (Grave et al. 2017, "Efficient softmax
            approximation for GPUs"): faster training. Needs a vocabulary of at least 10,000 tokens, the commonest first
            as ``Vocabulary.of`` orders them; cannot be tied.
        forget_bias: what the bias of the forget gate, or of another that keeps, begins with (Jozefowicz et al. 2015:
            1); None leaves it as it was drawn.
        chrono: let these biases begin so that the units keep their memory for anything up to so many steps, and the
            input gate's with their negative (Tallec & Ollivier 2018).

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
    adaptive_softmax: bool = False
    forget_bias: float | None = None
    chrono: int | None = None

    def __post_init__(self) -> None:
        if self.cell not in CELLS:
            raise ValueError(f"cell is {self.cell!r}; it must be one of {', '.join(CELLS)}")
        for name, low, high in (
            ("vocab_size", 1, 1_000_000),
            ("embedding_size", 1, 10_000_000),
            ("hidden_size", 1, 10_000_000),
            ("num_layers", 1, 64),
        ):
            value = getattr(self, name)
            if type(value) is not int or not low <= value <= high:
                raise ValueError(f"{name} is {value!r}; it must be a whole number from {low} to {high}")
        if not isinstance(self.dropout, (int, float)) or not 0 <= self.dropout < 1:
            raise ValueError(f"dropout is {self.dropout!r}; it must be at least 0 and below 1")
        for name in ("tie_weights", "adaptive_softmax"):
            if type(value := getattr(self, name)) is not bool:
                raise ValueError(f"{name} is {value!r}; it must be true or false")
        output_size = CELLS[self.cell].output_of(self.hidden_size)
        if self.tie_weights and self.embedding_size != output_size:
            projected = "" if output_size == self.hidden_size else f", projected to {output_size}"
            raise ValueError(
                f"tie_weights needs embedding_size = hidden_size{projected}; they are {self.embedding_size} and "
                f"{self.hidden_size}"
            )
        if (bias := self.forget_bias) is not None and (type(bias) not in (int, float) or not abs(bias) <= 100):
            raise ValueError(f"forget_bias is {bias!r}; it must be a number from -100 to 100, or none")
        longest = self.chrono
        if longest is not None and (type(longest) is not int or not 3 <= longest <= 1_000_000):
            raise ValueError(f"chrono is {longest!r}; it must be a whole number from 3 to 1,000,000, or none")
        if bias is not None and longest is not None:
            raise ValueError("forget_bias and chrono both say how the forget gate begins; leave one of them out")
        if (bias is not None or longest is not None) and not CELLS[self.cell].keeping:
            raise ValueError(f"forget_bias and chrono start a gate that {self.cell} does not have; leave them out")
        if self.adaptive_softmax and self.tie_weights:
            raise ValueError("adaptive_softmax cannot decode with the embedding matrix; leave it or tie_weights out")
        if self.adaptive_softmax and self.vocab_size < ADAPTIVE_FROM:
            raise ValueError(
                f"adaptive_softmax needs a vocabulary of at least {ADAPTIVE_FROM:,} tokens; "
                f"this one has {self.vocab_size:,}"
            )


class AdaptiveSoftmax(nn.Module):
    """A decoder in two parts: the head scores the commonest tokens and "a rarer one", the tail the rarer ones.

    ``nn.AdaptiveLogSoftmaxWithLoss`` cannot keep its loss in float32 under autocast to bfloat16.

    Args:
        hidden_size: size of what is decoded.
        vocab_size: number of tokens, the commonest first.
    """

    def __init__(self, hidden_size: int, vocab_size: int) -> None:
        super().__init__()
        small = max(1, hidden_size // TAIL_DIV)
        self.head = nn.Linear(hidden_size, SHORTLIST + 1)
        self.tail = nn.Sequential(nn.Linear(hidden_size, small, bias=False), nn.Linear(small, vocab_size - SHORTLIST))

    def forward(self, x: Tensor) -> Tensor:
        """ln p of every token: ``(…, H)`` to ``(…, V)``."""
        head = self.head(x).log_softmax(-1)  # (…, C + 1)
        tail = self.tail(x).log_softmax(-1)  # (…, V - C)
        return torch.cat([head[..., :-1], head[..., -1:] + tail], dim=-1)

    def loss(self, x: Tensor, targets: Tensor) -> Tensor:
        """Mean nll of ``targets`` ``(N,)`` after ``x`` ``(N, H)``; the tail is computed for the rarer ones only."""
        rare = targets >= SHORTLIST  # (N,)
        head, tail = self.head(x).float(), self.tail(x[rare]).float()  # (N, C + 1), (R, V - C)
        nll = F.cross_entropy(head, targets.clamp(max=SHORTLIST), reduction="sum")
        return (nll + F.cross_entropy(tail, targets[rare] - SHORTLIST, reduction="sum")) / len(targets)


class LanguageModel(nn.Module):
    """Predicts every next token of a sequence.

    Args:
        config: sizes and cell.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        cell = CELLS[config.cell]
        output_size = cell.output_of(config.hidden_size)
        input_sizes = [config.embedding_size] + [output_size] * (config.num_layers - 1)
        # Given weights: on the meta device nn.Embedding's own normal draw would import 2 s of compiler. They are drawn
        # again below; this draw only keeps the random stream that the shipped checkpoints were trained with.
        weight = torch.empty(config.vocab_size, config.embedding_size).uniform_()
        self.embedding = nn.Embedding(config.vocab_size, config.embedding_size, _weight=weight)
        layers = nn.ModuleList(cell(size, config.hidden_size) for size in input_sizes)
        self.layers = cast(Sequence[Cell], layers)  # what a type checker cannot see in a ModuleList
        decoder = AdaptiveSoftmax if config.adaptive_softmax else nn.Linear
        self.decoder = decoder(output_size, config.vocab_size)
        nn.init.uniform_(self.embedding.weight, -0.1, 0.1)
        for parameter in self.decoder.parameters():
            nn.init.uniform_(parameter, -0.1, 0.1) if parameter.dim() == 2 else nn.init.zeros_(parameter)
        for layer in self.layers:
            if config.forget_bias is not None:
                layer.begin_keeping(torch.full((config.hidden_size,), float(config.forget_bias)))
            if config.chrono is not None:
                layer.begin_keeping(chrono(config.hidden_size, config.chrono), writing_less=True)
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
            Logits ``(T, B, V)`` and the state after the last token. Those of an adaptive softmax are ln p.
        """
        x, last = self._read(tokens, state)
        return self.decoder(x), last

    def loss(self, tokens: Tensor, targets: Tensor, state: list[State] | None = None) -> tuple[Tensor, list[State]]:
        """How badly the token after each token is predicted, without what only a reader of all logits needs.

        Args:
            tokens, targets: int64 ``(T, B)``.
            state: as for ``forward``.

        Returns:
            Mean nll in nats, float32 under autocast too, and the state after the last token.
        """
        if isinstance(self.decoder, AdaptiveSoftmax):
            x, last = self._read(tokens, state)
            return self.decoder.loss(x.flatten(0, 1), targets.flatten()), last
        logits, last = self(tokens, state)
        return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten()), last

    def _read(self, tokens: Tensor, state: list[State] | None) -> tuple[Tensor, list[State]]:
        """What the decoder gets, ``(T, B, H)``, and the state after the last token."""
        state = state or self.initial_state(tokens.shape[1])
        x = self._drop(self.embedding(tokens))  # (T, B, E)
        last = []
        for layer, layer_state in zip(self.layers, state, strict=True):
            x, layer_state = layer(x, layer_state)  # (T, B, H)
            x = self._drop(x)
            last.append(layer_state)
        return x, last

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

    @torch.no_grad()
    def sample(self, tokens: Tensor, count: int, temperature: float = 1.0, top_k: int = 0, seed: int = 0) -> Tensor:
        """Continue a text by drawing token after token.

        Args:
            tokens: int64 ``(T,)``, T ≥ 1, what stands already.
            count: how many to draw.
            temperature: above 0; below 1 the likely become likelier.
            top_k: draw among the k likeliest only; 0 for all.
            seed: the same seed draws the same tokens.

        Returns:
            The drawn tokens ``(count,)``; the specials <pad>, <unk> and <sos> are never drawn.

        Raises:
            FloatingPointError: the model's scores are no finite numbers, so there is nothing to draw from.
        """
        generator = torch.Generator().manual_seed(seed)
        logits, state = self(tokens[:, None])
        drawn = []
        for _ in range(count):
            scores = logits[-1, 0].cpu() / temperature  # (V,), where the generator is
            if not scores.isfinite().all():
                raise FloatingPointError("the scores that the model gives to the next token are not finite numbers")
            scores[:3] = -torch.inf
            if 0 < top_k < len(scores):
                scores[scores < scores.topk(top_k).values[-1]] = -torch.inf
            drawn.append(torch.multinomial(scores.softmax(0), 1, generator=generator))  # (1,)
            logits, state = self(drawn[-1][:, None].to(tokens.device), state)
        return torch.cat(drawn) if drawn else tokens[:0]

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.config.dropout, self.training)


def parameter_count(config: ModelConfig) -> int:
    """How many numbers the model learns, counted without allocating them."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in LanguageModel(config).parameters())


def widest(parameters: int, **options: Any) -> ModelConfig:
    """The model with the most units among those of at most so many parameters.

    Args:
        parameters: of the whole model, embedding and decoder included.
        options: what ModelConfig takes, but hidden_size. Where weights are tied, the embedding grows with the units.

    Raises:
        ValueError: a model of a single unit has more, or an option is out of its range.
    """

    def of(units: int) -> ModelConfig:
        tied = options.get("tie_weights")
        wide = {"embedding_size": CELLS[options.get("cell", "lstm")].output_of(units)} if tied else {}
        return ModelConfig(**{**options, **wide, "hidden_size": units})

    if (cell := options.get("cell", "lstm")) not in CELLS:
        raise ValueError(f"cell is {cell!r}; it must be one of {', '.join(CELLS)}")
    if (least := parameter_count(of(1))) > parameters:
        raise ValueError(
            f"no {cell} has at most {parameters:,} parameters here: with a single unit a layer the model has "
            f"{least:,} already; allow more, or choose a smaller embedding or fewer layers"
        )
    fits, too_many = 1, 2
    while parameter_count(of(too_many)) <= parameters:
        fits, too_many = too_many, 2 * too_many
    while too_many - fits > 1:
        middle = (fits + too_many) // 2
        fits, too_many = (middle, too_many) if parameter_count(of(middle)) <= parameters else (fits, middle)
    return of(fits)


def perplexity(nll: float) -> float:
    """e to the mean nll in nats; infinite where that is too large for a float."""
    return math.exp(nll) if nll < math.log(sys.float_info.max) else math.inf
