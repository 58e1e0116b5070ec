"""What a cell computes, as its own docstring says it."""

from __future__ import annotations

from math import prod

import streamlit as st

from lstmviz.cells import cell_called
from lstmviz.data.vocabulary import plain
from lstmviz.roles import ROLES


def cell_card(name: str, input_size: int, hidden_size: int) -> None:
    """Equations, paper, what to know of them, parameters and roles of a cell.

    Args:
        name: in ``CELLS``.
        input_size, hidden_size: of the layer whose parameters are counted.
    """
    cell = cell_called(name)
    number = sum(prod(shape) for shape in cell.shapes(input_size, hidden_size).values())
    p = cell.output_of(hidden_size)
    sizes = f"h = {hidden_size}, x = {input_size}" + (f", p = {p}" if p != hidden_size else "")
    st.markdown(f"**{name}** · {cell.paper}")
    st.code(cell.equations(), language=None)
    if note := cell.note():
        st.markdown(plain(note))
    st.caption(f"Parameters of a layer: {cell.count} = {number:,} with {sizes}. A prime is the step before.")
    shown = (f"{ROLES[role].label} {ROLES[role].symbol}" for role in cell.recorded())
    st.caption(f"Shown as: {', '.join(shown)}.")
