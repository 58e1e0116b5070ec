"""Where what comes with the project lies, and where what people make goes.

::

    HOME/runs, HOME/corpora          at home everybody's; in a class the teacher's, which all may read
         people/PERSON/runs, corpora in a class: what one person made

HOME is where the person stands who begins the app or a command, or what the environment's LSTMVIZ_HOME says.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

_INSTALLED = Path(__file__).with_name("shipped")
# app.py, .streamlit and checkpoints/: pyproject.toml puts them beside this file when they are installed.
SHIPPED = _INSTALLED if _INSTALLED.exists() else Path(__file__).parents[1]

CLASS = "LSTMVIZ_CLASS"  # of the environment: where it is 1, each browser owns what it made
PERSON = re.compile("[0-9a-f]{16}")
_PEOPLE = "people"


def is_class() -> bool:
    """Whether several people share this machine, and each has what is theirs."""
    return os.environ.get(CLASS, "") not in ("", "0")


@dataclass(frozen=True)
class Home:
    """Whose runs and texts: one person's of a class, or all that there are.

    Args:
        folder: in which they lie.
        person: who that is; empty at home, and for what is the machine's own.
    """

    folder: Path
    person: str = ""

    @classmethod
    def here(cls) -> Home:
        """The machine's own."""
        return cls(Path(os.environ.get("LSTMVIZ_HOME", "")).absolute())

    def of(self, person: str) -> Home:
        """That of one person here."""
        return Home(self.folder / _PEOPLE / person, person) if person else self

    @property
    def runs(self) -> Path:
        """The folder of the trainings."""
        return self.folder / "runs"

    @property
    def corpora(self) -> Path:
        """The folder of the texts that were fetched or imported."""
        return self.folder / "corpora"

    @property
    def machine(self) -> Home:
        """The machine's own, in which this one lies."""
        return Home(self.folder.parents[1]) if self.person else self

    @property
    def read(self) -> list[Home]:
        """All that its person may read without a link: what is their own, and what is the machine's."""
        return [self, self.machine] if self.person else [self]

    def everybody(self) -> list[Home]:
        """The machine's own, and that of each person here."""
        here = self.machine
        found = sorted(path.name for path in (here.folder / _PEOPLE).glob("*") if PERSON.fullmatch(path.name))
        return [here, *map(here.of, found)]


def turns_of(runs: Path) -> Path:
    """Where the turns lie that the trainings in a folder take: in that folder, but in a class in one for all."""
    home = runs.parent
    return home.parents[1] / "runs" if home.parent.name == _PEOPLE and PERSON.fullmatch(home.name) else runs
