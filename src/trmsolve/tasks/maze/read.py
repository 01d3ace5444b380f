"""Reads mazes from lines of text, in any of the shapes people keep them in, each as soon as it is complete.

A record is known by its look, never by a file's name, so one file may mix them:

- a grid: a line for each row, an empty line between two mazes. Spaces are floor and are never stripped, so a line of
  spaces is a row of floor where it is as wide as the maze around it, and otherwise as good as an empty line
- a maze on one line: rows joined by `/`, or a square one without any mark between its rows (Maze-Hard)
- a row of a table with a header that has a question column (tasks/table.py)

What is no maze becomes a InvalidPuzzle and the reading goes on behind it. Nothing but what `lines` raises is raised.

A short line (9, 16, ... 225 characters) is a maze or a row of one; a longer one cannot be a row. No grid has a start or
a goal beside a row that holds both, so that tells the two apart; and a line by itself is no row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import isqrt

from trmsolve.tasks import table as tables
from trmsolve.tasks.base import InvalidPuzzle, Line, Puzzle
from trmsolve.tasks.maze import parse
from trmsolve.tasks.maze.cells import FORMS, GOAL, LARGEST, SMALLEST, START
from trmsolve.tasks.maze.parse import MalformedMaze
from trmsolve.tasks.text import shorten
from trmsolve.text_io import LINE_LIMIT, source_name

Record = Puzzle | InvalidPuzzle


def read(lines: Iterable[Line], source: str) -> Iterator[Record]:
    """The mazes of one input in order. `source` is the file's name, `-` for stdin.

    Puzzle.question is uint8 (height, width) of WALL, FLOOR, START and GOAL; .solution likewise with PATH, or None;
    .source is "file:line" of its first line, .style one of "line", "grid", "csv". An input without any record yields
    one InvalidPuzzle that says so.
    """
    reader = _Reader(source_name(source))
    for line in lines:
        yield from reader.feed(line)
    yield from reader.end()


class _Reader:
    """What is open between two lines: at most one grid, one table. A block is what stands between two empty lines."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.rows: list[Line] = []  # of the open grid
        self.table: tables.Table | None = None
        self.one_a_line = False  # in this block every line is a maze
        self.skipping = False  # in this block a maze was error for its size; its other rows say nothing new
        self.found = False

    def feed(self, line: Line) -> Iterator[Record]:
        for record in self._feed(line):
            self.found = True
            yield record

    def end(self) -> Iterator[Record]:
        records = list(self._close())
        if not records and not self.found:
            hint = "expected grids of # and spaces with S and G, mazes on a line, or a table with a question column"
            records = [InvalidPuzzle(self.name, f"holds no puzzle; {hint}")]
        yield from records

    def _feed(self, line: Line) -> Iterator[Record]:
        if head := tables.header(line.text):
            yield from self._close()
            self._begin_block()
            self.table = head if head.columns > 1 else None  # one column: lines like any others
            return
        if self.table:
            if self.table.delimiter in line.text:
                yield self._from_table(line, self.table)
                return
            if not line.text.strip():
                return
            self.table = None
        if line.text.strip() or self._is_floor(line.text):
            yield from self._text(line)
            return
        yield from self._close()
        self._begin_block()
        if set(line.text) == {" "} and len(line.text) <= LARGEST:
            self.rows.append(line)  # it may be the first row of the next maze

    def _is_floor(self, text: str) -> bool:
        """Whether a line without ink belongs to the maze above it."""
        if self.skipping:
            return bool(text)
        return bool(self.rows) and set(text) == {" "} and len(text) == len(self.rows[0].text)

    def _begin_block(self) -> None:
        self.one_a_line = self.skipping = False

    def _text(self, line: Line) -> Iterator[Record]:
        width = len(line.text)
        if width > LINE_LIMIT:
            yield from self._too_wide(line, f"a line of more than {LINE_LIMIT:,} characters")
        elif self.one_a_line or self._is_whole(line.text):
            yield from self._close()
            yield self._whole(line)
        elif width > LARGEST:
            yield from self._too_wide(line, f"neither S nor G among {width:,} characters, too many for a row")
        elif not self.skipping:
            yield from self._row(line)

    def _is_whole(self, text: str) -> bool:
        """Whether the line can be no row of a grid that is worth reading, so that it is a maze or the ruin of one."""
        if text.count("/") >= SMALLEST - 1:
            return True
        enough = all if self.skipping else any  # a row of a grid that is too large may hold an S or a G
        return len(text) > LARGEST and enough(_ends(text))

    # -- grids --------------------------------------------------------------------------------------------------
    def _row(self, line: Line) -> Iterator[Record]:
        if self.rows and len(self.rows[0].text) != len(line.text) and not _inked(self.rows):
            self.rows.clear()  # they were no rows of this maze
        self.rows.append(line)
        if any(_ends(line.text)) and self._are_mazes():
            self.one_a_line = True
            rows, self.rows = self.rows, []
            yield from map(self._whole, _inked(rows))
        elif len(self.rows) > LARGEST:
            self.skipping = True
            yield self._grid()

    def _are_mazes(self) -> bool:
        """Whether each open row is a maze by itself: one of them can be, and together they have too many S or G."""
        marked = [row.text for row in self.rows if any(_ends(row.text))]
        return len(marked) > 1 and any(_ends(text) == (1, 1) and isqrt(len(text)) ** 2 == len(text) for text in marked)

    def _close(self) -> Iterator[Record]:
        if not _inked(self.rows):
            self.rows.clear()
        elif len(self.rows) == 1:
            yield self._whole(self.rows.pop())
        else:
            yield self._grid()

    def _grid(self) -> Record:
        rows, self.rows = self.rows, []
        try:
            question, solution = parse.question([row.text for row in rows])
        except MalformedMaze as error:
            return self._bad(rows[error.row], str(error))
        return Puzzle(question, f"{self.name}:{rows[0].number}", "grid", solution)

    def _too_wide(self, line: Line, found: str) -> Iterator[Record]:
        """One record for all such lines of a block: they are the rows of one grid."""
        if not self.skipping:
            yield from self._close()
            self.skipping = True
            yield self._bad(line, f"{found}; {parse.LIMIT}, {parse.size(len(line.text), len(line.text))} is too large")

    # -- whole mazes on a line ----------------------------------------------------------------------------------
    def _whole(self, line: Line) -> Record:
        try:
            question, solution = parse.question(parse.split(line.text))
        except MalformedMaze as error:
            return self._bad(line, str(error))
        return Puzzle(question, f"{self.name}:{line.number}", "line", solution)

    def _from_table(self, line: Line, table: tables.Table) -> Record:
        fields = tables.fields(line.text, table.delimiter)
        if len(fields) <= table.question:
            return self._bad(line, f"a row of {len(fields)} fields; the question is field {table.question + 1}")
        answer = fields[table.answer] if 0 <= table.answer < len(fields) else ""
        part = "question"
        try:
            question, solution = parse.question(parse.split(fields[table.question]))
            part = "answer"
            if answer.strip():
                solution = parse.answer(parse.split(answer), question)
        except MalformedMaze as error:
            return self._bad(line, f"{part}: {error}")
        return Puzzle(question, f"{self.name}:{line.number}", "csv", solution)

    def _bad(self, line: Line, message: str) -> InvalidPuzzle:
        return InvalidPuzzle(f"{self.name}:{line.number}", message, shorten(line.text))


def _ends(text: str) -> tuple[int, int]:
    """How many starts and goals the line holds."""
    starts, goals = (sum(map(text.count, FORMS[cell])) for cell in (START, GOAL))
    return starts, goals


def _inked(rows: Sequence[Line]) -> list[Line]:
    return [row for row in rows if row.text.strip()]
