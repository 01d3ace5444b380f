"""What a supervision step is punished for.

    loss = cross-entropy of the choices + w_h BCE(halt, answer right) + w_s BCE(second logit, ...)

The second logit of the halting head means "the question has a solution" in our models. In HRM (arXiv 2506.21734) it is
the value of going on, learnt from the step that follows: a Q-value, the best of the next step's two.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from trmsolve.model.readout import by_choice, chosen
from trmsolve.model.trm import Step
from trmsolve.training.config import TrainConfig
from trmsolve.training.slots import Labels


class Whole(NamedTuple):
    """What the losses of a share of a batch are divided by, so that those of all shares sum up to the batch's."""

    weight: Tensor  # float32 (), of all choices of the whole batch
    slots: int  # of the whole batch


class Losses(NamedTuple):
    """Of one supervision step of B slots with U choices."""

    total: Tensor  # what is minimised
    choices: Tensor  # the cross-entropy alone
    hits: Tensor  # float32 () choices made as the label says, of those that count
    counted: Tensor  # float32 () choices that count
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


def losses(
    step: Step, labels: Labels, config: TrainConfig, following: Step | None = None, whole: Whole | None = None
) -> Losses:
    """The losses of a step; `following` is the one after it, without gradient, when going on is learnt from it.

    whole: of what batch these puzzles are a share; None: they are all.
    """
    made = by_choice(step.logits, labels.layout)
    counts = labels.weight > 0
    accepted = labels.accepted[chosen(made, labels.layout)]
    wrong = torch.zeros_like(step.halt).index_add_(0, labels.slot_of_choice, (~accepted & counts).to(step.halt.dtype))
    right = (wrong == 0) & labels.solvable
    weight, slots = (labels.weight.sum(), len(step.halt)) if whole is None else whole
    entropy = CROSS_ENTROPY[config.loss](made, labels.target)
    choices = (entropy * labels.weight).sum() / weight.clamp(min=1e-9)
    total = choices + config.halt_weight * _binary(step.halt, right.float()) / slots
    if config.solvable_weight:
        total = total + config.solvable_weight * _binary(step.solvable, labels.solvable.float()) / slots
    if following is not None:
        best = torch.where(labels.last, following.halt, torch.maximum(following.halt, following.solvable))
        total = total + config.continue_weight * _binary(step.solvable, best.sigmoid()) / slots
    hits = (made.argmax(1) == labels.target) & counts
    return Losses(total, choices.detach(), hits.sum().float(), counts.sum().float(), right)


def _binary(logit: Tensor, target: Tensor) -> Tensor:
    """The binary cross-entropies of all slots, summed."""
    return F.binary_cross_entropy_with_logits(logit, target, reduction="sum")
