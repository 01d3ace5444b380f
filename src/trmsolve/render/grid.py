"""A picture as lines of text: three sizes of the same drawing, and a crop for windows too small for any of them."""

from __future__ import annotations

from dataclasses import dataclass

from rich.cells import cell_len
from rich.text import Text

from trmsolve.render.console import Glyphs
from trmsolve.render.theme import ROLES, terminal_style
from trmsolve.tasks.base import Cell, Picture


@dataclass(frozen=True, slots=True)
class Size:
    """How much room a cell gets: columns before and after its symbol, and whether lines are drawn around boxes."""

    before: int
    after: int
    framed: bool


SIZES = (Size(1, 1, True), Size(0, 1, True), Size(0, 1, False), Size(0, 0, False))  # the roomiest first


def draw(picture: Picture, size: Size, glyphs: Glyphs, colour: bool) -> list[Text]:
    """The picture's lines. Without colour, roles also carry their marks where there is a column for them."""
    rows, columns = len(picture.cells), len(picture.cells[0]) if picture.cells else 0
    box_rows, box_columns = picture.box or (rows, columns)
    symbol = max((cell_len(cell.text) for row in picture.cells for cell in row), default=1) or 1
    width = size.before + symbol + size.after
    # Where boxes begin; boxes need not divide the grid evenly.
    widths = [width * min(box_columns, columns - at) for at in range(0, columns, box_columns)]
    top, middle, bottom, upright = glyphs.lines

    out = [_rule(top, widths)] if size.framed else []
    for r, row in enumerate(picture.cells):
        if r and r % box_rows == 0 and size.framed:
            out.append(_rule(middle, widths))
        line = Text(no_wrap=True, end="")
        for c, cell in enumerate(row):
            if c % box_columns == 0 and size.framed:
                line.append(upright, style="dim")
            elif c and c % box_columns == 0:
                line.append(" ")
            _append(line, cell, size, symbol, glyphs, colour)
        if size.framed:
            line.append(upright, style="dim")
        out.append(line)
    return [*out, _rule(bottom, widths)] if size.framed else out


def crop(lines: list[Text], width: int, height: int, glyphs: Glyphs) -> list[Text]:
    """The upper left part of a drawing that fits; what is missing is shown by `more` at the edges."""
    out = [line.copy() for line in lines[:height]]
    for i, line in enumerate(out):
        cut_below = i == height - 1 and len(lines) > height
        if cut_below:
            out[i] = line = styled(glyphs.more * min(width, line.cell_len), "dim")
        if line.cell_len > width:
            line.truncate(max(width - 1, 0))
            line.append(glyphs.more, style="dim")
    return out


def styled(text: str, style: str = "") -> Text:
    """One line of text. The style is a span, not the Text's own: that one would colour whatever is appended too."""
    return Text.assemble((text, style), no_wrap=True, end="")


def _append(line: Text, cell: Cell, size: Size, symbol: int, glyphs: Glyphs, colour: bool) -> None:
    style = terminal_style(cell, colour)
    text = glyphs.blank if cell.role == "blank" and not cell.text.strip() else cell.text
    around = " ".join(word for word in style.split() if word not in ("underline", "strike"))  # lines under symbols only
    line.append(" " * (size.before + symbol - cell_len(text)), style=around)
    line.append(text, style=style)
    if size.after:
        mark = " " if colour else ROLES[cell.role].mark
        line.append(mark + " " * (size.after - 1), style=around if mark == " " else style.replace("underline", ""))


def _rule(corners: str, widths: list[int]) -> Text:
    left, across, joint, right = corners
    return styled(left + joint.join(across * width for width in widths) + right, "dim")
