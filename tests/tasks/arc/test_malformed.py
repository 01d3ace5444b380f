"""Malformed tasks and solutions: the error names their place, and their neighbours are read."""

from __future__ import annotations

import json

import pytest

from trmsolve.tasks.arc.read import read
from trmsolve.tasks.base import InvalidPuzzle

from .examples import GRID, SOLUTION, names, one, text, value


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
    "colour 1e400": (
        text(train=pairs(input=[[7]])).replace("7", "1e400"),
        "column 1: found inf, expected a colour",
    ),
    "colour of a million digits": (
        text(train=pairs(input=[[7]])).replace("[[7]]", f"[[{'7' * 10**6}]]"),
        "column 1: found a number of 1,000,000 digits, expected a colour",
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
