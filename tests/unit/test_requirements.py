"""The versions that the app and the tests run with lie in the ranges with which the library is said to work."""

import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[2]


def test_every_pinned_version_lies_in_the_range_that_is_stated() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    with_the_app = specifiers([*project["dependencies"], *extras["app"]])
    pinned = specifiers((ROOT / "requirements.txt").read_text().splitlines())
    assert pinned.keys() == with_the_app.keys()
    stated = with_the_app | specifiers(extras["xarray"])  # which only the tests need
    pinned |= specifiers((ROOT / "tests/requirements.txt").read_text().splitlines())
    assert pinned.keys() >= stated.keys()
    for name, pin in pinned.items():
        assert str(pin).startswith("=="), f"{name} is not pinned"
        version = str(pin).removeprefix("==")
        assert version in stated.get(name, pin), f"{name} {version} is pinned, and {stated[name]} stated"


def specifiers(lines: list[str]) -> dict[str, SpecifierSet]:
    """Name -> versions, of lines as pip takes them."""
    requirements = [Requirement(line.split(" #")[0]) for line in lines if not line.startswith(("#", "-r"))]
    return {requirement.name: requirement.specifier for requirement in requirements}
