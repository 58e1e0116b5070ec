"""How processes that train together stay together: the words that rank 0 says to the others, and when.

All take the same steps. Before the first, after every few and after each evaluation they meet: rank 0, which alone
knows what is asked of the run, says a word, and the others hear it. Both halves stand here side by side, because each
word must be said and heard in the same order. A process alone meets itself before every step, which costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum

from torch import Tensor

from lstmviz.training.loop import Trainer
from lstmviz.training.status import Metrics

MEET_EVERY = 5  # steps


class Word(Enum):
    """What rank 0 can say."""

    SAVE = "save"  # all give what the state of the training needs of them; another word follows
    GO_ON = "go on"  # with the steps up to the next meeting, if there are any left
    STOP = "stop"  # it is over before its end
    FINISHED = "finished"  # after the last step: all is written


def say(trainer: Trainer, word: Word) -> dict[str, Tensor]:
    """Rank 0's half of a word.

    Returns:
        After SAVE the state of the training, whole; after any other word nothing.
    """
    trainer.world.broadcast(word)
    return trainer.state_dict() if word is Word.SAVE else {}


def hear(trainer: Trainer) -> Word:
    """The others' half: do what each SAVE asks for, and give the word after it."""
    while (word := trainer.world.broadcast(None)) is Word.SAVE:
        trainer.state_dict()
    return word


def steps_together(trainer: Trainer, meet: Callable[[Metrics | None], Word]) -> Iterator[Metrics | None]:
    """The steps up to the trainer's end, or to the word STOP; what each ``take_step`` gives.

    Args:
        meet: what this process does at a meeting: rank 0 says what is to be done, the others hear it. It is called with
            what the last step gave, None before the first.
    """
    metrics, due = None, True
    while True:
        if due and meet(metrics) is Word.STOP:
            return
        if trainer.is_over:
            return
        metrics = trainer.take_step()
        yield metrics
        evaluated = metrics is not None and metrics.valid_nll is not None
        due = evaluated or trainer.world.size == 1 or trainer.step % MEET_EVERY == 0
