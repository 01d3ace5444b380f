"""The settings of a training run, with their meanings and bounds."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass

from trmsolve.errors import TrmsolveError
from trmsolve.model.config import TRMConfig, check_fields, choice, number, shown

DECAYS: dict[str, Callable[[float], float]] = {  # from 1 at 0 to 0 at 1
    "linear": lambda progress: 1 - progress,
    "cosine": lambda progress: (1 + math.cos(math.pi * progress)) / 2,
}
MODEL_FIELDS = {field.name: field for field in dataclasses.fields(TRMConfig)}
OPTIMIZERS = ("muon", "adamw", "adam-atan2")


@dataclass(frozen=True)
class TrainConfig:
    """All settings that affect the result of a run, besides its data and its model.

    The defaults are those of the bundled checkpoints; the published recipes are files (recipes/). Raises TrmsolveError
    for an unknown name, and for a number out of bounds.
    """

    # Puzzles in a batch over all processes, one per slot; limited by memory (memory.py).
    batch_size: int = number(32, 1, 1 << 40)
    # Supervision steps that a gradient passes through before an optimizer step (train_step.py).
    bptt_steps: int = number(1, 1, 4096)
    # Gradients through all T latent recursions of a step. Otherwise, as in the paper, only through the last one; then
    # with T > 1 no gradient passes from step to step, whatever bptt_steps is.
    full_gradient: bool = False
    # Micro-batches per process: less memory, same result.
    grad_accum_steps: int = number(1, 1, 1 << 20)
    steps: int | None = number(None, 1, 1 << 40)  # total optimizer steps; None: as many as `minutes` allow
    minutes: float | None = number(None, 0, 1e9)  # total wall time, over all sessions
    # `muon` (AdamW for all but the layers' matrices), or one optimizer for everything.
    optimizer: str = choice(*OPTIMIZERS)
    lr: float = number(0.02, 0, 1e3)
    weight_decay: float = number(0.005, 0, 1e3)  # decoupled: weights shrink by lr * weight_decay a step
    adam_lr: float = number(1e-3, 0, 1e3)  # with `muon`: AdamW's, for embedding and heads
    adam_weight_decay: float = number(0.1, 0, 1e3)
    # Of the puzzle embeddings (sign-SGD: the step does not depend on the size of the gradient).
    puzzle_lr: float = number(0.01, 0, 1e3)
    puzzle_weight_decay: float = number(0.1, 0, 1e3)
    warmup: int = number(100, 0, 1 << 40)  # optimizer steps
    stable_frac: float = number(0.3, 0, 1)  # share of the run at the full rate, before it decays to `lr_floor` times it
    lr_decay: str = choice("linear", "cosine")
    lr_floor: float = number(0.01, 0, 1)
    grad_clip: float = number(1.0, 0, 1e9)  # maximum norm of the gradient; 0: no maximum
    ema: float = number(0.999, 0, 1)  # decay of the average of the weights; 0: no average
    loss: str = choice("softmax", "stablemax")  # train_step.py
    halt_weight: float = number(0.1, 0, 1e6)  # of the halting loss
    # Of the loss of "the question has a solution", a prediction that prunes branches of a search.
    solvable_weight: float = number(0.5, 0, 1e6)
    # Of HRM's loss of the value of continuing, instead of the previous one; needs one more forward pass.
    continue_weight: float = number(0.0, 0, 1e6)
    halt_exploration_prob: float = number(0.1, 0, 1)  # probability that a puzzle has a random minimum of steps
    depth_curriculum: tuple[
        tuple[float, int, int], ...
    ] = ()  # rows (until this share of the run, T, n) for a shallower start
    seed: int = number(0, 0, (1 << 63) - 1)

    def __post_init__(self) -> None:
        check_fields("train", self)
        if not isinstance(self.depth_curriculum, tuple) or not all(map(_is_depth_row, self.depth_curriculum)):
            raise TrmsolveError(
                f"train.depth_curriculum: found {shown(self.depth_curriculum)}, expected rows of [share, T, n]",
                "use a share of the run from 0 to 1, and values of T and n that a model may have",
            )
        if self.bptt_steps > 1 and self.continue_weight:
            raise TrmsolveError(
                "train.bptt_steps: train.continue_weight needs windows of a single step",
                "set train.bptt_steps=1, or train.continue_weight=0",
            )

    def progress(self, step: int, seconds: float) -> float:
        """The finished share of the run, 0 to 1; 0 for a run without end."""
        share = step / self.steps if self.steps else seconds / (60 * self.minutes) if self.minutes else 0.0
        return min(1.0, share)

    def rate(self, step: int, seconds: float) -> float:
        """The factor of all learning rates at this point of the run."""
        progress, stable = self.progress(step, seconds), self.stable_frac
        decayed = max(0.0, progress - stable) / (1 - stable) if stable < 1 else 0.0
        return min(1.0, (step + 1) / max(1, self.warmup)) * max(self.lr_floor, DECAYS[self.lr_decay](decayed))

    def depth(self, model: TRMConfig, step: int, seconds: float) -> tuple[int, int]:
        """T and n at this point of the run."""
        return self._depth_at(self.progress(step, seconds), model)

    def _depth_at(self, progress: float, model: TRMConfig) -> tuple[int, int]:
        return next(((T, n) for until, T, n in self.depth_curriculum if progress < until), (model.T, model.n))

    def finished(self, step: int, seconds: float) -> bool:
        """Whether the steps or the minutes are used up."""
        by_steps = self.steps is not None and step >= self.steps
        return by_steps or (self.minutes is not None and seconds >= 60 * self.minutes)

    def seconds_left(self, model: TRMConfig, step: int, seconds: float, seconds_per_step: float | None) -> float | None:
        """An estimate of the wall time until the run is finished; None if it cannot be estimated.

        seconds_per_step: measured at the current depth. Deeper steps later in the run count in proportion to their
        cost: n + 1 network calls in each of T latent recursions, the last with a backward pass.
        """
        estimates = []
        if self.minutes is not None:
            estimates.append(max(0.0, 60 * self.minutes - seconds))
        if self.steps is not None and seconds_per_step is not None:

            def cost(progress: float) -> float:
                T, n = self._depth_at(progress, model)
                return (T + 2) * (n + 1)

            here = self.progress(step, seconds)
            mean_cost = sum(cost(here + (1 - here) * (k + 0.5) / 50) for k in range(50)) / 50
            estimates.append(max(0, self.steps - step) * seconds_per_step * mean_cost / cost(here))
        return min(estimates, default=None)


def _is_depth_row(row: object) -> bool:
    """Whether this is (share of the run, T, n)."""
    if not isinstance(row, tuple) or len(row) != 3 or type(row[0]) not in (int, float):
        return False
    bounds = (0, 1), *(MODEL_FIELDS[name].metadata["bounds"] for name in ("T", "n"))
    whole = all(type(number) is int for number in row[1:])
    return whole and all(low <= number <= high for number, (low, high) in zip(row, bounds, strict=True))
