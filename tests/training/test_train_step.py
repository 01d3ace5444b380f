"""The training step, which both kinds of training share: windows, micro-batches, one graph for the compiler."""

import dataclasses

import pytest
import torch

from training import workers
from trmsolve.model.trm import TRM
from trmsolve.training.losses import losses
from trmsolve.training.train_step import supervision_step


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
