"""See inside small LSTM language models: train them, trace every gate, draw what they do."""

from lstmviz.charts import gate_figure
from lstmviz.checkpoint import Checkpoint, CheckpointError, TrainConfig, load
from lstmviz.model import LanguageModel, ModelConfig
from lstmviz.text import Corpus, Vocabulary
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
    "gate_figure",
    "load",
    "trace_module",
    "trace_sentence",
]
