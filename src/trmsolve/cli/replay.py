"""trmsolve replay TRACE: play back a recorded solve, or draw it to files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from trmsolve.cli import options as o
from trmsolve.cli.pictures import PictureFiles, show
from trmsolve.cli.run import SOLVED, command

PACE = 0.4  # seconds per step


@command
def replay(
    trace: Annotated[Path, typer.Argument(metavar="TRACE", help="A file that --trace wrote.")],
    pace: Annotated[float, typer.Option("--pace", min=0, help="Minimum seconds per shown step.")] = PACE,
    svg: o.Svg = None,
    gif: o.Gif = None,
    html: o.Html = None,
    force: o.Force = False,
    color: o.ColorOption = o.Color.auto,
) -> int:
    """Play back a recorded solve: space pauses, arrows step, ? shows all keys.

    With --svg, --gif or --html, write these files instead.

    Exit code: 0 shown or drawn, 2 not a trace.
    """
    from trmsolve.render.trace import load_trace

    files = PictureFiles(svg, gif, html, force)
    files.check()
    frames = load_trace(trace)
    if files:
        files.write(frames)
    else:
        on_terminal = sys.stderr is not None and sys.stderr.isatty()
        show(iter([*frames, SOLVED]), color.value, pace if on_terminal else 0.0, True, False, True, transient=False)
    return SOLVED
