"""What to train, on what and for how long: the form of the Train page."""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import streamlit as st
import torch
from streamlit.runtime.uploaded_file_manager import UploadedFile

from lstmviz.card import unknown_warning
from lstmviz.cells import CELLS
from lstmviz.config import ADAPTIVE_FROM, Level, ModelConfig, TrainConfig
from lstmviz.data import corpora
from lstmviz.data.grammars import GRAMMARS
from lstmviz.data.vocabulary import SPECIALS, UNK, Corpus, plain, well_formed
from lstmviz.model import LanguageModel, parameter_count
from lstmviz.training.loop import Trainer, check_memory, evaluate, memory_needed, unknown_share
from lstmviz.training.status import reason
from lstmviz.training.sweep import SweepConfig, check_machine
from lstmviz.ui import trainings
from lstmviz.ui.cell_card import cell_card

OWN = "a text of your own"
ALL = f"all {len(CELLS)}"
BUDGETS = {"30 seconds": 30, "5 minutes": 300}
OTHER = "other"
PROBES = {
    "brackets": "(x(xx(x(x)x))(x)x)",
    # Of two sentences, so that what is hidden changes.
    "agreement": "the key near the cabinets is lost . ⏎ the dogs behind the box are old .",
    "recall": "bz?bxyx?bzyxyxz?b⏎dx?dzy?dxyzzyx?d",
}
TRIED_MOST = 10**9  # bytes that a step may take which is timed here, in the server
EVALUATING = 0.15  # share of a budget that goes into evaluations, where the validation part is not too long for that


@dataclass(frozen=True)
class Text:
    """A corpus, and how it is cut into tokens.

    Args:
        name: of a grammar or a kept text, or ``OWN``.
        sha256: of a kept text; another text of that name is another text.
        own: the text itself, where it is the person's own.
        level, max_words, min_count: as in TrainConfig.
    """

    name: str
    sha256: str = ""
    own: str | None = None
    level: Level = "char"
    max_words: int | None = None
    min_count: int = 1

    @property
    def path(self) -> str:
        """What TrainConfig calls its corpus."""
        return str(corpora.kept(trainings.TEXTS).get(self.name, self.name))


def form() -> None:
    """Everything a training needs, with sensible values in place."""
    st.markdown("**train a model**")
    text = choose_text()
    if text is None:
        return
    small = text.name in GRAMMARS
    cells = st.multiselect(
        "cells", [*CELLS, ALL], ["lstm"], key="cells", persist_state="session",
        help="Several are trained as a line-up.",
        select_all=False,  # Enter would take all that match
    )  # fmt: skip
    if ALL in cells:
        cells = list(CELLS)
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small"):
        same = st.toggle(
            "equal parameters", True, key="same", persist_state="session", disabled=len(cells) < 2,
            help="Each gets as many units as its whole model can have with at most the parameters of the first.",
        )  # fmt: skip
        about = st.popover("equations", help="What the cell computes, where it comes from, and its parameters")
    choices = [*BUDGETS, OTHER]
    budget = st.segmented_control(
        "budget", choices, default="30 seconds", required=True, key="budget", persist_state="session"
    )
    amount, unit = (BUDGETS[budget], "seconds") if budget in BUDGETS else other_budget()
    action = st.container()
    probe = st.text_input(
        "probe sentence, whose gates are kept as they learn",
        PROBES.get(text.name, ""),
        key=f"probe_{text.name}",
        persist_state="session",
    )
    with st.expander("more"):
        units = st.number_input(
            "units a layer", 1, 10_000_000, 24 if small else 128, key=f"units_{text.name}", persist_state="session"
        )
        layers = st.number_input("layers", 1, 8, 1, key="layers", persist_state="session")
        embedding = st.number_input(
            "embedding", 1, 4096, 12 if small else 64, key=f"embedding_{text.name}", persist_state="session"
        )
        dropout = st.number_input("dropout", 0.0, 0.9, 0.0, 0.05, key="dropout", persist_state="session")
        bptt = st.number_input("BPTT window (tokens)", 1, 1000, 32, key="bptt", persist_state="session")
        batch = st.number_input("batch (streams)", 1, 1024, 32, key="batch", persist_state="session")
        rate = st.number_input("learning rate", 1e-6, 10.0, 5e-3, format="%g", key="rate", persist_state="session")
        clip = st.number_input("clip the gradient's norm at", 1e-3, 1e3, 1.0, key="clip", persist_state="session")
        seed = st.number_input("seed", 0, 2**31, 0, key="seed", persist_state="session")
        seeds = st.number_input(
            "seeds, from that one on",
            1,
            100,
            1,
            key="seeds",
            persist_state="session",
            help="Several are a line-up, too.",
        )
        begins = st.selectbox(
            "the forget gate begins", ["as drawn", "open", "chrono"], key="begins", persist_state="session",
            disabled=not any(CELLS[cell].keeping for cell in cells),
            help="As drawn at random; with a bias of 1, open; or chrono, so that the units keep their memory for "
            "anything up to a BPTT window.",
        )  # fmt: skip
        adaptive = st.toggle(
            "adaptive softmax",
            key="adaptive",
            persist_state="session",
            help=f"Trains faster where there are {ADAPTIVE_FROM:,} words or more.",
        )
    if not cells:
        action.caption("Choose a cell, or several to compare them.")
        return
    try:
        train = TrainConfig(
            text.path,
            level=text.level,
            max_words=text.max_words,
            min_count=text.min_count,
            bptt=int(bptt),
            batch_size=int(batch),
            learning_rate=float(rate),
            clip_norm=float(clip),
            seed=int(seed),
        )
        corpus = read_corpus(text)
        sizes = {
            "embedding_size": int(embedding),
            "hidden_size": int(units),
            "dropout": float(dropout),
            "adaptive_softmax": adaptive,
            **({"forget_bias": 1.0} if begins == "open" else {}),
            **({"chrono": max(3, int(bptt))} if begins == "chrono" else {}),
        }
        lists = (int(layers),), (int(bptt),), tuple(range(int(seed), int(seed) + int(seeds)))
        config = SweepConfig(train, sizes, tuple(cells), *lists, probe=probe)
        if same and len(cells) > 1:
            first = next(iter(config.members(len(corpus.vocabulary)).values()))
            allowed = parameter_count(first.model, len(corpus.vocabulary))
            narrowed = {name: value for name, value in sizes.items() if name != "hidden_size"}
            config = replace(config, model=narrowed, parameters=allowed)
        models = check(config, corpus)
        with about:
            for model in models:
                cell_card(model.cell, model.embedding_size, model.hidden_size)
        measured = [costs(corpus, model, train) for model in models]
    except (ValueError, OSError, RuntimeError) as error:  # torch says with the last that the memory is used up
        action.error(f"This cannot be trained: {plain(reason(error))}.")
        return
    epoch = max(1, (len(corpus.train) // train.batch_size - 1) // train.bptt)
    step, evaluation = (sum(cost) / len(measured) for cost in zip(*measured, strict=True))
    train = replace(train, **plan(amount, unit, step, evaluation, epoch))
    config = replace(config, train=train)
    preview(corpus)
    with action:
        epochs = train.steps / epoch
        each = step * train.steps + evaluation * train.steps / train.eval_every
        length = f"about {train.steps:,} steps or {epochs:,.{0 if epochs > 20 else 1}f} epochs"
        if config.count == 1:
            takes = f"; it takes about {duration(each)}" if unit != "seconds" else ""
            st.caption(
                f"A step costs {1000 * step:.1f} ms, so this is {length}, with an evaluation every "
                f"{train.eval_every:,} steps{takes}. {parameter_count(models[0], len(corpus.vocabulary)):,} parameters."
            )
        else:
            whole = each * config.count / min(config.count, os.cpu_count() or 1)
            if config.parameters:
                widths = ", ".join(f"{model.cell} {model.hidden_size:,} units" for model in models)
                said = f"At most {config.parameters:,} parameters each: {widths}."
            else:
                counts = [parameter_count(model, len(corpus.vocabulary)) for model in models]
                pairs = zip(models, counts, strict=True)
                said = ", ".join(f"{model.cell} {count:,} parameters" for model, count in pairs) + "."
            st.caption(f"{config.count} trainings of {length} each, in all about {duration(whole)}. {said}")
        read = corpus.vocabulary.encode(probe)
        if read and set(read) == {corpus.vocabulary.ids[UNK]}:
            st.caption("The probe sentence has nothing that is in the vocabulary: its gates will tell little.")
        if not trainings.room():
            st.caption("As many trainings run as this machine has cores: the next one will wait for its turn.")
        several = f" {len(cells)} cells" if len(config.seeds) == 1 else f" {config.count} models"
        if st.button(f"Train{several if config.count > 1 else ''}", type="primary", width="stretch", key="train"):
            start(config, corpus, text)


def check(config: SweepConfig, corpus: Corpus) -> list[ModelConfig]:
    """The models of a line-up, or of a single training, one a cell.

    Raises:
        ValueError: one of them, or all that train at once, are more than the machine has, or than the page tries out.
    """
    vocab_size = len(corpus.vocabulary)
    members = config.members(vocab_size)
    models: list[ModelConfig] = []
    for member in members.values():
        if member.model in models:  # another seed
            continue
        check_memory(member.model, vocab_size, member.train)
        if memory_needed(member.model, vocab_size, member.train) > TRIED_MOST:
            raise ValueError(
                f"this model has {parameter_count(member.model, vocab_size):,} parameters and is too large to be tried "
                "out in the page; choose fewer units or layers, a shorter window or a smaller batch, or train it with "
                "python -m lstmviz train"
            )
        models.append(member.model)
    if config.count > 1:
        check_machine(members, vocab_size, min(config.count, os.cpu_count() or 1))
    return models


def start(config: SweepConfig, corpus: Corpus, text: Text) -> None:
    """Begin a training or a line-up and show it."""
    name = "text" if text.own else text.name
    try:
        if config.count > 1:
            lineup = trainings.begin_lineup(config, len(corpus.vocabulary), f"{name}-lineup", text.own)
            run = lineup.runs()[0]
        else:
            (member,) = config.members(len(corpus.vocabulary)).values()
            run = trainings.begin(member, f"{name}-{config.cells[0]}", text.own)
    except (ValueError, OSError) as error:
        st.error(f"The training could not be started: {plain(reason(error))}.")
        return
    st.session_state["run"], st.session_state["arrived"] = run.name, time.monotonic()
    st.session_state["table_key"] = st.session_state.get("table_key", 0) + 1
    st.rerun()


def duration(seconds: float) -> str:
    """A time as a person says it."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    if minutes < 90:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min" if minutes < 48 * 60 else f"{minutes // 1440:,} days"


# ---- the text --------------------------------------------------------------------------------------------------------


def choose_text() -> Text | None:
    """The menu of texts and how the chosen one is cut; None while there is none that can be used."""
    fetched = corpora.kept(trainings.TEXTS)
    missing = {name: source for name, source in corpora.SOURCES.items() if name not in fetched}

    def label(name: str) -> str:
        return f"{missing[name].title} (fetch {missing[name].size / 1e6:.1f} MB)" if name in missing else name

    name = st.selectbox(
        "corpus", [*GRAMMARS, *fetched, *missing, OWN], format_func=label, key="corpus", persist_state="session"
    )
    if name in GRAMMARS:
        return Text(name)
    if name in missing:
        return offer_to_fetch(name)
    own = own_text() if name == OWN else None
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
    sha256 = corpora.about(fetched[name])["sha256"] if own is None else ""
    if level == "char":
        return Text(name, sha256, own)
    first, second = st.columns(2)
    words = first.number_input("commonest words kept", 10, 500_000, 10_000, 1000, key="words", persist_state="session")
    times = second.number_input("that occur so often", 1, 1000, 1, key="times", persist_state="session")
    return Text(name, sha256, own, level, int(words), int(times))


def offer_to_fetch(name: str) -> None:
    """A button that fetches a text, with its progress."""
    source = corpora.SOURCES[name]
    st.caption(f"{source.title} is not on this machine yet. Licence: {source.licence}.")
    if not st.button(f"Fetch {source.size / 1e6:.1f} MB", key="fetch", width="stretch"):
        return
    bar = st.progress(0.0, "asking for it…")
    try:
        corpora.fetch_text(
            name,
            trainings.TEXTS,
            lambda done, total: bar.progress(done / max(1, total), f"{done / 1e6:.1f} of {total / 1e6:.1f} MB"),
        )
    except (ValueError, OSError) as error:
        bar.empty()
        st.error(f"{plain(reason(error))}.")
        return
    st.rerun()


def own_text() -> str | None:
    """A text that is pasted or uploaded, and the offer to keep it; None while there is none."""
    upload = st.file_uploader("a UTF-8 text file", type=["txt", "md", "text"], key="text_file")
    text = well_formed(st.text_area("or paste a text", key="text_pasted", persist_state="session", height=120) or "")
    if upload is not None:
        try:
            text = read_upload(upload)
        except ValueError as error:
            st.error(f"{error}.")
            return None
    if not text.strip():
        st.caption(
            "Paste or upload a text to train on; a few thousand characters at least. A larger one than 32 MB: "
            "`python -m lstmviz corpus import FILE`."
        )
        return None
    with st.popover("keep this text in the menu", width="stretch"):
        st.text_input("name", "my-text", key="text_name")
        st.button("keep", on_click=keep_text, key="text_keep")
    if problem := st.session_state.pop("text_problem", None):
        st.error(f"It was not kept: {plain(problem)}.")
    return text


def read_upload(file: UploadedFile) -> str:
    """An uploaded file as text.

    Raises:
        ValueError: it is none.
    """
    try:
        return well_formed(file.getvalue().decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ValueError(f"The file is not UTF-8 text (byte {error.start}); save it as UTF-8 first") from error


def keep_text() -> None:
    """Import the text as it stands now and choose it; only a callback, which runs before the menu, may do that."""
    name, file = st.session_state["text_name"], st.session_state["text_file"]
    try:
        trainings.keep(read_upload(file) if file else well_formed(st.session_state["text_pasted"]), name)
        st.session_state["corpus"] = name
    except (ValueError, OSError) as error:
        st.session_state["text_problem"] = reason(error)


@st.cache_resource(max_entries=4, show_spinner="Reading the text…")
def read_corpus(text: Text) -> Corpus:
    """The corpus, read once."""
    config = TrainConfig(text.path, level=text.level, max_words=text.max_words, min_count=text.min_count)
    if text.own is None:
        return corpora.open_corpus(config)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "text.txt")
        path.write_text(text.own, encoding="utf-8")
        return corpora.open_corpus(replace(config, corpus=str(path)))


def preview(corpus: Corpus) -> None:
    """What the tokenizer made of the beginning of the text."""
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


def other_budget() -> tuple[float, str]:
    """An amount and its unit."""
    first, second = st.columns([1, 1.4], vertical_alignment="bottom")
    unit = second.selectbox(
        "of", ["epochs", "minutes", "steps"], key="budget_unit", persist_state="session", label_visibility="collapsed"
    )
    low, start = (1.0, {"epochs": 10.0, "minutes": 10.0, "steps": 2000.0}[unit])
    amount = first.number_input("how many", low, 1e7, start, format="%g", key=f"budget_{unit}", persist_state="session")
    return (amount * 60, "seconds") if unit == "minutes" else (amount, unit)


def plan(amount: float, unit: str, step: float, evaluation: float, epoch: int) -> dict[str, int]:
    """How many steps a budget is, and how many of them between two evaluations.

    Args:
        amount, unit: the budget, in "seconds", "epochs" or "steps".
        step, evaluation: what they cost, in seconds.
        epoch: its number of steps.
    """
    steps = {"seconds": amount / step, "epochs": amount * epoch, "steps": amount}[unit]
    seconds = steps * step
    # Often enough that the slider over training time has something to slide over and the first gates come soon.
    evaluations = max(2, min(seconds / 4 + 20, EVALUATING * seconds / evaluation))
    if unit == "seconds":
        steps *= max(0.3, 0.95 - evaluations * evaluation / seconds)
        steps = max(20, steps)
    steps = max(1, round(steps))
    return {"steps": steps, "eval_every": max(1, round(steps / evaluations))}


@st.cache_data(max_entries=64, show_spinner="Timing a step…", hash_funcs={Corpus: lambda corpus: corpus.sha256})
def costs(corpus: Corpus, model: ModelConfig, train: TrainConfig) -> tuple[float, float]:
    """What a step and an evaluation cost on this machine, measured, in seconds."""
    state = torch.get_rng_state()
    train = replace(train, steps=10**6, eval_every=10**6)
    trainer = Trainer(LanguageModel(model, len(corpus.vocabulary)), corpus, train)
    trainer.take_step()
    begun, count = time.perf_counter(), 0
    while count < 3 or time.perf_counter() - begun < 0.3:
        trainer.take_step()
        count += 1
    step = (time.perf_counter() - begun) / count
    sample = corpus.valid[: 257 * train.batch_size]
    begun = time.perf_counter()
    evaluate(trainer.model, sample, train.batch_size)
    evaluation = (time.perf_counter() - begun) * len(corpus.valid) / len(sample)
    torch.set_rng_state(state)
    return step, evaluation
