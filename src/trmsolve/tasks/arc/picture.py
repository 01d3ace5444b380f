"""Pictures of a single ARC grid, or of a whole task.

A task is one picture, so that every renderer can draw and animate it: grids on a background, an arrow between input and
output, and a line between demonstrations and tests. A Drawing is an array of indices into CELLS, intp (height, width);
drawings can be concatenated. An index len(CELLS) + k is background at which LABELS[k] begins.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import starmap

import numpy as np

from trmsolve.tasks.arc.grids import COLORS, Shape, SizeRule
from trmsolve.tasks.base import UNSURE, Cell, Label, Picture, Prediction
from trmsolve.tasks.few_shot import Attempts, FewShotTask, Grid, Pair

MAT, SHAFT, TIP, LINE, SURE, DOUBTFUL, CHANGED = range(COLORS, COLORS + 7)  # symbols besides the colours

CELLS = (
    *(Cell(str(color), f"arc{color}") for color in range(COLORS)),
    Cell(" ", "mat"),
    Cell(" ", "rule"),
    Cell(">", "rule"),
    Cell("-", "rule"),
    Cell(".", "settled"),
    Cell("?", "doubted"),
    Cell("*", "redrawn"),
)
LABELS = ("demonstrations", "test", "attempt 1", "attempt 2", "solution", "draft", "changes")
LABEL_ROWS = 2  # rows of background for a label, besides the row above
SLOT_WIDTH = len("attempt 1")  # minimum width of a labelled slot
ARROW = np.array([[SHAFT, MAT], [MAT, TIP], [SHAFT, MAT]])
GAP = 2  # cells of background between drawings
ASPECT = 1.5  # columns per row of a whole task that suit a screen

Drawing = np.ndarray


def grid_picture(drawing: Drawing) -> Picture:
    """A drawing, or a grid, uint8 (height, width), as a picture."""
    labels = tuple(
        Label(int(r), int(c), LABELS[drawing[r, c] - len(CELLS)]) for r, c in np.argwhere(drawing >= len(CELLS))
    )
    cells = np.where(drawing < len(CELLS), drawing, MAT).tolist()
    return Picture([[CELLS[k] for k in row] for row in cells], solid=True, labels=labels)


def task_picture(
    task: FewShotTask,
    attempts: Attempts = (),
    width: int = 0,
    attempt_sizes: Sequence[Shape] = (),
    labels: Sequence[str] = (),
) -> Picture:
    """The demonstrations, and below a line the tests with the first two attempts at each.

    attempts: for each test its grids; missing ones leave empty slots.
    width: desired width in cells; each row has as many pairs as fit, at least one.
    attempt_sizes: for each test the minimum height and width reserved for each of two attempts, so that the layout does
        not change when an attempt appears or changes its size.
    labels: one of LABELS for each slot next to a test; without them, two slots and no text.
    """
    return framed(_task_drawing(task, attempts, width, attempt_sizes, labels))


def zoom_levels(
    task: FewShotTask,
    attempts: Attempts,
    tests: Sequence[int],
    width: int = 0,
    attempt_sizes: Sequence[Shape] = (),
    labels: Sequence[str] = (),
) -> tuple[Picture, ...]:
    """Pictures with less context than task_picture, for small screens: these tests only, then only their attempts."""
    chosen = [(task.tests[i], attempts[i], attempt_sizes[i] if attempt_sizes else (), labels) for i in tests]
    alone = flow(starmap(_test_drawing, chosen), width - 2)
    attempts_alone = (
        beside(_slots(grids, size, labels)) if len(grids) else test_input for test_input, grids, size, _ in chosen
    )
    return framed(alone), framed(flow(attempts_alone, width - 2))


def screen_width(task: FewShotTask, attempt_sizes: Sequence[Shape] = (), labels: Sequence[str] = ()) -> int:
    """The `width` at which task_picture comes closest to a screen's shape."""

    def longer_side(width: int) -> float:
        rows, columns = _task_drawing(task, (), width, attempt_sizes, labels).shape
        return max(columns, ASPECT * rows)

    return min(range(8, 256, 8), key=longer_side)


def attempt_sizes(task: FewShotTask) -> list[Shape]:
    """For each test a height and width that are large enough for any answer, inferred from the demonstrations."""
    rule = SizeRule.from_pairs(task.demonstrations)
    return [rule.output(grid.shape) or rule.canvas(grid.shape) for grid in task.tests]


def _task_drawing(
    task: FewShotTask, attempts: Attempts, width: int, sizes: Sequence[Shape], labels: Sequence[str]
) -> Drawing:
    demonstrations = flow(map(pair_drawing, task.demonstrations), width - 2)

    def test(i: int) -> Drawing:
        grids = attempts[i] if i < len(attempts) else ()
        return _test_drawing(task.tests[i], grids, sizes[i] if i < len(sizes) else (), labels)

    tests = flow(map(test, range(len(task.tests))), width - 2)
    line = np.full((1, max(demonstrations.shape[1], tests.shape[1])), LINE)
    return above([_labelled(demonstrations, "demonstrations") if labels else demonstrations, line, tests])


def change_map(prediction: Prediction, previous: Prediction | None = None) -> Drawing:
    """A map of the size of a predicted grid: cells that changed since the previous step, unsure cells, and others.

    It is drawn next to the grid, whose colours all have a meaning. Without `previous`, no cell counts as changed.
    """
    drawing = np.where(prediction.confidence < UNSURE, DOUBTFUL, SURE)
    if previous is not None:
        before = np.full(
            drawing.shape, COLORS
        )  # not a colour, so that cells outside the previous grid count as changed
        height, width = map(min, before.shape, previous.answer.shape)
        before[:height, :width] = previous.answer[:height, :width]
        drawing[prediction.answer != before] = CHANGED
    return drawing


def framed(drawing: Drawing) -> Picture:
    """A drawing as a picture with background around it."""
    return grid_picture(np.pad(drawing, 1, constant_values=MAT))


def pair_drawing(pair: Pair) -> Drawing:
    """Input and output with an arrow between them."""
    return beside([pair.input, ARROW, pair.output])


def _test_drawing(
    grid: Grid, attempts: Sequence[Drawing] = (), size: Sequence[int] = (), labels: Sequence[str] = ()
) -> Drawing:
    """A test's input and the grids next to it. size: the minimum size of each grid's slot."""
    if not labels:
        return beside([grid, ARROW, *_slots(attempts, size)])
    arrow = np.pad(ARROW, ((LABEL_ROWS, 0), (0, 0)), constant_values=MAT)  # level with the middle of the grids
    return beside([_labelled(grid, "test"), arrow, *_slots(attempts, size, labels)])


def _slots(attempts: Sequence[Drawing], size: Sequence[int], labels: Sequence[str] = ()) -> list[Drawing]:
    empty = np.array([[MAT]])
    number = len(labels) or 2
    grids = [centered(grid, *size) for grid in ([*attempts, *[empty] * number] if len(size) else attempts)[:number]]
    if not labels:
        return grids
    return [_labelled(grid, label, SLOT_WIDTH) for grid, label in zip(grids, labels, strict=False)]


def _labelled(drawing: Drawing, label: str, least_width: int = 0) -> Drawing:
    """The drawing below a label. An empty slot has no label, but space for one."""
    height, width = drawing.shape
    labelled = np.full((height + LABEL_ROWS, max(width, len(label), least_width)), MAT)
    labelled[LABEL_ROWS:, :width] = drawing
    if (drawing != MAT).any():
        labelled[0, 0] = len(CELLS) + LABELS.index(label)
    return labelled


def centered(drawing: Drawing, height: int = 0, width: int = 0) -> Drawing:
    """The drawing in the middle of a background of at least this size."""
    missing = [max(least - size, 0) for least, size in zip((height, width), drawing.shape, strict=True)]
    return np.pad(drawing.astype(np.intp), [(n // 2, n - n // 2) for n in missing], constant_values=MAT)


def beside(drawings: Iterable[Drawing], gap: int = GAP) -> Drawing:
    """Drawings from left to right, vertically centred."""
    parts = list(drawings)
    height = max(part.shape[0] for part in parts)
    space = np.full((height, gap), MAT)
    return np.concatenate([piece for part in parts for piece in (space, centered(part, height))][1:], axis=1)


def above(drawings: Iterable[Drawing], gap: int = GAP // 2) -> Drawing:
    """Drawings from top to bottom, aligned on the left."""
    parts = list(drawings)
    width = max(part.shape[1] for part in parts)
    space = np.full((gap, width), MAT)
    return np.concatenate([piece for part in parts for piece in (space, _left(part, width))][1:], axis=0)


def flow(drawings: Iterable[Drawing], width: int, gap: int = 3 * GAP) -> Drawing:
    """Drawings in rows, in columns of equal width; each row has as many as fit into `width` cells, at least one."""
    parts = list(drawings)
    column = max(part.shape[1] for part in parts)
    columns = max((width + gap) // (column + gap), 1)
    rows = [parts[i : i + columns] for i in range(0, len(parts), columns)]
    return above(beside((_left(part, column) for part in row), gap) for row in rows)


def _left(drawing: Drawing, width: int) -> Drawing:
    return np.pad(drawing, ((0, 0), (0, width - drawing.shape[1])), constant_values=MAT)
