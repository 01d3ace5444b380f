"""trmsolve read FILE...: what is understood of an input, and how. Needs no model."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import typer

from trmsolve.cli import options as o
from trmsolve.cli.inputs import files_or_stdin, records
from trmsolve.cli.output import JsonRecords, emit, encoded_for
from trmsolve.cli.run import ERROR, SOLVED, command, echo_err
from trmsolve.errors import TrmsolveError, did_you_mean
from trmsolve.tasks import get, resolve_task
from trmsolve.tasks.base import InvalidPuzzle, Puzzle, Task
from trmsolve.tasks.few_shot import Demonstrates
from trmsolve.text_io import character_name, printable

TASKS = ("sudoku", "maze", "arc")  # whose files are recognised by their content
STYLES = ("grid", "json", "jsonl")
EXAMINED = 5  # records of each file that decide the task


@dataclass(frozen=True)
class ReadArgs:
    """Options of trmsolve read."""

    files: list[str] | None = o.FILES()
    task: str | None = o.option(
        None, None, "A task's name, or a Python file that defines one.", show_default="by content"
    )
    style: str = o.option("grid", o.OUTPUT, "grid, json or jsonl.", "--format")
    as_json: bool = o.AS_JSON()
    limit: int | None = o.LIMIT()


@command(ReadArgs)
def read(args: ReadArgs, context: typer.Context) -> int:
    """Show how an input is understood: its format, size and grid, and what was left out.

    Exit code: 0 everything was read, 2 some records are no puzzles.
    """
    files = files_or_stdin(args.files)
    if not files:
        echo_err(context.get_help())
        return ERROR
    style = "json" if args.as_json else args.style
    if style not in STYLES:
        raise TrmsolveError(f"unknown format '{style}'", did_you_mean(style, STYLES))
    task = resolve_task(args.task or _task_of(files))
    if task.learns_settings:
        if "-" in files:
            raise TrmsolveError(f"the task {task.name} takes its symbols from its data", "name a file, not -")
        task = task.for_data(files)
    with JsonRecords(sys.stdout, style) as output:
        if isinstance(task, Demonstrates):
            return _read_few_shot(task, files, output)
        return _read_puzzles(task, files, args.limit, output)


def _task_of(files: list[str]) -> str:
    """The task that reads most of the first records. Raises TrmsolveError for stdin, which can be read only once."""
    if "-" in files:
        raise TrmsolveError("which task is on stdin?", f"add --task {' or --task '.join(TASKS)}")
    shares = {}
    for name in TASKS:
        first = list(records(get(name), files, EXAMINED))
        shares[name] = sum(not isinstance(record, InvalidPuzzle) for record in first) / max(1, len(first))
    return max(TASKS, key=lambda name: shares[name])


def _read_puzzles(task: Task, files: Sequence[str], limit: int | None, output: JsonRecords) -> int:
    num_invalid = 0
    for record in records(task, files, limit):
        num_invalid += isinstance(record, InvalidPuzzle)
        if output.style != "grid":
            output.add(_fields(task, record))
        elif isinstance(record, InvalidPuzzle):
            echo_err(f"{record.source}: {record.message}")
        else:
            emit(sys.stdout, encoded_for(sys.stdout, partial(_text, task, record)) + "\n")
    return ERROR if num_invalid else SOLVED


def _fields(task: Task, record: Puzzle | InvalidPuzzle) -> dict[str, Any]:
    """A puzzle as JSON."""
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


def _text(task: Task, record: Any, ascii_only: bool = False) -> str:
    """A puzzle as text: its place, its format, what was left out, and the grid."""
    height, width = record.question.shape
    with_solution = ", with its solution" if record.solution is not None else ""
    lines = [f"{record.source}: {task.name} {height}x{width}, {record.layout or record.style}{with_solution}"]
    lines += [f"  {warning}" for warning in record.warnings]
    text = "\n".join([*lines, task.format_grid(record.question, "grid", ascii_only), ""])
    return "".join(mark if mark.isprintable() or mark == "\n" else character_name(mark) for mark in text)


def _read_few_shot(task: Demonstrates, files: Sequence[str], output: JsonRecords) -> int:
    """One record for each file, with the sizes of all grids."""
    num_invalid = num_tasks = 0
    for content in task.describe_files(files):
        num_invalid += len(content["errors"])
        num_tasks += len(content["tasks"])
        if output.style != "grid":
            output.add({"task": task.name} | content)
            continue
        lines = [f"{content['source']}: {task.name}, {content['format']}"]
        for entry in content["tasks"]:
            answers = "" if entry["answers"] is None else f" -> {', '.join(entry['answers'])}"
            pairs = ", ".join(entry["demonstrations"])
            lines.append(f"  {entry['name']}: demonstrations {pairs}; tests {', '.join(entry['tests'])}{answers}")
            lines += [f"    warning: {warning}" for warning in entry["warnings"]]
        emit(sys.stdout, "".join(f"{printable(line, 1000)}\n" for line in lines))
        for error in content["errors"]:
            echo_err(f"{error['source']}: {error['error']}")
    return ERROR if num_invalid or not num_tasks else SOLVED
