"""See inside small LSTM language models: train them, trace every gate, draw what they do."""

from lstmviz.charts import gate_figure
from lstmviz.checkpoint import Checkpoint, CheckpointError, load
from lstmviz.config import ModelConfig, TrainConfig
from lstmviz.data.vocabulary import Corpus, Vocabulary
from lstmviz.model import LanguageModel
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
