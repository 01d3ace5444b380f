"""A grid as tokens: the features and relations of its cells, compared with loops over cells."""

from __future__ import annotations

from collections import Counter
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from trmsolve.model.inputs import Encoded
from trmsolve.tasks.arc.encode import (
    FEATURE_SIZES,
    NEIGHBORS,
    NUM_CLASSES,
    OUTSIDE,
    RELATIONS,
    VOCAB_SIZE,
    components,
    encode,
)
from trmsolve.tasks.arc.grids import MAX_SIDE, SizeRule
from trmsolve.tasks.few_shot import Pair

from .examples import grid

small = st.tuples(st.integers(1, 7), st.integers(1, 7))
grids = small.flatmap(lambda shape: arrays(np.uint8, shape, elements=st.sampled_from([0, 0, 1, 2, 5])))
MIRRORS = ("flip", "flop", "transpose")
PARTS = ("content", "largest", "smallest", "rarest")
DIRECTIONS = {"up": (-1, 0), "left": (0, -1), "right": (0, 1), "down": (1, 0)}


def sized(before, after) -> SizeRule:
    """The rule that makes `after` of `before`."""
    return SizeRule.from_pairs([Pair(np.zeros(before, np.uint8), np.zeros(after, np.uint8))])


def encoded_as(seen: np.ndarray, after=None) -> Encoded:
    return encode(seen, sized(seen.shape, after or seen.shape))


def filled(seen: np.ndarray, after) -> np.ndarray:
    """The canvas with the input on it."""
    cells = np.full(sized(seen.shape, after).canvas(seen.shape), OUTSIDE)
    cells[: seen.shape[0], : seen.shape[1]] = seen
    return cells


def facets(encoded: Encoded, canvas) -> np.ndarray:
    """(facets, height, width) The digits of every token's id."""
    return np.stack(np.unravel_index(encoded.x % VOCAB_SIZE, FEATURE_SIZES)).reshape(len(FEATURE_SIZES), *canvas)


def groups(encoded: Encoded, kind: str, canvas) -> tuple[dict[int, set], dict[int, set]]:
    """The sources and the targets of each group of a relation, as (row, column)."""
    which = RELATIONS.index(kind)
    sources, targets = {}, {}
    for sides, of in ((sources, encoded.edges.src[which]), (targets, encoded.edges.dst[which])):
        for place, group in zip(np.ndindex(*canvas), of.tolist(), strict=True):
            if group >= 0:
                sides.setdefault(group, set()).add(place)
    number = int(encoded.edges.num_groups[which])
    assert set(sources) | set(targets) == set(range(number))  # every group has a source or a target
    return sources, targets


def receives(encoded: Encoded, kind: str, canvas) -> dict[tuple, set]:
    """For each cell that receives messages of a relation, the cells that they come from."""
    sources, targets = groups(encoded, kind, canvas)
    return {cell: sources.get(group, set()) for group, cells in targets.items() for cell in cells}


def spread(seen: np.ndarray, start: tuple, steps, alike) -> set:
    """All cells that can be reached from one over cells that are alike."""
    reached, edge = {start}, [start]
    while edge:
        r, c = edge.pop()
        for dr, dc in steps:
            there = r + dr, c + dc
            inside = 0 <= there[0] < seen.shape[0] and 0 <= there[1] < seen.shape[1]
            if inside and there not in reached and alike(seen[there], seen[start]):
                reached.add(there)
                edge.append(there)
    return reached


STRAIGHT = [(0, 1), (1, 0), (0, -1), (-1, 0)]


def area(seen: np.ndarray, cell: tuple) -> set:
    return spread(seen, cell, STRAIGHT, lambda a, b: a == b)


def thing(seen: np.ndarray, cell: tuple) -> set:
    """The object that a cell is part of: what hangs together, corners included, and is neither black nor outside."""
    if seen[cell] in (0, OUTSIDE):
        return set()
    return spread(seen, cell, NEIGHBORS, lambda a, b: a not in (0, OUTSIDE))


@settings(max_examples=60, deadline=None)
@given(grids, st.booleans())
def test_components_are_connected(seen, diagonal):
    numbers = components(seen, diagonal)
    for cell in np.ndindex(*seen.shape):
        reached = spread(seen, cell, NEIGHBORS if diagonal else STRAIGHT, lambda a, b: a == b)
        assert {tuple(place) for place in np.argwhere(numbers == numbers[cell]).tolist()} == reached
    first = [numbers.ravel().tolist().index(number) for number in range(numbers.max() + 1)]
    assert first == sorted(first)


def test_components_of_a_spiral_of_maximum_size():
    """The longest way through a grid, along which a number has the furthest to go."""
    spiral = np.zeros((MAX_SIDE, MAX_SIDE), np.uint8)
    r, c, dr, dc = 0, 0, 0, 1
    spiral[0, 0] = 1
    for length in [MAX_SIDE - 1] * 3 + [n for n in range(MAX_SIDE - 3, 0, -2) for _ in (0, 1)]:
        for _ in range(length):
            r, c = r + dr, c + dc
            spiral[r, c] = 1
        dr, dc = dc, -dr
    numbers = components(spiral, diagonal=False)
    assert len(np.unique(numbers[spiral == 1])) == 1
    assert {tuple(p) for p in np.argwhere(numbers == numbers[0, 0]).tolist()} == area(spiral, (0, 0))


def ends(size: int, sizes: list[int]) -> int:
    """1 for the largest, 2 for the smallest, 3 for both."""
    return (size == max(sizes)) + 2 * (size == min(sizes))


@settings(max_examples=60, deadline=None)
@given(grids, small)
def test_the_features_of_a_cell(seen, after):
    cells = filled(seen, after)
    encoded = encoded_as(seen, after)
    colour, doublings, extent, frequency = facets(encoded, cells.shape)
    assert (colour == cells).all()
    sizes = [len(part) for part in {frozenset(thing(cells, cell)) for cell in np.ndindex(*cells.shape)} if part]
    counts = Counter(cells[(cells != 0) & (cells != OUTSIDE)].tolist())
    for cell in np.ndindex(*cells.shape):
        value, size = cells[cell], len(area(cells, cell))
        expected = 0 if value == OUTSIDE else min(7, size.bit_length())
        assert doublings[cell] == expected
        assert extent[cell] == (ends(len(thing(cells, cell)), sizes) if thing(cells, cell) else 0)
        assert frequency[cell] == (ends(counts[value], list(counts.values())) if value in counts else 0)


def test_the_row_of_the_table_is_part_of_the_id():
    seen = grid("120", "003")
    rule = sized((2, 3), (2, 3))
    plain = encode(seen, rule)
    assert (encode(seen, rule, 5).x - plain.x == 5 * VOCAB_SIZE).all() and plain.x.max() < VOCAB_SIZE


def test_every_cell_of_the_canvas_is_a_choice_of_eleven():
    encoded = encoded_as(grid("12", "30"), (3, 4))
    assert encoded.num_choices == 12 and (encoded.size == NUM_CLASSES).all()
    assert (encoded.meanings[encoded.first[7] :][:NUM_CLASSES] == 7 * NUM_CLASSES + np.arange(NUM_CLASSES)).all()
    assert encoded.meanings.dtype == encoded.x.dtype == encoded.edges.num_groups.dtype == np.int64


@settings(max_examples=40, deadline=None)
@given(grids, small)
def test_eight_neighbors(seen, after):
    canvas = sized(seen.shape, after).canvas(seen.shape)
    near = encoded_as(seen, after).edges.neighbors
    assert near.shape == (canvas[0] * canvas[1], 8)
    for (r, c), around in zip(np.ndindex(*canvas), near.tolist(), strict=True):
        for (dr, dc), targets in zip(NEIGHBORS, around, strict=True):
            inside = 0 <= r + dr < canvas[0] and 0 <= c + dc < canvas[1]
            assert targets == ((r + dr) * canvas[1] + c + dc if inside else -1)


@settings(max_examples=40, deadline=None)
@given(grids, small)
def test_groups_whose_members_are_sources_and_targets(seen, after):
    cells = filled(seen, after)
    everyone = set(np.ndindex(*cells.shape))
    same = {
        "row": lambda cell: {other for other in everyone if other[0] == cell[0]},
        "column": lambda cell: {other for other in everyone if other[1] == cell[1]},
        "grid": lambda cell: everyone,
        "area": lambda cell: area(cells, cell),
        "object": lambda cell: thing(cells, cell),
        "colour": lambda cell: {other for other in everyone if cells[other] == cells[cell]},
    }
    encoded = encoded_as(seen, after)
    assert set(RELATIONS) - set(same) == {"fold", "zoom", *MIRRORS, *PARTS, *DIRECTIONS}
    for kind, expected in same.items():
        sources, targets = groups(encoded, kind, cells.shape)
        assert sources == targets, kind
        assert receives(encoded, kind, cells.shape) == {cell: expected(cell) for cell in everyone if expected(cell)}, (
            kind
        )


@settings(max_examples=40, deadline=None)
@given(grids, small)
def test_a_cell_of_the_input_receives_from_its_mirror_image(seen, after):
    cells, encoded = filled(seen, after), encoded_as(seen, after)
    height, width = seen.shape
    inside = list(np.ndindex(height, width))
    assert receives(encoded, "flip", cells.shape) == {(r, c): {(r, width - 1 - c)} for r, c in inside}
    assert receives(encoded, "flop", cells.shape) == {(r, c): {(height - 1 - r, c)} for r, c in inside}
    turned = {(r, c): {(c, r)} for r, c in inside} if height == width else {}
    assert receives(encoded, "transpose", cells.shape) == turned


@pytest.mark.parametrize("after", [(2, 3), None])
def test_no_fold_or_zoom_if_sizes_are_equal_or_unknown(after):
    seen = grid("120", "003")
    rule = sized(seen.shape, after) if after else SizeRule((None, None), (None, None), (4, 4))
    encoded = encode(seen, rule)
    for kind in ("fold", "zoom"):
        assert groups(encoded, kind, rule.canvas(seen.shape)) == ({}, {})
    for kind in PARTS:  # what is cut out may have any size, but not the input's
        assert (groups(encoded, kind, rule.canvas(seen.shape)) == ({}, {})) == (after is not None)


@settings(max_examples=40, deadline=None)
@given(grids, small)
def test_a_cell_receives_from_the_first_foreground_cell_in_each_direction(seen, after):
    canvas = sized(seen.shape, after).canvas(seen.shape)
    ground = np.bincount(seen.ravel()).argmax()
    foreground = {place for place in np.ndindex(*seen.shape) if seen[place] != ground}
    for kind, (dr, dc) in DIRECTIONS.items():
        expected = {}
        for r, c in np.ndindex(*seen.shape):
            on_the_way = [(r + k * dr, c + k * dc) for k in range(1, 30)]
            if first := next((place for place in on_the_way if place in foreground), None):
                expected[r, c] = {first}
        assert receives(encoded_as(seen, after), kind, canvas) == expected, kind


@pytest.mark.parametrize(
    ("kind", "box"),
    [
        ("content", (1, 6, 0, 6)),
        ("largest", (1, 4, 1, 4)),  # the square with a hole, 8 cells
        ("smallest", (5, 6, 0, 1)),  # the single cell
        ("rarest", (5, 6, 0, 1)),
    ],
)
def test_an_output_of_another_size_receives_from_crops_of_the_input(kind, box):
    seen = grid("000000", "033300", "030300", "033300", "000002", "100002")
    top, bottom, left, right = box
    expected = {(r - top, c - left): one((r, c)) for r, c in product(range(top, bottom), range(left, right))}
    assert receives(encoded_as(seen, (3, 3)), kind, seen.shape) == expected


@pytest.mark.parametrize("colour", [0, 7])
def test_a_grid_of_one_colour_has_no_foreground(colour):
    encoded = encoded_as(np.full((3, 3), colour, np.uint8), (2, 2))
    for kind in ("content", "rarest", *DIRECTIONS):
        assert groups(encoded, kind, (3, 3)) == ({}, {})


def one(cell) -> set:
    return {cell}


def test_an_output_of_tiles_receives_from_the_cell_at_the_same_position_in_the_tile():
    canvas = after = (4, 6)
    encoded = encoded_as(grid("120", "003"), after)
    assert receives(encoded, "fold", canvas) == {(r, c): one((r % 2, c % 3)) for r, c in np.ndindex(*after)}


def test_an_output_three_times_as_large_receives_from_the_cell_that_becomes_nine():
    canvas = after = (6, 9)
    encoded = encoded_as(grid("120", "003"), after)
    assert receives(encoded, "zoom", canvas) == {(r, c): one((r // 3, c // 3)) for r, c in np.ndindex(*after)}


@pytest.mark.parametrize(
    ("before", "after", "period"),
    [
        ((3, 6), (3, 3), (3, 3)),  # two halves
        ((3, 7), (3, 3), (3, 4)),  # with a line between them
        ((7, 7), (3, 3), (4, 4)),  # four panels with lines
        ((11, 3), (3, 3), (4, 3)),  # three with lines
        ((4, 4), (2, 2), (2, 2)),
        ((5, 3), (2, 3), (3, 3)),
    ],
)
def test_an_output_receives_from_all_panels_of_the_input(before, after, period):
    seen = np.ones(before, np.uint8)
    expected = {
        cell: {(r, c) for r, c in np.ndindex(*before) if (r % period[0], c % period[1]) == cell}
        for cell in np.ndindex(*after)
    }
    encoded = encoded_as(seen, after)
    assert receives(encoded, "fold", before) == expected
    panels = (before[0] + 1) // period[0] * ((before[1] + 1) // period[1])
    assert {len(cells) for cells in expected.values()} == {panels}  # the example is what it says it is


def test_a_smaller_output_receives_from_blocks_of_the_input():
    before, after = (4, 6), (2, 2)
    encoded = encoded_as(np.ones(before, np.uint8), after)
    assert receives(encoded, "zoom", before) == {
        (R, C): {(r, c) for r, c in np.ndindex(*before) if (r // 2, c // 3) == (R, C)} for R, C in np.ndindex(*after)
    }


def test_one_axis_may_grow_and_the_other_shrink():
    before, after, canvas = (2, 6), (4, 3), (4, 6)
    encoded = encoded_as(np.ones(before, np.uint8), after)
    fold, zoom = (receives(encoded, kind, canvas) for kind in ("fold", "zoom"))
    assert fold == {(R, C): {(R % 2, C), (R % 2, C + 3)} for R, C in np.ndindex(*after)}
    assert zoom == {(R, C): {(R // 2, 2 * C), (R // 2, 2 * C + 1)} for R, C in np.ndindex(*after)}


def test_sizes_that_are_no_multiples_can_be_folded_but_not_zoomed():
    canvas = (5, 5)
    encoded = encoded_as(np.ones((2, 2), np.uint8), canvas)
    assert receives(encoded, "fold", canvas) == {(r, c): one((r % 2, c % 2)) for r, c in np.ndindex(*canvas)}
    assert groups(encoded, "zoom", canvas) == ({}, {})


@pytest.mark.parametrize("shift", [(1, 0), (0, 2), (3, 4)])
def test_features_and_relations_are_equivariant_to_translation(shift):
    still = np.zeros((9, 10), np.uint8)
    still[1:5, 1:5] = [[3, 3, 0, 0], [3, 0, 7, 0], [0, 7, 7, 0], [2, 0, 0, 5]]
    moved = np.roll(still, shift, (0, 1))
    here, there = encoded_as(still), encoded_as(moved)
    assert (np.roll(here.x.reshape(still.shape), shift, (0, 1)) == there.x.reshape(still.shape)).all()
    for kind in ("area", "object", "colour"):
        before, after = (receives(encoded, kind, still.shape) for encoded in (here, there))

        def at(cell):
            return (cell[0] + shift[0]) % 9, (cell[1] + shift[1]) % 10

        assert {at(cell): {at(other) for other in cells} for cell, cells in before.items()} == after


@settings(max_examples=30, deadline=None)
@given(grids, small)
def test_a_larger_canvas_does_not_change_the_cells_of_the_input(seen, after):
    canvas = sized(seen.shape, after).canvas(seen.shape)
    inside = np.s_[: seen.shape[0], : seen.shape[1]]
    assert (encoded_as(seen, after).x.reshape(canvas)[inside].ravel() == encoded_as(seen).x).all()
