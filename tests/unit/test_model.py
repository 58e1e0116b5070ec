"""The language model."""

import copy
import dataclasses
import hashlib
import math
import zlib

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lstmviz.cells import CELLS
from lstmviz.config import ModelConfig
from lstmviz.layers import Stack
from lstmviz.model import LanguageModel
from lstmviz.sizes import parameter_count, perplexity, shapes

TOKENS = torch.arange(12).view(6, 2) % 9  # (T, B)


@pytest.mark.parametrize(
    ("options", "vocab_size", "said"),
    [
        ({}, 0, "vocab_size is 0; it must be a whole number from 1 to 300,000"),
        ({}, 9.0, "vocab_size is 9.0; it must be a whole number"),
        ({}, 300_001, "vocab_size is 300001; it must be"),
        ({"adaptive_softmax": True}, 9_999, "a vocabulary of at least 10,000 tokens; this one has 9,999"),
    ],
)
def test_a_vocabulary_that_a_model_cannot_have_is_refused_before_anything_is_allocated(options, vocab_size, said):
    for refuse in (LanguageModel, parameter_count):
        with pytest.raises(ValueError, match=said):
            refuse(ModelConfig(**options), vocab_size)


def mean_keep(model: LanguageModel) -> float:
    """How much of its state the first layer keeps at the first token, with weights near 0."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 2:
                parameter.zero_()
    _, (record,) = model.record(torch.zeros(1, 1, dtype=torch.int64))
    return record["forget_gate" if "forget_gate" in record else "update_gate"].mean().item()


@pytest.mark.parametrize("cell", [name for name in CELLS if CELLS[name].keeping])
def test_the_gate_that_keeps_begins_as_asked(cell):
    sizes = {"cell": cell, "embedding_size": 3, "hidden_size": 500}
    low, high = (LanguageModel(ModelConfig(**sizes, forget_bias=bias), 9) for bias in (-3, 3))
    long = LanguageModel(ModelConfig(**sizes, chrono=100), 9)
    if cell == "slstm":  # its gates mean something only beside each other
        assert (high.layers[0].biases("f")[0] == 3).all()
    elif cell != "minlstm":  # there the input gate has its say
        assert mean_keep(low) < 0.1 and mean_keep(high) > 0.9
    for k, sign in CELLS[cell].keeping.items():
        bias = sign * sum(long.layers[0].biases(k))
        assert 0 <= bias.min() < 1.5 and 4 < bias.max() <= math.log(99)
    assert parameter_count(low.config, 9) == parameter_count(ModelConfig(**sizes), 9)


@pytest.mark.parametrize("cell", CELLS)
def test_recording_gives_the_logits_and_states_of_forward(cell):
    model = LanguageModel(ModelConfig(cell, 3, 4, num_layers=2, dropout=0.5), 9).eval()
    logits, last = model(TOKENS)
    said, records = model.record(TOKENS)
    recorded = model.decode(said)
    assert logits.shape == (6, 2, 9)
    near = 1e-5 if cell == "layernorm" else 1e-6  # it divides by the spread of four small numbers
    torch.testing.assert_close(recorded, logits, atol=near, rtol=0)
    for layer, record in enumerate(records):
        assert tuple(record) == CELLS[cell].recorded()
        widths = {name: 2 if (cell, name) == ("lstmp", "hidden") else 4 for name in record}
        assert all(values.shape == (6, 2, widths[name]) for name, values in record.items())
        for name, value in last[layer].items():
            torch.testing.assert_close(record[name][-1], value, atol=near, rtol=0)


# Fingerprints of three layers of 8 units and an embedding of 5 for 9 tokens, drawn with seed 3 as when the first models
# were shipped.
DRAWN = {
    "rnn": -5.3276,
    "lstm": 0.2583,
    "lstm_split": -7.0585,
    "lstm_concat": 7.3263,
    "report_split": -7.0585,
    "report_concat": 7.3263,
    "gru": 5.1495,
    "gru_v1": 11.4871,
    "peephole": 13.93,
    "nig": 6.2599,
    "nfg": 6.3256,
    "nog": 6.0394,
    "niaf": 13.93,
    "noaf": 13.93,
    "np": 3.017,
    "cifg": 6.3256,
    "fgr": 1.0736,
    "layernorm": 4.9579,
    "lstmp": -5.0365,
    "janet": 1.8086,
    "mingru": -4.2011,
    "minlstm": 3.1078,
    "slstm": 3.017,
    "mogrifier": 4.7271,
}
TIED, RARE = 6.7007, -6.1134


def digest(model: LanguageModel) -> str:
    found = hashlib.sha256()
    for name, values in sorted(model.state_dict().items()):
        found.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
        found.update(values.numpy().tobytes())
    return found.hexdigest()[:16]


def fingerprint(model: LanguageModel) -> float:
    """Of all weights, their names and shapes; not of their last bits, which a logarithm has otherwise elsewhere."""
    total = 0.0
    for name, values in model.state_dict().items():
        first = zlib.crc32(f"{name} {tuple(values.shape)}".encode()) % 1000
        total += (values.double().flatten() * torch.arange(first, first + values.numel()).double().cos()).sum().item()
    return total


@pytest.mark.parametrize(
    ("options", "vocab_size", "drawn"),
    [
        *[({"cell": cell, "embedding_size": 5, "num_layers": 3}, 9, drawn) for cell, drawn in DRAWN.items()],
        ({"embedding_size": 8, "tie_weights": True}, 9, TIED),
        ({"embedding_size": 8, "adaptive_softmax": True}, 10_000, RARE),
    ],
    ids=[*DRAWN, "tied", "adaptive"],
)
def test_a_seed_draws_the_weights_that_it_always_drew_by_their_old_names(options, vocab_size, drawn):
    torch.manual_seed(3)
    model = LanguageModel(ModelConfig(hidden_size=8, **options), vocab_size)
    assert fingerprint(model) == pytest.approx(drawn, abs=1e-3)


def written_out(model: LanguageModel, dropout: float) -> Tensor:
    """The loss on TOKENS, of two windows, from the model's parts alone."""
    state = [cell.initial_state(2) for cell in model.layers]
    for window in (slice(0, 3), slice(3, 5)):
        x = F.dropout(F.embedding(TOKENS[window], model.embedding.weight), dropout)
        for k, cell in enumerate(model.layers):
            x, state[k] = cell(x, state[k])
            x = F.dropout(x, dropout)
    logits = F.linear(x, model.decoder.weight, model.decoder.bias)
    return F.cross_entropy(logits.flatten(0, 1), TOKENS[4:].flatten())


@pytest.mark.parametrize("cell", CELLS)
def test_training_is_that_of_the_parts_written_out_to_the_bit(cell):
    torch.manual_seed(0)
    model = LanguageModel(ModelConfig(cell, 3, 4, num_layers=2, dropout=0.3), 9)
    other, results = copy.deepcopy(model), []
    for each in (model, other):
        optimizer = torch.optim.Adam(each.parameters(), 0.1, fused=True)
        torch.manual_seed(1)
        for _ in range(3):
            if each is model:
                _, state = model.loss(TOKENS[:3], TOKENS[1:4])
                loss, _ = model.loss(TOKENS[3:5], TOKENS[4:], state)
            else:
                loss = written_out(each, 0.3)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        results.append((loss.item(), digest(each)))
    assert results[0] == results[1]


def test_something_else_can_enter_at_each_of_the_three_doors():
    model = LanguageModel(ModelConfig("gru", 3, 4, num_layers=2), 9).eval()
    vectors = model.embed(TOKENS).detach().requires_grad_()  # (T, B, E)
    hidden, state = model.run(vectors)
    logits = model.decode(hidden)
    assert torch.equal(logits, model(TOKENS)[0])
    logits[2, 0, 5].backward()
    reached = vectors.grad.abs().sum(-1) > 0  # (T, B)
    assert reached[:3, 0].all() and reached.sum() == 3  # what was read up to there, in its own text
    other, _ = model.run(torch.cat([vectors[:1], torch.zeros_like(vectors[1:])]))
    assert torch.equal(other[0], hidden[0]) and not torch.equal(other[1], hidden[1])
    further, _ = model.run(vectors[:1], state)
    assert torch.equal(model.decode(further), model(TOKENS[:1], state)[0])


@pytest.mark.parametrize(("cell", "native"), [("lstm", nn.LSTM), ("gru", nn.GRU), ("rnn", nn.RNN)])
def test_a_stack_is_that_of_pytorch(cell, native):
    stack, reference = Stack(CELLS[cell], 3, 4, layers=3), native(3, 4, num_layers=3)
    with torch.no_grad():
        for name, weight in reference.named_parameters():
            role, layer = name.rsplit("_l", 1)
            getattr(stack[int(layer)].native, f"{role}_l0").copy_(weight)
    x = torch.randn(6, 2, 3)
    hidden, last = stack(x)
    expected, state = reference(x)
    torch.testing.assert_close(hidden, expected, atol=1e-6, rtol=0)
    h = state[0] if cell == "lstm" else state
    torch.testing.assert_close(torch.stack([layer["hidden"] for layer in last]), h, atol=1e-6, rtol=0)
    recorded, records = stack.record(x)
    torch.testing.assert_close(recorded, expected, atol=1e-6, rtol=0)
    assert len(records) == 3 and torch.equal(records[-1]["hidden"], recorded)


def test_state_carried_over_windows_equals_the_whole():
    model = LanguageModel(ModelConfig("lstm", 3, 4, num_layers=2), 9).eval()
    whole, _ = model(TOKENS)
    first, state = model(TOKENS[:2])
    second, _ = model(TOKENS[2:], state)
    torch.testing.assert_close(torch.cat([first, second]), whole, atol=1e-6, rtol=0)


def test_dropout_acts_only_while_training():
    model = LanguageModel(ModelConfig("gru", 3, 4, dropout=0.5), 9)
    assert not torch.equal(model(TOKENS)[0], model(TOKENS)[0])
    model.eval()
    assert torch.equal(model(TOKENS)[0], model(TOKENS)[0])


def test_tied_weights_are_one_matrix():
    config = ModelConfig("lstm", 4, 4, tie_weights=True)
    model = LanguageModel(config, 9)
    assert model.decoder.weight is model.embedding.weight
    assert parameter_count(config, 9) == 9 * 4 + (4 * 4 * 8 + 8 * 4) + 9


WORDS = torch.tensor([[3, 1999, 2000], [9_999, 5, 7_000], [1, 0, 2001]])  # (T, B); common words and rare ones
ADAPTIVE = ModelConfig("lstm", 3, 8, num_layers=2, adaptive_softmax=True)


def test_an_adaptive_softmax_gives_every_token_a_probability_and_they_sum_to_one():
    model = LanguageModel(ADAPTIVE, 10_000).double().eval()  # a float32 sum of 10,000 depends on the processor
    logits, _ = model(WORDS)
    assert logits.shape == (3, 3, 10_000)
    torch.testing.assert_close(logits.exp().sum(-1), torch.ones(3, 3).double())
    torch.testing.assert_close(logits.log_softmax(-1), logits)  # so it is read as the logits of any other model
    torch.testing.assert_close(model.decode(model.record(WORDS)[0]), logits)
    assert parameter_count(ADAPTIVE, 10_000) == sum(p.numel() for p in model.parameters())


def test_an_adaptive_softmax_is_that_of_pytorch():
    decoder = LanguageModel(ADAPTIVE, 10_000).decoder
    reference = torch.nn.AdaptiveLogSoftmaxWithLoss(8, 10_000, [2_000], head_bias=True)
    with torch.no_grad():
        decoder.tail[1].bias.zero_()  # which PyTorch's has not
        for ours, theirs in ((decoder.head, reference.head), *zip(decoder.tail, reference.tail[0], strict=True)):
            ours.load_state_dict(theirs.state_dict(), strict=False)
    x, targets = torch.randn(9, 8), WORDS.flatten()
    torch.testing.assert_close(decoder(x), reference.log_prob(x))
    torch.testing.assert_close(decoder.loss(x, targets), reference(x, targets).loss)


@pytest.mark.parametrize("targets", [WORDS, WORDS.clamp(max=1999), WORDS.clamp(min=2000)])
@pytest.mark.parametrize("adaptive", [False, True])
def test_the_loss_is_that_of_the_logits(adaptive, targets):
    model = LanguageModel(dataclasses.replace(ADAPTIVE, adaptive_softmax=adaptive), 10_000)
    _, before = model(WORDS)
    logits, last = model(WORDS, before)
    loss, state = model.loss(WORDS, targets, before)
    torch.testing.assert_close(loss, F.cross_entropy(logits.flatten(0, 1), targets.flatten()), atol=1e-4, rtol=1e-5)
    assert all(torch.equal(a[name], b[name]) for a, b in zip(state, last, strict=True) for name in a)
    with torch.autocast("cpu", torch.bfloat16):
        rounded, _ = model.loss(WORDS, targets, before)
    assert rounded.dtype == torch.float32
    assert rounded.item() == pytest.approx(loss.item(), rel=0.01)


def test_a_huge_model_is_counted_without_being_allocated():
    config = ModelConfig("lstm", 16_384, 16_384, num_layers=2)
    assert parameter_count(config, 300_000) > 10**10


OPTIONS = [
    *({"cell": cell, "num_layers": 2} for cell in CELLS),
    {"tie_weights": True, "embedding_size": 7},
    {"adaptive_softmax": True},
    {"row_size": 8, "bidirectional": True, "num_layers": 2},
    {"tokens_read": 9, "bidirectional": True, "cell": "lstmp"},
    {"tokens_read": 9, "letters": 3},
    {"tokens_read": 9, "attention": "luong", "num_layers": 2, "cell": "slstm"},
    {"tokens_read": 9, "attention": "none"},
    {"tokens_read": 9, "cell": "nary", "num_layers": 2},
    {"tokens_read": 9, "cell": "child_sum"},
    {"labels_read": 3, "cell": "lstmp", "num_layers": 2},
    {"cell": "rnn", "window": 4},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_shapes_of_a_model_are_known_without_making_it(options):
    config, size = ModelConfig(**{"embedding_size": 6, "hidden_size": 7, **options}), 10_000
    made = {name: tuple(parameter.shape) for name, parameter in LanguageModel(config, size).named_parameters()}
    assert shapes(config, size) == made
    assert parameter_count(config, size) == sum(math.prod(shape) for shape in made.values())


def test_perplexity_never_overflows():
    assert perplexity(0) == 1
    assert perplexity(math.log(50)) == pytest.approx(50)
    assert perplexity(1e6) == math.inf


def test_where_the_processor_has_no_bfloat16_kernel_the_native_lstm_runs_in_float32(monkeypatch):
    model = LanguageModel(ModelConfig("lstm", 3, 4, num_layers=2), 9)
    monkeypatch.setattr("lstmviz.cells.lstm._lacks_kernel", lambda inputs: True)
    layer, x = model.layers[0], torch.randn(5, 2, 3)
    expected, _ = layer(x, layer.initial_state(2))
    with torch.autocast("cpu", torch.bfloat16):
        hidden, _ = layer(x, layer.initial_state(2))
        loss, _ = model.loss(TOKENS, TOKENS)
    assert torch.equal(hidden, expected)
    loss.backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, 3e38]
)  # the last overflows where it is divided by the temperature
def test_nothing_is_drawn_from_scores_that_are_no_numbers(value):
    model = LanguageModel(ModelConfig("lstm", 4, 4), 9).eval()
    with torch.no_grad():
        model.decoder.bias[5] = value
    with pytest.raises(FloatingPointError, match="the next token are not finite numbers"):
        model.sample(torch.tensor([4]), 3, temperature=0.5)
