"""The roles of a Sudoku's cells."""

import numpy as np
import pytest

from render.fake import solution
from trmsolve.tasks.base import Prediction
from trmsolve.tasks.sudoku import TASK


def roles(shown):
    return [[cell.role for cell in row] for row in shown.cells]


def guess(answer, confidence=1.0):
    return Prediction(answer, np.full(answer.shape, confidence, np.float32))


@pytest.mark.parametrize(("side", "shape"), [(4, (2, 2)), (6, (2, 3)), (9, (3, 3)), (12, (3, 4)), (16, (4, 4))])
def test_boxes(side, shape):
    assert TASK.picture(np.zeros((side, side), np.uint8), None).box == shape


def test_a_question_has_only_givens_and_blanks():
    question = solution(4)
    question[0, 1] = 0
    shown = TASK.picture(question, None)
    assert shown.cells[0][1].role == "blank" and shown.cells[0][1].text == ""
    assert sum(role == "given" for row in roles(shown) for role in row) == 15


@pytest.mark.parametrize("side", [4, 6, 9, 16])
def test_a_correct_answer_has_no_conflict(side):
    answer = solution(side)
    question = np.where(np.eye(side, dtype=bool), answer, 0)
    shown = TASK.picture(question, guess(answer))
    assert {role for row in roles(shown) for role in row} == {"given", "answer"}
    assert [row[0].text for row in shown.cells] == ["123456789ABCDEFG"[d - 1] for d in answer[:, 0]]


def test_an_answer_that_conflicts_with_a_given_is_marked():
    question = np.zeros((4, 4), np.uint8)
    question[0, 0] = 1
    wrong = solution(4)
    wrong[0, 3] = 1  # row 1 now holds 1 twice: once given, once answered
    shown = TASK.picture(question, guess(wrong))
    assert shown.cells[0][0].role == "given"
    assert shown.cells[0][3].role == "conflict"


def test_open_cells_have_their_candidates_as_pencil_marks():
    question = np.zeros((4, 4), np.uint8)
    question[0] = [1, 0, 0, 0]
    shown = TASK.picture(question, None)
    assert [cell.candidates for cell in shown.cells[0]] == ["", "234", "234", "234"]
    assert [cell.candidates for cell in shown.cells[3]] == ["234", "1234", "1234", "1234"]


def test_changed_and_unsure():
    answer, question = solution(4), np.zeros((4, 4), np.uint8)
    before = answer.copy()
    before[2, 2] = before[2, 2] % 4 + 1
    confidence = np.ones((4, 4), np.float32)
    confidence[3, 3] = 0.5
    now = Prediction(answer, confidence)
    shown = roles(TASK.picture(question, now, guess(before)))
    assert shown[2][2] == "changed" and shown[3][3] == "unsure" and shown[0][0] == "answer"
    assert roles(TASK.picture(question, now))[2][2] == "answer"  # at the first step nothing counts as changed
