"""The changes that keep a maze the same maze: eight rotations and reflections, and start and goal exchanged.

Shortest paths stay shortest paths, but the canonical one (paths.py) becomes another: make the label anew afterwards.
"""

from __future__ import annotations

import numpy as np

from trmsolve.tasks.maze.cells import FLOOR, GOAL, PATH, START, WALL

SYMMETRIES = 8

_SWAPPED = np.array([WALL, FLOOR, GOAL, START, PATH], np.uint8)


def transform(grid: np.ndarray, k: int) -> np.ndarray:
    """A copy of a grid (height, width) after symmetry k: for k >= 4 transposed, then turned left k mod 4 times.

    Any dtype; further axes are carried along. Height and width change places for k = 1, 3, 4, 6. IndexError: k is none.
    """
    if not 0 <= k < SYMMETRIES:
        raise IndexError(f"symmetry {k}: must lie in 0..{SYMMETRIES - 1}")
    return np.rot90(grid.swapaxes(0, 1) if k >= 4 else grid, k % 4).copy()


def inverse(k: int) -> int:
    """The symmetry that undoes k: transform(transform(grid, k), inverse(k)) is the grid."""
    return k if k >= 4 else -k % 4  # a reflection undoes itself


def swap_ends(maze: np.ndarray) -> np.ndarray:
    """A copy of a maze, uint8 of any shape, question or answer, with START and GOAL exchanged."""
    return _SWAPPED[maze]
