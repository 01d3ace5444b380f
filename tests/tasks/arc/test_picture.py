"""Pictures of grids and of whole tasks: every cell in its place and colour."""

from __future__ import annotations

import numpy as np
import pytest

from trmsolve.tasks.arc.picture import (
    CELLS,
    above,
    attempt_sizes,
    beside,
    centered,
    change_map,
    flow,
    grid_picture,
    pair_drawing,
    screen_width,
    task_picture,
    zoom_levels,
)
from trmsolve.tasks.base import Picture, Prediction
from trmsolve.tasks.few_shot import FewShotTask, Pair

from .examples import grid, task

COLORS = grid("01234", "56789")


def rows(shown: Picture) -> list[str]:
    return ["".join(cell.text for cell in row) for row in shown.cells]


def roles(shown: Picture) -> list[list[str]]:
    return [[cell.role for cell in row] for row in shown.cells]


# -- what is drawing --------------------------------------------------------------------------------------------------
def test_a_grid_is_its_colours_and_its_digits():
    shown = grid_picture(COLORS)
    assert shown.solid and rows(shown) == ["01234", "56789"]
    assert roles(shown) == [[f"arc{k}" for k in range(5)], [f"arc{k}" for k in range(5, 10)]]


def test_a_pair_has_an_arrow_between_its_grids_and_their_middles_are_level():
    small, large = grid("7"), grid("12345", "00000", "54321", "00000", "99999")
    assert rows(grid_picture(pair_drawing(Pair(small, large)))) == [
        "       12345",
        "       00000",
        "7   >  54321",
        "       00000",
        "       99999",
    ]


def test_a_whole_task():
    shown = task_picture(task(), [[grid("09", "00"), grid("5")], [grid("876")]])
    assert rows(shown) == [
        "               ",
        "               ",
        " 102   >  201  ",
        "               ",
        "               ",
        " 34      43    ",
        " 05   >  50    ",
        "               ",
        "               ",
        " ------------- ",
        "               ",
        " 90      09    ",
        " 00   >  00  5 ",
        "               ",
        "               ",
        "               ",
        " 678   >  876  ",
        "               ",
        "               ",
    ]
    assert {role for row in roles(shown) for role in row} <= {cell.role for cell in CELLS}


def test_missing_attempts_leave_empty_slots_and_at_most_two_are_drawn():
    assert "".join(rows(task_picture(task()))).count(">") == 4
    one = rows(task_picture(task(), [[grid("5")] * 3]))
    assert "".join(one).count("5") == 2 + 2  # the demonstrations' own, and two attempts
    assert rows(task_picture(task(), [[], [grid("1111")]]))[-3].endswith("1111 ")


def test_pairs_are_arranged_in_rows_by_width():
    tall, wide = task_picture(task()), task_picture(task(), width=40)
    assert len(wide.cells) < len(tall.cells) and len(wide.cells[0]) <= 40
    assert sum(row.count(">") for row in rows(wide)) == 4
    for width in range(60):
        assert len(task_picture(task(), width=width).cells[0]) <= max(width, len(tall.cells[0]))


def test_with_reserved_sizes_an_attempt_does_not_change_the_layout():
    sizes = set()
    for attempt in (grid("1"), grid("11", "11", "11"), grid("1111"), grid("1" * 6, *["1" * 6] * 3)):
        shown = task_picture(task(), [[attempt, attempt], [attempt, attempt]], attempt_sizes=[(4, 6)] * 2)
        sizes.add((len(shown.cells), len(shown.cells[0])))
        inputs = [(r, row.index("678")) for r, row in enumerate(rows(shown)) if "678" in row]
    assert len(sizes) == 1 and len(inputs) == 1


def test_with_reserved_sizes_a_new_attempt_does_not_change_the_layout():
    sizes = {
        (len(shown.cells), len(shown.cells[0]))
        for tries in ((), ((), ()), ([grid("1")],), ([grid("1")], [grid("2")] * 2), ([grid("1")] * 3, [grid("2")] * 3))
        for shown in [task_picture(task(), tries, attempt_sizes=[(3, 4)] * 2)]
    }
    assert len(sizes) == 1


def scaled(*sizes: tuple[int, int]) -> FewShotTask:
    """A task whose outputs have these sizes and whose inputs are all of 2 x 3; its test's is of 4 x 3."""
    pairs = [Pair(np.zeros((2, 3), np.uint8), np.zeros(size, np.uint8)) for size in sizes]
    return FewShotTask("x", "x.json", tuple(pairs), (np.zeros((4, 3), np.uint8),))


def test_attempt_sizes():
    assert attempt_sizes(task()) == [(2, 2), (1, 3)]  # as large as their inputs
    assert attempt_sizes(scaled((4, 9), (4, 9))) == [(8, 9)]  # twice as high, three times as wide
    assert attempt_sizes(scaled((1, 5), (2, 4))) == [(4, 5)]  # unknown: the size of the canvas


def test_a_whole_task_has_nearly_the_shape_of_a_screen():
    for number in (1, 2, 3, 5, 10):
        for size in (3, 12, 30):
            square = np.zeros((size, size), np.uint8)
            it = FewShotTask("x", "x.json", (Pair(square, square),) * number, (square,))
            cells = task_picture(it, width=screen_width(it, [square.shape]), attempt_sizes=[square.shape]).cells
            assert 0.5 <= len(cells[0]) / len(cells) <= 4, (number, size)
    assert screen_width(it, [square.shape]) > 80  # ten pairs of 30 x 30


def test_zoom_levels_are_the_tests_and_then_their_attempts():
    tries = [[grid("09", "00"), grid("5")], [grid("876")]]
    alone, most = zoom_levels(task(), tries, [0])
    text, last = "".join(rows(alone)), "".join(rows(most))
    assert "90" in text and ">" in text and "678" not in text and "-" not in text
    assert "09" in last and "90" not in last and ">" not in last
    assert "876" in "".join(rows(zoom_levels(task(), tries, [0, 1])[1]))
    nothing_yet = "".join(rows(zoom_levels(task(), [(), ()], [1], attempt_sizes=[(3, 3)] * 2)[1]))
    assert "678" in nothing_yet and len(nothing_yet.replace(" ", "")) == 3


def prediction(*drawing: str, unsure: tuple[int, int] | None = None) -> Prediction:
    answer = grid(*drawing)
    confidence = np.ones(answer.shape, np.float32)
    if unsure:
        confidence[unsure] = 0.5
    return Prediction(answer, confidence)


def test_a_change_map_marks_changed_and_unsure_cells():
    first, second = prediction("12", "34", unsure=(0, 0)), prediction("12", "35", unsure=(0, 1))
    assert rows(grid_picture(change_map(first))) == ["?.", ".."]  # at the first step nothing counts as changed
    assert rows(grid_picture(change_map(second, first))) == [".?", ".*"]


def test_cells_outside_the_previous_grid_count_as_changed():
    small, large = prediction("1", "2"), prediction("111")
    assert rows(grid_picture(change_map(large, small))) == [".**"]
    assert rows(grid_picture(change_map(small, large))) == [".", "*"]


@pytest.mark.parametrize("arrange", [beside, above, lambda parts: flow(parts, 50)])
def test_arranging_keeps_every_drawing(arrange):
    rng = np.random.default_rng(0)
    parts = [rng.integers(0, 10, rng.integers(1, 31, 2)).astype(np.uint8) for _ in range(7)]
    drawing = arrange(parts)
    count = sum(np.bincount(part.ravel(), minlength=10) for part in parts)
    assert (np.bincount(drawing[drawing < 10], minlength=10) == count).all()


def test_centered_never_crops():
    assert centered(COLORS, 1, 1).tolist() == COLORS.tolist()
    assert centered(COLORS, 4, 6).shape == (4, 6)
