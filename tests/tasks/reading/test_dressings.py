"""Whatever regular dress a grid wears, it is read as the grid or refused: never as another one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tasks.reading.dressings import dressed_maze, dressed_sudoku, maze_document, sudoku_document
from trmsolve.tasks import get
from trmsolve.tasks.base import InvalidPuzzle, Line, Puzzle

DRESS: dict[str, Callable] = {"sudoku": dressed_sudoku, "maze": dressed_maze}
DOCUMENT: dict[str, Callable] = {"sudoku": sudoku_document, "maze": maze_document}
LEAST_READ = {"sudoku": 0.75, "maze": 0.5}  # shares; many mazes in spaces are ambiguous and rightly refused


def read_share(task: str, seeds: range, dress: dict[str, Callable] = DRESS) -> float:
    """The share of dressed puzzles that are read; fails for one that is read as another puzzle."""
    right = 0
    for seed in seeds:
        grid, text = dress[task](np.random.default_rng(seed))
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


@pytest.mark.parametrize("task", DOCUMENT)
def test_a_puzzle_in_a_document_is_read_or_refused(task):
    assert read_share(task, range(150), DOCUMENT) > LEAST_READ[task]


@pytest.mark.parametrize("task", DOCUMENT)
def test_damaged_documents_end_in_records(task):
    for seed in range(200):
        rng = np.random.default_rng(seed)
        marks = list(DOCUMENT[task](rng)[1])
        for _ in range(int(rng.integers(1, 6))):
            at = int(rng.integers(len(marks) + 1))
            mark = str(rng.choice(list("[]{}()<>,;:'\"`\\|&=\n /")))
            marks[at : at + int(rng.choice([0, 1, 20]))] = mark * int(rng.choice([1, 3]))
        lines = [Line(number, part) for number, part in enumerate("".join(marks).split("\n"), 1)]
        assert all(isinstance(record, Puzzle | InvalidPuzzle) for record in get(task).read(lines, "f"))


# Seeds of dressings that were once read as other puzzles: rules of 36, 64, 81 or 144 dashes, rows of sixteen cells as
# 4x4 puzzles, rows of bars, a grid whose first rows are a smaller one, labelled rows of mazes, cells
# between semicolons, of which the first is blank.
@pytest.mark.parametrize(
    ("task", "seed"),
    [
        ("sudoku", seed)
        for seed in (
            16487,
            31338,
            31405,
            37007,
            39593,
            47964,
            103116,
            104575,
            211385,
            311281,
            608538,
            8193,
            708929,
            709250,
            403451,
            5003235,
            5012753,
        )
    ]
    + [("maze", seed) for seed in (17836, 402973, 3803, 400794, 3741, 12005, 402618)],
)
def test_a_dressing_that_was_read_wrongly(task, seed):
    read_share(task, range(seed, seed + 1))


def test_a_document_that_was_read_wrongly():
    """A list of all 36 cells of a maze of 4x9, which as 6x6 has a border with one opening."""
    read_share("maze", range(7001555, 7001556), DOCUMENT)


@pytest.mark.slow
@pytest.mark.parametrize("task", DRESS)
@pytest.mark.parametrize("first_seed", [1000, 400_000])
def test_20000_dressed_puzzles_are_read_or_refused(task, first_seed):
    assert read_share(task, range(first_seed, first_seed + 20_000)) > LEAST_READ[task]


@pytest.mark.slow
@pytest.mark.parametrize("task", DOCUMENT)
def test_20000_documents_are_read_or_refused(task):
    assert read_share(task, range(1000, 21_000), DOCUMENT) > LEAST_READ[task]
