"""The live view: a puzzle's refinement in a terminal, redrawn in place.

Where the stream cannot move its cursor (a file, a pipe, a dumb terminal) each step is one line of text instead, and
the last picture is drawn once below them.
"""

from __future__ import annotations

import sys
import time
from typing import TextIO

from rich.live import Live

from trmsolve.render.console import console_for, is_live, start_live
from trmsolve.render.frame import Frame
from trmsolve.render.panel import PuzzlePanel

REDRAW_SECONDS = 0.04  # least time between two redraws: faster ones only flicker


class LiveView:
    """Shows frames as they arrive.

        with LiveView(sys.stderr, color="auto") as view:
            for frame in frames:
                view.show(frame)

    The frame marked `done` stays on the screen and ends the drawing: once show() has returned from it, the cursor is
    restored and the answer may be printed, to the same terminal too. The next frame starts a new drawing below. Leaving
    the block in any way also restores the cursor. `pace` holds every frame for at least so many seconds.
    """

    def __init__(self, stream: TextIO | None = None, color: str = "auto", pace: float = 0.0) -> None:
        self.console = console_for(stream if stream is not None else sys.stderr, color)
        self.pace = pace
        self._panel: PuzzlePanel | None = None
        self._live: Live | None = None
        self._drawn_at = 0.0

    def __enter__(self) -> LiveView:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def show(self, frame: Frame) -> None:
        """Draw one frame."""
        is_first = self._panel is None
        panel = self._panel = self._panel or PuzzlePanel(self.console)
        panel.add(frame)
        if is_live(self.console):
            self._redraw(frame, panel)
        else:
            lines = [*([panel.title()] if is_first else []), panel.summary(), *(panel.whole() if frame.done else [])]
            for line in lines:
                self.console.print(line, soft_wrap=True)  # in a log, a long line is better than two
        if frame.done:
            self.close()

    def close(self) -> None:
        """Leave the drawing on the screen and restore the cursor."""
        live, self._live, self._panel = self._live, None, None
        if live is not None:
            live.stop()

    def _redraw(self, frame: Frame, panel: PuzzlePanel) -> None:
        if self._live is None:
            self._live = start_live(panel, self.console)
            self._drawn_at = time.monotonic()
        elif frame.done or self.pace or time.monotonic() - self._drawn_at >= REDRAW_SECONDS:
            self._live.refresh()
            self._drawn_at = time.monotonic()
        if self.pace and not frame.done:
            time.sleep(self.pace)
