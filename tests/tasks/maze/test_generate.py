"""Generated mazes: what their kind promises, the same for the same seed, a shortest path as long as asked for."""

from __future__ import annotations

import csv
import time

import numpy as np
import pytest

from trmsolve.errors import TrmsolveError
from trmsolve.tasks.maze.cells import FLOOR, GOAL, PATH, START, WALL
from trmsolve.tasks.maze.generate import KINDS, difficulty, generate
from trmsolve.tasks.maze.rules import canonical, distances, find_cell

SIZES = [(3, 3), (3, 4), (4, 3), (4, 4), (5, 7), (8, 8), (12, 31), (30, 30)]


def pieces(open_cells: np.ndarray) -> int:
    """How many parts the open cells fall into."""
    rest, count = open_cells.copy(), 0
    while rest.any():
        rest &= distances(open_cells, tuple(np.argwhere(rest)[0])) < 0
        count += 1
    return count


def loops(open_cells: np.ndarray) -> int:
    """How many ties between open cells can go without cutting anything off (edges - cells + pieces)."""
    edges = (open_cells[1:] & open_cells[:-1]).sum() + (open_cells[:, 1:] & open_cells[:, :-1]).sum()
    return int(edges) - int(open_cells.sum()) + pieces(open_cells)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", SIZES)
def test_every_maze_is_one_and_comes_with_its_canonical_path(kind, size):
    for index in range(6):
        question, answer, hardness = generate(1, index, size, kind=kind)
        assert question.dtype == answer.dtype == np.uint8 and question.shape == answer.shape == size
        counts = np.bincount(question.ravel(), minlength=5)
        assert counts[START] == counts[GOAL] == 1 and counts[PATH] == 0
        assert (answer == canonical(question)).all()
        steps = distances(question != WALL, find_cell(question, START))[find_cell(question, GOAL)]
        assert hardness["steps"] == steps >= 1
        assert hardness["kind"] in (KINDS[1:] if kind == "mixed" else [kind])


@pytest.mark.parametrize("size", SIZES)
def test_a_perfect_maze_has_one_way_between_any_two_cells_and_thin_walls(size):
    for index in range(6):
        open_cells = generate(2, index, size, kind="perfect")[0] != WALL
        assert pieces(open_cells) == 1 and loops(open_cells) == 0
        both = open_cells[1:] | open_cells[:-1]  # no wall is two cells thick but at the rim
        assert not (~(both[1:-1, :-1] | both[1:-1, 1:])).any()
        for side, rim in ((size[0], (open_cells[0], open_cells[-1])), (size[1], (open_cells[:, 0], open_cells[:, -1]))):
            walled = sum(not line.any() for line in rim)
            assert walled == (0 if side == 3 else 2 if side % 2 else 1)


def test_perfect_mazes_wind_far_or_have_many_dead_ends():
    generated = [generate(3, index, (31, 31), kind="perfect")[2] for index in range(30)]
    share = [measures["dead_ends"] / measures["open_cells"] for measures in generated]
    assert min(share) < 0.06 and max(share) > 0.12
    assert max(measures["steps"] for measures in generated) > 300


def test_a_braided_maze_is_in_one_piece_with_loops():
    for index in range(10):
        open_cells = generate(4, index, (21, 21), kind="braided")[0] != WALL
        assert pieces(open_cells) == 1 and loops(open_cells) > 0
        assert not (open_cells[0].any() or open_cells[-1].any() or open_cells[:, 0].any() or open_cells[:, -1].any())


def test_rooms_are_joined_and_some_have_loops_around_them():
    with_corridors = 0
    for index in range(10):
        open_cells = generate(5, index, (20, 35), kind="rooms")[0] != WALL
        assert pieces(open_cells) == 1
        squares = open_cells[1:, 1:] & open_cells[:-1, 1:] & open_cells[1:, :-1] & open_cells[:-1, :-1]
        assert squares.sum() > 10  # rectangles of floor
        covered = np.zeros_like(open_cells)
        for down, right in np.ndindex(2, 2):
            covered[down : down + 19, right : right + 34] |= squares
        with_corridors += bool((open_cells & ~covered).sum() > 5)
    assert with_corridors >= 8


@pytest.mark.parametrize("density", [0.0, 0.1, 0.35, 0.5])
def test_the_density_is_the_share_of_wall(density):
    mazes = [generate(6, index, (30, 30), density=density) for index in range(20)]
    assert {hardness["kind"] for *_, hardness in mazes} == {"walls"}
    assert np.mean([question == WALL for question, *_ in mazes]) == pytest.approx(density, abs=0.02)


def test_densities_without_one_asked_for_vary():
    shares = [(generate(7, index, (30, 30), kind="walls")[0] == WALL).mean() for index in range(40)]
    assert min(shares) < 0.25 and max(shares) > 0.4


def test_paths_of_every_length_and_often_between_far_ends():
    steps = [generate(8, index, (12, 12), density=0.0)[2]["steps"] for index in range(150)]
    assert min(steps) <= 3 and max(steps) == 22  # from corner to corner of an empty grid
    assert sum(length >= 0.9 * 22 for length in steps) > 50
    assert len(set(steps)) > 15


def test_hard_mazes_look_like_maze_hard(shared):
    with (shared / "data" / "maze" / "maze_hard_train.csv").open(newline="") as file:
        texts = [row["answer"] for row, _ in zip(csv.DictReader(file), range(200), strict=False)]
    theirs = [np.array(["# SGo".index(symbol) for symbol in text], np.uint8).reshape(30, 30) for text in texts]
    ours = [generate(9, index, (30, 30), kind="hard", min_path=109)[1] for index in range(60)]
    difficulties = [[difficulty(answer, "") for answer in answers] for answers in (theirs, ours)]
    for name, tolerance in (("steps", 0.05), ("turns", 0.08), ("dead_ends", 0.12), ("open_cells", 0.03)):
        theirs_mean, ours_mean = (np.mean([measures[name] for measures in of]) for of in difficulties)
        assert ours_mean == pytest.approx(theirs_mean, rel=tolerance), name


@pytest.mark.parametrize("options", [{"kind": kind} for kind in KINDS] + [{"density": 0.3}, {"min_path": 25}])
def test_a_seed_and_an_index_are_one_maze(options):
    generated = [generate(10, index, (13, 16), **options) for index in range(4)]
    for index in (3, 1):  # in any order, without the others
        question, answer, hardness = generate(10, index, (13, 16), **options)
        assert (
            (question == generated[index][0]).all()
            and (answer == generated[index][1]).all()
            and hardness == generated[index][2]
        )
    assert len({question.tobytes() for question, *_ in generated}) == 4
    assert (generate(11, 0, (13, 16), **options)[0] != generated[0][0]).any()


@pytest.mark.parametrize("kind", KINDS)
def test_the_path_is_as_long_as_asked_for(kind):
    for index in range(5):
        assert generate(12, index, (15, 15), kind=kind, min_path=24)[2]["steps"] >= 24


def test_a_path_out_of_reach_ends_with_the_longest_seen():
    with pytest.raises(
        ValueError, match=r"no 9x9 maze of kind walls .* 50 steps in 200 tries; the longest path had \d+"
    ):
        generate(13, 0, (9, 9), kind="walls", density=0.2, min_path=50)
    with pytest.raises(ValueError, match=r"0\.\.64"):
        generate(13, 0, (9, 9), min_path=10_000)
    with pytest.raises(ValueError, match="the longest path had 0"):
        generate(13, 0, (3, 3), density=0.999_999)


def test_a_number_is_a_square():
    assert (generate(14, 0, 9)[0] == generate(14, 0, (9, 9))[0]).all()


def test_difficulty_counts_steps_turns_dead_ends_and_open_cells():
    answer = np.array(
        [
            [START, PATH, PATH, WALL],
            [FLOOR, WALL, PATH, GOAL],
            [WALL, WALL, WALL, FLOOR],
            [FLOOR, WALL, FLOOR, FLOOR],
        ],
        np.uint8,
    )
    assert difficulty(answer, "drawn") == {
        "kind": "drawn",
        "steps": 4,
        "turns": 2,  # at the corner, and before the goal
        "dead_ends": 2,  # below the start, and at the bottom; a cell without a neighbour is none
        "open_cells": 10,
    }


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"size": (2, 9)}, r"2x9.*3\.\.255"),
        ({"size": (9, 256)}, r"9x256.*3\.\.255"),
        ({"kind": "rooms", "density": 0.3}, "is for the kind walls"),
        ({"density": 1.0}, "below 1"),
        ({"density": -0.1}, "at least 0"),
        ({"density": float("nan")}, "at least 0"),
        ({"min_path": -1}, r"0\.\."),
    ],
)
def test_nonsense_is_refused(options, said):
    with pytest.raises(ValueError, match=said):
        generate(15, 0, **options)


def test_an_unknown_kind_is_refused_with_the_nearest_name():
    with pytest.raises(TrmsolveError, match="did you mean 'perfect'"):
        generate(15, 0, kind="perfct")


def test_the_largest_size_works():
    question, _, hardness = generate(16, 0, (255, 255), kind="perfect")
    assert question.shape == (255, 255) and hardness["steps"] >= 1


def test_it_is_fast_enough_to_feed_training():
    generate(17, 0, (30, 30))
    seconds = []
    for index in range(1, 21):
        start = time.process_time()
        generate(17, index, (30, 30))
        seconds.append(time.process_time() - start)
    assert np.median(seconds) < 0.05  # about 0.002 on an idle core
