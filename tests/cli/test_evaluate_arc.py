"""trmsolve eval arc: which tasks are measured, what is reported, what is stored, and what is refused before it starts.

AdaptEvent itself is tested elsewhere; here a solver whose answers are known takes its place, but for one test.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.arc.examples import value
from trmsolve.inference.few_shot import AdaptOptions, FewShotResult, RankedAnswer
from trmsolve.tasks.base import InvalidPuzzle
from trmsolve.tasks.few_shot import FewShotTask, Grid


def flip(grid: Grid) -> Grid:
    """The rule of the task that all tasks here are copies of."""
    return grid[:, ::-1].copy()


def votes(kind: str, test: Grid) -> tuple[RankedAnswer, ...]:
    right, wrong = RankedAnswer(flip(test), 3, 0.7), RankedAnswer(test[:1, :1], 1, 0.3)
    return {"first": (right,), "second": (wrong, right), "never": (wrong,)}[kind]


def tasks(names: str, answers: bool = True) -> dict[str, Any]:
    """Tasks of these names that differ in a cell of a demonstration."""
    made = {name: value(answers) for name in names.split()}
    for i, task in enumerate(made.values()):
        task["train"][0]["input"][0][1] = task["train"][0]["output"][0][1] = i
    return made


class Scripted:
    """Answers in place of the solver: right at once, with the second attempt, or not at all, by the task's name."""

    def __init__(self) -> None:
        self.received: list[FewShotTask] = []
        self.options: list[AdaptOptions] = []
        self.before: Callable[[FewShotTask], None] = lambda task: None

    def adapt(self, task, config, weights, device, tasks, options, *, events=False, deadline=None, name=""):
        self.options.append(options)
        for task in tasks:
            assert isinstance(task, FewShotTask) and not isinstance(task, InvalidPuzzle)
            self.before(task)
            self.received.append(task)
            if task.name.startswith("failing"):
                yield FewShotResult(task, error="no room for it")
                continue
            ranked = tuple(votes(task.name.split("_")[0], test) for test in task.tests)
            yield FewShotResult(task, ranked, 4, 0.9, None, 7, 0.5, 123_000_000)

    @property
    def names(self) -> list[str]:
        return [task.name for task in self.received]


@pytest.fixture
def solver(monkeypatch):
    scripted = Scripted()
    monkeypatch.setattr("trmsolve.inference.test_time_training.adapt", scripted.adapt)
    return scripted


@pytest.fixture
def run(cli, tiny_arc_checkpoint, tmp_path):
    """Calls `trmsolve eval arc` on tasks of these names, or on what else is given."""

    def call(*args: object, names: str = "first_a second_b never_c never_d", answers: bool = True):
        path = tmp_path / "tasks.json"
        path.write_text(json.dumps(tasks(names, answers)))
        return cli("eval", "arc", path, "--checkpoint", tiny_arc_checkpoint, *args)

    return call


def source_histogram(report: dict) -> list[float]:
    return [report[f"pass_at_{k}"] for k in ("1", "2", "any")]


def test_the_report(run, solver):
    done = run()
    assert done.exit_code == 0 and "adapting to 4 tasks" in done.stderr and "4 min" in done.stderr
    for expected in ("25.00 %   (95 %: 4.6 to 69.9)", "50.00 %   (95 %: 15.0 to 85.0)", "pass@2 of 8 tests", "123 MB"):
        assert expected in done.stdout
    assert "7 optimizer steps" in done.stdout and "budget 60.0, votes 16" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr and "\r" not in done.stderr


def test_json_holds_options_totals_and_every_task(run, solver, tiny_arc_checkpoint):
    report = json.loads(run("--json", "--steps", 9, "--votes", 4, "--seed", 3, "--max-steps", 5).stdout)
    assert source_histogram(report) == [0.25, 0.5, 0.5] and report["tests"] == 8
    assert report["options"] == {
        "budget": None, "steps": 9, "votes": 4, "max_steps": 5, "tasks_per_batch": 1, "seed": 3
    }  # fmt: skip
    assert solver.options == [AdaptOptions(**report["options"])]
    assert report["checkpoint"] == str(tiny_arc_checkpoint) and len(report["checkpoint_sha256"]) == 64
    assert [(row["name"], row["pass_at_2"]) for row in report["by_task"]] == [
        ("first_a", 1.0), ("second_b", 1.0), ("never_c", 0.0), ("never_d", 0.0)
    ]  # fmt: skip
    assert report["subset"] == "" and report["of"] == report["chosen"] == report["tasks"] == 4


def test_a_row_for_each_task(run, solver):
    lines = run("--tasks").stdout.splitlines()
    assert lines[0].split() == ["task", "pass@1", "pass@2", "confidence", "steps", "seconds"]
    assert lines[2].split() == ["second_b", "0", "%", "100", "%", "30", "%", "7", "0.5"]
    assert lines[5] == "" and lines[6].startswith("tasks ")


def test_the_solver_never_sees_an_answer(run, solver):
    assert run().exit_code == 0
    assert len(solver.received) == 4 and all(task.answers is None for task in solver.received)


@pytest.mark.parametrize(
    ("options", "names", "description"),
    [
        (["--every", 2], "0 2 4 6 8", "of 10: one of every 2"),
        (["--limit", 3], "0 1 2", "of 10: the first 3"),
        (["--limit", 30], "0 1 2 3 4 5 6 7 8 9", ""),
        (["--every", 3, "--limit", 2], "0 3", "of 10: one of every 3, the first 2 of these"),
        (["--shard", "2/3"], "1 4 7", "of 10: shard 2 of 3"),
        (["--every", 2, "--limit", 4, "--shard", "1/2"], "0 4", "shard 1 of 2"),
    ],
)
def test_subsets(run, solver, options, names, description):
    done = run("--json", *options, names=" ".join(f"first_{i}" for i in range(10)))
    assert solver.names == [f"first_{i}" for i in names.split()]
    report = json.loads(done.stdout)
    assert description in report["subset"] and description in done.stderr and report["of"] == 10


def test_shards_are_all_there_is(run, solver):
    for i in (1, 2, 3):
        run("--shard", f"{i}/3", names=" ".join(f"first_{i}" for i in range(7)))
    assert sorted(solver.names) == [f"first_{i}" for i in range(7)]


def test_stored_results_are_not_computed_again(run, solver, tmp_path):
    stored = tmp_path / "results.jsonl"
    whole = json.loads(run("--json", "--resume", stored, "--limit", 2).stdout)
    done = run("--json", "--resume", stored)
    assert solver.names == ["first_a", "second_b", "never_c", "never_d"]
    assert "adapting to 2 tasks, 2 more are stored" in done.stderr
    assert whole["tasks"] == 2 and json.loads(done.stdout)["tasks"] == 4
    run("--resume", stored, "--votes", 3)
    assert len(solver.names) == 8, "other options, other results"


def test_an_interrupted_evaluation_reports_and_resumes(run, solver, tmp_path):
    def interrupt(task: FewShotTask) -> None:
        if task.name == "second_c":
            raise KeyboardInterrupt

    names, stored = "first_a never_b second_c", tmp_path / "results.jsonl"
    solver.before = interrupt
    done = run("--resume", stored, names=names)
    assert done.exit_code == 130 and "interrupted" in done.stderr
    assert "2   (stopped, 1 not measured)" in done.stdout and "50.00 %" in done.stdout
    solver.before = lambda task: None
    report = json.loads(run("--resume", stored, "--json", names=names).stdout)
    assert solver.names == [row["name"] for row in report["by_task"]] == names.split()
    assert source_histogram(report)[1] == pytest.approx(2 / 3)


def test_a_task_that_fails_spoils_only_itself(run, solver):
    done = run(names="first_a failing_b first_c")
    assert done.exit_code == 2 and "tasks.json:failing_b: no room for it" in done.stderr
    assert "66.67 %" in done.stdout and "failed, unsolved" in done.stdout


def test_a_record_that_is_no_task_is_left_out(cli, solver, tiny_arc_checkpoint):
    text = json.dumps({"first_a": value(), "odd": {"train": [], "test": []}})
    done = cli("eval", "arc", "-", "--checkpoint", tiny_arc_checkpoint, "--json", stdin=text)
    assert done.exit_code == 2 and "stdin:odd: train: found no pairs" in done.stderr
    assert json.loads(done.stdout)["tasks"] == 1


def test_solutions_from_a_file(run, solver, tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"first_a": [pair["output"] for pair in value()["test"]]}))
    done = run("--solutions", path, "--json", names="first_a", answers=False)
    assert source_histogram(json.loads(done.stdout)) == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--restarts", 3], "--restarts has no effect on arc"),
        (["--no-single-pass"], "--single-pass has no effect on arc"),
        (["--plot", "x.svg"], "--plot has no effect on arc"),
        (["--checkpoint", "arc"], "one checkpoint at a time"),
        (["--shard", "3/2"], "--shard 3/2: expected I/N"),
        (["--shard", "half"], "for example --shard 1/4"),
        (["--shard", "9/9"], "no task to measure"),
        (["--budget", "soon"], "--budget soon"),
        (["--solutions", "none.json"], "none.json"),
        (["--resume", Path("none", "results.jsonl")], "the folder none does not exist"),
    ],
)
def test_invalid_options_are_refused_before_any_work(run, solver, options, expected):
    done = run(*options)
    assert done.exit_code == 2 and expected in done.stderr and done.stdout == ""
    assert solver.received == []


def test_tasks_without_answers_are_refused(run, solver):
    done = run(answers=False)
    assert done.exit_code == 2 and "tasks.json:first_a: no answers" in done.stderr and "4 of 4" in done.stderr
    assert "--solutions" in done.stderr and solver.received == []


def test_a_foreign_file_is_not_written_to(run, solver, tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text("precious")
    done = run("--resume", path)
    assert (
        done.exit_code == 2 and "mine.txt" in done.stderr and path.read_text() == "precious" and solver.received == []
    )


@pytest.mark.parametrize("option", [["--budget", "60s"], ["--votes", 4], ["--tasks"], ["--every", 2]])
def test_other_tasks_have_none_of_its_options(cli, option):
    done = cli("eval", "sudoku", "examples.csv", *option)
    assert done.exit_code == 2 and f"{option[0]} has no effect on sudoku" in done.stderr


def test_a_checkpoint_of_another_task(cli, solver, tmp_path):
    path = tmp_path / "first_a.json"
    path.write_text(json.dumps(value()))
    done = cli("eval", "arc", path, "--checkpoint", "sudoku")
    assert done.exit_code == 2 and "sudoku" in done.stderr and solver.received == []


def test_an_evaluation_with_the_real_solver(run, tmp_path):
    stored = tmp_path / "results.jsonl"
    options = ["--steps", 1, "--votes", 2, "--max-steps", 1, "--json", "--dtype", "float32", "--resume", stored]
    report, again = (json.loads(run(*options, names="flip").stdout) for _ in range(2))
    assert report["steps"] == 1 and report["tests"] == 2 and report["memory_bytes"] > 0
    assert report["by_task"][0]["views"] == 2
    assert again == report, "what is stored is what was measured"
