"""Symmetries keep a puzzle the same puzzle; fingerprints see through them and tell different puzzles apart."""

import numpy as np
import pytest

from tasks.sudoku.fingerprint import fingerprint, fingerprints
from trmsolve.tasks.sudoku.backtracking import solutions
from trmsolve.tasks.sudoku.generate import generate
from trmsolve.tasks.sudoku.rules import check
from trmsolve.tasks.sudoku.symmetries import Symmetry

SIDES = [4, 6, 9, 16]


@pytest.mark.parametrize("side", SIDES)
def test_copies_are_valid_have_the_copied_solution_only_and_as_many_givens(side):
    rng = np.random.default_rng(side)
    question, solution, _ = generate(1, 0, side, minimal=False)
    for _ in range(10):
        symmetry = Symmetry.random(rng, side)
        copy, answer = symmetry.apply(question), symmetry.apply(solution)
        assert copy.dtype == np.uint8 and copy.shape == question.shape
        assert np.count_nonzero(copy) == np.count_nonzero(question)
        assert check(copy, answer) == []
        solved, _ = solutions(copy)
        assert len(solved) == 1 and (solved[0] == answer).all()


@pytest.mark.parametrize("side", SIDES)
def test_inverse_and_identity(side):
    rng = np.random.default_rng(side)
    grids = rng.integers(0, side + 1, (5, side, side)).astype(np.uint8)
    assert (Symmetry.identity(side).apply(grids) == grids).all()
    transposed = set()
    for _ in range(20):
        symmetry = Symmetry.random(rng, side)
        transposed.add(symmetry.transpose)
        assert (symmetry.inverse().apply(symmetry.apply(grids)) == grids).all()
        assert (symmetry.apply(symmetry.inverse().apply(grids)) == grids).all()
        assert (symmetry.apply(grids)[2] == symmetry.apply(grids[2])).all()
    assert len(transposed) == (1 if side == 6 else 2)  # a 6x6 grid is never transposed


def test_same_seed_same_symmetry_and_many_different_ones():
    question, _, _ = generate(1, 0)
    copies = [Symmetry.random(np.random.default_rng(seed), 9).apply(question).tobytes() for seed in range(50)]
    again = [Symmetry.random(np.random.default_rng(seed), 9).apply(question).tobytes() for seed in range(50)]
    assert copies == again and len(set(copies)) == 50


@pytest.mark.parametrize("side", SIDES)
def test_fingerprints_do_not_change_under_symmetries(side):
    rng = np.random.default_rng(side)
    questions = np.stack([generate(2, index, side, minimal=False)[0] for index in range(4)])
    expected = fingerprints(questions)
    assert expected.dtype == np.uint64 and expected.shape == (4,)
    for _ in range(20):
        assert (fingerprints(Symmetry.random(rng, side).apply(questions)) == expected).all()


def test_fingerprints_tell_puzzles_apart_down_to_one_digit():
    questions = np.stack([generate(3, index)[0] for index in range(60)])
    assert len(set(fingerprints(questions).tolist())) == 60
    question, solution, _ = generate(3, 0)
    rows, columns = np.nonzero(question == 0)
    nearly = []
    for row, column in zip(rows, columns, strict=True):
        more = question.copy()
        more[row, column] = solution[row, column]
        nearly.append(fingerprint(more))
    assert len(set(nearly)) == len(nearly) and fingerprint(question) not in nearly
    row, column = np.argwhere(question)[0]
    changed = question.copy()
    changed[row, column] = question[question > 0][-1] if question[question > 0][-1] != question[row, column] else 0
    assert fingerprint(changed) != fingerprint(question)


def test_one_and_many_fingerprints_agree_and_none_is_fine():
    questions = np.stack([generate(4, index)[0] for index in range(3)])
    assert [fingerprint(question) for question in questions] == fingerprints(questions).tolist()
    assert fingerprints(np.empty((0, 9, 9), np.uint8)).shape == (0,)


def test_a_transposed_6x6_is_another_puzzle():
    question, _, _ = generate(5, 0, 6)
    assert fingerprint(question.T.copy()) != fingerprint(question)


def test_full_grids_share_a_fingerprint_as_documented():
    assert fingerprint(generate(6, 0)[1]) == fingerprint(generate(6, 1)[1])
