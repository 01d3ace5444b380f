"""From the cells of one Sudoku to its grid, or to the reason why there is none."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from trmsolve.tasks.base import Puzzle
from trmsolve.tasks.reading.collectors import cell_text
from trmsolve.tasks.reading.places import Cell, extent
from trmsolve.tasks.reading.values import Malformed
from trmsolve.tasks.sudoku.grid_builder import Reading, Row
from trmsolve.tasks.sudoku.rules import BOX, SIDE, TallGrid, box_shape, conflicts
from trmsolve.tasks.sudoku.symbols import BLANKS, cell_value, cell_values, digits, expected, symbol, value

_MARKED = re.compile(r"""[\[({]\s?[1-9A-P]\s?[\])}]|(?<![\w"'])[1-9A-P][*'](?=[\s|,]|$)""")  # [5]   (5)   5*   5'
GIVEN = re.compile(r"(?i)(is_?)?(given|fixed|clue|locked|preset)s?(_?mask)?")
VARIANT = re.compile(
    r"killer|cage|jigsaw|irregular|region|diagonal|windoku|hyper|thermo|arrow|kropki|sandwich|whisper|renban"
    r"|consecutive|palindrome|samurai|anti[ _-]?k(night|ing)|x[ _-]sudoku|sudoku[ _-]x",
    re.IGNORECASE,
)
VARIANT_TITLE = re.compile(rf"({VARIANT.pattern})\w*[ -]*sudoku|sudoku[ -]x\b", re.IGNORECASE)
LENGTHS = "a puzzle line has 81 (or 16, 36, 64, 144, 256, 625)"
SIZES = "4, 6, 8, 9, 12, 16 or 25"


def to_grid(cells: Sequence[str], side: int, box_height: int = 0) -> np.ndarray:
    """The cells (side * side, known to cell_value()) as uint8 (side, side). Refuses large digits and duplicates.

    Boxes that are not square have the height that a frame draws. Without one (0) they are wide, unless the digits of
    the grid repeat in a wide box and do not in a tall one: then the grid is a TallGrid.
    """
    digits_of_cells = cell_values(cells, side)
    if digits_of_cells is None:
        for index, cell in enumerate(cells):
            digit = cell_value(cell) or 0
            if digit > side:
                row = index // side
                message = f"row {row + 1} holds {symbol(digit)}, a {side}x{side} grid knows {digits(side)}"
                raise Malformed(message, row)
        marks = sorted({cell for cell in cells if cell and cell_value(cell) == 0})
        raise Malformed(f"blanks are written as {' and '.join(marks)}; expected one mark for all")
    grid = digits_of_cells.reshape(side, side).copy()
    if "0" in cells and (set(cells) - {"0"}) & BLANKS and side not in digits_of_cells:
        from_zero = np.where(np.array(list(cells), dtype=object).reshape(side, side) == "0", np.uint8(side), grid)
        if not conflicts(from_zero):
            if side != 16:
                raise Malformed(
                    f"0 may be a digit of 0-{symbol(side - 1)} or a blank; expected one mark for all blanks"
                )
            grid = from_zero  # 0-F: symbols.py says why
    rows, columns = BOX[side]
    if rows != columns and (box_height == columns or (box_height != rows and _is_tall(grid))):
        grid = grid.view(TallGrid)
    if broken := conflicts(grid):
        more = f" (and {len(broken) - 1} more)" if len(broken) > 1 else ""
        raise Malformed(broken[0].message + more)
    return grid


def _is_tall(grid: np.ndarray) -> bool:
    """Whether the digits of a grid break the rules where its boxes are wide, but not where they are tall."""
    rows, columns = BOX[len(grid)]
    return rows != columns and bool(conflicts(np.asarray(grid))) and not conflicts(grid.view(TallGrid))


def answered(puzzle: Puzzle, answer: np.ndarray | None) -> Puzzle:
    """The puzzle with its solution, which may tell the shape of its boxes."""
    if answer is None:
        return puzzle
    question = puzzle.question.view(TallGrid) if _is_tall(answer) else puzzle.question
    return replace(puzzle, question=question, solution=np.asarray(answer))


def from_candidates(cells: Sequence[str]) -> Puzzle:
    """The givens of a 9x9 grid of candidates: its cells with one digit. Raises Malformed where they are not enough.

    What the other cells say is left out. That is safe where the givens alone have one solution and no cell excludes it.
    """
    from trmsolve.tasks.sudoku.backtracking import solutions

    givens = np.array([int(cell) if len(cell) == 1 else 0 for cell in cells], np.uint8).reshape(9, 9)
    if broken := conflicts(givens):
        raise Malformed(broken[0].message)
    if (givens > 0).sum() < 17:
        raise Malformed("the candidates are the puzzle (a sukaku): only givens can be read, 17 at least")
    answers, _ = solutions(givens)
    if len(answers) != 1 or any(
        str(digit) not in cell for digit, cell in zip(answers[0].reshape(-1).tolist(), cells, strict=True)
    ):
        raise Malformed("the candidates exclude what the givens allow (a sukaku): only givens can be read")
    return Puzzle(givens, layout="candidates", warnings=("cells with one candidate are givens, others are left out",))


def from_places(cells: Sequence[Cell], note: str, size: Any) -> Puzzle:
    """The puzzle of cells that name their places; note: how the places were taken.

    Raises Malformed where they leave the side or the counting open.
    """
    side_and_base = extent(cells, int(size) if isinstance(size, str) and size.isdecimal() else 0)
    if side_and_base is None or side_and_base[0] not in BOX:
        raise Malformed(
            f"{len(cells)} cells with places, of an unknown size or counted from 0 or 1; expected "
            '"size": 9 beside them, or 17 of them and a row or column 0 or 9'
        )
    side, base = side_and_base
    grid = [""] * side**2
    for row, column, content in cells:
        text = "" if content is None else str(content)
        if cell_value(text) is None:
            raise Malformed(f"row {row}, column {column} holds '{text[:20]}'; {expected(side)}")
        place = (row - base) * side + column - base
        if cell_value(text):
            if grid[place] not in ("", text):
                raise Malformed(f"row {row}, column {column} is given twice, as {grid[place]} and {text}")
            grid[place] = text
    if not any(grid):
        raise Malformed(f"{len(cells)} cells with places, all of them blank; expected givens")
    return Puzzle(to_grid(grid, side), layout=f"cells with places, counted from {base}", warnings=(note,) * bool(note))


def refuse_variants(value: dict[Any, Any]) -> None:
    """Raises Malformed for an object that names constraints beyond those of rows, columns and boxes."""
    for key, part in value.items():
        is_kind = str(key).lower() in ("type", "variant", "variants", "kind", "rules", "constraints")
        variant = VARIANT.search(str(part) if is_kind else str(key))
        if variant and (is_kind or part is True or (isinstance(part, list | dict) and part) or len(str(part)) > 15):
            raise Malformed(f"'{variant[0]}' is not of a standard Sudoku, which has rows, columns and boxes only")


def masked(value: dict[Any, Any]) -> Puzzle | None:
    """The puzzle of a complete grid and a matrix that says which cells are givens; None for others.

    Raises Malformed where it may as well say which are blanks.
    """
    cells = {str(key): flat for key, part in value.items() if len(flat := _flat(part)) in SIDE}
    complete = [flat for flat in cells.values() if complete_grid("".join(flat), SIDE[len(flat)]) is not None]
    masks = [key for key, flat in cells.items() if set(flat) == {"0", "1"}]
    if len(masks) != 1 or len(complete) != 1 or len(cells) > 2 or len(cells[masks[0]]) != len(complete[0]):
        return None
    if not GIVEN.fullmatch(masks[0]):
        raise Malformed(f"'{masks[0]}' may mark the givens or the blanks of a complete grid; expected the name 'given'")
    grid, side = complete[0], SIDE[len(complete[0])]
    givens = [cell if is_given == "1" else "" for cell, is_given in zip(grid, cells[masks[0]], strict=True)]
    return answered(Puzzle(to_grid(givens, side), layout="a grid and its givens"), complete_grid("".join(grid), side))


def _flat(part: Any) -> list[str]:
    """The cells of rows of cells, rows as texts, or one text."""
    if isinstance(part, list):
        return [cell for row in part for cell in (_flat(row) if isinstance(row, list | str) else [cell_text(row)])]
    return list(part) if isinstance(part, str) else []


def of_readings(readings: Sequence[Reading], box_height: int, rows: Sequence[Row] = ()) -> Puzzle:
    """The puzzle of the only reading of the rows, with boxes of that height (0: not drawn).

    Raises Malformed where there are several, or where it is none.
    """
    first, *others = readings
    marked = [mark[0] for row in rows for mark in _MARKED.finditer(row.text)]
    if 0 < len(marked) < sum(digit > 0 for digit in first.values):
        raise Malformed(f"some digits are marked, as {marked[0]}: givens or entries; expected givens, and . elsewhere")
    if others:
        names = [f"{''.join(map(symbol, one.values))} ({one.layout or 'glued'})" for one in readings[:2]]
        raise Malformed(f"two readings explain these rows: {' and '.join(names)}; write . for blanks, without labels")
    if first.is_candidates:
        return from_candidates(first.cells)
    question = to_grid(first.cells, first.side, box_height)
    return Puzzle(question, layout=", ".join(filter(None, (first.layout, box_layout(question)))))


def refuse_rows(rows: Sequence[Row], side: int) -> None:
    """Raises Malformed for what is wrong with the rows of a grid that no reading explains."""
    for index, row in enumerate(rows):
        if row.lexed.foreign:
            raise Malformed(f"row {index + 1} holds {row.lexed.foreign}; {expected(side or None)}", index)
        if side and len(row.lexed.cells) != side:
            number = len(row.lexed.cells)
            raise Malformed(f"row {index + 1} has {number} cell{'s' * (number != 1)}, expected {side}", index)
    if len(rows) == 1:
        cells = len(rows[0].lexed.cells)
        raise Malformed(f"{cells} characters; {LENGTHS}, a row of a grid {SIZES} and as many rows")
    if not side:
        raise Malformed(f"rows of {len(rows[0].lexed.cells)} cells; a grid has {SIZES}")
    if len(rows) > side:  # a `-` for a blank, late, made rows of lines of dashes
        raise Malformed(f"the grid has {len(rows)} rows with its lines of dashes, expected {side}")
    if len(rows) < side:
        raise Malformed(f"the grid ends after {len(rows)} rows, expected {side}")
    to_grid([cell for row in rows for cell in row.lexed.cells], side)
    raise Malformed(f"no regular layout explains its {side} rows; expected {side} cells in each, separated alike")


def complete_grid(text: str, side: int) -> np.ndarray | None:
    values = cell_values(text, side) if side and len(text) == side * side else None
    return values.reshape(side, side).copy() if values is not None and values.all() else None


def continues(question: str, other: str) -> bool:
    """Whether another puzzle has all givens of the question: a game that was begun."""
    same = len(question) == len(other)
    return same and all(value(mark) == 0 or mark == also for mark, also in zip(question, other, strict=True))


def box_layout(question: np.ndarray) -> str:
    """The shape of the boxes in words, where it has to be chosen."""
    rows, columns = box_shape(question)
    return f"boxes of {rows} rows x {columns} columns" if rows != columns else ""
