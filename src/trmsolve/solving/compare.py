"""The report of one checkpoint, so that several of them can be set side by side: same puzzles, same measures."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import Any

from trmsolve.errors import TrmsolveError
from trmsolve.model.trm import parameters
from trmsolve.solving.flops import step_flops
from trmsolve.solving.measure import (
    CURVE,
    HALTING_AT,
    Rolled,
    SinglePass,
    calibration,
    calibration_error,
    details,
    single_pass,
    summary,
)
from trmsolve.solving.options import Result, SolveOptions
from trmsolve.solving.solver import Solver
from trmsolve.tasks.base import Puzzle, Task

Solve = Callable[[Iterable[Puzzle], SolveOptions], Iterable[Result]]
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


class Measurement:
    """All that is measured of one checkpoint. Whenever `run` is interrupted, `report` tells of what has been measured.

    reasons: what refusals() says of these puzzles; refused ones count as unsolved. plain: also roll out 64 plain steps.
    solve, rolled: what solves and rolls out, where it is not this process alone (Solver.solve, measure.roll).
    """

    def __init__(
        self,
        solver: Solver,
        puzzles: Sequence[Puzzle],
        reasons: Sequence[str],
        options: SolveOptions,
        plain: bool = True,
        solve: Solve | None = None,
        rolled: Rolled | None = None,
    ) -> None:
        self.solver, self.puzzles, self.options, self.plain = solver, puzzles, options, plain
        pairs = list(zip(puzzles, reasons, strict=True))
        self.taken = [puzzle for puzzle, reason in pairs if not reason]
        self.refused = [Result(puzzle, error=reason) for puzzle, reason in pairs if reason]
        self.results: list[Result] = []
        self.counts = SinglePass(CURVE)
        self.seconds, self.flops_per_step = 0.0, None
        self.done = False
        self._solve, self._rolled = solve or solver.solve, rolled

    def run(self, progress: Progress = lambda what, done, of: None) -> None:
        """Measure everything."""
        list(self.solver.solve(self.taken[:1], SolveOptions(max_steps=1, restarts=0)))  # the first is not slower
        started = time.monotonic()
        for result in self._solve(self.taken, self.options):
            self.results.append(result)
            self.seconds = time.monotonic() - started
            progress("solving", len(self.results), len(self.taken))
        self.flops_per_step = step_flops(self.solver, self.taken)
        if self.plain:
            of = len(self.puzzles)
            single_pass(
                self.solver,
                self.puzzles,
                CURVE,
                self.options.batch_size,
                lambda done: progress("single pass", done, of),
                self.counts,
                self._rolled,
            )
        self.done = True

    def report(self) -> dict[str, Any]:
        """The measures as JSON-able values. What is interrupted has the key `interrupted`, and some keys less.

        flops_per_puzzle is what solving with restarts takes: FLOP of a supervision step of the mean puzzle, times the
        mean number of steps. A restart under assumptions is a smaller puzzle, so there it is an upper bound.
        """
        results = [*self.results, *self.refused] if len(self.results) == len(self.taken) else self.results
        found = summary(results, self.seconds) | details(self.solver.task, results)
        found["parameters"] = parameters(self.solver.model)
        if not self.done:
            found["interrupted"] = {"puzzles": len(self.puzzles), "single_pass": self.counts.puzzles}
        if self.flops_per_step is not None:
            found["flops_per_step"] = self.flops_per_step
            found["flops_per_puzzle"] = self.flops_per_step * found["mean_steps"]
        if self.counts.puzzles:
            bins = calibration(self.counts.said.get(HALTING_AT, []))
            found |= self.counts.rates() | self.counts.intervals()
            found[f"calibration_at_{HALTING_AT}"] = [asdict(b) for b in bins]
            found[f"calibration_error_at_{HALTING_AT}"] = calibration_error(bins)
        return found
