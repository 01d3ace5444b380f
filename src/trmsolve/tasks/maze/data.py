"""Training mazes from files and generators, mixed by weight, each under a random augmentation, with new labels.

Sample number i depends on the seed and i only, so a run's position in its data is one number.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from trmsolve.errors import TrmsolveError
from trmsolve.tasks.base import Sample
from trmsolve.tasks.dataset import (
    GeneratorSource,
    Mixture,
    MixtureData,
    Source,
    answered_pairs,
    file_digest,
    training_puzzles,
)
from trmsolve.tasks.maze.augmentations import NUM_AUGMENTATIONS, augment, swaps_ends, symmetry_of
from trmsolve.tasks.maze.cells import GOAL, LARGEST, SMALLEST, START, WALL
from trmsolve.tasks.maze.encode import sample
from trmsolve.tasks.maze.generate import KINDS, generate
from trmsolve.tasks.maze.rules import distances, find_cell, shortest_length
from trmsolve.tasks.symmetries import transform

if TYPE_CHECKING:
    from typing_extensions import Self


GROW = 8_000  # generated mazes until the largest size of a range


class SearchedMaze(NamedTuple):
    """A maze and the distances from start and goal, shared by its augmentations because the search is slow."""

    maze: np.ndarray  # uint8 (height, width)
    from_start: np.ndarray  # int32, same shape
    from_goal: np.ndarray
    given: np.ndarray | None = None  # the answer in the file

    @classmethod
    def search(cls, maze: np.ndarray, given: np.ndarray | None = None) -> SearchedMaze:
        """A maze, uint8 (height, width), with its distances."""
        from_start, from_goal = (distances(maze != WALL, find_cell(maze, end)) for end in (START, GOAL))
        return cls(maze, from_start, from_goal, given)

    def augmented(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The maze under augmentation k, and the distances from its start."""
        return augment(self.maze, k), transform(self.from_goal if swaps_ends(k) else self.from_start, symmetry_of(k))


class MazeFile:
    """The mazes of one file. given: check the answers in the file, on which the published recipes train."""

    def __init__(self, path: Path, given: bool = False) -> None:
        from trmsolve.tasks.maze import TASK

        self.name, self.digest = path.name, file_digest(path)
        mazes = training_puzzles(TASK, path)
        if given:
            answered_pairs(TASK, mazes)
        self.searched = lru_cache(maxsize=None)(lambda i: SearchedMaze.search(mazes[i].question, mazes[i].solution))
        self.number = len(mazes)
        for puzzle in mazes:
            if shortest_length(puzzle.question) is None:
                raise TrmsolveError(
                    f"{puzzle.source}: no path leads from S to G", "remove it: training needs mazes with a path"
                )

    def __len__(self) -> int:
        return self.number

    def draw(self, rng: np.random.Generator, index: int) -> SearchedMaze:
        """A random maze of the file."""
        return self.searched(int(rng.integers(self.number)))


def _generator(seed: int, spec: str) -> GeneratorSource[SearchedMaze]:
    """The source `generate:SPEC`.

    With a range of sizes, the maximum size grows from its lower to its upper end over the first GROW mazes.
    """
    kind, low, high = parse_generator(spec)

    def make(number: int) -> SearchedMaze:
        rng = np.random.default_rng([seed, number, 2])
        most = low + (high - low) * min(1.0, number / GROW)
        size = [int(side) for side in rng.integers(low, int(most) + 1, 2)]
        return SearchedMaze.search(generate(seed, number, (size[0], size[1]), kind=kind)[0])

    return GeneratorSource(f"generate:{spec}", seed, make, first=256)


@dataclass(frozen=True)
class MazeSamples(MixtureData):
    """An endless series of mazes, each a SearchedMaze."""

    @classmethod
    def open(cls, specs: Sequence[str], seed: int = 0, **options: Any) -> Self:
        """Sources from `PATH[=WEIGHT]` or `generate:[KIND:]SIDE[-SIDE][=WEIGHT]`; mazes up to 30x30 by default."""

        def source(name: str) -> Source:
            if name.startswith("generate:"):
                return _generator(seed, name.removeprefix("generate:"))
            return MazeFile(Path(name), options.get("given", False))

        return cls(Mixture.open(specs or ["generate:8-30"], source), seed, **options)


@dataclass(frozen=True)
class MazeData(MazeSamples):
    """Training samples of the bundled model."""

    off_path: float = 0.3  # loss weight of cells off the path, of which there are ten times as many
    phase: float = 0.2  # loss weight of a cell's distance modulo 8 (encode.py)

    def draw(self, index: int) -> Sample:
        """Sample number `index`."""
        searched, rng = self.puzzle(index)
        maze, steps = searched.augmented(int(rng.integers(NUM_AUGMENTATIONS)))
        return sample(maze, steps, self.off_path, self.phase)


def parse_generator(spec: str) -> tuple[str, int, int]:
    """Kind, minimum and maximum side of `[KIND:]SIDE[-SIDE]`. Raises TrmsolveError."""
    match = re.fullmatch(r"(?:([a-z]+):)?(\d+)(?:-(\d+))?", spec)
    low, high = (int(match[2]), int(match[3] or match[2])) if match else (0, 0)
    kind = (match and match[1]) or KINDS[0]
    if not SMALLEST <= low <= high <= LARGEST or kind not in KINDS:
        raise TrmsolveError(
            f"generate:{spec}: not a valid source",
            f"expected generate:[KIND:]SIDE[-SIDE], sides {SMALLEST} to {LARGEST}, kinds {', '.join(KINDS)}",
        )
    return kind, low, high
