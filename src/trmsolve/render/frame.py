"""A frame: the state of a solve at one step, the only input of all views (terminal, SVG, GIF, HTML, traces)."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar

from trmsolve.inference.options import Result, StepEvent
from trmsolve.render.caption import count, duration, joined, percent, wrapped
from trmsolve.tasks.base import Picture, Prediction, Puzzle, Task
from trmsolve.text_io import printable

Event = TypeVar("Event")


class Stat(NamedTuple):
    """One named value of a frame."""

    name: str  # at most seven letters
    value: str
    good: bool | None = None  # colour: True for good, False for bad, None for neutral
    may_be_cut: bool = False  # in a narrow window


@dataclass(frozen=True, slots=True)
class StatusText:
    """The text of a frame."""

    state: str = ""  # the phase of the solve; in the last frame, how it ended
    meter: tuple[str, float] = ("halting", 0.0)  # name of the bar, at most seven letters, and its value, 0 .. 1
    stats: tuple[Stat, ...] = ()  # everything else, the most important first
    remaining: int = 0  # what is still to do; drawn over the steps as a row of bars
    unit: str = "unsure cells"  # of `remaining`


@dataclass(frozen=True, slots=True)
class Frame:
    """The grid after one step, with its text."""

    picture: Picture
    task: str
    source: str  # "file:line" of the puzzle
    step: int = 0  # from 1 within a run; 0: the question before any step
    status: StatusText = StatusText()
    seconds: float = 0.0  # since the solve began
    solved: bool | None = False  # the answer passes the rules; None: unknown
    done: bool = False  # the last frame of this puzzle
    zoom_levels: tuple[Picture, ...] = ()  # the picture with less and less context, for small windows

    @property
    def roles(self) -> set[str]:
        """The roles that occur in the picture (for legends)."""
        return {cell.role for row in self.picture.cells for cell in row}

    @property
    def heading(self) -> str:
        """The task and the source of the puzzle."""
        return " ".join(printable(part) for part in (self.task, self.source) if part)

    @property
    def state(self) -> str:
        return printable(self.status.state)

    @property
    def outcome(self) -> str:
        """The value "good" or "bad"; "" before the end and if the outcome is unknown."""
        return "" if not self.done or self.solved is None else "good" if self.solved else "bad"

    @property
    def meter(self) -> tuple[str, float]:
        """The name of the bar, and its value, 0 .. 1."""
        name, share = self.status.meter
        return name, min(max(share, 0.0), 1.0)

    @property
    def stats(self) -> list[Stat]:
        return [stat._replace(value=printable(stat.value)) for stat in self.status.stats]

    def details(self) -> list[str]:
        """Everything except the state and the meter, in parts."""
        return [f"{stat.name} {stat.value}" for stat in self.stats if stat.value != "none"]

    def paragraph(self, length: int, dot: str = "·") -> list[str]:
        """The details in lines of at most `length` characters."""
        return wrapped(self.details(), length, dot)

    def sentence(self, dot: str = "·") -> str:
        """Everything on one line, for logs, summaries and screen readers."""
        name, share = self.meter
        return joined([self.state, f"{name} {percent(share)}", *self.details()], dot)


def frames(
    task: Task, events: Iterator[StepEvent | Result], puzzle: Puzzle, max_steps: int
) -> Iterator[Frame | Result]:
    """A frame for the question, one for every step, and the Result at the end. The last frame is marked `done`."""
    previous: Prediction | None = None
    num_shown = 0  # steps; of parallel runs only one is shown
    question = task.picture(puzzle.question, None, None)
    stats = _stats(question, rules_stat(task, None)[0], 0, "", "0 ms")
    status = StatusText(f"step 0 of at most {max_steps}", stats=stats)
    pending = Frame(question, task.name, puzzle.source, 0, status)
    for event, seconds in with_seconds(events):
        if isinstance(event, StepEvent):
            yield pending
            picture = task.picture(puzzle.question, event.prediction, previous)
            rules, broken = rules_stat(task, event)
            clock = duration(seconds)
            if pending.step:
                clock += f", step {duration(seconds - pending.seconds)}"
            stats = _stats(picture, rules, event.run, event.description, clock)
            state = f"step {event.step} of at most {event.max_steps}"
            status = StatusText(state, ("halting", event.halt_prob), stats, broken, "broken rules")
            pending = Frame(picture, task.name, puzzle.source, event.step, status, seconds, event.solved)
            previous = event.prediction
            num_shown += 1
        else:
            unchecked = event.answered and not event.solved
            state = "answered, not checked" if unchecked else "not solved"
            state = f"solved at step {pending.step}" if event.solved else state
            stats = pending.status.stats
            if event.steps > num_shown > 0:
                total = f"{event.steps} steps; {num_shown} shown (parallel runs)"
                stats = (*stats, Stat("total", total, may_be_cut=True))
            status = replace(pending.status, state=state, stats=stats)
            yield replace(pending, status=status, solved=None if unchecked else event.solved, done=True)
            yield event


def rules_stat(task: Task, item: StepEvent | Result | None) -> tuple[Stat, int]:
    """What the rules say of an answer (None: of the question alone), and how many of them it breaks."""
    if not task.has_rules:
        return Stat("rules", "none to check by"), 0
    if item is None or item.prediction is None or not isinstance(item.puzzle, Puzzle):
        return Stat("rules", "none broken", True), 0
    if broken := len(task.check(item.puzzle.question, item.prediction.answer)):
        return Stat("rules", f"{broken} still broken", False), broken
    return Stat("rules", "all hold" if item.solved else "none broken", True), 0


def _stats(picture: Picture, rules: Stat, run: int, description: str, clock: str) -> tuple[Stat, ...]:
    """The figures of one step of a puzzle; description: the assumptions of its run."""
    roles = Counter(cell.role for row in picture.cells for cell in row)
    depth = description.count("=")  # of the search: one assumption per cell
    return (
        rules,
        Stat("changed", count(roles["changed"], "cell")),
        Stat("unsure", count(roles["unsure"], "cell")),
        Stat("restart", str(run or "none")),
        Stat("guess", (f"depth {depth}, " if depth > 1 else "") + (description or "none"), may_be_cut=True),
        Stat("time", clock, may_be_cut=True),
    )


def with_seconds(events: Iterator[Event]) -> Iterator[tuple[Event, float]]:
    """Each event with the seconds spent computing it and all events before it, without the time to show them."""
    seconds, resumed = 0.0, time.monotonic()
    for event in events:
        seconds += time.monotonic() - resumed
        yield event, seconds
        resumed = time.monotonic()
