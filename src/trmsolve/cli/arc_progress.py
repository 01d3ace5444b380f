"""What `trmsolve arc` says on stderr: what it is about to do, how it goes, and how each task and all of them ended."""

from __future__ import annotations

import time
from collections.abc import Sequence

from trmsolve.cli.run import ERROR, SOLVED, UNSOLVED
from trmsolve.inference.few_shot import AdaptEvent, AdaptOptions, FewShotResult, RefineEvent
from trmsolve.render.caption import duration, percent
from trmsolve.tasks.few_shot import FewShotTask, solves


def announcement(tasks: Sequence[FewShotTask], options: AdaptOptions) -> str:
    """What the next minutes or hours are spent on, and how long they are at most."""
    limits = [_span(options.budget)] if options.budget is not None else []
    limits += [_count(options.steps, "step")] if options.steps is not None else []
    limit, votes = f"{' or '.join(limits)} at most", _count(options.votes, "vote")
    if len(tasks) == 1:
        shown = _count(len(tasks[0].demonstrations), "demonstration")
        return f"new task {tasks[0].name}: adapting to {shown}, {limit}; then {votes}"
    whole = "" if options.budget is None else f", {_span(options.budget * len(tasks))} in all"
    return f"{len(tasks)} new tasks: adapting to each, {limit}{whole}; then {votes}"


def judgement(result: FewShotResult) -> str:
    """How a task ended. Without answers, all that can be judged is whether its demonstrations are reproduced."""
    task = result.task
    cost = [_count(result.steps, "step"), duration(result.seconds)]
    cost += [f"peak memory {result.memory / 1e6:,.0f} MB"] if result.memory else []
    return f"{task.name}: {_verdict(task, result)} ({', '.join(cost)})"


def _verdict(task: FewShotTask, result: FewShotResult) -> str:
    if task.answers is None:
        share = f"in {percent(result.reproduced)} of their views"
        if result.fits:
            return f"answered; the demonstrations are reproduced {share}"
        return f"answered, but the demonstrations are reproduced {share} alone: hardly right; try a longer --budget"
    tests = list(zip(result.attempts, task.answers, strict=True))
    by = [next((k for k in (1, 2) if solves(tried[k - 1 : k], answer)), 0) for tried, answer in tests]
    if len(by) == 1:
        return f"solved with attempt {by[0]}" if by[0] else "not solved"
    if all(by):
        return "solved: " + ", ".join(f"test {i} with attempt {k}" for i, k in enumerate(by, 1))
    return f"not solved: {sum(map(bool, by))} of {len(by)} tests right"


def passing_words(event: AdaptEvent | RefineEvent) -> str:
    """What goes on, on one line, the time left at its end."""
    if isinstance(event, RefineEvent):
        halt = percent(event.halt_prob)
        return f"{event.task.name}: test {event.test + 1}, step {event.step} of {event.max_steps}, halting {halt}"
    unseen = (
        "" if event.holdout_accuracy is None else f", unseen {percent(event.holdout_accuracy)}"
    )  # of the demonstration left out
    left = f", {event.seconds / event.progress - event.seconds:,.0f} s left" if event.progress else ""
    return (
        f"{', '.join(task.name for task in event.tasks)}: {event.phase}, step {event.step:,}, loss {event.loss:.2f}, "
        f"right {percent(event.accuracy)}{unseen}{left}"
    )


class Tally:
    """How the tasks of a run ended."""

    def __init__(self) -> None:
        self.tasks = self.known = self.solved = self.fitting = self.bad = 0
        self.started = time.monotonic()

    def add(self, result: FewShotResult) -> None:
        """One more result."""
        self.tasks += 1
        if result.error:
            self.bad += 1
        elif result.solved is None:
            self.fitting += result.fits
        else:
            self.known += 1
            self.solved += result.solved

    @property
    def code(self) -> int:
        """The exit code they add up to."""
        if self.bad or not self.tasks:
            return ERROR
        return SOLVED if self.solved + self.fitting == self.tasks else UNSOLVED

    def __str__(self) -> str:
        others = self.tasks - self.known - self.bad
        parts = []
        if self.known or not others:
            parts.append(f"{self.solved} of {_count(self.known, 'task')} solved (pass@2)")
        if others:
            parts.append(f"{self.fitting} of {_count(others, 'task')} without answers: demonstrations reproduced")
        if self.bad:
            parts.append(f"{self.bad} failed or not readable")
        return f"{', '.join(parts)}; {duration(time.monotonic() - self.started)}"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _span(seconds: float) -> str:
    return f"{seconds:g} s" if seconds < 100 else duration(seconds)
