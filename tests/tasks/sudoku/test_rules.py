"""The rules: sizes, units, and every kind of violation with its wording."""

from __future__ import annotations

import numpy as np
import pytest

from trmsolve.tasks.sudoku.rules import BOX, TallGrid, box_shape, check, conflicts, units

QUESTION = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79"
ANSWER = "534678912672195348198342567859761423426853791713924856961537284287419635345286179"


def grid(text: str) -> np.ndarray:
    side = int(len(text) ** 0.5)
    return np.array([0 if c == "." else int(c) for c in text], np.uint8).reshape(side, side)


def messages(found) -> list[str]:
    return [violation.message for violation in found]


@pytest.mark.parametrize("side", BOX)
@pytest.mark.parametrize("is_tall", [False, True])
def test_units_cover_every_cell_three_times(side, is_tall):
    shape = box_shape(np.zeros((side, side), np.uint8).view(TallGrid if is_tall else np.ndarray))
    assert shape == (BOX[side][::-1] if is_tall else BOX[side])
    cells = units(shape)
    assert cells.shape == (3 * side, side)
    assert (np.bincount(cells.reshape(-1), minlength=side * side) == 3).all()
    assert not cells.flags.writeable
    for box in cells[2 * side :]:
        rows, columns = np.divmod(box, side)
        assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == shape


def test_a_solution_breaks_nothing():
    assert check(grid(QUESTION), grid(ANSWER)) == []
    assert check(grid(QUESTION), grid(ANSWER).astype(np.int64)) == []
    assert conflicts(grid(QUESTION)) == []
    assert conflicts(np.zeros((16, 16), np.uint8)) == []


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ({(2, 1): 5, (2, 6): 5}, ["row 3 holds 5 twice, columns 2 and 7"]),
        ({(0, 3): 1, (8, 3): 1}, ["column 4 holds 1 twice, rows 1 and 9"]),
        ({(3, 0): 5, (4, 2): 5}, ["box 4 holds 5 twice, row 4 column 1 and row 5 column 3"]),
        ({(0, 0): 9, (0, 4): 9, (0, 8): 9}, ["row 1 holds 9 three times, columns 1, 5 and 9"]),
        (
            {(0, 0): 2, (0, 1): 2},
            ["row 1 holds 2 twice, columns 1 and 2", "box 1 holds 2 twice, row 1 column 1 and row 1 column 2"],
        ),
    ],
)
def test_conflicts(cells, expected):
    question = np.zeros((9, 9), np.uint8)
    for cell, digit in cells.items():
        question[cell] = digit
    violations = conflicts(question)
    assert messages(violations) == expected
    assert all(set(violation.cells) == set(cells) for violation in violations)


def test_boxes_of_six_by_six_are_two_rows_high():
    question = np.zeros((6, 6), np.uint8)
    question[0, 0] = question[1, 2] = 4
    assert messages(conflicts(question)) == ["box 1 holds 4 twice, row 1 column 1 and row 2 column 3"]
    question = np.zeros((16, 16), np.uint8)
    question[15, 0] = question[15, 15] = 16
    assert messages(conflicts(question)) == ["row 16 holds G twice, columns 1 and 16"]


def test_check_names_a_changed_given_blanks_and_nonsense():
    answer = grid(ANSWER).astype(int)
    answer[0, 0], answer[0, 2], answer[0, 3] = 4, 0, 17
    violations = messages(check(grid(QUESTION), answer))
    assert "row 1 column 3 is blank, expected 1-9" in violations
    assert "row 1 column 4 holds 17, expected 1-9" in violations
    assert "row 1 column 1 no longer holds the given 5" in violations
    assert "column 1 holds 4 twice, rows 1 and 5" in violations
    assert len(violations) == 4


def test_check_swapped_digits_break_columns_and_boxes_only():
    answer = grid(ANSWER)
    answer[0, [2, 8]] = answer[0, [8, 2]]
    violations = check(grid(QUESTION), answer)
    assert {m.split()[0] for m in messages(violations)} == {"column", "box"} and len(violations) == 4
    assert (0, 2) in violations[0].cells


def test_check_wrong_shape():
    assert "shape (4, 4)" in check(grid(QUESTION), np.ones((4, 4), int))[0].message
    assert "shape (81,)" in check(grid(QUESTION), grid(ANSWER).reshape(-1))[0].message


def test_every_single_wrong_cell_is_caught():
    question, answer = grid(QUESTION), grid(ANSWER)
    for cell in range(81):
        wrong = answer.copy()
        wrong.flat[cell] = wrong.flat[cell] % 9 + 1
        assert check(question, wrong)
