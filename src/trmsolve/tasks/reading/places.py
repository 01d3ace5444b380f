"""Grids that are given cell by cell, each with its place.

{"cells": [{"row": 0, "col": 1, "value": 3}]}    {"A1": 5, "A2": 3}    {"r1c1": 5}    {"0,0": 5}    [[0, 0, 5], ...]
row,col,value                                    a table with a header that names these
1,1,5
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from trmsolve.tasks.reading.collectors import Collector, State, Value
from trmsolve.tasks.reading.layout import is_sequence
from trmsolve.tasks.reading.table import DELIMITERS, fields
from trmsolve.text_io import Line, shorten

ROW, COLUMN = ("row", "r", "y", "i"), ("col", "column", "c", "x", "j")
CONTENT = ("value", "val", "v", "digit", "number", "given", "clue")

POSITION = ("position", "pos", "coord", "coords", "coordinates")
GIVEN = ("given", "fixed", "isGiven", "is_given", "locked", "editable")  # whether a cell is part of the question
KINDS = ("given", "fixed", "clue")  # "type": "given"
PAIRS = "pairs of numbers are taken as row, column"

FEWEST = 17  # cells of a 9x9 grid whose size is not stated: fewer leave several solutions, or are no grid

Cell = tuple[int, int, Any]  # row and column as they are counted there, content

_ROW = re.compile(r"(?i)(row|r|line)[ _-]?\d+")
_NAMED = re.compile(r"r(?:ow)?[ _-]?(\d{1,2})[ _,-]?c(?:ol)?[ _-]?(\d{1,2})", re.IGNORECASE)
_PAIR = re.compile(r"[(\[]?\s*(\d{1,2})\s*[,_:;-]\s*(\d{1,2})\s*[)\]]?")
_FACT = re.compile(
    r"\s*([A-Za-z_]\w*)\s*(?:\(\s*(\d\d?)\s*,\s*(\d\d?)\s*,\s*(\d\d?)\s*\)"
    r"|\[\s*(\d\d?)\s*(?:,|\]\s*\[)\s*(\d\d?)\s*\]\s*=\s*(\d\d?))\s*[.;,]?\s*"
)
_LETTERED = re.compile(r"([A-Y])(\d{1,2})", re.IGNORECASE)


def place(value: Any) -> tuple[int, int] | None:
    """The (row, column) of {"row": 1, "col": 2}, {"x": 2, "y": 1}, [1, 2] or "1,2", as counted; None for others."""
    if isinstance(value, dict):
        value = _first(value, POSITION) or [_first(value, ROW), _first(value, COLUMN)]
    if isinstance(value, str) and (pair := _PAIR.fullmatch(value.strip())):
        value = list(pair.groups())
    if not isinstance(value, list) or len(value) != 2:
        return None
    if not all(isinstance(part, str) and re.fullmatch(r"\d{1,3}", part) for part in value):
        return None
    return int(value[0]), int(value[1])


def is_cell(value: Any) -> bool:
    """Whether this is an object with a row, a column and a value."""
    return isinstance(value, dict) and place(value) is not None and any(str(key).lower() in CONTENT for key in value)


def row_of(value: Any) -> list[Any] | None:
    """The cells of an object whose keys number columns, {"0": 5, "1": 3, ...}; None for others."""
    if not isinstance(value, dict) or any(isinstance(cell, list | dict) for cell in value.values()):
        return None
    keys = list(map(str, value))
    return list(value.values()) if is_sequence(keys) and not any(map(_ROW.fullmatch, keys)) else None


def placed_cells(value: Any) -> tuple[list[Cell], str] | None:
    """Each cell that a list or an object names by its place, and how places that name no row were taken; None where it
    is neither."""
    note = ""
    if isinstance(value, list) and len(value) > 3:
        if all(isinstance(cell, list) and len(cell) == 3 for cell in value):
            named, note = [(place(cell[:2]), cell[2]) for cell in value], PAIRS
        elif all(is_cell(cell) for cell in value):
            named = list(zip(map(place, value), _contents(value, CONTENT) or (), strict=False))
        else:
            return None
    elif isinstance(value, dict) and len(value) > 3:
        places, note = _places([str(key).strip() for key in value])
        named = list(zip(places, value.values(), strict=True))
    else:
        return None
    cells = [(*at, content) for at, content in named if at is not None]
    scalars = not any(isinstance(content, list | dict) for *_, content in cells)
    is_grid = all(len({cell[axis] for cell in cells}) > 1 for axis in (0, 1))  # c1 to c9 are columns of one row
    return (cells, note) if len(cells) == len(named) > 3 and scalars and is_grid else None


def _first(value: dict[Any, Any], names: Sequence[str]) -> Any:
    keys = {str(key).lower(): key for key in value}
    return next((value[keys[name]] for name in names if name in keys), None)


def _places(keys: Sequence[str]) -> tuple[Sequence[tuple[int, int] | None], str]:
    """The places that keys name, and how they were taken.

    Of letters and numbers in order, A1, A2, B1 are taken as rows A and B, as most programs name them; A1, B1, A2 as a
    spreadsheet's columns.
    """
    for pattern, note in ((_NAMED, ""), (_PAIR, PAIRS)):
        matches = [pattern.fullmatch(key) for key in keys]
        if all(matches):
            return [(int(match[1]), int(match[2])) for match in matches if match], note
    lettered = [_LETTERED.fullmatch(key) for key in keys]
    pairs = [(ord(match[1].upper()) - 64, int(match[2])) for match in lettered if match]
    if len(pairs) == len(keys) and pairs == sorted(pairs):
        return pairs, "letters are taken as rows, numbers as columns"
    if len(pairs) == len(keys) and pairs == sorted(pairs, key=lambda pair: pair[::-1]):
        return [(number, letter) for letter, number in pairs], "letters are taken as columns, numbers as rows"
    return [None] * len(keys), ""


def extent(cells: Sequence[Cell], size: int = 0) -> tuple[int, int] | None:
    """The side of the square grid that cells are of, and whether they count from 0 or 1; None where either is open.

    size: the side where it is stated, otherwise 0.
    """
    indices = [index for cell in cells for index in cell[:2]]
    first, last = min(indices), max(indices)
    if size and first > 0 and last < size:
        return None
    base = 0 if first == 0 else 1
    side = size or last + 1 - base
    places = len({cell[:2] for cell in cells})
    is_certain = size or (side == 9 and places >= FEWEST) or places == side**2  # 8x8 may be 9x9 with empty edges
    return (side, base) if is_certain and last - base < side else None


def contents_of_objects(rows: Any) -> list[list[Any]] | None:
    """A matrix whose cells are objects, {"value": 5, "given": true} or {}; None for others.

    Of cells that say whether they are givens only those are kept.
    """
    if not isinstance(rows, list) or not all(isinstance(row, list) and row for row in rows):
        return None
    cells = [cell for row in rows for cell in row]
    if not cells or not all(isinstance(cell, dict) for cell in cells):
        return None
    contents = _contents(cells, CONTENT[:5])
    if contents is None or not any(_first(cell, CONTENT[:5]) is not None for cell in cells):
        return None
    rest = iter(contents)
    return [[next(rest) for _ in row] for row in rows]


def _contents(cells: Sequence[dict[Any, Any]], names: Sequence[str]) -> list[Any] | None:
    """What cells hold, of cells that say which of them are givens only those; None where several keys say so."""
    flags = [name for name in GIVEN if any(name in cell for cell in cells)]
    if flags[1:]:
        return None
    by_kind = not flags and any(word in KINDS for cell in cells for word in cell.values())

    def is_given(cell: dict[Any, Any]) -> bool:
        if by_kind:
            return any(word in KINDS for word in cell.values())
        return not flags or (cell.get(flags[0]) in (True, "true", "1")) != (flags[0] == "editable")

    return [_first(cell, names) if is_given(cell) else None for cell in cells]


def cell_table(text: str) -> CellTable | None:
    """The table of cells with places that this line begins: its header, or facts; None where it begins none."""
    if not text[:1].isalpha():
        return None
    if _facts(text):
        return CellTable(_facts, None)
    for delimiter in DELIMITERS if len(text) <= 80 else ():
        names = [name.strip().strip('"').lower() for name in fields(text, delimiter)]
        columns = [[names.index(name) for name in some if name in names] for some in (ROW, COLUMN, CONTENT)]
        if len(names) == 3 and all(columns):
            return CellTable(partial(_table_row, delimiter, [indices[0] for indices in columns]), text)
    return None


def _table_row(delimiter: str, columns: Sequence[int], text: str) -> list[list[str]]:
    parts = [part.strip() for part in fields(text, delimiter)]
    is_row = len(parts) == 3 and all(parts[at].isdecimal() for at in columns[:2])
    return [[parts[at] for at in columns]] if is_row else []


def _facts(text: str) -> list[list[str]]:
    """The triples of a line of given(1, 2, 5). or grid[0][1] = 5, [] where it is none."""
    facts, end = list(_FACT.finditer(text)), 0
    for fact in facts:
        if fact.start() != end or fact[1] != facts[0][1]:
            return []
        end = fact.end()
    return [[part for part in fact.groups()[1:] if part] for fact in facts] if end == len(text) else []


class CellTable(Collector):
    """Lines of row, column and value as a list of triples."""

    format = "table of cells"

    def __init__(self, triples: Callable[[str], list[list[str]]], header: str | None) -> None:
        super().__init__()
        self.triples, self.header = triples, header
        self.rows: list[list[str]] = []
        self.names: dict[str, None] = {}  # of facts

    def add(self, line: Line) -> Iterator[Value]:
        self.lines.append(line)
        triples = self.triples(line.text) if len(self.rows) <= 625 else []
        self.rows += triples
        if triples and (fact := _FACT.match(line.text)):
            self.names[fact[1]] = None
        if not triples and line.text != self.header:
            yield from self.end()

    def end(self) -> Iterator[Value]:
        if len(self.rows) < (4 if self.header else 16):
            self.state = State.FAILED
            return
        self.state = State.DONE
        names = " and ".join(self.names)
        damage = f"facts of several names, {shorten(names, 60)}: givens or entries" if len(self.names) > 1 else ""
        yield Value(self.lines[0], self.rows, damage)
        self.lines = [line for line in self.lines[-1:] if not self.triples(line.text)]  # to be read as text
