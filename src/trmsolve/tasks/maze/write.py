"""Mazes as text, a grid or a line, which read.py can read; and as pictures of a run.

Whatever the input's alphabet was, what is written is `#`, space, S, G and o: the alphabet of Maze-Hard, plain ASCII on
any terminal, and the same for everyone who reads on. A program that understands one answer understands all. Only where
spaces at the same places of all rows could be taken for indentation or separators, floor is written as `.`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trmsolve.tasks.base import UNSURE, Cell, Picture, Prediction
from trmsolve.tasks.maze.cells import FLOOR, GOAL, PATH, START, SYMBOLS, WALL

UNSURE_PATH, NEW_PATH, FORMER_PATH = range(PATH + 1, PATH + 4)

# All cells of one kind share a Cell object: a picture of 10,000 cells is created at every step and kept in memory.
CELLS = {
    WALL: Cell(SYMBOLS[WALL], "wall"),
    FLOOR: Cell(SYMBOLS[FLOOR], "floor"),
    START: Cell(SYMBOLS[START], "start"),
    GOAL: Cell(SYMBOLS[GOAL], "goal"),
    PATH: Cell(SYMBOLS[PATH], "path"),
    UNSURE_PATH: Cell(SYMBOLS[PATH], "unsure"),
    NEW_PATH: Cell(SYMBOLS[PATH], "changed"),
    FORMER_PATH: Cell(SYMBOLS[FLOOR], "former"),
}

_CHARACTERS = np.frombuffer(SYMBOLS.encode("ascii"), np.uint8)


def format_grid(grid: np.ndarray, style: str, ascii_only: bool = False) -> str:
    """A question or an answer, uint8 (height, width), in the style "grid" or "line". ascii_only: has no effect."""
    if style == "line":
        return format_line(grid)
    rows = _rows(grid)
    return "\n".join(row.replace(" ", ".") for row in rows) if is_ambiguous(rows) else "\n".join(rows)


def format_line(grid: np.ndarray) -> str:
    """A question or an answer, uint8 (height, width), on one line, `/` between the rows."""
    return "/".join(_rows(grid))


def is_ambiguous(rows: Sequence[str]) -> bool:
    """Whether spaces of a written maze could be indentation or separators, so that it would be another one."""
    gaps = {tuple(at for at, mark in enumerate(row.rstrip()) if mark == " ") for row in rows}
    same_gaps = len(gaps) == 1 and gaps != {()}
    margin = all(row[0] == " " for row in rows) or all(row[-1] == " " for row in rows)
    return margin or same_gaps or is_spread(rows, 2) or is_spread(rows, 3)


def is_spread(rows: Sequence[str], step: int) -> bool:
    """Whether all marks stand in every `step`-th column, as where spaces separate cells of which some are spaces."""
    places = {at % step for row in rows for at, mark in enumerate(row) if mark != " "}
    return len(places) == 1 and max(map(len, rows)) > 2 * step


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


def picture(question: np.ndarray, prediction: Prediction | None, previous: Prediction | None = None) -> Picture:
    """The maze after one step; with `prediction` None the bare question.

    question: uint8 (height, width) of WALL, FLOOR, START, GOAL. Walls, start and goal are drawn as in the question, the
    path of the prediction over floor only. The roles `changed` (added to the path) and `former` (removed from it) are
    relative to `previous`; without it, at the first step, no cell is marked.
    """
    kinds = question.astype(np.intp)
    if prediction is not None:
        path = (prediction.answer == PATH) & (question == FLOOR)
        kinds[path] = PATH
        kinds[path & (prediction.confidence < UNSURE)] = UNSURE_PATH
        if previous is not None:
            before = (previous.answer == PATH) & (question == FLOOR)
            kinds[path & ~before] = NEW_PATH
            kinds[before & ~path] = FORMER_PATH
    return Picture([[CELLS[kind] for kind in row] for row in kinds.tolist()], solid=True)
