"""Grids of symbols as text: one character a cell, or tokens divided by commas. The default format of a task.

a grid      rows on lines of their own, grids divided by blank lines
a line      the rows joined by `/`, or a square grid without any mark between rows
CSV         with columns question and (optional) answer, rows divided by `/` or by newlines inside quotes
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from math import isqrt

import numpy as np

from trmsolve.errors import TrmsolveError
from trmsolve.tasks.base import InvalidPuzzle, Puzzle
from trmsolve.tasks.reading.table import Table, fields, header
from trmsolve.text_io import Line, character_name, shorten

MAX_SIDE = 1024  # rows, or columns
MAX_FIELD_LINES = 2 * MAX_SIDE  # of a quoted field


class MalformedGrid(Exception):
    """Text that is no grid of these symbols."""


@dataclass(frozen=True)
class Alphabet:
    """The symbols of a grid: cell value v is symbols[v]. Symbols of several characters are divided by commas."""

    symbols: tuple[str, ...]

    @property
    def separator(self) -> str:
        """Between the cells of a row."""
        return "," if any(len(symbol) > 1 for symbol in self.symbols) else ""

    def parse(self, text: str) -> np.ndarray:
        """uint8 (or uint16) (rows, columns) of rows divided by newlines or `/`. Raises MalformedGrid."""
        rows = split_rows(text, self.separator)
        width = len(rows[0])
        values = {symbol: value for value, symbol in enumerate(self.symbols)}
        grid = np.zeros((len(rows), width), np.uint8 if len(self.symbols) <= 256 else np.uint16)
        for r, row in enumerate(rows):
            for c, symbol in enumerate(row):
                if symbol not in values:
                    shown = character_name(symbol) if len(symbol) == 1 else f"'{shorten(symbol, 20)}'"
                    expected = self.separator.join(self.symbols[:40])
                    raise MalformedGrid(f"{shown} in row {r + 1}, column {c + 1}; expected cells out of {expected}")
            if len(row) != width:
                raise MalformedGrid(f"row {r + 1} has {len(row)} cells, the first has {width}")
            grid[r] = [values[symbol] for symbol in row]
        return grid

    def format(self, grid: np.ndarray, between: str) -> str:
        """The rows as text, joined by `between`."""
        return between.join(self.separator.join(self.symbols[value] for value in row) for row in grid.tolist())


def split_rows(text: str, separator: str = "") -> list[list[str]]:
    """The cells of each row; a single row of a square number of characters is a square grid. Raises MalformedGrid."""
    lines = [line for part in text.strip("\r\n").splitlines() for line in part.strip().split("/")]
    if separator or any("," in line for line in lines):
        rows = [[cell.strip() for cell in line.split(",")] for line in lines]
    else:
        rows = [list(line.replace(" ", "") if line[1::2].strip() == "" else line) for line in lines]
    if not rows or not all(rows):
        raise MalformedGrid("a row without cells")
    if len(rows) == 1 and (side := isqrt(len(rows[0]))) > 1 and side * side == len(rows[0]):
        rows = [rows[0][start : start + side] for start in range(0, side * side, side)]
    if max(len(rows), *map(len, rows)) > MAX_SIDE:
        raise MalformedGrid(f"more than {MAX_SIDE} rows or columns")
    return rows


def records(lines: Iterable[Line]) -> Iterator[tuple[int, str, str, str]]:
    """The pieces of a text that stand for one puzzle each: line number, style, question, answer ("" for none)."""
    stream, table, first = iter(lines), None, True
    block: list[Line] = []

    def grid() -> Iterator[tuple[int, str, str, str]]:
        if block:
            style = "line" if len(block) == 1 else "grid"
            yield block[0].number, style, "\n".join(line.text for line in block), ""
            block.clear()

    for line in stream:
        text = line.text
        if first and text.strip():
            first, table = False, header(text)
            if table is not None:
                continue
        if table is not None:
            if text.strip():
                yield line.number, "csv", *_row(line, stream, table)
        elif not text.strip():
            yield from grid()
        elif "/" in text:
            yield from grid()
            yield line.number, "line", text, ""
        else:
            block.append(line)
    yield from grid()


def _row(line: Line, stream: Iterator[Line], table: Table) -> tuple[str, str]:
    """Question and answer of a row of a CSV, whose quoted fields may go on over several lines."""
    text, lines = line.text, 1
    while text.count('"') % 2 and lines < MAX_FIELD_LINES and (more := next(stream, None)) is not None:
        text, lines = f"{text}\n{more.text}", lines + 1
    values = fields(text.replace("\n", "/"), table.delimiter)
    return tuple(values[i] if 0 <= i < len(values) else "" for i in (table.question, table.answer))  # type: ignore[return-value]


def read_grids(
    lines: Iterable[Line], source: str, alphabet: Alphabet, invalid_reason: Callable[[np.ndarray], str]
) -> Iterator[Puzzle | InvalidPuzzle]:
    """The puzzles of a text, each as soon as its last line has been seen. Answers have their question's size."""
    for number, style, question, answer in records(lines):
        place = f"{source}:{number}"
        try:
            grid = alphabet.parse(question)
            if reason := invalid_reason(grid):
                raise MalformedGrid(reason)
            solution = None
            if answer.strip():
                solution = alphabet.parse(answer)
                if solution.shape != grid.shape:
                    raise MalformedGrid("the answer is {}x{}, the question {}x{}".format(*solution.shape, *grid.shape))
            yield Puzzle(grid, place, style, solution)
        except MalformedGrid as error:
            yield InvalidPuzzle(place, str(error), shorten(question.replace("\n", "/")))


def checked_grids(returned: object, name: str, num_symbols: int) -> tuple[np.ndarray, np.ndarray]:
    """The question and the solution that make() of a task returned. Raises TrmsolveError for anything else."""
    names = ("question", "solution")
    expected = f"expected a question and a solution, arrays of integers from 0 to {num_symbols - 1}"
    if not isinstance(returned, tuple | list) or len(returned) != len(names):
        raise TrmsolveError(f"{name}: make() returns {type(returned).__name__}, not two grids", expected)
    for role, grid in zip(names, returned, strict=True):
        if not isinstance(grid, np.ndarray) or grid.dtype.kind not in "iu" or grid.ndim != 2:
            kind = f"{grid.dtype} {grid.shape}" if isinstance(grid, np.ndarray) else type(grid).__name__
            raise TrmsolveError(f"{name}: make() returns a {role} that is no grid: {kind}", expected)
        if grid.size and not 0 <= grid.min() <= grid.max() < num_symbols:
            values = f"{grid.min()} to {grid.max()}"
            raise TrmsolveError(f"{name}: make() returns a {role} with indices from {values}", expected)
    return returned[0], returned[1]
