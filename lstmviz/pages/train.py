"""Train: choose a text, a cell and a budget, and watch the model learn."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from statistics import median
from zipfile import BadZipFile

import numpy as np
import pandas as pd
import streamlit as st

from lstmviz.card import unknown_warning
from lstmviz.charts import runs_figure
from lstmviz.data.grammars import GRAMMARS, hidden_variable, measure
from lstmviz.data.vocabulary import plain, unknown_said
from lstmviz.explain.comparison import MOST
from lstmviz.explain.correlations import unit_correlations
from lstmviz.model import perplexity
from lstmviz.reading import Reading, telling_unit
from lstmviz.training.parallel import World
from lstmviz.training.run import Run, learned_nothing, short
from lstmviz.training.status import LIVING, Status, reason
from lstmviz.training.sweep import Sweep
from lstmviz.ui import sources, trainings
from lstmviz.ui.components import gate_map, heading, moments, moved_to
from lstmviz.ui.form import duration, form
from lstmviz.units import drawn_roles
from lstmviz.wire import payload

ANSWER_WITHIN = 15.0  # seconds after which a process that was asked to begin has said so
PLAYED_IN = 40  # pictures, from the first moment of a training to the last


def page() -> None:
    """The form at the left, the trainings at the right."""
    left, right = st.columns([1.15, 2.6], gap="medium")
    with left, st.container(border=True):
        form()
    with right:
        moving = is_moving(trainings.every())
        st.fragment(live, run_every=0.5 if moving else None)(moving)


def is_moving(every: list[Run]) -> bool:
    """Whether anything on the page changes by itself."""
    living = any((status := run.status()) is None or status.state in LIVING for run in every)
    answering = time.monotonic() - st.session_state.get("pressed", -math.inf) < ANSWER_WITHIN
    return living or answering or bool(st.session_state.get("playing"))


def table(every: list[Run]) -> list[Run]:
    """All trainings; those selected are drawn, and the members of a line-up together until some are selected."""
    rows = []
    for run in every:
        status, records = run.status(), trainings.records(run)
        losses = [record["valid_nll"] for record in records if record["valid_nll"] is not None]
        rows.append(
            {
                "run": run.name,
                "state": status.state if status else "starting",
                "done": 100 * share_done(run, status),
                "best perplexity": perplexity(min(losses)) if losses else None,
                "parameters": status.parameters if status and status.parameters else None,
                "tokens/s": round(median(record["tokens_per_second"] for record in records)) if records else None,
                "seconds": round(records[-1]["seconds"]) if records else None,
            }
        )
    names = [run.name for run in every]
    default = every[names.index(st.session_state["run"]) if st.session_state.get("run") in names else 0]
    together = any(run.lineup for run in every)
    picked = st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        on_select="rerun",
        selection_mode="multi-row",
        key=f"runs_{st.session_state.get('table_key', 0)} {' '.join(names)}",  # other rows are another table
        height=min(35 * (len(rows) + 1) + 2, 177 if together else 142),  # three rows, or four; more scroll
        placeholder="–",
        column_config={
            "run": st.column_config.TextColumn(width=min(300, 50 + 7 * max(map(len, names)))),
            "state": st.column_config.TextColumn(width=75),
            "done": st.column_config.ProgressColumn(format="%d %%", min_value=0, max_value=100, width=90),
            "best perplexity": st.column_config.NumberColumn(
                "perplexity", format="%.2f", width=75, help="the best, on the validation part"
            ),
            "parameters": st.column_config.NumberColumn(format="localized", width=85),
            "tokens/s": st.column_config.NumberColumn(format="localized", width=75, help="the median"),
            "seconds": st.column_config.NumberColumn(format="localized", width=70),
        },
    )
    chosen = [every[row] for row in picked.selection.rows]
    if len(chosen) == 1 and st.session_state.get("run") != chosen[0].name:
        st.session_state["run"], st.session_state["arrived"] = chosen[0].name, time.monotonic()
    if not chosen and default.lineup:
        return [run for run in every if run.lineup == default.lineup]
    return chosen or [default]


def share_done(run: Run, status: Status | None) -> float:
    """From 0 to 1; a training that needed fewer steps than it might have taken is done, too."""
    if status is None:
        return 0.0
    return 1.0 if status.state == "finished" else min(1.0, status.step / run.config().train.steps)


def live(was_moving: bool) -> None:
    """The table of trainings, and what moves while the chosen ones learn; before there is one, a recorded one.

    Always the same places: see ``ui.components``.
    """
    every = trainings.every()
    above, below = st.container(), st.container()
    with above:
        chosen = steered(every) if every else recorded()
    with below:
        learning(chosen)
    if was_moving != is_moving(every):
        st.rerun()  # to look again twice a second, or no longer


def recorded() -> list[Run]:
    """A training that comes with the project, to be looked at like any other but not steered."""
    run = Run(trainings.RECORDED)
    st.info("Nothing has been trained yet. Press **Train**, and you see it learn here; it stays.")
    if losses := [record["valid_nll"] for record in trainings.records(run) if record["valid_nll"] is not None]:
        config = run.config()
        st.markdown(
            f"**A recorded training** of `{config.train.corpus}`: {config.model.cell}, "
            f"{config.model.hidden_size} units, {config.train.steps:,} steps, at best perplexity "
            f"{perplexity(min(losses)):.2f}. Until you have one of your own: press play below and see its gates learn."
        )
    return [run] if losses else []


def steered(every: list[Run]) -> list[Run]:
    """The trainings that are chosen in the table; what they are called, how far they are, and what steers them."""
    rows, steering, said = (st.container() for _ in range(3))
    with rows:
        chosen = table(every)
    run, alone = chosen[0], len(chosen) == 1
    if st.session_state.get("playing") != run.name:
        st.session_state["playing"] = None
    with steering:
        if run.lineup and len({other.lineup for other in chosen}) == 1:
            steer_lineup(Sweep(run.lineup), every, together=not alone)
        if alone:
            steer(run)
    if problem := st.session_state.pop("problem", None):
        said.error(f"{plain(problem)}.")
    return chosen


def learning(chosen: list[Run]) -> None:
    """How the chosen ones learn: the curves of all, and the gates of the first."""
    said, axes, curves, below = (st.container() for _ in range(4))
    if not chosen:
        return
    run, alone = chosen[0], len(chosen) == 1
    one = len({other.lineup for other in chosen}) == 1  # then the members' own names say enough
    named = {(other.folder.name if one else other.name): other for other in chosen}
    with said:
        remarks(named)
    with axes, st.container(horizontal=True, vertical_alignment="center"):
        x = st.segmented_control(
            "axis",
            ["step", "epoch", "seconds"],
            default="step",
            required=True,
            key="axis",
            label_visibility="collapsed",
        )
        log = st.toggle("logarithmic", key="log")
        ready = [str(sources.Trained(other.name)) for other in chosen if (other.folder / "best.safetensors").exists()][
            :MOST
        ]
        if len(ready) > 1:
            count = "" if len(ready) == len(chosen) else f"{len(ready)} of {len(chosen)} "
            if st.button(f"open {count}in Compare", key="compare"):
                st.switch_page("lstmviz/pages/compare.py", query_params={"models": ready})
    everything = {name: trainings.records(other) for name, other in named.items()}
    with curves:
        if any(everything.values()):
            dark = st.context.theme.type == "dark"
            figure = runs_figure(everything, run.config().train.clip_norm, x=x, log=log, dark=dark)
            with st.container(key="figures"):
                st.plotly_chart(figure, key="curves", theme=None, config={"displayModeBar": False})
            shares = {records[-1].get("valid_unknown", 0) for records in everything.values() if records}
            unknown = f" (its text has {plain(unknown_said(max(shares)))})" if any(shares) else ""
            st.caption(
                f"With dots: the validation loss{unknown}. Dotted: the training loss, averaged; pale: as it is. "
                "Dashed, beside the gradient's norm: where it is clipped."
            )
        if not alone:
            whose = plain(run.folder.name)
            st.caption(f"Below, the gates of **{whose}**. Select another training above to see its own.")
    with below:
        gates(run)


def attempt(action: Callable[..., object], *arguments: object) -> None:
    """Do what a button says; the page says why where that cannot be done."""
    st.session_state["pressed"] = time.monotonic()
    if action is trainings.start:
        st.session_state["arrived"] = st.session_state["pressed"]
    try:
        action(*arguments)
    except (OSError, ValueError) as error:
        st.session_state["problem"] = reason(error)


def steer_lineup(lineup: Sweep, every: list[Run], *, together: bool) -> None:
    """Stop, resume and delete all members of a line-up; and how far they are, where they are shown together."""
    status = lineup.status()
    state = status.state if status else "starting"
    members = [(run, run.status()) for run in every if run.lineup == lineup.folder]
    finished = sum(status is not None and status.state == "finished" for _, status in members)
    with st.container(horizontal=True, vertical_alignment="center"):
        if together:
            heading(f"line-up {lineup.folder.name}", st.session_state.get("arrived"), key="heading")
        else:
            st.markdown(f"line-up **{plain(lineup.folder.name)}**", width="stretch")
        if state in LIVING and (lineup.folder / "status.json").exists():
            st.button("stop all", on_click=attempt, args=(lineup.stop,), key="stop_all")
        elif state not in LIVING and finished < len(members):
            st.button("resume all", on_click=attempt, args=(trainings.start, lineup), key="restart_all")
        if state not in LIVING:
            with st.popover("delete all", key=f"ask {lineup.folder.name}"):  # another one's is another, and closed
                st.caption(f"The folder of {plain(lineup.folder.name)}, with all its members, is removed for good.")
                st.button("delete them", on_click=attempt, args=(trainings.delete, lineup), key="delete_all")
    if together:
        done = sum(share_done(run, status) for run, status in members) / len(members)
        st.progress(done, f"{state} · {finished} of {len(members)} finished")


def steer(run: Run) -> None:
    """Pause, resume, stop, delete: what the state allows; and how far it is."""
    status = run.status()
    state, several = (status.state, status.processes) if status else ("starting", 1)
    with st.container(horizontal=True, vertical_alignment="center"):
        heading(run.folder.name, st.session_state.get("arrived"), key="heading")
        if state == "running":
            st.button("pause", on_click=attempt, args=(run.ask, "pause"), key="pause")
        if state == "paused":
            st.button("resume", on_click=attempt, args=(run.ask, "resume"), key="unpause")
        if state in LIVING and (run.folder / "status.json").exists():  # a member that waits has no process yet
            st.button("stop", on_click=attempt, args=(run.ask, "stop"), key="stop")
        if state in ("stopped", "crashed", "failed") and several == 1:
            st.button("resume", on_click=attempt, args=(trainings.start, run), key="restart")
        if (run.folder / "best.safetensors").exists() and st.button("open in Watch", key="open"):
            st.switch_page("lstmviz/pages/watch.py", query_params={"model": str(sources.Trained(run.name))})
        if state not in LIVING and not run.lineup:
            with st.popover("delete", key=f"ask {run.name}"):  # another one's is another, and closed
                st.caption(f"The folder of {plain(run.name)}, with its weights and curves, is removed for good.")
                st.button("delete it", on_click=attempt, args=(trainings.delete, run), key="delete")
    if state in ("stopped", "crashed", "failed") and several > 1:
        command = f"{World(size=several).command} resume runs/{run.name}"
        st.caption(f"{several} processes trained it; `{command}` goes on with it.")
    st.progress(share_done(run, status), standing(run, status))


def standing(run: Run, status: Status | None) -> str:
    """How a training stands, in one line."""
    if status is None:
        return "starting"
    records, steps = trainings.records(run), run.config().train.steps
    words = f"{status.state} · step {status.step:,} of {steps:,}"
    if status.state == "finished" and status.step < steps:
        words = f"finished after {status.step:,} of {steps:,} steps: its validation loss fell no further"
    if records:
        last = records[-1]
        words += f" · loss {short(last['train_nll'], 3)} · {last['tokens_per_second']:,.0f} tokens/s"
        if status.state == "running" and status.step >= steps:
            words += " · reckoning the exact figures of the best weights"
        elif status.state == "running":
            words += f" · {duration(last['seconds'] / max(1, last['step']) * (steps - status.step))} left"
    return words


def remarks(named: dict[str, Run]) -> None:
    """What went wrong in the trainings, and what a teacher would remark."""
    for name, run in named.items():
        who = f"**{plain(name)}**: " if len(named) > 1 else ""
        status, records = run.status(), trainings.records(run)
        if status and status.state == "failed":
            best = (run.folder / "best.safetensors").exists()
            kept = (
                "The best weights until then are kept." if best else "It has left no weights: it was never evaluated."
            )
            st.error(f"{who}It failed: {plain(status.message)}. {kept}")
        elif status and status.message and status.state in ("stopped", "crashed"):
            st.error(f"{who}It was not resumed: {plain(status.message)}.")
        if nothing := learned_nothing(records):
            so_far = "" if status and status.state == "finished" else "so far "
            said = f"{so_far}{nothing}."
            st.warning(who + said[0].upper() + said[1:])
        for remark in health(records, run.config().train.clip_norm):
            st.caption(who + remark)


def health(records: list[dict], clip_norm: float) -> list[str]:
    """What a teacher would remark, in words."""
    remarks = []
    if records and records[0]["zero_gradients"]:
        names = [f"`{name}`" for name in records[0]["zero_gradients"]]
        they = "they" if len(names) > 1 else "it"
        remarks.append(f"No gradient reaches {', '.join(names)} at the first step: {they} will not learn.")
    if warning := unknown_warning(records[-1].get("valid_unknown", 0) if records else 0):
        remarks.append(f"In the validation part, {plain(warning)}.")
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
    slider, picture, sample = (st.container() for _ in range(3))
    steps, best = run.probes(), run.folder / "best.safetensors"
    if not steps or not best.exists():
        with picture:
            gate_map(
                b"", key="probe", notes=[("note", "The gates of the probe sentence appear after the first evaluation.")]
            )
        return
    with slider:
        step = moment(run, steps)
    with picture:
        probe(run, step)
    samples = [(record["step"], record["sample"]) for record in trainings.records(run) if "sample" in record]
    if earlier := [sample for sample in samples if sample[0] <= step]:
        at, text = earlier[-1]
        with sample:
            st.caption(f"What it writes after {at:,} steps:")
            st.code(text, language=None, wrap_lines=True)


def probe(run: Run, step: int) -> None:
    """The map of the probe sentence at one moment, or why there is none."""
    try:
        opened = sources.open_path(run.folder / "best.safetensors", run.name)
        seen = run.probe(step)
    except (ValueError, OSError, KeyError, BadZipFile) as error:
        gate_map(b"", key="probe", notes=[("note", f"The gates after {step:,} steps cannot be shown: {error}.")])
        return
    ids, trace = seen.ids, seen.trace
    pieces = [opened.checkpoint.vocabulary.tokens[i] for i in ids]
    reading = Reading(pieces, ids, 0, trace, seen.likely, seen.probabilities, opened.model)
    said = st.session_state.get("probe") or {}
    chosen = said.get("selection") or {"time": len(ids) - 1, "unit": telling_unit(opened, 0), "layer": 0}
    chosen = {**chosen, "time": min(chosen["time"], len(ids) - 1)}
    if not all(np.isfinite(values).all() for values in trace.values()):
        why = f"After {step:,} steps not all gates and states were finite numbers: there is nothing to draw."
        gate_map(b"", key="probe", notes=[("note", why)])
        return
    grammar = opened.checkpoint.corpus_name
    said_so = follows(reading, grammar, chosen["layer"], chosen["unit"]) if grammar in GRAMMARS else ""
    roles = drawn_roles(opened.checkpoint.model.cell, trace)
    message = payload(
        opened,
        reading,
        layers=[0],
        roles=roles,
        order="index",
        selection=chosen,
        held=said.get("held") or (),
        identity=f"step {step}",
        name=f"{run.name} after {step:,} steps",
    )
    height = max(420, 122 * len(roles) + 96)
    gate_map(message, key="probe", height=height, notes=[("note", said_so)] if said_so else [])


def moment(run: Run, steps: list[int]) -> int:
    """The slider over training time: the step that is shown."""
    state, name, key = st.session_state, run.name, f"moment {run.name}"
    at: dict[str, int] = state.setdefault("moments", {})  # run -> step; none while it follows the newest
    if (moved := moved_to(key)) in steps:
        state["playing"], at[name] = None, moved
    if state.get("playing") == name:
        later = [step for step in steps if step > at.setdefault(name, 0)] or steps[-1:]
        at[name] = later[min(len(steps) // PLAYED_IN, len(later) - 1)]
    step = at.get(name, steps[-1])
    if step not in steps[:-1]:  # at its end it follows the newest again
        step = steps[-1]
        at.pop(name, None)
        state["playing"] = None
    if len(steps) > 1:
        playing = state.get("playing") == name
        with st.container(horizontal=True, vertical_alignment="center"):
            icon = ":material/stop:" if playing else ":material/play_arrow:"
            st.button("stop playing" if playing else "play", key="play", icon=icon, on_click=play, args=(name,))
            label = "training time: the gates of the probe sentence after so many steps"
            moments(label, steps, step, key=key)
    return step


def play(name: str) -> None:
    """Let the slider move by itself, or stop that; where it follows the newest it starts at the first step."""
    state = st.session_state
    state["playing"] = None if state.get("playing") == name else name
    if state["playing"]:
        state["moments"].setdefault(name, 0)


def follows(reading: Reading, grammar: str, layer: int, unit: int) -> str:
    """How well a unit carries what is hidden, in this sentence and at this moment; nothing where that never changes."""
    variable = hidden_variable(grammar, reading.pieces)
    if len(set(variable[~np.isnan(variable)])) < 2:
        return ""
    correlation = unit_correlations(reading.trace, variable, nominal=GRAMMARS[grammar].nominal)[layer]  # (U,)
    best = int(correlation.argmax())
    hidden = GRAMMARS[grammar].variable
    words = f"In this sentence unit {unit} follows the {hidden} with {measure(grammar)} {correlation[unit]:.2f}"
    return words + (
        f"; best is unit {best} with {correlation[best]:.2f}." if best != unit else ", the best of all units."
    )


page()
