"""Views of a task: each can be undone, all are equally likely, and what they leave the same is recognised."""

from __future__ import annotations

from collections import Counter
from itertools import permutations, product

import numpy as np
import pytest

from trmsolve.tasks.arc.grids import Pair
from trmsolve.tasks.arc.symmetries import View, canonical

from .tasks import grid, plain, task

RNG = np.random.default_rng
GRID = RNG(0).integers(0, 10, (4, 7)).astype(np.uint8)


def random_pair(rng: np.random.Generator) -> Pair:
    sides = rng.integers(1, 6, 4)
    return Pair(*(rng.integers(0, 10, tuple(shape)).astype(np.uint8) for shape in (sides[:2], sides[2:])))


@pytest.mark.parametrize("keep_black", [True, False])
def test_what_is_seen_is_undone(keep_black):
    rng = RNG(1)
    for _ in range(100):
        view = View.draw(rng, keep_black)
        there = view.apply(GRID)
        assert there.dtype == np.uint8 and sorted(there.shape) == [4, 7]
        assert (view.undo(there) == GRID).all() and (view.apply(view.undo(GRID)) == GRID).all()


def test_it_turns_and_then_recolours():
    swapped = (0, 2, 1, *range(3, 10))
    assert View(1, swapped).apply(grid("120", "345")).tolist() == [[0, 5], [1, 4], [2, 3]]
    assert View(4).apply(grid("120", "345")).tolist() == [[1, 3], [2, 4], [0, 5]]
    assert (View().apply(GRID) == GRID).all() and View().apply(GRID) is not GRID


def test_black_stays_where_it_is_told_to():
    rng = RNG(2)
    assert all(View.draw(rng).colours[0] == 0 for _ in range(200))
    assert {View.draw(rng, keep_black=False).colours[0] for _ in range(200)} == set(range(10))


def test_all_views_are_equally_likely():
    rng = RNG(3)
    drawn = [View.draw(rng) for _ in range(4000)]
    turns = Counter(view.turn for view in drawn)
    assert sorted(turns) == list(range(8)) and min(turns.values()) > 400
    became = Counter(view.colours[1] for view in drawn)
    assert sorted(became) == list(range(1, 10)) and min(became.values()) > 350
    assert View.draw(RNG(4)) == View.draw(RNG(4)) != View.draw(RNG(5))


def test_a_whole_task_is_seen_from_one_side():
    view = View.draw(RNG(6), keep_black=False)
    here, there = task(), view.task(task())
    assert (there.name, there.source, len(there.tests)) == (here.name, here.source, 2)
    for one, other in zip(here.pairs, there.pairs, strict=True):
        assert (view.apply(one.input) == other.input).all() and (view.apply(one.output) == other.output).all()
    assert view.task(task(answers=False)).answers is None
    assert plain(View().task(task())) == plain(task())


@pytest.mark.parametrize(("turn", "colours"), [(8, range(10)), (-1, range(10)), (0, range(9)), (0, [1] * 10)])
def test_what_is_no_view(turn, colours):
    with pytest.raises(ValueError, match="no view"):
        View(turn, tuple(colours))


def test_a_view_in_words():
    assert str(View()) == ""
    assert str(View(6, (0, 2, 1, *range(3, 10)))) == "transposed, turned round; 1>2, 2>1"


def test_the_canonical_form_is_that_of_all_views():
    rng = RNG(7)
    for _ in range(50):
        pair = random_pair(rng)
        assert all(canonical(View.draw(rng, keep_black=False).pair(pair)) == canonical(pair) for _ in range(5))


def test_and_of_no_other_pair():
    """Of 243 small pairs, tried against each other by brute force, those alike have one form, the others another."""
    views = [View(turn, (*three, *range(3, 10))) for turn in range(8) for three in permutations(range(3))]
    grids = [np.array(cells, np.uint8).reshape(2, 2) for cells in product(range(3), repeat=4)]
    forms: dict[bytes, set] = {}
    for before, after in product(grids, range(3)):
        pair = Pair(before, np.array([[after]], np.uint8))
        seen = (view.pair(pair) for view in views)
        orbit = frozenset((other.input.tobytes(), other.output.tobytes()) for other in seen)
        forms.setdefault(canonical(pair), set()).add(orbit)
    assert all(len(orbits) == 1 for orbits in forms.values())
    assert len(forms) == len(set().union(*forms.values()))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("12", "11"), ("11", "22")),
        (("0", "1"), ("0", "0")),
        (("01", "10"), ("10", "10")),
        (("012", "021"), ("012", "012")),
        (("1", "11"), ("11", "1")),
        (("12", "123"), ("12", "132")),  # reflected, the output would have to be 321
    ],
)
def test_pairs_that_differ(one, other):
    assert canonical(Pair(*map(grid, one))) != canonical(Pair(*map(grid, other)))
