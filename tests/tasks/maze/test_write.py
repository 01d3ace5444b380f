"""The writer: the exact look of each style, that the reader takes it all back, and the path as a list of cells."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trmsolve.tasks.base import Line, Puzzle
from trmsolve.tasks.maze import TASK
from trmsolve.tasks.maze.cells import FLOOR, GOAL, PATH, START, WALL
from trmsolve.tasks.maze.read import read
from trmsolve.tasks.maze.rules import canonical, shortest_length
from trmsolve.tasks.maze.write import format_grid, format_line, path_cells

QUESTION = np.array([[2, 0, 1, 1], [1, 0, 1, 0], [1, 1, 1, 3]], np.uint8)
ANSWER = np.array([[2, 0, 1, 1], [4, 0, 1, 0], [4, 4, 4, 3]], np.uint8)
PUZZLE = Puzzle(QUESTION)
write = TASK.write


def back(text: str) -> list:
    return list(read((Line(number, part) for number, part in enumerate(text.split("\n"), 1)), "-"))


def test_styles():
    assert write(PUZZLE, ANSWER, "grid") == "S#  \no# #\noooG"
    assert write(PUZZLE, ANSWER, "line") == "S#  /o# #/oooG"
    assert write(PUZZLE, ANSWER, "csv") == "S#  / # #/   G,S#  /o# #/oooG"
    assert format_grid(QUESTION, "grid") == "S#  \n # #\n   G"
    square = QUESTION[:, 1:]
    assert format_line(square) == format_grid(square, "line") == "#  /# #/  G"


def test_the_alphabet_is_that_of_the_answer_whatever_the_question_was_written_in():
    (record,) = back("111\nA0B\n...")
    for style in TASK.styles:
        assert write(record, record.question, style, ascii_only=True) == write(record, record.question, style)
    assert write(record, record.question, "grid") == "###\nS G\n   "


def test_floor_is_written_as_dots_where_spaces_could_be_indentation_or_separators():
    indented = np.array([[1, 0, 2], [1, 1, 0], [1, 0, 3]], np.uint8)
    spread = np.array([[2, 1, 0, 1, 0], [0, 1, 0, 1, 0], [0, 1, 0, 1, 3]], np.uint8)
    assert format_grid(indented, "grid") == ".#S\n..#\n.#G"
    assert format_grid(spread, "grid") == "S.#.#\n#.#.#\n#.#.G"
    for maze in (indented, spread):
        (record,) = back(format_grid(maze, "grid"))
        assert np.array_equal(record.question, maze)


@st.composite
def mazes(draw, largest: int = 20) -> np.ndarray:
    """Any maze: walls anywhere, S and G anywhere."""
    height, width = draw(st.integers(3, largest)), draw(st.integers(3, largest))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    maze = np.where(rng.random((height, width)) < draw(st.sampled_from([0, 0.2, 0.4, 1])), WALL, FLOOR).astype(np.uint8)
    start, goal = rng.choice(maze.size, 2, replace=False)
    maze.flat[start], maze.flat[goal] = START, GOAL
    return maze


@settings(max_examples=60, deadline=None, database=None)
@given(st.lists(mazes(), min_size=1, max_size=4), st.sampled_from(TASK.styles), st.integers(0, 2**32 - 1))
def test_what_is_written_is_read_back(questions, style, seed):
    rng = np.random.default_rng(seed)
    answers = [np.where((q == FLOOR) & (rng.random(q.shape) < 0.3), np.uint8(PATH), q) for q in questions]
    texts = [write(Puzzle(question), answer, style) for question, answer in zip(questions, answers, strict=True)]
    header = [TASK.csv_header] * (style == "csv")
    puzzles = back(("\n\n" if style == "grid" else "\n").join([*header, *texts]))
    assert len(puzzles) == len(questions)
    for record, question, answer in zip(puzzles, questions, answers, strict=True):
        assert isinstance(record, Puzzle) and record.style == style, record
        assert np.array_equal(record.question, question)
        if style == "csv" or (answer == PATH).any():  # without a path, a grid is a question
            assert np.array_equal(record.solution, answer)
        else:
            assert record.solution is None


# -- the path -----------------------------------------------------------------------------------------------------


def test_path():
    assert path_cells(ANSWER) == [[0, 0], [1, 0], [2, 0], [2, 1], [2, 2], [2, 3]]
    assert path_cells(np.array([[0, 0, 0], [0, 3, 2], [1, 1, 1]])) == [[1, 2], [1, 1]]


@settings(max_examples=40, deadline=None, database=None)
@given(mazes())
def test_path_of_any_answer_leads_from_s_to_g_step_by_step(maze):
    answer = canonical(maze)
    if answer is not None:
        walk = np.array(path_cells(answer))
        assert (np.abs(np.diff(walk, axis=0)).sum(axis=1) == 1).all()
        assert len(walk) - 1 == shortest_length(maze)
        assert answer[tuple(walk[0])] == START and answer[tuple(walk[-1])] == GOAL
        assert all(answer[tuple(cell)] == PATH for cell in walk[1:-1])


@pytest.mark.parametrize(
    "rows",
    [
        ["S  ", "###", "ooG"],  # broken off
        ["So ", "###", "ooG"],
        ["Soo", "##o", "oGo"],  # a cell left over beside G
        ["Soo", "oo ", "  G"],  # two ways on
        ["Soo", "  o", "o G"],  # a stray cell
        ["SG ", "oo ", "   "],  # G is next to S already
        ["So ", " o ", "   "],  # no G
        ["SoG", "   ", "  S"],
    ],
)
def test_what_is_no_path(rows):
    with pytest.raises(ValueError):
        path_cells(np.array([["# SGo".index(mark) for mark in row] for row in rows], np.uint8))
