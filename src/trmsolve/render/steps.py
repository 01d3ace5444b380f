"""Turn the solver's steps into frames."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import TypeVar

from trmsolve.inference.options import Result, StepEvent
from trmsolve.render.frame import Frame
from trmsolve.tasks.base import Prediction, Puzzle, Task

Event = TypeVar("Event")


def frames(
    task: Task, events: Iterator[StepEvent | Result], puzzle: Puzzle, max_steps: int
) -> Iterator[Frame | Result]:
    """A frame for the question, one for every step, and the Result at the end. The last frame is marked `done`."""
    previous: Prediction | None = None
    pending = Frame(task.picture(puzzle.question, None, None), task.name, puzzle.source, 0, max_steps)
    for event, seconds in timed(events):
        if isinstance(event, StepEvent):
            yield pending
            pending = Frame(
                task.picture(puzzle.question, event.prediction, previous),
                task.name,
                puzzle.source,
                event.step,
                event.max_steps,
                run=event.run,
                halt_probability=event.halt_prob,
                violations=len(task.check(puzzle.question, event.prediction.answer)) if task.has_rules else 0,
                assumption=event.description,
                seconds=seconds,
                solved=event.solved,
            )
            previous = event.prediction
        else:
            yield replace(pending, done=True, solved=event.solved)
            yield event


def timed(events: Iterator[Event]) -> Iterator[tuple[Event, float]]:
    """Each event with the seconds spent computing it and all events before it, without the time to show them."""
    seconds, resumed = 0.0, time.monotonic()
    for event in events:
        seconds += time.monotonic() - resumed
        yield event, seconds
        resumed = time.monotonic()
