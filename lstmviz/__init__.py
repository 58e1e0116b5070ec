"""See inside small LSTM language models: train them, trace every gate, draw what they do."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lstmviz.charts import gate_figure
    from lstmviz.checkpoint import Checkpoint, CheckpointError, load
    from lstmviz.config import ModelConfig, TrainConfig
    from lstmviz.data.vocabulary import Corpus, Vocabulary
    from lstmviz.explain.arithmetic import arithmetic
    from lstmviz.explain.forcing import ablate, force
    from lstmviz.explain.gradients import connectivity, exploding, itemised, saliency
    from lstmviz.explain.memory import memory
    from lstmviz.explain.saturation import saturation
    from lstmviz.model import LanguageModel
    from lstmviz.page import live_page
    from lstmviz.trace import GateTrace, trace_module, trace_sentence

__all__ = [
    "Checkpoint",
    "CheckpointError",
    "Corpus",
    "GateTrace",
    "LanguageModel",
    "ModelConfig",
    "TrainConfig",
    "Vocabulary",
    "ablate",
    "arithmetic",
    "connectivity",
    "exploding",
    "force",
    "gate_figure",
    "itemised",
    "live_page",
    "load",
    "memory",
    "saliency",
    "saturation",
    "trace_module",
    "trace_sentence",
]

_MODULES = {
    "charts": ("gate_figure",),
    "checkpoint": ("Checkpoint", "CheckpointError", "load"),
    "config": ("ModelConfig", "TrainConfig"),
    "data.vocabulary": ("Corpus", "Vocabulary"),
    "explain.arithmetic": ("arithmetic",),
    "explain.forcing": ("ablate", "force"),
    "explain.gradients": ("connectivity", "exploding", "itemised", "saliency"),
    "explain.memory": ("memory",),
    "explain.saturation": ("saturation",),
    "model": ("LanguageModel",),
    "page": ("live_page",),
    "trace": ("GateTrace", "trace_module", "trace_sentence"),
}


def __getattr__(name: str) -> Any:
    """What is asked for is imported then: a training that waits for its turn needs no torch."""
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"lstmviz.{module}"), name)
    raise AttributeError(f"module 'lstmviz' has no attribute {name!r}")
