"""Cells against torch's own kernels, against each other, and against their equations.

    pytest tests/numeric/test_cells.py

prints, at its end, the table of which cell has which proof.
"""

import numpy as np
import pytest
import torch
from torch import Tensor, as_tensor, nn
from torch.fx.experimental.proxy_tensor import make_fx

from lstmviz.cells import CELLS
from lstmviz.cells.base import Cell
from lstmviz.cells.equations import evaluate, parse, parts, text
from lstmviz.cells.transplant import transplant
from lstmviz.gate_trace import kept
from lstmviz.trace import build_trace

T, B, X, H = 11, 3, 5, 7
TWINS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
REPORT = ("report_split", "report_concat")


def proof(title: str, names=tuple(CELLS)):
    """A column of the table: a test of each of these cells."""
    return lambda test: pytest.mark.proof(title)(pytest.mark.parametrize("name", names)(test))


def random_inputs(cell: Cell) -> tuple[Tensor, dict[str, Tensor]]:
    like = next(cell.parameters())
    inputs = torch.randn(T, B, X, dtype=like.dtype)
    return inputs, {name: torch.randn_like(zeros) for name, zeros in cell.initial_state(B).items()}


def make_cell(name: str, dtype: torch.dtype = torch.float64) -> Cell:
    torch.manual_seed(0)
    return CELLS[name](X, H).to(dtype)


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float = 1e-12) -> None:
    for key, values in expected.items():
        torch.testing.assert_close(found[key], values, atol=tolerance, rtol=0, msg=lambda m, k=key: f"{k}: {m}")


# ---- the same function as another cell -------------------------------------------------------------------------------


@proof("twin", TWINS)
def test_native_cells_equal_torch_with_copied_weights(name):
    cell = make_cell(name)
    twin = TWINS[name](X, H).double()
    twin.load_state_dict({key.removeprefix("native."): value for key, value in cell.state_dict().items()})
    inputs, state = random_inputs(cell)
    h0 = state["hidden"][None]
    expected, last = twin(inputs, (h0, state["cell"][None]) if name == "lstm" else h0)
    hidden, after = cell(inputs, state)
    record = cell.record(inputs, state)
    assert_same({"hidden": hidden}, {"hidden": expected})
    assert_same(record, {"hidden": expected})
    if name == "lstm":
        assert_same(after, {"cell": last[1][0]})
        assert_same({"cell": record["cell"][-1]}, {"cell": last[1][0]})


# A peephole LSTM without peepholes, also with R = 0, and a mogrifier whose rounds multiply by 2σ(0) = 1.
@proof("twin", ("lstm_split", "lstm_concat", "np", "peephole", "fgr", "mogrifier"))
def test_it_is_the_lstm(name):
    lstm = make_cell("lstm")
    other = transplant(lstm, name)
    inputs, state = random_inputs(lstm)
    hidden, (_, cell) = lstm.native(inputs, (state["hidden"][None], state["cell"][None]))  # torch's own nn.LSTM
    expected = lstm.record(inputs, state)
    state = {**other.initial_state(B), **state}
    record = other.record(inputs, state)
    assert_same(record, expected)
    assert_same(record, {"hidden": hidden})
    assert_same({"hidden": other(inputs, state)[0], "cell": record["cell"][-1]}, {"hidden": hidden, "cell": cell[0]})


@proof("twin", ("lstmp",))
def test_it_is_torchs_lstm_with_a_projection(name):
    cell = make_cell(name)
    twin = nn.LSTM(X, H, proj_size=cell.output_size).double()
    with torch.no_grad():
        for to, source in zip(twin.all_weights[0], [cell.W, cell.U, cell.b, 0 * cell.b, cell.W_hr], strict=True):
            to.copy_(source)
    inputs, state = random_inputs(cell)
    expected, last = twin(inputs, (state["hidden"][None], state["cell"][None]))
    hidden, after = cell(inputs, state)
    assert_same({"hidden": hidden, "cell": after["cell"]}, {"hidden": expected, "cell": last[1][0]})


@proof("twin", REPORT)
def test_its_gates_are_the_lstms_as_long_as_h_is(name):
    lstm = make_cell("lstm")
    cell = make_cell(name)
    cell.load_state_dict(transplant(lstm, name.replace("report", "lstm")).state_dict())  # the same names, another h
    inputs, state = random_inputs(lstm)
    first = {key: values[:1] for key, values in lstm.record(inputs, state).items() if key != "hidden"}
    assert_same(cell.record(inputs[:1], state), first)


@proof("twin", ("np",))
def test_it_is_the_peephole_lstm_without_peepholes(name):
    cell = make_cell(name)
    inputs, state = random_inputs(cell)
    assert_same(transplant(cell, "peephole").record(inputs, state), cell.record(inputs, state))


@proof("twin", ("slstm",))
def test_it_is_the_unstabilised_cell(name):
    """i = exp ĩ and f = σ(f̃) as they stand: m changes nothing."""
    cell = make_cell(name)
    inputs, _ = random_inputs(cell)
    hidden, _ = cell(inputs, cell.initial_state(B))
    h = c = n = torch.zeros(B, H, dtype=torch.float64)
    for t, x in enumerate(inputs):
        a_i, a_f, a_z, a_o = (x @ cell.W.T + h @ cell.U.T + cell.b).chunk(4, dim=-1)
        c = a_f.sigmoid() * c + a_i.exp() * a_z.tanh()
        n = a_f.sigmoid() * n + a_i.exp()
        h = a_o.sigmoid() * c / n
        torch.testing.assert_close(hidden[t], h, atol=1e-12, rtol=0)
    first = {key: values[0] for key, values in cell.record(inputs, cell.initial_state(B)).items()}
    torch.testing.assert_close(first["stabilizer"], (inputs[0] @ cell.W.T + cell.b)[:, :H], atol=1e-12, rtol=0)
    assert not first["log_input_gate"].any()  # m = ĩ at the first step


@proof("twin", ("mingru", "minlstm"))
def test_the_loop_is_the_closed_form(name):
    """h_t = Σ_s (Π_{r > s} f_r) i_s g_s, which a parallel scan computes; here by sums of logarithms."""
    cell = make_cell(name)
    inputs, state = random_inputs(cell)
    record = cell.record(inputs, state)
    decay = record["forget_gate"].log().cumsum(0)  # (T, B, H): ln of Π_{r ≤ t} f_r
    written = torch.logcumsumexp((record["input_gate"] * record["candidate"]).log() - decay, dim=0)
    expected = (decay + written).exp() + decay.exp() * state["hidden"]
    torch.testing.assert_close(record["hidden"], expected, atol=1e-12, rtol=0)
    torch.testing.assert_close(cell(inputs, state)[0], expected, atol=1e-12, rtol=0)


@proof("twin", ("gru_v1",))
def test_it_is_its_equations_a_gate_at_a_time(name):
    cell = make_cell(name)
    inputs, state = random_inputs(cell)
    hidden, record = cell(inputs, state)[0], cell.record(inputs, state)
    h, b = state["hidden"], {k: cell.biases(k)[0] for k in "rzn"}
    for t, x in enumerate(inputs):
        a = {k: x @ cell.weights(k)[0].T + b[k] for k in "rzn"}
        r = torch.sigmoid(a["r"] + h @ cell.weights("r")[1].T)
        z = torch.sigmoid(a["z"] + h @ cell.weights("z")[1].T)
        n = torch.tanh(a["n"] + (r * h) @ cell.weights("n")[1].T)
        h = (1 - z) * n + z * h
        found = {key: values[t] for key, values in record.items()} | {"forward": hidden[t]}
        assert_same(found, {"reset_gate": r, "update_gate": z, "candidate": n, "hidden": h, "forward": h})


@proof("twin", ("gru_v1",))
@pytest.mark.parametrize("where", ["r = 1", "U_n diagonal", "nowhere else"])
def test_it_is_torchs_gru_where_the_order_makes_no_difference(name, where):
    cell = make_cell(name)
    with torch.no_grad():
        if where == "r = 1":
            cell.biases("r")[0].fill_(1000.0)
        elif where == "U_n diagonal":
            cell.weights("n")[1].mul_(torch.eye(H))
    twin = nn.GRU(X, H).double()  # its rows are in the same order
    with torch.no_grad():
        for to, source in zip(twin.all_weights[0], [cell.W, cell.U, cell.b, 0 * cell.b], strict=True):
            to.copy_(source)
    inputs, state = random_inputs(cell)
    expected, _ = twin(inputs, state["hidden"][None])
    found = cell(inputs, state)[0]
    if where == "nowhere else":
        assert (found - expected).abs().amax((1, 2)).min() > 1e-3
    else:
        assert_same({"hidden": found}, {"hidden": expected})


@proof("twin", ("layernorm",))
def test_it_normalises_the_four_gates_together(name):
    """Ba et al. (2016), supplement: one mean and one deviation over the stacked 4h; c is carried on as it is."""
    cell = make_cell(name)
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.normal_()
    inputs, state = random_inputs(cell)
    record = cell.record(inputs, state)

    def normal(v: Tensor) -> Tensor:
        deviation = v - v.sum(-1, keepdim=True) / v.shape[-1]
        return deviation / (deviation.pow(2).sum(-1, keepdim=True) / v.shape[-1] + 1e-5).sqrt()

    h, c = state["hidden"], state["cell"]
    for t, x in enumerate(inputs):
        of_x, of_h = (torch.cat([v @ M.T for M in maps.chunk(4)], -1) for v, maps in ((x, cell.W), (h, cell.U)))
        a = cell.norm_x.weight * normal(of_x) + cell.norm_h.weight * normal(of_h) + cell.b
        a_i, a_f, a_g, a_o = a.chunk(4, dim=-1)
        c = a_f.sigmoid() * c + a_i.sigmoid() * a_g.tanh()
        h = a_o.sigmoid() * torch.tanh(cell.norm_c.weight * normal(c) + cell.norm_c.bias)
        torch.testing.assert_close(record["cell"][t], c, atol=1e-11, rtol=0)
        torch.testing.assert_close(record["hidden"][t], h, atol=1e-11, rtol=0)


@proof("gates as stated", ("layernorm",))
def test_the_gates_of_a_single_unit_answer_the_input(name):
    """Normalised by itself, the one number of a gate would be 0 whatever is read."""
    torch.manual_seed(0)
    cell = CELLS[name](X, 1).double()
    inputs, state = random_inputs(cell)
    record = cell.record(inputs, state)
    assert all(record[gate].std() > 0.01 for gate in cell.gates)


# ---- the equations that are shown are what is computed ---------------------------------------------------------------


@proof("equations")
@pytest.mark.parametrize("begins", [False, True])
def test_the_equations_are_the_step(name, begins):
    """Every symbol of the docstring, at every step, from the weights and the state before; and the next state."""
    cell = make_cell(name)
    inputs, state = random_inputs(cell)
    state = cell.initial_state(B) if begins else state
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.normal_()
        record, steps, U = cell.record(inputs, state), cell.project(inputs), cell.recurrent(inputs)
        for t, x in enumerate(inputs):
            values = cell.by_equations(x, state)
            after, gates = cell.step(steps[t], state, U)
            stepped = {**gates, **after}
            found = {role: evaluate(parse(symbol), values) for role, symbol in cell.symbols.items()}
            found = {role: as_tensor(value).to(inputs).expand_as(stepped[role]) for role, value in found.items()}
            assert_same(found, stepped)
            assert_same(found, {key: recorded[t] for key, recorded in record.items()}, 1e-11)
            state = after


@proof("traced")
@torch.no_grad()
def test_the_equations_are_the_operations_that_a_step_runs(name):
    """What torch saw of ``project`` and ``step``, operation by operation, gives what the tree gives."""
    cell = make_cell(name)
    inputs, state = random_inputs(cell)

    def step(x: Tensor, state: dict[str, Tensor]) -> dict[str, Tensor]:
        after, gates = cell.step(cell.project(x[None])[0], state, cell.recurrent(x[None]))
        return {**gates, **after}

    traced = make_fx(step)(torch.zeros_like(inputs[0]), cell.initial_state(B))
    for x, before in [(inputs[0], cell.initial_state(B)), *((x, state) for x in inputs)]:
        values = cell.by_equations(x, before)
        found = {role: evaluate(parse(symbol), values) for role, symbol in cell.symbols.items()}
        stepped = traced(x, before)
        assert_same({role: as_tensor(found[role]).to(x).expand_as(stepped[role]) for role in found}, stepped)


@proof("equations")
def test_a_forced_part_moves_what_is_made_of_it_and_nothing_else(name):
    """Every gate, every state and every other part of the equations in turn, each by its own text."""
    cell = make_cell(name)
    inputs, state = random_inputs(cell)
    equations, free = cell.parsed(), cell.by_equations(inputs[0], state)
    for part in (equations.parts & free.keys()) - equations.given:
        if as_tensor(free[part]).dtype == torch.bool:
            continue
        forced = cell.by_equations(inputs[0], state, {part: free[part] + 1.5})
        reached = {part}
        while more := {symbol for symbol, tree in equations.lines if reached & set(map(text, parts(tree)))} - reached:
            reached |= more
        moved = {key for key in equations.trees if not as_tensor(forced[key]).equal(as_tensor(free[key]))}
        assert torch.equal(as_tensor(forced[part]), as_tensor(free[part]) + 1.5)
        assert moved == reached & equations.trees.keys()


@pytest.mark.parametrize("name", REPORT)
def test_forcing_shows_that_the_reports_gates_reach_c_alone(name):
    cell = make_cell(name)
    inputs, state = random_inputs(cell)
    free = cell.by_equations(inputs[0], state)
    for gate in ("i", "f"):
        shut = cell.by_equations(inputs[0], state, {gate: 0})
        assert torch.equal(shut["h"], free["h"]) and not torch.equal(shut["c"], free["c"])
    with pytest.raises(ValueError, match="q cannot be forced: that is no part of the equations of this cell"):
        cell.by_equations(inputs[0], state, {"q": 0})


# ---- what is recorded is what happened -------------------------------------------------------------------------------


@proof("c, h from gates")
def test_c_and_h_follow_from_the_recorded_gates(name):
    cell = make_cell(name)
    inputs, state = random_inputs(cell)
    record = cell.record(inputs, state)
    before = {key: torch.cat([state[key][None], record[key][:-1]]) for key in cell.states}
    gates = {symbol: record[gate] for gate, symbol in cell.gates.items()}
    values = cell.by_equations(inputs, before, gates)
    assert_same({key: values[symbol] for key, symbol in cell.states.items()}, {key: record[key] for key in cell.states})


@proof("gates as stated", ("nig", "nfg", "nog", "cifg", "mingru", "minlstm", "janet"))
def test_gates_are_what_the_equations_fix(name):
    cell = make_cell(name)
    record = cell.record(*random_inputs(cell))
    missing = {"nig": "input_gate", "nfg": "forget_gate", "nog": "output_gate"}
    if name in missing:
        assert (record[missing[name]] == 1).all()
    elif name == "janet":
        s = record["forget_gate"].logit()
        torch.testing.assert_close(record["input_gate"], 1 - (s - 1).sigmoid(), atol=1e-12, rtol=0)
        assert (cell.b[:H] >= 0).all() and (cell.b[:H] <= torch.tensor(63.0).log()).all()  # chrono
    else:
        torch.testing.assert_close(
            record["input_gate"] + record["forget_gate"], torch.ones(T, B, H).double(), atol=1e-12, rtol=0
        )


@proof("kept")
def test_what_is_kept_is_the_gradient_along_the_memory_itself(name):
    """∂ held_t / ∂ held_{t-1} of the cell's own step, with the gates as constants: h' detached, no peepholes."""
    cell = make_cell(name)
    with torch.no_grad():
        for key, parameter in cell.named_parameters():
            if key.startswith("p_"):
                parameter.zero_()
        inputs, _ = random_inputs(cell)
        record = cell.record(inputs, cell.initial_state(B))
    trace = build_trace([record], name, batched=True)
    share, holds, lead = kept(trace), cell.does("holds"), cell.doer("holds")
    U, xs = cell.recurrent(inputs), cell.project(inputs)

    def slope(values: dict[str, Tensor]) -> Tensor:
        """Of what is held along c, where it is c / n."""
        values = {key: value.detach().requires_grad_(key == lead) for key, value in values.items()}
        worked = evaluate(holds, {symbol: values[key] for key, symbol in cell.states.items()})
        return torch.autograd.grad(worked.sum(), values[lead])[0]

    for t in range(1, T):
        before = {key: record[key][t - 1].clone().requires_grad_(key == lead) for key in cell.states}
        after, _ = cell.step(xs[t], before, lambda h, *k: U(h.detach(), *k))
        (direct,) = torch.autograd.grad(  # (B, H): of each unit by itself
            after[lead].sum(), before[lead], allow_unused=True, materialize_grads=True
        )
        direct = slope(after) * direct / slope(before)
        if share is None:
            assert not cell.keeps and not direct.any()
        else:
            found = torch.from_numpy(share[0, :, t])
            torch.testing.assert_close(found, direct.detach(), atol=1e-12, rtol=0)
            assert ((found >= 0) & (found <= 1)).all()


@proof("kept")
def test_what_is_held_is_what_was_kept_and_what_is_written(name):
    """held = keeps ⊙ held' + writes ⊙ candidate, of nothing but what is recorded; a cell without gates says neither."""
    cell = make_cell(name)
    inputs, _ = random_inputs(cell)
    with torch.no_grad():
        record = {name: values.numpy() for name, values in cell.record(inputs, cell.initial_state(B)).items()}
    held, keeps, writes = (cell.worked_out(what, record) for what in ("holds", "keeps", "writes"))
    assert (keeps is None) == (writes is None) == (not cell.gates)
    if keeps is not None:
        expected = keeps[1:] * held[:-1] + writes[1:] * record["candidate"][1:]
        np.testing.assert_allclose(held[1:], expected, atol=1e-12, rtol=0)


GREFF = ("peephole", "nig", "nfg", "nog", "niaf", "noaf", "np", "cifg", "fgr")


@proof("gates as stated", GREFF)
def test_the_gates_of_greff_et_al_see_what_their_equations_say(name):
    cell = make_cell(name)
    inputs, state = random_inputs(cell)
    v = cell.record(inputs, state)
    before = {key: torch.cat([state[key][None], v[key][:-1]]) for key in cell.states}
    maps = zip(cell.rows, *(stack.chunk(len(cell.rows)) for stack in (cell.W, cell.U, cell.b)), strict=True)
    a = {k: inputs @ W.T + before["hidden"] @ U.T + b for k, W, U, b in maps}
    seen = {"i": before["cell"], "f": before["cell"], "o": v["cell"]}
    for k, role in (("i", "input_gate"), ("f", "forget_gate"), ("o", "output_gate")):
        if k not in a:
            continue  # it is fixed: the test above
        if name != "np":
            a[k] = a[k] + getattr(cell, f"p_{k}") * seen[k]
        if name == "fgr":
            gates = torch.cat([before["input_gate"], before["forget_gate"], before["output_gate"]], dim=-1)
            a[k] = a[k] + gates @ cell.R["ifo".index(k) * H :][:H].T
        assert_same(v, {role: a[k].sigmoid()})
    assert_same(v, {"candidate": a["g"] if name == "niaf" else a["g"].tanh()})


@proof("fast = steps")
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 2e-6)])
def test_the_fast_path_equals_the_readable_steps(name, dtype, tolerance):
    cell = make_cell(name, dtype)
    inputs, state = random_inputs(cell)
    if name == "slstm":
        state = cell.initial_state(B)  # a random n can be near 0, which none is
    hidden, after = cell(inputs, state)
    record = cell.record(inputs, state)
    steps = Cell.record(cell, inputs, state)  # the base class loops over step()
    assert tuple(record) == tuple(steps)
    assert_same(record, steps, tolerance)
    torch.testing.assert_close(hidden, steps["hidden"], atol=tolerance, rtol=0)
    assert_same(after, {key: steps[key][-1] for key in cell.states}, tolerance)


@proof("windows = whole")
def test_window_by_window_equals_the_whole(name):
    cell = make_cell(name)
    inputs, state = random_inputs(cell)
    whole = cell.record(inputs, state)
    windows = []
    for window in inputs.split(4):
        windows.append(cell.record(window, state))
        state = {key: windows[-1][key][-1] for key in cell.states}
    assert_same({key: torch.cat([w[key] for w in windows]) for key in whole}, whole)


# ---- gradients -------------------------------------------------------------------------------------------------------


@proof("gradcheck")
def test_gradients_are_those_of_finite_differences(name):
    torch.manual_seed(0)
    cell = CELLS[name](2, 3).double()
    inputs = torch.randn(4, 2, 2, dtype=torch.float64, requires_grad=True)
    state = [torch.randn_like(zeros).requires_grad_() for zeros in cell.initial_state(2).values()]

    def run(inputs: Tensor, *values: Tensor) -> tuple[Tensor, ...]:
        hidden, after = cell(inputs, dict(zip(cell.states, values[: len(state)], strict=True)))
        return hidden, *after.values()

    assert torch.autograd.gradcheck(run, (inputs, *state, *cell.parameters()))


@proof("float32 gradient")
def test_the_gradient_in_float32_is_the_one_in_float64(name):
    """The products of float32 are oneDNN's, which gradcheck does not see."""
    gradients = {}
    for dtype in (torch.float64, torch.float32):
        cell = make_cell(name, torch.float32).to(dtype)
        torch.manual_seed(1)
        inputs = torch.randn(T, B, X).to(dtype)
        hidden = cell(inputs, cell.initial_state(B))[0]
        weight = torch.linspace(-1, 1, hidden.numel(), dtype=dtype).view_as(hidden)
        gradients[dtype] = torch.autograd.grad((hidden * weight).sum(), list(cell.parameters()), retain_graph=True)
        again = torch.autograd.grad((hidden * weight).sum(), list(cell.parameters()))
        assert all(torch.equal(a, b) for a, b in zip(gradients[dtype], again, strict=True))
    for exact, found in zip(gradients[torch.float64], gradients[torch.float32], strict=True):
        torch.testing.assert_close(found.double(), exact, atol=1e-5, rtol=1e-4)


@proof("what learns")
def test_every_parameter_learns_but_those_of_the_reports_gates(name):
    cell = make_cell(name)
    inputs, state = random_inputs(cell)
    cell(inputs, state)[0].pow(2).sum().backward()
    idle = {key for key, p in cell.named_parameters() if p.grad is None or not p.grad.any()}
    maps = {"report_split": ("W_ii", "W_hi", "W_if", "W_hf"), "report_concat": ("W_i", "W_f")}.get(name, ())
    assert idle == {f"{map}.{part}" for map in maps for part in ("weight", "bias")}


@proof("finite")
def test_two_thousand_steps_stay_finite(name):
    """Of noise, of nothing, and of inputs that hold every gate fully open or shut, so that whatever can grow does."""
    torch.manual_seed(0)
    cell, noise, ones = CELLS[name](3, 4), torch.randn(2_000, 3), torch.ones(2_000, 3)
    with torch.no_grad():
        record = cell.record(torch.stack([2 * noise, 0 * ones, 1e3 * ones, -1e3 * ones], dim=1), cell.initial_state(4))
    assert all(torch.isfinite(values).all() for values in record.values())


@proof("finite", ("slstm",))
@pytest.mark.parametrize("shift", [-200.0, 200.0])
def test_its_exponential_gates_do_not_overflow(name, shift):
    torch.manual_seed(0)
    cell = CELLS[name](3, 4)
    with torch.no_grad():
        cell.b[:4] += shift
    inputs = torch.randn(2_000, 1, 3, requires_grad=True)
    hidden, after = cell(inputs, cell.initial_state(1))
    hidden.sum().backward()
    assert torch.isfinite(hidden).all() and all(torch.isfinite(v).all() for v in after.values())
    assert torch.isfinite(inputs.grad).all() and all(torch.isfinite(p.grad).all() for p in cell.parameters())


# ---- a cell that is not ours -----------------------------------------------------------------------------------------


PROOFS = [
    test_c_and_h_follow_from_the_recorded_gates,
    test_a_forced_part_moves_what_is_made_of_it_and_nothing_else,
    test_what_is_kept_is_the_gradient_along_the_memory_itself,
    test_what_is_held_is_what_was_kept_and_what_is_written,
    test_window_by_window_equals_the_whole,
    test_gradients_are_those_of_finite_differences,
    test_the_gradient_in_float32_is_the_one_in_float64,
    test_every_parameter_learns_but_those_of_the_reports_gates,
    test_two_thousand_steps_stay_finite,
]


@pytest.mark.parametrize("proof_of", PROOFS)
def test_a_minimal_gated_unit_passes_every_proof(proof_of, minimal_gated_unit):
    proof_of(minimal_gated_unit)


@pytest.mark.parametrize("begins", [False, True])
def test_a_minimal_gated_unit_is_its_equations(begins, minimal_gated_unit):
    test_the_equations_are_the_step(minimal_gated_unit, begins)


def test_a_minimal_gated_unit_keeps_what_its_gate_does_not_write(minimal_gated_unit):
    cell = make_cell(minimal_gated_unit)
    with torch.no_grad():
        cell.biases("f")[0].fill_(4)
        record = cell.record(*random_inputs(cell))
    share = kept(build_trace([record], minimal_gated_unit, batched=True))
    torch.testing.assert_close(torch.from_numpy(share[0]), (1 - record["forget_gate"]).transpose(0, 1))
    assert share.mean() < 0.2  # an open gate keeps little
