"""The command line: ``python -m lstmviz app | train | sweep | experiment | resume | stop | runs | evaluate | …``."""

from __future__ import annotations

import dataclasses
import inspect
import io
import math
import os
import re
import shlex
import shutil
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import numpy as np
import torch
import tyro

from lstmviz import checkpoint as checkpoints
from lstmviz import counted
from lstmviz.__main__ import app
from lstmviz.caption import trace_caption
from lstmviz.card import figures, strongest_unit, table_card, unknown_warning
from lstmviz.cells import TREE_CELLS
from lstmviz.config import ModelConfig, Options, TrainConfig, options_of
from lstmviz.data import corpora
from lstmviz.data.captions import GENERATED
from lstmviz.data.expressions import EXPRESSIONS, Expression
from lstmviz.data.grammars import GRAMMARS
from lstmviz.data.nonsense import NONSENSE
from lstmviz.data.vocabulary import SOS, read_by, shown, unknown_said
from lstmviz.disk import in_a_sentence, name_of, write_atomically
from lstmviz.experiments.base import EXPERIMENTS, own, side_by_side
from lstmviz.explain.captions import nats_of_another, where_it_decides
from lstmviz.explain.depth import accuracy_by_depth, right_at_the_root
from lstmviz.explain.distance import accuracy_by_distance
from lstmviz.explain.spelling import by_count
from lstmviz.home import SHIPPED, Home
from lstmviz.page import live_page
from lstmviz.sizes import parameter_count, perplexity
from lstmviz.tasks import TASKS, decided_by, fitted_to, open_data
from lstmviz.trace import trace_labels, trace_sentence, trace_tree
from lstmviz.training.folder import Run, RunConfig, Snapshot, runs
from lstmviz.training.grid import lineup
from lstmviz.training.loop import held_out, judged, unknown_share
from lstmviz.training.parallel import World
from lstmviz.training.process import execute
from lstmviz.training.results import carried_variable
from lstmviz.training.standing import best_accuracy, short
from lstmviz.training.status import LINEUP, LIVING, Metrics, read_status
from lstmviz.training.sweep import Outcome, Sweep, check_machine, check_workers
from lstmviz.training.turn import Place


def _without(config: type[Options], *names: str, **defaults: object) -> Callable[..., dict[str, Any]]:
    """What a command line asks for of a configuration, but for some of its fields.

    Args:
        config: its class.
        names: of the fields that are not asked for.
        defaults: others than the configuration's.
    """

    def options(**given: Any) -> dict[str, Any]:
        return given

    types, known = get_type_hints(config), options_of(config)
    asked = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, annotation=types[name], default=defaults.get(name, default)
        )
        for name, (default, _) in known.items()
        if name not in names
    ]
    options.__signature__ = inspect.Signature(asked)
    options.__annotations__ = {parameter.name: parameter.annotation for parameter in asked}
    options.__doc__ = config.__doc__
    return options


# Of what is left out a line-up has several.
SweepModel = Annotated[dict[str, Any], tyro.conf.arg(name="", constructor=_without(ModelConfig, "cell", "num_layers"))]
SweepTrain = Annotated[
    dict[str, Any], tyro.conf.arg(name="", constructor=_without(TrainConfig, "bptt", "seed", corpus=""))
]


def say(text: str, **options: Any) -> None:
    """Print it; what nobody sees in a name or a text is `shown`, and none of it steers the terminal."""
    print(shown(text), **options)


def train(
    run_dir: tyro.conf.Positional[Path],
    train: Annotated[TrainConfig, tyro.conf.arg(name="")],
    model: Annotated[ModelConfig, tyro.conf.arg(name="")],
    probe: str = "",
) -> None:
    """Train a model; the best weights go to RUN_DIR/best.safetensors with a card beside them.

    Args:
        run_dir: the run's folder; made if it is not there.
        probe: sentence whose gates are kept as they learn; else a piece of the validation text.
    """
    train = dataclasses.replace(train, corpus=_lasting(train.corpus, train.task))
    config, world, run = RunConfig(train, model, probe), World.of_torchrun(), Run(run_dir)
    with world.joined():
        # When torchrun starts a training again, the command is the same, but the run is there already.
        again = any(world.gather(world.restarts)) and _asked_before(run, config)
        if world.rank == 0 and not again:
            Run.create(run_dir, config)
        follow(run, world)


def sweep(
    sweep_dir: tyro.conf.Positional[Path],
    train: SweepTrain,
    model: SweepModel,
    cells: tuple[str, ...] = ("lstm",),
    num_layers: tuple[int, ...] = (1,),
    bptt: tuple[int, ...] = (64,),
    seeds: tuple[int, ...] = (0,),
    parameters: int | None = None,
    probe: str = "",
    workers: int | None = None,
    ray: str | None = None,
) -> None:
    """Train a line-up: the same text and budget for every combination of cells, layers, windows and seeds.

    A line-up that was stopped or killed is gone on with by the same command, or by SWEEP_DIR alone.

    Args:
        sweep_dir: the line-up's folder, which gets a run for each member; made if it is not there.
        cells: names of cells, or "all".
        num_layers: recurrent layers, one over the other; several are compared.
        bptt: tokens in one window of truncated backpropagation through time; several are compared.
        seeds: of initialisation and dropout; several are compared.
        parameters: give each member as many units as its whole model can have with at most so many parameters.
        probe: sentence whose gates are kept as they learn; else a piece of the validation text.
        workers: members trained at once, each by one core; else one a core.
        ray: address of a Ray cluster that trains them instead: HOST:PORT, "auto" for that of this machine, or "local"
            to start one for the while. SWEEP_DIR must lie on a disk that its machines share.
    """
    _check_where(workers, ray)
    corpus, task = train["corpus"], train["task"]
    corpus = corpus and _lasting(corpus, task)
    if corpus and TASKS[task].parts:
        opened = open_data(TrainConfig(**{**train, "corpus": corpus}))
        model = {**model, **decided_by(opened, model.get("attention"), model.get("letters"))}
    if parameters is not None and model["hidden_size"] == ModelConfig.hidden_size:
        model = {name: value for name, value in model.items() if name != "hidden_size"}
    grid = lineup(
        TrainConfig(**{**train, "corpus": corpus}),
        model,
        cells=tuple(TASKS[task].cells) if cells == ("all",) else cells,
        num_layers=num_layers,
        bptt=bptt,
        seeds=seeds,
        parameters=parameters,
        probe=probe,
    )
    asked = Sweep(sweep_dir)
    if (sweep_dir / LINEUP).exists():
        if corpus:
            Sweep.create(sweep_dir, grid, vocab_size=0)  # it knows
        elif grid != lineup(TrainConfig(corpus=""), {name: getattr(ModelConfig, name) for name in model}):
            raise ValueError(f"say python -m lstmviz sweep {sweep_dir} alone, or all that the line-up was begun with")
    elif corpus:
        vocab_size = len(open_data(grid.base.train).vocabulary)
        if ray is None:
            check_machine(grid.members(vocab_size), vocab_size, workers)
        asked = Sweep.create(sweep_dir, grid, vocab_size)
    else:
        raise ValueError(f"there is no line-up in {sweep_dir}; say what to train on with --corpus to begin one")
    follow_all(asked, workers, ray)


def experiment(
    name: tyro.conf.Positional[Literal[tuple(EXPERIMENTS)]],  # pyright: ignore[reportInvalidTypeForm]
    corpus: str = "",
    seeds: tuple[int, ...] = (),
    epochs: int | None = None,
    out: Path | None = None,
    workers: int | None = None,
    ray: str | None = None,
) -> None:
    """Measure a published experiment again, and print its tables beside what was published.

    One that was stopped or killed is gone on with by the same command.

    Args:
        name: of the experiment.
        corpus: folder of the published text, or a grammar or text of yours; else what is kept under its name.
        seeds: others than the experiment's.
        epochs: others than the experiment's.
        out: file of the result; else experiments/NAME.json where you stand, or in LSTMVIZ_HOME.
        workers: members trained at once, each by one core; else one a core.
        ray: address of a Ray cluster that trains them instead, as for sweep.
    """
    _check_where(workers, ray)
    asked, home = EXPERIMENTS[name], Home.here()
    setting = asked.setting(corpus and _lasting(corpus, asked.cut.get("task", "language")), seeds, epochs)
    size, path, begun = len(setting.corpus.vocabulary), out or own(name, home), list[Path]()
    line_ups = asked.line_ups(setting, home.runs)
    for folder, grid in line_ups.items():
        if ray is None:
            check_machine(grid.members(size), size, workers)
        lineup = Sweep.create(folder, grid, size)
        begun.append(folder)
        if all(map(asked.is_done, lineup.runs())):
            continue
        say(f"{asked.title}, line-up {len(begun)} of {len(line_ups)}:")
        if not follow_all(lineup, workers, ray, again=asked.command(setting), may_fail=asked.may_fail):
            break
    result = asked.result(setting, begun)
    say(f"\n{side_by_side(asked, result)}\n")  # before a full disk may say no
    result.save(path)
    say(f"saved {path}")


def resume(run_dir: tyro.conf.Positional[Path]) -> None:
    """Go on with a run that was stopped or whose process died, bit for bit as if it had never ended.

    Args:
        run_dir: the run's folder.
    """
    world, run = World.of_torchrun(), Run(run_dir)
    with world.joined():
        world.agree(lambda: _check_unfinished(run) if world.rank == 0 else None)
        follow(run, world)


def stop(run_dir: tyro.conf.Positional[Path]) -> None:
    """Stop a run, or all members of a line-up, between two steps; it can be resumed.

    Args:
        run_dir: the run's folder, or the line-up's.
    """
    if (run_dir / LINEUP).exists():
        status = Sweep(run_dir).status()
        if status is None or status.state not in LIVING:
            raise ValueError(f"{run_dir} is not running ({status.state if status else 'it has not begun'})")
        Sweep(run_dir).stop()
        say(f"asked the line-up {run_dir.name} to stop")
        return
    Run(run_dir).config()
    status = Run(run_dir).status()
    if status is None or status.state not in LIVING:
        raise ValueError(f"{run_dir} is not running ({status.state if status else 'it has not begun'})")
    Run(run_dir).ask("stop")
    say(f"asked {run_dir.name} to stop after step {status.step:,}")


def list_runs(folder: tyro.conf.Positional[Path | None] = None) -> None:
    """List the runs in a folder, and the members of its line-ups, with their state.

    Args:
        folder: where they are; else runs/ where you stand, or in LSTMVIZ_HOME.
    """
    folder = folder or Home.here().runs
    begins = f"python -m lstmviz train {folder / 'NAME'} --corpus brackets begins a run there"
    if not folder.is_dir():
        raise ValueError(f"there is no folder at {folder}; {begins}")
    found = [Run(folder)] if os.path.lexists(folder / "config.json") else runs(folder)
    if not found:
        say(f"there are no runs in {folder}; {begins}")
    read = cache(read_status)
    for run in found:
        try:
            seen = run.snapshot(read=read)
        except ValueError:  # it was just deleted
            continue
        say(f"{run.name:<32} {_standing(seen)}")
    for whole in dict.fromkeys(run.lineup for run in found if run.lineup):
        if why := Sweep(whole).damage:
            say(f"{name_of(whole):<32} unreadable {why}; its members stand above")


def _standing(seen: Snapshot) -> str:
    """How a run stands, in one line of a list."""
    best = "not evaluated yet"
    if seen.best_nll is not None:
        best = f"best {_how_good(seen.best_nll, best_accuracy(seen.records))}"
        if unknown := seen.records[-1].valid_unknown:
            best += f", {unknown_said(unknown)}"
    state, step, message = (s.state, s.step, s.message) if (s := seen.status) else ("not begun", 0, "")
    said = "".join(f"  {what}" for what in (message, *seen.damage) if what)
    if state == "unreadable":
        return f"{state:<10} {said.strip()}"
    return f"{state:<10} step {step:>7,}/{seen.config.train.steps:,}  {best}{said}"


def _how_good(nll: float, accuracy: float | None) -> str:
    """What a loss comes to: of tokens their perplexity, of labels the share that is right."""
    return f"perplexity {perplexity(nll):.2f}" if accuracy is None else f"{accuracy:.2%} right"


def follow(run: Run, world: World, place: Place | None = None) -> None:
    """Train a run in this process and show how it goes; an interrupt stops it. Of several processes rank 0 shows it.

    Args:
        place: as in `execute`.
    """
    if world.rank:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # without a traceback
        list(execute(run, world))
        return
    # Where there are several processes, torchrun sends SIGTERM when one of them died.
    signal.signal(signal.SIGTERM, signal.default_int_handler if world.size == 1 else world.lost)
    goes_on = f"stopped; {world.command} resume {run.folder} goes on"
    config = run.config()
    say(f"training on {Path(config.train.corpus).name} in {run.folder}", flush=True)
    try:
        for metrics in execute(run, world, place):
            for name in metrics.zero_gradients:
                say(f"warning: {name} has a gradient of exactly zero; it will not learn", flush=True)
            _show_progress(metrics, config.train.steps)
    except KeyboardInterrupt:
        say(f"\n{goes_on}", flush=True)
        return
    status = run.status()
    if status and status.state == "finished":
        print(f"\n{(run.folder / 'card.md').read_text()}\n", end="")
        say(f"saved {run.folder / 'best.safetensors'} and its card.md")
        if status.message:
            say(f"warning: {status.message}", flush=True)
    else:
        say(f"\n{goes_on}")


def _check_where(workers: int | None, ray: str | None) -> None:
    """Refuse to be told two ways how many members are trained at once, or more than there are cores."""
    if ray is not None and workers is not None:
        raise ValueError("with --ray the cluster decides how many are trained at once; leave --workers out")
    if workers is not None:
        check_workers(workers)


def follow_all(lineup: Sweep, workers: int | None, ray: str | None, *, again: str = "", may_fail: bool = False) -> bool:
    """Train a line-up and show how it goes; SIGINT and SIGTERM stop it, the second of them at once.

    Args:
        again: the command that goes on with it, if not ``sweep``.
        may_fail: a member that fails is no problem.

    Returns:
        Whether it came to its end.

    Raises:
        ValueError: a member failed.
    """

    def stop_all(signum: int, _: object) -> None:
        signal.signal(signum, signal.SIG_DFL)
        lineup.stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop_all)
    members = lineup.runs()
    say(f"{len(members)} members in {lineup.folder}", flush=True)
    done: list[Outcome] = []
    for outcome in lineup.execute(workers, ray):
        if outcome is None:
            _show_all(lineup, len(done))
            continue
        name = outcome.run.folder.name
        if outcome.state == "running":
            status = outcome.run.status()
            say(f"{name}: training {status.parameters if status else 0:,} parameters", flush=True)
            continue
        done.append(outcome)
        said = outcome.state
        if outcome.digest:
            results = checkpoints.load(outcome.run.folder / "best.safetensors").results
            nll = results["valid_nll"]
            said += f", valid {short(nll)} ({_how_good(nll, results.get('valid_accuracy'))})"
        said += f": {outcome.reason}" * bool(outcome.reason)
        say(f"{name}: {said}; {len(done)} of {len(members)} done", flush=True)
    say(f"\n{standings(done)}", flush=True)
    states = [outcome.state for outcome in done]
    if "stopped" in states:
        say(f"\nstopped; {again or f'python -m lstmviz sweep {lineup.folder}'} goes on", flush=True)
    if (failed := states.count("failed")) and not may_fail:
        raise ValueError(f"{failed} of {len(members)} members failed: " + "; ".join(_failures(done)))
    return "stopped" not in states


def standings(outcomes: list[Outcome]) -> str:
    """What a line-up came to, the best first, as a table; then those that are not finished."""
    rows = []
    for outcome in outcomes:
        if outcome.digest:
            best = checkpoints.load(outcome.run.folder / "best.safetensors")
            count, records = parameter_count(best.model, len(best.vocabulary)), outcome.run.records()
            seconds = records[-1].seconds if records else math.nan
            rows.append((best.results["valid_nll"], best.results.get("valid_accuracy"), count, seconds, outcome))
    rows.sort(key=lambda row: row[0])
    width = max(6, *(len(outcome.run.folder.name) for outcome in outcomes))
    measure = "right" if any(accuracy is not None for _, accuracy, *_ in rows) else "perplexity"
    lines = [f"{'member':<{width}}  parameters  valid nll  {measure:>10}  seconds  digest"]
    for nll, accuracy, count, seconds, outcome in rows:
        name = outcome.run.folder.name
        good = f"{perplexity(nll):.2f}" if accuracy is None else f"{accuracy:.2%}"
        figures = f"{count:>10,}  {short(nll):>9}  {good:>10}  {seconds:>7.1f}"
        lines.append(f"{name:<{width}}  {figures}  {outcome.digest[:12]}")
    lines += [f"{o.run.folder.name:<{width}}  {o.state}" for o in outcomes if not o.digest]
    return "\n".join(lines)


def _failures(outcomes: list[Outcome]) -> list[str]:
    return [f"{outcome.run.folder.name} ({outcome.reason})" for outcome in outcomes if outcome.state == "failed"]


def _show_all(lineup: Sweep, done: int) -> None:
    """How far those come that train now, on one line of a terminal."""
    if sys.stdout.isatty():
        training = [
            f"{name} {status.step:,}/{member.train.steps:,}"
            for name, member in lineup.members.items()
            if (status := Run(lineup.folder / name).status()) and status.state == "running"
        ]
        line = f"{done} of {len(lineup.members)} done · {', '.join(training)}"
        print(f"\r{shown(line)[: shutil.get_terminal_size().columns - 1]}\033[K\r", end="", flush=True)


def _lasting(corpus: str, task: str = "language") -> str:
    """A corpus as it can be found again wherever a training is gone on with."""
    return corpus if corpus in TASKS[task].built_in else str(corpora.find_text(corpus).resolve())


def _check_loss(nll: float, checkpoint: Path) -> None:
    if not math.isfinite(nll):
        raise FloatingPointError(f"the loss of {checkpoint.name} is {nll}: what it predicts are no finite numbers")


def evaluate(
    checkpoint: tyro.conf.Positional[Path], corpus: str, part: Literal["train", "valid", "test"] = "valid"
) -> None:
    """Print a checkpoint's loss and perplexity on a corpus, exactly: one stream, the state carried over.

    One that was trained on windows of sentences reads such windows. Of one that classifies it is the share of right
    labels.

    Beside them stands how much of it the checkpoint's vocabulary lacks (<unk>), with a warning from 30 % on.

    Args:
        checkpoint: a .safetensors file of lstmviz.
        corpus: as for train, with the checkpoint's own task.
        part: which part of it.
    """
    loaded = checkpoints.load(checkpoint)
    opened = open_data(dataclasses.replace(loaded.train, corpus=corpus), loaded.vocabulary, loaded.reads)
    fitted_to(opened, loaded.model)
    if opened.sha256 != loaded.corpus_sha256:
        say(f"note: this is another text than the one the model was trained on ({loaded.corpus_name})")
    tokens = getattr(opened, part)
    task = TASKS[loaded.train.task]
    if task.parts:
        nll, accuracy = judged(loaded.build(), tokens, loaded.train)
        _check_loss(nll, checkpoint)
        said = figures(nll, loaded.vocabulary, accuracy=accuracy)
        what = task.reads if task.reads in ("images", "trees") else "texts"
        say(f"{name_of(checkpoint.stem)} on {opened.name} ({part}, {len(tokens):,} {what}): {said}")
        if part == "test" and (known := task.known.get(corpus)):
            say(known)
        if task.reads == "labels" and loaded.reads:
            another = nats_of_another(loaded.build(), tokens)
            say(f"begun by another label than its own: {figures(another, loaded.vocabulary)}")
            if corpus in GENERATED:
                found = where_it_decides(loaded.build(), tokens, loaded.vocabulary, loaded.reads, corpus)
                far = ", ".join(f"{right:.1%} up to {distance}" for distance, right in found.by_distance.items())
                say(
                    f"right in all that the label decides: {found.right:.2%} of the texts, begun by another label "
                    f"{found.other:.2%}; of single answers by the tokens read since the label: {far}"
                )
        if corpus == NONSENSE and part == "test":
            right = (f"{read.accuracy:.1%} {often}" for often, read in by_count(loaded, tokens).items())
            say(f"right words by how often they stand in the training part: {', '.join(right)}")
        if corpus == EXPRESSIONS:
            root = right_at_the_root(loaded.build(), tokens, task.parts).float().mean().item()
            deep = ", ".join(f"{accuracy:.1%} at {depth}" for depth, accuracy in accuracy_by_depth(loaded).items())
            say(f"right at the root: {root:.2%}; of expressions drawn anew by their depth in operations: {deep}")
        return
    nll, unknown = held_out(loaded.build(), tokens, loaded.vocabulary, loaded.train), unknown_share(tokens)
    _check_loss(nll, checkpoint)
    said = figures(nll, loaded.vocabulary, unknown)
    say(f"{name_of(checkpoint.stem)} on {opened.name} ({part}): {said}")
    if warning := unknown_warning(unknown):
        say(f"warning: {warning}")
    if corpus in GRAMMARS:
        say(strongest_unit(dataclasses.replace(loaded, hidden_variable=carried_variable(loaded, opened))))
        table = accuracy_by_distance(loaded.build(), loaded.vocabulary, corpus)
        pairs = zip(table["distance"], table["accuracy"], strict=True)
        right = ", ".join(f"{accuracy:.0%} up to {distance}" for distance, accuracy in pairs)
        say(f"right answers by the distance in tokens to what they depend on: {right}")


def count(
    out: tyro.conf.Positional[Path],
    corpus: str,
    n: int = 4,
    like: Path | None = None,
    level: Literal["char", "word"] = "char",
    max_words: int | None = None,
) -> None:
    """Count the runs of up to n tokens of a text into a file, with a card beside it that says how good its n-grams are.

    Beside a shipped checkpoint of the same vocabulary, Watch lays the n-gram over its loss.

    Args:
        out: the file to write; its name must end in .counts.
        corpus: a grammar, a text file, or a folder with train, valid and test; the train part is counted.
        n: tokens of the longest runs, at most 7.
        like: a checkpoint whose vocabulary is used, and with it its level.
        level: "char" or "word".
        max_words: at word level, keep only this many of the commonest words; the rest become ``<unk>``.
    """
    if out.suffix != counted.SUFFIX:
        raise ValueError(f"the file to write is {out.name}; its name must end in {counted.SUFFIX}")
    given, vocabulary, config = {"corpus": Path(corpus).name, "n": n}, None, TrainConfig(corpus, level, max_words)
    if like:
        loaded = checkpoints.load(like)
        if TASKS[loaded.train.task].parts:
            raise ValueError(f"{like.name} is of the task {loaded.train.task}; name a checkpoint of the task language")
        given |= {"like": like.name}
        vocabulary, config = loaded.vocabulary, dataclasses.replace(loaded.train, corpus=corpus)
    else:
        given |= {"level": level} | ({"max-words": max_words} if max_words else {})
    options = " ".join(f"--{name} {shlex.quote(str(value))}" for name, value in given.items())
    command = f"python -m lstmviz count {shlex.quote(out.name)} {options}"
    table = counted.count(corpora.open_corpus(config, vocabulary), n, command)
    counted.save(table, out)
    said = table_card(table)
    out.with_suffix(".md").write_text(said, encoding="utf-8")
    print(said)
    say(f"saved {out} ({out.stat().st_size / 1e6:.1f} MB) and its {out.with_suffix('.md').name}")


def trace(
    checkpoint: tyro.conf.Positional[Path], text: tyro.conf.Positional[str], out: Path, label: str | None = None
) -> None:
    """Write every gate and state of a sentence to a Parquet or CSV file.

    Of a model that says labels of texts there stand beside them the likeliest label at each token and its probability;
    of one that reads in both directions the values of each, at the tokens of which they are. A model of trees takes an
    expression, as "max(3, min(7, 2), 5)": time runs over its nodes, each behind its children, and the forget gate of a
    node is what its parent keeps of it.

    Args:
        checkpoint: a .safetensors file of lstmviz.
        text: the sentence.
        out: a path that ends in .parquet or .csv.
        label: of a model whose texts a label begins, that label; then <sos> is the first token.
    """
    if out.suffix not in (".parquet", ".csv"):
        raise ValueError(f"the file to write is {out.name}; its name must end in .parquet or .csv")
    if out.is_dir() or not out.parent.is_dir():
        raise ValueError(
            f"{out} cannot be written: " + ("it is a folder" if out.is_dir() else "its folder is not there")
        )
    from lstmviz.explain.tables import as_csv  # with pandas, as in trace.py

    loaded = checkpoints.load(checkpoint)
    if loaded.model.row_size:
        raise ValueError(f"{checkpoint.name} reads images and no text; python -m lstmviz evaluate says how well")
    if loaded.model.attention:
        where = "lstmviz.translation.trace_translation gives both to Python"
        raise ValueError(f"{checkpoint.name} is two networks, which no table of one text holds; {where}")
    known = loaded.reads.tokens if loaded.reads and loaded.model.labels_read else ()
    if (label is None) == bool(known) or (known and label not in known):
        which = f"say which by --label: {', '.join(known)}" if known else "there is none; leave --label out"
        raise ValueError(f"what {checkpoint.name} says is begun by {'a' if known else 'no'} label; {which}")
    model, reads = loaded.build(), read_by(loaded.vocabulary, loaded.reads)
    if loaded.model.cell in TREE_CELLS:
        tree = Expression.parse(text)
        found, likely = trace_tree(model, tree, reads, loaded.vocabulary, best=1)
        frame = found.to_dataframe()
        frame["parent"] = np.array(tree.parents)[frame["time"]]
        frame["value"] = np.array(tree.values, dtype=object)[frame["time"]]
    elif known and label:
        ids, likely = reads.encode(text), None
        found, _ = trace_caption(model, known.index(label), torch.tensor(ids, dtype=torch.int64))
        frame = dataclasses.replace(found, tokens=[SOS, *(reads.tokens[i] for i in ids)]).to_dataframe()
    else:
        frame = trace_sentence(model, reads, text).to_dataframe()
        likely = trace_labels(model, torch.tensor(reads.encode(text)), best=1)[1] if loaded.reads else None
    if likely:
        frame["label"] = np.array(loaded.vocabulary.tokens, dtype=object)[likely.ids[frame["time"], 0]]
        frame["probability"] = likely.probabilities[frame["time"], 0]
    frame.to_parquet(out) if out.suffix == ".parquet" else out.write_text(as_csv(frame), "utf-8", newline="")
    say(f"wrote {len(frame):,} rows ({', '.join(frame.columns)}) to {out}")


def live(out: tyro.conf.Positional[Path], models: tyro.conf.Positional[tuple[str, ...]]) -> None:
    """Write one HTML file with models in it, to be kept: it needs no server and no network.

    Args:
        out: the file to write; its name must end in .html.
        models: a checkpoint each, or the name of one that comes with the project, as brackets or recall/gru; several
            stand side by side.
    """
    if out.suffix != ".html":
        raise ValueError(f"the file to write is {out.name}; its name must end in .html")
    loaded = {}
    for name in models:
        path, called = _found(name)
        if called in loaded:
            raise ValueError(f"two models are called {called}; copy one of the files to another name")
        loaded[called] = checkpoints.load(path)
    page = live_page(loaded).encode()
    write_atomically(out, page)
    weights = sum(weight.nbytes for each in loaded.values() for weight in each.weights.values())
    rest = len(page) - 4 / 3 * weights
    say(f"wrote {out}: {len(page) / 1e3:,.0f} kB: 4/3 of {weights / 1e3:,.0f} kB of weights, and {rest / 1e3:,.0f} kB")


def _found(name: str) -> tuple[Path, str]:
    """A checkpoint's file, that of a path or else one that comes with the project, and what its model is called."""
    shipped = SHIPPED / "checkpoints"
    folders = shipped, *(shipped / task for task in TASKS), shipped / "lineups"
    found = next((path for folder in folders if (path := folder / f"{name}.safetensors").is_file()), None)
    return (found, name) if found and not Path(name).is_file() else (Path(name), name_of(Path(name).stem))


def _check_unfinished(run: Run) -> None:
    """Refuse to go on with what is at its end.

    Raises:
        ValueError: it is, or there is no run.
    """
    run.config()
    if (status := run.status()) and status.state == "finished":
        raise ValueError(
            f"{run.folder} is finished already, after {status.step:,} steps; its best weights are in "
            f"{run.folder / 'best.safetensors'}"
        )


def _asked_before(run: Run, config: RunConfig) -> bool:
    with suppress(ValueError):
        return run.config() == config
    return False


def fetch(name: tyro.conf.Positional[Literal["tinyshakespeare", "wikitext-2"]]) -> None:
    """Download a text, check it against its digest and keep it in corpora/.

    Args:
        name: of the text; ``train --corpus NAME`` then reads it.
    """
    _say_kept(corpora.fetch_text(name, Home.here().corpora, progress=_show_bytes))


def import_(files: tyro.conf.Positional[tuple[Path, ...]], name: str = "") -> None:
    """Check a text of any size and keep a copy in corpora/.

    Args:
        files: UTF-8 text files, one text in the order given; or the train, valid and test file of one; or their folder.
        name: of the copy; else that of the first file.
    """
    if not files:
        raise ValueError("name a text file, several, or a folder with train, valid and test")
    name = name or re.sub(r"[^a-zA-Z0-9_]+", "-", files[0].resolve().stem).strip("-") or "text"
    _say_kept(corpora.import_text(list(files), name, Home.here().corpora, progress=_show_bytes))


def list_texts() -> None:
    """List the texts that are kept in corpora/, and those that can be fetched."""
    texts = Home.here().corpora
    for name, path in (kept := corpora.kept(texts)).items():
        if about := corpora.about(path):  # it may just have been deleted
            say(f"{name:<24} {about.characters:>13,} characters  {about.name}, licence: {about.licence}")
    for name, why in corpora.spoiled(texts).items():
        say(f"{name:<24} cannot be read: {why}")
    for name, source in corpora.SOURCES.items():
        if name not in kept:
            say(f"{name:<24} {source.size / 1e6:>9.1f} MB to fetch  {source.title}, licence: {source.licence}")


def _say_kept(path: Path) -> None:
    if about := corpora.about(path):
        say(f"{about.name}: {about.characters:,} characters, sha256 {about.sha256[:16]}…, kept in {path}")
    say(f"train on it with --corpus {path.name}")


def _show_bytes(done: int, total: int) -> None:
    if sys.stderr.isatty():
        end = "\n" if done >= total else ""
        print(f"\r{done / 1e6:,.1f} of {total / 1e6:,.1f} MB", end=end, file=sys.stderr, flush=True)


def _show_progress(metrics: Metrics, steps: int) -> None:
    left = metrics.seconds / metrics.step * (steps - metrics.step)
    line = (
        f"step {metrics.step:,}/{steps:,}  epoch {metrics.epoch:.2f}  loss {short(metrics.train_nll)}  "
        f"lr {metrics.learning_rate:.2g}  |g| {metrics.gradient_norm:.2f}  "
        f"{metrics.tokens_per_second:,.0f} tokens/s  {left / 60:.1f} min left"
    )
    if metrics.valid_nll is not None:
        line += f"  valid {short(metrics.valid_nll)} ({_how_good(metrics.valid_nll, metrics.valid_accuracy)})"
        line += f", {unknown_said(metrics.valid_unknown)}" if metrics.valid_unknown else ""
        line += " *" * metrics.is_best
    live = sys.stdout.isatty()
    if live or metrics.valid_nll is not None:
        print("\r" * live + line, end="" if live and metrics.valid_nll is None else "\n", flush=True)


TEXTS = ("--probe", "--corpus", "--name")  # options that take one
OPTION = re.compile(r"-h|--[a-z][\w-]*(=.*)?", re.DOTALL)


def _with_texts(arguments: list[str]) -> list[str]:
    """A command line on which texts that begin with a dash, and look like no option, are not taken for one."""
    written: list[str] = []
    for argument in arguments:
        is_text = argument.startswith("-") and not OPTION.fullmatch(argument) and argument != "--"
        if is_text and written and written[-1] in TEXTS and "--" not in written:
            written[-1] += f"={argument}"
        elif is_text and written[:1] == ["trace"] and written[-1] != "--out" and "--" not in arguments:
            return [*written, *arguments[len(written) + 1 :], "--", argument]
        else:
            written.append(argument)
    return written


def main() -> None:
    """Run one command; a problem with its input is one sentence, not a traceback, and of many processes one says it."""
    speaks = World.of_torchrun().rank == 0
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a path may be no UTF-8
    commands, corpus = tyro.extras.SubcommandApp(), tyro.extras.SubcommandApp()
    for command in (app, train, sweep, experiment, resume, stop, evaluate, count, trace, live):
        commands.command(command)
    commands.command(name="runs")(list_runs)
    commands.command(corpus, name="corpus", help="Texts to train on: fetch, import, list.")
    corpus.command(fetch)
    corpus.command(name="import")(import_)
    corpus.command(name="list")(list_texts)
    arguments = _with_texts(sys.argv[1:])
    try:
        with in_a_sentence(speaks, shown):
            commands.cli(prog="lstmviz", args=arguments, config=(tyro.conf.OmitArgPrefixes,), console_outputs=speaks)
    except SystemExit as error:
        missed = arguments[:1] == ["trace"] or any(a in TEXTS and b[:1] == "-" for a, b in pairwise(arguments))
        if error.code and speaks and missed:
            texts = " or ".join(f"{name}=TEXT" for name in TEXTS)
            print(f"A text that begins with - is written {texts}, or, the sentence of trace, last and after --.",
                  file=sys.stderr)  # fmt: skip
        raise
    if World.of_torchrun().size > 1:
        # All is written. A thread of torch's may abort an interpreter that winds up ("terminate called without an
        # active exception"), which for torchrun would be a death.
        sys.stdout.flush()
        os._exit(0)
