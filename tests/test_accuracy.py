"""What the bundled checkpoints reach on small samples. docs/results.md has the full figures."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import trmsolve
from tasks.sudoku.fingerprint import fingerprints
from trmsolve.checkpoint import find
from trmsolve.tasks.arc.read import read as read_tasks
from trmsolve.tasks.base import Puzzle
from trmsolve.tasks.maze import TASK as MAZE
from trmsolve.tasks.maze import rules as maze_rules
from trmsolve.tasks.maze.augmentations import NUM_AUGMENTATIONS, augment
from trmsolve.tasks.maze.generate import generate as generate_maze
from trmsolve.tasks.sudoku import TASK
from trmsolve.tasks.sudoku.generate import generate
from trmsolve.text_io import open_lines


@pytest.fixture(scope="module")
def model() -> trmsolve.Model:
    return trmsolve.load("sudoku", device="cpu")


def puzzles(path: Path, limit: int) -> list[Puzzle]:
    return list(TASK.read(open_lines(path), path.name))[:limit]


def right(results) -> int:
    """Results that are solved, and with the answer that the data set gives."""
    return sum(r.solved and (r.prediction.answer == r.puzzle.solution).all() for r in results)


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


# -- mazes ------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def walker() -> trmsolve.Model:
    return trmsolve.load("maze", device="cpu")


@pytest.mark.parametrize(
    ("size", "number"), [((3, 3), 8), ((9, 12), 24), ((30, 30), 24), ((15, 40), 16), ((61, 61), 4)]
)
def test_generated_mazes_of_every_kind_are_solved(walker, size, number):
    """One set of weights for every size; seed 4321 is not trained on, nor are sizes beyond 33."""
    given = [Puzzle(generate_maze(4321, index, size)[0]) for index in range(number)]
    results = list(walker.solve(given))
    assert sum(r.solved for r in results) >= 0.95 * number
    for r in results:
        assert r.solved == (maze_rules.check(r.puzzle.question, r.prediction.answer) == [])


def test_held_out_mazes_are_solved_mostly_without_restarts(walker, shared):
    given = list(MAZE.read(open_lines(shared / "data" / "maze" / "maze_hard_dev.csv"), "dev"))[:40]
    results = list(walker.solve(given))
    assert sum(r.solved for r in results) >= 39
    assert sum(r.single_pass for r in results) >= 20


def test_no_training_maze_is_a_held_out_one_from_any_side(shared):
    def questions(name: str) -> list[np.ndarray]:
        return [p.question for p in MAZE.read(open_lines(shared / "data" / "maze" / name), name)]

    forbidden = {
        augment(maze, k).tobytes() for maze in questions("maze_hard_dev.csv") for k in range(NUM_AUGMENTATIONS)
    }
    assert len(forbidden) == 500 * NUM_AUGMENTATIONS
    assert not forbidden & {maze.tobytes() for maze in questions("maze_hard_train.csv")}


def test_the_maze_checkpoint_says_where_it_comes_from():
    header = find(None, "maze").header
    assert header.parameters <= 1_000_000
    for session in header.provenance["sessions"]:
        assert session["command"] and all(source["share"] for source in session["data"])
    assert header.metrics["maze_hard_dev"]["n"] == 500


@pytest.mark.parametrize(("name", "steps"), [("recolour", 60), ("fill", 60)])
def test_an_arc_task_is_solved_with_default_settings(name, steps):
    """Tasks of our own, which nothing was trained on; their answers are not shown to the solver.

    steps: fewer than the default budget of a minute allows on an idle machine. fill needs 34 of them.
    """
    (task,) = read_tasks([Path(__file__).parents[1] / "examples" / "arc" / f"{name}.json"])
    model = trmsolve.load("arc", device="cpu")
    (result,) = model.adapt([replace(task, answers=None)], budget=None, steps=steps)
    assert replace(result, task=task).solved
    assert result.fits
