"""Grids in the source code of many languages: each text holds one puzzle; what is stored by columns is refused."""

from __future__ import annotations

import pytest

from tasks.reading.test_formats import GRID, MAZE, NUMBERS, ROWS, question, records
from trmsolve.tasks import get
from trmsolve.tasks.base import InvalidPuzzle
from trmsolve.tasks.reading.program import parse

ZEROS = [row.replace(".", "0") for row in ROWS]


def joined(rows: list[str], opening: str, between: str, closing: str, cell: str = ", ") -> str:
    """Rows in brackets: opening + cells + closing, with `between` between rows."""
    return between.join(opening + cell.join(row) + closing for row in rows)


NAMES = [["NA" if cell == "." else cell for cell in row] for row in ROWS]
SUDOKU = {
    "MATLAB": "A = [" + joined(ZEROS, "", "; ", "", " ") + "];",
    "MATLAB, a line for each row": "M = [\n" + joined(ZEROS, "  ", "\n", "", " ") + "\n];",
    "MATLAB, continued lines": "M = [" + joined(ZEROS, "", ";...\n", "", ",") + "];",
    "MATLAB, comment": "M = [ % the givens\n" + joined(ZEROS, "  ", ";\n", "", " ") + " ];",
    "Julia": "julia> A = [" + joined(ZEROS, "", "; ", "", " ") + "]",
    "R": "x <- matrix(c(" + joined(ZEROS, "", ",\n", "") + "), nrow=9, byrow=TRUE)",
    "R, NA": "x <- matrix(c(\n" + joined(NAMES, "", ",\n", "") + "\n), 9, 9, byrow = TRUE)",
    "PHP": "$grid = array(\n" + joined(ZEROS, "  array(", ",\n", ")") + "\n);",
    "PHP, short": "<?php\n$grid = [\n" + joined(ZEROS, "  [", ",\n", "]") + "\n];\n",
    "Prolog": "problem(1, [\n" + joined([row.replace(".", "_") for row in ROWS], "[", ",\n", "]", ",") + "]).",
    "Rust": "let board = vec![\n" + joined(ZEROS, "    vec![", "\n", "],") + "\n];",
    "Rust, array": "let board: [[u8; 9]; 9] = [\n" + joined(ZEROS, "    [", "\n", "],") + "\n];",
    "Go": "var board = [9][9]int{\n" + joined(ZEROS, "\t{", "\n", "},") + "\n}",
    "Java": "int[][] board = new int[][] {\n" + joined(ZEROS, "    {", ",\n", "}") + "\n};",
    "Kotlin": "val grid = arrayOf(\n" + joined(ZEROS, "    intArrayOf(", ",\n", ")") + "\n)",
    "Scala": "val g = Array(\n" + joined(ZEROS, "  Array(", ",\n", ")") + ")",
    "Haskell": "grid :: [[Int]]\ngrid =\n  [ [" + joined(ZEROS, "", "]\n  , [", "", ",") + "]\n  ]",
    "Lisp": "(setq board '(\n" + joined(ZEROS, "  (", "\n", ")", " ") + "))",
    "Mathematica": "board = {{" + joined(ZEROS, "", "}, {", "") + "}};",
    "Ruby": "grid = %w[\n" + "\n".join(ZEROS) + "\n]",
    "MiniZinc": "start=[|\n" + joined(ZEROS, "", "|\n", "") + "|];",
    "Python, texts one after another": "puzzle = (" + "\n    ".join(f'"{row}"' for row in ZEROS) + ")",
    "C++, array": "std::array<std::array<int, 9>, 9> b = {{\n" + joined(ZEROS, "{{", ",\n", "}}") + "\n}};",
    "C, one array": "const unsigned char p[81] = {\n" + joined(ZEROS, "", ",\n", "") + "\n};",
    "Perl": "my @grid = (\n" + joined(ZEROS, "[qw(", ",\n", ")]", " ") + ");",
    "OCaml": "let grid = [|\n" + joined(ZEROS, "  [|", ";\n", "|]", "; ") + "\n|]",
    "Swift": "let p: [[Int?]] = [\n" + joined(ZEROS, "[", ",\n", "]").replace("0", "nil") + "\n]",
    "Python, comments": "board = [\n    # band\n"
    + "\n".join(f"    [{', '.join(row)}],  # row" for row in ZEROS)
    + "\n]",
    "Python, a text made a list": f'np.array(list("{"".join(ZEROS)}"), dtype=int).reshape((9, 9))',
    "YAML on one line": "grid: [" + joined(ZEROS, "[", ", ", "]", ",") + "]",
    "numpy, printed": "[[" + joined(ZEROS, "", "]\n [", "", " ") + "]]",
    "numpy, with a type": "array([[" + joined(ZEROS, "", "],\n       [", "") + "]], dtype=uint8)",
    "numpy, reshaped": "np.array([" + joined(ZEROS, "", ", ", "") + "]).reshape(9, 9)",
}


@pytest.mark.parametrize("text", SUDOKU.values(), ids=SUDOKU)
def test_sudoku(text):
    assert question("sudoku", text).tolist() == GRID


MAZES = {
    "MATLAB": "M = [" + "; ".join(" ".join(map(str, row)) for row in NUMBERS) + "];",
    "PHP": "$m = array(" + ",\n".join("array(" + ",".join(map(str, row)) + ")" for row in NUMBERS) + ");",
    "quoted cells": "maze = [\n" + joined(MAZE, "  ['", "\n", "'],", "', '") + "\n]",
}


@pytest.mark.parametrize("text", MAZES.values(), ids=MAZES)
def test_maze(text):
    assert get("maze").format_line(question("maze", text)) == "/".join(MAZE)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (SUDOKU["R"].replace(", byrow=TRUE", ""), "without byrow=TRUE R fills a matrix by columns"),
        ("x = reshape(" + SUDOKU["MATLAB"][4:-1] + ", 9, 9)", "reshape() fills a matrix by columns"),
        (SUDOKU["MATLAB"].replace("];", "]';"), "a transposed matrix"),
        (f"columns = {GRID}", "lists of columns or boxes are no rows"),
        (f"const boxes: number[][] = {GRID};", "lists of columns or boxes are no rows"),
        (f"np.array({GRID}).T", "a transposed matrix"),
        (f"x = np.transpose({GRID})", "a transposed matrix"),
    ],
)
def test_columns_are_not_taken_for_rows(text, reason):
    (record,) = records("sudoku", text)
    assert isinstance(record, InvalidPuzzle) and reason in record.message


@pytest.mark.parametrize("text", ["[[Link]] to it", "x = foo(1, [2, 3])", "see [[wiki]] (a, [b, c])"])
def test_short_lists_are_text(text):
    (record,) = records("sudoku", f"{text}\n\n" + "\n".join(ROWS))
    assert record.question.tolist() == GRID


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("c(c(5, 3), c(0, 7))", [["5", "3"], ["0", "7"]]),
        ("[5 3; 0 7]", [["5", "3"], ["0", "7"]]),
        ("[5, 3,\n0, 7]", ["5", "3", "0", "7"]),
        ("{'puzzle': '5.3', n: 1}", {"puzzle": "5.3", "n": "1"}),
        ("array('a' => [1, NULL], 'b' => true)", {"a": ["1", None], "b": True}),
        ("(9, [1, 2], dtype=int)", [["1", "2"]]),
        ("[[1, 1]]", [["1", "1"]]),
        ("[qw(5 3)]", ["5", "3"]),
        ("{{{5, 3}}, {{0, 7}}}", [["5", "3"], ["0", "7"]]),
        ("['it\\'s', \"a\\n\"]", ["it's", "a\n"]),
    ],
)
def test_parse(text, values):
    assert parse(text) == [values]


def test_an_empty_place_between_commas_is_refused():
    with pytest.raises(ValueError, match="nothing stands between two commas"):
        parse("[5,,3]")
