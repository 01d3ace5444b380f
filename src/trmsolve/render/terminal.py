"""Watching the refinement in a terminal: the grid redrawn in place, with what is known about it at its side.

Where the stream cannot move its cursor (a file, a pipe, a dumb terminal) each step is one line of text instead, and
the last grid is drawn once below them.
"""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TextIO

from rich.live import Live

from trmsolve.render.console import console_for, is_live
from trmsolve.render.frame import Frame
from trmsolve.render.scene import Scene

REDRAW_SECONDS = 0.04  # the shortest time between two redraws; faster steps would only flicker


class LiveView:
    """Shows frames as they come.

        with LiveView(sys.stderr, color="auto") as view:
            for frame in frames:
                view.show(frame)

    The frame marked `done` stays on the screen and ends the drawing: once show() has returned from it, the cursor is
    back and the answer may be printed, to the same terminal too. The next frame begins a new drawing below. Leaving
    the block, by whatever way, also gives the cursor back. `pace` holds every frame for at least so many seconds, for
    a model that is faster than the eye.
    """

    def __init__(self, stream: TextIO | None = None, color: str = "auto", pace: float = 0.0) -> None:
        self.console = console_for(stream if stream is not None else sys.stderr, color)
        self.pace = pace
        self._scene: Scene | None = None
        self._live: Live | None = None
        self._drawn_at = 0.0

    def __enter__(self) -> LiveView:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def show(self, frame: Frame) -> None:
        """Draw one frame."""
        first = self._scene is None
        if self._scene is None:
            self._scene = Scene(self.console)
        self._scene.add(frame)
        if is_live(self.console):
            self._redraw(frame, self._scene)
        else:
            self._write(frame, self._scene, first)
        if frame.done:
            self.close()

    def close(self) -> None:
        """Leave what was drawn on the screen and give the cursor back."""
        live, self._live, self._scene = self._live, None, None
        if live is not None:
            live.stop()

    def _redraw(self, frame: Frame, scene: Scene) -> None:
        if self._live is None:
            # Without the two redirects off, Rich would send the program's own print() to this stream as well.
            self._live = Live(
                scene, console=self.console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
            )
            try:
                self._live.start(refresh=True)
            except BaseException:  # Ctrl-C between hiding the cursor and returning
                self.close()
                raise
            self._drawn_at = time.monotonic()
        elif frame.done or self.pace or time.monotonic() - self._drawn_at >= REDRAW_SECONDS:
            self._live.refresh()
            self._drawn_at = time.monotonic()
        if self.pace and not frame.done:
            time.sleep(self.pace)

    def _write(self, frame: Frame, scene: Scene, first: bool) -> None:
        lines = [scene.title()] if first else []
        lines.append(scene.summary())
        if frame.done:
            lines += scene.whole()
        for line in lines:
            self.console.print(line, soft_wrap=True)  # in a log, a long line is better than two
