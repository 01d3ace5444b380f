"""The losses of a supervision step: cross-entropy of the answer, and binary cross-entropies of the halting head."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from trmsolve.model.packing import chosen_option, logits_by_choice
from trmsolve.model.trm import StepOutput
from trmsolve.training.carry import Labels, LossNormalizer
from trmsolve.training.config import TrainConfig


class Losses(NamedTuple):
    """Losses and metrics of one supervision step of B slots with U choices."""

    total: Tensor  # float32 (), to be minimised
    choices: Tensor  # float32 (), the cross-entropy only
    num_correct: Tensor  # float32 () choices equal to their label, of those with a weight above 0
    num_counted: Tensor  # float32 () choices with a weight above 0
    is_right: Tensor  # bool (B,) slots whose choices are all accepted


def stablemax_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """-log of s(target) / sum of s, where s(x) = x + 1 above 0 and 1 / (1 - x) below (arXiv 2501.04697, section 5).

    logits: (U, C), -inf for a missing option. target: int64 (U,). Returns logits' dtype, (U,). Computed in fp64, as in
    the published code, where the device has it.
    """
    x = logits if logits.device.type == "mps" else logits.double()
    s = F.relu(x) + 1 / (1 - x.clamp(max=0))  # both branches in one expression, without a division by zero
    picked = s.gather(1, target[:, None]).squeeze(1)
    return (s.sum(1).log() - picked.log()).to(logits.dtype)


def softmax_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """-log of the softmax probability of the target; arguments as above."""
    return F.cross_entropy(logits, target, reduction="none")


CROSS_ENTROPY = {"softmax": softmax_cross_entropy, "stablemax": stablemax_cross_entropy}


def losses(
    step: StepOutput,
    labels: Labels,
    config: TrainConfig,
    normalizer: LossNormalizer,
    following: StepOutput | None = None,
) -> Losses:
    """The losses of a step.

    following: the next step, without gradient, for the loss of the value of continuing; None for other models.
    """
    logits = logits_by_choice(step.logits, labels.batch)  # (U, C)
    counts = labels.weight > 0
    accepted = labels.accepted[chosen_option(logits, labels.batch)]  # bool (U,)
    wrong = torch.zeros_like(step.halt_logit)
    wrong = wrong.index_add_(0, labels.slot_of_choice, (~accepted & counts).to(wrong.dtype))  # (B,) wrong choices
    is_right = (wrong == 0) & labels.solvable
    weight, slots = normalizer
    entropy = CROSS_ENTROPY[config.loss](logits, labels.target)
    choices = (entropy * labels.weight).sum() / weight.clamp(min=1e-9)
    total = choices + config.halt_weight * _bce(step.halt_logit, is_right.float()) / slots
    if config.solvable_weight:
        total = total + config.solvable_weight * _bce(step.solvable_logit, labels.solvable.float()) / slots
    if following is not None:
        best = torch.maximum(following.halt_logit, following.solvable_logit)
        best = torch.where(labels.is_last, following.halt_logit, best)
        total = total + config.continue_weight * _bce(step.solvable_logit, best.sigmoid()) / slots
    correct = (logits.argmax(1) == labels.target) & counts
    return Losses(total, choices.detach(), correct.sum().float(), counts.sum().float(), is_right)


def _bce(logit: Tensor, target: Tensor) -> Tensor:
    """Binary cross-entropy, summed over the slots."""
    return F.binary_cross_entropy_with_logits(logit, target, reduction="sum")
