"""Sudoku grids as text, a framed grid or a line, which read.py can read."""

from __future__ import annotations

import numpy as np

from trmsolve.tasks.sudoku.rules import box_shape
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
