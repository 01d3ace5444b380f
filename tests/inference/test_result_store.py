"""ResultStore results: kept again by what they were made from, whatever happened while they were written."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from tasks.arc.examples import grid, plain, task
from trmsolve.errors import TrmsolveError
from trmsolve.inference.few_shot import AdaptOptions, FewShotResult, RankedAnswer
from trmsolve.inference.result_store import ResultStore, task_digest
from trmsolve.tasks.base import InvalidPuzzle
from trmsolve.tasks.few_shot import FewShotTask, Pair

OPTIONS = AdaptOptions(steps=5)
VOTES = (
    (RankedAnswer(grid("09", "00"), 3, 0.75), RankedAnswer(grid("1"), 1, 0.25)),
    (RankedAnswer(grid("876"), 4, 1.0),),
)
RESULT = FewShotResult(task(), VOTES, 4, 0.9, 0.5, 5, 1.25, 10**9)


def other(name: str = "other", output: str = "1") -> FewShotTask:
    return FewShotTask(name, name, (Pair(grid("1"), grid(output)),), (grid("2"),))


def opened(path, sha256="a", options=OPTIONS) -> ResultStore:
    return ResultStore(path, sha256, options)


@pytest.fixture
def path(tmp_path):
    """A file with one result in it."""
    path = tmp_path / "kept.jsonl"
    opened(path).add(RESULT)
    return path


def same(kept: FewShotResult | None, expected: FewShotResult) -> bool:
    votes = lambda result: [[(v.grid.tolist(), v.votes, v.confidence) for v in each] for each in result.ranked]  # noqa: E731
    rest = [replace(result, task=InvalidPuzzle("", ""), ranked=()) for result in (kept, expected)]
    return votes(kept) == votes(expected) and rest[0] == rest[1]


def test_a_stored_result_is_found(path):
    wanted = task()
    kept = opened(path).find(wanted)
    assert same(kept, RESULT) and kept.task is wanted and kept.solved
    assert all(vote.grid.dtype == np.uint8 for votes in kept.ranked for vote in votes)


def test_a_result_is_equal_before_and_after_reopening(path):
    kept = opened(path)
    second = replace(RESULT, task=other(), holdout_accuracy=None)
    kept.add(second)
    for each in (kept, opened(path)):
        assert same(each.find(task()), RESULT) and same(each.find(other()), second)


def test_a_new_file_is_created_empty(tmp_path):
    kept = opened(tmp_path / "new.jsonl")
    assert kept.find(task()) is None and (tmp_path / "new.jsonl").read_bytes() == b""


def test_the_digest_ignores_answers_and_names(path):
    for other_form in (task(answers=False), task("renamed")):
        kept = opened(path).find(other_form)
        assert kept is not None and plain(kept.task) == plain(other_form)
    assert opened(path).find(task(answers=False)).solved is None


@pytest.mark.parametrize(
    "changed",
    [
        other(output="2"),
        replace(other(), tests=(grid("2"), grid("2"))),
        replace(other(), tests=(grid("3"),)),
        replace(other(), demonstrations=other().demonstrations * 2),
        replace(other(), demonstrations=(), tests=(grid("1"), grid("1"), grid("2"))),
    ],
)
def test_the_digest_depends_on_demonstrations_and_tests(changed):
    assert task_digest(changed) != task_digest(other())
    assert task_digest(other("renamed")) == task_digest(other())


def test_the_digest_depends_on_shapes(tmp_path):
    wide, tall = (
        FewShotTask("x", "x", (Pair(grid("1"), grid("1")),), (test,)) for test in (grid("12"), grid("1", "2"))
    )
    assert task_digest(wide) != task_digest(tall)


@pytest.mark.parametrize(
    "changes", [{"votes": 15}, {"steps": 6}, {"seed": 1}, {"budget": None}, {"tasks_per_batch": 2}]
)
def test_results_with_other_options_stay_in_the_file_unused(path, changes):
    changed = replace(OPTIONS, **changes)
    kept = opened(path, options=changed)
    assert kept.find(task()) is None
    kept.add(replace(RESULT, steps=77))
    assert opened(path, options=changed).find(task()).steps == 77
    assert opened(path).find(task()).steps == RESULT.steps


def test_results_of_another_checkpoint_are_not_used(path):
    assert opened(path, "b").find(task()) is None and opened(path).find(task()) is not None


def test_errors_are_not_stored(path):
    before, kept = path.read_bytes(), opened(path)
    kept.add(FewShotResult(other(), error="out of memory"))
    kept.add(FewShotResult(InvalidPuzzle("x.json", "no task"), error="no task"))
    assert path.read_bytes() == before and kept.find(other()) is None


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99, 1.0])
def test_an_incomplete_last_line_is_ignored_and_left_behind(path, share):
    whole = path.read_bytes()
    opened(path).add(replace(RESULT, task=other()))
    line = path.read_bytes()[len(whole) :]
    torn = whole + line[: 1 + int(share * (len(line) - 3))]
    path.write_bytes(torn)
    kept = opened(path)
    assert kept.num_damaged == 1 and path.read_bytes() == torn
    assert kept.find(other()) is None and kept.find(task()) is not None
    kept.add(replace(RESULT, task=other()))
    assert path.read_bytes() == torn + b"\n" + line
    assert opened(path).find(task()) is not None and opened(path).find(other()) is not None


def test_two_processes_may_share_a_file(path):
    path.write_bytes(path.read_bytes() + b'{"kept":"trm')  # which both see
    first, second = opened(path), opened(path)
    tasks = other("a", "3"), other("b", "4")
    for kept, each in zip((first, second), tasks, strict=True):
        kept.add(replace(RESULT, task=each))
    assert all(opened(path).find(each) for each in (task(), *tasks))


def test_numpy_numbers_are_stored_as_json_numbers(path):
    kept = opened(path)
    vote = RankedAnswer(grid("1"), np.int64(3), np.float32(0.5))
    kept.add(replace(RESULT, task=other(), ranked=((vote,),), reproduced=np.float32(0.25), steps=np.int64(7)))
    kept = opened(path).find(other())
    assert (kept.reproduced, kept.steps, kept.ranked[0][0].votes, kept.ranked[0][0].confidence) == (0.25, 7, 3, 0.5)


def line(**changes) -> str:
    """A line that would be a kept result but for its changes."""
    made_by = {"checkpoint_sha256": "a", "options": OPTIONS.to_dict()}
    numbers = {"views": 1, "reproduced": 0.5, "left_out": None, "steps": 1, "seconds": 1.0, "memory": 1}
    votes = [[{"grid": [[1]], "votes": 1, "confidence": 1.0}]]
    values = (
        {"kept": "trmsolve arc 1", "task": task_digest(task()), "made_by": made_by, "ranked": votes} | numbers | changes
    )
    return json.dumps(values, separators=(",", ":")) + "\n"


def test_the_line_that_the_next_test_damages_is_valid(tmp_path):
    path = tmp_path / "kept.jsonl"
    path.write_text(line())
    assert opened(path).find(task()).steps == 1


@pytest.mark.parametrize(
    "text",
    [
        "hello",
        "hello\n",
        "\n",
        '{"a":{"train":[],"test":[]}}',
        '{"kept":"trmsolve arc 2",',
        line(kept="trmsolve arc 9"),
        line() + "{}\n",
    ],
)
def test_other_files_are_rejected_and_not_changed(tmp_path, text):
    path = tmp_path / "mine.jsonl"
    path.write_text(text)
    with pytest.raises(TrmsolveError, match=r"mine\.jsonl"):
        opened(path)
    assert path.read_text() == text


@pytest.mark.parametrize(
    "damaged",
    [
        '{"kept":"trms\n',
        '{"kept":"trmsolve arc 1",\n',
        '{"kept":"trmsolve arc 1","task":"x"}\n',
        line(ranked=None),
        line(ranked=[[{"grid": [[1], [2, 3]], "votes": 1, "confidence": 1.0}]]),
        line(ranked=[[{"grid": [[1]], "votes": "many", "confidence": 1.0}]]),
        line(ranked=[[1]]),
        line(steps="5"),
        line(seconds=None),
        line(seconds=float("nan")),
    ],
)
def test_a_damaged_line_is_ignored_and_its_task_can_be_stored_again(path, damaged):
    whole = path.read_text()
    for text in (damaged + whole, whole + damaged, whole + damaged + whole):
        path.write_text(text)
        store = opened(path)
        assert store.num_damaged == 1 and store.find(task()) is not None and store.find(other()) is None
    path.write_text(damaged)
    store = opened(path)
    assert store.find(task()) is None
    store.add(RESULT)
    assert path.read_text() == damaged + whole and same(opened(path).find(task()), RESULT)


def test_bytes_that_are_not_utf8(tmp_path):
    path = tmp_path / "mine.bin"
    path.write_bytes(b"\xff\xfe\x00\n")
    with pytest.raises(TrmsolveError, match=r"mine\.bin:1: not a stored result"):
        opened(path)


def test_a_path_that_cannot_be_written_is_an_error(tmp_path):
    with pytest.raises(TrmsolveError, match="not a regular file"):
        opened(tmp_path)
    with pytest.raises(TrmsolveError, match="does not exist"):
        opened(tmp_path / "none" / "kept.jsonl")
    with pytest.raises(TrmsolveError, match="cannot store results"):
        opened(tmp_path / ("x" * 300))


@pytest.mark.parametrize("zeros", [1, 100])
@pytest.mark.parametrize("at_end", [True, False])
def test_zeros_where_a_write_was_lost_are_a_damaged_line(path, zeros, at_end):
    """A power cut may leave zeros in place of a line: they are counted, and later results are found."""
    lost = b"\0" * zeros
    path.write_bytes(path.read_bytes() + lost + b"" if at_end else lost + b"\n" + path.read_bytes())
    kept = opened(path)
    assert kept.num_damaged == 1 and same(kept.find(task()), RESULT)
    second = replace(RESULT, task=other())
    kept.add(second)
    again = opened(path)
    assert same(again.find(task()), RESULT) and same(again.find(other()), second)
