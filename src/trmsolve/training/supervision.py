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


def supervision(model: TRM, config: TrainConfig, bf16: bool, compile: bool) -> Callable[..., Outcome]:
    """supervise() for a model: (slots, whole, names) -> Outcome.

    Compiled, a GPU that meets one shape only replays the step as a graph instead of launching its kernels one by one.
    """
    still = model.config.length > 0  # shapes never change
    graphs = compile and still and model.y_init.is_cuda
    step: Callable[..., Outcome] = supervise
    if compile:
        step = torch.compile(supervise, dynamic=not still, mode="reduce-overhead" if graphs else None)

    def run(slots: Slots, whole: Whole, names: Tensor | None = None) -> Outcome:
        if not graphs:
            return step(model, config, bf16, slots.tokens, slots.y, slots.z, slots.labels, whole, names)
        torch.compiler.cudagraph_mark_step_begin()
        made = step(model, config, bf16, slots.tokens, slots.y, slots.z, slots.labels, whole, names)
        # The next replay writes where this one has; the loss is asked for its gradient before.
        return Outcome(made.y.clone(), made.z.clone(), made.total, made.report.clone())

    return run
