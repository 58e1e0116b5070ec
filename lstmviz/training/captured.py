"""A window's forward and backward pass as one CUDA graph: hundreds of small operations, launched as one.

A cell of our own takes some ten operations a token each way, and a graphics card ends most of them before the next one
is even launched. A graph is recorded once and launched as a whole. It does the same operations in the same order at the
same places in the memory, so it leaves the same bits.

What is captured ends with the gradients. What follows is a few launches, made while the card is still at the graph: the
mean over several processes, clipping and Adam, whose learning rate changes at every step.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from lstmviz.cells.base import State

Passes = Callable[[Tensor, list[State] | None], tuple[Tensor, list[State]]]
Record = Callable[[Callable[[], None], torch.cuda.Stream | None], Callable[[], None]]

WARM_UP = 3  # steps before the capture, in which libraries choose their kernels and take their memory


class Captured:
    """Stands for a function that runs forward and backward, and does the same, faster.

    The first steps are taken one operation at a time, and count like any other; nothing is done twice or undone. So is
    a step from no state, with which every epoch begins: its state is made there, and under autocast of another dtype.

    Args:
        passes: of a window ``(T + 1, B)`` and the state before it, to the loss and the state after it, both detached.
            It leaves fresh gradients at the parameters, asks for nothing that is on the card, and has no other effect.
        parameters: those of the model.
        record: makes what runs a function again without its Python; it may call the function, but nothing may be done.
    """

    def __init__(self, passes: Passes, parameters: Iterable[nn.Parameter], record: Record | None = None) -> None:
        self.passes, self.parameters, self.record = passes, list(parameters), record or cuda_graph
        on_card = self.parameters[0].is_cuda
        self.side = torch.cuda.Stream(self.parameters[0].device) if on_card else None  # nothing is captured on the main
        self.taken = 0  # steps with a state
        self.replay: Callable[[], None] | None = None
        self.refused = False
        # The graph reads and writes where these lie, at every replay.
        self.window, self.before = torch.empty(0), list[State]()
        self.loss, self.after, self.gradients = torch.empty(0), list[State](), list[Tensor | None]()

    def __call__(self, window: Tensor, state: list[State] | None) -> tuple[Tensor, list[State]]:
        if state is None or self.refused:
            return self._one_by_one(window, state)
        if self.replay is None:
            if self.taken < WARM_UP:
                self.taken += 1
                return self._one_by_one(window, state)
            self._capture(window, state)
        if self.replay is None or not _alike(state, self.before):
            return self._one_by_one(window, state)
        self.window.copy_(window)
        for into, layer in zip(self.before, state, strict=True):
            for name, value in layer.items():
                into[name].copy_(value)
        self.replay()
        for parameter, gradient in zip(self.parameters, self.gradients, strict=True):
            parameter.grad = gradient  # it may point to that of a step that was not captured
        return self.loss, self.after

    def _one_by_one(self, window: Tensor, state: list[State] | None) -> tuple[Tensor, list[State]]:
        if self.side is None:
            return self.passes(window, state)
        # Where the capture will be: libraries keep a workspace for each stream, and autograd goes back on the same one.
        main = torch.cuda.current_stream(self.side.device)
        self.side.wait_stream(main)
        with torch.cuda.stream(self.side):
            made = self.passes(window, state)
        main.wait_stream(self.side)
        return made

    def _capture(self, window: Tensor, state: list[State]) -> None:
        """Record a step. Where that cannot be done, nothing has changed, and it is not tried again."""
        self.window = window.clone()
        self.before = [{name: value.clone() for name, value in layer.items()} for layer in state]
        try:
            self.replay = self.record(self._step, self.side)
        except RuntimeError as error:  # torch's errors of CUDA, and of its memory, are such
            self.refused = True
            self.window, self.before, self.loss, self.after, self.gradients = torch.empty(0), [], torch.empty(0), [], []
            said = f"{error}".partition("\n")[0]
            warnings.warn(f"training goes on without a CUDA graph, more slowly: {said}", stacklevel=2)

    def _step(self) -> None:
        self.loss, self.after = self.passes(self.window, self.before)
        self.gradients = [parameter.grad for parameter in self.parameters]


def cuda_graph(step: Callable[[], None], stream: torch.cuda.Stream | None) -> Callable[[], None]:
    """Record a step on a stream; what is returned replays it on whichever is current then.

    Dropout draws in a replay what it would have drawn without a graph: torch moves the card's generator on by as much.

    Raises:
        RuntimeError: something in it cannot be captured; the generator is where it was.
    """
    assert stream is not None
    generator = torch.cuda.default_generators[stream.device_index]
    before = generator.clone_state()
    graph = torch.cuda.CUDAGraph()
    try:
        # torch.cuda.graph stays on its stream where a capture fails, so the way back is kept here. Only what this
        # thread does can break the capture: that of NCCL, which looks after its events, may go on.
        with torch.cuda.stream(stream), torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
            step()
    except RuntimeError:
        generator.graphsafe_set_state(before)  # the other would count for a graph that never was
        raise
    return graph.replay


def _alike(one: list[State], other: list[State]) -> bool:
    """Whether a state can be copied into another without being rounded."""
    return all(a[name].dtype == b[name].dtype for a, b in zip(one, other, strict=True) for name in a)
