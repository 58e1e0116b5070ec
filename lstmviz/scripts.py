"""The modules of ``web/`` as one script, and its style sheets as one: for a component, and for a page of its own."""

import re
from pathlib import Path

ASSETS = Path(__file__).with_name("web")

# Of what one module takes from another: names, or by its own name the function that is the other's default.
IMPORT = re.compile(r'^import (?:(?:\{(?P<some>[\w\s,]*)\}|(?P<one>\w+)) from )?"(?P<path>\.{1,2}/[\w./]+)";\n', re.M)
EXPORT = re.compile(r"^export (?!default)", re.M)
DEFAULT = re.compile(r"^export default (?=function \w)", re.M)
# A comment that is alone on its line, or is followed by no quote that could end a string which it stands in.
COMMENT = re.compile(r"^\s*//.*\n|^\s+|\s+// [^\"'`\n]*$", re.M)


def script(entry: str) -> str:
    """One script of a module and all that it imports, each in a scope of its own behind those that it needs.

    An inline script cannot import another, and travels with every message: so without comments and indentation.

    Raises:
        ValueError: modules import each other in a circle, or a line is one that cannot be joined.
    """
    parts: dict[Path, str] = {}
    asked: dict[Path, dict[str, None]] = {}  # what others take from each
    asking: list[Path] = []

    def add(path: Path) -> None:
        if path in asking:
            raise ValueError(f"{path.name} imports itself by way of {', '.join(other.name for other in asking)}")
        if path in parts:
            return
        asking.append(path)

        def take(found: re.Match[str]) -> str:
            other = (path.parent / found["path"]).resolve()
            add(other)
            names = re.findall(r"\w+", found["some"] or found["one"] or "")
            asked.setdefault(other, {}).update(dict.fromkeys(names))
            return f"const {{ {', '.join(names)} }} = {_scope(other)};\n" if names else ""

        source = IMPORT.sub(take, path.read_text(encoding="utf-8"))
        asking.pop()
        source = EXPORT.sub("", DEFAULT.sub("", source) if asking else source)
        parts[path] = COMMENT.sub("", source)
        for line in parts[path].splitlines():
            if re.match(r"import\b|export (?!default)", line) or line.count("`") % 2:
                raise ValueError(f"{path.name} has a line that cannot be joined: {line}")

    add(first := (ASSETS / entry).resolve())
    own = parts.pop(first)
    scopes = (
        f"const {_scope(path)} = (() => {{\n{source}return {{ {', '.join(asked[path])} }};\n}})();\n"
        for path, source in parts.items()
    )
    return "".join([*scopes, own])


def _scope(path: Path) -> str:
    """The name of what a module gives to others."""
    return "$" + re.sub(r"\W", "_", str(path.relative_to(ASSETS.resolve()).with_suffix("")))


def style(*names: str) -> str:
    """Style sheets, one after another."""
    return "\n".join((ASSETS / name).read_text(encoding="utf-8") for name in names)
