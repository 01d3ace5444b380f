"""A Sudoku as tokens: one per open cell and digit that no given rules out, connected by the units it lies in.

Givens are not tokens: they only decide which candidates are left. So the model sees no digit, no position and no size,
only which candidates exclude each other, and it is exactly symmetric in digits, bands, stacks, rows, columns and
transposition (an exact-cover view of Sudoku: every candidate lies in one unit of each kind, every unit takes one).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from trmsolve.model.inputs import Encoded
from trmsolve.model.mixers.units import UnitEdges
from trmsolve.tasks.base import Prediction
from trmsolve.tasks.sudoku.rules import BOX
from trmsolve.tasks.sudoku.symbols import symbol

# Token ids: the number of candidates of the token's cell, at most this, as the embedding is a small fixed table.
MAX_CANDIDATE_COUNT = 9


@lru_cache
def box_of(side: int) -> np.ndarray:
    """int64 (side, side): the box each cell lies in."""
    rows, columns = BOX[side]
    r, c = np.indices((side, side))
    return r // rows * (side // columns) + c // columns


@lru_cache
def unit_tables(side: int) -> np.ndarray:
    """int64 (4, side**3): for every (cell, digit), cell-major, its unit of the kinds cell, row, column, box."""
    r, c, d = np.indices((side, side, side)).reshape(3, -1)
    box = box_of(side)[r, c]
    return np.stack([r * side + c, r * side + d, c * side + d, box * side + d])


def open_candidates(question: np.ndarray) -> np.ndarray:
    """bool (side, side, side): the digits (0-based) that each blank cell can still take beside the givens."""
    side = len(question)
    r, c = np.nonzero(question)
    d = question[r, c].astype(np.int64) - 1
    row, column, box = (np.zeros((side, side), bool) for _ in range(3))
    boxes = box_of(side)
    row[r, d] = column[c, d] = box[boxes[r, c], d] = True
    return ~(row[:, None] | column[None] | box[boxes]) & (question == 0)[..., None]


def candidates(question: np.ndarray) -> np.ndarray:
    """int64 (L,): the tokens as indices cell * side + digit (0-based), in reading order."""
    return np.flatnonzero(open_candidates(question))


def encode(question: np.ndarray) -> Encoded | None:
    """Tokens and units of a question, uint8 (side, side) with 0 for blank.

    None when the givens leave some open cell without a digit, or some unit without a cell for a digit.
    """
    side = len(question)
    tokens = candidates(question)
    units = unit_tables(side)[:, tokens]
    n_units = int((question == 0).sum())
    ranks = np.empty_like(units, dtype=np.int32)
    for kind in range(4):
        present = np.zeros(side * side, bool)
        present[units[kind]] = True
        if int(present.sum()) != n_units:
            return None
        ranks[kind] = (np.cumsum(present) - 1)[units[kind]]
    per_cell = np.bincount(ranks[0], minlength=n_units)
    x = np.minimum(per_cell, MAX_CANDIDATE_COUNT)[ranks[0]].astype(np.int64)
    return Encoded(x, UnitEdges(ranks, n_units), np.cumsum(per_cell) - per_cell, per_cell, tokens)


def target(question: np.ndarray, solution: np.ndarray) -> np.ndarray:
    """int64 (U,): for every open cell the rank of the solution's digit among the cell's candidates."""
    possible = open_candidates(question)[question == 0]  # bool (U, side)
    digit = solution[question == 0].astype(np.int64) - 1
    return np.cumsum(possible, 1)[np.arange(len(digit)), digit] - 1


def decode(question: np.ndarray, meanings: np.ndarray, confidence: np.ndarray) -> Prediction:
    """The filled grid of one chosen candidate per open cell (meanings: cell * side + digit, int64 (U,))."""
    side = len(question)
    answer, confidences = question.copy(), np.ones(question.shape, np.float32)
    answer.reshape(-1)[meanings // side] = meanings % side + 1
    confidences.reshape(-1)[meanings // side] = confidence
    return Prediction(answer, confidences)


def with_assignment(question: np.ndarray, meaning: int) -> np.ndarray:
    """A copy of the question with one candidate (cell * side + digit) as given."""
    side = len(question)
    extended = question.copy()
    extended.reshape(-1)[meaning // side] = meaning % side + 1
    return extended


def describe_assignment(question: np.ndarray, meaning: int) -> str:
    """A candidate for people: r3c5=7."""
    side = len(question)
    cell, digit = divmod(meaning, side)
    return f"r{cell // side + 1}c{cell % side + 1}={symbol(digit + 1)}"


def open_cells(question: np.ndarray) -> np.ndarray:
    """bool (side, side): the blanks."""
    return question == 0
