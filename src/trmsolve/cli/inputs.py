"""The puzzles of a command's files, one after the other, or of stdin."""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeVar

from trmsolve.checkpoint.hub import local_path
from trmsolve.cli.run import echo_err
from trmsolve.cli.typed_input import recognised, recognised_tasks, typed_lines, with_copy
from trmsolve.errors import TrmsolveError
from trmsolve.inference.prefetch import Prefetcher
from trmsolve.tasks.base import InvalidPuzzle, Line, Puzzle, Task
from trmsolve.tasks.few_shot import Demonstrates
from trmsolve.text_io import open_lines, source_name

Record = Puzzle | InvalidPuzzle
Item = TypeVar("Item")


def piped() -> bool:
    """Whether stdin is a pipe or a file, not a terminal."""
    try:
        return sys.stdin is not None and not sys.stdin.isatty()
    except ValueError:  # closed
        return False


def records(
    task: Task, files: Sequence[str], limit: int | None = None, solutions: str | Path | None = None
) -> Iterator[Any]:
    """The Puzzles (FewShotTasks) and InvalidPuzzles of all files. A file that cannot be read is an invalid record.

    solutions: a file of answers to few-shot tasks; raises TrmsolveError if it cannot be read.
    """
    if isinstance(task, Demonstrates):
        files = list(map(local_path, files))
        return islice(recognised_tasks(task, task.read_files(files, solutions, strict=False), files), limit)
    return islice(chain.from_iterable(_records_of(task, file) for file in files), limit)


def local_data(spec: str) -> str:
    """A specification of training data in which a file of the Hub is its cached copy."""
    match = re.fullmatch(r"(demonstrations:)?(hf://datasets/[^=]+)(=.*)?", spec)
    return f"{match[1] or ''}{local_path(match[2])}{match[3] or ''}" if match else spec


def _records_of(task: Task, file: str) -> Iterator[Any]:
    name, is_empty = source_name(file), True
    try:
        seen: list[Line] = []
        typed = typed_lines(task, file)
        name = name if typed is None else "argument"
        lines = open_lines(local_path(file)) if typed is None else typed
        for record in recognised(task, task.read(with_copy(lines, seen), name), file, seen):
            is_empty = False
            yield record
        if is_empty:
            yield InvalidPuzzle(name, "holds no puzzle", "")
    except TrmsolveError as error:
        yield InvalidPuzzle(getattr(error, "source", "") or name, _without_source(str(error), name), "")


def _without_source(message: str, name: str) -> str:
    """The message without the file's name, which the record carries."""
    return re.sub(rf"^{re.escape(name)}(:\d+)?:? ", "", message)


def is_seekable(files: Sequence[str]) -> bool:
    """Whether all input is in files (or folders), so that looking ahead never waits: neither a pipe nor a FIFO."""
    return all(_is_file(file) for file in files)


def _is_file(file: str) -> bool:
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode if file == "-" else Path(file).stat().st_mode
    except (OSError, ValueError):
        return file != "-"  # a file that cannot be opened is reported without waiting
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)


def peek(source: Iterator[Item]) -> tuple[list[Item], Iterator[Item]]:
    """The first two records, or as many as there are; and all records again."""
    first = list(islice(source, 2))
    return first, chain(first, source)


def with_deadline(source: Iterator[Item], deadline: float | None) -> Iterator[Item]:
    """The records of a source; raises DeadlineExceeded instead of waiting beyond the deadline."""
    with Prefetcher(source) as prefetcher:
        while (record := prefetcher.next(True, deadline)) is not None:
            yield record


def with_notes(task: Task, source: Iterator[Item]) -> Iterator[Item]:
    """The records; warnings of the reader, and puzzles that must have several answers, are noted on stderr at once."""
    for record in source:
        notes = [f"warning: {warning}" for warning in getattr(record, "warnings", ())]
        if isinstance(record, Puzzle) and (reason := task.ambiguity_reason(record.question)):
            notes.append(f"note: {reason}")
        for note in notes:
            echo_err(f"{getattr(record, 'source', '') or 'puzzle'}: {note}")
        yield record
