"""What differs between models before they read anything: how they were made, how good and how fast they are."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

from lstmviz.data.expressions import Expression
from lstmviz.data.vocabulary import EOS, inline, unknown_said
from lstmviz.opened import OpenModel
from lstmviz.sizes import parameter_count, perplexity


@dataclass(frozen=True)
class Fact:
    """One thing that is known of every model.

    Args:
        label: what it is.
        values: one a model.
    """

    label: str
    values: list[str]

    @property
    def differs(self) -> bool:
        return len(set(self.values)) > 1


@dataclass(frozen=True)
class Differences:
    """What is known of several models.

    Args:
        facts: those that differ, first; then those that are always said.
        same: what else is the same in all, in a sentence; empty where that is nothing.
    """

    facts: list[Fact]
    same: str


NONE = "–"  # of a model that has nothing of the kind
# Are said also where they do not differ.
ALWAYS = ("cell", "parameters", "validation", "perplexity", "right", "reads here")
USUAL = {  # need no word
    "reads from the left",
    "reads from the leaves to the root",
    "tied weights no",
    "adaptive softmax no",
    "forget bias as drawn",
    "chrono no",
    "dropout 0",
}


def differences(models: Sequence[OpenModel], speeds: Sequence[float | None]) -> Differences:
    """What differs between models, and what is the same in all.

    Args:
        models: two or more.
        speeds: tokens a second of each, as ``speed`` measures them; None where that is not to be said.
    """
    table: dict[str, list[str | None]] = {}
    for model, fast in zip(models, speeds, strict=True):
        config, train = model.checkpoint.model, model.checkpoint.train
        nll, level = model.checkpoint.results["valid_nll"], model.checkpoint.vocabulary.level
        unknown = model.checkpoint.results.get("valid_unknown", 0)
        accuracy = model.checkpoint.results.get("valid_accuracy")
        whole = f"whole {model.task.whole}s" if model.task.parts else f"{train.bptt} tokens"
        window = f"{model.side} rows" if model.side else whole
        window += f" × {train.batch_size}" + (", each read from nothing" if train.objective == "windows" else "")
        for label, value in {
            "cell": config.cell,
            "parameters": f"{parameter_count(config, len(model.checkpoint.vocabulary)):,}",
            "reads": reads_how(model),
            "attention": config.attention,
            "filters": f"over {config.letters} letters" if config.letters else None,
            "right": None if accuracy is None else f"{accuracy:.2%}",
            "validation": f"{nll:.4f} nats/{level}" + (f", {unknown_said(unknown)}" if unknown else ""),
            "trained on": inline(model.checkpoint.corpus_name),
            "units": f"{config.hidden_size}",
            "layers": f"{config.num_layers}",
            "perplexity": f"{perplexity(nll):.2f}" if accuracy is None else None,
            "embedding": f"{config.embedding_size}",
            "seed": f"{train.seed}",
            "best at step": f"{model.checkpoint.step:,} of {model.checkpoint.history['step'][-1]:,}",
            "learning rate": f"{train.learning_rate:g}, {train.schedule}",
            "window": window,
            "dropout": f"{config.dropout:g}",
            "tied weights": "yes" if config.tie_weights else "no",
            "adaptive softmax": "yes" if config.adaptive_softmax else "no",
            "forget bias": "as drawn" if config.forget_bias is None else f"{config.forget_bias:g}",
            "chrono": "no" if config.chrono is None else f"{config.chrono}",
            "reads here": None if fast is None else f"{fast:,.0f} {model.task.column}s/s",
        }.items():
            table.setdefault(label, []).append(value)
    if len(set(table["cell"])) == len(models):
        del table["cell"]  # each is called by it
    # Of labels nobody quotes a perplexity, and of a text's tokens no share of right ones.
    facts = [Fact(label, [value or NONE for value in values]) for label, values in table.items() if any(values)]
    said = [fact for fact in facts if fact.differs] + [f for f in facts if not f.differs and f.label in ALWAYS]
    said.sort(key=lambda fact: fact.label == "reads here")  # a matter of this machine and of how the cell is run: last
    same = [f"{fact.label} {fact.values[0]}" for fact in facts if not fact.differs and fact.label not in ALWAYS]
    same = [words for words in same if words not in USUAL]
    return Differences(said, f"The same in all: {', '.join(same)}." if same else "")


def reads_how(opened: OpenModel) -> str:
    """From where to where a model reads."""
    if opened.reads_trees:
        return "from the leaves to the root"
    return "in both directions" if opened.looks_ahead else "from the left"


def speed(opened: OpenModel) -> float:
    """Tokens a second of a plain forward pass over 64 tokens (or one piece), on this machine; the median of five.

    Of images it is the rows of one; of trees the 40 nodes of one.
    """
    import torch

    from lstmviz.model import at_once

    model, shape, text = opened.model, None, "1"
    if opened.reads_trees:
        for _ in range(3):
            text = f"max({text}, {text}, {text})"
        tree = Expression.parse(text)
        tokens = torch.tensor(opened.reads.encode_tokens(tree.symbols))[:, None]
        shape = torch.tensor(tree.parents)[:, None]
    elif opened.side:
        tokens = torch.zeros(opened.side, 1, opened.side)
    else:
        count = min(64, at_once(len(opened.checkpoint.vocabulary)))
        tokens = torch.tensor(opened.reads.encode_tokens([EOS] * count))[:, None]
        tokens = tokens[..., None].expand(-1, -1, 2) if opened.says_another else tokens
    times = []
    with torch.no_grad():
        for _ in range(6):
            begun = time.perf_counter()
            model.decode(model.run(model.embed(tokens), None, shape)[0])
            times.append(time.perf_counter() - begun)
    return len(tokens) / statistics.median(times[1:])
