"""What a gate or a state is: its symbol, name, colour and scale, and what it does; and the other colours of the app."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Role:
    """How one gate or state is shown, everywhere: amber keeps, green writes, blue shows, whatever a paper calls it.

    Args:
        label, symbol: as a person reads it; the symbol is the literature's.
        light, dark: its colour on a light and on a dark page.
        low, high: its fixed scale; None where the values are unbounded.
        meaning: one plain sentence for somebody who has never seen an LSTM.
        does: one of ``DOES``, in the cells that are usual; empty where none of them. Each cell declares its own.
    """

    label: str
    symbol: str
    light: str
    dark: str
    low: float | None
    high: float | None
    meaning: str
    does: str = ""


GREY = ("#6b7280", "#9ca3af")


AMBER, GREEN, BLUE, VIOLET = (
    ("#b45309", "#fbbf24"),
    ("#15803d", "#4ade80"),
    ("#1d4ed8", "#60a5fa"),
    ("#7c3aed", "#c4b5fd"),
)


# On a light and on a dark page. What is read as text has a contrast of at least 4.5 to 1 with the page (WCAG 1.4.3).
LOSS, PERPLEXITY = ("#c2410c", "#fb923c"), VIOLET
LOSS_BARS, SURPRISE = ("#fdba74", "#b45309"), ("#ea641e", "#ea580c")  # behind the lines; of a token that was unlikely
LIKELY = ("#2563eb", "#60a5fa")  # what may come next
GAIN, LACK = ("#0b6fb8", "#56b4e9"), ("#c2570c", "#f0883e")  # memory pays, and does not; Okabe & Ito's blue and orange


ROLES = {
    "forget_gate": Role(
        "forget gate",
        "f",
        *AMBER,
        0,
        1,
        "How much of its memory the unit keeps: 1 keeps everything, 0 erases it.",
        does="keeps",
    ),
    "log_forget_gate": Role(
        "log forget gate",
        "ln f",
        *AMBER,
        None,
        None,
        "How much of its memory the unit keeps, as a logarithm beside that of the input gate: the larger counts more.",
        does="keeps",
    ),
    "input_gate": Role(
        "input gate",
        "i",
        *GREEN,
        0,
        1,
        "How much of the new candidate is written into memory: 1 all of it, 0 nothing.",
        does="writes",
    ),
    "log_input_gate": Role(
        "log input gate",
        "ln i",
        *GREEN,
        None,
        None,
        "How much of the candidate is written, as a logarithm beside that of the forget gate: the larger counts more.",
        does="writes",
    ),
    "output_gate": Role(
        "output gate",
        "o",
        *BLUE,
        0,
        1,
        "How much of its memory the unit shows to the rest of the network: 1 all, 0 none.",
        does="shows",
    ),
    "cell": Role(
        "cell state",
        "c",
        *VIOLET,
        None,
        None,
        "The memory itself, a running sum that is kept, written and erased.",
        does="holds",
    ),
    "normalizer": Role(
        "normalizer",
        "n",
        *GREY,
        None,
        None,
        "How much was written in all: what the unit shows is its memory over this.",
    ),
    "stabilizer": Role(
        "stabilizer", "m", *GREY, None, None, "Keeps the exponential gates from overflowing; it changes no result."
    ),
    "reset_gate": Role(
        "reset gate", "r", *BLUE, 0, 1, "How much of the old state is looked at when the new candidate is formed."
    ),
    "update_gate": Role(
        "keep (update) gate",
        "z",
        *AMBER,
        0,
        1,
        "How much of the old state is kept: 1 keeps it, 0 replaces it.",
        does="keeps",
    ),
    "candidate": Role("candidate", "g", *GREY, -1, 1, "What the unit would write into memory at this token."),
    "hidden": Role("hidden state", "h", *GREY, -1, 1, "What the unit shows at this token: the layer's output."),
}


DIVERGING = [(0.0, "#2166ac"), (0.25, "#67a9cf"), (0.5, "#ffffff"), (0.75, "#ef8a62"), (1.0, "#b2182b")]  # on white
CIVIDIS = (
    "#00224e", "#123570", "#3b496c", "#575d6d", "#707173", "#8a8678", "#a59c74", "#c3b369", "#e1cc55", "#fee838",
)  # fmt: skip
SIGNED = {  # from the lowest value to just below 0, and from just above to the highest: 0 has the page's own colour
    "light": (("#2166ac", "#5b9bcb", "#b4d3e7"), ("#f7c4ab", "#e07b62", "#b2182b")),
    "dark": (("#9cc9ff", "#4a90d9", "#23507f"), ("#7d2f2c", "#db5546", "#ffab91")),
}
PAGES = {  # the themes of .streamlit/config.toml, for a picture in the light that the page is not shown in
    "light": {"background": "#ffffff", "text": "#1c2024", "border": "#d5d7db", "primary": "#1d4ed8"},
    "dark": {"background": "#0f1318", "text": "#e6e8eb", "border": "#3a4049", "primary": "#3b82f6"},
}


DOES = ("keeps", "writes", "shows", "looks_back", "holds")
COLOURS = {"keeps": AMBER, "writes": GREEN, "shows": BLUE}


def role_of(name: str, does: str) -> Role:
    """A role as a cell uses it: where it does not do what is usual, it has the colour and the meaning of what it does.

    Args:
        name: in ``ROLES``.
        does: one of ``DOES``, or empty.
    """
    role = ROLES[name]
    if role.does == does or not {role.does, does} & COLOURS.keys():
        return replace(role, does=does)
    meaning = next((other.meaning for other in ROLES.values() if other.does == does), "See the equations of this cell.")
    light, dark = COLOURS.get(does, GREY)
    return replace(role, light=light, dark=dark, meaning=meaning, does=does)


def scale(name: str, values: np.ndarray) -> tuple[float, float]:
    """The ends of a role's colours: its fixed range or, where the values leave it or it has none, ±a whole number.

    That number holds four values of five, and is at least 3, where tanh has its end. A few units that count far beyond
    the others would otherwise leave all of them pale; values past the ends take the end's colour; the legend says so.
    """
    role = ROLES[name]
    values = values[np.isfinite(values)]  # padded steps are NaN; what overflowed has no colour
    if role.low is not None and role.high is not None and np.all((role.low <= values) & (values <= role.high)):
        return role.low, role.high
    end = max(3, math.ceil(np.quantile(np.abs(values), 0.8))) if len(values) else 3
    return -end, end


SIDE_BY_SIDE = {  # models, told apart by colour-blind people too; their dashes tell them apart once more
    "light": ("#0b6fb8", "#c2570c", "#0f8a68", "#a8438c", "#7a6a00", "#5b6472"),
    "dark": ("#56b4e9", "#f0883e", "#2fc79a", "#e58fc6", "#d8c230", "#aab4c0"),
}


DASHES = ("solid", "7px,3px", "2px,3px", "9px,3px,2px,3px", "4px,2px", "12px,3px")
