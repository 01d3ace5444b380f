"""trmsolve check-task: whether a task of one's own is sound."""

from __future__ import annotations

from dataclasses import dataclass

from trmsolve.cli import options as o
from trmsolve.cli.output import put
from trmsolve.cli.run import command, echo_err
from trmsolve.tasks import resolve_task


@dataclass(frozen=True)
class CheckTaskArgs:
    """Options of trmsolve check-task."""

    task: str = o.argument(..., "FILE", "A Python file that defines a task, or a task's name.")
    number: int = o.option(100, None, "Number of generated puzzles to check.", "-n", "--number", min=1)
    seed: int = o.option(0, None, "Random seed of the generator.", min=0)


@command(CheckTaskArgs)
def check_task(args: CheckTaskArgs) -> None:
    """Check a task of your own on generated puzzles: rules, candidates, reading and writing must agree.

    Stops at the first contradiction and reports it. A task file is Python code and is executed. Name only files that
    you trust.

    Exit code: 0 no contradiction, 2 a contradiction or bad input.
    """
    from trmsolve.tasks.check import check_task as run_checks

    task = resolve_task(args.task)
    report = run_checks(task, args.number, args.seed)
    put(f"{task.name}: {report.puzzles} generated puzzles, no contradiction")
    if report.several_solutions:
        echo_err(
            f"note: {report.several_solutions} of the first puzzles have several solutions; "
            "training uses one of them as the label"
        )
