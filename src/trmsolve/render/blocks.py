"""A picture as lines of text: cells as symbols between box lines or, for solid pictures, as blocks of colour.

Each kind has several scales; the panel takes the largest that fits. A solid picture that fits at none is shown in part,
through a Viewport.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from statistics import median_low

from rich.cells import cell_len
from rich.text import Text

from trmsolve.render.console import Corners, Glyphs
from trmsolve.render.theme import ARC, CHANGES, INK, ROLES, SHADE_STYLES, SOLID_ROLES, terminal_style
from trmsolve.tasks.base import UNSURE, Cell, Label, Picture

Cells = Sequence[Sequence[Cell]]
Piece = tuple[str, str]  # characters and their style
Span = tuple[int, int]  # first, and one past the last


def styled(text: str, style: str = "") -> Text:
    """One line of text. The style is a span, so that it does not extend to text that is appended."""
    return Text.assemble((text, style), no_wrap=True, end="")


# -- grids of symbols ---------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class GridSize:
    """Columns before and after a cell's symbol, and whether lines are drawn around boxes."""

    before: int
    after: int
    framed: bool


GRID_SIZES = (GridSize(1, 1, True), GridSize(0, 1, True), GridSize(0, 1, False), GridSize(0, 0, False))  # largest first


def draw_grid(
    picture: Picture, size: GridSize, glyphs: Glyphs, color: bool, candidates: bool = False, shades: bool = False
) -> list[Text]:
    """The picture's lines. Without colour, roles also have their marks where there is a column for them.

    candidates: cells without a confident answer show their candidates, as pencil marks.
    shades: the background (without colour: the mark) of a cell darkens as its confidence falls.
    """
    cells = [[_pencil_mark(cell) for cell in row] for row in picture.cells] if candidates else picture.cells
    rows, columns = len(cells), len(cells[0]) if cells else 0
    box_rows, box_columns = picture.box or (rows, columns)
    symbol = max((cell_len(cell.text) for row in cells for cell in row), default=1) or 1
    width = size.before + symbol + size.after
    # Columns of each box; boxes need not divide the grid evenly.
    widths = [width * min(box_columns, columns - start) for start in range(0, columns, box_columns)]

    lines = [_rule(glyphs.top, widths)] if size.framed else []
    for r, row in enumerate(cells):
        if r and r % box_rows == 0 and size.framed:
            lines.append(_rule(glyphs.middle, widths))
        line = Text(no_wrap=True, end="")
        for c, cell in enumerate(row):
            if c % box_columns == 0 and size.framed:
                line.append(glyphs.upright, style="dim")
            elif c and c % box_columns == 0:
                line.append(" ")
            _append_cell(line, cell, size, symbol, glyphs, color, shades)
        if size.framed:
            line.append(glyphs.upright, style="dim")
        lines.append(line)
    return [*lines, _rule(glyphs.bottom, widths)] if size.framed else lines


def _pencil_mark(cell: Cell) -> Cell:
    """The cell itself or, without a confident answer, one that shows its candidates."""
    is_open = cell.candidates and (cell.role == "blank" or cell.confidence < UNSURE)
    return Cell(cell.candidates, "blank", cell.confidence) if is_open else cell


def _append_cell(
    line: Text, cell: Cell, size: GridSize, symbol: int, glyphs: Glyphs, color: bool, shades: bool
) -> None:
    level = round((len(SHADE_STYLES) - 1) * (1 - min(max(cell.confidence, 0.0), 1.0))) if shades else 0
    text = glyphs.blank if cell.role == "blank" and not cell.text.strip() else cell.text
    style = terminal_style(cell, color)
    if color and shades:
        style = f"{ROLES[cell.role].color.split(' on ')[0]} {SHADE_STYLES[level]}".strip()
    around = " ".join(word for word in style.split() if word != "underline")  # lines under symbols only
    line.append(" " * (size.before + symbol - cell_len(text)), style=around)
    line.append(text, style=style)
    if size.after:
        mark = " " if color else glyphs.shades[level] if shades else ROLES[cell.role].mark
        line.append(mark + " " * (size.after - 1), style=around if mark == " " else style.replace("underline", ""))


def _rule(corners: Corners, widths: list[int]) -> Text:
    left, across, joint, right = corners
    return styled(left + joint.join(across * width for width in widths) + right, "dim")


def crop(lines: list[Text], width: int, height: int, glyphs: Glyphs) -> list[Text]:
    """The upper left part of a drawing that fits; `more` at the edges stands for the rest."""
    cropped = [line.copy() for line in lines[:height]]
    if len(lines) > height:
        cropped[-1] = styled(glyphs.more * min(width, cropped[-1].cell_len), "dim")
    return [fit(line, width, glyphs) for line in cropped]


def fit(line: Text, width: int, glyphs: Glyphs) -> Text:
    """The line itself, shortened in place to the width: a wrapped line would make Rich miscount and smear redraws."""
    if line.cell_len > width:
        line.truncate(max(width - 1, 0))
        line.append(glyphs.more, style="dim")
    return line


# -- areas of colour ----------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Scale:
    """How a solid picture is drawn. A character is about twice as high as wide: 2 x 1 or 1 x 1/2 is a square."""

    wide: int  # columns per cell
    per_line: int  # cells above each other that share a line
    edged: bool  # whether an edge is drawn

    def extent(self, rows: int, columns: int) -> tuple[int, int]:
        """The number of columns and lines of text for a picture with these rows and columns of cells."""
        if self.edged:  # the last row of an odd number shares its line with the lower edge
            return columns * self.wide + 2, rows // self.per_line + 2
        return columns * self.wide, -(-rows // self.per_line)


SYMBOLS = (Scale(1, 1, True), Scale(1, 1, False))
BLOCKS = (Scale(2, 1, True), Scale(1, 2, True), Scale(1, 2, False))


def scales(glyphs: Glyphs, color: bool) -> tuple[Scale, ...]:
    """The scales at which a solid picture can be drawn, the largest first."""
    return BLOCKS if color and glyphs.halves else SYMBOLS


def draw_solid(
    cells: Cells, scale: Scale, glyphs: Glyphs, color: bool, labels: Sequence[Label] = (), offset: Span = (0, 0)
) -> list[Text]:
    """The lines of a solid picture, as many as scale.extent() gives. Its edge is drawn as wall.

    offset: the row and the column of the picture, to which the labels refer, that the first cell has.
    """
    lines = [_line(row) for row in (_symbols if scale in SYMBOLS else _areas)(cells, scale, glyphs, color)]
    for r, row in enumerate(cells if scale.wide == 2 else ()):
        for c, cell in enumerate(row):
            if SOLID_ROLES[cell.role].letter:
                style = f"bold black on {SOLID_ROLES[cell.role].color}"
                _write(lines[r + scale.edged], c * scale.wide + scale.edged, f"{cell.text:^{scale.wide}}", style)
    for label in labels:
        # Half blocks: of the label's row and the one above, that which shares a line with the row below it.
        top = label.row - label.row % scale.per_line - offset[0] + scale.edged * scale.per_line
        line, column = top // scale.per_line, (label.column - offset[1]) * scale.wide + scale.edged
        if 0 <= line < len(lines) and 0 <= column < lines[0].cell_len:
            _write(lines[line], column, label.text, f"bold white on {ARC['mat'].color}" if color else "bold")
    return lines


def _write(line: Text, column: int, text: str, style: str) -> None:
    """Put text over a part of the line, in place."""
    end = min(column + len(text), line.cell_len)
    before, after = line[:column], line[end:]
    line.plain, line.spans = "", []
    line.append_text(before).append(text[: end - column], style=style).append_text(after)


def _symbols(cells: Cells, scale: Scale, glyphs: Glyphs, color: bool) -> Iterable[list[Piece]]:
    # A blank's style is invisible; styled as walls are, blanks and walls become one span.
    styles = {
        name: (symbol_style(Cell("", name), True, color) or INK, role.mark.strip())
        for name, role in SOLID_ROLES.items()
    }
    edge = [(glyphs.upright, "dim")] if scale.edged else []

    def rule(corners: Corners) -> list[list[Piece]]:
        return [[(corners[0] + corners[1] * len(cells[0]) + corners[3], "dim")]] if scale.edged else []

    yield from rule(glyphs.top)
    for row in cells:
        yield [*edge, *((styles[cell.role][1] or cell.text, styles[cell.role][0]) for cell in row), *edge]
    yield from rule(glyphs.bottom)


def symbol_style(cell: Cell, solid: bool, color: bool) -> str:
    """The style of a cell drawn as a symbol. A tile's colour may be as dark as the terminal: it is the background."""
    if not solid:
        return terminal_style(cell, color)
    role = SOLID_ROLES[cell.role]
    if not color:
        return role.plain
    return f"{role.light.ink} on {role.color}" if role.tile else role.color


def _areas(cells: Cells, scale: Scale, glyphs: Glyphs, color: bool) -> Iterable[list[Piece]]:
    """Lines of characters whose halves have two colours."""
    halves_per_cell = 2 // scale.per_line
    rows = [
        [color for cell in row for color in [SOLID_ROLES[cell.role].color] * scale.wide]
        for row in cells
        for _ in range(halves_per_cell)
    ]
    if scale.edged:  # one more row of wall around the picture, starting at the lower half of a line
        columns = len(rows[0]) + 2
        rows = [[""] * columns, [INK] * columns, *([INK, *row, INK] for row in rows), [INK] * columns]
    if len(rows) % 2:
        rows.append([""] * len(rows[0]))
    pieces: dict[tuple[str, str], Piece] = {}
    for above, below in zip(rows[::2], rows[1::2], strict=True):
        for pair in zip(above, below, strict=True):
            if pair not in pieces:
                pieces[pair] = _pair(*pair, glyphs)
        yield [pieces[pair] for pair in zip(above, below, strict=True)]


def _pair(above: str, below: str, glyphs: Glyphs) -> Piece:
    """One character for two colours. INK exists only as a foreground, the page ("") only as a background."""
    upper, lower = glyphs.halves or ("", "")
    if above == below:  # as background, which leaves no gaps between lines, unless it is INK
        return (" ", f"on {above}" if above else INK) if above != INK else (glyphs.full, INK)
    if INK in (above, below) and "" in (above, below):
        return (upper if above == INK else lower), INK
    if below == INK or above == "":
        return lower, f"{below} on {above}" if above else below
    return upper, f"{above} on {below}" if below else above


def _line(pieces: Iterable[Piece]) -> Text:
    """Pieces of equal style become one: a span costs far more than a character."""
    runs = (("".join(text for text, _ in run), style) for style, run in groupby(pieces, itemgetter(1)))
    return Text.assemble(*runs, no_wrap=True, end="")


# -- pictures larger than the window ------------------------------------------------------------------------------
class Viewport:
    """The part of a picture that is shown. It follows the changed cells, but does not move at every step.

    It stays while it shows at least half of the changed cells; otherwise it is centred on them. Small movements would
    shift the whole screen each time.
    """

    def __init__(self) -> None:
        self._top = self._left = -1  # nothing shown yet

    def follow(self, picture: Picture, rows: int, columns: int) -> tuple[Span, Span]:
        """The spans of rows and columns to show, of at most this length. The first row is even, so that the pairs of
        rows that share a line of text do not change."""
        height, width = len(picture.cells), len(picture.cells[0])
        rows, columns = min(rows, height), min(columns, width)
        changed = _positions(picture, CHANGES)
        if self._top < 0:
            ends = [name for name, role in SOLID_ROLES.items() if role.letter]
            self._center(changed or _positions(picture, ends)[:1] or [(height // 2, width // 2)], rows, columns)
        elif 2 * sum(self._shows(r, c, rows, columns) for r, c in changed) < len(changed):
            self._center(changed, rows, columns)
        # Clamped at the end, since the window may have been resized; odd heights are rounded up: the last row is shown.
        self._top = max(min(self._top, height - rows + (height - rows) % 2), 0) // 2 * 2
        self._left = max(min(self._left, width - columns), 0)
        return (self._top, min(self._top + rows, height)), (self._left, self._left + columns)

    def _shows(self, r: int, c: int, rows: int, columns: int) -> bool:
        return self._top <= r < self._top + rows and self._left <= c < self._left + columns

    def _center(self, positions: list[tuple[int, int]], rows: int, columns: int) -> None:
        """The middle is a median: a few cells that changed far away do not move it."""
        self._top = median_low([r for r, _ in positions]) - rows // 2
        self._left = median_low([c for _, c in positions]) - columns // 2


def _positions(picture: Picture, roles: Sequence[str]) -> list[tuple[int, int]]:
    return [(r, c) for r, row in enumerate(picture.cells) for c, cell in enumerate(row) if cell.role in roles]
