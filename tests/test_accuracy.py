"""What the bundled checkpoint reaches; the full figures, by `trmsolve eval`, stand in docs/records.md."""

import csv
from pathlib import Path

import numpy as np
import pytest

import trmsolve
from trmsolve.sources import open_lines
from trmsolve.store import find
from trmsolve.tasks.base import Puzzle
from trmsolve.tasks.sudoku import TASK
from trmsolve.tasks.sudoku.generate import generate
from trmsolve.tasks.sudoku.symmetries import fingerprints


@pytest.fixture(scope="module")
def model() -> trmsolve.Model:
    return trmsolve.load("sudoku", device="cpu")


def puzzles(path: Path, limit: int) -> list[Puzzle]:
    return list(TASK.read(open_lines(path), path.name))[:limit]


def right(results) -> int:
    """Results that are solved, and with the answer that the data set gives."""
    return sum(r.solved and (r.guess.answer == r.puzzle.solution).all() for r in results)


def test_newspaper_puzzles_are_all_solved(model):
    given = []
    for index, extra in enumerate((2, 6, 10, 16, 24, 34)):
        for member in range(4):
            question, solution, _ = generate(1234, 10 * index + member, 9, extra=extra)
            assert 24 <= np.count_nonzero(question) <= 62
            given.append(Puzzle(question, solution=solution))
    assert right(model.solve(given)) == len(given)


@pytest.mark.parametrize(
    ("name", "number", "at_least"),
    [("extreme_dev.csv", 30, 29), ("forum_hardest_11plus_dev.csv", 10, 9), ("clue17_dev.csv", 40, 40)],
)
def test_held_out_puzzles_are_solved(model, shared, name, number, at_least):
    assert right(model.solve(puzzles(shared / "data" / "sudoku" / name, number))) >= at_least


def test_the_plain_recursion_solves_most_puzzles_with_17_givens(model, shared):
    given = puzzles(shared / "data" / "sudoku" / "clue17_dev.csv", 40)
    assert right(model.solve(given, restarts=0)) >= 34


def test_no_training_puzzle_is_a_held_out_one_up_to_symmetry(shared):
    def questions(name: str) -> np.ndarray:
        with (shared / "data" / "sudoku" / name).open() as file:
            rows = [row["question"].replace(".", "0") for row in csv.DictReader(file)]
        return np.array([[int(c) for c in row] for row in rows], np.uint8).reshape(-1, 9, 9)

    held_out = ("extreme_dev.csv", "clue17_dev.csv", "forum_hardest_11plus_dev.csv")
    forbidden = np.concatenate([fingerprints(questions(name)) for name in held_out])
    assert len(np.unique(forbidden)) == len(forbidden) == 2300  # the fingerprint tells puzzles apart
    for name in ("extreme_train.csv", "magictour_top1465.csv", "clue17_train.csv"):
        assert not np.isin(fingerprints(questions(name)), forbidden).any(), name


def test_the_checkpoint_says_where_it_comes_from():
    header = find(None, "sudoku").header
    assert header.parameters <= 1_000_000
    assert {"sessions", "commit", "steps", "seconds", "hardware"} <= set(header.provenance)
    for session in header.provenance["sessions"]:
        assert session["command"] and all(source["share"] for source in session["data"])
    assert all(entry["n"] >= 300 for entry in header.metrics.values()) and header.metrics
