"""Symbols of digits: 1-9, then A-G (or a-g) for 10-16; the characters in BLANKS mark open cells.

In 16x16 puzzles written in hexadecimal, 0-F, the 0 is ambiguous, and normally a blank. It is read as the sixteenth
digit, G, if another character marks the blanks, there is no G, and no unit would contain it twice. Puzzles written in
the letters A-P are not supported.
"""

from __future__ import annotations

DIGITS = "123456789ABCDEFG"
BLANKS = frozenset((".", "0", "_", "*", "-", "·", " ", ""))  # "": an empty field between separators

_VALUES = dict.fromkeys(BLANKS, 0) | {str(number): number for number in range(1, len(DIGITS) + 1)}
_VALUES |= {form: value for value, digit in enumerate(DIGITS, 1) for form in (digit, digit.lower())}


def symbol(value: int) -> str:
    """The character of a digit, "." for 0; the number itself if it is out of range, for error messages."""
    if value == 0:
        return "."
    return DIGITS[value - 1] if 1 <= value <= len(DIGITS) else str(value)


def value(text: str) -> int | None:
    """The digit that a cell's text means, 0 for a blank, None for anything else. `10` to `16` are digits too."""
    return _VALUES.get(text)


def digits(side: int) -> str:
    """The digits of a grid of that side, for messages."""
    return f"1-{side}" if side <= 9 else f"1-9 A-{symbol(side)}"


def expected(side: int | None = None) -> str:
    """The characters that a cell may contain, for messages."""
    return f"expected {'1-9 (A-G beyond)' if side is None else digits(side)} or a blank (. 0 _ * -)"
