"""Show frames live, write them to picture files, and trmsolve replay: play back recorded ones."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from trmsolve.cli import options as o
from trmsolve.cli.run import SOLVED, command, echo_err
from trmsolve.render.console import is_terminal
from trmsolve.render.frame import Frame
from trmsolve.text_io import atomic_write, check_writable

STEP_PACE, REPLAY_PACE = 0.2, 0.4  # seconds per step of a solve that is watched, and of a replay
Outcome = TypeVar("Outcome")
MAX_INITIAL_FRAMES = 6  # frames before the first step that files keep


@dataclass(frozen=True)
class PictureFiles:
    """Paths of pictures to write: the final state as SVG, all steps as GIF or HTML, and a trace for replay."""

    svg: Path | None = None
    gif: Path | None = None
    html: Path | None = None
    force: bool = False
    trace: Path | None = None

    @property
    def paths(self) -> list[Path]:
        """Of all files to write."""
        return [path for path in (self.svg, self.gif, self.html, self.trace) if path is not None]

    def __bool__(self) -> bool:
        return bool(self.paths)

    def check(self) -> None:
        """Raises TrmsolveError now rather than after the solve."""
        for path in self.paths:
            check_writable(path, self.force)

    def write(self, frames: list[Frame], quiet: bool = False) -> None:
        """Write each file whose path is set, and name them on a terminal."""
        if self.trace is not None:
            from trmsolve.render.trace import save_trace

            save_trace(frames, self.trace, self.force)
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
        if not quiet and is_terminal(sys.stderr):
            echo_err(f"wrote {', '.join(map(str, self.paths))}")


def show(
    stream: Iterator[Frame | Outcome],
    color: str,
    pace: float,
    visible: bool,
    keep: bool,
    stay: bool = False,
    transient: bool = True,
) -> tuple[list[Frame], Outcome]:
    """Play frames on stderr (when visible); returns those to keep, all or none, and the result that ended them.

    transient: remove the drawing at its end when stdout is a terminal too, because the answer is printed there.
    stay: with a keyboard, wait at the end until the user ends the view.
    """
    from trmsolve.render.console import Keyboard
    from trmsolve.render.terminal import LiveView

    kept: list[Frame] = []
    transient = transient and sys.stdout is not None and is_terminal(sys.stdout)
    with (
        Keyboard() if visible else nullcontext() as keyboard,
        LiveView(sys.stderr, color, pace, keyboard, transient, stay) as view,
    ):
        for item in stream:
            if not isinstance(item, Frame):
                return kept, item
            if keep:
                kept.append(item)
            if visible:
                view.show(item)
    raise AssertionError("frames end with a result")


def _with_few_initial(frames: list[Frame]) -> list[Frame]:
    """The frames with at most MAX_INITIAL_FRAMES of those before the first step, evenly spaced."""
    before = [frame for frame in frames if frame.step == 0]
    if len(before) > MAX_INITIAL_FRAMES:
        before = [before[i * (len(before) - 1) // (MAX_INITIAL_FRAMES - 1)] for i in range(MAX_INITIAL_FRAMES)]
    return [*before, *(frame for frame in frames if frame.step > 0)]


# -- replay -------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class ReplayArgs:
    """Options of trmsolve replay."""

    trace: Path = o.argument(..., "TRACE", "A file that --trace wrote.")
    pace: float = o.option(REPLAY_PACE, o.PICTURES, "Minimum seconds per shown step.", min=0)
    svg: Path | None = o.SVG()
    gif: Path | None = o.GIF()
    html: Path | None = o.HTML()
    color: o.Color = o.COLOR()
    force: bool = o.FORCE()


@command(ReplayArgs)
def replay(args: ReplayArgs) -> None:
    """Play back a recorded solve: space pauses, arrows step, ? shows all keys.

    With --svg, --gif or --html, write these files instead.

    Exit code: 0 shown or drawn, 2 not a trace.
    """
    from trmsolve.render.trace import load_trace

    files = PictureFiles(args.svg, args.gif, args.html, args.force)
    files.check()
    frames = load_trace(args.trace)
    if files:
        files.write(frames)
        return
    pace = args.pace if is_terminal(sys.stderr) else 0.0
    show(iter([*frames, SOLVED]), args.color.value, pace, True, False, True, transient=False)
