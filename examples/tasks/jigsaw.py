"""Jigsaw Sudoku: regions of another shape in place of the boxes. Solved by the weights of trmsolve's own Sudoku.

trmsolve solve --task examples/tasks/jigsaw.py FILE
"""

import numpy as np

from trmsolve.tasks.constraints import ConstraintPuzzle, ExactlyOne

REGIONS = """
AAABBBBCC
AAABBBBCC
AADDBCCCC
ADDDDECFF
EEDDDEFFF
GEEEEEFFF
GGGHHHFII
GGGHHIIII
GGHHHHIII
"""  # change them as you like: nine regions of nine cells

GIVENS = 26  # at least, in generated puzzles; unique solutions need fewer


class Jigsaw(ConstraintPuzzle):
    name = "jigsaw"
    serves = "sudoku"  # the checkpoints of this task fit, as the kinds of groups are the same
    symbols = ".123456789"
    kinds = ("line", "line", "box")

    def invalid_reason(self, grid):
        return "" if grid.shape == (9, 9) else "a Jigsaw has 9 rows of 9 digits, this is {}x{}".format(*grid.shape)

    def constraints(self, grid):
        row, column, digit = np.indices((9, 9, 9))
        region = np.array([[ord(letter) - ord("A") for letter in line] for line in REGIONS.split()])
        groups = zip(self.kinds, (row, column, region[..., None]), strict=True)
        return [ExactlyOne(kind, group * 9 + digit) for kind, group in groups]

    def make(self, rng, size):
        solution = self.random_solution(rng, np.zeros(size, np.uint8))
        return self.remove_givens(rng, solution, keep=GIVENS), solution
