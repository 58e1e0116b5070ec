"""Where the gradient of a prediction goes: what the Inside page shows of `lstmviz.explain.gradients`."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from lstmviz.cells import cell_called
from lstmviz.checkpoint import CheckpointError
from lstmviz.data.vocabulary import plain
from lstmviz.opened import OpenModel
from lstmviz.reading import NOBODY, Selection
from lstmviz.ui import sources
from lstmviz.ui.imports import need_torch
from lstmviz.ui.session import NETWORK, READ, Inside, Sentences, session

if TYPE_CHECKING:
    from lstmviz.explain.gradients import Connectivity, Saliency
    from lstmviz.model import LanguageModel

MOST = 100  # tokens, the selected one among them: integrated gradients of 200 may take 16 s, of these 3
ROW = 52  # pixels
CELLS = "lstm", "gru", "rnn"  # whose gradients lie over each other
WORDS = "wikitext2-word-lstm"
TICKETS = (
    "When she tried to print her tickets, she found that the printer was out of toner. She went to the store to buy "
    "more toner. It was very overpriced. After installing the toner into the printer, she finally printed her tickets"
)


def gradients(opened: OpenModel, text: str, selection: Selection) -> None:
    """The part *gradients* of the Inside page, for the loss of the selected token."""
    from lstmviz.explain.typed import why_no_losses  # needs no torch, but is asked for here alone

    about = "An example: does what she printed at the end still depend on the tickets at the beginning?"
    # What says that something is done stands beside the button, so that what is below stays in its place.
    bar, below = (
        st.container(horizontal=True, vertical_alignment="center", gap="small", height=ROW, border=False),
        st.container(),
    )
    if bar.button("example: tickets and printer", key="tickets", on_click=take_tickets, help=about):
        st.rerun()  # of the whole page, since it may be another model
    if why := why_no_losses(opened.checkpoint.model):
        st.info(f"A gradient goes back from the loss of a next token, and this model has none: {plain(why)}.")
    elif place := placed(opened, text, selection):
        with bar:
            need_torch()
        ids, at = place
        signs = [opened.reads.display(i) for i in ids]
        with bar, st.spinner("Going back through time…", show_time=False), below:
            depends(opened, ids, at, signs)
            far_back(opened, ids, signs)
            itemise(opened, ids, at, signs, opened.tracks[selection.of].layer)
    explode()


def placed(opened: OpenModel, text: str, selection: Selection) -> tuple[tuple[int, ...], int] | None:
    """The tokens that are read and which of them is selected; where there is no loss, it says so, and None."""
    ids = opened.reads.encode(text)
    if not ids:
        st.info("There is nothing to read: type a sentence.")
        return None
    if opened.context and ids[0] != opened.reads.end:  # as the page, where that is the first column
        ids = [opened.reads.end, *ids]
    ids = ids[: opened.most]
    at = len(ids) - 1 if selection.time == NOBODY else min(selection.time, len(ids) - 1)
    if not at:
        first = "Type another one" if len(ids) == 1 else "Choose another one in the sentence above"
        st.info(f"Nobody predicts the first token, so it has no loss that a gradient could come from. {first}.")
        return None
    begin = max(0, at + 1 - MOST)
    if len(ids) > MOST:
        first, last = (plain(opened.reads.display(ids[k])) for k in (begin, begin + MOST - 1))
        st.caption(
            f"Of this text {MOST} tokens are looked at, as if they stood alone: from “{first}” ({begin}) to “{last}” "
            f"({begin + MOST - 1})."
        )
    return tuple(ids[begin : begin + MOST]), at - begin


def depends(opened: OpenModel, ids: tuple[int, ...], at: int, signs: list[str]) -> None:
    """Bars under the tokens: what each of them says for this prediction."""
    found = _saliency(opened, ids, at)
    st.markdown(
        f"**Which tokens made the model expect “{plain(signs[at])}”, or not** · loss {found.nll:.2f} nats",
        help="Gradient × embedding asks how the loss changes right here; integrated gradients go all the way from "
        "embeddings that are 0, and add up to what the loss differs by.",
    )
    bars = {"gradient × embedding": found.gradient.tolist(), "integrated gradients": found.integrated.tolist()}
    _draw("token_bars_figure", "saliency", signs[:at], bars, y="nats")
    st.caption(
        "Below 0: it made the model expect this, above 0 not. The integrated gradients add up to how much less, or "
        f"more, the loss is than with embeddings that are 0, but for {found.error:.5f} nats."
    )


def far_back(opened: OpenModel, ids: tuple[int, ...], signs: list[str]) -> None:
    """The map of all losses and states, and how its norm falls with the distance, of several models."""
    states, cell = {"hidden": "h", "cell": "c"}, cell_called(opened.checkpoint.model.cell)
    names = {sign: name for name, sign in states.items() if name in cell.states} | {"embedding": "embedding"}
    left, right = st.columns(2, gap="medium")
    with left:
        st.markdown(
            "**How much each loss depends on each state before it**",
            help="‖∂J_t/∂s_k‖, in powers of ten: J_t is the loss of token t.",
        )
        of = st.segmented_control("state", [*names], default="h", key="gradient of", required=True) or "h"
        norms = _connectivity(opened, ids, names.get(of, "hidden")).norms
        _draw("token_map_figure", "map", signs, norms)
    with right:
        st.markdown(
            "**How fast it vanishes**",
            help="The median of ‖∂J_t/∂h_k‖ over the sentence, by how many tokens lie between k and t: J_t is the loss "
            "of token t. Every model reads the same sentence.",
        )
        own = opened.checkpoint.model.cell
        lines = {f"{own}": _by_distance(opened, ids)}
        for name, other in _beside(opened).items():
            lines[name] = _by_distance(other, ids)
        fresh = {name: _fresh_by_distance(opened, ids, name) for name in dict.fromkeys([*lines, *CELLS])}
        distance = [*range(len(ids) - 1)]
        _draw(
            "lines_figure",
            "distance",
            {name: (distance, _positive(values)) for name, values in lines.items()},
            beside={name: (distance, _positive(values)) for name, values in fresh.items()},
            x="distance in tokens",
            y="‖∂J/∂h‖",
            log=True,
        )
        every = {own: opened, **_beside(opened)}
        units = ", ".join(f"{name} {each.checkpoint.model.hidden_size}" for name, each in every.items())
        fresh_units = opened.checkpoint.model.hidden_size
        st.caption(
            "Where a line is low, learning hears next to nothing of what stood so far back. "
            f"Thick: trained, of so many units: {units}. Thin: before training, {fresh_units} units each."
        )


def itemise(opened: OpenModel, ids: tuple[int, ...], at: int, signs: list[str], layer: int) -> None:
    """Backpropagation through time: a bar for each step's term."""
    from lstmviz.explain.gradients import why_not_recurrent

    of_layer = f" of layer {layer + 1}" if opened.checkpoint.model.num_layers > 1 else ""
    st.markdown(
        f"**What each step says of the recurrent weights{of_layer}**, for the loss of “{plain(signs[at])}”",
        help="∂J_t/∂U = Σ_k …: the weights stand in every step once, and the gradient is the sum of what each of them "
        "contributes. The bars are the norms of these terms.",
    )
    if why := why_not_recurrent(opened.checkpoint.model.cell):
        st.info(f"There is no such sum: {plain(why)}.")
        return
    norms, share = _itemised(opened, ids, at, layer)
    window = opened.checkpoint.train.bptt
    beyond = max(0, at - window)
    _draw("token_bars_figure", "bptt", signs[:at], {"norm of the term": norms.tolist()}, y="norm", beyond=beyond)
    if beyond:
        st.caption(
            f"Shaded: more than {window} tokens back, where this model's training was cut off. "
            f"{share:.0%} of the gradient lies there."
        )
    else:
        st.caption(f"This model was trained over windows of {window} tokens, so of this sentence nothing is cut off.")


@st.fragment
def explode() -> None:
    """A small recurrence whose gradient vanishes or explodes, and what clipping does."""
    with st.container(border=True, gap="small"):
        st.markdown(
            "**Exploding, on a small example** · h = U h′, eight units",
            help="The loss is ½‖h_n − y‖². Each step back multiplies the gradient by U; along its largest singular "
            "value s, n steps by sⁿ. Clipping: g ← g · threshold / ‖g‖ where ‖g‖ is larger.",
        )
        places = st.columns([1, 1, 1, 0.6], gap="medium", vertical_alignment="bottom")
        steps = places[0].slider("steps", 1, 100, 30, key="explode steps")
        largest = places[1].slider("largest singular value of U", 0.5, 2.0, 1.2, 0.05, key="explode singular")
        threshold = places[2].slider("clip the norm at", 0.1, 10.0, 1.0, 0.1, key="explode threshold")
        tanh = places[3].toggle("tanh", key="explode tanh", help="h = tanh(U h′)")
        need_torch()
        from lstmviz.explain.gradients import exploding

        found = exploding(steps, largest, threshold, tanh=tanh)
        left, right = st.columns([1.6, 1], gap="medium")
        with left:
            line = {"‖∂J/∂h_k‖": ([*range(steps + 1)], _positive(found.norms))}
            _draw("lines_figure", "exploding", line, x="step k", y="‖∂J/∂h_k‖", log=True)
        clipped = found.clipped < found.norm
        right.markdown(
            f"| | without | with clipping |\n|---|---|---|\n"
            f"| ‖g‖ | {_said(found.norm)} | {_said(found.clipped)} |\n"
            f"| loss before | {_said(found.loss)} | {_said(found.loss)} |\n"
            f"| loss after one update | {_said(found.plain)} | {_said(found.gentle)} |",
            unsafe_allow_html=True,
        )
        right.caption("" if clipped else "The norm is below the threshold, so clipping changes nothing.")


def take_tickets() -> None:
    """The word model, and the sentence whose last word depends on one far back."""
    with suppress(CheckpointError):
        opened = sources.parse(WORDS).open()
        sentences, memory = session(Sentences), session(Inside)
        sentences.texts[opened.task.name, opened.checkpoint.corpus_name] = TICKETS
        if NETWORK.value() == WORDS:
            sentences.put_into(READ, TICKETS)
        NETWORK.put(WORDS)
        memory.time, memory.selected = None, None


def _beside(opened: OpenModel) -> dict[str, OpenModel]:
    """Trained models of other cells that read the same vocabulary and come with the project, by their cells."""
    corpus, vocabulary = opened.checkpoint.corpus_name, opened.checkpoint.vocabulary
    members = [f"{corpus}/{cell}" for cell in CELLS] if corpus in sources.line_ups() else []
    found: dict[str, OpenModel] = {}
    for name in members or [f"shakespeare-char-{cell}-128" for cell in CELLS]:
        with suppress(CheckpointError):
            other = sources.parse(name).open()
            known = other.checkpoint.vocabulary
            cell = other.checkpoint.model.cell
            if (known.tokens, known.level) == (vocabulary.tokens, vocabulary.level):
                found[cell] = other
    found.pop(opened.checkpoint.model.cell, None)
    return found


@st.cache_resource(show_spinner=False, max_entries=8, hash_funcs=sources.BY_DIGEST)
def _model(opened: OpenModel) -> LanguageModel:
    """In float64, in which what has vanished is told from 0."""
    return opened.checkpoint.build().double()


@st.cache_data(show_spinner=False, max_entries=64, hash_funcs=sources.BY_DIGEST)
def _saliency(opened: OpenModel, ids: tuple[int, ...], at: int) -> Saliency:
    from lstmviz.explain.gradients import saliency

    return saliency(opened.checkpoint.build(), opened.reads, ids, at)


@st.cache_data(show_spinner=False, max_entries=64, hash_funcs=sources.BY_DIGEST)
def _itemised(opened: OpenModel, ids: tuple[int, ...], at: int, layer: int) -> tuple[np.ndarray, float]:
    """The norms of the terms, and the share that the training's window cut off; all else would be too much to keep."""
    from lstmviz.explain.gradients import itemised

    found = itemised(_model(opened), opened.reads, ids, at, layer=layer)
    return found.norms, found.beyond(opened.checkpoint.train.bptt)


@st.cache_data(show_spinner=False, max_entries=64, hash_funcs=sources.BY_DIGEST)
def _connectivity(opened: OpenModel, ids: tuple[int, ...], of: str) -> Connectivity:
    from lstmviz.explain.gradients import connectivity

    return connectivity(_model(opened), opened.reads, ids, of)


def _by_distance(opened: OpenModel, ids: tuple[int, ...]) -> np.ndarray:
    return _connectivity(opened, ids, "hidden").by_distance()


@st.cache_data(show_spinner=False, max_entries=64, hash_funcs=sources.BY_DIGEST)
def _fresh_by_distance(opened: OpenModel, ids: tuple[int, ...], cell: str) -> np.ndarray:
    """Of a model of this cell, of as many units, that has learned nothing."""
    import torch

    from lstmviz.explain.gradients import connectivity
    from lstmviz.model import LanguageModel

    config = opened.checkpoint.model
    if cell != config.cell:
        tied = config.tie_weights and config.embedding_size == config.hidden_size  # not of a projected one
        config = replace(config, cell=cell, forget_bias=None, chrono=None, tie_weights=tied)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = LanguageModel(config, len(opened.checkpoint.vocabulary)).double()
    return connectivity(model, opened.reads, ids).by_distance()


def _positive(values: np.ndarray) -> list[float | None]:
    """What a logarithmic axis can show."""
    return [float(value) if 0 < value < np.inf else None for value in values]


def _said(value: float) -> str:
    if 1e-3 <= value < 1e5 or not value:
        return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    return f"10<sup>{np.log10(value):.0f}</sup>".replace("-", "−") if np.isfinite(value) else "∞"


def _draw(figure: str, key: str, *args, **options) -> None:
    from lstmviz import charts  # with Plotly, for which the first map does not wait

    dark = st.context.theme.type == "dark"
    made = getattr(charts, figure)(*args, **options, dark=dark)
    st.plotly_chart(made, key=f"gradients {key}", theme=None, config={"displayModeBar": False})  # pyright: ignore
