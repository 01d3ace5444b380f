"""Write mazes as a grid, a line or a CSV row; read.py can read all of them.

The output always uses `#`, space, S, G and o, the alphabet of Maze-Hard in plain ASCII, whatever the input's alphabet.
"""

from __future__ import annotations

import numpy as np

from trmsolve.errors import TrmsolveError
from trmsolve.tasks.base import Puzzle
from trmsolve.tasks.maze.cells import GOAL, PATH, START, SYMBOLS

STYLES = ("grid", "line", "csv")
CSV_HEADER = "question,answer"  # first line of a stream in the style csv

_CHARACTERS = np.frombuffer(SYMBOLS.encode("ascii"), np.uint8)


def write(puzzle: Puzzle, answer: np.ndarray, style: str, ascii_only: bool = False) -> str:
    """The answer, uint8 (height, width), as text without a trailing newline. Raises TrmsolveError for unknown styles.

    style: "grid"; "line"; "csv", which is question and answer (CSV_HEADER). ascii_only: has no effect.
    """
    if style == "csv":
        return f"{format_line(puzzle.question)},{format_line(answer)}"
    return format_grid(answer, style, ascii_only)


def format_grid(grid: np.ndarray, style: str, ascii_only: bool = False) -> str:
    """A question or an answer, uint8 (height, width), in the style "grid" or "line"; TrmsolveError for other styles."""
    if style == "grid":
        return "\n".join(_rows(grid))
    if style == "line":
        return format_line(grid)
    raise TrmsolveError(f"unknown style '{style}'", f"known: {', '.join(STYLES)}")


def format_line(grid: np.ndarray) -> str:
    """A question or an answer, uint8 (height, width), on one line; `/` between the rows unless it is square."""
    height, width = grid.shape
    return ("" if height == width else "/").join(_rows(grid))


def path_cells(answer: np.ndarray) -> list[list[int]]:
    """The path of a correct answer, uint8 (height, width), as [row, column] from S to G, both included, 0-based.

    Raises ValueError if the path is broken, forks, touches itself, or does not contain all PATH cells.
    """
    ends = [np.argwhere(answer == cell).tolist() for cell in (START, GOAL)]
    if [len(cells) for cells in ends] != [1, 1]:
        raise ValueError("an answer has one start and one goal")
    (start,), (goal,) = ends
    unvisited = {(r, c) for r, c in np.argwhere((answer == PATH) | (answer == GOAL)).tolist()}
    path = [start]
    while path[-1] != goal:
        r, c = path[-1]
        following = [cell for cell in ((r - 1, c), (r, c - 1), (r, c + 1), (r + 1, c)) if cell in unvisited]
        if len(following) != 1:
            raise ValueError(f"{len(following)} continuations of the path at row {r}, column {c}")
        unvisited.remove(following[0])
        path.append(list(following[0]))
    if unvisited:
        raise ValueError(f"{len(unvisited)} cells that the path does not reach")
    return path


def _rows(grid: np.ndarray) -> list[str]:
    return [row.tobytes().decode("ascii") for row in _CHARACTERS[grid]]
