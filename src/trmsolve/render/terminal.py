"""The live view: the steps of a solve in a terminal, redrawn in place, with keys to pause and step.

Without a movable cursor (a file, a pipe, a dumb terminal) each step is a line of text, and the last picture is drawn
below.
"""

from __future__ import annotations

import sys
import time
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.text import Text

from trmsolve.render.blocks import symbol_style
from trmsolve.render.console import Keyboard, console_for, has_color, is_live, start_live
from trmsolve.render.frame import Frame
from trmsolve.render.panel import PuzzlePanel
from trmsolve.tasks.base import Picture

REDRAW_SECONDS = 0.04  # least time between two redraws: faster ones only flicker
REPLAY_PACE = 0.2  # seconds per step of a solve that is shown again
PACES = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)  # seconds per step that + and - choose from
STEPS = {"left": -1, "up": -1, "right": 1, "down": 1}
HELP = (
    "space    pause, continue",
    "← →      previous step, next step",
    "Home End first step, newest step",
    "+ -      faster, slower",
    "?        this help",
    "q        end the view",
)
SYMBOLS_HELP = ("c        candidates as pencil marks", "p        confidence as shade")


class LiveView:
    """Shows frames as they arrive.

        with Keyboard() as keyboard, LiveView(sys.stderr, color="auto", keyboard=keyboard) as view:
            for frame in frames:
                view.show(frame)

    The frame marked `done` ends the drawing: once show() has returned from it, the cursor is restored and the answer
    may be printed, to the same terminal too. The next frame starts a new drawing below. Leaving the block in any way
    also restores the cursor.

    pace: least seconds per frame. transient: remove the drawing at its end, because the answer is printed after it.
    stay: with a keyboard, wait at the end until a key ends the view.
    """

    def __init__(
        self,
        stream: TextIO | None = None,
        color: str = "auto",
        pace: float = 0.0,
        keyboard: Keyboard | None = None,
        transient: bool = False,
        stay: bool = False,
    ) -> None:
        self.console = console_for(stream if stream is not None else sys.stderr, color)
        self.pace, self.transient, self.stay = pace, transient, stay
        self.paused = self.ended = False  # ended: by the user, until the next puzzle
        self._keyboard = keyboard if keyboard is not None and keyboard.available and is_live(self.console) else None
        self._panel: PuzzlePanel | None = None
        self._live: Live | None = None
        self._drawn_at = 0.0

    def __enter__(self) -> LiveView:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def show(self, frame: Frame) -> None:
        """Draw one frame. With a keyboard, returns when the next one is due."""
        if not self.ended:
            is_first = self._panel is None
            panel = self._panel = self._panel or PuzzlePanel(self.console)
            panel.add(frame)
            if self._keyboard is not None:
                self._interact(panel, self._keyboard)
            elif is_live(self.console):
                self._redraw(panel, at_once=frame.done or self.pace > 0)
                time.sleep(0 if frame.done else self.pace)
            else:
                lines = [
                    *([panel.title()] if is_first else []),
                    panel.summary(),
                    *(panel.whole() if frame.done else []),
                ]
                for line in lines:
                    self.console.print(line, soft_wrap=True)  # in a log, a long line is better than two
        if frame.done:
            self.close()
            self.paused = self.ended = False

    def close(self) -> None:
        """End the drawing and restore the cursor."""
        live, self._live, self._panel = self._live, None, None
        if live is not None:
            live.stop()

    def _redraw(self, panel: PuzzlePanel, at_once: bool) -> None:
        if self._live is None:
            self._live = start_live(panel, self.console, self.transient)
        elif at_once or time.monotonic() - self._drawn_at >= REDRAW_SECONDS:
            self._live.refresh()
        else:
            return
        self._drawn_at = time.monotonic()

    def _interact(self, panel: PuzzlePanel, keyboard: Keyboard) -> None:
        """Draw and handle keys until the next frame is due: never while paused, and not before `pace` is over."""
        at_once = panel.frame.done or self.pace > 0
        while not self.ended:
            is_newest, is_done = panel.index == len(panel.frames) - 1, panel.frames[-1].done
            waits = self.paused or (is_done and is_newest and self.stay)
            panel.footer = self._footer(panel)
            self._redraw(panel, at_once or waits)
            at_once = True
            key = keyboard.read(None if waits else self.pace if is_newest else max(self.pace, REDRAW_SECONDS))
            if key is None:
                if is_newest:
                    return
                panel.index += 1  # replay what was recorded
            elif key in STEPS and STEPS[key] == 1 and self.paused and is_newest and not is_done:
                return  # the next frame is one step forth
            else:
                self._handle(key, panel)
        if self._live is not None:
            self._live.transient = self._live.transient or not panel.frames[-1].done
            self.close()

    def _handle(self, key: str, panel: PuzzlePanel) -> None:
        newest = len(panel.frames) - 1
        if key in ("q", "Q", "\x04") or (key == "enter" and panel.frames[-1].done):
            self.ended = True
        elif key == " ":
            self.paused = not self.paused
            if panel.frames[-1].done and panel.index == newest:
                self.paused, panel.index, self.pace = False, 0, self.pace or REPLAY_PACE
        elif key in STEPS or key in ("home", "end"):
            index = panel.index + STEPS[key] if key in STEPS else 0 if key == "home" else newest
            self.paused, panel.index = True, min(max(index, 0), newest)
        elif key in ("+", "=", "-", "_"):
            slower = [pace for pace in PACES if pace > self.pace] or [self.pace]
            faster = [pace for pace in PACES if pace < self.pace] or [0.0]
            self.pace = faster[-1] if key in "+=" else slower[0]
        elif key in ("c", "C") and not panel.frame.picture.solid:
            panel.candidates = not panel.candidates
        elif key in ("p", "P") and not panel.frame.picture.solid:
            panel.shades = not panel.shades
        elif key == "?":
            panel.help = () if panel.help else HELP if panel.frame.picture.solid else HELP + SYMBOLS_HELP

    def _footer(self, panel: PuzzlePanel) -> list[str]:
        newest = len(panel.frames) - 1
        is_end = panel.frames[-1].done and panel.index == newest
        space = "space replays" if is_end else "space continues" if self.paused else "space pauses"
        paused, pace = f"paused at {panel.index} of {newest}", f"{self.pace:g} s per step"
        return [*[paused] * self.paused, space, "q ends", "? help", *[pace] * bool(self.pace)]


def colored_answer(text: str, picture: Picture, console: Console) -> str:
    """An answer's text, unchanged but for escape codes that give its cells the styles of their roles.

    Cells are found by position where the text has the picture's shape, else as its symbols in reading order. A text
    that shows the cells in neither way is returned as it is.
    """
    if not has_color(console):
        return text
    lines, cells = text.split("\n"), [cell for row in picture.cells for cell in row]
    styled = Text(text)
    if [len(line) for line in lines] == [len(row) for row in picture.cells]:
        starts = [sum(len(line) + 1 for line in lines[:r]) for r in range(len(lines))]
        offsets = [start + c for start, line in zip(starts, lines, strict=True) for c in range(len(line))]
    else:
        offsets = []
        for offset, character in enumerate(text):
            if len(offsets) < len(cells) and character == cells[len(offsets)].text:
                offsets.append(offset)
        if len(offsets) < len(cells):
            return text
    for offset, cell in zip(offsets, cells, strict=True):
        styled.stylize(symbol_style(cell, picture.solid, color=True), offset, offset + 1)
    with console.capture() as capture:
        console.print(styled, soft_wrap=True, end="")
    return capture.get()
