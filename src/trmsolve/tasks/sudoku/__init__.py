"""Sudoku: 4x4, 6x6, 9x9 and 16x16 grids as one task (tasks/base.py says what a task is)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from trmsolve.tasks.sudoku.data import Data
from trmsolve.tasks.sudoku.encode import assume, decode, describe, encode, open_cells
from trmsolve.tasks.sudoku.generate import generate
from trmsolve.tasks.sudoku.picture import picture
from trmsolve.tasks.sudoku.read import read
from trmsolve.tasks.sudoku.rules import check, solved
from trmsolve.tasks.sudoku.write import CSV_HEADER, draw, line, write

if TYPE_CHECKING:
    from trmsolve.tasks.cellwise import Frame


class Sudoku:
    """The task: each method is the function of its name, imported above."""

    name = "sudoku"
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
    assume = staticmethod(assume)
    open_cells = staticmethod(open_cells)
    views = 0  # the model has all of the puzzle's symmetries: every view would fail alike
    describe = staticmethod(describe)
    picture = staticmethod(picture)

    def by_cells(self, frame: Frame) -> Sudoku:
        """For a published network."""
        from trmsolve.tasks.sudoku.cellwise import CellwiseSudoku

        return CellwiseSudoku(frame)

    def unfit(self, question: np.ndarray) -> str:
        """Any size will do."""
        return ""

    def max_steps(self, question: np.ndarray) -> int:
        """A longer single pass finds more; before restarts it saves nothing (docs/records.md)."""
        return 32

    def details(self, answer: np.ndarray) -> dict[str, Any]:
        """The text says it all."""
        return {}

    def refusal(self, question: np.ndarray) -> str:
        """The rules know no more."""
        return "the givens leave some cell or unit without a digit: there is no solution"

    def stratum(self, question: np.ndarray) -> str:
        """By size."""
        return f"{len(question)}x{len(question)}"

    def qualities(self, question: np.ndarray, answer: np.ndarray) -> dict[str, bool]:
        """A Sudoku is right or wrong."""
        return {}

    generate = staticmethod(generate)
    model: ClassVar[dict[str, Any]] = {"N_sup": 32}
    train: ClassVar[dict[str, Any]] = {"window": 4, "lr": 0.006}
    mix = ("easier", "easier_most", "easier_least", "easier_draws", "wrong")
    data = Data.open


TASK = Sudoku()
