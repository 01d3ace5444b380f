"""Sudoku grids as text, a framed grid or a line, which read.py can read; and as pictures of a run."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from trmsolve.tasks.base import UNSURE, Cell, Picture, Prediction
from trmsolve.tasks.sudoku.rules import box_shape, units
from trmsolve.tasks.sudoku.symbols import symbol

# Top, middle and bottom rules (left end, line, crossing, right end), and the vertical line.
LINES = ("┌─┬┐", "├─┼┤", "└─┴┘", "│")
ASCII = ("+-++", "+-++", "+-++", "|")


def format_grid(values: np.ndarray, style: str, ascii_only: bool = False) -> str:
    """A question or an answer, integer (side, side), in the style "grid" or "line"."""
    return format_line(values) if style == "line" else framed_grid(values, ascii_only)


def format_line(grid: np.ndarray) -> str:
    """A grid, integer (side, side), on one line: 1-9 A-P, `.` for a blank."""
    return "".join(map(symbol, np.asarray(grid).reshape(-1).tolist()))


def framed_grid(values: np.ndarray, ascii_only: bool = False) -> str:
    """A grid, integer (side, side), with a frame around its boxes; `.` for a blank."""
    side, (height, width) = len(values), box_shape(values)
    top, between, bottom, upright = ASCII if ascii_only else LINES
    rows = []
    for index, row in enumerate(values.tolist()):
        if index % height == 0:
            rows.append(_rule(between if index else top, side // width, width))
        marks = [symbol(value) for value in row]
        boxes = [" ".join(marks[start : start + width]) for start in range(0, side, width)]
        rows.append(f"{upright} {f' {upright} '.join(boxes)} {upright}")
    return "\n".join([*rows, _rule(bottom, side // width, width)])


def _rule(marks: str, boxes: int, width: int) -> str:
    left, along, crossing, right = tuple(marks)
    return left + crossing.join([along * (2 * width + 1)] * boxes) + right


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
