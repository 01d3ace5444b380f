"""Measures: the single pass of a fixed number of steps, and what a stream of results amounts to."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from trmsolve.solving.memory import runs_at_once
from trmsolve.solving.options import Result
from trmsolve.solving.recursion import Recursion, Run
from trmsolve.solving.solver import Solver
from trmsolve.solving.stage import Stage
from trmsolve.tasks.base import Puzzle, Task

CURVE = (1, 2, 4, 8, 16, 32, 64)  # steps at which accuracy is shown as a curve
HALTING_AT = 16  # steps after which the halting head is judged: as many as published models are trained for


@dataclass
class SinglePass:
    """Counts of plain roll-outs, by number of steps: no rules, no restarts, every puzzle to the last step."""

    steps: tuple[int, ...]
    puzzles: int = 0
    taken: int = 0  # those that the model was asked about; it was not about other sizes, and what the rules reject
    cells: int = 0  # open cells
    accepted: dict[int, int] = field(default_factory=dict)  # puzzles whose answer the rules accept
    exact: dict[int, int] = field(default_factory=dict)  # puzzles whose every cell is that of the given answer
    right_cells: dict[int, int] = field(default_factory=dict)
    halting_right: dict[int, int] = field(default_factory=dict)  # (halt > 1/2) says whether the rules accept it
    said: dict[int, list[tuple[float, bool]]] = field(default_factory=dict)  # every halt, and whether they accept it

    def add(self, k: int, **values: int) -> None:
        """One puzzle's share of the counts at step k."""
        for name, value in values.items():
            of_step = getattr(self, name)
            of_step[k] = of_step.get(k, 0) + int(value)

    def extend(self, other: SinglePass) -> None:
        """Count what another one has counted, of further puzzles."""
        for name in ("puzzles", "taken", "cells"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("accepted", "exact", "right_cells", "halting_right"):
            for k, value in getattr(other, name).items():
                getattr(self, name)[k] = getattr(self, name).get(k, 0) + value
        for k, said in other.said.items():
            self.said.setdefault(k, []).extend(said)

    def rates(self) -> dict[str, float]:
        """As shares of puzzles or of open cells."""
        values = {}
        for k in self.steps:
            values[f"accepted_at_{k}"] = self.accepted.get(k, 0) / max(1, self.puzzles)
            values[f"exact_at_{k}"] = self.exact.get(k, 0) / max(1, self.puzzles)
            values[f"cell_accuracy_at_{k}"] = self.right_cells.get(k, 0) / max(1, self.cells)
            values[f"halting_right_at_{k}"] = self.halting_right.get(k, 0) / max(1, self.taken)
        return values

    def intervals(self) -> dict[str, tuple[float, float]]:
        """The 95 % intervals of those rates that are shares of puzzles, as KEY_interval_95."""
        values = {}
        for k in self.steps:
            values[f"accepted_at_{k}_interval_95"] = interval(self.accepted.get(k, 0), self.puzzles)
            values[f"exact_at_{k}_interval_95"] = interval(self.exact.get(k, 0), self.puzzles)
            values[f"halting_right_at_{k}_interval_95"] = interval(self.halting_right.get(k, 0), self.taken)
        return values


Rolled = Callable[[Iterable[Sequence[Puzzle]], tuple[int, ...]], Iterator[int | SinglePass]]


def single_pass(
    solver: Solver,
    puzzles: Sequence[Puzzle],
    steps: tuple[int, ...] = (16, 64),
    batch_size: int | None = None,
    progress: Callable[[int], None] = lambda done: None,
    counts: SinglePass | None = None,
    rolled: Rolled | None = None,
) -> SinglePass:
    """Roll every puzzle out to max(steps) steps; judge it by the rules, compare it with its solution, if any.

    `progress` hears after every step how many puzzles that work comes to. counts: to be added to, batch by batch.
    rolled: what rolls out the batches, where it is not this process alone; as the function of that name does.
    """
    counts = SinglePass(steps) if counts is None else counts
    batch_size = batch_size or runs_at_once(solver.model)
    batches = [puzzles[start : start + batch_size] for start in range(0, len(puzzles), batch_size)]
    for outcome in (rolled or partial(roll, solver))(batches, steps):
        if isinstance(outcome, SinglePass):
            counts.extend(outcome)
            progress(counts.puzzles)
        else:
            progress(counts.puzzles + len(batches[counts.puzzles // batch_size]) * outcome // max(steps))
    return counts


def roll(solver: Solver, batches: Iterable[Sequence[Puzzle]], steps: tuple[int, ...]) -> Iterator[int | SinglePass]:
    """The counts of each batch; before them, after every step, how many there have been."""
    with solver.stage() as stage:
        for members in batches:
            yield from _rolled(solver, stage, members, steps)


def _rolled(
    solver: Solver, stage: Stage, members: Sequence[Puzzle], steps: tuple[int, ...]
) -> Iterator[int | SinglePass]:
    """The same of one batch."""
    task = solver.task
    counts = SinglePass(steps)
    batch = Recursion(solver.model, solver.dtype, stage)
    under_way: list[tuple[Puzzle, Run]] = []
    for puzzle in members:
        counts.puzzles += 1
        counts.cells += int(task.open_cells(puzzle.question).sum())
        encoded = task.encode(puzzle.question)
        if encoded is not None and encoded.choices:
            counts.taken += 1
            under_way.append((puzzle, Run(encoded, max(steps))))
        elif encoded is not None and task.solved(puzzle.question, puzzle.question):
            counts.taken += 1
            for k in steps:  # nothing open: right from the start
                counts.add(k, accepted=True, exact=True, right_cells=0, halting_right=True)
    batch.admit(run for _, run in under_way)
    for k in range(1, max(steps) + 1 if under_way else 0):
        batch.advance()
        yield k
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
            counts.said.setdefault(k, []).append((reading.halt, accepted))
    yield counts


@dataclass(frozen=True, slots=True)
class Bin:
    """Predictions of about the same probability, and what came of them."""

    low: float
    high: float
    puzzles: int
    predicted: float  # mean probability
    right: float  # share that was right


def calibration(said: Sequence[tuple[float, bool]], number: int = 10) -> list[Bin]:
    """Predictions (probability, whether it came true) in bins of equal width; bins that hold none are left out."""
    members: dict[int, list[tuple[float, bool]]] = {}
    for probability, right in said:
        members.setdefault(min(int(probability * number), number - 1), []).append((probability, right))
    return [
        Bin(i / number, (i + 1) / number, len(of), *(float(mean) for mean in np.mean(of, axis=0)))
        for i, of in sorted(members.items())
    ]


def calibration_error(bins: Sequence[Bin]) -> float:
    """The expected calibration error (arXiv 1706.04599): the mean distance of predicted and right; 0 without bins."""
    return sum(b.puzzles * abs(b.predicted - b.right) for b in bins) / max(1, sum(b.puzzles for b in bins))


def interval(successes: int, trials: int) -> tuple[float, float]:
    """The 95 % Wilson score interval of a share (en.wikipedia.org/wiki/Binomial_proportion_confidence_interval)."""
    if trials == 0:
        return 0.0, 1.0
    z, p = 1.959964, successes / trials
    middle, spread = p + z * z / (2 * trials), z * math.sqrt(p * (1 - p) / trials + z * z / (4 * trials * trials))
    low, high = ((middle + side * spread) / (1 + z * z / trials) for side in (-1, 1))
    return 0.0 if successes == 0 else low, 1.0 if successes == trials else high  # exactly, where rounding errs


def summary(results: Sequence[Result], seconds: float) -> dict[str, Any]:
    """Solved and verified, with and without restarts, and what it took.

    A puzzle that the model refuses (a Result with an `error`) counts as unsolved; it takes no part in means and speed.
    """
    asked, taken = _asked(results), _taken(results)
    return {
        "puzzles": len(asked),
        "refused": len(asked) - len(taken),
        **_share("solved", [r.solved for r in asked]),
        **_share("solved_without_restarts", [r.plain for r in asked]),
        "mean_steps": _mean([r.steps for r in taken]),
        "mean_restarts": _mean([r.restarts for r in taken]),
        "seconds": seconds,
        "puzzles_per_second": len(taken) / max(seconds, 1e-9),
    }


def details(task: Task, results: Sequence[Result]) -> dict[str, Any]:
    """What the task tells apart beyond solved or not: by kind of question, by worth of the answer, by the given one."""
    asked = _asked(results)
    strata: dict[str, list[Result]] = {}
    for r in asked:
        strata.setdefault(task.stratum(r.puzzle.question), []).append(r)
    found: dict[str, Any] = {
        "strata": {
            name: {
                "puzzles": len(of),
                **_share("solved", [r.solved for r in of]),
                "solved_without_restarts": sum(r.plain for r in of) / len(of),
                "mean_steps": _mean([r.steps for r in _taken(of)]),
            }
            for name, of in sorted(strata.items(), key=lambda item: _natural(item[0]))
        }
    }
    worth: dict[str, list[bool]] = {}
    for r in asked:
        guess = r.guess
        for name, holds in ({} if guess is None else task.qualities(r.puzzle.question, guess.answer)).items():
            worth.setdefault(name, []).append(holds)
    for name, values in worth.items():
        found |= _share(name, values + [False] * (len(asked) - len(values)))
    if known := [r for r in asked if r.puzzle.solution is not None]:
        same = [r.guess is not None and np.array_equal(r.guess.answer, r.puzzle.solution) for r in known]
        found |= _share("equal_to_given_answer", same)
    return found


def _asked(results: Sequence[Result]) -> list[Result]:
    return [r for r in results if isinstance(r.puzzle, Puzzle)]


def _taken(results: Sequence[Result]) -> list[Result]:
    return [r for r in _asked(results) if not r.error]


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0


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
