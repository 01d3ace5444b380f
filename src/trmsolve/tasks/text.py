"""Untrusted text in messages: without control characters, and shortened."""

from __future__ import annotations


def describe(mark: str) -> str:
    """A character for a message: quoted, or its code point if it is not printable."""
    if mark == "\ufffd":
        return "a byte that is not UTF-8"
    return f"'{mark}'" if mark.isprintable() else f"U+{ord(mark):04X}"


def shorten(text: str, limit: int = 100) -> str:
    """The beginning of a text, at most `limit` characters, with spaces for characters that are not printable."""
    start = text[: limit - 1] + "…" if len(text) > limit else text
    return "".join(mark if mark.isprintable() else " " for mark in start)
