"""ARC training data: collections of tasks, mixed by weight; each task has its own rows in the model's puzzle table.

A row always belongs to its task under the same augmentation, so that it represents one rule. Sample number i depends on
the seed and i only.

A model must not be trained on the answers of an evaluation set. Such a set is accepted only as `demonstrations:PATH`,
which excludes the outputs of tests.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from trmsolve.containers import load_arrays
from trmsolve.errors import TrmsolveError
from trmsolve.tasks.arc.arrays import EXPECTED, tasks_of_pairs
from trmsolve.tasks.arc.augmentations import Augmentation
from trmsolve.tasks.arc.encode import sample
from trmsolve.tasks.arc.grids import SizeRule
from trmsolve.tasks.arc.read import json_files, read
from trmsolve.tasks.base import InvalidPuzzle, Sample
from trmsolve.tasks.dataset import Mixture, MixtureData, file_digest
from trmsolve.tasks.few_shot import Pair
from trmsolve.tasks.symmetries import SYMMETRIES

NUM_SHOWN = 4  # pairs from which sizes are inferred, as many as tasks have demonstrations
DEMONSTRATIONS = "demonstrations:"
MAX_TRIES = 1000  # tasks drawn until one has a pair that is small enough


def load_pairs(path: Path, answers: bool = True) -> dict[str, Sequence[Pair]]:
    """The pairs of each task by its name, from a file or folder (read.py), or an .npz of generated pairs (arrays.py).

    Equal names in two collections mean the same task. answers: whether to include tests that have outputs, after the
    demonstrations. Raises TrmsolveError for a file that is missing or contains errors.
    """
    if not path.exists():
        raise TrmsolveError(f"{path}: no such file", "expected a file of tasks, a folder of them, or an .npz")
    if path.suffix.lower() == ".npz":
        tasks = tasks_of_pairs(load_arrays(path, str(path), EXPECTED), str(path))
        return {name: [Pair(before, after) for before, after in pairs] for name, pairs in tasks}
    pairs: dict[str, Sequence[Pair]] = {}
    for record in read([path]):
        if isinstance(record, InvalidPuzzle):
            raise TrmsolveError(f"{record.source}: {record.message}", "correct the file: training data must be valid")
        if record.warnings:
            raise TrmsolveError(
                f"{record.source}: {record.warnings[0]}", "correct the file: training data must be valid"
            )
        pairs[record.name] = record.pairs if answers else record.demonstrations
    return pairs


def _digest(path: Path) -> str:
    """The sha256 of a file; of a folder, of its files' names and digests."""
    if not path.is_dir():
        return file_digest(path)
    listing = "".join(f"{file_digest(file)} {file.relative_to(path).as_posix()}\n" for file in json_files(path))
    return hashlib.sha256(listing.encode("utf-8", "surrogateescape")).hexdigest()


class ArcSource:
    """The pairs of one file or folder, without the tasks that are held out (dataset.Source)."""

    def __init__(self, path: Path, answers: bool, held_out: float) -> None:
        self.tasks = [task for task in load_pairs(path, answers).items() if not is_held_out(task[0], held_out)]
        self.name, self.digest, self.pairs = path.name, _digest(path), "all" if answers else "demonstrations"
        if not self.tasks:
            raise TrmsolveError(f"{self.name}: no tasks to train on", "lower --set data.held_out=SHARE")

    @classmethod
    def open(cls, spec: str, held_out: float) -> ArcSource:
        """From `PATH` or `demonstrations:PATH`. Raises TrmsolveError for an evaluation set with its answers."""
        path = Path(spec.removeprefix(DEMONSTRATIONS))
        if spec.startswith(DEMONSTRATIONS):
            if path.suffix.lower() == ".npz":
                raise TrmsolveError(
                    f"{spec}: generated pairs have no separate demonstrations", f"name it without {DEMONSTRATIONS}"
                )
            return cls(path, False, held_out)
        if (part := _evaluation_part(path)) is not None:
            raise TrmsolveError(
                f"{part}: the name of an evaluation set, whose answers must not be used for training",
                f"train on its demonstrations only: --data {DEMONSTRATIONS}{path}",
            )
        return cls(path, True, held_out)

    def __len__(self) -> int:
        return len(self.tasks)

    def draw(self, rng: np.random.Generator, index: int) -> tuple[str, list[Pair]]:
        """A random task's name, and some of its pairs in random order."""
        name, pairs = self.tasks[int(rng.integers(len(self.tasks)))]
        return name, [pairs[number] for number in rng.permutation(len(pairs))[: 2 * NUM_SHOWN]]


@dataclass(frozen=True)
class ArcTrainingData(MixtureData):
    """An endless series of samples."""

    rows_per_task: int = 1  # rows of the puzzle table for each task, each under another augmentation
    max_cells: int = 225  # of a canvas; larger pairs are skipped

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
        return cls(mixture, seed, _whole("rows_per_task", rows_per_task), _whole("most", most))

    @cached_property
    def names(self) -> dict[str, int]:
        """All tasks, numbered by name."""
        sources: Sequence[Any] = self.mixture.sources
        names = (name for source in sources for name, _ in source.tasks)
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
            for source, entry in zip(sources, super().describe(), strict=True)
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


def _whole(option: str, value: float) -> int:
    """The value of an option as an integer; recipes contain floats."""
    if value < 1 or value != int(value):
        raise TrmsolveError(f"data.{option}: found {value:g}, expected a whole number of at least 1")
    return int(value)


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
