"""Input as people type it: a puzzle in place of a file's name, a paste into the terminal, a puzzle of another task."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from trmsolve.cli.run import echo_err
from trmsolve.errors import TrmsolveError
from trmsolve.tasks import get
from trmsolve.tasks.base import InvalidPuzzle, Line, Puzzle, Task
from trmsolve.tasks.few_shot import Demonstrates, FewShotTask
from trmsolve.text_io import open_lines, shell_quote

Record = Puzzle | InvalidPuzzle | FewShotTask
NOUNS = {"sudoku": "a Sudoku", "maze": "a maze", "arc": "an ARC task"}
PUZZLE_TEXT = re.compile(r"[\d.*_#SGABE/|+\s-]{16,}")  # no name of a file, so its faults are those of a puzzle
SAMPLE = 300  # lines of an input that are compared with the other tasks
MAX_COMMAND = 200  # characters of a typed puzzle that a suggested command repeats


def stdin_files(files: Sequence[str], task: Task, quiet: bool) -> list[str]:
    """The files to read, by default stdin; [] where stdin is closed. On a terminal, ask for a puzzle."""
    try:
        is_terminal = sys.stdin is not None and sys.stdin.isatty()
    except ValueError:  # closed
        return list(files)
    if sys.stdin is None and not files:
        return []
    if is_terminal and (not files or "-" in files) and not quiet:
        noun = "a task (JSON)" if isinstance(task, Demonstrates) else NOUNS.get(task.name, f"{task.name} puzzles")
        echo_err(f"paste {noun}, end with Ctrl-D (files: trmsolve {task.name} FILE; help: --help)")
    return list(files) or ["-"]


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


def recognised(task: Task, records: Iterator[Record], argument: str, seen: Sequence[Line]) -> Iterator[Any]:
    """The records of one input. An input of another task is one invalid record that names the right command.

    argument: the file, `-`, or the typed puzzle. seen: the first lines that were read of it so far.
    """
    first = next(records, None)
    if isinstance(first, InvalidPuzzle) and (other := _other_task(task, argument, seen)):
        yield _misplaced(first, task, other, argument)
        return
    if first is not None:
        yield first
    yield from records


def recognised_tasks(task: Task, records: Iterator[Record], files: Sequence[str]) -> Iterator[Record]:
    """The records of files of few-shot tasks; a file with puzzles of another task is named as such."""
    for record in records:
        if isinstance(record, InvalidPuzzle):
            file = next((file for file in files if record.source.startswith(f"{file}:")), "")
            if file and (other := _other_task(task, file, ())):
                record = _misplaced(record, task, other, file)
        yield record


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
        records = list(get(name).read(lines, ""))
        if len(lines) == SAMPLE and len(records) > 1:
            records.pop()  # it may continue behind the sample
        if records and all(isinstance(record, Puzzle) for record in records):
            return name
    return None


def with_copy(lines: Iterable[Line], seen: list[Line]) -> Iterator[Line]:
    """The lines; the first of them are appended to `seen`."""
    for line in lines:
        if len(seen) < SAMPLE:
            seen.append(line)
        yield line
