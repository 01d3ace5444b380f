"""Evaluate a model: solving with restarts, the single pass of a fixed number of steps, and calibration."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from trmsolve.errors import TrmsolveError
from trmsolve.inference.batch import ContinuousBatch, Request, Rollout
from trmsolve.inference.flops import step_flops
from trmsolve.inference.options import Result, SolveOptions
from trmsolve.inference.runner import EagerRunner, default_batch_size
from trmsolve.inference.solver import Solver
from trmsolve.model.trm import num_parameters
from trmsolve.tasks.base import Prediction, Puzzle, Task

CURVE = (1, 2, 4, 8, 16, 32, 64)  # steps at which accuracy is shown as a curve
HALTING_AT = 16  # steps after which the halting head is evaluated, as many as published models are trained for


# -- the single pass ----------------------------------------------------------------------------------------------
@dataclass
class SinglePass:
    """Counts for rollouts of a fixed length, by number of steps k, without early stop and restarts."""

    steps: tuple[int, ...]
    puzzles: int = 0
    num_evaluated: int = 0  # puzzles except those that the rules reject before a run
    cells: int = 0  # open cells
    accepted: dict[int, int] = field(default_factory=dict)  # answers that the rules accept
    exact: dict[int, int] = field(default_factory=dict)  # answers equal to the known solution, else accepted answers
    correct_cells: dict[int, int] = field(default_factory=dict)
    halting_correct: dict[int, int] = field(default_factory=dict)  # (halt_prob > 1/2) == accepted
    halting: dict[int, list[tuple[float, bool]]] = field(default_factory=dict)  # (halt_prob, accepted) of each puzzle

    def add(self, k: int, **values: int) -> None:
        """Add one puzzle's counts at step k."""
        for name, value in values.items():
            counts = getattr(self, name)
            counts[k] = counts.get(k, 0) + int(value)

    def extend(self, other: SinglePass) -> None:
        """Add the counts of further puzzles."""
        for name in ("puzzles", "num_evaluated", "cells"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("accepted", "exact", "correct_cells", "halting_correct"):
            for k, value in getattr(other, name).items():
                self.add(k, **{name: value})
        for k, pairs in other.halting.items():
            self.halting.setdefault(k, []).extend(pairs)

    def _shares(self) -> Iterator[tuple[str, int, int]]:
        """(name, successes, trials) of every rate, in the order of a report."""
        for k in self.steps:
            yield f"accepted_at_{k}", self.accepted.get(k, 0), self.puzzles
            yield f"exact_at_{k}", self.exact.get(k, 0), self.puzzles
            yield f"cell_accuracy_at_{k}", self.correct_cells.get(k, 0), self.cells
            yield f"halting_right_at_{k}", self.halting_correct.get(k, 0), self.num_evaluated

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


RolloutFunction = Callable[[Iterable[Sequence[Puzzle]], tuple[int, ...]], Iterable[SinglePass]]


def single_pass(
    solver: Solver,
    puzzles: Sequence[Puzzle],
    steps: tuple[int, ...] = (16, 64),
    batch_size: int | None = None,
    progress: Callable[[int], None] = lambda done: None,
    counts: SinglePass | None = None,
    rollout_fn: RolloutFunction | None = None,
) -> SinglePass:
    """Roll every puzzle out to max(steps) steps; check the answers by the rules, and compare them with solutions.

    progress: called after every step with the equivalent number of finished puzzles. counts: updated after each batch,
    so that an interrupted pass keeps them. rollout_fn: replaces rollout(), for example on several processes.
    """
    counts = SinglePass(steps) if counts is None else counts
    batch_size = batch_size or default_batch_size(solver.model)
    batches = [puzzles[start : start + batch_size] for start in range(0, len(puzzles), batch_size)]

    def on_step(k: int) -> None:
        progress(counts.puzzles + len(batches[counts.puzzles // batch_size]) * k // max(steps))

    for batch_counts in (rollout_fn or partial(rollout, solver, on_step=on_step))(batches, steps):
        counts.extend(batch_counts)
        progress(counts.puzzles)
    return counts


def rollout(
    solver: Solver,
    batches: Iterable[Sequence[Puzzle]],
    steps: tuple[int, ...],
    on_step: Callable[[int], None] = lambda k: None,
) -> Iterator[SinglePass]:
    """Roll out batches of puzzles to max(steps) steps; yield the counts of each batch. on_step: called after step k."""
    with solver.runner() as runner:
        for puzzles in batches:
            yield _rollout_batch(solver, runner, puzzles, steps, on_step)


def _rollout_batch(
    solver: Solver,
    runner: EagerRunner,
    puzzles: Sequence[Puzzle],
    steps: tuple[int, ...],
    on_step: Callable[[int], None],
) -> SinglePass:
    task, counts = solver.task, SinglePass(steps)
    running: list[tuple[Puzzle, Rollout]] = []
    for puzzle in puzzles:
        counts.puzzles += 1
        counts.cells += int(task.open_cells(puzzle.question).sum())
        encoded = task.encode(puzzle.question)
        if encoded is not None and encoded.num_choices:
            counts.num_evaluated += 1
            running.append((puzzle, Rollout(Request(encoded, max(steps)))))
        elif encoded is not None and task.is_solution(puzzle.question, puzzle.question):
            counts.num_evaluated += 1
            for k in steps:  # no open cells: correct from the start
                counts.add(k, accepted=True, exact=True, correct_cells=0, halting_correct=True)
    batch = ContinuousBatch(solver.model, solver.dtype, runner)
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
    counts.add(k, accepted=accepted, exact=exact, correct_cells=correct_cells, halting_correct=halting_correct)
    counts.halting.setdefault(k, []).append((readout.halt_prob, accepted))


# -- statistics ---------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Bin:
    """Predictions of similar probability, and the share of them that is correct."""

    low: float
    high: float
    puzzles: int
    predicted: float  # mean probability
    right: float  # share that is correct


def calibration(predictions: Sequence[tuple[float, bool]], number: int = 10) -> list[Bin]:
    """Group predictions (probability, whether it is correct) into bins of equal width, without empty bins."""
    members: dict[int, list[tuple[float, bool]]] = {}
    for probability, correct in predictions:
        members.setdefault(min(int(probability * number), number - 1), []).append((probability, correct))
    return [
        Bin(i / number, (i + 1) / number, len(pairs), *(float(mean) for mean in np.mean(pairs, axis=0)))
        for i, pairs in sorted(members.items())
    ]


def calibration_error(bins: Sequence[Bin]) -> float:
    """The expected calibration error (arXiv 1706.04599): the mean of |predicted - right|; 0 without bins."""
    return sum(b.puzzles * abs(b.predicted - b.right) for b in bins) / max(1, sum(b.puzzles for b in bins))


def wilson_interval(successes: float, trials: int) -> tuple[float, float]:
    """The 95 % Wilson score interval of a share (en.wikipedia.org/wiki/Binomial_proportion_confidence_interval).

    A float, because a few-shot task with several tests counts with the share of those that are solved.
    """
    if trials == 0:
        return 0.0, 1.0
    z, p = 1.959964, successes / trials
    middle, spread = p + z * z / (2 * trials), z * math.sqrt(p * (1 - p) / trials + z * z / (4 * trials * trials))
    low, high = ((middle + side * spread) / (1 + z * z / trials) for side in (-1, 1))
    return 0.0 if successes == 0 else low, 1.0 if successes == trials else high  # exactly, despite rounding


def summary(results: Sequence[Result], seconds: float) -> dict[str, Any]:
    """Accuracy with and without restarts, steps and speed, as a JSON-able dict.

    A puzzle that the model does not support (a Result with an `error`) counts as unsolved, but not in means and speed.
    """
    valid = _valid(results)
    evaluated = _evaluated(valid)
    return {
        "puzzles": len(valid),
        "refused": len(valid) - len(evaluated),
        **_share("solved", [r.solved for r in valid]),
        **_share("solved_without_restarts", [r.single_pass for r in valid]),
        "mean_steps": _mean([r.steps for r in evaluated]),
        "mean_restarts": _mean([r.restarts for r in evaluated]),
        "seconds": seconds,
        "puzzles_per_second": len(evaluated) / max(seconds, 1e-9),
    }


def details(task: Task, results: Sequence[Result]) -> dict[str, Any]:
    """Accuracy by the task's difficulty groups, its partial metrics, and agreement with known answers."""
    valid = _valid(results)
    groups: dict[str, list[Result]] = {}
    for r in valid:
        groups.setdefault(task.difficulty_group(r.puzzle.question), []).append(r)
    report: dict[str, Any] = {
        "strata": {
            name: {
                "puzzles": len(members),
                **_share("solved", [r.solved for r in members]),
                "solved_without_restarts": sum(r.single_pass for r in members) / len(members),
                "mean_steps": _mean([r.steps for r in _evaluated(members)]),
            }
            for name, members in sorted(groups.items(), key=lambda item: _natural_key(item[0]))
        }
    }
    metrics: dict[str, list[bool]] = {}
    for r in valid:
        if r.prediction is not None:
            for name, value in task.partial_metrics(r.puzzle.question, r.prediction.answer).items():
                metrics.setdefault(name, []).append(value)
    for name, values in metrics.items():
        report |= _share(name, values + [False] * (len(valid) - len(values)))
    if labelled := [r for r in valid if r.puzzle.solution is not None]:
        equal = [r.prediction is not None and np.array_equal(r.prediction.answer, r.puzzle.solution) for r in labelled]
        report |= _share("equal_to_given_answer", equal)
    return report


def equals_solution(puzzle: Puzzle, prediction: Prediction | None) -> bool:
    """Whether a prediction equals the puzzle's known solution."""
    solution = puzzle.solution
    return solution is not None and prediction is not None and np.array_equal(prediction.answer, solution)


def judged(result: Any) -> Any:
    """A Result in which, if the task has no rules, an answer counts as solved if it equals the known solution."""
    if not result.unchecked or not result.halted:
        return result
    return replace(result, solved=equals_solution(result.puzzle, result.prediction))


def _valid(results: Sequence[Result]) -> list[Any]:
    return [r for r in results if isinstance(r.puzzle, Puzzle)]


def _evaluated(results: Sequence[Result]) -> list[Result]:
    return [r for r in results if not r.error]


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0


def _share(name: str, values: Sequence[bool]) -> dict[str, Any]:
    interval = wilson_interval(sum(values), len(values))
    return {name: sum(values) / max(1, len(values)), f"{name}_interval_95": interval}


def _natural_key(text: str) -> list[tuple[int, str]]:
    """A sort key that puts 9 before 10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", text)]


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
    64 steps. solve_fn, rollout_fn: replace Solver.solve and rollout(), e.g. on several processes.
    """

    def __init__(
        self,
        solver: Solver,
        puzzles: Sequence[Puzzle],
        reasons: Sequence[str],
        options: SolveOptions,
        with_single_pass: bool = True,
        solve_fn: SolveFunction | None = None,
        rollout_fn: RolloutFunction | None = None,
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
        self._rollout_fn = rollout_fn

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
                self._rollout_fn,
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
