"""The report of `trmsolve eval arc`: what test-time training achieves on tasks with answers, as JSON-able values.

Each share is given as KEY with its 95 % Wilson interval as KEY_interval_95. Shares by task weight each test by 1 / (the
task's number of tests), as in the competition. Their intervals are conservative, because such shares vary less than 0
or 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from trmsolve.inference.few_shot import FewShotResult
from trmsolve.tasks.few_shot import Demonstrates, FewShotTask, Score, is_correct, score

ANY = 10**9  # k: the answer is anywhere in the ranking
NUM_BINS = 5  # of confidence


def report(results: Sequence[FewShotResult], task: Demonstrates) -> dict[str, Any]:
    """All metrics of results whose tasks have answers; those with an error count as unsolved.

    pass_at_1, pass_at_2, pass_at_any (an upper bound of what a better ranking could gain) by task, and test_pass_at_...
    by test; the first two also for each group of tasks (`sides`: by the longest side of the grids; `sizes`: whether
    outputs are as large as inputs). The share of tasks whose demonstrations are reproduced, and what is solved of these
    and of the others. Calibration of the first answer's confidence. Seconds, optimizer steps, peak memory in bytes.
    `by_task`: a row for each.

    Raises ValueError for a task without answers.
    """
    from trmsolve.inference.evaluate import calibration, calibration_error  # imports torch

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
        **_share("reproduced", sum(result.fits for result in results), len(results)),
        "solved_when_reproduced": _pass_rates([result for result in results if result.fits], (2,)),
        "solved_when_not_reproduced": _pass_rates([result for result in results if not result.fits], (2,)),
        "calibration": [
            {"low": b.low, "high": b.high, "tests": b.puzzles, "predicted": b.predicted, "right": b.right} for b in bins
        ],
        "calibration_error": calibration_error(bins),
        "seconds": sum(result.seconds for result in results),
        "steps": sum(result.steps for result in results),
        "mean_seconds": _mean(result.seconds for result in results),
        "mean_steps": _mean(result.steps for result in results),
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
        "confidence": _mean(confidence for confidence, _ in _top_confidences(result)),
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
        rates |= _share(f"pass_at_{k}", total.points, total.tasks)
    for k, total in scores.items():
        rates |= _share(f"test_pass_at_{k}", total.solved, total.tests)
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


def _share(name: str, successes: float, trials: int) -> dict[str, Any]:
    from trmsolve.inference.evaluate import wilson_interval

    share = successes / trials if trials else 0.0
    return {name: share, f"{name}_interval_95": wilson_interval(successes, trials)}


def _mean(values: Iterable[float]) -> float:
    array = list(values)
    return float(np.mean(array)) if array else 0.0


def _name(k: int) -> str:
    return "any" if k == ANY else str(k)
