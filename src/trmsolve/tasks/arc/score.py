"""How many tasks are solved, by the competition's rule: an attempt is right when every cell and both sides are.

A test counts as solved when one of its first k attempts is right (pass@k; the competition takes k = 2), and a task
counts by the share of its tests that are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trmsolve.tasks.arc.grids import LARGEST, ArcTask, Grid
from trmsolve.tasks.arc.write import Attempts

SIDES = (10, 20, LARGEST)  # the sizes that are told apart: largest sides up to these


@dataclass(frozen=True, slots=True)
class Score:
    """What so many tasks scored together."""

    tasks: int = 0
    points: float = 0.0  # each task's share of solved tests, added up
    tests: int = 0
    solved: int = 0  # tests

    @property
    def rate(self) -> float:
        """The competition's measure: points by task, 0 .. 1; 0 without tasks."""
        return self.points / self.tasks if self.tasks else 0.0

    @property
    def test_rate(self) -> float:
        """The share of tests that are solved, 0 .. 1; 0 without tests."""
        return self.solved / self.tests if self.tests else 0.0

    def __add__(self, other: Score) -> Score:
        return Score(
            self.tasks + other.tasks,
            self.points + other.points,
            self.tests + other.tests,
            self.solved + other.solved,
        )


def right(attempt: Grid, answer: Grid) -> bool:
    """Whether the attempt is the answer, size and all."""
    return np.array_equal(attempt, answer)


def solved(attempts: Sequence[Grid], answer: Grid, k: int = 2) -> bool:
    """Whether one of the first k attempts at a test is right."""
    return any(right(attempt, answer) for attempt in attempts[:k])


def score(task: ArcTask, attempts: Attempts, k: int = 2) -> Score:
    """One task's score. A test without attempts is not solved. ValueError: the task's answers are not known."""
    if task.answers is None:
        raise ValueError(f"{task.source}: without answers there is nothing to score")
    number = len(task.tests)
    right_ones = sum(solved(tried, answer, k) for tried, answer in zip(attempts, task.answers, strict=False))
    return Score(1, right_ones / number, number, right_ones)


def total(tasks: Iterable[ArcTask], attempts: Mapping[str, Attempts], k: int = 2) -> Score:
    """The score of all tasks, each with the attempts of its name; one that nobody tried is not solved."""
    return sum((score(task, attempts.get(task.name, ()), k) for task in tasks), Score())


def side(task: ArcTask) -> int:
    """Which of SIDES a task belongs to."""
    return next(limit for limit in SIDES if task.largest <= limit)


def by_side(tasks: Iterable[ArcTask], attempts: Mapping[str, Attempts], k: int = 2) -> dict[int, Score]:
    """The score of the tasks of each of SIDES; of those that none belongs to, an empty one."""
    found = dict.fromkeys(SIDES, Score())
    for task in tasks:
        found[side(task)] += score(task, attempts.get(task.name, ()), k)
    return found
