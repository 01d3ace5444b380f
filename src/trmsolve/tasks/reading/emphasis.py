"""Cells of markup with what sets them off: classes, colours, tags. A player's entries often differ from givens so."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from math import isqrt
from typing import Any

from trmsolve.text_io import shorten

_PLACES = re.compile(r"id|name|key|index|row|col|column|[xyrc]|value|cells|data|tabindex|title|alt|aria-.*|on\w+")
_COLOURS = ("color", "bgcolor", "fill")
FEWEST_DIGITS = 3  # different ones of a Sudoku, rather than a maze
_BARE = re.compile(r"(?<=\s)(readonly|disabled|contenteditable)(?=[\s/>]|$)")
_BOXES = ((2, 2), (2, 3), (3, 2), (3, 3), (4, 4))
# What may decide how a cell looks by its place alone: labels, the rim, its row, its column, its box, the place within.
_BY_PLACE: list[Callable[[int, int], Any]] = [
    lambda r, c: 0 in (r, c),
    lambda r, c: 0 in (r % 8, c % 8),
    lambda r, c: r,
    lambda r, c: c,
    lambda r, c: (r + c) % 2,
]
_BY_PLACE += [lambda r, c, h=h, w=w: (r // h, c // w) for h, w in _BOXES]  # type: ignore[misc]
_BY_PLACE += [lambda r, c, h=h, w=w: (r % h, c % w) for h, w in _BOXES]  # type: ignore[misc]


class MarkedText(str):
    """The text of a cell. marks: what its tags say of its looks."""

    marks: frozenset[str] = frozenset()


def marked(text: str, marks: Iterable[str]) -> MarkedText:
    """A text with its marks."""
    result = MarkedText(text)
    result.marks = frozenset(marks)
    return result


def marks_of(name: str, attributes: Mapping[str, str], source: str = "") -> set[str]:
    """What a tag says of the looks of its text. source: its attributes as written. Numbers in names are places."""
    marks = {name, *_BARE.findall(source)}
    for key, text in attributes.items():
        if key == "class":
            marks |= {f"class={re.sub('[0-9]+', '', word)}" for word in text.split()}
        elif key == "style":
            marks |= {part.strip() for part in text.split(";")}
        elif not _PLACES.fullmatch(key):
            kept = text if text.isdigit() or key in _COLOURS else re.sub("[0-9]+", "", text)
            marks.add(f"{key}={kept}")
    return marks


def set_off(rows: list[Any]) -> str:
    """A digit with the mark that sets it and others off, whatever their place and whichever digits they are; or "".

    rows: of cells, or all cells in one row. An attribute that has another value in every cell numbers them.
    """
    if not all(isinstance(row, list) for row in rows):
        return ""
    side = isqrt(len(rows[0])) if len(rows) == 1 else 0
    cells = [(*(divmod(c, side) if side else (r, c)), text) for r, row in enumerate(rows) for c, text in enumerate(row)]
    if not all(isinstance(text, MarkedText) and (not text or (text.isdigit() and len(text) < 3)) for *_, text in cells):
        return ""
    filled = [cell for cell in cells if cell[2].strip("0")]
    if len({text for *_, text in filled}) < FEWEST_DIGITS:
        return ""
    marks = {mark for *_, text in filled for mark in text.marks}
    numbers = _numbering([text.marks for *_, text in filled])
    for mark in sorted(mark for mark in marks if _key(mark) not in numbers):
        texts = {text for *_, text in filled if mark in text.marks}
        if texts & {text for *_, text in filled if mark not in text.marks} and not _is_by_place(filled, mark):
            return shorten(f"{min(texts)} with {mark}", 40)
    return ""


def _key(mark: str) -> str:
    """The attribute or property that a mark is a value of: data-cell of data-cell=3."""
    return re.split("[=:]", mark, maxsplit=1)[0]


def _numbering(marks_of_cells: list[frozenset[str]]) -> set[str]:
    """The keys that have another value in every cell, as numbers and places do."""
    different = Counter(map(_key, frozenset().union(*marks_of_cells)))  # values of each key
    by_cell = [Counter(map(_key, marks)) for marks in marks_of_cells]
    return {key for key, n in different.items() if n == len(by_cell) and all(keys[key] == 1 for keys in by_cell)}


def _is_by_place(filled: list[tuple[int, int, MarkedText]], mark: str) -> bool:
    for place in _BY_PLACE:
        looks: dict[Any, bool] = {}
        if all(looks.setdefault(place(r, c), mark in text.marks) == (mark in text.marks) for r, c, text in filled):
            return True
    return False
