"""Everything that the app remembers of one person's visit, and what the link says of it.

The only file that says ``st.session_state`` or ``st.query_params``. There are three kinds of what is remembered:

- of each page and menu a dataclass below: ``session(Watch).selected``;
- what a widget holds, where something else than the widget reads or sets it: the ``Widget`` of that key below;
- what a component said last, from the browser: ``report("map")``.

What a link tells is what its widgets are bound to, and what ``linked`` reads. While somebody types, only the browser
writes it (`Frame.address` in ``lstmviz.wire``): what Streamlit sends is a whole address, with the sentence of some keys
ago.
"""

from __future__ import annotations

import ctypes
import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from weakref import WeakSet

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from lstmviz.opened import OpenModel
from lstmviz.reading import LONGEST, Reading, Selected, Selection

if TYPE_CHECKING:
    from lstmviz.explain.saturation import Saturation

T = TypeVar("T")
LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass
class Sentences:
    """Of the sentence on Watch, on Compare and on Inside.

    Args:
        reader: who reads it: a page, and what on it decides of the text.
        texts: task and corpus -> what was last typed for their models.
        box: the key of the box on the page, and of ``texts`` that of what is in it.
        put: how often something else than a key has put a text into a box.
        strange: a label that the link asked for and the model does not know, until another is chosen.
    """

    reader: str | None = None
    texts: dict[tuple[str, str], str] = field(default_factory=dict)
    box: tuple[str, tuple[str, str]] | None = None
    put: int = 0
    strange: str = ""

    def put_into(self, box: Widget[str], text: str) -> None:
        """Put a text into a box, in the place of what is typed there; as `Widget.put`, only before it is drawn."""
        box.put(text)
        self.put += 1


@dataclass(frozen=True)
class Picture:
    """An image that is read.

    Args:
        image: the number of a test image.
        drawn: what was drawn instead, as `lstmviz.data.images.as_code` writes it.
    """

    image: str = "0"
    drawn: str = ""


@dataclass
class Pictures:
    """Of the image on Watch and on Compare.

    Args:
        shown: which; at first what the link says.
        told: what the component had said last, and for images of which side.
    """

    shown: Picture = field(default_factory=lambda: Picture(linked("image") or "0", linked("drawn") or ""))
    told: tuple[int, Picture] | None = None


@dataclass(eq=False)
class Uploads:
    """The models that were uploaded.

    Args:
        person: whose they are, as in `Home`.
        opened: name -> model.
        problem: why the last file cannot be used.
    """

    person: str = ""
    opened: dict[str, OpenModel] = field(default_factory=dict)
    problem: str = ""


@dataclass
class Watch:
    """Of the Watch page.

    Args:
        begun: whether it was shown before.
        time, unit: what the link said is selected, until another model is chosen.
        selected: what was selected at the last key.
        written: the text that a model has written on, the time of the first token that is its own, and its digest.
        draws: how often it has written.
        write: how it was last asked to write in the page: see `Here`.
        problem: why it could not.
        held: the gate that somebody asked last to hold, see `lstmviz.ui.components.readout`.
    """

    begun: bool = False
    time: int | None = field(default_factory=lambda: linked_number("time"))
    unit: int | None = field(default_factory=lambda: linked_number("unit"))
    selected: Selected | None = None
    written: tuple[str, int, str] | None = None
    draws: int = 0
    write: dict[str, float] | None = None
    problem: str = ""
    held: tuple[str, float] | None = None


HELD = "what if"  # the view of the Inside page that shows what is held
# Names in the link, whose values parts of the Inside page give and read.
OPTIONS = "norm", "hold", "role", "map", "sandbox"


@dataclass
class Inside:
    """Of the Inside page.

    Args:
        begun: whether it was shown before.
        time, unit, layer: what the link or another page said is selected, until another model is chosen; a layer is
            counted from 1.
        selected: what was selected last.
        options: name -> value of what its parts remember; None where they do not.
    """

    begun: bool = False
    time: int | None = field(default_factory=lambda: linked_number("time"))
    unit: int | None = field(default_factory=lambda: linked_number("unit"))
    layer: int | None = field(default_factory=lambda: linked_number("layer"))
    selected: Selected | None = None
    options: dict[str, str | None] = field(default_factory=lambda: linked_options())


@dataclass(eq=False)
class OverText:
    """Of a text that the gates of a model are counted over, on Inside.

    Args:
        of: the model's digest, which text, and the text itself where it was typed; what was found of another is not
            shown.
        reads: what is still to be read, piece by piece; None where nothing is.
        done: how much of it is, as a share and in words.
        found: what was counted so far.
        problem: why it cannot be.
        clicks: how often a dot was clicked: after each the chart is another one, in which nothing is selected.
        clicked: that one was, until all of the page knows.
    """

    of: tuple[str, str, str] | None = None
    reads: Iterator[tuple[float, str, Saturation | None]] | None = None
    done: tuple[float, str] = 0.0, ""
    found: Saturation | None = None
    problem: str = ""
    clicks: int = 0
    clicked: bool = False


@dataclass
class InPage:
    """Of the models that answer in the page, by their digests.

    Args:
        sent: those that the page was sent.
        checked: those of which it has seen what the server makes of a text, and makes the same.
        failed: those that the server answers for, since there the two differed, or the page cannot run them.
        lacked: what the page said last that it lacks.
        here: whether the model on Watch is one of them.
    """

    sent: set[str] = field(default_factory=set)
    checked: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    lacked: tuple[tuple[str, ...], float] | None = None
    here: bool = False


@dataclass
class Looked:
    """What was looked at last on Watch or on Inside.

    Args:
        page: on which of them.
        model: its name.
        shown: the page of all pages that is shown.
        came: whether another one was shown just before.
    """

    page: type[Watch] | type[Inside] | None = None
    model: str | None = None
    shown: str = ""
    came: bool = False


@dataclass
class Compare:
    """Of the Compare page.

    Args:
        time, unit, of: what the link said is selected, in which model.
        selected: what was selected at the last key,
        among: in which of these models.
        pinned: the reference that the browser asked for last.
        reference: the model that the others are compared with, if somebody chose it or the link says it.
    """

    time: int | None = field(default_factory=lambda: linked_number("time"))
    unit: int | None = field(default_factory=lambda: linked_number("unit"))
    of: str | None = field(default_factory=lambda: linked("of"))
    selected: Selected | None = None
    among: list[str] = field(default_factory=list)
    pinned: str | None = None
    reference: str | None = field(default_factory=lambda: linked("reference"))


@dataclass
class Train:
    """Of the Train page.

    Args:
        run: name of the training that was last begun or chosen.
        arrived: when that was; a moment of ``time.monotonic``, as the next.
        pressed: when a button was last pressed that asks a process for something.
        problem: why what was asked for could not be done.
        table: how many trainings were begun; another table has nothing selected.
        moments: run -> the step whose gates are shown; none while it follows the newest.
        playing: name of the training whose slider moves by itself.
        moved: when somebody last moved a slider, by the clock of the page.
        not_kept: why a text was not kept.
        asked: that *Train* was pressed, until the form has answered.
    """

    run: str | None = None
    arrived: float | None = None
    pressed: float = -math.inf
    problem: str = ""
    table: int = 0
    moments: dict[str, int] = field(default_factory=dict)
    playing: str | None = None
    moved: float = 0.0
    not_kept: str = ""
    asked: bool = False

    def ask(self) -> None:
        """*Train* was pressed. The form answers once it is drawn to its end: what is run for a press may be broken off,
        or be another part of the page, which Streamlit names where both say something at one moment.
        """
        self.asked = True

    def arrive(self, run: str) -> None:
        """Somebody began or chose this training: it is the one to be shown."""
        self.run, self.arrived = run, time.monotonic()


@dataclass
class Experiments:
    """Of the Experiments page.

    Args:
        pressed: as on the Train page.
        problem: why what was asked for could not be done.
    """

    pressed: float = -math.inf
    problem: str = ""


def key_of(kind: str, name: str) -> str:
    """The key of a widget or component that belongs to something with a name: another one for every other name.

    A component's must not hold two underscores in a row.
    """
    return f"{kind}_{name.replace('_', '._')}"


@dataclass(eq=False)
class Readings:
    """The sentences as models read them at the last key; None where there was nothing to read.

    Args:
        watch: on Watch, where the server answers.
        read: reads there what is to be read now, where somebody needs that.
        compare: on Compare, by the address of the model, where the server answers.
        read_all: reads there what is to be read now, where somebody needs that.
    """

    watch: Reading | None = None
    read: Callable[[], Reading | None] = lambda: None
    compare: dict[str, Reading | None] = field(default_factory=dict)
    read_all: Callable[[], dict[str, Reading | None]] = dict


def give_back_at_once() -> None:
    """What is larger than 1 MB goes back to the system when it is freed: glibc raises that size as it goes along."""
    if hasattr(LIBC, "mallopt"):
        LIBC.mallopt(-3, 2**20)  # pyright: ignore[reportOptionalMemberAccess]  # M_MMAP_THRESHOLD of malloc.h


def _let_go(kept: WeakSet[Readings]) -> None:
    """Forget them, and let the system have the memory, which glibc keeps for the thread that took it."""
    for each in kept:
        each.watch, each.read, each.compare, each.read_all = None, lambda: None, {}, dict
    if hasattr(LIBC, "malloc_trim"):
        LIBC.malloc_trim(0)  # pyright: ignore[reportOptionalMemberAccess]


@st.cache_resource(scope="session", show_spinner=False, on_release=_let_go)
def _forgotten() -> WeakSet[Readings]:
    """What is forgotten when the browser leaves: the session itself stays, for one that comes back."""
    return WeakSet()


def readings() -> Readings:
    """What is large of a visit, and soon made again."""
    mine = session(Readings)
    _forgotten().add(mine)
    return mine


def session(kind: type[T]) -> T:
    """What is remembered of that kind; at first what it is made with."""
    if kind.__name__ not in st.session_state:
        st.session_state[kind.__name__] = kind()
    return st.session_state[kind.__name__]


@dataclass(frozen=True)
class Widget(Generic[T]):
    """What a widget holds.

    Args:
        key: the widget's; where it is bound to the link, also what the link calls it.
    """

    key: str

    def value(self) -> T | None:
        """None before it was drawn."""
        return st.session_state.get(self.key)

    def known(self) -> bool:
        """Whether it was drawn, or something put there."""
        return self.key in st.session_state

    def put(self, value: T) -> None:
        """Only before it is drawn in a run: so a callback may."""
        st.session_state[self.key] = value

    def forget(self) -> None:
        """It begins as if it had never been drawn."""
        st.session_state.pop(self.key, None)


MODEL, NETWORK, UPLOAD = Widget[str]("model"), Widget[str]("network"), Widget[UploadedFile]("upload")  # Watch, Inside
MODELS = Widget[list[str]]("models")
BASELINE, BESIDE = Widget[str]("baseline"), Widget[str]("beside")  # on Watch and on Compare, as the next
LABEL, BEGUN = Widget[str]("label"), Widget[str]("begun")  # on Watch and on Compare
LAYER = Widget[str]("layer")  # on Watch; Compare's, which is called depth, nobody else asks
# Pages have boxes of their own: one that they shared Streamlit would empty when the browser goes back from the one page
# to the other.
TEXT, SENTENCE, READ = Widget[str]("text"), Widget[str]("sentence"), Widget[str]("read")  # on Watch, Compare, Inside
CORPUS = Widget[str]("corpus")
OWN_NAME, OWN_FILE, OWN_PASTED = Widget[str]("text_name"), Widget[UploadedFile]("text_file"), Widget[str]("text_pasted")


@dataclass(frozen=True)
class Report:
    """What a component said last; None, or nothing, before it did.

    Args:
        selection: of a map: what was clicked, or chosen by arrow keys.
        held: of a map: names of the blocks of values that the browser holds.
        pinned: of a comparison: the model that was made the reference.
        moved: of a slider: where to, and when.
        picture: of the place to draw: what was chosen or drawn.
        lacks: of a view that the page makes itself: the digests of models that it does not hold, and when it said so.
        unchecked: the digests of the models, where it has seen nothing yet of what the server makes of a text.
        checked: those of which it has, and makes the same.
        failed: those that answered otherwise than the server, or cannot run there.
        written: of the text that a model has written on there what `Watch` says.
        options: what the parts of the Inside page remember; None before one did.
    """

    selection: Selection | None = None
    held: tuple[str, ...] = ()
    pinned: str | None = None
    moved: tuple[int, float] | None = None
    picture: Picture | None = None
    lacks: tuple[tuple[str, ...], float] | None = None
    unchecked: tuple[str, ...] = ()
    checked: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    written: tuple[str, int, str] | None = None
    options: dict[str, str | None] | None = None


def report(key: str) -> Report:
    """What the component of that key said last."""
    said: dict[str, Any] = st.session_state.get(key) or {}
    selection = None
    if chosen := said.get("selection"):  # the gate map calls its maps layers, the comparison models
        which = chosen["layer"] if "layer" in chosen else chosen["model"]
        selection = Selection(int(chosen["time"]), int(chosen["unit"]), int(which))
    shown = said.get("picture")
    picture = Picture(f"{shown.get('image', 0)}", f"{shown.get('drawn', '')}") if shown else None
    lacks = (tuple(said["lacks"][0]), float(said["lacks"][1])) if said.get("lacks") else None
    written = tuple(said["written"]) if said.get("written") else None
    held, unchecked, checked, failed = (
        tuple(said.get(name) or ()) for name in ("held", "unchecked", "checked", "failed")
    )
    moved = (int(said["moved"][0]), float(said["moved"][1])) if said.get("moved") else None
    options = {name: said["options"].get(name) for name in OPTIONS} if said.get("options") else None
    pinned = said.get("pinned")
    return Report(selection, held, pinned, moved, picture, lacks, unchecked, checked, failed, written, options)


LINKED_MOST = 20  # names that a link is heard to say


def linked(name: str) -> str | None:
    """What the link says; nothing where that is longer than a text may be."""
    said = st.query_params.get(name)
    return said if said is None or len(said) <= LONGEST else None


def linked_number(name: str) -> int | None:
    """A number that the link says."""
    try:
        return int(linked(name) or "")
    except ValueError:
        return None


def linked_options() -> dict[str, str | None]:
    """What the link says of the parts of the Inside page."""
    return {name: linked(name) for name in OPTIONS}


def linked_all(name: str) -> list[str]:
    """All that the link says, where it says several: the first few, none longer than a text may be."""
    return [said for said in st.query_params.get_all(name)[:LINKED_MOST] if len(said) <= LONGEST]


def unlink(name: str) -> None:
    """Let the link no longer say it: before there is a box to type in."""
    st.query_params.pop(name, None)
