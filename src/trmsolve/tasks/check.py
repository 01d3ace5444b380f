"""Check that the parts of a task agree, on puzzles of its own generator: `trmsolve check-task FILE`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from trmsolve.errors import TrmsolveError, did_you_mean
from trmsolve.tasks import names, origin
from trmsolve.tasks.base import Generates, InvalidPuzzle, Puzzle, Task
from trmsolve.tasks.constraints import ConstraintPuzzle
from trmsolve.tasks.groups import locating_errors
from trmsolve.text_io import Line

MAX_COUNTED = 10  # puzzles whose solutions are counted, which can take long


@dataclass(frozen=True)
class CheckedPuzzles:
    """The number of puzzles checked."""

    puzzles: int
    several_solutions: int  # of the first MAX_COUNTED puzzles those with more than one solution


def check_task(task: Task, number: int = 100, seed: int = 0) -> CheckedPuzzles:
    """Check a task on generated puzzles. Raises TrmsolveError for the first contradiction, naming the puzzle."""
    if not isinstance(task, Generates):
        raise TrmsolveError(f"{task.name} has no generator to check it with", "define make(self, rng, size)")
    if task.serves and task.serves not in names():
        expected = f"{did_you_mean(task.serves, names())}; or remove the line"
        raise TrmsolveError(f"{origin(task.name)}: serves = {task.serves!r} names no task", expected)
    several, named = 0, set[int]()
    for index in range(number):
        try:
            with locating_errors(task):
                question, solution, _ = task.generate(seed, index)
                problem = next(_contradictions(task, question, solution), None)
                if isinstance(task, ConstraintPuzzle) and problem is None:
                    named.update(np.flatnonzero(np.diff(task.groups(question).first)[1:]).tolist())
                    if index < MAX_COUNTED:
                        several += len(task.solutions(question, 2)) > 1
        except ValueError as error:
            raise TrmsolveError(f"{origin(task.name)}: puzzle {index}: {error}", "correct the task file") from error
        if problem is not None:
            text = task.format_line(question)
            raise TrmsolveError(f"{origin(task.name)}: puzzle {index}: {problem}", f"the puzzle: {text}")
    kinds: tuple[str, ...] = task.kinds if isinstance(task, ConstraintPuzzle) else ()
    for k, kind in enumerate(kinds):
        if k not in named:
            problem = f"constraint {k + 1} of constraints(), '{kind}', names no candidate in any puzzle"
            raise TrmsolveError(f"{origin(task.name)}: {problem}", "correct its groups, or remove it")
    return CheckedPuzzles(number, several)


def _contradictions(task: Task, question: np.ndarray, solution: np.ndarray) -> Iterator[str]:
    """Messages about contradictions in a generated puzzle and its solution, causes before effects."""
    if question.shape != solution.shape or question.ndim != 2:
        yield f"the question has shape {question.shape}, its solution {solution.shape}"
    if isinstance(task, ConstraintPuzzle) and (reason := task.invalid_reason(question)):
        yield f"invalid_reason() rejects the generator's question: {reason}"
    if violations := task.check(question, solution):
        yield f"check() rejects the generator's own solution: {violations[0].message}"
    if not task.is_solution(question, solution):
        yield "is_solution() rejects the generator's own solution, check() accepts it"
    encoded = task.encode(question)
    if encoded is None:
        yield f"encode() rejects the generator's question: {task.infeasible_reason(question)}"
        return
    if isinstance(task, ConstraintPuzzle):
        if task.open_cells(question).any() and not task.check(question, question):
            yield "check() accepts the unsolved question as its own answer"
        meanings = encoded.meanings[encoded.first + task.target(question, solution)]
        if not np.array_equal(task.decode(question, meanings, np.ones(len(meanings), np.float32)).answer, solution):
            yield "the generator's own solution is not among the candidates"
    for style in ("grid", "line"):
        lines = [Line(n, text) for n, text in enumerate(task.format_grid(question, style).splitlines(), 1)]
        records = list(task.read(lines, "written"))
        if len(records) != 1 or not isinstance(records[0], Puzzle) or not np.array_equal(records[0].question, question):
            result = records[0].message if records and isinstance(records[0], InvalidPuzzle) else "another puzzle"
            yield f"read() cannot read back the style {style} of write(): {result}"
