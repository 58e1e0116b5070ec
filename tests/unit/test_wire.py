"""What Python and JavaScript both know is said once, in Python; what must be said twice is compared."""

import dataclasses
import json
import re
import tomllib
from pathlib import Path

import numpy as np
import plotly.colors
import pytest

from lstmviz import roles, wire
from lstmviz.data.vocabulary import NEWLINE_SIGNS
from lstmviz.ui import components

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "lstmviz" / "web"
WEB = {f"{path.relative_to(FOLDER)}": path.read_text(encoding="utf-8") for path in FOLDER.rglob("*.js")}
CODE = {name: re.sub(r"//.*", "", source) for name, source in WEB.items()}


def contrast(a: str, b: str) -> float:
    """Of two colours as #rrggbb, 1 to 21 (WCAG 2.2)."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))

    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


def test_the_constants_are_those_that_python_says() -> None:
    assert WEB["constants.js"] == wire.constants(), "run `python -m lstmviz.wire`"


def test_no_colour_of_python_stands_in_javascript_by_hand() -> None:
    said = set(re.findall(r"#[0-9a-f]{6}", WEB["constants.js"] + (ROOT / "lstmviz" / "roles.py").read_text("utf-8")))
    for name, source in CODE.items():
        if name != "constants.js":
            # What stands for a variable of the theme where there is none, as in a test, may be any colour.
            by_hand = set(re.findall(r"#[0-9a-f]{6}", re.sub(r'get\("[\w-]+", "[^"]+"\)', "", source)))
            assert not by_hand & said, name


def test_the_themes_are_those_of_the_configuration() -> None:
    themes = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))["theme"]
    app = (ROOT / "lstmviz/pages/frame.py").read_text(encoding="utf-8")
    for light, page in roles.PAGES.items():
        theme = themes[light]
        assert (page["background"], page["text"], page["primary"]) == (
            theme["backgroundColor"], theme["textColor"], theme["primaryColor"],
        )  # fmt: skip
    assert f"light-dark({roles.PAGES['light']['background']}, {roles.PAGES['dark']['background']})" in app
    # It cannot import these before it has shown that it is loading.
    assert f'COLOURS = ("{roles.AMBER[0]}", "{roles.GREEN[0]}", "{roles.BLUE[0]}")' in app
    assert f"[{NEWLINE_SIGNS}]" in CODE["frame.js"]


def test_cividis_is_that_of_plotly() -> None:
    assert list(roles.CIVIDIS) == plotly.colors.sequential.Cividis


@pytest.mark.parametrize("light", ["light", "dark"])
def test_what_is_written_in_a_colour_can_be_read(light: str) -> None:
    k, page = ["light", "dark"].index(light), roles.PAGES[light]["background"]
    written = {"loss": roles.LOSS, "perplexity": roles.PERPLEXITY}
    written |= {name: (role.light, role.dark) for name, role in roles.ROLES.items()}
    too_faint = {
        name: contrast(colours[k], page) for name, colours in written.items() if contrast(colours[k], page) < 4.5
    }
    assert not too_faint


def test_components_hear_what_the_browser_reports() -> None:
    told = {name for source in CODE.values() for name in re.findall(r'\b(?:send|set\w+Value)\("(\w+)"', source)}
    source = Path(components.__file__).read_text(encoding="utf-8")
    heard = set(re.findall(r"on_(\w+)_change", source))
    of_several = " ".join(re.findall(r"(?:_heard\(|names = )(.*)", source))
    heard |= set(re.findall(r'"(\w+)"', of_several))
    assert told == heard


@pytest.mark.parametrize(
    "header",
    [
        wire.MapHeader,
        wire.Beside,
        wire.Panel,
        wire.Likely,
        wire.ComparisonHeader,
        wire.ComparedModel,
        wire.Chart,
        wire.Row,
        wire.Frame,
    ],
)
def test_every_field_of_a_header_is_read(header: type) -> None:
    code = " ".join(source for name, source in CODE.items() if name != "constants.js")
    fields = [field.name for field in dataclasses.fields(header)]
    assert [name for name in fields if not re.search(rf"\b{name}\b", code)] == []


def test_pack_refuses_what_does_not_fit() -> None:
    panel = wire.Panel(
        layer=0, role="cell", label="", symbol="", index="", layer_label="", reverse=False, meaning="", does="",
        gate=False, light="", dark="", low=-1, high=1, limit=1, bounded=False, signed=True, mean=None, drawn=True,
        begin=0, end=1,
    )  # fmt: skip
    header = wire.Header(layers=[0], units=[[0, 1]], telling=[], panels=[panel], top=wire.Likely([], {}, []))
    with pytest.raises(ValueError, match="one a panel"):
        wire.pack(header, [], identity="", ids=[1])
    with pytest.raises(ValueError, match="must have shape"):
        wire.pack(header, [np.zeros((1, 3))], identity="", ids=[1])
    with pytest.raises(ValueError, match="high must be above low"):
        wire.quantize(np.zeros(2), 1, 1)


def test_what_is_no_finite_number_is_null() -> None:
    frame = wire.Frame([("note", "NaN")], float("nan"))  # pyright: ignore[reportArgumentType]
    text = wire.sized(frame, more={"a": [1.5, float("inf"), ("b", -float("inf"))]})
    found = json.loads(text[4:])
    assert (found["notes"], found["height"]) == ([["note", "NaN"]], None)
    assert found["more"] == {"a": [1.5, None, ["b", None]]}


@pytest.mark.filterwarnings("error")
def test_numbers_that_cannot_be_rounded_are_none() -> None:
    assert wire.numbers(np.array([1.23456, 1e308, np.inf, np.nan])) == [1.2346, None, None, None]
