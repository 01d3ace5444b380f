"""One training step, for pre-training and for test-time training.

    for each of bptt_steps supervision steps:                  (arXiv 2510.04871, figure 3)
        y, z, logits, q <- deep recursion from the carried y, z
        loss += cross-entropy(logits, answer) + w_h BCE(q_halt, answer correct) + w_s BCE(q_2, ...)
    backward; clip; optimizer step; detach y and z and keep them in the carry

In the published procedure bptt_steps is 1: every supervision step starts from detached states. In a longer window the
gradient also passes from step to step at the same cost (truncated backpropagation through time, Williams and Peng 1990;
measured in docs/records.md); with T > 1 only under full_gradient, because the first T - 1 recursions have no gradient.

In our models the second logit q_2 of the halting head predicts whether the question has a solution. In HRM (arXiv
2506.21734) it is the Q-value of continuing, whose target is the larger Q-value of the next step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from trmsolve.model.packing import chosen_option, logits_by_choice
from trmsolve.model.trm import TRM, StepOutput
from trmsolve.training.carry import Carry, Labels, LossNormalizer
from trmsolve.training.compile import compile_step
from trmsolve.training.config import TrainConfig
from trmsolve.training.metrics import HALT_CORRECT, HALTED, RIGHT, SOLVABLE, SOLVABLE_CORRECT, SUMS
from trmsolve.training.optim import Optimizers, sign_step

if TYPE_CHECKING:
    from trmsolve.training.batch import Batch


def train_step(
    batch: Batch, supervision: Supervision, optimizers: Optimizers, rate: float, *, table_only: bool = False
) -> list[Tensor]:
    """bptt_steps supervision steps of every slot and one optimizer step. Returns a report for each micro-batch.

    rate: factor of all learning rates. table_only: train only the rows of the puzzle table.
    """
    model, config = supervision.model, supervision.config
    table = model.embed.puzzle_table
    reports: list[Tensor] = []
    row_grads: list[Tensor] = []
    for carry in batch.micro_batches:  # gradients are summed
        rows = None if table is None else model.embed.lookup_puzzles(carry.tokens, carry.batch)[1].requires_grad_()
        output = supervision(carry, batch.normalizer, rows)  # y, z, loss <- supervision steps from the carried y, z
        output.total.backward()
        carry.keep(output.y, output.z)  # detached
        reports.append(output.report)
        if rows is not None:
            assert rows.grad is not None
            row_grads.append(rows.grad)

    row_grad = [batch.scatter_rows(torch.cat(row_grads))] if row_grads else []
    if table_only:
        batch.group.all_reduce(row_grad)
    else:
        batch.group.all_reduce([*(p.grad for p in model.parameters() if p.grad is not None), *row_grad])
        if config.grad_clip:
            torch.nn.utils.clip_grad_norm_(model.parameters(), config.grad_clip)
        optimizers.step(rate)
    if table is not None:
        sign_step(table, batch.puzzle_ids, row_grad[0], rate * config.puzzle_lr, config.puzzle_weight_decay)
    return reports


class SupervisionOutput(NamedTuple):
    """The output of a supervision step of B slots with L tokens; for a window, its last step with mean losses."""

    y: Tensor  # (L, D)
    z: Tensor  # (L, D)
    total: Tensor  # float32 (), this share of the batch's loss
    report: Tensor  # float32 (len(SUMS) + B,)


def supervision_step(
    model: TRM,
    config: TrainConfig,
    bf16: bool,
    tokens: Tensor,
    y: Tensor,
    z: Tensor,
    labels: Labels,
    normalizer: LossNormalizer,
    puzzle_embeddings: Tensor | None = None,
) -> SupervisionOutput:
    """One supervision step from y and z, (L, D), with its losses; torch.compile compiles it as one graph."""
    # The cache of autocast could return a weight that was cast without gradient (pytorch#112583).
    cache = (model.config.T == 1 or config.full_gradient) and not model.config.grad_steps
    with torch.autocast(tokens.device.type, torch.bfloat16, enabled=bf16, cache_enabled=cache):
        step = model(tokens, y, z, labels.batch, puzzle_embeddings, config.full_gradient)
        following = None
        if config.continue_weight:
            with torch.no_grad():
                following = model(tokens, step.y.detach(), step.z.detach(), labels.batch)
    loss = losses(step, labels, config, normalizer, following)
    with torch.no_grad():
        halted = has_halted(step, labels.solvable, step.solvable_logit if config.continue_weight else 0.0)
        codes = HALTED * halted + RIGHT * loss.is_right
        codes = codes + HALT_CORRECT * ((step.halt_logit > 0) == loss.is_right)
        codes = codes + SOLVABLE_CORRECT * ((step.solvable_logit > 0) == labels.solvable) + SOLVABLE * labels.solvable
        sums = torch.stack([loss.total.detach(), loss.choices, loss.num_correct, loss.num_counted])
        report = torch.cat([sums, codes.to(sums.dtype)])
    y, z = (step.y, step.z) if config.bptt_steps > 1 else (step.y.detach(), step.z.detach())
    return SupervisionOutput(y, z, loss.total, report)


def has_halted(step: StepOutput, solvable: Tensor, threshold: Tensor | float) -> Tensor:
    """bool (B,): puzzles that the heads end, predicted to be correct, or correctly predicted to be unsolvable.

    threshold: of the halting logit; in HRM the value of continuing, float32 (B,).
    """
    return (step.halt_logit > threshold) | ((step.solvable_logit < 0) & ~solvable)


# -- losses ------------------------------------------------------------------------------------------------------------
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


# -- a window of supervision steps, eager or compiled ------------------------------------------------------------------
class Supervision:
    """The supervision steps of a window for the slots of a carry, eager or compiled."""

    def __init__(self, model: TRM, config: TrainConfig, bf16: bool, compile: bool = False) -> None:
        self.model, self.config, self.bf16 = model, config, bf16
        dynamic = not model.config.seq_len  # puzzles of different sizes
        self._step = compile_step(supervision_step, dynamic=dynamic) if compile else supervision_step

    def __call__(
        self, carry: Carry, normalizer: LossNormalizer, puzzle_embeddings: Tensor | None = None
    ) -> SupervisionOutput:
        """bptt_steps supervision steps from the carried states."""
        y, z, labels = carry.y, carry.z, carry.labels
        outputs: list[SupervisionOutput] = []
        for _ in range(self.config.bptt_steps):
            output = self._step(
                self.model, self.config, self.bf16, carry.tokens, y, z, labels, normalizer, puzzle_embeddings
            )
            y, z = output.y, output.z
            outputs.append(output)
        return outputs[0] if len(outputs) == 1 else _mean_of_window(outputs)


def _mean_of_window(outputs: list[SupervisionOutput]) -> SupervisionOutput:
    last = outputs[-1]
    sums = torch.stack([output.report[: len(SUMS)] for output in outputs]).mean(0)
    total = torch.stack([output.total for output in outputs]).mean()
    return last._replace(total=total, report=torch.cat([sums, last.report[len(SUMS) :]]))
