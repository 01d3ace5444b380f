"""From the solver's steps to frames, and from frames to the live view and to picture files."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from trmsolve.files import check_writable, write_atomically
from trmsolve.solving.options import Result, StepEvent
from trmsolve.tasks.base import Guess, Puzzle, Task
from trmsolve.view.frame import Frame

Ended = TypeVar("Ended")
FEW = 6  # frames before the first step that files keep


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
        frames = _begun(frames)
        if self.svg is not None:
            from trmsolve.view.svg import svg

            write_atomically(self.svg, svg(frames[-1]), self.force)
        if self.html is not None:
            from trmsolve.view.html import html

            write_atomically(self.html, html(frames), self.force)
        if self.gif is not None:
            from trmsolve.view.gif import save_gif

            save_gif(frames, self.gif, self.force)


def frames(
    task: Task, events: Iterator[StepEvent | Result], puzzle: Puzzle, max_steps: int
) -> Iterator[Frame | Result]:
    """A frame for the question, one for every step, and the Result at the end. The last frame is marked `done`."""
    started = time.monotonic()
    previous: Guess | None = None
    pending = Frame(task.picture(puzzle.question, None, None), task.name, puzzle.source, 0, max_steps)
    for event in events:
        if isinstance(event, StepEvent):
            yield pending
            pending = Frame(
                task.picture(puzzle.question, event.guess, previous),
                task.name,
                puzzle.source,
                event.step,
                event.max_steps,
                run=event.run,
                halt_probability=event.halt_probability,
                violations=len(task.check(puzzle.question, event.guess.answer)),
                open_guess=event.how,
                seconds=time.monotonic() - started,
                solved=event.solved,
            )
            previous = event.guess
        else:
            from dataclasses import replace

            yield replace(pending, done=True, solved=event.solved)
            yield event


def show(
    stream: Iterator[Frame | Ended], color: str, pace: float, visible: bool, keep: bool
) -> tuple[list[Frame], Ended]:
    """Play frames on stderr (when visible); returns those to keep, all or none, and what ended them: a result."""
    from trmsolve.view.terminal import LiveView

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


def _begun(frames: list[Frame]) -> list[Frame]:
    """Of the frames before the first step only a few: what happens there has no place in a picture."""
    before = [frame for frame in frames if frame.step == 0]
    few = [before[i * (len(before) - 1) // (FEW - 1)] for i in range(FEW)] if len(before) > FEW else before
    return [*few, *(frame for frame in frames if frame.step > 0)]
