"""Tasks as people paste them: in a mail, a fence of markdown, a program, printed by Python."""

from __future__ import annotations

import json

import pytest

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
