"""A puzzle by its constraints: candidates, groups, rules and search all follow from them."""

from itertools import product

import numpy as np
import pytest
import torch

from networks import stepped
from trmsolve.errors import TrmsolveError
from trmsolve.model.config import TRMConfig
from trmsolve.model.trm import TRM
from trmsolve.tasks import get, load_task_file
from trmsolve.tasks.base import Violation
from trmsolve.tasks.constraints import AtMostOne, ConstraintPuzzle, ExactlyOne

from . import EXAMPLES


class Latin(ConstraintPuzzle):
    name = "latin"
    symbols = ".1234"
    kinds = ("line", "line")

    def constraints(self, grid):
        row, column, value = np.indices((4, 4, 4))
        return [ExactlyOne("line", row * 4 + value), ExactlyOne("line", column * 4 + value)]


class Pairs(ConstraintPuzzle):
    """A row of cells whose neighbours differ: overlapping groups, each of at most one candidate."""

    name = "pairs"
    symbols = ".ab"
    kinds = ("neighbours",)

    def constraints(self, grid):
        width = grid.shape[1]
        return [AtMostOne("neighbours", [[(0, c, v), (0, c + 1, v)] for c in range(width - 1) for v in range(2)])]


LATIN, PAIRS = Latin(), Pairs()
EMPTY = np.zeros((4, 4), np.uint8)


def first_row(*values: int) -> np.ndarray:
    question = EMPTY.copy()
    question[0] = values
    return question


def test_a_given_removes_the_candidates_that_share_a_group_with_it():
    tokens = LATIN.tokens(first_row(2, 0, 0, 0))
    cells = {(int(t) // 4, int(t) % 4) for t in tokens}
    expected = {
        (4 * r + c, v)
        for r, c, v in product(range(4), repeat=3)
        if (r, c) != (0, 0) and not (v == 1 and (r == 0 or c == 0))
    }
    assert cells == expected


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        (first_row(2, 2, 0, 0), "line: r1c1=2 and r1c2=2 exclude each other"),
        (np.array([[1, 2, 3, 0], [0, 0, 0, 4], [0] * 4, [0] * 4], np.uint8), "the givens leave r1c4 without a value"),
    ],
)
def test_contradicting_givens_are_refused_with_the_reason(question, reason):
    assert LATIN.encode(question) is None
    assert LATIN.infeasible_reason(question) == reason


def test_check_is_empty_exactly_for_the_576_latin_squares():
    squares = LATIN.solutions(EMPTY, limit=1000)
    assert len({square.tobytes() for square in squares}) == len(squares) == 576  # OEIS A002860
    assert all(LATIN.is_solution(EMPTY, square) and not LATIN.check(EMPTY, square) for square in squares[::25])
    rng = np.random.default_rng(0)
    for square in squares[::25]:
        wrong = square.copy()
        cell = tuple(rng.integers(4, size=2))
        wrong[cell] = wrong[cell] % 4 + 1
        assert LATIN.check(EMPTY, wrong) and not LATIN.is_solution(EMPTY, wrong)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (EMPTY, "r1c1 no longer holds the given 1"),
        (np.ones((4, 3)), "the answer has shape (4, 3), the question (4, 4)"),
        (np.full((4, 4), 5), "r1c2 holds 5, which is no value of this cell"),
    ],
)
def test_check_names_what_is_wrong(answer, message):
    assert message in [violation.message for violation in LATIN.check(first_row(1, 0, 0, 0), answer)]


def test_at_most_one_allows_none_and_eight_queens_have_92_solutions():
    queens = load_task_file(EXAMPLES / "queens.py")
    assert len(queens.solutions(np.zeros((8, 8), np.uint8), limit=200)) == 92


def test_overlapping_groups_reach_the_network_as_further_rows():
    encoded = PAIRS.encode(np.zeros((1, 5), np.uint8))
    edges = encoded.edges
    assert set(edges.kind_of_row) == {0, 1} and len(edges.kind_of_row) > 2
    neighbours = edges.unit_of_token[[row for row, kind in enumerate(edges.kind_of_row) if kind]]
    assert [len(set(column[column >= 0])) for column in neighbours.T] == [1, 1, 2, 2, 2, 2, 2, 2, 1, 1]


def test_answers_do_not_depend_on_neighbours_whose_groups_overlap_more():
    torch.manual_seed(0)
    model = TRM(TRMConfig(**{**PAIRS.model_defaults, "hidden_size": 8, "intermediate_size": 16})).eval()
    small, large = (PAIRS.encode(np.zeros((1, width), np.uint8)) for width in (2, 6))
    assert len(small.edges.unit_of_token) < len(large.edges.unit_of_token)
    together, _ = stepped(model, [small, large])
    for alone, logits in zip((small, large), together, strict=True):
        torch.testing.assert_close(stepped(model, [alone])[0][0], logits, rtol=1e-5, atol=1e-5)


def test_target_and_decode_are_inverse():
    solution = LATIN.random_solution(np.random.default_rng(1), EMPTY)
    question = LATIN.remove_givens(np.random.default_rng(2), solution)
    encoded = LATIN.encode(question)
    meanings = encoded.meanings[encoded.first + LATIN.target(question, solution)]
    assert (LATIN.decode(question, meanings, np.ones(len(meanings), np.float32)).answer == solution).all()
    assert len(LATIN.solutions(question)) == 1


def test_a_random_solution_that_no_rule_accepts_is_given_up(monkeypatch):
    monkeypatch.setattr("trmsolve.tasks.constraints.MAX_SEARCHES", 1)  # of 200 nodes, too few for all 576 squares

    class Never(type(LATIN)):
        def further_violations(self, question, answer):
            return [Violation("never")]

    with pytest.raises(ValueError, match="1 random searches found no solution"):
        Never().random_solution(np.random.default_rng(1), EMPTY)


def test_kinds_that_are_no_tuple_are_refused():
    class Text(type(LATIN)):
        kinds = "line"

    with pytest.raises(TrmsolveError, match="kinds is 'line', expected a tuple"):
        Text().encode(EMPTY)


def test_sudoku_is_such_a_puzzle():
    sudoku = get("sudoku")
    question, solution, _ = sudoku.generate(0, 0)
    assert ConstraintPuzzle.check(sudoku, question, solution) == []
    assert [answer.tolist() for answer in sudoku.solutions(question)] == [solution.tolist()]
    assert sudoku.weight_sharing == (0, 1, 1, 2)


def test_a_task_that_serves_uses_the_weights_of_its_kinds():
    x_sudoku, config = load_task_file(EXAMPLES / "x_sudoku.py"), TRMConfig(**get("sudoku").model_defaults)
    assert x_sudoku.model_config(config).weight_sharing == (0, 1, 1, 2, 2, 2)
    with pytest.raises(TrmsolveError, match="weights for 2 kinds"):
        LATIN.model_config(config)


class Wrong(Latin):
    kinds = ("row", "column")


class WrongShape(Latin):
    def constraints(self, grid):
        return [ExactlyOne("line", np.zeros((4, 4, 5), int)), ExactlyOne("line", np.zeros((4, 4, 4), int))]


class Outside(Pairs):
    def constraints(self, grid):
        return [AtMostOne("neighbours", [[(0, 0, 0), (0, 99, 0)]])]


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (Wrong(), r"gives the kinds \('line', 'line'\), the class says kinds = \('row', 'column'\)"),
        (WrongShape(), r"groups of the constraint 'line' have shape \(4, 4, 5\)"),
        (Outside(), "group 0 of the constraint 'neighbours' names something that is no candidate"),
    ],
)
def test_constraints_that_contradict_the_class_are_named(task, message):
    with pytest.raises(TrmsolveError, match=message):
        task.encode(EMPTY)
