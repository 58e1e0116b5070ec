"""Several processes that train one model together, each on its own streams; torchrun starts them and starts them again.

Not DistributedDataParallel: after its first step that sorts the gradients anew, so from three processes on a resumed
training adds them up in another order than one that never stopped, and the last bits differ. Here the gradients are
always one vector in the order of the parameters.
"""

from __future__ import annotations

import os
import signal
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

T = TypeVar("T")
PATIENCE = timedelta(days=3650)  # the others wait while rank 0 is paused; that a process died is noticed without it


@dataclass(frozen=True)
class World:
    """The processes that train together. A process alone is a world of one, where nothing here costs anything.

    Every method but ``lost`` must be called by all of them, in the same order.

    Args:
        rank: of this process; rank 0 alone writes the run folder.
        size: how many there are.
        restarts: how often torchrun on this machine has started them again because one of its own died.
    """

    rank: int = 0
    size: int = 1
    restarts: int = 0

    @classmethod
    def of_torchrun(cls) -> World:
        """As torchrun says; without it a world of one."""
        if not dist.is_torchelastic_launched():
            return cls()
        return cls(*(int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "TORCHELASTIC_RESTART_COUNT")))

    @property
    def command(self) -> str:
        """How a command line for so many processes begins."""
        return "python -m lstmviz" if self.size == 1 else f"torchrun --nproc-per-node {self.size} -m lstmviz"

    @contextmanager
    def joined(self) -> Iterator[None]:
        """Meet the others, and part at the end; CUDA tensors travel by NCCL, all else by gloo.

        Raises:
            ValueError: a machine has fewer graphics cards than processes.
        """
        if self.size == 1:
            yield
            return
        store, _, _ = next(rendezvous("env://", timeout=PATIENCE))
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo",
            store=PrefixStore(self._name(store), store),
            rank=self.rank,
            world_size=self.size,
            timeout=PATIENCE,
        )
        self.agree(_take_card)
        yield
        dist.destroy_process_group()  # not after an error: it could wait for those that are gone

    def _name(self, store: Store) -> str:
        """A name that these processes, and none before them, have in common.

        torchrun's store outlives a restart; without a new name the processes would look for each other at the addresses
        of the dead. So each says hello under a word of its own, which rank 0 answers with the name.
        """
        word = uuid.uuid4().hex
        if self.rank:
            store.set(f"hello {self.rank}", word)
            name = store.get(f"welcome {word}").decode()
            store.add(name, 1)
            return name
        while store.add(word, 0) < self.size - 1:
            for hello in (f"hello {rank}" for rank in range(1, self.size)):
                if store.check([hello]):
                    store.set(f"welcome {store.get(hello).decode()}", word)  # one of the dead takes no notice
            time.sleep(0.02)
        return word

    def broadcast(self, value: Any) -> Any:
        """What rank 0 has, on every rank."""
        if self.size == 1:
            return value
        box = [value]
        with self._together():
            dist.broadcast_object_list(box)
        return box[0]

    def gather(self, value: T) -> list[T]:
        """What every rank has, on rank 0; elsewhere its own only."""
        if self.size == 1:
            return [value]
        values: list[Any] | None = [None] * self.size if self.rank == 0 else None
        with self._together():
            dist.gather_object(value, values)
        return values or [value]

    def agree(self, make: Callable[[], T]) -> T:
        """What ``make`` gives on this rank; where it fails on any, all raise what the first of those says.

        Raises:
            ValueError: so it is.
        """
        if self.size == 1:
            return make()
        made, problem, problems = None, None, [None] * self.size
        try:
            made = make()
        except (ValueError, OSError) as error:
            problem = str(error)
        with self._together():
            dist.all_gather_object(problems, problem)
        for rank, problem in enumerate(problems):
            if problem is not None:
                raise ValueError(f"process {rank} of {self.size}: {problem}" if rank else problem)
        return made  # type: ignore[return-value]

    def mean(self, tensor: Tensor) -> Tensor:
        """The mean over all ranks, of the shape that it has on each."""
        if self.size == 1:
            return tensor
        total = tensor.clone()
        with self._together():
            dist.all_reduce(total)
        return total / self.size

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Give every rank the mean gradients; one that a rank has not got is zero."""
        if self.size == 1:
            return
        parameters = list(parameters)
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        mean = self.mean(torch.cat([gradient.flatten() for gradient in gradients]))
        for parameter, piece in zip(parameters, mean.split([p.numel() for p in parameters]), strict=True):
            parameter.grad = piece.view_as(parameter)

    def lost(self, *_: object) -> None:
        """Raise that they are no longer all there; fit to be a signal handler.

        Raises:
            ConnectionError: always.
        """
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # torchrun may send it next; the status is still to be written
        raise ConnectionError(f"another of the {self.size} processes ended, or torchrun was told to end them all")

    @contextmanager
    def _together(self) -> Iterator[None]:
        try:
            yield
        except dist.DistBackendError:  # NCCL, which knows better
            raise
        except RuntimeError:  # gloo, when a connection is closed
            self.lost()


ALONE = World()


def _take_card() -> None:
    card, cards = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
    if card < cards:
        torch.cuda.set_device(card)
    elif cards:
        raise ValueError(
            f"its machine has {cards} graphics cards for {os.environ['LOCAL_WORLD_SIZE']} processes; start {cards}, "
            "or hide the cards with CUDA_VISIBLE_DEVICES="
        )
