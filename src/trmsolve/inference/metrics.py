"""Shares with their intervals, calibration, and the report of `trmsolve eval arc` as JSON-able values.

In that report each share is given as KEY with its 95 % Wilson interval as KEY_interval_95. Shares by task weight each
test by 1 / (the task's number of tests), as in the competition. Their intervals are conservative, because such shares
vary less than 0 or 1.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from trmsolve.inference.few_shot import FewShotResult
from trmsolve.inference.options import Result
from trmsolve.tasks.base import Prediction, Puzzle, Task
from trmsolve.tasks.few_shot import Demonstrates, FewShotTask, Score, is_correct, score

ANY = 10**9  # k: the answer is anywhere in the ranking
NUM_BINS = 5  # of confidence


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


def share(name: str, successes: float, trials: int) -> dict[str, Any]:
    """A share as NAME, 0 without trials, and its 95 % interval as NAME_interval_95."""
    return {name: successes / max(1, trials), f"{name}_interval_95": wilson_interval(successes, trials)}


def mean(values: Iterable[float]) -> float:
    """The mean; 0 without values."""
    array = list(values)
    return float(np.mean(array)) if array else 0.0


# -- puzzles ------------------------------------------------------------------------------------------------------
def summary(results: Sequence[Result], seconds: float) -> dict[str, Any]:
    """Accuracy with and without restarts, steps and speed, as a JSON-able dict.

    A puzzle that the model does not support (a Result with an `error`) counts as unsolved, but not in means and speed.
    """
    valid = _valid(results)
    evaluated = _evaluated(valid)
    return {
        "puzzles": len(valid),
        "refused": len(valid) - len(evaluated),
        **share("solved", sum(r.solved for r in valid), len(valid)),
        **share("solved_without_restarts", sum(r.single_pass for r in valid), len(valid)),
        "mean_steps": mean(r.steps for r in evaluated),
        "mean_restarts": mean(r.restarts for r in evaluated),
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
                **share("solved", sum(r.solved for r in members), len(members)),
                "solved_without_restarts": sum(r.single_pass for r in members) / len(members),
                "mean_steps": mean(r.steps for r in _evaluated(members)),
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
        report |= share(name, sum(values), len(valid))
    if labelled := [r for r in valid if r.puzzle.solution is not None]:
        equal = [r.prediction is not None and np.array_equal(r.prediction.answer, r.puzzle.solution) for r in labelled]
        report |= share("equal_to_given_answer", sum(equal), len(equal))
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


def _natural_key(text: str) -> list[tuple[int, str]]:
    """A sort key that puts 9 before 10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", text)]


# -- few-shot tasks -------------------------------------------------------------------------------------------------
def report(results: Sequence[FewShotResult], task: Demonstrates) -> dict[str, Any]:
    """All metrics of results whose tasks have answers; those with an error count as unsolved.

    pass_at_1, pass_at_2, pass_at_any (an upper bound of what a better ranking could gain) by task, and test_pass_at_...
    by test; the first two also for each group of tasks (`sides`: by the longest side of the grids; `sizes`: whether
    outputs are as large as inputs). The share of tasks whose demonstrations are reproduced, and what is solved of these
    and of the others. Calibration of the first answer's confidence. Seconds, optimizer steps, peak memory in bytes.
    `by_task`: a row for each.

    Raises ValueError for a task without answers.
    """
    bins = calibration([pair for result in results for pair in _top_confidences(result)], NUM_BINS)
    groups = [task.group_of(_task(result)) for result in results]
    by_group: dict[str, dict[str, Any]] = {}
    for key, expected in task.report_groups.items():
        names = dict.fromkeys([*expected, *(group[key] for group in groups)])
        members = {name: [r for r, group in zip(results, groups, strict=True) if group[key] == name] for name in names}
        by_group[key] = {name: _pass_rates(group, (1, 2)) for name, group in members.items()}
    return {
        **_pass_rates(results),
        "tests": sum(len(_task(result).tests) for result in results),
        "errors": sum(bool(result.error) for result in results),
        **by_group,
        **share("reproduced", sum(result.fits for result in results), len(results)),
        "solved_when_reproduced": _pass_rates([result for result in results if result.fits], (2,)),
        "solved_when_not_reproduced": _pass_rates([result for result in results if not result.fits], (2,)),
        "calibration": [
            {"low": b.low, "high": b.high, "tests": b.puzzles, "predicted": b.predicted, "right": b.right} for b in bins
        ],
        "calibration_error": calibration_error(bins),
        "seconds": sum(result.seconds for result in results),
        "steps": sum(result.steps for result in results),
        "mean_seconds": mean(result.seconds for result in results),
        "mean_steps": mean(result.steps for result in results),
        "memory_bytes": max((result.memory for result in results), default=0),
        "by_task": [row(result) for result in results],
    }


def row(result: FewShotResult) -> dict[str, Any]:
    """One task's part of the report: shares of its tests, and the mean confidence of its first answers."""
    task = _task(result)
    return {
        "name": task.name,
        "source": task.source,
        "tests": len(task.tests),
        **{f"pass_at_{_name(k)}": score_of(result, k).rate for k in (1, 2, ANY)},
        "confidence": mean(confidence for confidence, _ in _top_confidences(result)),
        "reproduced": result.reproduced,
        "left_out": result.holdout_accuracy,
        "views": result.num_augmentations,
        "steps": result.steps,
        "seconds": result.seconds,
        "error": result.error or None,
    }


def score_of(result: FewShotResult, k: int = 2) -> Score:
    """One task's score by its first k grids for each test. Raises ValueError if the task has no answers."""
    return score(_task(result), [[answer.grid for answer in answers] for answers in result.ranked], k)


def _pass_rates(results: Sequence[FewShotResult], ks: Sequence[int] = (1, 2, ANY)) -> dict[str, Any]:
    rates: dict[str, Any] = {"tasks": len(results)}
    scores = {_name(k): sum((score_of(result, k) for result in results), Score()) for k in ks}
    for k, total in scores.items():
        rates |= share(f"pass_at_{k}", total.points, total.tasks)
    for k, total in scores.items():
        rates |= share(f"test_pass_at_{k}", total.solved, total.tests)
    return rates


def _top_confidences(result: FewShotResult) -> list[tuple[float, bool]]:
    """For each test the confidence of the first answer, and whether it is correct."""
    solutions = _task(result).answers or ()
    pairs = zip(result.ranked, solutions, strict=False)
    return [(answers[0].confidence, is_correct(answers[0].grid, solution)) for answers, solution in pairs if answers]


def _task(result: FewShotResult) -> FewShotTask:
    if not isinstance(result.task, FewShotTask):
        raise ValueError(f"{result.task.source}: no task")
    return result.task


def _name(k: int) -> str:
    return "any" if k == ANY else str(k)
