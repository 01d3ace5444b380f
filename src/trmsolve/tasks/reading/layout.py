"""From the lines of a typed or drawn grid to a matrix of cell texts: separators, bars, labels and indentation come off.

    layouts(["   A B C", "1 | . 3 .", ...])  ->  [Layout([[".", "3", "."], ...], "cells separated by spaces, ...")]

Every reading that explains all rows is returned. A task keeps those whose cells it knows; when two of them differ the
grid is refused, and the message names both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

Matrix = list[list[str]]

VERTICAL = "|│║┃¦"
BULLETS = ("-", "*", "+", ".", "//", "--", ";", "%")  # of a list, or of comments
IN_SHEET = "without the empty columns around"
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}

_TO_BAR = str.maketrans(dict.fromkeys(VERTICAL, "|"))
_SYMBOLS = str.maketrans(  # keycaps lose their cap, empty squares are blanks, digits of other scripts are digits
    dict.fromkeys("\ufe0f\u20e3\u200b\u200d") | dict.fromkeys("⬜□▢◻⬚◽▫○◯〇•∙⋅‧⠀", ".") | dict.fromkeys("–—−", "-")
)
_SYMBOLS |= {ord(mark): str(digit) for row in ("①②③④⑤⑥⑦⑧⑨", "一二三四五六七八九") for digit, mark in enumerate(row, 1)}
_QUOTE = re.compile(r"(?:\s{0,3}>)+\s?")  # a quotation in markdown or mail
_ROW_IN_BRACKETS = re.compile(r"""\s*[\[({\s]*[\[({"'](?P<cells>[^\[\](){}"']*)["')\]}][\])}\s]*[,;]?\s*""")
_BEHIND_ROW = re.compile(r"""([\])}])\s*[,;]\s*$""")  # the comma behind ['#', 'S'],
_BRACKETS = str.maketrans(dict.fromkeys("[](){}\"'"))
_SIDE_PANEL = re.compile(r"(?P<grid>\s*[│║┃|+┌├└╔╠╚┏┣┗].*[│║┃|+┐┤┘╗╣╝┓┫┛])\s{2,}(?=.*[A-Za-z]{3})[^\s│║┃|+┌-╿][^│║┃|]*")
_LABEL = re.compile(r"(?:r|c|row|col|column)?[ _-]?(?P<number>\d{1,3}|[a-z])[.:)]?", re.IGNORECASE)
_RULE_CELL = re.compile(r"\s*:?-+:?\s*")


class Layout(NamedTuple):
    """One reading of some rows. cells: a text for each cell, every row of the same length. name: for messages.

    is_unglued: every character of a word is a cell.
    """

    cells: Matrix
    name: str
    is_unglued: bool = False


def plain(text: str) -> str:
    """A line without quotation marks of mails, a game's side panel, or symbols that only look different."""
    if not text.isascii():
        text = text.translate(_SYMBOLS)
    if (quote := _QUOTE.match(text)) and quote.end() < len(text):
        text = text[quote.end() :]
    panel = _SIDE_PANEL.fullmatch(text)
    return panel["grid"] if panel else text


def unbracketed(text: str) -> str:
    """A row copied out of a program, without brackets and quotes: `[5, 3, 0],`."""
    if not any(mark in text for mark in "[](){}\"'"):
        return text
    row = _ROW_IN_BRACKETS.fullmatch(text)
    return row["cells"] if row else _BEHIND_ROW.sub(r"\1", text).translate(_BRACKETS)


def is_alignment_row(text: str) -> bool:
    """Whether this is the second line of a markdown table: |:-:|---|."""
    cells = text.strip().strip("|").split("|")
    return len(cells) > 1 and "|" in text and all(map(_RULE_CELL.fullmatch, cells))


def is_sequence(texts: Sequence[str]) -> bool:
    """Whether texts number rows or columns: 1, 2, 3; 0, 1, 2; A, B, C; r1, r2, r3; 1:, 2:, 3:."""
    if len(texts) < 3:
        return False
    matches = [_LABEL.fullmatch(text.strip()) for text in texts]
    if not all(matches):
        return False
    numbers = [match["number"] for match in matches if match]
    if all(number.isdigit() for number in numbers):
        values = [int(number) for number in numbers]
        if len(values) > 10 == 1 + max(values):  # the last digits of numbers: 1 2 ... 9 0 1
            return values[0] in (0, 1) and values == [(values[0] + at) % 10 for at in range(len(values))]
        return values[0] in (0, 1) and values == list(range(values[0], values[0] + len(values)))
    return "".join(numbers).lower() == "abcdefghijklmnopqrstuvwxyz"[: len(numbers)]


def layouts(rows: Sequence[str], empty_header: bool = False, bullets: bool = False) -> Iterator[Layout]:
    """Every layout that explains all rows, the most explicit separators first.

    empty_header: whether the first row may be the empty head of a markdown table. bullets: whether marks of a list are
    labels.
    """
    bare = [unbracketed(row).translate(_TO_BAR) for row in rows]
    for matrix, name in _matrices(bare):
        yield from _without_labels(matrix, name, empty_header)
        if bullets and all(len(row) > 1 and row[0] == matrix[0][0] in BULLETS for row in matrix):
            yield from _without_labels([row[1:] for row in matrix], f"a list, {name}", empty_header)


def _matrices(rows: list[str]) -> Iterator[tuple[Matrix, str]]:
    """Rows cut into texts in every way that their marks allow. Rows of a matrix may still differ in length."""
    for mark, name in SEPARATORS.items():
        if 2 * sum(mark in row for row in rows) >= len(rows):
            if not all(mark in row or row.strip() for row in rows):
                return
            yield from _fields([[field.strip() for field in row.split(mark)] for row in rows], f"separated by {name}")
            return
    bars = [row for row in rows if "|" in row]
    tokens = [row.replace("|", " ").split() for row in rows]
    yield tokens, "separated by spaces" if max(map(len, tokens)) > 1 else ""
    if len(bars) >= len(rows) - 1 and bars:
        yield from _between_bars(rows)
    if not bars:
        yield from _by_position(rows)


def _fields(fields: Matrix, name: str) -> Iterator[tuple[Matrix, str]]:
    width = max(map(len, fields))
    padded = [row + [""] * (width - len(row)) for row in fields]  # spreadsheets drop empty fields at the end
    empty = [not any(column) for column in zip(*padded, strict=True)]  # of a sheet around the grid, or its own
    before, behind = (next((at for at, none in enumerate(some) if not none), 0) for some in (empty, empty[::-1]))
    for left in range(before + 1):
        for right in range(behind + 1):
            is_plain = left == 0 and right < 2  # a separator behind every cell, the last one too
            yield [row[left : width - right] for row in padded], name if is_plain else f"{name}, {IN_SHEET}"


def _between_bars(rows: list[str]) -> Iterator[tuple[Matrix, str]]:
    parts = [row.rstrip().split("|") if "|" in row else [row] for row in rows]
    barred = [row for row in parts if len(row) > 1]
    framed = all(row[0] == "" for row in barred)  # otherwise spaces before the first bar are a cell or indentation
    left = [1] if framed else [0, 1] if all(row[0].strip() == "" for row in barred) else [0]
    right = [1] if framed else [0, 1] if all(row[-1].strip() == "" for row in barred) else [0]
    for first in left:
        for last in right:
            if first > last and not framed:
                continue  # indentation before a frame without a right side
            segments = [
                row if len(row) == 1 else row[first : len(row) - (last and not row[-1].strip())] for row in parts
            ]
            if all(len(segment.split()) <= 1 for row in segments[1:] for segment in row):
                cells = [[segment.strip() for segment in row] for row in segments]
                if "|" not in rows[0]:  # labels above the frame
                    cells[0] = rows[0].split()
                yield cells, "in cells between bars"
            yield from _in_boxes(segments)


def _in_boxes(segments: Matrix) -> Iterator[tuple[Matrix, str]]:
    """Bars between boxes, and blanks written as spaces: each cell is known by its place within its box."""
    counts = {len(row) for row in segments}
    if len(counts) != 1 or max(counts) < 2 or len({len(segment) for row in segments for segment in row[:-1]}) != 1:
        return
    span = max(len(segment) for row in segments for segment in row)
    for width in range(2, 7):
        for start, step, needed in ((0, 1, width), (0, 2, 2 * width - 1), (1, 2, 2 * width + 1), (1, 3, 3 * width)):
            if span != needed:
                continue
            padded = [[segment.ljust(span) for segment in row] for row in segments]
            cells = [[mark for segment in row for mark in segment[start::step][:width]] for row in padded]
            if all(
                "".join(line).replace(" ", "") == "".join("".join(row).split())
                for line, row in zip(cells, padded, strict=True)
            ):
                yield [[mark.strip() for mark in row] for row in cells], "in boxes between bars, spaces for blanks"


def _by_position(rows: list[str]) -> Iterator[tuple[Matrix, str]]:
    """As many columns as rows, and blanks written as spaces, which editors drop at the end of lines."""
    height, stripped = len(rows), [row.rstrip() for row in rows]
    if (
        not any(stripped)
        or any(mark in row for row in stripped for mark in "._*-0?")
        or all(map(str.isalnum, stripped))
    ):
        return
    width, full = max(map(len, stripped)), max(map(len, rows))
    indent = min(len(row) - len(row.lstrip()) for row in stripped if row)
    is_block = len({len(row) for row in rows}) == 1
    for step in (1, 2, 3):
        needed = (height - 1) * step + 1
        offset = full - needed if is_block else indent  # each space is a blank, a separator or indentation
        if not 0 <= offset <= indent or width > offset + needed or (not is_block and width < offset + needed):
            continue
        cells = [row.ljust(offset + needed)[offset::step][:height] for row in stripped]
        if all("".join(line.split()) == "".join(row.split()) for line, row in zip(cells, stripped, strict=True)):
            yield [[mark.strip() for mark in line] for line in cells], "by position, spaces for blanks"


def _without_labels(matrix: Matrix, name: str, empty_header: bool) -> Iterator[Layout]:
    """The matrix as it is, and without labels that count its rows or columns on any side."""
    for top, bottom in ((0, 0), (1, 0), (0, 1), (1, 1)):
        body = matrix[top : len(matrix) - bottom]
        widths = {len(row) for row in body}
        if len(body) < 3 or len(widths) != 1:
            continue
        (width,) = widths
        for left, right in ((0, 0), (1, 0), (0, 1), (1, 1)):
            if left + right >= width:
                continue
            if any(not is_sequence([row[at] for row in body]) for at in ((0,) * left + (-1,) * right)):
                continue
            inner = [row[left : width - right] for row in body]
            names = [part for part in (name, "row labels" * (left or right), "column labels" * (top or bottom)) if part]
            for cells in (inner, _unglued(inner)):
                headers = [matrix[0]] * top + [matrix[-1]] * bottom
                if cells and all(_is_header(header, left, right, len(cells[0]), empty_header) for header in headers):
                    yield Layout(cells, ", ".join(names), cells is not inner)


def _unglued(rows: Matrix) -> Matrix | None:
    """Every character a cell, where all rows group their characters alike: 53. .7. ...; None where they do not."""
    lengths = [len(text) for text in rows[0]]
    if max(lengths) < 2 or any([len(text) for text in row] != lengths for row in rows):
        return None
    return [list("".join(row)) for row in rows]


def _is_header(header: list[str], left: int, right: int, width: int, empty_header: bool) -> bool:
    texts = header[left : len(header) - right] if len(header) == width + left + right else header
    texts = [text for text in texts if text.strip()]
    if not texts:
        return empty_header
    joined = list("".join(texts))
    return (len(texts) == width and is_sequence(texts)) or (len(joined) == width and is_sequence(joined))
