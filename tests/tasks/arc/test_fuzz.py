"""Whatever happens to a document, it is read right or refused: never an internal error, never another task.

A few hundred documents by default; TRMSOLVE_FUZZ=20000 tries as many.
"""

from __future__ import annotations

import copy
import gzip
import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trmsolve.errors import InputError
from trmsolve.tasks.arc.read import empty_answers, read_contents
from trmsolve.tasks.base import InvalidPuzzle
from trmsolve.tasks.few_shot import FewShotTask, InvalidTask

from .examples import SOLUTION, value

NUMBER = int(os.environ.get("TRMSOLVE_FUZZ", "400"))
PAIRS = [*value()["train"], *value()["test"]]
ODD_VALUES: list[Any] = [
    *(None, True, -1, 0, 10, 1.0, 1.5, float("nan"), float("inf"), 10**400, 1e300, "", "1", "12\n34", "[[1]]", "{"),
    *("\x1b[2J", "\ud800", [], {}, [[]], [[[]]], [[1, 2], [3]], {"input": 1}, {"train": []}, {"id": None}),
    *([[0] * 101], [[0]] * 101, {"output": None}, [{"attempt_1": [[1]], "attempt_2": [[1]]}]),
]
SEEDS: list[Callable[[], Any]] = [
    value,
    lambda: {"a": value(), "b": value(answers=False), "solutions": {"b": copy.deepcopy(SOLUTION)}},
    lambda: [{"id": "a", **value()}, value(answers=False)],
    lambda: copy.deepcopy(PAIRS),
    lambda: {"x": copy.deepcopy(PAIRS), "y": copy.deepcopy(PAIRS)},
    lambda: {"train": {"a": value()}, "eval": {"b": value()}},
    lambda: {"fewshots": value()["train"], "question": [{"input": "12\n34"}], "answer": [[1]]},
    lambda: {"examples": [[pair["input"], pair["output"]] for pair in copy.deepcopy(PAIRS)]},
    lambda: {"rows": [{"row": {"task_id": 7, **value()}}]},
    lambda: {"a": {"challenge": value(answers=False), "solution": copy.deepcopy(SOLUTION)}},
    lambda: {"train": {"input": [[[1]], [[2]]], "output": [[[2]], [[3]]]}, "test": {"input": ["12|34"]}},
    lambda: {"task": "arc", "name": "a", "tests": [{"attempts": [[[1]]]}]},
]


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every member in a value: the object or list it is in, and its key or index."""
    keys = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    return [(value, key) for key in keys] + [place for key in keys for place in places(value[key])]


def mutated_value(dice: random.Random) -> Any:
    """A document with one to four members replaced, removed, repeated, moved, or wrapped."""
    document = {"document": dice.choice(SEEDS)()}
    for _ in range(dice.randint(1, 4)):
        parent, key = dice.choice(places(document))
        action = dice.randrange(6)
        if action == 0:
            parent[key] = copy.deepcopy(dice.choice(ODD_VALUES))
        elif action == 1 and parent is not document:
            del parent[key]
        elif action == 2:
            other, other_key = dice.choice(places(document))
            parent[key] = copy.deepcopy(other[other_key])
        elif action == 3 and isinstance(parent, list):
            parent[key:key] = [copy.deepcopy(parent[key])] * dice.choice((1, 2, 120))
        elif action == 4:
            parent[key] = [parent[key]] if dice.random() < 0.5 else {dice.choice(("x", "train", "task")): parent[key]}
        elif isinstance(parent, dict) and parent is not document:
            parent[dice.choice(("train", "test", "input", "output", "id", "\u202e", "", key))] = parent.pop(key)
        if not places(document):
            break
    return document["document"]


def mutated_text(dice: random.Random) -> bytes:
    """A mutated value as JSON or JSON Lines, now and then with bytes that are damaged, and compressed."""
    lines = [json.dumps(mutated_value(dice)) for _ in range(dice.choice((1, 1, 2)))]
    data = bytearray("\n".join(lines).encode())
    for _ in range(dice.choice((0, 0, 1, 3))):
        at = dice.randrange(len(data) + 1)
        mark = dice.choice((b"[", b"]", b"{", b"}", b'"', b",", b":", b"1", b"\xff", b"\\", b"\n", b"\0", b"[" * 3000))
        data[at : at + dice.choice((0, 1, 1, 20))] = mark
    if dice.random() < 0.1:
        packed = bytearray(gzip.compress(data))
        if dice.random() < 0.5:
            packed[dice.randrange(len(packed))] ^= 1 << dice.randrange(8)
        return bytes(packed)
    return bytes(data)


def check(record: Any) -> None:
    """What holds for every record."""
    if isinstance(record, InvalidPuzzle):
        assert record.message and "\n" not in record.message and len(record.message) + len(record.text) < 700
        assert not isinstance(record, InvalidTask) or 1 <= record.num_tests <= 10_000
        return
    assert isinstance(record, FewShotTask) and record.name and record.name.isprintable()
    assert record.demonstrations and record.tests
    assert record.answers is None or len(record.answers) == len(record.tests)
    for grid in (*(g for pair in record.pairs for g in (pair.input, pair.output)), *record.tests):
        assert grid.dtype == np.uint8 and grid.ndim == 2 and min(grid.shape) >= 1 and max(grid.shape) <= 100
        assert grid.max() < 10


@pytest.mark.parametrize("part", range(4))
def test_mutated_documents(tmp_path: Path, part: int) -> None:
    path = tmp_path / "arc.json"
    outcomes = {"read": 0, "refused": 0}
    for number in range(part, NUMBER, 4):
        path.write_bytes(mutated_text(random.Random(number)))
        try:
            contents = list(read_contents([path]))
        except InputError as error:
            assert error.source and "\n" not in error.message
            outcomes["refused"] += 1
            continue
        records = [record for content in contents for record in content.records]
        assert records, f"document {number}: nothing was read, and nothing was refused"
        for record in records:
            check(record)
        names = [record.name for record in records if isinstance(record, FewShotTask)]
        assert len(names) == len(set(names)) and set(names) <= set(empty_answers(records))
        assert json.loads(json.dumps([content.as_dict() for content in contents]))
        outcomes["read" if names else "refused"] += 1
    assert min(outcomes.values()) > NUMBER // 40


def test_tasks_beside_a_mutated_one_are_not_affected(tmp_path: Path) -> None:
    """In a collection only the damaged member suffers."""
    path = tmp_path / "arc.json"
    for number in range(NUMBER // 4):
        path.write_text(json.dumps({"first": value(), "second": mutated_value(random.Random(number)), "last": value()}))
        (content,) = read_contents([path])
        good = {record.name: record for record in content.records if isinstance(record, FewShotTask)}
        for name in ("first", "last"):
            assert [grid.tolist() for grid in good[name].answers or ()] == SOLUTION, number
            assert [pair.input.tolist() for pair in good[name].demonstrations] == [p["input"] for p in value()["train"]]
