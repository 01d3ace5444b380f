"""The symmetries of Sudoku.

Symmetries permute the digits, the bands, the rows of a band, the stacks and the columns of a stack; where boxes are
square they may transpose the grid. For 9x9 there are 9! * 6^8 * 2, about 1.2e12.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trmsolve.tasks.sudoku.rules import BOX


@dataclass(frozen=True, slots=True)
class Symmetry:
    """Transpose (or not), then take rows and columns in a new order, then rename the digits."""

    digits: np.ndarray  # uint8 (side + 1,): the new name of each digit; digits[0] = 0, as a blank stays blank
    rows: np.ndarray  # int64 (side,): row i of the copy is row rows[i] of the (transposed) original
    columns: np.ndarray  # int64 (side,)
    transpose: bool = False

    @classmethod
    def identity(cls, side: int) -> Symmetry:
        """The identity."""
        return cls(np.arange(side + 1, dtype=np.uint8), np.arange(side), np.arange(side))

    @classmethod
    def random(cls, rng: np.random.Generator, side: int) -> Symmetry:
        """A uniformly random symmetry of grids with this side, whose boxes are wide."""
        high, wide = BOX[side]
        digits = np.concatenate(([0], 1 + rng.permutation(side))).astype(np.uint8)
        transpose = high == wide and bool(rng.integers(2))  # a transposed 6x6 grid would have 3x2 boxes
        return cls(digits, _shuffle_lines(rng, side, high), _shuffle_lines(rng, side, wide), transpose)

    def apply(self, grid: np.ndarray) -> np.ndarray:
        """A transformed copy of questions or answers, uint8 (..., side, side)."""
        return self.digits[self.move(grid)]

    def move(self, values: np.ndarray) -> np.ndarray:
        """Move the cells without renaming digits. values: any dtype (..., side, side), such as confidences."""
        turned = np.swapaxes(values, -1, -2) if self.transpose else values
        return turned[..., self.rows[:, None], self.columns]

    def inverse(self) -> Symmetry:
        """The inverse: inverse().apply(apply(grid)) equals the grid."""
        rows, columns = np.argsort(self.rows), np.argsort(self.columns)
        if self.transpose:
            rows, columns = columns, rows
        return Symmetry(np.argsort(self.digits).astype(np.uint8), rows, columns, self.transpose)


def _shuffle_lines(rng: np.random.Generator, side: int, size: int) -> np.ndarray:
    """An order of the rows that keeps bands (of `size` rows) together, or of the columns and stacks."""
    inside = rng.permuted(np.tile(np.arange(size), (side // size, 1)), axis=1)
    return (rng.permutation(side // size)[:, None] * size + inside).ravel()
