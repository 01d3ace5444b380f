"""What a command reads: puzzles of files, of stdin, or typed in place of a file's name; and the task they are of."""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import Any, Literal, TypeVar

from trmsolve.checkpoint.hub import local_path
from trmsolve.cli.run import echo_err
from trmsolve.errors import TrmsolveError
from trmsolve.stream import Prefetcher
from trmsolve.tasks import get, names, resolve_task
from trmsolve.tasks.base import InvalidPuzzle, Line, Puzzle, Task
from trmsolve.tasks.few_shot import Demonstrates
from trmsolve.text_io import open_lines, shell_quote, source_name

NOUNS = {"sudoku": "a Sudoku", "maze": "a maze", "arc": "an ARC task"}
PUZZLE_TEXT = re.compile(r"[\d.*_#SGABE/|+\s-]{16,}")  # no name of a file, so its faults are those of a puzzle
SAMPLE = 300  # lines of an input that are compared with the other tasks
MAX_COMMAND = 200  # characters of a typed puzzle that a suggested command repeats

Item = TypeVar("Item")


def task_for(spec: str | None, checkpoint: str | None) -> Task:
    """The task that --task names, or else that of --checkpoint, with the settings that the checkpoint keeps.

    A file runs only when `spec`, which the user typed, names it: a header can only name tasks that are installed.
    """
    if spec is None and checkpoint is None:
        raise TrmsolveError("no task given", "add --task NAME, --task FILE.py, or --checkpoint FILE")
    task = None if spec is None else resolve_task(spec)
    if task is not None and not task.learns_settings:
        return task
    from trmsolve.checkpoint import find

    if checkpoint is None:
        raise TrmsolveError(f"the task {spec} takes its settings from a trained checkpoint", "add --checkpoint FILE")
    header = find(checkpoint, None if task is None else task.name).header
    if task is None and header.task not in names():
        raise TrmsolveError(
            f"{checkpoint} is for the task '{header.task}', which is not installed",
            "add the file that defines it: --task FILE.py",
        )
    return get(header.task).with_settings(header.settings)


# -- files and stdin ----------------------------------------------------------------------------------------------
def files_or_stdin(files: Sequence[str] | None) -> list[str]:
    """The files to read; without any, stdin if it is a pipe or a file, else none."""
    return list(files or (["-"] if _stdin() == "piped" else []))


def prompted_files(files: Sequence[str] | None, task: Task, quiet: bool) -> list[str]:
    """The files to read, by default stdin; none where stdin is closed. On a terminal, ask for a puzzle."""
    if _stdin() == "terminal" and (not files or "-" in files) and not quiet:
        noun = "a task (JSON)" if isinstance(task, Demonstrates) else NOUNS.get(task.name, f"{task.name} puzzles")
        echo_err(f"paste {noun}, end with Ctrl-D (files: trmsolve {task.name} FILE; help: --help)")
    return list(files or ([] if _stdin() == "closed" else ["-"]))


def _stdin() -> Literal["terminal", "piped", "closed"]:
    try:
        return "closed" if sys.stdin is None else "terminal" if sys.stdin.isatty() else "piped"
    except ValueError:
        return "closed"


def is_seekable(files: Sequence[str]) -> bool:
    """Whether all input is in files (or folders), so that looking ahead never waits: neither a pipe nor a FIFO."""
    return all(_is_file(file) for file in files)


def _is_file(file: str) -> bool:
    if file == "-" and _stdin() == "closed":  # reported without waiting
        return True
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode if file == "-" else Path(file).stat().st_mode
    except (OSError, ValueError):
        return file != "-"  # a file that cannot be opened is reported without waiting
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)


def local_data(spec: str) -> str:
    """A specification of training data in which a file of the Hub is its cached copy."""
    match = re.fullmatch(r"(demonstrations:)?(hf://datasets/[^=]+)(=.*)?", spec)
    return f"{match[1] or ''}{local_path(match[2])}{match[3] or ''}" if match else spec


# -- records ------------------------------------------------------------------------------------------------------
def records(
    task: Task, files: Sequence[str], limit: int | None = None, solutions: str | Path | None = None
) -> Iterator[Any]:
    """The Puzzles (FewShotTasks) and InvalidPuzzles of all files. A file that cannot be read is an invalid record.

    An input of another task is an invalid record that names the right command. solutions: a file of answers to
    few-shot tasks; raises TrmsolveError if it cannot be read.
    """
    if isinstance(task, Demonstrates):
        return islice(_few_shot_records(task, list(map(local_path, files)), solutions), limit)
    return islice(chain.from_iterable(_records_of(task, file) for file in files), limit)


def _records_of(task: Task, file: str) -> Iterator[Any]:
    name = source_name(file)
    seen: list[Line] = []  # the first lines
    try:
        lines: Iterable[Line] | None = typed_lines(task, file)
        name = name if lines is None else "argument"
        if lines is None and os.path.isdir(file):  # noqa: PTH112 - Path.is_dir() raises for a name that is too long
            yield from task.read_folder(file)
            return
        lines = open_lines(local_path(file)) if lines is None else lines
        source = iter(task.read(_copied(lines, seen), name))
        first = next(source, None)
        if first is None:
            yield InvalidPuzzle(name, "holds no puzzle", "")
        elif isinstance(first, InvalidPuzzle) and (other := _other_task(task, file, seen)):
            yield _misplaced(first, task, other, file)
        else:
            yield first
            yield from source
    except TrmsolveError as error:
        message = re.sub(rf"^{re.escape(name)}(:\d+)?:? ", "", str(error))  # the record carries the file's name
        yield InvalidPuzzle(getattr(error, "source", "") or name, message, "")


def _few_shot_records(task: Any, files: Sequence[str], solutions: str | Path | None) -> Iterator[Any]:
    for record in task.read_files(files, solutions, strict=False):
        if isinstance(record, InvalidPuzzle):
            file = next((file for file in files if record.source.startswith(f"{file}:")), "")
            if file and (other := _other_task(task, file, ())):
                record = _misplaced(record, task, other, file)
        yield record


def typed_lines(task: Task, argument: str) -> list[Line] | None:
    """The lines of a puzzle that was typed in place of a file's name; None for a file's name.

    A file of that name goes first. A text of the characters of a puzzle that the task cannot read is a puzzle too, so
    that the error is about its length and not about a missing file.
    """
    try:
        if argument == "-" or argument.startswith("hf://") or Path(argument).exists():
            return None
    except (OSError, ValueError):  # longer than the name of a file can be
        pass
    lines = [Line(number, text) for number, text in enumerate(argument.splitlines(), 1)]
    if len(lines) > 1 or PUZZLE_TEXT.fullmatch(argument):
        return lines
    return lines if any(isinstance(record, Puzzle) for record in task.read(lines, "argument")) else None


def _copied(lines: Iterable[Line], seen: list[Line]) -> Iterator[Line]:
    """The lines; the first of them are appended to `seen`."""
    for line in lines:
        if len(seen) < SAMPLE:
            seen.append(line)
        yield line


def _misplaced(record: InvalidPuzzle, task: Task, other: str, argument: str) -> InvalidPuzzle:
    shown = argument if argument == "-" else shell_quote(argument) if len(argument) <= MAX_COMMAND else "PUZZLE"
    noun = NOUNS.get(task.name, f"a {task.name} puzzle")
    return replace(record, message=f"this is {NOUNS[other]}, not {noun}; the command for it: trmsolve {other} {shown}")


def _other_task(task: Task, argument: str, seen: Sequence[Line]) -> str | None:
    """The name of the task that reads all of the input's first lines, None where there is none."""
    lines = list(seen)
    try:
        if argument != "-" and Path(argument).is_file():  # a pipe cannot be read twice
            lines = list(islice(open_lines(argument), SAMPLE))
    except (TrmsolveError, OSError, ValueError):
        return None
    text = "\n".join(line.text for line in lines)
    if task.name != "arc" and text.lstrip()[:1] in ("{", "[") and '"train"' in text and '"input"' in text:
        return "arc"
    for name in ("sudoku", "maze"):
        if name == task.name:
            continue
        sample = list(get(name).read(lines, ""))
        if len(lines) == SAMPLE and len(sample) > 1:
            sample.pop()  # it may continue behind the sample
        if sample and all(isinstance(record, Puzzle) for record in sample):
            return name
    return None


# -- streams of records -------------------------------------------------------------------------------------------
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
