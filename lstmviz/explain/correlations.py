"""Which units carry what is known about a text?"""

import numpy as np

from lstmviz.data.grammars import GRAMMARS, hidden_variable, measure
from lstmviz.gate_trace import GateTrace, held


def unit_correlations(trace: GateTrace, variable: np.ndarray, *, nominal: bool = False) -> np.ndarray:
    """How much of a known variable each unit carries in what it holds.

    Args:
        trace: of a sequence of T tokens.
        variable: ``(T,)``; NaN where it is not defined.
        nominal: its values are names that have no order.

    Returns:
        ``(layer, unit)``, in [0, 1]: |Pearson correlation|; for a nominal variable the correlation ratio (Fisher 1925),
        the root of the share of the unit's variance that the variable explains, which for two values is the same. 0 for
        a unit that never moves.
    """
    states = held(trace).astype(float)  # (L, T, U)
    defined = ~np.isnan(variable)
    states, variable = states[:, defined], variable[defined]
    states = states - states.mean(1, keepdims=True)
    if nominal:
        groups = variable == np.unique(variable)[:, None]  # (G, T)
        sums = np.einsum("gt,ltu->glu", groups, states)
        shared = np.sqrt((sums**2 / groups.sum(1)[:, None, None]).sum(0))  # (L, U)
        scale = np.linalg.norm(states, axis=1)
    else:
        variable = variable - variable.mean()
        shared = np.abs(np.einsum("ltu,t->lu", states, variable))
        scale = np.linalg.norm(states, axis=1) * np.linalg.norm(variable)
    return np.divide(shared, scale, out=np.zeros_like(scale), where=scale > 0)


def follows(trace: GateTrace, pieces: list[str], corpus: str, layer: int, unit: int) -> str:
    """How well a unit carries what is hidden in a sentence, in words; empty where nothing is, or it never changes.

    Args:
        trace: of the sentence.
        pieces: its tokens, ``(T,)``.
        corpus: its name; in the grammars something is hidden.
        layer, unit: whose.
    """
    if corpus not in GRAMMARS:
        return ""
    variable = hidden_variable(corpus, pieces)
    if len(set(variable[~np.isnan(variable)])) < 2:
        return ""
    correlation = unit_correlations(trace, variable, nominal=GRAMMARS[corpus].nominal)[layer]  # (U,)
    best = int(correlation.argmax())
    hidden = GRAMMARS[corpus].variable
    words = f"In this sentence unit {unit} follows the {hidden} with {measure(corpus)} {correlation[unit]:.2f}"
    return words + (
        f"; best is unit {best} with {correlation[best]:.2f}." if best != unit else ", the best of all units."
    )
