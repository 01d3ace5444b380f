"""Grids that are given cell by cell."""

from __future__ import annotations

import json

import pytest

from tasks.reading.test_formats import GRID, question, records
from trmsolve.tasks.base import InvalidPuzzle

CELLS = [(r, c, GRID[r][c]) for r in range(9) for c in range(9)]
GIVENS = [cell for cell in CELLS if cell[2]]
LETTERS = "ABCDEFGHI"
ZERO = [{"row": r, "col": c, "value": v} for r, c, v in GIVENS]

SUDOKU = {
    "objects from 0": json.dumps({"cells": ZERO}),
    "objects from 0, indented": json.dumps({"cells": ZERO}, indent=1),
    "objects from 1": json.dumps({"cells": [{"r": r + 1, "c": c + 1, "v": v} for r, c, v in CELLS]}),
    "a list": json.dumps(ZERO),
    "a list over lines": json.dumps(ZERO, indent=2),
    "x and y": json.dumps({"givens": [{"x": c, "y": r, "value": v} for r, c, v in GIVENS]}),
    "triples": json.dumps({"size": 9, "givens": GIVENS}),
    "names": json.dumps({f"{LETTERS[r]}{c + 1}": v for r, c, v in GIVENS}),
    "names over lines": json.dumps({f"{LETTERS[r]}{c + 1}": v or None for r, c, v in CELLS}, indent=1),
    "names of a spreadsheet": json.dumps({f"{LETTERS[c]}{r + 1}": v for r, c, v in GIVENS}),
    "names of rows and columns": json.dumps({"puzzle": {f"r{r + 1}c{c + 1}": v for r, c, v in GIVENS}}),
    "pairs": json.dumps({f"{r},{c}": v for r, c, v in GIVENS}),
    "tuples of Python": "clues = {" + ", ".join(f"({r}, {c}): {v}" for r, c, v in GIVENS) + "}",
    "table from 1": "row,col,value\n" + "\n".join(f"{r + 1},{c + 1},{v}" for r, c, v in GIVENS),
    "table from 0, then text": "r;c;v\n" + "\n".join(f"{r};{c};{v}" for r, c, v in GIVENS) + "\n\nThe end.",
    "rows by name": json.dumps({f"row{n}": row for n, row in enumerate(GRID, 1)}),
    "rows as texts": json.dumps({f"row_{n}": "".join(map(str, row)) for n, row in enumerate(GRID)}),
    "objects in rows": json.dumps({"grid": [[{"value": v, "given": v > 0} for v in row] for row in GRID]}),
    "empty objects in rows": json.dumps({"grid": [[{"value": v} if v else {} for v in row] for row in GRID]}),
}  # fmt: skip


@pytest.mark.parametrize("text", SUDOKU.values(), ids=SUDOKU)
def test_sudoku(text):
    assert question("sudoku", text).tolist() == GRID


def test_entered_digits_are_no_givens():
    cells = [[{"value": v or 1, "given": v > 0} for v in row] for row in GRID]
    (record,) = records("sudoku", json.dumps({"grid": cells}))
    assert record.question.tolist() == GRID


INNER = [{"row": r, "col": c, "value": v} for r, c, v in GIVENS if 0 < r < 8 and 0 < c < 8]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"cells": INNER}, "counted from 0 or 1"),  # neither an edge nor the size says which
        ({"size": 9, "cells": INNER}, "counted from 0 or 1"),
        ({"cells": [*ZERO, {"row": 9, "col": 9, "value": 1}]}, "unknown size"),
        ({"cells": [*ZERO, {"row": 0, "col": 0, "value": 4}]}, "row 0, column 0 is given twice, as 5 and 4"),
        ({"cells": [*ZERO, {"row": 0, "col": 2, "value": "x7"}]}, "row 0, column 2 holds 'x7'"),
        ({"boxes": GRID}, "the lists in 'boxes' are no rows"),
        ({"columns": GRID}, "the lists in 'columns' are no rows"),
        ({str(n): row for n, row in enumerate(GRID)}, "lists by 0 to 8 may be columns"),  # as pandas writes them
        ({"cells": [{"row": r, "col": c, "value": 0} for r, c, _ in CELLS]}, "all of them blank"),
        ([{"row": 9, "col": 9, "rating": n} for n in range(5)], "an object with the keys row, col, rating"),
        ({f"c{n}": digit for n, digit in enumerate(GRID[0])}, "lists by c0 to c8 may be columns"),  # one row, not row C
        ([{"rating": 3}, {"rating": 4}], "an object with the keys rating"),
    ],
)
def test_open_places_are_refused(value, reason):
    record = records("sudoku", json.dumps(value))[0]
    assert isinstance(record, InvalidPuzzle) and reason in record.message


def test_how_places_were_taken_is_said():
    (record,) = records("sudoku", SUDOKU["names"])
    assert record.layout.endswith("cells with places, counted from 1")
    assert record.warnings == ("letters are taken as rows, numbers as columns",)


@pytest.mark.parametrize("other", ["entry", "sol", "grid[{}][{}]"])
def test_facts_of_several_names_are_refused(other):
    """Entries or a solution among the givens."""
    entry = other + " = {}" if "[" in other else other + "({},{},{})."
    facts = [f"given({r},{c},{v})." for r, c, v in GIVENS]
    (record,) = records("sudoku", "\n".join([*facts, *(entry.format(0, c, c) for c in (3, 5, 6))]))
    assert isinstance(record, InvalidPuzzle) and "facts of several names, given and " in record.message
