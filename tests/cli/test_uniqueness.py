"""trmsolve sudoku --check-unique: one solution, several, or unknown; too few givens are named without it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from trmsolve import load
from trmsolve.tasks.sudoku import TASK
from trmsolve.tasks.sudoku.generate import generate

QUESTION = generate(5, 0, 4)[0]  # minimal: without any of its givens it has several solutions


@pytest.mark.parametrize(("drop", "text"), [(False, "this is the only solution"), (True, "several solutions; this is")])
def test_whether_there_are_more_solutions_is_stated(cli, drop, text):
    question = QUESTION.copy()
    if drop:
        question[tuple(part[0] for part in question.nonzero())] = 0
    done = cli("sudoku", "-", "--check-unique", "--format", "jsonl", stdin=TASK.format_line(question))
    record = json.loads(done.stdout)
    assert done.exit_code == 0 and text in done.stderr
    assert record["unique"] is not drop and record["verified"]
    assert (record["second_solution"] not in (None, record["answer"])) is drop


def test_an_unfinished_proof_is_named_as_unknown(cli):
    done = cli("sudoku", "-", "--check-unique", "--restarts", 0, "--format", "jsonl", stdin=TASK.format_line(QUESTION))
    assert "unknown" in done.stderr and "unique" not in json.loads(done.stdout)


def test_by_default_nothing_is_stated(cli):
    done = cli("sudoku", "-", "--format", "jsonl", stdin=TASK.format_line(QUESTION))
    assert "solution" not in done.stderr and "unique" not in json.loads(done.stdout)


def test_fewer_givens_than_any_grid_with_one_solution_has_are_named():
    question = generate(3, 0, 9)[0].copy()
    rows, columns = question.nonzero()
    assert TASK.ambiguity_reason(question) == ""
    question[rows[16:], columns[16:]] = 0
    assert TASK.ambiguity_reason(question).startswith("with 16 givens it has several solutions or none")
    assert TASK.ambiguity_reason(QUESTION) == ""
    two_kinds = np.where(QUESTION > 2, 0, QUESTION)
    assert "several solutions or none" in TASK.ambiguity_reason(two_kinds)


@pytest.mark.parametrize("text", ["." * 81, "." * 40 + "5" + "." * 40, "." * 36, "." * 16])
def test_a_grid_with_many_solutions_gets_one_within_few_steps(text):
    (result,) = load("sudoku", device="cpu").solve([text])
    assert result.solved and result.steps <= 60


def test_a_hard_puzzle_is_proved_to_have_one_solution():
    hard = "....41..2.1..329.....9......2.4..5.95......8..9.3.5..1.321....4...........6.7...."
    (result,) = load("sudoku", device="cpu").solve([hard], check_unique=True)
    assert result.solved and result.unique and result.steps < 1000
