"""The settings of a training run, with what each means."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from trmsolve.errors import TrmsolveError, nearest
from trmsolve.model.config import TRMConfig

OPTIMIZERS = ("muon", "adamw", "adam-atan2")
LOSSES = ("softmax", "stablemax")
FALLS: dict[str, Callable[[float], float]] = {  # from 1 at 0 to 0 at 1
    "linear": lambda done: 1 - done,
    "cosine": lambda done: (1 + math.cos(math.pi * done)) / 2,
}


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides what a run computes, beside its data and its model.

    The defaults are those of the bundled checkpoints; the published recipes are files (recipes/). Raises TrmsolveError
    for a name it does not know.
    """

    batch: int = 32  # slots: puzzles in training at once, of all processes together
    window: int = 1  # supervision steps that a gradient goes through; after so many comes an optimizer step
    accumulate: int = 1  # micro-batches that each process's share is cut into: less memory, the same result
    steps: int | None = None  # optimizer steps in all; None: as many as `minutes` allow
    minutes: float | None = None  # wall time in all, over every resumption
    optimizer: str = "muon"  # `muon` (AdamW for what is no matrix of a layer), `adamw` or `adam-atan2` for everything
    lr: float = 0.02
    decay: float = 0.005  # weight decay, decoupled: weights shrink by lr * decay a step
    adam_lr: float = 1e-3  # with `muon`: AdamW's, for embedding and heads
    adam_decay: float = 0.1
    puzzle_lr: float = (
        0.01  # of the puzzle embeddings, which take steps of this size whatever their gradient (sign-SGD)
    )
    puzzle_decay: float = 0.1
    warmup: int = 100  # optimizer steps
    hold: float = 0.3  # share of the run at the full rate; then it falls to `lr_floor` of it
    fall: str = "linear"  # or `cosine`
    lr_floor: float = 0.01
    clip: float = 1.0  # norm of the gradient at most; 0: any
    ema: float = 0.999  # of the weights; 0: none
    loss: str = "softmax"  # or `stablemax` (losses.py)
    halt_weight: float = 0.1  # of the halting loss
    solvable_weight: float = 0.5  # of the loss of "the question has a solution": it prunes the solver's branches
    continue_weight: float = 0.0  # of HRM's loss of "going on will pay", in place of the one before; one more forward
    explore: float = 0.1  # share of slots that must go on for a random minimum of steps
    depths: tuple[
        tuple[float, int, int], ...
    ] = ()  # (until this share of the run, T, n): less than the model's, at first
    seed: int = 0

    def __post_init__(self) -> None:
        for name, known in (("optimizer", OPTIMIZERS), ("loss", LOSSES), ("fall", tuple(FALLS))):
            if (value := getattr(self, name)) not in known:
                raise TrmsolveError(f"train.{name}: '{value}' is none", nearest(str(value), known))
        if self.window < 1:
            raise TrmsolveError(f"train.window: {self.window} is none", "1, or as many supervision steps as it spans")
        if self.window > 1 and self.continue_weight:
            raise TrmsolveError(
                "train.window: what going on is worth is learnt from one step at a time",
                "train.window=1, or train.continue_weight=0",
            )

    def done(self, step: int, seconds: float) -> float:
        """The share of the run that lies behind, 0 to 1; 0 for a run without end."""
        share = step / self.steps if self.steps else seconds / (60 * self.minutes) if self.minutes else 0.0
        return min(1.0, share)

    def rate(self, step: int, seconds: float) -> float:
        """The factor on all learning rates at this point of the run."""
        late = max(0.0, self.done(step, seconds) - self.hold) / (1 - self.hold) if self.hold < 1 else 0.0
        return min(1.0, (step + 1) / max(1, self.warmup)) * max(self.lr_floor, FALLS[self.fall](late))

    def depth(self, model: TRMConfig, step: int, seconds: float) -> tuple[int, int]:
        """T and n at this point of the run."""
        done = self.done(step, seconds)
        return next(((T, n) for until, T, n in self.depths if done < until), (model.T, model.n))

    def finished(self, step: int, seconds: float) -> bool:
        """True once the steps or the minutes are used up."""
        by_steps = self.steps is not None and step >= self.steps
        return by_steps or (self.minutes is not None and seconds >= 60 * self.minutes)
