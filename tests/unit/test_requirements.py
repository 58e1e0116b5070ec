"""The versions that the app and the tests run with lie in the ranges with which the library is said to work."""

import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]


def test_every_pinned_version_lies_in_the_range_that_is_stated() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"], *project["optional-dependencies"]["app"]]
    stated = {requirement.name: requirement.specifier for requirement in map(Requirement, lines)}
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    pinned = {r.name: r.specifier for r in map(Requirement, (line for line in lines if not line.startswith("#")))}
    assert pinned.keys() == stated.keys()
    for name, pin in pinned.items():
        assert str(pin).startswith("=="), f"{name} is not pinned"
        version = str(pin).removeprefix("==")
        assert version in stated[name], f"{name} {version} is pinned, and {stated[name]} stated"
