"""Text that somebody wrote, as messages show it: nothing in it may steer a terminal or fill the screen."""

from __future__ import annotations


def describe(mark: str) -> str:
    """A character for a message: quoted, or by its number when it would not show (or would steer the terminal)."""
    if mark == "\ufffd":
        return "a byte that is not UTF-8"
    return f"'{mark}'" if mark.isprintable() else f"U+{ord(mark):04X}"


def shorten(text: str, limit: int = 100) -> str:
    """The beginning of a text, at most `limit` characters, with a space for each that would not show."""
    start = text[: limit - 1] + "…" if len(text) > limit else text
    return "".join(mark if mark.isprintable() else " " for mark in start)
