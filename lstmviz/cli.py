"""The command line: ``python -m lstmviz train | evaluate | trace``."""

from __future__ import annotations

import dataclasses
import shlex
import sys
import time
from pathlib import Path
from typing import Annotated, Literal

import torch
import tyro

from lstmviz import checkpoint as checkpoints
from lstmviz.checkpoint import Checkpoint, TrainConfig, card, figures, strongest_unit
from lstmviz.grammars import GRAMMARS, generate, hidden_variable
from lstmviz.model import LanguageModel, ModelConfig, parameter_count, perplexity
from lstmviz.text import Corpus, Vocabulary, load_corpus
from lstmviz.trace import trace_sentence, trace_tokens, unit_correlations
from lstmviz.training.loop import evaluate as mean_nll
from lstmviz.training.loop import train as training_loop

# Everything of ModelConfig but vocab_size, which the corpus decides.
ModelOptions = dataclasses.make_dataclass(
    "ModelOptions",
    [(f.name, f.type, dataclasses.field(default=f.default)) for f in dataclasses.fields(ModelConfig)[1:]],
)
ModelOptions.__doc__, ModelOptions.__module__ = ModelConfig.__doc__, ModelConfig.__module__


def open_corpus(config: TrainConfig, vocabulary: Vocabulary | None = None) -> Corpus:
    """The corpus that a training configuration names: a grammar, or text on the disk.

    Raises:
        ValueError: there is no such text, or ``vocabulary`` is not the grammar's own.
    """
    if config.corpus in GRAMMARS:
        corpus = generate(config.corpus)
        if vocabulary not in (None, corpus.vocabulary):
            raise ValueError(f"the model was not trained on {config.corpus}, so it does not know that grammar's tokens")
        return corpus
    return load_corpus(Path(config.corpus), config.level, config.max_words, vocabulary)


def train(
    run_dir: tyro.conf.Positional[Path],
    train: Annotated[TrainConfig, tyro.conf.arg(name="")],
    model: Annotated[ModelOptions, tyro.conf.arg(name="")],  # type: ignore[valid-type]
) -> None:
    """Train a language model; the best weights go to RUN_DIR/best.safetensors with a card beside them.

    Args:
        run_dir: folder for the result; made if it is not there.
    """
    corpus = open_corpus(train)
    train = dataclasses.replace(train, level=corpus.vocabulary.level)
    config = ModelConfig(vocab_size=len(corpus.vocabulary), **dataclasses.asdict(model))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(train.seed)
    network = LanguageModel(config).to(device)
    print(
        f"{corpus.name}: {len(corpus.train):,} training tokens, {len(corpus.vocabulary):,} in the vocabulary; "
        f"{config.cell} with {parameter_count(config):,} parameters on {device}",
        flush=True,
    )
    history: dict[str, list] = {"step": [], "train_nll": [], "valid_nll": []}
    best: Checkpoint | None = None
    begun = time.perf_counter()
    try:
        for metrics in training_loop(network, corpus, train):
            for name in metrics.zero_gradients:
                print(f"warning: {name} has a gradient of exactly zero; it will not learn", flush=True)
            for name in history:
                history[name].append(_rounded(getattr(metrics, name)))
            _show_progress(metrics, train.steps, time.perf_counter() - begun)
            if metrics.is_best and metrics.valid_nll is not None:
                best = Checkpoint(
                    model=config,
                    train=dataclasses.replace(train, corpus=Path(train.corpus).name),  # no path of this machine
                    vocabulary=corpus.vocabulary,
                    weights=checkpoints.weights_of(network),
                    step=metrics.step,
                    history={name: list(column) for name, column in history.items()},
                    results={"valid_nll": metrics.valid_nll},
                    corpus_name=corpus.name,
                    corpus_sha256=corpus.sha256,
                    licence=corpus.licence,
                    command=_command(run_dir, train),
                )
                checkpoints.save(best, run_dir / "best.safetensors")
    except KeyboardInterrupt:
        print("\nstopped; keeping the best weights so far", flush=True)
    if best is None:
        raise ValueError("stopped before the first evaluation, so there is nothing to keep")
    best = dataclasses.replace(
        best,
        history=thinned(history),
        results={part: mean_nll(best.build(), getattr(corpus, part[:-4])) for part in ("valid_nll", "test_nll")},
        hidden_variable=_hidden_variable(best, corpus) if train.corpus in GRAMMARS else None,
    )
    checkpoints.save(best, run_dir / "best.safetensors")
    (run_dir / "card.md").write_text(card(best), encoding="utf-8")
    print(f"\n{card(best)}\nsaved {run_dir / 'best.safetensors'} and {run_dir / 'card.md'}")


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
    opened = open_corpus(dataclasses.replace(loaded.train, corpus=corpus), loaded.vocabulary)
    if opened.sha256 != loaded.corpus_sha256:
        print(f"note: this is another text than the one the model was trained on ({loaded.corpus_name})")
    nll = mean_nll(loaded.build(), getattr(opened, part))
    print(f"{checkpoint.stem} on {opened.name} ({part}): {figures(nll, loaded.vocabulary)}")
    if corpus in GRAMMARS:
        print(strongest_unit(_hidden_variable(loaded, opened)))


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


def thinned(history: dict[str, list], most: int = 400) -> dict[str, list]:
    """A history of at most about ``most`` rows: every evaluation, and every n-th other row."""
    n = max(1, len(history["step"]) // most)
    keep = [i for i, nll in enumerate(history["valid_nll"]) if nll is not None or i % n == 0]
    return {name: [column[i] for i in keep] for name, column in history.items()}


def _hidden_variable(checkpoint: Checkpoint, corpus: Corpus) -> dict:
    """|correlation| of each unit's state with a grammar's hidden variable, over 5,000 validation tokens."""
    tokens = corpus.valid[:5000]
    trace, _ = trace_tokens(checkpoint.build(), tokens)
    variable = hidden_variable(corpus.name, [checkpoint.vocabulary.tokens[i] for i in tokens])
    correlations = unit_correlations(trace, variable).round(4).tolist()
    return {"name": GRAMMARS[corpus.name].variable, "correlations": correlations}


def _show_progress(metrics, steps: int, seconds: float) -> None:
    left = seconds / metrics.step * (steps - metrics.step)
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


def _command(run_dir: Path, config: TrainConfig) -> str:
    """The command line that is running, with paths cut down to names."""
    shown = {Path(config.corpus): Path(config.corpus).name, run_dir: f"runs/{run_dir.name}"}
    parts = [argument.rpartition("=") for argument in sys.argv[1:]]  # of --corpus=PATH only the path
    return "python -m lstmviz " + shlex.join(name + sign + shown.get(Path(value), value) for name, sign, value in parts)


def _rounded(value: float | None) -> float | None:
    return value if value is None or isinstance(value, int) else round(value, 4)


def main() -> None:
    """Run one command; a problem with its input is one sentence, not a traceback."""
    try:
        tyro.extras.subcommand_cli_from_dict(
            {"train": train, "evaluate": evaluate, "trace": trace}, prog="lstmviz", config=(tyro.conf.OmitArgPrefixes,)
        )
    except (ValueError, FloatingPointError, OSError) as error:
        sys.exit(f"lstmviz: {error}")
