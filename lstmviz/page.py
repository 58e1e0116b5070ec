"""A page to keep: one HTML file with models in it, which reads and draws without a server and loads nothing."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from html import escape
from itertools import product

import numpy as np

from lstmviz.card import facts
from lstmviz.checkpoint import Checkpoint
from lstmviz.data.images import as_code, examples
from lstmviz.data.vocabulary import inline
from lstmviz.disk import sayable
from lstmviz.explain.alignment import Entrant, Place
from lstmviz.explain.comparison import MOST as MODELS_MOST
from lstmviz.explain.comparison import View, live_comparison
from lstmviz.explain.differences import differences
from lstmviz.explain.examples import buttons_of
from lstmviz.explain.kin import kinship
from lstmviz.explain.measures import CHARTS, GAIN, PROBABILITY, without
from lstmviz.explain.rows import SLOTS, USUAL
from lstmviz.live import live, why_not
from lstmviz.opened import OpenModel, prepare
from lstmviz.reading import TELLING
from lstmviz.roles import PAGES
from lstmviz.scripts import script, style
from lstmviz.units import MOST
from lstmviz.wire import LiveComparison

GREYS_MOST = 60_000  # bytes of the test images, as base64
THUMB = 8  # pixels of a side of those to choose from
STYLES = {  # of what stands in a shadow of its own, as on the pages of the app
    "map": ("map.css", "present.css"),
    "readout": ("readout.css",),
    "pictures": ("pictures.css",),
    "comparison": ("map.css", "present.css", "compare.css"),
}


@dataclass(frozen=True)
class Tests:
    """Test images to choose from.

    Args:
        side: of each, in pixels.
        noun: what there is to draw.
        labels: a letter an image.
        thumbs: as `as_code` writes them, small.
        greys: of all, uint8 ``(N, W, W)``, in base64.
    """

    side: int
    noun: str
    labels: str
    thumbs: list[str]
    greys: str


def live_page(models: Mapping[str, Checkpoint | OpenModel]) -> str:
    """One HTML file with models in it, to be opened from the disk, sent or put on any server.

    It is the map and the readout of the app, of the same scripts; nothing in it loads from anywhere. It is at most as
    large as the weights in base64, which is 4/3 of float32, and 250 KB.

    Args:
        models: by the names that they are to have; several stand side by side.

    Raises:
        ValueError: there are none, or too many, or one cannot run in a page, or not beside the others.
        CheckpointError: a model has no gates or states, or they are no finite numbers.
    """
    if not 1 <= len(models) <= MODELS_MOST:
        raise ValueError(f"{len(models)} models were named; a page has from 1 to {MODELS_MOST}")
    opened = {name: each if isinstance(each, OpenModel) else prepare(each) for name, each in models.items()}
    _check(opened)
    first, given, weights = next(iter(opened.values())), [], []
    for name, each in opened.items():
        header, numbers = live(each, name)
        # What is to be looked for beside an n-gram cannot be seen here.
        header = replace(header, examples=[told for told in header.examples if "(baseline)" not in told["look"]])
        if not np.isfinite(np.frombuffer(numbers, np.float32)).all():
            raise ValueError(f"{inline(name)} has weights that are no finite numbers; train it anew")
        given.append(header)
        weights.append(np.frombuffer(numbers, np.uint8).reshape(-1, 4).T.tobytes())  # their first bytes, their second …
    tests = tests_of(first) if first.side else None
    together = together_of(opened) if len(opened) > 1 else None
    page = {"models": given, "buttons": buttons_of(first), "tests": tests, "together": together}
    data = json.dumps(page, default=vars, separators=(",", ":"), allow_nan=False).encode()
    entry = "alone-compare.js" if together else "alone-watch.js"
    scripts = script("open.js"), script(entry)
    title = " · ".join(map(inline, opened)) if len(opened) > 1 else given[0].title
    hashes = " ".join(f"'sha256-{_digest(each)}'" for each in scripts)
    allowed = f"script-src {hashes} 'wasm-unsafe-eval'; style-src 'unsafe-inline'; img-src data:"
    policy = f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"
    used = ["pictures"] * bool(tests) + (["comparison"] if together else ["map", "readout"])
    templates = "".join(
        f'<template id="{name}-style"><style>{style(*STYLES[name])}</style></template>\n' for name in used
    )
    blocks = scripts[-1].encode(), data, *weights
    said = "".join(f'<script type="text/plain" class="packed">{packed(each)}</script>\n' for each in blocks)
    cards = "".join(card_of(name, each) for name, each in opened.items())
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)} – lstmviz</title>
<link rel="icon" href="data:,">
<style>{themes()}{style("alone.css")}</style>
</head>
<body>
<header><h1>lstmviz</h1><p>{escape(title)}</p></header>
<main><p>This page comes alive by a script that stands in it, and the script did not run. Either scripts are switched
off here, or the file was changed after it was saved: then take a fresh copy.</p></main>
<footer>
{cards}<p>How this page was made: <code>python -m lstmviz live</code> put the weights of the checkpoint as they are, the
scripts of the app and this card into one file. Nothing in it loads from anywhere; what you type stays in the page and
in its address.</p>
</footer>
{templates}{said}<script type="module">{scripts[0]}</script>
</body>
</html>
"""


@dataclass(frozen=True)
class Together:
    """Several models side by side.

    Args:
        views: what is said of them, by layer, number of the reference and whether differences from it are shown, as in
            "0 2 true"; with all rows and charts, of which the page shows some.
        layers: of the deepest.
        slots, charts: those that are shown at first.
        reference: number of the model that is one at first.
        many: whether one has so many units that not all are shown.
    """

    views: dict[str, LiveComparison]
    layers: int
    slots: list[str]
    charts: list[str]
    reference: int
    many: bool


def together_of(opened: Mapping[str, OpenModel]) -> Together:
    """What no text changes of models side by side."""
    every, names = [*opened.values()], [*opened]
    cells = [each.checkpoint.model.cell for each in every]
    titles = [cell if cells.count(cell) == 1 else name for name, cell in zip(names, cells, strict=True)]
    models = [Entrant(*each) for each in zip(names, titles, every, strict=True)]
    facts, kin = differences(every, [None] * len(every)), kinship(every)
    charts = [chart for chart in CHARTS if chart not in (GAIN, *without(every[0]))]
    layers = max(each.checkpoint.model.num_layers for each in every)
    return Together(
        views={
            f"{layer} {reference} {f'{difference}'.lower()}": live_comparison(
                models, facts, kin, reference, View(Place(layer), TELLING, [*SLOTS], charts, "keeps", difference)
            )
            for layer, reference, difference in product(range(layers), range(len(every)), (False, True))
        },
        layers=layers,
        slots=[*USUAL],
        charts=[PROBABILITY if every[0].is_asked else "loss", "mean"],
        reference=next((k for k, group in enumerate(kin) if kin.count(group) > 1), 0),
        many=max(each.checkpoint.model.hidden_size for each in every) > MOST,
    )


def _check(opened: Mapping[str, OpenModel]) -> None:
    """Refuse what a page cannot run, or not side by side."""
    for name, each in opened.items():
        if why := why_not(each):
            raise ValueError(f"{inline(name)} cannot run in a page of its own: {why}; watch it in the app")
    tasks = {each.task.name for each in opened.values()}
    if len(tasks) > 1:
        raise ValueError(
            f"the models are of different tasks ({', '.join(sorted(tasks))}); side by side they are of one"
        )
    sides = {each.side for each in opened.values()}
    if len(sides) > 1:
        raise ValueError(f"the models read images of {' and '.join(f'{side} × {side}' for side in sides)} pixels")


def _digest(text: str) -> str:
    """As a policy names a script that may run."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def packed(data: bytes) -> str:
    """By gzip, whose sum tells the page whether these are still the bytes, and as text: see ``web/packed.js``."""
    return base64.b64encode(gzip.compress(data, mtime=0)).decode()


def themes() -> str:
    """The colours of the app's themes, as Streamlit calls them; a page is dark where the system is, or when asked."""
    light, dark = (
        "".join([f"color-scheme: {mode};", *(f" --st-{name}-color: {colour};" for name, colour in page.items())])
        for mode, page in PAGES.items()
    )
    return (
        f":root {{{light}}}\n@media (prefers-color-scheme: dark) {{:root {{{dark}}}}}\n"
        f":root[data-light=light] {{{light}}}\n:root[data-light=dark] {{{dark}}}\n"
    )


def card_of(name: str, opened: OpenModel) -> str:
    """The card of a model as HTML."""

    def text(given: str) -> str:
        return inline(sayable(given))

    lines = {"digest": opened.checkpoint.digest, **facts(opened.checkpoint, text, text)}
    rows = "".join(f"<tr><th>{escape(what)}</th><td>{escape(value)}</td></tr>\n" for what, value in lines.items())
    return f"<details><summary>About {escape(text(name))}</summary>\n<table>\n{rows}</table></details>\n"


def tests_of(opened: OpenModel) -> Tests:
    """The first test images that a model of images reads, as many as a page has room for."""
    assert opened.side is not None  # it reads images
    side = opened.side
    count = max(1, min(len(examples(side)), GREYS_MOST * 3 // (4 * side**2)))
    images, small = examples(side)[:count], examples(THUMB)[:count, :, :-1]
    return Tests(
        side=side,
        noun=opened.task.label,
        labels="".join(f"{label}" for label in images[:, 0, -1].tolist()),
        thumbs=[as_code(image) for image in small],
        greys=base64.b64encode(images[:, :, :-1].tobytes()).decode(),
    )
