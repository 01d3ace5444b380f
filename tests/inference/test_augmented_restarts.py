"""Restarts by another view: in order, within the budget, turned back, and each puzzle for itself.

The network is a random one: which views can be solved is decided by a task whose decode() knows the answers.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from trmsolve.inference.options import Result, SolveOptions
from trmsolve.inference.search import AugmentedRestarts
from trmsolve.inference.solver import Solver
from trmsolve.model.config import TRMConfig
from trmsolve.model.trm import TRM
from trmsolve.tasks.base import Prediction, Puzzle
from trmsolve.tasks.maze import Maze
from trmsolve.tasks.maze.augmentations import NUM_AUGMENTATIONS, augment, augmentation_name
from trmsolve.tasks.maze.cells import FLOOR, PATH, WALL
from trmsolve.tasks.maze.generate import generate
from trmsolve.tasks.maze.rules import canonical

SIZES = [(5, 8), (9, 6), (7, 7), (4, 11), (8, 5), (6, 6)]
MAZES = [generate(3, index, size, density=0.25, min_path=5)[0] for index, size in enumerate(SIZES)]


class Knowing(Maze):
    """Mazes whose answer the network predicts under one augmentation only."""

    def __init__(self) -> None:
        self.known: set[bytes] = set()

    def teach(self, question: np.ndarray, k: int) -> Puzzle:
        """From way k on, this one can be solved."""
        self.known.add(_key(augment(question, k)))
        return Puzzle(question)

    def decode(self, question: np.ndarray, meanings: np.ndarray, confidence: np.ndarray) -> Prediction:
        sure = super().decode(question, meanings, confidence).confidence
        return Prediction(canonical(question) if _key(question) in self.known else question.copy(), sure)


def _key(question: np.ndarray) -> bytes:
    return bytes(question.shape) + question.tobytes()


@pytest.fixture(scope="module")
def network() -> TRM:
    torch.manual_seed(0)
    return TRM(
        TRMConfig.from_dict({**Maze.model_defaults, "hidden_size": 8, "intermediate_size": 16})
    ).double()  # exact whatever the batch


@pytest.fixture
def task() -> Knowing:
    return Knowing()


@pytest.fixture
def solve(network, task):
    def solve(puzzles: list[Puzzle], **options) -> list:
        steps = options.pop("steps", False)
        return list(Solver(task, network, torch.float64).solve(puzzles, SolveOptions(**options), steps=steps))

    return solve


# -- the order --------------------------------------------------------------------------------------------------
def test_each_augmentation_is_used_once_in_order(task):
    views = AugmentedRestarts(task, MAZES[0])
    assert views.root.k == 0 and (views.root.question == MAZES[0]).all()
    rounds = [[attempt.k for attempt in views.next_candidates(number)] for number in (2, 1, 4, 100, 1)]
    assert rounds == [[1, 2], [3], [4, 5, 6, 7], list(range(8, NUM_AUGMENTATIONS)), []]


def test_every_candidate_is_the_augmented_question(task):
    views = AugmentedRestarts(task, MAZES[1])
    for attempt in (views.root, *views.next_candidates(NUM_AUGMENTATIONS)):
        assert (attempt.question == augment(MAZES[1], attempt.k)).all()
        assert len(attempt.encoded.x) == (MAZES[1] != WALL).sum()
        assert views.describe(attempt) == augmentation_name(attempt.k)


def test_watching_shows_one_augmentation_after_the_other(solve):
    *events, result = solve([Puzzle(MAZES[0])], max_steps=2, in_flight=1, steps=True)
    assert not result.solved and result.restarts == NUM_AUGMENTATIONS - 1
    assert [(event.run, event.step) for event in events] == [
        (k, step) for k in range(NUM_AUGMENTATIONS) for step in (1, 2)
    ]
    assert [event.description for event in events[::2]] == [augmentation_name(k) for k in range(NUM_AUGMENTATIONS)]


# -- the budget -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("in_flight", [1, 2, 5])
@pytest.mark.parametrize(("allowed", "taken"), [(0, 0), (1, 1), (3, 3), (15, 15), (512, 15)])
def test_the_number_of_restarts_is_limited(solve, in_flight, allowed, taken):
    (result,) = solve([Puzzle(MAZES[0])], max_steps=1, restarts=allowed, in_flight=in_flight)
    assert not result.solved and result.restarts == taken and result.steps == taken + 1


@pytest.mark.parametrize("k", [0, 1, 4, 9, 15])
def test_a_maze_is_solved_under_the_first_augmentation_that_succeeds(solve, task, k):
    puzzle = task.teach(MAZES[1], k)
    (result,) = solve([puzzle], max_steps=3, in_flight=1)
    assert result.solved and result.restarts == k
    assert result.single_pass == (k == 0)
    if k:
        (result,) = solve([puzzle], max_steps=3, in_flight=1, restarts=k - 1)
        assert not result.solved and result.restarts == k - 1


# -- the question's own frame -----------------------------------------------------------------------------------
@pytest.mark.parametrize("k", range(NUM_AUGMENTATIONS))
def test_an_answer_under_any_augmentation_solves_the_question(solve, task, k):
    *_, event, result = solve([task.teach(MAZES[k % len(MAZES)], k)], max_steps=1, in_flight=1, steps=True)
    assert isinstance(result, Result) and result.solved and event.solved
    assert event.description == augmentation_name(k) and (event.prediction.answer == result.prediction.answer).all()
    assert task.check(result.puzzle.question, result.prediction.answer) == []


@pytest.mark.parametrize("maze", MAZES)
def test_predictions_under_every_augmentation_are_inverted(network, maze):
    """Of the real task and a random network: nonsense, but nonsense in its place."""
    events = list(
        Solver(Maze(), network, torch.float64).solve([Puzzle(maze)], SolveOptions(max_steps=2, in_flight=1), steps=True)
    )
    events, result = events[:-1], events[-1]
    assert not result.solved and {event.run for event in events} == set(range(NUM_AUGMENTATIONS))
    for event in events:
        answer, confidence = event.prediction.answer, event.prediction.confidence
        assert answer.shape == confidence.shape == maze.shape
        assert (np.where(answer == PATH, FLOOR, answer) == maze).all()
        assert (confidence[maze == WALL] == 1).all() and (confidence[maze != WALL] < 1).all()


# -- each for itself --------------------------------------------------------------------------------------------
def test_results_do_not_depend_on_the_batch(solve, task):
    puzzles = [task.teach(maze, k) for maze, k in zip(MAZES[:5], (0, 7, 2, 15, 4), strict=True)]
    puzzles += [Puzzle(MAZES[5]), Puzzle(np.array([[2, 0, 1], [0, 0, 1], [1, 1, 3]], np.uint8))]
    outcomes = []
    for size in (1, 3, 32):
        results = solve(puzzles, max_steps=3, batch_size=size)
        assert [result.puzzle for result in results] == puzzles
        guesses = [None if r.prediction is None else (r.prediction.answer.tobytes(), r.halt_prob) for r in results]
        outcomes.append([(r.solved, r.steps, r.restarts) for r in results] + guesses)
    assert outcomes[0] == outcomes[1] == outcomes[2]
    assert [solved for solved, _, _ in outcomes[0][:7]] == [True] * 5 + [False] * 2
    assert outcomes[0][6][1:] == (0, 0)  # no way: no step either
