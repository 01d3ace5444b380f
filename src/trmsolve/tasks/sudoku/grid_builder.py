"""A grid that is still coming in, row by row: which readings explain its lines, when it is complete, where it ends."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from trmsolve.tasks.base import Line
from trmsolve.tasks.reading.layout import VERTICAL, Layout, is_sequence, layouts, unbracketed
from trmsolve.tasks.sudoku.lexer import Kind, Lexed, lex, separated
from trmsolve.tasks.sudoku.rules import BOX, conflicts
from trmsolve.tasks.sudoku.symbols import cell_values, value

_TO_BAR = str.maketrans(dict.fromkeys(VERTICAL, "|"))
_ARROW = re.compile(r"\s(?:[=-]*>|[→⇒])\s")  # from a puzzle to its solution beside it
_SPACES = str.maketrans(dict.fromkeys(VERTICAL + ",;", " "))
MOST_LABELS = 2  # rows of labels around a grid


class Row(NamedTuple):
    """A line of a grid. text: without what layout.plain() takes off."""

    line: Line
    text: str
    lexed: Lexed

    @property
    def is_blank(self) -> bool:
        """Whether this is a line of spaces or tabs: a row of blanks, or nothing."""
        return self.lexed.kind is Kind.EMPTY

    @property
    def barred(self) -> bool:
        """Whether bars stand between the cells, as they do in the row of a drawn grid."""
        return any(mark in self.text for mark in VERTICAL)

    @property
    def small(self) -> bool:
        """Whether a 4x4 puzzle on one line could hold all of this."""
        if len(separated(self.text)) not in (1, 4, 16) or any(mark in self.text for mark in ",;\t"):  # labels, fields
            return False
        marks_only = not self.barred and not self.lexed.foreign and all(len(cell) == 1 for cell in self.lexed.cells)
        return marks_only and all((value(cell) or 0) <= 4 for cell in self.lexed.cells)

    @property
    def repeats(self) -> bool:
        """Whether a digit stands in it twice, as in no row of a grid."""
        digits = [cell for cell in self.lexed.cells if value(cell)]
        return len(set(digits)) < len(digits)

    @property
    def may_be_labels(self) -> bool:
        """Whether this counts columns, so that it is a row of the grid only if nothing else fits."""
        texts = [text for text in unbracketed(self.text).translate(_SPACES).split() if text]
        return self.lexed.kind is Kind.LABELS or is_sequence(texts) or is_sequence(list("".join(texts)))


class Reading(NamedTuple):
    """A grid that explains the rows. cells: their texts, one after the other; values: their digits, 0 for a blank."""

    cells: tuple[str, ...]
    side: int
    values: tuple[int, ...]
    layout: str
    is_candidates: bool = False


class GridBuilder:
    """The rows of a grid that is still coming in."""

    def __init__(self, rows: Sequence[Row] = ()) -> None:
        self.all = list(rows)
        self.period = 0  # rows between blank lines, once one was seen
        self.gap = 0  # how many rows stood before the last blank line
        self.frames: list[int] = []  # how many rows stood before each line of the frame
        self.after_head = False  # the first frame is a markdown table's second line

    @property
    def rows(self) -> list[Row]:
        """Without the lines of dashes that are frames: all of them, unless the grid writes all its blanks as dashes."""
        nonblank = [row for row in self.all if not row.is_blank]
        plain = [row for row in nonblank if not row.lexed.dashes]
        inner = plain[1:] if plain and (self.after_head or plain[0].may_be_labels) else plain
        blanks = {cell for row in inner for cell in row.lexed.cells if value(cell) == 0}
        return nonblank if not plain or blanks == {"-"} else plain

    @property
    def side(self) -> int:
        """Columns of most rows with a proper number of them; 0 when none has."""
        widths = Counter(len(row.lexed.cells) for row in self.rows if len(row.lexed.cells) in BOX)
        return max(widths, key=lambda width: widths[width]) if widths else 0

    @property
    def writes_blanks(self) -> bool:
        """Whether blanks have marks of their own here, so that a line of spaces is no row."""
        texts = [row.text for row in self.all if not row.is_blank]
        return any(mark in text for text in texts for mark in "._*0-|│") or any(
            mark in t for t in texts for mark in ",;"
        )

    @property
    def only_dashes(self) -> bool:
        """Whether nothing but lines of dashes has come."""
        return all(row.lexed.dashes for row in self.all)

    @property
    def has_regular_rows(self) -> bool:
        """Whether most rows, and as many as the grid needs, have the same proper number of cells."""
        rows, side = [row for row in self.rows if row.lexed.kind is not Kind.LABELS], self.side
        regular = sum(len(row.lexed.cells) == side for row in rows)
        return 0 < side <= len(rows) and 2 * regular > len(rows)

    @property
    def small_lines(self) -> bool:
        """Whether every row could as well be a 4x4 puzzle on a line of its own."""
        return all(len(row.lexed.cells) == 16 and row.small for row in self.rows)

    @property
    def may_have_labels(self) -> bool:
        """Whether the first row may be labels: only the lines behind the grid tell."""
        first = self.rows[0] if self.rows else None
        if first is None or first.lexed.kind is Kind.LABELS:
            return False
        return first.may_be_labels or (self.after_head and not any(first.lexed.cells))

    def readings(self) -> list[Reading]:
        """The grids that explain all rows, without those that break the rules where another does not."""
        grids: dict[tuple[int, ...], Reading] = {}
        for rows in self._variants():
            labels = any(row.may_be_labels for row in (rows[0], rows[-1])) or self.after_head
            if not any(len(rows) - side in range(1 + MOST_LABELS * labels) for side in BOX):
                continue
            named = any(row.lexed.kind is Kind.LABELS for row in (rows[0], rows[-1]))
            for layout in layouts([row.text for row in rows], self.after_head, bullets=True):
                if named and len(layout.cells) == len(rows):
                    continue
                if (reading := _reading(layout)) is not None:
                    grids.setdefault(reading.values, reading)
        valid = [one for one in grids.values() if not conflicts(np.reshape(one.values, (one.side, one.side)))]
        return valid or list(grids.values())

    def _variants(self) -> Iterator[list[Row]]:
        """The rows, with lines of spaces among them or not."""
        rows = self.rows
        if len(rows) >= 4:
            yield rows
        if any(row.is_blank for row in self.all) and len(self.all) >= 4:
            yield [row for row in self.all if row.is_blank or row in rows]

    def tall_cells(self, side: int) -> int:
        """Lines between the rules of a frame, where these draw no boxes but cells of several lines; otherwise 0."""
        inner = sorted({count for count in self.frames if 0 < count < len(self.rows)})
        steps = {below - above for above, below in pairwise(inner)}
        if len(steps) != 1 or steps == {1}:
            return 0
        (step,) = steps
        firsts = [row for at, row in enumerate(self.rows) if (at - inner[0]) % step == 0]
        padded = not any(row.text.translate(_TO_BAR).strip("| \t") for row in firsts)
        return step if step not in {*BOX[side], *BOX[side][::-1]} or padded else 0

    def box_height(self, side: int) -> int:
        """Rows of a box as lines, blank lines or bars draw it; 0 where nothing does."""
        rows = self.rows
        inner = sorted({count for count in self.frames if 0 < count < len(rows)})
        if inner and 1 < inner[0] < side and inner == list(range(inner[0], len(rows), inner[0])):
            return inner[0]
        if self.period > 1:
            return self.period
        texts = [row.text.translate(_TO_BAR).strip(" \t|") for row in rows if not row.may_be_labels]
        num_stacks = {text.count("|") + 1 for text in texts}
        return num_stacks.pop() if len(num_stacks) == 1 and not num_stacks & {1, side} else 0

    def pause(self) -> bool:
        """Notes a blank line. False when it cannot be inside a grid: neither between bands nor between all rows."""
        rows = self.rows
        if len({len(row.lexed.cells) for row in rows}) != 1:
            return False
        self.period = self.period or len(rows)
        heights = {1, *BOX.get(self.side, sum(BOX.values(), ()))}
        if self.period not in heights or len(rows) % self.period:
            return False
        self.gap = len(rows)
        return True

    def broken_rhythm(self) -> bool:
        """Whether the next row comes without the blank line that stood after as many rows before."""
        return bool(self.period) and len(self.rows) > self.gap and (len(self.rows) - self.gap) % self.period == 0


def parts(grid: GridBuilder) -> list[GridBuilder]:
    """The grids, each with the same labels or without, that follow one another in too many rows; [] for none."""
    rows = grid.rows
    for size in sorted({side + labels for side in BOX for labels in (0, 1)}, reverse=True):
        parts = [GridBuilder(rows[start : start + size]) for start in range(0, len(rows), size)]
        if len(parts) > 1 and len(rows) % size == 0 and all(len(part.readings()) == 1 for part in parts):
            return parts
    return []


def halves(grid: GridBuilder) -> list[GridBuilder]:
    """The two grids that stand side by side, where a gap wider than any other parts all rows alike; [] for none."""
    rows = [row for row in grid.all if not row.is_blank]
    texts = [_ARROW.sub(lambda arrow: " " * len(arrow[0]), row.text.expandtabs()) for row in rows]
    width = max(map(len, texts))
    columns = "".join("#" if any(text[at : at + 1].strip() for text in texts) else " " for at in range(width))
    gaps = sorted(re.finditer("(?<=#)  +(?=#)", columns), key=lambda gap: gap.start() - gap.end())[:2]
    if len({len(gap[0]) for gap in gaps}) != len(gaps) or not gaps:
        return []
    cuts = slice(gaps[0].start()), slice(gaps[0].end(), None)
    both = [
        GridBuilder([Row(row.line, text[cut], lex(text[cut])) for row, text in zip(rows, texts, strict=True)])
        for cut in cuts
    ]
    for half in both:
        half.frames, half.period = grid.frames, grid.period
    return both if all(len(half.readings()) == 1 for half in both) else []


def _reading(layout: Layout) -> Reading | None:
    """The grid of a layout, where it is square and all its cells are known."""
    side = len(layout.cells)
    if side not in BOX or len(layout.cells[0]) != side:
        return None
    cells = tuple(cell for row in layout.cells for cell in row)
    values = cell_values(cells, side)
    if values is not None:
        return Reading(cells, side, tuple(values.tolist()), layout.name)
    if side != 9 or not all(
        cell and set(cell) <= set("123456789") and list(cell) == sorted(set(cell)) for cell in cells
    ):
        return None
    singles = tuple(int(cell) if len(cell) == 1 else 0 for cell in cells)
    return Reading(cells, side, singles, f"candidates, {layout.name}", is_candidates=True)
