"""What the tests of all pages look for in a page."""

import json

from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Block

MAPS = ("lstmviz_gate_map", "lstmviz_comparison")


def notes(app: AppTest) -> list[str]:
    """What the maps of the page say over themselves."""
    sent = [each.proto.bytes for each in app.get("bidi_component") if each.proto.component_name in MAPS]
    heads = [json.loads(data[4 : 4 + int.from_bytes(data[:4], "little")]) for data in sent]
    return [text for head in heads for _, text in head["notes"]]


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
