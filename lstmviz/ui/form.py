"""What to train, on what and for how long: the form of the Train page."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.runtime.uploaded_file_manager import UploadedFile

from lstmviz.card import unknown_warning
from lstmviz.cells import CELLS
from lstmviz.config import OWN_TEXT_MOST, Level, ModelConfig, Options, Task, TrainConfig, options_of
from lstmviz.data import corpora
from lstmviz.data.expressions import Expression
from lstmviz.data.grammars import GRAMMARS
from lstmviz.data.images import DIGITS
from lstmviz.data.nonsense import NONSENSE
from lstmviz.data.vocabulary import (
    IGNORED,
    PADDING,
    SPECIALS,
    UNK,
    Corpus,
    Vocabulary,
    plain,
    read_by,
    shown,
    well_formed,
)
from lstmviz.disk import reason
from lstmviz.explain.examples import GUIDES
from lstmviz.home import CLASS, Home
from lstmviz.tasks import TASKS, decided_by, open_data
from lstmviz.tasks.classify import CLASSIFY
from lstmviz.tasks.language import LANGUAGE
from lstmviz.tasks.translate import TRANSLATE
from lstmviz.training import budget, trainings
from lstmviz.training.folder import Snapshot
from lstmviz.training.grid import Grid, lineup
from lstmviz.training.limits import LIMITS, check_text
from lstmviz.training.loop import unknown_share
from lstmviz.ui.cell_card import cell_card
from lstmviz.ui.session import CORPUS, OWN_FILE, OWN_NAME, OWN_PASTED, Train, key_of, session
from lstmviz.ui.steering import attempt

OWN = "a text of your own"
FOLDER = "a folder of idx files (MNIST)"
FILE = "a file on this machine"
FORMS = {
    "tag": "A line a token: the token, a tab and its label; after each sequence an empty line.",
    "classify_text": "A line a text: its label, a tab and the text.",
    "caption": "A line a text: the label that begins it, a tab and the text.",
    "translate": "A line a pair: what is read, a tab and what is to be said.",
    "tree": "A line an expression, as max(3, min(7, 2), 5).",
}  # of the files
BUDGETS = {"30 seconds": 30, "5 minutes": 300}
OTHER = "other"
PROBES = {
    "brackets": "(x(xx(x(x)x))(x)x)",
    # Of two sentences, so that what is hidden changes.
    "agreement": "the key near the cabinets is lost . ⏎ the dogs behind the box are old .",
    "recall": "bz?bxyx?bzyxyxz?b⏎dx?dzy?dxyzzyx?d",
}


@dataclass(frozen=True)
class Text:
    """A corpus, and how it is cut into tokens; or images, or sequences of another task.

    Args:
        name: of a grammar, a kept text or built-in data, or what the menu says.
        path: what TrainConfig calls it.
        sha256: of a kept text; another text of that name is another text.
        own: the text itself, where it is the person's own.
        level, max_words, min_count, task, permuted: as in TrainConfig.
    """

    name: str
    path: str
    sha256: str = ""
    own: str | None = None
    level: Level = "char"
    max_words: int | None = None
    min_count: int = 1
    task: Task = "language"
    permuted: int | None = None

    @property
    def of_images(self) -> bool:
        return self.task == CLASSIFY.name

    @property
    def is_text(self) -> bool:
        """One that is gone on with, and no sequences."""
        return self.task == LANGUAGE.name

    @property
    def of(self) -> str:
        """What widgets of it are remembered of."""
        return self.name if self.is_text or self.of_images else f"{self.task} {self.name}"

    def config(self, **others: Any) -> TrainConfig:
        """How to train on it; ``others`` are of TrainConfig, too."""
        fields = "level", "max_words", "min_count", "task", "permuted"
        return TrainConfig(self.path, **{name: getattr(self, name) for name in fields}, **others)


def form(home: Home, trained: list[Snapshot]) -> None:
    """Everything a training needs, with sensible values in place.

    Args:
        home: whose it will be.
        trained: how all trainings stand.
    """
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.markdown("**train a model**", width="content")
        what_is_yours(home)
    task = choose_task()
    if task == LANGUAGE.name:
        text = choose_text(home)
    else:
        text = choose_images(home) if task == CLASSIFY.name else choose_sequences(home, task)
    if text is None:
        return
    cells, same, about = choose_cells([*TASKS[task].cells])
    amount, unit = choose_budget()
    action = st.container()
    if text.of_images:
        probe = ""
        st.caption("As it learns, the gates are kept of the first image of the validation part.")
    else:
        probe = st.text_input(
            f"probe {TASKS[text.task].whole}, whose gates are kept as they learn",
            PROBES.get(text.name, "") if text.is_text else "",
            key=key_of("probe", text.of),
            help=None if text.is_text else "Left empty, it is one of the validation part.",
            persist_state="session",
        )
    with st.expander("more"):
        details = choose_details(text, cells)
    if not cells:
        action.caption("Choose a cell, or several to compare them.")
        return
    try:
        corpus = read_corpus(text)
        grid = asked(text, cells, details, probe, corpus)
        if same and len(cells) > 1:
            grid = budget.of_one_size(grid, len(corpus.vocabulary))
        models = budget.check(grid, corpus)
        with about:
            for model in models:
                cell_card(model.cell, model.embedding_size, model.hidden_size)
        measured = [costs(corpus, model, grid.base.train) for model in models]
    except (ValueError, OSError, RuntimeError) as error:  # torch says with the last that the memory is used up
        action.error(f"This cannot be trained: {plain(reason(error))}.")
        return
    step, evaluation = (sum(cost) / len(measured) for cost in zip(*measured, strict=True))
    grid = grid.trained(**budget.plan(amount, unit, step, evaluation, budget.epoch_of(corpus, grid.base.train)))
    preview(corpus)
    with action:
        st.caption(budget.announced(grid, models, corpus, step, evaluation, says_time=unit != "seconds"))
        reads = read_by(corpus.vocabulary, corpus.reads)
        read = reads.encode(probe) if probe else []
        if read and set(read) == {reads.ids[UNK]}:
            st.caption("The probe sentence has nothing that is in the vocabulary: its gates will tell little.")
        if not trainings.room(home, trained):
            st.caption("As many trainings run as this machine has cores: the next one will wait for its turn.")
        several = f" {len(cells)} cells" if details.seeds == 1 else f" {grid.count} models"
        label, memory = f"Train{several if grid.count > 1 else ''}", session(Train)
        st.button(label, type="primary", width="stretch", key="train", on_click=memory.ask)
        if memory.asked:
            memory.asked = False
            start(home, grid, corpus, text)


def what_is_yours(home: Home) -> None:
    """In a class, who sees what, and how much one may have; at home nothing."""
    if not home.person:
        return
    rows = [f"| {each.what} | {each.person:,} | {each.machine:,} |" for each in LIMITS]
    with st.popover("a class"):
        st.markdown(
            f"**A class shares this server** (its teacher set `{CLASS}`). What you train, keep or upload is yours, in "
            "this browser: nobody else sees it, or can stop or delete it. To show a model of yours, open it in Watch "
            "or Compare and send the link that **copy link** copies: who has it can read the model. What the teacher "
            "trained and kept is there for all to read."
        )
        st.markdown("\n".join(["| at most | each of you | all together |", "|---|--:|--:|", *rows]))


def ask(config: type[Options], name: str, begin: float | None = None, of: str = "", label: str = "") -> Any:
    """The widget of a field, made from what the field says; and what it holds.

    Args:
        config, name: the field.
        begin: where it begins, if not where the field says.
        of: what it is remembered of, if not of everything.
        label: instead of the field's own.
    """
    default, known = options_of(config)[name]
    entry, key = known.entry, key_of(name, of) if of else name
    assert entry is not None, f"{name} does not say how it is asked for"
    if type(default) is bool:
        return st.toggle(entry.label, default, key=key, persist_state="session", help=entry.help)
    low = known.range.low if entry.low is None else entry.low
    high = known.range.high if entry.high is None else entry.high
    value = next(value for value in (begin, entry.begin, default) if value is not None)
    return st.number_input(
        label or entry.label,
        low,
        high,
        value,
        entry.step,
        entry.format,
        key=key,
        persist_state="session",
        help=entry.help,
    )


def choose_cells(known: list[str]) -> tuple[list[str], bool, DeltaGenerator]:
    """The cells, whether all get as many parameters, and the place where their equations are shown.

    Args:
        known: those that the task takes.
    """
    everything = f"all {len(known)}"
    first, key = ("lstm", "cells") if "lstm" in known else (known[0], "cells_of_trees")
    cells = st.multiselect(
        "cells", [*known, everything], [first], key=key, persist_state="session",
        help="Several are trained as a line-up.",
        select_all=False,  # Enter would take all that match
    )  # fmt: skip
    if everything in cells:
        cells = known
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small"):
        same = st.toggle(
            "equal parameters", True, key="same", persist_state="session", disabled=len(cells) < 2,
            help="Each gets as many units as its whole model can have with at most the parameters of the first.",
        )  # fmt: skip
        about = st.popover("equations", help="What the cell computes, where it comes from, and its parameters")
    return cells, same, about


@dataclass(frozen=True)
class Details:
    """What stands under "more".

    Args:
        model: of ModelConfig, all but the cell.
        train: of TrainConfig, all but the text and the budget.
        seeds: how many, from the one in ``train`` on.
    """

    model: dict[str, Any]
    train: dict[str, Any]
    seeds: int


def choose_details(text: Text, cells: list[str]) -> Details:
    """The sizes, how they are trained, the seeds, and how the forget gate begins."""
    units, embedding = (24, 12) if text.name in GRAMMARS else (48, 16) if text.name == DIGITS else (None, None)
    if not text.is_text and not text.of_images:
        units, embedding = 32, 16
    model = {
        "hidden_size": ask(ModelConfig, "hidden_size", units, of=text.of),
        "num_layers": ask(ModelConfig, "num_layers"),
        "embedding_size": ask(ModelConfig, "embedding_size", embedding, of=text.of),
        "dropout": ask(ModelConfig, "dropout"),
    }
    if not TASKS[text.task].one_way and not text.is_text:
        model["bidirectional"] = ask(ModelConfig, "bidirectional")
    if text.task == TRANSLATE.name:
        looks = st.toggle(
            "attention", True, key="attention", persist_state="session",
            help="Each step looks back at all that was read (Luong et al. 2015); else all must fit into one vector.",
        )  # fmt: skip
        model["attention"] = "luong" if looks else "none"
    if text.of_images:
        train = {"batch_size": ask(TrainConfig, "batch_size", of="images", label="batch (images)")}
    elif not text.is_text:
        train = {"batch_size": ask(TrainConfig, "batch_size", of="sequences", label="batch (sequences)")}
    else:
        train = {name: ask(TrainConfig, name) for name in ("bptt", "batch_size")}
    rate = 0.01 if not text.is_text and not text.of_images else None  # small models of clear-cut tasks
    train |= {"learning_rate": ask(TrainConfig, "learning_rate", rate, of="" if rate is None else "sequences")}
    train |= {name: ask(TrainConfig, name) for name in ("clip_norm", "seed")}
    seeds = st.number_input(
        "seeds, from that one on", 1, 100, 1, key="seeds", persist_state="session", help="Several are a line-up, too."
    )
    begins = st.selectbox(
        "the forget gate begins", ["as drawn", "open", "chrono"], key="begins", persist_state="session",
        disabled=not any(cell not in CELLS or CELLS[cell].keeping for cell in cells),
        help="As drawn at random; with a bias of 1, open; or chrono, so that the units keep their memory for "
        "anything up to a BPTT window, or a whole sequence.",
    )  # fmt: skip
    if begins == "open":
        model["forget_bias"] = 1.0
    if begins == "chrono":
        model["chrono"] = max(3, train.get("bptt", 0))
    if text.is_text:
        model["adaptive_softmax"] = ask(ModelConfig, "adaptive_softmax")
    return Details(model, train, seeds)


def asked(text: Text, cells: list[str], details: Details, probe: str, corpus: Corpus) -> Grid:
    """What the form asks for, as a line-up; a single training is one of one member.

    Raises:
        ValueError: something is out of its range, or these are too many.
    """
    train = text.config(**details.train)
    model = {name: value for name, value in details.model.items() if name != "num_layers"}
    model |= decided_by(corpus, model.get("attention"))
    if "chrono" in model and not text.is_text:
        model["chrono"] = max(3, corpus.train.shape[1])
    seeds = tuple(range(train.seed, train.seed + details.seeds))
    return lineup(train, model, cells, (details.model["num_layers"],), (train.bptt,), seeds, probe=probe)


def start(home: Home, grid: Grid, corpus: Corpus, text: Text) -> None:
    """Begin a training or a line-up and show it."""
    name = "text" if text.own else text.name if text.is_text else corpus.name
    try:
        if grid.count > 1:
            run = trainings.begin_lineup(home, grid, len(corpus.vocabulary), f"{name}-lineup", text.own).runs()[0]
        else:
            (member,) = grid.members(len(corpus.vocabulary)).values()
            run = trainings.begin(home, member, f"{name}-{member.model.cell}", text.own)
    except (ValueError, OSError) as error:
        st.error(f"The training could not be started: {plain(reason(error))}.")
        return
    memory = session(Train)
    memory.arrive(run.name)
    memory.table += 1
    st.rerun()


# ---- images ----------------------------------------------------------------------------------------------------------


def choose_task() -> str:
    """What a model is asked."""
    return st.selectbox(
        "task", [*TASKS], format_func=lambda name: TASKS[name].title, key="task", persist_state="session",
        help="The same cells, trained by the same program; what differs is the shape: of how many inputs how many "
        "answers are asked. Of a text that is gone on with, the next token after every token.",
    )  # fmt: skip


def choose_images(home: Home) -> Text | None:
    """The menu of images; None while there are none that can be used. In a class nobody names folders of the server."""
    names = [*CLASSIFY.built_in, *([] if home.person else [FOLDER])]
    st.caption("Many inputs, one answer (N–1): an image is read row by row; what is said after its last row counts.")
    name = st.selectbox("images", names, key="images", persist_state="session")
    permuted = 0 if st.checkbox(
        "permute the pixels", key="permuted", persist_state="session",
        help="All images in the same way, before they are read: no row holds a stroke any more, and what belongs "
        "together stands anywhere in the image. That is harder: an LSTM of 128 units reads 96.6 % of MNIST rightly so, "
        "and 99.1 % as it is.",
    ) else None  # fmt: skip
    if name != FOLDER:
        return Text(name, name, task="classify", permuted=permuted)
    path = st.text_input(
        "folder on this machine",
        key="images_folder",
        persist_state="session",
        placeholder="/data/mnist",
        help="With the four idx files of MNIST, packed with gzip or not: train-images-idx3-ubyte and so on.",
    ).strip()
    if not path:
        st.caption("Name a folder with the four idx files of MNIST, or of another collection in that form.")
        return None
    return Text(name, os.path.abspath(os.path.expanduser(path)), task="classify", permuted=permuted)


def choose_sequences(home: Home, task: str) -> Text | None:
    """The data of a task whose sequences have their answers; None while there are none that can be used."""
    if guide := GUIDES.get(task):
        st.caption(guide)
    names = [*TASKS[task].built_in, *([] if home.person else [FILE])]
    name = st.selectbox("data", names, key=f"data_{task}", persist_state="session")
    levels: dict[str, Level] = {"characters": "char", "words": "word"} if name == FILE else {}
    if name in (FILE, NONSENSE) and TASKS[task].spells:
        levels |= {"words": "word", "words, by their letters": "letters"}
    if name != FILE:
        return Text(name, name, level=cut_into(levels, task), task=cast(Task, task))
    path = st.text_input(
        "file, or folder with a train, a valid and a test file", key=f"path_{task}", persist_state="session",
        placeholder="/data/examples.tsv", help=FORMS.get(task),
    ).strip()  # fmt: skip
    level = cut_into(levels, task)
    if not path:
        st.caption(f"Name a file. {FORMS.get(task, '')}")
        return None
    return Text(name, os.path.abspath(os.path.expanduser(path)), level=level, task=cast(Task, task))


def cut_into(levels: dict[str, Level], task: str) -> Level:
    """Into what a text is cut; built-in data have a level of their own where there is nothing to choose."""
    if not levels:
        return TrainConfig.level
    first, *_ = levels
    cut = st.segmented_control(
        "cut into", list(levels), default=first, required=True, key=f"level_{task} {len(levels)}",
        persist_state="session",
        help="Words are vectors out of a table, and one that is not in it is <unk>; or each is made of its letters by "
        "filters over them (a convolution), so that a word which was never met is read, too."
        if "letters" in levels.values() else None,
    )  # fmt: skip
    return levels[cut]


def preview_sequences(corpus: Corpus, reads: Vocabulary) -> None:
    """The first sequences with what is said of them, and how many there are."""
    lines = []
    for sequence in corpus.train[:6]:  # (T, X + 1)
        there, said = sequence[sequence[:, 0] != PADDING], sequence[sequence[:, -1] != IGNORED, -1].tolist()
        read = (there[:, :-1] if corpus.letters else there[:, 0]).tolist()
        answers = [corpus.vocabulary.display(i) for i in said]
        inputs = " ".join(reads.display(i) for i in read)
        if corpus.labels_read:
            inputs = shown(reads.tokens[int(sequence[0, 0])])
        elif sequence.shape[-1] == 3 and not corpus.attention:  # a tree: symbols, parents and values
            parents = sequence[: len(read), 1].tolist()
            inputs = f"{Expression(tuple(reads.tokens[i] for i in read), tuple(parents))}"
        lines.append(f"{inputs}  →  {' '.join(answers)}")
    st.code("\n".join(lines), language=None, wrap_lines=True)
    sizes = len(corpus.train), len(corpus.valid), len(corpus.test)
    parts = "{:,} sequences to learn from, {:,} to validate, {:,} to test".format(*sizes)
    labels = f", {len(corpus.vocabulary)} labels" if corpus.vocabulary.level == "label" else ""
    st.caption(f"What is read → what is to be said. {parts}{labels}.")


def preview_images(corpus: Corpus) -> None:
    """The first images, and how many there are."""
    side, count = corpus.row_size or 0, 12
    ink = np.array([230, 232, 235] if st.context.theme.type == "dark" else [28, 32, 36], np.uint8)
    greys = np.pad(corpus.train[:count, :, :-1].numpy(), ((0, 0), (0, 0), (0, max(1, side // 8))))  # (N, W, W + gap)
    greys = np.concatenate([*greys], axis=1).repeat(max(1, 32 // side), 0).repeat(max(1, 32 // side), 1)
    st.image(np.dstack([np.broadcast_to(ink, (*greys.shape, 3)), greys]), width="stretch")
    sizes = len(corpus.train), len(corpus.valid), len(corpus.test)
    parts = "{:,} images to learn from, {:,} to validate, {:,} to test".format(*sizes)
    st.caption(f"{parts}: {side} × {side} pixels, {len(corpus.vocabulary)} labels.")


# ---- the text --------------------------------------------------------------------------------------------------------


def choose_text(home: Home) -> Text | None:
    """The menu of texts and how the chosen one is cut; None while there is none that can be used."""
    fetched = {name: path for each in reversed(home.read) for name, path in corpora.kept(each.corpora).items()}
    missing = {name: source for name, source in corpora.SOURCES.items() if name not in fetched}

    def label(name: str) -> str:
        return f"{missing[name].title} (fetch {missing[name].size / 1e6:.1f} MB)" if name in missing else shown(name)

    with st.container(horizontal=True, vertical_alignment="bottom", gap="xsmall"):
        name = st.selectbox(
            "corpus", [*GRAMMARS, *fetched, *missing, OWN], format_func=label, key=CORPUS.key, persist_state="session"
        )
        if fetched.get(name) == home.corpora / name:
            offer_to_forget(home, name)
    if spoiled := [f"{plain(text)} ({plain(why)})" for text, why in corpora.spoiled(home.corpora).items()]:
        st.caption(f":material/warning: Of these kept texts cannot be read what they are: {', '.join(spoiled)}.")
    if name in GRAMMARS:
        return Text(name, name)
    if name in missing:
        return offer_to_fetch(home, name)
    own = own_text(home) if name == OWN else None
    if name == OWN and own is None:
        return None
    levels: dict[str, Level] = {"characters": "char", "words": "word"}
    level = levels[
        st.segmented_control(
            "cut into",
            list(levels),
            default="characters",
            required=True,
            key="level",
            persist_state="session",
            help="Words as Unicode cuts them. Where a script writes no spaces (Chinese, Japanese but for katakana, "
            "Thai, Lao, Khmer, Burmese), each character with its marks is a word.",
        )
    ]
    path, sha256 = name, ""
    if own is None:
        path, about = str(fetched[name]), corpora.about(fetched[name])
        sha256 = about.sha256 if about else ""
    if level == "char":
        return Text(name, path, sha256, own)
    first, second = st.columns(2)
    with first:
        words = ask(TrainConfig, "max_words")
    with second:
        times = ask(TrainConfig, "min_count")
    return Text(name, path, sha256, own, level, words, times)


def offer_to_forget(home: Home, name: str) -> None:
    """Behind a small button, one that removes a text of this person's."""

    def forget() -> None:
        attempt(Train, trainings.forget, home, name)
        if name not in corpora.kept(home.corpora):
            CORPUS.forget()

    with st.popover("", icon=":material/delete:", key=key_of("ask", f"corpus {name}"), help="delete this text"):
        st.caption(f"{plain(name)} is removed for good. Models that were trained on it stay; none can be resumed.")
        st.button("delete the text", on_click=forget, key="text_forget")


def offer_to_fetch(home: Home, name: str) -> None:
    """A button that fetches a text, with its progress."""
    source = corpora.SOURCES[name]
    st.caption(f"{source.title} is not on this machine yet. Licence: {source.licence}.")
    if not st.button(f"Fetch {source.size / 1e6:.1f} MB", key="fetch", width="stretch"):
        return
    bar = st.progress(0.0, "asking for it…")
    try:
        check_text(home, source.size)
        corpora.fetch_text(
            name,
            home.corpora,
            lambda done, total: bar.progress(done / max(1, total), f"{done / 1e6:.1f} of {total / 1e6:.1f} MB"),
        )
    except (ValueError, OSError) as error:
        bar.empty()
        st.error(f"{plain(reason(error))}.")
        return
    st.rerun()


def own_text(home: Home) -> str | None:
    """A text that is pasted or uploaded, and the offer to keep it; None while there is none."""
    upload = st.file_uploader(
        "a UTF-8 text file", type=["txt", "md", "text"], key=OWN_FILE.key, max_upload_size=OWN_TEXT_MOST // 10**6
    )
    pasted = st.text_area("or paste a text", key=OWN_PASTED.key, persist_state="session", height=120)
    try:
        text = own(upload, pasted)
    except ValueError as error:
        st.error(f"{error}.")
        return None
    if not text.strip():
        st.caption(
            "Paste or upload a text to train on; a few thousand characters at least. One of more than "
            f"{OWN_TEXT_MOST // 10**6} MB: `python -m lstmviz corpus import FILE`."
        )
        return None
    with st.popover("keep this text in the menu", width="stretch"):
        st.text_input("name", "my-text", key=OWN_NAME.key)
        st.button("keep", on_click=keep_text, args=(home,), key="text_keep")
    memory = session(Train)
    if memory.not_kept:
        st.error(f"It was not kept: {plain(memory.not_kept)}.")
        memory.not_kept = ""
    return text


def own(file: UploadedFile | None, pasted: str | None) -> str:
    """The uploaded file as text; without one, what was pasted.

    Raises:
        ValueError: it is no text, or too long a one.
    """
    size = file.size if file else len((pasted or "").encode("utf-8", "surrogatepass"))
    if size > OWN_TEXT_MOST:
        raise ValueError(
            f"The text has {size / 1e6:.1f} MB; at most {OWN_TEXT_MOST // 10**6} MB are read here. "
            "`python -m lstmviz corpus import FILE` keeps a longer one in the menu"
        )
    if file is None:
        return well_formed(pasted or "")
    try:
        return well_formed(file.getvalue().decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ValueError(f"The file is not UTF-8 text (byte {error.start}); save it as UTF-8 first") from error


def keep_text(home: Home) -> None:
    """Import the text as it stands now and choose it; only a callback, which runs before the menu, may do that."""
    name, file = OWN_NAME.value() or "", OWN_FILE.value()
    try:
        trainings.keep(home, own(file, OWN_PASTED.value()), name)
        CORPUS.put(name)
    except (ValueError, OSError) as error:
        session(Train).not_kept = reason(error)


@st.cache_resource(max_entries=4, show_spinner="Reading the data…")
def read_corpus(text: Text) -> Corpus:
    """The corpus, read once."""
    if text.own is None:
        return open_data(text.config())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "text.txt")
        path.write_text(text.own, encoding="utf-8")
        return corpora.open_corpus(replace(text.config(), corpus=str(path)))


def preview(corpus: Corpus) -> None:
    """What the tokenizer made of the beginning of the text; or the first images."""
    if corpus.row_size:
        return preview_images(corpus)
    if corpus.reads:
        return preview_sequences(corpus, corpus.reads)
    vocabulary = corpus.vocabulary
    st.code(" ".join(vocabulary.display(i) for i in corpus.train[:48].tolist()), language=None, wrap_lines=True)
    own = len(vocabulary) - len(SPECIALS)
    unknown, valid = unknown_share(corpus.train[:10_000_000]), unknown_share(corpus.valid)
    shares = f"{unknown:.1%} of the text is \\<unk\\>, {valid:.1%} of its validation part"
    st.caption(
        f"How the text begins, as tokens. {len(corpus.train):,} training tokens, {own:,} in the vocabulary"
        + (f", {shares}." if unknown or valid else ".")
    )
    if warning := unknown_warning(valid):
        st.caption(f":material/warning: {plain(warning[0].upper() + warning[1:])}. Keep more words.")


# ---- the budget ------------------------------------------------------------------------------------------------------


def choose_budget() -> tuple[float, str]:
    """An amount, and whether it is of "seconds", "epochs" or "steps"."""
    budget = st.segmented_control(
        "budget", [*BUDGETS, OTHER], default="30 seconds", required=True, key="budget", persist_state="session"
    )
    if budget in BUDGETS:
        return BUDGETS[budget], "seconds"
    first, second = st.columns([1, 1.4], vertical_alignment="bottom")
    unit = second.selectbox(
        "of", ["epochs", "minutes", "steps"], key="budget_unit", persist_state="session", label_visibility="collapsed"
    )
    low, start = (1.0, {"epochs": 10.0, "minutes": 10.0, "steps": 2000.0}[unit])
    amount = first.number_input("how many", low, 1e7, start, format="%g", key=f"budget_{unit}", persist_state="session")
    return (amount * 60, "seconds") if unit == "minutes" else (amount, unit)


@st.cache_data(max_entries=64, show_spinner="Timing a step…", hash_funcs={Corpus: lambda corpus: corpus.sha256})
def costs(corpus: Corpus, model: ModelConfig, train: TrainConfig) -> tuple[float, float]:
    """As ``budget.costs``, measured once."""
    return budget.costs(corpus, model, train)
