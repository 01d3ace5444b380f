"""The eight symmetries are a group of eight, each undone by its inverse."""

from __future__ import annotations

import numpy as np
import pytest

from trmsolve.tasks.symmetries import NAMES, SYMMETRIES, inverse, transform

EIGHT = range(SYMMETRIES)
GRID = np.arange(12, dtype=np.uint8).reshape(3, 4)


def neighbours(grid: np.ndarray) -> set[frozenset[int]]:
    """The pairs of values that stand beside each other."""
    across, down = (
        zip(grid[:, :-1].flat, grid[:, 1:].flat, strict=True),
        zip(grid[:-1].flat, grid[1:].flat, strict=True),
    )
    return {frozenset(map(int, pair)) for pairs in (across, down) for pair in pairs}


def test_there_are_eight_different_ones_and_the_first_changes_nothing():
    seen = {(transform(GRID, k).shape, transform(GRID, k).tobytes()) for k in EIGHT}
    assert len(seen) == 8 == len(set(NAMES)) and NAMES[0] == ""
    assert (transform(GRID, 0) == GRID).all()


def test_every_inverse_undoes_on_either_side():
    for k in EIGHT:
        assert (transform(transform(GRID, k), inverse(k)) == GRID).all()
        assert (transform(transform(GRID, inverse(k)), k) == GRID).all()
        assert inverse(inverse(k)) == k
    assert sorted(map(inverse, EIGHT)) == list(EIGHT)


def test_one_after_another_is_one_of_them():
    alone = [transform(GRID, k) for k in EIGHT]
    for first in EIGHT:
        both = [transform(transform(GRID, first), second) for second in EIGHT]
        matching = [[k for k in EIGHT if np.array_equal(alone[k], grid)] for grid in both]
        assert sorted(matching) == [[k] for k in EIGHT]


@pytest.mark.parametrize("k", EIGHT)
def test_neighbours_stay_neighbours(k):
    turned = transform(GRID, k)
    assert neighbours(turned) == neighbours(GRID)
    assert turned.shape == ((4, 3) if k in (1, 3, 4, 6) else (3, 4))


@pytest.mark.parametrize("k", EIGHT)
def test_it_is_a_copy_of_the_same_kind_with_further_axes_along(k):
    deep = np.random.default_rng(0).random((3, 4, 5)).astype(np.float32)
    turned = transform(deep, k)
    assert turned.dtype == np.float32 and turned.flags.c_contiguous
    assert all((turned[..., i] == transform(deep[..., i], k)).all() for i in range(5))
    turned[:] = 9
    assert (deep < 9).all()


@pytest.mark.parametrize("k", [-1, 8])
def test_there_is_no_other(k):
    with pytest.raises(IndexError, match=r"0\.\.7"):
        transform(GRID, k)
