"""The eight rotations and reflections of a rectangular grid."""

from __future__ import annotations

import numpy as np

SYMMETRIES = 8

TURNS = ("", "turned left", "turned round", "turned right")  # rot90 by k
NAMES = (*TURNS, "transposed", *(f"transposed, {word}" for word in TURNS[1:]))  # of each symmetry; "" for the identity


def transform(grid: np.ndarray, k: int) -> np.ndarray:
    """A copy of a grid (height, width, ...) after symmetry k: transposed if k >= 4, then turned left k mod 4 times.

    Any dtype. Height and width are exchanged for k = 1, 3, 4, 6. Raises IndexError unless 0 <= k < 8.
    """
    if not 0 <= k < SYMMETRIES:
        raise IndexError(f"symmetry {k}: must lie in 0..{SYMMETRIES - 1}")
    return np.rot90(grid.swapaxes(0, 1) if k >= 4 else grid, k % 4).copy()


def inverse(k: int) -> int:
    """The symmetry that undoes k: transform(transform(grid, k), inverse(k)) is the grid."""
    return k if k >= 4 else -k % 4  # a reflection undoes itself
