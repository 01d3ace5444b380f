"""The puzzles a command is given: files in turn, or stdin."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator, Sequence
from itertools import chain, islice

from trmsolve.errors import TrmsolveError
from trmsolve.solving.feed import Feed
from trmsolve.sources import name_of, open_lines
from trmsolve.tasks.base import BadPuzzle, Puzzle, Task

Record = Puzzle | BadPuzzle


def piped() -> bool:
    """Whether stdin is something to read from, not a person at a terminal."""
    try:
        return sys.stdin is not None and not sys.stdin.isatty()
    except ValueError:  # closed
        return False


def records(task: Task, files: Sequence[str], limit: int | None = None) -> Iterator[Record]:
    """The puzzles of all files. A file that cannot be read is a bad record of its own; the others go on."""
    return islice(chain.from_iterable(_of(task, file) for file in files), limit)


def _of(task: Task, file: str) -> Iterator[Record]:
    name, found = name_of(file), False
    try:
        for record in task.read(open_lines(file), name):
            found = True
            yield record
        if not found:
            yield BadPuzzle(name, "holds no puzzle", "")
    except TrmsolveError as error:
        yield BadPuzzle(getattr(error, "source", "") or name, _without(str(error), name), "")


def _without(message: str, name: str) -> str:
    """The message without its own source, which the record carries."""
    head, separator, rest = message.partition(": ")
    return rest if separator and head.startswith(name) else message


def at_hand(files: Sequence[str]) -> bool:
    """Whether all input lies in files, so that looking ahead cannot wait for anyone."""
    if "-" not in files:
        return True
    try:
        return stat.S_ISREG(os.fstat(sys.stdin.fileno()).st_mode)
    except (OSError, ValueError):
        return False


def peek(source: Iterator[Record]) -> tuple[list[Record], Iterator[Record]]:
    """The first two records, or as many as there are; and all records again."""
    first = list(islice(source, 2))
    return first, chain(first, source)


def timely(source: Iterator[Record], deadline: float | None) -> Iterator[Record]:
    """The same records; OutOfTime rather than a wait beyond the deadline."""
    with Feed(source) as feed:
        while (record := feed.next(True, deadline)) is not None:
            yield record
