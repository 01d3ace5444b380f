"""The typer application. Each command has its own module; none of them imports torch before it runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from trmsolve import __version__
from trmsolve.cli import (
    bench,
    check_task,
    checkpoints,
    doctor,
    evaluate,
    explain,
    generate,
    plot,
    read,
    replay,
    solve,
    train,
)
from trmsolve.cli.options import Command
from trmsolve.tasks import BUNDLED, get, names

app = typer.Typer(
    name="trmsolve",
    help="Run, watch, train and check Tiny Recursive Models on puzzles.",
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(requested: bool) -> None:
    if requested:
        typer.echo(f"trmsolve {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Run, watch, train and check Tiny Recursive Models on puzzles."""


SHORT_HELP = {
    "sudoku": "Solve Sudoku puzzles and verify them.",
    "maze": "Find shortest paths and verify them.",
    "arc": "Solve ARC tasks by test-time training.",
}
COMMANDS: dict[str, tuple[Callable[..., Any], str, str]] = {
    "solve": (solve.solve_command("solve"), "Solve puzzles of any task.", solve.EXAMPLES["solve"]),
    "read": (read.read, "Show how a file is understood.", "trmsolve read puzzles.txt"),
    "replay": (replay.replay, "Play back a recorded solve.", "trmsolve replay steps.jsonl --gif steps.gif"),
    "train": (train.train, "Train a model, or resume a run.", "trmsolve train --task maze --minutes 30"),
    "plot": (plot.plot, "Draw training runs.", "trmsolve plot runs/maze -o maze.svg"),
    "eval": (evaluate.evaluate, "Evaluate a checkpoint on puzzles.", evaluate.EXAMPLES),
    "generate": (
        generate.generate,
        "Generate puzzles.",
        "trmsolve generate maze --size 21x41 -n 100 --seed 7 > mazes.txt",
    ),
    "check-task": (check_task.check_task, "Check a task that you wrote.", "trmsolve check-task my_puzzle.py"),
    "explain": (explain.explain, "Take a guided tour of the method.", "trmsolve explain maze"),
    "bench": (bench.bench, "Measure the speed of solving and training.", "trmsolve bench"),
    "doctor": (doctor.doctor, "Check this installation.", "trmsolve doctor"),
}

for name in names():
    if name not in COMMANDS:  # the tasks of other packages are loaded when they are used
        short_help = SHORT_HELP.get(name, f"Solve {name} puzzles and verify them.")
        run = solve.solve_command(name, get(name) if name in BUNDLED else None)
        app.command(name, cls=Command, short_help=short_help, epilog=solve.EXAMPLES.get(name))(run)
for name, (function, short_help, examples) in COMMANDS.items():
    app.command(name, cls=Command, short_help=short_help, epilog=examples)(function)
for registered in checkpoints.app.registered_commands:
    registered.cls = Command
app.add_typer(checkpoints.app, name="checkpoints", short_help="List, show, fetch or import checkpoints.")
