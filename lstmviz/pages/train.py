"""Train: choose a text, a cell and a budget, and watch the model learn."""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd
import streamlit as st
import torch

from lstmviz.cells import CELLS
from lstmviz.charts import runs_figure
from lstmviz.checkpoint import TrainConfig
from lstmviz.grammars import GRAMMARS
from lstmviz.model import LanguageModel, ModelConfig, parameter_count, perplexity
from lstmviz.text import Corpus, Level, plain
from lstmviz.training.loop import Trainer
from lstmviz.training.run import LIVING, Run, RunConfig, open_corpus
from lstmviz.ui import models, trainings
from lstmviz.ui.gate_map import gate_map
from lstmviz.ui.reading import Reading, drawn_roles, payload, telling_unit

OWN = "a text of your own"
BUDGETS = {"30 seconds": 30, "5 minutes": 300, "30 minutes": 1800}
PROBES = {"brackets": "(x(xx(x(x)x))(x)x)", "agreement": "the key near the cabinets with the dogs is lost ."}


def page() -> None:
    """The form at the left, the trainings at the right."""
    left, right = st.columns([1, 2.6], gap="medium")
    with left, st.container(border=True):
        form()
    with right:
        every = trainings.every()
        if not every:
            st.info("Nothing has been trained yet. Press Train at the left: the curves appear here, and stay.")
            return
        living = any((status := run.status()) is None or status.state in LIVING for run in every)
        st.fragment(live, run_every=0.5 if living else None)(living)


def form() -> None:
    """Everything a training needs, with sensible values in place."""
    st.markdown("**train a model**")
    source = st.selectbox("corpus", [*GRAMMARS, OWN], key="corpus")
    text, level, words = own_text() if source == OWN else (None, "char", None)
    if source == OWN and text is None:
        return
    cell = st.selectbox("cell", list(CELLS), index=list(CELLS).index("lstm"), key="cell")
    budget = st.segmented_control("budget", list(BUDGETS), default="30 seconds", required=True, key="budget")
    with st.expander("more"):
        units = st.number_input("units a layer", 1, 65_536, 24 if source in GRAMMARS else 128, key=f"units_{source}")
        layers = st.number_input("layers", 1, 8, 1, key="layers")
        embedding = st.number_input("embedding", 1, 4096, 12 if source in GRAMMARS else 64, key=f"embedding_{source}")
        bptt = st.number_input("BPTT window (tokens)", 1, 1000, 32, key="bptt")
        batch = st.number_input("batch (streams)", 1, 1024, 32, key="batch")
        rate = st.number_input("learning rate", 1e-6, 10.0, 5e-3, format="%g", key="rate")
        clip = st.number_input("clip the gradient's norm at", 1e-3, 1e3, 1.0, key="clip")
        seed = st.number_input("seed", 0, 2**31, 0, key="seed")
    probe = st.text_input(
        "probe sentence, whose gates are kept as they learn", PROBES.get(source, ""), key=f"probe_{source}"
    )
    try:
        train = TrainConfig(
            source if text is None else "text",
            level=level,
            max_words=words,
            bptt=int(bptt),
            batch_size=int(batch),
            learning_rate=float(rate),
            clip_norm=float(clip),
            seed=int(seed),
        )
        corpus = read_corpus(source, text, level, words)
        model = ModelConfig(len(corpus.vocabulary), cell, int(embedding), int(units), int(layers))
        parameters = parameter_count(model)
        if parameters > 50_000_000:
            raise ValueError(
                f"this model has {parameters:,} parameters, {parameters * 16 / 2**30:.1f} GB with Adam's averages; "
                "choose fewer units or layers"
            )
        seconds = step_seconds(corpus, model, train)
    except ValueError as error:
        st.error(f"This cannot be trained: {plain(str(error))}.")
        return
    steps = max(20, int(0.85 * BUDGETS[budget] / seconds))
    unknown = (corpus.train == corpus.vocabulary.ids["<unk>"]).float().mean().item()
    st.caption(
        f"{len(corpus.train):,} training tokens, {len(corpus.vocabulary):,} in the vocabulary"
        + (f", {unknown:.1%} of the text is \\<unk\\>" if unknown else "")
        + f"; {parameters:,} parameters. A step costs {1000 * seconds:.1f} ms, so {budget} are about {steps:,} steps."
    )
    if not trainings.room():
        st.caption("As many trainings run as this machine has cores: the next one will wait for its turn.")
    if st.button("Train", type="primary", width="stretch", key="train"):
        options = {name: getattr(model, name) for name in ("cell", "embedding_size", "hidden_size", "num_layers")}
        # Often enough that the slider over training time has something to slide over, and the first gates come soon.
        often = max(1, min(steps // 20, int(4 / seconds)))
        config = RunConfig(replace(train, steps=steps, eval_every=often), options, probe)
        try:
            run = trainings.begin(config, f"{source if text is None else 'text'}-{cell}", text)
        except (ValueError, OSError) as error:
            st.error(f"The training could not be started: {plain(str(error))}.")
            return
        st.session_state["run"] = run.folder.name
        st.session_state["table_key"] = st.session_state.get("table_key", 0) + 1
        st.rerun()


def own_text() -> tuple[str | None, Level, int | None]:
    """A text that is pasted or uploaded, with how it is to be cut; None while there is none that can be used."""
    upload = st.file_uploader("a UTF-8 text file", type=["txt", "md", "text"], key="text_file")
    text = st.text_area("or paste a text", key="text_pasted", height=120)
    if upload is not None:
        try:
            text = upload.getvalue().decode("utf-8-sig").replace("\r\n", "\n")
        except UnicodeDecodeError as error:
            st.error(f"The file is not UTF-8 text (byte {error.start}); save it as UTF-8 first.")
            return None, "char", None
    levels: list[Level] = ["char", "word"]
    level: Level = st.segmented_control("level", levels, default="char", required=True, key="level")
    words = st.number_input("keep the commonest words", 10, 100_000, 5000, key="words") if level == "word" else None
    if not text.strip():
        st.caption("Paste or upload a text to train on; a few thousand characters at least.")
        return None, level, None
    return text, level, int(words) if words else None


@st.cache_resource(max_entries=4, show_spinner="Reading the text…")
def read_corpus(source: str, text: str | None, level: Level, words: int | None) -> Corpus:
    """The corpus, read once."""
    if text is None:
        return open_corpus(TrainConfig(source))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "text.txt")
        path.write_text(text, encoding="utf-8")
        return open_corpus(TrainConfig(str(path), level=level, max_words=words))


@st.cache_data(max_entries=64, show_spinner="Timing a step…", hash_funcs={Corpus: lambda corpus: corpus.sha256})
def step_seconds(corpus: Corpus, model: ModelConfig, train: TrainConfig) -> float:
    """What a step costs on this machine, measured."""
    state = torch.get_rng_state()
    trainer = Trainer(LanguageModel(model), corpus, replace(train, steps=10**6, eval_every=10**6))
    trainer.take_step()
    begun = time.perf_counter()
    count = 0
    while count < 3 or time.perf_counter() - begun < 0.3:
        trainer.take_step()
        count += 1
    torch.set_rng_state(state)
    return (time.perf_counter() - begun) / count


def table(every: list[Run]) -> list[Run]:
    """All trainings; those selected are drawn."""
    rows = []
    for run in every:
        status, (records, _), config = run.status(), run.metrics(), run.config()
        losses = [record["valid_nll"] for record in records if record["valid_nll"] is not None]
        rows.append(
            {
                "run": run.folder.name,
                "state": status.state if status else "starting",
                "step": f"{status.step if status else 0:,} / {config.train.steps:,}",
                "best perplexity": perplexity(min(losses)) if losses else None,
                "tokens/s": round(records[-1]["tokens_per_second"]) if records else None,
                "seconds": records[-1]["seconds"] if records else None,
            }
        )
    names = [row["run"] for row in rows]
    default = names.index(st.session_state["run"]) if st.session_state.get("run") in names else 0
    picked = st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        on_select="rerun",
        selection_mode="multi-row",
        key=f"runs_{st.session_state.get('table_key', 0)}",
        height=min(36 * (len(rows) + 1) + 2, 190),
        column_config={
            "best perplexity": st.column_config.NumberColumn(format="%.2f"),
            "tokens/s": st.column_config.NumberColumn(format="localized"),
            "seconds": st.column_config.NumberColumn(format="%.0f"),
        },
    )
    chosen = [every[row] for row in picked.selection.rows] or [every[default]]
    if len(chosen) == 1:
        st.session_state["run"] = chosen[0].folder.name
    return chosen


def live(was_living: bool) -> None:
    """The table of trainings, and what moves while the chosen ones learn."""
    every = trainings.every()
    chosen = table(every)
    run = chosen[0]
    status, config, (records, _) = run.status(), run.config(), run.metrics()
    state = status.state if status else "starting"
    steer(run, state)
    if status and status.message:
        st.error(f"It failed: {plain(status.message)}. The best weights until then are kept.")
    done = status.step if status else 0
    left = records[-1]["seconds"] / max(1, records[-1]["step"]) * (config.train.steps - done) if records else None
    words = f"{state} · step {done:,} of {config.train.steps:,}"
    if records:
        words += f" · loss {records[-1]['train_nll']:.3f} · {records[-1]['tokens_per_second']:,.0f} tokens/s"
    if left and state == "running":
        words += f" · {left:.0f} s left"
    st.progress(min(1.0, done / config.train.steps), words)
    for remark in health(records, config.train.clip_norm):
        st.caption(remark)
    with st.container(horizontal=True, vertical_alignment="center"):
        x = st.segmented_control(
            "axis",
            ["step", "epoch", "seconds"],
            default="step",
            required=True,
            key="axis",
            label_visibility="collapsed",
        )
        log = st.toggle("logarithmic", key="log")
    everything = {other.folder.name: other.metrics()[0] for other in chosen}
    dark = st.context.theme.type == "dark"
    if records:
        figure = runs_figure(everything, config.train.clip_norm, x=x, log=log, dark=dark)
        st.plotly_chart(figure, key="curves", theme=None, config={"displayModeBar": False})
    if samples := [(record["step"], record["sample"]) for record in records if "sample" in record]:
        step, sample = samples[-1]
        st.caption(f"What it writes after {step:,} steps:")
        st.code(sample, language=None, wrap_lines=True)
    gates(run)
    if was_living and not any((s := other.status()) is None or s.state in LIVING for other in every):
        st.rerun()  # nothing moves any more, so nothing need be asked again


def steer(run: Run, state: str) -> None:
    """Pause, resume, stop, delete: what the state allows."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{plain(run.folder.name)}**", width="stretch")
        if state == "running":
            st.button("pause", on_click=run.ask, args=("pause",), key="pause")
        if state == "paused":
            st.button("resume", on_click=run.ask, args=("resume",), key="unpause")
        if state in LIVING:
            st.button("stop", on_click=run.ask, args=("stop",), key="stop")
        if state in ("stopped", "crashed", "failed"):
            st.button("resume", on_click=trainings.start, args=(run,), key="restart")
        if (run.folder / "best.safetensors").exists() and st.button("open in Watch", key="open"):
            st.switch_page("lstmviz/pages/watch.py", query_params={"model": f"run {run.folder.name}"})
        if state not in (*LIVING, "starting"):
            with st.popover("delete"):
                st.caption("The folder with its weights and curves is removed for good.")
                st.button("delete it", on_click=trainings.delete, args=(run,), key="delete", type="primary")


def health(records: list[dict], clip_norm: float) -> list[str]:
    """What a teacher would remark, in words."""
    remarks = []
    if records and records[0]["zero_gradients"]:
        names = ", ".join(f"`{name}`" for name in records[0]["zero_gradients"])
        remarks.append(f"No gradient reaches {names} at the first step: it will not learn.")
    recent = records[-10:]
    if recent and sum(record["gradient_norm"] > clip_norm for record in recent) > len(recent) / 2:
        remarks.append("The gradient is longer than the clip threshold most of the time and is being cut down.")
    losses = [(record["valid_nll"], record["train_nll"]) for record in records if record["valid_nll"] is not None]
    if (
        len(losses) >= 4
        and all(a[0] < b[0] for a, b in zip(losses[-4:], losses[-3:], strict=False))
        and losses[-1][1] < losses[-4][1]
    ):
        remarks.append(
            "The validation loss rises while the training loss falls: the model is learning the text by heart."
        )
    return remarks


def gates(run: Run) -> None:
    """The probe sentence's gates at any moment of the training: the newest, until somebody moves the slider."""
    steps, best = run.probes(), f"run {run.folder.name}"
    if not steps or best not in models.trained():
        st.caption("The gates of the probe sentence appear after the first evaluation.")
        return
    state, key = st.session_state, f"moment {run.folder.name}"
    newest = state.get("newest", {})
    if state.get(key) in (None, newest.get(key)):  # nobody has moved it away from the newest
        state[key] = steps[-1]
    state["newest"] = {**newest, key: steps[-1]}
    step = steps[0]
    if len(steps) > 1:
        step = st.select_slider("training time: the gates of the probe sentence after so many steps", steps, key=key)
    opened = models.open_model(best)
    trace, likely, probabilities = run.probe(step)
    ids = trace["id"].values.tolist()
    pieces = [opened.checkpoint.vocabulary.tokens[i] for i in ids]
    reading = Reading(pieces, ids, 0, trace.drop_vars("id"), likely, probabilities, opened.model)
    said = state.get("probe") or {}
    chosen = said.get("selection") or {"time": len(ids) - 1, "unit": telling_unit(opened, 0), "layer": 0}
    roles = drawn_roles([str(name) for name in trace.data_vars])
    message = payload(
        opened,
        reading,
        layers=[0],
        roles=roles,
        order="index",
        selection={**chosen, "time": min(chosen["time"], len(ids) - 1)},
        held=said.get("held") or (),
        identity=f"step {step}",
    )
    gate_map(message, key="probe", height=max(420, 122 * len(roles) + 96))


page()
