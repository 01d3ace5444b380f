"""Options of the commands. A command takes dataclasses; each of their fields is an option or an argument.

@command(RunArgs, SearchArgs)
def solve(context: typer.Context, run: RunArgs, search: SearchArgs) -> int: ...
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import MISSING, asdict, dataclass, field, fields
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Annotated, Any, get_args, get_type_hints

import typer
from typer.core import TyperCommand

from trmsolve.cli import complete
from trmsolve.errors import TrmsolveError
from trmsolve.inference.few_shot import AdaptOptions
from trmsolve.inference.options import SolveOptions

# Panels of the help, in their order there.
MODEL, SEARCH, ADAPT, OUTPUT = "Model", "Search", "Test-time training", "Output"
PICTURES, LIMITS, MESSAGES = "Watching and pictures", "Limits", "Messages"
RECIPE, DATA, TRAINING, RUN = "Recipe", "Data", "Training", "Run"  # of trmsolve train
EVALUATION, MACHINE = "Evaluation during training", "Machine"
PUZZLES, SUDOKU, MAZES = "Puzzles", "Sudoku", "Mazes"  # of trmsolve generate
MEASUREMENT, QUICK = "Measurement", "Quick settings"  # of trmsolve bench
PANELS = (
    *("Arguments", RECIPE, PUZZLES, SUDOKU, MAZES, MODEL, DATA, TRAINING, MEASUREMENT, QUICK, SEARCH, ADAPT),
    *(RUN, EVALUATION, MACHINE, OUTPUT, PICTURES, LIMITS, MESSAGES, "Options"),
)
NARROW = 60  # columns of a help below which an option has a line of its own
METAVARS = {int: "N", float: "X", str: "TEXT", Path: "FILE"}
MAX_NUMBER: dict[type, float] = {int: 2**63 - 1, float: 1e9}  # clocks and iterators fail above; 1e9 s are 31 years

Completion = Callable[..., list[str]]


class Color(str, Enum):
    """When to use colour."""

    auto = "auto"
    always = "always"
    never = "never"


def option(
    default: Any, panel: str | None, help: str, *names: str, complete: Completion | None = None, **settings: Any
) -> Any:
    """A field that is an option. default: ... for a required one. names: where they are not that of the field."""
    info = typer.Option(*names, rich_help_panel=panel, help=help, autocompletion=complete, **settings)
    return _field(default, info)


def argument(default: Any, metavar: str | None, help: str, complete: Completion | None = None) -> Any:
    """A field that is an argument. default: ... for a required one."""
    return _field(default, typer.Argument(metavar=metavar, help=help, autocompletion=complete))


def _field(default: Any, info: Any) -> Any:
    return field(default=MISSING if default is ... else default, metadata={"typer": info})


def parameters(groups: Iterable[type]) -> list[inspect.Parameter]:
    """The options of dataclasses as parameters of a function that typer makes a command of."""
    result = []
    for group in groups:
        hints = get_type_hints(group)
        for item in fields(group):
            info, hint = item.metadata["typer"], hints[item.name]
            kind = next((part for part in (*get_args(hint), hint) if isinstance(part, type)), str)
            if isinstance(info, typer.models.OptionInfo) and info.metavar is None and kind is not bool:
                choices = "|".join(member.value for member in kind) if issubclass(kind, Enum) else ""
                info.metavar = choices or METAVARS.get(kind, "TEXT")
            if kind in MAX_NUMBER and info.max is None:
                info.max = MAX_NUMBER[kind]
            default = inspect.Parameter.empty if item.default is MISSING else item.default
            annotation = Annotated[hint, info]  # type: ignore[valid-type]
            kwonly = inspect.Parameter.KEYWORD_ONLY
            result.append(inspect.Parameter(item.name, kwonly, default=default, annotation=annotation))
    return result


# -- options of several commands ----------------------------------------------------------------------------------
FILES = partial(argument, None, "FILE", "Files, hf://datasets/owner/repo/file, or a puzzle itself; - is stdin.")
CHECKPOINT = partial(
    option, None, MODEL, "NAME, FILE or hf://owner/repo/file.", show_default="bundled", complete=complete.checkpoints
)
MAX_STEPS = partial(option, None, MODEL, "Maximum supervision steps of a run.", min=1, show_default="by the task")
DEVICE = partial(option, "auto", MODEL, "auto, cpu, cuda, cuda:N or mps.", complete=complete.devices)
DTYPE = partial(option, "auto", MODEL, "auto, float32 or bfloat16.", complete=complete.dtypes)
RESTARTS = partial(option, SolveOptions.restarts, SEARCH, "Maximum restarts per puzzle; 0: one run only.", min=0)
BATCH_SIZE = partial(
    option, None, SEARCH, "Runs in a batch; answers do not depend on it.", min=1, show_default="by the device"
)
AS_JSON = partial(option, False, OUTPUT, "Short for --format json.", "--json")
OUTPUT_FILE = partial(option, None, OUTPUT, "Write to this file, not to stdout.", "-o", "--output")
FORCE = partial(option, False, OUTPUT, "Overwrite files.", "--force")
SVG = partial(option, None, PICTURES, "Draw the final state as SVG.")
GIF = partial(option, None, PICTURES, "Draw all steps as an animation.")
HTML = partial(option, None, PICTURES, "Write a page with a step slider.")
COLOR = partial(option, Color.auto, PICTURES, "Use colours on terminals.")
LIMIT = partial(option, None, LIMITS, "Read only the first N puzzles.", min=1)
QUIET = partial(option, False, MESSAGES, "Print only answers and errors.", "-q", "--quiet")


# -- groups of several commands -----------------------------------------------------------------------------------
@dataclass(frozen=True)
class TaskArgs:
    """The option of the command that solves any task."""

    task: str | None = option(
        None,
        MODEL,
        "A task's name, or a Python file that defines one.",
        metavar="NAME|FILE.py",
        complete=complete.tasks,
    )


@dataclass(frozen=True)
class RunArgs:
    """Options common to the solving commands of all tasks."""

    files: list[str] | None = FILES()
    checkpoint: str | None = CHECKPOINT()
    max_steps: int | None = MAX_STEPS()
    seed: int = option(0, MODEL, "Random seed; only test-time training uses it.", min=0)
    device: str = DEVICE()
    dtype: str = DTYPE()
    style: str | None = option(
        None,
        OUTPUT,
        "grid, line, csv, json or jsonl (the task decides which of them exist).",
        "--format",
        metavar="NAME",
        show_default="grid on a terminal, else as the input",
        complete=complete.styles,
    )
    as_json: bool = AS_JSON()
    output: Path | None = OUTPUT_FILE()
    force: bool = FORCE()
    show_steps: bool | None = option(None, PICTURES, "Show every step.", show_default="for one puzzle on a terminal")
    pace: float | None = option(
        None, PICTURES, "Minimum seconds per shown step.", min=0, show_default="0.2 with --show-steps, for ARC 0"
    )
    svg: Path | None = SVG()
    gif: Path | None = GIF()
    html: Path | None = HTML()
    trace: Path | None = option(None, PICTURES, "Record the steps for `trmsolve replay`.")
    color: Color = COLOR()
    timeout: float | None = option(None, LIMITS, "Stop after this time.", min=0, metavar="SECONDS")
    limit: int | None = LIMIT()
    quiet: bool = QUIET()
    verbose: bool = option(False, MESSAGES, "Print the device and the checkpoint.", "-v", "--verbose")


@dataclass(frozen=True)
class TrainedRunArgs(RunArgs):
    """RunArgs of a task without a bundled network."""

    checkpoint: str | None = CHECKPOINT(show_default=False)


@dataclass(frozen=True)
class SearchArgs:
    """Options of tasks whose rules check an answer: solving is a search with restarts."""

    restarts: int = RESTARTS()
    verify: bool = option(True, SEARCH, "Stop when the rules accept the answer, or when the halting head does.")
    check_unique: bool = option(False, SEARCH, "Search for a second solution; needs more steps.", "--check-unique")
    batch_size: int | None = BATCH_SIZE()

    def solve_options(self, max_steps: int | None, seed: int) -> SolveOptions:
        """The solver's settings."""
        return SolveOptions(max_steps=max_steps, seed=seed, **asdict(self))


@dataclass(frozen=True)
class AdaptArgs:
    """Options of few-shot tasks (tasks/few_shot.py): solving is test-time training."""

    budget: str | None = option(
        None,
        ADAPT,
        "Maximum time per task: 60, 60s, 1.5m, 1h.",
        metavar="TIME",
        show_default="60s, with --steps no limit",
    )
    steps: int | None = option(
        None, ADAPT, "Maximum optimizer steps per task; without --budget the seed decides the answer.", min=1
    )
    votes: int = option(AdaptOptions.votes, ADAPT, "Number of augmentations of a task that vote on each test.", min=1)
    tasks_per_batch: int = option(
        AdaptOptions.tasks_per_batch,
        ADAPT,
        "Tasks per batch; they share one network and add up their budgets.",
        "--together",
        min=1,
    )
    solutions: Path | None = option(None, ADAPT, "Read answers from this file, for scoring only.")
    resume: Path | None = option(None, ADAPT, "Store results in this file; skip tasks already in it.")

    def adapt_options(self, max_steps: int | None, seed: int) -> AdaptOptions:
        """The settings of test-time training. Raises TrmsolveError for a budget that is not a time."""
        default = AdaptOptions.budget if self.steps is None else None
        return AdaptOptions(
            budget=default if self.budget is None else parse_duration(self.budget),
            steps=self.steps,
            votes=self.votes,
            max_steps=AdaptOptions.max_steps if max_steps is None else max_steps,
            tasks_per_batch=self.tasks_per_batch,
            seed=seed,
        )


@dataclass(frozen=True)
class SubmitArgs(AdaptArgs):
    """Options of few-shot tasks that can also write a competition's submission file."""

    submission: Path | None = option(
        None, ADAPT, "Also write a Kaggle submission, updated after every task. With --resume, replaces an older one."
    )

    def may_replace_submission(self, force: bool) -> bool:
        """Whether the file may exist: the example of the help must run a second time."""
        return force or (self.resume is not None and self.resume.exists())


def parse_duration(text: str) -> float:
    """Seconds of a time such as 60, 60s, 1.5m or 1h. Raises TrmsolveError for anything else, and for 0."""
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{0,9})?|\.\d{1,9})\s*([smh]?)", text.strip().lower(), re.ASCII)
    seconds = float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]] if match else math.nan
    if not seconds > 0:
        raise TrmsolveError(f"--budget {text}: expected a time", "for example 60, 60s, 1.5m or 1h")
    return seconds


def reject_given(context: typer.Context, names: Collection[str], task: str) -> None:
    """Raise TrmsolveError if one of these parameters was given: it has no effect on the task."""
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if parameter.name in names and source is not None and source.name != "DEFAULT":
            raise TrmsolveError(
                f"{parameter.opts[-1]} has no effect on {task}", f"see the options: {context.command_path} --help"
            )


# -- help ---------------------------------------------------------------------------------------------------------
class Command(TyperCommand):
    """A command whose help lists options by panel, as plain text, and keeps the lines of its examples."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, then the options of each panel."""
        panels: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            if (record := parameter.get_help_record(ctx)) is None:
                continue
            name, help_text = record
            is_argument = parameter.param_type_name == "argument"
            name = re.sub(r" <[^>]*>", "", name)
            for number in MAX_NUMBER.values():
                help_text = re.sub(rf"([\d.]+)<=x<={number}(?=\])", r"x>=\1", help_text)
                help_text = re.sub(rf"\s*\[x<={number}\]|; x<={number}(?=\])", "", help_text)
            help_text = re.sub(r"\s*\[x>=[\d.]+\]|; x>=[\d.]+(?=\])", "", help_text)  # lower bounds are obvious
            help_text = help_text.replace("[default: (", "[default: ").replace(")]", "]")
            help_text = re.sub(r"([\d.]+)<=x<=([\d.]+)", r"\1 to \2", help_text)
            panel = "Arguments" if is_argument else getattr(parameter, "rich_help_panel", None) or "Options"
            panels.setdefault(panel, []).append((name, help_text))
        for panel in sorted(panels, key=PANELS.index):
            with formatter.section(panel):
                formatter.write_dl(panels[panel], col_max=30 if formatter.width >= NARROW else 4)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the examples, line by line."""
        if self.epilog:
            with formatter.section("Examples"):
                for line in inspect.cleandoc(self.epilog).splitlines():
                    formatter.write(f"{'':>{formatter.current_indent}}{line}\n")
