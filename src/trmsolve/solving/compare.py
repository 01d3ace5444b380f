"""The report of one checkpoint, so that several of them can be set side by side: same puzzles, same measures."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from trmsolve.errors import TrmsolveError
from trmsolve.model.trm import parameters
from trmsolve.solving.bench import step_flops
from trmsolve.solving.measure import (
    CURVE,
    HALTING_AT,
    calibration,
    calibration_error,
    details,
    single_pass,
    summary,
)
from trmsolve.solving.options import Result, SolveOptions
from trmsolve.solving.solver import Solver
from trmsolve.tasks.base import Puzzle, Task

Progress = Callable[[str, int, int], None]  # what is being done; how many puzzles of how many


def refusals(name: str, task: Task, puzzles: Sequence[Puzzle]) -> list[str]:
    """For each puzzle why this checkpoint cannot take it, "" when it can.

    Raises TrmsolveError when it can take none of them.
    """
    reasons = [task.unfit(puzzle.question) for puzzle in puzzles]
    if puzzles and all(reasons):
        raise TrmsolveError(
            f"{name} can take none of the {len(puzzles)} puzzles: {reasons[0]}",
            "leave it out, or choose puzzles that it was made for",
        )
    return reasons


def report(
    solver: Solver,
    puzzles: Sequence[Puzzle],
    reasons: Sequence[str],
    options: SolveOptions,
    plain: bool = True,
    progress: Progress = lambda what, done, of: None,
) -> dict[str, Any]:
    """All that is measured of one checkpoint, as JSON-able values.

    reasons: what refusals() says of these puzzles; refused ones count as unsolved. plain: also roll out 64 plain steps.

    flops_per_puzzle is what solving with restarts takes: FLOP of a supervision step of the mean puzzle, times the mean
    number of steps. A restart under assumptions is a smaller puzzle, so there it is an upper bound.
    """
    taken = [puzzle for puzzle, reason in zip(puzzles, reasons, strict=True) if not reason]
    list(solver.solve(taken[:1], SolveOptions(max_steps=1, restarts=0)))  # warm-up: the first of several is not slower
    solved, started = [], time.monotonic()
    for result in solver.solve(taken, options):
        solved.append(result)
        progress("solving", len(solved), len(taken))
    seconds = time.monotonic() - started
    refused = [Result(puzzle, error=reason) for puzzle, reason in zip(puzzles, reasons, strict=True) if reason]
    results = [*solved, *refused]
    found = summary(results, seconds) | details(solver.task, results)
    found["parameters"] = parameters(solver.model)
    found["flops_per_step"] = step_flops(solver, taken)
    found["flops_per_puzzle"] = found["flops_per_step"] * found["mean_steps"]
    if plain:
        counts = single_pass(
            solver, puzzles, CURVE, options.batch_size, lambda done: progress("single pass", done, len(puzzles))
        )
        bins = calibration(counts.said.get(HALTING_AT, []))
        found |= counts.rates() | counts.intervals()
        found[f"calibration_at_{HALTING_AT}"] = [asdict(b) for b in bins]
        found[f"calibration_error_at_{HALTING_AT}"] = calibration_error(bins)
    return found
