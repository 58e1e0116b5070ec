"""Experiments: what was published beside what is measured here, and what was really going on."""

from __future__ import annotations

import math
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from lstmviz.charts import lines_figure
from lstmviz.data import corpora
from lstmviz.data.grammars import GRAMMARS
from lstmviz.data.vocabulary import code, plain, shown
from lstmviz.disk import reason
from lstmviz.experiments.base import EXPERIMENTS, Experiment, Result, Setting, Table, own, result_of, shipped
from lstmviz.experiments.gradients import UNTRAINED
from lstmviz.home import Home
from lstmviz.scripts import style
from lstmviz.training import trainings
from lstmviz.training.budget import seconds_of
from lstmviz.training.children import status_of
from lstmviz.training.folder import Snapshot
from lstmviz.training.grid import Grid
from lstmviz.training.standing import duration, share_done
from lstmviz.training.sweep import Sweep
from lstmviz.ui.figures import figures_table
from lstmviz.ui.form import costs
from lstmviz.ui.people import whose
from lstmviz.ui.session import BASELINE, BESIDE, Experiments, key_of, session
from lstmviz.ui.steering import answering, attempt
from lstmviz.ui.what_follows import WHAT_FOLLOWS, what_follows

STYLE = f"<style>{style('experiments.css')}</style>"
CURVES = {"train_nll": "training loss", "gradient_norm": "gradient norm, before clipping"}


def page() -> None:
    """One experiment: its tables and charts at the left; what they mean, and how to run it, at the right."""
    st.html(STYLE)
    home, titled = whose(), {experiment.title: experiment for experiment in EXPERIMENTS.values()}
    title = st.pills(
        "experiment", list(titled), default=next(iter(titled)), key="experiment", required=True, bind="query-params",
        label_visibility="collapsed",
    )  # fmt: skip
    experiment = titled[title]
    left, right = st.columns([2.9, 1], gap="medium")
    with left:
        result = measured(experiment, home)
    with right, st.container(key="aside"):
        meaning(experiment, result)
        run_here(experiment, home)
        if result.members:
            provenance(result)


# ---- what was measured -----------------------------------------------------------------------------------------------


def measured(experiment: Experiment, home: Home) -> Result:
    """The question, and every table of the experiment with its chart."""
    st.markdown(f"### {experiment.question or experiment.title}")
    st.markdown(f"{experiment.expects} :gray[:small[({experiment.source})]]")
    result, wrong = which(experiment, home)
    if wrong:
        st.warning(f"{plain(wrong)} Run it again at the right, and that file is written anew.")
    if result is None:
        st.info("Nothing was measured here yet. Run it at the right, and the figures come beside the published ones.")
        result = Result(experiment.name, "", "", experiment.sha256, 0)
    same = not experiment.sha256 or result.sha256 == experiment.sha256
    if not same:
        st.info(
            f"Measured on **{plain(result.corpus)}**, another text than the published one: what was published is left "
            "out, since no figure of it can be compared."
        )
    if experiment.name in WHAT_FOLLOWS:
        what_follows(experiment.name)
    for table in experiment.tables:
        if table is experiment.tables[0] and not table.numbers:  # of two pictures the first says most
            curves(experiment, result)
        with st.container(border=True, gap="small"):
            st.markdown(f"**{table.title}**")
            if table.numbers:
                charts(experiment.name, table, result, same)
            figures_table(table, result, same_text=same)
            if table.notes:
                st.caption("  \n".join(f"† **{column}**: {note}." for column, note in table.notes.items()))
        if table is experiment.tables[0] and table.numbers:
            curves(experiment, result)
    return result


def which(experiment: Experiment, home: Home) -> tuple[Result | None, str]:
    """A person's own result or the one that comes with the project; and what is wrong with a file of them."""
    result, wrong = result_of(experiment.name, home)
    if wrong or not (own(experiment.name, home).exists() and shipped(experiment.name).exists()):
        return result, wrong
    mine = st.segmented_control(
        "figures", ["yours", "as it came with lstmviz"], default="yours", key=key_of("whose", experiment.name),
        required=True, label_visibility="collapsed",
    )  # fmt: skip
    return (result, "") if mine == "yours" else (Result.load(shipped(experiment.name)), "")


def charts(name: str, table: Table, result: Result, same: bool) -> None:
    """A line a column over the rows, which are numbers; beside it what was published, or what it was untrained."""
    at, drawn = table.numbers, table.charts or {table.title: table.columns}
    ours, spread, report = (
        part.to_dict("list") for part in (result.measured(table), result.spread(table), table.report)
    )
    beside = {}
    for place, (title, columns) in zip(st.columns(len(drawn)), drawn.items(), strict=True):
        lines = {column: (at, ours[column]) for column in columns if any(map(math.isfinite, ours[column]))}
        beside = {column: (at, report[column]) for column in columns if same and column in table.published}
        for column in [each for each in lines if each.endswith(UNTRAINED) and each.removesuffix(UNTRAINED) in lines]:
            beside[column.removesuffix(UNTRAINED)] = lines.pop(column)
        figure = lines_figure(
            lines,
            x=table.corner,
            y=title if table.charts else "",  # else it stands over the whole already
            beside=beside,
            spread={column: spread[column] for column in lines if any(map(math.isfinite, spread[column]))},
            dots=True,
            doubling=table.scale == "share",
            whole=table.scale == "share",
            log=table.scale == "log",
            dark=is_dark(),
        )
        with place:
            draw(figure, key_of("chart", f"{name} {table.title} {title}"))
    if beside:
        lines_are = "Lines: as measured here. " if result.members else ""
        st.caption(f"{lines_are}Open circles: {'as published' if table.published else 'before training'}.")


def curves(experiment: Experiment, result: Result) -> None:
    """How the members were trained, one a place in the first table: those of the first seed."""
    members = [member for member in result.members if member.step and member.figures]
    if not experiment.curves or not members:
        return
    first = min(member.seed for member in members)
    drawn = experiment.tables[0].columns  # in this order, so that a member has one colour in both charts
    members.sort(key=lambda member: drawn.index(name) if (name := member.figures[0].column) in drawn else len(drawn))
    named = {member.figures[0].column: member for member in members if member.seed == first}
    epochs = max(member.epoch[-1] for member in members) > 2
    with st.container(border=True, gap="small"):
        st.markdown("**how they were trained**" + f" · seed {first}" * (len({m.seed for m in members}) > 1))
        for place, name in zip(st.columns(len(experiment.curves)), experiment.curves, strict=True):
            lines = {key: (m.epoch if epochs else m.step, getattr(m, name)) for key, m in named.items()}
            x = "epoch" if epochs else "optimiser steps"
            values = [value for _, line in lines.values() for value in line]
            with place:
                log = max(values) > 5 * min(values)
                figure = lines_figure(lines, x=x, y=CURVES[name], log=log, dark=is_dark())
                draw(figure, key_of("curve", f"{experiment.name} {name}"))


def draw(figure: object, key: str) -> None:
    """A chart, without buttons over it."""
    st.plotly_chart(figure, key=key, theme=None, config={"displayModeBar": False})  # pyright: ignore


def is_dark() -> bool:
    """Whether the page is dark."""
    return st.context.theme.type == "dark"


# ---- what it means ---------------------------------------------------------------------------------------------------


def meaning(experiment: Experiment, result: Result) -> None:
    """What was found, the parameters that never learn, and where to see it live."""
    with st.container(border=True, gap="small"):
        st.markdown("**what was really going on**")
        if experiment.showed:
            st.markdown(experiment.showed)
        if dead := {member.name: member.zero_gradients for member in result.members if member.zero_gradients}:
            with st.popover("parameters without a gradient"):
                for name, parameters in dead.items():
                    st.markdown(f"**{plain(name)}**: no gradient reaches {', '.join(map(code, parameters))}.")
        if experiment.views:
            st.markdown("see it live")
            with st.container(key="views", gap="small"):
                for view in experiment.views:
                    query = {"models": [*view.models], "sentence": view.text, BESIDE.key: view.beside}
                    if view.page == "watch":
                        query = {"model": view.models[0], "text": view.text, BASELINE.key: view.beside}
                    query = {name: value for name, value in query.items() if value}
                    st.page_link(f"{view.page}.py", label=view.said, icon=":material/visibility:", query_params=query)


def provenance(result: Result) -> None:
    """The command that made the figures, and of which text they are."""
    with st.container(border=True, gap="small"):
        st.markdown("**the command that made these figures**")
        st.code(shown(result.command), language=None, wrap_lines=True)
        st.caption(
            f"{len(result.members)} models on {plain(result.corpus)}, {result.vocab_size:,} tokens in the vocabulary, "
            f"sha256 {code(result.sha256[:12])}."
        )


# ---- running it ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Standing:
    """How an experiment stands on this machine.

    Args:
        line_ups: its line-ups by their folders.
        members: of those that were begun.
        is_living: a line-up of it is at it.
    """

    line_ups: dict[Path, Grid]
    members: list[Snapshot]
    is_living: bool

    @classmethod
    def of(cls, line_ups: dict[Path, Grid]) -> Standing:
        begun = [folder for folder in line_ups if folder.exists()]
        members = [trainings.snapshot(run, status_of) for folder in begun for run in Sweep(folder).runs()]
        return cls(line_ups, members, any(seen.is_living for seen in members))

    @property
    def count(self) -> int:
        return sum(grid.count for grid in self.line_ups.values())

    @property
    def done(self) -> int:
        """Members that came to their end."""
        return sum(seen.status is not None and seen.status.state in ("finished", "failed") for seen in self.members)


def run_here(experiment: Experiment, home: Home) -> None:
    """The text, what it costs, and the buttons; while it runs, how far it is."""
    with st.container(border=True, gap="small"):
        st.markdown("**run it here**")
        corpus = choose_corpus(experiment, home)
        try:
            with st.spinner("Reading the text…"):
                setting = read_setting(experiment.name, corpus)
            line_ups = experiment.line_ups(setting, home.runs)
            standing = Standing.of(line_ups)
        except (OSError, ValueError) as error:
            st.error(f"It cannot be run on this text: {plain(reason(error))}.")
            return
        if standing.done and not standing.is_living:
            keep(experiment, setting, standing, home)

        def tick() -> None:
            now = Standing.of(line_ups)
            steer(experiment, setting, now, home)
            if now.is_living != standing.is_living and not (answering(Experiments) and not now.is_living):
                st.rerun()

        st.fragment(tick, run_every=1.0 if standing.is_living or answering(Experiments) else None)()


def choose_corpus(experiment: Experiment, home: Home) -> str:
    """The menu of texts, the published one in front where it is kept; else where to put it is said."""
    if experiment.is_generated:
        st.caption(f"On {code(experiment.corpus)}, which is generated and part of lstmviz.")
        return experiment.corpus
    kept = {name: f"{path}" for each in reversed(home.read) for name, path in corpora.kept(each.corpora).items()}
    published = experiment.corpus in kept
    if not published and experiment.corpus in corpora.SOURCES:
        st.caption("Its text is not on this machine yet; this fetches it into the menu:")
        st.code(f"python -m lstmviz corpus fetch {experiment.corpus}", language=None, wrap_lines=True)
    elif not published:
        st.caption(
            "The published text, a small Penn Treebank, is licensed and does not come with lstmviz. Put its train, "
            "valid and test file into a folder, and this puts it into the menu:"
        )
        st.code(f"python -m lstmviz corpus import FOLDER --name {experiment.corpus}", language=None, wrap_lines=True)
    if not published:
        st.caption("Without it, take a generated language, or a text of your own that you keep on the Train page.")
    names = [*([experiment.corpus] * published), *(name for name in kept if name != experiment.corpus), *GRAMMARS]
    if not published:
        names = ["agreement", *(name for name in names if name != "agreement")]

    def label(name: str) -> str:
        if name == experiment.corpus:
            return f"{name} (the published text)"
        return f"{name} (generated)" if name in GRAMMARS else shown(name)

    name = st.selectbox(
        "text", names, format_func=label, key=key_of("corpus", experiment.name), persist_state="session"
    )
    return kept.get(name, name)


@st.cache_resource(max_entries=8, show_spinner=False)
def read_setting(name: str, corpus: str) -> Setting:
    """An experiment's text, read once."""
    return EXPERIMENTS[name].setting(corpus)


def steer(experiment: Experiment, setting: Setting, standing: Standing, home: Home) -> None:
    """How far it is, and what can be done: run, cancel, resume, delete. Always the same places."""
    about, bar, buttons, said = (st.container() for _ in range(4))
    begun, done, count = bool(standing.members), standing.done, standing.count
    size = len(setting.corpus.vocabulary)
    goes = (trainings.begin_experiment, home, standing.line_ups, size)
    if not begun:
        with about:
            st.caption(cost(setting, standing))
    else:
        share = sum(map(share_done, standing.members)) / count
        state = "running" if standing.is_living else "finished" if done == count else "interrupted"
        bar.progress(min(1.0, share), f"{state} · {done} of {count} models done")
    with buttons, st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if not begun:
            st.button("Run", type="primary", on_click=attempt, args=(Experiments, *goes), key="run", width="stretch")
        elif standing.is_living:
            st.button("cancel", on_click=attempt, args=(Experiments, stop, standing), key="cancel")
            st.page_link("train.py", label="watch them learn", icon=":material/show_chart:")
        else:
            if done < count:
                st.button("resume", type="primary", on_click=attempt, args=(Experiments, *goes), key="resume")
            with st.popover("delete", key=key_of("ask", experiment.name)):
                st.caption("The models that were trained for this are removed for good; the figures stay.")
                st.button("delete them", on_click=attempt, args=(Experiments, delete, standing), key="delete")
    memory = session(Experiments)
    failed = [seen.status for seen in standing.members if seen.status and seen.status.state in ("failed", "crashed")]
    with said:
        if memory.problem:
            st.error(f"{plain(memory.problem)}.")
            memory.problem = ""
        for status in failed[:1]:
            st.error(
                f"{len(failed)} of them {'have' if len(failed) > 1 else 'has'} {status.state}: {plain(status.message)}."
            )


def cost(setting: Setting, standing: Standing) -> str:
    """What running it takes, in a sentence; a step of each model of the middle line-up is timed once."""
    grids, size = [*standing.line_ups.values()], len(setting.corpus.vocabulary)
    members = [each for grid in grids for each in grid.members(size).values()]
    middle = grids[len(grids) // 2].members(size).values()
    timed = {each.model: costs(setting.corpus, each.model, each.train) for each in middle}
    seconds = seconds_of([each.train for each in members], [*timed.values()])
    cores = min(len(members), os.cpu_count() or 1)
    return (
        f"{len(members)} models on {plain(setting.corpus.name)}: about {duration(seconds / cores)} on "
        f"{cores} {'cores' if cores > 1 else 'core'} of this machine. You may leave the page; it goes on."
    )


def stop(standing: Standing) -> None:
    """Stop all line-ups between two steps."""
    for folder in standing.line_ups:
        if folder.exists():
            Sweep(folder).stop()


def delete(standing: Standing) -> None:
    """Remove what was trained."""
    for folder in standing.line_ups:
        if folder.exists():
            trainings.delete(Sweep(folder))


def keep(experiment: Experiment, setting: Setting, standing: Standing, home: Home) -> None:
    """Read the figures of what is done, where that is newer than those that are kept, and show them."""
    path = own(experiment.name, home)
    newest = max(seen.status.heartbeat for seen in standing.members if seen.status)
    with suppress(OSError, ValueError):
        if path.stat().st_mtime > newest and Result.load(path):
            return
    try:
        with st.spinner("Reading the figures of the trained models…"):
            result = experiment.result(setting, [folder for folder in standing.line_ups if folder.exists()])
            if not result.members:
                return
            result.save(path)
    except (OSError, ValueError) as error:
        st.error(f"Its figures cannot be kept: {plain(reason(error))}.")
        st.button("try again", key="keep")
        return
    st.rerun()


page()
