"""A Sudoku as a picture: givens, changed cells, unsure cells and conflicts."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from trmsolve.tasks.base import UNSURE, Cell, Picture, Prediction

SYMBOLS = "123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"  # digit d is SYMBOLS[d - 1]; beyond 9 come letters


def picture(question: np.ndarray, prediction: Prediction | None, previous: Prediction | None = None) -> Picture:
    """The grid after one step; with `prediction` None the bare question.

    The role `changed` is relative to `previous`; without it, at the first step, no cell is marked. A given is marked as
    conflicting only if it conflicts with another given.
    """
    given = question > 0
    answer = question if prediction is None else prediction.answer
    confidence = np.ones(question.shape) if prediction is None else prediction.confidence
    conflict = np.where(given, _duplicates(np.where(given, question, 0)), _duplicates(answer))
    changed = np.zeros(question.shape, bool) if prediction is None or previous is None else answer != previous.answer

    side = len(question)
    candidates = _candidates(question.astype(np.uint8).tobytes(), side)

    def cell(r: int, c: int) -> Cell:
        digit, certainty = int(answer[r, c]), float(confidence[r, c])
        if digit == 0:
            return Cell("", "blank", candidates=candidates[r][c])
        if conflict[r, c]:
            role = "conflict"
        elif given[r, c]:
            role, certainty = "given", 1.0
        elif changed[r, c]:
            role = "changed"
        else:
            role = "unsure" if certainty < UNSURE else "answer"
        return Cell(SYMBOLS[digit - 1], role, certainty, candidates[r][c])

    return Picture([[cell(r, c) for c in range(side)] for r in range(side)], box_shape(side))


@lru_cache(maxsize=4)  # a puzzle's picture is drawn at every step
def _candidates(question: bytes, side: int) -> list[list[str]]:
    """For each open cell the symbols that no given in its row, column or box excludes; "" for givens."""
    grid = np.frombuffer(question, np.uint8).reshape(side, side)
    possible = np.ones((side + 1, side, side), bool)  # digit x row x column
    for unit in _units(side):
        for index in range(side):
            rows, columns = np.nonzero(unit == index)
            possible[np.unique(grid[rows, columns])[:, None], rows, columns] = False

    def symbols(r: int, c: int) -> str:
        return "" if grid[r, c] else "".join(SYMBOLS[d - 1] for d in range(1, side + 1) if possible[d, r, c])

    return [[symbols(r, c) for c in range(side)] for r in range(side)]


def box_shape(side: int) -> tuple[int, int]:
    """Rows and columns of a box: as square as the side allows, with rows <= columns (6: 2 x 3)."""
    rows = max(r for r in range(1, int(side**0.5) + 1) if side % r == 0)
    return rows, side // rows


def _units(side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each cell the index of its row, of its column and of its box, each (side, side)."""
    rows, columns = box_shape(side)
    r, c = np.indices((side, side))
    return r, c, r // rows * rows + c // columns  # a band holds side // columns == rows boxes


def _duplicates(grid: np.ndarray) -> np.ndarray:
    """bool, same shape: the digit occurs again in its row, column or box."""
    side = len(grid)
    duplicated = np.zeros(grid.shape, bool)
    for unit in _units(side):
        count = np.zeros((side, int(grid.max(initial=0)) + 1), int)
        np.add.at(count, (unit, grid), 1)
        duplicated |= count[unit, grid] > 1
    return duplicated & (grid > 0)
