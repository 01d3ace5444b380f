"""trmsolve arc: what goes in, what comes out, and with which exit code. The network is tiny and knows nothing."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from tasks.arc import examples as tasks
from tasks.arc.examples import read_submission

RECORD = ["task", "source", "name", "tests", "solved", "verified", "demonstrations_reproduced", "left_out", "steps"]
RECORD += ["votes", "seconds", "memory_bytes", "checkpoint", "checkpoint_sha256", "device", "error"]
QUICK = ("--steps", 2, "--votes", 2, "--max-steps", 2, "--device", "cpu")


@pytest.fixture
def arc(cli, tiny_arc_checkpoint):
    """Calls `trmsolve arc`, quickly: what is as small as this only loses by being shared among threads."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield lambda *args, **how: cli("arc", "--checkpoint", tiny_arc_checkpoint, *QUICK, *args, **how)
    torch.set_num_threads(threads)


@pytest.fixture
def folder(tmp_path):
    """Three files: two tasks, and between them one of which a row is too short."""
    path = tmp_path / "tasks"
    path.mkdir()
    (path / "a.json").write_text(tasks.text())
    (path / "b.json").write_text(tasks.text(train=[{"input": [[1, 2], [3]], "output": [[1]]}]))
    (path / "c.json").write_text(json.dumps(tasks.value(answers=False)))
    return path


def test_the_text_in_a_pipe_is_labelled_rows_of_digits(arc, tmp_path):
    path = tmp_path / "flip.json"
    path.write_text(tasks.text())
    done = arc(path)
    assert done.exit_code == 1 and "\x1b" not in done.stdout + done.stderr
    blocks = [block.split("\n") for block in done.stdout.removesuffix("\n").split("\n\n")]
    shape = r"flip, test (\d), attempt (\d), (\d) of 2 votes(?: \(consensus\))?, confidence \d+ %"
    heads = [re.fullmatch(shape, block[0]) for block in blocks]
    assert all(heads) and {head[1] for head in heads} == {"1", "2"}
    assert all(re.fullmatch("[0-9]{1,30}", row) for block in blocks for row in block[1:])
    assert all(("consensus" in head[0]) == (head[3] == "0") and int(head[3]) <= 2 for head in heads)
    assert done.stderr.startswith("new task flip: adapting to 2 demonstrations, at most 2 steps; then 2 votes\n")
    assert "flip: not solved: 0 of 2 tests solved (2 steps, " in done.stderr


def test_json_and_its_seed(arc, tmp_path):
    text = tasks.text()
    done = arc("--json", stdin=text)  # no file named
    (record,) = json.loads(done.stdout)
    assert done.exit_code == 1 and list(record) == RECORD
    assert (record["task"], record["source"], record["name"]) == ("arc", "stdin", "stdin")
    assert record["solved"] is record["verified"] is False and record["error"] is None
    assert record["steps"] == record["votes"] == 2 and len(record["checkpoint_sha256"]) == 64
    assert 0 <= record["demonstrations_reproduced"] <= 1
    assert len(record["tests"]) == 2
    for test in record["tests"]:
        assert set(test) == {"attempts", "votes", "confidence"}
        assert 1 <= len(test["attempts"]) == len(test["votes"]) == len(test["confidence"]) <= 2
        assert all(np.array(grid).ndim == 2 for grid in test["attempts"])
    assert "[9, 0]" not in done.stdout and re.search(r"^ +\[\d(, \d)*\],?$", done.stdout, re.M)  # a row is a line
    line = json.loads(arc("-", "--format", "jsonl", stdin=text).stdout)
    assert line["tests"] == record["tests"]
    other = json.loads(arc("-", "--format", "jsonl", "--seed", 3, stdin=text).stdout)
    assert other["tests"] != record["tests"]


def test_solutions_decide_what_is_solved(arc, tmp_path):
    challenges, solutions = tmp_path / "my_challenges.json", tmp_path / "answers.json"
    challenges.write_text(json.dumps({"flip": tasks.value(answers=False), "same": tasks.value(answers=False)}))
    unknown = [json.loads(line) for line in arc(challenges, "--format", "jsonl").stdout.splitlines()]
    assert [record["solved"] for record in unknown] == [record["verified"] for record in unknown] == [None, None]
    given = [test["attempts"][-1] for test in unknown[0]["tests"]]
    solutions.write_text(json.dumps({"flip": given, "same": given}))
    done = arc(challenges, "--solutions", solutions, "--format", "jsonl")
    written = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.exit_code == 0 and [record["solved"] for record in written] == [True, True]
    assert [record["tests"] for record in written] == [record["tests"] for record in unknown]  # answers are for scores
    assert "flip: solved: test 1 with attempt " in done.stderr and "2 of 2 tasks solved (pass@2)" in done.stderr
    solutions.write_text(json.dumps({"flip": given, "same": [[[0]], [[0]]]}))
    done = arc(challenges, "--solutions", solutions, "-q")
    assert done.exit_code == 1 and done.stderr == ""
    solutions.write_text(json.dumps({"flip": given, "same": given[:1]}))  # does not fit: a warning
    done = arc(challenges, "--solutions", solutions)
    assert done.exit_code != 2 and "same: warning: solution: found 1 grids, expected 2" in done.stderr
    assert "same, test 2, attempt 1" in done.stdout


def test_a_folder_in_which_one_task_is_bad(arc, folder, tmp_path):
    path, kaggle = tmp_path / "o.json", tmp_path / "submission.json"
    done = arc(folder, "--json", "-o", path, "--submission", kaggle)
    assert done.exit_code == 2 and done.stdout == ""
    good, bad, open_one = json.loads(path.read_text())
    assert [record["name"] for record in (good, bad, open_one)] == ["a", "b", "c"]
    assert list(good) == list(bad) and good["error"] is open_one["error"] is None
    assert bad["error"] == "train[0].input row 2: found 1 cell, expected 2 as in row 1"
    assert bad["source"] == str(folder / "b.json") and f"{bad['source']}: {bad['error']}" in done.stderr
    assert bad["tests"] == [] and bad["solved"] is bad["demonstrations_reproduced"] is None
    assert "2 new tasks: adapting to each" in done.stderr and "1 failed or not readable" in done.stderr
    submitted = read_submission(kaggle)
    assert list(submitted) == ["a", "b", "c"]
    for record in (good, open_one):
        for test, attempts in zip(record["tests"], submitted[record["name"]], strict=True):
            assert [grid.tolist() for grid in attempts] == [test["attempts"][0], test["attempts"][-1]]
    again = arc(folder, "--submission", kaggle)
    assert again.exit_code == 2 and "--force" in again.stderr and again.stdout == ""


def test_tasks_in_one_batch(arc, folder):
    records = json.loads(arc(folder, "--json", "--together", 2, "--limit", 3).stdout)
    assert [bool(record["tests"]) for record in records] == [True, False, True]
    assert len(json.loads(arc(folder, "--json", "--limit", 1).stdout)) == 1


def test_stored_results_are_not_computed_again(arc, folder, tmp_path, monkeypatch):
    from trmsolve.api import Model

    batch_sizes = []
    adapt = Model.adapt

    def counted(self, tasks_to_adapt, *a, **how):
        tasks_to_adapt = list(tasks_to_adapt)
        batch_sizes.append(len(tasks_to_adapt))
        return adapt(self, tasks_to_adapt, *a, **how)

    monkeypatch.setattr(Model, "adapt", counted)
    stored, kaggle = tmp_path / "results.jsonl", tmp_path / "s.json"
    (folder / "d.json").write_text(tasks.text(test=[{"input": [[1, 2, 3, 4]]}]))
    first = arc(folder / "a.json", "--json", "--resume", stored)
    whole = arc(folder, "--json", "--resume", stored, "--submission", kaggle)
    assert batch_sizes == [1, 1]  # a is stored, b is bad, and c is a without its answers
    a, bad, c, d = json.loads(whole.stdout)
    assert json.loads(first.stdout)[0]["tests"] == a["tests"] == c["tests"] and bad["error"] and d["tests"]
    assert a["solved"] is False and c["solved"] is None
    assert f"2 of 3 tasks found in {stored}; not solved again" in whole.stderr
    assert "new task d: adapting" in whole.stderr and list(read_submission(kaggle)) == ["a", "b", "c", "d"]
    assert arc(folder, "--resume", stored, "--submission", kaggle).stdout and batch_sizes == [1, 1]
    arc(folder / "a.json", "--resume", stored, "--seed", 2)
    assert batch_sizes[-1] == 1
    (tmp_path / "no.jsonl").write_text("something else\n")
    refused = arc(folder, "--resume", tmp_path / "no.jsonl")
    assert refused.exit_code == 2 and "not a stored result" in refused.stderr


def test_an_interrupted_run_writes_the_results_so_far(arc, folder, tmp_path, monkeypatch):
    from trmsolve.api import Model

    adapt = Model.adapt

    def interrupted(self, tasks_to_adapt, *a, **how):
        yield from adapt(self, list(tasks_to_adapt)[:1], *a, **how)
        raise KeyboardInterrupt

    monkeypatch.setattr(Model, "adapt", interrupted)
    out, kaggle = tmp_path / "o.json", tmp_path / "s.json"
    done = arc(folder, "--json", "-o", out, "--submission", kaggle)
    assert (
        done.exit_code == 130
        and "interrupted after 2 of 3 tasks: 1 of 2 tasks answered, 0 of 1 task solved" in done.stderr
    )
    assert [record["name"] for record in json.loads(out.read_text())] == ["a", "b"]
    submitted = read_submission(kaggle)
    assert submitted["a"][0][0].tolist() == json.loads(out.read_text())[0]["tests"][0]["attempts"][0]
    assert [grid.tolist() for grid in submitted["c"][0]] == [[[0, 0], [0, 0]]] * 2  # as nothing is written at Kaggle


def test_timeout(arc, folder, tmp_path):
    kaggle = tmp_path / "s.json"
    done = arc(folder, "--json", "--timeout", 0, "--submission", kaggle)
    assert done.exit_code == 124 and json.loads(done.stdout) == []
    assert list(read_submission(kaggle)) == ["a", "b", "c"]  # complete from the start, with placeholders
    assert "out of time after 0 s: no task was finished" in done.stderr


def test_pictures_and_steps(arc, folder, tmp_path):
    svg, gif, html = (tmp_path / f"a.{kind}" for kind in ("svg", "gif", "html"))
    done = arc(folder / "a.json", "--svg", svg, "--gif", gif, "--html", html, "--json")
    assert json.loads(done.stdout)[0]["tests"] and "<svg" in svg.read_text(encoding="utf-8")[:200]
    assert gif.read_bytes().startswith(b"GIF8") and "<html" in html.read_text(encoding="utf-8").lower()
    again = arc(folder / "a.json", "--svg", svg)
    assert again.exit_code == 2 and "--force" in again.stderr
    several = arc(folder, "--svg", svg, "--force")
    assert several.exit_code == 2 and "--limit 1" in several.stderr and several.stdout == ""
    shown = arc(folder, "--show-steps")
    assert shown.exit_code == 2 and "\x1b" not in shown.stderr
    assert shown.stderr.count("arc " + str(folder)) >= 2  # a title for each


def test_outputs_that_would_overwrite_each_other(arc, folder, tmp_path):
    """-o y --resume y: the answers would replace the stored results, even when both exist and --force is given."""
    path = tmp_path / "y"
    for options in (
        ("-o", path, "--resume", path),
        ("-o", path, "--submission", path),
        ("--resume", path, "--submission", path),
    ):
        done = arc(folder / "a.json", *options, "--force")
        assert done.exit_code == 2 and f"name the same file: {path}" in done.stderr and not path.exists()


def test_a_submission_of_other_tasks_is_not_replaced(arc, folder, tmp_path):
    stored, kaggle = tmp_path / "kept.jsonl", tmp_path / "submission.json"
    arc(folder, "--resume", stored, "--submission", kaggle)
    other = tmp_path / "other.json"
    other.write_text(tasks.text())
    for content, problem in ((kaggle.read_text(), "has 3 tasks that this run lacks"), ("notes", "is no submission")):
        kaggle.write_text(content)
        done = arc(other, "--resume", stored, "--submission", kaggle)
        assert done.exit_code == 2 and f"{kaggle}: exists and {problem}" in done.stderr
        assert kaggle.read_text() == content
    done = arc(other, "--resume", stored, "--submission", kaggle, "--force")
    assert done.exit_code == 1 and list(read_submission(kaggle)) == ["other"]


def test_a_submission_that_cannot_be_written_is_refused_before_any_work(arc, folder, monkeypatch):
    from trmsolve.api import Model

    monkeypatch.setattr(Model, "adapt", lambda *args, **kwargs: pytest.fail("work was begun"))
    for path in ("no/such.json", folder, "/dev/full"):
        done = arc(folder, "--submission", path)
        assert done.exit_code == 2 and f"cannot write {path}" in done.stderr and done.stdout == ""


def test_every_task_is_in_the_submission_and_the_summary_counts_them(arc, tmp_path):
    """A malformed task has an entry for each of its tests, where they can be counted."""
    path, kaggle = tmp_path / "my_challenges.json", tmp_path / "s.json"
    bad = {"train": [{"input": [[1, 2], [3]], "output": [[1]]}], "test": [{"input": [[1]]}, {"input": [[2]]}]}
    path.write_text(json.dumps({"good": tasks.value(answers=False), "bad": bad}))
    done = arc(path, "--submission", kaggle)
    submitted = read_submission(kaggle)
    assert {name: len(tests) for name, tests in submitted.items()} == {"good": 2, "bad": 2}
    assert done.exit_code == 2 and f"{kaggle}: 1 of 2 tasks answered" in done.stderr
    assert "1 of 2 tasks answered, " in done.stderr and "1 failed or not readable" in done.stderr


def test_solutions_that_do_not_fit_do_not_stop_the_answers(arc, tmp_path):
    path, kaggle = tmp_path / "my_challenges.json", tmp_path / "s.json"
    path.write_text(json.dumps({"good": tasks.value(answers=False)}))
    (tmp_path / "my_solutions.json").write_text(json.dumps({"good": [[[1]], [[2]], [[3]]]}))
    done = arc(path, "--submission", kaggle, "--json")
    assert json.loads(done.stdout)[-1]["tests"] and f"{kaggle}: 1 of 1 task answered" in done.stderr
    assert "expected 2, one for each test input" in done.stderr


def test_damaged_lines_of_stored_results_are_counted_and_solved_again(arc, folder, tmp_path):
    stored = tmp_path / "results.jsonl"
    arc(folder / "a.json", "--resume", stored)
    stored.write_bytes(stored.read_bytes()[:-100])  # killed while writing
    done = arc(folder / "a.json", "--resume", stored)
    assert f"{stored}: 1 damaged line ignored" in done.stderr and "new task a" in done.stderr
    again = arc(folder / "a.json", "--resume", stored)
    assert f"1 of 1 task found in {stored}" in again.stderr


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "it is empty"),
        ("{}", "holds no task"),
        ("[1, 2]", "holds no task"),
        ('{"train": [', "malformed JSON"),
        (tasks.text(test=None), 'no "test"'),
        (tasks.text(train=[]), "train: found no pairs"),
        (tasks.text(test=[{"input": [[10]]}]), "test[0].input row 1 column 1: found 10, expected a colour from 0 to 9"),
        (tasks.text(test=[{"input": [[1] * 101]}]), "101 cells, expected 1 to 100"),
    ],
)
def test_malformed_tasks_need_no_checkpoint(cli, text, expected):
    done = cli("arc", "-", "--json", "--checkpoint", "nothing", stdin=text)
    assert done.exit_code == 2 and expected in done.stderr and "stdin" in done.stderr
    records = json.loads(done.stdout)
    assert not records or expected in records[0]["error"]


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["--budget", "soon"], "--budget soon: expected a time\n  for example 60, 60s, 1.5m or 1h"),
        (["--budget", "0s"], "--budget 0s: expected a time"),
        (["--steps", "0"], "--steps"),
        (["--votes", "0"], "--votes"),
        (["--format", "gird"], "did you mean 'grid'?"),
        (["--checkpoint", "sudoku"], "is a sudoku checkpoint, expected arc"),
        (["--checkpoint", "no/such.safetensors"], "checkpoints list"),
        (["--solutions", "no.json"], "no.json: no such file"),
        (["--submission", "no/such.json"], "does not exist"),
        (["--resume", "no/such.jsonl", *map(str, QUICK)], "does not exist"),
    ],
)
def test_wrong_usage(cli, tiny_arc_checkpoint, args, expected):
    done = cli("arc", "-", "--checkpoint", tiny_arc_checkpoint, *args, stdin=tasks.text())
    assert done.exit_code == 2 and expected in done.stderr and done.stdout == ""


def test_files_and_folders_that_are_not_there(cli, tmp_path):
    done = cli("arc", tmp_path)
    assert done.exit_code == 2 and "a folder without .json or .yaml files" in done.stderr
    (tmp_path / "flip.json").write_text(tasks.text())
    done = cli("arc", tmp_path / "flop.json")
    assert done.exit_code == 2 and "no such file" in done.stderr and "flip.json'?" in done.stderr


def test_a_file_that_cannot_be_read_spoils_only_itself(arc, folder, tmp_path):
    (tmp_path / "empty.json").touch()
    done = arc(tmp_path / "no.json", folder / "a.json", tmp_path / "empty.json", folder / "c.json", "--json")
    records = json.loads(done.stdout)
    assert done.exit_code == 2 and [record["name"] for record in records] == [None, "a", None, "c"]
    assert "no such file" in records[0]["error"] and "empty" in records[2]["error"]
    assert records[0]["source"] == str(tmp_path / "no.json") and records[1]["tests"] and records[3]["tests"]


def test_no_input_at_all(cli, monkeypatch):
    monkeypatch.setattr("trmsolve.cli.solve.prompted_files", lambda *_: [])  # stdin is closed
    done = cli("arc")
    assert done.exit_code == 2 and done.stdout == "" and "Usage: trmsolve arc" in done.stderr
