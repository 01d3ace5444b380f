"""Sudoku: 4x4, 6x6, 8x8, 9x9, 12x12, 16x16 and 25x25 grids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from trmsolve.tasks.constraints import Constraint, ConstraintPuzzle, ExactlyOne
from trmsolve.tasks.groups import Groups, groups_of
from trmsolve.tasks.sudoku.generate import generate
from trmsolve.tasks.sudoku.read import read
from trmsolve.tasks.sudoku.rules import BOX, TallGrid, box_shape, check, conflicts, is_solution
from trmsolve.tasks.sudoku.symbols import DIGITS
from trmsolve.tasks.sudoku.write import format_grid, format_line

if TYPE_CHECKING:
    from trmsolve.tasks.sequence import SequenceFormat

MIN_GIVENS = {4: 4, 6: 8, 8: 14, 9: 17}  # of grids with one solution, by side (9: arXiv 1201.0749)


class Sudoku(ConstraintPuzzle):
    """The task: a ConstraintPuzzle with its own formats, rules, generator and picture."""

    name = "sudoku"
    symbols = "." + DIGITS
    kinds = ("line", "line", "box")  # row and column share their weights
    confidence_floor = 0.4  # tuned on extreme_train (docs/records.md)

    read = staticmethod(read)
    format_grid = staticmethod(format_grid)  # type: ignore[assignment]
    format_line = staticmethod(format_line)
    check = staticmethod(check)
    is_solution = staticmethod(is_solution)
    generate = staticmethod(generate)  # type: ignore[assignment]

    def num_values(self, grid: np.ndarray) -> int:
        """The number of digits, which is the side."""
        return len(grid)

    def constraints(self, grid: np.ndarray) -> Sequence[Constraint]:
        """Every row, column and box contains every digit once."""
        side, (height, width) = len(grid), box_shape(grid)
        row, column, digit = np.indices((side, side, side))
        box = row // height * height + column // width  # a band has side // width = height boxes
        return [
            ExactlyOne(kind, unit * side + digit) for kind, unit in zip(self.kinds, (row, column, box), strict=True)
        ]

    def groups(self, question: np.ndarray) -> Groups:
        """The groups of a grid of this size, with boxes of this shape."""
        return groups_of(_TALL if isinstance(question, TallGrid) else self, bytes(question.size), question.shape)

    def invalid_reason(self, grid: np.ndarray) -> str:
        """A message for an unsupported size, or for a digit larger than the side."""
        if len(grid) not in BOX:
            return f"no Sudoku has {grid.size} cells; supported: " + ", ".join(f"{side}x{side}" for side in BOX)
        return f"contains {grid.max()}, but the largest digit is {len(grid)}" if grid.max() > len(grid) else ""

    def open_cells(self, question: np.ndarray) -> np.ndarray:
        """bool (side, side): the blanks."""
        return question == 0

    def infeasible_reason(self, question: np.ndarray) -> str:
        """Why encode() gives None."""
        broken = conflicts(question)
        return broken[0].message if broken else "the givens leave some cell or unit without a digit"

    def ambiguity_reason(self, question: np.ndarray) -> str:
        """A message for fewer givens, or fewer different ones, than a unique solution needs."""
        side, givens = len(question), int((question > 0).sum())
        needed = MIN_GIVENS.get(side, 0)
        if givens < needed:
            number = "1 given" if givens == 1 else f"{givens} givens"
            return f"with {number} it has several solutions or none: a unique solution needs at least {needed}"
        kinds = len(np.unique(question[question > 0]))
        if kinds < side - 1:  # two digits that are not given can be exchanged in any solution
            number = "1 different digit" if kinds == 1 else f"{kinds} different digits"
            return f"with {number} it has several solutions or none: a unique one needs {side - 1}"
        return ""

    def box(self, question: np.ndarray) -> tuple[int, int]:
        """Rows and columns of a box."""
        return box_shape(question)

    def difficulty_group(self, question: np.ndarray) -> str:
        """The size, such as 9x9."""
        return f"{len(question)}x{len(question)}"

    def as_sequence(self, sequence_format: SequenceFormat) -> Sudoku:
        """For models with one token per cell."""
        from trmsolve.tasks.sudoku.sequence import SequenceSudoku

        return SequenceSudoku(sequence_format)


class _TallSudoku(Sudoku):
    def constraints(self, grid: np.ndarray) -> Sequence[Constraint]:
        return super().constraints(grid.view(TallGrid))


TASK = Sudoku()
_TALL = _TallSudoku()
