"""Options of the commands that adapt to ARC tasks, and the settings that they add up to."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Annotated

import typer

from trmsolve.errors import TrmsolveError
from trmsolve.inference.few_shot import AdaptOptions

Budget = Annotated[
    str | None,
    typer.Option(
        "--budget", help="Time for a task at most: 60, 60s, 1.5m, 1h.", show_default="60s, with --steps no limit"
    ),
]
Steps = Annotated[
    int | None,
    typer.Option(
        "--steps", min=1, help="Optimizer steps for a task at most; without --budget the seed decides the answer."
    ),
]
Votes = Annotated[int, typer.Option("--votes", min=1, help="Views of a task that answer each test and vote.")]
MaxSteps = Annotated[int, typer.Option("--max-steps", min=1, help="Supervision steps of an answer at most.")]
Together = Annotated[
    int, typer.Option("--together", min=1, help="Tasks in a batch, which share their budgets and one network.")
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Of all that is drawn at random.")]
Solutions = Annotated[
    Path | None, typer.Option("--solutions", help="Answers to tasks that come without, for scores alone.")
]
Resume = Annotated[
    Path | None, typer.Option("--resume", help="Keep results here (JSON Lines); tasks in it are not run again.")
]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="Only the first so many tasks.")]

UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}


def adapt_options(budget: str | None, steps: int | None, **settings: int) -> AdaptOptions:
    """The settings; without `budget` the default one, or none when `steps` are given. Raises TrmsolveError."""
    if budget is not None:
        allowed = seconds(budget)
    else:
        allowed = AdaptOptions.budget if steps is None else None
    return AdaptOptions(budget=allowed, steps=steps, **settings)


def seconds(text: str) -> float:
    """A span of time as people write it: 60, 60s, 1.5m, 1h. Raises TrmsolveError for anything else, and for none."""
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{0,9})?|\.\d{1,9})\s*([smh]?)", text.strip().lower(), re.ASCII)
    found = float(match[1]) * UNITS[match[2]] if match else math.nan
    if not found > 0:
        raise TrmsolveError(f"--budget {text}: no span of time", "for example 60, 60s, 1.5m or 1h")
    return found
