"""ARC's grids as pictures: one by itself, or a whole task with everything between its grids.

A whole task is one picture too, so that every view can draw it and follow it step by step: the grids lie on a mat, with
an arrow of cells between what goes in and what comes out, and a line between what is shown and what is asked. Such
drawings are kept as arrays of looks, intp (height, width), which can be put beside and above each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import starmap, zip_longest

import numpy as np

from trmsolve.tasks.arc.grids import COLOURS, ArcTask, Grid, Pair
from trmsolve.tasks.arc.sizes import Shape, SizeRule
from trmsolve.tasks.base import UNSURE, Cell, Guess, Picture

MAT, INK, TIP, LINE, SETTLED, DOUBTED, CHANGED = range(COLOURS, COLOURS + 7)  # looks beyond the colours

LOOKS = (
    *(Cell(str(colour), f"arc{colour}") for colour in range(COLOURS)),
    Cell(" ", "mat"),
    Cell(" ", "rule"),
    Cell(">", "rule"),
    Cell("-", "rule"),
    Cell(".", "settled"),
    Cell("?", "doubted"),
    Cell("*", "redrawn"),
)
ARROW = np.array([[INK, MAT], [MAT, TIP], [INK, MAT]])
NOTHING = np.array([[MAT]])
GAP = 2  # cells of mat between drawings
SHAPE = 1.5  # columns for a row that a whole task should have: a screen's shape

Drawing = np.ndarray
Attempts = Sequence[Sequence[Drawing]]  # for each test what was tried


def picture(drawing: Drawing) -> Picture:
    """A drawing, or a grid, uint8 (height, width), as a picture."""
    return Picture([[LOOKS[k] for k in row] for row in drawing.tolist()], solid=True)


def whole(task: ArcTask, attempts: Attempts = (), width: int = 0, rooms: Sequence[Shape] = ()) -> Picture:
    """A task: the demonstrations, below a line the tests with the first two attempts at each, the better one first.

    attempts: for each test its grids; fewer tests or grids than there are leave their places empty.
    width: cells that the picture should keep to; pairs stand beside each other as far as that allows, one at least.
    rooms: for each test height and width that each of two attempts gets at least, so that one which comes or changes
        its size moves nothing.
    """
    return framed(_all(task, attempts, width, rooms))


def closer(
    task: ArcTask, attempts: Attempts, tests: Sequence[int], width: int = 0, rooms: Sequence[Shape] = ()
) -> tuple[Picture, ...]:
    """What whole() draws with ever less around it: these tests alone, then what matters most of them, the attempts."""
    chosen = [(task.tests[i], attempts[i], rooms[i] if rooms else ()) for i in tests]
    alone = flow((test(*each) for each in chosen), width - 2)
    most = flow((beside(_places(tries, room)) if len(tries) else grid for grid, tries, room in chosen), width - 2)
    return framed(alone), framed(most)


def screen_width(task: ArcTask, rooms: Sequence[Shape] = ()) -> int:
    """The `width` by which whole() comes nearest to a screen's shape."""

    def side(width: int) -> float:
        rows, columns = _all(task, (), width, rooms).shape
        return max(columns, SHAPE * rows)

    return min(range(8, 256, 8), key=side)


def answer_rooms(task: ArcTask) -> list[Shape]:
    """For each test the height and width that hold any answer to it, as far as the demonstrations tell."""
    rule = SizeRule.of(task.demonstrations)
    return [rule.output(grid.shape) or rule.canvas(grid.shape) for grid in task.tests]


def _all(task: ArcTask, attempts: Attempts, width: int, rooms: Sequence[Shape]) -> Drawing:
    shown = flow(map(pair, task.demonstrations), width - 2)
    tests = zip_longest(task.tests, attempts[: len(task.tests)], rooms, fillvalue=())
    asked = flow(starmap(test, tests), width - 2)
    line = np.full((1, max(shown.shape[1], asked.shape[1])), LINE)
    return above([shown, line, asked])


def marks(guess: Guess, previous: Guess | None = None) -> Drawing:
    """A map of a guess that is being refined, as large as it: what changed in this step, what is unsure, and the rest.

    Kept beside the grid rather than drawn into it, where each colour already means something. At the first step,
    where everything is new, nothing counts as changed.
    """
    drawn = np.where(guess.confidence < UNSURE, DOUBTED, SETTLED)
    if previous is not None:
        before = np.full(drawn.shape, COLOURS)  # no colour: what had no place before is new
        height, width = map(min, before.shape, previous.answer.shape)
        before[:height, :width] = previous.answer[:height, :width]
        drawn[guess.answer != before] = CHANGED
    return drawn


def framed(drawing: Drawing) -> Picture:
    """A drawing as a picture with mat around it."""
    return picture(np.pad(drawing, 1, constant_values=MAT))


def pair(pair: Pair) -> Drawing:
    """Input and output with an arrow between them."""
    return beside([pair.input, ARROW, pair.output])


def test(grid: Grid, attempts: Sequence[Drawing] = (), room: Sequence[int] = ()) -> Drawing:
    """A test's input and up to two attempts, with room for both where one is given."""
    return beside([grid, ARROW, *_places(attempts, room)])


def _places(attempts: Sequence[Drawing], room: Sequence[int]) -> list[Drawing]:
    places = [*attempts, NOTHING, NOTHING] if len(room) else attempts
    return [roomy(attempt, *room) for attempt in places[:2]]


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
