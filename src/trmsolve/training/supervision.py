"""One supervision step of some slots with its losses, as one function that torch.compile takes whole.

What the host must know of it comes back as one vector, so that a step costs one transfer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from trmsolve.model.trm import TRM
from trmsolve.training.compiling import compiled
from trmsolve.training.config import TrainConfig
from trmsolve.training.losses import Whole, losses
from trmsolve.training.slots import Labels, Slots, ends

SUMS = ("total", "loss", "hits", "counted")  # what a report begins with; of losses and of their counts
# Then a number for each slot, made of these: the heads let it go; every choice is right; the halting head is right; so
# is the other one; the puzzle has a solution.
ENDS, RIGHT, HALTING, SOLVING, SOLVABLE = 1, 2, 4, 8, 16


class Outcome(NamedTuple):
    """Of one supervision step of B slots with L tokens; or of the last of a window, but for total and SUMS: means."""

    y: Tensor  # (L, D); detached as z is, but within a window
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
    # What is cast first without a gradient must not be found again where one is needed (pytorch#112583, until 2.10).
    whole_gradient = model.config.T == 1 and not model.config.with_gradient
    with torch.autocast(tokens.device.type, torch.bfloat16, enabled=bf16, cache_enabled=whole_gradient):
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
    y, z = (step.y, step.z) if config.window > 1 else (step.y.detach(), step.z.detach())
    return Outcome(y, z, found.total, report)


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
            self._step = compiled(supervise, dynamic=not still, mode=mode)

    def __call__(self, slots: Slots, whole: Whole, names: Tensor | None = None) -> Outcome:
        """As many steps as the window has. names: as TRM.forward takes them."""
        if self.graphs:
            torch.compiler.cudagraph_mark_step_begin()
        fixed, labels = (self.model, self.config, self.bf16), slots.labels
        y, z, made = slots.y, slots.z, []
        for _ in range(self.config.window):
            outcome = self._step(*fixed, slots.tokens, y, z, labels, whole, names)
            if self.graphs:  # the next replay may write where this one has
                outcome = Outcome(*(tensor.clone() for tensor in outcome))
            y, z = outcome.y, outcome.z
            made.append(outcome)
        return made[0] if len(made) == 1 else _window(made)


def _window(made: list[Outcome]) -> Outcome:
    """What the steps of a window amount to."""
    last, sums = made[-1], torch.stack([outcome.report[: len(SUMS)] for outcome in made]).mean(0)
    total = torch.stack([outcome.total for outcome in made]).mean()
    return last._replace(total=total, report=torch.cat([sums, last.report[len(SUMS) :]]))


def settle(model: TRM, more: list[Tensor]) -> None:
    """Copy the parameters' gradients, and the last of `more`, out of the memory that a graph's next replay overwrites.

    Between micro-batches: otherwise nobody asks for gradients after the next replay.
    """
    for p in model.parameters():
        p.grad = None if p.grad is None else p.grad.clone()
    more[-1:] = [grad.clone() for grad in more[-1:]]
