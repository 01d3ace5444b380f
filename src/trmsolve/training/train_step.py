"""One training step, for pre-training and for test-time training.

    for each of bptt_steps supervision steps:                  (arXiv 2510.04871, figure 3)
        y, z, logits, q <- deep recursion from the carried y, z
        loss += cross-entropy(logits, answer) + w BCE(q, answer correct)
    backward; clip; optimizer step; detach y and z and keep them in the carry

In the published procedure bptt_steps is 1: every supervision step starts from detached states. In a longer window the
gradient also passes from step to step at the same cost (truncated backpropagation through time, Williams and Peng 1990;
measured in docs/records.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from trmsolve.model.trm import TRM, StepOutput
from trmsolve.training.carry import Carry, Labels
from trmsolve.training.compile import compile_step
from trmsolve.training.config import TrainConfig
from trmsolve.training.losses import LossNormalizer, losses
from trmsolve.training.metrics import HALT_CORRECT, HALTED, RIGHT, SOLVABLE, SOLVABLE_CORRECT, SUMS
from trmsolve.training.optim import Optimizers, sign_step


class SupervisionOutput(NamedTuple):
    """The output of a supervision step of B slots with L tokens; for a window, its last step with mean losses."""

    y: Tensor  # (L, D)
    z: Tensor  # (L, D)
    total: Tensor  # float32 (), this share of the batch's loss
    report: Tensor  # float32 (len(SUMS) + B,)


class StepBatch(Protocol):
    """The slots of a step, as micro-batches whose gradients are summed, also over processes (micro_batches.py)."""

    @property
    def micro_batches(self) -> Sequence[Carry]: ...

    def normalizer(self) -> LossNormalizer | None:
        """Divisors of the whole batch's losses; None if one micro-batch is the whole batch."""

    def puzzle_ids(self) -> Tensor:
        """int64 (slots,) on the CPU: the row of the puzzle table that each slot of the whole batch uses."""

    def scatter_rows(self, rows: Tensor) -> Tensor:
        """(own slots, D) -> (slots, D), with zeros for the slots of other processes."""

    def all_reduce(self, tensors: Sequence[Tensor]) -> None:
        """Sum over processes, in place."""


@dataclass(frozen=True)
class SingleBatch:
    """A whole batch in one carry of one process."""

    carry: Carry

    @property
    def micro_batches(self) -> Sequence[Carry]:
        return [self.carry]

    def normalizer(self) -> None:
        return None

    def puzzle_ids(self) -> Tensor:
        return torch.from_numpy(self.carry.puzzle_ids)

    def scatter_rows(self, rows: Tensor) -> Tensor:
        return rows

    def all_reduce(self, tensors: Sequence[Tensor]) -> None:
        pass


def train_step(
    batch: StepBatch,
    supervision: Supervision,
    optimizers: Optimizers,
    rate: float,
    *,
    table_only: bool = False,
    on_forward: Callable[[list[Tensor]], None] = lambda reports: None,
) -> list[Tensor]:
    """bptt_steps supervision steps of every slot and one optimizer step. Returns a report for each micro-batch.

    rate: factor of all learning rates. table_only: train only the rows of the puzzle table. on_forward: called with the
    reports before the last backward pass, so that sending them overlaps with it.
    """
    model, config = supervision.model, supervision.config
    table = model.embed.puzzle_table
    reports: list[Tensor] = []
    row_grads: list[Tensor] = []
    for carry in batch.micro_batches:  # gradients are summed
        rows = None if table is None else model.embed.lookup_puzzles(carry.tokens, carry.batch)[1].requires_grad_()
        output = supervision(carry, batch.normalizer(), rows)  # y, z, loss <- supervision steps from the carried y, z
        carry.keep(output.y, output.z)  # detached
        reports.append(output.report)
        if carry is batch.micro_batches[-1]:
            on_forward(reports)
        output.total.backward()
        if rows is not None:
            assert rows.grad is not None
            row_grads.append(rows.grad)
        if supervision.replays_graphs and len(batch.micro_batches) > 1:
            clone_grads(model, row_grads)

    row_grad = [batch.scatter_rows(torch.cat(row_grads))] if row_grads else []
    if table_only:
        batch.all_reduce(row_grad)
    else:
        batch.all_reduce([*(p.grad for p in model.parameters() if p.grad is not None), *row_grad])
        if config.grad_clip:
            torch.nn.utils.clip_grad_norm_(model.parameters(), config.grad_clip)
        optimizers.step(rate)
    if table is not None:
        sign_step(table, batch.puzzle_ids(), row_grad[0], rate * config.puzzle_lr, config.puzzle_weight_decay)
    return reports


def supervision_step(
    model: TRM,
    config: TrainConfig,
    bf16: bool,
    tokens: Tensor,
    y: Tensor,
    z: Tensor,
    labels: Labels,
    normalizer: LossNormalizer | None,
    puzzle_embeddings: Tensor | None = None,
) -> SupervisionOutput:
    """One supervision step from y and z, (L, D), with its losses; torch.compile compiles it as one graph."""
    # The cache of autocast could return a weight that was cast without gradient (pytorch#112583).
    cache = model.config.T == 1 and not model.config.grad_steps
    with torch.autocast(tokens.device.type, torch.bfloat16, enabled=bf16, cache_enabled=cache):
        step = model(tokens, y, z, labels.batch, puzzle_embeddings)
        following = None
        if config.continue_weight:
            with torch.no_grad():
                following = model(tokens, step.y.detach(), step.z.detach(), labels.batch)
    loss = losses(step, labels, config, following, normalizer)
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


class Supervision:
    """The supervision steps of a window for the slots of a carry, eager or compiled.

    With compile=True and static shapes on a GPU, a step is replayed as a CUDA graph. This path has not run on a GPU.
    """

    def __init__(self, model: TRM, config: TrainConfig, bf16: bool, compile: bool = False) -> None:
        self.model, self.config, self.bf16 = model, config, bf16
        static_shapes = model.config.seq_len > 0
        self.replays_graphs = compile and static_shapes and model.y_init.is_cuda
        self._step: Callable[..., SupervisionOutput] = supervision_step
        if compile:
            mode = "reduce-overhead" if self.replays_graphs else None
            self._step = compile_step(supervision_step, dynamic=not static_shapes, mode=mode)

    def __call__(
        self, carry: Carry, normalizer: LossNormalizer | None, puzzle_embeddings: Tensor | None = None
    ) -> SupervisionOutput:
        """bptt_steps supervision steps from the carried states."""
        if self.replays_graphs:
            torch.compiler.cudagraph_mark_step_begin()
        fixed, labels = (self.model, self.config, self.bf16), carry.labels
        y, z = carry.y, carry.z
        outputs: list[SupervisionOutput] = []
        for _ in range(self.config.bptt_steps):
            output = self._step(*fixed, carry.tokens, y, z, labels, normalizer, puzzle_embeddings)
            if self.replays_graphs:  # the next replay may overwrite this one's memory
                output = SupervisionOutput(*(tensor.clone() for tensor in output))
            y, z = output.y, output.z
            outputs.append(output)
        return outputs[0] if len(outputs) == 1 else _mean_of_window(outputs)


def _mean_of_window(outputs: list[SupervisionOutput]) -> SupervisionOutput:
    last = outputs[-1]
    sums = torch.stack([output.report[: len(SUMS)] for output in outputs]).mean(0)
    total = torch.stack([output.total for output in outputs]).mean()
    return last._replace(total=total, report=torch.cat([sums, last.report[len(SUMS) :]]))


def clone_grads(model: TRM, row_grads: list[Tensor]) -> None:
    """Copy gradients between micro-batches: the next replay of a graph overwrites their memory."""
    for p in model.parameters():
        p.grad = None if p.grad is None else p.grad.clone()
    row_grads[-1:] = [grad.clone() for grad in row_grads[-1:]]
