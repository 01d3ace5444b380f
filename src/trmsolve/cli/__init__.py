"""The command line. Each command stands in a module of its name; none of them imports torch before it runs."""

from __future__ import annotations

from typing import Annotated

import typer

from trmsolve import __version__
from trmsolve.cli import bench, checkpoints, doctor, evaluate, generate, sudoku, train

app = typer.Typer(
    name="trmsolve",
    help="Run, watch, train and check Tiny Recursive Models on puzzles.",
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"trmsolve {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Run, watch, train and check Tiny Recursive Models on puzzles."""


app.command("sudoku")(sudoku.sudoku)
app.command("train")(train.train)
app.command("eval")(evaluate.evaluate)
app.command("generate")(generate.generate)
app.add_typer(checkpoints.app, name="checkpoints")
app.command("bench")(bench.bench)
app.command("doctor")(doctor.doctor)


def main() -> None:
    """The console script."""
    app()
