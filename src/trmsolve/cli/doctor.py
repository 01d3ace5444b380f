"""trmsolve doctor and trmsolve check-task: whether an installation, and a task of one's own, are sound."""

from __future__ import annotations

import json
from dataclasses import dataclass

from trmsolve.cli import options as o
from trmsolve.cli.output import aligned, put
from trmsolve.cli.run import ERROR, SOLVED, command, echo_err
from trmsolve.tasks import resolve_task

SELF_TEST = "4.....8.5.3..........7......2.....6.....8.4......1.......6.3.7.5..2.....1.4......"


@dataclass(frozen=True)
class DoctorArgs:
    """The option of trmsolve doctor."""

    as_json: bool = o.AS_JSON()


@command(DoctorArgs)
def doctor(args: DoctorArgs) -> int:
    """Check versions, devices, the cache and checkpoints, and run a self-test.

    Exit code: 0 everything works, 2 something does not.
    """
    from trmsolve.doctor import diagnose

    checks = diagnose(_solve)
    if args.as_json:
        keys = ("name", "value", "status", "hint")
        print(json.dumps([{key: getattr(check, key) for key in keys} for check in checks], indent=2))
    else:
        for line, check in zip(aligned([(c.status, c.name, c.value) for c in checks]), checks, strict=True):
            print(line)
            if check.hint:
                echo_err(f"      {check.hint}")
    return ERROR if any(check.status == "fail" for check in checks) else SOLVED


def _solve() -> tuple[bool, str]:
    """Solve one puzzle with the bundled checkpoint."""
    from trmsolve.api import load

    result = next(load().solve([SELF_TEST]))
    how = f"{result.steps} steps, {result.restarts} restarts, {1000 * result.seconds:.0f} ms"
    return result.solved, f"solved and verified in {how}" if result.solved else f"not solved in {how}"


# -- check-task ---------------------------------------------------------------------------------------------------
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
