"""Files that hold no tasks, are damaged, or would take too long."""

from __future__ import annotations

import json
import os
import random
import sys
import time

import pytest

from trmsolve.errors import InputError
from trmsolve.tasks.arc import json_io
from trmsolve.tasks.arc.read import read
from trmsolve.tasks.base import InvalidPuzzle
from trmsolve.tasks.few_shot import FewShotTask

from .examples import GRID, SOLUTION, names, one, text, value


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
