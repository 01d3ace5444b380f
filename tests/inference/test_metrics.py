"""The measures of `trmsolve eval arc`, on results whose figures can be counted by hand."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from tasks.arc.examples import grid, task
from trmsolve.inference import metrics
from trmsolve.inference.few_shot import FewShotResult, RankedAnswer
from trmsolve.inference.metrics import row, score_of
from trmsolve.tasks.arc import TASK
from trmsolve.tasks.base import InvalidPuzzle
from trmsolve.tasks.few_shot import FewShotTask, Pair

FIRST, SECOND = task().answers
WRONG, WORSE = grid("1"), grid("2")


def report(results) -> dict:
    return metrics.report(results, TASK)


def votes(*grids: np.ndarray, confidence: float = 0.5) -> tuple[RankedAnswer, ...]:
    """The first one with this confidence, the others share the rest."""
    rest = (1 - confidence) / max(1, len(grids) - 1)
    return tuple(RankedAnswer(each, 1, rest if i else confidence) for i, each in enumerate(grids))


def result(name: str, *ranked: tuple[RankedAnswer, ...], **fields) -> FewShotResult:
    """Of task(), which has two tests."""
    return FewShotResult(task(name), ranked, **fields)


def larger(name: str, side: int = 15) -> FewShotResult:
    """Of a task with one test, solved, whose outputs are larger than its inputs."""
    small, large = grid("0"), np.zeros((side, side), np.uint8)
    task = FewShotTask(name, name, (Pair(small, large),), (small,), (large,))
    return FewShotResult(task, (votes(large, confidence=0.9),), reproduced=1.0, steps=30, seconds=4.0, memory=7)


BOTH = result("both", votes(FIRST), votes(WRONG, SECOND), reproduced=0.8, steps=10, seconds=1.0, memory=5)
LATE = result("late", votes(WRONG, WORSE, FIRST), votes(WORSE), reproduced=0.2, steps=20, seconds=3.0, memory=9)
FAILED = result("failed", error="out of memory")


def test_shares_by_task_and_by_test():
    summary = report([BOTH, LATE, larger("c")])
    assert (summary["tasks"], summary["tests"], summary["errors"]) == (3, 5, 0)
    assert [summary[f"pass_at_{k}"] for k in ("1", "2", "any")] == pytest.approx([1.5 / 3, 2 / 3, 2.5 / 3])
    assert [summary[f"test_pass_at_{k}"] for k in ("1", "2", "any")] == pytest.approx([2 / 5, 3 / 5, 4 / 5])


def test_intervals_are_those_of_wilson():
    low, high = report([BOTH] * 3 + [LATE] * 7)["pass_at_2_interval_95"]
    assert (low, high) == pytest.approx((0.1078, 0.6032), abs=1e-4)  # 3 of 10
    assert report([LATE])["pass_at_2_interval_95"][0] == 0.0 and report([BOTH])["pass_at_2_interval_95"][1] == 1.0


def test_rates_by_side_and_by_output_size():
    summary = report([BOTH, LATE, larger("c", 10), larger("d", 11), larger("e", 30)])
    assert {side: of["tasks"] for side, of in summary["sides"].items()} == {"10": 3, "20": 1, "30": 1}
    assert summary["sides"]["10"]["pass_at_2"] == pytest.approx(2 / 3) and summary["sides"]["30"]["pass_at_2"] == 1.0
    same, other = (summary["sizes"][name] for name in ("same", "other"))
    assert (same["tasks"], same["pass_at_1"], same["pass_at_2"]) == (2, 0.25, 0.5)
    assert (other["tasks"], other["pass_at_1"]) == (3, 1.0)


def test_an_output_of_another_size_in_a_test_counts():
    odd = FewShotTask("odd", "odd", (Pair(grid("1"), grid("1")),), (grid("1"),), (grid("11"),))
    assert report([FewShotResult(odd, (votes(WRONG),))])["sizes"]["other"]["tasks"] == 1


def test_rates_by_whether_demonstrations_are_reproduced():
    summary = report([BOTH, LATE, replace(LATE, reproduced=0.9), larger("c")])
    assert summary["reproduced"] == 0.75
    assert summary["solved_when_reproduced"]["tasks"] == 3
    assert summary["solved_when_reproduced"]["pass_at_2"] == pytest.approx(2 / 3)
    assert summary["solved_when_not_reproduced"]["pass_at_2"] == 0.0


def test_calibration_uses_the_confidence_of_first_answers():
    sure, unsure = votes(FIRST, WRONG, confidence=0.95), votes(WORSE, SECOND, confidence=0.55)
    summary = report([result("a", sure, unsure), result("b", votes(WRONG, confidence=0.85), ())])
    assert [(b["low"], b["high"], b["tests"], b["right"]) for b in summary["calibration"]] == [
        (0.4, 0.6, 1, 0.0),
        (0.8, 1.0, 2, 0.5),
    ]
    assert summary["calibration"][1]["predicted"] == pytest.approx(0.9)
    assert summary["calibration_error"] == pytest.approx((0.55 + 2 * 0.4) / 3)


def test_seconds_steps_and_memory():
    summary = report([BOTH, LATE])
    assert (summary["mean_seconds"], summary["mean_steps"], summary["memory_bytes"]) == (2.0, 15.0, 9)
    assert (summary["seconds"], summary["steps"]) == (4.0, 30)


def test_a_failed_task_is_not_solved():
    summary = report([BOTH, FAILED])
    assert (summary["tasks"], summary["errors"], summary["pass_at_2"], summary["test_pass_at_2"]) == (2, 1, 0.5, 0.5)
    assert summary["by_task"][1]["error"] == "out of memory" and summary["by_task"][1]["pass_at_2"] == 0.0


def test_a_row_for_each_task():
    summary = row(
        replace(BOTH, ranked=(votes(FIRST, confidence=0.6), votes(WRONG, SECOND, confidence=0.8)), holdout_accuracy=0.5)
    )
    shares = [summary[f"pass_at_{k}"] for k in ("1", "2", "any")]
    assert (summary["name"], summary["tests"], shares) == ("both", 2, [0.5, 1.0, 1.0])
    assert summary["confidence"] == pytest.approx(0.7) and summary["left_out"] == 0.5
    assert (summary["steps"], summary["seconds"], summary["error"]) == (10, 1.0, None)
    assert [each["name"] for each in report([BOTH, LATE])["by_task"]] == ["both", "late"]


def test_an_empty_report_is_json_too():
    for results in ([], [BOTH, LATE, FAILED, larger("c")]):
        summary = json.loads(json.dumps(report(results), allow_nan=False))
        assert summary["tasks"] == len(results) and math.isfinite(summary["mean_seconds"])


def test_a_task_without_answers_raises():
    with pytest.raises(ValueError, match="flip"):
        report([FewShotResult(task(answers=False))])
    with pytest.raises(ValueError, match="x"):
        score_of(FewShotResult(InvalidPuzzle("x", "no task"), error="no task"))
