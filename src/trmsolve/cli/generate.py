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

GENERATED = ("sudoku", "maze")  # bundled tasks that have a generator


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
        typer.Option(
            "--size", help="Sudoku: 4x4, 6x6, 8x8, 9x9 (default), 12x12, 16x16; maze: 3x3 to 255x255, default 21x21."
        ),
    ] = None,
    number: Annotated[int, typer.Option("-n", "--number", min=1, help="Number of puzzles.")] = 1,
    seed: o.Seed = 0,
    extra: Annotated[int | None, typer.Option("--extra", min=0, help="Sudoku: givens beyond a minimal puzzle.")] = None,
    minimal: Annotated[
        bool | None,
        typer.Option("--minimal/--no-minimal", help="Sudoku: remove givens while one solution remains (default)."),
    ] = None,
    min_branches: Annotated[
        int | None,
        typer.Option("--min-branches", min=0, help="Sudoku: minimum guesses of an exact solver; high values are slow."),
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
        int | None, typer.Option("--min-path", min=0, help="Maze: minimum length of the shortest path.")
    ] = None,
    style: Annotated[
        str | None, typer.Option("--format", help="grid, line, csv, json or jsonl.", autocompletion=complete.styles)
    ] = None,
    as_json: o.AsJson = False,
    output: o.Output = None,
    force: o.Force = False,
) -> int:
    """Generate puzzles: Sudoku with exactly one solution, mazes with a path from S to G.

    The same seed always gives the same puzzles.
    """
    the_task = resolve_task(task)
    if not isinstance(the_task, Generates):
        raise TrmsolveError(
            f"{the_task.name} puzzles cannot be generated: the task has no generator",
            f"tasks with one: {', '.join(GENERATED)}; six ARC tasks are in examples/arc",
        )
    options = _given_options(
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
                question, solution, difficulty = _generate(the_task, seed, index, *shape, **options)
                puzzle, answer = the_task.format_line(question), the_task.format_line(solution)
                if records is not None:
                    origin = {"seed": seed, "index": index}
                    records.add({"puzzle": puzzle, "answer": answer, **difficulty.details, **origin})
                elif style == "csv":
                    header = "" if index else f"{the_task.csv_header}\n"
                    emit(stream, f"{header}{puzzle},{answer}\n")
                else:
                    separator = "\n" if style == "grid" and index else ""
                    emit(stream, f"{separator}{encoded_for(stream, partial(the_task.format_grid, question, style))}\n")
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


def _given_options(task: Any, **options: Any) -> dict[str, Any]:
    """The options that are not None. Raises TrmsolveError for one that the task's generator does not accept."""
    given = {name: value for name, value in options.items() if value is not None}
    supported = signature(task.generate).parameters
    for name in given:
        if name not in supported:
            generators: dict[str, Any] = {other: get(other) for other in GENERATED}
            others = [other for other in GENERATED if name in signature(generators[other].generate).parameters]
            flags = [_flag(option) for option in options if option in supported]
            raise TrmsolveError(
                f"{_flag(name)} is for {' and '.join(others)}, not for {task.name}",
                f"{task.name} takes {', '.join(flags)}; see trmsolve generate --help",
            )
    return given


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _shape(size: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,9})(?:x(\d{1,9}))?", size)
    if not match:
        raise TrmsolveError(f"--size {size}: not a size", "expected rows x columns, for example 9x9")
    return int(match[1]), int(match[2] or match[1])


def _generate(task: Generates, *args: Any, **options: Any) -> tuple[Any, Any, Difficulty]:
    """task.generate() with a ValueError, such as an unsupported size, as TrmsolveError."""
    try:
        return task.generate(*args, **options)
    except ValueError as error:
        raise TrmsolveError(str(error), "see trmsolve generate --help") from error
