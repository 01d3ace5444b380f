"""Tasks as people paste them: in a mail, a fence of markdown, a program, printed by Python."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
import yaml

from trmsolve.tasks.arc.read import read
from trmsolve.tasks.base import InvalidPuzzle
from trmsolve.tasks.few_shot import FewShotTask

PAIRS = [{"input": [[0, 1], [1, 0]], "output": [[1, 0], [0, 1]]}, {"input": [[1, 1]], "output": [[0, 0]]}]
TASK = {"train": PAIRS, "test": [{"input": [[0, 0], [2, 1]]}]}
INDENTED = json.dumps(TASK, indent=1)
TEXTS = {
    "a mail": "\n".join(f"> {line}" for line in INDENTED.split("\n")),
    "a quoted quotation": "\n".join(f"> > {line}" for line in INDENTED.split("\n")),
    "a fence": f"Here it is:\n```json\n{INDENTED}\n```\nThanks",
    "a variable of JavaScript": f"const task = {json.dumps(TASK)};\n",
    "printed by Python": repr(TASK),
    "printed by Python, None": repr(TASK | {"test": [TASK["test"][0] | {"output": None}]}),
    "a variable of Python": f"task = {TASK!r}",
    "YAML": yaml.safe_dump(TASK),
    "YAML in flow style": yaml.safe_dump(TASK, default_flow_style=None),
    "YAML with a name of digits": "'00576224':\n" + "".join(f"  {line}\n" for line in yaml.safe_dump(TASK).split("\n")),
    "a prompt": "Find the test output.\n\nExample 1:\nInput:\n0 1\n1 0\nOutput:\n1 0\n0 1\n\nExample 2:\nInput:\n1 1\n"
    "Output:\n0 0\n\nTest:\nInput:\n0 0\n2 1\nOutput:\n",
    "a prompt of lists": "Train\nInput: [[0, 1], [1, 0]]\nOutput: [[1, 0], [0, 1]]\nInput: [[1, 1]]\nOutput: [[0, 0]]\n"
    "Test\nInput: [[0, 0],\n [2, 1]]",
    "arrows": "[[0,1],[1,0]] -> [[1,0],[0,1]]\n[[1,1]] -> [[0,0]]\n[[0,0],[2,1]] -> ?".replace(
        "[[0,1]", "As in [[0,1]", 1
    ),
    "keys in capitals": json.dumps(TASK).replace("train", "Train").replace("test", "TEST").replace("input", "Input"),
    "keys in camel case": json.dumps(TASK).replace("train", "trainPairs").replace("test", "testPairs"),
    "x and y": json.dumps(TASK).replace("input", "x").replace("output", "y"),
    "columns": json.dumps({"x_train": [p["input"] for p in PAIRS], "y_train": [p["output"] for p in PAIRS]})[:-1]
    + ', "x_test": [[[0, 0], [2, 1]]]}',
    "pairs as lists": json.dumps({"train": [[p["input"], p["output"]] for p in PAIRS], "test": [[[[0, 0], [2, 1]]]]}),
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_one_task(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    (task,) = read([tmp_path / "a.json"])
    assert isinstance(task, FewShotTask) and task.answers is None
    assert [[pair.input.tolist(), pair.output.tolist()] for pair in task.demonstrations] == [
        [pair["input"], pair["output"]] for pair in PAIRS
    ]
    assert [grid.tolist() for grid in task.tests] == [[[0, 0], [2, 1]]]


def test_faults_keep_their_line(tmp_path):
    (tmp_path / "a.json").write_text('Look:\n\n```\n{"a": ' + json.dumps(TASK) + ",\n}\n```")
    *_, error = read([tmp_path / "a.json"])
    assert isinstance(error, InvalidPuzzle) and error.source.endswith("a.json:5")


@pytest.mark.parametrize(
    "text",
    [
        "Input: 1 2\n3 0\nOutput:\n2 1\n0 3\nTest input:\n1 1\n2 2\n",  # the first row beside its label
        "Input:\n1 2\n3 x\nOutput:\n2 1\n0 3\nTest input:\n1 1\n2 2\n",  # a row that is none
        "Input:\n1 2\nInput:\n2 1\nOutput:\n2 1\nTest input:\n1 1\n",  # no output
        "Train\nInput:\n1 2\nOutput:\n2 1\nTest\nInput:\n1 1\nTrain\nInput:\n1 2\nOutput:\n2 1\n",  # two tasks
        "1 2\n3 0\n\n2 1\n0 3\n",
        json.dumps({"train_pairs_v2": PAIRS, "test_pairs_v2": PAIRS}),
    ],
)
def test_what_is_not_clear_is_refused(tmp_path, text):
    (tmp_path / "a.txt").write_text(text)
    records = list(read([tmp_path / "a.txt"]))
    assert records and all(isinstance(record, InvalidPuzzle) for record in records)


def test_references_that_multiply_are_refused_soon(tmp_path):
    text = "a: &a [1, 2]\n" + "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 30)}]\n" for a, b in pairwise("abcdefgh"))
    (tmp_path / "a.yaml").write_text(text + "train: *h\ntest: *h\n")
    assert all(isinstance(record, InvalidPuzzle) for record in read([tmp_path / "a.yaml"]))
