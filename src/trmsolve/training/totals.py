"""What the log of a run says of the stretch since its last line."""

from __future__ import annotations

import numpy as np

from trmsolve.training.batch import Report
from trmsolve.training.supervision import HALTING, RIGHT, SOLVABLE, SOLVING


class Totals:
    """Sums over optimizer steps."""

    def __init__(self) -> None:
        self.steps, self.sums = (
            0,
            dict.fromkeys(
                ("loss", "cells", "puzzles", "real", "exact", "depth", "halting", "solvable", "unsolvable"), 0.0
            ),
        )

    def add(self, report: Report, done: np.ndarray, age: np.ndarray) -> None:
        """One optimizer step's share. done: bool (slots,). age: int64 (slots,) steps that the puzzles have had."""
        right, halting, solving, real = (report.codes & bit > 0 for bit in (RIGHT, HALTING, SOLVING, SOLVABLE))
        self.steps += 1
        for key, value in {
            "loss": report.sums["loss"],
            "cells": report.sums["hits"] / max(1.0, report.sums["counted"]),
            "puzzles": done.sum(),
            "real": (done & real).sum(),
            "exact": (done & right).sum(),
            "depth": age[done & real].sum(),
            "halting": halting.mean(),
            "solvable": (solving & ~real).sum(),
            "unsolvable": (~real).sum(),
        }.items():
            self.sums[key] += float(value)

    def metrics(self, seconds: float) -> dict[str, float]:
        """What the log says of the last stretch. `*_accuracy` of halted puzzles are those of the training mix."""
        s, real = self.sums, max(1.0, self.sums["real"])
        values = {
            "loss": s["loss"] / self.steps,
            "cell_accuracy": s["cells"] / self.steps,
            "exact_accuracy": s["exact"] / real,
            "halt_accuracy": s["halting"] / self.steps,
            "unsolvable_recall": s["solvable"] / max(1.0, s["unsolvable"]),
            "mean_steps": s["depth"] / real,
            "steps_per_second": self.steps / seconds,
            "puzzles_per_second": s["puzzles"] / seconds,
        }
        return {key: round(value, 4) for key, value in values.items()}
