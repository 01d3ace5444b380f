"""How large outputs are, as far as the demonstrations tell."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trmsolve.tasks.arc.grids import MAX_SIDE, SizeRule
from trmsolve.tasks.few_shot import Pair

sides = st.integers(1, MAX_SIDE)
shapes = st.tuples(sides, sides)


def pair(before, after) -> Pair:
    return Pair(np.zeros(before, np.uint8), np.zeros(after, np.uint8))


def rule(*of) -> SizeRule:
    return SizeRule.from_pairs(pair(before, after) for before, after in of)


@pytest.mark.parametrize(
    ("demonstrations", "shape", "output", "canvas"),
    [
        ([((3, 5), (3, 5)), ((4, 4), (4, 4))], (7, 2), (7, 2), (7, 2)),  # as large as the input
        ([((2, 3), (6, 9)), ((3, 3), (9, 9))], (4, 5), (12, 15), (12, 15)),  # three times as large
        ([((4, 6), (2, 3)), ((8, 2), (4, 1))], (6, 6), (3, 3), (6, 6)),  # half as large
        ([((9, 4), (3, 3)), ((5, 7), (3, 3))], (2, 11), (3, 3), (3, 11)),  # always the same
        ([((3, 3), (6, 6))], (4, 5), (8, 10), (8, 10)),  # one pair: outputs grow rather than stay
        ([((3, 4), (3, 2)), ((5, 6), (5, 2))], (7, 7), (7, 2), (7, 7)),  # each axis has a rule of its own
        ([((3, 3), (1, 2)), ((5, 5), (4, 2))], (6, 6), None, (6, 6)),  # rows unknown, up to four
        ([((3, 3), (1, 2)), ((5, 5), (4, 2))], (2, 1), None, (4, 2)),
        ([((2, 2), (3, 3)), ((4, 4), (6, 6))], (6, 2), (9, 3), (9, 3)),  # one and a half times
        ([((2, 2), (3, 3)), ((4, 4), (6, 6))], (3, 2), None, (6, 3)),  # which is no size
        ([((3, 3), (9, 9)), ((2, 2), (6, 6))], (11, 2), None, (11, 6)),  # 33 rows there cannot be
        ([((10, 2), (30, 2)), ((10, 3), (30, 3))], (11, 4), (30, 4), (30, 4)),  # but what has always been can
    ],
)
def test_the_size_rule_of_demonstrations(demonstrations, shape, output, canvas):
    rule_found = rule(*demonstrations)
    assert rule_found.output(shape) == output
    assert rule_found.canvas(shape) == canvas


def test_keeps_size():
    assert rule(((3, 5), (3, 5)), ((4, 4), (4, 4))).keeps_size
    assert not rule(((3, 5), (3, 5)), ((4, 4), (4, 5))).keeps_size
    assert not rule(((2, 3), (3, 2))).keeps_size


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(shapes, shapes), min_size=1, max_size=4), shapes)
def test_the_canvas_of_a_demonstration_holds_both_of_its_grids(demonstrations, shape):
    rule_found = rule(*demonstrations)
    for before, after in demonstrations:
        assert rule_found.output(before) in (None, after)
        canvas = rule_found.canvas(before)
        assert all(canvas[axis] >= max(before[axis], after[axis]) for axis in (0, 1))
        assert canvas == before or not rule_found.keeps_size
    for axis in (0, 1):
        assert shape[axis] <= rule_found.canvas(shape)[axis] <= MAX_SIDE
