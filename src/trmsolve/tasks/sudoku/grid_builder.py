"""A grid that is still coming in, row by row: which lines count, when it is complete, where it is interrupted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from trmsolve.tasks.base import Line
from trmsolve.tasks.sudoku.lexer import VERTICAL, Lexed
from trmsolve.tasks.sudoku.rules import BOX
from trmsolve.tasks.sudoku.symbols import value


class Row(NamedTuple):
    line: Line
    lexed: Lexed

    @property
    def barred(self) -> bool:
        """Whether bars stand between the cells, as they do in the row of a drawn grid."""
        return any(mark in self.line.text for mark in VERTICAL)

    @property
    def small(self) -> bool:
        """Whether a 4x4 puzzle on one line could hold all of this."""
        return not self.barred and all((value(cell) or 0) <= 4 for cell in self.lexed.cells) and not self.lexed.foreign

    @property
    def repeats(self) -> bool:
        digits = [cell for cell in self.lexed.cells if value(cell)]
        return len(set(digits)) < len(digits)


class GridBuilder:
    """The rows of a grid that is still coming in."""

    def __init__(self, rows: Sequence[Row] = ()) -> None:
        self.all = list(rows)
        self.period = 0  # rows between blank lines, once one was seen
        self.gap = 0  # how many rows stood before the last blank line

    @property
    def rows(self) -> list[Row]:
        """Without the lines of dashes that are frames: all of them, unless the grid writes all its blanks as dashes."""
        plain = [row for row in self.all if not row.lexed.dashes]
        blanks = {cell for row in plain for cell in row.lexed.cells if value(cell) == 0}
        return self.all if not plain or blanks == {"-"} else plain

    @property
    def side(self) -> int:
        """Columns of the first row that has a proper number of them; 0 when none has."""
        return next((len(row.lexed.cells) for row in self.rows if len(row.lexed.cells) in BOX), 0)

    @property
    def spaced(self) -> int:
        """The side, when blanks are written as spaces and bars do not say where."""
        spaced = any(" " in row.lexed.cells for row in self.rows)
        return self.side if spaced and not any(row.barred for row in self.rows) else 0

    @property
    def only_dashes(self) -> bool:
        return all(row.lexed.dashes for row in self.all)

    @property
    def complete(self) -> bool:
        return bool(self.side) and len(self.rows) >= self.side

    @property
    def small_lines(self) -> bool:
        """Whether every row could as well be a 4x4 puzzle on a line of its own."""
        return all(len(row.lexed.cells) == 16 and row.small for row in self.rows)

    def pause(self) -> bool:
        """Notes a blank line. False when it cannot be inside a grid: neither between bands nor between all rows."""
        rows, side = len(self.rows), self.side
        if not side or any(len(row.lexed.cells) != side for row in self.rows):
            return False
        self.period = self.period or rows
        if self.period not in (1, BOX[side][0]) or rows % self.period:
            return False
        self.gap = rows
        return True

    def broken_rhythm(self) -> bool:
        """Whether the next row comes without the blank line that stood after as many rows before."""
        return bool(self.period) and len(self.rows) > self.gap and (len(self.rows) - self.gap) % self.period == 0
