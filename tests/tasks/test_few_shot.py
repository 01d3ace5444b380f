"""The competition's rule: a task counts by the share of its tests of which one attempt is wholly right."""

from __future__ import annotations

import numpy as np
import pytest

from trmsolve.tasks.arc import TASK
from trmsolve.tasks.few_shot import FewShotTask, Pair, Score, score, solves

from .arc.examples import grid, task

FIRST, SECOND = grid("09", "00"), grid("876")  # the answers of task()
WRONG = grid("1")


def sized(name: str, side: int) -> FewShotTask:
    """A task whose largest grid has this side; its answer is black."""
    small = np.zeros((1, 1), np.uint8)
    return FewShotTask(name, name, (Pair(small, np.zeros((1, side), np.uint8)),), (small,), (small,))


@pytest.mark.parametrize(
    ("attempt", "right"),
    [
        (FIRST, True),
        (FIRST.astype(np.int64), True),
        (grid("90", "00"), False),
        (grid("0900"), False),
        (grid("09", "00", "00"), False),
        (grid("09"), False),
        (grid("9"), False),
    ],
)
def test_right_is_every_cell_and_both_sides(attempt, right):
    assert solves([attempt], FIRST) == right


def test_only_the_first_k_attempts_count():
    assert solves([WRONG, FIRST], FIRST) and solves([FIRST, WRONG], FIRST)
    assert not solves([WRONG, WRONG, FIRST], FIRST)
    assert not solves([WRONG, FIRST], FIRST, k=1) and solves([WRONG, WRONG, FIRST], FIRST, k=3)
    assert not solves([], FIRST)


def test_a_task_counts_by_its_share():
    assert score(task(), [[FIRST], [WRONG, SECOND]]) == Score(1, 1.0, 2, 2)
    assert score(task(), [[FIRST], [WRONG, SECOND]], k=1) == Score(1, 0.5, 2, 1)
    assert score(task(), [[SECOND], [FIRST]]) == Score(1, 0.0, 2, 0)  # each attempt belongs to its test
    assert score(task(), [[FIRST]]) == Score(1, 0.5, 2, 1)
    assert score(task(), []) == Score(1, 0.0, 2, 0)


def test_tasks_and_tests_are_two_measures():
    tasks = [task("a"), sized("b", 3), sized("c", 3), sized("d", 3)]
    attempts = [[[FIRST], [WRONG]], [[grid("0")]], [[grid("5")]], []]
    total = sum(map(score, tasks, attempts), Score())
    assert total == Score(4, 1.5, 5, 2)
    assert total.rate == 1.5 / 4


@pytest.mark.parametrize(
    ("side", "group"), [(1, "10"), (10, "10"), (11, "20"), (20, "20"), (21, "30"), (30, "30"), (31, "100")]
)
def test_tasks_are_grouped_by_their_longest_side(side, group):
    assert TASK.group_of(sized("a", side))["sides"] == group


def test_without_answers_there_is_no_score():
    with pytest.raises(ValueError, match=r"flip\.json"):
        score(task(answers=False), [])
