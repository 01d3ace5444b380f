"""Write output: to stdout or atomically to a file, as JSON records, and a line of progress on stderr."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from trmsolve.cli import run
from trmsolve.errors import TrmsolveError, did_you_mean
from trmsolve.render.console import encodable, is_terminal
from trmsolve.text_io import atomic_writer, printable

if TYPE_CHECKING:
    from trmsolve.api import Model

JSON_STYLES = ("json", "jsonl")
CLEAR_LINE = "\r\x1b[K"
MAX_LINE = 100_000  # characters of a printed line


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


def model_fields(model: Model) -> dict[str, str | None]:
    """The fields of a JSON record that describe the model."""
    checkpoint = model.checkpoint
    device = str(model.device_spec.device)
    return {"checkpoint": checkpoint.name, "checkpoint_sha256": checkpoint.sha256, "device": device}


def encoded_for(stream: TextIO, draw: Callable[[bool], str]) -> str:
    """draw(ascii_only=False), or in ASCII where the stream cannot encode box drawing (cp1252 pipes)."""
    text = draw(False)
    try:
        text.encode(getattr(stream, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return draw(True)
    return text


def check_style(style: str | None, styles: Sequence[str]) -> None:
    """Raise TrmsolveError, with the nearest name, for an unknown --format."""
    names = (*styles, *JSON_STYLES)
    if style is not None and style not in names:
        raise TrmsolveError(f"unknown format '{style}'", did_you_mean(style, names))


class JsonRecords:
    """JSON records as an array or as lines, each written at once. close() completes the array at any time."""

    def __init__(self, stream: TextIO, style: str) -> None:
        self.stream, self.is_array, self.separator = stream, style == "json", "[\n"

    def add(self, values: dict[str, Any]) -> None:
        """Write one record."""
        if self.is_array:
            # The separator is updated before the write: a signal during the write must not lose it.
            separator, self.separator = self.separator, ",\n"
            emit(self.stream, separator + _with_short_rows(json.dumps(values, indent=2)))
        else:
            emit(self.stream, json.dumps(values) + "\n")

    def close(self) -> None:
        """End the array."""
        if self.is_array:
            emit(self.stream, "[]\n" if self.separator == "[\n" else "\n]\n")


_ROW = re.compile(r"\[\s+[\d.]+(?:,\s+[\d.]+)*\s+\]")  # a list of numbers; strings in JSON hold no line breaks


def _with_short_rows(text: str) -> str:
    """Indented JSON with each list of numbers, such as a row of a grid, on one line."""
    return _ROW.sub(lambda row: " ".join(row[0].split()).replace("[ ", "[").replace(" ]", "]"), text)
