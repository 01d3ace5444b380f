"""Grids of symbols as text: what is read, what is refused, and that writing is the inverse of reading."""

import numpy as np
import pytest

from trmsolve.tasks.base import InvalidPuzzle
from trmsolve.tasks.grid_text import Alphabet, read_grids
from trmsolve.text_io import Line

LETTERS, WORDS = Alphabet(tuple(".ab")), Alphabet(("-1", "0", "10"))


def read(text: str, alphabet: Alphabet = LETTERS) -> list:
    lines = [Line(n, line) for n, line in enumerate(text.split("\n"), 1)]
    return list(read_grids(lines, "file", alphabet, lambda grid: ""))


@pytest.mark.parametrize(
    ("text", "style", "grid"),
    [
        ("ab\n.a", "grid", [[1, 2], [0, 1]]),
        ("a b\n. a\n", "grid", [[1, 2], [0, 1]]),
        ("ab/.a", "line", [[1, 2], [0, 1]]),
        ("ab.a", "line", [[1, 2], [0, 1]]),
        ("question\nab/.a", "csv", [[1, 2], [0, 1]]),
        ('question,answer\n"ab\n.a",', "csv", [[1, 2], [0, 1]]),
        ("puzzle;rating\nab/.a;3", "csv", [[1, 2], [0, 1]]),
        ("aaa/bbb", "line", [[1, 1, 1], [2, 2, 2]]),
        ("a,b\n.,a", "grid", [[1, 2], [0, 1]]),
    ],
)
def test_forms(text, style, grid):
    (puzzle,) = read(text)
    assert puzzle.question.tolist() == grid and puzzle.style == style


def test_grids_are_divided_by_blank_lines_and_know_their_line():
    first, second, third = read("ab\n.a\n\naa\nbb\nab/ab")
    assert [p.source for p in (first, second, third)] == ["file:1", "file:4", "file:6"]


def test_tokens_of_several_characters_are_divided_by_commas():
    (puzzle,) = read('question,answer\n"-1,10/0,0","0,0/10,-1"', WORDS)
    assert puzzle.question.tolist() == [[0, 2], [1, 1]] and puzzle.solution.tolist() == [[1, 1], [2, 0]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ab\n.x", "'x' in row 2, column 2; expected cells out of .ab"),
        ("ab\n.", "row 2 has 1 cells, the first has 2"),
        ("question,answer\nab/ab,ab", "the answer is 1x2, the question 2x2"),
        ("ab//ab", "a row without cells"),
        ("a\x1b/ab", "U+001B in row 1, column 2"),
        ("a" * 1500 + "/" + "a" * 1500, "more than 1024 rows or columns"),
    ],
)
def test_what_is_no_grid_is_named(text, message):
    (record,) = read(text)
    assert isinstance(record, InvalidPuzzle) and message in record.message


@pytest.mark.parametrize("alphabet", [LETTERS, WORDS])
@pytest.mark.parametrize("between", ["\n", "/"])
def test_reading_is_the_inverse_of_writing(alphabet, between):
    rng = np.random.default_rng(0)
    for _ in range(20):
        grid = rng.integers(3, size=rng.integers(2, 7, 2)).astype(np.uint8)
        (puzzle,) = read(alphabet.format(grid, between), alphabet)
        assert (puzzle.question == grid).all()
