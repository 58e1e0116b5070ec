"""Steps captured as a CUDA graph leave the bits of those that are not; without a card a stand-in is the graph."""

import dataclasses
import warnings
from collections.abc import Callable

import pytest
import torch

from lstmviz.cells import CELLS
from lstmviz.config import ModelConfig, TrainConfig
from lstmviz.data.grammars import generate
from lstmviz.model import LanguageModel
from lstmviz.training import captured
from lstmviz.training.captured import WARM_UP, Captured, Record
from lstmviz.training.loop import Trainer

CORPUS = generate("brackets", 400)
# Nine windows an epoch, so that 20 steps begin two anew.
SHORT = dataclasses.replace(CORPUS, train=CORPUS.train[: 8 * (9 * 16 + 1)])
CONFIG = TrainConfig("brackets", bptt=16, batch_size=8, learning_rate=1e-2, steps=20, eval_every=7)
DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")),
]


def stand_in(step: Callable[[], None], stream: object) -> Callable[[], None]:
    """What a graph does, without a card: a replay reads and writes where the recorded step did."""
    made: Captured = step.__self__  # type: ignore[attr-defined]
    random = torch.get_rng_state()
    step()
    torch.set_rng_state(random)
    loss, after, gradients = made.loss, made.after, made.gradients

    def replay() -> None:
        step()
        loss.copy_(made.loss)
        for into, layer in zip(after, made.after, strict=True):
            for name, value in layer.items():
                into[name].copy_(value)
        for into, gradient in zip(gradients, made.gradients, strict=True):
            if into is not None and gradient is not None:
                into.copy_(gradient)
        made.loss, made.after, made.gradients = loss, after, gradients

    return replay


def no_graph(step: Callable[[], None], stream: object) -> Callable[[], None]:
    """A capture that breaks off in the middle."""
    random = torch.get_rng_state()
    step()
    torch.set_rng_state(random)
    raise RuntimeError("operation not permitted when stream is capturing\nand what torch says of it")


def make(device: str, record: Record | None, config: TrainConfig = CONFIG, **options) -> Trainer:
    """A trainer whose steps are captured by ``record``; by none where that is None."""
    torch.manual_seed(0)
    sizes = {"embedding_size": 4, "hidden_size": 8, "num_layers": 2, **options}
    model = LanguageModel(ModelConfig(**sizes), len(CORPUS.vocabulary)).to(device)
    trainer = Trainer(model, SHORT, config)
    trainer.passes = trainer._passes if record is None else Captured(trainer._passes, model.parameters(), record)
    return trainer


def recorder(device: str) -> Record:
    return stand_in if device == "cpu" else captured.cuda_graph


def assert_same_bits(one: Trainer, other: Trainer) -> None:
    a, b = one.state_dict(), other.state_dict()
    assert a.keys() == b.keys()
    assert [name for name in a if name != "clock" and not torch.equal(a[name], b[name])] == []


def records(trainer: Trainer) -> list[dict]:
    timed = ("seconds", "tokens_per_second")
    found = [dataclasses.asdict(metrics) for metrics in trainer if metrics]
    return [{name: value for name, value in record.items() if name not in timed} for record in found]


CELL_BY_CELL = [("cpu", cell) for cell in ("lstm", "peephole", "slstm")]
CELL_BY_CELL += [pytest.param("cuda", cell, marks=DEVICES[1].marks) for cell in CELLS]


@pytest.mark.parametrize("bfloat16", [False, True])
@pytest.mark.parametrize(("device", "cell"), CELL_BY_CELL)
def test_captured_steps_leave_the_bits_of_eager_ones(device: str, cell: str, bfloat16: bool) -> None:
    config = dataclasses.replace(CONFIG, bfloat16=bfloat16)
    one = make(device, None, config, cell=cell, dropout=0.2)
    expected = records(one)
    other = make(device, recorder(device), config, cell=cell, dropout=0.2)
    assert records(other) == expected
    assert_same_bits(one, other)
    assert isinstance(other.passes, Captured) and other.passes.replay is not None and not other.passes.refused


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("schedule", ["constant", "cosine", "plateau"])
def test_every_schedule_goes_through_a_graph(device: str, schedule: str) -> None:
    config = dataclasses.replace(CONFIG, schedule=schedule, eval_every=4, clip_norm=1e-3)
    one = make(device, None, config)
    expected = records(one)
    other = make(device, recorder(device), config)
    assert records(other) == expected
    assert_same_bits(one, other)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("stop", [2, WARM_UP + 1, 8, 9, 15])
def test_a_resumed_training_is_the_one_that_never_stopped(device: str, stop: int) -> None:
    whole = make(device, recorder(device), dropout=0.3)
    list(whole)
    first = make(device, recorder(device), dropout=0.3)
    for _ in range(stop):
        first.take_step()
    saved, again = first.state_dict(), first.state_dict()
    second = make(device, recorder(device), dropout=0.3)
    second.load_state_dict(saved)
    list(second)
    assert_same_bits(whole, second)
    list(first)
    first.load_state_dict(again)  # into the one that has its graph already
    list(first)
    assert_same_bits(whole, first)


@pytest.mark.parametrize("device", DEVICES)
def test_where_no_graph_can_be_had_training_goes_on_as_if_none_had_been_tried(device: str) -> None:
    def breaks(step: Callable[[], None], stream: torch.cuda.Stream | None) -> Callable[[], None]:
        def asking() -> None:
            step()
            step.__self__.loss.item()  # type: ignore[attr-defined]

        return captured.cuda_graph(asking, stream)

    one = make(device, None, dropout=0.3)
    expected = records(one)
    other = make(device, no_graph if device == "cpu" else breaks, dropout=0.3)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = records(other)
    assert expected == found
    assert_same_bits(one, other)
    assert [str(w.message).partition(":")[0] for w in said] == ["training goes on without a CUDA graph, more slowly"]
    assert "\n" not in str(said[0].message)


def test_a_state_of_another_dtype_is_not_rounded() -> None:
    seen = []

    def passes(window, state):
        seen.append(state and state[0]["h"].dtype)
        dtype = torch.bfloat16 if state is None else torch.float32
        return torch.zeros(()), [{"h": torch.ones(2, dtype=dtype)}]

    step, window, state = Captured(passes, torch.nn.Linear(1, 1).parameters(), stand_in), torch.zeros(2, 1), None
    for _ in range(WARM_UP + 2):
        _, state = step(window, state)
    assert step.replay is not None and step.before[0]["h"].dtype == torch.float32
    seen.clear()
    _, state = step(window, None)
    _, state = step(window, state)
    _, state = step(window, state)
    assert seen == [None, torch.bfloat16, torch.float32]


def test_a_training_on_the_cpu_captures_nothing_and_goes_on_on_a_card_and_back() -> None:
    trainer = make("cpu", None)
    assert not isinstance(Trainer(trainer.model, SHORT, CONFIG).passes, Captured)
    if torch.cuda.is_available():
        trainer.take_step()
        card = make("cuda", captured.cuda_graph)
        assert isinstance(Trainer(card.model, SHORT, CONFIG).passes, Captured)
        card.load_state_dict(trainer.state_dict())
        for _ in range(6):
            card.take_step()
        trainer.load_state_dict(card.state_dict())
        trainer.take_step()
        assert trainer.step == 8


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_an_adaptive_softmax_trains_on_a_card_without_a_graph() -> None:
    words = torch.tensor([3, 1_999, 2_000, 9_999]).repeat(500)
    corpus = dataclasses.replace(CORPUS, train=words, valid=words[:40])
    model = LanguageModel(ModelConfig("lstm", 8, 8, adaptive_softmax=True), 10_000).cuda()
    trainer = Trainer(model, corpus, CONFIG)
    assert not isinstance(trainer.passes, Captured)
    losses = [metrics.valid_nll for metrics in trainer if metrics and metrics.valid_nll]
    assert losses[-1] < losses[0]
