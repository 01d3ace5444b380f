"""Grids of every size and box shape, as lines, rows and documents."""

from __future__ import annotations

import json

import numpy as np
import pytest

from trmsolve.tasks.base import Line, Puzzle
from trmsolve.tasks.sudoku import TASK
from trmsolve.tasks.sudoku.rules import BOX, TallGrid, box_shape, conflicts
from trmsolve.tasks.sudoku.symbols import symbol
from trmsolve.tasks.sudoku.write import format_line, framed_grid

SHAPES = [*BOX.values(), (3, 2), (4, 2), (4, 3)]


def solved(height: int, width: int) -> np.ndarray:
    """A solved grid with boxes of height x width."""
    side = height * width
    rows, columns = np.indices((side, side))
    grid = ((rows * width + rows // height + columns) % side + 1).astype(np.uint8)
    return grid if height <= width else grid.view(TallGrid)


def question(height: int, width: int, share: float = 0.4) -> np.ndarray:
    """A question whose digits repeat in boxes of any other shape."""
    grid = solved(height, width)
    grid[np.random.default_rng(height * width).random(grid.shape) < share] = 0
    assert height <= width or conflicts(np.asarray(grid))
    return grid


def rows(grid: np.ndarray, between: str, name=symbol) -> str:
    return "\n".join(between.join(map(name, row)) for row in grid.tolist())


def csv(grid: np.ndarray) -> str:
    return f"question,answer\n{format_line(grid)},{format_line(solved(*box_shape(grid)))}"


FORMS = {
    "line": format_line,
    "rows": lambda grid: rows(grid, ""),
    "spaces": lambda grid: rows(grid, " "),
    "commas": lambda grid: rows(grid, ","),
    "tabs": lambda grid: rows(grid, "\t"),
    "frame": framed_grid,
    "ascii frame": lambda grid: framed_grid(grid, ascii_only=True),
    "numbers, spaces": lambda grid: rows(grid, " ", str),
    "numbers, commas": lambda grid: rows(grid, ",", str),
    "numbers, empty": lambda grid: rows(grid, ",", lambda value: str(value or "")),
    "numbers, line": lambda grid: " ".join(map(str, grid.reshape(-1).tolist())),
    "numbers, comma line": lambda grid: ",".join(map(str, grid.reshape(-1).tolist())),
    "matrix": lambda grid: json.dumps(grid.tolist()),
    "object": lambda grid: json.dumps({"puzzle": format_line(grid)}),
    "list": lambda grid: json.dumps(grid.reshape(-1).tolist()),
    "python": lambda grid: "grid = [\n" + ",\n".join(map(str, grid.tolist())) + "\n]",
    "csv": csv,
    "labels": lambda grid: "\n".join(f"{n} {' '.join(map(symbol, row))}" for n, row in enumerate(grid.tolist(), 1)),
}


def read(text: str) -> list:
    return list(TASK.read([Line(n, part) for n, part in enumerate(text.split("\n"), 1)], "f"))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_forms(form, shape):
    grid = question(*shape)
    (record,) = read(FORMS[form](grid))
    assert isinstance(record, Puzzle), record
    assert np.array_equal(record.question, grid) and box_shape(record.question) == shape


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_rules(shape):
    grid, answer = question(*shape), solved(*shape)
    assert TASK.is_solution(grid, answer) and not TASK.check(grid, answer)
    encoded = TASK.encode(grid)
    assert encoded.num_choices == (grid == 0).sum()
    meanings = encoded.meanings[encoded.first + TASK.target(grid, answer)]
    decoded = TASK.decode(grid, meanings, np.ones(len(meanings), np.float32)).answer
    assert np.array_equal(decoded, answer)
    assert TASK.picture(grid, None).box == shape
    if shape[0] != shape[1]:  # as a grid with boxes of the other shape, it breaks the rules
        other = np.asarray(grid) if shape[0] > shape[1] else grid.view(TallGrid)
        assert not TASK.is_solution(other, answer) and TASK.encode(other) is None


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_letters_from_a(shape):
    side = shape[0] * shape[1]
    text = rows(question(*shape, share=0.3), "", lambda value: chr(64 + value) if value else ".")
    (record,) = read(text)
    assert record.question.max() == side and np.array_equal(record.question, question(*shape, share=0.3))
