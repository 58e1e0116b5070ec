"""``python -m lstmviz.begin FOLDER``: the process that the Train page starts for a run or a line-up.

It waits for its turn first, and only then imports what trains: a process that waits takes 20 MB instead of 400.
"""

from __future__ import annotations

import sys
from pathlib import Path

from lstmviz.training.status import LINEUP
from lstmviz.training.turn import Place


def begin(folder: Path) -> None:
    """Wait, and train what is in a folder; how it goes is printed."""
    with Place.at(folder) as place:
        if not place.wait():
            return
        from lstmviz.cli import follow, follow_all, in_a_sentence
        from lstmviz.training.folder import Run
        from lstmviz.training.parallel import ALONE
        from lstmviz.training.sweep import Sweep

        if not (folder / LINEUP).exists():
            with in_a_sentence():
                return follow(Run(folder), ALONE, place)
    with in_a_sentence():  # its members take turns of their own
        follow_all(Sweep(folder), workers=None, ray=None)


if __name__ == "__main__":
    begin(Path(sys.argv[1]))
