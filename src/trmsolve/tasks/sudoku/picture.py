"""A Sudoku as a picture: givens, changed cells, unsure cells and conflicts."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from trmsolve.tasks.base import UNSURE, Cell, Picture, Prediction
from trmsolve.tasks.sudoku.rules import box_shape, units
from trmsolve.tasks.sudoku.symbols import symbol


def picture(question: np.ndarray, prediction: Prediction | None, previous: Prediction | None = None) -> Picture:
    """The grid after one step; with `prediction` None the bare question.

    The role `changed` is relative to `previous`; without it, at the first step, no cell is marked. A given is marked as
    conflicting only if it conflicts with another given.
    """
    given, box = question > 0, box_shape(question)
    answer = question if prediction is None else prediction.answer
    confidence = np.ones(question.shape) if prediction is None else prediction.confidence
    conflict = np.where(given, _duplicates(np.where(given, question, 0), box), _duplicates(answer, box))
    changed = np.zeros(question.shape, bool) if prediction is None or previous is None else answer != previous.answer

    side = len(question)
    candidates = _candidates(question.astype(np.uint8).tobytes(), box)

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
        return Cell(symbol(digit), role, certainty, candidates[r][c])

    return Picture([[cell(r, c) for c in range(side)] for r in range(side)], box)


@lru_cache(maxsize=4)  # a puzzle's picture is drawn at every step
def _candidates(question: bytes, box: tuple[int, int]) -> list[list[str]]:
    """For each open cell the symbols that no given in its row, column or box excludes; "" for givens."""
    cells = np.frombuffer(question, np.uint8)
    side = box[0] * box[1]
    excluded = np.zeros((side * side, side + 1), bool)  # cell x digit
    for unit in units(box):
        excluded[unit[:, None], cells[unit]] = True

    def symbols(cell: int) -> str:
        return "" if cells[cell] else "".join(symbol(d) for d in range(1, side + 1) if not excluded[cell, d])

    return [[symbols(r * side + c) for c in range(side)] for r in range(side)]


def _duplicates(grid: np.ndarray, box: tuple[int, int]) -> np.ndarray:
    """bool, same shape: the digit occurs again in its row, column or box."""
    values = np.asarray(grid).reshape(-1)
    duplicated = np.zeros(values.shape, bool)
    for unit in units(box):
        held = values[unit]
        duplicated[unit] |= (held > 0) & (np.bincount(held)[held] > 1)
    return duplicated.reshape(grid.shape)
