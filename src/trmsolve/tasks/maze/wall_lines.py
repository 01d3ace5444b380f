"""Mazes whose walls are lines between the cells: +--+ with bars, and box drawing.

+---+---+        #####
| S     |   ->   #S  #    a cell for every corner, every wall or gap between two corners, and every cell
+   +---+        # ###
|     G |        #  G#
+---+---+        #####
"""

from __future__ import annotations

from collections.abc import Sequence

from trmsolve.tasks.maze.cells import ARROWS
from trmsolve.tasks.reading.reader import Malformed

_CORNERS = "+o*"
_UPRIGHT = "|│┃║!"
_LEVEL = "-=_─━═"


def is_box_drawing(text: str) -> bool:
    """Whether a line has strokes of box drawing."""
    return any("─" <= mark <= "╿" for mark in text)


def may_be_lines(top: str) -> bool:
    """Whether a maze with this first row may have its walls drawn as lines."""
    return is_box_drawing(top) or (top.strip()[:1] in tuple(_CORNERS) and any(mark in top for mark in _LEVEL))


def from_lines(rows: Sequence[str]) -> list[str] | None:
    """The maze of rows with walls as lines, as rows of # and floor; None where the rows are not drawn so.

    Raises Malformed where a wall is drawn in part.
    """
    if any(map(is_box_drawing, rows)):
        return _from_box_drawing(rows)
    return _from_corners(rows)


def _from_corners(rows: Sequence[str]) -> list[str] | None:
    top = rows[0].rstrip()
    corner = top[:1]
    if len(rows) < 3 or len(rows) % 2 == 0 or corner not in _CORNERS or top.count(corner) < 2 or top[-1] != corner:
        return None
    places = [place for place, mark in enumerate(top) if mark == corner]
    pitch = places[1]
    regular = pitch > (1 if corner == "+" else 2) and places == list(range(0, len(top), pitch))
    if not regular or any(set(top[at + 1 : at + pitch]) - set(_LEVEL + " ") for at in places[:-1]):
        return None
    if any(row.ljust(len(top))[at] != corner for row in rows[::2] for at in places):
        return None
    return _at_pitch([row.ljust(len(top)) for row in rows], pitch)


def _at_pitch(rows: Sequence[str], pitch: int) -> list[str] | None:
    """Rows with a corner at every `pitch`-th column of every second row."""
    width, result = len(rows[0]), []
    if any(len(row.rstrip()) > width for row in rows):
        return None
    for number, row in enumerate(rows):
        cells = ""
        for at in range(0, width, pitch):
            if number % 2 == 0:
                cells += "#"
                cells += _uniform(row[at + 1 : at + pitch], number) if at + 1 < width else ""
            else:
                cells += " " if row[at] == " " else "#" if row[at] in _UPRIGHT else row[at]
                inside = row[at + 1 : at + pitch].strip() if at + 1 < width else ""
                if len(inside) > 1:
                    return None
                cells += (inside or " ") if at + 1 < width else ""
        result.append(cells)
    return result


def _uniform(marks: str, row: int) -> str:
    """The cell that the marks between two corners mean: a wall, or a gap with at most a mark in it."""
    if set(marks) <= set(_LEVEL):
        return "#"
    inside = marks.strip()
    if len(inside) > 1:
        raise Malformed(f"row {row + 1} has half a wall, {marks}; expected a wall or a gap between two corners", row)
    return inside or " "


def _from_box_drawing(rows: Sequence[str]) -> list[str] | None:
    """Strokes of box drawing as walls. Corners further apart than two columns are brought together."""
    width = max(map(len, rows))
    padded = [row.ljust(width) for row in rows]
    known = set(" .SGsgABEab" + ARROWS)
    if any(not is_box_drawing(mark) and mark not in known for row in padded for mark in row):
        return None
    corners = {
        at for row in padded for at, mark in enumerate(row) if is_box_drawing(mark) and mark not in _LEVEL + "╌╴╶╸╺"
    }
    for pitch in (4, 3, 6, 5, 8):
        odd_rows = len(padded) % 2 == 1
        if odd_rows and (width - 1) % pitch == 0 and width > pitch and all(at % pitch == 0 for at in corners):
            strokes = str.maketrans({mark: "|" for row in padded for mark in row if is_box_drawing(mark)})
            lines = [
                "".join("─" if is_box_drawing(mark) else mark for mark in row)
                if at % 2 == 0
                else row.translate(strokes)
                for at, row in enumerate(padded)
            ]
            return _with_posts(lines, padded, pitch)
    return ["".join("#" if is_box_drawing(mark) else mark for mark in row) for row in padded]


def _with_posts(lines: Sequence[str], drawn: Sequence[str], pitch: int) -> list[str] | None:
    """As _at_pitch, where a corner without a stroke is no wall."""
    rows = _at_pitch(lines, pitch)
    if rows is None:
        return None
    for number in range(0, len(rows), 2):
        marks = list(rows[number])
        for at in range(0, len(marks), 2):
            if drawn[number][at // 2 * pitch] == " ":
                marks[at] = " "
        rows[number] = "".join(marks)
    return rows
