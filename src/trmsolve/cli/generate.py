"""trmsolve generate TASK"""

from __future__ import annotations

import re
import sys
from dataclasses import asdict, dataclass
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

from trmsolve.cli import complete
from trmsolve.cli import options as o
from trmsolve.cli.complete import GENERATED, JSON_STYLES
from trmsolve.cli.options import MAZES, PUZZLES, SUDOKU, option
from trmsolve.cli.output import JsonRecords, check_style, destination, emit, encoded_for, file_progress
from trmsolve.cli.run import command
from trmsolve.errors import TrmsolveError
from trmsolve.tasks import get, resolve_task
from trmsolve.tasks.base import Generates
from trmsolve.tasks.dataset import parse_size


@dataclass(frozen=True)
class GenerateArgs:
    """Options of all generators."""

    task: str = o.argument(
        ..., None, "sudoku, maze, another task's name, or a Python file that defines one.", complete.generators
    )
    size: str | None = option(
        None, PUZZLES, "Sudoku: 4x4, 6x6, 8x8, 9x9 (default), 12x12, 16x16; maze: 3x3 to 255x255, default 21x21."
    )
    number: int = option(1, PUZZLES, "Number of puzzles.", "-n", "--number", min=1)
    seed: int = option(0, PUZZLES, "Random seed.", min=0)
    style: str | None = option(None, o.OUTPUT, "grid, line, csv, json or jsonl.", "--format", complete=complete.styles)
    as_json: bool = o.AS_JSON()
    output: Path | None = o.OUTPUT_FILE()
    force: bool = o.FORCE()


@dataclass(frozen=True)
class GeneratorArgs:
    """Options of one generator each; None: its default."""

    extra: int | None = option(None, SUDOKU, "Givens beyond a minimal puzzle.", min=0)
    minimal: bool | None = option(None, SUDOKU, "Remove givens while one solution remains.", show_default="minimal")
    min_branches: int | None = option(None, SUDOKU, "Minimum guesses of an exact solver; high values are slow.", min=0)
    kind: str | None = option(
        None, MAZES, "mixed, walls, hard, perfect, braided or rooms.", show_default="mixed", complete=complete.kinds
    )
    density: float | None = option(None, MAZES, "Share of random walls, from 0 to below 1.")
    min_path: int | None = option(None, MAZES, "Minimum length of the shortest path.", min=0)


@command(GenerateArgs, GeneratorArgs)
def generate(args: GenerateArgs, settings: GeneratorArgs) -> None:
    """Generate puzzles: Sudoku with exactly one solution, mazes with a path from S to G.

    The same seed always gives the same puzzles.
    """
    if re.fullmatch(r"\d+(x\d+)?", args.task):
        raise TrmsolveError(
            f"'{args.task}' is a size, not a task",
            f"try: trmsolve generate sudoku --size {args.task}, or: trmsolve generate maze --size {args.task}",
        )
    task = resolve_task(args.task)
    if not isinstance(task, Generates):
        raise TrmsolveError(
            f"{task.name} puzzles cannot be generated: the task has no generator",
            f"tasks with one: {', '.join(GENERATED)}; six ARC tasks are in examples/arc",
        )
    given = _given_options(task, settings)
    shape = [] if args.size is None else [parse_size(args.size, "--size ")]
    check_style(args.style, task.styles)
    default = "grid" if sys.stdout.isatty() and args.output is None else "line"
    style = "json" if args.as_json else args.style or default
    with (
        destination(args.output, args.force) as stream,
        file_progress(args.output, "puzzles", args.number) as progress,
        JsonRecords(stream, style) as records,
    ):
        for index in range(args.number):
            question, solution, difficulty = _generate(task, args.seed, index, *shape, **given)
            puzzle, answer = task.format_line(question), task.format_line(solution)
            if style in JSON_STYLES:
                origin = {"seed": args.seed, "index": index}
                records.add({"puzzle": puzzle, "answer": answer, **difficulty, **origin})
            elif style == "csv":
                header = "" if index else f"{task.csv_header}\n"
                emit(stream, f"{header}{puzzle},{answer}\n")
            else:
                separator = "\n" if style == "grid" and index else ""
                emit(stream, f"{separator}{encoded_for(stream, partial(task.format_grid, question, style))}\n")
            progress.add()


def _given_options(task: Any, settings: GeneratorArgs) -> dict[str, Any]:
    """The options that are not None. Raises TrmsolveError for one that the task's generator does not accept."""
    options = asdict(settings)
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


def _generate(task: Generates, *args: Any, **options: Any) -> tuple[Any, Any, dict[str, Any]]:
    """task.generate() with a ValueError, such as an unsupported size, as TrmsolveError."""
    try:
        return task.generate(*args, **options)
    except ValueError as error:
        raise TrmsolveError(str(error), "see trmsolve generate --help") from error
