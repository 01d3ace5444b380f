"""Measures: the single pass of a fixed number of steps, and what a stream of results amounts to."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from trmsolve.solving.options import Result
from trmsolve.solving.recursion import Recursion, Run
from trmsolve.solving.solver import Solver
from trmsolve.tasks.base import Puzzle


@dataclass
class SinglePass:
    """Counts of plain roll-outs, by number of steps: no rules, no restarts, every puzzle to the last step."""

    steps: tuple[int, ...]
    puzzles: int = 0
    cells: int = 0  # open cells
    exact: dict[int, int] = field(default_factory=dict)  # puzzles whose every cell is right
    right_cells: dict[int, int] = field(default_factory=dict)
    halting_right: dict[int, int] = field(default_factory=dict)  # (halt > 1/2) says whether the answer is right

    def rates(self) -> dict[str, float]:
        """As shares of puzzles or of open cells."""
        values = {}
        for k in self.steps:
            values[f"exact_at_{k}"] = self.exact.get(k, 0) / max(1, self.puzzles)
            values[f"cell_accuracy_at_{k}"] = self.right_cells.get(k, 0) / max(1, self.cells)
            values[f"halting_right_at_{k}"] = self.halting_right.get(k, 0) / max(1, self.puzzles)
        return values


def single_pass(
    solver: Solver, puzzles: Sequence[Puzzle], steps: tuple[int, ...] = (16, 64), batch_size: int = 32
) -> SinglePass:
    """Roll every puzzle out to max(steps) steps and compare with its solution, or with the rules where it has none."""
    counts = SinglePass(steps)
    task = solver.task
    for start in range(0, len(puzzles), batch_size):
        batch = Recursion(solver.model, solver.dtype)
        under_way: list[tuple[Puzzle, Run]] = []
        for puzzle in puzzles[start : start + batch_size]:
            counts.puzzles += 1
            encoded = task.encode(puzzle.question)
            if encoded is not None and encoded.n_units:
                under_way.append((puzzle, Run(encoded, max(steps))))
                counts.cells += encoded.n_units
            elif encoded is not None and task.solved(puzzle.question, puzzle.question):
                for k in steps:  # nothing open: right from the start
                    _count(counts, k, 0, True, True)
        batch.admit(run for _, run in under_way)
        for k in range(1, max(steps) + 1 if under_way else 0):
            batch.advance()
            if k not in steps:
                continue
            for puzzle, run in under_way:
                reading = run.reading
                guess = task.decode(puzzle.question, run.encoded.meanings[reading.chosen], reading.confidence)
                right = task.solved(puzzle.question, guess.answer)
                same = run.encoded.n_units if right else 0
                if puzzle.solution is not None:
                    blank = puzzle.question == 0
                    same = int((guess.answer == puzzle.solution)[blank].sum())
                    right = same == int(blank.sum())
                _count(counts, k, same, right, (reading.halt > 0.5) == right)
    return counts


def _count(counts: SinglePass, k: int, cells: int, right: bool, halting: bool) -> None:
    for into, value in ((counts.exact, right), (counts.right_cells, cells), (counts.halting_right, halting)):
        into[k] = into.get(k, 0) + int(value)


def interval(successes: int, trials: int) -> tuple[float, float]:
    """The 95 % Wilson score interval of a share (en.wikipedia.org/wiki/Binomial_proportion_confidence_interval)."""
    if trials == 0:
        return 0.0, 1.0
    z, p = 1.959964, successes / trials
    middle, spread = p + z * z / (2 * trials), z * math.sqrt(p * (1 - p) / trials + z * z / (4 * trials * trials))
    return max(0.0, (middle - spread) / (1 + z * z / trials)), min(1.0, (middle + spread) / (1 + z * z / trials))


def summary(results: Sequence[Result], seconds: float) -> dict[str, Any]:
    """Solved and verified, with and without restarts, and what it took."""
    good = [r for r in results if not r.error]
    solved, plain = sum(r.solved for r in good), sum(r.plain for r in good)
    return {
        "puzzles": len(good),
        "not_readable": len(results) - len(good),
        "solved": solved / max(1, len(good)),
        "solved_interval_95": interval(solved, len(good)),
        "solved_without_restarts": plain / max(1, len(good)),
        "solved_without_restarts_interval_95": interval(plain, len(good)),
        "mean_steps": float(np.mean([r.steps for r in good])) if good else 0.0,
        "mean_restarts": float(np.mean([r.restarts for r in good])) if good else 0.0,
        "seconds": seconds,
        "puzzles_per_second": len(good) / max(seconds, 1e-9),
    }


def readable(records: Iterator[Any]) -> tuple[list[Puzzle], list[Any]]:
    """Puzzles, and the records that are none."""
    puzzles, bad = [], []
    for record in records:
        (puzzles if isinstance(record, Puzzle) else bad).append(record)
    return puzzles, bad
