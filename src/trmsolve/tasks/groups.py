"""Groups of candidates, of each of which exactly one is true, or at most one: what constraints come to."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from trmsolve.errors import TrmsolveError

if TYPE_CHECKING:
    from trmsolve.tasks.base import Task
    from trmsolve.tasks.constraints import ConstraintPuzzle


@dataclass(frozen=True, eq=False)
class Constraint:
    """Groups of candidates, of each of which one is true.

    groups: either int (rows, columns, values), the group's number of each candidate, -1 for none; or a list of groups,
    each a list of candidates (row, column, value), 0-based, value 1 as 0. Only the groups of a list may overlap.
    """

    kind: str  # for messages; constraints of one kind share weights
    groups: np.ndarray | Sequence[Iterable[tuple[int, int, int]]]
    exactly: bool = True  # False: at most one


class ExactlyOne(Constraint):
    """One candidate of each group is true."""


@dataclass(frozen=True, eq=False)
class AtMostOne(Constraint):
    """One candidate of each group is true, or none."""

    exactly: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """All groups of an empty grid, numbered 0 .. G - 1, kind by kind; the cells come first.

    N candidates = cells * values, numbered cell * values + value.
    """

    num_values: int  # V
    allowed: np.ndarray  # bool (N,): candidates before anything is given
    of_candidate: np.ndarray  # int (R, N): up to R groups of each candidate; G for none
    kind_of_row: tuple[int, ...]  # (R,) the kind of the groups in each row; 0: cells
    first: np.ndarray  # int (K + 1,): the first group of each kind
    first_of_kind: np.ndarray  # int (G,): the first group of each group's kind
    exactly: np.ndarray  # bool (G,)

    @property
    def num_groups(self) -> int:
        """G."""
        return len(self.exactly)

    def members(self, group: int) -> np.ndarray:
        """The candidates of a group, ascending."""
        return np.flatnonzero((self.of_candidate == group).any(0))


@contextmanager
def locating_errors(task: Task) -> Iterator[None]:
    """Turns what goes wrong in a task's own code into a TrmsolveError with file and line; ValueError is left alone."""
    try:
        yield
    except (TrmsolveError, ValueError):
        raise
    except (Exception, SystemExit) as error:
        file = getattr(sys.modules.get(type(task).__module__), "__file__", None) or task.name
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
        place = f"{file}:{lines[-1]}" if lines else file
        raise TrmsolveError(f"{place}: {type(error).__name__}: {error}", "correct the task file") from error


def count_by_group(groups: Groups, candidates: np.ndarray) -> np.ndarray:
    """int (G,): how many of these candidates each group holds."""
    return np.bincount(groups.of_candidate[:, candidates].reshape(-1), minlength=groups.num_groups + 1)[:-1]


def _checked_num_values(task: ConstraintPuzzle, grid: np.ndarray) -> int:
    """task.num_values(grid). Raises TrmsolveError where there are not as many symbols, or it is no number."""
    with locating_errors(task):
        num_values, most = task.num_values(grid), len(task.symbols) - 1
    if not isinstance(num_values, int | np.integer) or not 1 <= num_values <= most:
        expected = f"expected 1 to {most}, as there are {most} symbols after the blank"
        raise TrmsolveError(f"{task.name}: num_values() gives {num_values!r}", expected)
    return int(num_values)


def groups_for(task: ConstraintPuzzle, question: np.ndarray) -> Groups:
    """The groups of the question's empty grid, which keeps its further symbols."""
    further = question > _checked_num_values(task, question)
    key = np.where(further, question, 0).astype(np.uint8).tobytes() if further.any() else bytes(question.size)
    return groups_of(task, key, question.shape)


@lru_cache(512)  # a 16x16 Sudoku takes 130 kB
def groups_of(task: ConstraintPuzzle, cells: bytes, shape: tuple[int, ...]) -> Groups:
    """The groups of an empty grid. Raises TrmsolveError where the task contradicts itself."""
    grid = np.frombuffer(cells, np.uint8).reshape(shape)
    num_values = task.num_values(grid)
    candidate_shape = (*shape, num_values)
    with locating_errors(task):
        allowed = np.array(task.candidates(grid), bool)
    if allowed.shape != candidate_shape:
        raise TrmsolveError(f"{task.name}: candidates() gives shape {allowed.shape}, expected {candidate_shape}")
    if not isinstance(task.kinds, tuple):
        raise TrmsolveError(f"{task.name}: kinds is {task.kinds!r}, expected a tuple of names", 'kinds = ("line",)')
    with locating_errors(task):
        constraints = list(task.constraints(grid))
    other = next((item for item in constraints if not isinstance(item, Constraint)), None)
    if other is not None:
        raise TrmsolveError(
            f"{task.name}: constraints() gives a {type(other).__name__}", "expected ExactlyOne or AtMostOne objects"
        )
    names = tuple(constraint.kind for constraint in constraints)
    if names != task.kinds:
        raise TrmsolveError(f"{task.name}: constraints() gives the kinds {names}, the class says kinds = {task.kinds}")
    num_candidates = allowed.size
    rows = [
        np.where(allowed.any(-1), np.arange(grid.size).reshape(shape), -1)[..., None].repeat(num_values, -1).reshape(-1)
    ]
    kinds, exactly = [0], [True]
    for kind, constraint in enumerate(constraints, 1):
        new = _rows(task.name, constraint, allowed)
        rows += new
        kinds += [kind] * len(new)
        exactly.append(constraint.exactly)
    # Number the groups anew: those without candidates vanish, and each kind begins where the one before ends.
    of_candidate = np.full((len(rows), num_candidates), -1)  # (R, N)
    first = [0]
    for kind in range(len(exactly)):
        own = [row for row, kind_of_row in enumerate(kinds) if kind_of_row == kind]
        values = np.where(allowed.reshape(-1), np.stack([rows[row] for row in own]), -1)  # (rows of this kind, N)
        numbers = np.unique(values[values >= 0])
        of_candidate[own] = np.where(values < 0, -1, first[-1] + np.searchsorted(numbers, values))
        first.append(first[-1] + len(numbers))
    return Groups(
        num_values,
        allowed.reshape(-1),
        np.where(of_candidate < 0, first[-1], of_candidate),
        tuple(kinds),
        np.array(first),
        np.repeat(first[:-1], np.diff(first)),
        np.repeat(exactly, np.diff(first)),
    )


def _rows(name: str, constraint: Constraint, allowed: np.ndarray) -> list[np.ndarray]:
    """The group of each candidate, -1 for none: as many arrays (N,) as groups of one constraint overlap."""
    shape = allowed.shape
    if isinstance(constraint.groups, np.ndarray):
        if constraint.groups.dtype.kind not in "iu":
            raise TrmsolveError(
                f"{name}: groups of the constraint '{constraint.kind}' have the type {constraint.groups.dtype}",
                "expected integers: the number of each candidate's group, -1 for none",
            )
        try:
            return [np.broadcast_to(constraint.groups, shape).reshape(-1)]
        except ValueError:
            raise TrmsolveError(
                f"{name}: groups of the constraint '{constraint.kind}' have shape {constraint.groups.shape}",
                f"expected (rows, columns, values) = {shape}",
            ) from None
    if isinstance(constraint.groups, str) or not isinstance(constraint.groups, Iterable):
        raise TrmsolveError(
            f"{name}: groups of the constraint '{constraint.kind}' are a {type(constraint.groups).__name__}",
            "expected an array of integers, or a list of lists of candidates (row, column, value)",
        )
    rows = [np.full(allowed.size, -1)]
    for number, group in enumerate(constraint.groups):
        try:
            index = np.unique([np.ravel_multi_index(candidate, shape) for candidate in group]).astype(np.int64)
        except (ValueError, TypeError):
            raise TrmsolveError(
                f"{name}: group {number} of the constraint '{constraint.kind}' names something that is no candidate",
                f"expected (row, column, value) within {shape}, each from 0",
            ) from None
        for row in rows:
            if (row[index] < 0).all():
                break
        else:
            row = np.full(allowed.size, -1)
            rows.append(row)
        row[index] = number
    return rows
