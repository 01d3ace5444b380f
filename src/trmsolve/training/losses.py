"""What a supervision step is punished for.

    loss = cross-entropy of the choices + w_h BCE(halt, answer right) + w_s BCE(second logit, ...)

The second logit of the halting head means "the question has a solution" in our models. In HRM (arXiv 2506.21734) it is
the value of going on, learnt from the step that follows: a Q-value, the best of the next step's two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from trmsolve.model.readout import by_choice, chosen
from trmsolve.model.trm import Step
from trmsolve.training.config import TrainConfig

if TYPE_CHECKING:
    from trmsolve.training.slots import Slots


class Losses(NamedTuple):
    """Of one supervision step of B slots with U choices."""

    total: Tensor  # what is minimised
    choices: Tensor  # the cross-entropy alone
    hit: Tensor  # bool (U,) choices made as the label says
    right: Tensor  # bool (B,) slots whose every choice is one that leaves the answer right


def stablemax_cross_entropy(made: Tensor, target: Tensor) -> Tensor:
    """-log of s(target) / sum of s, where s(x) = x + 1 above 0 and 1 / (1 - x) below (arXiv 2501.04697, section 5).

    made: (U, C), -inf for no option. target: int64 (U,). Returns made's dtype, (U,). Computed in fp64, as in the
    published code, where the device has it.
    """
    x = made if made.device.type == "mps" else made.double()
    s = F.relu(x) + 1 / (1 - x.clamp(max=0))  # both branches at once: neither divides by zero where it does not count
    picked = s.gather(1, target[:, None]).squeeze(1)
    return (s.sum(1).log() - picked.log()).to(made.dtype)


def softmax_cross_entropy(made: Tensor, target: Tensor) -> Tensor:
    """-log of the probability of the target; arguments as above."""
    return F.cross_entropy(made, target, reduction="none")


CROSS_ENTROPY = {"softmax": softmax_cross_entropy, "stablemax": stablemax_cross_entropy}


def losses(step: Step, slots: Slots, config: TrainConfig, following: Step | None = None) -> Losses:
    """The losses of a step; `following` is the one after it, without gradient, when going on is learnt from it."""
    made = by_choice(step.logits, slots.layout)
    counts = slots.weight > 0
    accepted = slots.accepted[chosen(made, slots.layout)]
    wrong = torch.zeros_like(step.halt).index_add_(0, slots.slot_of_choice, (~accepted & counts).to(step.halt.dtype))
    right = (wrong == 0) & slots.solvable
    entropy = CROSS_ENTROPY[config.loss](made, slots.target)
    choices = (entropy * slots.weight).sum() / slots.weight.sum().clamp(min=1e-9)
    halt = F.binary_cross_entropy_with_logits(step.halt, right.float())
    total = choices + config.halt_weight * halt
    if config.solvable_weight:
        solvable = F.binary_cross_entropy_with_logits(step.solvable, slots.solvable.float())
        total = total + config.solvable_weight * solvable
    if following is not None:
        best = torch.where(slots.last, following.halt, torch.maximum(following.halt, following.solvable))
        going_on = F.binary_cross_entropy_with_logits(step.solvable, best.sigmoid())
        total = total + config.continue_weight * going_on
    return Losses(total, choices.detach(), (made.argmax(1) == slots.target)[counts], right)
