"""trmsolve check-task FILE"""

from __future__ import annotations

from typing import Annotated

import typer

from trmsolve.cli.output import put
from trmsolve.cli.run import SOLVED, command, echo_err
from trmsolve.tasks import resolve_task


@command
def check_task(
    task: Annotated[str, typer.Argument(metavar="FILE", help="A Python file that defines a task, or a task's name.")],
    number: Annotated[int, typer.Option("-n", "--number", min=1, help="Number of generated puzzles to check.")] = 100,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Random seed of the generator.")] = 0,
) -> int:
    """Check a task of your own on generated puzzles: rules, candidates, reading and writing must agree.

    Stops at the first contradiction and reports it. A task file is Python code and is executed. Name only files that
    you trust.

    Exit code: 0 no contradiction, 2 a contradiction or bad input.
    """
    from trmsolve.tasks.check import check_task as run_checks

    resolved = resolve_task(task)
    report = run_checks(resolved, number, seed)
    put(f"{resolved.name}: {report.puzzles} generated puzzles, no contradiction")
    if report.several_solutions:
        echo_err(
            f"note: {report.several_solutions} of the first puzzles have several solutions; "
            "training uses one of them as the label"
        )
    return SOLVED
