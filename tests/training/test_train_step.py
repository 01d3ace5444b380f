"""The training step, which both kinds of training share: losses, halting, windows, accumulation."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from training import workers
from trmsolve.model.packing import pack
from trmsolve.model.trm import TRM, StepOutput
from trmsolve.tasks.sequence import SequenceFormat
from trmsolve.training.carry import LossNormalizer
from trmsolve.training.config import TrainConfig
from trmsolve.training.train_step import losses, softmax_cross_entropy, stablemax_cross_entropy, supervision_step


def test_gradient_of_a_window_passes_between_its_steps(tmp_path):
    """The gradient of a window is that of the mean loss of its steps, computed here without the trainer."""
    session = workers.train(tmp_path, steps=3, bptt_steps=3)
    (slots,) = session.batch.micro_batches
    whole, y, z, expected = session.batch.normalizer, slots.y, slots.z, 0.0
    for _ in range(3):
        step = session.model(slots.tokens, y, z, slots.batch)
        expected = expected + losses(step, slots.labels, session.config, whole).total / 3
        y, z = step.y, step.z
    parameters = list(session.model.parameters())
    outcome = session.supervision(slots, whole)
    torch.testing.assert_close(outcome.total, expected)
    torch.testing.assert_close(outcome.y, y)
    ours, theirs = (torch.autograd.grad(total, parameters) for total in (outcome.total, expected))
    torch.testing.assert_close(ours, theirs)

    def detached(y, z):
        """The gradient of three steps that each start from detached states."""
        total = 0.0
        for _ in range(3):
            step = session.model(slots.tokens, y.detach(), z.detach(), slots.batch)
            total = total + losses(step, slots.labels, session.config, whole).total / 3
            y, z = step.y, step.z
        return torch.autograd.grad(total, parameters)

    assert max((one - other).abs().max() for one, other in zip(ours, detached(slots.y, slots.z), strict=True)) > 1e-4


@pytest.mark.parametrize("full_gradient", [False, True])
def test_gradient_passes_through_all_latent_recursions_only_on_demand(full_gradient, tmp_path):
    """A step of T = 2 with full gradient is two steps of T = 1; without it, its input states get no gradient."""
    carry = workers.train(tmp_path, steps=3).batch.micro_batches[0]
    once = TRM(dataclasses.replace(workers.UNITS, T=1))
    once.load_state_dict(workers.start(workers.UNITS))
    twice = TRM(dataclasses.replace(workers.UNITS, T=2))
    twice.load_state_dict(once.state_dict())
    y, z = (state.detach().requires_grad_() for state in (carry.y, carry.z))

    step = twice(carry.tokens, y, z, carry.batch, full_gradient=full_gradient)
    of_input = torch.autograd.grad(step.logits.sum(), [y, z], allow_unused=True)
    first = once(carry.tokens, y, z, carry.batch)
    second = once(carry.tokens, first.y, first.z, carry.batch)
    torch.testing.assert_close(step.logits, second.logits)
    if full_gradient:
        torch.testing.assert_close(of_input, torch.autograd.grad(second.logits.sum(), [y, z]))
    else:
        assert of_input == (None, None)


@pytest.mark.parametrize("accumulate", [2, 5])
def test_micro_batches_add_up_to_the_batch(tmp_path, accumulate):
    whole = workers.train(tmp_path / "whole", steps=8, batch_size=11)
    parts = workers.train(tmp_path / "parts", steps=8, batch_size=11, grad_accum_steps=accumulate)
    assert len(parts.batch.micro_batches) == accumulate
    assert (parts.batch.schedule.index == whole.batch.schedule.index).all()
    for p, q in zip(parts.model.parameters(), whole.model.parameters(), strict=True):
        torch.testing.assert_close(p, q, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("kind", ["sudoku", "table"])
def test_supervision_step_compiles_as_one_graph(kind, tmp_path):
    """By the compiler's front end only; with fullgraph it raises for code that cannot be part of the graph."""
    session = workers.train(tmp_path, kind, steps=3, continue_weight=0.5, solvable_weight=0.0)
    (slots,) = session.batch.micro_batches
    states = (slots.tokens, slots.y, slots.z, slots.labels)
    arguments = (session.model, session.config, False, *states, session.batch.normalizer)
    plain = supervision_step(*arguments)
    compiled = torch.compile(supervision_step, backend="eager", fullgraph=True)(*arguments)
    torch.testing.assert_close(compiled, plain)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("kind", ["sudoku", "table"])
@pytest.mark.parametrize("compile", [False, True])
@pytest.mark.parametrize("window", [1, 3])
def test_a_gpu_trains_what_the_cpu_does(kind, compile, window, tmp_path):
    cpu = workers.train(tmp_path / "cpu", kind, bptt_steps=window)
    gpu = workers.train(tmp_path / "gpu", kind, bptt_steps=window, device="cuda", compile=compile)
    for (name, p), q in zip(cpu.model.named_parameters(), gpu.model.parameters(), strict=True):
        torch.testing.assert_close(q.cpu(), p, atol=1e-3, rtol=1e-3, msg=lambda m, n=name: f"{n}: {m}")


def by_hand(row: list[float], target: int) -> float:
    """The formula, number by number."""
    s = [x + 1 if x >= 0 else 1 / (1 - x) for x in row]
    return -np.log(s[target] / sum(s))


def test_stablemax_is_its_formula():
    rows = [[0.0, 0.0, 0.0], [5.0, -5.0, 1.0], [-200.0, 3.5, -0.25], [1.0, 1e6, -1e6]]
    logits, target = torch.tensor(rows), torch.tensor([2, 0, 2, 0])
    expected = [by_hand(row, int(t)) for row, t in zip(rows, target, strict=True)]
    np.testing.assert_allclose(stablemax_cross_entropy(logits, target).numpy(), expected, rtol=1e-6)


def test_stablemax_leaves_out_options_that_are_none_and_has_gradients_everywhere():
    logits = torch.tensor([[1.0, 0.0, float("-inf")], [-1.0, 1.0, 0.0]], requires_grad=True)
    loss = stablemax_cross_entropy(logits, torch.tensor([0, 2]))
    assert loss[0].item() == pytest.approx(by_hand([1.0, 0.0], 0))
    loss.sum().backward()
    assert logits.grad.isfinite().all() and logits.grad[0, 2] == 0
    # d/dx of -log s(target) + log sum s, at x = 0 by its right side: s' = 1 there
    assert logits.grad[1, 2].item() == pytest.approx(-1.0 + 1 / (0.5 + 2.0 + 1.0))


def test_softmax_and_stablemax_differ_where_one_option_leads():
    logits, target = torch.tensor([[10.0, 0.0]]), torch.tensor([0])
    assert softmax_cross_entropy(logits, target).item() < 1e-4 < 0.08 < stablemax_cross_entropy(logits, target).item()


def two_slots(config: TrainConfig, halt: list[float], second: list[float], last: list[bool], following=None):
    """Two puzzles of four cells and three token ids; the first is answered rightly, the second is not."""
    frame, cells = SequenceFormat(0, 4, 3, 0), np.zeros(4, np.int64)
    samples = [frame.sample(cells, np.array([0, 1, 2, 0])), frame.sample(cells, np.array([0, 1, 2, 1]))]
    _, batch = pack([s.encoded for s in samples])
    logits = torch.full((2, 4, 3), -4.0)
    for slot in range(2):
        logits[slot, torch.arange(4), torch.tensor([0, 1, 2, 0])] = 4.0
    accepted = torch.zeros(2, 4, 3, dtype=torch.bool)
    for slot, s in enumerate(samples):
        accepted[slot, torch.arange(4), torch.from_numpy(s.target)] = True
    slots = SimpleNamespace(
        batch=batch,
        weight=torch.ones(8),
        accepted=accepted.flatten(),
        slot_of_choice=torch.arange(2).repeat_interleave(4),
        solvable=torch.ones(2, dtype=torch.bool),
        target=torch.from_numpy(np.concatenate([s.target for s in samples])),
        is_last=torch.tensor(last),
    )
    step = StepOutput(None, None, logits.flatten(), torch.tensor(halt), torch.tensor(second))
    return losses(step, slots, config, LossNormalizer(slots.weight.sum(), len(step.halt_logit)), following)


def bce(logit: float, target: float) -> float:
    p = 1 / (1 + np.exp(-logit))
    return -(target * np.log(p) + (1 - target) * np.log(1 - p))


def test_halting_learns_whether_the_whole_answer_is_right():
    config = TrainConfig(halt_weight=0.5, solvable_weight=0.0)
    losses = two_slots(config, [1.0, 1.0], [0.0, 0.0], [False, False])
    assert (
        losses.is_right.tolist() == [True, False] and losses.num_correct.item() == 7 and losses.num_counted.item() == 8
    )
    expected = losses.choices.item() + 0.5 * (bce(1.0, 1.0) + bce(1.0, 0.0)) / 2
    assert losses.total.item() == pytest.approx(expected, rel=1e-6)


def test_target_of_continuing_is_the_larger_q_value_of_the_next_step():
    config = TrainConfig(halt_weight=0.0, solvable_weight=0.0, continue_weight=0.5)
    following = StepOutput(None, None, None, torch.tensor([-1.0, -2.0]), torch.tensor([3.0, 3.0]))
    losses = two_slots(config, [0.0, 0.0], [0.5, 0.5], [False, True], following)
    sigmoid = lambda x: 1 / (1 + np.exp(-x))  # noqa: E731
    going_on = (bce(0.5, sigmoid(3.0)) + bce(0.5, sigmoid(-2.0))) / 2
    assert losses.total.item() == pytest.approx(losses.choices.item() + 0.5 * going_on, rel=1e-6)
