"""Small tasks for the tests, as JSON values and as what is read from them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from trmsolve.tasks.arc.augmentations import Augmentation
from trmsolve.tasks.arc.read import read
from trmsolve.tasks.base import InvalidPuzzle
from trmsolve.tasks.few_shot import FewShotTask, Grid, Pair
from trmsolve.tasks.symmetries import SYMMETRIES, transform

GRID = [[1]]
PAIRS = [{"input": [[1]], "output": [[2]]}, {"input": [[2]], "output": [[3]]}, {"input": [[3]], "output": [[4]]}]


def value(answers: bool = True) -> dict[str, Any]:
    """A task of two demonstrations and two tests: left and right change places."""
    task: dict[str, Any] = {
        "train": [
            {"input": [[1, 0, 2]], "output": [[2, 0, 1]]},
            {"input": [[3, 4], [0, 5]], "output": [[4, 3], [5, 0]]},
        ],
        "test": [
            {"input": [[9, 0], [0, 0]], "output": [[0, 9], [0, 0]]},
            {"input": [[6, 7, 8]], "output": [[8, 7, 6]]},
        ],
    }
    if not answers:
        for pair in task["test"]:
            del pair["output"]
    return task


SOLUTION = [[[0, 9], [0, 0]], [[8, 7, 6]]]


def text(**changes: Any) -> str:
    """That task as JSON, some of its members changed, or left out when changed to None."""
    return json.dumps({name: part for name, part in (value() | changes).items() if part is not None})


def grid(*rows: str) -> np.ndarray:
    return np.array([[int(digit) for digit in row] for row in rows], np.uint8)


def task(name: str = "flip", answers: bool = True) -> FewShotTask:
    """That task as it is read."""
    return FewShotTask(
        name,
        f"{name}.json",
        (Pair(grid("102"), grid("201")), Pair(grid("34", "05"), grid("43", "50"))),
        (grid("90", "00"), grid("678")),
        (grid("09", "00"), grid("876")) if answers else None,
    )


def plain(task: FewShotTask) -> list[Any]:
    """All there is to a task but its source, to be compared."""
    pairs = [(pair.input.tolist(), pair.output.tolist()) for pair in task.demonstrations]
    answers = None if task.answers is None else [grid.tolist() for grid in task.answers]
    return [task.name, pairs, [grid.tolist() for grid in task.tests], answers]


def read_submission(path: Path) -> dict[str, list[list[np.ndarray]]]:
    """The attempts in a submission by task: for each test two grids."""
    tests_of = json.loads(path.read_text()).items()
    return {name: [[np.array(a, np.uint8) for a in test.values()] for test in tests] for name, tests in tests_of}


def random_augmentation(rng: np.random.Generator, keep_black: bool = True) -> Augmentation:
    """Uniform over all; with `keep_black` colour 0, the background of most tasks, stays."""
    kept = int(keep_black)
    symmetry = int(rng.integers(SYMMETRIES))
    return Augmentation(symmetry, (*range(kept), *(int(k) + kept for k in rng.permutation(10 - kept))))


def canonical(pair: Pair) -> bytes:
    """A key that is equal for all augmentations of a pair, and different for any other pair."""
    return min(_by_first_use(transform(pair.input, k), transform(pair.output, k)) for k in range(SYMMETRIES))


def _by_first_use(before: Grid, after: Grid) -> bytes:
    """The sizes of both grids, then their cells with colours numbered in the order of their first use."""
    cells = np.concatenate([before.ravel(), after.ravel()])
    _, first, which = np.unique(cells, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first)).astype(np.uint8)
    return bytes([*before.shape, *after.shape]) + rank[which].tobytes()


def one(path: Path, content: str | bytes) -> FewShotTask | InvalidPuzzle:
    """The only record of a file with this content."""
    path.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
    (record,) = read([path])
    return record


def names(paths: list) -> list[str]:
    """Tasks by name, bad ones as "!"."""
    return [record.name if isinstance(record, FewShotTask) else "!" for record in read(paths)]
