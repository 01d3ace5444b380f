"""From the characters of one maze to its grid, or to the reason why there is none. read.py finds mazes in a text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from math import isqrt
from typing import NamedTuple

import numpy as np

from trmsolve.tasks.maze.cells import (
    ARROWS,
    EXPECTED,
    FLOOR,
    GOAL,
    LARGEST,
    NAMES,
    OTHER_FLOORS,
    OTHER_GOALS,
    OTHER_PATHS,
    OTHER_STARTS,
    OTHER_WALLS,
    PATH,
    SMALLEST,
    START,
    VALUES,
    WALL,
    cell_name,
    cell_names,
)
from trmsolve.tasks.maze.rules import distances, find_cell
from trmsolve.tasks.reading.values import Malformed
from trmsolve.text_io import character_name

BYTES_PER_CELL = 4000
ON_A_LINE = "on one line a maze has side*side characters, 9 at least, or its rows joined by /"

_BYTES = bytes(VALUES.get(chr(byte), 255) if chr(byte) not in "01" else 255 for byte in range(256))

Legend = Mapping[str, int]  # which mark means which cell


class ParsedMaze(NamedTuple):
    """What some characters draw. question: uint8 (height, width); solution: likewise, or None."""

    question: np.ndarray
    solution: np.ndarray | None
    warnings: tuple[str, ...] = ()


def memory(height: int, width: int) -> int:
    """Bytes that solving a maze of this size takes at most: every cell might be floor."""
    return BYTES_PER_CELL * height * width


def size_text(height: int, width: int) -> str:
    """A size and what solving it takes, for messages."""
    return f"{height:,} rows of {width:,} cells ({memory(height, width) / 1e6:,.0f} MB to solve)"


LIMIT = f"a maze has at most {size_text(LARGEST, LARGEST)}"


def maze(rows: Sequence[Sequence[str]], legend: Legend | None = None) -> ParsedMaze:
    """The maze that the rows draw, a mark for each cell, and the answer if they draw one. Raises Malformed."""
    refuse_sizes(rows, legend)
    warnings: list[str] = []
    grid = grid_of(rows, legend, warnings)
    if (grid == WALL).all():
        raise Malformed(f"walls only; {EXPECTED}")
    if not ((grid == START) | (grid == GOAL)).any():
        _take_openings(grid, warnings)
    _refuse_ends(grid)
    grid = _of_one_floor(grid, rows)
    question = _without_path(grid)
    if np.array_equal(question, grid):
        return ParsedMaze(question, None, tuple(warnings))
    if not any("o" in row for row in rows) and not _joins_ends(grid):
        warnings.append("a way is drawn that does not reach the goal: it is left out")
        return ParsedMaze(question, None, tuple(warnings))
    warnings.append("a way is drawn: it is kept as the solution, apart from the question")
    return ParsedMaze(question, grid, tuple(warnings))


def answer(rows: Sequence[Sequence[str]], question: np.ndarray) -> np.ndarray:
    """The answer that the rows draw, uint8, same shape as its question. Raises Malformed where it is another
    maze's.

    Whether its path is any good is not asked here.
    """
    refuse_sizes(rows, None)
    grid = grid_of(rows, None, [])
    _refuse_ends(grid)
    return fitting(grid, question)


def fitting(answer_grid: np.ndarray, question: np.ndarray) -> np.ndarray:
    """A drawn answer, uint8 (height, width), if it is one of the question. Raises Malformed where it is not."""
    if answer_grid.shape != question.shape:
        raise Malformed("it is {}x{}, the question {}x{}".format(*answer_grid.shape, *question.shape))
    moved = np.argwhere(_without_path(answer_grid) != question)
    if len(moved):
        r, c = moved[0].tolist()
        more = f" (and {len(moved) - 1} more cells differ)" if len(moved) > 1 else ""
        name, expected = NAMES[answer_grid[r, c]], NAMES[question[r, c]]
        raise Malformed(f"{cell_name((r, c))} is {name}, in the question it is {expected}{more}", r)
    return answer_grid


def rows_of_line(text: str) -> list[str]:
    """The rows of a maze on one line: joined by `/`, or a square maze without any mark between rows. Raises
    Malformed.
    """
    if "/" in text:
        return text.split("/")
    side = isqrt(len(text))
    if side * side != len(text) or side < SMALLEST:
        grid_of([text], None, [])  # of prose, the characters are what is wrong, not their number
        raise Malformed(f"{len(text):,} characters; {ON_A_LINE} (spaces are floor, at the end too)")
    return [text[start : start + side] for start in range(0, len(text), side)]


def refuse_sizes(rows: Sequence[Sequence[str]], legend: Legend | None) -> None:
    """Raise Malformed for rows of different lengths, or a maze that is too large or too small."""
    widths = Counter(map(len, rows))
    height, width = len(rows), max(widths, key=lambda width: (widths[width], width))
    if max(height, *widths) > LARGEST:
        raise Malformed(f"{LIMIT}, this one at least {size_text(height, max(widths))}")
    if len(widths) > 1:
        for row, text in enumerate(rows):  # a foreign mark explains more than a length
            grid_of([text], legend or roles(rows), [], row)
        _refuse_ragged(rows, width)
    if min(height, width) < SMALLEST:
        grid_of(rows, legend, [])
        raise Malformed(f"{height} {'rows' if height > 1 else 'row'} of {width} cells; the smallest maze is 3x3")


def roles(rows: Sequence[Sequence[str]]) -> dict[str, int]:
    """What each mark of a maze means, as far as it is known: marks of FORMS first, others where a role is free."""
    marks = {mark for row in rows for mark in row}
    counts = Counter(mark for row in rows for mark in row)
    cell_of_mark = {mark: VALUES[mark] for mark in marks if mark in VALUES}
    if {"S", "F", "G"} <= marks <= set("SFHG"):  # FrozenLake: frozen, hole
        return {"S": START, "G": GOAL, "F": FLOOR, "H": WALL}
    free = marks - cell_of_mark.keys()
    if "" in free:
        cell_of_mark[""] = FLOOR
    if not free:
        return cell_of_mark
    taken = set(cell_of_mark.values())
    for cell, others in ((WALL, OTHER_WALLS), (START, OTHER_STARTS), (GOAL, OTHER_GOALS), (FLOOR, OTHER_FLOORS)):
        single = cell in (START, GOAL)
        if cell in taken and not (cell == FLOOR and free & set("_")):
            continue
        for some in others:
            here = [mark for mark in some if mark in free and (not single or counts[mark] == 1)]
            if here:
                cell_of_mark |= dict.fromkeys(here, cell)
                free -= set(here)
                break
    if {START, GOAL}.isdisjoint(cell_of_mark.values()):
        for mark in free & set(ARROWS):
            if counts[mark] == 2:
                cell_of_mark[mark] = START  # the second is the goal, see _grid
    if len(free & set("".join(OTHER_PATHS))) == 1:
        (mark,) = free & set("".join(OTHER_PATHS))
        grid = [[PATH if one == mark else cell_of_mark.get(one, WALL) for one in row] for row in rows]
        if len({len(row) for row in grid}) == 1 and _is_one_way(np.array(grid, np.uint8)):
            cell_of_mark[mark] = PATH
    return cell_of_mark


def grid_of(
    rows: Sequence[Sequence[str]], legend: Legend | None, warnings: list[str], first_row: int = 0
) -> np.ndarray:
    """The cells, uint8 (height, width), of rows of the same length. Raises Malformed for a mark without meaning."""
    if legend is None and (plain := _of_common_marks(rows)) is not None:
        return plain
    cell_of_mark = legend or roles(rows)
    for index, row in enumerate(rows):
        for column, mark in enumerate(row):
            if mark not in cell_of_mark:
                place = f"row {first_row + index + 1}, column {column + 1}"
                name = character_name(mark) if len(mark) == 1 else f"'{mark[:20]}'"
                raise Malformed(f"{name} in {place}; {EXPECTED}", first_row + index)
    grid = np.array([[cell_of_mark[mark] for mark in row] for row in rows], np.uint8)
    for arrow in set(ARROWS) & cell_of_mark.keys():
        places = np.argwhere(grid == START).tolist()
        if len(places) < 2:
            continue  # a row alone
        last = places[-1]
        grid[tuple(last)] = GOAL
        warnings.append(f"{arrow} is the start at {cell_name(find_cell(grid, START))}, the goal at {cell_name(last)}")
    for wall, floor in ("10", "⬛⬜", "■□") if legend is None else ():
        if {wall, floor} <= cell_of_mark.keys() and not any("#" in row or "█" in row for row in rows):
            grid = _numbered(grid, rows, wall, floor, warnings)
    return grid


def _of_common_marks(rows: Sequence[Sequence[str]]) -> np.ndarray | None:
    """The cells of rows of one length whose marks, all of FORMS, need no comparison; None for others."""
    text = "".join(row for row in rows if isinstance(row, str))
    if len(text) != sum(map(len, rows)):  # some rows are lists of cell texts
        return None
    cells = np.frombuffer(text.encode("ascii", "replace").translate(_BYTES), np.uint8)
    return cells.reshape(len(rows), -1).copy() if len(cells) and cells.max() < 255 else None


def _numbered(
    grid: np.ndarray, rows: Sequence[Sequence[str]], wall: str, floor: str, warnings: list[str]
) -> np.ndarray:
    """A maze of 1 for wall and 0 for floor, say, where a closed border of 0 may say that 0 is the wall."""
    marks = np.array([list(row) for row in rows], object)
    border = np.concatenate([marks[0], marks[-1], marks[:, 0], marks[:, -1]])
    if not (border == floor).all() or (np.isin(marks, [wall, floor]).sum() == marks.size):
        return grid
    swapped = np.where(marks == floor, np.uint8(WALL), np.where(marks == wall, np.uint8(FLOOR), grid))
    reached = [is_connected(one) for one in (grid, swapped)]
    if all(reached):
        raise Malformed(f"{floor} may be floor or, as all of the border, wall; write # for wall and . for floor")
    if reached[1]:
        warnings.append(f"{floor} is wall and {wall} floor, as the border of {floor} shows")
        return swapped
    return grid


def is_connected(grid: np.ndarray) -> bool:
    if [(grid == cell).sum() for cell in (START, GOAL)] != [1, 1]:
        return False
    return bool(distances(grid != WALL, find_cell(grid, START))[find_cell(grid, GOAL)] >= 0)


def _take_openings(grid: np.ndarray, warnings: list[str]) -> None:
    """Make the two openings of a closed border start and goal, where a maze has neither."""
    border = np.zeros(grid.shape, bool)
    border[[0, -1]] = border[:, [0, -1]] = True
    openings = [(r, c) for r, c in np.argwhere(border & (grid == FLOOR)).tolist()]
    if len(openings) == 2:
        grid[openings[0]], grid[openings[1]] = START, GOAL
        warnings.append(f"no start and no goal: the openings {cell_names(openings)} are taken")


def _of_one_floor(grid: np.ndarray, rows: Sequence[Sequence[str]]) -> np.ndarray:
    """The cells, where both spaces and dots are floor that can be reached: dots may draw the way.

    Raises Malformed where they draw none, as in games, whose dots are something else.
    """
    if not any("." in row for row in rows) or not any(" " in row or "" in tuple(row) for row in rows):
        return grid
    marks = np.array([list(row) for row in rows], object)
    reached = distances(grid != WALL, find_cell(grid, START)) >= 0
    dots, spaces = ((grid == FLOOR) & np.isin(marks, some) for some in ((".",), (" ", "")))
    if not (reached & dots).any() or not (reached & spaces).any():
        return grid
    with_path = np.where(dots, np.uint8(PATH), grid)
    if dots.sum() < 2 or not (_is_one_way(with_path) and _joins_ends(with_path)):
        raise Malformed("both spaces and . are between start and goal; expected one mark for floor")
    return with_path


def _is_one_way(grid: np.ndarray) -> bool:
    """Whether the path cells are connected and lie beside the start or the goal."""
    ends = np.argwhere((grid == START) | (grid == GOAL))
    cells = np.argwhere(grid == PATH)
    beside = [(r, c) for r, c in cells.tolist() if (np.abs(ends - (r, c)).sum(axis=1) == 1).any()]
    return bool(beside) and bool((distances(grid == PATH, beside[0])[grid == PATH] >= 0).all())


def _joins_ends(grid: np.ndarray) -> bool:
    open_cells = (grid == PATH) | (grid == START) | (grid == GOAL)
    return bool(distances(open_cells, find_cell(grid, START))[find_cell(grid, GOAL)] >= 0)


def _refuse_ragged(rows: Sequence[Sequence[str]], width: int) -> None:
    odd = [row for row, text in enumerate(rows) if len(text) != width]
    more = f" (and {len(odd) - 1} more)" if len(odd) > 1 else ""
    hint = "; write floor as . where spaces at the end of a line get lost" if len(rows[odd[0]]) < width else ""
    cells = f"{len(rows[odd[0]])} cell{'s' * (len(rows[odd[0]]) != 1)}"
    raise Malformed(f"row {odd[0] + 1}{more} has {cells}, the others have {width}{hint}", odd[0])


def _refuse_ends(grid: np.ndarray) -> None:
    """Raises Malformed unless there is exactly one start and one goal."""
    if np.count_nonzero(grid == START) == np.count_nonzero(grid == GOAL) == 1:
        return
    wrong, rows = [], []
    for cell in (START, GOAL):
        cells = [(r, c) for r, c in np.argwhere(grid == cell).tolist()]
        if len(cells) > 1:
            wrong.append(f"{'two' if len(cells) == 2 else len(cells)} {NAMES[cell]}s, {cell_names(cells)}")
            rows.append(cells[1][0])
        elif not cells:
            wrong.append(f"no {NAMES[cell]}")
    if wrong:
        hint = (
            "" if rows else ', drawn, or beside the cells in JSON as "start": [row, column] and "goal": [row, column]'
        )
        raise Malformed(f"{'; '.join(wrong)}; expected one S (or A) and one G (or E, B){hint}", *rows[:1])


def _without_path(grid: np.ndarray) -> np.ndarray:
    return np.where(grid == PATH, np.uint8(FLOOR), grid)
