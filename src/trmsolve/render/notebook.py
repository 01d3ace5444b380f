"""Pictures of results and steps for notebooks: an SVG, or for a watched run a page with a slider."""

from __future__ import annotations

import base64
import sys
from collections.abc import Iterator, Sequence
from html import escape

from trmsolve.inference.options import Result, StepEvent
from trmsolve.render.caption import duration
from trmsolve.render.console import console_for
from trmsolve.render.frame import Frame, Stat, StatusText, frames, rules_stat
from trmsolve.render.html import html
from trmsolve.render.panel import PuzzlePanel
from trmsolve.render.svg import svg
from trmsolve.tasks.base import InvalidPuzzle, Task
from trmsolve.text_io import printable

PAGE_HEIGHT = 620  # pixels of a page with a slider


class NotebookView:
    """Draws the results and the steps of one task (inference/options.py: View).

    events: the steps of a watched puzzle, for the slider of its result.
    """

    def __init__(self, task: Task, events: Sequence[StepEvent] = ()) -> None:
        self.task, self.events = task, events

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        return type(None), ()  # a result that goes to another process leaves its view behind

    def html(self, item: StepEvent | Result) -> str:
        """The picture as HTML: an image, or a frame that holds a page; neither touches the notebook's own styles."""
        if isinstance(item, Result) and self.events:
            page = escape(html([frame for frame in self._watched(item) if isinstance(frame, Frame)]), quote=True)
            return f'<iframe srcdoc="{page}" style="width:100%;height:{PAGE_HEIGHT}px;border:0"></iframe>'
        frame = self.frame(item)
        if frame is None:
            return f"<pre>{escape(repr(item))}</pre>"
        image = base64.b64encode(svg(frame).encode()).decode()
        return f'<img alt="{escape(frame.sentence(), quote=True)}" src="data:image/svg+xml;base64,{image}"/>'

    def show(self, item: StepEvent | Result) -> None:
        """Show the picture below a notebook's cell, elsewhere on stdout."""
        if "ipykernel" in sys.modules:
            from IPython.display import display  # type: ignore[import-not-found,unused-ignore]

            display(item)
            return
        console, frame = console_for(sys.stdout), self.frame(item)
        if frame is None:
            console.print(printable(repr(item)), markup=False, soft_wrap=True)
            return
        panel = PuzzlePanel(console)
        panel.add(frame)
        for line in (panel.title(), panel.summary(), *panel.whole()):
            console.print(line, soft_wrap=True)

    def frame(self, item: StepEvent | Result) -> Frame | None:
        """The grid with its figures; None for a record that is no puzzle."""
        puzzle = item.puzzle
        if isinstance(puzzle, InvalidPuzzle):
            return None
        stats = [rules_stat(self.task, item)[0]]
        stats += [Stat("time", duration(item.seconds))] if isinstance(item, Result) else []
        return Frame(
            self.task.picture(puzzle.question, item.prediction, None),
            self.task.name,
            puzzle.source,
            item.steps if isinstance(item, Result) else item.step,
            StatusText(item.summary, ("halting", item.halt_prob), tuple(stats)),
            solved=None if isinstance(item, Result) and item.answered and not item.solved else item.solved,
            done=isinstance(item, Result),
        )

    def _watched(self, result: Result) -> Iterator[Frame | Result]:
        first = self.events[0]
        return frames(self.task, iter([*self.events, result]), first.puzzle, first.max_steps)
