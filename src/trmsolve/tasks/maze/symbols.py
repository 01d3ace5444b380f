"""How the cells of a maze are written, and how messages call them."""

from __future__ import annotations

from collections.abc import Sequence

from trmsolve.tasks.maze.cells import FLOOR, GOAL, PATH, START, WALL

SYMBOLS = "# SGo"  # of WALL, FLOOR, START, GOAL, PATH, as they are written
NAMES = ("wall", "floor", "start", "goal", "path")
EXPECTED = "expected # for wall, a space or . for floor, S for the start, G for the goal"

FORMS = {WALL: "#█1", FLOOR: " .0", START: "SsAa", GOAL: "GgEeBb", PATH: "o"}  # all that is read
VALUES = {mark: cell for cell, marks in FORMS.items() for mark in marks}


def at(cell: tuple[int, int]) -> str:
    """A cell (row, column; 0-based) as messages call it: r1c1 is the first."""
    return f"r{cell[0] + 1}c{cell[1] + 1}"


def places(cells: Sequence[tuple[int, int]], most: int = 4) -> str:
    """Cells for a message, no more than `most` by name: r1c1, r1c2 and 7 more."""
    named = [at(cell) for cell in cells[:most]]
    if len(cells) > most:
        return f"{', '.join(named)} and {len(cells) - most} more"
    return " and ".join(filter(None, (", ".join(named[:-1]), *named[-1:])))
