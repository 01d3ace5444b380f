"""The capabilities of a stream: colours, box drawing, cursor movements; shared by all terminal views."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from rich.console import Console, RenderableType

if TYPE_CHECKING:
    from rich.live import Live

COLORS = ("auto", "always", "never")
Corners = tuple[str, str, str, str]  # left end, line, joint, right end


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The characters a drawing is made of."""

    top: Corners
    middle: Corners
    bottom: Corners
    upright: str
    full: str
    empty: str
    blank: str
    dot: str  # between the parts of a line
    more: str  # something was left out
    spark: str  # eight heights; "" where there are none
    shades: str = " ░▒▓"  # from certain to doubtful
    halves: tuple[str, str] | None = ("▀", "▄")  # upper and lower half of a character; None: not available


_BOX: tuple[Corners, Corners, Corners] = (("┌", "─", "┬", "┐"), ("├", "─", "┼", "┤"), ("└", "─", "┴", "┘"))
_RULE: Corners = ("+", "-", "+", "+")
UNICODE = Glyphs(*_BOX, "│", "█", "░", "·", "·", "…", "▁▂▃▄▅▆▇█")
OLD_DOS = Glyphs(*_BOX, "│", "█", "░", "·", "·", ">", "")  # cp437 and cp850 hold these
ASCII = Glyphs(_RULE, _RULE, _RULE, "|", "#", "-", ".", "-", ">", "", " .:%", None)


def console_for(stream: TextIO, color: str = "auto") -> Console:
    """A Rich console that writes to `stream`, configured by --color, NO_COLOR, FORCE_COLOR and TERM.

    auto:   colours on a terminal; NO_COLOR removes them (weight and underline stay), FORCE_COLOR adds them.
    always: colours, also into a pipe.
    never:  no styling at all.

    Cursor movements depend on the stream only (see is_live): with FORCE_COLOR, Rich would assume a terminal and write
    cursor movements to a log file.
    """
    if color not in COLORS:
        raise ValueError(f"color must be one of {', '.join(COLORS)}, not {color!r}")
    terminal = is_terminal(stream)
    no_color = color == "auto" and bool(os.environ.get("NO_COLOR"))
    forced = color == "always" or (
        color == "auto" and not no_color and os.environ.get("FORCE_COLOR") not in (None, "", "0")
    )
    # Our colours are close to the sixteen named ones, so where colour is forced, "standard" is enough.
    system = None if color == "never" else "standard" if forced else "auto" if terminal else None
    return Console(
        file=stream,
        force_terminal=terminal,
        color_system=system,  # type: ignore[arg-type]  # a Literal
        no_color=no_color,
        highlight=False,
        soft_wrap=False,
    )


def is_terminal(stream: TextIO) -> bool:
    """Whether the stream is a terminal."""
    try:
        return stream.isatty()
    except (AttributeError, ValueError):  # no file at all, or closed
        return False


def is_live(console: Console) -> bool:
    """Whether pictures may be redrawn in place."""
    return console.is_terminal and not console.is_dumb_terminal


def start_live(renderable: RenderableType, console: Console, transient: bool = False) -> Live:
    """Start to redraw in place on request. transient: stop() removes the drawing.

    Rich would send the program's own print() to this stream too, unless both redirects are off.
    """
    from rich.live import Live

    live = Live(
        renderable,
        console=console,
        auto_refresh=False,
        transient=transient,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    try:
        live.start(refresh=True)
    except BaseException:  # Ctrl-C between hiding the cursor and returning
        live.stop()
        raise
    return live


def has_color(console: Console) -> bool:
    """Whether the reader sees colours; if not, marks replace them."""
    return console.color_system is not None and not console.no_color


def glyphs_for(console: Console) -> Glyphs:
    """The best drawing characters that the stream's encoding supports (cp1252, of Windows pipes, supports none)."""
    for glyphs in (UNICODE, OLD_DOS):
        text = "".join((*glyphs.top, *glyphs.middle, *glyphs.bottom, glyphs.upright, glyphs.full, glyphs.empty))
        text += glyphs.blank + glyphs.more + glyphs.spark + glyphs.shades + "".join(glyphs.halves or ())
        if encodable(text, console.encoding) == text:
            return glyphs
    return ASCII


def encodable(text: str, encoding: str) -> str:
    """The text with "?" for characters that the encoding does not support."""
    try:
        return text.encode(encoding, "replace").decode(encoding)
    except LookupError:  # an encoding Python does not know
        return text.encode("ascii", "replace").decode("ascii")
