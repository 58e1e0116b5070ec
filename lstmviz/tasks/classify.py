"""N–1: an image, read row by row, to its label."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lstmviz.config import TrainConfig
from lstmviz.data.images import DIGITS, open_images
from lstmviz.data.vocabulary import Corpus, Vocabulary
from lstmviz.tasks.base import READ_TO_THE_END, Task

if TYPE_CHECKING:
    from torch import Tensor


def rows_and_label(batch: Tensor) -> tuple[Tensor, Tensor, None]:
    """Of images ``(T, B, W + 1)`` the rows, greys from 0 to 1, ``(T, B, W)``; the label after the last, ``(1, B)``."""
    return batch[..., :-1].float() / 255, batch[-1:, :, -1], None


def _open(config: TrainConfig, labels: Vocabulary | None, _: Vocabulary | None) -> Corpus:
    return open_images(config.corpus, labels, config.permuted)


CLASSIFY = Task(
    "classify",
    "an image: which digit it is",
    (DIGITS,),
    _open,
    rows_and_label,
    column="row",
    whole="image",
    label="digit",
    reads="images",
    one_way=READ_TO_THE_END,
)
