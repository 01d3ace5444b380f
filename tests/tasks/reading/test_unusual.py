"""Documents whose cells stand unusually, and documents of other puzzles and games, which are refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tasks.reading.test_formats import ANSWER, GRID, MAZE, QUESTION, ROWS, question, records
from trmsolve.tasks import get
from trmsolve.tasks.base import InvalidPuzzle, Puzzle

FULL = [list(map(int, ANSWER[at : at + 9])) for at in range(0, 81, 9)]
FULL_ROWS = ["".join(map(str, row)) for row in FULL]
ZEROS = [row.replace(".", "0") for row in ROWS]
GIVENS = [(r, c, digit) for r, row in enumerate(GRID) for c, digit in enumerate(row) if digit]
CODE = ["grid = [\n", *(f"  {row},\n" for row in GRID), "]\n", "solve(grid)"]

SUDOKU = {
    "rows as objects": json.dumps([{str(n): digit for n, digit in enumerate(row)} for row in GRID]),
    "a notebook": json.dumps({"cells": [{"cell_type": "markdown", "source": ["# x\n", "y"]}, {"source": CODE}]}),
    "facts": "\n".join(f"given({r + 1},{c + 1},{digit})." for r, c, digit in GIVENS),
    "facts on one line": " ".join(f"x({r},{c},{digit})." for r, c, digit in GIVENS),
    "assignments": "\n".join(f"grid[{r}][{c}] = {digit}" for r, c, digit in GIVENS),
    "cells with positions": json.dumps(
        {
            "cells": [
                {"position": [r, c], "value": v or 1, "fixed": v > 0} for r in range(9) for c, v in enumerate(GRID[r])
            ]
        }
    ),
    "a kind for each cell": json.dumps(
        {"grid": [[{"value": v or 1, "type": "given" if v else "user"} for v in row] for row in GRID]}
    ),
    "bullets": "\n".join("- " + " ".join(row) for row in ROWS),
    "named rows between commas": "\n".join(f"Row {n}: {', '.join(row)}" for n, row in enumerate(ZEROS, 1)),
    "BASIC": "\n".join(f"{n}0 DATA {','.join(row)}" for n, row in enumerate(ZEROS, 1)),
    "a wiki, one cell a line": "{|\n" + "\n".join("|-\n" + "\n".join("| " + c for c in row) for row in ROWS) + "\n|}",
    "BBCode": "[table]" + "".join(f"[tr]{''.join(f'[td]{c}[/td]' for c in row)}[/tr]" for row in ROWS) + "[/table]",
    "AsciiDoc": "|===\n" + "\n".join("|" + "|".join(row) for row in ROWS) + "\n|===",
    "escaped dots": "https://example.org/?p=" + QUESTION.replace(".", "%2E"),
    "Scheme": "(define b '((" + ")\n (".join(" ".join(row) for row in ZEROS) + ")))",
    "Visual Basic": "Dim g(,) As Integer = {{" + "},\n {".join(", ".join(row) for row in ZEROS) + "}}",
    "Nim": "let g = @[@[" + "],\n@[".join(", ".join(row) for row in ZEROS) + "]]",
    "Dart": "final List<List<int>> g = <List<int>>[\n" + ",\n".join(f"  <int>{row}" for row in GRID) + ",\n];",
    "MiniZinc": f"start = array2d(1..9, 1..9, [{', '.join(QUESTION.replace('.', '_'))}]);",
}


@pytest.mark.parametrize("text", SUDOKU.values(), ids=SUDOKU)
def test_sudoku(text):
    assert question("sudoku", text).tolist() == GRID


SOLVED = {
    "beside it": "\n".join(f"{row}   {full}" for row, full in zip(ROWS, FULL_ROWS, strict=True)),
    "behind an arrow": "\n".join(
        f"{row} {'->' if n == 4 else '  '} {full}" for n, (row, full) in enumerate(zip(ROWS, FULL_ROWS, strict=True))
    ),
    "with its givens": json.dumps({"board": FULL, "fixed": [[v > 0 for v in row] for row in GRID]}),
}


@pytest.mark.parametrize("text", SOLVED.values(), ids=SOLVED)
def test_solutions(text):
    (record,) = records("sudoku", text)
    assert record.question.tolist() == GRID and record.solution.tolist() == FULL


def test_two_puzzles_side_by_side():
    other = [row[::-1] for row in ROWS]
    first, second = records("sudoku", "\n".join(f"{a}     {b}" for a, b in zip(ROWS, other, strict=True)))
    assert first.question.tolist() == GRID and second.question.tolist() == [row[::-1] for row in GRID]


FROM_ZERO = [["." if c == "." else str(int(c) - 1) for c in row] for row in ROWS]
REFUSED = {
    "digits 0-8": ("\n".join(map("".join, FROM_ZERO)), "0 may be a digit of 0-8 or a blank"),
    "a solution only": (json.dumps({"solution": FULL}), "only a solution, 'solution'"),
    "a mask": (
        json.dumps({"grid": FULL, "mask": [[int(v > 0) for v in row] for row in GRID]}),
        "may mark the givens or",
    ),
    "some digits in brackets": (
        "\n".join(" ".join(f"[{v}]" if v == 5 else str(v) for v in row) for row in FULL),
        "some digits are marked, as [5]",
    ),
    "a killer": (json.dumps({"grid": GRID, "cages": [{"sum": 3, "cells": [[0, 2], [0, 3]]}]}), "'cage' is not of a"),
    "a jigsaw": (json.dumps({"puzzle": QUESTION, "regions": "111222333" * 9}), "'region' is not of a"),
    "a few points": ("x,y,value\n1,1,5\n2,1,6\n2,2,7\n9,9,1", "of an unknown size"),
    "a rule of stars": ("Some text\n" + "*" * 81, "no puzzle"),
}


@pytest.mark.parametrize(("text", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_standard_sudoku(text, reason):
    (record,) = records("sudoku", text)
    assert isinstance(record, InvalidPuzzle) and reason in record.message


def test_the_name_of_another_puzzle_is_a_warning():
    (record,) = records("sudoku", "Jigsaw Sudoku\n" + "\n".join(ROWS))
    assert "the text names 'Jigsaw Sudoku'" in record.warnings[0]


LINES = "\n".join(MAZE)
DOTS = LINES.replace(" ", ".")
WALLS = [[r, c] for r, row in enumerate(MAZE) for c, mark in enumerate(row) if mark == "#"]
MAZES = {
    "comments": "\n".join("// " + row for row in MAZE),
    "a block comment": "/**\n" + "\n".join(" * " + row for row in MAZE) + "\n */",
    "a diff": "@@ -0,0 +1,5 @@\n" + "\n".join("+" + row for row in MAZE),
    "numbers of columns": "  0123456\n" + "\n".join(f"{n} {row}" for n, row in enumerate(MAZE)),
    "words": "\n".join(
        ",".join({"#": "wall", " ": "path", "S": "start", "G": "end"}[mark] for mark in row) for row in MAZE
    ),
    "a raw string of Rust": f'let maze = r#"\n{LINES}\n"#;',
    "a heredoc": f"cat > maze.txt <<EOF\n{LINES}\nEOF",
    "a margin": 'val maze = """\n' + "\n".join("    |" + row for row in MAZE) + '\n""".trimMargin()',
    "one string": 'maze = "' + "\\n".join(MAZE) + '"',
    "walls by place": json.dumps({"width": 7, "height": 5, "start": [1, 1], "goal": [3, 5], "walls": WALLS}),
    "classes": "<table>" + "".join(
        "<tr>" + "".join(f"<td class='{ {'#': 'wall', 'S': 'start', 'G': 'goal'}.get(m, 'open') }'></td>" for m in row)
        + "</tr>" for row in MAZE
    ) + "</table>",
    "a way of dots": LINES.replace("#S    #", "#S....#").replace("# ### #", "# ###.#"),
}  # fmt: skip


@pytest.mark.parametrize("text", MAZES.values(), ids=MAZES)
def test_maze(text):
    assert get("maze").format_line(question("maze", text)) == "/".join(MAZE)


@pytest.mark.parametrize("between", ["---", "=======", "5 7"])
def test_mazes_between_rules_and_sizes(between):
    puzzles = records("maze", f"5 7\n{DOTS}\n{between}\n{DOTS}")
    assert len(puzzles) == 2 and all(isinstance(record, Puzzle) for record in puzzles)
    assert np.array_equal(puzzles[0].question, puzzles[1].question)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("#######\n#     #\n# .$@ #\n#     #\n#######", "both spaces and ."),  # Sokoban
        ("%%%%%%%%%\n%G.   P.%\n%.%%%%%.%\n%o.....o%\n%%%%%%%%%", "both spaces and ."),  # Pac-Man
        ("\n".join("# " + row for row in MAZE), "may mark comments"),
        (LINES.translate(str.maketrans("# SG", "⬜⬛🟩🟥")), "may be floor or"),
        ("maze = [[0,0,1],[0,0,0],[0,0,0]], start = [0,1], destination = [2,2]", "they may be row, column"),
    ],
)
def test_what_is_no_maze_or_two_mazes(text, reason):
    (record,) = records("maze", text)
    assert isinstance(record, InvalidPuzzle) and reason in record.message


LOOK_LIKE_PUZZLES = {  # a row of a 9x9 maze like a 3x3 maze, rows of a 16x16 Sudoku like 4x4 Sudokus
    "maze": ["#########", "# S # G #", "# # # # #", *["#       #"] * 5, "#########"],
    "sudoku": ["1..2...........3", *["." * 16] * 14, "..........F....A"],
}


@pytest.mark.parametrize("task", LOOK_LIKE_PUZZLES)
@pytest.mark.parametrize("indent", [None, 1])
def test_rows_that_look_like_puzzles_are_rows_of_one(task, indent):
    rows = LOOK_LIKE_PUZZLES[task]
    expected = question(task, "\n".join(rows))
    assert expected.shape == (len(rows), len(rows))
    for value, number in ((rows, 1), ({"puzzle": rows}, 1), ([rows, rows, rows], 3)):
        read = records(task, json.dumps(value, indent=indent))
        assert len(read) == number
        for record in read:
            assert isinstance(record, Puzzle), record
            np.testing.assert_array_equal(record.question, expected)


def test_puzzles_in_a_list_stay_apart_where_one_of_them_is_damaged():
    read = records("sudoku", json.dumps([QUESTION, QUESTION[:80] + "z", QUESTION]))
    assert [isinstance(record, Puzzle) for record in read] == [True, False, True]
    read = records("maze", json.dumps(["S..#.#..G", "S..#.#..Z", "S.#..#..G"]))
    assert [isinstance(record, Puzzle) for record in read] == [True, False, True]
