"""The layout of a frame in a file: heading, grid, caption, legend; drawn on the Canvas of svg.py or that of gif.py."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from itertools import groupby
from typing import NamedTuple, Protocol

from trmsolve.render import caption
from trmsolve.render.frame import Frame
from trmsolve.render.theme import OUTSIDE, SOLID_ROLES, Role, confidence_shade, legend_cell, legend_roles, role_table
from trmsolve.tasks.base import Cell, Picture

MARGIN = 24  # pixels
TITLE = 52  # above the grid
LINE = 18  # from one line of details to the next
LEAST_WIDTH = 420  # for the caption, however small the grid
CELL = 44  # most pixels of a cell
SYMBOL = 25 / 44  # size of a symbol's letters, as a share of the cell
OUTLINE = 0.04  # of a tile's side, on each side (page.html has the same)
METER, BAR, SAMPLE = 52, 120, 16  # width of the meter's name, of the bar, and of a square in the legend
SIZES = {"heading": 16, "verdict": 16, "detail": 13, "sample": 12}  # of letters, by the first class of a text
CENTERED = ("cell", "sample")  # classes of texts whose x is their middle; that of others is their left end


class Canvas(Protocol):
    """A surface on which classes (theme.class_colors) have colours. Pixels; a text's y is its base line."""

    def shifted(self, x: float, y: float) -> AbstractContextManager[None]: ...
    def rect(
        self, name: str, x: float, y: float, width: float, height: float, radius: float = 0, opacity: float = 1
    ) -> None: ...
    def polygon(self, name: str, points: Sequence[tuple[float, float]]) -> None: ...
    def lines(self, name: str, ends: Iterable[tuple[float, float, float, float]]) -> None: ...
    def areas(self, role: str, spans: Sequence[Span], size: int) -> None: ...
    def text(self, name: str, x: float, y: float, text: str, size: float = 0) -> None: ...


class Span(NamedTuple):
    """Neighbouring cells of one role in a row."""

    row: int
    column: int  # of the first
    length: int


class FrameLayout(NamedTuple):
    """The sizes, in pixels, that all frames of a file share."""

    cell: int
    rows: int
    columns: int
    legend: list[str]  # roles
    num_details: int  # lines

    @classmethod
    def of(cls, frames: Sequence[Frame], cell: int) -> FrameLayout:
        """The layout of these frames of one puzzle."""
        picture, roles = frames[0].picture, set().union(*(frame.roles for frame in frames))
        legend = legend_roles(roles, role_table(picture))
        layout = cls(cell, len(picture.cells), len(picture.cells[0]), legend, 1)
        return layout._replace(num_details=max(len(layout.details(frame)) for frame in frames))

    @property
    def width(self) -> int:
        return max(self.columns * self.cell + 2 * MARGIN, LEAST_WIDTH)

    @property
    def foot(self) -> int:
        """The end of the grid, plus the lines of details after the first one."""
        return TITLE + self.rows * self.cell + LINE * (self.num_details - 1)

    @property
    def height(self) -> int:
        return self.foot + (138 if self.legend else 112)

    def details(self, frame: Frame) -> list[str]:
        """The details of a frame in lines that fit; 6.6 is about the width of a letter."""
        return frame.paragraph(int((self.width - 2 * MARGIN) / 6.6))


def draw(canvas: Canvas, frame: Frame, layout: FrameLayout) -> None:
    """Draw one frame."""
    picture, cell, table = frame.picture, layout.cell, role_table(frame.picture)
    wide, high = layout.columns * cell, layout.rows * cell
    canvas.rect("paper", 0, 0, layout.width, layout.height, radius=12)
    canvas.text("heading", MARGIN, 33, caption.shorten_start(frame.heading, int((layout.width - 2 * MARGIN) / 8.6)))
    with canvas.shifted((layout.width - wide) / 2, TITLE):
        if picture.solid:  # without an edge, floor at the border would look like the page
            canvas.rect(f"{OUTSIDE}-ground", -2, -2, wide + 4, high + 4)
            draw_areas(canvas, picture, sorted(frame.roles), cell)
        else:
            for r, row in enumerate(picture.cells):
                for c, item in enumerate(row):
                    _draw_symbol(canvas, item, c * cell, r * cell, cell, table)
        for name, (down, across) in () if picture.box is None else (("thin", (1, 1)), ("thick", picture.box)):
            rules = [(0, y, wide, y) for y in range(0, high + 1, down * cell)]
            canvas.lines(name, [*rules, *((x, 0, x, high) for x in range(0, wide + 1, across * cell))])

    state_y = TITLE + high + 34
    canvas.text(f"verdict {frame.outcome}".strip(), MARGIN, state_y, frame.state)
    for i, line in enumerate(layout.details(frame)):
        canvas.text("detail", MARGIN, state_y + 24 + LINE * i, line)
    (name, share), y = frame.meter, layout.foot + 80
    canvas.text("detail", MARGIN, y, name)
    canvas.rect("track", MARGIN + METER, y - 9, BAR, 8, radius=4)
    if share >= 0.005:
        canvas.rect("bar", MARGIN + METER, y - 9, max(BAR * share, 8), 8, radius=4)
    canvas.text("detail", MARGIN + METER + BAR + 10, y, caption.percent(share))
    x, y = float(MARGIN), layout.foot + 118
    for name in layout.legend:
        canvas.rect("frame", x, y - 13, SAMPLE, SAMPLE)
        _draw_ground(canvas, legend_cell(name, table), x, y - 13, SAMPLE, table)
        canvas.text(f"sample {name}", x + SAMPLE / 2, y - 0.5, legend_cell(name, table).text)
        canvas.text("detail", x + 22, y, table[name].word)
        x += 33 + 7.2 * len(table[name].word)


def draw_areas(canvas: Canvas, picture: Picture, roles: Iterable[str], size: int) -> None:
    """Draw a solid picture: the areas of each of these roles, in this order, then letters and labels.

    size: pixels per cell. The first cell's corner is at 0, 0.
    """
    spans: dict[str, list[Span]] = {name: [] for name in roles}
    letters: list[tuple[int, int, Cell]] = []
    for r, row in enumerate(picture.cells):
        c = 0
        for role, group in groupby(row, lambda cell: cell.role):
            cells = list(group)
            spans[role].append(Span(r, c, len(cells)))
            letters += [(r, c + i, cell) for i, cell in enumerate(cells) if SOLID_ROLES[role].letter]
            c += len(cells)
    for role, spans_of_role in spans.items():
        canvas.areas(role, spans_of_role, size)
    for r, c, cell in letters:
        canvas.text(f"cell {cell.role}", (c + 0.5) * size, (r + 0.82) * size, cell.text, 0.9 * size)
    for x, y, text in label_positions(picture, size):
        canvas.text("label mat", x, y, text, 1.4 * size)


def label_positions(picture: Picture, size: int) -> list[tuple[float, float, str]]:
    """For each label the left end of its base line, in pixels, and its text."""
    return [(label.column * size, (label.row + 1.1) * size, label.text) for label in picture.labels]


def _draw_symbol(canvas: Canvas, cell: Cell, x: float, y: float, size: float, table: dict[str, Role]) -> None:
    _draw_ground(canvas, cell, x, y, size, table)
    if cell.text.strip():
        letters = SYMBOL * size if len(cell.text) == 1 else 0.9 * size / len(cell.text)
        canvas.text(f"cell {cell.role}", x + size / 2, y + size / 2 + 0.34 * letters, cell.text, letters)


def _draw_ground(canvas: Canvas, cell: Cell, x: float, y: float, size: float, table: dict[str, Role]) -> None:
    role, shade = table[cell.role], confidence_shade(cell, table)
    if shade > 0.005:
        canvas.rect("shade", x, y, size, size, opacity=shade)
    elif role.light.fill:
        canvas.rect(f"{cell.role}-ground", x, y, size, size)
    if role.corner:
        edge = max(size / 5, 5)
        canvas.polygon(cell.role, [(x + size - edge, y), (x + size, y), (x + size, y + edge)])
