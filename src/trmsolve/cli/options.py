"""Options that several commands share."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer


class Color(str, Enum):
    """When to use colour."""

    auto = "auto"
    always = "always"
    never = "never"


Checkpoint = Annotated[
    str | None, typer.Option("--checkpoint", help="NAME, FILE or hf://owner/repo/file.", show_default="bundled")
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:N or mps.")]
Dtype = Annotated[str, typer.Option("--dtype", help="auto, float32 or bfloat16.")]
MaxSteps = Annotated[
    int | None,
    typer.Option("--max-steps", min=1, help="Supervision steps of a run at most.", show_default="by the puzzle"),
]
Restarts = Annotated[
    int, typer.Option("--restarts", min=0, help="Further runs of an unsolved puzzle at most; 0: plain recursion.")
]
BatchSize = Annotated[
    int | None,
    typer.Option(
        "--batch-size", min=1, help="Runs at once; answers do not depend on it.", show_default="by the device"
    ),
]
Seed = Annotated[int, typer.Option("--seed", min=0)]
SolveSeed = Annotated[int, typer.Option("--seed", min=0, help="Changes nothing: solving draws nothing at random.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Only answers and errors.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Also say which device, checkpoint and why.")]
ColorOption = Annotated[Color, typer.Option("--color", help="Colour on stderr.")]
Output = Annotated[Path | None, typer.Option("-o", "--output", help="Write here instead of to stdout.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite files.")]
AsJson = Annotated[bool, typer.Option("--json", help="Short for --format json.")]
Pace = Annotated[float, typer.Option("--pace", min=0, help="Seconds each shown step stays at least.")]
Svg = Annotated[Path | None, typer.Option("--svg", help="Draw the final state here.")]
Gif = Annotated[Path | None, typer.Option("--gif", help="Draw the refinement here.")]
Html = Annotated[Path | None, typer.Option("--html", help="A page with a step slider.")]
Timeout = Annotated[float | None, typer.Option("--timeout", min=0, help="Stop after so many seconds.")]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="Only the first so many puzzles.")]
