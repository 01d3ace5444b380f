"""Reads Sudoku puzzles from lines of text, in any of the shapes people keep them in, each as soon as it is complete.

A record is known by its look, never by a file's name, so one file may mix them:

- a line that holds 81 (16, 36, 64, 144, 256, 625) characters: alone, behind a number, before a rating or a name, in a
  link, in code; `puzzle|solution`; 729 characters of candidates (.sdm, HoDoKu, sukaku)
- as many lines as the grid has columns, in any regular layout: separators, frames, labels, indentation, blank lines
  between bands or all rows; headings and text around it (.sdk, .ss, Project Euler, markdown, spreadsheets)
- JSON, literals of programs, YAML, XML, and tables with or without a header (tasks/reading)

The reading that explains the whole grid wins; where two do, the grid is refused and both are named.

Sixteen characters are a 4x4 puzzle or a row of a 16x16 grid. A bar or a digit beyond 4 says row, a
repeated digit says puzzle; lines that say neither wait for the next one, and for the sixteenth at most.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from trmsolve.tasks.base import InvalidPuzzle, Line, Puzzle
from trmsolve.tasks.reading import places
from trmsolve.tasks.reading import table as tables
from trmsolve.tasks.reading.collectors import cell_text
from trmsolve.tasks.reading.layout import Matrix, is_alignment_row, plain
from trmsolve.tasks.reading.reader import Reader
from trmsolve.tasks.reading.values import Malformed, Record, nearest
from trmsolve.tasks.sudoku import interpret
from trmsolve.tasks.sudoku.grid_builder import GridBuilder, Row, halves, parts
from trmsolve.tasks.sudoku.lexer import CANDIDATES, WIDEST_ROW, Kind, Lexed, damaged, lex, separated, unslashed, wholes
from trmsolve.tasks.sudoku.rules import BOX, SIDE, is_solution
from trmsolve.tasks.sudoku.symbols import cell_value, cell_values, expected, value
from trmsolve.text_io import LINE_LIMIT, character_name, shorten

NOT_PUZZLES = ("state", "pencilmarks", "candidates", "marks", "notes", "colors", "log", "settings")  # sections of .sdk

_PLAIN_LINE = re.compile(r"[1-9.]{81}|[0-9]{81}")  # nearly every line of a large file


def read(lines: Iterable[Line], source: str) -> Iterator[Record]:
    """The puzzles of one input in order. `source` is the file's name, `-` for stdin.

    Puzzle.question is uint8 (side, side), 0 = blank, without duplicate givens; .solution likewise, complete, or None;
    .source is "file:line" of its first line, .style one of "line", "grid", "csv". An input without any record yields
    one InvalidPuzzle that says so.
    """
    return SudokuReader(source).read(lines)


class SudokuReader(Reader):
    """What is open between two lines: at most one grid."""

    task = "sudoku"
    expected = "lines of 81 characters, grids, or a table with a question column"

    def __init__(self, source: str) -> None:
        super().__init__(source)
        self.grid: GridBuilder | None = None
        self.pending: list[Row] = []  # a line of spaces or a bare number that may be the first row of a grid
        self.skipping = False  # inside a section that holds no puzzle
        self.after_line = 0  # cells of the line puzzle just before, 0 after anything else
        self.after_row = False  # of a table
        self.variant = ""  # another puzzle that the text just named

    def placed(self, puzzle: Puzzle, line: Line, style: str, layout: str) -> Puzzle:
        if self.variant:
            warning = f"the text names '{self.variant}', but only rows, columns and boxes are constraints here"
            puzzle, self.variant = replace(puzzle, warnings=(*puzzle.warnings, warning)), ""
        return super().placed(puzzle, line, style, layout)

    # -- text ---------------------------------------------------------------------------------------------------
    def feed(self, line: Line) -> Iterator[Record]:
        if self.collector is None and self.table is None and not self.skipping and _PLAIN_LINE.fullmatch(line.text):
            self.started = True
            yield from self._close()
            self.after_line = 81
            yield self._line_puzzle(line, line.text)
        else:
            yield from super().feed(line)

    def header(self, text: str) -> tables.Table | None:
        return None if self.skipping else tables.header(text)

    def text(self, line: Line) -> Iterator[Record]:
        if len(line.text) > LINE_LIMIT:
            yield from self._close()
            yield self.bad(line, f"a line of more than {LINE_LIMIT:,} characters; {interpret.LENGTHS}")
            return
        after_row, self.after_row = self.after_row, False
        text = unslashed(plain(line.text))
        lexed = lex(text)
        if lexed.kind is Kind.SECTION:
            yield from self._close()
            self.skipping = lexed.cells[0] in NOT_PUZZLES
            return
        if self.skipping:
            return
        is_rule = len(set(lexed.cells)) == 1 and lexed.cells[0] in "-*_"
        if is_rule and len(lexed.cells) > WIDEST_ROW != self.after_line != len(lexed.cells):
            lexed = Lexed(Kind.FRAME)  # a rule; an empty puzzle only in a list of lines
        elif len(text) > WIDEST_ROW and (lexed.kind is not Kind.COMMENT or len(text.strip()) in SIDE):
            whole, delimiter = wholes(text)
            if whole:
                yield from self._close()
                yield from self._whole_puzzles(line, whole, delimiter)
                return
        if lexed.kind in (Kind.TITLE, Kind.PROSE) and (variant := interpret.VARIANT_TITLE.search(text)):
            self.variant = shorten(variant[0], 30)
        if lexed.kind is Kind.EMPTY:
            yield from self._empty(Row(line, text, lexed))
        elif lexed.kind is Kind.FRAME:
            self._frame(text)
        elif lexed.kind is Kind.TITLE or self._is_numbering(text):
            yield from self._close()
            self.after_line = 0
            self.pending = [Row(line, text, lexed)] if lexed.kind is not Kind.TITLE else []
        elif lexed.kind is Kind.PROSE:
            yield from self._close()
            if self.after_line or after_row:
                yield self.no_puzzle(line)
            self.note(line)
        elif lexed.kind is not Kind.COMMENT:
            if len(lexed.cells) > WIDEST_ROW:
                yield from self._close()
                self.after_line = len(lexed.cells)
                yield self._line_puzzle(line, lexed.cells, foreign=lexed.foreign)
            else:
                yield from self._row(Row(line, text.split("#", 1)[0].rstrip() if "#" in text else text, lexed))

    def end_text(self) -> Iterator[Record]:
        yield from self._close()

    def no_puzzle(self, line: Line) -> InvalidPuzzle:
        foreign = lex(line.text).foreign or "text without cells"
        return self.bad(
            line, f"no puzzle: {foreign}; {interpret.LENGTHS}, a comment begins with #; {nearest(line.text)}"
        )

    # -- whole puzzles ------------------------------------------------------------------------------------------
    def is_whole(self, text: str) -> bool:
        bare = unslashed(text.strip())
        has_length = len(bare) in SIDE or len(bare) == CANDIDATES
        return has_length and (cell_values(bare, SIDE[len(bare)]) is not None if len(bare) in SIDE else True)

    def from_line(self, text: str, within: str = "") -> Puzzle:
        bare = unslashed(text.strip()) if text.strip() else text
        whole, _ = wholes(bare)
        if len(bare) not in SIDE and len(text) not in SIDE and len(whole) == 2 and self._is_answer(*whole):
            return self._puzzle_of(whole[0], whole[1])
        cells: Sequence[str] = bare
        if len(cells) not in SIDE and len(cells) != CANDIDATES:
            cells = text if len(text) in SIDE else lex(bare).cells or cells
        return self._puzzle_of(cells, "", _foreign(cells, within or text))

    def from_cells(self, cells: Matrix) -> Puzzle:
        flat = tuple(cell.strip() for row in cells for cell in row)
        sides = {len(row) for row in cells}
        if len(cells) > 1 and sides != {len(cells)}:
            odd = next((i for i, row in enumerate(cells) if len(row) != len(cells)), 0)
            raise Malformed(
                f"{len(cells)} rows, row {odd + 1} of {len(cells[odd])} cells; a grid has {interpret.SIZES} of both"
            )
        side = SIDE.get(len(flat))
        if len(cells) > 1 and not side:
            raise Malformed(f"{len(cells)} rows of {len(cells)} cells; a grid has {interpret.SIZES} of both")
        odd_cell = next((cell for cell in flat if cell_value(cell) is None), None)
        if side and odd_cell is not None and cell_values(flat, side) is None:
            raise Malformed(f"a cell holds '{odd_cell[:20]}'; {expected(side)}")
        return self._puzzle_of(flat, "")

    def assembled(self, value: Any) -> Puzzle | None:
        if (rows := places.contents_of_objects(value)) is not None:
            return self.from_cells([[cell_text(cell) for cell in row] for row in rows])
        parts = [value]
        if isinstance(value, dict):
            interpret.refuse_variants(value)
            if (puzzle := interpret.masked(value)) is not None:
                return puzzle
            answer = tables.columns(list(map(str, value)))[1]
            parts += [part for index, part in enumerate(value.values()) if index != answer]
        all_cells = [placed for part in parts if (placed := places.placed_cells(part))]
        size = value.get("size") if isinstance(value, dict) else None
        return interpret.from_places(*all_cells[0], size) if len(all_cells) == 1 else None

    def answered(self, puzzle: Puzzle, other: Puzzle) -> Puzzle:
        is_answer = other.question.shape == puzzle.question.shape and other.question.all()
        return interpret.answered(puzzle, other.question if is_answer else None)

    def from_fields(self, line: Line, question: str, answer: str) -> Record:
        self.after_row = True
        if "\n" in line.text:
            return super().from_fields(line, question, answer)
        try:
            is_plain = _PLAIN_LINE.fullmatch(question)
            puzzle = self._puzzle_of(question, "") if is_plain else self.from_line(question, line.text)
        except Malformed as error:
            return self.bad(line, str(error))
        solution = interpret.complete_grid(answer.strip(), len(puzzle.question))
        return self.placed(interpret.answered(puzzle, solution), line, "csv", "table")

    def ends_table(self, text: str, table: tables.Table) -> bool:
        if table.columns == 1:
            return len(text.strip()) <= WIDEST_ROW and len(text.strip()) != 16
        return super().ends_table(text, table)

    def _is_answer(self, question: str, answer: str) -> bool:
        """Whether one whole puzzle is complete and the other is not."""
        solved = interpret.complete_grid(answer, SIDE.get(len(answer), 0))
        return (
            len(question) == len(answer)
            and solved is not None
            and interpret.complete_grid(question, SIDE[len(question)]) is None
        )

    def _whole_puzzles(self, line: Line, whole: list[str], delimiter: str) -> Iterator[Record]:
        """The records of a line with whole puzzles: each with its solution, where one follows it or precedes it."""
        style = "csv" if delimiter in tables.DELIMITERS and delimiter else "line"
        self.after_line = 0 if style == "csv" else len(whole[0])
        while whole:
            question, answer = whole.pop(0), ""
            if whole and self._is_answer(question, whole[0]):
                answer = whole.pop(0)
            elif whole and self._is_answer(whole[0], question):
                question, answer = whole.pop(0), question
            while whole and interpret.continues(question, whole[0]):
                whole.pop(0)  # the same puzzle, partly filled in
            yield self._line_puzzle(line, question, answer, style)
        text = unslashed(line.text)
        if not delimiter and (run := damaged(text, wholes(text)[0])):
            yield self.bad(line, f"{len(run)} characters beside a puzzle; {interpret.LENGTHS}")

    def _line_puzzle(
        self, line: Line, cells: Sequence[str], answer: str = "", style: str = "line", foreign: str = ""
    ) -> Record:
        """The record of a puzzle that stands on one line."""
        try:
            puzzle = self._puzzle_of(cells, answer, foreign)
        except Malformed as error:
            return self.bad(line, str(error))
        return self.placed(puzzle, line, style, "row of a table" if style == "csv" else "line")

    def _puzzle_of(self, cells: Sequence[str], answer: str, foreign: str = "") -> Puzzle:
        if len(cells) == CANDIDATES:
            marks = ["".join(cells[start : start + 9]) for start in range(0, CANDIDATES, 9)]
            return interpret.from_candidates([mark.replace(".", "").replace("0", "") for mark in marks])
        side = SIDE.get(len(cells))
        if foreign and (not side or cell_values(cells, side) is None):
            length = "" if side else f" ({len(cells)} characters; {interpret.LENGTHS})"
            raise Malformed(f"{foreign}; {expected(side)}{length}")
        if not side:
            raise Malformed(f"{len(cells)} characters; {interpret.LENGTHS}")
        return interpret.answered(Puzzle(interpret.to_grid(cells, side)), interpret.complete_grid(answer, side))

    # -- grids --------------------------------------------------------------------------------------------------
    def _row(self, row: Row) -> Iterator[Record]:
        width = len(row.lexed.cells)
        # among lines a row of 25 is more likely a line that was cut; a blank line before a 25x25 grid says it is none
        no_row = width not in BOX or width == max(BOX)
        if self.grid is None and self.after_line and no_row and row.lexed.kind is not Kind.LABELS:
            yield self.bad(row.line, f"{width} characters; {interpret.LENGTHS}")
            return
        labelled = len(separated(row.text)) == width + 1
        if width == 16 and not labelled and not row.lexed.dashes and self._is_small_line(row):
            yield from self._close()
            self.after_line = 16
            yield self._line_puzzle(row.line, row.lexed.cells, foreign=row.lexed.foreign)
            return
        if self.grid and self.grid.broken_rhythm():
            rows, gap = self.grid.rows, self.grid.gap
            yield from self._finish(GridBuilder(rows[:gap]))
            self.grid = GridBuilder(rows[gap:])
        if self.grid is None:
            self.grid = GridBuilder([one for one in self.pending if one.is_blank])
        if row.lexed.dashes and len(self.grid.rows) == 1 and is_alignment_row(row.text):
            self.grid.after_head = True
            if " " in self.grid.rows[0].text.strip() and " " not in row.text.strip():
                return  # |-|-| below | 1 | 2 |
        self.grid.all.append(row)
        self.after_line = 0
        yield from self._when_complete()

    def _when_complete(self) -> Iterator[Record]:
        """Close the grid if the last line has completed it; not while its first row may be labels, its cells boxes."""
        grid = self.grid
        assert grid is not None
        if grid.only_dashes:
            if len(grid.all) == len(grid.all[0].lexed.cells):  # an empty grid, written in dashes
                yield from self._close()
        elif grid.may_have_labels:
            if len(grid.rows) > 2 * max(BOX) + 2:
                yield from self._close()
        elif readings := grid.readings():
            side = readings[0].side  # of a larger grid the first rows may look so, unless their cells can be counted
            counted = all(side in (len(row.text.strip()), len(separated(row.text))) for row in grid.all)
            if counted or side in (9, 16, 25):
                yield from self._close()
        elif grid.has_regular_rows and not any(row.is_blank or (row.barred and grid.side < 8) for row in grid.all):
            yield from self._close()

    def _is_small_line(self, row: Row) -> bool:
        """Whether sixteen cells are a 4x4 puzzle rather than a row of a 16x16 grid."""
        if self.grid is None:
            return (self.after_line == 16 and not row.barred) or (row.small and row.repeats)
        if not (row.small and row.repeats):
            return False
        # after undecided lines, or after one line with a digit too large for its size
        return self.grid.small_lines or len(self.grid.rows) == 1

    def _empty(self, row: Row) -> Iterator[Record]:
        """A blank line: a row of blanks between rows that write blanks as spaces, or an end."""
        self.after_line = 0
        if "\t" in row.text or (len(row.text) >= min(BOX) and row.text.isspace()):
            if self.grid is None:
                self.pending = [row]
                return
            if not self.grid.writes_blanks:
                self.grid.all.append(row)
                yield from self._when_complete()
                return
        if self.grid is None:
            self.pending = []
        elif self.grid.small_lines or not self.grid.pause():
            yield from self._close()

    def _frame(self, text: str) -> None:
        if self.grid is not None:
            self.grid.after_head = self.grid.after_head or (len(self.grid.rows) == 1 and is_alignment_row(text))
            self.grid.frames.append(len(self.grid.rows))

    def _close(self) -> Iterator[Record]:
        grid, self.grid = self.grid, None
        if grid is None or (grid.only_dashes and len(grid.all) != grid.side):
            return
        if not grid.rows:
            return
        if grid.small_lines:
            for row in grid.rows:
                if not row.lexed.dashes:
                    yield self._line_puzzle(row.line, row.lexed.cells, foreign=row.lexed.foreign)
            self.after_line = 16
        else:
            yield from self._finish(grid)

    def _finish(self, grid: GridBuilder) -> Iterator[Record]:
        pending, self.pending = self.pending, []
        if len(grid.rows) == 1 and grid.rows[0].may_be_labels:  # of columns, below a grid or far above it
            self.note(grid.rows[0].line)
            return
        if len(grid.rows) == 1 and len(grid.rows[0].lexed.cells) == 16 and grid.rows[0].repeats:  # 1,2,3,4,3,4,1,2,...
            yield self._line_puzzle(grid.rows[0].line, grid.rows[0].lexed.cells)
            return
        readings = grid.readings()
        if not readings and pending and not pending[0].is_blank:  # a first row of one digit
            grid.all.insert(0, pending[0])
            readings = grid.readings()
        if not readings and (several := parts(grid) or halves(grid)):
            yield from _paired([record for part in several for record in self._finish(part)])
            return
        rows = [row for row in grid.rows if row.lexed.kind is not Kind.LABELS]
        try:
            if not readings:
                interpret.refuse_rows(rows, grid.side)
            if height := grid.tall_cells(readings[0].side):
                raise Malformed(f"cells of {height} lines between rules; expected one line for each row")
            puzzle = interpret.of_readings(readings, grid.box_height(readings[0].side), grid.rows)
        except Malformed as error:
            if len(rows) == 1:  # a line of its own, among lines: text that follows is no heading
                self.after_line = len(rows[0].lexed.cells)
            yield self.bad(rows[min(error.row, len(rows) - 1)].line, str(error))
            return
        first = next(row for row in grid.all if row in grid.rows or row.is_blank)
        yield self.placed(puzzle, first.line, "grid", "grid")

    def _is_numbering(self, text: str) -> bool:
        """A bare number that counts the puzzles, or says on the first line how many follow."""
        number = re.fullmatch(r"([0-9]{1,6})[.:)]?\r?", text)  # not 1..., nor 1 and spaces, which are rows
        if self.grid or not number:
            return False
        return int(number[1]) == self.count + 1 or (not self.count and len(number[1]) not in BOX)


def _paired(records: list[Record]) -> list[Record]:
    """The records, or the first with its solution where there are two and the second is that."""
    puzzles = [record for record in records if isinstance(record, Puzzle)]
    if len(puzzles) == len(records) == 2 and puzzles[0].question.shape == puzzles[1].question.shape:
        question, answer = (puzzle.question for puzzle in puzzles)
        if is_solution(question, answer):
            return [replace(puzzles[0], solution=np.asarray(answer))]
    return records


def _foreign(cells: Sequence[str], text: str) -> str:
    odd = next((cell for cell in cells if value(cell) is None), None)
    return f"{character_name(odd[0])} in column {text.find(odd) + 1}" if odd else ""
