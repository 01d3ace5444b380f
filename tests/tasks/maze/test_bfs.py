"""Distances against matrix products, parents one step down, and the canonical path against all shortest paths."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from trmsolve.tasks.maze.augmentations import swap_ends
from trmsolve.tasks.maze.cells import FLOOR, GOAL, PATH, START, WALL
from trmsolve.tasks.maze.rules import DIRECTIONS, NO_PARENT, backtrace, canonical, distances, find_cell, parents
from trmsolve.tasks.symmetries import SYMMETRIES, inverse, transform

SHAPES = [(3, 3), (3, 9), (6, 5), (8, 8)]


def random_maze(rng: np.random.Generator, height: int, width: int, density: float) -> np.ndarray:
    maze = np.where(rng.random((height, width)) < density, WALL, FLOOR).astype(np.uint8)
    ends = rng.choice(height * width, 2, replace=False)
    maze.reshape(-1)[ends] = START, GOAL
    return maze


def beside(a: tuple[int, int], b: tuple[int, int]) -> bool:
    return abs(a[0] - b[0]) + abs(a[1] - b[1]) == 1


def slow_distances(open_cells: np.ndarray, start: tuple[int, int]) -> np.ndarray:
    """The first power of the adjacency matrix that leads from the start to each cell."""
    cells = [(int(r), int(c)) for r, c in np.ndindex(*open_cells.shape)]
    tied = np.array([[beside(a, b) and open_cells[a] and open_cells[b] for b in cells] for a in cells])
    reached = np.array([cell == start for cell in cells])
    steps = np.where(reached, 0, -1)
    for k in range(1, len(cells)):
        reached = reached | (tied.astype(int) @ reached > 0)
        steps[reached & (steps < 0)] = k
    return steps.reshape(open_cells.shape)


def shortest_paths(maze: np.ndarray) -> list[list[tuple[int, int]]]:
    """All of them, from the goal to the start, by trying every walk of growing length that meets no cell twice."""
    walks = [[find_cell(maze, GOAL)]]
    while walks:
        if there := [walk for walk in walks if maze[walk[-1]] == START]:
            return there
        walks = [
            [*walk, (r, c)]
            for walk in walks
            for r, c in ((walk[-1][0] + down, walk[-1][1] + right) for down, right in DIRECTIONS)
            if 0 <= r < maze.shape[0] and 0 <= c < maze.shape[1] and maze[r, c] != WALL and (r, c) not in walk
        ]
    return []


def moves(path: list[tuple[int, int]]) -> list[int]:
    return [DIRECTIONS.index((b[0] - a[0], b[1] - a[1])) for a, b in pairwise(path)]


def drawn(maze: np.ndarray, path: list[tuple[int, int]]) -> np.ndarray:
    answer = maze.copy()
    for cell in path[1:-1]:
        answer[cell] = PATH
    return answer


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("density", [0.0, 0.3, 0.5])
def test_distances_are_those_of_the_adjacency_matrix(shape, density):
    rng = np.random.default_rng(1)
    for _ in range(4):
        maze = random_maze(rng, *shape, density)
        steps = distances(maze != WALL, find_cell(maze, START))
        assert steps.dtype == np.int32
        assert (steps == slow_distances(maze != WALL, find_cell(maze, START))).all()


def test_directions_are_up_left_right_down_and_opposite_in_pairs():
    assert DIRECTIONS == ((-1, 0), (0, -1), (0, 1), (1, 0))
    for k, (down, right) in enumerate(DIRECTIONS):
        assert DIRECTIONS[3 - k] == (-down, -right)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_parent_is_the_first_neighbour_one_step_nearer(shape):
    rng = np.random.default_rng(2)
    maze = random_maze(rng, *shape, 0.3)
    steps = distances(maze != WALL, find_cell(maze, START))
    parent = parents(steps)
    for cell in np.ndindex(*shape):
        nearer = [
            k
            for k, (down, right) in enumerate(DIRECTIONS)
            if 0 <= cell[0] + down < shape[0]
            and 0 <= cell[1] + right < shape[1]
            and steps[cell] > 0
            and steps[cell[0] + down, cell[1] + right] == steps[cell] - 1
        ]
        assert parent[cell] == (nearer[0] if nearer else NO_PARENT)
        assert bool(nearer) == (steps[cell] > 0)


def test_follow_walks_from_the_goal_to_the_start_one_step_at_a_time():
    rng = np.random.default_rng(3)
    maze = random_maze(rng, 8, 8, 0.1)
    start, goal = find_cell(maze, START), find_cell(maze, GOAL)
    steps = distances(maze != WALL, start)
    path = backtrace(parents(steps), goal)
    assert path[0] == goal and path[-1] == start
    assert [steps[cell] for cell in path] == list(range(steps[goal], -1, -1))
    assert all(beside(a, b) for a, b in pairwise(path))


def test_the_label_is_the_first_of_all_shortest_paths_from_the_goal():
    rng = np.random.default_rng(4)
    several = none = 0
    for _ in range(60):
        maze = random_maze(rng, *SHAPES[rng.integers(2)], rng.uniform(0, 0.5))
        found, answer = shortest_paths(maze), canonical(maze)
        several, none = several + (len(found) > 1), none + (not found)
        if found:
            assert (answer == drawn(maze, min(found, key=moves))).all()
        else:
            assert answer is None
    assert several > 5 and none > 5  # or nothing has been shown


def test_canonical_leaves_the_maze_alone_and_start_and_goal_in_place():
    maze = np.array([[2, 1, 1], [0, 0, 1], [3, 1, 1]], np.uint8)
    before = maze.copy()
    answer = canonical(maze)
    assert (maze == before).all() and answer.dtype == np.uint8
    assert answer.tolist() == [[2, 4, 4], [0, 0, 4], [3, 4, 4]]
    assert canonical(np.array([[2, 0, 3], [1, 0, 1], [1, 0, 1]], np.uint8)) is None
    assert canonical(np.array([[2, 3, 1]] * 1 + [[1, 1, 1]] * 2, np.uint8)).tolist() == [
        [2, 3, 1],
        [1, 1, 1],
        [1, 1, 1],
    ]


def test_labels_of_turned_mazes_are_shortest_and_unique_but_must_be_made_anew():
    rng = np.random.default_rng(5)
    differ = 0
    for _ in range(12):
        maze = random_maze(rng, 3, 4, 0.15)
        answer = canonical(maze)
        for k in range(SYMMETRIES):
            for change in (lambda grid: grid, swap_ends):
                turned = change(transform(maze, k))
                label, found = canonical(turned), shortest_paths(turned)
                if answer is None:
                    assert label is None
                    continue
                assert any((label == drawn(turned, path)).all() for path in found)
                assert (label == drawn(turned, min(found, key=moves))).all()
                assert (label == PATH).sum() == (answer == PATH).sum()
                differ += bool((transform(change(label), inverse(k)) != answer).any())
    assert differ > 10
