"""A solid picture as lines of text: cells as blocks of colour, or as symbols where there is no colour to see."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

from rich.text import Text

from trmsolve.render.console import Glyphs
from trmsolve.render.theme import AREAS, INK, Role
from trmsolve.tasks.base import Cell

Cells = Sequence[Sequence[Cell]]
Piece = tuple[str, str]  # characters and their style


@dataclass(frozen=True, slots=True)
class Scale:
    """How much room a cell gets: columns of text, and how many cells share a line; and whether an edge is drawn.

    Characters are about twice as tall as wide: one column and half a line make a square, as do two columns and a line.
    """

    wide: int
    per_line: int
    edged: bool

    def extent(self, rows: int, columns: int) -> tuple[int, int]:
        """Columns and lines of text that so many cells take."""
        if self.edged:  # the last row of an odd number shares its line with the lower edge
            return columns * self.wide + 2, rows // self.per_line + 2
        return columns * self.wide, -(-rows // self.per_line)


SYMBOLS = (Scale(1, 1, True), Scale(1, 1, False))
BLOCKS = (Scale(2, 1, True), Scale(1, 2, True), Scale(1, 2, False))


def scales(glyphs: Glyphs, colour: bool) -> tuple[Scale, ...]:
    """The sizes in which a picture can be drawn, the roomiest first."""
    return BLOCKS if colour and glyphs.halves else SYMBOLS


def draw(cells: Cells, scale: Scale, glyphs: Glyphs, colour: bool) -> list[Text]:
    """The lines of these cells, as many as scale.extent says.

    Outside a picture is wall, so that its edge, where drawn, is one more row of wall around it, or half of one.
    """
    if scale in SYMBOLS:
        return [_line(row) for row in _symbols(cells, scale, glyphs, colour)]
    return [_line(row) for row in (_halves if scale.per_line == 2 else _doubles)(cells, scale, glyphs)]


def _symbols(cells: Cells, scale: Scale, glyphs: Glyphs, colour: bool) -> Iterable[list[Piece]]:
    # A blank's style cannot be seen; styled as walls are, it joins them in one span.
    look = {name: (_style(role, colour) or INK, role.mark.strip()) for name, role in AREAS.items()}
    top, _, bottom, upright = glyphs.lines
    edge = [(upright, "dim")] if scale.edged else []
    across = len(cells[0])
    if edge:
        yield [(top[0] + top[1] * across + top[3], "dim")]
    for row in cells:
        yield [*edge, *((look[cell.role][1] or cell.text, look[cell.role][0]) for cell in row), *edge]
    if edge:
        yield [(bottom[0] + bottom[1] * across + bottom[3], "dim")]


def _style(role: Role, colour: bool) -> str:
    """A symbol's look. A tile's colour may be as dark as the terminal, so the symbol stands on it."""
    if not colour:
        return role.plain
    return f"{role.light.ink} on {role.colour}" if role.tile else role.colour


def _doubles(cells: Cells, scale: Scale, glyphs: Glyphs) -> Iterable[list[Piece]]:
    upper, lower = glyphs.halves
    across = len(cells[0]) * scale.wide + 2
    piece = {name: _area(role.colour, scale.wide, glyphs) for name, role in AREAS.items()}
    edge = [_area(INK, 1, glyphs)]
    yield [(lower * across, INK)]
    for row in cells:
        yield [*edge, *(_lettered(cell, scale) if AREAS[cell.role].letter else piece[cell.role] for cell in row), *edge]
    yield [(upper * across, INK)]


def _lettered(cell: Cell, scale: Scale) -> Piece:
    return f"{cell.text:^{scale.wide}}", f"bold black on {AREAS[cell.role].colour}"


def _halves(cells: Cells, scale: Scale, glyphs: Glyphs) -> Iterable[list[Piece]]:
    colour = {name: role.colour for name, role in AREAS.items()}
    rows = [[colour[cell.role] for cell in row] for row in cells]
    if scale.edged:
        across = len(rows[0]) + 2
        rows = [[""] * across, [INK] * across, *([INK, *row, INK] for row in rows), [INK] * across]
    if len(rows) % 2:
        rows.append([""] * len(rows[0]))
    pairs: dict[tuple[str, str], Piece] = {}
    for above, below in zip(rows[::2], rows[1::2], strict=True):
        line = []
        for pair in zip(above, below, strict=True):
            if pair not in pairs:
                pairs[pair] = _pair(*pair, glyphs)
            line.append(pairs[pair])
        yield line


def _area(colour: str, wide: int, glyphs: Glyphs) -> Piece:
    """Whole characters of one colour: as background, which leaves no gaps between lines, unless it is INK.

    Blanks are styled as INK, which cannot be seen, and so join the walls around them in one span.
    """
    return (" " * wide, f"on {colour}") if colour not in ("", INK) else ((glyphs.full if colour else " ") * wide, INK)


def _pair(above: str, below: str, glyphs: Glyphs) -> Piece:
    """One character for two colours. INK exists only as a foreground, the page ("") only as a background."""
    upper, lower = glyphs.halves
    if above == below:
        return _area(above, 1, glyphs)
    if INK in (above, below) and "" in (above, below):
        return (upper if above == INK else lower), INK
    if below == INK or above == "":
        return lower, f"{below} on {above}" if above else below
    return upper, f"{above} on {below}" if below else above


def _line(pieces: Iterable[Piece]) -> Text:
    """Pieces of equal style become one: a span costs far more than a character."""
    runs = ((style, "".join(text for text, _ in run)) for style, run in groupby(pieces, itemgetter(1)))
    return Text.assemble(*((text, style) for style, text in runs), no_wrap=True, end="")
