"""trmsolve sudoku | maze | arc | ... | solve FILE... | -: the commands that solve the puzzles of a task.

A task decides by its capabilities how it is solved, and so which options its command has: a few-shot task
(tasks/few_shot.py: Demonstrates) by test-time training, any other by a search with restarts (inference/solver.py).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from trmsolve.cli.few_shot import few_shot_results
from trmsolve.cli.inputs import is_seekable, peek, records, with_deadline, with_notes
from trmsolve.cli.options import RunArgs, SearchArgs, SubmitArgs, TaskArgs, reject_given, with_options
from trmsolve.cli.output import check_style, destination, model_fields
from trmsolve.cli.pictures import PictureFiles, frames, show
from trmsolve.cli.progress import LineShare, file_progress
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
    distributed,
    echo_err,
    log_verbosely,
    own_device,
    process_group,
    require_single_process,
    shard,
)
from trmsolve.cli.task_option import task_for
from trmsolve.cli.typed_input import stdin_files
from trmsolve.distributed import ProcessGroup
from trmsolve.errors import DeadlineExceeded, TrmsolveError
from trmsolve.inference.options import Result
from trmsolve.render.console import is_terminal
from trmsolve.tasks import get
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
    "solve": """
        trmsolve solve --task sudoku puzzle.txt
        trmsolve solve --task my_puzzle.py --checkpoint mine.safetensors puzzle.txt""",
}


# -- the commands -------------------------------------------------------------------------------------------------
def solve_command(name: str, task: Task | None = None) -> Callable[..., int]:
    """The command of a task, or with name "solve" the one for any task.

    Its options are those of the task's capability; of all capabilities where the task is not loaded yet.
    """

    def run(context: typer.Context, args: RunArgs, *groups: Any) -> int:
        given = {type(group): group for group in groups}
        chosen = task or (task_for(given[TaskArgs].task, args.checkpoint) if name == "solve" else get(name))
        unsupported = SearchArgs if isinstance(chosen, Demonstrates) else SubmitArgs
        if unsupported in given:
            reject_given(context, [field.name for field in fields(unsupported)], chosen.name)
        with process_group() as group:
            return solve(
                chosen, context, args, given.get(SearchArgs, SearchArgs()), given.get(SubmitArgs, SubmitArgs()), group
            )

    few_shot, unknown = isinstance(task, Demonstrates), task is None
    applies = {TaskArgs: name == "solve", SearchArgs: unknown or not few_shot, SubmitArgs: unknown or few_shot}
    run.__doc__ = f"{HELP.get(name, f'Solve {name} puzzles and check every answer.')}\n\n    {EXIT_CODES}\n    "
    groups = [RunArgs, *(group for group, has_effect in applies.items() if has_effect)]
    return command(distributed(with_options(*groups)(run)))


@dataclass(frozen=True)
class Job:
    """One run of a solving command."""

    task: Task
    args: RunArgs
    files: Sequence[str]
    pictures: PictureFiles
    deadline: float | None  # on time.monotonic()
    group: ProcessGroup | None
    summary: Summary
    search: SearchArgs  # unused by few-shot tasks
    adapt: SubmitArgs  # used by few-shot tasks only

    def load(self, report: Report) -> Model:
        """The model, described in the report's JSON records and, with -v, on stderr."""
        import torch  # noqa: F401 - not under the alarm: an exception from within its C++ initialisation would abort

        if self.deadline is not None and time.monotonic() >= self.deadline:
            raise DeadlineExceeded
        with alarm(self.deadline):
            model = load_model(self.task, self.args, self.group)
        report.model_fields = model_fields(model)
        if self.args.verbose:
            log_verbosely(model)
        return model

    def sharded(self, model: Model, items: Iterable[Any]) -> Iterator[Any]:
        """The results of items that are shared among processes; call it in all of them."""
        assert self.group is not None
        if isinstance(self.task, Demonstrates):
            options = self.adapt.adapt_options(self.args.max_steps, self.args.seed)
            window = options.tasks_per_batch
            return shard(
                self.group, lambda part, due: model.adapt(part, options, deadline=due), items, self.deadline, window
            )
        settings = self.search.solve_options(self.args.max_steps, self.args.seed)
        return shard(
            self.group,
            lambda part, due: model.solve(part, settings, deadline=due),
            items,
            self.deadline,
            as_available=True,
        )

    def is_watched(self, single: bool) -> bool:
        """Whether every step is shown or drawn. single: the input holds one record only."""
        if self.pictures and not single:
            name = "task" if isinstance(self.task, Demonstrates) else "puzzle"
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

    def watch(self, drawn_frames: Iterator[Any], single: bool) -> Any:
        """Show frames, and write the pictures; returns the result that ends them."""
        keep = bool(self.pictures)
        visible, stay = self.is_visible(single), self.args.show_steps is True
        kept, result = show(drawn_frames, self.args.color.value, self.args.pace, visible, keep, stay)
        if self.pictures:
            self.pictures.write(kept)
        return result


def solve(
    task: Task,
    context: typer.Context,
    args: RunArgs,
    search: SearchArgs,
    adapt: SubmitArgs,
    group: ProcessGroup | None = None,
) -> int:
    """Solve the puzzles of the files, or of stdin; returns the exit code.

    adapt holds the options of few-shot tasks, search those of all others. A run that is interrupted or out of time
    writes the results so far.
    """
    few_shot = isinstance(task, Demonstrates)
    style = "json" if args.as_json else args.style
    pictures = PictureFiles(args.svg, args.gif, args.html, args.force, args.trace)
    summary = Summary(few_shot)
    deadline = None if args.timeout is None else time.monotonic() + args.timeout
    files = stdin_files(args.files or [], task, args.quiet)
    job = Job(task, args, files, pictures, deadline, group, summary, search, adapt)
    if group is not None and not group.is_main:
        for _ in job.sharded(load_model(task, args, group), ()):
            pass
        return SOLVED
    if not files:
        echo_err(context.get_help())
        return ERROR
    check_style(style, task.styles)
    pictures.check()
    outputs = {"-o": args.output, "--svg": args.svg, "--gif": args.gif, "--html": args.html, "--trace": args.trace}
    if few_shot:
        adapt.adapt_options(args.max_steps, args.seed)  # raises now, not after the tasks have been read
        if adapt.submission is not None:
            check_writable(adapt.submission, args.force)
        outputs |= {"--resume": adapt.resume, "--submission": adapt.submission}
    check_distinct(outputs)
    with destination(args.output, args.force) as stream:
        report = Report(task, style, stream, args.color.value)
        results: Generator[Any, None, None] = few_shot_results(job, report) if few_shot else _results(job, report)
        try:
            lines = LineShare(files)
            with closing(results), file_progress(args.output, "puzzles", args.limit, args.quiet) as progress:
                for result in results:
                    summary.add(result)
                    report.add(result)
                    if not few_shot:  # few-shot tasks show their own progress
                        progress.add(partial(lines.at, result.puzzle.source))
                    if (result.error or not args.quiet) and (text := message(task, result, search.check_unique)):
                        echo_err(text)
        except DeadlineExceeded as exceeded:
            summary.records += 0 if few_shot else exceeded.in_progress
            echo_err(summary.stopped(f"out of time after {args.timeout:g} s"))
            return TIMED_OUT
        except (KeyboardInterrupt, Terminated) as stop:
            if not summary.records:  # an older file of answers stays
                raise
            cause, code = ("terminated", TERMINATED) if isinstance(stop, Terminated) else ("interrupted", INTERRUPTED)
            echo_err(summary.stopped(cause))
            return code
        finally:
            report.close()
    if summary.records != 1 and not args.quiet:
        echo_err(str(summary))
    return summary.exit_code


def load_model(task: Task, args: RunArgs, group: ProcessGroup | None) -> Model:
    """The model of a task; all processes must have the same checkpoint."""
    from trmsolve.api import load

    model = load(args.checkpoint, task=task, device=own_device(args.device), dtype=args.dtype)
    if group is not None:
        group.assert_equal(checkpoint=model.checkpoint.sha256)
    return model


def check_distinct(paths: dict[str, Path | None]) -> None:
    """Raise TrmsolveError if two options (name -> path) would write to the same file."""
    seen: dict[Path, str] = {}
    for option, path in paths.items():
        if path is None or (path.exists() and not path.is_file()):  # /dev/null takes any number of outputs
            continue
        other = seen.setdefault(path.resolve(), option)
        if other != option:
            raise TrmsolveError(f"{other} and {option} name the same file: {path}", f"give {option} another file")


# -- puzzles: search ----------------------------------------------------------------------------------------------
def _results(job: Job, report: Report) -> Generator[Result, None, None]:
    """The result of each puzzle, in order."""
    args, group = job.args, job.group
    source = records(job.task, job.files, args.limit)
    if not args.quiet:
        source = with_notes(job.task, source)
    seekable, single = is_seekable(job.files), False
    if not seekable and (job.pictures or args.show_steps):
        source = with_deadline(source, job.deadline)
    if job.pictures or seekable:  # elsewhere, looking ahead means waiting
        first, source = peek(source)
        single = len(first) == 1
        if single and isinstance(first[0], InvalidPuzzle) and group is None:  # needs no model
            yield Result(first[0], error=first[0].message)
            return
    report.is_numbered = not single
    watched = job.is_watched(single)
    model = job.load(report)
    options = job.search.solve_options(args.max_steps, args.seed)
    if group is not None:
        yield from job.sharded(model, source)
    elif not watched:
        yield from model.solve(source, options, deadline=job.deadline)
    else:
        for record in source:
            if isinstance(record, Puzzle):
                events = model.watch(record, options, deadline=job.deadline)
                max_steps = options.max_steps or model.task.max_steps(record.question)
                yield job.watch(frames(model.task, events, record, max_steps), single)
            else:
                yield Result(record, error=record.message)
