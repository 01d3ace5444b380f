"""What an ARC task is made of. A grid is uint8 (height, width), both 1 .. LARGEST, of colours 0 .. 9; 0 is black."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

COLOURS = 10
LARGEST = 30  # rows or columns of a grid

Grid = np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """A grid and what the task's rule makes of it."""

    input: Grid
    output: Grid


@dataclass(frozen=True, slots=True, eq=False)
class ArcTask:
    """One task: pairs that show its rule, and inputs to apply it to."""

    name: str  # printable, never empty; whatever somebody called it, so never a path
    source: str  # "file" or "file:name", for messages
    demonstrations: tuple[Pair, ...]  # one or more
    tests: tuple[Grid, ...]  # one input or more
    answers: tuple[Grid, ...] | None = None  # an output for each test, None if unknown; for scoring, never for solving

    @property
    def largest(self) -> int:
        """The longest side of any grid that a solver is shown, so that it is known without the answers."""
        shown = [grid for pair in self.demonstrations for grid in (pair.input, pair.output)]
        return max(max(grid.shape) for grid in (*shown, *self.tests))

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """The demonstrations, then the tests with their answers where these are known."""
        return (*self.demonstrations, *map(Pair, self.tests, self.answers or ()))
