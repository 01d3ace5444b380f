"""The progress of what goes to a file, on a line of the terminal: number, rate, share, time left."""

from __future__ import annotations

import os
import stat
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from trmsolve.checkpoint.hub import cached_path
from trmsolve.cli.output import status_line
from trmsolve.render.caption import duration

DELAY = 2.0  # seconds before the line appears
REDRAW_SECONDS = 0.25
CHUNK = 1 << 20


class Progress:
    """Counts items and shows how far they are. A share is that of the whole that is done, 0 .. 1; None: unknown."""

    def __init__(self, show: Callable[[str], None], noun: str, total: int | None = None) -> None:
        self.show, self.noun, self.total = show, noun, total
        self.number, self.shown_at = 0, 0.0
        self.created = self.began = time.monotonic()

    def add(self, share: Callable[[], float | None] = lambda: None) -> None:
        """One more item is done. share: called when the line is drawn."""
        now = time.monotonic()
        if not self.number:
            self.began = now  # the speed is that of the work, without loading the model
        self.number += 1
        if now - self.created >= DELAY and now > self.began and now - self.shown_at >= REDRAW_SECONDS:
            self.shown_at = now
            self.show(self.text(now - self.began, share()))

    def text(self, seconds: float, share: float | None = None) -> str:
        """The line: 1,234 of 5,000 puzzles, 70.3/s, 25 %, 54 s left."""
        of_total = f" of {self.total:,}" if self.total else ""
        parts = [f"{self.number:,}{of_total} {self.noun}", f"{self.number / seconds:,.1f}/s"]
        shares = [share] if share else []
        shares += [self.number / self.total] if self.total else []
        if shares:
            done = min(max(shares), 1.0)
            parts += [f"{done:.0%}", f"{duration(seconds / done - seconds)} left"]
        return ", ".join(parts)


@contextmanager
def file_progress(output: Path | None, noun: str, total: int | None = None, quiet: bool = False) -> Iterator[Progress]:
    """The progress of a command, shown where its answers go to a file: on a terminal they are progress themselves."""
    with status_line(not quiet and (output is not None or _is_file(sys.stdout))) as show:
        yield Progress(show, noun, total)


def _is_file(stream: object) -> bool:
    try:
        return stat.S_ISREG(os.fstat(stream.fileno()).st_mode)  # type: ignore[attr-defined]
    except (AttributeError, OSError, ValueError):
        return False


class LineShare:
    """How much of the files is done, by the place ("file:line") of the last record."""

    def __init__(self, files: Sequence[str]) -> None:
        self.files = files
        self._starts: dict[str, int] = {}  # lines before each file, by its name; empty until it is needed
        self._total = 0

    def at(self, source: str) -> float | None:
        """0 .. 1, or None where the files have no end that is known (stdin, a pipe, a typed puzzle)."""
        if not self._starts:
            for file in self.files:
                path = cached_path(file)
                if path is None or not path.is_file():
                    self._total = 0
                    break
                self._starts[file], self._total = self._total, self._total + _count_lines(path)
            self._starts = self._starts or {"": 0}
        name, _, line = source.rpartition(":")
        if not self._total or not line.isdecimal() or name not in self._starts:
            return None
        return (self._starts[name] + int(line)) / self._total


def _count_lines(path: Path) -> int:
    with path.open("rb") as file:
        return 1 + sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(CHUNK), b""))
