"""Windoku: a Sudoku with four more boxes inside, the "windows". Solved by the weights of trmsolve's own Sudoku.

trmsolve solve --task examples/tasks/windoku.py FILE
"""

import numpy as np

from trmsolve.tasks.constraints import ConstraintPuzzle, ExactlyOne

GIVENS = 26  # at least, in generated puzzles; unique solutions need fewer


class Windoku(ConstraintPuzzle):
    name = "windoku"
    serves = "sudoku"  # the checkpoints of this task fit, as the kinds of groups are the same
    symbols = ".123456789"
    kinds = ("line", "line", "box", "box")

    def invalid_reason(self, grid):
        return "" if grid.shape == (9, 9) else "a Windoku has 9 rows of 9 digits, this is {}x{}".format(*grid.shape)

    def constraints(self, grid):
        row, column, digit = np.indices((9, 9, 9))
        inside = (row % 4 > 0) & (column % 4 > 0)  # rows and columns 2 to 4 and 6 to 8
        window = np.where(inside, row // 4 * 2 + column // 4, -1)
        groups = [("line", row), ("line", column), ("box", row // 3 * 3 + column // 3), ("box", window)]
        return [ExactlyOne(kind, np.where(group < 0, -1, group * 9 + digit)) for kind, group in groups]

    def make(self, rng, size):
        solution = self.random_solution(rng, np.zeros(size, np.uint8))
        return self.remove_givens(rng, solution, keep=GIVENS), solution
