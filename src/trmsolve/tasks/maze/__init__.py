"""Mazes of any size as a task (tasks/base.py says what a task is): shortest paths from S to G."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from trmsolve.tasks.maze.cells import WALL
from trmsolve.tasks.maze.data import Data
from trmsolve.tasks.maze.encode import KINDS, OPTIONS, decode, encode, open_cells
from trmsolve.tasks.maze.generate import generate
from trmsolve.tasks.maze.picture import picture
from trmsolve.tasks.maze.read import read
from trmsolve.tasks.maze.rules import check, connected, shortest, solved
from trmsolve.tasks.maze.views import VIEWS, name_view, unview, view
from trmsolve.tasks.maze.write import CSV_HEADER, draw, line, path, write

if TYPE_CHECKING:
    from trmsolve.tasks.cellwise import Frame


class Maze:
    """The task: each method is the function of its name, imported above."""

    name = "maze"
    styles = ("grid", "line", "csv")
    csv_header = CSV_HEADER

    read = staticmethod(read)
    write = staticmethod(write)
    draw = staticmethod(draw)
    line = staticmethod(line)
    check = staticmethod(check)
    solved = staticmethod(solved)
    encode = staticmethod(encode)
    decode = staticmethod(decode)
    open_cells = staticmethod(open_cells)
    views = VIEWS
    view = staticmethod(view)
    unview = staticmethod(unview)
    name_view = staticmethod(name_view)
    picture = staticmethod(picture)

    def by_cells(self, frame: Frame) -> Maze:
        """For a published network."""
        from trmsolve.tasks.maze.cellwise import CellwiseMaze

        return CellwiseMaze(frame)

    def unfit(self, question: np.ndarray) -> str:
        """Any size will do."""
        return ""

    def max_steps(self, question: np.ndarray) -> int:
        """Enough for news to cross half of all cells there and back at 16 a step; most runs rest long before."""
        return 16 + int((question != WALL).sum()) // 16

    def details(self, answer: np.ndarray) -> dict[str, Any]:
        """The path from S to G as [row, column] pairs, 0-based, and its steps."""
        cells = path(answer)
        return {"path": cells, "path_steps": len(cells) - 1}

    def refusal(self, question: np.ndarray) -> str:
        """What breadth-first search found."""
        return check(question, question)[0].message

    def stratum(self, question: np.ndarray) -> str:
        """By the length of the shortest path."""
        steps = shortest(question)
        if steps is None:
            return "no path"
        low = steps // 50 * 50
        return f"{low} to {low + 49} steps"

    def qualities(self, question: np.ndarray, answer: np.ndarray) -> dict[str, bool]:
        """A path that leads to the goal without a fork, though it may be longer than need be."""
        return {"valid_path": connected(question, answer)}

    generate = staticmethod(generate)
    # A layer carries news one cell further: (n + 1) T layers = 16 cells a step.
    model: ClassVar[dict[str, Any]] = {
        "mixer": "grid",
        "options": OPTIONS,
        "vocabulary": KINDS,
        "width": 32,
        "hidden": 96,
        "T": 2,
        "N_sup": 40,
    }
    train: ClassVar[dict[str, Any]] = {}
    mix = ("off_path", "phase")
    data = Data.open


TASK = Maze()
