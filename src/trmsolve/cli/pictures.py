"""From the solver's steps to frames, and from frames to the live view and to picture files."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from trmsolve.inference.options import Result, StepEvent
from trmsolve.render.frame import Frame
from trmsolve.tasks.base import Prediction, Puzzle, Task
from trmsolve.text_io import atomic_write, check_writable

Outcome = TypeVar("Outcome")
MAX_INITIAL_FRAMES = 6  # frames before the first step that files keep


@dataclass(frozen=True)
class PictureFiles:
    """Where pictures go: the final state as SVG, the refinement as GIF or HTML."""

    svg: Path | None = None
    gif: Path | None = None
    html: Path | None = None
    force: bool = False

    def __bool__(self) -> bool:
        return any((self.svg, self.gif, self.html))

    def check(self) -> None:
        """Raises TrmsolveError now rather than after the solve."""
        for path in (self.svg, self.gif, self.html):
            if path is not None:
                check_writable(path, self.force)

    def write(self, frames: list[Frame]) -> None:
        """Write what is asked for."""
        frames = _with_few_initial(frames)
        if self.svg is not None:
            from trmsolve.render.svg import svg

            atomic_write(self.svg, svg(frames[-1]), self.force)
        if self.html is not None:
            from trmsolve.render.html import html

            atomic_write(self.html, html(frames), self.force)
        if self.gif is not None:
            from trmsolve.render.gif import save_gif

            save_gif(frames, self.gif, self.force)


def frames(
    task: Task, events: Iterator[StepEvent | Result], puzzle: Puzzle, max_steps: int
) -> Iterator[Frame | Result]:
    """A frame for the question, one for every step, and the Result at the end. The last frame is marked `done`."""
    started = time.monotonic()
    previous: Prediction | None = None
    pending = Frame(task.picture(puzzle.question, None, None), task.name, puzzle.source, 0, max_steps)
    for event in events:
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
                open_guess=event.description,
                seconds=time.monotonic() - started,
                solved=event.solved,
            )
            previous = event.prediction
        else:
            from dataclasses import replace

            yield replace(pending, done=True, solved=event.solved)
            yield event


def show(
    stream: Iterator[Frame | Outcome], color: str, pace: float, visible: bool, keep: bool
) -> tuple[list[Frame], Outcome]:
    """Play frames on stderr (when visible); returns those to keep, all or none, and what ended them: a result."""
    from trmsolve.render.terminal import LiveView

    seen: list[Frame] = []
    with LiveView(sys.stderr, color, pace) as view:
        for item in stream:
            if not isinstance(item, Frame):
                return seen, item
            if keep:
                seen.append(item)
            if visible:
                view.show(item)
    raise AssertionError("frames end with a result")


def _with_few_initial(frames: list[Frame]) -> list[Frame]:
    """Of the frames before the first step only a few: a picture shows the steps."""
    before = [frame for frame in frames if frame.step == 0]
    few = (
        [before[i * (len(before) - 1) // (MAX_INITIAL_FRAMES - 1)] for i in range(MAX_INITIAL_FRAMES)]
        if len(before) > MAX_INITIAL_FRAMES
        else before
    )
    return [*few, *(frame for frame in frames if frame.step > 0)]
