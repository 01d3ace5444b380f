"""trmsolve generate TASK"""

from __future__ import annotations

import json
import re
import sys
from io import StringIO
from typing import Annotated

import typer

from trmsolve.cli import options as o
from trmsolve.cli.guard import SOLVED, guarded
from trmsolve.errors import TrmsolveError
from trmsolve.files import check_writable, write_atomically
from trmsolve.tasks import get


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
    style: Annotated[str | None, typer.Option("--format", help="grid, line, csv or jsonl.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Short for --format jsonl.")] = False,
    output: o.Output = None,
    force: o.Force = False,
) -> int:
    """Make puzzles with exactly one solution. Puzzle i of a seed is always the same."""
    the_task = get(task)
    if not (match := re.fullmatch(r"(\d+)(?:x(\d+))?", size)) or (match[2] or match[1]) != match[1]:
        raise TrmsolveError(f"--size {size}: not a size", "for example 9x9")
    style = "jsonl" if as_json else style or ("grid" if sys.stdout.isatty() and output is None else "line")
    known = (*the_task.styles, "jsonl")
    if style not in known:
        raise TrmsolveError(f"unknown format '{style}'", f"known: {', '.join(known)}")
    if output is not None:
        check_writable(output, force)
    stream = StringIO() if output is not None else sys.stdout
    if style == "csv":
        print(the_task.csv_header, file=stream)
    for index in range(number):
        question, solution, difficulty = the_task.generate(
            seed, index, side=int(match[1]), extra=extra, minimal=minimal, min_branches=min_branches
        )
        if style == "jsonl":
            record = {"puzzle": the_task.line(question), "answer": the_task.line(solution)}
            text = json.dumps(
                record | {"branches": difficulty.branches, **difficulty.details, "seed": seed, "index": index}
            )
        elif style == "csv":
            text = f"{the_task.line(question)},{the_task.line(solution)}"
        else:
            text = the_task.draw(question, style) + ("\n" if style == "grid" and index + 1 < number else "")
        print(text, file=stream, flush=True)
    if output is not None:
        write_atomically(output, stream.getvalue(), force)
    return SOLVED
