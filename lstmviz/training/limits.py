"""What one person, and all together, may have at once where a class shares a machine; at home nothing is limited."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from filelock import FileLock

from lstmviz.data.corpora import kept
from lstmviz.home import Home
from lstmviz.training.folder import runs
from lstmviz.training.status import LIVING


@dataclass(frozen=True)
class Limit:
    """So many at most.

    Args:
        what: they are.
        person, machine: how many one person may have, and all together.
        otherwise: what a person can do who has as many.
    """

    what: str
    person: int
    machine: int
    otherwise: str

    def check(self, mine: int, all_together: int, more: int = 1) -> None:
        """Refuse what would be too many.

        Args:
            mine, all_together: how many there are.
            more: how many come.

        Raises:
            ValueError: so it is, with the figure.
        """
        if mine + more > self.person:
            raise ValueError(f"each person of the class may have {self.person:,} {self.what}; {self.otherwise}")
        if all_together + more > self.machine:
            raise ValueError(
                f"this machine takes {self.machine:,} {self.what} of all people together, and has them; try again later"
            )


TRAININGS = Limit("trainings that run or wait (a line-up is one)", 3, 24, "stop one, or wait until one is done")
KEPT = Limit("trainings in the table (a member of a line-up is one)", 100, 2_000, "delete some")
TEXTS = Limit("kept texts", 5, 100, "the teacher can delete some")
MEGABYTES = Limit("MB of kept texts, with all that is made of them", 200, 4_000, "the teacher can delete some")
UPLOADS = Limit("uploaded models open", 4, 40, "load the page again, or close another one")
LIMITS = (TRAININGS, KEPT, TEXTS, MEGABYTES, UPLOADS)


@contextmanager
def one_more_training(home: Home, new: int) -> Iterator[None]:
    """One is begun in here, if there is room for it; of two who come at once, the second counts the first.

    Args:
        home: whose it is.
        new: how many runs it adds: one, the members of a line-up, or none where it goes on.

    Raises:
        ValueError: there is none.
    """
    if not home.person:
        yield
        return
    home.folder.mkdir(parents=True, exist_ok=True)
    with FileLock(home.folder.parent / ".lock", thread_local=False):
        everybody = home.everybody()
        TRAININGS.check(living([home]), living(everybody))
        KEPT.check(len(runs(home.runs)), sum(len(runs(each.runs)) for each in everybody), new)
        yield


def check_text(home: Home, size: int) -> None:
    """Refuse to keep one more text of so many bytes where there is no room for it.

    Raises:
        ValueError: there is none.
    """
    if home.person:
        people = [each for each in home.everybody() if each.person]
        TEXTS.check(len(kept(home.corpora)), sum(len(kept(each.corpora)) for each in people))
        MEGABYTES.check(_megabytes(home), sum(map(_megabytes, people)), more=-(-size // 10**6))


def living(homes: list[Home]) -> int:
    """How many trainings run or wait; a line-up is one."""
    found = ((run.lineup or run.folder, run.status()) for home in homes for run in runs(home.runs))
    return len({folder for folder, status in found if status is None or status.state in LIVING})


def _megabytes(home: Home) -> int:
    return sum(path.stat().st_size for path in home.corpora.rglob("*") if path.is_file()) // 10**6
