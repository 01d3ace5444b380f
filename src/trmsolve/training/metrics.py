"""Metrics of training steps, and their means over the steps between two lines of the log."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trmsolve.training.train_step import HALT_CORRECT, RIGHT, SOLVABLE, SOLVABLE_CORRECT

TOTALS = ("loss", "cells", "puzzles", "solvable", "exact", "steps", "halting", "unsolvable_found", "unsolvable")


@dataclass(frozen=True)
class StepMetrics:
    """What all processes report of one training step."""

    sums: dict[str, float]  # train_step.SUMS, then `clock` of the main process and how many processes want to `stop`
    codes: np.ndarray  # int64 (slots,) flags of train_step.py


class MetricAccumulator:
    """Sums over training steps."""

    def __init__(self) -> None:
        self.num_steps, self.totals = 0, dict.fromkeys(TOTALS, 0.0)

    def add(self, step: StepMetrics, done: np.ndarray, age: np.ndarray) -> None:
        """Add one training step. done: bool (slots,). age: int64 (slots,) supervision steps that puzzles have had."""
        right, halt_correct, solvable_correct, solvable = (
            step.codes & flag > 0 for flag in (RIGHT, HALT_CORRECT, SOLVABLE_CORRECT, SOLVABLE)
        )
        self.num_steps += 1
        for name, value in {
            "loss": step.sums["loss"],
            "cells": step.sums["num_correct"] / max(1.0, step.sums["num_counted"]),
            "puzzles": done.sum(),
            "solvable": (done & solvable).sum(),
            "exact": (done & right).sum(),
            "steps": age[done & solvable].sum(),
            "halting": halt_correct.mean(),
            "unsolvable_found": (solvable_correct & ~solvable).sum(),
            "unsolvable": (~solvable).sum(),
        }.items():
            self.totals[name] += float(value)

    def metrics(self, seconds: float) -> dict[str, float]:
        """A line of the log for steps that took so many seconds. Accuracies are of the training mix."""
        totals, num_solvable = self.totals, max(1.0, self.totals["solvable"])
        values = {
            "loss": totals["loss"] / self.num_steps,
            "cell_accuracy": totals["cells"] / self.num_steps,
            "exact_accuracy": totals["exact"] / num_solvable,
            "halt_accuracy": totals["halting"] / self.num_steps,
            "unsolvable_recall": totals["unsolvable_found"] / max(1.0, totals["unsolvable"]),
            "mean_steps": totals["steps"] / num_solvable,
            "steps_per_second": self.num_steps / seconds,
            "puzzles_per_second": totals["puzzles"] / seconds,
        }
        return {name: round(value, 4) for name, value in values.items()}
