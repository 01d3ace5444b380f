"""Results of few-shot tasks in words and on a terminal, their summary, and the lines of progress."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import numpy as np
import pytest

from tasks.arc import examples as tasks
from trmsolve.cli.few_shot import announcement, progress_text
from trmsolve.cli.options import AdaptArgs
from trmsolve.cli.report import Report, Summary, message
from trmsolve.errors import TrmsolveError
from trmsolve.inference.few_shot import AdaptEvent, FewShotResult, RankedAnswer, RefineEvent
from trmsolve.tasks.arc import TASK
from trmsolve.tasks.base import InvalidPuzzle, Prediction


def result(task=None, solved_by: int = 0, **values) -> FewShotResult:
    """A result with two attempts at each test, of which number `solved_by` is right."""
    task = tasks.task() if task is None else task
    votes = ((1, 13, 0.81), (2, 3, 0.12))
    ranked = tuple(
        tuple(RankedAnswer(grid if k == solved_by else 9 - grid, number, share) for k, number, share in votes)
        for grid in tasks.task().answers
    )
    return FewShotResult(
        task, ranked, **{"num_augmentations": 16, "reproduced": 0.9, "steps": 120, "seconds": 58.1, **values}
    )


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def lines_on_terminal(monkeypatch, outcome: FewShotResult, columns: int, color: str) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    Report(TASK, None, terminal, color).add(outcome)
    return terminal.getvalue().splitlines()


def test_digits_side_by_side_without_colour(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    lines = [re.sub(r"\x1b\[[\d;]*m", "", line) for line in lines_on_terminal(monkeypatch, result(), 80, "auto")]
    assert lines[:2] == ["flip, test 1", "attempt 1         attempt 2"]
    assert lines[2:4] == ["13 of 16 votes    3 of 16 votes", "confidence 81 %   confidence 12 %"]
    assert [line.split() for line in lines[5:7]] == [["│90│", "│90│"], ["│99│", "│99│"]]
    assert lines[5].index("90", 4) == lines[1].index("attempt 2") + 1
    assert lines[lines.index("flip, test 2") - 1] == ""


def test_colours_are_one_below_the_other_where_there_is_no_room(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    wide = lines_on_terminal(monkeypatch, result(), 80, "always")
    assert any("attempt 1" in line and "attempt 2" in line for line in wide)
    assert any(re.search(r"\x1b\[[\d;]*4[1-7]", line) for line in wide)
    narrow = lines_on_terminal(monkeypatch, result(), 20, "always")
    assert not any("attempt 1" in line and "attempt 2" in line for line in narrow)
    assert max(len(re.sub(r"\x1b\[[\d;]*m", "", line)) for line in narrow) <= 20


def test_a_pipe_of_windows_takes_every_name():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="cp1252", newline="\n")
    Report(TASK, None, stream, "always").add(result(replace(tasks.task(), name="Ω")))
    assert stream.buffer.getvalue().startswith(b"?, test 1, attempt 1, 13 of 16 votes, confidence 81 %\n90\n99\n\n")


@pytest.mark.parametrize(
    ("outcome", "expected", "code"),
    [
        (result(solved_by=2), "solved: test 1 with attempt 2, test 2 with attempt 2", 0),
        (result(), "not solved: 0 of 2 tests solved", 1),
        (
            result(tasks.task(answers=False)),
            "answered; the demonstrations are reproduced under 90 % of their augmentations",
            0,
        ),
        (result(tasks.task(answers=False), reproduced=0.5), "under 50 % of their augmentations: probably wrong", 1),
    ],
)
def test_the_message_about_a_few_shot_task(outcome, expected, code):
    text = message(TASK, replace(outcome, memory=412_000_000))
    assert text.startswith("flip: ") and expected in text
    assert text.endswith("(120 steps, 58.1 s, peak memory 412 MB)")
    summary = Summary(few_shot=True)
    summary.add(outcome)
    assert summary.exit_code == code
    summary.add(FewShotResult(InvalidPuzzle("x.json", "no"), error="no"))
    assert summary.exit_code == 2 and "1 failed or not readable" in str(summary)


def test_the_summary_counts_tasks_with_and_without_answers():
    summary = Summary(few_shot=True)
    for outcome in (result(solved_by=1), result(), result(tasks.task(answers=False))):
        summary.add(outcome)
    assert summary.exit_code == 1
    assert str(summary).startswith(
        "1 of 2 tasks solved (pass@2), 1 of 1 task without answers reproduced their demonstrations;"
    )


@pytest.mark.parametrize(
    ("budget", "steps", "seconds"),
    [(None, None, 60), (None, 7, None), ("60", 7, 60), ("90s", None, 90), ("1.5m", None, 90), (" 1 H", None, 3600)],
)
def test_budgets_are_parsed(budget, steps, seconds):
    options = AdaptArgs(budget=budget, steps=steps, votes=3).adapt_options(None, 0)
    assert (options.budget, options.steps, options.votes) == (seconds, steps, 3)


@pytest.mark.parametrize("budget", ["", "-1", "1d", "1e9", "nan", "1 2", "٣", "0", "1.2.3", "9" * 400])
def test_invalid_budgets_are_refused(budget):
    with pytest.raises(TrmsolveError, match="expected a time"):
        AdaptArgs(budget=budget).adapt_options(None, 0)


@pytest.mark.parametrize(
    ("number", "options", "expected"),
    [
        (
            1,
            AdaptArgs(budget=None, steps=None).adapt_options(None, 0),
            "new task flip: adapting to 2 demonstrations, at most 60 s; then 16 votes",
        ),
        (
            1,
            AdaptArgs(budget=None, steps=1, votes=1).adapt_options(None, 0),
            "new task flip: adapting to 2 demonstrations, at most 1 step; then 1 vote",
        ),
        (
            6,
            AdaptArgs(budget="2m", steps=500).adapt_options(None, 0),
            "6 new tasks: adapting to each, at most 2 min 00 s or 500 steps, 12 min 00 s in total; then 16 votes",
        ),
        (
            6,
            AdaptArgs(budget=None, steps=500).adapt_options(None, 0),
            "6 new tasks: adapting to each, at most 500 steps; then 16 votes",
        ),
    ],
)
def test_the_announcement_states_tasks_time_and_votes(number, options, expected):
    assert announcement([tasks.task()] * number, options) == expected


def test_the_line_of_progress_of_adapting_and_refining():
    one = tasks.task()
    adapting = AdaptEvent((one,), "embedding", 40, 15.0, 0.25, 0.1234, 0.5, 0.25)
    assert progress_text(adapting) == "flip: embedding, step 40, loss 0.12, right 50 %, held out 25 %, 45 s left"
    assert progress_text(replace(adapting, holdout_accuracy=None, progress=0)).endswith("right 50 %")
    guess = Prediction(one.tests[0], np.ones(one.tests[0].shape, np.float32))
    assert progress_text(RefineEvent(one, 1, 3, 16, guess, 0.7)) == "flip: test 2, step 3 of 16, halting 70 %"
