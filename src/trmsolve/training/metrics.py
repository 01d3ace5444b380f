"""Training metrics: names, formats, and means over the steps between two lines of metrics.jsonl.

docs/training.md describes the lines. Does not import torch, which takes seconds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

# The report of a step is one vector, for a single transfer from the device: sums over the slots with these names, then
# for each slot a code of these flags.
SUMS = ("total", "loss", "num_correct", "num_counted")
HALTED, RIGHT, HALT_CORRECT, SOLVABLE_CORRECT, SOLVABLE = 1, 2, 4, 8, 16

TOTALS = ("loss", "cells", "puzzles", "solvable", "exact", "steps", "halting", "unsolvable_found", "unsolvable")

# Name in metrics.jsonl -> label and format. Shares are printed as percentages, and nothing else is.
FORMATS: dict[str, tuple[str, str]] = {
    "step": ("step", "{:,.0f}"),
    "seconds": ("seconds", "{:,.1f}"),
    "loss": ("loss", "{:.4f}"),
    "cell_accuracy": ("cells right", "{:.2%}"),
    "exact_accuracy": ("exact", "{:.2%}"),
    "halt_accuracy": ("halting right", "{:.2%}"),
    "unsolvable_recall": ("unsolvable found", "{:.2%}"),
    "mean_steps": ("steps per puzzle", "{:.2f}"),
    "steps_per_second": ("steps/s", "{:.3g}"),
    "puzzles_per_second": ("puzzles/s", "{:,.3g}"),
    "lr": ("learning rate", "{:.2e}"),
    "puzzles": ("puzzles", "{:,.0f}"),
}
# Measures of a single pass of k supervision steps on held-out puzzles, as NAME_at_k.
SINGLE_PASS = {
    "accepted": "accepted",  # by the rules; exact where a task has none
    "exact": "exact",
    "cell_accuracy": "cells right",
    "halting_right": "halting right",
}


def describe_metric(name: str, value: object) -> str:
    """A metric as text: `exact after 16 steps 40.00%`, `seconds 0.4`."""
    if not isinstance(value, int | float):
        return f"{name.replace('_', ' ')} {value}"
    if name in FORMATS:
        label, form = FORMATS[name]
        return f"{label} {form.format(value)}"
    match = re.fullmatch(r"(\w+)_at_(\d+)", name)
    if match and match[1] in SINGLE_PASS:
        return f"{SINGLE_PASS[match[1]]} after {match[2]} steps {value:.2%}"
    return f"{name.replace('_', ' ')} {value:g}"


@dataclass(frozen=True)
class StepMetrics:
    """The reports of all processes on one training step."""

    sums: dict[str, float]  # SUMS, `clock` of the main process, and `stop`: the number of processes that were stopped
    codes: np.ndarray  # int64 (slots,), flags

    @property
    def halted(self) -> np.ndarray:
        """bool (slots,): puzzles that the halting head ends."""
        return self.codes & HALTED > 0


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
        """A line of metrics.jsonl for steps that took this many seconds. Accuracies are of the training mix."""
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
