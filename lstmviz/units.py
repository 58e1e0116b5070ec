"""Which units a map shows, and in which order: 256 rows read as noise, two dozen well chosen ones as a picture."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import regex

from lstmviz.cells import cell_called
from lstmviz.roles import ROLES

MOST = 32  # rows that can be told apart in the tallest panel; a layer of no more units shows them all
FEW = 4 * MOST  # units among which they are chosen: to compare all would cost their number squared
LASTS = 4  # tokens: what comes and goes faster cannot be followed along a row
USUAL = 100  # the model's own text counts as so many tokens beside the sentence: so the choice changes seldom
EXACT = 512  # rows that are all compared with one another to order them
FIRST = 8  # tokens from which on the sentence has a say
KINDS = {"A": r"\p{Lu}", "a": r"\p{L}", "0": r"\p{Nd}"}  # of tokens, by how they begin; the first that fits

_KINDS = {kind: regex.compile(pattern) for kind, pattern in KINDS.items()}


def drawn_roles(cell: str, available: Container[str]) -> list[str]:
    """The roles of a cell that are shown at first: the gates that do something, and what is held."""
    does = {name: role.does for name, role in cell_called(cell).roles().items() if name in available}
    gates = [name for name in ROLES if does.get(name) and does[name] != "holds"]
    return [*gates, *(name for name, what in does.items() if what == "holds")]


@dataclass(frozen=True)
class Usual:
    """How the units of a layer move in the text that the model wrote itself.

    Args:
        worth: what each is worth to the eye, ``(H,)``.
        few: the units among which `telling` chooses, those that are worth most first, ``(F,)``.
        together: the covariance of what these did there, ``(F, F)``.
    """

    worth: np.ndarray
    few: np.ndarray
    together: np.ndarray


def usual(did: np.ndarray, tokens: Sequence[str], first: int | None = None) -> Usual:
    """Of what every unit did in each role, on that role's own scale, ``(T, R, H)``.

    Args:
        first: a unit that goes before all others, whatever it is worth.
    """
    did = did - did.mean(0)
    value = worth(did, tokens)
    few = np.argsort(-value, kind="stable")
    if first is not None:
        few = np.concatenate([[first], few[few != first]])
    return Usual(value, few[:FEW], covariance(did[:, :, few[:FEW]]))


def looked_at(length: int) -> int:
    """How many of so many tokens the choice is made on: 8, 12, 16, 24, 32, 48, …, so that few keys change it.

    The last one does not count: it is a word that is still being typed.
    """
    length -= 1
    if length < FIRST:
        return 0
    power = 2 ** (length.bit_length() - 1)
    return power + power // 2 if length >= power + power // 2 else power


def telling(did: np.ndarray, tokens: Sequence[str], usual: Usual, always: bool = False) -> tuple[list[int], list[int]]:
    """The units that tell most about a sentence, at most ``MOST``: those that move most, and unlike one another.

    The one of the highest worth is taken, one after another; of what is like one taken already, correlated by r, only
    1 − r² counts, the share that the other does not explain.

    Args:
        did: what ``usual.few`` did in each role, on that role's own scale, ``(T, R, F)``; T may be 0.
        tokens: those read, ``(T,)``.
        usual: of the same model and layer.
        always: whether the first of these is taken first.

    Returns:
        The most telling first; and the same units in an order that puts alike ones side by side.
    """
    few, steps = usual.few, len(tokens)
    value, together = usual.worth[few].astype(float), usual.together.astype(float)  # (F,), (F, F)
    if steps:
        here, did = steps / (steps + USUAL), did - did.mean(0, dtype=float)
        value = here * worth(did, tokens) + (1 - here) * value
        together = here * covariance(did) + (1 - here) * together
    size = np.sqrt(np.maximum(together.diagonal(), 1e-9))
    unexplained = 1 - (together / size / size[:, None]) ** 2
    taken = [0] if always else []
    unlike = unexplained[taken].min(0, initial=1)  # (F,)
    while len(taken) < min(MOST, len(few)):
        gain = value * unlike
        gain[taken] = -1
        taken.append(int(np.argmax(gain)))
        unlike = np.minimum(unlike, unexplained[taken[-1]])
    order = around(together[np.ix_(taken, taken)])
    if np.argmin(order) >= len(order) / 2:  # which end is up is free: the most telling one is above the middle
        order = order[::-1]
    ranked = few[taken]
    return ranked.tolist(), ranked[order].tolist()


def worth(did: np.ndarray, tokens: Sequence[str]) -> np.ndarray:
    """How much of what each unit does the eye can follow, ``(H,)``, from ``(T, R, H)`` of mean 0.

    A row can be read where it goes with the text (opens or shuts at a space, a capital, a bracket) or lasts: the
    variance that is left when its values are averaged over all tokens of a kind, and over four tokens in turn.
    """
    _, kinds, counts = np.unique([kind_of(token) for token in tokens], return_inverse=True, return_counts=True)
    share = (np.eye(len(counts))[kinds] / counts).T.astype(did.dtype)  # (K, T)
    by_kind = np.tensordot(share, did, 1)  # (K, R, H)
    turns = len(did) // LASTS
    lasting = did[: turns * LASTS].reshape(turns, LASTS, *did.shape[1:]).mean(1)  # (T / 4, R, H)
    weights = (counts / len(tokens)).astype(did.dtype)
    return np.tensordot(weights, by_kind**2, 1).sum(0) + (lasting**2).mean(0).sum(0)


def covariance(did: np.ndarray) -> np.ndarray:
    """Of all that the units did, ``(H, H)``, from ``(T, R, H)`` of mean 0."""
    rows = did.reshape(-1, did.shape[-1])  # (T · R, H)
    return rows.T @ rows / len(did)


def kind_of(token: str) -> str:
    """What a token is to the eye: a capitalised word, another word or a number; other signs each for itself."""
    return next((kind for kind, pattern in _KINDS.items() if pattern.match(token)), token)


def by_similarity(rows: np.ndarray) -> np.ndarray:
    """An order of rows ``(H, N)`` that puts alike ones next to each other, so that blocks show: ``(H,)``.

    Rows are sorted by their angle in the plane of the two leading principal components (Friendly 2002), and the circle
    is cut at its widest gap. The components of more than ``EXACT`` rows come from a few steps of subspace iteration
    (Halko, Martinsson & Tropp 2011), which cost H · N and not H³.
    """
    if len(rows) <= EXACT:
        return around(rows @ rows.T)
    centred = rows - rows.mean(0)
    basis = np.random.default_rng(0).standard_normal((len(rows), 8)).astype(rows.dtype)  # (H, 8)
    for _ in range(10):
        basis, _ = np.linalg.qr(centred @ (centred.T @ basis))
    inside = centred.T @ basis  # (N, 8)
    return _circle(basis @ np.linalg.eigh(inside.T @ inside).eigenvectors)


def around(products: np.ndarray) -> np.ndarray:
    """As `by_similarity`, of the products ``(H, H)`` of every row with every other one."""
    if len(products) < 3:
        return np.arange(len(products))
    centred = products - products.mean(0) - products.mean(1)[:, None] + products.mean()
    return _circle(np.linalg.eigh(centred).eigenvectors)


def _circle(components: np.ndarray) -> np.ndarray:
    """Rows by their angle in the plane of the last two components of ``(H, C)``, from the widest gap on."""
    angles = np.arctan2(components[:, -2], components[:, -1])  # (H,)
    order = np.argsort(angles, kind="stable")
    gaps = np.diff(angles[order], append=angles[order[0]] + 2 * np.pi)
    return np.roll(order, -1 - int(np.argmax(gaps)))


def acts(values: Mapping[str, np.ndarray], scales: dict[str, tuple[float, float]], roles: Sequence[str]) -> np.ndarray:
    """What every unit of a layer did in some roles, as far as their colours go: ``(T, R, H)``.

    Args:
        values: role -> ``(T, H)``.
        scales: role -> (low, high).
        roles: those that are shown at first.
    """
    did = [np.clip(values[role] / np.float32(scales[role][1]), -1, 1) for role in roles]
    return np.nan_to_num(np.stack(did, axis=1).astype(np.float32))
