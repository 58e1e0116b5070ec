"""How a training stands, in words."""

from __future__ import annotations

import math
from typing import Any


def learned_nothing(records: list[dict[str, Any]]) -> str:
    """A sentence for a training whose lowest validation loss never came below the untrained model's; else empty.

    The untrained model's is that of the first step, which is taken before anything is learned. It costs nothing more,
    is there in every run, and holds for every decoder, as ln V does not for an adaptive softmax. A window is enough for
    it: to a model that was just drawn all tokens are about as likely.

    Args:
        records: of a run, from its first step on.
    """
    losses = [record["valid_nll"] for record in records if record["valid_nll"] is not None]
    untrained = records[0]["train_nll"] if records and records[0]["step"] == 1 else math.inf
    if not losses or min(losses) < untrained:
        return ""
    return (
        f"nothing was learned: the lowest validation loss is {short(min(losses))} nats, that of the untrained model "
        f"was {short(untrained)}; the learning rate may be too high, or the training too short"
    )


def short(nll: float, decimals: int = 4) -> str:
    """A loss with so many decimals, or, where it exploded, with its power of ten."""
    return f"{nll:.{decimals}f}" if abs(nll) < 1e6 else f"{nll:.3g}"
