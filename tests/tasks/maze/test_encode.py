"""A maze as tokens and choices, what the model is asked to say of it, and what its choices mean."""

from __future__ import annotations

import numpy as np
import pytest

from trmsolve.tasks import get
from trmsolve.tasks.base import Sample
from trmsolve.tasks.maze.cells import FLOOR, GOAL, PATH, START, WALL
from trmsolve.tasks.maze.encode import MOVE_CLASSES, NO_MOVE, OPTIONS, PHASES, decode, encode, sample
from trmsolve.tasks.maze.generate import generate
from trmsolve.tasks.maze.rules import DIRECTIONS, canonical, distances, find_cell

OFF_PATH, PHASE = 0.25, 0.125


def steps_of(maze: np.ndarray) -> np.ndarray:
    return distances(maze != WALL, find_cell(maze, START))


def sample_of(maze: np.ndarray) -> Sample:
    return sample(maze, steps_of(maze), OFF_PATH, PHASE)


def chosen(made: Sample) -> np.ndarray:
    """The meanings of the options that say where each cell's parent lies, and whether the path runs through it."""
    return made.encoded.meanings[(made.encoded.first + made.target)[::2]]


CLOSED_OFF = np.array([[2, 1, 0, 1], [0, 1, 0, 1], [1, 3, 0, 0]], np.uint8)  # both cells on the right
MAZES = [generate(1, index, (4 + index, 12 - index), kind="walls", density=0.3)[0] for index in range(8)]
MAZES += [generate(2, index, (9, 9))[0] for index in range(6)] + [CLOSED_OFF]


@pytest.mark.parametrize("maze", MAZES)
def test_what_training_asks_for_is_the_canonical_path(maze):
    sample = sample_of(maze)
    answer = decode(maze, chosen(sample), np.ones(len(sample.encoded.x), np.float32)).answer
    assert (answer == canonical(maze)).all()


@pytest.mark.parametrize("maze", MAZES)
def test_training_and_solving_mean_the_same_by_an_option(maze):
    sample, asked = sample_of(maze).encoded, encode(maze)
    assert (sample.x == asked.x).all() and (sample.meanings == asked.meanings).all()
    assert (sample.edges.neighbors == asked.edges.neighbors).all()
    assert (sample.first[::2] == asked.first).all() and (sample.size[::2] == asked.size).all()


@pytest.mark.parametrize("maze", MAZES)
def test_parents_lead_one_step_back_and_cells_without_a_way_have_none(maze):
    steps, padded = steps_of(maze), np.pad(steps_of(maze), 1, constant_values=-9)
    target = sample_of(maze).target[::2]
    for (r, c), option in zip(np.argwhere(maze != WALL).tolist(), target.tolist(), strict=True):
        if steps[r, c] <= 0:  # the start is where all parents lead
            assert option == NO_MOVE
        else:
            down, right = DIRECTIONS[option // 2]
            assert padded[1 + r + down, 1 + c + right] == steps[r, c] - 1


@pytest.mark.parametrize("maze", MAZES)
def test_an_option_is_accepted_when_the_answer_is_as_right_with_it(maze):
    """Each option of each cell, with all other cells as they should be."""
    sample, answer = sample_of(maze), canonical(maze)
    courses = sample.encoded.first[::2] + sample.target[::2]
    sure = np.ones(len(courses), np.float32)
    for token, cell in enumerate(np.flatnonzero(maze != WALL).tolist()):
        r, c = divmod(cell, maze.shape[1])
        touching = [(r + down, c + right) for down, right in DIRECTIONS]
        inside = [at for at in touching if 0 <= at[0] < maze.shape[0] and 0 <= at[1] < maze.shape[1]]
        beside_path = any(answer[at] > FLOOR for at in inside)
        for option in range(MOVE_CLASSES):
            predicted = courses.copy()
            predicted[token] = token * OPTIONS + option
            same = (decode(maze, sample.encoded.meanings[predicted], sure).answer == answer).all()
            right = sample.accepted[token * OPTIONS + option]
            if maze[r, c] != FLOOR:  # both ends are on the path whatever is said of them, but a sure model says so
                assert same and right == (option % 2 == 1 or (maze[r, c] == START and option == NO_MOVE))
            elif answer[r, c] == PATH or beside_path:
                assert same == right
            else:  # a mark that hangs together with nothing is no part of the answer, but it is not asked for
                assert same and right == (option % 2 == 0)
        assert sample.accepted[
            token * OPTIONS + MOVE_CLASSES : (token + 1) * OPTIONS
        ].all()  # phases are no part of the answer
    assert sample.accepted[sample.encoded.first + sample.target].all()
    assert sample.accepted.dtype == bool and sample.accepted.shape == sample.encoded.meanings.shape


def test_marks_apart_from_both_ends_are_no_part_of_the_answer():
    maze = np.full((5, 9), FLOOR, np.uint8)
    maze[0, 0], maze[0, 2] = START, 3
    meanings = np.arange(maze.size) * OPTIONS  # nothing marked
    for cell in [(0, 1), (0, 3), (1, 2), *((r, c) for r in (2, 3, 4) for c in (6, 7, 8) if (r, c) != (3, 7))]:
        meanings[cell[0] * 9 + cell[1]] += 1  # the path, two cells at the goal, and a ring
    answer = decode(maze, meanings, np.ones(maze.size, np.float32)).answer
    assert np.argwhere(answer == PATH).tolist() == [[0, 1], [0, 3], [1, 2]]


@pytest.mark.parametrize("maze", MAZES)
def test_weights_and_phases(maze):
    sample, steps, answer = sample_of(maze), steps_of(maze)[maze != WALL], canonical(maze)[maze != WALL]
    course, phase = sample.weight.reshape(-1, 2).T
    assert sample.weight.dtype == np.float32
    assert (course == np.where(answer == FLOOR, OFF_PATH, 1)).all()  # both ends weigh as much as the path
    assert (phase == np.where(steps < 0, 0, PHASE)).all()
    assert (sample.target[1::2] == steps % PHASES)[steps >= 0].all()
    assert set(sample.encoded.size.tolist()) == {MOVE_CLASSES, PHASES}


def test_one_maze_by_hand():
    """Options are 2 * (up, left, right, down) + on the path; cells out of reach lie nowhere, and have no phase."""
    sample = sample_of(CLOSED_OFF)
    course, phase = sample.target.reshape(-1, 2).T
    #       S  o  out of reach  o  out of reach  beside G  G
    assert course.tolist() == [8, 3, 8, 1, 8, 4, 1]
    assert phase[[0, 1, 3, 6, 5]].tolist() == [0, 1, 2, 3, 4]
    course, phase = sample.weight.reshape(-1, 2).T
    assert course.tolist() == [1, 1, OFF_PATH, 1, OFF_PATH, OFF_PATH, 1]
    assert phase.tolist() == [PHASE, PHASE, 0, PHASE, 0, PHASE, PHASE]


@pytest.mark.parametrize("maze", MAZES)
def test_tokens_are_the_open_cells_each_tied_to_those_beside_it(maze):
    encoded = encode(maze)
    cells = [tuple(cell) for cell in np.argwhere(maze != WALL).tolist()]
    assert encoded.x.tolist() == [{FLOOR: 0, START: 1, GOAL: 2}[int(maze[cell])] for cell in cells]
    assert encoded.x.dtype == np.int64 and encoded.edges.neighbors.dtype == np.int32
    for (r, c), around in zip(cells, encoded.edges.neighbors.tolist(), strict=True):
        beside = [(r + down, c + right) for down, right in DIRECTIONS]
        assert around == [cells.index(cell) if cell in cells else -1 for cell in beside]
    assert encoded.num_choices == len(cells) and (encoded.size == MOVE_CLASSES).all()
    assert (encoded.meanings[encoded.first] == [(r * maze.shape[1] + c) * OPTIONS for r, c in cells]).all()


def test_without_a_way_there_is_nothing_to_encode():
    assert encode(np.array([[2, 0, 1], [0, 0, 1], [1, 1, 3]], np.uint8)) is None
    assert encode(np.array([[2, 0, 1], [1, 0, 1], [1, 1, 3]], np.uint8)) is not None


def test_whatever_is_chosen_ends_and_walls_stay():
    maze = MAZES[0]
    encoded = encode(maze)
    sure = np.linspace(0.1, 0.9, encoded.num_choices, dtype=np.float32)
    everywhere = decode(maze, encoded.meanings[encoded.first + 1], sure)
    assert (everywhere.answer == np.where(maze == FLOOR, PATH, maze)).all()
    assert (everywhere.confidence[maze != WALL] == sure).all() and (everywhere.confidence[maze == WALL] == 1).all()
    assert everywhere.confidence.dtype == np.float32
    for option in (0, 2, 4, 6, NO_MOVE):
        assert (decode(maze, encoded.meanings[encoded.first + option], sure).answer == maze).all()
    assert (get("maze").open_cells(maze) == (maze == FLOOR)).all()
