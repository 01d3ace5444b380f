"""Reads Sudoku puzzles from lines of text, in any of the shapes people keep them in, each as soon as it is complete.

A record is known by its look, never by a file's name, so one file may mix them:

- a line of 81 (16, 36, 256) characters, also behind a number, and before a rating or a name: `.sdm`
- as many lines as the grid has columns; spaces, commas, bars and frames between the cells; a blank line between bands
  or between all rows; headings (`Grid 01`), `[Puzzle]` and `#` lines around it: `.sdk`, `.ss`, Project Euler
- a row of a table, with a header that has a question column or without one (tasks/table.py, table.py)

What is no puzzle becomes a InvalidPuzzle and the reading goes on behind it. Nothing but what `lines` raises is raised.

Sixteen characters are a 4x4 puzzle or a row of a 16x16 grid. A bar or a digit beyond 4 says row, a
repeated digit says puzzle; lines that say neither wait for the next one, and for the sixteenth at most.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from trmsolve.tasks import table as tables
from trmsolve.tasks.base import InvalidPuzzle, Line, Puzzle
from trmsolve.tasks.sudoku.grid_builder import GridBuilder, Row
from trmsolve.tasks.sudoku.lexer import WIDEST_ROW, Kind, Lexed, lex
from trmsolve.tasks.sudoku.rules import BOX, SIDE, conflicts
from trmsolve.tasks.sudoku.symbols import digits, expected, symbol, value
from trmsolve.tasks.sudoku.table import bare_row
from trmsolve.tasks.text import describe, shorten
from trmsolve.text_io import LINE_LIMIT, source_name

Record = Puzzle | InvalidPuzzle

LENGTHS = "a puzzle line has 81 (or 16, 36, 256)"
NOT_PUZZLES = ("state", "pencilmarks", "candidates", "marks", "notes", "colors", "log", "settings")  # sections of .sdk
MAX_NOTES = 4  # lines of prose held back that may turn out to be the heading of a grid


def read(lines: Iterable[Line], source: str) -> Iterator[Record]:
    """The puzzles of one input in order. `source` is the file's name, `-` for stdin.

    Puzzle.question is uint8 (side, side), 0 = blank, without duplicate givens; .solution likewise, complete, or None;
    .source is "file:line" of its first line, .style one of "line", "grid", "csv". An input without any record yields
    one InvalidPuzzle that says so.
    """
    reader = _Reader(source_name(source))
    for line in lines:
        yield from reader.feed(line)
    yield from reader.end()


class MalformedPuzzle(Exception):
    """Cells that are no puzzle; `row` is the guilty row (0-based) where there is one. Never leaves this file."""

    def __init__(self, message: str, row: int = 0) -> None:
        super().__init__(message)
        self.row = row


class _Reader:
    """What is open between two lines: at most one grid, one table, a few lines of prose."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.grid: GridBuilder | None = None
        self.table: tables.Table | None = None
        self.notes: list[Line] = []
        self.skipping = False  # inside a section that holds no puzzle
        self.after_line = 0  # cells of the line puzzle just before, 0 after anything else
        self.count = 0  # records so far

    def feed(self, line: Line) -> Iterator[Record]:
        for record in self._feed(line):
            self.count += 1
            yield record

    def end(self) -> Iterator[Record]:
        records = [*self._close(), *self._flush_notes()]
        if not records and not self.count:
            hint = "expected lines of 81 characters, grids, or a table with a question column"
            records = [InvalidPuzzle(self.name, f"holds no puzzle; {hint}")]
        yield from records

    def _feed(self, line: Line) -> Iterator[Record]:
        if len(line.text) > LINE_LIMIT:
            yield from self._close()
            yield from self._flush_notes()
            yield self._bad(line, f"a line of more than {LINE_LIMIT:,} characters; {LENGTHS}")
            return
        if not self.skipping and (head := tables.header(line.text)):
            yield from self._close()
            yield from self._flush_notes()
            self.table = head
            return
        if self.table:
            record = self._from_table(line, self.table)
            if record:
                yield from record
                return
            self.table = None
        yield from self._text(line)

    def _text(self, line: Line) -> Iterator[Record]:
        lexed = lex(line.text, self.grid.spaced if self.grid else 0)
        if lexed.kind is Kind.SECTION:
            yield from self._close()
            self.skipping = lexed.cells[0] in NOT_PUZZLES
        elif self.skipping or lexed.kind is Kind.COMMENT:
            return
        elif fields := bare_row(line.text):
            yield from self._close()
            yield from self._flush_notes()
            yield self._whole(line, Lexed(Kind.CELLS, tuple(fields[0])), "csv", fields[1])
        elif lexed.kind is Kind.EMPTY:
            yield from self._blank()
        elif lexed.kind is Kind.TITLE or self._is_numbering(line.text):
            yield from self._close()
            self.after_line = 0
        elif lexed.kind is Kind.PROSE:
            yield from self._close()
            self.notes.append(line)
            if len(self.notes) > MAX_NOTES:
                yield self._no_puzzle(self.notes.pop(0))
        elif len(lexed.cells) > WIDEST_ROW:
            yield from self._close()
            yield from self._flush_notes()
            self.after_line = len(lexed.cells)
            yield self._whole(line, lexed, "line")
        else:
            yield from self._row(Row(line, lexed))

    # -- tables -------------------------------------------------------------------------------------------------
    def _from_table(self, line: Line, table: tables.Table) -> list[Record] | None:
        """The record of a table's row (none for an empty line or a comment); None when the table has ended."""
        text = line.text.strip()
        if not text or text.startswith("#"):
            return []
        single = table.columns == 1
        if (single and len(text) <= WIDEST_ROW and len(text) != 16) or (not single and table.delimiter not in text):
            return None
        fields = [line.text] if single and '"' not in text else tables.fields(line.text, table.delimiter)
        if len(fields) <= table.question:
            return [self._bad(line, f"a row of {len(fields)} fields; the question is field {table.question + 1}")]
        answer = fields[table.answer].strip() if 0 <= table.answer < len(fields) else ""
        question = fields[table.question]
        cells = tuple(question.strip() if question.strip() != "" else question)
        if len(cells) not in SIDE and len(question) not in SIDE:
            cells = lex(question).cells or cells  # separators inside the field
        elif len(cells) not in SIDE:
            cells = tuple(question)  # blanks as spaces
        return [self._whole(line, Lexed(Kind.CELLS, cells, _foreign(cells, line.text)), "csv", answer)]

    # -- whole puzzles ------------------------------------------------------------------------------------------
    def _whole(self, line: Line, lexed: Lexed, style: str, answer: str = "") -> Record:
        """The record of a puzzle that stands on one line."""
        cells = lexed.cells
        side = SIDE.get(len(cells))
        try:
            if lexed.foreign:
                length = "" if side else f" ({len(cells)} characters; {LENGTHS})"
                raise MalformedPuzzle(f"{lexed.foreign}; {expected(side)}{length}")
            if not side:
                raise MalformedPuzzle(f"{len(cells)} characters; {LENGTHS}")
            question = to_grid(cells, side)
        except MalformedPuzzle as error:
            return self._bad(line, str(error))
        return Puzzle(question, f"{self.name}:{line.number}", style, _solution(answer, side))

    # -- grids --------------------------------------------------------------------------------------------------
    def _row(self, row: Row) -> Iterator[Record]:
        width = len(row.lexed.cells)
        if self.grid is None and self.after_line and width not in BOX:
            yield from self._flush_notes()
            yield self._bad(row.line, f"{width} characters; {LENGTHS}")
            return
        if width == 16 and not row.lexed.dashes and self._is_small_line(row):
            yield from self._close()
            yield from self._flush_notes()
            self.after_line = 16
            yield self._whole(row.line, row.lexed, "line")
            return
        if self.grid and self.grid.broken_rhythm():
            rows, gap = self.grid.rows, self.grid.gap
            yield self._finish(GridBuilder(rows[:gap]))
            self.grid = GridBuilder(rows[gap:])
        self.grid = self.grid or GridBuilder()
        self.grid.all.append(row)
        self.after_line = 0
        if self.grid.only_dashes:
            if len(self.grid.all) == width:  # an empty grid, written in dashes
                yield from self._close()
            return
        if width in BOX:
            self.notes.clear()  # they were its heading
        yield from self._flush_notes()
        if self.grid.complete:
            yield from self._close()

    def _is_small_line(self, row: Row) -> bool:
        """Whether sixteen cells are a 4x4 puzzle rather than a row of a 16x16 grid."""
        if self.grid is None:
            return (self.after_line == 16 and not row.barred) or (row.small and row.repeats)
        if not (row.small and row.repeats):
            return False
        # after undecided lines, or after one line with a digit too large for its size
        return self.grid.small_lines or len(self.grid.rows) == 1

    def _blank(self) -> Iterator[Record]:
        self.after_line = 0
        if self.grid and (self.grid.small_lines or not self.grid.pause()):
            yield from self._close()

    def _close(self) -> Iterator[Record]:
        grid, self.grid = self.grid, None
        if grid is None or (grid.only_dashes and len(grid.all) != grid.side):
            return
        if grid.small_lines:
            for row in grid.rows:
                if not row.lexed.dashes:
                    yield self._whole(row.line, row.lexed, "line")
            self.after_line = 16
        else:
            yield self._finish(grid)

    def _finish(self, grid: GridBuilder) -> Record:
        rows, side = grid.rows, grid.side
        try:
            for index, row in enumerate(rows):
                if row.lexed.foreign:
                    raise MalformedPuzzle(f"row {index + 1} holds {row.lexed.foreign}; {expected(side or None)}", index)
                if side and len(row.lexed.cells) != side:
                    number = len(row.lexed.cells)
                    raise MalformedPuzzle(
                        f"row {index + 1} has {number} cell{'s' * (number != 1)}, expected {side}", index
                    )
            if len(rows) == 1:
                raise MalformedPuzzle(
                    f"{len(rows[0].lexed.cells)} characters; {LENGTHS}, a row of a grid 4, 6, 9 or 16 and as many rows"
                )
            if not side:
                raise MalformedPuzzle(f"rows of {len(rows[0].lexed.cells)} cells; a grid has 4, 6, 9 or 16")
            if len(rows) > side:  # a `-` for a blank, late, made rows of lines of dashes
                raise MalformedPuzzle(f"the grid has {len(rows)} rows with its lines of dashes, expected {side}")
            if len(rows) < side:
                raise MalformedPuzzle(f"the grid ends after {len(rows)} rows, expected {side}")
            question = to_grid([cell for row in rows for cell in row.lexed.cells], side)
        except MalformedPuzzle as error:
            return self._bad(rows[error.row].line, str(error))
        return Puzzle(question, f"{self.name}:{rows[0].line.number}", "grid")

    # -- what is no puzzle --------------------------------------------------------------------------------------
    def _is_numbering(self, text: str) -> bool:
        """A bare number that counts the puzzles, or says on the first line how many follow."""
        number = re.fullmatch(r"\s*([0-9]{1,6})[.:)]?\s*", text)  # not 1..., which is a row
        if self.grid or not number:
            return False
        return int(number[1]) == self.count + 1 or (not self.count and len(number[1]) not in BOX)

    def _flush_notes(self) -> Iterator[Record]:
        notes, self.notes = self.notes, []
        yield from map(self._no_puzzle, notes)

    def _no_puzzle(self, line: Line) -> InvalidPuzzle:
        foreign = lex(line.text).foreign
        return self._bad(line, f"no puzzle: {foreign}; {LENGTHS}, a comment begins with #")

    def _bad(self, line: Line, message: str) -> InvalidPuzzle:
        return InvalidPuzzle(f"{self.name}:{line.number}", message, shorten(line.text))


def to_grid(cells: Sequence[str], side: int) -> np.ndarray:
    """The cells (side * side, each known to value()) as uint8 (side, side). Refuses large digits and duplicates."""
    values = [value(cell) or 0 for cell in cells]
    for index, digit in enumerate(values):
        if digit > side:
            row = index // side
            message = f"row {row + 1} holds {symbol(digit)}, a {side}x{side} grid knows {digits(side)}"
            raise MalformedPuzzle(message, row)
    grid = np.array(values, dtype=np.uint8).reshape(side, side)
    if side == 16 and "0" in cells and set(cells) & set("._*- ") and 16 not in values:
        hexadecimal = np.where(np.array(cells, dtype=object).reshape(side, side) == "0", np.uint8(16), grid)
        if not conflicts(hexadecimal):  # 0-F: symbols.py says why
            grid = hexadecimal
    if found := conflicts(grid):
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise MalformedPuzzle(found[0].message + more)
    return grid


def _solution(text: str, side: int) -> np.ndarray | None:
    values = [value(mark) for mark in text]
    if len(values) != side * side or not all(digit and digit <= side for digit in values):
        return None
    return np.array(values, dtype=np.uint8).reshape(side, side)


def _foreign(cells: Sequence[str], text: str) -> str:
    odd = next((cell for cell in cells if value(cell) is None), None)
    return f"{describe(odd[0])} in column {text.find(odd) + 1}" if odd else ""
