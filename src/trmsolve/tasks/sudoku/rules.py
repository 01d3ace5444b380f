"""The rules of Sudoku: which sizes there are, which cells form a unit, and what an answer or a question breaks.

These rules judge and never supply: nothing here proposes a digit. A grid is an integer array (side, side), 0 = blank.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from trmsolve.errors import TrmsolveError
from trmsolve.tasks.base import Violation
from trmsolve.tasks.sudoku.symbols import digits, symbol

BOX = {4: (2, 2), 6: (2, 3), 9: (3, 3), 16: (4, 4)}  # side: (rows, columns) of a box
SIDE = {side * side: side for side in BOX}  # cells of the grid: side

TIMES = {2: "twice", 3: "three times", 4: "four times"}


def side_and_box(n_cells: int) -> tuple[int, tuple[int, int]]:
    """Side of the grid with that many cells and (rows, columns) of its boxes. Raises TrmsolveError for other sizes."""
    if n_cells not in SIDE:
        raise TrmsolveError(
            f"no Sudoku has {n_cells} cells", "known: " + ", ".join(f"{n} ({s}x{s})" for n, s in SIDE.items())
        )
    return SIDE[n_cells], BOX[SIDE[n_cells]]


@cache
def units(side: int) -> np.ndarray:
    """Cells of every unit, int64 (3 * side, side), read-only: rows, then columns, then boxes, each in reading order."""
    cells = np.arange(side * side).reshape(side, side)
    height, width = BOX[side]
    boxes = cells.reshape(side // height, height, side // width, width).swapaxes(1, 2).reshape(side, side)
    result = np.concatenate([cells, cells.T, boxes])
    result.flags.writeable = False
    return result


def conflicts(question: np.ndarray) -> list[Violation]:
    """Every digit that a unit of the grid (side, side) holds more than once; blanks are nobody's conflict."""
    side = len(question)
    inside = units(side)
    values = np.sort(np.asarray(question).reshape(-1)[inside], axis=1)
    twice = (values[:, 1:] == values[:, :-1]) & (values[:, 1:] > 0)
    if not twice.any():  # nearly always
        return []
    flat = np.asarray(question).reshape(-1)
    found = []
    for unit in np.flatnonzero(twice.any(axis=1)):
        for digit in np.unique(values[unit, 1:][twice[unit]]):
            cells = [divmod(int(cell), side) for cell in inside[unit] if flat[cell] == digit]
            found.append(Violation(_twice(int(unit), int(digit), cells, side), tuple(cells)))
    return found


def check(question: np.ndarray, answer: np.ndarray) -> list[Violation]:
    """Every rule that the answer breaks; empty exactly when it is a solution of the question.

    question: integer (side, side), 0 = blank. answer: any array; a wrong shape is a violation like any other.
    """
    answer = np.asarray(answer)
    side = len(question)
    if answer.shape != question.shape:
        return [Violation(f"the answer has shape {answer.shape}, the question {question.shape}")]
    found = []
    for row, column in np.argwhere(~np.isin(answer, np.arange(1, side + 1))).tolist():
        value = answer[row, column]
        what = "is blank" if value == 0 else f"holds {value}"
        found.append(Violation(f"row {row + 1} column {column + 1} {what}, expected {digits(side)}", ((row, column),)))
    for row, column in np.argwhere((question > 0) & (answer != question)).tolist():
        given = symbol(int(question[row, column]))
        message = f"row {row + 1} column {column + 1} no longer holds the given {given}"
        found.append(Violation(message, ((row, column),)))
    return found + conflicts(answer)


def solved(question: np.ndarray, answer: np.ndarray) -> bool:
    """Whether check() finds nothing: every unit holds every digit once and every given stands. Both (side, side)."""
    side = len(question)
    inside = np.sort(answer.reshape(-1)[units(side)], axis=1)
    return bool((inside == np.arange(1, side + 1)).all() and ((question == 0) | (question == answer)).all())


def _twice(unit: int, digit: int, cells: list[tuple[int, int]], side: int) -> str:
    kind, index = divmod(unit, side)
    if kind == 0:
        where = "columns " + _and(str(column + 1) for _, column in cells)
    elif kind == 1:
        where = "rows " + _and(str(row + 1) for row, _ in cells)
    else:
        where = _and(f"row {row + 1} column {column + 1}" for row, column in cells)
    times = TIMES.get(len(cells), f"{len(cells)} times")
    return f"{('row', 'column', 'box')[kind]} {index + 1} holds {symbol(digit)} {times}, {where}"


def _and(parts) -> str:
    *most, last = parts
    return f"{', '.join(most)} and {last}"
