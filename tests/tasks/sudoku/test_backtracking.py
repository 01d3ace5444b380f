"""The exact solver: right answers, honest uniqueness, and the branch count that the shared data were rated with."""

import csv
import time
from pathlib import Path

import numpy as np
import pytest

from trmsolve.tasks.sudoku.backtracking import solutions
from trmsolve.tasks.sudoku.rules import check

EASY = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79"


def grid(text: str) -> np.ndarray:
    side = round(len(text) ** 0.5)
    return np.array([0 if c == "." else int(c) for c in text], np.uint8).reshape(side, side)


def rows_of(path: Path, limit: int) -> list[dict[str, str]]:
    with path.open() as file:
        return [row for row, _ in zip(csv.DictReader(file), range(limit), strict=False)]


def test_a_puzzle_for_singles_needs_no_guess():
    question = grid(EASY)
    before = question.copy()
    solved, branches = solutions(question)
    assert len(solved) == 1 and branches == 0
    assert solved[0].dtype == np.uint8 and solved[0].shape == (9, 9)
    assert check(question, solved[0]) == []
    assert (question == before).all()


def test_all_288_grids_of_side_4_are_found_once():
    solved, branches = solutions(np.zeros((4, 4), np.uint8), limit=1000)
    assert len({answer.tobytes() for answer in solved}) == len(solved) == 288
    assert all(check(np.zeros((4, 4), np.uint8), answer) == [] for answer in solved)
    assert branches >= 288 - 1


@pytest.mark.parametrize("side", [4, 6, 9, 16])
def test_the_limit_ends_the_search_of_an_empty_grid(side):
    solved, _ = solutions(np.zeros((side, side), np.uint8), limit=3)
    assert len({answer.tobytes() for answer in solved}) == 3
    for answer in solved:
        assert check(np.zeros((side, side), np.uint8), answer) == []


def test_the_boxes_of_a_6x6_grid_are_two_rows_high_and_three_columns_wide():
    for answer in solutions(np.zeros((6, 6), np.uint8), limit=20)[0]:
        for row in (0, 2, 4):
            for column in (0, 3):
                assert sorted(answer[row : row + 2, column : column + 3].ravel()) == [1, 2, 3, 4, 5, 6]


def test_a_second_solution_is_seen():
    answer = solutions(grid(EASY))[0][0]
    question = answer.copy()
    # Two digits that form a rectangle inside two boxes may be swapped: a "deadly pattern".
    rectangle = next(
        (r, s, c, d)
        for r in range(9)
        for s in range(r + 1, 9)
        for c in range(9)
        for d in range(c + 1, 9)
        if answer[r, c] == answer[s, d] and answer[r, d] == answer[s, c] and (r // 3 == s // 3 or c // 3 == d // 3)
    )
    r, s, c, d = rectangle
    question[[r, r, s, s], [c, d, c, d]] = 0
    solved, _ = solutions(question)
    assert len(solved) == 2
    assert {solved[0][r, c], solved[1][r, c]} == {answer[r, c], answer[r, d]}


@pytest.mark.parametrize(
    "cells",
    [
        {(0, 0): 5, (0, 8): 5},  # row
        {(0, 3): 5, (8, 3): 5},  # column
        {(3, 3): 5, (5, 5): 5},  # box
        {(0, c): c + 1 for c in range(8)} | {(4, 8): 9},  # the last cell of the row has nothing left
    ],
)
def test_no_solution(cells):
    question = np.zeros((9, 9), np.uint8)
    for cell, digit in cells.items():
        question[cell] = digit
    assert solutions(question)[0] == []


def test_a_full_grid_is_its_own_solution_or_none():
    answer = solutions(grid(EASY))[0][0]
    solved, branches = solutions(answer)
    assert len(solved) == 1 and branches == 0 and (solved[0] == answer).all()
    wrong = answer.copy()
    wrong[0, [0, 1]] = wrong[0, [1, 0]]
    assert solutions(wrong) == ([], 0)


def test_a_side_without_boxes_is_refused():
    with pytest.raises(ValueError, match="no Sudoku of side 5"):
        solutions(np.zeros((5, 5), np.uint8))


@pytest.mark.parametrize("name", ["extreme_train.csv", "clue17_train.csv", "forum_hardest_11plus_train.csv"])
def test_shared_puzzles_have_the_listed_answer_and_nearly_the_listed_rating(shared, name):
    rows = rows_of(shared / "data" / "sudoku" / name, 25)
    same = 0
    for row in rows:
        solved, branches = solutions(grid(row["question"]))
        assert ["".join(map(str, answer.ravel())) for answer in solved] == [row["answer"]]
        same += branches == int(row["rating"])
    assert same >= 20  # both count branches in the same way; only ties are broken differently


def test_a_typical_9x9_takes_about_a_millisecond():
    question = grid(EASY)
    solutions(question)  # builds the tables
    best = min(_seconds(question) for _ in range(20))
    assert best < 0.005  # about 0.1 ms on an idle core; the slack is for busy machines


def _seconds(question: np.ndarray) -> float:
    start = time.perf_counter()
    solutions(question)
    return time.perf_counter() - start
