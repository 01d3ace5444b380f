"""Search: no solution, several solutions, the deadline, and strategies by a task's capabilities."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch

import trmsolve
from trmsolve.errors import DeadlineExceeded
from trmsolve.inference.options import SolveOptions
from trmsolve.inference.search import AugmentedRestarts, SearchStrategy
from trmsolve.inference.solver import Solver, strategy_for
from trmsolve.model.trm import TRM, TRMConfig
from trmsolve.tasks import get
from trmsolve.tasks.base import Prediction, Puzzle, Task, Trains
from trmsolve.tasks.sudoku import TASK
from trmsolve.tasks.sudoku.backtracking import solutions
from trmsolve.tasks.sudoku.generate import generate


@pytest.fixture(scope="module")
def solver() -> Solver:
    return trmsolve.load("sudoku", device="cpu", dtype="float32").solver


def solve(solver: Solver, question: np.ndarray, **options) -> trmsolve.Result:
    (result,) = solver.solve([Puzzle(question)], SolveOptions(**options))
    return result


# -- no solution --------------------------------------------------------------------------------------------------
def test_the_reason_why_the_rules_reject_a_question_is_in_its_result(solver):
    question = np.zeros((4, 4), np.uint8)
    question[0], question[1, 3] = [1, 2, 3, 0], 4  # no digit is left for the corner
    result = solve(solver, question)
    assert result.reason == f"no solution exists: {TASK.infeasible_reason(question)}"
    assert (result.error, result.steps, result.prediction) == ("", 0, None)


def test_the_rule_that_a_complete_wrong_grid_breaks_is_its_reason(solver):
    _, wrong, _ = generate(3, 0, 9)
    wrong[0, 0] = wrong[0, 1]
    result = solve(solver, wrong)
    assert result.reason == f"no solution exists: {TASK.check(wrong, wrong)[0].message}"


@pytest.mark.parametrize("restarts", [0, 2])
def test_a_search_that_its_budget_ends_proves_nothing(solver, restarts):
    question, solution, _ = generate(3, 0, 9)
    for row, column in np.argwhere(question == 0):  # a wrong given that no rule rejects at once
        wrong = question.copy()
        wrong[row, column] = next(d for d in range(1, 10) if d != solution[row, column])
        if TASK.encode(wrong) is not None and not solutions(wrong, 1)[0]:
            break
    result = solve(solver, wrong, restarts=restarts, max_steps=2, restart_steps=1)
    assert not result.solved and result.reason == "" and result.restarts == restarts


# -- one solution, or several -------------------------------------------------------------------------------------
@pytest.mark.parametrize("index", range(4))
def test_uniqueness_is_proven_or_refuted_by_a_second_solution(solver, index):
    question, solution, _ = generate(5, index, 4)
    result = solve(solver, question, check_unique=True)
    assert result.solved and (result.prediction.answer == solution).all()
    assert result.unique is True and result.second_solution is None

    question[np.nonzero(question)[0][0], np.nonzero(question)[1][0]] = 0  # minimal puzzles: now there are several
    assert len(solutions(question, 2)[0]) == 2
    result = solve(solver, question, check_unique=True)
    assert result.solved and result.unique is False
    assert TASK.check(question, result.second_solution.answer) == []
    assert (result.second_solution.answer != result.prediction.answer).any()


def test_without_restarts_uniqueness_is_unknown(solver):
    question, _, _ = generate(5, 0, 4)
    result = solve(solver, question, check_unique=True, restarts=0)
    assert result.solved and result.unique is None
    complete = solve(solver, result.prediction.answer, check_unique=True, restarts=0)
    assert complete.solved and complete.unique is True and complete.steps == 0


def test_by_default_the_first_solution_ends_the_search(solver):
    result = solve(solver, np.zeros((4, 4), np.uint8))
    assert result.solved and result.unique is None and result.second_solution is None


# -- the deadline -------------------------------------------------------------------------------------------------
def test_a_deadline_counts_puzzles_without_result(solver):
    question, _, _ = generate(3, 0, 9)
    for number in (1, 3):
        with pytest.raises(DeadlineExceeded) as exceeded:
            list(solver.solve([Puzzle(question)] * number, deadline=time.monotonic() - 1))
        assert 1 <= exceeded.value.in_progress <= number


def test_filling_a_batch_stops_at_the_deadline(monkeypatch):
    """Each question takes a second to encode; 30 of them would fit into the batch."""
    clock, encoded = [0.0], []

    class Slow(Plain):
        def encode(self, question):
            encoded.append(question)
            clock[0] += 1
            return TASK.encode(question)

    solver = small_solver(Slow(), TASK)
    question, _, _ = generate(3, 0, 9)
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    with pytest.raises(DeadlineExceeded):
        list(solver.solve([Puzzle(question)] * 30, deadline=3.0))
    assert 1 <= len(encoded) <= 3


# -- limits of a run ----------------------------------------------------------------------------------------------
def small_solver(task: Task, defaults: Trains, halt_logit: float = -3.0) -> Solver:
    """A random network whose halting head always gives about this logit."""
    torch.manual_seed(0)
    config = TRMConfig.from_dict({**defaults.model_defaults, "hidden_size": 8, "intermediate_size": 8})
    model = TRM(config)
    with torch.no_grad():
        model.q_head.bias[0] = halt_logit
    return Solver(task, model, torch.float32)


@pytest.mark.parametrize("givens", [0, 1])
def test_a_grid_with_few_givens_is_solved_within_few_steps(solver, givens):
    question = np.zeros((9, 9), np.uint8)
    question[4, 4] = 5 * givens
    result = solve(solver, question, check_unique=True)
    assert result.solved and result.unique is False and result.uniqueness == "several solutions; this is one"
    assert result.steps <= 1000 and result.restarts <= 300


# -- the strategy -------------------------------------------------------------------------------------------------
class Plain(Task):
    """Sudoku without any capability."""

    name = "plain"

    def encode(self, question):
        return TASK.encode(question)

    def decode(self, question, meanings, confidence) -> Prediction:
        return TASK.decode(question, meanings, confidence)

    def check(self, question, answer):
        return TASK.check(question, answer)


def test_a_task_that_neither_branches_nor_augments_has_one_run():
    torch.manual_seed(0)
    config = TRMConfig.from_dict({**TASK.model_defaults, "hidden_size": 8, "intermediate_size": 8})
    question, _, _ = generate(3, 0, 9)
    assert type(strategy_for(Plain(), question)) is SearchStrategy
    (result,) = Solver(Plain(), TRM(config), torch.float32).solve([Puzzle(question)], SolveOptions(max_steps=5))
    assert (result.solved, result.steps, result.restarts, result.reason) == (False, 5, 0, "")


def test_augmentations_come_before_branches():
    maze = get("maze").generate(3, 0, (5, 8))[0]
    assert type(strategy_for(get("maze"), maze)) is AugmentedRestarts
