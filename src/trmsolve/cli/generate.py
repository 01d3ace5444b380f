"""trmsolve generate TASK"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Annotated, Any

import typer

from trmsolve.cli import complete
from trmsolve.cli import options as o
from trmsolve.cli.output import JSON_STYLES, JsonRecords, check_style, destination, emit, encoded_for
from trmsolve.cli.progress import file_progress
from trmsolve.cli.run import SOLVED, command
from trmsolve.errors import TrmsolveError
from trmsolve.tasks import get, resolve_task
from trmsolve.tasks.base import Difficulty, Generates

MADE = ("sudoku", "maze")  # tasks with one rule for all their puzzles


@command
def generate(
    task: Annotated[
        str,
        typer.Argument(
            help="sudoku, maze, another task's name, or a Python file that defines one.",
            autocompletion=complete.generators,
        ),
    ],
    size: Annotated[
        str | None,
        typer.Option("--size", help="Sudoku: 4x4, 6x6, 9x9 (default), 16x16; maze: 3x3 to 255x255, default 21x21."),
    ] = None,
    number: Annotated[int, typer.Option("-n", "--number", min=1, help="How many.")] = 1,
    seed: o.Seed = 0,
    extra: Annotated[int | None, typer.Option("--extra", min=0, help="Sudoku: givens beyond a minimal puzzle.")] = None,
    minimal: Annotated[
        bool | None,
        typer.Option("--minimal/--no-minimal", help="Sudoku: drop givens until none can be dropped; the default."),
    ] = None,
    min_branches: Annotated[
        int | None,
        typer.Option("--min-branches", min=0, help="Sudoku: least guesses of an exact solver; high is slow."),
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(
            "--kind",
            help="Maze: mixed (default), walls, hard, perfect, braided or rooms.",
            autocompletion=complete.kinds,
        ),
    ] = None,
    density: Annotated[
        float | None, typer.Option("--density", help="Maze: share of random walls, from 0 to below 1.")
    ] = None,
    min_path: Annotated[
        int | None, typer.Option("--min-path", min=0, help="Maze: least steps of the shortest path.")
    ] = None,
    style: Annotated[
        str | None, typer.Option("--format", help="grid, line, csv, json or jsonl.", autocompletion=complete.styles)
    ] = None,
    as_json: o.AsJson = False,
    output: o.Output = None,
    force: o.Force = False,
) -> int:
    """Make puzzles: Sudoku with exactly one solution, mazes with a way. Puzzle i of a seed is always the same."""
    the_task = resolve_task(task)
    if not isinstance(the_task, Generates):
        raise TrmsolveError(
            f"{the_task.name} puzzles cannot be generated: the task has no generator",
            f"tasks with one: {', '.join(MADE)}; six ARC tasks are in examples/arc",
        )
    wanted = _wanted(
        the_task,
        extra=extra,
        minimal=minimal,
        min_branches=min_branches,
        kind=kind,
        density=density,
        min_path=min_path,
    )
    shape = [] if size is None else [_shape(size)]
    check_style(style, the_task.styles)
    style = "json" if as_json else style or ("grid" if sys.stdout.isatty() and output is None else "line")
    with destination(output, force) as stream:
        records = JsonRecords(stream, style) if style in JSON_STYLES else None
        try:
            for index in with_progress(output, number):
                question, solution, difficulty = _made(the_task, seed, index, *shape, **wanted)
                puzzle, answer = the_task.format_line(question), the_task.format_line(solution)
                if records is not None:
                    place = {"seed": seed, "index": index}
                    records.add({"puzzle": puzzle, "answer": answer, **difficulty.details, **place})
                elif style == "csv":
                    header = "" if index else f"{the_task.csv_header}\n"
                    emit(stream, f"{header}{puzzle},{answer}\n")
                else:
                    between = "\n" if style == "grid" and index else ""
                    emit(stream, f"{between}{encoded_for(stream, partial(the_task.format_grid, question, style))}\n")
        finally:
            if records is not None:
                records.close()
    return SOLVED


def with_progress(output: Path | None, number: int) -> Iterator[int]:
    """0, 1, ..., number - 1; progress is shown where the puzzles go to a file."""
    with file_progress(output, "puzzles", number) as progress:
        for index in range(number):
            yield index
            progress.add()


def _wanted(task: Any, **options: Any) -> dict[str, Any]:
    """The options that were given. TrmsolveError for one that this task's generator does not take, but another's."""
    given = {name: value for name, value in options.items() if value is not None}
    known = signature(task.generate).parameters
    for name in given:
        if name not in known:
            generators: dict[str, Any] = {other: get(other) for other in MADE}
            others = [other for other in MADE if name in signature(generators[other].generate).parameters]
            own = [_flag(option) for option in options if option in known]
            raise TrmsolveError(
                f"{_flag(name)} is for {' and '.join(others)}, not for {task.name}",
                f"{task.name} takes {', '.join(own)}; see trmsolve generate --help",
            )
    return given


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _shape(size: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,9})(?:x(\d{1,9}))?", size)
    if not match:
        raise TrmsolveError(f"--size {size}: not a size", "expected rows x columns, for example 9x9")
    return int(match[1]), int(match[2] or match[1])


def _made(task: Generates, *place: Any, **wanted: Any) -> tuple[Any, Any, Difficulty]:
    try:
        return task.generate(*place, **wanted)
    except ValueError as error:
        raise TrmsolveError(str(error), "see trmsolve generate --help") from error
