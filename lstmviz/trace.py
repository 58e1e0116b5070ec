"""What records a `GateTrace`: of a model of ours what it reads, and of somebody's module what it computes.

``trace_module`` records any ``nn.LSTM``, ``nn.GRU`` or ``nn.RNN`` that somebody already has.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple, cast, overload

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from lstmviz.cells.base import State
from lstmviz.cells.native import record_native
from lstmviz.data.expressions import Expression
from lstmviz.data.vocabulary import IGNORED, Vocabulary
from lstmviz.gate_trace import GateTrace
from lstmviz.layers import TreeStack
from lstmviz.model import LanguageModel, at_once
from lstmviz.modules import check_module, check_own, check_tensor, evaluated, oddities, run_itself

PAGE_LOCKED = 2**28  # bytes


@overload
def trace_module(
    module: nn.LSTM | nn.GRU | nn.RNN,
    inputs: Tensor | PackedSequence,
    state: Tensor | tuple[Tensor, Tensor] | None = None,
    *,
    device: None = None,
) -> GateTrace: ...
@overload
def trace_module(
    module: nn.LSTM | nn.GRU | nn.RNN,
    inputs: Tensor | PackedSequence,
    state: Tensor | tuple[Tensor, Tensor] | None = None,
    *,
    device: torch.device | str,
) -> dict[str, Tensor]: ...
def trace_module(
    module: nn.LSTM | nn.GRU | nn.RNN,
    inputs: Tensor | PackedSequence,
    state: Tensor | tuple[Tensor, Tensor] | None = None,
    *,
    device: torch.device | str | None = None,
) -> GateTrace | dict[str, Tensor]:
    """Record every gate and state of an ``nn.LSTM``, ``nn.GRU`` or ``nn.RNN`` exactly.

    Args:
        module: any number of layers, bidirectional or not, with or without bias and projection, on any device. It is
            left unchanged; what is recorded is its evaluation mode (no dropout between layers), without gradients. One
            that is not plain (a subclass, or with hooks, pruned or normalised weights) is run once besides, and refused
            if it returns something else than what is recorded; its hooks see that run.
        inputs: what ``module(inputs)`` takes, in the module's dtype and on its device: ``(T, X)``, ``(T, B, X)``,
            ``(B, T, X)`` if ``batch_first``, or a ``PackedSequence``.
        state: what ``module(inputs, state)`` takes: ``(h_0, c_0)`` for an LSTM, else ``h_0``. Zeros if None.
        device: where to leave the values as tensors, ``inputs.device`` for instance. None: a trace, on the CPU.

    Returns:
        Arrays ``(layer, time, unit)``, with ``direction`` before ``time`` if the module is bidirectional and
        ``batch`` if the inputs have one. LSTM: ``input_gate``, ``forget_gate``, ``candidate``, ``output_gate``,
        ``cell``, ``hidden``; GRU: ``reset_gate``, ``update_gate``, ``candidate``, ``hidden``; RNN: ``hidden``. With
        ``proj_size``, ``hidden`` has ``projection`` for ``unit``. Gates are after their activation; ``hidden`` is the
        module's own, ``cell`` is so to rounding. The reverse direction is in the order of the inputs; steps past the
        end of a packed sequence are NaN. Values are in the module's dtype, but the gates of a float16 or bfloat16
        module float32, and bfloat16 states, which numpy does not have, too.
        With ``device``, a dict of tensors: name -> ``(layer[, direction][, batch], time, unit)``, in the same order;
        bfloat16 states stay so.

        On CUDA, cuDNN's own tanh is off by up to 1e-5, and it may compute ``hidden`` in TF32
        (``torch.backends.cudnn.allow_tf32``): gates and ``cell`` agree with the kernel's own to that, or to TF32's
        three digits. The values of a trace come to the CPU in one copy, six times as much as the module's output; for
        a batch that copy takes several times as long as the forward, and ``device`` does without.

    Raises:
        TypeError: ``module`` is no such module or computes something else, or ``inputs`` or ``state`` are no arrays of
            floating-point numbers.
        ValueError: ``inputs`` or ``state`` do not fit the module, or a sequence is empty.

    Example:
        >>> trace = trace_module(nn.LSTM(8, 16), torch.randn(20, 8))
        >>> trace.forget_gate[0, :, 3]  # of layer 0, every step, unit 3
        >>> trace.to_xarray().forget_gate.sel(layer=0, unit=3)  # the same, labelled
    """
    check_module(module)
    plain = not oddities(module)
    own = None
    with torch.no_grad() if plain else evaluated(module):
        steps, lengths, batched = _time_first(module, inputs)  # (T, B, X)
        states = _initial_states(module, state, steps.shape[1], batched)  # name -> (L·D, B, ·)
        if not plain:
            own = run_itself(module, inputs, state)  # its hooks have now made the weights that it computes with

        kind = module.mode.lower()  # "lstm", "gru", "rnn_tanh" or "rnn_relu"
        directions = 2 if module.bidirectional else 1
        records = []
        for index, weights in enumerate(module.all_weights):  # layer by layer, forward before reverse
            before = {name: values[index] for name, values in states.items()}
            reverse = index % directions == 1
            records.append(record_native(kind, steps, before, weights, reverse=reverse, lengths=lengths))
            if index % directions == directions - 1:  # the layer is complete, and its hidden values feed the next one
                above = [record["hidden"] for record in records[-directions:]]
                steps = above[0] if directions == 1 else torch.cat(above, dim=-1)  # (T, B, D·H)
        if not plain:
            check_own(module, own, records, lengths)

    if device is not None:
        return {name: values.to(device) for name, values in _stacked(records, directions, batched).items()}
    return build_trace(records, kind.split("_")[0], directions=directions, batched=batched)


def build_trace(
    records: list[dict[str, Tensor]], cell: str, *, directions: int = 1, batched: bool = False
) -> GateTrace:
    """Put recorded values together, and name their axes.

    Args:
        records: one a layer (and direction, forward before reverse): name -> ``(T, B, U)``.
        cell: the cell's name.
        directions: 2 for a bidirectional network.
        batched: keep the batch axis; else B is 1 and the axis goes.
    """
    outer = ("layer", *["direction"] * (directions > 1), *["batch"] * batched, "time")
    return GateTrace(_to_numpy(_stacked(records, directions, batched)), cell, outer)


def _stacked(records: list[dict[str, Tensor]], directions: int, batched: bool) -> dict[str, Tensor]:
    """Records of ``(T, B, U)`` as ``(layer[, direction][, batch], time, unit)``, where they are."""
    stacked = {}
    for name in records[0]:
        values = [record[name] for record in records]
        values = values[0][None] if len(values) == 1 else torch.stack(values)  # (L·D, T, B, U)
        _, time, batch, width = values.shape
        middle = [*[directions] * (directions > 1), *[batch] * batched]
        stacked[name] = values.transpose(1, 2).reshape(len(records) // directions, *middle, time, width)
    return stacked


def _to_numpy(values: dict[str, Tensor]) -> dict[str, np.ndarray]:
    """On the CPU, from another device in one copy; bfloat16, which numpy does not have, as float32."""
    values = {name: value.float() if value.dtype == torch.bfloat16 else value for name, value in values.items()}
    if next(iter(values.values())).device.type != "cpu":
        packed = _packed(values)
        # Into page-locked memory, which a card writes to several times as fast; a machine has not much of it to give.
        lock = packed.is_cuda and len(packed) <= PAGE_LOCKED
        values = _unpacked(torch.empty_like(packed, device="cpu", pin_memory=lock).copy_(packed), values)
    return {name: value.numpy() for name, value in values.items()}


def _packed(values: dict[str, Tensor]) -> Tensor:
    """The bytes of all values, one behind the other."""
    return torch.cat([value.flatten().view(torch.uint8) for value in values.values()])


def _unpacked(memory: Tensor, like: dict[str, Tensor]) -> dict[str, Tensor]:
    """Undoes ``_packed``, without a copy; the wider dtypes come first, so that each stands where it may."""
    pieces = memory.split([value.nbytes for value in like.values()])
    return {n: piece.view(v.dtype).view(v.shape) for piece, (n, v) in zip(pieces, like.items(), strict=True)}


def _time_first(module: nn.RNNBase, inputs: Tensor | PackedSequence) -> tuple[Tensor, Tensor | None, bool]:
    """``inputs`` as ``(T, B, X)``, the lengths ``(B,)`` if they were packed, and whether they had a batch axis."""
    packed = isinstance(inputs, PackedSequence)
    values = inputs.data if packed else inputs
    weight = module.weight_ih_l0
    if not isinstance(values, Tensor):
        raise TypeError(f"inputs must be a tensor or a PackedSequence, not {type(inputs).__name__}.")
    check_tensor("inputs", values)
    if not values.is_floating_point():
        raise TypeError(
            f"inputs must be floating-point vectors, not {values.dtype}. Token ids go through their embedding first."
        )
    if values.dtype != weight.dtype or values.device != weight.device:
        raise ValueError(
            f"inputs are {values.dtype} on {values.device}, the module is {weight.dtype} on {weight.device}: "
            "convert one to the other with .to()."
        )
    if not packed and values.dim() not in (2, 3):
        raise ValueError(f"inputs must have 2 axes (time, feature) or 3 with a batch, not shape {tuple(values.shape)}.")
    if values.shape[-1] != module.input_size:
        raise ValueError(f"inputs have {values.shape[-1]} features a step, the module takes {module.input_size}.")
    if values.numel() == 0:
        raise ValueError(f"inputs of shape {tuple(values.shape)} hold no step: a sequence must not be empty.")

    if packed:
        values, lengths = pad_packed_sequence(inputs)  # the batch in its original order
        return values, lengths, True
    if values.dim() == 2:
        return values[:, None], None, False
    return (values.transpose(0, 1) if module.batch_first else values), None, True


def _initial_states(
    module: nn.RNNBase, state: Tensor | tuple[Tensor, Tensor] | None, batch: int, batched: bool
) -> dict[str, Tensor]:
    """The states before the first step by name, each ``(L·D, B, ·)``; zeros if None."""
    rows = module.num_layers * (2 if module.bidirectional else 1)
    widths = {"hidden": module.proj_size or module.hidden_size}
    if module.mode == "LSTM":
        widths["cell"] = module.hidden_size
    weight = module.all_weights[0][0]
    if state is None:
        return {name: weight.new_zeros(rows, batch, width) for name, width in widths.items()}

    values = state if isinstance(state, tuple | list) else (state,)
    if len(values) != len(widths) or not all(isinstance(value, Tensor) for value in values):
        form = "(h_0, c_0), two tensors" if len(widths) == 2 else "h_0, one tensor"
        raise TypeError(f"the state of an nn.{module.mode.split('_')[0]} must be {form}.")
    states = dict(zip(widths, values, strict=True))
    for name, value in states.items():
        check_tensor(f"the initial {name}", value)
        expected = (rows, batch, widths[name]) if batched else (rows, widths[name])
        if value.shape != expected:
            raise ValueError(f"the initial {name} must have shape {expected}, not {tuple(value.shape)}.")
        if value.dtype != weight.dtype or value.device != weight.device:
            raise ValueError(
                f"the initial {name} is {value.dtype} on {value.device}, the module {weight.dtype} on {weight.device}."
            )
    return {name: value.reshape(rows, batch, widths[name]) for name, value in states.items()}


def trace_sentence(model: LanguageModel, vocabulary: Vocabulary, text: str) -> GateTrace:
    """Run one sentence with teacher forcing and record every gate and state.

    Args:
        model: trained model; left unchanged, run in eval mode without gradients.
        vocabulary: the tokens that the model reads.
        text: at least one token; unknown tokens become ``<unk>``.

    Returns:
        Values ``(layer, time, unit)`` in the model's dtype, with ``tokens`` and ``nll``: ``nll[t]`` in nats is
        -ln p(token[t] | earlier), ``nll[0]`` NaN. Of a model that says labels there is no ``nll``; where it reads in
        both directions, ``direction`` stands before ``time``, as in ``trace_module``.

    Raises:
        ValueError: ``text`` has no tokens.
    """
    ids = vocabulary.encode(text)
    read = torch.tensor(ids, dtype=torch.int64)
    if model.config.tokens_read:
        trace, _ = trace_labels(model, read)
        trace = replace(trace, nll=trace.nll[:0])
    else:
        trace, _ = trace_tokens(model, read)
    return replace(trace, tokens=[vocabulary.token(i) for i in ids])


class Likeliest(NamedTuple):
    """The tokens that a model expects most after each token.

    Args:
        ids: ``(T, K)``, the likeliest first.
        probabilities: theirs, ``(T, K)``.
    """

    ids: np.ndarray
    probabilities: np.ndarray


def trace_tokens(
    model: LanguageModel,
    tokens: Tensor,
    earlier: GateTrace | None = None,
    *,
    best: int = 5,
    state: list[State] | None = None,
) -> tuple[GateTrace, Likeliest]:
    """As ``trace_sentence``, from token ids. Of the scores only those of one piece of the text are held at once.

    Args:
        tokens: integers ``(T,)``, T ≥ 1.
        earlier: what this function returned, for the same model, for the tokens that stand before these; they are not
            read again.
        best: how many of the likeliest next tokens are kept; fewer where the vocabulary is smaller.
        state: before the first of all; by default zeros.

    Returns:
        The trace, of the earlier tokens too, and the likeliest next ones: row t was expected after ``tokens[t]``.

    Raises:
        ValueError: there are no tokens, or it is a model that says labels.
    """
    if model.config.tokens_read or model.config.row_size:
        raise ValueError("what a model says that says labels is traced by trace_labels")
    if not len(tokens):
        raise ValueError("there are no tokens to read; the text must have at least one")
    like = next(model.parameters())
    tokens = tokens.to(like.device, torch.int64)
    if earlier is not None:
        state = [
            {name: torch.from_numpy(earlier[name][k, -1:]).to(like) for name in layer.states}  # name -> (1, U)
            for k, layer in enumerate(model.layers)
        ]
    hidden, records = model.record(tokens[:, None], state)  # (T, 1, H)
    trace = build_trace(records, model.config.cell)
    vocab_size = len(like)
    follows = torch.cat([tokens[1:], tokens[:1]])[:, None]  # (T, 1); nothing follows the last one, so its is dropped
    nll, ids, log_p = [], [], []
    with torch.no_grad():
        for said, next_ones in zip(*(values.split(at_once(vocab_size)) for values in (hidden, follows)), strict=True):
            scores = model.decode(said[:, 0]).log_softmax(-1)  # (P, V)
            nll.append(-scores.gather(1, next_ones)[:, 0])
            likeliest = scores.topk(min(best, vocab_size), dim=-1)
            ids.append(likeliest.indices)
            log_p.append(likeliest.values)
        before, first = np.array([np.nan], np.float32), nll[0][:0]  # nothing predicts the first token
        if earlier is not None and state:
            before, first = earlier.nll, -model.decode(state[-1]["hidden"]).log_softmax(-1)[0, tokens[:1]]  # (1,)
            joined = {name: np.concatenate([earlier[name], values], axis=1) for name, values in trace.items()}
            trace = replace(trace, arrays=joined)
    read = torch.cat([first, *nll])[:-1].float().cpu().numpy()
    likely = Likeliest(torch.cat(ids).cpu().numpy(), torch.cat(log_p).exp().cpu().numpy())
    return replace(trace, nll=np.concatenate([before, read])), likely


@torch.no_grad()
def trace_labels(
    model: LanguageModel, inputs: Tensor, labels: Tensor | int | None = None, *, best: int = 5
) -> tuple[GateTrace, Likeliest]:
    """As ``trace_tokens``, of a sequence that is read from nothing by a model that says labels.

    Args:
        inputs: the rows of an image, greys from 0 to 1, ``(T, W)``; or the tokens of a text, integers ``(T,)``, or
            ``(T, W)`` of words by their letters. T ≥ 1.
        labels: what is right at each step, integers ``(T,)``, `IGNORED` where nothing is asked, or at the end; None
            where nobody knows.
        best: how many of the likeliest labels are kept.

    Returns:
        The trace, whose ``nll[t]`` in nats is -ln p(label | inputs up to t), or with a model that reads in both
        directions -ln p(label | all inputs), NaN without a label; and the likeliest labels at each step. In the reverse
        direction, too, values stand at the step of which they are.

    Raises:
        ValueError: there are no inputs.
    """
    if not len(inputs):
        raise ValueError("there is nothing to read; a sequence must not be empty")
    hidden, records = model.record(inputs[:, None].to(model.device))  # (T, 1, D·H)
    return _labelled(model, hidden, records, labels, best)


@torch.no_grad()
def trace_tree(
    model: LanguageModel, expression: Expression, reads: Vocabulary, labels: Vocabulary, *, best: int = 5
) -> tuple[GateTrace, Likeliest]:
    """As ``trace_tokens``, of a tree: time runs over its nodes in post-order, each behind its children.

    Args:
        model: of trees.
        expression: knows each node's parent and children.
        reads, labels: the symbols and values that the model knows.
        best: how many of the likeliest values are kept.

    Returns:
        The trace, and the likeliest values at each node. ``forget_gate`` stands at the child: it is what the parent
        keeps of it, NaN at the root; ``trace.forget_gate[0, expression.children[t]]`` are those of node t.
        ``nll[t]`` in nats is -ln p(value of the node | all below it), NaN at a digit, of which nothing is asked, and
        where the model does not know the value.
    """
    symbols = torch.tensor(reads.encode_tokens(expression.symbols), device=model.device)[:, None]  # (T, 1)
    parents = torch.tensor(expression.parents, device=model.device)[:, None]
    hidden, records = cast(TreeStack, model.layers).record(model.embed(symbols), parents)  # (T, 1, H)
    asked = zip(expression.values, expression.children, strict=True)
    values = torch.tensor([labels.ids.get(value, IGNORED) if children else IGNORED for value, children in asked])
    trace, likely = _labelled(model, hidden, records, values, best)
    return replace(trace, tokens=expression.symbols), likely


def _labelled(
    model: LanguageModel, hidden: Tensor, records: list[dict[str, Tensor]], labels: Tensor | int | None, best: int
) -> tuple[GateTrace, Likeliest]:
    """What was recorded, with the loss of each label and the likeliest ones."""
    log_p = model.decode(hidden[:, 0]).log_softmax(-1).float().cpu()  # (T, V)
    nll = np.full(len(hidden), np.nan, np.float32)
    if labels is not None:
        labels = torch.as_tensor(labels).long().expand(len(hidden))  # (T,)
        given = -log_p.gather(1, labels.clamp(min=0)[:, None])[:, 0]
        nll = given.where(labels != IGNORED, torch.nan).numpy()
    found = log_p.topk(min(best, model.vocab_size), dim=-1)
    likely = Likeliest(found.indices.numpy(), found.values.exp().numpy())
    return replace(build_trace(records, model.config.cell, directions=model.config.directions), nll=nll), likely
