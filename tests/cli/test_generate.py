"""trmsolve generate: what is generated can be read back; options that belong to another task are refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

from trmsolve.tasks import get
from trmsolve.tasks.base import Line
from trmsolve.tasks.maze.cells import START
from trmsolve.tasks.maze.generate import generate
from trmsolve.tasks.maze.rules import canonical


# -- Sudoku ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("size", ["4x4", "6", "9x9"])
@pytest.mark.parametrize("style", ["grid", "line", "csv"])
def test_generated_puzzles_can_be_read_back(cli, size, style):
    done = cli("generate", "sudoku", "--size", size, "-n", 3, "--seed", 5, "--format", style)
    assert done.exit_code == 0 and done.stderr == ""
    lines = [Line(number, text) for number, text in enumerate(done.stdout.splitlines(), 1)]
    puzzles = list(get("sudoku").read(lines, "x"))
    assert [len(puzzle.question) for puzzle in puzzles] == [int(size[0])] * 3
    again = cli("generate", "sudoku", "--size", size, "-n", 3, "--seed", 5, "--json")
    lines = [get("sudoku").format_line(puzzle.question) for puzzle in puzzles]
    assert [record["puzzle"] for record in json.loads(again.stdout)] == lines


def test_generated_records(cli, tmp_path):
    path = tmp_path / "p.jsonl"
    options = ("--size", "4x4", "-n", 2, "--format", "jsonl", "-o", path)
    assert cli("generate", "sudoku", *options).stdout == ""
    records = [json.loads(line) for line in path.read_text().splitlines()]
    assert [record["index"] for record in records] == [0, 1]
    assert set(records[0]) == {"puzzle", "answer", "branches", "givens", "seed", "index"}
    assert cli("generate", "sudoku", *options).exit_code == 2
    extra = json.loads(cli("generate", "sudoku", "--size", "4x4", "--extra", 2, "--json").stdout)
    assert extra[0]["givens"] == records[0]["givens"] + 2


def test_generated_16x16(cli):
    done = cli("generate", "sudoku", "--size", "16x16", "--no-minimal")
    assert len(done.stdout.strip()) == 256


# -- mazes -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("size", ["9x13", "12", "4x4"])
@pytest.mark.parametrize("style", ["grid", "line", "csv"])
def test_generated_mazes_can_be_read_back(cli, size, style):
    done = cli("generate", "maze", "--size", size, "-n", 3, "--seed", 5, "--format", style)
    assert done.exit_code == 0 and done.stderr == ""
    lines = [Line(number, text) for number, text in enumerate(done.stdout.splitlines(), 1)]
    puzzles = list(get("maze").read(lines, "x"))
    shape = tuple(int(side) for side in size.split("x"))
    generated = [generate(5, index, shape if len(shape) == 2 else shape * 2) for index in range(3)]
    assert len(puzzles) == 3
    for puzzle, (question, answer, _) in zip(puzzles, generated, strict=True):
        assert (puzzle.question == question).all()
        assert style != "csv" or (puzzle.solution == answer).all()


def test_grids_stand_apart_and_a_piped_default_is_one_line_each(cli):
    done = cli("generate", "maze", "--size", "5x8", "-n", 3, "--format", "grid")
    lines = done.stdout.split("\n")
    assert [i for i, line in enumerate(lines) if line == ""] == [5, 11, 17]
    assert {len(line) for line in lines} == {0, 8}
    assert len(cli("generate", "maze", "--size", "5x8", "-n", 3).stdout.splitlines()) == 3


def test_generated_records_say_what_the_maze_is_like(cli):
    options = ("--size", "11x15", "-n", 2, "--kind", "perfect", "--min-path", 12)
    records = json.loads(cli("generate", "maze", *options, "--json").stdout)
    assert [record["index"] for record in records] == [0, 1]
    assert list(records[0]) == [
        *("puzzle", "answer", "kind", "steps", "turns", "dead_ends", "open_cells", "seed", "index")
    ]
    for record in records:
        (puzzle,) = get("maze").read([Line(1, record["puzzle"])], "x")
        assert record["answer"] == get("maze").format_line(canonical(puzzle.question))
        assert record["kind"] == "perfect" and record["steps"] >= 12


def test_density_means_random_walls(cli):
    (record,) = json.loads(cli("generate", "maze", "--density", 0.1, "--size", "30x30", "--json").stdout)
    assert record["kind"] == "walls" and record["open_cells"] > 700


def test_the_default_size_is_21_by_21(cli):
    (record,) = json.loads(cli("generate", "maze", "--json").stdout)
    (puzzle,) = get("maze").read([Line(1, record["puzzle"])], "x")
    assert puzzle.question.shape == (21, 21) and np.count_nonzero(puzzle.question == START) == 1


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["maze", "--size", "2x9"], "3..255"),
        (["maze", "--size", "300"], "3..255"),
        (["maze", "--size", "9by9"], "for example 9x9"),
        (["maze", "--kind", "perfct"], "did you mean 'perfect'?"),
        (["maze", "--density", "1.5"], "below 1"),
        (["maze", "--kind", "rooms", "--density", "0.2"], "kind walls"),
        (["maze", "--size", "5x5", "--min-path", "30"], "0..20"),
        (["maze", "--size", "5x5", "--min-path", "20"], "the longest path had"),
        (["maze", "--extra", "3"], "--extra is for sudoku, not for maze\n  maze takes --kind, --density, --min-path"),
        (["maze", "--minimal"], "--minimal is for sudoku"),
        (["maze", "--min-branches", "0"], "--min-branches is for sudoku"),
        (["sudoku", "--kind", "walls"], "--kind is for maze, not for sudoku\n  sudoku takes --extra"),
        (["sudoku", "--min-path", "4"], "--min-path is for maze"),
        (["sudoku", "--size", "6x9"], "the numbers of rows and columns must be equal"),
    ],
)
def test_wrong_usage(cli, args, expected):
    done = cli("generate", *args)
    assert done.exit_code == 2 and done.stdout == ""
    assert expected in done.stderr
