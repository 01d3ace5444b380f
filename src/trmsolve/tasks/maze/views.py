"""The sixteen sides a maze can be looked at from: rotated, reflected, and with start and goal exchanged.

The rule for ties (paths.py) has none of these symmetries, so the model walks each view by other paths, equally short.
"""

from __future__ import annotations

import numpy as np

from trmsolve.tasks.base import Guess
from trmsolve.tasks.maze.cells import FLOOR, GOAL, PATH, START, WALL
from trmsolve.tasks.symmetries import NAMES, SYMMETRIES, inverse, transform

VIEWS = 2 * SYMMETRIES

_SWAPPED = np.array([WALL, FLOOR, GOAL, START, PATH], np.uint8)


def turn(k: int) -> int:
    """The symmetry (tasks/symmetries.py) of way k, 0 .. 15."""
    return k % SYMMETRIES


def swaps(k: int) -> bool:
    """Whether way k exchanges start and goal."""
    return k >= SYMMETRIES


def swap_ends(maze: np.ndarray) -> np.ndarray:
    """A copy of a maze, uint8 of any shape, question or answer, with START and GOAL exchanged."""
    return _SWAPPED[maze]


def view(question: np.ndarray, k: int) -> np.ndarray:
    """The maze, uint8 (height, width), seen in way k; 0 is as it stands."""
    turned = transform(question, turn(k))
    return swap_ends(turned) if swaps(k) else turned


def unview(question: np.ndarray, guess: Guess, k: int) -> Guess:
    """A guess at view(question, k) as one at the question."""
    answer, sure = (transform(grid, inverse(turn(k))) for grid in (guess.answer, guess.confidence))
    return Guess(swap_ends(answer) if swaps(k) else answer, sure)


def name_view(k: int) -> str:
    """Way k in words."""
    words = NAMES[turn(k)], "start and goal exchanged" if swaps(k) else ""
    return ", ".join(word for word in words if word)
