"""The sentence that a beginner reads of a unit, word for word as ``web/say.js`` and ``web/words.js`` say it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal, localcontext
from math import floor, inf, isfinite, isnan, nan

from lstmviz.cells.declared import Declared
from lstmviz.cells.equations import evaluate, text

Values = Mapping[str, float]  # of one unit, by the names of its gates and states


def number(value: float, digits: int = 2) -> str:
    """In at most seven signs, however large: 0.25, −123.5, 1024, 1.2e5, −1e30, ∞."""
    if isnan(value):
        return "–"
    size = abs(value)
    with localcontext(rounding=ROUND_HALF_UP):  # as JavaScript rounds
        if size == inf:
            written = "∞"
        elif size >= 9999.5:
            mantissa, exponent = f"{Decimal(size):.{int(size < 1e10)}e}".split("e")
            written = f"{mantissa.removesuffix('.0')}e{int(exponent)}"
        else:
            places = 0 if size >= 999.5 else min(1, digits) if size >= 99.95 else digits
            written = f"{Decimal(size):.{places}f}"
    return f"−{written}" if value < 0 and written.strip("0.") else written


def percent(share: float) -> str:
    return f"{floor(share * 100 + 0.5)}\N{NO-BREAK SPACE}%"


def signed(value: float) -> str:
    return ("+" if value >= 0.005 else "") + number(value)


def sentence(cell: type[Declared], now: Values, before: Values | None, wrote: float | None = None) -> str:
    """What a unit did at a token. It follows from what the cell says that it does, not from the names of its gates.

    Args:
        cell: of a sequence.
        now: every gate and state of the unit.
        before: those of the step before; None where the text begins.
        wrote: what it wrote, where it stands beside equations, as they show it.
    """
    was_there, before = before is not None, before or {}
    here = {symbol: now.get(name, nan) for name, symbol in cell.symbols.items()}
    there = {symbol: before.get(name, nan) for name, symbol in cell.symbols.items()}
    env = here | {f"{symbol}'": value for symbol, value in there.items()}

    def done(what: str, of: Mapping[str, float] = env) -> float:
        tree = cell.does(what)
        return nan if tree is None else float(evaluate(tree, dict(of)))

    kept, held, was, shows = done("keeps"), done("holds"), done("holds", there), done("shows")
    candidate = now.get("candidate", nan)
    keeps = f"Keeps {percent(kept)} of what it held ({number(was)})" if isfinite(was) and cell.keeps else "Starts empty"
    of_what = "" if cell.lets_out == "memory" else f" of its {cell.lets_out}"
    shown = f", shows {percent(shows)}{of_what}" if isfinite(shows) else ""
    if cell.keeps and isinstance(cell.does("holds"), tuple):  # a mean of what was written, as c / n
        share = 1 - kept if isfinite(kept) else 1
        return f"{keeps}, writes {signed(candidate)} as {percent(share)} of it{shown}."
    writes = cell.does("writes")
    if writes is not None and text(writes) not in cell.symbols.values() and isfinite(kept) and isfinite(candidate):
        saw, past = done("looks_back"), ""  # it writes what it does not keep
        if isfinite(saw):
            all_saw = f"; all candidates saw {percent(saw)} of what it held"
            past = all_saw if cell.resets == "past" else f", which saw {percent(saw)} of the past"
        return f"{keeps}, takes {percent(1 - kept)} of its candidate {signed(candidate)}{past}."
    if isfinite(kept) and isfinite(held):
        wrote = held - (kept * was if isfinite(was) else 0) if wrote is None else wrote
        return f"{keeps}, writes {signed(wrote)}{shown}."
    if not isfinite(held):
        return ""
    if not was_there:
        return f"Starts empty, becomes {signed(held)}."
    return f"Goes from {number(was)} to {number(held)}: no gate keeps what it held."
