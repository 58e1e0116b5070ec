"""A checkpoint for people: what it is, where it comes from and how good it is, in words."""

from __future__ import annotations

import math
from collections.abc import Callable

from lstmviz.checkpoint import Checkpoint
from lstmviz.counted import About, Table
from lstmviz.data.grammars import measure
from lstmviz.data.vocabulary import OURS, SPECIALS, UNK, UNKNOWN_MOST, Vocabulary, code, plain, unknown_said
from lstmviz.sizes import parameter_count, perplexity
from lstmviz.tasks import TASKS

Written = Callable[[str], str]  # a text as what it is written into shows it
PARTS = {"valid": "validation", "test": "test"}  # of a corpus, that have results


def figures(nll: float, vocabulary: Vocabulary, unknown: float | None = None, *, accuracy: float | None = None) -> str:
    """A loss in every unit that people quote it in.

    Args:
        nll: in nats per token, or label.
        vocabulary: of the tokens, or labels.
        unknown: the share of ``<unk>`` among the tokens, where it is known.
        accuracy: the share of right labels.
    """
    if accuracy is not None:
        return f"{accuracy:.2%} right, {nll:.4f} nats/{_token(vocabulary)}"
    value = perplexity(nll)
    shown = f"{value:.2f}" if value < 1e6 else f"{value:.3g}"
    bits = f", {nll / math.log(2):.3f} bits/character" if vocabulary.level == "char" else ""
    said = f"{nll:.4f} nats/{_token(vocabulary)}{bits}, perplexity {shown} ({vocabulary.level} level)"
    return said if unknown is None else f"{said}, {unknown_said(unknown)}"


def unknown_warning(unknown: float) -> str:
    """What to say of a loss whose text has so much of ``<unk>``; nothing where it has little."""
    if unknown < UNKNOWN_MOST:
        return ""
    return f"with {unknown_said(unknown)} a perplexity tells little of the rest: the more is unknown, the lower it gets"


def strongest_unit(checkpoint: Checkpoint, text: Written = plain) -> str:
    """The unit that carries most of a grammar's hidden variable, in a sentence."""
    variable = checkpoint.hidden_variable or {}
    value, layer, unit = max(
        (value, layer, unit) for layer, row in enumerate(variable["correlations"]) for unit, value in enumerate(row)
    )
    how = f"{measure(checkpoint.corpus_name)} {value:.3f}"
    return f"{text(variable['name'])}: unit {unit} of layer {layer + 1} carries most of it, {how}"


def card(checkpoint: Checkpoint) -> str:
    """What a person should know of a checkpoint before trusting it, as Markdown."""
    return _rows(facts(checkpoint))


def facts(checkpoint: Checkpoint, text: Written = plain, code: Written = code) -> dict[str, str]:
    """The lines of a card.

    Args:
        text, code: how what comes from a file is written, and in code; by default in Markdown.
    """
    model, vocabulary = checkpoint.model, checkpoint.vocabulary
    rows = {
        **_of_text(checkpoint, vocabulary, checkpoint.reads, text),
        "model": (f"window of {model.window}" if model.window else f"{model.num_layers} × {model.cell}")
        + f", {model.hidden_size} units{' in each direction' * model.bidirectional}, embedding {model.embedding_size}"
        + (f" of rows of {model.row_size} pixels" if model.row_size else "")
        + (f" of words by filters over {model.letters} letters" if model.letters else "")
        + (f", attention: {model.attention}" if model.attention else "")
        + (", tied weights" if model.tie_weights else "")
        + (", adaptive softmax" if model.adaptive_softmax else "")
        + (f", forget bias {model.forget_bias:g}" if model.forget_bias is not None else "")
        + (f", chrono {model.chrono}" if model.chrono is not None else "")
        + (f", dropout {model.dropout}" if model.dropout else "")
        + f"; {parameter_count(model, len(vocabulary)):,} parameters",
        "trained": f"best of {checkpoint.history['step'][-1]:,} steps at step {checkpoint.step:,}, "
        f"seed {checkpoint.train.seed}"
        + (f", on windows of {checkpoint.train.bptt} tokens" if checkpoint.train.objective == "windows" else ""),
        "command": code(checkpoint.command),
    }
    results = checkpoint.results

    def said(part: str) -> str:
        unknown, accuracy = results.get(f"{part}_unknown"), results.get(f"{part}_accuracy")
        loss = figures(results[f"{part}_nll"], vocabulary, unknown, accuracy=accuracy)
        parts = loss, unknown_warning(unknown or 0)
        return "; ".join(filter(None, parts)).replace(UNK, text(UNK))

    if results["valid_nll"] == results.get("test_nll"):
        rows["validation"] = f"{said('valid')}; the data have no other test part"
    else:
        rows |= {label: said(part) for part, label in PARTS.items() if f"{part}_nll" in results}
    known = TASKS[checkpoint.train.task].known.get(checkpoint.corpus_name)
    if known and checkpoint.licence == OURS:  # a person's own may be called the same
        rows["known of the data"] = known
    if checkpoint.hidden_variable:
        rows["hidden variable"] = strongest_unit(checkpoint, text)
    return rows


def table_card(table: Table) -> str:
    """What a person should know of a table of counts, as Markdown."""
    about, vocabulary = table.about, table.vocabulary
    rows = {
        **_of_text(about, vocabulary),
        "counted": "; ".join(f"{runs:,} different runs of {n}" for n, runs in enumerate(about.runs, start=1)),
        "command": code(about.command),
    }
    parts = {"valid": "validation"} if about.valid_nll == about.test_nll else PARTS  # without another test part
    for part, label in parts.items():
        unknown = getattr(about, f"{part}_unknown")
        for n, nll in enumerate(getattr(about, f"{part}_nll"), start=1):
            rows[f"{label}, Kneser-Ney {n}-gram"] = figures(nll, vocabulary, unknown).replace(UNK, plain(UNK))
    return _rows(rows)


def _of_text(
    source: Checkpoint | About, vocabulary: Vocabulary, reads: Vocabulary | None = None, text: Written = plain
) -> dict[str, str]:
    """What was read, by whatever learned from it or counted it."""
    data = {
        "data": f"{text(source.corpus_name)} (sha256 {text(source.corpus_sha256[:16])}…)",
        "licence of the data": text(source.licence),
    }
    if vocabulary.level == "label":
        data["labels"] = text(", ".join(vocabulary.tokens))
    else:
        data["says" if reads else "vocabulary"] = _tokens(vocabulary, text)
    if reads and reads.level == "label":
        return data | {"begun by one of": text(", ".join(reads.tokens))}
    return data | ({"vocabulary": _tokens(reads, text)} if reads else {})


def _tokens(vocabulary: Vocabulary, text: Written) -> str:
    specials = ", ".join(text(token) for token in SPECIALS)
    return f"{len(vocabulary) - len(SPECIALS):,} {_token(vocabulary)}s and {specials}"


def _rows(rows: dict[str, str]) -> str:
    """A Markdown table of two columns."""
    cells = ((name, value.replace("|", r"\|")) for name, value in rows.items())  # a bare | would end the cell
    first, *others = (f"| {name} | {value} |" for name, value in cells)
    return "\n".join([first, "|---|---|", *others])


def _token(vocabulary: Vocabulary) -> str:
    return {"char": "character", "letters": "letter"}.get(vocabulary.level, vocabulary.level)
