"""Measures: the single pass of a fixed number of steps, and what a stream of results amounts to."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from trmsolve.solving.options import Result
from trmsolve.solving.recursion import Recursion, Run
from trmsolve.solving.solver import Solver
from trmsolve.tasks.base import Puzzle, Task


@dataclass
class SinglePass:
    """Counts of plain roll-outs, by number of steps: no rules, no restarts, every puzzle to the last step."""

    steps: tuple[int, ...]
    puzzles: int = 0
    cells: int = 0  # open cells
    accepted: dict[int, int] = field(default_factory=dict)  # puzzles whose answer the rules accept
    exact: dict[int, int] = field(default_factory=dict)  # puzzles whose every cell is that of the given answer
    right_cells: dict[int, int] = field(default_factory=dict)
    halting_right: dict[int, int] = field(default_factory=dict)  # (halt > 1/2) says whether the rules accept it

    def add(self, k: int, **values: int) -> None:
        """One puzzle's share of the counts at step k."""
        for name, value in values.items():
            of_step = getattr(self, name)
            of_step[k] = of_step.get(k, 0) + int(value)

    def rates(self) -> dict[str, float]:
        """As shares of puzzles or of open cells."""
        values = {}
        for k in self.steps:
            values[f"accepted_at_{k}"] = self.accepted.get(k, 0) / max(1, self.puzzles)
            values[f"exact_at_{k}"] = self.exact.get(k, 0) / max(1, self.puzzles)
            values[f"cell_accuracy_at_{k}"] = self.right_cells.get(k, 0) / max(1, self.cells)
            values[f"halting_right_at_{k}"] = self.halting_right.get(k, 0) / max(1, self.puzzles)
        return values


def single_pass(
    solver: Solver, puzzles: Sequence[Puzzle], steps: tuple[int, ...] = (16, 64), batch_size: int = 32
) -> SinglePass:
    """Roll every puzzle out to max(steps) steps; judge it by the rules, compare it with its solution, if any."""
    counts = SinglePass(steps)
    task = solver.task
    for start in range(0, len(puzzles), batch_size):
        batch = Recursion(solver.model, solver.dtype)
        under_way: list[tuple[Puzzle, Run]] = []
        for puzzle in puzzles[start : start + batch_size]:
            counts.puzzles += 1
            counts.cells += int(task.open_cells(puzzle.question).sum())
            encoded = task.encode(puzzle.question)
            if encoded is not None and encoded.choices:
                under_way.append((puzzle, Run(encoded, max(steps))))
            elif encoded is not None and task.solved(puzzle.question, puzzle.question):
                for k in steps:  # nothing open: right from the start
                    counts.add(k, accepted=True, exact=True, right_cells=0, halting_right=True)
        batch.admit(run for _, run in under_way)
        for k in range(1, max(steps) + 1 if under_way else 0):
            batch.advance()
            if k not in steps:
                continue
            for puzzle, run in under_way:
                reading = run.reading
                guess = task.decode(puzzle.question, run.encoded.meanings[reading.chosen], reading.confidence)
                accepted = task.solved(puzzle.question, guess.answer)
                cells = task.open_cells(puzzle.question)
                same, exact = int(cells.sum()) * accepted, accepted
                if puzzle.solution is not None:
                    same = int((guess.answer == puzzle.solution)[cells].sum())
                    exact = same == int(cells.sum())
                counts.add(
                    k, accepted=accepted, exact=exact, right_cells=same, halting_right=(reading.halt > 0.5) == accepted
                )
    return counts


def interval(successes: int, trials: int) -> tuple[float, float]:
    """The 95 % Wilson score interval of a share (en.wikipedia.org/wiki/Binomial_proportion_confidence_interval)."""
    if trials == 0:
        return 0.0, 1.0
    z, p = 1.959964, successes / trials
    middle, spread = p + z * z / (2 * trials), z * math.sqrt(p * (1 - p) / trials + z * z / (4 * trials * trials))
    low, high = ((middle + side * spread) / (1 + z * z / trials) for side in (-1, 1))
    return 0.0 if successes == 0 else low, 1.0 if successes == trials else high  # exactly, where rounding errs


def summary(results: Sequence[Result], seconds: float) -> dict[str, Any]:
    """Solved and verified, with and without restarts, and what it took."""
    good = [r for r in results if not r.error]
    return {
        "puzzles": len(good),
        "not_readable": len(results) - len(good),
        **_share("solved", [r.solved for r in good]),
        **_share("solved_without_restarts", [r.plain for r in good]),
        "mean_steps": float(np.mean([r.steps for r in good])) if good else 0.0,
        "mean_restarts": float(np.mean([r.restarts for r in good])) if good else 0.0,
        "seconds": seconds,
        "puzzles_per_second": len(good) / max(seconds, 1e-9),
    }


def details(task: Task, results: Sequence[Result]) -> dict[str, Any]:
    """What the task tells apart beyond solved or not: by kind of question, by worth of the answer, by the given one."""
    good = [r for r in results if not r.error]
    strata: dict[str, list[Result]] = {}
    for r in good:
        strata.setdefault(task.stratum(r.puzzle.question), []).append(r)
    found: dict[str, Any] = {
        "strata": {
            name: {
                "puzzles": len(of),
                **_share("solved", [r.solved for r in of]),
                "solved_without_restarts": sum(r.plain for r in of) / len(of),
                "mean_steps": float(np.mean([r.steps for r in of])),
            }
            for name, of in sorted(strata.items(), key=lambda item: _natural(item[0]))
        }
    }
    worth: dict[str, list[bool]] = {}
    for r in good:
        guess = r.guess
        for name, holds in ({} if guess is None else task.qualities(r.puzzle.question, guess.answer)).items():
            worth.setdefault(name, []).append(holds)
    for name, values in worth.items():
        found |= _share(name, values + [False] * (len(good) - len(values)))
    if known := [r for r in good if r.puzzle.solution is not None]:
        same = [r.guess is not None and np.array_equal(r.guess.answer, r.puzzle.solution) for r in known]
        found |= _share("equal_to_given_answer", same)
    return found


def _share(name: str, of: Sequence[bool]) -> dict[str, Any]:
    return {name: sum(of) / max(1, len(of)), f"{name}_interval_95": interval(sum(of), len(of))}


def _natural(text: str) -> list[tuple[int, str]]:
    """A key that sorts 9 before 10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", text)]


def readable(records: Iterator[Any]) -> tuple[list[Puzzle], list[Any]]:
    """Puzzles, and the records that are none."""
    puzzles, bad = [], []
    for record in records:
        (puzzles if isinstance(record, Puzzle) else bad).append(record)
    return puzzles, bad
