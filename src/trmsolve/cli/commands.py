"""The typer application. The module of a command is imported when it is run, and torch later still."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from importlib import import_module
from shutil import get_terminal_size
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperGroup

from trmsolve import __version__

TITLE = "Run, watch, train and check Tiny Recursive Models on puzzles."
# Click itself formats help no narrower than 50 columns.
SETTINGS = {"help_option_names": ["-h", "--help"], "terminal_width": min(get_terminal_size().columns, 80) - 2}
TASKS = {
    "sudoku": "Solve Sudoku puzzles and verify them.",
    "maze": "Find shortest paths and verify them.",
    "arc": "Solve ARC tasks by test-time training.",
    "grid": "Answer grids by a network that you trained.",
}


class Entry(NamedTuple):
    """A command: its function as module.name in this package, its line in the list of commands, and its examples."""

    function: str
    short_help: str
    examples: str = ""


COMMANDS = {
    "solve": Entry("", "Solve puzzles of any task."),
    "read": Entry("read.read", "Show how a file is understood.", "trmsolve read puzzles.txt"),
    "replay": Entry("pictures.replay", "Play back a recorded solve.", "trmsolve replay steps.jsonl --gif steps.gif"),
    "train": Entry(
        "train.train",
        "Train a model, or resume a run.",
        """
        trmsolve train --task maze --minutes 30
        trmsolve train --task my_puzzle.py --minutes 10
        trmsolve train --task grid --data mine.csv --minutes 10""",
    ),
    "plot": Entry("plot.plot", "Draw training runs.", "trmsolve plot runs/maze -o maze.svg"),
    "eval": Entry(
        "evaluate.evaluate",
        "Evaluate a checkpoint on puzzles.",
        """
        trmsolve eval sudoku puzzles.csv --limit 1000
        trmsolve eval maze mazes.csv --checkpoint maze --checkpoint mine.safetensors
        trmsolve eval arc tasks/ --budget 60s --resume kept.jsonl""",
    ),
    "generate": Entry(
        "generate.generate",
        "Generate puzzles.",
        "trmsolve generate maze --size 21x41 -n 100 --seed 7 > mazes.txt",
    ),
    "check-task": Entry("check_task.check_task", "Check a task that you wrote.", "trmsolve check-task my_puzzle.py"),
    "explain": Entry("explain.explain", "Take a guided tour of the method.", "trmsolve explain maze"),
    "bench": Entry("bench.bench", "Measure the speed of solving and training.", "trmsolve bench"),
    "doctor": Entry("doctor.doctor", "Check this installation.", "trmsolve doctor"),
    "checkpoints": Entry("checkpoints.app", "List, show, fetch or import checkpoints."),
}
ALIASES = {  # names that other tools use
    "show": "info", "inspect": "info", "ls": "list", "fetch": "pull", "download": "pull", "get": "pull",
    "convert": "import", "evaluate": "eval", "benchmark": "bench", "view": "replay",
}  # fmt: skip


class Group(TyperGroup):
    """Commands of which a wrong name is answered with the one that was probably meant."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that the first argument names."""
        if not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            names = self.list_commands(ctx)
            similar = [name for name in (ALIASES.get(args[0]),) if name in names] or get_close_matches(args[0], names)
            if similar:
                ctx.fail(f"No such command '{args[0]}'. Did you mean '{similar[0]}'?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the list of commands; click would cut their lines to one each."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, self.summary(name)) for name in self.list_commands(ctx)])

    def summary(self, name: str) -> str:
        """What a command does, in a line."""
        return self.commands[name].get_short_help_str(limit=200)


class Commands(Group):
    """The commands of trmsolve: one for each task, and COMMANDS."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names in the order of the help."""
        from trmsolve.tasks import names

        return [*(name for name in names() if name not in COMMANDS), *COMMANDS]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import a command. The tasks of other packages are loaded when they are used."""
        if cmd_name in COMMANDS and cmd_name != "solve":
            entry = COMMANDS[cmd_name]
            module, name = entry.function.split(".")
            function = getattr(import_module(f"trmsolve.cli.{module}"), name)
            if isinstance(function, typer.Typer):
                group = typer.main.get_command(function)
                group.name = cmd_name
                return group
            return click_command(cmd_name, function, entry)
        if cmd_name not in self.list_commands(ctx):
            return None
        from trmsolve.cli.solve import EXAMPLES, task_command

        return click_command(cmd_name, task_command(cmd_name), Entry("", "", EXAMPLES.get(cmd_name, "")))

    def summary(self, name: str) -> str:
        """What a command does, without importing it."""
        return COMMANDS[name].short_help if name in COMMANDS else TASKS.get(name, f"Solve {name} puzzles.")


def click_command(name: str, function: Callable[..., Any], entry: Entry) -> Any:
    """The click command of a function that run.command() decorated."""
    from trmsolve.cli.options import Command

    single = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    single.command(
        name, cls=Command, context_settings=SETTINGS, short_help=entry.short_help, epilog=entry.examples or None
    )(function)
    return typer.main.get_command(single)


app = typer.Typer(
    cls=Commands,
    name="trmsolve",
    help=TITLE,
    context_settings=SETTINGS,
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
