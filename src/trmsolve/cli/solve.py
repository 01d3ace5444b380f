"""trmsolve sudoku | maze | arc | ... | solve FILE... | -: the commands that solve the puzzles of a task.

A task decides by its capabilities how it is solved, and so which options its command has: a few-shot task
(tasks/few_shot.py: Demonstrates) by test-time training, any other by a search with restarts (inference/solver.py).
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from trmsolve.cli.few_shot import few_shot_results
from trmsolve.cli.inputs import is_seekable, peek, prompted_files, records, task_for, with_deadline, with_notes
from trmsolve.cli.options import RunArgs, SearchArgs, SubmitArgs, TaskArgs, TrainedRunArgs, reject_given
from trmsolve.cli.output import LineShare, check_style, delayed_status, destination, file_progress
from trmsolve.cli.pictures import STEP_PACE, PictureFiles, show
from trmsolve.cli.report import Report, Summary, message
from trmsolve.cli.run import (
    ERROR,
    INTERRUPTED,
    SOLVED,
    TERMINATED,
    TIMED_OUT,
    Terminated,
    alarm,
    command,
    echo_err,
    logged_to,
    process_group,
    require_single_process,
)
from trmsolve.distributed import ProcessGroup, local_device
from trmsolve.errors import DeadlineExceeded, TrmsolveError
from trmsolve.inference.few_shot import AdaptOptions
from trmsolve.inference.options import Result, SolveOptions
from trmsolve.render.console import is_terminal
from trmsolve.stream import sharded_map
from trmsolve.tasks import BUNDLED, get
from trmsolve.tasks.base import InvalidPuzzle, Puzzle, Task
from trmsolve.tasks.few_shot import Demonstrates
from trmsolve.text_io import check_writable

if TYPE_CHECKING:
    from trmsolve.api import Model

EXIT_CODES = "Exit code: 0 every puzzle solved and verified, 1 some not, 2 bad input, 124 timeout, 130 interrupted."

HELP = {
    "sudoku": """Solve Sudoku puzzles (4x4 to 25x25) and check every answer.

    Reads lines of 81 characters, nine-line grids with or without frames, CSV with a question column, .sdk, .sdm, .ss.
    """,
    "maze": """Find shortest paths through mazes of any height and width (3x3 to 255x255) and check every one.

    Reads grids of # (wall), space or . (floor), S and G, separated by blank lines; also 0 and 1, E, A and B; CSV with a
    question column. Writes the path as o.
    """,
    "arc": """Solve ARC tasks: adapt to each by gradient steps on its demonstrations, then vote.

    Reads files with one task (train, test), folders of them, and Kaggle's challenges; finds the solutions beside them.
    Prints two attempts at each test: the grids with the most votes or, where no two votes agree, their consensus.
    If answers are known, a task is solved when one of the two attempts is right for every test. Otherwise it counts as
    solved when its demonstrations are reproduced.
    """,
    "grid": """Answer grids by a network that you trained with --task grid; name it with --checkpoint.

    There are no rules to check an answer: those that the halting head accepts are printed, as not checked.
    """,
    "solve": """Solve puzzles of any task: the task of --checkpoint, or --task (a name or a Python file).

    A task file is Python code and is executed. Name only files that you trust.
    """,
}
EXAMPLES = {
    "sudoku": """
        trmsolve sudoku puzzle.txt
        cat puzzles.txt | trmsolve sudoku - --format line > answers.txt
        trmsolve sudoku puzzle.txt --show-steps --gif solve.gif""",
    "maze": """
        trmsolve maze maze.txt
        trmsolve maze maze.txt --show-steps --svg path.svg""",
    "arc": """
        trmsolve arc task.json
        trmsolve arc tasks/ --submission submission.json --resume kept.jsonl""",
    "grid": """
        trmsolve grid grids.txt --checkpoint runs/grid/grid.safetensors""",
    "solve": """
        trmsolve solve --task sudoku puzzle.txt
        trmsolve solve --task my_puzzle.py --checkpoint mine.safetensors puzzle.txt""",
}


def task_command(name: str) -> Callable[..., None]:
    """The command of a task, or with name "solve" the one for any task.

    Its options are those of the task's capability; of all capabilities where the task is not known yet.
    """
    task = get(name) if name in BUNDLED else None
    few_shot = isinstance(task, Demonstrates)
    groups: list[type] = [TrainedRunArgs if task is not None and task.learns_settings else RunArgs]
    groups += [TaskArgs] if name == "solve" else []
    groups += [SearchArgs] if not few_shot else []
    groups += [SubmitArgs] if few_shot or task is None else []

    def run(args: RunArgs, *others: Any, context: typer.Context) -> int:
        by_group = {type(group): group for group in others}
        chosen = task or (None if name == "solve" else get(name))
        if chosen is None or chosen.learns_settings:
            chosen = task_for(by_group[TaskArgs].task if name == "solve" else name, args.checkpoint)
        unsupported = SearchArgs if isinstance(chosen, Demonstrates) else SubmitArgs
        if unsupported in by_group:
            reject_given(context, [field.name for field in fields(unsupported)], chosen.name)
        search, adapt = by_group.get(SearchArgs, SearchArgs()), by_group.get(SubmitArgs, SubmitArgs())
        with process_group() as group:
            return solve(chosen, context, args, search, adapt, group)

    run.__doc__ = f"{HELP.get(name, f'Solve {name} puzzles and check every answer.')}\n\n    {EXIT_CODES}\n    "
    return command(*groups, distributed=True)(run)


@dataclass(frozen=True)
class Job:
    """One run of a solving command."""

    task: Task
    args: RunArgs
    search: SearchArgs  # unused by few-shot tasks
    adapt: SubmitArgs  # used by few-shot tasks only
    files: Sequence[str]
    pictures: PictureFiles
    deadline: float | None  # on time.monotonic()
    group: ProcessGroup | None
    summary: Summary

    @property
    def few_shot(self) -> bool:
        """Whether the task is solved by test-time training."""
        return isinstance(self.task, Demonstrates)

    @property
    def options(self) -> SolveOptions | AdaptOptions:
        """The settings of the solver, or of test-time training."""
        options = self.adapt.adapt_options if self.few_shot else self.search.solve_options
        return options(self.args.max_steps, self.args.seed)

    def load(self, report: Report | None = None) -> Model:
        """The model; in the main process until the deadline, described in the report and, with -v, on stderr."""
        deadline = None if report is None else self.deadline
        with delayed_status("loading the model", report is not None and not self.args.quiet):
            import torch  # noqa: F401 - not under the alarm: an exception from its C++ initialisation would abort

            if deadline is not None and time.monotonic() >= deadline:
                raise DeadlineExceeded
            with alarm(deadline):
                from trmsolve.api import load

                args = self.args
                model = load(
                    args.checkpoint, task=self.task, device=local_device(args.device, shared=True), dtype=args.dtype
                )
                if self.group is not None:
                    self.group.assert_equal(checkpoint=model.checkpoint.sha256)
        if report is not None:
            report.describe_model(model)
            logging.getLogger("trmsolve").info(
                "device: %s\ncheckpoint: %s (%s)",
                model.device_spec,
                model.checkpoint.path,
                model.checkpoint.sha256[:12],
            )
        return model

    def results(self, model: Model, items: Iterable[Any]) -> Iterator[Any]:
        """The results of items, in order. Where several processes share them, it is called in all."""
        options, solve = self.options, model.adapt if self.few_shot else model.solve
        window = options.tasks_per_batch if isinstance(options, AdaptOptions) else 64
        return sharded_map(
            self.group or ProcessGroup(),
            lambda part, deadline: solve(part, options, deadline=deadline),  # type: ignore[arg-type]
            items,
            window,
            self.deadline,
            as_available=not self.few_shot,
        )

    def is_watched(self, single: bool) -> bool:
        """Whether every step is shown or drawn. single: the input holds one record only."""
        if self.pictures and not single:
            name = "task" if self.few_shot else "puzzle"
            raise TrmsolveError(
                f"a picture shows one {name}, but the input has more", "add --limit 1, or name one file"
            )
        watched = bool(self.pictures or self.is_visible(single))
        if watched and (self.pictures or self.args.show_steps):
            require_single_process("--show-steps or a picture")
        return watched and self.group is None

    def is_visible(self, single: bool) -> bool:
        """Whether every step is shown on stderr."""
        if self.args.show_steps is not None:
            return self.args.show_steps
        return single and not self.args.quiet and is_terminal(sys.stderr)

    def watch(self, frames: Iterator[Any], single: bool) -> Any:
        """Show frames, and write the pictures; returns the result that ends them."""
        visible, stay, pace = self.is_visible(single), self.args.show_steps is True, self.args.pace
        if pace is None:  # a Sudoku is solved sooner than the eye can follow
            pace = STEP_PACE if stay and not self.few_shot else 0.0
        kept, result = show(frames, self.args.color.value, pace, visible, bool(self.pictures), stay)
        if self.pictures:
            self.pictures.write(kept, self.args.quiet)
        return result


def solve(
    task: Task,
    context: typer.Context,
    args: RunArgs,
    search: SearchArgs,
    adapt: SubmitArgs,
    group: ProcessGroup | None,
) -> int:
    """Solve the puzzles of the files, or of stdin; returns the exit code.

    A run that is interrupted or out of time writes the results so far.
    """
    style = "json" if args.as_json else args.style
    pictures = PictureFiles(args.svg, args.gif, args.html, args.force, args.trace)
    deadline = None if args.timeout is None else time.monotonic() + args.timeout
    files = prompted_files(args.files, task, args.quiet)
    summary = Summary(isinstance(task, Demonstrates))
    job = Job(task, args, search, adapt, files, pictures, deadline, group, summary)
    if group is not None and not group.is_main:
        for _ in job.results(job.load(), ()):
            pass
        return SOLVED
    if not files:
        echo_err(context.get_help())
        return ERROR
    check_style(style, task.styles)
    _check_outputs(job)
    verbose = logged_to(echo_err, logging.INFO) if args.verbose else nullcontext()
    with verbose, destination(args.output, args.force) as stream:
        stopped = _write_results(job, Report(task, style, stream, args.color.value))
    if stopped is not None:
        return stopped
    if summary.records != 1 and not args.quiet:
        echo_err(str(summary))
    return summary.exit_code


def _check_outputs(job: Job) -> None:
    """Raise TrmsolveError now for settings and output files that would fail after the puzzles have been read."""
    args, adapt = job.args, job.adapt
    job.pictures.check()
    outputs = {"-o": args.output, "--svg": args.svg, "--gif": args.gif, "--html": args.html, "--trace": args.trace}
    if job.few_shot:
        _ = job.options
        if adapt.submission is not None:
            check_writable(adapt.submission, adapt.may_replace_submission(args.force))
        outputs |= {"--resume": adapt.resume, "--submission": adapt.submission}
    check_distinct(outputs, job.files)


def _write_results(job: Job, report: Report) -> int | None:
    """Write all results, with messages and progress on stderr; returns the exit code of a run that did not finish."""
    args, summary, lines = job.args, job.summary, LineShare(job.files)
    results: Generator[Any, None, None] = (few_shot_results if job.few_shot else search_results)(job, report)
    try:
        with (
            report.records,
            closing(results),
            file_progress(args.output, "puzzles", args.limit, args.quiet) as progress,
        ):
            for result in results:
                summary.add(result)
                report.add(result)
                if not job.few_shot:  # few-shot tasks show their own progress
                    progress.add(partial(lines.at, result.puzzle.source))
                text = "" if args.quiet and not result.error else message(job.task, result, job.search.check_unique)
                if text:
                    echo_err(text)
    except DeadlineExceeded as exceeded:
        summary.unfinished = 0 if job.few_shot else exceeded.in_progress
        summary.records += summary.unfinished
        echo_err(summary.stopped(f"out of time after {args.timeout:g} s"))
        return TIMED_OUT
    except (KeyboardInterrupt, Terminated) as stop:
        if not summary.records:  # an older file of answers stays
            raise
        cause, code = ("terminated", TERMINATED) if isinstance(stop, Terminated) else ("interrupted", INTERRUPTED)
        echo_err(summary.stopped(cause))
        return code
    return None


def search_results(job: Job, report: Report) -> Generator[Result, None, None]:
    """The result of each puzzle, in order, by search."""
    args = job.args
    source = records(job.task, job.files, args.limit)
    if not args.quiet:
        source = with_notes(job.task, source)
    seekable, single = is_seekable(job.files), False
    if not seekable and (job.pictures or args.show_steps):
        source = with_deadline(source, job.deadline)
    if job.pictures or seekable:  # elsewhere, looking ahead means waiting
        with alarm(job.deadline):
            first, source = peek(source)
        single = len(first) == 1
        if single and isinstance(first[0], InvalidPuzzle) and job.group is None:  # needs no model
            yield Result(first[0], error=first[0].message)
            return
    report.is_numbered = not single
    watched = job.is_watched(single)
    model = job.load(report)
    if not watched:
        yield from job.results(model, source)
        return
    from trmsolve.render.frame import frames

    options = job.search.solve_options(args.max_steps, args.seed)
    for record in source:
        if isinstance(record, Puzzle):
            events = model.watch(record, options, deadline=job.deadline)
            max_steps = options.max_steps or model.task.max_steps(record.question)
            yield job.watch(frames(model.task, events, record, max_steps), single)
        else:
            yield Result(record, error=record.message)


def check_distinct(paths: dict[str, Path | None], inputs: Sequence[str] = ()) -> None:
    """Raise TrmsolveError if two options (name -> path) would write to the same file, or one to an input."""
    seen: dict[Path, str] = {Path(os.path.realpath(file)): "FILE" for file in inputs}
    for option, path in paths.items():
        if path is None or (path.exists() and not path.is_file()):  # /dev/null takes any number of outputs
            continue
        other = seen.setdefault(path.resolve(), option)
        if other != option:
            raise TrmsolveError(f"{other} and {option} name the same file: {path}", f"give {option} another file")
