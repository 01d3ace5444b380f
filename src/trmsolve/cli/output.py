"""Where answers go: stdout, or a file that appears whole when all is done; and JSON records, as array or lines."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from trmsolve.errors import TrmsolveError, nearest
from trmsolve.files import writing

if TYPE_CHECKING:
    from trmsolve.api import Model

JSON_STYLES = ("json", "jsonl")


@contextmanager
def destination(output: Path | None, force: bool) -> Iterator[TextIO]:
    """The stream to write to. A file takes shape under another name: a run that fails leaves the old one alone."""
    if output is None:
        yield sys.stdout
    else:
        with writing(output, force) as stream:
            yield stream


def emit(stream: TextIO, text: str) -> None:
    """One piece of the answer, at once."""
    stream.write(text)
    stream.flush()


def about(model: Model) -> dict[str, str | None]:
    """What every JSON record says of the model that answered."""
    found = model.checkpoint
    return {"checkpoint": found.name, "checkpoint_sha256": found.sha256, "device": str(model.choice.device)}


def fitting(stream: TextIO, draw: Callable[[bool], str]) -> str:
    """What draw(ascii_only) gives; in ASCII where the stream cannot take box drawing (cp1252 pipes)."""
    text = draw(False)
    try:
        text.encode(getattr(stream, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return draw(True)
    return text


def check_style(style: str | None, styles: Sequence[str]) -> None:
    """Raises TrmsolveError, with the nearest name, for a --format that there is not."""
    known = (*styles, *JSON_STYLES)
    if style is not None and style not in known:
        raise TrmsolveError(f"unknown format '{style}'", nearest(style, known))


class Records:
    """JSON records, each written as soon as it is known. Whatever happens between two, close() makes an array valid."""

    def __init__(self, stream: TextIO, style: str) -> None:
        self.stream, self.array, self.before = stream, style == "json", "[\n"

    def add(self, values: dict[str, Any]) -> None:
        """One more record."""
        if self.array:
            # A signal may come as soon as the reader has the record, so what follows it is settled first.
            before, self.before = self.before, ",\n"
            emit(self.stream, before + json.dumps(values, indent=2))
        else:
            emit(self.stream, json.dumps(values) + "\n")

    def close(self) -> None:
        """End the array."""
        if self.array:
            emit(self.stream, "[]\n" if self.before == "[\n" else "\n]\n")
