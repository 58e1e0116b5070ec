"""Which explanation each cell has: it is given or, where the cell lacks the notion, a sentence says why."""

from collections.abc import Callable

import numpy as np
import pytest

from lstmviz import (
    GateTrace,
    ablate,
    arithmetic,
    connectivity,
    force,
    itemised,
    memory,
    saliency,
    saturation,
    trace_sentence,
)
from lstmviz.cells import CELLS, TREE_CELLS

TEXT = "abc a"
LACKING = {  # all others have all
    "memory": {"rnn"},
    "gradient of c": {"rnn", "gru", "gru_v1", "janet", "mingru", "minlstm"},
    "BPTT itemised": {"mingru", "minlstm"},
    "saturation": {"rnn"},
}


@pytest.mark.parametrize("name", [*CELLS, *TREE_CELLS])
def test_every_cell_is_explained_or_says_why_not(name: str, make_checkpoint: Callable, record_property) -> None:
    checkpoint = make_checkpoint(cell=name, num_layers=2)
    model, vocabulary = checkpoint.build(), checkpoint.vocabulary

    def trace() -> GateTrace:
        of_tree = GateTrace({"hidden": np.zeros((2, 5, 4))}, name)
        return of_tree if name in TREE_CELLS else trace_sentence(model, vocabulary, TEXT)

    asked: dict[str, Callable[[], object]] = {
        "arithmetic": lambda: arithmetic(checkpoint, TEXT, 1).term("h").value,
        "memory": lambda: memory(trace()).norms(),
        "saliency": lambda: saliency(model, vocabulary, TEXT).integrated,
        "gradient of h": lambda: connectivity(model, vocabulary, TEXT).norms,
        "gradient of c": lambda: connectivity(model, vocabulary, TEXT, "cell").norms,
        "BPTT itemised": lambda: itemised(model, vocabulary, TEXT).norms,
        "forcing": lambda: force(model, vocabulary, TEXT, [{"op": "cut", "at": 2}]).change[1:],
        "ablation": lambda: ablate(model, vocabulary, TEXT),
        "saturation": lambda: [*saturation(model, vocabulary, TEXT).mean.values()],
    }
    for title, ask in asked.items():
        try:
            assert np.isfinite(ask()).all()
            said = "yes"
        except ValueError as error:
            said = str(error)
        record_property("explained", [name, title, said.replace(name, "the cell")])
        assert (said != "yes") == (name in TREE_CELLS or name in LACKING.get(title, ())), said
