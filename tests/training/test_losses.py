"""What training minimises: stablemax beside softmax, halting, and the value of continuing in HRM."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from trmsolve.model.packing import pack
from trmsolve.model.trm import StepOutput
from trmsolve.tasks.sequence import SequenceFormat
from trmsolve.training.carry import LossNormalizer
from trmsolve.training.config import TrainConfig
from trmsolve.training.losses import losses, softmax_cross_entropy, stablemax_cross_entropy


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
