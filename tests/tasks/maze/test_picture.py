"""The roles of a maze's cells."""

import numpy as np
import pytest

from trmsolve.tasks.base import Prediction
from trmsolve.tasks.maze.cells import FLOOR, GOAL, PATH, START, WALL
from trmsolve.tasks.maze.rules import canonical
from trmsolve.tasks.maze.write import UNSURE, picture

QUESTION = np.array([[START, FLOOR, FLOOR], [WALL, WALL, FLOOR], [GOAL, FLOOR, FLOOR]], np.uint8)


def guess(answer, confidence=1.0):
    return Prediction(answer, np.full(answer.shape, confidence, np.float32))


def roles(shown):
    return [[cell.role for cell in row] for row in shown.cells]


def text(shown):
    return ["".join(cell.text for cell in row) for row in shown.cells]


def test_the_bare_question():
    shown = picture(QUESTION, None)
    assert shown.solid and shown.box is None
    assert roles(shown) == [["start", "floor", "floor"], ["wall", "wall", "floor"], ["goal", "floor", "floor"]]
    assert text(shown) == ["S  ", "## ", "G  "]


def test_an_answer_has_its_path_and_nothing_else():
    shown = picture(QUESTION, guess(canonical(QUESTION)))
    assert roles(shown) == [["start", "path", "path"], ["wall", "wall", "path"], ["goal", "path", "path"]]
    assert text(shown) == ["Soo", "##o", "Goo"]


def test_new_and_former_are_told_against_the_step_before():
    before, now = QUESTION.copy(), QUESTION.copy()
    before[0, 1] = before[0, 2] = PATH
    now[0, 1] = now[2, 1] = PATH
    shown = roles(picture(QUESTION, guess(now), guess(before)))
    assert shown == [["start", "path", "former"], ["wall", "wall", "floor"], ["goal", "changed", "floor"]]
    first = roles(picture(QUESTION, guess(now)))
    assert first == [["start", "path", "floor"], ["wall", "wall", "floor"], ["goal", "path", "floor"]]


@pytest.mark.parametrize(("confidence", "role"), [(UNSURE - 0.01, "unsure"), (UNSURE + 0.01, "path")])
def test_doubt_concerns_the_path_alone(confidence, role):
    shown = roles(picture(QUESTION, guess(canonical(QUESTION), confidence)))
    assert shown == [["start", role, role], ["wall", "wall", role], ["goal", role, role]]


def test_walls_and_ends_are_the_questions_own():
    """A guess that paints everything moves nothing of the maze."""
    shown = picture(QUESTION, guess(np.full_like(QUESTION, PATH)), guess(np.full_like(QUESTION, FLOOR)))
    assert text(shown) == ["Soo", "##o", "Goo"]
    shown = picture(QUESTION, guess(np.full_like(QUESTION, FLOOR)), guess(np.full_like(QUESTION, PATH)))
    assert roles(shown) == [["start", "former", "former"], ["wall", "wall", "former"], ["goal", "former", "former"]]
    assert (QUESTION[1, :2] == WALL).all()
