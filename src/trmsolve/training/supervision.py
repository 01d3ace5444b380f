"""One supervision step of some slots with its losses, as one function that torch.compile takes whole.

What the host must know of it comes back as one vector, so that a step costs one transfer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from trmsolve.model.trm import TRM
from trmsolve.training.config import TrainConfig
from trmsolve.training.losses import Whole, losses
from trmsolve.training.slots import Labels, Slots, ends

SUMS = ("total", "loss", "hits", "counted")  # what a report begins with; of losses and of their counts
# Then a number for each slot, made of these: the heads let it go; every choice is right; the halting head is right; so
# is the other one; the puzzle has a solution.
ENDS, RIGHT, HALTING, SOLVING, SOLVABLE = 1, 2, 4, 8, 16


class Outcome(NamedTuple):
    """Of one supervision step of B slots with L tokens."""

    y: Tensor  # (L, D), detached as z is
    z: Tensor  # (L, D)
    total: Tensor  # float32 (), to be minimised: this share of the batch's loss
    report: Tensor  # float32 (len(SUMS) + B,)


def supervise(
    model: TRM,
    config: TrainConfig,
    bf16: bool,
    tokens: Tensor,
    y: Tensor,
    z: Tensor,
    labels: Labels,
    whole: Whole,
    names: Tensor | None = None,
) -> Outcome:
    """A supervision step from y and z and what it is punished for. Arguments as TRM.forward and losses() take them."""
    layout = labels.layout
    with torch.autocast(tokens.device.type, torch.bfloat16, enabled=bf16):
        step = model(tokens, y, z, layout, names)
        following = None
        if config.continue_weight:
            with torch.no_grad():
                following = model(tokens, step.y.detach(), step.z.detach(), layout)
    found = losses(step, labels, config, following, whole)
    with torch.no_grad():
        codes = ENDS * ends(step, labels.solvable, step.solvable if config.continue_weight else 0.0)
        codes = codes + RIGHT * found.right + HALTING * ((step.halt > 0) == found.right)
        codes = codes + SOLVING * ((step.solvable > 0) == labels.solvable) + SOLVABLE * labels.solvable
        sums = torch.stack([found.total.detach(), found.choices, found.hits, found.counted])
        report = torch.cat([sums, codes.to(sums.dtype)])
    return Outcome(step.y.detach(), step.z.detach(), found.total, report)


class Supervision:
    """supervise() for the slots of a model.

    Compiled, a GPU that meets one shape only replays the step as a graph instead of launching its kernels one by one.
    """

    def __init__(self, model: TRM, config: TrainConfig, bf16: bool, compile: bool) -> None:
        self.model, self.config, self.bf16 = model, config, bf16
        still = model.config.length > 0  # shapes never change
        self.graphs = compile and still and model.y_init.is_cuda
        self._step: Callable[..., Outcome] = supervise
        if compile:
            mode = "reduce-overhead" if self.graphs else None
            self._step = torch.compile(supervise, dynamic=not still, mode=mode)

    def __call__(self, slots: Slots, whole: Whole, names: Tensor | None = None) -> Outcome:
        """names: as TRM.forward takes them."""
        if self.graphs:
            torch.compiler.cudagraph_mark_step_begin()
        fixed = self.model, self.config, self.bf16
        made = self._step(*fixed, slots.tokens, slots.y, slots.z, slots.labels, whole, names)
        if not self.graphs:
            return made
        # The next replay writes where this one has; the loss is asked for its gradient before.
        return Outcome(made.y.clone(), made.z.clone(), made.total, made.report.clone())


def settle(model: TRM, more: list[Tensor]) -> None:
    """Copy the parameters' gradients, and the last of `more`, out of the memory that a graph's next replay overwrites.

    Between micro-batches: otherwise nobody asks for gradients after the next replay.
    """
    for p in model.parameters():
        p.grad = None if p.grad is None else p.grad.clone()
    more[-1:] = [grad.clone() for grad in more[-1:]]
