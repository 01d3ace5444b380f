"""The cells of a maze, their symbols, and their names in messages.

A maze is a uint8 grid (height, width) of WALL, FLOOR, START and GOAL; an answer has PATH where the path crosses FLOOR.
"""

from __future__ import annotations

from collections.abc import Sequence

from trmsolve.tasks.base import cell_name as cell_name

WALL, FLOOR, START, GOAL, PATH = range(5)

SMALLEST, LARGEST = 3, 255  # rows or columns of a maze

SYMBOLS = "# SGo"  # of WALL, FLOOR, START, GOAL, PATH, as they are written
NAMES = ("wall", "floor", "start", "goal", "path")
EXPECTED = "expected # for wall, a space or . for floor, S for the start, G for the goal"

FORMS = {WALL: "#█1", FLOOR: " .0", START: "SsAa", GOAL: "GgEeBb", PATH: "o"}  # always accepted
VALUES = {mark: cell for cell, marks in FORMS.items() for mark in marks}

# Accepted where no mark of FORMS has the role. The first set that occurs in the maze gives the role.
OTHER_WALLS = ("■▓▒▪⬛🟫🧱🟦🌲🌳🪨", "Xx", "@TOW", "%", "*", "H", "w", "&")
OTHER_FLOORS = ("_", "-", "·", "⬜□", "░", ",", ":", "F")
OTHER_STARTS = ("2", "P", "@", "🟢🟩🚶🏃🧍🐭🐁🤖🚪🐀", "^")
OTHER_GOALS = ("3", "Ff", "Tt", "X", "$", "🔴🟥🏁🚩🏆🧀🎯⭐", "*")
OTHER_PATHS = ("+", "*", "•", "x", "·")  # only where they form one way that begins at the start or the goal
WORDS = {"wall": "#", "path": ".", "floor": ".", "open": ".", "empty": ".", "start": "S"}
WORDS |= {"passage": "."} | dict.fromkeys(("end", "goal", "finish", "exit"), "G")
ARROWS = "⇨→⇒➔►▶➡>"  # two of one kind: the way in and the way out
MOST_NAMES = 4  # of cells, in a message


def cell_names(cells: Sequence[tuple[int, int]]) -> str:
    """The names of at most MOST_NAMES cells, and the number of the others: r1c1, r1c2 and 7 more."""
    named = [cell_name(cell) for cell in cells[:MOST_NAMES]]
    if len(cells) > MOST_NAMES:
        return f"{', '.join(named)} and {len(cells) - MOST_NAMES} more"
    return " and ".join(filter(None, (", ".join(named[:-1]), *named[-1:])))
