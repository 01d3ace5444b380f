"""What a command writes: text and JSON to stdout or atomically to a file, and a line of progress to stderr."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from itertools import zip_longest
from pathlib import Path
from typing import Any, TextIO

from rich.text import Text

from trmsolve.checkpoint.hub import cached_path
from trmsolve.cli import run
from trmsolve.cli.complete import JSON_STYLES
from trmsolve.errors import TrmsolveError, did_you_mean
from trmsolve.render.caption import duration
from trmsolve.render.console import encodable, is_terminal
from trmsolve.text_io import atomic_writer, printable

CLEAR_LINE = "\r\x1b[K"
MAX_LINE = 100_000  # characters of a printed line
DELAY = 2.0  # seconds before a line of progress appears
REDRAW_SECONDS = 0.25
CHUNK = 1 << 20  # bytes


@contextmanager
def destination(output: Path | None, force: bool) -> Iterator[TextIO]:
    """The stream to write to. A file is written under a temporary name, so a command that fails keeps the old file."""
    if output is None:
        yield sys.stdout
    else:
        with atomic_writer(output, force) as stream:
            yield stream


def emit(stream: TextIO, text: str) -> None:
    """Write and flush a piece of the output."""
    stream.write(text)
    stream.flush()


def put(text: str) -> None:
    """Print lines to stdout: control characters made visible, characters that the encoding lacks replaced."""
    lines = "\n".join(printable(line, MAX_LINE) for line in text.split("\n"))
    emit(sys.stdout, encodable(lines, getattr(sys.stdout, "encoding", None) or "utf-8") + "\n")


def encoded_for(stream: TextIO, draw: Callable[[bool], str]) -> str:
    """draw(ascii_only=False), or in ASCII where the stream cannot encode box drawing (cp1252 pipes)."""
    text = draw(False)
    try:
        text.encode(getattr(stream, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return draw(True)
    return text


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines with left-aligned columns, two spaces apart. (Rich would fold long cells where stdout is a pipe.)"""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def join_columns(columns: Sequence[Sequence[Text]], gap: int) -> list[Text]:
    """Columns of lines from left to right, aligned at the top, `gap` blanks apart."""
    widths = [max(line.cell_len for line in column) for column in columns]
    lines = []
    for row in zip_longest(*columns, fillvalue=Text()):
        line, end = Text(no_wrap=True), 0
        for width, cell in zip(widths, row, strict=True):
            line.pad_right(end - line.cell_len)
            line.append_text(cell)
            end += width + gap
        lines.append(line)
    return lines


def check_style(style: str | None, styles: Sequence[str]) -> None:
    """Raise TrmsolveError, with the nearest name, for an unknown --format."""
    names = (*styles, *JSON_STYLES)
    if style is not None and style not in names:
        raise TrmsolveError(f"unknown format '{style}'", did_you_mean(style, names))


class JsonRecords:
    """JSON records as an array (style json) or as lines (jsonl), each written at once; nothing for other styles.

    A context manager: the array is complete however the block ends.
    """

    def __init__(self, stream: TextIO, style: str | None) -> None:
        self.stream, self.style, self.separator = stream, style, "[\n"

    def __enter__(self) -> JsonRecords:
        return self

    def add(self, values: dict[str, Any]) -> None:
        """Write one record."""
        if self.style == "json":
            # The separator is updated before the write: a signal during the write must not lose it.
            separator, self.separator = self.separator, ",\n"
            emit(self.stream, separator + _with_short_rows(json.dumps(values, indent=2)))
        else:
            emit(self.stream, json.dumps(values) + "\n")

    def __exit__(self, *_: object) -> None:
        if self.style == "json":
            emit(self.stream, "[]\n" if self.separator == "[\n" else "\n]\n")


_ROW = re.compile(r"\[\s+[\d.]+(?:,\s+[\d.]+)*\s+\]")  # a list of numbers; strings in JSON hold no line breaks


def _with_short_rows(text: str) -> str:
    """Indented JSON with each list of numbers, such as a row of a grid, on one line."""
    return _ROW.sub(lambda row: " ".join(row[0].split()).replace("[ ", "[").replace(" ]", "]"), text)


# -- progress -----------------------------------------------------------------------------------------------------
@contextmanager
def status_line(enabled: bool = True) -> Iterator[Callable[[str], None]]:
    """A function that replaces a line of progress on stderr, "" for none; the line vanishes at the end.

    Shows nothing unless `enabled` and stderr is a terminal.
    """
    visible = enabled and is_terminal(sys.stderr)

    def show(text: str) -> None:
        if visible:
            fitted = encodable(printable(text), sys.stderr.encoding or "utf-8")
            run.status_prefix = CLEAR_LINE if text else ""
            fitted = fitted[1 - shutil.get_terminal_size().columns :]
            print(f"{CLEAR_LINE}{fitted}", end="", file=sys.stderr, flush=True)

    try:
        yield show
    finally:
        show("")


@contextmanager
def delayed_status(text: str, enabled: bool = True) -> Iterator[None]:
    """Show a line of progress while the block runs, if it takes longer than DELAY."""
    if not enabled or not is_terminal(sys.stderr):
        yield
        return
    with status_line() as show:
        timer = threading.Timer(DELAY, show, [text])
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()


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

    @cached_property
    def _starts(self) -> dict[str, int]:
        """The number of lines before each file, by its name, and with key "" of all; empty without a known end."""
        starts: dict[str, int] = {}
        total = 0
        for file in self.files:
            path = cached_path(file)
            if path is None or not path.is_file():
                return {}
            with path.open("rb") as lines:
                num_lines = 1 + sum(chunk.count(b"\n") for chunk in iter(partial(lines.read, CHUNK), b""))
            starts[file] = total
            total += num_lines
        return starts | {"": total}

    def at(self, source: str) -> float | None:
        """0 .. 1, or None where the files have no end that is known (stdin, a pipe, a typed puzzle)."""
        name, _, line = source.rpartition(":")
        if not name or not line.isdecimal() or name not in self._starts:
            return None
        return (self._starts[name] + int(line)) / self._starts[""]
