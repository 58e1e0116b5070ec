"""What the tests of all pages look for in the messages to their maps."""

import json

from streamlit.testing.v1 import AppTest

MAPS = ("lstmviz_gate_map", "lstmviz_comparison")


def notes(app: AppTest) -> list[str]:
    """What the maps of the page say over themselves."""
    sent = [each.proto.bytes for each in app.get("bidi_component") if each.proto.component_name in MAPS]
    heads = [json.loads(data[4 : 4 + int.from_bytes(data[:4], "little")]) for data in sent]
    return [text for head in heads for _, text in head["notes"]]
