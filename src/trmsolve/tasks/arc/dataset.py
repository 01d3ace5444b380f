"""ARC training data: collections of tasks, mixed by weight; each task has its own rows in the model's puzzle table.

A row sees its task under one augmentation, always the same, so that it stands for one rule. Draw number i of a seed is
always the same sample.

Nothing may be learnt from the answers of an evaluation set. It is accepted only as `demonstrations:PATH`, which gives
the pairs that a solver sees too, and never the outputs of tests.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any, Protocol
from zipfile import BadZipFile, ZipFile

import numpy as np
from numpy.lib.format import read_array

from trmsolve.errors import TrmsolveError
from trmsolve.tasks.arc.augmentations import Augmentation
from trmsolve.tasks.arc.encode import sample
from trmsolve.tasks.arc.grids import COLORS, MAX_SIDE, SizeRule
from trmsolve.tasks.arc.read import json_files, read
from trmsolve.tasks.base import Sample
from trmsolve.tasks.dataset import Mixture, file_digest
from trmsolve.tasks.few_shot import FewShotTask, Pair
from trmsolve.tasks.symmetries import SYMMETRIES

NUM_SHOWN = 4  # pairs from which sizes are inferred, as many as tasks have demonstrations
DEMONSTRATIONS = "demonstrations:"
MAX_TRIES = 1000  # tasks drawn until one has a pair that is small enough

# -- collections ----------------------------------------------------------------------------------------------------


class Collection(Protocol):
    """Tasks by number, 0 .. len(names) - 1, whose pairs are read one by one.

    Opening one reads only its bytes, for the digest; names, counts and pairs may raise TrmsolveError when first used.
    """

    name: str  # of the file
    digest: str  # its sha256

    @property
    def names(self) -> Sequence[str]:
        """The tasks' names. The same name in two collections means pairs of the same task."""

    @property
    def counts(self) -> np.ndarray:
        """int64 (tasks,) Pairs of each task."""

    def pair(self, task: int, number: int) -> Pair:
        """Pair `number`, 0 .. counts[task] - 1, of a task. Raises IndexError for any other."""


class JsonCollection:
    """A JSON file, or a folder of them. `answers`: whether tests that have outputs count as pairs."""

    def __init__(self, path: Path, answers: bool = True) -> None:
        self.path, self.name, self.digest, self.answers = path, path.name, _digest(path), answers

    @cached_property
    def tasks(self) -> list[FewShotTask]:
        """All tasks, in order. Raises TrmsolveError for the first record that is none."""
        tasks = []
        for record in read([self.path]):
            if not isinstance(record, FewShotTask):
                raise TrmsolveError(f"{record.source}: {record.message}", "training data must be free of errors")
            tasks.append(record)
        return tasks

    @cached_property
    def names(self) -> Sequence[str]:
        return [task.name for task in self.tasks]

    @cached_property
    def counts(self) -> np.ndarray:
        return np.array([len(self._pairs(task)) for task in self.tasks], np.int64)

    def pair(self, task: int, number: int) -> Pair:
        """The demonstrations come first, then, with `answers`, the tests."""
        return self._pairs(self.tasks[task])[number]

    def _pairs(self, task: FewShotTask) -> tuple[Pair, ...]:
        return task.pairs if self.answers else task.demonstrations


class NpzCollection:
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
        return np.bincount(self._pairs[0], minlength=len(self.names))

    def pair(self, task: int, number: int) -> Pair:
        """A copy. The first call unpacks the array of all cells."""
        if not 0 <= number < self.counts[task]:
            raise IndexError(f"pair {number} of {self.counts[task]}")
        _, order, first = self._pairs
        shapes, starts, cells = self._grids
        grid = 2 * order[first[task] + number]  # the pair's input; the next one is its output
        before, after = (cells[starts[i] : starts[i + 1]].reshape(shapes[i]).copy() for i in (grid, grid + 1))
        return Pair(before, after)

    @cached_property
    def _pairs(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The task of each pair, the pairs in order of tasks, both int64 (pairs,); each task's first one, (tasks,)."""
        task = self._array("task_index").astype(np.int64)
        self._check(task.ndim == 1 and ((task >= 0) & (task < len(self.names))).all(), "task_index")
        counts = np.bincount(task, minlength=len(self.names))
        return task, np.argsort(task, kind="stable"), np.cumsum(counts) - counts

    @cached_property
    def _grids(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Shapes, int64 (2 pairs, 2), starts among the cells, int64 (2 pairs + 1,), and all cells, uint8 (cells,)."""
        shapes = self._array("shapes").astype(np.int64)
        fits = shapes.shape == (len(self._pairs[0]), 4) and ((shapes >= 1) & (shapes <= MAX_SIDE)).all()
        self._check(fits, "shapes")
        shapes = shapes.reshape(-1, 2)
        starts = np.concatenate([[0], shapes.prod(1).cumsum()])
        cells = self._array("cells")
        fits = cells.dtype == np.uint8 and cells.shape == (starts[-1],) and cells.max(initial=0) < COLORS
        self._check(fits, "cells")
        return shapes, starts, cells

    def _array(self, name: str) -> np.ndarray:
        try:
            with ZipFile(self.path) as file, file.open(f"{name}.npy") as array:
                return read_array(array, allow_pickle=False)
        except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error) as error:
            raise TrmsolveError(f"{self.path}: no array '{name}' can be read from it ({error})", _EXPECTED) from error

    def _check(self, fits: bool | np.bool_, name: str) -> None:
        if not fits:
            raise TrmsolveError(f"{self.path}: the array '{name}' does not fit the others", _EXPECTED)


_EXPECTED = "expected an .npz with task_ids, task_index, shapes and cells"


def collection(path: str | Path, answers: bool = True) -> Collection:
    """A file or folder as a collection; an .npz holds generated pairs. Raises TrmsolveError if it does not exist.

    answers: whether tests that have outputs count as pairs. False for evaluation sets, of which only the
    demonstrations may be trained on.
    """
    path = Path(path)
    if not path.exists():
        raise TrmsolveError(f"{path}: no such file", "expected a file of tasks, a folder of them, or an .npz")
    return NpzCollection(path) if path.suffix.lower() == ".npz" else JsonCollection(path, answers)


def _digest(path: Path) -> str:
    """The sha256 of a file; of a folder, of its files' names and digests."""
    if not path.is_dir():
        return file_digest(path)
    listing = "".join(f"{file_digest(file)} {file.relative_to(path).as_posix()}\n" for file in json_files(path))
    return hashlib.sha256(listing.encode("utf-8", "surrogateescape")).hexdigest()


# -- training data --------------------------------------------------------------------------------------------------


class ArcSource:
    """The pairs of one collection, without the tasks that are held out (dataset.Source)."""

    def __init__(self, tasks: Collection, held_out: float, pairs: str = "all") -> None:
        self.collection, self.name, self.digest, self.pairs = tasks, tasks.name, tasks.digest, pairs
        self.tasks = [i for i, name in enumerate(tasks.names) if not is_held_out(name, held_out)]
        if not self.tasks:
            raise TrmsolveError(f"{tasks.name}: holds no tasks to train on", "lower data.held_out")

    @classmethod
    def open(cls, spec: str, held_out: float) -> ArcSource:
        """From `PATH` or `demonstrations:PATH`. Raises TrmsolveError for an evaluation set with its answers."""
        path = Path(spec.removeprefix(DEMONSTRATIONS))
        if spec.startswith(DEMONSTRATIONS):
            if path.suffix.lower() == ".npz":
                raise TrmsolveError(f"{spec}: generated pairs are not divided", f"name it without {DEMONSTRATIONS}")
            return cls(collection(path, answers=False), held_out, "demonstrations")
        if (part := _evaluation_part(path)) is not None:
            raise TrmsolveError(
                f"{part}: an evaluation set, by its name; what is measured on must not be learnt from its answers",
                f"train on its demonstrations alone: --data {DEMONSTRATIONS}{path}",
            )
        return cls(collection(path), held_out)

    def __len__(self) -> int:
        return len(self.tasks)

    def draw(self, rng: np.random.Generator, index: int) -> tuple[str, list[Pair]]:
        """A random task's name, and some of its pairs in random order."""
        task = self.tasks[int(rng.integers(len(self.tasks)))]
        chosen = rng.permutation(int(self.collection.counts[task]))[: 2 * NUM_SHOWN]
        return self.collection.names[task], [self.collection.pair(task, int(number)) for number in chosen]


@dataclass(frozen=True)
class ArcTrainingData:
    """Samples without end (base.TrainingData)."""

    mixture: Mixture
    seed: int = 0
    rows_per_task: int = 1  # rows of the puzzle table for each task, each under another augmentation
    max_cells: int = 225  # of a canvas; larger pairs are skipped

    def __post_init__(self) -> None:
        for name, option in (("rows_per_task", "rows_per_task"), ("max_cells", "most")):
            value = getattr(self, name)
            if value < 1 or value != int(value):
                raise TrmsolveError(f"data.{option}: a whole number of at least 1 expected, found {value:g}")
            object.__setattr__(self, name, int(value))  # recipes hold floats

    @classmethod
    def open(
        cls,
        specs: Sequence[str],
        seed: int = 0,
        held_out: float = 0.0,
        rows_per_task: float = 1,
        most: float = 225,
    ) -> ArcTrainingData:
        """Sources from `[demonstrations:]PATH[=WEIGHT]`; the default weight of a file is its number of tasks.

        held_out: the share of tasks, chosen by their names, that are not trained on, so that they can be measured on.
        most: max_cells.
        """
        if not specs:
            raise TrmsolveError("ARC has no generator: nothing to train on", "name files of tasks: --data FILE.json")
        mixture = Mixture.open(specs, lambda spec: ArcSource.open(spec, held_out))
        return cls(mixture, seed, rows_per_task, most)  # type: ignore[arg-type]

    @cached_property
    def names(self) -> dict[str, int]:
        """All tasks, numbered by name."""
        sources: Sequence[Any] = self.mixture.sources
        names = (source.collection.names[i] for source in sources for i in source.tasks)
        return {name: number for number, name in enumerate(dict.fromkeys(names))}

    @property
    def num_rows(self) -> int:
        """Rows that the model's puzzle table needs."""
        return self.rows_per_task * len(self.names)

    def describe(self) -> list[dict[str, object]]:
        """Provenance: name, sha256, number of tasks, share, and which pairs of each source, all or demonstrations."""
        sources: Sequence[Any] = self.mixture.sources
        return [
            {("tasks" if key == "puzzles" else key): value for key, value in entry.items()} | {"pairs": source.pairs}
            for source, entry in zip(sources, self.mixture.describe(), strict=True)
        ]

    def draw(self, index: int) -> Sample:
        """Sample number `index`. Raises TrmsolveError if no pair is small enough."""
        rng = np.random.default_rng([self.seed, index])
        for _ in range(MAX_TRIES):
            name, pairs = self.mixture.pick(rng).draw(rng, index)
            row = self.rows_per_task * self.names[name] + int(rng.integers(self.rows_per_task))
            augmentation = Augmentation(int(np.random.default_rng([self.seed, row, 3]).integers(SYMMETRIES)))
            for pair in pairs:
                augmented = augmentation.pair(pair)
                rule = SizeRule.from_pairs(map(augmentation.pair, (pair, *pairs[:NUM_SHOWN])))
                if prod(rule.canvas(augmented.input.shape)) <= self.max_cells:
                    return sample(augmented, rule, row)
        raise TrmsolveError(f"no pair of {MAX_TRIES} tasks has at most {self.max_cells} cells", "raise data.most")


def is_held_out(name: str, share: float) -> bool:
    """Whether a task is in the share of all tasks that is not trained on: by its name, in any collection."""
    return zlib.crc32(name.encode()) % 1000 < 1000 * share


def _evaluation_part(path: Path) -> Path | None:
    """The part of a path's content that is an evaluation set, by its name or its folder's; None if nothing is."""
    if path.absolute().parent.name.lower() == "evaluation" or "evaluation" in path.name.lower():
        return path
    for file in json_files(path) if path.is_dir() else ():
        if any("evaluation" in part.lower() for part in file.relative_to(path).parts):
            return file
    return None
