"""Few-shot tasks on the command line: solve and evaluate them, store results, write submissions, show progress."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trmsolve.cli.inputs import is_seekable, records, with_deadline, with_notes
from trmsolve.cli.output import put, status_line
from trmsolve.cli.report import Report, count
from trmsolve.cli.run import echo_err, shard
from trmsolve.cli.tables import TaskTable
from trmsolve.distributed import ProcessGroup
from trmsolve.errors import TrmsolveError
from trmsolve.inference.few_shot import AdaptEvent, AdaptOptions, FewShotResult, RefineEvent
from trmsolve.inference.few_shot_report import row, score_of
from trmsolve.inference.result_store import ResultStore
from trmsolve.render.caption import duration, percent
from trmsolve.render.console import is_terminal
from trmsolve.tasks.base import InvalidPuzzle, Task
from trmsolve.tasks.few_shot import Demonstrates, FewShotTask, Score
from trmsolve.text_io import atomic_write

if TYPE_CHECKING:
    from trmsolve.api import Model
    from trmsolve.cli.solve import Job


def few_shot_results(job: Job, report: Report) -> Generator[FewShotResult, None, None]:
    """The result of each task, in order. All tasks are read before the first one is solved."""
    args, adapt, group = job.args, job.adapt, job.group
    source = records(job.task, job.files, args.limit, adapt.solutions)
    if not args.quiet:
        source = with_notes(job.task, source)
    all_records = list(source if is_seekable(job.files) else with_deadline(source, job.deadline))
    if not all_records:
        raise TrmsolveError(f"{', '.join(job.files)}: no task found", "name a JSON file of tasks, or a folder of them")
    job.summary.expected = len(all_records)
    single, tasks = len(all_records) == 1, [record for record in all_records if isinstance(record, FewShotTask)]
    watched = job.is_watched(single)
    options = adapt.adapt_options(args.max_steps, args.seed)
    if watched:
        options = replace(options, tasks_per_batch=1)
    submission = Submission(job.task, adapt.submission, args.force, all_records) if adapt.submission else None
    if submission is not None:
        submission.write()
    model = job.load(report) if tasks or group is not None else None  # malformed tasks need no model
    kept = stored_results(adapt.resume, model, options, tasks) if adapt.resume and model else None
    stored = {} if kept is None else kept.results
    new = [task for task in tasks if task.name not in stored]
    if stored and not args.quiet:
        done = f"{len(stored)} of {count(len(tasks), 'task')}"
        echo_err(f"{done} found in {adapt.resume}; not solved again")
    if new and not args.quiet:
        echo_err(announcement(new, options))
    shows_status = not watched and not args.quiet and is_terminal(sys.stderr)
    events: Iterator[Any]
    if model is None:
        events = iter(())
    elif group is not None:
        events = job.sharded(model, new)
    else:
        events = model.adapt(new, options, events=watched or shows_status, deadline=job.deadline)
    try:
        for number, record in enumerate(all_records, 1):
            if isinstance(record, InvalidPuzzle):
                yield FewShotResult(record, error=record.message)
                continue
            is_new = record.name not in stored
            task_events = events if is_new else iter([stored[record.name]])
            if watched:
                from trmsolve.cli.arc_pictures import frames as task_frames

                result = job.watch(task_frames(task_events, record, options), single)
            else:
                result = _next_result(task_events, shows_status, "" if single else f"{number}/{len(all_records)} ")
            if kept is not None and is_new:
                kept.store.add(result)
            if submission is not None:
                submission.add(result, write=is_new)
            yield result
        if group is not None:
            list(events)  # a collective operation: the other processes wait for it
    finally:
        if submission is not None:
            submission.write()
            if not args.quiet:
                echo_err(str(submission))


@dataclass(frozen=True)
class StoredResults:
    """A ResultStore, and those of its results that belong to the tasks of this run, by name."""

    store: ResultStore
    results: dict[str, FewShotResult]


def stored_results(path: Path, model: Model, options: AdaptOptions, tasks: Iterable[FewShotTask]) -> StoredResults:
    """Open the file of --resume; damaged lines are counted on stderr."""
    store = ResultStore(path, model.checkpoint.sha256, options)
    if store.num_damaged:
        echo_err(f"{path}: {count(store.num_damaged, 'damaged line')} ignored; their tasks are solved again")
    return StoredResults(store, {task.name: result for task in tasks if (result := store.find(task)) is not None})


def _next_result(
    events: Iterator[AdaptEvent | RefineEvent | FewShotResult], visible: bool, prefix: str
) -> FewShotResult:
    """The next result; until then the progress is shown on a line of the terminal."""
    with status_line(visible) as show_status:
        for event in events:
            if isinstance(event, FewShotResult):
                return event
            show_status(prefix + progress_text(event))
    raise AssertionError("every task has a result")


def announcement(tasks: Sequence[FewShotTask], options: AdaptOptions) -> str:
    """The message before solving: the number of tasks, and the maximum time."""
    limits = [_time(options.budget)] if options.budget is not None else []
    limits += [count(options.steps, "step")] if options.steps is not None else []
    limit, votes = f"at most {' or '.join(limits)}", count(options.votes, "vote")
    if len(tasks) == 1:
        demonstrations = count(len(tasks[0].demonstrations), "demonstration")
        return f"new task {tasks[0].name}: adapting to {demonstrations}, {limit}; then {votes}"
    total = "" if options.budget is None else f", {_time(options.budget * len(tasks))} in total"
    return f"{len(tasks)} new tasks: adapting to each, {limit}{total}; then {votes}"


def progress_text(event: AdaptEvent | RefineEvent) -> str:
    """The progress on one line, the remaining time at its end."""
    if isinstance(event, RefineEvent):
        halt = percent(event.halt_prob)
        return f"{event.task.name}: test {event.test + 1}, step {event.step} of {event.max_steps}, halting {halt}"
    holdout = "" if event.holdout_accuracy is None else f", held out {percent(event.holdout_accuracy)}"
    left = f", {event.seconds / event.progress - event.seconds:,.0f} s left" if event.progress else ""
    names = ", ".join(task.name for task in event.tasks)
    accuracy = percent(event.accuracy)
    return f"{names}: {event.phase}, step {event.step:,}, loss {event.loss:.2f}, right {accuracy}{holdout}{left}"


def _time(seconds: float) -> str:
    return f"{seconds:g} s" if seconds < 100 else duration(seconds)


class Submission:
    """A competition's submission file. It is complete at any time: unanswered tests have placeholders."""

    def __init__(self, task: Task, path: Path, force: bool, all_records: Iterable[FewShotTask | InvalidPuzzle]) -> None:
        assert isinstance(task, Demonstrates)
        self.task, self.path, self.force = task, path, force
        self.attempts = task.empty_answers(all_records)
        self.answered: set[str] = set()
        self._changed = True

    def add(self, result: FewShotResult, write: bool) -> None:
        """Add a result; write the file, unless the next result comes at once."""
        if isinstance(result.task, FewShotTask) and not result.error:
            self.attempts[result.task.name] = result.attempts
            self.answered.add(result.task.name)
            self._changed = True
        if write:
            self.write()

    def write(self) -> None:
        """Bring the file up to date. Raises TrmsolveError when it cannot be written."""
        if self._changed:
            atomic_write(self.path, self.task.submission(self.attempts), self.force)
            self.force, self._changed = True, False  # this run has created the file and may replace it

    def __str__(self) -> str:
        return f"{self.path}: {len(self.answered)} of {count(len(self.attempts), 'task')} answered"


# -- measuring ----------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Subset:
    """The tasks to evaluate. total: the number of tasks in the input. description: of the choice, "" for all."""

    tasks: list[FewShotTask]
    total: int
    description: str


def choose(tasks: Sequence[FewShotTask], every: int, limit: int | None, share: str | None) -> Subset:
    """Every N-th task, of these the first ones, and of these a share. Raises TrmsolveError when none is left."""
    chosen, parts = list(tasks[::every]), []
    if every > 1:
        parts.append(f"one of every {every}")
    if limit is not None and limit < len(chosen):
        chosen = chosen[:limit]
        parts.append(f"the first {limit}" + " of these" * bool(parts))
    if share is not None:
        match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", share, re.ASCII)
        index, number = (int(match[1]), int(match[2])) if match else (0, 0)
        if not 1 <= index <= number:
            raise TrmsolveError(f"--shard {share}: expected I/N with I from 1 to N", "for example --shard 1/4")
        chosen = chosen[index - 1 :: number]
        parts.append(f"shard {index} of {number}")
    if not chosen:
        hint = f"choose a smaller --every or --shard: the input has {count(len(tasks), 'task')}"
        raise TrmsolveError("no task to measure", hint if tasks else "expected tasks with answers")
    return Subset(chosen, len(tasks), f"of {len(tasks)}: {', '.join(parts)}" if parts else "")


def check_answers(tasks: Sequence[FewShotTask]) -> None:
    if unknown := [task for task in tasks if task.answers is None]:
        others = f" ({len(unknown)} of {len(tasks)} tasks have none)" * (len(tasks) > 1)
        raise TrmsolveError(
            f"{unknown[0].source}: no answers to score against{others}",
            "add outputs to the tests, or --solutions FILE; to answer them: trmsolve arc",
        )


def plan(subset: Subset, options: AdaptOptions, kept: StoredResults | None) -> str:
    """The message before an evaluation: the number of tasks, and the maximum time."""
    num_kept = len(kept.results) if kept else 0
    new = len(subset.tasks) - num_kept
    parts = [f"adapting to {count(new, 'task')}" + f" ({subset.description})" * bool(subset.description)]
    if kept and num_kept:
        parts.append(f"{num_kept} more are stored in {kept.store.path}")
    if options.budget is not None and new:
        parts.append(f"at most about {duration(options.budget * new)}")
    return ", ".join(parts)


def adapted(
    model: Model,
    group: ProcessGroup | None,
    tasks: Sequence[FewShotTask],
    kept: StoredResults | None,
    options: AdaptOptions,
) -> Iterator[FewShotResult]:
    """The results of all tasks in order, stored ones included. The solver does not get the answers."""
    stored: Mapping[str, FewShotResult] = kept.results if kept else {}
    new = [replace(task, answers=None) for task in tasks if task.name not in stored]
    if group is None:
        stream: Iterator[Any] = model.adapt(new, options)
    else:
        stream = shard(group, lambda items, _: model.adapt(items, options), new, window=options.tasks_per_batch)
        if not group.is_main:
            yield from stream  # computes its share, and yields nothing
            return
    for task in tasks:
        if task.name in stored:
            yield stored[task.name]
            continue
        result = replace(next(stream), task=task)
        if kept is not None:
            kept.store.add(result)
        yield result
    if group is not None:
        list(stream)  # a collective operation: the other processes wait for it


def with_progress(
    stream: Iterator[FewShotResult], subset: Subset, kept: StoredResults | None, with_table: bool, quiet: bool
) -> Iterator[FewShotResult]:
    """The results, unchanged; progress is shown on stderr, and with_table a row for each on stdout."""
    num_tasks, score, num_new, started = len(subset.tasks), Score(), 0, time.monotonic()
    stored: Mapping[str, FewShotResult] = kept.results if kept else {}
    table = TaskTable([task.name for task in subset.tasks]) if with_table else None
    if table is not None:
        put(table.head())
    with status_line(not quiet) as show:
        for done, task in enumerate(subset.tasks):
            parts = [f"task {done + 1} of {num_tasks}"]
            if done:
                parts.append(f"pass@2 so far {100 * score.rate:.1f} %")
            if num_new:
                seconds_left = (num_tasks - len(stored) - num_new) * (time.monotonic() - started) / num_new
                parts.append(f"about {duration(seconds_left)} left")
            show(", ".join(parts))
            result = next(stream)
            show("")
            if result.error:
                echo_err(f"{task.source}: {result.error}")
            if table is not None:
                put(table.row(row(result)))
            num_new += task.name not in stored
            score += score_of(result)
            yield result
        list(stream)
