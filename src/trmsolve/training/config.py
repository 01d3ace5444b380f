"""The settings of a training run, with what each means."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides what a run computes, beside its data and its model."""

    batch: int = 32  # slots: puzzles in training at once
    steps: int | None = None  # optimizer steps in all; None: as many as `minutes` allow
    minutes: float | None = None  # wall time in all, over every resumption
    muon_lr: float = 0.02  # for the matrices of the layers
    muon_decay: float = 0.005
    adam_lr: float = 1e-3  # for the rest: embedding and heads
    adam_decay: float = 0.1
    warmup: int = 100  # optimizer steps
    hold: float = 0.3  # share of the run at the full rate; then it falls linearly to `lr_floor`
    lr_floor: float = 0.01
    clip: float = 1.0  # norm of the gradient at most
    ema: float = 0.999
    halt_weight: float = 0.1  # of the halting loss
    solvable_weight: float = 0.5  # of the loss of "the question has a solution": it prunes the solver's branches
    explore: float = 0.1  # share of slots that must go on for a random minimum of steps
    seed: int = 0

    def rate(self, step: int, seconds: float) -> float:
        """The factor on both learning rates at this point of the run."""
        done = step / self.steps if self.steps else seconds / (60 * self.minutes) if self.minutes else 0.0
        fall = min(1.0, (1 - done) / (1 - self.hold)) if self.hold < 1 else 1.0
        return min(1.0, (step + 1) / self.warmup) * max(self.lr_floor, fall)

    def finished(self, step: int, seconds: float) -> bool:
        """True once the steps or the minutes are used up."""
        by_steps = self.steps is not None and step >= self.steps
        return by_steps or (self.minutes is not None and seconds >= 60 * self.minutes)
