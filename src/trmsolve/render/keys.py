"""Read single key presses from the terminal on stdin, without echo: termios on POSIX, msvcrt on Windows, else none."""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from types import TracebackType
from typing import Any, TextIO

from trmsolve.render.console import is_terminal

ESCAPES = {"A": "up", "B": "down", "C": "right", "D": "left", "H": "home", "F": "end", "1~": "home", "4~": "end"}
WINDOWS = {"H": "up", "P": "down", "M": "right", "K": "left", "G": "home", "O": "end"}
ESCAPE_SECONDS = 0.05  # an escape sequence arrives within this time, also over a network
POLL_SECONDS = 0.02  # between two polls of the keyboard on Windows


class Keyboard:
    """Reads keys while its `with` block lasts; the terminal is restored on leaving it in any way.

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

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Restore the terminal."""
        saved, self._saved, self.available = self._saved, None, False
        if saved is not None:
            import termios

            termios.tcsetattr(self._fd, termios.TCSADRAIN, saved)

    def read(self, seconds: float | None = 0.0) -> str | None:
        """The next key: a character, or up, down, left, right, home, end, enter. None: none within the time.

        seconds: to wait; None: until there is one. A terminal that was closed counts as "q".
        """
        if not self.available:
            return None
        if not self._keys:
            (self._poll_windows if sys.platform == "win32" else self._poll)(seconds)
        return self._keys.popleft() if self._keys else None

    def _poll(self, seconds: float | None) -> None:
        """Append the keys that are pressed within `seconds`."""
        end = None if seconds is None else time.monotonic() + seconds
        while not self._keys:
            if not self._is_ready(None if end is None else max(end - time.monotonic(), 0.0)):
                return
            data = self._read_bytes()
            while data and data.rfind(b"\x1b") >= len(data) - 2 and self._is_ready(ESCAPE_SECONDS):
                more = self._read_bytes()
                if not more:
                    break
                data += more
            self._keys.extend(parse_keys(data.decode("utf-8", "ignore")) if data else ["q"])

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
