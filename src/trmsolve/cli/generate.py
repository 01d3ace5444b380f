"""trmsolve generate TASK"""

from __future__ import annotations

import re
import sys
from functools import partial
from typing import Annotated, Any

import typer

from trmsolve.cli import options as o
from trmsolve.cli.guard import SOLVED, guarded
from trmsolve.cli.output import JSON_STYLES, Records, check_style, destination, emit, fitting
from trmsolve.errors import TrmsolveError
from trmsolve.tasks import get
from trmsolve.tasks.base import Difficulty, Task


@guarded
def generate(
    task: Annotated[str, typer.Argument(help="sudoku")],
    size: Annotated[str, typer.Option("--size", help="4x4, 6x6, 9x9 or 16x16.")] = "9x9",
    number: Annotated[int, typer.Option("-n", "--number", min=1, help="How many.")] = 1,
    seed: o.Seed = 0,
    extra: Annotated[int, typer.Option("--extra", min=0, help="Givens beyond a minimal puzzle.")] = 0,
    minimal: Annotated[bool, typer.Option(help="Drop givens until none can be dropped.")] = True,
    min_branches: Annotated[
        int, typer.Option("--min-branches", min=0, help="At least so many guesses for an exact solver; high is slow.")
    ] = 0,
    style: Annotated[str | None, typer.Option("--format", help="grid, line, csv, json or jsonl.")] = None,
    as_json: o.AsJson = False,
    output: o.Output = None,
    force: o.Force = False,
) -> int:
    """Make puzzles with exactly one solution. Puzzle i of a seed is always the same."""
    the_task, side = get(task), _side(size)
    check_style(style, the_task.styles)
    style = "json" if as_json else style or ("grid" if sys.stdout.isatty() and output is None else "line")
    with destination(output, force) as stream:
        records = Records(stream, style) if style in JSON_STYLES else None
        if style == "csv":
            emit(stream, f"{the_task.csv_header}\n")
        try:
            for index in range(number):
                question, solution, difficulty = _made(
                    the_task, seed, index, side, extra=extra, minimal=minimal, min_branches=min_branches
                )
                puzzle, answer = the_task.line(question), the_task.line(solution)
                if records is not None:
                    found = {"branches": difficulty.branches, **difficulty.details}
                    records.add({"puzzle": puzzle, "answer": answer, **found, "seed": seed, "index": index})
                elif style == "csv":
                    emit(stream, f"{puzzle},{answer}\n")
                else:
                    between = "\n" if style == "grid" and index else ""
                    emit(stream, f"{between}{fitting(stream, partial(the_task.draw, question, style))}\n")
        finally:
            if records is not None:
                records.close()
    return SOLVED


def _side(size: str) -> int:
    match = re.fullmatch(r"(\d+)(?:x(\d+))?", size)
    if not match or (match[2] or match[1]) != match[1]:
        raise TrmsolveError(f"--size {size}: not a size", "for example 9x9")
    return int(match[1])


def _made(task: Task, *place: int, **wanted: Any) -> tuple[Any, Any, Difficulty]:
    try:
        return task.generate(*place, **wanted)
    except ValueError as error:
        raise TrmsolveError(str(error), "see trmsolve generate --help") from error
