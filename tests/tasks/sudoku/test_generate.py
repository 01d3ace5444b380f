"""Generated puzzles: one solution, minimal when they say so, the same for the same seed, as hard as asked for."""

import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tasks.sudoku.fingerprint import fingerprints
from trmsolve.errors import TrmsolveError
from trmsolve.tasks.sudoku.backtracking import solutions
from trmsolve.tasks.sudoku.generate import EASY_SHARE, difficulty, generate
from trmsolve.tasks.sudoku.rules import check
from trmsolve.tasks.sudoku.symmetries import Symmetry


def droppable(question: np.ndarray) -> list[tuple[int, int]]:
    """The givens without which the solution is still unique."""
    result = []
    for row, column in np.argwhere(question):
        less = question.copy()
        less[row, column] = 0
        if len(solutions(less)[0]) == 1:
            result.append((int(row), int(column)))
    return result


@pytest.mark.parametrize(("side", "minimal"), [(4, True), (6, True), (9, True), (9, False), (16, False)])
def test_every_puzzle_has_exactly_the_solution_that_comes_with_it(side, minimal):
    for index in range(1 if side == 16 else 8):
        question, solution, hardness = generate(11, index, side, minimal=minimal)
        assert question.dtype == solution.dtype == np.uint8
        assert question.shape == solution.shape == (side, side)
        assert check(question, solution) == []
        solved, branches = solutions(question)
        assert len(solved) == 1 and (solved[0] == solution).all()
        assert hardness["branches"] == branches
        assert hardness["givens"] == np.count_nonzero(question)


def test_a_full_size_16x16_is_thinned_out_and_unique():
    question, solution, _ = generate(11, 0, 16)
    assert np.count_nonzero(question) < 115  # about 97 on average; 148 without `minimal`
    solved, _ = solutions(question)
    assert len(solved) == 1 and (solved[0] == solution).all()


@pytest.mark.parametrize("side", [4, 6, 9])
def test_no_given_of_a_minimal_puzzle_can_go(side):
    for index in range(6):
        assert droppable(generate(12, index, side)[0]) == []


@pytest.mark.parametrize("side", [4, 6, 9, 16])
def test_without_minimal_it_stops_at_the_stated_share(side):
    question, _, _ = generate(13, 0, side, minimal=False)
    assert np.count_nonzero(question) == round(EASY_SHARE[side] * side * side)


def test_extra_givens_are_put_back_from_the_solution():
    bare, solution, _ = generate(14, 0)
    question, same, _ = generate(14, 0, extra=5)
    assert (same == solution).all()
    assert np.count_nonzero(question) == np.count_nonzero(bare) + 5
    assert (question[bare > 0] == bare[bare > 0]).all()
    assert (question[question > 0] == solution[question > 0]).all()
    added = {
        np.count_nonzero(generate(14, index, 6, extra=range(2, 5))[0]) - np.count_nonzero(generate(14, index, 6)[0])
        for index in range(30)
    }
    assert added == {2, 3, 4}


@pytest.mark.parametrize("options", [{}, {"size": 6, "extra": range(4)}, {"minimal": False}, {"min_branches": 10}])
def test_a_seed_and_an_index_are_one_puzzle(options):
    generated = [generate(15, index, **options) for index in range(4)]
    for index in (3, 1):  # in any order, without the others
        question, solution, hardness = generate(15, index, **options)
        assert (
            (question == generated[index][0]).all()
            and (solution == generated[index][1]).all()
            and hardness == generated[index][2]
        )
    assert len({question.tobytes() for question, _, _ in generated}) == 4
    assert (generate(16, 0, **options)[0] != generated[0][0]).any()


def test_puzzles_differ_by_more_than_a_symmetry():
    prints = fingerprints(np.stack([generate(17, index)[0] for index in range(40)]))
    assert len(set(prints.tolist())) == 40


def test_hard_puzzles_are_as_hard_as_asked_for_unique_and_minimal():
    question, solution, hardness = generate(18, 0, min_branches=30)
    assert hardness["branches"] >= 30
    solved, branches = solutions(question)
    assert branches == hardness["branches"] and len(solved) == 1 and (solved[0] == solution).all()
    assert check(question, solution) == []
    assert droppable(question) == []


def test_a_difficulty_out_of_reach_ends_with_an_error(monkeypatch):
    # By its full name: the package holds a function of the module's name.
    monkeypatch.setattr(sys.modules["trmsolve.tasks.sudoku.generate"], "CLIMBS", 2)
    with pytest.raises(TrmsolveError, match="branches"):
        generate(18, 0, 6, min_branches=10_000)


def test_difficulty_grows_with_fewer_givens_and_stays_in_kind_under_symmetry():
    rng = np.random.default_rng(0)
    question, solution, hard = generate(19, 0, min_branches=20)
    rows, columns = np.nonzero(question == 0)
    easier = question.copy()
    easier[rows[::2], columns[::2]] = solution[rows[::2], columns[::2]]
    assert difficulty(easier)["branches"] < hard["branches"]
    assert difficulty(solution)["branches"] == 0
    assert all(difficulty(Symmetry.random(rng, 9).apply(question))["branches"] > 0 for _ in range(10))


def test_difficulty_refuses_what_is_no_puzzle():
    with pytest.raises(ValueError, match="more than one"):
        difficulty(np.zeros((9, 9), np.uint8))
    clash = np.zeros((9, 9), np.uint8)
    clash[0, :2] = 1
    with pytest.raises(ValueError, match="no solution"):
        difficulty(clash)


@pytest.mark.parametrize(
    "options", [{"size": 5}, {"extra": -1}, {"extra": 81}, {"extra": range(0)}, {"min_branches": -1}]
)
def test_nonsense_is_refused(options):
    with pytest.raises(ValueError):
        generate(1, 0, **options)


def test_it_is_fast_enough_to_feed_training():
    generate(20, 0)  # builds the tables
    seconds = []
    for index in range(1, 21):
        start = time.process_time()
        generate(20, index)
        seconds.append(time.process_time() - start)
    assert np.median(seconds) < 0.1  # about 0.011 on an idle core


EXAMPLES = Path(__file__).parents[3] / "examples" / "sudoku"
SYMBOLS = ".123456789ABCDEFG"


def cells(lines: list[str]) -> list[int]:
    return [SYMBOLS.index(symbol) for line in lines for symbol in line if symbol in SYMBOLS]


@pytest.mark.parametrize("name", ["easy", "4x4", "6x6", "16x16"])
def test_the_example_is_what_its_comment_says(name):
    comment, *lines = (EXAMPLES / f"{name}.txt").read_text().splitlines()
    call = comment.removeprefix("# trmsolve.tasks.sudoku.generate: ")
    question, _, _ = eval(call, {"generate": generate})
    assert cells(lines) == question.ravel().tolist()


def test_the_hard_example_is_hard_unique_and_minimal():
    # Making it again as its comment says would take several seconds.
    comment, *lines = (EXAMPLES / "hard.txt").read_text().splitlines()
    assert comment.startswith("# trmsolve.tasks.sudoku.generate: generate(")
    question = np.array(cells(lines), np.uint8).reshape(9, 9)
    assert difficulty(question)["branches"] >= 100
    assert droppable(question) == []


def test_the_example_stream_is_what_its_comment_says_and_the_csv_holds_the_answers():
    comment, *lines = (EXAMPLES / "stream.txt").read_text().splitlines()
    call = comment.removeprefix("# trmsolve.tasks.sudoku.generate: ").removesuffix(" for i in range(100)")
    header, *rows = (EXAMPLES / "stream.csv").read_text().splitlines()
    assert header == "question,answer" and len(lines) == len(set(lines)) == 100
    for i, (line, row) in enumerate(zip(lines, rows, strict=True)):
        question, answer = row.split(",")
        assert question == line
        solved, _ = solutions(np.array(cells([line]), np.uint8).reshape(9, 9))
        assert len(solved) == 1 and solved[0].ravel().tolist() == cells([answer])
        if i in (0, 1, 2, 99):
            assert eval(call, {"generate": generate, "i": i})[0].ravel().tolist() == cells([line])
