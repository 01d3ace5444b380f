"""How commands solve few-shot tasks: the tasks chosen, results that are kept, submissions, the progress of each."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trmsolve.cli.inputs import is_seekable, records, with_deadline, with_notes
from trmsolve.cli.output import status_line
from trmsolve.cli.run import echo_err
from trmsolve.errors import TrmsolveError
from trmsolve.inference.few_shot import AdaptEvent, AdaptOptions, FewShotResult, RefineEvent
from trmsolve.inference.result_store import ResultStore
from trmsolve.render.caption import count, duration, percent
from trmsolve.render.console import is_terminal
from trmsolve.tasks.base import InvalidPuzzle, Task
from trmsolve.tasks.few_shot import Demonstrates, FewShotTask
from trmsolve.text_io import atomic_write

if TYPE_CHECKING:
    from trmsolve.api import Model
    from trmsolve.cli.report import Report
    from trmsolve.cli.solve import Job


def few_shot_results(job: Job, report: Report) -> Generator[FewShotResult, None, None]:
    """The result of each task, in order. All tasks are read before the first one is solved."""
    all_records = _all_records(job)
    single, tasks = len(all_records) == 1, [record for record in all_records if isinstance(record, FewShotTask)]
    watched, quiet = job.is_watched(single), job.args.quiet
    options = job.adapt.adapt_options(job.args.max_steps, job.args.seed)
    submission = _submission(job, all_records)
    store: ResultStore | None = None
    stored: dict[str, FewShotResult] = {}
    events: Iterator[Any] = iter(())
    shows_status = not watched and not quiet and is_terminal(sys.stderr)
    if tasks or job.group is not None:  # malformed tasks need no model
        model = job.load(report)
        store, stored = stored_results(job.adapt.resume, model, options, tasks)
        new = [task for task in tasks if task.name not in stored]
        if stored and not quiet:
            echo_err(f"{len(stored)} of {count(len(tasks), 'task')} found in {job.adapt.resume}; not solved again")
        if new and not quiet:
            echo_err(announcement(new, options))
        if watched or (shows_status and job.group is None):
            one_by_one = replace(options, tasks_per_batch=1) if watched else options
            events = model.adapt(new, one_by_one, events=True, deadline=job.deadline)
        else:
            events = job.results(model, new)
    try:
        for number, record in enumerate(all_records, 1):
            if isinstance(record, InvalidPuzzle):
                yield FewShotResult(record, error=record.message)
                continue
            is_new = record.name not in stored
            task_events = events if is_new else iter([stored[record.name]])
            if watched:
                from trmsolve.render.few_shot_frames import frames

                result = job.watch(frames(job.task.name, task_events, record, options), single)
            else:
                with status_line(shows_status) as show:
                    result = _next_result(task_events, show, "" if single else f"{number}/{len(all_records)} ")
            if store is not None and is_new:
                store.add(result)
            if submission is not None:
                submission.add(result, write=is_new)
            yield result
        if job.group is not None:
            list(events)  # a collective operation: the other processes wait for it
    finally:
        if submission is not None:
            submission.write()
            if not quiet:
                echo_err(str(submission))


def _all_records(job: Job) -> list[FewShotTask | InvalidPuzzle]:
    """All tasks of the files. Raises TrmsolveError where there is none."""
    source = records(job.task, job.files, job.args.limit, job.adapt.solutions)
    if not job.args.quiet:
        source = with_notes(job.task, source)
    inputs = [*job.files, *([str(job.adapt.solutions)] if job.adapt.solutions else [])]
    all_records: list[Any] = list(source if is_seekable(inputs) else with_deadline(source, job.deadline))
    if not all_records:
        raise TrmsolveError(f"{', '.join(job.files)}: no task found", "name a JSON file of tasks, or a folder of them")
    job.summary.expected = len(all_records)
    return all_records


def _submission(job: Job, all_records: Iterable[FewShotTask | InvalidPuzzle]) -> Submission | None:
    """The submission file, if there is to be one, with placeholders for all tests."""
    if job.adapt.submission is None:
        return None
    may_replace = job.adapt.may_replace_submission(job.args.force)
    submission = Submission(job.task, job.adapt.submission, may_replace, all_records)
    if not job.args.force:
        submission.check_replaced()
    submission.write()
    return submission


def choose_tasks(
    tasks: Sequence[FewShotTask], every: int, limit: int | None, share: str | None
) -> tuple[list[FewShotTask], str]:
    """Every N-th task, of these the first ones, and of these a share; and a description, "" for all tasks.

    Raises TrmsolveError when none is left.
    """
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
    return chosen, f"of {len(tasks)}: {', '.join(parts)}" if parts else ""


def check_answers(tasks: Sequence[FewShotTask]) -> None:
    """Raise TrmsolveError for tasks without answers, which cannot be scored."""
    if unknown := [task for task in tasks if task.answers is None]:
        others = f" ({len(unknown)} of {len(tasks)} tasks have none)" * (len(tasks) > 1)
        raise TrmsolveError(
            f"{unknown[0].source}: no answers to score against{others}",
            "add outputs to the tests, or --solutions FILE; to answer them: trmsolve arc",
        )


def stored_results(
    path: Path | None, model: Model, options: AdaptOptions, tasks: Iterable[FewShotTask]
) -> tuple[ResultStore | None, dict[str, FewShotResult]]:
    """The file of --resume, and the results in it for these tasks, by name. Damaged lines are counted on stderr."""
    if path is None:
        return None, {}
    store = ResultStore(path, model.checkpoint.sha256, options)
    if store.num_damaged:
        echo_err(f"{path}: {count(store.num_damaged, 'damaged line')} ignored")
    return store, {task.name: result for task in tasks if (result := store.find(task)) is not None}


def _next_result(
    events: Iterator[AdaptEvent | RefineEvent | FewShotResult], show: Callable[[str], None], prefix: str
) -> FewShotResult:
    for event in events:
        if isinstance(event, FewShotResult):
            return event
        show(prefix + progress_text(event))
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

    def check_replaced(self) -> None:
        """Raise TrmsolveError for a file that is no submission, or has tasks that this one lacks."""
        if not self.path.is_file():
            return
        problem = "is no submission"
        with suppress(ValueError, RecursionError):
            replaced = json.loads(self.path.read_bytes())
            if isinstance(replaced, dict):
                lost = replaced.keys() - self.attempts.keys()
                problem = f"has {count(len(lost), 'task')} that this run lacks" if lost else ""
        if problem:
            raise TrmsolveError(f"{self.path}: exists and {problem}", "name another file, or overwrite it with --force")

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
