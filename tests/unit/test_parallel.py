"""Several processes train one model: as one would, and whatever happens to one of them."""

import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from lstmviz.checkpoint import load
from lstmviz.config import ModelConfig, TrainConfig
from lstmviz.data.grammars import generate
from lstmviz.model import LanguageModel
from lstmviz.training.folder import Run, RunConfig
from lstmviz.training.loop import Metrics, Trainer
from lstmviz.training.meeting import Word, hear, say, steps_together
from lstmviz.training.parallel import ALONE, World
from lstmviz.training.process import execute

ROOT = Path(__file__).parents[2]
CORPUS = generate("brackets", 400)
CONFIG = TrainConfig("brackets", bptt=16, batch_size=8, learning_rate=1e-2, steps=60, eval_every=30)


@dataclasses.dataclass(frozen=True)
class Threads(World):
    """Threads in place of processes; what they say to each other lies in a list."""

    said: list[Any] = dataclasses.field(default_factory=list)
    barrier: threading.Barrier = dataclasses.field(default_factory=lambda: threading.Barrier(1))

    def gather(self, value):
        self.said[self.rank] = value
        self.barrier.wait(30)
        values = list(self.said)
        self.barrier.wait(30)
        return values

    def broadcast(self, value):
        return self.gather(value)[0]

    def mean(self, tensor):
        return torch.stack(self.gather(tensor.clone())).mean(0)


def train(world: World) -> tuple[Trainer, list[Metrics]]:
    model = LanguageModel(ModelConfig(embedding_size=4, hidden_size=8), len(CORPUS.vocabulary))
    with torch.no_grad():
        for number, parameter in enumerate(model.parameters()):
            parameter.copy_(torch.rand(parameter.shape, generator=torch.Generator().manual_seed(number)) - 0.5)
    trainer = Trainer(model, CORPUS, CONFIG, world)
    return trainer, [metrics for metrics in trainer if metrics]


@pytest.mark.parametrize("size", [2, 4])
def test_many_take_the_steps_that_one_would(size):
    alone, expected = train(ALONE)
    said, barrier = [None] * size, threading.Barrier(size)
    with ThreadPoolExecutor(size) as pool:
        trained = list(pool.map(train, [Threads(rank, size, 0, said, barrier) for rank in range(size)]))
    for trainer, records in trained:
        assert trainer.batches[0][:, trainer.mine].shape[1] == 8 // size
        for one, other in zip(alone.model.parameters(), trainer.model.parameters(), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)
        for name in ("step", "epoch", "train_nll", "is_best", "gradient_norm"):
            values = [[getattr(metrics, name) for metrics in metricses] for metricses in (records, expected)]
            assert values[0] == pytest.approx(values[1], rel=1e-3)
        assert records[-1].valid_nll == pytest.approx(expected[-1].valid_nll, rel=1e-3)
    first = list(trained[0][0].model.parameters())
    assert all(p.equal(q) for trainer, _ in trained for p, q in zip(first, trainer.model.parameters(), strict=True))


@pytest.mark.parametrize("asked", [[], ["go on"], ["save"], ["go on", "go on", "save", "save", "go on", "stop"]])
def test_all_hear_the_words_that_one_says_and_take_the_same_steps(asked: list[str]) -> None:
    said, barrier, given, size = [None] * 3, threading.Barrier(3), iter(asked), 3
    config = dataclasses.replace(CONFIG, batch_size=6, steps=33, eval_every=8)

    def one(rank: int) -> tuple[list[int], list[tuple[int, Word]], bool]:
        model = LanguageModel(ModelConfig(embedding_size=4, hidden_size=4), len(CORPUS.vocabulary))
        trainer, words = Trainer(model, CORPUS, config, Threads(rank, size, 0, said, barrier)), []

        def meet(metrics: Metrics | None) -> Word:
            if rank:
                word = hear(trainer)
            else:
                while (word := Word(next(given, "go on"))) is Word.SAVE:
                    assert "rank.2.random.cpu" in say(trainer, word)  # whole
                say(trainer, word)
            words.append((trainer.step, word))
            return word

        steps = [trainer.step for _ in steps_together(trainer, meet)]
        if trainer.is_over:
            (hear if rank else partial(say, word=Word.FINISHED))(trainer)
        return steps, words, trainer.is_over

    with ThreadPoolExecutor(size) as pool:
        first, *others = list(pool.map(one, range(size)))
    assert all(other == first for other in others)
    steps, words, is_over = first
    if "stop" in asked:
        assert not is_over and words[-1] == (10, Word.STOP)  # at the fourth meeting
        assert steps == list(range(1, 11))
    else:
        assert is_over and steps == list(range(1, 34))
        assert [step for step, _ in words] == [0, 5, 8, 10, 15, 16, 20, 24, 25, 30, 32, 33]


def test_streams_that_cannot_be_shared_out_are_refused():
    with pytest.raises(ValueError, match="batch_size 8 cannot be shared out evenly among 3 processes"):
        train(World(rank=1, size=3))


def test_another_number_of_processes_is_refused_and_changes_nothing(tmp_path: Path):
    config = RunConfig(CONFIG, ModelConfig(hidden_size=8))
    run = Run.create(tmp_path / "run", config)
    list(execute(run))
    last = run.folder / "last.safetensors"
    tensors = safetensors.torch.load_file(last)
    assert not any(name.startswith("rank.") for name in tensors)
    safetensors.torch.save_file({**tensors, "rank.1.loss": tensors["loss"] + 0}, last)
    with pytest.raises(ValueError, match="trained by 2 processes; go on with torchrun --nproc-per-node 2 -m lstmviz"):
        list(execute(run))
    status = run.status()
    assert status is not None and (status.state, status.step) == ("finished", 60)  # as it was
    with pytest.raises(ValueError, match="there is a run in"):
        Run.create(run.folder, config)


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds the processes to kill in /proc")
def test_one_of_two_processes_is_killed_and_the_weights_are_the_same(tmp_path: Path):
    text = tmp_path / "text.txt"  # is soon evaluated
    text.write_text("((x)x)\n(x)\n" * 200)
    options = f"--corpus {text} --hidden-size 8 --dropout 0.2 --bptt 8 --batch-size 8 --steps 100 --eval-every 50"

    def torchrun(name: str) -> subprocess.Popen:
        begin = "-m torch.distributed.run --standalone --nproc-per-node=2 --max-restarts=1 -m lstmviz train"
        arguments = [sys.executable, *begin.split(), str(tmp_path / name), *options.split()]
        return subprocess.Popen(arguments, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"})

    processes = [torchrun("alone"), torchrun("killed")]
    try:
        run = Run(tmp_path / "killed")
        wait_for(run, "running")
        run.ask("pause")  # so that it is not too fast to be killed
        wait_for(run, "paused")
        os.kill(worker(processes[1], rank=1), signal.SIGKILL)
        assert "another of the 2 processes ended" in wait_for(run, "failed").message
        wait_for(run, "running")
        assert [process.wait(180) for process in processes] == [0, 0]
    finally:
        for process in processes:
            process.terminate()
    one, other = (safetensors.torch.load_file(tmp_path / name / "last.safetensors") for name in ("alone", "killed"))
    assert one.keys() == other.keys() and "rank.1.random.cpu" in one
    assert all(one[name].equal(other[name]) for name in one if name != "clock")
    assert not one["random.cpu"].equal(one["rank.1.random.cpu"])
    losses = [[record.train_nll for record in run.records()] for run in (Run(tmp_path / "alone"), run)]
    assert len(losses[0]) == 5 and losses[0] == losses[1]
    command = load(run.folder / "best.safetensors").command
    assert command.startswith("torchrun --nproc-per-node 2 -m lstmviz train runs/killed --corpus text.txt --")


def worker(torchrun: subprocess.Popen, rank: int) -> int:
    """The process of that rank."""
    for pid in Path(f"/proc/{torchrun.pid}/task/{torchrun.pid}/children").read_text().split():
        if f"RANK={rank}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
            return int(pid)
    raise AssertionError(f"torchrun has no process of rank {rank}")


def wait_for(run: Run, state: str, seconds: float = 120):
    give_up = time.monotonic() + seconds
    while (status := run.status()) is None or status.state != state:
        assert time.monotonic() < give_up, status
        time.sleep(0.01)
    return status
