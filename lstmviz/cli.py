"""The command line: ``python -m lstmviz train | resume | stop | runs | evaluate | trace | corpus``."""

from __future__ import annotations

import dataclasses
import re
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal

import tyro

from lstmviz import checkpoint as checkpoints
from lstmviz.checkpoint import TrainConfig, figures, strongest_unit
from lstmviz.grammars import GRAMMARS
from lstmviz.model import ModelConfig, perplexity
from lstmviz.trace import trace_sentence
from lstmviz.training import corpora
from lstmviz.training.loop import Metrics
from lstmviz.training.loop import evaluate as mean_nll
from lstmviz.training.parallel import World
from lstmviz.training.run import LIVING, Run, RunConfig, carried_variable, reason, runs

# Everything of ModelConfig but vocab_size, which the corpus decides.
ModelOptions = dataclasses.make_dataclass(
    "ModelOptions",
    [(f.name, f.type, dataclasses.field(default=f.default)) for f in dataclasses.fields(ModelConfig)[1:]],
)
ModelOptions.__doc__, ModelOptions.__module__ = ModelConfig.__doc__, ModelConfig.__module__


def train(
    run_dir: tyro.conf.Positional[Path],
    train: Annotated[TrainConfig, tyro.conf.arg(name="")],
    model: Annotated[ModelOptions, tyro.conf.arg(name="")],  # type: ignore[valid-type]
    probe: str = "",
) -> None:
    """Train a language model; the best weights go to RUN_DIR/best.safetensors with a card beside them.

    Args:
        run_dir: the run's folder; made if it is not there.
        probe: sentence whose gates are kept as they learn; else a piece of the validation text.
    """
    if train.corpus not in GRAMMARS:  # where it is from wherever the run is gone on with
        train = dataclasses.replace(train, corpus=str(corpora.find_text(train.corpus).resolve()))
    config, world, run = RunConfig(train, dataclasses.asdict(model), probe), World.of_torchrun(), Run(run_dir)
    with world.joined():
        # When torchrun starts a training again, the command is the same, but the run is there already.
        again = any(world.gather(world.restarts)) and _asked_before(run, config)
        if world.rank == 0 and not again:
            Run.create(run_dir, config)
        follow(run, world)


def resume(run_dir: tyro.conf.Positional[Path]) -> None:
    """Go on with a run that was stopped or whose process died, bit for bit as if it had never ended.

    Args:
        run_dir: the run's folder.
    """
    world = World.of_torchrun()
    with world.joined():
        follow(Run(run_dir), world)


def stop(run_dir: tyro.conf.Positional[Path]) -> None:
    """Stop a run between two steps; it can be resumed.

    Args:
        run_dir: the run's folder.
    """
    status = Run(run_dir).status()
    if status is None or status.state not in LIVING:
        raise ValueError(f"{run_dir} is not running ({status.state if status else 'it has not begun'})")
    Run(run_dir).ask("stop")
    print(f"asked {run_dir.name} to stop after step {status.step:,}")


def list_runs(folder: tyro.conf.Positional[Path] = Path("runs")) -> None:
    """List the runs in a folder with their state.

    Args:
        folder: where they are.
    """
    for run in runs(folder):
        status, (records, _) = run.status(), run.metrics()
        losses = [record["valid_nll"] for record in records if record["valid_nll"] is not None]
        best = f"best perplexity {perplexity(min(losses)):.2f}" if losses else "not evaluated yet"
        state, step = (status.state, status.step) if status else ("not begun", 0)
        print(f"{run.folder.name:<32} {state:<10} step {step:>7,}/{run.config().train.steps:,}  {best}")


def follow(run: Run, world: World) -> None:
    """Train a run in this process and show how it goes; an interrupt stops it. Of several processes rank 0 shows it."""
    if world.rank:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # without a traceback
        list(run.execute(world))
        return
    # Where there are several processes, torchrun sends SIGTERM when one of them died.
    signal.signal(signal.SIGTERM, signal.default_int_handler if world.size == 1 else world.lost)
    goes_on = f"stopped; {world.command} resume {run.folder} goes on"
    config = run.config()
    print(f"training on {Path(config.train.corpus).name} in {run.folder}", flush=True)
    try:
        for metrics in run.execute(world):
            for name in metrics.zero_gradients:
                print(f"warning: {name} has a gradient of exactly zero; it will not learn", flush=True)
            _show_progress(metrics, config.train.steps)
    except KeyboardInterrupt:
        print(f"\n{goes_on}", flush=True)
        return
    status = run.status()
    if status and status.state == "finished":
        print(f"\n{(run.folder / 'card.md').read_text()}\nsaved {run.folder / 'best.safetensors'} and its card.md")
    else:
        print(f"\n{goes_on}")


def evaluate(
    checkpoint: tyro.conf.Positional[Path], corpus: str, part: Literal["train", "valid", "test"] = "valid"
) -> None:
    """Print a checkpoint's loss and perplexity on a corpus, exactly: one stream, the state carried over.

    Args:
        checkpoint: a .safetensors file of lstmviz.
        corpus: a grammar, a text file, or a folder with train, valid and test.
        part: which part of it.
    """
    loaded = checkpoints.load(checkpoint)
    opened = corpora.open_corpus(dataclasses.replace(loaded.train, corpus=corpus), loaded.vocabulary)
    if opened.sha256 != loaded.corpus_sha256:
        print(f"note: this is another text than the one the model was trained on ({loaded.corpus_name})")
    nll = mean_nll(loaded.build(), getattr(opened, part))
    print(f"{checkpoint.stem} on {opened.name} ({part}): {figures(nll, loaded.vocabulary)}")
    if corpus in GRAMMARS:
        print(strongest_unit(carried_variable(loaded, opened)))


def trace(checkpoint: tyro.conf.Positional[Path], text: tyro.conf.Positional[str], out: Path) -> None:
    """Write every gate and state of a sentence to a Parquet or CSV file.

    Args:
        checkpoint: a .safetensors file of lstmviz.
        text: the sentence.
        out: a path that ends in .parquet or .csv.
    """
    if out.suffix not in (".parquet", ".csv"):
        raise ValueError(f"the file to write is {out.name}; its name must end in .parquet or .csv")
    loaded = checkpoints.load(checkpoint)
    frame = trace_sentence(loaded.build(), loaded.vocabulary, text).to_dataframe().reset_index()
    frame.to_parquet(out) if out.suffix == ".parquet" else frame.to_csv(out, index=False)
    print(f"wrote {len(frame):,} rows ({', '.join(frame.columns)}) to {out}")


def _asked_before(run: Run, config: RunConfig) -> bool:
    with suppress(ValueError):
        return run.config() == config
    return False


def fetch(name: tyro.conf.Positional[Literal["tinyshakespeare", "wikitext-2"]]) -> None:
    """Download a text, check it against its digest and keep it in corpora/.

    Args:
        name: of the text; ``train --corpus NAME`` then reads it.
    """
    _say_kept(corpora.fetch_text(name, progress=_show_bytes))


def import_(files: tyro.conf.Positional[tuple[Path, ...]], name: str = "") -> None:
    """Check a text of any size and keep a copy in corpora/.

    Args:
        files: UTF-8 text files, one text in the order given; or the train, valid and test file of one; or their folder.
        name: of the copy; else that of the first file.
    """
    if not files:
        raise ValueError("name a text file, several, or a folder with train, valid and test")
    name = name or re.sub(r"[^a-zA-Z0-9_]+", "-", files[0].resolve().stem).strip("-") or "text"
    _say_kept(corpora.import_text(list(files), name, progress=_show_bytes))


def list_texts() -> None:
    """List the texts that are kept in corpora/, and those that can be fetched."""
    for name, path in corpora.kept().items():
        about = corpora.about(path)
        print(f"{name:<24} {about['characters']:>13,} characters  {about['name']}, licence: {about['licence']}")
    for name, source in corpora.SOURCES.items():
        if name not in corpora.kept():
            print(f"{name:<24} {source.size / 1e6:>9.1f} MB to fetch  {source.title}, licence: {source.licence}")


def _say_kept(path: Path) -> None:
    about = corpora.about(path)
    print(f"{about['name']}: {about['characters']:,} characters, sha256 {about['sha256'][:16]}…, kept in {path}")
    print(f"train on it with --corpus {path.name}")


def _show_bytes(done: int, total: int) -> None:
    if sys.stderr.isatty():
        end = "\n" if done >= total else ""
        print(f"\r{done / 1e6:,.1f} of {total / 1e6:,.1f} MB", end=end, file=sys.stderr, flush=True)


def _show_progress(metrics: Metrics, steps: int) -> None:
    left = metrics.seconds / metrics.step * (steps - metrics.step)
    line = (
        f"step {metrics.step:,}/{steps:,}  epoch {metrics.epoch:.2f}  loss {metrics.train_nll:.4f}  "
        f"lr {metrics.learning_rate:.2g}  |g| {metrics.gradient_norm:.2f}  "
        f"{metrics.tokens_per_second:,.0f} tokens/s  {left / 60:.1f} min left"
    )
    if metrics.valid_nll is not None:
        line += f"  valid {metrics.valid_nll:.4f} (perplexity {perplexity(metrics.valid_nll):.2f})"
        line += " *" * metrics.is_best
    live = sys.stdout.isatty()
    if live or metrics.valid_nll is not None:
        print("\r" * live + line, end="" if live and metrics.valid_nll is None else "\n", flush=True)


def main() -> None:
    """Run one command; a problem with its input is one sentence, not a traceback, and of many processes one says it."""
    speaks = World.of_torchrun().rank == 0
    app, corpus = tyro.extras.SubcommandApp(), tyro.extras.SubcommandApp()
    for command in (train, resume, stop, evaluate, trace):
        app.command(command)
    app.command(name="runs")(list_runs)
    app.command(corpus, name="corpus", help="Texts to train on: fetch, import, list.")
    corpus.command(fetch)
    corpus.command(name="import")(import_)
    corpus.command(name="list")(list_texts)
    try:
        app.cli(prog="lstmviz", config=(tyro.conf.OmitArgPrefixes,), console_outputs=speaks)
    except (ValueError, FloatingPointError, OSError) as error:
        sys.exit(f"lstmviz: {reason(error)}" if speaks else 1)
