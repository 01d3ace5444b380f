"""Few-shot tasks: each demonstrates its own rule by a few pairs of grids; the rule is to be applied to test inputs.

A network solves them by test-time training (inference/test_time_training.py). This module defines the interface that
the network, the voting and the reports need, and the score pass@k. tasks/arc implements it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from trmsolve.tasks.base import InvalidPuzzle, Prediction, Sample

if TYPE_CHECKING:
    from trmsolve.model.inputs import Encoded

Grid = np.ndarray  # uint8 (height, width) of colours
Attempts = Sequence[Sequence[Grid]]  # of one task: for each test its grids, the best first


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """An input grid and its output by the task's rule."""

    input: Grid
    output: Grid


@dataclass(frozen=True, slots=True, eq=False)
class FewShotTask:
    """Demonstrations of a rule, and test inputs to apply it to."""

    name: str  # printable, not empty; text from a file, so never used as a path
    source: str  # "file" or "file:name", for messages
    demonstrations: tuple[Pair, ...]  # one or more
    tests: tuple[Grid, ...]  # one input or more
    answers: tuple[Grid, ...] | None = None  # an output for each test, None if unknown; for scoring, never for solving
    warnings: tuple[str, ...] = ()  # of the reader, such as answers that do not fit the task and are left out

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """The demonstrations, then the tests if their answers are known."""
        return (*self.demonstrations, *map(Pair, self.tests, self.answers or ()))

    @property
    def max_side(self) -> int:
        """The longest side of any grid except the answers."""
        grids = [grid for pair in self.demonstrations for grid in (pair.input, pair.output)]
        return max(max(grid.shape) for grid in (*grids, *self.tests))


@dataclass(frozen=True)
class InvalidTask(InvalidPuzzle):
    """A record that is no task but has a name and tests, so that a submission can have entries for it."""

    name: str = ""
    num_tests: int = 1


class Query(Protocol):
    """One input whose output the network predicts, under one augmentation."""

    @property
    def index(self) -> int:
        """The index of the input among those queried."""

    @property
    def group(self) -> Any:
        """A hashable key; augmentations of one group have the same reliability in the vote."""

    @property
    def num_tokens(self) -> int:
        """The number of tokens of `encoded`, known without encoding."""

    @property
    def encoded(self) -> Encoded:
        """Computed when first used."""

    def prediction(self, choice: np.ndarray, confidence: np.ndarray) -> Prediction:
        """The predicted grid, augmentation undone. choice: int64 (cells,) classes; confidence: float32 (cells,)."""

    def probabilities(self, grid: Grid, probabilities: np.ndarray) -> np.ndarray:
        """Probabilities of colours in the cells of a predicted grid, augmentation undone.

        grid: uint8 (height, width). probabilities: float32 (O,), of all options of `encoded`.
        Returns float32 (height, width, colours).
        """


class LazySample(Protocol):
    """A training sample that is encoded when first used."""

    @property
    def num_tokens(self) -> int:
        """Known without encoding."""

    @property
    def sample(self) -> Sample:
        """Computed when first used."""


class AugmentedTask(Protocol):
    """A task under several augmentations; each has its own row in the network's puzzle table."""

    task: FewShotTask
    num_augmentations: int

    def samples(self) -> list[list[list[LazySample]]]:
        """The variants to train on, by demonstration and augmentation."""

    def queries(self, grids: Sequence[Grid], limit: int | None = None) -> list[Query]:
        """A query for each grid and augmentation, grid by grid. limit: the maximum number of augmentations."""


@runtime_checkable
class Demonstrates(Protocol):
    """Capability of a task (tasks/base.py) whose puzzles are few-shot tasks, solved by test-time training."""

    name: str
    report_groups: Mapping[str, Sequence[str]]  # ways to group tasks in reports, with the group names of each

    def read_files(
        self, paths: Iterable[str | Path], solutions: str | Path | None = None, strict: bool = True
    ) -> Iterator[FewShotTask | InvalidPuzzle]:
        """The tasks of files, folders and stdin (`-`)."""

    def describe_files(self, paths: Iterable[str | Path]) -> Iterator[dict[str, Any]]:
        """What is understood of each file: source, format, and tasks and errors, each a list of dictionaries."""

    def empty_answers(self, records: Iterable[FewShotTask | InvalidPuzzle]) -> dict[str, Attempts]:
        """For a submission: an entry without attempts for each test of each task, malformed tasks included."""

    def submission(self, answers: Mapping[str, Attempts]) -> str:
        """The attempts at the tests of each task, by its name, in the competition's file format."""

    def augmented_task(self, task: FewShotTask, num_augmentations: int, first_row: int, seed: int) -> AugmentedTask:
        """The task under the first `num_augmentations`, with rows of the puzzle table from `first_row` on."""

    def supports_model(self, config: Any) -> bool:
        """Whether a network of this TRMConfig can be adapted to the tasks."""

    def group_of(self, task: FewShotTask) -> dict[str, str]:
        """The task's group in each of report_groups."""


# -- scoring: an attempt is correct if every cell and both sides are; a test is solved if one of k attempts is ------


@dataclass(frozen=True, slots=True)
class Score:
    """The score of several tasks together."""

    tasks: int = 0
    points: float = 0.0  # sum over tasks of their share of solved tests
    tests: int = 0
    solved: int = 0  # tests

    @property
    def rate(self) -> float:
        """The competition's metric: points per task, 0 .. 1; 0 without tasks."""
        return self.points / self.tasks if self.tasks else 0.0

    def __add__(self, other: Score) -> Score:
        return Score(
            self.tasks + other.tasks,
            self.points + other.points,
            self.tests + other.tests,
            self.solved + other.solved,
        )


def is_correct(attempt: Grid, answer: Grid) -> bool:
    """Whether the attempt equals the answer, including its size."""
    return np.array_equal(attempt, answer)


def solves(attempts: Sequence[Grid], answer: Grid, k: int = 2) -> bool:
    """Whether one of the first k attempts at a test is correct."""
    return any(is_correct(attempt, answer) for attempt in attempts[:k])


def score(task: FewShotTask, attempts: Attempts, k: int = 2) -> Score:
    """One task's score by pass@k (2 in the competition). A test without attempts is not solved.

    Raises ValueError if the task's answers are unknown.
    """
    if task.answers is None:
        raise ValueError(f"{task.source}: cannot score a task without answers")
    num_tests = len(task.tests)
    solved = sum(solves(grids, answer, k) for grids, answer in zip(attempts, task.answers, strict=False))
    return Score(1, solved / num_tests, num_tests, solved)
