"""A table of an experiment on the page: what was published, what was measured, and the difference."""

from __future__ import annotations

import html
import math

import pandas as pd
import streamlit as st

from lstmviz.data.vocabulary import shown
from lstmviz.experiments.base import Result, Table


def figures_table(table: Table, result: Result, *, same_text: bool) -> None:
    """Every column as it was published, as it was measured, and the difference.

    Args:
        table: of the experiment.
        result: what was measured.
        same_text: it was measured on the text of the publication; else what was published is left out.
    """
    report, ours, spread = table.report, result.measured(table), result.spread(table)
    published = [column for column in table.columns if same_text and column in table.published]
    titles, kinds, bodies = [f'<th rowspan="{1 + bool(published)}">{_text(table.corner)}</th>'], [], []
    for column in table.columns:
        noted = column in table.notes
        has = ["published", "here", "difference"] if column in published else ["here"]
        titles.append(f'<th colspan="{len(has)}" class="of">{_text(column)}{" †" * noted}</th>')
        kinds += [f'<th class="{kind}">{kind}</th>' for kind in has]
        figures = {"published": report[column], "here": ours[column], "difference": ours[column] - report[column]}
        for kind in has:
            least = figures[kind].min() if table.lowest and kind != "difference" else math.nan
            values = figures[kind].dropna().tolist()
            counts = max(values, default=0) > 100 and all(value.is_integer() for value in values)
            digits = 0 if counts else table.digits
            about = spread[column] if kind == "here" else pd.Series(math.nan, table.rows)
            bodies.append(
                [
                    _cell(kind + " doubtful" * noted, value, sd, digits, bold=value == least)
                    for value, sd in zip(figures[kind], about, strict=True)
                ]
            )
    lines = [
        f'<tr><th scope="row">{_text(row)}</th>{"".join(cells)}</tr>'
        for row, *cells in zip(table.rows, *bodies, strict=True)
    ]
    head = "".join(f"<tr>{''.join(row)}</tr>" for row in ((titles, kinds) if published else (titles,)))
    st.html(f'<div class="figures"><table><thead>{head}</thead><tbody>{"".join(lines)}</tbody></table></div>')


def _cell(kind: str, value: float, spread: float, digits: int, *, bold: bool) -> str:
    said = number(value, digits, "+" if kind.startswith("difference") else "")
    about = "" if math.isnan(spread) or math.isnan(value) else f"<small> ± {number(spread, digits)}</small>"
    return f'<td class="{kind}">{f"<b>{said}</b>" if bold else said}{about}</td>'


def number(value: float, digits: int, sign: str = "") -> str:
    """With so many digits after the point, a large one with none; where these would all be 0, with its power of ten."""
    if math.isnan(value):
        return "–"
    digits = 0 if abs(value) >= 10_000 else digits
    small = 0 < abs(value) < 0.5 * 10.0**-digits and not sign
    said = f"{value:.0e}".replace("e-0", "e-") if small else f"{value:{sign},.{digits}f}"
    return said.replace("+", "+" if round(value, digits) else "").replace("-", "−")


def _text(name: str) -> str:
    return html.escape(shown(name))
