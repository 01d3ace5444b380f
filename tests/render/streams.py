"""Fake streams: a terminal of a given encoding, a Windows pipe."""

from __future__ import annotations

import io
import re

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
SGR = re.compile(r"\x1b\[([0-9;]*)m")


class Stream(io.TextIOWrapper):
    """A strict text stream into memory, as a terminal or as a pipe."""

    def __init__(self, terminal: bool = False, encoding: str = "utf-8") -> None:
        super().__init__(io.BytesIO(), encoding=encoding, newline="", write_through=True)
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal

    @property
    def text(self) -> str:
        return self.buffer.getvalue().decode(self.encoding)

    @property
    def plain(self) -> str:
        return ESCAPE.sub("", self.text)


def colours(text: str) -> set[int]:
    """The SGR codes in the text that set a colour."""
    codes = {int(code) for match in SGR.findall(text) for code in match.split(";") if code}
    return {code for code in codes if 30 <= code <= 49 or 90 <= code <= 107}
