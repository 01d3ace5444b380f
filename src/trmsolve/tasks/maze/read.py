"""Reads mazes from lines of text, in any of the shapes people keep them in, each as soon as it is complete.

A record is known by its look, never by a file's name, so one file may mix them:

- a grid: a line for each row, an empty line between two mazes. Spaces are floor and are never stripped, so a line of
  spaces is a row of floor where it is as wide as the maze around it, and otherwise as good as an empty line. Cells may
  be separated, framed, labelled or indented; headings, sizes and a legend may stand around the grid
- walls drawn as lines (rows.py)
- a maze on one line: rows joined by `/`, or a square one without any mark between its rows (Maze-Hard)
- JSON, literals of programs, YAML, XML, and tables with a header (tasks/reading)

The reading that explains the whole block wins; where two do, the maze is refused and both are named.

A short line (9, 16, ... 225 characters) is a maze or a row of one; a longer one cannot be a row. No grid has a start or
a goal beside a row that holds both, so that tells the two apart; and a line by itself is no row.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from math import isqrt
from typing import Any

from trmsolve.tasks.base import InvalidPuzzle, Line, Puzzle
from trmsolve.tasks.maze import ends, parse
from trmsolve.tasks.maze.cells import FLOOR, FORMS, GOAL, LARGEST, SMALLEST, START, VALUES, WALL, WORDS
from trmsolve.tasks.maze.parse import ParsedMaze
from trmsolve.tasks.maze.rows import cell_mark, is_box_drawing, may_be_lines, of_rows
from trmsolve.tasks.reading import table as tables
from trmsolve.tasks.reading.layout import Matrix, is_sequence
from trmsolve.tasks.reading.reader import Reader
from trmsolve.tasks.reading.values import Malformed, Record, nearest
from trmsolve.text_io import LINE_LIMIT

WIDEST_ROW = 4 * LARGEST + 8  # characters of a row with separators or walls between its cells

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

_FENCE = re.compile(r"\s*(```|~~~)[\w+-]*\s*")
_SIZE = re.compile(r"\D{0,20}(\d{1,4})\D{1,10}(\d{1,4})\D{0,10}|\d{1,6}")
_BETWEEN = re.compile(r"\s*(?:\d{1,3}(?:[ ,x]+\d{1,3})?|([-=*~_])\1{2,})\s*")
_AROUND = re.compile(r"```[\w+-]*|~~~[\w+-]*|/\*+|\*+/|\[[A-Za-z]\w*\]|\w+ ?= ?\d*|(?:EOF|EOT|END|MAZE);?")
_LEGEND = (  # '#' = Wall   wall: '#'   from 'q' (start) to '2' (goal)
    re.compile(r"""['"`](?P<mark>.)['"`]\s*(?:=|:|is|->|\()\s*(?:the\s+|an?\s+)?(?P<name>[A-Za-z]+)"""),
    re.compile(r"""(?P<name>[A-Za-z]+)\s*(?:=|:|is|->)\s*['"`](?P<mark>.)['"`]"""),
)
_LEGEND_NAMES = {"wall": WALL, "walls": WALL, "obstacle": WALL, "passage": FLOOR, "path": FLOOR, "floor": FLOOR}
_LEGEND_NAMES |= {"open": FLOOR, "empty": FLOOR, "free": FLOOR, "start": START, "goal": GOAL, "end": GOAL, "exit": GOAL}


def read(lines: Iterable[Line], source: str) -> Iterator[Record]:
    """The mazes of one input in order. `source` is the file's name, `-` for stdin.

    Puzzle.question is uint8 (height, width) of WALL, FLOOR, START and GOAL; .solution likewise with PATH, or None;
    .source is "file:line" of its first line, .style one of "line", "grid", "csv". An input without any record yields
    one InvalidPuzzle that says so.
    """
    return MazeReader(source).read(lines)


class MazeReader(Reader):
    """What is open between two lines: at most one grid. A block is what stands between two empty lines."""

    task = "maze"
    expected = "grids of # and spaces with S and G, mazes on a line, or a table with a question column"

    def __init__(self, source: str) -> None:
        super().__init__(source)
        self.rows: list[Line] = []  # of the open grid
        self.one_a_line = False  # in this block every line is a maze
        self.skipping = False  # in this block a maze was refused for its size; its other rows say nothing new
        self.legend: dict[str, int] = {}
        self.ends: dict[int, ends.End] = {}  # that text around a maze names
        self.endless: Matrix | None = None  # the cells of a maze that was just refused for having none
        self.waiting: list[Line] = []  # a maze whose legend is not complete yet

    def read(self, lines: Iterable[Line]) -> Iterator[Record]:
        """The records of an input in order. A maze without start and goal waits for text that names them."""
        waiting: tuple[Record, Matrix] | None = None
        for record in super().read(lines):
            if waiting:
                yield self._with_ends(*waiting)
            waiting, cells, self.endless = None, self.endless, None
            if cells:
                waiting = record, cells
            else:
                yield record
                self.ends.clear()
        if waiting:
            yield self._with_ends(*waiting)

    def _with_ends(self, record: Record, cells: Matrix) -> Record:
        text = record.text if isinstance(record, InvalidPuzzle) else ""
        line = Line(int(record.source.rpartition(":")[2]), text)
        named, self.ends = self.ends, {}
        if named.keys() != ends.NAMES.keys():
            return record
        try:
            return self.placed(_puzzle(ends.with_ends(cells, named), ""), line, "grid", "cells and ends")
        except Malformed as error:
            return self.bad(line, str(error))

    # -- text ---------------------------------------------------------------------------------------------------
    def text(self, line: Line) -> Iterator[Record]:
        is_between = len(self.rows) >= SMALLEST and _BETWEEN.fullmatch(line.text) and self._is_between(line.text)
        if not is_between and (line.text.strip() or self._is_floor(line.text)):
            yield from self._nonblank_line(line)
            return
        yield from self._close()
        self._begin_block()
        if line.text and set(line.text) <= {" ", "\t"} and len(line.text) <= WIDEST_ROW:
            self.rows.append(line)  # it may be the first row of the next maze

    def header(self, text: str) -> tables.Table | None:
        head = tables.header(text)
        return head if head and head.columns > 1 else None

    def feed(self, line: Line) -> Iterator[Record]:
        if self.table is None and not self.record and (head := tables.header(line.text)) and head.columns == 1:
            yield from self.end_text()  # one column: lines like any others
            return
        yield from super().feed(line)

    def end_text(self) -> Iterator[Record]:
        yield from self._close()
        self._begin_block()
        if self.waiting:
            rows, self.waiting = self.waiting, []
            yield self._grid(rows)

    def no_puzzle(self, line: Line) -> InvalidPuzzle:
        try:
            parse.maze([line.text])
        except Malformed as error:
            return self.bad(line, f"{error}; {nearest(line.text)}")
        return self.bad(line, f"no maze; {parse.EXPECTED}; {nearest(line.text)}")

    def _is_floor(self, text: str) -> bool:
        """Whether a blank line belongs to the maze above it."""
        if self.skipping:
            return bool(text)
        above = self.rows[-1].text if self.rows else ""
        by_tabs = bool(above) and set(text) <= {" ", "\t"} and text.count("\t") == above.count("\t") > 0
        return by_tabs or (bool(above) and set(text) == {" "} and len(text) == len(above))

    def _is_between(self, text: str) -> bool:
        """Whether a size or a rule parts two mazes: has no digit or mark of theirs, or is a rule of another width."""
        above, mark = "".join(row.text for row in self.rows[2:]), text.strip()[0]
        is_wider = len(text) != len(self.rows[-1].text)
        return is_wider and not any(map(str.isdigit, above)) if mark.isdigit() else is_wider or mark not in above

    def _begin_block(self) -> None:
        self.one_a_line = self.skipping = False

    def _nonblank_line(self, line: Line) -> Iterator[Record]:
        width = len(line.text)
        if width > LINE_LIMIT:
            yield from self._too_wide(line, f"a line of more than {LINE_LIMIT:,} characters")
        elif self.one_a_line or self._is_whole_line(line.text):
            yield from self._close()
            yield from self._whole(line)
        elif width > LARGEST and not _may_be_wide(line.text):
            yield from self._too_wide(line, f"neither S nor G among {width:,} characters, too many for a row")
        elif not self.skipping:
            yield from self._row(line)

    def _is_whole_line(self, text: str) -> bool:
        """Whether the line can be no row of a grid that is worth reading, so that it is a maze, or a damaged one."""
        if text.count("/") >= SMALLEST - 1 and "//" not in text and len(text.split()) < 2 + text.count("/") * 8:
            return not _is_prose(text.replace("/", ""))
        enough = all if self.skipping else any  # a row of a grid that is too large may hold an S or a G
        return len(text) > LARGEST and enough(_ends(text)) and not _may_be_wide(text)

    # -- grids --------------------------------------------------------------------------------------------------
    def _row(self, line: Line) -> Iterator[Record]:
        tabs = line.text.count("\t")
        is_wide = (
            self.rows and len(self.rows[0].text) != len(line.text) and not tabs == self.rows[0].text.count("\t") > 0
        )
        if is_wide and not _nonblank(self.rows):
            self.rows.clear()  # they were no rows of this maze
        self.rows.append(line)
        if any(_ends(line.text)) and self._are_mazes():
            self.one_a_line = True
            rows, self.rows = self.rows, []
            for row in _nonblank(rows):
                yield from self._whole(row)
        elif len(self.rows) > (2 * LARGEST + 8 if may_be_lines(self.rows[0].text) else LARGEST):
            self.skipping = True
            yield self._grid(self._taken())

    def _are_mazes(self) -> bool:
        """Whether each open row is a maze by itself: one of them can be, and together they have too many S or G."""
        starts = "".join(row.text.split()[0][:1] for row in self.rows if row.text.split() and not _is_prose(row.text))
        labels = starts.upper()[starts.upper().rfind("A") :]
        if "A" in labels and ALPHABET.startswith(labels):
            return False
        marked = [row.text for row in self.rows if any(_ends(row.text)) and not _is_prose(row.text)]
        marked = [
            text
            for text in marked
            if not is_sequence(re.split(r"[\s,;|]+", text.strip())) and not is_sequence(list(text.strip()))
        ]
        return len(marked) > 1 and any(_ends(text) == (1, 1) and isqrt(len(text)) ** 2 == len(text) for text in marked)

    def _taken(self) -> list[Line]:
        rows, self.rows = self.rows, []
        return rows

    def _close(self) -> Iterator[Record]:
        rows = self._taken()
        if not _nonblank(rows):
            return
        body = _body(rows)
        for row in rows:
            if row not in body:
                self.note(row)
        if self.waiting and WALL in self.legend.values():
            waiting, self.waiting = self.waiting, []
            yield self._grid(waiting)
        if not body:
            return
        if len(body) == 1:
            yield from self._whole(body[0])
        elif {START, GOAL} <= set(self.legend.values()) and WALL not in self.legend.values():
            self.waiting = body
        else:
            yield self._grid(body)

    def note(self, line: Line) -> None:
        super().note(line)
        self.ends |= ends.of_text(line.text)
        for pattern in _LEGEND:
            for match in pattern.finditer(line.text):
                if (cell := _LEGEND_NAMES.get(match["name"].lower())) is not None:
                    self.legend[match["mark"]] = cell

    def _grid(self, rows: list[Line]) -> Record:
        legend = self.legend if {WALL, START, GOAL} <= set(self.legend.values()) else None
        self.legend = {} if legend else self.legend
        try:
            maze, layout = of_rows([row.text for row in rows], legend)
        except Malformed as error:
            self._keep([list(row.text) for row in rows], str(error))
            return self.bad(rows[min(error.row, len(rows) - 1)], str(error))
        self._keep([list(row.text) for row in rows], *maze.warnings)
        return self.placed(_puzzle(maze, layout), rows[0], "grid", "grid")

    def _too_wide(self, line: Line, what: str) -> Iterator[Record]:
        """One record for all such lines of a block: they are the rows of one grid."""
        if not self.skipping:
            yield from self._close()
            self.skipping = True
            size = parse.size_text(len(line.text), len(line.text))
            yield self.bad(line, f"{what}; {parse.LIMIT}, {size} is too large")

    # -- whole mazes on a line ----------------------------------------------------------------------------------
    def _whole(self, line: Line) -> Iterator[Record]:
        if _is_prose(line.text):
            if self.one_a_line:
                yield self.no_puzzle(line)
            self.note(line)
            return
        for mark in ("|", ",", "\t", ";"):
            parts = line.text.split(mark)
            if len(parts) == 2 and all("/" in part for part in parts):
                yield self.from_fields(line, *parts)
                return
        try:
            puzzle = self.from_line(line.text)
        except Malformed as error:
            yield self.bad(line, str(error))
            return
        yield self.placed(puzzle, line, "line", "line")

    def is_whole(self, text: str) -> bool:
        if text.count("/") >= SMALLEST - 1:
            return not _is_prose(text.replace("/", ""))
        return isqrt(len(text)) ** 2 == len(text) >= SMALLEST**2 and _ends(text) == (1, 1) and set(text) <= set(VALUES)

    def from_line(self, text: str) -> Puzzle:
        return _puzzle(parse.maze(parse.rows_of_line(text)), "")

    def from_cells(self, cells: Matrix) -> Puzzle:
        if len(cells) == 1 and max(map(len, cells[0])) > 1:  # rows as texts
            cells = [list(row) for row in cells[0]]
        elif len(cells) == 1:  # all cells in one list
            cells = _square(cells[0])
        marks = [[cell_mark(cell) for cell in row] for row in cells]
        try:
            maze = parse.maze(marks)
        except Malformed as error:
            self._keep(marks, str(error))
            raise
        self._keep(marks, *maze.warnings)
        return _puzzle(maze, "")

    def _keep(self, cells: Matrix, *remarks: str) -> None:
        """Keep the cells of a maze that has no ends of its own."""
        if any(remark.startswith("no start") for remark in remarks) and len(set(map(len, cells))) == 1:
            self.endless = cells

    def assembled(self, value: Any) -> Puzzle | None:
        maze = ends.of_object(value) if isinstance(value, dict) else None
        return _puzzle(maze, "") if maze else None

    def answered(self, puzzle: Puzzle, other: Puzzle) -> Puzzle:
        answer = other.question if other.solution is None else other.solution
        return replace(puzzle, solution=parse.fitting(answer, puzzle.question))

    def from_fields(self, line: Line, question: str, answer: str) -> Record:
        if "\n" in line.text:
            return super().from_fields(line, question, answer)
        part = "question"
        try:
            maze = parse.maze(parse.rows_of_line(question))
            part = "answer"
            if answer.strip():
                maze = maze._replace(solution=parse.answer(parse.rows_of_line(answer), maze.question))
        except Malformed as error:
            return self.bad(line, f"{part}: {error}")
        return self.placed(_puzzle(maze, ""), line, "csv", "table")


def _may_be_wide(text: str) -> bool:
    """Whether a row has more characters than cells: separators, or walls as lines."""
    if len(text) > WIDEST_ROW:
        return False
    separators = any(mark in text for mark in ",;\t|+") or is_box_drawing(text)
    return separators or (set(text[1::2]) == {" "} and " " not in text[::2])


def _body(rows: list[Line]) -> list[Line]:
    """The rows without headings, sizes, fences and other text above and below."""
    first, last = 0, len(rows)
    fences = [at for at, row in enumerate(rows) if _FENCE.fullmatch(row.text)]
    if len(fences) == 2 and fences[1] - fences[0] > 2:
        return rows[fences[0] + 1 : fences[1]]
    while first < last and _is_around(rows[first].text, rows[first + 1 : last]):
        first += 1
    while last > first and _is_around(rows[last - 1].text, rows[first : last - 1]):
        last -= 1
    return rows[first:last]


def _is_around(text: str, others: Sequence[Line]) -> bool:
    """Whether a line is text beside a maze: prose, a fence, or its size."""
    if _AROUND.fullmatch(text.strip()) or _is_prose(text):
        return True
    size = _SIZE.fullmatch(text)
    if not size or not others or any(len(row.text) == len(text) for row in others):
        return False
    numbers = {int(number) for number in re.findall(r"\d+", text)}
    if set(text) & set("456789") or numbers <= {len(others), len(others[0].text)}:
        return True
    return not any(set(row.text) & set("0123456789") for row in others[1:])  # the first of them may be a size too


def _is_prose(text: str) -> bool:
    """Whether a line has a word or a number that no row of a maze has."""
    if is_box_drawing(text):
        return False
    words = re.findall(r"[^\W\d_]{2,}", text)
    marks = set("SsAaGgEeBboXxHFTtPWO@")
    strange = [word for word in words if set(word) - marks and len(set(word.lower())) > 1]
    if not any(mark in text for mark in ":=(") and all(word.lower() in WORDS for word in strange):
        return False
    is_code = any(mark in text for mark in "(){};=?$")
    return bool(strange) and (len(text.split()) > 1 or is_code or text.strip().isalpha() or text.strip()[-1:] in ":.!?")


def _puzzle(maze: ParsedMaze, layout: str) -> Puzzle:
    return Puzzle(maze.question, solution=maze.solution, layout=layout, warnings=maze.warnings)


def _ends(text: str) -> tuple[int, int]:
    """How many starts and goals the line holds."""
    starts, goals = (sum(map(text.count, FORMS[cell])) for cell in (START, GOAL))
    return starts, goals


def _square(marks: Sequence[str]) -> Matrix:
    """The rows of all cells of a maze in one list. Raises Malformed unless a border shows that it is square."""
    rows = [list(row) for row in parse.rows_of_line("".join(cell_mark(mark) for mark in marks))]
    border = [*rows[0], *rows[-1], *(mark for row in rows for mark in (*row[:1], *row[-1:]))]
    has_ends = any(VALUES.get(mark) not in (WALL, FLOOR) for row in rows for mark in row)
    if sum(VALUES.get(mark) == FLOOR for mark in border) > (0 if has_ends else 2):  # without ends, two openings
        side = len(rows)
        raise Malformed(
            f'{side**2} cells in one list may be other than {side}x{side}; expected rows, or "width" and "height"'
        )
    return rows


def _nonblank(rows: Sequence[Line]) -> list[Line]:
    return [row for row in rows if row.text.strip()]
