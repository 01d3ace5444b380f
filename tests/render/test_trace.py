"""Traces round-trip; other files are refused with file and line."""

from __future__ import annotations

import json

import pytest

from tasks.arc.examples import task
from trmsolve.errors import TrmsolveError
from trmsolve.render.trace import load_trace, save_trace
from trmsolve.tasks.arc.picture import task_picture

from .fake import refinement
from .mazes import growth, maze
from .test_status_text import frame


def rounded(frames):
    return [
        [
            [(cell.text, cell.role, round(cell.confidence, 4), cell.candidates) for cell in row]
            for row in it.picture.cells
        ]
        for it in frames
    ]


@pytest.mark.parametrize(
    "frames",
    [
        refinement(9),
        refinement(4, solved=False),
        growth(maze(12, 20)),
        [frame(picture=task_picture(task(), (), 0, (), ("attempt 1",)), zoom_levels=(task_picture(task()),))],
    ],
    ids=["sudoku", "unsolved", "maze", "arc"],
)
def test_a_trace_round_trips(frames, tmp_path):
    back = load_trace(save_trace(frames, tmp_path / "a.jsonl"))
    assert rounded(back) == rounded(frames)
    for before, after in zip(frames, back, strict=True):
        assert (before.picture.box, before.picture.labels, before.status) == (
            after.picture.box,
            after.picture.labels,
            after.status,
        )
        assert before.sentence() == after.sentence() and before.heading == after.heading
        assert len(before.zoom_levels) == len(after.zoom_levels)


def test_a_trace_is_small(tmp_path):
    frames = growth(maze(61, 61), steps=10)
    assert save_trace(frames, tmp_path / "a.jsonl").stat().st_size < 120_000


def lines_of(tmp_path, change) -> str:
    path = save_trace(refinement(4)[:2], tmp_path / "good.jsonl")
    head, first, second = path.read_text().splitlines()
    record = json.loads(second)
    change(record)
    return "\n".join([head, first, json.dumps(record)])


def setter(*keys, value):
    def change(record):
        for key in keys[:-1]:
            record = record[key]
        record[keys[-1]] = value

    return change


BROKEN = {
    "a step that is a word": (setter("step", value="x"), 'step: unexpected "x"'),
    "a step that is a truth": (setter("step", value=True), "step: unexpected true"),
    "a missing picture": (setter("picture", value=None), "picture: unexpected null"),
    "an unknown role": (setter("picture", "cells", 0, value=["1", "evil", 1.0, ""]), 'unknown role unexpected "evil"'),
    "a cell with an escape code": (setter("picture", "cells", 0, value=["\x1b[2J", "given", 1.0, ""]), "cell"),
    "an index outside": (setter("picture", "rows", 0, value=[99] * 4), "outside 0.."),
    "rows of unequal length": (setter("picture", "rows", 0, value=[0]), "unequal length"),
    "no rows": (setter("picture", "rows", value=[]), "or none"),
    "a box of no rows": (setter("picture", "box", value=[0, 2]), "box"),
    "a wrong status": (setter("status", value={"state": "x"}), "meter"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_an_invalid_frame_is_an_error_with_its_line(name, tmp_path):
    change, message = BROKEN[name]
    path = tmp_path / "bad.jsonl"
    path.write_text(lines_of(tmp_path, change))
    with pytest.raises(TrmsolveError, match=r"bad\.jsonl:3: ") as error:
        load_trace(path)
    assert message in str(error.value) and "--trace" in error.value.hint


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no frames"),
        (b"{}", ":1: no trace"),
        (b"[1]", ":1: no trace"),
        (b"hello", ":1: not JSON"),
        (b"[" * 100_000, ":1: not JSON"),
        (b"\xff\xfe", "not UTF-8"),
        (b'{"trmsolve_trace": 3}', "trace format 3, expected 2"),
        (b'{"trmsolve_trace": 2}\n[]', ":2: expected an object"),
    ],
)
def test_other_files_are_refused(content, message, tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)
    with pytest.raises(TrmsolveError) as error:
        load_trace(path)
    assert message in str(error.value)
    with pytest.raises(TrmsolveError, match="cannot read"):
        load_trace(tmp_path / "missing.jsonl")
