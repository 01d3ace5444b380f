"""Mazes whose start and goal stand beside the cells."""

from __future__ import annotations

import json

import pytest

from trmsolve.tasks.base import InvalidPuzzle, Line, Puzzle
from trmsolve.tasks.maze.read import read
from trmsolve.tasks.maze.write import format_line

MAZE = ["#######", "#S    #", "# ### #", "#   #G#", "#######"]
WRITTEN = "/".join(MAZE)
PLAIN = [row.replace("S", " ").replace("G", " ") for row in MAZE]
WALLS = [[int(mark == "#") for mark in row] for row in MAZE]
OPEN = [[1 - wall for wall in row] for row in WALLS]
FLAT = [wall for row in WALLS for wall in row]
SQUARE = ["#####", "#   #", "# # #", "#   #", "#####"]


def records(text: str) -> list[Puzzle | InvalidPuzzle]:
    return list(read([Line(number, part) for number, part in enumerate(text.split("\n"), 1)], "f"))


READ = {
    "pairs": json.dumps({"maze": WALLS, "start": [1, 1], "goal": [3, 5]}),
    "over lines": json.dumps({"id": 7, "maze": WALLS, "start": [1, 1], "end": [3, 5], "path": [[1, 1]] * 3}, indent=1),
    "rows and columns": json.dumps({"grid": WALLS, "start": {"row": 1, "col": 1}, "end": {"row": 3, "col": 5}}),
    "x and y": json.dumps({"grid": WALLS, "entrance": {"x": 1, "y": 1}, "exit": {"x": 5, "y": 3}}),
    "keys for each number": json.dumps(
        {"grid": WALLS, "start_row": 1, "start_col": 1, "goal_row": 3, "goal_col": 5}
    ),
    "pairs of x and y": json.dumps({"grid": WALLS, "start": [1, 1], "goal": [5, 3]}),  # row 5 does not exist
    "from 1": json.dumps({"grid": PLAIN, "start": [2, 2], "goal": [4, 6]}),
    "rows as texts": json.dumps({"rows": PLAIN, "start": [1, 1], "goal": [3, 5]}, indent=1),
    "drawn as well": json.dumps({"rows": MAZE, "start": [1, 1], "goal": [3, 5]}),
    "a text of lines": json.dumps({"maze": "\n".join(PLAIN), "start": "1,1", "goal": "(3, 5)"}),
    "all cells": json.dumps({"width": 7, "height": 5, "cells": "".join(MAZE)}),
    "all cells and ends": json.dumps({"width": 7, "height": 5, "cells": FLAT, "start": [1, 1], "goal": [3, 5]}),
    "variables of Python": f"maze = {WALLS}\nstart = (1, 1)\nend = (3, 5)",
    "variables before it": f"start, n = (1, 1), 3\nstart = (1, 1)\ngoal = (3, 5)\nmaze = {WALLS}",
    "beside an object": json.dumps({"maze": {"grid": WALLS}, "start": [1, 1], "end": [3, 5]}),
    "text below": "\n".join(PLAIN) + "\n\nStart: (1, 1), goal: (3, 5)",
}  # fmt: skip


@pytest.mark.parametrize("text", READ.values(), ids=READ)
def test_read(text):
    (record,) = records(text)
    assert isinstance(record, Puzzle), record
    assert format_line(record.question) == WRITTEN


def test_how_numbers_were_taken_is_said():
    for name, taken in {"pairs": "row, column", "pairs of x and y": "x, y"}.items():
        assert records(READ[name])[0].warnings == (f"start and goal are taken as {taken}, counted from 0",)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (
            {"grid": SQUARE, "start": [1, 2], "goal": [3, 1]},
            "may be row, column, counted from 0 or x, y, counted from 0",
        ),
        ({"grid": WALLS, "start": [0, 0], "goal": [3, 5]}, "not both are cells of floor"),
        ({"grid": WALLS, "start": [1, 1], "goal": [1, 1]}, "not both are cells of floor"),
        ({"grid": MAZE, "start": [1, 2], "goal": [3, 5]}, "but drawn elsewhere"),
        (
            {"grid": OPEN, "start": [1, 1], "goal": [3, 5]},
            "row, column, 1 as floor, counted from 0 or row, column, counted",
        ),
        ({"grid": WALLS}, "no start; no goal"),
    ],
)
def test_what_is_open_is_refused(value, reason):
    (record,) = records(json.dumps(value))
    assert isinstance(record, InvalidPuzzle) and reason in record.message


def test_ends_that_are_named_come_before_openings():
    rows = ["# #####", *PLAIN[1:4], "##### #"]
    (opened,) = records("\n".join(rows))
    assert "the openings r1c2 and r5c6 are taken" in opened.warnings[0]
    named = json.dumps({"m": rows, "start": [1, 1], "end": [3, 5]})
    for text in ("\n".join(rows) + "\n\nstart: (1, 1)\ngoal: (3, 5)", named):
        assert format_line(records(text)[0].question) == "/".join([rows[0], *MAZE[1:4], rows[4]])


def test_ends_belong_to_one_maze():
    first, second = records(f"maze = {WALLS}\nstart = (1, 1)\nend = (3, 5)\n\nmaze = {WALLS}\n")
    assert isinstance(first, Puzzle) and "no start; no goal" in second.message
