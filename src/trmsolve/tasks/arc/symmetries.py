"""The changes under which an ARC task stays a task: eight rotations and reflections, and the colours exchanged.

Its rule becomes another one, seen from another side; whoever finds the answer there has it here too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trmsolve.tasks.arc.grids import COLOURS, ArcTask, Grid, Pair
from trmsolve.tasks.symmetries import NAMES, SYMMETRIES, inverse, transform

if TYPE_CHECKING:
    from typing_extensions import Self

AS_THEY_ARE = tuple(range(COLOURS))


@dataclass(frozen=True, slots=True)
class View:
    """A side from which all grids of a task are seen: turned, then recoloured. Views are equal when they do the same.

    Raises ValueError for a turn or colours that are none.
    """

    turn: int = 0  # a symmetry, 0 .. 7 (tasks/symmetries.py)
    colours: tuple[int, ...] = AS_THEY_ARE  # what each colour becomes: a permutation of 0 .. 9

    def __post_init__(self) -> None:
        if self.turn not in range(SYMMETRIES) or sorted(self.colours) != list(AS_THEY_ARE):
            raise ValueError(f"no view: turn {self.turn}, colours {self.colours}")

    @classmethod
    def draw(cls, rng: np.random.Generator, keep_black: bool = True) -> Self:
        """A random one, all equally likely; with `keep_black` colour 0, the ground of most tasks, stays."""
        kept = int(keep_black)
        turn = int(rng.integers(SYMMETRIES))
        return cls(turn, (*range(kept), *(int(k) + kept for k in rng.permutation(COLOURS - kept))))

    def apply(self, grid: Grid) -> Grid:
        """A copy of a grid, uint8 (height, width), as it looks from here."""
        return np.array(self.colours, np.uint8)[transform(grid, self.turn)]

    def undo(self, grid: Grid) -> Grid:
        """A copy of what is seen from here as it is: undo(apply(grid)) is the grid."""
        return np.argsort(self.colours).astype(np.uint8)[transform(grid, inverse(self.turn))]

    def pair(self, pair: Pair) -> Pair:
        """Both grids of a pair."""
        return Pair(self.apply(pair.input), self.apply(pair.output))

    def task(self, task: ArcTask) -> ArcTask:
        """A whole task, its name and source kept."""
        return ArcTask(
            task.name,
            task.source,
            tuple(map(self.pair, task.demonstrations)),
            tuple(map(self.apply, task.tests)),
            None if task.answers is None else tuple(map(self.apply, task.answers)),
        )

    def __str__(self) -> str:
        """The view in words; "" when it changes nothing."""
        moved = ", ".join(f"{a}>{b}" for a, b in enumerate(self.colours) if a != b)
        return "; ".join(part for part in (NAMES[self.turn], moved) if part)


def canonical(pair: Pair) -> bytes:
    """The same for all views of a pair, whatever their sides and colours, and for no other pair."""
    return min(_first_come(transform(pair.input, k), transform(pair.output, k)) for k in range(SYMMETRIES))


def _first_come(before: Grid, after: Grid) -> bytes:
    """Both grids with colours numbered in the order in which they come, and their sizes."""
    cells = np.concatenate([before.ravel(), after.ravel()])
    _, first, which = np.unique(cells, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first)).astype(np.uint8)
    return bytes([*before.shape, *after.shape]) + rank[which].tobytes()
