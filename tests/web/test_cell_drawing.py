"""The drawing of a cell, the sandbox and the count of parameters on an empty page.

For every cell the drawing has the parts that its equations have, and writes what the trace says.
"""

import base64
import json
import math
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page

from lstmviz.cells import CELLS, CellData, cell_called
from lstmviz.checkpoint import Checkpoint
from lstmviz.config import ModelConfig
from lstmviz.live import live
from lstmviz.opened import prepare
from lstmviz.scripts import style
from lstmviz.sizes import shapes
from lstmviz.wire import does_of, sized

LSTM = "c | keep f: σ | write i: σ | g: tanh | show o: σ of tanh c"
PEEPHOLES = "c | keep f: σ, sees c' | write i: σ, sees c' | g: tanh | show o: σ, sees c of tanh c"
GRU = "h | keep z: σ | write 1 − z, by z | n: tanh | look r: σ"
REPORT = "c | keep f: σ | write i: σ | {}: tanh | show o: σ of tanh {}"

# What is on the belt, the valves with the boxes that open them, the candidate, and what is shown.
DRAWN = {
    "rnn": "h, made anew | h: tanh",
    "lstm": LSTM,
    "lstm_split": LSTM,
    "lstm_concat": LSTM,
    "report_split": REPORT.format("g", "g"),
    "report_concat": REPORT.format("ĉ", "ĉ"),
    "gru": f"{GRU} behind U_n",
    "gru_v1": f"{GRU} before U_n",
    "peephole": PEEPHOLES,
    "nig": PEEPHOLES.replace("write i: σ, sees c'", "write i = 1"),
    "nfg": PEEPHOLES.replace("keep f: σ, sees c'", "keep f = 1"),
    "nog": PEEPHOLES.replace("show o: σ, sees c", "show o = 1"),
    "niaf": PEEPHOLES.replace("g: tanh", "g: linear"),
    "noaf": PEEPHOLES.replace("of tanh c", "of c"),
    "np": LSTM,
    "cifg": PEEPHOLES.replace("keep f: σ, sees c'", "keep f, by i"),
    "fgr": PEEPHOLES + " | reads h', i' f' o', x",
    "layernorm": LSTM.replace("tanh c", "tanh LN c") + " | first LN",
    "lstmp": LSTM + " in W_hr",
    "janet": "h | keep f: σ | write i: 1 − σ(u − 1) | g: tanh",
    "mingru": "h | keep 1 − z, by z | write z: σ | ĥ: φ | reads x",
    "minlstm": "h | keep f̂: f / (f + i) | write î: i / (f + i) | ĥ: φ | reads x",
    "slstm": "What it holds, c / n, is not one state",
    "mogrifier": LSTM + " | first x_5, h_4",
    "mgu": "h | keep 1 − f, by f | write f: σ | g: tanh | look f: σ before U_g",
}


def told(found: dict[str, Any]) -> str:
    """What `anatomy` finds, in a line."""
    if "why" in found:
        return found["why"].partition(" that goes")[0]
    boxes = found["boxes"]

    def made(symbol: str) -> str:
        return f": {boxes[symbol]['label']}" + "".join(f", sees {state}" for state in boxes[symbol]["peeks"])

    def valve(does: str, valve: dict[str, Any]) -> str:
        if valve["fixed"] is not None:
            return f"{does} {valve['symbol']} = {valve['fixed']:g}"
        by = f", by {valve['gate']}" if valve["flipped"] else made(valve["gate"])
        return f"{does} {valve['symbol']}{by}"

    parts = [found["belt"] + ", made anew" * (not found["carries"])]
    parts += [valve(does, found[does]) for does in ("keep", "write") if found[does]]
    parts.append(found["candidate"] + made(found["candidate"]))
    if look := found["look"]:
        parts.append(f"{valve('look', look['valve'])} {'behind' if look['first'] else 'before'} {look['matrix']}")
    if show := found["show"]:
        through = [box["label"] for box in show["through"]][::-1]
        narrowed = f" in {show['narrowed']}" if show["narrowed"] else ""
        parts.append(f"{valve('show', show['valve'])} of {' '.join([*through, show['source']])}{narrowed}")
    if (reads := [" ".join(rail) for rail in found["rails"]]) != ["h'", "x"]:
        parts.append(f"reads {', '.join(reads)}")
    if found["prepared"]:
        parts.append(f"first {', '.join(found['prepared'])}")
    return " | ".join(parts)


def test_every_cell_is_drawn_as_its_equations_say(web: Callable[..., Any], minimal_gated_unit: str) -> None:
    """Not as it is called: the test's cell, which nobody knows, is drawn, too."""
    for name in CELLS:
        cell = {field: value for field, value in vars(CellData.of(name)).items() if field != "name"}
        found = web("inside/anatomy.js", "anatomy", cell, vars(does_of(cell_called(name))))
        assert told(found) == DRAWN[name], name
    assert DRAWN.keys() == CELLS.keys()


def test_what_is_no_gated_sum_has_a_sentence(web: Callable[..., Any]) -> None:
    cell = {"symbols": {"hidden": "h"}, "states": {"hidden": "h"}}
    does = {"keeps": "f", "writes": None, "shows": None, "looks_back": None, "holds": "h"}
    for equation in (["+", ["*", "f", "h'"], ["*", ["-", 1, "f"], "h'"]], ["+", ["*", "f", "h'"], ["tanh", "x"]]):
        found = web("inside/anatomy.js", "anatomy", {**cell, "equations": {"h": equation}}, does)
        assert found["why"].startswith("h is not a sum of what is kept and what is written"), equation


DRAW = """async ([live, weights, css]) => {
  const { Opened, Reading } = await import("/reading.js"), { readTheme } = await import("/paint/pen.js");
  const { Drawing } = await import("/inside/drawing.js"), { number, whole } = await import("/words.js");
  const bytes = Uint8Array.from(atob(weights), (sign) => sign.charCodeAt(0));
  const opened = new Opened(live, new Float32Array(bytes.buffer)), reading = new Reading(opened), { trace } = reading;
  const sheet = document.head.appendChild(document.createElement("style")), pointed = [];
  sheet.textContent = css;
  const place = document.body.appendChild(document.createElement("div")), unit = live.size - 1, layer = 1, told = {};
  const chosen = [], host = { point: (symbol) => pointed.push(symbol), select: ({ time }) => chosen.push(time) };
  const drawing = new Drawing(place, host);
  reading.toText("cab ab");
  const seen = { reading, trace, live, model: opened.model, theme: readTheme(place), options: {} };
  const see = (time) => drawing.show({ ...seen, at: { time, unit, layer } });
  see(0);
  see(3);
  const svg = place.querySelector("svg"), why = place.querySelector(".quiet").textContent;
  const all = place.querySelectorAll("svg *").length;
  if (svg) {
    const { width, height } = svg.viewBox.baseVal, labels = [...svg.querySelectorAll(".label")].map((text) => {
      const { x, y, width, height } = text.getBBox();
      return { text, said: text.textContent, left: x, right: x + width, top: y, bottom: y + height };
    });
    const says = (text) => [".symbol", ".number"].map((part) => text.querySelector(part).textContent);
    told.written = labels.map(({ text }) => text).filter((text) => text.querySelector(".number:not(.few)")).map(says);
    const inside = ({ left, right, top, bottom }) => left >= 0 && top >= 0 && right <= width && bottom <= height;
    told.outside = labels.filter((each) => !inside(each));
    const meet = (a, b) => a.left < b.right && b.left < a.right && a.top + 3 < b.bottom && b.top + 3 < a.bottom;
    told.over = labels.flatMap((a, k) => labels.slice(k + 1).filter((b) => meet(a, b)).map((b) => [a.said, b.said]));
    told.captions = drawing.order.map((k) => { drawing.point(k); return place.querySelector(".caption").textContent; });
    drawing.point(null);
    const press = (key) => svg.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
    told.walked = ["ArrowDown", "ArrowUp", "ArrowUp"].map((key) => {
      press(key);
      return drawing.order.indexOf(drawing.pointed);
    });
    drawing.point(null);
    ["ArrowLeft", "ArrowRight"].forEach(press);
    told.chosen = chosen;
    told.label = svg.getAttribute("aria-label");
  }
  told.trace = Object.fromEntries(trace.roles.map(([role, symbol]) => {
    const { size } = trace.tracks[layer][role], at = (time) => number(trace.values(layer, role)[time * size + unit]);
    return [symbol, [at(3), at(2)]];
  }));
  see(2);
  const same = all === place.querySelectorAll("svg *").length;
  place.remove();
  sheet.remove();
  return { ...told, why, drawn: Boolean(svg), pointed, same };
}"""


def sent(checkpoint: Checkpoint) -> tuple[Any, str, int]:
    """A model as the page takes it, its header and its weights; and how many numbers it learns."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lstmviz.opened.written_at_most", lambda model: 16)  # what it wrote is not looked at here
        header, buffer = live(prepare(checkpoint))
    weights = base64.b64encode(buffer).decode()
    return json.loads(sized(header)[4:]), weights, sum(each.size for each in checkpoint.weights.values())


@pytest.fixture(scope="module")
def models(make_checkpoint) -> dict[str, tuple[Any, str, int]]:
    return {name: sent(make_checkpoint(cell=name, num_layers=2)) for name in CELLS}


def test_the_drawing_writes_what_the_trace_says(
    models, make_checkpoint, web_page: Page, minimal_gated_unit: str
) -> None:
    sheet = ":root { --st-font: sans-serif; --st-code-font: monospace; }" + style("inside/drawing.css")
    for name, (header, weights, _) in {**models, "mgu": sent(make_checkpoint(cell="mgu", num_layers=2))}.items():
        told = web_page.evaluate(DRAW, [header, weights, sheet])
        assert told["drawn"] != bool(told["why"]), name
        if not told["drawn"]:
            assert "Its equations say all" in told["why"]
            continue
        cell, written = CellData.of(name), [[symbol, number] for symbol, number in told["written"] if symbol]
        assert {symbol for symbol, _ in written} >= {"c" if "cell" in cell.states else "h"}, name
        for symbol, number in written:
            now, before = told["trace"].get(symbol.removesuffix("′"), (None, None))
            if now is None:  # what is missing to 1
                gate, _ = told["trace"][symbol.removeprefix("1 − ")]
                assert float(number) == pytest.approx(1 - float(gate), abs=0.011), (name, symbol)
            else:
                fixed = number.startswith("= ")
                assert (number.removeprefix("= ") + ".00" * fixed) == (before if symbol.endswith("′") else now), (
                    name,
                    symbol,
                )
        assert not told["outside"] and not told["over"], name
        assert all(each and not re.search("undefined|NaN|_", each) for each in told["captions"]), name
        last = len(told["captions"]) - 1
        assert told["walked"] == [0, last, last - 1] and told["chosen"] == [2, 4], name
        assert told["same"], "a step makes no new elements"
        assert {*told["pointed"]} - {None} <= cell.equations.keys()
        assert f"one step of {name}" in told["label"] and "undefined" not in told["label"]


STEP = """async ([live, weights]) => {
  const { Opened, Reading } = await import("/reading.js"), { readTheme } = await import("/paint/pen.js");
  const { StepSection } = await import("/inside/step.js");
  const bytes = Uint8Array.from(atob(weights), (sign) => sign.charCodeAt(0));
  const opened = new Opened(live, new Float32Array(bytes.buffer)), reading = new Reading(opened);
  const place = document.body.appendChild(document.createElement("div")), section = new StepSection(place, {});
  reading.toText("cab ab");
  const seen = { reading, trace: reading.trace, live, model: opened.model, theme: readTheme(place), options: {} };
  const told = [0, 1, 2, 3, 4, 5].map((time) => {
    section.show({ ...seen, at: { time, unit: 1, layer: 0 } });
    const [kept, written] = place.querySelectorAll(".label.flow .number");
    const sum = place.querySelector(".line[data-symbol=c] .numbers");
    return [sum, kept, written].map(({ textContent }) => textContent);
  });
  section.drawing.point(section.drawing.order.find((k) => section.drawing.parts[k].kind === "valve"));
  const pointed = [...place.querySelectorAll(".line.pointed")].map((line) => line.dataset.symbol);
  section.show({ ...seen, at: { time: 2, unit: 1, layer: 0 } });
  const still = place.querySelectorAll(".line.pointed").length;
  section.drawing.point(null);
  return [told, pointed, still, place.querySelectorAll(".line.pointed").length];
}"""


def test_the_drawing_and_the_equations_say_the_same(models, web_page: Page) -> None:
    """To the digit; and the equation of a part that somebody points at is marked."""
    header, weights, _ = models["lstm"]
    told, *pointed = web_page.evaluate(STEP, [header, weights])
    for said, kept, written in told:
        assert f"= {kept} {'−' if written.startswith('−') else '+'} {written.removeprefix('−')} =" in said
    assert pointed == [["f"], 1, 0]


# ---- the count -------------------------------------------------------------------------------------------------------


def test_the_count_is_that_of_the_model(models, make_checkpoint, web: Callable[..., Any]) -> None:
    """Block by block, of every cell; of each layer the formula comes to the same."""
    tied = {
        "tied": sent(make_checkpoint(tie_weights=True, embedding_size=4)),
        "tied, narrow": sent(make_checkpoint(cell="lstmp", tie_weights=True, embedding_size=2)),
    }
    for name, (header, _, learns) in {**models, **tied}.items():
        groups = web("inside/count.js", "counted", header)
        assert [group["name"] for group in groups[:: len(groups) - 1]] == ["embedding", "decoder"]
        assert web("inside/count.js", "numbersIn", groups) == learns, name
        for group in groups[1:-1]:
            count = sum(block["count"] for block in group["blocks"])
            in_numbers = group["formula"][1].replace("·", "*").replace("²", "**2").replace("−", "-")
            assert eval(in_numbers) == count, (name, in_numbers)
        assert all(block["says"] for group in groups for block in group["blocks"]), name


def test_the_count_of_images_and_of_an_adaptive_softmax(models, web: Callable[..., Any]) -> None:
    """By the shapes alone: such models take long to make."""
    config = {"embedding_size": 3, "hidden_size": 4, "num_layers": 2}
    (lstm, *_), images = models["lstm"], shapes(ModelConfig(**config, row_size=8), 10)
    adaptive = shapes(ModelConfig(**config, adaptive_softmax=True), 10_000)

    def affine(shapes: dict[str, tuple[int, ...]], name: str) -> dict[str, Any]:
        parts = {part: shapes.get(f"{name}.{part}") for part in ("weight", "bias")}
        return {part: shape and {"at": name, "shape": shape} for part, shape in parts.items()}

    for header, shape in (
        ({**lstm, "side": 8, "input": affine(images, "embedding"), "decoder": affine(images, "decoder")}, images),
        (
            {
                **lstm,
                "input": affine(adaptive, "embedding"),
                "decoder": {
                    "head": affine(adaptive, "decoder.head"),
                    "small": affine(adaptive, "decoder.tail.0")["weight"],
                    "tail": affine(adaptive, "decoder.tail.1"),
                },
            },
            adaptive,
        ),
    ):
        groups = web("inside/count.js", "counted", header)
        assert web("inside/count.js", "numbersIn", groups) == sum(map(math.prod, shape.values()))
        assert groups[1]["formula"][1] == "4·4·(4 + 3) + 8·4"


def test_what_a_block_is(models, web: Callable[..., Any]) -> None:
    says = {
        block["symbol"]: (block["shape"], block["times"], block["says"])
        for name in ("lstm", "peephole", "layernorm")
        for block in web("inside/count.js", "counted", models[name][0])[1]["blocks"]
    }
    assert says["W_f"] == ([4, 3], 1, "weights of x for f")
    assert says["U_f"] == ([4, 4], 1, "weights of h' for f")
    assert says["p_o"] == ([4], 1, "how much of c, unit by unit, comes to o")
    assert says["W"] == ([16, 3], 1, "weights of x for a_i, a_f, a_g and a_o")
    assert says["α_c"] == ([4], 1, "a gain, number by number, in h")
    (bias,) = (
        block for block in web("inside/count.js", "counted", models["lstm"][0])[1]["blocks"] if block["symbol"] == "b_f"
    )
    assert (bias["times"], bias["count"], bias["says"]) == (2, 8, "bias of f")


# ---- the sandbox -----------------------------------------------------------------------------------------------------


def test_the_sandbox_begins_with_four_numbers_and_a_gate(web: Callable[..., Any]) -> None:
    first = web("inside/sandbox.js", "begun", None)
    assert (first["op"], first["a"]) == ("sigma", [1, 3, 0, -2])
    assert [round(each, 2) for each in web("inside/sandbox.js", "madeOf", first)] == [0.73, 0.95, 0.50, 0.12]
    assert web("inside/sandbox.js", "linkOf", first) == "sigma:1,3,0,-2"
    for link, made in {
        "times:1,3,0,-2;0,0,0,0": [0, 0, 0, 0],
        "times:1,3,0,-2;1,1,1,1": [1, 3, 0, -2],
        "plus:1,2,3,4;-1,0.5,0,1": [0, 2.5, 3, 5],
    }.items():
        state = web("inside/sandbox.js", "begun", link)
        assert web("inside/sandbox.js", "madeOf", state) == made and not state["problem"]
        assert web("inside/sandbox.js", "linkOf", state) == link


def test_a_link_of_the_sandbox_that_cannot_be_says_so(web: Callable[..., Any]) -> None:
    for link in (
        "nonsense",
        "sigma:1,2,3",
        "sigma:1,2,3,4;1,1,1,1",
        "times:1,2,3,4",
        "times:1,2,3,4;0,0,0,2",
        "plus:1,2,3,99;0,0,0,0",
        "sigma:1,,0,-2",
        "toString:1,2,3,4",
    ):
        state = web("inside/sandbox.js", "begun", link)
        assert state["op"] == "sigma" and state["a"] == [1, 3, 0, -2] and link in state["problem"], link


TYPED = """async ([live, css]) => {
  const { SandboxSection } = await import("/inside/sandbox.js"), { readTheme } = await import("/paint/pen.js");
  const place = document.body.appendChild(document.createElement("div")), kept = [];
  const section = new SandboxSection(place, { option: (name, value) => kept.push(`${name} ${value}`) });
  section.show({ live, theme: readTheme(place), options: {}, at: {} });
  const says = (part) => place.querySelector(part).textContent, told = [says(".result")];
  const type = (text) => {
    const [box] = place.querySelectorAll(".typed");
    box.focus();
    box.value = text;
    box.dispatchEvent(new Event("input", { bubbles: true }));
    told.push([says(".result"), says(".problem"), box.getAttribute("aria-invalid")]);
    if (says(".problem")) box.blur();
    return box.value;
  };
  const left = ["NaN", "", "1e9", "2,5"].map(type);
  place.querySelector("[data-op=times]").click();
  for (const name of ["all 0", "all 1"]) {
    [...place.querySelectorAll(".takes button")].find(({ textContent }) => textContent === name).click();
    told.push(says(".result"));
  }
  const [, gate] = place.querySelectorAll(".slide");
  gate.value = 0.5;
  gate.dispatchEvent(new Event("input"));
  told.push(says(".result"));
  place.remove();
  return [told, left, kept.at(-1)];
}"""


def test_what_is_typed_and_dragged_in_the_sandbox(models, web_page: Page) -> None:
    told, left, kept = web_page.evaluate(TYPED, [models["rnn"][0], ""])
    first, nan, empty, huge, good, shut, open_, half = told
    assert first == "σ([1, 3, 0, −2]) = [0.73, 0.95, 0.50, 0.12]"
    outside = "type one from −10 to 10. Until then it is 1."
    assert nan == [first, f"“NaN” is no number: {outside}", "true"]
    assert empty == [first, f"There is no number: {outside}", "true"]
    assert huge == [first, f"1e9 is outside: {outside}", "true"]
    assert good == ["σ([2.5, 3, 0, −2]) = [0.92, 0.95, 0.50, 0.12]", "", "false"]
    assert left == ["1", "1", "1", "2,5"]  # what was no number is the last one again
    assert shut == "[2.5, 3, 0, −2] ⊙ [0, 0, 0, 0] = [0.00, 0.00, 0.00, 0.00]"
    assert open_ == "[2.5, 3, 0, −2] ⊙ [1, 1, 1, 1] = [2.50, 3.00, 0.00, −2.00]"
    assert half == "[2.5, 3, 0, −2] ⊙ [0.5, 1, 1, 1] = [1.25, 3.00, 0.00, −2.00]"
    assert kept == "sandbox times:2.5,3,0,-2;0.5,1,1,1"
