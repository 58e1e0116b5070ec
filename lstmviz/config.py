"""What a model is made of, and how it is trained."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Literal

from lstmviz.cells import CELLS

Level = Literal["char", "word"]


ADAPTIVE_FROM = 10_000  # tokens; with fewer there is little to save
VOCABULARY_MOST = 1_000_000  # tokens


@dataclass(frozen=True)
class ModelConfig:
    """What a model is made of; how many tokens it knows is its vocabulary's.

    Args:
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

    def check_vocabulary(self, vocab_size: int) -> None:
        """Refuse a vocabulary that such a model cannot have.

        Args:
            vocab_size: number of tokens, specials included.

        Raises:
            ValueError: it is too small or too large.
        """
        if type(vocab_size) is not int or not 1 <= vocab_size <= VOCABULARY_MOST:
            raise ValueError(f"vocab_size is {vocab_size!r}; it must be a whole number from 1 to {VOCABULARY_MOST}")
        if self.adaptive_softmax and vocab_size < ADAPTIVE_FROM:
            raise ValueError(
                f"adaptive_softmax needs a vocabulary of at least {ADAPTIVE_FROM:,} tokens; this one has {vocab_size:,}"
            )


COUNT_MOST = 10**12  # of steps, tokens and streams; more is a slip


SEED_MOST = 2**63 - 1


@dataclass(frozen=True)
class TrainConfig:
    """How a model is trained.

    Args:
        corpus: a grammar ("brackets", "agreement", "recall"), the name of a text in corpora/, or the path of a
            text file or of a folder with train, valid and test.
        level: "char" or "word"; a grammar has its own. Words are cut as Unicode says (UAX #29); where a script writes
            no spaces (Chinese, Japanese but for katakana, Thai, Lao, Khmer, Burmese), each character is one.
        max_words: at word level, keep only this many of the commonest words; the rest become ``<unk>``.
        min_count: keep only words (or characters) that the training part has at least so often.
        bptt: tokens in one window of truncated backpropagation through time; the state is carried across windows.
        batch_size: streams read side by side.
        learning_rate: Adam's.
        schedule: "constant"; "cosine", down to nothing over ``steps``; or "plateau", a quarter at every evaluation
            that is no better than the best, until the third such cut ends the training.
        clip_norm: the gradient is scaled down to this norm where it is longer.
        steps: optimiser steps at most.
        eval_every: steps between two evaluations on the validation part.
        seed: of initialisation and dropout.
        bfloat16: multiply matrices in bfloat16 while training; twice as fast at word level on processors that can.

    Raises:
        ValueError: a value is out of its range; the sentence names the field.
    """

    corpus: str
    level: Level = "char"
    max_words: int | None = None
    min_count: int = 1
    bptt: int = 64
    batch_size: int = 32
    learning_rate: float = 2e-3
    schedule: Literal["constant", "cosine", "plateau"] = "cosine"
    clip_norm: float = 1.0
    steps: int = 2000
    eval_every: int = 250
    seed: int = 0
    bfloat16: bool = False

    def __post_init__(self) -> None:
        if type(self.corpus) is not str:
            raise ValueError(f"corpus is {self.corpus!r}; it must be text")
        if type(self.seed) is not int or not -SEED_MOST - 1 <= self.seed <= SEED_MOST:
            raise ValueError(f"seed is {self.seed!r}; it must be a whole number from {-SEED_MOST - 1} to {SEED_MOST}")
        for name in ("min_count", "bptt", "batch_size", "steps", "eval_every", "max_words"):
            value = getattr(self, name)
            if name == "max_words" and value is None:
                continue
            if type(value) is not int or not 1 <= value <= COUNT_MOST:
                none = ", or none" if name == "max_words" else ""
                raise ValueError(f"{name} is {value!r}; it must be a whole number from 1 to {COUNT_MOST:,}{none}")
        for name in ("learning_rate", "clip_norm"):
            value = getattr(self, name)
            if type(value) not in (int, float) or not 0 < value <= sys.float_info.max:
                raise ValueError(f"{name} is {value!r}; it must be a number above 0 and below infinity")
        if self.schedule not in ("constant", "cosine", "plateau"):
            raise ValueError(f"schedule is {self.schedule!r}; it must be constant, cosine or plateau")
        if type(self.bfloat16) is not bool:
            raise ValueError(f"bfloat16 is {self.bfloat16!r}; it must be true or false")
        if self.level not in ("char", "word"):
            raise ValueError(f'level is {self.level!r}; it must be "char" or "word"')
