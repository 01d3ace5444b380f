"""A solid picture as SVG shapes: one path per role, in which neighbours of one role are one rectangle."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from itertools import groupby

from trmsolve.tasks.base import Cell, Picture
from trmsolve.view.theme import AREAS


def runs(row: Sequence[Cell]) -> Iterator[tuple[int, int, Cell]]:
    """Where in the row cells of one role begin, how many they are, and the first of them."""
    at = 0
    for _, cells in groupby(row, lambda cell: cell.role):
        first, *more = cells
        yield at, 1 + len(more), first
        at += 1 + len(more)


def shapes(picture: Picture, roles: Iterable[str], size: int) -> list[str]:
    """A <path class="ROLE-ground"> for each of the roles, in that order, then a <text class="cell ROLE"> per letter.

    size: pixels per cell. The first cell's corner is at 0, 0.
    """
    outline: dict[str, list[str]] = {name: [] for name in roles}
    letters = []
    for r, row in enumerate(picture.cells):
        for c, length, cell in runs(row):
            outline[cell.role].append(f"M{c * size} {r * size}h{length * size}v{size}h{-length * size}z")
            if AREAS[cell.role].letter:
                place = f'x="{(c + 0.5) * size:g}" y="{(r + 0.82) * size:g}" style="font-size:{0.9 * size:g}px"'
                letters.append(f'<text class="cell {cell.role}" {place}>{escape(cell.text)}</text>')
    # Crisp: smoothed edges of two neighbours would let the ground between them shine through.
    paths = [
        f'<path class="{name}-ground" shape-rendering="crispEdges" d="{"".join(d)}"/>' for name, d in outline.items()
    ]
    return [*paths, *letters]
