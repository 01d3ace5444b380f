"""The terminal: colours, box drawing and cursor movements of a stream, and single keys from stdin."""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

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


# -- the keyboard -------------------------------------------------------------------------------------------------
ESCAPES = {"A": "up", "B": "down", "C": "right", "D": "left", "H": "home", "F": "end", "1~": "home", "4~": "end"}
WINDOWS = {"H": "up", "P": "down", "M": "right", "K": "left", "G": "home", "O": "end"}
ESCAPE_SECONDS = 0.05  # an escape sequence arrives within this time, also over a network
RESIZE_SECONDS = 0.25  # between two looks at the size of the window
POLL_SECONDS = 0.02  # between two polls of the keyboard on Windows


class Keyboard:
    """Reads single keys without echo (termios, or msvcrt on Windows) while its `with` block lasts.

    The terminal is restored on leaving the block in any way.

    `available` is False, and read() returns None, if stdin is not a terminal or the process is in the background.
    Ctrl-C still interrupts.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream if stream is not None else sys.stdin
        self.available = False
        self._keys: deque[str] = deque()
        self._fd = -1
        self._saved: list[Any] | None = None  # the terminal's settings

    def __enter__(self) -> Keyboard:
        if self.stream is None or not is_terminal(self.stream):
            return self
        if sys.platform == "win32":
            self.available = True
            return self
        try:
            import termios
            import tty

            self._fd = self.stream.fileno()
            if os.tcgetpgrp(self._fd) != os.getpgrp():  # in the background, changing the terminal would stop us
                return self
            self._saved = termios.tcgetattr(self._fd)
            tty.setcbreak(self._fd, termios.TCSADRAIN)
            self.available = True
        except (ImportError, OSError, ValueError, termios.error):
            self.close()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Restore the terminal."""
        saved, self._saved, self.available = self._saved, None, False
        if saved is not None:
            import termios

            termios.tcsetattr(self._fd, termios.TCSADRAIN, saved)

    def read(self, seconds: float | None = 0.0) -> str | None:
        """The next key: a character, or up, down, left, right, home, end, enter, resize. None: none within the time.

        seconds: to wait; None: until there is one. A terminal that was closed counts as "q".
        """
        if not self.available:
            return None
        if not self._keys:
            (self._poll_windows if sys.platform == "win32" else self._poll)(seconds)
        return self._keys.popleft() if self._keys else None

    def _poll(self, seconds: float | None) -> None:
        """Append the keys that are pressed within `seconds`, or "resize" when the window changes its size."""
        end, size = None if seconds is None else time.monotonic() + seconds, self._window_size()
        while not self._keys:
            left = RESIZE_SECONDS if end is None else min(max(end - time.monotonic(), 0.0), RESIZE_SECONDS)
            if self._is_ready(left):
                data = self._read_bytes()
                while data and data.rfind(b"\x1b") >= len(data) - 2 and self._is_ready(ESCAPE_SECONDS):
                    more = self._read_bytes()
                    if not more:
                        break
                    data += more
                self._keys.extend(parse_keys(data.decode("utf-8", "ignore")) if data else ["q"])
            elif self._window_size() != size:
                self._keys.append("resize")
            elif end is not None and time.monotonic() >= end:
                return

    def _window_size(self) -> tuple[int, int]:
        try:
            return os.get_terminal_size(self._fd)
        except OSError:
            return 0, 0

    def _is_ready(self, seconds: float | None) -> bool:
        import select

        return bool(select.select([self._fd], [], [], seconds)[0])

    def _read_bytes(self) -> bytes:
        try:
            return os.read(self._fd, 64)
        except OSError:
            return b""

    def _poll_windows(self, seconds: float | None) -> None:
        import importlib

        msvcrt: Any = importlib.import_module("msvcrt")
        end = None if seconds is None else time.monotonic() + seconds
        while not msvcrt.kbhit():
            if end is not None and time.monotonic() >= end:
                return
            time.sleep(POLL_SECONDS)
        key = msvcrt.getwch()
        if key == "\x03":
            raise KeyboardInterrupt
        if key in ("\x00", "\xe0"):
            key = WINDOWS.get(msvcrt.getwch(), "")
        self._keys.extend([{"\r": "enter", "\n": "enter"}.get(key, key)] if key else [])


def parse_keys(text: str) -> list[str]:
    """The keys of what a terminal sent. Unknown escape sequences are dropped."""
    keys, i = [], 0
    while i < len(text):
        if text[i] != "\x1b":
            keys.append("enter" if text[i] in "\r\n" else text[i])
            i += 1
        elif text[i + 1 : i + 2] not in ("[", "O"):
            i += 1
        else:
            end = i + 2
            while end < len(text) and not text[end].isalpha() and text[end] != "~":
                end += 1
            key = ESCAPES.get(text[i + 2 : end + 1])
            keys += [key] if key else []
            i = end + 1
    return keys
