"""Write Sudoku grids as a framed grid, a line or a CSV row; read.py can read all of them."""

from __future__ import annotations

import numpy as np

from trmsolve.errors import TrmsolveError
from trmsolve.tasks.base import Puzzle
from trmsolve.tasks.sudoku.rules import box_shape
from trmsolve.tasks.sudoku.symbols import symbol

STYLES = ("grid", "line", "csv")
CSV_HEADER = "question,answer"  # first line of a stream in the style csv

LINES = (
    "┌─┬┐",
    "├─┼┤",
    "└─┴┘",
    "│",
)  # top, middle and bottom rules (left end, line, crossing, right end), and the vertical line
ASCII = ("+-++", "+-++", "+-++", "|")


def write(puzzle: Puzzle, answer: np.ndarray, style: str, ascii_only: bool = False) -> str:
    """The answer, integer (side, side), as text without a trailing newline. Raises TrmsolveError for unknown styles.

    style: "grid"; "line"; "csv", which is question and answer (CSV_HEADER). ascii_only: draw with `+-|`.
    """
    if style == "csv":
        return f"{format_line(puzzle.question)},{format_line(answer)}"
    return format_grid(answer, style, ascii_only)


def format_grid(values: np.ndarray, style: str, ascii_only: bool = False) -> str:
    """A question or an answer, integer (side, side), in the style "grid" or "line"; TrmsolveError for other styles."""
    if style == "grid":
        return framed_grid(values, ascii_only)
    if style == "line":
        return format_line(values)
    raise TrmsolveError(f"unknown style '{style}'", f"known: {', '.join(STYLES)}")


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
