"""trmsolve read FILE...: what is understood of an input, and how. Needs no model."""

from __future__ import annotations

import sys
from functools import partial
from typing import Annotated, Any

import typer

from trmsolve.cli import options as o
from trmsolve.cli.inputs import Record, piped, records
from trmsolve.cli.output import JsonRecords, emit, encoded_for
from trmsolve.cli.run import ERROR, SOLVED, command, echo_err
from trmsolve.errors import TrmsolveError, did_you_mean
from trmsolve.tasks import get
from trmsolve.tasks.base import InvalidPuzzle, Task
from trmsolve.tasks.text import describe

TASKS = ("sudoku", "maze")  # tasks whose files are puzzles of text
STYLES = ("grid", "json", "jsonl")
EXAMINED = 5  # records by which the task is told


@command
def read(
    context: typer.Context,
    files: o.Files = None,
    task: Annotated[str | None, typer.Option("--task", help="sudoku or maze.", show_default="by the content")] = None,
    style: Annotated[str, typer.Option("--format", help="grid, json or jsonl.")] = "grid",
    as_json: o.AsJson = False,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Read only the first N puzzles.")] = None,
) -> int:
    """Show what is understood of an input: its format, size and grid, and what was left out.

    Examples: trmsolve read puzzles.csv; trmsolve read --task maze maze.txt --json.
    Exit code: 0 everything is read, 2 some of it is no puzzle.
    """
    names = files or (["-"] if piped() else [])
    if not names:
        echo_err(context.get_help())
        return ERROR
    style = "json" if as_json else style
    if style not in STYLES:
        raise TrmsolveError(f"unknown format '{style}'", did_you_mean(style, STYLES))
    the_task = get(task or _task_of(names))
    if the_task.name not in TASKS:
        raise TrmsolveError(f"`trmsolve read` reads {' and '.join(TASKS)} files, not {the_task.name}", "add --task")
    output = JsonRecords(sys.stdout, style) if style != "grid" else None
    failures = 0
    try:
        for record in records(the_task, names, limit, warn=False):
            failures += isinstance(record, InvalidPuzzle)
            if output is not None:
                output.add(_fields(the_task, record))
            elif isinstance(record, InvalidPuzzle):
                echo_err(f"{record.source}: {record.message}")
            else:
                emit(sys.stdout, encoded_for(sys.stdout, partial(_shown, the_task, record)) + "\n")
    finally:
        if output is not None:
            output.close()
    return ERROR if failures else SOLVED


def _task_of(files: list[str]) -> str:
    """The task that reads more of the first records. Raises TrmsolveError for stdin, which can be read once."""
    if "-" in files:
        raise TrmsolveError("which task is on stdin?", f"add --task {' or --task '.join(TASKS)}")
    counts = {}
    for name in TASKS:
        first = list(records(get(name), files, EXAMINED, warn=False))
        counts[name] = sum(not isinstance(record, InvalidPuzzle) for record in first) / max(1, len(first))
    return max(TASKS, key=lambda name: counts[name])


def _fields(task: Task, record: Record) -> dict[str, Any]:
    """A record as JSON."""
    fields: dict[str, Any] = {"task": task.name, "source": record.source}
    if isinstance(record, InvalidPuzzle):
        return fields | {"puzzle": None, "text": record.text, "error": record.message}
    return fields | {
        "format": record.layout or record.style,
        "size": list(record.question.shape),
        "puzzle": task.format_line(record.question),
        "solution": None if record.solution is None else task.format_line(record.solution),
        "warnings": list(record.warnings),
        "error": None,
    }


def _shown(task: Task, record: Any, ascii_only: bool = False) -> str:
    """A puzzle for people: where it stands, how it was written, the grid, and what was left out."""
    height, width = record.question.shape
    with_solution = ", with its solution" if record.solution is not None else ""
    lines = [f"{record.source}: {task.name} {height}x{width}, {record.layout or record.style}{with_solution}"]
    lines += [f"  {warning}" for warning in record.warnings]
    text = "\n".join([*lines, task.format_grid(record.question, "grid", ascii_only), ""])
    return "".join(mark if mark.isprintable() or mark == "\n" else describe(mark) for mark in text)
