"""Evaluate a model: solving with restarts, and the single pass of a fixed number of steps."""

from __future__ import annotations

import copy
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from trmsolve.errors import DeadlineExceeded, TrmsolveError
from trmsolve.inference.batch import ContinuousBatch, Rollout, default_batch_size
from trmsolve.inference.flops import step_flops
from trmsolve.inference.metrics import (
    calibration,
    calibration_error,
    details,
    equals_solution,
    judged,
    summary,
    wilson_interval,
)
from trmsolve.inference.options import Result, SolveOptions
from trmsolve.inference.solver import Solver
from trmsolve.model.trm import TRM, num_parameters
from trmsolve.tasks.base import Augments, Puzzle, Task

CURVE = (1, 2, 4, 8, 16, 32, 64)  # steps at which accuracy is shown as a curve
HALTING_AT = 16  # steps after which the halting head is evaluated, as many as published models are trained for
MAX_AUGMENTATIONS = 16  # of a model in training: restarts by augmentation, each as expensive as the first run
BATCH_SIZE = 32  # of its single pass at most: at the deadline, only full batches count


# -- the single pass ----------------------------------------------------------------------------------------------
TRIALS = {  # what a rate is a share of
    "accepted": "puzzles",  # the rules accept the answer
    "exact": "puzzles",  # the answer equals the known solution; accepted, if none is known
    "cell_accuracy": "cells",
    "halting_right": "num_evaluated",  # (halt_prob > 1/2) == accepted
}


@dataclass
class SinglePass:
    """Counts for rollouts of a fixed length, by number of steps k, without early stop and restarts."""

    steps: tuple[int, ...]
    puzzles: int = 0
    num_evaluated: int = 0  # puzzles except those that the rules reject before a run
    cells: int = 0  # open cells
    correct: Counter[tuple[str, int]] = field(default_factory=Counter)  # by (one of TRIALS, k)
    halting: dict[int, list[tuple[float, bool]]] = field(default_factory=dict)  # (halt_prob, accepted) of each puzzle

    def extend(self, other: SinglePass) -> None:
        """Add the counts of further puzzles."""
        for name in ("puzzles", "num_evaluated", "cells"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.correct.update(other.correct)
        for k, pairs in other.halting.items():
            self.halting.setdefault(k, []).extend(pairs)

    def _shares(self) -> Iterator[tuple[str, int, int]]:
        """(name, successes, trials) of every rate, in the order of a report."""
        for k in self.steps:
            for name, trials in TRIALS.items():
                yield f"{name}_at_{k}", self.correct[name, k], getattr(self, trials)

    def rates(self) -> dict[str, float]:
        """Shares of puzzles, or of open cells."""
        return {name: successes / max(1, trials) for name, successes, trials in self._shares()}

    def intervals(self) -> dict[str, tuple[float, float]]:
        """The 95 % intervals of those rates that are shares of puzzles, as KEY_interval_95."""
        return {
            f"{name}_interval_95": wilson_interval(successes, trials)
            for name, successes, trials in self._shares()
            if not name.startswith("cell")  # cells of a puzzle are not independent trials
        }


RollOutFunction = Callable[[Iterable[Sequence[Puzzle]], tuple[int, ...]], Iterable[SinglePass]]  # counts by batch


def single_pass(
    solver: Solver,
    puzzles: Sequence[Puzzle],
    steps: tuple[int, ...] = (16, 64),
    batch_size: int | None = None,
    progress: Callable[[int], None] = lambda done: None,
    counts: SinglePass | None = None,
    roll_out_fn: RollOutFunction | None = None,
) -> SinglePass:
    """Roll every puzzle out to max(steps) steps; check the answers by the rules, and compare them with solutions.

    progress: called after every step with the equivalent number of finished puzzles. counts: updated after each batch,
    so that an interrupted pass keeps them. roll_out_fn: replaces roll_out(), for example on several processes.
    """
    counts = SinglePass(steps) if counts is None else counts
    batch_size = batch_size or default_batch_size(solver.model)
    batches = [puzzles[start : start + batch_size] for start in range(0, len(puzzles), batch_size)]

    def on_step(k: int) -> None:
        progress(counts.puzzles + len(batches[counts.puzzles // batch_size]) * k // max(steps))

    if roll_out_fn is None:
        counts_by_batch: Iterable[SinglePass] = (roll_out(solver, batch, steps, on_step) for batch in batches)
    else:
        counts_by_batch = roll_out_fn(batches, steps)
    for batch_counts in counts_by_batch:
        counts.extend(batch_counts)
        progress(counts.puzzles)
    return counts


def roll_out(
    solver: Solver, puzzles: Sequence[Puzzle], steps: tuple[int, ...], on_step: Callable[[int], None] = lambda k: None
) -> SinglePass:
    """Roll out a batch of puzzles to max(steps) steps; the counts. on_step: called after step k."""
    task, counts = solver.task, SinglePass(steps)
    running: list[tuple[Puzzle, Rollout]] = []
    for puzzle in puzzles:
        counts.puzzles += 1
        counts.cells += int(task.open_cells(puzzle.question).sum())
        encoded = task.encode(puzzle.question)
        if encoded is not None and encoded.num_choices:
            counts.num_evaluated += 1
            running.append((puzzle, Rollout(encoded)))
        elif encoded is not None and task.is_solution(puzzle.question, puzzle.question):
            counts.num_evaluated += 1
            for k in steps:  # no open cells: correct from the start
                counts.correct.update({("accepted", k): 1, ("exact", k): 1, ("halting_right", k): 1})
    batch = ContinuousBatch(solver.model, solver.dtype)
    batch.add(rollout for _, rollout in running)
    for k in range(1, max(steps) + 1 if running else 0):
        batch.step()
        on_step(k)
        if k in steps:
            for puzzle, rollout in running:
                _count(counts, k, task, puzzle, rollout)
    return counts


def _count(counts: SinglePass, k: int, task: Task, puzzle: Puzzle, rollout: Rollout) -> None:
    readout = rollout.readout
    assert readout is not None
    prediction = task.decode(puzzle.question, rollout.meanings, readout.confidence)
    accepted = task.is_solution(puzzle.question, prediction.answer)
    if not task.has_rules:
        accepted = equals_solution(puzzle, prediction)
    cells = task.open_cells(puzzle.question)
    correct_cells, exact = int(cells.sum()) * accepted, accepted
    if puzzle.solution is not None:
        correct_cells = int((prediction.answer == puzzle.solution)[cells].sum())
        exact = correct_cells == int(cells.sum())
    halting_correct = (readout.halt_prob > 0.5) == accepted
    values = (accepted, exact, correct_cells, halting_correct)
    counts.correct.update({(name, k): int(value) for name, value in zip(TRIALS, values, strict=True)})
    counts.halting.setdefault(k, []).append((readout.halt_prob, accepted))


def split_records(records: Iterable[Any]) -> tuple[list[Puzzle], list[Any]]:
    """The puzzles, and the invalid records."""
    puzzles: list[Puzzle] = []
    invalid: list[Any] = []
    for record in records:
        (puzzles if isinstance(record, Puzzle) else invalid).append(record)
    return puzzles, invalid


# -- the report of a checkpoint -------------------------------------------------------------------------------------
SolveFunction = Callable[[Iterable[Puzzle], SolveOptions], Iterable[Any]]
Progress = Callable[[str, int, int], None]  # activity; number of puzzles done; number of puzzles


def unsupported_reasons(name: str, task: Task, puzzles: Sequence[Puzzle]) -> list[str]:
    """For each puzzle why the checkpoint `name` does not support it; "" if it does.

    Raises TrmsolveError if it supports none of them.
    """
    reasons = [task.unsupported_reason(puzzle.question) for puzzle in puzzles]
    if puzzles and all(reasons):
        raise TrmsolveError(
            f"{name} supports none of the {len(puzzles)} puzzles: {reasons[0]}",
            "choose other puzzles, or another --checkpoint",
        )
    return reasons


class Measurement:
    """The evaluation of one checkpoint. If `run` is interrupted, `report` covers the puzzles measured before.

    reasons: unsupported_reasons() of these puzzles; unsupported ones count as unsolved. with_single_pass: also roll out
    64 steps. solve_fn, roll_out_fn: replace Solver.solve and roll_out(), e.g. on several processes.
    """

    def __init__(
        self,
        solver: Solver,
        puzzles: Sequence[Puzzle],
        reasons: Sequence[str],
        options: SolveOptions,
        with_single_pass: bool = True,
        solve_fn: SolveFunction | None = None,
        roll_out_fn: RollOutFunction | None = None,
    ) -> None:
        self.solver, self.puzzles, self.options = solver, puzzles, options
        self.with_single_pass = with_single_pass
        pairs = list(zip(puzzles, reasons, strict=True))
        self.supported = [puzzle for puzzle, reason in pairs if not reason]
        self.unsupported = [Result(puzzle, error=reason) for puzzle, reason in pairs if reason]
        self.results: list[Result] = []
        self.counts = SinglePass(CURVE)
        self.seconds = 0.0
        self.flops_per_step: float | None = None
        self.done = False
        self._solve: SolveFunction = solve_fn or solver.solve
        self._roll_out_fn = roll_out_fn

    def run(self, progress: Progress = lambda activity, done, total: None) -> None:
        """Measure everything."""
        list(self.solver.solve(self.supported[:1], SolveOptions(max_steps=1, restarts=0)))  # warm-up
        started = time.monotonic()
        for result in self._solve(self.supported, self.options):
            self.results.append(judged(result))
            self.seconds = time.monotonic() - started
            progress("solving", len(self.results), len(self.supported))
        self.flops_per_step = step_flops(self.solver, self.supported)
        if self.with_single_pass:
            single_pass(
                self.solver,
                self.puzzles,
                CURVE,
                self.options.batch_size,
                lambda done: progress("single pass", done, len(self.puzzles)),
                self.counts,
                self._roll_out_fn,
            )
        self.done = True

    def report(self) -> dict[str, Any]:
        """The measures as JSON-able values. An interrupted report has the key `interrupted` and fewer other keys.

        flops_per_puzzle, of solving with restarts: FLOP of a supervision step of the mean puzzle, times the mean number
        of steps. A branch is a smaller puzzle, so with branches it is an upper bound.
        """
        complete = len(self.results) == len(self.supported)
        results = [*self.results, *self.unsupported] if complete else self.results
        report = summary(results, self.seconds) | details(self.solver.task, results)
        if not self.solver.task.has_rules:
            report["solved_means"] = "halted, equal to the known answer"
        report["parameters"] = num_parameters(self.solver.model)
        if not self.done:
            report["interrupted"] = {"puzzles": len(self.puzzles), "single_pass": self.counts.puzzles}
        if self.flops_per_step is not None:
            report["flops_per_step"] = self.flops_per_step
            report["flops_per_puzzle"] = self.flops_per_step * report["mean_steps"]
        if self.counts.puzzles:
            bins = calibration(self.counts.halting.get(HALTING_AT, []))
            report |= self.counts.rates() | self.counts.intervals()
            report[f"calibration_at_{HALTING_AT}"] = [asdict(b) for b in bins]
            report[f"calibration_error_at_{HALTING_AT}"] = calibration_error(bins)
        return report


# -- a model in training ---------------------------------------------------------------------------------------------
def solver_for(task: Task, model: TRM, dtype: torch.dtype) -> Solver:
    """A solver with a copy of the model, converted for inference."""
    return Solver(task, copy.deepcopy(model).cast(dtype), dtype)


def measure_single_pass(
    solver: Solver, puzzles: list[Puzzle], steps: tuple[int, ...], deadline: float, progress: Callable[[int, int], None]
) -> SinglePass:
    """single_pass for as many puzzles as possible before `deadline` (time.monotonic()).

    progress: called with the numbers of puzzles measured so far and in all.
    """
    counts = SinglePass(steps)

    def on_progress(num_done: int) -> None:
        progress(num_done, len(puzzles))
        if time.monotonic() >= deadline:
            raise DeadlineExceeded

    with suppress(DeadlineExceeded):
        single_pass(solver, puzzles, steps, min(BATCH_SIZE, default_batch_size(solver.model)), on_progress, counts)
    return counts


def measure_held_out(
    task: Task,
    model: TRM,
    sets: dict[str, list[Puzzle]],
    dtype: torch.dtype,
    deadline: float = float("inf"),
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, dict[str, float]]:
    """Accuracy by set of puzzles: solved and verified with default settings, and in a single pass.

    deadline: time.monotonic() at which to stop. The first `n` of `of` puzzles have then been measured; sets without a
    measured puzzle are omitted.
    """
    solver = solver_for(task, model, dtype)
    restarts = SolveOptions.restarts
    if isinstance(task, Augments):
        restarts = min(restarts, MAX_AUGMENTATIONS)
    metrics = {}
    for position, (name, puzzles) in enumerate(sets.items()):
        started = time.monotonic()
        until = started + (deadline - started) / (len(sets) - position)
        passes = measure_single_pass(solver, puzzles, (16, 64), started + (until - started) / 3, progress)
        results: list[Any] = []
        solving = time.monotonic()
        try:
            for result in solver.solve(puzzles, SolveOptions(restarts=restarts), deadline=until):
                assert isinstance(result, Result)
                results.append(judged(result))
                progress(len(results), len(puzzles))
        except DeadlineExceeded:
            pass
        entry: dict[str, float] = {}
        if results:
            solved = summary(results, time.monotonic() - solving)
            entry |= {"solved": solved["solved"], "n": solved["puzzles"], "mean_restarts": solved["mean_restarts"]}
            entry |= {"restarts_at_most": restarts}
            entry |= {"without_restarts": solved["solved_without_restarts"], "mean_steps": solved["mean_steps"]}
        if passes.puzzles:
            entry |= {key: value for key, value in passes.rates().items() if key.startswith(("accepted", "exact"))}
        if len(results) < len(puzzles):
            entry |= {"of": len(puzzles)}
        if results or passes.puzzles:
            metrics[name] = {key: round(value, 4) for key, value in entry.items()}
    return metrics
