"""The puzzles a command is given: files in turn, or stdin."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator, Sequence
from itertools import chain, islice

from trmsolve.cli.run import echo_err
from trmsolve.errors import TrmsolveError
from trmsolve.inference.prefetch import Prefetcher
from trmsolve.tasks.base import InvalidPuzzle, Puzzle, Task
from trmsolve.text_io import open_lines, source_name

Record = Puzzle | InvalidPuzzle


def piped() -> bool:
    """Whether stdin is something to read from, not a terminal."""
    try:
        return sys.stdin is not None and not sys.stdin.isatty()
    except ValueError:  # closed
        return False


def records(task: Task, files: Sequence[str], limit: int | None = None, warn: bool = True) -> Iterator[Record]:
    """The puzzles of all files. A file that cannot be read is an invalid record of its own.

    warn: print on stderr what was left out or assumed in reading a puzzle.
    """
    return islice(chain.from_iterable(_of(task, file, warn) for file in files), limit)


def _of(task: Task, file: str, warn: bool) -> Iterator[Record]:
    name, is_empty = source_name(file), True
    try:
        for record in task.read(open_lines(file), name):
            is_empty = False
            if warn and isinstance(record, Puzzle):
                for warning in record.warnings:
                    echo_err(f"{record.source}: {warning}")
            yield record
        if is_empty:
            yield InvalidPuzzle(name, "holds no puzzle", "")
    except TrmsolveError as error:
        yield InvalidPuzzle(getattr(error, "source", "") or name, _without(str(error), name), "")


def _without(message: str, name: str) -> str:
    """The message without its own source, which the record carries."""
    head, separator, rest = message.partition(": ")
    return rest if separator and head.startswith(name) else message


def is_seekable(files: Sequence[str]) -> bool:
    """Whether all input is in files, so that looking ahead never waits."""
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


def with_deadline(source: Iterator[Record], deadline: float | None) -> Iterator[Record]:
    """The records of a source; raises DeadlineExceeded instead of waiting beyond the deadline."""
    with Prefetcher(source) as feed:
        while (record := feed.next(True, deadline)) is not None:
            yield record
