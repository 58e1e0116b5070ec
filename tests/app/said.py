"""What the tests of all pages look for in a page."""

import json
from pathlib import Path

from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Block

APP = Path(__file__).parents[2] / "lstmviz/pages/frame.py"
MAPS = ("lstmviz_gate_map", "lstmviz_comparison", "lstmviz_inside")


def open_app(page: str = "watch", **query: str | list[str]) -> AppTest:
    """A page of the app as a link opens it."""
    app = AppTest.from_file(str(APP), default_timeout=60)
    for name, value in query.items():
        app.query_params[name] = value
    return app.run() if page == "watch" else app.run().switch_page(f"{page}.py").run()


def notes(app: AppTest) -> list[str]:
    """What the maps of the page say over themselves."""
    return [text for data in _sent(app) for _, text in _headed(data)[0]["notes"]]


def address(app: AppTest) -> dict[str, str | None]:
    """What the browser is to write into the page's address of what its one map shows."""
    (data,) = _sent(app)
    return _headed(data)[0]["address"]


def here(app: AppTest) -> dict:
    """What is said of the page's one map, which the page makes itself."""
    (data,) = _sent(app)
    return _headed(data)[0]["here"]


def compared(app: AppTest) -> dict:
    """What is said of all models of the page's comparison."""
    (data,) = _sent(app)
    return _headed(data)[0]


def headers(app: AppTest) -> list[dict]:
    """What is said of the values of each gate map of the page that shows some."""
    return [_headed(rest)[0] for _, rest in map(_headed, _sent(app)) if rest]


def _sent(app: AppTest) -> list[bytes]:
    return [each.proto.bytes for each in app.get("bidi_component") if each.proto.component_name in MAPS]


def _headed(data: bytes) -> tuple[dict, bytes]:
    end = 4 + int.from_bytes(data[:4], "little")
    return json.loads(data[4:end]), data[end:]


def spoken(app: AppTest) -> str:
    """Every message on the page, and every caption."""
    said = [element.value for kind in (app.error, app.warning, app.info, app.caption) for element in kind]
    return "\n".join([*said, *notes(app)])


def drawn(app: AppTest, kind: str) -> list[str]:
    """The kinds of all that stands beside the first element of a kind: what its fragment draws anew at every run."""
    blocks = [app.main]
    for block in blocks:
        below = list(block.children.values())
        if any(each.type == kind for each in below):
            return [each.type for each in below]
        blocks += [each for each in below if isinstance(each, Block)]
    raise AssertionError(f"there is no {kind} on the page")
