"""How a training stands, in words and figures; and what a teacher would remark."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from lstmviz.card import unknown_warning
from lstmviz.data.vocabulary import plain, shown
from lstmviz.sizes import perplexity
from lstmviz.tasks import TASKS
from lstmviz.training.folder import Record, Snapshot


@dataclass(frozen=True)
class Row:
    """A training in a table of several.

    Args:
        run: its name.
        state: as in Status.
        done: its share in percent.
        perplexity: the best, on the validation part; None before the first evaluation, and of labels.
        accuracy: of labels, the share of right ones in percent where the loss was lowest.
        parameters: None while the model is not built.
        per_second: tokens, or rows, the median; None before the first record, as are the seconds.
    """

    run: str
    state: str
    done: float
    perplexity: float | None
    accuracy: float | None
    parameters: int | None
    per_second: int | None
    seconds: int | None


def row(seen: Snapshot) -> Row:
    """A training's row in the table."""
    status, records, best, accuracy = seen.status, seen.records, seen.best_nll, best_accuracy(seen.records)
    return Row(
        run=shown(seen.run.name),
        state=status.state if status else "starting",
        done=100 * share_done(seen),
        perplexity=None if best is None or accuracy is not None else perplexity(best),
        accuracy=None if accuracy is None else 100 * accuracy,
        parameters=status.parameters or None if status else None,
        per_second=round(median(record.tokens_per_second for record in records)) if records else None,
        seconds=round(records[-1].seconds) if records else None,
    )


def best_accuracy(records: Sequence[Record]) -> float | None:
    """The share of right labels where the validation loss was lowest; None before that, and where none are said."""
    judged = [(r.valid_nll, r.valid_accuracy) for r in records if None not in (r.valid_nll, r.valid_accuracy)]
    return min(judged)[1] if judged else None


def share_done(seen: Snapshot) -> float:
    """From 0 to 1; a training that needed fewer steps than it might have taken is done, too."""
    if seen.status is None:
        return 0.0
    return 1.0 if seen.status.state == "finished" else min(1.0, seen.status.step / seen.config.train.steps)


def standing(seen: Snapshot) -> str:
    """How a training stands, in one line."""
    status, records, steps = seen.status, seen.records, seen.config.train.steps
    if status is None:
        return "starting"
    if status.state == "unreadable":
        return "what was asked of it cannot be read"
    state = "held by the system" if status.state == "held" else status.state
    words = f"{state} · step {status.step:,} of {steps:,}"
    if status.state == "finished" and status.step < steps:
        words = f"finished after {status.step:,} of {steps:,} steps: its validation loss fell no further"
    if records:
        last = records[-1]
        right = best_accuracy(records)
        words += f" · loss {short(last.train_nll, 3)}" + ("" if right is None else f" · {right:.1%} right")
        words += f" · {last.tokens_per_second:,.0f} {TASKS[seen.config.train.task].column}s/s"
        if status.state == "running" and status.step >= steps:
            words += " · reckoning the exact figures of the best weights"
        elif status.state == "running":
            words += f" · {duration(last.seconds / max(1, last.step) * (steps - status.step))} left"
    return words


def problem(seen: Snapshot) -> str:
    """What went wrong, as a sentence in Markdown; empty if nothing did."""
    status = seen.status
    if status is None:
        return ""
    said = plain(status.message)
    if status.state == "failed":
        kept = "The best weights until then are kept."
        none = "It has left no weights: it was never evaluated."
        return f"It failed: {said}. {kept if seen.has_weights else none}"
    if status.state == "unreadable":
        return f"It cannot be read: {said}. What can be read of it is below; it cannot be gone on with."
    if status.state == "held":
        return (
            f"Its process was stopped from outside (SIGSTOP, or Ctrl-Z in its terminal) and waits: "
            f"`kill -CONT {status.pid}` lets it go on."
        )
    if status.message and status.state in ("stopped", "crashed"):
        return f"It was not resumed: {said}." if status.pid else f"{said[0].upper()}{said[1:]}."
    return ""


def warning(seen: Snapshot) -> str:
    """That nothing was learned, as a sentence; empty if something was."""
    nothing = learned_nothing(seen.records)
    if not nothing:
        return ""
    so_far = "" if seen.status and seen.status.state == "finished" else "so far "
    said = f"{so_far}{nothing}."
    return said[0].upper() + said[1:]


def health(records: Sequence[Record], clip_norm: float) -> list[str]:
    """What a teacher would remark, as sentences in Markdown.

    Args:
        records: of a run, from its first step on.
        clip_norm: as in TrainConfig.
    """
    if not records:
        return []
    remarks = []
    if names := [plain(name) for name in records[0].zero_gradients]:
        they = "they" if len(names) > 1 else "it"
        remarks.append(f"No gradient reaches {', '.join(names)} at the first step: {they} will not learn.")
    if unknown := unknown_warning(records[-1].valid_unknown):
        remarks.append(f"In the validation part, {plain(unknown)}.")
    recent = records[-10:]
    if sum(record.gradient_norm > clip_norm for record in recent) > len(recent) / 2:
        remarks.append("The gradient is longer than the clip threshold most of the time and is being cut down.")
    losses = [(r.valid_nll, r.train_nll, r.valid_accuracy) for r in records if r.valid_nll is not None][-4:]
    rises = all(before[0] < after[0] for before, after in pairwise(losses))
    if len(losses) == 4 and rises and losses[-1][1] < losses[0][1]:
        what = "text" if losses[-1][2] is None else "data"
        remarks.append(
            f"The validation loss rises while the training loss falls: the model is learning the {what} by heart."
        )
    return remarks


def learned_nothing(records: Sequence[Record]) -> str:
    """A sentence for a training whose lowest validation loss never came below the untrained model's; else empty.

    The untrained model's is that of the first step, which is taken before anything is learned. It costs nothing more,
    is there in every run, and holds for every decoder, as ln V does not for an adaptive softmax. A window is enough for
    it: to a model that was just drawn all tokens are about as likely.

    Args:
        records: of a run, from its first step on.
    """
    losses = [record.valid_nll for record in records if record.valid_nll is not None]
    untrained = records[0].train_nll if records and records[0].step == 1 else math.inf
    if not losses or min(losses) < untrained:
        return ""
    return (
        f"nothing was learned: the lowest validation loss is {short(min(losses))} nats, that of the untrained model "
        f"was {short(untrained)}; the learning rate may be too high, or the training too short"
    )


def short(nll: float, decimals: int = 4) -> str:
    """A loss with so many decimals, or, where it exploded, with its power of ten."""
    return f"{nll:.{decimals}f}" if abs(nll) < 1e6 else f"{nll:.3g}"


def duration(seconds: float) -> str:
    """A time as a person says it."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    if minutes < 90:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min" if minutes < 48 * 60 else f"{minutes // 1440:,} days"
