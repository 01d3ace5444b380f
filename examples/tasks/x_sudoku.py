"""X-Sudoku: a Sudoku whose two diagonals hold every digit once, too. Solved by the weights of trmsolve's own Sudoku.

trmsolve solve --task examples/tasks/x_sudoku.py FILE
"""

import numpy as np

from trmsolve.tasks.constraints import ConstraintPuzzle, ExactlyOne

GIVENS = 26  # at least, in generated puzzles; unique solutions need fewer


class XSudoku(ConstraintPuzzle):
    name = "x_sudoku"
    serves = "sudoku"  # the checkpoints of this task fit, as the kinds of groups are the same
    symbols = ".123456789"
    kinds = ("line", "line", "box", "box", "box")  # a diagonal is to the network what a box is

    def invalid_reason(self, grid):
        return "" if grid.shape == (9, 9) else "an X-Sudoku has 9 rows of 9 digits, this is {}x{}".format(*grid.shape)

    def constraints(self, grid):
        row, column, digit = np.indices((9, 9, 9))
        groups = [("line", row), ("line", column), ("box", row // 3 * 3 + column // 3)]
        groups += [("box", np.where(row == column, 0, -1)), ("box", np.where(row + column == 8, 0, -1))]
        return [ExactlyOne(kind, np.where(group < 0, -1, group * 9 + digit)) for kind, group in groups]

    def make(self, rng, size):
        solution = self.random_solution(rng, np.zeros(size, np.uint8))
        return self.remove_givens(rng, solution, keep=GIVENS), solution
