"""Train: choose a text, a cell and a budget, and watch the model learn."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from functools import partial

import pandas as pd
import streamlit as st

from lstmviz.charts import runs_figure
from lstmviz.data.vocabulary import code, inline, plain, shown, unknown_said
from lstmviz.disk import name_of, reason
from lstmviz.explain.comparison import MOST
from lstmviz.explain.correlations import follows
from lstmviz.home import Home
from lstmviz.reading import Selected, Selection, select, telling_unit, track_at
from lstmviz.sizes import perplexity
from lstmviz.tasks import TASKS
from lstmviz.training import trainings
from lstmviz.training.folder import Run, Snapshot
from lstmviz.training.parallel import World
from lstmviz.training.standing import health, problem, row, share_done, standing, warning
from lstmviz.training.status import LIVING
from lstmviz.training.sweep import Sweep
from lstmviz.ui import sources
from lstmviz.ui.components import gate_map, heading, moments
from lstmviz.ui.form import form
from lstmviz.ui.people import whose
from lstmviz.ui.session import Train, key_of, report, session
from lstmviz.ui.sources import Trained
from lstmviz.ui.steering import answering, attempt
from lstmviz.units import drawn_roles
from lstmviz.wire import Frame, payload

PLAYED_IN = 40  # pictures, from the first moment of a training to the last


def page() -> None:
    """The form at the left, the trainings at the right."""
    home = whose()
    seen: list[Snapshot] | None = trainings.look(home)
    moving = is_moving(seen)
    left, right = st.columns([1.15, 2.6], gap="medium")
    with left, st.container(border=True):
        form(home, seen)
    session(Train).asked = False  # of a form that cannot be trained

    def tick() -> None:
        """One look at all folders, which all that is drawn in this moment is made of; the first was for the form."""
        nonlocal seen
        now, seen = trainings.look(home) if seen is None else seen, None
        live(home, now)
        if moving != is_moving(now) or session(Train).asked:
            st.rerun()  # to look again twice a second, or no longer; or to ask the form

    with right:
        st.fragment(tick, run_every=0.5 if moving else None)()


def is_moving(every: list[Snapshot]) -> bool:
    """Whether anything on the page changes by itself."""
    playing = session(Train).playing is not None
    return playing or answering(Train) or any(seen.is_living for seen in every)


def live(home: Home, every: list[Snapshot]) -> None:
    """The table of trainings, and what moves while the chosen ones learn; before there is one, a recorded one.

    Always the same places: see ``ui.components``.
    """
    above, below = st.container(), st.container()
    with above:
        chosen = steered(home, every) if every else recorded()
    with below:
        learning(home, chosen)


def table(every: list[Snapshot]) -> list[Snapshot]:
    """All trainings; those selected are drawn, and the members of a line-up together until some are selected."""
    names = [seen.run.name for seen in every]
    memory = session(Train)
    default = every[names.index(memory.run) if memory.run in names else 0]
    together = any(seen.run.lineup for seen in every)
    shown_rows = pd.DataFrame([asdict(row(seen)) for seen in every]).rename(columns={"perplexity": "best perplexity"})
    tasks = {seen.config.train.task for seen in every}
    of_labels = {task for task in tasks if TASKS[task].parts}
    lacking = ["best perplexity"] * (tasks == of_labels) + ["accuracy"] * (not of_labels)
    picked = st.dataframe(
        shown_rows.drop(columns=lacking),
        hide_index=True,
        on_select="rerun",
        selection_mode="multi-row",
        key=key_of(f"runs_{memory.table}", "\n".join(names)),  # other rows are another table
        height=min(35 * (len(every) + 1) + 2, 177 if together else 142),  # three rows, or four; more scroll
        placeholder="–",
        column_config={
            "run": st.column_config.TextColumn(width=min(300, 50 + 7 * max(map(len, names)))),
            "state": st.column_config.TextColumn(width=75),
            "done": st.column_config.ProgressColumn(format="%d %%", min_value=0, max_value=100, width=90),
            "best perplexity": st.column_config.NumberColumn(
                "perplexity", format="%.2f", width=75, help="the best, on the validation part"
            ),
            "accuracy": st.column_config.NumberColumn(
                format="%.2f %%", width=80, help="the share of right labels in the validation part, at the lowest loss"
            ),
            "parameters": st.column_config.NumberColumn(format="localized", width=85),
            "per_second": st.column_config.NumberColumn(
                " or ".join(sorted({f"{TASKS[task].column}s/s" for task in tasks}, reverse=True)),
                format="localized",
                width=75 if len(tasks) == 1 else 120,
                help="the median",
            ),
            "seconds": st.column_config.NumberColumn(format="localized", width=70),
        },
    )
    chosen = [every[index] for index in picked.selection.rows]
    if len(chosen) == 1 and memory.run != chosen[0].run.name:
        memory.arrive(chosen[0].run.name)
    if not chosen and (lineup := default.run.lineup):
        return [seen for seen in every if seen.run.lineup == lineup]
    return chosen or [default]


def recorded() -> list[Snapshot]:
    """A training that comes with the project, to be looked at like any other but not steered."""
    seen = trainings.snapshot(Run(trainings.RECORDED))
    st.info("Nothing has been trained yet. Press **Train**, and you see it learn here; it stays.")
    if seen.best_nll is None:
        return []
    train, model = seen.config.train, seen.config.model
    st.markdown(
        f"**A recorded training** of `{train.corpus}`: {model.cell}, {model.hidden_size} units, {train.steps:,} steps, "
        f"at best perplexity {perplexity(seen.best_nll):.2f}. Until you have one of your own: press play below and see "
        "its gates learn."
    )
    return [seen]


def steered(home: Home, every: list[Snapshot]) -> list[Snapshot]:
    """The trainings that are chosen in the table; what they are called, how far they are, and what steers them."""
    rows, steering, said = (st.container() for _ in range(3))
    with rows:
        chosen = table(every)
    first, alone = chosen[0], len(chosen) == 1
    memory = session(Train)
    if memory.playing != first.run.name:
        memory.playing = None
    with steering:
        if (lineup := first.run.lineup) and {seen.run.lineup for seen in chosen} == {lineup}:
            steer_lineup(home, Sweep(lineup), [seen for seen in every if seen.run.lineup == lineup], together=not alone)
        if alone:
            steer(home, first)
    if memory.problem:
        said.error(f"{plain(memory.problem)}.")
        memory.problem = ""
    return chosen


def learning(home: Home, chosen: list[Snapshot]) -> None:
    """How the chosen ones learn: the curves of all, and the gates of the first."""
    said, axes, curves, below = (st.container() for _ in range(4))
    if not chosen:
        return
    one = len({seen.run.lineup for seen in chosen}) == 1  # then the members' own names say enough
    named = {(name_of(seen.run.folder) if one else seen.run.name): seen for seen in chosen}
    with said:
        remarks(named)
    with axes, st.container(horizontal=True, vertical_alignment="center"):
        x, log = axis(), st.toggle("logarithmic", key="log")
        to_compare(home, chosen)
    with curves:
        draw_curves(named, x, log=log)
        if len(chosen) > 1:
            whose = plain(name_of(chosen[0].run.folder))
            st.caption(f"Below, the gates of **{whose}**. Select another training above to see its own.")
    with below:
        gates(chosen[0])


def axis() -> str:
    """What the curves are drawn over."""
    options = ["step", "epoch", "seconds"]
    return st.segmented_control(
        "axis", options, default="step", required=True, key="axis", label_visibility="collapsed"
    )


def to_compare(home: Home, chosen: list[Snapshot]) -> None:
    """A button that opens those that have weights side by side."""
    there = (seen for seen in chosen if seen.has_weights)
    shown_there = [seen for seen in there if seen.config.train.task == chosen[0].config.train.task]
    ready = [str(Trained(seen.run.name, home.person)) for seen in shown_there][:MOST]
    if len(ready) > 1:
        count = "" if len(ready) == len(chosen) else f"{len(ready)} of {len(chosen)} "
        if st.button(f"open {count}in Compare", key="compare"):
            st.switch_page("compare.py", query_params={"models": [*map(shown, ready)]})


def draw_curves(named: dict[str, Snapshot], x: str, *, log: bool) -> None:
    """Loss, perplexity, gradient and learning rate of all, over each other; nothing before the first record."""
    records = {name: seen.records for name, seen in named.items()}
    if not any(records.values()):
        return
    dark, (first, *_) = st.context.theme.type == "dark", named.values()
    figure = runs_figure(records, first.config.train.clip_norm, x=x, log=log, dark=dark)
    with st.container(key="figures"):
        st.plotly_chart(figure, key="curves", theme=None, config={"displayModeBar": False})
    most = max(each[-1].valid_unknown for each in records.values() if each)
    if len({seen.config.train.task for seen in named.values()}) > 1:
        st.caption("These are of several tasks: a loss a label and one a token are not comparable.")
    unknown = f" (its text has {plain(unknown_said(most))})" if most else ""
    st.caption(
        f"With dots: the validation loss{unknown}. Dotted: the training loss, averaged; pale: as it is. "
        "Dashed, beside the gradient's norm: where it is clipped."
    )


def steer_lineup(home: Home, lineup: Sweep, members: list[Snapshot], *, together: bool) -> None:
    """Stop, resume and delete all members of a line-up; and how far they are, where they are shown together."""
    status, name = members[0].lineup, name_of(lineup.folder)
    state = status.state if status else "starting"
    finished = sum(seen.status is not None and seen.status.state == "finished" for seen in members)
    with st.container(horizontal=True, vertical_alignment="center"):
        if together:
            heading(f"line-up {inline(name)}", session(Train).arrived, key="heading")
        else:
            st.markdown(f"line-up **{plain(name)}**", width="stretch")
        if status and state in LIVING:
            st.button(
                "stop all",
                on_click=attempt,
                args=(
                    Train,
                    lineup.stop,
                ),
                key="stop_all",
            )
        elif state not in LIVING and finished < len(members):
            st.button("resume all", on_click=attempt, args=(Train, trainings.go_on, home, lineup), key="restart_all")
        if state not in LIVING:
            with st.popover("delete all", key=key_of("ask", name)):  # another one's is another, and closed
                st.caption(f"The folder of {plain(name)}, with all its members, is removed for good.")
                st.button("delete them", on_click=attempt, args=(Train, trainings.delete, lineup), key="delete_all")
    if together:
        done = sum(map(share_done, members)) / len(members)
        st.progress(done, f"{state} · {finished} of {len(members)} finished")
    if said := lineup.damage or (status.message if status and state in ("crashed", "stopped") else ""):
        st.error(f"The line-up {plain(name)}: {plain(said)}.")


def steer(home: Home, seen: Snapshot) -> None:
    """Pause, resume, stop, delete: what the state allows; and how far it is."""
    run, status = seen.run, seen.status
    state, several = (status.state, status.processes) if status else ("starting", 1)
    with st.container(horizontal=True, vertical_alignment="center"):
        heading(shown(name_of(run.folder)), session(Train).arrived, key="heading")
        if state == "running":
            st.button("pause", on_click=attempt, args=(Train, run.ask, "pause"), key="pause")
        if state == "paused":
            st.button("resume", on_click=attempt, args=(Train, run.ask, "resume"), key="unpause")
        if seen.is_living and seen.has_begun:  # a member that waits has no process yet
            st.button("stop", on_click=attempt, args=(Train, run.ask, "stop"), key="stop")
        if state in ("stopped", "crashed", "failed") and several == 1:
            st.button("resume", on_click=attempt, args=(Train, trainings.go_on, home, run), key="restart")
        if seen.has_weights and st.button("open in Watch", key="open"):
            st.switch_page("watch.py", query_params={"model": shown(str(Trained(run.name, home.person)))})
        if not seen.is_living and not seen.run.lineup:
            with st.popover("delete", key=key_of("ask", run.name)):  # another one's is another, and closed
                st.caption(f"The folder of {plain(run.name)}, with its weights and curves, is removed for good.")
                st.button("delete it", on_click=attempt, args=(Train, trainings.delete, run), key="delete")
    if state in ("stopped", "crashed", "failed") and several > 1:
        command = f"{World(size=several).command} resume {shlex.quote(f'runs/{run.name}')}"
        st.caption(f"{several} processes trained it; {code(command)} goes on with it.")
    st.progress(share_done(seen), standing(seen))


def remarks(named: dict[str, Snapshot]) -> None:
    """What went wrong in the trainings, and what a teacher would remark."""
    for name, seen in named.items():
        who = f"**{plain(name)}**: " if len(named) > 1 else ""
        if said := problem(seen):
            st.error(who + said)
        for said in filter(None, [warning(seen), *(f"{plain(each)}." for each in seen.damage)]):
            st.warning(who + said)
        for remark in health(seen.records, seen.config.train.clip_norm):
            st.caption(who + remark)


def gates(seen: Snapshot) -> None:
    """The gates of the probe at any moment of the training: the newest, until somebody moves the slider."""
    slider, picture, sample = (st.container() for _ in range(3))
    steps = seen.run.probes()
    if not steps or not seen.has_weights:
        with picture:
            later = f"The gates of the probe {whole_of(seen)} appear after the first evaluation."
            no_map("It looks at a fixed window and has no gates." if seen.config.model.window else later)
        return
    with slider:
        step = moment(seen.run.name, steps, whole_of(seen))
    with picture:
        probe(seen, step)
    if earlier := [record for record in seen.records if record.sample and record.step <= step]:
        with sample:
            st.caption(f"What it writes after {earlier[-1].step:,} steps:")
            st.code(shown(earlier[-1].sample), language=None, wrap_lines=True)


def whole_of(seen: Snapshot) -> str:
    """What a model of that training reads as one."""
    return TASKS[seen.config.train.task].whole


def no_map(why: str) -> None:
    """Where there is nothing to draw, why."""
    gate_map(b"", Frame([("note", why)]), key="probe")


def probe(seen: Snapshot, step: int) -> None:
    """The map of the probe sentence at one moment, or why there is none."""
    try:
        opened = sources.open_path(seen.run.folder / "best.safetensors", seen.run.name)
        kept = seen.probe(step)
        reading = kept.reading(opened)
    except (ValueError, OSError) as error:
        no_map(f"The gates after {step:,} steps cannot be shown: {shown(reason(error))}.")
        return
    if not kept.is_finite():
        no_map(f"After {step:,} steps not all gates and states were finite numbers: there is nothing to draw.")
        return
    said = report("probe")
    tracks, time = opened.tracks_in([0]), reading.first_look
    track = track_at(opened, reading, time, tracks)
    newest = Selected(Selection(time, telling_unit(opened, track), track), reading.ids)  # until one is clicked
    chosen = select(newest, reading.ids, said.selection).within(opened.checkpoint.model.hidden_size)
    corpus = opened.checkpoint.train.corpus
    said_so = follows(reading.trace, reading.pieces, corpus, chosen.of, chosen.unit)
    roles = drawn_roles(opened.checkpoint.model.cell, reading.trace)
    message = payload(
        opened,
        reading,
        layers=tracks,
        roles=roles,
        order="index",
        selection=chosen.said("layer"),
        held=said.held,
        identity=f"step {step}",
        name=f"{seen.run.name} after {step:,} steps",
    )
    frame = Frame([("note", said_so)] if said_so else [], height=max(420, 122 * len(roles) * len(tracks) + 96))
    gate_map(message, frame, key="probe")


def moment(name: str, steps: list[int], whole: str) -> int:
    """The slider over the training time of a run: the step that is shown."""
    memory, key = session(Train), key_of("moment", name)
    at = memory.moments
    if memory.playing == name:
        later = [step for step in steps if step > at.setdefault(name, 0)] or steps[-1:]
        at[name] = later[min(len(steps) // PLAYED_IN, len(later) - 1)]
    step = at.get(name, steps[-1])
    if step not in steps[:-1]:  # at its end it follows the newest again
        step = steps[-1]
        at.pop(name, None)
        memory.playing = None
    if len(steps) > 1:
        playing = memory.playing == name
        with st.container(horizontal=True, vertical_alignment="center"):
            icon = ":material/stop:" if playing else ":material/play_arrow:"
            st.button("stop playing" if playing else "play", key="play", icon=icon, on_click=play, args=(name,))
            label = f"training time: the gates of the probe {whole} after so many steps"
            moments(label, steps, step, memory.moved, on_moved=partial(hold, name, key), key=key)
    return step


def hold(name: str, key: str) -> None:
    """Somebody moved the slider, or held it where it stands: there it stays. What is run for that may be broken off."""
    memory, moved = session(Train), report(key).moved
    if moved:
        memory.playing = None
        memory.moments[name], memory.moved = moved


def play(name: str) -> None:
    """Let the slider move by itself, or stop that; where it follows the newest it starts at the first step."""
    memory = session(Train)
    memory.playing = None if memory.playing == name else name
    if memory.playing:
        memory.moments.setdefault(name, 0)


page()
