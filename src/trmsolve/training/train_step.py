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
from torch import Tensor

from trmsolve.model.trm import TRM, StepOutput
from trmsolve.training.carry import Carry, Labels, LossNormalizer
from trmsolve.training.compile import compile_step
from trmsolve.training.config import TrainConfig
from trmsolve.training.losses import losses
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
