"""The writer: the exact look of each style, and that the reader takes it all back."""

from __future__ import annotations

import numpy as np
import pytest

from trmsolve.tasks.base import Line, Puzzle
from trmsolve.tasks.sudoku import TASK
from trmsolve.tasks.sudoku.read import read
from trmsolve.tasks.sudoku.write import format_line

QUESTION = np.array([[1, 0, 0, 4], [0, 0, 1, 0], [2, 0, 0, 3], [0, 4, 0, 0]], np.uint8)
ANSWER = np.array([[1, 2, 3, 4], [4, 3, 1, 2], [2, 1, 4, 3], [3, 4, 2, 1]], np.uint8)
PUZZLE = Puzzle(QUESTION)
write = TASK.write


def back(text: str) -> list:
    return list(read((Line(number, part) for number, part in enumerate(text.split("\n"), 1)), "-"))


def test_styles():
    drawn = "┌─────┬─────┐\n│ 1 2 │ 3 4 │\n│ 4 3 │ 1 2 │\n├─────┼─────┤\n│ 2 1 │ 4 3 │\n│ 3 4 │ 2 1 │\n└─────┴─────┘"
    assert write(PUZZLE, ANSWER, "grid") == drawn
    plain = write(PUZZLE, ANSWER, "grid", ascii_only=True)
    assert plain.isascii() and plain.startswith("+-----+-----+\n| 1 2 | 3 4 |\n")
    assert write(PUZZLE, ANSWER, "line") == "1234431221433421"
    assert write(PUZZLE, ANSWER, "csv") == "1..4..1.2..3.4..,1234431221433421"
    assert format_line(QUESTION) == "1..4..1.2..3.4.."
    assert format_line(np.arange(1, 17)) == "123456789ABCDEFG"


def test_six_by_six_has_boxes_of_two_rows():
    rows = write(PUZZLE, np.zeros((6, 6), int), "grid").split("\n")
    assert len(rows) == 10 and rows[3].startswith("├───────┼") and rows[1] == "│ . . . │ . . . │"


@pytest.mark.parametrize("style", TASK.styles)
def test_a_stream_is_read_back(style):
    texts = [TASK.csv_header] * (style == "csv") + [write(PUZZLE, ANSWER, style)] * 3
    puzzles = back("\n".join(texts))
    assert [record.style for record in puzzles] == [style] * 3
    want = QUESTION if style == "csv" else ANSWER
    assert all(np.array_equal(record.question, want) for record in puzzles)
    if style == "csv":
        assert all(np.array_equal(record.solution, ANSWER) for record in puzzles)
