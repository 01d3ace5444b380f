"""trmsolve bench"""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from trmsolve.cli import options as o
from trmsolve.cli.guard import SOLVED, guarded, say
from trmsolve.cli.inputs import records
from trmsolve.errors import TrmsolveError
from trmsolve.solving.options import SolveOptions
from trmsolve.tasks import get


@guarded
def bench(
    files: Annotated[list[str] | None, typer.Argument(metavar="FILE", help="Default: generated puzzles.")] = None,
    task: Annotated[str, typer.Option("--task", help="sudoku or maze")] = "sudoku",
    number: Annotated[int, typer.Option("-n", "--number", min=1, help="Puzzles at most.")] = 100,
    checkpoint: o.Checkpoint = None,
    max_steps: o.MaxSteps = None,
    restarts: o.Restarts = SolveOptions.restarts,
    batch_size: o.BatchSize = SolveOptions.batch_size,
    device: o.Device = "auto",
    dtype: o.Dtype = "auto",
    as_json: o.AsJson = False,
) -> int:
    """Speed of a stream: puzzles/s, steps/s, FLOP/s and its share of this machine's matrix-multiply rate.

    The baseline, in the same run on the same weights: every puzzle 16 steps as one fixed batch, as published code does.
    """
    from trmsolve.api import load
    from trmsolve.solving.bench import measure
    from trmsolve.solving.measure import readable
    from trmsolve.tasks.base import Puzzle

    the_task = get(task)
    if task == "arc":
        raise TrmsolveError(
            "bench measures puzzles that are solved as they come; an ARC task is adapted to first",
            "trmsolve eval arc FILE says how many steps and seconds a task takes",
        )
    if files:
        puzzles, bad = readable(records(the_task, files, number))
        for record in bad:
            say(f"{record.source}: {record.message}")
        if not puzzles:
            raise TrmsolveError("no puzzle to measure")
    else:
        puzzles = [Puzzle(the_task.generate(0, index)[0]) for index in range(number)]
    model = load(checkpoint, task=task, device=device, dtype=dtype)
    report = measure(model.solver, puzzles, {"max_steps": max_steps, "restarts": restarts, "batch_size": batch_size})
    report |= {"checkpoint": model.checkpoint.name, "checkpoint_sha256": model.checkpoint.sha256}
    report |= {"device": str(model.choice.device), "dtype": str(model.choice.dtype).removeprefix("torch.")}
    print(json.dumps(report, indent=2) if as_json else "\n".join(_lines(report)))
    return SOLVED


def _lines(report: dict[str, Any]) -> list[str]:
    width = max(map(len, report))
    return [
        f"{key:<{width}}  {f'{value:,.3g}' if isinstance(value, float) else value}" for key, value in report.items()
    ]
