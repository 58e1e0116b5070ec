"""A label begins what is said: h_0 and c_0 as they are written out, in all cells."""

import math
from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F

from lstmviz.cells import CELLS
from lstmviz.config import ModelConfig, TrainConfig
from lstmviz.data.captions import corpus_of
from lstmviz.data.labelled import Labelled
from lstmviz.data.vocabulary import IGNORED
from lstmviz.model import LanguageModel
from lstmviz.tasks import fitted_to
from lstmviz.tasks.caption import label_and_said

TEXTS = [Labelled([*text, "\n"], [label]) for label, text in (("b", "xyx"), ("a", "y"), ("c", "xxyyx"))]


@pytest.fixture(autouse=True)
def in_float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.proof("label")
@pytest.mark.parametrize("name", CELLS)
def test_a_text_begins_in_the_state_that_its_label_makes(name: str) -> None:
    corpus = corpus_of("few", [TEXTS] * 3, TrainConfig("few"))
    config = fitted_to(corpus, ModelConfig(name, embedding_size=3, hidden_size=4, num_layers=2))
    model = LanguageModel(config, len(corpus.vocabulary)).eval()
    assert model.labels and model.begin and corpus.reads
    nll = []
    for text in TEXTS:
        e = model.labels.weight[corpus.reads.ids[text.labels[0] or ""]]
        numbers, states = model.begin.weight @ e + model.begin.bias, []
        for cell in model.layers:
            state = cell.initial_state(1)
            for symbol in [each for each in state if each in ("hidden", "cell")]:
                size = state[symbol].shape[-1]
                state[symbol], numbers = numbers[None, :size], numbers[size:]
            states.append(state)
        assert not len(numbers)
        ids = corpus.vocabulary.encode_tokens(text.tokens)
        for before, said in zip([corpus.vocabulary.ids["<sos>"], *ids], ids, strict=False):
            x = model.embedding.weight[before][None]
            for k, cell in enumerate(model.layers):
                states[k] = cell(x[None], states[k])[1]
                x = states[k]["hidden"]
            nll.append(-model.decode(x)[0].log_softmax(-1)[said].item())
    inputs, targets, lengths = label_and_said(corpus.train.transpose(0, 1).long())
    hidden, asked, _ = model.asked(inputs, targets, None, lengths)
    assert F.cross_entropy(model.decode(hidden), asked).item() == pytest.approx(math.fsum(nll) / len(nll), abs=1e-12)
    longer = torch.cat([inputs, torch.full_like(inputs[:2], 0)]), F.pad(targets, (0, 0, 0, 2), value=IGNORED)
    torch.testing.assert_close(model.asked(*longer, None, lengths)[0], hidden, rtol=0, atol=1e-12)  # nothing moves
