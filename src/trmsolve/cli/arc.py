"""trmsolve arc FILE... | DIR | -: adapts to each task by gradient steps on its demonstrations, and answers it twice."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trmsolve.cli import arc_options as a
from trmsolve.cli import options as o
from trmsolve.cli.arc_progress import Tally, announcement, judgement, passing_words
from trmsolve.cli.arc_report import Report, Submission
from trmsolve.cli.inputs import is_seekable, piped, with_deadline
from trmsolve.cli.output import check_style, destination, model_fields, status_line
from trmsolve.cli.pictures import PictureFiles, show
from trmsolve.cli.run import ERROR, INTERRUPTED, TERMINATED, TIMED_OUT, Terminated, command, echo_err, log_verbosely
from trmsolve.errors import TrmsolveError
from trmsolve.inference.few_shot import AdaptEvent, AdaptOptions, FewShotResult, RefineEvent
from trmsolve.inference.prefetch import DeadlineExceeded
from trmsolve.inference.result_store import ResultStore
from trmsolve.render.console import is_terminal
from trmsolve.tasks.arc.read import EXPECTED, Record, read
from trmsolve.tasks.base import InvalidPuzzle
from trmsolve.tasks.few_shot import FewShotTask
from trmsolve.text_io import check_writable

if TYPE_CHECKING:
    from trmsolve.api import Model

DEFAULTS = AdaptOptions()


@dataclass(frozen=True)
class Asked:
    """The command's arguments, as far as they decide what is done with the tasks."""

    options: AdaptOptions
    checkpoint: str | None
    resume: Path | None
    pictures: PictureFiles
    show_steps: bool | None
    pace: float
    deadline: float | None
    device: str
    dtype: str
    color: str
    quiet: bool
    verbose: bool


@command
def arc(
    context: typer.Context,
    files: Annotated[
        list[str] | None, typer.Argument(metavar="FILE", help="Tasks, collections or folders (JSON); - is stdin.")
    ] = None,
    checkpoint: o.Checkpoint = None,
    budget: a.Budget = None,
    steps: a.Steps = None,
    votes: a.Votes = DEFAULTS.votes,
    max_steps: a.MaxSteps = DEFAULTS.max_steps,
    tasks_per_batch: a.Together = DEFAULTS.tasks_per_batch,
    seed: a.Seed = DEFAULTS.seed,
    solutions: a.Solutions = None,
    style: Annotated[str | None, typer.Option("--format", help="grid, json or jsonl.", show_default="grid")] = None,
    as_json: o.AsJson = False,
    submission: Annotated[
        Path | None, typer.Option("--submission", help="Also write Kaggle's file here, anew after every task.")
    ] = None,
    resume: a.Resume = None,
    show_steps: Annotated[
        bool | None,
        typer.Option("--show-steps/--no-show-steps", help="Watch; default for one task on a terminal."),
    ] = None,
    pace: o.Pace = 0.0,
    svg: o.Svg = None,
    gif: o.Gif = None,
    html: o.Html = None,
    trace: o.Trace = None,
    output: o.Output = None,
    force: o.Force = False,
    timeout: o.Timeout = None,
    limit: a.Limit = None,
    device: o.Device = "auto",
    dtype: o.Dtype = "auto",
    color: Annotated[o.Color, typer.Option("--color", help="Colours on terminals.")] = o.Color.auto,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> int:
    """Answer ARC tasks never seen before: adapt to each by gradient steps on its demonstrations, then vote.

    Reads files with one task (train, test), folders of them, and Kaggle's challenges, whose solutions are found beside
    them. Prints two attempts at each test: what most views draw, or, where no two agree, what all draw together,
    cell by cell (their consensus). With answers at hand a task is solved when one of two is right for every test.

    Exit code: 0 every task solved (one without answers: its demonstrations are reproduced), 1 some not, 2 bad input,
    124 timeout, 130 interrupted.
    """
    files = files or (["-"] if piped() else [])
    if not files:
        echo_err(context.get_help())
        return ERROR
    style = "json" if as_json else style
    check_style(style, ("grid",))
    deadline = None if timeout is None else time.monotonic() + timeout
    asked = Asked(
        options=a.adapt_options(
            budget, steps, votes=votes, max_steps=max_steps, tasks_per_batch=tasks_per_batch, seed=seed
        ),
        checkpoint=checkpoint,
        resume=resume,
        pictures=PictureFiles(svg, gif, html, force, trace),
        show_steps=show_steps,
        pace=pace,
        deadline=deadline,
        device=device,
        dtype=dtype,
        color=color.value,
        quiet=quiet,
        verbose=verbose,
    )
    asked.pictures.check()
    if submission is not None:
        check_writable(submission, force)
    tally, records = Tally(), []
    with destination(output, force) as stream:
        report, answers = Report(style, stream, color.value), None
        try:
            records = _records(files, solutions, limit, deadline)
            if submission is not None:
                answers = Submission(submission, force, (task for task in records if isinstance(task, FewShotTask)))
            for result, new in _results(records, asked, report):
                tally.add(result)
                report.add(result)
                if answers is not None:
                    answers.add(result, at_once=new)
                if result.error:
                    echo_err(f"{result.task.source}: {result.error}")
                elif not quiet:
                    echo_err(judgement(result))
        except DeadlineExceeded:
            echo_err(f"out of time after {timeout:g} s, with {tally.tasks} of {len(records)} tasks done: {tally}")
            return TIMED_OUT
        except (KeyboardInterrupt, Terminated) as signal:
            if not tally.tasks:  # nothing that would be lost
                raise
            ending, code = (
                ("terminated", TERMINATED) if isinstance(signal, Terminated) else ("interrupted", INTERRUPTED)
            )
            echo_err(f"{ending} with {tally.tasks} of {len(records)} tasks done: {tally}")
            return code
        finally:
            report.close()
            if answers is not None:
                answers.write()
    if not quiet:
        if tally.tasks > 1:
            echo_err(str(tally))
        if answers is not None:
            echo_err(str(answers))
    return tally.code


def _records(files: Sequence[str], solutions: Path | None, limit: int | None, deadline: float | None) -> list[Record]:
    """All tasks, before the first of them takes its minute. Raises TrmsolveError when there are none."""
    source = islice(read(files, solutions, strict=False), limit)
    records = list(source if is_seekable(files) else with_deadline(source, deadline))
    if not records:
        raise TrmsolveError(f"{', '.join(files)}: no task in there", EXPECTED)
    for record in records:
        for warning in record.warnings if isinstance(record, FewShotTask) else ():
            echo_err(f"{record.source}: warning: {warning}")
    return records


def _results(records: list[Record], asked: Asked, report: Report) -> Iterator[tuple[FewShotResult, bool]]:
    """What becomes of each record, in order, and whether it took time: kept results and bad records do not."""
    single, pictures = len(records) == 1, asked.pictures
    if pictures and not single:
        raise TrmsolveError("a picture shows one task, and the input holds more", "add --limit 1, or name one file")
    if all(isinstance(record, InvalidPuzzle) for record in records):  # needs no model
        yield from ((FewShotResult(record, error=record.message), False) for record in records)
        return
    on_terminal = is_terminal(sys.stderr)
    visible = on_terminal and single and not asked.quiet if asked.show_steps is None else asked.show_steps
    watched = visible or bool(pictures)
    options = replace(asked.options, tasks_per_batch=1) if watched else asked.options

    model = _load(asked, report)
    kept = None if asked.resume is None else ResultStore(asked.resume, model.checkpoint.sha256, options)
    tasks = [record for record in records if isinstance(record, FewShotTask)]
    known = {task.name: found for task in tasks if kept is not None and (found := kept.find(task)) is not None}
    due = [task for task in tasks if task.name not in known]
    if not asked.quiet:
        if known:
            echo_err(f"{len(known)} of {len(tasks)} tasks are answered in {asked.resume} and not run again")
        if due:
            echo_err(announcement(due, options))
    told = on_terminal and not asked.quiet and not watched  # in a line that passes
    going = model.adapt(due, options, events=watched or told, deadline=asked.deadline)
    for number, record in enumerate(records, 1):
        if isinstance(record, InvalidPuzzle):
            yield FewShotResult(record, error=record.message), False
            continue
        new = record.name not in known
        events = going if new else iter([known[record.name]])
        if watched:
            result = _watched(events, record, options, asked, visible)
        else:
            result = _awaited(events, told, "" if single else f"{number}/{len(records)} ")
        if new and kept is not None:
            kept.add(result)
        yield result, new


def _load(asked: Asked, report: Report) -> Model:
    from trmsolve.api import load

    model = load(asked.checkpoint, task="arc", device=asked.device, dtype=asked.dtype)
    report.model_fields = model_fields(model)
    if asked.verbose:
        log_verbosely(model)
    return model


def _awaited(events: Iterator[AdaptEvent | RefineEvent | FewShotResult], told: bool, which: str) -> FewShotResult:
    """The next result. What comes before it is told on a line of the terminal."""
    with status_line(told) as tell:
        for event in events:
            if isinstance(event, FewShotResult):
                return event
            tell(which + passing_words(event))
    raise AssertionError("every task has a result")


def _watched(
    events: Iterator[AdaptEvent | RefineEvent | FewShotResult],
    task: FewShotTask,
    options: AdaptOptions,
    asked: Asked,
    visible: bool,
) -> FewShotResult:
    """The next result, each step to it shown, and drawn where that is asked for."""
    from trmsolve.cli.arc_pictures import frames

    drawn = frames(events, task, options)
    seen, result = show(drawn, asked.color, asked.pace, visible, bool(asked.pictures), asked.show_steps is True)
    if asked.pictures:
        asked.pictures.write(seen)
    return result
