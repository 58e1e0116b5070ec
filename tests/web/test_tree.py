"""Trees on an empty page: what is drawn and said of a node is what Python says of it."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page

from lstmviz.data.expressions import Expression
from lstmviz.opened import OpenModel
from lstmviz.reading import Reading, read_tree
from lstmviz.ui.sources import parse
from lstmviz.wire import Frame, framed, payload

TYPED = "max(first(3, 9), min(7, 2), 5)"

# Of each node how wide the line to its parent is painted, in CSS pixels, halfway up from the strip to where it turns.
WIDTHS = """async (bytes) => {
  const { default: mount } = await import("/map.js"), { x } = await import("/view.js");
  const { heights } = await import("/tree.js");
  const place = document.body.appendChild(document.createElement("div"));
  mount({ parentElement: place, data: new Uint8Array(bytes), setStateValue() {} });
  const { map } = place.querySelector(".map"), { view, paint, data } = map, high = heights(data.parents);
  return data.parents.map((parent, t) => {
    if (parent < 0 || high[t]) return 0;
    const { dpr } = view, left = x(view, t) * dpr, width = view.column * dpr - 2;
    const row = paint.getImageData(left, (view.tree - 6) * dpr, width, 1).data;
    let wide = 0;
    for (let k = 0; k < row.length; k += 4) wide += (255 - row[k + 2]) / 255;
    return wide / view.dpr;
  });
}"""


@pytest.fixture(scope="module")
def seen() -> tuple[OpenModel, Reading]:
    opened = parse("expressions-nary").open()
    return opened, read_tree(opened, Expression.parse(TYPED))


def message(opened: OpenModel, reading: Reading, time: int) -> bytes:
    selection = {"time": time, "unit": 1, "layer": 0}
    return payload(opened, reading, layers=[0], roles=["forget_gate", "cell"], order="index", selection=selection)


def test_a_line_is_as_wide_as_its_parent_keeps_of_the_child(web_page: Page, seen: tuple[OpenModel, Reading]) -> None:
    opened, reading = seen
    widths = np.array(web_page.evaluate(WIDTHS, list(framed(Frame(), message(opened, reading, time=0)))))
    f, c = reading.tracks["forget_gate"][0], np.abs(reading.tracks["cell"][0])  # (T, H)
    shares = (f * c).sum(-1) / c.sum(-1)
    leaves = widths > 0
    assert leaves.tolist() == [True, True, False, True, True, False, True, False]
    assert np.array_equal(np.argsort(widths[leaves]), np.argsort(shares[leaves]))


def test_a_node_is_said_by_what_it_keeps_of_each_child(
    web: Callable[..., Any], seen: tuple[OpenModel, Reading]
) -> None:
    opened, reading = seen
    header = message(opened, reading, time=7)
    header = json.loads(header[4 : 4 + int.from_bytes(header[:4], "little")])
    values = {name: of[0, :, 1].tolist() for name, of in reading.tracks.items()}
    roles = [{"role": name, "value": value[7], "previous": None} for name, value in values.items()]
    told = {name: header[name] for name in ("symbols", "does", "lets_out", "resets")}
    children = [{"label": header["tokens"][t], "values": {name: v[t] for name, v in values.items()}} for t in (2, 5, 6)]
    said = web("say.js", "sentence", {"roles": roles, **told, "children": children, "parent": None})
    f, c, o = values["forget_gate"], values["cell"], values["output_gate"]
    kept = " and ".join(
        f"{round(100 * f[t])}\u00a0% of “{header['tokens'][t]}” ({c[t]:+.2f})".replace("-", "−") for t in (5, 6)
    )
    assert kept in said and said.startswith(f"Keeps {round(100 * f[2])}\u00a0% of “first”")
    written = c[7] - sum(f[t] * c[t] for t in (2, 5, 6))
    assert said.endswith(f", writes {written:+.2f}, shows {round(100 * o[7])}\u00a0%.".replace("-", "−"))
    roles = [{"role": name, "value": value[0], "previous": None} for name, value in values.items()]
    said = web("say.js", "sentence", {"roles": roles, **told, "children": [], "parent": "first"})
    assert said.startswith("Has no children, writes") and f"“first” keeps {round(100 * f[0])}\u00a0% of" in said


def test_most_at_a_node_is_kept_of_its_children(web: Callable[..., Any], seen: tuple[OpenModel, Reading]) -> None:
    _, reading = seen
    panels = [
        {"role": role, "does": does, "symbol": role, "light": "", "dark": "", "gate": does == "keeps", "size": 32,
         "low": -1, "high": 1, "codes": np.rint((np.nan_to_num(values) + 1) / 2 * 65534).astype(int).ravel().tolist()}
        for role, does, values in [
            ("forget_gate", "keeps", reading.tracks["forget_gate"][0]), ("cell", "holds", reading.tracks["cell"][0] / 8)
        ]
    ]  # fmt: skip
    cell = {"symbols": {"forget_gate": "f_k", "cell": "c"}, "does": {"keeps": "f_k", "holds": "c"}}
    parents = [*Expression.parse(TYPED).parents]
    found = dict(web("most.js", "mostAt", panels, 7, {"begins": True, "parents": parents, **cell}))
    f, c = (reading.tracks[name][0] for name in ("forget_gate", "cell"))
    kept = np.abs(sum(f[t] * c[t] for t in (2, 5, 6)))
    assert list(found) == ["keeps", "writes"]
    assert [chip["unit"] for chip in found["keeps"]] == np.argsort(-kept)[:4].tolist()
