"""The command line. Each command stands in a module of its name; none of them imports torch before it runs."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from trmsolve import __version__
from trmsolve.cli import arc, bench, checkpoints, doctor, evaluate, generate, read, solve, train

app = typer.Typer(
    name="trmsolve",
    help="Run, watch, train and check Tiny Recursive Models on puzzles.",
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(requested: bool) -> None:
    if requested:
        typer.echo(f"trmsolve {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Run, watch, train and check Tiny Recursive Models on puzzles."""


app.command("sudoku", short_help="Solve Sudoku puzzles, checked.")(solve.solve_command("sudoku"))
app.command("maze", short_help="Find shortest paths, checked.")(solve.solve_command("maze"))
app.command("solve", short_help="Solve puzzles of any task.")(solve.solve_generic)
app.command("arc", short_help="Adapt to ARC tasks, answer each twice.")(arc.arc)
app.command("train", short_help="Train a model, or resume a run.")(train.train)
app.command("eval", short_help="Measure a checkpoint on a file.")(evaluate.evaluate)
app.command("generate", short_help="Make puzzles.")(generate.generate)
app.command("read", short_help="Show what is understood of a file.")(read.read)
app.add_typer(checkpoints.app, name="checkpoints", short_help="List, describe, fetch checkpoints.")
app.command("bench", short_help="Measure the speed.")(bench.bench)
app.command("doctor", short_help="Check this installation.")(doctor.doctor)


def main() -> None:
    """The console script."""
    for name in ("stdout", "stderr"):  # None when the caller closed them
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 - as long as the process
    if sys.argv[1:2] in (["--show-completion"], ["--install-completion"]) and len(sys.argv) == 3:
        # Typer guesses the shell from the processes above; one that is named wins.
        os.environ["_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION"] = "1"
    app()
