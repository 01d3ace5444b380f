"""What adapting to many tasks amounts to, for `trmsolve eval arc`: JSON-able values, all from results with answers.

Each share comes as KEY with its 95 % Wilson interval as KEY_interval_95. By task a test counts for its share of the
task's tests, as in the competition; the interval then is rather too wide than too narrow, since such shares vary less
than all or nothing would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from trmsolve.adapting.options import TaskResult
from trmsolve.tasks.arc.grids import ArcTask
from trmsolve.tasks.arc.score import SIDES, Score, right, score, side
from trmsolve.tasks.arc.sizes import SizeRule

ANY = 10**9  # attempts: right is right wherever it stands among the votes
BINS = 5  # of confidence


def report(results: Sequence[TaskResult]) -> dict[str, Any]:
    """All measures of results whose tasks have answers; those with an error count as unsolved.

    pass_at_1, pass_at_2, pass_at_any (the answer is among the grids that got votes: what ranking could gain at most),
    each by task, and as test_pass_at_ by test; the first two also by the largest side of a task's grids (`sides`), and
    by whether all its outputs are as large as their inputs (`sizes`). How often a task's demonstrations are reproduced,
    and what is solved of these and of the others. How far the top vote's confidence can be trusted (`calibration`).
    Seconds and optimizer steps, in all and per task; peak memory in bytes. `by_task`: a row for each.

    Raises ValueError for a task without answers.
    """
    from trmsolve.solving.measure import calibration, calibration_error

    bins = calibration([said for result in results for said in _said(result)], BINS)
    return {
        **_passed(results),
        "tests": sum(len(result.task.tests) for result in results),
        "errors": sum(bool(result.error) for result in results),
        "sides": _groups(results, side, SIDES),
        "sizes": _groups(results, lambda task: "same" if SizeRule.of(task.pairs).keeps else "other", ("same", "other")),
        **_share("reproduced", sum(result.fits for result in results), len(results)),
        "solved_when_reproduced": _passed([result for result in results if result.fits], (2,)),
        "solved_when_not_reproduced": _passed([result for result in results if not result.fits], (2,)),
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


def row(result: TaskResult) -> dict[str, Any]:
    """One task's part: shares of its tests, and the mean of its top votes' confidence."""
    task = _task(result)
    return {
        "name": task.name,
        "source": task.source,
        "tests": len(task.tests),
        **{f"pass_at_{_named(k)}": score_of(result, k).rate for k in (1, 2, ANY)},
        "confidence": _mean(confidence for confidence, _ in _said(result)),
        "reproduced": result.reproduced,
        "left_out": result.left_out,
        "views": result.views,
        "steps": result.steps,
        "seconds": result.seconds,
        "error": result.error or None,
    }


def score_of(result: TaskResult, k: int = 2) -> Score:
    """One task's score by its first k grids for each test. Raises ValueError when the task has no answers."""
    return score(_task(result), [[vote.grid for vote in votes] for votes in result.ranked], k)


def _passed(results: Sequence[TaskResult], ks: Sequence[int] = (1, 2, ANY)) -> dict[str, Any]:
    found: dict[str, Any] = {}
    scores = {_named(k): sum((score_of(result, k) for result in results), Score()) for k in ks}
    for k, of in scores.items():
        found |= _share(f"pass_at_{k}", of.points, of.tasks)
    for k, of in scores.items():
        found |= _share(f"test_pass_at_{k}", of.solved, of.tests)
    return {"tasks": len(results)} | found


def _groups(
    results: Sequence[TaskResult], key: Callable[[ArcTask], Any], known: Sequence[Any]
) -> dict[str, dict[str, Any]]:
    """The scores of the tasks of each kind, as strings since JSON knows no other keys."""
    return {str(name): _passed([r for r in results if key(_task(r)) == name], (1, 2)) for name in known}


def _said(result: TaskResult) -> list[tuple[float, bool]]:
    """For each test with votes the confidence of the first one, and whether it is right."""
    answers = _task(result).answers or ()
    pairs = zip(result.ranked, answers, strict=False)
    return [(votes[0].confidence, right(votes[0].grid, answer)) for votes, answer in pairs if votes]


def _task(result: TaskResult) -> ArcTask:
    if not isinstance(result.task, ArcTask):
        raise ValueError(f"{result.task.source}: no task")
    return result.task


def _share(name: str, successes: float, trials: int) -> dict[str, Any]:
    from trmsolve.solving.measure import interval

    return {name: successes / trials if trials else 0.0, f"{name}_interval_95": interval(successes, trials)}


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return float(np.mean(found)) if found else 0.0


def _named(k: int) -> str:
    return "any" if k == ANY else str(k)
