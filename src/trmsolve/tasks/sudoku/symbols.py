"""How digits are written: 1-9, then A-G (or a-g) for 10-16; anything in BLANKS stands for an open cell.

Of 16x16 puzzles written in hexadecimal, 0-F, only the 0 is in doubt: it is a blank here. It is read as the sixteenth
digit, G, when that is the only sensible reading: another character marks the blanks, there is no G, and no unit would
hold it twice. So every other digit keeps its symbol. Puzzles in letters A-P are not guessed at: H-P are foreign.
"""

from __future__ import annotations

DIGITS = "123456789ABCDEFG"
BLANKS = frozenset((".", "0", "_", "*", "-", "·", " ", ""))  # "": an empty field between separators

_VALUES = dict.fromkeys(BLANKS, 0) | {str(number): number for number in range(1, len(DIGITS) + 1)}
_VALUES |= {form: value for value, digit in enumerate(DIGITS, 1) for form in (digit, digit.lower())}


def symbol(value: int) -> str:
    """The character of a digit; the number itself where there is none, so that messages about nonsense stay true."""
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
    """What may stand in a cell, for messages."""
    return f"expected {'1-9 (A-G beyond)' if side is None else digits(side)} or a blank (. 0 _ * -)"
