"""Where the gradient of a loss goes: to which tokens, how far back, and through which steps to the recurrent weights.

A loss at time T tells what to do at time T − k through ∂nll_T / ∂s_{T−k}, s being the state: a product of k Jacobians,
which shrinks or grows about as the k-th power of one (Bengio, Simard & Frasconi 1994, "Learning long-term dependencies
with gradient descent is difficult"; Pascanu, Mikolov & Bengio 2013, "On the difficulty of training recurrent neural
networks").

Here ``nll[t]`` is, as in a trace, the loss in nats of token t given those before it: the first has none. Every function
asks a copy of the model, in its own precision, of float32 at least: that ends at 1e-45, so for what has vanished give
``model.double()``.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lstmviz.cells import cell_called
from lstmviz.cells.base import Cell, Product, State
from lstmviz.cells.equations import parts, symbols
from lstmviz.config import ModelConfig
from lstmviz.data.grammars import GRAMMARS
from lstmviz.data.vocabulary import Vocabulary
from lstmviz.explain.distance import REACH
from lstmviz.explain.memory import numbered
from lstmviz.explain.typed import token_ids, why_no_losses
from lstmviz.model import LanguageModel, at_once
from lstmviz.reference import why_not_run

Read = str | Sequence[int] | np.ndarray  # a text, or the ids of its tokens

NODES, PIECES = 16, 4  # of the way that gradients are integrated on: places in a piece, and pieces at first
CUTS, WORST, EXACT = 20, 4, 1e-3  # how often, and how many, pieces are cut that are so many nats off

if TYPE_CHECKING:
    import pandas as pd


def gradient_norms(model: LanguageModel, tokens: Tensor, targets: Tensor) -> Tensor:
    """The norm of ∂nll_T / ∂s_t, s_t being what all layers hand on from time t: h, and c where there is one.

    Args:
        model: in eval mode; it reads from a state of zeros.
        tokens: int64 ``(T, B)``, texts that end at the same time.
        targets: ``(B,)``, the token after each; its nll in nats is what is differentiated.

    Returns:
        ``(T, B)``, row t for the state after token t, in the model's own precision.
    """
    handed_on: list[list[State]] = []
    state = None
    for vectors in model.embed(tokens):  # (B, E); step by step, since a native kernel returns no state in between
        _, state = model.run(vectors[None], state)
        # A copy, through which only what comes later can be reached, and not the layer above at the same time.
        state = [{name: values.clone() for name, values in layer.items()} for layer in state]
        handed_on.append(state)
    nll = F.cross_entropy(model.decode(handed_on[-1][-1]["hidden"]), targets, reduction="sum")
    every = [values for state in handed_on for layer in state for values in layer.values()]
    gradients = iter(torch.autograd.grad(nll, every, materialize_grads=True))
    # Side by side, (B, ΣH), those of one time.
    each = [torch.cat([next(gradients) for layer in state for _ in layer], dim=-1) for state in handed_on]
    return torch.stack(each).norm(dim=-1)


def gradient_by_distance(
    model: LanguageModel, vocabulary: Vocabulary, *, furthest: int = 128, sentences: int = 64
) -> pd.DataFrame:
    """How much of the gradient of a far answer in ``recall`` arrives at the states before it.

    Args:
        model, vocabulary: of ``recall``, trained or not. A copy in float64 is asked, in which what has vanished is told
            from 0.
        furthest: every answer depends on a symbol that stands so far back at least.
        sentences: how many answers; the same ones for every model.

    Returns:
        A row for each distance k from 0 to ``furthest``, in tokens, with medians over the answers: ``gradient``, the
        norm of ∂nll_T / ∂s_{T−k}, and ``arrives``, its share of the norm at distance 0.
    """
    import pandas as pd  # as in trace.py

    language, rng, longest = GRAMMARS["recall"], random.Random("recall gradients"), 2 * furthest + 2
    before: list[str] = []  # as in training, each sentence is read after others
    while len(before) < longest:
        before += [*language.sentence(rng, 1), language.end]
    read: list[list[str]] = []
    while len(read) < sentences:
        sentence = language.sentence(rng, REACH)
        far = (q.time for q in language.questions(sentence) if furthest <= q.distance < 2 * furthest)
        if (time := next(far, None)) is not None:
            read.append([*before, *sentence[: time + 2]][-longest:])  # its last token is the answer
    ids = torch.tensor([vocabulary.encode_tokens(each) for each in read]).T  # (T + 1, B)
    norms = gradient_norms(copy.deepcopy(model).double().eval(), ids[:-1], ids[-1])  # (T, B)
    norms = norms.flip(0)[: furthest + 1].numpy()  # row k is of s_{T−k}
    medians = {"gradient": np.median(norms, axis=1), "arrives": np.median(norms / norms[0], axis=1)}
    return pd.DataFrame({"distance": np.arange(furthest + 1), **medians})


# ---- which tokens a prediction depends on ----------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Saliency:
    """How much each token that was read speaks for one prediction: above 0 it makes its loss larger, below smaller.

    Args:
        tokens: those that were read, K of them.
        says: the token, or label, whose loss is explained.
        nll: that loss, in nats.
        gradient: gradient × embedding, ``(K,)``: what the loss would lose if all went on as steeply as here (Li et al.
            2016, "Visualizing and understanding neural models in NLP"; Shrikumar et al. 2017).
        integrated: integrated gradients from the embedding 0, ``(K,)`` (Sundararajan, Taly & Yan 2017, "Axiomatic
            attribution for deep networks"): they add up to the difference between this loss and that at 0.
        error: how far they are from adding up to it, in nats, since an integral is a sum.
    """

    tokens: Sequence[str]
    says: str
    nll: float
    gradient: np.ndarray
    integrated: np.ndarray
    error: float


def saliency(
    model: LanguageModel, vocabulary: Vocabulary, text: Read, at: int = -1, *, labels: Vocabulary | None = None
) -> Saliency:
    """Which tokens one prediction depends on.

    Args:
        model: of a text, in one direction or in both; left unchanged.
        vocabulary: of the tokens that it reads.
        text: to be read from nothing.
        at: the token whose loss is explained, by those before it; of a model that says labels, the last token that it
            has read when its likeliest label is explained. From the end where it is below 0.
        labels: that the model says, if it says any.

    Raises:
        ValueError: there is no such token, or nothing before it; or the model reads something else, as the sentence
            says.

    Example:
        >>> saliency(model, vocabulary, "The keys to the cabinet are").integrated
    """
    if why := why_no_text(model.config):
        raise ValueError(f"which tokens a prediction depends on is not known: {why}")
    says_labels = model.config.tokens_read is not None
    if says_labels != (labels is not None):
        raise ValueError("labels must be the vocabulary of the labels that the model says, and only where it says any")
    model = _asked(model)
    ids = _ids(model, vocabulary, text, 1 if says_labels else 2)
    at = numbered(at, len(ids), "token")
    if not says_labels and not at:
        raise ValueError("nothing stands before the first token, so its loss depends on none")
    read = ids if model.config.bidirectional else ids[: at + says_labels]  # (K,)
    with torch.no_grad():
        vectors = model.embed(read[:, None])  # (K, 1, E)
    if says_labels:
        with torch.no_grad():
            target = model.decode(model.run(vectors)[0][at, 0]).argmax()
    else:
        target = ids[at]

    def losses(inputs: Tensor) -> Tensor:  # (K, B, E) -> (B,)
        scores = model.decode(model.run(inputs)[0][at if says_labels else -1])  # (B, V)
        return F.cross_entropy(scores, target.expand(len(scores)), reduction="none")

    def gradients(inputs: Tensor) -> Tensor:
        inputs = inputs.detach().requires_grad_()
        return torch.autograd.grad(losses(inputs).sum(), inputs)[0]

    integrated, off = _integrated(losses, gradients, vectors)
    return Saliency(
        [vocabulary.token(i) for i in read.tolist()],
        (labels or vocabulary).token(int(target)),
        float(losses(vectors).detach()),
        (gradients(vectors) * vectors)[:, 0].sum(-1).numpy(),
        integrated.numpy(),
        off,
    )


def _integrated(
    losses: Callable[[Tensor], Tensor], gradients: Callable[[Tensor], Tensor], vectors: Tensor
) -> tuple[Tensor, float]:
    """Integrated gradients ``(K,)`` on the way from 0 to vectors ``(K, 1, E)``, and by how much they do not add up.

    On that way a loss may change all at once. So it is cut into pieces, and each piece whose gradients do not add up to
    what the loss differs by at its ends is cut in two, the worst of them first. In a piece Gauss & Legendre's places
    and weights are taken: of what is smooth their sum is the integral, to the last digits of a float.
    """
    places, weights = (torch.from_numpy(each).to(vectors) for each in np.polynomial.legendre.leggauss(NODES))
    left, width = torch.arange(PIECES).to(vectors) / PIECES, 1 / PIECES
    found, off = torch.zeros_like(vectors[:, 0, 0]), 0.0
    for cut in range(CUTS + 1):
        where = left[:, None] + width * (places + 1) / 2  # (P, NODES)
        along = (gradients(where.view(-1, 1) * vectors) * vectors).sum(-1).view(-1, *where.shape)  # (K, P, NODES)
        of_each = along @ weights * width / 2  # (K, P)
        with torch.no_grad():
            ends = losses(torch.cat([left, left + width])[:, None] * vectors).view(2, -1)
        differs = of_each.sum(0) - (ends[1] - ends[0])  # (P,)
        worst = differs.abs().argsort(descending=True)[: WORST if cut < CUTS else 0]
        worst = worst[differs[worst].abs() > EXACT]
        taken = torch.ones_like(differs, dtype=torch.bool)
        taken[worst] = False
        found, off = found + of_each[:, taken].sum(1), off + float(differs[taken].sum())
        if not len(worst):
            break
        width /= 2
        left = torch.cat([left[worst], left[worst] + width])
    return found, abs(off)


# ---- step by step back through time ----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Connectivity:
    """How much each loss of a text depends on each state before it.

    Args:
        norms: ``(T, T)``: row t, column k is ‖∂nll_t/∂s_k‖, s_k being what is asked of after token k. 0 where k ≥ t,
            since what comes later changes no loss before; the first row is 0, since nobody predicts the first token.
        tokens: one a step.
        of: what s is.
    """

    norms: np.ndarray
    tokens: Sequence[str]
    of: str

    def by_distance(self) -> np.ndarray:
        """The median of the norms at each distance in tokens, t − 1 − k = 0 … T − 2: ``(T − 1,)``."""
        return np.array([np.median(np.diagonal(self.norms, -1 - d)) for d in range(len(self.norms) - 1)])


def connectivity(
    model: LanguageModel, vocabulary: Vocabulary, text: Read, of: str = "hidden", *, layer: int | None = None
) -> Connectivity:
    """The gradient of every loss of a text with respect to the state after every token before it.

    It goes back step by step, with the gradients of all later losses side by side: so it costs what T backward passes
    in one batch cost, and holds T · H numbers.

    Args:
        model: that reads a text from the left and predicts its next token; left unchanged.
        vocabulary: its.
        text: of two tokens at least, read from nothing.
        of: a state of its cell, as ``"hidden"`` or ``"cell"``; or ``"embedding"``, the vector of the token itself.
        layer: whose state; by default the norm is over those of all layers.

    Raises:
        ValueError: the cell has no such state, the text is too short, or the model is another, as the sentence says.

    Example:
        >>> connectivity(model, vocabulary, "((x)x)", of="cell").norms[-1]  # of the last token's loss
    """
    if why := why_no_losses(model.config):
        raise ValueError(f"how its losses depend on its states is not known: {why}")
    model = _asked(model)
    states = [*cell_called(model.config.cell).states]
    if of not in (*states, "embedding"):
        raise ValueError(f"{model.config.cell} has no state {of}; there is {', '.join(states)}, or embedding")
    layers = [*range(len(model.layers))] if layer is None else [numbered(layer, len(model.layers), "layer")]
    ids = _ids(model, vocabulary, text, 2)
    norms = np.zeros((len(ids), len(ids)))
    for back in _backwards(model, ids, 1, embedding=of == "embedding"):
        parts = [back.embedding] if of == "embedding" else [back.states[k][of] for k in layers]  # (n, ·) each
        norms[-len(parts[0]) :, back.time] = torch.cat(parts, dim=-1).norm(dim=-1).numpy()
    return Connectivity(norms, [vocabulary.token(i) for i in ids.tolist()], of)


@dataclass(frozen=True, eq=False)
class Itemised:
    """The gradient of one loss with respect to the recurrent weights, as a sum over the steps that it goes through.

    Equations::

        ∂J_t/∂U = Σ_{k < t} δ_k h'_kᵀ        δ_k = ∂J_t/∂(U h')_k

    In each step the weights stand once, and what the loss says of them there is one term (Werbos 1990, "Backpropagation
    through time: what it does and how to do it").

    Args:
        tokens: those that were read, T of them: all before the one whose loss it is.
        nll: that loss, in nats.
        deltas, seen: δ ``(T, K)`` and h' ``(T, P)`` of each product with the recurrent weights that a step has; of most
            cells there is one.
    """

    tokens: Sequence[str]
    nll: float
    deltas: Sequence[np.ndarray]
    seen: Sequence[np.ndarray]

    def term(self, time: int) -> np.ndarray:
        """What one step contributes, ``(ΣK, P)``, rows as the cell stores them."""
        time = numbered(time, len(self.tokens), "step")
        return np.concatenate([np.outer(d[time], h[time]) for d, h in zip(self.deltas, self.seen, strict=True)])

    @property
    def gradient(self) -> np.ndarray:
        """The whole, ``(ΣK, P)``."""
        return np.concatenate([d.T @ h for d, h in zip(self.deltas, self.seen, strict=True)])

    @property
    def norms(self) -> np.ndarray:
        """Of each step's term, ``(T,)``: that of an outer product is the product of two norms."""
        deltas, seen = (np.array([np.linalg.norm(v, axis=1) for v in each]) for each in (self.deltas, self.seen))
        return np.linalg.norm(deltas * seen, axis=0)

    @property
    def shares(self) -> np.ndarray:
        """Of the whole, ``(T,)``: how far each term goes in its direction, so that they sum to 1; NaN where it is 0."""
        whole, at, along = self.gradient, 0, np.zeros(len(self.tokens))
        for d, h in zip(self.deltas, self.seen, strict=True):
            along += np.einsum("tk,kp,tp->t", d, whole[at : at + d.shape[1]], h, optimize=True)
            at += d.shape[1]
        with np.errstate(invalid="ignore"):
            return along / (whole**2).sum()

    def beyond(self, window: int) -> float:
        """The share of what is more than so many steps back, which truncated backpropagation never sees."""
        return float(self.shares[: max(0, len(self.tokens) - window)].sum())


def itemised(model: LanguageModel, vocabulary: Vocabulary, text: Read, at: int = -1, *, layer: int = 0) -> Itemised:
    """Backpropagation through time for one token's loss: what each step before it says of the recurrent weights.

    Args:
        model, vocabulary, text: as for `connectivity`.
        at: the token whose loss it is; from the end where it is below 0.
        layer: whose recurrent weights.

    Raises:
        ValueError: the cell has no recurrent weights, there is no such token or layer, or as for `connectivity`.

    Example:
        >>> items = itemised(model, vocabulary, "((x)x)")
        >>> items.norms, items.beyond(4)
    """
    if why := why_no_losses(model.config) or why_not_recurrent(model.config.cell):
        raise ValueError(f"its gradient cannot be itemised: {why}")
    model = _asked(model)
    layer, ids = numbered(layer, len(model.layers), "layer"), _ids(model, vocabulary, text, 2)
    at = numbered(at, len(ids), "token")
    if not at:
        raise ValueError("nothing stands before the first token, so there is no loss of it")
    steps = [back.products[layer] for back in _backwards(model, ids[: at + 1], at)][::-1]  # from the first on
    with torch.no_grad():
        nll, _ = model.loss(ids[:at, None], ids[at : at + 1, None])
    deltas, seen = (
        [torch.cat([step[j][part] for step in steps]).double().numpy() for j in range(len(steps[0]))] for part in (1, 0)
    )
    return Itemised([vocabulary.token(i) for i in ids[:at].tolist()], float(nll), deltas, seen)


@dataclass(frozen=True, eq=False)
class _Back:
    """One step back, of n losses side by side.

    Args:
        time: of the step.
        states: of each layer the gradients with respect to each state after the step, ``(n, ·)``.
        embedding: that with respect to the vector that it read, ``(n, E)``; empty where nobody asked.
        products: of each layer every h' ``(n, P)`` that met the recurrent weights, and the gradient of what it made.
    """

    time: int
    states: list[State]
    embedding: Tensor
    products: list[list[tuple[Tensor, Tensor]]]


def _backwards(model: LanguageModel, ids: Tensor, first: int, *, embedding: bool = False) -> Iterator[_Back]:
    """The gradients of the losses of tokens ``first``, … T − 1 at each step before them, the last step first.

    Row r is of token first + r. Going back, those losses join that come next: at step k those of all tokens after k.
    """
    top, records = model.record(ids[:, None])  # (T, 1, P), name -> (T, 1, H)
    rows, layers = len(ids) - first, [*model.layers]
    decoded = _of_scores(model, top[first - 1 : -1, 0], ids[first:])  # (rows, P), ∂nll_t/∂h_{t−1} by way of the decoder
    vectors = model.embed(ids[:, None]).detach()  # (T, 1, E)
    handed = [  # what the later steps say of the state that a step hands on
        {name: values.new_zeros(rows, values.shape[-1]) for name, values in zero.items()}
        for zero in model.layers.initial_state(1)
    ]
    for time in range(len(ids) - 2, -1, -1):
        some = slice(max(0, time + 1 - first), rows)  # the losses after this step
        above = torch.zeros_like(top[0]).expand(rows - some.start, -1).clone()
        if time + 1 >= first:
            above[0] = decoded[time + 1 - first]
        found, products = [], []
        for k in range(len(layers) - 1, -1, -1):
            cell = layers[k]
            x = records[k - 1]["hidden"][time] if k else vectors[time]  # (1, X)
            wanted = k > 0 or embedding
            x = x.expand(len(above), -1).clone().requires_grad_() if wanted else x
            before = {
                name: (records[k][name][time - 1] if time else zero).expand(len(above), -1).clone().requires_grad_()
                for name, zero in cell.initial_state(1).items()
            }
            with torch.enable_grad():
                U, met = _watched(cell, before, x)
                after, _ = cell.step(cell.project(x[None])[0].expand(len(above), -1), before, U)
                made = [*after.values()]
                said = {name: values[some].clone() for name, values in handed[k].items()}
                said["hidden"] += above
                inputs = [*made, *before.values(), *[x] * wanted, *(product for _, product in met)]
                gradients = iter(
                    torch.autograd.grad(
                        made, inputs, [said[name] for name in after], materialize_grads=True, allow_unused=True
                    )
                )
            found.append({name: next(gradients) for name in after})
            for name in before:
                handed[k][name][some] = next(gradients)
            above = next(gradients) if wanted else vectors[:0, 0]
            products.append([(h.detach(), next(gradients)) for h, _ in met])
        yield _Back(time, found[::-1], above, products[::-1])


def _watched(cell: Cell, state: State, x: Tensor) -> tuple[Product, list[tuple[Tensor, Tensor]]]:
    """The recurrent weights of one step, and what they meet and make there, as it happens."""
    rows = x[None].expand(1, len(state["hidden"]), -1)
    U, met = cell.recurrent(rows), []

    def product(h: Tensor, *which: str) -> Tensor:
        made = U(h, *which)
        met.append((h, made))
        return made

    return product, met


def _of_scores(model: LanguageModel, hidden: Tensor, targets: Tensor) -> Tensor:
    """The gradient of each target's loss with respect to what is decoded, ``(N, P)``, without the scores of all."""
    found = []
    for said, next_ones in zip(*(each.split(at_once(model.vocab_size)) for each in (hidden, targets)), strict=True):
        said = said.detach().requires_grad_()
        with torch.enable_grad():
            loss = F.cross_entropy(model.decode(said), next_ones, reduction="sum")
        found += torch.autograd.grad(loss, said)
    return torch.cat(found)


def _asked(model: LanguageModel) -> LanguageModel:
    """A copy of it on the CPU, that can be asked for gradients."""
    precision = torch.promote_types(next(model.parameters()).dtype, torch.float32)
    return copy.deepcopy(model).to("cpu", precision).eval().requires_grad_()


def _ids(model: LanguageModel, vocabulary: Vocabulary, text: Read, least: int) -> Tensor:
    known = model.config.tokens_read or model.vocab_size
    return torch.from_numpy(token_ids(vocabulary, text, known, least).astype(np.int64))


def why_no_text(config: ModelConfig) -> str:
    """Why a model reads no text that could be taken apart by its tokens, in a few words; empty where it does."""
    if config.row_size:
        return "it reads images"
    return why_not_run(replace(config, bidirectional=False, window=None))


def why_not_recurrent(cell: str) -> str:
    """Why a cell has no recurrent weights, in a few words; empty where it has."""
    trees = cell_called(cell).parsed().trees.values()
    products = (part for tree in trees for part in parts(tree) if isinstance(part, tuple) and part[0] == "@")
    past = any(symbol.endswith("'") for _, _, vector in products for symbol in symbols(vector))
    return "" if past else f"{cell} has no recurrent weights, since no gate sees h'"


# ---- a small example of what explodes --------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Exploding:
    """A recurrence over a few steps, the gradient of its loss, and one update with clipping and one without.

    Args:
        norms: ‖∂J/∂h_k‖ of k = 0 … n, ``(n + 1,)``.
        norm: ‖∂J/∂U‖ = ‖g‖.
        clipped: the norm of what is left of g: the smaller of ‖g‖ and the threshold.
        loss: J before the update; ``plain`` and ``gentle``: after one without and one with clipping.
    """

    norms: np.ndarray
    norm: float
    clipped: float
    loss: float
    plain: float
    gentle: float


def exploding(
    steps: int, singular_value: float, threshold: float, *, tanh: bool = False, size: int = 8, rate: float = 0.1
) -> Exploding:
    """Why gradients explode, and what clipping does, on an example that is small enough to be seen through.

    Equations::

        h_k = U h_{k−1}, or tanh(U h_{k−1})        J = ½ ‖h_n − y‖²
        U ← U − η g,    g = ∂J/∂U, or g · threshold / ‖g‖ where ‖g‖ is larger (Pascanu, Mikolov & Bengio 2013)

    U is symmetric, so its largest singular value s is also its largest eigenvalue: along that direction each step back
    multiplies the gradient by s, and n steps by sⁿ.

    Args:
        steps: n, a whole number from 1 on.
        singular_value: s, above 0; the others lie evenly below it.
        threshold: the norm to which g is clipped, above 0.
        tanh: whether there is one; it never lets a gradient grow more than without.
        size: of h.
        rate: η.

    Raises:
        ValueError: one of them is not so, or no finite number.
    """
    for name, value in {"steps": steps, "size": size}.items():
        if not (isinstance(value, int | np.integer) and value > 0):
            raise ValueError(f"{name} must be a whole number above 0, not {value!r}")
    for name, value in {"singular_value": singular_value, "threshold": threshold, "rate": rate}.items():
        if not (np.isfinite(value) and value > 0):
            raise ValueError(f"{name} must be a finite number above 0, not {value}")
    rng = np.random.default_rng(0)
    basis, _ = np.linalg.qr(rng.normal(size=(size, size)))
    start, wanted = (each / np.linalg.norm(each) for each in rng.normal(size=(2, size)))
    U = torch.from_numpy(basis * np.linspace(singular_value, 0, size, endpoint=False) @ basis.T).requires_grad_()

    def run(U: Tensor) -> tuple[list[Tensor], Tensor]:
        h = [torch.from_numpy(start).requires_grad_()]
        for _ in range(steps):
            h.append((U @ h[-1]).tanh() if tanh else U @ h[-1])
        return h, ((h[-1] - torch.from_numpy(wanted)) ** 2).sum() / 2

    h, loss = run(U)
    *along, g = torch.autograd.grad(loss, [*h, U])
    norm = float(g.norm())
    clipped = g * min(1.0, threshold / norm) if norm else g
    with torch.no_grad():
        plain, gentle = (float(run(U - rate * step)[1]) for step in (g, clipped))
    norms = torch.stack(along).norm(dim=1).numpy()
    return Exploding(norms, norm, float(clipped.norm()), loss.item(), plain, gentle)
