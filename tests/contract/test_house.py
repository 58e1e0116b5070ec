"""What the house promises of every room: what a public function takes, gives and refuses stands in its docstring."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

LIBRARY = Path(__file__).parents[2] / "lstmviz"
ARRAYS = {"Tensor", "np.ndarray"}


def functions(node: ast.AST, where: str) -> Iterator[tuple[str, ast.FunctionDef]]:
    """The public functions of a module, and methods of its public classes."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef) and not child.name.startswith("_"):
            yield from functions(child, f"{where}.{child.name}")
        if isinstance(child, ast.FunctionDef) and not child.name.startswith("_"):
            yield f"{where}.{child.name}", child


def in_itself(function: ast.AST) -> Iterator[ast.AST]:
    """What a function consists of, without the functions in it."""
    for child in ast.iter_child_nodes(function):
        if not isinstance(child, ast.FunctionDef | ast.Lambda):
            yield child
            yield from in_itself(child)


def raised(function: ast.FunctionDef) -> set[str]:
    calls = (node.exc for node in in_itself(function) if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call))
    names = {call.func.id for call in calls if isinstance(call.func, ast.Name)}
    return {name for name in names if name[0].isupper()} - {"NotImplementedError"}


FUNCTIONS = {
    name: function
    for path in sorted(LIBRARY.rglob("*.py"))
    for name, function in functions(ast.parse(path.read_text("utf-8")), ".".join(path.relative_to(LIBRARY).parts))
}
TAUGHT = {name: function for name, function in FUNCTIONS.items() if ast.get_docstring(function)}
COMMANDS = {name for name in TAUGHT if name.startswith(("cli.", "__main__."))}  # whose docstring is what --help shows


@pytest.mark.parametrize("name", [name for name in TAUGHT if raised(TAUGHT[name]) and name not in COMMANDS])
def test_what_is_raised_is_said(name: str) -> None:
    _, _, said = (ast.get_docstring(TAUGHT[name]) or "").partition("Raises:")
    assert all(error in said for error in raised(TAUGHT[name]))


@pytest.mark.parametrize(
    "name",
    [name for name, f in TAUGHT.items() if f.returns and ast.unparse(f.returns).removesuffix(" | None") in ARRAYS],
)
def test_what_is_an_array_has_a_shape(name: str) -> None:
    said = ast.get_docstring(TAUGHT[name]) or ""
    assert "``(" in said or "shape" in said or "axes" in said


def test_what_the_readme_shows_of_the_library_runs() -> None:
    """All of it in one process of its own, where nothing has been imported yet."""
    blocks = re.findall(r"^```python\n(.*?)^```", (LIBRARY.parent / "README.md").read_text("utf-8"), re.M | re.S)
    ran = subprocess.run([sys.executable, "-c", "".join(blocks)], cwd=LIBRARY.parent, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert len(blocks) > 1
