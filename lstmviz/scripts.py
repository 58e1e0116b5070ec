"""The modules of ``web/`` as one script, and its style sheets as one: for a component, and for a page of its own."""

import re
from pathlib import Path

ASSETS = Path(__file__).with_name("web")

IMPORT = re.compile(r'^import (?:(?:\{[^}]*\}|\w+) from )?"(\.{1,2}/[\w./]+)";\n', re.MULTILINE)
EXPORT = re.compile(r"^export (?!default)", re.MULTILINE)
DEFAULT = re.compile(r"^export default (?=function \w)", re.MULTILINE)  # who imports it calls it by its own name
# A comment that is alone on its line, or is followed by no quote that could end a string which it stands in.
COMMENT = re.compile(r"^\s*//.*\n|^\s+|\s+// [^\"'`\n]*$", re.MULTILINE)


def script(entry: str) -> str:
    """One script of a module and all that it imports, each behind those that it needs.

    An inline script cannot import another, and travels with every message: so without comments and indentation.

    Raises:
        ValueError: modules import each other in a circle, or a line is one that cannot be joined.
    """
    parts: dict[Path, str] = {}
    asking: list[Path] = []

    def add(path: Path) -> None:
        if path in asking:
            raise ValueError(f"{path.name} imports itself by way of {', '.join(other.name for other in asking)}")
        if path in parts:
            return
        asking.append(path)
        source = path.read_text(encoding="utf-8")
        for name in IMPORT.findall(source):
            add((path.parent / name).resolve())
        asking.pop()
        source = EXPORT.sub("", IMPORT.sub("", source))
        parts[path] = COMMENT.sub("", DEFAULT.sub("", source) if asking else source)
        for line in parts[path].splitlines():
            if re.match(r"import\b|export (?!default)", line) or line.count("`") % 2:
                raise ValueError(f"{path.name} has a line that cannot be joined: {line}")

    add((ASSETS / entry).resolve())
    return "".join(parts.values())


def style(*names: str) -> str:
    """Style sheets, one after another."""
    return "\n".join((ASSETS / name).read_text(encoding="utf-8") for name in names)
