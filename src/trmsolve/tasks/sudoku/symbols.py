"""Symbols of digits: 1-9, then A-P (or a-p) for 10-25; the characters in BLANKS mark open cells.

Of 16x16 puzzles written in hexadecimal, 0-F, only the 0 is in doubt: it is a blank here. It is read as the sixteenth
digit, G, when that is the only sensible reading: another character marks the blanks, there is no G, and no unit would
hold it twice. So every other digit keeps its symbol. Puzzles without digits are in letters from A on, where letters
beyond those of the digits say so.

Between separators a cell may also be a word for a blank (null, -1, ?) or a digit as spreadsheets write it (3.0).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

DIGITS = "123456789ABCDEFGHIJKLMNOP"
BLANKS = frozenset((".", "0", "_", "*", "-", "·", " ", ""))  # "": an empty field between separators

_VALUES = dict.fromkeys(BLANKS, 0) | {str(number): number for number in range(1, len(DIGITS) + 1)}
_VALUES |= {form: value for value, digit in enumerate(DIGITS, 1) for form in (digit, digit.lower())}
_BYTES = bytes(_VALUES.get(chr(byte), 255) for byte in range(256))  # the digit of each ASCII character, 255 for none
_KNOWN_ALONE = {form: value for form, value in _VALUES.items() if value <= 16}  # later letters are those of words, too

WORDS = frozenset(("-1", "null", "none", "nan", "n/a", "na", "nil", "~", "empty"))  # blanks between separators
RARE = frozenset("?xX#")  # blanks where no other mark is one
_FLOAT = re.compile(r"(\d{1,2})\.0*")


def symbol(value: int) -> str:
    """The character of a digit, "." for 0; the number itself if it is out of range, for error messages."""
    if value == 0:
        return "."
    return DIGITS[value - 1] if 1 <= value <= len(DIGITS) else str(value)


def value(text: str) -> int | None:
    """The digit that a cell's text means, 0 for a blank, None for anything else. `10` to `16` are digits too.

    The digits 17 to 25 are known to cell_values() only, which sees a whole row or grid.
    """
    return _KNOWN_ALONE.get(text)


def cell_value(text: str) -> int | None:
    """The digit of a cell that stands between separators: up to 25, and words for blanks, rare blanks, and 3.0."""
    if (digit := _VALUES.get(text)) is not None:
        return digit
    if text in RARE or text.lower() in WORDS:
        return 0
    number = _FLOAT.fullmatch(text)
    return _VALUES.get(number[1]) if number else None


def cell_values(cells: Sequence[str], side: int) -> np.ndarray | None:
    """The digits of all cells, uint8 (cells,), 0 for a blank; None where one is no digit of a grid of that side.

    A rare mark is a blank only where it is the only one. Letters count from A where a grid has no other digits.
    """
    if isinstance(cells, str) and cells.isascii():  # nearly always
        digits = np.frombuffer(cells.encode().translate(_BYTES), np.uint8)
        if digits.max(initial=0) <= side:
            return digits
    marks = set(cells)
    values = {mark: cell_value(mark) for mark in marks}
    rare = marks & RARE
    if len(rare) > 1 or any(values[mark] == 0 and mark for mark in marks - rare):
        values |= dict.fromkeys(rare)  # no blanks: None, or the letter X
    if any(value is None or value > side for value in values.values()):
        letters = [mark for mark in marks if values[mark] != 0]
        few = len({mark.upper() for mark in letters}) < side // 2
        if few or not all(len(mark) == 1 and "A" <= mark.upper() <= chr(64 + side) for mark in letters):
            return None
        values |= {mark: ord(mark.upper()) - 64 for mark in letters}
    return np.array([values[mark] or 0 for mark in cells], np.uint8)


def digits(side: int) -> str:
    """The digits of a grid of that side, for messages."""
    return f"1-{side}" if side <= 9 else f"1-9 A-{symbol(side)}"


def expected(side: int | None = None) -> str:
    """The characters that a cell may contain, for messages."""
    return f"expected {'1-9 (A-P beyond)' if side is None else digits(side)} or a blank (. 0 _ * -)"
