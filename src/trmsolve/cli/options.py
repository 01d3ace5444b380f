"""Options of the commands: each as an annotated type for typer, and groups of them as dataclasses.

    @command
    @with_options(RunArgs, SearchArgs)
    def solve(context: typer.Context, run: RunArgs, search: SearchArgs) -> int: ...

declares an option for every field of the groups, and fills each group once.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, fields
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer
from typer.core import TyperCommand

from trmsolve.cli import complete
from trmsolve.errors import TrmsolveError
from trmsolve.inference.few_shot import AdaptOptions
from trmsolve.inference.options import SolveOptions

MODEL, OUTPUT, PICTURES, LIMITS = "Model", "Output", "Watching and pictures", "Limits"  # panels of the help
SEARCH, ADAPT, MESSAGES = "Search", "Test-time training", "Messages"
PANELS = ("Arguments", MODEL, SEARCH, ADAPT, OUTPUT, PICTURES, LIMITS, MESSAGES)  # the order; others come last


class Color(str, Enum):
    """When to use colour."""

    auto = "auto"
    always = "always"
    never = "never"


def _option(*names: str, panel: str, help: str, **settings: Any) -> Any:
    return typer.Option(*names, rich_help_panel=panel, help=help, **settings)


Files = Annotated[
    list[str] | None,
    typer.Argument(metavar="FILE", help="Files, hf://datasets/owner/repo/file, or a puzzle itself; - is stdin."),
]

Checkpoint = Annotated[
    str | None,
    _option(
        "--checkpoint",
        panel=MODEL,
        help="NAME, FILE or hf://owner/repo/file.",
        show_default="bundled",
        autocompletion=complete.checkpoints,
    ),
]
Device = Annotated[
    str, _option("--device", panel=MODEL, help="auto, cpu, cuda, cuda:N or mps.", autocompletion=complete.devices)
]
Dtype = Annotated[
    str, _option("--dtype", panel=MODEL, help="auto, float32 or bfloat16.", autocompletion=complete.dtypes)
]
MaxSteps = Annotated[
    int | None,
    _option("--max-steps", panel=MODEL, min=1, help="Maximum supervision steps of a run.", show_default="by the task"),
]
BatchSize = Annotated[
    int | None,
    _option(
        "--batch-size",
        panel=SEARCH,
        min=1,
        help="Runs in a batch; answers do not depend on it.",
        show_default="by the device",
    ),
]
Restarts = Annotated[
    int, _option("--restarts", panel=SEARCH, min=0, help="Maximum restarts per puzzle; 0: one run only.")
]
Verify = Annotated[
    bool,
    _option(
        "--verify/--no-verify",
        panel=SEARCH,
        help="Stop when the rules accept the answer, or when the halting head does.",
    ),
]
CheckUnique = Annotated[
    bool, _option("--check-unique", panel=SEARCH, help="Search for a second solution; needs more steps.")
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Random seed.")]

Style = Annotated[
    str | None,
    _option(
        "--format",
        panel=OUTPUT,
        metavar="NAME",
        help="grid, line, csv, json or jsonl (the task decides which of them exist).",
        show_default="grid on a terminal, else as the input",
        autocompletion=complete.styles,
    ),
]
AsJson = Annotated[bool, _option("--json", panel=OUTPUT, help="Short for --format json.")]
Output = Annotated[Path | None, _option("-o", "--output", panel=OUTPUT, help="Write to this file, not to stdout.")]
Force = Annotated[bool, _option("--force", panel=OUTPUT, help="Overwrite files.")]

ShowSteps = Annotated[
    bool | None,
    _option(
        "--show-steps/--no-show-steps",
        panel=PICTURES,
        help="Show every step.",
        show_default="for one puzzle on a terminal",
    ),
]
Pace = Annotated[float, _option("--pace", panel=PICTURES, min=0, help="Minimum seconds per shown step.")]
Svg = Annotated[Path | None, _option("--svg", panel=PICTURES, help="Draw the final state as SVG.")]
Gif = Annotated[Path | None, _option("--gif", panel=PICTURES, help="Draw all steps as an animation.")]
Html = Annotated[Path | None, _option("--html", panel=PICTURES, help="Write a page with a step slider.")]
Trace = Annotated[Path | None, _option("--trace", panel=PICTURES, help="Record the steps for `trmsolve replay`.")]
ColorOption = Annotated[Color, _option("--color", panel=PICTURES, help="Use colours on terminals.")]

Timeout = Annotated[
    float | None, _option("--timeout", panel=LIMITS, min=0, metavar="SECONDS", help="Stop after this time.")
]
Limit = Annotated[int | None, _option("--limit", panel=LIMITS, min=1, help="Read only the first N puzzles.")]

Budget = Annotated[
    str | None,
    _option(
        "--budget",
        panel=ADAPT,
        metavar="TIME",
        help="Maximum time per task: 60, 60s, 1.5m, 1h.",
        show_default="60s, with --steps no limit",
    ),
]
Steps = Annotated[
    int | None,
    _option(
        "--steps",
        panel=ADAPT,
        min=1,
        help="Maximum optimizer steps per task; without --budget the seed decides the answer.",
    ),
]
Votes = Annotated[
    int, _option("--votes", panel=ADAPT, min=1, help="Number of augmentations of a task that vote on each test.")
]
TasksPerBatch = Annotated[
    int,
    _option("--together", panel=ADAPT, min=1, help="Tasks per batch; they share one network and add up their budgets."),
]
Solutions = Annotated[
    Path | None, _option("--solutions", panel=ADAPT, help="Read answers from this file, for scoring only.")
]
Resume = Annotated[
    Path | None, _option("--resume", panel=ADAPT, help="Store results in this file; skip tasks already in it.")
]
Submission = Annotated[
    Path | None, _option("--submission", panel=ADAPT, help="Also write a Kaggle submission, updated after every task.")
]

Quiet = Annotated[bool, _option("-q", "--quiet", panel=MESSAGES, help="Print only answers and errors.")]
Verbose = Annotated[
    bool, _option("-v", "--verbose", panel=MESSAGES, help="Print the device, the checkpoint and how steps are run.")
]


# -- groups -------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class TaskArgs:
    """The option of the command that solves any task."""

    task: Annotated[
        str | None,
        _option(
            "--task",
            panel=MODEL,
            metavar="NAME|FILE.py",
            help="A task's name, or a Python file that defines one.",
            autocompletion=complete.tasks,
        ),
    ] = None


@dataclass(frozen=True)
class RunArgs:
    """Options common to the solving commands of all tasks."""

    files: Files = None
    checkpoint: Checkpoint = None
    max_steps: MaxSteps = None
    seed: Annotated[
        int, _option("--seed", panel=MODEL, min=0, help="Random seed; only test-time training uses it.")
    ] = 0
    device: Device = "auto"
    dtype: Dtype = "auto"
    style: Style = None
    as_json: AsJson = False
    output: Output = None
    force: Force = False
    show_steps: ShowSteps = None
    pace: Pace = 0.0
    svg: Svg = None
    gif: Gif = None
    html: Html = None
    trace: Trace = None
    color: ColorOption = Color.auto
    timeout: Timeout = None
    limit: Limit = None
    quiet: Quiet = False
    verbose: Verbose = False


@dataclass(frozen=True)
class SearchArgs:
    """Options of tasks whose rules check an answer: solving is a search with restarts."""

    restarts: Restarts = SolveOptions.restarts
    verify: Verify = True
    check_unique: CheckUnique = False
    batch_size: BatchSize = SolveOptions.batch_size

    def solve_options(self, max_steps: int | None, seed: int) -> SolveOptions:
        """The solver's settings."""
        return SolveOptions(
            max_steps=max_steps,
            restarts=self.restarts,
            verify=self.verify,
            batch_size=self.batch_size,
            seed=seed,
            check_unique=self.check_unique,
        )


@dataclass(frozen=True)
class AdaptArgs:
    """Options of few-shot tasks (tasks/few_shot.py): solving is test-time training."""

    budget: Budget = None
    steps: Steps = None
    votes: Votes = AdaptOptions.votes
    tasks_per_batch: TasksPerBatch = AdaptOptions.tasks_per_batch
    solutions: Solutions = None
    resume: Resume = None

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

    submission: Submission = None


def parse_duration(text: str) -> float:
    """Seconds of a time such as 60, 60s, 1.5m or 1h. Raises TrmsolveError for anything else, and for 0."""
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{0,9})?|\.\d{1,9})\s*([smh]?)", text.strip().lower(), re.ASCII)
    seconds = float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]] if match else math.nan
    if not seconds > 0:
        raise TrmsolveError(f"--budget {text}: expected a time", "for example 60, 60s, 1.5m or 1h")
    return seconds


def with_options(*groups: type) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Decorator: a function of (context, one instance of each group) becomes one that typer makes a command of."""

    def decorate(function: Callable[..., int]) -> Callable[..., int]:
        def run(context: typer.Context, **values: Any) -> int:
            instances = [group(**{field.name: values[field.name] for field in fields(group)}) for group in groups]
            return function(context, *instances)

        kind = inspect.Parameter.KEYWORD_ONLY
        parameters = [inspect.Parameter("context", kind, annotation=typer.Context)]
        for group in groups:
            hints = get_type_hints(group, include_extras=True)
            parameters += [
                inspect.Parameter(field.name, kind, default=field.default, annotation=hints[field.name])
                for field in fields(group)
            ]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        run.__doc__ = function.__doc__
        return run

    return decorate


def reject_given(context: typer.Context, names: Collection[str], task: str) -> None:
    """Raise TrmsolveError if one of these parameters was given: it has no effect on the task."""
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if parameter.name in names and source is not None and source.name != "DEFAULT":
            raise TrmsolveError(
                f"{parameter.opts[-1]} has no effect on {task}", f"see the options: {context.command_path} --help"
            )


# -- help ---------------------------------------------------------------------------------------------------------
METAVARS = {"int": "N", "int range": "N", "float": "X", "float range": "X", "str": "TEXT", "path": "FILE"}


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
            name = re.sub(r" <[^>]*>", "", name) if is_argument else _with_metavar(name)
            help_text = re.sub(r"\s*\[x>=[\d.]+\]|; x>=[\d.]+(?=\])", "", help_text)  # lower bounds are obvious
            help_text = help_text.replace("[default: (", "[default: ").replace(")]", "]")
            help_text = re.sub(r"([\d.]+)<=x<=([\d.]+)", r"\1 to \2", help_text)
            panel = "Arguments" if is_argument else getattr(parameter, "rich_help_panel", None) or "Options"
            panels.setdefault(panel, []).append((name, help_text))
        for panel in sorted(panels, key=lambda name: PANELS.index(name) if name in PANELS else len(PANELS)):
            with formatter.section(panel):
                formatter.write_dl(panels[panel])

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the examples, line by line."""
        if self.epilog:
            with formatter.section("Examples"):
                for line in inspect.cleandoc(self.epilog).splitlines():
                    formatter.write(f"{'':>{formatter.current_indent}}{line}\n")


def _with_metavar(name: str) -> str:
    """--limit <int range> -> --limit N, --data <list[str]> -> --data TEXT."""
    return re.sub(r"<(?:list\[)?([^>\]]*)\]?>", lambda match: METAVARS.get(match[1], match[1]), name)
