"""A fingerprint of a Sudoku that is invariant under its symmetries: two sets without a common one share no puzzle."""

import numpy as np

from trmsolve.tasks.sudoku.rules import BOX


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
