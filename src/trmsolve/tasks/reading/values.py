"""From the values of documents to puzzles: objects, lists of rows, lists of puzzles, whatever the task."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from trmsolve.tasks.base import InvalidPuzzle, Line, Puzzle
from trmsolve.tasks.reading import table as tables
from trmsolve.tasks.reading.collectors import Value, cell_text, document_kind, is_path, num_cells
from trmsolve.tasks.reading.layout import Matrix, is_sequence
from trmsolve.tasks.reading.places import row_of
from trmsolve.text_io import shorten

Record = Puzzle | InvalidPuzzle

MOST_OTHERS = 8  # values of a list or an object that is beside a puzzle, such as [1, 1]
FEWEST_CELLS = 16  # of a puzzle whose cells stand in one list
LONGEST_CELL = 4  # characters of a cell among others: null, None; longer texts are rows
_ROW = re.compile(r"(?i)(row|r|line)[ _-]?\d+")  # of an object's rows
_NO_ROWS = re.compile(r"(?i)(.*_)?(box|block|region|square|col|column|group|house|unit|sub_?grid)(e?s)")  # other cells


_NEAREST = (  # by how a text begins or what stands in it
    (r"\s*<", "HTML or XML: <tr> with a <td> for each cell, <row>, or one element with all cells"),
    (r"\s*\\", "LaTeX: the cells of a row between &, \\\\ at its end"),
    (r"\s*[\[{(]", 'JSON: {"puzzle": ...}, a list of rows, or of cells with row, col and value'),
    (r"[^,;\t]*[,;\t]", "CSV: the cells of a row, or a puzzle below a header with the column question"),
    (r"[^|]*\|", "a frame or a markdown table: the cells of a row between |"),
    (r"", "plain rows of cells, one below the other"),
)


def nearest(text: str) -> str:
    """The known format that a text without a puzzle looks like, for messages."""
    return "nearest known format: " + next(name for pattern, name in _NEAREST if re.match(pattern, text))


class Malformed(Exception):
    """Cells that are no puzzle; `row` is the row at fault (0-based) where there is one. Never leaves the readers."""

    def __init__(self, message: str, row: int = 0) -> None:
        super().__init__(message)
        self.row = row


class ValueReader:
    """Reads the values of documents. A task adds what is a puzzle."""

    task = ""
    expected = ""  # what an input should hold, for messages

    def __init__(self, name: str) -> None:
        self.name = name  # of the input, for messages
        self.count = 0  # records so far

    def read(self, lines: Iterable[Line]) -> Iterator[Record]:
        """The records of an input in order, at least one."""
        raise NotImplementedError

    # -- what a task adds ---------------------------------------------------------------------------------------
    def is_whole(self, text: str) -> bool:
        """Whether a text is a complete puzzle on one line."""
        raise NotImplementedError

    def from_line(self, text: str) -> Puzzle:
        """The puzzle that a text without line breaks holds, and its solution if it shows one. Raises Malformed."""
        raise NotImplementedError

    def from_cells(self, cells: Matrix) -> Puzzle:
        """The puzzle of a matrix of cell texts. Raises Malformed."""
        raise NotImplementedError

    def assembled(self, value: Any) -> Puzzle | None:
        """The puzzle that parts of an object or a list make together, such as cells with places; None for others.

        Raises Malformed.
        """
        return None

    def answered(self, puzzle: Puzzle, other: Puzzle) -> Puzzle:
        """The puzzle with what is written as its answer; as it is where that is no answer. Raises Malformed."""
        raise NotImplementedError

    # -- records ------------------------------------------------------------------------------------------------
    def bad(self, line: Line, message: str) -> InvalidPuzzle:
        """The record of what is no puzzle."""
        return InvalidPuzzle(f"{self.name}:{line.number}", message, shorten(line.text))

    def placed(self, puzzle: Puzzle, line: Line, style: str, layout: str) -> Puzzle:
        """A puzzle with its source, its style and how it was written."""
        name = layout if not puzzle.layout else f"{layout}: {puzzle.layout}" if layout else puzzle.layout
        return Puzzle(puzzle.question, f"{self.name}:{line.number}", style, puzzle.solution, name, puzzle.warnings)

    def _from_value(self, value: Value, layout: str) -> Iterator[Record]:
        """The records of a value, at least one."""
        if value.damage:
            yield self.bad(value.line, f"{value.damage}; expected {self.expected}")
            return
        records = list(self._records(value.value, value.line, layout))
        if not records:
            known_format = nearest("<" if layout.startswith("HTML") else "{")
            message = f"no puzzle: {document_kind(value.value)}; expected {self.expected}; {known_format}"
            records = [self.bad(value.line, message)]
        yield from records

    def _records(self, value: Any, line: Line, layout: str) -> Iterator[Record]:
        if isinstance(value, list) and len(value) > 1:
            if all(isinstance(part, str) and part.endswith("\n") for part in value[:-1]):
                value = "".join(map(str, value))  # the lines of a notebook's cell
            elif all(rows := [row_of(part) for part in value]):
                value = rows
        try:
            together = self.assembled(value) if isinstance(value, dict | list) else None
        except Malformed as error:
            yield self.bad(line, str(error))
            return
        if together is not None:
            yield self.placed(together, line, "line", layout)
        elif isinstance(value, dict):
            yield from self._from_object(value, line, layout)
        elif isinstance(value, str):
            if "\n" in value.strip("\n"):
                yield from self.within(value, line, layout)
            elif self.is_whole(value):
                yield self._guarded(value, None, line, layout)
        elif isinstance(value, list) and value:
            if self._is_one(value):
                yield self._guarded(value, None, line, layout)
            elif len(value) == 2 and all(map(self._is_one, value)) and self._answers(*value):
                yield self._guarded(value[0], value[1], line, layout)
            else:
                for part in value:
                    whole = not isinstance(part, str) or self.is_whole(part) or "\n" in part
                    yield from self._records(part, line, layout) if whole else [self._guarded(part, None, line, layout)]

    def within(self, text: str, line: Line, layout: str, step: int = 0) -> Iterator[Record]:
        """The puzzles of a text of several lines in a document, or what is wrong with them; nothing for prose.

        step: 1 where its lines are lines of the input too.
        """
        part = type(self)(self.name)
        lines = text.strip("\n").split("\n")
        records = list(part.read(Line(line.number + step * number, text) for number, text in enumerate(lines)))
        puzzles = [record for record in records if isinstance(record, Puzzle)]
        for puzzle in puzzles:
            yield self.placed(puzzle, Line(int(puzzle.source.rpartition(":")[2]), ""), puzzle.style, layout)
        if part.count and not puzzles and not step:
            yield from records

    def _is_one(self, value: Any) -> bool:
        """Whether a value is one puzzle: rows of cells, rows as texts, or all cells in one list."""
        if isinstance(value, str):
            return self.is_whole(value)
        if not isinstance(value, list) or not value:
            return False
        if all(isinstance(row, list) for row in value):
            cells = [cell for row in value for cell in row]
            is_text = len(cells) == 1 and isinstance(cells[0], str) and self.is_whole(cells[0])
            are_cells = not any(isinstance(cell, list | dict) for cell in cells)
            return not is_text and are_cells and not all(map(self._are_rows, value))
        if any(isinstance(cell, list | dict) for cell in value):
            return False
        num_whole = sum(isinstance(cell, str) and self.is_whole(cell) for cell in value)
        # A row may look like a puzzle: one of a 9x9 maze like a 3x3 maze, one of a 16x16 Sudoku like a 4x4 Sudoku.
        return num_whole == 0 or (num_whole < len(value) and self._are_rows(value))

    def _are_rows(self, texts: list[Any]) -> bool:
        """Whether texts of equal length, too long for cells, are the rows of one puzzle."""
        lengths = {len(text) if isinstance(text, str) else 0 for text in texts}
        if len(texts) == 1 or len(lengths) != 1 or max(lengths) <= LONGEST_CELL:
            return False
        try:
            self._puzzle(texts)
        except Malformed:
            return False
        return True

    def _answers(self, question: Any, answer: Any) -> bool:
        """Whether the second of two values is the solution of the first."""
        try:
            return self.answered(self._puzzle(question), self._puzzle(answer)).solution is not None
        except Malformed:
            return False

    def _from_object(self, value: dict[Any, Any], line: Line, layout: str) -> Iterator[Record]:
        other = value.get("task")
        if isinstance(other, str) and "puzzle" in value and other != self.task and other.isidentifier():
            yield self.bad(line, f"a record of the task '{other}'; expected {self.task}: trmsolve {other} FILE")
            return
        keys = list(value)
        question, answer = tables.columns([str(key) for key in keys])
        is_answered = answer >= 0 and self._is_one(value[keys[answer]])
        if question < 0 and is_answered:  # {"value": [[...]], "solution": [[...]]}
            others = [i for i, key in enumerate(keys) if i != answer and self._is_one(value[key])]
            question = others[0] if len(others) == 1 else -1
        if question >= 0 and (isinstance(value[keys[question]], str) or self._is_one(value[keys[question]])):
            has_answer = answer >= 0 and value.get("solved") is not False and not is_path(value[keys[answer]])
            yield self._guarded(value[keys[question]], value[keys[answer]] if has_answer else None, line, layout)
            return
        if self._is_one([row_of(part) or part for part in value.values()]) and is_sequence(list(map(str, value))):
            if all(_ROW.fullmatch(str(key)) for key in value):
                yield self._guarded(list(value.values()), None, line, layout)
            else:
                yield self.bad(
                    line, f"lists by {keys[0]} to {keys[-1]} may be columns; expected rows in a list, or row1"
                )
            return
        if is_answered:
            others = [part for part in value.values() if part is not value[keys[answer]]]
            if max(map(num_cells, others), default=0) < FEWEST_CELLS:
                yield self.bad(line, f"only a solution, '{keys[answer]}'; expected its puzzle beside it")
                return
        for key, part in value.items():
            if isinstance(part, list) and num_cells(part) == len(part) < FEWEST_CELLS:
                continue  # names of columns, a start
            if _NO_ROWS.fullmatch(str(key)) and self._is_one(part):
                yield self.bad(line, f"the lists in '{shorten(str(key), 20)}' are no rows; expected rows of cells")
            elif (isinstance(part, dict | list) and num_cells(part) > MOST_OTHERS) or (
                isinstance(part, str) and self.is_whole(part)
            ):
                yield from self._records(part, line, layout)

    def _guarded(self, question: Any, answer: Any, line: Line, layout: str, style: str = "") -> Record:
        """The record of a question and its answer, or of what is wrong with them."""
        part = ""
        try:
            puzzle = self._puzzle(question)
            part = "answer: "
            if answer not in (None, "", [], "null"):
                puzzle = self.answered(puzzle, self._puzzle(answer))
        except Malformed as error:
            return self.bad(line, f"{part}{error}")
        return self.placed(puzzle, line, style or puzzle.style or "line", layout)

    def _puzzle(self, value: Any) -> Puzzle:
        """The puzzle of a text, of rows, or of a list of all cells. Raises Malformed."""
        if isinstance(value, list):
            if all(isinstance(row, list) for row in value):
                return self.from_cells([[cell_text(cell) for cell in row] for row in value])
            texts = [cell_text(cell) for cell in value]
            if any(len(text) > LONGEST_CELL for text in texts):
                return self._one_of(texts)
            return self.from_cells([texts])
        if isinstance(value, dict):
            raise Malformed("an object, expected a grid")
        text = str(value)
        return self._one_of(text.splitlines()) if "\n" in text.strip("\r\n") else self.from_line(text)

    def _one_of(self, lines: Sequence[str]) -> Puzzle:
        """The only puzzle of a few lines."""
        records = list(type(self)(self.name).read(Line(number, text) for number, text in enumerate(lines, 1)))
        if len(records) != 1:
            raise Malformed(f"{len(records)} puzzles in one field, expected one")
        if isinstance(records[0], InvalidPuzzle):
            number = records[0].source.removeprefix(self.name).strip(":")
            raise Malformed(f"line {number} of it: {records[0].message}" if number else records[0].message)
        return records[0]
