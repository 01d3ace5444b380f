"""ARC's grids as pictures: one by itself, or a whole task with everything between its grids.

A whole task is one picture too, so that every view can draw it and follow it step by step: the grids lie on a mat, with
an arrow of cells between what goes in and what comes out, and a line between what is shown and what is asked. Such
drawings are kept as arrays of looks, intp (height, width), which can be put beside and above each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from trmsolve.tasks.arc.grids import COLOURS, ArcTask, Grid, Pair
from trmsolve.tasks.base import Cell, Picture

MAT, INK, TIP, LINE = range(COLOURS, COLOURS + 4)  # looks beyond the colours

LOOKS = (
    *(Cell(str(colour), f"arc{colour}") for colour in range(COLOURS)),
    Cell(" ", "mat"),
    Cell(" ", "rule"),
    Cell(">", "rule"),
    Cell("-", "rule"),
)
ARROW = np.array([[INK, MAT], [MAT, TIP], [INK, MAT]])
GAP = 2  # cells of mat between drawings

Drawing = np.ndarray


def picture(drawing: Drawing) -> Picture:
    """A drawing, or a grid, uint8 (height, width), as a picture."""
    return Picture([[LOOKS[k] for k in row] for row in drawing.tolist()], solid=True)


def whole(task: ArcTask, attempts: Sequence[Sequence[Grid]] = (), width: int = 0, room: Sequence[int] = ()) -> Picture:
    """A task: the demonstrations, below a line the tests with the first two attempts at each, the better one first.

    attempts: for each test its grids; fewer tests or grids than there are leave their places empty.
    width: cells that the picture should keep to; pairs stand beside each other as far as that allows, one at least.
    room: height and width that each attempt gets at least, so that attempts of changing sizes move nothing.
    """
    shown = flow(map(pair, task.demonstrations), width - 2)
    tried = (*attempts, *[()] * (len(task.tests) - len(attempts)))
    asked = flow((test(grid, tries, room) for grid, tries in zip(task.tests, tried, strict=False)), width - 2)
    line = np.full((1, max(shown.shape[1], asked.shape[1])), LINE)
    return picture(np.pad(above([shown, line, asked]), 1, constant_values=MAT))


def pair(pair: Pair) -> Drawing:
    """Input and output with an arrow between them."""
    return beside([pair.input, ARROW, pair.output])


def test(grid: Grid, attempts: Sequence[Grid] = (), room: Sequence[int] = ()) -> Drawing:
    """A test's input and up to two attempts; `room` as whole() takes it."""
    return beside([grid, ARROW, *(roomy(attempt, *room) for attempt in attempts[:2])])


def roomy(drawing: Drawing, height: int = 0, width: int = 0) -> Drawing:
    """The drawing in the middle of a mat of at least this size."""
    missing = [max(wanted - size, 0) for wanted, size in zip((height, width), drawing.shape, strict=True)]
    return np.pad(drawing.astype(np.intp), [(n // 2, n - n // 2) for n in missing], constant_values=MAT)


def beside(drawings: Iterable[Drawing], gap: int = GAP) -> Drawing:
    """Drawings from left to right, their middles level."""
    parts = list(drawings)
    height = max(part.shape[0] for part in parts)
    between = np.full((height, gap), MAT)
    spaced = [piece for part in parts for piece in (between, roomy(part, height))]
    return np.concatenate(spaced[1:], axis=1)


def above(drawings: Iterable[Drawing], gap: int = GAP // 2) -> Drawing:
    """Drawings from top to bottom, their left sides in line."""
    parts = list(drawings)
    width = max(part.shape[1] for part in parts)
    between = np.full((gap, width), MAT)
    filled = [np.pad(part, ((0, 0), (0, width - part.shape[1])), constant_values=MAT) for part in parts]
    spaced = [piece for part in filled for piece in (between, part)]
    return np.concatenate(spaced[1:], axis=0)


def flow(drawings: Iterable[Drawing], width: int, gap: int = 3 * GAP) -> Drawing:
    """Drawings in rows, as many beside each other as `width` cells hold, in columns of equal width."""
    parts = list(drawings)
    column = max(part.shape[1] for part in parts)
    across = max((width + gap) // (column + gap), 1)
    rows = [parts[i : i + across] for i in range(0, len(parts), across)]
    return above(beside((_left(part, column) for part in row), gap) for row in rows)


def _left(drawing: Drawing, width: int) -> Drawing:
    return np.pad(drawing, ((0, 0), (0, width - drawing.shape[1])), constant_values=MAT)
