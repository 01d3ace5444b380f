"""Mazes whose start and goal stand beside the cells: {"maze": [[1, 0], ...], "start": [1, 1], "goal": [3, 5]}."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from trmsolve.tasks.maze import parse
from trmsolve.tasks.maze.cells import FLOOR, GOAL, LARGEST, SMALLEST, START, WALL
from trmsolve.tasks.maze.parse import ParsedMaze
from trmsolve.tasks.reading.collectors import cell_text
from trmsolve.tasks.reading.layout import Matrix
from trmsolve.tasks.reading.places import place
from trmsolve.tasks.reading.values import Malformed

NAMES = {
    START: ("start", "entrance", "entry", "source", "src", "begin", "from", "agent", "player"),
    GOAL: ("goal", "end", "exit", "target", "destination", "dst", "finish", "to"),
}
USUAL = ("row, column, counted from 0", "x, y, counted from 0")
IN_TEXT = re.compile(  # start = (1, 1)
    r"(?i)\b("
    + "|".join(name for names in NAMES.values() for name in names)
    + r")(?:[ _]?(?:pos|position|cell|point))?"
    r"\s*(?:=|:|at|is)\s*[(\[{]?\s*(\d+)\s*,\s*(\d+)\b"
)


class End(NamedTuple):
    """The place of a start or a goal. is_pair: two numbers, which may be row and column or x and y."""

    cell: tuple[int, int]
    is_pair: bool = True


def of_text(text: str) -> dict[int, End]:
    """The start and the goal that a line of text names."""
    ends: dict[int, End] = {}
    for match in IN_TEXT.finditer(text):
        (kind,) = [kind for kind, names in NAMES.items() if match[1].lower() in names]
        ends[kind] = End((int(match[2]), int(match[3])))
    return ends


def of_object(value: Mapping[Any, Any]) -> ParsedMaze | None:
    """The maze of an object that names start and goal beside its cells; None for others. Raises Malformed."""
    keys = {str(key).lower(): part for key, part in value.items()}
    size = [keys.get(name) for name in ("height", "width")]
    inner = [part for value in keys.values() if isinstance(value, dict) for part in value.values()]
    matrices = [cells for part in [*keys.values(), *inner] if (cells := matrix(part, size)) is not None]
    ends = {kind: end for kind in NAMES if (end := _end(keys, kind)) is not None}
    if not matrices and ends.keys() == NAMES.keys() and (walls := _walls(keys, size)):
        return walls
    if len(matrices) != 1 or (ends.keys() != NAMES.keys() and None in size):
        return None
    if ends.keys() != NAMES.keys():
        return parse.maze(matrices[0])
    return with_ends(matrices[0], ends)


def _walls(keys: Mapping[str, Any], sides: list[Any]) -> ParsedMaze | None:
    """The maze of an object that lists the places of its walls; None for others. Raises Malformed."""
    cells = next((keys[name] for name in ("walls", "obstacles", "blocked", "barriers") if keys.get(name)), None)
    sides = [side or keys.get(name) for side, name in zip(sides, ("rows", "cols"), strict=True)]
    ends = [_end(keys, kind) for kind in (START, GOAL)]
    if not isinstance(cells, list) or not all(isinstance(side, str) and side.isdecimal() for side in sides):
        return None
    height, width = map(int, sides)
    walls = [at for cell in cells if (at := place(cell)) and len(cell) == 2]  # others are walls between two cells
    both = [end.cell for end in ends if end]
    if len(walls) < len(cells) or len(both) < 2 or min(height, width) < SMALLEST or max(height, width) > LARGEST:
        return None
    mazes = {}
    for order, step in (("row, column", 1), ("x, y", -1))[: 2 - isinstance(cells[0], dict)]:
        index = np.array([*both, *walls])[:, ::step]
        if (index < (height, width)).all() and len(np.unique(index, axis=0)) == len(set(walls)) + 2:
            grid = np.full((height, width), FLOOR, np.uint8)
            grid[index[:, 0], index[:, 1]] = [START, GOAL, *[WALL] * len(walls)]
            mazes[grid.tobytes()] = ParsedMaze(grid, None, (f"places are taken as {order}, counted from 0",))
    if len(mazes) > 1:
        raise Malformed('the places may be row, column or x, y; expected {"x": 1, "y": 2} for each')
    return next(iter(mazes.values()), None)


def matrix(value: Any, size: list[Any]) -> Matrix | None:
    """The marks of rows of scalars, of rows as texts, of a text of several rows or of height * width cells; None for
    others."""
    rows = re.split(r"[\n/]", value.strip("\n")) if isinstance(value, str) else value
    if not isinstance(rows, list) or not rows:
        return None
    if all(isinstance(side, str) and side.isdecimal() for side in size) and not isinstance(rows[0], list):
        height, width = map(int, size)
        cells = list(rows[0]) if len(rows) == 1 else [cell_text(cell) for cell in rows]
        if len(cells) == height * width and height > 1 < width:
            return [cells[at : at + width] for at in range(0, height * width, width)]
    if len(rows) < SMALLEST:
        return None
    if all(isinstance(row, str) and len(row) >= SMALLEST for row in rows):
        return [list(row) for row in rows]
    if all(
        isinstance(row, list) and len(row) >= SMALLEST and not any(isinstance(cell, list | dict) for cell in row)
        for row in rows
    ):
        return [[cell_text(cell) or " " for cell in row] for row in rows]
    return None


def with_ends(cells: Matrix, ends: Mapping[int, End]) -> ParsedMaze:
    """The maze of cells and ends. Raises Malformed unless one meaning of the numbers makes both ends floor.

    Two numbers are a row and a column, or x and y. They count from 0, and 0 is floor and 1 wall; from 1 or reversed
    where nothing else fits. Of several meanings, one that alone connects the ends is taken.
    """
    parse.refuse_sizes(cells, None)
    marks = {mark for row in cells for mark in row}
    grid = parse.grid_of(cells, None, [])
    where = f"start at {list(ends[START].cell)}, goal at {list(ends[GOAL].cell)}"
    readings = dict(_readings(grid, ends, marks <= {"0", "1"}))
    if (grid == START).any() or (grid == GOAL).any():
        whole = parse.maze(cells)
        if not any(np.array_equal(whole.question, one) for one in readings.values()):
            raise Malformed(f"{where}, but drawn elsewhere; expected both at the same places")
        return whole
    usual = {name: maze for name, maze in readings.items() if name in USUAL}
    fitting = usual or readings
    fitting = {name: maze for name, maze in fitting.items() if parse.is_connected(maze)} or fitting
    if len({maze.tobytes() for maze in fitting.values()}) > 1:
        both = " or ".join(list(fitting)[:2])
        raise Malformed(f'{where}: they may be {both}; expected {{"row": 1, "col": 2}} or {{"x": 2, "y": 1}} for each')
    for name, maze in fitting.items():
        return ParsedMaze(maze, None, (f"start and goal are taken as {name}",))
    raise Malformed(f"{where}: not both are cells of floor; expected [row, column], counted from 0")


def _readings(original: np.ndarray, ends: Mapping[int, End], is_binary: bool) -> Iterator[tuple[str, np.ndarray]]:
    """Every maze that the numbers may mean, by what they are taken for."""
    is_pair = ends[START].is_pair and ends[GOAL].is_pair
    swapped = np.where(original == WALL, np.uint8(FLOOR), np.uint8(WALL))
    for base in (0, 1):
        for order, step in (("row, column", 1), ("x, y", -1))[: 1 + is_pair]:
            cells = {kind: tuple(index - base for index in end.cell[::step]) for kind, end in ends.items()}
            for meaning, grid in (("", original), (", 1 as floor", swapped))[: 1 + (is_binary and not base)]:
                fits = all(0 <= r < grid.shape[0] and 0 <= c < grid.shape[1] for r, c in cells.values())
                if not fits or cells[START] == cells[GOAL]:
                    continue
                if all(grid[cells[kind]] in (FLOOR, kind) for kind in NAMES):
                    maze = grid.copy()
                    maze[cells[START]], maze[cells[GOAL]] = START, GOAL
                    yield f"{order}{meaning}, counted from {base}", maze


def _end(keys: Mapping[str, Any], kind: int) -> End | None:
    for name in NAMES[kind]:
        if (cell := place(keys.get(name))) is not None:
            return End(cell, not isinstance(keys[name], dict))
        parts = {axis: keys[key] for axis in ("row", "col", "x", "y") if (key := f"{name}_{axis}") in keys}
        if (cell := place(parts)) is not None:
            return End(cell, False)
    return None
