"""Whatever regular dress a grid wears, it is read as the grid or refused: never as another one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tasks.reading.dressings import dressed_maze, dressed_sudoku
from trmsolve.tasks import get
from trmsolve.tasks.base import Line, Puzzle

DRESS: dict[str, Callable] = {"sudoku": dressed_sudoku, "maze": dressed_maze}
LEAST_READ = {"sudoku": 0.75, "maze": 0.5}  # shares; many mazes in spaces are ambiguous and rightly refused


def read_share(task: str, seeds: range) -> float:
    """The share of dressed puzzles that are read; fails for one that is read as another puzzle."""
    right = 0
    for seed in seeds:
        grid, text = DRESS[task](np.random.default_rng(seed))
        lines = [Line(number, part) for number, part in enumerate(text.split("\n"), 1)]
        puzzles = [record for record in get(task).read(lines, "f") if isinstance(record, Puzzle)]
        assert len(puzzles) <= 1, f"seed {seed}:\n{text}"
        for puzzle in puzzles:
            assert np.array_equal(puzzle.question, grid), f"seed {seed}:\n{text}"
        right += len(puzzles)
    return right / len(seeds)


@pytest.mark.parametrize("task", DRESS)
def test_a_dressed_puzzle_is_read_or_refused(task):
    assert read_share(task, range(150)) > LEAST_READ[task]


# Seed 16487 of sudoku: rows of sixteen blanks are read as empty 4x4 puzzles. Seed 17836 of maze: a row of sixteen
# characters between labels is read as a square maze.
@pytest.mark.xfail(reason="about 1 of 15,000 dressed puzzles is read wrongly")
@pytest.mark.slow
@pytest.mark.parametrize("task", DRESS)
def test_20000_dressed_puzzles_are_read_or_refused(task):
    assert read_share(task, range(1000, 21_000)) > LEAST_READ[task]
