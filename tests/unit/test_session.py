"""What is remembered of a visit has one list, in one file."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PLACES = [ROOT / "app.py", *sorted((ROOT / "lstmviz").rglob("*.py"))]


def test_only_the_session_says_session_state_and_query_params() -> None:
    said = re.compile(r"session_state|st\.query_params")
    files = {str(path.relative_to(ROOT)) for path in PLACES if said.search(path.read_text(encoding="utf-8"))}
    assert files == {"lstmviz/ui/session.py"}
