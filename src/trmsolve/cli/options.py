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


Files = Annotated[list[str] | None, typer.Argument(metavar="FILE", help="Files of puzzles; - is stdin.")]
Verify = Annotated[bool, typer.Option("--verify/--no-verify", help="Halt by the rules, or by the halting head.")]
CheckUnique = Annotated[
    bool, typer.Option("--check-unique", help="After a solution search for another one; needs more steps.")
]
Style = Annotated[
    str | None,
    typer.Option("--format", help="grid, line, csv, json or jsonl; default: a terminal's grid, a pipe's input shape."),
]
ShowSteps = Annotated[
    bool | None,
    typer.Option("--show-steps/--no-show-steps", help="Watch the refinement; default for one puzzle on a terminal."),
]
Checkpoint = Annotated[
    str | None, typer.Option("--checkpoint", help="NAME, FILE or hf://owner/repo/file.", show_default="bundled")
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:N or mps.")]
Dtype = Annotated[str, typer.Option("--dtype", help="auto, float32 or bfloat16.")]
MaxSteps = Annotated[
    int | None,
    typer.Option("--max-steps", min=1, help="Maximum supervision steps of a run.", show_default="by the puzzle"),
]
Restarts = Annotated[int, typer.Option("--restarts", min=0, help="Maximum restarts per puzzle; 0: one run only.")]
BatchSize = Annotated[
    int | None,
    typer.Option(
        "--batch-size", min=1, help="Runs at once; answers do not depend on it.", show_default="by the device"
    ),
]
Seed = Annotated[int, typer.Option("--seed", min=0)]
SolveSeed = Annotated[int, typer.Option("--seed", min=0, hidden=True)]  # solving draws nothing at random
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Print only answers and errors.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Print device, checkpoint and how steps run.")]
ColorOption = Annotated[Color, typer.Option("--color", help="Colour on stderr.")]
Output = Annotated[Path | None, typer.Option("-o", "--output", help="Write here instead of to stdout.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite files.")]
AsJson = Annotated[bool, typer.Option("--json", help="Short for --format json.")]
Pace = Annotated[float, typer.Option("--pace", min=0, help="Minimum seconds per shown step.")]
Svg = Annotated[Path | None, typer.Option("--svg", help="Draw the final state here.")]
Gif = Annotated[Path | None, typer.Option("--gif", help="Draw the refinement here.")]
Html = Annotated[Path | None, typer.Option("--html", help="A page with a step slider.")]
Timeout = Annotated[float | None, typer.Option("--timeout", min=0, help="Stop after this many seconds.")]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="Solve only the first N puzzles.")]
