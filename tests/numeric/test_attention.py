"""One sequence said for another: beside the equations written out, and each pair by itself."""

import math

import pytest
import torch
import torch.nn.functional as F

from lstmviz.cells import CELLS
from lstmviz.config import ModelConfig
from lstmviz.data.pairs import GENERATED, corpus_of
from lstmviz.data.vocabulary import IGNORED, PADDING, Corpus
from lstmviz.layers import Attending
from lstmviz.model import LanguageModel
from lstmviz.tasks import fitted_to
from lstmviz.tasks.translate import source_and_said
from lstmviz.translation import NEVER, say, trace_translation

EXACT = {"rtol": 0, "atol": 1e-12}
READ = ("123", "4", "98765", "11")


@pytest.fixture(autouse=True)
def in_float64():
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    pairs = [GENERATED["reverse"].of(list(source)) for source in READ]
    return corpus_of("few", [pairs] * 3, ("char", "char"))


def model_of(corpus: Corpus, **options) -> LanguageModel:
    config = fitted_to(corpus, ModelConfig(**{"embedding_size": 3, "hidden_size": 4, "num_layers": 2, **options}))
    return LanguageModel(config, len(corpus.vocabulary))


def written_out(model: LanguageModel, source: list[int], before: list[int], told: list[int]) -> float:
    """The mean nll of one pair, a step and a sum at a time, as the docstring of `Attending` has it."""
    layers = model.layers
    assert isinstance(layers, Attending)
    vector = lambda token: model.embedding.weight[token][None]  # noqa: E731
    below = [vector(token) for token in source]
    for forward, reverse in zip(list(layers.reader)[::2], list(layers.reader)[1::2], strict=True):
        said = {}
        for cell, order in ((forward, range(len(below))), (reverse, reversed(range(len(below))))):
            state = cell.initial_state(1)
            for s in order:
                state = last_of(cell, below[s], state)
                said[cell, s] = state["hidden"]
        below = [torch.cat([said[forward, s], said[reverse, s]], dim=-1) for s in range(len(below))]
    memory, H = below, below[0].shape[-1] // 2
    ends = torch.cat([memory[-1][:, :H], memory[0][:, H:]], dim=-1)
    begins = ends @ layers.begin.weight.T + layers.begin.bias
    states = [cell.initial_state(1) for cell in layers.speaker]
    for state in states:
        for name in [name for name in state if name in ("hidden", "cell")]:
            size = state[name].shape[-1]
            state[name], begins = begins[:, :size], begins[:, size:]
    nll = []
    for token, right in zip(before, told, strict=True):
        x = vector(token)
        for k, cell in enumerate(layers.speaker):
            states[k] = last_of(cell, x, states[k])
            x = states[k]["hidden"]
        if layers.score is not None and layers.combine is not None:
            scores = [(x @ layers.score.weight.T * m).sum() for m in memory]
            alphas = [torch.exp(score - torch.logsumexp(torch.stack(scores), 0)) for score in scores]
            seen = torch.stack([alpha * m for alpha, m in zip(alphas, memory, strict=True)]).sum(0)
            x = torch.tanh(torch.cat([seen, x], dim=-1) @ layers.combine.weight.T + layers.combine.bias)
        nll.append(-model.decode(x)[0].log_softmax(-1)[right].item())
    return math.fsum(nll) / len(nll)


def last_of(cell, x, state):
    """One step of a cell: its state after it."""
    return cell(x[None], state)[1]


def pair(row: torch.Tensor) -> tuple[list[int], list[int], list[int]]:
    source, before, told = row.long().unbind(-1)
    count = int((told != IGNORED).sum())
    return source[source != PADDING].tolist(), before[:count].tolist(), told[:count].tolist()


@pytest.mark.proof("attention")
@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("attention", ["luong", "none"])
def test_a_batch_is_each_pair_by_itself_as_the_equations_have_it(name: str, attention: str, corpus: Corpus) -> None:
    model = model_of(corpus, cell=name, attention=attention).eval()
    inputs, targets, lengths = source_and_said(corpus.train.transpose(0, 1).long())
    hidden, asked, _ = model.asked(inputs, targets, None, lengths)
    loss = F.cross_entropy(model.decode(hidden), asked)  # of the model itself it is float32
    pairs = [pair(row) for row in corpus.train]
    counts = [len(told) for *_, told in pairs]
    alone = [written_out(model, *each) * n for each, n in zip(pairs, counts, strict=True)]
    assert loss.item() == pytest.approx(math.fsum(alone) / sum(counts), abs=1e-12)


@pytest.mark.parametrize("attention", ["luong", "none"])
def test_what_follows_a_shorter_pair_moves_nothing(attention: str, corpus: Corpus) -> None:
    model = model_of(corpus, attention=attention)
    batch = corpus.train.transpose(0, 1).long()
    inputs, targets, lengths = source_and_said(batch)
    model.loss(inputs, targets, None, lengths)[0].backward()
    together = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    total = int((targets != IGNORED).sum())
    for k in range(len(READ)):
        inputs, targets, lengths = source_and_said(batch[:, k : k + 1])
        share = int((targets != IGNORED).sum()) / total
        (model.loss(inputs, targets, None, lengths)[0] * share).backward()
    for name, p in model.named_parameters():
        torch.testing.assert_close(p.grad, together.get(name), rtol=0, atol=1e-7)


@pytest.mark.parametrize("attention", ["luong", "none"])
def test_what_is_said_is_the_likeliest_again_and_again(attention: str, corpus: Corpus) -> None:
    model = model_of(corpus, attention=attention).eval()
    source = corpus.train[..., 0].t().long()  # (S, B)
    said, looks = say(model, source, 6)
    assert (looks is None) == (attention == "none")
    for b, read in enumerate(READ):
        alone = trace_translation(model, source[: len(read), b], most=6)
        mine = said[:, b][said[:, b] != PADDING]
        assert alone.said.tolist() == mine.tolist()
        first = [next(i for i in row if i not in NEVER) for row in alone.likely.ids.tolist()]
        assert first == mine.tolist()
        assert alone.reader["forget_gate"].shape == (2, 2, len(read), 4)  # layers, directions, steps, units
        assert alone.speaker["forget_gate"].shape == (2, len(mine), 4)
        if looks is not None and alone.looks is not None:
            torch.testing.assert_close(torch.tensor(alone.looks), looks[b, : len(mine), : len(read)], **EXACT)
            assert alone.looks.sum(1) == pytest.approx(1)
            assert not looks[b, :, len(read) :].any()  # never behind the end
        given = trace_translation(model, source[: len(read), b], torch.tensor(alone.said))
        assert given.speaker.nll == pytest.approx(alone.speaker.nll)
    assert not set(said.flatten().tolist()) & {1, 2}
