"""Which part of a picture is shown when it is larger than the screen: the part where something happens."""

from __future__ import annotations

from statistics import median_low

from trmsolve.render.theme import AREAS, CHANGES
from trmsolve.tasks.base import Picture

Span = tuple[int, int]  # first, and one past the last


class Window:
    """A view of so many rows and columns that follows the changes, calmly.

    It stays where it is while it shows at least half of what changed. Else it jumps so that the middle of the changes
    is in its own: a window that crept along would set the whole screen in motion at every step.
    """

    def __init__(self) -> None:
        self._top = self._left = -1  # nothing shown yet

    def follow(self, picture: Picture, rows: int, columns: int) -> tuple[Span, Span]:
        """The rows and the columns to show of this picture, at most so many of each. The first row is an even one, so
        that two rows that share a line of text keep sharing it."""
        height, width = len(picture.cells), len(picture.cells[0])
        rows, columns = min(rows, height), min(columns, width)
        changed = _places(picture, CHANGES)
        if self._top < 0:
            ends = [name for name, role in AREAS.items() if role.letter]
            changed = changed or _places(picture, ends)[:1] or [(height // 2, width // 2)]
            self._centre(changed, rows, columns)
        elif 2 * sum(self._shows(r, c, rows, columns) for r, c in changed) < len(changed):
            self._centre(changed, rows, columns)
        # Clamped at the end, since the screen may have been resized; odd heights are rounded up: the last row is shown.
        self._top = max(min(self._top, height - rows + (height - rows) % 2), 0) // 2 * 2
        self._left = max(min(self._left, width - columns), 0)
        return (self._top, min(self._top + rows, height)), (self._left, self._left + columns)

    def _shows(self, r: int, c: int, rows: int, columns: int) -> bool:
        return self._top <= r < self._top + rows and self._left <= c < self._left + columns

    def _centre(self, places: list[tuple[int, int]], rows: int, columns: int) -> None:
        """The middle is a median: a few cells that changed far away do not pull at it."""
        self._top = median_low([r for r, _ in places]) - rows // 2
        self._left = median_low([c for _, c in places]) - columns // 2


def _places(picture: Picture, names: tuple[str, ...] | list[str]) -> list[tuple[int, int]]:
    return [(r, c) for r, row in enumerate(picture.cells) for c, cell in enumerate(row) if cell.role in names]
