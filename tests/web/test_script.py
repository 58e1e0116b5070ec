"""Modules become one script, since an inline script of a component can import nothing."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page

from lstmviz import scripts

WEB = scripts.ASSETS
ENTRIES = [path.name for path in sorted(WEB.glob("*.js")) if "export default" in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("entry", ENTRIES)
def test_the_script_of_a_component_runs(entry: str, web_page: Page) -> None:
    kind = web_page.evaluate(
        """async (source) => {
          const address = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
          return typeof (await import(address)).default; // a name that is not there would be no script
        }""",
        scripts.script(entry),
    )
    assert kind == "function"


def test_what_things_on_the_page_share_has_its_names_in_one_file() -> None:
    ours = re.compile(r"lstmviz:\w|__\w|globalThis|\bwindow(\.\w+ =[^=]|\[)|\.pushState =")
    says = {path.name: ours.findall(path.read_text("utf-8")) for path in WEB.rglob("*.js")}
    known = {"shared.js", "frame.js", "streamlit.js"}  # the first says what the others change of the window
    assert {name for name, found in says.items() if found} == known
    assert not [path.name for path in WEB.parent.rglob("*.py") if "window.__" in path.read_text("utf-8")]


def test_what_is_needed_goes_before_and_comments_stay_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "a.js").write_text(
        'import { b } from "./deep/b.js";\nimport "./c.js";\n\nexport default b("// no"); // d\n'
    )
    (tmp_path / "deep" / "b.js").write_text(
        'import { c } from "../c.js";\n// why\nexport const b = (x) => {\n  return x;\n};\n'
    )
    (tmp_path / "c.js").write_text("export const c = 1;\n")
    monkeypatch.setattr(scripts, "ASSETS", tmp_path)
    assert scripts.script("a.js") == (
        "const $c = (() => {\nconst c = 1;\nreturn { c };\n})();\n"
        "const $deep_b = (() => {\nconst { c } = $c;\nconst b = (x) => {\nreturn x;\n};\nreturn { b };\n})();\n"
        'const { b } = $deep_b;\nexport default b("// no");\n'
    )


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ('import { a } from "./a.js";\n', "imports itself"),
        ('import * as c from "./c.js";\n', "cannot be joined"),
        ("const text = `one\n  two`;\n", "cannot be joined"),
    ],
)
def test_what_cannot_be_joined_is_refused(
    source: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.js").write_text('import { b } from "./b.js";\n')
    (tmp_path / "b.js").write_text(source)
    monkeypatch.setattr(scripts, "ASSETS", tmp_path)
    with pytest.raises(ValueError, match=said):
        scripts.script("a.js")


def test_no_part_of_a_page_styles_what_another_has() -> None:
    sheets = [WEB / "inside.css", *sorted((WEB / "inside").glob("*.css"))]
    rules = {path.name: re.findall(r"^(\.[\w-]+)[^{]*\{", path.read_text("utf-8"), re.M) for path in sheets}
    own = {name: set(begins) - {".part"} for name, begins in rules.items()}
    shared = {(a, b): own[a] & own[b] for a in own for b in own if a < b and own[a] & own[b]}
    assert not shared
