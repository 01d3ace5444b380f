"""From the characters of one maze to its grid, or to the reason why there is none. read.py finds mazes in a text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import isqrt

import numpy as np

from trmsolve.tasks.maze.cells import (
    EXPECTED,
    FLOOR,
    GOAL,
    LARGEST,
    NAMES,
    PATH,
    SMALLEST,
    START,
    VALUES,
    WALL,
    cell_name,
    cell_names,
)
from trmsolve.tasks.text import describe

BYTES_PER_CELL = 4000
ON_A_LINE = "on one line a maze has side*side characters, 9 at least, or its rows joined by /"


class MalformedMaze(Exception):
    """Characters that are no maze; `row` is the guilty row (0-based) where there is one."""

    def __init__(self, message: str, row: int = 0) -> None:
        super().__init__(message)
        self.row = row


def memory(height: int, width: int) -> int:
    """Bytes that solving a maze of this size takes at most: every cell might be floor."""
    return BYTES_PER_CELL * height * width


def size(height: int, width: int) -> str:
    """A size and what solving it takes, for messages."""
    return f"{height:,} rows of {width:,} cells ({memory(height, width) / 1e6:,.0f} MB to solve)"


LIMIT = f"a maze has at most {size(LARGEST, LARGEST)}"


def question(rows: Sequence[str]) -> tuple[np.ndarray, np.ndarray | None]:
    """The maze that the rows draw, and the answer when they draw one too: uint8 (height, width) both.

    Raises MalformedMaze.
    """
    drawn = _grid(rows)
    bare = _without_path(drawn)
    return bare, drawn if (drawn == PATH).any() else None


def answer(rows: Sequence[str], question: np.ndarray) -> np.ndarray:
    """The answer that the rows draw, uint8, same shape as its question. Raises MalformedMaze where it is another
    maze's.

    Whether its path is any good is not asked here.
    """
    drawn = _grid(rows)
    if drawn.shape != question.shape:
        raise MalformedMaze("it is {}x{}, the question {}x{}".format(*drawn.shape, *question.shape))
    moved = np.argwhere(_without_path(drawn) != question)
    if len(moved):
        r, c = moved[0].tolist()
        more = f" (and {len(moved) - 1} more cells differ)" if len(moved) > 1 else ""
        found, expected = NAMES[drawn[r, c]], NAMES[question[r, c]]
        raise MalformedMaze(f"{cell_name((r, c))} is {found}, in the question it is {expected}{more}", r)
    return drawn


def split(text: str) -> list[str]:
    """The rows of a maze on one line: joined by `/`, or a square maze without any mark between rows. Raises
    MalformedMaze.
    """
    if "/" in text:
        return text.split("/")
    side = isqrt(len(text))
    if side * side != len(text) or side < SMALLEST:
        _cells(text)  # of prose, the characters are what is wrong, not their number
        raise MalformedMaze(f"{len(text):,} characters; {ON_A_LINE} (spaces are floor, at the end too)")
    return [text[start : start + side] for start in range(0, len(text), side)]


def _grid(rows: Sequence[str]) -> np.ndarray:
    cells = [_cells(text, row) for row, text in enumerate(rows)]
    widths = Counter(map(len, rows))
    height, width = len(rows), max(widths, key=lambda width: (widths[width], width))
    if max(height, *widths) > LARGEST:
        raise MalformedMaze(f"{LIMIT}, this one at least {size(height, max(widths))}")
    if len(widths) > 1:
        _refuse_ragged(rows, width)
    if min(height, width) < SMALLEST:
        raise MalformedMaze(f"{height} {'rows' if height > 1 else 'row'} of {width} cells; the smallest maze is 3x3")
    grid = np.array(cells, np.uint8)
    if (grid == WALL).all():
        raise MalformedMaze(f"walls only; {EXPECTED}")
    _refuse_ends(grid)
    return grid


def _cells(text: str, row: int = 0) -> list[int | None]:
    cells = list(map(VALUES.get, text))
    if None in cells:
        column = cells.index(None)
        raise MalformedMaze(f"{describe(text[column])} in row {row + 1}, column {column + 1}; {EXPECTED}", row)
    return cells


def _refuse_ragged(rows: Sequence[str], width: int) -> None:
    odd = [row for row, text in enumerate(rows) if len(text) != width]
    more = f" (and {len(odd) - 1} more)" if len(odd) > 1 else ""
    hint = "; write floor as . where spaces at the end of a line get lost" if len(rows[odd[0]]) < width else ""
    cells = f"{len(rows[odd[0]])} cell{'s' * (len(rows[odd[0]]) != 1)}"
    raise MalformedMaze(f"row {odd[0] + 1}{more} has {cells}, the others have {width}{hint}", odd[0])


def _refuse_ends(grid: np.ndarray) -> None:
    """Raises MalformedMaze unless there is exactly one start and one goal."""
    wrong, rows = [], []
    for cell in (START, GOAL):
        found = [(r, c) for r, c in np.argwhere(grid == cell).tolist()]
        if len(found) > 1:
            wrong.append(f"{'two' if len(found) == 2 else len(found)} {NAMES[cell]}s, {cell_names(found)}")
            rows.append(found[1][0])
        elif not found:
            wrong.append(f"no {NAMES[cell]}")
    if wrong:
        raise MalformedMaze(f"{'; '.join(wrong)}; expected one S (or A) and one G (or E, B)", *rows[:1])


def _without_path(grid: np.ndarray) -> np.ndarray:
    return np.where(grid == PATH, np.uint8(FLOOR), grid)
