"""The settings of a training run, with what each means."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from trmsolve.errors import TrmsolveError, did_you_mean
from trmsolve.model.config import BOUNDS as MODEL_BOUNDS
from trmsolve.model.config import TRMConfig

OPTIMIZERS = ("muon", "adamw", "adam-atan2")
LOSSES = ("softmax", "stablemax")
DECAYS: dict[str, Callable[[float], float]] = {  # from 1 at 0 to 0 at 1
    "linear": lambda progress: 1 - progress,
    "cosine": lambda progress: (1 + math.cos(math.pi * progress)) / 2,
}


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides what a run computes, beside its data and its model.

    The defaults are those of the bundled checkpoints; the published recipes are files (recipes/). Raises TrmsolveError
    for an unknown name, and for a number outside of BOUNDS.
    """

    batch_size: int = 32  # slots: puzzles in training at once, of all processes together
    bptt_steps: int = 1  # supervision steps that a gradient passes through before an optimizer step (train_step.py)
    grad_accum_steps: int = 1  # micro-batches that each process's share is divided into: less memory, same result
    steps: int | None = None  # optimizer steps in all; None: as many as `minutes` allow
    minutes: float | None = None  # wall time in all, over every resumption
    optimizer: str = "muon"  # `muon` (AdamW for all but the layers' matrices), `adamw` or `adam-atan2` for everything
    lr: float = 0.02
    weight_decay: float = 0.005  # decoupled: weights shrink by lr * weight_decay a step
    adam_lr: float = 1e-3  # with `muon`: AdamW's, for embedding and heads
    adam_weight_decay: float = 0.1
    puzzle_lr: float = 0.01  # of the puzzle embeddings, which move by this much whatever their gradient (sign-SGD)
    puzzle_weight_decay: float = 0.1
    warmup: int = 100  # optimizer steps
    stable_frac: float = 0.3  # share of the run at the full rate; then it decays to `lr_floor` of it
    lr_decay: str = "linear"  # or `cosine`
    lr_floor: float = 0.01
    grad_clip: float = 1.0  # norm of the gradient at most; 0: any
    ema: float = 0.999  # of the weights; 0: none
    loss: str = "softmax"  # or `stablemax` (losses.py)
    halt_weight: float = 0.1  # of the halting loss
    solvable_weight: float = 0.5  # of the loss of "the question has a solution", which prunes branches of a search
    continue_weight: float = (
        0.0  # of HRM's loss of the value of continuing, in place of the last; one more forward pass
    )
    halt_exploration_prob: float = 0.1  # share of slots that must continue for a random minimum of steps
    depth_curriculum: tuple[tuple[float, int, int], ...] = ()  # (until this share of the run, T, n): shallower at first
    seed: int = 0

    def __post_init__(self) -> None:
        for name, choices in (("optimizer", OPTIMIZERS), ("loss", LOSSES), ("lr_decay", tuple(DECAYS))):
            if (value := getattr(self, name)) not in choices:
                raise TrmsolveError(f"train.{name}: unknown value '{value}'", did_you_mean(str(value), choices))
        for name, (low, high) in BOUNDS.items():
            if (value := getattr(self, name)) is not None and not low <= value <= high:
                raise TrmsolveError(f"train.{name}: a number from {low:g} to {high:g} needed, found {value!r}")
        for until, T, n in self.depth_curriculum:
            if not (0 <= until <= 1 and _fits_model("T", T) and _fits_model("n", n)):
                raise TrmsolveError(
                    f"train.depth_curriculum: rows of [share, T, n] needed, found {[until, T, n]}",
                    "a share of the run up to 1, and a depth that a model may have",
                )
        if self.bptt_steps > 1 and self.continue_weight:
            raise TrmsolveError(
                "train.bptt_steps: the value of continuing is learnt from single steps",
                "train.bptt_steps=1, or train.continue_weight=0",
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
        progress = self.progress(step, seconds)
        return next(((T, n) for until, T, n in self.depth_curriculum if progress < until), (model.T, model.n))

    def finished(self, step: int, seconds: float) -> bool:
        """Whether the steps or the minutes are used up."""
        by_steps = self.steps is not None and step >= self.steps
        return by_steps or (self.minutes is not None and seconds >= 60 * self.minutes)


def _fits_model(name: str, value: int) -> bool:
    low, high = MODEL_BOUNDS[name]
    return low <= value <= high


BOUNDS: dict[str, tuple[float, float]] = {
    "batch_size": (1, 1 << 20),
    "bptt_steps": (1, 4096),
    "grad_accum_steps": (1, 1 << 20),
    "steps": (1, 1 << 40),
    "minutes": (0, 1e9),
    "lr": (0, 1e3),
    "weight_decay": (0, 1e3),
    "adam_lr": (0, 1e3),
    "adam_weight_decay": (0, 1e3),
    "puzzle_lr": (0, 1e3),
    "puzzle_weight_decay": (0, 1e3),
    "warmup": (0, 1 << 40),
    "stable_frac": (0, 1),
    "lr_floor": (0, 1),
    "grad_clip": (0, 1e9),
    "ema": (0, 1),
    "halt_weight": (0, 1e6),
    "solvable_weight": (0, 1e6),
    "continue_weight": (0, 1e6),
    "halt_exploration_prob": (0, 1),
    "seed": (0, (1 << 63) - 1),
}
