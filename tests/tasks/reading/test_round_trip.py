"""Every format that the program writes is read back as the same puzzle."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tasks.reading.dressings import maze, sudoku
from trmsolve.tasks import get
from trmsolve.tasks.base import Line, Puzzle
from trmsolve.tasks.maze.rules import canonical
from trmsolve.tasks.sudoku.rules import box_shape

DRAW = {"sudoku": sudoku, "maze": maze}
FORMATS = ["grid", "ascii", "line", "csv", "json", "jsonl"]


def write(task: str, puzzles: list[Puzzle], style: str) -> str:
    """The questions in one stream; as questions and answers in csv, json and jsonl where the answer is known."""
    core = get(task)
    if style == "csv":
        rows = [
            core.write(puzzle, puzzle.question if puzzle.solution is None else puzzle.solution, "csv")
            for puzzle in puzzles
        ]
        return "\n".join([core.csv_header, *rows])
    if style in ("json", "jsonl"):
        records = [
            {
                "task": task,
                "source": puzzle.source,
                "puzzle": core.format_line(puzzle.question),
                "answer": None if puzzle.solution is None else core.format_line(puzzle.solution),
                "solved": puzzle.solution is not None,
            }
            for puzzle in puzzles
        ]
        return json.dumps(records, indent=2) if style == "json" else "\n".join(map(json.dumps, records))
    texts = [core.format_grid(puzzle.question, style.replace("ascii", "grid"), style == "ascii") for puzzle in puzzles]
    return ("\n" if style == "line" else "\n\n").join(texts)


def drawn(task: str, rng: np.random.Generator) -> Puzzle:
    """A random puzzle; a maze with its path where there is one."""
    question = DRAW[task](rng)
    return Puzzle(question, "f:1", solution=canonical(question) if task == "maze" else None)


@pytest.mark.parametrize("style", FORMATS)
@pytest.mark.parametrize("task", DRAW)
def test_puzzles_are_read_back(task, style):
    rng = np.random.default_rng(len(style))
    for _ in range(60):
        puzzles = [drawn(task, rng) for _ in range(int(rng.integers(1, 4)))]
        text = write(task, puzzles, style)
        records = list(get(task).read([Line(n, part) for n, part in enumerate(text.split("\n"), 1)], "f"))
        assert all(isinstance(record, Puzzle) for record in records), f"{records}\n{text}"
        assert [record.question.tolist() for record in records] == [p.question.tolist() for p in puzzles], text
        for record, puzzle in zip(records, puzzles, strict=True):
            if puzzle.solution is not None and style in ("csv", "json", "jsonl"):
                assert np.array_equal(record.solution, puzzle.solution), text
            if task == "sudoku" and style in ("grid", "ascii"):
                assert box_shape(record.question) == box_shape(puzzle.question), text
