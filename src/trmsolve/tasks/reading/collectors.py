"""What every reader of documents shares: lines go in, values come out as soon as they are complete."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, auto
from typing import Any, NamedTuple

from trmsolve.text_io import Line, shorten

MAX_CHARACTERS = 1 << 22  # of one value; a list may hold any number of them
MAX_DEPTH = 16


class State(Enum):
    """What a collector wants after a line."""

    MORE = auto()
    DONE = auto()
    FAILED = auto()


class Value(NamedTuple):
    """A value and the line on which it begins. damage: why there is no value."""

    line: Line
    value: Any = None
    damage: str = ""


class Collector:
    """Lines that may be a document."""

    format = ""

    def __init__(self) -> None:
        self.lines: list[Line] = []  # that no value has come out of yet
        self.state = State.MORE
        self.behind: Line | None = None  # what follows the value on its last line

    def add(self, line: Line) -> Iterator[Value]:
        """Take a line; returns the values it completes."""
        raise NotImplementedError

    def end(self) -> Iterator[Value]:
        """The input has ended."""
        self.state = State.FAILED
        return iter(())


def document_kind(value: Any) -> str:
    """What a value of a document is, for messages."""
    if isinstance(value, list) and value:
        kinds = {document_kind(part).partition(" of ")[0] for part in value}
        return f"a list of {len(value)}, each {kinds.pop()}" if len(kinds) == 1 else f"a list of {len(value)}"
    if isinstance(value, dict) and value:
        return shorten("an object with the keys " + ", ".join(map(str, value)), 120)
    return "a text" if isinstance(value, str) else f"an empty {'list' if isinstance(value, list) else 'value'}"


def cell_text(cell: Any) -> str:
    """A cell of a JSON matrix as text; null is an empty cell."""
    if cell is None or isinstance(cell, bool):
        return "" if cell is None else str(int(cell))
    return cell if isinstance(cell, str) else "?" * 9


def num_cells(value: Any) -> int:
    """How many cells a value may hold: its scalars, or the characters of a text."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return sum(map(num_cells, value))
    return len(value) if isinstance(value, str) and len(value) > 3 else 1


def is_path(value: Any) -> bool:
    """Whether a value is a list of places, [[1, 1], [1, 2], ...], rather than a grid."""
    return isinstance(value, list) and len(value) > 1 and all(isinstance(at, list) and len(at) == 2 for at in value)
