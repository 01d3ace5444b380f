"""The sixteen sides of a maze: each can be undone, keeps paths shortest, and is what training draws from."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from trmsolve.errors import TrmsolveError
from trmsolve.tasks.base import Prediction, Sample
from trmsolve.tasks.maze.augmentations import (
    NUM_AUGMENTATIONS,
    augment,
    augmentation_name,
    invert,
    swap_ends,
    swaps_ends,
    symmetry_of,
)
from trmsolve.tasks.maze.cells import FLOOR, GOAL, PATH, START, WALL
from trmsolve.tasks.maze.data import GROW, MazeData, SearchedMaze, parse_generator
from trmsolve.tasks.maze.encode import encode, sample
from trmsolve.tasks.maze.generate import generate
from trmsolve.tasks.maze.rules import canonical, check, distances, find_cell
from trmsolve.tasks.maze.write import format_line
from trmsolve.tasks.symmetries import transform

SIZES = [(5, 9), (8, 8), (11, 4)]
MAZES = [generate(1, i, size, density=0.2, min_path=8)[0] for i, size in enumerate(SIZES)]


def test_start_and_goal_change_places_and_nothing_else_does():
    maze = np.array([[START, PATH, FLOOR], [WALL, PATH, GOAL]], np.uint8)
    swapped = swap_ends(maze)
    assert swapped.tolist() == [[GOAL, PATH, FLOOR], [WALL, PATH, START]]
    assert swapped.dtype == np.uint8 and (swap_ends(swapped) == maze).all() and maze[0, 0] == START


@pytest.mark.parametrize("maze", MAZES)
def test_sixteen_different_views_of_which_the_first_is_the_maze(maze):
    assert len({format_line(augment(maze, k)) for k in range(NUM_AUGMENTATIONS)}) == NUM_AUGMENTATIONS == 16
    assert (augment(maze, 0) == maze).all()
    assert len({augmentation_name(k) for k in range(NUM_AUGMENTATIONS)}) == 16 and augmentation_name(0) == ""


@pytest.mark.parametrize("maze", MAZES)
def test_what_was_turned_is_turned_back(maze):
    answer, before = canonical(maze), maze.copy()
    confidence = np.random.default_rng(0).random(maze.shape, np.float32)
    for k in range(NUM_AUGMENTATIONS):
        there = Prediction(augment(answer, k), transform(confidence, symmetry_of(k)))
        back = invert(maze, there, k)
        assert (back.answer == answer).all() and (back.confidence == confidence).all()
    assert (maze == before).all()


@pytest.mark.parametrize("maze", MAZES)
def test_a_shortest_path_of_a_view_is_one_of_the_maze_and_often_another(maze):
    counted = set()
    for k in range(NUM_AUGMENTATIONS):
        seen = augment(maze, k)
        answer = invert(maze, Prediction(canonical(seen), np.ones(seen.shape, np.float32)), k).answer
        assert check(maze, answer) == []
        counted.add(answer.tobytes())
    assert len(counted) > 1  # or there would be little sense in trying another view


def test_views_exchange_start_and_goal_half_of_the_time():
    maze = MAZES[0]
    for k in range(NUM_AUGMENTATIONS):
        turned = transform(maze, symmetry_of(k))
        first, second = (START, GOAL) if not swaps_ends(k) else (GOAL, START)
        assert find_cell(augment(maze, k), START) == find_cell(turned, first)
        assert find_cell(augment(maze, k), GOAL) == find_cell(turned, second)
    assert sum(swaps_ends(k) for k in range(NUM_AUGMENTATIONS)) == 8


@pytest.mark.parametrize("maze", [*MAZES, generate(2, 0, 12, kind="hard")[0]])
def test_distances_of_a_view_are_those_searched_afresh(maze):
    searched = SearchedMaze.search(maze)
    for k in range(NUM_AUGMENTATIONS):
        seen, steps = searched.augmented(k)
        assert (seen == augment(maze, k)).all()
        assert (steps == distances(seen != WALL, find_cell(seen, START))).all()


# -- training data ----------------------------------------------------------------------------------------------
def same(a: Sample, b: Sample) -> bool:
    return (
        np.array_equal(a.encoded.x, b.encoded.x)
        and np.array_equal(a.encoded.edges.neighbors, b.encoded.edges.neighbors)
        and np.array_equal(a.encoded.meanings, b.encoded.meanings)
        and np.array_equal(a.target, b.target)
        and np.array_equal(a.weight, b.weight)
    )


def test_a_draw_is_always_the_same_in_whatever_order():
    one, again, other = (MazeData.open(["generate:5-9", "generate:rooms:12=500"], seed) for seed in (3, 3, 4))
    samples = [one.draw(index) for index in range(12)]
    for index in reversed(range(12)):
        assert same(again.draw(index), samples[index])
    assert not any(same(other.draw(index), samples[index]) for index in range(12))
    assert not any(same(a, b) for a, b in pairwise(samples))
    assert one.describe() == again.describe() != other.describe()
    assert [source["share"] for source in one.describe()] == [0.6667, 0.3333]


def test_a_file_is_seen_from_every_side_with_labels_of_our_own(tmp_path):
    maze = np.array([[2, 1, 1, 0], [1, 0, 1, 1], [1, 1, 1, 3]], np.uint8)
    path = tmp_path / "m.csv"
    path.write_text(f"question,answer\n{format_line(maze)},S  #/o# o/oooG\n")  # another path, and a cell too many
    data = MazeData.open([str(path)], off_path=0.5, phase=0.0)
    assert data.describe()[0]["puzzles"] == 1 and len(data.describe()[0]["sha256"]) == 64
    expected = [sample(*SearchedMaze.search(maze).augmented(k), 0.5, 0.0) for k in range(NUM_AUGMENTATIONS)]
    samples = [data.draw(index) for index in range(100)]
    assert all(any(same(one, label) for label in expected) for one in samples)
    assert all(any(same(one, label) for one in samples) for label in expected)
    other = MazeData.open([str(path)], seed=1, off_path=0.5, phase=0.0)
    assert not all(same(other.draw(index), samples[index]) for index in range(100))


def test_mazes_grow_with_the_run():
    (source,) = MazeData.open(["generate:5-40"]).mixture.sources
    sizes = [
        [source.draw(np.random.default_rng(number), index).maze.shape for number in range(30)]
        for index in (0, 16 * GROW)
    ]
    early, late = ([max(shape) for shape in of] for of in sizes)
    assert max(early) <= 6 and max(late) > 25
    assert min(min(shape) for of in sizes for shape in of) >= 5


@pytest.mark.parametrize(
    ("spec", "meant"),
    [("12", ("mixed", 12, 12)), ("8-30", ("mixed", 8, 30)), ("perfect:3-255", ("perfect", 3, 255))],
)
def test_specs(spec, meant):
    assert parse_generator(spec) == meant


@pytest.mark.parametrize("spec", ["300", "2", "foo:9", "9-4", "", "9-", "9x9", "perfect:", "-9", "9=9"])
def test_bad_specs_are_refused(spec):
    with pytest.raises(TrmsolveError, match=r"not a valid source\n  expected generate:\[KIND:\]SIDE\[-SIDE\]"):
        parse_generator(spec)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("generate:300", "generate:300: not a valid source"),
        ("generate:foo:9", "kinds mixed, walls, hard, perfect, braided, rooms"),
        ("generate:9-4", "sides 3 to 255"),
        ("generate:9=much", "'much' is not a weight"),
        ("none.csv", "no such file"),
    ],
)
def test_bad_sources_are_refused_before_the_first_draw(spec, said):
    with pytest.raises(TrmsolveError, match=said):
        MazeData.open([spec])


def test_every_draw_can_be_encoded():
    data = MazeData.open(["generate:3-30"])
    for index in range(0, 400, 25):
        samples = data.draw(index)
        assert samples.solvable and len(samples.target) == 2 * len(samples.encoded.x) and samples.encoded.x.max() == 2
    assert encode(MAZES[0]) is not None
