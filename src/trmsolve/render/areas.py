"""A solid picture as SVG shapes: one path per role, in which neighbours of one role are one rectangle, unless they
are tiles: between those the ground shows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from itertools import groupby

from trmsolve.render.theme import AREAS
from trmsolve.tasks.base import Cell, Picture

OUTLINE = 0.04  # of a tile's side, on each side (paint_areas.js has the same)


def runs(row: Sequence[Cell]) -> Iterator[tuple[int, int, Cell]]:
    """Where in the row cells of one role begin, how many they are, and the first of them."""
    at = 0
    for _, cells in groupby(row, lambda cell: cell.role):
        first, *more = cells
        yield at, 1 + len(more), first
        at += 1 + len(more)


def shapes(picture: Picture, roles: Iterable[str], size: int) -> list[str]:
    """A <path class="ROLE-ground"> for each of the roles, in that order, then a <text class="cell ROLE"> per letter.

    The paths of tiles also have the class "tile".

    size: pixels per cell. The first cell's corner is at 0, 0.
    """
    outline: dict[str, list[str]] = {name: [] for name in roles}
    letters = []
    for r, row in enumerate(picture.cells):
        for c, length, cell in runs(row):
            if AREAS[cell.role].tile:
                outline[cell.role] += (_tile((c + i) * size, r * size, size) for i in range(length))
            else:
                outline[cell.role].append(f"M{c * size} {r * size}h{length * size}v{size}h{-length * size}z")
            if AREAS[cell.role].letter:
                place = f'x="{(c + 0.5) * size:g}" y="{(r + 0.82) * size:g}" style="font-size:{0.9 * size:g}px"'
                letters.append(f'<text class="cell {cell.role}" {place}>{escape(cell.text)}</text>')
    return [*(_path(name, "".join(d)) for name, d in outline.items()), *letters]


def _path(role: str, outline: str) -> str:
    if AREAS[role].tile:
        return f'<path class="{role}-ground tile" d="{outline}"/>'
    # Crisp: smoothed edges of two neighbours would let the ground between them shine through.
    return f'<path class="{role}-ground" shape-rendering="crispEdges" d="{outline}"/>'


def _tile(x: int, y: int, size: int) -> str:
    gap = OUTLINE * size
    side = size - 2 * gap
    return f"M{x + gap:g} {y + gap:g}h{side:g}v{side:g}h{-side:g}z"
