"""Where what comes with the project lies, and where what people make goes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_INSTALLED = Path(__file__).with_name("shipped")
# app.py, .streamlit and checkpoints/: pyproject.toml puts them beside this file when they are installed.
SHIPPED = _INSTALLED if _INSTALLED.exists() else Path(__file__).parents[1]


@dataclass(frozen=True)
class Home:
    """Somebody's runs and texts.

    Args:
        folder: in which they lie.
    """

    folder: Path

    @classmethod
    def here(cls) -> Home:
        """In the folder that the environment's LSTMVIZ_HOME names, else where the person stands."""
        return cls(Path(os.environ.get("LSTMVIZ_HOME", "")).absolute())

    @property
    def runs(self) -> Path:
        """The folder of the trainings."""
        return self.folder / "runs"

    @property
    def corpora(self) -> Path:
        """The folder of the texts that were fetched or imported."""
        return self.folder / "corpora"
