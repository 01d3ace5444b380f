"""Answers as text: what is written is Kaggle's shape and can be read back, and what cannot be read says where."""

from __future__ import annotations

import json

import numpy as np

from trmsolve.tasks.arc.json_io import format_grid, submission

from .examples import grid, read_submission

A, B, C = grid("12", "30"), grid("7"), grid("0" * 30)
ZEROS = [[0, 0], [0, 0]]


def test_a_grid_is_rows_of_digits():
    assert format_grid(A) == "12\n30" and format_grid(B) == "7" and format_grid(C) == "0" * 30


def test_a_submission_has_two_attempts_at_every_test():
    written = json.loads(submission({"x": [[A, B, C], [B]], "y": [[]], "ü/../z": [(C, A)]}))
    assert written == {
        "x": [{"attempt_1": A.tolist(), "attempt_2": [[7]]}, {"attempt_1": [[7]], "attempt_2": [[7]]}],
        "y": [{"attempt_1": ZEROS, "attempt_2": ZEROS}],
        "ü/../z": [{"attempt_1": C.tolist(), "attempt_2": A.tolist()}],
    }
    assert list(written) == ["x", "y", "ü/../z"]
    assert json.loads(submission({})) == {}


def test_a_submission_is_ascii_with_one_task_per_line():
    text = submission({"ü": [[A]], "b": [[B]]})
    assert text.isascii() and text.endswith("}\n") and len(text.splitlines()) == 2


def test_a_submission_can_be_read_back(tmp_path):
    path = tmp_path / "submission.json"
    path.write_text(submission({"x": [[A, B], [B, C]], "y": [[C]]}))
    read = read_submission(path)
    assert {name: [[a.tolist() for a in test] for test in tests] for name, tests in read.items()} == {
        "x": [[A.tolist(), B.tolist()], [B.tolist(), C.tolist()]],
        "y": [[C.tolist(), C.tolist()]],
    }
    assert all(a.dtype == np.uint8 for tests in read.values() for test in tests for a in test)
