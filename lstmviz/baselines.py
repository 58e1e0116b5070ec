"""The language models before the LSTM: what follows the last n - 1 tokens, as it was counted in a text.

Each is a `Predictor`, as a `LanguageModel` is one: so it can be evaluated, drawn from and laid over one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from lstmviz.cells.base import State

LONGEST = 7  # tokens of a run that are counted
FALLBACK = (0.5, 1.0, 1.5)  # discounts where too few runs were counted to estimate them, as KenLM has them
NEVER = -1  # the place of a run that was never counted, and a token where none stands
Weights = tuple[list[np.ndarray], list[np.ndarray]]  # α and γ, level by level: see `NGram`

# ---- counting --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Counts:
    """How often each run of up to n tokens stands in a text: a tree, level by level.

    A run of k tokens is known by its place in level k. Its key there is the place of its first k - 1 tokens times V,
    plus its last token. Keys are sorted: so a run is found by k binary searches, and what follows it stands side by
    side.

    Args:
        vocab_size: V.
        keys: of each level, from the first, int64 ``(N_k,)``; the empty run is level 0.
        times: how often each run was counted, int64 ``(N_k,)``.
    """

    vocab_size: int
    keys: list[np.ndarray]
    times: list[np.ndarray]

    @classmethod
    def of(cls, ids: np.ndarray | Tensor, n: int, vocab_size: int) -> Counts:
        """Count a text.

        Args:
            ids: of its tokens, ``(N,)``.
            n: the longest runs.
            vocab_size: number of tokens, specials included.

        Raises:
            ValueError: n is out of its range, the text has fewer than n tokens, or one that is not in the vocabulary.
        """
        if not 1 <= n <= LONGEST:
            raise ValueError(f"n is {n}; it must be from 1 to {LONGEST}")
        ids = np.asarray(ids, np.int64)
        if len(ids) < n:
            raise ValueError(f"the text has {len(ids)} tokens; runs of {n} can be counted in {n} or more")
        if not 0 <= ids.min() <= ids.max() < vocab_size:
            raise ValueError(f"the text has a token {ids.max()}, and the vocabulary has {vocab_size}")
        keys, times = [], []
        place = np.zeros(len(ids) + 1, np.int64)  # of the run that ends before each token
        for k in range(1, n + 1):
            found, place, counted = np.unique(
                place[:-1] * vocab_size + ids[k - 1 :], return_inverse=True, return_counts=True
            )
            keys.append(found)
            times.append(counted)
        return cls(vocab_size, keys, times)

    @property
    def n(self) -> int:
        """Tokens of the longest runs."""
        return len(self.keys)

    def counted(self, k: int) -> np.ndarray:
        """How often each run of k tokens was counted, ``(N_k,)``; the empty one as often as there were tokens."""
        return self.times[k - 1] if k else self.times[0].sum(keepdims=True)

    def up_to(self, n: int) -> Counts:
        """Only the runs of up to n tokens; from 1 to what was counted."""
        return Counts(self.vocab_size, self.keys[:n], self.times[:n])

    @property
    def size(self) -> int:
        """How many different runs were counted."""
        return sum(map(len, self.keys))

    @property
    def nbytes(self) -> int:
        """Bytes that they take in memory."""
        return sum(level.nbytes for level in (*self.keys, *self.times))

    def find(self, k: int, begin: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """Where runs of k tokens stand.

        Args:
            begin: places in level k - 1 of all but their last tokens, any shape.
            tokens: the last ones; of the same shape.

        Returns:
            Places in level k; ``NEVER`` for what was never counted.
        """
        keys, wanted = self.keys[k - 1], begin * self.vocab_size + tokens
        place = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
        return np.where((begin >= 0) & (tokens >= 0) & (keys[place] == wanted), place, NEVER)

    def place_of(self, run: list[int]) -> np.ndarray:
        """Where one run stands in the level of its length, ``(1,)``."""
        place = np.zeros(1, np.int64)
        for k, token in enumerate(run, start=1):
            place = self.find(k, place, np.array([token]))
        return place

    def ending(self, ids: np.ndarray) -> Iterator[np.ndarray]:
        """Where the runs of 0, 1, … n tokens stand that end with each token of a text ``(T, …)``."""
        place = np.zeros_like(ids)
        yield place
        for k in range(1, self.n + 1):
            place = self.find(k, _before(k - 1, place), ids)
            yield place

    def after(self, k: int, begin: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """All runs of k tokens that begin with those at certain places of level k - 1.

        Args:
            begin: ``(M,)``.

        Returns:
            For each of them which of ``begin`` it is of, and its place in level k.
        """
        first, last = (np.searchsorted(self.keys[k - 1], (begin + more) * self.vocab_size) for more in (0, 1))
        many = np.where(begin >= 0, last - first, 0)
        rows = np.repeat(np.arange(len(begin)), many)
        return rows, np.arange(many.sum()) + np.repeat(first - (np.cumsum(many) - many), many)

    # What follows from the keys:

    def begins(self, k: int) -> np.ndarray:
        """For each run of k tokens the place of its first k - 1, ``(N_k,)``."""
        return self.keys[k - 1] // self.vocab_size

    def ends(self) -> list[np.ndarray]:
        """For each level, where each run stands without its first token in the level before, ``(N_k,)``."""
        ends = [np.zeros_like(self.keys[0])]
        for k in range(2, self.n + 1):
            ends.append(self.find(k - 1, ends[-1][self.begins(k)], self.keys[k - 1] % self.vocab_size))
        return ends

    def summed(self, k: int, values: np.ndarray) -> np.ndarray:
        """Values of the runs of k tokens ``(N_k,)``, summed over those that begin alike, ``(N_{k-1},)``."""
        many = len(self.keys[k - 2]) if k > 1 else 1
        return np.bincount(self.begins(k), values, minlength=many)


def _before(k: int, place: np.ndarray) -> np.ndarray:
    """Where the runs of k tokens stand that end before each token ``(T, …)``: before the first one is the empty run."""
    return np.concatenate([np.full_like(place[:1], NEVER if k else 0), place[:-1]])


# ---- from counts to probabilities ------------------------------------------------------------------------------------


def maximum_likelihood(counts: Counts) -> Weights:
    """p(w | c) = count(c w) / count(c ·): nothing for what was never counted. A context that was itself never counted
    is shortened until it was.
    """
    alphas, gammas = [], []
    for k, times in enumerate(counts.times, start=1):
        total = counts.summed(k, times)
        alphas.append(times / total[counts.begins(k)])
        gammas.append(np.where(total > 0, 0.0, 1.0))
    return alphas, gammas


def add_k(counts: Counts, k: float) -> Weights:
    """p(w | c) = (count(c w) + k) / (count(c ·) + k V), as if everything had been counted k times more (Lidstone).

    Raises:
        ValueError: k is not above 0.
    """
    if not k > 0:
        raise ValueError(f"k is {k}; it must be above 0")
    n, v, many = counts.n, counts.vocab_size, [1, *map(len, counts.times)]
    total = counts.summed(n, counts.times[-1]) + k * v
    alphas = [np.zeros(runs) for runs in many[1:-1]]  # shorter contexts have no say
    return [*alphas, counts.times[-1] / total[counts.begins(n)]], [*map(np.ones, many[: n - 1]), k * v / total]


def kneser_ney(counts: Counts, discount: float | None = None) -> Weights:
    """Interpolated Kneser-Ney: the longest runs by how often they were counted, the shorter ones by how many different
    tokens they were counted after; each less a discount, which is what the shorter context has to share out.

    Args:
        discount: of every count, from 0 to 1 (Kneser & Ney 1995). By default three for each level, of what was counted
            once, twice and more often, estimated from the counts as Chen & Goodman (1999, "An empirical study of
            smoothing techniques for language modeling") do in their modified version.

    Raises:
        ValueError: the discount is out of its range.
    """
    if discount is not None and not 0 <= discount <= 1:
        raise ValueError(f"discount is {discount}; it must be from 0 to 1")
    alphas, gammas, ends = [], [], counts.ends()
    for k, times in enumerate(counts.times, start=1):
        if k < counts.n:
            times = np.bincount(ends[k], minlength=len(times))  # N1+(· run)
        less = np.array([0.0, *(discounts(times) if discount is None else 3 * (discount,))])[times.clip(max=3)]
        total = counts.summed(k, times)
        with np.errstate(invalid="ignore"):  # 0 / 0 where nothing followed, which is at the end of the text alone
            alphas.append(np.nan_to_num((times - less) / total[counts.begins(k)]))
            gammas.append(np.nan_to_num(counts.summed(k, less) / total, nan=1.0))
    return alphas, gammas


def discounts(times: np.ndarray) -> tuple[float, float, float]:
    """D_1, D_2 and D_3+ of Chen & Goodman (1999, equation 26): from how many runs were counted once, twice, … 4 times.

    Where there are none of these, or the estimates are no discounts, ``FALLBACK``.
    """
    _, n1, n2, n3, n4, *_ = np.bincount(times.clip(max=5), minlength=6).tolist()
    if not min(n1, n2, n3, n4):
        return FALLBACK
    y = n1 / (n1 + 2 * n2)
    found = 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3
    return found if all(0 <= d <= i for i, d in enumerate(found, start=1)) else FALLBACK


SMOOTHINGS: dict[str, Callable[[Counts], Weights]] = {
    "maximum likelihood": maximum_likelihood,
    "add-k": partial(add_k, k=0.1),
    "Kneser-Ney": kneser_ney,
}


class NGram:
    """A `Predictor` that has counts and no memory beyond the last n - 1 tokens.

    All ways of smoothing are here one recursion over ever longer contexts, ``c`` without its first token being ``c'``::

        p_k(w | c) = α(c w) + γ(c) p_{k-1}(w | c'),    p_0 = 1 / V

    with α = 0 and γ = 1 for what was never counted. Its state is the last n - 1 tokens, ``(B, n - 1)``; before the
    first of a text stands ``NEVER``, and the contexts are as short as what was read.

    Args:
        counts: their longest runs are the n.
        weights: makes α ``(N_k,)`` and γ ``(N_{k-1},)`` of each level k; `maximum_likelihood`, `add_k`, `kneser_ney`.
    """

    def __init__(self, counts: Counts, weights: Callable[[Counts], Weights] = kneser_ney) -> None:
        self.counts = counts
        self.alphas, self.gammas = weights(counts)

    @property
    def name(self) -> str:
        return f"{self.counts.n}-gram"

    @property
    def device(self) -> torch.device:
        """Where its tokens must lie."""
        import torch

        return torch.device("cpu")

    def __call__(self, tokens: Tensor, state: list[State] | None = None, /) -> tuple[Tensor, list[State]]:
        """ln p of every token after each: ``(T, B)`` to ``(T, B, V)``, and the state; −∞ for what is impossible."""
        places, last = self._read(tokens, state)
        p = np.full((tokens.numel(), self.counts.vocab_size), 1 / self.counts.vocab_size)  # (T · B, V)
        for k, (place, alpha) in enumerate(zip(places, self.alphas, strict=True), start=1):
            p *= self._gamma(k, place).reshape(-1, 1)
            rows, runs = self.counts.after(k, place.ravel())
            p[rows, self.counts.keys[k - 1][runs] % self.counts.vocab_size] += alpha[runs]
        return _log(p.reshape(*tokens.shape, -1)), last

    def loss(self, tokens: Tensor, targets: Tensor, state: list[State] | None = None) -> tuple[Tensor, list[State]]:
        """Mean nll in nats of ``targets`` ``(T, B)``, each after its token, and the state; ∞ if one is impossible."""
        places, last = self._read(tokens, state)
        return -_log(self._p(places, targets.numpy())).double().mean(), last

    def nll(self, ids: np.ndarray) -> np.ndarray:
        """The loss in nats of each token of a text, ``(T,)``, of the first one without a context."""
        places = [_before(k, place) for k, place in enumerate(islice(self.counts.ending(ids), self.counts.n))]
        with np.errstate(divide="ignore"):
            return -np.log(self._p(places, ids))

    def sample(self, tokens: Tensor, count: int, temperature: float = 1.0, top_k: int = 0, seed: int = 0) -> Tensor:
        """Continue a text ``(T,)`` by so many tokens ``(count,)``, as ``LanguageModel.sample`` does.

        Raises:
            FloatingPointError: nothing but specials can follow, so there is nothing to draw from.
        """
        import torch

        from lstmviz.model import draw

        generator, drawn = torch.Generator().manual_seed(seed), []
        scores, state = self(tokens[:, None][-max(1, self.counts.n - 1) :])
        for _ in range(count):
            drawn.append(draw(scores[-1, 0], generator, temperature, top_k))  # (1,)
            scores, state = self(drawn[-1][:, None], state)
        return torch.cat(drawn) if drawn else tokens[:0]

    def _read(self, tokens: Tensor, state: list[State] | None) -> tuple[list[np.ndarray], list[State]]:
        """Where the contexts of 0, 1, … n - 1 tokens stand that end with each token, ``(T, B)`` each; and the state."""
        import torch

        n = self.counts.n
        context = state[0]["context"] if state else torch.full((tokens.shape[1], n - 1), NEVER)
        text = torch.cat([context.T, tokens])  # (n - 1 + T, B)
        places = [place[n - 1 :] for place in islice(self.counts.ending(text.numpy()), n)]
        return places, [{"context": text[len(tokens) :].T}]

    def _p(self, places: list[np.ndarray], tokens: np.ndarray) -> np.ndarray:
        """The probability of each token after the contexts of 0, 1, … n - 1 tokens at these places."""
        p = np.full(tokens.shape, 1 / self.counts.vocab_size)
        for k, (place, alpha) in enumerate(zip(places, self.alphas, strict=True), start=1):
            run = self.counts.find(k, place, tokens)
            p = np.where(run >= 0, alpha[run], 0) + self._gamma(k, place) * p
        return p

    def _gamma(self, k: int, place: np.ndarray) -> np.ndarray:
        return np.where(place >= 0, self.gammas[k - 1][place], 1)


def _log(p: np.ndarray) -> Tensor:
    import torch

    with np.errstate(divide="ignore"):
        return torch.from_numpy(np.log(p).astype(np.float32))


# ---- what was counted, and what never --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Continuations:
    """What was counted after a context.

    Args:
        context: ids of its tokens.
        times: how often it was counted.
        different: how many different tokens followed it; all others of the vocabulary never did.
        tokens: ids of those that followed most often, the most frequent first.
        followed: how often they did.
    """

    context: list[int]
    times: int
    different: int
    tokens: list[int]
    followed: list[int]


def continuations(counts: Counts, ids: list[int], best: int = 5) -> list[Continuations]:
    """What was counted after the end of a text: after its last n - 1 tokens, then after ever fewer, down to none.

    Args:
        ids: of the text, however long; it may be empty.
        best: how many tokens are told.
    """
    found = []
    for start in range(max(0, len(ids) - counts.n + 1), len(ids) + 1):
        context = ids[start:]
        level, place = len(context), counts.place_of(context)
        runs = counts.after(level + 1, place)[1]
        followed = counts.times[level][runs]
        order = np.argsort(-followed, kind="stable")[:best]
        times = int(counts.counted(level)[place[0]]) if place[0] >= 0 else 0
        tokens = counts.keys[level][runs[order]] % counts.vocab_size
        found.append(Continuations(context, times, len(runs), tokens.tolist(), followed[order].tolist()))
    return found


@dataclass(frozen=True)
class Told:
    """What a table had counted of each token of a text, ``(T,)`` each.

    Args:
        context: tokens of the longest context before it that was counted; of those before it, at most n - 1.
        context_times: how often that was.
        run: tokens of the longest run that ends with it and was counted; 0 for a token that never was.
        run_times: how often that was.
    """

    context: np.ndarray
    context_times: np.ndarray
    run: np.ndarray
    run_times: np.ndarray


def told(counts: Counts, ids: np.ndarray) -> Told:
    """What was counted of each token of a text ``(T,)`` and of what stands before it."""
    places = [*counts.ending(ids)]
    before = [_before(k, place) for k, place in enumerate(places[:-1])]
    return Told(*_longest(counts, np.stack(before)), *_longest(counts, np.stack(places)))


def _longest(counts: Counts, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of runs of 0, 1, … tokens at these places ``(K, T)`` the longest that was counted: its tokens, and how often."""
    length = (places >= 0).sum(0) - 1  # what ends a run that was counted was counted
    times = np.stack([counts.counted(k)[place] for k, place in enumerate(places)])
    return length, times[length, np.arange(places.shape[1])]


@dataclass(frozen=True)
class Growth:
    """What a table of runs of n tokens takes, and what it lacks: the problems of storage and of sparsity.

    Args:
        n: tokens of a run.
        runs: how many different ones were counted.
        nbytes: that they take in memory.
        unseen: the share of the runs of n tokens in another text that were never counted.
        unseen_context: the share of which not even the first n - 1 tokens were.
    """

    n: int
    runs: int
    nbytes: int
    unseen: float
    unseen_context: float


def growth(counts: Counts, ids: np.ndarray) -> list[Growth]:
    """For each n up to that of the counts.

    Args:
        ids: of a text that was not counted, ``(T,)``; n tokens at least.
    """
    unseen = [float((place[max(0, k - 1) :] < 0).mean()) for k, place in enumerate(counts.ending(ids))]
    return [
        Growth(k, len(keys), keys.nbytes + times.nbytes, unseen[k], unseen[k - 1])
        for k, (keys, times) in enumerate(zip(counts.keys, counts.times, strict=True), start=1)
    ]
