"""trmsolve sudoku | maze FILE... | -: the commands that solve, all with the same options."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from trmsolve.cli import options as o
from trmsolve.cli.guard import guarded, shared
from trmsolve.cli.solve import Asked, solve
from trmsolve.solving.options import SolveOptions


def solving(name: str, doc: str) -> Callable[..., int]:
    """The command of a task, with its help."""

    @guarded
    @shared
    def command(
        context: typer.Context,
        files: Annotated[list[str] | None, typer.Argument(metavar="FILE", help="Files of puzzles; - is stdin.")] = None,
        checkpoint: o.Checkpoint = None,
        max_steps: o.MaxSteps = None,
        restarts: o.Restarts = SolveOptions.restarts,
        verify: Annotated[
            bool, typer.Option("--verify/--no-verify", help="Halt by the rules, or by the model's own halting head.")
        ] = True,
        style: Annotated[
            str | None,
            typer.Option(
                "--format", help="grid, line, csv, json or jsonl; default: a terminal's grid, a pipe's input shape."
            ),
        ] = None,
        as_json: o.AsJson = False,
        show_steps: Annotated[
            bool | None,
            typer.Option(
                "--show-steps/--no-show-steps", help="Watch the refinement; default for one puzzle on a terminal."
            ),
        ] = None,
        pace: o.Pace = 0.0,
        svg: o.Svg = None,
        gif: o.Gif = None,
        html: o.Html = None,
        output: o.Output = None,
        force: o.Force = False,
        batch_size: o.BatchSize = SolveOptions.batch_size,
        seed: o.SolveSeed = 0,
        timeout: o.Timeout = None,
        limit: o.Limit = None,
        device: o.Device = "auto",
        dtype: o.Dtype = "auto",
        color: o.ColorOption = o.Color.auto,
        quiet: o.Quiet = False,
        verbose: o.Verbose = False,
    ) -> int:
        asked = Asked(
            files=files or [],
            checkpoint=checkpoint,
            settings={
                "max_steps": max_steps,
                "restarts": restarts,
                "verify": verify,
                "batch_size": batch_size,
                "seed": seed,
            },
            style="json" if as_json else style,
            show_steps=show_steps,
            pace=pace,
            svg=svg,
            gif=gif,
            html=html,
            output=output,
            force=force,
            timeout=timeout,
            limit=limit,
            device=device,
            dtype=dtype,
            color=color.value,
            quiet=quiet,
            verbose=verbose,
        )
        return solve(name, asked, context)

    command.__doc__ = doc
    return command


CODES = "Exit code: 0 every puzzle solved and verified, 1 some not solved, 2 bad input, 124 timeout, 130 interrupted."

sudoku = solving(
    "sudoku",
    f"""Solve Sudoku puzzles (4x4, 6x6, 9x9, 16x16) and check every answer.

    Reads lines of 81 characters, nine-line grids with or without frames, CSV with a question column, .sdk, .sdm, .ss.

    {CODES}
    """,
)

maze = solving(
    "maze",
    f"""Find shortest paths through mazes of any height and width (3x3 to 255x255) and check every one.

    Reads grids of # (wall), space or . (floor), S and G, separated by blank lines; also 0 and 1, E, A and B; CSV with a
    question column. Writes the path as o.

    {CODES}
    """,
)
