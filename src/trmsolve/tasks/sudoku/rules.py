"""The rules of Sudoku: sizes, units, and the violations of a question or an answer.

The rules check answers and are never used to find them. A grid is an integer array (side, side), 0 = blank. Boxes that
are not square have more columns than rows, unless the grid is a TallGrid.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import numpy as np

from trmsolve.tasks.base import Violation
from trmsolve.tasks.sudoku.symbols import digits, symbol

BOX = {4: (2, 2), 6: (2, 3), 8: (2, 4), 9: (3, 3), 12: (3, 4), 16: (4, 4), 25: (5, 5)}  # side: (rows, columns) of a box
SIDE = {side * side: side for side in BOX}  # cells of the grid: side

_BITS = np.append(0, 1 << np.arange(max(BOX)))  # int64: one bit for each digit, none for a blank
TIMES = {2: "twice", 3: "three times", 4: "four times"}


class TallGrid(np.ndarray):
    """A grid whose boxes have more rows than columns: 6x6 with boxes of 3x2, 8x8 of 4x2, 12x12 of 4x3."""


def box_shape(grid: np.ndarray) -> tuple[int, int]:
    """Rows and columns of a box. grid: (side, side)."""
    height, width = BOX[len(grid)]
    return (width, height) if isinstance(grid, TallGrid) else (height, width)


@cache
def units(box: tuple[int, int]) -> np.ndarray:
    """Cells of every unit, int64 (3 * side, side), read-only: rows, then columns, then boxes, each in reading order."""
    height, width = box
    side = height * width
    cells = np.arange(side * side).reshape(side, side)
    boxes = cells.reshape(side // height, height, side // width, width).swapaxes(1, 2).reshape(side, side)
    result = np.concatenate([cells, cells.T, boxes])
    result.flags.writeable = False
    return result


def conflicts(question: np.ndarray) -> list[Violation]:
    """Every digit that a unit of the grid (side, side) holds more than once; blanks never conflict."""
    side = len(question)
    cells = units(box_shape(question))  # (3 side, side)
    flat = np.asarray(question).reshape(-1)
    bits = _BITS.take(flat, mode="clip")[cells]  # a sum of different powers of two is their union
    if (bits.sum(1) == np.bitwise_or.reduce(bits, 1)).all():  # nearly always
        return []
    values = np.sort(flat[cells], axis=1)  # (3 side, side)
    duplicate = (values[:, 1:] == values[:, :-1]) & (values[:, 1:] > 0)  # (3 side, side - 1)
    violations = []
    for unit in np.flatnonzero(duplicate.any(axis=1)):
        for digit in np.unique(values[unit, 1:][duplicate[unit]]):
            positions = [divmod(int(cell), side) for cell in cells[unit] if flat[cell] == digit]
            violations.append(Violation(_duplicate_message(int(unit), int(digit), positions, side), tuple(positions)))
    return violations


def check(question: np.ndarray, answer: np.ndarray) -> list[Violation]:
    """Every rule that the answer breaks; empty if and only if it is a solution of the question.

    question: integer (side, side), 0 = blank. answer: any array; a wrong shape is a violation like any other.
    """
    answer = np.asarray(answer)
    side = len(question)
    if answer.shape != question.shape:
        return [Violation(f"the answer has shape {answer.shape}, the question {question.shape}")]
    violations = []
    for row, column in np.argwhere(~np.isin(answer, np.arange(1, side + 1))).tolist():
        value = answer[row, column]
        content = "is blank" if value == 0 else f"holds {value}"
        violations.append(
            Violation(f"row {row + 1} column {column + 1} {content}, expected {digits(side)}", ((row, column),))
        )
    for row, column in np.argwhere((question > 0) & (answer != question)).tolist():
        given = symbol(int(question[row, column]))
        message = f"row {row + 1} column {column + 1} no longer holds the given {given}"
        violations.append(Violation(message, ((row, column),)))
    return violations + conflicts(answer.view(type(question)))


def is_solution(question: np.ndarray, answer: np.ndarray) -> bool:
    """Whether check() is empty: every unit contains every digit, and givens are unchanged. Both (side, side)."""
    side = len(question)
    sorted_units = np.sort(answer.reshape(-1)[units(box_shape(question))], axis=1)
    return bool((sorted_units == np.arange(1, side + 1)).all() and ((question == 0) | (question == answer)).all())


def _duplicate_message(unit: int, digit: int, cells: list[tuple[int, int]], side: int) -> str:
    kind, index = divmod(unit, side)
    if kind == 0:
        where = "columns " + _join(str(column + 1) for _, column in cells)
    elif kind == 1:
        where = "rows " + _join(str(row + 1) for row, _ in cells)
    else:
        where = _join(f"row {row + 1} column {column + 1}" for row, column in cells)
    times = TIMES.get(len(cells), f"{len(cells)} times")
    return f"{('row', 'column', 'box')[kind]} {index + 1} holds {symbol(digit)} {times}, {where}"


def _join(parts: Iterable[str]) -> str:
    *most, last = parts
    return f"{', '.join(most)} and {last}"
