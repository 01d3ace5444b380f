"""Collections of tasks to train on: JSON as read.py knows it, and the generated pairs of RE-ARC as one array file.

A collection names its tasks and hands out their pairs one by one. Opening one reads nothing but its bytes, for the
digest; what it holds is decoded when it is first asked for.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Protocol
from zipfile import BadZipFile, ZipFile

import numpy as np
from numpy.lib.format import read_array

from trmsolve.errors import TrmsolveError
from trmsolve.tasks.arc.grids import COLOURS, LARGEST, ArcTask, Pair
from trmsolve.tasks.arc.read import json_files, read
from trmsolve.tasks.mixture import digest


class Collection(Protocol):
    """Tasks by number, 0 .. len(names) - 1. All but the first two may raise TrmsolveError when first asked for."""

    name: str  # the file's
    digest: str  # its sha256

    @property
    def names(self) -> Sequence[str]:
        """The tasks' names. Collections share a name where they have pairs of the same task."""

    @property
    def counts(self) -> np.ndarray:
        """int64 (tasks,) How many pairs there are of each task."""

    def pair(self, task: int, number: int) -> Pair:
        """Pair `number`, 0 .. counts[task] - 1, of a task. IndexError: there is none."""


class Tasks:
    """A JSON file, or a folder of them. Its tasks are kept whole, for whoever needs demonstrations and tests apart."""

    def __init__(self, path: Path, answers: bool = True) -> None:
        self.path, self.name, self.digest, self.answers = path, path.name, _digest(path), answers

    @cached_property
    def tasks(self) -> list[ArcTask]:
        """All tasks, in order. Raises TrmsolveError for the first record that is none."""
        found = []
        for record in read([self.path]):
            if not isinstance(record, ArcTask):
                raise TrmsolveError(f"{record.source}: {record.message}", "training data must be free of errors")
            found.append(record)
        return found

    @cached_property
    def names(self) -> Sequence[str]:
        return [task.name for task in self.tasks]

    @cached_property
    def counts(self) -> np.ndarray:
        return np.array([len(self._pairs(task)) for task in self.tasks], np.int64)

    def pair(self, task: int, number: int) -> Pair:
        """The demonstrations come first, then, with `answers`, the tests."""
        return self._pairs(self.tasks[task])[number]

    def _pairs(self, task: ArcTask) -> tuple[Pair, ...]:
        return task.pairs if self.answers else task.demonstrations


class Generated:
    """An .npz with `task_ids`, and of all pairs `task_index`, `shapes` (pairs, 4) and `cells`.

    shapes: rows and columns of the input, then of the output. cells: uint8, the cells of input, output, input, ... row
    by row, one grid after the other.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.name, self.digest = path, path.name, _digest(path)

    @cached_property
    def names(self) -> Sequence[str]:
        names = self._array("task_ids")
        self._check(names.ndim == 1 and names.dtype.kind == "U", "task_ids")
        return names.tolist()

    @cached_property
    def counts(self) -> np.ndarray:
        return np.bincount(self._task, minlength=len(self.names))

    def pair(self, task: int, number: int) -> Pair:
        """Copied out of the array of all cells, which the first call unpacks."""
        if not 0 <= number < self.counts[task]:
            raise IndexError(f"pair {number} of {self.counts[task]}")
        at = self._order[self._first[task] + number]
        rows, columns, output_rows, output_columns = self._shapes[at].tolist()
        start, middle, end = self._starts[2 * at : 2 * at + 3].tolist()
        return Pair(
            self._cells[start:middle].reshape(rows, columns).copy(),
            self._cells[middle:end].reshape(output_rows, output_columns).copy(),
        )

    @cached_property
    def _task(self) -> np.ndarray:
        """int64 (pairs,) The task of each pair."""
        task = self._array("task_index").astype(np.int64)
        self._check(task.ndim == 1 and ((task >= 0) & (task < len(self.names))).all(), "task_index")
        return task

    @cached_property
    def _order(self) -> np.ndarray:
        """int64 (pairs,) The pairs, task by task."""
        return np.argsort(self._task, kind="stable")

    @cached_property
    def _first(self) -> np.ndarray:
        """int64 (tasks,) Where in the order each task begins."""
        return np.cumsum(self.counts) - self.counts

    @cached_property
    def _shapes(self) -> np.ndarray:
        """int64 (pairs, 4)"""
        shapes = self._array("shapes").astype(np.int64)
        fitting = shapes.shape == (len(self._task), 4) and ((shapes >= 1) & (shapes <= LARGEST)).all()
        self._check(fitting, "shapes")
        return shapes

    @cached_property
    def _starts(self) -> np.ndarray:
        """int64 (2 pairs + 1,) Where among the cells each grid begins, and where the last one ends."""
        return np.concatenate([[0], self._shapes.reshape(-1, 2).prod(1).cumsum()])

    @cached_property
    def _cells(self) -> np.ndarray:
        """uint8 (cells,)"""
        cells = self._array("cells")
        fitting = cells.dtype == np.uint8 and cells.shape == (self._starts[-1],) and cells.max(initial=0) < COLOURS
        self._check(fitting, "cells")
        return cells

    def _array(self, name: str) -> np.ndarray:
        try:
            with ZipFile(self.path) as file, file.open(f"{name}.npy") as array:
                return read_array(array, allow_pickle=False)
        except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error) as error:
            raise TrmsolveError(f"{self.path}: no array '{name}' can be read from it ({error})", _EXPECTED) from error

    def _check(self, fitting: bool, name: str) -> None:
        if not fitting:
            raise TrmsolveError(f"{self.path}: the array '{name}' does not fit the others", _EXPECTED)


_EXPECTED = "expected an .npz with task_ids, task_index, shapes and cells"


def collection(path: str | Path, answers: bool = True) -> Collection:
    """A file or folder as a collection; an .npz is one of generated pairs. Raises TrmsolveError when it is not there.

    answers: whether the tests that come with outputs count as pairs. False for whatever is measured on: nothing but the
    demonstrations of an evaluation set may ever be trained on.
    """
    path = Path(path)
    if not path.exists():
        raise TrmsolveError(f"{path}: no such file", "expected a file of tasks, a folder of them, or an .npz")
    if path.suffix.lower() == ".npz":
        return Generated(path)
    return Tasks(path, answers)


def _digest(path: Path) -> str:
    """The sha256 of a file; of a folder, of its files' names and digests."""
    if not path.is_dir():
        return digest(path)
    listed = "".join(f"{digest(file)} {file.name}\n" for file in json_files(path))
    return hashlib.sha256(listed.encode("utf-8", "surrogateescape")).hexdigest()
