"""examples/arc: every file is a task, and its rule, said again in numpy, makes every output of its input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from trmsolve.tasks.arc.read import read
from trmsolve.tasks.few_shot import FewShotTask

FOLDER = Path(__file__).parents[3] / "examples" / "arc"


def fall(grid: np.ndarray) -> np.ndarray:
    return np.take_along_axis(grid, np.argsort(grid > 0, axis=0, kind="stable"), axis=0)


def fill(grid: np.ndarray) -> np.ndarray:
    ground = np.pad(grid, 1) == 0
    outside = np.zeros_like(ground)
    outside[0] = True
    for _ in range(grid.size):  # the outside creeps in from the margin, a cell at a time
        near = outside.copy()
        near[1:] |= outside[:-1]
        near[:-1] |= outside[1:]
        near[:, 1:] |= outside[:, :-1]
        near[:, :-1] |= outside[:, 1:]
        outside = near & ground
    return np.where((ground & ~outside)[1:-1, 1:-1], 4, grid)


def cut_out(grid: np.ndarray) -> np.ndarray:
    rows, columns = np.nonzero(grid.any(1))[0], np.nonzero(grid.any(0))[0]
    return grid[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def key(grid: np.ndarray) -> np.ndarray:
    partner = np.arange(10)
    partner[grid[:, 0]] = grid[:, 1]
    return partner[grid[:, 3:]]


RULES = {
    "recolour": lambda grid: np.where(grid == 2, 1, grid),
    "mirror": np.fliplr,
    "fall": fall,
    "fill": fill,
    "cut_out": cut_out,
    "key": key,
}
TASKS = {record.name: record for record in read([FOLDER]) if isinstance(record, FewShotTask)}


def test_every_file_is_a_task_listed_in_the_readme():
    assert [type(record) for record in read([FOLDER])] == [FewShotTask] * 6
    assert set(TASKS) == set(RULES)
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert all(f"| {name}.json |" in readme for name in TASKS)


@pytest.mark.parametrize("name", RULES)
def test_its_rule_maps_every_input_to_its_output(name):
    task = TASKS[name]
    assert task.answers is not None and len(task.pairs) == len(task.demonstrations) + len(task.tests)
    for pair in task.pairs:
        assert RULES[name](pair.input).tolist() == pair.output.tolist()


@pytest.mark.parametrize("name", RULES)
def test_no_other_rule_explains_a_task(name):
    """So the demonstrations tell the rules apart, and no output is just the input."""
    for other, rule in {**RULES, "nothing": lambda grid: grid}.items():
        pairs = [pair for pair in TASKS[name].pairs if pair.input.shape[1] > 3]  # key() needs a picture beside its wall
        agreed = [np.array_equal(rule(pair.input), pair.output) for pair in pairs]
        assert all(agreed) == (other == name), other


@pytest.mark.parametrize("name", RULES)
def test_tasks_are_small_and_their_pairs_distinct(name):
    task = TASKS[name]
    assert 3 <= len(task.demonstrations) <= 5 and task.max_side <= 12
    assert len({pair.input.tobytes() for pair in task.pairs}) == len(task.pairs)
