"""The symmetries of Sudoku, and a fingerprint that is invariant under them.

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

    def then(self, other: Symmetry) -> Symmetry:
        """The composition: this symmetry, then another."""
        rows, columns = (self.columns, self.rows) if other.transpose else (self.rows, self.columns)
        return Symmetry(
            other.digits[self.digits], rows[other.rows], columns[other.columns], self.transpose != other.transpose
        )


def _shuffle_lines(rng: np.random.Generator, side: int, size: int) -> np.ndarray:
    """An order of the rows that keeps bands (of `size` rows) together, or of the columns and stacks."""
    inside = rng.permuted(np.tile(np.arange(size), (side // size, 1)), axis=1)
    return (rng.permutation(side // size)[:, None] * size + inside).ravel()


def fingerprint(question: np.ndarray) -> int:
    """A 64-bit number that is equal for all symmetric copies of a question, uint8 (side, side); see fingerprints."""
    return int(fingerprints(question[None])[0])


def fingerprints(questions: np.ndarray, rounds: int = 8) -> np.ndarray:
    """For each question a number that is invariant under symmetries: uint8 (n, side, side) -> uint64 (n,).

    Equal puzzles (up to symmetry) always have equal fingerprints. Different puzzles nearly always have different ones,
    but colour refinement is not a canonical form: full grids all share one fingerprint, and nearly full grids may. So
    two sets without a common fingerprint have no puzzle in common, while a common one is strong evidence only.

    Method: every cell has a colour, initially whether it is given. In each round the colours of rows, columns, boxes
    and digits are sums of the hashed colours of their cells, those of bands and stacks are sums over their lines, and a
    cell's new colour is a hash of its own colour and those of its groups. Sums do not depend on the order, so the
    result is invariant. One round distinguishes nearly all of 230,000 puzzles; eight rounds distinguish the rest.
    """
    side = questions.shape[-1]
    high, wide = BOX[side]
    chunks = range(0, len(questions), 4096)  # keeps the working set in the cache
    parts = [_refine(questions[start : start + 4096], high, wide, rounds) for start in chunks]
    return np.concatenate(parts) if parts else np.empty(0, np.uint64)


def _refine(questions: np.ndarray, high: int, wide: int, rounds: int) -> np.ndarray:
    n, side, _ = questions.shape
    # Transposition exchanges rows and columns, so both must be treated equally; if boxes are not square, they differ.
    column_salt = np.uint64(0 if high == wide else 77)
    digit_index = questions.reshape(n, -1) + (np.arange(n) * (side + 1))[:, None]
    given = questions > 0
    colours = _scramble(given.astype(np.uint64))
    for _ in range(rounds):
        boxes = colours.reshape(n, wide, high, high, wide).sum((2, 4))  # (n, bands, stacks): side = high * wide
        rows, columns = colours.sum(2), colours.sum(1)
        bands = _scramble(rows).reshape(n, wide, high).sum(2)
        stacks = _scramble(columns).reshape(n, high, wide).sum(2)
        rows = _scramble(rows + _scramble(bands).repeat(high, 1))
        columns = _scramble(columns + _scramble(stacks).repeat(wide, 1) + column_salt)
        boxes = _scramble(boxes + np.uint64(1)).repeat(high, 1).repeat(wide, 2)
        digits = np.zeros(n * (side + 1), np.uint64)
        np.add.at(digits, digit_index.ravel(), colours.ravel())
        digits = _scramble(digits + np.uint64(2))[digit_index].reshape(questions.shape)
        digits *= given  # a blank is not a digit
        # rows + columns is symmetric under transposition; the other terms are hashed with different constants.
        lines = _scramble(rows[:, :, None] + columns[:, None, :])
        colours = _scramble(_scramble(colours + np.uint64(3)) + lines + boxes + digits)
    return _scramble(colours.sum((1, 2)))


def _scramble(values: np.ndarray) -> np.ndarray:
    """The SplitMix64 finalizer (Steele, Lea, Flood 2014) on uint64: spreads every bit over all 64."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
