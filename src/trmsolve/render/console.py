"""What a stream can show: colours, frames made of lines, a cursor that moves. Decided here for every terminal view."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TextIO

from rich.console import Console

COLORS = ("auto", "always", "never")


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The characters a drawing is made of. `lines`: top, middle, bottom as left, across, joint, right; then upright."""

    lines: tuple[str, str, str, str]
    full: str
    empty: str
    blank: str
    dot: str  # between the parts of a line
    more: str  # something was left out
    spark: str  # eight heights; "" where none can be shown
    halves: str = "▀▄"  # upper and lower half of a character; "" where colour cannot fill half of one


UNICODE = Glyphs(("┌─┬┐", "├─┼┤", "└─┴┘", "│"), "█", "░", "·", "·", "…", "▁▂▃▄▅▆▇█")
OLD_DOS = Glyphs(("┌─┬┐", "├─┼┤", "└─┴┘", "│"), "█", "░", "·", "·", ">", "")  # cp437 and cp850 hold these
ASCII = Glyphs(("+-++", "+-++", "+-++", "|"), "#", "-", ".", "-", ">", "", "")


def console_for(stream: TextIO, color: str = "auto") -> Console:
    """A Rich console that writes to `stream` as --color, NO_COLOR, FORCE_COLOR and TERM ask.

    auto:   colours on a terminal; NO_COLOR takes the colours away (weight and underline stay), FORCE_COLOR adds them.
    always: colours, also into a pipe.
    never:  no styling at all.

    Whether the cursor may move depends on the stream alone (see is_live): Rich takes FORCE_COLOR for a terminal and
    would send cursor movements into a log file.
    """
    if color not in COLORS:
        raise ValueError(f"color must be one of {', '.join(COLORS)}, not {color!r}")
    terminal = is_terminal(stream)
    no_color = color == "auto" and bool(os.environ.get("NO_COLOR"))
    forced = color == "always" or (color == "auto" and not no_color and _wants_color())
    if color == "never":
        system = None
    elif forced:
        system = "standard"  # our colours are the sixteen named ones, so nothing richer is ever needed
    else:
        system = "auto" if terminal else None
    return Console(
        file=stream, force_terminal=terminal, color_system=system, no_color=no_color, highlight=False, soft_wrap=False
    )


def is_terminal(stream: TextIO) -> bool:
    """Whether a person is looking at the stream."""
    try:
        return stream.isatty()
    except (AttributeError, ValueError):  # no file at all, or closed
        return False


def is_live(console: Console) -> bool:
    """Whether pictures may be redrawn in place."""
    return console.is_terminal and not console.is_dumb_terminal


def has_color(console: Console) -> bool:
    """Whether colours reach the reader; if not, marks have to."""
    return console.color_system is not None and not console.no_color


def glyphs_for(console: Console) -> Glyphs:
    """The best drawing characters that the stream's encoding can take (a Windows pipe is cp1252: none of them)."""
    for glyphs in (UNICODE, OLD_DOS):
        text = (
            "".join(glyphs.lines)
            + glyphs.full
            + glyphs.empty
            + glyphs.blank
            + glyphs.more
            + glyphs.spark
            + glyphs.halves
        )
        if encodable(text, console.encoding) == text:
            return glyphs
    return ASCII


def encodable(text: str, encoding: str) -> str:
    """The text with "?" for what the encoding lacks, so that no file name can make a message fail."""
    try:
        return text.encode(encoding, "replace").decode(encoding)
    except LookupError:  # an encoding Python does not know
        return text.encode("ascii", "replace").decode("ascii")


def _wants_color() -> bool:
    return os.environ.get("FORCE_COLOR", "") not in ("", "0")
