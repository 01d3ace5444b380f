"""trmsolve sudoku | maze | solve FILE... | -: the commands that solve puzzles, all with the same options."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trmsolve.cli import options as o
from trmsolve.cli.inputs import Record, is_seekable, peek, piped, records, with_deadline
from trmsolve.cli.output import check_style, destination, model_fields
from trmsolve.cli.pictures import PictureFiles, frames, show
from trmsolve.cli.report import Report, Summary, report_failure
from trmsolve.cli.run import ERROR, TIMED_OUT, command, distributed, echo_err, log_verbosely
from trmsolve.cli.sharding import own_device, process_group, require_single_process, shard
from trmsolve.cli.task_option import task_for
from trmsolve.distributed import ProcessGroup
from trmsolve.errors import TrmsolveError
from trmsolve.inference.options import Result, SolveOptions
from trmsolve.inference.prefetch import DeadlineExceeded
from trmsolve.tasks import get
from trmsolve.tasks.base import InvalidPuzzle, Puzzle, Task

if TYPE_CHECKING:
    from trmsolve.api import Model

EXIT_CODES = "Exit code: 0 every puzzle solved and verified, 1 some not, 2 bad input, 124 timeout, 130 interrupted."

HELP = {
    "sudoku": """Solve Sudoku puzzles (4x4, 6x6, 9x9, 16x16) and check every answer.

    Reads lines of 81 characters, nine-line grids with or without frames, CSV with a question column, .sdk, .sdm, .ss.
    """,
    "maze": """Find shortest paths through mazes of any height and width (3x3 to 255x255) and check every one.

    Reads grids of # (wall), space or . (floor), S and G, separated by blank lines; also 0 and 1, E, A and B; CSV with a
    question column. Writes the path as o.
    """,
}


@dataclass(frozen=True)
class Args:
    """Arguments of a solving command."""

    files: list[str]
    checkpoint: str | None
    options: SolveOptions
    style: str | None
    show_steps: bool | None
    pace: float
    pictures: PictureFiles
    output: Path | None
    force: bool
    timeout: float | None
    limit: int | None
    device: str
    dtype: str
    color: str
    quiet: bool
    verbose: bool


def solve_command(name: str) -> Callable[..., int]:
    """The command of a task, with its help."""

    @command
    @distributed
    def run(
        context: typer.Context,
        files: o.Files = None,
        checkpoint: o.Checkpoint = None,
        max_steps: o.MaxSteps = None,
        restarts: o.Restarts = SolveOptions.restarts,
        verify: o.Verify = True,
        style: o.Style = None,
        as_json: o.AsJson = False,
        show_steps: o.ShowSteps = None,
        pace: o.Pace = 0.0,
        svg: o.Svg = None,
        gif: o.Gif = None,
        html: o.Html = None,
        output: o.Output = None,
        force: o.Force = False,
        batch_size: o.BatchSize = SolveOptions.batch_size,
        seed: o.SolveSeed = 0,
        timeout: o.Timeout = None,
        limit: o.Limit = None,
        device: o.Device = "auto",
        dtype: o.Dtype = "auto",
        color: o.ColorOption = o.Color.auto,
        quiet: o.Quiet = False,
        verbose: o.Verbose = False,
        task: Annotated[
            str | None, typer.Option("--task", help="A task's name, or a Python file that defines one.")
        ] = None,
    ) -> int:
        options = SolveOptions(max_steps=max_steps, restarts=restarts, verify=verify, batch_size=batch_size, seed=seed)
        args = Args(
            files or [],
            checkpoint,
            options,
            "json" if as_json else style,
            show_steps,
            pace,
            PictureFiles(svg, gif, html, force),
            output,
            force,
            timeout,
            limit,
            device,
            dtype,
            color.value,
            quiet,
            verbose,
        )
        return solve(_task_of(name, task, checkpoint), args, context)

    run.__doc__ = f"{HELP.get(name, GENERIC_HELP)}\n    {EXIT_CODES}\n    "
    return run


GENERIC_HELP = """Solve puzzles of any task: that of --checkpoint, or --task (a name or a Python file).

    A task file is code: it runs only because you name it here.
    """

solve_generic = solve_command("solve")


def _task_of(name: str, task: str | None, checkpoint: str | None) -> Task:
    """The command's task; for `solve` that of --task, or of the checkpoint's header."""
    if name != "solve":
        if task not in (None, name):
            raise TrmsolveError(f"`trmsolve {name}` solves {name}", f"trmsolve solve --task {task}")
        return get(name)
    return task_for(task, checkpoint)


def solve(task: Task, args: Args, context: typer.Context) -> int:
    """Solve the puzzles of the files, or of stdin; returns the exit code."""
    with process_group() as group:
        if group is not None and not group.is_main:
            model = _load(task, args)
            group.assert_equal(checkpoint=model.checkpoint.sha256)
            for _ in _solve_sharded(group, model, (), args, None):
                pass
            return 0
        return _solve(task, args, context, group)


def _solve(task: Task, args: Args, context: typer.Context, group: ProcessGroup | None) -> int:
    files = args.files or (["-"] if piped() else [])
    if not files:
        echo_err(context.get_help())
        return ERROR
    check_style(args.style, task.styles)
    args.pictures.check()
    deadline = None if args.timeout is None else time.monotonic() + args.timeout
    summary = Summary()
    with destination(args.output, args.force) as stream:
        report = Report(task, args.style, stream)
        try:
            for result in _results(task, args, files, deadline, report, group):
                summary.add(result)
                report.add(result)
                if not result.verified and (result.error or not args.quiet):
                    report_failure(task, result)
        except DeadlineExceeded as exceeded:
            open_puzzles = getattr(exceeded, "in_progress", 0)
            summary.puzzles += open_puzzles
            echo_err(f"out of time after {args.timeout:g} s: {summary}")
            return TIMED_OUT
        finally:
            report.close()
    if summary.puzzles != 1 and not args.quiet:
        echo_err(str(summary))
    return summary.exit_code


def _results(
    task: Task,
    args: Args,
    files: list[str],
    deadline: float | None,
    report: Report,
    group: ProcessGroup | None,
) -> Iterator[Result]:
    """The result of each record, in order; its steps are shown where that was chosen."""
    source, seekable = records(task, files, args.limit), is_seekable(files)
    watched = bool(args.pictures or args.show_steps)
    if watched:
        require_single_process("watching a puzzle, on the screen or in a picture,")
    if watched and not seekable:
        source = with_deadline(source, deadline)
    if args.pictures or seekable:  # elsewhere, looking ahead means waiting
        first, source = peek(source)
        single = len(first) == 1
        if single and isinstance(first[0], InvalidPuzzle) and group is None:  # needs no model
            yield Result(first[0], error=first[0].message)
            return
        if args.pictures and not single:
            raise TrmsolveError(
                "a picture shows one puzzle, and the input holds more", "add --limit 1, or name one file"
            )
        live = single and args.show_steps is None and not args.quiet and _stderr_is_terminal()
        watched = watched or (live and group is None)
    model = _load(task, args)
    report.model_fields = model_fields(model)
    if args.verbose:
        log_verbosely(model)
    if group is not None:
        group.assert_equal(checkpoint=model.checkpoint.sha256)
        yield from _solve_sharded(group, model, source, args, deadline)
    elif watched:
        yield from _watched(model, source, args, deadline)
    else:
        yield from model.solve(source, args.options, deadline=deadline)


def _solve_sharded(
    group: ProcessGroup, model: Model, source: object, args: Args, deadline: float | None
) -> Iterator[Result]:
    return shard(group, lambda items: model.solve(items, args.options), source, deadline, as_available=True)  # type: ignore[arg-type]


def _load(task: Task, args: Args) -> Model:
    from trmsolve.api import load

    return load(args.checkpoint, task=task, device=own_device(args.device), dtype=args.dtype)


def _watched(model: Model, source: Iterator[Record], args: Args, deadline: float | None) -> Iterator[Result]:
    """One puzzle after the other, with each step shown."""
    visible = args.show_steps is not False and not (args.quiet and args.show_steps is None)
    visible = visible and (args.show_steps is True or _stderr_is_terminal())
    for record in source:
        if not isinstance(record, Puzzle):
            yield Result(record, error=record.message)
            continue
        events = model.watch(record, args.options, deadline=deadline)
        max_steps = args.options.max_steps or model.task.max_steps(record.question)
        drawn_frames = frames(model.task, events, record, max_steps)
        kept, result = show(drawn_frames, args.color, args.pace, visible, keep=bool(args.pictures))
        if args.pictures:
            args.pictures.write(kept)
        yield result


def _stderr_is_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()
