"""The competition's rule: a task counts by the share of its tests of which one attempt is wholly right."""

from __future__ import annotations

import numpy as np
import pytest

from trmsolve.tasks.arc.grids import ArcTask, Pair
from trmsolve.tasks.arc.score import Score, by_side, score, solved, total

from .tasks import grid, task

FIRST, SECOND = grid("09", "00"), grid("876")  # the answers of task()
WRONG = grid("1")


def sized(name: str, side: int) -> ArcTask:
    """A task whose largest grid has this side; its answer is black."""
    small = np.zeros((1, 1), np.uint8)
    return ArcTask(name, name, (Pair(small, np.zeros((1, side), np.uint8)),), (small,), (small,))


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
    assert solved([attempt], FIRST) == right


def test_only_the_first_k_attempts_count():
    assert solved([WRONG, FIRST], FIRST) and solved([FIRST, WRONG], FIRST)
    assert not solved([WRONG, WRONG, FIRST], FIRST)
    assert not solved([WRONG, FIRST], FIRST, k=1) and solved([WRONG, WRONG, FIRST], FIRST, k=3)
    assert not solved([], FIRST)


def test_a_task_counts_by_its_share():
    assert score(task(), [[FIRST], [WRONG, SECOND]]) == Score(1, 1.0, 2, 2)
    assert score(task(), [[FIRST], [WRONG, SECOND]], k=1) == Score(1, 0.5, 2, 1)
    assert score(task(), [[SECOND], [FIRST]]) == Score(1, 0.0, 2, 0)  # each attempt belongs to its test
    assert score(task(), [[FIRST]]) == Score(1, 0.5, 2, 1)
    assert score(task(), []) == Score(1, 0.0, 2, 0)


def test_tasks_and_tests_are_two_measures():
    tasks = [task("a"), sized("b", 3), sized("c", 3), sized("d", 3)]
    attempts = {"a": [[FIRST], [WRONG]], "b": [[grid("0")]], "c": [[grid("5")]], "nobody": [[WRONG]]}
    found = total(tasks, attempts)
    assert found == Score(4, 1.5, 5, 2)
    assert found.rate == 1.5 / 4 and found.test_rate == 2 / 5


def test_by_side():
    tasks = [sized("a", 1), sized("b", 10), sized("c", 11), sized("d", 20), sized("e", 21), sized("f", 30)]
    black = [[grid("0")]]
    found = by_side(tasks, {"a": black, "c": black, "d": black})
    assert found == {10: Score(2, 1.0, 2, 1), 20: Score(2, 2.0, 2, 2), 30: Score(2, 0.0, 2, 0)}
    assert sum(found.values(), Score()) == total(tasks, {"a": black, "c": black, "d": black})
    assert by_side([], {})[10].rate == 0.0


def test_without_answers_there_is_no_score():
    with pytest.raises(ValueError, match=r"flip\.json"):
        score(task(answers=False), [])
